/*
 * fs/restore.c - bringing back what a snapshot has (room: fs).
 *
 * The server itself asks (no credentials): who may restore is decided before. Directories wait in a list, not on the
 * stack, so the depth of a tree costs nothing.
 */
#include "fs/restore.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/random.h"

#define NAME_SIZE    64u
#define MODE_WORKING 0700u

/* A directory whose entries are still to be made. */
struct job {
    struct fs_attr from;
    struct fs_node to;
};

/* A file with several names that was made under one of them. */
struct linked {
    uint64_t inode; /* in the snapshot */
    struct fs_node to;
};

struct restore {
    struct fs *fs;
    struct job *jobs;
    size_t job_count, job_capacity, next_job;
    struct linked *links;
    size_t link_count, link_capacity;
    struct fs_restored *out;
};

static int grow(void **items, size_t size, size_t count, size_t *capacity)
{
    if (count < *capacity)
        return 0;
    size_t larger = *capacity * 2 + 64;
    void *moved = realloc(*items, larger * size);
    if (moved == NULL)
        return -ENOMEM;
    *items = moved;
    *capacity = larger;
    return 0;
}

/* ---- paths ----------------------------------------------------------------------------------------------- */

/* Follows all but the last name of `path` from `dir`; *out_name is that one, empty for the directory itself. */
static int walk(struct fs *fs, const char *path, struct fs_node *dir, struct slice *out_name)
{
    *out_name = slice_of(path, 0);
    for (;;) {
        path += strspn(path, "/");
        size_t size = strcspn(path, "/");
        struct slice name = slice_of(path, size);
        path += size;
        if (size == 0)
            return 0;
        if (slice_equal(name, slice_str(".")))
            continue;
        if (slice_equal(name, slice_str("..")))
            return -EINVAL;
        if (out_name->size > 0) {
            struct fs_attr attr = { 0 };
            int err = fs_lookup(fs, NULL, *dir, *out_name, &attr);
            if (err == 0 && attr.type != FS_DIRECTORY)
                err = -ENOTDIR;
            if (err < 0)
                return err;
            *dir = attr.node;
        }
        *out_name = name;
    }
}

static int snapshot_root(struct fs *fs, const struct fs_restore *how, struct fs_attr *out_attr)
{
    struct fs_node root = { 0 };
    struct fs_attr list = { 0 };
    int err = fs_root(fs, &root);
    if (err == 0)
        err = fs_snapshot_dir(fs, NULL, root, &list);
    return err < 0 ? err : fs_lookup(fs, NULL, list.node, slice_str(how->snapshot), out_attr);
}

int fs_restore_check(struct fs *fs, const struct fs_restore *how)
{
    struct fs_attr attr = { 0 };
    return snapshot_root(fs, how, &attr);
}

static int find_source(struct fs *fs, const struct fs_restore *how, struct fs_attr *out_attr)
{
    struct slice name = { 0 };
    int err = snapshot_root(fs, how, out_attr);
    struct fs_node dir = out_attr->node;
    if (err == 0)
        err = walk(fs, how->from, &dir, &name);
    return err < 0 || name.size == 0 ? err : fs_lookup(fs, NULL, dir, name, out_attr);
}

/* ---- one file -------------------------------------------------------------------------------------------- */

struct xattrs {
    struct restore *restore;
    uint8_t *names; /* each with its size before it */
    size_t used, capacity;
    int err;
};

static bool note_xattr(void *context, struct slice name, uint64_t cookie)
{
    struct xattrs *xattrs = context;
    (void)cookie;
    while (xattrs->err == 0 && xattrs->capacity - xattrs->used < 1 + name.size)
        xattrs->err = grow((void **)&xattrs->names, 1, xattrs->capacity, &xattrs->capacity);
    if (xattrs->err < 0)
        return false;
    xattrs->names[xattrs->used] = (uint8_t)name.size; /* FS_XATTR_NAME_SIZE_MAX fits */
    memcpy(xattrs->names + xattrs->used + 1, name.data, name.size);
    xattrs->used += 1 + name.size;
    return true;
}

static int copy_xattr(struct fs *fs, struct fs_node from, struct fs_node to, struct slice name)
{
    struct fs_change change;
    struct fs_buffer buffer = { .bytes = malloc(FS_XATTR_VALUE_SIZE_MAX),
        .capacity = FS_XATTR_VALUE_SIZE_MAX };
    if (buffer.bytes == NULL)
        return -ENOMEM;
    int err = fs_getxattr(fs, NULL, from, name, &buffer);
    const struct fs_setxattr set = { name, slice_of(buffer.bytes, buffer.out_size),
        FS_XATTR_EITHER };
    if (err == 0)
        err = fs_setxattr(fs, NULL, to, &set, &change);
    free(buffer.bytes);
    return err;
}

static int copy_xattrs(struct restore *restore, const struct fs_attr *from, struct fs_node to)
{
    struct xattrs xattrs = { .restore = restore };
    bool can_have = from->type == FS_REGULAR || from->type == FS_DIRECTORY;
    if (!can_have || (restore->fs->ops->caps & FS_CAP_XATTRS) == 0)
        return 0;
    int err = fs_listxattr(restore->fs, NULL, from->node, 0, note_xattr, &xattrs);
    err = err < 0 ? err : xattrs.err;
    for (size_t at = 0; err == 0 && at < xattrs.used; at += 1 + (size_t)xattrs.names[at])
        err = copy_xattr(
            restore->fs, from->node, to, slice_of(xattrs.names + at + 1, xattrs.names[at]));
    free(xattrs.names);
    return err;
}

/* What making it, and all that was made in it, has changed. */
static int set_attributes(struct restore *restore, const struct fs_attr *from, struct fs_node to)
{
    struct fs_attr attr = { 0 };
    struct fs_setattr change = { .set_mode = true,
        .mode = from->mode,
        .set_uid = true,
        .uid = from->uid,
        .set_gid = true,
        .gid = from->gid,
        .atime_how = FS_TIME_CLIENT,
        .atime = from->atime,
        .mtime_how = FS_TIME_CLIENT,
        .mtime = from->mtime,
        .set_btime = true,
        .btime = from->btime };
    return fs_setattr(restore->fs, NULL, to, &change, &attr);
}

static int copy_data(struct restore *restore, const struct fs_attr *from, struct fs_node to)
{
    struct fs_attr attr = { 0 };
    const struct fs_clone clone = { .source = from->node, .target = to };
    restore->out->size_bytes += from->size_bytes;
    return from->size_bytes == 0 ? 0 : fs_clone(restore->fs, NULL, &clone, &attr);
}

static int add_job(struct restore *restore, const struct fs_attr *from, struct fs_node to)
{
    int err = grow(
        (void **)&restore->jobs, sizeof *restore->jobs, restore->job_count, &restore->job_capacity);
    if (err == 0)
        restore->jobs[restore->job_count++] = (struct job){ *from, to };
    return err;
}

static int add_link(struct restore *restore, uint64_t inode, struct fs_node to)
{
    int err = grow((void **)&restore->links, sizeof *restore->links, restore->link_count,
        &restore->link_capacity);
    if (err == 0)
        restore->links[restore->link_count++] = (struct linked){ inode, to };
    return err;
}

/* The file that was made already under another of its names; NULL: none. */
static const struct linked *find_link(const struct restore *restore, const struct fs_attr *from)
{
    bool is_shared = from->type != FS_DIRECTORY && from->link_count > 1;
    for (size_t i = 0; is_shared && i < restore->link_count; i++) {
        if (restore->links[i].inode == from->node.inode)
            return &restore->links[i];
    }
    return NULL;
}

static int make_one(
    struct restore *restore, const struct fs_attr *from, struct fs_node dir, struct slice name)
{
    struct fs *fs = restore->fs;
    uint8_t target[FS_SYMLINK_SIZE_MAX];
    size_t target_size = 0;
    struct fs_created created = { 0 };
    struct fs_change change;
    const struct linked *linked = find_link(restore, from);
    restore->out->entries++;
    if (linked != NULL)
        return fs_link(fs, NULL, linked->to, dir, name, &change);
    int err = from->type != FS_SYMLINK
                  ? 0
                  : fs_readlink(fs, from->node, target, sizeof target, &target_size);
    struct fs_create how = { .type = from->type,
        .attr = { .set_mode = true, .mode = MODE_WORKING },
        .symlink = slice_of(target, target_size),
        .device_major = from->device_major,
        .device_minor = from->device_minor };
    if (err == 0)
        err = fs_create(fs, NULL, dir, name, &how, &created);
    if (err < 0)
        return err;
    if (from->type == FS_REGULAR)
        err = copy_data(restore, from, created.attr.node);
    if (err == 0)
        err = copy_xattrs(restore, from, created.attr.node);
    if (err == 0 && from->type == FS_DIRECTORY)
        return add_job(restore, from, created.attr.node); /* its attributes come last */
    if (err == 0)
        err = set_attributes(restore, from, created.attr.node);
    if (err == 0 && from->link_count > 1)
        err = add_link(restore, from->node.inode, created.attr.node);
    return err;
}

/* ---- trees ----------------------------------------------------------------------------------------------- */

/* One entry of a listing that is to be made: calls of the file system are not allowed within it. */
struct entry {
    struct fs_attr attr;
    uint64_t cookie;
    uint8_t size;
    uint8_t name[FS_NAME_SIZE_MAX];
};

struct page {
    struct entry entries[64];
    size_t count;
    int err;
};

static bool note_entry(void *context, const struct fs_dirent *entry)
{
    struct page *page = context;
    if (page->count == ARRAY_SIZE(page->entries))
        return false;
    if (entry->attr_error < 0) {
        page->err = entry->attr_error;
        return false;
    }
    struct entry *to = &page->entries[page->count++];
    to->attr = entry->attr;
    to->cookie = entry->cookie;
    to->size = (uint8_t)entry->name.size;
    memcpy(to->name, entry->name.data, entry->name.size);
    return true;
}

static int make_entries(struct restore *restore, const struct job *job, struct page *page)
{
    uint64_t cookie = 0;
    int result = 0;
    while (result == 0) {
        page->count = 0;
        page->err = 0;
        result = fs_readdir(restore->fs, NULL, job->from.node, cookie, note_entry, page);
        if (page->err < 0)
            result = page->err;
        for (size_t i = 0; result >= 0 && i < page->count; i++) {
            const struct entry *entry = &page->entries[i];
            int err = make_one(restore, &entry->attr, job->to, slice_of(entry->name, entry->size));
            cookie = entry->cookie;
            if (err < 0)
                result = err;
        }
    }
    return result < 0 ? result : 0;
}

static int make_tree(struct restore *restore)
{
    struct page *page = malloc(sizeof *page);
    if (page == NULL)
        return -ENOMEM;
    int err = 0;
    for (; err == 0 && restore->next_job < restore->job_count; restore->next_job++) {
        const struct job job = restore->jobs[restore->next_job];
        err = make_entries(restore, &job, page);
    }
    free(page);
    /* Deepest first: what is made in a directory changes it. */
    for (size_t i = restore->job_count; err == 0 && i > 0; i--)
        err = set_attributes(restore, &restore->jobs[i - 1].from, restore->jobs[i - 1].to);
    return err;
}

/* Takes away what was made before something failed. What cannot be removed stays under its name. */
static void clear(struct restore *restore, struct fs_node dir, struct slice name)
{
    struct page *page = malloc(sizeof *page);
    struct fs_change change;
    int result = 1;
    for (size_t i = restore->job_count; page != NULL && i > 0 && result >= 0; i--) {
        struct fs_node at = restore->jobs[i - 1].to;
        do {
            page->count = 0;
            page->err = 0;
            result = fs_readdir(restore->fs, NULL, at, 0, note_entry, page);
            for (size_t k = 0; k < page->count && result >= 0; k++) {
                struct slice entry = slice_of(page->entries[k].name, page->entries[k].size);
                int err = fs_remove(restore->fs, NULL, at, entry, &change);
                result = err < 0 ? err : result;
            }
        } while (result == 0);
    }
    free(page);
    (void)fs_remove(restore->fs, NULL, dir, name, &change); /* what is left is a hidden name */
}

/* Something may be at the place: only a file, and only a file can take its place. */
static int check_place(
    struct fs *fs, const struct fs_attr *from, struct fs_node dir, struct slice name)
{
    struct fs_attr attr = { 0 };
    int err = fs_lookup(fs, NULL, dir, name, &attr);
    if (err < 0)
        return err == -ENOENT ? 0 : err;
    return from->type == FS_DIRECTORY || attr.type == FS_DIRECTORY ? -EEXIST : 0;
}

int fs_restore(struct fs *fs, const struct fs_restore *how, struct fs_restored *out_restored)
{
    struct restore restore = { .fs = fs, .out = out_restored };
    struct fs_attr from = { 0 };
    struct fs_node dir = { 0 };
    struct slice name = { 0 };
    struct fs_renamed renamed;
    char working[NAME_SIZE];
    *out_restored = (struct fs_restored){ 0 };
    int err = find_source(fs, how, &from);
    if (err == 0)
        err = fs_root(fs, &dir);
    if (err == 0)
        err = walk(fs, how->to, &dir, &name);
    if (err == 0 && name.size == 0)
        err = -EEXIST; /* the root */
    if (err == 0)
        err = check_place(fs, &from, dir, name);
    if (err < 0)
        return err;
    (void)snprintf(working, sizeof working, ".shoal-restore-%016" PRIx64, random_u64());
    err = make_one(&restore, &from, dir, slice_str(working));
    if (err == 0)
        err = make_tree(&restore);
    const struct fs_rename place = { dir, slice_str(working), dir, name };
    if (err == 0)
        err = fs_rename(fs, NULL, &place, &renamed);
    if (err < 0)
        clear(&restore, dir, slice_str(working));
    free(restore.jobs);
    free(restore.links);
    return err == -ENOTEMPTY || err == -EISDIR || err == -ENOTDIR ? -EEXIST : err;
}
