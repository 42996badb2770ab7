/*
 * tests/lib/fake_fs_extra.c - holes, clones and extended attributes of the fake file system.
 *
 * A page that is there is data, one that is not a hole; a clone copies. allocate() reserves nothing.
 */
#include <stdlib.h>

#include "fs/perm.h"
#include "tests/lib/fake_fs_internal.h"

static void data_changed(
    struct fake_fs *fake, const struct fs_cred *cred, struct fake_node *node, struct fs_attr *out)
{
    node->attr.mode = perm_mode_after_write(cred, &node->attr);
    fake_changed(fake, node, true);
    *out = node->attr;
}

/* Where the next page from `offset` on begins, or `offset` within one; UINT64_MAX: there is none. It walks pages that
 * exist, as a sparse file may have 2^51 that do not. */
static uint64_t next_data(struct fake_node *node, uint64_t offset)
{
    uint64_t found = UINT64_MAX;
    LIST_FOR_EACH(at, &node->pages)
    {
        const struct fake_page *page = LIST_ENTRY(at, struct fake_page, link);
        if (page->offset + PAGE_BYTES > offset)
            found = min_u64(found, max_u64(page->offset, offset));
    }
    return found;
}

static uint64_t next_hole(struct fake_node *node, uint64_t offset)
{
    while (fake_page_find(node, round_down(offset, PAGE_BYTES)) != NULL)
        offset = round_down(offset, PAGE_BYTES) + PAGE_BYTES;
    return offset;
}

int fake_seek(
    struct fs *fs, struct fs_node id, uint64_t offset, enum fs_seek_what what, uint64_t *out_offset)
{
    struct fake_fs *fake = fake_of(fs);
    struct fake_node *node = NULL;
    int err = fake_begin(fake, "seek");
    if (err == 0)
        err = fake_file_find(fake, id, &node);
    if (err < 0 || node == NULL)
        return err;
    uint64_t size = node->attr.size_bytes;
    if (offset >= size)
        return -ENXIO;
    uint64_t found = what == FS_SEEK_DATA ? next_data(node, offset) : next_hole(node, offset);
    if (what == FS_SEEK_DATA && found >= size)
        return -ENXIO;
    *out_offset = min_u64(found, size);
    return 0;
}

int fake_read_segments(struct fs *fs, struct fs_node id, struct fs_read_segments *read)
{
    struct fake_fs *fake = fake_of(fs);
    struct fake_node *node = NULL;
    int err = fake_begin(fake, "read_segments");
    if (err == 0)
        err = fake_file_find(fake, id, &node);
    if (err == 0)
        err = fs->ops->read(fs, id, read->offset, read->buffer, read->size, &read->out);
    if (err < 0 || node == NULL)
        return err;
    read->out_segment_count = 0;
    for (size_t done = 0; done < read->out.size;) {
        uint64_t at = read->offset + done;
        size_t part = min_size(read->out.size - done, PAGE_BYTES - (size_t)(at % PAGE_BYTES));
        bool is_hole = fake_page_find(node, round_down(at, PAGE_BYTES)) == NULL;
        struct fs_segment *last =
            read->out_segment_count == 0 ? NULL : &read->segments[read->out_segment_count - 1];
        if (last != NULL && last->is_hole == is_hole) {
            last->size_bytes += part;
        } else if (read->out_segment_count == read->segment_max) {
            read->out = (struct fs_read){ .size = done, .at_end = false };
            break;
        } else {
            read->segments[read->out_segment_count++] = (struct fs_segment){ at, part, is_hole };
        }
        done += part;
    }
    return 0;
}

int fake_allocate(struct fs *fs, const struct fs_cred *cred, struct fs_node id, uint64_t offset,
    uint64_t size_bytes, struct fs_attr *out_attr)
{
    struct fake_fs *fake = fake_of(fs);
    struct fake_node *node = NULL;
    int err = fake_begin(fake, "allocate");
    if (err == 0)
        err = fake_file_find(fake, id, &node);
    if (err < 0 || node == NULL)
        return err;
    if (size_bytes == 0)
        return -EINVAL;
    if (offset > FS_FILE_SIZE_MAX || size_bytes > FS_FILE_SIZE_MAX - offset)
        return -EFBIG;
    node->attr.size_bytes = max_u64(node->attr.size_bytes, offset + size_bytes);
    data_changed(fake, cred, node, out_attr);
    return 0;
}

int fake_deallocate(struct fs *fs, const struct fs_cred *cred, struct fs_node id, uint64_t offset,
    uint64_t size_bytes, struct fs_attr *out_attr)
{
    struct fake_fs *fake = fake_of(fs);
    struct fake_node *node = NULL;
    int err = fake_begin(fake, "deallocate");
    if (err == 0)
        err = fake_file_find(fake, id, &node);
    if (err < 0 || node == NULL)
        return err;
    if (size_bytes == 0 || size_bytes > UINT64_MAX - offset)
        return -EINVAL;
    uint64_t end = offset + size_bytes;
    LIST_FOR_EACH_SAFE(at, &node->pages)
    {
        struct fake_page *page = LIST_ENTRY(at, struct fake_page, link);
        uint64_t from = max_u64(offset, page->offset);
        uint64_t to = min_u64(end, page->offset + PAGE_BYTES);
        if (from >= to)
            continue;
        bool is_rest = page->offset + PAGE_BYTES >= node->attr.size_bytes;
        if (from == page->offset &&
            (to == from + PAGE_BYTES || (is_rest && to >= node->attr.size_bytes)))
            fake_page_drop(fake, node, page);
        else
            memset(page->data + (from - page->offset), 0, to - from);
    }
    data_changed(fake, cred, node, out_attr);
    return 0;
}

static int check_clone(const struct fs_clone *how, const struct fake_node *source,
    const struct fake_node *target, uint64_t *out_size)
{
    uint64_t source_size = source->attr.size_bytes;
    if (how->source_offset % FS_CLONE_BLOCK_BYTES != 0 ||
        how->target_offset % FS_CLONE_BLOCK_BYTES != 0 || how->source_offset > source_size ||
        how->size_bytes > source_size - how->source_offset)
        return -EINVAL;
    uint64_t size = how->size_bytes != 0 ? how->size_bytes : source_size - how->source_offset;
    if (how->target_offset > FS_FILE_SIZE_MAX || size > FS_FILE_SIZE_MAX - how->target_offset)
        return -EFBIG;
    if (size % FS_CLONE_BLOCK_BYTES != 0 &&
        (how->source_offset + size != source_size ||
            how->target_offset + size < target->attr.size_bytes))
        return -EINVAL;
    if (source == target && how->source_offset < how->target_offset + size &&
        how->target_offset < how->source_offset + size)
        return -EINVAL;
    *out_size = size;
    return 0;
}

int fake_clone(
    struct fs *fs, const struct fs_cred *cred, const struct fs_clone *how, struct fs_attr *out_attr)
{
    struct fake_fs *fake = fake_of(fs);
    struct fake_node *source = NULL;
    struct fake_node *target = NULL;
    uint64_t size = 0;
    int err = fake_begin(fake, "clone");
    if (err == 0)
        err = fake_file_find(fake, how->source, &source);
    if (err == 0)
        err = fake_file_find(fake, how->target, &target);
    if (err == 0)
        err = check_clone(how, source, target, &size);
    if (err < 0 || source == NULL || target == NULL)
        return err;
    for (uint64_t done = 0; done < size; done += PAGE_BYTES) {
        struct fake_page *from = fake_page_find(source, how->source_offset + done);
        struct fake_page *to = fake_page_find(target, how->target_offset + done);
        if (from != NULL) {
            to = fake_page_get(fake, target, how->target_offset + done);
            memcpy(to->data, from->data, PAGE_BYTES);
        } else if (to != NULL) {
            fake_page_drop(fake, target, to);
        }
    }
    if (size > 0) {
        target->attr.size_bytes = max_u64(target->attr.size_bytes, how->target_offset + size);
        data_changed(fake, cred, target, out_attr);
    }
    *out_attr = target->attr;
    return 0;
}

static struct fake_xattr *xattr_find(struct fake_node *node, struct slice name)
{
    LIST_FOR_EACH(at, &node->xattrs)
    {
        struct fake_xattr *xattr = LIST_ENTRY(at, struct fake_xattr, link);
        if (slice_equal(slice_of(xattr->name, xattr->name_size), name))
            return xattr;
    }
    return NULL;
}

static void xattr_drop(struct fake_xattr *xattr)
{
    list_remove(&xattr->link);
    free(xattr->value);
    free(xattr);
}

void fake_xattrs_free(struct fake_node *node)
{
    LIST_FOR_EACH_SAFE(at, &node->xattrs)
    xattr_drop(LIST_ENTRY(at, struct fake_xattr, link));
}

static int xattr_begin(struct fake_fs *fake, const char *op, struct fs_node id, struct slice name,
    struct fake_node **out_node)
{
    int err = fake_begin(fake, op);
    if (err < 0)
        return err;
    *out_node = fake_node_find(fake, id);
    if (*out_node == NULL)
        return -ESTALE;
    return name.size == 0 || name.size > FS_XATTR_NAME_SIZE_MAX ? -EINVAL : 0;
}

int fake_getxattr(struct fs *fs, const struct fs_cred *cred, struct fs_node id, struct slice name,
    struct fs_buffer *buffer)
{
    struct fake_node *node = NULL;
    int err = xattr_begin(fake_of(fs), "getxattr", id, name, &node);
    if (err == 0)
        err = perm_check_xattr(cred, &node->attr, PERM_READ);
    if (err < 0)
        return err;
    struct fake_xattr *xattr = xattr_find(node, name);
    if (xattr == NULL)
        return -ENODATA;
    if (buffer->capacity > 0 && buffer->capacity < xattr->value_size)
        return -ERANGE;
    if (buffer->capacity > 0 && xattr->value_size > 0)
        memcpy(buffer->bytes, xattr->value, xattr->value_size);
    buffer->out_size = xattr->value_size;
    return 0;
}

static size_t xattrs_size(struct fake_node *node)
{
    size_t size = 0;
    LIST_FOR_EACH(at, &node->xattrs)
    {
        const struct fake_xattr *xattr = LIST_ENTRY(at, struct fake_xattr, link);
        size += xattr->name_size + xattr->value_size;
    }
    return size;
}

static struct fake_xattr *xattr_add(struct fake_fs *fake, struct fake_node *node, struct slice name)
{
    struct fake_xattr *xattr = calloc(1, sizeof *xattr);
    if (xattr == NULL)
        abort();
    xattr->cookie = fake->next_cookie++;
    xattr->name_size = name.size;
    memcpy(xattr->name, name.data, name.size);
    list_add_tail(&node->xattrs, &xattr->link);
    return xattr;
}

int fake_setxattr(struct fs *fs, const struct fs_cred *cred, struct fs_node id,
    const struct fs_setxattr *how, struct fs_change *out_change)
{
    struct fake_fs *fake = fake_of(fs);
    struct fake_node *node = NULL;
    int err = xattr_begin(fake, "setxattr", id, how->name, &node);
    if (err == 0 && how->value.size > FS_XATTR_VALUE_SIZE_MAX)
        err = -E2BIG;
    if (err == 0)
        err = perm_check_xattr(cred, &node->attr, PERM_WRITE);
    if (err < 0)
        return err;
    struct fake_xattr *xattr = xattr_find(node, how->name);
    if (xattr != NULL && how->how == FS_XATTR_CREATE)
        return -EEXIST;
    if (xattr == NULL && how->how == FS_XATTR_REPLACE)
        return -ENODATA;
    size_t old_size = xattr != NULL ? xattr->name_size + xattr->value_size : 0;
    if (xattrs_size(node) - old_size + how->name.size + how->value.size > FS_XATTRS_SIZE_MAX)
        return -ENOSPC;
    if (xattr == NULL)
        xattr = xattr_add(fake, node, how->name);
    free(xattr->value);
    xattr->value_size = how->value.size;
    xattr->value = malloc(how->value.size + 1);
    if (xattr->value == NULL)
        abort();
    if (how->value.size > 0)
        memcpy(xattr->value, how->value.data, how->value.size);
    out_change->before = node->attr.change;
    fake_changed(fake, node, false);
    out_change->after = node->attr.change;
    return 0;
}

int fake_listxattr(struct fs *fs, const struct fs_cred *cred, struct fs_node id, uint64_t cookie,
    fs_xattr_emit *emit, void *context)
{
    struct fake_node *node = NULL;
    int err = xattr_begin(fake_of(fs), "listxattr", id, slice_str("any"), &node);
    if (err == 0)
        err = perm_check_xattr(cred, &node->attr, PERM_READ);
    if (err < 0)
        return err == -ENODATA ? 1 : err;
    LIST_FOR_EACH(at, &node->xattrs)
    {
        const struct fake_xattr *xattr = LIST_ENTRY(at, struct fake_xattr, link);
        if (xattr->cookie > cookie &&
            !emit(context, slice_of(xattr->name, xattr->name_size), xattr->cookie))
            return 0;
    }
    return 1;
}

int fake_removexattr(struct fs *fs, const struct fs_cred *cred, struct fs_node id,
    struct slice name, struct fs_change *out_change)
{
    struct fake_fs *fake = fake_of(fs);
    struct fake_node *node = NULL;
    int err = xattr_begin(fake, "removexattr", id, name, &node);
    if (err == 0)
        err = perm_check_xattr(cred, &node->attr, PERM_WRITE);
    if (err < 0)
        return err;
    struct fake_xattr *xattr = xattr_find(node, name);
    if (xattr == NULL)
        return -ENODATA;
    xattr_drop(xattr);
    out_change->before = node->attr.change;
    fake_changed(fake, node, false);
    out_change->after = node->attr.change;
    return 0;
}

static bool is_below(struct fake_fs *fake, struct fs_node dir, struct fs_node top)
{
    while (!fs_node_equal(dir, top)) {
        const struct fake_node *node = fake_node_find(fake, dir);
        if (node == NULL || fs_node_equal(node->parent, dir))
            return false;
        dir = node->parent;
    }
    return true;
}

/* Whether no name before this one is of the same node. */
static bool is_first_name(const struct fake_fs *fake, const struct fake_entry *entry)
{
    LIST_FOR_EACH(at, &fake->entries)
    {
        const struct fake_entry *it = LIST_ENTRY(at, struct fake_entry, link);
        if (it == entry)
            return true;
        if (it->node == entry->node)
            return false;
    }
    return true;
}

int fake_usage(
    struct fs *fs, const struct fs_cred *cred, struct fs_node dir, struct fs_usage *out_usage)
{
    struct fake_fs *fake = fake_of(fs);
    int err = fake_begin(fake, "usage");
    if (err < 0)
        return err;
    const struct fake_node *top = fake_node_find(fake, dir);
    if (top == NULL)
        return -ESTALE;
    if (top->attr.type != FS_DIRECTORY)
        return -ENOTDIR;
    err = perm_check(cred, &top->attr, PERM_READ);
    if (err < 0)
        return err;
    *out_usage = (struct fs_usage){ 0 };
    LIST_FOR_EACH(at, &fake->entries)
    {
        const struct fake_entry *entry = LIST_ENTRY(at, struct fake_entry, link);
        const struct fs_attr *attr = &entry->node->attr;
        if (!is_first_name(fake, entry) || !is_below(fake, entry->dir, dir))
            continue;
        bool is_file = attr->type == FS_REGULAR;
        out_usage->files += is_file;
        out_usage->directories += attr->type == FS_DIRECTORY;
        out_usage->others += !is_file && attr->type != FS_DIRECTORY;
        out_usage->space_bytes += is_file ? attr->space_used_bytes : 0;
        out_usage->size_bytes += is_file ? attr->size_bytes : 0;
    }
    return 0;
}

/* It has none: FS_CAP_QUOTAS. */
int fake_quota_set(struct fs *fs, struct fs_node dir, const struct fs_quota_limits *limits)
{
    (void)fs;
    (void)dir;
    (void)limits;
    return -EOPNOTSUPP;
}

int fake_quota_get(struct fs *fs, struct fs_node dir, struct fs_quota *out_quota)
{
    (void)fs;
    (void)dir;
    (void)out_quota;
    return -EOPNOTSUPP;
}

int fake_quota_space(struct fs *fs, struct fs_node node, struct fs_space *space)
{
    (void)fs;
    (void)node;
    (void)space;
    return 0;
}

/* It cannot: FS_CAP_VERIFY. */
int fake_verify_start(struct fs *fs, enum fs_verify_kind kind)
{
    (void)fs;
    (void)kind;
    return -EOPNOTSUPP;
}

int fake_verify_get(struct fs *fs, enum fs_verify_kind kind, const struct fs_verify_get *get)
{
    (void)fs;
    (void)kind;
    (void)get;
    return -EOPNOTSUPP;
}

/* Nor these: FS_CAP_SNAPSHOTS. */
int fake_snapshot_create(struct fs *fs, struct slice name, struct fs_snapshot *out_snapshot)
{
    (void)fs;
    (void)name;
    (void)out_snapshot;
    return -EOPNOTSUPP;
}

int fake_snapshot_delete(struct fs *fs, struct slice name)
{
    (void)fs;
    (void)name;
    return -EOPNOTSUPP;
}

int fake_snapshot_list(struct fs *fs, fs_snapshot_emit *emit, void *context)
{
    (void)fs;
    (void)emit;
    (void)context;
    return -EOPNOTSUPP;
}

int fake_snapshot_dir(
    struct fs *fs, const struct fs_cred *cred, struct fs_node dir, struct fs_attr *out_attr)
{
    (void)fs;
    (void)cred;
    (void)dir;
    (void)out_attr;
    return -EOPNOTSUPP;
}

enum fs_place fake_place_of(struct fs *fs, struct fs_node node)
{
    (void)fs;
    (void)node;
    return FS_LIVE;
}
