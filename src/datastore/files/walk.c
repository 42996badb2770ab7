/*
 * datastore/files/walk.c - visiting all files below a directory of the store (room: datastore).
 * The directories under way are on a stack of bounded height, each open, so that nothing that is renamed or replaced
 * by a link meanwhile leads out of the tree.
 */
#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "datastore/files/files.h"

#define DEPTH_MAX 24u

struct walk {
    DIR *dirs[DEPTH_MAX];
    size_t path_sizes[DEPTH_MAX]; /* of `path`, when that directory is the last */
    unsigned depth;               /* how many are open */
    char path[PATH_MAX];
};

/* Opens `name` in `dir_fd` as the next directory; `path` has its name already. */
static int push(struct walk *walk, int dir_fd, const char *name)
{
    if (walk->depth == DEPTH_MAX)
        return -ELOOP;
    int fd = sys_openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
    if (fd < 0)
        return fd;
    DIR *dir = fdopendir(fd);
    if (dir == NULL) {
        (void)close(fd); /* read only */
        return -ENOMEM;
    }
    walk->dirs[walk->depth] = dir;
    walk->path_sizes[walk->depth++] = strlen(walk->path);
    return 0;
}

static void pop(struct walk *walk)
{
    (void)closedir(walk->dirs[--walk->depth]); /* read only */
    if (walk->depth > 0)
        walk->path[walk->path_sizes[walk->depth - 1]] = '\0';
}

/* Goes into a directory, unless it is hidden or has vanished. Gives the error to report, or 0. */
static int enter(struct walk *walk, const char *name)
{
    size_t size = strlen(walk->path);
    if (name[0] == '.')
        return 0;
    if (size + strlen(name) + 2 > sizeof walk->path)
        return -ENAMETOOLONG;
    (void)snprintf(
        walk->path + size, sizeof walk->path - size, "%s%s", size == 0 ? "" : "/", name); /* fits */
    int err = push(walk, dirfd(walk->dirs[walk->depth - 1]), name);
    if (err < 0)
        walk->path[size] = '\0';
    return err == -ENOENT || err == -ENOTDIR ? 0 : err;
}

static bool is_directory(int dir_fd, const struct dirent *entry)
{
    struct stat st;
    if (entry->d_type != DT_UNKNOWN)
        return entry->d_type == DT_DIR;
    return fstatat(dir_fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

static unsigned depth_of(const char *path)
{
    unsigned depth = *path != '\0';
    for (; *path != '\0'; path++)
        depth += *path == '/';
    return depth;
}

int files_walk(const struct files_store *store, const char *top,
    int (*visit)(void *context, const struct files_visit *visit),
    int (*problem)(void *context, const char *directory, int err), void *context)
{
    struct walk *walk = calloc(1, sizeof *walk);
    if (walk == NULL)
        return -ENOMEM;
    (void)snprintf(walk->path, sizeof walk->path, "%s", top); /* the layout's, or a rule's: fits */
    int err = push(walk, store->root_fd, top[0] == '\0' ? "." : top);
    if (err == -ENOENT)
        err = 0;
    else if (err < 0)
        err = problem(context, top, err);
    while (err == 0 && walk->depth > 0) {
        DIR *dir = walk->dirs[walk->depth - 1];
        errno = 0;
        struct dirent *entry = readdir(dir); /* NOLINT(concurrency-mt-unsafe): own DIR */
        if (entry == NULL) {
            if (errno != 0)
                err = problem(context, walk->path, -errno);
            pop(walk);
            continue;
        }
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (is_directory(dirfd(dir), entry)) {
            int entered = enter(walk, entry->d_name);
            if (entered < 0)
                err = problem(context, walk->path, entered);
            continue;
        }
        struct files_visit at = { .dir_fd = dirfd(dir),
            .directory = walk->path,
            .depth = depth_of(walk->path),
            .name = entry->d_name };
        err = visit(context, &at);
    }
    while (walk->depth > 0)
        pop(walk);
    free(walk);
    return err;
}
