/*
 * tests/lib/fs_contract.c - what fs/fs.h promises of names, directories and attributes.
 */
#include "tests/lib/fs_contract.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct fs_cred alice = { .uid = 1000, .gid = 1000 };
static const uint32_t bobs_groups[] = { 2000 };
static const struct fs_cred bob = {
    .uid = 1001, .gid = 1001, .group_count = 1, .groups = bobs_groups
};
static const struct fs_cred root = { 0 };

struct fs_node fs_contract_directory(struct fs_contract *contract)
{
    static unsigned counter;
    char name[64];
    (void)snprintf(name, sizeof name, "test-%u-%p", counter++, (void *)contract->fs);
    struct fs_node top;
    assert_int_equal(fs_root(contract->fs, &top), 0);
    return fs_contract_make(contract, top, name, FS_DIRECTORY).node;
}

struct fs_attr fs_contract_make(
    struct fs_contract *contract, struct fs_node dir, const char *name, enum fs_type type)
{
    const struct fs_create how = {
        .type = type,
        .attr = { .set_mode = true, .mode = type == FS_DIRECTORY ? 0755 : 0644 },
        .symlink = type == FS_SYMLINK ? slice_str("target") : (struct slice){ 0 },
    };
    struct fs_created out;
    assert_int_equal(fs_create(contract->fs, &root, dir, slice_str(name), &how, &out), 0);
    return out.attr;
}

static struct fs_attr attr_of(struct fs_contract *c, struct fs_node node)
{
    struct fs_attr attr;
    assert_int_equal(fs_getattr(c->fs, node, &attr), 0);
    return attr;
}

static int look(struct fs_contract *c, struct fs_node dir, const char *name, struct fs_attr *out)
{
    return fs_lookup(c->fs, &root, dir, slice_str(name), out);
}

static int rename_in(struct fs_contract *c, const struct fs_cred *cred, struct fs_node from,
    const char *from_name, struct fs_node to, const char *to_name)
{
    struct fs_renamed out;
    const struct fs_rename how = {
        .from_dir = from,
        .from_name = slice_str(from_name),
        .to_dir = to,
        .to_name = slice_str(to_name),
    };
    return fs_rename(c->fs, cred, &how, &out);
}

static int unlink_in(
    struct fs_contract *c, const struct fs_cred *cred, struct fs_node dir, const char *name)
{
    struct fs_change change;
    return fs_remove(c->fs, cred, dir, slice_str(name), &change);
}

static void a_new_file_has_what_it_was_made_with(void **state)
{
    struct fs_contract *c = *state;
    struct fs_node dir = fs_contract_directory(c);
    struct fs_attr before = attr_of(c, dir);
    const struct fs_create how = {
        .type = FS_REGULAR,
        .attr = {
            .set_mode = true,
            .mode = 0640,
            .mtime_how = FS_TIME_CLIENT,
            .mtime = { .seconds = -5, .nanoseconds = 999999999 },
        },
    };
    struct fs_created made;
    assert_int_equal(fs_create(c->fs, &root, dir, slice_str("f"), &how, &made), 0);
    assert_false(made.existed);
    assert_int_equal(made.attr.type, FS_REGULAR);
    assert_int_equal(made.attr.mode, 0640);
    assert_int_equal(made.attr.link_count, 1);
    assert_int_equal(made.attr.size_bytes, 0);
    assert_true(made.attr.node.inode != 0);
    assert_int_equal(made.attr.mtime.seconds, -5);
    assert_int_equal(made.attr.mtime.nanoseconds, 999999999);
    assert_true(made.attr.btime.seconds > 0);
    assert_int_equal(made.change.before, before.change);
    struct fs_attr after = attr_of(c, dir);
    assert_int_equal(made.change.after, after.change);
    assert_true(after.change > before.change);
    struct fs_attr found;
    assert_int_equal(look(c, dir, "f", &found), 0);
    assert_true(fs_node_equal(found.node, made.attr.node));
    assert_int_equal(found.mode, 0640);
}

static void create_modes_are_guarded_unchecked_and_exclusive(void **state)
{
    struct fs_contract *c = *state;
    struct fs_node dir = fs_contract_directory(c);
    struct fs_create how = { .type = FS_REGULAR, .attr = { .set_mode = true, .mode = 0600 } };
    struct fs_created first;
    struct fs_created second;
    assert_int_equal(fs_create(c->fs, &root, dir, slice_str("g"), &how, &first), 0);
    assert_int_equal(fs_create(c->fs, &root, dir, slice_str("g"), &how, &second), -EEXIST);
    how.mode = FS_CREATE_UNCHECKED;
    assert_int_equal(fs_create(c->fs, &root, dir, slice_str("g"), &how, &second), 0);
    assert_true(second.existed);
    assert_true(fs_node_equal(first.attr.node, second.attr.node));
    assert_int_equal(second.change.before, second.change.after);
    how.mode = FS_CREATE_EXCLUSIVE;
    memcpy(how.verifier, "verify-1", FS_VERIFIER_SIZE);
    assert_int_equal(fs_create(c->fs, &root, dir, slice_str("g"), &how, &second), -EEXIST);
    assert_int_equal(fs_create(c->fs, &root, dir, slice_str("x"), &how, &first), 0);
    if (c->reopen != NULL)
        assert_int_equal(c->reopen(c), 0);
    assert_int_equal(fs_create(c->fs, &root, dir, slice_str("x"), &how, &second), 0);
    assert_true(fs_node_equal(first.attr.node, second.attr.node));
    memcpy(how.verifier, "verify-2", FS_VERIFIER_SIZE);
    assert_int_equal(fs_create(c->fs, &root, dir, slice_str("x"), &how, &second), -EEXIST);
}

static void every_type_keeps_its_type_and_device(void **state)
{
    struct fs_contract *c = *state;
    struct fs_node dir = fs_contract_directory(c);
    static const enum fs_type types[] = { FS_DIRECTORY, FS_SYMLINK, FS_FIFO, FS_SOCKET, FS_BLOCK,
        FS_CHARACTER };
    for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
        char name[8];
        (void)snprintf(name, sizeof name, "t%zu", i);
        struct fs_create how = { .type = types[i], .attr = { .set_mode = true, .mode = 0700 } };
        how.device_major = 8;
        how.device_minor = 17;
        if (types[i] == FS_SYMLINK)
            how.symlink = slice_str("../some/where");
        struct fs_created made;
        assert_int_equal(fs_create(c->fs, &root, dir, slice_str(name), &how, &made), 0);
        if (c->reopen != NULL && i == 2)
            assert_int_equal(c->reopen(c), 0);
        struct fs_attr attr = attr_of(c, made.attr.node);
        assert_int_equal(attr.type, types[i]);
        if (types[i] == FS_BLOCK || types[i] == FS_CHARACTER) {
            assert_int_equal(attr.device_major, 8);
            assert_int_equal(attr.device_minor, 17);
        }
        uint8_t text[64];
        size_t size = 0;
        int err = fs_readlink(c->fs, attr.node, text, sizeof text, &size);
        if (types[i] == FS_SYMLINK) {
            assert_int_equal(err, 0);
            assert_true(slice_equal(slice_of(text, size), slice_str("../some/where")));
            assert_int_equal(attr.size_bytes, size);
            assert_int_equal(fs_readlink(c->fs, attr.node, text, 3, &size), -ERANGE);
        } else {
            assert_int_equal(err, -EINVAL);
        }
    }
}

static void a_long_symlink_comes_back_whole(void **state)
{
    struct fs_contract *c = *state;
    struct fs_node dir = fs_contract_directory(c);
    uint8_t target[FS_SYMLINK_SIZE_MAX];
    memset(target, 'x', sizeof target);
    const struct fs_create how = { .type = FS_SYMLINK, .symlink = slice_of(target, sizeof target) };
    struct fs_created made;
    assert_int_equal(fs_create(c->fs, &root, dir, slice_str("l"), &how, &made), 0);
    uint8_t back[FS_SYMLINK_SIZE_MAX];
    size_t size = 0;
    assert_int_equal(fs_readlink(c->fs, made.attr.node, back, sizeof back, &size), 0);
    assert_int_equal(size, sizeof target);
    assert_memory_equal(back, target, sizeof target);
}

static void names_are_bytes_of_any_kind(void **state)
{
    struct fs_contract *c = *state;
    struct fs_node dir = fs_contract_directory(c);
    uint8_t longest[FS_NAME_SIZE_MAX];
    memset(longest, 'n', sizeof longest);
    const struct slice names[] = { slice_of(longest, 255), slice_of(longest, 254),
        slice_of("\xff\xfe\x01", 3), slice_of(" ", 1), slice_of("A", 1), slice_of("a", 1),
        slice_of("\xc3\xa9", 2), slice_of("e\xcc\x81", 3) };
    const struct fs_create how = { .type = FS_REGULAR };
    struct fs_created made[ARRAY_SIZE(names)];
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        assert_int_equal(fs_create(c->fs, &root, dir, names[i], &how, &made[i]), 0);
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        struct fs_attr attr;
        assert_int_equal(fs_lookup(c->fs, &root, dir, names[i], &attr), 0);
        assert_true(fs_node_equal(attr.node, made[i].attr.node));
    }
}

static void lookups_say_why_they_fail(void **state)
{
    struct fs_contract *c = *state;
    struct fs_node dir = fs_contract_directory(c);
    struct fs_attr file = fs_contract_make(c, dir, "f", FS_REGULAR);
    struct fs_attr out;
    assert_int_equal(look(c, dir, "missing", &out), -ENOENT);
    assert_int_equal(look(c, file.node, "x", &out), -ENOTDIR);
    const struct fs_setattr closed = { .set_mode = true, .mode = 0700 };
    assert_int_equal(fs_setattr(c->fs, &root, dir, &closed, &out), 0);
    assert_int_equal(fs_lookup(c->fs, &alice, dir, slice_str("f"), &out), -EACCES);
    assert_int_equal(unlink_in(c, &root, dir, "f"), 0);
    assert_int_equal(look(c, dir, "f", &out), -ENOENT);
    assert_int_equal(fs_getattr(c->fs, file.node, &out), -ESTALE);
    const struct fs_node other = { .inode = dir.inode, .generation = dir.generation + 1 };
    assert_int_equal(fs_getattr(c->fs, other, &out), -ESTALE);
}

static void directories_count_their_links_and_know_their_parent(void **state)
{
    struct fs_contract *c = *state;
    struct fs_node dir = fs_contract_directory(c);
    assert_int_equal(attr_of(c, dir).link_count, 2);
    struct fs_attr a = fs_contract_make(c, dir, "a", FS_DIRECTORY);
    struct fs_attr b = fs_contract_make(c, a.node, "b", FS_DIRECTORY);
    assert_int_equal(attr_of(c, dir).link_count, 3);
    assert_int_equal(attr_of(c, a.node).link_count, 3);
    struct fs_attr parent;
    assert_int_equal(fs_parent(c->fs, &root, b.node, &parent), 0);
    assert_true(fs_node_equal(parent.node, a.node));
    assert_int_equal(rename_in(c, &root, a.node, "b", dir, "b"), 0);
    assert_int_equal(fs_parent(c->fs, &root, b.node, &parent), 0);
    assert_true(fs_node_equal(parent.node, dir));
    assert_int_equal(attr_of(c, dir).link_count, 4);
    assert_int_equal(attr_of(c, a.node).link_count, 2);
    assert_int_equal(unlink_in(c, &root, dir, "b"), 0);
    assert_int_equal(attr_of(c, dir).link_count, 3);
    struct fs_node top;
    assert_int_equal(fs_root(c->fs, &top), 0);
    assert_int_equal(fs_parent(c->fs, &root, top, &parent), -ENOENT);
}

static void directories_show_a_size(void **state)
{
    struct fs_contract *c = *state;
    struct fs_node dir = fs_contract_directory(c);
    assert_true(attr_of(c, dir).size_bytes > 0);
    if (c->reopen != NULL)
        assert_int_equal(c->reopen(c), 0);
    assert_int_equal(attr_of(c, dir).size_bytes % 4096, 0);
    assert_true(attr_of(c, dir).size_bytes > 0);
}

static void only_empty_directories_are_removed(void **state)
{
    struct fs_contract *c = *state;
    struct fs_node dir = fs_contract_directory(c);
    struct fs_attr a = fs_contract_make(c, dir, "a", FS_DIRECTORY);
    (void)fs_contract_make(c, a.node, "f", FS_REGULAR);
    assert_int_equal(unlink_in(c, &root, dir, "a"), -ENOTEMPTY);
    assert_int_equal(unlink_in(c, &root, a.node, "f"), 0);
    assert_int_equal(unlink_in(c, &root, dir, "a"), 0);
    assert_int_equal(unlink_in(c, &root, dir, "a"), -ENOENT);
    const struct fs_create how = { .type = FS_REGULAR };
    struct fs_created made;
    assert_int_equal(fs_create(c->fs, &root, a.node, slice_str("late"), &how, &made), -ESTALE);
}

static void hard_links_share_one_file(void **state)
{
    struct fs_contract *c = *state;
    struct fs_node dir = fs_contract_directory(c);
    struct fs_attr f = fs_contract_make(c, dir, "f", FS_REGULAR);
    struct fs_attr d = fs_contract_make(c, dir, "d", FS_DIRECTORY);
    struct fs_change change;
    uint64_t before = attr_of(c, f.node).change;
    assert_int_equal(fs_link(c->fs, &root, f.node, d.node, slice_str("g"), &change), 0);
    assert_true(change.after > change.before);
    assert_int_equal(attr_of(c, f.node).link_count, 2);
    assert_true(attr_of(c, f.node).change > before);
    assert_int_equal(fs_link(c->fs, &root, f.node, dir, slice_str("f"), &change), -EEXIST);
    assert_int_equal(fs_link(c->fs, &root, d.node, dir, slice_str("e"), &change), -EISDIR);
    assert_int_equal(
        rename_in(c, &root, dir, "f", d.node, "g"), 0); /* one inode: nothing happens */
    struct fs_attr out;
    assert_int_equal(look(c, dir, "f", &out), 0);
    assert_int_equal(unlink_in(c, &root, dir, "f"), 0);
    assert_int_equal(attr_of(c, f.node).link_count, 1);
    assert_int_equal(unlink_in(c, &root, d.node, "g"), 0);
    assert_int_equal(fs_getattr(c->fs, f.node, &out), -ESTALE);
}

static void rename_replaces_what_it_may(void **state)
{
    struct fs_contract *c = *state;
    struct fs_node dir = fs_contract_directory(c);
    struct fs_attr f = fs_contract_make(c, dir, "f", FS_REGULAR);
    struct fs_attr g = fs_contract_make(c, dir, "g", FS_REGULAR);
    struct fs_attr d = fs_contract_make(c, dir, "d", FS_DIRECTORY);
    struct fs_attr e = fs_contract_make(c, dir, "e", FS_DIRECTORY);
    (void)fs_contract_make(c, e.node, "inside", FS_REGULAR);
    struct fs_attr out;
    assert_int_equal(rename_in(c, &root, dir, "f", dir, "d"), -EISDIR);
    assert_int_equal(rename_in(c, &root, dir, "d", dir, "f"), -ENOTDIR);
    assert_int_equal(rename_in(c, &root, dir, "d", dir, "e"), -ENOTEMPTY);
    assert_int_equal(rename_in(c, &root, dir, "none", dir, "x"), -ENOENT);
    assert_int_equal(rename_in(c, &root, dir, "e", d.node, "e"), 0);
    assert_int_equal(rename_in(c, &root, dir, "d", e.node, "loop"), -EINVAL);
    assert_int_equal(rename_in(c, &root, dir, "d", d.node, "loop"), -EINVAL);
    assert_int_equal(rename_in(c, &root, dir, "f", dir, "g"), 0);
    assert_int_equal(look(c, dir, "f", &out), -ENOENT);
    assert_int_equal(look(c, dir, "g", &out), 0);
    assert_true(fs_node_equal(out.node, f.node));
    assert_int_equal(fs_getattr(c->fs, g.node, &out), -ESTALE);
    struct fs_attr empty = fs_contract_make(c, dir, "empty", FS_DIRECTORY);
    assert_int_equal(rename_in(c, &root, d.node, "e", dir, "empty"), 0);
    assert_int_equal(fs_getattr(c->fs, empty.node, &out), -ESTALE);
    assert_int_equal(look(c, e.node, "inside", &out), 0);
    assert_int_equal(attr_of(c, d.node).link_count, 2);
}

static void rename_tells_the_changes_of_both_directories(void **state)
{
    struct fs_contract *c = *state;
    struct fs_node dir = fs_contract_directory(c);
    struct fs_attr a = fs_contract_make(c, dir, "a", FS_DIRECTORY);
    struct fs_attr b = fs_contract_make(c, dir, "b", FS_DIRECTORY);
    (void)fs_contract_make(c, a.node, "f", FS_REGULAR);
    struct fs_attr a_before = attr_of(c, a.node);
    struct fs_attr b_before = attr_of(c, b.node);
    struct fs_rename how = { .from_dir = a.node, .from_name = slice_str("f"), .to_dir = b.node };
    how.to_name = slice_str("f");
    struct fs_renamed out;
    assert_int_equal(fs_rename(c->fs, &root, &how, &out), 0);
    assert_int_equal(out.from_change.before, a_before.change);
    assert_int_equal(out.from_change.after, attr_of(c, a.node).change);
    assert_int_equal(out.to_change.before, b_before.change);
    assert_int_equal(out.to_change.after, attr_of(c, b.node).change);
}

static void permissions_decide_who_changes_a_directory(void **state)
{
    struct fs_contract *c = *state;
    struct fs_node dir = fs_contract_directory(c);
    const struct fs_create how = { .type = FS_REGULAR, .attr = { .set_mode = true, .mode = 0644 } };
    struct fs_created made;
    assert_int_equal(fs_create(c->fs, &alice, dir, slice_str("f"), &how, &made), -EACCES);
    struct fs_attr out;
    const struct fs_setattr sticky = { .set_mode = true, .mode = 01777 };
    assert_int_equal(fs_setattr(c->fs, &root, dir, &sticky, &out), 0);
    assert_int_equal(fs_create(c->fs, &alice, dir, slice_str("f"), &how, &made), 0);
    assert_int_equal(made.attr.uid, 1000);
    assert_int_equal(made.attr.gid, 1000);
    assert_int_equal(unlink_in(c, &bob, dir, "f"), -EPERM);
    assert_int_equal(rename_in(c, &bob, dir, "f", dir, "g"), -EPERM);
    assert_int_equal(unlink_in(c, &alice, dir, "f"), 0);
    const struct fs_setattr group = {
        .set_mode = true, .mode = 02775, .set_gid = true, .gid = 2000
    };
    assert_int_equal(fs_setattr(c->fs, &root, dir, &group, &out), 0);
    assert_int_equal(out.mode, 02775);
    assert_int_equal(fs_create(c->fs, &bob, dir, slice_str("s"), &how, &made), 0);
    assert_int_equal(made.attr.gid, 2000); /* a setgid directory gives its group */
    struct fs_create subdir = how;
    subdir.type = FS_DIRECTORY;
    subdir.attr.mode = 0755;
    assert_int_equal(fs_create(c->fs, &bob, dir, slice_str("d"), &subdir, &made), 0);
    assert_int_equal(made.attr.gid, 2000);
    assert_int_equal(made.attr.mode, 02755);
}

static void attributes_are_set_by_who_may(void **state)
{
    struct fs_contract *c = *state;
    struct fs_node dir = fs_contract_directory(c);
    struct fs_attr f = fs_contract_make(c, dir, "f", FS_REGULAR);
    struct fs_attr out;
    const struct fs_setattr give = { .set_uid = true, .uid = 1000, .set_gid = true, .gid = 1000 };
    const struct fs_setattr chmod = { .set_mode = true, .mode = 04755 };
    assert_int_equal(fs_setattr(c->fs, &alice, f.node, &chmod, &out), -EPERM);
    assert_int_equal(fs_setattr(c->fs, &root, f.node, &give, &out), 0);
    assert_int_equal(fs_setattr(c->fs, &alice, f.node, &chmod, &out), 0);
    assert_int_equal(out.mode, 04755);
    const struct fs_setattr away = { .set_uid = true, .uid = 1001 };
    assert_int_equal(fs_setattr(c->fs, &alice, f.node, &away, &out), -EPERM);
    const struct fs_setattr same = { .set_gid = true, .gid = 1000 };
    assert_int_equal(fs_setattr(c->fs, &alice, f.node, &same, &out), 0);
    assert_int_equal(out.mode, 0755); /* a chown by others than root clears setuid */
    const struct fs_setattr times = { .atime_how = FS_TIME_CLIENT,
        .atime = { .seconds = 1, .nanoseconds = 2 },
        .mtime_how = FS_TIME_SERVER };
    assert_int_equal(fs_setattr(c->fs, &bob, f.node, &times, &out), -EPERM);
    uint64_t before = attr_of(c, f.node).change;
    assert_int_equal(fs_setattr(c->fs, &alice, f.node, &times, &out), 0);
    assert_int_equal(out.atime.seconds, 1);
    assert_int_equal(out.atime.nanoseconds, 2);
    assert_true(out.mtime.seconds > 1000000000);
    assert_true(out.change > before);
    const struct fs_setattr size = { .set_size = true, .size_bytes = 5 };
    assert_int_equal(fs_setattr(c->fs, &bob, f.node, &size, &out), -EACCES);
    assert_int_equal(fs_setattr(c->fs, &root, dir, &size, &out), -EISDIR);
}

struct listing {
    struct fs_contract *contract;
    size_t count;
    size_t stop_after;
    uint64_t last_cookie;
    char names[64][16];
};

static bool add_name(void *context, const struct fs_dirent *entry)
{
    struct listing *listing = context;
    if (listing->count == listing->stop_after)
        return false;
    assert_true(entry->cookie >= FS_COOKIE_FIRST && entry->cookie > listing->last_cookie);
    assert_true(entry->cookie < UINT64_C(1) << 63);
    assert_int_equal(entry->attr_error, 0);
    assert_true(entry->name.size < sizeof listing->names[0]);
    assert_true(listing->count < ARRAY_SIZE(listing->names));
    memcpy(listing->names[listing->count], entry->name.data, entry->name.size);
    listing->names[listing->count][entry->name.size] = '\0';
    listing->last_cookie = entry->cookie;
    listing->count++;
    return true;
}

static void a_directory_is_listed_in_pieces_whatever_changes_meanwhile(void **state)
{
    struct fs_contract *c = *state;
    struct fs_node dir = fs_contract_directory(c);
    for (int i = 0; i < 40; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "f%d", i);
        (void)fs_contract_make(c, dir, name, FS_REGULAR);
    }
    struct listing listing = { .contract = c, .stop_after = 10 };
    assert_int_equal(fs_readdir(c->fs, &root, dir, 0, add_name, &listing), 0);
    assert_int_equal(listing.count, 10);
    /* One that was listed goes, and with it the place to go on from; others come. */
    assert_int_equal(unlink_in(c, &root, dir, listing.names[9]), 0);
    assert_int_equal(unlink_in(c, &root, dir, listing.names[3]), 0);
    for (int i = 0; i < 3; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "new%d", i);
        (void)fs_contract_make(c, dir, name, FS_REGULAR);
    }
    listing.stop_after = 64;
    assert_int_equal(fs_readdir(c->fs, &root, dir, listing.last_cookie, add_name, &listing), 1);
    bool seen[40] = { false };
    for (size_t i = 0; i < listing.count; i++) {
        if (listing.names[i][0] != 'f')
            continue;
        int number = (int)strtol(listing.names[i] + 1, NULL, 10);
        assert_true(number >= 0 && number < 40 && !seen[number]);
        seen[number] = true;
    }
    for (int i = 0; i < 40; i++)
        assert_true(seen[i]);
    assert_int_equal(fs_readdir(c->fs, &root, dir, listing.last_cookie, add_name, &listing), 1);
    struct fs_attr out;
    const struct fs_setattr closed = { .set_mode = true, .mode = 0711 };
    assert_int_equal(fs_setattr(c->fs, &root, dir, &closed, &out), 0);
    assert_int_equal(fs_readdir(c->fs, &alice, dir, 0, add_name, &listing), -EACCES);
    struct fs_attr file = fs_contract_make(c, dir, "file", FS_REGULAR);
    assert_int_equal(fs_readdir(c->fs, &root, file.node, 0, add_name, &listing), -ENOTDIR);
}

struct tally {
    uint8_t *seen;
    size_t count;
};

static bool count_name(void *context, const struct fs_dirent *entry)
{
    struct tally *tally = context;
    char name[16] = "";
    assert_true(entry->name.size < sizeof name);
    memcpy(name, entry->name.data, entry->name.size);
    long number = strtol(name + 1, NULL, 10);
    assert_true(number >= 0 && number < 3000);
    tally->seen[number]++;
    tally->count++;
    return true;
}

static void a_large_directory_is_exact_before_and_after_a_restart(void **state)
{
    struct fs_contract *c = *state;
    struct fs_node dir = fs_contract_directory(c);
    enum { COUNT = 3000 };
    char name[16];
    for (int i = 0; i < COUNT; i++) {
        (void)snprintf(name, sizeof name, "n%d", i);
        (void)fs_contract_make(c, dir, name, FS_REGULAR);
    }
    for (int i = 0; i < COUNT; i += 3) {
        (void)snprintf(name, sizeof name, "n%d", i);
        assert_int_equal(unlink_in(c, &root, dir, name), 0);
    }
    for (int round = 0; round < 2; round++) {
        struct tally tally = { .seen = calloc(COUNT, 1) };
        assert_non_null(tally.seen);
        assert_int_equal(fs_readdir(c->fs, &root, dir, 0, count_name, &tally), 1);
        for (int i = 0; i < COUNT; i++)
            assert_int_equal(tally.seen[i], i % 3 == 0 ? 0 : 1);
        free(tally.seen);
        if (c->reopen == NULL)
            break;
        assert_int_equal(c->reopen(c), 0);
    }
}

struct record_tally {
    int count;
    bool matches;
};

static bool check_record(void *context, struct slice key, struct slice value)
{
    struct record_tally *tally = context;
    tally->count++;
    tally->matches = slice_equal(key, slice_str("key-2")) && slice_equal(value, slice_str("new"));
    return true;
}

static void recovery_records_are_kept(void **state)
{
    struct fs_contract *c = *state;
    assert_int_equal(fs_record_put(c->fs, slice_str("key-1"), slice_str("one")), 0);
    assert_int_equal(fs_record_put(c->fs, slice_str("key-2"), slice_str("two")), 0);
    assert_int_equal(fs_record_put(c->fs, slice_str("key-2"), slice_str("new")), 0);
    assert_int_equal(fs_record_delete(c->fs, slice_str("key-1")), 0);
    assert_int_equal(fs_record_delete(c->fs, slice_str("key-1")), 0);
    if (c->reopen != NULL)
        assert_int_equal(c->reopen(c), 0);
    struct record_tally tally = { 0 };
    assert_int_equal(fs_record_scan(c->fs, check_record, &tally), 0);
    assert_int_equal(tally.count, 1);
    assert_true(tally.matches);
    assert_int_equal(fs_record_delete(c->fs, slice_str("key-2")), 0);
}

static void everything_is_there_after_a_restart(void **state)
{
    struct fs_contract *c = *state;
    struct fs_node dir = fs_contract_directory(c);
    struct fs_attr d = fs_contract_make(c, dir, "d", FS_DIRECTORY);
    struct fs_attr f = fs_contract_make(c, d.node, "f", FS_REGULAR);
    struct fs_attr out;
    const struct fs_setattr change = { .set_mode = true,
        .mode = 0604,
        .set_uid = true,
        .uid = 77,
        .set_gid = true,
        .gid = 88,
        .mtime_how = FS_TIME_CLIENT,
        .mtime = { .seconds = 1234567890, .nanoseconds = 123456789 } };
    assert_int_equal(fs_setattr(c->fs, &root, f.node, &change, &out), 0);
    struct fs_attr dir_before = attr_of(c, d.node);
    if (c->reopen != NULL)
        assert_int_equal(c->reopen(c), 0);
    struct fs_attr after = attr_of(c, f.node);
    assert_int_equal(after.mode, 0604);
    assert_int_equal(after.uid, 77);
    assert_int_equal(after.gid, 88);
    assert_int_equal(after.mtime.seconds, 1234567890);
    assert_int_equal(after.mtime.nanoseconds, 123456789);
    assert_int_equal(after.ctime.seconds, out.ctime.seconds);
    assert_int_equal(after.ctime.nanoseconds, out.ctime.nanoseconds);
    assert_true(after.change >= out.change);
    struct fs_attr dir_after = attr_of(c, d.node);
    assert_true(dir_after.change >= dir_before.change);
    assert_int_equal(dir_after.link_count, dir_before.link_count);
}

const struct CMUnitTest *fs_contract_name_tests(size_t *out_count)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_file_has_what_it_was_made_with),
        cmocka_unit_test(create_modes_are_guarded_unchecked_and_exclusive),
        cmocka_unit_test(every_type_keeps_its_type_and_device),
        cmocka_unit_test(a_long_symlink_comes_back_whole),
        cmocka_unit_test(names_are_bytes_of_any_kind),
        cmocka_unit_test(lookups_say_why_they_fail),
        cmocka_unit_test(directories_count_their_links_and_know_their_parent),
        cmocka_unit_test(directories_show_a_size),
        cmocka_unit_test(only_empty_directories_are_removed),
        cmocka_unit_test(hard_links_share_one_file),
        cmocka_unit_test(rename_replaces_what_it_may),
        cmocka_unit_test(rename_tells_the_changes_of_both_directories),
        cmocka_unit_test(permissions_decide_who_changes_a_directory),
        cmocka_unit_test(attributes_are_set_by_who_may),
        cmocka_unit_test(a_directory_is_listed_in_pieces_whatever_changes_meanwhile),
        cmocka_unit_test(a_large_directory_is_exact_before_and_after_a_restart),
        cmocka_unit_test(recovery_records_are_kept),
        cmocka_unit_test(everything_is_there_after_a_restart),
    };
    *out_count = ARRAY_SIZE(tests);
    return tests;
}
