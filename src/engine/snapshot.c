/*
 * engine/snapshot.c - the table of snapshots, making and deleting them (room: engine).
 */
#include "engine/snapshot.h"

#include <stdlib.h>

#include "base/bytes.h"
#include "base/log.h"
#include "engine/calls.h"
#include "engine/usage.h"
#include "engine/volume.h"

#define FIXED_BYTES 65u /* of the record, before the name */
#define MIX         UINT64_C(0x9e3779b97f4a7c15)

int snapshots_init(struct snapshots *snapshots)
{
    return -pthread_mutex_init(&snapshots->lock.pthread, NULL);
}

void snapshots_fini(struct snapshots *snapshots)
{
    free(snapshots->items);
    snapshots->items = NULL;
}

uint64_t snapshot_generation(const struct snapshot *snapshot)
{
    return snapshot->number * MIX;
}

static uint8_t *put64(uint8_t *to, uint64_t value)
{
    store_be64(to, value);
    return to + 8;
}

size_t snapshot_encode(const struct snapshot *snapshot, uint8_t out[SNAPSHOT_BYTES_MAX])
{
    const struct fs_snapshot *shown = &snapshot->shown;
    size_t name_size = strlen(shown->name);
    out[0] = 1;
    out[1] = shown->is_going ? 1 : 0;
    store_be16(out + 2, (uint16_t)snapshot->slot);
    uint8_t *to = put64(out + 4, snapshot->horizon);
    to = put64(to, (uint64_t)shown->created.seconds);
    store_be32(to, shown->created.nanoseconds);
    to = put64(to + 4, shown->usage.space_bytes);
    to = put64(to, shown->usage.size_bytes);
    to = put64(to, shown->usage.files);
    to = put64(to, shown->usage.directories);
    to = put64(to, shown->usage.others);
    *to++ = (uint8_t)name_size;
    assert(to == out + FIXED_BYTES);
    memcpy(to, shown->name, name_size);
    return (size_t)(to - out) + name_size;
}

int snapshot_decode(struct slice value, uint64_t number, struct snapshot *out_snapshot)
{
    const uint8_t *from = value.data;
    size_t size = value.size;
    int err = value_open(&value);
    if (err < 0)
        return err;
    if (size < FIXED_BYTES || size - FIXED_BYTES != from[FIXED_BYTES - 1] ||
        from[FIXED_BYTES - 1] > FS_SNAPSHOT_NAME_MAX)
        return -EBADMSG;
    struct snapshot snapshot = {
        .number = number, .slot = load_be16(from + 2), .horizon = load_be64(from + 4)
    };
    struct fs_snapshot *shown = &snapshot.shown;
    shown->is_going = from[1] != 0;
    shown->created.seconds = (int64_t)load_be64(from + 12);
    shown->created.nanoseconds = load_be32(from + 20);
    shown->usage = (struct fs_usage){ .space_bytes = load_be64(from + 24),
        .size_bytes = load_be64(from + 32),
        .files = load_be64(from + 40),
        .directories = load_be64(from + 48),
        .others = load_be64(from + 56) };
    memcpy(shown->name, from + FIXED_BYTES, size - FIXED_BYTES);
    if (snapshot.slot == 0 || snapshot.slot > SNAPSHOT_SLOT_MAX || number == 0)
        return -EBADMSG;
    *out_snapshot = snapshot;
    return 0;
}

/* ---- the table ------------------------------------------------------------------------------------------- */

static int reserve_locked(struct snapshots *snapshots) REQUIRES(snapshots->lock)
{
    if (snapshots->count < snapshots->capacity)
        return 0;
    uint32_t capacity = snapshots->capacity * 2 + 8;
    struct snapshot *larger = realloc(snapshots->items, capacity * sizeof *larger);
    if (larger == NULL)
        return -ENOMEM;
    snapshots->items = larger;
    snapshots->capacity = capacity;
    return 0;
}

/* What the committer knows without looking. */
static void settle_locked(struct snapshots *snapshots) REQUIRES(snapshots->lock)
{
    snapshots->newest = 0;
    snapshots->newest_horizon = 0;
    snapshots->has_newer_going = false;
    for (uint32_t i = snapshots->count; i > 0 && snapshots->newest == 0; i--) {
        const struct snapshot *item = &snapshots->items[i - 1];
        if (item->shown.is_going) {
            snapshots->has_newer_going = true;
            continue;
        }
        snapshots->newest = item->number;
        snapshots->newest_horizon = item->horizon;
    }
}

bool snapshot_in_slot(struct volume *volume, uint32_t slot, struct snapshot *out_snapshot)
{
    struct snapshots *snapshots = &volume->snapshots;
    bool is_found = false;
    mutex_lock(&snapshots->lock);
    for (uint32_t i = 0; i < snapshots->count && !is_found; i++) {
        const struct snapshot *item = &snapshots->items[i];
        is_found = item->slot == slot && !item->shown.is_going;
        if (is_found)
            *out_snapshot = *item;
    }
    mutex_unlock(&snapshots->lock);
    return is_found;
}

bool snapshot_has_id(struct volume *volume, uint64_t id)
{
    struct snapshot snapshot;
    return LIKELY(id_slot(id) == 0) || snapshot_in_slot(volume, id_slot(id), &snapshot);
}

static struct snapshot *find_locked(struct snapshots *snapshots, struct slice name)
    REQUIRES(snapshots->lock)
{
    for (uint32_t i = 0; i < snapshots->count; i++) {
        struct snapshot *item = &snapshots->items[i];
        if (!item->shown.is_going && slice_equal(slice_str(item->shown.name), name))
            return item;
    }
    return NULL;
}

bool snapshot_find(struct volume *volume, struct slice name, struct snapshot *out_snapshot)
{
    struct snapshots *snapshots = &volume->snapshots;
    mutex_lock(&snapshots->lock);
    const struct snapshot *item = find_locked(snapshots, name);
    if (item != NULL)
        *out_snapshot = *item;
    mutex_unlock(&snapshots->lock);
    return item != NULL;
}

bool snapshot_after(struct volume *volume, uint64_t number, struct snapshot *out_snapshot)
{
    struct snapshots *snapshots = &volume->snapshots;
    bool is_found = false;
    mutex_lock(&snapshots->lock);
    for (uint32_t i = 0; i < snapshots->count && !is_found; i++) {
        is_found = snapshots->items[i].number > number;
        if (is_found)
            *out_snapshot = snapshots->items[i];
    }
    mutex_unlock(&snapshots->lock);
    return is_found;
}

bool snapshot_before(struct volume *volume, uint64_t number, struct snapshot *out_snapshot)
{
    struct snapshots *snapshots = &volume->snapshots;
    bool is_found = false;
    mutex_lock(&snapshots->lock);
    for (uint32_t i = snapshots->count; i > 0 && !is_found; i--) {
        const struct snapshot *item = &snapshots->items[i - 1];
        is_found = item->number < number && !item->shown.is_going;
        if (is_found)
            *out_snapshot = *item;
    }
    mutex_unlock(&snapshots->lock);
    return is_found;
}

void snapshots_remove(struct volume *volume, uint64_t number)
{
    struct snapshots *snapshots = &volume->snapshots;
    mutex_lock(&snapshots->lock);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < snapshots->count; i++) {
        if (snapshots->items[i].number != number)
            snapshots->items[kept++] = snapshots->items[i];
    }
    snapshots->count = kept;
    settle_locked(snapshots);
    mutex_unlock(&snapshots->lock);
}

static int load_one(void *context, struct slice key, struct slice value)
{
    struct snapshots *snapshots = context;
    uint64_t number;
    struct snapshot snapshot;
    if (!key_parse(key, KEY_SNAPSHOT, 1, &number))
        return -EBADMSG;
    int err = snapshot_decode(value, number, &snapshot);
    mutex_lock(&snapshots->lock);
    if (err == 0)
        err = reserve_locked(snapshots);
    if (err == 0) { /* they come in the order of their numbers */
        snapshots->items[snapshots->count++] = snapshot;
        snapshots->last_slot = snapshot.slot;
    }
    mutex_unlock(&snapshots->lock);
    return err;
}

int snapshots_load(struct volume *volume, uint64_t batch)
{
    struct snapshots *snapshots = &volume->snapshots;
    int err = store_each(volume->store, KEY_SNAPSHOT, load_one, snapshots);
    mutex_lock(&snapshots->lock);
    snapshots->change = batch;
    snapshots->changed_at = volume_now();
    settle_locked(snapshots);
    mutex_unlock(&snapshots->lock);
    return err;
}

/* ---- making ---------------------------------------------------------------------------------------------- */

struct op_snapshot {
    struct request request;
    struct slice name;
    struct snapshot snapshot;
};

/* The next slot that is free, after the one that was given last. */
static uint32_t free_slot_locked(const struct snapshots *snapshots)
{
    uint32_t slot = snapshots->last_slot;
    bool is_taken;
    do {
        slot = slot % SNAPSHOT_SLOT_MAX + 1;
        is_taken = false;
        for (uint32_t i = 0; i < snapshots->count; i++)
            is_taken = is_taken || snapshots->items[i].slot == slot;
    } while (is_taken); /* there are far more slots than snapshots */
    return slot;
}

static int op_snapshot_execute(struct batch *batch, struct request *request)
{
    struct op_snapshot *op = CONTAINER_OF(request, struct op_snapshot, request);
    struct snapshots *snapshots = &batch->volume->snapshots;
    if (batch->new_snapshot != NULL)
        return -EAGAIN; /* one in a batch: its number is the batch's */
    mutex_lock(&snapshots->lock);
    int err = find_locked(snapshots, op->name) != NULL ? -EEXIST : 0;
    if (err == 0 && snapshots->count >= FS_SNAPSHOTS_MAX)
        err = -EMLINK;
    if (err == 0)
        err = reserve_locked(snapshots); /* for publish() */
    uint32_t slot = err == 0 ? free_slot_locked(snapshots) : 0;
    mutex_unlock(&snapshots->lock);
    if (err == 0)
        err = usage_prepare(batch, ROOT_INODE); /* for snapshot_seal() */
    if (err < 0)
        return err;
    struct fs_snapshot *shown = &op->snapshot.shown;
    op->snapshot.slot = slot;
    memset(shown->name, 0, sizeof shown->name);
    // NOLINTNEXTLINE(bugprone-not-null-terminated-result): check_name() has seen that it fits before the zeros
    memcpy(shown->name, op->name.data, op->name.size);
    shown->created = batch->now;
    batch->new_snapshot = &op->snapshot;
    batch->has_writes = true;
    return 0;
}

void snapshot_seal(struct batch *batch)
{
    struct snapshot *snapshot = batch->new_snapshot;
    if (LIKELY(snapshot == NULL))
        return;
    snapshot->number = batch->state.batch;
    snapshot->horizon = batch->volume->inode_next;
    snapshot->shown.usage = usage_current(batch->volume, ROOT_INODE);
    uint8_t value[SNAPSHOT_BYTES_MAX];
    struct key key;
    key_make1(&key, KEY_SNAPSHOT, snapshot->number);
    batch_put(batch, &key, slice_of(value, snapshot_encode(snapshot, value)));
}

/* The directories `.snapshot` show another list now. */
static void changed_locked(struct snapshots *snapshots, const struct batch *batch)
    REQUIRES(snapshots->lock)
{
    snapshots->change = batch->state.batch;
    snapshots->changed_at = batch->now;
    settle_locked(snapshots);
}

static void op_snapshot_publish(struct batch *batch, struct request *request)
{
    struct op_snapshot *op = CONTAINER_OF(request, struct op_snapshot, request);
    struct snapshots *snapshots = &batch->volume->snapshots;
    mutex_lock(&snapshots->lock);
    assert(snapshots->count < snapshots->capacity);
    snapshots->items[snapshots->count++] = op->snapshot;
    snapshots->last_slot = op->snapshot.slot;
    changed_locked(snapshots, batch);
    mutex_unlock(&snapshots->lock);
}

static int check_name(struct slice name)
{
    if (name.size == 0 || name.size > FS_SNAPSHOT_NAME_MAX || name.data[0] == '.')
        return -EINVAL;
    for (size_t i = 0; i < name.size; i++) {
        uint8_t c = name.data[i];
        bool is_good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       (c != '\0' && strchr("._:@+-", c) != NULL);
        if (!is_good)
            return -EINVAL;
    }
    return 0;
}

int call_snapshot_create(struct fs *fs, struct slice name, struct fs_snapshot *out_snapshot)
{
    struct volume *volume = volume_of(fs);
    struct op_snapshot op = {
        .request = { .execute = op_snapshot_execute, .publish = op_snapshot_publish }, .name = name
    };
    int err = volume->is_locked ? -EIO : check_name(name);
    if (err == 0)
        err = background_write_back(volume);
    if (err < 0)
        return err;
    do {
        err = committer_submit(&volume->committer, &op.request);
    } while (err == -EAGAIN);
    if (err == 0)
        *out_snapshot = op.snapshot.shown;
    return err;
}

/* ---- deleting: at once for everybody, the space in the background (snapshot_reap.c) ----------------------- */

static int op_delete_execute(struct batch *batch, struct request *request)
{
    struct op_snapshot *op = CONTAINER_OF(request, struct op_snapshot, request);
    if (!snapshot_find(batch->volume, op->name, &op->snapshot))
        return -ENOENT;
    op->snapshot.shown.is_going = true;
    uint8_t value[SNAPSHOT_BYTES_MAX];
    struct key key;
    key_make1(&key, KEY_SNAPSHOT, op->snapshot.number);
    batch_put(batch, &key, slice_of(value, snapshot_encode(&op->snapshot, value)));
    return 0;
}

static void op_delete_publish(struct batch *batch, struct request *request)
{
    struct op_snapshot *op = CONTAINER_OF(request, struct op_snapshot, request);
    struct snapshots *snapshots = &batch->volume->snapshots;
    mutex_lock(&snapshots->lock);
    for (uint32_t i = 0; i < snapshots->count; i++) {
        if (snapshots->items[i].number == op->snapshot.number)
            snapshots->items[i].shown.is_going = true;
    }
    changed_locked(snapshots, batch);
    mutex_unlock(&snapshots->lock);
}

int call_snapshot_delete(struct fs *fs, struct slice name)
{
    struct volume *volume = volume_of(fs);
    struct op_snapshot op = { .request = { .execute = op_delete_execute,
                                  .publish = op_delete_publish,
                                  .frees_space = true },
        .name = name };
    int err = volume->is_locked ? -EIO : committer_submit(&volume->committer, &op.request);
    if (err == 0)
        inode_cache_forget_slot(&volume->inodes, op.snapshot.slot);
    return err;
}

int call_snapshot_list(struct fs *fs, fs_snapshot_emit *emit, void *context)
{
    struct volume *volume = volume_of(fs);
    struct snapshot snapshot = { 0 };
    bool goes_on = true;
    if (volume->is_locked)
        return -EIO;
    while (goes_on && snapshot_after(volume, snapshot.number, &snapshot))
        goes_on = emit(context, &snapshot.shown);
    return 0;
}
