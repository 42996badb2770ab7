/*
 * datastore/files/checkpoint_write.c - saving whole checkpoints (room: datastore). Shards: checkpoint_shards.c.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/random.h"
#include "datastore/files/checkpoints.h"

/* Writes data and manifest into the staging directory. */
static int write_version(
    const struct files_store *store, int staging_fd, const void *data, uint64_t size_bytes)
{
    struct shard *shard = NULL;
    char *text = NULL;
    uint64_t gap;
    int err = shard_create(staging_fd, CHECKPOINT_DATA, store->threads, size_bytes, &shard);
    if (err == 0)
        err = shard_write(shard, 0, data, size_bytes);
    if (err == 0)
        err = shard_sync(shard, &gap);
    if (err == 0) {
        text = manifest_text(json_pack("[o]", shard_manifest(shard)));
        err = text == NULL ? -ENOMEM : 0;
    }
    if (err == 0)
        err = files_publish(staging_fd, CHECKPOINT_MANIFEST, text, strlen(text), 0444, true);
    free(text);
    shard_free(shard);
    return err;
}

/* NOLINTNEXTLINE(readability-function-size): the parameters are those of the interface */
int32_t files_save_checkpoint(void *backend, const char *id, const void *data, uint64_t size_bytes,
    const char *metadata_json, uint64_t *out_version, struct shoal_data_error *error)
{
    const struct files_store *store = backend;
    char path[CHECKPOINT_PATH_SIZE];
    char staging[32];
    char hex[17];
    checkpoint_path(path, id);
    random_hex(hex, 16);
    (void)snprintf(staging, sizeof staging, ".new-%s", hex); /* fits */
    int staging_fd = -1;
    int id_fd = checkpoint_open_directory(store, id, true);
    int err = id_fd < 0 ? id_fd : sys_mkdirat(id_fd, staging, 0755);
    if (err == 0) {
        staging_fd = sys_openat(id_fd, staging, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
        err = staging_fd < 0 ? staging_fd : 0;
    }
    if (err == 0)
        err = write_version(store, staging_fd, data, size_bytes);
    if (staging_fd >= 0)
        (void)close(staging_fd); /* read only */
    if (err == 0)
        err = checkpoint_commit(store, id_fd, id, staging, metadata_json, size_bytes, out_version);
    if (err < 0 && id_fd >= 0)
        (void)sys_remove_tree(id_fd, staging); /* the error counts; a sweep finds what stays */
    if (err == 0)
        checkpoint_sweep(id_fd);
    if (id_fd >= 0)
        (void)close(id_fd); /* read only */
    return err < 0 ? data_fail_errno(error, err, "Cannot save the checkpoint", path)
                   : SHOAL_DATA_OK;
}
