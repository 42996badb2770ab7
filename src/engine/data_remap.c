/*
 * engine/data_remap.c - replacing blocks in one batch; deallocating and allocating (room: engine).
 */
#include "engine/data_remap.h"

#include <stdlib.h>
#include <sys/statvfs.h>

#include "engine/ops.h"
#include "engine/usage.h"
#include "fs/perm.h"

int remap_add(struct remap *remap, uint64_t index, struct block block)
{
    if (remap->count == remap->capacity) {
        uint32_t capacity = remap->capacity * 2 + 16;
        struct commit_block *larger = realloc(remap->items, capacity * sizeof *larger);
        if (larger == NULL) {
            block_put(block);
            return -ENOMEM;
        }
        remap->items = larger;
        remap->capacity = capacity;
    }
    remap->items[remap->count++] = (struct commit_block){ index, block, false };
    return 0;
}

void remap_fini(struct remap *remap)
{
    for (uint32_t i = 0; i < remap->count; i++)
        block_put(remap->items[i].block);
    free(remap->items);
    remap->items = NULL;
    remap->count = 0;
}

/* Whatever may fail, before anything changes. -EAGAIN: a chunk is not in memory. */
static int reserve_locked(struct volume *volume, struct file *file, const struct remap *remap)
    REQUIRES(file->lock)
{
    for (uint32_t i = 0; i < remap->count; i++) {
        const struct commit_block *item = &remap->items[i];
        struct chunk *chunk = file_chunk_locked(file, item->index / CHUNK_BLOCKS);
        if (chunk == NULL)
            return -EAGAIN;
        int err = chunk_reserve_locked(file, chunk, (uint32_t)(item->index % CHUNK_BLOCKS));
        if (err == 0)
            err = chunk_split_locked(file, chunk);
        if (err == 0 && item->block.kind == BLOCK_SEGMENT)
            err = refs_reserve(&volume->refs, item->block.address);
        if (err < 0)
            return err;
    }
    return 0;
}

/* Blocks that take the place of holes; all chunks are in memory. */
static uint64_t count_grown_locked(struct file *file, const struct remap *remap)
    REQUIRES(file->lock)
{
    uint64_t grown = 0;
    for (uint32_t i = 0; i < remap->count; i++) {
        const struct commit_block *item = &remap->items[i];
        const struct chunk *chunk = file_chunk_locked(file, item->index / CHUNK_BLOCKS);
        const struct block before = chunk_durable(chunk, (uint32_t)(item->index % CHUNK_BLOCKS));
        if (before.kind == BLOCK_HOLE && item->block.kind != BLOCK_HOLE)
            grown++;
    }
    return grown;
}

static void apply_locked(struct batch *batch, struct file *file, const struct remap *remap,
    struct inode_record *record) REQUIRES(file->lock)
{
    uint64_t group = UINT64_MAX; /* the one whose record is to be written */
    struct chunk *group_chunk = NULL;
    for (uint32_t i = 0; i < remap->count; i++) {
        struct commit_block *item = &remap->items[i];
        struct chunk *chunk = file_chunk_locked(file, item->index / CHUNK_BLOCKS);
        struct block old = chunk->durable[item->index % CHUNK_BLOCKS];
        bool is_same = block_equal(old, item->block); /* it has this place already */
        if (!map_replace_durable(batch, record, chunk, item))
            continue;
        if (item->block.kind == BLOCK_SEGMENT && !is_same)
            refs_add(&batch->volume->refs, item->block.address);
        if (group != UINT64_MAX && group != item->index / GROUP_BLOCKS)
            map_put_group(batch, record->map_id, group_chunk, group);
        group = item->index / GROUP_BLOCKS;
        group_chunk = chunk;
    }
    if (group != UINT64_MAX)
        map_put_group(batch, record->map_id, group_chunk, group);
}

static int remap_execute(struct batch *batch, struct request *request)
{
    struct remap *remap = CONTAINER_OF(request, struct remap, request);
    struct file *file = remap->file;
    int err = batch_reserve(batch, remap->count + 4);
    if (err < 0)
        return err;
    struct pending *pending = batch_touch(batch, remap->inode);
    if (pending->is_gone || remap->inode->is_doomed)
        return -ESTALE;
    if (remap->source != NULL && !snapshot_has_id(batch->volume, remap->source->id))
        return -ESTALE;
    if (remap->source != NULL && id_slot(remap->source->id) == 0) {
        const struct pending *source = batch_touch(batch, remap->source);
        if (source->is_gone || remap->source->is_doomed)
            return -ESTALE;
    }
    err = usage_prepare_home(batch, pending);
    if (err < 0)
        return err;
    struct inode_record *record = &pending->record;
    uint64_t blocks_before = record->segment_blocks + record->small_blocks;
    mutex_lock(&file->lock);
    err = file->is_abandoned ? -ESTALE : reserve_locked(batch->volume, file, remap);
    if (err == 0 && record->attr.link_count > 0)
        err = quota_charge(batch, record->parent, count_grown_locked(file, remap) * BLOCK_BYTES, 0);
    if (err == 0) {
        apply_locked(batch, file, remap, record);
        file->truncations++; /* commits that are on their way carry what was before */
    }
    mutex_unlock(&file->lock);
    if (err < 0)
        return err;
    if (remap->cut.end > 0)
        cut_put(batch, remap->inode, record->map_id, &remap->cut);
    file->commit_batch = batch->state.batch + 1;
    uint64_t blocks = record->segment_blocks + record->small_blocks;
    if (record->attr.link_count > 0)
        batch->state.used_bytes += (blocks - blocks_before) * BLOCK_BYTES;
    record->attr.size_bytes = max_u64(record->attr.size_bytes, remap->size_min);
    record->attr.space_used_bytes = blocks * BLOCK_BYTES;
    record->attr.mode = perm_mode_after_write(remap->cred, &record->attr);
    record->attr.mtime = batch->now;
    pending->sets_size = true;
    pending->sets_mtime = true;
    batch_mark_changed(batch, pending);
    remap->drops_buffers = record->small_blocks > SMALL_IN_MEMORY_MAX;
    return 0;
}

static void remap_publish(struct batch *batch, struct request *request)
{
    struct remap *remap = CONTAINER_OF(request, struct remap, request);
    struct file *file = remap->file;
    (void)batch;
    mutex_lock(&file->lock);
    file->version++;
    file->truncations++; /* snapshots that were taken since the execution saw the old blocks */
    for (uint32_t i = 0; i < remap->count; i++) {
        const struct commit_block *item = &remap->items[i];
        struct chunk *chunk = file_chunk_locked(file, item->index / CHUNK_BLOCKS);
        uint32_t at = (uint32_t)(item->index % CHUNK_BLOCKS);
        assert(chunk != NULL && at < chunk->capacity && !chunk_is_dirty(chunk, at));
        block_put(chunk->current[at]);
        chunk->current[at] = item->block;
        block_get(item->block);
        if (remap->drops_buffers && item->block.kind == BLOCK_BUFFER) {
            data_drop_buffer(&chunk->current[at]);
            data_drop_buffer(&chunk->durable[at]);
        }
    }
    if (remap->cut.end > 0)
        cut_show(file, &remap->cut);
    mutex_unlock(&file->lock);
}

int remap_run(struct remap *remap)
{
    remap->request.execute = remap_execute;
    remap->request.publish = remap_publish;
    int err;
    do {
        err = 0;
        uint64_t loaded = UINT64_MAX;
        for (uint32_t i = 0; i < remap->count && err == 0; i++) {
            if (remap->items[i].index / CHUNK_BLOCKS == loaded)
                continue;
            loaded = remap->items[i].index / CHUNK_BLOCKS;
            err = map_load(remap->volume, remap->inode, remap->items[i].index);
        }
        if (err == 0)
            err = committer_submit(&remap->volume->committer, &remap->request);
    } while (err == -EAGAIN);
    return err;
}

/* ---- deallocating -------------------------------------------------------------------------------------- */

/* A deallocation, cut to the file's size, which is the same in [offset, end). */
struct hole {
    struct remap remap;
    uint64_t offset;
    uint64_t end;
    uint64_t size_bytes; /* of the file */
};

/* Block `index` with zeros from byte `from` up to `to` of it. */
static int add_edge(struct hole *hole, uint64_t index, size_t from, size_t to)
{
    struct remap *remap = &hole->remap;
    struct block current;
    uint8_t bytes[BLOCK_BYTES];
    int err = map_copy(remap->volume, remap->inode, index, 1, &current);
    if (err < 0 || current.kind == BLOCK_HOLE)
        return err;
    block_put(current);
    err = data_read_block(remap->volume, remap->inode, index, bytes);
    if (err < 0)
        return err;
    memset(bytes + from, 0, to - from);
    size_t used = (size_t)min_u64(BLOCK_BYTES, hole->size_bytes - index * BLOCK_BYTES);
    struct block_buffer *buffer = block_buffer_new(bytes, used);
    return buffer == NULL ? -ENOMEM : remap_add(remap, index, block_of_buffer(buffer));
}

/* The blocks of [first, end) that are mapped become holes. */
static int add_holes(struct hole *hole, uint64_t first, uint64_t end)
{
    struct block blocks[GROUP_BLOCKS];
    int err = 0;
    while (err == 0 && first < end) {
        uint32_t count = (uint32_t)min_u64(GROUP_BLOCKS - first % GROUP_BLOCKS, end - first);
        err = map_copy(hole->remap.volume, hole->remap.inode, first, count, blocks);
        for (uint32_t i = 0; i < count && err == 0; i++) {
            block_put(blocks[i]);
            if (blocks[i].kind != BLOCK_HOLE)
                err = remap_add(&hole->remap, first + i, (struct block){ .kind = BLOCK_HOLE });
        }
        first += count;
    }
    return err;
}

static int plan_hole(struct hole *hole)
{
    uint64_t first = round_up(hole->offset, BLOCK_BYTES) / BLOCK_BYTES;
    bool to_end = hole->end == hole->size_bytes;
    uint64_t end = (to_end ? round_up(hole->end, BLOCK_BYTES) : hole->end) / BLOCK_BYTES;
    size_t head = hole->offset % BLOCK_BYTES;
    size_t tail = to_end ? 0 : hole->end % BLOCK_BYTES;
    int err = 0;
    if (first > end) /* all in one block */
        return add_edge(hole, end, head, tail);
    if (head > 0)
        err = add_edge(hole, first - 1, head,
            (size_t)min_u64(BLOCK_BYTES, hole->end - (first - 1) * BLOCK_BYTES));
    uint64_t cut_first = round_up(first, CHUNK_BLOCKS);
    uint64_t cut_end = round_down(end, CHUNK_BLOCKS);
    uint64_t step_blocks = hole->remap.volume->engine->options.step_blocks;
    if (end - first > step_blocks && cut_end > cut_first) {
        hole->remap.cut = (struct cut_range){ cut_first / CHUNK_BLOCKS, cut_end / CHUNK_BLOCKS };
        if (err == 0)
            err = add_holes(hole, first, cut_first);
        if (err == 0)
            err = add_holes(hole, cut_end, end);
    } else if (err == 0) {
        err = add_holes(hole, first, end);
    }
    if (err == 0 && tail > 0)
        err = add_edge(hole, end, 0, tail);
    return err;
}

static int touch(struct hole *hole)
{
    struct op_setattr op = { .request = { .execute = op_setattr_execute, .frees_space = true },
        .inode = hole->remap.inode,
        .change = { .mtime_how = FS_TIME_SERVER } };
    struct fs_attr attr;
    if (inode_attr(&hole->remap.volume->inodes, op.inode, &attr) != INODE_READY)
        return -ESTALE;
    op.change.mode = perm_mode_after_write(hole->remap.cred, &attr);
    op.change.set_mode = op.change.mode != attr.mode;
    return committer_submit(&hole->remap.volume->committer, &op.request);
}

/* With the turn taken; *out_is_left says that the reaper has it now. */
static int deallocate(struct hole *hole, bool *out_is_left)
{
    struct remap *remap = &hole->remap;
    struct volume *volume = remap->volume;
    struct fs_attr attr = { 0 };
    struct cut *cut = NULL;
    int err = data_commit_all_held(volume, remap->inode);
    if (err == 0 && inode_attr(&volume->inodes, remap->inode, &attr) != INODE_READY)
        err = -ESTALE;
    if (err < 0)
        return err;
    hole->size_bytes = attr.size_bytes;
    hole->end = min_u64(hole->end, attr.size_bytes);
    if (hole->offset >= hole->end)
        return touch(hole);
    err = plan_hole(hole);
    if (err == 0 && remap->cut.end > 0)
        err = cut_new(&cut);
    remap->request.frees_space = true;
    if (err == 0)
        err = remap_run(remap);
    if (err == 0 && cut != NULL) {
        *out_is_left = true;
        cut_start(volume, cut, remap->inode);
        cut = NULL;
    }
    cut_free(cut);
    return err;
}

int data_deallocate(struct fs *fs, const struct fs_cred *cred, struct fs_node node, uint64_t offset,
    uint64_t size_bytes, struct fs_attr *out_attr)
{
    struct volume *volume = volume_of(fs);
    struct fs_attr attr;
    struct hole hole = { .remap = { .volume = volume, .cred = cred }, .offset = offset };
    struct remap *remap = &hole.remap;
    int err = inode_acquire_to_change(volume, node, &remap->inode, &attr);
    if (err < 0)
        return err;
    if (attr.type != FS_REGULAR)
        err = attr.type == FS_DIRECTORY ? -EISDIR : -EINVAL;
    else if (size_bytes == 0 || size_bytes > UINT64_MAX - offset)
        err = -EINVAL;
    if (err == 0)
        err = data_file(volume, remap->inode, &remap->file);
    if (err == 0) {
        bool is_left = false;
        hole.end = offset + size_bytes;
        gate_enter(&remap->file->gate);
        err = deallocate(&hole, &is_left);
        if (!is_left)
            gate_leave(&remap->file->gate);
        remap_fini(remap);
    }
    if (err == 0 && inode_attr(&volume->inodes, remap->inode, out_attr) != INODE_READY)
        err = -ESTALE;
    inode_unpin(&volume->inodes, remap->inode);
    return err;
}

/* ---- allocating ---------------------------------------------------------------------------------------- */

/* Nothing is reserved: what is written goes to new places whatever was there. So the promise is that of now. */
static bool disk_has_room(const struct volume *volume, uint64_t size_bytes)
{
    struct statvfs st;
    if (fstatvfs(volume->dir_fd, &st) < 0)
        return true;
    uint64_t free_bytes = (uint64_t)st.f_bavail * st.f_frsize;
    uint64_t reserve = volume->engine->options.reserve_bytes;
    return free_bytes >= reserve && free_bytes - reserve >= size_bytes;
}

int data_allocate(struct fs *fs, const struct fs_cred *cred, struct fs_node node, uint64_t offset,
    uint64_t size_bytes, struct fs_attr *out_attr)
{
    struct volume *volume = volume_of(fs);
    struct inode *inode;
    struct fs_attr attr;
    int err = inode_acquire_to_change(volume, node, &inode, &attr);
    if (err < 0)
        return err;
    if (attr.type != FS_REGULAR)
        err = attr.type == FS_DIRECTORY ? -EISDIR : -EINVAL;
    else if (size_bytes == 0)
        err = -EINVAL;
    else if (offset > FS_FILE_SIZE_MAX || size_bytes > FS_FILE_SIZE_MAX - offset)
        err = -EFBIG;
    else if (!disk_has_room(volume, size_bytes))
        err = -ENOSPC;
    /* A hole takes nothing, so this too is only asked. */
    uint64_t old_size = attr.size_bytes;
    if (err == 0 && offset + size_bytes > old_size)
        err = quota_has_room(volume, inode, offset + size_bytes - max_u64(offset, old_size));
    if (err == 0)
        err = data_grow(volume, cred, inode, offset + size_bytes);
    if (err == 0 && inode_attr(&volume->inodes, inode, out_attr) != INODE_READY)
        err = -ESTALE;
    inode_unpin(&volume->inodes, inode);
    return err;
}
