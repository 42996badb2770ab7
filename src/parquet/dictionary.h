/*
 * parquet/dictionary.h - finds the distinct values of a column chunk, for dictionary encoding. Internal to the room.
 * Values are the same when their bits are. Not thread-safe.
 */
#pragma once

#include "parquet/parquet.h"

#define DICTIONARY_COUNT_MAX 65536u

struct dictionary_builder {
    uint32_t *indices; /* of each value, which distinct one it is */
    size_t indices_capacity;
    uint32_t *first; /* of each distinct one, the first value that is it */
    uint32_t *slots; /* hash table: 1 + distinct one; 0: free */
    uint32_t slot_count;
    uint32_t count; /* distinct ones */
};

/* Looks at `count` values. 1: a dictionary saves room; 0: it does not; or -ENOMEM. */
MUST_CHECK int dictionary_build(
    struct dictionary_builder *builder, enum parquet_type type, const void *values, size_t count);
void dictionary_fini(struct dictionary_builder *builder);
