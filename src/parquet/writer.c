/*
 * parquet/writer.c - rows of a Parquet file: held back until a row group is full, then written (room: parquet).
 */
#include <stdlib.h>

#include "base/sys.h"
#include "parquet/writer_internal.h"

#define FLUSH_BYTES        (1u << 20)
#define ROW_GROUP_ROWS_MAX (16u * 1024 * 1024)
#define TEXT_BYTES_MAX     (64u << 20) /* names and metadata */
#define COLUMN_COUNT_MAX   10000u

static int flush(struct parquet_writer *writer)
{
    int err = sys_pwrite_all(writer->fd, writer->out.data, writer->out.size, writer->flushed);
    if (err < 0)
        return err;
    writer->flushed += writer->out.size;
    writer->out.size = 0;
    return 0;
}

static int check_columns(
    const struct parquet_column *columns, uint32_t column_count, struct parquet_error *error)
{
    if (column_count == 0 || column_count > COLUMN_COUNT_MAX)
        return parquet_fail(
            error, -EINVAL, "a file has 1 to %u columns, not %u", COLUMN_COUNT_MAX, column_count);
    for (uint32_t i = 0; i < column_count; i++) {
        const struct parquet_column *column = &columns[i];
        bool is_type = (column->type >= PARQUET_BOOLEAN && column->type <= PARQUET_INT64) ||
                       (column->type >= PARQUET_FLOAT && column->type <= PARQUET_BYTE_ARRAY);
        bool is_timestamp =
            column->logical >= PARQUET_TIMESTAMP_MS && column->logical <= PARQUET_TIMESTAMP_NS;
        bool is_logical =
            column->logical == PARQUET_PLAIN_VALUE ||
            (column->logical == PARQUET_STRING && column->type == PARQUET_BYTE_ARRAY) ||
            (is_timestamp && column->type == PARQUET_INT64);
        if (column->name == NULL || column->name[0] == '\0' || !is_type || !is_logical)
            return parquet_fail(error, -EINVAL,
                "column %u ('%s') has no name, or an impossible type", i,
                column->name == NULL ? "" : column->name);
    }
    return 0;
}

/* Copies the schema and the options. */
static int copy_options(struct parquet_writer *writer, const struct parquet_column *columns,
    const struct parquet_writer_options *options)
{
    if (options != NULL)
        writer->options = *options;
    if (writer->options.row_group_rows == 0)
        writer->options.row_group_rows = PARQUET_ROW_GROUP_ROWS;
    if (writer->options.page_rows == 0)
        writer->options.page_rows = PARQUET_PAGE_ROWS;
    uint32_t pair_count = writer->options.pair_count;
    writer->columns = calloc(writer->column_count, sizeof *writer->columns);
    writer->held = calloc(writer->column_count, sizeof *writer->held);
    writer->pairs = calloc(pair_count + 1, sizeof *writer->pairs);
    if (writer->columns == NULL || writer->held == NULL || writer->pairs == NULL)
        return -ENOMEM;
    for (uint32_t i = 0; i < writer->column_count; i++) {
        writer->columns[i] = columns[i];
        writer->columns[i].name = arena_copy(&writer->texts, slice_str(columns[i].name));
        if (writer->columns[i].name == NULL)
            return -ENOMEM;
    }
    for (uint32_t i = 0; i < pair_count; i++) {
        writer->pairs[i].key = arena_copy(&writer->texts, slice_str(writer->options.pairs[i].key));
        writer->pairs[i].value =
            arena_copy(&writer->texts, slice_str(writer->options.pairs[i].value));
        if (writer->pairs[i].key == NULL || writer->pairs[i].value == NULL)
            return -ENOMEM;
    }
    return 0;
}

int parquet_writer_open(int fd, const struct parquet_column *columns, uint32_t column_count,
    const struct parquet_writer_options *options, struct parquet_writer **out_writer,
    struct parquet_error *error)
{
    int err = check_columns(columns, column_count, error);
    if (err < 0)
        return err;
    if (options != NULL &&
        (options->row_group_rows > ROW_GROUP_ROWS_MAX ||
            (options->codec != PARQUET_UNCOMPRESSED && options->codec != PARQUET_SNAPPY &&
                options->codec != PARQUET_ZSTD) ||
            (options->has_sorting_column && options->sorting_column >= column_count)))
        return parquet_fail(error, -EINVAL, "the options of the Parquet writer are wrong");
    struct parquet_writer *writer = calloc(1, sizeof *writer);
    if (writer == NULL)
        return parquet_fail(error, -ENOMEM, "out of memory");
    writer->fd = fd;
    arena_init(&writer->texts, TEXT_BYTES_MAX);
    writer->column_count = column_count;
    err = copy_options(writer, columns, options);
    if (err < 0)
        goto out;
    bytes_out_put(&writer->out, PARQUET_MAGIC, 4);
    err = writer->out.failed ? -ENOMEM : 0;
    if (err < 0)
        goto out;
    *out_writer = writer;
    writer = NULL; /* the caller owns it now */
out:
    parquet_writer_free(writer);
    return err < 0 ? parquet_fail(error, err, "out of memory") : 0;
}

/* One row group of `row_count` rows. */
static int put_row_group(
    struct parquet_writer *writer, const struct parquet_values *values, uint64_t row_count)
{
    uint32_t count = writer->group_count;
    struct group_record *groups = reallocarray(writer->groups, count + 1, sizeof *groups);
    if (groups == NULL)
        return -ENOMEM;
    writer->groups = groups;
    groups[count] = (struct group_record){ .row_count = row_count };
    groups[count].chunks = calloc(writer->column_count, sizeof *groups[count].chunks);
    if (groups[count].chunks == NULL)
        return -ENOMEM;
    writer->group_count = count + 1;
    int err = 0;
    for (uint32_t i = 0; i < writer->column_count && err == 0; i++) {
        err = writer_put_chunk(writer, i, &values[i], row_count, &groups[count].chunks[i]);
        if (err == 0 && writer->out.size >= FLUSH_BYTES)
            err = flush(writer);
    }
    writer->row_count += row_count;
    return err;
}

/* Keeps a copy of rows for later. */
static int hold(struct parquet_writer *writer, const struct parquet_values *values, uint64_t from,
    uint64_t count)
{
    for (uint32_t i = 0; i < writer->column_count; i++) {
        struct held_column *held = &writer->held[i];
        enum parquet_type type = writer->columns[i].type;
        size_t size = format_value_size(type);
        bytes_out_put(
            &held->values, (const uint8_t *)values[i].values + from * size, (size_t)count * size);
        for (uint64_t row = from; type == PARQUET_BYTE_ARRAY && row < from + count; row++) {
            const struct slice *bytes = &((const struct slice *)values[i].values)[row];
            bytes_out_put(&held->heap, bytes->data, bytes->size);
        }
        if (writer->columns[i].optional) {
            uint8_t *valid = bytes_out_room(&held->valid, (size_t)count);
            if (valid != NULL && values[i].valid != NULL)
                memcpy(valid, values[i].valid + from, (size_t)count);
            else if (valid != NULL)
                memset(valid, 1, (size_t)count);
            held->valid.size += valid != NULL ? (size_t)count : 0;
        }
        if (held->values.failed || held->heap.failed || held->valid.failed)
            return -ENOMEM;
    }
    writer->held_rows += count;
    return 0;
}

/* Writes what is held back as a row group. */
static int put_held(struct parquet_writer *writer)
{
    if (writer->held_rows == 0)
        return 0;
    struct parquet_values *values = calloc(writer->column_count, sizeof *values);
    if (values == NULL)
        return -ENOMEM;
    for (uint32_t i = 0; i < writer->column_count; i++) {
        struct held_column *held = &writer->held[i];
        values[i].values = held->values.data;
        values[i].valid = writer->columns[i].optional ? held->valid.data : NULL;
        struct slice *slices = (struct slice *)(void *)held->values.data;
        const uint8_t *at = held->heap.data;
        for (uint64_t row = 0;
             writer->columns[i].type == PARQUET_BYTE_ARRAY && row < writer->held_rows; row++) {
            slices[row].data = at;
            at = slices[row].size > 0 ? at + slices[row].size : at;
        }
        held->values.size = 0;
        held->heap.size = 0;
        held->valid.size = 0;
    }
    int err = put_row_group(writer, values, writer->held_rows);
    writer->held_rows = 0;
    free(values);
    return err;
}

static int check_values(const struct parquet_writer *writer, const struct parquet_values *values,
    uint64_t row_count, struct parquet_error *error)
{
    for (uint32_t i = 0; i < writer->column_count; i++) {
        const struct parquet_column *column = &writer->columns[i];
        const uint8_t *valid = values[i].valid;
        if (!column->optional && valid != NULL && memchr(valid, 0, (size_t)row_count) != NULL)
            return parquet_fail(
                error, -EINVAL, "column '%s' is required and was given a null", column->name);
        const struct slice *slices = values[i].values;
        for (uint64_t row = 0; column->type == PARQUET_BYTE_ARRAY && row < row_count; row++) {
            if (slices[row].size > INT32_MAX / 2)
                return parquet_fail(
                    error, -EINVAL, "column '%s' was given a value that is too long", column->name);
        }
    }
    return 0;
}

static bool is_held_full(const struct parquet_writer *writer)
{
    if (writer->held_rows >= writer->options.row_group_rows)
        return true;
    for (uint32_t i = 0; i < writer->column_count; i++) {
        if (writer->held[i].heap.size >= 64 * MIB)
            return true;
    }
    return false;
}

int parquet_writer_append(struct parquet_writer *writer, const struct parquet_values *columns,
    uint64_t row_count, struct parquet_error *error)
{
    if (writer->failed)
        return parquet_fail(error, -EINVAL, "the Parquet writer has failed before");
    int err = check_values(writer, columns, row_count, error);
    if (err < 0)
        return err;
    /* Bytes are copied in pieces, so that a row group of long ones ends before memory does. */
    uint64_t piece_max = 4096;
    for (uint64_t row = 0; row < row_count && err == 0;) {
        uint64_t room = writer->options.row_group_rows - writer->held_rows;
        uint64_t count = min_u64(min_u64(room, piece_max), row_count - row);
        err = hold(writer, columns, row, count);
        row += count;
        if (err == 0 && is_held_full(writer))
            err = put_held(writer);
    }
    if (err == 0)
        return 0;
    writer->failed = true;
    return parquet_fail(error, err, "cannot write the Parquet file: %s", strerrordesc_np(-err));
}

int parquet_writer_finish(struct parquet_writer *writer, struct parquet_error *error)
{
    if (writer->failed)
        return parquet_fail(error, -EINVAL, "the Parquet writer has failed before");
    writer->failed = true; /* nothing comes after */
    int err = put_held(writer);
    if (err == 0)
        err = writer_put_footer(writer);
    if (err == 0)
        err = flush(writer);
    if (err == 0)
        return 0;
    return parquet_fail(error, err, "cannot write the Parquet file: %s", strerrordesc_np(-err));
}

void parquet_writer_free(struct parquet_writer *writer)
{
    if (writer == NULL)
        return;
    for (uint32_t i = 0; i < writer->column_count && writer->held != NULL; i++) {
        bytes_out_fini(&writer->held[i].values);
        bytes_out_fini(&writer->held[i].heap);
        bytes_out_fini(&writer->held[i].valid);
    }
    for (uint32_t g = 0; g < writer->group_count; g++) {
        for (uint32_t i = 0; i < writer->column_count; i++)
            free(writer->groups[g].chunks[i].pages);
        free(writer->groups[g].chunks);
    }
    free(writer->groups);
    arena_fini(&writer->texts);
    free(writer->columns);
    free(writer->held);
    free(writer->pairs);
    codec_fini(&writer->codec);
    dictionary_fini(&writer->dictionary);
    bytes_out_fini(&writer->present);
    bytes_out_fini(&writer->page);
    bytes_out_fini(&writer->packed);
    bytes_out_fini(&writer->out);
    free(writer);
}
