/*
 * engine/quota_hold.c - quotas as writers and readers meet them (room: engine): on their stacks, not the committer's.
 */
#include <stdlib.h>

#include "base/log.h"
#include "engine/calls.h"
#include "engine/data.h"
#include "engine/quota_internal.h"
#include "engine/volume.h"
#include "fs/perm.h"

#define HOLD_FIRST 4u

void quota_hold_free(struct quota_hold *hold)
{
    free(hold);
}

static int hold_add(struct quota_hold **hold, uint64_t dir)
{
    struct quota_hold *it = *hold;
    if (it->count == it->capacity) {
        it = realloc(it, sizeof *it + 2 * (size_t)it->capacity * sizeof it->dirs[0]);
        if (it == NULL)
            return -ENOMEM;
        it->capacity *= 2;
        *hold = it;
    }
    it->dirs[it->count++] = dir;
    return 0;
}

static uint64_t parent_of(struct volume *volume, struct inode *inode)
{
    struct inode_shard *shard = inode_shard_of(&volume->inodes, inode->id);
    mutex_lock(&shard->lock);
    uint64_t parent = inode->record.attr.link_count == 0 ? 0 : inode->record.parent;
    mutex_unlock(&shard->lock);
    return parent;
}

/* All directories with a quota from `dir` up. Errors: -ENOMEM, -EIO, -ESTALE: somebody moves them just now. */
static int find_above(struct volume *volume, uint64_t dir, struct quota_hold **hold)
{
    struct quotas *quotas = &volume->quotas;
    int err = 0;
    while (err == 0 && dir != 0) {
        mutex_lock(&quotas->lock);
        bool has_quota = quota_at_locked(quotas, dir) != NULL;
        mutex_unlock(&quotas->lock);
        if (has_quota)
            err = hold_add(hold, dir);
        if (err < 0 || dir == ROOT_INODE)
            break;
        struct inode *inode;
        err = inode_acquire(volume, dir, &inode);
        if (err < 0)
            break;
        dir = parent_of(volume, inode);
        inode_unpin(&volume->inodes, inode);
    }
    return err;
}

/* Whatever comes out, *out_hold is the caller's. */
static int hold_new(struct volume *volume, uint64_t dir, struct quota_hold **out_hold)
{
    struct quota_hold *hold = malloc(sizeof *hold + HOLD_FIRST * sizeof hold->dirs[0]);
    *out_hold = hold;
    if (hold == NULL)
        return -ENOMEM;
    *hold = (struct quota_hold){ .version = volume->quotas.version, .capacity = HOLD_FIRST };
    return find_above(volume, dir, out_hold);
}

static void add_reserved(struct volume *volume, const struct quota_hold *hold, uint64_t blocks)
{
    struct quotas *quotas = &volume->quotas;
    mutex_lock(&quotas->lock);
    for (uint32_t i = 0; i < hold->count; i++) {
        struct quota *quota = quota_at_locked(quotas, hold->dirs[i]);
        if (quota != NULL)
            quota->reserved_bytes += blocks * BLOCK_BYTES;
    }
    mutex_unlock(&quotas->lock);
}

static void take_reserved(struct volume *volume, const struct quota_hold *hold, uint64_t blocks)
{
    struct quotas *quotas = &volume->quotas;
    mutex_lock(&quotas->lock);
    for (uint32_t i = 0; i < hold->count; i++) {
        struct quota *quota = quota_at_locked(quotas, hold->dirs[i]);
        if (quota != NULL)
            quota->reserved_bytes -= min_u64(quota->reserved_bytes, blocks * BLOCK_BYTES);
    }
    mutex_unlock(&quotas->lock);
}

int quota_find(struct volume *volume, struct inode *inode, struct file *file)
{
    if (LIKELY(!quotas_are_any(&volume->quotas)))
        return 0;
    mutex_lock(&file->lock);
    bool is_known = file->quota != NULL && file->quota->version == volume->quotas.version;
    mutex_unlock(&file->lock);
    if (is_known)
        return 0;
    struct quota_hold *hold;
    int err = hold_new(volume, parent_of(volume, inode), &hold);
    if (err < 0) {
        quota_hold_free(hold);
        return err;
    }
    mutex_lock(&file->lock);
    struct quota_hold *old = file->quota;
    if (old != NULL)
        take_reserved(volume, old, old->blocks);
    hold->blocks = data_count_new_locked(file);
    add_reserved(volume, hold, hold->blocks);
    file->quota = hold;
    mutex_unlock(&file->lock);
    quota_hold_free(old);
    return 0;
}

int quota_reserve(struct volume *volume, struct file *file, uint64_t blocks)
{
    struct quotas *quotas = &volume->quotas;
    struct quota_hold *hold = file->quota;
    int err = 0;
    if (!quotas_are_any(quotas) || blocks == 0)
        return 0;
    if (hold == NULL || hold->version != quotas->version)
        return -EAGAIN;
    mutex_lock(&quotas->lock);
    for (uint32_t i = 0; i < hold->count && err == 0; i++) {
        const struct quota *quota = quota_at_locked(quotas, hold->dirs[i]);
        if (quota != NULL && !quota_fits_locked(quota, blocks * BLOCK_BYTES, 0))
            err = -EDQUOT;
    }
    for (uint32_t i = 0; i < hold->count && err == 0; i++) {
        struct quota *quota = quota_at_locked(quotas, hold->dirs[i]);
        if (quota != NULL)
            quota->reserved_bytes += blocks * BLOCK_BYTES;
    }
    mutex_unlock(&quotas->lock);
    if (err == 0)
        hold->blocks += blocks;
    return err;
}

void quota_shrink_hold(struct volume *volume, struct file *file, uint64_t blocks)
{
    struct quota_hold *hold = file->quota;
    if (LIKELY(hold == NULL) || hold->blocks <= blocks)
        return;
    take_reserved(volume, hold, hold->blocks - blocks);
    hold->blocks = blocks;
}

void quota_drop_hold(struct volume *volume, struct file *file)
{
    quota_shrink_hold(volume, file, 0);
    if (file->quota != NULL)
        file->quota->version = 0;
}

/* ---- what may still come --------------------------------------------------------------------------------- */

/* The least that the quotas above leave, and their limits; UINT64_MAX: none. */
struct room {
    uint64_t limit_bytes, free_bytes;
    uint64_t limit_entries, free_entries;
};

static void narrow(uint64_t limit, uint64_t taken, uint64_t *out_limit, uint64_t *out_free)
{
    uint64_t left = limit - min_u64(limit, taken);
    if (limit == 0 || left >= *out_free)
        return;
    *out_limit = limit;
    *out_free = left;
}

static int find_room(struct volume *volume, uint64_t dir, struct room *room)
{
    struct quotas *quotas = &volume->quotas;
    struct quota_hold *hold;
    *room = (struct room){ UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX };
    int err = hold_new(volume, dir, &hold);
    mutex_lock(&quotas->lock);
    for (uint32_t i = 0; err == 0 && i < hold->count; i++) {
        const struct quota *quota = quota_at_locked(quotas, hold->dirs[i]);
        if (quota == NULL)
            continue;
        const struct fs_quota *state = &quota->state;
        narrow(quota_bytes_limit(state), state->used_bytes + quota->reserved_bytes,
            &room->limit_bytes, &room->free_bytes);
        narrow(quota_entries_limit(state), state->used_entries, &room->limit_entries,
            &room->free_entries);
    }
    mutex_unlock(&quotas->lock);
    quota_hold_free(hold);
    return err;
}

int quota_has_room(struct volume *volume, struct inode *inode, uint64_t bytes)
{
    struct room room;
    if (LIKELY(!quotas_are_any(&volume->quotas)))
        return 0;
    int err = find_room(volume, parent_of(volume, inode), &room);
    return err == 0 && room.free_bytes < bytes ? -EDQUOT : err;
}

static int narrow_space(struct volume *volume, struct inode *inode, struct fs_space *space)
{
    struct room room;
    bool is_directory = inode->record.attr.type == FS_DIRECTORY; /* never changes */
    int err = find_room(volume, is_directory ? inode->id : parent_of(volume, inode), &room);
    if (err < 0)
        return err;
    if (room.limit_bytes < space->total_bytes) {
        space->total_bytes = room.limit_bytes;
        space->free_bytes = min_u64(space->free_bytes, room.free_bytes);
        space->available_bytes = min_u64(space->available_bytes, room.free_bytes);
    }
    if (room.limit_entries < space->total_files) {
        space->total_files = room.limit_entries;
        space->free_files = min_u64(space->free_files, room.free_entries);
    }
    return 0;
}

/* ---- calls ----------------------------------------------------------------------------------------------- */

int call_quota_set(struct fs *fs, struct fs_node dir, const struct fs_quota_limits *limits)
{
    struct volume *volume = volume_of(fs);
    struct op_quota op = { .request = { .execute = op_quota_execute,
                               .publish = op_quota_publish,
                               .frees_space = true },
        .limits = limits };
    if (limits->hard_bytes > INT64_MAX || limits->soft_bytes > INT64_MAX ||
        limits->hard_entries > INT64_MAX || limits->soft_entries > INT64_MAX)
        return -EINVAL;
    int err = inode_acquire_to_change(volume, dir, &op.inode, NULL);
    if (err < 0)
        return err;
    struct quota *quota = calloc(1, sizeof *quota);
    op.quota = quota;
    err = quota == NULL ? -ENOMEM : committer_submit(&volume->committer, &op.request);
    free(op.quota);
    inode_unpin(&volume->inodes, op.inode);
    return err;
}

int call_quota_get(struct fs *fs, struct fs_node dir, struct fs_quota *out_quota)
{
    struct volume *volume = volume_of(fs);
    struct quotas *quotas = &volume->quotas;
    struct inode *inode;
    struct fs_attr attr;
    int err = inode_acquire_node(volume, dir, &inode, &attr);
    if (err < 0)
        return err;
    inode_unpin(&volume->inodes, inode);
    if (attr.type != FS_DIRECTORY)
        return -ENOTDIR;
    mutex_lock(&quotas->lock);
    const struct quota *quota = quota_at_locked(quotas, dir.inode);
    if (quota == NULL)
        err = -ENODATA;
    else
        *out_quota = quota->state;
    mutex_unlock(&quotas->lock);
    return err;
}

int call_quota_space(struct fs *fs, struct fs_node node, struct fs_space *space)
{
    struct volume *volume = volume_of(fs);
    struct inode *inode;
    if (LIKELY(!quotas_are_any(&volume->quotas)) || id_slot(node.inode) != 0)
        return 0;
    int err = inode_acquire_node(volume, node, &inode, NULL);
    if (err < 0)
        return err;
    err = narrow_space(volume, inode, space);
    inode_unpin(&volume->inodes, inode);
    return err;
}
