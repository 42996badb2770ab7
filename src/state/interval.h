/*
 * state/interval.h - a tree of intervals that answers "what overlaps this one?" in O(log n + answers).
 *
 * A treap ordered by `first`, where each node also knows the greatest `last` below it. Intervals may overlap
 * and be equal. Nodes live inside what they are about. Not thread-safe.
 */
#pragma once

#include "base/base.h"

struct state_interval {
    uint64_t first; /* both ends belong to it */
    uint64_t last;
    /* the tree's own: */
    uint64_t last_max; /* of this node and all below */
    struct state_interval *parent, *left, *right;
    uint64_t priority; /* a parent's is not below its children's */
};

struct state_interval_tree { /* zeroed: empty */
    struct state_interval *root;
    uint64_t serial; /* of the next priority */
};

/* `node->first` and `last` are set by the caller and stay as they are while it is in the tree. */
void state_interval_insert(struct state_interval_tree *tree, struct state_interval *node);
void state_interval_remove(struct state_interval_tree *tree, struct state_interval *node);

/* Those that overlap [first, last], in the order of their `first`; NULL: no more. The tree must not
 * change between the calls. */
struct state_interval *state_interval_first(
    const struct state_interval_tree *tree, uint64_t first, uint64_t last);
struct state_interval *state_interval_next(
    const struct state_interval *node, uint64_t first, uint64_t last);
