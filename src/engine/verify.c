/*
 * engine/verify.c - verifying an open volume in the background (room: engine).
 */
#include "engine/verify.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/sys.h"
#include "engine/calls.h"
#include "engine/check.h"
#include "engine/inspect.h"
#include "engine/scrub.h"
#include "metrics/metrics.h"

#define FINDINGS_MAX      1000u
#define FINDING_SIZE      4600u /* with a path */
#define FILE_NAME         "scrub"
#define FILE_SIZE_MAX     (256u * 1024)
#define DAMAGE_LINE_SIZE  128u
#define SAVE_MS           5000u
#define POSITION_SIZE_MAX 18u

struct job {
    struct volume *volume;
    enum fs_verify_kind kind;
    struct mutex lock; /* of what follows up to the line */
    struct fs_verify status;
    char *findings[FINDINGS_MAX];
    unsigned finding_count;
    bool has_thread;
    bool is_wanted; /* false: it is to stop, because somebody said so */
    /* ---- */
    pthread_t thread;
    _Atomic bool is_closing;
    /* The thread's, of a scrub: */
    struct scrub scrub;
    struct scrub_damage damages[FINDINGS_MAX];
    unsigned damage_count;
    uint64_t saved_ms;
};

struct verifier {
    struct job jobs[FS_VERIFY_KINDS];
};

static const char *const state_names[] = { "never", "running", "done", "stopped", "failed" };

static void add_finding(struct job *job, const char *text)
{
    mutex_lock(&job->lock);
    job->status.wrong_count++;
    if (job->finding_count < FINDINGS_MAX) {
        job->findings[job->finding_count] = strdup(text);
        if (job->findings[job->finding_count] != NULL)
            job->finding_count++;
    }
    mutex_unlock(&job->lock);
}

static void forget_findings_locked(struct job *job) REQUIRES(job->lock)
{
    for (unsigned i = 0; i < job->finding_count; i++)
        free(job->findings[i]);
    job->finding_count = 0;
}

static bool must_stop(struct job *job)
{
    mutex_lock(&job->lock);
    bool is_wanted = job->is_wanted;
    mutex_unlock(&job->lock);
    return !is_wanted || job->is_closing;
}

/* ---- records -------------------------------------------------------------------------------------------- */

static void note_wrong_record(void *context, const char *text)
{
    struct job *job = context;
    LOG_ERROR("verification: records do not agree", "fs=%s %s", job->volume->fs_id, text);
    add_finding(job, text);
}

static bool records_must_stop(void *context)
{
    return must_stop(context);
}

static int verify_records(struct job *job)
{
    const struct check_sink sink = {
        .context = job, .finding = note_wrong_record, .is_stopping = records_must_stop
    };
    struct check_report report = { 0 };
    struct inspection *inspection;
    int err = inspect_live(job->volume, &inspection);
    if (err < 0)
        return err;
    err = check_run(inspection, &sink, &report);
    inspect_close(inspection);
    mutex_lock(&job->lock);
    job->status.done_records = report.inodes + report.names;
    mutex_unlock(&job->lock);
    return err;
}

/* ---- data ----------------------------------------------------------------------------------------------- */

/* The path is not kept, as names of an encrypted file system stand nowhere in clear: it is found when it is asked for. */
static void describe(struct job *job, const struct scrub_damage *damage, char text[FINDING_SIZE])
{
    char path[4096] = "";
    if (damage->inode == 0) {
        (void)snprintf(text, FINDING_SIZE, "what=unreadable-records kind=%c", damage->kind);
        return;
    }
    inspect_path(job->volume, damage->inode, path, sizeof path);
    (void)snprintf(text, FINDING_SIZE,
        "what=damaged-data inode=%" PRIu64 " offset=%" PRIu64 " bytes=%u segment=%" PRIu64
        " block=%" PRIu64 " path=%s",
        damage->inode, damage->offset, damage->size_bytes, damage->segment, damage->block, path);
}

static void note_damage(void *context, const struct scrub_damage *damage)
{
    struct job *job = context;
    char text[FINDING_SIZE];
    describe(job, damage, text);
    LOG_ERROR("verification: data is damaged",
        "fs=%s inode=%" PRIu64 " offset=%" PRIu64 " bytes=%u segment=%" PRIu64 " block=%" PRIu64
        " kind=%c",
        job->volume->fs_id, damage->inode, damage->offset, damage->size_bytes, damage->segment,
        damage->block, damage->kind);
    if (job->damage_count < FINDINGS_MAX)
        job->damages[job->damage_count++] = *damage;
    add_finding(job, text);
}

static void append(char *text, size_t *size, const char *format, ...) PRINTF_LIKE(3, 4);
static void append(char *text, size_t *size, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int added = vsnprintf(text + *size, FILE_SIZE_MAX - *size, format, arguments);
    va_end(arguments);
    if (added > 0)
        *size = min_size(*size + (size_t)added, FILE_SIZE_MAX - 1);
}

/* Writes how far it is. Best effort: what is lost is read again. */
static void save(struct job *job, enum fs_verify_state state)
{
    char *text = malloc(FILE_SIZE_MAX);
    if (text == NULL)
        return;
    size_t size = 0;
    mutex_lock(&job->lock);
    struct fs_verify status = job->status;
    mutex_unlock(&job->lock);
    append(text, &size,
        "shoal-scrub 1\nstate %s\nstarted %" PRId64 "\nended %" PRId64 "\nerror %d\nbytes %" PRIu64
        "\nrecords %" PRIu64 "\nwrong %" PRIu64 "\nposition ",
        state_names[state], status.started_s, status.ended_s, status.error, job->scrub.done_bytes,
        job->scrub.done_records, status.wrong_count);
    size_t position_size = min_size(job->scrub.position.size, POSITION_SIZE_MAX);
    for (size_t i = 0; i < position_size; i++)
        append(text, &size, "%02x", job->scrub.position.bytes[i]);
    append(text, &size, "\n");
    for (unsigned i = 0; i < job->damage_count; i++) {
        const struct scrub_damage *it = &job->damages[i];
        append(text, &size, "damage %c %" PRIu64 " %" PRIu64 " %u %" PRIu64 " %" PRIu64 "\n",
            it->kind, it->inode, it->offset, it->size_bytes, it->segment, it->block);
    }
    int err = sys_replace_file(job->volume->dir_fd, FILE_NAME, text, size, 0600);
    if (err < 0)
        LOG_WARN(
            "the state of a scrub cannot be written", "fs=%s error=%d", job->volume->fs_id, err);
    free(text);
}

static void publish_progress(struct job *job)
{
    mutex_lock(&job->lock);
    job->status.done_bytes = job->scrub.done_bytes;
    job->status.done_records = job->scrub.done_records;
    job->status.total_bytes = max_u64(job->volume->used_bytes, job->scrub.done_bytes);
    uint64_t left = job->status.total_bytes - job->status.done_bytes;
    mutex_unlock(&job->lock);
    metrics_set(METRIC_ENGINE_SCRUB_LEFT, (int64_t)left);
}

static bool scrub_stepped(void *context)
{
    struct job *job = context;
    publish_progress(job);
    if (clock_coarse_ms() - job->saved_ms >= SAVE_MS) {
        job->saved_ms = clock_coarse_ms();
        save(job, FS_VERIFY_RUNNING);
    }
    return must_stop(job);
}

static int verify_data(struct job *job)
{
    job->scrub.volume = job->volume;
    job->scrub.bytes_per_s = job->volume->engine->options.scrub_bytes_per_s;
    job->scrub.context = job;
    job->scrub.damaged = note_damage;
    job->scrub.stepped = scrub_stepped;
    job->saved_ms = clock_coarse_ms();
    save(job, FS_VERIFY_RUNNING);
    int err = scrub_run(&job->scrub);
    publish_progress(job);
    return err;
}

/* ---- jobs ----------------------------------------------------------------------------------------------- */

static void end(struct job *job, int err)
{
    enum fs_verify_state state = FS_VERIFY_DONE;
    if (err < 0)
        state = err == -EINTR ? FS_VERIFY_STOPPED : FS_VERIFY_FAILED;
    mutex_lock(&job->lock);
    bool goes_on_later = err == -EINTR && job->is_wanted;
    job->status.ended_s = goes_on_later ? 0 : clock_wall_s();
    job->status.error = err == -EINTR ? 0 : err;
    struct fs_verify status = job->status;
    mutex_unlock(&job->lock);
    if (job->kind == FS_VERIFY_DATA)
        save(job, goes_on_later ? FS_VERIFY_RUNNING : state);
    LOG_INFO("verification ended",
        "fs=%s kind=%s state=%s wrong=%" PRIu64 " bytes=%" PRIu64 " records=%" PRIu64 " error=%d",
        job->volume->fs_id, job->kind == FS_VERIFY_DATA ? "data" : "records", state_names[state],
        status.wrong_count, status.done_bytes, status.done_records, status.error);
    if (job->kind == FS_VERIFY_DATA && state == FS_VERIFY_DONE) {
        metrics_add(METRIC_ENGINE_SCRUBS, 0, 1);
        metrics_set(METRIC_ENGINE_SCRUB_END, status.ended_s);
    }
    mutex_lock(&job->lock);
    job->status.state = state; /* from here on another one may begin */
    mutex_unlock(&job->lock);
}

static void *run(void *argument)
{
    struct job *job = argument;
    end(job, job->kind == FS_VERIFY_DATA ? verify_data(job) : verify_records(job));
    return NULL;
}

static int start_locked(struct job *job) REQUIRES(job->lock)
{
    if (job->has_thread) /* it has ended, or is about to return */
        (void)pthread_join(job->thread, NULL);
    job->has_thread = false;
    job->is_wanted = true;
    job->status.state = FS_VERIFY_RUNNING;
    int err = -pthread_create(&job->thread, NULL, run, job);
    job->has_thread = err == 0;
    if (err < 0)
        job->status.state = FS_VERIFY_FAILED;
    return err;
}

int call_verify_start(struct fs *fs, enum fs_verify_kind kind)
{
    struct job *job = &volume_of(fs)->verifier->jobs[kind];
    mutex_lock(&job->lock);
    int err = job->status.state == FS_VERIFY_RUNNING ? -EALREADY : 0;
    if (err == 0) {
        forget_findings_locked(job);
        job->status = (struct fs_verify){ .started_s = clock_wall_s() };
        job->damage_count = 0;
        job->scrub = (struct scrub){ 0 };
        err = start_locked(job);
    }
    mutex_unlock(&job->lock);
    return err;
}

int call_verify_stop(struct fs *fs, enum fs_verify_kind kind)
{
    struct job *job = &volume_of(fs)->verifier->jobs[kind];
    mutex_lock(&job->lock);
    job->is_wanted = false;
    mutex_unlock(&job->lock);
    return 0;
}

int call_verify_get(struct fs *fs, enum fs_verify_kind kind, const struct fs_verify_get *get)
{
    struct job *job = &volume_of(fs)->verifier->jobs[kind];
    mutex_lock(&job->lock);
    *get->out = job->status;
    for (unsigned i = 0; get->emit != NULL && i < job->finding_count; i++)
        get->emit(get->context, job->findings[i]);
    mutex_unlock(&job->lock);
    return 0;
}

/* ---- the file ------------------------------------------------------------------------------------------- */

// NOLINTBEGIN(cert-err34-c): a file of our own; what does not fit is left out

static void parse_damage(struct job *job, const char *line)
{
    struct scrub_damage damage = { 0 };
    char text[FINDING_SIZE];
    if (job->damage_count == FINDINGS_MAX ||
        sscanf(line, "damage %c %" SCNu64 " %" SCNu64 " %u %" SCNu64 " %" SCNu64, &damage.kind,
            &damage.inode, &damage.offset, &damage.size_bytes, &damage.segment, &damage.block) != 6)
        return;
    job->damages[job->damage_count++] = damage;
    describe(job, &damage, text);
    add_finding(job, text);
}

static void parse_position(struct job *job, const char *digits)
{
    struct key *position = &job->scrub.position;
    position->size = 0;
    unsigned byte;
    for (; position->size < POSITION_SIZE_MAX && sscanf(digits, "%2x", &byte) == 1; digits += 2)
        position->bytes[position->size++] = (uint8_t)byte;
}

static void parse_state(struct job *job, const char *name)
{
    for (unsigned i = 0; i < ARRAY_SIZE(state_names); i++) {
        if (strcmp(name, state_names[i]) == 0)
            job->status.state = (enum fs_verify_state)i;
    }
}

static void parse_line(struct job *job, const char *line)
{
    struct fs_verify *status = &job->status;
    char word[16] = "";
    if (strncmp(line, "damage ", 7) == 0) {
        parse_damage(job, line);
    } else if (strncmp(line, "position ", 9) == 0) {
        parse_position(job, line + 9);
    } else if (sscanf(line, "state %15s", word) == 1) {
        parse_state(job, word);
    } else {
        (void)(sscanf(line, "started %" SCNd64, &status->started_s) == 1 ||
               sscanf(line, "ended %" SCNd64, &status->ended_s) == 1 ||
               sscanf(line, "error %d", &status->error) == 1 ||
               sscanf(line, "bytes %" SCNu64, &job->scrub.done_bytes) == 1 ||
               sscanf(line, "records %" SCNu64, &job->scrub.done_records) == 1);
    }
}

// NOLINTEND(cert-err34-c)

/* What the last run knew; nothing is there when it cannot be read. */
static void load(struct job *job)
{
    char *text;
    int err = sys_read_file(job->volume->dir_fd, FILE_NAME, FILE_SIZE_MAX, &text);
    if (err < 0)
        return;
    if (strncmp(text, "shoal-scrub 1\n", 14) == 0) {
        char *rest = text;
        for (char *line; (line = strsep(&rest, "\n")) != NULL;)
            parse_line(job, line);
    }
    job->status.done_bytes = job->scrub.done_bytes;
    job->status.done_records = job->scrub.done_records;
    free(text);
}

int verifier_new(struct volume *volume, struct verifier **out_verifier)
{
    struct verifier *verifier = calloc(1, sizeof *verifier);
    if (verifier == NULL)
        return -ENOMEM;
    for (unsigned i = 0; i < FS_VERIFY_KINDS; i++) {
        verifier->jobs[i].volume = volume;
        verifier->jobs[i].kind = (enum fs_verify_kind)i;
        (void)pthread_mutex_init(&verifier->jobs[i].lock.pthread, NULL);
    }
    *out_verifier = verifier;
    return 0;
}

void verifier_resume(struct verifier *verifier)
{
    struct job *job = &verifier->jobs[FS_VERIFY_DATA];
    load(job);
    mutex_lock(&job->lock);
    int err = job->status.state == FS_VERIFY_RUNNING ? start_locked(job) : 0;
    mutex_unlock(&job->lock);
    if (err < 0)
        LOG_WARN("a scrub could not go on", "fs=%s error=%d", job->volume->fs_id, err);
}

void verifier_stop(struct verifier *verifier)
{
    for (unsigned i = 0; i < FS_VERIFY_KINDS; i++) {
        struct job *job = &verifier->jobs[i];
        job->is_closing = true;
        if (job->has_thread)
            (void)pthread_join(job->thread, NULL);
        job->has_thread = false;
    }
}

void verifier_free(struct verifier *verifier)
{
    if (verifier == NULL)
        return;
    for (unsigned i = 0; i < FS_VERIFY_KINDS; i++) {
        struct job *job = &verifier->jobs[i];
        mutex_lock(&job->lock);
        forget_findings_locked(job);
        mutex_unlock(&job->lock);
        (void)pthread_mutex_destroy(&job->lock.pthread);
    }
    free(verifier);
}
