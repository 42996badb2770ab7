/*
 * engine/inode.c - inodes in memory (room: engine).
 */
#include "engine/inode.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/log.h"
#include "engine/data_remap.h"
#include "engine/dir.h"
#include "engine/file.h"
#include "engine/records.h"
#include "engine/volume.h"
#include "io/pool.h"

#define TABLE_SIZE_FIRST 64u
#define EVICT_LOOKS_MAX  8u /* inodes one unpin looks at */

int inode_cache_init(struct inode_cache *cache, _Atomic uint64_t *bytes, uint64_t bytes_max)
{
    cache->bytes = bytes;
    cache->bytes_max = bytes_max;
    for (size_t i = 0; i < INODE_SHARDS; i++) {
        struct inode_shard *shard = &cache->shards[i];
        (void)pthread_mutex_init(&shard->lock.pthread, NULL);
        list_init(&shard->lru);
        // NOLINTNEXTLINE(bugprone-sizeof-expression): a table of pointers
        shard->table = calloc(TABLE_SIZE_FIRST, sizeof *shard->table);
        if (shard->table == NULL)
            return -ENOMEM;
        shard->mask = TABLE_SIZE_FIRST - 1;
    }
    return 0;
}

/* Ids of one shard differ by multiples of INODE_SHARDS. */
static struct inode **slot_of(struct inode_shard *shard, uint64_t id)
{
    return &shard->table[hash_u64(id / INODE_SHARDS) & shard->mask];
}

static struct inode *find_locked(struct inode_shard *shard, uint64_t id) REQUIRES(shard->lock)
{
    struct inode *inode = *slot_of(shard, id);
    while (inode != NULL && inode->id != id)
        inode = inode->hash_next;
    return inode;
}

static void inode_free(struct inode *inode)
{
    dir_free(inode->dir);
    file_free(inode->file);
    free(inode->symlink);
    free(inode);
}

static void drop_locked(struct inode_cache *cache, struct inode_shard *shard, struct inode *inode)
    REQUIRES(shard->lock)
{
    assert(inode->pins == 0 && inode->holds == 0 && inode->pending == NULL);
    struct inode **link = slot_of(shard, inode->id);
    while (*link != inode)
        link = &(*link)->hash_next;
    *link = inode->hash_next;
    shard->count--;
    list_remove(&inode->lru);
    *cache->bytes -= inode->charged_bytes;
    inode_free(inode);
}

/* One that is held, with a pin of the caller's instead of those of its holds; NULL: none. */
static struct inode *take_held(struct inode_shard *shard)
{
    struct inode *held = NULL;
    mutex_lock(&shard->lock);
    for (uint32_t at = 0; at <= shard->mask && held == NULL; at++) {
        for (struct inode *it = shard->table[at]; it != NULL && held == NULL; it = it->hash_next)
            held = it->holds > 0 ? it : NULL;
    }
    if (held != NULL) {
        held->pins -= held->holds - 1;
        held->holds = 0;
    }
    mutex_unlock(&shard->lock);
    return held;
}

uint32_t inode_cache_drop_holds(struct inode_cache *cache)
{
    uint32_t count = 0;
    for (size_t i = 0; i < INODE_SHARDS; i++) {
        struct inode *held;
        while ((held = take_held(&cache->shards[i])) != NULL) {
            inode_unpin(cache, held);
            count++;
        }
    }
    return count;
}

/* Those of the slot that nobody uses go, the others are gone for whoever asks. */
static void forget_slot_locked(struct inode_cache *cache, struct inode_shard *shard, uint32_t slot)
    REQUIRES(shard->lock)
{
    for (uint32_t at = 0; at <= shard->mask; at++) {
        struct inode *inode = shard->table[at];
        while (inode != NULL) {
            struct inode *next = inode->hash_next;
            bool is_its = id_slot(inode->id) == slot;
            if (is_its && inode->state != INODE_LOADING)
                inode->state = INODE_GONE;
            if (is_its && inode->pins == 0)
                drop_locked(cache, shard, inode);
            inode = next;
        }
    }
}

void inode_cache_forget_slot(struct inode_cache *cache, uint32_t slot)
{
    for (size_t i = 0; i < INODE_SHARDS; i++) {
        mutex_lock(&cache->shards[i].lock);
        forget_slot_locked(cache, &cache->shards[i], slot);
        mutex_unlock(&cache->shards[i].lock);
    }
}

void inode_cache_fini(struct inode_cache *cache)
{
    for (size_t i = 0; i < INODE_SHARDS; i++) {
        struct inode_shard *shard = &cache->shards[i];
        if (shard->table == NULL)
            continue;
        mutex_lock(&shard->lock);
        LIST_FOR_EACH_SAFE(node, &shard->lru)
        drop_locked(cache, shard, LIST_ENTRY(node, struct inode, lru));
        assert(shard->count == 0);
        mutex_unlock(&shard->lock);
        free(shard->table);
        (void)pthread_mutex_destroy(&shard->lock.pthread);
    }
}

/* Doubles the table; when there is no memory the chains just grow. */
static void grow_locked(struct inode_shard *shard) REQUIRES(shard->lock)
{
    uint32_t old_size = shard->mask + 1;
    struct inode **old = shard->table;
    struct inode **table = calloc((size_t)old_size * 2, sizeof(struct inode *));
    if (table == NULL)
        return;
    shard->table = table;
    shard->mask = old_size * 2 - 1;
    for (uint32_t i = 0; i < old_size; i++) {
        struct inode *inode = old[i];
        while (inode != NULL) {
            struct inode *next = inode->hash_next;
            struct inode **slot = slot_of(shard, inode->id);
            inode->hash_next = *slot;
            *slot = inode;
            inode = next;
        }
    }
    free(old);
}

static void take_pin_locked(struct inode_cache *cache, struct inode *inode)
{
    if (inode->pins++ == 0) {
        list_remove(&inode->lru);
        *cache->bytes -= inode->charged_bytes;
        inode->charged_bytes = 0;
    }
    inode->is_recent = true;
}

int inode_pin(struct inode_cache *cache, uint64_t id, struct inode **out_inode)
{
    struct inode_shard *shard = inode_shard_of(cache, id);
    int err = 0;
    mutex_lock(&shard->lock);
    struct inode *inode = find_locked(shard, id);
    if (inode == NULL) {
        inode = calloc(1, sizeof *inode);
        if (inode == NULL) {
            err = -ENOMEM;
            goto out;
        }
        inode->id = id;
        list_init(&inode->lru);
        if (shard->count++ > shard->mask)
            grow_locked(shard);
        struct inode **slot = slot_of(shard, id);
        inode->hash_next = *slot;
        *slot = inode;
    }
    take_pin_locked(cache, inode);
    *out_inode = inode;
out:
    mutex_unlock(&shard->lock);
    return err;
}

void inode_pin_again(struct inode_cache *cache, struct inode *inode)
{
    struct inode_shard *shard = inode_shard_of(cache, inode->id);
    mutex_lock(&shard->lock);
    assert(inode->pins > 0);
    inode->pins++;
    mutex_unlock(&shard->lock);
}

/* Frees the longest unused of this shard while all caches together hold too much. */
static void evict_locked(struct inode_cache *cache, struct inode_shard *shard) REQUIRES(shard->lock)
{
    for (unsigned i = 0; i<EVICT_LOOKS_MAX && * cache->bytes> cache->bytes_max; i++) {
        if (list_is_empty(&shard->lru))
            return;
        struct inode *inode = LIST_ENTRY(shard->lru.next, struct inode, lru);
        if (inode->is_recent) {
            inode->is_recent = false;
            list_remove(&inode->lru);
            list_add_tail(&shard->lru, &inode->lru);
            continue;
        }
        drop_locked(cache, shard, inode);
    }
}

void inode_unpin(struct inode_cache *cache, struct inode *inode)
{
    struct inode_shard *shard = inode_shard_of(cache, inode->id);
    mutex_lock(&shard->lock);
    assert(inode->pins > 0);
    if (--inode->pins == 0) {
        list_add_tail(&shard->lru, &inode->lru);
        inode->charged_bytes = (uint32_t)min_u64(UINT32_MAX,
            sizeof *inode + inode->symlink_size + dir_bytes(inode->dir) + file_bytes(inode->file));
        *cache->bytes += inode->charged_bytes;
        if (inode->state != INODE_READY)
            drop_locked(cache, shard, inode);
        else if (UNLIKELY(*cache->bytes > cache->bytes_max))
            evict_locked(cache, shard);
    }
    mutex_unlock(&shard->lock);
}

int inode_peek(
    struct inode_cache *cache, uint64_t id, const uint64_t *generation, struct fs_attr *out_attr)
{
    struct inode_shard *shard = inode_shard_of(cache, id);
    int err = -EAGAIN;
    mutex_lock(&shard->lock);
    struct inode *inode = find_locked(shard, id);
    if (inode != NULL && inode->state != INODE_LOADING) {
        err = -ESTALE;
        if (inode->state == INODE_READY &&
            (generation == NULL || inode->record.attr.node.generation == *generation)) {
            *out_attr = inode->record.attr;
            inode->is_recent = true;
            err = 0;
        }
    }
    mutex_unlock(&shard->lock);
    return err;
}

int inode_fill(struct volume *volume, struct inode *inode, const struct inode_record *record,
    struct slice symlink)
{
    struct inode_cache *cache = &volume->inodes;
    uint8_t *copy = NULL;
    if (symlink.size > 0) {
        copy = malloc(symlink.size);
        if (copy == NULL)
            return -ENOMEM;
        memcpy(copy, symlink.data, symlink.size);
    }
    struct inode_shard *shard = inode_shard_of(cache, inode->id);
    mutex_lock(&shard->lock);
    if (inode->state == INODE_LOADING) {
        inode->record = *record;
        inode->durable_size = record->attr.size_bytes;
        if (record->attr.type == FS_DIRECTORY)
            inode->record.attr.size_bytes = inode_dir_size(record->entry_count);
        inode->symlink = copy;
        inode->symlink_size = (uint32_t)symlink.size;
        copy = NULL;
        /* One without a name waits for the reaper only; nobody can have held it before. In a snapshot that was
         * deleted meanwhile nobody will look for it any more. */
        inode->state = record->attr.link_count > 0 && snapshot_has_id(volume, inode->id)
                           ? INODE_READY
                           : INODE_GONE;
    }
    mutex_unlock(&shard->lock);
    free(copy);
    return 0;
}

enum inode_state inode_attr(
    struct inode_cache *cache, struct inode *inode, struct fs_attr *out_attr)
{
    struct inode_shard *shard = inode_shard_of(cache, inode->id);
    mutex_lock(&shard->lock);
    enum inode_state state = (enum inode_state)inode->state;
    if (state == INODE_READY)
        *out_attr = inode->record.attr;
    mutex_unlock(&shard->lock);
    return state;
}

/* What is different of an inode in a snapshot. Errors: -ESTALE, -EIO, -ENOMEM. */
static int load_in_snapshot(struct volume *volume, struct inode *inode, struct inode_record *record)
{
    struct snapshot snapshot;
    if (!snapshot_in_slot(volume, id_slot(inode->id), &snapshot))
        return -ESTALE;
    record->attr.node.generation ^= snapshot_generation(&snapshot);
    return record->attr.type == FS_REGULAR ? cut_load_in_snapshot(volume, inode, record->map_id)
                                           : 0;
}

int inode_load(struct volume *volume, struct inode *inode)
{
    struct key key;
    key_make1(&key, KEY_INODE, id_number(inode->id));
    struct store_value value;
    int err = records_get(volume, inode->id, &key, &value);
    if (err == -EBADMSG)
        return -EIO; /* the store has said what is damaged */
    if (err < 0)
        return err == -ENOENT ? -ESTALE : err;
    struct inode_record record;
    struct slice symlink;
    err = inode_record_decode(value.data, inode->id, &record, &symlink);
    if (err < 0) {
        LOG_ERROR("inode record is damaged", "fs=%s inode=%" PRIu64 " error=%d", volume->fs_id,
            inode->id, err);
        err = -EIO;
        goto out;
    }
    /* After a crash the counters of files start above all that was ever shown: what they counted
     * may have been lost with UNSTABLE data. */
    if (id_slot(inode->id) != 0)
        err = load_in_snapshot(volume, inode, &record);
    else if (record.attr.type == FS_REGULAR)
        record.attr.change = max_u64(record.attr.change, volume->change_floor);
    if (err == 0)
        err = inode_fill(volume, inode, &record, symlink);
out:
    store_value_release(&value);
    return err;
}

struct load_call {
    struct volume *volume;
    struct inode *inode;
    int result;
};

static void load_on_pool(void *argument)
{
    struct load_call *call = argument;
    call->result = inode_load(call->volume, call->inode);
}

/* Makes a pinned inode READY; takes the pin back when that fails. */
static int make_ready(struct volume *volume, struct inode *inode, struct fs_attr *out_attr)
{
    enum inode_state state = inode_attr(&volume->inodes, inode, out_attr);
    int err = 0;
    if (state == INODE_LOADING) {
        struct load_call call = { volume, inode, 0 };
        pool_call(volume->engine->pool, load_on_pool, &call);
        err = call.result;
        if (err == 0)
            state = inode_attr(&volume->inodes, inode, out_attr);
    }
    if (err == 0 && state != INODE_READY)
        err = -ESTALE;
    if (err < 0)
        inode_unpin(&volume->inodes, inode);
    return err;
}

int inode_acquire(struct volume *volume, uint64_t id, struct inode **out_inode)
{
    struct inode *inode;
    struct fs_attr attr = { 0 };
    int err = inode_pin(&volume->inodes, id, &inode);
    if (err == 0)
        err = make_ready(volume, inode, &attr);
    if (err == 0)
        *out_inode = inode;
    return err;
}

int inode_acquire_node(
    struct volume *volume, struct fs_node node, struct inode **out_inode, struct fs_attr *out_attr)
{
    struct inode *inode;
    struct fs_attr attr = { 0 };
    if (UNLIKELY(volume->is_locked))
        return -EIO;
    if (UNLIKELY(id_slot(node.inode) == SNAPSHOT_SLOT_LIST))
        return -EISDIR; /* who can do something with it has looked before */
    if (!snapshot_has_id(volume, node.inode))
        return -ESTALE;
    int err = inode_pin(&volume->inodes, node.inode, &inode);
    if (err == 0)
        err = make_ready(volume, inode, &attr);
    if (err < 0)
        return err;
    if (attr.node.generation != node.generation) {
        inode_unpin(&volume->inodes, inode);
        return -ESTALE;
    }
    if (out_attr != NULL)
        *out_attr = attr;
    *out_inode = inode;
    return 0;
}

int inode_acquire_to_change(
    struct volume *volume, struct fs_node node, struct inode **out_inode, struct fs_attr *out_attr)
{
    int err = snapshot_refuse(node);
    return err < 0 ? err : inode_acquire_node(volume, node, out_inode, out_attr);
}
