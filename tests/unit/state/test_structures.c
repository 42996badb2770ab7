/* The hash table, ids with generations, and the interval tree against a plain array. */
#include "fixture.h"

#include <stdlib.h>

#include "state/internal.h"

struct item {
    struct state_table_node node;
    uint64_t key;
};

static void a_table_finds_what_was_added(void **state)
{
    (void)state;
    enum { COUNT = 1000 };
    struct state_table table;
    state_table_init(&table);
    struct item *items = calloc(COUNT, sizeof *items);
    assert_non_null(items);
    for (uint64_t i = 0; i < COUNT; i++) {
        items[i].key = i;
        state_table_add(&table, &items[i].node, i / 4); /* four of each hash */
    }
    assert_int_equal(table.count, COUNT);
    for (uint64_t i = 0; i < COUNT; i += 2)
        state_table_remove(&table, &items[i].node);
    for (uint64_t hash = 0; hash < COUNT / 4; hash++) {
        unsigned found = 0;
        struct state_table_node *node = state_table_first(&table, hash);
        for (; node != NULL; node = state_table_next(node)) {
            const struct item *item = CONTAINER_OF(node, struct item, node);
            assert_int_equal(item->key / 4, hash);
            assert_int_equal(item->key % 2, 1);
            found++;
        }
        assert_int_equal(found, 2);
    }
    assert_null(state_table_first(&table, COUNT));
    state_table_fini(&table);
    free(items);
}

static void an_id_of_something_gone_finds_nothing(void **state)
{
    (void)state;
    struct state_index index;
    state_index_init(&index);
    int things[100];
    uint32_t ids[100];
    for (size_t i = 0; i < 100; i++)
        assert_int_equal(state_index_add(&index, &things[i], &ids[i]), 0);
    for (size_t i = 0; i < 100; i++)
        assert_ptr_equal(state_index_find(&index, ids[i]), &things[i]);
    for (unsigned round = 0; round < 4000; round++) {
        uint32_t old = ids[round % 100];
        state_index_remove(&index, old);
        assert_null(state_index_find(&index, old));
        assert_int_equal(state_index_add(&index, &things[round % 100], &ids[round % 100]), 0);
        assert_null(state_index_find(&index, old));
        assert_ptr_equal(state_index_find(&index, ids[round % 100]), &things[round % 100]);
    }
    assert_null(state_index_find(&index, 100)); /* never in use */
    assert_null(state_index_find(&index, UINT32_MAX));
    state_index_fini(&index);
}

static void an_index_has_an_end(void **state)
{
    (void)state;
    struct state_index index;
    state_index_init(&index);
    int thing;
    uint32_t id;
    for (uint32_t i = 0; i <= STATE_INDEX_MASK; i++)
        assert_int_equal(state_index_add(&index, &thing, &id), 0);
    assert_int_equal(state_index_add(&index, &thing, &id), -ENOSPC);
    state_index_remove(&index, 5);
    assert_int_equal(state_index_add(&index, &thing, &id), 0);
    assert_int_equal(id & STATE_INDEX_MASK, 5);
    state_index_fini(&index);
}

enum { INTERVALS = 64 };

static void tree_compare(const struct state_interval_tree *tree,
    const struct state_interval *intervals, const bool *present, uint64_t first, uint64_t last)
{
    unsigned expected = 0, found = 0;
    for (unsigned i = 0; i < INTERVALS; i++)
        expected += present[i] && intervals[i].first <= last && intervals[i].last >= first;
    uint64_t before = 0;
    const struct state_interval *at = state_interval_first(tree, first, last);
    for (; at != NULL; at = state_interval_next(at, first, last)) {
        assert_true(present[at - intervals]);
        assert_true(at->first <= last && at->last >= first);
        assert_true(at->first >= before);
        before = at->first;
        found++;
    }
    assert_int_equal(found, expected);
}

static void the_interval_tree_agrees_with_an_array(void **state)
{
    (void)state;
    unsigned seed = fixture_seed();
    struct state_interval_tree tree = { .root = NULL };
    struct state_interval intervals[INTERVALS];
    bool present[INTERVALS] = { false };
    for (unsigned step = 0; step < 50000; step++) {
        unsigned i = (unsigned)rand_r(&seed) % INTERVALS;
        if (present[i]) {
            state_interval_remove(&tree, &intervals[i]);
        } else {
            intervals[i].first = (uint64_t)rand_r(&seed) % 200;
            intervals[i].last = intervals[i].first + (uint64_t)rand_r(&seed) % 30;
            if (rand_r(&seed) % 20 == 0)
                intervals[i].last = UINT64_MAX;
            state_interval_insert(&tree, &intervals[i]);
        }
        present[i] = !present[i];
        uint64_t first = (uint64_t)rand_r(&seed) % 220;
        tree_compare(&tree, intervals, present, first, first + (uint64_t)rand_r(&seed) % 40);
        if (step % 64 == 0)
            tree_compare(&tree, intervals, present, 0, UINT64_MAX);
    }
}

static unsigned depth_of(const struct state_interval *node)
{
    unsigned depth = 0;
    for (; node != NULL; node = node->parent)
        depth++;
    return depth;
}

static void ascending_intervals_do_not_make_a_list_of_the_tree(void **state)
{
    (void)state;
    enum { COUNT = 100000 };
    struct state_interval_tree tree = { .root = NULL };
    struct state_interval *intervals = calloc(COUNT, sizeof *intervals);
    assert_non_null(intervals);
    for (uint64_t i = 0; i < COUNT; i++) {
        intervals[i].first = intervals[i].last = i * 2;
        state_interval_insert(&tree, &intervals[i]);
    }
    unsigned deepest = 0;
    for (size_t i = 0; i < COUNT; i++) {
        unsigned depth = depth_of(&intervals[i]);
        deepest = depth > deepest ? depth : deepest;
    }
    assert_in_range(deepest, 17, 80); /* a random tree of that size has about 45 */
    free(intervals);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_table_finds_what_was_added),
        cmocka_unit_test(an_id_of_something_gone_finds_nothing),
        cmocka_unit_test(an_index_has_an_end),
        cmocka_unit_test(the_interval_tree_agrees_with_an_array),
        cmocka_unit_test(ascending_intervals_do_not_make_a_list_of_the_tree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
