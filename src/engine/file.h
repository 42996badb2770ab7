/*
 * engine/file.h - where the blocks of one regular file are: its map in memory.
 *
 * The map is cut into chunks of CHUNK_BLOCKS blocks, loaded from the database when first needed. A
 * chunk has for each block what readers see (`current`) and, while these differ, what the database
 * holds
 * (`durable`).
 *
 * Invariants:
 *  F1. `durable` is what the last batch made of the map, or, on the committer's thread, what the
 *      running batch will make of it. Only the committer changes it.
 *  F2. A block whose dirty bit is not set has current == durable, except between the execution and
 *      the publication of a truncation, which holds `gate`.
 *  F3. A block of a segment that was never durable is busy (engine/segment.h) until it becomes
 *      durable or is discarded; not while a commit that may carry it is on its way.
 *  F4. No commit replaces a durable block by an older one: snapshots are numbered, and a block that
 *      a younger commit has made durable is left out of an older one.
 *  F5. The bytes of a block at or behind the end of the file are zeros.
 *
 * Who writes or truncates enters `gate` first. `lock` is short: no wait, no system call.
 */
#pragma once

#include "base/list.h"
#include "base/lock.h"
#include "engine/gate.h"
#include "engine/keys.h"

#define CHUNK_BLOCKS 256u /* 1 MiB: one write touches at most two */
#define CHUNK_WORDS  (CHUNK_BLOCKS / 64)

/* Bytes of one block in memory; the rest up to BLOCK_BYTES is zeros. Never changed once mapped. */
struct block_buffer {
    _Atomic uint32_t references;
    uint32_t size;
    uint8_t bytes[];
};

/* A buffer of `size` (up to BLOCK_BYTES) bytes with one reference; NULL: no memory. */
MUST_CHECK struct block_buffer *block_buffer_new(const void *bytes, size_t size);
/* One reference more, or less, of what a BLOCK_BUFFER points to; others are ignored. */
void block_get(struct block block);
void block_put(struct block block);

static inline struct block_buffer *block_buffer_of(struct block block)
{
    // NOLINTNEXTLINE(performance-no-int-to-ptr): an address on the disk or in memory, by the kind
    return (struct block_buffer *)(uintptr_t)block.address;
}

/* Takes over the caller's reference. */
struct block block_of_buffer(struct block_buffer *buffer);
/* The checksum of a block's BLOCK_BYTES bytes. */
uint64_t block_checksum(const uint8_t *bytes);

struct inode;
struct quota_hold;

struct chunk {
    struct chunk *hash_next;
    struct list dirty_link; /* on the file's dirty list while it has dirty blocks */
    uint64_t index;         /* of its first block, divided by CHUNK_BLOCKS */
    uint32_t capacity;      /* blocks that the arrays hold; those behind are holes */
    uint32_t dirty_count;
    uint64_t dirty[CHUNK_WORDS];
    struct block *current;
    struct block *durable; /* NULL: the same as current */
};

/* A commit that was executed: each block of [first, last] is durable as in its snapshot, or newer. */
struct commit_done {
    uint64_t number;
    uint64_t first;
    uint64_t last;
};

#define OVERTAKERS_MAX 128u

struct cut_range {
    uint64_t first; /* chunk */
    uint64_t end;   /* the first behind it; 0: there is none */
};

#define CUT_END_MAX (UINT64_C(1) << 40)

struct file {
    struct mutex lock;
    struct gate gate;
    struct chunk **table;
    uint32_t mask;
    uint32_t chunk_count;
    uint64_t bytes; /* of memory */
    struct list dirty_chunks;
    uint64_t dirty_blocks;
    uint32_t commits_in_flight;
    uint64_t commit_number;         /* of the last snapshot a commit took */
    struct commit_done *overtakers; /* executed while other commits were in flight */
    uint32_t overtaker_count;
    uint64_t restart_below; /* older commits begin again: who overtook them is forgotten */
    uint32_t truncations;   /* grows with each; commits begun before one are begun again */
    uint64_t version; /* grows when durable blocks change; tells a stale load from a good one */
    uint64_t commit_batch; /* the last batch that committed blocks; the committer's */
    bool is_abandoned;     /* removed for good: nothing is written any more */
    struct cut_range cut;  /* chunks that are holes though the database still maps blocks there; the
                            * reaper that frees them holds `gate` meanwhile */
    struct quota_hold *quota; /* engine/quota.h; NULL: not looked for yet */
    uint64_t *discarded;      /* addresses to be given up once no commit is in flight */
    uint32_t discarded_count;
    uint32_t discarded_capacity;
    struct list dirty_link; /* on the volume's list of files with dirty blocks; its lock */
    struct inode *dirty_inode;
    uint64_t dirty_counted; /* of dirty_blocks, in the volume's sum; its lock */
    uint64_t dirty_since_ms;
};

MUST_CHECK struct file *file_new(void);       /* NULL: no memory */
void file_free(struct file *file);            /* NULL is allowed */
uint64_t file_bytes(const struct file *file); /* of NULL: 0 */

/* NULL: not in memory. */
struct chunk *file_chunk_locked(struct file *file, uint64_t index) REQUIRES(file->lock);
/* Adds an empty chunk of which the caller knows that it is complete. NULL: no memory. */
struct chunk *file_add_chunk_locked(struct file *file, uint64_t index) REQUIRES(file->lock);
/* Makes room for block `at` of the chunk. Errors: -ENOMEM. */
MUST_CHECK int chunk_reserve_locked(struct file *file, struct chunk *chunk, uint32_t at)
    REQUIRES(file->lock);
/* Makes `durable` an array of its own. Errors: -ENOMEM. */
MUST_CHECK int chunk_split_locked(struct file *file, struct chunk *chunk) REQUIRES(file->lock);

static inline struct block chunk_current(const struct chunk *chunk, uint32_t at)
{
    return at < chunk->capacity ? chunk->current[at] : (struct block){ .kind = BLOCK_HOLE };
}

static inline struct block chunk_durable(const struct chunk *chunk, uint32_t at)
{
    if (at >= chunk->capacity)
        return (struct block){ .kind = BLOCK_HOLE };
    return chunk->durable != NULL ? chunk->durable[at] : chunk->current[at];
}

static inline bool chunk_is_dirty(const struct chunk *chunk, uint32_t at)
{
    return (chunk->dirty[at / 64] >> at % 64 & 1) != 0;
}

/* Marks the block dirty, or clean; the chunk joins or leaves the file's list. */
void chunk_set_dirty_locked(struct file *file, struct chunk *chunk, uint32_t at)
    REQUIRES(file->lock);
void chunk_set_clean_locked(struct file *file, struct chunk *chunk, uint32_t at)
    REQUIRES(file->lock);
/* Forgets one chunk, with what is dirty in it. */
void file_drop_chunk_locked(struct file *file, struct chunk *chunk) REQUIRES(file->lock);
/* Forgets all chunks from `index` on. */
void file_drop_chunks_locked(struct file *file, uint64_t index) REQUIRES(file->lock);
