/* parquet/decode.c - the bytes of a page to values (room: parquet). */
#include "parquet/decode.h"

#include <stdlib.h>

#define INDEX_BATCH    1024u
#define MINIBLOCK_MAX  4096u
#define MINIBLOCKS_MAX 512u

struct input {
    const uint8_t *at;
    const uint8_t *end;
};

static int damaged(struct encoded *encoded, const char *why)
{
    encoded->why = why;
    return -EBADMSG;
}

static size_t left(const struct input *in)
{
    return (size_t)(in->end - in->at);
}

static bool get_varint(struct input *in, uint64_t *out_value)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64 && in->at < in->end; shift += 7) {
        uint8_t byte = *in->at++;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if ((byte & 0x80) == 0) {
            *out_value = value;
            return true;
        }
    }
    return false;
}

static bool get_zigzag(struct input *in, uint64_t *out_value)
{
    uint64_t value;
    if (!get_varint(in, &value))
        return false;
    *out_value = (value >> 1) ^ (0 - (value & 1));
    return true;
}

/* The `index`-th number of `bits` bits (0..64) of `size` bytes at `from`. */
static uint64_t unpack_slow(const uint8_t *from, size_t size, size_t index, unsigned bits)
{
    uint64_t bit = (uint64_t)index * bits;
    uint8_t word[16] = { 0 };
    size_t byte = (size_t)(bit / 8);
    memcpy(word, from + byte, min_size(sizeof word, size - byte));
    unsigned __int128 value;
    memcpy(&value, word, sizeof value);
    value >>= bit % 8;
    return bits == 64 ? (uint64_t)value : (uint64_t)value & ((UINT64_C(1) << bits) - 1);
}

/* Unpacks `count` numbers of at most 32 bits, from the `first` on, of `size` bytes, which hold them all. */
static void unpack_u32(
    const struct slice bytes, unsigned bits, size_t first, size_t count, uint32_t *to)
{
    uint64_t mask = (UINT64_C(1) << bits) - 1;
    size_t i = 0;
    if (bits > 0 && bytes.size >= 8) {
        /* As long as 8 bytes can be loaded. */
        size_t fast_end = (bytes.size - 8) * 8 / bits + 1;
        size_t fast = fast_end > first ? min_size(count, fast_end - first) : 0;
        for (; i < fast; i++) {
            size_t bit = (first + i) * bits;
            uint64_t word;
            memcpy(&word, bytes.data + bit / 8, sizeof word);
            to[i] = (uint32_t)(word >> (bit % 8) & mask);
        }
    }
    for (; i < count; i++)
        to[i] = bits == 0 ? 0 : (uint32_t)unpack_slow(bytes.data, bytes.size, first + i, bits);
}

static void unpack_u64(const uint8_t *from, size_t size, unsigned bits, size_t count, uint64_t *to)
{
    size_t i = 0;
    if (bits > 0 && bits <= 56 && size >= 8) {
        uint64_t mask = (UINT64_C(1) << bits) - 1;
        size_t fast = min_size(count, (size - 8) * 8 / bits + 1);
        for (; i < fast; i++) {
            uint64_t word;
            memcpy(&word, from + i * bits / 8, sizeof word);
            to[i] = word >> (i * bits % 8) & mask;
        }
    }
    for (; i < count; i++)
        to[i] = bits == 0 ? 0 : unpack_slow(from, size, i, bits);
}

/* The RLE / bit-packing hybrid, given out piece by piece. */
struct hybrid {
    struct input in;
    unsigned bits;
    uint64_t repeat_left;
    uint32_t repeat_value;
    const uint8_t *packed; /* of the bit-packed run */
    size_t packed_size;
    uint64_t packed_at; /* index of its next number */
    uint64_t packed_count;
};

static bool hybrid_next_run(struct hybrid *hybrid)
{
    uint64_t head;
    if (!get_varint(&hybrid->in, &head))
        return false;
    if ((head & 1) == 0) {
        size_t size = (hybrid->bits + 7) / 8;
        if (left(&hybrid->in) < size)
            return false;
        uint32_t value = 0;
        memcpy(&value, hybrid->in.at, size);
        hybrid->in.at += size;
        hybrid->repeat_left = head >> 1;
        hybrid->repeat_value = value;
        return true;
    }
    /* Some writers cut the bytes of the last group short; what is not there is not given. */
    uint64_t groups = min_u64(head >> 1, UINT32_MAX);
    uint64_t size = min_u64(groups * hybrid->bits, left(&hybrid->in));
    hybrid->packed = hybrid->in.at;
    hybrid->packed_size = (size_t)size;
    hybrid->packed_at = 0;
    hybrid->packed_count =
        hybrid->bits == 0 ? groups * 8 : min_u64(groups * 8, size * 8 / hybrid->bits);
    hybrid->in.at += size;
    return true;
}

/* The next `count` numbers. False: the bytes end before. */
static bool hybrid_get(struct hybrid *hybrid, size_t count, uint32_t *to)
{
    while (count > 0) {
        size_t n;
        if (hybrid->repeat_left > 0) {
            n = (size_t)min_u64(hybrid->repeat_left, count);
            for (size_t i = 0; i < n; i++)
                to[i] = hybrid->repeat_value;
            hybrid->repeat_left -= n;
        } else if (hybrid->packed_at < hybrid->packed_count) {
            n = (size_t)min_u64(hybrid->packed_count - hybrid->packed_at, count);
            unpack_u32(slice_of(hybrid->packed, hybrid->packed_size), hybrid->bits,
                (size_t)hybrid->packed_at, n, to);
            hybrid->packed_at += n;
        } else {
            if (!hybrid_next_run(hybrid))
                return false;
            continue;
        }
        to += n;
        count -= n;
    }
    return true;
}

int decode_levels(struct slice bytes, uint32_t count, uint8_t *to, uint32_t *out_valid_count)
{
    struct hybrid hybrid = { .in = { bytes.data, bytes.data + bytes.size }, .bits = 1 };
    uint32_t valid_count = 0;
    uint32_t done = 0;
    while (done < count) {
        if (hybrid.repeat_left == 0 && hybrid.packed_at == hybrid.packed_count) {
            if (!hybrid_next_run(&hybrid))
                return -EBADMSG;
            continue;
        }
        uint32_t n;
        if (hybrid.repeat_left > 0) {
            n = (uint32_t)min_u64(hybrid.repeat_left, count - done);
            if (hybrid.repeat_value > 1)
                return -EBADMSG;
            memset(to + done, (int)hybrid.repeat_value, n);
            valid_count += hybrid.repeat_value == 1 ? n : 0;
            hybrid.repeat_left -= n;
        } else {
            n = (uint32_t)min_u64(hybrid.packed_count - hybrid.packed_at, count - done);
            for (uint32_t i = 0; i < n; i++, hybrid.packed_at++) {
                uint8_t byte = hybrid.packed[hybrid.packed_at / 8];
                to[done + i] = byte >> (hybrid.packed_at % 8) & 1;
                valid_count += to[done + i];
            }
        }
        done += n;
    }
    *out_valid_count = valid_count;
    return 0;
}

/* to[i] = dictionary[indices[i]] */
static int gather(struct encoded *encoded, const uint32_t *indices, size_t count, uint8_t *to)
{
    uint32_t max = 0;
    for (size_t i = 0; i < count; i++)
        max = indices[i] > max ? indices[i] : max;
    if (count > 0 && max >= encoded->dictionary->count)
        return damaged(encoded, "a value is not in the dictionary");
    size_t size = format_value_size(encoded->type);
    if (size == 8) {
        const uint64_t *values = encoded->dictionary->values;
        uint64_t *out = (uint64_t *)(void *)to;
        for (size_t i = 0; i < count; i++)
            out[i] = values[indices[i]];
        return 0;
    }
    const uint8_t *values = encoded->dictionary->values;
    for (size_t i = 0; i < count; i++)
        memcpy(to + i * size, values + indices[i] * size, size);
    return 0;
}

static int decode_dictionary(struct encoded *encoded, uint32_t count, uint8_t *to)
{
    if (encoded->dictionary == NULL)
        return damaged(encoded, "a page needs a dictionary, and there is none");
    struct input in = { encoded->bytes.data, encoded->bytes.data + encoded->bytes.size };
    if (left(&in) < 1 || in.at[0] > 32)
        return damaged(encoded, "the width of the dictionary's indices is wrong");
    struct hybrid hybrid = { .bits = in.at[0], .in = { in.at + 1, in.end } };
    uint32_t indices[INDEX_BATCH];
    size_t size = format_value_size(encoded->type);
    for (uint32_t done = 0; done < count;) {
        uint32_t n = min_u32(count - done, INDEX_BATCH);
        if (!hybrid_get(&hybrid, n, indices))
            return damaged(encoded, "a page has fewer values than it says");
        int err = gather(encoded, indices, n, to + done * size);
        if (err < 0)
            return err;
        done += n;
    }
    return 0;
}

static int decode_plain_slices(struct encoded *encoded, uint32_t count, struct slice *to)
{
    struct input in = { encoded->bytes.data, encoded->bytes.data + encoded->bytes.size };
    for (uint32_t i = 0; i < count; i++) {
        uint32_t size;
        if (left(&in) < sizeof size)
            return damaged(encoded, "a page has fewer values than it says");
        memcpy(&size, in.at, sizeof size);
        in.at += sizeof size;
        if (left(&in) < size)
            return damaged(encoded, "a value is longer than its page");
        to[i] = slice_of(in.at, size);
        in.at += size;
    }
    return 0;
}

static int decode_plain(struct encoded *encoded, uint32_t count, uint8_t *to)
{
    struct slice bytes = encoded->bytes;
    if (encoded->type == PARQUET_BYTE_ARRAY)
        return decode_plain_slices(encoded, count, (struct slice *)(void *)to);
    bool is_bits = encoded->type == PARQUET_BOOLEAN;
    uint64_t size =
        is_bits ? ((uint64_t)count + 7) / 8 : (uint64_t)count * format_value_size(encoded->type);
    if (bytes.size < size)
        return damaged(encoded, "a page has fewer values than it says");
    for (uint32_t i = 0; is_bits && i < count; i++)
        to[i] = bytes.data[i / 8] >> (i % 8) & 1;
    if (!is_bits && size > 0)
        memcpy(to, bytes.data, size);
    return 0;
}

/* RLE of booleans: a length of 4 bytes, then the hybrid of 1 bit. */
static int decode_rle(struct encoded *encoded, uint32_t count, uint8_t *to)
{
    if (encoded->type != PARQUET_BOOLEAN) {
        encoded->why = "RLE is known for booleans only";
        return -ENOTSUP;
    }
    uint32_t size;
    if (encoded->bytes.size < sizeof size)
        return damaged(encoded, "a page is too short");
    memcpy(&size, encoded->bytes.data, sizeof size);
    struct slice levels = slice_of(encoded->bytes.data + 4, encoded->bytes.size - 4);
    uint32_t valid_count;
    if (size > levels.size ||
        decode_levels(slice_of(levels.data, size), count, to, &valid_count) < 0)
        return damaged(encoded, "a page has fewer values than it says");
    return 0;
}

static int decode_stream_split(struct encoded *encoded, uint32_t count, uint8_t *to)
{
    size_t size = format_value_size(encoded->type);
    if (encoded->type == PARQUET_BYTE_ARRAY || encoded->type == PARQUET_BOOLEAN) {
        encoded->why = "BYTE_STREAM_SPLIT of such a type";
        return -ENOTSUP;
    }
    if (encoded->bytes.size < (uint64_t)count * size)
        return damaged(encoded, "a page has fewer values than it says");
    for (size_t b = 0; b < size; b++)
        for (uint32_t i = 0; i < count; i++)
            to[i * size + b] = encoded->bytes.data[b * count + i];
    return 0;
}

/* The head of DELTA_BINARY_PACKED and where it is read. */
struct delta {
    struct input in;
    uint64_t miniblock; /* values in one */
    uint64_t miniblock_count;
    uint64_t value_count;
    uint64_t last;
};

static bool delta_begin(struct delta *delta)
{
    uint64_t block;
    if (!get_varint(&delta->in, &block) || !get_varint(&delta->in, &delta->miniblock_count) ||
        !get_varint(&delta->in, &delta->value_count) || !get_zigzag(&delta->in, &delta->last))
        return false;
    if (block == 0 || block % 128 != 0 || delta->miniblock_count == 0 ||
        delta->miniblock_count > MINIBLOCKS_MAX || block % delta->miniblock_count != 0)
        return false;
    delta->miniblock = block / delta->miniblock_count;
    return delta->miniblock % 32 == 0 && delta->miniblock <= MINIBLOCK_MAX;
}

/* Values of one miniblock, as sums; `count` of them are wanted. */
static bool delta_miniblock(
    struct delta *delta, unsigned bits, uint64_t least, size_t count, uint64_t *to)
{
    size_t size = (size_t)(delta->miniblock * bits / 8);
    if (bits > 64 || left(&delta->in) < size)
        return false;
    unpack_u64(delta->in.at, size, bits, count, to);
    delta->in.at += size;
    for (size_t i = 0; i < count; i++) {
        delta->last += least + to[i];
        to[i] = delta->last;
    }
    return true;
}

/* Decodes all values; `to` has room for delta->value_count, checked by the caller. */
static bool delta_get(struct delta *delta, uint64_t *to)
{
    if (delta->value_count == 0)
        return true;
    to[0] = delta->last;
    uint64_t done = 1;
    while (done < delta->value_count) {
        uint64_t least;
        if (!get_zigzag(&delta->in, &least) || left(&delta->in) < delta->miniblock_count)
            return false;
        const uint8_t *widths = delta->in.at;
        delta->in.at += delta->miniblock_count;
        for (uint64_t m = 0; m < delta->miniblock_count && done < delta->value_count; m++) {
            size_t count = (size_t)min_u64(delta->miniblock, delta->value_count - done);
            if (!delta_miniblock(delta, widths[m], least, count, to + done))
                return false;
            done += count;
        }
    }
    return true;
}

static int decode_delta(struct encoded *encoded, uint32_t count, uint8_t *to)
{
    if (encoded->type != PARQUET_INT32 && encoded->type != PARQUET_INT64) {
        encoded->why = "DELTA_BINARY_PACKED of such a type";
        return -ENOTSUP;
    }
    struct delta delta = { .in = {
                               encoded->bytes.data, encoded->bytes.data + encoded->bytes.size } };
    if (!delta_begin(&delta) || delta.value_count != count)
        return damaged(encoded, "the head of a delta encoding is wrong");
    if (encoded->type == PARQUET_INT64)
        return delta_get(&delta, (uint64_t *)(void *)to)
                   ? 0
                   : damaged(encoded, "a page has fewer values than it says");
    uint64_t *wide = calloc(count > 0 ? count : 1, sizeof *wide);
    if (wide == NULL)
        return -ENOMEM;
    bool is_whole = delta_get(&delta, wide);
    int32_t *narrow = (int32_t *)(void *)to;
    for (uint32_t i = 0; is_whole && i < count; i++)
        narrow[i] = (int32_t)(uint32_t)wide[i];
    free(wide);
    return is_whole ? 0 : damaged(encoded, "a page has fewer values than it says");
}

/* Lengths as deltas at *in, which then stands behind them. Heap array of the caller; each is at most INT32_MAX. */
static int delta_lengths(
    struct encoded *encoded, struct input *in, uint32_t count, uint64_t **out_lengths)
{
    struct delta delta = { .in = *in };
    if (!delta_begin(&delta) || delta.value_count != count)
        return damaged(encoded, "the head of a delta encoding is wrong");
    uint64_t *lengths = calloc(count > 0 ? count : 1, sizeof *lengths);
    if (lengths == NULL)
        return -ENOMEM;
    bool is_right = delta_get(&delta, lengths);
    for (uint32_t i = 0; is_right && i < count; i++)
        is_right = lengths[i] <= INT32_MAX;
    if (!is_right) {
        free(lengths);
        return damaged(encoded, "the lengths of a page's values are wrong");
    }
    *in = delta.in;
    *out_lengths = lengths;
    return 0;
}

static int take_slices(struct encoded *encoded, struct input *in, const uint64_t *lengths,
    uint32_t count, struct slice *to)
{
    for (uint32_t i = 0; i < count; i++) {
        if (lengths[i] > left(in))
            return damaged(encoded, "a value is longer than its page");
        to[i] = slice_of(in->at, lengths[i]);
        in->at += lengths[i];
    }
    return 0;
}

static int decode_delta_length(struct encoded *encoded, uint32_t count, struct slice *to)
{
    struct input in = { encoded->bytes.data, encoded->bytes.data + encoded->bytes.size };
    uint64_t *lengths = NULL;
    int err = delta_lengths(encoded, &in, count, &lengths);
    if (err == 0)
        err = take_slices(encoded, &in, lengths, count, to);
    free(lengths);
    return err;
}

/* Each value begins as the one before it, of which so many bytes as its prefix says are kept. */
static int join_prefixes(
    struct encoded *encoded, const uint64_t *prefixes, uint32_t count, struct slice *values)
{
    uint64_t total = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t before = i == 0 ? 0 : prefixes[i - 1] + values[i - 1].size;
        if (prefixes[i] > before)
            return damaged(encoded, "a prefix is longer than the value before it");
        total += prefixes[i] + values[i].size;
        if (total > INT32_MAX)
            return damaged(encoded, "the values of a page are too long");
    }
    encoded->heap->size = 0;
    uint8_t *to = bytes_out_room(encoded->heap, (size_t)total + 1);
    if (to == NULL)
        return -ENOMEM;
    for (uint32_t i = 0; i < count; i++) {
        size_t prefix = (size_t)prefixes[i];
        size_t size = prefix + values[i].size;
        if (prefix > 0)
            memcpy(to, values[i - 1].data, prefix);
        if (values[i].size > 0)
            memcpy(to + prefix, values[i].data, values[i].size);
        values[i] = slice_of(to, size);
        to += size;
    }
    return 0;
}

static int decode_delta_byte_array(struct encoded *encoded, uint32_t count, struct slice *to)
{
    struct input in = { encoded->bytes.data, encoded->bytes.data + encoded->bytes.size };
    uint64_t *prefixes = NULL;
    uint64_t *lengths = NULL;
    int err = delta_lengths(encoded, &in, count, &prefixes);
    if (err == 0)
        err = delta_lengths(encoded, &in, count, &lengths);
    if (err == 0)
        err = take_slices(encoded, &in, lengths, count, to);
    if (err == 0)
        err = join_prefixes(encoded, prefixes, count, to);
    free(prefixes);
    free(lengths);
    return err;
}

int decode_values(struct encoded *encoded, uint32_t count, void *to)
{
    bool is_bytes = encoded->type == PARQUET_BYTE_ARRAY;
    if (count == 0)
        return 0;
    switch (encoded->encoding) {
    case ENCODING_PLAIN:
        return decode_plain(encoded, count, to);
    case ENCODING_PLAIN_DICTIONARY:
    case ENCODING_RLE_DICTIONARY:
        return decode_dictionary(encoded, count, to);
    case ENCODING_RLE:
        return decode_rle(encoded, count, to);
    case ENCODING_DELTA_BINARY_PACKED:
        return decode_delta(encoded, count, to);
    case ENCODING_BYTE_STREAM_SPLIT:
        return decode_stream_split(encoded, count, to);
    case ENCODING_DELTA_LENGTH_BYTE_ARRAY:
        if (is_bytes)
            return decode_delta_length(encoded, count, to);
        break;
    case ENCODING_DELTA_BYTE_ARRAY:
        if (is_bytes)
            return decode_delta_byte_array(encoded, count, to);
        break;
    default:
        break;
    }
    encoded->why = "an encoding that is not known here";
    return -ENOTSUP;
}
