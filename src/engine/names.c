/*
 * engine/names.c - finding names: in memory, else in the database (room: engine).
 */
#include "engine/names.h"

#include <stdlib.h>

#include "base/log.h"
#include "engine/records.h"
#include "engine/volume.h"
#include "io/pool.h"

#define LOAD_AT_ONCE_MAX 1024u /* names of a directory that its first lookup loads whole */
#define LOAD_TRIES_MAX   3u

uint64_t names_hash(struct volume *volume, struct slice name)
{
    uint64_t hash = dir_hash(&volume->name_key, name);
    uint64_t mask = volume->engine->options.name_hash_mask;
    return LIKELY(mask == 0) ? hash : (hash & mask) + 1;
}

int names_dir(struct volume *volume, struct inode *inode, struct dir **out_dir)
{
    struct dir *dir = inode->dir;
    if (LIKELY(dir != NULL)) {
        *out_dir = dir;
        return 0;
    }
    struct inode_shard *shard = inode_shard_of(&volume->inodes, inode->id);
    mutex_lock(&shard->lock);
    bool is_empty = inode->record.entry_count == 0;
    mutex_unlock(&shard->lock);
    struct dir *new = dir_new(is_empty);
    if (new == NULL)
        return -ENOMEM;
    mutex_lock(&shard->lock);
    if (inode->dir == NULL) {
        /* Names are added only after this object exists, so an empty record is still the truth. */
        inode->dir = new;
        new = NULL;
    }
    *out_dir = inode->dir;
    mutex_unlock(&shard->lock);
    dir_free(new);
    return 0;
}

/* Puts the names of one `d` record into memory. */
static int insert_bucket_locked(struct dir *dir, uint64_t hash, struct slice value)
    REQUIRES(dir->lock)
{
    int err = value_open(&value);
    while (err == 0 && value.size > 0) {
        struct name_entry entry;
        err = name_entry_decode(&value, &entry);
        if (err == 0)
            err = dir_insert_locked(dir, hash, &entry);
    }
    if (err < 0) /* a bucket is in memory whole or not at all */
        dir_forget_locked(dir);
    return err;
}

/* Finds `name` in the value of a `d` record. */
static int find_in_bucket(struct slice value, struct slice name, uint64_t *out_inode)
{
    int err = value_open(&value);
    while (err == 0 && value.size > 0) {
        struct name_entry entry;
        err = name_entry_decode(&value, &entry);
        if (err == 0 && slice_equal(entry.name, name)) {
            *out_inode = entry.inode;
            return 0;
        }
    }
    return err < 0 ? err : -ENOENT;
}

struct bucket_call {
    struct volume *volume;
    struct inode *inode;
    struct slice name;
    uint64_t hash;
    uint64_t found;
    bool is_committer; /* it knows of no change that it has not made */
    int result;
};

static void bucket_on_pool(void *argument)
{
    struct bucket_call *call = argument;
    struct dir *dir = call->inode->dir;
    mutex_lock(&dir->lock);
    uint64_t version = dir->version;
    mutex_unlock(&dir->lock);
    struct key key;
    key_make2(&key, KEY_NAME, id_number(call->inode->id), call->hash);
    struct store_value value;
    int err = records_get(call->volume, call->inode->id, &key, &value);
    if (err < 0) {
        call->result = err;
        return;
    }
    err = find_in_bucket(value.data, call->name, &call->found);
    if (err == 0 || err == -ENOENT) {
        mutex_lock(&dir->lock);
        bool is_wanted =
            dir->version == version && dir->count < call->volume->engine->options.dir_names_max;
        int inserted = 0;
        if (call->is_committer || is_wanted)
            inserted = insert_bucket_locked(dir, call->hash, value.data);
        mutex_unlock(&dir->lock);
        if (inserted < 0)
            err = inserted;
    }
    store_value_release(&value);
    call->result = err;
}

struct complete_call {
    struct volume *volume;
    struct inode *inode;
    int result; /* 1: complete; 0: it changed all the time */
};

/* Reads all names; 0 when the directory changed meanwhile. */
static int load_all(struct volume *volume, struct inode *inode)
{
    struct dir *dir = inode->dir;
    mutex_lock(&dir->lock);
    uint64_t version = dir->version;
    mutex_unlock(&dir->lock);
    struct key from;
    struct key end;
    key_make1(&from, KEY_NAME, id_number(inode->id));
    key_make1(&end, KEY_NAME, id_number(inode->id) + 1);
    struct records *iterator;
    int err = records_scan(volume, inode->id, &from, &end, &iterator);
    if (err < 0)
        return err;
    /* The scan is slow and the lock short; so names go in one record at a time, each under the
     * check that nothing changed since the scan's moment. */
    struct slice key;
    struct slice value;
    uint64_t numbers[2];
    while ((err = records_next(iterator, &key, &value)) == 1) {
        if (!key_parse(key, KEY_NAME, 2, numbers)) {
            err = -EBADMSG;
            break;
        }
        mutex_lock(&dir->lock);
        bool is_current = dir->version == version;
        err = is_current ? insert_bucket_locked(dir, numbers[1], value) : 0;
        mutex_unlock(&dir->lock);
        if (err < 0 || !is_current)
            break;
    }
    records_end(iterator);
    if (err < 0)
        return err;
    mutex_lock(&dir->lock);
    bool is_current = dir->version == version;
    if (is_current)
        dir->is_complete = true;
    mutex_unlock(&dir->lock);
    return is_current ? 1 : 0;
}

static void complete_on_pool(void *argument)
{
    struct complete_call *call = argument;
    call->result = 0;
    for (unsigned i = 0; i < LOAD_TRIES_MAX && call->result == 0; i++)
        call->result = load_all(call->volume, call->inode);
}

static uint64_t entry_count_of(struct volume *volume, struct inode *inode)
{
    struct inode_shard *shard = inode_shard_of(&volume->inodes, inode->id);
    mutex_lock(&shard->lock);
    uint64_t count = inode->record.entry_count;
    mutex_unlock(&shard->lock);
    return count;
}

static int damaged(struct volume *volume, struct inode *inode, int err)
{
    if (err != -EBADMSG && err != -EPROTO)
        return err;
    LOG_ERROR("directory record is damaged", "fs=%s inode=%" PRIu64 " error=%d", volume->fs_id,
        inode->id, err);
    return -EIO;
}

int names_complete(struct volume *volume, struct inode *inode)
{
    struct dir *dir;
    int err = names_dir(volume, inode, &dir);
    if (err < 0)
        return err;
    mutex_lock(&dir->lock);
    bool is_complete = dir->is_complete;
    mutex_unlock(&dir->lock);
    if (is_complete)
        return 1;
    if (entry_count_of(volume, inode) >= volume->engine->options.dir_names_max)
        return 0;
    struct complete_call call = { volume, inode, 0 };
    pool_call(volume->engine->pool, complete_on_pool, &call);
    return call.result < 0 ? damaged(volume, inode, call.result) : call.result;
}

/* Looks in memory: 0, -ENOENT, or -EAGAIN when only the database knows. */
static int find_in_memory(struct dir *dir, struct slice name, uint64_t hash, uint64_t *out_inode)
{
    int err = -EAGAIN;
    mutex_lock(&dir->lock);
    struct name *found = dir_find_locked(dir, hash, name, DIR_READER);
    if (found != NULL) {
        *out_inode = found->inode;
        err = 0;
    } else if (dir->is_complete || dir_has_bucket_locked(dir, hash)) {
        err = -ENOENT;
    }
    mutex_unlock(&dir->lock);
    return err;
}

int names_find(struct volume *volume, struct inode *inode, struct slice name, uint64_t hash,
    uint64_t *out_inode)
{
    struct dir *dir;
    int err = names_dir(volume, inode, &dir);
    if (err < 0)
        return err;
    err = find_in_memory(dir, name, hash, out_inode);
    if (err != -EAGAIN)
        return err;
    if (entry_count_of(volume, inode) <= LOAD_AT_ONCE_MAX) {
        err = names_complete(volume, inode);
        if (err < 0)
            return err;
        err = find_in_memory(dir, name, hash, out_inode);
        if (err != -EAGAIN)
            return err;
    }
    struct bucket_call call = { volume, inode, name, hash, 0, false, 0 };
    pool_call(volume->engine->pool, bucket_on_pool, &call);
    if (call.result == 0)
        *out_inode = call.found;
    return damaged(volume, inode, call.result);
}

int names_find_pending(struct volume *volume, struct inode *inode, struct slice name, uint64_t hash,
    struct name **out_name)
{
    struct dir *dir;
    int err = names_dir(volume, inode, &dir);
    if (err < 0)
        return err;
    for (bool is_loaded = false;; is_loaded = true) {
        mutex_lock(&dir->lock);
        struct name *found = dir_find_locked(dir, hash, name, DIR_COMMITTER);
        bool is_known =
            found != NULL || dir->is_complete || dir_has_bucket_locked(dir, hash) || is_loaded;
        mutex_unlock(&dir->lock);
        if (is_known) {
            *out_name = found;
            return 0;
        }
        struct bucket_call call = { volume, inode, name, hash, 0, true, 0 };
        bucket_on_pool(&call); /* the committer's is an ordinary thread */
        if (call.result < 0 && call.result != -ENOENT)
            return damaged(volume, inode, call.result);
    }
}
