/*
 * engine/reclaim.c - deleting the data of what was removed, and giving its space back (room:
 * engine).
 *
 * An o record names a map whose data goes. Its blocks are freed in batches of bounded size, and
 * with the last one the record goes too; so it resumes where a crash stopped it.
 */
#include "engine/reclaim.h"

#include <stdlib.h>

#include "base/log.h"
#include "engine/volume.h"

#define STEP_RECORDS       512u  /* of one batch */
#define PUNCHES_MAX        256u  /* of one run */
#define CHECKPOINT_BATCHES 4096u /* after so many, their f records are folded */

struct op_reap {
    struct request request;
    struct orphan *orphan;
    struct key keys[STEP_RECORDS]; /* x and s records that go */
    uint32_t key_count;
    struct block_range ranges[STEP_RECORDS * 4]; /* their blocks */
    uint32_t range_count;
    bool is_last; /* nothing is left: the o and i records go */
};

static int op_reap_execute(struct batch *batch, struct request *request)
{
    struct op_reap *op = CONTAINER_OF(request, struct op_reap, request);
    int err = batch_reserve(batch, op->range_count);
    if (err < 0)
        return err;
    for (uint32_t i = 0; i < op->key_count; i++)
        batch_delete(batch, &op->keys[i]);
    for (uint32_t i = 0; i < op->range_count; i++)
        batch_add_range(batch, op->ranges[i].address, op->ranges[i].count, false);
    if (op->is_last) {
        struct key key;
        key_make1(&key, KEY_ORPHAN, op->orphan->id);
        batch_delete(batch, &key);
        key_make1(
            &key, KEY_INODE, op->orphan->id); /* an old map has none; deleting nothing is fine */
        batch_delete(batch, &key);
    }
    return 0;
}

static bool add_ranges(struct op_reap *op, const struct block *blocks)
{
    if (ARRAY_SIZE(op->ranges) - op->range_count < GROUP_BLOCKS)
        return false;
    for (uint32_t i = 0; i < GROUP_BLOCKS; i++) {
        if (blocks[i].kind != BLOCK_SEGMENT)
            continue;
        struct block_range *last = op->range_count == 0 ? NULL : &op->ranges[op->range_count - 1];
        if (last != NULL && last->address + last->count == blocks[i].address)
            last->count++;
        else
            op->ranges[op->range_count++] = (struct block_range){ blocks[i].address, 1, false };
    }
    return true;
}

/* Collects records of one kind while there is room: 1: that was all; 0: more is left. */
static int collect(struct volume *volume, struct op_reap *op, enum key_kind kind)
{
    struct key from;
    struct key end;
    key_make1(&from, kind, op->orphan->map_id);
    key_make1(&end, kind, op->orphan->map_id + 1);
    struct store_iterator *iterator;
    int err = store_scan(volume->store, &from, &end, &iterator);
    if (err < 0)
        return err;
    struct slice name;
    struct slice value;
    int result = 1;
    while ((err = store_scan_next(iterator, &name, &value)) == 1) {
        struct block blocks[GROUP_BLOCKS] = { 0 };
        uint64_t numbers[2];
        if (!key_parse(name, kind, 2, numbers)) {
            err = -EBADMSG;
            break;
        }
        if (kind == KEY_GROUP && group_decode(value, blocks) < 0) {
            err = -EBADMSG;
            break;
        }
        if (op->key_count == STEP_RECORDS || !add_ranges(op, blocks)) {
            result = 0;
            break;
        }
        key_make2(&op->keys[op->key_count++], kind, numbers[0], numbers[1]);
    }
    store_scan_end(iterator);
    return err < 0 ? err : result;
}

/* Deletes all data of one orphan. */
static int reap(struct volume *volume, struct orphan *orphan)
{
    struct op_reap *op = malloc(sizeof *op);
    if (op == NULL)
        return -ENOMEM;
    int err = 0;
    do {
        op->request = (struct request){ .execute = op_reap_execute, .frees_space = true };
        op->orphan = orphan;
        op->key_count = 0;
        op->range_count = 0;
        int groups = collect(volume, op, KEY_GROUP);
        int small = groups == 1 ? collect(volume, op, KEY_SMALL) : 0;
        op->is_last = groups == 1 && small == 1;
        err = groups < 0 ? groups : small < 0 ? small : 0;
        if (err == 0)
            err = committer_submit(&volume->committer, &op->request);
    } while (err == 0 && !op->is_last && !volume->background.is_stopping);
    free(op);
    return err;
}

void background_add_orphan(struct volume *volume, uint64_t id, uint64_t map_id)
{
    struct background *background = &volume->background;
    struct orphan *orphan = malloc(sizeof *orphan);
    if (orphan == NULL)
        return;
    orphan->id = id;
    orphan->map_id = map_id;
    mutex_lock(&background->lock);
    list_add_tail(&background->orphans, &orphan->link);
    mutex_unlock(&background->lock);
}

static struct orphan *next_orphan(struct volume *volume)
{
    struct background *background = &volume->background;
    struct orphan *orphan = NULL;
    mutex_lock(&background->lock);
    if (!list_is_empty(&background->orphans)) {
        orphan = LIST_ENTRY(background->orphans.next, struct orphan, link);
        list_remove(&orphan->link);
    }
    mutex_unlock(&background->lock);
    return orphan;
}

struct op_checkpoint {
    struct request request;
    struct batch *batch;
    uint8_t *value; /* room for one g record */
    bool is_last;
};

static void put_segment(void *context, uint64_t id, const struct segment *segment)
{
    struct op_checkpoint *op = context;
    const struct segments *segments = &op->batch->volume->segments;
    struct key key;
    key_make1(&key, KEY_SEGMENT, id);
    if (segment == NULL) {
        batch_delete(op->batch, &key);
        return;
    }
    segment_record_encode(segments, segment, op->value);
    batch_put(op->batch, &key, slice_of(op->value, segment_record_bytes(segments)));
}

/* What memory knows is true up to the batch before this one: so f records up to there are folded.
 */
static int op_checkpoint_execute(struct batch *batch, struct request *request)
{
    struct op_checkpoint *op = CONTAINER_OF(request, struct op_checkpoint, request);
    op->batch = batch;
    segments_visit_changed(&batch->volume->segments, put_segment, op);
    for (uint64_t i = batch->state.freed_from; i <= batch->state.batch; i++) {
        struct key key;
        key_make1(&key, KEY_FREED, i);
        batch_delete(batch, &key);
    }
    batch->state.freed_from = batch->state.batch + 1;
    batch->state.is_clean = op->is_last;
    batch->volume->background.checkpoint_batch = batch->state.batch;
    batch->has_writes = true;
    return 0;
}

int reclaim_checkpoint(struct volume *volume, bool is_last)
{
    struct op_checkpoint op = {
        .request = { .execute = op_checkpoint_execute, .frees_space = true }, .is_last = is_last
    };
    op.value = malloc(segment_record_bytes(&volume->segments));
    if (op.value == NULL)
        return -ENOMEM;
    int err = committer_submit(&volume->committer, &op.request);
    free(op.value);
    return err;
}

static bool checkpoint_is_due(struct volume *volume)
{
    return volume->batch_number - volume->background.checkpoint_batch >= CHECKPOINT_BATCHES;
}

bool reclaim_is_due(struct volume *volume)
{
    struct background *background = &volume->background;
    mutex_lock(&background->lock);
    bool has_orphans = !list_is_empty(&background->orphans);
    mutex_unlock(&background->lock);
    return has_orphans || segments_reclaim_is_due(&volume->segments) || checkpoint_is_due(volume);
}

void reclaim_run(struct volume *volume)
{
    struct orphan *orphan;
    while (!volume->background.is_stopping && (orphan = next_orphan(volume)) != NULL) {
        int err = reap(volume, orphan);
        if (err < 0 && !volume->is_failed)
            LOG_WARN("data of a removed file could not be deleted; tried again at the next opening",
                "fs=%s id=%" PRIu64 " error=%d", volume->fs_id, orphan->id, err);
        free(orphan);
    }
    (void)segments_reclaim(&volume->segments, PUNCHES_MAX, volume_is_nearly_full(volume));
    if (checkpoint_is_due(volume) && reclaim_checkpoint(volume, false) < 0)
        LOG_WARN("freed blocks could not be folded", "fs=%s", volume->fs_id);
}

/* Whose data the o record is about. */
static int orphan_map(struct volume *volume, uint64_t id, struct slice value, uint64_t *out_map)
{
    *out_map = id;
    int err = value_open(&value);
    if (err < 0 || (value.size >= 1 && value.data[0] == 1))
        return err; /* a map without an inode */
    struct key key;
    key_make1(&key, KEY_INODE, id);
    struct store_value stored;
    err = store_get(volume->store, &key, &stored);
    if (err == -ENOENT)
        return 0;
    if (err < 0)
        return err;
    struct inode_record record;
    struct slice symlink;
    err = inode_record_decode(stored.data, id, &record, &symlink);
    if (err == 0)
        *out_map = record.map_id;
    store_value_release(&stored);
    return err;
}

int reclaim_load_orphans(struct volume *volume)
{
    struct key from;
    struct key end;
    key_make0(&from, KEY_ORPHAN);
    key_make0(&end, (enum key_kind)(KEY_ORPHAN + 1));
    struct store_iterator *iterator;
    int err = store_scan(volume->store, &from, &end, &iterator);
    if (err < 0)
        return err;
    struct slice name;
    struct slice value;
    while ((err = store_scan_next(iterator, &name, &value)) == 1) {
        uint64_t id;
        uint64_t map_id;
        err =
            key_parse(name, KEY_ORPHAN, 1, &id) ? orphan_map(volume, id, value, &map_id) : -EBADMSG;
        if (err < 0)
            break;
        background_add_orphan(volume, id, map_id);
    }
    store_scan_end(iterator);
    return err;
}

static int load_segment_records(struct volume *volume)
{
    struct key from;
    struct key end;
    key_make0(&from, KEY_SEGMENT);
    key_make0(&end, (enum key_kind)(KEY_SEGMENT + 1));
    struct store_iterator *iterator;
    int err = store_scan(volume->store, &from, &end, &iterator);
    if (err < 0)
        return err;
    struct slice name;
    struct slice value;
    while ((err = store_scan_next(iterator, &name, &value)) == 1) {
        uint64_t id;
        err = key_parse(name, KEY_SEGMENT, 1, &id) ? segments_load(&volume->segments, id, value)
                                                   : -EBADMSG;
        if (err < 0)
            break;
    }
    store_scan_end(iterator);
    return err;
}

/* Applies the ranges of one f record. */
static int apply_freed(struct volume *volume, struct slice value)
{
    int err = value_open(&value);
    while (err == 0 && value.size > 0) {
        struct block_range range;
        err = block_range_decode(&value, &range);
        if (err < 0)
            break;
        uint64_t first = range.address % volume->segment_blocks;
        if (first + range.count > volume->segment_blocks)
            return -EBADMSG;
        struct slice none = { 0 };
        err = segments_load(&volume->segments, range.address / volume->segment_blocks, none);
        if (err == 0)
            segments_apply(&volume->segments, &range);
    }
    return err;
}

int reclaim_load_segments(struct volume *volume, const struct volume_state *state)
{
    int err = load_segment_records(volume);
    if (err < 0)
        return err;
    struct key from;
    struct key end;
    key_make1(&from, KEY_FREED, state->freed_from);
    key_make0(&end, (enum key_kind)(KEY_FREED + 1));
    struct store_iterator *iterator;
    err = store_scan(volume->store, &from, &end, &iterator);
    if (err < 0)
        return err;
    struct slice name;
    struct slice value;
    while ((err = store_scan_next(iterator, &name, &value)) == 1) {
        err = apply_freed(volume, value);
        if (err < 0)
            break;
    }
    store_scan_end(iterator);
    return err < 0 ? err : segments_reconcile(&volume->segments);
}
