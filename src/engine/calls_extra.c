/*
 * engine/calls_extra.c - holes, clones and extended attributes (room: engine): not there yet.
 */
#include "engine/calls.h"

int call_seek(struct fs *fs, struct fs_node node, uint64_t offset, enum fs_seek_what what,
    uint64_t *out_offset)
{
    (void)fs, (void)node, (void)offset, (void)what, (void)out_offset;
    return -EOPNOTSUPP;
}

int call_read_segments(struct fs *fs, struct fs_node node, struct fs_read_segments *read)
{
    (void)fs, (void)node, (void)read;
    return -EOPNOTSUPP;
}

int call_allocate(struct fs *fs, const struct fs_cred *cred, struct fs_node node, uint64_t offset,
    uint64_t size_bytes, struct fs_attr *out_attr)
{
    (void)fs, (void)cred, (void)node, (void)offset, (void)size_bytes, (void)out_attr;
    return -EOPNOTSUPP;
}

int call_deallocate(struct fs *fs, const struct fs_cred *cred, struct fs_node node, uint64_t offset,
    uint64_t size_bytes, struct fs_attr *out_attr)
{
    (void)fs, (void)cred, (void)node, (void)offset, (void)size_bytes, (void)out_attr;
    return -EOPNOTSUPP;
}

int call_clone(
    struct fs *fs, const struct fs_cred *cred, const struct fs_clone *how, struct fs_attr *out_attr)
{
    (void)fs, (void)cred, (void)how, (void)out_attr;
    return -EOPNOTSUPP;
}

int call_getxattr(struct fs *fs, const struct fs_cred *cred, struct fs_node node, struct slice name,
    struct fs_buffer *buffer)
{
    (void)fs, (void)cred, (void)node, (void)name, (void)buffer;
    return -EOPNOTSUPP;
}

int call_setxattr(struct fs *fs, const struct fs_cred *cred, struct fs_node node,
    const struct fs_setxattr *how, struct fs_change *out_change)
{
    (void)fs, (void)cred, (void)node, (void)how, (void)out_change;
    return -EOPNOTSUPP;
}

int call_listxattr(struct fs *fs, const struct fs_cred *cred, struct fs_node node, uint64_t cookie,
    fs_xattr_emit *emit, void *context)
{
    (void)fs, (void)cred, (void)node, (void)cookie, (void)emit, (void)context;
    return -EOPNOTSUPP;
}

int call_removexattr(struct fs *fs, const struct fs_cred *cred, struct fs_node node,
    struct slice name, struct fs_change *out_change)
{
    (void)fs, (void)cred, (void)node, (void)name, (void)out_change;
    return -EOPNOTSUPP;
}
