/*
 * engine/dir.h - the names of one directory in memory.
 *
 * A complete directory knows all its names: it answers "no such name" too, and lists them in the
 * order of cookies. An incomplete one holds some hash buckets, each whole, as they were read. In
 * the running batch names are added and removed for the committer first and for readers once the
 * batch is durable:
 *
 *   state                 readers see it   committer sees it   next
 *   NAME_LIVE                  yes               yes           NAME_LEAVING
 *   NAME_COMING                no                yes           NAME_LIVE (dir_publish), NAME_DEAD
 *   NAME_LEAVING               yes               no            gone (dir_publish)
 *   NAME_DEAD                  no                no            gone
 *
 * A cookie is the name's keyed hash with a slot below it: stable, unique in its directory, and no
 * counter or second record is needed for it. Lock: dir->lock, short; never held across a wait or a
 * database call. Only the committer's thread makes names COMING or LEAVING, and publishes.
 */
#pragma once

#include "base/hash.h"
#include "base/lock.h"
#include "engine/keys.h"

enum name_state { NAME_LIVE, NAME_COMING, NAME_LEAVING, NAME_DEAD };

struct name {
    struct name *next; /* in its bucket of the table */
    uint64_t cookie;
    uint64_t inode;
    uint8_t state; /* enum name_state */
    uint8_t size;
    bool is_ordered; /* `order` points to it */
    uint8_t bytes[];
};

struct name_order {
    uint64_t cookie;
    struct name *name; /* NULL: removed */
};

struct dir {
    struct mutex lock;
    struct name **table;
    uint32_t mask;
    uint32_t count; /* of names in any state */
    uint64_t bytes; /* of memory */
    bool is_complete;
    uint64_t version; /* grows when the committer publishes; tells a stale read from a good one */
    /* Names by cookie, made by the first listing: `sorted_count` sorted ones, then new ones. */
    struct name_order *order;
    uint32_t order_count;
    uint32_t sorted_count;
    uint32_t order_capacity;
};

/* A new directory knows that it has no names: `is_complete`. NULL: no memory. */
MUST_CHECK struct dir *dir_new(bool is_complete);
void dir_free(struct dir *dir);            /* NULL is allowed */
uint64_t dir_bytes(const struct dir *dir); /* of NULL: 0; not exact while others change it */

/* The hash part of a name's cookie; never 0. */
uint64_t dir_hash(const struct hash_key *key, struct slice name);

enum dir_viewer { DIR_READER, DIR_COMMITTER };

/* NULL: no such name for the viewer among those in memory. */
struct name *dir_find_locked(
    struct dir *dir, uint64_t hash, struct slice name, enum dir_viewer viewer) REQUIRES(dir->lock);
/* Whether any name of this hash is in memory. */
bool dir_has_bucket_locked(struct dir *dir, uint64_t hash) REQUIRES(dir->lock);
/* Adds a name as read from the database, unless it is there. Errors: -ENOMEM. */
MUST_CHECK int dir_insert_locked(struct dir *dir, uint64_t hash, const struct name_entry *entry)
    REQUIRES(dir->lock);

/* The committer's: adds a COMING name in the lowest free slot. Errors: -ENOMEM; -ENOSPC: 256 names
 * have this hash. */
MUST_CHECK int dir_add_locked(struct dir *dir, uint64_t hash, struct slice name, uint64_t inode,
    struct name **out_name) REQUIRES(dir->lock);
/* The committer's: takes a name away for itself; for readers after dir_publish_locked(). */
void dir_take_locked(struct dir *dir, struct name *name) REQUIRES(dir->lock);
/* Makes the change of one name that was added or taken in the batch visible; may free it. */
void dir_publish_locked(struct dir *dir, struct name *name) REQUIRES(dir->lock);
/* Forgets all LIVE names and that it was complete. */
void dir_forget_locked(struct dir *dir) REQUIRES(dir->lock);

/* Encodes all names of the hash the committer sees, as the value of a `d` record, into *buffer,
 * which grows as needed. Gives the size, 0 when there is none. Errors: -ENOMEM. */
MUST_CHECK int dir_encode_bucket_locked(struct dir *dir, uint64_t hash, uint8_t **buffer,
    size_t *capacity, size_t *out_size) REQUIRES(dir->lock);

/* Where in `order` the first cookie above `cookie` stands; puts `order` in order first.
 * For complete directories. Errors: -ENOMEM. */
MUST_CHECK int dir_seek_locked(struct dir *dir, uint64_t cookie, uint32_t *out_position)
    REQUIRES(dir->lock);
