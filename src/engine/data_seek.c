/*
 * engine/data_seek.c - where data and holes of a file begin (room: engine).
 *
 * Chunks in memory say what readers see; where there is none the database does. Only chunks that hold an answer are
 * loaded: ranges of the database that are empty, or full, are stepped over.
 */
#include "base/log.h"
#include "engine/data.h"
#include "engine/records.h"
#include "io/pool.h"

#define FULL_GROUPS_MAX 65536u /* stepped over in one turn on the pool: 8 GiB of file */

struct scan {
    struct volume *volume;
    struct inode *inode;
    uint64_t map_id;
    uint64_t block; /* in: from here; out: the block of the first record at or behind it */
    int result;     /* 1: there is one */
};

/* The first record of `kind` at or behind the block, of `per_record` blocks each. */
static int next_record(struct scan *scan, enum key_kind kind, uint64_t per_record, uint64_t *out)
{
    struct key from;
    struct key end;
    key_make2(&from, kind, scan->map_id, scan->block / per_record);
    key_make1(&end, kind, scan->map_id + 1);
    struct records *iterator;
    int err = records_scan(scan->volume, scan->inode->id, &from, &end, &iterator);
    if (err < 0)
        return err;
    struct slice key;
    struct slice value;
    uint64_t numbers[2];
    err = records_next(iterator, &key, &value);
    if (err == 1 && !key_parse(key, kind, 2, numbers))
        err = -EBADMSG;
    if (err == 1)
        *out = numbers[1] * per_record;
    records_end(iterator);
    return err;
}

static void next_stored_on_pool(void *argument)
{
    struct scan *scan = argument;
    uint64_t group = UINT64_MAX;
    uint64_t small = UINT64_MAX;
    int err = next_record(scan, KEY_GROUP, GROUP_BLOCKS, &group);
    if (err >= 0)
        err = min_int(next_record(scan, KEY_SMALL, 1, &small), 0);
    scan->result = err < 0 ? err : group != UINT64_MAX || small != UINT64_MAX;
    if (scan->result == 1)
        scan->block = max_u64(scan->block, min_u64(group, small));
}

/* Steps over groups whose blocks are all mapped. */
static void skip_full_on_pool(void *argument)
{
    struct scan *scan = argument;
    struct key from;
    struct key end;
    uint64_t group = scan->block / GROUP_BLOCKS;
    uint64_t limit = group + FULL_GROUPS_MAX;
    key_make2(&from, KEY_GROUP, scan->map_id, group);
    key_make2(&end, KEY_GROUP, scan->map_id, limit);
    struct records *iterator;
    int err = records_scan(scan->volume, scan->inode->id, &from, &end, &iterator);
    if (err < 0) {
        scan->result = err;
        return;
    }
    struct slice key;
    struct slice value;
    bool is_full = true;
    while (is_full && (err = records_next(iterator, &key, &value)) == 1) {
        struct block blocks[GROUP_BLOCKS] = { 0 };
        uint64_t numbers[2];
        err = key_parse(key, KEY_GROUP, 2, numbers) ? group_decode(value, blocks) : -EBADMSG;
        if (err < 0)
            break;
        is_full = numbers[1] == group;
        for (uint32_t i = 0; i < GROUP_BLOCKS; i++)
            is_full = is_full && blocks[i].kind != BLOCK_HOLE;
        group += is_full;
    }
    records_end(iterator);
    scan->block = max_u64(scan->block, group * GROUP_BLOCKS);
    scan->result = min_int(err, 0);
}

static int run_scan(struct scan *scan, void (*function)(void *argument))
{
    struct inode_shard *shard = inode_shard_of(&scan->volume->inodes, scan->inode->id);
    mutex_lock(&shard->lock);
    scan->map_id = scan->inode->record.map_id;
    mutex_unlock(&shard->lock);
    pool_call(scan->volume->engine->pool, function, scan);
    if (scan->result == -EBADMSG || scan->result == -EPROTO) {
        LOG_ERROR("block map is damaged", "fs=%s inode=%" PRIu64 " error=%d", scan->volume->fs_id,
            scan->inode->id, scan->result);
        return -EIO;
    }
    return scan->result;
}

/* Where in the file a chunk in memory begins, at or behind chunk `index`; UINT64_MAX: none. */
static uint64_t next_loaded_locked(const struct file *file, uint64_t index)
{
    uint64_t next = UINT64_MAX;
    for (uint32_t i = 0; i <= file->mask; i++) {
        for (const struct chunk *it = file->table[i]; it != NULL; it = it->hash_next) {
            if (it->index >= index)
                next = min_u64(next, it->index);
        }
    }
    return next;
}

enum found { FOUND, NOT_HERE, NOT_LOADED };

static bool is_hole(const struct chunk *chunk, uint32_t at)
{
    struct block block = chunk_current(chunk, at);
    return block.kind == BLOCK_HOLE;
}

/* Looks from *block on in its chunk: FOUND at *block, NOT_HERE: *block is behind it, NOT_LOADED: *block is where the
 * next chunk in memory begins, or UINT64_MAX. */
static enum found look(struct file *file, bool wants_data, uint64_t *block, uint64_t *out_loaded)
{
    enum found found = NOT_HERE;
    mutex_lock(&file->lock);
    uint64_t index = *block / CHUNK_BLOCKS;
    const struct chunk *chunk = file_chunk_locked(file, index);
    if (chunk == NULL && index >= file->cut.first && index < file->cut.end) {
        if (wants_data)
            *block = file->cut.end * CHUNK_BLOCKS;
        else
            found = FOUND;
    } else if (chunk == NULL) {
        found = NOT_LOADED;
        *out_loaded = wants_data ? next_loaded_locked(file, index) : 0;
    } else {
        uint32_t at = (uint32_t)(*block % CHUNK_BLOCKS);
        while (at < CHUNK_BLOCKS && is_hole(chunk, at) == wants_data)
            at++;
        *block = index * CHUNK_BLOCKS + at;
        if (at < CHUNK_BLOCKS)
            found = FOUND;
    }
    mutex_unlock(&file->lock);
    return found;
}

/* *block is in no chunk in memory: goes on to one that may have data, and loads it. -ENXIO: none follows. */
static int step_to_data(struct scan *scan, uint64_t loaded, uint64_t *block)
{
    scan->block = *block;
    int err = run_scan(scan, next_stored_on_pool);
    if (err < 0)
        return err;
    uint64_t stored = err == 1 ? scan->block / CHUNK_BLOCKS : UINT64_MAX;
    uint64_t next = min_u64(stored, loaded);
    if (next == UINT64_MAX)
        return -ENXIO;
    *block = max_u64(*block, next * CHUNK_BLOCKS);
    return map_load(scan->volume, scan->inode, *block);
}

static int step_to_hole(struct scan *scan, struct file *file, uint64_t *block)
{
    scan->block = *block;
    int err = run_scan(scan, skip_full_on_pool);
    if (err < 0)
        return err;
    /* Chunks in memory on the way know better: stops at the first. */
    mutex_lock(&file->lock);
    uint64_t loaded = next_loaded_locked(file, *block / CHUNK_BLOCKS);
    loaded = min_u64(loaded, file->cut.end > *block / CHUNK_BLOCKS ? file->cut.first : UINT64_MAX);
    mutex_unlock(&file->lock);
    uint64_t limit = loaded == UINT64_MAX ? UINT64_MAX : max_u64(loaded * CHUNK_BLOCKS, *block);
    *block = min_u64(scan->block, limit);
    return map_load(scan->volume, scan->inode, *block);
}

static int seek_block(struct volume *volume, struct inode *inode, bool wants_data,
    uint64_t end_block, uint64_t *block)
{
    struct file *file;
    int err = data_file(volume, inode, &file);
    struct scan scan = { .volume = volume, .inode = inode };
    while (err == 0 && *block < end_block) {
        uint64_t loaded = UINT64_MAX;
        enum found found = look(file, wants_data, block, &loaded);
        if (found == FOUND)
            return 0;
        if (found == NOT_LOADED)
            err =
                wants_data ? step_to_data(&scan, loaded, block) : step_to_hole(&scan, file, block);
    }
    return err;
}

int data_seek(struct fs *fs, struct fs_node node, uint64_t offset, enum fs_seek_what what,
    uint64_t *out_offset)
{
    struct volume *volume = volume_of(fs);
    struct inode *inode;
    struct fs_attr attr;
    int err = inode_acquire_node(volume, node, &inode, &attr);
    if (err < 0)
        return err;
    bool wants_data = what == FS_SEEK_DATA;
    uint64_t block = offset / BLOCK_BYTES;
    if (attr.type != FS_REGULAR)
        err = attr.type == FS_DIRECTORY ? -EISDIR : -EINVAL;
    else if (offset >= attr.size_bytes)
        err = -ENXIO;
    if (err == 0)
        err = seek_block(volume, inode, wants_data,
            round_up(attr.size_bytes, BLOCK_BYTES) / BLOCK_BYTES, &block);
    uint64_t found = max_u64(offset, block * BLOCK_BYTES);
    if (err == 0 && wants_data && found >= attr.size_bytes)
        err = -ENXIO;
    if (err == 0)
        *out_offset = min_u64(found, attr.size_bytes);
    inode_unpin(&volume->inodes, inode);
    return err;
}
