/*
 * engine/usage.h - what lies below each directory: bytes and entries, exact after every batch.
 *
 * An inode counts once, at its home: the directory of its name, or of one of its names when it has several
 * (engine/links.h). A directory's usage is the sum over all that have their home in it or further down; its own
 * entry counts in its parent. What is open and has no name counts nowhere. Bytes are those of mapped blocks, a
 * shared block for each of its users; UNSTABLE data counts once it is committed.
 *
 * The committer keeps nodes of the directories it changes something in, with their ancestors. What a batch changes
 * is found by comparing each inode it touched with what was counted of it, and goes up the tree once per batch; a
 * `u` record says what a directory has (none: nothing).
 *
 * Invariants:
 *  U1. After a batch, the records are what a walk over the whole tree would find (check_usage.c does that).
 *  U2. A node in memory has all its ancestors in memory.
 *  U3. Nodes go only between batches.
 *
 * All but usage_read() on the committer's thread.
 */
#pragma once

#include "engine/keys.h"

struct batch;
struct findings; /* engine/check.h */
struct pending;
struct usage_tree; /* opaque: usage.c */
struct volume;

/* Memory for the nodes. Errors: -ENOMEM. */
MUST_CHECK int usage_tree_new(struct usage_tree **out_tree);
void usage_tree_free(struct usage_tree *tree); /* NULL is allowed */

/* What an inode adds to its home, and all above; nothing without a name, and for the root. */
struct fs_usage usage_of(uint64_t id, const struct inode_record *record);
bool usage_equal(const struct fs_usage *a, const struct fs_usage *b);
void usage_add(struct fs_usage *to, const struct fs_usage *added);
void usage_subtract(struct fs_usage *from, const struct fs_usage *taken);

/* For execute(), before anything changes: the directory's node and its ancestors are in memory, so that counting
 * cannot fail later. Errors: -ENOMEM, -EIO. */
MUST_CHECK int usage_prepare(struct batch *batch, uint64_t directory);
/* The same for the home of an inode of the batch. */
MUST_CHECK int usage_prepare_home(struct batch *batch, const struct pending *pending);
/* batch_touch() calls it each time: the inode may change from here on. */
void usage_touch(struct batch *batch, struct pending *pending);
/* A directory is about to get another parent: all so far is counted where it was. The node of the directory and of
 * both parents are in memory then. Errors: -ENOMEM, -EIO. */
MUST_CHECK int usage_move_prepare(struct batch *batch, uint64_t directory, uint64_t to);
/* What is below it counts below `to` from now on. */
void usage_move(struct batch *batch, uint64_t directory, uint64_t to);
/* Counts all that the batch changed, and puts the records into it. Errors: -ENOMEM, -EIO. */
MUST_CHECK int usage_write(struct batch *batch);
/* The parent of a directory whose node is in memory; 0: it is the root. */
uint64_t usage_parent(const struct volume *volume, uint64_t directory);
/* What such a directory has now, in the running batch as far as it was counted. */
struct fs_usage usage_current(const struct volume *volume, uint64_t directory);
/* The batch is over. */
void usage_finish(struct batch *batch);

/* The value of a `u` record. */
#define USAGE_BYTES 41u
void usage_record_encode(const struct fs_usage *usage, uint8_t out[USAGE_BYTES]);
/* What the database says of a directory. On a pool's thread, or the committer's. Errors: -EIO, -EBADMSG. */
MUST_CHECK int usage_read(struct volume *volume, uint64_t directory, struct fs_usage *out_usage);

/* ---- usage_walk.c: the same from all inodes and names, for the first opening by a release that counts, and for checks */

struct usage_dir {
    uint64_t id;
    uint64_t parent;
    struct fs_usage usage;
};

/* A directory with names of a file that has several. */
struct usage_link {
    uint64_t inode;
    uint64_t dir;
    uint32_t count;
};

/* A file whose record says another home. */
struct usage_home {
    uint64_t inode;
    uint64_t home;
};

struct usage_walk {
    struct volume *volume;
    struct usage_dir *dirs; /* by id */
    size_t dir_count, dir_capacity;
    struct usage_link *links; /* by inode and directory */
    size_t link_count, link_capacity;
    struct usage_home *homes;
    size_t home_count, home_capacity;
};

/* Reads all names and inodes; nobody changes anything meanwhile. Memory is used for directories and for names of
 * files that have several. The caller calls usage_walk_fini() whatever comes out. Errors: -ENOMEM, -EIO, -EBADMSG. */
MUST_CHECK int usage_walk_run(struct volume *volume, struct usage_walk *walk);
/* The directory of this inode number; NULL: there is none. Borrowed from the walk. */
struct usage_dir *usage_walk_find(const struct usage_walk *walk, uint64_t id);
void usage_walk_fini(struct usage_walk *walk);
/* A file system that no release counted so far: writes the records, durable on return. Begins again when it was
 * interrupted. Before the committer starts. Errors: as usage_walk_run(), -ENOSPC. */
MUST_CHECK int usage_count_first(struct volume *volume, struct volume_state *state);
/* Compares the records with a walk. */
MUST_CHECK int usage_check(struct volume *volume, struct findings *findings);
