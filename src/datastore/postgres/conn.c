/*
 * datastore/postgres/conn.c - connections and statements (room: datastore).
 *
 * libpq is used without blocking: each wait is a poll() with an end. A wait that is over leaves the connection closed,
 * since what the server does with the statement is not known then; the transaction's key (calls.h) sorts that out.
 */
#include "datastore/postgres/conn.h"

#include <endian.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/text.h"

#define OID_BYTEA 17u
#define OID_INT8  20u
#define OID_INT4  23u
#define OID_TEXT  25u
#define OID_UUID  2950u

/* ---- Parameters and fields ---- */

uint64_t pg_get_u64(const void *bytes)
{
    uint64_t value;
    memcpy(&value, bytes, sizeof value);
    return be64toh(value);
}

void pg_put_u64(void *bytes, uint64_t value)
{
    value = htobe64(value);
    memcpy(bytes, &value, sizeof value);
}

static void add(struct pg_params *params, Oid type, const void *value, uint64_t size)
{
    assert((unsigned)params->count < PG_PARAMS_MAX && size <= INT_MAX);
    params->types[params->count] = type;
    params->values[params->count] = value;
    params->sizes[params->count] = (int)size;
    params->formats[params->count] = 1;
    params->count++;
}

void pg_add_int8(struct pg_params *params, int64_t value)
{
    uint64_t *number = &params->numbers[params->count];
    pg_put_u64(number, (uint64_t)value);
    add(params, OID_INT8, number, sizeof *number);
}

void pg_add_int4(struct pg_params *params, int32_t value)
{
    uint64_t *number = &params->numbers[params->count];
    uint32_t bytes = htobe32((uint32_t)value);
    memcpy(number, &bytes, sizeof bytes);
    add(params, OID_INT4, number, sizeof bytes);
}

void pg_add_text(struct pg_params *params, const char *text)
{
    add(params, OID_TEXT, text, text == NULL ? 0 : strlen(text));
}

void pg_add_text_sized(struct pg_params *params, const char *text, uint64_t size_bytes)
{
    add(params, OID_TEXT, text, size_bytes);
}

void pg_add_bytes(struct pg_params *params, const void *data, uint64_t size_bytes)
{
    add(params, OID_BYTEA, data, size_bytes);
}

void pg_add_uuid(struct pg_params *params, const uint8_t uuid[16])
{
    add(params, OID_UUID, uuid, 16);
}

int64_t pg_int8(const PGresult *result, int row, int column)
{
    if (PQgetisnull(result, row, column))
        return 0;
    assert(PQgetlength(result, row, column) == 8);
    return (int64_t)pg_get_u64(PQgetvalue(result, row, column));
}

int32_t pg_int4(const PGresult *result, int row, int column)
{
    if (PQgetisnull(result, row, column))
        return 0;
    assert(PQgetlength(result, row, column) == 4);
    uint32_t value;
    memcpy(&value, PQgetvalue(result, row, column), sizeof value);
    return (int32_t)be32toh(value);
}

bool pg_bool(const PGresult *result, int row, int column)
{
    return !PQgetisnull(result, row, column) && *PQgetvalue(result, row, column) != 0;
}

const char *pg_text(const PGresult *result, int row, int column)
{
    return PQgetvalue(result, row, column);
}

size_t pg_size(const PGresult *result, int row, int column)
{
    return (size_t)PQgetlength(result, row, column);
}

/* ---- Failures ---- */

struct sql_state {
    const char *start; /* of the five letters; PostgreSQL's documentation, appendix A */
    int32_t status;
    bool may_retry;
};

static const struct sql_state sql_states[] = {
    { "08", SHOAL_DATA_UNAVAILABLE, true },     /* connection exceptions */
    { "57P", SHOAL_DATA_UNAVAILABLE, true },    /* shutdown, crash, starting up */
    { "57014", SHOAL_DATA_UNAVAILABLE, false }, /* statement timeout */
    { "53300", SHOAL_DATA_UNAVAILABLE, true },  /* too many connections */
    { "40", SHOAL_DATA_BUSY, true },            /* serialization, deadlock */
    { "55P03", SHOAL_DATA_BUSY, true },         /* lock not available */
    { "26000", SHOAL_DATA_UNAVAILABLE,
        true }, /* a prepared statement that the pooler's server does not have */
    { "42P05", SHOAL_DATA_UNAVAILABLE, true }, /* ... or has from someone else */
    { "53100", SHOAL_DATA_NO_SPACE, false },
    { "53200", SHOAL_DATA_NO_MEMORY, false },
    { "42501", SHOAL_DATA_PERMISSION, false },
    { "25006", SHOAL_DATA_PERMISSION, false }, /* read only */
    { "28", SHOAL_DATA_PERMISSION, false },
    { "3F000", SHOAL_DATA_SCHEMA_MISMATCH, false },
    { "42P01", SHOAL_DATA_SCHEMA_MISMATCH, false },
    { "42703", SHOAL_DATA_SCHEMA_MISMATCH, false },
    { "42883", SHOAL_DATA_SCHEMA_MISMATCH, false },
    { "XX001", SHOAL_DATA_DAMAGED, false },
    { "XX002", SHOAL_DATA_DAMAGED, false },
    { "22021", SHOAL_DATA_INVALID, false }, /* text that the database's encoding does not have */
    { "22P05", SHOAL_DATA_INVALID, false },
};

static int32_t fail_connection(struct pg_conn *conn, struct shoal_data_error *error)
{
    char text[320];
    pg_target_scrub(conn->target, text, sizeof text, PQerrorMessage(conn->pg));
    conn->may_retry = true;
    return data_fail(error, SHOAL_DATA_UNAVAILABLE, "The connection to %s was lost: %s",
        conn->target->shown, text[0] == '\0' ? "it was closed." : text);
}

static int32_t fail_result(
    struct pg_conn *conn, const PGresult *result, struct shoal_data_error *error)
{
    const char *state = result == NULL ? NULL : PQresultErrorField(result, PG_DIAG_SQLSTATE);
    if (state == NULL || PQstatus(conn->pg) == CONNECTION_BAD)
        return fail_connection(conn, error);
    if (strcmp(state, "26000") == 0 || strcmp(state, "42P05") == 0)
        conn->may_prepare = false;
    int32_t status = SHOAL_DATA_IO;
    conn->may_retry = false;
    for (size_t i = 0; i < ARRAY_SIZE(sql_states); i++) {
        if (strncmp(state, sql_states[i].start, strlen(sql_states[i].start)) == 0) {
            status = sql_states[i].status;
            conn->may_retry = sql_states[i].may_retry;
            break;
        }
    }
    const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    char text[320];
    pg_target_scrub(conn->target, text, sizeof text, message == NULL ? "" : message);
    return data_fail(
        error, status, "The database %s says: %s (%s).", conn->target->shown, text, state);
}

/* A wait is over: what the server does is not known, so the connection goes. */
static int32_t fail_wait(struct pg_conn *conn, struct shoal_data_error *error)
{
    int fd = PQsocket(conn->pg);
    if (fd >= 0)
        (void)shutdown(fd, SHUT_RDWR); /* PQstatus() says bad from the next use on */
    (void)PQconsumeInput(conn->pg);    /* notices it */
    conn->may_retry = true;
    return data_fail(error, SHOAL_DATA_UNAVAILABLE,
        "The database %s did not answer within %llu ms.", conn->target->shown,
        (unsigned long long)conn->wait_ms);
}

/* ---- Waiting ---- */

/* Waits for the socket until the moment. Gives the events, 0 when the time is over, -errno. */
static int wait_socket(PGconn *pg, short events, uint64_t until_ms)
{
    for (;;) {
        uint64_t now_ms = clock_monotonic_ns() / 1000000;
        uint64_t left_ms = until_ms > now_ms ? until_ms - now_ms : 0;
        struct pollfd poll_fd = { .fd = PQsocket(pg), .events = events };
        int ready = poll(&poll_fd, 1, (int)min_u64(left_ms, 60000));
        if (ready < 0 && errno != EINTR)
            return -errno;
        if (ready > 0)
            return poll_fd.revents;
        if (ready == 0 && left_ms <= 60000)
            return 0;
    }
}

static uint64_t wait_end(const struct pg_conn *conn)
{
    return clock_monotonic_ns() / 1000000 + conn->wait_ms;
}

/* Sends what libpq has in its buffer. */
static int32_t flush(struct pg_conn *conn, struct shoal_data_error *error)
{
    for (;;) {
        int left = PQflush(conn->pg);
        if (left == 0)
            return SHOAL_DATA_OK;
        if (left < 0)
            return fail_connection(conn, error);
        int events = wait_socket(conn->pg, POLLIN | POLLOUT, wait_end(conn));
        if (events == 0)
            return fail_wait(conn, error);
        if (events < 0 || ((events & POLLIN) != 0 && !PQconsumeInput(conn->pg)))
            return fail_connection(conn, error);
    }
}

/* Waits until PQgetResult() does not block. */
static int32_t wait_result(struct pg_conn *conn, struct shoal_data_error *error)
{
    uint64_t until_ms = wait_end(conn);
    while (PQisBusy(conn->pg)) {
        int events = wait_socket(conn->pg, POLLIN, until_ms);
        if (events == 0)
            return fail_wait(conn, error);
        if (events < 0 || !PQconsumeInput(conn->pg))
            return fail_connection(conn, error);
    }
    return SHOAL_DATA_OK;
}

/* The last result of what was sent, checked. One that begins a COPY ends the wait. */
static int32_t take_result(
    struct pg_conn *conn, PGresult **out_result, struct shoal_data_error *error)
{
    PGresult *last = NULL;
    int32_t status = flush(conn, error);
    while (status == SHOAL_DATA_OK) {
        status = wait_result(conn, error);
        if (status != SHOAL_DATA_OK)
            break;
        PGresult *next = PQgetResult(conn->pg);
        if (next == NULL)
            break;
        ExecStatusType is = PQresultStatus(next);
        bool is_bad = is != PGRES_COMMAND_OK && is != PGRES_TUPLES_OK && is != PGRES_COPY_IN &&
                      is != PGRES_COPY_OUT && is != PGRES_EMPTY_QUERY;
        bool was_bad = last != NULL && PQresultStatus(last) == PGRES_FATAL_ERROR;
        if (was_bad) { /* the first failure is the one to tell */
            PQclear(next);
        } else {
            PQclear(last);
            last = next;
        }
        if (!is_bad && (is == PGRES_COPY_IN || is == PGRES_COPY_OUT))
            break;
        if (is_bad && PQstatus(conn->pg) == CONNECTION_BAD)
            break;
    }
    if (status == SHOAL_DATA_OK && (last == NULL || PQresultStatus(last) == PGRES_FATAL_ERROR ||
                                       PQresultStatus(last) == PGRES_BAD_RESPONSE))
        status = fail_result(conn, last, error);
    if (status == SHOAL_DATA_OK && out_result != NULL) {
        *out_result = last;
        last = NULL;
    }
    PQclear(last);
    return status;
}

/* ---- Statements ---- */

int32_t pg_command(struct pg_conn *conn, const char *sql, struct shoal_data_error *error)
{
    if (!PQsendQuery(conn->pg, sql))
        return fail_connection(conn, error);
    return take_result(conn, NULL, error);
}

static bool is_prepared(const struct pg_conn *conn, const struct pg_statement *statement)
{
    for (unsigned i = 0; i < conn->prepared_count; i++) {
        if (conn->prepared[i] == statement)
            return true;
    }
    return false;
}

static int32_t prepare(struct pg_conn *conn, const struct pg_statement *statement,
    const struct pg_params *params, struct shoal_data_error *error)
{
    if (!PQsendPrepare(conn->pg, statement->name, statement->sql, params->count, params->types))
        return fail_connection(conn, error);
    int32_t status = take_result(conn, NULL, error);
    if (status == SHOAL_DATA_OK)
        conn->prepared[conn->prepared_count++] = statement;
    return status;
}

int32_t pg_query(struct pg_conn *conn, const struct pg_statement *statement,
    const struct pg_params *params, PGresult **out_result, struct shoal_data_error *error)
{
    static const struct pg_params none;
    if (params == NULL)
        params = &none;
    bool use_prepared = conn->may_prepare;
    if (use_prepared && !is_prepared(conn, statement)) {
        use_prepared = conn->prepared_count < PG_PREPARED_MAX;
        int32_t status = use_prepared ? prepare(conn, statement, params, error) : SHOAL_DATA_OK;
        if (status != SHOAL_DATA_OK)
            return status;
    }
    int is_sent = use_prepared
                      ? PQsendQueryPrepared(conn->pg, statement->name, params->count,
                            params->values, params->sizes, params->formats, 1)
                      : PQsendQueryParams(conn->pg, statement->sql, params->count, params->types,
                            params->values, params->sizes, params->formats, 1);
    if (!is_sent)
        return fail_connection(conn, error);
    return take_result(conn, out_result, error);
}

int32_t pg_begin(struct pg_conn *conn, uint64_t extra_ms, struct shoal_data_error *error)
{
    char sql[160];
    size_t used = 0;
    conn->wait_ms = conn->timeout_ms + extra_ms;
    int err = text_append(sql, sizeof sql, &used,
        "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL statement_timeout = %llu;%s",
        (unsigned long long)min_u64(conn->wait_ms, INT_MAX),
        conn->must_sync ? " SET LOCAL synchronous_commit = on;" : "");
    assert(err == 0);
    return pg_command(conn, sql, error);
}

int32_t pg_commit(struct pg_conn *conn, struct shoal_data_error *error)
{
    int32_t status = pg_command(conn, "COMMIT", error);
    conn->wait_ms = conn->timeout_ms;
    return status;
}

/* ---- COPY ---- */

int32_t pg_copy_in_begin(struct pg_conn *conn, const char *sql, struct shoal_data_error *error)
{
    return pg_command(conn, sql, error);
}

int32_t pg_copy_in_put(
    struct pg_conn *conn, const void *data, size_t size, struct shoal_data_error *error)
{
    assert(size <= INT_MAX);
    for (;;) {
        int taken = PQputCopyData(conn->pg, data, (int)size);
        if (taken < 0)
            return fail_connection(conn, error);
        if (taken > 0)
            return flush(conn, error);
        int32_t status = flush(conn, error);
        if (status != SHOAL_DATA_OK)
            return status;
    }
}

int32_t pg_copy_in_end(struct pg_conn *conn, struct shoal_data_error *error)
{
    for (;;) {
        int taken = PQputCopyEnd(conn->pg, NULL);
        if (taken < 0)
            return fail_connection(conn, error);
        if (taken > 0)
            return take_result(conn, NULL, error);
        int32_t status = flush(conn, error);
        if (status != SHOAL_DATA_OK)
            return status;
    }
}

int32_t pg_copy_out(struct pg_conn *conn, const char *sql, pg_take_row take, void *context,
    struct shoal_data_error *error)
{
    int32_t status = pg_command(conn, sql, error);
    if (status != SHOAL_DATA_OK)
        return status;
    bool is_taken = true;
    for (;;) {
        char *row = NULL;
        int size = PQgetCopyData(conn->pg, &row, 1);
        if (size > 0) {
            is_taken = is_taken && take(context, (const uint8_t *)row, (size_t)size);
            PQfreemem(row);
            continue;
        }
        if (size == -1)
            break;
        if (size < 0)
            return fail_connection(conn, error);
        int events = wait_socket(conn->pg, POLLIN, wait_end(conn));
        if (events == 0)
            return fail_wait(conn, error);
        if (events < 0 || !PQconsumeInput(conn->pg))
            return fail_connection(conn, error);
    }
    status = take_result(conn, NULL, error);
    if (status == SHOAL_DATA_OK && !is_taken) {
        conn->may_retry = false;
        status = data_fail(error, SHOAL_DATA_NO_MEMORY, "There is no memory left.");
    }
    return status;
}

/* ---- Opening ---- */

/* Whether the reason will still be there at the next attempt. libpq gives no code for a failed connection, only words;
 * in another language they read as a passing failure, and the bounded wait ends it. */
static int32_t final_status(const char *message)
{
    static const struct {
        const char *words;
        int32_t status;
    } reasons[] = {
        { "authentication failed", SHOAL_DATA_PERMISSION },
        { "no password supplied", SHOAL_DATA_PERMISSION },
        { "no pg_hba.conf entry", SHOAL_DATA_PERMISSION },
        { "permission denied for database", SHOAL_DATA_PERMISSION },
        { "\" does not exist", SHOAL_DATA_NOT_FOUND },
        { "certificate", SHOAL_DATA_PERMISSION },
        { "does not support SSL", SHOAL_DATA_UNSUPPORTED },
        { "invalid sslmode", SHOAL_DATA_INVALID },
        { "invalid port", SHOAL_DATA_INVALID },
        { "invalid integer value", SHOAL_DATA_INVALID },
    };
    for (size_t i = 0; i < ARRAY_SIZE(reasons); i++) {
        if (strstr(message, reasons[i].words) != NULL)
            return reasons[i].status;
    }
    return SHOAL_DATA_OK;
}

static int32_t fail_open(
    struct pg_conn *conn, bool is_late, bool *out_is_final, struct shoal_data_error *error)
{
    char text[320];
    const char *message = conn->pg == NULL ? "there is no memory left." : PQerrorMessage(conn->pg);
    pg_target_scrub(
        conn->target, text, sizeof text, is_late ? "it did not answer in time." : message);
    int32_t status = is_late ? SHOAL_DATA_OK : final_status(text);
    *out_is_final = status != SHOAL_DATA_OK;
    return data_fail(error, status == SHOAL_DATA_OK ? SHOAL_DATA_UNAVAILABLE : status,
        "%s cannot be opened: %s", conn->target->shown, text);
}

static int32_t connect_within(
    struct pg_conn *conn, uint64_t wait_ms, bool *out_is_final, struct shoal_data_error *error)
{
    uint64_t until_ms = clock_monotonic_ns() / 1000000 + wait_ms;
    conn->pg = PQconnectStartParams(
        (const char *const *)conn->target->keywords, (const char *const *)conn->target->values, 0);
    if (conn->pg == NULL || PQstatus(conn->pg) == CONNECTION_BAD)
        return fail_open(conn, false, out_is_final, error);
    short events = POLLOUT;
    for (;;) {
        int ready = wait_socket(conn->pg, events, until_ms);
        if (ready <= 0)
            return fail_open(conn, ready == 0, out_is_final, error);
        PostgresPollingStatusType polled = PQconnectPoll(conn->pg);
        if (polled == PGRES_POLLING_OK)
            return SHOAL_DATA_OK;
        if (polled == PGRES_POLLING_FAILED)
            return fail_open(conn, false, out_is_final, error);
        events = polled == PGRES_POLLING_READING ? POLLIN : POLLOUT;
    }
}

/* Asks what stands between us and the server. A pooler in transaction mode invents the process number that it tells at
 * the start, so it differs from the server's. */
static int32_t look_around(struct pg_conn *conn, struct shoal_data_error *error)
{
    static const struct pg_statement ask = { "",
        "SELECT pg_backend_pid(), current_setting('synchronous_commit') = 'off'" };
    conn->may_prepare = false;
    PGresult *result = NULL;
    int32_t status = pg_query(conn, &ask, NULL, &result, error);
    if (status != SHOAL_DATA_OK)
        return status;
    conn->is_pooled = pg_int4(result, 0, 0) != PQbackendPID(conn->pg);
    conn->must_sync = pg_bool(result, 0, 1);
    conn->may_prepare = !conn->is_pooled;
    PQclear(result);
    return SHOAL_DATA_OK;
}

static void ignore_notice(void *context, const char *message)
{
    (void)context; /* NOTICE and WARNING are for people at a terminal: an error comes as a result */
    (void)message;
}

int32_t pg_conn_open(const struct pg_target *target, uint32_t timeout_ms, uint64_t wait_ms,
    struct pg_conn **out_conn, bool *out_is_final, struct shoal_data_error *error)
{
    *out_is_final = false;
    struct pg_conn *conn = calloc(1, sizeof *conn);
    if (conn == NULL)
        return data_fail(error, SHOAL_DATA_NO_MEMORY, "There is no memory left.");
    conn->target = target;
    conn->timeout_ms = timeout_ms;
    conn->wait_ms = min_u64(timeout_ms, wait_ms);
    int32_t status = connect_within(conn, wait_ms, out_is_final, error);
    if (status == SHOAL_DATA_OK) {
        (void)PQsetNoticeProcessor(conn->pg, ignore_notice, NULL);
        (void)PQsetnonblocking(
            conn->pg, 1); /* fails only on a bad connection, which is seen next */
        status = look_around(conn, error);
    }
    if (status != SHOAL_DATA_OK) {
        pg_conn_close(conn);
        return status;
    }
    conn->wait_ms = timeout_ms;
    *out_conn = conn;
    return SHOAL_DATA_OK;
}

void pg_conn_close(struct pg_conn *conn)
{
    if (conn == NULL)
        return;
    PQfinish(conn->pg);
    free(conn);
}

bool pg_conn_is_sound(struct pg_conn *conn)
{
    if (PQstatus(conn->pg) != CONNECTION_OK || PQtransactionStatus(conn->pg) != PQTRANS_IDLE)
        return false;
    struct pollfd poll_fd = { .fd = PQsocket(conn->pg), .events = POLLIN };
    if (poll(&poll_fd, 1, 0) <= 0)
        return true;
    /* A server that goes says so; a parameter's new value may come too, and is fine. */
    return PQconsumeInput(conn->pg) && PQstatus(conn->pg) == CONNECTION_OK && !PQisBusy(conn->pg) &&
           (poll(&poll_fd, 1, 0) <= 0);
}
