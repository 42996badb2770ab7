/*
 * state/index.c - ids of 32 bits that name something in a table: {generation, index} (room: state).
 *
 * Free entries wait in a queue, so an id comes again only after 2^12 uses of its entry.
 */
#include <stdlib.h>

#include "state/internal.h"

#define CAPACITY_FIRST 16u

void state_index_init(struct state_index *index)
{
    *index = (struct state_index){ .free_first = STATE_INDEX_NONE, .free_last = STATE_INDEX_NONE };
}

void state_index_fini(struct state_index *index)
{
    free(index->entries);
}

static int index_grow(struct state_index *index)
{
    uint32_t capacity = index->capacity == 0 ? CAPACITY_FIRST : index->capacity * 2;
    if (capacity > STATE_INDEX_MASK + 1)
        return -ENOSPC;
    struct state_index_entry *entries =
        realloc(index->entries, capacity * sizeof(struct state_index_entry));
    if (entries == NULL)
        return -ENOMEM;
    index->entries = entries;
    index->capacity = capacity;
    return 0;
}

int state_index_add(struct state_index *index, void *item, uint32_t *out_id)
{
    assert(item != NULL);
    uint32_t at = index->free_first;
    if (at != STATE_INDEX_NONE) {
        index->free_first = index->entries[at].free_next;
        if (index->free_first == STATE_INDEX_NONE)
            index->free_last = STATE_INDEX_NONE;
    } else {
        if (index->used == index->capacity) {
            int err = index_grow(index);
            if (err < 0)
                return err;
        }
        at = index->used++;
        index->entries[at].generation = 0;
    }
    index->entries[at].item = item;
    *out_id = index->entries[at].generation << STATE_INDEX_BITS | at;
    return 0;
}

void *state_index_find(const struct state_index *index, uint32_t id)
{
    uint32_t at = id & STATE_INDEX_MASK;
    if (at >= index->used || index->entries[at].generation != id >> STATE_INDEX_BITS)
        return NULL;
    return index->entries[at].item;
}

void state_index_remove(struct state_index *index, uint32_t id)
{
    uint32_t at = id & STATE_INDEX_MASK;
    assert(state_index_find(index, id) != NULL);
    struct state_index_entry *entry = &index->entries[at];
    entry->item = NULL;
    entry->generation = (entry->generation + 1) & (UINT32_MAX >> STATE_INDEX_BITS);
    entry->free_next = STATE_INDEX_NONE;
    if (index->free_last == STATE_INDEX_NONE)
        index->free_first = at;
    else
        index->entries[index->free_last].free_next = at;
    index->free_last = at;
}

void state_index_replace(struct state_index *index, uint32_t id, void *item)
{
    assert(item != NULL && state_index_find(index, id) != NULL);
    index->entries[id & STATE_INDEX_MASK].item = item;
}
