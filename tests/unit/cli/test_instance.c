/* tests/unit/cli/test_instance.c - what the lock and the run file of a data directory tell. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/sys.h"
#include "cli/cli.h"
#include "cli/instance.h"

#define OWNER_PID "4711"

struct fixture {
    char path[64];
    struct instance instance;
    int lock_fd;
};

static int a_directory(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    f->lock_fd = -1;
    (void)snprintf(f->path, sizeof f->path, "/tmp/shoal-instance-XXXXXX");
    assert_non_null(mkdtemp(f->path));
    assert_int_equal(instance_open(f->path, &f->instance), CLI_OK);
    *state = f;
    return 0;
}

static int forget(void **state)
{
    struct fixture *f = *state;
    if (f->lock_fd >= 0)
        (void)close(f->lock_fd);
    instance_close(&f->instance);
    assert_int_equal(sys_remove_tree(AT_FDCWD, f->path), 0);
    free(f);
    return 0;
}

/* As shoald does. An OFD lock conflicts with other open files of the same process, too. */
static void lock(struct fixture *f, const char *content)
{
    f->lock_fd = sys_openat(f->instance.dir_fd, "lock", O_RDWR | O_CREAT, 0600);
    assert_true(f->lock_fd >= 0);
    struct flock how = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
    assert_int_equal(fcntl(f->lock_fd, F_OFD_SETLK, &how), 0);
    assert_int_equal(sys_pwrite_all(f->lock_fd, content, strlen(content), 0), 0);
}

static void put_run_file(const struct fixture *f, const char *text)
{
    assert_int_equal(sys_mkdirat(f->instance.dir_fd, "run", 0700), 0);
    int run_fd = sys_openat(f->instance.dir_fd, "run", O_RDONLY | O_DIRECTORY, 0);
    assert_true(run_fd >= 0);
    assert_int_equal(sys_replace_file(run_fd, "shoald.json", text, strlen(text), 0600), 0);
    (void)close(run_fd);
}

static const char run_file[] =
    "{\"pid\": " OWNER_PID ", \"endpoint\": \"http://127.0.0.1:1\", \"region\": \"r\", "
    "\"account_id\": \"000000000000\", \"control_port\": 1, \"nfs_port\": 2, \"version\": \"0\", "
    "\"subnets\": [{\"id\": \"subnet-1\", \"zone\": \"ra\"}, {\"id\": \"subnet-2\", \"zone\": "
    "\"rb\"}]}";

static void an_empty_directory_has_no_service(void **state)
{
    struct fixture *f = *state;
    assert_false(f->instance.is_running);
    assert_int_equal(instance_require(&f->instance), CLI_NOT_RUNNING);
}

static void what_a_dead_daemon_left_is_not_believed(void **state)
{
    struct fixture *f = *state;
    lock(f, "pid=" OWNER_PID "\nepoch=1\n");
    put_run_file(f, run_file);
    (void)close(f->lock_fd); /* the lock goes with it */
    f->lock_fd = -1;
    assert_int_equal(instance_look(&f->instance), 0);
    assert_false(f->instance.is_running);
    assert_false(f->instance.is_serving);
}

static void a_daemon_that_starts_does_not_serve_yet(void **state)
{
    struct fixture *f = *state;
    lock(f, "");
    assert_int_equal(instance_look(&f->instance), 0);
    assert_true(f->instance.is_running);
    assert_int_equal(f->instance.pid, 0);
    put_run_file(f, run_file); /* of the daemon before */
    assert_int_equal(instance_look(&f->instance), 0);
    assert_false(f->instance.is_serving);
    assert_int_equal(instance_require(&f->instance), CLI_NOT_RUNNING);
}

static void a_serving_daemon_tells_where(void **state)
{
    struct fixture *f = *state;
    lock(f, "pid=" OWNER_PID "\nepoch=1\n");
    put_run_file(f, run_file);
    assert_int_equal(instance_require(&f->instance), CLI_OK);
    assert_int_equal(f->instance.pid, 4711);
    assert_string_equal(f->instance.endpoint, "http://127.0.0.1:1");
    assert_int_equal(f->instance.nfs_port, 2);
    assert_int_equal(f->instance.subnet_count, 2);
    assert_string_equal(f->instance.subnets[1].zone, "rb");
}

static void looking_does_not_take_the_lock(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(sys_replace_file(f->instance.dir_fd, "lock", "", 0, 0600), 0);
    assert_int_equal(instance_look(&f->instance), 0);
    lock(f, "pid=" OWNER_PID "\n");
    assert_int_equal(instance_look(&f->instance), 0);
    assert_int_equal(f->instance.pid, 4711);
}

static const char no_subnets[] =
    "{\"pid\": " OWNER_PID ", \"endpoint\": \"e\", \"region\": \"r\", "
    "\"account_id\": \"0\", \"nfs_port\": 2, \"version\": \"0\", \"subnets\": []}";

static void a_damaged_run_file_is_an_error(void **state)
{
    static const char *const damaged[] = { "", "{", "[]", "{\"pid\": 1}", no_subnets };
    struct fixture *f = *state;
    lock(f, "pid=" OWNER_PID "\n");
    for (size_t i = 0; i < ARRAY_SIZE(damaged); i++) {
        put_run_file(f, damaged[i]);
        assert_int_equal(instance_look(&f->instance), -EIO);
        assert_false(f->instance.is_serving);
    }
}

static void without_a_name_the_environment_counts(void **state)
{
    struct fixture *f = *state;
    struct instance found;
    assert_int_equal(unsetenv("SHOAL_DATA"), 0);
    assert_null(instance_data_name(NULL));
    assert_int_equal(instance_open(NULL, &found), CLI_USAGE);
    assert_int_equal(setenv("SHOAL_DATA", f->path, 1), 0);
    assert_int_equal(instance_open(NULL, &found), CLI_OK);
    assert_string_equal(found.data, f->path);
    instance_close(&found);
    assert_string_equal(instance_data_name("/x"), "/x");
    assert_int_equal(instance_open("/nonexistent/dir", &found), CLI_FAILED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_empty_directory_has_no_service, a_directory, forget),
        cmocka_unit_test_setup_teardown(
            what_a_dead_daemon_left_is_not_believed, a_directory, forget),
        cmocka_unit_test_setup_teardown(
            a_daemon_that_starts_does_not_serve_yet, a_directory, forget),
        cmocka_unit_test_setup_teardown(a_serving_daemon_tells_where, a_directory, forget),
        cmocka_unit_test_setup_teardown(looking_does_not_take_the_lock, a_directory, forget),
        cmocka_unit_test_setup_teardown(a_damaged_run_file_is_an_error, a_directory, forget),
        cmocka_unit_test_setup_teardown(without_a_name_the_environment_counts, a_directory, forget),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
