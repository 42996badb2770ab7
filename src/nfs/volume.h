/*
 * nfs/volume.h - one open file system of the server: its opens and locks, and the server that its mount targets show.
 *
 * A life: OPENING -> READY -> GOING, or OPENING -> FAILED. References keep the memory, pins keep the file system: what
 * a request works on it pins, and forgetting a file system waits until none is pinned.
 */
#pragma once

#include "base/list.h"
#include "base/lock.h"
#include "fs/volumes.h"
#include "state/client.h"
#include "state/files.h"
#include "state/table.h"

struct nfs_server;
struct nfs_volume_waiter;

enum nfs_volume_phase { VOLUME_OPENING, VOLUME_READY, VOLUME_FAILED, VOLUME_GOING };

/* One NFS server of those that a volume shows: nfs/face.h. */
struct nfs_face {
    struct list link;             /* in volume->faces */
    struct state_table_node node; /* in volume->faces_by_name */
    struct state_server *state;
    size_t name_size;
    char name[]; /* so_major_id and server scope */
};

struct nfs_volume {
    struct list link; /* in server->volumes */
    struct nfs_server *server;
    char fs_id[FS_ID_SIZE];
    uint64_t tag; /* fh_fs_tag(fs_id) */
    struct fs *fs;
    struct fs_node root;
    struct state_files *files;
    struct mutex faces_lock; /* what follows, until `plain`; held while one is made */
    struct list faces;
    struct state_table faces_by_name;
    uint32_t face_count;
    struct nfs_face
        *plain;        /* of mount targets, for clients without certificate; set while opening */
    _Atomic int phase; /* enum nfs_volume_phase; written under server->lock */
    _Atomic uint32_t pin_count;
    _Atomic uint32_t ref_count; /* the struct's memory: server->volumes, connections, openers */
    /* The profile, and the catalog's generation it is of: view_is_strict(). */
    _Atomic bool is_strict;
    _Atomic uint64_t profile_generation;
    int error;                         /* VOLUME_FAILED: why */
    struct nfs_volume_waiter *waiters; /* VOLUME_OPENING; under server->lock */
};

/* A volume that is not open yet; the caller owns the first reference. NULL: no memory. */
struct nfs_volume *nfs_volume_new(struct nfs_server *server, const char *fs_id);
void nfs_volume_ref(struct nfs_volume *volume);
/* NULL is allowed. The last one frees the memory; the file system was closed before. */
void nfs_volume_unref(struct nfs_volume *volume);

/* Keeps the file system open while it is used; the caller has a reference. False: it is not READY. */
MUST_CHECK bool nfs_volume_pin(struct nfs_volume *volume);
/* May take server->lock. */
void nfs_volume_unpin(struct nfs_volume *volume);

/* Opens the file system and takes up what clients may reclaim. Errors: -ENOENT: it is not available; -ESTALE: it is
 * being destroyed; else those of its provider. May wait. */
MUST_CHECK int nfs_volume_open(struct nfs_volume *volume);
/* Drops all state and gives the file system back, in any half-made state. Nobody may use it any more. May wait. */
void nfs_volume_close(struct nfs_volume *volume);
