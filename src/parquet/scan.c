/*
 * parquet/scan.c - which rows are read, and batches of them (room: parquet).
 * Row groups are left out by their statistics, pages by the column index; what is left is a list of row ranges of the
 * row group, and the columns are read along it together.
 */
#include <stdlib.h>

#include "parquet/reader_internal.h"

#define INDEX_BYTES_MAX (64u << 20) /* of the page index of one column chunk */

/* Rows [first, end) of a row group. */
struct range {
    uint64_t first;
    uint64_t end;
};

struct parquet_scan {
    const struct parquet_reader *reader;
    struct parquet_scan_options options;
    uint32_t column_count;
    struct column *columns;
    struct column_shared shared;
    struct parquet_values *values;
    uint32_t next_group;
    /* The row group that is read. */
    bool has_group;
    struct arena arena; /* its page index */
    struct range *ranges;
    uint32_t range_count;
    uint32_t range_at;
    uint64_t row; /* the next one */
    bool failed;
};

int parquet_scan_open(const struct parquet_reader *reader,
    const struct parquet_scan_options *options, struct parquet_scan **out_scan,
    struct parquet_error *error)
{
    static const struct parquet_scan_options all;
    options = options == NULL ? &all : options;
    uint32_t known = reader->meta.column_count;
    uint32_t count = options->columns == NULL ? known : options->column_count;
    struct parquet_scan *scan = calloc(1, sizeof *scan);
    if (scan == NULL)
        return parquet_fail(error, -ENOMEM, "%s: out of memory", reader->name);
    scan->reader = reader;
    scan->options = *options;
    arena_init(&scan->arena, 4 * (size_t)INDEX_BYTES_MAX);
    scan->columns = calloc((size_t)count + 1, sizeof *scan->columns);
    scan->values = calloc((size_t)count + 1, sizeof *scan->values);
    int err = -ENOMEM;
    if (scan->columns == NULL || scan->values == NULL) {
        (void)parquet_fail(error, err, "%s: out of memory", reader->name);
        goto out;
    }
    err = 0;
    for (uint32_t i = 0; i < count && err == 0; i++) {
        uint32_t index = options->columns == NULL ? i : options->columns[i];
        scan->columns[i] =
            (struct column){ .reader = reader, .index = index, .shared = &scan->shared };
        if (index >= known)
            err = parquet_fail(error, -EINVAL, "%s: there is no column %u", reader->name, index);
        else if (reader->meta.columns[index].type == PARQUET_OTHER)
            err = parquet_fail(error, -ENOTSUP,
                "%s: column '%.100s' is nested, or of a type that is not supported", reader->name,
                reader->meta.columns[index].name);
        else
            scan->column_count = i + 1;
    }
    if (err == 0 && options->has_range &&
        (options->range_column >= known ||
            (reader->meta.columns[options->range_column].type != PARQUET_INT32 &&
                reader->meta.columns[options->range_column].type != PARQUET_INT64)))
        err = parquet_fail(
            error, -EINVAL, "%s: the column of the range is not of integers", reader->name);
    if (err < 0)
        goto out;
    *out_scan = scan;
    scan = NULL; /* the caller owns it now */
out:
    parquet_scan_free(scan);
    return err;
}

void parquet_scan_free(struct parquet_scan *scan)
{
    if (scan == NULL)
        return;
    for (uint32_t i = 0; i < scan->column_count; i++)
        column_fini(&scan->columns[i]);
    column_shared_fini(&scan->shared);
    free(scan->columns);
    free(scan->values);
    arena_fini(&scan->arena);
    free(scan);
}

/* Can these bounds, of the column of the range, hold a value in it? Not known: yes. */
static bool may_match(const struct parquet_scan *scan, const struct statistics *statistics)
{
    enum parquet_type type = scan->reader->meta.columns[scan->options.range_column].type;
    int64_t min;
    int64_t max;
    if (!format_int_bound(type, statistics->min, &min) ||
        !format_int_bound(type, statistics->max, &max))
        return true;
    return min <= scan->options.range_max && max >= scan->options.range_min;
}

/* Reads a part of the page index. 0: it is there; 1: there is none that can be used. */
static int read_index(
    struct parquet_scan *scan, uint64_t offset, uint32_t size, struct slice *out_bytes)
{
    const struct parquet_reader *reader = scan->reader;
    if (size == 0 || size > INDEX_BYTES_MAX || offset > reader->data_end ||
        size > reader->data_end - offset)
        return 1;
    /* What it points to must last, so it is copied out of the window. */
    struct window window = { 0 };
    const uint8_t *data = NULL;
    int err = reader_get(reader, &window, (struct span){ offset, size }, 0, &data);
    uint8_t *copy = err == 0 ? arena_copy(&scan->arena, slice_of(data, size)) : NULL;
    free(window.data);
    if (err < 0)
        return err;
    *out_bytes = slice_of(copy, size);
    return copy == NULL ? 1 : 0;
}

/* The places of a column's pages; none when there is no offset index. A damaged one is an error: it is named. */
static int read_locations(
    struct parquet_scan *scan, struct column *column, uint32_t group, struct parquet_error *error)
{
    const struct row_group *row_group = &scan->reader->meta.row_groups[group];
    const struct chunk *chunk = &row_group->chunks[column->index];
    struct page_location *locations = NULL;
    uint32_t count = 0;
    struct slice bytes = { 0 };
    column->group = group;
    int err = read_index(scan, chunk->offset_index_offset, chunk->offset_index_size, &bytes);
    if (err < 0)
        return column_fail(column, err, -1, strerrordesc_np(-err), error);
    const char *why = NULL;
    if (err == 0)
        err = format_read_offset_index(bytes, &scan->arena, &locations, &count, &why);
    if (err < 0)
        return column_fail(column, err, -1, why, error);
    if (count > 0 && locations[count - 1].row >= row_group->row_count)
        return column_fail(
            column, -EBADMSG, -1, "the offset index has more rows than the row group", error);
    return column_start(column, group, count > 0 ? locations : NULL, count, error);
}

/* All rows of the row group. */
static int range_of_all(struct parquet_scan *scan, uint64_t row_count)
{
    scan->ranges = arena_alloc(&scan->arena, sizeof *scan->ranges);
    if (scan->ranges == NULL)
        return -ENOMEM;
    scan->ranges[0] = (struct range){ 0, row_count };
    scan->range_count = row_count > 0 ? 1 : 0;
    return 0;
}

/* The rows of the pages that can hold a value in the range. 1: the row group has no page index. */
static int ranges_by_index(struct parquet_scan *scan, uint32_t group, struct parquet_error *error)
{
    const struct row_group *row_group = &scan->reader->meta.row_groups[group];
    const struct chunk *chunk = &row_group->chunks[scan->options.range_column];
    struct column column = { .reader = scan->reader, .index = scan->options.range_column };
    struct slice bytes = { 0 };
    int err = chunk->offset_index_size == 0
                  ? 1
                  : read_index(scan, chunk->column_index_offset, chunk->column_index_size, &bytes);
    if (err > 0)
        return 1;
    if (err == 0)
        err = read_locations(scan, &column, group, error);
    else
        err = column_fail(&column, err, -1, strerrordesc_np(-err), error);
    if (err < 0)
        return err;
    struct statistics *pages = NULL;
    uint32_t count = 0;
    const char *why = NULL;
    err = format_read_column_index(bytes, &scan->arena, &pages, &count, &why);
    const struct page_location *locations = column.locations;
    if (err == 0 && (count != column.location_count || locations == NULL || pages == NULL)) {
        err = -EBADMSG;
        why = "the two parts of the page index do not agree";
    }
    if (err != 0)
        return column_fail(&column, err, -1, why, error);
    scan->ranges = arena_calloc(&scan->arena, (size_t)count + 1, sizeof *scan->ranges);
    if (scan->ranges == NULL)
        return column_fail(&column, -ENOMEM, -1, "out of memory", error);
    for (uint32_t i = 0; i < count; i++) {
        if (!pages[i].has_bounds || !may_match(scan, &pages[i]))
            continue;
        uint64_t first = locations[i].row;
        uint64_t end = i + 1 < count ? locations[i + 1].row : row_group->row_count;
        if (scan->range_count > 0 && scan->ranges[scan->range_count - 1].end == first)
            scan->ranges[scan->range_count - 1].end = end;
        else
            scan->ranges[scan->range_count++] = (struct range){ first, end };
    }
    return 0;
}

/* Begins the next row group that can hold a wanted row. 0: there is none. */
static int start_group(struct parquet_scan *scan, struct parquet_error *error)
{
    const struct file_meta *meta = &scan->reader->meta;
    while (scan->next_group < meta->row_group_count) {
        uint32_t group = scan->next_group++;
        const struct row_group *row_group = &meta->row_groups[group];
        bool has_range = scan->options.has_range;
        if (row_group->row_count == 0)
            continue;
        const struct statistics *statistics =
            has_range ? &row_group->chunks[scan->options.range_column].statistics : NULL;
        if (has_range && statistics->has_bounds && !may_match(scan, statistics))
            continue;
        arena_reset(&scan->arena);
        scan->range_count = 0;
        scan->range_at = 0;
        int is_whole = has_range ? ranges_by_index(scan, group, error) : 1;
        if (is_whole < 0)
            return is_whole;
        if (is_whole > 0 && range_of_all(scan, row_group->row_count) < 0)
            return parquet_fail(error, -ENOMEM, "%s: out of memory", scan->reader->name);
        if (scan->range_count == 0)
            continue;
        bool is_all = scan->ranges[0].first == 0 && scan->ranges[0].end == row_group->row_count;
        for (uint32_t i = 0; i < scan->column_count; i++) {
            int err = is_all ? column_start(&scan->columns[i], group, NULL, 0, error)
                             : read_locations(scan, &scan->columns[i], group, error);
            if (err < 0)
                return err;
        }
        scan->row = scan->ranges[0].first;
        scan->has_group = true;
        return 1;
    }
    return 0;
}

/* The rows from scan->row on that every column has in its current page. */
static int fill_batch(
    struct parquet_scan *scan, struct parquet_batch *out_batch, struct parquet_error *error)
{
    uint64_t count = scan->ranges[scan->range_at].end - scan->row;
    count = min_u64(count, UINT32_MAX);
    for (uint32_t i = 0; i < scan->column_count; i++) {
        struct column *column = &scan->columns[i];
        int err = column_seek(column, scan->row, error);
        if (err < 0)
            return err;
        uint64_t skip = scan->row - column->row;
        enum parquet_type type = scan->reader->meta.columns[column->index].type;
        count = min_u64(count, column->row_count - skip);
        scan->values[i].values =
            (const uint8_t *)column->values + (size_t)skip * format_value_size(type);
        scan->values[i].valid = column->valid == NULL ? NULL : column->valid + skip;
    }
    uint64_t group_row = scan->reader->meta.row_groups[scan->next_group - 1].row;
    *out_batch = (struct parquet_batch){
        .row = group_row + scan->row,
        .row_count = (uint32_t)count,
        .columns = scan->values,
    };
    scan->row += count;
    return 1;
}

int parquet_scan_next(
    struct parquet_scan *scan, struct parquet_batch *out_batch, struct parquet_error *error)
{
    if (scan->failed)
        return parquet_fail(error, -EINVAL, "%s: the scan has failed before", scan->reader->name);
    int status = 1;
    if (scan->has_group && scan->row == scan->ranges[scan->range_at].end) {
        scan->range_at++;
        scan->has_group = scan->range_at < scan->range_count;
        if (scan->has_group)
            scan->row = scan->ranges[scan->range_at].first;
    }
    if (!scan->has_group)
        status = start_group(scan, error);
    if (status > 0)
        status = fill_batch(scan, out_batch, error);
    scan->failed = status < 0;
    return status;
}
