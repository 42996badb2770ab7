/*
 * The power is cut at moments of a run, and the disk kept what it had to and by chance more: what was acknowledged
 * is there each time, whole, and all records agree. The same when calls to the system fail before.
 *
 * SHOAL_POWER_CUTS: how many states are tried in all (a few hundred by default). SHOAL_SEED: chooses operations and
 * cuts; the threads of the engine run as they like, so a run is not repeated exactly. A state that is wrong is kept.
 */
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
#include "crash_model.h"
#include "engine/check.h"
#include "engine/volume.h"
#include "tests/sim/disk.h"

#include <cmocka.h>

#define THREADS         3u
#define RUNS            3u
#define OPERATIONS      250u /* of each thread, in a run */
#define STATES_DEFAULT  360u
#define FAILING_RUNS    40u
#define LOG_BYTES       (UINT64_C(1) << 30)
#define STATE_TIMEOUT_S 60u

static const struct engine_options options = { .segment_blocks = 256,
    .small_file_bytes = 12000,
    .dirty_age_ms = 20,
    .write_buffer_bytes = 256 << 10,
    .journal_file_bytes = 512 << 10 };

/* Shared by the processes of a run. */
struct run {
    char directory[64];   /* the engine's */
    char work[64];        /* the test's: what is below */
    struct model *models; /* THREADS of them, as far as was acknowledged */
    uint64_t calls;       /* to the system that change something, in the recorded process */
};

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
    for (unsigned i = 0; bytes != NULL && i < OPERATIONS; i++) {
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
static void record(struct run *run, struct disk_log *log, uint64_t fail_at, int fail_with)
{
    struct fixture f;
    struct worker workers[THREADS];
    struct model *own = models_new(THREADS); /* the parent's stay as they are */
    disk_record(log, run->directory);
    disk_fail(fail_at, fail_with, fail_at % 2 == 0);
    fixture_attach(&f, &options, run->directory);
    int err = fixture_open(&f);
    if (err < 0)
        _exit(fail_at == 0);
    for (unsigned i = 0; i < THREADS; i++) {
        model_copy(&own[i], &run->models[i]);
        workers[i] = (struct worker){ f.fs, model_directory(&f, i), &own[i], i, 0 };
        assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++)
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
        for (unsigned i = 0; i < THREADS; i++)
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
    for (unsigned i = 0; i < THREADS; i++) {
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
static bool is_good(const struct run *run, const char *directory)
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
    struct op op = model_next_op(&run->models[thread]);
    model_apply(&run->models[thread], &op);
}

static int compare_numbers(const void *a, const void *b)
{
    const uint64_t *left = a;
    const uint64_t *right = b;
    return *left < *right ? -1 : *left > *right;
}

static void sub_directory(const struct run *run, const char *name, char out_path[128])
{
    (void)snprintf(out_path, 128, "%s/%s", run->work, name);
    assert_int_equal(sys_mkdirat(AT_FDCWD, out_path, 0700), 0);
}

/* Tries `cuts` moments of the recording. */
static void explore(struct run *run, const struct disk_log *log, uint64_t cuts, uint64_t *random)
{
    char original[128];
    char scratch[128];
    (void)snprintf(original, sizeof original, "%s/original", run->work);
    sub_directory(run, "scratch", scratch);
    struct disk *disk = disk_new(log, original, scratch);
    bool is_whole;
    uint64_t events = disk_log_events(log, &is_whole);
    assert_true(is_whole);
    assert_true(events > cuts);
    uint64_t *moments = calloc(cuts, sizeof *moments);
    for (uint64_t i = 0; i < cuts; i++)
        moments[i] = fixture_random(random) % events;
    moments[0] = events - 1;
    qsort(moments, cuts, sizeof *moments, compare_numbers);
    for (uint64_t i = 0; i < cuts; i++) {
        disk_advance(disk, moments[i], acknowledged, run);
        for (unsigned choice = 0; choice < DISK_CHOICES; choice++) {
            char state[128];
            sub_directory(run, "state", state);
            disk_build(disk, (enum disk_choice)choice, random, state);
            if (!is_good(run, state))
                fail_msg("after event %llu of %llu, choice %u; kept in %s",
                    (unsigned long long)moments[i], (unsigned long long)events, choice, state);
            assert_int_equal(sys_remove_tree(AT_FDCWD, state), 0);
        }
    }
    free(moments);
    disk_free(disk);
    assert_int_equal(sys_remove_tree(AT_FDCWD, scratch), 0);
}

static void copy_original(const struct run *run)
{
    char command[256];
    (void)snprintf(
        command, sizeof command, "cp -a --sparse=always %s %s/original", run->directory, run->work);
    assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c): both paths are our own */
}

static struct run *run_new(uint64_t seed)
{
    struct run *run =
        mmap(NULL, sizeof *run, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(run != MAP_FAILED);
    run->models = models_new(THREADS);
    (void)snprintf(run->work, sizeof run->work, "%s/shoal-power-XXXXXX",
        access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    assert_non_null(mkdtemp(run->work));
    make_file_system(run);
    copy_original(run);
    for (unsigned i = 0; i < THREADS; i++)
        run->models[i].random = seed * 7919 + i;
    return run;
}

static void run_free(struct run *run)
{
    assert_int_equal(sys_remove_tree(AT_FDCWD, run->directory), 0);
    assert_int_equal(sys_remove_tree(AT_FDCWD, run->work), 0);
}

static void what_was_acknowledged_survives_a_power_cut(void **state)
{
    (void)state;
    const char *text = getenv("SHOAL_POWER_CUTS");
    uint64_t states = text != NULL ? strtoull(text, NULL, 10) : STATES_DEFAULT;
    uint64_t random = fixture_seed();
    for (unsigned i = 0; i < RUNS; i++) {
        struct run *run = run_new(fixture_random(&random));
        struct disk_log *log = disk_log_new(LOG_BYTES);
        assert_non_null(log);
        pid_t pid = fork_child();
        if (pid == 0)
            record(run, log, 0, 0);
        assert_int_equal(wait_for(pid), 0);
        explore(run, log, max_u64(1, states / RUNS / DISK_CHOICES), &random);
        disk_log_free(log);
        run_free(run);
    }
    print_message("%llu states\n", (unsigned long long)states);
}

/* The number of calls in a run where none fails. */
static uint64_t count_calls(uint64_t seed)
{
    struct run *run = run_new(seed);
    struct disk_log *log = disk_log_new(LOG_BYTES);
    assert_non_null(log);
    pid_t pid = fork_child();
    if (pid == 0)
        record(run, log, 0, 0);
    assert_int_equal(wait_for(pid), 0);
    uint64_t calls = run->calls;
    disk_log_free(log);
    run_free(run);
    return calls;
}

static void a_call_that_fails_costs_nothing_acknowledged(void **state)
{
    (void)state;
    static const int errors[] = { EIO, ENOSPC, EDQUOT, EMFILE };
    uint64_t random = fixture_seed();
    uint64_t calls = count_calls(fixture_random(&random));
    assert_true(calls > OPERATIONS);
    for (unsigned i = 0; i < FAILING_RUNS; i++) {
        struct run *run = run_new(fixture_random(&random));
        struct disk_log *log = disk_log_new(LOG_BYTES);
        assert_non_null(log);
        /* One in four in the first calls, which open it. */
        uint64_t fail_at = 1 + fixture_random(&random) % (i % 4 == 0 ? 60 : calls);
        int error = errors[fixture_random(&random) % ARRAY_SIZE(errors)];
        print_message("call %llu of about %llu fails: %s%s\n", (unsigned long long)fail_at,
            (unsigned long long)calls, strerror(error),
            fail_at % 2 == 0 ? ", and all after it" : "");
        pid_t pid = fork_child();
        if (pid == 0)
            record(run, log, fail_at, error);
        assert_int_equal(wait_for(pid), 0);
        explore(run, log, 1, &random);
        if (!is_good(run, run->directory))
            fail_msg("kept in %s", run->directory);
        disk_log_free(log);
        run_free(run);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_call_that_fails_costs_nothing_acknowledged),
        cmocka_unit_test(what_was_acknowledged_survives_a_power_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
