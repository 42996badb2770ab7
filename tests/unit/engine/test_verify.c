/* Checking and scrubbing: what is wrong is found and told precisely, what is right is not, also while others write, and a
 * scrub goes on after a restart. */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "base/sys.h"
#include "engine/check.h"
#include "engine/inspect.h"
#include "engine/links.h"
#include "engine/scrub.h"
#include "engine/usage.h"
#include "engine/volume.h"
#include "fixture.h"

#include <cmocka.h>

#define PIECE    65536u
#define WAIT_MAX 3000u /* of 10 ms */

static const struct engine_options options = { .segment_blocks = 256, .small_file_bytes = 8192 };
static uint8_t pattern[PIECE];

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
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

/* Findings, one a line. */
struct findings_text {
    char text[65536];
    unsigned count;
};

static void note(void *context, const char *finding)
{
    struct findings_text *found = context;
    size_t size = strlen(found->text);
    (void)snprintf(found->text + size, sizeof found->text - size, "%s\n", finding);
    found->count++;
}

static struct fs_node make_dir(struct fixture *f, struct fs_node parent, const char *name)
{
    struct fs_create how = { .type = FS_DIRECTORY, .attr = { .set_mode = true, .mode = 0755 } };
    struct fs_created out;
    assert_int_equal(fs_create(f->fs, NULL, parent, slice_str(name), &how, &out), 0);
    return out.attr.node;
}

/* Some of everything: files large and small, links, attributes, a clone, a quota. */
static struct fs_node fill(struct fixture *f)
{
    struct fs_node dir = make_dir(f, f->root, "dir");
    struct fs_node large = fixture_file(f, "large");
    struct fs_node small = fixture_file(f, "small");
    struct fs_node copy = fixture_file(f, "copy");
    for (unsigned i = 0; i < 20; i++)
        fixture_write(f, large, i * (uint64_t)PIECE, pattern, PIECE, FS_UNSTABLE);
    assert_int_equal(fs_commit(f->fs, large, 0, 0), 0);
    fixture_write(f, small, 0, pattern, 5000, FS_FILE_SYNC);
    struct fs_change change;
    struct fs_attr attr;
    assert_int_equal(fs_link(f->fs, NULL, small, dir, slice_str("again"), &change), 0);
    const struct fs_setxattr set = { slice_str("a"), slice_str("value"), FS_XATTR_EITHER };
    assert_int_equal(fs_setxattr(f->fs, NULL, small, &set, &change), 0);
    struct fs_clone clone = { .source = large, .target = copy };
    assert_int_equal(fs_clone(f->fs, NULL, &clone, &attr), 0);
    const struct fs_quota_limits limits = { .hard_bytes = 1 << 30 };
    assert_int_equal(fs_quota_set(f->fs, dir, &limits), 0);
    return large;
}

static struct check_report check_directory(struct fixture *f, struct findings_text *found)
{
    struct inspection *inspection;
    struct check_report report = { 0 };
    const struct check_sink sink = { .context = found, .finding = note };
    memset(found, 0, sizeof *found);
    assert_int_equal(inspect_directory(f->engine, "fs-0123456789abcdef0", "/tmp", &inspection), 0);
    assert_int_equal(check_run(inspection, &sink, &report), 0);
    inspect_close(inspection);
    return report;
}

static struct findings_text found;

static void what_is_right_has_no_findings_and_stays_untouched(void **state)
{
    struct fixture *f = *state;
    char command[512];
    (void)fill(f);
    fixture_close(f);
    (void)snprintf(command, sizeof command, "cp -a %s %s.before", f->directory, f->directory);
    assert_int_equal(system(command), 0); // NOLINT(cert-env33-c): both paths are our own
    struct check_report report = check_directory(f, &found);
    assert_string_equal(found.text, "");
    assert_int_equal(report.inodes, 5);
    assert_int_equal(report.names, 5);
    assert_int_equal(report.segment_blocks, 20 * PIECE / 4096);
    assert_int_equal(report.small_blocks, 2);
    (void)snprintf(command, sizeof command, "diff -r %s %s.before", f->directory, f->directory);
    assert_int_equal(system(command), 0); // NOLINT(cert-env33-c): as above
    (void)snprintf(command, sizeof command, "%s.before", f->directory);
    assert_int_equal(sys_remove_tree(AT_FDCWD, command), 0);
}

static void a_directory_in_use_is_left_alone(void **state)
{
    struct fixture *f = *state;
    struct inspection *inspection;
    assert_int_equal(
        inspect_directory(f->engine, "fs-0123456789abcdef0", "/tmp", &inspection), -EBUSY);
    fixture_close(f);
    assert_int_equal(inspect_directory(f->engine, "fs-0123456789abcdef0", "/tmp", &inspection), 0);
    assert_int_equal(fixture_open(f), -EBUSY); /* and the other way round */
    inspect_close(inspection);
    assert_int_equal(fixture_open(f), 0);
}

/* Puts records, or (value NULL) deletes them, behind the engine's back. */
static void meddle(struct fixture *f, const struct key *key, const void *value, size_t size)
{
    struct store *store = volume_of(f->fs)->store;
    struct store_batch *batch;
    assert_int_equal(store_batch_new(store, &batch), 0);
    if (value == NULL)
        store_batch_delete(batch, key);
    else
        store_batch_put(batch, key, slice_of(value, size));
    assert_int_equal(store_apply(store, batch), 0);
    store_batch_free(batch);
}

static void expect_finding(struct fixture *f, const char *wanted)
{
    struct inspection *inspection;
    struct check_report report;
    const struct check_sink sink = { .context = &found, .finding = note };
    memset(&found, 0, sizeof found);
    assert_int_equal(inspect_live(volume_of(f->fs), &inspection), 0);
    assert_int_equal(check_run(inspection, &sink, &report), 0);
    inspect_close(inspection);
    if (strstr(found.text, wanted) == NULL)
        fail_msg("not found: %s in:\n%s", wanted, found.text);
    assert_int_equal(report.wrong_count, found.count);
}

/* Each kind of record is taken away, changed or added, told, and put back. */
static void each_kind_of_wrong_record_is_told(void **state)
{
    static const uint8_t absurd[4096] = { 1 };
    static const char *const deleted[] = { "i", "what=name dir=2 inode=", "d",
        "what=links inode=", "x", "what=blocks inode=", "s", "what=blocks inode=", "r",
        "what=shared seen=", "g", "what=mapped-block-not-live", "a", "what=xattrs inode=", "u",
        "what=usage dir=", "l", "what=links-record inode=" };
    struct fixture *f = *state;
    (void)fill(f);
    fixture_reopen(f); /* f records are folded */
    struct store *store = volume_of(f->fs)->store;
    expect_finding(f, "");
    assert_int_equal(found.count, 0);
    for (size_t i = 0; i < ARRAY_SIZE(deleted); i += 2) {
        struct key from;
        struct key end;
        struct key key = { 0 };
        struct store_iterator *iterator;
        struct slice name;
        struct slice value;
        uint8_t saved[8192];
        key_make0(&from, (enum key_kind)deleted[i][0]);
        key_make0(&end, (enum key_kind)(deleted[i][0] + 1));
        if (deleted[i][0] == 'i') /* not the root */
            key_make1(&from, KEY_INODE, INODE_FIRST);
        assert_int_equal(store_scan(store, &from, &end, &iterator), 0);
        assert_int_equal(store_scan_next(iterator, &name, &value), 1);
        memcpy(key.bytes, name.data, name.size);
        key.size = name.size;
        assert_true(value.size <= sizeof saved);
        memcpy(saved, value.data, value.size);
        size_t size = value.size;
        store_scan_end(iterator);
        meddle(f, &key, NULL, 0);
        expect_finding(f, deleted[i + 1]);
        meddle(f, &key, saved, size);
        expect_finding(f, "");
        assert_int_equal(found.count, 0);
    }
    struct key key;
    key_make1(&key, KEY_QUOTA, 999);
    meddle(f, &key, absurd, 61);
    expect_finding(f, "what=quota-of-nobody dir=999");
    meddle(f, &key, NULL, 0);
    key_make1(&key, KEY_CUT, 999);
    meddle(f, &key, absurd, 25);
    expect_finding(f, "what=cut-of-nobody");
    meddle(f, &key, NULL, 0);
    key_make1(&key, KEY_SEGMENT, 1); /* all blocks are live */
    uint8_t live[33];
    memset(live, 0xff, sizeof live);
    live[0] = 1;
    struct store_value stored;
    assert_int_equal(store_get(store, &key, &stored), 0);
    uint8_t saved[33];
    memcpy(saved, stored.data.data, sizeof saved);
    store_value_release(&stored);
    meddle(f, &key, live, sizeof live);
    expect_finding(f, "what=live-block-not-mapped address=256 blocks=1");
    meddle(f, &key, saved, sizeof saved);
    expect_finding(f, "");
    assert_int_equal(found.count, 0);
}

static void a_missing_segment_is_told(void **state)
{
    struct fixture *f = *state;
    char path[256];
    (void)fill(f);
    (void)snprintf(
        path, sizeof path, "%s/fs-0123456789abcdef0/data/0000000000000001.seg", f->directory);
    assert_int_equal(truncate(path, 8192), 0);
    expect_finding(f, "what=segment-file segment=1 live_blocks=");
    assert_int_equal(unlink(path), 0);
    expect_finding(f, "what=segment-file segment=1 live_blocks=");
    log_set_level(LOG_LEVEL_ERROR);
}

static struct fs_verify await(struct fixture *f, enum fs_verify_kind kind)
{
    struct fs_verify status;
    const struct fs_verify_get get = { .out = &status, .emit = note, .context = &found };
    unsigned waited = 0;
    do {
        memset(&found, 0, sizeof found);
        assert_int_equal(fs_verify_get(f->fs, kind, &get), 0);
        (void)usleep(10000);
        assert_true(++waited < WAIT_MAX);
    } while (status.state == FS_VERIFY_RUNNING);
    return status;
}

static void changes_meanwhile_are_no_findings(void **state)
{
    struct fixture *f = *state;
    struct fs_node large = fill(f);
    struct fs_verify status;
    const struct fs_verify_get get = { .out = &status };
    for (unsigned round = 0; round < 6; round++) {
        assert_int_equal(fs_verify_start(f->fs, FS_VERIFY_RECORDS), 0);
        assert_int_equal(fs_verify_start(f->fs, FS_VERIFY_DATA), 0);
        unsigned running = 2;
        for (unsigned i = 0; i < 40 || running > 0; i++) {
            char name[32];
            struct fs_change change;
            (void)snprintf(name, sizeof name, "file%u-%u", round, i);
            struct fs_node file = fixture_file(f, name);
            fixture_write(f, file, 0, pattern, PIECE, FS_UNSTABLE);
            fixture_write(f, large, i % 20 * (uint64_t)PIECE, pattern + i, 5000, FS_FILE_SYNC);
            if (i % 3 == 0)
                assert_int_equal(fs_remove(f->fs, NULL, f->root, slice_str(name), &change), 0);
            running = 0;
            for (unsigned kind = 0; kind < FS_VERIFY_KINDS; kind++) {
                assert_int_equal(fs_verify_get(f->fs, (enum fs_verify_kind)kind, &get), 0);
                running += status.state == FS_VERIFY_RUNNING;
            }
            assert_true(i < 5000);
        }
        for (unsigned kind = 0; kind < FS_VERIFY_KINDS; kind++) {
            status = await(f, (enum fs_verify_kind)kind);
            assert_string_equal(found.text, "");
            assert_int_equal(status.state, FS_VERIFY_DONE);
            assert_int_equal(status.wrong_count, 0);
        }
    }
    assert_true(status.done_bytes > 20 * PIECE);
}

/* Changes a byte in the middle of the only segment. */
static void flip(struct fixture *f, uint64_t offset)
{
    char path[256];
    uint8_t byte;
    (void)snprintf(
        path, sizeof path, "%s/fs-0123456789abcdef0/data/0000000000000001.seg", f->directory);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &byte, 1, (off_t)offset), 1);
    byte ^= 4;
    assert_int_equal(pwrite(fd, &byte, 1, (off_t)offset), 1);
    (void)close(fd);
}

static void damage_is_told_with_path_and_offset(void **state)
{
    struct fixture *f = *state;
    struct fs_node dir = make_dir(f, make_dir(f, f->root, "outer"), "inner");
    struct fs_create how = { .type = FS_REGULAR };
    struct fs_created out;
    char wanted[128];
    assert_int_equal(fs_create(f->fs, NULL, dir, slice_str("file"), &how, &out), 0);
    fixture_write(f, out.attr.node, 0, pattern, PIECE, FS_UNSTABLE);
    assert_int_equal(fs_commit(f->fs, out.attr.node, 0, 0), 0);
    flip(f, 4096 * 6 + 17); /* block 0 is the header */
    log_set_level(LOG_LEVEL_ERROR);
    assert_int_equal(fs_verify_start(f->fs, FS_VERIFY_DATA), 0);
    struct fs_verify status = await(f, FS_VERIFY_DATA);
    assert_int_equal(status.state, FS_VERIFY_DONE);
    assert_int_equal(status.wrong_count, 1);
    (void)snprintf(wanted, sizeof wanted,
        "what=damaged-data inode=%llu offset=20480 bytes=4096 segment=1 block=6 "
        "path=/outer/inner/file\n",
        (unsigned long long)out.attr.node.inode);
    assert_string_equal(found.text, wanted);
    fixture_reopen(f); /* the result is still known */
    status = await(f, FS_VERIFY_DATA);
    assert_int_equal(status.state, FS_VERIFY_DONE);
    assert_int_equal(status.wrong_count, 1);
    assert_string_equal(found.text, wanted);
    flip(f, 4096 * 6 + 17);
    assert_int_equal(fs_verify_start(f->fs, FS_VERIFY_DATA), 0);
    assert_int_equal(await(f, FS_VERIFY_DATA).wrong_count, 0);
    assert_string_equal(found.text, "");
}

static void a_scrub_goes_on_after_a_restart_and_stops_when_told(void **state)
{
    struct fixture *f = *state;
    struct engine_options slow = options;
    slow.scrub_bytes_per_s = 6 << 20;
    char directory[64];
    (void)fill(f);
    for (unsigned i = 0; i < 20; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "more%u", i);
        struct fs_node file = fixture_file(f, name);
        for (unsigned k = 0; k < 16; k++)
            fixture_write(f, file, k * (uint64_t)PIECE, pattern, PIECE, FS_UNSTABLE);
    }
    memcpy(directory, f->directory, sizeof directory);
    fixture_detach(f);
    fixture_attach(f, &slow, directory);
    assert_int_equal(fixture_open(f), 0);
    assert_int_equal(fs_verify_start(f->fs, FS_VERIFY_DATA), 0);
    assert_int_equal(fs_verify_start(f->fs, FS_VERIFY_DATA), -EALREADY);
    struct fs_verify status;
    const struct fs_verify_get get = { .out = &status };
    unsigned waited = 0;
    do {
        assert_int_equal(fs_verify_get(f->fs, FS_VERIFY_DATA, &get), 0);
        (void)usleep(10000);
        assert_true(++waited < WAIT_MAX);
    } while (status.done_bytes == 0);
    assert_int_equal(status.state, FS_VERIFY_RUNNING);
    uint64_t before = status.done_bytes;
    fixture_reopen(f);
    assert_int_equal(fs_verify_get(f->fs, FS_VERIFY_DATA, &get), 0);
    assert_int_equal(status.state, FS_VERIFY_RUNNING);
    assert_true(status.done_bytes >= before); /* it did not begin again */
    status = await(f, FS_VERIFY_DATA);
    assert_int_equal(status.state, FS_VERIFY_DONE);
    assert_true(status.done_bytes > 20u << 20);
    assert_true(status.done_bytes < 30u << 20); /* nor read it twice */
    assert_int_equal(fs_verify_start(f->fs, FS_VERIFY_DATA), 0);
    assert_int_equal(fs_verify_stop(f->fs, FS_VERIFY_DATA), 0);
    assert_int_equal(await(f, FS_VERIFY_DATA).state, FS_VERIFY_STOPPED);
    fixture_reopen(f); /* and stays so */
    assert_int_equal(await(f, FS_VERIFY_DATA).state, FS_VERIFY_STOPPED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            what_is_right_has_no_findings_and_stays_untouched, setup, teardown),
        cmocka_unit_test_setup_teardown(a_directory_in_use_is_left_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(each_kind_of_wrong_record_is_told, setup, teardown),
        cmocka_unit_test_setup_teardown(a_missing_segment_is_told, setup, teardown),
        cmocka_unit_test_setup_teardown(changes_meanwhile_are_no_findings, setup, teardown),
        cmocka_unit_test_setup_teardown(damage_is_told_with_path_and_offset, setup, teardown),
        cmocka_unit_test_setup_teardown(
            a_scrub_goes_on_after_a_restart_and_stops_when_told, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
