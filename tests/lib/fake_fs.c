/*
 * tests/lib/fake_fs.c - a file system in memory, for tests of what stands above fs/fs.h.
 *
 * Nodes are in one list and never freed before the whole; names are in one list of entries. A node whose last name is
 * gone and that nobody holds is dead: -ESTALE.
 */
#include "tests/lib/fake_fs.h"

#include <stdlib.h>

#include "fs/perm.h"
#include "tests/lib/fake_fs_internal.h"

#define SETGID_BIT 02000u

static unsigned *call_counter(struct fake_fs *fake, const char *op)
{
    for (size_t i = 0; i < CALL_NAMES_MAX; i++) {
        if (fake->calls[i].name == NULL)
            fake->calls[i].name = op;
        if (strcmp(fake->calls[i].name, op) == 0)
            return &fake->calls[i].count;
    }
    abort();
}

/* Counts a call; 0, or the error it was told to give. */
int fake_begin(struct fake_fs *fake, const char *op)
{
    (*call_counter(fake, op))++;
    if (fake->fail_op == NULL || strcmp(fake->fail_op, op) != 0 || --fake->fail_after > 0)
        return 0;
    fake->fail_op = NULL;
    return fake->fail_error;
}

struct fake_node *fake_node_find(struct fake_fs *fake, struct fs_node id)
{
    LIST_FOR_EACH(at, &fake->nodes)
    {
        struct fake_node *node = LIST_ENTRY(at, struct fake_node, link);
        if (fs_node_equal(node->attr.node, id))
            return node->attr.link_count > 0 || node->hold_count > 0 ? node : NULL;
    }
    return NULL;
}

static struct fake_entry *entry_find(struct fake_fs *fake, struct fs_node dir, struct slice name)
{
    LIST_FOR_EACH(at, &fake->entries)
    {
        struct fake_entry *entry = LIST_ENTRY(at, struct fake_entry, link);
        if (fs_node_equal(entry->dir, dir) &&
            slice_equal(slice_of(entry->name, entry->name_size), name))
            return entry;
    }
    return NULL;
}

static bool dir_is_empty(struct fake_fs *fake, struct fs_node dir)
{
    LIST_FOR_EACH(at, &fake->entries)
    {
        if (fs_node_equal(LIST_ENTRY(at, struct fake_entry, link)->dir, dir))
            return false;
    }
    return true;
}

/* The directory `id`, in which `cred` has all of `wanted`. */
static int dir_find(struct fake_fs *fake, const struct fs_cred *cred, struct fs_node id,
    unsigned wanted, struct fake_node **out_dir)
{
    struct fake_node *dir = fake_node_find(fake, id);
    if (dir == NULL)
        return -ESTALE;
    if (dir->attr.type != FS_DIRECTORY)
        return -ENOTDIR;
    *out_dir = dir;
    return perm_check(cred, &dir->attr, wanted);
}

static struct fs_time now_of(struct fake_fs *fake)
{
    return (struct fs_time){ .seconds = ++fake->now_s };
}

void fake_changed(struct fake_fs *fake, struct fake_node *node, bool data)
{
    node->attr.change++;
    node->attr.ctime = now_of(fake);
    if (data)
        node->attr.mtime = node->attr.ctime;
}

static struct fake_node *node_new(struct fake_fs *fake, enum fs_type type)
{
    struct fake_node *node = calloc(1, sizeof *node);
    if (node == NULL)
        abort();
    node->attr = (struct fs_attr){
        .node = { .inode = fake->next_inode++, .generation = 7 }, .type = type, .change = 1
    };
    node->attr.atime = node->attr.mtime = node->attr.ctime = node->attr.btime = now_of(fake);
    list_init(&node->pages);
    list_init(&node->xattrs);
    list_add_tail(&fake->nodes, &node->link);
    return node;
}

static void entry_add(
    struct fake_fs *fake, struct fake_node *dir, struct slice name, struct fake_node *node)
{
    assert(name.size >= 1 && name.size <= FS_NAME_SIZE_MAX);
    struct fake_entry *entry = calloc(1, sizeof *entry);
    if (entry == NULL)
        abort();
    *entry = (struct fake_entry){
        .dir = dir->attr.node, .node = node, .cookie = fake->next_cookie++, .name_size = name.size
    };
    memcpy(entry->name, name.data, name.size);
    list_add_tail(&fake->entries, &entry->link);
    if (node->attr.type == FS_DIRECTORY) {
        node->parent = dir->attr.node;
        dir->attr.link_count++;
    }
    fake_changed(fake, dir, true);
}

static void entry_drop(struct fake_fs *fake, struct fake_node *dir, struct fake_entry *entry)
{
    if (entry->node->attr.type == FS_DIRECTORY)
        dir->attr.link_count--;
    fake_changed(fake, dir, true);
    list_remove(&entry->link);
    free(entry);
}

/* What a dead node kept is free again. */
static void node_bury(struct fake_fs *fake, struct fake_node *node)
{
    if (node->attr.link_count == 0 && node->hold_count == 0)
        fake_data_resize(fake, node, 0);
}

static int attr_apply(struct fake_fs *fake, struct fake_node *node, const struct fs_setattr *set)
{
    if (set->set_size) {
        if (node->attr.type != FS_REGULAR)
            return node->attr.type == FS_DIRECTORY ? -EISDIR : -EINVAL;
        if (set->size_bytes > FS_FILE_SIZE_MAX)
            return -EFBIG;
        fake_data_resize(fake, node, set->size_bytes);
    }
    if (set->set_mode)
        node->attr.mode = set->mode;
    if (set->set_uid)
        node->attr.uid = set->uid;
    if (set->set_gid)
        node->attr.gid = set->gid;
    fake_changed(fake, node, set->set_size);
    if (set->atime_how != FS_TIME_KEEP)
        node->attr.atime = set->atime_how == FS_TIME_CLIENT ? set->atime : now_of(fake);
    if (set->mtime_how != FS_TIME_KEEP)
        node->attr.mtime = set->mtime_how == FS_TIME_CLIENT ? set->mtime : now_of(fake);
    if (set->set_btime)
        node->attr.btime = set->btime;
    return 0;
}

static int fake_root(struct fs *fs, struct fs_node *out_node)
{
    struct fake_fs *fake = fake_of(fs);
    *out_node = LIST_ENTRY(fake->nodes.next, struct fake_node, link)->attr.node;
    return fake_begin(fake, "root");
}

static int fake_getattr(struct fs *fs, struct fs_node id, struct fs_attr *out_attr)
{
    struct fake_fs *fake = fake_of(fs);
    int err = fake_begin(fake, "getattr");
    if (err < 0)
        return err;
    struct fake_node *node = fake_node_find(fake, id);
    if (node == NULL)
        return -ESTALE;
    *out_attr = node->attr;
    return 0;
}

static int fake_setattr(struct fs *fs, const struct fs_cred *cred, struct fs_node id,
    const struct fs_setattr *change, struct fs_attr *out_attr)
{
    struct fake_fs *fake = fake_of(fs);
    int err = fake_begin(fake, "setattr");
    if (err < 0)
        return err;
    struct fake_node *node = fake_node_find(fake, id);
    if (node == NULL)
        return -ESTALE;
    struct fs_setattr allowed = *change;
    err = perm_check_setattr(cred, &node->attr, &allowed);
    if (err < 0)
        return err;
    err = attr_apply(fake, node, &allowed);
    if (err < 0)
        return err;
    *out_attr = node->attr;
    return 0;
}

static int fake_lookup(struct fs *fs, const struct fs_cred *cred, struct fs_node dir_id,
    struct slice name, struct fs_attr *out_attr)
{
    struct fake_fs *fake = fake_of(fs);
    struct fake_node *dir;
    int err = fake_begin(fake, "lookup");
    if (err == 0)
        err = dir_find(fake, cred, dir_id, PERM_EXECUTE, &dir);
    if (err < 0)
        return err;
    struct fake_entry *entry = entry_find(fake, dir_id, name);
    if (entry == NULL)
        return -ENOENT;
    *out_attr = entry->node->attr;
    return 0;
}

static int fake_parent(
    struct fs *fs, const struct fs_cred *cred, struct fs_node dir_id, struct fs_attr *out_attr)
{
    struct fake_fs *fake = fake_of(fs);
    struct fake_node *dir;
    int err = fake_begin(fake, "parent");
    if (err == 0)
        err = dir_find(fake, cred, dir_id, PERM_EXECUTE, &dir);
    if (err < 0)
        return err;
    struct fake_node *parent = fake_node_find(fake, dir->parent);
    if (parent == NULL)
        return -ENOENT;
    *out_attr = parent->attr;
    return 0;
}

static int create_on_existing(struct fake_fs *fake, struct fake_node *dir, struct fake_node *node,
    const struct fs_create *how, struct fs_created *out)
{
    if (how->mode == FS_CREATE_GUARDED)
        return -EEXIST;
    if (how->mode == FS_CREATE_EXCLUSIVE &&
        (!node->has_verifier || memcmp(node->verifier, how->verifier, FS_VERIFIER_SIZE) != 0))
        return -EEXIST;
    (void)fake;
    *out = (struct fs_created){
        .attr = node->attr, .existed = true, .change = { dir->attr.change, dir->attr.change }
    };
    return 0;
}

static void node_fill(struct fake_fs *fake, const struct fs_cred *cred, struct fake_node *dir,
    struct fake_node *node, const struct fs_create *how)
{
    node->attr.link_count = how->type == FS_DIRECTORY ? 2 : 1;
    node->attr.size_bytes = how->type == FS_DIRECTORY ? PAGE_BYTES : 0;
    node->attr.uid = cred != NULL ? cred->uid : 0;
    node->attr.gid = (dir->attr.mode & SETGID_BIT) != 0 ? dir->attr.gid
                     : cred != NULL                     ? cred->gid
                                                        : 0;
    node->attr.device_major = how->device_major;
    node->attr.device_minor = how->device_minor;
    if (how->mode == FS_CREATE_EXCLUSIVE) {
        memcpy(node->verifier, how->verifier, FS_VERIFIER_SIZE);
        node->has_verifier = true;
    }
    if (how->type == FS_SYMLINK) {
        node->attr.mode = 0777;
        node->attr.size_bytes = node->symlink_size = how->symlink.size;
        node->symlink = malloc(how->symlink.size);
        if (node->symlink == NULL)
            abort();
        memcpy(node->symlink, how->symlink.data, how->symlink.size);
    } else {
        (void)attr_apply(fake, node, &how->attr); /* a new file takes any attributes */
    }
    if (how->type == FS_DIRECTORY)
        node->attr.mode |= dir->attr.mode & SETGID_BIT;
    node->attr.change = 1;
}

static int fake_create(struct fs *fs, const struct fs_cred *cred, struct fs_node dir_id,
    struct slice name, const struct fs_create *how, struct fs_created *out)
{
    struct fake_fs *fake = fake_of(fs);
    struct fake_node *dir;
    int err = fake_begin(fake, "create");
    if (err == 0)
        err = dir_find(fake, cred, dir_id, PERM_EXECUTE, &dir);
    if (err < 0)
        return err;
    struct fake_entry *existing = entry_find(fake, dir_id, name);
    if (existing != NULL)
        return create_on_existing(fake, dir, existing->node, how, out);
    err = perm_check(cred, &dir->attr, PERM_WRITE);
    if (err < 0)
        return err;
    struct fake_node *node = node_new(fake, how->type);
    node_fill(fake, cred, dir, node, how);
    uint64_t before = dir->attr.change;
    entry_add(fake, dir, name, node);
    *out = (struct fs_created){ .attr = node->attr, .change = { before, dir->attr.change } };
    return 0;
}

static int fake_link(struct fs *fs, const struct fs_cred *cred, struct fs_node id,
    struct fs_node dir_id, struct slice name, struct fs_change *out_change)
{
    struct fake_fs *fake = fake_of(fs);
    struct fake_node *dir;
    int err = fake_begin(fake, "link");
    if (err == 0)
        err = dir_find(fake, cred, dir_id, PERM_EXECUTE | PERM_WRITE, &dir);
    if (err < 0)
        return err;
    struct fake_node *node = fake_node_find(fake, id);
    if (node == NULL)
        return -ESTALE;
    if (node->attr.type == FS_DIRECTORY)
        return -EISDIR;
    if (entry_find(fake, dir_id, name) != NULL)
        return -EEXIST;
    if (node->attr.link_count >= FS_LINK_COUNT_MAX)
        return -EMLINK;
    out_change->before = dir->attr.change;
    node->attr.link_count++;
    fake_changed(fake, node, false);
    entry_add(fake, dir, name, node);
    out_change->after = dir->attr.change;
    return 0;
}

static int fake_remove(struct fs *fs, const struct fs_cred *cred, struct fs_node dir_id,
    struct slice name, struct fs_change *out_change)
{
    struct fake_fs *fake = fake_of(fs);
    struct fake_node *dir;
    int err = fake_begin(fake, "remove");
    if (err == 0)
        err = dir_find(fake, cred, dir_id, PERM_EXECUTE, &dir);
    if (err < 0)
        return err;
    struct fake_entry *entry = entry_find(fake, dir_id, name);
    if (entry == NULL)
        return -ENOENT;
    struct fake_node *node = entry->node;
    err = perm_check_remove(cred, &dir->attr, &node->attr);
    if (err < 0)
        return err;
    if (node->attr.type == FS_DIRECTORY && !dir_is_empty(fake, node->attr.node))
        return -ENOTEMPTY;
    out_change->before = dir->attr.change;
    node->attr.link_count = node->attr.type == FS_DIRECTORY ? 0 : node->attr.link_count - 1;
    fake_changed(fake, node, false);
    entry_drop(fake, dir, entry);
    node_bury(fake, node);
    out_change->after = dir->attr.change;
    return 0;
}

static bool is_below(struct fake_fs *fake, struct fs_node dir, struct fs_node top)
{
    for (struct fake_node *at = fake_node_find(fake, dir); at != NULL;
         at = fake_node_find(fake, at->parent)) {
        if (fs_node_equal(at->attr.node, top))
            return true;
    }
    return false;
}

/* Whether `node` may take the place of `target`. */
static int rename_check(
    struct fake_fs *fake, struct fake_node *node, struct fake_node *target, struct fs_node to_dir)
{
    bool is_dir = node->attr.type == FS_DIRECTORY;
    if (is_dir && is_below(fake, to_dir, node->attr.node))
        return -EINVAL;
    if (target == NULL)
        return 0;
    bool target_is_dir = target->attr.type == FS_DIRECTORY;
    if (is_dir != target_is_dir)
        return target_is_dir ? -EISDIR : -ENOTDIR;
    return target_is_dir && !dir_is_empty(fake, target->attr.node) ? -ENOTEMPTY : 0;
}

static int fake_rename(
    struct fs *fs, const struct fs_cred *cred, const struct fs_rename *how, struct fs_renamed *out)
{
    struct fake_fs *fake = fake_of(fs);
    struct fake_node *from = NULL;
    struct fake_node *to = NULL;
    int err = fake_begin(fake, "rename");
    if (err == 0)
        err = dir_find(fake, cred, how->from_dir, PERM_EXECUTE, &from);
    if (err == 0)
        err = dir_find(fake, cred, how->to_dir, PERM_EXECUTE, &to);
    if (err < 0)
        return err;
    struct fake_entry *entry = entry_find(fake, how->from_dir, how->from_name);
    struct fake_entry *target = entry_find(fake, how->to_dir, how->to_name);
    if (entry == NULL)
        return -ENOENT;
    *out = (struct fs_renamed){ .from_change = { from->attr.change, from->attr.change },
        .to_change = { to->attr.change, to->attr.change } };
    struct fake_node *node = entry->node;
    if (target != NULL && target->node == node)
        return 0;
    err = perm_check_remove(cred, &from->attr, &node->attr);
    if (err == 0)
        err = perm_check(cred, &to->attr, PERM_WRITE);
    if (err == 0)
        err = rename_check(fake, node, target != NULL ? target->node : NULL, how->to_dir);
    if (err < 0)
        return err;
    if (target != NULL) {
        struct fake_node *replaced = target->node;
        replaced->attr.link_count -= replaced->attr.type == FS_DIRECTORY ? 2 : 1;
        entry_drop(fake, to, target);
        node_bury(fake, replaced);
    }
    struct slice to_name = how->to_name;
    entry_drop(fake, from, entry);
    entry_add(fake, to, to_name, node);
    fake_changed(fake, node, false);
    out->from_change.after = from->attr.change;
    out->to_change.after = to->attr.change;
    return 0;
}

static int fake_readlink(
    struct fs *fs, struct fs_node id, uint8_t *buffer, size_t capacity, size_t *out_size)
{
    struct fake_fs *fake = fake_of(fs);
    int err = fake_begin(fake, "readlink");
    if (err < 0)
        return err;
    struct fake_node *node = fake_node_find(fake, id);
    if (node == NULL)
        return -ESTALE;
    if (node->attr.type != FS_SYMLINK)
        return -EINVAL;
    if (node->symlink_size > capacity)
        return -ERANGE;
    memcpy(buffer, node->symlink, node->symlink_size);
    *out_size = node->symlink_size;
    return 0;
}

static int fake_readdir(struct fs *fs, const struct fs_cred *cred, struct fs_node dir_id,
    uint64_t cookie, fs_emit *emit, void *context)
{
    struct fake_fs *fake = fake_of(fs);
    struct fake_node *dir;
    int err = fake_begin(fake, "readdir");
    if (err == 0)
        err = dir_find(fake, cred, dir_id, PERM_READ, &dir);
    if (err < 0)
        return err;
    LIST_FOR_EACH(at, &fake->entries)
    {
        struct fake_entry *entry = LIST_ENTRY(at, struct fake_entry, link);
        if (!fs_node_equal(entry->dir, dir_id) || entry->cookie <= cookie)
            continue;
        struct fs_dirent dirent = { .name = slice_of(entry->name, entry->name_size),
            .cookie = entry->cookie,
            .attr = entry->node->attr,
            .attr_error = fake_begin(fake, "dirent") };
        if (!emit(context, &dirent))
            return 0;
    }
    return 1;
}

static void fake_writeverf(struct fs *fs, uint8_t out_verifier[FS_VERIFIER_SIZE])
{
    memcpy(out_verifier, &fake_of(fs)->writeverf, FS_VERIFIER_SIZE);
}

static int fake_hold(struct fs *fs, struct fs_node id)
{
    struct fake_fs *fake = fake_of(fs);
    int err = fake_begin(fake, "hold");
    if (err < 0)
        return err;
    struct fake_node *node = fake_node_find(fake, id);
    if (node == NULL)
        return -ESTALE;
    node->hold_count++;
    return 0;
}

static void fake_release(struct fs *fs, struct fs_node id)
{
    struct fake_node *node = fake_node_find(fake_of(fs), id);
    assert(node != NULL && node->hold_count > 0);
    node->hold_count--;
    node_bury(fake_of(fs), node);
}

static uint64_t live_count(struct fake_fs *fake)
{
    uint64_t count = 0;
    LIST_FOR_EACH(at, &fake->nodes)
    {
        const struct fake_node *node = LIST_ENTRY(at, struct fake_node, link);
        count += node->attr.link_count > 0 || node->hold_count > 0;
    }
    return count;
}

static int fake_space(struct fs *fs, struct fs_space *out_space)
{
    *out_space = (struct fs_space){ .total_bytes = UINT64_C(1) << 60,
        .free_bytes = UINT64_C(1) << 59,
        .available_bytes = UINT64_C(1) << 58,
        .total_files = 1000000,
        .free_files = 999000,
        .used_bytes = fake_of(fs)->used_bytes,
        .used_files = live_count(fake_of(fs)) };
    return fake_begin(fake_of(fs), "space");
}

static struct fake_record *record_find(struct fake_fs *fake, struct slice key)
{
    LIST_FOR_EACH(at, &fake->records)
    {
        struct fake_record *record = LIST_ENTRY(at, struct fake_record, link);
        if (slice_equal(slice_of(record->key, record->key_size), key))
            return record;
    }
    return NULL;
}

static int fake_record_put(struct fs *fs, struct slice key, struct slice value)
{
    struct fake_fs *fake = fake_of(fs);
    int err = fake_begin(fake, "record_put");
    if (err < 0)
        return err;
    struct fake_record *record = record_find(fake, key);
    if (record == NULL) {
        record = calloc(1, sizeof *record);
        if (record == NULL)
            abort();
        list_add_tail(&fake->records, &record->link);
    }
    assert(key.size <= sizeof record->key && value.size <= sizeof record->value);
    record->key_size = key.size;
    memcpy(record->key, key.data, key.size);
    record->value_size = value.size;
    if (value.size > 0)
        memcpy(record->value, value.data, value.size);
    return 0;
}

static int fake_record_delete(struct fs *fs, struct slice key)
{
    struct fake_fs *fake = fake_of(fs);
    int err = fake_begin(fake, "record_delete");
    if (err < 0)
        return err;
    struct fake_record *record = record_find(fake, key);
    if (record != NULL) {
        list_remove(&record->link);
        free(record);
    }
    return 0;
}

static int fake_record_scan(struct fs *fs, fs_record_emit *emit, void *context)
{
    struct fake_fs *fake = fake_of(fs);
    int err = fake_begin(fake, "record_scan");
    if (err < 0)
        return err;
    LIST_FOR_EACH(at, &fake->records)
    {
        struct fake_record *record = LIST_ENTRY(at, struct fake_record, link);
        if (!emit(context, slice_of(record->key, record->key_size),
                slice_of(record->value, record->value_size)))
            break;
    }
    return 0;
}

static const struct fs_ops fake_fs_ops = {
    .name = "fake",
    .caps = FS_CAP_HOLES | FS_CAP_CLONE | FS_CAP_XATTRS | FS_CAP_USAGE,
    .root = fake_root,
    .getattr = fake_getattr,
    .setattr = fake_setattr,
    .lookup = fake_lookup,
    .parent = fake_parent,
    .create = fake_create,
    .link = fake_link,
    .remove = fake_remove,
    .rename = fake_rename,
    .readlink = fake_readlink,
    .readdir = fake_readdir,
    .read = fake_read,
    .write = fake_write,
    .commit = fake_commit,
    .writeverf = fake_writeverf,
    .hold = fake_hold,
    .release = fake_release,
    .space = fake_space,
    .record_put = fake_record_put,
    .record_delete = fake_record_delete,
    .record_scan = fake_record_scan,
    .seek = fake_seek,
    .read_segments = fake_read_segments,
    .allocate = fake_allocate,
    .deallocate = fake_deallocate,
    .clone = fake_clone,
    .getxattr = fake_getxattr,
    .setxattr = fake_setxattr,
    .listxattr = fake_listxattr,
    .removexattr = fake_removexattr,
    .usage = fake_usage,
    .quota_set = fake_quota_set,
    .quota_get = fake_quota_get,
    .quota_space = fake_quota_space,
    .verify_start = fake_verify_start,
    .verify_stop = fake_verify_start,
    .verify_get = fake_verify_get,
    .snapshot_create = fake_snapshot_create,
    .snapshot_delete = fake_snapshot_delete,
    .snapshot_list = fake_snapshot_list,
    .snapshot_dir = fake_snapshot_dir,
    .place_of = fake_place_of,
};

struct fs *fake_fs_new(void)
{
    struct fake_fs *fake = calloc(1, sizeof *fake);
    if (fake == NULL)
        abort();
    *fake = (struct fake_fs){ .fs.ops = &fake_fs_ops,
        .next_inode = 2,
        .next_cookie = FS_COOKIE_FIRST,
        .now_s = 1000000000,
        .writeverf = 1 };
    list_init(&fake->nodes);
    list_init(&fake->entries);
    list_init(&fake->records);
    struct fake_node *root = node_new(fake, FS_DIRECTORY);
    root->attr.mode = 0755;
    root->attr.size_bytes = PAGE_BYTES;
    root->attr.link_count = 2;
    return &fake->fs;
}

static void node_free(struct fake_fs *fake, struct fake_node *node)
{
    fake_data_resize(fake, node, 0);
    fake_xattrs_free(node);
    free(node->symlink);
    free(node);
}

void fake_fs_free(struct fs *fs)
{
    if (fs == NULL)
        return;
    struct fake_fs *fake = fake_of(fs);
    LIST_FOR_EACH_SAFE(at, &fake->entries)
    free(LIST_ENTRY(at, struct fake_entry, link));
    LIST_FOR_EACH_SAFE(at, &fake->nodes)
    node_free(fake, LIST_ENTRY(at, struct fake_node, link));
    LIST_FOR_EACH_SAFE(at, &fake->records)
    free(LIST_ENTRY(at, struct fake_record, link));
    free(fake);
}

void fake_fs_fail(struct fs *fs, const char *op, unsigned after, int error)
{
    struct fake_fs *fake = fake_of(fs);
    assert(after > 0 && error < 0);
    fake->fail_op = op;
    fake->fail_after = after;
    fake->fail_error = error;
}

unsigned fake_fs_hold_count(const struct fs *fs)
{
    const struct fake_fs *fake = (const struct fake_fs *)(const void *)fs;
    unsigned count = 0;
    LIST_FOR_EACH(at, &fake->nodes)
    count += LIST_ENTRY(at, struct fake_node, link)->hold_count;
    return count;
}

unsigned fake_fs_call_count(const struct fs *fs, const char *op)
{
    const struct fake_fs *fake = (const struct fake_fs *)(const void *)fs;
    for (size_t i = 0; i < CALL_NAMES_MAX && fake->calls[i].name != NULL; i++) {
        if (strcmp(fake->calls[i].name, op) == 0)
            return fake->calls[i].count;
    }
    return 0;
}

void fake_fs_change_writeverf(struct fs *fs)
{
    fake_of(fs)->writeverf++;
}

unsigned fake_fs_record_count(const struct fs *fs)
{
    const struct fake_fs *fake = (const struct fake_fs *)(const void *)fs;
    unsigned count = 0;
    LIST_FOR_EACH(at, &fake->records)
    count++;
    return count;
}
