/* parquet/writer_chunk.c - the pages of one column chunk (room: parquet). */
#include <stdlib.h>

#include "parquet/encode.h"
#include "parquet/writer_internal.h"

/* A chunk on its way: its values without nulls, and what was decided about it. */
struct pending {
    struct parquet_writer *writer;
    const struct parquet_column *column;
    const struct parquet_values *values;
    const uint8_t *present; /* the values that are not null */
    uint64_t present_count;
    uint64_t present_at; /* how many of them are in pages */
    struct chunk_record *chunk;
};

/* Puts the values that are not null side by side. */
static int gather_present(struct pending *pending, uint64_t row_count)
{
    const uint8_t *valid = pending->values->valid;
    uint64_t null_count = 0;
    for (uint64_t i = 0; valid != NULL && i < row_count; i++)
        null_count += valid[i] == 0;
    pending->chunk->null_count = null_count;
    pending->present = pending->values->values;
    pending->present_count = row_count - null_count;
    if (null_count == 0)
        return 0;
    struct bytes_out *out = &pending->writer->present;
    size_t size = format_value_size(pending->column->type);
    out->size = 0;
    uint8_t *to = bytes_out_room(out, (size_t)pending->present_count * size + 1);
    if (to == NULL)
        return -ENOMEM;
    const uint8_t *from = pending->values->values;
    pending->present = to;
    for (uint64_t i = 0; i < row_count; i++) {
        if (valid[i] == 0)
            continue;
        memcpy(to, from + i * size, size);
        to += size;
    }
    return 0;
}

static int choose_encoding(struct pending *pending)
{
    struct parquet_writer *writer = pending->writer;
    const struct parquet_column *column = pending->column;
    size_t count = (size_t)pending->present_count;
    pending->chunk->encoding = ENCODING_PLAIN;
    bool is_int = column->type == PARQUET_INT32 || column->type == PARQUET_INT64;
    size_t size = format_value_size(column->type);
    if (is_int && count > 1) {
        /* Times are almost always steady; of other integers a first part tells. */
        size_t sample = min_size(count, 4096);
        writer->page.size = 0;
        encode_delta(column->type, pending->present, sample, &writer->page);
        size_t delta_size = writer->page.size;
        if (delta_size < sample * size / 4) {
            pending->chunk->encoding = ENCODING_DELTA_BINARY_PACKED;
            return 0;
        }
        if (delta_size < sample * size)
            pending->chunk->encoding = ENCODING_DELTA_BINARY_PACKED;
    }
    int worth = dictionary_build(&writer->dictionary, column->type, pending->present, count);
    if (worth > 0)
        pending->chunk->encoding = ENCODING_RLE_DICTIONARY;
    return worth < 0 ? worth : 0;
}

/* Is it worth to compress? The first page of the chunk decides: else reading would pay for nothing. `beside` bytes, those
 * of a dictionary's indices, are taken for incompressible. */
static int choose_codec(struct pending *pending, struct slice page, uint64_t beside)
{
    struct parquet_writer *writer = pending->writer;
    enum parquet_codec codec = writer->options.codec;
    pending->chunk->codec = codec;
    if (codec == PARQUET_UNCOMPRESSED)
        return 0;
    writer->packed.size = 0;
    int err = codec_compress(&writer->codec, codec, writer->options.level, page, &writer->packed);
    if (err == 0 && writer->packed.size + beside > (page.size + beside) / 4 * 3)
        pending->chunk->codec = PARQUET_UNCOMPRESSED;
    return err;
}

/* Writes a page: its header, then its bytes, compressed. `is_dictionary`: a dictionary of `value_count` values. */
static int put_page(
    struct pending *pending, struct slice page, uint32_t value_count, bool is_dictionary)
{
    struct parquet_writer *writer = pending->writer;
    writer->packed.size = 0;
    int err = codec_compress(
        &writer->codec, pending->chunk->codec, writer->options.level, page, &writer->packed);
    if (err < 0)
        return err;
    struct slice packed = slice_of(writer->packed.data, writer->packed.size);
    if (page.size > INT32_MAX || packed.size > INT32_MAX)
        return -E2BIG;
    size_t before = writer->out.size;
    struct thrift_writer thrift = { .out = &writer->out };
    thrift_open(&thrift);
    thrift_put_i32(&thrift, 1, is_dictionary ? PAGE_DICTIONARY : PAGE_DATA);
    thrift_put_i32(&thrift, 2, (int32_t)page.size);
    thrift_put_i32(&thrift, 3, (int32_t)packed.size);
    thrift_put_i32(&thrift, 4, (int32_t)codec_crc(packed));
    thrift_put_struct(&thrift, is_dictionary ? 7 : 5);
    thrift_put_i32(&thrift, 1, (int32_t)value_count);
    thrift_put_i32(&thrift, 2, is_dictionary ? ENCODING_PLAIN : (int32_t)pending->chunk->encoding);
    if (!is_dictionary) {
        thrift_put_i32(&thrift, 3, ENCODING_RLE); /* levels; there are no repetition levels */
        thrift_put_i32(&thrift, 4, ENCODING_RLE);
    }
    thrift_close(&thrift);
    thrift_close(&thrift);
    pending->chunk->size_unpacked += writer->out.size - before + page.size;
    bytes_out_put(&writer->out, packed.data, packed.size);
    pending->chunk->size += writer->out.size - before;
    return writer->out.failed ? -ENOMEM : 0;
}

static int put_dictionary(struct pending *pending)
{
    struct parquet_writer *writer = pending->writer;
    const struct dictionary_builder *dictionary = &writer->dictionary;
    size_t size = format_value_size(pending->column->type);
    struct bytes_out *page = &writer->page;
    page->size = 0;
    for (uint32_t i = 0; i < dictionary->count; i++)
        encode_plain(
            pending->column->type, pending->present + dictionary->first[i] * size, 1, page);
    if (page->failed)
        return -ENOMEM;
    struct slice bytes = slice_of(page->data, page->size);
    int err = choose_codec(
        pending, bytes, pending->present_count * encode_bit_width(dictionary->count) / 8);
    if (err < 0)
        return err;
    pending->chunk->has_dictionary = true;
    return put_page(pending, bytes, dictionary->count, true);
}

/* The levels and values of `row_count` rows from `row` on, of which `present_count` are not null. */
static int encode_page(
    struct pending *pending, uint64_t row, uint32_t row_count, uint32_t present_count)
{
    struct parquet_writer *writer = pending->writer;
    struct bytes_out *page = &writer->page;
    page->size = 0;
    if (pending->column->optional) {
        bytes_out_put_le32(page, 0);
        if (pending->values->valid != NULL) {
            encode_levels(pending->values->valid + row, row_count, page);
        } else {
            bytes_out_put_varint(page, (uint64_t)row_count << 1);
            bytes_out_put_u8(page, 1);
        }
        uint32_t size = (uint32_t)page->size - 4;
        if (!page->failed)
            memcpy(page->data, &size, sizeof size);
    }
    enum parquet_type type = pending->column->type;
    const uint8_t *values = pending->present + pending->present_at * format_value_size(type);
    if (pending->chunk->encoding == ENCODING_RLE_DICTIONARY) {
        unsigned bits = encode_bit_width(writer->dictionary.count - 1);
        bits = bits == 0 ? 1 : bits;
        bytes_out_put_u8(page, (uint8_t)bits);
        encode_hybrid(writer->dictionary.indices + pending->present_at, present_count, bits, page);
    } else if (pending->chunk->encoding == ENCODING_DELTA_BINARY_PACKED) {
        encode_delta(type, values, present_count, page);
    } else {
        encode_plain(type, values, present_count, page);
    }
    return page->failed ? -ENOMEM : 0;
}

static int put_data_page(
    struct pending *pending, uint64_t row, uint32_t row_count, struct page_record *record)
{
    struct parquet_writer *writer = pending->writer;
    enum parquet_type type = pending->column->type;
    const uint8_t *valid = pending->values->valid;
    uint32_t present_count = row_count;
    for (uint32_t i = 0; pending->chunk->null_count > 0 && i < row_count; i++)
        present_count -= valid[row + i] == 0;
    int err = encode_page(pending, row, row_count, present_count);
    if (err < 0)
        return err;
    struct slice bytes = slice_of(writer->page.data, writer->page.size);
    if (row == 0 && !pending->chunk->has_dictionary) {
        err = choose_codec(pending, bytes, 0);
        if (err < 0)
            return err;
    }
    const uint8_t *values = pending->present + pending->present_at * format_value_size(type);
    *record = (struct page_record){
        .offset = writer_offset(writer),
        .row = row,
        .null_count = row_count - present_count,
        .is_null_only = present_count == 0,
        .bounds = stats_of(type, values, present_count),
    };
    size_t before = writer->out.size;
    err = put_page(pending, bytes, row_count, false);
    record->size = (uint32_t)(writer->out.size - before);
    stats_join(type, &pending->chunk->bounds, &record->bounds);
    pending->present_at += present_count;
    return err;
}

int writer_put_chunk(struct parquet_writer *writer, uint32_t column,
    const struct parquet_values *values, uint64_t row_count, struct chunk_record *out_chunk)
{
    uint32_t page_rows = writer->options.page_rows;
    uint32_t page_count = (uint32_t)((row_count + page_rows - 1) / page_rows);
    *out_chunk = (struct chunk_record){ .offset = writer_offset(writer) };
    out_chunk->pages = calloc(page_count, sizeof *out_chunk->pages);
    if (out_chunk->pages == NULL)
        return -ENOMEM;
    out_chunk->page_count = page_count;
    struct pending pending = {
        .writer = writer,
        .column = &writer->columns[column],
        .values = values,
        .chunk = out_chunk,
    };
    int err = gather_present(&pending, row_count);
    if (err == 0)
        err = choose_encoding(&pending);
    if (err == 0 && out_chunk->encoding == ENCODING_RLE_DICTIONARY)
        err = put_dictionary(&pending);
    out_chunk->data_offset = writer_offset(writer);
    for (uint32_t i = 0; i < page_count && err == 0; i++) {
        uint64_t row = (uint64_t)i * page_rows;
        err = put_data_page(
            &pending, row, (uint32_t)min_u64(page_rows, row_count - row), &out_chunk->pages[i]);
    }
    return err;
}
