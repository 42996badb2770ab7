/*
 * datastore/postgres/upkeep.c - clean-up, usage and health (room: datastore). Rows count in the directory that the files backend
 * would keep them in; their age is the time since they were written, as a file's is.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "datastore/postgres/backend.h"

#define DAY_S          INT64_C(86400)
#define KEEP_CALLS_S   DAY_S /* no call is tried for so long */
#define DIRECTORY_SIZE 64u

static void directory_of(char to[DIRECTORY_SIZE], int32_t kind, int64_t generation)
{
    static const char *const directories[] = { "market_data/ohlcv", "market_data/indicators",
        "results/backtests", "results/performance" };
    if (kind == SHOAL_DATA_GENERATION)
        (void)snprintf(to, DIRECTORY_SIZE, "results/gen_%" PRId64, generation); /* fits */
    else
        (void)snprintf(to, DIRECTORY_SIZE, "%s", directories[kind]); /* fits */
}

/* ---- What there is ---- */

struct group {
    int32_t kind;
    int64_t generation;
    uint64_t files;
    uint64_t bytes;
};

struct groups {
    struct group *groups;
    size_t count;
    uint64_t series;
    uint64_t bar_bytes;
    uint64_t checkpoints;
    uint64_t checkpoint_bytes;
};

static int32_t find_groups(
    struct pg_conn *conn, struct groups *groups, struct shoal_data_error *error)
{
    static const struct pg_statement find = { "usage_documents",
        "SELECT kind::int4, generation, count(*), sum(size_bytes)::bigint FROM shoal_data.documents"
        " GROUP BY kind, generation ORDER BY kind, generation" };
    PGresult *result = NULL;
    int32_t status = pg_query(conn, &find, NULL, &result, error);
    if (status != SHOAL_DATA_OK)
        return status;
    int rows = PQntuples(result);
    free(groups->groups); /* of an earlier attempt */
    groups->groups = calloc((size_t)rows + 1, sizeof *groups->groups);
    groups->count = 0;
    if (groups->groups == NULL) {
        PQclear(result);
        return pg_no_memory(conn, error);
    }
    for (int row = 0; row < rows; row++) {
        int32_t kind = pg_int4(result, row, 0);
        if (kind < SHOAL_DATA_MARKET_DATA || kind > SHOAL_DATA_GENERATION)
            continue; /* of a later version of this program */
        groups->groups[groups->count++] = (struct group){ .kind = kind,
            .generation = pg_int8(result, row, 1),
            .files = (uint64_t)pg_int8(result, row, 2),
            .bytes = (uint64_t)pg_int8(result, row, 3) };
    }
    PQclear(result);
    return SHOAL_DATA_OK;
}

static int32_t usage_once(struct pg_conn *conn, void *context, struct shoal_data_error *error)
{
    static const struct pg_statement sizes = { "usage_sizes",
        "SELECT (SELECT count(*) FROM shoal_data.series s WHERE EXISTS"
        "   (SELECT FROM shoal_data.bars b WHERE b.series_id = s.id)),"
        " (SELECT sum(pg_table_size(relid))::bigint FROM pg_partition_tree('shoal_data.bars')),"
        " (SELECT count(*) FROM shoal_data.versions),"
        " (SELECT coalesce(sum(size_bytes), 0)::bigint FROM shoal_data.versions)" };
    struct groups *groups = context;
    PGresult *result = NULL;
    int32_t status = find_groups(conn, groups, error);
    if (status == SHOAL_DATA_OK)
        status = pg_query(conn, &sizes, NULL, &result, error);
    if (status != SHOAL_DATA_OK)
        return status;
    groups->series = (uint64_t)pg_int8(result, 0, 0);
    groups->bar_bytes = groups->series == 0 ? 0 : (uint64_t)pg_int8(result, 0, 1);
    groups->checkpoints = (uint64_t)pg_int8(result, 0, 2);
    groups->checkpoint_bytes = (uint64_t)pg_int8(result, 0, 3);
    PQclear(result);
    return SHOAL_DATA_OK;
}

int32_t pg_usage(
    void *handle, struct shoal_data_report **out_report, struct shoal_data_error *error)
{
    struct groups groups = { 0 };
    int32_t status = pg_run(handle, usage_once, &groups, error);
    struct shoal_data_report *report = status == SHOAL_DATA_OK ? data_report_new() : NULL;
    int err = report == NULL ? -ENOMEM : 0;
    for (size_t i = 0; i < groups.count && err == 0; i++) {
        const struct group *group = &groups.groups[i];
        char directory[DIRECTORY_SIZE];
        directory_of(directory, group->kind, group->generation);
        err = data_report_add(report, directory, group->files, group->bytes);
    }
    if (err == 0 && groups.series > 0)
        err = data_report_add(report, "market_data/ohlcv", groups.series, groups.bar_bytes);
    if (err == 0 && groups.checkpoints > 0)
        err = data_report_add(
            report, "models/checkpoints", groups.checkpoints, groups.checkpoint_bytes);
    free(groups.groups);
    if (status == SHOAL_DATA_OK && err < 0)
        status = pg_no_memory(NULL, error);
    if (status == SHOAL_DATA_OK)
        *out_report = report;
    else
        shoal_data_report_free(report);
    return status;
}

/* ---- Clean-up ---- */

struct cleaning {
    const struct pg_statement *statement;
    bool has_kind;
    int32_t kind;
    int64_t generation;
    int64_t before;
    uint64_t files; /* of the last call */
    uint64_t bytes;
};

/* Runs a statement that removes, or counts, rows and gives their number and size. */
static int32_t clean_once(struct pg_conn *conn, void *context, struct shoal_data_error *error)
{
    struct cleaning *cleaning = context;
    struct pg_params params = { 0 };
    pg_add_int8(&params, cleaning->before);
    if (cleaning->has_kind) {
        pg_add_int4(&params, cleaning->kind);
        pg_add_int8(&params, cleaning->generation);
    }
    PGresult *result = NULL;
    int32_t status = pg_begin(conn, 60000, error);
    if (status == SHOAL_DATA_OK)
        status = pg_query(conn, cleaning->statement, &params, &result, error);
    if (status == SHOAL_DATA_OK) {
        cleaning->files = (uint64_t)pg_int8(result, 0, 0);
        cleaning->bytes = (uint64_t)pg_int8(result, 0, 1);
    }
    PQclear(result);
    return status == SHOAL_DATA_OK ? pg_commit(conn, error) : status;
}

static int32_t clean_all(struct pg_backend *backend, struct cleaning *cleaning, bool dry_run,
    const char *directory, struct shoal_data_report *report, struct shoal_data_error *error)
{
    int32_t status;
    do {
        status = pg_run(backend, clean_once, cleaning, error);
        if (status == SHOAL_DATA_OK && cleaning->files > 0 &&
            data_report_add(report, directory, cleaning->files, cleaning->bytes) < 0)
            status = pg_no_memory(NULL, error);
    } while (status == SHOAL_DATA_OK && !dry_run && cleaning->files > 0);
    return status;
}

static int32_t clean_documents(struct pg_backend *backend,
    const struct shoal_data_clean_options *options, const struct group *group,
    struct shoal_data_report *report, struct shoal_data_error *error)
{
    static const struct pg_statement count = { "count_documents",
        "SELECT count(*), coalesce(sum(size_bytes), 0)::bigint FROM shoal_data.documents"
        " WHERE saved_s <= $1 AND kind = $2 AND generation = $3" };
    static const struct pg_statement remove = { "clean_documents",
        "WITH gone AS (DELETE FROM shoal_data.documents WHERE id IN (SELECT id FROM "
        "shoal_data.documents"
        "  WHERE saved_s <= $1 AND kind = $2 AND generation = $3 LIMIT 20000 FOR UPDATE SKIP "
        "LOCKED)"
        " RETURNING size_bytes) SELECT count(*), coalesce(sum(size_bytes), 0)::bigint FROM gone" };
    char directory[DIRECTORY_SIZE];
    directory_of(directory, group->kind, group->generation);
    int64_t days = data_clean_days(options, directory);
    if (days < 0)
        return SHOAL_DATA_OK;
    struct cleaning cleaning = { .statement = options->dry_run ? &count : &remove,
        .has_kind = true,
        .kind = group->kind,
        .generation = group->generation,
        .before = data_now_s() - days * DAY_S };
    return clean_all(backend, &cleaning, options->dry_run != 0, directory, report, error);
}

static int32_t clean_bars(struct pg_backend *backend,
    const struct shoal_data_clean_options *options, struct shoal_data_report *report,
    struct shoal_data_error *error)
{
    static const struct pg_statement count = { "count_bars",
        "SELECT count(*), count(*) * 56 FROM shoal_data.bars WHERE written_min <= $1" };
    static const struct pg_statement remove = { "clean_bars",
        "WITH gone AS (DELETE FROM shoal_data.bars WHERE (series_id, ts) IN (SELECT series_id, ts"
        "  FROM shoal_data.bars WHERE written_min <= $1 LIMIT 20000) AND written_min <= $1 "
        "RETURNING 1)"
        " SELECT count(*), count(*) * 56 FROM gone" };
    int64_t days = data_clean_days(options, "market_data/ohlcv");
    if (days < 0)
        return SHOAL_DATA_OK;
    struct cleaning cleaning = { .statement = options->dry_run ? &count : &remove,
        .before = (data_now_s() - days * DAY_S) / 60 };
    return clean_all(backend, &cleaning, options->dry_run != 0, "market_data/ohlcv", report, error);
}

/* The keys of calls that nobody tries any more. */
static int32_t clean_calls(struct pg_backend *backend, struct shoal_data_error *error)
{
    static const struct pg_statement remove = { "clean_calls",
        "WITH gone AS (DELETE FROM shoal_data.calls WHERE key IN (SELECT key FROM shoal_data.calls"
        "  WHERE at_s < $1 LIMIT 20000 FOR UPDATE SKIP LOCKED) RETURNING 1)"
        " SELECT count(*), 0::bigint FROM gone" };
    struct cleaning cleaning = { .statement = &remove, .before = data_now_s() - KEEP_CALLS_S };
    int32_t status;
    do {
        status = pg_run(backend, clean_once, &cleaning, error);
    } while (status == SHOAL_DATA_OK && cleaning.files > 0);
    return status;
}

int32_t pg_clean(void *handle, const struct shoal_data_clean_options *options,
    struct shoal_data_report **out_report, struct shoal_data_error *error)
{
    struct pg_backend *backend = handle;
    struct groups groups = { 0 };
    struct shoal_data_report *report = data_report_new();
    int32_t status =
        report == NULL ? pg_no_memory(NULL, error) : pg_run(backend, usage_once, &groups, error);
    for (size_t i = 0; i < groups.count && status == SHOAL_DATA_OK; i++)
        status = clean_documents(backend, options, &groups.groups[i], report, error);
    if (status == SHOAL_DATA_OK)
        status = clean_bars(backend, options, report, error);
    if (status == SHOAL_DATA_OK && !options->dry_run)
        status = clean_calls(backend, error);
    if (status == SHOAL_DATA_OK && !options->dry_run)
        status = pg_sweep_shards(backend, error);
    free(groups.groups);
    if (status == SHOAL_DATA_OK)
        *out_report = report;
    else
        shoal_data_report_free(report);
    return status;
}

/* ---- Health ---- */

static int32_t probe(struct pg_conn *conn, void *context, struct shoal_data_error *error)
{
    static const struct pg_statement find = { "health_find",
        "SELECT current_setting('server_version') FROM shoal_data.calls WHERE key = $1" };
    static const struct pg_statement remove = { "health_remove",
        "DELETE FROM shoal_data.calls WHERE key = $1" };
    struct shoal_data_health *health = context;
    uint8_t key[16];
    bool is_done;
    pg_new_key(key);
    uint64_t start = clock_monotonic_ns();
    int32_t status = pg_begin(conn, 0, error);
    if (status == SHOAL_DATA_OK)
        status = pg_note_call(conn, key, &is_done, error);
    if (status == SHOAL_DATA_OK)
        status = pg_commit(conn, error);
    health->write_us = (clock_monotonic_ns() - start) / 1000;
    struct pg_params params = { 0 };
    pg_add_uuid(&params, key);
    PGresult *result = NULL;
    start = clock_monotonic_ns();
    if (status == SHOAL_DATA_OK)
        status = pg_query(conn, &find, &params, &result, error);
    health->read_us = (clock_monotonic_ns() - start) / 1000;
    if (status == SHOAL_DATA_OK && PQntuples(result) != 1)
        status = data_fail(error, SHOAL_DATA_IO, "What was written was not there afterwards.");
    if (status == SHOAL_DATA_OK)
        (void)snprintf(health->detail, sizeof health->detail, "PostgreSQL %s%s",
            pg_text(result, 0, 0),
            conn->is_pooled ? ", through a pooler" : ""); /* fits, or is cut */
    PQclear(result);
    return status == SHOAL_DATA_OK ? pg_query(conn, &remove, &params, NULL, error) : status;
}

int32_t pg_health(
    void *handle, struct shoal_data_health *out_health, struct shoal_data_error *error)
{
    struct pg_backend *backend = handle;
    struct pg_pool_stats stats;
    (void)snprintf(out_health->backend, sizeof out_health->backend, "postgres"); /* fits */
    (void)snprintf(
        out_health->location, sizeof out_health->location, "%s", backend->target->shown); /* fits */
    int32_t status = pg_run(backend, probe, out_health, error);
    out_health->is_ok = status == SHOAL_DATA_OK;
    size_t used = strlen(out_health->detail);
    pg_pool_stats(backend->pool, &stats);
    if (status == SHOAL_DATA_OK)
        (void)snprintf(out_health->detail + used, sizeof out_health->detail - used,
            ", %u connections, %u of them idle", stats.open, stats.idle); /* fits */
    else
        (void)snprintf(out_health->detail, sizeof out_health->detail, "%s", error->message);
    return SHOAL_DATA_OK;
}
