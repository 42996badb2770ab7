/*
 * engine/calls_xattr.c - extended attributes (room: engine): their calls, and what the committer does for them.
 *
 * An `a` record holds all attributes of one inode whose names have one hash, each with a slot; hash and slot are the
 * cookie, as of names in directories. They are read from the database, not kept in memory; the inode's record says
 * whether there are any. A batch changes those of an inode once: a second change would not see the first in the
 * database, and comes again with the next batch.
 */
#include <stdlib.h>

#include "base/log.h"
#include "engine/calls.h"
#include "engine/names.h"
#include "engine/records.h"
#include "engine/volume.h"
#include "fs/perm.h"
#include "io/pool.h"

#define SLOTS 256u

struct op_xattr {
    struct request request;
    const struct fs_cred *cred;
    struct inode *inode;
    struct fs_setxattr set;
    uint64_t hash;
    bool is_removal;
    struct fs_change *out_change;
};

static int check_name(struct slice name)
{
    return name.size == 0 || name.size > FS_XATTR_NAME_SIZE_MAX ? -EINVAL : 0;
}

/* -EIO, said in the log, for what cannot have been written. */
static int damaged(struct volume *volume, uint64_t inode, int err)
{
    if (err != -EBADMSG && err != -EPROTO)
        return err;
    LOG_ERROR("extended attributes are damaged", "fs=%s inode=%" PRIu64 " error=%d", volume->fs_id,
        inode, err);
    return -EIO;
}

/* Finds `name` in a bucket whose version byte is gone: 1, or 0. */
static int find_entry(struct slice bucket, struct slice name, struct xattr_entry *out_entry)
{
    while (bucket.size > 0) {
        int err = xattr_entry_decode(&bucket, out_entry);
        if (err < 0)
            return err;
        if (slice_equal(out_entry->name, name))
            return 1;
    }
    return 0;
}

struct get_call {
    struct volume *volume;
    uint64_t inode;
    struct slice name;
    struct fs_buffer *buffer;
    int result;
};

static void get_on_pool(void *argument)
{
    struct get_call *call = argument;
    struct key key;
    key_make2(&key, KEY_XATTR, id_number(call->inode), names_hash(call->volume, call->name));
    struct store_value stored;
    int err = records_get(call->volume, call->inode, &key, &stored);
    if (err < 0) {
        call->result = err == -ENOENT ? -ENODATA : err;
        return;
    }
    struct slice bucket = stored.data;
    struct xattr_entry entry = { 0 };
    err = value_open(&bucket);
    if (err == 0)
        err = find_entry(bucket, call->name, &entry);
    struct fs_buffer *buffer = call->buffer;
    if (err == 0)
        err = -ENODATA;
    else if (err > 0)
        err = buffer->capacity > 0 && buffer->capacity < entry.value.size ? -ERANGE : 0;
    if (err == 0) {
        buffer->out_size = entry.value.size;
        if (buffer->capacity > 0 && entry.value.size > 0)
            memcpy(buffer->bytes, entry.value.data, entry.value.size);
    }
    call->result = damaged(call->volume, call->inode, err);
    store_value_release(&stored);
}

/* A node whose attributes `cred` may read, pinned; *out_count says how many there are. */
static int acquire_to_read(struct volume *volume, const struct fs_cred *cred, struct fs_node node,
    struct inode **out_inode, uint32_t *out_count)
{
    struct fs_attr attr;
    struct inode *inode;
    if (UNLIKELY(id_slot(node.inode) == SNAPSHOT_SLOT_LIST))
        return -ENODATA;
    int err = inode_acquire_node(volume, node, &inode, &attr);
    if (err < 0)
        return err;
    err = perm_check_xattr(cred, &attr, PERM_READ);
    if (err < 0) {
        inode_unpin(&volume->inodes, inode);
        return err;
    }
    struct inode_shard *shard = inode_shard_of(&volume->inodes, inode->id);
    mutex_lock(&shard->lock);
    *out_count = inode->record.xattr_count;
    mutex_unlock(&shard->lock);
    *out_inode = inode;
    return 0;
}

int call_getxattr(struct fs *fs, const struct fs_cred *cred, struct fs_node node, struct slice name,
    struct fs_buffer *buffer)
{
    struct volume *volume = volume_of(fs);
    struct inode *inode;
    uint32_t count;
    int err = check_name(name);
    if (err == 0)
        err = acquire_to_read(volume, cred, node, &inode, &count);
    if (err < 0)
        return err;
    struct get_call call = { volume, node.inode, name, buffer, -ENODATA };
    if (count > 0)
        pool_call(volume->engine->pool, get_on_pool, &call);
    inode_unpin(&volume->inodes, inode);
    return call.result;
}

struct list_call {
    struct volume *volume;
    uint64_t inode;
    uint64_t cookie;
    fs_xattr_emit *emit;
    void *context;
    int result;
};

static int compare_slots(const void *a, const void *b)
{
    return ((const struct xattr_entry *)a)->slot - ((const struct xattr_entry *)b)->slot;
}

/* Emits those of one record in the order of their slots: 1: all; 0: enough. */
static int list_bucket(struct list_call *call, uint64_t hash, struct slice bucket)
{
    int err = value_open(&bucket);
    uint32_t count = 0;
    struct xattr_entry *entries = malloc(SLOTS * sizeof *entries);
    if (entries == NULL)
        return -ENOMEM;
    while (err == 0 && bucket.size > 0 && count < SLOTS)
        err = xattr_entry_decode(&bucket, &entries[count++]);
    if (err == 0)
        qsort(entries, count, sizeof *entries, compare_slots);
    int result = err < 0 ? err : 1;
    for (uint32_t i = 0; i < count && result == 1; i++) {
        uint64_t cookie = hash << 8 | entries[i].slot;
        if (cookie > call->cookie && !call->emit(call->context, entries[i].name, cookie))
            result = 0;
    }
    free(entries);
    return result;
}

static void list_on_pool(void *argument)
{
    struct list_call *call = argument;
    struct key from;
    struct key end;
    key_make2(&from, KEY_XATTR, id_number(call->inode), call->cookie >> 8);
    key_make1(&end, KEY_XATTR, id_number(call->inode) + 1);
    struct records *iterator = NULL;
    int err = records_scan(call->volume, call->inode, &from, &end, &iterator);
    int result = 1;
    struct slice key;
    struct slice value;
    while (err == 0 && result == 1 && (err = records_next(iterator, &key, &value)) == 1) {
        uint64_t numbers[2];
        result =
            key_parse(key, KEY_XATTR, 2, numbers) ? list_bucket(call, numbers[1], value) : -EBADMSG;
        err = 0;
    }
    if (err == 0 || result != 1)
        err = result;
    records_end(iterator);
    call->result = damaged(call->volume, call->inode, err);
}

int call_listxattr(struct fs *fs, const struct fs_cred *cred, struct fs_node node, uint64_t cookie,
    fs_xattr_emit *emit, void *context)
{
    struct volume *volume = volume_of(fs);
    struct inode *inode;
    uint32_t count;
    int err = acquire_to_read(volume, cred, node, &inode, &count);
    if (err < 0)
        return err == -ENODATA ? 1 : err; /* files that can have none have none */
    struct list_call call = { volume, node.inode, cookie, emit, context, 1 };
    if (count > 0)
        pool_call(volume->engine->pool, list_on_pool, &call);
    inode_unpin(&volume->inodes, inode);
    return call.result;
}

/* A bucket before and after one change. */
struct bucket {
    struct slice rest;        /* the old entries, encoded */
    struct xattr_entry found; /* the one with our name */
    bool has_found;
    uint64_t used[SLOTS / 64];
};

/* Errors: -EBADMSG. */
static int bucket_read(struct slice value, struct slice name, struct bucket *bucket)
{
    int err = value_open(&value);
    bucket->rest = value;
    while (err == 0 && value.size > 0) {
        struct xattr_entry entry;
        err = xattr_entry_decode(&value, &entry);
        if (err < 0)
            break;
        bucket->used[entry.slot / 64] |= UINT64_C(1) << entry.slot % 64;
        if (slice_equal(entry.name, name)) {
            bucket->found = entry;
            bucket->has_found = true;
        }
    }
    return err;
}

/* Errors: -ENOSPC: all slots are taken. */
static int bucket_slot(const struct bucket *bucket, uint8_t *out_slot)
{
    if (bucket->has_found) {
        *out_slot = bucket->found.slot;
        return 0;
    }
    for (unsigned slot = 0; slot < SLOTS; slot++) {
        if ((bucket->used[slot / 64] >> slot % 64 & 1) == 0) {
            *out_slot = (uint8_t)slot;
            return 0;
        }
    }
    return -ENOSPC;
}

/* Puts the bucket without the old entry, and with `added` unless it is NULL, into the batch. */
static int bucket_write(struct batch *batch, const struct op_xattr *op, const struct bucket *bucket,
    const struct xattr_entry *added)
{
    size_t size_max =
        1 + bucket->rest.size +
        (added == NULL ? 0 : XATTR_ENTRY_BYTES + added->name.size + added->value.size);
    uint8_t *value = malloc(size_max);
    if (value == NULL)
        return -ENOMEM;
    value[0] = 1;
    size_t size = 1;
    struct slice rest = bucket->rest;
    int err = 0;
    while (err == 0 && rest.size > 0) {
        struct xattr_entry entry;
        err = xattr_entry_decode(&rest, &entry);
        if (err == 0 && !slice_equal(entry.name, op->set.name))
            size += xattr_entry_encode(&entry, value + size);
    }
    if (err == 0 && added != NULL)
        size += xattr_entry_encode(added, value + size);
    struct key key;
    key_make2(&key, KEY_XATTR, op->inode->id, op->hash);
    if (err == 0 && size > 1)
        batch_put(batch, &key, slice_of(value, size));
    else if (err == 0)
        batch_delete(batch, &key);
    free(value);
    return err;
}

static int change_bucket(struct batch *batch, struct op_xattr *op, struct inode_record *record,
    const struct bucket *bucket)
{
    if (bucket->has_found && !op->is_removal && op->set.how == FS_XATTR_CREATE)
        return -EEXIST;
    if (!bucket->has_found && (op->is_removal || op->set.how == FS_XATTR_REPLACE))
        return -ENODATA;
    uint64_t old_bytes = bucket->has_found ? bucket->found.name.size + bucket->found.value.size : 0;
    uint64_t new_bytes = op->is_removal ? 0 : op->set.name.size + op->set.value.size;
    uint64_t bytes = record->xattr_bytes - min_u64(record->xattr_bytes, old_bytes) + new_bytes;
    if (!op->is_removal && bytes > FS_XATTRS_SIZE_MAX)
        return -ENOSPC;
    struct xattr_entry entry = { .name = op->set.name, .value = op->set.value };
    int err = op->is_removal ? 0 : bucket_slot(bucket, &entry.slot);
    if (err == 0)
        err = bucket_write(batch, op, bucket, op->is_removal ? NULL : &entry);
    if (err < 0)
        return err;
    record->xattr_bytes = (uint32_t)bytes;
    record->xattr_count += (uint32_t)!op->is_removal - (uint32_t)bucket->has_found;
    return 0;
}

static int op_xattr_execute(struct batch *batch, struct request *request)
{
    struct op_xattr *op = CONTAINER_OF(request, struct op_xattr, request);
    struct volume *volume = batch->volume;
    int err = batch_reserve(batch, 1);
    if (err < 0)
        return err;
    struct pending *pending = batch_touch(batch, op->inode);
    struct inode_record *record = &pending->record;
    if (pending->is_gone || op->inode->is_doomed)
        return -ESTALE;
    err = perm_check_xattr(op->cred, &record->attr, PERM_WRITE);
    if (err < 0)
        return err;
    if (pending->sets_xattrs)
        return -EAGAIN;
    struct bucket bucket = { 0 };
    struct store_value stored = { 0 };
    struct key key;
    key_make2(&key, KEY_XATTR, op->inode->id, op->hash);
    if (record->xattr_count > 0)
        err = store_get(volume->store, &key, &stored);
    if (err == 0 && stored.data.size > 0)
        err = bucket_read(stored.data, op->set.name, &bucket);
    else if (err == -ENOENT)
        err = 0;
    if (err == 0)
        err = change_bucket(batch, op, record, &bucket);
    if (stored.data.data != NULL)
        store_value_release(&stored);
    if (err < 0)
        return damaged(volume, op->inode->id, err);
    pending->sets_xattrs = true;
    struct fs_attr seen; /* UNSTABLE writes may have moved the counter ahead */
    bool is_seen = inode_attr(&volume->inodes, op->inode, &seen) == INODE_READY;
    op->out_change->before = max_u64(record->attr.change, is_seen ? seen.change : 0);
    batch_mark_changed(batch, pending);
    op->out_change->after = record->attr.change;
    return 0;
}

static int change(struct fs *fs, struct fs_node node, struct op_xattr *op)
{
    struct volume *volume = volume_of(fs);
    int err = check_name(op->set.name);
    if (err < 0)
        return err;
    op->request = (struct request){ .execute = op_xattr_execute, .frees_space = op->is_removal };
    op->hash = names_hash(volume, op->set.name);
    err = inode_acquire_to_change(volume, node, &op->inode, NULL);
    if (err < 0)
        return err;
    do {
        err = committer_submit(&volume->committer, &op->request);
    } while (err == -EAGAIN);
    inode_unpin(&volume->inodes, op->inode);
    return err;
}

int call_setxattr(struct fs *fs, const struct fs_cred *cred, struct fs_node node,
    const struct fs_setxattr *how, struct fs_change *out_change)
{
    if (how->value.size > FS_XATTR_VALUE_SIZE_MAX)
        return -E2BIG;
    struct op_xattr op = { .cred = cred, .set = *how, .out_change = out_change };
    return change(fs, node, &op);
}

int call_removexattr(struct fs *fs, const struct fs_cred *cred, struct fs_node node,
    struct slice name, struct fs_change *out_change)
{
    struct op_xattr op = {
        .cred = cred, .set = { .name = name }, .is_removal = true, .out_change = out_change
    };
    return change(fs, node, &op);
}
