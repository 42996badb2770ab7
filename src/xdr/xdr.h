/*
 * xdr/xdr.h - XDR (RFC 4506) reading and writing, with every bound checked.
 *
 * A decoder reads a record in place: opaque data and strings come out as slices of it, arrays are
 * taken from the arena. A decode function returns false when the bytes are not a valid encoding, or
 * when the arena is exhausted (decoder->no_memory tells). An encoder writes to one growing buffer;
 * bulk data may be added by reference. Its failure sticks (encoder->failed), so callers check once,
 * at the end. Not thread-safe.
 */
#pragma once

#include "base/arena.h"
#include "base/bytes.h"

struct xdr_decoder {
    const uint8_t *next;
    const uint8_t *end;
    struct arena *arena;
    bool no_memory;
};

static inline struct xdr_decoder xdr_decoder_of(struct slice bytes, struct arena *arena)
{
    return (
        struct xdr_decoder){ .next = bytes.data, .end = bytes.data + bytes.size, .arena = arena };
}

static inline size_t xdr_left(const struct xdr_decoder *dec)
{
    return (size_t)(dec->end - dec->next);
}

MUST_CHECK static inline bool xdr_get_u32(struct xdr_decoder *dec, uint32_t *out)
{
    if (UNLIKELY(xdr_left(dec) < 4))
        return false;
    *out = load_be32(dec->next);
    dec->next += 4;
    return true;
}

MUST_CHECK static inline bool xdr_get_u64(struct xdr_decoder *dec, uint64_t *out)
{
    if (UNLIKELY(xdr_left(dec) < 8))
        return false;
    *out = load_be64(dec->next);
    dec->next += 8;
    return true;
}

/* RFC 4506 section 4.4: FALSE is 0, TRUE is 1, all else is an error. */
MUST_CHECK static inline bool xdr_get_bool(struct xdr_decoder *dec, bool *out)
{
    uint32_t value;
    if (!xdr_get_u32(dec, &value) || value > 1)
        return false;
    *out = value == 1;
    return true;
}

/* `size` bytes and their padding; *out borrows from the record. */
MUST_CHECK static inline bool xdr_get_fixed(struct xdr_decoder *dec, size_t size, struct slice *out)
{
    size_t left = xdr_left(dec);
    if (UNLIKELY(size > left || ((size + 3) & ~(size_t)3) > left))
        return false;
    *out = (struct slice){ .data = dec->next, .size = size };
    dec->next += (size + 3) & ~(size_t)3;
    return true;
}

/* A length of at most `size_max`, that many bytes, padding. */
MUST_CHECK static inline bool xdr_get_opaque(
    struct xdr_decoder *dec, uint32_t size_max, struct slice *out)
{
    uint32_t size;
    return xdr_get_u32(dec, &size) && size <= size_max && xdr_get_fixed(dec, size, out);
}

/* Room for `count` decoded items of `size` bytes. */
MUST_CHECK static inline void *xdr_get_room(struct xdr_decoder *dec, size_t count, size_t size)
{
    size_t total;
    void *room = NULL;
    if (!__builtin_mul_overflow(count, size, &total))
        room = arena_alloc(dec->arena, total);
    if (room == NULL)
        dec->no_memory = true;
    return room;
}

#define XDR_REFERENCES_MAX 64

/* Bulk bytes that follow the first `at` bytes of the encoder's buffer. */
struct xdr_reference {
    size_t at;
    struct slice bytes; /* a multiple of 4 long, or padded by what follows in the buffer */
};

struct xdr_encoder {
    uint8_t *data;
    size_t size;     /* bytes in `data` */
    size_t capacity; /* of `data` */
    size_t size_max; /* of `data` and references together */
    size_t reference_bytes;
    struct arena *arena;
    struct xdr_reference *references; /* room for XDR_REFERENCES_MAX once one is used */
    uint32_t reference_count;
    bool failed; /* out of memory, or over size_max: what was encoded is not usable */
};

/* Writes to memory from `arena`; fails beyond `size_max` bytes. */
void xdr_encoder_init(struct xdr_encoder *enc, struct arena *arena, size_t size_max);
/* Makes room for `size` more bytes and gives the place; NULL (and failed) when there is none. */
uint8_t *xdr_reserve_slow(struct xdr_encoder *enc, size_t size);

static inline uint8_t *xdr_reserve(struct xdr_encoder *enc, size_t size)
{
    if (UNLIKELY(enc->capacity - enc->size < size ||
                 enc->size_max - enc->reference_bytes - enc->size < size))
        return xdr_reserve_slow(enc, size);
    uint8_t *at = enc->data + enc->size;
    enc->size += size;
    return at;
}

static inline void xdr_put_u32(struct xdr_encoder *enc, uint32_t value)
{
    uint8_t *at = xdr_reserve(enc, 4);
    if (LIKELY(at != NULL))
        store_be32(at, value);
}

static inline void xdr_put_u64(struct xdr_encoder *enc, uint64_t value)
{
    uint8_t *at = xdr_reserve(enc, 8);
    if (LIKELY(at != NULL))
        store_be64(at, value);
}

static inline void xdr_put_bool(struct xdr_encoder *enc, bool value)
{
    xdr_put_u32(enc, value ? 1 : 0);
}

/* The bytes and their padding, without a length. */
static inline void xdr_put_fixed(struct xdr_encoder *enc, struct slice bytes)
{
    if (bytes.size == 0)
        return;
    size_t padded = (bytes.size + 3) & ~(size_t)3;
    uint8_t *at = xdr_reserve(enc, padded);
    if (UNLIKELY(at == NULL))
        return;
    memset(at + padded - 4, 0, 4);
    memcpy(at, bytes.data, bytes.size);
}

/* Length, bytes, padding. */
static inline void xdr_put_opaque(struct xdr_encoder *enc, struct slice bytes)
{
    xdr_put_u32(enc, (uint32_t)bytes.size);
    xdr_put_fixed(enc, bytes);
}

/* Length, bytes by reference, padding. The bytes stay where they are until the record is sent. */
void xdr_put_opaque_reference(struct xdr_encoder *enc, struct slice bytes);

/* Bytes encoded so far, references included: a position in the record. */
static inline size_t xdr_position(const struct xdr_encoder *enc)
{
    return enc->size + enc->reference_bytes;
}

/* State to return to when what follows turns out not to fit. */
struct xdr_mark {
    size_t size;
    size_t reference_bytes;
    uint32_t reference_count;
};

static inline struct xdr_mark xdr_mark(const struct xdr_encoder *enc)
{
    return (struct xdr_mark){ enc->size, enc->reference_bytes, enc->reference_count };
}

/* Forgets all that was encoded after the mark, and a failure since. */
static inline void xdr_rewind(struct xdr_encoder *enc, struct xdr_mark mark)
{
    enc->size = mark.size;
    enc->reference_bytes = mark.reference_bytes;
    enc->reference_count = mark.reference_count;
    enc->failed = false;
}
