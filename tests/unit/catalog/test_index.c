/* tests/unit/catalog/test_index.c - the sorted index keeps its order whatever comes and goes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "catalog/index.h"

#define ITEM_COUNT 2000

struct item {
    struct catalog_index_node node;
    char key[16];
    bool present;
};

static struct item items[ITEM_COUNT];

static void index_holds_what_is_present(const struct catalog_index *index)
{
    const struct catalog_index_node *node = catalog_index_after(index, "", "");
    for (size_t i = 0; i < ITEM_COUNT; i++) {
        struct catalog_index_node *found = catalog_index_find(index, items[i].key, "");
        assert_ptr_equal(found, items[i].present ? &items[i].node : NULL);
        if (items[i].present) {
            assert_ptr_equal(node, &items[i].node);
            node = node->next[0];
        }
    }
    assert_null(node);
}

static void index_keeps_its_order_through_random_changes(void **state)
{
    (void)state;
    struct catalog_index index;
    catalog_index_init(&index);
    for (size_t i = 0; i < ITEM_COUNT; i++) {
        (void)snprintf(items[i].key, sizeof items[i].key, "key-%06zu", i);
        items[i].node.major = items[i].key;
        items[i].node.minor = "";
    }
    uint64_t random = 42;
    for (unsigned step = 0; step < 20000; step++) {
        random = random * UINT64_C(6364136223846793005) + 1442695040888963407u;
        struct item *item = &items[(random >> 33) % ITEM_COUNT];
        if (item->present)
            catalog_index_remove(&index, &item->node);
        else
            catalog_index_insert(&index, &item->node);
        item->present = !item->present;
    }
    index_holds_what_is_present(&index);
}

static void keys_are_ordered_by_major_then_minor(void **state)
{
    (void)state;
    struct catalog_index index;
    catalog_index_init(&index);
    struct catalog_index_node nodes[] = {
        { .major = "a", .minor = "2" },
        { .major = "b", .minor = "" },
        { .major = "a", .minor = "10" },
        { .major = "ab", .minor = "1" },
    };
    for (size_t i = 0; i < ARRAY_SIZE(nodes); i++)
        catalog_index_insert(&index, &nodes[i]);
    assert_ptr_equal(catalog_index_after(&index, "", ""), &nodes[2]);
    assert_ptr_equal(nodes[2].next[0], &nodes[0]);
    assert_ptr_equal(nodes[0].next[0], &nodes[3]);
    assert_ptr_equal(nodes[3].next[0], &nodes[1]);
    assert_ptr_equal(catalog_index_after(&index, "a", "10"), &nodes[0]);
    assert_null(catalog_index_after(&index, "b", ""));
    assert_null(catalog_index_find(&index, "a", "1"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(index_keeps_its_order_through_random_changes),
        cmocka_unit_test(keys_are_ordered_by_major_then_minor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
