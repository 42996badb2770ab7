/*
 * state/table.c - the hash table (room: state).
 */
#include "state/table.h"

#include <stdlib.h>

#define LOAD_MAX   2u /* nodes per bucket before the table grows */
#define GROWTH     4u
#define COUNT_KEEP 16u

void state_table_init(struct state_table *table)
{
    *table = (struct state_table){ .buckets = &table->first_bucket };
}

void state_table_fini(struct state_table *table)
{
    if (table->buckets != &table->first_bucket)
        free(table->buckets);
}

static void table_grow(struct state_table *table)
{
    size_t old_count = table->mask + 1;
    size_t count = old_count * GROWTH < COUNT_KEEP ? COUNT_KEEP : old_count * GROWTH;
    struct state_table_node **buckets = calloc(count, sizeof(struct state_table_node *));
    if (buckets == NULL)
        return; /* longer chains are slower, not wrong */
    for (size_t i = 0; i < old_count; i++) {
        struct state_table_node *node = table->buckets[i];
        while (node != NULL) {
            struct state_table_node *next = node->next;
            size_t bucket = node->hash & (count - 1);
            node->next = buckets[bucket];
            buckets[bucket] = node;
            node = next;
        }
    }
    state_table_fini(table);
    table->buckets = buckets;
    table->mask = count - 1;
}

void state_table_add(struct state_table *table, struct state_table_node *node, uint64_t hash)
{
    if (table->count >= LOAD_MAX * (table->mask + 1))
        table_grow(table);
    struct state_table_node **bucket = &table->buckets[hash & table->mask];
    node->hash = hash;
    node->next = *bucket;
    *bucket = node;
    table->count++;
}

void state_table_remove(struct state_table *table, struct state_table_node *node)
{
    struct state_table_node **link = &table->buckets[node->hash & table->mask];
    while (*link != node) {
        assert(*link != NULL);
        link = &(*link)->next;
    }
    *link = node->next;
    node->next = NULL;
    table->count--;
}

static struct state_table_node *node_with_hash(struct state_table_node *node, uint64_t hash)
{
    while (node != NULL && node->hash != hash)
        node = node->next;
    return node;
}

struct state_table_node *state_table_first(const struct state_table *table, uint64_t hash)
{
    return node_with_hash(table->buckets[hash & table->mask], hash);
}

struct state_table_node *state_table_next(const struct state_table_node *node)
{
    return node_with_hash(node->next, node->hash);
}
