/*
 * The n-th allocation of the engine fails, or it and those that follow, while it is opened and worked with: calls may fail, but nothing
 * crashes, nothing that was acknowledged is lost, and a call that failed has changed nothing; but of a write that failed any block
 * may be there, as after a crash.
 *
 * The linker puts the functions below before libc's (--wrap), for the engine and all of ours that is linked; not for RocksDB and
 * OpenSSL, which are shared libraries.
 *
 * SHOAL_ALLOCATIONS: how many allocations are tried (one after the other when there are enough). SHOAL_SEED: which.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "base/sys.h"
#include "crash_model.h"
#include "engine/check.h"
#include "engine/volume.h"

#include <cmocka.h>

#define TRIES_DEFAULT   120u
#define BURST           64u /* not for ever: the reaper tries again and again, and who waits for it waits */
#define OPERATIONS      60u
#define STATE_TIMEOUT_S 60u

static const struct engine_options options = { .segment_blocks = 256,
    .small_file_bytes = 12000,
    .dirty_age_ms = 20,
    .step_blocks = 8,
    .write_buffer_bytes = 256 << 10,
    .journal_file_bytes = 512 << 10 };

/* ---- allocations ---------------------------------------------------------------------------------------- */

static _Atomic uint64_t allocations;
static _Atomic uint64_t fail_at; /* 0: none */
static _Atomic uint64_t fail_count;

static bool must_fail(void)
{
    uint64_t number = atomic_fetch_add(&allocations, 1) + 1;
    uint64_t first = fail_at;
    if (first == 0 || number < first || number >= first + fail_count)
        return false;
    errno = ENOMEM;
    return true;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
char *__real_strdup(const char *text);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
char *__wrap_strdup(const char *text);

void *__wrap_malloc(size_t size)
{
    return must_fail() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return must_fail() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size)
{
    return must_fail() ? NULL : __real_realloc(old, size);
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
    return must_fail() ? NULL : __real_aligned_alloc(alignment, size);
}

char *__wrap_strdup(const char *text)
{
    return must_fail() ? NULL : __real_strdup(text);
}

/* ---- a run ---------------------------------------------------------------------------------------------- */

/* Shared by the processes. */
struct run {
    char directory[64]; /* as it is before each run */
    char copy[80];
    struct model *models; /* [0]: as it was acknowledged; [1]: before all; [2]: room */
    uint64_t counted;     /* allocations of the last run */
    unsigned failed;      /* operations of it */
    int opened;
};

/* In a process of its own: opens the copy, works, closes. */
static void work(struct run *run, uint64_t number, bool is_burst)
{
    struct fixture f;
    struct model *model = &run->models[0];
    (void)alarm(STATE_TIMEOUT_S);
    fixture_attach(&f, &options, run->copy);
    struct fs_node dir;
    uint8_t *bytes = __real_malloc(MODEL_FILE_BYTES);
    log_set_level(LOG_LEVEL_ERROR);
    allocations = 0;
    fail_count = is_burst ? BURST : 1;
    fail_at = number;
    run->opened = fixture_open(&f);
    if (run->opened == 0) {
        struct fs_attr attr;
        int err = fs_lookup(f.fs, NULL, f.root, slice_str("thread0"), &attr);
        dir = attr.node;
        for (unsigned i = 0; err == 0 && i < OPERATIONS; i++) {
            struct op op = model_next_op(model);
            if (model_perform(f.fs, dir, &op, bytes) == 0) {
                model_apply(model, &op);
                continue;
            }
            run->failed++;
            if (!model_after_failure(f.fs, dir, model, &op))
                _exit(1);
        }
    }
    fixture_close(&f);
    run->counted = allocations;
    fail_at = 0;
    _exit(0);
}

/* In a process of its own: what is there is what was acknowledged. */
static void judge(struct run *run)
{
    struct fixture f;
    uint64_t wrong = 0;
    (void)alarm(STATE_TIMEOUT_S);
    fixture_attach(&f, &options, run->copy);
    int err = fixture_open(&f);
    if (err < 0) {
        print_error("it does not open: %s\n", strerror(-err));
        _exit(1);
    }
    struct fs_node dir = model_directory(&f, 0);
    const char *why = model_judge(f.fs, dir, &run->models[0]);
    if (why != NULL)
        print_error("a file %s\n", why);
    if (volume_check(volume_of(f.fs), &wrong) < 0 || wrong > 0) {
        print_error("%llu records are wrong\n", (unsigned long long)wrong);
        why = "";
    }
    _exit(why != NULL);
}

static void make_it(struct run *run)
{
    struct fixture f;
    uint8_t *bytes = malloc(MODEL_FILE_BYTES);
    fixture_init(&f, &options);
    struct fs_node dir = model_directory(&f, 0);
    for (unsigned i = 0; i < OPERATIONS; i++) { /* so that there is something to open */
        struct op op = model_next_op(&run->models[1]);
        assert_int_equal(model_perform(f.fs, dir, &op, bytes), 0);
        model_apply(&run->models[1], &op);
    }
    memcpy(run->directory, f.directory, sizeof run->directory);
    fixture_detach(&f);
    model_settle(&run->models[1]);
    _exit(0);
}

/* 0: it ended as it must; else how. */
static int wait_for(pid_t pid)
{
    int status;
    assert_true(pid > 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 100 + WTERMSIG(status);
}

static pid_t fork_child(void)
{
    (void)fflush(NULL);
    return fork();
}

static void copy_it(const struct run *run)
{
    char command[256];
    (void)snprintf(
        command, sizeof command, "cp -a --sparse=always %s %s", run->directory, run->copy);
    assert_int_equal(system(command), 0); // NOLINT(cert-env33-c): both paths are our own
}

static void try(struct run *run, uint64_t number, bool is_burst)
{
    model_copy(&run->models[0], &run->models[1]);
    run->models[0].random += number;
    run->failed = 0;
    copy_it(run);
    pid_t pid = fork_child();
    if (pid == 0)
        work(run, number, is_burst);
    int status = wait_for(pid);
    if (status != 0)
        fail_msg("allocation %llu%s: it crashes or hangs (%d)", (unsigned long long)number,
            is_burst ? " and some after it" : "", status);
    if (number == 0)
        assert_int_equal(run->failed, 0);
    pid = fork_child();
    if (pid == 0)
        judge(run);
    status = wait_for(pid);
    if (status != 0)
        fail_msg("allocation %llu%s: something is wrong (%d); kept in %s",
            (unsigned long long)number, is_burst ? " and some after it" : "", status, run->copy);
    assert_int_equal(sys_remove_tree(AT_FDCWD, run->copy), 0);
}

static void a_failing_allocation_is_an_error_and_nothing_else(void **state)
{
    (void)state;
    const char *text = getenv("SHOAL_ALLOCATIONS");
    uint64_t tries = text != NULL ? strtoull(text, NULL, 10) : TRIES_DEFAULT;
    uint64_t random = fixture_seed();
    struct run *run =
        mmap(NULL, sizeof *run, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true((void *)run != MAP_FAILED);
    run->models = models_new(3);
    run->models[1].random = fixture_random(&random);
    pid_t pid = fork_child();
    if (pid == 0)
        make_it(run);
    assert_int_equal(wait_for(pid), 0);
    (void)snprintf(run->copy, sizeof run->copy, "%s-copy", run->directory);
    try(run, 0, false);
    uint64_t count = run->counted;
    assert_true(count > OPERATIONS);
    unsigned failed = 0;
    unsigned not_opened = 0;
    for (uint64_t i = 0; i < tries; i++) {
        uint64_t number = tries >= count ? 1 + i % count : 1 + fixture_random(&random) % count;
        try(run, number, i % 4 == 3);
        failed += run->failed > 0;
        not_opened += run->opened < 0;
    }
    print_message("%llu of about %llu allocations failed: it was not opened %u times, an operation "
                  "failed in %u runs\n",
        (unsigned long long)tries, (unsigned long long)count, not_opened, failed);
    assert_true(failed > 0 && not_opened > 0);
    assert_int_equal(sys_remove_tree(AT_FDCWD, run->directory), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_failing_allocation_is_an_error_and_nothing_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
