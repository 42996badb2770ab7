/* Quotas: exact at every operation that takes room, whatever data is on its way, and after reopening. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "engine/check.h"
#include "engine/volume.h"
#include "fixture.h"

#include <cmocka.h>

#define BLOCK   4096u
#define THREADS 4u
#define ROUNDS  200u

static const uint8_t bytes[64 * BLOCK] = { 1 };

static void check_records(struct fixture *f)
{
    uint64_t wrong;
    assert_int_equal(volume_check(volume_of(f->fs), &wrong), 0);
    assert_int_equal(wrong, 0);
}

static int setup(void **state)
{
    const struct engine_options options = { .segment_blocks = 256, .step_blocks = 32 };
    struct fixture *f = malloc(sizeof *f);
    assert_non_null(f);
    fixture_init(f, &options);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    check_records(f);
    fixture_fini(f);
    free(f);
    return 0;
}

static int try_make(
    struct fixture *f, struct fs_node dir, const char *name, enum fs_type type, struct fs_node *out)
{
    const struct fs_create how = { .type = type, .attr = { .set_mode = true, .mode = 0755 } };
    struct fs_created made;
    int err = fs_create(f->fs, NULL, dir, slice_str(name), &how, &made);
    if (err == 0 && out != NULL)
        *out = made.attr.node;
    return err;
}

static struct fs_node make(
    struct fixture *f, struct fs_node dir, const char *name, enum fs_type type)
{
    struct fs_node node = { 0 };
    assert_int_equal(try_make(f, dir, name, type, &node), 0);
    return node;
}

static int try_write(struct fixture *f, struct fs_node node, uint64_t block, uint64_t count,
    enum fs_stability stability)
{
    const struct fs_write how = {
        .offset = block * BLOCK, .data = slice_of(bytes, count * BLOCK), .stability = stability
    };
    struct fs_written out;
    return fs_write(f->fs, node, &how, &out);
}

static int try_move(struct fixture *f, struct fs_node from, const char *name, struct fs_node to,
    const char *new_name)
{
    const struct fs_rename how = { from, slice_str(name), to, slice_str(new_name) };
    struct fs_renamed out;
    return fs_rename(f->fs, NULL, &how, &out);
}

static void drop(struct fixture *f, struct fs_node dir, const char *name)
{
    struct fs_change change;
    assert_int_equal(fs_remove(f->fs, NULL, dir, slice_str(name), &change), 0);
}

static void limit(struct fixture *f, struct fs_node dir, uint64_t blocks, uint64_t entries)
{
    const struct fs_quota_limits limits = { .hard_bytes = blocks * BLOCK, .hard_entries = entries };
    assert_int_equal(fs_quota_set(f->fs, dir, &limits), 0);
}

static void expect(struct fixture *f, struct fs_node dir, uint64_t blocks, uint64_t entries)
{
    struct fs_quota quota;
    assert_int_equal(fs_quota_get(f->fs, dir, &quota), 0);
    assert_int_equal(quota.used_bytes, blocks * BLOCK);
    assert_int_equal(quota.used_entries, entries);
}

static void entries_are_limited_where_they_are_made_linked_and_moved(void **state)
{
    struct fixture *f = *state;
    struct fs_node q = make(f, f->root, "q", FS_DIRECTORY);
    struct fs_node inner = make(f, q, "inner", FS_DIRECTORY);
    struct fs_node outside = make(f, f->root, "outside", FS_REGULAR);
    struct fs_change change;
    limit(f, q, 0, 3);
    expect(f, q, 0, 1);
    struct fs_node a = make(f, inner, "a", FS_REGULAR);
    assert_int_equal(fs_link(f->fs, NULL, a, q, slice_str("a2"), &change), 0); /* no entry more */
    (void)make(f, q, "b", FS_FIFO);
    assert_int_equal(try_make(f, inner, "c", FS_DIRECTORY, NULL), -EDQUOT);
    assert_int_equal(try_make(f, q, "c", FS_REGULAR, NULL), -EDQUOT);
    assert_int_equal(fs_link(f->fs, NULL, outside, q, slice_str("c"), &change), -EDQUOT);
    assert_int_equal(try_move(f, f->root, "outside", inner, "c"), -EDQUOT);
    /* It stays, as "a2". */
    assert_int_equal(try_move(f, f->root, "outside", inner, "a"), -EDQUOT);
    drop(f, q, "a2");
    assert_int_equal(try_move(f, f->root, "outside", inner, "a"), 0);
    expect(f, q, 0, 3);
}

static void a_replacement_needs_no_room(void **state)
{
    struct fixture *f = *state;
    struct fs_node q = make(f, f->root, "q", FS_DIRECTORY);
    struct fs_node a = make(f, q, "a", FS_REGULAR);
    assert_int_equal(try_write(f, a, 0, 4, FS_FILE_SYNC), 0);
    struct fs_node b = make(f, f->root, "b", FS_REGULAR);
    assert_int_equal(try_write(f, b, 0, 4, FS_FILE_SYNC), 0);
    limit(f, q, 4, 1);
    assert_int_equal(try_move(f, f->root, "b", q, "c"), -EDQUOT);
    assert_int_equal(try_move(f, f->root, "b", q, "a"), 0);
    assert_int_equal(try_move(f, q, "a", q, "renamed"), 0);
    expect(f, q, 4, 1);
    drop(f, q, "renamed");
    (void)make(f, q, "fresh", FS_REGULAR);
}

static void unstable_writes_are_refused_when_they_are_made(void **state)
{
    struct fixture *f = *state;
    struct fs_node q = make(f, f->root, "q", FS_DIRECTORY);
    struct fs_node inner = make(f, q, "inner", FS_DIRECTORY);
    limit(f, q, 20, 0);
    struct fs_node a = make(f, inner, "a", FS_REGULAR);
    struct fs_node b = make(f, q, "b", FS_REGULAR);
    assert_int_equal(try_write(f, a, 0, 12, FS_UNSTABLE), 0);
    expect(f, q, 0, 3); /* nothing is durable */
    assert_int_equal(try_write(f, b, 0, 9, FS_UNSTABLE), -EDQUOT);
    assert_int_equal(try_write(f, b, 0, 8, FS_UNSTABLE), 0);
    assert_int_equal(try_write(f, a, 0, 12, FS_UNSTABLE), 0); /* what it has, again */
    assert_int_equal(try_write(f, a, 11, 2, FS_UNSTABLE), -EDQUOT);
    assert_int_equal(try_write(f, a, 12, 1, FS_FILE_SYNC), -EDQUOT);
    assert_int_equal(fs_commit(f->fs, a, 0, 0), 0);
    expect(f, q, 12, 3);
    assert_int_equal(try_write(f, b, 8, 1, FS_UNSTABLE), -EDQUOT);
    assert_int_equal(fs_commit(f->fs, b, 0, 0), 0);
    expect(f, q, 20, 3);
    assert_int_equal(try_write(f, a, 0, 12, FS_FILE_SYNC), 0);
    /* Truncating, punching and removing make room; a hole takes none. */
    struct fs_attr attr;
    const struct fs_setattr shorter = { .set_size = true, .size_bytes = 10 * BLOCK };
    assert_int_equal(fs_setattr(f->fs, NULL, a, &shorter, &attr), 0);
    const struct fs_setattr longer = { .set_size = true, .size_bytes = 1000 * BLOCK };
    assert_int_equal(fs_setattr(f->fs, NULL, a, &longer, &attr), 0);
    assert_int_equal(try_write(f, a, 500, 3, FS_UNSTABLE), -EDQUOT);
    assert_int_equal(try_write(f, a, 500, 2, FS_UNSTABLE), 0);
    assert_int_equal(fs_setattr(f->fs, NULL, a, &shorter, &attr), 0); /* before it is committed */
    assert_int_equal(try_write(f, b, 8, 2, FS_UNSTABLE), 0);
    drop(f, q, "b"); /* with what was not committed */
    assert_int_equal(try_write(f, a, 10, 10, FS_UNSTABLE), 0);
    assert_int_equal(try_write(f, a, 20, 1, FS_UNSTABLE), -EDQUOT);
    fixture_reopen(f);
    expect(f, q, 20, 2);
    assert_int_equal(try_write(f, a, 20, 1, FS_UNSTABLE), -EDQUOT);
}

static void clones_and_allocations_are_limited(void **state)
{
    struct fixture *f = *state;
    struct fs_node q = make(f, f->root, "q", FS_DIRECTORY);
    struct fs_node source = make(f, f->root, "source", FS_REGULAR);
    assert_int_equal(try_write(f, source, 0, 64, FS_FILE_SYNC), 0);
    limit(f, q, 63, 0);
    struct fs_node target = make(f, q, "target", FS_REGULAR);
    struct fs_attr attr;
    struct fs_clone all = { .source = source, .target = target }; /* in steps */
    assert_int_equal(fs_clone(f->fs, NULL, &all, &attr), -EDQUOT);
    expect(f, q, 0, 1);
    all.size_bytes = 20 * BLOCK;
    assert_int_equal(fs_clone(f->fs, NULL, &all, &attr), 0);
    assert_int_equal(fs_clone(f->fs, NULL, &all, &attr), 0); /* in its own place */
    expect(f, q, 20, 1);
    assert_int_equal(fs_allocate(f->fs, NULL, target, 0, 63 * BLOCK, &attr), 0);
    assert_int_equal(fs_allocate(f->fs, NULL, target, 63 * BLOCK, 44 * BLOCK, &attr), -EDQUOT);
    limit(f, q, 30, 0);
    all.target_offset = 25 * BLOCK;
    assert_int_equal(fs_clone(f->fs, NULL, &all, &attr), -EDQUOT);
}

static void trees_are_moved_where_they_fit(void **state)
{
    struct fixture *f = *state;
    struct fs_node outer = make(f, f->root, "outer", FS_DIRECTORY);
    struct fs_node q = make(f, outer, "q", FS_DIRECTORY);
    struct fs_node tree = make(f, f->root, "tree", FS_DIRECTORY);
    assert_int_equal(try_write(f, make(f, tree, "a", FS_REGULAR), 0, 5, FS_FILE_SYNC), 0);
    limit(f, outer, 8, 0);
    limit(f, q, 4, 0);
    assert_int_equal(try_move(f, f->root, "tree", q, "tree"), -EDQUOT);
    limit(f, q, 5, 1);
    assert_int_equal(try_move(f, f->root, "tree", q, "tree"), -EDQUOT);
    limit(f, q, 5, 2);
    assert_int_equal(try_move(f, f->root, "tree", q, "tree"), 0);
    expect(f, q, 5, 2);
    expect(f, outer, 5, 3);
    struct fs_node b = make(f, outer, "b", FS_REGULAR);
    assert_int_equal(try_write(f, b, 0, 4, FS_UNSTABLE), -EDQUOT); /* the outer one */
    assert_int_equal(try_write(f, b, 0, 3, FS_UNSTABLE), 0);
    /* What is in both already is no more. */
    assert_int_equal(try_move(f, q, "tree", outer, "tree"), 0);
    expect(f, outer, 5, 4);
    expect(f, q, 0, 0);
    /* A limit below what is used: only more is refused. */
    limit(f, outer, 1, 1);
    assert_int_equal(fs_commit(f->fs, b, 0, 0), 0);
    expect(f, outer, 8, 4);
    assert_int_equal(try_move(f, outer, "tree", f->root, "tree"), 0);
    expect(f, outer, 3, 2);
}

static void a_file_takes_its_reservation_along(void **state)
{
    struct fixture *f = *state;
    struct fs_node q1 = make(f, f->root, "q1", FS_DIRECTORY);
    struct fs_node q2 = make(f, f->root, "q2", FS_DIRECTORY);
    limit(f, q1, 10, 0);
    limit(f, q2, 10, 0);
    struct fs_node a = make(f, q1, "a", FS_REGULAR);
    struct fs_node b = make(f, q1, "b", FS_REGULAR);
    assert_int_equal(try_write(f, a, 0, 10, FS_UNSTABLE), 0);
    assert_int_equal(try_move(f, q1, "a", q2, "a"), 0);
    assert_int_equal(try_write(f, a, 0, 1, FS_UNSTABLE), 0);
    assert_int_equal(try_write(f, a, 10, 1, FS_UNSTABLE), -EDQUOT);
    assert_int_equal(try_write(f, b, 0, 10, FS_UNSTABLE), 0);
    assert_int_equal(fs_commit(f->fs, a, 0, 0), 0);
    assert_int_equal(fs_commit(f->fs, b, 0, 0), 0);
    expect(f, q1, 10, 1);
    expect(f, q2, 10, 1);
    assert_int_equal(fs_hold(f->fs, a), 0);
    drop(f, q2, "a");
    assert_int_equal(try_write(f, a, 20, 20, FS_UNSTABLE), 0); /* it counts nowhere */
    struct fs_node c = make(f, q2, "c", FS_REGULAR);
    assert_int_equal(try_write(f, c, 0, 10, FS_UNSTABLE), 0);
    assert_int_equal(fs_commit(f->fs, a, 0, 0), 0);
    assert_int_equal(try_write(f, c, 10, 1, FS_UNSTABLE), -EDQUOT);
    fs_release(f->fs, a);
}

static void space_is_what_the_narrowest_quota_leaves(void **state)
{
    struct fixture *f = *state;
    struct fs_node outer = make(f, f->root, "outer", FS_DIRECTORY);
    struct fs_node q = make(f, outer, "q", FS_DIRECTORY);
    struct fs_node a = make(f, q, "a", FS_REGULAR);
    struct fs_space space;
    struct fs_space whole;
    limit(f, outer, 100, 50);
    limit(f, q, 200, 10);
    assert_int_equal(try_write(f, a, 0, 30, FS_UNSTABLE), 0);
    assert_int_equal(fs_space(f->fs, &whole), 0);
    space = whole;
    assert_int_equal(fs_quota_space(f->fs, a, &space), 0);
    assert_int_equal(space.total_bytes, 100 * BLOCK);
    assert_int_equal(space.available_bytes, 70 * BLOCK);
    assert_int_equal(space.total_files, 10);
    assert_int_equal(space.free_files, 9);
    space = whole;
    assert_int_equal(fs_quota_space(f->fs, f->root, &space), 0);
    assert_int_equal(space.total_bytes, whole.total_bytes);
    assert_int_equal(space.free_files, whole.free_files);
}

static void a_soft_limit_becomes_hard_after_its_time(void **state)
{
    struct fixture *f = *state;
    struct fs_node q = make(f, f->root, "q", FS_DIRECTORY);
    struct fs_quota_limits limits = {
        .soft_bytes = 2 * BLOCK, .hard_bytes = 10 * BLOCK, .soft_entries = 100, .grace_s = 1000
    };
    struct fs_quota quota;
    assert_int_equal(fs_quota_set(f->fs, q, &limits), 0);
    struct fs_node a = make(f, q, "a", FS_REGULAR);
    assert_int_equal(try_write(f, a, 0, 2, FS_FILE_SYNC), 0);
    assert_int_equal(fs_quota_get(f->fs, q, &quota), 0);
    assert_int_equal(quota.bytes_over_since_s, 0);
    assert_int_equal(try_write(f, a, 2, 1, FS_FILE_SYNC), 0);
    assert_int_equal(fs_quota_get(f->fs, q, &quota), 0);
    assert_true(quota.bytes_over_since_s > 0);
    assert_int_equal(quota.entries_over_since_s, 0);
    fixture_reopen(f);
    struct fs_quota again;
    assert_int_equal(fs_quota_get(f->fs, q, &again), 0);
    assert_int_equal(again.bytes_over_since_s, quota.bytes_over_since_s);
    assert_int_equal(try_write(f, a, 3, 1, FS_FILE_SYNC), 0);
    limits.grace_s = 0;
    assert_int_equal(fs_quota_set(f->fs, q, &limits), 0);
    assert_int_equal(try_write(f, a, 4, 1, FS_UNSTABLE), -EDQUOT);
    struct fs_attr attr;
    const struct fs_setattr shorter = { .set_size = true, .size_bytes = BLOCK };
    assert_int_equal(fs_setattr(f->fs, NULL, a, &shorter, &attr), 0);
    assert_int_equal(fs_quota_get(f->fs, q, &quota), 0);
    assert_int_equal(quota.bytes_over_since_s, 0);
    assert_int_equal(
        try_write(f, a, 1, 2, FS_FILE_SYNC), 0); /* below it, beyond it with one step */
    assert_int_equal(try_write(f, a, 3, 1, FS_FILE_SYNC), -EDQUOT);
}

static void quotas_go_when_they_are_cleared_and_with_their_directory(void **state)
{
    struct fixture *f = *state;
    const struct fs_quota_limits none = { 0 };
    const struct fs_quota_limits absurd = { .hard_bytes = UINT64_MAX };
    struct fs_quota quota;
    struct fs_node q = make(f, f->root, "q", FS_DIRECTORY);
    struct fs_node file = make(f, f->root, "file", FS_REGULAR);
    assert_int_equal(fs_quota_get(f->fs, q, &quota), -ENODATA);
    limit(f, q, 1, 1);
    limit(f, q, 0, 2);
    (void)make(f, q, "a", FS_REGULAR);
    (void)make(f, q, "b", FS_REGULAR);
    assert_int_equal(try_make(f, q, "c", FS_REGULAR, NULL), -EDQUOT);
    assert_int_equal(fs_quota_set(f->fs, q, &none), 0);
    assert_int_equal(fs_quota_get(f->fs, q, &quota), -ENODATA);
    (void)make(f, q, "c", FS_REGULAR);
    limit(f, q, 0, 2);
    drop(f, q, "a");
    drop(f, q, "b");
    drop(f, q, "c");
    drop(f, f->root, "q");
    fixture_reopen(f);
    assert_int_equal(fs_quota_set(f->fs, file, &none), -ENOTDIR);
    assert_int_equal(fs_quota_set(f->fs, f->root, &absurd), -EINVAL);
    limit(f, f->root, 0, 2);
    (void)make(f, f->root, "x", FS_REGULAR);
    assert_int_equal(try_make(f, f->root, "y", FS_REGULAR, NULL), -EDQUOT);
}

/* ---- many at once ---------------------------------------------------------------------------------------- */

struct worker {
    struct fixture *f;
    struct fs_node dir;
    struct fs_node file;
    uint64_t random;
    pthread_t thread;
    int commit_error;
};

static void *work(void *argument)
{
    struct worker *worker = argument;
    struct fixture *f = worker->f;
    for (unsigned i = 0; i < ROUNDS; i++) {
        char name[16];
        struct fs_change change;
        struct fs_attr attr;
        uint64_t block = fixture_random(&worker->random) % 60;
        const struct fs_setattr size = { .set_size = true, .size_bytes = block * BLOCK };
        (void)snprintf(name, sizeof name, "n%u", (unsigned)(block % 8));
        switch (fixture_random(&worker->random) % 6) {
        case 0:
            (void)try_make(f, worker->dir, name, FS_REGULAR, NULL);
            break;
        case 1:
            (void)!fs_remove(f->fs, NULL, worker->dir, slice_str(name), &change);
            break;
        case 2:
            (void)!fs_setattr(f->fs, NULL, worker->file, &size, &attr);
            break;
        case 3: {
            int err = fs_commit(f->fs, worker->file, 0, 0);
            worker->commit_error = err < 0 ? err : worker->commit_error;
            break;
        }
        default:
            (void)try_write(
                f, worker->file, block, 1 + block % 5, block % 2 == 0 ? FS_UNSTABLE : FS_FILE_SYNC);
        }
    }
    return NULL;
}

static void limits_hold_whatever_many_do_at_once(void **state)
{
    struct fixture *f = *state;
    uint64_t random = fixture_seed();
    struct worker workers[THREADS];
    struct fs_node q = make(f, f->root, "q", FS_DIRECTORY);
    limit(f, q, 90, 12);
    for (unsigned i = 0; i < THREADS; i++) {
        const char name[] = { 'f', (char)('0' + i), '\0' };
        workers[i] = (struct worker){ .f = f,
            .dir = q,
            .file = make(f, q, name, FS_REGULAR),
            .random = fixture_random(&random) };
    }
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
        assert_int_equal(workers[i].commit_error, 0);
        assert_int_equal(fs_commit(f->fs, workers[i].file, 0, 0), 0);
    }
    struct fs_quota quota;
    assert_int_equal(fs_quota_get(f->fs, q, &quota), 0);
    assert_true(quota.used_bytes <= 90 * BLOCK);
    assert_true(quota.used_entries <= 12);
    /* Nothing is left reserved: all the rest can be taken, and no more. */
    struct fs_node last = workers[0].file;
    uint64_t left = 90 - quota.used_bytes / BLOCK;
    for (uint64_t i = 0; i < left; i++)
        assert_int_equal(try_write(f, last, 1000 + i, 1, FS_UNSTABLE), 0);
    assert_int_equal(try_write(f, last, 1000 + left, 1, FS_UNSTABLE), -EDQUOT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            entries_are_limited_where_they_are_made_linked_and_moved, setup, teardown),
        cmocka_unit_test_setup_teardown(a_replacement_needs_no_room, setup, teardown),
        cmocka_unit_test_setup_teardown(
            unstable_writes_are_refused_when_they_are_made, setup, teardown),
        cmocka_unit_test_setup_teardown(clones_and_allocations_are_limited, setup, teardown),
        cmocka_unit_test_setup_teardown(trees_are_moved_where_they_fit, setup, teardown),
        cmocka_unit_test_setup_teardown(a_file_takes_its_reservation_along, setup, teardown),
        cmocka_unit_test_setup_teardown(space_is_what_the_narrowest_quota_leaves, setup, teardown),
        cmocka_unit_test_setup_teardown(a_soft_limit_becomes_hard_after_its_time, setup, teardown),
        cmocka_unit_test_setup_teardown(
            quotas_go_when_they_are_cleared_and_with_their_directory, setup, teardown),
        cmocka_unit_test_setup_teardown(limits_hold_whatever_many_do_at_once, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
