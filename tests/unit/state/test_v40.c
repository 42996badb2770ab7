/* Version 4.0: SETCLIENTID's cases, RENEW, and owners whose operations are numbered and retried. */
#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>

#include "state/v40.h"

/* A client of 4.0 as it knows itself. */
struct mac {
    struct fixture *f;
    const char *name;
    const char *principal;
    uint64_t verifier;
    struct state_setclientid_done done;
};

static enum state_status set_clientid(struct mac *mac)
{
    static const struct state_callback callback = { .program = 0x40000000, .ident = 1 };
    uint8_t verifier[STATE_VERIFIER_SIZE];
    memcpy(verifier, &mac->verifier, sizeof verifier);
    struct state_setclientid args = { .owner = slice_str(mac->name),
        .verifier = verifier,
        .principal = slice_str(mac->principal),
        .callback = &callback };
    struct state_callback in_use;
    return state_setclientid(mac->f->server, &args, mac->f->now_ms, &mac->done, &in_use);
}

static enum state_status confirm(struct mac *mac)
{
    return state_setclientid_confirm(mac->f->server, mac->done.clientid, mac->done.confirm,
        slice_str(mac->principal), mac->f->now_ms);
}

static struct mac mac_of(struct fixture *f, const char *name)
{
    return (struct mac){ .f = f, .name = name, .principal = "sys:501:mac", .verifier = 7 };
}

static struct mac mac_ready(struct fixture *f, const char *name)
{
    struct mac mac = mac_of(f, name);
    assert_int_equal(set_clientid(&mac), STATE_OK);
    assert_int_equal(confirm(&mac), STATE_OK);
    return mac;
}

static struct state_caller caller_of(const struct mac *mac)
{
    return (struct state_caller){ .server = mac->f->server, .now_ms = mac->f->now_ms };
}

/* ---- operations in their turns, with replies that name them ---- */

struct outcome {
    enum state_status status; /* of the turn, or of the operation */
    bool is_replay, needs_confirm;
    char reply[64];
    struct state_stateid stateid;
};

static void finish(struct state_turn *turn, struct outcome *outcome, const char *reply,
    const struct state_file_ref *file)
{
    outcome->is_replay = turn->is_replay;
    outcome->needs_confirm = turn->needs_confirm;
    if (turn->is_replay) {
        memcpy(outcome->reply, turn->replay.data, turn->replay.size);
        outcome->reply[turn->replay.size] = '\0';
    } else {
        (void)snprintf(outcome->reply, sizeof outcome->reply, "%s", reply);
    }
    state_turn_end(turn, outcome->status, slice_str(reply), file);
}

static struct outcome do_open(
    struct mac *mac, const char *owner, uint64_t inode, uint32_t seqid, const char *reply)
{
    struct state_caller caller = caller_of(mac);
    struct state_turn turn;
    struct outcome outcome = { .status = state_turn_begin_open(
                                   &caller, mac->done.clientid, slice_str(owner), seqid, &turn) };
    if (outcome.status != STATE_OK)
        return outcome;
    struct state_open_args args = {
        .file = fixture_file(mac->f, inode), .owner = slice_str(owner), .access = STATE_SHARE_BOTH
    };
    struct state_opened opened;
    if (!turn.is_replay) {
        caller.client = turn.client;
        outcome.status = state_open(&caller, &args, &opened);
        outcome.stateid = opened.stateid;
    } else {
        assert_true(turn.has_replay_file);
        assert_int_equal(turn.replay_file.key.inode, inode);
    }
    finish(&turn, &outcome, reply, outcome.status == STATE_OK ? &args.file : NULL);
    return outcome;
}

enum what { CONFIRM, CLOSE, DOWNGRADE, LOCK_AGAIN, LOCKU };

static struct outcome act(struct mac *mac, enum what what, uint64_t inode,
    const struct state_stateid *stateid, uint32_t seqid, const char *reply)
{
    struct state_caller caller = caller_of(mac);
    struct state_turn turn;
    struct outcome outcome = { .status = state_turn_begin(
                                   &caller, stateid, seqid, what == CONFIRM, &turn) };
    if (outcome.status != STATE_OK)
        return outcome;
    struct state_file_ref file = fixture_file(mac->f, inode);
    struct state_lock_args lock = {
        .file = file, .range = { STATE_LOCK_WRITE, 0, 10 }, .stateid = *stateid
    };
    struct state_lock_denied denied;
    caller.client = turn.client;
    if (turn.is_replay)
        outcome.status = STATE_OK;
    else if (what == CONFIRM)
        outcome.status = state_open_confirm(&caller, &file, stateid, &outcome.stateid);
    else if (what == CLOSE)
        outcome.status = state_close(&caller, &file, stateid, &outcome.stateid);
    else if (what == DOWNGRADE)
        outcome.status =
            state_open_downgrade(&caller, &file, stateid, STATE_SHARE_BOTH, 0, &outcome.stateid);
    else if (what == LOCK_AGAIN)
        outcome.status = state_lock(&caller, &lock, &outcome.stateid, &denied);
    else
        outcome.status = state_unlock(&caller, &file, &lock.range, stateid, &outcome.stateid);
    finish(&turn, &outcome, reply, NULL);
    return outcome;
}

/* LOCK of file 1 by a new lock owner. */
static struct outcome do_lock(struct mac *mac, const struct state_stateid *open,
    uint32_t open_seqid, const char *owner, uint32_t lock_seqid, const char *reply)
{
    struct state_caller caller = caller_of(mac);
    struct state_turn turn;
    struct outcome outcome = { .status = state_turn_begin_lock(&caller, open, open_seqid,
                                   slice_str(owner), lock_seqid, &turn) };
    if (outcome.status != STATE_OK)
        return outcome;
    struct state_lock_args args = { .file = fixture_file(mac->f, 1),
        .range = { STATE_LOCK_WRITE, 0, 10 },
        .new_owner = true,
        .stateid = *open,
        .owner = slice_str(owner) };
    struct state_lock_denied denied;
    caller.client = turn.client;
    if (!turn.is_replay)
        outcome.status = state_lock(&caller, &args, &outcome.stateid, &denied);
    finish(&turn, &outcome, reply, NULL);
    return outcome;
}

/* An open of a confirmed owner; its next seqid is *seqid + 1. */
static struct state_stateid opened(
    struct mac *mac, const char *owner, uint64_t inode, uint32_t *seqid)
{
    struct outcome open = do_open(mac, owner, inode, ++*seqid, "open");
    assert_int_equal(open.status, STATE_OK);
    if (!open.needs_confirm)
        return open.stateid;
    struct outcome confirmed = act(mac, CONFIRM, inode, &open.stateid, ++*seqid, "confirm");
    assert_int_equal(confirmed.status, STATE_OK);
    return confirmed.stateid;
}

static enum state_status read_check(
    struct mac *mac, uint64_t inode, const struct state_stateid *stateid)
{
    struct state_caller caller = caller_of(mac);
    struct state_file_ref file = fixture_file(mac->f, inode);
    struct state_io_grant grant;
    return state_io_check(&caller, &file, stateid, STATE_IO_READ, &grant);
}

/* ---- clients ---- */

static void setclientid_follows_its_five_cases(void **state)
{
    struct fixture *f = *state;
    struct mac mac = mac_of(f, "mac");
    assert_int_equal(set_clientid(&mac), STATE_OK); /* nothing known */
    struct state_setclientid_done first = mac.done;
    assert_int_equal(set_clientid(&mac), STATE_OK); /* replaces an unconfirmed one */
    assert_true(mac.done.clientid != first.clientid);
    struct mac late = mac;
    late.done = first;
    assert_int_equal(confirm(&late), STATE_STALE_CLIENTID);
    assert_int_equal(confirm(&mac), STATE_OK);
    assert_int_equal(confirm(&mac), STATE_OK); /* a retry */

    struct mac update = mac; /* another callback: the clientid stays, the verifier changes */
    assert_int_equal(set_clientid(&update), STATE_OK);
    assert_true(update.done.clientid == mac.done.clientid);
    assert_memory_not_equal(update.done.confirm, mac.done.confirm, STATE_CONFIRM_SIZE);
    assert_int_equal(confirm(&update), STATE_OK);
    assert_int_equal(confirm(&update), STATE_OK);

    struct mac reboot = update;
    reboot.verifier = 8;
    assert_int_equal(set_clientid(&reboot), STATE_OK);
    assert_true(reboot.done.clientid != update.done.clientid);
    assert_int_equal(state_renew(f->server, update.done.clientid, f->now_ms), STATE_OK);
    assert_int_equal(state_renew(f->server, reboot.done.clientid, f->now_ms), STATE_STALE_CLIENTID);
    assert_int_equal(confirm(&reboot), STATE_OK);
    assert_int_equal(state_renew(f->server, update.done.clientid, f->now_ms), STATE_EXPIRED);
    assert_int_equal(state_renew(f->server, reboot.done.clientid, f->now_ms), STATE_OK);
}

static void another_principal_gets_a_name_only_when_it_is_idle(void **state)
{
    struct fixture *f = *state;
    struct mac mac = mac_ready(f, "mac"), other = mac_of(f, "mac");
    other.principal = "sys:502:other";
    uint32_t seqid = 0;
    struct state_stateid stateid = opened(&mac, "o", 1, &seqid);
    assert_int_equal(set_clientid(&other), STATE_CLID_INUSE);
    struct mac wrong = mac;
    wrong.principal = other.principal;
    assert_int_equal(confirm(&wrong), STATE_CLID_INUSE);
    assert_int_equal(act(&mac, CLOSE, 1, &stateid, ++seqid, "close").status, STATE_OK);
    assert_int_equal(set_clientid(&other), STATE_OK);
}

static void updating_the_callback_keeps_the_state_and_a_reboot_drops_it(void **state)
{
    struct fixture *f = *state;
    struct mac mac = mac_ready(f, "mac");
    uint32_t seqid = 0;
    struct state_stateid stateid = opened(&mac, "o", 1, &seqid);
    assert_int_equal(set_clientid(&mac), STATE_OK);
    assert_int_equal(confirm(&mac), STATE_OK);
    assert_int_equal(read_check(&mac, 1, &stateid), STATE_OK);
    struct mac again = mac;
    again.verifier = 9;
    assert_int_equal(set_clientid(&again), STATE_OK);
    assert_int_equal(read_check(&mac, 1, &stateid), STATE_OK);
    assert_int_equal(confirm(&again), STATE_OK);
    assert_int_equal(read_check(&mac, 1, &stateid), STATE_EXPIRED);
    assert_int_equal(fake_hold_count(&f->fs, fixture_file(f, 1).key), 0);
    assert_int_equal(fake_record_count(&f->fs), 0);
}

static void names_of_4_0_and_4_1_are_different_clients(void **state)
{
    struct fixture *f = *state;
    struct peer peer = peer_ready(f, "same");
    struct mac mac = mac_ready(f, "same");
    assert_true(mac.done.clientid != peer.clientid);
    (void)peer_caller(&peer);
    assert_int_equal(state_renew(f->server, peer.clientid, f->now_ms), STATE_STALE_CLIENTID);
    peer.clientid = mac.done.clientid;
    struct state_session_created created;
    assert_int_equal(peer_create(&peer, 1, &created), STATE_STALE_CLIENTID);
    struct mac wrong = mac;
    wrong.done.clientid = peer_ready(f, "third").clientid;
    assert_int_equal(confirm(&wrong), STATE_STALE_CLIENTID);
}

static void renew_keeps_the_lease(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(state_renew(f->server, 0, f->now_ms), STATE_STALE_CLIENTID);
    struct mac mac = mac_ready(f, "mac");
    struct peer rival = peer_ready(f, "rival");
    uint32_t seqid = 0;
    (void)opened(&mac, "o", 1, &seqid);
    struct state_stateid stateid;
    for (int i = 0; i < 3; i++) {
        f->now_ms += LEASE_MS;
        assert_int_equal(state_renew(f->server, mac.done.clientid, f->now_ms), STATE_OK);
        assert_int_equal(
            peer_open_deny(&rival, "o", 1, STATE_SHARE_READ, STATE_SHARE_WRITE, &stateid),
            STATE_SHARE_DENIED);
    }
    f->now_ms += LEASE_MS + 1;
    assert_int_equal(
        peer_open_deny(&rival, "o", 1, STATE_SHARE_READ, STATE_SHARE_WRITE, &stateid), STATE_OK);
    assert_int_equal(state_renew(f->server, mac.done.clientid, f->now_ms), STATE_EXPIRED);
    assert_int_equal(do_open(&mac, "o", 2, ++seqid, "").status, STATE_EXPIRED);
}

/* ---- opens ---- */

static void a_new_open_owner_has_to_confirm(void **state)
{
    struct fixture *f = *state;
    struct mac mac = mac_ready(f, "mac");
    struct outcome open = do_open(&mac, "o", 1, 100, "first");
    assert_int_equal(open.status, STATE_OK);
    assert_true(open.needs_confirm);
    assert_int_equal(open.stateid.seqid, 1);
    assert_int_equal(read_check(&mac, 1, &open.stateid), STATE_BAD_STATEID);
    assert_int_equal(act(&mac, CLOSE, 1, &open.stateid, 101, "").status, STATE_BAD_STATEID);
    assert_int_equal(act(&mac, CONFIRM, 1, &open.stateid, 50, "").status, STATE_BAD_SEQID);
    struct outcome confirmed = act(&mac, CONFIRM, 1, &open.stateid, 101, "confirmed");
    assert_int_equal(confirmed.status, STATE_OK);
    assert_int_equal(confirmed.stateid.seqid, 2);
    assert_int_equal(read_check(&mac, 1, &confirmed.stateid), STATE_OK);
    assert_int_equal(read_check(&mac, 1, &open.stateid), STATE_OLD_STATEID);
    assert_int_equal(act(&mac, CONFIRM, 1, &confirmed.stateid, 102, "").status, STATE_BAD_STATEID);
    open = do_open(&mac, "o", 2, 102, "second"); /* BAD_STATEID did not move the owner */
    assert_int_equal(open.status, STATE_OK);
    assert_false(open.needs_confirm);
    assert_int_equal(read_check(&mac, 2, &open.stateid), STATE_OK);
}

static void a_retry_gets_the_saved_reply(void **state)
{
    struct fixture *f = *state;
    struct mac mac = mac_ready(f, "mac");
    struct outcome open = do_open(&mac, "o", 1, 1, "reply of OPEN");
    for (int i = 0; i < 2; i++) {
        struct outcome retry = do_open(&mac, "o", 1, 1, "not run");
        assert_true(retry.is_replay);
        assert_string_equal(retry.reply, "reply of OPEN");
    }
    (void)act(&mac, CONFIRM, 1, &open.stateid, 2, "reply of CONFIRM");
    struct outcome retry = act(&mac, CONFIRM, 1, &open.stateid, 2, "");
    assert_true(retry.is_replay);
    assert_string_equal(retry.reply, "reply of CONFIRM");
    struct state_stateid stateid = open.stateid;
    stateid.seqid = 2;
    (void)act(&mac, CLOSE, 1, &stateid, 3, "reply of CLOSE");
    assert_int_equal(fake_hold_count(&f->fs, fixture_file(f, 1).key), 0);
    for (int i = 0; i < 2; i++) {
        retry = act(&mac, CLOSE, 1, &stateid, 3, "");
        assert_true(retry.is_replay);
        assert_string_equal(retry.reply, "reply of CLOSE");
    }
    assert_int_equal(act(&mac, CLOSE, 1, &stateid, 4, "").status, STATE_BAD_STATEID);
    assert_int_equal(read_check(&mac, 1, &stateid), STATE_BAD_STATEID);
    assert_int_equal(do_open(&mac, "o", 1, 9, "").status, STATE_BAD_SEQID);
    assert_int_equal(do_open(&mac, "o", 1, 2, "").status, STATE_BAD_SEQID);
    assert_int_equal(do_open(&mac, "o", 1, 4, "next").status, STATE_OK);
}

static void an_error_moves_the_owner_unless_it_is_about_the_numbers(void **state)
{
    struct fixture *f = *state;
    struct mac mac = mac_ready(f, "mac");
    uint32_t seqid = 0;
    (void)opened(&mac, "o", 1, &seqid);
    static const struct {
        int status;
        bool moves;
    } cases[] = { { STATE_NOENT, true }, { STATE_SHARE_DENIED, true }, { STATE_DELAY, true },
        { STATE_GRACE, true }, { STATE_BAD_STATEID, false }, { STATE_BAD_SEQID, false },
        { STATE_STALE_STATEID, false }, { STATE_STALE_CLIENTID, false }, { STATE_RESOURCE, false },
        { 10019, false }, { 10020, false }, { 10036, false }, { 13, true } };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct state_caller caller = caller_of(&mac);
        struct state_turn turn;
        assert_int_equal(
            state_turn_begin_open(&caller, mac.done.clientid, slice_str("o"), seqid + 1, &turn),
            STATE_OK);
        state_turn_end(&turn, (enum state_status)cases[i].status, slice_str("failed"), NULL);
        enum state_status next =
            state_turn_begin_open(&caller, mac.done.clientid, slice_str("o"), seqid + 2, &turn);
        assert_int_equal(next, cases[i].moves ? STATE_OK : STATE_BAD_SEQID);
        if (next == STATE_OK) {
            state_turn_end(&turn, STATE_OK, slice_str(""), NULL);
            seqid += 2;
        }
    }
}

static void an_unconfirmed_owner_may_start_afresh(void **state)
{
    struct fixture *f = *state;
    struct mac mac = mac_ready(f, "mac");
    assert_int_equal(do_open(&mac, "o", 1, 1, "lost").status, STATE_OK);
    struct outcome open = do_open(&mac, "o", 2, 77, "again"); /* it never saw the first answer */
    assert_int_equal(open.status, STATE_OK);
    assert_true(open.needs_confirm);
    assert_false(state_file_is_open(f->files, fixture_file(f, 1).key));
    assert_int_equal(fake_hold_count(&f->fs, fixture_file(f, 1).key), 0);
    assert_int_equal(act(&mac, CONFIRM, 2, &open.stateid, 78, "").status, STATE_OK);
}

static void one_turn_of_an_owner_runs_at_a_time(void **state)
{
    struct fixture *f = *state;
    struct mac mac = mac_ready(f, "mac");
    struct state_caller caller = caller_of(&mac);
    struct state_turn turn, other;
    assert_int_equal(
        state_turn_begin_open(&caller, mac.done.clientid, slice_str("o"), 1, &turn), STATE_OK);
    assert_int_equal(
        state_turn_begin_open(&caller, mac.done.clientid, slice_str("o"), 1, &other), STATE_DELAY);
    assert_int_equal(
        state_turn_begin_open(&caller, mac.done.clientid, slice_str("p"), 1, &other), STATE_OK);
    state_turn_end(&other, STATE_NOENT, slice_str(""), NULL);
    state_turn_end(&turn, STATE_NOENT, slice_str(""), NULL);
}

static void idle_owners_are_kept_for_a_lease(void **state)
{
    struct fixture *f = *state;
    f->options.owner_per_client_max = 4;
    fixture_restart(f);
    struct mac mac = mac_ready(f, "mac");
    uint32_t seqid = 0;
    struct state_stateid stateid = opened(&mac, "o", 1, &seqid);
    assert_int_equal(act(&mac, CLOSE, 1, &stateid, ++seqid, "closed").status, STATE_OK);
    f->now_ms += LEASE_MS / 2;
    assert_true(act(&mac, CLOSE, 1, &stateid, seqid, "").is_replay);
    f->now_ms += LEASE_MS / 2;
    assert_int_equal(state_renew(f->server, mac.done.clientid, f->now_ms), STATE_OK);
    f->now_ms += LEASE_MS;
    uint32_t other = 0;
    (void)opened(&mac, "p", 2, &other); /* a new owner: the old one is swept away */
    assert_int_equal(act(&mac, CLOSE, 1, &stateid, seqid, "").status, STATE_BAD_STATEID);
    /* At the limit the longest idle goes at once. */
    const char *names[] = { "a", "b", "c", "d", "e", "f" };
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        uint32_t turn = 0;
        struct state_stateid one = opened(&mac, names[i], 3, &turn);
        assert_int_equal(act(&mac, CLOSE, 3, &one, ++turn, "").status, STATE_OK);
    }
}

/* ---- locks ---- */

static void lock_owners_are_numbered_too(void **state)
{
    struct fixture *f = *state;
    struct mac mac = mac_ready(f, "mac");
    uint32_t seqid = 0;
    struct state_stateid open = opened(&mac, "o", 1, &seqid);
    struct outcome lock = do_lock(&mac, &open, ++seqid, "l", 10, "reply of LOCK");
    assert_int_equal(lock.status, STATE_OK);
    struct outcome retry = do_lock(&mac, &open, seqid, "l", 10, "");
    assert_true(retry.is_replay);
    assert_string_equal(retry.reply, "reply of LOCK");
    assert_int_equal(do_lock(&mac, &open, seqid + 1, "l", 10, "").status, STATE_BAD_SEQID);
    assert_int_equal(do_lock(&mac, &open, seqid + 5, "l", 11, "").status, STATE_BAD_SEQID);
    struct state_stateid stateid = lock.stateid;
    struct outcome again = act(&mac, LOCK_AGAIN, 1, &stateid, 11, "second");
    assert_int_equal(again.status, STATE_OK);
    assert_true(act(&mac, LOCK_AGAIN, 1, &stateid, 11, "").is_replay);
    struct outcome unlock = act(&mac, LOCKU, 1, &again.stateid, 12, "unlocked");
    assert_int_equal(unlock.status, STATE_OK);
    retry = act(&mac, LOCKU, 1, &again.stateid, 12, "");
    assert_true(retry.is_replay);
    assert_string_equal(retry.reply, "unlocked");
    assert_int_equal(act(&mac, LOCKU, 1, &unlock.stateid, 14, "").status, STATE_BAD_SEQID);
    assert_int_equal(act(&mac, CLOSE, 1, &open, ++seqid, "").status, STATE_OK);
}

static void a_denied_lock_is_retried_and_its_owner_may_come_again(void **state)
{
    struct fixture *f = *state;
    struct mac mac = mac_ready(f, "mac"), rival = mac_ready(f, "rival");
    uint32_t seqid = 0, rivals = 0;
    struct state_stateid open = opened(&mac, "o", 1, &seqid);
    struct state_stateid other = opened(&rival, "o", 1, &rivals);
    struct outcome held = do_lock(&rival, &other, ++rivals, "l", 0, "");
    assert_int_equal(held.status, STATE_OK);
    assert_int_equal(do_lock(&mac, &open, ++seqid, "l", 0, "denied").status, STATE_DENIED);
    struct outcome retry = do_lock(&mac, &open, seqid, "l", 0, "");
    assert_true(retry.is_replay);
    assert_string_equal(retry.reply, "denied");
    assert_int_equal(act(&rival, LOCKU, 1, &held.stateid, 1, "").status, STATE_OK);
    assert_int_equal(do_lock(&mac, &open, ++seqid, "l", 0, "granted").status, STATE_OK);
}

static void release_lockowner_wants_nothing_locked(void **state)
{
    struct fixture *f = *state;
    struct mac mac = mac_ready(f, "mac");
    struct state_caller caller = caller_of(&mac);
    uint32_t seqid = 0;
    struct state_stateid open = opened(&mac, "o", 1, &seqid);
    struct outcome lock = do_lock(&mac, &open, ++seqid, "l", 0, "");
    struct slice owner = slice_str("l");
    assert_int_equal(state_release_lockowner(&caller, mac.done.clientid, owner), STATE_LOCKS_HELD);
    struct outcome unlock = act(&mac, LOCKU, 1, &lock.stateid, 1, "");
    assert_int_equal(unlock.status, STATE_OK);
    assert_int_equal(state_release_lockowner(&caller, mac.done.clientid, owner), STATE_OK);
    assert_int_equal(state_release_lockowner(&caller, mac.done.clientid, owner), STATE_OK);
    assert_int_equal(act(&mac, LOCKU, 1, &unlock.stateid, 2, "").status, STATE_BAD_STATEID);
    assert_int_equal(state_release_lockowner(&caller, 5, owner), STATE_STALE_CLIENTID);
    assert_int_equal(do_lock(&mac, &open, ++seqid, "l", 44, "").status, STATE_OK);
}

/* ---- grace ---- */

static void a_client_of_4_0_reclaims_in_grace_without_confirming(void **state)
{
    struct fixture *f = *state;
    struct mac mac = mac_ready(f, "mac");
    uint32_t seqid = 0;
    struct state_stateid old = opened(&mac, "o", 1, &seqid);
    fixture_restart(f);
    assert_int_equal(read_check(&mac, 1, &old), STATE_STALE_STATEID);
    assert_int_equal(do_open(&mac, "o", 1, 1, "").status, STATE_STALE_CLIENTID);
    mac = mac_ready(f, "mac");
    assert_int_equal(do_open(&mac, "o", 1, 1, "").status, STATE_GRACE);

    struct state_caller caller = caller_of(&mac);
    struct state_turn turn;
    assert_int_equal(
        state_turn_begin_open(&caller, mac.done.clientid, slice_str("o"), 2, &turn), STATE_OK);
    caller.client = turn.client;
    struct state_open_args args = { .file = fixture_file(f, 1),
        .owner = slice_str("o"),
        .access = STATE_SHARE_BOTH,
        .reclaim = true };
    struct state_opened reclaimed;
    assert_int_equal(state_open(&caller, &args, &reclaimed), STATE_OK);
    state_turn_end(&turn, STATE_OK, slice_str(""), &args.file);
    assert_int_equal(read_check(&mac, 1, &reclaimed.stateid), STATE_OK);
    f->now_ms += LEASE_MS;
    assert_int_equal(do_open(&mac, "o", 2, 3, "").status, STATE_OK);
    assert_false(state_files_in_grace(f->files));
}

static void a_mac_that_rebooted_reclaims_nothing_and_that_ends_grace(void **state)
{
    struct fixture *f = *state;
    struct mac one = mac_ready(f, "one"), two = mac_ready(f, "two");
    uint32_t seqid = 0;
    (void)opened(&one, "o", 1, &seqid);
    seqid = 0;
    (void)opened(&two, "o", 2, &seqid);
    fixture_restart(f);
    two.verifier = 8; /* another life */
    assert_int_equal(set_clientid(&two), STATE_OK);
    assert_int_equal(confirm(&two), STATE_OK);
    assert_true(state_files_in_grace(f->files));
    one = mac_ready(f, "one"); /* the same life: it may have something to reclaim */
    assert_int_equal(confirm(&one), STATE_OK);
    assert_true(state_files_in_grace(f->files));
    one.verifier = 9;
    assert_int_equal(set_clientid(&one), STATE_OK);
    assert_true(state_files_in_grace(f->files));
    assert_int_equal(confirm(&one), STATE_OK);
    assert_false(state_files_in_grace(f->files));
    assert_int_equal(do_open(&one, "o", 1, 1, "").status, STATE_OK);
}

static void a_session_completes_nothing_for_a_mac_of_its_name(void **state)
{
    struct fixture *f = *state;
    struct mac mac = mac_ready(f, "same");
    uint32_t seqid = 0;
    (void)opened(&mac, "o", 1, &seqid);
    fixture_restart(f);
    struct peer peer = peer_of(f, "same");
    peer.principal = mac.principal;
    peer_connect(&peer);
    assert_int_equal(peer_reclaim_complete(&peer), STATE_OK);
    assert_true(state_files_in_grace(f->files));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(setclientid_follows_its_five_cases),
        TEST(another_principal_gets_a_name_only_when_it_is_idle),
        TEST(updating_the_callback_keeps_the_state_and_a_reboot_drops_it),
        TEST(names_of_4_0_and_4_1_are_different_clients),
        TEST(renew_keeps_the_lease),
        TEST(a_new_open_owner_has_to_confirm),
        TEST(a_retry_gets_the_saved_reply),
        TEST(an_error_moves_the_owner_unless_it_is_about_the_numbers),
        TEST(an_unconfirmed_owner_may_start_afresh),
        TEST(one_turn_of_an_owner_runs_at_a_time),
        TEST(idle_owners_are_kept_for_a_lease),
        TEST(lock_owners_are_numbered_too),
        TEST(a_denied_lock_is_retried_and_its_owner_may_come_again),
        TEST(release_lockowner_wants_nothing_locked),
        TEST(a_client_of_4_0_reclaims_in_grace_without_confirming),
        TEST(a_mac_that_rebooted_reclaims_nothing_and_that_ends_grace),
        TEST(a_session_completes_nothing_for_a_mac_of_its_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
