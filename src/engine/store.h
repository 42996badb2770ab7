/*
 * engine/store.h - the database of one file system: RocksDB in the project's error shape.
 *
 * Calls that read or write may wait for the disk and need a deep stack: never on a reactor's fiber,
 * but through pool_call(). One thread writes; any may read. Errors: -EIO; -EBADMSG: damaged;
 * -EBUSY: another process has it open; -ENOSPC. What RocksDB says is logged here, as only here the
 * text is known.
 *
 * Values of an encrypted file system are sealed when they are put into a batch, and opened when they are read; nothing
 * above knows of it. Keys stay as they are.
 */
#pragma once

#include "base/base.h"
#include "engine/keys.h"

struct crypt;
struct store;
struct store_shared; /* what all databases of the process have in common: the block cache, options
                      */
struct store_batch;
struct store_iterator;

struct store_options {
    uint64_t cache_bytes;        /* blocks of all databases together */
    uint64_t write_buffer_bytes; /* of each database */
};

MUST_CHECK int store_shared_new(
    const struct store_options *options, struct store_shared **out_shared);
/* All stores are closed. NULL is allowed. */
void store_shared_free(struct store_shared *shared);

/* Opens the database in the directory `path`; with `create` it is made if missing, without:
 * -ENOENT. `name` is for the log. `crypt` (borrowed) seals its values; NULL: they are in clear. */
struct store_place {
    const char *path;
    const char *name;
    struct crypt *crypt;
    bool create;
    bool is_copy; /* to be looked at: it is not tidied up */
};
MUST_CHECK int store_open(
    struct store_shared *shared, const struct store_place *place, struct store **out_store);
/* NULL is allowed. */
void store_close(struct store *store);

/* The database as it is at this moment, for reading; it does not push others' blocks out of the cache. The caller closes
 * it, before the store. Errors: -ENOMEM. */
MUST_CHECK int store_view_new(struct store *store, struct store **out_view);

/* A value that stays valid until it is released. */
struct store_value {
    struct slice data;
    void *pin;    /* RocksDB's; NULL: `opened` */
    void *opened; /* what was sealed; NULL: it was not */
};

/* Errors: -ENOENT. */
MUST_CHECK int store_get(struct store *store, const struct key *key, struct store_value *out_value);
void store_value_release(struct store_value *value);

/* Visits keys from `from` while they are below `end`, as the database is at this moment.
 * Both are copied. Errors: -ENOMEM. */
MUST_CHECK int store_scan(struct store *store, const struct key *from, const struct key *end,
    struct store_iterator **out_iterator);
/* 1: *out_key and *out_value are the next pair, valid until the next call; 0: no more. */
MUST_CHECK int store_scan_next(
    struct store_iterator *iterator, struct slice *out_key, struct slice *out_value);
/* NULL is allowed. */
void store_scan_end(struct store_iterator *iterator);
/* Visits all records of a kind. `visit` gives 0 to go on; anything else ends it and is what this gives. Errors: those of
 * store_scan() and store_scan_next(). */
typedef int store_visit(void *context, struct slice key, struct slice value);
MUST_CHECK int store_each(
    struct store *store, enum key_kind kind, store_visit *visit, void *context);

MUST_CHECK int store_batch_new(struct store *store, struct store_batch **out_batch);
void store_batch_free(struct store_batch *batch);
void store_batch_clear(struct store_batch *batch);
void store_batch_put(struct store_batch *batch, const struct key *key, struct slice value);
void store_batch_delete(struct store_batch *batch, const struct key *key);
/* Remembers how far the batch is; undo takes back all that came since; forget ends it. Not nested.
 */
void store_batch_mark(struct store_batch *batch);
void store_batch_undo(struct store_batch *batch);
void store_batch_forget(struct store_batch *batch);
/* The batch as bytes, valid until it is changed; and a batch of such bytes, once. Errors: -ENOMEM: something could not
 * be put into it, so it must not be applied. */
MUST_CHECK int store_batch_bytes(struct store_batch *batch, struct slice *out_bytes);
MUST_CHECK int store_apply_bytes(struct store *store, struct slice bytes);
/* Makes all of the batch visible or nothing; durable with the next flush (the journal keeps it till then). */
MUST_CHECK int store_apply(struct store *store, struct store_batch *batch);
/* Makes durable all that was applied. May take long. */
MUST_CHECK int store_flush(struct store *store);
