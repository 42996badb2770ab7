/*
 * engine/committer.c - the queue, the thread, the batch and its publication (room: engine).
 */
#include "engine/committer.h"

#include <linux/futex.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "engine/background.h"
#include "engine/crypt.h"
#include "engine/usage.h"
#include "engine/volume.h"
#include "metrics/metrics.h"

#define BATCH_REQUESTS_MAX 1024u
#define SCRATCH_BYTES      (72u * 1024) /* the largest value: 256 names of 255 bytes */
#define INODE_RESERVE      65536u
#define SEGMENT_RESERVE    4096u
#define NUMBER_RESERVE     (UINT64_C(1) << 24) /* far more values than a batch has */
#define CHANGE_RESERVE     (UINT64_C(1) << 32)
#define IDLE_WAKE_S        5

/* Sleeps while *word is 1. */
static void futex_sleep(_Atomic uint32_t *word)
{
    struct timespec timeout = { .tv_sec = IDLE_WAKE_S };
    (void)syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, 1, &timeout, NULL, 0);
}

static void futex_wake(_Atomic uint32_t *word)
{
    (void)syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void wake(struct committer *committer)
{
    if (atomic_exchange(&committer->is_sleeping, 0) == 1)
        futex_wake(&committer->is_sleeping);
}

int committer_submit(struct committer *committer, struct request *request)
{
    event_init(&request->event);
    struct request *head = atomic_load(&committer->head);
    do {
        request->next = head;
    } while (!atomic_compare_exchange_weak(&committer->head, &head, request));
    wake(committer);
    event_wait(&request->event);
    /* What execute() read was damaged, and the log says so: fs.h knows one word for that. */
    bool is_damaged = request->result == -EBADMSG || request->result == -EPROTO;
    return is_damaged ? -EIO : request->result;
}

int batch_reserve(struct batch *batch, uint32_t count)
{
    if (batch->name_capacity - batch->name_count < count) {
        uint32_t capacity = batch->name_capacity * 2 + count;
        struct batch_name *larger = realloc(batch->names, capacity * sizeof *larger);
        if (larger == NULL)
            return -ENOMEM;
        batch->names = larger;
        batch->name_capacity = capacity;
    }
    if (batch->range_capacity - batch->range_count < count) {
        uint32_t capacity = batch->range_capacity * 2 + count;
        struct block_range *larger = realloc(batch->ranges, capacity * sizeof *larger);
        if (larger == NULL)
            return -ENOMEM;
        batch->ranges = larger;
        batch->range_capacity = capacity;
    }
    /* Few requests touch more than four inodes; the spare ones are kept from batch to batch. */
    uint32_t spare = 0;
    for (struct pending *it = batch->free_pendings; it != NULL && spare < 4;
         it = (struct pending *)(void *)it->link.next)
        spare++;
    for (; spare < 4; spare++) {
        struct pending *pending = malloc(sizeof *pending);
        if (pending == NULL)
            return -ENOMEM;
        pending->link.next = (struct list *)(void *)batch->free_pendings;
        batch->free_pendings = pending;
    }
    return 0;
}

int batch_acquire(struct batch *batch, uint64_t id, struct inode **out_inode)
{
    struct volume *volume = batch->volume;
    struct inode *inode;
    int err = inode_pin(&volume->inodes, id, &inode);
    if (err < 0)
        return err;
    struct fs_attr attr;
    enum inode_state state = inode_attr(&volume->inodes, inode, &attr);
    if (state == INODE_LOADING) {
        err = inode_load(volume, inode);
        state = inode_attr(&volume->inodes, inode, &attr);
    }
    if (err == 0 && state != INODE_READY && state != INODE_NEW)
        err = -ESTALE;
    if (err < 0)
        inode_unpin(&volume->inodes, inode);
    else
        *out_inode = inode;
    return err;
}

struct pending *batch_touch(struct batch *batch, struct inode *inode)
{
    if (inode->pending != NULL) {
        usage_touch(batch, inode->pending);
        return inode->pending;
    }
    struct pending *pending = batch->free_pendings;
    assert(pending != NULL);
    batch->free_pendings = (struct pending *)(void *)pending->link.next;
    memset(pending, 0, sizeof *pending);
    list_add_tail(&batch->pendings, &pending->link);
    pending->inode = inode;
    struct inode_cache *cache = &batch->volume->inodes;
    struct inode_shard *shard = inode_shard_of(cache, inode->id);
    mutex_lock(&shard->lock);
    assert(inode->pins > 0);
    inode->pins++;
    pending->is_new = inode->state == INODE_NEW;
    pending->record = inode->record;
    if (inode->record.attr.type == FS_REGULAR)
        pending->record.attr.size_bytes = inode->durable_size;
    mutex_unlock(&shard->lock);
    inode->pending = pending;
    pending->counted = usage_of(inode->id, &pending->record);
    pending->home = pending->record.parent;
    list_init(&pending->uncounted);
    usage_touch(batch, pending);
    return pending;
}

uint64_t batch_next_change(struct batch *batch)
{
    return volume_next_change(batch->volume);
}

void batch_mark_changed(struct batch *batch, struct pending *pending)
{
    pending->is_changed = true;
    pending->record.attr.change = batch_next_change(batch);
    pending->record.attr.ctime = batch->now;
}

void batch_put(struct batch *batch, const struct key *key, struct slice value)
{
    if (UNLIKELY(batch->keep_for != 0))
        versions_note(batch, key, true);
    store_batch_put(batch->writes, key, value);
    batch->has_writes = true;
}

void batch_delete(struct batch *batch, const struct key *key)
{
    if (UNLIKELY(batch->keep_for != 0))
        versions_note(batch, key, false);
    store_batch_delete(batch->writes, key);
    batch->has_writes = true;
}

void batch_note_name(struct batch *batch, struct inode *dir_inode, struct name *name)
{
    struct dir *dir = dir_inode->dir;
    uint64_t hash = name->cookie >> 8;
    size_t size = 0;
    mutex_lock(&dir->lock);
    bool is_listed = name->state == NAME_DEAD; /* since it was added, in this batch */
    int err = dir_encode_bucket_locked(dir, hash, &batch->scratch, &batch->scratch_size, &size);
    assert(err == 0); /* the scratch space holds the largest bucket */
    mutex_unlock(&dir->lock);
    struct key key;
    key_make2(&key, KEY_NAME, dir_inode->id, hash);
    if (size == 0)
        batch_delete(batch, &key);
    else
        batch_put(batch, &key, slice_of(batch->scratch, size));
    if (is_listed)
        return;
    assert(batch->name_count < batch->name_capacity);
    inode_pin_again(&batch->volume->inodes, dir_inode);
    batch->names[batch->name_count++] = (struct batch_name){ dir_inode, name };
}

void batch_add_range(struct batch *batch, uint64_t address, uint32_t count, bool is_live)
{
    if (batch->range_count > 0) {
        struct block_range *last = &batch->ranges[batch->range_count - 1];
        if (last->is_live == is_live && last->address + last->count == address) {
            last->count += count;
            return;
        }
    }
    assert(batch->range_count < batch->range_capacity);
    batch->ranges[batch->range_count++] = (struct block_range){ address, count, is_live };
}

/* Raises what later openings must stay above, well before it is reached. */
static void raise_ceilings(struct batch *batch)
{
    struct volume *volume = batch->volume;
    struct volume_state *state = &batch->state;
    if (volume->inode_next + INODE_RESERVE / 2 > state->inode_ceiling)
        state->inode_ceiling = volume->inode_next + INODE_RESERVE;
    if (volume->change_next + CHANGE_RESERVE / 2 > state->change_ceiling)
        state->change_ceiling = volume->change_next + CHANGE_RESERVE;
    if (volume->segments.next_id + SEGMENT_RESERVE / 2 > state->segment_ceiling)
        state->segment_ceiling = volume->segments.next_id + SEGMENT_RESERVE;
    if (volume->crypt != NULL &&
        crypt_number_next(volume->crypt) + NUMBER_RESERVE / 2 > state->number_ceiling)
        state->number_ceiling = crypt_number_next(volume->crypt) + NUMBER_RESERVE;
}

static void write_pendings(struct batch *batch)
{
    uint8_t value[INODE_BYTES_MAX];
    LIST_FOR_EACH(node, &batch->pendings)
    {
        struct pending *pending = LIST_ENTRY(node, struct pending, link);
        struct key key;
        key_make1(&key, KEY_INODE, pending->inode->id);
        if (pending->is_gone) {
            batch_delete(batch, &key);
            if (pending->record.attr.type ==
                FS_REGULAR) { /* it has no data, but may have been cut */
                key_make1(&key, KEY_CUT, pending->inode->id);
                batch_delete(batch, &key);
            }
        } else if (pending->is_changed) {
            const struct inode *inode = pending->inode;
            size_t size = inode_record_encode(
                &pending->record, slice_of(inode->symlink, inode->symlink_size), value);
            batch_put(batch, &key, slice_of(value, size));
        }
    }
}

/* Blocks that others use too lose a user and stay live; the ranges of the batch are cut accordingly. Here, not
 * before: what a request takes back (C1) must not have touched the counts. Errors: -ENOMEM. */
static int drop_shared(struct batch *batch)
{
    struct refs *refs = &batch->volume->refs;
    uint32_t old_count = batch->range_count;
    uint64_t blocks = 0;
    if (LIKELY(refs->total == 0))
        return 0;
    for (uint32_t i = 0; i < old_count; i++)
        blocks += batch->ranges[i].is_live ? 1 : batch->ranges[i].count;
    struct block_range *old = batch->ranges;
    struct block_range *ranges = malloc((blocks + 1) * sizeof *ranges);
    if (ranges == NULL || blocks > UINT32_MAX - 1) {
        free(ranges);
        return -ENOMEM;
    }
    batch->ranges = ranges;
    batch->range_count = 0;
    batch->range_capacity = (uint32_t)blocks + 1;
    for (uint32_t i = 0; i < old_count; i++) {
        if (old[i].is_live) {
            batch_add_range(batch, old[i].address, old[i].count, true);
            continue;
        }
        for (uint32_t at = 0; at < old[i].count; at++) {
            if (!refs_drop(refs, old[i].address + at))
                batch_add_range(batch, old[i].address + at, 1, false);
        }
    }
    free(old);
    return 0;
}

static void write_shared(struct batch *batch)
{
    struct refs *refs = &batch->volume->refs;
    struct ref_page *page;
    while ((page = refs_take_dirty(refs)) != NULL) {
        uint8_t value[REF_PAGE_BYTES_MAX];
        size_t size = ref_page_encode(page, value);
        struct key key;
        key_make1(&key, KEY_SHARED, page->index);
        if (size > 0) {
            batch_put(batch, &key, slice_of(value, size));
        } else {
            batch_delete(batch, &key);
            refs_forget(refs, page);
        }
    }
}

/* What became live and dead in this batch, and the state of the whole. */
static int write_ranges_and_state(struct batch *batch)
{
    struct key key;
    batch->state.batch++;
    snapshot_seal(batch);
    int err = versions_write(batch); /* before users are dropped: kept blocks have one more */
    if (err == 0)
        err = drop_shared(batch);
    if (err < 0)
        return err;
    write_shared(batch);
    if (batch->range_count > 0) {
        size_t size = 1 + batch->range_count * (size_t)BLOCK_RANGE_BYTES;
        uint8_t *value = malloc(size);
        if (value == NULL)
            return -ENOMEM;
        value[0] = 1;
        for (uint32_t i = 0; i < batch->range_count; i++)
            block_range_encode(&batch->ranges[i], value + 1 + i * (size_t)BLOCK_RANGE_BYTES);
        key_make1(&key, KEY_FREED, batch->state.batch);
        batch_put(batch, &key, slice_of(value, size));
        free(value);
    }
    uint8_t state[STATE_BYTES];
    volume_state_encode(&batch->state, state);
    key_make0(&key, KEY_STATE);
    batch_put(batch, &key, slice_of(state, sizeof state));
    return 0;
}

static void publish_pending_locked(struct pending *pending)
{
    struct inode *inode = pending->inode;
    struct fs_attr *seen = &inode->record.attr;
    struct inode_record *record = &pending->record;
    inode->durable_size = record->attr.size_bytes;
    if (seen->type == FS_REGULAR && inode->state == INODE_READY) {
        /* UNSTABLE writes may have moved these ahead meanwhile. */
        if (!pending->sets_size) {
            record->attr.size_bytes = seen->size_bytes;
            record->attr.space_used_bytes = seen->space_used_bytes;
        }
        if (!pending->sets_mtime)
            record->attr.mtime = seen->mtime;
        record->attr.change = max_u64(record->attr.change, seen->change);
        if (fs_time_is_before(record->attr.ctime, seen->ctime))
            record->attr.ctime = seen->ctime;
    }
    if (record->attr.type == FS_DIRECTORY)
        record->attr.size_bytes = inode_dir_size(record->entry_count);
    inode->record = *record;
    if (inode->state == INODE_NEW)
        inode->state = INODE_READY;
    if (pending->is_gone)
        inode->state = INODE_GONE;
}

/* Shows readers what is durable now (or, when `is_durable` is false, gives all up). */
static void finish_pendings(struct batch *batch, bool is_durable)
{
    struct inode_cache *cache = &batch->volume->inodes;
    LIST_FOR_EACH_SAFE(node, &batch->pendings)
    {
        struct pending *pending = LIST_ENTRY(node, struct pending, link);
        struct inode *inode = pending->inode;
        struct inode_shard *shard = inode_shard_of(cache, inode->id);
        mutex_lock(&shard->lock);
        if (is_durable && (pending->is_changed || pending->is_gone))
            publish_pending_locked(pending);
        inode->pending = NULL;
        mutex_unlock(&shard->lock);
        inode_unpin(cache, inode);
        pending->link.next = (struct list *)(void *)batch->free_pendings;
        batch->free_pendings = pending;
    }
    list_init(&batch->pendings);
    list_init(&batch->uncounted);
}

static void finish_names(struct batch *batch, bool is_durable)
{
    for (uint32_t i = 0; i < batch->name_count; i++) {
        struct inode *inode = batch->names[i].dir_inode;
        struct dir *dir = inode->dir;
        mutex_lock(&dir->lock);
        if (is_durable)
            dir_publish_locked(dir, batch->names[i].name);
        if (dir->count > batch->volume->engine->options.dir_names_max)
            dir_forget_locked(dir);
        mutex_unlock(&dir->lock);
        inode_unpin(&batch->volume->inodes, inode);
    }
    batch->name_count = 0;
}

static void publish(struct batch *batch, struct request *first)
{
    struct volume *volume = batch->volume;
    finish_pendings(batch, true);
    finish_names(batch, true);
    for (struct request *it = first; it != NULL; it = it->next) {
        if (it->result >= 0 && it->publish != NULL)
            it->publish(batch, it);
    }
    for (uint32_t i = 0; i < batch->range_count; i++)
        segments_apply(&volume->segments, &batch->ranges[i]);
    volume->batch_number = batch->state.batch;
    volume->used_bytes = batch->state.used_bytes;
    volume->used_files = batch->state.used_files;
}

/* After a failed write: whatever was promised in the batch did not happen (C3). */
static void give_up(struct batch *batch, struct request *first)
{
    finish_pendings(batch, false);
    finish_names(batch, false);
    for (struct request *it = first; it != NULL; it = it->next)
        it->result = -EIO;
}

static int write_timed(struct volume *volume, struct batch *batch)
{
    uint64_t start_ns = clock_monotonic_ns();
    struct slice bytes;
    int err = store_batch_bytes(batch->writes, &bytes);
    if (err == 0)
        err = journal_append(volume->journal, batch->state.batch, bytes);
    if (err == 0)
        err = store_apply(volume->store, batch->writes);
    metrics_observe(METRIC_ENGINE_COMMIT_SECONDS, 0, clock_monotonic_ns() - start_ns);
    return err;
}

static void run_batch(struct batch *batch, struct request *first)
{
    struct volume *volume = batch->volume;
    struct volume_state before = batch->state;
    struct clock_time now = clock_wall();
    batch->now = (struct fs_time){ now.seconds, now.nanoseconds };
    versions_keep_before(batch, 0);
    bool is_full = volume_is_nearly_full(volume);
    /* Others set it, at any time: what is executed below is written all the same. */
    bool is_failed = volume->is_failed;
    for (struct request *it = first; it != NULL; it = it->next) {
        if (is_failed)
            it->result = -EROFS;
        else if (is_full && !it->frees_space)
            it->result = -ENOSPC;
        else
            it->result = it->execute(batch, it);
    }
    int err = 0;
    if (!is_failed)
        err = usage_write(batch);
    if (!is_failed && err == 0) {
        write_pendings(batch);
        raise_ceilings(batch);
        if (batch->has_writes || batch->range_count > 0)
            err = write_ranges_and_state(batch);
        if (err == 0 && batch->has_writes)
            err = write_timed(volume, batch);
    }
    if (err < 0) {
        batch->state = before;
        volume_fail(volume, "database write", err);
        give_up(batch, first);
    } else {
        publish(batch, first);
    }
    quota_finish(batch, err == 0 && !is_failed);
    usage_finish(batch);
    store_batch_clear(batch->writes);
    batch->has_writes = false;
    batch->range_count = 0;
    batch->new_snapshot = NULL;
}

static void complete(struct request *first)
{
    while (first != NULL) {
        struct request *next = first->next; /* the waiter's stack goes once it is signalled */
        event_signal(&first->event);
        first = next;
    }
}

/* The oldest of the queue, up to `count_max`; what is left stays in *queue, oldest first. */
static struct request *take(struct request **queue, unsigned count_max)
{
    struct request *first = *queue;
    struct request *last = first;
    for (unsigned i = 1; i < count_max && last != NULL && last->next != NULL; i++)
        last = last->next;
    *queue = NULL;
    if (last != NULL) {
        *queue = last->next;
        last->next = NULL;
    }
    return first;
}

static struct request *reverse(struct request *newest)
{
    struct request *oldest = NULL;
    while (newest != NULL) {
        struct request *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    return oldest;
}

static void *committer_main(void *argument)
{
    struct committer *committer = argument;
    for (;;) {
        struct request *queue = reverse(atomic_exchange(&committer->head, NULL));
        while (queue != NULL) {
            struct request *first = take(&queue, BATCH_REQUESTS_MAX);
            run_batch(&committer->batch, first);
            complete(first);
        }
        background_tick(committer->volume);
        committer->is_sleeping = 1;
        if (atomic_load(&committer->head) == NULL) {
            if (committer->is_stopping)
                return NULL;
            futex_sleep(&committer->is_sleeping);
        }
        committer->is_sleeping = 0;
    }
}

static void batch_fini(struct batch *batch)
{
    while (batch->free_pendings != NULL) {
        struct pending *next = (struct pending *)(void *)batch->free_pendings->link.next;
        free(batch->free_pendings);
        batch->free_pendings = next;
    }
    free(batch->names);
    free(batch->ranges);
    free(batch->scratch);
    versions_fini(&batch->notes);
    store_batch_free(batch->writes);
}

int committer_start(
    struct committer *committer, struct volume *volume, const struct volume_state *state)
{
    struct batch *batch = &committer->batch;
    committer->volume = volume;
    batch->volume = volume;
    batch->state = *state;
    list_init(&batch->pendings);
    list_init(&batch->uncounted);
    batch->scratch_size = SCRATCH_BYTES;
    batch->scratch = malloc(SCRATCH_BYTES);
    int err = batch->scratch == NULL ? -ENOMEM : store_batch_new(volume->store, &batch->writes);
    if (err == 0)
        err = -pthread_create(&committer->thread, NULL, committer_main, committer);
    committer->is_started = err == 0;
    if (err < 0)
        batch_fini(batch);
    return err;
}

void committer_stop(struct committer *committer)
{
    if (!committer->is_started)
        return;
    committer->is_stopping = true;
    wake(committer);
    (void)pthread_join(committer->thread, NULL);
    committer->is_started = false;
    batch_fini(&committer->batch);
}
