/*
 * base/sys.c - the system calls that take a loop to do right (room: base).
 */
#include "base/sys.h"

#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

int sys_pread_all(int fd, void *data, size_t size, uint64_t offset)
{
    uint8_t *to = data;
    while (size > 0) {
        ssize_t n = pread(fd, to, size, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            return -ENODATA;
        to += n;
        size -= (size_t)n;
        offset += (uint64_t)n;
    }
    return 0;
}

int sys_pwrite_all(int fd, const void *data, size_t size, uint64_t offset)
{
    const uint8_t *from = data;
    while (size > 0) {
        ssize_t n = pwrite(fd, from, size, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            return -ENOSPC; /* a regular file that takes nothing has no room */
        from += n;
        size -= (size_t)n;
        offset += (uint64_t)n;
    }
    return 0;
}

int sys_read_file(int dir_fd, const char *name, size_t size_max, char **out_text)
{
    char *text = NULL;
    int fd = sys_openat(dir_fd, name, O_RDONLY, 0);
    if (fd < 0)
        return fd;
    struct stat st;
    int err = fstat(fd, &st) < 0 ? -errno : 0;
    if (err < 0)
        goto out;
    err = -EFBIG;
    if (st.st_size < 0 || (uint64_t)st.st_size > size_max)
        goto out;
    err = -ENOMEM;
    text = malloc((size_t)st.st_size + 1);
    if (text == NULL)
        goto out;
    err = sys_pread_all(fd, text, (size_t)st.st_size, 0);
    if (err < 0)
        goto out;
    text[st.st_size] = '\0';
    *out_text = text;
    text = NULL;
out:
    free(text);
    (void)close(fd); /* opened for reading: nothing can be lost */
    return err;
}

int sys_replace_file(int dir_fd, const char *name, const void *data, size_t size, unsigned mode)
{
    char temporary[NAME_MAX + 1];
    int length = snprintf(temporary, sizeof temporary, ".%s.new", name);
    if (length < 0 || (size_t)length >= sizeof temporary)
        return -ENAMETOOLONG;
    int fd = sys_openat(dir_fd, temporary, O_WRONLY | O_CREAT | O_TRUNC, mode);
    if (fd < 0)
        return fd;
    int err = sys_pwrite_all(fd, data, size, 0);
    if (err == 0)
        err = sys_fsync(fd);
    if (close(fd) < 0 && err == 0)
        err = -errno;
    if (err == 0 && renameat(dir_fd, temporary, dir_fd, name) < 0)
        err = -errno;
    if (err < 0) {
        (void)unlinkat(dir_fd, temporary, 0); /* best effort: the next try truncates it */
        return err;
    }
    return sys_fsync(dir_fd);
}

int sys_mkdirat(int dir_fd, const char *name, unsigned mode)
{
    if (mkdirat(dir_fd, name, mode) == 0 || errno == EEXIST)
        return 0;
    return -errno;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

int sys_remove_tree(int dir_fd, const char *name)
{
    char path[PATH_MAX];
    int length = dir_fd == AT_FDCWD
                     ? snprintf(path, sizeof path, "%s", name)
                     : snprintf(path, sizeof path, "/proc/self/fd/%d/%s", dir_fd, name);
    if (length < 0 || (size_t)length >= sizeof path)
        return -ENAMETOOLONG;
    /* Without FTW_CHDIR it touches nothing shared. NOLINTNEXTLINE(concurrency-mt-unsafe) */
    if (nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS) == 0 || errno == ENOENT)
        return 0;
    return -errno;
}
