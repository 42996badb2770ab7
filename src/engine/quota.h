/*
 * engine/quota.h - limits of what may lie below a directory, in bytes and entries.
 *
 * A quota stands on one directory (`q` record) and is about all that counts in its usage (engine/usage.h). All quotas
 * of a file system are in memory. The committer compares with the usage as the last batch left it, and what this
 * batch and UNSTABLE data that is on its way add: so a limit is exact, and COMMIT never fails for one, since the blocks
 * of a write that are new to their file are reserved when it is taken.
 *
 *   used      as published with the last batch
 *   charged   by requests of the running batch; what removals of the batch give back counts with the next
 *   reserved  blocks in maps that the database does not know yet
 *
 * Invariants:
 *  Q1. What is reserved is in the `reserved` of the quotas that the file's hold names, and in no other.
 *  Q2. A batch takes a commit's blocks out of `reserved` in the moment in which `used` has them.
 *  Q3. Nothing but what takes more is refused: a limit may be set below what is used.
 *
 * `lock` is short, and inner to a file's. Beyond a soft limit for longer than the grace time, it is as a hard one.
 */
#pragma once

#include "base/lock.h"
#include "engine/keys.h"

struct batch;
struct file;
struct inode;
struct pending;
struct quota;
struct quota_hold; /* opaque: the quotas that a file's blocks are reserved in */
struct request;
struct volume;

struct quotas {
    struct mutex lock;
    struct quota **table;
    uint32_t mask;
    _Atomic uint32_t count;   /* 0: nobody looks at anything here */
    _Atomic uint64_t version; /* grows when what stands above a file may have changed */
    struct quota *touched;    /* by the running batch */
    bool is_setting;          /* the running batch has a request that sets one */
};

MUST_CHECK int quotas_init(struct quotas *quotas);
void quotas_fini(struct quotas *quotas);
/* At opening: all `q` records. Errors: -EIO, -EBADMSG, -ENOMEM. */
MUST_CHECK int quotas_load(struct volume *volume);

static inline bool quotas_are_any(const struct quotas *quotas)
{
    return quotas->count > 0;
}

/* ---- the committer's ------------------------------------------------------------------------------------- */

/* What is below `dir` is to grow; the node of `dir` is in memory (usage_prepare). Nothing is charged when it fails; what
 * was charged for a request that fails later goes with the batch. Errors: -EDQUOT. */
MUST_CHECK int quota_charge(struct batch *batch, uint64_t dir, uint64_t bytes, uint64_t entries);
/* The same for those quotas above `to` that are not above `from`, too; `charges`: else it is only asked. */
struct quota_move {
    uint64_t from, to;
    uint64_t bytes, entries;
    bool charges;
};
MUST_CHECK int quota_charge_move(struct batch *batch, const struct quota_move *move);
/* Blocks of the file that were reserved become part of the batch; with the file's lock. */
void quota_commit(struct batch *batch, struct file *file, uint64_t blocks);
/* The usage of a directory changes with this batch; may put its record into it (soft limits). */
void quota_note_usage(struct batch *batch, uint64_t dir, const struct fs_usage *usage);
/* The directory is removed. */
void quota_note_removal(struct batch *batch, uint64_t dir);
/* After the batch, whether it was written or not. */
void quota_finish(struct batch *batch, bool is_durable);
/* Files have to look again which quotas are above them. */
void quotas_changed(struct volume *volume);

/* ---- writers' -------------------------------------------------------------------------------------------- */

/* Finds the quotas above the file, if that is not known; waits. The caller has the turn at the file. */
MUST_CHECK int quota_find(struct volume *volume, struct inode *inode, struct file *file);
/* Reserves blocks, with the file's lock. Errors: -EDQUOT; -EAGAIN: quota_find() is due. */
MUST_CHECK int quota_reserve(struct volume *volume, struct file *file, uint64_t blocks);
/* What is reserved is so much from now on, not more than before; with the file's lock. */
void quota_shrink_hold(struct volume *volume, struct file *file, uint64_t blocks);
/* Reserves nothing any more, and has to look again before it does; with the file's lock. */
void quota_drop_hold(struct volume *volume, struct file *file);
void quota_hold_free(struct quota_hold *hold); /* NULL is allowed */
/* Whether so many bytes more would fit now. Errors: -EDQUOT. */
MUST_CHECK int quota_has_room(struct volume *volume, struct inode *inode, uint64_t bytes);
