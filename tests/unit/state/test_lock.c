/* Byte-range locks: POSIX rules by example, then against a model of one entry per byte. */
#include "fixture.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "state/internal.h"

#define R STATE_LOCK_READ
#define W STATE_LOCK_WRITE

static struct state_lock_range range(enum state_lock_type type, uint64_t offset, uint64_t length)
{
    return (struct state_lock_range){ .type = type, .offset = offset, .length = length };
}

static enum state_status unlock(
    struct peer *peer, uint64_t inode, struct state_stateid *lock, uint64_t offset, uint64_t length)
{
    struct state_caller caller = peer_caller(peer);
    struct state_file_ref file = fixture_file(peer->f, inode);
    struct state_lock_range r = range(R, offset, length);
    return state_unlock(&caller, &file, &r, lock, lock);
}

/* LOCK by an existing lock stateid. */
static enum state_status relock(
    struct peer *peer, uint64_t inode, struct state_stateid *lock, struct state_lock_range r)
{
    struct state_caller caller = peer_caller(peer);
    struct state_lock_args args = {
        .file = fixture_file(peer->f, inode), .range = r, .stateid = *lock
    };
    struct state_lock_denied denied;
    return state_lock(&caller, &args, lock, &denied);
}

/* What LOCKT tells this client's owner, and about whom. */
static enum state_status test_lock(struct peer *peer, uint64_t inode, const char *owner,
    struct state_lock_range r, struct state_lock_denied *out_denied)
{
    struct state_caller caller = peer_caller(peer);
    struct state_file_ref file = fixture_file(peer->f, inode);
    return state_lock_test(&caller, &file, &r, 0, slice_str(owner), out_denied);
}

/* Looks into the room without its locks: these tests have one thread. */
static struct state_file *file_of(const struct state_file_ref *ref) NO_LOCK_CHECK;
static struct state_file *file_of(const struct state_file_ref *ref)
{
    return state_file_find(state_shard_of(ref->files, &ref->key), &ref->key);
}

static const struct state_owner *owner_of(
    struct state_client *client, const char *owner) NO_LOCK_CHECK;
static const struct state_owner *owner_of(struct state_client *client, const char *owner)
{
    return state_owner_find(client, STATE_LOCK_OWNER, slice_str(owner));
}

/* The locked ranges of a file as a text: "R0-9 W20-end" in the order of their beginnings. */
static void describe(struct fixture *f, uint64_t inode, char *out, size_t size)
{
    struct state_file_ref ref = fixture_file(f, inode);
    struct state_file *file = file_of(&ref);
    size_t used = 0;
    out[0] = '\0';
    struct state_interval *at = state_interval_first(&file->ranges, 0, UINT64_MAX);
    for (; at != NULL; at = state_interval_next(at, 0, UINT64_MAX)) {
        const struct state_range *r = CONTAINER_OF(at, struct state_range, interval);
        char last[24];
        (void)snprintf(last, sizeof last, "%" PRIu64, at->last);
        used += (size_t)snprintf(out + used, size - used, "%s%c%" PRIu64 "-%s", used ? " " : "",
            r->type == R ? 'R' : 'W', at->first, at->last == UINT64_MAX ? "end" : last);
    }
}

struct merge_case {
    const char *before; /* steps: type (R, W, U), offset, length (0: to the end) */
    const char *after;
};

static const struct merge_case merge_cases[] = {
    { "W0+10", "W0-9" },
    { "W0+10 W10+10", "W0-19" },
    { "W10+10 W0+10", "W0-19" },
    { "W0+10 W20+10", "W0-9 W20-29" },
    { "W0+10 W20+10 W5+20", "W0-29" },
    { "W0+10 W20+10 W10+10", "W0-29" },
    { "R0+10 W10+10", "R0-9 W10-19" },
    { "R0+30 W10+10", "R0-9 W10-19 R20-29" },
    { "W0+30 R10+10", "W0-9 R10-19 W20-29" },
    { "R0+10 W0+10", "W0-9" },
    { "R0+10 W5+10", "R0-4 W5-14" },
    { "W5+10 R0+10", "R0-9 W10-14" },
    { "R0+10 R20+10 W0+30", "W0-29" },
    { "W0+0", "W0-end" },
    { "W0+0 U10+10", "W0-9 W20-end" },
    { "W0+0 U10+0", "W0-9" },
    { "W0+30 U0+10", "W10-29" },
    { "W0+30 U20+10", "W0-19" },
    { "W0+30 U0+30", "" },
    { "W10+10 U0+0", "" },
    { "W10+10 U0+10", "W10-19" },
    { "W10+10 U20+10", "W10-19" },
    { "R0+10 W10+10 R20+10 U5+20", "R0-4 R25-29" },
    { "W18446744073709551614+1", "W18446744073709551614-18446744073709551614" },
    { "W18446744073709551614+1 W18446744073709551615+0", "W18446744073709551614-end" },
};

static uint64_t number_take(const char **at)
{
    char *end;
    uint64_t number = strtoull(*at, &end, 10);
    assert_true(end != *at);
    *at = end;
    return number;
}

static void ranges_of_one_owner_merge_and_split(void **state)
{
    struct fixture *f = *state;
    struct peer alice = peer_ready(f, "alice");
    for (uint64_t i = 0; i < ARRAY_SIZE(merge_cases); i++) {
        struct state_stateid open, lock;
        assert_int_equal(peer_open(&alice, i, STATE_SHARE_BOTH, &open), STATE_OK);
        bool first = true;
        const char *at = merge_cases[i].before;
        while (*at != '\0') {
            char type = *at++;
            uint64_t offset = number_take(&at);
            at++; /* the plus */
            uint64_t length = number_take(&at);
            at += *at == ' ';
            length = length == 0 ? UINT64_MAX : length;
            struct state_lock_range r = range(type == 'R' ? R : W, offset, length);
            if (type == 'U')
                assert_int_equal(unlock(&alice, i, &lock, offset, length), STATE_OK);
            else if (first)
                assert_int_equal(peer_lock(&alice, i, &open, "l", r, &lock), STATE_OK);
            else
                assert_int_equal(relock(&alice, i, &lock, r), STATE_OK);
            first = false;
        }
        char text[256];
        describe(f, i, text, sizeof text);
        if (strcmp(text, merge_cases[i].after) != 0)
            print_error("case %s\n", merge_cases[i].before);
        assert_string_equal(text, merge_cases[i].after);
        assert_int_equal(peer_close(&alice, i, &open), STATE_OK);
    }
    struct state_counts counts;
    state_count(f->state, f->now_ms, &counts);
    assert_int_equal(counts.lock_ranges, 0);
}

static void a_denied_lock_names_who_is_in_the_way(void **state)
{
    struct fixture *f = *state;
    struct peer alice = peer_ready(f, "alice"), bob = peer_ready(f, "bob");
    struct state_stateid a, b, lock;
    assert_int_equal(peer_open(&alice, 1, STATE_SHARE_BOTH, &a), STATE_OK);
    assert_int_equal(peer_open(&bob, 1, STATE_SHARE_BOTH, &b), STATE_OK);
    assert_int_equal(peer_lock(&alice, 1, &a, "alices", range(R, 10, 10), &lock), STATE_OK);
    assert_int_equal(relock(&alice, 1, &lock, range(W, 100, UINT64_MAX)), STATE_OK);

    struct state_lock_denied denied;
    assert_int_equal(test_lock(&bob, 1, "b", range(R, 0, 50), &denied), STATE_OK);
    assert_int_equal(test_lock(&bob, 1, "b", range(W, 0, 50), &denied), STATE_DENIED);
    assert_int_equal(denied.range.type, R);
    assert_int_equal(denied.range.offset, 10);
    assert_int_equal(denied.range.length, 10);
    assert_true(denied.clientid == alice.clientid);
    assert_true(slice_equal(denied.owner, slice_str("alices")));
    assert_int_equal(test_lock(&bob, 1, "b", range(R, 500, 1), &denied), STATE_DENIED);
    assert_int_equal(denied.range.type, W);
    assert_int_equal(denied.range.offset, 100);
    assert_true(denied.range.length == UINT64_MAX);
    /* Its own locks never deny anything to an owner; to another owner of that client they do. */
    assert_int_equal(test_lock(&alice, 1, "alices", range(W, 0, 500), &denied), STATE_OK);
    assert_int_equal(test_lock(&alice, 1, "other", range(W, 0, 50), &denied), STATE_DENIED);
    /* The same bytes as owner, but another client. */
    assert_int_equal(test_lock(&bob, 1, "alices", range(W, 0, 50), &denied), STATE_DENIED);

    assert_int_equal(peer_lock(&bob, 1, &b, "b", range(W, 0, 11), &lock), STATE_DENIED);
    assert_int_equal(peer_lock(&bob, 1, &b, "b", range(W, 0, 10), &lock), STATE_OK);
    assert_int_equal(lock.seqid, 1);
    assert_int_equal(relock(&bob, 1, &lock, range(W, 100, 1)), STATE_DENIED);
    assert_int_equal(lock.seqid, 1);
    assert_int_equal(relock(&bob, 1, &lock, range(W, 20, 80)), STATE_OK);
    assert_int_equal(lock.seqid, 2);
}

static void wrong_ranges_are_invalid(void **state)
{
    struct fixture *f = *state;
    struct peer alice = peer_ready(f, "alice");
    struct state_stateid open, lock;
    struct state_lock_denied denied;
    assert_int_equal(peer_open(&alice, 1, STATE_SHARE_BOTH, &open), STATE_OK);
    const struct state_lock_range wrong[] = { { W, 0, 0 }, { W, 2, UINT64_MAX - 1 },
        { W, UINT64_MAX, 1 } };
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        assert_int_equal(peer_lock(&alice, 1, &open, "l", wrong[i], &lock), STATE_INVAL);
        assert_int_equal(test_lock(&alice, 1, "l", wrong[i], &denied), STATE_INVAL);
    }
    assert_int_equal(
        peer_lock(&alice, 1, &open, "l", range(W, 1, UINT64_MAX - 1), &lock), STATE_OK);
    assert_int_equal(unlock(&alice, 1, &lock, 0, 0), STATE_INVAL);
    assert_int_equal(relock(&alice, 1, &lock, range(W, 5, UINT64_MAX)), STATE_OK);
}

static void a_lock_needs_an_open_of_its_mode(void **state)
{
    struct fixture *f = *state;
    struct peer alice = peer_ready(f, "alice");
    struct state_stateid r, w, lock;
    assert_int_equal(peer_open(&alice, 1, STATE_SHARE_READ, &r), STATE_OK);
    assert_int_equal(peer_open(&alice, 2, STATE_SHARE_WRITE, &w), STATE_OK);
    assert_int_equal(peer_lock(&alice, 1, &r, "l", range(W, 0, 1), &lock), STATE_OPENMODE);
    assert_int_equal(peer_lock(&alice, 2, &w, "l", range(R, 0, 1), &lock), STATE_OPENMODE);
    assert_int_equal(peer_lock(&alice, 1, &r, "l", range(R, 0, 1), &lock), STATE_OK);
    assert_int_equal(peer_lock(&alice, 2, &w, "l", range(W, 0, 1), &lock), STATE_OK);
    assert_int_equal(peer_lock(&alice, 1, &w, "l", range(W, 0, 1), &lock), STATE_BAD_STATEID);
    assert_int_equal(relock(&alice, 1, &r, range(R, 0, 1)), STATE_BAD_STATEID);
    assert_int_equal(unlock(&alice, 1, &r, 0, 1), STATE_BAD_STATEID);
    assert_int_equal(peer_lock(&alice, 2, &lock, "l", range(W, 0, 1), &lock), STATE_BAD_STATEID);
}

static void an_owner_has_one_lock_stateid_for_an_open(void **state)
{
    struct fixture *f = *state;
    struct peer alice = peer_ready(f, "alice");
    struct state_stateid open, first, second, other;
    assert_int_equal(peer_open(&alice, 1, STATE_SHARE_BOTH, &open), STATE_OK);
    assert_int_equal(peer_lock(&alice, 1, &open, "l", range(W, 0, 1), &first), STATE_OK);
    assert_int_equal(peer_lock(&alice, 1, &open, "l", range(W, 5, 1), &second), STATE_OK);
    assert_memory_equal(first.other, second.other, STATE_OTHER_SIZE);
    assert_int_equal(second.seqid, 2);
    assert_int_equal(peer_lock(&alice, 1, &open, "m", range(W, 9, 1), &other), STATE_OK);
    assert_memory_not_equal(first.other, other.other, STATE_OTHER_SIZE);
    assert_int_equal(relock(&alice, 1, &first, range(W, 7, 1)), STATE_OLD_STATEID);
}

static void ranges_through_two_opens_go_with_the_open_they_came_through(void **state)
{
    struct fixture *f = *state;
    struct peer alice = peer_ready(f, "alice");
    struct state_stateid one, two, lock;
    assert_int_equal(peer_open_deny(&alice, "o1", 1, STATE_SHARE_BOTH, 0, &one), STATE_OK);
    assert_int_equal(peer_open_deny(&alice, "o2", 1, STATE_SHARE_BOTH, 0, &two), STATE_OK);
    assert_int_equal(peer_lock(&alice, 1, &one, "l", range(W, 0, 20), &lock), STATE_OK);
    assert_int_equal(peer_lock(&alice, 1, &two, "l", range(W, 10, 20), &lock), STATE_OK);
    char text[256];
    describe(f, 1, text, sizeof text);
    assert_string_equal(text, "W0-9 W10-29");
    assert_int_equal(peer_close(&alice, 1, &one), STATE_OK);
    describe(f, 1, text, sizeof text);
    assert_string_equal(text, "W10-29");
}

static void free_stateid_is_for_lock_stateids_that_hold_nothing(void **state)
{
    struct fixture *f = *state;
    struct peer alice = peer_ready(f, "alice");
    struct state_stateid open, lock;
    assert_int_equal(peer_open(&alice, 1, STATE_SHARE_BOTH, &open), STATE_OK);
    assert_int_equal(peer_lock(&alice, 1, &open, "l", range(W, 0, 10), &lock), STATE_OK);
    struct state_caller caller = peer_caller(&alice);
    assert_int_equal(state_free_stateid(&caller, &open), STATE_LOCKS_HELD);
    assert_int_equal(state_free_stateid(&caller, &lock), STATE_LOCKS_HELD);
    assert_int_equal(unlock(&alice, 1, &lock, 0, 10), STATE_OK);
    assert_int_equal(state_free_stateid(&caller, &lock), STATE_OK);
    assert_int_equal(state_free_stateid(&caller, &lock), STATE_BAD_STATEID);
    assert_int_equal(peer_lock(&alice, 1, &open, "l", range(W, 0, 10), &lock), STATE_OK);
}

static void ranges_have_a_limit(void **state)
{
    struct fixture *f = *state;
    f->options.lock_per_client_max = 10;
    fixture_restart(f);
    struct peer alice = peer_ready(f, "alice");
    struct state_stateid open, lock;
    assert_int_equal(peer_open(&alice, 1, STATE_SHARE_BOTH, &open), STATE_OK);
    assert_int_equal(peer_lock(&alice, 1, &open, "l", range(W, 0, 1), &lock), STATE_OK);
    for (uint64_t i = 1; i < 10; i++)
        assert_int_equal(relock(&alice, 1, &lock, range(W, i * 10, 5)), STATE_OK);
    assert_int_equal(relock(&alice, 1, &lock, range(W, 1000, 1)), STATE_DQUOT);
    assert_int_equal(unlock(&alice, 1, &lock, 12, 1), STATE_OK); /* a few splits are possible */
    assert_int_equal(unlock(&alice, 1, &lock, 22, 1), STATE_OK);
    assert_int_equal(unlock(&alice, 1, &lock, 32, 1), STATE_DQUOT);
    assert_int_equal(unlock(&alice, 1, &lock, 33, 10), STATE_OK);
    assert_int_equal(unlock(&alice, 1, &lock, 0, 1000), STATE_OK);
    assert_int_equal(relock(&alice, 1, &lock, range(W, 1000, 1)), STATE_OK);
}

static void a_file_has_a_limit_of_ranges_for_all_clients(void **state)
{
    struct fixture *f = *state;
    f->options.lock_per_file_max = 3;
    fixture_restart(f);
    struct peer alice = peer_ready(f, "alice"), bob = peer_ready(f, "bob");
    struct state_stateid a, b, a_lock, b_lock;
    assert_int_equal(peer_open(&alice, 1, STATE_SHARE_BOTH, &a), STATE_OK);
    assert_int_equal(peer_open(&bob, 1, STATE_SHARE_BOTH, &b), STATE_OK);
    assert_int_equal(peer_lock(&alice, 1, &a, "l", range(W, 0, 1), &a_lock), STATE_OK);
    assert_int_equal(peer_lock(&bob, 1, &b, "l", range(W, 10, 1), &b_lock), STATE_OK);
    assert_int_equal(relock(&bob, 1, &b_lock, range(W, 20, 1)), STATE_OK);
    assert_int_equal(relock(&bob, 1, &b_lock, range(W, 30, 1)), STATE_DENIED);
    assert_int_equal(relock(&alice, 1, &a_lock, range(W, 30, 1)), STATE_DENIED);
    assert_int_equal(unlock(&alice, 1, &a_lock, 0, 1), STATE_OK);
    assert_int_equal(relock(&bob, 1, &b_lock, range(W, 30, 1)), STATE_OK);
}

/* ---- the model ---- */

#define MODEL_BYTES  48u
#define MODEL_OWNERS 4u

/* What each owner has on each byte. The last byte stands for all that follow. */
struct model {
    enum state_lock_type held[MODEL_OWNERS][MODEL_BYTES]; /* 0: nothing */
};

static bool model_conflicts(const struct model *model, unsigned owner, enum state_lock_type type,
    unsigned first, unsigned last)
{
    for (unsigned other = 0; other < MODEL_OWNERS; other++) {
        for (unsigned at = first; at <= last && other != owner; at++) {
            enum state_lock_type held = model->held[other][at];
            if (held == W || (held == R && type == W))
                return true;
        }
    }
    return false;
}

static void model_set(
    struct model *model, unsigned owner, enum state_lock_type type, unsigned first, unsigned last)
{
    for (unsigned at = first; at <= last; at++)
        model->held[owner][at] = type;
}

/* Every byte is held in the file as in the model, the ranges of an owner do not overlap, and none of them could
 * be joined. */
static void model_compare(const struct model *model, struct fixture *f,
    const struct state_owner *const owners[MODEL_OWNERS])
{
    struct model seen = { 0 };
    uint64_t last_of[MODEL_OWNERS] = { 0 };
    enum state_lock_type type_of[MODEL_OWNERS] = { 0 };
    struct state_file_ref ref = fixture_file(f, 1);
    struct state_file *file = file_of(&ref);
    struct state_interval *at = state_interval_first(&file->ranges, 0, UINT64_MAX);
    for (; at != NULL; at = state_interval_next(at, 0, UINT64_MAX)) {
        const struct state_range *r = CONTAINER_OF(at, struct state_range, interval);
        unsigned owner = 0;
        while (owners[owner] != r->lock_state->owner)
            owner++;
        assert_true(owner < MODEL_OWNERS);
        if (type_of[owner] != 0) {
            assert_true(at->first > last_of[owner]);
            assert_true(at->first > last_of[owner] + 1 || r->type != type_of[owner]);
        }
        last_of[owner] = at->last;
        type_of[owner] = r->type;
        assert_true(at->last < MODEL_BYTES - 1 || at->last == UINT64_MAX);
        unsigned last = at->last == UINT64_MAX ? MODEL_BYTES - 1 : (unsigned)at->last;
        model_set(&seen, owner, r->type, (unsigned)at->first, last);
    }
    assert_memory_equal(&seen, model, sizeof seen);
}

static void random_locks_agree_with_a_model_of_bytes(void **state)
{
    struct fixture *f = *state;
    unsigned seed = fixture_seed();
    struct model model = { 0 };
    struct peer peers[2] = { peer_ready(f, "alice"), peer_ready(f, "bob") };
    struct state_stateid opens[2], locks[MODEL_OWNERS];
    const struct state_owner *owners[MODEL_OWNERS] = { NULL };
    const char *names[] = { "0", "1", "2", "3" };
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(peer_open(&peers[i], 1, STATE_SHARE_BOTH, &opens[i]), STATE_OK);
    for (unsigned i = 0; i < MODEL_OWNERS; i++) {
        struct state_lock_range r = range(R, 0, 1);
        assert_int_equal(peer_lock(&peers[i % 2], 1, &opens[i % 2], names[i], r, &locks[i]), 0);
        assert_int_equal(unlock(&peers[i % 2], 1, &locks[i], 0, 1), STATE_OK);
        owners[i] = owner_of(peer_caller(&peers[i % 2]).client, names[i]);
    }
    for (unsigned step = 0; step < 20000; step++) {
        unsigned owner = (unsigned)rand_r(&seed) % MODEL_OWNERS;
        unsigned first = (unsigned)rand_r(&seed) % MODEL_BYTES;
        unsigned last = first + (unsigned)rand_r(&seed) % (MODEL_BYTES - first);
        bool to_end = last == MODEL_BYTES - 1;
        enum state_lock_type type = rand_r(&seed) % 3 == 0 ? W : R;
        struct state_lock_range r = range(type, first, to_end ? UINT64_MAX : last - first + 1);
        struct peer *peer = &peers[owner % 2];
        if (rand_r(&seed) % 3 == 0) {
            assert_int_equal(unlock(peer, 1, &locks[owner], r.offset, r.length), STATE_OK);
            model_set(&model, owner, 0, first, last);
        } else {
            bool conflicts = model_conflicts(&model, owner, type, first, last);
            struct state_lock_denied denied;
            enum state_status expected = conflicts ? STATE_DENIED : STATE_OK;
            assert_int_equal(test_lock(peer, 1, names[owner], r, &denied), expected);
            assert_int_equal(relock(peer, 1, &locks[owner], r), expected);
            if (!conflicts)
                model_set(&model, owner, type, first, last);
        }
        model_compare(&model, f, owners);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(ranges_of_one_owner_merge_and_split),
        TEST(a_denied_lock_names_who_is_in_the_way),
        TEST(wrong_ranges_are_invalid),
        TEST(a_lock_needs_an_open_of_its_mode),
        TEST(an_owner_has_one_lock_stateid_for_an_open),
        TEST(ranges_through_two_opens_go_with_the_open_they_came_through),
        TEST(free_stateid_is_for_lock_stateids_that_hold_nothing),
        TEST(ranges_have_a_limit),
        TEST(a_file_has_a_limit_of_ranges_for_all_clients),
        TEST(random_locks_agree_with_a_model_of_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
