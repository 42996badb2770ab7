/*
 * engine/snapshot_reap.c - giving back what only a deleted snapshot had (room: engine).
 *
 * Each version that was kept for it may be what an older snapshot sees, too: then it becomes that one's; else it goes,
 * and its blocks lose a user. The `w` records say which there are; some go with each batch, so a crash costs
 * nothing and the next opening goes on. With the last one its `n` record goes.
 */
#include "engine/snapshot.h"

#include <stdlib.h>

#include "base/bytes.h"
#include "base/log.h"
#include "engine/volume.h"

#define STEP_KEYS 128u

struct op_forget {
    struct request request;
    uint64_t number;            /* of the snapshot */
    struct key keys[STEP_KEYS]; /* of records that it has versions of */
    uint32_t count;
    bool is_last; /* there are no more: its own record goes */
    struct key next;
};

/* The next of those that are going. */
static bool next_going(struct volume *volume, struct snapshot *out_snapshot)
{
    out_snapshot->number = 0;
    while (snapshot_after(volume, out_snapshot->number, out_snapshot)) {
        if (out_snapshot->shown.is_going)
            return true;
    }
    return false;
}

bool snapshot_reap_is_due(struct volume *volume)
{
    struct snapshot snapshot;
    return next_going(volume, &snapshot);
}

/* Whether `older`, too, sees this version: 1, or 0. */
static int is_needed(
    struct batch *batch, const struct snapshot *older, struct slice key, uint64_t number)
{
    uint64_t found = 0;
    if (older->number == 0 || key.size < 9 || load_be64(key.data + 1) >= older->horizon)
        return 0;
    int err = version_find(batch, key, older->number, &found);
    return err < 0 ? err : err == 1 && found == number;
}

/* One user less of each block that the version maps. */
static int drop_users(struct batch *batch, struct slice value)
{
    struct block blocks[GROUP_BLOCKS] = { 0 };
    int err = group_decode(value, blocks);
    if (err == 0)
        err = batch_reserve(batch, GROUP_BLOCKS);
    for (uint32_t i = 0; err == 0 && i < GROUP_BLOCKS; i++) {
        if (blocks[i].kind == BLOCK_SEGMENT)
            batch_add_range(batch, blocks[i].address, 1, false);
    }
    return err;
}

static int forget_version(
    struct batch *batch, const struct snapshot *older, const struct key *key, uint64_t number)
{
    struct key name;
    struct store_value value;
    key_make_version(&name, key_slice(key), number);
    int err = store_get(batch->volume->store, &name, &value);
    if (err < 0)
        return err == -ENOENT ? -EBADMSG : err;
    int needed = is_needed(batch, older, key_slice(key), number);
    err = min_int(needed, 0);
    if (needed == 0 && key->bytes[0] == KEY_GROUP && value.data.size > 0)
        err = drop_users(batch, value.data);
    if (err == 0) {
        batch_delete(batch, &name);
        key_make_kept(&name, number, key_slice(key));
        batch_delete(batch, &name);
    }
    if (needed == 1) {
        const uint8_t nothing[1] = { 0 };
        key_make_version(&name, key_slice(key), older->number);
        batch_put(batch, &name, value.data);
        key_make_kept(&name, older->number, key_slice(key));
        batch_put(batch, &name, slice_of(nothing, 0));
    }
    store_value_release(&value);
    return err;
}

/* Each version is dealt with as a whole: when one fails, those before it are done (so C1 holds for each). */
static int op_forget_execute(struct batch *batch, struct request *request)
{
    struct op_forget *op = CONTAINER_OF(request, struct op_forget, request);
    struct snapshot older = { 0 };
    if (!snapshot_before(batch->volume, op->number, &older))
        older.number = 0;
    int err = 0;
    for (uint32_t i = 0; err == 0 && i < op->count; i++)
        err = forget_version(batch, &older, &op->keys[i], op->number);
    if (err == 0 && op->is_last) {
        struct key key;
        key_make1(&key, KEY_SNAPSHOT, op->number);
        batch_delete(batch, &key);
    }
    return err;
}

static void op_forget_publish(struct batch *batch, struct request *request)
{
    const struct op_forget *op = CONTAINER_OF(request, struct op_forget, request);
    if (op->is_last)
        snapshots_remove(batch->volume, op->number);
}

/* The next of its versions; from where the last step ended, as what went is slow to step over. */
static int collect(struct volume *volume, struct op_forget *op)
{
    struct key from = volume->snapshots.reap_next;
    struct key end;
    uint64_t number = 0;
    struct slice key;
    if (!key_parse_kept(key_slice(&from), &number, &key) || number != op->number)
        key_make1(&from, KEY_KEPT, op->number);
    key_make1(&end, KEY_KEPT, op->number + 1);
    struct store_iterator *iterator;
    int err = store_scan(volume->store, &from, &end, &iterator);
    if (err < 0)
        return err;
    struct slice found;
    struct slice value;
    op->is_last = true;
    while ((err = store_scan_next(iterator, &found, &value)) == 1) {
        if (!key_parse_kept(found, &number, &key) || key.size > KEY_BYTES_MAX) {
            err = -EBADMSG;
            break;
        }
        if (op->count == STEP_KEYS) {
            op->is_last = false;
            op->next.size = found.size;
            memcpy(op->next.bytes, found.data, found.size);
            break;
        }
        struct key *to = &op->keys[op->count++];
        to->size = key.size;
        memcpy(to->bytes, key.data, key.size);
    }
    store_scan_end(iterator);
    return min_int(err, 0);
}

bool snapshot_reap_step(struct volume *volume)
{
    struct snapshot snapshot;
    if (!next_going(volume, &snapshot))
        return false;
    struct op_forget *op = calloc(1, sizeof *op);
    if (op == NULL)
        return false;
    op->request = (struct request){
        .execute = op_forget_execute, .publish = op_forget_publish, .frees_space = true
    };
    op->number = snapshot.number;
    int err = collect(volume, op);
    if (err == 0)
        err = committer_submit(&volume->committer, &op->request);
    if (err < 0 && !volume->is_failed)
        LOG_WARN("space of a deleted snapshot could not be given back yet",
            "fs=%s snapshot=%" PRIu64 " error=%d", volume->fs_id, snapshot.number, err);
    if (err == 0)
        volume->snapshots.reap_next = op->next;
    free(op);
    return err == 0;
}
