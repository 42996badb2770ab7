/*
 * engine/segment.h - the files that hold the blocks of a file system's data: appended to, never
 * overwritten.
 *
 * A block's address is segment id * blocks per segment + its number in the segment. Ids are never
 * used twice, so an address means one content for ever: a reader that meets a checksum that does
 * not match looks at the map again, and only when the address is still mapped is the block damaged.
 *
 * Invariants:
 *  S1. A block is live (mapped by a durable record), busy (appended, not yet durable in the map), or
 *      neither: then it is dead and is given back. Live bits change with the batch that says so.
 *  S2. No block is punched and no segment unlinked unless its blocks are neither live nor busy.
 *  S3. A segment's file and its name are on the disk before one of its blocks is handed out.
 *
 * Blocks of an encrypted file system are sealed under their address and the segment's salt.
 *
 * Block 0 of each segment describes it. Format: docs/formats/engine.md.
 */
#pragma once

#include "base/list.h"
#include "base/lock.h"
#include "engine/gate.h"
#include "engine/keys.h"

#define SEGMENT_BLOCKS_MIN 256u       /* 1 MiB, for tests */
#define SEGMENT_BLOCKS_MAX (1u << 18) /* 1 GiB */
#define UUID_BYTES         16u

struct crypt;

struct segment {
    struct segment *hash_next;
    struct list fd_lru;        /* while its file is open and not in use */
    struct list dirty_link;    /* while it was written since the last sync */
    struct list reclaim_link;  /* while it may have blocks to give back */
    struct segment *sync_next; /* of those one sync writes */
    uint64_t id;
    uint64_t salt;             /* of an encrypted one's blocks; known while its file is open */
    int fd;                    /* -1: not open */
    uint32_t fd_users;         /* calls that use `fd` now */
    uint32_t next_block;       /* the first one not handed out */
    uint32_t allocated_blocks; /* of the file, by fallocate */
    uint32_t live_count;
    uint32_t busy_count;
    uint64_t sealed_ms; /* when it was; 0: before this opening */
    bool is_sealed;     /* nothing more is appended */
    bool is_changed;    /* its live bits, since its g record was written */
    uint64_t *live;     /* a bit per block */
    uint64_t *busy;
    uint64_t *given_back; /* punched already; of a checked stand-in: mapped */
};

/* The file of a segment that died whole, for the next one: its blocks are allocated and in the host's cache, so
 * writing them again costs less than half. */
struct segment_spare {
    int fd;
    uint64_t id; /* under which its file still stands */
    uint64_t since_ms;
};

#define SEGMENT_SPARES_MAX 8u

struct segments {
    struct mutex lock;
    struct segment_spare spares[SEGMENT_SPARES_MAX]; /* oldest first */
    uint32_t spare_count;
    struct gate grow_gate; /* held by who makes the next segment */
    int dir_fd;
    uint32_t segment_blocks;
    uint8_t uuid[UUID_BYTES];
    const char *fs_id;
    struct pool *pool;
    struct crypt *crypt; /* NULL: not encrypted */
    struct segment **table;
    uint32_t mask;
    uint32_t count;
    struct segment *open; /* the one appended to; NULL: none yet */
    _Atomic uint64_t next_id;
    struct list fd_lru;
    struct list dirty;
    struct list reclaim;
    uint64_t *removed; /* ids whose g records may go */
    uint32_t removed_count;
    uint32_t removed_capacity;
    uint32_t fd_count;
    uint32_t fd_max;
    uint64_t spare_bytes;
};

struct segments_options {
    int dir_fd; /* borrowed */
    uint32_t segment_blocks;
    const uint8_t *uuid;
    const char *fs_id;
    struct pool *pool;
    struct crypt *crypt; /* borrowed; NULL: not encrypted */
    uint32_t fd_max;
    uint64_t next_id;
    uint64_t spare_bytes; /* of the disk, that segments leave to log and database */
};

MUST_CHECK int segments_init(struct segments *segments, const struct segments_options *options);
/* Gives the unused end of the open segment back, closes all. */
void segments_fini(struct segments *segments);

/* Hands out up to `count` adjacent blocks, busy; makes a new segment when the open one is full
 * (waits). The segment's file is in use until segment_release(). Errors: -ENOSPC, -EIO. */
struct segment_place {
    struct segment *segment;
    uint64_t address;
    uint32_t count;
};
MUST_CHECK int segments_append(
    struct segments *segments, uint32_t count, struct segment_place *out_place);
/* Writes whole blocks to where they belong, on this thread; marks the segment dirty. `out_blocks`: place->count of them,
 * as they go into a map. */
MUST_CHECK int segment_write(struct segments *segments, const struct segment_place *place,
    const uint8_t *bytes, struct block *out_blocks);
/* Verifies what was read of blocks of the segment, whose file is in use; decrypts it in place. Errors: -EBADMSG: it is
 * not what was written. */
MUST_CHECK int segment_verify(struct segments *segments, const struct segment *segment,
    const struct block *blocks, uint32_t count, uint8_t *bytes);
/* The segment that holds `address`, its file open and in use (may wait). Errors: -ENOENT: it is
 * gone. */
MUST_CHECK int segment_acquire(
    struct segments *segments, uint64_t address, struct segment **out_segment);
void segment_release(struct segments *segments, struct segment *segment);

static inline uint64_t segment_offset(const struct segments *segments, uint64_t address)
{
    return (address % segments->segment_blocks) * (uint64_t)BLOCK_BYTES;
}

/* Blocks that will never become durable. */
void segments_discard(struct segments *segments, uint64_t address, uint32_t count);
/* What a durable batch said: blocks became live (and are no longer busy), or dead. */
void segments_apply(struct segments *segments, const struct block_range *range);

/* Makes all that was written before the call durable; on a pool's thread. Errors: as fdatasync. */
MUST_CHECK int segments_sync(struct segments *segments);
/* Gives dead blocks back, at most `punches_max` system calls; on a pool's thread. What was written lately may
 * soon die whole, and is then reused instead: it waits, unless `is_pressed` (the disk is nearly full). Returns
 * whether more is left. */
bool segments_reclaim(struct segments *segments, unsigned punches_max, bool is_pressed);
/* Whether segments_reclaim() would find something; cheap. */
bool segments_reclaim_is_due(struct segments *segments);

/* Encodes a segment's live bits, for its g record; `out` of segment_record_bytes(). */
size_t segment_record_bytes(const struct segments *segments);
void segment_record_encode(
    const struct segments *segments, const struct segment *segment, uint8_t *out);
/* At opening: knows a segment from its g record. Errors: -EBADMSG, -ENOMEM. */
MUST_CHECK int segments_load(struct segments *segments, uint64_t id, struct slice record);
/* At opening, after all records: drops files nobody refers to. Errors: -EIO; -EBADMSG: a file that
 * holds live blocks is missing. */
MUST_CHECK int segments_reconcile(struct segments *segments);
/* Visits each segment whose live bits changed since its record was written, and with NULL each that
 * was removed. */
typedef void segment_visit(void *context, uint64_t id, const struct segment *segment);
void segments_visit_changed(struct segments *segments, segment_visit *visit, void *context);
/* For checks. */
/* Notes that a map has the block. 1: one had it before; 0: the first. Errors: -ENOENT: there is no such segment; -ENOMEM. */
MUST_CHECK int segments_mark(struct segments *segments, uint64_t address);
/* Visits each range of blocks that are live and were not marked. */
typedef void segment_range_visit(void *context, uint64_t address, uint32_t count);
void segments_visit_unmarked(struct segments *segments, segment_range_visit *visit, void *context);
/* Visits all segments, whose table nobody changes. */
void segments_visit_all(const struct segments *segments, segment_visit *visit, void *context);
/* Whether a segment's file is what its header must say and as long as its live blocks need. Errors: -ENOENT, -EBADMSG, -EIO. */
MUST_CHECK int segment_check_file(const struct segments *segments, const struct segment *segment);
bool segments_is_live(struct segments *segments, uint64_t address);
uint64_t segments_live_blocks(struct segments *segments);
/* Whether segment `id` is still known. */
bool segments_has(struct segments *segments, uint64_t id);
