/*
 * engine/data_read.c - reading files, each block verified (room: engine).
 *
 * What is in the page cache is read on the caller's stack; only what would wait for the disk goes
 * to the pool. Nothing is locked while blocks are read: should they be given back meanwhile, their
 * checksum does not match any more, and the map says that they moved. Only a block that is still
 * mapped is damaged.
 */
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/log.h"
#include "engine/data.h"
#include "engine/records.h"
#include "io/pool.h"
#include "metrics/metrics.h"

#define PIECE_BLOCKS 64u /* copied from the map at a time */
#define TRIES_MAX    16u /* of a block that moves each time */

/* One request to read adjacent blocks of a segment. */
struct run {
    struct volume *volume;
    const struct block *blocks; /* of adjacent addresses */
    uint32_t count;
    uint8_t *bytes;
    struct segment *segment;
    size_t done;
    int result;
};

static void run_on_pool(void *argument)
{
    struct run *run = argument;
    uint64_t offset = segment_offset(&run->volume->segments, run->blocks[0].address);
    size_t size = (size_t)run->count * BLOCK_BYTES;
    while (run->done < size) {
        ssize_t got = pread(run->segment->fd, run->bytes + run->done, size - run->done,
            (int64_t)(offset + run->done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0) {
            run->result = got < 0 ? -errno : -EIO;
            return;
        }
        run->done += (size_t)got;
    }
}

/* Reads from the page cache as far as it goes. */
static void run_from_cache(struct run *run)
{
    uint64_t offset = segment_offset(&run->volume->segments, run->blocks[0].address);
    struct iovec iov = { run->bytes, (size_t)run->count * BLOCK_BYTES };
    ssize_t got = preadv2(run->segment->fd, &iov, 1, (int64_t)offset, RWF_NOWAIT);
    if (got > 0)
        run->done = (size_t)got;
}

/* Errors: -EBADMSG: a checksum does not match, or the segment is gone; the caller looks at the map
 * again. */
static int read_run(struct run *run)
{
    int err = segment_acquire(&run->volume->segments, run->blocks[0].address, &run->segment);
    if (err < 0)
        return err == -ENOENT ? -EBADMSG : err;
    run_from_cache(run);
    if (run->done < (size_t)run->count * BLOCK_BYTES)
        pool_call(run->volume->engine->pool, run_on_pool, run);
    err = run->result;
    if (err == 0)
        err = segment_verify(
            &run->volume->segments, run->segment, run->blocks, run->count, run->bytes);
    segment_release(&run->volume->segments, run->segment);
    return err;
}

struct small_call {
    struct volume *volume;
    uint64_t inode;
    uint64_t map_id;
    uint64_t index;
    const struct block *block;
    uint8_t *bytes;
    int result;
};

static void small_on_pool(void *argument)
{
    struct small_call *call = argument;
    struct key key;
    key_make2(&key, KEY_SMALL, call->map_id, call->index);
    struct store_value value;
    call->result = records_get(call->volume, call->inode, &key, &value);
    if (call->result < 0) {
        call->result = call->result == -ENOENT ? -EBADMSG : call->result;
        return;
    }
    struct slice data = value.data;
    call->result = value_open(&data);
    if (call->result == 0 && (data.size < 8 || data.size > 8 + BLOCK_BYTES ||
                                 load_be64(data.data) != call->block->checksum))
        call->result = -EBADMSG;
    if (call->result == 0) {
        struct block_buffer *buffer = block_buffer_new(data.data + 8, data.size - 8);
        if (buffer == NULL) {
            call->result = -ENOMEM;
        } else {
            struct block block = block_of_buffer(buffer);
            if (block.checksum != call->block->checksum)
                call->result = -EBADMSG;
            memcpy(call->bytes, buffer->bytes, buffer->size);
            memset(call->bytes + buffer->size, 0, BLOCK_BYTES - buffer->size);
            block_put(block);
        }
    }
    store_value_release(&value);
}

static int read_small(struct volume *volume, struct inode *inode, uint64_t index,
    // NOLINTNEXTLINE(readability-non-const-parameter): small_on_pool() writes them
    const struct block *block, uint8_t *bytes)
{
    struct inode_shard *shard = inode_shard_of(&volume->inodes, inode->id);
    mutex_lock(&shard->lock);
    uint64_t map_id = inode->record.map_id;
    mutex_unlock(&shard->lock);
    struct small_call call = { volume, inode->id, map_id, index, block, bytes, 0 };
    pool_call(volume->engine->pool, small_on_pool, &call);
    return call.result;
}

static int read_buffer(const struct block *block, uint8_t *bytes)
{
    const struct block_buffer *buffer = block_buffer_of(*block);
    memcpy(bytes, buffer->bytes, buffer->size);
    memset(bytes + buffer->size, 0, BLOCK_BYTES - buffer->size);
    return 0;
}

/* Reads the first block of `blocks`, and those that can be read with it; *out_count says how many.
 */
static int read_some(struct volume *volume, struct inode *inode, uint64_t first,
    const struct block *blocks, uint32_t *count, uint8_t *bytes)
{
    uint32_t run_count = 1;
    uint32_t count_max = *count;
    *count = 1;
    switch (blocks[0].kind) {
    case BLOCK_HOLE:
        memset(bytes, 0, BLOCK_BYTES);
        return 0;
    case BLOCK_BUFFER:
        return read_buffer(&blocks[0], bytes);
    case BLOCK_SMALL:
        return read_small(volume, inode, first, &blocks[0], bytes);
    default:
        break;
    }
    uint64_t segment_blocks = volume->segments.segment_blocks;
    while (run_count < count_max && blocks[run_count].kind == BLOCK_SEGMENT &&
           blocks[run_count].address == blocks[0].address + run_count &&
           blocks[run_count].address % segment_blocks != 0)
        run_count++;
    *count = run_count;
    struct run run = { .volume = volume, .blocks = blocks, .count = run_count, .bytes = bytes };
    return read_run(&run);
}

static bool is_still_mapped(
    struct volume *volume, struct inode *inode, uint64_t first, const struct block *seen)
{
    struct block now;
    if (map_copy(volume, inode, first, 1, &now) < 0)
        return true;
    bool is_same = block_equal(now, *seen);
    block_put(now);
    return is_same;
}

/* Which of the blocks that failed together is the damaged one; 0 when all of them moved. */
static int judge_failure(struct volume *volume, struct inode *inode, uint64_t first,
    const struct block *blocks, uint32_t count)
{
    uint8_t bytes[BLOCK_BYTES];
    if (!snapshot_has_id(volume, inode->id))
        return -ESTALE; /* deleted meanwhile, and its blocks with it */
    for (uint32_t i = 0; i < count; i++) {
        uint32_t one = 1;
        if (read_some(volume, inode, first + i, &blocks[i], &one, bytes) != -EBADMSG ||
            !is_still_mapped(volume, inode, first + i, &blocks[i]))
            continue;
        metrics_add(METRIC_ENGINE_CHECKSUM_ERRORS, 0, 1);
        LOG_ERROR("data is damaged: checksum does not match",
            "fs=%s inode=%" PRIu64 " block=%" PRIu64 " segment=%" PRIu64, volume->fs_id, inode->id,
            first + i, (uint64_t)blocks[i].address / volume->segments.segment_blocks);
        return -EIO;
    }
    return 0;
}

/* Reads blocks that were copied from the map. -EAGAIN: some have moved. */
static int read_copied(struct volume *volume, struct inode *inode, uint64_t first,
    const struct block *blocks, uint32_t count, uint8_t *bytes)
{
    int err = 0;
    uint32_t at = 0;
    while (at < count && err == 0) {
        uint32_t some = count - at;
        err = read_some(
            volume, inode, first + at, blocks + at, &some, bytes + (size_t)at * BLOCK_BYTES);
        if (err == -EBADMSG) {
            int verdict = judge_failure(volume, inode, first + at, blocks + at, some);
            err = verdict < 0 ? verdict : -EAGAIN;
        }
        at += some;
    }
    return err;
}

/* Reads `count` (up to PIECE_BLOCKS) whole blocks of one chunk. */
static int read_piece(
    struct volume *volume, struct inode *inode, uint64_t first, uint32_t count, uint8_t *bytes)
{
    struct block blocks[PIECE_BLOCKS];
    for (unsigned try = 0; try < TRIES_MAX; try++) {
        int err = map_copy(volume, inode, first, count, blocks);
        if (err < 0)
            return err;
        err = read_copied(volume, inode, first, blocks, count, bytes);
        for (uint32_t i = 0; i < count; i++)
            block_put(blocks[i]);
        if (err != -EAGAIN)
            return err;
    }
    return -EIO;
}

int data_read_block(struct volume *volume, struct inode *inode, uint64_t index, uint8_t *out_bytes)
{
    return read_piece(volume, inode, index, 1, out_bytes);
}

/* The part of a block that the caller wants. */
static int read_part(
    struct volume *volume, struct inode *inode, uint64_t offset, uint8_t *bytes, size_t size)
{
    uint8_t block[BLOCK_BYTES];
    int err = read_piece(volume, inode, offset / BLOCK_BYTES, 1, block);
    if (err == 0)
        memcpy(bytes, block + offset % BLOCK_BYTES, size);
    return err;
}

/* Reads `size` bytes that lie inside the file; `capacity` of the buffer may be more. */
static int read_range(struct volume *volume, struct inode *inode, uint64_t offset, uint8_t *buffer,
    size_t size, size_t capacity)
{
    size_t done = 0;
    while (done < size) {
        uint64_t at = offset + done;
        size_t in_block = at % BLOCK_BYTES;
        if (in_block != 0 || capacity - done < BLOCK_BYTES) {
            size_t part = min_size(size - done, BLOCK_BYTES - in_block);
            int err = read_part(volume, inode, at, buffer + done, part);
            if (err < 0)
                return err;
            done += part;
            continue;
        }
        /* Whole blocks go straight to the caller, the zeros behind the end of the file with them.
         */
        uint64_t first = at / BLOCK_BYTES;
        uint64_t wanted = round_up(size - done, BLOCK_BYTES) / BLOCK_BYTES;
        uint64_t count = min_u64(wanted, (capacity - done) / BLOCK_BYTES);
        count = min_u64(count, CHUNK_BLOCKS - first % CHUNK_BLOCKS);
        count = min_u64(count, PIECE_BLOCKS);
        int err = read_piece(volume, inode, first, (uint32_t)count, buffer + done);
        if (err < 0)
            return err;
        done += (size_t)count * BLOCK_BYTES;
    }
    return 0;
}

int data_read(struct fs *fs, struct fs_node node, uint64_t offset, uint8_t *buffer, size_t size,
    struct fs_read *out)
{
    struct volume *volume = volume_of(fs);
    struct inode *inode;
    struct fs_attr attr;
    int err = inode_acquire_node(volume, node, &inode, &attr);
    if (err < 0)
        return err;
    size_t inside = 0;
    if (attr.type != FS_REGULAR) {
        err = attr.type == FS_DIRECTORY ? -EISDIR : -EINVAL;
        goto out;
    }
    if (offset < attr.size_bytes)
        inside = min_u64(min_size(size, FS_IO_SIZE_MAX), attr.size_bytes - offset);
    err = read_range(volume, inode, offset, buffer, inside, size);
    if (err < 0)
        goto out;
    out->size = inside;
    out->at_end = offset + inside >= attr.size_bytes;
out:
    inode_unpin(&volume->inodes, inode);
    return err;
}

/* A read that tells data from holes. */
struct view {
    struct volume *volume;
    struct inode *inode;
    struct fs_read_segments *read;
    uint64_t first;
    uint32_t count;       /* of blocks that the range touches */
    uint64_t file_size;   /* at the moment the blocks were copied */
    struct block *blocks; /* each with a reference */
};

/* Copies what the map says of the range, at one moment. */
static int view_copy(struct view *view)
{
    struct file *file;
    int err = data_file(view->volume, view->inode, &file);
    uint64_t last = view->first + view->count - 1;
    bool is_copied = false;
    while (err == 0 && !is_copied) {
        err = map_load(view->volume, view->inode, view->first);
        if (err == 0)
            err = map_load(view->volume, view->inode, last);
        if (err < 0)
            break;
        struct fs_attr attr = { 0 };
        mutex_lock(&file->lock);
        struct chunk *chunk = file_chunk_locked(file, view->first / CHUNK_BLOCKS);
        struct chunk *next = file_chunk_locked(file, last / CHUNK_BLOCKS);
        is_copied = chunk != NULL && next != NULL;
        if (inode_attr(&view->volume->inodes, view->inode, &attr) != INODE_READY)
            err = -ESTALE;
        for (uint32_t i = 0; is_copied && err == 0 && i < view->count; i++) {
            uint64_t index = view->first + i;
            view->blocks[i] =
                chunk_current(index / CHUNK_BLOCKS == view->first / CHUNK_BLOCKS ? chunk : next,
                    (uint32_t)(index % CHUNK_BLOCKS));
            block_get(view->blocks[i]);
        }
        mutex_unlock(&file->lock);
        view->file_size = attr.size_bytes;
    }
    return err;
}

static void view_release(struct view *view)
{
    for (uint32_t i = 0; i < view->count; i++)
        block_put(view->blocks[i]);
}

/* Fills the caller's segments; the read ends where there is no room for more. */
static void view_segments(struct view *view)
{
    struct fs_read_segments *read = view->read;
    uint64_t end = read->offset + min_u64(read->size, view->file_size - read->offset);
    read->out_segment_count = 0;
    uint64_t at = read->offset;
    while (at < end) {
        uint64_t block_end = min_u64(round_down(at, BLOCK_BYTES) + BLOCK_BYTES, end);
        bool is_hole = view->blocks[at / BLOCK_BYTES - view->first].kind == BLOCK_HOLE;
        uint32_t count = read->out_segment_count;
        if (count > 0 && read->segments[count - 1].is_hole == is_hole) {
            read->segments[count - 1].size_bytes += block_end - at;
        } else if (count == read->segment_max) {
            break;
        } else {
            read->segments[count] = (struct fs_segment){ at, block_end - at, is_hole };
            read->out_segment_count++;
        }
        at = block_end;
    }
    read->out =
        (struct fs_read){ .size = (size_t)(at - read->offset), .at_end = at >= view->file_size };
}

/* The bytes of what view_segments() promised. */
static int view_bytes(const struct view *view)
{
    const struct fs_read_segments *read = view->read;
    size_t done = 0;
    int err = 0;
    while (err == 0 && done < read->out.size) {
        uint64_t at = read->offset + done;
        const struct block *blocks = &view->blocks[at / BLOCK_BYTES - view->first];
        size_t in_block = at % BLOCK_BYTES;
        size_t left = read->out.size - done;
        if (in_block != 0 || left < BLOCK_BYTES) {
            uint8_t block[BLOCK_BYTES];
            size_t part = min_size(left, BLOCK_BYTES - in_block);
            err = read_copied(view->volume, view->inode, at / BLOCK_BYTES, blocks, 1, block);
            memcpy(read->buffer + done, block + in_block, part);
            done += part;
            continue;
        }
        uint32_t count = (uint32_t)min_size(left / BLOCK_BYTES, PIECE_BLOCKS);
        err = read_copied(
            view->volume, view->inode, at / BLOCK_BYTES, blocks, count, read->buffer + done);
        done += (size_t)count * BLOCK_BYTES;
    }
    return err;
}

static int read_view(struct view *view)
{
    for (unsigned try = 0; try < TRIES_MAX; try++) {
        int err = view_copy(view);
        if (err < 0)
            return err;
        if (view->read->offset >= view->file_size) {
            view->read->out_segment_count = 0;
            view->read->out = (struct fs_read){ .at_end = true };
        } else {
            view_segments(view);
            err = view_bytes(view);
        }
        view_release(view);
        if (err != -EAGAIN)
            return err;
    }
    return -EIO;
}

int data_read_segments(struct fs *fs, struct fs_node node, struct fs_read_segments *read)
{
    struct view view = { .volume = volume_of(fs), .read = read };
    struct fs_attr attr;
    if (read->size == 0 || read->size > FS_IO_SIZE_MAX || read->segment_max == 0)
        return -EINVAL;
    int err = inode_acquire_node(view.volume, node, &view.inode, &attr);
    if (err < 0)
        return err;
    if (attr.type != FS_REGULAR) {
        err = attr.type == FS_DIRECTORY ? -EISDIR : -EINVAL;
        goto out;
    }
    if (read->offset >= attr.size_bytes) {
        read->out_segment_count = 0;
        read->out = (struct fs_read){ .at_end = true };
        goto out;
    }
    view.first = read->offset / BLOCK_BYTES;
    view.count = (uint32_t)((read->offset + read->size - 1) / BLOCK_BYTES - view.first + 1);
    view.blocks = calloc(view.count, sizeof *view.blocks);
    if (view.blocks == NULL) {
        err = -ENOMEM;
        goto out;
    }
    err = read_view(&view);
    free(view.blocks);
out:
    inode_unpin(&view.volume->inodes, view.inode);
    return err;
}
