/*
 * datastore/postgres/backend.h - the open backend, and how its calls run: again after a failure that passes, and never twice
 * (room: datastore). Only for the files of this folder.
 */
#pragma once

#include "datastore/postgres/pool.h"

struct pg_backend {
    struct pg_target *target;
    struct pg_pool *pool;
    uint32_t timeout_ms;
    unsigned threads;
};

/* One attempt at a call. It begins and ends its own transaction, leaves its results in `context`, and can be called again
 * from the start after it failed with conn->may_retry: what it writes, it writes under a key that a second attempt finds. */
typedef int32_t (*pg_work)(struct pg_conn *conn, void *context, struct shoal_data_error *error);

/* Runs it, on another connection after each failure that may pass, until it succeeds, fails for good, or the database has
 * been away for the store's timeout. Errors: those of `work`; UNAVAILABLE. */
MUST_CHECK int32_t pg_run(
    struct pg_backend *backend, pg_work work, void *context, struct shoal_data_error *error);

/* A key for one call: version 4 UUID. */
void pg_new_key(uint8_t out_key[16]);
/* Notes the key in the open transaction. *out_is_done: an earlier attempt at the same call has been committed. */
MUST_CHECK int32_t pg_note_call(
    struct pg_conn *conn, const uint8_t key[16], bool *out_is_done, struct shoal_data_error *error);
int32_t pg_no_memory(struct pg_conn *conn, struct shoal_data_error *error); /* conn may be NULL */

/* documents.c */
int32_t pg_save_document(void *handle, const struct shoal_data_document *document, char *out_id,
    struct shoal_data_error *error);
int32_t pg_load_documents(void *handle, const struct shoal_data_query *query,
    struct shoal_data_list **out_list, struct shoal_data_error *error);
int32_t pg_load_document(void *handle, int32_t kind, const char *id,
    struct shoal_data_list **out_list, struct shoal_data_error *error);
int32_t pg_delete_document(
    void *handle, int32_t kind, const char *id, struct shoal_data_error *error);

/* bars.c */
int32_t pg_append_bars(void *handle, const char *symbol, const char *timeframe,
    const struct shoal_data_bars *bars, struct shoal_data_error *error);
int32_t pg_load_bars(void *handle, const char *symbol, const char *timeframe, int64_t from_ns,
    int64_t to_ns, uint32_t columns, struct shoal_data_frame **out_frame,
    struct shoal_data_error *error);
int32_t pg_list_series(void *handle, const char *timeframe, struct shoal_data_list **out_list,
    struct shoal_data_error *error);
int32_t pg_compact_bars(void *handle, const char *symbol, const char *timeframe,
    struct shoal_data_compaction *out_report, struct shoal_data_error *error);

/* checkpoint_write.c */
int32_t pg_save_checkpoint(void *handle, const char *id, const void *data, uint64_t size_bytes,
    const char *metadata_json, uint64_t *out_version, struct shoal_data_error *error);
int32_t pg_writer_begin(void *handle, const char *id,
    const struct shoal_data_writer_options *options, void **out_writer,
    struct shoal_data_error *error);
int32_t pg_writer_write(void *handle, uint64_t offset, const void *data, uint64_t size_bytes,
    struct shoal_data_error *error);
int32_t pg_writer_finish(void *handle, struct shoal_data_error *error);
void pg_writer_abort(void *handle);

/* checkpoint_commit.c */
int32_t pg_commit_checkpoint(void *handle, const char *id, const char *session,
    uint32_t shard_count, const char *metadata_json, uint64_t *out_version,
    struct shoal_data_error *error);
int32_t pg_abort_checkpoint(
    void *handle, const char *id, const char *session, struct shoal_data_error *error);
int32_t pg_delete_version(
    void *handle, const char *id, uint64_t version, struct shoal_data_error *error);
int32_t pg_delete_checkpoint(void *handle, const char *id, struct shoal_data_error *error);
/* Removes, a piece at a time, the data of shards that nothing leads to any more. */
MUST_CHECK int32_t pg_sweep_shards(struct pg_backend *backend, struct shoal_data_error *error);

/* checkpoint_read.c */
#define PG_CHUNK_BYTES (UINT64_C(1) << 20)
int32_t pg_checkpoint_open(void *handle, const char *id, uint64_t version, void **out_checkpoint,
    struct shoal_data_error *error);
void pg_checkpoint_info(const void *handle, struct shoal_data_checkpoint_info *out_info);
int32_t pg_checkpoint_shard(const void *handle, uint32_t shard_index, uint64_t *out_offset,
    uint64_t *out_size_bytes, struct shoal_data_error *error);
int32_t pg_checkpoint_read(void *handle, uint64_t offset, void *buffer, uint64_t size_bytes,
    struct shoal_data_error *error);
void pg_checkpoint_close(void *handle);
int32_t pg_list_checkpoints(
    void *handle, struct shoal_data_list **out_list, struct shoal_data_error *error);
int32_t pg_list_versions(void *handle, const char *id, struct shoal_data_list **out_list,
    struct shoal_data_error *error);

/* upkeep.c */
int32_t pg_clean(void *handle, const struct shoal_data_clean_options *options,
    struct shoal_data_report **out_report, struct shoal_data_error *error);
int32_t pg_usage(
    void *handle, struct shoal_data_report **out_report, struct shoal_data_error *error);
int32_t pg_health(
    void *handle, struct shoal_data_health *out_health, struct shoal_data_error *error);
