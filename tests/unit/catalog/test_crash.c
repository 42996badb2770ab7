/*
 * tests/unit/catalog/test_crash.c - a killed process loses nothing that it was told is durable.
 *
 * A child changes two records in each change and reports each one done through a pipe; it is killed
 * at a random moment, many times over. After each death both records must agree, and stand at the
 * last reported change or at the one that ran when it died.
 */
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

#ifdef __SANITIZE_THREAD__
#define CAN_FORK false /* ThreadSanitizer allows no threads in a child of a process that has some */
#else
#define CAN_FORK true
#endif

#define ROUNDS 12

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

static int make_two(struct catalog_change *change, void *context)
{
    (void)context;
    static const char *const ids[] = { "fs-1", "fs-2" };
    for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
        struct catalog_fs *fs;
        int err = catalog_add_fs(change, &fs);
        if (err == 0)
            err = text_copy(fs->id, sizeof fs->id, ids[i]);
        if (err == 0)
            err = text_copy(fs->creation_token, sizeof fs->creation_token, ids[i]);
        if (err < 0)
            return err;
    }
    return 0;
}

static int set_two(struct catalog_change *change, void *context)
{
    const uint64_t *value = context;
    struct catalog_fs *first;
    struct catalog_fs *second;
    int err = catalog_edit_fs(change, "fs-1", &first);
    if (err == 0)
        err = catalog_edit_fs(change, "fs-2", &second);
    if (err < 0)
        return err;
    first->size_bytes = *value;
    second->size_bytes = *value;
    return 0;
}

/* The child: counts on from `value` until it is killed. */
static _Noreturn void count_until_killed(uint64_t value, int report_fd)
{
    struct catalog_options options = { .path = path, .region = "us-east-1", .account_id = "0" };
    char reason[CATALOG_REASON_SIZE];
    struct catalog *catalog = NULL;
    if (catalog_open(&options, reason, &catalog) < 0)
        _exit(1);
    for (;;) {
        value++;
        if (catalog_change(catalog, set_two, &value) < 0 ||
            write(report_fd, &value, sizeof value) != sizeof value)
            _exit(2);
    }
}

/* Runs a child for about `ms`; gives the last change it reported. */
static uint64_t run_and_kill(uint64_t value, unsigned ms)
{
    int pipe_fds[2];
    assert_int_equal(pipe(pipe_fds), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        count_until_killed(value, pipe_fds[1]);
    (void)close(pipe_fds[1]);
    uint64_t reported = value;
    assert_int_equal(read(pipe_fds[0], &reported, sizeof reported), sizeof reported);
    struct timespec wait = { .tv_nsec = (long)ms * 1000000 };
    (void)nanosleep(&wait, NULL);
    assert_int_equal(kill(child, SIGKILL), 0);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    uint64_t next;
    while (read(pipe_fds[0], &next, sizeof next) == sizeof next)
        reported = next;
    (void)close(pipe_fds[0]);
    return reported;
}

static void killing_the_process_loses_no_durable_change(void **state)
{
    if (!CAN_FORK)
        skip();
    (void)state;
    assert_non_null(mkdtemp(directory));
    (void)snprintf(path, sizeof path, "%s/catalog", directory);
    struct catalog *catalog = open_catalog();
    assert_int_equal(catalog_change(catalog, make_two, NULL), 0);
    catalog_close(catalog); /* RocksDB's threads do not survive fork(): closed before each */
    uint64_t value = 0;
    for (unsigned round = 0; round < ROUNDS; round++) {
        uint64_t reported = run_and_kill(value, 3 + 7 * round);
        catalog = open_catalog();
        const struct catalog_fs *first = catalog_fs_get(catalog, "fs-1");
        const struct catalog_fs *second = catalog_fs_get(catalog, "fs-2");
        value = first->size_bytes;
        assert_int_equal(second->size_bytes, value);
        assert_in_range(value, reported, reported + 1);
        catalog_fs_put(first);
        catalog_fs_put(second);
        catalog_close(catalog);
    }
    assert_int_equal(sys_remove_tree(AT_FDCWD, directory), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(killing_the_process_loses_no_durable_change),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
