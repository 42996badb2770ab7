/*
 * tests/unit/catalog/test_crash.c - a killed process loses nothing that it was told is durable.
 *
 * The threads of a child change two records in each change, each thread its own two, and report each one done through a
 * pipe; the child is killed at a random moment, many times over. After each death the two records of a thread must agree,
 * and stand at its last reported change or at the one that ran when it died. Their changes share writes.
 */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>

#include <cmocka.h>

#include "base/sys.h"
#include "base/text.h"
#include "catalog/records.h"

#define ROUNDS  12
#define THREADS 4

/* One step of a thread: both its records get the value. Also what goes through the pipe. */
struct step {
    unsigned thread;
    uint64_t value;
};

static char directory[] = "/tmp/shoal-crash-XXXXXX";
static char path[64];

static struct catalog *open_catalog(void)
{
    struct catalog_options options = { .path = path, .region = "us-east-1", .account_id = "0" };
    char reason[CATALOG_REASON_SIZE];
    struct catalog *catalog = NULL;
    int err = catalog_open(&options, reason, &catalog);
    if (err < 0)
        (void)fprintf(stderr, "%s\n", reason);
    assert_int_equal(err, 0);
    return catalog;
}

static void id_of(unsigned thread, unsigned half, char out_id[CATALOG_ID_SIZE])
{
    (void)snprintf(out_id, CATALOG_ID_SIZE, "fs-%u-%u", thread, half);
}

static int make_all(struct catalog_change *change, void *context)
{
    (void)context;
    for (unsigned i = 0; i < 2 * THREADS; i++) {
        struct catalog_fs *fs;
        int err = catalog_add_fs(change, &fs);
        if (err < 0)
            return err;
        id_of(i / 2, i % 2, fs->id);
        err = text_copy(fs->creation_token, sizeof fs->creation_token, fs->id);
        if (err < 0)
            return err;
    }
    return 0;
}

static int set_two(struct catalog_change *change, void *context)
{
    const struct step *step = context;
    int err = 0;
    for (unsigned half = 0; err == 0 && half < 2; half++) {
        char id[CATALOG_ID_SIZE];
        struct catalog_fs *fs;
        id_of(step->thread, half, id);
        err = catalog_edit_fs(change, id, &fs);
        if (err == 0)
            fs->size_bytes = step->value;
    }
    return err;
}

struct counter {
    struct catalog *catalog;
    struct step step;
    int report_fd;
};

static void *count_on(void *context)
{
    struct counter *counter = context;
    for (;;) {
        counter->step.value++;
        if (catalog_change(counter->catalog, set_two, &counter->step) < 0 ||
            write(counter->report_fd, &counter->step, sizeof counter->step) != sizeof counter->step)
            _exit(2);
    }
    return NULL;
}

/* The child: its threads count on from what the arguments say until it is killed. */
static _Noreturn void count_until_killed(char **arguments)
{
    uint64_t values[THREADS], report_fd = 0;
    if (text_copy(path, sizeof path, arguments[0]) < 0 ||
        text_parse_u64(arguments[1], INT32_MAX, &report_fd) < 0)
        _exit(4);
    for (unsigned i = 0; i < THREADS; i++) {
        if (text_parse_u64(arguments[2 + i], UINT64_MAX, &values[i]) < 0)
            _exit(4);
    }
    struct catalog_options options = { .path = path, .region = "us-east-1", .account_id = "0" };
    char reason[CATALOG_REASON_SIZE];
    struct counter counters[THREADS];
    pthread_t threads[THREADS];
    struct catalog *catalog = NULL;
    if (catalog_open(&options, reason, &catalog) < 0)
        _exit(1);
    for (unsigned i = 0; i < THREADS; i++) {
        counters[i] =
            (struct counter){ catalog, { .thread = i, .value = values[i] }, (int)report_fd };
        if (pthread_create(&threads[i], NULL, count_on, &counters[i]) != 0)
            _exit(3);
    }
    for (;;)
        (void)pause();
}

/* The program anew: a child that only forks has RocksDB's locks, but not the threads that hold them. */
static _Noreturn void run_child(const uint64_t values[THREADS], int report_fd)
{
    char texts[1 + THREADS][24];
    char program[] = "test_catalog_crash", word[] = "child";
    char *arguments[4 + THREADS + 1] = { program, word, path, texts[0] };
    (void)snprintf(texts[0], sizeof texts[0], "%d", report_fd);
    for (unsigned i = 0; i < THREADS; i++) {
        (void)snprintf(texts[1 + i], sizeof texts[1 + i], "%llu", (unsigned long long)values[i]);
        arguments[4 + i] = texts[1 + i];
    }
    (void)execv("/proc/self/exe", arguments);
    _exit(5);
}

/* Runs a child for about `ms`; brings `values` to the last changes it reported. */
static void run_and_kill(uint64_t values[THREADS], unsigned ms)
{
    int pipe_fds[2];
    assert_int_equal(pipe(pipe_fds), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        run_child(values, pipe_fds[1]);
    (void)close(pipe_fds[1]);
    struct step step;
    assert_int_equal(read(pipe_fds[0], &step, sizeof step), sizeof step);
    values[step.thread] = step.value;
    struct timespec wait = { .tv_nsec = (long)ms * 1000000 };
    (void)nanosleep(&wait, NULL);
    assert_int_equal(kill(child, SIGKILL), 0);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    while (read(pipe_fds[0], &step, sizeof step) == sizeof step)
        values[step.thread] = step.value;
    (void)close(pipe_fds[0]);
}

static uint64_t value_of(const struct catalog *catalog, unsigned thread, unsigned half)
{
    char id[CATALOG_ID_SIZE];
    id_of(thread, half, id);
    const struct catalog_fs *fs = catalog_fs_get(catalog, id);
    assert_non_null(fs);
    uint64_t value = fs->size_bytes;
    catalog_fs_put(fs);
    return value;
}

static void killing_the_process_loses_no_durable_change(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(directory));
    (void)snprintf(path, sizeof path, "%s/catalog", directory);
    struct catalog *catalog = open_catalog();
    assert_int_equal(catalog_change(catalog, make_all, NULL), 0);
    catalog_close(catalog); /* one process at a time has it open */
    uint64_t values[THREADS] = { 0 };
    for (unsigned round = 0; round < ROUNDS; round++) {
        run_and_kill(values, 3 + 7 * round);
        catalog = open_catalog();
        for (unsigned i = 0; i < THREADS; i++) {
            uint64_t value = value_of(catalog, i, 0);
            assert_int_equal(value_of(catalog, i, 1), value);
            assert_in_range(value, values[i], values[i] + 1);
            values[i] = value;
        }
        catalog_close(catalog);
    }
    assert_int_equal(sys_remove_tree(AT_FDCWD, directory), 0);
}

int main(int argc, char **argv)
{
    if (argc == 4 + THREADS && strcmp(argv[1], "child") == 0)
        count_until_killed(argv + 2);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(killing_the_process_loses_no_durable_change),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
