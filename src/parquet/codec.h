/*
 * parquet/codec.h - compression of pages, and their CRC. Internal to the room. Not thread-safe: a codec is of one thread.
 */
#pragma once

#include "parquet/bytes_out.h"
#include "parquet/parquet.h"

struct codec {
    void *zstd_compress; /* made at first use */
    void *zstd_decompress;
};

void codec_fini(struct codec *codec);
/* Appends the compressed bytes to `out`. `kind` is one that is written. Errors: -ENOMEM, -EIO (of the library). */
MUST_CHECK int codec_compress(struct codec *codec, enum parquet_codec kind, int level,
    struct slice bytes, struct bytes_out *out);
/* Unpacks exactly `size` bytes to `to`. Errors: -EBADMSG, -ENOMEM, -ENOTSUP (of `kind`, a number from a file). */
MUST_CHECK int codec_decompress(
    struct codec *codec, int32_t kind, struct slice bytes, uint8_t *to, size_t size);
/* CRC-32 as of gzip. */
uint32_t codec_crc(struct slice bytes);
