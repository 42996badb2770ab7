/*
 * engine/data.h - the data of regular files: map, read, write, commit, truncate.
 *
 * UNSTABLE data goes to segments (or, of small files, to memory) and into the map at once; the
 * times, the size and the counter that follow from it are visible with it. A commit syncs the
 * segments and has the committer make the map's dirty blocks durable, with the size. Small stable
 * writes carry their data in the batch. A reply to a stable write is a commit of its blocks.
 */
#pragma once

#include "engine/committer.h"
#include "engine/file.h"
#include "engine/volume.h"

#define STABLE_IN_BATCH_MAX (64u * 1024) /* stable writes up to this go into the batch itself, */
#define STABLE_BUSY_BYTES   (48u * 1024) /* unless more than this is on its way already */

/* The map of a pinned regular file; made when missing. Errors: -ENOMEM. */
MUST_CHECK int data_file(struct volume *volume, struct inode *inode, struct file **out_file);

/* Copies `count` blocks of one chunk from block `first` on, as readers see them, each with a
 * reference; loads the chunk if need be (waits). */
MUST_CHECK int map_copy(struct volume *volume, struct inode *inode, uint64_t first, uint32_t count,
    struct block *out_blocks);
/* Makes sure the chunk of block `first` is in memory (waits). */
MUST_CHECK int map_load(struct volume *volume, struct inode *inode, uint64_t first);

/* What the database maps, buffers with a reference, of blocks of a file whose turn the caller has and that is all
 * durable; not through memory, which a huge file would fill. On a pool's thread. */
MUST_CHECK int map_read(struct volume *volume, struct inode *inode, uint64_t first, uint32_t count,
    struct block *out_blocks);

/* Reads the whole block `index`, BLOCK_BYTES, as readers see it. */
MUST_CHECK int data_read_block(
    struct volume *volume, struct inode *inode, uint64_t index, uint8_t *out_bytes);

/* Gives up the current content of a block that is dirty: it will not become durable. */
void data_discard_locked(struct volume *volume, struct file *file, struct block block)
    REQUIRES(file->lock);
/* Makes the dirty blocks of [first, last] durable, with the size up to `size_max`. `sync`: some may
 * be in segments. Errors: -EIO, -EROFS, -ESTALE. */
struct commit_range {
    uint64_t first;
    uint64_t last;
    uint64_t size_max;
    bool sync;
};
MUST_CHECK int data_commit(
    struct volume *volume, struct inode *inode, const struct commit_range *range);
/* Makes all of it durable for somebody who has the turn at the file: what readers see is what is durable then, until
 * the turn is left. Errors: -EIO, -EROFS, -ESTALE: it is gone. */
MUST_CHECK int data_commit_all_held(struct volume *volume, struct inode *inode);
/* A block on its way into the durable map. */
struct commit_block {
    uint64_t index;
    struct block block; /* with a reference */
    bool was_hole;      /* in the durable map */
};
/* For the committer, with the file's lock, on a chunk that is split: replaces one durable block in
 * memory and in the batch (one dead range of what was reserved). True: map_put_group() is due for
 * its group. */
bool map_replace_durable(struct batch *batch, struct inode_record *record, struct chunk *chunk,
    struct commit_block *commit);
/* Keeps of a small block in memory only where it is, when its data is in the database: of files with more than
 * SMALL_IN_MEMORY_MAX of them. */
void data_drop_buffer(struct block *block);
#define SMALL_IN_MEMORY_MAX 64u
/* Puts a small block into the batch. */
void map_put_small(struct batch *batch, uint64_t map_id, const struct commit_block *commit);
/* Puts the record of a group, as the durable map has it, into the batch. */
void map_put_group(struct batch *batch, uint64_t map_id, const struct chunk *chunk, uint64_t group);
/* Blocks that take space though they are in no durable map yet. */
uint64_t data_count_new_locked(const struct file *file) REQUIRES(file->lock);
/* A removed file that nobody holds: its dirty blocks are given up. */
void data_abandon(struct volume *volume, struct inode *inode);
/* Sets attributes among which is the size. */
MUST_CHECK int data_set_size(struct volume *volume, const struct fs_cred *cred, struct inode *inode,
    const struct fs_setattr *change);

/* Makes the file at least so long, without reading permissions. */
MUST_CHECK int data_grow(
    struct volume *volume, const struct fs_cred *cred, struct inode *inode, uint64_t size_bytes);

/* Of struct fs_ops. */
int data_read(struct fs *fs, struct fs_node node, uint64_t offset, uint8_t *buffer, size_t size,
    struct fs_read *out);
int data_write(
    struct fs *fs, struct fs_node node, const struct fs_write *write, struct fs_written *out);
int data_sync(struct fs *fs, struct fs_node node, uint64_t offset, uint64_t size_bytes);
int data_read_segments(struct fs *fs, struct fs_node node, struct fs_read_segments *read);
int data_seek(struct fs *fs, struct fs_node node, uint64_t offset, enum fs_seek_what what,
    uint64_t *out_offset);
int data_allocate(struct fs *fs, const struct fs_cred *cred, struct fs_node node, uint64_t offset,
    uint64_t size_bytes, struct fs_attr *out_attr);
int data_deallocate(struct fs *fs, const struct fs_cred *cred, struct fs_node node, uint64_t offset,
    uint64_t size_bytes, struct fs_attr *out_attr);
int data_clone(struct fs *fs, const struct fs_cred *cred, const struct fs_clone *how,
    struct fs_attr *out_attr);
