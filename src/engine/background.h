/*
 * engine/background.h - what a volume does on its own, on threads of the pool: syncing segments for
 * commits, committing old UNSTABLE data, deleting the data of removed files, giving dead blocks
 * back, folding the records of freed blocks.
 */
#pragma once

#include "base/list.h"
#include "base/lock.h"
#include "engine/keys.h"
#include "io/event.h"
#include "io/pool.h"

struct file;
struct inode;
struct volume;

/* Waits for the data of segments to be durable; on the waiter's stack. */
struct sync_waiter {
    struct sync_waiter *next;
    struct event event;
    int result;
};

/* Data of a removed file, or of the old map of a truncated one, that is to be deleted. */
struct orphan {
    struct list link;
    uint8_t kind;    /* of the record that says so: KEY_ORPHAN or KEY_OLD_MAP */
    bool is_map;     /* there is no inode, or it lives on with another map */
    uint64_t id;     /* in that record */
    uint64_t map_id; /* whose records go */
    uint64_t batch;  /* after which nobody could reach it any more; 0: not known */
};

struct background {
    struct mutex lock;
    bool is_started;
    _Atomic bool is_stopping;
    unsigned running;   /* works given to the pool */
    struct event *idle; /* signalled when running comes to 0 */
    /* Syncing: all who wait when a sync begins share it. */
    struct sync_waiter *sync_waiters;
    bool is_syncing;
    struct pool_work sync_work;
    /* Files with dirty blocks, oldest first; each is pinned. */
    struct list dirty_files;
    uint64_t dirty_blocks;
    bool is_writing_back;
    struct pool_work writeback_work;
    /* Deleting and giving back. */
    struct list orphans;
    struct list cuts;         /* of cut.c: each is pinned, and has the turn at its file */
    struct list stopped_cuts; /* only pinned any more */
    bool is_reaping;
    struct pool_work reap_work;
    _Atomic uint64_t reaped_ms; /* when the reaper last ran */
    _Atomic uint64_t
        checkpoint_batch; /* number of the batch after which freed blocks were last folded */
};

void background_init(struct volume *volume);
/* The works start from here on. */
void background_start(struct volume *volume);
/* Waits until no work runs; none starts any more. Commits all dirty files first. */
void background_stop(struct volume *volume);
/* After background_stop(), and when the committer has ended. */
void background_fini(struct volume *volume);
/* Looks whether something is due: between batches, and when a new segment is begun. From any thread. */
void background_tick(struct volume *volume);

/* Takes the reaper's turn, when it is not at work, and gives it back: it does nothing in between. For checks;
 * on an ordinary thread. */
void background_claim_reaper(struct volume *volume);
void background_release_reaper(struct volume *volume);

/* Waits until all blocks written before the call are durable. Errors: -EIO; the volume has failed
 * then. */
MUST_CHECK int background_sync(struct volume *volume);
/* Commits the files that have dirty blocks now. On an ordinary thread. Errors: -EIO, -EROFS. */
MUST_CHECK int background_write_back(struct volume *volume);
/* The number of dirty blocks of a pinned inode's file may have changed; with the file's lock held.
 * A file with dirty blocks is on the list of those to be written back, with a pin of its own. */
void background_note_dirty(struct volume *volume, struct inode *inode, struct file *file);
/* Data to be deleted; durable in an o or p record already. No memory: it waits for the next opening. */
void background_add_orphan(struct volume *volume, const struct orphan *what);
