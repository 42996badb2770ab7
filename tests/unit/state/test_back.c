/* Back channels: whose slot and connection a callback takes, and what comes of its end (RFC 8881 section 2.10.3.1). */
#include "fixture.h"

#include "state/internal.h"
#include "state/v40.h"

#define BACK_SLOTS 8u /* that the fixture asks for */

static uint32_t flags_of(struct peer *peer)
{
    struct state_sequence args = { .sessionid = peer->sessionid,
        .seqid = ++peer->seqid,
        .checksum = peer->seqid,
        .request_size = 100,
        .op_count = 1,
        .conn_id = peer->conn_id };
    struct state_ticket ticket;
    assert_int_equal(state_sequence_begin(peer->server, &args, peer->f->now_ms, &ticket), STATE_OK);
    state_sequence_end(&ticket, slice_of(NULL, 0));
    return ticket.status_flags;
}

/* A call to the client that ends so; the slot's number and seqid must be these. */
static void call(struct peer *peer, uint32_t slotid, uint32_t seqid, enum state_back_end how)
{
    struct state_back_call back;
    assert_int_equal(state_back_begin(peer->f->state, peer->clientid, &back), STATE_OK);
    assert_int_equal(back.slotid, slotid);
    assert_int_equal(back.seqid, seqid);
    state_back_end(peer->f->state, &back, how);
}

static void a_slot_moves_on_when_the_client_ran_the_call(void **state)
{
    struct fixture *f = *state;
    struct peer peer = peer_ready(f, "alice");
    call(&peer, 0, 1, STATE_BACK_RAN);
    call(&peer, 0, 2, STATE_BACK_NOT_RUN);
    call(&peer, 0, 2, STATE_BACK_RAN);
    call(&peer, 0, 3, STATE_BACK_RAN);
    assert_int_equal(flags_of(&peer), 0);
}

static void calls_at_one_time_take_a_slot_each(void **state)
{
    struct fixture *f = *state;
    struct peer peer = peer_ready(f, "alice");
    struct state_back_call calls[BACK_SLOTS], more;
    for (uint32_t i = 0; i < BACK_SLOTS; i++) {
        assert_int_equal(state_back_begin(f->state, peer.clientid, &calls[i]), STATE_OK);
        assert_int_equal(calls[i].slotid, i);
        assert_int_equal(calls[i].highest_slotid, i);
    }
    assert_int_equal(state_back_begin(f->state, peer.clientid, &more), STATE_DELAY);
    state_back_end(f->state, &calls[1], STATE_BACK_RAN);
    call(&peer, 1, 2, STATE_BACK_RAN);
    state_back_end(f->state, &calls[0], STATE_BACK_RAN);
    for (uint32_t i = 2; i < BACK_SLOTS; i++)
        state_back_end(f->state, &calls[i], STATE_BACK_RAN);
}

static void a_silent_connection_is_called_no_more_until_it_is_bound_again(void **state)
{
    struct fixture *f = *state;
    struct peer peer = peer_ready(f, "alice");
    call(&peer, 0, 1, STATE_BACK_SILENT);
    assert_int_equal(flags_of(&peer), STATE_SEQ_CB_PATH_DOWN | STATE_SEQ_CB_PATH_DOWN_SESSION);
    struct state_back_call back;
    assert_int_equal(state_back_begin(f->state, peer.clientid, &back), STATE_NOENT);
    enum state_channel_dir bound;
    assert_int_equal(state_session_bind(f->server, peer.sessionid, peer.conn_id, STATE_CHANNEL_BOTH,
                         f->now_ms, &bound),
        STATE_OK);
    assert_int_equal(flags_of(&peer), 0);
    call(&peer, 0, 1, STATE_BACK_RAN); /* the same number: nobody knows whether it ran */
}

static void a_fault_lasts_as_long_as_the_session(void **state)
{
    struct fixture *f = *state;
    struct peer peer = peer_ready(f, "alice");
    call(&peer, 0, 1, STATE_BACK_FAULT);
    assert_true((flags_of(&peer) & STATE_SEQ_BACKCHANNEL_FAULT) != 0);
    struct state_back_call back;
    assert_int_equal(state_back_begin(f->state, peer.clientid, &back), STATE_NOENT);
    assert_int_equal(
        state_session_destroy(f->server, peer.sessionid, peer.conn_id, NULL), STATE_OK);
    struct state_session_created created;
    assert_int_equal(peer_create(&peer, 2, &created), STATE_OK);
    memcpy(peer.sessionid, created.sessionid, STATE_SESSIONID_SIZE);
    peer.seqid = 0;
    assert_int_equal(flags_of(&peer), 0);
    call(&peer, 0, 1, STATE_BACK_RAN);
}

static void a_call_may_end_after_its_session(void **state)
{
    struct fixture *f = *state;
    struct peer peer = peer_ready(f, "alice");
    struct state_back_call back;
    assert_int_equal(state_back_begin(f->state, peer.clientid, &back), STATE_OK);
    assert_int_equal(
        state_session_destroy(f->server, peer.sessionid, peer.conn_id, NULL), STATE_OK);
    struct peer other = peer_ready(f, "bob"); /* has the place in the table by now */
    state_back_end(f->state, &back, STATE_BACK_FAULT);
    assert_int_equal(flags_of(&other), 0);
}

/* ---- version 4.0 ---- */

static const struct state_callback here = { .program = 0x40000000, .ident = 9 };
static const struct state_callback elsewhere = { .program = 0x40000001, .ident = 9 };

/* A confirmed client of 4.0 that is to be called there. */
static uint64_t client_v40(struct fixture *f, const struct state_callback *callback)
{
    static const uint8_t verifier[STATE_VERIFIER_SIZE] = { 7 };
    struct state_setclientid args = { .owner = slice_str("mac"),
        .verifier = verifier,
        .principal = slice_str("sys:501:mac"),
        .callback = callback };
    struct state_callback in_use;
    struct state_setclientid_done done;
    assert_int_equal(state_setclientid(f->server, &args, f->now_ms, &done, &in_use), STATE_OK);
    assert_int_equal(state_setclientid_confirm(
                         f->server, done.clientid, done.confirm, args.principal, f->now_ms),
        STATE_OK);
    return done.clientid;
}

static void a_client_of_40_is_called_once_somebody_reached_it(void **state)
{
    struct fixture *f = *state;
    uint64_t clientid = client_v40(f, &here), before;
    struct state_back_call back;
    assert_int_equal(state_back_begin(f->state, clientid, &back), STATE_NOENT);
    assert_false(
        state_v40_back_up(f->state, clientid, 77, &elsewhere, &before)); /* an old address */
    assert_true(state_v40_back_up(f->state, clientid, 77, &here, &before));
    assert_int_equal(before, 0);
    assert_int_equal(state_back_begin(f->state, clientid, &back), STATE_OK);
    assert_true(back.is_v40 && back.conn_id == 77 && back.ident == 9 && back.minor == 0);
    state_back_end(f->state, &back, STATE_BACK_RAN);
    assert_true(state_v40_back_up(f->state, clientid, 78, &here, &before));
    assert_int_equal(before, 77);                /* which the caller closes */
    state_v40_back_down(f->state, clientid, 77); /* late: not the one in use */
    assert_int_equal(state_back_begin(f->state, clientid, &back), STATE_OK);
    state_back_end(f->state, &back, STATE_BACK_SILENT);
    assert_int_equal(state_back_begin(f->state, clientid, &back), STATE_NOENT);
}

static void a_client_of_40_is_tried_again_after_a_while(void **state)
{
    struct fixture *f = *state;
    uint64_t clientid = client_v40(f, &here);
    struct state_callback callback;
    assert_true(state_v40_dial_begin(f->state, clientid, f->now_ms, 1000, &callback));
    assert_memory_equal(&callback, &here, sizeof here);
    assert_false(state_v40_dial_begin(f->state, clientid, f->now_ms + 999, 1000, &callback));
    assert_true(state_v40_dial_begin(f->state, clientid, f->now_ms + 1000, 1000, &callback));
    assert_false(state_v40_dial_begin(f->state, 12345, f->now_ms, 1000, &callback));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            a_slot_moves_on_when_the_client_ran_the_call, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(
            calls_at_one_time_take_a_slot_each, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(
            a_silent_connection_is_called_no_more_until_it_is_bound_again, fixture_setup,
            fixture_teardown),
        cmocka_unit_test_setup_teardown(
            a_fault_lasts_as_long_as_the_session, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(
            a_call_may_end_after_its_session, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(
            a_client_of_40_is_called_once_somebody_reached_it, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(
            a_client_of_40_is_tried_again_after_a_while, fixture_setup, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
