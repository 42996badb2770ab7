/*
 * fs/volumes.h - the open file systems of this node, by their EFS id ("fs-0123456789abcdef0").
 *
 * The control plane creates and deletes them, the NFS server opens them on first use; neither knows
 * the backend: daemon/ gives the provider. Thread-safe. Functions may wait for storage.
 */
#pragma once

#include "fs/fs.h"

#define FS_ID_SIZE 48 /* with the NUL */

struct fs_volumes;

/* A backend as a maker of file systems. None is NULL. */
struct fs_provider {
    const char *name;
    void *context;
    /* Makes an empty file system, durable on return. One that exists already is success. */
    int (*create)(void *context, const char *fs_id);
    /* Opens it, recovering what a crash left. Errors: -ENOENT, -EBADMSG (damaged), -EPROTO (newer).
     */
    int (*open)(void *context, const char *fs_id, struct fs **out_fs);
    /* Waits for all that runs, makes all durable, frees. */
    void (*close)(void *context, struct fs *fs);
    /* Deletes it with all data. A missing one is success. */
    int (*destroy)(void *context, const char *fs_id);
};

/* `provider` is borrowed for the life of the volumes. */
MUST_CHECK int fs_volumes_new(const struct fs_provider *provider, struct fs_volumes **out_volumes);
/* Closes every file system; nobody may hold one any more. NULL is allowed. */
void fs_volumes_free(struct fs_volumes *volumes);

MUST_CHECK int fs_volumes_create(struct fs_volumes *volumes, const char *fs_id);
/* The open file system, opened now if need be; the caller gives it back with fs_volumes_put().
 * Errors: as the provider's open; -ESTALE while it is being destroyed. */
MUST_CHECK int fs_volumes_get(struct fs_volumes *volumes, const char *fs_id, struct fs **out_fs);
/* As fs_volumes_get(), but opens nothing and waits for nothing. Errors: -ENOENT: it is not open. */
MUST_CHECK int fs_volumes_get_open(
    struct fs_volumes *volumes, const char *fs_id, struct fs **out_fs);
void fs_volumes_put(struct fs_volumes *volumes, struct fs *fs);
/* Refuses new users, waits until the last has put it back, closes and destroys it. */
MUST_CHECK int fs_volumes_destroy(struct fs_volumes *volumes, const char *fs_id);
