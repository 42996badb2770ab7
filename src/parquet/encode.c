/* parquet/encode.c - values to the bytes of a page (room: parquet). */
#include "parquet/encode.h"

#include <endian.h>

_Static_assert(__BYTE_ORDER == __LITTLE_ENDIAN, "values are stored as they are in memory");

#define DELTA_BLOCK      128u
#define DELTA_MINIBLOCKS 4u
#define DELTA_MINIBLOCK  (DELTA_BLOCK / DELTA_MINIBLOCKS)
#define RUN_MIN          8u

unsigned encode_bit_width(uint64_t max)
{
    return max == 0 ? 0 : 64u - (unsigned)__builtin_clzll(max);
}

static void encode_plain_bits(const uint8_t *values, size_t count, struct bytes_out *out)
{
    size_t size = (count + 7) / 8;
    uint8_t *room = bytes_out_room(out, size);
    if (room == NULL)
        return;
    memset(room, 0, size);
    for (size_t i = 0; i < count; i++)
        room[i / 8] |= (uint8_t)((values[i] != 0) << (i % 8));
    out->size += size;
}

void encode_plain(enum parquet_type type, const void *values, size_t count, struct bytes_out *out)
{
    if (type == PARQUET_BOOLEAN) {
        encode_plain_bits(values, count, out);
    } else if (type == PARQUET_BYTE_ARRAY) {
        const struct slice *slices = values;
        for (size_t i = 0; i < count; i++) {
            bytes_out_put_le32(out, (uint32_t)slices[i].size);
            bytes_out_put(out, slices[i].data, slices[i].size);
        }
    } else {
        size_t size = type == PARQUET_INT32 || type == PARQUET_FLOAT ? 4 : 8;
        bytes_out_put(out, values, count * size);
    }
}

/* Numbers of `bits` bits (at most 64), lowest first, one after the other. `count` is a multiple of 8. */
static void pack_bits(const uint64_t *values, size_t count, unsigned bits, struct bytes_out *out)
{
    size_t size = count * bits / 8;
    uint8_t *to = bytes_out_room(out, size + 16);
    if (to == NULL)
        return;
    unsigned __int128 held = 0;
    unsigned held_bits = 0;
    for (size_t i = 0; i < count; i++) {
        held |= (unsigned __int128)values[i] << held_bits;
        held_bits += bits;
        if (held_bits >= 64) {
            uint64_t word = (uint64_t)held;
            memcpy(to, &word, sizeof word);
            to += sizeof word;
            held >>= 64;
            held_bits -= 64;
        }
    }
    uint64_t word = (uint64_t)held;
    memcpy(to, &word, sizeof word);
    out->size += size;
}

/* Bit-packed runs are held back here until a repetition ends them. */
struct hybrid {
    struct bytes_out *out;
    unsigned bits;
    size_t group_count;
    uint64_t values[64 * 8];
};

static void hybrid_flush(struct hybrid *hybrid)
{
    if (hybrid->group_count == 0)
        return;
    bytes_out_put_varint(hybrid->out, (uint64_t)hybrid->group_count << 1 | 1);
    pack_bits(hybrid->values, hybrid->group_count * 8, hybrid->bits, hybrid->out);
    hybrid->group_count = 0;
}

static void hybrid_repeat(struct hybrid *hybrid, uint32_t value, size_t count)
{
    hybrid_flush(hybrid);
    bytes_out_put_varint(hybrid->out, (uint64_t)count << 1);
    value = htole32(value);
    bytes_out_put(hybrid->out, &value, (hybrid->bits + 7) / 8);
}

static size_t run_length(const uint32_t *values, size_t count)
{
    size_t length = 1;
    while (length < count && values[length] == values[0])
        length++;
    return length;
}

void encode_hybrid(const uint32_t *values, size_t count, unsigned bits, struct bytes_out *out)
{
    struct hybrid hybrid = { .out = out, .bits = bits };
    size_t at = 0;
    while (at < count) {
        size_t length = run_length(values + at, count - at);
        if (length >= RUN_MIN) {
            hybrid_repeat(&hybrid, values[at], length);
            at += length;
            continue;
        }
        /* A group of 8; behind the last value come zeros, which a reader knows not to use. */
        for (size_t i = 0; i < 8; i++)
            hybrid.values[hybrid.group_count * 8 + i] = at + i < count ? values[at + i] : 0;
        at += 8;
        if (++hybrid.group_count == 64)
            hybrid_flush(&hybrid);
    }
    hybrid_flush(&hybrid);
}

void encode_levels(const uint8_t *levels, size_t count, struct bytes_out *out)
{
    struct hybrid hybrid = { .out = out, .bits = 1 };
    size_t at = 0;
    while (at < count) {
        size_t length = 1;
        while (at + length < count && (levels[at + length] != 0) == (levels[at] != 0))
            length++;
        if (length >= RUN_MIN) {
            hybrid_repeat(&hybrid, levels[at] != 0, length);
            at += length;
            continue;
        }
        for (size_t i = 0; i < 8; i++)
            hybrid.values[hybrid.group_count * 8 + i] = at + i < count && levels[at + i] != 0;
        at += 8;
        if (++hybrid.group_count == 64)
            hybrid_flush(&hybrid);
    }
    hybrid_flush(&hybrid);
}

static int64_t value_at(enum parquet_type type, const void *values, size_t i)
{
    return type == PARQUET_INT32 ? ((const int32_t *)values)[i] : ((const int64_t *)values)[i];
}

/* One block: its least delta, the width of each miniblock, and the deltas less the least one. Differences wrap
 * around, in the width of the type, as the format says. */
static void encode_delta_block(
    enum parquet_type type, const uint64_t *deltas, size_t count, struct bytes_out *out)
{
    uint64_t mask = type == PARQUET_INT32 ? UINT32_MAX : UINT64_MAX;
    int64_t least = INT64_MAX;
    for (size_t i = 0; i < count; i++) {
        int64_t delta = type == PARQUET_INT32 ? (int32_t)deltas[i] : (int64_t)deltas[i];
        least = delta < least ? delta : least;
    }
    uint64_t rest[DELTA_BLOCK] = { 0 };
    uint64_t all[DELTA_MINIBLOCKS] = { 0 };
    for (size_t i = 0; i < count; i++) {
        rest[i] = (deltas[i] - (uint64_t)least) & mask;
        all[i / DELTA_MINIBLOCK] |= rest[i];
    }
    bytes_out_put_zigzag(out, least);
    for (size_t m = 0; m < DELTA_MINIBLOCKS; m++)
        bytes_out_put_u8(out, (uint8_t)encode_bit_width(all[m]));
    for (size_t m = 0; m * DELTA_MINIBLOCK < count; m++)
        pack_bits(rest + m * DELTA_MINIBLOCK, DELTA_MINIBLOCK, encode_bit_width(all[m]), out);
}

void encode_delta(enum parquet_type type, const void *values, size_t count, struct bytes_out *out)
{
    bytes_out_put_varint(out, DELTA_BLOCK);
    bytes_out_put_varint(out, DELTA_MINIBLOCKS);
    bytes_out_put_varint(out, count);
    bytes_out_put_zigzag(out, count > 0 ? value_at(type, values, 0) : 0);
    uint64_t deltas[DELTA_BLOCK];
    for (size_t at = 1; at < count; at += DELTA_BLOCK) {
        size_t in_block = min_size(count - at, DELTA_BLOCK);
        for (size_t i = 0; i < in_block; i++)
            deltas[i] = (uint64_t)value_at(type, values, at + i) -
                        (uint64_t)value_at(type, values, at + i - 1);
        encode_delta_block(type, deltas, in_block, out);
    }
}
