/*
 * engine/committer.h - the one thread that changes a file system's database.
 *
 * It takes all requests that wait, executes each against (published state + this batch), writes the
 * batch with one sync, publishes to the caches, and completes the requests: those that failed too,
 * as their answer may tell of what others in the batch did. While it syncs the next batch gathers.
 *
 * Invariants:
 *  C1. execute() changes nothing when it fails, and waits for nothing but the database.
 *  C2. Nothing a batch did is visible to readers before it is on the disk.
 *  C3. After a write of the database failed no further one is tried: the volume is read-only.
 */
#pragma once

#include <pthread.h>

#include "base/list.h"
#include "engine/dir.h"
#include "engine/inode.h"
#include "engine/keys.h"
#include "engine/store.h"
#include "engine/versions.h"
#include "io/event.h"

struct batch;
struct request;
struct snapshot;
struct volume;

/* On the committer's thread. 0 or more: success. */
typedef int request_execute(struct batch *batch, struct request *request);
/* After the batch is durable; only when execute succeeded. */
typedef void request_publish(struct batch *batch, struct request *request);

/* Embedded in what describes the change, on the caller's stack. */
struct request {
    struct request *next;
    struct event event;
    request_execute *execute;
    request_publish *publish; /* NULL: nothing beside inodes and names */
    bool frees_space;         /* allowed although the disk is nearly full */
    int result;
};

/* The committer's view of an inode it changes in the running batch. */
struct pending {
    struct list link;
    struct list uncounted; /* may differ from `counted`: in the batch's list */
    struct inode *inode;
    struct inode_record record; /* of a file: size and block counts are the durable ones */
    bool is_changed;            /* its record is to be written */
    bool is_new;
    bool is_gone;            /* its record is to be deleted */
    bool sets_mtime;         /* to what was asked for, maybe the past */
    bool sets_size;          /* readers' size and space follow the record */
    bool sets_xattrs;        /* the database does not know them yet */
    bool sets_links;         /* nor its l records */
    struct fs_usage counted; /* what the usage of `home`, and all above, has of it */
    uint64_t home;
};

struct batch_name {
    struct inode *dir_inode;
    struct name *name;
};

struct batch {
    struct volume *volume;
    struct store_batch *writes;
    bool has_writes;
    struct fs_time now;
    struct list pendings;
    struct list uncounted;         /* engine/usage.h */
    struct pending *free_pendings; /* linked through link.next */
    struct batch_name *names;
    uint32_t name_count;
    uint32_t name_capacity;
    struct block_range *ranges;
    uint32_t range_count;
    uint32_t range_capacity;
    uint8_t *scratch; /* for the value being encoded */
    size_t scratch_size;
    struct volume_state state;  /* as the batch will leave it */
    struct version_notes notes; /* engine/versions.h */
    uint64_t keep_for;          /* the snapshot for which what changes is kept; 0: none */
    uint64_t keep_horizon;
    struct snapshot *new_snapshot; /* that the batch makes; NULL: none */
};

struct committer {
    struct volume *volume;
    struct request *_Atomic head; /* newest first */
    _Atomic uint32_t is_sleeping; /* a futex */
    _Atomic bool is_stopping;
    bool is_started;
    pthread_t thread;
    struct batch batch;
};

/* `state`: as stored. Errors: -ENOMEM, -EAGAIN: no thread. */
MUST_CHECK int committer_start(
    struct committer *committer, struct volume *volume, const struct volume_state *state);
/* Ends the thread once its queue is empty; frees. */
void committer_stop(struct committer *committer);

/* Has the request executed, waits until it is durable; gives its result. From any thread or fiber.
 */
MUST_CHECK int committer_submit(struct committer *committer, struct request *request);

/* For execute(): */

/* Room so that `count` inodes, names, and ranges can be noted without failing. Errors: -ENOMEM. */
MUST_CHECK int batch_reserve(struct batch *batch, uint32_t count);
/* An inode as the committer sees it, made in this batch too, pinned. Errors: -ESTALE. */
MUST_CHECK int batch_acquire(struct batch *batch, uint64_t id, struct inode **out_inode);
/* The inode's record in this batch; counts against what was reserved. Needs a READY inode, pinned.
 */
struct pending *batch_touch(struct batch *batch, struct inode *inode);
/* The next value of the counters of change. */
uint64_t batch_next_change(struct batch *batch);
/* Marks the record changed: new change counter, ctime now. */
void batch_mark_changed(struct batch *batch, struct pending *pending);
/* Notes a name that was added or taken, and puts its bucket into the batch. `dir_inode` is pinned.
 */
void batch_note_name(struct batch *batch, struct inode *dir_inode, struct name *name);
void batch_put(struct batch *batch, const struct key *key, struct slice value);
void batch_delete(struct batch *batch, const struct key *key);
/* Blocks that become live or dead with this batch. */
void batch_add_range(struct batch *batch, uint64_t address, uint32_t count, bool is_live);
