/* base/sys.h - system calls in the project's error shape: >= 0, or -errno. EINTR is retried. */
#pragma once

#include <fcntl.h>
#include <sys/types.h>
#include <unistd.h>

#include "base/base.h"

MUST_CHECK static inline int sys_openat(int dir_fd, const char *name, int flags, unsigned mode)
{
    int fd;
    do {
        fd = openat(dir_fd, name, flags | O_CLOEXEC, mode);
    } while (fd < 0 && errno == EINTR);
    return fd < 0 ? -errno : fd;
}

MUST_CHECK static inline int sys_fsync(int fd)
{
    return fsync(fd) < 0 ? -errno : 0;
}

MUST_CHECK static inline int sys_fdatasync(int fd)
{
    return fdatasync(fd) < 0 ? -errno : 0;
}

/* Reads exactly `size` bytes. Errors: -ENODATA at end of file before that, or the system's. */
MUST_CHECK int sys_pread_all(int fd, void *data, size_t size, uint64_t offset);
/* Writes exactly `size` bytes. Errors: the system's; part of the bytes may have been written. */
MUST_CHECK int sys_pwrite_all(int fd, const void *data, size_t size, uint64_t offset);

/* Reads a whole small file into a NUL-terminated heap string that the caller owns.
 * Errors: -EFBIG when it holds more than `size_max` bytes, -ENOMEM, or the system's. */
MUST_CHECK int sys_read_file(int dir_fd, const char *name, size_t size_max, char **out_text);
/* Replaces `name` so that after a crash it holds the old or the new content, whole: temporary file,
 * fsync, rename, fsync of the directory. Errors: the system's; the old content is then intact. */
MUST_CHECK int sys_replace_file(
    int dir_fd, const char *name, const void *data, size_t size, unsigned mode);
/* Makes one directory; one that exists already is success. */
MUST_CHECK int sys_mkdirat(int dir_fd, const char *name, unsigned mode);
/* Removes a directory tree below `dir_fd`, without following links. A missing one is success. */
MUST_CHECK int sys_remove_tree(int dir_fd, const char *name);
