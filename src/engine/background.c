/*
 * engine/background.c - what a volume does on its own (room: engine): syncing and writing back.
 * Deleting data and giving space back: reclaim.c.
 */
#include "engine/background.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "engine/data_remap.h"
#include "engine/reclaim.h"
#include "engine/volume.h"

#define POLL_US          1000u
#define DIRTY_BLOCKS_MAX (UINT64_C(512) * MIB / BLOCK_BYTES) /* more is written back at once */

void background_init(struct volume *volume)
{
    struct background *background = &volume->background;
    (void)pthread_mutex_init(&background->lock.pthread, NULL);
    list_init(&background->dirty_files);
    list_init(&background->orphans);
    list_init(&background->cuts);
    list_init(&background->stopped_cuts);
}

void background_start(struct volume *volume)
{
    struct background *background = &volume->background;
    mutex_lock(&background->lock);
    background->is_started = true;
    mutex_unlock(&background->lock);
    background_tick(volume);
}

/* A work that was given to the pool is done. */
static void work_ended_locked(struct background *background) REQUIRES(background->lock)
{
    assert(background->running > 0);
    if (--background->running == 0 && background->idle != NULL) {
        event_signal(background->idle);
        background->idle = NULL;
    }
}

static void sync_on_pool(void *argument)
{
    struct volume *volume = argument;
    struct background *background = &volume->background;
    mutex_lock(&background->lock);
    while (background->sync_waiters != NULL) {
        struct sync_waiter *waiter = background->sync_waiters;
        background->sync_waiters = NULL;
        mutex_unlock(&background->lock);
        int err = volume->is_failed ? -EIO : segments_sync(&volume->segments);
        if (err < 0)
            volume_fail(volume, "segment sync", err);
        while (waiter != NULL) {
            struct sync_waiter *next = waiter->next;
            waiter->result = err < 0 ? -EIO : 0;
            event_signal(&waiter->event);
            waiter = next;
        }
        mutex_lock(&background->lock);
    }
    background->is_syncing = false;
    work_ended_locked(background);
    mutex_unlock(&background->lock);
}

int background_sync(struct volume *volume)
{
    struct background *background = &volume->background;
    struct sync_waiter waiter = { 0 };
    event_init(&waiter.event);
    mutex_lock(&background->lock);
    waiter.next = background->sync_waiters;
    background->sync_waiters = &waiter;
    bool must_start = !background->is_syncing;
    if (must_start) {
        background->is_syncing = true;
        background->running++;
        background->sync_work = (struct pool_work){ NULL, sync_on_pool, volume };
    }
    mutex_unlock(&background->lock);
    if (must_start)
        pool_submit(volume->engine->sync_pool, &background->sync_work);
    event_wait(&waiter.event);
    return waiter.result;
}

void background_note_dirty(struct volume *volume, struct inode *inode, struct file *file)
{
    struct background *background = &volume->background;
    bool must_unpin = false;
    mutex_lock(&background->lock);
    background->dirty_blocks += file->dirty_blocks - file->dirty_counted;
    file->dirty_counted = file->dirty_blocks;
    bool is_listed = file->dirty_inode != NULL;
    if (file->dirty_blocks > 0 && !is_listed) {
        inode_pin_again(&volume->inodes, inode);
        file->dirty_inode = inode;
        file->dirty_since_ms = clock_coarse_ms();
        list_add_tail(&background->dirty_files, &file->dirty_link);
    } else if (file->dirty_blocks == 0 && is_listed) {
        list_remove(&file->dirty_link);
        file->dirty_inode = NULL;
        must_unpin = true;
    }
    mutex_unlock(&background->lock);
    if (must_unpin)
        inode_unpin(&volume->inodes, inode); /* the caller has a pin too: it stays */
}

/* The longest dirty file, if it is due, pinned; NULL: none. It goes to the end of the list. */
static struct inode *next_dirty(struct volume *volume, bool take_all)
{
    struct background *background = &volume->background;
    struct inode *inode = NULL;
    uint64_t now_ms = clock_coarse_ms();
    mutex_lock(&background->lock);
    if (!list_is_empty(&background->dirty_files)) {
        struct file *file = LIST_ENTRY(background->dirty_files.next, struct file, dirty_link);
        bool is_due = now_ms - file->dirty_since_ms >= volume->engine->options.dirty_age_ms;
        if (take_all || is_due || background->dirty_blocks > DIRTY_BLOCKS_MAX) {
            inode = file->dirty_inode;
            inode_pin_again(&volume->inodes, inode);
            file->dirty_since_ms = now_ms;
            list_remove(&file->dirty_link);
            list_add_tail(&background->dirty_files, &file->dirty_link);
        }
    }
    mutex_unlock(&background->lock);
    return inode;
}

/* Commits dirty files, all or those that are due. */
static void write_back(struct volume *volume, bool take_all)
{
    struct inode *inode;
    int err = 0;
    while (err == 0 && (inode = next_dirty(volume, take_all)) != NULL) {
        struct commit_range all = { 0, UINT64_MAX, UINT64_MAX, true };
        err = data_commit(volume, inode, &all);
        inode_unpin(&volume->inodes, inode);
    }
    if (err < 0 && !volume->is_failed)
        LOG_WARN(
            "unstable data could not be written back yet", "fs=%s error=%d", volume->fs_id, err);
}

int background_write_back(struct volume *volume)
{
    struct background *background = &volume->background;
    uint64_t count = 0;
    bool is_ours = false;
    while (!is_ours) { /* what another pass has begun is not durable yet */
        mutex_lock(&background->lock);
        is_ours = !background->is_writing_back;
        background->is_writing_back = true;
        LIST_FOR_EACH(node, &background->dirty_files)
        count++;
        mutex_unlock(&background->lock);
        if (!is_ours) {
            count = 0;
            (void)usleep(POLL_US);
        }
    }
    struct inode *inode;
    int err = 0;
    while (err == 0 && count-- > 0 && (inode = next_dirty(volume, true)) != NULL) {
        struct commit_range all = { 0, UINT64_MAX, UINT64_MAX, true };
        err = data_commit(volume, inode, &all);
        inode_unpin(&volume->inodes, inode);
    }
    mutex_lock(&background->lock);
    background->is_writing_back = false;
    mutex_unlock(&background->lock);
    return err;
}

static void writeback_on_pool(void *argument)
{
    struct volume *volume = argument;
    struct background *background = &volume->background;
    write_back(volume, false);
    mutex_lock(&background->lock);
    background->is_writing_back = false;
    work_ended_locked(background);
    mutex_unlock(&background->lock);
}

static void reap_on_pool(void *argument)
{
    struct volume *volume = argument;
    struct background *background = &volume->background;
    reclaim_run(volume);
    mutex_lock(&background->lock);
    background->is_reaping = false;
    background->reaped_ms = clock_coarse_ms();
    mutex_unlock(&background->lock);
    background_tick(volume); /* somebody's turn may be with a cut that came just now */
    mutex_lock(&background->lock);
    work_ended_locked(background);
    mutex_unlock(&background->lock);
}

void background_claim_reaper(struct volume *volume)
{
    struct background *background = &volume->background;
    for (;;) {
        mutex_lock(&background->lock);
        bool is_free = !background->is_reaping;
        background->is_reaping = true;
        mutex_unlock(&background->lock);
        if (is_free)
            return;
        (void)usleep(POLL_US);
    }
}

void background_release_reaper(struct volume *volume)
{
    struct background *background = &volume->background;
    mutex_lock(&background->lock);
    background->is_reaping = false;
    mutex_unlock(&background->lock);
}

static bool writeback_is_due_locked(
    struct background *background, uint64_t now_ms, uint64_t age_ms_max) REQUIRES(background->lock)
{
    if (background->is_writing_back || list_is_empty(&background->dirty_files))
        return false;
    struct file *oldest = LIST_ENTRY(background->dirty_files.next, struct file, dirty_link);
    return now_ms - oldest->dirty_since_ms >= age_ms_max ||
           background->dirty_blocks > DIRTY_BLOCKS_MAX;
}

void background_tick(struct volume *volume)
{
    struct background *background = &volume->background;
    uint64_t now_ms = clock_coarse_ms();
    bool may_reclaim = cut_is_due(volume) || (now_ms - background->reaped_ms >= RECLAIM_PERIOD_MS &&
                                                 reclaim_is_due(volume));
    mutex_lock(&background->lock);
    bool may_run = background->is_started && !background->is_stopping && !volume->is_failed;
    bool write_back_now = may_run && writeback_is_due_locked(
                                         background, now_ms, volume->engine->options.dirty_age_ms);
    bool reap_now = may_run && may_reclaim && !background->is_reaping;
    if (write_back_now) {
        background->is_writing_back = true;
        background->running++;
        background->writeback_work = (struct pool_work){ NULL, writeback_on_pool, volume };
    }
    if (reap_now) {
        background->is_reaping = true;
        background->running++;
        background->reap_work = (struct pool_work){ NULL, reap_on_pool, volume };
    }
    mutex_unlock(&background->lock);
    if (write_back_now)
        pool_submit(volume->engine->pool, &background->writeback_work);
    if (reap_now)
        pool_submit(volume->engine->pool, &background->reap_work);
}

static void wait_until_idle(struct background *background)
{
    struct event idle;
    event_init(&idle);
    mutex_lock(&background->lock);
    bool must_wait = background->running > 0;
    if (must_wait)
        background->idle = &idle;
    mutex_unlock(&background->lock);
    if (must_wait)
        event_wait(&idle);
}

/* After a failure nothing can be committed: lets go of the files. */
static void drop_dirty(struct volume *volume)
{
    struct inode *inode;
    while ((inode = next_dirty(volume, true)) != NULL) {
        data_abandon(volume, inode);
        inode_unpin(&volume->inodes, inode);
    }
}

void background_stop(struct volume *volume)
{
    struct background *background = &volume->background;
    mutex_lock(&background->lock);
    background->is_stopping = true;
    mutex_unlock(&background->lock);
    cut_stop(volume);
    wait_until_idle(background);
    cut_stop(volume); /* what the reaper had put back */
    if (!volume->is_failed)
        write_back(volume, true);
    wait_until_idle(background); /* the write-back's own sync */
    drop_dirty(volume);
}

void background_fini(struct volume *volume)
{
    struct background *background = &volume->background;
    LIST_FOR_EACH_SAFE(node, &background->orphans)
    {
        list_remove(node);
        free(LIST_ENTRY(node, struct orphan, link));
    }
    cut_fini(volume);
    (void)pthread_mutex_destroy(&background->lock.pthread);
}
