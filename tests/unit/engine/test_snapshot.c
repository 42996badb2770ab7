/* Snapshots: what they show stays as it was, whatever happens to the live tree, to other snapshots and to the process;
 * nothing in them can be changed; and what only they had comes back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <xxhash.h>

#include "crash_model.h"
#include "engine/check.h"
#include "engine/reclaim.h"
#include "engine/volume.h"
#include "fixture.h"

#include <cmocka.h>

#define KEPT_MAX 6u

static const struct engine_options options = {
    .segment_blocks = 256, .small_file_bytes = 12000, .step_blocks = 40, .dirty_age_ms = 20
};
static struct fixture f;

static int setup(void **state)
{
    (void)state;
    fixture_init(&f, &options);
    return 0;
}

static void check(void)
{
    uint64_t wrong = 1;
    assert_int_equal(background_write_back(volume_of(f.fs)), 0);
    assert_int_equal(volume_check(volume_of(f.fs), &wrong), 0);
    assert_int_equal(wrong, 0);
}

static int teardown(void **state)
{
    (void)state;
    check();
    fixture_fini(&f);
    return 0;
}

/* ---- everything below a directory as one number ----------------------------------------------------------- */

struct digest {
    XXH3_state_t *hash;
    struct fs_node nodes[4096]; /* to be looked at */
    uint32_t count;
    bool counts_links; /* of hard links that lie elsewhere, the numbers are the same */
};

static void add(struct digest *digest, const void *bytes, size_t size)
{
    (void)XXH3_64bits_update(digest->hash, bytes, size);
}

static void add_number(struct digest *digest, uint64_t number)
{
    add(digest, &number, sizeof number);
}

static bool add_name(void *context, const struct fs_dirent *entry)
{
    struct digest *digest = context;
    assert_int_equal(entry->attr_error, 0);
    add(digest, entry->name.data, entry->name.size);
    add_number(digest, entry->cookie);
    assert_true(digest->count < ARRAY_SIZE(digest->nodes));
    digest->nodes[digest->count++] = entry->attr.node;
    return true;
}

struct xattrs {
    struct digest *digest;
    char names[8][256];
    uint32_t count;
};

static bool note_xattr(void *context, struct slice name, uint64_t cookie)
{
    struct xattrs *xattrs = context;
    (void)cookie;
    assert_true(xattrs->count < ARRAY_SIZE(xattrs->names));
    (void)snprintf(xattrs->names[xattrs->count++], 256, "%.*s", (int)name.size, name.data);
    return true;
}

static void add_xattrs(struct digest *digest, struct fs_node node)
{
    static uint8_t bytes[FS_XATTR_VALUE_SIZE_MAX];
    struct xattrs xattrs = { .digest = digest };
    assert_int_equal(fs_listxattr(f.fs, NULL, node, 0, note_xattr, &xattrs), 1);
    for (uint32_t i = 0; i < xattrs.count; i++) {
        struct fs_buffer buffer = { .bytes = bytes, .capacity = sizeof bytes };
        assert_int_equal(fs_getxattr(f.fs, NULL, node, slice_str(xattrs.names[i]), &buffer), 0);
        add(digest, xattrs.names[i], strlen(xattrs.names[i]));
        add(digest, bytes, buffer.out_size);
    }
}

static void add_data(struct digest *digest, const struct fs_attr *attr)
{
    static uint8_t bytes[FS_IO_SIZE_MAX];
    uint64_t offset = 0;
    struct fs_read got = { 0 };
    while (!got.at_end) {
        assert_int_equal(fs_read(f.fs, attr->node, offset, bytes, 300000, &got), 0);
        add(digest, bytes, got.size);
        offset += got.size;
    }
    assert_int_equal(offset, attr->size_bytes);
    for (uint64_t at = 0; at < attr->size_bytes; at++) { /* where its data is */
        if (fs_seek(f.fs, attr->node, at, FS_SEEK_DATA, &at) == -ENXIO)
            break;
        add_number(digest, at);
        assert_int_equal(fs_seek(f.fs, attr->node, at, FS_SEEK_HOLE, &at), 0);
        add_number(digest, at);
    }
}

static void add_node(struct digest *digest, struct fs_node node)
{
    struct fs_attr attr = { 0 };
    uint8_t target[FS_SYMLINK_SIZE_MAX];
    size_t size;
    assert_int_equal(fs_getattr(f.fs, node, &attr), 0);
    assert_true(fs_node_equal(attr.node, node));
    add_number(digest, attr.type);
    add_number(digest, attr.mode);
    add_number(digest, attr.uid);
    add_number(digest, attr.link_count);
    add_number(digest, attr.size_bytes);
    add_number(digest, (uint64_t)attr.mtime.seconds);
    add_number(digest, attr.mtime.nanoseconds);
    add_number(digest, attr.space_used_bytes);
    if (attr.type == FS_DIRECTORY) {
        assert_int_equal(fs_readdir(f.fs, NULL, node, 0, add_name, digest), 1);
    } else if (attr.type == FS_SYMLINK) {
        assert_int_equal(fs_readlink(f.fs, node, target, sizeof target, &size), 0);
        add(digest, target, size);
    } else if (attr.type == FS_REGULAR) {
        add_data(digest, &attr);
    }
    add_xattrs(digest, node);
}

static uint64_t digest_of(struct fs_node top)
{
    static struct digest digest;
    digest.hash = XXH3_createState();
    (void)XXH3_64bits_reset(digest.hash);
    digest.count = 0;
    digest.nodes[digest.count++] = top;
    for (uint32_t i = 0; i < digest.count; i++)
        add_node(&digest, digest.nodes[i]);
    uint64_t sum = XXH3_64bits_digest(digest.hash);
    (void)XXH3_freeState(digest.hash);
    return sum;
}

/* ---- helpers ---------------------------------------------------------------------------------------------- */

static struct fs_node make(struct fs_node dir, const char *name, enum fs_type type)
{
    struct fs_create how = { .type = type,
        .attr = { .set_mode = true, .mode = 0755 },
        .symlink = slice_str("where/it/leads") };
    struct fs_created out = { 0 };
    assert_int_equal(fs_create(f.fs, NULL, dir, slice_str(name), &how, &out), 0);
    return out.attr.node;
}

static void fill(
    struct fs_node node, uint64_t offset, size_t size, uint8_t seed, enum fs_stability stability)
{
    uint8_t *bytes = malloc(size);
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)(seed + i % 253 + i / 4096);
    for (size_t done = 0; done < size; done += min_size(size - done, FS_IO_SIZE_MAX))
        fixture_write(&f, node, offset + done, bytes + done, min_size(size - done, FS_IO_SIZE_MAX),
            stability);
    free(bytes);
}

static void set_size(struct fs_node node, uint64_t size)
{
    struct fs_attr attr = { 0 };
    struct fs_setattr change = { .set_size = true, .size_bytes = size };
    assert_int_equal(fs_setattr(f.fs, NULL, node, &change, &attr), 0);
}

static void set_xattr(struct fs_node node, const char *name, const char *value)
{
    struct fs_setxattr set = { slice_str(name), slice_str(value), FS_XATTR_EITHER };
    struct fs_change change;
    assert_int_equal(fs_setxattr(f.fs, NULL, node, &set, &change), 0);
}

static void remove_name(struct fs_node dir, const char *name)
{
    struct fs_change change;
    assert_int_equal(fs_remove(f.fs, NULL, dir, slice_str(name), &change), 0);
}

static void rename_to(struct fs_node from, const char *name, struct fs_node to, const char *new)
{
    struct fs_rename how = { from, slice_str(name), to, slice_str(new) };
    struct fs_renamed out;
    assert_int_equal(fs_rename(f.fs, NULL, &how, &out), 0);
}

static struct fs_snapshot take(const char *name)
{
    struct fs_snapshot snapshot;
    assert_int_equal(fs_snapshot_create(f.fs, slice_str(name), &snapshot), 0);
    return snapshot;
}

/* What the directory was in the snapshot; the error of looking for it. */
static int look(struct fs_node dir, const char *snapshot, struct fs_node *out_node)
{
    struct fs_attr attr = { 0 };
    assert_int_equal(fs_snapshot_dir(f.fs, NULL, dir, &attr), 0);
    assert_int_equal(fs_place_of(f.fs, attr.node), FS_SNAPSHOT_LIST);
    int err = fs_lookup(f.fs, NULL, attr.node, slice_str(snapshot), &attr);
    if (err == 0)
        *out_node = attr.node;
    return err;
}

static struct fs_node root_in(const char *snapshot)
{
    struct fs_node node = { 0 };
    assert_int_equal(look(f.root, snapshot, &node), 0);
    assert_int_equal(fs_place_of(f.fs, node), FS_IN_SNAPSHOT);
    return node;
}

static struct fs_node find(struct fs_node dir, const char *name)
{
    struct fs_attr attr = { 0 };
    assert_int_equal(fs_lookup(f.fs, NULL, dir, slice_str(name), &attr), 0);
    return attr.node;
}

struct tree {
    struct fs_node dir, deep, small, large, sparse, linked, unstable;
};

/* One of everything. */
static struct tree make_tree(void)
{
    struct tree tree;
    struct fs_change change;
    tree.dir = make(f.root, "dir", FS_DIRECTORY);
    tree.deep = make(tree.dir, "deep", FS_DIRECTORY);
    tree.small = make(tree.dir, "small", FS_REGULAR);
    tree.large = make(tree.deep, "large", FS_REGULAR);
    tree.sparse = make(f.root, "sparse", FS_REGULAR);
    tree.linked = make(f.root, "linked", FS_REGULAR);
    tree.unstable = make(tree.dir, "unstable", FS_REGULAR);
    (void)make(tree.deep, "link", FS_SYMLINK);
    (void)make(tree.dir, "empty", FS_DIRECTORY);
    fill(tree.small, 0, 5000, 1, FS_FILE_SYNC);
    fill(tree.large, 0, 3 * MIB + 17, 2, FS_FILE_SYNC);
    fill(tree.sparse, 100 * BLOCK_BYTES, 10000, 3, FS_FILE_SYNC);
    fill(tree.sparse, 900 * BLOCK_BYTES, 200000, 4, FS_FILE_SYNC);
    fill(tree.linked, 0, 70000, 5, FS_FILE_SYNC);
    assert_int_equal(fs_link(f.fs, NULL, tree.linked, tree.deep, slice_str("other"), &change), 0);
    fill(tree.unstable, 0, 300000, 6, FS_UNSTABLE);
    set_xattr(tree.small, "color", "red");
    set_xattr(tree.dir, "color", "blue");
    for (unsigned i = 0; i < 40; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "many%u", i);
        (void)make(tree.deep, name, FS_REGULAR);
    }
    return tree;
}

/* Whatever can be done to it. */
static void change_tree(const struct tree *tree)
{
    struct fs_attr attr = { 0 };
    struct fs_setattr mode = { .set_mode = true, .mode = 0700, .set_uid = true, .uid = 7 };
    fill(tree->small, 100, 50, 9, FS_FILE_SYNC);
    fill(tree->large, 500000, 400000, 10, FS_FILE_SYNC);
    set_size(tree->large, MIB + 5);
    assert_int_equal(fs_deallocate(f.fs, NULL, tree->sparse, 0, 500 * BLOCK_BYTES, &attr), 0);
    fill(tree->sparse, 0, 5000, 11, FS_UNSTABLE);
    fill(tree->unstable, 299000, 50000, 12, FS_UNSTABLE);
    set_xattr(tree->small, "color", "green");
    set_xattr(tree->small, "shape", "round");
    assert_int_equal(fs_setattr(f.fs, NULL, tree->dir, &mode, &attr), 0);
    remove_name(f.root, "linked");
    remove_name(tree->deep, "link");
    rename_to(tree->dir, "small", f.root, "moved");
    remove_name(tree->dir, "empty");
    rename_to(tree->dir, "deep", f.root, "up");
    for (unsigned i = 0; i < 40; i += 2) {
        char name[16];
        (void)snprintf(name, sizeof name, "many%u", i);
        remove_name(tree->deep, name);
    }
    fill(make(f.root, "new", FS_REGULAR), 0, 100000, 13, FS_FILE_SYNC);
    set_size(tree->unstable, 0);
}

static void remove_tree(const struct tree *tree)
{
    remove_name(f.root, "new");
    remove_name(f.root, "moved");
    remove_name(f.root, "sparse");
    remove_name(tree->deep, "other");
    remove_name(tree->deep, "large");
    for (unsigned i = 1; i < 40; i += 2) {
        char name[16];
        (void)snprintf(name, sizeof name, "many%u", i);
        remove_name(tree->deep, name);
    }
    remove_name(f.root, "up");
    remove_name(tree->dir, "unstable");
    remove_name(f.root, "dir");
}

static uint64_t live_blocks(void)
{
    check(); /* with what the reaper has to do */
    return segments_live_blocks(&volume_of(f.fs)->segments);
}

/* ---- tests ------------------------------------------------------------------------------------------------ */

static void a_snapshot_shows_what_was_whatever_comes(void **state)
{
    (void)state;
    struct tree tree = make_tree();
    struct fs_snapshot one = take("one");
    uint64_t before = digest_of(f.root);
    assert_true(digest_of(root_in("one")) == before);
    assert_int_equal(one.usage.directories, 3);
    change_tree(&tree);
    assert_true(digest_of(root_in("one")) == before);
    uint64_t middle_files = take("two").usage.files;
    uint64_t middle = digest_of(f.root);
    assert_true(middle != before);
    remove_tree(&tree);
    check();
    assert_true(digest_of(root_in("one")) == before);
    assert_true(digest_of(root_in("two")) == middle);
    fixture_reopen(&f);
    assert_true(digest_of(root_in("one")) == before);
    assert_true(digest_of(root_in("two")) == middle);
    struct fs_node was = { 0 };
    assert_int_equal(look(f.root, "three", &was), -ENOENT);
    assert_int_equal(middle_files, one.usage.files + 1 - 20);
}

static void each_directory_has_its_own_way_to_what_it_was(void **state)
{
    (void)state;
    struct tree tree = make_tree();
    struct fs_node was = { 0 };
    struct fs_attr attr = { 0 };
    take("one");
    uint64_t deep = digest_of(tree.deep);
    struct fs_node young = make(f.root, "young", FS_DIRECTORY);
    assert_int_equal(look(young, "one", &was), -ENOENT);
    rename_to(tree.dir, "deep", young, "deeper");
    remove_name(tree.deep, "large");
    assert_int_equal(look(tree.deep, "one", &was), 0);
    assert_true(digest_of(was) == deep);
    assert_int_equal(fs_parent(f.fs, NULL, was, &attr), 0);
    assert_true(fs_node_equal(attr.node, find(root_in("one"), "dir")));
    assert_int_equal(fs_parent(f.fs, NULL, root_in("one"), &attr), -ENOENT);
    assert_int_equal(fs_snapshot_dir(f.fs, NULL, tree.deep, &attr), 0);
    assert_int_equal(fs_parent(f.fs, NULL, attr.node, &attr), 0);
    assert_true(fs_node_equal(attr.node, tree.deep));
    assert_int_equal(fs_snapshot_dir(f.fs, NULL, was, &attr), -ENOENT);
    assert_int_equal(fs_snapshot_dir(f.fs, NULL, tree.small, &attr), -ENOTDIR);
}

static void nothing_in_a_snapshot_can_be_changed(void **state)
{
    (void)state;
    struct tree tree = make_tree();
    take("one");
    struct fs_node root = root_in("one");
    struct fs_node dir = find(root, "dir");
    struct fs_node file = find(dir, "small");
    struct fs_attr list = { 0 };
    struct fs_attr attr = { 0 };
    struct fs_change change;
    struct fs_created created;
    struct fs_renamed renamed;
    struct fs_written written;
    struct fs_create how = { .type = FS_REGULAR };
    struct fs_setattr mode = { .set_mode = true, .mode = 0 };
    struct fs_setattr size = { .set_size = true };
    struct fs_setxattr xattr = { slice_str("a"), slice_str("b"), FS_XATTR_EITHER };
    struct fs_write write = { .data = slice_str("x"), .stability = FS_UNSTABLE };
    struct fs_quota_limits limits = { .hard_bytes = 1 };
    assert_int_equal(fs_snapshot_dir(f.fs, NULL, f.root, &list), 0);
    const struct fs_node dirs[] = { dir, list.node };
    for (unsigned i = 0; i < ARRAY_SIZE(dirs); i++) {
        struct fs_node at = dirs[i];
        struct fs_rename in = { tree.dir, slice_str("small"), at, slice_str("x") };
        struct fs_rename out = { at, slice_str("one"), tree.dir, slice_str("x") };
        assert_int_equal(fs_create(f.fs, NULL, at, slice_str("n"), &how, &created), -EROFS);
        assert_int_equal(fs_remove(f.fs, NULL, at, slice_str("one"), &change), -EROFS);
        assert_int_equal(fs_rename(f.fs, NULL, &in, &renamed), -EROFS);
        assert_int_equal(fs_rename(f.fs, NULL, &out, &renamed), -EROFS);
        assert_int_equal(fs_link(f.fs, NULL, tree.small, at, slice_str("n"), &change), -EROFS);
        assert_int_equal(fs_setattr(f.fs, NULL, at, &mode, &attr), -EROFS);
        assert_int_equal(fs_setxattr(f.fs, NULL, at, &xattr, &change), -EROFS);
        assert_int_equal(fs_quota_set(f.fs, at, &limits), -EROFS);
    }
    assert_int_equal(fs_link(f.fs, NULL, file, tree.dir, slice_str("n"), &change), -EROFS);
    assert_int_equal(fs_write(f.fs, file, &write, &written), -EROFS);
    assert_int_equal(fs_setattr(f.fs, NULL, file, &size, &attr), -EROFS);
    assert_int_equal(fs_allocate(f.fs, NULL, file, 0, 1 << 20, &attr), -EROFS);
    assert_int_equal(fs_deallocate(f.fs, NULL, file, 0, 4096, &attr), -EROFS);
    assert_int_equal(fs_removexattr(f.fs, NULL, file, slice_str("color"), &change), -EROFS);
    struct fs_clone clone = { .source = tree.large, .target = file };
    assert_int_equal(fs_clone(f.fs, NULL, &clone, &attr), -EROFS);
    assert_int_equal(fs_commit(f.fs, file, 0, 0), 0); /* nothing to do */
    assert_int_equal(fs_hold(f.fs, file), 0);
    fs_release(f.fs, file);
}

static void deleting_gives_back_what_only_the_snapshot_had(void **state)
{
    (void)state;
    struct tree tree = make_tree();
    uint64_t empty = 0;
    take("one");
    struct fs_node was = find(find(root_in("one"), "dir"), "small");
    change_tree(&tree);
    take("two");
    uint64_t middle = digest_of(f.root);
    remove_tree(&tree);
    uint64_t held = live_blocks();
    assert_true(held >= 3 * MIB / BLOCK_BYTES);
    assert_int_equal(fs_snapshot_delete(f.fs, slice_str("one")), 0);
    assert_int_equal(fs_snapshot_delete(f.fs, slice_str("one")), -ENOENT);
    struct fs_attr attr = { 0 };
    assert_int_equal(fs_getattr(f.fs, was, &attr), -ESTALE);
    uint64_t less = live_blocks();
    assert_true(less < held);
    assert_true(digest_of(root_in("two")) == middle);
    assert_int_equal(fs_snapshot_delete(f.fs, slice_str("two")), 0);
    assert_int_equal(live_blocks(), empty);
    take("one"); /* the name is free */
    assert_int_equal(fs_getattr(f.fs, was, &attr), -ESTALE);
}

static void a_file_comes_back_out_of_a_snapshot(void **state)
{
    (void)state;
    struct tree tree = make_tree();
    struct fs_node was_deep = { 0 };
    struct fs_attr attr = { 0 };
    take("one");
    assert_int_equal(look(tree.deep, "one", &was_deep), 0);
    struct fs_node was = find(was_deep, "large");
    uint64_t held = live_blocks();
    fill(tree.large, 0, 3 * MIB + 17, 77, FS_FILE_SYNC);
    set_size(tree.large, 100);
    struct fs_clone clone = { .source = was, .target = tree.large };
    assert_int_equal(fs_clone(f.fs, NULL, &clone, &attr), 0);
    assert_int_equal(attr.size_bytes, 3 * MIB + 17);
    assert_int_equal(live_blocks(), held); /* they share all */
    assert_int_equal(fs_snapshot_delete(f.fs, slice_str("one")), 0);
    assert_int_equal(live_blocks(), held);
    uint8_t bytes[8192];
    struct fs_read got;
    assert_int_equal(fs_read(f.fs, tree.large, MIB, bytes, sizeof bytes, &got), 0);
    assert_int_equal(bytes[1], (uint8_t)(2 + (MIB + 1) % 253 + (MIB + 1) / 4096));
}

/* Random work in one directory; snapshots come and go in any order; each one stays what it was. */
static void many_snapshots_come_and_go(void **state)
{
    (void)state;
    uint64_t random = fixture_seed();
    struct model *model = models_new(1);
    struct fs_node dir = model_directory(&f, 0);
    uint8_t *bytes = malloc(MODEL_FILE_BYTES);
    char names[KEPT_MAX][16] = { "" };
    uint64_t digests[KEPT_MAX] = { 0 };
    model->random = fixture_random(&random);
    for (unsigned round = 0; round < 60; round++) {
        for (uint64_t i = fixture_random(&random) % 30; i > 0; i--) {
            struct op op = model_next_op(model);
            assert_int_equal(model_perform(f.fs, dir, &op, bytes), 0);
            model_apply(model, &op);
        }
        unsigned at = (unsigned)(fixture_random(&random) % KEPT_MAX);
        if (names[at][0] != '\0') {
            assert_int_equal(fs_snapshot_delete(f.fs, slice_str(names[at])), 0);
            names[at][0] = '\0';
        } else {
            (void)snprintf(names[at], sizeof names[at], "s%u", round);
            take(names[at]);
            digests[at] = digest_of(f.root);
        }
        if (round % 7 == 0)
            fixture_reopen(&f);
        if (round % 5 == 0)
            check();
        for (unsigned i = 0; i < KEPT_MAX; i++) {
            if (names[i][0] != '\0' && digest_of(root_in(names[i])) != digests[i])
                fail_msg("round %u: snapshot %s is not what it was", round, names[i]);
        }
    }
    free(bytes);
}

static bool count_one(void *context, const struct fs_snapshot *snapshot)
{
    (void)snapshot;
    ++*(unsigned *)context;
    return true;
}

static void names_and_numbers_have_limits(void **state)
{
    (void)state;
    struct fs_snapshot out;
    const char *bad[] = { "", ".hidden", "a/b", "a b", "\xc3\xa4" };
    char longest[FS_SNAPSHOT_NAME_MAX + 2];
    memset(longest, 'a', sizeof longest);
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
        assert_int_equal(fs_snapshot_create(f.fs, slice_str(bad[i]), &out), -EINVAL);
    assert_int_equal(
        fs_snapshot_create(f.fs, slice_of(longest, sizeof longest - 1), &out), -EINVAL);
    assert_int_equal(fs_snapshot_create(f.fs, slice_of(longest, sizeof longest - 2), &out), 0);
    assert_int_equal(
        fs_snapshot_create(f.fs, slice_of(longest, sizeof longest - 2), &out), -EEXIST);
    for (unsigned i = 1; i < FS_SNAPSHOTS_MAX; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "n%u", i);
        take(name);
    }
    assert_int_equal(fs_snapshot_create(f.fs, slice_str("over"), &out), -EMLINK);
    unsigned count = 0;
    assert_int_equal(fs_snapshot_list(f.fs, count_one, &count), 0);
    assert_int_equal(count, FS_SNAPSHOTS_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_snapshot_shows_what_was_whatever_comes, setup, teardown),
        cmocka_unit_test_setup_teardown(
            each_directory_has_its_own_way_to_what_it_was, setup, teardown),
        cmocka_unit_test_setup_teardown(nothing_in_a_snapshot_can_be_changed, setup, teardown),
        cmocka_unit_test_setup_teardown(
            deleting_gives_back_what_only_the_snapshot_had, setup, teardown),
        cmocka_unit_test_setup_teardown(a_file_comes_back_out_of_a_snapshot, setup, teardown),
        cmocka_unit_test_setup_teardown(many_snapshots_come_and_go, setup, teardown),
        cmocka_unit_test_setup_teardown(names_and_numbers_have_limits, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
