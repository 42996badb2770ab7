/* Images of the first format; cuts and deallocations of many blocks, which go in steps; emptied files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/sys.h"
#include "engine/check.h"
#include "engine/volume.h"
#include "fixture.h"

#include <cmocka.h>

#define MIB_BYTES (UINT64_C(1) << 20)

static void check_records(struct fixture *f)
{
    uint64_t wrong;
    assert_int_equal(volume_check(volume_of(f->fs), &wrong), 0);
    assert_int_equal(wrong, 0);
}

static void fill(uint8_t *bytes, size_t size, unsigned seed)
{
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)(seed + i * 7 + i / 4096);
}

static struct fs_node look(struct fixture *f, struct fs_node dir, const char *name)
{
    struct fs_attr attr;
    assert_int_equal(fs_lookup(f->fs, NULL, dir, slice_str(name), &attr), 0);
    return attr.node;
}

/* The file holds what fill() makes of `seed` from `offset` on. */
static void expect(
    struct fixture *f, struct fs_node node, uint64_t offset, size_t size, unsigned seed)
{
    uint8_t *wanted = malloc(2 * size);
    assert_non_null(wanted);
    struct fs_read read;
    fill(wanted, size, seed);
    assert_int_equal(fs_read(f->fs, node, offset, wanted + size, size, &read), 0);
    assert_int_equal(read.size, size);
    assert_memory_equal(wanted, wanted + size, size);
    free(wanted);
}

static void write_pattern(
    struct fixture *f, struct fs_node node, uint64_t offset, size_t size, unsigned seed)
{
    uint8_t *bytes = malloc(size);
    assert_non_null(bytes);
    fill(bytes, size, seed);
    fixture_write(f, node, offset, bytes, size, FS_UNSTABLE);
    free(bytes);
}

/* It was made by a program that knew format 1 only, and killed: part of it is in the log. */
static void an_image_of_the_first_format_opens(void **state)
{
    (void)state;
    char directory[] = "/tmp/shoal-image-XXXXXX";
    char command[512];
    assert_non_null(mkdtemp(directory));
    (void)snprintf(command, sizeof command,
        "tar -xzf '%s' -C '%s' && mv '%s/fs-image' '%s/fs-0123456789abcdef0'", IMAGE_1, directory,
        directory, directory);
    // NOLINTNEXTLINE(cert-env33-c,concurrency-mt-unsafe): our own words only; one thread
    assert_int_equal(system(command), 0);
    struct fixture f;
    fixture_attach(&f, NULL, directory);
    assert_int_equal(fixture_open(&f), 0);
    check_records(&f);
    struct fs_node docs = look(&f, f.root, "docs");
    expect(&f, look(&f, docs, "readme"), 0, 1000, 1);
    assert_true(fs_node_equal(look(&f, f.root, "hard"), look(&f, docs, "readme")));
    struct fs_node big = look(&f, docs, "big");
    expect(&f, big, 0, 12288, 2);
    expect(&f, big, 12288 + 10, 100, 5);
    expect(&f, look(&f, f.root, "sparse"), 5000000, 3000, 4);
    struct fs_attr attr;
    assert_int_equal(fs_lookup(f.fs, NULL, f.root, slice_str("gone"), &attr), -ENOENT);
    /* What is new works in it, and stays. */
    const struct fs_setxattr set = { slice_str("colour"), slice_str("blue"), FS_XATTR_EITHER };
    struct fs_change change;
    const struct fs_clone clone = { .source = big, .target = fixture_file(&f, "clone") };
    assert_int_equal(fs_setxattr(f.fs, NULL, docs, &set, &change), 0);
    assert_int_equal(fs_clone(f.fs, NULL, &clone, &attr), 0);
    fixture_reopen(&f);
    check_records(&f);
    expect(&f, clone.target, 0, 12288, 2);
    struct fs_buffer buffer = { 0 };
    assert_int_equal(fs_getxattr(f.fs, NULL, docs, slice_str("colour"), &buffer), 0);
    assert_int_equal(buffer.out_size, 4);
    fixture_detach(&f);
    assert_int_equal(sys_remove_tree(AT_FDCWD, directory), 0);
}

/* The map of a file that is emptied goes; its number is that of the inode, which must not go with it. */
static void an_emptied_file_is_still_there(void **state)
{
    (void)state;
    const struct engine_options options = { .segment_blocks = 256, .step_blocks = 64 };
    struct fixture f;
    fixture_init(&f, &options);
    struct fs_node node = fixture_file(&f, "f");
    write_pattern(&f, node, 0, MIB_BYTES, 1);
    assert_int_equal(fs_commit(f.fs, node, 0, 0), 0);
    const struct fs_setattr empty = { .set_size = true };
    struct fs_attr attr;
    assert_int_equal(fs_setattr(f.fs, NULL, node, &empty, &attr), 0);
    check_records(&f); /* with the reaper through */
    fixture_reopen(&f);
    assert_int_equal(fs_getattr(f.fs, node, &attr), 0);
    assert_int_equal(attr.size_bytes, 0);
    check_records(&f);
    fixture_fini(&f);
}

static void what_is_still_held_does_not_hinder_closing(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f, NULL);
    struct fs_node node = fixture_file(&f, "f");
    struct fs_change change;
    struct fs_attr attr;
    write_pattern(&f, node, 0, MIB_BYTES, 1);
    assert_int_equal(fs_hold(f.fs, node), 0);
    assert_int_equal(fs_hold(f.fs, node), 0);
    assert_int_equal(fs_remove(f.fs, NULL, f.root, slice_str("f"), &change), 0);
    fixture_reopen(&f);
    assert_int_equal(fs_getattr(f.fs, node, &attr), -ESTALE);
    check_records(&f);
    fixture_fini(&f);
}

static void many_blocks_go_in_steps(void **state)
{
    (void)state;
    const struct engine_options options = { .segment_blocks = 256, .step_blocks = 64 };
    struct fixture f;
    fixture_init(&f, &options);
    struct fs_attr attr;
    for (unsigned round = 0; round < 4; round++) {
        char name[16];
        (void)snprintf(name, sizeof name, "f%u", round);
        struct fs_node node = fixture_file(&f, name);
        for (unsigned i = 0; i < 6; i++)
            write_pattern(&f, node, i * MIB_BYTES, MIB_BYTES, i);
        uint64_t end = MIB_BYTES / 2 + 1000;
        if (round % 2 == 0) { /* a cut, and growing again over what was there */
            const struct fs_setattr cut = { .set_size = true, .size_bytes = end };
            const struct fs_setattr grow = { .set_size = true, .size_bytes = 6 * MIB_BYTES };
            assert_int_equal(fs_setattr(f.fs, NULL, node, &cut, &attr), 0);
            assert_int_equal(attr.size_bytes, end);
            assert_int_equal(fs_setattr(f.fs, NULL, node, &grow, &attr), 0);
        } else {
            assert_int_equal(
                fs_deallocate(f.fs, NULL, node, end, 6 * MIB_BYTES - end - 1000, &attr), 0);
            assert_int_equal(attr.size_bytes, 6 * MIB_BYTES);
        }
        if (round >= 2) /* closing does not wait for the steps */
            fixture_reopen(&f);
        expect(&f, node, 0, (size_t)end, 0);
        uint64_t found = 0;
        uint64_t hole = round_up(end, 4096);
        assert_int_equal(fs_seek(f.fs, node, hole, FS_SEEK_HOLE, &found), 0);
        assert_int_equal(found, hole);
        int err = fs_seek(f.fs, node, hole, FS_SEEK_DATA, &found);
        assert_int_equal(err, round % 2 == 0 ? -ENXIO : 0);
        if (err == 0)
            assert_int_equal(found, 6 * MIB_BYTES - 4096);
        write_pattern(&f, node, 3 * MIB_BYTES, 8192, 9); /* once the reaper is through */
        expect(&f, node, 3 * MIB_BYTES, 8192, 9);
        assert_int_equal(fs_commit(f.fs, node, 0, 0), 0);
        check_records(&f);
        assert_int_equal(fs_getattr(f.fs, node, &attr), 0);
        assert_true(attr.space_used_bytes < MIB_BYTES);
    }
    fixture_fini(&f);
}

static void a_large_clone_is_a_map_of_its_own(void **state)
{
    (void)state;
    const struct engine_options options = { .segment_blocks = 256, .step_blocks = 64 };
    struct fixture f;
    fixture_init(&f, &options);
    struct fs_node source = fixture_file(&f, "source");
    struct fs_node target = fixture_file(&f, "target");
    struct fs_attr attr;
    struct fs_change change;
    for (unsigned i = 0; i < 3; i++)
        write_pattern(&f, source, i * MIB_BYTES, MIB_BYTES, i);
    write_pattern(&f, target, 0, 4 * 4096, 9);
    const struct fs_clone clone = { source, MIB_BYTES, target, 4 * 4096, 0 };
    assert_int_equal(fs_clone(f.fs, NULL, &clone, &attr), 0);
    assert_int_equal(attr.size_bytes, 2 * MIB_BYTES + 4 * 4096);
    check_records(&f);
    assert_int_equal(fs_remove(f.fs, NULL, f.root, slice_str("source"), &change), 0);
    check_records(&f);
    fixture_reopen(&f);
    expect(&f, target, 0, 4 * 4096, 9);
    expect(&f, target, 4 * 4096, MIB_BYTES, 1);
    expect(&f, target, MIB_BYTES + 4 * 4096, MIB_BYTES, 2);
    check_records(&f);
    fixture_fini(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_image_of_the_first_format_opens),
        cmocka_unit_test(an_emptied_file_is_still_there),
        cmocka_unit_test(what_is_still_held_does_not_hinder_closing),
        cmocka_unit_test(many_blocks_go_in_steps),
        cmocka_unit_test(a_large_clone_is_a_map_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
