/* tests/unit/nfs/test_attr.c - ACCESS, GETATTR, SETATTR, VERIFY and NVERIFY, and the encoding of attributes. */
#include "harness.h"
#include "nfs/attr.h"

#define WORD1(number) (1u << ((number)-32))
#define WORD2(number) (1u << ((number)-64))

/* The values of GETATTR's answer, to be read one after the other. */
static struct xdr_decoder values(struct harness *h, const struct fattr4 *attrs)
{
    return xdr_decoder_of(attrs->attr_vals, &h->arena);
}

static const struct fattr4 *get(
    struct harness *h, struct slice fh, uint32_t word0, uint32_t word1, uint32_t word2)
{
    compound_begin(h);
    add_putfh(h, fh);
    add_getattr(h, word0, word1, word2);
    assert_int_equal(compound_run(h), NFS4_OK);
    return &result(h, 1, OP_GETATTR)->opgetattr.resok4.obj_attributes;
}

static uint64_t number64(struct xdr_decoder *dec)
{
    uint64_t value;
    assert_true(xdr_get_u64(dec, &value));
    return value;
}

static uint32_t number32(struct xdr_decoder *dec)
{
    uint32_t value;
    assert_true(xdr_get_u32(dec, &value));
    return value;
}

static struct slice text(struct xdr_decoder *dec)
{
    struct slice value;
    assert_true(xdr_get_opaque(dec, 1024, &value));
    return value;
}

static void values_come_in_the_order_of_their_numbers(void **state)
{
    struct harness *h = *state;
    write_file(h, "file", "text");
    struct slice fh = look_up(h, "file");
    const struct fattr4 *attrs = get(h, fh,
        1u << FATTR4_TYPE | 1u << FATTR4_SIZE | 1u << FATTR4_FSID | 1u << FATTR4_FILEHANDLE |
            1u << FATTR4_FILEID,
        WORD1(FATTR4_MODE) | WORD1(FATTR4_NUMLINKS) | WORD1(FATTR4_OWNER) |
            WORD1(FATTR4_OWNER_GROUP) | WORD1(FATTR4_MOUNTED_ON_FILEID),
        0);
    struct xdr_decoder dec = values(h, attrs);
    assert_int_equal(number32(&dec), NF4REG);
    assert_int_equal(number64(&dec), 4);
    assert_true(number64(&dec) != 0); /* fsid */
    assert_int_equal(number64(&dec), 0);
    assert_true(slice_equal(text(&dec), fh));
    uint64_t fileid = number64(&dec);
    assert_int_equal(number32(&dec), 0644);
    assert_int_equal(number32(&dec), 1);
    assert_true(slice_equal(text(&dec), slice_str("0")));
    assert_true(slice_equal(text(&dec), slice_str("0")));
    assert_int_equal(number64(&dec), fileid);
    assert_int_equal(xdr_left(&dec), 0);
}

static void what_is_supported_depends_on_the_minor_version(void **state)
{
    (void)state;
    for (unsigned minor = 0; minor <= 2; minor++) {
        struct attr_mask mask = attr_supported(1u << minor | EXTENDED);
        assert_true(attr_mask_has(&mask, FATTR4_TIME_MODIFY_SET));
        assert_false(attr_mask_has(&mask, FATTR4_ACL));
        assert_int_equal(attr_mask_has(&mask, FATTR4_SUPPATTR_EXCLCREAT), minor >= 1);
        assert_int_equal(attr_mask_has(&mask, FATTR4_MODE_UMASK), minor >= 2);
        assert_int_equal(attr_mask_has(&mask, FATTR4_CHANGE_ATTR_TYPE), minor >= 2);
    }
}

static void every_supported_attribute_can_be_read_at_once(void **state)
{
    struct harness *h = *state;
    struct slice fh = make_file(h, "file");
    for (h->first.minor = 1; h->first.minor <= 2; h->first.minor++) {
        struct attr_mask mask = attr_supported(1u << h->first.minor | EXTENDED);
        mask.words[1] &= ~(WORD1(FATTR4_TIME_ACCESS_SET) | WORD1(FATTR4_TIME_MODIFY_SET));
        mask.words[2] &= ~WORD2(FATTR4_MODE_UMASK);
        const struct fattr4 *attrs = get(h, fh, mask.words[0], mask.words[1], mask.words[2]);
        assert_int_equal(attrs->attrmask.count, 3);
        assert_memory_equal(attrs->attrmask.items, mask.words, sizeof mask.words);
        struct xdr_decoder dec = values(h, attrs);
        assert_int_equal(number32(&dec), 3); /* supported_attrs itself */
    }
}

static void what_is_unknown_is_left_out(void **state)
{
    struct harness *h = *state;
    const struct fattr4 *attrs = get(h, make_file(h, "file"), 1u << FATTR4_ACL, 0, 1u << 31);
    assert_int_equal(attrs->attrmask.count, 0);
    assert_int_equal(attrs->attr_vals.size, 0);
    uint32_t words[32] = { [0] = 1u << FATTR4_TYPE, [31] = 1 };
    compound_begin(h);
    add_putrootfh(h);
    add_op(h, OP_GETATTR, &(union nfs_argop4){ .opgetattr = { .attr_request = { 32, words } } });
    assert_int_equal(compound_run(h), NFS4_OK);
}

static void what_can_only_be_set_cannot_be_read(void **state)
{
    struct harness *h = *state;
    compound_begin(h);
    add_putrootfh(h);
    add_getattr(h, 0, WORD1(FATTR4_TIME_MODIFY_SET), 0);
    assert_int_equal(compound_run(h), NFS4ERR_INVAL);
}

static void space_is_that_of_the_file_system(void **state)
{
    struct harness *h = *state;
    struct fs_space space;
    assert_int_equal(fs_space(h->fs_a, &space), 0);
    const struct fattr4 *attrs = get(h, make_file(h, "file"), 1u << FATTR4_FILES_TOTAL,
        WORD1(FATTR4_SPACE_AVAIL) | WORD1(FATTR4_SPACE_TOTAL), 0);
    struct xdr_decoder dec = values(h, attrs);
    assert_int_equal(number64(&dec), space.total_files);
    assert_int_equal(number64(&dec), space.available_bytes);
    assert_int_equal(number64(&dec), space.total_bytes);
}

static void access_answers_for_what_makes_sense(void **state)
{
    struct harness *h = *state;
    struct slice file = make_file(h, "file");
    struct slice dir = make_dir(h, "dir");
    union nfs_argop4 all = { .opaccess = { .access = 0x3f } };
    compound_begin(h);
    add_putfh(h, file);
    add_op(h, OP_ACCESS, &all);
    add_putfh(h, dir);
    add_op(h, OP_ACCESS, &all);
    assert_int_equal(compound_run(h), NFS4_OK);
    assert_int_equal(result(h, 1, OP_ACCESS)->opaccess.resok4.supported,
        ACCESS4_READ | ACCESS4_MODIFY | ACCESS4_EXTEND | ACCESS4_EXECUTE);
    assert_int_equal(result(h, 1, OP_ACCESS)->opaccess.resok4.access,
        ACCESS4_READ | ACCESS4_MODIFY | ACCESS4_EXTEND); /* root cannot run what nobody can */
    assert_int_equal(result(h, 3, OP_ACCESS)->opaccess.resok4.access,
        ACCESS4_READ | ACCESS4_LOOKUP | ACCESS4_MODIFY | ACCESS4_EXTEND | ACCESS4_DELETE);
    h->first.cred.uid = 1000;
    h->first.cred.gid = 1000;
    compound_begin(h);
    add_putfh(h, dir);
    add_op(h, OP_ACCESS, &all);
    assert_int_equal(compound_run(h), NFS4_OK);
    assert_int_equal(
        result(h, 1, OP_ACCESS)->opaccess.resok4.access, ACCESS4_READ | ACCESS4_LOOKUP);
}

static enum nfsstat4 set(struct harness *h, struct slice fh, struct fattr4 attrs)
{
    compound_begin(h);
    add_putfh(h, fh);
    add_op(h, OP_SETATTR, &(union nfs_argop4){ .opsetattr = { .obj_attributes = attrs } });
    return compound_run(h);
}

/* An fattr4 of one attribute whose value is already encoded. */
static struct fattr4 one(struct harness *h, uint32_t number, const void *value, size_t size)
{
    uint32_t words[3] = { 0 };
    words[number / 32] = 1u << number % 32;
    return (struct fattr4){ .attrmask = bitmap(h, words[0], words[1], words[2]),
        .attr_vals = slice_of(value, size) };
}

static void setattr_tells_what_was_set(void **state)
{
    struct harness *h = *state;
    struct slice fh = make_file(h, "file");
    assert_int_equal(set(h, fh, fattr_mode(h, 0711)), NFS4_OK);
    const struct bitmap4 *done = &result(h, 1, OP_SETATTR)->opsetattr.attrsset;
    assert_int_equal(done->count, 2);
    assert_int_equal(done->items[1], WORD1(FATTR4_MODE));
    struct xdr_decoder dec = values(h, get(h, fh, 0, WORD1(FATTR4_MODE), 0));
    assert_int_equal(number32(&dec), 0711);
    h->first.cred.uid = 1000;
    assert_int_equal(set(h, fh, fattr_mode(h, 0777)), NFS4ERR_PERM);
    assert_int_equal(result(h, 1, OP_SETATTR)->opsetattr.attrsset.count, 0);
}

static void owners_are_decimal_numbers(void **state)
{
    static const struct {
        const char *encoded;
        size_t size;
        enum nfsstat4 status;
    } owners[] = { { "\0\0\0\4"
                     "1234",
                       8, NFS4_OK },
        { "\0\0\0\0", 4, NFS4ERR_INVAL },
        { "\0\0\0\4"
          "root",
            8, NFS4ERR_BADOWNER },
        { "\0\0\0\2"
          "-1\0\0",
            8, NFS4ERR_BADOWNER },
        { "\0\0\0\12"
          "4294967296\0\0",
            16, NFS4ERR_BADOWNER },
        { "\0\0\0\12"
          "4294967295\0\0",
            16, NFS4_OK } };
    struct harness *h = *state;
    struct slice fh = make_file(h, "file");
    for (size_t i = 0; i < ARRAY_SIZE(owners); i++) {
        struct fattr4 attrs = one(h, FATTR4_OWNER, owners[i].encoded, owners[i].size);
        assert_int_equal(set(h, fh, attrs), owners[i].status);
    }
    struct xdr_decoder dec = values(h, get(h, fh, 0, WORD1(FATTR4_OWNER), 0));
    assert_true(slice_equal(text(&dec), slice_str("4294967295")));
}

static void wrong_values_are_refused(void **state)
{
    struct harness *h = *state;
    struct slice fh = make_file(h, "file");
    static const uint8_t zeros[64];
    uint8_t time[16] = { 0, 0, 0, SET_TO_CLIENT_TIME4 };
    store_be32(time + 12, 1000000000);
    assert_int_equal(set(h, fh, one(h, FATTR4_TIME_MODIFY_SET, time, sizeof time)), NFS4ERR_INVAL);
    store_be32(time + 12, 999999999);
    assert_int_equal(set(h, fh, one(h, FATTR4_TIME_MODIFY_SET, time, sizeof time)), NFS4_OK);
    assert_int_equal(set(h, fh, fattr_mode(h, 010000)), NFS4ERR_INVAL);
    assert_int_equal(set(h, fh, one(h, FATTR4_TYPE, zeros, 4)), NFS4ERR_INVAL);
    assert_int_equal(set(h, fh, one(h, FATTR4_ACL, zeros, 4)), NFS4ERR_ATTRNOTSUPP);
    assert_int_equal(set(h, fh, one(h, FATTR4_SIZE, zeros, 4)), NFS4ERR_BADXDR);
    assert_int_equal(set(h, fh, one(h, FATTR4_SIZE, zeros, 12)), NFS4ERR_BADXDR);
    assert_int_equal(set(h, fh, fattr_size(h, UINT64_MAX)), NFS4ERR_FBIG);
    assert_int_equal(set(h, make_dir(h, "dir"), fattr_size(h, 0)), NFS4ERR_ISDIR);
    h->first.minor = 2;
    assert_int_equal(set(h, fh, one(h, FATTR4_MODE_UMASK, zeros, 8)), NFS4ERR_INVAL);
}

static void a_size_is_set_through_an_open_for_writing(void **state)
{
    struct harness *h = *state;
    struct slice fh;
    struct createhow4 how = { .mode = UNCHECKED4, .createattrs = fattr_mode(h, 0444) };
    compound_begin(h);
    add_putrootfh(h);
    add_op(h, OP_SETATTR,
        &(union nfs_argop4){ .opsetattr = { .obj_attributes = fattr_mode(h, 0777) } });
    assert_int_equal(compound_run(h), NFS4_OK);
    h->first.cred.uid = 1000;
    compound_begin(h);
    add_putrootfh(h);
    add_open(h, "file", OPEN4_SHARE_ACCESS_BOTH, &how);
    add_getfh(h);
    assert_int_equal(compound_run(h), NFS4_OK);
    fh = result(h, 2, OP_GETFH)->opgetfh.resok4.object;
    union nfs_argop4 arg = { .opsetattr = { .stateid = result(h, 1, OP_OPEN)->opopen.resok4.stateid,
                                 .obj_attributes = fattr_size(h, 100) } };
    compound_begin(h);
    add_putfh(h, fh);
    add_op(h, OP_SETATTR, &arg);
    assert_int_equal(compound_run(h), NFS4_OK);
    assert_int_equal(set(h, fh, fattr_size(h, 200)), NFS4ERR_ACCESS);
}

static void the_mode_of_a_symbolic_link_is_ignored(void **state)
{
    struct harness *h = *state;
    compound_begin(h);
    add_putrootfh(h);
    add_op(h, OP_CREATE,
        &(union nfs_argop4){
            .opcreate = { .objtype = { .type = NF4LNK, .linkdata = slice_str("x") },
                .objname = slice_str("link") } });
    add_getfh(h);
    assert_int_equal(compound_run(h), NFS4_OK);
    struct slice fh = result(h, 2, OP_GETFH)->opgetfh.resok4.object;
    assert_int_equal(set(h, fh, fattr_mode(h, 0600)), NFS4_OK);
    struct xdr_decoder dec = values(h, get(h, fh, 0, WORD1(FATTR4_MODE), 0));
    assert_int_equal(number32(&dec), 0777);
}

static enum nfsstat4 compare(struct harness *h, uint32_t opcode, struct fattr4 attrs)
{
    union nfs_argop4 arg = { .opverify = { .obj_attributes = attrs } };
    compound_begin(h);
    add_putrootfh(h);
    add_lookup(h, "file");
    add_op(h, opcode, &arg);
    return compound_run(h);
}

static void verify_and_nverify_compare(void **state)
{
    static const uint8_t zeros[8];
    struct harness *h = *state;
    write_file(h, "file", "12345");
    assert_int_equal(compare(h, OP_VERIFY, fattr_size(h, 5)), NFS4_OK);
    assert_int_equal(compare(h, OP_VERIFY, fattr_size(h, 6)), NFS4ERR_NOT_SAME);
    assert_int_equal(compare(h, OP_NVERIFY, fattr_size(h, 5)), NFS4ERR_SAME);
    assert_int_equal(compare(h, OP_NVERIFY, fattr_size(h, 6)), NFS4_OK);
    assert_int_equal(compare(h, OP_VERIFY, one(h, FATTR4_ACL, zeros, 4)), NFS4ERR_ATTRNOTSUPP);
    assert_int_equal(compare(h, OP_NVERIFY, one(h, FATTR4_RDATTR_ERROR, zeros, 4)), NFS4ERR_INVAL);
    assert_int_equal(
        compare(h, OP_VERIFY, one(h, FATTR4_TIME_ACCESS_SET, zeros, 4)), NFS4ERR_INVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, harness_setup, harness_teardown)
        TEST(values_come_in_the_order_of_their_numbers),
        cmocka_unit_test(what_is_supported_depends_on_the_minor_version),
        TEST(every_supported_attribute_can_be_read_at_once),
        TEST(what_is_unknown_is_left_out),
        TEST(what_can_only_be_set_cannot_be_read),
        TEST(space_is_that_of_the_file_system),
        TEST(access_answers_for_what_makes_sense),
        TEST(setattr_tells_what_was_set),
        TEST(owners_are_decimal_numbers),
        TEST(wrong_values_are_refused),
        TEST(a_size_is_set_through_an_open_for_writing),
        TEST(the_mode_of_a_symbolic_link_is_ignored),
        TEST(verify_and_nverify_compare),
    };
    return cmocka_run_group_tests_name("nfs: attributes", tests, NULL, NULL);
}
