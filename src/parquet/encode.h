/*
 * parquet/encode.h - values to the bytes of a page. Internal to the room. Source: Encodings.md of the Parquet format.
 */
#pragma once

#include "parquet/bytes_out.h"
#include "parquet/parquet.h"

/* PLAIN. `values` is an array of the C type of `type`. */
void encode_plain(enum parquet_type type, const void *values, size_t count, struct bytes_out *out);
/* RLE / bit-packing hybrid of numbers below 2^bits, bits 1..32; without a length before it. */
void encode_hybrid(const uint32_t *values, size_t count, unsigned bits, struct bytes_out *out);
/* The same of bytes that are 0 or 1: definition levels. */
void encode_levels(const uint8_t *levels, size_t count, struct bytes_out *out);
/* DELTA_BINARY_PACKED of INT32 or INT64. */
void encode_delta(enum parquet_type type, const void *values, size_t count, struct bytes_out *out);
/* Bits needed for numbers up to `max`. */
unsigned encode_bit_width(uint64_t max);
