/*
 * datastore/migrate/migrate_checkpoints.c - versions of checkpoints, the oldest first, so that the latest stays the latest
 * (room: datastore).
 *
 * A store gives version numbers itself. So a copy says in its metadata what it is a copy of: "migrated_from" with the
 * version, the time of saving and the XXH3-64 of all its bytes. That is how a later pass, or a later run, knows it.
 */
#include <inttypes.h>
#include <jansson.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <xxhash.h>

#include "datastore/migrate/internal.h"

#define PIECE_BYTES (UINT64_C(8) << 20)
#define MARK        "migrated_from"

struct checkpoints_call {
    struct migration *migration;
    const struct shoal_data_list *list;
};

static int32_t no_memory(struct shoal_data_error *error)
{
    return data_fail(error, SHOAL_DATA_NO_MEMORY, "There is no memory left.");
}

/* ---- The mark ---- */

static char *add_mark(const struct shoal_data_checkpoint_info *info, uint64_t hash)
{
    char text[20];
    (void)snprintf(text, sizeof text, "%016" PRIx64, hash); /* fits */
    json_t *metadata = json_loads(info->metadata_json, JSON_ALLOW_NUL, NULL);
    json_t *mark = json_pack("{s:I, s:I, s:s}", "version", (json_int_t)info->version, "saved_s",
        (json_int_t)info->saved_s, "xxh3", text);
    char *marked = NULL;
    if (metadata != NULL && mark != NULL && json_object_set(metadata, MARK, mark) == 0)
        marked = json_dumps(metadata, JSON_COMPACT);
    json_decref(mark);
    json_decref(metadata);
    return marked;
}

/* Whether the item of the destination is a copy of that version; *out_hash is then its hash. */
static bool has_mark(
    const struct shoal_data_item *item, uint64_t version, int64_t saved_s, uint64_t *out_hash)
{
    json_t *metadata = item->text == NULL ? NULL : json_loads(item->text, JSON_ALLOW_NUL, NULL);
    const json_t *mark = json_object_get(metadata, MARK);
    const char *hash = json_string_value(json_object_get(mark, "xxh3"));
    bool is_it = hash != NULL &&
                 json_integer_value(json_object_get(mark, "version")) == (json_int_t)version &&
                 json_integer_value(json_object_get(mark, "saved_s")) == (json_int_t)saved_s;
    if (is_it)
        *out_hash = strtoull(hash, NULL, 16);
    json_decref(metadata);
    return is_it;
}

/* ---- Copying ---- */

struct stream {
    struct migration *migration;
    struct shoal_data_checkpoint *checkpoint;
    XXH3_state_t *hash;
    uint8_t *buffer; /* PIECE_BYTES */
};

static int32_t copy_shard(struct stream *stream, const char *id,
    const struct shoal_data_writer_options *options, struct shoal_data_error *error)
{
    uint64_t start;
    uint64_t size;
    struct shoal_data_writer *writer = NULL;
    int32_t status =
        shoal_data_checkpoint_shard(stream->checkpoint, options->shard_index, &start, &size, error);
    struct shoal_data_writer_options sized = *options;
    sized.size_bytes = size;
    if (status == SHOAL_DATA_OK)
        status = shoal_data_writer_begin(stream->migration->to, id, &sized, &writer, error);
    if (status != SHOAL_DATA_OK)
        return status;
    for (uint64_t at = 0; at < size && status == SHOAL_DATA_OK; at += PIECE_BYTES) {
        uint64_t piece = min_u64(PIECE_BYTES, size - at);
        if (migration_is_stopped(stream->migration))
            status = data_fail(error, SHOAL_DATA_BUSY, "stopped.");
        if (status == SHOAL_DATA_OK)
            status = shoal_data_checkpoint_read(
                stream->checkpoint, start + at, stream->buffer, piece, error);
        if (status == SHOAL_DATA_OK)
            status = shoal_data_writer_write(writer, at, stream->buffer, piece, error);
        if (status == SHOAL_DATA_OK) {
            (void)XXH3_64bits_update(stream->hash, stream->buffer, piece);
            atomic_fetch_add(&stream->migration->options->progress->bytes, piece);
        }
    }
    if (status != SHOAL_DATA_OK) {
        shoal_data_writer_abort(writer);
        return status;
    }
    return shoal_data_writer_finish(writer, error);
}

/* The XXH3-64 of all bytes of a version, as the store gives them out. */
static int32_t hash_version(
    struct stream *stream, uint64_t *out_hash, struct shoal_data_error *error)
{
    struct shoal_data_checkpoint_info info;
    shoal_data_checkpoint_info(stream->checkpoint, &info);
    (void)XXH3_64bits_reset(stream->hash);
    for (uint64_t at = 0; at < info.size_bytes; at += PIECE_BYTES) {
        uint64_t piece = min_u64(PIECE_BYTES, info.size_bytes - at);
        int32_t status =
            shoal_data_checkpoint_read(stream->checkpoint, at, stream->buffer, piece, error);
        if (status != SHOAL_DATA_OK)
            return status;
        (void)XXH3_64bits_update(stream->hash, stream->buffer, piece);
    }
    *out_hash = XXH3_64bits_digest(stream->hash);
    return SHOAL_DATA_OK;
}

/* Reads a version of the destination back and compares it with the hash of the source. */
static int32_t verify(struct migration *migration, const char *id, uint64_t version,
    uint64_t expected, struct shoal_data_error *error)
{
    uint64_t hash = 0;
    struct stream stream = {
        .migration = migration, .hash = XXH3_createState(), .buffer = malloc(PIECE_BYTES)
    };
    int32_t status =
        stream.hash == NULL || stream.buffer == NULL ? no_memory(error) : SHOAL_DATA_OK;
    if (status == SHOAL_DATA_OK)
        status = shoal_data_checkpoint_open(migration->to, id, version, &stream.checkpoint, error);
    if (status == SHOAL_DATA_OK)
        status = hash_version(&stream, &hash, error);
    if (status == SHOAL_DATA_OK && hash != expected)
        status = data_fail(error, SHOAL_DATA_CHECKSUM,
            "version %" PRIu64 " of the copy does not have the bytes of the source.", version);
    shoal_data_checkpoint_close(stream.checkpoint);
    (void)XXH3_freeState(stream.hash); /* cannot fail */
    free(stream.buffer);
    return status;
}

/* Copies the open version and reads the copy back. */
static int32_t copy_open(struct stream *stream, const char *id, struct shoal_data_error *error)
{
    struct migration *migration = stream->migration;
    struct shoal_data_checkpoint_info info;
    shoal_data_checkpoint_info(stream->checkpoint, &info);
    char session[64]; /* the same each time: what a killed run has left is begun again */
    (void)snprintf(session, sizeof session, "migrate-%" PRIu64 "-%" PRId64, info.version,
        info.saved_s); /* fits */
    struct shoal_data_writer_options options = {
        .struct_size = sizeof options, .shard_count = info.shard_count, .session = session
    };
    int32_t status = SHOAL_DATA_OK;
    (void)XXH3_64bits_reset(stream->hash);
    for (uint32_t i = 0; i < info.shard_count && status == SHOAL_DATA_OK; i++) {
        options.shard_index = i;
        status = copy_shard(stream, id, &options, error);
    }
    if (status != SHOAL_DATA_OK)
        return status;
    uint64_t hash = XXH3_64bits_digest(stream->hash);
    uint64_t version = 0;
    char *metadata = add_mark(&info, hash);
    if (metadata == NULL)
        return no_memory(error);
    status = shoal_data_commit_checkpoint(
        migration->to, id, session, info.shard_count, metadata, &version, error);
    free(metadata);
    if (status == SHOAL_DATA_OK)
        status = verify(migration, id, version, hash, error);
    return status;
}

static int32_t copy_version(
    struct migration *migration, const char *id, uint64_t version, struct shoal_data_error *error)
{
    struct stream stream = {
        .migration = migration, .hash = XXH3_createState(), .buffer = malloc(PIECE_BYTES)
    };
    int32_t status =
        stream.hash == NULL || stream.buffer == NULL ? no_memory(error) : SHOAL_DATA_OK;
    if (status == SHOAL_DATA_OK)
        status =
            shoal_data_checkpoint_open(migration->from, id, version, &stream.checkpoint, error);
    if (status == SHOAL_DATA_OK)
        status = copy_open(&stream, id, error);
    if (status == SHOAL_DATA_OK) {
        atomic_fetch_add(&migration->copied, 1);
        atomic_fetch_add(&migration->options->progress->versions, 1);
    }
    shoal_data_checkpoint_close(stream.checkpoint);
    (void)XXH3_freeState(stream.hash); /* cannot fail */
    free(stream.buffer);
    return status;
}

/* Sees to it that the destination has a version of the source. */
static int32_t see_to_version(struct migration *migration, const struct shoal_data_item *item,
    const struct shoal_data_list *there, struct shoal_data_error *error)
{
    uint64_t hash = 0;
    for (uint64_t i = 0; i < shoal_data_list_count(there); i++) {
        const struct shoal_data_item *copy = shoal_data_list_item(there, i);
        if (!has_mark(copy, item->version, item->time_s, &hash))
            continue;
        /* One that an earlier run has made is read back, once; our own was when it was made. */
        return migration->is_first_pass ? verify(migration, item->id, copy->version, hash, error)
                                        : SHOAL_DATA_OK;
    }
    int32_t status = copy_version(migration, item->id, item->version, error);
    /* Removed from the source meanwhile, as retention does: there is nothing to copy. */
    return status == SHOAL_DATA_NOT_FOUND ? SHOAL_DATA_OK : status;
}

static void copy_checkpoint(void *context, uint64_t index)
{
    struct checkpoints_call *call = context;
    struct migration *migration = call->migration;
    const char *id = shoal_data_list_item(call->list, index)->id;
    struct shoal_data_list *source = NULL;
    struct shoal_data_list *there = NULL;
    struct shoal_data_error error;
    int32_t status = shoal_data_list_versions(migration->from, id, &source, &error);
    if (status == SHOAL_DATA_OK) {
        status = shoal_data_list_versions(migration->to, id, &there, &error);
        status = status == SHOAL_DATA_NOT_FOUND ? SHOAL_DATA_OK : status;
    } else if (status == SHOAL_DATA_NOT_FOUND) {
        status = SHOAL_DATA_OK; /* removed meanwhile */
    }
    uint64_t count = shoal_data_list_count(source);
    migration_expect(migration, count);
    for (uint64_t i = count; i > 0 && status == SHOAL_DATA_OK; i--) { /* the oldest first */
        if (migration_is_stopped(migration))
            break;
        status = see_to_version(migration, shoal_data_list_item(source, i - 1), there, &error);
        atomic_fetch_add(&migration->versions, 1);
        migration_done(migration, 1);
    }
    if (status != SHOAL_DATA_OK && !migration_is_stopped(migration))
        migration_fail(migration, id, &error);
    shoal_data_list_free(source);
    shoal_data_list_free(there);
}

void migrate_checkpoints(struct migration *migration)
{
    struct shoal_data_list *list = NULL;
    struct shoal_data_error error;
    if (shoal_data_list_checkpoints(migration->from, &list, &error) != SHOAL_DATA_OK)
        migration_fail(migration, "The checkpoints", &error);
    struct checkpoints_call call = { .migration = migration, .list = list };
    data_parallel(migration->options->threads, shoal_data_list_count(list), copy_checkpoint, &call);
    shoal_data_list_free(list);
}
