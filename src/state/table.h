/*
 * state/table.h - a hash table of nodes that live inside what they name. Adding never fails: without
 * memory to grow, the chains get longer. Not thread-safe; not to be moved once it is initialized.
 */
#pragma once

#include "base/base.h"

struct state_table_node {
    struct state_table_node *next;
    uint64_t hash;
};

struct state_table {
    struct state_table_node **buckets;
    size_t mask; /* buckets - 1 */
    size_t count;
    struct state_table_node *first_bucket; /* before the first growth */
};

void state_table_init(struct state_table *table);
/* The nodes are the caller's. */
void state_table_fini(struct state_table *table);
void state_table_add(struct state_table *table, struct state_table_node *node, uint64_t hash);
/* `node` must be in the table. */
void state_table_remove(struct state_table *table, struct state_table_node *node);
/* The first node of that hash, and the one after a node with the same hash; NULL: no more. */
struct state_table_node *state_table_first(const struct state_table *table, uint64_t hash);
struct state_table_node *state_table_next(const struct state_table_node *node);
