/*
 * engine/data_remap.h - replacing blocks of a file by others in one batch: holes for deallocation, another file's
 * blocks for clones.
 *
 * Whoever remaps has the turn at the file (its gate) and has made all of it durable (data_commit_all_held()), so that
 * the durable map and the one readers see are the same until the turn is left.
 */
#pragma once

#include "engine/data.h"

struct remap {
    struct request request;
    struct volume *volume;
    const struct fs_cred *cred; /* only to decide whether setuid and setgid bits are cleared */
    struct inode *inode;
    struct file *file;
    struct inode *source;       /* of what is cloned, pinned; NULL */
    struct commit_block *items; /* in the order of the file; each with a reference */
    uint32_t count;
    uint32_t capacity;
    uint64_t size_min;    /* the file's size is this at least, afterwards */
    struct cut_range cut; /* chunks that become holes in steps, after the batch */
    bool drops_buffers;
};

/* Adds a block; takes the caller's reference. Errors: -ENOMEM. */
MUST_CHECK int remap_add(struct remap *remap, uint64_t index, struct block block);
/* Does it, durable on return. Errors: -ESTALE, -EROFS, -ENOSPC, -ENOMEM. */
MUST_CHECK int remap_run(struct remap *remap);
void remap_fini(struct remap *remap);

/* cut.c: blocks that leave a file in steps of bounded size, after the batch that made them a hole for readers. */
struct cut;
/* Room for one, before the batch. Errors: -ENOMEM. */
MUST_CHECK int cut_new(struct cut **out_cut);
/* For execute(): the record that has the steps resumed after a crash. */
void cut_put(
    struct batch *batch, const struct inode *inode, uint64_t map_id, const struct cut_range *range);
/* For publish(): the chunks read as holes from here on. */
void cut_show(struct file *file, const struct cut_range *range) REQUIRES(file->lock);
/* After the batch: the reaper frees what they had. Takes `cut`, and the turn at the file, which the reaper leaves. */
void cut_start(struct volume *volume, struct cut *cut, struct inode *inode);
void cut_free(struct cut *cut); /* one that was not started; NULL is allowed */
/* Does one of those that wait; on the reaper's thread. False: there is none, or none can be done now. */
bool cut_run(struct volume *volume);
bool cut_is_due(struct volume *volume);
/* Leaves the turns of those that wait; what they are about is resumed by the next opening. */
void cut_stop(struct volume *volume);
/* Lets go of the inodes, too; nobody reads any more. */
void cut_fini(struct volume *volume);
/* An inode of a snapshot that is being loaded: what was to be freed of it at that moment is a hole there, too. Errors:
 * -EBADMSG, -EPROTO, -ESTALE, -ENOMEM. */
MUST_CHECK int cut_load_in_snapshot(struct volume *volume, struct inode *inode, uint64_t map_id);
/* At opening: finds those that a crash, or closing, left. */
MUST_CHECK int cut_load(struct volume *volume);
