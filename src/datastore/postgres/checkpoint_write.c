/*
 * datastore/postgres/checkpoint_write.c - writing shards: a row of shoal_data.chunks per MiB (room: datastore).
 *
 * What covers a whole chunk goes to the database from the caller's memory; the pieces of a chunk that comes in pieces are put
 * together here first, at most PARTS_MAX chunks at a time. A shard begun again gets a new row, so that a writer that was
 * thought dead cannot write into it.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <xxhash.h>

#include "base/lock.h"
#include "base/random.h"
#include "datastore/postgres/backend.h"

#define PARTS_MAX 256u
#define MAP_BYTES ((size_t)PG_CHUNK_BYTES / 8)

/* A chunk of which only pieces have come. */
struct part {
    struct part *next;
    uint64_t chunk;
    uint64_t filled;   /* bytes */
    uint8_t *has_byte; /* a bit each: a piece that comes twice is not counted twice */
    uint8_t data[];
};

struct pg_writer {
    struct pg_backend *backend;
    int64_t shard;
    uint64_t size_bytes; /* announced; 0: unknown */
    struct mutex lock;
    uint8_t *is_stored; /* a byte per chunk; under `lock`, as all below */
    uint64_t stored_room;
    uint64_t end_bytes; /* of the last byte written */
    struct part *parts;
    unsigned part_count;
    bool has_failed;
};

/* ---- Beginning ---- */

struct begin {
    const char *id;
    const struct shoal_data_writer_options *options;
    int64_t shard;
};

static int32_t begin_once(struct pg_conn *conn, void *context, struct shoal_data_error *error)
{
    static const struct pg_statement forget = { "forget_shard",
        "UPDATE shoal_data.shards SET state = 3 WHERE checkpoint = $1 AND session = $2"
        " AND shard_index = $3 AND state < 2" };
    static const struct pg_statement insert = { "begin_shard",
        "INSERT INTO shoal_data.shards (checkpoint, session, shard_index, shard_count, state, "
        "begun_s)"
        " VALUES ($1, $2, $3, $4, 0, $5) RETURNING id" };
    struct begin *begin = context;
    struct pg_params params = { 0 };
    pg_add_text(&params, begin->id);
    pg_add_text(&params, begin->options->session);
    pg_add_int4(&params, (int32_t)begin->options->shard_index);
    PGresult *result = NULL;
    int32_t status = pg_begin(conn, 0, error);
    if (status == SHOAL_DATA_OK)
        status = pg_query(conn, &forget, &params, NULL, error);
    pg_add_int4(&params, (int32_t)begin->options->shard_count);
    pg_add_int8(&params, data_now_s());
    if (status == SHOAL_DATA_OK)
        status = pg_query(conn, &insert, &params, &result, error);
    if (status == SHOAL_DATA_OK)
        begin->shard = pg_int8(result, 0, 0);
    PQclear(result);
    return status == SHOAL_DATA_OK ? pg_commit(conn, error) : status;
}

int32_t pg_writer_begin(void *handle, const char *id,
    const struct shoal_data_writer_options *options, void **out_writer,
    struct shoal_data_error *error)
{
    struct begin begin = { .id = id, .options = options };
    struct pg_writer *writer = calloc(1, sizeof *writer);
    if (writer == NULL)
        return pg_no_memory(NULL, error);
    int32_t status = pg_run(handle, begin_once, &begin, error);
    if (status != SHOAL_DATA_OK) {
        free(writer);
        return status;
    }
    writer->backend = handle;
    writer->shard = begin.shard;
    writer->size_bytes = options->size_bytes;
    (void)pthread_mutex_init(&writer->lock.pthread, NULL); /* cannot fail without attributes */
    *out_writer = writer;
    return SHOAL_DATA_OK;
}

static void writer_free(struct pg_writer *writer)
{
    while (writer->parts != NULL) {
        struct part *part = writer->parts;
        writer->parts = part->next;
        free(part);
    }
    free(writer->is_stored);
    (void)pthread_mutex_destroy(&writer->lock.pthread); /* nobody holds it */
    free(writer);
}

/* ---- Chunks ---- */

struct put {
    int64_t shard;
    uint64_t chunk;
    const uint8_t *data;
    uint64_t size_bytes;
};

static int32_t put_once(struct pg_conn *conn, void *context, struct shoal_data_error *error)
{
    /* DO NOTHING: it is there already when an earlier attempt was committed and its answer was lost. */
    static const struct pg_statement insert = { "put_chunk",
        "INSERT INTO shoal_data.chunks (shard_id, chunk, checksum, data)"
        " SELECT id, $2, $3, $4 FROM shoal_data.shards WHERE id = $1 AND state = 0"
        " ON CONFLICT DO NOTHING" };
    const struct put *put = context;
    struct pg_params params = { 0 };
    pg_add_int8(&params, put->shard);
    pg_add_int8(&params, (int64_t)put->chunk);
    pg_add_int8(&params, (int64_t)XXH3_64bits(put->data, put->size_bytes));
    pg_add_bytes(&params, put->data, put->size_bytes);
    if (!conn->must_sync) /* one statement is a transaction */
        return pg_query(conn, &insert, &params, NULL, error);
    int32_t status = pg_begin(conn, 0, error);
    if (status == SHOAL_DATA_OK)
        status = pg_query(conn, &insert, &params, NULL, error);
    return status == SHOAL_DATA_OK ? pg_commit(conn, error) : status;
}

static int32_t put_chunk(struct pg_writer *writer, uint64_t chunk, const uint8_t *data,
    uint64_t size_bytes, struct shoal_data_error *error)
{
    struct put put = {
        .shard = writer->shard, .chunk = chunk, .data = data, .size_bytes = size_bytes
    };
    return pg_run(writer->backend, put_once, &put, error);
}

/* Notes that the chunk goes to the database now. Errors: INVALID: it did before. */
static int32_t claim_locked(
    struct pg_writer *writer, uint64_t chunk, struct shoal_data_error *error) REQUIRES(writer->lock)
{
    if (chunk >= writer->stored_room) {
        uint64_t room = max_u64(chunk + 1, writer->stored_room * 2);
        uint8_t *bigger = realloc(writer->is_stored, room);
        if (bigger == NULL)
            return pg_no_memory(NULL, error);
        memset(bigger + writer->stored_room, 0, room - writer->stored_room);
        writer->is_stored = bigger;
        writer->stored_room = room;
    }
    if (writer->is_stored[chunk])
        return data_fail(error, SHOAL_DATA_INVALID,
            "The bytes from offset %" PRIu64 " of the shard were written before.",
            chunk * PG_CHUNK_BYTES);
    writer->is_stored[chunk] = 1;
    return SHOAL_DATA_OK;
}

static struct part *find_part_locked(struct pg_writer *writer, uint64_t chunk)
    REQUIRES(writer->lock)
{
    for (struct part *part = writer->parts; part != NULL; part = part->next) {
        if (part->chunk == chunk)
            return part;
    }
    if (writer->part_count == PARTS_MAX)
        return NULL;
    struct part *part = calloc(1, sizeof *part + PG_CHUNK_BYTES + MAP_BYTES);
    if (part == NULL)
        return NULL;
    part->has_byte = part->data + PG_CHUNK_BYTES;
    part->chunk = chunk;
    part->next = writer->parts;
    writer->parts = part;
    writer->part_count++;
    return part;
}

static void fill_part(struct part *part, uint64_t from, const uint8_t *data, uint64_t size_bytes)
{
    memcpy(part->data + from, data, size_bytes);
    for (uint64_t i = from; i < from + size_bytes; i++) {
        uint8_t bit = (uint8_t)(1u << (i % 8));
        part->filled += (part->has_byte[i / 8] & bit) == 0;
        part->has_byte[i / 8] |= bit;
    }
}

static void unlink_part_locked(struct pg_writer *writer, struct part *part) REQUIRES(writer->lock)
{
    struct part **link = &writer->parts;
    while (*link != part)
        link = &(*link)->next;
    *link = part->next;
    writer->part_count--;
}

/* Puts a piece of a chunk to the others; the last one makes the chunk go to the database. */
static int32_t add_piece(struct pg_writer *writer, uint64_t offset, const uint8_t *data,
    uint64_t size_bytes, struct shoal_data_error *error)
{
    uint64_t chunk = offset / PG_CHUNK_BYTES;
    int32_t status = SHOAL_DATA_OK;
    struct part *whole = NULL;
    mutex_lock(&writer->lock);
    if (chunk < writer->stored_room && writer->is_stored[chunk]) {
        status = claim_locked(writer, chunk, error); /* the sentence */
    } else {
        struct part *part = find_part_locked(writer, chunk);
        if (part == NULL)
            status = data_fail(error, SHOAL_DATA_NO_MEMORY,
                "Over %u MiB of the shard are begun and not full: write in order, or in whole MiB.",
                PARTS_MAX);
        else
            fill_part(part, offset % PG_CHUNK_BYTES, data, size_bytes);
        if (part != NULL && part->filled == PG_CHUNK_BYTES) {
            unlink_part_locked(writer, part);
            whole = part;
            status = claim_locked(writer, chunk, error);
        }
    }
    mutex_unlock(&writer->lock);
    if (whole != NULL && status == SHOAL_DATA_OK)
        status = put_chunk(writer, chunk, whole->data, PG_CHUNK_BYTES, error);
    free(whole);
    return status;
}

/* ---- Writing ---- */

struct write_call {
    struct pg_writer *writer;
    uint64_t offset;
    const uint8_t *data;
    uint64_t size_bytes;
    struct shoal_data_error *error; /* under writer->lock, as `status` */
    int32_t status;
};

static void write_one(void *context, uint64_t index)
{
    struct write_call *call = context;
    struct pg_writer *writer = call->writer;
    struct shoal_data_error error;
    uint64_t end = call->offset + call->size_bytes;
    uint64_t chunk = call->offset / PG_CHUNK_BYTES + index;
    uint64_t from = max_u64(call->offset, chunk * PG_CHUNK_BYTES);
    uint64_t to = min_u64(end, (chunk + 1) * PG_CHUNK_BYTES);
    const uint8_t *data = call->data + (from - call->offset);
    int32_t status;
    mutex_lock(&writer->lock);
    status = call->status;
    if (status == SHOAL_DATA_OK && to - from == PG_CHUNK_BYTES)
        status = claim_locked(writer, chunk, &error);
    mutex_unlock(&writer->lock);
    if (status == SHOAL_DATA_OK && to - from == PG_CHUNK_BYTES)
        status = put_chunk(writer, chunk, data, PG_CHUNK_BYTES, &error);
    else if (status == SHOAL_DATA_OK)
        status = add_piece(writer, from, data, to - from, &error);
    mutex_lock(&writer->lock);
    if (status != SHOAL_DATA_OK && call->status == SHOAL_DATA_OK) {
        call->status = status;
        *call->error = error;
        writer->has_failed = true;
    }
    mutex_unlock(&writer->lock);
}

int32_t pg_writer_write(void *handle, uint64_t offset, const void *data, uint64_t size_bytes,
    struct shoal_data_error *error)
{
    struct pg_writer *writer = handle;
    if (writer->size_bytes != 0 && offset + size_bytes > writer->size_bytes)
        return data_fail(error, SHOAL_DATA_INVALID,
            "%" PRIu64 " bytes at offset %" PRIu64 " reach beyond the shard's %" PRIu64 ".",
            size_bytes, offset, writer->size_bytes);
    struct write_call call = {
        .writer = writer, .offset = offset, .data = data, .size_bytes = size_bytes, .error = error
    };
    mutex_lock(&writer->lock);
    writer->end_bytes = max_u64(writer->end_bytes, offset + size_bytes);
    mutex_unlock(&writer->lock);
    uint64_t first = offset / PG_CHUNK_BYTES;
    uint64_t last = (offset + size_bytes - 1) / PG_CHUNK_BYTES;
    data_parallel(writer->backend->threads, last - first + 1, write_one, &call);
    return call.status;
}

/* ---- Ending ---- */

static int32_t fail_hole(uint64_t offset, struct shoal_data_error *error)
{
    return data_fail(error, SHOAL_DATA_INVALID,
        "Not all bytes of the MiB at offset %" PRIu64 " of the shard were written.", offset);
}

/* Sends the last chunk, if it is short, and sees to it that all are there. */
static int32_t complete(struct pg_writer *writer, struct shoal_data_error *error)
{
    if (writer->has_failed)
        return data_fail(error, SHOAL_DATA_INVALID, "A write to the shard has failed.");
    uint64_t size_bytes = max_u64(writer->size_bytes, writer->end_bytes);
    uint64_t chunks = (size_bytes + PG_CHUNK_BYTES - 1) / PG_CHUNK_BYTES;
    uint64_t tail = size_bytes % PG_CHUNK_BYTES;
    int32_t status = SHOAL_DATA_OK;
    for (struct part *part = writer->parts; part != NULL && status == SHOAL_DATA_OK;
         part = part->next) {
        if (part->chunk + 1 != chunks || part->filled != tail)
            return fail_hole(part->chunk * PG_CHUNK_BYTES, error);
        mutex_lock(&writer->lock);
        status = claim_locked(writer, part->chunk, error);
        mutex_unlock(&writer->lock);
        if (status == SHOAL_DATA_OK)
            status = put_chunk(writer, part->chunk, part->data, tail, error);
    }
    for (uint64_t i = 0; i < chunks && status == SHOAL_DATA_OK; i++) {
        if (i >= writer->stored_room || !writer->is_stored[i])
            status = fail_hole(i * PG_CHUNK_BYTES, error);
    }
    writer->end_bytes = size_bytes;
    return status;
}

static int32_t finish_once(struct pg_conn *conn, void *context, struct shoal_data_error *error)
{
    /* The count of the rows is the proof that nothing went past a shard that was begun again. */
    static const struct pg_statement finish = { "finish_shard",
        "UPDATE shoal_data.shards SET state = greatest(state, 1::smallint), size_bytes = $2"
        " WHERE id = $1 AND state < 3 AND (SELECT count(*) FROM shoal_data.chunks WHERE shard_id = "
        "$1) = $3"
        " RETURNING 1" };
    const struct pg_writer *writer = context;
    struct pg_params params = { 0 };
    pg_add_int8(&params, writer->shard);
    pg_add_int8(&params, (int64_t)writer->end_bytes);
    pg_add_int8(&params, (int64_t)((writer->end_bytes + PG_CHUNK_BYTES - 1) / PG_CHUNK_BYTES));
    PGresult *result = NULL;
    int32_t status = pg_begin(conn, writer->end_bytes / PG_CHUNK_BYTES, error);
    if (status == SHOAL_DATA_OK)
        status = pg_query(conn, &finish, &params, &result, error);
    if (status == SHOAL_DATA_OK && PQntuples(result) == 0)
        status = data_fail(error, SHOAL_DATA_NOT_FOUND,
            "The shard was begun again, or given up, by someone else.");
    PQclear(result);
    return status == SHOAL_DATA_OK ? pg_commit(conn, error) : status;
}

static int32_t forget_once(struct pg_conn *conn, void *context, struct shoal_data_error *error)
{
    static const struct pg_statement forget = { "forget_shard_id",
        "UPDATE shoal_data.shards SET state = 3 WHERE id = $1 AND state < 2" };
    const struct pg_writer *writer = context;
    struct pg_params params = { 0 };
    pg_add_int8(&params, writer->shard);
    return pg_query(conn, &forget, &params, NULL, error);
}

void pg_writer_abort(void *handle)
{
    struct pg_writer *writer = handle;
    struct shoal_data_error error;
    int32_t status = pg_run(writer->backend, forget_once, writer, &error);
    if (status == SHOAL_DATA_OK)
        status = pg_sweep_shards(writer->backend, &error);
    (void)status; /* what is left is swept up by clean() */
    writer_free(writer);
}

int32_t pg_writer_finish(void *handle, struct shoal_data_error *error)
{
    struct pg_writer *writer = handle;
    int32_t status = complete(writer, error);
    if (status == SHOAL_DATA_OK)
        status = pg_run(writer->backend, finish_once, writer, error);
    if (status == SHOAL_DATA_OK || status == SHOAL_DATA_UNAVAILABLE)
        writer_free(writer);
    else
        pg_writer_abort(writer);
    return status;
}

/* Its parameters are the interface's. NOLINTNEXTLINE(readability-function-size) */
int32_t pg_save_checkpoint(void *handle, const char *id, const void *data, uint64_t size_bytes,
    const char *metadata_json, uint64_t *out_version, struct shoal_data_error *error)
{
    char session[48] = "save-";
    random_hex(session + 5, 32);
    struct shoal_data_writer_options options = { .struct_size = sizeof options,
        .shard_count = 1,
        .session = session,
        .size_bytes = size_bytes };
    void *writer = NULL;
    int32_t status = pg_writer_begin(handle, id, &options, &writer, error);
    if (status != SHOAL_DATA_OK || writer == NULL) /* both or none */
        return status;
    if (size_bytes > 0)
        status = pg_writer_write(writer, 0, data, size_bytes, error);
    if (status != SHOAL_DATA_OK) {
        if (status == SHOAL_DATA_UNAVAILABLE)
            writer_free(writer); /* giving it up would only wait once more */
        else
            pg_writer_abort(writer);
        return status;
    }
    status = pg_writer_finish(writer, error);
    if (status != SHOAL_DATA_OK)
        return status;
    return pg_commit_checkpoint(handle, id, session, 1, metadata_json, out_version, error);
}
