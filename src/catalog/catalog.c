/*
 * catalog/catalog.c - opening, loading, and what the data plane asks (room: catalog).
 */
#include "catalog/catalog.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/random.h"
#include "base/sys.h"
#include "base/text.h"
#include "catalog/internal.h"

#define FORMAT_VERSION 3 /* docs/formats/catalog.md */
#define FORMAT_OF_NETS 3 /* the first that has records of the network */

/* On disk, beside the letters of codec.c. */
#define FORMAT_KEY         "V"
#define NETWORK_KEY        "n"
#define SESSION_SECRET_KEY "t"

struct loader {
    struct catalog *catalog;
    int64_t format; /* 0: no format record seen, so the catalog is new */
};

static int load_format(struct loader *loader, struct slice value)
{
    json_t *object = json_loadb((const char *)value.data, value.size, 0, NULL);
    loader->format = json_integer_value(json_object_get(object, "format"));
    json_decref(object);
    if (loader->format <= 0)
        return -EBADMSG;
    return loader->format > FORMAT_VERSION ? -EPROTO : 0;
}

static int load_entry(struct catalog *catalog, int letter, struct slice value)
{
    for (unsigned kind = 0; kind < ENTRY_KIND_COUNT; kind++) {
        if (codec_letter((enum entry_kind)kind) != letter)
            continue;
        struct entry *entry;
        int err = codec_decode((enum entry_kind)kind, value, &entry);
        if (err < 0)
            return err;
        struct tables *tables = catalog->tables;
        entry_set_keys(entry);
        rwlock_write_lock(&tables->lock);
        tables_insert(tables, entry);
        rwlock_write_unlock(&tables->lock);
        return 0;
    }
    return -EBADMSG; /* this format knows no such record */
}

static int load_record(void *context, struct slice key, struct slice value)
{
    struct loader *loader = context;
    if (slice_equal(key, slice_str(FORMAT_KEY)))
        return load_format(loader, value);
    if (loader->format == 0)
        return -EBADMSG; /* "V" sorts before all other keys */
    if (slice_equal(key, slice_str(NETWORK_KEY)))
        return codec_decode_network(value, loader->catalog);
    if (slice_equal(key, slice_str(SESSION_SECRET_KEY)))
        return codec_decode_session_secret(value, loader->catalog);
    return load_entry(loader->catalog, key.size == 0 ? 0 : key.data[0], value);
}

/* Access points are loaded before the file systems that count them. */
static void count_access_points(struct tables *tables)
{
    rwlock_write_lock(&tables->lock);
    const struct catalog_index_node *node =
        catalog_index_after(&tables->indexes[TABLE_ACCESS_POINT_FS], "", "");
    for (; node != NULL; node = node->next[0]) {
        struct entry *fs = tables_find(tables, ENTRY_FS, node->major);
        if (fs != NULL)
            fs->access_point_counts[tables->layer]++;
    }
    rwlock_write_unlock(&tables->lock);
}

/* Puts the format, and the session secret when there is none yet. */
static int put_format(struct catalog *catalog, struct catalog_batch *batch)
{
    char format[32];
    char *secret = NULL;
    (void)snprintf(format, sizeof format, "{\"format\":%d}", FORMAT_VERSION);
    catalog_batch_put(batch, slice_str(FORMAT_KEY), slice_str(format));
    if (catalog->has_session_secret)
        return 0;
    random_bytes(catalog->session_secret, sizeof catalog->session_secret);
    int err = codec_encode_session_secret(catalog, &secret);
    if (err < 0)
        return err;
    catalog_batch_put(batch, slice_str(SESSION_SECRET_KEY), slice_str(secret));
    explicit_bzero(secret, strlen(secret));
    free(secret);
    catalog->has_session_secret = true;
    return 0;
}

struct network_records {
    struct catalog *catalog;
    struct catalog_batch *batch;
};

static int put_network_record(void *context, struct entry *entry)
{
    const struct network_records *records = context;
    struct tables *tables = records->catalog->tables;
    char key[1 + CATALOG_ID_SIZE];
    char *text = NULL;
    rwlock_read_lock(&tables->lock);
    bool is_there = tables_find(tables, ENTRY_NET, entry_id(entry)) != NULL;
    rwlock_read_unlock(&tables->lock);
    int err = is_there ? 0 : codec_encode(entry, &text);
    if (is_there || err < 0) {
        entry_unref(entry);
        return err;
    }
    (void)snprintf(key, sizeof key, "%c%s", codec_letter(entry->kind), entry_id(entry));
    catalog_batch_put(records->batch, slice_str(key), slice_str(text));
    free(text);
    entry_set_keys(entry);
    rwlock_write_lock(&tables->lock);
    tables_insert(tables, entry); /* nobody reads yet: when the batch fails, opening fails */
    rwlock_write_unlock(&tables->lock);
    return 0;
}

/* Puts the records of the default network, and shows them. */
static int put_network(struct catalog *catalog, struct catalog_batch *batch)
{
    struct network_records records = { .catalog = catalog, .batch = batch };
    return network_make_records(&catalog->network, put_network_record, &records);
}

/* Makes a catalog of an earlier format one of this format. */
static int upgrade(struct catalog *catalog, int64_t format)
{
    struct catalog_batch *batch = catalog_batch_new();
    int err = put_format(catalog, batch);
    if (err == 0 && format < FORMAT_OF_NETS)
        err = put_network(catalog, batch);
    if (err == 0)
        err = catalog_store_write(catalog->store, batch);
    catalog_batch_free(batch);
    return err;
}

/* Format and network of a new catalog, in one batch: it exists wholly or not at all. */
static int make_new(struct catalog *catalog, const struct catalog_options *options)
{
    int err = text_copy(catalog->region, sizeof catalog->region, options->region);
    if (err == 0)
        err = text_copy(catalog->account_id, sizeof catalog->account_id, options->account_id);
    if (err < 0)
        return -EINVAL;
    network_make(catalog->region, catalog->account_id, &catalog->network);
    char *network = NULL;
    err = codec_encode_network(catalog, &network);
    if (err < 0)
        return err;
    struct catalog_batch *batch = catalog_batch_new();
    catalog_batch_put(batch, slice_str(NETWORK_KEY), slice_str(network));
    err = put_format(catalog, batch);
    if (err == 0)
        err = put_network(catalog, batch);
    if (err == 0)
        err = catalog_store_write(catalog->store, batch);
    catalog_batch_free(batch);
    free(network);
    return err;
}

static int load(struct catalog *catalog, const struct catalog_options *options, char *reason)
{
    struct loader loader = { .catalog = catalog };
    int err = catalog_store_scan(catalog->store, load_record, &loader);
    if (err == 0 && loader.format != 0 && catalog->network.zone_count == 0)
        err = -EBADMSG;
    if (err == -EPROTO) {
        (void)snprintf(reason, CATALOG_REASON_SIZE,
            "the catalog %s has format %lld, but this release knows formats up to %d: start the "
            "release that wrote it, or a newer one",
            options->path, (long long)loader.format, FORMAT_VERSION);
    } else if (err < 0) {
        (void)snprintf(reason, CATALOG_REASON_SIZE,
            "the catalog %s holds a record that cannot be read: restore the data directory from a "
            "backup",
            options->path);
    }
    if (err < 0)
        return err;
    if (loader.format == 0) {
        err = make_new(catalog, options);
        if (err < 0) {
            (void)snprintf(reason, CATALOG_REASON_SIZE,
                "cannot write the new catalog %s: is the disk full, or the region's name over %d "
                "letters?",
                options->path, CATALOG_NAME_SIZE - 1);
        }
        return err;
    }
    if (strcmp(catalog->region, options->region) != 0 ||
        strcmp(catalog->account_id, options->account_id) != 0) {
        (void)snprintf(reason, CATALOG_REASON_SIZE,
            "the catalog %s was made for region %s and account %s, not for %s and %s: configure "
            "those, or use another data directory",
            options->path, catalog->region, catalog->account_id, options->region,
            options->account_id);
        return -EINVAL;
    }
    count_access_points(catalog->tables);
    if (loader.format == FORMAT_VERSION && catalog->has_session_secret)
        return 0;
    err = upgrade(catalog, loader.format);
    if (err < 0)
        (void)snprintf(reason, CATALOG_REASON_SIZE,
            "cannot bring the catalog %s to format %d: is the disk full?", options->path,
            FORMAT_VERSION);
    return err;
}

static int tables_new(enum layer layer, struct tables **out_tables)
{
    struct tables *tables = calloc(1, sizeof *tables);
    if (tables == NULL)
        return -ENOMEM;
    tables->layer = layer;
    tables->lock.pthread = (pthread_rwlock_t)PTHREAD_RWLOCK_WRITER_NONRECURSIVE_INITIALIZER_NP;
    for (unsigned i = 0; i < TABLE_COUNT; i++)
        catalog_index_init(&tables->indexes[i]);
    *out_tables = tables;
    return 0;
}

static const enum table tables_of_ids[ENTRY_KIND_COUNT] = {
    [ENTRY_FS] = TABLE_FS,
    [ENTRY_MOUNT_TARGET] = TABLE_MOUNT_TARGET,
    [ENTRY_ACCESS_POINT] = TABLE_ACCESS_POINT,
    [ENTRY_KEY] = TABLE_KEY,
    [ENTRY_IDENTITY] = TABLE_IDENTITY,
    [ENTRY_NET] = TABLE_NET,
};

/* Makes what changes read: all that was loaded. */
static int make_ahead(struct catalog *catalog)
{
    struct catalog *ahead = calloc(1, sizeof *ahead);
    int err = ahead == NULL ? -ENOMEM : tables_new(LAYER_AHEAD, &ahead->tables);
    if (err < 0) {
        free(ahead);
        return err;
    }
    ahead->whole = catalog;
    struct tables *from = catalog->tables;
    struct tables *to = ahead->tables;
    rwlock_read_lock(&from->lock);
    rwlock_write_lock(&to->lock);
    for (unsigned kind = 0; kind < ENTRY_KIND_COUNT;
         kind++) { /* file systems before access points */
        const struct catalog_index_node *node =
            catalog_index_after(&from->indexes[tables_of_ids[kind]], "", "");
        for (; node != NULL; node = node->next[0]) {
            struct entry *entry = entry_of_node(node, LAYER_DURABLE, 0);
            entry_ref(entry);
            tables_insert(to, entry);
        }
    }
    rwlock_write_unlock(&to->lock);
    rwlock_read_unlock(&from->lock);
    catalog->ahead = ahead;
    return 0;
}

int catalog_open(const struct catalog_options *options, char *reason, struct catalog **out_catalog)
{
    struct catalog *catalog = calloc(1, sizeof *catalog);
    int err = catalog == NULL ? -ENOMEM : tables_new(LAYER_DURABLE, &catalog->tables);
    if (err < 0) {
        (void)snprintf(reason, CATALOG_REASON_SIZE, "out of memory");
        goto out;
    }
    catalog->change_lock.pthread = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
    catalog->whole = catalog;
    catalog->committed = (pthread_cond_t)PTHREAD_COND_INITIALIZER;
    catalog->generation = 1;
    err = sys_mkdirat(AT_FDCWD, options->path, 0700); /* it holds secret keys */
    if (err < 0) {
        (void)snprintf(reason, CATALOG_REASON_SIZE, "cannot make the directory %s: %s",
            options->path, strerrordesc_np(-err));
        goto out;
    }
    err = catalog_store_open(options->path, reason, CATALOG_REASON_SIZE, &catalog->store);
    if (err == 0)
        err = load(catalog, options, reason);
    if (err < 0)
        goto out;
    err = make_ahead(catalog);
    if (err < 0) {
        (void)snprintf(reason, CATALOG_REASON_SIZE, "out of memory");
        goto out;
    }
    *out_catalog = catalog;
    catalog = NULL; /* the caller owns it now */
out:
    catalog_close(catalog);
    return err;
}

/* Drops every entry, and the tables. NULL is allowed. */
static void tables_free(struct tables *tables)
{
    if (tables == NULL)
        return;
    rwlock_write_lock(&tables->lock);
    for (unsigned kind = ENTRY_KIND_COUNT; kind-- > 0;) { /* access points before file systems */
        for (;;) {
            struct catalog_index_node *node =
                catalog_index_after(&tables->indexes[tables_of_ids[kind]], "", "");
            if (node == NULL)
                break;
            struct entry *entry = entry_of_node(node, tables->layer, 0);
            tables_remove(tables, entry);
            entry_unref(entry);
        }
    }
    rwlock_write_unlock(&tables->lock);
    free(tables);
}

void catalog_close(struct catalog *catalog)
{
    if (catalog == NULL)
        return;
    assert(catalog->gathering == NULL && catalog->writing == NULL);
    if (catalog->ahead != NULL)
        tables_free(catalog->ahead->tables);
    free(catalog->ahead);
    tables_free(catalog->tables);
    explicit_bzero(catalog->session_secret, sizeof catalog->session_secret);
    catalog_store_close(catalog->store);
    free(catalog);
}

int catalog_find_export(
    const struct catalog *catalog, struct in_addr address, struct catalog_export *out_export)
{
    char key[9];
    address_to_key(address, key);
    struct tables *tables = catalog->tables;
    rwlock_read_lock(&tables->lock);
    struct catalog_index_node *node =
        catalog_index_find(&tables->indexes[TABLE_MOUNT_TARGET_ADDRESS], key, "");
    const struct entry *entry = node == NULL ? NULL : entry_of_node(node, tables->layer, 2);
    int err = -ENOENT;
    if (entry != NULL && entry->mount_target.state == CATALOG_AVAILABLE) {
        memcpy(out_export->fs_id, entry->mount_target.fs_id, sizeof out_export->fs_id);
        memcpy(out_export->mount_target_id, entry->mount_target.id,
            sizeof out_export->mount_target_id);
        err = 0;
    }
    rwlock_read_unlock(&tables->lock);
    return err;
}

/* A file system whose throughput mode is being changed goes on serving. */
static bool is_served(enum catalog_state state)
{
    return state == CATALOG_AVAILABLE || state == CATALOG_UPDATING;
}

int catalog_check_fs(const struct catalog *catalog, const char *fs_id)
{
    struct tables *tables = catalog->tables;
    rwlock_read_lock(&tables->lock);
    const struct entry *entry = tables_find(tables, ENTRY_FS, fs_id);
    int err = entry != NULL && is_served(entry->fs.state) ? 0 : -ENOENT;
    rwlock_read_unlock(&tables->lock);
    return err;
}

enum catalog_profile catalog_fs_profile(const struct catalog *catalog, const char *fs_id)
{
    enum catalog_profile profile = CATALOG_PROFILE_DEFAULT;
    struct tables *tables = catalog->tables;
    rwlock_read_lock(&tables->lock);
    const struct entry *entry = tables_find(tables, ENTRY_FS, fs_id);
    if (entry != NULL)
        profile = catalog_tags_profile(&entry->fs.tags);
    rwlock_read_unlock(&tables->lock);
    return profile;
}

bool catalog_fs_is_read_only(const struct catalog *catalog, const char *fs_id)
{
    struct tables *tables = catalog->tables;
    rwlock_read_lock(&tables->lock);
    const struct entry *entry = tables_find(tables, ENTRY_FS, fs_id);
    bool is_read_only = entry != NULL && entry->fs.replication.is_destination;
    rwlock_read_unlock(&tables->lock);
    return is_read_only;
}

void catalog_arn(
    const struct catalog *catalog, const char *kind, const char *id, char out_arn[CATALOG_ARN_SIZE])
{
    (void)snprintf(out_arn, CATALOG_ARN_SIZE, "arn:aws:elasticfilesystem:%s:%s:%s/%s",
        catalog_region(catalog), catalog_account_id(catalog), kind, id);
}

int catalog_fs_policy(const struct catalog *catalog, const char *fs_id, char **out_policy)
{
    int err = 0;
    struct tables *tables = catalog->tables;
    *out_policy = NULL;
    rwlock_read_lock(&tables->lock);
    const struct entry *entry = tables_find(tables, ENTRY_FS, fs_id);
    if (entry != NULL && entry->fs.policy != NULL) {
        *out_policy = strdup(entry->fs.policy);
        err = *out_policy == NULL ? -ENOMEM : 0;
    }
    rwlock_read_unlock(&tables->lock);
    return err;
}

struct served_visit {
    bool (*emit)(void *context, const char *fs_id);
    void *context;
};

static bool visit_served(void *context, const struct catalog_fs *fs)
{
    const struct served_visit *visit = context;
    return !is_served(fs->state) || visit->emit(visit->context, fs->id);
}

void catalog_each_fs(
    const struct catalog *catalog, bool (*emit)(void *context, const char *fs_id), void *context)
{
    struct served_visit visit = { emit, context };
    catalog_fs_each(catalog, visit_served, &visit);
}

uint64_t catalog_generation(const struct catalog *catalog)
{
    return catalog->generation;
}
