/*
 * engine/store.c - RocksDB in the project's error shape (room: engine).
 */
#include "engine/store.h"

#include <inttypes.h>
#include <rocksdb/c.h>
#include <stdlib.h>

#include "base/log.h"
#include "engine/crypt.h"
#include "engine/manifest.h"

#define BLOOM_BITS_PER_KEY 10
#define BLOB_BYTES_MIN     1024u
#define OPEN_FILES_MAX     64 /* table files one database holds open */
#define LOG_FATAL_ONLY     4  /* RocksDB's InfoLogLevel */
#define ERROR_TEXT_MAX     400

struct store_shared {
    rocksdb_options_t *options;
    rocksdb_block_based_table_options_t *table_options;
    rocksdb_cache_t *cache;
    rocksdb_env_t *env;
    rocksdb_writeoptions_t *write;
    rocksdb_flushoptions_t *flush;
    rocksdb_readoptions_t *read;
};

struct store {
    struct store_shared *shared;
    rocksdb_t *db;
    struct crypt *crypt;                /* NULL: values are in clear */
    const rocksdb_snapshot_t *snapshot; /* of a view: what it reads; NULL: the newest */
    rocksdb_readoptions_t *read;
    char name[64];
};

struct store_batch {
    rocksdb_writebatch_t *inner;
    struct crypt *crypt;
    struct crypt_context *context;
    uint8_t *sealed; /* room for one value */
    size_t sealed_size;
    int error; /* -ENOMEM: a value is missing */
};

struct store_iterator {
    struct store *store;
    rocksdb_readoptions_t *options;
    rocksdb_iterator_t *iterator;
    struct key end;  /* RocksDB keeps a pointer to it */
    uint8_t *opened; /* room for one value that was sealed */
    size_t opened_size;
    bool is_started;
};

/* What RocksDB's message means. */
static int error_of(const char *text)
{
    static const struct {
        const char *words;
        int err;
    } meanings[] = {
        /* Damage first: its words ("block checksum mismatch", a file's name) may have those of the others in them. */
        { "Corruption", -EBADMSG }, { "No space left", -ENOSPC }, { "While lock file", -EBUSY },
        { "lock hold by", -EBUSY }, { "does not exist (create_if_missing", -ENOENT },
        { "Invalid argument", -EBADMSG },
        { "No such file or directory", -EBADMSG }, /* one of its own is missing */
    };
    for (size_t i = 0; i < ARRAY_SIZE(meanings); i++) {
        if (strstr(text, meanings[i].words) != NULL)
            return meanings[i].err;
    }
    return -EIO;
}

/* Takes over RocksDB's message `text`. */
static int store_error(const char *name, const char *what, char *text)
{
    int err = error_of(text);
    char quoted[ERROR_TEXT_MAX];
    LOG_ERROR("database failed", "fs=%s doing=%s text=%s", name, what,
        log_quote(quoted, sizeof quoted, slice_str(text)));
    rocksdb_free(text);
    return err;
}

static void set_table_options(struct store_shared *shared, const struct store_options *options)
{
    shared->cache = rocksdb_cache_create_lru(options->cache_bytes);
    shared->table_options = rocksdb_block_based_options_create();
    rocksdb_block_based_options_set_block_cache(shared->table_options, shared->cache);
    rocksdb_block_based_options_set_filter_policy(
        shared->table_options, rocksdb_filterpolicy_create_bloom_full(BLOOM_BITS_PER_KEY));
    rocksdb_block_based_options_set_cache_index_and_filter_blocks(shared->table_options, 1);
    rocksdb_block_based_options_set_pin_l0_filter_and_index_blocks_in_cache(
        shared->table_options, 1);
    rocksdb_block_based_options_set_format_version(shared->table_options, 5);
    rocksdb_options_set_block_based_table_factory(shared->options, shared->table_options);
}

int store_shared_new(const struct store_options *options, struct store_shared **out_shared)
{
    struct store_shared *shared = calloc(1, sizeof *shared);
    if (shared == NULL)
        return -ENOMEM;
    shared->env = rocksdb_create_default_env();
    rocksdb_env_set_background_threads(shared->env, 2);
    rocksdb_env_set_high_priority_background_threads(shared->env, 1);
    rocksdb_options_t *opt = rocksdb_options_create();
    shared->options = opt;
    set_table_options(shared, options);
    rocksdb_options_set_env(opt, shared->env);
    rocksdb_options_set_paranoid_checks(opt, 1);
    rocksdb_options_set_write_buffer_size(opt, options->write_buffer_bytes);
    rocksdb_options_set_max_write_buffer_number(opt, 3);
    rocksdb_options_set_max_background_jobs(opt, 3);
    rocksdb_options_set_max_open_files(opt, OPEN_FILES_MAX);
    rocksdb_options_set_compression(opt, rocksdb_lz4_compression);
    rocksdb_options_set_level_compaction_dynamic_level_bytes(opt, 1);
    rocksdb_options_set_bytes_per_sync(opt, 1 << 20);
    /* The data of small files stands in files of its own: sorting the keys does not copy it again. */
    rocksdb_options_set_enable_blob_files(opt, 1);
    rocksdb_options_set_min_blob_size(opt, BLOB_BYTES_MIN);
    rocksdb_options_set_blob_file_size(opt, options->write_buffer_bytes);
    rocksdb_options_set_blob_compression_type(opt, rocksdb_no_compression);
    rocksdb_options_set_enable_blob_gc(opt, 1);
    rocksdb_options_set_blob_gc_force_threshold(opt, 0.5);
    /* One thread writes: nothing to coordinate. */
    rocksdb_options_set_allow_concurrent_memtable_write(opt, 0);
    rocksdb_options_set_enable_write_thread_adaptive_yield(opt, 0);
    rocksdb_options_set_stats_dump_period_sec(opt, 0);
    /* On a full disk a line of its LOG fails, and the next one fails an assertion of RocksDB. What matters it also
     * returns, and we log that. */
    rocksdb_options_set_info_log_level(opt, LOG_FATAL_ONLY);
    rocksdb_options_set_keep_log_file_num(opt, 2);
    rocksdb_options_set_skip_stats_update_on_db_open(opt, 1);
    shared->write = rocksdb_writeoptions_create();
    rocksdb_writeoptions_disable_WAL(shared->write, 1); /* engine/journal.h is the log */
    shared->flush = rocksdb_flushoptions_create();
    rocksdb_flushoptions_set_wait(shared->flush, 1);
    shared->read = rocksdb_readoptions_create();
    *out_shared = shared;
    return 0;
}

void store_shared_free(struct store_shared *shared)
{
    if (shared == NULL)
        return;
    rocksdb_readoptions_destroy(shared->read);
    rocksdb_writeoptions_destroy(shared->write);
    rocksdb_flushoptions_destroy(shared->flush);
    rocksdb_options_destroy(shared->options);
    rocksdb_block_based_options_destroy(shared->table_options);
    rocksdb_cache_destroy(shared->cache);
    rocksdb_env_destroy(shared->env);
    free(shared);
}

/* Whether the error is of a MANIFEST whose end a power cut left torn, which is mended now. */
static bool is_mended(const struct store *store, const char *path, const char *text)
{
    uint64_t cut_bytes = 0;
    if (strstr(text, "Corruption") == NULL || strstr(text, "MANIFEST") == NULL ||
        manifest_cut_torn(path, &cut_bytes) < 0 || cut_bytes == 0)
        return false;
    LOG_WARN("database: torn records at the end of its MANIFEST, not synced before the machine "
             "stopped, are cut off",
        "fs=%s bytes=%" PRIu64, store->name, cut_bytes);
    return true;
}

static int open_database(struct store *store, const struct store_place *place)
{
    const char *path = place->path;
    rocksdb_options_t *options = rocksdb_options_create_copy(store->shared->options);
    rocksdb_options_set_create_if_missing(options, place->create ? 1 : 0);
    if (place->is_copy)
        rocksdb_options_set_disable_auto_compactions(options, 1);
    char *text = NULL;
    store->db = rocksdb_open(options, path, &text);
    if (text != NULL && is_mended(store, path, text)) {
        rocksdb_free(text);
        text = NULL;
        store->db = rocksdb_open(options, path, &text);
    }
    rocksdb_options_destroy(options);
    return text != NULL ? store_error(store->name, "open", text) : 0;
}

int store_open(
    struct store_shared *shared, const struct store_place *place, struct store **out_store)
{
    struct store *store = calloc(1, sizeof *store);
    if (store == NULL)
        return -ENOMEM;
    store->shared = shared;
    store->crypt = place->crypt;
    store->read = shared->read;
    size_t name_size = min_size(strlen(place->name), sizeof store->name - 1);
    // NOLINTNEXTLINE(bugprone-not-null-terminated-result): calloc() has put the NUL there
    memcpy(store->name, place->name, name_size);
    int err = open_database(store, place);
    if (err < 0) {
        free(store);
        return err;
    }
    *out_store = store;
    return 0;
}

void store_close(struct store *store)
{
    if (store == NULL)
        return;
    if (store->snapshot == NULL) {
        rocksdb_close(store->db);
    } else {
        rocksdb_readoptions_destroy(store->read);
        rocksdb_release_snapshot(store->db, store->snapshot);
    }
    free(store);
}

int store_view_new(struct store *store, struct store **out_view)
{
    struct store *view = malloc(sizeof *view);
    if (view == NULL)
        return -ENOMEM;
    *view = *store;
    view->snapshot = rocksdb_create_snapshot(store->db);
    view->read = rocksdb_readoptions_create();
    rocksdb_readoptions_set_snapshot(view->read, view->snapshot);
    rocksdb_readoptions_set_fill_cache(view->read, 0);
    *out_view = view;
    return 0;
}

/* Opens what was sealed under `key` into `out`, of its size. */
static int open_value(const struct store *store, struct slice key, struct slice sealed,
    uint8_t *out, struct slice *out_value)
{
    int err = -EBADMSG;
    if (sealed.size >= CRYPT_VALUE_BYTES)
        err = crypt_value_open(store->crypt, key, sealed, out);
    if (err == -EBADMSG)
        LOG_ERROR("database record is damaged: it cannot be decrypted", "fs=%s kind=%c size=%zu",
            store->name, key.data[0], sealed.size);
    if (err == 0)
        *out_value = slice_of(out, sealed.size - CRYPT_VALUE_BYTES);
    return err;
}

/* Replaces what RocksDB holds by what it was before it was sealed. */
static int open_pinned(const struct store *store, const struct key *key, struct store_value *value)
{
    uint8_t *opened = malloc(value->data.size + 1);
    int err = opened == NULL ? -ENOMEM
                             : open_value(store, key_slice(key), value->data, opened, &value->data);
    rocksdb_pinnableslice_destroy(value->pin);
    value->pin = NULL;
    if (err < 0)
        free(opened);
    else
        value->opened = opened;
    return err;
}

int store_get(struct store *store, const struct key *key, struct store_value *out_value)
{
    char *text = NULL;
    rocksdb_pinnableslice_t *pin =
        rocksdb_get_pinned(store->db, store->read, (const char *)key->bytes, key->size, &text);
    if (text != NULL)
        return store_error(store->name, "get", text);
    if (pin == NULL)
        return -ENOENT;
    size_t size = 0;
    const char *data = rocksdb_pinnableslice_value(pin, &size);
    struct store_value value = { .data = slice_of(data, size), .pin = pin };
    int err = store->crypt == NULL ? 0 : open_pinned(store, key, &value);
    if (err == 0)
        *out_value = value;
    return err;
}

void store_value_release(struct store_value *value)
{
    if (value->pin != NULL)
        rocksdb_pinnableslice_destroy(value->pin);
    free(value->opened);
    value->pin = NULL;
    value->opened = NULL;
}

int store_scan(struct store *store, const struct key *from, const struct key *end,
    struct store_iterator **out_iterator)
{
    struct store_iterator *iterator = calloc(1, sizeof *iterator);
    if (iterator == NULL)
        return -ENOMEM;
    iterator->store = store;
    iterator->end = *end;
    iterator->options = rocksdb_readoptions_create();
    if (store->snapshot != NULL) {
        rocksdb_readoptions_set_snapshot(iterator->options, store->snapshot);
        rocksdb_readoptions_set_fill_cache(iterator->options, 0);
    }
    rocksdb_readoptions_set_iterate_upper_bound(
        iterator->options, (const char *)iterator->end.bytes, iterator->end.size);
    iterator->iterator = rocksdb_create_iterator(store->db, iterator->options);
    rocksdb_iter_seek(iterator->iterator, (const char *)from->bytes, from->size);
    *out_iterator = iterator;
    return 0;
}

static int open_scanned(struct store_iterator *iterator, struct slice key, struct slice *value)
{
    if (iterator->opened_size < value->size) {
        uint8_t *larger = realloc(iterator->opened, value->size);
        if (larger == NULL)
            return -ENOMEM;
        iterator->opened = larger;
        iterator->opened_size = value->size;
    }
    return open_value(iterator->store, key, *value, iterator->opened, value);
}

int store_scan_next(struct store_iterator *iterator, struct slice *out_key, struct slice *out_value)
{
    if (iterator->is_started)
        rocksdb_iter_next(iterator->iterator);
    iterator->is_started = true;
    if (!rocksdb_iter_valid(iterator->iterator)) {
        char *text = NULL;
        rocksdb_iter_get_error(iterator->iterator, &text);
        return text == NULL ? 0 : store_error(iterator->store->name, "scan", text);
    }
    size_t size = 0;
    const char *data = rocksdb_iter_key(iterator->iterator, &size);
    *out_key = slice_of(data, size);
    data = rocksdb_iter_value(iterator->iterator, &size);
    struct slice value = slice_of(data, size);
    int err = iterator->store->crypt == NULL ? 0 : open_scanned(iterator, *out_key, &value);
    *out_value = value;
    return err < 0 ? err : 1;
}

void store_scan_end(struct store_iterator *iterator)
{
    if (iterator == NULL)
        return;
    rocksdb_iter_destroy(iterator->iterator);
    rocksdb_readoptions_destroy(iterator->options);
    free(iterator->opened);
    free(iterator);
}

int store_batch_new(struct store *store, struct store_batch **out_batch)
{
    struct store_batch *batch = calloc(1, sizeof *batch);
    if (batch == NULL)
        return -ENOMEM;
    batch->inner = rocksdb_writebatch_create();
    batch->crypt = store->crypt;
    int err = batch->inner == NULL ? -ENOMEM : 0;
    if (err == 0 && batch->crypt != NULL)
        err = crypt_context_get(batch->crypt, &batch->context);
    if (err < 0) {
        store_batch_free(batch);
        return err;
    }
    *out_batch = batch;
    return 0;
}

void store_batch_free(struct store_batch *batch)
{
    if (batch == NULL)
        return;
    if (batch->context != NULL)
        crypt_context_put(batch->crypt, batch->context);
    if (batch->inner != NULL)
        rocksdb_writebatch_destroy(batch->inner);
    free(batch->sealed);
    free(batch);
}

void store_batch_clear(struct store_batch *batch)
{
    rocksdb_writebatch_clear(batch->inner);
    batch->error = 0;
}

/* False: there is no memory; the batch is not to be applied. */
static bool seal_value(struct store_batch *batch, const struct key *key, struct slice *value)
{
    size_t size = value->size + CRYPT_VALUE_BYTES;
    if (batch->sealed_size < size) {
        uint8_t *larger = realloc(batch->sealed, size);
        if (larger == NULL) {
            batch->error = -ENOMEM;
            return false;
        }
        batch->sealed = larger;
        batch->sealed_size = size;
    }
    crypt_value_seal(batch->crypt, batch->context, key_slice(key), *value, batch->sealed);
    *value = slice_of(batch->sealed, size);
    return true;
}

void store_batch_put(struct store_batch *batch, const struct key *key, struct slice value)
{
    if (batch->crypt != NULL && !seal_value(batch, key, &value))
        return;
    rocksdb_writebatch_put(
        batch->inner, (const char *)key->bytes, key->size, (const char *)value.data, value.size);
}

void store_batch_delete(struct store_batch *batch, const struct key *key)
{
    rocksdb_writebatch_delete(batch->inner, (const char *)key->bytes, key->size);
}

void store_batch_mark(struct store_batch *batch)
{
    rocksdb_writebatch_set_save_point(batch->inner);
}

void store_batch_undo(struct store_batch *batch)
{
    char *text = NULL;
    rocksdb_writebatch_rollback_to_save_point(batch->inner, &text);
    assert(text == NULL); /* there is a mark */
}

void store_batch_forget(struct store_batch *batch)
{
    char *text = NULL;
    rocksdb_writebatch_pop_save_point(batch->inner, &text);
    assert(text == NULL);
}

int store_batch_bytes(struct store_batch *batch, struct slice *out_bytes)
{
    size_t size = 0;
    const char *data = rocksdb_writebatch_data(batch->inner, &size);
    *out_bytes = slice_of(data, size);
    return batch->error;
}

static int apply_inner(struct store *store, rocksdb_writebatch_t *batch)
{
    char *text = NULL;
    rocksdb_write(store->db, store->shared->write, batch, &text);
    return text == NULL ? 0 : store_error(store->name, "write", text);
}

int store_apply(struct store *store, struct store_batch *batch)
{
    return batch->error < 0 ? batch->error : apply_inner(store, batch->inner);
}

int store_apply_bytes(struct store *store, struct slice bytes)
{
    rocksdb_writebatch_t *batch =
        rocksdb_writebatch_create_from((const char *)bytes.data, bytes.size);
    if (batch == NULL)
        return -ENOMEM;
    int err = apply_inner(store, batch);
    rocksdb_writebatch_destroy(batch);
    return err;
}

int store_flush(struct store *store)
{
    char *text = NULL;
    rocksdb_flush(store->db, store->shared->flush, &text);
    return text == NULL ? 0 : store_error(store->name, "flush", text);
}

int store_each(struct store *store, enum key_kind kind, store_visit *visit, void *context)
{
    struct key from;
    struct key end;
    key_make0(&from, kind);
    key_make0(&end, (enum key_kind)(kind + 1));
    struct store_iterator *iterator;
    int err = store_scan(store, &from, &end, &iterator);
    if (err < 0)
        return err;
    struct slice key = { 0 };
    struct slice value = { 0 };
    while ((err = store_scan_next(iterator, &key, &value)) == 1) {
        err = visit(context, key, value);
        if (err != 0)
            break;
    }
    store_scan_end(iterator);
    return err;
}
