/*
 * catalog/change.c - changes: staged, written as one batch, then published (room: catalog).
 *
 * One change runs at a time, under change_lock. The disk is written before the tables, so that no
 * reader sees what a power cut could undo; and publishing allocates nothing, so what is durable is
 * always shown.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "catalog/internal.h"

#define KEY_SIZE (1 + CATALOG_ID_SIZE) /* on disk: the letter of the kind, the id */

struct staged {
    struct entry
        *before; /* borrowed from the tables, which only this change may alter; NULL: added */
    struct entry *after; /* owned; NULL: removed */
};

struct catalog_change {
    struct catalog *catalog;
    size_t count;
    size_t capacity;
    struct staged *items;
};

static int stage(struct catalog_change *change, struct entry *before, struct entry *after)
{
    if (change->count == change->capacity) {
        size_t capacity = change->capacity == 0 ? 4 : 2 * change->capacity;
        struct staged *items = realloc(change->items, capacity * sizeof *items);
        if (items == NULL)
            return -ENOMEM;
        change->items = items;
        change->capacity = capacity;
    }
    change->items[change->count++] = (struct staged){ .before = before, .after = after };
    return 0;
}

static struct entry *find(const struct catalog *catalog, enum entry_kind kind, const char *id)
{
    struct tables *tables = catalog->tables;
    rwlock_read_lock(&tables->lock);
    struct entry *entry = tables_find(tables, kind, id);
    rwlock_read_unlock(&tables->lock);
    return entry; /* stays: this change is the only one that could remove it */
}

static int add(struct catalog_change *change, enum entry_kind kind, struct entry **out_entry)
{
    struct entry *entry;
    int err = entry_new(kind, &entry);
    if (err < 0)
        return err;
    err = stage(change, NULL, entry);
    if (err < 0) {
        entry_unref(entry);
        return err;
    }
    *out_entry = entry;
    return 0;
}

static int edit(
    struct catalog_change *change, enum entry_kind kind, const char *id, struct entry **out_entry)
{
    struct entry *before = find(change->catalog, kind, id);
    if (before == NULL)
        return -ENOENT;
    struct entry *after;
    int err = entry_clone(before, &after);
    if (err < 0)
        return err;
    err = stage(change, before, after);
    if (err < 0) {
        entry_unref(after);
        return err;
    }
    *out_entry = after;
    return 0;
}

static int drop(struct catalog_change *change, enum entry_kind kind, const char *id)
{
    struct entry *before = find(change->catalog, kind, id);
    return before == NULL ? -ENOENT : stage(change, before, NULL);
}

/* Writes what is staged as one batch. */
static int write_staged(const struct catalog_change *change)
{
    struct catalog_batch *batch = catalog_batch_new();
    int err = 0;
    for (size_t i = 0; err == 0 && i < change->count; i++) {
        const struct staged *item = &change->items[i];
        const struct entry *entry = item->after != NULL ? item->after : item->before;
        const char *id = entry_id(entry);
        char key[KEY_SIZE];
        assert(id[0] != '\0'); /* `make` filled in what it added */
        assert(item->before == NULL || strcmp(entry_id(item->before), id) == 0);
        (void)snprintf(key, sizeof key, "%c%s", codec_letter(entry->kind), id); /* ids fit */
        if (item->after == NULL) {
            catalog_batch_delete(batch, slice_str(key));
            continue;
        }
        char *text = NULL;
        err = codec_encode(item->after, &text);
        if (err == 0)
            catalog_batch_put(batch, slice_str(key), slice_str(text));
        free(text);
    }
    if (err == 0)
        err = catalog_store_write(change->catalog->store, batch);
    catalog_batch_free(batch);
    return err;
}

static bool same_text(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

/* Whether the data plane could answer differently after this. */
static bool alters_exports(const struct staged *item)
{
    const struct entry *entry = item->after != NULL ? item->after : item->before;
    assert(entry != NULL);
    if (item->before != NULL && item->after != NULL && entry->kind == ENTRY_FS) {
        return item->before->fs.state != item->after->fs.state ||
               item->before->fs.replication.is_destination !=
                   item->after->fs.replication.is_destination ||
               !same_text(item->before->fs.policy, item->after->fs.policy) ||
               catalog_tags_profile(&item->before->fs.tags) !=
                   catalog_tags_profile(&item->after->fs.tags);
    }
    if (entry->kind == ENTRY_KEY) /* whether it may be used, for connections that it opened */
        return item->before != NULL && (item->after == NULL || item->before->key.is_inactive !=
                                                                   item->after->key.is_inactive);
    return true;
}

/* Puts the staged entries into the tables. Each item's `before` then belongs to the change. */
static void publish(struct catalog_change *change)
{
    struct catalog *catalog = change->catalog;
    struct tables *tables = catalog->tables;
    bool exports_altered = false;
    rwlock_write_lock(&tables->lock);
    for (size_t i = 0; i < change->count; i++) {
        struct staged *item = &change->items[i];
        exports_altered = exports_altered || alters_exports(item);
        if (item->before != NULL)
            tables_remove(tables, item->before);
        if (item->before != NULL && item->after != NULL)
            item->after->access_point_count = item->before->access_point_count;
        if (item->after != NULL)
            tables_insert(tables, item->after);
        item->after = NULL; /* the tables own it now */
    }
    rwlock_write_unlock(&tables->lock);
    for (size_t i = 0; i < change->count; i++)
        entry_unref(change->items[i].before);
    if (exports_altered)
        catalog->generation++;
}

static int change_locked(struct catalog *catalog,
    int (*make)(struct catalog_change *change, void *context), void *context)
    REQUIRES(catalog->change_lock)
{
    struct catalog_change change = { .catalog = catalog };
    int err = catalog->broken ? -EROFS : make(&change, context);
    if (err >= 0 && change.count > 0) {
        err = write_staged(&change);
        if (err == -EIO)
            catalog->broken = true;
        if (err >= 0)
            publish(&change);
    }
    for (size_t i = 0; i < change.count; i++)
        entry_unref(change.items[i].after);
    free(change.items);
    return err < 0 ? err : 0;
}

int catalog_change(struct catalog *catalog,
    int (*make)(struct catalog_change *change, void *context), void *context)
{
    mutex_lock(&catalog->change_lock);
    int err = change_locked(catalog, make, context);
    mutex_unlock(&catalog->change_lock);
    return err;
}

int catalog_add_fs(struct catalog_change *change, struct catalog_fs **out_fs)
{
    struct entry *entry;
    int err = add(change, ENTRY_FS, &entry);
    if (err == 0)
        *out_fs = &entry->fs;
    return err;
}

int catalog_edit_fs(struct catalog_change *change, const char *id, struct catalog_fs **out_fs)
{
    struct entry *entry;
    int err = edit(change, ENTRY_FS, id, &entry);
    if (err == 0)
        *out_fs = &entry->fs;
    return err;
}

int catalog_remove_fs(struct catalog_change *change, const char *id)
{
    return drop(change, ENTRY_FS, id);
}

int catalog_add_mount_target(
    struct catalog_change *change, struct catalog_mount_target **out_target)
{
    struct entry *entry;
    int err = add(change, ENTRY_MOUNT_TARGET, &entry);
    if (err == 0)
        *out_target = &entry->mount_target;
    return err;
}

int catalog_edit_mount_target(
    struct catalog_change *change, const char *id, struct catalog_mount_target **out_target)
{
    struct entry *entry;
    int err = edit(change, ENTRY_MOUNT_TARGET, id, &entry);
    if (err == 0)
        *out_target = &entry->mount_target;
    return err;
}

int catalog_remove_mount_target(struct catalog_change *change, const char *id)
{
    return drop(change, ENTRY_MOUNT_TARGET, id);
}

int catalog_add_access_point(struct catalog_change *change, struct catalog_access_point **out_point)
{
    struct entry *entry;
    int err = add(change, ENTRY_ACCESS_POINT, &entry);
    if (err == 0)
        *out_point = &entry->access_point;
    return err;
}

int catalog_edit_access_point(
    struct catalog_change *change, const char *id, struct catalog_access_point **out_point)
{
    struct entry *entry;
    int err = edit(change, ENTRY_ACCESS_POINT, id, &entry);
    if (err == 0)
        *out_point = &entry->access_point;
    return err;
}

int catalog_remove_access_point(struct catalog_change *change, const char *id)
{
    return drop(change, ENTRY_ACCESS_POINT, id);
}

int catalog_add_key(struct catalog_change *change, struct catalog_key **out_key)
{
    struct entry *entry;
    int err = add(change, ENTRY_KEY, &entry);
    if (err == 0)
        *out_key = &entry->key;
    return err;
}

int catalog_remove_key(struct catalog_change *change, const char *id)
{
    return drop(change, ENTRY_KEY, id);
}

int catalog_edit_key(struct catalog_change *change, const char *id, struct catalog_key **out_key)
{
    struct entry *entry;
    int err = edit(change, ENTRY_KEY, id, &entry);
    if (err == 0)
        *out_key = &entry->key;
    return err;
}

int catalog_add_identity(struct catalog_change *change, struct catalog_identity **out_identity)
{
    struct entry *entry;
    int err = add(change, ENTRY_IDENTITY, &entry);
    if (err == 0)
        *out_identity = &entry->identity;
    return err;
}

int catalog_edit_identity(
    struct catalog_change *change, const char *id, struct catalog_identity **out_identity)
{
    struct entry *entry;
    int err = edit(change, ENTRY_IDENTITY, id, &entry);
    if (err == 0)
        *out_identity = &entry->identity;
    return err;
}

int catalog_add_net(struct catalog_change *change, struct catalog_net **out_net)
{
    struct entry *entry;
    int err = add(change, ENTRY_NET, &entry);
    if (err == 0)
        *out_net = &entry->net;
    return err;
}

int catalog_edit_net(struct catalog_change *change, const char *id, struct catalog_net **out_net)
{
    struct entry *entry;
    int err = edit(change, ENTRY_NET, id, &entry);
    if (err == 0)
        *out_net = &entry->net;
    return err;
}

int catalog_remove_net(struct catalog_change *change, const char *id)
{
    return drop(change, ENTRY_NET, id);
}

int catalog_remove_identity(struct catalog_change *change, const char *id)
{
    return drop(change, ENTRY_IDENTITY, id);
}
