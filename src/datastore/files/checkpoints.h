/*
 * datastore/files/checkpoints.h - the directory of a checkpoint, as the files on checkpoints share it:
 *
 *   models/checkpoints/ID/model.pkl, metadata.json           the latest, for programs that know only these: second names of
 *   models/checkpoints/ID/versions/00000007/model.pkl, metadata.json, manifest.json
 *   models/checkpoints/ID/.new-X/                            a version being made; rename() to versions/N is the commit
 *   models/checkpoints/ID/.session-S/                        shards of a session: data-X, shard-I-of-N.json
 *   models/checkpoints/ID/.trash-X/                          a version being removed
 */
#pragma once

#include "datastore/files/shard.h"

#define CHECKPOINTS_DIRECTORY  "models/checkpoints"
#define CHECKPOINT_DATA        "model.pkl"
#define CHECKPOINT_METADATA    "metadata.json"
#define CHECKPOINT_MANIFEST    "manifest.json"
#define CHECKPOINT_VERSIONS    "versions"
#define CHECKPOINT_PATH_SIZE   (FILES_ESCAPED_SIZE + 64)
#define CHECKPOINT_VERSION_MAX UINT64_C(99999999)
#define MANIFEST_SIZE_MAX      (UINT64_C(256) << 20)

/* Opens the checkpoint's directory; -ENOENT: there is none, and not `create`. The caller closes it. */
MUST_CHECK int checkpoint_open_directory(
    const struct files_store *store, const char *id, bool create);
/* "models/checkpoints/ID", for messages. */
void checkpoint_path(char to[CHECKPOINT_PATH_SIZE], const char *id);
/* "versions/00000007" */
#define CHECKPOINT_VERSION_SIZE 32
void checkpoint_version_path(char to[CHECKPOINT_VERSION_SIZE], uint64_t version);
/* The versions there are, ascending; none is 0 of them. The caller frees *out_versions. */
MUST_CHECK int checkpoint_versions(int id_fd, uint64_t **out_versions, size_t *out_count);
/* The highest version; 0: none. */
MUST_CHECK int checkpoint_latest(int id_fd, uint64_t *out_version);
/* Makes a version of the directory `staging` in id_fd, which holds synced data and manifest; writes its metadata. */
MUST_CHECK int checkpoint_commit(const struct files_store *store, int id_fd, const char *id,
    const char *staging, const char *metadata_json, uint64_t size_bytes, uint64_t *out_version);
/* Lets model.pkl and metadata.json be those of the latest version. */
MUST_CHECK int checkpoint_publish(int id_fd);
/* Removes what writers that died left behind more than a day ago. */
void checkpoint_sweep(int id_fd);
/* When a version's metadata say it was saved; else the time of the file. */
int64_t checkpoint_saved_s(const char *metadata, int64_t file_time_s);

/* checkpoint_write.c, checkpoint_shards.c, checkpoint_read.c and checkpoint_list.c; the ops' meaning stands in datastore.h. */
int32_t files_save_checkpoint(void *backend, const char *id, const void *data, uint64_t size_bytes,
    const char *metadata_json, uint64_t *out_version, struct shoal_data_error *error);
int32_t files_writer_begin(void *backend, const char *id,
    const struct shoal_data_writer_options *options, void **out_writer,
    struct shoal_data_error *error);
int32_t files_writer_write(void *writer, uint64_t offset, const void *data, uint64_t size_bytes,
    struct shoal_data_error *error);
int32_t files_writer_finish(void *writer, struct shoal_data_error *error);
void files_writer_abort(void *writer);
int32_t files_commit_checkpoint(void *backend, const char *id, const char *session,
    uint32_t shard_count, const char *metadata_json, uint64_t *out_version,
    struct shoal_data_error *error);
int32_t files_abort_checkpoint(
    void *backend, const char *id, const char *session, struct shoal_data_error *error);
int32_t files_checkpoint_open(void *backend, const char *id, uint64_t version,
    void **out_checkpoint, struct shoal_data_error *error);
void files_checkpoint_info(const void *checkpoint, struct shoal_data_checkpoint_info *out_info);
int32_t files_checkpoint_shard(const void *checkpoint, uint32_t shard_index, uint64_t *out_offset,
    uint64_t *out_size_bytes, struct shoal_data_error *error);
int32_t files_checkpoint_read(void *checkpoint, uint64_t offset, void *buffer, uint64_t size_bytes,
    struct shoal_data_error *error);
void files_checkpoint_close(void *checkpoint);
int32_t files_list_checkpoints(
    void *backend, struct shoal_data_list **out_list, struct shoal_data_error *error);
int32_t files_list_versions(void *backend, const char *id, struct shoal_data_list **out_list,
    struct shoal_data_error *error);
int32_t files_delete_version(
    void *backend, const char *id, uint64_t version, struct shoal_data_error *error);
int32_t files_delete_checkpoint(void *backend, const char *id, struct shoal_data_error *error);
