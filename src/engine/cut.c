/*
 * engine/cut.c - freeing many blocks of a file that lives on, in steps (room: engine).
 *
 * Cutting a huge file, or deallocating much of one, makes the blocks a hole for readers at once: a batch that a `t`
 * record goes with, and a range of chunks that are not loaded from the database any more. The reaper frees them, some
 * in each batch, and holds the turn at the file (its gate) until the last: so nobody writes where old blocks are still
 * mapped. A crash, or closing, leaves the record; the next opening goes on before anybody can write.
 */
#include <stdlib.h>

#include "base/bytes.h"
#include "base/log.h"
#include "engine/data_remap.h"
#include "engine/reclaim.h"
#include "engine/records.h"
#include "engine/usage.h"

#define CUT_BYTES 25u /* of the record: version, map, first and end chunk */

struct cut {
    struct list link;
    struct inode *inode; /* pinned */
    uint64_t map_id;
    uint64_t first; /* chunks */
    uint64_t end;
};

struct op_cut {
    struct request request;
    struct cut *cut;
    struct reclaim_step step;
    bool is_last;
};

void cut_put(
    struct batch *batch, const struct inode *inode, uint64_t map_id, const struct cut_range *range)
{
    uint8_t value[CUT_BYTES] = { 1 };
    store_be64(value + 1, map_id);
    store_be64(value + 9, range->first);
    store_be64(value + 17, range->end);
    struct key key;
    key_make1(&key, KEY_CUT, inode->id);
    batch_put(batch, &key, slice_of(value, sizeof value));
}

void cut_show(struct file *file, const struct cut_range *range)
{
    for (uint32_t i = 0; i <= file->mask; i++) {
        struct chunk *chunk = file->table[i];
        while (chunk != NULL) {
            struct chunk *next = chunk->hash_next;
            if (chunk->index >= range->first && chunk->index < range->end)
                file_drop_chunk_locked(file, chunk);
            chunk = next;
        }
    }
    file->cut = *range;
}

int cut_new(struct cut **out_cut)
{
    *out_cut = calloc(1, sizeof **out_cut);
    return *out_cut == NULL ? -ENOMEM : 0;
}

void cut_free(struct cut *cut)
{
    free(cut);
}

static void add(struct volume *volume, struct list *list, struct cut *cut)
{
    mutex_lock(&volume->background.lock);
    list_add_tail(list, &cut->link);
    mutex_unlock(&volume->background.lock);
}

void cut_start(struct volume *volume, struct cut *cut, struct inode *inode)
{
    struct inode_shard *shard = inode_shard_of(&volume->inodes, inode->id);
    inode_pin_again(&volume->inodes, inode);
    cut->inode = inode;
    cut->first = inode->file->cut.first;
    cut->end = inode->file->cut.end;
    mutex_lock(&shard->lock);
    cut->map_id = inode->record.map_id;
    mutex_unlock(&shard->lock);
    add(volume, &volume->background.cuts, cut);
    background_tick(volume);
}

static int op_cut_execute(struct batch *batch, struct request *request)
{
    struct op_cut *op = CONTAINER_OF(request, struct op_cut, request);
    struct inode *inode = op->cut->inode;
    int err = batch_reserve(batch, op->step.range_count + 4);
    if (err < 0)
        return err;
    struct pending *pending = batch_touch(batch, inode);
    struct inode_record *record = &pending->record;
    if (pending->is_gone || inode->is_doomed || record->map_id != op->cut->map_id)
        return -ESTALE; /* the whole map goes, and the record with it */
    err = usage_prepare_home(batch, pending);
    if (err < 0)
        return err;
    reclaim_step_apply(batch, &op->step);
    record->segment_blocks -= op->step.segment_blocks;
    record->small_blocks -= op->step.small_blocks;
    uint64_t freed = (op->step.segment_blocks + op->step.small_blocks) * BLOCK_BYTES;
    if (record->attr.link_count > 0)
        batch->state.used_bytes -= min_u64(batch->state.used_bytes, freed);
    record->attr.space_used_bytes = (record->segment_blocks + record->small_blocks) * BLOCK_BYTES;
    pending->sets_size = true; /* nobody writes meanwhile: the durable size is what readers see */
    pending->is_changed = true;
    if (op->is_last) {
        struct key key;
        key_make1(&key, KEY_CUT, inode->id);
        batch_delete(batch, &key);
    }
    return 0;
}

static void op_cut_publish(struct batch *batch, struct request *request)
{
    struct op_cut *op = CONTAINER_OF(request, struct op_cut, request);
    struct file *file = op->cut->inode->file;
    (void)batch;
    if (!op->is_last)
        return;
    mutex_lock(&file->lock);
    file->version++;
    file->cut = (struct cut_range){ 0 };
    mutex_unlock(&file->lock);
}

static int free_all(struct volume *volume, struct cut *cut)
{
    struct op_cut *op = malloc(sizeof *op);
    if (op == NULL)
        return -ENOMEM;
    int err = 0;
    bool is_last = false;
    while (err == 0 && !is_last) {
        if (volume->background.is_stopping) {
            err = -EINTR;
            break;
        }
        op->request = (struct request){
            .execute = op_cut_execute, .publish = op_cut_publish, .frees_space = true
        };
        op->cut = cut;
        reclaim_step_init(&op->step);
        struct reclaim_range range = { cut->map_id, cut->first * (CHUNK_BLOCKS / GROUP_BLOCKS),
            cut->end * (CHUNK_BLOCKS / GROUP_BLOCKS) };
        int groups = reclaim_collect(volume, &op->step, KEY_GROUP, &range);
        range = (struct reclaim_range){ cut->map_id, cut->first * CHUNK_BLOCKS,
            cut->end * CHUNK_BLOCKS };
        int small = groups == 1 ? reclaim_collect(volume, &op->step, KEY_SMALL, &range) : 0;
        err = groups < 0 ? groups : min_int(small, 0);
        op->is_last = groups == 1 && small == 1;
        if (err == 0)
            err = committer_submit(&volume->committer, &op->request);
        is_last = op->is_last;
    }
    free(op);
    return err == -ESTALE ? 0 : err;
}

static struct cut *take(struct volume *volume)
{
    struct background *background = &volume->background;
    struct cut *cut = NULL;
    mutex_lock(&background->lock);
    if (!list_is_empty(&background->cuts)) {
        cut = LIST_ENTRY(background->cuts.next, struct cut, link);
        list_remove(&cut->link);
    }
    mutex_unlock(&background->lock);
    return cut;
}

bool cut_is_due(struct volume *volume)
{
    mutex_lock(&volume->background.lock);
    bool is_due = !list_is_empty(&volume->background.cuts);
    mutex_unlock(&volume->background.lock);
    return is_due;
}

bool cut_run(struct volume *volume)
{
    struct cut *cut = take(volume);
    if (cut == NULL)
        return false;
    int err = free_all(volume, cut);
    if (err == 0) {
        gate_leave(&cut->inode->file->gate);
        inode_unpin(&volume->inodes, cut->inode);
        free(cut);
        return true;
    }
    if (volume->is_failed || err == -EINTR) {
        /* The file stays in memory, or its old blocks would be read again. */
        gate_leave(&cut->inode->file->gate);
        add(volume, &volume->background.stopped_cuts, cut);
    } else {
        LOG_WARN("blocks of a file that was cut could not be freed yet",
            "fs=%s inode=%" PRIu64 " error=%d", volume->fs_id, cut->inode->id, err);
        add(volume, &volume->background.cuts, cut);
    }
    return false;
}

void cut_stop(struct volume *volume)
{
    struct cut *cut;
    while ((cut = take(volume)) != NULL) {
        gate_leave(&cut->inode->file->gate);
        add(volume, &volume->background.stopped_cuts, cut);
    }
}

void cut_fini(struct volume *volume)
{
    LIST_FOR_EACH_SAFE(node, &volume->background.stopped_cuts)
    {
        struct cut *cut = LIST_ENTRY(node, struct cut, link);
        list_remove(node);
        inode_unpin(&volume->inodes, cut->inode);
        free(cut);
    }
}

int cut_load_in_snapshot(struct volume *volume, struct inode *inode, uint64_t map_id)
{
    struct key key;
    struct store_value stored;
    key_make1(&key, KEY_CUT, id_number(inode->id));
    int err = records_get(volume, inode->id, &key, &stored);
    if (err < 0)
        return err == -ENOENT ? 0 : err;
    struct slice value = stored.data;
    struct file *file = NULL;
    err = value_open(&value);
    if (err == 0 && value.size < CUT_BYTES - 1)
        err = -EBADMSG;
    if (err == 0 && load_be64(value.data) == map_id)
        err = data_file(volume, inode, &file);
    if (err == 0 && file != NULL) {
        mutex_lock(&file->lock);
        file->cut = (struct cut_range){ load_be64(value.data + 8), load_be64(value.data + 16) };
        mutex_unlock(&file->lock);
    }
    store_value_release(&stored);
    return err;
}

static int load_one(struct volume *volume, uint64_t id, struct slice value)
{
    int err = value_open(&value);
    if (err < 0)
        return err;
    if (value.size < CUT_BYTES - 1)
        return -EBADMSG;
    struct cut_range range = { load_be64(value.data + 8), load_be64(value.data + 16) };
    if (range.end > CUT_END_MAX)
        return -EBADMSG;
    struct inode *inode;
    err = inode_acquire(volume, id, &inode);
    if (err < 0)
        return err == -ESTALE ? 0 : err; /* removed: all of it goes */
    struct cut *cut = NULL;
    struct file *file;
    err = data_file(volume, inode, &file);
    if (err == 0)
        err = cut_new(&cut);
    if (err == 0) {
        gate_enter(&file->gate);
        mutex_lock(&file->lock);
        file->cut = range;
        mutex_unlock(&file->lock);
        cut_start(volume, cut, inode);
    }
    inode_unpin(&volume->inodes, inode);
    return err;
}

static int load_record(void *context, struct slice key, struct slice value)
{
    uint64_t id;
    return key_parse(key, KEY_CUT, 1, &id) ? load_one(context, id, value) : -EBADMSG;
}

int cut_load(struct volume *volume)
{
    return store_each(volume->store, KEY_CUT, load_record, volume);
}
