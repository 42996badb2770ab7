/*
 * parquet/bytes_out.h - bytes that grow at their end. Not thread-safe.
 * A failed allocation sticks: later calls do nothing, and whoever uses the result asks `failed` once.
 */
#pragma once

#include "base/base.h"

struct bytes_out {
    uint8_t *data;
    size_t size;
    size_t capacity;
    bool failed;
};

/* Makes room for `size` more bytes and gives their place, not yet counted; NULL: out of memory. */
uint8_t *bytes_out_room(struct bytes_out *out, size_t size);
void bytes_out_put(struct bytes_out *out, const void *data, size_t size);
void bytes_out_put_u8(struct bytes_out *out, uint8_t value);
void bytes_out_put_le32(struct bytes_out *out, uint32_t value);
/* Unsigned LEB128. */
void bytes_out_put_varint(struct bytes_out *out, uint64_t value);
void bytes_out_put_zigzag(struct bytes_out *out, int64_t value);
void bytes_out_fini(struct bytes_out *out);
