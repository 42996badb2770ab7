/*
 * catalog/store.c - the RocksDB under the catalog (room: catalog).
 */
#include "catalog/store.h"

#include <rocksdb/c.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"

#define WRITE_BUFFER_BYTES (4u << 20)
#define OPEN_FILES_MAX     64
#define LOG_FILES_KEPT     2
#define LOG_FILE_BYTES     (1u << 20)
#define FATAL_ONLY         4 /* RocksDB's InfoLogLevel; see make_options() */
#define TOLERATE_TORN_TAIL 0 /* RocksDB's WALRecoveryMode: damage before the tail is an error */

struct catalog_store {
    rocksdb_options_t *options;
    rocksdb_writeoptions_t *synced;
    rocksdb_readoptions_t *reading;
    rocksdb_t *db;
};

struct catalog_batch {
    rocksdb_writebatch_t *batch;
};

static rocksdb_options_t *make_options(void)
{
    rocksdb_options_t *options = rocksdb_options_create();
    rocksdb_options_set_create_if_missing(options, 1);
    rocksdb_options_set_write_buffer_size(options, WRITE_BUFFER_BYTES);
    rocksdb_options_set_max_open_files(options, OPEN_FILES_MAX);
    rocksdb_options_set_compression(options, rocksdb_no_compression);
    rocksdb_options_set_keep_log_file_num(options, LOG_FILES_KEPT);
    rocksdb_options_set_max_log_file_size(options, LOG_FILE_BYTES);
    /* On a full disk a line of its LOG fails, and the next one fails an assertion of RocksDB. What matters it
     * also returns, and we log that. */
    rocksdb_options_set_info_log_level(options, FATAL_ONLY);
    rocksdb_options_set_wal_recovery_mode(options, TOLERATE_TORN_TAIL);
    return options;
}

/* What RocksDB says in words, as an errno and a sentence. */
static int explain_open_error(const char *path, const char *error, char *reason, size_t size)
{
    if (strstr(error, "LOCK:") != NULL || strstr(error, "lock hold") != NULL) {
        (void)snprintf(reason, size,
            "the catalog %s is in use by another process: stop that one first, or give this one a "
            "data directory of its own",
            path);
        return -EBUSY;
    }
    if (strncmp(error, "Corruption", strlen("Corruption")) == 0) {
        (void)snprintf(reason, size,
            "the catalog %s is damaged (%s): restore the data directory from a backup", path,
            error);
        return -EBADMSG;
    }
    (void)snprintf(reason, size, "cannot open the catalog %s: %s", path, error);
    return -EIO;
}

int catalog_store_open(
    const char *path, char *reason, size_t reason_size, struct catalog_store **out_store)
{
    struct catalog_store *store = calloc(1, sizeof *store);
    if (store == NULL) {
        (void)snprintf(reason, reason_size, "out of memory");
        return -ENOMEM;
    }
    store->options = make_options();
    store->synced = rocksdb_writeoptions_create();
    rocksdb_writeoptions_set_sync(store->synced, 1);
    store->reading = rocksdb_readoptions_create();
    char *error = NULL;
    store->db = rocksdb_open(store->options, path, &error);
    int err = 0;
    if (error != NULL) {
        err = explain_open_error(path, error, reason, reason_size);
        rocksdb_free(error);
        catalog_store_close(store);
        return err;
    }
    *out_store = store;
    return err;
}

void catalog_store_close(struct catalog_store *store)
{
    if (store == NULL)
        return;
    if (store->db != NULL)
        rocksdb_close(store->db);
    rocksdb_readoptions_destroy(store->reading);
    rocksdb_writeoptions_destroy(store->synced);
    rocksdb_options_destroy(store->options);
    free(store);
}

int catalog_store_scan(struct catalog_store *store,
    int (*take)(void *context, struct slice key, struct slice value), void *context)
{
    rocksdb_iterator_t *iterator = rocksdb_create_iterator(store->db, store->reading);
    int err = 0;
    for (rocksdb_iter_seek_to_first(iterator); err >= 0 && rocksdb_iter_valid(iterator);
         rocksdb_iter_next(iterator)) {
        size_t key_size;
        size_t value_size;
        const char *key = rocksdb_iter_key(iterator, &key_size);
        const char *value = rocksdb_iter_value(iterator, &value_size);
        err = take(context, slice_of(key, key_size), slice_of(value, value_size));
    }
    char *error = NULL;
    rocksdb_iter_get_error(iterator, &error);
    if (error != NULL) {
        LOG_ERROR("catalog cannot be read", "error=\"%s\"", error);
        rocksdb_free(error);
        err = err < 0 ? err : -EBADMSG;
    }
    rocksdb_iter_destroy(iterator);
    return err;
}

struct catalog_batch *catalog_batch_new(void)
{
    struct catalog_batch *batch = malloc(sizeof *batch);
    if (batch == NULL)
        abort();
    batch->batch = rocksdb_writebatch_create();
    return batch;
}

void catalog_batch_free(struct catalog_batch *batch)
{
    if (batch == NULL)
        return;
    rocksdb_writebatch_destroy(batch->batch);
    free(batch);
}

void catalog_batch_put(struct catalog_batch *batch, struct slice key, struct slice value)
{
    rocksdb_writebatch_put(
        batch->batch, (const char *)key.data, key.size, (const char *)value.data, value.size);
}

void catalog_batch_delete(struct catalog_batch *batch, struct slice key)
{
    rocksdb_writebatch_delete(batch->batch, (const char *)key.data, key.size);
}

int catalog_store_write(struct catalog_store *store, struct catalog_batch *batch)
{
    char *error = NULL;
    rocksdb_write(store->db, store->synced, batch->batch, &error);
    if (error == NULL)
        return 0;
    LOG_ERROR("catalog write failed: it takes no more changes", "error=\"%s\"", error);
    rocksdb_free(error);
    return -EIO;
}
