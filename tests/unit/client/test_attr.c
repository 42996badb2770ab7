/* tests/unit/client/test_attr.c - attributes to and from the wire, errors, listings that must not be trusted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "client/dir.h"
#include "client/error.h"
#include "fake_server.h"

struct fixture {
    struct fake_server server;
    struct nfs_client *client;
    const union nfs_resop4 *listing;
};

static struct fake_verdict give_listing(void *context, const struct fake_request *request)
{
    const struct fixture *f = context;
    (void)request;
    return (struct fake_verdict){ .res = f->listing, .res_op = OP_READDIR };
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    fake_server_start(&f->server, give_listing, f);
    f->client = fake_server_client(&f->server, 1, 4);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    nfs_client_close(f->client);
    fake_server_stop(&f->server);
    free(f);
    return 0;
}

static void set_attributes_are_encoded_in_ascending_order(void **state)
{
    struct fixture *f = *state;
    struct nfs_call call;
    struct fattr4 encoded;
    struct nfs_setattr attr = { .set_mode = true,
        .mode = 04755,
        .set_uid = true,
        .uid = 1000,
        .set_size = true,
        .size_bytes = 7,
        .set_mtime = true,
        .mtime = { -1, 999999999 } };
    static const uint8_t expected[] = { 0, 0, 0, 0, 0, 0, 0, 7, /* size */
        0, 0, 0x09, 0xed,                                       /* mode */
        0, 0, 0, 4, '1', '0', '0', '0',                         /* owner */
        0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x3b, 0x9a, 0xc9, 0xff };
    nfs_call_init(&call, f->client, NFS_CALL_PLAIN);
    assert_true(nfs_attr_encode(&call, &attr, &encoded));
    assert_int_equal(encoded.attrmask.count, 2);
    assert_int_equal(encoded.attrmask.items[0], 1u << FATTR4_SIZE);
    assert_int_equal(encoded.attrmask.items[1],
        1u << (FATTR4_MODE - 32) | 1u << (FATTR4_OWNER - 32) | 1u << (FATTR4_TIME_MODIFY_SET - 32));
    assert_int_equal(encoded.attr_vals.size, sizeof expected);
    assert_memory_equal(encoded.attr_vals.data, expected, sizeof expected);
    nfs_call_fini(&call);
}

static bool decode(uint32_t number, const void *bytes, size_t size, struct nfs_attr *out_attr)
{
    uint32_t words[3] = { 0 };
    words[number / 32] = 1u << number % 32;
    struct fattr4 from = { .attrmask = { 3, words }, .attr_vals = slice_of(bytes, size) };
    return nfs_attr_decode(&from, out_attr);
}

static void owners_are_numbers_or_nobody(void **state)
{
    (void)state;
    struct nfs_attr attr;
    assert_true(decode(FATTR4_OWNER,
        "\0\0\0\4"
        "1234",
        8, &attr));
    assert_int_equal(attr.uid, 1234);
    assert_true(decode(FATTR4_OWNER,
        "\0\0\0\12"
        "4294967295\0\0",
        16, &attr));
    assert_int_equal(attr.uid, UINT32_MAX);
    assert_true(decode(FATTR4_OWNER,
        "\0\0\0\12"
        "4294967296\0\0",
        16, &attr));
    assert_int_equal(attr.uid, 65534);
    assert_false(decode(FATTR4_OWNER, "\0\0\0\7root@x.", 11, &attr)); /* no padding */
    assert_true(decode(FATTR4_OWNER,
        "\0\0\0\7"
        "root@x.\0",
        12, &attr));
    assert_int_equal(attr.uid, 65534);
    assert_true(decode(FATTR4_OWNER, "\0\0\0\0", 4, &attr));
    assert_int_equal(attr.uid, 65534);
}

static void attributes_that_were_not_asked_for_are_refused(void **state)
{
    (void)state;
    struct nfs_attr attr;
    assert_false(decode(FATTR4_ACL, "\0\0\0\0", 4, &attr));
    assert_false(decode(FATTR4_SIZE, "\0\0\0\0", 4, &attr)); /* cut short */
    assert_false(
        decode(FATTR4_FILEHANDLE, "\0\0\0\x81", 4, &attr)); /* longer than a handle can be */
    assert_true(decode(FATTR4_RDATTR_ERROR, "\0\0\0\x46", 4, &attr));
    assert_int_equal(attr.error, -ESTALE);
}

static void errors_have_one_meaning_each(void **state)
{
    (void)state;
    assert_int_equal(nfs_error_of(NFS4_OK), 0);
    assert_int_equal(
        nfs_error_of(NFS4ERR_PERM), -EPERM); /* the first row, the last, some between */
    assert_int_equal(nfs_error_of(NFS4ERR_XATTR2BIG), -E2BIG);
    assert_int_equal(nfs_error_of(NFS4ERR_NOSPC), -ENOSPC);
    assert_int_equal(nfs_error_of(NFS4ERR_BADSESSION), -ECONNRESET);
    assert_int_equal(nfs_error_of((enum nfsstat4)9999), -EIO);
    assert_string_equal(nfs_error_name(NFS4ERR_GRACE), "NFS4ERR_GRACE");
    assert_string_equal(nfs_error_name((enum nfsstat4)9999), "NFS4ERR_unknown");
    for (uint32_t status = 1; status < 10100; status++) {
        int err = nfs_error_of((enum nfsstat4)status);
        assert_true(err < 0);
    }
}

static int count_entry(void *context, struct slice name, const struct nfs_attr *attr)
{
    unsigned *count = context;
    (void)attr;
    assert_true(name.size > 0);
    return ++*count == 3 ? -ECANCELED : 0;
}

static int list_names(struct fixture *f, const char *const *names, bool at_end, unsigned *out_count)
{
    struct entry4 entries[4] = { 0 };
    struct nfs_fh dir = { .size = 1 };
    union nfs_resop4 res = { 0 };
    unsigned count = 0;
    while (names[count] != NULL) {
        entries[count].cookie = 3 + count;
        entries[count].name = slice_str(names[count]);
        if (count > 0)
            entries[count - 1].nextentry = &entries[count];
        count++;
    }
    res.opreaddir.resok4.reply = (struct dirlist4){ count > 0 ? entries : NULL, at_end };
    f->listing = &res;
    *out_count = 0;
    int err = nfs_dir_list(f->client, &dir, count_entry, out_count);
    f->listing = NULL;
    return err;
}

static void a_listing_gives_every_name(void **state)
{
    struct fixture *f = *state;
    unsigned count;
    assert_int_equal(list_names(f, (const char *[]){ "a", "b", NULL }, true, &count), 0);
    assert_int_equal(count, 2);
    assert_int_equal(list_names(f, (const char *[]){ NULL }, true, &count), 0);
    assert_int_equal(count, 0);
}

static void a_listing_ends_when_its_taker_says_so(void **state)
{
    struct fixture *f = *state;
    unsigned count;
    assert_int_equal(
        list_names(f, (const char *[]){ "a", "b", "c", "d", NULL }, true, &count), -ECANCELED);
    assert_int_equal(count, 3);
}

static void names_that_lead_elsewhere_are_refused(void **state)
{
    struct fixture *f = *state;
    unsigned count;
    static const char *const bad[] = { "..", ".", "a/b", "/etc", "" };
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        assert_int_equal(
            list_names(f, (const char *[]){ "ok", bad[i], NULL }, true, &count), -EBADMSG);
        assert_int_equal(count, 1);
    }
}

static void a_listing_without_end_is_refused(void **state)
{
    struct fixture *f = *state;
    unsigned count;
    assert_int_equal(list_names(f, (const char *[]){ NULL }, false, &count), -EBADMSG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(set_attributes_are_encoded_in_ascending_order),
        cmocka_unit_test(owners_are_numbers_or_nobody),
        cmocka_unit_test(attributes_that_were_not_asked_for_are_refused),
        cmocka_unit_test(errors_have_one_meaning_each),
        cmocka_unit_test(a_listing_gives_every_name),
        cmocka_unit_test(a_listing_ends_when_its_taker_says_so),
        cmocka_unit_test(names_that_lead_elsewhere_are_refused),
        cmocka_unit_test(a_listing_without_end_is_refused),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
