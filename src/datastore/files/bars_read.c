/*
 * datastore/files/bars_read.c - reads the parts of a partition as they are at one moment, and merges them (room: datastore).
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "datastore/files/bars.h"

#define ROWS_MAX (UINT64_C(1) << 27) /* of one part: room for them is taken before they are read */

const char *const bars_column_names[BARS_COLUMN_COUNT] = { "open", "high", "low", "close",
    "volume" };

static int open_part(int dir_fd, const char *path, const char *name, struct bars_open_part *part)
{
    char full[BARS_PATH_SIZE + BARS_PART_SIZE];
    (void)snprintf(full, sizeof full, "%s/%s", path, name);
    part->fd = sys_openat(dir_fd, name, O_RDONLY | O_NOFOLLOW, 0);
    if (part->fd < 0) {
        (void)snprintf(part->error.message, sizeof part->error.message, "%.300s: %.60s", full,
            strerrordesc_np(-part->fd));
        return part->fd;
    }
    int err = parquet_reader_open(part->fd, full, NULL, &part->reader, &part->error);
    if (err == 0 && parquet_reader_row_count(part->reader) > ROWS_MAX) {
        (void)snprintf(part->error.message, sizeof part->error.message,
            "%.300s: it has more rows than the limit", full);
        parquet_reader_free(part->reader);
        part->reader = NULL;
        err = -E2BIG;
    }
    if (err < 0 || parquet_reader_is_whole(part->reader)) {
        (void)close(part->fd); /* read only */
        part->fd = -1;
    }
    return err;
}

static void close_parts(struct bars_snapshot *snapshot)
{
    for (size_t i = 0; snapshot->open != NULL && i < snapshot->parts.count; i++) {
        parquet_reader_free(snapshot->open[i].reader);
        if (snapshot->open[i].fd >= 0)
            (void)close(snapshot->open[i].fd); /* read only */
    }
    free(snapshot->open);
    bars_parts_fini(&snapshot->parts);
    *snapshot = (struct bars_snapshot){ 0 };
}

/* One try. 1: a compaction came between. */
static int try_open(int dir_fd, const char *path, struct bars_snapshot *snapshot)
{
    int err = bars_parts_list(dir_fd, &snapshot->parts);
    if (err < 0)
        return err;
    snapshot->open = calloc(snapshot->parts.count + 1, sizeof *snapshot->open);
    if (snapshot->open == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < snapshot->parts.count; i++)
        snapshot->open[i].fd = -1;
    for (size_t i = 0; i < snapshot->parts.count; i++) {
        struct bars_open_part *part = &snapshot->open[i];
        err = open_part(dir_fd, path, snapshot->parts.parts[i].name, part);
        if (err == -ENOENT || err == -ESTALE)
            return 1;
        if (err == -ENOMEM || err == -EMFILE || err == -ENFILE)
            return err;
        if (part->reader != NULL)
            snapshot->row_count += parquet_reader_row_count(part->reader);
    }
    struct bars_parts again = { 0 };
    err = bars_parts_list(dir_fd, &again);
    if (err == 0)
        err = bars_parts_are_outdated(&snapshot->parts, &again);
    bars_parts_fini(&again);
    return err;
}

int bars_snapshot_open(
    int dir_fd, const struct bars_reading *reading, struct bars_snapshot *out_snapshot)
{
    int err = 1;
    for (unsigned i = 0; i < BARS_RETRY_MAX && err == 1; i++) {
        struct bars_snapshot snapshot = { 0 };
        err = try_open(dir_fd, reading->path, &snapshot);
        if (err != 0) {
            close_parts(&snapshot);
            continue;
        }
        for (size_t p = 0; p < snapshot.parts.count && err == 0; p++) {
            if (snapshot.open[p].reader == NULL)
                err = reading->tell(reading->tell_context, snapshot.open[p].error.message);
        }
        if (err < 0)
            close_parts(&snapshot);
        else
            *out_snapshot = snapshot;
    }
    return err == 1 ? -EBUSY : err;
}

void bars_snapshot_close(struct bars_snapshot *snapshot)
{
    close_parts(snapshot);
}

/* What is read of a part. */
struct wanted {
    uint32_t columns[1 + BARS_COLUMN_COUNT]; /* of the file: the time first */
    unsigned targets[1 + BARS_COLUMN_COUNT]; /* which column of the rows; [0] is not used */
    uint32_t count;
    int64_t unit_ns;
};

/* Finds the columns. Gives NULL, or what is wrong with the schema. */
static const char *find_columns(
    const struct parquet_reader *reader, uint32_t columns, struct wanted *out_wanted)
{
    struct wanted wanted = { .count = 1 };
    int index = parquet_reader_find(reader, "timestamp");
    if (index < 0)
        return "there is no column 'timestamp'";
    const struct parquet_column *time = parquet_reader_column(reader, (uint32_t)index);
    wanted.columns[0] = (uint32_t)index;
    wanted.unit_ns = time->logical == PARQUET_TIMESTAMP_NS   ? 1
                     : time->logical == PARQUET_TIMESTAMP_US ? 1000
                     : time->logical == PARQUET_TIMESTAMP_MS ? 1000000
                                                             : 0;
    if (wanted.unit_ns == 0)
        return "the column 'timestamp' is not of timestamps";
    for (unsigned c = 0; c < BARS_COLUMN_COUNT; c++) {
        if ((columns & (1u << c)) == 0)
            continue;
        index = parquet_reader_find(reader, bars_column_names[c]);
        if (index < 0)
            return "a column of open, high, low, close, volume is missing";
        if (parquet_reader_column(reader, (uint32_t)index)->type != PARQUET_DOUBLE)
            return "a column of open, high, low, close, volume is not of type DOUBLE";
        wanted.columns[wanted.count] = (uint32_t)index;
        wanted.targets[wanted.count++] = c;
    }
    *out_wanted = wanted;
    return NULL;
}

/* Adds one row of a batch, if its time is wanted. */
static void take_row(const struct wanted *wanted, const struct bars_reading *reading,
    const struct parquet_batch *batch, uint32_t row, struct bars_rows *rows)
{
    int64_t time = ((const int64_t *)batch->columns[0].values)[row];
    const uint8_t *valid = batch->columns[0].valid;
    if ((valid != NULL && valid[row] == 0) ||
        __builtin_mul_overflow(time, wanted->unit_ns, &time) || time < reading->from_ns ||
        time > reading->to_ns)
        return;
    rows->timestamp_ns[rows->count] = time;
    for (uint32_t i = 1; i < wanted->count; i++) {
        const struct parquet_values *column = &batch->columns[i];
        bool is_null = column->valid != NULL && column->valid[row] == 0;
        rows->columns[wanted->targets[i]][rows->count] =
            is_null ? NAN : ((const double *)column->values)[row];
    }
    rows->count++;
}

/* Adds the rows of a batch whose time is wanted. */
static void take_batch(const struct wanted *wanted, const struct bars_reading *reading,
    const struct parquet_batch *batch, struct bars_rows *rows)
{
    const int64_t *times = batch->columns[0].values;
    bool is_plain = wanted->unit_ns == 1 && bars_times_ascend(times, batch->row_count);
    for (uint32_t i = 0; i < wanted->count; i++)
        is_plain = is_plain && batch->columns[i].valid == NULL;
    if (!is_plain) { /* a file of somebody else */
        for (uint32_t row = 0; row < batch->row_count; row++)
            take_row(wanted, reading, batch, row, rows);
        return;
    }
    uint32_t first = 0;
    uint32_t end = batch->row_count;
    while (first < end && times[first] < reading->from_ns)
        first++;
    while (end > first && times[end - 1] > reading->to_ns)
        end--;
    size_t size = (size_t)(end - first) * 8;
    memcpy(rows->timestamp_ns + rows->count, times + first, size);
    for (uint32_t i = 1; i < wanted->count; i++)
        memcpy(rows->columns[wanted->targets[i]] + rows->count,
            (const double *)batch->columns[i].values + first, size);
    rows->count += end - first;
}

/* Adds the wanted rows of one part. */
static int read_part(const struct bars_reading *reading, const char *name,
    const struct parquet_reader *reader, struct bars_rows *rows)
{
    struct wanted wanted = { 0 };
    struct parquet_error error = { 0 };
    const char *why = find_columns(reader, reading->columns, &wanted);
    if (why != NULL) {
        (void)snprintf(
            error.message, sizeof error.message, "%.200s/%.100s: %.90s", reading->path, name, why);
        return reading->tell(reading->tell_context, error.message);
    }
    struct parquet_scan_options options = {
        .columns = wanted.columns,
        .column_count = wanted.count,
        .has_range = wanted.unit_ns == 1,
        .range_column = wanted.columns[0],
        .range_min = reading->from_ns,
        .range_max = reading->to_ns,
    };
    struct bars_rows part = bars_rows_behind(rows);
    struct parquet_scan *scan = NULL;
    struct parquet_batch batch;
    int err = parquet_scan_open(reader, &options, &scan, &error);
    while (err >= 0 && (err = parquet_scan_next(scan, &batch, &error)) > 0)
        take_batch(&wanted, reading, &batch, &part);
    parquet_scan_free(scan);
    if (err == -ENOMEM)
        return err;
    if (err <
        0) /* nothing of a damaged part is given: half a correction would be worse than none */
        return reading->tell(reading->tell_context, error.message);
    err = bars_rows_sort(&part);
    rows->count += part.count;
    return err;
}

/* Times of a part, by its statistics. False: not known. */
static bool part_bounds(const struct parquet_reader *reader, int64_t *out_min, int64_t *out_max)
{
    int index = parquet_reader_find(reader, "timestamp");
    if (index < 0)
        return false;
    const struct parquet_column *column = parquet_reader_column(reader, (uint32_t)index);
    return column->logical == PARQUET_TIMESTAMP_NS &&
           parquet_reader_int_bounds(reader, (uint32_t)index, out_min, out_max);
}

/* The parts that can have wanted rows. */
struct chosen {
    size_t index; /* of the snapshot */
    int64_t min;
    int64_t max;
};

static int compare_chosen(const void *left, const void *right)
{
    const struct chosen *a = left;
    const struct chosen *b = right;
    return (a->min > b->min) - (a->min < b->min);
}

static size_t choose(const struct bars_snapshot *snapshot, const struct bars_reading *reading,
    struct chosen *chosen, bool *out_all_known)
{
    size_t count = 0;
    *out_all_known = true;
    for (size_t i = 0; i < snapshot->parts.count; i++) {
        const struct parquet_reader *reader = snapshot->open[i].reader;
        struct chosen part = { .index = i };
        if (reader == NULL || parquet_reader_row_count(reader) == 0)
            continue;
        bool is_known = part_bounds(reader, &part.min, &part.max);
        if (is_known && (part.max < reading->from_ns || part.min > reading->to_ns))
            continue;
        *out_all_known = *out_all_known && is_known;
        chosen[count++] = part;
    }
    return count;
}

/* When no two parts share a moment, they are put one behind the other. True: chosen[] is in that order. */
static bool sort_apart(struct chosen *chosen, size_t count)
{
    struct chosen *sorted = malloc((count + 1) * sizeof *sorted);
    if (sorted == NULL)
        return false;
    memcpy(sorted, chosen, count * sizeof *sorted);
    if (count > 1)
        qsort(sorted, count, sizeof *sorted, compare_chosen);
    bool are_apart = true;
    for (size_t i = 1; i < count; i++)
        are_apart = are_apart && sorted[i - 1].max < sorted[i].min;
    if (are_apart)
        memcpy(chosen, sorted, count * sizeof *sorted);
    free(sorted);
    return are_apart;
}

/* Merges neighbours, the right one being newer, until one is left, which goes to `out_rows`. Takes the runs. */
static int merge_runs(
    struct bars_rows *runs, size_t count, uint32_t columns, struct bars_rows *out_rows)
{
    while (count > 2) {
        size_t kept = 0;
        for (size_t i = 0; i < count; i += 2) {
            struct bars_rows merged = runs[i];
            if (i + 1 < count) {
                int err = bars_rows_init(&merged, runs[i].count + runs[i + 1].count, columns);
                if (err < 0)
                    return err;
                bars_rows_merge(&merged, &runs[i], &runs[i + 1]);
                bars_rows_fini(&runs[i]);
                bars_rows_fini(&runs[i + 1]);
            }
            runs[i] = (struct bars_rows){ 0 };
            runs[kept++] = merged;
        }
        count = kept;
    }
    struct bars_rows target = bars_rows_behind(out_rows);
    static const struct bars_rows none;
    bars_rows_merge(&target, count > 0 ? &runs[0] : &none, count > 1 ? &runs[1] : &none);
    out_rows->count += target.count;
    return 0;
}

static int read_and_merge(const struct bars_snapshot *snapshot, const struct bars_reading *reading,
    const struct chosen *chosen, size_t count, struct bars_rows *out_rows)
{
    struct bars_rows *runs = calloc(count + 1, sizeof *runs);
    if (runs == NULL)
        return -ENOMEM;
    int err = 0;
    for (size_t i = 0; i < count && err == 0; i++) {
        const struct parquet_reader *reader = snapshot->open[chosen[i].index].reader;
        err = bars_rows_init(&runs[i], parquet_reader_row_count(reader), reading->columns);
        if (err == 0)
            err = read_part(reading, snapshot->parts.parts[chosen[i].index].name, reader, &runs[i]);
    }
    if (err == 0)
        err = merge_runs(runs, count, reading->columns, out_rows);
    for (size_t i = 0; i < count; i++)
        bars_rows_fini(&runs[i]);
    free(runs);
    return err;
}

int bars_snapshot_read(
    struct bars_snapshot *snapshot, const struct bars_reading *reading, struct bars_rows *out_rows)
{
    struct chosen *chosen = calloc(snapshot->parts.count + 1, sizeof *chosen);
    if (chosen == NULL)
        return -ENOMEM;
    bool all_known;
    size_t count = choose(snapshot, reading, chosen, &all_known);
    int err = 0;
    if (count <= 1 || (all_known && sort_apart(chosen, count))) {
        for (size_t i = 0; i < count && err == 0; i++)
            err = read_part(reading, snapshot->parts.parts[chosen[i].index].name,
                snapshot->open[chosen[i].index].reader, out_rows);
    } else {
        err = read_and_merge(snapshot, reading, chosen, count, out_rows);
    }
    free(chosen);
    return err;
}
