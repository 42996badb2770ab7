/*
 * A file system that this release made opens in every later one, whole: image-5.tar.gz, of a process that was killed, so part of it is
 * in the journal.
 *
 * SHOAL_MAKE_IMAGE=1 makes such a file system and says where; then
 *   tar -C DIRECTORY --sort=name --mtime=@0 --owner=0 --group=0 -cSf - fs-0123456789abcdef0 | gzip -9n > image-N.tar.gz
 */
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

#define LARGE_BYTES (64u * 4096)

static const struct engine_options options = {
    .segment_blocks = 256, .journal_file_bytes = 64 << 10, .step_blocks = 64
};

static void fill(uint8_t *bytes, size_t size, unsigned seed)
{
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)(seed + i / 4096); /* so that the image is small */
}

static struct fs_node make(
    struct fixture *f, struct fs_node dir, const char *name, const struct fs_create *how)
{
    struct fs_created out;
    assert_int_equal(fs_create(f->fs, NULL, dir, slice_str(name), how, &out), 0);
    return out.attr.node;
}

static void write_file(struct fixture *f, struct fs_node node, size_t size, unsigned seed)
{
    uint8_t *bytes = malloc(size);
    assert_non_null(bytes);
    fill(bytes, size, seed);
    fixture_write(f, node, 0, bytes, size, FS_UNSTABLE);
    assert_int_equal(fs_commit(f->fs, node, 0, 0), 0);
    free(bytes);
}

/* Never returns: it ends as a killed process does. */
static void make_image(void)
{
    const struct fs_create dir = { .type = FS_DIRECTORY,
        .attr = { .set_mode = true, .mode = 0750 } };
    const struct fs_create file = { .type = FS_REGULAR,
        .attr = { .set_mode = true, .mode = 0640 } };
    const struct fs_create link = { .type = FS_SYMLINK, .symlink = slice_str("docs/large") };
    const struct fs_setxattr xattr = { slice_str("colour"), slice_str("blue"), FS_XATTR_EITHER };
    const struct fs_quota_limits limits = {
        .hard_bytes = 1 << 30, .soft_entries = 1000, .grace_s = 60
    };
    struct fixture f;
    struct fs_change change;
    struct fs_attr attr;
    fixture_init(&f, &options);
    struct fs_node docs = make(&f, f.root, "docs", &dir);
    struct fs_node large = make(&f, docs, "large", &file);
    write_file(&f, large, LARGE_BYTES, 1);
    write_file(&f, make(&f, docs, "small", &file), 3000, 2);
    fixture_reopen(&f); /* what is above stands in tables */
    const struct fs_clone clone = { .source = large, .target = make(&f, f.root, "clone", &file) };
    assert_int_equal(fs_clone(f.fs, NULL, &clone, &attr), 0);
    assert_int_equal(fs_deallocate(f.fs, NULL, clone.target, 4096, 8192, &attr), 0);
    assert_int_equal(fs_link(f.fs, NULL, large, f.root, slice_str("hard"), &change), 0);
    (void)make(&f, f.root, "link", &link);
    assert_int_equal(fs_setxattr(f.fs, NULL, docs, &xattr, &change), 0);
    assert_int_equal(fs_quota_set(f.fs, docs, &limits), 0);
    (void)make(&f, f.root, "gone", &file);
    assert_int_equal(fs_remove(f.fs, NULL, f.root, slice_str("gone"), &change), 0);
    print_message("%s\n", f.directory);
    _exit(0);
}

static struct fs_attr look(struct fixture *f, struct fs_node dir, const char *name)
{
    struct fs_attr attr;
    assert_int_equal(fs_lookup(f->fs, NULL, dir, slice_str(name), &attr), 0);
    return attr;
}

static void expect(
    struct fixture *f, struct fs_node node, uint64_t offset, size_t size, unsigned seed)
{
    uint8_t *wanted = malloc(2 * size);
    struct fs_read read;
    assert_non_null(wanted);
    fill(wanted, size, seed);
    assert_int_equal(fs_read(f->fs, node, offset, wanted + size, size, &read), 0);
    assert_int_equal(read.size, size);
    assert_memory_equal(wanted, wanted + size, size);
    free(wanted);
}

static void check_records(struct fixture *f)
{
    uint64_t wrong;
    assert_int_equal(volume_check(volume_of(f->fs), &wrong), 0);
    assert_int_equal(wrong, 0);
}

static void check_image(struct fixture *f)
{
    struct fs_node docs = look(f, f->root, "docs").node;
    struct fs_attr large = look(f, docs, "large");
    struct fs_node copy = look(f, f->root, "clone").node;
    struct fs_quota quota;
    struct fs_attr attr;
    uint8_t text[64];
    size_t size = 0;
    assert_int_equal(look(f, f->root, "docs").mode, 0750);
    assert_int_equal(large.size_bytes, LARGE_BYTES);
    assert_int_equal(large.link_count, 2);
    assert_true(fs_node_equal(look(f, f->root, "hard").node, large.node));
    expect(f, large.node, 0, LARGE_BYTES, 1);
    expect(f, look(f, docs, "small").node, 0, 3000, 2);
    expect(f, copy, 0, 4096, 1);
    expect(f, copy, 3 * 4096, LARGE_BYTES - 3 * 4096, 4);
    uint64_t hole = 0;
    assert_int_equal(fs_seek(f->fs, copy, 0, FS_SEEK_HOLE, &hole), 0);
    assert_int_equal(hole, 4096);
    assert_int_equal(
        fs_readlink(f->fs, look(f, f->root, "link").node, text, sizeof text, &size), 0);
    assert_memory_equal(text, "docs/large", size);
    struct fs_buffer buffer = { .bytes = text, .capacity = sizeof text };
    assert_int_equal(fs_getxattr(f->fs, NULL, docs, slice_str("colour"), &buffer), 0);
    assert_memory_equal(text, "blue", buffer.out_size);
    assert_int_equal(fs_quota_get(f->fs, docs, &quota), 0);
    assert_int_equal(quota.limits.hard_bytes, 1 << 30);
    assert_int_equal(quota.limits.soft_entries, 1000);
    assert_int_equal(quota.used_entries, 2);
    assert_int_equal(fs_lookup(f->fs, NULL, f->root, slice_str("gone"), &attr), -ENOENT);
    check_records(f);
}

static void an_image_of_format_5_opens_whole(void **state)
{
    (void)state;
    char directory[] = "/tmp/shoal-image-XXXXXX";
    char command[512];
    struct fixture f;
    assert_non_null(mkdtemp(directory));
    (void)snprintf(command, sizeof command, "tar -xzf '%s' -C '%s'", IMAGE_5, directory);
    // NOLINTNEXTLINE(cert-env33-c,concurrency-mt-unsafe): our own words only; one thread
    assert_int_equal(system(command), 0);
    fixture_attach(&f, &options, directory);
    assert_int_equal(fixture_open(&f), 0);
    check_image(&f);
    fixture_reopen(&f); /* as this release writes it */
    check_image(&f);
    fixture_detach(&f);
    assert_int_equal(sys_remove_tree(AT_FDCWD, directory), 0);
}

int main(void)
{
    if (getenv("SHOAL_MAKE_IMAGE") != NULL)
        make_image();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_image_of_format_5_opens_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
