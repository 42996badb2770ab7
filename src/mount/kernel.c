/*
 * mount/kernel.c - mount(2), umount2(2), statfs(2) in children (room: mount).
 */
#include "mount/kernel.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#include "base/sys.h"
#include "base/text.h"
#include "mount/child.h"

#define READ_AHEAD_KIB 15360 /* 15 times rsize, as efs-utils sets it */

int kernel_own_address(const char *address, char *out_address, size_t size)
{
    struct sockaddr_storage from;
    socklen_t from_size = sizeof from;
    const struct addrinfo hints = { .ai_flags = AI_NUMERICHOST, .ai_socktype = SOCK_DGRAM };
    struct addrinfo *to = NULL;
    if (getaddrinfo(address, "2049", &hints, &to) != 0)
        return -EINVAL;
    int fd = socket(to->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int err = fd < 0 ? -errno : 0;
    if (err == 0 && connect(fd, to->ai_addr, to->ai_addrlen) < 0) /* sends nothing */
        err = -errno;
    if (err == 0 && getsockname(fd, (struct sockaddr *)&from, &from_size) < 0)
        err = -errno;
    if (err == 0 && getnameinfo((const struct sockaddr *)&from, from_size, out_address,
                        (socklen_t)size, NULL, 0, NI_NUMERICHOST) != 0)
        err = -EIO;
    if (fd >= 0)
        (void)close(fd);
    freeaddrinfo(to);
    return err;
}

/* Larger reads ahead for streams, where the system lets us; harmless when not. */
static void set_read_ahead(const char *point)
{
    struct stat st;
    char path[128];
    char value[16];
    if (stat(point, &st) < 0)
        return;
    (void)snprintf(path, sizeof path, "/sys/class/bdi/%u:%u/read_ahead_kb", major(st.st_dev),
        minor(st.st_dev));
    int fd = sys_openat(AT_FDCWD, path, O_WRONLY, 0);
    if (fd < 0)
        return;
    int size = snprintf(value, sizeof value, "%d", READ_AHEAD_KIB);
    (void)!write(fd, value, (size_t)size); /* refused: as before */
    (void)close(fd);
}

static int mount_work(void *context, void *result)
{
    const struct kernel_mount *request = context;
    (void)result;
    if (mount(request->source, request->point, "nfs4", request->flags, request->data) < 0)
        return -errno;
    set_read_ahead(request->point);
    return 0;
}

int kernel_mount(const struct kernel_mount *request, uint64_t limit_ms)
{
    struct kernel_mount copy = *request;
    int err = child_run(mount_work, &copy, limit_ms, NULL, 0, NULL);
    if (err == -ETIMEDOUT)
        (void)umount2(request->point, MNT_DETACH); /* if it came about after all; asks no server */
    return err;
}

struct remount {
    const char *point;
    unsigned long flags;
};

static int remount_work(void *context, void *result)
{
    const struct remount *remount = context;
    (void)result;
    return mount("none", remount->point, "nfs4", remount->flags | MS_REMOUNT, "") < 0 ? -errno : 0;
}

int kernel_remount(const char *point, unsigned long flags, uint64_t limit_ms)
{
    struct remount remount = { .point = point, .flags = flags };
    return child_run(remount_work, &remount, limit_ms, NULL, 0, NULL);
}

/* mkdir -p. */
static int directory_work(void *context, void *result)
{
    char *path = context;
    struct stat st;
    (void)result;
    (void)umask(022);
    if (stat(path, &st) == 0)
        return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
    int err = errno == ENOENT ? 0 : -errno;
    for (char *slash = path; err == 0 && (slash = strchr(slash + 1, '/')) != NULL;) {
        *slash = '\0';
        if (mkdir(path, 0755) < 0 && errno != EEXIST && errno != EROFS)
            err = -errno;
        *slash = '/';
    }
    if (err == 0 && mkdir(path, 0755) < 0 && errno != EEXIST)
        err = -errno;
    return err;
}

int kernel_make_directory(const char *path, uint64_t limit_ms)
{
    char copy[MOUNTINFO_PATH_SIZE];
    if (text_copy(copy, sizeof copy, path) < 0)
        return -ENAMETOOLONG;
    return child_run(directory_work, copy, limit_ms, NULL, 0, NULL);
}

struct real_path {
    char text[CHILD_RESULT_SIZE_MAX];
};

static int real_path_work(void *context, void *result)
{
    struct real_path *path = result;
    char *text = realpath(context, NULL);
    if (text == NULL)
        return -errno;
    return text_copy(path->text, sizeof path->text, text) < 0 ? -ENAMETOOLONG : 0;
}

int kernel_real_path(const char *path, uint64_t limit_ms, char *out_path)
{
    struct real_path found;
    char copy[MOUNTINFO_PATH_SIZE];
    if (text_copy(copy, sizeof copy, path) < 0)
        return -ENAMETOOLONG;
    int err = child_run(real_path_work, copy, limit_ms, &found, sizeof found, NULL);
    return err < 0 ? err : text_copy(out_path, MOUNTINFO_PATH_SIZE, found.text);
}

static int space_work(void *context, void *result)
{
    struct kernel_space *space = result;
    struct statfs st;
    if (statfs(context, &st) < 0)
        return -errno;
    space->total_bytes = (uint64_t)st.f_blocks * (uint64_t)st.f_bsize;
    space->free_bytes = (uint64_t)st.f_bavail * (uint64_t)st.f_bsize;
    space->type = (uint64_t)st.f_type;
    return 0;
}

int kernel_space(const char *path, uint64_t limit_ms, struct kernel_space *out_space)
{
    char copy[MOUNTINFO_PATH_SIZE];
    if (text_copy(copy, sizeof copy, path) < 0)
        return -ENAMETOOLONG;
    return child_run(space_work, copy, limit_ms, out_space, sizeof *out_space, NULL);
}

struct unmount {
    const char *point;
    int flags;
};

static int unmount_work(void *context, void *result)
{
    const struct unmount *unmount = context;
    (void)result;
    return umount2(unmount->point, unmount->flags) < 0 ? -errno : 0;
}

struct count {
    const char *point;
    unsigned found;
};

static int count_mount(void *context, const struct mountinfo *mount)
{
    struct count *count = context;
    count->found += strcmp(mount->point, count->point) == 0;
    return 0;
}

/* How many mounts lie over each other at this place. */
static unsigned mounts_at(const char *point)
{
    struct count count = { .point = point };
    char *text = NULL;
    if (mountinfo_read(&text) < 0)
        return 0;
    (void)mountinfo_each(text, count_mount, &count); /* always 0 */
    free(text);
    return count.found;
}

/* One try. What hangs after it has left the tree, waiting for a server that is away to take the rest of the data, is gone for
 * all that can be seen. */
static int try_unmount(struct unmount *unmount, uint64_t limit_ms)
{
    unsigned before = mounts_at(unmount->point);
    int err = child_run(unmount_work, unmount, limit_ms, NULL, 0, NULL);
    return err == -ETIMEDOUT && mounts_at(unmount->point) < before ? 0 : err;
}

int kernel_unmount(const struct kernel_unmount *request, enum kernel_unmount_way *out_way)
{
    /* UMOUNT_NOFOLLOW, so that the kernel does not look the last part up on a server that is gone. */
    struct unmount plain = { .point = request->point, .flags = UMOUNT_NOFOLLOW };
    struct unmount forced = { .point = request->point, .flags = UMOUNT_NOFOLLOW | MNT_FORCE };
    struct unmount lazy = { .point = request->point, .flags = UMOUNT_NOFOLLOW | MNT_DETACH };
    *out_way = UNMOUNT_PLAIN;
    int err = try_unmount(&plain, request->limit_ms);
    if (err == 0 || err == -EINVAL || err == -EPERM || err == -ENOENT)
        return err;
    if (err == -EBUSY && !request->may_be_lazy && !request->is_dead)
        return err;
    if (err != -EBUSY || request->is_dead) {
        *out_way = UNMOUNT_FORCED;
        err = try_unmount(&forced, request->limit_ms);
        if (err == 0)
            return 0;
    }
    *out_way = UNMOUNT_LAZY;
    return try_unmount(&lazy, request->limit_ms);
}

bool kernel_may_mount(void)
{
    char *text = NULL;
    if (mountinfo_read_proc("/proc/self/status", &text) < 0)
        return geteuid() == 0;
    const char *line = strstr(text, "CapEff:");
    uint64_t bits = line != NULL ? strtoull(line + strlen("CapEff:"), NULL, 16) : 0;
    free(text);
    return (bits >> CAP_SYS_ADMIN & 1) != 0;
}
