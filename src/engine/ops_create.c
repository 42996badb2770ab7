/*
 * engine/ops_create.c - making inodes, and further names for them (room: engine).
 */
#include <stdlib.h>

#include "engine/links.h"
#include "engine/names.h"
#include "engine/ops.h"
#include "engine/usage.h"
#include "engine/volume.h"
#include "fs/perm.h"

#define MODE_BITS   07777u
#define MODE_SETGID 02000u

int directory_touch(struct batch *batch, struct inode *inode, struct pending **out_pending)
{
    struct pending *pending = batch_touch(batch, inode);
    if (pending->record.attr.type != FS_DIRECTORY)
        return -ENOTDIR;
    if (pending->record.attr.link_count == 0)
        return -ESTALE;
    *out_pending = pending;
    return usage_prepare(batch, inode->id);
}

void setattr_apply(struct batch *batch, struct pending *pending, const struct fs_setattr *change)
{
    struct fs_attr *attr = &pending->record.attr;
    if (change->set_mode)
        attr->mode = change->mode & MODE_BITS;
    if (change->set_uid)
        attr->uid = change->uid;
    if (change->set_gid)
        attr->gid = change->gid;
    if (change->atime_how != FS_TIME_KEEP)
        attr->atime = change->atime_how == FS_TIME_CLIENT ? change->atime : batch->now;
    if (change->mtime_how != FS_TIME_KEEP) {
        attr->mtime = change->mtime_how == FS_TIME_CLIENT ? change->mtime : batch->now;
        pending->sets_mtime = true;
    }
    if (change->set_btime)
        attr->btime = change->btime;
    batch_mark_changed(batch, pending);
}

int op_setattr_execute(struct batch *batch, struct request *request)
{
    struct op_setattr *op = CONTAINER_OF(request, struct op_setattr, request);
    int err = batch_reserve(batch, 1);
    if (err < 0)
        return err;
    struct pending *pending = batch_touch(batch, op->inode);
    if (pending->is_gone || op->inode->is_doomed) /* the reaper may have deleted its record */
        return -ESTALE;
    err = perm_check_setattr(op->cred, &pending->record.attr, &op->change);
    if (err < 0)
        return err;
    setattr_apply(batch, pending, &op->change);
    return 0;
}

int op_record_execute(struct batch *batch, struct request *request)
{
    struct op_record *op = CONTAINER_OF(request, struct op_record, request);
    struct key key;
    key_make_record(&key, op->key);
    if (op->is_delete)
        batch_delete(batch, &key);
    else
        batch_put(batch, &key, op->value);
    return 0;
}

/* The name exists: by the mode of the create that is success, or not. */
static int create_existing(
    struct batch *batch, struct op_create *op, struct pending *dir, const struct name *name)
{
    if (op->how->mode == FS_CREATE_GUARDED)
        return -EEXIST;
    struct inode *inode;
    int err = batch_acquire(batch, name->inode, &inode);
    if (err < 0)
        return err;
    struct pending *pending = batch_touch(batch, inode);
    const struct inode_record *record = &pending->record;
    if (op->how->mode == FS_CREATE_EXCLUSIVE &&
        (!record->has_verifier ||
            memcmp(record->verifier, op->how->verifier, FS_VERIFIER_SIZE) != 0)) {
        inode_unpin(&batch->volume->inodes, inode);
        return -EEXIST;
    }
    op->out->existed = true;
    op->out->change.before = dir->record.attr.change;
    op->out->change.after = dir->record.attr.change;
    op->out_inode = inode;
    return 0;
}

/* Owner, group and mode by default and as asked for. Errors: -EPERM. */
static int create_attributes(struct batch *batch, const struct op_create *op,
    const struct fs_attr *dir, struct fs_attr *attr, struct fs_setattr *change)
{
    const struct fs_create *how = op->how;
    attr->type = how->type;
    attr->link_count = how->type == FS_DIRECTORY ? 2 : 1;
    attr->uid = op->cred != NULL ? op->cred->uid : 0;
    attr->gid = op->cred != NULL ? op->cred->gid : 0;
    if ((dir->mode & MODE_SETGID) != 0)
        attr->gid = dir->gid;
    attr->device_major = how->device_major;
    attr->device_minor = how->device_minor;
    attr->atime = batch->now;
    attr->mtime = batch->now;
    attr->btime = batch->now;
    *change = how->attr;
    change->size_by_open_file = true;
    int err = perm_check_setattr(op->cred, attr, change);
    if (err < 0)
        return err;
    if (how->type == FS_DIRECTORY && (dir->mode & MODE_SETGID) != 0 && !change->set_gid) {
        change->mode = (change->set_mode ? change->mode : 0) | MODE_SETGID;
        change->set_mode = true;
    }
    if (change->set_size && how->type == FS_REGULAR)
        attr->size_bytes = change->size_bytes;
    if (how->type == FS_SYMLINK)
        attr->size_bytes = how->symlink.size;
    return 0;
}

/* A new inode of this batch, pinned; with nothing but its number. */
static int make_inode(struct batch *batch, const struct fs_create *how, struct inode **out_inode)
{
    struct volume *volume = batch->volume;
    uint8_t *symlink = NULL;
    if (how->type == FS_SYMLINK) {
        symlink = malloc(how->symlink.size);
        if (symlink == NULL)
            return -ENOMEM;
        memcpy(symlink, how->symlink.data, how->symlink.size);
    }
    struct inode *inode;
    int err = inode_pin(&volume->inodes, volume->inode_next, &inode);
    if (err < 0) {
        free(symlink);
        return err;
    }
    volume->inode_next++;
    struct inode_shard *shard = inode_shard_of(&volume->inodes, inode->id);
    mutex_lock(&shard->lock);
    assert(inode->state == INODE_LOADING); /* nobody can know the number */
    inode->state = INODE_NEW;
    inode->symlink = symlink;
    inode->symlink_size = symlink == NULL ? 0 : (uint32_t)how->symlink.size;
    mutex_unlock(&shard->lock);
    *out_inode = inode;
    return 0;
}

void directory_changed(struct batch *batch, struct pending *dir, struct fs_change *out)
{
    out->before = dir->record.attr.change;
    batch_mark_changed(batch, dir);
    dir->record.attr.mtime = batch->now;
    out->after = dir->record.attr.change;
}

static void fill_record(struct batch *batch, const struct op_create *op, struct pending *pending,
    const struct fs_attr *attr)
{
    struct inode_record *record = &pending->record;
    record->attr = *attr;
    record->attr.node.inode = pending->inode->id;
    record->attr.node.generation = batch->volume->generation;
    record->parent = op->dir->id;
    record->map_id = pending->inode->id;
    record->has_verifier = op->how->mode == FS_CREATE_EXCLUSIVE;
    memcpy(record->verifier, op->how->verifier, FS_VERIFIER_SIZE);
    pending->is_new = true;
}

static int create_new(struct batch *batch, struct op_create *op, struct pending *dir)
{
    struct fs_attr attr = { 0 };
    struct fs_setattr change;
    int err = create_attributes(batch, op, &dir->record.attr, &attr, &change);
    if (err < 0)
        return err;
    err = quota_charge(batch, op->dir->id, 0, 1);
    if (err < 0)
        return err;
    struct inode *inode;
    err = make_inode(batch, op->how, &inode);
    if (err < 0)
        return err;
    struct name *name = NULL;
    struct dir *names = op->dir->dir;
    mutex_lock(&names->lock);
    err = dir_add_locked(names, op->hash, op->name, inode->id, &name);
    mutex_unlock(&names->lock);
    if (err < 0) {
        inode_unpin(&batch->volume->inodes, inode);
        return err;
    }
    struct pending *pending = batch_touch(batch, inode);
    fill_record(batch, op, pending, &attr);
    setattr_apply(batch, pending, &change);
    batch_note_name(batch, op->dir, name);
    directory_changed(batch, dir, &op->out->change);
    dir->record.entry_count++;
    if (op->how->type == FS_DIRECTORY)
        dir->record.attr.link_count++;
    batch->state.used_files++;
    op->out->existed = false;
    op->out_inode = inode;
    return 0;
}

int op_create_execute(struct batch *batch, struct request *request)
{
    struct op_create *op = CONTAINER_OF(request, struct op_create, request);
    int err = batch_reserve(batch, 4);
    if (err < 0)
        return err;
    struct pending *dir;
    err = directory_touch(batch, op->dir, &dir);
    if (err == 0)
        err = perm_check(op->cred, &dir->record.attr, PERM_EXECUTE);
    if (err < 0)
        return err;
    struct name *name;
    err = names_find_pending(batch->volume, op->dir, op->name, op->hash, &name);
    if (err < 0)
        return err;
    if (name != NULL)
        return create_existing(batch, op, dir, name);
    err = perm_check(op->cred, &dir->record.attr, PERM_WRITE);
    return err < 0 ? err : create_new(batch, op, dir);
}

/* The file counts where it did; but its other names may go, and then it would have to fit here. */
static int ask_for_link(
    struct batch *batch, const struct op_link *op, const struct inode_record *record)
{
    const struct quota_move move = { .from = record->parent,
        .to = op->dir->id,
        .bytes = usage_of(op->inode->id, record).space_bytes,
        .entries = 1 };
    return quota_charge_move(batch, &move);
}

int op_link_execute(struct batch *batch, struct request *request)
{
    struct op_link *op = CONTAINER_OF(request, struct op_link, request);
    int err = batch_reserve(batch, 4);
    if (err < 0)
        return err;
    struct pending *dir;
    err = directory_touch(batch, op->dir, &dir);
    if (err == 0)
        err = perm_check(op->cred, &dir->record.attr, PERM_EXECUTE);
    if (err < 0)
        return err;
    struct pending *pending = batch_touch(batch, op->inode);
    if (pending->record.attr.type == FS_DIRECTORY)
        return -EISDIR;
    if (pending->record.attr.link_count == 0)
        return -ESTALE; /* the reaper may have begun */
    struct name *name;
    err = names_find_pending(batch->volume, op->dir, op->name, op->hash, &name);
    if (err < 0)
        return err;
    if (name != NULL)
        return -EEXIST;
    if (pending->record.attr.link_count >= FS_LINK_COUNT_MAX)
        return -EMLINK;
    err = perm_check(op->cred, &dir->record.attr, PERM_WRITE);
    struct link_plan plan = { 0 };
    if (err == 0)
        err = links_plan(batch, pending, 0, op->dir->id, &plan);
    if (err == 0)
        err = ask_for_link(batch, op, &pending->record);
    if (err < 0)
        return err;
    struct dir *names = op->dir->dir;
    mutex_lock(&names->lock);
    err = dir_add_locked(names, op->hash, op->name, op->inode->id, &name);
    mutex_unlock(&names->lock);
    if (err < 0)
        return err;
    batch_note_name(batch, op->dir, name);
    links_apply(batch, pending, &plan);
    pending->record.attr.link_count++;
    batch_mark_changed(batch, pending);
    directory_changed(batch, dir, op->out_change);
    dir->record.entry_count++;
    return 0;
}
