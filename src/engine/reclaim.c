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
#include "engine/data_remap.h"
#include "engine/volume.h"

#define PUNCHES_MAX        256u  /* of one run */
#define CHECKPOINT_BATCHES 4096u /* after so many, their f records are folded */

struct op_reap {
    struct request request;
    struct orphan *orphan;
    struct reclaim_step step;
    bool is_last; /* nothing is left: the o and i records go */
};

void reclaim_step_init(struct reclaim_step *step)
{
    step->key_count = 0;
    step->range_count = 0;
    step->segment_blocks = 0;
    step->small_blocks = 0;
}

void reclaim_step_apply(struct batch *batch, const struct reclaim_step *step)
{
    for (uint32_t i = 0; i < step->key_count; i++)
        batch_delete(batch, &step->keys[i]);
    for (uint32_t i = 0; i < step->range_count; i++)
        batch_add_range(batch, step->ranges[i].address, step->ranges[i].count, false);
}

/* Nothing is left of it: what said so, and the inode's record if it has one. */
static void delete_last(struct batch *batch, const struct orphan *orphan)
{
    struct key key;
    key_make1(&key, (enum key_kind)orphan->kind, orphan->id);
    batch_delete(batch, &key);
    if (orphan->is_map) /* its number may be that of an inode that lives */
        return;
    key_make1(&key, KEY_INODE, orphan->id);
    batch_delete(batch, &key);
    key_make1(&key, KEY_CUT, orphan->id); /* if it was being cut; else nothing is deleted */
    batch_delete(batch, &key);
}

static int op_reap_execute(struct batch *batch, struct request *request)
{
    struct op_reap *op = CONTAINER_OF(request, struct op_reap, request);
    int err = batch_reserve(batch, op->step.range_count);
    if (err < 0)
        return err;
    /* Younger snapshots have no way to it. */
    versions_keep_before(batch, op->orphan->batch);
    reclaim_step_apply(batch, &op->step);
    if (op->is_last)
        delete_last(batch, op->orphan);
    versions_keep_before(batch, 0);
    return 0;
}

static bool add_ranges(struct reclaim_step *step, const struct block *blocks)
{
    if (ARRAY_SIZE(step->ranges) - step->range_count < GROUP_BLOCKS)
        return false;
    for (uint32_t i = 0; i < GROUP_BLOCKS; i++) {
        if (blocks[i].kind != BLOCK_SEGMENT)
            continue;
        struct block_range *last =
            step->range_count == 0 ? NULL : &step->ranges[step->range_count - 1];
        step->segment_blocks++;
        if (last != NULL && last->address + last->count == blocks[i].address)
            last->count++;
        else
            step->ranges[step->range_count++] = (struct block_range){ blocks[i].address, 1, false };
    }
    return true;
}

int reclaim_collect(struct volume *volume, struct reclaim_step *step, enum key_kind kind,
    const struct reclaim_range *range)
{
    struct key from;
    struct key end;
    key_make2(&from, kind, range->id, range->first);
    key_make2(&end, kind, range->id, range->end);
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
        if (step->key_count == RECLAIM_RECORDS || !add_ranges(step, blocks)) {
            result = 0;
            break;
        }
        key_make2(&step->keys[step->key_count++], kind, numbers[0], numbers[1]);
        step->small_blocks += kind == KEY_SMALL;
    }
    store_scan_end(iterator);
    return err < 0 ? err : result;
}

static int collect_all(struct volume *volume, struct op_reap *op)
{
    const struct reclaim_range map = { op->orphan->map_id, 0, UINT64_MAX };
    const struct reclaim_range inode = { op->orphan->id, 0, UINT64_MAX };
    reclaim_step_init(&op->step);
    op->is_last = false;
    int err = reclaim_collect(volume, &op->step, KEY_GROUP, &map);
    if (err == 1)
        err = reclaim_collect(volume, &op->step, KEY_SMALL, &map);
    if (err == 1 && !op->orphan->is_map)
        err = reclaim_collect(volume, &op->step, KEY_XATTR, &inode);
    op->is_last = err == 1;
    return min_int(err, 0);
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
        err = collect_all(volume, op);
        if (err == 0)
            err = committer_submit(&volume->committer, &op->request);
        while (!volume->background.is_stopping && cut_run(volume))
            continue; /* somebody may wait for these */
    } while (err == 0 && !op->is_last && !volume->background.is_stopping);
    free(op);
    return err;
}

void background_add_orphan(struct volume *volume, const struct orphan *what)
{
    struct background *background = &volume->background;
    struct orphan *orphan = malloc(sizeof *orphan);
    if (orphan == NULL)
        return;
    *orphan = *what;
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
    return has_orphans || cut_is_due(volume) || snapshot_reap_is_due(volume) ||
           segments_reclaim_is_due(&volume->segments) || checkpoint_is_due(volume);
}

/* The data of removed files, and what was cut. */
static void reap_removed(struct volume *volume)
{
    struct orphan *orphan;
    while (!volume->background.is_stopping && cut_run(volume))
        continue;
    while (!volume->background.is_stopping && (orphan = next_orphan(volume)) != NULL) {
        int err = reap(volume, orphan);
        if (err < 0 && !volume->is_failed)
            LOG_WARN("data of a removed file could not be deleted; tried again at the next opening",
                "fs=%s id=%" PRIu64 " error=%d", volume->fs_id, orphan->id, err);
        free(orphan);
    }
}

void reclaim_run(struct volume *volume)
{
    do {
        reap_removed(volume);
    } while (!volume->background.is_stopping && snapshot_reap_step(volume));
    (void)segments_reclaim(&volume->segments, PUNCHES_MAX, volume_is_nearly_full(volume));
    if (checkpoint_is_due(volume) && reclaim_checkpoint(volume, false) < 0)
        LOG_WARN("freed blocks could not be folded", "fs=%s", volume->fs_id);
}

/* Whose data the record is about. */
static int orphan_decode(struct volume *volume, struct slice value, struct orphan *orphan)
{
    int err = value_open(&value);
    orphan->map_id = orphan->id;
    orphan->is_map =
        orphan->kind == KEY_OLD_MAP || (value.size >= 1 && value.data[0] == 1); /* version 1 */
    if (err < 0 || orphan->is_map)
        return err;
    struct key key;
    key_make1(&key, KEY_INODE, orphan->id);
    struct store_value stored;
    err = store_get(volume->store, &key, &stored);
    if (err == -ENOENT)
        return 0;
    if (err < 0)
        return err;
    struct inode_record record;
    struct slice symlink;
    err = inode_record_decode(stored.data, orphan->id, &record, &symlink);
    if (err == 0)
        orphan->map_id = record.map_id;
    store_value_release(&stored);
    return err;
}

static int load_orphan(
    struct volume *volume, enum key_kind kind, struct slice key, struct slice value)
{
    struct orphan orphan = { .kind = (uint8_t)kind };
    int err =
        key_parse(key, kind, 1, &orphan.id) ? orphan_decode(volume, value, &orphan) : -EBADMSG;
    if (err == 0)
        background_add_orphan(volume, &orphan);
    return err;
}

static int load_orphan_inode(void *context, struct slice key, struct slice value)
{
    return load_orphan(context, KEY_ORPHAN, key, value);
}

static int load_old_map(void *context, struct slice key, struct slice value)
{
    return load_orphan(context, KEY_OLD_MAP, key, value);
}

int reclaim_load_orphans(struct volume *volume)
{
    int err = store_each(volume->store, KEY_ORPHAN, load_orphan_inode, volume);
    return err < 0 ? err : store_each(volume->store, KEY_OLD_MAP, load_old_map, volume);
}

static int load_segment_record(void *context, struct slice key, struct slice value)
{
    struct volume *volume = context;
    uint64_t id;
    return key_parse(key, KEY_SEGMENT, 1, &id) ? segments_load(&volume->segments, id, value)
                                               : -EBADMSG;
}

static int load_shared(void *context, struct slice key, struct slice value)
{
    struct volume *volume = context;
    uint64_t index;
    return key_parse(key, KEY_SHARED, 1, &index) ? refs_load(&volume->refs, index, value)
                                                 : -EBADMSG;
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

int reclaim_load_space(struct volume *volume, const struct volume_state *state)
{
    int err = store_each(volume->store, KEY_SEGMENT, load_segment_record, volume);
    if (err == 0)
        err = store_each(volume->store, KEY_SHARED, load_shared, volume);
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
    return err;
}

int reclaim_load_segments(struct volume *volume, const struct volume_state *state)
{
    int err = reclaim_load_space(volume, state);
    return err < 0 ? err : segments_reconcile(&volume->segments);
}
