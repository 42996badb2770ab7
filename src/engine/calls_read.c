/*
 * engine/calls_read.c - the calls of fs.h that only look (room: engine): on the caller's stack,
 * from memory; only what is not there is fetched on a thread of the pool.
 */
#include "base/log.h"
#include "engine/calls.h"
#include "engine/data.h"
#include "engine/names.h"
#include "engine/verify.h"
#include "engine/volume.h"
#include "fs/perm.h"
#include "io/pool.h"

#define TOTAL_BYTES UINT64_C(9223372036853727232) /* 2^63 - 1, to whole MiB: as EFS reports it */
#define TOTAL_FILES UINT64_C(1000000000000)

static int call_root(struct fs *fs, struct fs_node *out_node)
{
    *out_node = volume_of(fs)->root;
    return 0;
}

int calls_attr(struct volume *volume, uint64_t id, struct fs_attr *out_attr)
{
    int err = inode_peek(&volume->inodes, id, NULL, out_attr);
    if (err != -EAGAIN)
        return err;
    struct inode *inode;
    err = inode_acquire(volume, id, &inode);
    if (err < 0)
        return err;
    if (inode_attr(&volume->inodes, inode, out_attr) != INODE_READY)
        err = -ESTALE;
    inode_unpin(&volume->inodes, inode);
    return err;
}

static int call_getattr(struct fs *fs, struct fs_node node, struct fs_attr *out_attr)
{
    struct volume *volume = volume_of(fs);
    if (UNLIKELY(volume->is_locked))
        return -EIO;
    if (UNLIKELY(id_slot(node.inode) == SNAPSHOT_SLOT_LIST))
        return list_getattr(volume, node, out_attr);
    int err = inode_peek(&volume->inodes, node.inode, &node.generation, out_attr);
    if (LIKELY(err != -EAGAIN))
        return err;
    err = calls_attr(volume, node.inode, out_attr);
    if (err == 0 && out_attr->node.generation != node.generation)
        err = -ESTALE;
    return err;
}

static int call_lookup(struct fs *fs, const struct fs_cred *cred, struct fs_node dir,
    struct slice name, struct fs_attr *out_attr)
{
    struct volume *volume = volume_of(fs);
    if (name.size == 0 || name.size > FS_NAME_SIZE_MAX)
        return name.size == 0 ? -EINVAL : -ENAMETOOLONG;
    if (UNLIKELY(id_slot(dir.inode) == SNAPSHOT_SLOT_LIST))
        return list_lookup(volume, cred, dir, name, out_attr);
    struct inode *inode;
    struct fs_attr attr;
    int err = inode_acquire_node(volume, dir, &inode, &attr);
    if (err < 0)
        return err;
    uint64_t id;
    if (attr.type != FS_DIRECTORY)
        err = -ENOTDIR;
    if (err == 0)
        err = perm_check(cred, &attr, PERM_EXECUTE);
    if (err == 0)
        err = names_find(volume, inode, name, names_hash(volume, name), &id);
    if (err == 0) {
        err = calls_attr(volume, id_in_slot(id_slot(inode->id), id), out_attr);
        if (err == -ESTALE)
            err = -ENOENT; /* removed in this moment, or made and not yet durable */
    }
    inode_unpin(&volume->inodes, inode);
    return err;
}

static int call_parent(
    struct fs *fs, const struct fs_cred *cred, struct fs_node dir, struct fs_attr *out_attr)
{
    struct volume *volume = volume_of(fs);
    struct inode *inode;
    struct fs_attr attr;
    if (UNLIKELY(id_slot(dir.inode) == SNAPSHOT_SLOT_LIST))
        return list_parent(volume, cred, dir, out_attr);
    int err = inode_acquire_node(volume, dir, &inode, &attr);
    if (err < 0)
        return err;
    struct inode_shard *shard = inode_shard_of(&volume->inodes, inode->id);
    mutex_lock(&shard->lock);
    uint64_t parent = inode->record.parent;
    mutex_unlock(&shard->lock);
    inode_unpin(&volume->inodes, inode);
    if (attr.type != FS_DIRECTORY)
        return -ENOTDIR;
    err = perm_check(cred, &attr, PERM_EXECUTE);
    if (err < 0)
        return err;
    if (id_number(dir.inode) == ROOT_INODE)
        return -ENOENT;
    return calls_attr(volume, id_in_slot(id_slot(dir.inode), parent), out_attr);
}

static int call_readlink(
    struct fs *fs, struct fs_node node, uint8_t *buffer, size_t capacity, size_t *out_size)
{
    struct volume *volume = volume_of(fs);
    struct inode *inode;
    struct fs_attr attr;
    int err = inode_acquire_node(volume, node, &inode, &attr);
    if (err < 0)
        return err;
    if (attr.type != FS_SYMLINK) {
        err = -EINVAL;
    } else if (capacity < inode->symlink_size) {
        err = -ERANGE;
    } else { /* it never changes while the inode is pinned */
        memcpy(buffer, inode->symlink, inode->symlink_size);
        *out_size = inode->symlink_size;
    }
    inode_unpin(&volume->inodes, inode);
    return err;
}

static void call_writeverf(struct fs *fs, uint8_t out_verifier[FS_VERIFIER_SIZE])
{
    uint64_t value = volume_of(fs)->writeverf;
    memcpy(out_verifier, &value, FS_VERIFIER_SIZE);
}

static int call_space(struct fs *fs, struct fs_space *out_space)
{
    struct volume *volume = volume_of(fs);
    uint64_t used = volume->used_bytes;
    uint64_t files = volume->used_files;
    uint64_t free_bytes = TOTAL_BYTES - min_u64(TOTAL_BYTES, used);
    *out_space = (struct fs_space){ .total_bytes = TOTAL_BYTES,
        .free_bytes = free_bytes,
        .available_bytes = free_bytes,
        .total_files = TOTAL_FILES,
        .free_files = TOTAL_FILES - min_u64(TOTAL_FILES, files),
        .used_bytes = used,
        .used_files = files };
    return 0;
}

struct scan_call {
    struct volume *volume;
    fs_record_emit *emit;
    void *context;
    int result;
};

static int emit_record(void *context, struct slice key, struct slice value)
{
    struct scan_call *call = context;
    return call->emit(call->context, slice_of(key.data + 1, key.size - 1), value) ? 0 : 1;
}

static void scan_on_pool(void *argument)
{
    struct scan_call *call = argument;
    call->result = store_each(call->volume->store, KEY_RECORD, emit_record, call);
}

static int call_record_scan(struct fs *fs, fs_record_emit *emit, void *context)
{
    struct volume *volume = volume_of(fs);
    struct scan_call call = { volume, emit, context, 0 };
    pool_call(volume->engine->pool, scan_on_pool, &call);
    return min_int(call.result, 0);
}

const struct fs_ops engine_ops = {
    .name = "engine",
    .caps = FS_CAP_HOLES | FS_CAP_CLONE | FS_CAP_XATTRS | FS_CAP_USAGE | FS_CAP_QUOTAS |
            FS_CAP_VERIFY | FS_CAP_SNAPSHOTS,
    .root = call_root,
    .getattr = call_getattr,
    .setattr = call_setattr,
    .lookup = call_lookup,
    .parent = call_parent,
    .create = call_create,
    .link = call_link,
    .remove = call_remove,
    .rename = call_rename,
    .readlink = call_readlink,
    .readdir = call_readdir,
    .read = data_read,
    .write = data_write,
    .commit = data_sync,
    .writeverf = call_writeverf,
    .hold = call_hold,
    .release = call_release,
    .space = call_space,
    .record_put = call_record_put,
    .record_delete = call_record_delete,
    .record_scan = call_record_scan,
    .seek = data_seek,
    .read_segments = data_read_segments,
    .allocate = data_allocate,
    .deallocate = data_deallocate,
    .clone = data_clone,
    .getxattr = call_getxattr,
    .setxattr = call_setxattr,
    .listxattr = call_listxattr,
    .removexattr = call_removexattr,
    .usage = call_usage,
    .quota_set = call_quota_set,
    .quota_get = call_quota_get,
    .quota_space = call_quota_space,
    .verify_start = call_verify_start,
    .verify_stop = call_verify_stop,
    .verify_get = call_verify_get,
    .snapshot_create = call_snapshot_create,
    .snapshot_delete = call_snapshot_delete,
    .snapshot_list = call_snapshot_list,
    .snapshot_dir = call_snapshot_dir,
    .place_of = call_place_of,
};
