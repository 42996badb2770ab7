/*
 * engine/data_write.c - writing files (room: engine).
 *
 * The writer has its turn at the file (its gate) until the new blocks are in the map: blocks that
 * are written in part only are read first, and nobody may change them in between.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "engine/background.h"
#include "engine/data.h"
#include "engine/ops.h"
#include "fs/perm.h"

#define BLOCKS_INLINE 4u
#define BLOCKS_MAX    (FS_IO_SIZE_MAX / BLOCK_BYTES + 1)
#define MODE_SPECIAL  06000u

/* One write on its way. */
struct plan {
    struct volume *volume;
    struct inode *inode;
    struct file *file;
    uint64_t offset;
    struct slice data;
    uint64_t first; /* block */
    uint32_t count; /* of blocks */
    bool in_memory; /* small: buffers instead of segment blocks */
    uint32_t done;  /* blocks that are in `blocks` */
    uint64_t old_size;
    struct block *blocks;
    struct block inline_blocks[BLOCKS_INLINE];
};

/* The bytes of block `at` of the plan, if it is written in part only: old content and new. */
static int compose_block(struct plan *plan, uint32_t at, uint8_t *bytes, size_t *out_used)
{
    uint64_t start = (plan->first + at) * BLOCK_BYTES;
    uint64_t end = plan->offset + plan->data.size;
    uint64_t from = max_u64(start, plan->offset);
    uint64_t to = min_u64(start + BLOCK_BYTES, end);
    bool covers_all = from == start && (to == start + BLOCK_BYTES || to >= plan->old_size);
    if (covers_all || start >= plan->old_size) {
        memset(bytes, 0, BLOCK_BYTES);
    } else {
        int err = data_read_block(plan->volume, plan->inode, plan->first + at, bytes);
        if (err < 0)
            return err;
    }
    memcpy(bytes + (from - start), plan->data.data + (from - plan->offset), to - from);
    *out_used = (size_t)(min_u64(start + BLOCK_BYTES, max_u64(end, plan->old_size)) - start);
    return 0;
}

static bool is_whole(const struct plan *plan, uint32_t at)
{
    uint64_t start = (plan->first + at) * BLOCK_BYTES;
    return start >= plan->offset && start + BLOCK_BYTES <= plan->offset + plan->data.size;
}

static int plan_buffers(struct plan *plan)
{
    uint8_t bytes[BLOCK_BYTES];
    while (plan->done < plan->count) {
        size_t used;
        int err = compose_block(plan, plan->done, bytes, &used);
        if (err < 0)
            return err;
        struct block_buffer *buffer = block_buffer_new(bytes, used);
        if (buffer == NULL)
            return -ENOMEM;
        plan->blocks[plan->done++] = block_of_buffer(buffer);
    }
    return 0;
}

/* Appends `count` blocks to a segment, or the first of them; they enter the plan. */
static int append(struct plan *plan, const uint8_t *bytes, uint32_t count, uint32_t *out_count)
{
    struct segments *segments = &plan->volume->segments;
    struct segment_place place = { 0 };
    int err = segments_append(segments, count, &place);
    if (err < 0)
        return err;
    if (segment_offset(segments, place.address) == BLOCK_BYTES)
        background_tick(
            plan->volume); /* a new segment: others may have died, and no batch may come soon */
    err = segment_write(segments, &place, bytes, plan->blocks + plan->done);
    segment_release(segments, place.segment);
    if (err < 0) {
        segments_discard(segments, place.address, place.count);
        return err;
    }
    plan->done += place.count;
    *out_count = place.count;
    return 0;
}

static int append_partial(struct plan *plan)
{
    uint8_t bytes[BLOCK_BYTES];
    size_t used;
    uint32_t appended;
    int err = compose_block(plan, plan->done, bytes, &used);
    return err < 0 ? err : append(plan, bytes, 1, &appended);
}

static int plan_segments(struct plan *plan)
{
    int err = 0;
    while (err == 0 && plan->done < plan->count) {
        if (!is_whole(plan, plan->done)) {
            err = append_partial(plan);
            continue;
        }
        uint32_t whole = plan->count - plan->done;
        if (!is_whole(plan, plan->count - 1))
            whole--;
        uint64_t start = (plan->first + plan->done) * BLOCK_BYTES;
        uint32_t appended;
        err = append(plan, plan->data.data + (start - plan->offset), whole, &appended);
    }
    return err;
}

/* What was not mapped is given up. */
static void plan_drop(struct plan *plan)
{
    for (uint32_t i = 0; i < plan->done; i++) {
        // NOLINTNEXTLINE(clang-analyzer-core.UndefinedBinaryOperatorResult): filled up to `done`
        if (plan->blocks[i].kind == BLOCK_SEGMENT)
            segments_discard(&plan->volume->segments, plan->blocks[i].address, 1);
        else
            block_put(plan->blocks[i]);
    }
    plan->done = 0;
}

/* Room for all blocks, so that mapping them cannot fail. */
static int reserve_locked(struct file *file, const struct plan *plan) REQUIRES(file->lock)
{
    for (uint32_t i = 0; i < plan->count; i++) {
        uint64_t index = plan->first + i;
        struct chunk *chunk = file_chunk_locked(file, index / CHUNK_BLOCKS);
        if (chunk == NULL)
            return -EAGAIN; /* dropped since it was loaded */
        int err = chunk_reserve_locked(file, chunk, (uint32_t)(index % CHUNK_BLOCKS));
        if (err == 0)
            err = chunk_split_locked(file, chunk);
        if (err < 0)
            return err;
    }
    return 0;
}

/* Puts the new blocks into the map; gives how many were holes before. */
static uint32_t install_locked(struct file *file, struct plan *plan) REQUIRES(file->lock)
{
    uint32_t grown = 0;
    for (uint32_t i = 0; i < plan->count; i++) {
        uint64_t index = plan->first + i;
        uint32_t at = (uint32_t)(index % CHUNK_BLOCKS);
        struct chunk *chunk = file_chunk_locked(file, index / CHUNK_BLOCKS);
        struct block old = chunk->current[at];
        grown += old.kind == BLOCK_HOLE;
        if (chunk_is_dirty(chunk, at))
            data_discard_locked(plan->volume, file, old);
        else
            block_put(old);
        chunk->current[at] = plan->blocks[i];
        chunk_set_dirty_locked(file, chunk, at);
    }
    plan->done = 0; /* the map owns them */
    return grown;
}

/* What readers see of the inode follows at once. */
static void update_attributes(struct plan *plan, uint32_t grown, struct fs_attr *out_attr)
{
    struct inode *inode = plan->inode;
    struct inode_shard *shard = inode_shard_of(&plan->volume->inodes, inode->id);
    struct fs_time now = volume_now();
    mutex_lock(&shard->lock);
    struct fs_attr *attr = &inode->record.attr;
    attr->size_bytes = max_u64(attr->size_bytes, plan->offset + plan->data.size);
    attr->space_used_bytes += (uint64_t)grown * BLOCK_BYTES;
    attr->change = max_u64(attr->change + 1, volume_next_change(plan->volume));
    attr->mtime = now;
    attr->ctime = now;
    *out_attr = *attr;
    mutex_unlock(&shard->lock);
}

/* The blocks that are new to the file are taken from what quotas leave. */
static int take_quota_locked(struct file *file, const struct plan *plan) REQUIRES(file->lock)
{
    uint32_t grown = 0;
    if (LIKELY(!quotas_are_any(&plan->volume->quotas)))
        return 0;
    for (uint32_t i = 0; i < plan->count; i++) {
        uint64_t index = plan->first + i;
        const struct chunk *chunk = file_chunk_locked(file, index / CHUNK_BLOCKS);
        const struct block now = chunk_current(chunk, (uint32_t)(index % CHUNK_BLOCKS));
        if (now.kind == BLOCK_HOLE)
            grown++;
    }
    return quota_reserve(plan->volume, file, grown);
}

static int map_blocks(struct plan *plan, struct fs_attr *out_attr)
{
    struct file *file = plan->file;
    mutex_lock(&file->lock);
    int err = file->is_abandoned ? -ESTALE : reserve_locked(file, plan);
    if (err == 0)
        err = take_quota_locked(file, plan);
    if (err == 0) {
        uint32_t grown = install_locked(file, plan);
        update_attributes(plan, grown, out_attr);
        background_note_dirty(plan->volume, plan->inode, file);
    }
    mutex_unlock(&file->lock);
    return err;
}

/* With the turn taken. */
static int write_blocks(struct plan *plan, struct fs_attr *out_attr)
{
    struct fs_attr attr;
    if (inode_attr(&plan->volume->inodes, plan->inode, &attr) != INODE_READY)
        return -ESTALE;
    plan->old_size = attr.size_bytes;
    int err;
    do {
        err = map_load(plan->volume, plan->inode, plan->first);
        if (err == 0)
            err = map_load(plan->volume, plan->inode, plan->first + plan->count - 1);
        if (err == 0)
            err = quota_find(plan->volume, plan->inode, plan->file);
        if (err == 0 && plan->done == 0)
            err = plan->in_memory ? plan_buffers(plan) : plan_segments(plan);
        if (err == 0)
            err = map_blocks(plan, out_attr);
    } while (err == -EAGAIN);
    if (err < 0)
        plan_drop(plan);
    return err;
}

/* Whoever writes to a set-user-id program takes that property from it. */
static int clear_special_mode(
    struct volume *volume, struct inode *inode, const struct fs_attr *attr, uint32_t mode)
{
    (void)attr;
    struct op_setattr op = { .request = { .execute = op_setattr_execute },
        .inode = inode,
        .change = { .set_mode = true, .mode = mode } };
    return committer_submit(&volume->committer, &op.request);
}

static int write_check(struct volume *volume, struct inode *inode, const struct fs_attr *attr,
    const struct fs_write *write)
{
    if (attr->type != FS_REGULAR)
        return attr->type == FS_DIRECTORY ? -EISDIR : -EINVAL;
    if (write->data.size > FS_IO_SIZE_MAX)
        return -EINVAL;
    if (write->offset > FS_FILE_SIZE_MAX || write->data.size > FS_FILE_SIZE_MAX - write->offset)
        return -EFBIG;
    if (volume->is_failed)
        return -EROFS;
    if (volume_is_nearly_full(volume))
        return -ENOSPC;
    if (UNLIKELY((attr->mode & MODE_SPECIAL) != 0)) {
        uint32_t mode = perm_mode_after_write(write->cred, attr);
        if (mode != attr->mode)
            return clear_special_mode(volume, inode, attr, mode);
    }
    return 0;
}

static int commit_written(struct plan *plan)
{
    /* UNSTABLE bytes behind ours in the last block become durable with it, so the size must cover them: else
     * they would show again when the file grows later (F5). */
    struct commit_range range = { .first = plan->first,
        .last = plan->first + plan->count - 1,
        .size_max = (plan->first + plan->count) * BLOCK_BYTES,
        .sync = !plan->in_memory };
    return data_commit(plan->volume, plan->inode, &range);
}

/* One small stable write is fastest in the batch itself: one sync. Many at once are cheaper in a segment, whose
 * sync they share, than as records of the database, which moves them twice more. */
static bool goes_in_memory(
    const struct volume *volume, const struct fs_write *write, const struct fs_attr *attr)
{
    uint64_t end = max_u64(write->offset + write->data.size, attr->size_bytes);
    if (end <= volume->engine->options.small_file_bytes)
        return true;
    return write->stability != FS_UNSTABLE && write->data.size <= STABLE_IN_BATCH_MAX &&
           volume->stable_bytes <= STABLE_BUSY_BYTES;
}

static int write_data(struct plan *plan, const struct fs_write *write, struct fs_written *out)
{
    plan->first = plan->offset / BLOCK_BYTES;
    plan->count = (uint32_t)((plan->offset + plan->data.size - 1) / BLOCK_BYTES - plan->first + 1);
    plan->blocks = plan->inline_blocks;
    assert(plan->count <= BLOCKS_MAX);
    if (plan->count > BLOCKS_INLINE) {
        plan->blocks = malloc(plan->count * sizeof *plan->blocks);
        if (plan->blocks == NULL)
            return -ENOMEM;
    }
    gate_enter(&plan->file->gate);
    int err = write_blocks(plan, &out->attr);
    gate_leave(&plan->file->gate);
    if (plan->blocks != plan->inline_blocks)
        free(plan->blocks);
    out->stability = FS_UNSTABLE;
    if (err == 0 && write->stability != FS_UNSTABLE) {
        err = commit_written(plan);
        out->stability = FS_FILE_SYNC;
    }
    return err;
}

int data_write(
    struct fs *fs, struct fs_node node, const struct fs_write *write, struct fs_written *out)
{
    struct volume *volume = volume_of(fs);
    struct inode *inode;
    struct fs_attr attr;
    int err = inode_acquire_to_change(volume, node, &inode, &attr);
    if (err < 0)
        return err;
    struct plan plan = { .volume = volume, .inode = inode };
    plan.offset = write->offset;
    plan.data = write->data;
    err = write_check(volume, inode, &attr, write);
    if (err == 0)
        err = data_file(volume, inode, &plan.file);
    if (err != 0)
        goto out;
    if (write->data.size == 0) {
        *out = (struct fs_written){ FS_FILE_SYNC, attr };
        goto out;
    }
    plan.in_memory = goes_in_memory(volume, write, &attr);
    uint64_t counted = write->stability != FS_UNSTABLE ? write->data.size : 0;
    volume->stable_bytes += counted;
    err = write_data(&plan, write, out);
    volume->stable_bytes -= counted;
out:
    inode_unpin(&volume->inodes, inode);
    return err;
}
