/* tests/unit/nfs/test_session.c - EXCHANGE_ID to DESTROY_CLIENTID: clients, sessions, exactly-once replies. */
#include "harness.h"

static union nfs_argop4 exchange_args(const char *owner, uint32_t flags)
{
    return (union nfs_argop4){ .opexchange_id = { .eia_clientowner = { .co_verifier = "verify",
                                                      .co_ownerid = slice_str(owner) },
                                   .eia_flags = flags } };
}

static enum nfsstat4 exchange_id(struct harness *h, const char *owner, uint32_t flags)
{
    union nfs_argop4 arg = exchange_args(owner, flags);
    compound_begin(h);
    add_op(h, OP_EXCHANGE_ID, &arg);
    return compound_run(h);
}

static void exchange_id_tells_who_the_server_is(void **state)
{
    struct harness *h = *state;
    assert_int_equal(exchange_id(h, "owner", EXCHGID4_FLAG_USE_NON_PNFS), NFS4_OK);
    const struct EXCHANGE_ID4resok *a = &result(h, 0, OP_EXCHANGE_ID)->opexchange_id.eir_resok4;
    assert_int_equal(a->eir_flags, EXCHGID4_FLAG_USE_NON_PNFS);
    assert_int_equal(a->eir_state_protect.spr_how, SP4_NONE);
    assert_true(a->eir_server_owner.so_major_id.size > 0);
    struct slice major_a = a->eir_server_owner.so_major_id;
    uint64_t clientid_a = a->eir_clientid;

    client_disconnect(h, &h->first);
    client_connect(h, &h->first, "127.0.0.2");
    assert_int_equal(exchange_id(h, "owner", 0), NFS4_OK);
    const struct EXCHANGE_ID4resok *b = &result(h, 0, OP_EXCHANGE_ID)->opexchange_id.eir_resok4;
    assert_false(slice_equal(b->eir_server_owner.so_major_id, major_a));
    assert_false(slice_equal(b->eir_server_scope, major_a));
    assert_true(b->eir_clientid != clientid_a);
}

static void exchange_id_refuses_what_is_not_offered(void **state)
{
    struct harness *h = *state;
    assert_int_equal(exchange_id(h, "owner", EXCHGID4_FLAG_CONFIRMED_R), NFS4ERR_INVAL);
    assert_int_equal(exchange_id(h, "owner", 0x08000000), NFS4ERR_INVAL);
    assert_int_equal(exchange_id(h, "owner", EXCHGID4_FLAG_SUPP_FENCE_OPS), NFS4ERR_INVAL);
    h->first.minor = 2;
    assert_int_equal(exchange_id(h, "owner", EXCHGID4_FLAG_SUPP_FENCE_OPS), NFS4_OK);
    h->first.minor = 1;
    assert_int_equal(exchange_id(h, "owner", EXCHGID4_FLAG_UPD_CONFIRMED_REC_A), NFS4ERR_NOENT);
    union nfs_argop4 arg = exchange_args("owner", 0);
    arg.opexchange_id.eia_state_protect.spa_how = SP4_SSV;
    compound_begin(h);
    add_op(h, OP_EXCHANGE_ID, &arg);
    assert_int_equal(compound_run(h), NFS4ERR_ENCR_ALG_UNSUPP);
}

static void only_the_owner_of_a_client_may_confirm_it(void **state)
{
    struct harness *h = *state;
    assert_int_equal(exchange_id(h, "owner", 0), NFS4_OK);
    union nfs_argop4 arg = {
        .opcreate_session = { .csa_clientid = result(h, 0, OP_EXCHANGE_ID)
                                                  ->opexchange_id.eir_resok4.eir_clientid,
            .csa_sequence = result(h, 0, OP_EXCHANGE_ID)->opexchange_id.eir_resok4.eir_sequenceid,
            .csa_fore_chan_attrs = { 0, 4096, 4096, 1024, 8, 4, { 0 } },
            .csa_back_chan_attrs = { 0, 4096, 4096, 1024, 8, 4, { 0 } } }
    };
    h->first.cred.uid = 77;
    compound_begin(h);
    add_op(h, OP_CREATE_SESSION, &arg);
    assert_int_equal(compound_run(h), NFS4ERR_CLID_INUSE);
    h->first.cred.uid = 0;
    arg.opcreate_session.csa_flags = 0x80;
    compound_begin(h);
    add_op(h, OP_CREATE_SESSION, &arg);
    assert_int_equal(compound_run(h), NFS4ERR_INVAL);
    arg.opcreate_session.csa_flags = CREATE_SESSION4_FLAG_PERSIST;
    compound_begin(h);
    add_op(h, OP_CREATE_SESSION, &arg);
    assert_int_equal(compound_run(h), NFS4_OK);
    const struct CREATE_SESSION4resok *made =
        &result(h, 0, OP_CREATE_SESSION)->opcreate_session.csr_resok4;
    assert_int_equal(made->csr_flags, 0); /* not persistent */
    assert_int_equal(made->csr_fore_chan_attrs.ca_maxrequestsize, 4096);
    assert_int_equal(made->csr_fore_chan_attrs.ca_headerpadsize, 0);
}

static void sequence_must_be_first_and_only_first(void **state)
{
    struct harness *h = *state;
    h->no_sequence = true;
    compound_begin(h);
    add_putrootfh(h);
    assert_int_equal(compound_run(h), NFS4ERR_OP_NOT_IN_SESSION);
    h->no_sequence = false;
    compound_begin(h);
    add_op(h, OP_SEQUENCE, &(union nfs_argop4){ .opsequence = { .sa_sequenceid = 1 } });
    assert_int_equal(compound_run(h), NFS4ERR_SEQUENCE_POS);
}

static void operations_outside_a_session_come_alone(void **state)
{
    struct harness *h = *state;
    union nfs_argop4 arg = exchange_args("other", 0);
    h->no_sequence = true;
    compound_begin(h);
    add_op(h, OP_EXCHANGE_ID, &arg);
    add_putrootfh(h);
    assert_int_equal(compound_run(h), NFS4ERR_NOT_ONLY_OP);
    h->no_sequence = false;
    union nfs_argop4 bind = { .opbind_conn_to_session = { .bctsa_dir = CDFC4_FORE } };
    compound_begin(h);
    add_op(h, OP_BIND_CONN_TO_SESSION, &bind);
    assert_int_equal(compound_run(h), NFS4ERR_NOT_ONLY_OP);
}

static void a_retry_gets_the_first_answer_and_runs_nothing(void **state)
{
    struct harness *h = *state;
    h->cachethis = true;
    h->tag = "tag";
    compound_begin(h);
    add_putrootfh(h);
    add_create_dir(h, "dir");
    assert_int_equal(compound_run(h), NFS4_OK);
    struct slice first = h->raw;
    unsigned creates = fake_fs_call_count(h->fs_a, "create");
    h->first.seqid--;
    compound_begin(h);
    add_putrootfh(h);
    add_create_dir(h, "dir");
    assert_int_equal(compound_run(h), NFS4_OK);
    assert_true(slice_equal(h->raw, first));
    assert_int_equal(fake_fs_call_count(h->fs_a, "create"), creates);
}

static void a_retry_of_what_was_not_kept_fails(void **state)
{
    struct harness *h = *state;
    compound_begin(h);
    add_putrootfh(h);
    add_create_dir(h, "dir");
    assert_int_equal(compound_run(h), NFS4_OK);
    h->first.seqid--;
    compound_begin(h);
    add_putrootfh(h);
    add_create_dir(h, "dir");
    assert_int_equal(compound_run(h), NFS4ERR_RETRY_UNCACHED_REP);
    assert_int_equal(h->sequence_status, NFS4ERR_RETRY_UNCACHED_REP);
}

static void read_data_by_reference_is_kept_for_a_retry(void **state)
{
    struct harness *h = *state;
    char text[600];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    write_file(h, "file", text);
    union nfs_argop4 read = { .opread = { .count = 4096 } };
    h->cachethis = true;
    for (int attempt = 0; attempt < 2; attempt++) {
        compound_begin(h);
        add_putrootfh(h);
        add_lookup(h, "file");
        add_op(h, OP_READ, &read);
        assert_int_equal(compound_run(h), NFS4_OK);
        assert_true(slice_equal(result(h, 2, OP_READ)->opread.resok4.data, slice_str(text)));
        h->first.seqid--;
    }
    assert_int_equal(fake_fs_call_count(h->fs_a, "read"), 1);
}

static void another_request_in_a_used_slot_is_a_false_retry(void **state)
{
    struct harness *h = *state;
    h->cachethis = true;
    compound_begin(h);
    add_putrootfh(h);
    assert_int_equal(compound_run(h), NFS4_OK);
    h->first.seqid--;
    compound_begin(h);
    add_putrootfh(h);
    add_getfh(h);
    assert_int_equal(compound_run(h), NFS4ERR_SEQ_FALSE_RETRY);
}

static void a_slot_used_out_of_order_is_misordered(void **state)
{
    struct harness *h = *state;
    h->first.seqid += 5;
    compound_begin(h);
    assert_int_equal(compound_run(h), NFS4ERR_SEQ_MISORDERED);
    h->first.seqid -= 6;
    compound_begin(h); /* the error changed nothing */
    assert_int_equal(compound_run(h), NFS4_OK);
}

static void a_reply_that_cannot_be_kept_is_refused_before_it_has_effects(void **state)
{
    struct harness *h = *state;
    h->cachethis = true;
    compound_begin(h);
    add_putrootfh(h);
    for (int i = 0; i < 25; i++)
        add_getattr(h, UINT32_MAX & ~(1u << FATTR4_RDATTR_ERROR), 0, 0);
    add_create_dir(h, "never");
    enum nfsstat4 status = compound_run(h);
    assert_int_equal(status, NFS4ERR_REP_TOO_BIG_TO_CACHE);
    assert_true(h->raw.size <= 2048);
    h->cachethis = false;
    compound_begin(h);
    add_putrootfh(h);
    add_lookup(h, "never");
    assert_int_equal(compound_run(h), NFS4ERR_NOENT);
}

/* SETATTR tells what it set even when it fails: there has to be room for that too. The tag moves the end of the
 * kept reply through the results, four bytes at a time. */
static void a_refused_result_of_any_operation_can_be_decoded(void **state)
{
    struct harness *h = *state;
    char tag[NFS4_TAG_MAX + 1];
    uint32_t refused_count = 0;
    for (uint32_t size = 512; size <= NFS4_TAG_MAX; size += 4) {
        memset(tag, 'x', size);
        tag[size] = 0;
        h->tag = tag;
        h->cachethis = true;
        compound_begin(h);
        add_putrootfh(h);
        for (int i = 0; i < 4; i++)
            add_getattr(h, UINT32_MAX & ~(1u << FATTR4_RDATTR_ERROR), 0, 0);
        for (int i = 0; i < 12; i++) {
            struct fattr4 mode = fattr_mode(h, 0755);
            add_op(h, OP_SETATTR, &(union nfs_argop4){ .opsetattr = { .obj_attributes = mode } });
        }
        enum nfsstat4 status = compound_run(h); /* fails the test when it cannot be decoded */
        uint32_t last = h->opcodes[h->result_count - 1];
        refused_count += status == NFS4ERR_REP_TOO_BIG_TO_CACHE && last == OP_SETATTR;
    }
    h->tag = NULL;
    assert_true(refused_count >= 4);
}

static void too_many_operations_are_refused(void **state)
{
    struct harness *h = *state;
    compound_begin(h);
    for (int i = 0; i < 40; i++)
        add_putrootfh(h);
    assert_int_equal(compound_run(h), NFS4ERR_TOO_MANY_OPS);
    assert_int_equal(h->result_count, 0);
}

static void a_connection_is_bound_by_request(void **state)
{
    struct harness *h = *state;
    union nfs_argop4 arg = { .opbind_conn_to_session = { .bctsa_dir = CDFC4_FORE_OR_BOTH } };
    memcpy(arg.opbind_conn_to_session.bctsa_sessid, h->first.sessionid, NFS4_SESSIONID_SIZE);
    h->no_sequence = true;
    compound_begin(h);
    add_op(h, OP_BIND_CONN_TO_SESSION, &arg);
    assert_int_equal(compound_run(h), NFS4_OK);
    const struct BIND_CONN_TO_SESSION4resok *bound =
        &result(h, 0, OP_BIND_CONN_TO_SESSION)->opbind_conn_to_session.bctsr_resok4;
    assert_int_equal(
        bound->bctsr_dir, CDFS4_FORE); /* the session was made without a back channel */
    assert_memory_equal(bound->bctsr_sessid, h->first.sessionid, NFS4_SESSIONID_SIZE);
    arg.opbind_conn_to_session.bctsa_dir = 9;
    compound_begin(h);
    add_op(h, OP_BIND_CONN_TO_SESSION, &arg);
    assert_int_equal(compound_run(h), NFS4ERR_INVAL);
    arg.opbind_conn_to_session.bctsa_dir = CDFC4_FORE;
    arg.opbind_conn_to_session.bctsa_sessid[0] ^= 1;
    compound_begin(h);
    add_op(h, OP_BIND_CONN_TO_SESSION, &arg);
    assert_int_equal(compound_run(h), NFS4ERR_BADSESSION);
}

static void a_back_channel_that_is_not_there_cannot_be_changed(void **state)
{
    struct harness *h = *state;
    struct callback_sec_parms4 none = { .cb_secflavor = AUTH_NONE };
    union nfs_argop4 arg = { .opbackchannel_ctl = {
                                 .bca_cb_program = 1, .bca_sec_parms = { 1, &none } } };
    compound_begin(h);
    add_op(h, OP_BACKCHANNEL_CTL, &arg);
    assert_int_equal(compound_run(h), NFS4ERR_NOENT);
}

static void a_session_is_destroyed_last_in_its_compound(void **state)
{
    struct harness *h = *state;
    union nfs_argop4 arg = { 0 };
    memcpy(arg.opdestroy_session.dsa_sessionid, h->first.sessionid, NFS4_SESSIONID_SIZE);
    compound_begin(h);
    add_op(h, OP_DESTROY_SESSION, &arg);
    add_putrootfh(h);
    assert_int_equal(compound_run(h), NFS4ERR_NOT_ONLY_OP);
    compound_begin(h);
    add_op(h, OP_DESTROY_SESSION, &arg);
    assert_int_equal(compound_run(h), NFS4_OK);
    compound_begin(h);
    assert_int_equal(compound_run(h), NFS4ERR_BADSESSION);
}

static void a_client_is_destroyed_after_its_sessions(void **state)
{
    struct harness *h = *state;
    union nfs_argop4 client = { .opdestroy_clientid = { .dca_clientid = h->first.clientid } };
    union nfs_argop4 session = { 0 };
    memcpy(session.opdestroy_session.dsa_sessionid, h->first.sessionid, NFS4_SESSIONID_SIZE);
    h->no_sequence = true;
    compound_begin(h);
    add_op(h, OP_DESTROY_CLIENTID, &client);
    assert_int_equal(compound_run(h), NFS4ERR_CLIENTID_BUSY);
    compound_begin(h);
    add_op(h, OP_DESTROY_SESSION, &session);
    assert_int_equal(compound_run(h), NFS4_OK);
    compound_begin(h);
    add_op(h, OP_DESTROY_CLIENTID, &client);
    assert_int_equal(compound_run(h), NFS4_OK);
    compound_begin(h);
    add_op(h, OP_DESTROY_CLIENTID, &client);
    assert_int_equal(compound_run(h), NFS4ERR_STALE_CLIENTID);
}

static void reclaim_complete_counts_once(void **state)
{
    struct harness *h = *state;
    union nfs_argop4 one_fs = { .opreclaim_complete = { .rca_one_fs = true } };
    union nfs_argop4 global = { .opreclaim_complete = { .rca_one_fs = false } };
    compound_begin(h);
    add_op(h, OP_RECLAIM_COMPLETE, &one_fs);
    assert_int_equal(compound_run(h), NFS4ERR_NOFILEHANDLE);
    compound_begin(h);
    add_putrootfh(h);
    add_op(h, OP_RECLAIM_COMPLETE, &one_fs);
    assert_int_equal(compound_run(h), NFS4_OK);
    compound_begin(h);
    add_op(h, OP_RECLAIM_COMPLETE, &global);
    assert_int_equal(compound_run(h), NFS4ERR_COMPLETE_ALREADY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define BARE(name) cmocka_unit_test_setup_teardown(name, harness_setup_bare, harness_teardown)
#define TEST(name) cmocka_unit_test_setup_teardown(name, harness_setup, harness_teardown)
        BARE(exchange_id_tells_who_the_server_is),
        BARE(exchange_id_refuses_what_is_not_offered),
        BARE(only_the_owner_of_a_client_may_confirm_it),
        TEST(sequence_must_be_first_and_only_first),
        TEST(operations_outside_a_session_come_alone),
        TEST(a_retry_gets_the_first_answer_and_runs_nothing),
        TEST(a_retry_of_what_was_not_kept_fails),
        TEST(read_data_by_reference_is_kept_for_a_retry),
        TEST(another_request_in_a_used_slot_is_a_false_retry),
        TEST(a_slot_used_out_of_order_is_misordered),
        TEST(a_reply_that_cannot_be_kept_is_refused_before_it_has_effects),
        TEST(a_refused_result_of_any_operation_can_be_decoded),
        TEST(too_many_operations_are_refused),
        TEST(a_connection_is_bound_by_request),
        TEST(a_back_channel_that_is_not_there_cannot_be_changed),
        TEST(a_session_is_destroyed_last_in_its_compound),
        TEST(a_client_is_destroyed_after_its_sessions),
        TEST(reclaim_complete_counts_once),
    };
    return cmocka_run_group_tests_name("nfs: sessions", tests, NULL, NULL);
}
