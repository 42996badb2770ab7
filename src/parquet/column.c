/*
 * parquet/column.c - finds, checks, unpacks and decodes the pages of one column (room: parquet).
 */
#include <stdio.h>
#include <stdlib.h>

#include "parquet/reader_internal.h"

#define HEADER_BYTES     (4u * 1024)
#define HEADER_BYTES_MAX (16u << 20)

int column_fail(const struct column *column, int code, int32_t page, const char *why,
    struct parquet_error *error)
{
    const char *name = column->reader->meta.columns[column->index].name;
    char place[48] = "";
    if (page >= 0)
        (void)snprintf(place, sizeof place, ", page %d", page);
    const char *kind = code == -EBADMSG ? "damaged: " : code == -ENOTSUP ? "not supported: " : "";
    int err = parquet_fail(error, code, "%s: column '%.100s', row group %u%s: %s%s",
        column->reader->name, name, column->group, place, kind, why);
    if (error != NULL) {
        error->row_group = (int32_t)column->group;
        error->column = (int32_t)column->index;
        error->page = page;
    }
    return err;
}

static int no_memory(const struct column *column, struct parquet_error *error)
{
    return column_fail(column, -ENOMEM, -1, "out of memory", error);
}

int column_start(struct column *column, uint32_t group, const struct page_location *locations,
    uint32_t location_count, struct parquet_error *error)
{
    const struct parquet_reader *reader = column->reader;
    const struct chunk *chunk = &reader->meta.row_groups[group].chunks[column->index];
    column->group = group;
    column->chunk = chunk;
    column->offset = chunk->offset;
    column->next_row = 0;
    column->next_page = 0;
    column->locations = locations;
    column->location_count = location_count;
    column->has_dictionary = false;
    column->row = 0;
    column->row_count = 0;
    if (chunk->is_elsewhere)
        return column_fail(column, -ENOTSUP, -1, "it is in another file", error);
    if (chunk->offset < 4 || chunk->offset > reader->data_end ||
        chunk->size > reader->data_end - chunk->offset)
        return column_fail(column, -EBADMSG, -1, "it is not within the file", error);
    if ((uint64_t)chunk->value_count != reader->meta.row_groups[group].row_count)
        return column_fail(column, -EBADMSG, -1, "it has not as many values as rows", error);
    return 0;
}

/* Reads the header of the page at column->offset, and moves behind it. */
static int next_header(
    struct column *column, struct page_header *out_header, struct parquet_error *error)
{
    const struct parquet_reader *reader = column->reader;
    uint64_t end = column->chunk->offset + column->chunk->size;
    uint64_t left = column->offset < end ? end - column->offset : 0;
    uint64_t ahead_end = column->locations == NULL ? end : 0;
    const char *why = "its pages end before its rows do";
    int err = left == 0 ? -EBADMSG : -EAGAIN;
    for (uint64_t want = HEADER_BYTES; err == -EAGAIN && want <= HEADER_BYTES_MAX; want *= 16) {
        struct span span = { column->offset, (size_t)min_u64(want, left) };
        const uint8_t *data = NULL;
        err = reader_get(reader, &column->window, span, ahead_end, &data);
        if (err < 0)
            return column_fail(column, err, column->next_page, strerrordesc_np(-err), error);
        size_t size = 0;
        err = format_read_page_header(slice_of(data, span.size), out_header, &size, &why);
        if (err == 0)
            column->offset += size;
        if (span.size == left)
            break;
    }
    if (err < 0)
        return column_fail(column, -EBADMSG, column->next_page, why, error);
    if (out_header->size > end - column->offset)
        return column_fail(
            column, -EBADMSG, column->next_page, "the page is longer than its column", error);
    if (out_header->size_unpacked > reader->options.page_bytes_max)
        return column_fail(
            column, -E2BIG, column->next_page, "the page is larger than the limit", error);
    return 0;
}

/* Reads the bytes of a page, checks their CRC and moves behind them. */
static int next_body(struct column *column, const struct page_header *header,
    struct slice *out_body, struct parquet_error *error)
{
    uint64_t end = column->chunk->offset + column->chunk->size;
    struct span span = { column->offset, header->size };
    const uint8_t *data = NULL;
    int err = reader_get(
        column->reader, &column->window, span, column->locations == NULL ? end : 0, &data);
    if (err < 0)
        return column_fail(column, err, column->next_page, strerrordesc_np(-err), error);
    column->offset += header->size;
    *out_body = slice_of(data, header->size);
    if (header->has_crc && codec_crc(*out_body) != header->crc)
        return column_fail(column, -EBADMSG, column->next_page, "the CRC is wrong", error);
    return 0;
}

/* Unpacks `packed`: into `room` when slices are going to point into it. */
static int unpack(struct column *column, struct slice packed, size_t size, struct scratch *room,
    struct slice *out_bytes)
{
    int32_t codec = column->chunk->codec;
    bool must_last = column->reader->meta.columns[column->index].type == PARQUET_BYTE_ARRAY;
    uint8_t *to = scratch_room(must_last ? room : &column->shared->bytes, size);
    if (to == NULL)
        return -ENOMEM;
    int err = codec_decompress(&column->shared->codec, codec, packed, to, size);
    *out_bytes = slice_of(to, size);
    return err;
}

static const char *unpack_why(int err)
{
    return err == -ENOTSUP  ? "its compression is not known here"
           : err == -ENOMEM ? "out of memory"
                            : "its bytes cannot be unpacked";
}

static int check_row_limit(const struct column *column, uint32_t count, struct parquet_error *error)
{
    if (count <= column->reader->options.page_rows_max)
        return 0;
    return column_fail(
        column, -E2BIG, column->next_page, "the page has more values than the limit", error);
}

static int read_dictionary(
    struct column *column, const struct page_header *header, struct parquet_error *error)
{
    struct slice packed = { 0 };
    struct slice bytes = { 0 };
    int err = check_row_limit(column, header->value_count, error);
    if (err == 0)
        err = next_body(column, header, &packed, error);
    if (err < 0)
        return err;
    if (column->has_dictionary)
        return column_fail(column, -EBADMSG, -1, "it has two dictionaries", error);
    err = unpack(column, packed, header->size_unpacked, &column->dictionary_bytes, &bytes);
    if (err < 0)
        return column_fail(column, err, -1, unpack_why(err), error);
    enum parquet_type type = column->reader->meta.columns[column->index].type;
    if (header->encoding != ENCODING_PLAIN && header->encoding != ENCODING_PLAIN_DICTIONARY)
        return column_fail(column, -ENOTSUP, -1, "the encoding of its dictionary", error);
    /* A value takes at least a bit of the page, so the count is bounded before memory is taken. */
    if (header->value_count > 8 * (uint64_t)bytes.size)
        return column_fail(column, -EBADMSG, -1, "its dictionary is too short", error);
    void *values = scratch_room(
        &column->dictionary_values, (size_t)header->value_count * format_value_size(type));
    if (values == NULL)
        return no_memory(column, error);
    struct encoded encoded = { .type = type, .encoding = ENCODING_PLAIN, .bytes = bytes };
    err = decode_values(&encoded, header->value_count, values);
    if (err < 0)
        return column_fail(column, err, -1, encoded.why, error);
    column->dictionary = (struct dictionary){ values, header->value_count };
    column->has_dictionary = true;
    return 0;
}

/* Splits the unpacked bytes of a page into levels and values. Version 1: a length stands before the levels. */
static const char *split_v1(
    const struct page_header *header, bool optional, struct slice *bytes, struct slice *out_levels)
{
    *out_levels = slice_of(bytes->data, 0);
    if (!optional)
        return NULL;
    uint32_t size;
    if (header->level_encoding != ENCODING_RLE)
        return "the encoding of its levels is not known here";
    if (bytes->size < sizeof size)
        return "the page is too short";
    memcpy(&size, bytes->data, sizeof size);
    if (size > bytes->size - sizeof size)
        return "the levels are longer than the page";
    *out_levels = slice_of(bytes->data + sizeof size, size);
    *bytes = slice_of(bytes->data + sizeof size + size, bytes->size - sizeof size - size);
    return NULL;
}

/* Unpacks a data page. */
static int unpack_data(struct column *column, const struct page_header *header, struct slice packed,
    struct slice *out_levels, struct slice *out_values)
{
    size_t size = header->size_unpacked;
    bool optional = column->reader->meta.columns[column->index].optional;
    if (header->type == PAGE_DATA) {
        int err = unpack(column, packed, size, &column->bytes, out_values);
        if (err == 0 && split_v1(header, optional, out_values, out_levels) != NULL)
            err = -EBADMSG;
        return err;
    }
    /* Version 2: levels stand uncompressed before the values. */
    uint64_t levels_size = (uint64_t)header->definition_size + header->repetition_size;
    if (header->repetition_size != 0 || levels_size > packed.size || levels_size > size)
        return -EBADMSG;
    *out_levels = slice_of(packed.data, header->definition_size);
    struct slice rest = slice_of(packed.data + levels_size, packed.size - (size_t)levels_size);
    if (!header->is_compressed) {
        *out_values = rest;
        return 0;
    }
    if (rest.size == 0 && size == levels_size) { /* nothing but nulls */
        *out_values = rest;
        return 0;
    }
    return unpack(column, rest, size - (size_t)levels_size, &column->bytes, out_values);
}

/* Moves the values that are there to the rows that are valid; nulls become zeros. */
static void spread(
    uint8_t *values, size_t size, const uint8_t *valid, uint32_t row_count, uint32_t present_count)
{
    uint32_t from = present_count;
    for (uint32_t row = row_count; row > 0; row--) {
        uint8_t *to = values + (size_t)(row - 1) * size;
        if (valid[row - 1] != 0) {
            from--;
            memmove(to, values + (size_t)from * size, size);
        } else {
            memset(to, 0, size);
        }
    }
}

static int decode_page(struct column *column, const struct page_header *header, struct slice levels,
    struct slice bytes, struct parquet_error *error)
{
    const struct parquet_column *schema = &column->reader->meta.columns[column->index];
    uint32_t row_count = header->value_count;
    uint32_t present_count = row_count;
    size_t size = format_value_size(schema->type);
    uint8_t *values = scratch_room(&column->value_room, (size_t)row_count * size);
    uint8_t *valid = schema->optional ? scratch_room(&column->valid_room, row_count) : NULL;
    if (values == NULL || (schema->optional && valid == NULL))
        return no_memory(column, error);
    if (schema->optional && decode_levels(levels, row_count, valid, &present_count) < 0)
        return column_fail(
            column, -EBADMSG, column->next_page, "the levels of the page are wrong", error);
    struct encoded encoded = {
        .type = schema->type,
        .encoding = header->encoding,
        .bytes = bytes,
        .dictionary = column->has_dictionary ? &column->dictionary : NULL,
        .heap = &column->heap,
    };
    int err = decode_values(&encoded, present_count, values);
    if (err < 0)
        return column_fail(column, err, column->next_page,
            encoded.why != NULL ? encoded.why : "out of memory", error);
    if (present_count < row_count)
        spread(values, size, valid, row_count, present_count);
    column->values = values;
    column->valid = present_count < row_count ? valid : NULL;
    return 0;
}

/* Decodes the page whose header was read, or passes over it when it ends before `row`. */
static int take_page(struct column *column, const struct page_header *header, uint64_t row,
    struct parquet_error *error)
{
    uint64_t group_rows = column->reader->meta.row_groups[column->group].row_count;
    int err = check_row_limit(column, header->value_count, error);
    if (err < 0)
        return err;
    if (header->value_count > group_rows - column->next_row)
        return column_fail(
            column, -EBADMSG, column->next_page, "its pages have more rows than it", error);
    if (column->next_row + header->value_count <= row) {
        column->offset += header->size;
    } else {
        struct slice packed = { 0 };
        struct slice levels = { 0 };
        struct slice bytes = { 0 };
        err = next_body(column, header, &packed, error);
        if (err < 0)
            return err;
        err = unpack_data(column, header, packed, &levels, &bytes);
        if (err < 0)
            return column_fail(column, err, column->next_page, unpack_why(err), error);
        err = decode_page(column, header, levels, bytes, error);
        if (err < 0)
            return err;
        column->row = column->next_row;
        column->row_count = header->value_count;
    }
    column->next_row += header->value_count;
    column->next_page++;
    return 0;
}

/* With an offset index: goes straight to the page of `row`; the dictionary is read first. */
static int jump(struct column *column, uint64_t row, struct parquet_error *error)
{
    uint32_t low = 0;
    uint32_t high = column->location_count;
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (column->locations[middle].row <= row)
            low = middle;
        else
            high = middle;
    }
    const struct page_location *location = &column->locations[low];
    const struct chunk *chunk = column->chunk;
    if (location->offset < chunk->offset || location->offset - chunk->offset >= chunk->size)
        return column_fail(
            column, -EBADMSG, (int32_t)low, "the offset index points elsewhere", error);
    if (!column->has_dictionary && column->locations[0].offset > chunk->offset) {
        struct page_header header = { 0 };
        column->offset = chunk->offset;
        int err = next_header(column, &header, error);
        if (err == 0 && header.type == PAGE_DICTIONARY)
            err = read_dictionary(column, &header, error);
        if (err < 0)
            return err;
    }
    column->offset = location->offset;
    column->next_row = location->row;
    column->next_page = (int32_t)low;
    return 0;
}

int column_seek(struct column *column, uint64_t row, struct parquet_error *error)
{
    assert(row >= column->row);
    if (row - column->row < column->row_count)
        return 0;
    column->row_count = 0;
    if (column->location_count > 0) {
        int err = jump(column, row, error);
        if (err < 0)
            return err;
    }
    while (column->row_count == 0) {
        struct page_header header = { 0 };
        int err = next_header(column, &header, error);
        if (err < 0)
            return err;
        if (header.type == PAGE_DICTIONARY)
            err = read_dictionary(column, &header, error);
        else if (header.type == PAGE_DATA || header.type == PAGE_DATA_V2)
            err = take_page(column, &header, row, error);
        else
            column->offset += header.size; /* of a kind that can be passed over */
        if (err < 0)
            return err;
    }
    return 0;
}

void column_shared_fini(struct column_shared *shared)
{
    codec_fini(&shared->codec);
    free(shared->bytes.data);
}

void column_fini(struct column *column)
{
    free(column->window.data);
    free(column->dictionary_bytes.data);
    free(column->dictionary_values.data);
    free(column->bytes.data);
    free(column->value_room.data);
    free(column->valid_room.data);
    bytes_out_fini(&column->heap);
}
