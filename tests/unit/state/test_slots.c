/* Slots that are taken back while memory for kept replies is scarce, and given again (RFC 8881 section 2.10.6.1). */
#include "fixture.h"

#include "state/internal.h"

#define SLOTS 8u

/* A request in a slot, whose client uses slots up to `highest`; what the reply says goes to *ticket. */
static enum state_status begin(const struct peer *peer, uint32_t slotid, uint32_t seqid,
    uint32_t highest, struct state_ticket *ticket)
{
    struct state_sequence args = { .sessionid = peer->sessionid,
        .slotid = slotid,
        .seqid = seqid,
        .highest_slotid = highest,
        .cachethis = true,
        .checksum = seqid,
        .request_size = 100,
        .op_count = 2,
        .conn_id = peer->conn_id };
    return state_sequence_begin(peer->server, &args, peer->f->now_ms, ticket);
}

/* The same, answered at once. Gives sr_target_highest_slotid; its highest slot must be `count` - 1. */
static uint32_t run(
    const struct peer *peer, uint32_t slotid, uint32_t seqid, uint32_t highest, uint32_t count)
{
    struct state_ticket ticket;
    assert_int_equal(begin(peer, slotid, seqid, highest, &ticket), STATE_OK);
    uint32_t target = ticket.target_highest_slotid;
    assert_int_equal(ticket.highest_slotid, count - 1);
    state_sequence_end(&ticket, slice_str("reply"));
    return target;
}

static struct peer peer_with_slots(struct fixture *f, const char *owner)
{
    struct peer peer = peer_of(f, owner);
    peer_connect(&peer);
    return peer;
}

static void make_scarce(struct fixture *f)
{
    f->state->options.reply_cache_total_max = state_reply_cache_bytes(f->state);
    state_tick(f->state, f->now_ms);
}

static void make_ample(struct fixture *f)
{
    f->state->options.reply_cache_total_max = GIB;
    state_tick(f->state, f->now_ms);
}

static void half_of_them_go_once_the_client_has_seen_it(void **state)
{
    struct fixture *f = *state;
    struct peer peer = peer_with_slots(f, "alice");
    assert_int_equal(run(&peer, 0, 1, SLOTS - 1, SLOTS), SLOTS - 1);
    assert_int_equal(run(&peer, 7, 1, SLOTS - 1, SLOTS), SLOTS - 1);
    uint64_t before = state_reply_cache_bytes(f->state);
    make_scarce(f);
    /* The reply tells; until the slot is used again nobody knows that it arrived. */
    assert_int_equal(run(&peer, 0, 2, SLOTS - 1, SLOTS), SLOTS / 2 - 1);
    assert_int_equal(state_reply_cache_bytes(f->state), before);
    assert_int_equal(run(&peer, 0, 3, SLOTS / 2 - 1, SLOTS / 2), SLOTS / 2 - 1);
    assert_int_equal(state_reply_cache_bytes(f->state), before - SLOTS / 2 * 1024);
    struct state_ticket ticket;
    assert_int_equal(begin(&peer, 7, 2, 7, &ticket), STATE_BADSLOT);
}

static void they_stay_while_the_client_uses_them(void **state)
{
    struct fixture *f = *state;
    struct peer peer = peer_with_slots(f, "alice");
    make_scarce(f);
    (void)run(&peer, 0, 1, SLOTS - 1, SLOTS);
    (void)run(&peer, 0, 2, SLOTS - 1, SLOTS); /* it has seen it, and says that it needs them */
    struct state_ticket ticket;
    assert_int_equal(begin(&peer, 6, 1, 6, &ticket), STATE_OK);
    (void)run(&peer, 0, 3, SLOTS / 2 - 1, SLOTS); /* one of them runs */
    state_sequence_end(&ticket, slice_str("reply"));
    (void)run(&peer, 0, 4, SLOTS / 2 - 1, SLOTS / 2);
}

static void they_come_again_and_begin_anew(void **state)
{
    struct fixture *f = *state;
    struct peer peer = peer_with_slots(f, "alice");
    (void)run(&peer, 7, 1, SLOTS - 1, SLOTS);
    uint64_t before = state_reply_cache_bytes(f->state);
    make_scarce(f);
    (void)run(&peer, 0, 1, SLOTS - 1, SLOTS);
    (void)run(&peer, 0, 2, SLOTS / 2 - 1, SLOTS / 2);
    make_ample(f); /* not before the client has seen that they are gone */
    (void)run(&peer, 0, 3, SLOTS / 2 - 1, SLOTS / 2);
    make_ample(f);
    assert_int_equal(run(&peer, 0, 4, SLOTS / 2 - 1, SLOTS), SLOTS - 1);
    assert_int_equal(state_reply_cache_bytes(f->state), before);
    struct state_ticket ticket;
    assert_int_equal(begin(&peer, 7, 2, 7, &ticket), STATE_SEQ_MISORDERED);
    (void)run(&peer, 7, 1, SLOTS - 1, SLOTS);
}

static void a_want_that_passes_takes_nothing(void **state)
{
    struct fixture *f = *state;
    struct peer peer = peer_with_slots(f, "alice");
    make_scarce(f);
    make_ample(f);
    (void)run(&peer, 0, 1, SLOTS / 2 - 1, SLOTS);
    assert_int_equal(run(&peer, 0, 2, SLOTS / 2 - 1, SLOTS), SLOTS - 1);
}

static void the_last_one_stays(void **state)
{
    struct fixture *f = *state;
    struct peer peer = peer_with_slots(f, "alice");
    uint32_t count = SLOTS;
    for (uint32_t seqid = 1; seqid <= 20; seqid++) {
        make_scarce(f);
        struct state_ticket ticket;
        assert_int_equal(begin(&peer, 0, seqid, 0, &ticket), STATE_OK);
        count = ticket.highest_slotid + 1;
        state_sequence_end(&ticket, slice_str("reply"));
    }
    assert_int_equal(count, 1);
}

static void a_client_with_a_back_channel_is_told_at_once(void **state)
{
    struct fixture *f = *state;
    struct peer peer = peer_with_slots(f, "alice");
    uint32_t cursor = 0, target = 0;
    uint8_t sessionid[STATE_SESSIONID_SIZE];
    assert_false(state_slots_recall_next(f->state, &cursor, sessionid, &target));
    make_scarce(f);
    cursor = 0;
    assert_true(state_slots_recall_next(f->state, &cursor, sessionid, &target));
    assert_memory_equal(sessionid, peer.sessionid, sizeof sessionid);
    assert_int_equal(target, SLOTS / 2 - 1);
    cursor = 0;
    assert_false(state_slots_recall_next(f->state, &cursor, sessionid, &target)); /* once */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            half_of_them_go_once_the_client_has_seen_it, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(
            they_stay_while_the_client_uses_them, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(
            they_come_again_and_begin_anew, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(
            a_want_that_passes_takes_nothing, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(the_last_one_stays, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(
            a_client_with_a_back_channel_is_told_at_once, fixture_setup, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
