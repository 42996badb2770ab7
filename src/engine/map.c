/*
 * engine/map.c - chunks of block maps, from the database into memory (room: engine).
 */
#include <stdlib.h>

#include "base/bytes.h"
#include "base/log.h"
#include "engine/data.h"
#include "engine/records.h"
#include "io/pool.h"

int data_file(struct volume *volume, struct inode *inode, struct file **out_file)
{
    struct file *file = inode->file;
    if (LIKELY(file != NULL)) {
        *out_file = file;
        return 0;
    }
    struct file *new = file_new();
    if (new == NULL)
        return -ENOMEM;
    struct inode_shard *shard = inode_shard_of(&volume->inodes, inode->id);
    mutex_lock(&shard->lock);
    if (inode->file == NULL) {
        inode->file = new;
        new = NULL;
    }
    *out_file = inode->file;
    mutex_unlock(&shard->lock);
    file_free(new);
    return 0;
}

struct load_call {
    struct volume *volume;
    struct inode *inode;
    struct file *file;
    uint64_t chunk;
    uint64_t version; /* of the file's map before the durable counts were looked at */
    uint64_t map_id;
    bool has_segment_blocks;
    bool has_small_blocks;
    struct block *blocks; /* CHUNK_BLOCKS */
    int result;           /* -EAGAIN: the map changed meanwhile */
};

/* Of one chunk. */
static int load_groups(struct load_call *call)
{
    uint64_t first = call->chunk * (CHUNK_BLOCKS / GROUP_BLOCKS);
    struct key from;
    struct key end;
    key_make2(&from, KEY_GROUP, call->map_id, first);
    key_make2(&end, KEY_GROUP, call->map_id, first + CHUNK_BLOCKS / GROUP_BLOCKS);
    struct records *iterator;
    int err = records_scan(call->volume, call->inode->id, &from, &end, &iterator);
    if (err < 0)
        return err;
    struct slice key;
    struct slice value;
    while ((err = records_next(iterator, &key, &value)) == 1) {
        uint64_t numbers[2];
        err = -EBADMSG;
        if (key_parse(key, KEY_GROUP, 2, numbers))
            err = group_decode(value, call->blocks + (numbers[1] - first) * GROUP_BLOCKS);
        if (err < 0)
            break;
    }
    records_end(iterator);
    return err;
}

/* The value of an s record: version, checksum, bytes. */
static int decode_small(struct slice value, struct block *out_block)
{
    int err = value_open(&value);
    if (err < 0)
        return err;
    if (value.size < 8 || value.size > 8 + BLOCK_BYTES)
        return -EBADMSG;
    struct block_buffer *buffer = block_buffer_new(value.data + 8, value.size - 8);
    if (buffer == NULL)
        return -ENOMEM;
    *out_block = block_of_buffer(buffer);
    if (out_block->checksum != load_be64(value.data)) {
        block_put(*out_block);
        *out_block = (struct block){ .kind = BLOCK_HOLE };
        return -EBADMSG;
    }
    return 0;
}

static int load_small(struct load_call *call)
{
    uint64_t first = call->chunk * CHUNK_BLOCKS;
    struct key from;
    struct key end;
    key_make2(&from, KEY_SMALL, call->map_id, first);
    key_make2(&end, KEY_SMALL, call->map_id, first + CHUNK_BLOCKS);
    struct records *iterator;
    int err = records_scan(call->volume, call->inode->id, &from, &end, &iterator);
    if (err < 0)
        return err;
    struct slice key;
    struct slice value;
    while ((err = records_next(iterator, &key, &value)) == 1) {
        uint64_t numbers[2];
        struct block block;
        err = key_parse(key, KEY_SMALL, 2, numbers) ? decode_small(value, &block) : -EBADMSG;
        if (err < 0)
            break;
        block_put(call->blocks[numbers[1] - first]);
        call->blocks[numbers[1] - first] = block;
    }
    records_end(iterator);
    return err;
}

/* Makes what was loaded a chunk, unless another was faster. */
static int add_loaded_locked(struct file *file, const struct load_call *call) REQUIRES(file->lock)
{
    if (file_chunk_locked(file, call->chunk) != NULL)
        return 0;
    if (file->version != call->version)
        return -EAGAIN;
    struct chunk *chunk = file_add_chunk_locked(file, call->chunk);
    if (chunk == NULL)
        return -ENOMEM;
    for (uint32_t i = CHUNK_BLOCKS; i > 0; i--) {
        if (call->blocks[i - 1].kind == BLOCK_HOLE)
            continue;
        if (chunk_reserve_locked(file, chunk, i - 1) < 0) {
            file_drop_chunk_locked(file, chunk);
            return -ENOMEM;
        }
        chunk->current[i - 1] = call->blocks[i - 1];
        block_get(chunk->current[i - 1]);
    }
    return 0;
}

static void load_on_pool(void *argument)
{
    struct load_call *call = argument;
    call->blocks = calloc(CHUNK_BLOCKS, sizeof *call->blocks);
    if (call->blocks == NULL) {
        call->result = -ENOMEM;
        return;
    }
    int err = call->has_segment_blocks ? load_groups(call) : 0;
    if (err == 0 && call->has_small_blocks)
        err = load_small(call);
    if (err == 0) {
        mutex_lock(&call->file->lock);
        err = add_loaded_locked(call->file, call);
        mutex_unlock(&call->file->lock);
    }
    for (uint32_t i = 0; i < CHUNK_BLOCKS; i++)
        block_put(call->blocks[i]);
    free(call->blocks);
    if (err == -EBADMSG || err == -EPROTO) {
        LOG_ERROR("block map is damaged", "fs=%s inode=%" PRIu64 " error=%d", call->volume->fs_id,
            call->inode->id, err);
        err = -EIO;
    }
    call->result = err;
}

/* 0: the chunk is in memory now. 1: the database holds nothing of it, and `add_empty` is false.
 * -EAGAIN: look again. */
static int load_chunk(
    struct volume *volume, struct inode *inode, struct file *file, uint64_t index, bool add_empty)
{
    struct load_call call = { .volume = volume, .inode = inode, .file = file, .chunk = index };
    mutex_lock(&file->lock);
    call.version = file->version;
    bool is_cut = index >= file->cut.first && index < file->cut.end;
    mutex_unlock(&file->lock);
    struct inode_shard *shard = inode_shard_of(&volume->inodes, inode->id);
    mutex_lock(&shard->lock);
    bool is_inside = !is_cut && index * CHUNK_BLOCKS * BLOCK_BYTES < inode->durable_size;
    call.map_id = inode->record.map_id;
    call.has_segment_blocks = is_inside && inode->record.segment_blocks > 0;
    call.has_small_blocks = is_inside && inode->record.small_blocks > 0;
    mutex_unlock(&shard->lock);
    if (call.has_segment_blocks || call.has_small_blocks) {
        pool_call(volume->engine->pool, load_on_pool, &call);
        return call.result;
    }
    if (!add_empty)
        return 1;
    int err = 0;
    mutex_lock(&file->lock);
    if (file_chunk_locked(file, index) == NULL) {
        if (file->version != call.version)
            err = -EAGAIN;
        else if (file_add_chunk_locked(file, index) == NULL)
            err = -ENOMEM;
    }
    mutex_unlock(&file->lock);
    return err;
}

int map_load(struct volume *volume, struct inode *inode, uint64_t first)
{
    struct file *file;
    int err = data_file(volume, inode, &file);
    while (err == 0) {
        mutex_lock(&file->lock);
        bool is_loaded = file_chunk_locked(file, first / CHUNK_BLOCKS) != NULL;
        mutex_unlock(&file->lock);
        if (is_loaded)
            return 0;
        err = load_chunk(volume, inode, file, first / CHUNK_BLOCKS, true);
        if (err == -EAGAIN)
            err = 0;
    }
    return err;
}

/* False: the chunk is not in memory. */
static bool copy_loaded(struct file *file, uint64_t first, uint32_t count, struct block *out_blocks)
{
    mutex_lock(&file->lock);
    struct chunk *chunk = file_chunk_locked(file, first / CHUNK_BLOCKS);
    for (uint32_t i = 0; i < count && chunk != NULL; i++) {
        out_blocks[i] = chunk_current(chunk, (uint32_t)(first % CHUNK_BLOCKS) + i);
        block_get(out_blocks[i]);
    }
    mutex_unlock(&file->lock);
    return chunk != NULL;
}

int map_copy(struct volume *volume, struct inode *inode, uint64_t first, uint32_t count,
    struct block *out_blocks)
{
    assert(first % CHUNK_BLOCKS + count <= CHUNK_BLOCKS);
    struct file *file;
    int err = data_file(volume, inode, &file);
    if (err < 0)
        return err;
    for (;;) {
        if (copy_loaded(file, first, count, out_blocks))
            return 0;
        err = load_chunk(volume, inode, file, first / CHUNK_BLOCKS, false);
        if (err == 1) { /* nothing of it was ever written */
            memset(out_blocks, 0, count * sizeof *out_blocks);
            return 0;
        }
        if (err < 0 && err != -EAGAIN)
            return err;
    }
}

int map_read(struct volume *volume, struct inode *inode, uint64_t first, uint32_t count,
    struct block *out_blocks)
{
    struct load_call call = { .volume = volume, .inode = inode };
    struct inode_shard *shard = inode_shard_of(&volume->inodes, inode->id);
    mutex_lock(&shard->lock);
    call.map_id = inode->record.map_id;
    bool has_segment_blocks = inode->record.segment_blocks > 0;
    bool has_small_blocks = inode->record.small_blocks > 0;
    mutex_unlock(&shard->lock);
    uint32_t done = 0;
    int err = 0;
    while (err == 0 && done < count) {
        struct block blocks[CHUNK_BLOCKS] = { 0 };
        uint32_t from = (uint32_t)((first + done) % CHUNK_BLOCKS);
        uint32_t part = min_u32(count - done, CHUNK_BLOCKS - from);
        call.chunk = (first + done) / CHUNK_BLOCKS;
        call.blocks = blocks;
        if (has_segment_blocks)
            err = load_groups(&call);
        if (err == 0 && has_small_blocks)
            err = load_small(&call);
        for (uint32_t i = 0; i < CHUNK_BLOCKS; i++) {
            bool is_wanted = err == 0 && i >= from && i < from + part;
            if (is_wanted)
                out_blocks[done + i - from] = blocks[i];
            else
                block_put(blocks[i]);
        }
        done += part;
    }
    return err == -EBADMSG || err == -EPROTO ? -EIO : err;
}
