/*
 * datastore/postgres/bars.c - bars: in by COPY, out by COPY (room: datastore).
 *
 * Writers of one series take turns (begin_append() in schema.c locks it until the end of the transaction), so that "written
 * last" is the order of commits, two writers never wait for each other in a circle, and bars later than all stored ones
 * can be copied straight into the table. Others go through a temporary table and replace what is there.
 */
#include <endian.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"
#include "datastore/postgres/backend.h"

#define ROW_BYTES    90u /* of COPY BINARY: the number of fields, then each with its size */
#define ROWS_PER_PUT 2048u
#define ROWS_PER_MS  10u /* what a slow server is given time for */
#define HEADER_BYTES 19u
#define COLUMNS      5u

static const uint8_t copy_header[HEADER_BYTES] = { 'P', 'G', 'C', 'O', 'P', 'Y', '\n', 0xFF, '\r',
    '\n', 0, 0, 0, 0, 0, 0, 0, 0, 0 };

/* ---- Appending ---- */

struct append {
    const char *symbol;
    const char *timeframe;
    const struct shoal_data_bars *bars;
    uint64_t *order; /* indexes by ascending timestamp, each timestamp once; NULL: as they stand */
    uint64_t count;  /* of `order`, or of the bars */
    uint8_t key[16];
};

static int compare_index(const void *left, const void *right, void *context)
{
    const int64_t *timestamps = context;
    uint64_t a = *(const uint64_t *)left;
    uint64_t b = *(const uint64_t *)right;
    if (timestamps[a] != timestamps[b])
        return timestamps[a] < timestamps[b] ? -1 : 1;
    return a < b ? -1 : a > b;
}

/* Sets append->order, unless the bars stand in strict order already. */
static int sort_bars(struct append *append)
{
    const struct shoal_data_bars *bars = append->bars;
    const int64_t *timestamps = bars->timestamp_ns;
    union {
        const int64_t *timestamps;
        void *context; /* as qsort_r wants it; not written */
    } sort = { .timestamps = timestamps };
    uint64_t ascending = 1;
    while (ascending < bars->count && timestamps[ascending - 1] < timestamps[ascending])
        ascending++;
    append->count = bars->count;
    if (ascending >= bars->count)
        return 0;
    uint64_t *order = malloc(bars->count * sizeof *order);
    if (order == NULL)
        return -ENOMEM;
    for (uint64_t i = 0; i < bars->count; i++)
        order[i] = i;
    qsort_r(order, bars->count, sizeof *order, compare_index, sort.context);
    uint64_t kept = 0;
    for (uint64_t i = 0; i < bars->count; i++) { /* the one that stands last counts */
        if (i + 1 == bars->count || timestamps[order[i]] != timestamps[order[i + 1]])
            order[kept++] = order[i];
    }
    append->order = order;
    append->count = kept;
    return 0;
}

static uint64_t index_at(const struct append *append, uint64_t position)
{
    return append->order == NULL ? position : append->order[position];
}

static uint8_t *put_u32(uint8_t *at, uint32_t value)
{
    value = htobe32(value);
    memcpy(at, &value, sizeof value);
    return at + sizeof value;
}

static uint8_t *put_double(uint8_t *at, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    at = put_u32(at, 8);
    pg_put_u64(at, bits);
    return at + 8;
}

/* What begin_append() answers. */
struct begun {
    int32_t series;
    int32_t written_min;
    bool is_done;
    bool is_tail;
};

static uint8_t *put_row(
    uint8_t *at, const struct begun *begun, const struct shoal_data_bars *bars, uint64_t i)
{
    *at++ = 0;
    *at++ = 8;
    at = put_u32(at, 4);
    at = put_u32(at, (uint32_t)begun->series);
    at = put_u32(at, 4);
    at = put_u32(at, (uint32_t)begun->written_min);
    at = put_u32(at, 8);
    pg_put_u64(at, (uint64_t)bars->timestamp_ns[i]);
    at = put_double(at + 8, bars->open[i]);
    at = put_double(at, bars->high[i]);
    at = put_double(at, bars->low[i]);
    at = put_double(at, bars->close[i]);
    return put_double(at, bars->volume[i]);
}

static int32_t copy_rows(struct pg_conn *conn, const struct append *append,
    const struct begun *begun, const char *table, struct shoal_data_error *error)
{
    static const uint8_t trailer[2] = { 0xFF, 0xFF };
    uint8_t *buffer = malloc((size_t)ROW_BYTES * ROWS_PER_PUT);
    if (buffer == NULL)
        return pg_no_memory(conn, error);
    char sql[96];
    (void)snprintf(
        sql, sizeof sql, "COPY %s FROM STDIN (FORMAT binary)", table); /* fits: a name of ours */
    int32_t status = pg_copy_in_begin(conn, sql, error);
    if (status == SHOAL_DATA_OK)
        status = pg_copy_in_put(conn, copy_header, HEADER_BYTES, error);
    for (uint64_t done = 0; status == SHOAL_DATA_OK && done < append->count;) {
        uint8_t *end = buffer;
        for (unsigned i = 0; i < ROWS_PER_PUT && done < append->count; i++, done++)
            end = put_row(end, begun, append->bars, index_at(append, done));
        status = pg_copy_in_put(conn, buffer, (size_t)(end - buffer), error);
    }
    if (status == SHOAL_DATA_OK)
        status = pg_copy_in_put(conn, trailer, sizeof trailer, error);
    if (status == SHOAL_DATA_OK)
        status = pg_copy_in_end(conn, error);
    free(buffer);
    return status;
}

static int32_t replace_rows(struct pg_conn *conn, const struct append *append,
    const struct begun *begun, struct shoal_data_error *error)
{
    static const char make[] = "CREATE TEMPORARY TABLE shoal_new_bars (series_id integer, "
                               "written_min integer, ts bigint, open float8, high float8,"
                               " low float8, close float8, volume float8) ON COMMIT DROP";
    static const char merge[] = "INSERT INTO shoal_data.bars SELECT * FROM pg_temp.shoal_new_bars "
                                "ON CONFLICT (series_id, ts)"
                                " DO UPDATE SET written_min = excluded.written_min, open = "
                                "excluded.open, high = excluded.high, low = excluded.low,"
                                " close = excluded.close, volume = excluded.volume";
    int32_t status = pg_command(conn, make, error);
    if (status == SHOAL_DATA_OK)
        status = copy_rows(conn, append, begun, "pg_temp.shoal_new_bars", error);
    return status == SHOAL_DATA_OK ? pg_command(conn, merge, error) : status;
}

static int32_t append_once(struct pg_conn *conn, void *context, struct shoal_data_error *error)
{
    static const struct pg_statement begin = { "begin_append",
        "SELECT series, is_done, is_tail, written FROM shoal_data.begin_append($1, $2, $3, $4)" };
    struct append *append = context;
    struct pg_params params = { 0 };
    pg_add_uuid(&params, append->key);
    pg_add_text(&params, append->symbol);
    pg_add_text(&params, append->timeframe);
    pg_add_int8(&params, append->bars->timestamp_ns[index_at(append, 0)]);
    PGresult *result = NULL;
    int32_t status = pg_begin(conn, append->count / ROWS_PER_MS, error);
    if (status == SHOAL_DATA_OK)
        status = pg_query(conn, &begin, &params, &result, error);
    if (status != SHOAL_DATA_OK)
        return status;
    struct begun begun = { .series = pg_int4(result, 0, 0),
        .written_min = pg_int4(result, 0, 3),
        .is_done = pg_bool(result, 0, 1),
        .is_tail = pg_bool(result, 0, 2) };
    PQclear(result);
    if (!begun.is_done && begun.is_tail)
        status = copy_rows(conn, append, &begun, "shoal_data.bars", error);
    else if (!begun.is_done)
        status = replace_rows(conn, append, &begun, error);
    return status == SHOAL_DATA_OK ? pg_commit(conn, error) : status;
}

int32_t pg_append_bars(void *handle, const char *symbol, const char *timeframe,
    const struct shoal_data_bars *bars, struct shoal_data_error *error)
{
    struct append append = { .symbol = symbol, .timeframe = timeframe, .bars = bars };
    if (sort_bars(&append) < 0)
        return pg_no_memory(NULL, error);
    pg_new_key(append.key);
    int32_t status = pg_run(handle, append_once, &append, error);
    free(append.order);
    return status;
}

/* ---- Loading ---- */

struct load {
    const char *symbol;
    const char *timeframe;
    int64_t from_ns;
    int64_t last_ns; /* the last one that counts */
    uint32_t columns;
    bool is_first_row;
    uint64_t count;
    uint64_t room;
    int64_t *timestamps;
    double *values[COLUMNS];
};

static int grow(struct load *load)
{
    uint64_t room = load->room == 0 ? 1024 : load->room * 2;
    int64_t *timestamps = reallocarray(load->timestamps, room, sizeof *timestamps);
    if (timestamps == NULL)
        return -ENOMEM;
    load->timestamps = timestamps;
    for (unsigned i = 0; i < COLUMNS; i++) {
        if ((load->columns & (1u << i)) == 0)
            continue;
        double *values = reallocarray(load->values[i], room, sizeof *values);
        if (values == NULL)
            return -ENOMEM;
        load->values[i] = values;
    }
    load->room = room;
    return 0;
}

/* Takes one row of COPY BINARY: the number of fields (2 bytes), then for each its size (4) and its 8 bytes. */
static bool take_row(void *context, const uint8_t *row, size_t size)
{
    struct load *load = context;
    if (load->is_first_row) {
        load->is_first_row = false;
        if (size < HEADER_BYTES)
            return false;
        row += HEADER_BYTES;
        size -= HEADER_BYTES;
        if (size == 0)
            return true;
    }
    unsigned fields = 1u + (unsigned)__builtin_popcount(load->columns);
    if (size == 2 && row[0] == 0xFF)
        return true; /* the end */
    if (size != 2u + (size_t)fields * 12)
        return false;
    if (load->count == load->room && grow(load) < 0)
        return false;
    load->timestamps[load->count] = (int64_t)pg_get_u64(row + 6);
    row += 14;
    for (unsigned i = 0; i < COLUMNS; i++) {
        if ((load->columns & (1u << i)) == 0)
            continue;
        uint64_t bits = pg_get_u64(row + 4);
        memcpy(&load->values[i][load->count], &bits, sizeof bits);
        row += 12;
    }
    load->count++;
    return true;
}

static int32_t find_series(struct pg_conn *conn, const struct load *load, int32_t *out_series,
    struct shoal_data_error *error)
{
    static const struct pg_statement find = { "find_series",
        "SELECT id FROM shoal_data.series WHERE symbol = $1 AND timeframe = $2" };
    struct pg_params params = { 0 };
    pg_add_text(&params, load->symbol);
    pg_add_text(&params, load->timeframe);
    PGresult *result = NULL;
    int32_t status = pg_query(conn, &find, &params, &result, error);
    if (status != SHOAL_DATA_OK)
        return status;
    *out_series = PQntuples(result) == 0 ? -1 : pg_int4(result, 0, 0);
    PQclear(result);
    return SHOAL_DATA_OK;
}

static int32_t load_once(struct pg_conn *conn, void *context, struct shoal_data_error *error)
{
    static const char *const names[COLUMNS] = { ", open", ", high", ", low", ", close",
        ", volume" };
    struct load *load = context;
    load->count = 0;
    load->is_first_row = true;
    int32_t series;
    int32_t status = find_series(conn, load, &series, error);
    if (status != SHOAL_DATA_OK || series < 0)
        return status;
    char sql[320];
    size_t used = 0;
    int err = text_append(sql, sizeof sql, &used, "COPY (SELECT ts");
    for (unsigned i = 0; i < COLUMNS && err == 0; i++) {
        if ((load->columns & (1u << i)) != 0)
            err = text_append(sql, sizeof sql, &used, "%s", names[i]);
    }
    if (err == 0)
        err = text_append(sql, sizeof sql, &used,
            " FROM shoal_data.bars WHERE series_id = %" PRId32 " AND ts >= '%" PRId64
            "'::bigint AND ts <= '%" PRId64 "'::bigint ORDER BY ts) TO STDOUT (FORMAT binary)",
            series, load->from_ns, load->last_ns);
    assert(err == 0);
    return pg_copy_out(conn, sql, take_row, load, error);
}

static struct shoal_data_frame *make_frame(const struct load *load)
{
    struct shoal_data_frame *frame = data_frame_new(load->count, load->columns);
    if (frame == NULL || load->count == 0)
        return frame;
    memcpy(data_frame_timestamps(frame), load->timestamps, load->count * sizeof(int64_t));
    for (unsigned i = 0; i < COLUMNS; i++) {
        if (load->values[i] != NULL)
            memcpy(data_frame_column(frame, i), load->values[i], load->count * sizeof(double));
    }
    return frame;
}

/* Its parameters are the interface's. NOLINTNEXTLINE(readability-function-size) */
int32_t pg_load_bars(void *handle, const char *symbol, const char *timeframe, int64_t from_ns,
    int64_t to_ns, uint32_t columns, struct shoal_data_frame **out_frame,
    struct shoal_data_error *error)
{
    struct load load = { .symbol = symbol,
        .timeframe = timeframe,
        .from_ns = from_ns,
        .last_ns = to_ns == INT64_MAX ? to_ns : to_ns - (to_ns > from_ns),
        .columns = columns };
    int32_t status = SHOAL_DATA_OK;
    if (to_ns > from_ns || to_ns == INT64_MAX)
        status = pg_run(handle, load_once, &load, error);
    struct shoal_data_frame *frame = status == SHOAL_DATA_OK ? make_frame(&load) : NULL;
    if (status == SHOAL_DATA_OK && frame == NULL)
        status = pg_no_memory(NULL, error);
    if (status == SHOAL_DATA_OK)
        *out_frame = frame;
    free(load.timestamps);
    for (unsigned i = 0; i < COLUMNS; i++)
        free(load.values[i]);
    return status;
}

/* ---- Series ---- */

struct list_call {
    const char *timeframe;
    struct shoal_data_list *list;
};

static int32_t list_once(struct pg_conn *conn, void *context, struct shoal_data_error *error)
{
    static const struct pg_statement list = { "list_series",
        "SELECT s.symbol, s.timeframe FROM shoal_data.series s WHERE ($1::text IS NULL OR "
        "s.timeframe = $1)"
        " AND EXISTS (SELECT FROM shoal_data.bars b WHERE b.series_id = s.id)"
        " ORDER BY s.symbol, s.timeframe" };
    struct list_call *call = context;
    struct pg_params params = { 0 };
    pg_add_text(&params, call->timeframe);
    PGresult *result = NULL;
    int32_t status = pg_query(conn, &list, &params, &result, error);
    if (status != SHOAL_DATA_OK)
        return status;
    shoal_data_list_free(call->list); /* of an earlier attempt */
    call->list = data_list_new();
    int err = call->list == NULL ? -ENOMEM : 0;
    for (int row = 0; err == 0 && row < PQntuples(result); row++) {
        char id[DATA_ID_SIZE_MAX];
        (void)snprintf(
            id, sizeof id, "%s %s", pg_text(result, row, 0), pg_text(result, row, 1)); /* bounded */
        struct shoal_data_item item = { .id = id,
            .symbol = pg_text(result, row, 0),
            .timeframe = pg_text(result, row, 1),
            .generation = -1 };
        err = data_list_add(call->list, &item);
    }
    PQclear(result);
    return err < 0 ? pg_no_memory(conn, error) : SHOAL_DATA_OK;
}

int32_t pg_list_series(void *handle, const char *timeframe, struct shoal_data_list **out_list,
    struct shoal_data_error *error)
{
    struct list_call call = { .timeframe = timeframe };
    int32_t status = pg_run(handle, list_once, &call, error);
    if (status == SHOAL_DATA_OK)
        *out_list = call.list;
    else
        shoal_data_list_free(call.list);
    return status;
}

int32_t pg_compact_bars(void *handle, const char *symbol, const char *timeframe,
    struct shoal_data_compaction *out_report, struct shoal_data_error *error)
{
    (void)handle; /* the database has no parts to put together: VACUUM is its own affair */
    (void)symbol;
    (void)timeframe;
    (void)error;
    *out_report = (struct shoal_data_compaction){ 0 };
    return SHOAL_DATA_OK;
}
