/*
 * engine/data_clone.c - making one file's range share the blocks of another's (room: engine).
 *
 * Whoever clones has the turns at both files, in the order of their numbers, and makes both durable first. A range of
 * up to a step goes in one batch (data_remap.c). A larger one becomes part of a new map, that is made beside the old
 * one in steps and takes its place with the last: so it is whole or not there after a crash, and until then its record
 * as an old map has it deleted.
 */
#include <stdlib.h>

#include "engine/calls.h"
#include "engine/data_remap.h"
#include "engine/ops.h"
#include "engine/reclaim.h"
#include "engine/usage.h"
#include "fs/perm.h"
#include "io/pool.h"

struct clone {
    struct volume *volume;
    const struct fs_cred *cred;
    struct inode *source;
    struct inode *target;
    struct file *source_file;
    struct file *target_file;
    uint64_t source_first; /* block */
    uint64_t target_first;
    uint64_t count;
    uint64_t end; /* byte of the target behind the range */
};

/* ---- up to one step ------------------------------------------------------------------------------------ */

/* A block of the source as the target's: what is in the database only is read. */
static int add_block(struct clone *clone, struct remap *remap, uint64_t at, struct block block)
{
    if (block.kind == BLOCK_SMALL) {
        uint8_t bytes[BLOCK_BYTES];
        int err = data_read_block(clone->volume, clone->source, clone->source_first + at, bytes);
        if (err < 0)
            return err;
        size_t used = BLOCK_BYTES;
        while (used > 0 && bytes[used - 1] == 0)
            used--;
        struct block_buffer *buffer = block_buffer_new(bytes, used);
        if (buffer == NULL)
            return -ENOMEM;
        block = block_of_buffer(buffer);
    } else {
        block_get(block);
    }
    return remap_add(remap, clone->target_first + at, block);
}

static int plan_blocks(struct clone *clone, struct remap *remap)
{
    struct block blocks[GROUP_BLOCKS];
    int err = 0;
    for (uint64_t at = 0; err == 0 && at < clone->count;) {
        uint64_t first = clone->source_first + at;
        uint32_t count = (uint32_t)min_u64(GROUP_BLOCKS - first % GROUP_BLOCKS, clone->count - at);
        err = map_copy(clone->volume, clone->source, first, count, blocks);
        if (err < 0)
            break;
        for (uint32_t i = 0; i < count; i++) {
            if (err == 0)
                err = add_block(clone, remap, at + i, blocks[i]);
            block_put(blocks[i]);
        }
        at += count;
    }
    return err;
}

static int clone_at_once(struct clone *clone)
{
    struct remap remap = { .volume = clone->volume,
        .cred = clone->cred,
        .inode = clone->target,
        .file = clone->target_file,
        .source = clone->source,
        .size_min = clone->end };
    int err = plan_blocks(clone, &remap);
    if (err == 0)
        err = remap_run(&remap);
    remap_fini(&remap);
    return err;
}

/* ---- by a new map -------------------------------------------------------------------------------------- */

/* One step: some of the records of the new map. */
struct op_build {
    struct request request;
    const struct inode *source; /* of some of the blocks */
    uint64_t map_id;            /* of the new map; 0: none yet, and this one is to begin it */
    uint64_t first;             /* block of the new map; the beginning of a group */
    uint32_t count;             /* of blocks */
    struct block *blocks;       /* BLOCK_SEGMENT, or BLOCK_BUFFER with a reference */
    uint64_t *out_segment_blocks;
    uint64_t *out_small_blocks;
};

static int op_build_execute(struct batch *batch, struct request *request)
{
    struct op_build *op = CONTAINER_OF(request, struct op_build, request);
    struct refs *refs = &batch->volume->refs;
    struct key key;
    if (!snapshot_has_id(batch->volume, op->source->id))
        return -ESTALE; /* so its blocks may be anybody's */
    for (uint32_t i = 0; i < op->count; i++) {
        int err =
            op->blocks[i].kind == BLOCK_SEGMENT ? refs_reserve(refs, op->blocks[i].address) : 0;
        if (err < 0)
            return err;
    }
    if (op->map_id == 0) {
        op->map_id = batch->volume->inode_next++;
        const uint8_t version = 1;
        key_make1(&key, KEY_OLD_MAP, op->map_id);
        batch_put(batch, &key, slice_of(&version, 1));
    }
    for (uint32_t i = 0; i < op->count; i++) {
        if (op->blocks[i].kind == BLOCK_SEGMENT) {
            refs_add(refs, op->blocks[i].address);
            ++*op->out_segment_blocks;
        } else if (op->blocks[i].kind == BLOCK_BUFFER) {
            const struct commit_block small = { op->first + i, op->blocks[i], false };
            map_put_small(batch, op->map_id, &small);
            ++*op->out_small_blocks;
        }
    }
    for (uint32_t i = 0; i < op->count; i += GROUP_BLOCKS) {
        uint8_t value[GROUP_BYTES_MAX];
        size_t size = group_encode(op->blocks + i, value);
        key_make2(&key, KEY_GROUP, op->map_id, (op->first + i) / GROUP_BLOCKS);
        if (size > 0)
            batch_put(batch, &key, slice_of(value, size));
    }
    return 0;
}

/* The last step: the target gets the new map. */
struct op_adopt {
    struct request request;
    struct clone *clone;
    uint64_t map_id;
    uint64_t old_map;
    uint64_t segment_blocks;
    uint64_t small_blocks;
};

static int op_adopt_execute(struct batch *batch, struct request *request)
{
    struct op_adopt *op = CONTAINER_OF(request, struct op_adopt, request);
    struct clone *clone = op->clone;
    struct file *file = clone->target_file;
    int err = batch_reserve(batch, 4);
    if (err < 0)
        return err;
    struct pending *pending = batch_touch(batch, clone->target);
    struct inode_record *record = &pending->record;
    if (pending->is_gone || clone->target->is_doomed)
        return -ESTALE;
    uint64_t had = record->segment_blocks + record->small_blocks;
    uint64_t gets = op->segment_blocks + op->small_blocks;
    err = usage_prepare_home(batch, pending);
    if (err == 0 && record->attr.link_count > 0 && gets > had)
        err = quota_charge(batch, record->parent, (gets - had) * BLOCK_BYTES, 0);
    if (err < 0)
        return err;
    mutex_lock(&file->lock);
    file->truncations++;
    mutex_unlock(&file->lock);
    uint64_t before = record->segment_blocks + record->small_blocks;
    struct key key;
    const uint8_t version = 1;
    op->old_map = record->map_id;
    key_make1(&key, KEY_OLD_MAP, op->map_id);
    batch_delete(batch, &key);
    key_make1(&key, KEY_OLD_MAP, op->old_map);
    batch_put(batch, &key, slice_of(&version, 1));
    record->map_id = op->map_id;
    record->segment_blocks = op->segment_blocks;
    record->small_blocks = op->small_blocks;
    uint64_t blocks = op->segment_blocks + op->small_blocks;
    if (record->attr.link_count > 0)
        batch->state.used_bytes += (blocks - before) * BLOCK_BYTES;
    record->attr.size_bytes = max_u64(record->attr.size_bytes, clone->end);
    record->attr.space_used_bytes = blocks * BLOCK_BYTES;
    record->attr.mode = perm_mode_after_write(clone->cred, &record->attr);
    record->attr.mtime = batch->now;
    pending->sets_size = true;
    pending->sets_mtime = true;
    batch_mark_changed(batch, pending);
    return 0;
}

static void op_adopt_publish(struct batch *batch, struct request *request)
{
    struct op_adopt *op = CONTAINER_OF(request, struct op_adopt, request);
    struct file *file = op->clone->target_file;
    mutex_lock(&file->lock);
    file->version++;
    file->truncations++;
    file_drop_chunks_locked(file, 0);
    mutex_unlock(&file->lock);
    const struct orphan orphan = { .kind = KEY_OLD_MAP,
        .is_map = true,
        .id = op->old_map,
        .map_id = op->old_map,
        .batch = batch->state.batch };
    background_add_orphan(batch->volume, &orphan);
}

/* Where a block of the new map comes from. */
static void origin_of(const struct clone *clone, uint64_t at, struct inode **out_inode,
    uint64_t *out_block, uint64_t *out_count)
{
    uint64_t range_end = clone->target_first + clone->count;
    if (at >= clone->target_first && at < range_end) {
        *out_inode = clone->source;
        *out_block = clone->source_first + (at - clone->target_first);
        *out_count = range_end - at;
    } else {
        *out_inode = clone->target;
        *out_block = at;
        *out_count = at < clone->target_first ? clone->target_first - at : UINT64_MAX;
    }
}

struct fill_call {
    struct clone *clone;
    struct op_build *op;
    int result;
};

static void fill_on_pool(void *argument)
{
    struct fill_call *call = argument;
    struct op_build *op = call->op;
    int err = 0;
    for (uint32_t at = 0; err == 0 && at < op->count;) {
        struct inode *inode;
        uint64_t block;
        uint64_t count;
        origin_of(call->clone, op->first + at, &inode, &block, &count);
        count = min_u64(count, op->count - at);
        err = map_read(call->clone->volume, inode, block, (uint32_t)count, op->blocks + at);
        at += (uint32_t)count;
    }
    call->result = err;
}

/* Makes the records of one step; *map_id is that of the new map from the first on. */
static int build_step(struct clone *clone, struct op_adopt *adopt, uint64_t first, uint32_t count)
{
    struct op_build op = { .request = { .execute = op_build_execute },
        .source = clone->source,
        .map_id = adopt->map_id,
        .first = first,
        .count = count,
        .out_segment_blocks = &adopt->segment_blocks,
        .out_small_blocks = &adopt->small_blocks };
    op.blocks = calloc(count, sizeof *op.blocks);
    if (op.blocks == NULL)
        return -ENOMEM;
    struct fill_call call = { clone, &op, 0 };
    pool_call(clone->volume->engine->pool, fill_on_pool, &call);
    int err = call.result;
    if (err == 0)
        err = committer_submit(&clone->volume->committer, &op.request);
    if (err == 0)
        adopt->map_id = op.map_id;
    for (uint32_t i = 0; i < count; i++)
        block_put(op.blocks[i]);
    free(op.blocks);
    return err;
}

static int clone_in_steps(struct clone *clone, uint64_t target_size)
{
    struct volume *volume = clone->volume;
    struct op_adopt op = { .request = { .execute = op_adopt_execute, .publish = op_adopt_publish },
        .clone = clone };
    uint32_t step = (uint32_t)round_up(volume->engine->options.step_blocks / 4 + 1, GROUP_BLOCKS);
    uint64_t end = round_up(max_u64(clone->end, target_size), BLOCK_BYTES) / BLOCK_BYTES;
    int err = 0;
    for (uint64_t at = 0; err == 0 && at < end; at += step)
        err = build_step(clone, &op, at, step);
    if (err == 0)
        err = committer_submit(&volume->committer, &op.request);
    if (err < 0 && op.map_id != 0) {
        const struct orphan orphan = {
            .kind = KEY_OLD_MAP, .is_map = true, .id = op.map_id, .map_id = op.map_id
        };
        background_add_orphan(volume, &orphan);
    }
    return err;
}

/* ---- both ---------------------------------------------------------------------------------------------- */

/* What is asked, against the sizes of both. Errors: -EINVAL, -EFBIG. */
static int plan_range(
    struct clone *clone, const struct fs_clone *how, uint64_t source_size, uint64_t target_size)
{
    if (how->source_offset % BLOCK_BYTES != 0 || how->target_offset % BLOCK_BYTES != 0 ||
        how->source_offset > source_size || how->size_bytes > source_size - how->source_offset)
        return -EINVAL;
    uint64_t size = how->size_bytes != 0 ? how->size_bytes : source_size - how->source_offset;
    if (how->target_offset > FS_FILE_SIZE_MAX || size > FS_FILE_SIZE_MAX - how->target_offset)
        return -EFBIG;
    uint64_t source_end = how->source_offset + size;
    clone->end = how->target_offset + size;
    if (size % BLOCK_BYTES != 0 && (source_end != source_size || clone->end < target_size))
        return -EINVAL;
    if (clone->source == clone->target && how->source_offset < clone->end &&
        how->target_offset < source_end)
        return -EINVAL;
    clone->source_first = how->source_offset / BLOCK_BYTES;
    clone->target_first = how->target_offset / BLOCK_BYTES;
    clone->count = round_up(size, BLOCK_BYTES) / BLOCK_BYTES;
    return 0;
}

/* With both turns taken. */
static int clone_range(struct clone *clone, const struct fs_clone *how)
{
    struct volume *volume = clone->volume;
    struct fs_attr source = { 0 };
    struct fs_attr target = { 0 };
    int err = data_commit_all_held(volume, clone->source);
    if (err == 0 && clone->target != clone->source)
        err = data_commit_all_held(volume, clone->target);
    if (err == 0 && (inode_attr(&volume->inodes, clone->source, &source) != INODE_READY ||
                        inode_attr(&volume->inodes, clone->target, &target) != INODE_READY))
        err = -ESTALE;
    if (err == 0)
        err = plan_range(clone, how, source.size_bytes, target.size_bytes);
    if (err < 0 || clone->count == 0)
        return err;
    if (clone->count <= volume->engine->options.step_blocks)
        return clone_at_once(clone);
    return clone_in_steps(clone, target.size_bytes);
}

static int enter_and_clone(struct clone *clone, const struct fs_clone *how)
{
    int err = data_file(clone->volume, clone->source, &clone->source_file);
    if (err == 0)
        err = data_file(clone->volume, clone->target, &clone->target_file);
    if (err < 0)
        return err;
    bool is_one = clone->source == clone->target;
    bool source_first = clone->source->id < clone->target->id;
    gate_enter(source_first ? &clone->source_file->gate : &clone->target_file->gate);
    if (!is_one)
        gate_enter(source_first ? &clone->target_file->gate : &clone->source_file->gate);
    err = clone_range(clone, how);
    gate_leave(&clone->target_file->gate);
    if (!is_one)
        gate_leave(&clone->source_file->gate);
    return err;
}

/* A regular file, held, so that its blocks stay although its last name may go meanwhile. */
static int hold_file(struct volume *volume, struct fs_node node, struct inode **out_inode)
{
    struct fs_attr attr;
    int err = call_hold(&volume->fs, node);
    if (err < 0)
        return err;
    err = inode_acquire_node(volume, node, out_inode, &attr);
    if (err == 0 && attr.type != FS_REGULAR) {
        inode_unpin(&volume->inodes, *out_inode);
        err = attr.type == FS_DIRECTORY ? -EISDIR : -EINVAL;
    }
    if (err < 0)
        call_release(&volume->fs, node);
    return err;
}

int data_clone(
    struct fs *fs, const struct fs_cred *cred, const struct fs_clone *how, struct fs_attr *out_attr)
{
    struct volume *volume = volume_of(fs);
    struct clone clone = { .volume = volume, .cred = cred };
    if (volume->is_failed)
        return -EROFS;
    if (volume_is_nearly_full(volume))
        return -ENOSPC;
    int err = hold_file(volume, how->source, &clone.source);
    if (err < 0)
        return err;
    err = snapshot_refuse(how->target);
    if (err == 0)
        err = hold_file(volume, how->target, &clone.target);
    if (err == 0) {
        err = enter_and_clone(&clone, how);
        if (err == 0 && inode_attr(&volume->inodes, clone.target, out_attr) != INODE_READY)
            err = -ESTALE;
        inode_unpin(&volume->inodes, clone.target);
        call_release(fs, how->target);
    }
    inode_unpin(&volume->inodes, clone.source);
    call_release(fs, how->source);
    return err;
}
