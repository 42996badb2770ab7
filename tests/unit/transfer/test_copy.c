/*
 * tests/unit/transfer/test_copy.c - copying, comparing, counting and removing local trees.
 *
 * The NFS side of the same code is tested by tests/proto/test_cli_files.py.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/sys.h"
#include "transfer/compare.h"
#include "transfer/copy.h"
#include "transfer/survey.h"

struct fixture {
    char path[64];
    int dir_fd;
    struct tree *tree; /* of the whole directory: copies go from "a" to "b" */
    struct transfer_stats stats;
    char last_path[512];
    char last_what[256];
    int last_error;
    pthread_mutex_t lock;
};

static void note_problem(void *context, const char *path, const char *what, int error)
{
    struct fixture *f = context;
    pthread_mutex_lock(&f->lock);
    snprintf(f->last_path, sizeof f->last_path, "%s", path);
    snprintf(f->last_what, sizeof f->last_what, "%s", what);
    f->last_error = error;
    pthread_mutex_unlock(&f->lock);
}

static struct transfer_report fresh_report(struct fixture *f)
{
    memset(&f->stats, 0, sizeof f->stats);
    f->last_path[0] = f->last_what[0] = '\0';
    f->last_error = 0;
    return (struct transfer_report){ .stats = &f->stats, .problem = note_problem, .context = f };
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    snprintf(f->path, sizeof f->path, "/tmp/shoal-transfer-XXXXXX");
    assert_non_null(mkdtemp(f->path));
    f->dir_fd = open(f->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(f->dir_fd >= 0);
    assert_int_equal(tree_local_open(f->path, &f->tree), 0);
    pthread_mutex_init(&f->lock, NULL);
    assert_int_equal(mkdirat(f->dir_fd, "a", 0755), 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    tree_close(f->tree);
    close(f->dir_fd);
    assert_int_equal(sys_remove_tree(AT_FDCWD, f->path), 0);
    pthread_mutex_destroy(&f->lock);
    free(f);
    return 0;
}

static void write_file(struct fixture *f, const char *name, const void *data, size_t size)
{
    int fd = openat(f->dir_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(sys_pwrite_all(fd, data, size, 0), 0);
    close(fd);
}

static void write_pattern(struct fixture *f, const char *name, size_t size)
{
    uint8_t *data = malloc(size + 1);
    assert_non_null(data);
    for (size_t i = 0; i < size; i++)
        data[i] = (uint8_t)(i * 7 + i / 1000);
    write_file(f, name, data, size);
    free(data);
}

static void set_times(struct fixture *f, const char *name, int64_t seconds)
{
    struct timespec times[2] = { { seconds, 1 }, { seconds, 123456789 } };
    assert_int_equal(utimensat(f->dir_fd, name, times, AT_SYMLINK_NOFOLLOW), 0);
}

static int copy(struct fixture *f, const char *from, const char *to)
{
    struct copy_result result;
    struct copy_options options = { .from = f->tree,
        .from_name = from,
        .to = f->tree,
        .to_name = to,
        .worker_count = 4,
        .report = fresh_report(f) };
    return copy_run(&options, &result);
}

static int compare(struct fixture *f, const char *from, const char *to)
{
    struct compare_options options = { .from = f->tree,
        .from_name = from,
        .to = f->tree,
        .to_name = to,
        .link_times = true,
        .worker_count = 4,
        .report = fresh_report(f) };
    return compare_run(&options);
}

static void assert_copied(struct fixture *f)
{
    assert_int_equal(copy(f, "a", "b"), 0);
    assert_int_equal(f->stats.problems, 0);
    assert_int_equal(compare(f, "a", "b"), 0);
    assert_string_equal(f->last_what, "");
    assert_int_equal(f->stats.problems, 0);
}

static void files_of_all_sizes_are_copied(void **state)
{
    struct fixture *f = *state;
    static const size_t sizes[] = { 0, 1, 4096, TREE_PIECE_BYTES - 1, TREE_PIECE_BYTES,
        TREE_PIECE_BYTES + 1, 9 * TREE_PIECE_BYTES + 17 };
    uint64_t total = 0;
    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
        char name[32];
        snprintf(name, sizeof name, "a/size-%zu", sizes[i]);
        write_pattern(f, name, sizes[i]);
        total += sizes[i];
    }
    assert_copied(f);
    assert_int_equal(f->stats.files, ARRAY_SIZE(sizes));
    assert_int_equal(f->stats.directories, 1);
    assert_int_equal(f->stats.bytes, total);
}

static void directories_keep_their_times_and_modes(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(mkdirat(f->dir_fd, "a/x", 0755), 0);
    assert_int_equal(mkdirat(f->dir_fd, "a/x/y", 0755), 0);
    write_pattern(f, "a/x/y/file", 10);
    set_times(f, "a/x/y/file", -5);
    set_times(f, "a/x/y", 1000);
    set_times(f, "a/x", 2000);
    set_times(f, "a", 3000);
    assert_int_equal(fchmodat(f->dir_fd, "a/x/y", 01751, 0), 0);
    assert_copied(f);
    struct stat found;
    assert_int_equal(fstatat(f->dir_fd, "b/x", &found, 0), 0);
    assert_int_equal(found.st_mtim.tv_sec, 2000);
    assert_int_equal(found.st_mtim.tv_nsec, 123456789);
    assert_int_equal(fstatat(f->dir_fd, "b/x/y", &found, 0), 0);
    assert_int_equal(found.st_mode & 07777, 01751);
}

static void links_and_special_files_are_copied(void **state)
{
    struct fixture *f = *state;
    write_pattern(f, "a/one", 100);
    assert_int_equal(linkat(f->dir_fd, "a/one", f->dir_fd, "a/two", 0), 0);
    assert_int_equal(linkat(f->dir_fd, "a/one", f->dir_fd, "a/three", 0), 0);
    assert_int_equal(symlinkat("one", f->dir_fd, "a/soft"), 0);
    assert_int_equal(mkfifoat(f->dir_fd, "a/fifo", 0640), 0);
    assert_copied(f);
    struct stat one;
    struct stat three;
    assert_int_equal(fstatat(f->dir_fd, "b/one", &one, 0), 0);
    assert_int_equal(fstatat(f->dir_fd, "b/three", &three, 0), 0);
    assert_int_equal(one.st_ino, three.st_ino);
    assert_int_equal(one.st_nlink, 3);
    assert_int_equal(copy(f, "a", "b"), 0); /* once more, over what is there */
    assert_int_equal(f->stats.problems, 0);
    assert_int_equal(f->stats.hard_links, 2);
    assert_int_equal(f->stats.symlinks, 1);
    assert_int_equal(f->stats.others, 1);
}

static void holes_stay_holes(void **state)
{
    struct fixture *f = *state;
    int fd = openat(f->dir_fd, "a/sparse", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, 64 << 20), 0);
    assert_int_equal(sys_pwrite_all(fd, "data", 4, 40 << 20), 0);
    close(fd);
    assert_copied(f);
    struct stat found;
    assert_int_equal(fstatat(f->dir_fd, "b/sparse", &found, 0), 0);
    assert_int_equal(found.st_size, 64 << 20);
    assert_true(found.st_blocks * 512 < 1 << 20);
}

static void deep_trees_and_long_names_are_copied(void **state)
{
    struct fixture *f = *state;
    char name[256];
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    int fd = openat(f->dir_fd, "a", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (int depth = 0; depth < 30; depth++) { /* far beyond what one path can say */
        assert_int_equal(mkdirat(fd, name, 0755), 0);
        int next = openat(fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        close(fd);
        fd = next;
        assert_true(fd >= 0);
    }
    close(fd);
    assert_copied(f);
    assert_int_equal(f->stats.directories, 31);
    struct removal_options removal = { .tree = f->tree, .name = "b", .report = fresh_report(f) };
    assert_int_equal(removal_run(&removal), 0);
    assert_int_equal(f->stats.problems, 0);
    removal = (struct removal_options){ .tree = f->tree, .name = "a", .report = fresh_report(f) };
    assert_int_equal(removal_run(&removal), 0);
    assert_int_equal(f->stats.directories, 31);
}

static void a_link_in_the_way_is_replaced_not_followed(void **state)
{
    struct fixture *f = *state;
    write_pattern(f, "a/file", 100);
    assert_int_equal(mkdirat(f->dir_fd, "b", 0755), 0);
    write_file(f, "victim", "untouched", 9);
    assert_int_equal(symlinkat("../victim", f->dir_fd, "b/file"), 0);
    assert_copied(f);
    struct stat found;
    assert_int_equal(fstatat(f->dir_fd, "victim", &found, 0), 0);
    assert_int_equal(found.st_size, 9);
    assert_int_equal(fstatat(f->dir_fd, "b/file", &found, AT_SYMLINK_NOFOLLOW), 0);
    assert_true(S_ISREG(found.st_mode));
}

static void a_linked_directory_is_not_entered(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(mkdirat(f->dir_fd, "a/dir", 0755), 0);
    write_pattern(f, "a/dir/file", 100);
    assert_int_equal(mkdirat(f->dir_fd, "b", 0755), 0);
    assert_int_equal(mkdirat(f->dir_fd, "outside", 0755), 0);
    assert_int_equal(symlinkat("../outside", f->dir_fd, "b/dir"), 0);
    assert_int_equal(copy(f, "a", "b"), 0);
    assert_int_equal(f->stats.problems, 1);
    assert_string_equal(f->last_path, "a/dir");
    assert_int_equal(f->last_error, -ENOTDIR);
    assert_int_equal(faccessat(f->dir_fd, "outside/file", F_OK, 0), -1);
}

static void a_copy_into_itself_ends(void **state)
{
    struct fixture *f = *state;
    write_pattern(f, "a/file", 100);
    struct copy_result result;
    struct tree *inner;
    char path[80];
    snprintf(path, sizeof path, "%s/a", f->path);
    assert_int_equal(tree_local_open(path, &inner), 0);
    struct copy_options options = {
        .from = f->tree, .from_name = "a", .to = inner, .to_name = "copy", .report = fresh_report(f)
    };
    assert_int_equal(copy_run(&options, &result), 0);
    tree_close(inner);
    assert_int_equal(faccessat(f->dir_fd, "a/copy/copy", F_OK, 0), -1);
    assert_int_equal(faccessat(f->dir_fd, "a/copy/file", F_OK, 0), 0);
}

static void differences_are_found(void **state)
{
    struct fixture *f = *state;
    write_pattern(f, "a/file", 3 * TREE_PIECE_BYTES);
    set_times(f, "a/file", 77);
    assert_copied(f);
    int fd = openat(f->dir_fd, "b/file", O_WRONLY | O_CLOEXEC);
    assert_int_equal(sys_pwrite_all(fd, "!", 1, 2 * TREE_PIECE_BYTES + 5), 0);
    close(fd);
    set_times(f, "b/file", 77);
    assert_int_equal(compare(f, "a", "b"), 0);
    assert_int_equal(f->stats.problems, 1);
    assert_string_equal(f->last_what, "differs from byte 2097157 on");
    write_pattern(f, "b/extra", 1);
    set_times(f, "b", 5);
    set_times(f, "a", 5);
    write_pattern(f, "b/file", 3 * TREE_PIECE_BYTES);
    set_times(f, "b/file", 77);
    assert_int_equal(compare(f, "a", "b"), 0);
    assert_int_equal(f->stats.problems, 1);
    assert_string_equal(f->last_what, "is only in the copy");
    assert_string_equal(f->last_path, "a/extra");
}

static void what_is_stopped_ends_soon(void **state)
{
    struct fixture *f = *state;
    static const _Atomic bool stop = true;
    struct copy_result result;
    write_pattern(f, "a/file", 100);
    struct copy_options options = { .from = f->tree,
        .from_name = "a",
        .to = f->tree,
        .to_name = "b",
        .stop = &stop,
        .report = fresh_report(f) };
    assert_int_equal(copy_run(&options, &result), 0);
    assert_int_equal(transfer_entries(&f->stats), 0);
}

static void a_start_that_is_not_there_is_an_error(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(copy(f, "nothing", "b"), -ENOENT);
}

struct sums {
    uint64_t entries;
    uint64_t space;
    unsigned calls;
};

static void take_sum(void *context, const char *path, uint64_t entries, uint64_t space)
{
    struct sums *sums = context;
    if (strcmp(path, "a") == 0) {
        sums->entries = entries;
        sums->space = space;
    }
    sums->calls++;
}

static void a_survey_counts_files_with_several_names_once(void **state)
{
    struct fixture *f = *state;
    struct sums sums = { 0 };
    assert_int_equal(mkdirat(f->dir_fd, "a/x", 0755), 0);
    write_pattern(f, "a/x/one", 1 << 20);
    assert_int_equal(linkat(f->dir_fd, "a/x/one", f->dir_fd, "a/two", 0), 0);
    struct survey_options survey = { .tree = f->tree,
        .name = "a",
        .worker_count = 1,
        .report = fresh_report(f),
        .directory = take_sum,
        .context = &sums };
    assert_int_equal(survey_run(&survey), 0);
    assert_int_equal(f->stats.files, 1);
    assert_int_equal(f->stats.hard_links, 1);
    assert_int_equal(f->stats.bytes, 1 << 20);
    assert_int_equal(sums.calls, 2);
    assert_int_equal(sums.entries, 4);
    assert_true(sums.space >= 1 << 20 && sums.space < 2 << 20);
    assert_int_equal(sums.space, survey.space_bytes);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(files_of_all_sizes_are_copied),
        CASE(directories_keep_their_times_and_modes),
        CASE(links_and_special_files_are_copied),
        CASE(holes_stay_holes),
        CASE(deep_trees_and_long_names_are_copied),
        CASE(a_link_in_the_way_is_replaced_not_followed),
        CASE(a_linked_directory_is_not_entered),
        CASE(a_copy_into_itself_ends),
        CASE(differences_are_found),
        CASE(what_is_stopped_ends_soon),
        CASE(a_start_that_is_not_there_is_an_error),
        CASE(a_survey_counts_files_with_several_names_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
