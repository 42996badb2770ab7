/*
 * catalog/change.c - changes: decided one at a time, staged, and handed on to be written (room: catalog).
 *
 * One change decides at a time, under change_lock, and sees all that was decided before it. Its records are encoded before
 * it counts, so nothing can fail between its decision and its write; commit.c writes and shows it.
 */
#include <stdio.h>
#include <stdlib.h>

#include "catalog/internal.h"

struct catalog_change {
    struct catalog *catalog;
    struct staged_list staged;
};

struct catalog *catalog_changing(const struct catalog_change *change)
{
    return change->catalog->ahead;
}

static struct entry *find(const struct catalog *catalog, enum entry_kind kind, const char *id)
{
    struct tables *tables = catalog->ahead->tables;
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
    err = staged_list_add(&change->staged, NULL, entry);
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
    err = staged_list_add(&change->staged, before, after);
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
    return before == NULL ? -ENOENT : staged_list_add(&change->staged, before, NULL);
}

/* Makes of what is staged what is to be stored. */
static int encode(const struct catalog_change *change)
{
    int err = 0;
    for (size_t i = 0; err == 0 && i < change->staged.count; i++) {
        struct staged *item = &change->staged.items[i];
        const struct entry *entry = item->after != NULL ? item->after : item->before;
        assert(entry_id(entry)[0] != '\0'); /* `make` filled in what it added */
        assert(item->before == NULL || strcmp(entry_id(item->before), entry_id(entry)) == 0);
        if (item->after != NULL)
            err = codec_encode(item->after, &item->text);
    }
    return err;
}

static int decide(struct catalog *catalog,
    int (*make)(struct catalog_change *change, void *context), void *context)
    REQUIRES(catalog->change_lock)
{
    struct catalog_change change = { .catalog = catalog };
    catalog->decider = pthread_self();
    catalog->deciding = true;
    int err = catalog->broken ? -EROFS : make(&change, context);
    catalog->deciding = false;
    if (err >= 0)
        err = encode(&change);
    if (err >= 0 && change.staged.count > 0)
        err = commit_add(catalog, &change.staged);
    staged_list_fini(&change.staged);
    return err < 0 ? err : 0;
}

int catalog_change(struct catalog *catalog,
    int (*make)(struct catalog_change *change, void *context), void *context)
{
    assert(catalog->ahead != NULL); /* else it is what a change reads */
    mutex_lock(&catalog->change_lock);
    int err = decide(catalog, make, context);
    /* Also when nothing was changed: what was decided, or refused, may rest on what is not durable yet. */
    int wait_err = commit_wait(catalog);
    mutex_unlock(&catalog->change_lock);
    return wait_err < 0 ? wait_err : err;
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
