/*
 * fs/volumes.c - the open file systems of this node (room: fs).
 *
 * A file system is opened by its first user and stays open until it is destroyed or all are closed.
 * The opening, closing and destroying of one happens while its entry is `is_busy`, outside the
 * lock; who needs the entry meanwhile waits in its list of waiters.
 */
#include "fs/volumes.h"

#include <stdlib.h>

#include "base/list.h"
#include "base/lock.h"
#include "base/text.h"
#include "io/event.h"

struct waiter {
    struct event event;
    struct waiter *next;
};

struct entry {
    struct list link;
    struct fs *fs; /* NULL: not open */
    uint32_t user_count;
    bool is_busy;   /* someone opens, closes or destroys it */
    bool is_doomed; /* no new users */
    struct waiter *waiters;
    char fs_id[FS_ID_SIZE];
};

struct fs_volumes {
    const struct fs_provider *provider;
    struct mutex lock;
    struct list entries;
};

int fs_volumes_new(const struct fs_provider *provider, struct fs_volumes **out_volumes)
{
    struct fs_volumes *volumes = calloc(1, sizeof *volumes);
    if (volumes == NULL)
        return -ENOMEM;
    volumes->provider = provider;
    (void)pthread_mutex_init(&volumes->lock.pthread, NULL);
    list_init(&volumes->entries);
    *out_volumes = volumes;
    return 0;
}

void fs_volumes_free(struct fs_volumes *volumes)
{
    if (volumes == NULL)
        return;
    LIST_FOR_EACH_SAFE(node, &volumes->entries)
    {
        struct entry *entry = LIST_ENTRY(node, struct entry, link);
        assert(entry->user_count == 0 && !entry->is_busy);
        if (entry->fs != NULL)
            volumes->provider->close(volumes->provider->context, entry->fs);
        free(entry);
    }
    (void)pthread_mutex_destroy(&volumes->lock.pthread);
    free(volumes);
}

int fs_volumes_create(struct fs_volumes *volumes, const char *fs_id, const char *key_id)
{
    return volumes->provider->create(volumes->provider->context, fs_id, key_id);
}

static struct entry *find_locked(struct fs_volumes *volumes, const char *fs_id)
    REQUIRES(volumes->lock)
{
    LIST_FOR_EACH(node, &volumes->entries)
    {
        struct entry *entry = LIST_ENTRY(node, struct entry, link);
        if (strcmp(entry->fs_id, fs_id) == 0) {
            /* The next one to ask will probably ask for the same. */
            list_remove(&entry->link);
            list_add_head(&volumes->entries, &entry->link);
            return entry;
        }
    }
    return NULL;
}

/* Errors: -ENOMEM; -ENOENT for an id that is too long to be one. */
static int find_or_add_locked(
    struct fs_volumes *volumes, const char *fs_id, struct entry **out_entry) REQUIRES(volumes->lock)
{
    struct entry *entry = find_locked(volumes, fs_id);
    if (entry == NULL) {
        entry = calloc(1, sizeof *entry);
        if (entry == NULL)
            return -ENOMEM;
        if (text_copy(entry->fs_id, sizeof entry->fs_id, fs_id) < 0) {
            free(entry);
            return -ENOENT;
        }
        list_add_head(&volumes->entries, &entry->link);
    }
    *out_entry = entry;
    return 0;
}

/* Frees the entry unless it still means something; then wakes all who wait for it, to look again.
 */
static void settle_locked(struct entry *entry)
{
    struct waiter *waiter = entry->waiters;
    entry->waiters = NULL;
    if (entry->fs == NULL && !entry->is_busy && entry->user_count == 0) {
        list_remove(&entry->link);
        free(entry);
    }
    while (waiter != NULL) {
        struct waiter *next = waiter->next;
        event_signal(&waiter->event);
        waiter = next;
    }
}

/* Gives up the lock while it waits; the entry may be gone afterwards. */
static void wait_for_change(struct fs_volumes *volumes, struct entry *entry) RELEASE(volumes->lock)
    ACQUIRE(volumes->lock) NO_LOCK_CHECK
{
    struct waiter waiter;
    event_init(&waiter.event);
    waiter.next = entry->waiters;
    entry->waiters = &waiter;
    mutex_unlock(&volumes->lock);
    event_wait(&waiter.event);
    mutex_lock(&volumes->lock);
}

/* Opens it outside the lock; the entry stays, because it is busy. */
static int open_entry(struct fs_volumes *volumes, struct entry *entry) RELEASE(volumes->lock)
    ACQUIRE(volumes->lock) NO_LOCK_CHECK
{
    entry->is_busy = true;
    mutex_unlock(&volumes->lock);
    struct fs *fs = NULL;
    int err = volumes->provider->open(volumes->provider->context, entry->fs_id, &fs);
    mutex_lock(&volumes->lock);
    entry->is_busy = false;
    if (err >= 0) {
        entry->fs = fs;
        entry->user_count++;
    }
    return err;
}

int fs_volumes_get(struct fs_volumes *volumes, const char *fs_id, struct fs **out_fs)
{
    int err;
    mutex_lock(&volumes->lock);
    for (;;) {
        struct entry *entry;
        err = find_or_add_locked(volumes, fs_id, &entry);
        if (err < 0)
            break;
        if (entry->is_doomed) {
            err = -ESTALE;
            break;
        }
        if (entry->is_busy) {
            wait_for_change(volumes, entry);
            continue;
        }
        if (entry->fs != NULL) {
            entry->user_count++;
            *out_fs = entry->fs;
            break;
        }
        err = open_entry(volumes, entry);
        if (err >= 0)
            *out_fs = entry->fs;
        settle_locked(entry);
        break;
    }
    mutex_unlock(&volumes->lock);
    return err < 0 ? err : 0;
}

int fs_volumes_get_open(struct fs_volumes *volumes, const char *fs_id, struct fs **out_fs)
{
    int err = -ENOENT;
    mutex_lock(&volumes->lock);
    struct entry *entry = find_locked(volumes, fs_id);
    if (entry != NULL && entry->fs != NULL && !entry->is_busy && !entry->is_doomed) {
        entry->user_count++;
        *out_fs = entry->fs;
        err = 0;
    }
    mutex_unlock(&volumes->lock);
    return err;
}

void fs_volumes_put(struct fs_volumes *volumes, struct fs *fs)
{
    mutex_lock(&volumes->lock);
    LIST_FOR_EACH(node, &volumes->entries)
    {
        struct entry *entry = LIST_ENTRY(node, struct entry, link);
        if (entry->fs != fs)
            continue;
        assert(entry->user_count > 0);
        entry->user_count--;
        if (entry->user_count == 0)
            settle_locked(entry);
        break;
    }
    mutex_unlock(&volumes->lock);
}

int fs_volumes_rekey(struct fs_volumes *volumes, const char *fs_id)
{
    struct entry *entry;
    int err;
    mutex_lock(&volumes->lock);
    for (;;) {
        err = find_or_add_locked(volumes, fs_id, &entry);
        if (err < 0 || !entry->is_busy)
            break;
        wait_for_change(volumes, entry);
    }
    if (err >= 0 && entry->is_doomed)
        err = -ESTALE;
    if (err >= 0) {
        /* Busy, so that nobody opens or closes it meanwhile; its users go on. */
        entry->is_busy = true;
        mutex_unlock(&volumes->lock);
        err = volumes->provider->rekey(volumes->provider->context, entry->fs_id, entry->fs);
        mutex_lock(&volumes->lock);
        entry->is_busy = false;
        settle_locked(entry);
    }
    mutex_unlock(&volumes->lock);
    return err < 0 ? err : 0;
}

/* Closes and destroys a doomed entry without users, outside the lock. */
static int destroy_entry(struct fs_volumes *volumes, struct entry *entry) RELEASE(volumes->lock)
    ACQUIRE(volumes->lock) NO_LOCK_CHECK
{
    struct fs *fs = entry->fs;
    entry->fs = NULL;
    entry->is_busy = true;
    mutex_unlock(&volumes->lock);
    if (fs != NULL)
        volumes->provider->close(volumes->provider->context, fs);
    int err = volumes->provider->destroy(volumes->provider->context, entry->fs_id);
    mutex_lock(&volumes->lock);
    entry->is_busy = false;
    entry->is_doomed = false;
    return err;
}

int fs_volumes_destroy(struct fs_volumes *volumes, const char *fs_id)
{
    int err;
    mutex_lock(&volumes->lock);
    for (;;) {
        struct entry *entry;
        err = find_or_add_locked(volumes, fs_id, &entry);
        if (err < 0)
            break;
        if (entry->is_busy || entry->user_count > 0) {
            entry->is_doomed = entry->is_doomed || !entry->is_busy;
            wait_for_change(volumes, entry);
            continue;
        }
        entry->is_doomed = true;
        err = destroy_entry(volumes, entry);
        settle_locked(entry);
        break;
    }
    mutex_unlock(&volumes->lock);
    return err < 0 ? err : 0;
}
