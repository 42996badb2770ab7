/*
 * datastore/postgres/checkpoint_commit.c - making a version of shards, and removing versions (room: datastore). Both hold the row
 * of the checkpoint, so they come one after the other; readers see the switch when the transaction is committed.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"
#include "datastore/postgres/backend.h"

#define SWEEP_CHUNKS 64                   /* removed by one transaction */
#define STALE_S      (INT64_C(7) * 86400) /* a shard begun before and never committed is given up */

/* ---- Committing ---- */

struct commit {
    const char *id;
    const char *session;
    uint32_t shard_count;
    const char *metadata_json;
    uint8_t key[16];
    uint64_t version;
    int64_t last_version;
    uint64_t size_bytes;
};

/* Holds the checkpoint's row, which is made when it is missing, until the end of the transaction. */
static int32_t lock_checkpoint(
    struct pg_conn *conn, struct commit *commit, struct shoal_data_error *error)
{
    static const struct pg_statement make = { "make_checkpoint",
        "INSERT INTO shoal_data.checkpoints (id, latest, last_version) VALUES ($1, 0, 0)"
        " ON CONFLICT DO NOTHING" };
    static const struct pg_statement lock = { "lock_checkpoint",
        "SELECT last_version FROM shoal_data.checkpoints WHERE id = $1 FOR UPDATE" };
    struct pg_params params = { 0 };
    pg_add_text(&params, commit->id);
    PGresult *result = NULL;
    int32_t status = pg_query(conn, &make, &params, NULL, error);
    if (status == SHOAL_DATA_OK)
        status = pg_query(conn, &lock, &params, &result, error);
    if (status == SHOAL_DATA_OK && PQntuples(result) == 0) { /* removed between the two */
        conn->may_retry = true;
        status =
            data_fail(error, SHOAL_DATA_BUSY, "The checkpoint is being removed by someone else.");
    }
    if (status == SHOAL_DATA_OK)
        commit->last_version = pg_int8(result, 0, 0);
    PQclear(result);
    return status;
}

/* The version that an earlier attempt has made; 0: none. */
static int32_t find_done(
    struct pg_conn *conn, struct commit *commit, struct shoal_data_error *error)
{
    static const struct pg_statement find = { "find_version_key",
        "SELECT version FROM shoal_data.versions WHERE key = $1" };
    struct pg_params params = { 0 };
    pg_add_uuid(&params, commit->key);
    PGresult *result = NULL;
    int32_t status = pg_query(conn, &find, &params, &result, error);
    if (status == SHOAL_DATA_OK)
        commit->version = PQntuples(result) == 0 ? 0 : (uint64_t)pg_int8(result, 0, 0);
    PQclear(result);
    return status;
}

/* Says which shards are not finished. */
static int32_t fail_missing(const struct commit *commit, const uint8_t *is_there, uint32_t count,
    struct shoal_data_error *error)
{
    char list[160] = "";
    size_t used = 0;
    uint32_t missing = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (is_there[i])
            continue;
        if (missing++ < 16) {
            int err = text_append(list, sizeof list, &used, "%s%u", used == 0 ? "" : ", ", i);
            (void)err; /* 16 numbers fit */
        }
    }
    return data_fail(error, SHOAL_DATA_NOT_FOUND,
        "Of the %u shards of session %s, %u are not finished: %s%s.", commit->shard_count,
        commit->session, missing, list, missing > 16 ? ", ..." : "");
}

static int32_t check_shards(
    struct pg_conn *conn, struct commit *commit, struct shoal_data_error *error)
{
    static const struct pg_statement find = { "session_shards",
        "SELECT shard_index, shard_count, size_bytes FROM shoal_data.shards"
        " WHERE checkpoint = $1 AND session = $2 AND state = 1 FOR UPDATE" };
    struct pg_params params = { 0 };
    pg_add_text(&params, commit->id);
    pg_add_text(&params, commit->session);
    uint8_t *is_there = calloc(commit->shard_count, 1);
    if (is_there == NULL)
        return pg_no_memory(conn, error);
    PGresult *result = NULL;
    int32_t status = pg_query(conn, &find, &params, &result, error);
    int rows = status == SHOAL_DATA_OK ? PQntuples(result) : 0;
    uint32_t found = 0;
    commit->size_bytes = 0;
    for (int row = 0; row < rows && status == SHOAL_DATA_OK; row++) {
        uint32_t index = (uint32_t)pg_int4(result, row, 0);
        uint32_t count = (uint32_t)pg_int4(result, row, 1);
        if (count != commit->shard_count || index >= commit->shard_count) {
            status = data_fail(error, SHOAL_DATA_INVALID,
                "Shard %u of session %s was begun as one of %u, not of %u.", index, commit->session,
                count, commit->shard_count);
            break;
        }
        found += is_there[index] == 0;
        is_there[index] = 1;
        commit->size_bytes += (uint64_t)pg_int8(result, row, 2);
    }
    if (status == SHOAL_DATA_OK && found != commit->shard_count)
        status = fail_missing(commit, is_there, commit->shard_count, error);
    PQclear(result);
    free(is_there);
    return status;
}

static int32_t insert_version(
    struct pg_conn *conn, const struct commit *commit, struct shoal_data_error *error)
{
    static const struct pg_statement insert = { "insert_version",
        "INSERT INTO shoal_data.versions (checkpoint, version, key, saved_s, size_bytes, "
        "shard_count, metadata)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7)" };
    int64_t saved_s = data_now_s();
    char path[512];
    (void)snprintf(
        path, sizeof path, "%s/models/checkpoints/%s", conn->target->shown, commit->id); /* fits */
    char *metadata = data_metadata_text(
        commit->metadata_json, saved_s, path, commit->version, commit->size_bytes);
    if (metadata == NULL)
        return pg_no_memory(conn, error);
    struct pg_params params = { 0 };
    pg_add_text(&params, commit->id);
    pg_add_int8(&params, (int64_t)commit->version);
    pg_add_uuid(&params, commit->key);
    pg_add_int8(&params, saved_s);
    pg_add_int8(&params, (int64_t)commit->size_bytes);
    pg_add_int4(&params, (int32_t)commit->shard_count);
    pg_add_text(&params, metadata);
    int32_t status = pg_query(conn, &insert, &params, NULL, error);
    free(metadata);
    return status;
}

static int32_t switch_latest(
    struct pg_conn *conn, const struct commit *commit, struct shoal_data_error *error)
{
    static const struct pg_statement take = { "take_shards",
        "UPDATE shoal_data.shards s SET state = 2, version = $3, start_bytes = x.start_bytes FROM ("
        "  SELECT id, (sum(size_bytes) OVER (ORDER BY shard_index))::bigint - size_bytes AS "
        "start_bytes"
        "  FROM shoal_data.shards WHERE checkpoint = $1 AND session = $2 AND state = 1) x"
        " WHERE s.id = x.id" };
    static const struct pg_statement point = { "switch_latest",
        "UPDATE shoal_data.checkpoints SET latest = $2, last_version = $2 WHERE id = $1" };
    struct pg_params shards = { 0 };
    pg_add_text(&shards, commit->id);
    pg_add_text(&shards, commit->session);
    pg_add_int8(&shards, (int64_t)commit->version);
    struct pg_params latest = { 0 };
    pg_add_text(&latest, commit->id);
    pg_add_int8(&latest, (int64_t)commit->version);
    int32_t status = pg_query(conn, &take, &shards, NULL, error);
    return status == SHOAL_DATA_OK ? pg_query(conn, &point, &latest, NULL, error) : status;
}

static int32_t commit_once(struct pg_conn *conn, void *context, struct shoal_data_error *error)
{
    struct commit *commit = context;
    int32_t status = pg_begin(conn, 0, error);
    if (status == SHOAL_DATA_OK)
        status = lock_checkpoint(conn, commit, error);
    if (status == SHOAL_DATA_OK)
        status = find_done(conn, commit, error);
    if (status != SHOAL_DATA_OK || commit->version != 0)
        return status == SHOAL_DATA_OK ? pg_commit(conn, error) : status;
    commit->version = (uint64_t)commit->last_version + 1;
    status = check_shards(conn, commit, error);
    if (status == SHOAL_DATA_OK)
        status = insert_version(conn, commit, error);
    if (status == SHOAL_DATA_OK)
        status = switch_latest(conn, commit, error);
    return status == SHOAL_DATA_OK ? pg_commit(conn, error) : status;
}

/* Its parameters are the interface's. NOLINTNEXTLINE(readability-function-size) */
int32_t pg_commit_checkpoint(void *handle, const char *id, const char *session,
    uint32_t shard_count, const char *metadata_json, uint64_t *out_version,
    struct shoal_data_error *error)
{
    struct commit commit = {
        .id = id, .session = session, .shard_count = shard_count, .metadata_json = metadata_json
    };
    pg_new_key(commit.key);
    int32_t status = pg_run(handle, commit_once, &commit, error);
    if (status == SHOAL_DATA_OK)
        *out_version = commit.version;
    return status;
}

/* ---- Removing ---- */

struct removal {
    const char *id;
    const char *session;
    uint64_t version; /* 0: all */
    uint8_t key[16];
};

static int32_t abort_once(struct pg_conn *conn, void *context, struct shoal_data_error *error)
{
    static const struct pg_statement forget = { "abort_session",
        "UPDATE shoal_data.shards SET state = 3 WHERE checkpoint = $1 AND session = $2 AND state < "
        "2" };
    const struct removal *removal = context;
    struct pg_params params = { 0 };
    pg_add_text(&params, removal->id);
    pg_add_text(&params, removal->session);
    return pg_query(conn, &forget, &params, NULL, error);
}

int32_t pg_abort_checkpoint(
    void *handle, const char *id, const char *session, struct shoal_data_error *error)
{
    struct removal removal = { .id = id, .session = session };
    int32_t status = pg_run(handle, abort_once, &removal, error);
    return status == SHOAL_DATA_OK ? pg_sweep_shards(handle, error) : status;
}

/* Takes versions away from readers, in the open transaction. */
static int32_t remove_versions(
    struct pg_conn *conn, const struct removal *removal, struct shoal_data_error *error)
{
    static const struct pg_statement lock = { "lock_checkpoint_row",
        "SELECT last_version FROM shoal_data.checkpoints WHERE id = $1 FOR UPDATE" };
    static const struct pg_statement remove = { "remove_versions",
        "DELETE FROM shoal_data.versions WHERE checkpoint = $1 AND ($2 = 0 OR version = $2) "
        "RETURNING 1" };
    static const struct pg_statement forget = { "forget_version",
        "UPDATE shoal_data.shards SET state = 3 WHERE checkpoint = $1 AND state = 2"
        " AND ($2 = 0 OR version = $2)" };
    static const struct pg_statement point = { "switch_back",
        "UPDATE shoal_data.checkpoints SET latest = coalesce((SELECT max(version) FROM "
        "shoal_data.versions"
        " WHERE checkpoint = $1), 0) WHERE id = $1 AND $2 <> 0" };
    static const struct pg_statement drop = { "drop_checkpoint",
        "DELETE FROM shoal_data.checkpoints WHERE id = $1 AND $2 = 0" };
    struct pg_params id = { 0 };
    pg_add_text(&id, removal->id);
    struct pg_params params = { 0 };
    pg_add_text(&params, removal->id);
    pg_add_int8(&params, (int64_t)removal->version);
    PGresult *result = NULL;
    int32_t status = pg_query(conn, &lock, &id, NULL, error);
    if (status == SHOAL_DATA_OK)
        status = pg_query(conn, &remove, &params, &result, error);
    if (status == SHOAL_DATA_OK && PQntuples(result) == 0)
        status = data_fail(error, SHOAL_DATA_NOT_FOUND,
            "There is no version %" PRIu64 " of checkpoint %s.", removal->version, removal->id);
    PQclear(result);
    const struct pg_statement *const rest[] = { &forget, &point, &drop };
    for (size_t i = 0; status == SHOAL_DATA_OK && i < ARRAY_SIZE(rest); i++)
        status = pg_query(conn, rest[i], &params, NULL, error);
    return status;
}

static int32_t remove_once(struct pg_conn *conn, void *context, struct shoal_data_error *error)
{
    const struct removal *removal = context;
    bool is_done = false;
    int32_t status = pg_begin(conn, 0, error);
    if (status == SHOAL_DATA_OK)
        status = pg_note_call(conn, removal->key, &is_done, error);
    if (status == SHOAL_DATA_OK && !is_done)
        status = remove_versions(conn, removal, error);
    return status == SHOAL_DATA_OK ? pg_commit(conn, error) : status;
}

int32_t pg_delete_version(
    void *handle, const char *id, uint64_t version, struct shoal_data_error *error)
{
    struct removal removal = { .id = id, .version = version };
    pg_new_key(removal.key);
    int32_t status = pg_run(handle, remove_once, &removal, error);
    return status == SHOAL_DATA_OK ? pg_sweep_shards(handle, error) : status;
}

int32_t pg_delete_checkpoint(void *handle, const char *id, struct shoal_data_error *error)
{
    return pg_delete_version(handle, id, 0, error);
}

/* ---- Sweeping ---- */

/* Removes some chunks of one shard that is gone, or the shard when it has none. *context: whether there was one. */
static int32_t sweep_once(struct pg_conn *conn, void *context, struct shoal_data_error *error)
{
    static const struct pg_statement find = { "find_gone",
        "SELECT id FROM shoal_data.shards WHERE state = 3 ORDER BY id LIMIT 1 FOR UPDATE SKIP "
        "LOCKED" };
    static const struct pg_statement remove = { "sweep_chunks",
        "DELETE FROM shoal_data.chunks WHERE shard_id = $1 AND chunk IN (SELECT chunk"
        " FROM shoal_data.chunks WHERE shard_id = $1 ORDER BY chunk LIMIT $2) RETURNING 1" };
    static const struct pg_statement drop = { "drop_shard",
        "DELETE FROM shoal_data.shards WHERE id = $1" };
    bool *has_more = context;
    PGresult *result = NULL;
    *has_more = false;
    int32_t status = pg_begin(conn, 0, error);
    if (status == SHOAL_DATA_OK)
        status = pg_query(conn, &find, NULL, &result, error);
    if (status != SHOAL_DATA_OK)
        return status;
    *has_more = PQntuples(result) > 0;
    struct pg_params id = { 0 };
    pg_add_int8(&id, *has_more ? pg_int8(result, 0, 0) : 0);
    PQclear(result);
    struct pg_params params = id;
    params.values[0] = (const char *)&params.numbers[0];
    pg_add_int8(&params, SWEEP_CHUNKS);
    int removed = 0;
    if (*has_more) {
        status = pg_query(conn, &remove, &params, &result, error);
        removed = status == SHOAL_DATA_OK ? PQntuples(result) : 0;
        if (status == SHOAL_DATA_OK)
            PQclear(result);
    }
    if (status == SHOAL_DATA_OK && *has_more && removed < SWEEP_CHUNKS)
        status = pg_query(conn, &drop, &id, NULL, error);
    return status == SHOAL_DATA_OK ? pg_commit(conn, error) : status;
}

static int32_t give_up_once(struct pg_conn *conn, void *context, struct shoal_data_error *error)
{
    static const struct pg_statement forget = { "give_up_stale",
        "UPDATE shoal_data.shards SET state = 3 WHERE state < 2 AND begun_s < $1" };
    (void)context;
    struct pg_params params = { 0 };
    pg_add_int8(&params, data_now_s() - STALE_S);
    return pg_query(conn, &forget, &params, NULL, error);
}

int32_t pg_sweep_shards(struct pg_backend *backend, struct shoal_data_error *error)
{
    int32_t status = pg_run(backend, give_up_once, NULL, error);
    bool has_more = true;
    while (status == SHOAL_DATA_OK && has_more)
        status = pg_run(backend, sweep_once, &has_more, error);
    return status;
}
