/*
 * datastore/files/bars.c - the bars of the files backend: append, load, list, compact (room: datastore). Parts:
 * bars.h; the format: docs/formats/bars.md.
 */
#include "datastore/files/bars.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#define COMPACT_PART_COUNT 16u /* so many parts make a partition one for the compactor */

int32_t files_bars_open(struct files_store *store, struct shoal_data_error *error)
{
    struct bars_compactor *compactor = NULL;
    int err = bars_compactor_open(store, &compactor);
    store->bars = compactor;
    return err < 0 ? data_fail_errno(error, err, "Cannot open", BARS_ROOT) : SHOAL_DATA_OK;
}

void files_bars_close(struct files_store *store)
{
    bars_compactor_close(store->bars);
}

/* ---- Append ---- */

/* Writes ascending rows of one period as a part. */
static int32_t append_period(struct files_store *store, const char *path,
    const struct shoal_data_bars *rows, struct shoal_data_error *error)
{
    int dir_fd = files_open_directory(store, path, true);
    if (dir_fd < 0)
        return data_fail_errno(error, dir_fd, "Cannot make the directory", path);
    struct parquet_error why = { 0 };
    size_t part_count = 0;
    int err = bars_part_append(dir_fd, rows, &part_count, &why);
    (void)close(dir_fd); /* read only */
    if (err == -EBUSY)
        return data_fail(error, SHOAL_DATA_BUSY, "%s: compactions go on without end.", path);
    if (err < 0)
        return data_fail_errno(error, err, "Cannot write a part in", path);
    if (part_count >= COMPACT_PART_COUNT)
        bars_compactor_tell(store->bars, path);
    return SHOAL_DATA_OK;
}

/* Cuts ascending rows where periods end. */
static int32_t append_sorted(struct files_store *store, const char *symbol, const char *timeframe,
    const struct shoal_data_bars *bars, struct shoal_data_error *error)
{
    enum bars_period_kind kind = bars_period_kind(timeframe);
    assert(bars->timestamp_ns != NULL);
    uint64_t first = 0;
    while (first < bars->count) {
        struct bars_period period = bars_period_of(kind, bars->timestamp_ns[first]);
        uint64_t end = first + 1;
        while (end < bars->count && bars->timestamp_ns[end] <= period.end_ns)
            end++;
        const struct shoal_data_bars rows = { .count = end - first,
            .timestamp_ns = bars->timestamp_ns + first,
            .open = bars->open + first,
            .high = bars->high + first,
            .low = bars->low + first,
            .close = bars->close + first,
            .volume = bars->volume + first };
        char path[BARS_PATH_SIZE];
        bars_path(path, symbol, timeframe, period.name);
        int32_t status = append_period(store, path, &rows, error);
        if (status != SHOAL_DATA_OK)
            return status;
        first = end;
    }
    return SHOAL_DATA_OK;
}

int32_t files_append_bars(void *backend, const char *symbol, const char *timeframe,
    const struct shoal_data_bars *bars, struct shoal_data_error *error)
{
    if (bars_times_ascend(bars->timestamp_ns, bars->count))
        return append_sorted(backend, symbol, timeframe, bars, error);
    uint64_t *order = NULL;
    uint64_t count = 0;
    struct bars_rows rows = { 0 };
    int err = bars_sorted_order(bars->timestamp_ns, bars->count, &order, &count);
    if (err == 0)
        err = bars_rows_init(&rows, count, SHOAL_DATA_ALL_COLUMNS);
    if (err != 0) {
        free(order);
        return data_fail_errno(error, err, "Cannot sort the bars of", symbol);
    }
    const double *const from[BARS_COLUMN_COUNT] = { bars->open, bars->high, bars->low, bars->close,
        bars->volume };
    for (uint64_t i = 0; i < count; i++) {
        rows.timestamp_ns[i] = bars->timestamp_ns[order[i]];
        for (unsigned c = 0; c < BARS_COLUMN_COUNT; c++)
            rows.columns[c][i] = from[c][order[i]];
    }
    free(order);
    const struct shoal_data_bars sorted = { .count = count,
        .timestamp_ns = rows.timestamp_ns,
        .open = rows.columns[0],
        .high = rows.columns[1],
        .low = rows.columns[2],
        .close = rows.columns[3],
        .volume = rows.columns[4] };
    int32_t status = append_sorted(backend, symbol, timeframe, &sorted, error);
    bars_rows_fini(&rows);
    return status;
}

/* ---- Load ---- */

/* A partition that is being loaded. */
struct loading {
    struct bars_period period;
    char path[BARS_PATH_SIZE];
    struct bars_snapshot snapshot;
};

/* Problems come before there is a frame, whose size they do not know yet. */
struct sentences {
    char **texts;
    size_t count;
};

static int tell(void *context, const char *sentence)
{
    struct sentences *sentences = context;
    char **texts = reallocarray(sentences->texts, sentences->count + 1, sizeof *texts);
    if (texts == NULL)
        return -ENOMEM;
    sentences->texts = texts;
    texts[sentences->count] = strdup(sentence);
    if (texts[sentences->count] == NULL)
        return -ENOMEM;
    sentences->count++;
    return 0;
}

static int compare_loading(const void *left, const void *right)
{
    const struct bars_period *a = &((const struct loading *)left)->period;
    const struct bars_period *b = &((const struct loading *)right)->period;
    return (a->start_ns > b->start_ns) - (a->start_ns < b->start_ns);
}

/* Finds the partitions that can have wanted rows, in order of time. */
static int find_partitions(struct files_store *store, const char *series,
    const struct bars_reading *reading, struct loading **out_list, size_t *out_count)
{
    int dir_fd = files_open_directory(store, series, false);
    if (dir_fd < 0)
        return dir_fd == -ENOENT ? 0 : dir_fd;
    struct bars_names names = { 0 };
    int err = bars_names_read(dir_fd, "period=", &names);
    (void)close(dir_fd); /* read only */
    struct loading *list = err < 0 ? NULL : calloc(names.count + 1, sizeof *list);
    if (err == 0 && list == NULL)
        err = -ENOMEM;
    size_t count = 0;
    for (size_t i = 0; err == 0 && i < names.count; i++) {
        struct loading *partition = &list[count];
        if (bars_period_parse(names.names[i] + strlen("period="), &partition->period) < 0 ||
            partition->period.end_ns < reading->from_ns ||
            partition->period.start_ns > reading->to_ns)
            continue;
        err = bars_path_join(partition->path, series, names.names[i]);
        count++;
    }
    if (count > 1)
        qsort(list, count, sizeof *list, compare_loading);
    bars_names_fini(&names);
    *out_list = list;
    *out_count = count;
    return err;
}

/* Opens the parts of all partitions; *out_rows is how many rows they have at most. */
static int open_partitions(struct files_store *store, struct bars_reading *reading,
    struct loading *list, size_t count, uint64_t *out_rows)
{
    uint64_t rows = 0;
    for (size_t i = 0; i < count; i++) {
        int dir_fd = files_open_directory(store, list[i].path, false);
        if (dir_fd == -ENOENT)
            continue; /* cleaned away */
        if (dir_fd < 0)
            return dir_fd;
        reading->path = list[i].path;
        int err = bars_snapshot_open(dir_fd, reading, &list[i].snapshot);
        (void)close(dir_fd); /* read only */
        if (err < 0)
            return err;
        rows += list[i].snapshot.row_count;
    }
    *out_rows = rows;
    return 0;
}

static int read_partitions(struct bars_reading *reading, struct loading *list, size_t count,
    struct shoal_data_frame *frame)
{
    struct bars_rows rows = { .timestamp_ns = data_frame_timestamps(frame) };
    for (unsigned c = 0; c < BARS_COLUMN_COUNT; c++)
        rows.columns[c] = data_frame_column(frame, c);
    int err = 0;
    for (size_t i = 0; i < count && err == 0; i++) {
        reading->path = list[i].path;
        err = bars_snapshot_read(&list[i].snapshot, reading, &rows);
    }
    data_frame_set_count(frame, rows.count);
    return err;
}

/* Its parameters are the interface's. NOLINTNEXTLINE(readability-function-size) */
int32_t files_load_bars(void *backend, const char *symbol, const char *timeframe, int64_t from_ns,
    int64_t to_ns, uint32_t columns, struct shoal_data_frame **out_frame,
    struct shoal_data_error *error)
{
    struct sentences sentences = { 0 };
    struct bars_reading reading = {
        .from_ns = from_ns,
        .to_ns = to_ns == INT64_MAX ? INT64_MAX : to_ns - (to_ns != INT64_MIN),
        .columns = columns,
        .tell = tell,
        .tell_context = &sentences,
    };
    char series[BARS_PATH_SIZE];
    bars_path(series, symbol, timeframe, NULL);
    struct loading *list = NULL;
    struct shoal_data_frame *frame = NULL;
    size_t count = 0;
    uint64_t row_count = 0;
    int err = 0;
    if (from_ns < to_ns || to_ns == INT64_MAX)
        err = find_partitions(backend, series, &reading, &list, &count);
    if (err == 0)
        err = open_partitions(backend, &reading, list, count, &row_count);
    if (err == 0) {
        frame = data_frame_new(row_count, columns);
        err = frame == NULL ? -ENOMEM : read_partitions(&reading, list, count, frame);
    }
    for (size_t i = 0; i < sentences.count; i++) {
        if (err == 0)
            err = data_frame_add_problem(frame, "%s", sentences.texts[i]);
        free(sentences.texts[i]);
    }
    for (size_t i = 0; i < count; i++)
        bars_snapshot_close(&list[i].snapshot);
    free(sentences.texts);
    free(list);
    if (err < 0) {
        shoal_data_frame_free(frame);
        if (err == -EBUSY)
            return data_fail(error, SHOAL_DATA_BUSY, "%s: compactions go on without end.", series);
        return data_fail_errno(error, err, "Cannot read", series);
    }
    *out_frame = frame;
    return data_frame_status(frame, error);
}

/* ---- Series ---- */

/* Calls `visit` for each directory "KEY=VALUE" of `path`, with its unescaped value and its path. */
struct series_walk {
    struct files_store *store;
    const char *timeframe; /* NULL: any */
    int (*visit)(void *context, const char *symbol, const char *timeframe, const char *path);
    void *context;
};

static int walk_timeframes(const struct series_walk *walk, const char *entry, const char *symbol)
{
    char path[BARS_PATH_SIZE];
    struct bars_names names = { 0 };
    int err = bars_path_join(path, BARS_ROOT, entry);
    int dir_fd = err < 0 ? err : files_open_directory(walk->store, path, false);
    if (dir_fd < 0)
        return dir_fd == -ENOENT || dir_fd == -ENOTDIR || dir_fd == -ELOOP ? 0 : dir_fd;
    err = bars_names_read(dir_fd, "timeframe=", &names);
    (void)close(dir_fd); /* read only */
    for (size_t i = 0; i < names.count && err == 0; i++) {
        char timeframe[DATA_NAME_SIZE_MAX + 1];
        if (bars_path_value(names.names[i], "timeframe", timeframe) < 0 ||
            (walk->timeframe != NULL && strcmp(walk->timeframe, timeframe) != 0))
            continue;
        char series[BARS_PATH_SIZE];
        err = bars_path_join(series, path, names.names[i]);
        if (err == 0)
            err = walk->visit(walk->context, symbol, timeframe, series);
    }
    bars_names_fini(&names);
    return err;
}

static int walk_series(const struct series_walk *walk)
{
    struct bars_names names = { 0 };
    int dir_fd = files_open_directory(walk->store, BARS_ROOT, false);
    if (dir_fd < 0)
        return dir_fd == -ENOENT ? 0 : dir_fd;
    int err = bars_names_read(dir_fd, "symbol=", &names);
    (void)close(dir_fd); /* read only */
    for (size_t i = 0; i < names.count && err == 0; i++) {
        char symbol[DATA_NAME_SIZE_MAX + 1];
        if (bars_path_value(names.names[i], "symbol", symbol) == 0)
            err = walk_timeframes(walk, names.names[i], symbol);
    }
    bars_names_fini(&names);
    return err;
}

static int list_one(void *context, const char *symbol, const char *timeframe, const char *path)
{
    char id[DATA_ID_SIZE_MAX];
    (void)path;
    (void)snprintf(id, sizeof id, "%s %s", symbol, timeframe);
    const struct shoal_data_item item = {
        .id = id, .name = "", .symbol = symbol, .timeframe = timeframe, .generation = -1
    };
    return data_list_add(context, &item);
}

static int compare_series(const void *left, const void *right)
{
    const struct shoal_data_item *a = left;
    const struct shoal_data_item *b = right;
    int order = strcmp(a->symbol, b->symbol);
    return order != 0 ? order : strcmp(a->timeframe, b->timeframe);
}

int32_t files_list_series(void *backend, const char *timeframe, struct shoal_data_list **out_list,
    struct shoal_data_error *error)
{
    struct shoal_data_list *list = data_list_new();
    if (list == NULL)
        return data_fail_errno(error, -ENOMEM, "Cannot list", BARS_ROOT);
    const struct series_walk walk = {
        .store = backend, .timeframe = timeframe, .visit = list_one, .context = list
    };
    int err = walk_series(&walk);
    if (err < 0) {
        shoal_data_list_free(list);
        return data_fail_errno(error, err, "Cannot list", BARS_ROOT);
    }
    data_list_sort(list, compare_series);
    *out_list = list;
    return SHOAL_DATA_OK;
}

/* ---- Compaction ---- */

struct compacting {
    struct files_store *store;
    const char *symbol;
    struct shoal_data_compaction report;
    struct shoal_data_error *error;
};

static int compact_partition(struct compacting *compacting, const char *series, const char *entry)
{
    char path[BARS_PATH_SIZE];
    int err = bars_path_join(path, series, entry);
    int dir_fd = err < 0 ? err : files_open_directory(compacting->store, path, false);
    if (dir_fd < 0)
        return dir_fd == -ENOENT ? 0 : dir_fd;
    struct shoal_data_error why = { 0 };
    err = bars_compact_partition(dir_fd, path, true, &compacting->report, &why);
    (void)close(dir_fd); /* read only */
    if (err == -EBUSY || err == 0)
        return 0; /* -EBUSY: somebody else is doing it */
    if (compacting->error->status == SHOAL_DATA_OK)
        *compacting->error = why; /* the first is told; the others are compacted all the same */
    return 0;
}

static int compact_one(void *context, const char *symbol, const char *timeframe, const char *path)
{
    struct compacting *compacting = context;
    struct bars_names names = { 0 };
    (void)timeframe;
    if (compacting->symbol != NULL && strcmp(compacting->symbol, symbol) != 0)
        return 0;
    int dir_fd = files_open_directory(compacting->store, path, false);
    if (dir_fd < 0)
        return dir_fd == -ENOENT ? 0 : dir_fd;
    int err = bars_names_read(dir_fd, "period=", &names);
    (void)close(dir_fd); /* read only */
    compacting->report.series++;
    for (size_t i = 0; i < names.count && err == 0; i++)
        err = compact_partition(compacting, path, names.names[i]);
    bars_names_fini(&names);
    return err;
}

int32_t files_compact_bars(void *backend, const char *symbol, const char *timeframe,
    struct shoal_data_compaction *out_report, struct shoal_data_error *error)
{
    struct shoal_data_error why = { 0 };
    struct compacting compacting = { .store = backend, .symbol = symbol, .error = &why };
    const struct series_walk walk = {
        .store = backend, .timeframe = timeframe, .visit = compact_one, .context = &compacting
    };
    int err = walk_series(&walk);
    *out_report = compacting.report;
    if (err < 0)
        return data_fail_errno(error, err, "Cannot compact", BARS_ROOT);
    if (why.status != SHOAL_DATA_OK)
        return data_fail(error, why.status, "%s", why.message);
    return SHOAL_DATA_OK;
}
