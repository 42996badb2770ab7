/*
 * tests/lib/fs_contract_xattr.c - what fs/fs.h promises of extended attributes.
 */
#include "tests/lib/fs_contract.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct fs_cred alice = { .uid = 1000, .gid = 1000 };

static struct fs_attr attr_of(struct fs_contract *c, struct fs_node node)
{
    struct fs_attr attr;
    assert_int_equal(fs_getattr(c->fs, node, &attr), 0);
    return attr;
}

static int set(struct fs_contract *c, const struct fs_cred *cred, struct fs_node node,
    const char *name, struct slice value, enum fs_xattr_how how)
{
    const struct fs_setxattr set = { slice_str(name), value, how };
    struct fs_change change;
    struct fs_attr before = attr_of(c, node);
    int err = fs_setxattr(c->fs, cred, node, &set, &change);
    if (err == 0) {
        struct fs_attr after = attr_of(c, node);
        assert_int_equal(change.before, before.change);
        assert_int_equal(change.after, after.change);
        assert_true(change.after > change.before);
        assert_int_equal(after.mtime.seconds, before.mtime.seconds);
        assert_int_equal(after.mtime.nanoseconds, before.mtime.nanoseconds);
    }
    return err;
}

static int take(struct fs_contract *c, struct fs_node node, const char *name)
{
    struct fs_change change;
    return fs_removexattr(c->fs, NULL, node, slice_str(name), &change);
}

static void expect(struct fs_contract *c, struct fs_node node, const char *name, struct slice value)
{
    struct fs_buffer buffer = { 0 };
    assert_int_equal(fs_getxattr(c->fs, NULL, node, slice_str(name), &buffer), 0);
    assert_int_equal(buffer.out_size, value.size);
    buffer.bytes = malloc(value.size + 1);
    assert_non_null(buffer.bytes);
    buffer.capacity = value.size + 1;
    assert_int_equal(fs_getxattr(c->fs, NULL, node, slice_str(name), &buffer), 0);
    assert_true(slice_equal(slice_of(buffer.bytes, buffer.out_size), value));
    if (value.size > 1) {
        buffer.capacity = value.size - 1;
        assert_int_equal(fs_getxattr(c->fs, NULL, node, slice_str(name), &buffer), -ERANGE);
    }
    free(buffer.bytes);
}

static int get(
    struct fs_contract *c, const struct fs_cred *cred, struct fs_node node, const char *name)
{
    struct fs_buffer buffer = { 0 };
    return fs_getxattr(c->fs, cred, node, slice_str(name), &buffer);
}

struct listing {
    unsigned count;
    unsigned room;
    uint64_t cookie;
    char names[64][32];
};

static bool list_one(void *context, struct slice name, uint64_t cookie)
{
    struct listing *listing = context;
    if (listing->room == 0)
        return false;
    listing->room--;
    assert_true(cookie > listing->cookie && listing->count < ARRAY_SIZE(listing->names));
    listing->cookie = cookie;
    (void)snprintf(listing->names[listing->count++], sizeof listing->names[0], "%.*s",
        (int)name.size, (const char *)name.data);
    return true;
}

static bool lists(const struct listing *listing, const char *name)
{
    unsigned found = 0;
    for (unsigned i = 0; i < listing->count; i++)
        found += strcmp(listing->names[i], name) == 0;
    assert_true(found <= 1);
    return found == 1;
}

static void values_are_set_replaced_and_removed(void **state)
{
    struct fs_contract *c = *state;
    if ((c->fs->ops->caps & FS_CAP_XATTRS) == 0)
        skip();
    struct fs_node dir = fs_contract_directory(c);
    struct fs_node nodes[2] = { fs_contract_make(c, dir, "f", FS_REGULAR).node, dir };
    for (size_t i = 0; i < ARRAY_SIZE(nodes); i++) {
        struct fs_node node = nodes[i];
        assert_int_equal(get(c, NULL, node, "a"), -ENODATA);
        assert_int_equal(set(c, NULL, node, "a", slice_str("1"), FS_XATTR_REPLACE), -ENODATA);
        assert_int_equal(set(c, NULL, node, "a", slice_str("one"), FS_XATTR_CREATE), 0);
        assert_int_equal(set(c, NULL, node, "a", slice_str("1"), FS_XATTR_CREATE), -EEXIST);
        expect(c, node, "a", slice_str("one"));
        assert_int_equal(set(c, NULL, node, "a", slice_str("two!"), FS_XATTR_REPLACE), 0);
        assert_int_equal(set(c, NULL, node, "b", slice_of(NULL, 0), FS_XATTR_EITHER), 0);
        if (c->reopen != NULL)
            assert_int_equal(c->reopen(c), 0);
        expect(c, node, "a", slice_str("two!"));
        expect(c, node, "b", slice_of(NULL, 0));
        assert_int_equal(take(c, node, "a"), 0);
        assert_int_equal(take(c, node, "a"), -ENODATA);
        assert_int_equal(get(c, NULL, node, "a"), -ENODATA);
        expect(c, node, "b", slice_of(NULL, 0));
    }
}

static void attributes_are_bounded(void **state)
{
    struct fs_contract *c = *state;
    if ((c->fs->ops->caps & FS_CAP_XATTRS) == 0)
        skip();
    struct fs_node dir = fs_contract_directory(c);
    struct fs_node node = fs_contract_make(c, dir, "f", FS_REGULAR).node;
    char name[FS_XATTR_NAME_SIZE_MAX + 2];
    memset(name, 'n', sizeof name);
    name[sizeof name - 1] = 0;
    assert_int_equal(set(c, NULL, node, name, slice_str("v"), FS_XATTR_EITHER), -EINVAL);
    assert_int_equal(set(c, NULL, node, "", slice_str("v"), FS_XATTR_EITHER), -EINVAL);
    assert_int_equal(get(c, NULL, node, name), -EINVAL);
    assert_int_equal(take(c, node, ""), -EINVAL);
    name[sizeof name - 2] = 0;
    assert_int_equal(set(c, NULL, node, name, slice_str("v"), FS_XATTR_EITHER), 0);
    expect(c, node, name, slice_str("v"));
    uint8_t *value = malloc(FS_XATTR_VALUE_SIZE_MAX + 1);
    assert_non_null(value);
    for (size_t i = 0; i <= FS_XATTR_VALUE_SIZE_MAX; i++)
        value[i] = (uint8_t)(i * 13 + i / 256);
    struct slice most = slice_of(value, FS_XATTR_VALUE_SIZE_MAX);
    struct slice more = slice_of(value, FS_XATTR_VALUE_SIZE_MAX + 1);
    assert_int_equal(set(c, NULL, node, "big", more, FS_XATTR_EITHER), -E2BIG);
    assert_int_equal(set(c, NULL, node, "big1", most, FS_XATTR_EITHER), 0);
    assert_int_equal(set(c, NULL, node, "big2", most, FS_XATTR_EITHER), 0);
    assert_int_equal(set(c, NULL, node, "big3", most, FS_XATTR_EITHER), 0);
    assert_int_equal(set(c, NULL, node, "big4", most, FS_XATTR_EITHER), -ENOSPC);
    assert_int_equal(set(c, NULL, node, "big3", most, FS_XATTR_REPLACE), 0);
    expect(c, node, "big2", most);
    assert_int_equal(take(c, node, "big1"), 0);
    assert_int_equal(set(c, NULL, node, "big4", most, FS_XATTR_EITHER), 0);
    expect(c, node, "big4", most);
    free(value);
}

static void names_are_listed_in_pieces(void **state)
{
    struct fs_contract *c = *state;
    if ((c->fs->ops->caps & FS_CAP_XATTRS) == 0)
        skip();
    struct fs_node dir = fs_contract_directory(c);
    struct fs_node node = fs_contract_make(c, dir, "f", FS_REGULAR).node;
    struct listing listing = { .room = 10 };
    assert_int_equal(fs_listxattr(c->fs, NULL, node, 0, list_one, &listing), 1);
    assert_int_equal(listing.count, 0);
    for (int i = 0; i < 40; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "name-%d", i);
        assert_int_equal(set(c, NULL, node, name, slice_str(name), FS_XATTR_CREATE), 0);
    }
    int end = 0;
    while (end == 0) {
        listing.room = 7;
        end = fs_listxattr(c->fs, NULL, node, listing.cookie, list_one, &listing);
        assert_true(end >= 0);
        (void)take(c, node, "name-0"); /* what goes meanwhile disturbs nothing else */
    }
    for (int i = 1; i < 40; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "name-%d", i);
        assert_true(lists(&listing, name));
        expect(c, node, name, slice_str(name));
    }
    struct fs_node fifo = fs_contract_make(c, dir, "fifo", FS_FIFO).node;
    listing = (struct listing){ .room = 10 };
    assert_int_equal(fs_listxattr(c->fs, NULL, fifo, 0, list_one, &listing), 1);
    assert_int_equal(listing.count, 0);
}

static void who_may_read_and_write_may_read_and_set(void **state)
{
    struct fs_contract *c = *state;
    if ((c->fs->ops->caps & FS_CAP_XATTRS) == 0)
        skip();
    struct fs_node dir = fs_contract_directory(c);
    struct fs_node node = fs_contract_make(c, dir, "f", FS_REGULAR).node;
    struct fs_node link = fs_contract_make(c, dir, "l", FS_SYMLINK).node;
    struct slice value = slice_str("v");
    struct fs_attr attr;
    assert_int_equal(set(c, NULL, node, "x", value, FS_XATTR_EITHER), 0);
    assert_int_equal(set(c, &alice, node, "x", value, FS_XATTR_EITHER), -EACCES);
    assert_int_equal(get(c, &alice, node, "x"), 0);
    struct fs_change change;
    assert_int_equal(fs_removexattr(c->fs, &alice, node, slice_str("x"), &change), -EACCES);
    const struct fs_setattr secret = { .set_mode = true, .mode = 0600 };
    assert_int_equal(fs_setattr(c->fs, NULL, node, &secret, &attr), 0);
    struct listing listing = { .room = 10 };
    assert_int_equal(get(c, &alice, node, "x"), -EACCES);
    assert_int_equal(fs_listxattr(c->fs, &alice, node, 0, list_one, &listing), -EACCES);
    assert_int_equal(set(c, NULL, link, "x", value, FS_XATTR_EITHER), -EPERM);
    assert_int_equal(get(c, NULL, link, "x"), -ENODATA);
    const struct fs_setattr sticky = { .set_mode = true, .mode = 01777 };
    assert_int_equal(fs_setattr(c->fs, NULL, dir, &sticky, &attr), 0);
    assert_int_equal(set(c, &alice, dir, "x", value, FS_XATTR_EITHER), -EPERM);
    assert_int_equal(set(c, NULL, dir, "x", value, FS_XATTR_EITHER), 0);
}

static void attributes_go_with_their_file(void **state)
{
    struct fs_contract *c = *state;
    if ((c->fs->ops->caps & FS_CAP_XATTRS) == 0)
        skip();
    struct fs_node dir = fs_contract_directory(c);
    struct fs_node node = fs_contract_make(c, dir, "f", FS_REGULAR).node;
    struct fs_change change;
    assert_int_equal(set(c, NULL, node, "x", slice_str("v"), FS_XATTR_EITHER), 0);
    assert_int_equal(fs_hold(c->fs, node), 0);
    assert_int_equal(fs_remove(c->fs, NULL, dir, slice_str("f"), &change), 0);
    expect(c, node, "x", slice_str("v"));
    fs_release(c->fs, node);
    assert_int_equal(get(c, NULL, node, "x"), -ESTALE);
    struct fs_node other = fs_contract_make(c, dir, "f", FS_REGULAR).node;
    assert_int_equal(get(c, NULL, other, "x"), -ENODATA);
    assert_int_equal(set(c, NULL, other, "x", slice_str("v"), FS_XATTR_EITHER), 0);
    assert_int_equal(fs_remove(c->fs, NULL, dir, slice_str("f"), &change), 0);
}

static void usage_is_what_lies_below(void **state)
{
    struct fs_contract *c = *state;
    if ((c->fs->ops->caps & FS_CAP_USAGE) == 0)
        skip();
    struct fs_node dir = fs_contract_directory(c);
    struct fs_node inner = fs_contract_make(c, dir, "inner", FS_DIRECTORY).node;
    struct fs_node file = fs_contract_make(c, inner, "f", FS_REGULAR).node;
    const struct fs_write write = { .data = slice_str("hello"), .stability = FS_FILE_SYNC };
    struct fs_written written;
    struct fs_change change;
    struct fs_usage usage;
    assert_int_equal(fs_write(c->fs, file, &write, &written), 0);
    assert_int_equal(fs_link(c->fs, NULL, file, inner, slice_str("g"), &change), 0);
    assert_int_equal(fs_usage(c->fs, NULL, dir, &usage), 0);
    assert_int_equal(usage.size_bytes, 5);
    assert_int_equal(usage.space_bytes, written.attr.space_used_bytes);
    assert_int_equal(usage.files, 1);
    assert_int_equal(usage.directories, 1);
    assert_int_equal(usage.others, 0);
    assert_int_equal(fs_remove(c->fs, NULL, inner, slice_str("f"), &change), 0);
    assert_int_equal(fs_remove(c->fs, NULL, inner, slice_str("g"), &change), 0);
    assert_int_equal(fs_usage(c->fs, NULL, dir, &usage), 0);
    assert_int_equal(usage.files + usage.size_bytes + usage.space_bytes, 0);
    assert_int_equal(
        fs_usage(c->fs, NULL, fs_contract_make(c, dir, "f", FS_REGULAR).node, &usage), -ENOTDIR);
}

const struct CMUnitTest *fs_contract_xattr_tests(size_t *out_count)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_set_replaced_and_removed),
        cmocka_unit_test(attributes_are_bounded),
        cmocka_unit_test(names_are_listed_in_pieces),
        cmocka_unit_test(who_may_read_and_write_may_read_and_set),
        cmocka_unit_test(attributes_go_with_their_file),
        cmocka_unit_test(usage_is_what_lies_below),
    };
    *out_count = ARRAY_SIZE(tests);
    return tests;
}
