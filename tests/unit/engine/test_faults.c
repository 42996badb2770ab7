/* What the engine does when the disk, or what is on it, is not as it should be. */
#include <dirent.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "base/sys.h"
#include "fixture.h"

#include <cmocka.h>

#define PIECE        65536u
#define MANY         12u
#define DIRTY_AGE_MS 50u

static uint8_t pattern[PIECE];

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct engine_options options = { .segment_blocks = 256, .dirty_age_ms = DIRTY_AGE_MS };
    for (size_t i = 0; i < sizeof pattern; i++)
        pattern[i] = (uint8_t)(i * 13 + i / 256);
    fixture_init(f, &options);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture_fini(*state);
    free(*state);
    return 0;
}

static void path_of(const struct fixture *f, const char *name, char path[256])
{
    (void)snprintf(path, 256, "%s/fs-0123456789abcdef0/%s", f->directory, name);
}

static void replace_file(const struct fixture *f, const char *name, const char *text)
{
    char path[256];
    path_of(f, name, path);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

/* Changes the byte that stands `at` bytes behind the first occurrence of the pattern's `from`-th piece. */
static void flip_in_segments(const struct fixture *f, const uint8_t *wanted, size_t size)
{
    char path[256];
    path_of(f, "data", path);
    DIR *dir = opendir(path);
    assert_non_null(dir);
    unsigned flipped = 0;
    struct dirent *entry;
    while ((entry = readdir(dir)) != NULL) {
        char *bytes;
        int dir_fd = dirfd(dir);
        if (entry->d_name[0] == '.')
            continue;
        bytes = malloc(2 << 20);
        assert_non_null(bytes);
        int fd = openat(dir_fd, entry->d_name, O_RDWR);
        assert_true(fd >= 0);
        ssize_t got = pread(fd, bytes, 2 << 20, 0);
        char *found = got > 0 ? memmem(bytes, (size_t)got, wanted, size) : NULL;
        if (f->is_encrypted && got > 0) {
            assert_null(found);
            found = bytes + 4096 + (wanted - pattern); /* behind the header, as it was written */
        }
        if (found != NULL) {
            uint8_t wrong = (uint8_t) ~(uint8_t)*found;
            assert_int_equal(pwrite(fd, &wrong, 1, found - bytes), 1);
            flipped++;
        }
        (void)close(fd);
        free(bytes);
    }
    (void)closedir(dir);
    assert_int_equal(flipped, 1);
}

static void a_flipped_byte_is_an_error_and_never_data(void **state)
{
    struct fixture *f = *state;
    struct fs_node node = fixture_file(f, "file");
    fixture_write(f, node, 0, pattern, sizeof pattern, FS_UNSTABLE);
    fixture_close(f);
    flip_in_segments(f, pattern + 3 * 4096, 4096);
    assert_int_equal(fixture_open(f), 0);
    uint8_t bytes[4096];
    struct fs_read read;
    log_set_level(LOG_LEVEL_ERROR);
    assert_int_equal(fs_read(f->fs, node, 3 * 4096, bytes, sizeof bytes, &read), -EIO);
    assert_int_equal(fs_read(f->fs, node, 3 * 4096 + 100, bytes, 10, &read), -EIO);
    assert_int_equal(fs_read(f->fs, node, 4 * 4096, bytes, sizeof bytes, &read), 0);
    assert_memory_equal(bytes, pattern + 4 * 4096, sizeof bytes);
    /* Overwritten as a whole it is good again; in part it cannot be. */
    struct fs_write part = { .offset = 3 * 4096 + 5, .data = slice_of(pattern, 10) };
    struct fs_written written;
    assert_int_equal(fs_write(f->fs, node, &part, &written), -EIO);
    fixture_write(f, node, 3 * 4096, pattern, 4096, FS_FILE_SYNC);
    assert_int_equal(fs_read(f->fs, node, 3 * 4096, bytes, sizeof bytes, &read), 0);
    assert_memory_equal(bytes, pattern, sizeof bytes);
}

static void one_owner_at_a_time(void **state)
{
    struct fixture *f = *state;
    struct fs *second;
    assert_int_equal(
        f->provider->open(f->provider->context, "fs-0123456789abcdef0", &second), -EBUSY);
    (void)fixture_file(f, "still-works");
}

static void newer_damaged_and_missing_ones_are_refused(void **state)
{
    struct fixture *f = *state;
    fixture_close(f);
    char path[256];
    char saved[256];
    path_of(f, "format", path);
    path_of(f, "saved", saved);
    assert_int_equal(rename(path, saved), 0);
    assert_int_equal(fixture_open(f), -ENOENT);
    replace_file(f, "format", "shoal-engine 9999\nsomething new\n");
    assert_int_equal(fixture_open(f), -EPROTO);
    /* Making one there would destroy what is newer. */
    assert_int_equal(
        f->provider->create(f->provider->context, "fs-0123456789abcdef0", NULL), -EPROTO);
    replace_file(f, "format", "whatever");
    assert_int_equal(fixture_open(f), -EBADMSG);
    assert_int_equal(rename(saved, path), 0);
    assert_int_equal(fixture_open(f), 0);
    fixture_close(f);
    replace_file(f, "meta/CURRENT", "MANIFEST-999999\n");
    assert_true(fixture_open(f) < 0);
    f->fs = NULL;
}

static void a_lost_segment_is_noticed_at_opening(void **state)
{
    struct fixture *f = *state;
    struct fs_node node = fixture_file(f, "file");
    fixture_write(f, node, 0, pattern, sizeof pattern, FS_UNSTABLE);
    fixture_close(f);
    char path[256];
    path_of(f, "data", path);
    DIR *dir = opendir(path);
    assert_non_null(dir);
    struct dirent *entry;
    while ((entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] != '.')
            assert_int_equal(unlinkat(dirfd(dir), entry->d_name, 0), 0);
    }
    (void)closedir(dir);
    assert_int_equal(fixture_open(f), -EBADMSG);
    f->fs = NULL;
}

static void an_interrupted_creation_is_begun_again(void **state)
{
    struct fixture *f = *state;
    fixture_close(f);
    char path[256];
    path_of(f, "format", path);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(f->provider->create(f->provider->context, "fs-0123456789abcdef0", NULL), 0);
    assert_int_equal(fixture_open(f), 0);
    assert_int_equal(f->provider->create(f->provider->context, "fs-0123456789abcdef0", NULL), 0);
}

static void names_that_are_no_ids_open_nothing(void **state)
{
    struct fixture *f = *state;
    struct fs *fs;
    assert_int_equal(f->provider->open(f->provider->context, "../etc", &fs), -ENOENT);
    assert_int_equal(f->provider->open(f->provider->context, "", &fs), -ENOENT);
    assert_int_equal(f->provider->create(f->provider->context, "a/b", NULL), -EINVAL);
    assert_int_equal(f->provider->destroy(f->provider->context, ".."), -EINVAL);
}

/* More file systems than the pool has threads, all with dirty data, written back and closed at once. */
static void many_file_systems_wait_for_the_disk_not_for_each_other(void **state)
{
    struct fixture *f = *state;
    struct fs *others[MANY];
    for (unsigned i = 0; i < MANY; i++) {
        char id[32];
        (void)snprintf(id, sizeof id, "fs-%u", i);
        assert_int_equal(f->provider->create(f->provider->context, id, NULL), 0);
        assert_int_equal(f->provider->open(f->provider->context, id, &others[i]), 0);
        struct fs_node root;
        struct fs_create how = { .type = FS_REGULAR };
        struct fs_created out;
        assert_int_equal(fs_root(others[i], &root), 0);
        assert_int_equal(fs_create(others[i], NULL, root, slice_str("file"), &how, &out), 0);
        struct fs_write write = { .data = slice_of(pattern, sizeof pattern) };
        struct fs_written written;
        assert_int_equal(fs_write(others[i], out.attr.node, &write, &written), 0);
    }
    (void)usleep(3 * DIRTY_AGE_MS * 1000);
    for (unsigned i = 0; i < MANY;
         i++) { /* a change wakes the committer, which looks at the time */
        struct fs_node root;
        struct fs_create how = { .type = FS_REGULAR };
        struct fs_created out;
        assert_int_equal(fs_root(others[i], &root), 0);
        assert_int_equal(fs_create(others[i], NULL, root, slice_str("second"), &how, &out), 0);
    }
    for (unsigned i = 0; i < MANY; i++)
        f->provider->close(f->provider->context, others[i]);
}

/* A small file system in memory of this process's own. False: not allowed here. */
static bool mount_small(const char *path)
{
    if (unshare(CLONE_NEWNS) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
        return false;
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        return false;
    return mount("tmpfs", path, "tmpfs", 0, "size=64m") == 0;
}

/* Writes files until there is no space; gives how many bytes were taken. */
static uint64_t fill(struct fixture *f, unsigned *out_files)
{
    uint64_t taken = 0;
    int err = 0;
    *out_files = 0;
    while (err == 0) {
        char name[32];
        struct fs_create how = { .type = FS_REGULAR };
        struct fs_created out;
        (void)snprintf(name, sizeof name, "file%u", *out_files);
        err = fs_create(f->fs, NULL, f->root, slice_str(name), &how, &out);
        if (err < 0)
            break;
        ++*out_files;
        for (unsigned i = 0; i < 16 && err == 0; i++) {
            struct fs_write write = { .offset = i * (uint64_t)PIECE,
                .data = slice_of(pattern, sizeof pattern) };
            struct fs_written written;
            err = fs_write(f->fs, out.attr.node, &write, &written);
            taken += err == 0 ? sizeof pattern : 0;
        }
        if (err == 0)
            err = fs_commit(f->fs, out.attr.node, 0, 0);
    }
    assert_int_equal(err, -ENOSPC);
    return taken;
}

static void empty(struct fixture *f, unsigned files)
{
    for (unsigned i = 0; i < files; i++) {
        char name[32];
        struct fs_change change;
        (void)snprintf(name, sizeof name, "file%u", i);
        assert_int_equal(fs_remove(f->fs, NULL, f->root, slice_str(name), &change), 0);
    }
}

/* In a process of its own, for the mount. 0: as it should be; 77: cannot be tried here. */
static int full_disk(void)
{
    char directory[] = "/tmp/shoal-full-XXXXXX";
    if (mkdtemp(directory) == NULL || !mount_small(directory))
        return 77;
    (void)setenv("SHOAL_TEST_DIR", directory, 1);
    struct fixture f;
    struct engine_options options = {
        .segment_blocks = 256, .write_buffer_bytes = 1 << 20, .reserve_bytes = 12 << 20
    };
    fixture_init(&f, &options);
    log_set_level(LOG_LEVEL_ERROR);
    unsigned files;
    uint64_t first = fill(&f, &files);
    if (first < (16u << 20))
        return 1;
    struct fs_read read;
    struct fs_attr attr;
    static uint8_t bytes[PIECE];
    assert_int_equal(fs_lookup(f.fs, NULL, f.root, slice_str("file0"), &attr), 0);
    assert_int_equal(fs_read(f.fs, attr.node, 0, bytes, sizeof bytes, &read), 0);
    assert_memory_equal(bytes, pattern, sizeof bytes);
    empty(&f, files);
    uint64_t second = 0;
    for (unsigned i = 0; i < 100 && second < first / 2; i++) { /* space comes back by and by */
        (void)usleep(100000);
        second = fill(&f, &files);
        empty(&f, files);
    }
    if (second < first / 2)
        return 2;
    fixture_fini(&f);
    return umount(directory) < 0 || rmdir(directory) < 0 ? 3 : 0;
}

static void a_full_disk_refuses_data_takes_deletions_and_recovers(void **state)
{
    (void)state;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(full_disk());
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77)
        skip();
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        /* First: it forks, and RocksDB's threads do not come along. */
        cmocka_unit_test(a_full_disk_refuses_data_takes_deletions_and_recovers),
        cmocka_unit_test_setup_teardown(a_flipped_byte_is_an_error_and_never_data, setup, teardown),
        cmocka_unit_test_setup_teardown(one_owner_at_a_time, setup, teardown),
        cmocka_unit_test_setup_teardown(
            newer_damaged_and_missing_ones_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(a_lost_segment_is_noticed_at_opening, setup, teardown),
        cmocka_unit_test_setup_teardown(an_interrupted_creation_is_begun_again, setup, teardown),
        cmocka_unit_test_setup_teardown(names_that_are_no_ids_open_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(
            many_file_systems_wait_for_the_disk_not_for_each_other, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
