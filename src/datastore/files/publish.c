/*
 * datastore/files/publish.c - opening below a directory, and files that appear whole (room: datastore).
 */
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/random.h"
#include "datastore/files/files.h"

#define WAIT_THREADS_MAX 64u

/* As openat2() with RESOLVE_BENEATH and RESOLVE_NO_SYMLINKS, for kernels without it. */
static int open_stepwise(int dir_fd, const char *path, int flags)
{
    int fd = -1;
    for (;;) {
        char part[NAME_MAX + 1];
        size_t size = strcspn(path, "/");
        bool is_last = path[size] == '\0';
        int next = -EINVAL;
        if (size > 0 && size <= NAME_MAX && !(size == 2 && path[0] == '.' && path[1] == '.')) {
            memcpy(part, path, size);
            part[size] = '\0';
            next = sys_openat(fd < 0 ? dir_fd : fd, part,
                is_last ? flags | O_NOFOLLOW : O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
        }
        if (fd >= 0)
            (void)close(fd); /* read only */
        if (next < 0 || is_last)
            return next;
        fd = next;
        path += size + 1;
    }
}

int files_open_beneath(int dir_fd, const char *path, int flags)
{
    if (strchr(path, '/') == NULL)
        return open_stepwise(dir_fd, path, flags);
    struct open_how how = { .flags = (uint64_t)(flags | O_CLOEXEC),
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS };
    long fd = syscall(SYS_openat2, dir_fd, path, &how, sizeof how);
    if (fd >= 0)
        return (int)fd;
    if (errno == ENOSYS || errno == EPERM || errno == EINTR || errno == EAGAIN)
        return open_stepwise(dir_fd, path, flags);
    return -errno;
}

void files_temporary_name(char to[FILES_TEMPORARY_SIZE])
{
    char hex[17];
    random_hex(hex, 16);
    (void)snprintf(to, FILES_TEMPORARY_SIZE, FILES_TEMPORARY_PREFIX "%s", hex); /* fits */
}

/* link() and unlink(): where rename() cannot refuse to replace (NFS). */
static int link_new(int from_fd, const char *from, int to_fd, const char *to)
{
    if (linkat(from_fd, from, to_fd, to, 0) < 0)
        return -errno;
    (void)unlinkat(from_fd, from, 0); /* the new name is there: the old one is only litter */
    return 0;
}

int files_rename_new(int from_fd, const char *from, int to_fd, const char *to, bool replace)
{
    if (replace)
        return renameat(from_fd, from, to_fd, to) < 0 ? -errno : 0;
    if (renameat2(from_fd, from, to_fd, to, RENAME_NOREPLACE) == 0)
        return 0;
    if (errno == EINVAL || errno == ENOSYS)
        return link_new(from_fd, from, to_fd, to);
    return -errno;
}

int files_publish(
    int dir_fd, const char *name, const void *data, size_t size, unsigned mode, bool replace)
{
    char temporary[FILES_TEMPORARY_SIZE];
    files_temporary_name(temporary);
    int fd = sys_openat(dir_fd, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode);
    if (fd < 0)
        return fd;
    int err = sys_pwrite_all(fd, data, size, 0);
    if (err == 0)
        err = sys_fsync(fd);
    if (close(fd) < 0 && err == 0)
        err = -errno;
    if (err == 0)
        err = files_rename_new(dir_fd, temporary, dir_fd, name, replace);
    if (err < 0)
        (void)unlinkat(dir_fd, temporary, 0); /* the error counts; clean() finds what stays */
    return err;
}

int files_read_whole(
    int dir_fd, const char *path, size_t size_max, char **out_text, size_t *out_size)
{
    char *text = NULL;
    int fd = files_open_beneath(dir_fd, path, O_RDONLY | O_NONBLOCK); /* a FIFO must not hang us */
    if (fd < 0)
        return fd;
    struct stat st;
    int err = fstat(fd, &st) < 0 ? -errno : 0;
    if (err < 0)
        goto out;
    err = -EBADF;
    if (!S_ISREG(st.st_mode))
        goto out;
    err = -EFBIG;
    if (st.st_size < 0 || (uint64_t)st.st_size > size_max)
        goto out;
    err = -ENOMEM;
    size_t size = (size_t)st.st_size;
    text = malloc(size + 1);
    if (text == NULL)
        goto out;
    err = size == 0 ? 0 : sys_pread_all(fd, text, size, 0);
    if (err < 0)
        goto out;
    text[size] = '\0';
    *out_text = text;
    *out_size = size;
    text = NULL;
out:
    free(text);
    (void)close(fd); /* opened for reading: nothing can be lost */
    return err;
}

unsigned files_wait_threads(const struct files_store *store)
{
    unsigned threads = store->is_network ? store->threads * 4 : store->threads;
    return threads < WAIT_THREADS_MAX ? threads : WAIT_THREADS_MAX;
}
