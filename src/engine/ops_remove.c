/*
 * engine/ops_remove.c - taking names away, and moving them (room: engine).
 */
#include <stdlib.h>

#include "engine/data.h"
#include "engine/links.h"
#include "engine/names.h"
#include "engine/ops.h"
#include "engine/usage.h"
#include "engine/volume.h"
#include "fs/perm.h"

#define DEPTH_MAX \
    4096u /* of directories, for the walk to the root: a deeper tree would be a loop */

static uint64_t used_bytes_of(const struct inode_record *record)
{
    return (record->segment_blocks + record->small_blocks) * BLOCK_BYTES;
}

void victim_unlink(struct batch *batch, struct pending *pending)
{
    struct volume *volume = batch->volume;
    struct inode *inode = pending->inode;
    struct inode_record *record = &pending->record;
    record->attr.link_count = 0;
    batch_mark_changed(batch, pending);
    batch->state.used_files--;
    batch->state.used_bytes -= min_u64(batch->state.used_bytes, used_bytes_of(record));
    struct inode_shard *shard = inode_shard_of(&volume->inodes, inode->id);
    mutex_lock(&shard->lock);
    bool is_held = inode->holds > 0;
    inode->is_doomed = !is_held;
    mutex_unlock(&shard->lock);
    bool has_data = record->segment_blocks + record->small_blocks + record->xattr_count > 0;
    if (is_held || has_data) {
        struct key key;
        key_make1(&key, KEY_ORPHAN, inode->id);
        uint8_t value[1] = { 1 };
        batch_put(batch, &key, slice_of(value, sizeof value));
    } else {
        pending->is_gone = true;
    }
}

void victim_publish(struct batch *batch, struct inode *inode)
{
    struct volume *volume = batch->volume;
    struct inode_shard *shard = inode_shard_of(&volume->inodes, inode->id);
    mutex_lock(&shard->lock);
    bool is_orphan = inode->state == INODE_READY && inode->is_doomed;
    if (is_orphan)
        inode->state = INODE_GONE;
    bool is_dirty = inode->state == INODE_GONE && inode->file != NULL;
    uint64_t map_id = inode->record.map_id;
    struct file *file = inode->file;
    mutex_unlock(&shard->lock);
    if (file != NULL) { /* what is held goes on, but counts nowhere */
        mutex_lock(&file->lock);
        quota_drop_hold(volume, file);
        mutex_unlock(&file->lock);
    }
    if (is_dirty)
        data_abandon(volume, inode);
    const struct orphan orphan = {
        .kind = KEY_ORPHAN, .id = inode->id, .map_id = map_id, .batch = batch->state.batch
    };
    if (is_orphan)
        background_add_orphan(volume, &orphan);
}

/* Where the inode counts when its name in `dir` goes. Errors: -EAGAIN, -EIO, -ENOMEM. */
static int plan_drop(struct batch *batch, const struct inode *dir, const struct pending *victim,
    struct link_plan *out_plan)
{
    const struct fs_attr *attr = &victim->record.attr;
    *out_plan = (struct link_plan){ .home = victim->record.parent };
    if (attr->type == FS_DIRECTORY || attr->link_count == 1)
        return 0;
    return links_plan(batch, victim, dir->id, 0, out_plan);
}

/* Takes the name away. A removed directory has lost its last name; a file one of maybe several.
 * Gives whether the inode is without a name now. */
static bool drop_name(struct batch *batch, struct batch_name at, struct pending *dir,
    struct pending *victim, const struct link_plan *plan)
{
    struct inode *dir_inode = at.dir_inode;
    struct name *name = at.name;
    struct dir *names = dir_inode->dir;
    mutex_lock(&names->lock);
    dir_take_locked(names, name);
    mutex_unlock(&names->lock);
    batch_note_name(batch, dir_inode, name);
    dir->record.entry_count--;
    struct fs_attr *attr = &victim->record.attr;
    if (attr->type == FS_DIRECTORY) {
        dir->record.attr.link_count--;
        quota_note_removal(batch, victim->inode->id);
        victim_unlink(batch, victim);
        return true;
    }
    if (attr->link_count == 1) {
        victim_unlink(batch, victim);
        return true;
    }
    attr->link_count--;
    links_apply(batch, victim, plan);
    batch_mark_changed(batch, victim);
    return false;
}

int op_remove_execute(struct batch *batch, struct request *request)
{
    struct op_remove *op = CONTAINER_OF(request, struct op_remove, request);
    struct inode *inode = NULL;
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
    if (err == 0 && name == NULL)
        err = -ENOENT;
    if (err == 0)
        err = batch_acquire(batch, name->inode, &inode);
    if (err < 0)
        return err;
    struct pending *victim = batch_touch(batch, inode);
    err = perm_check_remove(op->cred, &dir->record.attr, &victim->record.attr);
    if (err == 0 && victim->record.attr.type == FS_DIRECTORY && victim->record.entry_count > 0)
        err = -ENOTEMPTY;
    struct link_plan plan = { 0 };
    if (err == 0)
        err = plan_drop(batch, op->dir, victim, &plan);
    if (err == 0) {
        const struct batch_name at = { op->dir, name };
        bool is_last = drop_name(batch, at, dir, victim, &plan);
        directory_changed(batch, dir, op->out_change);
        if (is_last) {
            op->victim = inode;
            inode = NULL;
        }
    }
    if (inode != NULL)
        inode_unpin(&batch->volume->inodes, inode);
    return err;
}

void op_remove_publish(struct batch *batch, struct request *request)
{
    struct op_remove *op = CONTAINER_OF(request, struct op_remove, request);
    if (op->victim != NULL)
        victim_publish(batch, op->victim);
}

/* Whether `dir` is `ancestor` or below it: 1, 0, or an error. */
static int is_below(struct batch *batch, struct inode *dir, uint64_t ancestor)
{
    uint64_t id = dir->id;
    for (unsigned depth = 0; depth < DEPTH_MAX; depth++) {
        if (id == ancestor)
            return 1;
        if (id == ROOT_INODE)
            return 0;
        struct inode *inode;
        int err = batch_acquire(batch, id, &inode);
        if (err < 0)
            return err;
        /* Only the committer changes a parent, and this is its thread. */
        id = inode->pending != NULL ? inode->pending->record.parent : inode->record.parent;
        inode_unpin(&batch->volume->inodes, inode);
    }
    return -EIO;
}

/* What a rename is about, as found in the batch. */
struct move {
    struct pending *from_dir;
    struct pending *to_dir;
    struct name *source_name;
    struct name *target_name; /* NULL: nothing is replaced */
    struct inode *source_inode;
    struct inode *target_inode;
    struct pending *source;
    struct pending *target;
    struct link_plan source_plan; /* where they count afterwards */
    struct link_plan target_plan;
};

static void move_fini(struct batch *batch, struct move *move)
{
    if (move->source_inode != NULL)
        inode_unpin(&batch->volume->inodes, move->source_inode);
    if (move->target_inode != NULL)
        inode_unpin(&batch->volume->inodes, move->target_inode);
}

/* The caller calls move_fini() whatever comes out. */
static int move_find(struct batch *batch, struct op_rename *op, struct move *move)
{
    struct volume *volume = batch->volume;
    int err = directory_touch(batch, op->from_dir, &move->from_dir);
    if (err == 0)
        err = directory_touch(batch, op->to_dir, &move->to_dir);
    if (err == 0)
        err = perm_check(op->cred, &move->from_dir->record.attr, PERM_EXECUTE);
    if (err == 0)
        err = perm_check(op->cred, &move->to_dir->record.attr, PERM_EXECUTE);
    if (err == 0)
        err = names_find_pending(
            volume, op->from_dir, op->from_name, op->from_hash, &move->source_name);
    if (err == 0 && move->source_name == NULL)
        err = -ENOENT;
    if (err == 0)
        err = names_find_pending(volume, op->to_dir, op->to_name, op->to_hash, &move->target_name);
    if (err == 0)
        err = batch_acquire(batch, move->source_name->inode, &move->source_inode);
    if (err == 0)
        move->source = batch_touch(batch, move->source_inode);
    if (err == 0 && move->target_name != NULL)
        err = batch_acquire(batch, move->target_name->inode, &move->target_inode);
    if (err == 0 && move->target_name != NULL)
        move->target = batch_touch(batch, move->target_inode);
    return err;
}

static int move_check_target(const struct fs_cred *cred, const struct move *move, bool is_directory)
{
    const struct inode_record *target = &move->target->record;
    bool target_is_directory = target->attr.type == FS_DIRECTORY;
    if (is_directory && !target_is_directory)
        return -ENOTDIR;
    if (!is_directory && target_is_directory)
        return -EISDIR;
    int err = perm_check_remove(cred, &move->to_dir->record.attr, &target->attr);
    if (err == 0 && target_is_directory && target->entry_count > 0)
        err = -ENOTEMPTY;
    return err;
}

static int move_check(struct batch *batch, const struct op_rename *op, const struct move *move)
{
    const struct fs_attr *source = &move->source->record.attr;
    bool is_directory = source->type == FS_DIRECTORY;
    int err = perm_check_remove(op->cred, &move->from_dir->record.attr, source);
    if (err == 0)
        err = perm_check(op->cred, &move->to_dir->record.attr, PERM_WRITE);
    if (err == 0 && is_directory && op->from_dir != op->to_dir) {
        err = is_below(batch, op->to_dir, source->node.inode);
        if (err == 1)
            err = -EINVAL;
        if (err == 0) /* its ".." changes */
            err = perm_check(op->cred, source, PERM_WRITE);
    }
    if (err == 0 && is_directory && op->to_dir->id == source->node.inode)
        err = -EINVAL;
    if (err == 0 && move->target != NULL)
        err = move_check_target(op->cred, move, is_directory);
    return err;
}

/* What comes to the target directory must fit, less what is replaced there. */
static int move_charge(struct batch *batch, const struct op_rename *op, const struct move *move)
{
    const struct inode_record *record = &move->source->record;
    struct fs_usage moved = usage_of(move->source_inode->id, record);
    uint64_t entries = 1;
    if (LIKELY(!quotas_are_any(&batch->volume->quotas)) || record->parent == move->source_plan.home)
        return 0;
    if (record->attr.type == FS_DIRECTORY) {
        moved = usage_current(batch->volume, move->source_inode->id);
        entries += moved.files + moved.directories + moved.others;
    }
    struct fs_usage replaced = { 0 };
    if (move->target != NULL && move->target->record.parent == op->to_dir->id &&
        (move->target->record.attr.type == FS_DIRECTORY ||
            move->target->record.attr.link_count == 1)) {
        replaced = usage_of(move->target_inode->id, &move->target->record);
        entries--;
    }
    const struct quota_move charge = { .from = record->parent,
        .to = move->source_plan.home,
        .bytes = moved.space_bytes - min_u64(moved.space_bytes, replaced.space_bytes),
        .entries = entries,
        .charges = true };
    return quota_charge_move(batch, &charge);
}

/* Where both inodes count afterwards. Errors: -EAGAIN, -EDQUOT, -EIO, -ENOMEM. */
static int move_plan(struct batch *batch, const struct op_rename *op, struct move *move)
{
    uint64_t from = op->from_dir->id;
    uint64_t to = op->to_dir->id;
    int err = 0;
    move->source_plan.home = to;
    if (move->source->record.attr.type != FS_DIRECTORY)
        err = links_plan(batch, move->source, from, to, &move->source_plan);
    else if (from != to)
        err = usage_move_prepare(batch, move->source_inode->id, to);
    usage_touch(batch, move->source);
    if (move->target != NULL)
        usage_touch(batch, move->target);
    if (err == 0 && move->target != NULL)
        err = plan_drop(batch, op->to_dir, move->target, &move->target_plan);
    return err < 0 ? err : move_charge(batch, op, move);
}

/* Cannot fail but for memory, and then before anything changed. */
static int move_apply(struct batch *batch, struct op_rename *op, struct move *move)
{
    struct name *added;
    struct dir *to_names = op->to_dir->dir;
    mutex_lock(&to_names->lock);
    int err = dir_add_locked(to_names, op->to_hash, op->to_name, move->source_inode->id, &added);
    mutex_unlock(&to_names->lock);
    if (err < 0)
        return err;
    const struct batch_name target_at = { op->to_dir, move->target_name };
    if (move->target != NULL &&
        drop_name(batch, target_at, move->to_dir, move->target, &move->target_plan)) {
        op->victim = move->target_inode;
        move->target_inode = NULL;
    }
    struct dir *from_names = op->from_dir->dir;
    mutex_lock(&from_names->lock);
    dir_take_locked(from_names, move->source_name);
    mutex_unlock(&from_names->lock);
    batch_note_name(batch, op->from_dir, move->source_name);
    batch_note_name(batch, op->to_dir, added);
    move->from_dir->record.entry_count--;
    move->to_dir->record.entry_count++;
    if (move->source->record.attr.type == FS_DIRECTORY) {
        move->from_dir->record.attr.link_count--;
        move->to_dir->record.attr.link_count++;
    }
    if (move->source->record.attr.type == FS_DIRECTORY && op->from_dir != op->to_dir)
        usage_move(batch, move->source_inode->id, op->to_dir->id);
    links_apply(batch, move->source, &move->source_plan);
    batch_mark_changed(batch, move->source);
    directory_changed(batch, move->from_dir, &op->out->from_change);
    if (move->to_dir != move->from_dir)
        directory_changed(batch, move->to_dir, &op->out->to_change);
    else
        op->out->to_change = op->out->from_change;
    return 0;
}

int op_rename_execute(struct batch *batch, struct request *request)
{
    struct op_rename *op = CONTAINER_OF(request, struct op_rename, request);
    int err = batch_reserve(batch, 6);
    if (err < 0)
        return err;
    struct move move = { 0 };
    err = move_find(batch, op, &move);
    if (err == 0 && move.source_inode == move.target_inode) {
        /* Two names of one inode: POSIX has nothing happen. */
        uint64_t from = move.from_dir->record.attr.change;
        uint64_t to = move.to_dir->record.attr.change;
        op->out->from_change = (struct fs_change){ from, from };
        op->out->to_change = (struct fs_change){ to, to };
        goto out;
    }
    if (err == 0)
        err = move_check(batch, op, &move);
    if (err == 0)
        err = move_plan(batch, op, &move);
    if (err == 0)
        err = move_apply(batch, op, &move);
out:
    move_fini(batch, &move);
    return err;
}

void op_rename_publish(struct batch *batch, struct request *request)
{
    struct op_rename *op = CONTAINER_OF(request, struct op_rename, request);
    if (op->from_dir != op->to_dir)
        quotas_changed(batch->volume);
    if (op->victim != NULL)
        victim_publish(batch, op->victim);
}
