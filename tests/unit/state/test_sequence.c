/* SEQUENCE: slots, replays, and what must not change a slot (RFC 8881 section 18.46). */
#include "fixture.h"

#include "state/internal.h"

static struct state_sequence request(const struct peer *peer, uint32_t slotid, uint32_t seqid)
{
    return (struct state_sequence){ .sessionid = peer->sessionid,
        .slotid = slotid,
        .seqid = seqid,
        .highest_slotid = slotid,
        .cachethis = true,
        .checksum = 1000 + seqid,
        .request_size = 100,
        .op_count = 2,
        .conn_id = peer->conn_id };
}

static enum state_status begin(
    const struct peer *peer, const struct state_sequence *args, struct state_ticket *ticket)
{
    return state_sequence_begin(peer->server, args, peer->f->now_ms, ticket);
}

/* A request that succeeds and is answered with `reply`. */
static void run(const struct peer *peer, uint32_t slotid, uint32_t seqid, const char *reply)
{
    struct state_sequence args = request(peer, slotid, seqid);
    struct state_ticket ticket;
    assert_int_equal(begin(peer, &args, &ticket), STATE_OK);
    assert_false(ticket.is_replay);
    state_sequence_end(&ticket, slice_str(reply));
}

/* The request is answered from the slot with `reply`. */
static void replays(const struct peer *peer, uint32_t slotid, uint32_t seqid, const char *reply)
{
    struct state_sequence args = request(peer, slotid, seqid);
    struct state_ticket ticket;
    assert_int_equal(begin(peer, &args, &ticket), STATE_OK);
    assert_true(ticket.is_replay);
    assert_true(slice_equal(ticket.replay, slice_str(reply)));
    state_sequence_end(&ticket, slice_of(NULL, 0));
}

struct sequence_case {
    const char *name;
    uint32_t slotid, seqid, highest_slotid;
    uint32_t request_size, op_count;
    uint32_t checksum;
    enum state_status status;
};

/* Slot 0 has run seqid 5 (checksum 1005), slot 1 nothing; 8 slots, 8192 bytes, 16 ops. */
static const struct sequence_case cases[] = {
    { "next", 0, 6, 0, 100, 2, 1006, STATE_OK },
    { "retry", 0, 5, 0, 100, 2, 1005, STATE_OK },
    { "false retry", 0, 5, 0, 100, 2, 77, STATE_SEQ_FALSE_RETRY },
    { "one too far", 0, 7, 0, 100, 2, 1007, STATE_SEQ_MISORDERED },
    { "too old", 0, 4, 0, 100, 2, 1004, STATE_SEQ_MISORDERED },
    { "zero", 0, 0, 0, 100, 2, 1000, STATE_SEQ_MISORDERED },
    { "first of a slot", 1, 1, 1, 100, 2, 1001, STATE_OK },
    { "first of a slot is not 0", 1, 0, 1, 100, 2, 1000, STATE_SEQ_MISORDERED },
    { "first of a slot is not 2", 1, 2, 1, 100, 2, 1002, STATE_SEQ_MISORDERED },
    { "last slot", 7, 1, 7, 100, 2, 1001, STATE_OK },
    { "no such slot", 8, 1, 8, 100, 2, 1001, STATE_BADSLOT },
    { "far beyond", UINT32_MAX, 1, UINT32_MAX, 100, 2, 1001, STATE_BADSLOT },
    { "highest too high", 0, 6, 8, 100, 2, 1006, STATE_BAD_HIGH_SLOT },
    { "largest request", 0, 6, 0, 8192, 2, 1006, STATE_OK },
    { "too large", 0, 6, 0, 8193, 2, 1006, STATE_REQ_TOO_BIG },
    { "most operations", 0, 6, 0, 100, 16, 1006, STATE_OK },
    { "too many operations", 0, 6, 0, 100, 17, 1006, STATE_TOO_MANY_OPS },
    { "too large and misordered", 0, 9, 0, 8193, 2, 1006, STATE_REQ_TOO_BIG },
};

static void sequence_checks_in_order_and_errors_change_nothing(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        const struct sequence_case *c = &cases[i];
        struct peer peer = peer_of(f, "alice");
        peer.verifier = i; /* a new session each time */
        peer_connect(&peer);
        for (uint32_t seqid = 1; seqid <= 5; seqid++)
            run(&peer, 0, seqid, "five");
        struct state_sequence args = request(&peer, c->slotid, c->seqid);
        args.highest_slotid = c->highest_slotid;
        args.request_size = c->request_size;
        args.op_count = c->op_count;
        args.checksum = c->checksum;
        struct state_ticket ticket;
        enum state_status status = begin(&peer, &args, &ticket);
        if (status != c->status)
            print_error("case %s: status %d\n", c->name, status);
        assert_int_equal(status, c->status);
        if (status == STATE_OK) {
            state_sequence_end(&ticket, slice_str("done"));
            continue;
        }
        replays(&peer, 0, 5, "five");
        run(&peer, 0, 6, "six");
        run(&peer, 1, 1, "one");
    }
}

static void an_unknown_session_is_refused(void **state)
{
    struct fixture *f = *state;
    struct peer peer = peer_ready(f, "alice");
    struct state_ticket ticket;
    for (size_t byte = 0; byte < STATE_SESSIONID_SIZE; byte++) {
        uint8_t sessionid[STATE_SESSIONID_SIZE];
        memcpy(sessionid, peer.sessionid, sizeof sessionid);
        sessionid[byte] ^= 0x40;
        struct state_sequence args = request(&peer, 0, 2);
        args.sessionid = sessionid;
        assert_int_equal(begin(&peer, &args, &ticket), STATE_BADSESSION);
    }
    run(&peer, 0, 2, "still there");
}

static void a_running_request_is_not_run_twice(void **state)
{
    struct fixture *f = *state;
    struct peer peer = peer_of(f, "alice");
    peer_connect(&peer);
    struct state_sequence args = request(&peer, 0, 1);
    struct state_ticket ticket, second;
    assert_int_equal(begin(&peer, &args, &ticket), STATE_OK);
    assert_int_equal(begin(&peer, &args, &second), STATE_DELAY);
    args.seqid = 2; /* the slot is still in use */
    assert_int_equal(begin(&peer, &args, &second), STATE_SEQ_MISORDERED);
    run(&peer, 1, 1, "beside it");
    state_sequence_end(&ticket, slice_str("first"));
    replays(&peer, 0, 1, "first");
    run(&peer, 0, 2, "second");
    replays(&peer, 0, 2, "second");
}

static void a_reply_being_replayed_stays_until_it_is_sent(void **state)
{
    struct fixture *f = *state;
    struct peer peer = peer_of(f, "alice");
    peer_connect(&peer);
    run(&peer, 0, 1, "first");
    struct state_sequence args = request(&peer, 0, 1);
    struct state_ticket replay, other;
    assert_int_equal(begin(&peer, &args, &replay), STATE_OK);
    assert_int_equal(begin(&peer, &args, &other), STATE_DELAY);
    args = request(&peer, 0, 2);
    assert_int_equal(begin(&peer, &args, &other), STATE_DELAY);
    assert_true(slice_equal(replay.replay, slice_str("first")));
    state_sequence_end(&replay, slice_of(NULL, 0));
    assert_int_equal(begin(&peer, &args, &other), STATE_OK);
    state_sequence_end(&other, slice_str("second"));
}

static void what_was_not_kept_cannot_be_replayed(void **state)
{
    struct fixture *f = *state;
    struct peer peer = peer_of(f, "alice");
    peer_connect(&peer);
    run(&peer, 0, 1, "kept");
    struct state_sequence args = request(&peer, 0, 2);
    args.cachethis = false;
    struct state_ticket ticket;
    assert_int_equal(begin(&peer, &args, &ticket), STATE_OK);
    assert_false(ticket.cachethis);
    state_sequence_end(&ticket, slice_str("not kept, though it is given"));
    assert_int_equal(begin(&peer, &args, &ticket), STATE_RETRY_UNCACHED_REP);
    run(&peer, 0, 3, "kept again");
    replays(&peer, 0, 3, "kept again");
}

static void a_reply_that_was_too_large_to_keep_is_not_replayed(void **state)
{
    struct fixture *f = *state;
    struct peer peer = peer_of(f, "alice");
    peer_connect(&peer);
    struct state_sequence args = request(&peer, 0, 1);
    struct state_ticket ticket;
    assert_int_equal(begin(&peer, &args, &ticket), STATE_OK);
    assert_true(ticket.cachethis);
    state_sequence_end(&ticket, slice_of(NULL, 0));
    assert_int_equal(begin(&peer, &args, &ticket), STATE_RETRY_UNCACHED_REP);
}

static void a_cache_too_small_for_any_reply_is_announced(void **state)
{
    struct fixture *f = *state;
    struct peer peer = peer_of(f, "alice");
    struct state_exchanged exchanged;
    assert_int_equal(peer_exchange(&peer, &exchanged), STATE_OK);
    peer.clientid = exchanged.clientid;
    struct state_session_create create = peer_create_args(&peer, 1);
    create.fore.response_cached_size_max = 10;
    struct state_session_created created;
    assert_int_equal(state_session_create(f->server, &create, f->now_ms, &created), STATE_OK);
    memcpy(peer.sessionid, created.sessionid, sizeof created.sessionid);
    struct state_sequence args = request(&peer, 0, 1);
    struct state_ticket ticket;
    assert_int_equal(begin(&peer, &args, &ticket), STATE_REP_TOO_BIG_TO_CACHE);
    args.cachethis = false;
    assert_int_equal(begin(&peer, &args, &ticket), STATE_OK);
    state_sequence_end(&ticket, slice_of(NULL, 0));
}

static void seqids_wrap(void **state)
{
    struct fixture *f = *state;
    struct peer peer = peer_of(f, "alice");
    peer_connect(&peer);
    struct state_session *session = atomic_load(&f->state->sessions[0]);
    session->slots[2].used = true; /* as after 2^32 - 2 requests */
    session->slots[2].seqid = UINT32_MAX - 1;
    run(&peer, 2, UINT32_MAX, "last");
    replays(&peer, 2, UINT32_MAX, "last");
    run(&peer, 2, 0, "zero");
    replays(&peer, 2, 0, "zero");
    run(&peer, 2, 1, "one");
}

static void sequence_renews_the_lease_only_when_it_succeeds(void **state)
{
    struct fixture *f = *state;
    struct peer peer = peer_of(f, "alice");
    peer_connect(&peer);
    struct state_counts counts;
    f->now_ms += LEASE_MS + 1;
    state_count(f->state, f->now_ms, &counts);
    assert_int_equal(counts.clients_courtesy, 1);
    struct state_sequence args = request(&peer, 0, 9);
    struct state_ticket ticket;
    assert_int_equal(begin(&peer, &args, &ticket), STATE_SEQ_MISORDERED);
    state_count(f->state, f->now_ms, &counts);
    assert_int_equal(counts.clients_courtesy, 1);
    run(&peer, 0, 1, "r");
    state_count(f->state, f->now_ms, &counts);
    assert_int_equal(counts.clients_courtesy, 0);
}

static void sequence_reports_the_limits_of_the_session(void **state)
{
    struct fixture *f = *state;
    struct peer peer = peer_of(f, "alice");
    peer_connect(&peer);
    struct state_sequence args = request(&peer, 3, 1);
    struct state_ticket ticket;
    assert_int_equal(begin(&peer, &args, &ticket), STATE_OK);
    assert_int_equal(ticket.slotid, 3);
    assert_int_equal(ticket.highest_slotid, 7);
    assert_int_equal(ticket.target_highest_slotid, 7);
    assert_int_equal(ticket.status_flags, 0);
    assert_int_equal(ticket.response_size_max, 8192);
    assert_int_equal(ticket.response_cached_size_max, 1024);
    assert_int_equal(state_client_id(ticket.client), peer.clientid);
    state_sequence_end(&ticket, slice_str("r"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(sequence_checks_in_order_and_errors_change_nothing),
        TEST(an_unknown_session_is_refused),
        TEST(a_running_request_is_not_run_twice),
        TEST(a_reply_being_replayed_stays_until_it_is_sent),
        TEST(what_was_not_kept_cannot_be_replayed),
        TEST(a_reply_that_was_too_large_to_keep_is_not_replayed),
        TEST(a_cache_too_small_for_any_reply_is_announced),
        TEST(seqids_wrap),
        TEST(sequence_renews_the_lease_only_when_it_succeeds),
        TEST(sequence_reports_the_limits_of_the_session),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
