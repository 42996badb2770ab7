/* tests/unit/nfs/test_fh.c - handles, names and statuses by themselves, and the operations that move between handles. */
#include "harness.h"
#include "nfs/fh.h"
#include "nfs/names.h"
#include "nfs/status.h"

static const struct hash_key key = { .k0 = 11, .k1 = 22 };

static void a_handle_comes_back_as_it_was(void **state)
{
    (void)state;
    struct fh fh = { .kind = FH_NODE,
        .fs_tag = fh_fs_tag("fs-a"),
        .node = { .inode = 77, .generation = UINT64_MAX },
        .access_point = 5 };
    uint8_t bytes[FH_SIZE];
    struct fh back;
    fh_encode(&key, &fh, bytes);
    assert_int_equal(fh_decode(&key, slice_of(bytes, sizeof bytes), &back), 0);
    assert_true(fh_equal(&fh, &back));
    assert_int_equal(back.access_point, 5);
}

static void a_changed_handle_is_not_ours(void **state)
{
    (void)state;
    struct fh fh = { .kind = FH_NODE, .fs_tag = 1, .node = { 2, 3 } };
    uint8_t bytes[FH_SIZE];
    struct fh back;
    fh_encode(&key, &fh, bytes);
    for (size_t bit = 0; bit < 8 * sizeof bytes; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_equal(fh_decode(&key, slice_of(bytes, sizeof bytes), &back), -EBADMSG);
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    assert_int_equal(fh_decode(&key, slice_of(bytes, sizeof bytes - 1), &back), -EBADMSG);
    const struct hash_key other = { .k0 = 11, .k1 = 23 };
    assert_int_equal(fh_decode(&other, slice_of(bytes, sizeof bytes), &back), -EBADMSG);
}

static void tags_differ_between_file_systems(void **state)
{
    (void)state;
    assert_true(fh_fs_tag("fs-a") != fh_fs_tag("fs-b"));
    /* The value itself is kept by clients: it must never change. */
    assert_true(fh_fs_tag("fs-0123456789abcdef0") == UINT64_C(0xd3a0032a9ac688e9));
}

static void names_are_bytes_without_slash_and_nul(void **state)
{
    (void)state;
    uint8_t bytes[256];
    memset(bytes, 'n', sizeof bytes);
    assert_int_equal(name_check(slice_of(bytes, 255)), NFS4_OK);
    assert_int_equal(name_check(slice_of(bytes, 256)), NFS4ERR_NAMETOOLONG);
    assert_int_equal(name_check(slice_str("")), NFS4ERR_INVAL);
    assert_int_equal(name_check(slice_str(".")), NFS4ERR_BADNAME);
    assert_int_equal(name_check(slice_str("..")), NFS4ERR_BADNAME);
    assert_int_equal(name_check(slice_str("...")), NFS4_OK);
    assert_int_equal(name_check(slice_str(".a")), NFS4_OK);
    assert_int_equal(name_check(slice_str("a/b")), NFS4ERR_BADCHAR);
    assert_int_equal(name_check(slice_of("a\0b", 3)), NFS4ERR_BADCHAR);
    assert_int_equal(name_check(slice_str("\xff\xfe")), NFS4_OK);
}

static void symbolic_links_have_a_length(void **state)
{
    (void)state;
    static uint8_t bytes[FS_SYMLINK_SIZE_MAX + 1];
    memset(bytes, '/', sizeof bytes);
    const size_t max = FS_SYMLINK_SIZE_MAX;
    assert_int_equal(name_check_symlink(slice_of(bytes, max), max), NFS4_OK);
    assert_int_equal(name_check_symlink(slice_of(bytes, sizeof bytes), max), NFS4ERR_NAMETOOLONG);
    assert_int_equal(name_check_symlink(slice_of(bytes, 11), 10), NFS4ERR_NAMETOOLONG);
    assert_int_equal(name_check_symlink(slice_of(bytes, 0), max), NFS4ERR_INVAL);
    assert_int_equal(name_check_symlink(slice_of("a\0b", 3), max), NFS4ERR_INVAL);
}

static void errors_become_statuses(void **state)
{
    (void)state;
    assert_int_equal(nfs_status(0), NFS4_OK);
    assert_int_equal(nfs_status(-ENOENT), NFS4ERR_NOENT);
    assert_int_equal(nfs_status(-EDQUOT), NFS4ERR_DQUOT);
    assert_int_equal(nfs_status(-ENOMEM), NFS4ERR_DELAY);
    assert_int_equal(nfs_status(-ENOTTY), NFS4ERR_SERVERFAULT);
}

static void putfh_takes_what_getfh_gave(void **state)
{
    struct harness *h = *state;
    struct slice fh = make_file(h, "file");
    compound_begin(h);
    add_putfh(h, fh);
    add_getfh(h);
    assert_int_equal(compound_run(h), NFS4_OK);
    assert_true(slice_equal(result(h, 1, OP_GETFH)->opgetfh.resok4.object, fh));
    assert_true(slice_equal(look_up(h, "file"), fh));
}

static void putfh_refuses_what_it_did_not_make(void **state)
{
    struct harness *h = *state;
    struct slice fh = make_file(h, "file");
    uint8_t forged[FH_SIZE];
    memcpy(forged, fh.data, sizeof forged);
    forged[19]++; /* another inode */
    compound_begin(h);
    add_putfh(h, slice_of(forged, sizeof forged));
    assert_int_equal(compound_run(h), NFS4ERR_BADHANDLE);
    compound_begin(h);
    add_putfh(h, slice_of("", 0));
    assert_int_equal(compound_run(h), NFS4ERR_BADHANDLE);
}

static void a_removed_file_is_stale(void **state)
{
    struct harness *h = *state;
    struct slice fh = make_file(h, "file");
    compound_begin(h);
    add_putrootfh(h);
    add_op(h, OP_REMOVE, &(union nfs_argop4){ .opremove = { .target = slice_str("file") } });
    assert_int_equal(compound_run(h), NFS4_OK);
    compound_begin(h);
    add_putfh(h, fh);
    assert_int_equal(compound_run(h), NFS4ERR_STALE);
}

static void the_public_filehandle_is_the_root(void **state)
{
    struct harness *h = *state;
    compound_begin(h);
    add_putrootfh(h);
    add_getfh(h);
    add_op(h, OP_PUTPUBFH, NULL);
    add_getfh(h);
    assert_int_equal(compound_run(h), NFS4_OK);
    assert_true(slice_equal(result(h, 1, OP_GETFH)->opgetfh.resok4.object,
        result(h, 3, OP_GETFH)->opgetfh.resok4.object));
}

static void a_saved_filehandle_is_restored(void **state)
{
    struct harness *h = *state;
    struct slice dir = make_dir(h, "dir");
    compound_begin(h);
    add_op(h, OP_RESTOREFH, NULL);
    assert_int_equal(compound_run(h), NFS4ERR_NOFILEHANDLE);
    compound_begin(h);
    add_putfh(h, dir);
    add_savefh(h);
    add_putrootfh(h);
    add_op(h, OP_RESTOREFH, NULL);
    add_getfh(h);
    assert_int_equal(compound_run(h), NFS4_OK);
    assert_true(slice_equal(result(h, 4, OP_GETFH)->opgetfh.resok4.object, dir));
}

static void secinfo_offers_auth_sys_and_consumes_the_handle(void **state)
{
    struct harness *h = *state;
    (void)make_dir(h, "dir");
    compound_begin(h);
    add_putrootfh(h);
    add_op(h, OP_SECINFO, &(union nfs_argop4){ .opsecinfo = { .name = slice_str("dir") } });
    add_getfh(h);
    assert_int_equal(compound_run(h), NFS4ERR_NOFILEHANDLE);
    const struct SECINFO4resok *flavors = &result(h, 1, OP_SECINFO)->opsecinfo.resok4;
    assert_int_equal(flavors->count, 1);
    assert_int_equal(flavors->items[0].flavor, AUTH_SYS);
    compound_begin(h);
    add_putrootfh(h);
    add_op(h, OP_SECINFO, &(union nfs_argop4){ .opsecinfo = { .name = slice_str("none") } });
    assert_int_equal(compound_run(h), NFS4ERR_NOENT);
}

static void secinfo_no_name_knows_two_styles(void **state)
{
    struct harness *h = *state;
    struct slice dir = make_dir(h, "dir");
    union nfs_argop4 arg = { .opsecinfo_no_name = SECINFO_STYLE4_PARENT };
    compound_begin(h);
    add_putfh(h, dir);
    add_op(h, OP_SECINFO_NO_NAME, &arg);
    assert_int_equal(compound_run(h), NFS4_OK);
    compound_begin(h);
    add_putrootfh(h);
    add_op(h, OP_SECINFO_NO_NAME, &arg);
    assert_int_equal(compound_run(h), NFS4ERR_NOENT);
    arg.opsecinfo_no_name = SECINFO_STYLE4_CURRENT_FH;
    compound_begin(h);
    add_putrootfh(h);
    add_op(h, OP_SECINFO_NO_NAME, &arg);
    add_getfh(h);
    assert_int_equal(compound_run(h), NFS4ERR_NOFILEHANDLE);
    arg.opsecinfo_no_name = 7;
    compound_begin(h);
    add_putrootfh(h);
    add_op(h, OP_SECINFO_NO_NAME, &arg);
    assert_int_equal(compound_run(h), NFS4ERR_INVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, harness_setup, harness_teardown)
        cmocka_unit_test(a_handle_comes_back_as_it_was),
        cmocka_unit_test(a_changed_handle_is_not_ours),
        cmocka_unit_test(tags_differ_between_file_systems),
        cmocka_unit_test(names_are_bytes_without_slash_and_nul),
        cmocka_unit_test(symbolic_links_have_a_length),
        cmocka_unit_test(errors_become_statuses),
        TEST(putfh_takes_what_getfh_gave),
        TEST(putfh_refuses_what_it_did_not_make),
        TEST(a_removed_file_is_stale),
        TEST(the_public_filehandle_is_the_root),
        TEST(a_saved_filehandle_is_restored),
        TEST(secinfo_offers_auth_sys_and_consumes_the_handle),
        TEST(secinfo_no_name_knows_two_styles),
    };
    return cmocka_run_group_tests_name("nfs: filehandles and names", tests, NULL, NULL);
}
