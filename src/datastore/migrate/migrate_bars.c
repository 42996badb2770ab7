/*
 * datastore/migrate/migrate_bars.c - series of bars: compared a million bars at a time, bit by bit, so that NaN and -0 count
 * as they are (room: datastore). Where both sides have a bar and they differ, the source's is written.
 */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "datastore/migrate/internal.h"

#define SLICE_BARS (UINT64_C(1) << 20)
#define COLUMNS    5u
#define BAR_BYTES  48u

struct series_call {
    struct migration *migration;
    const struct shoal_data_list *list;
};

/* The bars of the source that the destination does not have, or has otherwise. */
struct missing {
    uint64_t count;
    int64_t *timestamps;
    double *columns[COLUMNS];
};

static void columns_of(const struct shoal_data_bars *bars, const double *out_columns[COLUMNS])
{
    out_columns[0] = bars->open;
    out_columns[1] = bars->high;
    out_columns[2] = bars->low;
    out_columns[3] = bars->close;
    out_columns[4] = bars->volume;
}

static void missing_fini(struct missing *missing)
{
    free(missing->timestamps);
    for (unsigned i = 0; i < COLUMNS; i++)
        free(missing->columns[i]);
}

static int missing_init(struct missing *missing, uint64_t room)
{
    bool is_made = (missing->timestamps = calloc(room + 1, sizeof(int64_t))) != NULL;
    for (unsigned i = 0; i < COLUMNS && is_made; i++)
        is_made = (missing->columns[i] = calloc(room + 1, sizeof(double))) != NULL;
    return is_made ? 0 : -ENOMEM;
}

static uint64_t bits_of(const double *value)
{
    uint64_t bits;
    memcpy(&bits, value, sizeof bits);
    return bits;
}

static bool is_same_bar(
    const double *const a[COLUMNS], uint64_t i, const double *const b[COLUMNS], uint64_t k)
{
    for (unsigned c = 0; c < COLUMNS; c++) {
        if (bits_of(&a[c][i]) != bits_of(&b[c][k]))
            return false;
    }
    return true;
}

/* Both are sorted by time, each time once. */
static void find_missing(const struct shoal_data_bars *source, const struct shoal_data_bars *there,
    struct missing *missing)
{
    const double *a[COLUMNS];
    const double *b[COLUMNS];
    columns_of(source, a);
    columns_of(there, b);
    uint64_t k = 0;
    for (uint64_t i = 0; i < source->count; i++) {
        while (k < there->count && there->timestamp_ns[k] < source->timestamp_ns[i])
            k++;
        if (k < there->count && there->timestamp_ns[k] == source->timestamp_ns[i] &&
            is_same_bar(a, i, b, k))
            continue;
        missing->timestamps[missing->count] = source->timestamp_ns[i];
        for (unsigned c = 0; c < COLUMNS; c++)
            missing->columns[c][missing->count] = a[c][i];
        missing->count++;
    }
}

/* Compares and copies the bars from `from_ns` to before `to_ns`. */
static int32_t copy_slice(struct migration *migration, const struct shoal_data_item *item,
    int64_t from_ns, int64_t to_ns, struct shoal_data_error *error)
{
    struct shoal_data_frame *source = NULL;
    struct shoal_data_frame *there = NULL;
    struct missing missing = { 0 };
    struct shoal_data_bars source_bars;
    struct shoal_data_bars there_bars;
    int32_t status = shoal_data_load_bars(
        migration->from, item->symbol, item->timeframe, from_ns, to_ns, 0, &source, error);
    if (status == SHOAL_DATA_OK)
        status = shoal_data_load_bars(
            migration->to, item->symbol, item->timeframe, from_ns, to_ns, 0, &there, error);
    if (status != SHOAL_DATA_OK)
        goto out;
    shoal_data_frame_bars(source, &source_bars);
    shoal_data_frame_bars(there, &there_bars);
    if (missing_init(&missing, source_bars.count) < 0) {
        status = data_fail(error, SHOAL_DATA_NO_MEMORY, "There is no memory left.");
        goto out;
    }
    find_missing(&source_bars, &there_bars, &missing);
    if (missing.count > 0) {
        struct shoal_data_bars bars = { missing.count, missing.timestamps, missing.columns[0],
            missing.columns[1], missing.columns[2], missing.columns[3], missing.columns[4] };
        status = shoal_data_append_bars(migration->to, item->symbol, item->timeframe, &bars, error);
        if (status == SHOAL_DATA_OK) {
            atomic_fetch_add(&migration->copied, 1);
            atomic_fetch_add(&migration->options->progress->bars, missing.count);
            atomic_fetch_add(&migration->options->progress->bytes, missing.count * BAR_BYTES);
        }
    }
out:
    missing_fini(&missing);
    shoal_data_frame_free(source);
    shoal_data_frame_free(there);
    return status;
}

static int32_t copy_series(
    struct migration *migration, const struct shoal_data_item *item, struct shoal_data_error *error)
{
    /* One column first, to learn where to cut. */
    struct shoal_data_frame *times = NULL;
    struct shoal_data_bars bars;
    int32_t status = shoal_data_load_bars(migration->from, item->symbol, item->timeframe, INT64_MIN,
        INT64_MAX, SHOAL_DATA_OPEN, &times, error);
    if (status != SHOAL_DATA_OK) {
        shoal_data_frame_free(times);
        return status;
    }
    shoal_data_frame_bars(times, &bars);
    for (uint64_t i = 0; i < bars.count && status == SHOAL_DATA_OK; i += SLICE_BARS) {
        int64_t to_ns = bars.count - i > SLICE_BARS ? bars.timestamp_ns[i + SLICE_BARS] : INT64_MAX;
        if (migration_is_stopped(migration))
            break;
        status = copy_slice(migration, item, bars.timestamp_ns[i], to_ns, error);
    }
    shoal_data_frame_free(times);
    return status;
}

static void copy_one(void *context, uint64_t index)
{
    struct series_call *call = context;
    struct migration *migration = call->migration;
    const struct shoal_data_item *item = shoal_data_list_item(call->list, index);
    struct shoal_data_error error;
    char what[2 * DATA_NAME_SIZE_MAX];
    if (migration_is_stopped(migration))
        return;
    if (copy_series(migration, item, &error) != SHOAL_DATA_OK) {
        (void)snprintf(what, sizeof what, "Bars %s %s", item->symbol, item->timeframe); /* fits */
        migration_fail(migration, what, &error);
    }
    atomic_fetch_add(&migration->series, 1);
    migration_done(migration, 1);
}

void migrate_bars(struct migration *migration)
{
    struct shoal_data_list *list = NULL;
    struct shoal_data_error error;
    if (shoal_data_list_series(migration->from, NULL, &list, &error) != SHOAL_DATA_OK)
        migration_fail(migration, "The series", &error);
    struct series_call call = { .migration = migration, .list = list };
    migration_expect(migration, shoal_data_list_count(list));
    data_parallel(migration->options->threads, shoal_data_list_count(list), copy_one, &call);
    shoal_data_list_free(list);
}
