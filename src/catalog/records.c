/*
 * catalog/records.c - reading: references and lists, from memory (room: catalog).
 *
 * The lock is held for the look-up only; what is given out is a reference to a record that never
 * changes.
 */
#include "catalog/records.h"

#include "catalog/internal.h"

const struct catalog_network *catalog_network(const struct catalog *catalog)
{
    return &catalog->whole->network;
}

const char *catalog_region(const struct catalog *catalog)
{
    return catalog->whole->region;
}

const char *catalog_account_id(const struct catalog *catalog)
{
    return catalog->whole->account_id;
}

/* A change that read the durable layer would not see those before it whose write still runs. */
static struct tables *tables_to_read(const struct catalog *catalog)
{
    assert(!catalog->deciding || !pthread_equal(catalog->decider, pthread_self()));
    return catalog->tables;
}

struct entry *tables_get(const struct catalog *catalog, enum table table, unsigned slot,
    const char *major, const char *minor)
{
    struct tables *tables = tables_to_read(catalog);
    rwlock_read_lock(&tables->lock);
    struct catalog_index_node *node = catalog_index_find(&tables->indexes[table], major, minor);
    struct entry *entry = node == NULL ? NULL : entry_of_node(node, tables->layer, slot);
    if (entry != NULL)
        entry_ref(entry);
    rwlock_read_unlock(&tables->lock);
    return entry;
}

struct entry *entry_around(const void *record, size_t offset)
{
    union {
        const void *given;
        char *own;
    } pointer = { .given = record };
    return (struct entry *)(void *)(pointer.own - offset);
}

const struct catalog_fs *catalog_fs_get(const struct catalog *catalog, const char *id)
{
    const struct entry *entry = tables_get(catalog, TABLE_FS, 0, id, "");
    return entry == NULL ? NULL : &entry->fs;
}

const struct catalog_fs *catalog_fs_get_by_token(const struct catalog *catalog, const char *token)
{
    const struct entry *entry = tables_get(catalog, TABLE_FS_TOKEN, 1, token, "");
    return entry == NULL ? NULL : &entry->fs;
}

void catalog_fs_put(const struct catalog_fs *fs)
{
    if (fs != NULL)
        entry_unref(entry_around(fs, offsetof(struct entry, fs)));
}

const struct catalog_mount_target *catalog_mount_target_get(
    const struct catalog *catalog, const char *id)
{
    const struct entry *entry = tables_get(catalog, TABLE_MOUNT_TARGET, 0, id, "");
    return entry == NULL ? NULL : &entry->mount_target;
}

const struct catalog_mount_target *catalog_mount_target_get_by_address(
    const struct catalog *catalog, struct in_addr address)
{
    char key[9];
    address_to_key(address, key);
    const struct entry *entry = tables_get(catalog, TABLE_MOUNT_TARGET_ADDRESS, 2, key, "");
    return entry == NULL ? NULL : &entry->mount_target;
}

void catalog_mount_target_put(const struct catalog_mount_target *target)
{
    if (target != NULL)
        entry_unref(entry_around(target, offsetof(struct entry, mount_target)));
}

const struct catalog_access_point *catalog_access_point_get(
    const struct catalog *catalog, const char *id)
{
    const struct entry *entry = tables_get(catalog, TABLE_ACCESS_POINT, 0, id, "");
    return entry == NULL ? NULL : &entry->access_point;
}

const struct catalog_access_point *catalog_access_point_get_by_token(
    const struct catalog *catalog, const char *fs_id, const char *token)
{
    const struct entry *entry = tables_get(catalog, TABLE_ACCESS_POINT_TOKEN, 2, fs_id, token);
    return entry == NULL ? NULL : &entry->access_point;
}

void catalog_access_point_put(const struct catalog_access_point *point)
{
    if (point != NULL)
        entry_unref(entry_around(point, offsetof(struct entry, access_point)));
}

const struct catalog_key *catalog_key_get(const struct catalog *catalog, const char *id)
{
    const struct entry *entry = tables_get(catalog, TABLE_KEY, 0, id, "");
    return entry == NULL ? NULL : &entry->key;
}

void catalog_key_put(const struct catalog_key *key)
{
    if (key != NULL)
        entry_unref(entry_around(key, offsetof(struct entry, key)));
}

size_t tables_list(const struct catalog *catalog, const struct range *range, size_t max,
    void (*add)(void *out_list, size_t i, const struct entry *entry), void *out_list)
{
    struct tables *tables = tables_to_read(catalog);
    const char *major = range->major != NULL ? range->major : range->after;
    const char *minor = range->major != NULL ? range->after : "";
    size_t count = 0;
    rwlock_read_lock(&tables->lock);
    struct catalog_index_node *node =
        catalog_index_after(&tables->indexes[range->table], major, minor);
    for (; node != NULL && count < max; node = node->next[0]) {
        if (range->major != NULL && strcmp(node->major, range->major) != 0)
            break;
        struct entry *entry = entry_of_node(node, tables->layer, range->slot);
        entry_ref(entry);
        add(out_list, count++, entry);
    }
    rwlock_read_unlock(&tables->lock);
    return count;
}

static void add_fs(void *out_list, size_t i, const struct entry *entry)
{
    ((const struct catalog_fs **)out_list)[i] = &entry->fs;
}

size_t catalog_fs_list(const struct catalog *catalog, const char *after_id, size_t max,
    const struct catalog_fs **out_list)
{
    struct range range = { .table = TABLE_FS, .after = after_id };
    return tables_list(catalog, &range, max, add_fs, out_list);
}

static void add_mount_target(void *out_list, size_t i, const struct entry *entry)
{
    ((const struct catalog_mount_target **)out_list)[i] = &entry->mount_target;
}

size_t catalog_mount_target_list(const struct catalog *catalog, const char *fs_id,
    const char *after_id, size_t max, const struct catalog_mount_target **out_list)
{
    struct range range = {
        .table = fs_id != NULL ? TABLE_MOUNT_TARGET_FS : TABLE_MOUNT_TARGET,
        .slot = fs_id != NULL ? 1 : 0,
        .major = fs_id,
        .after = after_id,
    };
    return tables_list(catalog, &range, max, add_mount_target, out_list);
}

static void add_access_point(void *out_list, size_t i, const struct entry *entry)
{
    ((const struct catalog_access_point **)out_list)[i] = &entry->access_point;
}

size_t catalog_access_point_list(const struct catalog *catalog, const char *fs_id,
    const char *after_id, size_t max, const struct catalog_access_point **out_list)
{
    struct range range = {
        .table = fs_id != NULL ? TABLE_ACCESS_POINT_FS : TABLE_ACCESS_POINT,
        .slot = fs_id != NULL ? 1 : 0,
        .major = fs_id,
        .after = after_id,
    };
    return tables_list(catalog, &range, max, add_access_point, out_list);
}

static void add_key(void *out_list, size_t i, const struct entry *entry)
{
    ((const struct catalog_key **)out_list)[i] = &entry->key;
}

size_t catalog_key_list(const struct catalog *catalog, const char *after_id, size_t max,
    const struct catalog_key **out_list)
{
    struct range range = { .table = TABLE_KEY, .after = after_id };
    return tables_list(catalog, &range, max, add_key, out_list);
}

size_t catalog_fs_count(const struct catalog *catalog)
{
    struct tables *tables = tables_to_read(catalog);
    rwlock_read_lock(&tables->lock);
    size_t count = tables->counts[ENTRY_FS];
    rwlock_read_unlock(&tables->lock);
    return count;
}

/* At most one per zone, so counting those of a file system is cheap. */
size_t catalog_mount_target_count(const struct catalog *catalog, const char *fs_id)
{
    struct tables *tables = tables_to_read(catalog);
    rwlock_read_lock(&tables->lock);
    size_t count = fs_id == NULL ? tables->counts[ENTRY_MOUNT_TARGET] : 0;
    const struct catalog_index_node *node =
        fs_id == NULL ? NULL
                      : catalog_index_after(&tables->indexes[TABLE_MOUNT_TARGET_FS], fs_id, "");
    for (; node != NULL && strcmp(node->major, fs_id) == 0; node = node->next[0])
        count++;
    rwlock_read_unlock(&tables->lock);
    return count;
}

size_t catalog_access_point_count(const struct catalog *catalog, const char *fs_id)
{
    struct tables *tables = tables_to_read(catalog);
    rwlock_read_lock(&tables->lock);
    const struct entry *fs = tables_find(tables, ENTRY_FS, fs_id);
    size_t count = fs == NULL ? 0 : fs->access_point_counts[tables->layer];
    rwlock_read_unlock(&tables->lock);
    return count;
}
