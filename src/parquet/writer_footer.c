/*
 * parquet/writer_footer.c - the page index and the footer (room: parquet). Source: parquet.thrift, PageIndex.md.
 */
#include "parquet/writer_internal.h"

static struct slice bound_slice(const struct bound *bound)
{
    return slice_of(bound->bytes, bound->size);
}

/* 1 ascending, 2 descending, 0 neither: of the pages that have bounds. */
static int32_t boundary_order(enum parquet_type type, const struct chunk_record *chunk)
{
    bool ascends = true;
    bool descends = true;
    const struct bounds *before = NULL;
    for (uint32_t i = 0; i < chunk->page_count; i++) {
        const struct bounds *bounds = &chunk->pages[i].bounds;
        if (chunk->pages[i].is_null_only)
            continue;
        if (before != NULL) {
            int min = stats_compare(type, &bounds->min, &before->min);
            int max = stats_compare(type, &bounds->max, &before->max);
            ascends &= min >= 0 && max >= 0;
            descends &= min <= 0 && max <= 0;
        }
        before = bounds;
    }
    return ascends ? 1 : descends ? 2 : 0;
}

/* A column index says something of each page, or is left out. */
static bool can_have_column_index(const struct chunk_record *chunk)
{
    for (uint32_t i = 0; i < chunk->page_count; i++) {
        if (!chunk->pages[i].is_null_only && !chunk->pages[i].bounds.is_known)
            return false;
    }
    return true;
}

static void put_column_index(
    struct parquet_writer *writer, enum parquet_type type, struct chunk_record *chunk)
{
    if (!can_have_column_index(chunk))
        return;
    struct bytes_out *out = &writer->out;
    chunk->column_index_offset = writer_offset(writer);
    struct thrift_writer thrift = { .out = out };
    thrift_open(&thrift);
    thrift_put_list(&thrift, 1, THRIFT_TRUE, chunk->page_count);
    for (uint32_t i = 0; i < chunk->page_count; i++)
        bytes_out_put_u8(out, chunk->pages[i].is_null_only ? THRIFT_TRUE : THRIFT_FALSE);
    thrift_put_list(&thrift, 2, THRIFT_BINARY, chunk->page_count);
    for (uint32_t i = 0; i < chunk->page_count; i++)
        thrift_put_binary_element(&thrift, bound_slice(&chunk->pages[i].bounds.min));
    thrift_put_list(&thrift, 3, THRIFT_BINARY, chunk->page_count);
    for (uint32_t i = 0; i < chunk->page_count; i++)
        thrift_put_binary_element(&thrift, bound_slice(&chunk->pages[i].bounds.max));
    thrift_put_i32(&thrift, 4, boundary_order(type, chunk));
    thrift_put_list(&thrift, 5, THRIFT_I64, chunk->page_count);
    for (uint32_t i = 0; i < chunk->page_count; i++)
        bytes_out_put_zigzag(out, chunk->pages[i].null_count);
    thrift_close(&thrift);
    chunk->column_index_size = (uint32_t)(writer_offset(writer) - chunk->column_index_offset);
}

static void put_offset_index(struct parquet_writer *writer, struct chunk_record *chunk)
{
    chunk->offset_index_offset = writer_offset(writer);
    struct thrift_writer thrift = { .out = &writer->out };
    thrift_open(&thrift);
    thrift_put_list(&thrift, 1, THRIFT_STRUCT, chunk->page_count);
    for (uint32_t i = 0; i < chunk->page_count; i++) {
        thrift_open(&thrift);
        thrift_put_i64(&thrift, 1, (int64_t)chunk->pages[i].offset);
        thrift_put_i32(&thrift, 2, (int32_t)chunk->pages[i].size);
        thrift_put_i64(&thrift, 3, (int64_t)chunk->pages[i].row);
        thrift_close(&thrift);
    }
    thrift_close(&thrift);
    chunk->offset_index_size = (uint32_t)(writer_offset(writer) - chunk->offset_index_offset);
}

static void put_logical_type(struct thrift_writer *thrift, const struct parquet_column *column)
{
    bool is_timestamp =
        column->logical >= PARQUET_TIMESTAMP_MS && column->logical <= PARQUET_TIMESTAMP_NS;
    if (column->logical == PARQUET_STRING) {
        thrift_put_i32(thrift, 6, 0); /* UTF8, for older readers */
        thrift_put_struct(thrift, 10);
        thrift_put_struct(thrift, 1);
        thrift_close(thrift);
        thrift_close(thrift);
    } else if (is_timestamp) {
        if (column->logical != PARQUET_TIMESTAMP_NS && !column->is_not_in_utc)
            thrift_put_i32(thrift, 6, column->logical == PARQUET_TIMESTAMP_MS ? 9 : 10);
        thrift_put_struct(thrift, 10);
        thrift_put_struct(thrift, 8);
        thrift_put_bool(thrift, 1, !column->is_not_in_utc);
        thrift_put_struct(thrift, 2);
        thrift_put_struct(thrift, 1 + (int32_t)(column->logical - PARQUET_TIMESTAMP_MS));
        for (int i = 0; i < 4; i++)
            thrift_close(thrift);
    }
}

static void put_schema(struct thrift_writer *thrift, const struct parquet_writer *writer)
{
    thrift_put_list(thrift, 2, THRIFT_STRUCT, writer->column_count + 1);
    thrift_open(thrift);
    thrift_put_binary(thrift, 4, slice_str("schema"));
    thrift_put_i32(thrift, 5, (int32_t)writer->column_count);
    thrift_close(thrift);
    for (uint32_t i = 0; i < writer->column_count; i++) {
        const struct parquet_column *column = &writer->columns[i];
        thrift_open(thrift);
        thrift_put_i32(thrift, 1, (int32_t)column->type);
        thrift_put_i32(thrift, 3, column->optional ? 1 : 0);
        thrift_put_binary(thrift, 4, slice_str(column->name));
        put_logical_type(thrift, column);
        thrift_close(thrift);
    }
}

static void put_statistics(
    struct thrift_writer *thrift, enum parquet_type type, const struct chunk_record *chunk)
{
    thrift_put_struct(thrift, 12);
    bool is_int = type == PARQUET_INT32 || type == PARQUET_INT64;
    if (chunk->bounds.is_known && is_int) { /* the older fields, for older readers */
        thrift_put_binary(thrift, 1, bound_slice(&chunk->bounds.max));
        thrift_put_binary(thrift, 2, bound_slice(&chunk->bounds.min));
    }
    thrift_put_i64(thrift, 3, (int64_t)chunk->null_count);
    if (chunk->bounds.is_known) {
        thrift_put_binary(thrift, 5, bound_slice(&chunk->bounds.max));
        thrift_put_binary(thrift, 6, bound_slice(&chunk->bounds.min));
    }
    thrift_close(thrift);
}

static void put_chunk_meta(struct thrift_writer *thrift, const struct parquet_writer *writer,
    const struct group_record *group, uint32_t column)
{
    const struct chunk_record *chunk = &group->chunks[column];
    thrift_put_struct(thrift, 3);
    thrift_put_i32(thrift, 1, (int32_t)writer->columns[column].type);
    thrift_put_list(thrift, 2, THRIFT_I32, chunk->has_dictionary ? 3 : 2);
    bytes_out_put_zigzag(thrift->out, ENCODING_RLE);
    if (chunk->has_dictionary)
        bytes_out_put_zigzag(thrift->out, ENCODING_PLAIN);
    bytes_out_put_zigzag(thrift->out, (int64_t)chunk->encoding);
    thrift_put_list(thrift, 3, THRIFT_BINARY, 1);
    thrift_put_binary_element(thrift, slice_str(writer->columns[column].name));
    thrift_put_i32(thrift, 4, (int32_t)chunk->codec);
    thrift_put_i64(thrift, 5, (int64_t)group->row_count);
    thrift_put_i64(thrift, 6, (int64_t)chunk->size_unpacked);
    thrift_put_i64(thrift, 7, (int64_t)chunk->size);
    thrift_put_i64(thrift, 9, (int64_t)chunk->data_offset);
    if (chunk->has_dictionary)
        thrift_put_i64(thrift, 11, (int64_t)chunk->offset);
    put_statistics(thrift, writer->columns[column].type, chunk);
    thrift_close(thrift);
}

static void put_row_group(
    struct thrift_writer *thrift, const struct parquet_writer *writer, uint32_t index)
{
    const struct group_record *group = &writer->groups[index];
    uint64_t size = 0;
    uint64_t size_unpacked = 0;
    thrift_open(thrift);
    thrift_put_list(thrift, 1, THRIFT_STRUCT, writer->column_count);
    for (uint32_t i = 0; i < writer->column_count; i++) {
        const struct chunk_record *chunk = &group->chunks[i];
        size += chunk->size;
        size_unpacked += chunk->size_unpacked;
        thrift_open(thrift);
        thrift_put_i64(thrift, 2, 0); /* file_offset: retired */
        put_chunk_meta(thrift, writer, group, i);
        thrift_put_i64(thrift, 4, (int64_t)chunk->offset_index_offset);
        thrift_put_i32(thrift, 5, (int32_t)chunk->offset_index_size);
        if (chunk->column_index_size > 0) {
            thrift_put_i64(thrift, 6, (int64_t)chunk->column_index_offset);
            thrift_put_i32(thrift, 7, (int32_t)chunk->column_index_size);
        }
        thrift_close(thrift);
    }
    thrift_put_i64(thrift, 2, (int64_t)size_unpacked);
    thrift_put_i64(thrift, 3, (int64_t)group->row_count);
    if (writer->options.has_sorting_column) {
        thrift_put_list(thrift, 4, THRIFT_STRUCT, 1);
        thrift_open(thrift);
        thrift_put_i32(thrift, 1, (int32_t)writer->options.sorting_column);
        thrift_put_bool(thrift, 2, false); /* ascending */
        thrift_put_bool(thrift, 3, false); /* nulls last */
        thrift_close(thrift);
    }
    if (writer->column_count > 0)
        thrift_put_i64(thrift, 5, (int64_t)group->chunks[0].offset);
    thrift_put_i64(thrift, 6, (int64_t)size);
    thrift_close(thrift);
}

static void put_file_meta(struct parquet_writer *writer)
{
    struct thrift_writer thrift = { .out = &writer->out };
    thrift_open(&thrift);
    thrift_put_i32(&thrift, 1, 2);
    put_schema(&thrift, writer);
    thrift_put_i64(&thrift, 3, (int64_t)writer->row_count);
    thrift_put_list(&thrift, 4, THRIFT_STRUCT, writer->group_count);
    for (uint32_t i = 0; i < writer->group_count; i++)
        put_row_group(&thrift, writer, i);
    if (writer->options.pair_count > 0) {
        thrift_put_list(&thrift, 5, THRIFT_STRUCT, writer->options.pair_count);
        for (uint32_t i = 0; i < writer->options.pair_count; i++) {
            thrift_open(&thrift);
            thrift_put_binary(&thrift, 1, slice_str(writer->pairs[i].key));
            thrift_put_binary(&thrift, 2, slice_str(writer->pairs[i].value));
            thrift_close(&thrift);
        }
    }
    thrift_put_binary(&thrift, 6, slice_str("shoal version " SHOAL_VERSION));
    thrift_put_list(&thrift, 7, THRIFT_STRUCT, writer->column_count);
    for (uint32_t i = 0; i < writer->column_count; i++) { /* bounds are in the order of the type */
        thrift_open(&thrift);
        thrift_put_struct(&thrift, 1);
        thrift_close(&thrift);
        thrift_close(&thrift);
    }
    thrift_close(&thrift);
}

int writer_put_footer(struct parquet_writer *writer)
{
    for (uint32_t g = 0; g < writer->group_count; g++) {
        for (uint32_t i = 0; i < writer->column_count; i++)
            put_column_index(writer, writer->columns[i].type, &writer->groups[g].chunks[i]);
    }
    for (uint32_t g = 0; g < writer->group_count; g++) {
        for (uint32_t i = 0; i < writer->column_count; i++)
            put_offset_index(writer, &writer->groups[g].chunks[i]);
    }
    uint64_t before = writer_offset(writer);
    put_file_meta(writer);
    uint64_t size = writer_offset(writer) - before;
    if (size > INT32_MAX)
        return -E2BIG;
    bytes_out_put_le32(&writer->out, (uint32_t)size);
    bytes_out_put(&writer->out, PARQUET_MAGIC, 4);
    return writer->out.failed ? -ENOMEM : 0;
}
