/*
 * parquet/reader.c - opens a Parquet file: its footer, checked (room: parquet).
 */
#include <stdlib.h>
#include <sys/stat.h>

#include "base/sys.h"
#include "parquet/reader_internal.h"

#define TAIL_BYTES      (64u * 1024)  /* read at once, in the hope that the footer is in it */
#define WHOLE_BYTES_MAX (512u * 1024) /* a file up to this size is read at once */
#define AHEAD_BYTES     (1u << 20)
#define END_BYTES       8u /* length of the footer, magic */

static int reader_fail(
    const struct parquet_reader *reader, int code, const char *why, struct parquet_error *error)
{
    const char *kind = code == -EBADMSG ? "damaged: " : "";
    return parquet_fail(error, code, "%s: %s%s", reader->name, kind, why);
}

/* Reads the end of the file: the whole of a small one. */
static int read_tail(struct parquet_reader *reader, uint64_t size)
{
    uint8_t *tail = malloc((size_t)size);
    if (tail == NULL)
        return -ENOMEM;
    free(reader->tail);
    reader->tail = tail;
    reader->tail_size = (size_t)size;
    reader->tail_offset = reader->size - size;
    return sys_pread_all(reader->fd, tail, (size_t)size, reader->tail_offset);
}

/* The bytes of the footer, which stay in reader->tail. */
static int find_footer(
    struct parquet_reader *reader, struct slice *out_footer, struct parquet_error *error)
{
    struct stat st;
    if (fstat(reader->fd, &st) < 0)
        return reader_fail(reader, -errno, strerrordesc_np(errno), error);
    reader->size = (uint64_t)st.st_size;
    if (!S_ISREG(st.st_mode) || reader->size < 4 + END_BYTES)
        return reader_fail(reader, -EBADMSG, "it is too short for a Parquet file", error);
    int err = read_tail(
        reader, reader->size <= WHOLE_BYTES_MAX ? reader->size : min_u64(TAIL_BYTES, reader->size));
    if (err < 0)
        return reader_fail(reader, err, strerrordesc_np(-err), error);
    const uint8_t *end = reader->tail + reader->tail_size - END_BYTES;
    if (memcmp(end + 4, "PARE", 4) == 0)
        return reader_fail(reader, -ENOTSUP, "its footer is encrypted", error);
    if (memcmp(end + 4, PARQUET_MAGIC, 4) != 0)
        return reader_fail(reader, -EBADMSG, "it does not end as a Parquet file", error);
    uint32_t size;
    memcpy(&size, end, sizeof size);
    if (size > reader->size - 4 - END_BYTES)
        return reader_fail(reader, -EBADMSG, "its footer is longer than the file", error);
    if (size > reader->options.footer_bytes_max)
        return reader_fail(reader, -E2BIG, "its footer is longer than the limit", error);
    if (size > reader->tail_size - END_BYTES) {
        err = read_tail(reader, size + END_BYTES);
        if (err < 0)
            return reader_fail(reader, err, strerrordesc_np(-err), error);
        end = reader->tail + reader->tail_size - END_BYTES;
    }
    reader->data_end = reader->size - END_BYTES - size;
    *out_footer = slice_of(end - size, size);
    return 0;
}

static int open_file(struct parquet_reader *reader, struct parquet_error *error)
{
    struct slice footer = { 0 };
    int err = find_footer(reader, &footer, error);
    if (err < 0)
        return err;
    const char *why = NULL;
    err = format_read_footer(footer, &reader->arena, &reader->meta, &why);
    return err < 0 ? reader_fail(reader, err, why, error) : 0;
}

int parquet_reader_open(int fd, const char *name, const struct parquet_reader_options *options,
    struct parquet_reader **out_reader, struct parquet_error *error)
{
    struct parquet_reader *reader = calloc(1, sizeof *reader);
    if (reader == NULL)
        return parquet_fail(error, -ENOMEM, "%s: out of memory", name);
    if (options != NULL)
        reader->options = *options;
    struct parquet_reader_options *limits = &reader->options;
    limits->footer_bytes_max = limits->footer_bytes_max == 0 ? 64 * MIB : limits->footer_bytes_max;
    limits->page_bytes_max = limits->page_bytes_max == 0 ? 256 * MIB : limits->page_bytes_max;
    limits->page_rows_max = limits->page_rows_max == 0 ? 32u << 20 : limits->page_rows_max;
    reader->fd = fd;
    arena_init(&reader->arena, 1 * MIB + 4 * (size_t)limits->footer_bytes_max);
    reader->name = strdup(name);
    int err = reader->name == NULL ? parquet_fail(error, -ENOMEM, "%s: out of memory", name)
                                   : open_file(reader, error);
    if (err < 0)
        goto out;
    *out_reader = reader;
    reader = NULL; /* the caller owns it now */
out:
    parquet_reader_free(reader);
    return err;
}

void parquet_reader_free(struct parquet_reader *reader)
{
    if (reader == NULL)
        return;
    arena_fini(&reader->arena);
    free(reader->tail);
    free(reader->name);
    free(reader);
}

bool parquet_reader_is_whole(const struct parquet_reader *reader)
{
    return reader->tail_offset == 0;
}

uint32_t parquet_reader_column_count(const struct parquet_reader *reader)
{
    return reader->meta.column_count;
}

const struct parquet_column *parquet_reader_column(
    const struct parquet_reader *reader, uint32_t index)
{
    assert(index < reader->meta.column_count);
    return &reader->meta.columns[index];
}

int parquet_reader_find(const struct parquet_reader *reader, const char *name)
{
    for (uint32_t i = 0; i < reader->meta.column_count; i++) {
        if (strcmp(reader->meta.columns[i].name, name) == 0)
            return (int)i;
    }
    return -ENOENT;
}

uint64_t parquet_reader_row_count(const struct parquet_reader *reader)
{
    return reader->meta.row_count;
}

uint32_t parquet_reader_row_group_count(const struct parquet_reader *reader)
{
    return reader->meta.row_group_count;
}

const char *parquet_reader_metadata(const struct parquet_reader *reader, const char *key)
{
    for (uint32_t i = 0; i < reader->meta.pair_count; i++) {
        if (strcmp(reader->meta.pairs[i].key, key) == 0)
            return reader->meta.pairs[i].value;
    }
    return NULL;
}

bool parquet_reader_int_bounds(
    const struct parquet_reader *reader, uint32_t column, int64_t *out_min, int64_t *out_max)
{
    assert(column < reader->meta.column_count);
    enum parquet_type type = reader->meta.columns[column].type;
    int64_t min = INT64_MAX;
    int64_t max = INT64_MIN;
    for (uint32_t i = 0; i < reader->meta.row_group_count; i++) {
        if (reader->meta.row_groups[i].row_count == 0)
            continue;
        const struct statistics *statistics = &reader->meta.row_groups[i].chunks[column].statistics;
        int64_t group_min;
        int64_t group_max;
        if (!statistics->has_bounds || !format_int_bound(type, statistics->min, &group_min) ||
            !format_int_bound(type, statistics->max, &group_max))
            return false;
        min = group_min < min ? group_min : min;
        max = group_max > max ? group_max : max;
    }
    if (min > max)
        return false;
    *out_min = min;
    *out_max = max;
    return true;
}

int reader_get(const struct parquet_reader *reader, struct window *window, struct span span,
    uint64_t ahead_end, const uint8_t **out_data)
{
    assert(span.offset <= reader->size && span.size <= reader->size - span.offset);
    if (span.offset >= reader->tail_offset) {
        *out_data = reader->tail + (span.offset - reader->tail_offset);
        return 0;
    }
    bool is_there = span.offset >= window->offset && span.offset - window->offset <= window->size &&
                    span.size <= window->size - (span.offset - window->offset);
    if (!is_there) {
        uint64_t ahead = ahead_end > span.offset ? ahead_end - span.offset : 0;
        size_t size = (size_t)max_u64(span.size, min_u64(ahead, AHEAD_BYTES));
        window->size = 0;
        if (size > window->capacity) {
            free(window->data);
            window->data = malloc(size);
            window->capacity = window->data == NULL ? 0 : size;
            if (window->data == NULL)
                return -ENOMEM;
        }
        int err = sys_pread_all(reader->fd, window->data, size, span.offset);
        if (err < 0)
            return err;
        window->offset = span.offset;
        window->size = size;
    }
    *out_data = window->data + (span.offset - window->offset);
    return 0;
}

void *scratch_room(struct scratch *scratch, size_t size)
{
    if (size <= scratch->capacity && scratch->data != NULL)
        return scratch->data;
    free(scratch->data);
    scratch->data = malloc(size + 64);
    scratch->capacity = scratch->data == NULL ? 0 : size + 64;
    return scratch->data;
}
