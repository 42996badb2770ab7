/* The end of a RocksDB's MANIFEST as a power cut may leave it. */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/sys.h"
#include "engine/manifest.h"
#include "fixture.h"

#include <cmocka.h>

#define TORN_BYTES 700u

static const char text[] = "acknowledged";

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    fixture_init(f, NULL);
    struct fs_node file = fixture_file(f, "file");
    fixture_write(f, file, 0, text, sizeof text, FS_FILE_SYNC);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture_fini(*state);
    free(*state);
    return 0;
}

static void database_of(const struct fixture *f, char path[256])
{
    (void)snprintf(path, 256, "%s/fs-0123456789abcdef0/meta", f->directory);
}

/* The MANIFEST, for reading and writing. */
static int open_manifest(const struct fixture *f)
{
    char path[256];
    char *name = NULL;
    database_of(f, path);
    int dir_fd = sys_openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0);
    assert_true(dir_fd >= 0);
    assert_int_equal(sys_read_file(dir_fd, "CURRENT", 64, &name), 0);
    name[strcspn(name, "\n")] = '\0';
    int fd = sys_openat(dir_fd, name, O_RDWR, 0);
    assert_true(fd >= 0);
    free(name);
    (void)close(dir_fd);
    return fd;
}

static off_t size_of(const struct fixture *f)
{
    int fd = open_manifest(f);
    off_t size = lseek(fd, 0, SEEK_END);
    (void)close(fd);
    return size;
}

/* A record of TORN_BYTES of which the first `kept` bytes are on the disk, the others zeros. */
static void append_torn(const struct fixture *f, size_t kept)
{
    static const uint8_t header[] = { 1, 2, 3, 4, TORN_BYTES % 256, TORN_BYTES / 256, 1 };
    uint8_t record[7 + TORN_BYTES] = { 0 };
    memset(record, 0x5a, kept);
    memcpy(record, header, kept < sizeof header ? kept : sizeof header);
    int fd = open_manifest(f);
    off_t size = lseek(fd, 0, SEEK_END);
    assert_int_equal(sys_pwrite_all(fd, record, sizeof record, (uint64_t)size), 0);
    (void)close(fd);
}

static void assert_file_is_there(struct fixture *f)
{
    uint8_t bytes[sizeof text];
    struct fs_attr attr;
    struct fs_read got;
    assert_int_equal(fs_lookup(f->fs, NULL, f->root, slice_str("file"), &attr), 0);
    assert_int_equal(fs_read(f->fs, attr.node, 0, bytes, sizeof bytes, &got), 0);
    assert_int_equal(got.size, sizeof text);
    assert_memory_equal(bytes, text, sizeof text);
}

static void torn_records_at_the_end_are_cut_off(void **state)
{
    static const size_t kept[] = { 0, 3, 7, 200, 7 + TORN_BYTES };
    struct fixture *f = *state;
    for (size_t i = 0; i < ARRAY_SIZE(kept); i++) {
        fixture_close(f);
        append_torn(f, kept[i]);
        assert_int_equal(fixture_open(f), 0);
        assert_file_is_there(f);
    }
}

static void a_whole_manifest_stays_as_it_is(void **state)
{
    struct fixture *f = *state;
    char path[256];
    uint64_t cut_bytes = 1;
    fixture_close(f);
    database_of(f, path);
    off_t before = size_of(f);
    assert_int_equal(manifest_cut_torn(path, &cut_bytes), 0);
    assert_int_equal(cut_bytes, 0);
    assert_int_equal(size_of(f), before);
}

static void damage_before_the_end_is_damage(void **state)
{
    struct fixture *f = *state;
    char path[256];
    uint64_t cut_bytes = 1;
    uint8_t byte;
    fixture_close(f);
    database_of(f, path);
    off_t before = size_of(f);
    int fd = open_manifest(f);
    assert_int_equal(sys_pread_all(fd, &byte, 1, 20), 0);
    byte ^= 0x10;
    assert_int_equal(sys_pwrite_all(fd, &byte, 1, 20), 0);
    (void)close(fd);
    assert_int_equal(manifest_cut_torn(path, &cut_bytes), -EBADMSG);
    assert_int_equal(cut_bytes, 0);
    assert_int_equal(fixture_open(f), -EBADMSG);
    assert_int_equal(size_of(f), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(torn_records_at_the_end_are_cut_off, setup, teardown),
        cmocka_unit_test_setup_teardown(a_whole_manifest_stays_as_it_is, setup, teardown),
        cmocka_unit_test_setup_teardown(damage_before_the_end_is_damage, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
