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

#define FS_DATA_KEY_BYTES    32u
#define FS_KEY_ID_SIZE       64u  /* of a key that wraps, with the NUL */
#define FS_WRAPPED_KEY_BYTES 256u /* at most */

/* Who keeps the keys that wrap the data keys of encrypted file systems. Backends get one from daemon/. Thread-safe;
 * may wait for the disk. `binding` is authenticated with the data key: what names the file system. */
struct fs_keeper {
    void *context;
    /* Wraps with the newest version of the key `key_id`; `out` is of FS_WRAPPED_KEY_BYTES. Gives the size. Errors:
     * -ENOKEY: there is no such key; -EKEYREVOKED: it cannot be used now. */
    int (*wrap)(void *context, const char *key_id, struct slice binding,
        const uint8_t data_key[FS_DATA_KEY_BYTES], uint8_t *out);
    /* Says in *out_key_id what it is wrapped with; 1: there is a newer version of that key. Errors: as wrap;
     * -EBADMSG: it was changed, or was wrapped with another binding. */
    int (*unwrap)(void *context, struct slice wrapped, struct slice binding,
        char out_key_id[FS_KEY_ID_SIZE], uint8_t out_data_key[FS_DATA_KEY_BYTES]);
};

/* A backend as a maker of file systems. None is NULL. */
struct fs_provider {
    const char *name;
    void *context;
    /* Makes an empty file system, durable on return. One that exists already is success. `key_id`: it is encrypted,
     * under that key of the keeper; NULL: it is not. */
    int (*create)(void *context, const char *fs_id, const char *key_id);
    /* Opens it, recovering what a crash left. Errors: -ENOENT, -EBADMSG (damaged), -EPROTO (newer), -ENOKEY (its key cannot
     * be used), -EIO. */
    int (*open)(void *context, const char *fs_id, struct fs **out_fs);
    /* Waits for all that runs, makes all durable, frees. */
    void (*close)(void *context, struct fs *fs);
    /* Deletes it with all data. A missing one is success. */
    int (*destroy)(void *context, const char *fs_id);
    /* Keys were disabled, enabled or rotated: an encrypted file system whose key cannot be used answers -EIO from now
     * on, one whose key can serves, and its data key is wrapped with the newest version. `fs`: NULL when it is
     * not open. Errors: -EKEYREVOKED: its key cannot be used. */
    int (*rekey)(void *context, const char *fs_id, struct fs *fs);
};

/* `provider` is borrowed for the life of the volumes. */
MUST_CHECK int fs_volumes_new(const struct fs_provider *provider, struct fs_volumes **out_volumes);
/* Closes every file system; nobody may hold one any more. NULL is allowed. */
void fs_volumes_free(struct fs_volumes *volumes);

MUST_CHECK int fs_volumes_create(struct fs_volumes *volumes, const char *fs_id, const char *key_id);
/* The open file system, opened now if need be; the caller gives it back with fs_volumes_put().
 * Errors: as the provider's open; -ESTALE while it is being destroyed. */
MUST_CHECK int fs_volumes_get(struct fs_volumes *volumes, const char *fs_id, struct fs **out_fs);
/* As fs_volumes_get(), but opens nothing and waits for nothing. Errors: -ENOENT: it is not open. */
MUST_CHECK int fs_volumes_get_open(
    struct fs_volumes *volumes, const char *fs_id, struct fs **out_fs);
void fs_volumes_put(struct fs_volumes *volumes, struct fs *fs);
/* The key of an encrypted file system changed: as the provider's rekey. Waits while it is opened or closed. */
MUST_CHECK int fs_volumes_rekey(struct fs_volumes *volumes, const char *fs_id);
/* Refuses new users, waits until the last has put it back, closes and destroys it. */
MUST_CHECK int fs_volumes_destroy(struct fs_volumes *volumes, const char *fs_id);
