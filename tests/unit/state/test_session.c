/* CREATE_SESSION with its replays, DESTROY_SESSION, connections and the back channel. */
#include "fixture.h"

#include <stdlib.h>

/* A client that has only done EXCHANGE_ID. */
static struct peer unconfirmed(struct fixture *f, const char *owner)
{
    struct peer peer = peer_of(f, owner);
    struct state_exchanged exchanged;
    assert_int_equal(peer_exchange(&peer, &exchanged), STATE_OK);
    assert_int_equal(exchanged.sequenceid, 1);
    peer.clientid = exchanged.clientid;
    return peer;
}

static void assert_same(
    const struct state_session_created *a, const struct state_session_created *b)
{
    assert_memory_equal(a->sessionid, b->sessionid, STATE_SESSIONID_SIZE);
    assert_int_equal(a->sequenceid, b->sequenceid);
    assert_int_equal(a->fore.slot_count_max, b->fore.slot_count_max);
    assert_int_equal(a->fore.response_cached_size_max, b->fore.response_cached_size_max);
}

static void create_session_is_replayed_once_deep(void **state)
{
    struct fixture *f = *state;
    struct peer peer = unconfirmed(f, "alice");
    struct state_session_created first, again, second;
    assert_int_equal(peer_create(&peer, 0, &first), STATE_SEQ_MISORDERED); /* nothing to replay */
    assert_int_equal(peer_create(&peer, 2, &first), STATE_SEQ_MISORDERED);
    assert_int_equal(peer_create(&peer, 1, &first), STATE_OK);
    assert_int_equal(first.sequenceid, 1);
    assert_int_equal(peer_create(&peer, 1, &again), STATE_OK);
    assert_same(&first, &again);
    struct state_counts counts;
    state_count(f->state, f->now_ms, &counts);
    assert_int_equal(counts.sessions, 1);
    assert_int_equal(peer_create(&peer, 3, &second), STATE_SEQ_MISORDERED);
    assert_int_equal(peer_create(&peer, 0, &second), STATE_SEQ_MISORDERED);
    assert_int_equal(peer_create(&peer, 2, &second), STATE_OK);
    assert_memory_not_equal(first.sessionid, second.sessionid, STATE_SESSIONID_SIZE);
    assert_int_equal(peer_create(&peer, 1, &again), STATE_SEQ_MISORDERED);
    assert_int_equal(peer_create(&peer, 2, &again), STATE_OK);
    assert_same(&second, &again);
}

static void a_failed_create_session_may_be_repeated_with_its_sequenceid(void **state)
{
    struct fixture *f = *state;
    struct peer peer = unconfirmed(f, "alice");
    struct state_session_create args = peer_create_args(&peer, 1);
    struct state_session_created out;
    args.principal = slice_str("sys:1:elsewhere");
    assert_int_equal(state_session_create(f->server, &args, f->now_ms, &out), STATE_CLID_INUSE);
    assert_int_equal(state_session_create(f->server, &args, f->now_ms, &out), STATE_CLID_INUSE);
    args = peer_create_args(&peer, 1);
    args.fore.response_size_max = 0;
    assert_int_equal(state_session_create(f->server, &args, f->now_ms, &out), STATE_TOOSMALL);
    assert_int_equal(peer_create(&peer, 1, &out), STATE_OK);
    /* RFC 8881 does not bind later sessions to the principal. */
    args = peer_create_args(&peer, 2);
    args.principal = slice_str("sys:1:elsewhere");
    assert_int_equal(state_session_create(f->server, &args, f->now_ms, &out), STATE_OK);
}

static void an_unknown_clientid_is_stale(void **state)
{
    struct fixture *f = *state;
    struct peer peer = unconfirmed(f, "alice");
    struct state_session_created out;
    const uint64_t changes[] = { 1, UINT64_C(1) << 20, UINT64_C(1) << 32, UINT64_C(1) << 63 };
    for (size_t i = 0; i < ARRAY_SIZE(changes); i++) {
        struct peer other = peer;
        other.clientid ^= changes[i];
        assert_int_equal(peer_create(&other, 1, &out), STATE_STALE_CLIENTID);
    }
    fixture_restart(f);
    peer.server = f->server;
    assert_int_equal(peer_create(&peer, 1, &out), STATE_STALE_CLIENTID);
}

struct channel_case {
    const char *name;
    struct state_channel fore, back;
    bool want_back;
    enum state_status status;
};

static const struct channel_case channel_cases[] = {
    { "usual", { 8192, 8192, 8192, 16, 8 }, { 4096, 4096, 0, 2, 1 }, true, STATE_OK },
    { "greedy", { UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX },
        { UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX }, true, STATE_OK },
    { "narrow", { 400, 400, 400, 2, 1 }, { 400, 400, 400, 2, 1 }, true, STATE_OK },
    { "no back channel", { 8192, 8192, 0, 16, 8 }, { 0, 0, 0, 0, 0 }, false, STATE_OK },
    { "request", { 20, 8192, 8192, 16, 8 }, { 4096, 4096, 0, 2, 1 }, true, STATE_TOOSMALL },
    { "reply", { 8192, 0, 8192, 16, 8 }, { 4096, 4096, 0, 2, 1 }, true, STATE_TOOSMALL },
    { "operations", { 8192, 8192, 8192, 0, 8 }, { 4096, 4096, 0, 2, 1 }, true, STATE_TOOSMALL },
    { "slots", { 8192, 8192, 8192, 16, 0 }, { 4096, 4096, 0, 2, 1 }, true, STATE_INVAL },
    { "back request", { 8192, 8192, 8192, 16, 8 }, { 10, 4096, 0, 2, 1 }, false, STATE_TOOSMALL },
    { "back reply", { 8192, 8192, 8192, 16, 8 }, { 4096, 10, 0, 2, 1 }, true, STATE_TOOSMALL },
    { "back operations", { 8192, 8192, 8192, 16, 8 }, { 4096, 4096, 0, 1, 1 }, true,
        STATE_TOOSMALL },
};

static void channels_are_clamped_or_refused(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < ARRAY_SIZE(channel_cases); i++) {
        const struct channel_case *c = &channel_cases[i];
        struct peer peer = unconfirmed(f, c->name);
        struct state_session_create args = peer_create_args(&peer, 1);
        args.fore = c->fore;
        args.back = c->back;
        args.want_back_channel = c->want_back;
        struct state_session_created out;
        enum state_status status = state_session_create(f->server, &args, f->now_ms, &out);
        if (status != c->status)
            print_error("case %s: status %d\n", c->name, status);
        assert_int_equal(status, c->status);
        if (status != STATE_OK)
            continue;
        const struct state_options *o = &f->options;
        assert_int_equal(out.has_back_channel, c->want_back);
        assert_true(out.fore.request_size_max <= o->request_size_max);
        assert_true(out.fore.response_size_max <= o->response_size_max);
        assert_true(out.fore.response_cached_size_max <= o->response_cached_size_max);
        assert_true(out.fore.response_cached_size_max <= out.fore.response_size_max);
        assert_true(out.fore.op_count_max <= o->op_count_max);
        assert_true(out.fore.slot_count_max >= 1 && out.fore.slot_count_max <= o->slot_count_max);
    }
}

#define SESSIONS_MAX 200

/* Sessions of one client until nothing is left; gives their number. None has more than those before it. */
static uint32_t fill_reply_cache(
    struct peer *peer, uint32_t first, struct state_session_created *sessions)
{
    uint32_t count = 0;
    enum state_status status;
    while ((status = peer_create(peer, first + count, &sessions[count])) == STATE_OK) {
        const struct state_channel *fore = &sessions[count].fore;
        assert_true(fore->slot_count_max >= 1 && fore->response_cached_size_max >= 512);
        if (count > 0)
            assert_true(fore->slot_count_max <= sessions[count - 1].fore.slot_count_max);
        assert_true(++count < SESSIONS_MAX);
    }
    assert_int_equal(status, STATE_NOSPC);
    return count;
}

static uint64_t reserved_bytes(struct fixture *f)
{
    struct state_counts counts;
    state_count(f->state, f->now_ms, &counts);
    assert_true(counts.reply_cache_bytes <= f->options.reply_cache_total_max);
    assert_int_equal(counts.reply_cache_bytes, state_reply_cache_bytes(f->state));
    return counts.reply_cache_bytes;
}

static void reply_cache_memory_is_reserved_and_given_back(void **state)
{
    struct fixture *f = *state;
    static struct state_session_created sessions[SESSIONS_MAX];
    f->options.reply_cache_total_max = 64 * 1024;
    f->options.session_per_client_max = SESSIONS_MAX;
    f->options.session_count_max = SESSIONS_MAX;
    fixture_restart(f);
    struct peer peer = unconfirmed(f, "alice");
    uint32_t count = fill_reply_cache(&peer, 1, sessions);
    assert_true(count > 16); /* far more than an equal wish for each would have given */
    assert_true(sessions[0].fore.slot_count_max > 1);
    assert_int_equal(sessions[count - 1].fore.slot_count_max, 1);
    assert_int_equal(sessions[count - 1].fore.response_cached_size_max, 512);
    assert_true(reserved_bytes(f) > 63 * 1024);
    for (uint32_t i = 0; i < count; i++)
        assert_int_equal(
            state_session_destroy(f->server, sessions[i].sessionid, peer.conn_id, NULL), STATE_OK);
    assert_int_equal(reserved_bytes(f), 0);
    assert_int_equal(fill_reply_cache(&peer, count + 1, sessions), count);
}

static void scarce_reply_cache_memory_is_taken_from_clients_that_are_silent(void **state)
{
    struct fixture *f = *state;
    static struct state_session_created sessions[SESSIONS_MAX];
    f->options.reply_cache_total_max = 64 * 1024;
    f->options.session_per_client_max = SESSIONS_MAX;
    f->options.session_count_max = SESSIONS_MAX;
    fixture_restart(f);
    struct peer peer = unconfirmed(f, "alice");
    (void)fill_reply_cache(&peer, 1, sessions);
    state_tick(f->state, f->now_ms);
    assert_true(reserved_bytes(f) > 0);
    f->now_ms += f->options.lease_ms + 1;
    state_tick(f->state, f->now_ms);
    assert_int_equal(reserved_bytes(f), 0);
}

static void sessions_are_counted(void **state)
{
    struct fixture *f = *state;
    f->options.session_per_client_max = 3;
    f->options.session_count_max = 4;
    fixture_restart(f);
    struct peer alice = unconfirmed(f, "alice"), bob = unconfirmed(f, "bob");
    struct state_session_created out;
    for (uint32_t i = 1; i <= 3; i++)
        assert_int_equal(peer_create(&alice, i, &out), STATE_OK);
    assert_int_equal(peer_create(&alice, 4, &out), STATE_NOSPC);
    assert_int_equal(peer_create(&bob, 1, &out), STATE_OK);
    assert_int_equal(peer_create(&bob, 2, &out), STATE_NOSPC); /* of the process */
}

static void destroy_session_wants_a_bound_connection_and_no_running_request(void **state)
{
    struct fixture *f = *state;
    struct peer peer = peer_ready(f, "alice");
    uint64_t rogue = 9999;
    assert_int_equal(state_session_destroy(f->server, peer.sessionid, rogue, NULL),
        STATE_CONN_NOT_BOUND_TO_SESSION);
    struct state_sequence args = {
        .sessionid = peer.sessionid, .slotid = 1, .seqid = 1, .highest_slotid = 1, .conn_id = rogue
    }; /* binds it */
    struct state_ticket ticket;
    assert_int_equal(state_sequence_begin(f->server, &args, f->now_ms, &ticket), STATE_OK);
    assert_int_equal(state_session_destroy(f->server, peer.sessionid, rogue, NULL), STATE_DELAY);
    /* The request that destroys its own session is the one that may run. */
    assert_int_equal(state_session_destroy(f->server, peer.sessionid, rogue, &ticket), STATE_OK);
    struct state_caller caller;
    assert_int_equal(peer_sequence(&peer, &caller), STATE_BADSESSION);
    assert_int_equal(
        state_session_destroy(f->server, peer.sessionid, rogue, NULL), STATE_BADSESSION);
    state_sequence_end(&ticket, slice_of(NULL, 0));
}

static void a_session_killed_under_a_request_lasts_until_it_ends(void **state)
{
    struct fixture *f = *state;
    struct peer peer = peer_ready(f, "alice");
    struct state_sequence args = { .sessionid = peer.sessionid,
        .slotid = 1,
        .seqid = 1,
        .highest_slotid = 1,
        .cachethis = true,
        .conn_id = peer.conn_id };
    struct state_ticket ticket;
    assert_int_equal(state_sequence_begin(f->server, &args, f->now_ms, &ticket), STATE_OK);
    struct peer again = peer_of(f, "alice");
    again.verifier = 8;
    peer_connect(&again);

    struct state_caller caller = {
        .server = f->server, .client = ticket.client, .now_ms = f->now_ms
    };
    struct state_open_args open = {
        .file = fixture_file(f, 1), .owner = slice_str("o"), .access = STATE_SHARE_READ
    };
    struct state_opened opened;
    assert_int_equal(state_open(&caller, &open, &opened), STATE_EXPIRED);
    assert_int_equal(fake_record_count(&f->fs), 0);
    state_sequence_end(&ticket, slice_str("answer"));
    struct state_counts counts;
    state_count(f->state, f->now_ms, &counts);
    assert_int_equal(counts.sessions, 1);
    assert_int_equal(counts.clients, 1);
}

static void a_reused_session_has_a_new_id(void **state)
{
    struct fixture *f = *state;
    struct peer peer = unconfirmed(f, "alice");
    struct state_session_created first, second;
    assert_int_equal(peer_create(&peer, 1, &first), STATE_OK);
    assert_int_equal(
        state_session_destroy(f->server, first.sessionid, peer.conn_id, NULL), STATE_OK);
    assert_int_equal(peer_create(&peer, 2, &second), STATE_OK);
    assert_memory_not_equal(first.sessionid, second.sessionid, STATE_SESSIONID_SIZE);
    memcpy(peer.sessionid, first.sessionid, sizeof first.sessionid);
    struct state_caller caller;
    assert_int_equal(peer_sequence(&peer, &caller), STATE_BADSESSION);
}

static void connections_are_bound_and_leave(void **state)
{
    struct fixture *f = *state;
    struct peer peer = peer_ready(f, "alice");
    struct state_sequence args = { .sessionid = peer.sessionid,
        .slotid = 1,
        .seqid = 1,
        .highest_slotid = 1,
        .conn_id = peer.conn_id };
    struct state_ticket ticket;
    assert_int_equal(state_sequence_begin(f->server, &args, f->now_ms, &ticket), STATE_OK);
    uint8_t buffer[1024];
    struct state_back_channel back;
    assert_int_equal(state_session_get_callback(&ticket, buffer, &back), STATE_OK);
    assert_int_equal(back.conn_id, peer.conn_id);
    assert_int_equal(back.cb_program, 0x40000000);
    state_connection_closed(f->state, peer.conn_id);
    assert_int_equal(state_session_get_callback(&ticket, buffer, &back), STATE_OK);
    assert_int_equal(back.conn_id, 0);
    enum state_channel_dir bound;
    assert_int_equal(
        state_session_bind(f->server, peer.sessionid, 5001, STATE_CHANNEL_FORE, f->now_ms, &bound),
        STATE_OK);
    assert_int_equal(bound, STATE_CHANNEL_FORE);
    assert_int_equal(state_session_get_callback(&ticket, buffer, &back), STATE_OK);
    assert_int_equal(back.conn_id, 0);
    assert_int_equal(
        state_session_bind(f->server, peer.sessionid, 5002, STATE_CHANNEL_BOTH, f->now_ms, &bound),
        STATE_OK);
    assert_int_equal(bound, STATE_CHANNEL_BOTH);
    assert_int_equal(state_session_set_callback(&ticket, 77, slice_str("sec")), STATE_OK);
    assert_int_equal(state_session_get_callback(&ticket, buffer, &back), STATE_OK);
    assert_int_equal(back.conn_id, 5002);
    assert_int_equal(back.cb_program, 77);
    assert_true(slice_equal(back.cb_security, slice_str("sec")));
    state_sequence_end(&ticket, slice_of(NULL, 0));
    peer.sessionid[15] ^= 1;
    assert_int_equal(
        state_session_bind(f->server, peer.sessionid, 5003, STATE_CHANNEL_BOTH, f->now_ms, &bound),
        STATE_BADSESSION);
}

static void a_session_without_a_back_channel_gets_none_later(void **state)
{
    struct fixture *f = *state;
    struct peer peer = unconfirmed(f, "alice");
    struct state_session_create args = peer_create_args(&peer, 1);
    args.want_back_channel = false;
    struct state_session_created out;
    assert_int_equal(state_session_create(f->server, &args, f->now_ms, &out), STATE_OK);
    enum state_channel_dir bound;
    assert_int_equal(
        state_session_bind(f->server, out.sessionid, 5, STATE_CHANNEL_BACK, f->now_ms, &bound),
        STATE_INVAL);
    assert_int_equal(
        state_session_bind(f->server, out.sessionid, 5, STATE_CHANNEL_BOTH, f->now_ms, &bound),
        STATE_OK);
    assert_int_equal(bound, STATE_CHANNEL_FORE);
}

static void a_thousand_connections_of_one_session_are_forgotten_oldest_first(void **state)
{
    struct fixture *f = *state;
    struct peer peer = peer_ready(f, "alice");
    for (uint64_t conn_id = 10000; conn_id < 11000; conn_id++) {
        peer.conn_id = conn_id;
        (void)peer_caller(&peer);
    }
    assert_int_equal(state_session_destroy(f->server, peer.sessionid, 10001, NULL),
        STATE_CONN_NOT_BOUND_TO_SESSION);
    for (uint64_t conn_id = 10000; conn_id < 10999; conn_id++)
        state_connection_closed(f->state, conn_id);
    assert_int_equal(state_session_destroy(f->server, peer.sessionid, 10999, NULL), STATE_OK);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(create_session_is_replayed_once_deep),
        TEST(a_failed_create_session_may_be_repeated_with_its_sequenceid),
        TEST(an_unknown_clientid_is_stale),
        TEST(channels_are_clamped_or_refused),
        TEST(reply_cache_memory_is_reserved_and_given_back),
        TEST(scarce_reply_cache_memory_is_taken_from_clients_that_are_silent),
        TEST(sessions_are_counted),
        TEST(destroy_session_wants_a_bound_connection_and_no_running_request),
        TEST(a_session_killed_under_a_request_lasts_until_it_ends),
        TEST(a_reused_session_has_a_new_id),
        TEST(connections_are_bound_and_leave),
        TEST(a_session_without_a_back_channel_gets_none_later),
        TEST(a_thousand_connections_of_one_session_are_forgotten_oldest_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
