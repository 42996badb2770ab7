/*
 * engine/snapshot.h - the snapshots of a file system: which there are, and how what is in them is named.
 *
 * A snapshot is the state after one batch, and its number is that batch's. What a tree consists of (`i`, `d`, `x`, `s`,
 * `a` and `t` records) is kept when it is touched for the first time after a snapshot: engine/versions.h. Making one
 * writes one record, whatever the size of the file system.
 *
 * An inode in a snapshot has an id of its own everywhere in memory and in file handles: its number, with the
 * snapshot's slot above SNAPSHOT_ID_BITS. So caches, names and maps in memory work as for live ones; only who reads the
 * database has to know (engine/records.h), and who changes something refuses (snapshot_refuse()). Slots are used again,
 * late: the generation of such a node has the snapshot's number mixed in.
 *
 * Invariants:
 *  N1. What can be read in a snapshot never changes; so memory that holds it needs no publication.
 *  N2. No inode and no map with a number at or above a snapshot's horizon is in it.
 *  N3. Numbers of snapshots only grow, and none is used twice.
 */
#pragma once

#include "base/lock.h"
#include "engine/keys.h"

struct batch;
struct inode;
struct volume;

#define SNAPSHOT_ID_BITS  48u
#define SNAPSHOT_SLOT_MAX 0xfffeu
#define SNAPSHOT_SLOT_LIST \
    0xffffu /* of the directory `.snapshot` of the directory with that number */

static inline uint64_t id_number(uint64_t id)
{
    return id & ((UINT64_C(1) << SNAPSHOT_ID_BITS) - 1);
}

/* 0: it is live. */
static inline uint32_t id_slot(uint64_t id)
{
    return (uint32_t)(id >> SNAPSHOT_ID_BITS);
}

static inline uint64_t id_in_slot(uint32_t slot, uint64_t number)
{
    return (uint64_t)slot << SNAPSHOT_ID_BITS | number;
}

/* For whoever would change the node: 0 when it is live. */
static inline int snapshot_refuse(struct fs_node node)
{
    return LIKELY(id_slot(node.inode) == 0) ? 0 : -EROFS;
}

struct snapshot {
    uint64_t number;
    uint64_t horizon;
    uint32_t slot;
    struct fs_snapshot shown;
};

struct snapshots {
    struct mutex lock;      /* a leaf */
    struct snapshot *items; /* by number; only the committer's thread changes them */
    uint32_t count;
    uint32_t capacity;
    uint32_t last_slot;
    uint64_t change; /* of the directories `.snapshot`: the batch after which they last changed */
    struct fs_time changed_at;
    /* The committer's: of the newest that is not going; 0 when there is none. */
    uint64_t newest;
    uint64_t newest_horizon;
    bool has_newer_going; /* one that is going is younger than it */
    /* The reaper's: the `w` record it goes on with, of a snapshot that is going. */
    struct key reap_next;
};

MUST_CHECK int snapshots_init(struct snapshots *snapshots); /* Errors: -ENOMEM. */
void snapshots_fini(struct snapshots *snapshots);           /* of one that is all zeros, too */
/* At opening. `batch`: the last one. Errors: -EBADMSG, -EPROTO, -EIO, -ENOMEM. */
MUST_CHECK int snapshots_load(struct volume *volume, uint64_t batch);

/* Copies the snapshot in a slot; false: there is none, or it is going. */
MUST_CHECK bool snapshot_in_slot(
    struct volume *volume, uint32_t slot, struct snapshot *out_snapshot);
/* By name, and not going. */
MUST_CHECK bool snapshot_find(
    struct volume *volume, struct slice name, struct snapshot *out_snapshot);
/* The oldest whose number is above `number`; or the newest that is not going and is below it. */
MUST_CHECK bool snapshot_after(
    struct volume *volume, uint64_t number, struct snapshot *out_snapshot);
MUST_CHECK bool snapshot_before(
    struct volume *volume, uint64_t number, struct snapshot *out_snapshot);
/* Whether what has this id can be there: true when it is live. */
bool snapshot_has_id(struct volume *volume, uint64_t id);
/* What is mixed into the generation of its nodes. */
uint64_t snapshot_generation(const struct snapshot *snapshot);

/* The `n` record. Errors: -EBADMSG, -EPROTO. */
#define SNAPSHOT_BYTES_MAX (65u + FS_SNAPSHOT_NAME_MAX)
size_t snapshot_encode(const struct snapshot *snapshot, uint8_t out[SNAPSHOT_BYTES_MAX]);
MUST_CHECK int snapshot_decode(struct slice value, uint64_t number, struct snapshot *out_snapshot);

/* For the committer, when all that the batch changes is in it and it has its number: gives the new snapshot of the
 * batch, if there is one, its number, and puts its record into the batch. */
void snapshot_seal(struct batch *batch);
/* Takes one whose space is all back out of the table; for publish(). */
void snapshots_remove(struct volume *volume, uint64_t number);

/* ---- snapshot_reap.c: giving back what only a deleted snapshot had */

bool snapshot_reap_is_due(struct volume *volume);
/* Gives back some, in one batch; on the reaper's thread. False: nothing is left, or it failed. */
bool snapshot_reap_step(struct volume *volume);

/* ---- calls_snapshot.c: the directory `.snapshot` of a directory, which no record says anything of */

MUST_CHECK int list_getattr(struct volume *volume, struct fs_node node, struct fs_attr *out_attr);
MUST_CHECK int list_lookup(struct volume *volume, const struct fs_cred *cred, struct fs_node node,
    struct slice name, struct fs_attr *out_attr);
MUST_CHECK int list_parent(struct volume *volume, const struct fs_cred *cred, struct fs_node node,
    struct fs_attr *out_attr);
MUST_CHECK int list_readdir(struct volume *volume, const struct fs_cred *cred, struct fs_node node,
    uint64_t cookie, fs_emit *emit, void *context);
