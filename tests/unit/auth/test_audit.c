/* tests/unit/auth/test_audit.c - lines are whole, in order, rotated by size and count, and their loss is told. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "auth/audit.h"
#include "base/sys.h"

#define NOW      INT64_C(1440938160123)
#define BIG_SIZE (5u << 20)

struct fixture {
    char directory[64];
    int dir_fd;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    (void)snprintf(f->directory, sizeof f->directory, "/tmp/shoal-audit-XXXXXX");
    assert_non_null(mkdtemp(f->directory));
    f->dir_fd = sys_openat(AT_FDCWD, f->directory, O_RDONLY | O_DIRECTORY, 0);
    assert_true(f->dir_fd >= 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(sys_remove_tree(AT_FDCWD, f->directory), 0);
    (void)close(f->dir_fd);
    free(f);
    return 0;
}

static struct audit *open_audit(const struct fixture *f, uint64_t size, unsigned count)
{
    struct audit *audit;
    const struct audit_options options = {
        .dir_fd = f->dir_fd, .size_max_bytes = size, .file_count = count
    };
    assert_int_equal(audit_new(&options, &audit), 0);
    return audit;
}

/* The lines of a file; NULL: there is none. */
static json_t *read_file(const struct fixture *f, const char *name)
{
    char *text;
    char *rest;
    if (sys_read_file(f->dir_fd, name, 1 << 24, &text) < 0)
        return NULL;
    json_t *list = json_array();
    rest = text;
    for (char *line = strsep(&rest, "\n"); rest != NULL; line = strsep(&rest, "\n")) {
        json_t *object = json_loads(line, 0, NULL);
        assert_true(json_is_object(object)); /* each line is whole */
        assert_int_equal(json_array_append_new(list, object), 0);
    }
    free(text);
    return list;
}

static const char *text_of(const json_t *list, size_t i, const char *name)
{
    return json_string_value(json_object_get(json_array_get(list, i), name));
}

static struct sockaddr_storage make_source(void)
{
    struct sockaddr_storage source = { 0 };
    struct sockaddr_in *in = (struct sockaddr_in *)&source;
    in->sin_family = AF_INET;
    in->sin_addr.s_addr = htonl(0x7f000009);
    return source;
}

static void calls_and_mounts_are_kept_with_all_that_is_known(void **state)
{
    struct fixture *f = *state;
    struct audit *audit = open_audit(f, MIB, 2);
    struct sockaddr_storage source = make_source();
    audit_call(audit, &(struct audit_call){ .now_ms = NOW,
                          .request = "r-1",
                          .principal = "arn:aws:iam::0:user/\"ada\"\n",
                          .key = "AKIA1",
                          .service = "iam",
                          .action = "CreateUser",
                          .resource = "arn",
                          .result = "AccessDenied",
                          .status = 403,
                          .denied = true,
                          .source = &source });
    audit_mount(audit, &(struct audit_mount){ .now_ms = NOW,
                           .file_system = "fs-1",
                           .access_point = "fsap-1",
                           .may_mount = true,
                           .may_write = true,
                           .reason = "policy",
                           .source = &source });
    audit_mount(audit, &(struct audit_mount){ .now_ms = NOW, .file_system = "fs-1" });
    audit_free(audit);
    struct stat st;
    assert_int_equal(fstatat(f->dir_fd, "audit/audit.log", &st, 0), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    json_t *lines = read_file(f, "audit/audit.log");
    assert_int_equal(json_array_size(lines), 3);
    assert_string_equal(text_of(lines, 0, "time"), "2015-08-30T12:36:00.123Z");
    assert_string_equal(text_of(lines, 0, "event"), "api");
    assert_string_equal(text_of(lines, 0, "principal"), "arn:aws:iam::0:user/\"ada\"\n");
    assert_string_equal(text_of(lines, 0, "source"), "127.0.0.9");
    assert_string_equal(text_of(lines, 0, "result"), "AccessDenied");
    assert_true(json_is_true(json_object_get(json_array_get(lines, 0), "denied")));
    assert_null(text_of(lines, 0, "created"));
    assert_string_equal(text_of(lines, 1, "principal"), "anonymous");
    assert_string_equal(text_of(lines, 1, "access_point"), "fsap-1");
    json_t *allowed = json_object_get(json_array_get(lines, 1), "allowed");
    assert_int_equal(json_array_size(allowed), 2);
    assert_string_equal(json_string_value(json_array_get(allowed, 1)), "ClientWrite");
    assert_null(json_object_get(json_array_get(lines, 1), "denied"));
    assert_true(json_is_true(json_object_get(json_array_get(lines, 2), "denied")));
    json_decref(lines);
}

static void report(struct audit *audit, unsigned number)
{
    char request[16];
    (void)snprintf(request, sizeof request, "%06u", number);
    audit_call(audit, &(struct audit_call){ .now_ms = NOW, .request = request, .result = "ok" });
}

static void files_are_rotated_by_size_and_count(void **state)
{
    struct fixture *f = *state;
    static const char *const names[] = { "audit/audit.log.2", "audit/audit.log.1",
        "audit/audit.log" };
    struct audit *audit = open_audit(f, 4096, 3);
    for (unsigned i = 0; i < 200; i++)
        report(audit, i);
    audit_free(audit);
    audit = open_audit(f, 4096, 3); /* goes on in the same file */
    for (unsigned i = 200; i < 210; i++)
        report(audit, i);
    audit_free(audit);
    unsigned expected = 210;
    for (size_t i = ARRAY_SIZE(names); i > 0; i--) {
        struct stat st;
        json_t *lines = read_file(f, names[i - 1]);
        assert_non_null(lines);
        assert_int_equal(fstatat(f->dir_fd, names[i - 1], &st, 0), 0);
        assert_true(st.st_size <= 4096);
        for (size_t j = json_array_size(lines); j > 0; j--)
            assert_int_equal(strtoul(text_of(lines, j - 1, "request"), NULL, 10), --expected);
        json_decref(lines);
    }
    assert_true(expected > 0); /* the oldest are gone */
    assert_null(read_file(f, "audit/audit.log.3"));
}

static void what_is_lost_is_counted_and_told(void **state)
{
    struct fixture *f = *state;
    struct audit *audit = open_audit(f, 1 << 30, 1);
    char *big = calloc(1, BIG_SIZE + 1); /* more than the queue holds */
    assert_non_null(big);
    memset(big, 'x', BIG_SIZE);
    audit_call(audit, &(struct audit_call){ .now_ms = NOW, .resource = big, .result = "ok" });
    free(big);
    assert_int_equal(audit_counts(audit).lost, 1);
    report(audit, 7);
    audit_free(audit);
    json_t *lines = read_file(f, "audit/audit.log");
    assert_int_equal(json_array_size(lines), 2);
    assert_string_equal(text_of(lines, 0, "request"), "000007");
    assert_string_equal(text_of(lines, 1, "event"), "lost");
    assert_int_equal(json_integer_value(json_object_get(json_array_get(lines, 1), "count")), 1);
    json_decref(lines);
}

/* Waits until the thread has dealt with so many lines. */
static struct audit_counts wait_for(struct audit *audit, uint64_t count)
{
    struct audit_counts counts = audit_counts(audit);
    while (counts.written + counts.lost < count) {
        (void)usleep(1000);
        counts = audit_counts(audit);
    }
    return counts;
}

static void a_disk_that_takes_nothing_loses_lines_and_no_more(void **state)
{
    struct fixture *f = *state;
    struct audit *audit = open_audit(f, 1 << 30, 1);
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    const struct rlimit none = { .rlim_cur = 0, .rlim_max = before.rlim_max };
    assert_true(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
    report(audit, 1);
    struct audit_counts counts = wait_for(audit, 1);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(counts.lost, 1);
    report(audit, 2);
    audit_free(audit);
    json_t *lines = read_file(f, "audit/audit.log");
    assert_int_equal(json_array_size(lines), 2);
    assert_string_equal(text_of(lines, 0, "request"), "000002");
    assert_string_equal(text_of(lines, 1, "event"), "lost");
    json_decref(lines);
}

static void nothing_is_kept_without_a_log(void **state)
{
    (void)state;
    report(NULL, 1);
    audit_mount(NULL, &(struct audit_mount){ .now_ms = NOW });
    audit_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            calls_and_mounts_are_kept_with_all_that_is_known, setup, teardown),
        cmocka_unit_test_setup_teardown(files_are_rotated_by_size_and_count, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_lost_is_counted_and_told, setup, teardown),
        cmocka_unit_test_setup_teardown(
            a_disk_that_takes_nothing_loses_lines_and_no_more, setup, teardown),
        cmocka_unit_test(nothing_is_kept_without_a_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
