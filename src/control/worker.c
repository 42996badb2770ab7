/*
 * control/worker.c - making and deleting volumes, and the states that show it (room: control).
 *
 * A job only names a record; what is done follows from the state that the record then has. So jobs may come twice, late, or
 * after the record is gone. A step that fails is tried again, later each time.
 */
#include "control/worker.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/text.h"
#include "control/render.h"
#include "control/settle.h"
#include "fs/retention.h"

#define RETRY_MS_MIN       100
#define RETRY_MS_MAX       30000
#define SAMPLE_INTERVAL_MS 60000
#define RETAIN_INTERVAL_MS 5000
#define TOGETHER_MAX       64 /* records that one change moves on */

struct job {
    struct list link;
    enum worker_kind kind;
    char id[CATALOG_ID_SIZE];
    uint64_t not_before_ms;
    uint64_t retry_ms;
};

enum lane_id { LANE_QUICK, LANE_DELETE, LANE_COUNT };

/* One thread and its jobs. */
struct lane {
    struct worker *worker;
    enum lane_id id;
    struct mutex lock;
    pthread_cond_t wake;
    struct list jobs; /* guarded by lock */
    bool stopping;    /* guarded by lock */
    bool look_at_all; /* guarded by lock; a job could not be allocated */
    bool runs;        /* the thread was started */
    pthread_t thread;
};

struct worker {
    struct catalog *catalog;
    struct fs_volumes *volumes;
    struct worker_hooks hooks;
    struct lane lanes[LANE_COUNT];
};

static void submit_to(struct lane *lane, enum worker_kind kind, const char *id)
{
    struct job *job = calloc(1, sizeof *job);
    mutex_lock(&lane->lock);
    if (job == NULL) {
        lane->look_at_all = true;
    } else {
        job->kind = kind;
        job->retry_ms = RETRY_MS_MIN;
        int err = text_copy(job->id, sizeof job->id, id);
        assert(err == 0); /* ids of records fit */
        list_add_tail(&lane->jobs, &job->link);
    }
    mutex_unlock(&lane->lock);
    (void)pthread_cond_signal(&lane->wake);
}

static bool is_passing(enum catalog_state state)
{
    return state == CATALOG_CREATING || state == CATALOG_UPDATING || state == CATALOG_DELETING;
}

static enum lane_id lane_for(enum catalog_state state)
{
    return state == CATALOG_DELETING ? LANE_DELETE : LANE_QUICK;
}

void worker_submit(struct worker *worker, enum worker_kind kind, const char *id)
{
    /* The state may change before the job runs; then it is passed on to the right lane. */
    submit_to(&worker->lanes[LANE_QUICK], kind, id);
}

/* The steps: each makes one transition. They give 0 when it is made or not wanted any more. */

struct transition {
    const char *id;
    enum catalog_state from[2];
    enum catalog_state to;
};

static int move_fs(struct catalog_change *change, void *context)
{
    const struct transition *move = context;
    struct catalog_fs *fs;
    int err = catalog_edit_fs(change, move->id, &fs);
    if (err < 0)
        return err;
    if (fs->state != move->from[0] && fs->state != move->from[1])
        return -ECANCELED;
    fs->state = move->to;
    return 0;
}

static int move_mount_target(struct catalog_change *change, void *context)
{
    const struct transition *move = context;
    struct catalog_mount_target *target;
    int err = catalog_edit_mount_target(change, move->id, &target);
    if (err < 0)
        return err;
    if (target->state != move->from[0])
        return -ECANCELED;
    target->state = move->to;
    return 0;
}

static int move_access_point(struct catalog_change *change, void *context)
{
    const struct transition *move = context;
    struct catalog_access_point *point;
    int err = catalog_edit_access_point(change, move->id, &point);
    if (err < 0)
        return err;
    if (point->state != move->from[0])
        return -ECANCELED;
    point->state = move->to;
    return 0;
}

/* To `available`, unless the record is gone or on its way out meanwhile. */
static int make_available(struct worker *worker, const char *id,
    int (*move)(struct catalog_change *change, void *context))
{
    struct transition transition = {
        .id = id, .from = { CATALOG_CREATING, CATALOG_UPDATING }, .to = CATALOG_AVAILABLE
    };
    int err = catalog_change(worker->catalog, move, &transition);
    return err == -ENOENT || err == -ECANCELED ? 0 : err;
}

static int create_fs(struct worker *worker, const char *id)
{
    char kms_key[CATALOG_KMS_KEY_SIZE] = "";
    const struct catalog_fs *record = catalog_fs_get(worker->catalog, id);
    if (record != NULL)
        memcpy(kms_key, record->kms_key, sizeof kms_key);
    catalog_fs_put(record);
    int err = fs_volumes_create(worker->volumes, id, kms_key[0] != '\0' ? kms_key : NULL);
    if (err < 0)
        return err;
    err = make_available(worker, id, move_fs);
    if (err < 0)
        return err;
    /* It may have been deleted while its volume was made: then the volume goes, whoever was first. */
    const struct catalog_fs *fs = catalog_fs_get(worker->catalog, id);
    if (fs == NULL || fs->state == CATALOG_DELETING)
        err = fs_volumes_destroy(worker->volumes, id);
    else
        LOG_INFO("file system available", "fs=%s", id);
    catalog_fs_put(fs);
    return err;
}

struct removal {
    struct catalog_change *change;
    int err;
};

static bool remove_point(void *context, const struct catalog_access_point *point)
{
    struct removal *removal = context;
    removal->err = catalog_remove_access_point(removal->change, point->id);
    return removal->err == 0;
}

/* Removes the record and those of its access points, as one change. */
static int remove_fs(struct catalog_change *change, void *context)
{
    const char *id = context;
    struct removal removal = { change, 0 };
    catalog_access_point_each(catalog_changing(change), id, remove_point, &removal);
    return removal.err < 0 ? removal.err : catalog_remove_fs(change, id);
}

static int delete_fs(struct worker *worker, const char *id)
{
    if (worker->hooks.forget_fs != NULL)
        worker->hooks.forget_fs(worker->hooks.context, id);
    int err = fs_volumes_destroy(worker->volumes, id);
    if (err < 0)
        return err;
    char copy[CATALOG_ID_SIZE];
    err = text_copy(copy, sizeof copy, id);
    if (err == 0)
        err = catalog_change(worker->catalog, remove_fs, copy);
    if (err == 0)
        LOG_INFO("file system deleted", "fs=%s", id);
    return err == -ENOENT ? 0 : err;
}

static int remove_mount_target(struct catalog_change *change, void *context)
{
    return catalog_remove_mount_target(change, context);
}

static int delete_mount_target(struct worker *worker, const struct catalog_mount_target *target)
{
    if (worker->hooks.forget_mount_target != NULL)
        worker->hooks.forget_mount_target(worker->hooks.context, target->id, target->address);
    char id[CATALOG_ID_SIZE];
    memcpy(id, target->id, sizeof id);
    int err = catalog_change(worker->catalog, remove_mount_target, id);
    return err == -ENOENT ? 0 : err;
}

static int remove_access_point(struct catalog_change *change, void *context)
{
    return catalog_remove_access_point(change, context);
}

static int delete_access_point(struct worker *worker, const char *id)
{
    char copy[CATALOG_ID_SIZE];
    int err = text_copy(copy, sizeof copy, id);
    if (err == 0)
        err = catalog_change(worker->catalog, remove_access_point, copy);
    return err == -ENOENT ? 0 : err;
}

/* Does what the record's state asks for; passes a deletion on to its lane. */
static int take_step(struct lane *lane, enum worker_kind kind, const char *id,
    enum catalog_state state, const struct catalog_mount_target *target)
{
    struct worker *worker = lane->worker;
    if (!is_passing(state))
        return 0;
    if (lane_for(state) != lane->id) {
        submit_to(&worker->lanes[lane_for(state)], kind, id);
        return 0;
    }
    bool deleting = state == CATALOG_DELETING;
    switch (kind) {
    case WORKER_FS:
        if (state == CATALOG_UPDATING)
            return make_available(worker, id, move_fs);
        return deleting ? delete_fs(worker, id) : create_fs(worker, id);
    case WORKER_MOUNT_TARGET:
        return deleting ? delete_mount_target(worker, target)
                        : make_available(worker, id, move_mount_target);
    case WORKER_ACCESS_POINT:
        return deleting ? delete_access_point(worker, id)
                        : make_available(worker, id, move_access_point);
    }
    abort();
}

/* Moves on the settings of a file system that is there. */
static int settle(struct worker *worker, const char *id)
{
    const struct catalog_fs *fs = catalog_fs_get(worker->catalog, id);
    bool due = fs != NULL && fs->state != CATALOG_CREATING && fs->state != CATALOG_DELETING &&
               settle_is_due(fs);
    catalog_fs_put(fs);
    return due ? settle_fs(worker->catalog, id) : 0;
}

/* Looks the record up and takes its step. */
static int run_job(struct lane *lane, const struct job *job)
{
    const struct catalog *catalog = lane->worker->catalog;
    int err = 0;
    if (job->kind == WORKER_FS) {
        const struct catalog_fs *fs = catalog_fs_get(catalog, job->id);
        if (fs != NULL)
            err = take_step(lane, job->kind, fs->id, fs->state, NULL);
        catalog_fs_put(fs);
        if (err == 0)
            err = settle(lane->worker, job->id);
    } else if (job->kind == WORKER_MOUNT_TARGET) {
        const struct catalog_mount_target *target = catalog_mount_target_get(catalog, job->id);
        if (target != NULL)
            err = take_step(lane, job->kind, target->id, target->state, target);
        catalog_mount_target_put(target);
    } else {
        const struct catalog_access_point *point = catalog_access_point_get(catalog, job->id);
        if (point != NULL)
            err = take_step(lane, job->kind, point->id, point->state, NULL);
        catalog_access_point_put(point);
    }
    if (err < 0)
        LOG_WARN("life cycle step failed; it is tried again",
            "id=%s retry_ms=%" PRIu64 " error=\"%s\"", job->id, job->retry_ms,
            strerrordesc_np(-err));
    return err;
}

static bool look_at_fs(void *worker, const struct catalog_fs *fs)
{
    if (is_passing(fs->state) || settle_is_due(fs))
        worker_submit(worker, WORKER_FS, fs->id);
    return true;
}

static bool look_at_target(void *worker, const struct catalog_mount_target *target)
{
    if (is_passing(target->state))
        worker_submit(worker, WORKER_MOUNT_TARGET, target->id);
    return true;
}

static bool look_at_point(void *worker, const struct catalog_access_point *point)
{
    if (is_passing(point->state))
        worker_submit(worker, WORKER_ACCESS_POINT, point->id);
    return true;
}

/* Submits every record that is on its way somewhere. */
static void look_at_all(struct worker *worker)
{
    catalog_fs_each(worker->catalog, look_at_fs, worker);
    catalog_mount_target_each(worker->catalog, NULL, look_at_target, worker);
    catalog_access_point_each(worker->catalog, NULL, look_at_point, worker);
}

struct sample {
    const char *id;
    uint64_t bytes;
    int64_t at_ms;
};

static int store_sample(struct catalog_change *change, void *context)
{
    const struct sample *sample = context;
    struct catalog_fs *fs;
    int err = catalog_edit_fs(change, sample->id, &fs);
    if (err < 0)
        return err;
    fs->size_bytes = sample->bytes;
    fs->size_sampled_ms = sample->at_ms;
    return 0;
}

/* Notes the size of an open file system when it has changed. */
static void sample_fs(struct worker *worker, const struct catalog_fs *record)
{
    struct fs *fs;
    if (fs_volumes_get_open(worker->volumes, record->id, &fs) < 0)
        return;
    struct fs_space space;
    int err = fs_space(fs, &space);
    fs_volumes_put(worker->volumes, fs);
    uint64_t bytes = err < 0 ? record->size_bytes : render_metered_bytes(&space);
    if (bytes == record->size_bytes)
        return;
    struct sample sample = {
        .id = record->id, .bytes = bytes, .at_ms = clock_wall_s() * INT64_C(1000)
    };
    err = catalog_change(worker->catalog, store_sample, &sample);
    if (err < 0 && err != -ENOENT)
        LOG_WARN("size of a file system not stored", "fs=%s error=\"%s\"", record->id,
            strerrordesc_np(-err));
}

static bool sample_one(void *worker, const struct catalog_fs *fs)
{
    sample_fs(worker, fs);
    return true;
}

static void sample_all(struct worker *worker)
{
    catalog_fs_each(worker->catalog, sample_one, worker);
}

/* Makes and deletes the snapshots that the file system's tag asks for. */
static void retain_fs(struct worker *worker, const struct catalog_fs *record)
{
    const char *schedule = catalog_tags_find(&record->tags, CATALOG_SNAPSHOTS_TAG);
    struct retention retention = { 0 };
    struct fs *fs = NULL;
    if (schedule == NULL || record->state != CATALOG_AVAILABLE ||
        retention_parse(slice_str(schedule), &retention) < 0) /* of a release that knew more */
        return;
    int err = fs_volumes_get(worker->volumes, record->id, &fs);
    if (err == 0) {
        err = retention_run(fs, &retention, clock_wall_s());
        fs_volumes_put(worker->volumes, fs);
    }
    if (err < 0)
        LOG_WARN("scheduled snapshots could not be made; tried again", "fs=%s error=\"%s\"",
            record->id, strerrordesc_np(-err));
}

static bool retain_one(void *worker, const struct catalog_fs *fs)
{
    retain_fs(worker, fs);
    return true;
}

static void retain_all(struct worker *worker)
{
    catalog_fs_each(worker->catalog, retain_one, worker);
}

/* Jobs that are taken off the list at once. */
struct batch {
    const struct lane *lane;
    size_t count;
    struct job *jobs[TOGETHER_MAX];
};

static int move_point_on(struct catalog_change *change, const struct lane *lane, const char *id)
{
    const struct catalog_access_point *point =
        catalog_access_point_get(catalog_changing(change), id);
    bool is_here = point != NULL && is_passing(point->state) && lane_for(point->state) == lane->id;
    catalog_access_point_put(point);
    if (!is_here)
        return 0;
    if (lane->id == LANE_DELETE)
        return catalog_remove_access_point(change, id);
    struct catalog_access_point *edited;
    int err = catalog_edit_access_point(change, id, &edited);
    if (err == 0)
        edited->state = CATALOG_AVAILABLE;
    return err;
}

static int move_target_on(struct catalog_change *change, const char *id)
{
    const struct catalog_mount_target *target =
        catalog_mount_target_get(catalog_changing(change), id);
    bool is_here = target != NULL && target->state == CATALOG_CREATING;
    catalog_mount_target_put(target);
    if (!is_here)
        return 0;
    struct catalog_mount_target *edited;
    int err = catalog_edit_mount_target(change, id, &edited);
    if (err == 0)
        edited->state = CATALOG_AVAILABLE;
    return err;
}

static bool comes_again(const struct batch *batch, size_t i)
{
    for (size_t k = 0; k < i; k++) {
        if (strcmp(batch->jobs[k]->id, batch->jobs[i]->id) == 0)
            return true;
    }
    return false;
}

/* Makes the transitions that need nothing but the record. */
static int move_together(struct catalog_change *change, void *context)
{
    const struct batch *batch = context;
    int err = 0;
    for (size_t i = 0; err == 0 && i < batch->count; i++) {
        const struct job *job = batch->jobs[i];
        if (comes_again(batch, i)) /* a change has each record once */
            continue;
        if (job->kind == WORKER_ACCESS_POINT)
            err = move_point_on(change, batch->lane, job->id);
        else if (job->kind == WORKER_MOUNT_TARGET)
            err = move_target_on(change, job->id);
    }
    return err;
}

static void take_ready_locked(struct lane *lane, uint64_t now_ms, struct batch *batch)
    REQUIRES(lane->lock)
{
    LIST_FOR_EACH_SAFE(node, &lane->jobs)
    {
        struct job *job = LIST_ENTRY(node, struct job, link);
        if (batch->count == TOGETHER_MAX)
            break;
        if (job->not_before_ms <= now_ms) {
            list_remove(&job->link);
            batch->jobs[batch->count++] = job;
        }
    }
}

/* Waits for jobs, at most a short while; then others are due. None may have come; *out_stop: the lane ends. */
static void wait_for_jobs(
    struct lane *lane, struct batch *batch, bool *out_stop, bool *out_look_at_all)
{
    batch->lane = lane;
    batch->count = 0;
    mutex_lock(&lane->lock);
    if (!lane->stopping)
        take_ready_locked(lane, clock_coarse_ms(), batch);
    if (batch->count == 0 && !lane->stopping) {
        struct timespec until;
        (void)clock_gettime(CLOCK_REALTIME, &until); /* cannot fail for this clock */
        until.tv_nsec += RETRY_MS_MIN * 1000000L;
        if (until.tv_nsec >= 1000000000L) {
            until.tv_nsec -= 1000000000L;
            until.tv_sec++;
        }
        bool retries_only = !list_is_empty(&lane->jobs);
        until.tv_sec += retries_only ? 0 : 1;
        (void)pthread_cond_timedwait(
            &lane->wake, &lane->lock.pthread, &until); /* both ends are fine */
    }
    *out_stop = lane->stopping;
    *out_look_at_all = lane->look_at_all;
    lane->look_at_all = false;
    mutex_unlock(&lane->lock);
}

static void run_or_retry(struct lane *lane, struct job *job)
{
    if (run_job(lane, job) == 0) {
        free(job);
        return;
    }
    job->not_before_ms = clock_coarse_ms() + job->retry_ms;
    job->retry_ms = min_u64(2 * job->retry_ms, RETRY_MS_MAX);
    mutex_lock(&lane->lock);
    list_add_tail(&lane->jobs, &job->link);
    mutex_unlock(&lane->lock);
}

/* What needs only the records is done by one change, which needs one sync, however many are waiting. What is left over,
 * also when that change fails, each job does by itself. */
static void run_batch(struct lane *lane, struct batch *batch)
{
    if (batch->count > 1) {
        int err = catalog_change(lane->worker->catalog, move_together, batch);
        if (err < 0)
            LOG_WARN("life cycle steps failed together; they are tried one by one", "error=\"%s\"",
                strerrordesc_np(-err));
    }
    for (size_t i = 0; i < batch->count; i++)
        run_or_retry(lane, batch->jobs[i]);
}

static void *lane_main(void *context)
{
    struct lane *lane = context;
    uint64_t sample_at_ms = clock_coarse_ms() + SAMPLE_INTERVAL_MS;
    uint64_t retain_at_ms = clock_coarse_ms() + RETAIN_INTERVAL_MS;
    bool stop = false;
    while (!stop) {
        bool all;
        struct batch batch;
        wait_for_jobs(lane, &batch, &stop, &all);
        run_batch(lane, &batch);
        if (all)
            look_at_all(lane->worker);
        if (lane->id == LANE_QUICK && clock_coarse_ms() >= sample_at_ms) {
            sample_all(lane->worker);
            sample_at_ms = clock_coarse_ms() + SAMPLE_INTERVAL_MS;
        }
        if (lane->id == LANE_DELETE && clock_coarse_ms() >= retain_at_ms) {
            retain_all(lane->worker);
            retain_at_ms = clock_coarse_ms() + RETAIN_INTERVAL_MS;
        }
    }
    return NULL;
}

int worker_new(struct catalog *catalog, struct fs_volumes *volumes,
    const struct worker_hooks *hooks, struct worker **out_worker)
{
    struct worker *worker = calloc(1, sizeof *worker);
    if (worker == NULL)
        return -ENOMEM;
    worker->catalog = catalog;
    worker->volumes = volumes;
    worker->hooks = *hooks;
    for (unsigned i = 0; i < LANE_COUNT; i++) {
        struct lane *lane = &worker->lanes[i];
        lane->worker = worker;
        lane->id = (enum lane_id)i;
        list_init(&lane->jobs);
        (void)pthread_mutex_init(&lane->lock.pthread, NULL);
        (void)pthread_cond_init(&lane->wake, NULL);
    }
    *out_worker = worker;
    return 0;
}

int worker_start(struct worker *worker)
{
    look_at_all(worker);
    for (unsigned i = 0; i < LANE_COUNT; i++) {
        struct lane *lane = &worker->lanes[i];
        int err = pthread_create(&lane->thread, NULL, lane_main, lane);
        if (err > 0)
            return -err;
        lane->runs = true;
    }
    return 0;
}

static void stop_lane(struct lane *lane)
{
    mutex_lock(&lane->lock);
    lane->stopping = true;
    mutex_unlock(&lane->lock);
    (void)pthread_cond_signal(&lane->wake);
    if (lane->runs)
        (void)pthread_join(lane->thread, NULL);
    LIST_FOR_EACH_SAFE(node, &lane->jobs)
    {
        free(LIST_ENTRY(node, struct job, link)); /* its record's state tells the next start */
    }
    list_init(&lane->jobs);
}

void worker_free(struct worker *worker)
{
    if (worker == NULL)
        return;
    for (unsigned i = 0; i < LANE_COUNT; i++)
        stop_lane(&worker->lanes[i]);
    for (unsigned i = 0; i < LANE_COUNT; i++) {
        (void)pthread_cond_destroy(&worker->lanes[i].wake);
        (void)pthread_mutex_destroy(&worker->lanes[i].lock.pthread);
    }
    free(worker);
}
