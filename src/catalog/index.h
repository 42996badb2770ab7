/*
 * catalog/index.h - a sorted index over records that embed its nodes: a skip list.
 *
 * A key is a pair of strings that live as long as the node; pairs are ordered by `major`, then
 * `minor`. Nothing here allocates, so publishing a change that is already durable cannot fail. Not
 * thread-safe: the catalog's lock guards it.
 */
#pragma once

#include "base/base.h"

#define CATALOG_INDEX_LEVELS 12 /* of 1/4 each: good for 16 million entries */

struct catalog_index_node {
    const char *major;
    const char *minor;
    struct catalog_index_node *next[CATALOG_INDEX_LEVELS];
};

struct catalog_index {
    struct catalog_index_node head;
    uint64_t random; /* decides how high a node reaches; need not be secret */
};

void catalog_index_init(struct catalog_index *index);
/* Adds a node whose keys are set. Its key must not be there yet. */
void catalog_index_insert(struct catalog_index *index, struct catalog_index_node *node);
/* Removes a node that is there. */
void catalog_index_remove(struct catalog_index *index, struct catalog_index_node *node);
/* The node with this key, or NULL. */
struct catalog_index_node *catalog_index_find(
    const struct catalog_index *index, const char *major, const char *minor);
/* The first node whose key is greater, or NULL. What follows it: node->next[0]. */
struct catalog_index_node *catalog_index_after(
    const struct catalog_index *index, const char *major, const char *minor);
