/* parquet/codec.c - compression of pages (room: parquet). */
#include "parquet/codec.h"

#include <limits.h>
#include <snappy-c.h>
#define ZLIB_CONST
#include <zlib.h>
#include <zstd.h>

void codec_fini(struct codec *codec)
{
    (void)ZSTD_freeCCtx(codec->zstd_compress); /* never fails */
    (void)ZSTD_freeDCtx(codec->zstd_decompress);
    *codec = (struct codec){ 0 };
}

static int compress_zstd(struct codec *codec, int level, struct slice bytes, struct bytes_out *out)
{
    if (codec->zstd_compress == NULL)
        codec->zstd_compress = ZSTD_createCCtx();
    size_t room_size = ZSTD_compressBound(bytes.size);
    uint8_t *room = bytes_out_room(out, room_size);
    if (codec->zstd_compress == NULL || room == NULL)
        return -ENOMEM;
    size_t size = ZSTD_compressCCtx(
        codec->zstd_compress, room, room_size, bytes.data, bytes.size, level == 0 ? 1 : level);
    if (ZSTD_isError(size))
        return -EIO;
    out->size += size;
    return 0;
}

static int compress_snappy(struct slice bytes, struct bytes_out *out)
{
    size_t size = snappy_max_compressed_length(bytes.size);
    uint8_t *room = bytes_out_room(out, size);
    if (room == NULL)
        return -ENOMEM;
    if (snappy_compress((const char *)bytes.data, bytes.size, (char *)room, &size) != SNAPPY_OK)
        return -EIO;
    out->size += size;
    return 0;
}

int codec_compress(struct codec *codec, enum parquet_codec kind, int level, struct slice bytes,
    struct bytes_out *out)
{
    if (kind == PARQUET_ZSTD)
        return compress_zstd(codec, level, bytes, out);
    if (kind == PARQUET_SNAPPY)
        return compress_snappy(bytes, out);
    bytes_out_put(out, bytes.data, bytes.size);
    return out->failed ? -ENOMEM : 0;
}

static int decompress_zstd(struct codec *codec, struct slice bytes, uint8_t *to, size_t size)
{
    if (codec->zstd_decompress == NULL)
        codec->zstd_decompress = ZSTD_createDCtx();
    if (codec->zstd_decompress == NULL)
        return -ENOMEM;
    size_t got = ZSTD_decompressDCtx(codec->zstd_decompress, to, size, bytes.data, bytes.size);
    return got == size ? 0 : -EBADMSG;
}

static int decompress_snappy(struct slice bytes, uint8_t *to, size_t size)
{
    const char *from = (const char *)bytes.data;
    size_t unpacked;
    if (snappy_uncompressed_length(from, bytes.size, &unpacked) != SNAPPY_OK || unpacked != size)
        return -EBADMSG;
    return snappy_uncompress(from, bytes.size, (char *)to, &unpacked) == SNAPPY_OK ? 0 : -EBADMSG;
}

static int decompress_gzip(struct slice bytes, uint8_t *to, size_t size)
{
    if (bytes.size > UINT_MAX || size > UINT_MAX)
        return -EBADMSG;
    z_stream stream = { .next_in = bytes.data, .avail_in = (unsigned)bytes.size };
    if (inflateInit2(&stream, MAX_WBITS + 32) != Z_OK) /* + 32: a zlib or a gzip header */
        return -ENOMEM;
    stream.next_out = to;
    stream.avail_out = (unsigned)size;
    int status = inflate(&stream, Z_FINISH);
    bool is_whole = status == Z_STREAM_END && stream.avail_out == 0;
    (void)inflateEnd(&stream); /* it only frees */
    return is_whole ? 0 : -EBADMSG;
}

int codec_decompress(
    struct codec *codec, int32_t kind, struct slice bytes, uint8_t *to, size_t size)
{
    switch (kind) {
    case PARQUET_UNCOMPRESSED:
        if (bytes.size != size)
            return -EBADMSG;
        if (size > 0)
            memcpy(to, bytes.data, size);
        return 0;
    case PARQUET_SNAPPY:
        return decompress_snappy(bytes, to, size);
    case PARQUET_GZIP:
        return decompress_gzip(bytes, to, size);
    case PARQUET_ZSTD:
        return decompress_zstd(codec, bytes, to, size);
    default:
        return -ENOTSUP;
    }
}

uint32_t codec_crc(struct slice bytes)
{
    return (uint32_t)crc32_z(crc32_z(0, NULL, 0), bytes.data, bytes.size);
}
