/*
 * engine/data_truncate.c - setting the size of a file (room: engine).
 *
 * Like a write, it has its turn at the file, here until the change is durable and published. Larger
 * is one number; smaller frees the blocks behind the new end in the same batch, and zeros the rest
 * of the last block (F5). Emptying a large file instead gives it a new, empty map, and the old one
 * to the reaper, so that the committer is not held up.
 */
#include <stdlib.h>

#include "base/log.h"
#include "engine/data_remap.h"
#include "engine/ops.h"
#include "engine/usage.h"
#include "fs/perm.h"

#define SWAP_BLOCKS_MIN 4096u /* emptying a file with as many blocks gives it a new map */

struct op_truncate {
    struct request request;
    const struct fs_cred *cred;
    struct inode *inode;
    struct file *file;
    struct fs_setattr change;
    uint64_t old_size; /* visible */
    uint64_t first;    /* the first block that goes */
    bool has_tail;     /* the block before it is kept in part: */
    struct block tail; /* its new content, a buffer */
    uint64_t old_map;  /* given to the reaper; 0: none */
    struct cut *cut;   /* so many blocks go that they go in steps; NULL: all at once */
    struct cut_range cut_range;
};

/* Frees what the database maps from block `first` on; the group that `first` is in is rewritten by
 * the caller. */
static int free_groups(struct batch *batch, struct inode_record *record, uint64_t first)
{
    struct key from;
    struct key end;
    uint64_t first_group = first / GROUP_BLOCKS;
    key_make2(&from, KEY_GROUP, record->map_id, first_group);
    key_make1(&end, KEY_GROUP, record->map_id + 1);
    struct store_iterator *iterator;
    int err = store_scan(batch->volume->store, &from, &end, &iterator);
    if (err < 0)
        return err;
    struct slice name;
    struct slice value;
    while ((err = store_scan_next(iterator, &name, &value)) == 1) {
        struct block blocks[GROUP_BLOCKS] = { 0 };
        uint64_t numbers[2];
        err = key_parse(name, KEY_GROUP, 2, numbers) ? group_decode(value, blocks) : -EBADMSG;
        if (err == 0)
            err = batch_reserve(batch, GROUP_BLOCKS);
        if (err < 0)
            break;
        uint32_t kept = numbers[1] == first_group ? (uint32_t)(first % GROUP_BLOCKS) : 0;
        for (uint32_t i = kept; i < GROUP_BLOCKS; i++) {
            if (blocks[i].kind != BLOCK_SEGMENT)
                continue;
            batch_add_range(batch, blocks[i].address, 1, false);
            record->segment_blocks--;
            blocks[i] = (struct block){ .kind = BLOCK_HOLE };
        }
        uint8_t encoded[GROUP_BYTES_MAX];
        size_t size = group_encode(blocks, encoded);
        struct key key;
        key_make2(&key, KEY_GROUP, record->map_id, numbers[1]);
        if (size == 0)
            batch_delete(batch, &key);
        else
            batch_put(batch, &key, slice_of(encoded, size));
    }
    store_scan_end(iterator);
    return err;
}

static int free_small(struct batch *batch, struct inode_record *record, uint64_t first)
{
    struct key from;
    struct key end;
    key_make2(&from, KEY_SMALL, record->map_id, first);
    key_make1(&end, KEY_SMALL, record->map_id + 1);
    struct store_iterator *iterator;
    int err = store_scan(batch->volume->store, &from, &end, &iterator);
    if (err < 0)
        return err;
    struct slice name;
    struct slice value;
    while ((err = store_scan_next(iterator, &name, &value)) == 1) {
        uint64_t numbers[2];
        err = key_parse(name, KEY_SMALL, 2, numbers) ? 0 : -EBADMSG;
        if (err < 0)
            break;
        struct key key;
        key_make2(&key, KEY_SMALL, record->map_id, numbers[1]);
        batch_delete(batch, &key);
        record->small_blocks--;
    }
    store_scan_end(iterator);
    return err;
}

/* Takes the blocks from `first` on out of the database's map. */
static int free_blocks(struct batch *batch, struct op_truncate *op, struct inode_record *record)
{
    uint64_t blocks = record->segment_blocks + record->small_blocks;
    if (op->change.size_bytes == 0 &&
        (blocks >= SWAP_BLOCKS_MIN || blocks > batch->volume->engine->options.step_blocks)) {
        op->old_map = record->map_id;
        uint8_t value[1] = { 1 };
        struct key key;
        key_make1(&key, KEY_OLD_MAP, op->old_map);
        batch_put(batch, &key, slice_of(value, sizeof value));
        record->map_id = batch->volume->inode_next++;
        record->segment_blocks = 0;
        record->small_blocks = 0;
        return 0;
    }
    int err = record->segment_blocks > 0 ? free_groups(batch, record, op->first) : 0;
    if (err == 0 && record->small_blocks > 0)
        err = free_small(batch, record, op->first);
    return err;
}

/* Finds the chunk of a block and makes its durable map its own; NULL: it is not in memory. */
static int split_chunk_locked(struct file *file, uint64_t index, struct chunk **out_chunk)
    REQUIRES(file->lock)
{
    *out_chunk = file_chunk_locked(file, index / CHUNK_BLOCKS);
    return *out_chunk == NULL ? 0 : chunk_split_locked(file, *out_chunk);
}

/* Frees the rest of the chunk that the new end is in; the chunks behind it are freed in steps. */
static void free_rest_of_chunk(
    struct batch *batch, struct op_truncate *op, struct inode_record *record, struct chunk *chunk)
{
    uint64_t base = chunk->index * CHUNK_BLOCKS;
    for (uint32_t at = (uint32_t)(op->first - base); at < chunk->capacity; at++) {
        struct commit_block hole = { base + at, { .kind = BLOCK_HOLE }, false };
        (void)map_replace_durable(batch, record, chunk, &hole);
    }
    for (uint64_t group = op->first / GROUP_BLOCKS; group * GROUP_BLOCKS < base + CHUNK_BLOCKS;
         group++)
        map_put_group(batch, record->map_id, chunk, group);
}

/* The same in memory, and the new last block. Changes nothing when it fails. */
static int cut_durable_locked(struct batch *batch, struct file *file, struct op_truncate *op,
    struct inode_record *record) REQUIRES(file->lock)
{
    struct chunk *chunk;
    struct chunk *tail_chunk = NULL;
    int err = split_chunk_locked(file, op->first, &chunk);
    if (err == 0 && op->has_tail)
        err = split_chunk_locked(file, op->first - 1, &tail_chunk);
    if (err == 0 && op->has_tail && tail_chunk == NULL)
        err = -EAGAIN;
    if (err < 0)
        return err;
    uint32_t from = (uint32_t)(op->first % CHUNK_BLOCKS);
    if (op->cut != NULL && from > 0 && chunk == NULL)
        return -EAGAIN;
    if (op->cut != NULL && from > 0)
        free_rest_of_chunk(batch, op, record, chunk);
    for (uint32_t at = from; chunk != NULL && at < chunk->capacity; at++) {
        block_put(chunk->durable[at]);
        chunk->durable[at] = (struct block){ .kind = BLOCK_HOLE };
    }
    struct commit_block tail = { op->first - 1, op->tail, false };
    if (op->has_tail && map_replace_durable(batch, record, tail_chunk, &tail))
        map_put_group(batch, record->map_id, tail_chunk, tail.index / GROUP_BLOCKS);
    return 0;
}

static int shrink(struct batch *batch, struct op_truncate *op, struct inode_record *record)
{
    struct file *file = op->file;
    if (op->cut == NULL && file->commit_batch == batch->state.batch + 1)
        return -EAGAIN; /* the database does not know yet what this batch mapped */
    uint32_t range_count = batch->range_count;
    uint64_t inode_next = batch->volume->inode_next;
    struct inode_record before = *record;
    store_batch_mark(batch->writes);
    int err = op->cut == NULL ? free_blocks(batch, op, record) : 0;
    if (err == 0)
        err = batch_reserve(batch, CHUNK_BLOCKS + 2);
    if (err == 0 && op->cut != NULL)
        cut_put(batch, op->inode, record->map_id, &op->cut_range);
    if (err == 0) {
        mutex_lock(&file->lock);
        err = file->is_abandoned ? -ESTALE : cut_durable_locked(batch, file, op, record);
        if (err == 0)
            file->truncations++;
        mutex_unlock(&file->lock);
    }
    if (err < 0) { /* the batch goes on without us (C1) */
        store_batch_undo(batch->writes);
        batch->range_count = range_count;
        batch->volume->inode_next = inode_next;
        *record = before;
        op->old_map = 0;
        return err;
    }
    store_batch_forget(batch->writes);
    uint64_t kept = record->segment_blocks + record->small_blocks;
    uint64_t had = before.segment_blocks + before.small_blocks;
    if (record->attr.link_count > 0)
        batch->state.used_bytes += (kept - had) * BLOCK_BYTES;
    return 0;
}

static int op_truncate_execute(struct batch *batch, struct request *request)
{
    struct op_truncate *op = CONTAINER_OF(request, struct op_truncate, request);
    int err = batch_reserve(batch, 4);
    if (err < 0)
        return err;
    struct pending *pending = batch_touch(batch, op->inode);
    if (pending->is_gone || op->inode->is_doomed)
        return -ESTALE;
    struct fs_setattr change = op->change;
    err = perm_check_setattr(op->cred, &pending->record.attr, &change);
    if (err == 0)
        err = usage_prepare_home(batch, pending);
    if (err < 0)
        return err;
    if (!change.set_mode) {
        change.mode = perm_mode_after_write(op->cred, &pending->record.attr);
        change.set_mode = change.mode != pending->record.attr.mode;
    }
    if (op->change.size_bytes < op->old_size)
        err = shrink(batch, op, &pending->record);
    if (err < 0)
        return err;
    struct inode_record *record = &pending->record;
    record->attr.size_bytes = op->change.size_bytes;
    record->attr.space_used_bytes = (record->segment_blocks + record->small_blocks) * BLOCK_BYTES;
    pending->sets_size = true;
    pending->sets_mtime = true;
    record->attr.mtime = batch->now;
    setattr_apply(batch, pending, &change);
    return 0;
}

/* Dirty blocks at `from` and behind are given up, clean ones forgotten. */
static void cut_current_locked(struct volume *volume, struct file *file, struct chunk *chunk,
    uint32_t from) REQUIRES(file->lock)
{
    for (uint32_t at = from; at < chunk->capacity; at++) {
        struct block old = chunk->current[at];
        chunk->current[at] = (struct block){ .kind = BLOCK_HOLE };
        if (!chunk_is_dirty(chunk, at)) {
            block_put(old);
            continue;
        }
        data_discard_locked(volume, file, old);
        chunk_set_clean_locked(file, chunk, at);
    }
}

static void replace_tail_locked(struct volume *volume, struct file *file, struct op_truncate *op)
    REQUIRES(file->lock)
{
    struct chunk *chunk = file_chunk_locked(file, (op->first - 1) / CHUNK_BLOCKS);
    uint32_t at = (uint32_t)((op->first - 1) % CHUNK_BLOCKS);
    assert(chunk != NULL && at < chunk->capacity);
    struct block old = chunk->current[at];
    chunk->current[at] = op->tail;
    block_get(op->tail);
    if (!chunk_is_dirty(chunk, at)) {
        block_put(old);
        return;
    }
    data_discard_locked(volume, file, old);
    chunk_set_clean_locked(file, chunk, at);
}

uint64_t data_count_new_locked(const struct file *file)
{
    uint64_t count = 0;
    LIST_FOR_EACH(node, &file->dirty_chunks)
    {
        const struct chunk *chunk = LIST_ENTRY(node, struct chunk, dirty_link);
        for (uint32_t at = 0; at < chunk->capacity; at++) {
            struct block durable = chunk_durable(chunk, at);
            if (chunk_is_dirty(chunk, at) && durable.kind == BLOCK_HOLE)
                count++;
        }
    }
    return count;
}

static void op_truncate_publish(struct batch *batch, struct request *request)
{
    struct op_truncate *op = CONTAINER_OF(request, struct op_truncate, request);
    struct volume *volume = batch->volume;
    struct file *file = op->file;
    mutex_lock(&file->lock);
    file->version++;
    file->truncations++; /* snapshots that were taken since the execution saw the old size */
    if (op->change.size_bytes < op->old_size) {
        for (uint32_t i = 0; i <= file->mask; i++) {
            struct chunk *chunk = file->table[i];
            while (chunk != NULL) {
                struct chunk *next = chunk->hash_next;
                uint64_t start = chunk->index * CHUNK_BLOCKS;
                if (start + CHUNK_BLOCKS > op->first)
                    cut_current_locked(volume, file, chunk,
                        start >= op->first ? 0 : (uint32_t)(op->first - start));
                if (start >= op->first)
                    file_drop_chunk_locked(file, chunk);
                chunk = next;
            }
        }
        if (op->has_tail)
            replace_tail_locked(volume, file, op);
        if (op->cut != NULL)
            cut_show(file, &op->cut_range);
    }
    background_note_dirty(volume, op->inode, file);
    struct inode_shard *shard = inode_shard_of(&volume->inodes, op->inode->id);
    mutex_lock(&shard->lock);
    struct inode_record *record = &op->inode->record;
    uint64_t new_blocks = data_count_new_locked(file);
    record->attr.space_used_bytes =
        (record->segment_blocks + record->small_blocks + new_blocks) * BLOCK_BYTES;
    mutex_unlock(&shard->lock);
    quota_shrink_hold(volume, file, new_blocks);
    mutex_unlock(&file->lock);
    const struct orphan orphan = { .kind = KEY_OLD_MAP,
        .is_map = true,
        .id = op->old_map,
        .map_id = op->old_map,
        .batch = batch->state.batch };
    if (op->old_map != 0)
        background_add_orphan(volume, &orphan);
}

/* The content of the block that the new end cuts, zeros behind it. */
static int make_tail(struct volume *volume, struct op_truncate *op)
{
    uint64_t size = op->change.size_bytes;
    size_t kept = size % BLOCK_BYTES;
    if (size >= op->old_size || kept == 0)
        return 0;
    uint8_t bytes[BLOCK_BYTES];
    int err = map_load(volume, op->inode, size / BLOCK_BYTES);
    struct block current = { .kind = BLOCK_HOLE };
    if (err == 0)
        err = map_copy(volume, op->inode, size / BLOCK_BYTES, 1, &current);
    if (err < 0 || current.kind == BLOCK_HOLE)
        return err;
    block_put(current);
    err = data_read_block(volume, op->inode, size / BLOCK_BYTES, bytes);
    if (err < 0)
        return err;
    struct block_buffer *buffer = block_buffer_new(bytes, kept);
    if (buffer == NULL)
        return -ENOMEM;
    op->tail = block_of_buffer(buffer);
    op->has_tail = true;
    return 0;
}

/* Many blocks go in steps, but for those of the chunk with the new end, which must be in memory. */
static int plan_cut(struct volume *volume, struct op_truncate *op, const struct fs_attr *attr)
{
    uint64_t blocks = attr->space_used_bytes / BLOCK_BYTES;
    bool is_large = op->change.size_bytes > 0 && op->change.size_bytes < op->old_size &&
                    blocks > volume->engine->options.step_blocks;
    if (!is_large)
        return 0;
    op->cut_range =
        (struct cut_range){ round_up(op->first, CHUNK_BLOCKS) / CHUNK_BLOCKS, CUT_END_MAX };
    int err = op->first % CHUNK_BLOCKS == 0 ? 0 : map_load(volume, op->inode, op->first);
    return err < 0 ? err : cut_new(&op->cut);
}

/* With the turn taken; *out_is_left says that the reaper has it now. */
static int set_size_once(struct volume *volume, struct op_truncate *op, bool *out_is_left)
{
    struct fs_attr attr;
    if (inode_attr(&volume->inodes, op->inode, &attr) != INODE_READY)
        return -ESTALE;
    op->old_size = attr.size_bytes;
    op->first = round_up(op->change.size_bytes, BLOCK_BYTES) / BLOCK_BYTES;
    op->request.frees_space = op->change.size_bytes < op->old_size;
    int err = make_tail(volume, op);
    if (err == 0)
        err = plan_cut(volume, op, &attr);
    if (err == 0)
        err = committer_submit(&volume->committer, &op->request);
    if (err == 0 && op->cut != NULL) {
        *out_is_left = true;
        cut_start(volume, op->cut, op->inode);
        op->cut = NULL;
    }
    cut_free(op->cut);
    op->cut = NULL;
    if (op->has_tail)
        block_put(op->tail);
    op->has_tail = false;
    return err;
}

int data_set_size(struct volume *volume, const struct fs_cred *cred, struct inode *inode,
    const struct fs_setattr *change)
{
    struct op_truncate op = { .request = { .execute = op_truncate_execute,
                                  .publish = op_truncate_publish },
        .cred = cred,
        .inode = inode,
        .change = *change };
    struct fs_attr attr;
    if (inode_attr(&volume->inodes, inode, &attr) != INODE_READY)
        return -ESTALE;
    if (attr.type != FS_REGULAR)
        return attr.type == FS_DIRECTORY ? -EISDIR : -EINVAL;
    if (change->size_bytes > FS_FILE_SIZE_MAX)
        return -EFBIG;
    int err = data_file(volume, inode, &op.file);
    if (err < 0)
        return err;
    bool is_left = false;
    do {
        gate_enter(&op.file->gate);
        err = set_size_once(volume, &op, &is_left);
        if (!is_left)
            gate_leave(&op.file->gate);
    } while (err == -EAGAIN);
    return err;
}

/* With the turn taken. */
static int grow_once(struct volume *volume, struct op_truncate *op)
{
    struct fs_attr attr;
    if (inode_attr(&volume->inodes, op->inode, &attr) != INODE_READY)
        return -ESTALE;
    bool is_left = false;
    if (attr.size_bytes < op->change.size_bytes)
        return set_size_once(volume, op, &is_left);
    struct op_setattr touch = { .request = { .execute = op_setattr_execute },
        .inode = op->inode,
        .change = { .mtime_how = FS_TIME_SERVER } };
    touch.change.mode = perm_mode_after_write(op->cred, &attr);
    touch.change.set_mode = touch.change.mode != attr.mode;
    return committer_submit(&volume->committer, &touch.request);
}

int data_grow(
    struct volume *volume, const struct fs_cred *cred, struct inode *inode, uint64_t size_bytes)
{
    struct op_truncate op = { .request = { .execute = op_truncate_execute,
                                  .publish = op_truncate_publish },
        .cred = cred,
        .inode = inode,
        .change = { .set_size = true, .size_bytes = size_bytes, .size_by_open_file = true } };
    int err = data_file(volume, inode, &op.file);
    while (err == 0) {
        gate_enter(&op.file->gate);
        err = grow_once(volume, &op);
        gate_leave(&op.file->gate);
        if (err != -EAGAIN)
            break;
        err = 0;
    }
    return err;
}
