/*
 * datastore/files/bars.c - bars in the files backend (room: datastore). The Parquet store takes this file's place.
 */
#include "datastore/files/files.h"

int32_t files_bars_open(struct files_store *store, struct shoal_data_error *error)
{
    (void)error;
    store->bars = NULL;
    return SHOAL_DATA_OK;
}

void files_bars_close(struct files_store *store)
{
    (void)store;
}

static int32_t unsupported(struct shoal_data_error *error)
{
    return data_fail(error, SHOAL_DATA_UNSUPPORTED, "Bars are not built into this library.");
}

int32_t files_append_bars(void *backend, const char *symbol, const char *timeframe,
    const struct shoal_data_bars *bars, struct shoal_data_error *error)
{
    (void)backend, (void)symbol, (void)timeframe, (void)bars;
    return unsupported(error);
}

int32_t files_load_bars(void *backend, const char *symbol, const char *timeframe, int64_t from_ns,
    int64_t to_ns, uint32_t columns, struct shoal_data_frame **out_frame,
    struct shoal_data_error *error)
{
    (void)backend, (void)symbol, (void)timeframe, (void)from_ns, (void)to_ns, (void)columns;
    (void)out_frame;
    return unsupported(error);
}

int32_t files_list_series(void *backend, const char *timeframe, struct shoal_data_list **out_list,
    struct shoal_data_error *error)
{
    (void)backend, (void)timeframe, (void)out_list;
    return unsupported(error);
}

int32_t files_compact_bars(void *backend, const char *symbol, const char *timeframe,
    struct shoal_data_compaction *out_report, struct shoal_data_error *error)
{
    (void)backend, (void)symbol, (void)timeframe, (void)out_report;
    return unsupported(error);
}
