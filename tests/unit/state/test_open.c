/* OPEN, OPEN_DOWNGRADE, CLOSE, share reservations, and what stateids are good for. */
#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>

#include "state/internal.h"

static enum state_status downgrade(struct peer *peer, uint64_t inode,
    const struct state_stateid *stateid, uint32_t access, uint32_t deny, struct state_stateid *out)
{
    struct state_caller caller = peer_caller(peer);
    struct state_file_ref file = fixture_file(peer->f, inode);
    return state_open_downgrade(&caller, &file, stateid, access, deny, out);
}

static enum state_status io(
    struct peer *peer, uint64_t inode, const struct state_stateid *stateid, enum state_io what)
{
    struct state_caller caller = peer_caller(peer);
    struct state_file_ref file = fixture_file(peer->f, inode);
    struct state_io_grant grant;
    return state_io_check(&caller, &file, stateid, what, &grant);
}

static const struct state_stateid anonymous = { .seqid = 0 };
static const struct state_stateid bypass = { .seqid = UINT32_MAX,
    .other = { 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255 } };

static void every_pair_of_shares_conflicts_as_the_matrix_says(void **state)
{
    struct fixture *f = *state;
    struct peer alice = peer_ready(f, "alice"), bob = peer_ready(f, "bob");
    uint64_t inode = 0;
    for (unsigned pair = 0; pair < 256; pair++) {
        uint32_t access_a = pair & 3, deny_a = pair >> 2 & 3;
        uint32_t access_b = pair >> 4 & 3, deny_b = pair >> 6;
        if (access_a == 0 || access_b == 0)
            continue;
        inode++;
        struct state_stateid a, b;
        assert_int_equal(peer_open_deny(&alice, "o", inode, access_a, deny_a, &a), STATE_OK);
        bool conflict = (access_a & deny_b) != 0 || (access_b & deny_a) != 0;
        enum state_status status = peer_open_deny(&bob, "o", inode, access_b, deny_b, &b);
        assert_int_equal(status, conflict ? STATE_SHARE_DENIED : STATE_OK);
        /* Another owner of the same client is another open as well. */
        struct state_stateid c;
        enum state_status own = peer_open_deny(&alice, "p", inode, access_b, deny_b, &c);
        conflict |= status == STATE_OK && (access_b & deny_b) != 0; /* bob's, if it is there */
        assert_int_equal(own, conflict ? STATE_SHARE_DENIED : STATE_OK);
        if (own == STATE_OK)
            assert_int_equal(peer_close(&alice, inode, &c), STATE_OK);
        if (status == STATE_OK)
            assert_int_equal(peer_close(&bob, inode, &b), STATE_OK);
        assert_int_equal(peer_close(&alice, inode, &a), STATE_OK);
        assert_false(state_file_is_open(f->files, fixture_file(f, inode).key));
    }
}

static void an_owner_s_own_deny_and_access_refuse_its_next_open(void **state)
{
    struct fixture *f = *state;
    struct peer alice = peer_ready(f, "alice");
    for (unsigned pair = 0; pair < 256; pair++) {
        uint32_t access_a = pair & 3, deny_a = pair >> 2 & 3;
        uint32_t access_b = pair >> 4 & 3, deny_b = pair >> 6;
        if (access_a == 0 || access_b == 0)
            continue;
        struct state_stateid a, b;
        assert_int_equal(peer_open_deny(&alice, "o", 1, access_a, deny_a, &a), STATE_OK);
        bool conflict = (access_a & deny_b) != 0 || (access_b & deny_a) != 0;
        enum state_status status = peer_open_deny(&alice, "o", 1, access_b, deny_b, &b);
        assert_int_equal(status, conflict ? STATE_SHARE_DENIED : STATE_OK);
        /* A refused one changes nothing: the first stateid is still the newest. */
        assert_int_equal(peer_close(&alice, 1, conflict ? &a : &b), STATE_OK);
        assert_false(state_file_is_open(f->files, fixture_file(f, 1).key));
    }
}

static void an_owner_upgrades_its_one_open_of_a_file(void **state)
{
    struct fixture *f = *state;
    struct peer alice = peer_ready(f, "alice"), bob = peer_ready(f, "bob");
    struct state_stateid first, second, b;
    assert_int_equal(peer_open(&alice, 1, STATE_SHARE_READ, &first), STATE_OK);
    assert_int_equal(first.seqid, 1);
    assert_int_equal(io(&alice, 1, &first, STATE_IO_WRITE), STATE_OPENMODE);
    assert_int_equal(
        peer_open_deny(&alice, "o", 1, STATE_SHARE_WRITE, STATE_SHARE_WRITE, &second), STATE_OK);
    assert_int_equal(second.seqid, 2);
    assert_memory_equal(first.other, second.other, STATE_OTHER_SIZE);
    assert_int_equal(io(&alice, 1, &second, STATE_IO_WRITE), STATE_OK);
    assert_int_equal(fake_hold_count(&f->fs, fixture_file(f, 1).key), 1);
    /* The union of both denies counts for others; its own does not stand in its way. */
    assert_int_equal(peer_open(&bob, 1, STATE_SHARE_WRITE, &b), STATE_SHARE_DENIED);
    assert_int_equal(peer_open(&bob, 1, STATE_SHARE_READ, &b), STATE_OK);
    /* An upgrade that conflicts changes nothing. */
    assert_int_equal(
        peer_open_deny(&bob, "o", 1, STATE_SHARE_READ, STATE_SHARE_READ, &b), STATE_SHARE_DENIED);
    assert_int_equal(io(&bob, 1, &b, STATE_IO_READ), STATE_OK);
    assert_int_equal(peer_close(&bob, 1, &b), STATE_OK);
    assert_int_equal(peer_close(&alice, 1, &second), STATE_OK);
    assert_int_equal(fake_hold_count(&f->fs, fixture_file(f, 1).key), 0);
}

struct downgrade_case {
    const char *opens; /* pairs of digits: access, deny */
    uint32_t access, deny;
    enum state_status status;
};

static const struct downgrade_case downgrade_cases[] = {
    { "10", 1, 0, STATE_OK },
    { "30", 1, 0, STATE_INVAL }, /* one OPEN for both is no union of OPENs for one */
    { "10 20", 1, 0, STATE_OK },
    { "10 20", 2, 0, STATE_OK },
    { "10 20", 3, 0, STATE_OK },
    { "10 30", 2, 0, STATE_INVAL },
    { "10 20", 1, 1, STATE_INVAL },
    { "11 20", 1, 1, STATE_OK },
    { "11 20", 1, 0, STATE_INVAL }, /* that OPEN came with its deny */
    { "11 22", 3, 3, STATE_OK },
    { "11 22", 3, 1, STATE_INVAL },
    { "10", 0, 0, STATE_INVAL },
    { "10", 2, 0, STATE_INVAL },
    { "10", 4, 0, STATE_INVAL },
    { "10", 1, 4, STATE_INVAL },
};

static void a_downgrade_is_a_union_of_opens(void **state)
{
    struct fixture *f = *state;
    struct peer alice = peer_ready(f, "alice"), bob = peer_ready(f, "bob");
    for (uint64_t i = 0; i < ARRAY_SIZE(downgrade_cases); i++) {
        const struct downgrade_case *c = &downgrade_cases[i];
        struct state_stateid stateid = { .seqid = 0 }, out;
        for (const char *at = c->opens; *at != '\0'; at += at[2] == ' ' ? 3 : 2)
            assert_int_equal(peer_open_deny(&alice, "o", i, (uint32_t)(at[0] - '0'),
                                 (uint32_t)(at[1] - '0'), &stateid),
                STATE_OK);
        enum state_status status = downgrade(&alice, i, &stateid, c->access, c->deny, &out);
        if (status != c->status)
            print_error("case %s to %u%u: %d\n", c->opens, c->access, c->deny, status);
        assert_int_equal(status, c->status);
        if (status != STATE_OK)
            continue;
        assert_int_equal(out.seqid, stateid.seqid + 1);
        bool denied = (c->deny & STATE_SHARE_WRITE) != 0;
        struct state_stateid b;
        assert_int_equal(
            peer_open(&bob, i, STATE_SHARE_WRITE, &b), denied ? STATE_SHARE_DENIED : STATE_OK);
        /* What was given up is no longer part of the history. */
        if (c->access != STATE_SHARE_BOTH)
            assert_int_equal(downgrade(&alice, i, &out, STATE_SHARE_BOTH, 0, &out), STATE_INVAL);
    }
}

static void stateid_seqids_follow_the_rules(void **state)
{
    struct fixture *f = *state;
    struct peer alice = peer_ready(f, "alice");
    struct state_stateid first, third;
    assert_int_equal(peer_open(&alice, 1, STATE_SHARE_READ, &first), STATE_OK);
    assert_int_equal(peer_open(&alice, 1, STATE_SHARE_READ, &third), STATE_OK);
    assert_int_equal(peer_open(&alice, 1, STATE_SHARE_READ, &third), STATE_OK);
    struct state_caller caller = peer_caller(&alice);
    struct state_stateid probe = third;
    assert_int_equal(state_test_stateid(&caller, &probe), STATE_OK);
    probe.seqid = 0;
    assert_int_equal(state_test_stateid(&caller, &probe), STATE_OK);
    for (probe.seqid = 1; probe.seqid < 3; probe.seqid++)
        assert_int_equal(state_test_stateid(&caller, &probe), STATE_OLD_STATEID);
    for (probe.seqid = 4; probe.seqid < 9; probe.seqid++)
        assert_int_equal(state_test_stateid(&caller, &probe), STATE_BAD_STATEID);
    assert_int_equal(peer_close(&alice, 1, &first), STATE_OLD_STATEID);
    probe.seqid = 4;
    assert_int_equal(peer_close(&alice, 1, &probe), STATE_BAD_STATEID);
    probe.seqid = 0;
    assert_int_equal(peer_close(&alice, 1, &probe), STATE_OK);
    assert_int_equal(peer_close(&alice, 1, &probe), STATE_BAD_STATEID);
    assert_int_equal(state_test_stateid(&caller, &third), STATE_BAD_STATEID);
}

static void stateid_seqids_wrap_past_zero(void **state)
{
    struct fixture *f = *state;
    struct peer alice = peer_ready(f, "alice");
    struct state_stateid stateid;
    assert_int_equal(peer_open(&alice, 1, STATE_SHARE_READ, &stateid), STATE_OK);
    struct state_caller caller = peer_caller(&alice);
    struct state_open *open = LIST_ENTRY(caller.client->opens.next, struct state_open, client_node);
    open->handle.seqid = UINT32_MAX; /* as after 2^32 - 1 OPENs */
    struct state_stateid before = stateid;
    before.seqid = UINT32_MAX;
    assert_int_equal(peer_open(&alice, 1, STATE_SHARE_READ, &stateid), STATE_OK);
    assert_int_equal(stateid.seqid, 1);
    assert_int_equal(state_test_stateid(&caller, &before), STATE_OLD_STATEID);
    stateid.seqid = 2;
    assert_int_equal(state_test_stateid(&caller, &stateid), STATE_BAD_STATEID);
}

static void a_stateid_is_of_one_client_one_file_and_one_kind(void **state)
{
    struct fixture *f = *state;
    struct peer alice = peer_ready(f, "alice"), bob = peer_ready(f, "bob");
    struct state_stateid a, lock;
    assert_int_equal(peer_open(&alice, 1, STATE_SHARE_BOTH, &a), STATE_OK);
    assert_int_equal(io(&bob, 1, &a, STATE_IO_READ), STATE_BAD_STATEID);
    assert_int_equal(io(&alice, 2, &a, STATE_IO_READ), STATE_BAD_STATEID);
    assert_int_equal(peer_close(&alice, 2, &a), STATE_BAD_STATEID);
    assert_int_equal(peer_close(&bob, 1, &a), STATE_BAD_STATEID);
    struct state_lock_range range = { STATE_LOCK_WRITE, 0, 10 };
    assert_int_equal(peer_lock(&alice, 1, &a, "l", range, &lock), STATE_OK);
    assert_int_equal(peer_close(&alice, 1, &lock), STATE_BAD_STATEID);
    assert_int_equal(io(&alice, 1, &lock, STATE_IO_WRITE), STATE_OK);
    struct state_stateid wrong = a;
    for (size_t byte = 0; byte < STATE_OTHER_SIZE; byte++) {
        wrong = a;
        wrong.other[byte] ^= 0x20;
        assert_int_equal(io(&alice, 1, &wrong, STATE_IO_READ), STATE_BAD_STATEID);
    }
    const struct state_stateid invalid = { .seqid = UINT32_MAX };
    assert_int_equal(io(&alice, 1, &invalid, STATE_IO_READ), STATE_BAD_STATEID);
}

static void stateids_of_an_earlier_process_are_bad(void **state)
{
    struct fixture *f = *state;
    struct peer alice = peer_ready(f, "alice");
    struct state_stateid old;
    assert_int_equal(peer_open(&alice, 1, STATE_SHARE_READ, &old), STATE_OK);
    fixture_restart(f);
    struct peer again = peer_ready(f, "alice");
    assert_int_equal(io(&again, 1, &old, STATE_IO_READ), STATE_BAD_STATEID);
}

static void io_is_allowed_by_the_open_not_by_its_mode_alone(void **state)
{
    struct fixture *f = *state;
    struct peer alice = peer_ready(f, "alice");
    struct state_stateid r, w;
    assert_int_equal(peer_open(&alice, 1, STATE_SHARE_READ, &r), STATE_OK);
    assert_int_equal(peer_open(&alice, 2, STATE_SHARE_WRITE, &w), STATE_OK);
    assert_int_equal(io(&alice, 1, &r, STATE_IO_READ), STATE_OK);
    assert_int_equal(io(&alice, 1, &r, STATE_IO_WRITE), STATE_OPENMODE);
    assert_int_equal(io(&alice, 2, &w, STATE_IO_WRITE), STATE_OK);
    assert_int_equal(io(&alice, 2, &w, STATE_IO_READ), STATE_OK); /* clients fill up pages so */
    struct state_caller caller = peer_caller(&alice);
    struct state_file_ref file = fixture_file(f, 1);
    struct state_io_grant grant = { .by_open = false };
    assert_int_equal(state_io_check(&caller, &file, &r, STATE_IO_READ, &grant), STATE_OK);
    assert_true(grant.by_open);
    assert_int_equal(state_io_check(&caller, &file, &anonymous, STATE_IO_READ, &grant), STATE_OK);
    assert_false(grant.by_open);
}

static void special_stateids_respect_denies_but_the_bypass_of_reads(void **state)
{
    struct fixture *f = *state;
    struct peer alice = peer_ready(f, "alice"), bob = peer_ready(f, "bob");
    struct state_stateid a;
    assert_int_equal(io(&bob, 1, &anonymous, STATE_IO_READ), STATE_OK); /* not open at all */
    assert_int_equal(
        peer_open_deny(&alice, "o", 1, STATE_SHARE_READ, STATE_SHARE_BOTH, &a), STATE_OK);
    assert_int_equal(io(&bob, 1, &anonymous, STATE_IO_READ), STATE_LOCKED);
    assert_int_equal(io(&bob, 1, &anonymous, STATE_IO_WRITE), STATE_LOCKED);
    assert_int_equal(io(&bob, 1, &bypass, STATE_IO_READ), STATE_OK);
    assert_int_equal(io(&bob, 1, &bypass, STATE_IO_WRITE), STATE_LOCKED);
    assert_int_equal(peer_close(&alice, 1, &a), STATE_OK);
    assert_int_equal(io(&bob, 1, &anonymous, STATE_IO_WRITE), STATE_OK);
}

static void the_special_stateids_are_told_apart(void **state)
{
    (void)state;
    const struct state_stateid current = { .seqid = 1 };
    assert_true(state_stateid_is_anonymous(&anonymous));
    assert_true(state_stateid_is_read_bypass(&bypass));
    assert_true(state_stateid_is_current(&current));
    assert_false(state_stateid_is_anonymous(&current));
    assert_false(state_stateid_is_current(&anonymous));
    assert_false(state_stateid_is_read_bypass(&anonymous));
}

static void close_answers_the_invalid_stateid_and_drops_locks(void **state)
{
    struct fixture *f = *state;
    struct peer alice = peer_ready(f, "alice"), bob = peer_ready(f, "bob");
    struct state_stateid a, b, lock;
    struct state_lock_range range = { STATE_LOCK_WRITE, 0, UINT64_MAX };
    assert_int_equal(peer_open(&alice, 1, STATE_SHARE_BOTH, &a), STATE_OK);
    assert_int_equal(peer_lock(&alice, 1, &a, "l", range, &lock), STATE_OK);
    assert_int_equal(peer_open(&bob, 1, STATE_SHARE_BOTH, &b), STATE_OK);
    assert_int_equal(peer_lock(&bob, 1, &b, "l", range, &lock), STATE_DENIED);
    struct state_caller caller = peer_caller(&alice);
    struct state_file_ref file = fixture_file(f, 1);
    struct state_stateid closed;
    assert_int_equal(state_close(&caller, &file, &a, &closed), STATE_OK);
    const struct state_stateid invalid = { .seqid = UINT32_MAX };
    assert_memory_equal(&closed, &invalid, sizeof closed);
    assert_int_equal(peer_lock(&bob, 1, &b, "l", range, &lock), STATE_OK);
}

static void an_open_can_be_taken_back(void **state)
{
    struct fixture *f = *state;
    struct peer alice = peer_ready(f, "alice"), bob = peer_ready(f, "bob");
    struct state_caller caller = peer_caller(&alice);
    struct state_open_args args = {
        .file = fixture_file(f, 1), .owner = slice_str("o"), .access = STATE_SHARE_READ
    };
    struct state_opened first, second;
    assert_int_equal(state_open(&caller, &args, &first), STATE_OK);
    assert_true(first.is_new);
    args.access = STATE_SHARE_WRITE;
    args.deny = STATE_SHARE_WRITE;
    assert_int_equal(state_open(&caller, &args, &second), STATE_OK);
    assert_false(second.is_new);
    state_open_revert(&caller, &args, &second);
    assert_int_equal(io(&alice, 1, &first.stateid, STATE_IO_WRITE), STATE_OPENMODE);
    struct state_stateid b;
    assert_int_equal(peer_open(&bob, 1, STATE_SHARE_WRITE, &b), STATE_OK);
    state_open_revert(&caller, &args, &first);
    assert_int_equal(io(&alice, 1, &first.stateid, STATE_IO_READ), STATE_BAD_STATEID);
    assert_int_equal(fake_hold_count(&f->fs, fixture_file(f, 1).key), 1);
    /* A newer OPEN stands for itself. */
    args.access = STATE_SHARE_READ;
    args.deny = STATE_SHARE_NONE;
    assert_int_equal(state_open(&caller, &args, &first), STATE_OK);
    assert_int_equal(state_open(&caller, &args, &second), STATE_OK);
    state_open_revert(&caller, &args, &first);
    assert_int_equal(io(&alice, 1, &second.stateid, STATE_IO_READ), STATE_OK);
}

static void a_file_that_is_gone_cannot_be_opened(void **state)
{
    struct fixture *f = *state;
    struct peer alice = peer_ready(f, "alice");
    struct state_stateid a;
    f->fs.hold_error = -ESTALE;
    assert_int_equal(peer_open(&alice, 1, STATE_SHARE_READ, &a), STATE_STALE);
    f->fs.hold_error = -ENOMEM;
    assert_int_equal(peer_open(&alice, 1, STATE_SHARE_READ, &a), STATE_DELAY);
    f->fs.hold_error = 0;
    assert_false(state_file_is_open(f->files, fixture_file(f, 1).key));
}

static void opens_and_owners_have_limits(void **state)
{
    struct fixture *f = *state;
    f->options.open_per_client_max = 5;
    f->options.owner_per_client_max = 3;
    fixture_restart(f);
    struct peer alice = peer_ready(f, "alice"), bob = peer_ready(f, "bob");
    assert_int_equal(state_files_in_grace(f->files), false);
    struct state_stateid a;
    for (uint64_t inode = 1; inode <= 5; inode++)
        assert_int_equal(peer_open(&alice, inode, STATE_SHARE_READ, &a), STATE_OK);
    assert_int_equal(peer_open(&alice, 6, STATE_SHARE_READ, &a), STATE_DQUOT);
    assert_int_equal(peer_open(&alice, 5, STATE_SHARE_READ, &a), STATE_OK); /* an upgrade */
    assert_int_equal(peer_close(&alice, 5, &a), STATE_OK);
    assert_int_equal(peer_open(&alice, 6, STATE_SHARE_READ, &a), STATE_OK);
    const char *owners[] = { "1", "2", "3" };
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(peer_open_deny(&bob, owners[i], 9, STATE_SHARE_READ, 0, &a), STATE_OK);
    assert_int_equal(peer_open_deny(&bob, "4", 9, STATE_SHARE_READ, 0, &a), STATE_DQUOT);
    struct state_counts counts;
    state_count(f->state, f->now_ms, &counts);
    assert_int_equal(counts.opens, 8);
}

static uint64_t memory_of(struct fixture *f)
{
    struct state_counts counts;
    state_count(f->state, f->now_ms, &counts);
    return counts.memory_bytes;
}

static void what_all_clients_hold_has_a_limit_in_bytes(void **state)
{
    struct fixture *f = *state;
    f->options.memory_max = 16 * KIB;
    fixture_restart(f);
    assert_int_equal(memory_of(f), 0);
    struct peer alice = peer_ready(f, "alice"), bob = peer_ready(f, "bob");
    uint64_t idle = memory_of(f);
    assert_true(idle > 0);
    struct state_stateid a, b, lock;
    uint64_t inode = 0;
    assert_int_equal(peer_open(&bob, 1, STATE_SHARE_BOTH, &b), STATE_OK);
    while (peer_open(&alice, ++inode, STATE_SHARE_BOTH, &a) == STATE_OK)
        assert_true(inode < 1000);
    assert_int_equal(peer_open(&alice, inode, STATE_SHARE_BOTH, &a), STATE_DELAY);
    assert_int_equal(peer_open(&bob, 2, STATE_SHARE_BOTH, &a), STATE_DELAY);
    enum state_status status = STATE_OK;
    for (unsigned owner = 0; status == STATE_OK && owner < 100; owner++) {
        char name[2] = { (char)('!' + owner), '\0' };
        struct state_lock_range range = { STATE_LOCK_READ, owner, 1 };
        status = peer_lock(&bob, 1, &b, name, range, &lock);
    }
    assert_int_equal(status, STATE_DELAY);
    assert_in_range(memory_of(f), 15 * KIB, 16 * KIB);
    /* Who is silent makes room at once. */
    f->now_ms += LEASE_MS + 1;
    (void)peer_caller(&bob);
    state_tick(f->state, f->now_ms);
    struct state_caller caller;
    assert_int_equal(peer_sequence(&alice, &caller), STATE_BADSESSION);
    assert_int_equal(peer_open(&bob, 2, STATE_SHARE_BOTH, &a), STATE_OK);
    assert_int_equal(peer_close(&bob, 1, &b), STATE_OK);
    assert_int_equal(peer_close(&bob, 2, &a), STATE_OK);
    assert_true(memory_of(f) < idle);
}

static void a_caller_without_a_client_cannot_open(void **state)
{
    struct fixture *f = *state;
    struct state_caller caller = { .server = f->server, .now_ms = f->now_ms };
    struct state_open_args args = {
        .file = fixture_file(f, 1), .owner = slice_str("o"), .access = STATE_SHARE_READ
    };
    struct state_opened opened;
    assert_int_equal(state_open(&caller, &args, &opened), STATE_STALE_CLIENTID);
    struct state_lock_args lock = { .file = args.file, .range = { STATE_LOCK_READ, 0, 1 } };
    struct state_stateid out;
    struct state_lock_denied denied;
    assert_int_equal(state_lock(&caller, &lock, &out, &denied), STATE_STALE_CLIENTID);
    struct state_stateid bad = { .seqid = 1, .other = { 9 } };
    assert_int_equal(state_close(&caller, &args.file, &bad, &out), STATE_STALE_STATEID);
    /* The special ones are of no process, and nothing that could be closed. RFC 7530 section 9.1.4.4 */
    assert_int_equal(state_close(&caller, &args.file, &anonymous, &out), STATE_BAD_STATEID);
    assert_int_equal(state_close(&caller, &args.file, &bypass, &out), STATE_BAD_STATEID);
}

static void wrong_shares_are_invalid(void **state)
{
    struct fixture *f = *state;
    struct peer alice = peer_ready(f, "alice");
    struct state_stateid a;
    assert_int_equal(peer_open_deny(&alice, "o", 1, 0, 0, &a), STATE_INVAL);
    assert_int_equal(peer_open_deny(&alice, "o", 1, 4, 0, &a), STATE_INVAL);
    assert_int_equal(peer_open_deny(&alice, "o", 1, 1, 4, &a), STATE_INVAL);
}

static void views_of_one_file_system_conflict(void **state)
{
    struct fixture *f = *state;
    struct peer alice = peer_ready(f, "alice");
    struct peer bob = peer_of(f, "bob");
    bob.server = f->other_server;
    peer_connect(&bob);
    assert_int_equal(peer_reclaim_complete(&bob), STATE_OK);
    struct state_stateid a, b;
    assert_int_equal(
        peer_open_deny(&alice, "o", 1, STATE_SHARE_READ, STATE_SHARE_WRITE, &a), STATE_OK);
    assert_int_equal(peer_open(&bob, 1, STATE_SHARE_WRITE, &b), STATE_SHARE_DENIED);
}

static void a_file_system_that_goes_takes_its_opens_with_it(void **state)
{
    struct fixture *f = *state;
    struct peer alice = peer_ready(f, "alice");
    struct state_stateid a, lock;
    assert_int_equal(peer_open(&alice, 1, STATE_SHARE_BOTH, &a), STATE_OK);
    struct state_lock_range range = { STATE_LOCK_WRITE, 0, UINT64_MAX };
    assert_int_equal(peer_lock(&alice, 1, &a, "l", range, &lock), STATE_OK);
    state_files_free(f->files);
    assert_int_equal(state_files_new(f->state, &fake_fs_ops, &f->fs, &f->files), 0);
    memset(f->fs.holds, 0, sizeof f->fs.holds);
    assert_int_equal(io(&alice, 1, &a, STATE_IO_READ), STATE_BAD_STATEID);
    assert_int_equal(peer_open(&alice, 1, STATE_SHARE_BOTH, &a), STATE_OK);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_pair_of_shares_conflicts_as_the_matrix_says),
        TEST(an_owner_s_own_deny_and_access_refuse_its_next_open),
        TEST(an_owner_upgrades_its_one_open_of_a_file),
        TEST(a_downgrade_is_a_union_of_opens),
        TEST(stateid_seqids_follow_the_rules),
        TEST(stateid_seqids_wrap_past_zero),
        TEST(a_stateid_is_of_one_client_one_file_and_one_kind),
        TEST(stateids_of_an_earlier_process_are_bad),
        TEST(io_is_allowed_by_the_open_not_by_its_mode_alone),
        TEST(special_stateids_respect_denies_but_the_bypass_of_reads),
        TEST(the_special_stateids_are_told_apart),
        TEST(close_answers_the_invalid_stateid_and_drops_locks),
        TEST(an_open_can_be_taken_back),
        TEST(a_file_that_is_gone_cannot_be_opened),
        TEST(opens_and_owners_have_limits),
        TEST(what_all_clients_hold_has_a_limit_in_bytes),
        TEST(a_caller_without_a_client_cannot_open),
        TEST(wrong_shares_are_invalid),
        TEST(views_of_one_file_system_conflict),
        TEST(a_file_system_that_goes_takes_its_opens_with_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
