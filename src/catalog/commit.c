/*
 * catalog/commit.c - groups of changes: written with one sync, then shown (room: catalog).
 *
 * Changes that are decided while the disk is busy gather in one group. Whoever finds nobody writing writes the group that
 * gathers, with its own change and all others that are in it; the others wait. So n callers share one sync, and there is no
 * thread of its own. Groups are written and shown in the order in which they were decided.
 *
 * The disk is written before the tables of LAYER_DURABLE, so that no reader sees what a power cut could undo; and showing
 * allocates nothing, so what is durable is always shown. After a failed write LAYER_AHEAD is of no use any more: the catalog
 * takes no more changes.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "catalog/internal.h"

#define KEY_SIZE (1 + CATALOG_ID_SIZE) /* on disk: the letter of the kind, the id */

struct commit_group {
    struct catalog_batch *batch;
    struct staged_list staged;
    size_t waiting; /* guarded by change_lock, as the two below; the last one frees it */
    bool is_done;
    int err;
};

void staged_list_fini(struct staged_list *staged)
{
    for (size_t i = 0; i < staged->count; i++) {
        entry_unref(staged->items[i].after);
        free(staged->items[i].text);
    }
    free(staged->items);
    *staged = (struct staged_list){ 0 };
}

static int reserve(struct staged_list *staged, size_t more)
{
    size_t capacity = staged->capacity == 0 ? 4 : staged->capacity;
    while (capacity < staged->count + more)
        capacity *= 2;
    if (capacity == staged->capacity)
        return 0;
    struct staged *items = realloc(staged->items, capacity * sizeof *items);
    if (items == NULL)
        return -ENOMEM;
    staged->items = items;
    staged->capacity = capacity;
    return 0;
}

int staged_list_add(struct staged_list *staged, struct entry *before, struct entry *after)
{
    int err = reserve(staged, 1);
    if (err == 0)
        staged->items[staged->count++] = (struct staged){ .before = before, .after = after };
    return err;
}

static void group_free(struct commit_group *group)
{
    for (size_t i = 0; i < group->staged.count; i++)
        entry_unref(group->staged.items[i].before);
    staged_list_fini(&group->staged);
    catalog_batch_free(group->batch);
    free(group);
}

/* ---- gathering ----------------------------------------------------------------------------------------- */

/* The group that gathers, with room for this many records more; made when there is none. */
static int group_open(struct catalog *catalog, size_t count, struct commit_group **out_group)
    REQUIRES(catalog->change_lock)
{
    struct commit_group *group = catalog->gathering;
    if (group == NULL) {
        group = calloc(1, sizeof *group);
        if (group == NULL)
            return -ENOMEM;
        group->batch = catalog_batch_new();
        catalog->gathering = group; /* also when it stays empty: the next change finds it */
    }
    *out_group = group;
    return reserve(&group->staged, count);
}

static void put_into_batch(struct catalog_batch *batch, const struct staged *item)
{
    const struct entry *entry = item->after != NULL ? item->after : item->before;
    char key[KEY_SIZE];
    (void)snprintf(
        key, sizeof key, "%c%s", codec_letter(entry->kind), entry_id(entry)); /* ids fit */
    if (item->after != NULL)
        catalog_batch_put(batch, slice_str(key), slice_str(item->text));
    else
        catalog_batch_delete(batch, slice_str(key));
}

/* Replaces one entry by another, with a reference of the tables' own. The reference that the tables had of `before` is the
 * caller's then. */
static void replace(struct tables *tables, const struct staged *item) REQUIRES(tables->lock)
{
    if (item->before != NULL)
        tables_remove(tables, item->before);
    if (item->before != NULL && item->after != NULL)
        item->after->access_point_counts[tables->layer] =
            item->before->access_point_counts[tables->layer];
    if (item->after != NULL) {
        entry_ref(item->after);
        tables_insert(tables, item->after);
    }
}

int commit_add(struct catalog *catalog, struct staged_list *staged)
{
    struct commit_group *group;
    struct tables *ahead = catalog->ahead->tables;
    int err = group_open(catalog, staged->count, &group);
    if (err < 0)
        return err;
    rwlock_write_lock(&ahead->lock);
    for (size_t i = 0; i < staged->count; i++) {
        struct staged *item = &staged->items[i];
        put_into_batch(group->batch, item);
        free(item->text);
        item->text = NULL;
        if (item->after != NULL)
            entry_set_keys(item->after);
        replace(ahead, item);
        group->staged.items[group->staged.count++] = *item;
    }
    rwlock_write_unlock(&ahead->lock);
    staged->count = 0; /* the group's now */
    return 0;
}

/* ---- showing ------------------------------------------------------------------------------------------- */

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

/* Shows a group that is durable: all of it at once. */
static void publish(struct catalog *catalog, const struct commit_group *group)
{
    struct tables *tables = catalog->tables;
    bool exports_altered = false;
    rwlock_write_lock(&tables->lock);
    for (size_t i = 0; i < group->staged.count; i++) {
        const struct staged *item = &group->staged.items[i];
        exports_altered = exports_altered || alters_exports(item);
        replace(tables, item);
        entry_unref(item->before); /* the tables' reference; the group has another */
    }
    rwlock_write_unlock(&tables->lock);
    if (exports_altered)
        catalog->generation++;
}

/* ---- writing ------------------------------------------------------------------------------------------- */

/* Writes the group that gathers; the lock is let go of while the disk works. */
static void write_gathered(struct catalog *catalog) REQUIRES(catalog->change_lock)
{
    struct commit_group *group = catalog->gathering;
    int err = catalog->broken ? -EROFS : 0; /* it rests on what was not written */
    catalog->gathering = NULL;
    catalog->writing = group;
    mutex_unlock(&catalog->change_lock);
    if (err == 0)
        err = catalog_store_write(catalog->store, group->batch);
    if (err == 0)
        publish(catalog, group);
    mutex_lock(&catalog->change_lock);
    if (err < 0)
        catalog->broken = true;
    group->err = err;
    group->is_done = true;
    catalog->writing = NULL;
    (void)pthread_cond_broadcast(&catalog->committed);
}

int commit_wait(struct catalog *catalog)
{
    struct commit_group *group = catalog->gathering != NULL ? catalog->gathering : catalog->writing;
    if (group == NULL)
        return 0;
    group->waiting++;
    while (!group->is_done) {
        if (catalog->writing == NULL) {
            assert(
                catalog->gathering == group); /* later ones gather only once this one is written */
            write_gathered(catalog);
        } else {
            (void)pthread_cond_wait(&catalog->committed, &catalog->change_lock.pthread);
        }
    }
    int err = group->err;
    if (--group->waiting == 0)
        group_free(group);
    return err;
}
