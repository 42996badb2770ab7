/*
 * engine/data_commit.c - making dirty blocks durable (room: engine).
 *
 * A commit takes a snapshot of the dirty blocks, syncs the segments they are in (one sync for all
 * who wait), and has the committer bring the snapshot into the database. Blocks written meanwhile
 * stay dirty. When a truncation came in between, the commit begins again: its snapshot may hold
 * blocks that are gone.
 */
#include <stdlib.h>

#include "base/bytes.h"
#include "engine/data.h"
#include "engine/usage.h"

#define BLOCKS_INLINE 8u

struct op_commit {
    struct request request;
    struct inode *inode;
    struct file *file;
    struct commit_block *blocks; /* those of one chunk together, in order */
    uint32_t count;
    uint64_t size_bytes;
    uint64_t number; /* of the snapshot */
    uint64_t first, last;
    uint32_t truncations;
    bool drops_buffers; /* large file: small blocks need not stay in memory */
    struct commit_block inline_blocks[BLOCKS_INLINE];
};

void data_discard_locked(struct volume *volume, struct file *file, struct block block)
{
    if (block.kind != BLOCK_SEGMENT) {
        block_put(block);
        return;
    }
    if (file->commits_in_flight == 0) {
        segments_discard(&volume->segments, block.address, 1);
        return;
    }
    /* One of these may be making it durable (F3). */
    if (file->discarded_count == file->discarded_capacity) {
        uint32_t capacity = file->discarded_capacity * 2 + 64;
        uint64_t *larger = realloc(file->discarded, capacity * sizeof *larger);
        if (larger == NULL)
            return; /* stays busy: given back when the volume is opened next */
        file->discarded = larger;
        file->discarded_capacity = capacity;
    }
    file->discarded[file->discarded_count++] = block.address;
}

static void flush_discarded_locked(struct volume *volume, struct file *file) REQUIRES(file->lock)
{
    for (uint32_t i = 0; i < file->discarded_count; i++)
        segments_discard(&volume->segments, file->discarded[i], 1);
    file->discarded_count = 0;
}

/* How many dirty blocks of [first, last] the chunk has; they are copied when `out` is given. */
static uint32_t collect_chunk(
    const struct chunk *chunk, const struct commit_range *range, struct commit_block *out)
{
    uint64_t base = chunk->index * CHUNK_BLOCKS;
    if (base > range->last || base + CHUNK_BLOCKS <= range->first)
        return 0;
    uint32_t count = 0;
    for (uint32_t word = 0; word < CHUNK_WORDS; word++) {
        for (uint64_t bits = chunk->dirty[word]; bits != 0; bits &= bits - 1) {
            uint32_t at = word * 64 + (uint32_t)__builtin_ctzll(bits);
            if (base + at < range->first || base + at > range->last)
                continue;
            if (out != NULL) {
                out[count] = (struct commit_block){ base + at, chunk->current[at], false };
                block_get(out[count].block);
            }
            count++;
        }
    }
    return count;
}

static uint32_t collect_locked(struct file *file, const struct commit_range *range,
    struct commit_block *out) REQUIRES(file->lock)
{
    uint32_t count = 0;
    if (range->last - range->first <
        CHUNK_BLOCKS) { /* a stable write: do not search the whole list */
        uint64_t first = range->first / CHUNK_BLOCKS;
        for (uint64_t i = first; i <= range->last / CHUNK_BLOCKS; i++) {
            struct chunk *chunk = file_chunk_locked(file, i);
            if (chunk != NULL)
                count += collect_chunk(chunk, range, out == NULL ? NULL : out + count);
        }
        return count;
    }
    LIST_FOR_EACH(node, &file->dirty_chunks)
    count += collect_chunk(
        LIST_ENTRY(node, struct chunk, dirty_link), range, out == NULL ? NULL : out + count);
    return count;
}

/* Takes the snapshot; the commit is in flight from here on. Errors: -ENOMEM, -ESTALE. */
static int snapshot(struct volume *volume, struct op_commit *op, const struct commit_range *range)
{
    struct file *file = op->file;
    struct fs_attr attr;
    int err = 0;
    mutex_lock(&file->lock);
    op->count = file->is_abandoned ? 0 : collect_locked(file, range, NULL);
    op->blocks = op->inline_blocks;
    if (op->count > BLOCKS_INLINE)
        op->blocks = malloc(op->count * sizeof *op->blocks);
    if (file->commits_in_flight > 0 && file->overtakers == NULL)
        file->overtakers = malloc(OVERTAKERS_MAX * sizeof *file->overtakers);
    if (op->blocks == NULL || (file->commits_in_flight > 0 && file->overtakers == NULL)) {
        if (op->blocks != op->inline_blocks)
            free(op->blocks);
        err = -ENOMEM;
        goto out;
    }
    (void)collect_locked(file, range, op->blocks);
    op->truncations = file->truncations;
    op->number = ++file->commit_number;
    op->first = range->first;
    op->last = range->last;
    enum inode_state state = inode_attr(&volume->inodes, op->inode, &attr);
    op->size_bytes = state == INODE_READY ? min_u64(attr.size_bytes, range->size_max) : 0;
    if (op->count > 0)
        file->commits_in_flight++;
out:
    mutex_unlock(&file->lock);
    return err;
}

static void finish(struct volume *volume, struct op_commit *op)
{
    struct file *file = op->file;
    mutex_lock(&file->lock);
    if (--file->commits_in_flight == 0) {
        flush_discarded_locked(volume, file);
        file->overtaker_count = 0;
    }
    mutex_unlock(&file->lock);
    for (uint32_t i = 0; i < op->count; i++)
        block_put(op->blocks[i].block);
    if (op->blocks != op->inline_blocks)
        free(op->blocks);
}

void map_put_small(struct batch *batch, uint64_t map_id, const struct commit_block *commit)
{
    uint8_t value[9 + BLOCK_BYTES];
    const struct block_buffer *buffer = block_buffer_of(commit->block);
    value[0] = 1;
    store_be64(value + 1, commit->block.checksum);
    memcpy(value + 9, buffer->bytes, buffer->size);
    struct key key;
    key_make2(&key, KEY_SMALL, map_id, commit->index);
    batch_put(batch, &key, slice_of(value, 9 + buffer->size));
}

void map_put_group(struct batch *batch, uint64_t map_id, const struct chunk *chunk, uint64_t group)
{
    struct block blocks[GROUP_BLOCKS];
    for (uint32_t i = 0; i < GROUP_BLOCKS; i++)
        blocks[i] = chunk_durable(chunk, (uint32_t)(group * GROUP_BLOCKS % CHUNK_BLOCKS) + i);
    uint8_t value[GROUP_BYTES_MAX];
    size_t size = group_encode(blocks, value);
    struct key key;
    key_make2(&key, KEY_GROUP, map_id, group);
    if (size == 0)
        batch_delete(batch, &key);
    else
        batch_put(batch, &key, slice_of(value, size));
}

bool map_replace_durable(struct batch *batch, struct inode_record *record, struct chunk *chunk,
    struct commit_block *commit)
{
    uint32_t at = (uint32_t)(commit->index % CHUNK_BLOCKS);
    struct block old = chunk->durable[at];
    if (block_equal(old, commit->block))
        return false; /* another commit was faster */
    bool old_small = old.kind == BLOCK_SMALL || old.kind == BLOCK_BUFFER;
    bool new_small = commit->block.kind == BLOCK_BUFFER;
    bool new_segment = commit->block.kind == BLOCK_SEGMENT;
    commit->was_hole = old.kind == BLOCK_HOLE;
    if (new_small) {
        map_put_small(batch, record->map_id, commit);
    } else if (old_small) {
        struct key key;
        key_make2(&key, KEY_SMALL, record->map_id, commit->index);
        batch_delete(batch, &key);
    }
    if (old.kind == BLOCK_SEGMENT)
        batch_add_range(batch, old.address, 1, false);
    record->small_blocks += (uint64_t)new_small - (uint64_t)old_small;
    record->segment_blocks += (uint64_t)new_segment - (uint64_t)(old.kind == BLOCK_SEGMENT);
    chunk->durable[at] = commit->block;
    block_get(commit->block);
    block_put(old);
    return old.kind == BLOCK_SEGMENT || new_segment;
}

/* Remembers the commit for older ones that are still on their way. */
static void note_done_locked(struct file *file, const struct op_commit *op) REQUIRES(file->lock)
{
    if (file->commits_in_flight <= 1)
        return;
    if (file->overtaker_count == OVERTAKERS_MAX) {
        file->restart_below = max_u64(file->restart_below, op->number);
        for (uint32_t i = 0; i < file->overtaker_count; i++)
            file->restart_below = max_u64(file->restart_below, file->overtakers[i].number);
        file->overtaker_count = 0;
        return;
    }
    file->overtakers[file->overtaker_count++] =
        (struct commit_done){ op->number, op->first, op->last };
}

/* Leaves out what a younger commit has made durable already (F4). */
static void skip_overtaken_locked(struct file *file, struct op_commit *op) REQUIRES(file->lock)
{
    for (uint32_t i = 0; i < file->overtaker_count; i++) {
        const struct commit_done *done = &file->overtakers[i];
        if (done->number < op->number)
            continue;
        uint32_t kept = 0;
        for (uint32_t at = 0; at < op->count; at++) {
            if (op->blocks[at].index < done->first || op->blocks[at].index > done->last)
                op->blocks[kept++] = op->blocks[at];
            else
                block_put(op->blocks[at].block);
        }
        op->count = kept;
    }
}

static int apply_locked(struct batch *batch, struct file *file, struct op_commit *op,
    struct inode_record *record) REQUIRES(file->lock)
{
    skip_overtaken_locked(file, op);
    for (uint32_t i = 0; i < op->count; i++) {
        struct chunk *chunk = file_chunk_locked(file, op->blocks[i].index / CHUNK_BLOCKS);
        assert(chunk != NULL); /* dirty chunks stay, and nothing was truncated */
        int err = chunk_split_locked(file, chunk);
        if (err < 0)
            return err;
    }
    uint64_t group = UINT64_MAX; /* the one whose record is to be written */
    struct chunk *group_chunk = NULL;
    for (uint32_t i = 0; i < op->count; i++) {
        struct commit_block *commit = &op->blocks[i];
        struct chunk *chunk = file_chunk_locked(file, commit->index / CHUNK_BLOCKS);
        if (!map_replace_durable(batch, record, chunk, commit))
            continue;
        if (group != UINT64_MAX && group != commit->index / GROUP_BLOCKS)
            map_put_group(batch, record->map_id, group_chunk, group);
        group = commit->index / GROUP_BLOCKS;
        group_chunk = chunk;
    }
    if (group != UINT64_MAX)
        map_put_group(batch, record->map_id, group_chunk, group);
    for (uint32_t i = 0; i < op->count; i++) {
        if (op->blocks[i].block.kind == BLOCK_SEGMENT)
            batch_add_range(batch, op->blocks[i].block.address, 1, true);
    }
    note_done_locked(file, op);
    return 0;
}

static int op_commit_execute(struct batch *batch, struct request *request)
{
    struct op_commit *op = CONTAINER_OF(request, struct op_commit, request);
    struct file *file = op->file;
    int err = batch_reserve(batch, 2 * op->count + 1);
    if (err < 0)
        return err;
    struct pending *pending = batch_touch(batch, op->inode);
    if (pending->is_gone || op->inode->is_doomed)
        return -ESTALE;
    err = usage_prepare_home(batch, pending);
    if (err < 0)
        return err;
    struct inode_record *record = &pending->record;
    uint64_t blocks_before = record->segment_blocks + record->small_blocks;
    mutex_lock(&file->lock);
    if (file->is_abandoned)
        err = -ESTALE;
    else if (file->truncations != op->truncations || op->number < file->restart_below)
        err = -EAGAIN;
    else
        err = apply_locked(batch, file, op, record);
    if (err == 0)
        quota_commit(batch, file, record->segment_blocks + record->small_blocks - blocks_before);
    mutex_unlock(&file->lock);
    if (err < 0)
        return err;
    file->commit_batch = batch->state.batch + 1;
    record->attr.size_bytes = max_u64(record->attr.size_bytes, op->size_bytes);
    pending->is_changed = true;
    uint64_t blocks_after = record->segment_blocks + record->small_blocks;
    if (record->attr.link_count > 0)
        batch->state.used_bytes += (blocks_after - blocks_before) * BLOCK_BYTES;
    op->drops_buffers = record->small_blocks > SMALL_IN_MEMORY_MAX;
    return 0;
}

/* Its data is in the database now. */
void data_drop_buffer(struct block *block)
{
    struct block small = { .kind = BLOCK_SMALL, .checksum = block->checksum };
    block_put(*block);
    *block = small;
}

static void op_commit_publish(struct batch *batch, struct request *request)
{
    struct op_commit *op = CONTAINER_OF(request, struct op_commit, request);
    struct file *file = op->file;
    mutex_lock(&file->lock);
    file->version++;
    for (uint32_t i = 0; i < op->count; i++) {
        struct commit_block *commit = &op->blocks[i];
        struct chunk *chunk = file_chunk_locked(file, commit->index / CHUNK_BLOCKS);
        uint32_t at = (uint32_t)(commit->index % CHUNK_BLOCKS);
        if (chunk == NULL || !chunk_is_dirty(chunk, at) ||
            !block_equal(chunk->current[at], commit->block))
            continue;
        if (op->drops_buffers && commit->block.kind == BLOCK_BUFFER) {
            data_drop_buffer(&chunk->current[at]);
            if (chunk->durable != NULL)
                data_drop_buffer(&chunk->durable[at]);
        }
        chunk_set_clean_locked(file, chunk, at);
    }
    background_note_dirty(batch->volume, op->inode, file);
    mutex_unlock(&file->lock);
}

static int commit_once(struct volume *volume, struct inode *inode, const struct commit_range *range)
{
    struct op_commit op = { .request = { .execute = op_commit_execute,
                                .publish = op_commit_publish,
                                .frees_space = true },
        .inode = inode,
        .file = inode->file };
    int err = snapshot(volume, &op, range);
    if (err < 0)
        return err;
    if (op.count == 0)
        return 0;
    if (range->sync)
        err = background_sync(volume);
    if (err == 0)
        err = committer_submit(&volume->committer, &op.request);
    finish(volume, &op);
    return err;
}

int data_commit(struct volume *volume, struct inode *inode, const struct commit_range *range)
{
    if (inode->file == NULL)
        return 0;
    int err = commit_once(volume, inode, range);
    while (err == -EAGAIN) { /* now nobody truncates, and no stable writes overtake us */
        gate_enter(&inode->file->gate);
        err = commit_once(volume, inode, range);
        gate_leave(&inode->file->gate);
    }
    /* What was removed for good meanwhile needs no durability. */
    return err == -ESTALE ? 0 : err;
}

int data_commit_all_held(struct volume *volume, struct inode *inode)
{
    const struct commit_range all = { 0, UINT64_MAX, UINT64_MAX, true };
    int err;
    do {
        err = inode->file == NULL ? 0 : commit_once(volume, inode, &all);
    } while (err == -EAGAIN);
    return err;
}

void data_abandon(struct volume *volume, struct inode *inode)
{
    struct file *file = inode->file;
    if (file == NULL)
        return;
    mutex_lock(&file->lock);
    file->is_abandoned = true;
    LIST_FOR_EACH_SAFE(node, &file->dirty_chunks)
    {
        struct chunk *chunk = LIST_ENTRY(node, struct chunk, dirty_link);
        for (uint32_t at = 0; at < chunk->capacity; at++) {
            if (!chunk_is_dirty(chunk, at))
                continue;
            data_discard_locked(volume, file, chunk->current[at]);
            chunk->current[at] = (struct block){ .kind = BLOCK_HOLE };
        }
        file_drop_chunk_locked(file, chunk);
    }
    quota_drop_hold(volume, file);
    background_note_dirty(volume, inode, file);
    mutex_unlock(&file->lock);
}

int data_sync(struct fs *fs, struct fs_node node, uint64_t offset, uint64_t size_bytes)
{
    struct volume *volume = volume_of(fs);
    struct inode *inode;
    struct fs_attr attr;
    int err = inode_acquire_node(volume, node, &inode, &attr);
    if (err < 0)
        return err;
    if (attr.type != FS_REGULAR)
        err = attr.type == FS_DIRECTORY ? -EISDIR : -EINVAL;
    (void)offset; /* more than was asked is made durable: the sync is what costs */
    (void)size_bytes;
    struct commit_range all = { 0, UINT64_MAX, UINT64_MAX, true };
    if (err == 0)
        err = data_commit(volume, inode, &all);
    inode_unpin(&volume->inodes, inode);
    return err;
}
