/*
 * datastore/postgres/postgres.c - opening the backend, its table of operations, and how a call survives failures (room: datastore).
 */
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/random.h"
#include "datastore/postgres/backend.h"
#include "datastore/postgres/schema.h"

int32_t pg_no_memory(struct pg_conn *conn, struct shoal_data_error *error)
{
    if (conn != NULL)
        conn->may_retry = false;
    return data_fail(error, SHOAL_DATA_NO_MEMORY, "There is no memory left.");
}

/* ---- Running ---- */

static uint64_t now(void)
{
    return clock_monotonic_ns() / 1000000;
}

static void sleep_ms(uint64_t wait_ms)
{
    struct timespec wait = { .tv_sec = (time_t)(wait_ms / 1000),
        .tv_nsec = (long)(wait_ms % 1000) * 1000000 };
    (void)nanosleep(&wait, NULL); /* shorter is fine */
}

/* Ends a transaction that a failure left open, so that the connection can be used again. */
static void roll_back(struct pg_conn *conn)
{
    PGTransactionStatusType is = PQtransactionStatus(conn->pg);
    struct shoal_data_error error;
    if (is == PQTRANS_INTRANS || is == PQTRANS_INERROR) {
        int32_t status = pg_command(conn, "ROLLBACK", &error);
        (void)status; /* the pool closes a connection where it failed */
    }
}

int32_t pg_run(
    struct pg_backend *backend, pg_work work, void *context, struct shoal_data_error *error)
{
    uint64_t until_ms = now() + backend->timeout_ms;
    for (unsigned attempt = 1;; attempt++) {
        struct pg_conn *conn;
        int32_t status = pg_pool_get(backend->pool, until_ms, &conn, error);
        if (status != SHOAL_DATA_OK)
            return status;
        conn->may_retry = false;
        status = work(conn, context, error);
        bool may_retry = status != SHOAL_DATA_OK && conn->may_retry;
        roll_back(conn);
        pg_pool_put(backend->pool, conn);
        if (!may_retry)
            return status;
        if (attempt ==
            1) /* the wait counts from when the database went away, not from the start of long work */
            until_ms = now() + backend->timeout_ms;
        uint64_t wait_ms = pg_back_off_ms(attempt);
        if (now() + wait_ms >= until_ms)
            return status;
        sleep_ms(wait_ms);
    }
}

void pg_new_key(uint8_t out_key[16])
{
    random_bytes(out_key, 16);
    out_key[6] = (uint8_t)((out_key[6] & 0x0Fu) | 0x40u); /* RFC 4122 section 4.4 */
    out_key[8] = (uint8_t)((out_key[8] & 0x3Fu) | 0x80u);
}

int32_t pg_note_call(
    struct pg_conn *conn, const uint8_t key[16], bool *out_is_done, struct shoal_data_error *error)
{
    static const struct pg_statement note = { "note_call",
        "INSERT INTO shoal_data.calls (key) VALUES ($1) ON CONFLICT DO NOTHING RETURNING 1" };
    struct pg_params params = { 0 };
    pg_add_uuid(&params, key);
    PGresult *result = NULL;
    int32_t status = pg_query(conn, &note, &params, &result, error);
    if (status != SHOAL_DATA_OK)
        return status;
    *out_is_done = PQntuples(result) == 0;
    PQclear(result);
    return SHOAL_DATA_OK;
}

/* ---- Opening ---- */

static void pg_close(void *handle)
{
    struct pg_backend *backend = handle;
    if (backend == NULL)
        return;
    pg_pool_free(backend->pool);
    pg_target_free(backend->target);
    free(backend);
}

static int32_t prepare(struct pg_conn *conn, void *context, struct shoal_data_error *error)
{
    const uint32_t *create = context;
    return pg_schema_prepare(conn, *create != 0, error);
}

static int32_t pg_open(const char *url, const struct shoal_data_options *options,
    void **out_backend, struct shoal_data_error *error)
{
    struct pg_backend *backend = calloc(1, sizeof *backend);
    if (backend == NULL)
        return pg_no_memory(NULL, error);
    backend->timeout_ms = options->timeout_ms;
    backend->threads = options->threads;
    int32_t status = pg_target_parse(url, &backend->target, error);
    if (status == SHOAL_DATA_OK)
        status = pg_pool_new(backend->target, options, &backend->pool, error);
    uint32_t create = options->create;
    if (status == SHOAL_DATA_OK)
        status = pg_run(backend, prepare, &create, error);
    if (status != SHOAL_DATA_OK) {
        pg_close(backend);
        return status;
    }
    *out_backend = backend;
    return SHOAL_DATA_OK;
}

const struct datastore_ops postgres_ops = {
    .name = "postgres",
    .open = pg_open,
    .close = pg_close,
    .save_document = pg_save_document,
    .load_documents = pg_load_documents,
    .load_document = pg_load_document,
    .delete_document = pg_delete_document,
    .append_bars = pg_append_bars,
    .load_bars = pg_load_bars,
    .list_series = pg_list_series,
    .compact_bars = pg_compact_bars,
    .save_checkpoint = pg_save_checkpoint,
    .writer_begin = pg_writer_begin,
    .writer_write = pg_writer_write,
    .writer_finish = pg_writer_finish,
    .writer_abort = pg_writer_abort,
    .commit_checkpoint = pg_commit_checkpoint,
    .abort_checkpoint = pg_abort_checkpoint,
    .checkpoint_open = pg_checkpoint_open,
    .checkpoint_info = pg_checkpoint_info,
    .checkpoint_shard = pg_checkpoint_shard,
    .checkpoint_read = pg_checkpoint_read,
    .checkpoint_close = pg_checkpoint_close,
    .list_checkpoints = pg_list_checkpoints,
    .list_versions = pg_list_versions,
    .delete_version = pg_delete_version,
    .delete_checkpoint = pg_delete_checkpoint,
    .clean = pg_clean,
    .usage = pg_usage,
    .health = pg_health,
};
