/* Several threads at once, for ThreadSanitizer: requests of one session, conflicts, expiry, ticks, restarts of
 * clients, connections that come and go. What must hold at the end: nothing is left behind. */
#include "fixture.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "state/v40.h"

enum { THREADS = 4, ROUNDS = 1500, FILES = 5 };

struct worker {
    struct fixture *f;
    struct peer *shared; /* a session that all use, each in a slot of its own */
    unsigned number;
    unsigned seed;
    uint64_t own_verifier;
};

/* The clock of all threads: jumps now and then, so that leases end. */
static _Atomic uint64_t clock_ms;
static _Atomic unsigned opened_count;

static bool begin(const struct state_server *server, const uint8_t *sessionid,
    const struct worker *worker, uint32_t slotid, uint32_t seqid, struct state_ticket *ticket)
{
    (void)server;
    struct state_sequence args = { .sessionid = sessionid,
        .slotid = slotid,
        .seqid = seqid,
        .highest_slotid = 7,
        .cachethis = seqid % 2 == 0,
        .checksum = seqid,
        .conn_id = 100 + worker->number };
    enum state_status status = state_sequence_begin(worker->f->server, &args, clock_ms, ticket);
    return status == STATE_OK;
}

/* OPEN, LOCK, READ's check, LOCKU, CLOSE of one of a few files: conflicts are welcome. */
static void use_files(struct worker *worker, struct state_client *client)
{
    struct state_caller caller = {
        .server = worker->f->server, .client = client, .now_ms = clock_ms
    };
    struct state_file_ref file = fixture_file(worker->f, (uint64_t)rand_r(&worker->seed) % FILES);
    char owner = (char)('a' + rand_r(&worker->seed) % 3);
    uint32_t deny = rand_r(&worker->seed) % 16 == 0 ? STATE_SHARE_WRITE : STATE_SHARE_NONE;
    struct state_open_args open = {
        .file = file, .owner = slice_of(&owner, 1), .access = STATE_SHARE_BOTH, .deny = deny
    };
    struct state_opened opened;
    if (state_open(&caller, &open, &opened) != STATE_OK)
        return;
    opened_count++;
    uint64_t offset = (uint64_t)rand_r(&worker->seed) % 50;
    struct state_lock_args lock = { .file = file,
        .range = { rand_r(&worker->seed) % 2 ? STATE_LOCK_WRITE : STATE_LOCK_READ, offset, 20 },
        .new_owner = true,
        .stateid = opened.stateid,
        .owner = slice_of(&owner, 1) };
    lock.stateid.seqid = 0;
    struct state_stateid lock_stateid, closed;
    struct state_lock_denied denied;
    struct state_io_grant grant;
    if (state_lock(&caller, &lock, &lock_stateid, &denied) == STATE_OK) {
        (void)state_io_check(&caller, &file, &lock_stateid, STATE_IO_WRITE, &grant);
        lock_stateid.seqid = 0;
        (void)state_unlock(&caller, &file, &lock.range, &lock_stateid, &lock_stateid);
    }
    (void)state_lock_test(&caller, &file, &lock.range, 0, lock.owner, &denied);
    if (rand_r(&worker->seed) % 8 == 0)
        return; /* leaves it open, for someone to expire */
    opened.stateid.seqid = 0;
    (void)state_close(&caller, &file, &opened.stateid, &closed);
}

/* A client of this thread's own: connects, works, and often just disappears. */
static void be_a_client(struct worker *worker)
{
    struct state_server *server = worker->f->server;
    char owner[16];
    (void)snprintf(owner, sizeof owner, "client-%d", rand_r(&worker->seed) % 6);
    worker->own_verifier++;
    struct peer peer = { .f = worker->f,
        .server = server,
        .owner = owner,
        .principal = "sys:0:host",
        .conn_id = 100 + worker->number };
    uint64_t verifier = worker->own_verifier << 8 | worker->number;
    struct state_exchange_id exchange = { .owner = slice_str(owner),
        .verifier = (const uint8_t *)&verifier,
        .principal = slice_str(peer.principal) };
    struct state_exchanged exchanged;
    if (state_exchange_id(server, &exchange, clock_ms, &exchanged) != STATE_OK)
        return;
    peer.clientid = exchanged.clientid;
    struct state_session_create create = peer_create_args(&peer, exchanged.sequenceid);
    struct state_session_created created;
    if (state_session_create(server, &create, clock_ms, &created) != STATE_OK)
        return;
    struct state_ticket ticket;
    for (uint32_t seqid = 1; seqid < 6; seqid++) {
        if (!begin(server, created.sessionid, worker, 0, seqid, &ticket))
            return; /* another thread was a newer incarnation */
        struct state_caller caller = {
            .server = server, .client = ticket.client, .now_ms = clock_ms
        };
        if (seqid == 1)
            (void)state_reclaim_complete(&caller, NULL);
        use_files(worker, ticket.client);
        state_sequence_end(&ticket, slice_str("reply"));
    }
    if (rand_r(&worker->seed) % 2 == 0) {
        (void)state_session_destroy(server, created.sessionid, peer.conn_id, NULL);
        (void)state_destroy_clientid(server, peer.clientid, create.principal, clock_ms);
    }
}

/* The same in version 4.0: the owner is shared with other threads, so that turns collide. */
static void be_a_mac(struct worker *worker)
{
    struct state_server *server = worker->f->server;
    static const uint8_t verifier[STATE_VERIFIER_SIZE] = { 1 };
    static const struct state_callback callback = { .program = 1 };
    struct state_setclientid args = { .owner = slice_str("mac"),
        .verifier = verifier,
        .principal = slice_str("sys:501:mac"),
        .callback = &callback };
    struct state_setclientid_done done;
    struct state_callback in_use;
    if (state_setclientid(server, &args, clock_ms, &done, &in_use) != STATE_OK ||
        state_setclientid_confirm(server, done.clientid, done.confirm, args.principal, clock_ms) !=
            STATE_OK)
        return;
    struct state_caller caller = { .server = server, .now_ms = clock_ms };
    struct state_turn turn;
    uint32_t seqid = (uint32_t)rand_r(&worker->seed) % 4;
    if (state_turn_begin_open(&caller, done.clientid, slice_str("o"), seqid, &turn) != STATE_OK)
        return;
    struct state_open_args open = {
        .file = fixture_file(worker->f, seqid), .owner = slice_str("o"), .access = STATE_SHARE_READ
    };
    struct state_opened opened;
    enum state_status status = STATE_OK;
    caller.client = turn.client;
    if (!turn.is_replay)
        status = state_open(&caller, &open, &opened);
    bool is_open = !turn.is_replay && status == STATE_OK;
    state_turn_end(&turn, status, slice_str("reply"), is_open ? &open.file : NULL);
    caller.client = NULL;
    if (!is_open)
        return;
    struct state_stateid out = opened.stateid;
    if (state_turn_begin(&caller, &opened.stateid, seqid + 1, true, &turn) == STATE_OK) {
        caller.client = turn.client;
        if (!turn.is_replay)
            status = state_open_confirm(&caller, &open.file, &opened.stateid, &out);
        state_turn_end(&turn, status, slice_str("reply"), NULL);
        caller.client = NULL;
    }
    if (state_turn_begin(&caller, &out, seqid + 2, false, &turn) == STATE_OK) {
        caller.client = turn.client;
        if (!turn.is_replay)
            status = state_close(&caller, &open.file, &out, &out);
        state_turn_end(&turn, status, slice_str("reply"), NULL);
    }
}

static void *work(void *argument)
{
    struct worker *worker = argument;
    struct peer *shared = worker->shared;
    uint32_t seqid = 0;
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct state_ticket ticket;
        if (begin(
                worker->f->server, shared->sessionid, worker, worker->number, seqid + 1, &ticket)) {
            seqid++;
            use_files(worker, ticket.client);
            state_sequence_end(&ticket, slice_str("a reply"));
            /* And again: it was kept, or not. */
            if (begin(worker->f->server, shared->sessionid, worker, worker->number, seqid, &ticket))
                state_sequence_end(&ticket, slice_of(NULL, 0));
        }
        be_a_client(worker);
        be_a_mac(worker);
        if (round % 16 == worker->number)
            state_connection_closed(worker->f->state, 100 + worker->number);
        if (round % 10 == 0) {
            clock_ms += worker->number == 0 ? LEASE_MS + 1 : 1;
            state_tick(worker->f->state, clock_ms);
            struct state_counts counts;
            state_count(worker->f->state, clock_ms, &counts);
        }
    }
    return NULL;
}

static void many_threads_leave_nothing_behind(void **state)
{
    struct fixture *f = *state;
    clock_ms = f->now_ms;
    struct peer shared = peer_ready(f, "shared");
    struct worker workers[THREADS];
    pthread_t threads[THREADS];
    for (unsigned i = 0; i < THREADS; i++) {
        workers[i] =
            (struct worker){ .f = f, .shared = &shared, .number = i + 1, .seed = 7 * i + 1 };
        assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);

    f->now_ms = clock_ms + f->options.courtesy_ms + LEASE_MS + 1;
    state_tick(f->state, f->now_ms);
    struct state_counts counts;
    state_count(f->state, f->now_ms, &counts);
    assert_true(opened_count > ROUNDS && counts.clients_expired > 0); /* it was no idle run */
    assert_int_equal(counts.clients, 0);
    assert_int_equal(counts.clients_unconfirmed, 0);
    assert_int_equal(counts.sessions, 0);
    assert_int_equal(counts.opens, 0);
    assert_int_equal(counts.lock_ranges, 0);
    assert_int_equal(counts.reply_cache_bytes, 0);
    assert_int_equal(fake_record_count(&f->fs), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            many_threads_leave_nothing_behind, fixture_setup, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
