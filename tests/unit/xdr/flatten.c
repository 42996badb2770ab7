/* tests/unit/xdr/flatten.c - see flatten.h. */
#include "flatten.h"

struct slice flatten(const struct xdr_encoder *enc, struct arena *arena)
{
    uint8_t *bytes = arena_alloc(arena, xdr_position(enc));
    assert(bytes != NULL && !enc->failed);
    size_t from = 0;
    size_t to = 0;
    for (uint32_t i = 0; i < enc->reference_count; i++) {
        const struct xdr_reference *reference = &enc->references[i];
        memcpy(bytes + to, enc->data + from, reference->at - from);
        to += reference->at - from;
        from = reference->at;
        memcpy(bytes + to, reference->bytes.data, reference->bytes.size);
        to += reference->bytes.size;
    }
    if (enc->size > from)
        memcpy(bytes + to, enc->data + from, enc->size - from);
    return slice_of(bytes, xdr_position(enc));
}
