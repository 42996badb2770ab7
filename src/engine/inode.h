/*
 * engine/inode.h - inodes in memory: found by number, pinned while used, dropped when nobody uses
 * them.
 *
 * What readers see of an inode is `record.attr`, under its shard's lock. It changes at two places:
 * the committer publishes what is durable, and UNSTABLE writes move size, times and counter of a
 * regular file ahead of it. The committer's own view of an inode in the running batch is `pending`.
 *
 * Invariants:
 *  I1. An inode with pins stays; so a pointer is good while pinned.
 *  I2. Only the committer's thread changes the durable fields: durable_size, counts, parent.
 *  I3. A record read from the database is taken only while the object is INODE_LOADING, so a slow
 *      reader never puts an old record over a newer one.
 */
#pragma once

#include "base/list.h"
#include "base/lock.h"
#include "engine/keys.h"
#include "engine/snapshot.h"

struct dir;
struct file;
struct pending;
struct volume;

enum inode_state {
    INODE_LOADING, /* nothing known yet */
    INODE_NEW,     /* made in the batch that is not yet durable: not there for readers */
    INODE_READY,
    INODE_GONE, /* removed, not held */
};

struct inode {
    struct inode *hash_next; /* this and up to `charged_bytes`: under the shard's lock */
    struct list lru;         /* while there are no pins */
    uint64_t id;             /* its number; in a snapshot with the slot: engine/snapshot.h */
    uint32_t pins;
    uint32_t holds;
    uint32_t charged_bytes; /* in the cache's account, while on the lru list */
    uint8_t state;          /* enum inode_state */
    bool is_recent;         /* used since the last look of the evictor */
    bool is_doomed;         /* being removed for good: no new holds */
    struct inode_record record;
    uint64_t durable_size; /* of a regular file: as in its stored record */
    uint8_t *symlink;      /* never changes once READY */
    uint32_t symlink_size;
    struct pending *pending;   /* of the running batch; the committer's alone */
    struct dir *_Atomic dir;   /* engine/dir.h; of a directory, once used */
    struct file *_Atomic file; /* engine/file.h; of a regular file, once its data is used */
};

#define INODE_SHARDS 64u

/* What a directory of so many entries shows as its size: grows with them, in steps. */
static inline uint64_t inode_dir_size(uint64_t entry_count)
{
    return (1 + entry_count / 64) * BLOCK_BYTES;
}

struct inode_shard {
    struct mutex lock;
    struct inode **table;
    uint32_t mask;
    uint32_t count;
    struct list lru; /* longest unused first */
} __attribute__((aligned(64)));

struct inode_cache {
    struct inode_shard shards[INODE_SHARDS];
    _Atomic uint64_t *bytes; /* of all caches that share the limit */
    uint64_t bytes_max;
};

/* `bytes` counts for all caches that share `bytes_max`. */
MUST_CHECK int inode_cache_init(
    struct inode_cache *cache, _Atomic uint64_t *bytes, uint64_t bytes_max);
/* Takes back the holds that nobody gave back, with their pins; gives how many inodes had some. For closing. */
uint32_t inode_cache_drop_holds(struct inode_cache *cache);
/* No inode is pinned. */
void inode_cache_fini(struct inode_cache *cache);

/* All that is in a snapshot which is deleted: who still uses some of it finds it gone. */
void inode_cache_forget_slot(struct inode_cache *cache, uint32_t slot);

static inline struct inode_shard *inode_shard_of(struct inode_cache *cache, uint64_t id)
{
    return &cache->shards[id % INODE_SHARDS];
}

/* The inode, pinned; made in the state INODE_LOADING when it is not there. Errors: -ENOMEM. */
MUST_CHECK int inode_pin(struct inode_cache *cache, uint64_t id, struct inode **out_inode);
/* One more pin of a pinned inode. */
void inode_pin_again(struct inode_cache *cache, struct inode *inode);
void inode_unpin(struct inode_cache *cache, struct inode *inode);

/* Copies the attributes when they are in memory: 0, -ESTALE (gone, or another generation when
 * `generation` is given), or -EAGAIN (must be loaded). */
MUST_CHECK int inode_peek(
    struct inode_cache *cache, uint64_t id, const uint64_t *generation, struct fs_attr *out_attr);

/* Gives a LOADING inode what was read; does nothing when another was faster. Errors: -ENOMEM. */
MUST_CHECK int inode_fill(struct volume *volume, struct inode *inode,
    const struct inode_record *record, struct slice symlink);

/* The state, and the attributes if it is READY, of a pinned inode. */
enum inode_state inode_attr(
    struct inode_cache *cache, struct inode *inode, struct fs_attr *out_attr);

/* A pinned inode ready for use, loaded if need be (waits). Errors: -ESTALE: there is none. */
MUST_CHECK int inode_acquire(struct volume *volume, uint64_t id, struct inode **out_inode);
/* The same by node, whose generation must match. `out_attr` may be NULL. */
MUST_CHECK int inode_acquire_node(
    struct volume *volume, struct fs_node node, struct inode **out_inode, struct fs_attr *out_attr);
/* The same for who is going to change it. Errors: also -EROFS: it is in a snapshot. */
MUST_CHECK int inode_acquire_to_change(
    struct volume *volume, struct fs_node node, struct inode **out_inode, struct fs_attr *out_attr);
/* Reads an inode from the database on this thread and fills it. Errors: -ESTALE. */
MUST_CHECK int inode_load(struct volume *volume, struct inode *inode);
