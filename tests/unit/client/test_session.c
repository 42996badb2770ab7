/*
 * tests/unit/client/test_session.c - requests run once and come back, whatever happens to connections and sessions.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "client/file.h"
#include "client/node.h"
#include "fake_server.h"

static const struct nfs_fh some_dir = { .size = 3, .data = "dir" };

/* A hook that does `verdict` to the first `times` requests that hold `op`. */
struct script {
    uint32_t op;
    unsigned times;
    struct fake_verdict verdict;
    bool restart; /* the server forgets its clients at that moment */
    struct fake_server *server;
    unsigned seen;
    uint32_t slots[64];
    uint32_t seqids[64];
    enum open_claim_type4 claims[64];
    unsigned claim_count;
};

static struct fake_verdict follow_script(void *context, const struct fake_request *request)
{
    struct script *script = context;
    struct fake_verdict go_on = { 0 };
    bool holds = false;
    for (uint32_t i = 0; i < request->op_count; i++) {
        holds |= request->ops[i] == script->op;
        if (request->ops[i] == OP_OPEN && script->claim_count < 64)
            script->claims[script->claim_count++] = request->args[i].opopen.claim.claim;
    }
    if (!holds || script->seen >= 64)
        return go_on;
    script->slots[script->seen] = request->slot;
    script->seqids[script->seen] = request->seqid;
    if (script->seen++ >= script->times)
        return go_on;
    if (script->restart)
        fake_server_restart(script->server);
    return script->verdict;
}

struct fixture {
    struct fake_server server;
    struct script script;
    struct nfs_client *client;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    *state = f;
    f->script.server = &f->server;
    f->script.op = OP_ILLEGAL;
    fake_server_start(&f->server, follow_script, &f->script);
    f->client = fake_server_client(&f->server, 2, 8);
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    nfs_client_close(f->client);
    assert_int_equal(f->server.misordered, 0);
    fake_server_stop(&f->server);
    free(f);
    return 0;
}

static int remove_something(struct fixture *f)
{
    return nfs_node_remove(f->client, &some_dir, slice_str("name"));
}

static void a_reply_lost_with_its_connection_is_asked_for_again(void **state)
{
    struct fixture *f = *state;
    f->script.op = OP_REMOVE;
    f->script.times = 1;
    f->script.verdict.cut_after = true;
    unsigned executed = f->server.executed;
    assert_int_equal(remove_something(f), 0);
    assert_int_equal(f->server.executed, executed + 1);
    assert_int_equal(f->server.replays, 1);
    assert_int_equal(f->script.slots[1], f->script.slots[0]);
    assert_int_equal(f->script.seqids[1], f->script.seqids[0]);
    assert_int_equal(nfs_client_stats(f->client).sessions, 1);
    assert_true(nfs_client_stats(f->client).retransmitted >= 1);
}

static void a_request_lost_with_its_connection_is_sent_again(void **state)
{
    struct fixture *f = *state;
    f->script.op = OP_REMOVE;
    f->script.times = 3;
    f->script.verdict.cut_before = true;
    unsigned executed = f->server.executed;
    assert_int_equal(remove_something(f), 0);
    assert_int_equal(f->server.executed, executed + 1);
    assert_int_equal(f->server.replays, 0);
    assert_int_equal(f->script.seen, 4);
}

static void a_delayed_sequence_is_repeated_in_its_slot(void **state)
{
    struct fixture *f = *state;
    f->script.op = OP_REMOVE;
    f->script.times = 2;
    f->script.verdict.sequence = NFS4ERR_DELAY;
    assert_int_equal(remove_something(f), 0);
    assert_int_equal(f->script.seen, 3);
    assert_int_equal(f->script.seqids[2], f->script.seqids[0]);
    assert_int_equal(f->script.slots[2], f->script.slots[0]);
}

static void a_delayed_operation_is_a_new_request(void **state)
{
    struct fixture *f = *state;
    f->script.op = OP_REMOVE;
    f->script.times = 2;
    f->script.verdict.failed_op = OP_REMOVE;
    f->script.verdict.status = NFS4ERR_DELAY;
    assert_int_equal(remove_something(f), 0);
    assert_int_equal(f->script.seqids[1], f->script.seqids[0] + 1);
    assert_int_equal(f->script.seqids[2], f->script.seqids[0] + 2);
}

static void a_reply_that_was_not_kept_is_asked_for_as_a_new_request(void **state)
{
    struct fixture *f = *state;
    struct nfs_attr attr;
    struct nfs_fh fh = { .size = 1 };
    f->script.op = OP_GETATTR;
    f->script.times = 1;
    f->script.verdict.failed_op = OP_PUTFH;
    f->script.verdict.status = NFS4ERR_RETRY_UNCACHED_REP;
    assert_int_equal(nfs_node_getattr(f->client, &fh, &attr), 0);
    assert_int_equal(f->script.seqids[1], f->script.seqids[0] + 1);
}

static void a_connection_that_is_not_taken_gets_a_new_session(void **state)
{
    struct fixture *f = *state;
    f->script.op = OP_REMOVE;
    f->script.times = 2;
    f->script.verdict.sequence = NFS4ERR_CONN_NOT_BOUND_TO_SESSION;
    assert_int_equal(remove_something(f), 0);
    assert_int_equal(f->server.create_sessions, 3);
    f->script.seen = 0;
    f->script.times = 64;
    assert_int_equal(remove_something(f), -ECONNRESET); /* new sessions do not help */
}

static void grace_is_waited_for(void **state)
{
    struct fixture *f = *state;
    f->script.op = OP_OPEN;
    f->script.times = 3;
    f->script.verdict.failed_op = OP_OPEN;
    f->script.verdict.status = NFS4ERR_GRACE;
    struct nfs_file *file;
    assert_int_equal(nfs_file_open(f->client, &some_dir, NFS_READ, &file), 0);
    assert_int_equal(nfs_file_close(file), 0);
}

static void a_lost_session_is_made_again(void **state)
{
    struct fixture *f = *state;
    f->server.session_known = false;
    assert_int_equal(remove_something(f), 0);
    assert_int_equal(f->server.create_sessions, 2);
    assert_int_equal(f->server.exchange_ids, 1);
}

static void a_restarted_server_gets_a_new_client(void **state)
{
    struct fixture *f = *state;
    fake_server_restart(&f->server);
    fake_server_cut(&f->server);
    assert_int_equal(remove_something(f), 0);
    assert_int_equal(f->server.exchange_ids, 2);
    assert_int_equal(nfs_client_stats(f->client).sessions, 2);
}

static void a_name_that_was_never_there_stays_an_error(void **state)
{
    struct fixture *f = *state;
    f->script.op = OP_REMOVE;
    f->script.times = 1;
    f->script.verdict = (struct fake_verdict){ .failed_op = OP_REMOVE, .status = NFS4ERR_NOENT };
    f->server.session_known =
        false; /* the request meets no session at first, and was so never executed */
    assert_int_equal(remove_something(f), -ENOENT);
}

/* First loses the session with the reply, then says that the name is not there. */
static struct fake_verdict lose_then_deny(void *context, const struct fake_request *request)
{
    struct script *script = context;
    struct fake_verdict verdict = { 0 };
    if (request->ops[request->op_count - 1] != OP_REMOVE)
        return verdict;
    if (script->seen++ == 0) {
        fake_server_restart(script->server);
        verdict.cut_after = true;
    } else {
        verdict.failed_op = OP_REMOVE;
        verdict.status = NFS4ERR_NOENT;
    }
    return verdict;
}

static void a_name_that_a_lost_request_removed_is_removed(void **state)
{
    struct fixture *f = *state;
    f->server.hook = lose_then_deny;
    assert_int_equal(remove_something(f), 0);
    assert_int_equal(f->script.seen, 2);
}

static void more_calls_than_slots_can_be_started_by_one_thread(void **state)
{
    struct fixture *f = *state;
    enum { COUNT = 100 };
    struct nfs_call *calls = calloc(COUNT, sizeof *calls);
    for (unsigned i = 0; i < COUNT; i++) {
        nfs_call_init(&calls[i], f->client, NFS_CALL_PLAIN);
        nfs_call_put_fh(&calls[i], &some_dir);
        nfs_call_start(&calls[i]);
        if (i == 50)
            fake_server_cut(&f->server);
    }
    for (unsigned i = 0; i < COUNT; i++) {
        assert_int_equal(nfs_call_finish(&calls[i]), 0);
        assert_int_equal(nfs_call_skip(&calls[i], OP_PUTFH), 0);
        assert_int_equal(nfs_call_skip(&calls[i], OP_PUTFH), -EBADMSG);
        nfs_call_fini(&calls[i]);
    }
    free(calls);
}

static void an_open_file_is_reclaimed_after_a_restart(void **state)
{
    struct fixture *f = *state;
    struct nfs_file *file;
    assert_int_equal(nfs_file_open(f->client, &some_dir, NFS_WRITE, &file), 0);
    fake_server_restart(&f->server);
    fake_server_cut(&f->server);
    assert_int_equal(remove_something(f), 0);
    assert_int_equal(f->script.claim_count, 2);
    assert_int_equal(f->script.claims[0], CLAIM_FH);
    assert_int_equal(f->script.claims[1], CLAIM_PREVIOUS);
    assert_int_equal(nfs_client_stats(f->client).reclaimed, 1);
    assert_int_equal(nfs_file_close(file), 0);
}

static void a_file_whose_stateid_is_unknown_is_opened_anew(void **state)
{
    struct fixture *f = *state;
    struct nfs_file *file;
    assert_int_equal(nfs_file_open(f->client, &some_dir, NFS_READ, &file), 0);
    f->script.op = OP_READ;
    f->script.times = 1;
    f->script.verdict.failed_op = OP_READ;
    f->script.verdict.status = NFS4ERR_BAD_STATEID;
    struct nfs_read read;
    nfs_read_start(&read, file, 0, 4096);
    assert_int_equal(nfs_read_finish(&read), 0);
    nfs_read_end(&read);
    assert_int_equal(f->script.claim_count, 2);
    assert_int_equal(f->script.claims[1], CLAIM_FH);
    assert_int_equal(nfs_file_close(file), 0);
}

static int write_and_commit(struct fixture *f, struct nfs_file *file, bool restart_between)
{
    static const uint8_t data[100000];
    struct nfs_unstable unstable = { 0 };
    struct nfs_write write;
    nfs_write_start(&write, file, 0, slice_of(data, sizeof data), UNSTABLE4);
    assert_int_equal(nfs_write_finish(&write, &unstable), 0);
    assert_true(unstable.any);
    if (restart_between)
        f->server.write_verifier[0]++;
    return nfs_file_commit(file, &unstable);
}

static void data_that_the_server_lost_is_asked_for_again(void **state)
{
    struct fixture *f = *state;
    struct nfs_file *file;
    assert_int_equal(nfs_file_open(f->client, &some_dir, NFS_WRITE, &file), 0);
    assert_int_equal(write_and_commit(f, file, false), 0);
    assert_int_equal(write_and_commit(f, file, true), 1);
    assert_int_equal(write_and_commit(f, file, false), 0);
    assert_int_equal(nfs_file_close(file), 0);
}

static void a_loss_between_two_writes_is_noticed_too(void **state)
{
    struct fixture *f = *state;
    struct nfs_file *file;
    struct nfs_unstable unstable = { 0 };
    struct nfs_write write;
    assert_int_equal(nfs_file_open(f->client, &some_dir, NFS_WRITE, &file), 0);
    for (int i = 0; i < 2; i++) {
        nfs_write_start(&write, file, 0, slice_str("data"), UNSTABLE4);
        assert_int_equal(nfs_write_finish(&write, &unstable), 0);
        f->server.write_verifier[0]++;
    }
    f->server.write_verifier[0]--; /* the COMMIT itself sees the verifier of the second write */
    assert_int_equal(nfs_file_commit(file, &unstable), 1);
    assert_int_equal(nfs_file_close(file), 0);
}

static void an_answer_that_cannot_be_read_is_an_error(void **state)
{
    struct fixture *f = *state;
    f->script.op = OP_REMOVE;
    f->script.times = 1;
    f->script.verdict.garbage = true;
    assert_int_equal(remove_something(f), -EBADMSG);
}

static void an_answer_to_something_else_is_an_error(void **state)
{
    struct fixture *f = *state;
    struct nfs_call call;
    union nfs_resop4 res;
    nfs_call_init(&call, f->client, NFS_CALL_PLAIN);
    nfs_call_put_fh(&call, &some_dir);
    assert_int_equal(nfs_call_run(&call), 0);
    assert_int_equal(nfs_call_result(&call, OP_GETFH, &res), -EBADMSG);
    nfs_call_fini(&call);
}

static void a_server_that_stays_away_ends_the_client(void **state)
{
    (void)state;
    struct fake_server server;
    struct nfs_client *client = NULL;
    fake_server_start(&server, NULL, NULL);
    server.slot_count = 4;
    struct nfs_client_options options = {
        .address = "127.0.0.1", .port = server.port, .connection_count = 2, .give_up_ms = 300
    };
    assert_int_equal(nfs_client_connect(&options, &client), 0);
    fake_server_stop(&server);
    assert_int_equal(nfs_node_remove(client, &some_dir, slice_str("x")), -ECONNREFUSED);
    assert_int_equal(nfs_node_remove(client, &some_dir, slice_str("y")), -ECONNREFUSED);
    nfs_client_close(client);
}

static void nobody_there_is_told_at_once(void **state)
{
    (void)state;
    struct nfs_client *client = NULL;
    struct nfs_client_options options = { .address = "127.0.0.1", .port = 1 };
    assert_int_equal(nfs_client_connect(&options, &client), -ECONNREFUSED);
    options.address = "no.such.host.invalid";
    assert_int_equal(nfs_client_connect(&options, &client), -EHOSTUNREACH);
}

static void an_old_server_is_told_apart(void **state)
{
    (void)state;
    struct fake_server server;
    struct nfs_client *client = NULL;
    struct script script = { .op = OP_EXCHANGE_ID,
        .times = 1,
        .verdict = { .sequence = NFS4ERR_MINOR_VERS_MISMATCH },
        .server = &server };
    fake_server_start(&server, follow_script, &script);
    struct nfs_client_options options = { .address = "127.0.0.1", .port = server.port };
    assert_int_equal(nfs_client_connect(&options, &client), -EPROTONOSUPPORT);
    fake_server_stop(&server);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_reply_lost_with_its_connection_is_asked_for_again),
        CASE(a_request_lost_with_its_connection_is_sent_again),
        CASE(a_delayed_sequence_is_repeated_in_its_slot),
        CASE(a_delayed_operation_is_a_new_request),
        CASE(a_reply_that_was_not_kept_is_asked_for_as_a_new_request),
        CASE(a_connection_that_is_not_taken_gets_a_new_session),
        CASE(grace_is_waited_for),
        CASE(a_lost_session_is_made_again),
        CASE(a_restarted_server_gets_a_new_client),
        CASE(a_name_that_was_never_there_stays_an_error),
        CASE(a_name_that_a_lost_request_removed_is_removed),
        CASE(more_calls_than_slots_can_be_started_by_one_thread),
        CASE(an_open_file_is_reclaimed_after_a_restart),
        CASE(a_file_whose_stateid_is_unknown_is_opened_anew),
        CASE(data_that_the_server_lost_is_asked_for_again),
        CASE(a_loss_between_two_writes_is_noticed_too),
        CASE(an_answer_that_cannot_be_read_is_an_error),
        CASE(an_answer_to_something_else_is_an_error),
        cmocka_unit_test(a_server_that_stays_away_ends_the_client),
        cmocka_unit_test(nobody_there_is_told_at_once),
        cmocka_unit_test(an_old_server_is_told_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
