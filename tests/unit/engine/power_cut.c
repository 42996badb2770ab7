/* A run of the engine that is recorded, and the power cut at moments of it. */
#include "power_cut.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "base/sys.h"
#include "engine/check.h"
#include "engine/volume.h"

#include <cmocka.h>

#define LOG_BYTES       (UINT64_C(1) << 30)
#define STATE_TIMEOUT_S 60u

static const struct engine_options options = { .segment_blocks = 256,
    .small_file_bytes = 12000,
    .dirty_age_ms = 20,
    .write_buffer_bytes = 256 << 10,
    .journal_file_bytes = 512 << 10 };

struct worker {
    struct fs *fs;
    struct fs_node dir;
    struct model *model;
    unsigned number;
    pthread_t thread;
};

static void *work(void *argument)
{
    struct worker *worker = argument;
    uint8_t *bytes = malloc(MODEL_FILE_BYTES);
    for (unsigned i = 0; bytes != NULL && i < POWER_CUT_OPERATIONS; i++) {
        struct op op = model_next_op(worker->model);
        if (model_perform(worker->fs, worker->dir, &op, bytes) < 0)
            break;
        disk_acknowledge(worker->number);
        model_apply(worker->model, &op);
    }
    free(bytes);
    return NULL;
}

/* Works on the file system in `run`; gives it up as it is, like a process that is killed. */
static void record(struct run *run, uint64_t fail_at, int fail_with)
{
    struct fixture f;
    struct worker workers[POWER_CUT_THREADS];
    struct model *own = models_new(POWER_CUT_THREADS); /* the parent's stay as they are */
    disk_record(run->log, run->directory);
    disk_fail(fail_at, fail_with, fail_at % 2 == 0);
    fixture_attach(&f, &options, run->directory);
    int err = fixture_open(&f);
    if (err < 0)
        _exit(fail_at == 0);
    for (unsigned i = 0; i < POWER_CUT_THREADS; i++) {
        model_copy(&own[i], &run->models[i]);
        workers[i] = (struct worker){ f.fs, model_directory(&f, i), &own[i], i, 0 };
        assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    for (unsigned i = 0; i < POWER_CUT_THREADS; i++)
        (void)pthread_join(workers[i].thread, NULL);
    run->calls = disk_calls();
    _exit(0);
}

/* A process of its own, as RocksDB's threads do not survive a fork. Gives its exit status, or -1. */
static int wait_for(pid_t pid)
{
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static pid_t fork_child(void)
{
    (void)fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    return pid;
}

static void make_file_system(struct run *run)
{
    pid_t pid = fork_child();
    if (pid == 0) {
        struct fixture f;
        fixture_init(&f, &options);
        for (unsigned i = 0; i < POWER_CUT_THREADS; i++)
            (void)model_directory(&f, i);
        memcpy(run->directory, f.directory, sizeof run->directory);
        fixture_detach(&f);
        _exit(0);
    }
    assert_int_equal(wait_for(pid), 0);
}

static const char *judge_all(struct fixture *f, const struct run *run)
{
    struct model *ahead = models_new(1);
    static char text[256];
    uint64_t wrong = 0;
    int err = fixture_open(f);
    if (err < 0) {
        (void)snprintf(text, sizeof text, "it does not open: %s", strerror(-err));
        return text;
    }
    for (unsigned i = 0; i < POWER_CUT_THREADS; i++) {
        struct fs_node dir = model_directory(f, i);
        const char *why = model_judge_crash(f->fs, dir, &run->models[i], ahead);
        if (why != NULL) {
            (void)snprintf(text, sizeof text, "thread %u: %s", i, why);
            return text;
        }
    }
    err = volume_check(volume_of(f->fs), &wrong);
    if (err < 0 || wrong > 0) {
        (void)snprintf(text, sizeof text, "%llu records are wrong", (unsigned long long)wrong);
        return text;
    }
    return NULL;
}

/* Whether the engine finds in `directory` what it must. */
bool run_is_good(const struct run *run, const char *directory)
{
    pid_t pid = fork_child();
    if (pid == 0) {
        struct fixture f;
        (void)alarm(STATE_TIMEOUT_S); /* one that hangs is wrong too */
        fixture_attach(&f, &options, directory);
        const char *why = judge_all(&f, run);
        if (why != NULL)
            print_error("%s\n", why);
        _exit(why != NULL);
    }
    return wait_for(pid) == 0;
}

static void acknowledged(void *context, unsigned thread)
{
    struct run *run = context;
    run->acknowledged++;
    struct op op = model_next_op(&run->models[thread]);
    model_apply(&run->models[thread], &op);
}

static int compare_numbers(const void *a, const void *b)
{
    const uint64_t *left = a;
    const uint64_t *right = b;
    return *left < *right ? -1 : *left > *right;
}

static void sub_directory(const struct run *run, const char *name, char out_path[192])
{
    (void)snprintf(out_path, 192, "%s/%s", run->work, name);
    assert_int_equal(sys_mkdirat(AT_FDCWD, out_path, 0700), 0);
}

/* All choices at this moment. */
static bool try_moment(struct run *run, const struct disk *disk, uint64_t event, uint64_t *random)
{
    for (unsigned choice = 0; choice < DISK_CHOICES; choice++) {
        char state[192];
        sub_directory(run, "state", state);
        disk_build(disk, (enum disk_choice)choice, random, state);
        if (!run_is_good(run, state)) {
            memcpy(run->wrong_state, state, sizeof state);
            run->wrong_event = event;
            return false;
        }
        run->tried[choice]++;
        assert_int_equal(sys_remove_tree(AT_FDCWD, state), 0);
    }
    return true;
}

bool run_explore(struct run *run, uint64_t cuts, uint64_t *random)
{
    char original[192];
    char scratch[192];
    (void)snprintf(original, sizeof original, "%s/original", run->work);
    sub_directory(run, "scratch", scratch);
    struct disk *disk = disk_new(run->log, original, scratch);
    bool is_whole;
    run->events = disk_log_events(run->log, &is_whole);
    assert_true(is_whole);
    assert_true(run->events > cuts);
    uint64_t *moments = calloc(cuts, sizeof *moments);
    for (uint64_t i = 0; i < cuts; i++)
        moments[i] = fixture_random(random) % run->events;
    moments[0] = run->events - 1;
    qsort(moments, cuts, sizeof *moments, compare_numbers);
    bool is_good = true;
    for (uint64_t i = 0; is_good && i < cuts; i++) {
        disk_advance(disk, moments[i], acknowledged, run);
        is_good = try_moment(run, disk, moments[i], random);
    }
    free(moments);
    disk_free(disk);
    assert_int_equal(sys_remove_tree(AT_FDCWD, scratch), 0);
    return is_good;
}

static void copy_original(const struct run *run)
{
    char command[512];
    (void)snprintf(
        command, sizeof command, "cp -a --sparse=always %s %s/original", run->directory, run->work);
    assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c): both paths are our own */
}

struct run *run_new(uint64_t seed)
{
    struct run *run =
        mmap(NULL, sizeof *run, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(run != MAP_FAILED);
    run->models = models_new(POWER_CUT_THREADS);
    const char *parent = getenv("SHOAL_TEST_DIR");
    if (parent == NULL)
        parent = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    (void)snprintf(run->work, sizeof run->work, "%s/shoal-power-XXXXXX", parent);
    assert_non_null(mkdtemp(run->work));
    make_file_system(run);
    copy_original(run);
    for (unsigned i = 0; i < POWER_CUT_THREADS; i++)
        run->models[i].random = seed * 7919 + i;
    return run;
}

void run_free(struct run *run)
{
    disk_log_free(run->log);
    if (run->wrong_state[0] == '\0') {
        assert_int_equal(sys_remove_tree(AT_FDCWD, run->directory), 0);
        assert_int_equal(sys_remove_tree(AT_FDCWD, run->work), 0);
    }
    (void)munmap(run, sizeof *run);
}

bool run_record(struct run *run, uint64_t fail_at, int fail_with)
{
    run->log = disk_log_new(LOG_BYTES);
    assert_non_null(run->log);
    pid_t pid = fork_child();
    if (pid == 0)
        record(run, fail_at, fail_with);
    return wait_for(pid) == 0;
}
