/*
 * A process works on a file system and says what was acknowledged; it is killed, and what is found afterwards must
 * be what was acknowledged, or that and the one operation that was under way, whole.
 *
 * Each thread of the child works in a directory of its own, with operations that follow from the seed alone: so
 * the parent plays the same operations on a model, as far as they were acknowledged.
 */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/sys.h"
#include "crash_model.h"
#include "engine/check.h"
#include "engine/volume.h"

#include <cmocka.h>

#define THREADS       4u
#define ROUNDS        8u
#define KILL_AFTER_MS 150u

struct worker {
    struct fs *fs;
    struct fs_node dir;
    struct model *model;
    int acks; /* one byte for each operation */
    pthread_t thread;
};

static void *work(void *argument)
{
    struct worker *worker = argument;
    uint8_t *bytes = malloc(MODEL_FILE_BYTES);
    for (;;) {
        struct op op = model_next_op(worker->model);
        int err = model_perform(worker->fs, worker->dir, &op, bytes);
        if (err < 0) {
            (void)fprintf(stderr, "operation %d failed: %d\n", (int)op.kind, err);
            _exit(3);
        }
        model_apply(worker->model, &op);
        uint8_t ack = 1;
        if (write(worker->acks, &ack, 1) != 1)
            _exit(4);
    }
    return NULL;
}

static const struct engine_options options = {
    .segment_blocks = 256, .small_file_bytes = 12000, .dirty_age_ms = 20, .step_blocks = 8
};

/* Never returns. */
static void child(const char *directory, struct model *models, int (*pipes)[2])
{
    struct fixture f;
    struct worker workers[THREADS];
    struct model *own = models_new(THREADS); /* the parent's stay as they are */
    fixture_attach(&f, &options, directory);
    if (fixture_open(&f) < 0)
        _exit(2);
    for (unsigned i = 0; i < THREADS; i++) {
        model_copy(&own[i], &models[i]);
        workers[i] = (struct worker){ f.fs, model_directory(&f, i), &own[i], pipes[i][1], 0 };
        if (pthread_create(&workers[i].thread, NULL, work, &workers[i]) != 0)
            _exit(5);
    }
    (void)pause();
    _exit(6);
}

/* Runs a child for a while, kills it; plays what it acknowledged on the models. */
static void run_and_kill(const char *directory, struct model *models, uint64_t *random)
{
    int pipes[THREADS][2];
    for (unsigned i = 0; i < THREADS; i++) {
        models[i].random = fixture_random(random);
        assert_int_equal(pipe(pipes[i]), 0);
    }
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        child(directory, models, pipes);
    uint8_t first;
    assert_int_equal(read(pipes[0][0], &first, 1), 1); /* it is at work */
    (void)usleep((useconds_t)(fixture_random(random) % (KILL_AFTER_MS * 1000)));
    assert_int_equal(kill(pid, SIGKILL), 0);
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    for (unsigned i = 0; i < THREADS; i++) {
        (void)close(pipes[i][1]);
        uint64_t acks = i == 0 ? 1 : 0;
        uint8_t buffer[4096];
        ssize_t got;
        while ((got = read(pipes[i][0], buffer, sizeof buffer)) > 0)
            acks += (uint64_t)got;
        (void)close(pipes[i][0]);
        while (acks-- > 0) {
            struct op op = model_next_op(&models[i]);
            model_apply(&models[i], &op);
        }
    }
}

static void verify(struct fixture *f, struct model *models, struct model *ahead)
{
    for (unsigned i = 0; i < THREADS; i++) {
        struct fs_node dir = model_directory(f, i);
        const char *why = model_judge_crash(f->fs, dir, &models[i], ahead);
        if (why != NULL)
            fail_msg("thread %u: %s", i, why);
        model_adopt(f->fs, dir, &models[i]);
    }
    uint64_t wrong;
    assert_int_equal(volume_check(volume_of(f->fs), &wrong), 0);
    assert_int_equal(wrong, 0);
}

/* In a process of its own, as RocksDB's threads do not survive a fork. */
static void in_child(void (*function)(void *argument), void *argument)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        function(argument);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

struct run {
    struct model *models;
    uint64_t change; /* the root's counter */
    char directory[64];
};

static void make_it(void *argument)
{
    struct run *run = argument;
    struct fixture f;
    fixture_init(&f, &options);
    for (unsigned i = 0; i < THREADS; i++)
        (void)model_directory(&f, i);
    memcpy(run->directory, f.directory, sizeof run->directory);
    fixture_detach(&f);
}

static void check_it(void *argument)
{
    struct run *run = argument;
    struct fixture f;
    struct fs_attr attr;
    fixture_attach(&f, &options, run->directory);
    assert_int_equal(fixture_open(&f), 0);
    verify(&f, run->models, &run->models[THREADS]);
    assert_int_equal(fs_getattr(f.fs, f.root, &attr), 0);
    assert_true(attr.change >= run->change);
    run->change = attr.change;
    fixture_detach(&f);
}

static void what_was_acknowledged_survives_a_kill(void **state)
{
    (void)state;
    uint64_t random = fixture_seed();
    struct run *run =
        mmap(NULL, sizeof *run, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(run != MAP_FAILED);
    run->models = models_new(THREADS + 1);
    in_child(make_it, run);
    for (unsigned round = 0; round < ROUNDS; round++) {
        run_and_kill(run->directory, run->models, &random);
        in_child(check_it, run);
    }
    assert_int_equal(sys_remove_tree(AT_FDCWD, run->directory), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_acknowledged_survives_a_kill),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
