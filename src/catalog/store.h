/*
 * catalog/store.h - where the catalog's records lie: one small RocksDB, every batch synced.
 *
 * It knows keys and values, not what they mean. catalog_store_write() may be called by one thread at a
 * time.
 */
#pragma once

#include "base/base.h"

struct catalog_store;
struct catalog_batch;

/* On failure `reason` says why, in a sentence. Errors: -EBUSY: another process holds it; -EBADMSG:
 * damaged; -EIO. */
MUST_CHECK int catalog_store_open(
    const char *path, char *reason, size_t reason_size, struct catalog_store **out_store);
/* NULL is allowed. */
void catalog_store_close(struct catalog_store *store);

/* Calls `take` with every record in the order of keys; a negative answer ends the scan and is given
 * back. */
MUST_CHECK int catalog_store_scan(struct catalog_store *store,
    int (*take)(void *context, struct slice key, struct slice value), void *context);

/* Ends the process when there is no memory, as all of RocksDB does. */
struct catalog_batch *catalog_batch_new(void);
void catalog_batch_free(struct catalog_batch *batch);
void catalog_batch_put(struct catalog_batch *batch, struct slice key, struct slice value);
void catalog_batch_delete(struct catalog_batch *batch, struct slice key);
/* All of the batch or nothing, durable on return. Errors: -EIO; whether it is there after a restart
 * is then open. */
MUST_CHECK int catalog_store_write(struct catalog_store *store, struct catalog_batch *batch);
