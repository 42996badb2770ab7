/*
 * parquet/decode.h - the bytes of a page to values. Internal to the room. Source: Encodings.md of the Parquet format.
 * The bytes are an outsider's: nothing is read behind their end, and no number from them is an index unchecked.
 */
#pragma once

#include "parquet/format.h"

/* A dictionary: `count` values of the column's type. */
struct dictionary {
    const void *values;
    uint32_t count;
};

/* What is decoded: `bytes` in `encoding`. */
struct encoded {
    enum parquet_type type;
    int32_t encoding;
    struct slice bytes;
    const struct dictionary *dictionary; /* NULL: the chunk has none */
    struct bytes_out *heap;              /* takes what DELTA_BYTE_ARRAY puts together */
    const char *why;                     /* set on failure: a constant text */
};

/* Decodes exactly `count` values to `to`, an array of the C type of `type`. Slices point into `bytes`, the dictionary
 * or `heap`. Errors: -EBADMSG, -ENOTSUP, -ENOMEM. */
MUST_CHECK int decode_values(struct encoded *encoded, uint32_t count, void *to);
/* Decodes `count` definition levels of at most 1 into bytes; *out_valid_count is how many are 1. Errors: -EBADMSG. */
MUST_CHECK int decode_levels(
    struct slice bytes, uint32_t count, uint8_t *to, uint32_t *out_valid_count);
