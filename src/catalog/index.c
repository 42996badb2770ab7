/*
 * catalog/index.c - a sorted index over records that embed its nodes (room: catalog).
 * Source: W. Pugh, Skip Lists: A Probabilistic Alternative to Balanced Trees, 1990.
 */
#include "catalog/index.h"

static int compare(const struct catalog_index_node *node, const char *major, const char *minor)
{
    int order = strcmp(node->major, major);
    return order != 0 ? order : strcmp(node->minor, minor);
}

void catalog_index_init(struct catalog_index *index)
{
    memset(index, 0, sizeof *index);
    index->random = UINT64_C(0x9e3779b97f4a7c15);
}

/* Each level is reached with a chance of 1/4 from the one below. */
static unsigned random_height(struct catalog_index *index)
{
    index->random ^= index->random << 13;
    index->random ^= index->random >> 7;
    index->random ^= index->random << 17;
    uint64_t bits = index->random >> 20;
    unsigned height = 1;
    while (height < CATALOG_INDEX_LEVELS && (bits & 3) == 0) {
        height++;
        bits >>= 2;
    }
    return height;
}

/* The last node before the key on each level; the head when there is none. */
static void find_before(struct catalog_index *index, const char *major, const char *minor,
    struct catalog_index_node *out_before[CATALOG_INDEX_LEVELS])
{
    struct catalog_index_node *node = &index->head;
    for (unsigned level = CATALOG_INDEX_LEVELS; level-- > 0;) {
        while (node->next[level] != NULL && compare(node->next[level], major, minor) < 0)
            node = node->next[level];
        out_before[level] = node;
    }
}

void catalog_index_insert(struct catalog_index *index, struct catalog_index_node *node)
{
    struct catalog_index_node *before[CATALOG_INDEX_LEVELS];
    find_before(index, node->major, node->minor, before);
    const struct catalog_index_node *found = before[0]->next[0];
    assert(found == NULL || compare(found, node->major, node->minor) != 0);
    unsigned height = random_height(index);
    memset(node->next, 0, sizeof node->next);
    for (unsigned level = 0; level < height; level++) {
        node->next[level] = before[level]->next[level];
        before[level]->next[level] = node;
    }
}

void catalog_index_remove(struct catalog_index *index, struct catalog_index_node *node)
{
    struct catalog_index_node *before[CATALOG_INDEX_LEVELS];
    find_before(index, node->major, node->minor, before);
    assert(before[0]->next[0] == node);
    for (unsigned level = 0; level < CATALOG_INDEX_LEVELS; level++) {
        if (before[level]->next[level] == node)
            before[level]->next[level] = node->next[level];
    }
}

struct catalog_index_node *catalog_index_find(
    const struct catalog_index *index, const char *major, const char *minor)
{
    const struct catalog_index_node *node = &index->head;
    for (unsigned level = CATALOG_INDEX_LEVELS; level-- > 0;) {
        while (node->next[level] != NULL && compare(node->next[level], major, minor) < 0)
            node = node->next[level];
    }
    struct catalog_index_node *found = node->next[0];
    return found != NULL && compare(found, major, minor) == 0 ? found : NULL;
}

struct catalog_index_node *catalog_index_after(
    const struct catalog_index *index, const char *major, const char *minor)
{
    const struct catalog_index_node *node = &index->head;
    for (unsigned level = CATALOG_INDEX_LEVELS; level-- > 0;) {
        while (node->next[level] != NULL && compare(node->next[level], major, minor) <= 0)
            node = node->next[level];
    }
    return node->next[0];
}
