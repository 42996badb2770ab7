/* tests/unit/daemon/test_data_dir.c - one owner, a known format, an identity that stays. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/sys.h"
#include "daemon/data_dir.h"

struct fixture {
    char root[64];
    char path[96];
    struct data_dir *dir;
    struct problem problem;
};

static int no_directory(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    (void)snprintf(f->root, sizeof f->root, "/tmp/shoal-data-XXXXXX");
    assert_non_null(mkdtemp(f->root));
    (void)snprintf(f->path, sizeof f->path, "%s/a/data", f->root);
    *state = f;
    return 0;
}

static int forget(void **state)
{
    struct fixture *f = *state;
    data_dir_close(f->dir);
    assert_int_equal(sys_remove_tree(AT_FDCWD, f->root), 0);
    free(f);
    return 0;
}

static void open_new(struct fixture *f)
{
    assert_int_equal(data_dir_open(f->path, &f->dir, &f->problem), 0);
}

static void close_it(struct fixture *f)
{
    data_dir_close(f->dir);
    f->dir = NULL;
}

static void put(const struct fixture *f, const char *name, const char *text)
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s/%s", f->path, name);
    FILE *to = fopen(path, "w");
    assert_non_null(to);
    assert_true(fputs(text, to) >= 0);
    assert_int_equal(fclose(to), 0);
}

static void assert_refused(struct fixture *f, int err, const char *part)
{
    assert_int_equal(data_dir_open(f->path, &f->dir, &f->problem), err);
    assert_null(f->dir);
    if (strstr(f->problem.text, part) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", f->problem.text, part);
}

static void a_missing_directory_is_made_for_this_user_only(void **state)
{
    struct fixture *f = *state;
    open_new(f);
    struct stat st;
    assert_int_equal(stat(f->path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    assert_int_equal(f->dir->epoch, 1);
    assert_int_equal(strlen(f->dir->node_id), DATA_DIR_NODE_DIGITS);
}

static void each_start_keeps_the_identity_and_gets_a_new_epoch(void **state)
{
    struct fixture *f = *state;
    open_new(f);
    struct data_dir first = *f->dir;
    close_it(f);
    open_new(f);
    assert_int_equal(f->dir->epoch, 2);
    assert_string_equal(f->dir->node_id, first.node_id);
    assert_memory_equal(&f->dir->fh_key, &first.fh_key, sizeof first.fh_key);
    assert_true(first.fh_key.k0 != 0 && first.fh_key.k0 != first.fh_key.k1);
}

static void a_second_owner_is_told_the_first_ones_pid(void **state)
{
    struct fixture *f = *state;
    open_new(f);
    struct data_dir *first = f->dir;
    f->dir = NULL;
    char pid[32];
    (void)snprintf(pid, sizeof pid, "pid %d.", getpid());
    assert_refused(f, -EBUSY, pid);
    assert_refused(f, -EBUSY, "shoal down --data");
    f->dir = first;
}

static void a_newer_format_is_refused(void **state)
{
    struct fixture *f = *state;
    open_new(f);
    close_it(f);
    put(f, "format", "shoal data directory\nversion=2\n");
    assert_refused(f, -EPROTO, "has format 2, and this shoald");
}

static void a_damaged_format_is_refused(void **state)
{
    static const char *const texts[] = { "", "shoal", "shoal data directory\nversion=\n",
        "shoal data directory\nversion=0\n", "shoal data directory\nversion=1",
        "shoal data directory\nversion=1x\n", "another thing\nversion=1\n" };
    struct fixture *f = *state;
    open_new(f);
    close_it(f);
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        put(f, "format", texts[i]);
        assert_refused(f, -EBADMSG, "is damaged: its file `format`");
    }
}

static void a_damaged_identity_or_epoch_is_refused(void **state)
{
    struct fixture *f = *state;
    open_new(f);
    close_it(f);
    put(f, "epoch", "seven\n");
    assert_refused(f, -EBADMSG, "file `epoch`");
    put(f, "epoch", "7\n");
    put(f, "identity", "node=0123456789abcdef\nhandle_key=0123456789abcdef0123456789abcdeX\n");
    assert_refused(f, -EBADMSG, "file `identity`");
    put(f, "identity", "node=0123456789abcdef\nhandle_key=0123456789abcdef0123456789abcde0\n");
    open_new(f);
    assert_int_equal(f->dir->epoch, 8);
    assert_int_equal(f->dir->fh_key.k1, UINT64_C(0x0123456789abcde0));
}

static void another_directory_is_not_taken_over(void **state)
{
    struct fixture *f = *state;
    open_new(f);
    close_it(f);
    char path[128];
    (void)snprintf(path, sizeof path, "%s/format", f->path);
    assert_int_equal(unlink(path), 0);
    open_new(f); /* only files of a first start: it is completed */
    close_it(f);
    assert_int_equal(unlink(path), 0);
    put(f, "thesis.tex", "years of work");
    assert_refused(f, -EBADMSG, "holds other files");
}

static void a_place_that_cannot_be_made_is_explained(void **state)
{
    struct fixture *f = *state;
    (void)snprintf(f->path, sizeof f->path, "/proc/no/data");
    assert_refused(f, -ENOENT, "Cannot make the data directory /proc/no/data");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            a_missing_directory_is_made_for_this_user_only, no_directory, forget),
        cmocka_unit_test_setup_teardown(
            each_start_keeps_the_identity_and_gets_a_new_epoch, no_directory, forget),
        cmocka_unit_test_setup_teardown(
            a_second_owner_is_told_the_first_ones_pid, no_directory, forget),
        cmocka_unit_test_setup_teardown(a_newer_format_is_refused, no_directory, forget),
        cmocka_unit_test_setup_teardown(a_damaged_format_is_refused, no_directory, forget),
        cmocka_unit_test_setup_teardown(
            a_damaged_identity_or_epoch_is_refused, no_directory, forget),
        cmocka_unit_test_setup_teardown(another_directory_is_not_taken_over, no_directory, forget),
        cmocka_unit_test_setup_teardown(
            a_place_that_cannot_be_made_is_explained, no_directory, forget),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
