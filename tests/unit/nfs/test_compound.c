/* tests/unit/nfs/test_compound.c - COMPOUND as a whole: versions, tags, order, limits, unsupported operations. */
#include "harness.h"

static void an_empty_compound_succeeds(void **state)
{
    struct harness *h = *state;
    h->no_sequence = true;
    compound_begin(h);
    assert_int_equal(compound_run(h), NFS4_OK);
    assert_int_equal(h->result_count, 0);
}

static void the_tag_is_echoed(void **state)
{
    struct harness *h = *state;
    h->tag = "gr\xc3\xbc\xc3\x9f";
    compound_begin(h);
    assert_int_equal(compound_run(h), NFS4_OK);
    assert_true(slice_equal(h->reply_tag, slice_str(h->tag)));
}

static void a_tag_that_is_no_utf8_is_invalid(void **state)
{
    static const char *const tags[] = { "\xff", "\xc3", "\xc0\x80", "\xed\xa0\x80", "a\x80" };
    struct harness *h = *state;
    for (size_t i = 0; i < ARRAY_SIZE(tags); i++) {
        h->tag = tags[i];
        compound_begin(h);
        assert_int_equal(compound_run(h), NFS4ERR_INVAL);
        assert_int_equal(h->result_count, 0);
        h->client->seqid--;
    }
}

static void an_unknown_minor_version_is_a_mismatch(void **state)
{
    struct harness *h = *state;
    h->client->minor = 3;
    compound_begin(h);
    assert_int_equal(compound_run(h), NFS4ERR_MINOR_VERS_MISMATCH);
    assert_int_equal(h->result_count, 0);
}

static void an_unknown_operation_is_illegal_and_ends_the_compound(void **state)
{
    struct harness *h = *state;
    compound_begin(h);
    add_putrootfh(h);
    add_op(h, 99, NULL);
    add_getfh(h);
    assert_int_equal(compound_run(h), NFS4ERR_OP_ILLEGAL);
    assert_int_equal(h->result_count, 2);
    assert_int_equal(result(h, 1, OP_ILLEGAL)->opillegal.status, NFS4ERR_OP_ILLEGAL);
}

static void an_operation_of_a_later_version_is_illegal(void **state)
{
    struct harness *h = *state;
    compound_begin(h);
    add_op(h, OP_SEEK, NULL);
    assert_int_equal(compound_run(h), NFS4ERR_OP_ILLEGAL);
    h->client->minor = 0;
    h->no_sequence = true;
    compound_begin(h);
    add_op(h, OP_SEQUENCE, NULL);
    assert_int_equal(compound_run(h), NFS4ERR_OP_ILLEGAL);
}

static void operations_of_an_earlier_version_are_not_supported(void **state)
{
    static const uint32_t opcodes[] = { OP_OPEN_CONFIRM, OP_RENEW, OP_SETCLIENTID,
        OP_SETCLIENTID_CONFIRM, OP_RELEASE_LOCKOWNER };
    struct harness *h = *state;
    for (size_t i = 0; i < ARRAY_SIZE(opcodes); i++) {
        compound_begin(h);
        add_op(h, opcodes[i], NULL);
        assert_int_equal(compound_run(h), NFS4ERR_NOTSUPP);
        (void)result(h, 0, opcodes[i]);
    }
}

static void what_ops_def_does_not_support_is_answered_so(void **state)
{
    struct harness *h = *state;
    h->client->minor = 2;
    for (uint32_t opcode = 0; opcode <= OP_REMOVEXATTR; opcode++) {
        const struct nfs_op *op = nfs_op_find(opcode);
        if (op == NULL || op->handler != op_notsupp)
            continue;
        compound_begin(h);
        add_op(h, opcode, NULL);
        assert_int_equal(compound_run(h), NFS4ERR_NOTSUPP);
        (void)result(h, 0, opcode);
    }
}

static void operations_before_a_malformed_one_still_run(void **state)
{
    struct harness *h = *state;
    compound_begin(h);
    add_putrootfh(h);
    add_create_dir(h, "made");
    xdr_put_u32(&h->request, OP_LOOKUP);
    xdr_put_u32(&h->request, 1000); /* a name of more bytes than there are */
    h->op_count++;
    assert_int_equal(compound_run(h), NFS4ERR_BADXDR);
    assert_int_equal(h->result_count, 3);
    assert_int_equal(result(h, 2, OP_LOOKUP)->oplookup.status, NFS4ERR_BADXDR);
    (void)look_up(h, "made");
}

static void a_count_beyond_the_operations_is_bad_xdr(void **state)
{
    struct harness *h = *state;
    compound_begin(h);
    add_putrootfh(h);
    h->op_count++;
    assert_int_equal(compound_run(h), NFS4ERR_BADXDR);
    assert_int_equal(h->result_count, 2);
}

static void a_header_that_cannot_be_read_is_garbage(void **state)
{
    struct harness *h = *state;
    enum nfsstat4 status;
    compound_begin(h);
    store_be32(h->request.data, 1u << 30); /* the length of the tag */
    assert_int_equal(compound_run_rpc(h, &status), RPC_GARBAGE_ARGS);
}

static void operations_need_a_current_filehandle(void **state)
{
    static const uint32_t opcodes[] = { OP_ACCESS, OP_CLOSE, OP_COMMIT, OP_GETATTR, OP_GETFH,
        OP_LOOKUPP, OP_READLINK, OP_SAVEFH, OP_SECINFO_NO_NAME, OP_READ, OP_REMOVE, OP_LOOKUP };
    static const union nfs_argop4 zeros;
    struct harness *h = *state;
    for (size_t i = 0; i < ARRAY_SIZE(opcodes); i++) {
        compound_begin(h);
        add_op(h, opcodes[i], &zeros);
        assert_int_equal(compound_run(h), NFS4ERR_NOFILEHANDLE);
    }
}

static void a_file_is_no_directory(void **state)
{
    struct harness *h = *state;
    struct slice fh = make_file(h, "file");
    compound_begin(h);
    add_putfh(h, fh);
    add_lookup(h, "name");
    assert_int_equal(compound_run(h), NFS4ERR_NOTDIR);
}

static void procedures_and_programs_other_than_ours_are_refused(void **state)
{
    static const struct {
        uint32_t program, version, procedure;
        int answer;
    } calls[] = { { NFS4_PROGRAM, 4, 0, RPC_SUCCESS }, { NFS4_PROGRAM, 4, 2, RPC_PROC_UNAVAIL },
        { NFS4_PROGRAM, 3, 0, RPC_PROG_MISMATCH }, { 400124, 1, 2, RPC_PROG_UNAVAIL },
        { 100000, 2, 0, RPC_PROG_UNAVAIL } };
    struct harness *h = *state;
    for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
        struct rpc_request request = { .conn = &h->first.conn,
            .arena = &h->arena,
            .call = { .program = calls[i].program,
                .version = calls[i].version,
                .procedure = calls[i].procedure } };
        xdr_encoder_init(&request.reply, &h->arena, 1024);
        assert_int_equal(h->program.serve(h->program.context, &request), calls[i].answer);
        assert_int_equal(request.reply.size, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, harness_setup, harness_teardown)
        TEST(an_empty_compound_succeeds),
        TEST(the_tag_is_echoed),
        TEST(a_tag_that_is_no_utf8_is_invalid),
        TEST(an_unknown_minor_version_is_a_mismatch),
        TEST(an_unknown_operation_is_illegal_and_ends_the_compound),
        TEST(an_operation_of_a_later_version_is_illegal),
        TEST(operations_of_an_earlier_version_are_not_supported),
        TEST(what_ops_def_does_not_support_is_answered_so),
        TEST(operations_before_a_malformed_one_still_run),
        TEST(a_count_beyond_the_operations_is_bad_xdr),
        TEST(a_header_that_cannot_be_read_is_garbage),
        TEST(operations_need_a_current_filehandle),
        TEST(a_file_is_no_directory),
        TEST(procedures_and_programs_other_than_ours_are_refused),
    };
    return cmocka_run_group_tests_name("nfs: compound", tests, NULL, NULL);
}
