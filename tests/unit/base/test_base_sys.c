/* tests/unit/base/test_base_sys.c - files replaced whole, trees removed without leaving them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <sys/stat.h>

#include "base/sys.h"

struct fixture {
    char path[64];
    int dir_fd;
};

static int make_directory(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    memcpy(f->path, "/tmp/shoal-test-sys-XXXXXX", 27);
    assert_non_null(mkdtemp(f->path));
    f->dir_fd = open(f->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(f->dir_fd >= 0);
    *state = f;
    return 0;
}

static int remove_directory(void **state)
{
    struct fixture *f = *state;
    (void)close(f->dir_fd);
    assert_int_equal(sys_remove_tree(AT_FDCWD, f->path), 0);
    assert_int_equal(access(f->path, F_OK), -1);
    free(f);
    return 0;
}

static void a_replaced_file_holds_the_new_content_and_mode(void **state)
{
    struct fixture *f = *state;
    char *text = NULL;
    assert_int_equal(sys_read_file(f->dir_fd, "f", 100, &text), -ENOENT);
    assert_int_equal(sys_replace_file(f->dir_fd, "f", "one", 3, 0600), 0);
    assert_int_equal(sys_replace_file(f->dir_fd, "f", "second", 6, 0600), 0);
    assert_int_equal(sys_read_file(f->dir_fd, "f", 100, &text), 0);
    assert_string_equal(text, "second");
    free(text);
    text = NULL;
    assert_int_equal(sys_read_file(f->dir_fd, "f", 5, &text), -EFBIG);
    assert_null(text);
    struct stat st;
    assert_int_equal(fstatat(f->dir_fd, "f", &st, 0), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

static void removing_a_tree_does_not_follow_links(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(sys_mkdirat(f->dir_fd, "keep", 0700), 0);
    assert_int_equal(sys_mkdirat(f->dir_fd, "keep", 0700), 0);
    assert_int_equal(sys_replace_file(f->dir_fd, "keep/file", "x", 1, 0600), -ENOENT);
    assert_int_equal(sys_mkdirat(f->dir_fd, "gone", 0700), 0);
    assert_int_equal(sys_mkdirat(f->dir_fd, "gone/deep", 0700), 0);
    assert_int_equal(symlinkat("../keep", f->dir_fd, "gone/link"), 0);
    assert_int_equal(sys_replace_file(f->dir_fd, "stay", "x", 1, 0600), 0);
    assert_int_equal(sys_remove_tree(f->dir_fd, "gone"), 0);
    assert_int_equal(sys_remove_tree(f->dir_fd, "gone"), 0);
    struct stat st;
    assert_int_equal(fstatat(f->dir_fd, "gone", &st, AT_SYMLINK_NOFOLLOW), -1);
    assert_int_equal(fstatat(f->dir_fd, "keep", &st, 0), 0);
    assert_int_equal(fstatat(f->dir_fd, "stay", &st, 0), 0);
}

static void reading_beyond_the_end_is_told(void **state)
{
    struct fixture *f = *state;
    int fd = sys_openat(f->dir_fd, "data", O_RDWR | O_CREAT, 0600);
    assert_true(fd >= 0);
    char bytes[8];
    assert_int_equal(sys_pwrite_all(fd, "1234", 4, 2), 0);
    assert_int_equal(sys_pread_all(fd, bytes, 4, 2), 0);
    assert_memory_equal(bytes, "1234", 4);
    assert_int_equal(sys_pread_all(fd, bytes, 8, 0), -ENODATA);
    assert_int_equal(sys_fsync(fd), 0);
    assert_int_equal(sys_fdatasync(fd), 0);
    (void)close(fd);
}

int main(void)
{
#define IN_DIRECTORY(name) cmocka_unit_test_setup_teardown(name, make_directory, remove_directory)
    const struct CMUnitTest tests[] = {
        IN_DIRECTORY(a_replaced_file_holds_the_new_content_and_mode),
        IN_DIRECTORY(removing_a_tree_does_not_follow_links),
        IN_DIRECTORY(reading_beyond_the_end_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
