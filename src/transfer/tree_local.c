/*
 * transfer/tree_local.c - a directory of this machine as a tree (room: transfer).
 *
 * Every path is resolved below the root without following any symbolic link: by openat2(2) where the kernel has
 * it, else one component after the other. Whoever can write to the tree while it is copied can so at most get
 * an error into the report, never make the copy touch something outside.
 */
#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#include "base/sys.h"
#include "transfer/tree.h"

#define PATH_SIZE_MAX 4000u /* what one system call may be given; longer ones are walked */

struct local_tree {
    struct tree tree;
    int root_fd;
    _Atomic bool no_openat2; /* the kernel, or a sandbox, does not know it */
};

struct local_file {
    struct tree_file file;
    int fd;
};

static struct local_tree *local_of(struct tree *tree)
{
    return CONTAINER_OF(tree, struct local_tree, tree);
}

static int fd_of(struct tree_file *file)
{
    return CONTAINER_OF(file, struct local_file, file)->fd;
}

/* Opens the directory `path` component by component. */
static int walk_to(const struct local_tree *local, const char *path)
{
    int fd = sys_openat(local->root_fd, ".", O_PATH | O_DIRECTORY, 0);
    while (fd >= 0 && *path != '\0') {
        char name[TREE_NAME_SIZE_MAX + 1];
        size_t size = strcspn(path, "/");
        if (size > TREE_NAME_SIZE_MAX) {
            (void)close(fd); /* only a path */
            return -ENAMETOOLONG;
        }
        memcpy(name, path, size);
        name[size] = '\0';
        path += size + (path[size] == '/');
        int next = sys_openat(fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW, 0);
        (void)close(fd); /* only a path */
        fd = next;
    }
    return fd;
}

/* Opens the directory `path` of the tree, for use with the *at() calls. */
static int open_dir(struct local_tree *local, const char *path)
{
    if (!atomic_load_explicit(&local->no_openat2, memory_order_relaxed) &&
        strlen(path) < PATH_SIZE_MAX) {
        struct open_how how = { .flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
            .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS };
        long fd =
            syscall(SYS_openat2, local->root_fd, *path == '\0' ? "." : path, &how, sizeof how);
        if (fd >= 0)
            return (int)fd;
        if (errno != ENOSYS && errno != EPERM && errno != EAGAIN)
            return -errno;
        if (errno != EAGAIN)
            atomic_store(&local->no_openat2, true);
    }
    return walk_to(local, path);
}

/* Opens `name` in the directory, never through a link and never waiting for a FIFO's other end. */
static int open_in(
    struct tree *tree, const struct tree_dir *dir, const char *name, int flags, unsigned mode)
{
    int dir_fd = open_dir(local_of(tree), dir->path);
    if (dir_fd < 0)
        return dir_fd;
    int fd = sys_openat(dir_fd, name, flags | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, mode);
    (void)close(dir_fd); /* only a path */
    return fd;
}

static enum tree_type type_of(unsigned mode)
{
    switch (mode & S_IFMT) {
    case S_IFDIR:
        return TREE_DIRECTORY;
    case S_IFLNK:
        return TREE_SYMLINK;
    case S_IFIFO:
        return TREE_FIFO;
    case S_IFSOCK:
        return TREE_SOCKET;
    case S_IFBLK:
        return TREE_BLOCK;
    case S_IFCHR:
        return TREE_CHARACTER;
    default:
        return TREE_REGULAR;
    }
}

static struct clock_time time_of(struct timespec time)
{
    return (struct clock_time){ time.tv_sec, (uint32_t)time.tv_nsec };
}

static void attr_of(const struct stat *from, struct tree_attr *out_attr)
{
    *out_attr = (struct tree_attr){ .type = type_of(from->st_mode),
        .mode = from->st_mode & 07777,
        .link_count = (uint32_t)from->st_nlink,
        .uid = from->st_uid,
        .gid = from->st_gid,
        .device_major = major(from->st_rdev),
        .device_minor = minor(from->st_rdev),
        .size_bytes = (uint64_t)from->st_size,
        .space_used_bytes = (uint64_t)from->st_blocks * 512,
        .filesystem = from->st_dev,
        .inode = from->st_ino,
        .atime = time_of(from->st_atim),
        .mtime = time_of(from->st_mtim),
        .ctime = time_of(from->st_ctim) };
}

static int local_root(struct tree *tree, struct tree_attr *out_attr)
{
    struct stat found;
    if (fstat(local_of(tree)->root_fd, &found) < 0)
        return -errno;
    attr_of(&found, out_attr);
    return 0;
}

static int local_lookup(
    struct tree *tree, const struct tree_dir *dir, const char *name, struct tree_attr *out_attr)
{
    struct stat found;
    int dir_fd = open_dir(local_of(tree), dir->path);
    if (dir_fd < 0)
        return dir_fd;
    int err = fstatat(dir_fd, name, &found, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
    (void)close(dir_fd); /* only a path */
    if (err == 0)
        attr_of(&found, out_attr);
    return err;
}

static int emit_entries(DIR *stream, tree_emit *emit, void *context)
{
    for (;;) {
        errno = 0;
        /* One thread has the stream, which is all that readdir() asks for. NOLINTNEXTLINE(concurrency-mt-unsafe) */
        const struct dirent *entry = readdir(stream);
        if (entry == NULL)
            return -errno;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        struct stat found;
        struct tree_attr attr = { 0 };
        int error =
            fstatat(dirfd(stream), entry->d_name, &found, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
        if (error == -ENOENT)
            continue; /* removed meanwhile */
        if (error == 0)
            attr_of(&found, &attr);
        int err = emit(context, slice_str(entry->d_name), &attr, error);
        if (err < 0)
            return err;
    }
}

static int local_list(struct tree *tree, const struct tree_dir *dir, tree_emit *emit, void *context)
{
    int path_fd = open_dir(local_of(tree), dir->path);
    if (path_fd < 0)
        return path_fd;
    int fd = sys_openat(path_fd, ".", O_RDONLY | O_DIRECTORY, 0);
    (void)close(path_fd); /* only a path */
    if (fd < 0)
        return fd;
    DIR *stream = fdopendir(fd);
    if (stream == NULL) {
        int err = -errno;
        (void)close(fd); /* nothing was read */
        return err;
    }
    int err = emit_entries(stream, emit, context);
    (void)closedir(stream); /* only read */
    return err;
}

static int read_up_to(int fd, uint8_t *to, size_t size, uint64_t offset, size_t *out_size)
{
    size_t done = 0;
    while (done < size) {
        ssize_t got = pread(fd, to + done, size - done, (off_t)(offset + done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -errno;
        if (got == 0)
            break;
        done += (size_t)got;
    }
    *out_size = done;
    return 0;
}

static int read_piece(int fd, uint64_t offset, uint32_t size, struct tree_piece *out_piece)
{
    uint8_t *buffer = malloc((size_t)size + 1);
    if (buffer == NULL)
        return -ENOMEM;
    size_t done = 0;
    int err = read_up_to(fd, buffer, size, offset, &done);
    if (err < 0) {
        free(buffer);
        return err;
    }
    out_piece->kind = PIECE_BUFFER;
    out_piece->buffer = buffer;
    out_piece->data = slice_of(buffer, done);
    return 0;
}

static int local_fetch(struct tree *tree, const struct tree_dir *dir, const char *name,
    uint32_t size, struct tree_piece *out_piece, struct tree_attr *out_attr)
{
    struct stat found;
    out_piece->kind = PIECE_NONE;
    out_piece->data = slice_of(NULL, 0);
    int fd = open_in(tree, dir, name, O_RDONLY, 0);
    if (fd == -ELOOP || fd == -ENXIO || fd == -EACCES)
        return local_lookup(tree, dir, name, out_attr); /* a link, a socket, or not readable */
    if (fd < 0)
        return fd;
    int err = fstat(fd, &found) < 0 ? -errno : 0;
    if (err == 0) {
        attr_of(&found, out_attr);
        if (out_attr->type == TREE_REGULAR && out_attr->size_bytes <= size)
            err = read_piece(fd, 0, (uint32_t)out_attr->size_bytes, out_piece);
    }
    (void)close(fd); /* only read */
    return err;
}

static int local_readlink(struct tree *tree, const struct tree_dir *dir, const char *name,
    const struct tree_attr *attr, char *buffer)
{
    (void)attr;
    int dir_fd = open_dir(local_of(tree), dir->path);
    if (dir_fd < 0)
        return dir_fd;
    ssize_t size = readlinkat(dir_fd, name, buffer, TREE_LINK_SIZE_MAX);
    int err = size < 0 ? -errno : 0;
    (void)close(dir_fd); /* only a path */
    if (size >= 0)
        buffer[size] = '\0';
    return err;
}

static int file_new(struct tree *tree, int fd, struct tree_file **out_file)
{
    if (fd < 0)
        return fd;
    struct local_file *file = calloc(1, sizeof *file);
    if (file == NULL) {
        (void)close(fd); /* nothing was done with it */
        return -ENOMEM;
    }
    file->file.tree = tree;
    file->fd = fd;
    *out_file = &file->file;
    return 0;
}

static int local_open(struct tree *tree, const struct tree_dir *dir, const char *name,
    const struct tree_attr *attr, struct tree_file **out_file)
{
    (void)attr;
    return file_new(tree, open_in(tree, dir, name, O_RDONLY, 0), out_file);
}

static int local_read(
    struct tree_file *file, uint64_t offset, uint32_t size, struct tree_piece *out_piece)
{
    return read_piece(fd_of(file), offset, size, out_piece);
}

static int local_next_data(
    struct tree_file *file, uint64_t offset, uint64_t *out_start, uint64_t *out_end)
{
    /* The descriptor's position is shared by the threads that copy the file; nothing but these two calls
     * looks at it, and each gives its own result. */
    off_t start = lseek(fd_of(file), (off_t)offset, SEEK_DATA);
    if (start < 0 && errno == ENXIO)
        return -ENXIO;
    off_t end = start < 0 ? -1 : lseek(fd_of(file), start, SEEK_HOLE);
    if (end < 0) { /* a file system without holes: all is data */
        struct stat found;
        if (fstat(fd_of(file), &found) < 0)
            return -errno;
        if ((uint64_t)found.st_size <= offset)
            return -ENXIO;
        start = (off_t)offset;
        end = found.st_size;
    }
    *out_start = (uint64_t)start;
    *out_end = (uint64_t)end;
    return 0;
}

static int local_create(
    struct tree *tree, const struct tree_dir *dir, const char *name, struct tree_file **out_file)
{
    int fd = open_in(tree, dir, name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    struct stat found;
    if (fd >= 0 && fstat(fd, &found) == 0 && !S_ISREG(found.st_mode)) {
        (void)close(fd); /* nothing was written */
        return -EEXIST;
    }
    return file_new(tree, fd, out_file);
}

static int local_write(
    struct tree_file *file, uint64_t offset, struct slice data, struct nfs_unstable *unstable)
{
    (void)unstable;
    return sys_pwrite_all(fd_of(file), data.data, data.size, offset);
}

static int local_commit(struct tree_file *file, struct nfs_unstable *unstable)
{
    (void)file;
    (void)unstable;
    return 0; /* local_sync(), once at the end */
}

static int set_attributes(int fd, const struct tree_set *set)
{
    struct timespec times[2] = {
        { .tv_sec = set->atime.seconds, .tv_nsec = set->atime.nanoseconds },
        { .tv_sec = set->mtime.seconds, .tv_nsec = set->mtime.nanoseconds },
    };
    /* The owner first: changing it clears the set-user-id bits. */
    if ((set->set_size && ftruncate(fd, (off_t)set->size_bytes) < 0) ||
        (set->set_owner && fchown(fd, set->uid, set->gid) < 0) || fchmod(fd, set->mode) < 0 ||
        futimens(fd, times) < 0)
        return -errno;
    return 0;
}

static int local_finish(struct tree_file *file, const struct tree_set *set, struct nfs_fh *out_fh)
{
    (void)out_fh;
    return set_attributes(fd_of(file), set);
}

static int local_close(struct tree_file *file)
{
    int err = close(fd_of(file)) < 0 && errno != EINTR ? -errno : 0;
    free(CONTAINER_OF(file, struct local_file, file));
    return err;
}

static int local_store(
    struct tree *tree, const struct tree_dir *dir, const char *name, const struct tree_store *store)
{
    struct tree_file *file;
    int err = local_create(tree, dir, name, &file);
    if (err < 0)
        return err;
    err = local_write(file, 0, store->data, NULL);
    if (err == 0)
        err = set_attributes(fd_of(file), &store->set);
    int close_err = local_close(file);
    return err < 0 ? err : close_err;
}

static int make_node(int dir_fd, const char *name, const struct tree_make *make)
{
    static const unsigned types[] = { [TREE_FIFO] = S_IFIFO,
        [TREE_SOCKET] = S_IFSOCK,
        [TREE_BLOCK] = S_IFBLK,
        [TREE_CHARACTER] = S_IFCHR };
    if (make->type == TREE_DIRECTORY)
        return mkdirat(dir_fd, name, 0700) < 0 ? -errno : 0;
    if (make->type == TREE_SYMLINK)
        return symlinkat(make->link_target, dir_fd, name) < 0 ? -errno : 0;
    assert(make->type >= TREE_FIFO && make->type < ARRAY_SIZE(types));
    return mknodat(dir_fd, name, types[make->type] | 0600,
               makedev(make->device_major, make->device_minor)) < 0
               ? -errno
               : 0;
}

/* Attributes of a node that cannot be opened. */
static int set_by_name(int dir_fd, const char *name, const struct tree_make *make)
{
    const struct tree_set *set = &make->set;
    struct timespec times[2] = {
        { .tv_sec = set->atime.seconds, .tv_nsec = set->atime.nanoseconds },
        { .tv_sec = set->mtime.seconds, .tv_nsec = set->mtime.nanoseconds },
    };
    if ((set->set_owner && fchownat(dir_fd, name, set->uid, set->gid, AT_SYMLINK_NOFOLLOW) < 0) ||
        (make->type != TREE_SYMLINK && fchmodat(dir_fd, name, set->mode, 0) < 0) ||
        utimensat(dir_fd, name, times, AT_SYMLINK_NOFOLLOW) < 0)
        return -errno;
    return 0;
}

static int local_make(struct tree *tree, const struct tree_dir *dir, const char *name,
    const struct tree_make *make, struct tree_attr *out_attr)
{
    struct stat found;
    int dir_fd = open_dir(local_of(tree), dir->path);
    if (dir_fd < 0)
        return dir_fd;
    int err = make_node(dir_fd, name, make);
    if (err == 0 && make->type != TREE_DIRECTORY)
        err = set_by_name(dir_fd, name, make);
    if (err == 0 && fstatat(dir_fd, name, &found, AT_SYMLINK_NOFOLLOW) < 0)
        err = -errno;
    (void)close(dir_fd); /* only a path */
    if (err == 0)
        attr_of(&found, out_attr);
    return err;
}

static int local_link(
    struct tree *tree, const struct tree_dir *target, const struct tree_dir *dir, const char *name)
{
    char *parent = strdup(target->path);
    if (parent == NULL)
        return -ENOMEM;
    char *slash = strrchr(parent, '/');
    const char *base = slash == NULL ? target->path : target->path + (slash - parent) + 1;
    *(slash == NULL ? parent : slash) = '\0';
    int from_fd = open_dir(local_of(tree), parent);
    int to_fd = from_fd < 0 ? from_fd : open_dir(local_of(tree), dir->path);
    int err = to_fd < 0 ? to_fd : 0;
    if (err == 0 && linkat(from_fd, base, to_fd, name, 0) < 0)
        err = -errno;
    if (from_fd >= 0)
        (void)close(from_fd); /* only a path */
    if (to_fd >= 0)
        (void)close(to_fd); /* only a path */
    free(parent);
    return err;
}

static int local_set(struct tree *tree, const struct tree_dir *dir, const struct tree_set *set)
{
    int path_fd = open_dir(local_of(tree), dir->path);
    if (path_fd < 0)
        return path_fd;
    int fd = sys_openat(path_fd, ".", O_RDONLY | O_DIRECTORY, 0);
    int err = fd < 0 ? fd : set_attributes(fd, set);
    (void)close(path_fd); /* only a path */
    if (fd >= 0)
        (void)close(fd); /* nothing was written through it */
    return err;
}

static int local_remove(
    struct tree *tree, const struct tree_dir *dir, const char *name, bool is_directory)
{
    int dir_fd = open_dir(local_of(tree), dir->path);
    if (dir_fd < 0)
        return dir_fd;
    int err = unlinkat(dir_fd, name, is_directory ? AT_REMOVEDIR : 0) < 0 ? -errno : 0;
    (void)close(dir_fd); /* only a path */
    return err;
}

static int local_sync(struct tree *tree)
{
    return syncfs(local_of(tree)->root_fd) < 0 ? -errno : 0;
}

static void local_free(struct tree *tree)
{
    (void)close(local_of(tree)->root_fd); /* only read through */
    free(local_of(tree));
}

static const struct tree_ops local_ops = {
    .root = local_root,
    .list = local_list,
    .lookup = local_lookup,
    .fetch = local_fetch,
    .readlink = local_readlink,
    .open = local_open,
    .read = local_read,
    .next_data = local_next_data,
    .create = local_create,
    .write = local_write,
    .commit = local_commit,
    .finish = local_finish,
    .close = local_close,
    .store = local_store,
    .make = local_make,
    .link = local_link,
    .set = local_set,
    .remove = local_remove,
    .sync = local_sync,
    .free = local_free,
};

int tree_local_open(const char *path, struct tree **out_tree)
{
    struct local_tree *local = calloc(1, sizeof *local);
    if (local == NULL)
        return -ENOMEM;
    local->tree = (struct tree){ .ops = &local_ops, .piece_bytes = TREE_PIECE_BYTES };
    local->root_fd = sys_openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0);
    if (local->root_fd < 0) {
        int err = local->root_fd;
        free(local);
        return err;
    }
    *out_tree = &local->tree;
    return 0;
}
