/* tests/unit/nfs/test_io.c - READ, WRITE, COMMIT, and byte-range locks. */
#include "harness.h"

static enum nfsstat4 read_at(struct harness *h, struct slice fh, uint64_t offset, uint32_t count)
{
    compound_begin(h);
    add_putfh(h, fh);
    add_op(h, OP_READ, &(union nfs_argop4){ .opread = { .offset = offset, .count = count } });
    return compound_run(h);
}

static enum nfsstat4 write_at(
    struct harness *h, struct slice fh, uint64_t offset, const char *text, uint32_t stable)
{
    compound_begin(h);
    add_putfh(h, fh);
    add_op(h, OP_WRITE,
        &(union nfs_argop4){
            .opwrite = { .offset = offset, .stable = stable, .data = slice_str(text) } });
    return compound_run(h);
}

static void a_read_ends_at_the_end_of_the_file(void **state)
{
    static const struct {
        uint64_t offset;
        uint32_t count;
        const char *data;
        bool eof;
    } reads[] = { { 0, 4, "0123", false }, { 0, 10, "0123456789", true },
        { 0, 11, "0123456789", true }, { 8, 1, "8", false }, { 10, 5, "", true },
        { 11, 5, "", true }, { INT64_MAX, 1, "", true }, { UINT64_MAX, 1, "", true },
        { 3, 0, "", false } };
    struct harness *h = *state;
    write_file(h, "file", "0123456789");
    struct slice fh = look_up(h, "file");
    for (size_t i = 0; i < ARRAY_SIZE(reads); i++) {
        assert_int_equal(read_at(h, fh, reads[i].offset, reads[i].count), NFS4_OK);
        const struct READ4resok *read = &result(h, 1, OP_READ)->opread.resok4;
        assert_true(slice_equal(read->data, slice_str(reads[i].data)));
        assert_int_equal(read->eof, reads[i].eof);
    }
}

static void a_write_tells_how_stable_it_is_and_the_verifier(void **state)
{
    struct harness *h = *state;
    struct slice fh = make_file(h, "file");
    for (uint32_t stable = UNSTABLE4; stable <= FILE_SYNC4; stable++) {
        assert_int_equal(write_at(h, fh, 0, "text", stable), NFS4_OK);
        const struct WRITE4resok *written = &result(h, 1, OP_WRITE)->opwrite.resok4;
        assert_int_equal(written->count, 4);
        assert_int_equal(written->committed, stable);
    }
    uint8_t verifier[NFS4_VERIFIER_SIZE];
    memcpy(verifier, result(h, 1, OP_WRITE)->opwrite.resok4.writeverf, sizeof verifier);
    compound_begin(h);
    add_putfh(h, fh);
    add_op(h, OP_COMMIT, &(union nfs_argop4){ 0 });
    assert_int_equal(compound_run(h), NFS4_OK);
    assert_memory_equal(
        result(h, 1, OP_COMMIT)->opcommit.resok4.writeverf, verifier, sizeof verifier);
    fake_fs_change_writeverf(h->fs_a);
    compound_begin(h);
    add_putfh(h, fh);
    add_op(h, OP_COMMIT, &(union nfs_argop4){ 0 });
    assert_int_equal(compound_run(h), NFS4_OK);
    assert_memory_not_equal(
        result(h, 1, OP_COMMIT)->opcommit.resok4.writeverf, verifier, sizeof verifier);
    assert_int_equal(write_at(h, fh, 0, "text", 3), NFS4ERR_INVAL);
}

static void a_write_is_followed_by_fresh_attributes(void **state)
{
    struct harness *h = *state;
    struct slice fh = make_file(h, "file");
    compound_begin(h);
    add_putfh(h, fh);
    add_op(h, OP_WRITE, &(union nfs_argop4){ .opwrite = { .data = slice_str("12345") } });
    add_getattr(h, 1u << FATTR4_SIZE, 0, 0);
    assert_int_equal(compound_run(h), NFS4_OK);
    const struct fattr4 *attrs = &result(h, 2, OP_GETATTR)->opgetattr.resok4.obj_attributes;
    assert_int_equal(load_be64(attrs->attr_vals.data), 5);
}

static void files_have_a_largest_size(void **state)
{
    struct harness *h = *state;
    struct slice fh = make_file(h, "file");
    assert_int_equal(write_at(h, fh, FS_FILE_SIZE_MAX, "x", UNSTABLE4), NFS4ERR_FBIG);
    assert_int_equal(write_at(h, fh, UINT64_MAX, "x", UNSTABLE4), NFS4ERR_FBIG);
    assert_int_equal(write_at(h, fh, FS_FILE_SIZE_MAX - 1, "x", UNSTABLE4), NFS4_OK);
}

static void only_files_have_data(void **state)
{
    struct harness *h = *state;
    struct slice dir = make_dir(h, "dir");
    compound_begin(h);
    add_putrootfh(h);
    add_op(h, OP_CREATE,
        &(union nfs_argop4){
            .opcreate = { .objtype = { .type = NF4LNK, .linkdata = slice_str("x") },
                .objname = slice_str("link") } });
    assert_int_equal(compound_run(h), NFS4_OK);
    struct slice link = look_up(h, "link");
    assert_int_equal(read_at(h, dir, 0, 1), NFS4ERR_ISDIR);
    assert_int_equal(write_at(h, dir, 0, "x", UNSTABLE4), NFS4ERR_ISDIR);
    assert_int_equal(read_at(h, link, 0, 1), NFS4ERR_SYMLINK);
    compound_begin(h);
    add_putfh(h, dir);
    add_op(h, OP_COMMIT, &(union nfs_argop4){ 0 });
    assert_int_equal(compound_run(h), NFS4ERR_ISDIR);
}

static void without_an_open_the_mode_decides_except_for_the_owner(void **state)
{
    struct harness *h = *state;
    write_file(h, "file", "text");
    struct slice fh = look_up(h, "file"); /* mode 0644, owner 0 */
    h->first.cred.uid = 1000;
    h->first.cred.gid = 1000;
    assert_int_equal(read_at(h, fh, 0, 4), NFS4_OK);
    assert_int_equal(write_at(h, fh, 0, "x", UNSTABLE4), NFS4ERR_ACCESS);
    h->first.cred.flavor = RPC_AUTH_NONE; /* nobody */
    assert_int_equal(write_at(h, fh, 0, "x", UNSTABLE4), NFS4ERR_ACCESS);
}

static void an_open_stateid_allows_what_was_opened(void **state)
{
    struct harness *h = *state;
    struct slice fh;
    (void)make_file(h, "file");
    struct stateid4 stateid = open_file(h, "file", OPEN4_SHARE_ACCESS_READ, &fh);
    union nfs_argop4 write = { .opwrite = { .stateid = stateid, .data = slice_str("x") } };
    compound_begin(h);
    add_putfh(h, fh);
    add_op(h, OP_WRITE, &write);
    assert_int_equal(compound_run(h), NFS4ERR_OPENMODE);
    write.opwrite.stateid = open_file(h, "file", OPEN4_SHARE_ACCESS_WRITE, &fh);
    compound_begin(h);
    add_putfh(h, fh);
    add_op(h, OP_WRITE, &write);
    assert_int_equal(compound_run(h), NFS4_OK);
    struct slice other = make_file(h, "other");
    compound_begin(h);
    add_putfh(h, other);
    add_op(h, OP_WRITE, &write);
    assert_int_equal(compound_run(h), NFS4ERR_BAD_STATEID);
}

static void a_stolen_stateid_opens_nothing(void **state)
{
    struct harness *h = *state;
    struct slice fh;
    union nfs_argop4 write = { .opwrite = {
                                   .stateid = open_file(h, "file", OPEN4_SHARE_ACCESS_BOTH, &fh),
                                   .data = slice_str("x") } };
    h->first.cred.uid = 1000;
    h->first.cred.gid = 1000;
    compound_begin(h);
    add_putfh(h, fh);
    add_op(h, OP_WRITE, &write);
    assert_int_equal(compound_run(h), NFS4ERR_ACCESS);
}

static void errors_of_the_file_system_are_passed_on(void **state)
{
    struct harness *h = *state;
    write_file(h, "file", "text");
    struct slice fh = look_up(h, "file");
    fake_fs_fail(h->fs_a, "read", 1, -EIO);
    assert_int_equal(read_at(h, fh, 0, 1), NFS4ERR_IO);
    fake_fs_fail(h->fs_a, "write", 1, -EDQUOT);
    assert_int_equal(write_at(h, fh, 0, "x", UNSTABLE4), NFS4ERR_DQUOT);
    fake_fs_fail(h->fs_a, "commit", 1, -EROFS);
    compound_begin(h);
    add_putfh(h, fh);
    add_op(h, OP_COMMIT, &(union nfs_argop4){ 0 });
    assert_int_equal(compound_run(h), NFS4ERR_ROFS);
}

/* ---- locks ---- */

static union nfs_argop4 lock_args(
    struct stateid4 open_stateid, const char *owner, uint64_t offset, uint64_t length)
{
    return (union nfs_argop4){ .oplock = { .locktype = WRITE_LT,
                                   .offset = offset,
                                   .length = length,
                                   .locker = { .new_lock_owner = true,
                                       .open_owner = { .open_stateid = open_stateid,
                                           .lock_owner = { .owner = slice_str(owner) } } } } };
}

static void a_lock_keeps_others_out_and_says_who(void **state)
{
    struct harness *h = *state;
    struct slice fh;
    struct stateid4 stateid = open_file(h, "file", OPEN4_SHARE_ACCESS_BOTH, &fh);
    union nfs_argop4 first = lock_args(stateid, "first", 10, 10);
    union nfs_argop4 second = lock_args(stateid, "second", 15, 1);
    compound_begin(h);
    add_putfh(h, fh);
    add_op(h, OP_LOCK, &first);
    add_op(h, OP_LOCK, &second);
    assert_int_equal(compound_run(h), NFS4ERR_DENIED);
    const struct LOCK4denied *denied = &result(h, 2, OP_LOCK)->oplock.denied;
    assert_int_equal(denied->offset, 10);
    assert_int_equal(denied->length, 10);
    assert_int_equal(denied->locktype, WRITE_LT);
    assert_true(slice_equal(denied->owner.owner, slice_str("first")));
    assert_int_equal(denied->owner.clientid, h->first.clientid);
}

static void a_lock_is_tested_extended_and_given_up(void **state)
{
    struct harness *h = *state;
    struct slice fh;
    struct stateid4 stateid = open_file(h, "file", OPEN4_SHARE_ACCESS_BOTH, &fh);
    union nfs_argop4 lock = lock_args(stateid, "first", 0, UINT64_MAX);
    union nfs_argop4 test = { .oplockt = { .locktype = READ_LT,
                                  .offset = 5,
                                  .length = 1,
                                  .owner = { .owner = slice_str("second") } } };
    compound_begin(h);
    add_putfh(h, fh);
    add_op(h, OP_LOCKT, &test);
    add_op(h, OP_LOCK, &lock);
    add_op(h, OP_LOCKT, &test);
    assert_int_equal(compound_run(h), NFS4ERR_DENIED);
    assert_int_equal(result(h, 1, OP_LOCKT)->oplockt.status, NFS4_OK);
    struct stateid4 held = result(h, 2, OP_LOCK)->oplock.resok4.lock_stateid;
    union nfs_argop4 unlock = {
        .oplocku = { .locktype = WRITE_LT, .lock_stateid = held, .offset = 0, .length = UINT64_MAX }
    };
    compound_begin(h);
    add_putfh(h, fh);
    add_op(h, OP_LOCKU, &unlock);
    add_op(h, OP_LOCKT, &test);
    assert_int_equal(compound_run(h), NFS4_OK);
    assert_int_equal(result(h, 1, OP_LOCKU)->oplocku.lock_stateid.seqid, held.seqid + 1);
}

static void wrong_locks_are_refused(void **state)
{
    struct harness *h = *state;
    struct slice fh;
    struct stateid4 stateid = open_file(h, "file", OPEN4_SHARE_ACCESS_BOTH, &fh);
    union nfs_argop4 lock = lock_args(stateid, "owner", 0, 0);
    compound_begin(h);
    add_putfh(h, fh);
    add_op(h, OP_LOCK, &lock);
    assert_int_equal(compound_run(h), NFS4ERR_INVAL);
    lock.oplock.length = 1;
    lock.oplock.locktype = 9;
    compound_begin(h);
    add_putfh(h, fh);
    add_op(h, OP_LOCK, &lock);
    assert_int_equal(compound_run(h), NFS4ERR_INVAL);
    compound_begin(h);
    add_putrootfh(h);
    add_op(h, OP_LOCK, &lock);
    assert_int_equal(compound_run(h), NFS4ERR_ISDIR);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, harness_setup, harness_teardown)
        TEST(a_read_ends_at_the_end_of_the_file),
        TEST(a_write_tells_how_stable_it_is_and_the_verifier),
        TEST(a_write_is_followed_by_fresh_attributes),
        TEST(files_have_a_largest_size),
        TEST(only_files_have_data),
        TEST(without_an_open_the_mode_decides_except_for_the_owner),
        TEST(an_open_stateid_allows_what_was_opened),
        TEST(a_stolen_stateid_opens_nothing),
        TEST(errors_of_the_file_system_are_passed_on),
        TEST(a_lock_keeps_others_out_and_says_who),
        TEST(a_lock_is_tested_extended_and_given_up),
        TEST(wrong_locks_are_refused),
    };
    return cmocka_run_group_tests_name("nfs: data and locks", tests, NULL, NULL);
}
