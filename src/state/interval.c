/*
 * state/interval.c - the treap behind byte-range locks (room: state).
 *
 * Priorities come from a counter through a hash: the depth is O(log n) whatever ranges clients choose.
 */
#include "state/interval.h"

#include "base/hash.h"

static void interval_update(struct state_interval *node)
{
    uint64_t last_max = node->last;
    if (node->left != NULL)
        last_max = max_u64(last_max, node->left->last_max);
    if (node->right != NULL)
        last_max = max_u64(last_max, node->right->last_max);
    node->last_max = last_max;
}

static void interval_update_up(struct state_interval *node)
{
    for (; node != NULL; node = node->parent)
        interval_update(node);
}

/* The pointer that leads to `node`. */
static struct state_interval **interval_link(
    struct state_interval_tree *tree, const struct state_interval *node)
{
    if (node->parent == NULL)
        return &tree->root;
    return node->parent->left == node ? &node->parent->left : &node->parent->right;
}

/* Lifts `node` above its parent; the order stays. */
static void interval_rotate_up(struct state_interval_tree *tree, struct state_interval *node)
{
    struct state_interval *parent = node->parent;
    *interval_link(tree, parent) = node;
    node->parent = parent->parent;
    parent->parent = node;
    struct state_interval *moved;
    if (parent->left == node) {
        moved = node->right;
        node->right = parent;
        parent->left = moved;
    } else {
        moved = node->left;
        node->left = parent;
        parent->right = moved;
    }
    if (moved != NULL)
        moved->parent = parent;
    interval_update(parent);
    interval_update(node);
}

void state_interval_insert(struct state_interval_tree *tree, struct state_interval *node)
{
    assert(node->first <= node->last);
    struct state_interval *parent = NULL;
    struct state_interval **link = &tree->root;
    while (*link != NULL) {
        parent = *link;
        link = node->first < parent->first ? &parent->left : &parent->right;
    }
    *link = node;
    node->parent = parent;
    node->left = NULL;
    node->right = NULL;
    node->priority = hash_u64(++tree->serial);
    interval_update_up(node);
    while (node->parent != NULL && node->parent->priority < node->priority)
        interval_rotate_up(tree, node);
}

void state_interval_remove(struct state_interval_tree *tree, struct state_interval *node)
{
    while (node->left != NULL && node->right != NULL) {
        bool left = node->left->priority > node->right->priority;
        interval_rotate_up(tree, left ? node->left : node->right);
    }
    struct state_interval *child = node->left != NULL ? node->left : node->right;
    *interval_link(tree, node) = child;
    if (child != NULL)
        child->parent = node->parent;
    interval_update_up(node->parent);
}

/* The first overlapping one at or below `node`, where some interval ends at or after `first`. When that
 * one begins after `last`, so do all that follow it: there is none. */
static struct state_interval *interval_search(
    struct state_interval *node, uint64_t first, uint64_t last)
{
    for (;;) {
        if (node->left != NULL && node->left->last_max >= first) {
            node = node->left;
            continue;
        }
        if (node->first > last)
            return NULL;
        if (node->last >= first)
            return node;
        node = node->right;
        if (node == NULL || node->last_max < first)
            return NULL;
    }
}

struct state_interval *state_interval_first(
    const struct state_interval_tree *tree, uint64_t first, uint64_t last)
{
    if (tree->root == NULL || tree->root->last_max < first)
        return NULL;
    return interval_search(tree->root, first, last);
}

struct state_interval *state_interval_next(
    const struct state_interval *node, uint64_t first, uint64_t last)
{
    for (;;) {
        if (node->right != NULL && node->right->last_max >= first)
            return interval_search(node->right, first, last);
        while (node->parent != NULL && node->parent->right == node)
            node = node->parent;
        struct state_interval *up = node->parent;
        if (up == NULL || up->first > last)
            return NULL;
        if (up->last >= first)
            return up;
        node = up;
    }
}
