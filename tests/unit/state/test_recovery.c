/* Recovery records, the grace period and crashes in the middle of it, courtesy to expired clients. */
#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>

static enum state_status open_as(
    struct peer *peer, uint64_t inode, bool reclaim, struct state_stateid *out)
{
    struct state_caller caller = peer_caller(peer);
    struct state_open_args args = { .file = fixture_file(peer->f, inode),
        .owner = slice_str("o"),
        .access = STATE_SHARE_BOTH,
        .reclaim = reclaim };
    struct state_opened opened;
    enum state_status status = state_open(&caller, &args, &opened);
    if (status == STATE_OK)
        *out = opened.stateid;
    return status;
}

static enum state_status reclaim(struct peer *peer, uint64_t inode)
{
    struct state_stateid out;
    return open_as(peer, inode, true, &out);
}

static enum state_status open_new(struct peer *peer, uint64_t inode)
{
    struct state_stateid out;
    return open_as(peer, inode, false, &out);
}

/* The client finds that the server has restarted. */
static void reconnect(struct peer *peer)
{
    peer->server = peer->f->server;
    struct state_caller caller;
    assert_int_equal(peer_sequence(peer, &caller), STATE_BADSESSION);
    peer_connect(peer);
}

/* ---- grace ---- */

static void nothing_to_reclaim_means_no_grace(void **state)
{
    struct fixture *f = *state;
    assert_false(state_files_in_grace(f->files));
    struct peer alice = peer_ready(f, "alice");
    assert_int_equal(open_new(&alice, 1), STATE_OK);
    assert_int_equal(reclaim(&alice, 2), STATE_NO_GRACE);
    struct peer idle = peer_ready(f, "idle"); /* never opens anything: no record */
    (void)idle;
    assert_int_equal(fake_record_count(&f->fs), 1);
    struct state_caller caller = peer_caller(&alice);
    assert_int_equal(state_reclaim_complete(&caller, NULL), STATE_COMPLETE_ALREADY);
    assert_int_equal(state_reclaim_complete(&caller, f->files), STATE_OK); /* of one file system */
}

static void a_new_client_says_first_that_it_reclaims_nothing(void **state)
{
    struct fixture *f = *state;
    struct peer alice = peer_of(f, "alice");
    peer_connect(&alice);
    assert_int_equal(open_new(&alice, 1), STATE_GRACE);
    assert_int_equal(reclaim(&alice, 1), STATE_NO_GRACE);
    struct state_caller caller = peer_caller(&alice);
    assert_int_equal(state_reclaim_complete(&caller, f->files), STATE_OK);
    assert_int_equal(open_new(&alice, 1), STATE_GRACE); /* that was not the global one */
    assert_int_equal(peer_reclaim_complete(&alice), STATE_OK);
    assert_int_equal(open_new(&alice, 1), STATE_OK);
}

static void grace_ends_when_all_have_reclaimed(void **state)
{
    struct fixture *f = *state;
    struct peer alice = peer_ready(f, "alice"), bob = peer_ready(f, "bob");
    assert_int_equal(open_new(&alice, 1), STATE_OK);
    assert_int_equal(open_new(&bob, 2), STATE_OK);
    fixture_restart(f);
    assert_true(state_files_in_grace(f->files));

    struct peer carol = peer_of(f, "carol");
    peer_connect(&carol);
    assert_int_equal(reclaim(&carol, 1), STATE_RECLAIM_BAD);
    assert_int_equal(peer_reclaim_complete(&carol), STATE_OK);
    assert_int_equal(open_new(&carol, 3), STATE_GRACE);

    reconnect(&alice);
    assert_int_equal(open_new(&alice, 1), STATE_GRACE);
    assert_int_equal(reclaim(&alice, 1), STATE_OK);
    assert_int_equal(peer_reclaim_complete(&alice), STATE_OK);
    assert_int_equal(reclaim(&alice, 4), STATE_NO_GRACE);
    assert_int_equal(open_new(&alice, 4), STATE_GRACE); /* bob is not back */
    reconnect(&bob);
    assert_int_equal(reclaim(&bob, 2), STATE_OK);
    assert_true(state_files_in_grace(f->files));
    assert_int_equal(peer_reclaim_complete(&bob), STATE_OK);
    assert_false(state_files_in_grace(f->files));
    assert_int_equal(fake_record_count(&f->fs), 2); /* of this incarnation */
    assert_int_equal(open_new(&carol, 3), STATE_OK);
    assert_int_equal(open_new(&alice, 4), STATE_OK);
}

static void grace_ends_with_the_time_and_those_who_missed_it_lose_their_rights(void **state)
{
    struct fixture *f = *state;
    struct peer alice = peer_ready(f, "alice"), bob = peer_ready(f, "bob");
    assert_int_equal(open_new(&alice, 1), STATE_OK);
    assert_int_equal(open_new(&bob, 2), STATE_OK);
    fixture_restart(f);
    reconnect(&alice);
    assert_int_equal(reclaim(&alice, 1), STATE_OK);
    assert_int_equal(peer_reclaim_complete(&alice), STATE_OK);
    f->now_ms += LEASE_MS - 1;
    assert_int_equal(open_new(&alice, 2), STATE_GRACE);
    f->now_ms += 1;
    assert_int_equal(open_new(&alice, 2), STATE_OK); /* found by the request, without a tick */
    reconnect(&bob);
    assert_int_equal(reclaim(&bob, 2), STATE_NO_GRACE);
    /* Nor after a second crash: bob's record is gone, alice's is there. */
    fixture_restart(f);
    reconnect(&bob);
    assert_int_equal(reclaim(&bob, 2), STATE_RECLAIM_BAD);
    reconnect(&alice);
    assert_int_equal(reclaim(&alice, 1), STATE_OK);
    assert_int_equal(reclaim(&alice, 2), STATE_OK);
}

static void a_crash_in_grace_loses_nobodys_rights(void **state)
{
    struct fixture *f = *state;
    struct peer alice = peer_ready(f, "alice"), bob = peer_ready(f, "bob");
    assert_int_equal(open_new(&alice, 1), STATE_OK);
    assert_int_equal(open_new(&bob, 2), STATE_OK);
    for (int crash = 0; crash < 5; crash++) {
        fixture_restart(f);
        reconnect(&alice);
        assert_int_equal(reclaim(&alice, 1), STATE_OK);
        if (crash % 2 == 1)
            assert_int_equal(peer_reclaim_complete(&alice), STATE_OK);
        f->now_ms += LEASE_MS / 2;
        state_tick(f->state, f->now_ms);
        assert_true(state_files_in_grace(f->files));
    }
    fixture_restart(f);
    reconnect(&bob);
    assert_int_equal(reclaim(&bob, 2), STATE_OK);
    assert_int_equal(peer_reclaim_complete(&bob), STATE_OK);
    reconnect(&alice);
    assert_int_equal(reclaim(&alice, 1), STATE_OK);
    assert_int_equal(peer_reclaim_complete(&alice), STATE_OK);
    assert_false(state_files_in_grace(f->files));
    assert_int_equal(fake_record_count(&f->fs), 2);
}

static void grace_goes_on_while_old_records_cannot_be_deleted(void **state)
{
    struct fixture *f = *state;
    struct peer alice = peer_ready(f, "alice");
    assert_int_equal(open_new(&alice, 1), STATE_OK);
    fixture_restart(f);
    reconnect(&alice);
    f->fs.delete_error = -EIO;
    assert_int_equal(peer_reclaim_complete(&alice), STATE_OK);
    assert_true(state_files_in_grace(f->files));
    assert_int_equal(open_new(&alice, 1), STATE_GRACE);
    f->fs.delete_error = 0;
    fixture_elapse(f, 1000);
    assert_false(state_files_in_grace(f->files));
    assert_int_equal(open_new(&alice, 1), STATE_OK);
}

static void a_record_that_cannot_be_written_grants_nothing(void **state)
{
    struct fixture *f = *state;
    struct peer alice = peer_ready(f, "alice");
    f->fs.put_error = -EIO;
    assert_int_equal(open_new(&alice, 1), STATE_IO);
    f->fs.put_error = -ENOMEM;
    assert_int_equal(open_new(&alice, 1), STATE_DELAY);
    assert_false(state_file_is_open(f->files, fixture_file(f, 1).key));
    f->fs.put_error = 0;
    assert_int_equal(open_new(&alice, 1), STATE_OK);
    assert_int_equal(open_new(&alice, 2), STATE_OK);
    assert_int_equal(f->fs.put_count, 1); /* once for all its opens */
}

static void a_stranger_with_the_name_of_a_client_cannot_reclaim(void **state)
{
    struct fixture *f = *state;
    struct peer alice = peer_ready(f, "alice");
    assert_int_equal(open_new(&alice, 1), STATE_OK);
    fixture_restart(f);
    struct peer evil = peer_of(f, "alice");
    evil.principal = "sys:0:evil";
    peer_connect(&evil);
    assert_int_equal(reclaim(&evil, 1), STATE_RECLAIM_BAD);
    assert_int_equal(peer_reclaim_complete(&evil), STATE_OK);
    assert_true(state_files_in_grace(f->files)); /* alice is still expected */
    struct peer view = peer_of(f, "alice"); /* the same name at another server is someone else */
    view.server = f->other_server;
    peer_connect(&view);
    assert_int_equal(reclaim(&view, 1), STATE_RECLAIM_BAD);
}

static void locks_follow_grace_as_opens_do(void **state)
{
    struct fixture *f = *state;
    struct peer alice = peer_ready(f, "alice");
    assert_int_equal(open_new(&alice, 1), STATE_OK);
    fixture_restart(f);
    reconnect(&alice);
    struct state_stateid open;
    assert_int_equal(open_as(&alice, 1, true, &open), STATE_OK);
    struct state_caller caller = peer_caller(&alice);
    struct state_lock_args args = { .file = fixture_file(f, 1),
        .range = { STATE_LOCK_WRITE, 0, 10 },
        .new_owner = true,
        .stateid = open,
        .owner = slice_str("l") };
    struct state_stateid lock;
    struct state_lock_denied denied;
    assert_int_equal(state_lock(&caller, &args, &lock, &denied), STATE_GRACE);
    assert_int_equal(
        state_lock_test(&caller, &args.file, &args.range, 0, args.owner, &denied), STATE_GRACE);
    args.reclaim = true;
    assert_int_equal(state_lock(&caller, &args, &lock, &denied), STATE_OK);
    assert_int_equal(peer_reclaim_complete(&alice), STATE_OK);
    assert_int_equal(state_lock(&caller, &args, &lock, &denied), STATE_NO_GRACE);
    args.reclaim = false;
    assert_int_equal(state_lock(&caller, &args, &lock, &denied), STATE_OK);
}

static void damaged_records_are_refused(void **state)
{
    struct fixture *f = *state;
    struct peer alice = peer_ready(f, "alice");
    assert_int_equal(open_new(&alice, 1), STATE_OK);
    const struct fake_record *record = &f->fs.records[0];
    struct slice key = slice_of(record->key, 8);
    for (size_t size = 0; size < record->size; size++)
        assert_int_equal(
            state_files_recover(f->files, key, slice_of(record->value, size)), -EBADMSG);
    uint8_t longer[4096] = { 0 };
    memcpy(longer, record->value, record->size);
    assert_int_equal(
        state_files_recover(f->files, key, slice_of(longer, record->size + 1)), -EBADMSG);
    longer[0] = 3; /* of a later version */
    assert_int_equal(state_files_recover(f->files, key, slice_of(longer, record->size)), -EBADMSG);
    longer[0] = record->value[0];
    longer[1] = 3; /* of no kind that there is */
    assert_int_equal(state_files_recover(f->files, key, slice_of(longer, record->size)), -EBADMSG);
    assert_int_equal(state_files_recover(
                         f->files, slice_of(record->key, 7), slice_of(record->value, record->size)),
        -EBADMSG);
}

static void a_record_of_version_1_still_gives_rights(void **state)
{
    struct fixture *f = *state;
    struct peer alice = peer_ready(f, "alice");
    assert_int_equal(open_new(&alice, 1), STATE_OK);
    struct fake_record *record = &f->fs.records[0];
    const size_t added = 1 + STATE_VERIFIER_SIZE; /* by version 2 */
    record->value[0] = 1;
    record->size -= added;
    memmove(record->value + 1, record->value + 1 + added, record->size - 1);
    fixture_restart(f);
    assert_true(state_files_in_grace(f->files));
    reconnect(&alice);
    assert_int_equal(reclaim(&alice, 1), STATE_OK);
    assert_int_equal(peer_reclaim_complete(&alice), STATE_OK);
    assert_false(state_files_in_grace(f->files));
}

/* ---- records that no restart should wait for ---- */

/* Lets time pass in which the client renews its lease. */
static void live_on(struct peer *peer, uint64_t ms)
{
    for (uint64_t passed = 0; passed < ms; passed += LEASE_MS / 8) {
        fixture_elapse(peer->f, LEASE_MS / 8);
        (void)peer_caller(peer);
    }
}

static void who_holds_nothing_for_a_lease_leaves_no_grace(void **state)
{
    struct fixture *f = *state;
    struct peer alice = peer_ready(f, "alice"), bob = peer_ready(f, "bob");
    struct state_stateid a, b;
    assert_int_equal(open_as(&alice, 1, false, &a), STATE_OK);
    assert_int_equal(open_as(&bob, 2, false, &b), STATE_OK);
    live_on(&alice, 4 * LEASE_MS); /* bob is silent, and holds something */
    assert_int_equal(fake_record_count(&f->fs), 2);
    assert_int_equal(peer_close(&alice, 1, &a), STATE_OK);
    live_on(&alice, LEASE_MS / 2);
    assert_int_equal(fake_record_count(&f->fs), 2); /* it may open something soon */
    live_on(&alice, LEASE_MS);
    assert_int_equal(fake_record_count(&f->fs), 1);
    (void)peer_caller(&bob);
    assert_int_equal(peer_close(&bob, 2, &b), STATE_OK);
    live_on(&bob, 2 * LEASE_MS);
    assert_int_equal(fake_record_count(&f->fs), 0);
    /* And the next open has one before it is answered. */
    assert_int_equal(open_as(&bob, 3, false, &b), STATE_OK);
    assert_int_equal(fake_record_count(&f->fs), 1);
    assert_int_equal(peer_close(&bob, 3, &b), STATE_OK);
    live_on(&bob, 2 * LEASE_MS);
    fixture_restart(f);
    assert_false(state_files_in_grace(f->files));
}

static void a_record_in_use_is_not_forgotten(void **state)
{
    struct fixture *f = *state;
    struct peer alice = peer_ready(f, "alice");
    struct state_stateid a;
    for (int i = 0; i < 40; i++) { /* it never holds anything when it is looked at */
        assert_int_equal(open_as(&alice, 1, false, &a), STATE_OK);
        assert_int_equal(peer_close(&alice, 1, &a), STATE_OK);
        live_on(&alice, LEASE_MS / 4);
    }
    assert_int_equal(f->fs.put_count, 1);
}

static void who_is_silent_for_long_keeps_no_restart_waiting(void **state)
{
    struct fixture *f = *state;
    struct peer alice = peer_ready(f, "alice");
    struct state_stateid a;
    assert_int_equal(open_as(&alice, 1, false, &a), STATE_OK);
    fixture_elapse(f, 10 * LEASE_MS);
    assert_int_equal(fake_record_count(&f->fs), 1);
    f->fs.delete_error = -EIO;
    fixture_elapse(f, 1);
    assert_int_equal(fake_record_count(&f->fs), 1);
    f->fs.delete_error = 0;
    fixture_elapse(f, 1000);
    assert_int_equal(fake_record_count(&f->fs), 0);
    assert_true(
        state_file_is_open(f->files, fixture_file(f, 1).key)); /* as long as nobody wants it */
    fixture_restart(f);
    assert_false(state_files_in_grace(f->files));
    reconnect(&alice);
    assert_int_equal(reclaim(&alice, 1), STATE_NO_GRACE);
}

static void who_comes_back_after_long_has_a_record_again(void **state)
{
    struct fixture *f = *state;
    struct peer alice = peer_ready(f, "alice"), bob = peer_ready(f, "bob");
    struct state_stateid a, b;
    assert_int_equal(open_as(&alice, 1, false, &a), STATE_OK);
    assert_int_equal(open_as(&bob, 2, false, &b), STATE_OK);
    fixture_elapse(f, 11 * LEASE_MS);
    assert_int_equal(fake_record_count(&f->fs), 0);
    assert_int_equal(open_as(&bob, 3, false, &b), STATE_OK); /* at once, as it gets more */
    assert_int_equal(fake_record_count(&f->fs), 1);
    (void)peer_caller(&alice);
    f->fs.put_error = -EIO;
    fixture_elapse(f, 1000);
    assert_int_equal(fake_record_count(&f->fs), 1);
    f->fs.put_error = 0;
    fixture_elapse(f, 1000);
    assert_int_equal(fake_record_count(&f->fs), 2);
    fixture_restart(f);
    reconnect(&alice);
    assert_int_equal(reclaim(&alice, 1), STATE_OK);
}

/* ---- courtesy ---- */

static void an_expired_client_keeps_what_nobody_wants(void **state)
{
    struct fixture *f = *state;
    struct peer alice = peer_ready(f, "alice"), bob = peer_ready(f, "bob");
    struct state_stateid a, b;
    assert_int_equal(open_as(&alice, 1, false, &a), STATE_OK);
    fixture_elapse(f, 100 * LEASE_MS);
    assert_int_equal(open_as(&bob, 1, false, &b), STATE_OK); /* no conflict */
    assert_int_equal(peer_close(&alice, 1, &a), STATE_OK);
    struct state_counts counts;
    state_count(f->state, f->now_ms, &counts);
    assert_int_equal(counts.clients_expired, 0);
}

static void an_expired_client_loses_everything_at_a_conflict(void **state)
{
    struct fixture *f = *state;
    struct peer alice = peer_ready(f, "alice"), bob = peer_ready(f, "bob");
    struct state_stateid a, b, lock;
    struct state_lock_range range = { STATE_LOCK_WRITE, 0, 10 };
    assert_int_equal(open_as(&alice, 1, false, &a), STATE_OK);
    assert_int_equal(open_new(&alice, 2), STATE_OK);
    assert_int_equal(peer_lock(&alice, 1, &a, "l", range, &lock), STATE_OK);
    assert_int_equal(open_as(&bob, 1, false, &b), STATE_OK);
    f->now_ms += LEASE_MS;
    assert_int_equal(peer_lock(&bob, 1, &b, "l", range, &lock), STATE_DENIED); /* not yet over */
    f->now_ms += 1;
    assert_int_equal(peer_lock(&bob, 1, &b, "l", range, &lock), STATE_OK);
    struct state_caller caller;
    assert_int_equal(peer_sequence(&alice, &caller), STATE_BADSESSION);
    struct state_session_created created;
    assert_int_equal(peer_create(&alice, 2, &created), STATE_STALE_CLIENTID);
    assert_int_equal(fake_record_count(&f->fs), 1); /* bob's */
    assert_int_equal(fake_hold_count(&f->fs, fixture_file(f, 2).key), 0);
    struct state_counts counts;
    state_count(f->state, f->now_ms, &counts);
    assert_int_equal(counts.clients_expired, 1);
    /* And no restart gives it back. */
    fixture_restart(f);
    alice.server = f->server;
    peer_connect(&alice);
    assert_int_equal(reclaim(&alice, 1), STATE_RECLAIM_BAD);
}

static void shares_and_tests_of_locks_and_special_stateids_expire_too(void **state)
{
    struct fixture *f = *state;
    const struct state_stateid anonymous = { .seqid = 0 };
    struct peer bob = peer_ready(f, "bob");
    for (uint64_t i = 0; i < 3; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "alice-%u", (unsigned)i);
        struct peer alice = peer_ready(f, name);
        struct state_stateid a, b, lock;
        assert_int_equal(
            peer_open_deny(&alice, "o", i, STATE_SHARE_BOTH, STATE_SHARE_WRITE, &a), STATE_OK);
        struct state_lock_range range = { STATE_LOCK_WRITE, 0, 10 };
        assert_int_equal(peer_lock(&alice, i, &a, "l", range, &lock), STATE_OK);
        f->now_ms += LEASE_MS + 1;
        struct state_caller caller = peer_caller(&bob);
        struct state_file_ref file = fixture_file(f, i);
        struct state_lock_denied denied;
        struct state_io_grant grant;
        enum state_status status;
        if (i == 0)
            status = peer_open(&bob, i, STATE_SHARE_WRITE, &b);
        else if (i == 1)
            status = state_lock_test(&caller, &file, &range, 0, slice_str("l"), &denied);
        else
            status = state_io_check(&caller, &file, &anonymous, STATE_IO_WRITE, &grant);
        assert_int_equal(status, STATE_OK);
        assert_int_equal(peer_sequence(&alice, &caller), STATE_BADSESSION);
    }
}

static void a_live_rival_saves_the_expired_ones(void **state)
{
    struct fixture *f = *state;
    struct peer alice = peer_ready(f, "alice"), bob = peer_ready(f, "bob");
    struct peer carol = peer_ready(f, "carol");
    struct state_stateid a, b, c;
    assert_int_equal(peer_open(&alice, 1, STATE_SHARE_WRITE, &a), STATE_OK);
    assert_int_equal(peer_open(&bob, 1, STATE_SHARE_WRITE, &b), STATE_OK);
    f->now_ms += LEASE_MS + 1;
    (void)peer_caller(&bob);
    assert_int_equal(peer_open_deny(&carol, "o", 1, STATE_SHARE_READ, STATE_SHARE_WRITE, &c),
        STATE_SHARE_DENIED);
    (void)peer_caller(&alice); /* it was not touched */
    f->now_ms += LEASE_MS + 1;
    assert_int_equal(
        peer_open_deny(&carol, "o", 1, STATE_SHARE_READ, STATE_SHARE_WRITE, &c), STATE_OK);
    struct state_caller caller;
    assert_int_equal(peer_sequence(&alice, &caller), STATE_BADSESSION);
    assert_int_equal(peer_sequence(&bob, &caller), STATE_BADSESSION);
}

static void an_expired_client_whose_record_stays_goes_on_holding(void **state)
{
    struct fixture *f = *state;
    struct peer alice = peer_ready(f, "alice"), bob = peer_ready(f, "bob");
    struct state_stateid a, b;
    assert_int_equal(
        peer_open_deny(&alice, "o", 1, STATE_SHARE_BOTH, STATE_SHARE_BOTH, &a), STATE_OK);
    assert_int_equal(open_new(&bob, 2), STATE_OK);
    f->now_ms += LEASE_MS + 1;
    f->fs.delete_error = -EIO;
    assert_int_equal(peer_open(&bob, 1, STATE_SHARE_READ, &b), STATE_DELAY);
    assert_int_equal(peer_open(&bob, 1, STATE_SHARE_READ, &b), STATE_DELAY);
    struct state_caller caller;
    assert_int_equal(peer_sequence(&alice, &caller), STATE_BADSESSION);
    f->fs.delete_error = 0;
    state_tick(f->state, f->now_ms);
    assert_int_equal(peer_open(&bob, 1, STATE_SHARE_READ, &b), STATE_OK);
}

static void courtesy_has_an_end(void **state)
{
    struct fixture *f = *state;
    struct peer alice = peer_ready(f, "alice");
    assert_int_equal(open_new(&alice, 1), STATE_OK);
    fixture_elapse(f, LEASE_MS + f->options.courtesy_ms);
    struct state_counts counts;
    state_count(f->state, f->now_ms, &counts);
    assert_int_equal(counts.clients, 1);
    fixture_elapse(f, 1);
    state_count(f->state, f->now_ms, &counts);
    assert_int_equal(counts.clients, 0);
    assert_int_equal(counts.opens, 0);
    assert_int_equal(fake_record_count(&f->fs), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(nothing_to_reclaim_means_no_grace),
        TEST(a_new_client_says_first_that_it_reclaims_nothing),
        TEST(grace_ends_when_all_have_reclaimed),
        TEST(grace_ends_with_the_time_and_those_who_missed_it_lose_their_rights),
        TEST(a_crash_in_grace_loses_nobodys_rights),
        TEST(grace_goes_on_while_old_records_cannot_be_deleted),
        TEST(a_record_that_cannot_be_written_grants_nothing),
        TEST(a_stranger_with_the_name_of_a_client_cannot_reclaim),
        TEST(locks_follow_grace_as_opens_do),
        TEST(damaged_records_are_refused),
        TEST(a_record_of_version_1_still_gives_rights),
        TEST(who_holds_nothing_for_a_lease_leaves_no_grace),
        TEST(a_record_in_use_is_not_forgotten),
        TEST(who_is_silent_for_long_keeps_no_restart_waiting),
        TEST(who_comes_back_after_long_has_a_record_again),
        TEST(an_expired_client_keeps_what_nobody_wants),
        TEST(an_expired_client_loses_everything_at_a_conflict),
        TEST(shares_and_tests_of_locks_and_special_stateids_expire_too),
        TEST(a_live_rival_saves_the_expired_ones),
        TEST(an_expired_client_whose_record_stays_goes_on_holding),
        TEST(courtesy_has_an_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
