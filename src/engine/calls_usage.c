/*
 * engine/calls_usage.c - what lies below a directory, for those who ask (room: engine).
 */
#include "base/log.h"
#include "engine/calls.h"
#include "engine/usage.h"
#include "engine/volume.h"
#include "fs/perm.h"
#include "io/pool.h"

struct usage_call {
    struct volume *volume;
    uint64_t directory;
    struct fs_usage *out_usage;
    int result;
};

static void read_on_pool(void *argument)
{
    struct usage_call *call = argument;
    call->result = usage_read(call->volume, call->directory, call->out_usage);
}

int call_usage(
    struct fs *fs, const struct fs_cred *cred, struct fs_node dir, struct fs_usage *out_usage)
{
    struct volume *volume = volume_of(fs);
    struct inode *inode;
    struct fs_attr attr;
    if (id_slot(dir.inode) != 0)
        return -EOPNOTSUPP; /* only of a snapshot's root it is known: fs_snapshot_list() */
    int err = inode_acquire_node(volume, dir, &inode, &attr);
    if (err < 0)
        return err;
    inode_unpin(&volume->inodes, inode);
    if (attr.type != FS_DIRECTORY)
        return -ENOTDIR;
    err = perm_check(cred, &attr, PERM_READ);
    if (err < 0)
        return err;
    struct usage_call call = { volume, dir.inode, out_usage, 0 };
    pool_call(volume->engine->pool, read_on_pool, &call);
    if (call.result == -EBADMSG || call.result == -EPROTO) {
        LOG_ERROR("usage record is damaged", "fs=%s directory=%" PRIu64, volume->fs_id, dir.inode);
        call.result = -EIO;
    }
    return call.result;
}
