/* EXCHANGE_ID and DESTROY_CLIENTID: every case of RFC 8881 section 18.35.4. */
#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>

/* What the server knows of the owner before the EXCHANGE_ID under test. */
enum before { NOTHING, UNCONFIRMED, CONFIRMED_IDLE, CONFIRMED_BUSY, CONFIRMED_EXPIRED };

struct exchange_case {
    const char *name;
    enum before before;
    bool update, same_verifier, same_principal;
    enum state_status status;
    bool same_clientid, confirmed; /* of the answer */
};

static const struct exchange_case cases[] = {
    { "1: new owner", NOTHING, false, false, false, STATE_OK, false, false },
    { "2: non-update on a confirmed one", CONFIRMED_BUSY, false, true, true, STATE_OK, true, true },
    { "2: idle", CONFIRMED_IDLE, false, true, true, STATE_OK, true, true },
    { "2: lease over", CONFIRMED_EXPIRED, false, true, true, STATE_OK, true, true },
    { "3: collision, in use", CONFIRMED_BUSY, false, true, false, STATE_CLID_INUSE, false, false },
    { "3: collision, other verifier", CONFIRMED_BUSY, false, false, false, STATE_CLID_INUSE, false,
        false },
    { "3: collision, idle", CONFIRMED_IDLE, false, true, false, STATE_OK, false, false },
    { "3: collision, lease over", CONFIRMED_EXPIRED, false, false, false, STATE_OK, false, false },
    { "4: replaces an unconfirmed one", UNCONFIRMED, false, false, false, STATE_OK, false, false },
    { "4: all the same", UNCONFIRMED, false, true, true, STATE_OK, false, false },
    { "4: other principal", UNCONFIRMED, false, true, false, STATE_OK, false, false },
    { "4: other verifier", UNCONFIRMED, false, false, true, STATE_OK, false, false },
    { "5: client restart", CONFIRMED_BUSY, false, false, true, STATE_OK, false, false },
    { "6: update", CONFIRMED_BUSY, true, true, true, STATE_OK, true, true },
    { "7: update of nothing", NOTHING, true, true, true, STATE_NOENT, false, false },
    { "7: update of an unconfirmed one", UNCONFIRMED, true, true, true, STATE_NOENT, false, false },
    { "8: update, other verifier", CONFIRMED_BUSY, true, false, true, STATE_NOT_SAME, false,
        false },
    { "8: update, all other", CONFIRMED_BUSY, true, false, false, STATE_NOT_SAME, false, false },
    { "9: update, other principal", CONFIRMED_BUSY, true, true, false, STATE_PERM, false, false },
};

static void prepare(struct fixture *f, struct peer *peer, enum before before)
{
    struct state_exchanged exchanged;
    if (before == NOTHING)
        return;
    if (before == UNCONFIRMED) {
        assert_int_equal(peer_exchange(peer, &exchanged), STATE_OK);
        peer->clientid = exchanged.clientid;
        return;
    }
    peer_connect(peer);
    if (before == CONFIRMED_IDLE)
        assert_int_equal(
            state_session_destroy(f->server, peer->sessionid, peer->conn_id, NULL), STATE_OK);
    if (before == CONFIRMED_EXPIRED)
        fixture_elapse(f, LEASE_MS + 1);
}

static void exchange_id_follows_the_nine_cases(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        const struct exchange_case *c = &cases[i];
        char owner[32];
        (void)snprintf(owner, sizeof owner, "owner-%zu", i);
        struct peer peer = peer_of(f, owner);
        prepare(f, &peer, c->before);
        uint64_t verifier = c->same_verifier ? peer.verifier : 99;
        struct state_exchange_id args = { .owner = slice_str(owner),
            .verifier = (const uint8_t *)&verifier,
            .principal = slice_str(c->same_principal ? peer.principal : "sys:1000:evil"),
            .update = c->update };
        struct state_exchanged out = { .clientid = 0 };
        enum state_status status = state_exchange_id(f->server, &args, f->now_ms, &out);
        if (status != c->status)
            print_error("case %s: status %d\n", c->name, status);
        assert_int_equal(status, c->status);
        if (status == STATE_OK) {
            assert_int_equal(out.clientid == peer.clientid, c->same_clientid);
            assert_int_equal(out.confirmed, c->confirmed);
        }
    }
}

static void a_restarted_client_loses_its_old_session_when_the_new_one_is_confirmed(void **state)
{
    struct fixture *f = *state;
    struct peer old = peer_ready(f, "alice");
    struct state_stateid stateid;
    assert_int_equal(peer_open(&old, 1, STATE_SHARE_BOTH, &stateid), STATE_OK);
    struct peer again = peer_of(f, "alice");
    again.verifier = 8;
    struct state_exchanged exchanged;
    assert_int_equal(peer_exchange(&again, &exchanged), STATE_OK);
    (void)peer_caller(&old); /* not yet */
    assert_true(state_file_is_open(f->files, fixture_file(f, 1).key));

    peer_connect(&again);
    struct state_caller caller;
    assert_int_equal(peer_sequence(&old, &caller), STATE_BADSESSION);
    assert_false(state_file_is_open(f->files, fixture_file(f, 1).key));
    assert_int_equal(fake_hold_count(&f->fs, fixture_file(f, 1).key), 0);
    assert_int_equal(fake_record_count(&f->fs), 0);
}

static void a_colliding_owner_that_is_idle_is_gone_at_once(void **state)
{
    struct fixture *f = *state;
    struct peer victim = peer_of(f, "alice");
    prepare(f, &victim, CONFIRMED_IDLE);
    struct peer other = peer_of(f, "alice");
    other.principal = "sys:5:elsewhere";
    struct state_exchanged exchanged;
    assert_int_equal(peer_exchange(&other, &exchanged), STATE_OK);
    struct state_session_created created;
    assert_int_equal(peer_create(&victim, 2, &created), STATE_STALE_CLIENTID);
}

static void two_servers_do_not_share_clients(void **state)
{
    struct fixture *f = *state;
    struct peer here = peer_ready(f, "alice");
    struct peer there = peer_of(f, "alice");
    there.server = f->other_server;
    peer_connect(&there);
    assert_true(here.clientid != there.clientid);
    (void)peer_caller(&here);
    there.server = f->server; /* a session of the one is unknown to the other */
    struct state_caller caller;
    assert_int_equal(peer_sequence(&there, &caller), STATE_BADSESSION);
    struct state_session_created created;
    assert_int_equal(peer_create(&there, 2, &created), STATE_STALE_CLIENTID);
}

static void destroy_clientid_says_what_is_in_the_way(void **state)
{
    struct fixture *f = *state;
    struct slice principal = slice_str("sys:0:host");
    assert_int_equal(
        state_destroy_clientid(f->server, 0, principal, f->now_ms), STATE_STALE_CLIENTID);
    struct peer peer = peer_ready(f, "alice");
    assert_int_equal(state_destroy_clientid(f->server, peer.clientid, principal, f->now_ms),
        STATE_CLIENTID_BUSY);
    struct state_stateid stateid;
    assert_int_equal(peer_open(&peer, 1, STATE_SHARE_READ, &stateid), STATE_OK);
    assert_int_equal(
        state_session_destroy(f->server, peer.sessionid, peer.conn_id, NULL), STATE_OK);
    assert_int_equal(state_destroy_clientid(f->server, peer.clientid, principal, f->now_ms),
        STATE_CLIENTID_BUSY); /* the open */
    struct state_session_created created;
    assert_int_equal(peer_create(&peer, 2, &created), STATE_OK);
    memcpy(peer.sessionid, created.sessionid, sizeof created.sessionid);
    peer.seqid = 0;
    assert_int_equal(peer_close(&peer, 1, &stateid), STATE_OK);
    assert_int_equal(
        state_session_destroy(f->server, peer.sessionid, peer.conn_id, NULL), STATE_OK);
    assert_int_equal(
        state_destroy_clientid(f->server, peer.clientid, slice_str("sys:5:elsewhere"), f->now_ms),
        STATE_CLID_INUSE);
    assert_int_equal(fake_record_count(&f->fs), 1);
    assert_int_equal(
        state_destroy_clientid(f->server, peer.clientid, principal, f->now_ms), STATE_OK);
    assert_int_equal(fake_record_count(&f->fs), 0);
    assert_int_equal(state_destroy_clientid(f->server, peer.clientid, principal, f->now_ms),
        STATE_STALE_CLIENTID);
}

static void an_unconfirmed_client_lives_one_lease(void **state)
{
    struct fixture *f = *state;
    struct peer peer = peer_of(f, "alice");
    prepare(f, &peer, UNCONFIRMED);
    f->now_ms += LEASE_MS;
    struct peer second = peer_of(f, "bob");
    prepare(f, &second, UNCONFIRMED);
    f->now_ms += 1;
    struct state_session_created created;
    assert_int_equal(peer_create(&peer, 1, &created), STATE_STALE_CLIENTID);
    state_tick(f->state, f->now_ms);
    struct state_counts counts;
    state_count(f->state, f->now_ms, &counts);
    assert_int_equal(counts.clients, 1);
    assert_int_equal(counts.clients_unconfirmed, 1);
    assert_int_equal(peer_create(&second, 1, &created), STATE_OK);
}

static void a_flood_of_unconfirmed_clients_evicts_the_oldest_ones(void **state)
{
    struct fixture *f = *state;
    f->options.client_unconfirmed_max = 10;
    fixture_restart(f);
    struct peer first = peer_of(f, "first");
    prepare(f, &first, UNCONFIRMED);
    for (int i = 0; i < 1000; i++) {
        char owner[32];
        (void)snprintf(owner, sizeof owner, "flood-%d", i);
        struct peer peer = peer_of(f, owner);
        prepare(f, &peer, UNCONFIRMED);
    }
    struct state_counts counts;
    state_count(f->state, f->now_ms, &counts);
    assert_int_equal(counts.clients_unconfirmed, 10);
    assert_int_equal(counts.clients, 10);
    struct state_session_created created;
    assert_int_equal(peer_create(&first, 1, &created), STATE_STALE_CLIENTID);
    struct peer last = peer_of(f, "last");
    peer_connect(&last);
}

static void too_many_clients_are_told_to_wait(void **state)
{
    struct fixture *f = *state;
    f->options.client_count_max = 4;
    fixture_restart(f);
    struct peer peers[4];
    const char *names[] = { "a", "b", "c", "d" };
    for (size_t i = 0; i < 4; i++)
        peers[i] = peer_ready(f, names[i]);
    struct peer more = peer_of(f, "e");
    struct state_exchanged exchanged;
    assert_int_equal(peer_exchange(&more, &exchanged), STATE_DELAY);
    f->now_ms += LEASE_MS;
    (void)peer_caller(&peers[3]);
    fixture_elapse(f, 1); /* the table is full, so those whose lease is over go without courtesy */
    peer_connect(&more);
    (void)peer_caller(&peers[3]);
    struct state_caller caller;
    assert_int_equal(peer_sequence(&peers[0], &caller), STATE_BADSESSION);
}

static void sizes_are_checked(void **state)
{
    struct fixture *f = *state;
    uint8_t long_bytes[STATE_OWNER_SIZE_MAX + 1] = { 0 };
    uint8_t verifier[STATE_VERIFIER_SIZE] = { 0 };
    struct state_exchange_id args = { .owner = slice_of(long_bytes, sizeof long_bytes),
        .verifier = verifier };
    struct state_exchanged out;
    assert_int_equal(state_exchange_id(f->server, &args, f->now_ms, &out), STATE_INVAL);
    args.owner.size = 0;
    assert_int_equal(state_exchange_id(f->server, &args, f->now_ms, &out), STATE_INVAL);
    args.owner.size = STATE_OWNER_SIZE_MAX;
    args.principal = slice_of(long_bytes, STATE_PRINCIPAL_MAX + 1);
    assert_int_equal(state_exchange_id(f->server, &args, f->now_ms, &out), STATE_INVAL);
    args.principal.size = STATE_PRINCIPAL_MAX;
    assert_int_equal(state_exchange_id(f->server, &args, f->now_ms, &out), STATE_OK);
}

static void an_identity_belongs_to_one_server(void **state)
{
    struct fixture *f = *state;
    struct state_server *server;
    assert_int_equal(state_server_new(f->state, slice_str("view-1"), &server), -EEXIST);
    assert_int_equal(state_server_new(f->state, slice_str("view-3"), &server), 0);
    state_server_free(server);
    assert_int_equal(state_server_new(f->state, slice_str("view-3"), &server), 0);
    state_server_free(server);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(exchange_id_follows_the_nine_cases),
        TEST(a_restarted_client_loses_its_old_session_when_the_new_one_is_confirmed),
        TEST(a_colliding_owner_that_is_idle_is_gone_at_once),
        TEST(two_servers_do_not_share_clients),
        TEST(destroy_clientid_says_what_is_in_the_way),
        TEST(an_unconfirmed_client_lives_one_lease),
        TEST(a_flood_of_unconfirmed_clients_evicts_the_oldest_ones),
        TEST(too_many_clients_are_told_to_wait),
        TEST(sizes_are_checked),
        TEST(an_identity_belongs_to_one_server),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
