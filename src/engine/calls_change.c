/*
 * engine/calls_change.c - the calls of fs.h that change names and attributes (room: engine).
 *
 * They run on the caller's stack: find what they are about, so that it is in memory when the
 * committer executes (it must not wait for the disk), hand the request over, and wait.
 */
#include "base/log.h"
#include "engine/calls.h"
#include "engine/data.h"
#include "engine/names.h"
#include "engine/ops.h"
#include "engine/volume.h"
#include "fs/perm.h"

static int check_name(struct slice name)
{
    if (name.size == 0)
        return -EINVAL;
    return name.size > FS_NAME_SIZE_MAX ? -ENAMETOOLONG : 0;
}

static void unpin(struct volume *volume, struct inode *inode)
{
    if (inode != NULL)
        inode_unpin(&volume->inodes, inode);
}

/* Until it is not asked to come again with the next batch. */
static int submit_again(struct volume *volume, struct request *request)
{
    int err;
    do {
        err = committer_submit(&volume->committer, request);
    } while (err == -EAGAIN);
    return err;
}

/* Brings the inode that a name means now into memory, pinned; NULL if there is none: the committer
 * will say so. */
static struct inode *warm_name(
    struct volume *volume, struct inode *dir, struct slice name, uint64_t hash)
{
    uint64_t id;
    struct inode *inode;
    if (names_find(volume, dir, name, hash, &id) < 0 || inode_acquire(volume, id, &inode) < 0)
        return NULL;
    return inode;
}

/* A directory to change names in. Errors: -ENOTDIR. */
static int acquire_dir(struct volume *volume, struct fs_node node, struct inode **out_dir)
{
    struct fs_attr attr;
    struct inode *inode;
    int err = inode_acquire_to_change(volume, node, &inode, &attr);
    if (err < 0)
        return err;
    if (attr.type != FS_DIRECTORY) {
        inode_unpin(&volume->inodes, inode);
        return -ENOTDIR;
    }
    *out_dir = inode;
    return 0;
}

int call_setattr(struct fs *fs, const struct fs_cred *cred, struct fs_node node,
    const struct fs_setattr *change, struct fs_attr *out_attr)
{
    struct volume *volume = volume_of(fs);
    struct inode *inode;
    int err = inode_acquire_to_change(volume, node, &inode, NULL);
    if (err < 0)
        return err;
    if (change->set_size) {
        err = data_set_size(volume, cred, inode, change);
    } else {
        struct op_setattr op = { .request = { .execute = op_setattr_execute },
            .cred = cred,
            .inode = inode,
            .change = *change };
        err = committer_submit(&volume->committer, &op.request);
    }
    if (err == 0 && inode_attr(&volume->inodes, inode, out_attr) != INODE_READY)
        err = -ESTALE;
    inode_unpin(&volume->inodes, inode);
    return err;
}

/* Errors: -EINVAL. */
static int check_create(const struct fs_create *how)
{
    if (how->type < FS_REGULAR || how->type > FS_CHARACTER)
        return -EINVAL;
    if (how->mode != FS_CREATE_GUARDED && how->type != FS_REGULAR)
        return -EINVAL;
    if (how->type == FS_SYMLINK &&
        (how->symlink.size == 0 || how->symlink.size > FS_SYMLINK_SIZE_MAX))
        return how->symlink.size == 0 ? -EINVAL : -ENAMETOOLONG;
    if (how->attr.set_size && how->attr.size_bytes > FS_FILE_SIZE_MAX)
        return -EFBIG;
    return 0;
}

/* What exists for everyone to see needs no committer: 1 when that answers the call. */
static int create_answer(struct volume *volume, const struct fs_cred *cred,
    const struct op_create *op, struct inode *existing)
{
    struct fs_attr dir;
    struct fs_attr attr;
    if (existing == NULL || op->how->mode == FS_CREATE_EXCLUSIVE)
        return 0;
    if (inode_attr(&volume->inodes, op->dir, &dir) != INODE_READY ||
        inode_attr(&volume->inodes, existing, &attr) != INODE_READY)
        return 0;
    int err = perm_check(cred, &dir, PERM_EXECUTE);
    if (err < 0)
        return err;
    if (op->how->mode == FS_CREATE_GUARDED)
        return -EEXIST;
    op->out->existed = true;
    op->out->attr = attr;
    op->out->change = (struct fs_change){ dir.change, dir.change };
    return 1;
}

int call_create(struct fs *fs, const struct fs_cred *cred, struct fs_node dir, struct slice name,
    const struct fs_create *how, struct fs_created *out)
{
    struct volume *volume = volume_of(fs);
    int err = check_name(name);
    if (err == 0)
        err = check_create(how);
    if (err < 0)
        return err;
    struct op_create op = { .request = { .execute = op_create_execute },
        .cred = cred,
        .name = name,
        .how = how,
        .out = out };
    err = acquire_dir(volume, dir, &op.dir);
    if (err < 0)
        return err;
    op.hash = names_hash(volume, name);
    struct inode *existing = warm_name(volume, op.dir, name, op.hash);
    int answer = create_answer(volume, cred, &op, existing);
    if (answer != 0) {
        err = min_int(answer, 0);
        goto out;
    }
    err = committer_submit(&volume->committer, &op.request);
    if (op.out_inode != NULL) {
        if (err == 0 && inode_attr(&volume->inodes, op.out_inode, &out->attr) != INODE_READY)
            err = -ESTALE; /* removed in the same moment */
        inode_unpin(&volume->inodes, op.out_inode);
    }
out:
    unpin(volume, existing);
    unpin(volume, op.dir);
    return err;
}

int call_link(struct fs *fs, const struct fs_cred *cred, struct fs_node node, struct fs_node dir,
    struct slice name, struct fs_change *out_change)
{
    struct volume *volume = volume_of(fs);
    int err = check_name(name);
    if (err < 0)
        return err;
    struct op_link op = { .request = { .execute = op_link_execute },
        .cred = cred,
        .name = name,
        .hash = names_hash(volume, name),
        .out_change = out_change };
    err = inode_acquire_to_change(volume, node, &op.inode, NULL);
    if (err < 0)
        return err;
    err = acquire_dir(volume, dir, &op.dir);
    if (err == 0) {
        struct inode *existing = warm_name(volume, op.dir, name, op.hash);
        err = submit_again(volume, &op.request);
        unpin(volume, existing);
    }
    unpin(volume, op.dir);
    unpin(volume, op.inode);
    return err;
}

int call_remove(struct fs *fs, const struct fs_cred *cred, struct fs_node dir, struct slice name,
    struct fs_change *out_change)
{
    struct volume *volume = volume_of(fs);
    int err = check_name(name);
    if (err < 0)
        return err;
    struct op_remove op = { .request = { .execute = op_remove_execute,
                                .publish = op_remove_publish,
                                .frees_space = true },
        .cred = cred,
        .name = name,
        .hash = names_hash(volume, name),
        .out_change = out_change };
    err = acquire_dir(volume, dir, &op.dir);
    if (err < 0)
        return err;
    struct inode *victim = warm_name(volume, op.dir, name, op.hash);
    err = submit_again(volume, &op.request);
    unpin(volume, victim);
    unpin(volume, op.victim);
    unpin(volume, op.dir);
    return err;
}

int call_rename(
    struct fs *fs, const struct fs_cred *cred, const struct fs_rename *how, struct fs_renamed *out)
{
    struct volume *volume = volume_of(fs);
    int err = check_name(how->from_name);
    if (err == 0)
        err = check_name(how->to_name);
    if (err < 0)
        return err;
    struct op_rename op = { .request = { .execute = op_rename_execute,
                                .publish = op_rename_publish,
                                .frees_space = true },
        .cred = cred,
        .from_name = how->from_name,
        .from_hash = names_hash(volume, how->from_name),
        .to_name = how->to_name,
        .to_hash = names_hash(volume, how->to_name),
        .out = out };
    struct inode *source = NULL;
    struct inode *target = NULL;
    err = acquire_dir(volume, how->from_dir, &op.from_dir);
    if (err == 0)
        err = acquire_dir(volume, how->to_dir, &op.to_dir);
    if (err == 0) {
        source = warm_name(volume, op.from_dir, how->from_name, op.from_hash);
        target = warm_name(volume, op.to_dir, how->to_name, op.to_hash);
        err = submit_again(volume, &op.request);
    }
    unpin(volume, source);
    unpin(volume, target);
    unpin(volume, op.victim);
    unpin(volume, op.from_dir);
    unpin(volume, op.to_dir);
    return err;
}

int call_hold(struct fs *fs, struct fs_node node)
{
    struct volume *volume = volume_of(fs);
    struct inode *inode;
    if (UNLIKELY(id_slot(node.inode) == SNAPSHOT_SLOT_LIST))
        return 0; /* nothing to hold */
    int err = inode_acquire_node(volume, node, &inode, NULL);
    if (err < 0)
        return err;
    struct inode_shard *shard = inode_shard_of(&volume->inodes, inode->id);
    mutex_lock(&shard->lock);
    if (inode->state != INODE_READY || inode->is_doomed)
        err = -ESTALE;
    else
        inode->holds++; /* with the pin */
    mutex_unlock(&shard->lock);
    if (err < 0)
        inode_unpin(&volume->inodes, inode);
    return err;
}

void call_release(struct fs *fs, struct fs_node node)
{
    struct volume *volume = volume_of(fs);
    struct inode *inode;
    if (UNLIKELY(id_slot(node.inode) == SNAPSHOT_SLOT_LIST))
        return;
    if (inode_pin(&volume->inodes, node.inode, &inode) < 0)
        return; /* it leaks until the process ends */
    struct inode_shard *shard = inode_shard_of(&volume->inodes, inode->id);
    mutex_lock(&shard->lock);
    assert(inode->holds > 0);
    bool is_last = --inode->holds == 0 && inode->record.attr.link_count == 0;
    if (is_last) {
        inode->is_doomed = true;
        inode->state = INODE_GONE;
    }
    uint64_t map_id = inode->record.map_id;
    mutex_unlock(&shard->lock);
    if (is_last) {
        data_abandon(volume, inode);
        const struct orphan orphan = { .kind = KEY_ORPHAN, .id = inode->id, .map_id = map_id };
        background_add_orphan(volume, &orphan);
    }
    inode_unpin(&volume->inodes, inode); /* of the hold */
    inode_unpin(&volume->inodes, inode);
}

static int submit_record(
    struct volume *volume, struct slice key, struct slice value, bool is_delete)
{
    if (key.size == 0 || key.size > 128 || value.size > 4096)
        return -EINVAL;
    struct op_record op = { .request = { .execute = op_record_execute, .frees_space = true },
        .key = key,
        .value = value,
        .is_delete = is_delete };
    return committer_submit(&volume->committer, &op.request);
}

int call_record_put(struct fs *fs, struct slice key, struct slice value)
{
    return submit_record(volume_of(fs), key, value, false);
}

int call_record_delete(struct fs *fs, struct slice key)
{
    return submit_record(volume_of(fs), key, slice_of(NULL, 0), true);
}
