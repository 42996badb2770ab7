/*
 * auth/key_store.c - the store of KMS keys: opening it, wrapping, and every change (room: auth).
 *
 * A change is made to a copy of the table, which takes the table's place once it is on the disk.
 */
#include "auth/key_store.h"

#include <stdio.h>
#include <stdlib.h>

#include "auth/key_store_internal.h"
#include "base/bytes.h"
#include "base/log.h"
#include "base/random.h"
#include "base/sys.h"

#define BLOB_VERSION   1u
#define BLOB_BYTES     (1u + KEY_ID_SIZE - 1 + 4u + KEY_WRAP_BYTES)
#define MASTER_BINDING "shoal master key"

/* ---- opening ---- */

static void explain_master(const struct key_store *store, int err)
{
    LOG_ERROR("the master key is missing, damaged or not the one that the keys were wrapped with: "
              "encrypted file systems cannot be used. Put the right file back and restart.",
        "file=%s error=%d", store->master_path != NULL ? store->master_path : "keys/master-key",
        err);
}

/* Reads the master key, and sees whether it is the one. */
static void take_master(struct key_store *store)
{
    uint8_t zeros[KEY_BYTES];
    int err = key_master_read(store, store->master);
    if (err == 0 && store->table.has_check)
        err = key_unwrap(store->master, slice_str(MASTER_BINDING), store->table.check, zeros);
    store->has_master = err == 0;
    if (err < 0)
        explain_master(store, err);
}

static int keeper_wrap(void *context, const char *key_id, struct slice binding,
    const uint8_t data_key[FS_DATA_KEY_BYTES], uint8_t *out);
static int keeper_unwrap(void *context, struct slice wrapped, struct slice binding,
    char out_key_id[FS_KEY_ID_SIZE], uint8_t out_data_key[FS_DATA_KEY_BYTES]);

int key_store_open(int data_fd, const char *master_path, char *reason, struct key_store **out_store)
{
    struct key_store *store = calloc(1, sizeof *store);
    if (store == NULL) {
        (void)snprintf(reason, KEY_STORE_REASON, "There is no memory left for the key store.");
        return -ENOMEM;
    }
    (void)pthread_mutex_init(&store->lock.pthread, NULL);
    store->keeper =
        (struct fs_keeper){ .context = store, .wrap = keeper_wrap, .unwrap = keeper_unwrap };
    store->data_fd = data_fd;
    int err = 0;
    if (master_path != NULL && master_path[0] != '\0') {
        store->master_path = strdup(master_path);
        err = store->master_path == NULL ? -ENOMEM : 0;
    }
    store->dir_fd = sys_openat(data_fd, "keys", O_RDONLY | O_DIRECTORY, 0);
    if (err == 0 && store->dir_fd >= 0) {
        err = key_table_read(store->dir_fd, &store->table);
        if (err == 0)
            take_master(store);
        if (err == -ENOENT)
            err = 0;
    } else if (err == 0 && store->dir_fd != -ENOENT) {
        err = store->dir_fd;
    }
    if (err < 0) {
        const char *what = strerrordesc_np(-err);
        if (err == -EBADMSG)
            what = "it is damaged; put it back from a backup";
        else if (err == -EPROTO)
            what = "a newer release wrote it";
        (void)snprintf(reason, KEY_STORE_REASON, "Cannot read the key store keys/store: %s.", what);
        key_store_close(store);
        return err;
    }
    *out_store = store;
    return 0;
}

void key_store_close(struct key_store *store)
{
    if (store == NULL)
        return;
    key_table_fini(&store->table);
    if (store->dir_fd >= 0)
        (void)close(store->dir_fd);
    free(store->master_path);
    (void)pthread_mutex_destroy(&store->lock.pthread);
    explicit_bzero(store, sizeof *store);
    free(store);
}

const struct fs_keeper *key_store_keeper(struct key_store *store)
{
    return &store->keeper;
}

/* ---- wrapping ---- */

/* The material of a version (from 1). */
static int take_material(struct key_store *store, const struct key_record *record, uint32_t version,
    uint8_t out_key[KEY_BYTES]) REQUIRES(store->lock)
{
    char buffer[96];
    if (!store->has_master || record->info.state != KEY_ENABLED)
        return -EKEYREVOKED;
    if (version == 0 || version > record->info.version_count)
        return -EBADMSG;
    return key_unwrap(store->master, key_binding(record->info.id, version, buffer),
        record->versions[version - 1].wrapped, out_key);
}

/* Blob: version (1), the key's id (36), its version (4), the wrapped key. */
static int wrap_locked(struct key_store *store, const char *key_id, struct slice binding,
    const uint8_t *data_key, uint8_t *out) REQUIRES(store->lock)
{
    uint8_t material[KEY_BYTES];
    const struct key_record *record = key_table_find(&store->table, key_id);
    if (record == NULL)
        return -ENOKEY;
    uint32_t version = record->info.version_count;
    int err = take_material(store, record, version, material);
    if (err == 0) {
        out[0] = BLOB_VERSION;
        memcpy(out + 1, record->info.id, KEY_ID_SIZE - 1);
        store_be32(out + KEY_ID_SIZE, version);
        err = key_wrap(material, binding, data_key, out + KEY_ID_SIZE + 4);
    }
    explicit_bzero(material, sizeof material);
    return err < 0 ? err : (int)BLOB_BYTES;
}

static int keeper_wrap(void *context, const char *key_id, struct slice binding,
    const uint8_t data_key[FS_DATA_KEY_BYTES], uint8_t *out)
{
    struct key_store *store = context;
    static_assert(BLOB_BYTES <= FS_WRAPPED_KEY_BYTES && FS_DATA_KEY_BYTES == KEY_BYTES &&
                      KEY_ID_SIZE <= FS_KEY_ID_SIZE,
        "a blob holds one data key");
    mutex_lock(&store->lock);
    int result = wrap_locked(store, key_id, binding, data_key, out);
    mutex_unlock(&store->lock);
    return result;
}

static int unwrap_locked(struct key_store *store, struct slice wrapped, struct slice binding,
    const char *key_id, uint8_t *out_data_key) REQUIRES(store->lock)
{
    uint8_t material[KEY_BYTES];
    const struct key_record *record = key_table_find(&store->table, key_id);
    if (record == NULL)
        return -ENOKEY;
    uint32_t version = load_be32(wrapped.data + KEY_ID_SIZE);
    int err = take_material(store, record, version, material);
    if (err == 0)
        err = key_unwrap(material, binding, wrapped.data + KEY_ID_SIZE + 4, out_data_key);
    explicit_bzero(material, sizeof material);
    if (err < 0)
        return err;
    return version < record->info.version_count ? 1 : 0;
}

static int keeper_unwrap(void *context, struct slice wrapped, struct slice binding,
    char out_key_id[FS_KEY_ID_SIZE], uint8_t out_data_key[FS_DATA_KEY_BYTES])
{
    struct key_store *store = context;
    if (wrapped.size != BLOB_BYTES || wrapped.data[0] != BLOB_VERSION)
        return -EBADMSG;
    memcpy(out_key_id, wrapped.data + 1, KEY_ID_SIZE - 1);
    out_key_id[KEY_ID_SIZE - 1] = '\0';
    if (strspn(out_key_id, "0123456789abcdef-") != KEY_ID_SIZE - 1)
        return -EBADMSG;
    mutex_lock(&store->lock);
    int result = unwrap_locked(store, wrapped, binding, out_key_id, out_data_key);
    mutex_unlock(&store->lock);
    return result;
}

/* ---- changing ---- */

/* Makes the directory and the master key, if there was nothing yet. */
static int provide_master_locked(struct key_store *store) REQUIRES(store->lock)
{
    uint8_t zeros[KEY_BYTES] = { 0 };
    if (store->has_master && store->table.has_check)
        return 0;
    if (store->table.has_check) /* one was there before: another would be a lie */
        return -EKEYREVOKED;
    if (store->dir_fd < 0) {
        int err = sys_mkdirat(store->data_fd, "keys", 0700);
        if (err == 0)
            store->dir_fd = sys_openat(store->data_fd, "keys", O_RDONLY | O_DIRECTORY, 0);
        if (err == 0)
            err = store->dir_fd < 0 ? store->dir_fd : sys_fsync(store->data_fd);
        if (err < 0)
            return err;
    }
    int err = key_master_read(store, store->master); /* an operator's, or of a start cut off */
    if (err == -ENOENT)
        err = key_master_make(store, store->master);
    if (err < 0) {
        explain_master(store, err);
        return -EKEYREVOKED;
    }
    err = key_wrap(store->master, slice_str(MASTER_BINDING), zeros, store->table.check);
    store->has_master = err == 0;
    store->table.has_check = err == 0; /* on the disk with the first change */
    return err;
}

static int change_locked(struct key_store *store, key_store_make *make, void *context)
    REQUIRES(store->lock)
{
    struct key_table table;
    int err = key_table_copy(&store->table, &table);
    if (err < 0)
        return err;
    err = make(store, &table, context);
    if (err == 0)
        err = key_table_write(store->dir_fd, &table);
    if (err < 0) {
        key_table_fini(&table);
        return err;
    }
    key_table_fini(&store->table);
    store->table = table;
    return 0;
}

int key_store_change(struct key_store *store, key_store_make *make, void *context)
{
    mutex_lock(&store->lock);
    int err = change_locked(store, make, context);
    mutex_unlock(&store->lock);
    return err;
}

int key_record_add_version(struct key_store *store, struct key_record *record, int64_t now_ms)
{
    uint8_t material[KEY_BYTES];
    char buffer[96];
    uint32_t count = record->info.version_count;
    if (!store->has_master)
        return -EKEYREVOKED;
    if (count == KEY_VERSIONS_MAX)
        return -ENOSPC;
    struct key_version *larger = realloc(record->versions, (count + 1) * sizeof *larger);
    if (larger == NULL)
        return -ENOMEM;
    record->versions = larger;
    random_bytes(material, sizeof material);
    int err = key_wrap(store->master, key_binding(record->info.id, count + 1, buffer), material,
        larger[count].wrapped);
    explicit_bzero(material, sizeof material);
    if (err < 0)
        return err;
    larger[count].created_ms = now_ms;
    record->info.version_count = count + 1;
    record->info.rotated_ms = now_ms;
    return 0;
}

struct creation {
    const struct key_create *how;
    bool is_default; /* managed, with the alias of EFS */
    int64_t now_ms;
    char id[KEY_ID_SIZE];
};

int key_table_add_alias(struct key_table *table, const struct key_alias *alias)
{
    if (table->alias_count >= KEY_STORE_KEYS_MAX)
        return -ENOSPC;
    struct key_alias *larger = realloc(table->aliases, (table->alias_count + 1) * sizeof *larger);
    if (larger == NULL)
        return -ENOMEM;
    table->aliases = larger;
    size_t at = table->alias_count++;
    while (at > 0 && strcmp(larger[at - 1].name, alias->name) > 0) {
        larger[at] = larger[at - 1];
        at--;
    }
    larger[at] = *alias;
    return 0;
}

static int fill_record(
    struct key_store *store, struct key_record *record, const struct creation *creation)
{
    const struct key_create *how = creation->how;
    memcpy(record->info.id, creation->id, KEY_ID_SIZE);
    record->info.state = KEY_ENABLED;
    record->info.is_managed = creation->is_default;
    record->info.rotation_days = KEY_ROTATION_DAYS;
    record->info.created_ms = creation->now_ms;
    record->info.tag_count = how->tag_count;
    record->description = strdup(how->description);
    record->tags = calloc(how->tag_count + 1, sizeof *record->tags);
    if (record->description == NULL || record->tags == NULL)
        return -ENOMEM;
    if (how->tag_count > 0)
        memcpy(record->tags, how->tags, how->tag_count * sizeof *record->tags);
    return key_record_add_version(store, record, creation->now_ms);
}

static int create_key(struct key_store *store, struct key_table *table, void *context)
{
    struct creation *creation = context;
    struct key_record record = { 0 };
    char digits[33];
    if (table->key_count >= KEY_STORE_KEYS_MAX)
        return -ENOSPC;
    random_hex(digits, 32);
    (void)snprintf(creation->id, KEY_ID_SIZE, "%.8s-%.4s-4%.3s-a%.3s-%.12s", digits, digits + 8,
        digits + 12, digits + 15, digits + 18);
    int err = fill_record(store, &record, creation);
    struct key_record *larger =
        err < 0 ? NULL : realloc(table->keys, (table->key_count + 1) * sizeof *larger);
    if (larger == NULL) {
        key_record_fini(&record);
        return err < 0 ? err : -ENOMEM;
    }
    table->keys = larger;
    size_t at = table->key_count++;
    while (at > 0 && strcmp(larger[at - 1].info.id, record.info.id) > 0) {
        larger[at] = larger[at - 1];
        at--;
    }
    larger[at] = record;
    if (!creation->is_default)
        return 0;
    struct key_alias alias = {
        .name = KEY_ALIAS_EFS, .created_ms = creation->now_ms, .updated_ms = creation->now_ms
    };
    memcpy(alias.key_id, creation->id, KEY_ID_SIZE);
    return key_table_add_alias(table, &alias);
}

static int create_locked(struct key_store *store, struct creation *creation) REQUIRES(store->lock)
{
    int err = provide_master_locked(store);
    return err < 0 ? err : change_locked(store, create_key, creation);
}

int key_store_create(
    struct key_store *store, const struct key_create *how, int64_t now_ms, char out_id[KEY_ID_SIZE])
{
    assert(how->tag_count <= KEY_TAGS_MAX);
    struct creation creation = { .how = how, .now_ms = now_ms };
    mutex_lock(&store->lock);
    int err = create_locked(store, &creation);
    mutex_unlock(&store->lock);
    if (err == 0)
        memcpy(out_id, creation.id, KEY_ID_SIZE);
    return err;
}

int key_store_provide_default(struct key_store *store, int64_t now_ms, char out_id[KEY_ID_SIZE])
{
    static const struct key_create how = { .description =
                                               "Default key that protects file systems" };
    struct creation creation = { .how = &how, .is_default = true, .now_ms = now_ms };
    int err = 0;
    mutex_lock(&store->lock);
    const struct key_alias *alias = key_table_find_alias(&store->table, KEY_ALIAS_EFS);
    if (alias != NULL)
        memcpy(creation.id, alias->key_id, KEY_ID_SIZE);
    else
        err = create_locked(store, &creation);
    mutex_unlock(&store->lock);
    if (err == 0)
        memcpy(out_id, creation.id, KEY_ID_SIZE);
    return err;
}
