/*
 * xdr/xdr.c - the encoder's growth and references (room: XDR).
 */
#include "xdr/xdr.h"

#define ENCODER_START_BYTES 512

void xdr_encoder_init(struct xdr_encoder *enc, struct arena *arena, size_t size_max)
{
    *enc = (struct xdr_encoder){ .arena = arena, .size_max = size_max };
}

uint8_t *xdr_reserve_slow(struct xdr_encoder *enc, size_t size)
{
    if (enc->failed || size > enc->size_max - enc->reference_bytes - enc->size) {
        enc->failed = true;
        return NULL;
    }
    if (enc->capacity - enc->size < size) {
        size_t capacity = enc->capacity == 0 ? ENCODER_START_BYTES : enc->capacity * 2;
        while (capacity < enc->size + size)
            capacity *= 2;
        uint8_t *grown = arena_alloc(enc->arena, capacity);
        if (grown == NULL) {
            enc->failed = true;
            return NULL;
        }
        if (enc->size > 0)
            memcpy(grown, enc->data, enc->size);
        enc->data = grown;
        enc->capacity = capacity;
    }
    uint8_t *at = enc->data + enc->size;
    enc->size += size;
    return at;
}

void xdr_put_opaque_reference(struct xdr_encoder *enc, struct slice bytes)
{
    if (bytes.size < 256 || enc->reference_count == XDR_REFERENCES_MAX) {
        xdr_put_opaque(enc, bytes);
        return;
    }
    if (enc->references == NULL) {
        enc->references = arena_alloc(enc->arena, XDR_REFERENCES_MAX * sizeof *enc->references);
        if (enc->references == NULL)
            enc->failed = true;
    }
    xdr_put_u32(enc, (uint32_t)bytes.size);
    if (enc->failed || bytes.size > enc->size_max - enc->reference_bytes - enc->size) {
        enc->failed = true;
        return;
    }
    enc->references[enc->reference_count++] =
        (struct xdr_reference){ .at = enc->size, .bytes = bytes };
    enc->reference_bytes += bytes.size;
    size_t padding = (4 - (bytes.size & 3)) & 3;
    uint8_t *at = xdr_reserve(enc, padding);
    if (at != NULL)
        memset(at, 0, padding);
}
