/*
 * datastore/files/bars_compact.c - puts the parts of a partition together, when asked to or in the background
 * (room: datastore).
 *
 * The steps of one compaction, with M the greatest sequence it covers:
 *   1. the hidden file ".M-zRANDOM.parquet.compacting" is made: the intent, which writers look for (see bars_parts.c);
 *   2. the parts up to M are listed, read and merged into that file, which is synced;
 *   3. it is renamed to "M-zRANDOM.parquet", and the directory is synced;
 *   4. the parts that were merged are removed.
 * An intent older than LEASE_S is of somebody who died: it is removed. That is the fence: whoever comes back later finds
 * its file gone, so that step 3 fails and nothing else is done. Two compactions at once only waste work: each puts
 * the right rows in the right place, and step 4 removes what is in a file that is there.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/lock.h"
#include "datastore/files/bars.h"

#define LEASE_S     300
#define QUEUE_MAX   1024u
#define TIER_FACTOR 4u /* an older part this many times larger than all newer ones stays as it is */
#define NAME_ROOM   (BARS_PART_SIZE + 16)

/* ---- One partition ---- */

static int64_t size_of(int dir_fd, const char *name)
{
    struct stat st;
    return fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : st.st_size;
}

/* The index of the first part to be merged: from there on, all are. */
static size_t choose_first(int dir_fd, const struct bars_parts *parts, bool is_thorough)
{
    size_t own = 0; /* files of somebody else stay as they are: they may have more columns */
    while (own < parts->count && parts->parts[own].sequence == 0)
        own++;
    if (is_thorough)
        return own;
    size_t first = parts->count;
    uint64_t newer_bytes = 0;
    while (first > own) {
        int64_t size = size_of(dir_fd, parts->parts[first - 1].name);
        if (size < 0 || (parts->count - first >= 2 && (uint64_t)size > TIER_FACTOR * newer_bytes))
            break;
        newer_bytes += (uint64_t)size;
        first--;
    }
    return first;
}

/* Removes intents of those who died. Times are the server's, so the clock of this host does not matter. 1: somebody
 * alive is at work. */
static int remove_stale(int dir_fd, const struct bars_parts *parts, const char *own)
{
    struct stat mine;
    if (fstatat(dir_fd, own, &mine, AT_SYMLINK_NOFOLLOW) < 0)
        return -errno;
    for (size_t i = 0; i < parts->compaction_count; i++) {
        char name[NAME_ROOM];
        struct stat other;
        (void)snprintf(name, sizeof name, ".%s.compacting", parts->compactions[i].name);
        if (strcmp(name, own) == 0 || fstatat(dir_fd, name, &other, AT_SYMLINK_NOFOLLOW) < 0)
            continue;
        if (mine.st_mtime - other.st_mtime < LEASE_S)
            return 1;
        (void)unlinkat(dir_fd, name, 0); /* somebody else may have done it */
    }
    return 0;
}

/* Leaves the parts [first, of those up to M] in the snapshot. */
static void keep_range(
    struct bars_snapshot *snapshot, const struct bars_part *first, uint64_t sequence_max)
{
    for (size_t i = 0; i < snapshot->parts.count; i++) {
        const struct bars_part *part = &snapshot->parts.parts[i];
        bool is_before = part->sequence < first->sequence ||
                         (part->sequence == first->sequence && strcmp(part->name, first->name) < 0);
        if (!is_before && part->sequence <= sequence_max)
            continue;
        parquet_reader_free(snapshot->open[i].reader);
        snapshot->open[i].reader = NULL;
        snapshot->open[i].error = (struct parquet_error){ 0 };
    }
}

/* One compaction. */
struct job {
    int dir_fd;
    const char *path;
    const struct bars_part *first; /* the oldest part that is merged */
    uint64_t sequence_max;
    char name[BARS_PART_SIZE];
    char intent[NAME_ROOM];
    char damage[400]; /* the first sentence about a damaged part */
    struct shoal_data_compaction *report;
};

static int note_damage(void *context, const char *sentence)
{
    struct job *job = context;
    if (job->damage[0] == '\0')
        (void)snprintf(job->damage, sizeof job->damage, "%s", sentence);
    return 0;
}

/* Reads and merges the parts of the snapshot and writes them to the intent. */
static int write_merged(
    struct job *job, struct bars_snapshot *snapshot, const struct bars_reading *reading)
{
    struct bars_rows rows = { 0 };
    struct parquet_error why = { 0 };
    int err = bars_rows_init(&rows, snapshot->row_count, SHOAL_DATA_ALL_COLUMNS);
    if (err == 0)
        err = bars_snapshot_read(snapshot, reading, &rows);
    if (err == 0 && job->damage[0] != '\0')
        err = -EBADMSG;
    const struct shoal_data_bars bars = { .count = rows.count,
        .timestamp_ns = rows.timestamp_ns,
        .open = rows.columns[0],
        .high = rows.columns[1],
        .low = rows.columns[2],
        .close = rows.columns[3],
        .volume = rows.columns[4] };
    int fd = err < 0 ? err : sys_openat(job->dir_fd, job->intent, O_WRONLY | O_NOFOLLOW, 0);
    if (fd < 0)
        err = fd == -ENOENT ? -EBUSY : fd; /* fenced off: it must not be made again */
    else
        err = bars_part_write(fd, &bars, &why);
    bars_rows_fini(&rows);
    return err;
}

/* Steps 3 and 4. */
static int publish(struct job *job, const struct bars_snapshot *snapshot)
{
    if (renameat(job->dir_fd, job->intent, job->dir_fd, job->name) < 0)
        return errno == ENOENT ? -EBUSY : -errno; /* fenced off */
    int err = sys_fsync(job->dir_fd);
    if (err < 0)
        return err;
    for (size_t i = 0; i < snapshot->parts.count; i++) {
        const char *part = snapshot->parts.parts[i].name;
        int64_t size = size_of(job->dir_fd, part);
        if (snapshot->open[i].reader == NULL)
            continue;
        job->report->parts_before++;
        job->report->bytes_before += size > 0 ? (uint64_t)size : 0;
        if (unlinkat(job->dir_fd, part, 0) < 0 && errno != ENOENT)
            return -errno;
    }
    int64_t size = size_of(job->dir_fd, job->name);
    job->report->parts_after++;
    job->report->bytes_after += size > 0 ? (uint64_t)size : 0;
    return 0;
}

/* Steps 2 to 4, with the intent shown. */
static int compact_shown(struct job *job)
{
    struct bars_snapshot snapshot = { 0 };
    const struct bars_reading reading = {
        .from_ns = INT64_MIN,
        .to_ns = INT64_MAX,
        .columns = SHOAL_DATA_ALL_COLUMNS,
        .path = job->path,
        .tell = note_damage,
        .tell_context = job,
    };
    int err = bars_snapshot_open(job->dir_fd, &reading, &snapshot);
    if (err < 0)
        return err;
    keep_range(&snapshot, job->first, job->sequence_max);
    job->damage[0] = '\0'; /* only what is merged counts */
    for (size_t i = 0; i < snapshot.parts.count && err == 0; i++) {
        const char *message = snapshot.open[i].error.message;
        if (message[0] != '\0' && note_damage(job, message) == 0)
            err = -EBADMSG;
    }
    if (err == 0)
        err = remove_stale(job->dir_fd, &snapshot.parts, job->intent);
    if (err > 0)
        err = -EBUSY;
    if (err == 0)
        err = write_merged(job, &snapshot, &reading);
    if (err == 0)
        err = publish(job, &snapshot);
    bars_snapshot_close(&snapshot);
    return err;
}

/* Makes the intent, empty, and sees to it that it goes when nothing came of it. */
static int compact_job(struct job *job)
{
    bars_part_name(job->name, job->sequence_max, true);
    (void)snprintf(job->intent, sizeof job->intent, ".%s.compacting", job->name);
    int fd = sys_openat(job->dir_fd, job->intent, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0644);
    if (fd < 0)
        return fd;
    (void)close(fd); /* empty */
    int err = compact_shown(job);
    if (err < 0)
        (void)unlinkat(job->dir_fd, job->intent, 0); /* may be gone */
    return err;
}

int bars_compact_partition(int dir_fd, const char *path, bool is_thorough,
    struct shoal_data_compaction *report, struct shoal_data_error *error)
{
    struct bars_parts parts = { 0 };
    int err = bars_parts_list(dir_fd, &parts);
    if (err < 0) {
        (void)data_fail_errno(error, err, "Cannot list", path);
        return err;
    }
    size_t first = choose_first(dir_fd, &parts, is_thorough);
    struct job job = { .dir_fd = dir_fd, .path = path, .report = report };
    if (parts.count >= 2 && parts.count - first >= 2) {
        report->parts_before += first;
        report->parts_after += first;
        job.first = &parts.parts[first];
        job.sequence_max = parts.parts[parts.count - 1].sequence;
        err = compact_job(&job);
    } else {
        report->parts_before += parts.count;
        report->parts_after += parts.count;
        for (size_t i = 0; i < parts.count; i++) {
            int64_t size = size_of(dir_fd, parts.parts[i].name);
            report->bytes_before += size > 0 ? (uint64_t)size : 0;
            report->bytes_after += size > 0 ? (uint64_t)size : 0;
        }
    }
    bars_parts_fini(&parts);
    if (err == -EBUSY)
        (void)data_fail(error, SHOAL_DATA_BUSY, "%s: somebody else is compacting it.", path);
    else if (err == -EBADMSG)
        (void)data_fail(error, SHOAL_DATA_DAMAGED, "%s", job.damage);
    else if (err < 0)
        (void)data_fail_errno(error, err, "Cannot compact", path);
    return err;
}

/* ---- In the background ---- */

struct bars_compactor {
    const struct files_store *store;
    struct mutex lock;
    pthread_cond_t wake;
    pthread_t thread;
    bool has_thread; /* under the lock, as what follows */
    bool ends;
    char *queue[QUEUE_MAX];
    size_t queue_count;
};

int bars_compactor_open(const struct files_store *store, struct bars_compactor **out_compactor)
{
    struct bars_compactor *compactor = calloc(1, sizeof *compactor);
    if (compactor == NULL)
        return -ENOMEM;
    compactor->store = store;
    (void)pthread_mutex_init(&compactor->lock.pthread, NULL); /* never fails with defaults */
    (void)pthread_cond_init(&compactor->wake, NULL);
    *out_compactor = compactor;
    return 0;
}

/* The next path, which the caller frees; NULL: it is over. */
static char *take(struct bars_compactor *compactor)
{
    char *path = NULL;
    mutex_lock(&compactor->lock);
    while (compactor->queue_count == 0 && !compactor->ends)
        (void)pthread_cond_wait(&compactor->wake, &compactor->lock.pthread);
    if (!compactor->ends) {
        path = compactor->queue[0];
        compactor->queue_count--;
        memmove(compactor->queue, compactor->queue + 1,
            compactor->queue_count * sizeof *compactor->queue);
    }
    mutex_unlock(&compactor->lock);
    return path;
}

static void *work(void *argument)
{
    struct bars_compactor *compactor = argument;
    for (char *path = take(compactor); path != NULL; path = take(compactor)) {
        struct shoal_data_compaction report = { 0 };
        int dir_fd = files_open_directory(compactor->store, path, false);
        if (dir_fd >= 0) {
            /* Nothing is lost by a failure: the parts stay, and whoever reads a damaged one is told. */
            (void)bars_compact_partition(dir_fd, path, false, &report, NULL);
            (void)close(dir_fd); /* read only */
        }
        free(path);
    }
    return NULL;
}

void bars_compactor_tell(struct bars_compactor *compactor, const char *path)
{
    mutex_lock(&compactor->lock);
    bool is_known = compactor->queue_count == QUEUE_MAX;
    for (size_t i = 0; i < compactor->queue_count && !is_known; i++)
        is_known = strcmp(compactor->queue[i], path) == 0;
    char *copy = is_known ? NULL : strdup(path);
    if (copy != NULL && !compactor->has_thread)
        compactor->has_thread = pthread_create(&compactor->thread, NULL, work, compactor) == 0;
    if (copy != NULL && compactor->has_thread) {
        compactor->queue[compactor->queue_count++] = copy;
        (void)pthread_cond_signal(&compactor->wake);
        copy = NULL;
    }
    mutex_unlock(&compactor->lock);
    free(copy);
}

void bars_compactor_close(struct bars_compactor *compactor)
{
    if (compactor == NULL)
        return;
    mutex_lock(&compactor->lock);
    compactor->ends = true;
    bool has_thread = compactor->has_thread;
    (void)pthread_cond_signal(&compactor->wake);
    mutex_unlock(&compactor->lock);
    if (has_thread)
        (void)pthread_join(compactor->thread, NULL);
    for (size_t i = 0; i < compactor->queue_count; i++)
        free(compactor->queue[i]);
    (void)pthread_cond_destroy(&compactor->wake);
    (void)pthread_mutex_destroy(&compactor->lock.pthread);
    free(compactor);
}
