/* Delegations and callbacks by a clock that the test turns: policy, conflicts, recalls, revocation, slots. */
#include "fixture.h"

#include "state/back.h"
#include "state/deleg.h"

#define CONFLICT_MEMORY_MS 30000u

static enum state_deleg_why why;

/* A client with a session on connection `conn_id`. */
static struct peer peer_on(struct fixture *f, const char *owner, uint64_t conn_id, bool back)
{
    struct peer peer = peer_of(f, owner);
    struct state_exchanged exchanged;
    struct state_session_created created;
    assert_int_equal(peer_exchange(&peer, &exchanged), STATE_OK);
    peer.clientid = exchanged.clientid;
    peer.conn_id = conn_id;
    struct state_session_create create = peer_create_args(&peer, exchanged.sequenceid);
    create.want_back_channel = back;
    create.back = (struct state_channel){ 4096, 4096, 0, 8, 2 };
    assert_int_equal(state_session_create(f->server, &create, f->now_ms, &created), STATE_OK);
    memcpy(peer.sessionid, created.sessionid, sizeof peer.sessionid);
    peer.seqid = 0;
    assert_int_equal(peer_reclaim_complete(&peer), STATE_OK);
    return peer;
}

/* That can be called back. */
static struct peer peer_back(struct fixture *f, const char *owner, uint64_t conn_id)
{
    return peer_on(f, owner, conn_id, true);
}

static bool grant_as(struct peer *peer, uint64_t inode, enum state_deleg_kind kind, bool reclaim,
    struct state_stateid *out)
{
    struct state_caller caller = peer_caller(peer);
    struct state_deleg_args args = {
        .file = fixture_file(peer->f, inode), .kind = kind, .reclaim = reclaim
    };
    return state_deleg_grant(&caller, &args, out, &why);
}

/* Opens the file and gets a delegation with it. */
static struct state_stateid delegated(
    struct peer *peer, uint64_t inode, uint32_t access, enum state_deleg_kind kind)
{
    struct state_stateid open, deleg;
    assert_int_equal(peer_open(peer, inode, access, &open), STATE_OK);
    assert_true(grant_as(peer, inode, kind, false, &deleg));
    assert_int_equal(peer_close(peer, inode, &open), STATE_OK);
    return deleg;
}

static enum state_status clear(struct peer *peer, uint64_t inode, enum state_deleg_use use)
{
    struct state_caller caller = peer_caller(peer);
    struct state_file_ref file = fixture_file(peer->f, inode);
    return state_deleg_clear(&caller, &file, use);
}

static enum state_status give_back(
    struct peer *peer, uint64_t inode, const struct state_stateid *deleg)
{
    struct state_caller caller = peer_caller(peer);
    struct state_file_ref file = fixture_file(peer->f, inode);
    return state_deleg_return(&caller, &file, deleg);
}

static unsigned recall_count(struct fixture *f)
{
    struct state_recall recall;
    unsigned count = 0;
    while (state_recall_next(f->state, &recall))
        count++;
    return count;
}

static uint32_t flags_of(struct peer *peer)
{
    struct state_sequence args = { .sessionid = peer->sessionid,
        .seqid = ++peer->seqid,
        .request_size = 200,
        .op_count = 1,
        .conn_id = 999 };
    struct state_ticket ticket;
    assert_int_equal(
        state_sequence_begin(peer->f->server, &args, peer->f->now_ms, &ticket), STATE_OK);
    uint32_t flags = ticket.status_flags;
    state_sequence_end(&ticket, slice_of(NULL, 0));
    return flags;
}

static void only_who_can_be_called_back_gets_one(void **state)
{
    struct fixture *f = *state;
    struct peer mute = peer_on(f, "mute", 70, false), alice = peer_back(f, "alice", 71);
    struct state_stateid open, deleg;
    assert_int_equal(peer_open(&mute, 1, STATE_SHARE_READ, &open), STATE_OK);
    assert_false(grant_as(&mute, 1, STATE_DELEG_READ, false, &deleg));
    assert_int_equal(why, STATE_WHY_RESOURCE);
    deleg = delegated(&alice, 1, STATE_SHARE_READ, STATE_DELEG_READ);
    assert_int_equal(fake_hold_count(&f->fs, fixture_file(f, 1).key), 2);
    assert_int_equal(give_back(&alice, 1, &deleg), STATE_OK);
    assert_int_equal(give_back(&alice, 1, &deleg), STATE_BAD_STATEID);
    assert_int_equal(fake_hold_count(&f->fs, fixture_file(f, 1).key), 1);
    assert_int_equal(peer_open(&alice, 1, STATE_SHARE_READ, &open), STATE_OK);
    state_connection_closed(f->state, 71);
    assert_false(grant_as(&alice, 1, STATE_DELEG_READ, false, &deleg));
}

static void opens_of_others_are_in_the_way(void **state)
{
    struct fixture *f = *state;
    struct peer alice = peer_back(f, "alice", 71), bob = peer_ready(f, "bob");
    struct state_stateid mine, yours, deleg;
    assert_int_equal(peer_open(&alice, 1, STATE_SHARE_BOTH, &mine), STATE_OK);
    assert_int_equal(peer_open(&bob, 1, STATE_SHARE_READ, &yours), STATE_OK);
    assert_false(grant_as(&alice, 1, STATE_DELEG_WRITE, false, &deleg));
    assert_int_equal(why, STATE_WHY_CONTENTION);
    assert_true(grant_as(&alice, 1, STATE_DELEG_READ, false, &deleg));
    assert_false(grant_as(&alice, 1, STATE_DELEG_WRITE, false, &deleg));
    assert_int_equal(why, STATE_WHY_NOT_SUPP_UPGRADE);
}

static void a_change_under_way_is_in_the_way(void **state)
{
    struct fixture *f = *state;
    struct peer alice = peer_back(f, "alice", 71);
    struct state_file_ref file = fixture_file(f, 1);
    struct state_stateid open, deleg;
    assert_int_equal(peer_open(&alice, 1, STATE_SHARE_READ, &open), STATE_OK);
    state_change_begin(f->files, &file.key);
    assert_false(grant_as(&alice, 1, STATE_DELEG_READ, false, &deleg));
    assert_false(state_deleg_may_exist(f->files, &file.key, STATE_USE_CHANGE));
    state_change_end(f->files, &file.key);
    assert_true(grant_as(&alice, 1, STATE_DELEG_READ, false, &deleg));
    assert_true(state_deleg_may_exist(f->files, &file.key, STATE_USE_CHANGE));
    assert_false(state_deleg_may_exist(f->files, &file.key, STATE_USE_READ));
}

static void a_conflict_recalls_once_and_is_remembered(void **state)
{
    struct fixture *f = *state;
    struct peer alice = peer_back(f, "alice", 71), bob = peer_ready(f, "bob");
    struct state_stateid deleg = delegated(&alice, 1, STATE_SHARE_READ, STATE_DELEG_READ), open;
    assert_int_equal(clear(&bob, 1, STATE_USE_READ), STATE_OK);
    assert_int_equal(clear(&alice, 1, STATE_USE_CHANGE), STATE_OK);
    assert_int_equal(recall_count(f), 0);
    assert_int_equal(clear(&bob, 1, STATE_USE_CHANGE), STATE_DELAY);
    assert_int_equal(peer_open(&bob, 1, STATE_SHARE_WRITE, &open), STATE_DELAY);
    assert_int_equal(recall_count(f), 1);
    assert_int_equal(give_back(&alice, 1, &deleg), STATE_OK);
    assert_int_equal(clear(&bob, 1, STATE_USE_CHANGE), STATE_OK);
    assert_int_equal(peer_open(&alice, 1, STATE_SHARE_READ, &open), STATE_OK);
    assert_false(grant_as(&alice, 1, STATE_DELEG_READ, false, &deleg));
    assert_int_equal(why, STATE_WHY_CONTENTION);
    fixture_elapse(f, CONFLICT_MEMORY_MS);
    assert_true(grant_as(&alice, 1, STATE_DELEG_READ, false, &deleg));
}

static void a_recall_that_failed_is_made_again(void **state)
{
    struct fixture *f = *state;
    struct peer alice = peer_back(f, "alice", 71), bob = peer_ready(f, "bob");
    (void)delegated(&alice, 1, STATE_SHARE_READ, STATE_DELEG_READ);
    assert_int_equal(clear(&bob, 1, STATE_USE_CHANGE), STATE_DELAY);
    struct state_recall recall;
    assert_true(state_recall_next(f->state, &recall));
    assert_int_equal(recall.clientid, alice.clientid);
    state_recall_sent(f->state, &recall, f->now_ms, 1000);
    state_tick(f->state, f->now_ms);
    assert_int_equal(recall_count(f), 0);
    fixture_elapse(f, 1000);
    state_tick(f->state, f->now_ms);
    assert_true(state_recall_next(f->state, &recall));
    state_recall_sent(f->state, &recall, f->now_ms, UINT64_MAX);
    fixture_elapse(f, 5000);
    state_tick(f->state, f->now_ms);
    assert_int_equal(recall_count(f), 0);
}

static void what_is_not_returned_is_revoked_after_a_lease(void **state)
{
    struct fixture *f = *state;
    struct peer alice = peer_back(f, "alice", 71), bob = peer_ready(f, "bob");
    struct state_stateid deleg = delegated(&alice, 1, STATE_SHARE_READ, STATE_DELEG_READ);
    assert_int_equal(clear(&bob, 1, STATE_USE_CHANGE), STATE_DELAY);
    fixture_elapse(f, LEASE_MS);
    struct state_caller caller = peer_caller(&alice); /* it lives, it only does not return it */
    state_tick(f->state, f->now_ms);
    assert_int_equal(clear(&bob, 1, STATE_USE_CHANGE), STATE_DELAY);
    fixture_elapse(f, 1);
    state_tick(f->state, f->now_ms);
    assert_int_equal(clear(&bob, 1, STATE_USE_CHANGE), STATE_OK);
    assert_int_equal(fake_hold_count(&f->fs, fixture_file(f, 1).key), 0);
    assert_int_equal(flags_of(&alice), STATE_SEQ_RECALLABLE_STATE_REVOKED);
    assert_int_equal(state_test_stateid(&caller, &deleg), STATE_DELEG_REVOKED);
    assert_int_equal(give_back(&alice, 1, &deleg), STATE_DELEG_REVOKED);
    assert_int_equal(state_free_stateid(&caller, &deleg), STATE_OK);
    assert_int_equal(flags_of(&alice), 0);
    assert_int_equal(state_test_stateid(&caller, &deleg), STATE_BAD_STATEID);
}

static void a_dead_client_loses_it_at_once(void **state)
{
    struct fixture *f = *state;
    struct peer alice = peer_back(f, "alice", 71);
    (void)delegated(&alice, 1, STATE_SHARE_BOTH, STATE_DELEG_WRITE);
    fixture_elapse(f, LEASE_MS + 1);
    struct peer bob = peer_ready(f, "bob");
    struct state_stateid open;
    assert_int_equal(peer_open(&bob, 1, STATE_SHARE_READ, &open), STATE_OK);
    assert_int_equal(recall_count(f), 0);
    assert_int_equal(fake_hold_count(&f->fs, fixture_file(f, 1).key), 1);
}

static void one_that_was_held_at_the_crash_is_reclaimed(void **state)
{
    struct fixture *f = *state;
    struct peer alice = peer_back(f, "alice", 71);
    (void)delegated(&alice, 1, STATE_SHARE_READ, STATE_DELEG_READ);
    assert_int_equal(fake_record_count(&f->fs), 1);
    fixture_restart(f);
    assert_true(state_files_in_grace(f->files)); /* the delegation alone is worth it */
}

static void a_silent_client_that_holds_nothing_leaves_no_record(void **state)
{
    struct fixture *f = *state;
    struct peer idle = peer_ready(f, "idle"), holder = peer_ready(f, "holder");
    struct state_stateid open;
    assert_int_equal(peer_open(&idle, 1, STATE_SHARE_READ, &open), STATE_OK);
    assert_int_equal(peer_close(&idle, 1, &open), STATE_OK);
    assert_int_equal(peer_open(&holder, 2, STATE_SHARE_READ, &open), STATE_OK);
    state_tick(f->state, f->now_ms);
    assert_int_equal(fake_record_count(&f->fs), 2);
    f->fs.delete_error = -EIO;
    fixture_elapse(f, LEASE_MS + 1);
    state_tick(f->state, f->now_ms);
    assert_int_equal(fake_record_count(&f->fs), 2);
    f->fs.delete_error = 0;
    state_tick(f->state, f->now_ms);
    assert_int_equal(fake_record_count(&f->fs), 1); /* who has something open keeps it */
    assert_int_equal(
        peer_open(&idle, 3, STATE_SHARE_READ, &open), STATE_OK); /* it was only silent */
    assert_int_equal(fake_record_count(&f->fs), 2);
}

static void callbacks_take_slots_in_turn(void **state)
{
    struct fixture *f = *state;
    struct peer alice = peer_back(f, "alice", 71);
    struct state_back_call one, two, three;
    assert_int_equal(state_back_begin(f->state, alice.clientid, &one), STATE_OK);
    assert_int_equal(state_back_begin(f->state, alice.clientid, &two), STATE_OK);
    assert_int_equal(state_back_begin(f->state, alice.clientid, &three), STATE_DELAY);
    assert_true(one.slotid == 0 && one.seqid == 1 && two.slotid == 1 && two.highest_slotid == 1);
    assert_int_equal(one.conn_id, 71);
    state_back_end(f->state, &one, STATE_BACK_RAN);
    assert_int_equal(state_back_begin(f->state, alice.clientid, &three), STATE_OK);
    assert_true(three.slotid == 0 && three.seqid == 2);
    state_back_end(f->state, &three, STATE_BACK_NOT_RUN);
    assert_int_equal(state_back_begin(f->state, alice.clientid, &three), STATE_OK);
    assert_int_equal(three.seqid, 2);
    state_back_end(f->state, &three, STATE_BACK_RAN);
    state_back_end(
        f->state, &two, STATE_BACK_SILENT); /* its connection is not called on any more */
    assert_int_equal(state_back_begin(f->state, alice.clientid, &one), STATE_NOENT);
    assert_int_equal(flags_of(&alice), STATE_SEQ_CB_PATH_DOWN | STATE_SEQ_CB_PATH_DOWN_SESSION);
    enum state_channel_dir bound;
    assert_int_equal(
        state_session_bind(f->server, alice.sessionid, 72, STATE_CHANNEL_BOTH, f->now_ms, &bound),
        STATE_OK);
    assert_int_equal(flags_of(&alice), 0);
    assert_int_equal(state_back_begin(f->state, alice.clientid, &one), STATE_OK);
    assert_int_equal(one.conn_id, 72);
    state_back_end(f->state, &one, STATE_BACK_FAULT);
    assert_int_equal(flags_of(&alice), STATE_SEQ_BACKCHANNEL_FAULT);
}

static void a_lock_that_was_waited_for_is_announced(void **state)
{
    struct fixture *f = *state;
    struct peer alice = peer_back(f, "alice", 71), bob = peer_back(f, "bob", 72);
    struct state_stateid mine, yours, held;
    struct state_lock_range range = { .type = STATE_LOCK_WRITE, .offset = 0, .length = 10 };
    assert_int_equal(peer_open(&alice, 1, STATE_SHARE_BOTH, &mine), STATE_OK);
    assert_int_equal(peer_open(&bob, 1, STATE_SHARE_BOTH, &yours), STATE_OK);
    assert_int_equal(peer_lock(&alice, 1, &mine, "a", range, &held), STATE_OK);
    struct state_caller caller = peer_caller(&bob);
    struct state_lock_args args = { .file = fixture_file(f, 1),
        .range = range,
        .waits = true,
        .new_owner = true,
        .stateid = yours,
        .owner = slice_str("b") };
    struct state_lock_denied denied;
    struct state_lock_notice notice;
    assert_int_equal(state_lock(&caller, &args, &held, &denied), STATE_DENIED);
    assert_int_equal(
        state_lock(&caller, &args, &held, &denied), STATE_DENIED); /* one place in line */
    assert_false(state_lock_notice_next(f->state, &notice));
    assert_int_equal(peer_close(&alice, 1, &mine), STATE_OK);
    assert_true(state_lock_notice_next(f->state, &notice));
    assert_int_equal(notice.clientid, bob.clientid);
    assert_true(slice_equal(notice.owner, slice_str("b")));
    assert_false(state_lock_notice_next(f->state, &notice));
    assert_int_equal(state_lock(&caller, &args, &held, &denied), STATE_OK);
}

static void too_many_are_asked_back(void **state)
{
    struct fixture *f = *state;
    fixture_stop(f);
    f->options.deleg_count_max = 8;
    fixture_start(f);
    struct peer alice = peer_back(f, "alice", 71);
    uint32_t cursor = 0, keep_count;
    uint64_t clientid;
    for (uint64_t inode = 1; inode <= 7; inode++)
        (void)delegated(&alice, inode, STATE_SHARE_READ, STATE_DELEG_READ);
    assert_false(state_deleg_pressure(f->state, f->now_ms, &cursor, &clientid, &keep_count));
    (void)delegated(&alice, 8, STATE_SHARE_READ, STATE_DELEG_READ);
    assert_true(state_deleg_pressure(f->state, f->now_ms, &cursor, &clientid, &keep_count));
    assert_true(clientid == alice.clientid && keep_count == 4);
    assert_false(state_deleg_pressure(f->state, f->now_ms, &cursor, &clientid, &keep_count));
    cursor = 0; /* not again at once */
    assert_false(state_deleg_pressure(f->state, f->now_ms, &cursor, &clientid, &keep_count));
    struct state_stateid open, deleg;
    assert_int_equal(peer_open(&alice, 9, STATE_SHARE_READ, &open), STATE_OK);
    assert_false(grant_as(&alice, 9, STATE_DELEG_READ, false, &deleg));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(only_who_can_be_called_back_gets_one),
        TEST(opens_of_others_are_in_the_way),
        TEST(a_change_under_way_is_in_the_way),
        TEST(a_conflict_recalls_once_and_is_remembered),
        TEST(a_recall_that_failed_is_made_again),
        TEST(what_is_not_returned_is_revoked_after_a_lease),
        TEST(a_dead_client_loses_it_at_once),
        TEST(one_that_was_held_at_the_crash_is_reclaimed),
        TEST(a_silent_client_that_holds_nothing_leaves_no_record),
        TEST(callbacks_take_slots_in_turn),
        TEST(a_lock_that_was_waited_for_is_announced),
        TEST(too_many_are_asked_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
