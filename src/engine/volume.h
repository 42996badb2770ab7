/*
 * engine/volume.h - one open file system: what its parts share.
 */
#pragma once

#include <stdatomic.h>

#include "base/hash.h"
#include "engine/background.h"
#include "engine/committer.h"
#include "engine/engine.h"
#include "engine/inode.h"
#include "engine/journal.h"
#include "engine/quota.h"
#include "engine/refs.h"
#include "engine/segment.h"
#include "engine/snapshot.h"
#include "engine/store.h"

struct usage_tree;
struct verifier;

struct engine {
    struct engine_options options; /* defaults filled in */
    struct fs_provider provider;
    struct pool *pool;
    struct pool
        *sync_pool; /* for works that wait for the disk only, never for another work: those of
                             * `pool` wait for them, so they must not queue behind each other */
    int dir_fd;
    char *directory;
    struct store_shared *stores;
    _Atomic uint64_t cached_bytes;
};

struct crypt;

struct volume {
    struct fs fs; /* first: callers hold this */
    struct engine *engine;
    char fs_id[FS_ID_SIZE];
    int dir_fd;
    int data_fd;
    uint8_t uuid[UUID_BYTES];
    struct hash_key name_key;
    uint32_t segment_blocks;
    uint64_t generation; /* of inodes made since this opening */
    struct crypt *crypt; /* NULL: not encrypted */
    struct store *store;
    struct journal *journal;
    struct inode_cache inodes;
    struct segments segments;
    struct refs refs;         /* the committer's */
    struct usage_tree *usage; /* the committer's */
    struct quotas quotas;
    struct snapshots snapshots;
    struct committer committer;
    struct background background;
    struct verifier *verifier;
    struct fs_node root;
    uint64_t inode_next; /* the committer's */
    uint64_t change_floor;
    _Atomic uint64_t change_next;
    _Atomic uint64_t batch_number; /* of the last one that was published */
    _Atomic uint64_t stable_bytes; /* of small stable writes that are on their way */
    _Atomic uint64_t used_bytes;
    _Atomic uint64_t used_files;
    _Atomic uint64_t writeverf;
    _Atomic bool is_failed; /* read-only since a write to the disk failed */
    _Atomic bool is_locked; /* its key cannot be used: calls fail with -EIO */
    _Atomic bool is_nearly_full;
    _Atomic uint64_t space_checked_ms;
};

static inline struct volume *volume_of(struct fs *fs)
{
    return CONTAINER_OF(fs, struct volume, fs);
}

static inline uint64_t volume_next_change(struct volume *volume)
{
    return atomic_fetch_add_explicit(&volume->change_next, 1, memory_order_relaxed);
}

static inline bool fs_time_is_before(struct fs_time a, struct fs_time b)
{
    return a.seconds != b.seconds ? a.seconds < b.seconds : a.nanoseconds < b.nanoseconds;
}

static inline int min_int(int a, int b)
{
    return a < b ? a : b;
}

/* The time of day. */
struct fs_time volume_now(void);
/* Makes the volume read-only after the disk failed to take what it was given; says so in the log.
 */
void volume_fail(struct volume *volume, const char *what, int err);
/* Whether the disk has less left than is kept for deletions; asks it at most every 200 ms. */
bool volume_is_nearly_full(struct volume *volume);

/* Whether it can be the name of a file system's directory. */
bool volume_id_is_safe(const char *fs_id);
/* What the database says of the whole. Errors: -EBADMSG. */
MUST_CHECK int volume_read_state(struct volume *volume, struct volume_state *out_state);

/* Opens the file system `fs_id`; see struct fs_provider. */
MUST_CHECK int volume_create(struct engine *engine, const char *fs_id, const char *key_id);
MUST_CHECK int volume_open(struct engine *engine, const char *fs_id, struct volume **out_volume);
void volume_close(struct volume *volume);
MUST_CHECK int volume_destroy(struct engine *engine, const char *fs_id);
/* `volume`: NULL when it is not open. */
MUST_CHECK int volume_rekey(struct engine *engine, const char *fs_id, struct volume *volume);

/* Every operation; calls_read.c, calls_change.c, data_*.c. */
extern const struct fs_ops engine_ops;
