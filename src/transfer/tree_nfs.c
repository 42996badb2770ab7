/*
 * transfer/tree_nfs.c - a directory of an NFS server as a tree (room: transfer).
 *
 * Names are resolved by handle, so no symbolic link is ever followed. Holes cannot be asked for in NFSv4.1;
 * a file that uses less space than its size is read and its zeros are taken for holes (copy_file.c).
 */
#include <stdlib.h>

#include "client/dir.h"
#include "client/node.h"
#include "transfer/tree.h"

struct nfs_tree {
    struct tree tree;
    struct nfs_client *client;
    struct nfs_attr root;
};

struct nfs_tree_file {
    struct tree_file file;
    struct nfs_file *nfs;
    uint64_t size_bytes;
};

static struct nfs_tree *nfs_of(struct tree *tree)
{
    return CONTAINER_OF(tree, struct nfs_tree, tree);
}

static struct nfs_tree_file *file_of(struct tree_file *file)
{
    return CONTAINER_OF(file, struct nfs_tree_file, file);
}

static enum tree_type type_of(enum nfs_ftype4 type)
{
    switch (type) {
    case NF4DIR:
        return TREE_DIRECTORY;
    case NF4LNK:
        return TREE_SYMLINK;
    case NF4FIFO:
        return TREE_FIFO;
    case NF4SOCK:
        return TREE_SOCKET;
    case NF4BLK:
        return TREE_BLOCK;
    case NF4CHR:
        return TREE_CHARACTER;
    default:
        return TREE_REGULAR;
    }
}

static struct clock_time time_of(struct nfstime4 time)
{
    return (struct clock_time){ time.seconds, time.nseconds };
}

void tree_attr_of_nfs(const struct nfs_attr *from, struct tree_attr *out_attr)
{
    *out_attr = (struct tree_attr){ .type = type_of(from->type),
        .mode = from->mode,
        .link_count = from->link_count,
        .uid = from->uid,
        .gid = from->gid,
        .device_major = from->device_major,
        .device_minor = from->device_minor,
        .size_bytes = from->size_bytes,
        .space_used_bytes = from->space_used_bytes,
        .filesystem = from->fsid.major ^ from->fsid.minor << 1,
        .inode = from->fileid,
        .atime = time_of(from->atime),
        .mtime = time_of(from->mtime),
        .ctime = time_of(from->ctime),
        .fh = from->fh };
}

static struct nfs_setattr setattr_of(const struct tree_set *set)
{
    return (struct nfs_setattr){ .set_mode = true,
        .mode = set->mode,
        .set_uid = set->set_owner,
        .uid = set->uid,
        .set_gid = set->set_owner,
        .gid = set->gid,
        .set_size = set->set_size,
        .size_bytes = set->size_bytes,
        .set_atime = true,
        .atime = { set->atime.seconds, set->atime.nanoseconds },
        .set_mtime = true,
        .mtime = { set->mtime.seconds, set->mtime.nanoseconds } };
}

static int nfs_root(struct tree *tree, struct tree_attr *out_attr)
{
    tree_attr_of_nfs(&nfs_of(tree)->root, out_attr);
    return 0;
}

struct listing {
    tree_emit *emit;
    void *context;
};

static int emit_entry(void *context, struct slice name, const struct nfs_attr *attr)
{
    const struct listing *listing = context;
    struct tree_attr converted;
    tree_attr_of_nfs(attr, &converted);
    return listing->emit(listing->context, name, &converted, attr->error);
}

static int nfs_list(struct tree *tree, const struct tree_dir *dir, tree_emit *emit, void *context)
{
    struct listing listing = { emit, context };
    return nfs_dir_list(nfs_of(tree)->client, &dir->fh, emit_entry, &listing);
}

static int nfs_lookup(
    struct tree *tree, const struct tree_dir *dir, const char *name, struct tree_attr *out_attr)
{
    struct nfs_attr attr;
    int err = nfs_node_lookup(nfs_of(tree)->client, &dir->fh, slice_str(name), &attr);
    if (err == 0)
        tree_attr_of_nfs(&attr, out_attr);
    return err;
}

static int nfs_fetch(struct tree *tree, const struct tree_dir *dir, const char *name, uint32_t size,
    struct tree_piece *out_piece, struct tree_attr *out_attr)
{
    out_piece->kind = PIECE_WHOLE;
    out_piece->data = slice_of(NULL, 0);
    int err =
        nfs_whole_get(nfs_of(tree)->client, &out_piece->whole, &dir->fh, slice_str(name), size);
    if (err == 0) {
        tree_attr_of_nfs(&out_piece->whole.attr, out_attr);
        out_piece->data = out_piece->whole.data;
        if (out_attr->type == TREE_REGULAR)
            err = out_piece->whole.read_error;
    }
    if (err < 0)
        tree_piece_end(out_piece);
    return err;
}

static int nfs_readlink(struct tree *tree, const struct tree_dir *dir, const char *name,
    const struct tree_attr *attr, char *buffer)
{
    size_t size = 0;
    (void)dir;
    (void)name;
    int err = nfs_node_readlink(nfs_of(tree)->client, &attr->fh, buffer, TREE_LINK_SIZE_MAX, &size);
    if (err == 0)
        buffer[size] = '\0';
    return err;
}

static int nfs_open(struct tree *tree, const struct tree_dir *dir, const char *name,
    const struct tree_attr *attr, struct tree_file **out_file)
{
    (void)dir;
    (void)name;
    struct nfs_tree_file *file = calloc(1, sizeof *file);
    if (file == NULL)
        return -ENOMEM;
    file->file.tree = tree;
    file->size_bytes = attr->size_bytes;
    int err = nfs_file_open(nfs_of(tree)->client, &attr->fh, NFS_READ, &file->nfs);
    if (err < 0) {
        free(file);
        return err;
    }
    *out_file = &file->file;
    return 0;
}

static int nfs_read(
    struct tree_file *file, uint64_t offset, uint32_t size, struct tree_piece *out_piece)
{
    struct nfs_read *read = &out_piece->read;
    nfs_read_start(read, file_of(file)->nfs, offset, size);
    int err = nfs_read_finish(read);
    if (err == 0 && read->data.size < size && !read->eof)
        err = -EIO; /* a server that reads less than it offered, in the middle of a file */
    if (err < 0) {
        nfs_read_end(read);
        return err;
    }
    out_piece->kind = PIECE_READ;
    out_piece->data = read->data;
    return 0;
}

static int nfs_next_data(
    struct tree_file *file, uint64_t offset, uint64_t *out_start, uint64_t *out_end)
{
    if (offset >= file_of(file)->size_bytes)
        return -ENXIO;
    *out_start = offset;
    *out_end = file_of(file)->size_bytes;
    return 0;
}

static int nfs_create(
    struct tree *tree, const struct tree_dir *dir, const char *name, struct tree_file **out_file)
{
    struct nfs_setattr fresh = { .set_mode = true, .mode = 0600, .set_size = true };
    struct nfs_tree_file *file = calloc(1, sizeof *file);
    if (file == NULL)
        return -ENOMEM;
    file->file.tree = tree;
    int err = nfs_file_create(nfs_of(tree)->client, &dir->fh, slice_str(name), &fresh, &file->nfs);
    if (err < 0) {
        free(file);
        return err;
    }
    *out_file = &file->file;
    return 0;
}

static int nfs_write(
    struct tree_file *file, uint64_t offset, struct slice data, struct nfs_unstable *unstable)
{
    struct nfs_write write;
    nfs_write_start(&write, file_of(file)->nfs, offset, data, UNSTABLE4);
    return nfs_write_finish(&write, unstable);
}

static int nfs_commit(struct tree_file *file, struct nfs_unstable *unstable)
{
    return nfs_file_commit(file_of(file)->nfs, unstable);
}

static int nfs_finish(struct tree_file *file, const struct tree_set *set, struct nfs_fh *out_fh)
{
    const struct nfs_fh *fh = nfs_file_handle(file_of(file)->nfs);
    struct nfs_setattr attr = setattr_of(set);
    *out_fh = *fh;
    return nfs_node_setattr(nfs_of(file->tree)->client, fh, &attr);
}

static int nfs_close(struct tree_file *file)
{
    int err = nfs_file_close(file_of(file)->nfs);
    free(file_of(file));
    return err;
}

static int nfs_store(
    struct tree *tree, const struct tree_dir *dir, const char *name, const struct tree_store *store)
{
    struct nfs_put put = { .dir = dir->fh,
        .name = slice_str(name),
        .data = store->data,
        .attr = setattr_of(&store->set) };
    return nfs_whole_put(nfs_of(tree)->client, &put, store->out_fh);
}

static int nfs_make(struct tree *tree, const struct tree_dir *dir, const char *name,
    const struct tree_make *make, struct tree_attr *out_attr)
{
    static const enum nfs_ftype4 types[] = { [TREE_DIRECTORY] = NF4DIR,
        [TREE_SYMLINK] = NF4LNK,
        [TREE_FIFO] = NF4FIFO,
        [TREE_SOCKET] = NF4SOCK,
        [TREE_BLOCK] = NF4BLK,
        [TREE_CHARACTER] = NF4CHR };
    assert(make->type != TREE_REGULAR && make->type < ARRAY_SIZE(types));
    struct nfs_make args = { .type = types[make->type],
        .device_major = make->device_major,
        .device_minor = make->device_minor,
        .attr = setattr_of(&make->set) };
    if (make->type == TREE_DIRECTORY)
        args.attr = (struct nfs_setattr){ .set_mode = true, .mode = 0700 };
    if (make->type == TREE_SYMLINK) {
        args.link_target = slice_str(make->link_target);
        args.attr.set_mode = false;
    }
    struct nfs_attr attr;
    int err = nfs_node_make(nfs_of(tree)->client, &dir->fh, slice_str(name), &args, &attr);
    if (err == 0)
        tree_attr_of_nfs(&attr, out_attr);
    return err;
}

static int nfs_link(
    struct tree *tree, const struct tree_dir *target, const struct tree_dir *dir, const char *name)
{
    return nfs_node_link(nfs_of(tree)->client, &target->fh, &dir->fh, slice_str(name));
}

static int nfs_set(struct tree *tree, const struct tree_dir *dir, const struct tree_set *set)
{
    struct nfs_setattr attr = setattr_of(set);
    return nfs_node_setattr(nfs_of(tree)->client, &dir->fh, &attr);
}

static int nfs_remove(
    struct tree *tree, const struct tree_dir *dir, const char *name, bool is_directory)
{
    (void)is_directory;
    return nfs_node_remove(nfs_of(tree)->client, &dir->fh, slice_str(name));
}

static int nfs_sync(struct tree *tree)
{
    (void)tree;
    return 0; /* every write was committed, every change is durable when it is answered */
}

static void nfs_free(struct tree *tree)
{
    free(nfs_of(tree));
}

static const struct tree_ops nfs_ops = {
    .root = nfs_root,
    .list = nfs_list,
    .lookup = nfs_lookup,
    .fetch = nfs_fetch,
    .readlink = nfs_readlink,
    .open = nfs_open,
    .read = nfs_read,
    .next_data = nfs_next_data,
    .create = nfs_create,
    .write = nfs_write,
    .commit = nfs_commit,
    .finish = nfs_finish,
    .close = nfs_close,
    .store = nfs_store,
    .make = nfs_make,
    .link = nfs_link,
    .set = nfs_set,
    .remove = nfs_remove,
    .sync = nfs_sync,
    .free = nfs_free,
};

int tree_nfs_open(struct nfs_client *client, const struct nfs_attr *root, struct tree **out_tree)
{
    if (root->type != NF4DIR)
        return -ENOTDIR;
    struct nfs_tree *nfs = calloc(1, sizeof *nfs);
    if (nfs == NULL)
        return -ENOMEM;
    nfs->tree = (struct tree){ .ops = &nfs_ops,
        .piece_bytes = min_u32(TREE_PIECE_BYTES, nfs_client_io_size(client)) };
    nfs->client = client;
    nfs->root = *root;
    *out_tree = &nfs->tree;
    return 0;
}
