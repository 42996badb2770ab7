/*
 * engine/quota.c - limits of what may lie below a directory (room: engine): their records, and the committer's side.
 * Writers' side: quota_hold.c.
 */
#include "engine/quota.h"

#include <stdlib.h>

#include "base/bytes.h"
#include "base/hash.h"
#include "engine/committer.h"
#include "engine/file.h"
#include "engine/quota_internal.h"
#include "engine/usage.h"
#include "engine/volume.h"

#define TABLE_SIZE_FIRST 16u
#define QUOTA_BYTES      53u

int quotas_init(struct quotas *quotas)
{
    (void)pthread_mutex_init(&quotas->lock.pthread, NULL);
    // NOLINTNEXTLINE(bugprone-sizeof-expression): a table of pointers
    quotas->table = calloc(TABLE_SIZE_FIRST, sizeof *quotas->table);
    quotas->mask = TABLE_SIZE_FIRST - 1;
    quotas->version = 1;
    return quotas->table == NULL ? -ENOMEM : 0;
}

void quotas_fini(struct quotas *quotas)
{
    if (quotas->table == NULL)
        return;
    for (uint32_t i = 0; i <= quotas->mask; i++) {
        struct quota *quota = quotas->table[i];
        while (quota != NULL) {
            struct quota *next = quota->hash_next;
            free(quota);
            quota = next;
        }
    }
    free(quotas->table);
    (void)pthread_mutex_destroy(&quotas->lock.pthread);
}

static struct quota **slot_of(const struct quotas *quotas, uint64_t dir)
{
    return &quotas->table[hash_u64(dir) & quotas->mask];
}

struct quota *quota_at_locked(const struct quotas *quotas, uint64_t dir)
{
    struct quota *quota = *slot_of(quotas, dir);
    while (quota != NULL && quota->dir != dir)
        quota = quota->hash_next;
    return quota;
}

/* Best effort: a fuller table is slower, no more. */
static void grow_locked(struct quotas *quotas)
{
    uint32_t old_size = quotas->mask + 1;
    // NOLINTNEXTLINE(bugprone-sizeof-expression): a table of pointers
    struct quota **table = calloc((size_t)2 * old_size, sizeof *table);
    if (table == NULL)
        return;
    struct quota **old = quotas->table;
    quotas->table = table;
    quotas->mask = 2 * old_size - 1;
    for (uint32_t i = 0; i < old_size; i++) {
        struct quota *quota = old[i];
        while (quota != NULL) {
            struct quota *next = quota->hash_next;
            struct quota **slot = slot_of(quotas, quota->dir);
            quota->hash_next = *slot;
            *slot = quota;
            quota = next;
        }
    }
    free(old);
}

static void insert_locked(struct quotas *quotas, struct quota *quota)
{
    if (quotas->count++ > quotas->mask)
        grow_locked(quotas);
    struct quota **slot = slot_of(quotas, quota->dir);
    quota->hash_next = *slot;
    *slot = quota;
}

static void remove_locked(struct quotas *quotas, struct quota *quota)
{
    struct quota **slot = slot_of(quotas, quota->dir);
    while (*slot != quota)
        slot = &(*slot)->hash_next;
    *slot = quota->hash_next;
    quotas->count--;
    free(quota);
}

void quotas_changed(struct volume *volume)
{
    atomic_fetch_add(&volume->quotas.version, 1);
}

/* ---- records --------------------------------------------------------------------------------------------- */

static void quota_encode(const struct fs_quota *quota, uint8_t out[QUOTA_BYTES])
{
    out[0] = 1;
    store_be64(out + 1, quota->limits.hard_bytes);
    store_be64(out + 9, quota->limits.soft_bytes);
    store_be64(out + 17, quota->limits.hard_entries);
    store_be64(out + 25, quota->limits.soft_entries);
    store_be32(out + 33, quota->limits.grace_s);
    store_be64(out + 37, (uint64_t)quota->bytes_over_since_s);
    store_be64(out + 45, (uint64_t)quota->entries_over_since_s);
}

static int quota_decode(struct slice value, struct fs_quota *out_quota)
{
    int err = value_open(&value);
    if (err < 0)
        return err;
    if (value.size != QUOTA_BYTES - 1)
        return -EBADMSG;
    out_quota->limits.hard_bytes = load_be64(value.data);
    out_quota->limits.soft_bytes = load_be64(value.data + 8);
    out_quota->limits.hard_entries = load_be64(value.data + 16);
    out_quota->limits.soft_entries = load_be64(value.data + 24);
    out_quota->limits.grace_s = load_be32(value.data + 32);
    out_quota->bytes_over_since_s = (int64_t)load_be64(value.data + 36);
    out_quota->entries_over_since_s = (int64_t)load_be64(value.data + 44);
    return 0;
}

static void put_record(struct batch *batch, uint64_t dir, const struct fs_quota *state)
{
    uint8_t value[QUOTA_BYTES];
    struct key key;
    key_make1(&key, KEY_QUOTA, dir);
    quota_encode(state, value);
    batch_put(batch, &key, slice_of(value, sizeof value));
}

static void set_used(struct fs_quota *state, const struct fs_usage *usage)
{
    state->used_bytes = usage->space_bytes;
    state->used_entries = usage->files + usage->directories + usage->others;
}

static int load_one(struct volume *volume, uint64_t dir, struct slice value)
{
    struct quota *quota = calloc(1, sizeof *quota);
    struct fs_usage usage = { 0 };
    if (quota == NULL)
        return -ENOMEM;
    quota->dir = dir;
    int err = quota_decode(value, &quota->state);
    if (err == 0)
        err = usage_read(volume, dir, &usage);
    if (err < 0) {
        free(quota);
        return err;
    }
    set_used(&quota->state, &usage);
    mutex_lock(&volume->quotas.lock);
    insert_locked(&volume->quotas, quota);
    mutex_unlock(&volume->quotas.lock);
    return 0;
}

static int load_record(void *context, struct slice key, struct slice value)
{
    uint64_t dir;
    return key_parse(key, KEY_QUOTA, 1, &dir) ? load_one(context, dir, value) : -EBADMSG;
}

int quotas_load(struct volume *volume)
{
    return store_each(volume->store, KEY_QUOTA, load_record, volume);
}

/* ---- limits ---------------------------------------------------------------------------------------------- */

static void touch_locked(struct quotas *quotas, struct quota *quota)
{
    if (quota->is_touched)
        return;
    quota->is_touched = true;
    quota->touched_next = quotas->touched;
    quotas->touched = quota;
}

/* The limit that holds now; 0: none. */
static uint64_t limit_of(uint64_t hard, uint64_t soft, int64_t over_since_s, uint32_t grace_s)
{
    bool soft_holds =
        soft != 0 && over_since_s != 0 && volume_now().seconds - over_since_s >= (int64_t)grace_s;
    if (!soft_holds)
        return hard;
    return hard == 0 ? soft : min_u64(hard, soft);
}

uint64_t quota_bytes_limit(const struct fs_quota *state)
{
    const struct fs_quota_limits *limits = &state->limits;
    return limit_of(
        limits->hard_bytes, limits->soft_bytes, state->bytes_over_since_s, limits->grace_s);
}

uint64_t quota_entries_limit(const struct fs_quota *state)
{
    const struct fs_quota_limits *limits = &state->limits;
    return limit_of(
        limits->hard_entries, limits->soft_entries, state->entries_over_since_s, limits->grace_s);
}

bool quota_fits_locked(const struct quota *quota, uint64_t bytes, uint64_t entries)
{
    const struct fs_quota *state = &quota->state;
    uint64_t limit = quota_bytes_limit(state);
    uint64_t taken = state->used_bytes + quota->reserved_bytes + quota->charged_bytes;
    if (bytes > 0 && limit != 0 && (taken > limit || limit - taken < bytes))
        return false;
    limit = quota_entries_limit(state);
    taken = state->used_entries + quota->charged_entries;
    return entries == 0 || limit == 0 || (taken <= limit && limit - taken >= entries);
}

static bool is_above(struct volume *volume, uint64_t dir, uint64_t below)
{
    while (below != 0 && below != dir)
        below = usage_parent(volume, below);
    return below == dir;
}

int quota_charge_move(struct batch *batch, const struct quota_move *move)
{
    struct volume *volume = batch->volume;
    struct quotas *quotas = &volume->quotas;
    int err = 0;
    if (LIKELY(!quotas_are_any(quotas)) || (move->bytes == 0 && move->entries == 0))
        return 0;
    mutex_lock(&quotas->lock);
    for (unsigned pass = 0; pass < (move->charges ? 2u : 1u) && err == 0; pass++) {
        for (uint64_t dir = move->to; dir != 0; dir = usage_parent(volume, dir)) {
            struct quota *quota = quota_at_locked(quotas, dir);
            if (quota == NULL)
                continue;
            if (is_above(volume, dir, move->from))
                break; /* it has it already, and so have all above */
            if (pass == 0 && !quota_fits_locked(quota, move->bytes, move->entries)) {
                err = -EDQUOT;
                break;
            }
            if (pass == 1) {
                touch_locked(quotas, quota);
                quota->charged_bytes += move->bytes;
                quota->charged_entries += move->entries;
            }
        }
    }
    mutex_unlock(&quotas->lock);
    return err;
}

int quota_charge(struct batch *batch, uint64_t dir, uint64_t bytes, uint64_t entries)
{
    const struct quota_move move = {
        .to = dir, .bytes = bytes, .entries = entries, .charges = true
    };
    return quota_charge_move(batch, &move);
}

void quota_commit(struct batch *batch, struct file *file, uint64_t blocks)
{
    struct quotas *quotas = &batch->volume->quotas;
    struct quota_hold *hold = file->quota;
    if (LIKELY(hold == NULL))
        return;
    uint64_t released = min_u64(blocks, hold->blocks);
    hold->blocks -= released;
    mutex_lock(&quotas->lock);
    for (uint32_t i = 0; i < hold->count; i++) {
        struct quota *quota = quota_at_locked(quotas, hold->dirs[i]);
        if (quota == NULL)
            continue;
        touch_locked(quotas, quota);
        quota->released_bytes += released * BLOCK_BYTES;
    }
    mutex_unlock(&quotas->lock);
}

/* When it was first over its soft limit, if it is. */
static int64_t over_since(uint64_t used, uint64_t soft, int64_t since_s, int64_t now_s)
{
    if (soft == 0 || used <= soft)
        return 0;
    return since_s != 0 ? since_s : now_s;
}

/* Gives whether a soft limit was passed, upwards or downwards. */
static bool follow_soft_limits(struct fs_quota *state, int64_t now_s)
{
    int64_t bytes_since =
        over_since(state->used_bytes, state->limits.soft_bytes, state->bytes_over_since_s, now_s);
    int64_t entries_since = over_since(
        state->used_entries, state->limits.soft_entries, state->entries_over_since_s, now_s);
    bool is_changed =
        bytes_since != state->bytes_over_since_s || entries_since != state->entries_over_since_s;
    state->bytes_over_since_s = bytes_since;
    state->entries_over_since_s = entries_since;
    return is_changed;
}

void quota_note_usage(struct batch *batch, uint64_t dir, const struct fs_usage *usage)
{
    struct quotas *quotas = &batch->volume->quotas;
    if (LIKELY(!quotas_are_any(quotas)))
        return;
    mutex_lock(&quotas->lock);
    struct quota *quota = quota_at_locked(quotas, dir);
    bool is_changed = false;
    if (quota != NULL) {
        touch_locked(quotas, quota);
        quota->next = quota->state;
        quota->has_next = true;
        set_used(&quota->next, usage);
        is_changed = follow_soft_limits(&quota->next, batch->now.seconds) && !quota->is_replaced;
    }
    mutex_unlock(&quotas->lock);
    if (is_changed)
        put_record(batch, dir, &quota->next); /* only this thread changes or frees it */
}

void quota_note_removal(struct batch *batch, uint64_t dir)
{
    struct quotas *quotas = &batch->volume->quotas;
    if (LIKELY(!quotas_are_any(quotas) && !quotas->is_setting))
        return;
    mutex_lock(&quotas->lock);
    struct quota *quota = quota_at_locked(quotas, dir);
    if (quota != NULL) {
        touch_locked(quotas, quota);
        quota->is_replaced = true;
        quota->is_removed = true;
    }
    mutex_unlock(&quotas->lock);
    struct key key;
    key_make1(&key, KEY_QUOTA, dir);
    if (quota != NULL || quotas->is_setting)
        batch_delete(batch, &key);
}

void quota_finish(struct batch *batch, bool is_durable)
{
    struct quotas *quotas = &batch->volume->quotas;
    quotas->is_setting = false;
    if (LIKELY(quotas->touched == NULL))
        return;
    mutex_lock(&quotas->lock);
    while (quotas->touched != NULL) {
        struct quota *quota = quotas->touched;
        quotas->touched = quota->touched_next;
        quota->is_touched = false;
        quota->is_replaced = false;
        quota->charged_bytes = 0;
        quota->charged_entries = 0;
        if (is_durable && quota->has_next)
            quota->state = quota->next;
        quota->has_next = false;
        quota->reserved_bytes -= min_u64(quota->reserved_bytes, quota->released_bytes);
        quota->released_bytes = 0;
        if (is_durable && quota->is_removed)
            remove_locked(quotas, quota);
    }
    mutex_unlock(&quotas->lock);
}

/* ---- setting --------------------------------------------------------------------------------------------- */

int op_quota_execute(struct batch *batch, struct request *request)
{
    struct op_quota *op = CONTAINER_OF(request, struct op_quota, request);
    int err = batch_reserve(batch, 1);
    if (err < 0)
        return err;
    struct pending *pending = batch_touch(batch, op->inode);
    if (pending->record.attr.type != FS_DIRECTORY)
        return -ENOTDIR;
    if (pending->record.attr.link_count == 0)
        return -ESTALE;
    err = usage_prepare(batch, op->inode->id);
    if (err < 0)
        return err;
    struct fs_usage usage = usage_current(batch->volume, op->inode->id);
    struct fs_quota state = { .limits = *op->limits };
    set_used(&state, &usage);
    (void)follow_soft_limits(&state, batch->now.seconds);
    struct quotas *quotas = &batch->volume->quotas;
    quotas->is_setting = true;
    mutex_lock(&quotas->lock);
    struct quota *old = quota_at_locked(quotas, op->inode->id);
    if (old != NULL) {
        old->is_replaced = true; /* its record is not written any more */
        touch_locked(quotas, old);
    }
    mutex_unlock(&quotas->lock);
    op->quota->state = state;
    op->quota->dir = op->inode->id;
    op->is_removal = state.limits.hard_bytes == 0 && state.limits.soft_bytes == 0 &&
                     state.limits.hard_entries == 0 && state.limits.soft_entries == 0;
    if (!op->is_removal) {
        put_record(batch, op->inode->id, &state);
        return 0;
    }
    struct key key;
    key_make1(&key, KEY_QUOTA, op->inode->id);
    batch_delete(batch, &key);
    return 0;
}

void op_quota_publish(struct batch *batch, struct request *request)
{
    struct op_quota *op = CONTAINER_OF(request, struct op_quota, request);
    struct volume *volume = batch->volume;
    struct quotas *quotas = &volume->quotas;
    struct fs_usage usage = usage_current(volume, op->inode->id);
    mutex_lock(&quotas->lock);
    struct quota *old = quota_at_locked(quotas, op->inode->id);
    set_used(&op->quota->state, &usage);
    if (old != NULL && op->is_removal) {
        old->is_removed = true; /* goes when the batch is finished */
        touch_locked(quotas, old);
    } else if (old != NULL) {
        old->state = op->quota->state;
        old->has_next = false;
    } else if (!op->is_removal) {
        insert_locked(quotas, op->quota);
        op->quota = NULL;
    }
    mutex_unlock(&quotas->lock);
    quotas_changed(volume);
}
