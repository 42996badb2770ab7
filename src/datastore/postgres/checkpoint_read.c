/*
 * datastore/postgres/checkpoint_read.c - listing, opening and reading versions (room: datastore). A range is read chunk by chunk
 * on several connections; each chunk is compared with its checksum before a byte of it is given out.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <xxhash.h>

#include "base/lock.h"
#include "datastore/postgres/backend.h"

struct shard {
    int64_t id;
    uint64_t start_bytes;
    uint64_t size_bytes;
};

struct pg_checkpoint {
    struct pg_backend *backend;
    char id[DATA_NAME_SIZE_MAX + 1];
    uint64_t version;
    uint64_t size_bytes;
    int64_t saved_s;
    char *metadata;
    uint32_t shard_count;
    struct shard *shards;
};

/* ---- Opening ---- */

void pg_checkpoint_close(void *handle)
{
    struct pg_checkpoint *checkpoint = handle;
    if (checkpoint == NULL)
        return;
    free(checkpoint->metadata);
    free(checkpoint->shards);
    free(checkpoint);
}

static int32_t take_version(struct pg_conn *conn, struct pg_checkpoint *checkpoint,
    const PGresult *result, struct shoal_data_error *error)
{
    uint32_t rows = (uint32_t)PQntuples(result);
    checkpoint->version = (uint64_t)pg_int8(result, 0, 0);
    checkpoint->saved_s = pg_int8(result, 0, 1);
    checkpoint->size_bytes = (uint64_t)pg_int8(result, 0, 2);
    checkpoint->shard_count = (uint32_t)pg_int4(result, 0, 3);
    free(checkpoint->metadata); /* of an earlier attempt */
    free(checkpoint->shards);
    checkpoint->metadata = strdup(pg_text(result, 0, 4));
    checkpoint->shards = calloc(rows, sizeof *checkpoint->shards);
    if (checkpoint->metadata == NULL || checkpoint->shards == NULL)
        return pg_no_memory(conn, error);
    uint64_t end = 0;
    for (uint32_t i = 0; i < rows; i++) {
        checkpoint->shards[i] = (struct shard){ .id = pg_int8(result, (int)i, 5),
            .start_bytes = (uint64_t)pg_int8(result, (int)i, 6),
            .size_bytes = (uint64_t)pg_int8(result, (int)i, 7) };
        if (checkpoint->shards[i].start_bytes != end)
            break;
        end += checkpoint->shards[i].size_bytes;
    }
    if (rows != checkpoint->shard_count || end != checkpoint->size_bytes)
        return data_fail(error, SHOAL_DATA_DAMAGED,
            "The rows of shoal_data.shards for version %" PRIu64
            " of checkpoint %s do not make up its %" PRIu64 " bytes.",
            checkpoint->version, checkpoint->id, checkpoint->size_bytes);
    return SHOAL_DATA_OK;
}

static int32_t open_once(struct pg_conn *conn, void *context, struct shoal_data_error *error)
{
    static const struct pg_statement find = { "open_version",
        "SELECT v.version, v.saved_s, v.size_bytes, v.shard_count,"
        " CASE WHEN s.shard_index = 0 THEN v.metadata END, s.id, s.start_bytes, s.size_bytes"
        " FROM shoal_data.versions v JOIN shoal_data.shards s"
        " ON s.checkpoint = v.checkpoint AND s.version = v.version AND s.state = 2"
        " WHERE v.checkpoint = $1 AND v.version = CASE WHEN $2 = 0 THEN"
        " (SELECT latest FROM shoal_data.checkpoints WHERE id = $1) ELSE $2 END"
        " ORDER BY s.shard_index" };
    struct pg_checkpoint *checkpoint = context;
    struct pg_params params = { 0 };
    pg_add_text(&params, checkpoint->id);
    pg_add_int8(&params, (int64_t)checkpoint->version);
    PGresult *result = NULL;
    int32_t status = pg_query(conn, &find, &params, &result, error);
    if (status != SHOAL_DATA_OK)
        return status;
    if (PQntuples(result) == 0 && checkpoint->version == 0)
        status =
            data_fail(error, SHOAL_DATA_NOT_FOUND, "There is no checkpoint %s.", checkpoint->id);
    else if (PQntuples(result) == 0)
        status = data_fail(error, SHOAL_DATA_NOT_FOUND,
            "There is no version %" PRIu64 " of checkpoint %s.", checkpoint->version,
            checkpoint->id);
    else
        status = take_version(conn, checkpoint, result, error);
    PQclear(result);
    return status;
}

int32_t pg_checkpoint_open(void *handle, const char *id, uint64_t version, void **out_checkpoint,
    struct shoal_data_error *error)
{
    struct pg_checkpoint *checkpoint = calloc(1, sizeof *checkpoint);
    if (checkpoint == NULL)
        return pg_no_memory(NULL, error);
    checkpoint->backend = handle;
    checkpoint->version = version;
    (void)snprintf(checkpoint->id, sizeof checkpoint->id, "%s", id); /* checked: it fits */
    int32_t status = pg_run(handle, open_once, checkpoint, error);
    if (status != SHOAL_DATA_OK) {
        pg_checkpoint_close(checkpoint);
        return status;
    }
    *out_checkpoint = checkpoint;
    return SHOAL_DATA_OK;
}

void pg_checkpoint_info(const void *handle, struct shoal_data_checkpoint_info *out_info)
{
    const struct pg_checkpoint *checkpoint = handle;
    *out_info = (struct shoal_data_checkpoint_info){ .version = checkpoint->version,
        .size_bytes = checkpoint->size_bytes,
        .saved_s = checkpoint->saved_s,
        .metadata_json = checkpoint->metadata,
        .shard_count = checkpoint->shard_count,
        .is_verified = 1 };
}

int32_t pg_checkpoint_shard(const void *handle, uint32_t shard_index, uint64_t *out_offset,
    uint64_t *out_size_bytes, struct shoal_data_error *error)
{
    const struct pg_checkpoint *checkpoint = handle;
    if (shard_index >= checkpoint->shard_count)
        return data_fail(error, SHOAL_DATA_INVALID,
            "Checkpoint %s has %u shards; there is no shard %u.", checkpoint->id,
            checkpoint->shard_count, shard_index);
    *out_offset = checkpoint->shards[shard_index].start_bytes;
    *out_size_bytes = checkpoint->shards[shard_index].size_bytes;
    return SHOAL_DATA_OK;
}

/* ---- Reading ---- */

/* A part of one chunk that is wanted. */
struct piece {
    const struct pg_checkpoint *checkpoint;
    const struct shard *shard;
    uint64_t chunk;
    uint64_t from; /* in the chunk */
    uint64_t size_bytes;
    uint8_t *to;
};

struct read_call {
    struct pg_backend *backend;
    struct piece *pieces;
    struct mutex lock;
    struct shoal_data_error *error; /* under `lock`, as `status` */
    int32_t status;
};

/* Why a chunk is not there: the version was removed, or the database has lost it. */
static int32_t fail_missing(
    struct pg_conn *conn, const struct piece *piece, struct shoal_data_error *error)
{
    static const struct pg_statement find = { "find_shard",
        "SELECT 1 FROM shoal_data.shards WHERE id = $1 AND state = 2" };
    struct pg_params params = { 0 };
    pg_add_int8(&params, piece->shard->id);
    PGresult *result = NULL;
    int32_t status = pg_query(conn, &find, &params, &result, error);
    if (status != SHOAL_DATA_OK)
        return status;
    bool is_there = PQntuples(result) > 0;
    PQclear(result);
    const struct pg_checkpoint *checkpoint = piece->checkpoint;
    if (!is_there)
        return data_fail(error, SHOAL_DATA_NOT_FOUND,
            "Version %" PRIu64 " of checkpoint %s was removed meanwhile.", checkpoint->version,
            checkpoint->id);
    return data_fail(error, SHOAL_DATA_CHECKSUM,
        "Version %" PRIu64 " of checkpoint %s: the chunk %" PRIu64 " of shard %" PRId64
        " is missing in shoal_data.chunks.",
        checkpoint->version, checkpoint->id, piece->chunk, piece->shard->id);
}

static int32_t read_once(struct pg_conn *conn, void *context, struct shoal_data_error *error)
{
    static const struct pg_statement get = { "get_chunk",
        "SELECT checksum, data FROM shoal_data.chunks WHERE shard_id = $1 AND chunk = $2" };
    const struct piece *piece = context;
    struct pg_params params = { 0 };
    pg_add_int8(&params, piece->shard->id);
    pg_add_int8(&params, (int64_t)piece->chunk);
    PGresult *result = NULL;
    int32_t status = pg_query(conn, &get, &params, &result, error);
    if (status != SHOAL_DATA_OK)
        return status;
    if (PQntuples(result) == 0) {
        PQclear(result);
        return fail_missing(conn, piece, error);
    }
    uint64_t start = piece->chunk * PG_CHUNK_BYTES;
    uint64_t size_bytes = min_u64(PG_CHUNK_BYTES, piece->shard->size_bytes - start);
    const char *data = PQgetvalue(result, 0, 1);
    if (pg_size(result, 0, 1) != size_bytes ||
        XXH3_64bits(data, size_bytes) != (uint64_t)pg_int8(result, 0, 0)) {
        status = data_fail(error, SHOAL_DATA_CHECKSUM,
            "Version %" PRIu64 " of checkpoint %s is damaged at offset %" PRIu64 ": chunk %" PRIu64
            " of shard %" PRId64 " in shoal_data.chunks.",
            piece->checkpoint->version, piece->checkpoint->id, piece->shard->start_bytes + start,
            piece->chunk, piece->shard->id);
    } else {
        memcpy(piece->to, data + piece->from, piece->size_bytes);
    }
    PQclear(result);
    return status;
}

static void read_piece(void *context, uint64_t index)
{
    struct read_call *call = context;
    struct shoal_data_error error;
    mutex_lock(&call->lock);
    bool is_over = call->status != SHOAL_DATA_OK;
    mutex_unlock(&call->lock);
    if (is_over)
        return;
    int32_t status = pg_run(call->backend, read_once, &call->pieces[index], &error);
    mutex_lock(&call->lock);
    if (status != SHOAL_DATA_OK && call->status == SHOAL_DATA_OK) {
        call->status = status;
        *call->error = error;
    }
    mutex_unlock(&call->lock);
}

/* Writes the pieces of the range and gives their number. The pieces point into the buffer, so it is not const:
 * NOLINTNEXTLINE(readability-non-const-parameter) */
static uint64_t cut_pieces(const struct pg_checkpoint *checkpoint, uint64_t offset, uint8_t *buffer,
    uint64_t size_bytes, struct piece *pieces)
{
    uint64_t count = 0;
    uint64_t end = offset + size_bytes;
    for (uint32_t i = 0; i < checkpoint->shard_count; i++) {
        const struct shard *shard = &checkpoint->shards[i];
        uint64_t at = max_u64(offset, shard->start_bytes);
        uint64_t shard_end = min_u64(end, shard->start_bytes + shard->size_bytes);
        while (at < shard_end) {
            uint64_t inside = at - shard->start_bytes;
            uint64_t from = inside % PG_CHUNK_BYTES;
            uint64_t size = min_u64(PG_CHUNK_BYTES - from, shard_end - at);
            pieces[count++] = (struct piece){ .checkpoint = checkpoint,
                .shard = shard,
                .chunk = inside / PG_CHUNK_BYTES,
                .from = from,
                .size_bytes = size,
                .to = &buffer[at - offset] };
            at += size;
        }
    }
    return count;
}

int32_t pg_checkpoint_read(void *handle, uint64_t offset, void *buffer, uint64_t size_bytes,
    struct shoal_data_error *error)
{
    const struct pg_checkpoint *checkpoint = handle;
    /* Each shard may begin one more chunk than its bytes need. */
    uint64_t room = size_bytes / PG_CHUNK_BYTES + 2 + 2 * (uint64_t)checkpoint->shard_count;
    struct read_call call = { .backend = checkpoint->backend, .error = error };
    call.pieces = calloc(room, sizeof *call.pieces);
    if (call.pieces == NULL)
        return pg_no_memory(NULL, error);
    uint64_t count = cut_pieces(checkpoint, offset, buffer, size_bytes, call.pieces);
    assert(count <= room);
    (void)pthread_mutex_init(&call.lock.pthread, NULL); /* cannot fail without attributes */
    data_parallel(checkpoint->backend->threads, count, read_piece, &call);
    (void)pthread_mutex_destroy(&call.lock.pthread); /* nobody holds it */
    free(call.pieces);
    return call.status;
}

/* ---- Lists ---- */

struct list_call {
    const char *id; /* NULL: the latest versions of all */
    struct shoal_data_list *list;
};

static int add_version(struct shoal_data_list *list, const PGresult *result, int row)
{
    char *text = strdup(pg_text(result, row, 4));
    if (text == NULL)
        return -ENOMEM;
    struct shoal_data_item item = { .id = pg_text(result, row, 0),
        .name = pg_text(result, row, 0),
        .generation = -1,
        .version = (uint64_t)pg_int8(result, row, 1),
        .time_s = pg_int8(result, row, 2),
        .size_bytes = (uint64_t)pg_int8(result, row, 3),
        .text = text };
    return data_list_add_taking(list, &item);
}

static int32_t list_once(struct pg_conn *conn, void *context, struct shoal_data_error *error)
{
    static const struct pg_statement latest = {
        "list_checkpoints",
        "SELECT v.checkpoint, v.version, v.saved_s, v.size_bytes, v.metadata FROM "
        "shoal_data.checkpoints c"
        " JOIN shoal_data.versions v ON v.checkpoint = c.id AND v.version = c.latest ORDER BY c.id"
    };
    static const struct pg_statement versions = { "list_versions",
        "SELECT checkpoint, version, saved_s, size_bytes, metadata FROM shoal_data.versions"
        " WHERE checkpoint = $1 ORDER BY version DESC" };
    struct list_call *call = context;
    struct pg_params params = { 0 };
    if (call->id != NULL)
        pg_add_text(&params, call->id);
    PGresult *result = NULL;
    int32_t status =
        pg_query(conn, call->id == NULL ? &latest : &versions, &params, &result, error);
    if (status != SHOAL_DATA_OK)
        return status;
    shoal_data_list_free(call->list); /* of an earlier attempt */
    call->list = data_list_new();
    int err = call->list == NULL ? -ENOMEM : 0;
    for (int row = 0; err == 0 && row < PQntuples(result); row++)
        err = add_version(call->list, result, row);
    if (err < 0)
        status = pg_no_memory(conn, error);
    else if (call->id != NULL && PQntuples(result) == 0)
        status = data_fail(error, SHOAL_DATA_NOT_FOUND, "There is no checkpoint %s.", call->id);
    PQclear(result);
    return status;
}

static int32_t list_call(void *backend, const char *id, struct shoal_data_list **out_list,
    struct shoal_data_error *error)
{
    struct list_call call = { .id = id };
    int32_t status = pg_run(backend, list_once, &call, error);
    if (status == SHOAL_DATA_OK)
        *out_list = call.list;
    else
        shoal_data_list_free(call.list);
    return status;
}

int32_t pg_list_checkpoints(
    void *handle, struct shoal_data_list **out_list, struct shoal_data_error *error)
{
    return list_call(handle, NULL, out_list, error);
}

int32_t pg_list_versions(
    void *handle, const char *id, struct shoal_data_list **out_list, struct shoal_data_error *error)
{
    return list_call(handle, id, out_list, error);
}
