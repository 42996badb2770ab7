/*
 * nfs/volume.c - one open file system: opening, closing, references and pins (room: NFS).
 */
#include "nfs/volume.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "nfs/face.h"
#include "nfs/fh.h"
#include "nfs/view.h"

struct nfs_volume *nfs_volume_new(struct nfs_server *server, const char *fs_id)
{
    size_t size = strlen(fs_id) + 1;
    assert(size <= FS_ID_SIZE);
    struct nfs_volume *volume = calloc(1, sizeof *volume);
    if (volume == NULL)
        return NULL;
    volume->server = server;
    volume->tag = fh_fs_tag(fs_id);
    memcpy(volume->fs_id, fs_id, size);
    volume->phase = VOLUME_OPENING;
    volume->ref_count = 1;
    list_init(&volume->link);
    volume->faces_lock = (struct mutex){ .pthread = PTHREAD_MUTEX_INITIALIZER };
    list_init(&volume->faces);
    state_table_init(&volume->faces_by_name);
    return volume;
}

void nfs_volume_ref(struct nfs_volume *volume)
{
    atomic_fetch_add(&volume->ref_count, 1);
}

void nfs_volume_unref(struct nfs_volume *volume)
{
    if (volume != NULL && atomic_fetch_sub(&volume->ref_count, 1) == 1)
        free(volume);
}

bool nfs_volume_pin(struct nfs_volume *volume)
{
    atomic_fetch_add(&volume->pin_count, 1);
    if (atomic_load(&volume->phase) == VOLUME_READY)
        return true;
    nfs_volume_unpin(volume);
    return false;
}

void nfs_volume_unpin(struct nfs_volume *volume)
{
    struct nfs_server *server = volume->server;
    if (atomic_fetch_sub(&volume->pin_count, 1) != 1 || atomic_load(&volume->phase) != VOLUME_GOING)
        return;
    mutex_lock(&server->lock);
    (void)pthread_cond_broadcast(&server->idle);
    mutex_unlock(&server->lock);
}

static struct fs_node node_of(struct state_file_key file)
{
    return (struct fs_node){ .inode = file.inode, .generation = file.generation };
}

static int volume_hold(void *context, struct state_file_key file)
{
    struct nfs_volume *volume = context;
    return fs_hold(volume->fs, node_of(file));
}

static void volume_release(void *context, struct state_file_key file)
{
    struct nfs_volume *volume = context;
    fs_release(volume->fs, node_of(file));
}

static int volume_record_put(void *context, struct slice key, struct slice value)
{
    struct nfs_volume *volume = context;
    return fs_record_put(volume->fs, key, value);
}

static int volume_record_delete(void *context, struct slice key)
{
    struct nfs_volume *volume = context;
    return fs_record_delete(volume->fs, key);
}

static const struct state_files_ops files_ops = { .hold = volume_hold,
    .release = volume_release,
    .record_put = volume_record_put,
    .record_delete = volume_record_delete };

struct recovery {
    struct nfs_volume *volume;
    int err;
};

static bool recover_record(void *context, struct slice key, struct slice value)
{
    struct recovery *recovery = context;
    int err = state_files_recover(recovery->volume->files, key, value);
    if (err == -EBADMSG) {
        LOG_WARN("a recovery record cannot be read; its client cannot reclaim", "fs=%s size=%zu",
            recovery->volume->fs_id, value.size);
        return true;
    }
    recovery->err = err;
    return err == 0;
}

void nfs_volume_close(struct nfs_volume *volume)
{
    nfs_faces_free(volume);
    state_files_free(volume->files);
    volume->files = NULL;
    if (volume->fs != NULL)
        fs_volumes_put(volume->server->options.volumes, volume->fs);
    volume->fs = NULL;
}

int nfs_volume_open(struct nfs_volume *volume)
{
    struct nfs_server *server = volume->server;
    int err = catalog_check_fs(server->options.catalog, volume->fs_id);
    if (err < 0)
        return err;
    err = fs_volumes_get(server->options.volumes, volume->fs_id, &volume->fs);
    if (err < 0)
        return err;
    err = fs_root(volume->fs, &volume->root);
    if (err < 0)
        goto out;
    err = state_files_new(server->state, &files_ops, volume, &volume->files);
    if (err < 0)
        goto out;
    state_files_set_tag(volume->files, volume->tag);
    struct recovery recovery = { .volume = volume };
    err = fs_record_scan(volume->fs, recover_record, &recovery);
    if (err == 0)
        err = recovery.err;
    if (err < 0)
        goto out;
    state_files_start(volume->files, clock_coarse_ms());
    err = nfs_face_get(volume, "", "", &volume->plain);
out:
    if (err < 0)
        nfs_volume_close(volume);
    return err;
}
