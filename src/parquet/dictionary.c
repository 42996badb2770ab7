/* parquet/dictionary.c - finds the distinct values of a column chunk (room: parquet). */
#include "parquet/dictionary.h"

#include <stdlib.h>

#include "base/hash.h"
#include "parquet/encode.h"
#include "parquet/format.h"

#define PROBE_COUNT 2048u /* after so many values it is decided whether to go on */
#define COUNT_MIN   16u

static uint64_t bits_of(enum parquet_type type, const void *values, size_t i)
{
    if (format_value_size(type) == 4)
        return ((const uint32_t *)values)[i];
    return ((const uint64_t *)values)[i];
}

static uint64_t hash_bytes(struct slice bytes)
{
    uint64_t hash = bytes.size;
    size_t at = 0;
    for (; at + 8 <= bytes.size; at += 8) {
        uint64_t word;
        memcpy(&word, bytes.data + at, sizeof word);
        hash = hash_u64(hash ^ word);
    }
    uint64_t word = 0;
    for (unsigned i = 0; at + i < bytes.size; i++)
        word |= (uint64_t)bytes.data[at + i] << (8 * i);
    return hash_u64(hash ^ word);
}

static uint64_t hash_value(enum parquet_type type, const void *values, size_t i)
{
    return type == PARQUET_BYTE_ARRAY ? hash_bytes(((const struct slice *)values)[i])
                                      : hash_u64(bits_of(type, values, i));
}

static bool is_same(enum parquet_type type, const void *values, size_t a, size_t b)
{
    if (type == PARQUET_BYTE_ARRAY)
        return slice_equal(((const struct slice *)values)[a], ((const struct slice *)values)[b]);
    return bits_of(type, values, a) == bits_of(type, values, b);
}

static int prepare(struct dictionary_builder *builder, size_t count)
{
    uint32_t slot_count = 64;
    while (slot_count < 2 * min_size(count, DICTIONARY_COUNT_MAX))
        slot_count *= 2;
    if (slot_count > builder->slot_count) {
        free(builder->slots);
        free(builder->first);
        builder->slots = malloc(slot_count * sizeof *builder->slots);
        builder->first = malloc(slot_count * sizeof *builder->first);
        builder->slot_count = slot_count;
    }
    if (count > builder->indices_capacity) {
        free(builder->indices);
        builder->indices = malloc(count * sizeof *builder->indices);
        builder->indices_capacity = count;
    }
    if (builder->slots == NULL || builder->first == NULL || builder->indices == NULL) {
        dictionary_fini(builder);
        return -ENOMEM;
    }
    memset(builder->slots, 0, builder->slot_count * sizeof *builder->slots);
    builder->count = 0;
    return 0;
}

/* The place of value `i` in the table: where it is, or the free slot for it. */
static uint32_t *find(
    struct dictionary_builder *builder, enum parquet_type type, const void *values, size_t i)
{
    uint32_t mask = builder->slot_count - 1;
    uint32_t at = (uint32_t)hash_value(type, values, i) & mask;
    while (builder->slots[at] != 0 &&
           !is_same(type, values, builder->first[builder->slots[at] - 1], i))
        at = (at + 1) & mask;
    return &builder->slots[at];
}

/* Does a dictionary of `distinct` values for `count` ones take clearly less than the plain values? */
static bool is_worth_it(enum parquet_type type, const void *values, size_t count, size_t distinct)
{
    size_t size = format_value_size(type);
    assert(count > 0);
    if (type == PARQUET_BYTE_ARRAY) {
        const struct slice *slices = values;
        size_t total = 0;
        for (size_t i = 0; i < count; i++)
            total += 4 + slices[i].size;
        size = total / count + 1;
    }
    uint64_t packed = (uint64_t)distinct * size + (uint64_t)count * encode_bit_width(distinct) / 8;
    return packed < (uint64_t)count * size / 4 * 3;
}

int dictionary_build(
    struct dictionary_builder *builder, enum parquet_type type, const void *values, size_t count)
{
    if (type == PARQUET_BOOLEAN || count < COUNT_MIN || count > UINT32_MAX / 2)
        return 0;
    int err = prepare(builder, count);
    if (err < 0)
        return err;
    for (size_t i = 0; i < count; i++) {
        if (i == PROBE_COUNT && builder->count > PROBE_COUNT / 8 * 7)
            return 0;
        uint32_t *slot = find(builder, type, values, i);
        if (*slot == 0) {
            if (builder->count == DICTIONARY_COUNT_MAX)
                return 0;
            builder->first[builder->count++] = (uint32_t)i;
            *slot = builder->count;
        }
        builder->indices[i] = *slot - 1;
    }
    return is_worth_it(type, values, count, builder->count);
}

void dictionary_fini(struct dictionary_builder *builder)
{
    free(builder->indices);
    free(builder->first);
    free(builder->slots);
    *builder = (struct dictionary_builder){ 0 };
}
