/*
 * datastore/postgres/conn.h - one connection: statements with binary parameters, COPY, and no wait without an end.
 *
 * A connection is used by one thread at a time (pool.h gives it out). Every function that fails has put a sentence into
 * `error` and has set may_retry: whether the same work may succeed on another connection, or a moment later.
 */
#pragma once

#include <libpq-fe.h>

#include "datastore/postgres/target.h"

#define PG_PARAMS_MAX   16u
#define PG_PREPARED_MAX 64u

/* A statement of ours: one static const object each, so that its address names it. All parameters and results are binary. */
struct pg_statement {
    const char *name; /* for the server, if it prepares it */
    const char *sql;
};

struct pg_conn {
    PGconn *pg;
    const struct pg_target *target;
    const struct pg_statement *prepared[PG_PREPARED_MAX];
    unsigned prepared_count;
    uint32_t timeout_ms; /* longest wait without any progress */
    uint64_t wait_ms;    /* for the statement in progress: timeout_ms, and more for bulk work */
    uint64_t idle_since_ms;
    bool is_pooled; /* behind a pooler in transaction mode: nothing of a session may be relied on */
    bool may_prepare;
    bool
        must_sync; /* the server would acknowledge before a commit is durable: say otherwise in each transaction */
    bool may_retry; /* about the last failure */
};

/* Parameters, built one by one. What is pointed at is borrowed until the statement has run. */
struct pg_params {
    int count;
    Oid types[PG_PARAMS_MAX];
    const char *values[PG_PARAMS_MAX];
    int sizes[PG_PARAMS_MAX];
    int formats[PG_PARAMS_MAX];
    uint64_t numbers[PG_PARAMS_MAX];
};

void pg_add_int8(struct pg_params *params, int64_t value);
void pg_add_int4(struct pg_params *params, int32_t value);
void pg_add_text(struct pg_params *params, const char *text); /* NULL: SQL's NULL */
void pg_add_text_sized(struct pg_params *params, const char *text, uint64_t size_bytes);
void pg_add_bytes(struct pg_params *params, const void *data, uint64_t size_bytes);
void pg_add_uuid(struct pg_params *params, const uint8_t uuid[16]);

/* Opens a connection within wait_ms. On failure *out_conn is not set, *out_is_final says whether trying again is of no
 * use. The caller owns *out_conn. `target` must outlive it. */
MUST_CHECK int32_t pg_conn_open(const struct pg_target *target, uint32_t timeout_ms,
    uint64_t wait_ms, struct pg_conn **out_conn, bool *out_is_final,
    struct shoal_data_error *error);
void pg_conn_close(struct pg_conn *conn);
/* Whether it can be used: nothing unexpected came in, no transaction is open. Does not wait. */
bool pg_conn_is_sound(struct pg_conn *conn);

/* Begins a transaction (read committed); it and each wait in it may take timeout_ms and `extra_ms`. */
MUST_CHECK int32_t pg_begin(
    struct pg_conn *conn, uint64_t extra_ms, struct shoal_data_error *error);
MUST_CHECK int32_t pg_commit(struct pg_conn *conn, struct shoal_data_error *error);
/* Runs SQL text of ours, of one or several statements, without results. */
MUST_CHECK int32_t pg_command(
    struct pg_conn *conn, const char *sql, struct shoal_data_error *error);
/* Runs a statement; `params` NULL: none. The caller owns *out_result (PQclear); NULL: not wanted. */
MUST_CHECK int32_t pg_query(struct pg_conn *conn, const struct pg_statement *statement,
    const struct pg_params *params, PGresult **out_result, struct shoal_data_error *error);

/* COPY ... FROM STDIN: begin, any number of puts, end. After a failed call the connection is of no more use. */
MUST_CHECK int32_t pg_copy_in_begin(
    struct pg_conn *conn, const char *sql, struct shoal_data_error *error);
MUST_CHECK int32_t pg_copy_in_put(
    struct pg_conn *conn, const void *data, size_t size, struct shoal_data_error *error);
MUST_CHECK int32_t pg_copy_in_end(struct pg_conn *conn, struct shoal_data_error *error);
/* COPY ... TO STDOUT: gives each row (binary: the first one with the file's header) to `take`, which returns false to stop. */
typedef bool (*pg_take_row)(void *context, const uint8_t *row, size_t size);
MUST_CHECK int32_t pg_copy_out(struct pg_conn *conn, const char *sql, pg_take_row take,
    void *context, struct shoal_data_error *error);

/* Fields of a binary result, which the statement has declared to be of that type. NULL reads as 0 or "". */
int64_t pg_int8(const PGresult *result, int row, int column);
int32_t pg_int4(const PGresult *result, int row, int column);
bool pg_bool(const PGresult *result, int row, int column);
const char *pg_text(
    const PGresult *result, int row, int column); /* with a NUL; lives as the result */
size_t pg_size(const PGresult *result, int row, int column);
uint64_t pg_get_u64(const void *bytes); /* big endian */
void pg_put_u64(void *bytes, uint64_t value);
