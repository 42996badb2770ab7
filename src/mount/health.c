/*
 * mount/health.c - the probe (room: mount).
 */
#include "mount/health.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "base/clock.h"
#include "base/random.h"
#include "base/sys.h"
#include "base/text.h"

#define ALIGNMENT 4096u
#define NAME_SIZE 64
#define STEP_SIZE sizeof(((struct health_result *)NULL)->step)

/* What a probe that was killed has left behind is removed by a later one. */
#define NAME_PREFIX  ".shoal-health-"
#define STALE_S      600   /* longer than any probe may take, but for limits that nobody sets */
#define LOOKED_MAX   4096u /* entries of the directory, so that a large one costs no time */
#define LEFTOVER_MAX 64u
#define NAME_RANDOM  16u /* hexadecimal digits at the end of a name */

/* What the child works with. */
struct probe {
    struct health_result *result;
    const struct health_request *request;
    int dir_fd;
    char name[NAME_SIZE];
    int64_t made_s; /* when the server says that the file was made; 0: it was not */
    uint8_t *written;
    uint8_t *read;
};

static void at_step(struct probe *probe, const char *step)
{
    (void)text_copy(probe->result->step, STEP_SIZE, step); /* all are shorter */
}

/* Whether a probe gave this name: the prefix, a pid, '-', random digits. */
static bool is_probe_name(const char *name)
{
    size_t prefix = sizeof NAME_PREFIX - 1;
    if (strncmp(name, NAME_PREFIX, prefix) != 0)
        return false;
    size_t pid = strspn(name + prefix, "0123456789");
    const char *rest = name + prefix + pid;
    return pid > 0 && rest[0] == '-' && strspn(rest + 1, "0123456789abcdef") == NAME_RANDOM &&
           rest[1 + NAME_RANDOM] == '\0';
}

/* Removes probe files that are so old that whoever made them is gone. By the server's clock on both sides. What cannot be
 * removed stays: this directory works all the same. */
static void remove_leftovers(const struct probe *probe)
{
    unsigned removed = 0;
    int fd = sys_openat(probe->dir_fd, ".", O_RDONLY | O_DIRECTORY, 0);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (dir == NULL) {
        if (fd >= 0)
            (void)close(fd); /* opened for reading */
        return;
    }
    for (unsigned looked = 0; looked < LOOKED_MAX && removed < LEFTOVER_MAX; looked++) {
        struct stat st;
        const struct dirent *entry = readdir(dir); // NOLINT(concurrency-mt-unsafe): one thread
        if (entry == NULL)
            break;
        if (!is_probe_name(entry->d_name) ||
            fstatat(probe->dir_fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
            !S_ISREG(st.st_mode) || st.st_mtim.tv_sec + STALE_S > probe->made_s)
            continue;
        (void)unlinkat(probe->dir_fd, entry->d_name, 0); /* another user's: not ours to remove */
        removed++;
    }
    (void)closedir(dir); /* opened for reading */
}

static int write_file(struct probe *probe)
{
    struct stat st;
    uint64_t begin_ns = clock_monotonic_ns();
    at_step(probe, "create");
    int fd = sys_openat(probe->dir_fd, probe->name, O_WRONLY | O_CREAT | O_EXCL, 0600);
    if (fd < 0)
        return fd;
    at_step(probe, "write");
    int err = sys_pwrite_all(fd, probe->written, probe->request->size, 0);
    if (err == 0) {
        at_step(probe, "fsync");
        err = sys_fsync(fd);
    }
    if (err == 0 && fstat(fd, &st) == 0)
        probe->made_s = st.st_mtim.tv_sec;
    if (close(fd) < 0 && err == 0)
        err = -errno;
    probe->result->write_ns = clock_monotonic_ns() - begin_ns;
    return err;
}

/* Opens anew and reads past the cache of this machine, where the file system can do that. */
static int read_file(struct probe *probe)
{
    uint64_t begin_ns = clock_monotonic_ns();
    size_t size = probe->request->size;
    at_step(probe, "read");
    int fd = sys_openat(probe->dir_fd, probe->name, O_RDONLY | O_DIRECT, 0);
    ssize_t got = -1;
    if (fd >= 0) {
        got = pread(fd, probe->read, (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT, 0);
        (void)close(fd); /* opened for reading */
    }
    int err = got == (ssize_t)size ? 0 : -EINVAL;
    if (err < 0) { /* tmpfs and some others know no O_DIRECT */
        fd = sys_openat(probe->dir_fd, probe->name, O_RDONLY, 0);
        if (fd < 0)
            return fd;
        (void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
        err = sys_pread_all(fd, probe->read, size, 0);
        (void)close(fd); /* opened for reading */
    }
    probe->result->read_ns = clock_monotonic_ns() - begin_ns;
    if (err == 0 && memcmp(probe->read, probe->written, size) != 0)
        err = -EBADMSG;
    return err;
}

/* Reads the directory: what a mount for reading only can show. */
static int list(struct probe *probe)
{
    uint64_t begin_ns = clock_monotonic_ns();
    at_step(probe, "read");
    int fd = sys_openat(probe->dir_fd, ".", O_RDONLY | O_DIRECTORY, 0);
    if (fd < 0)
        return fd;
    DIR *dir = fdopendir(fd);
    if (dir == NULL) {
        (void)close(fd); /* opened for reading */
        return -ENOMEM;
    }
    errno = 0;
    // NOLINTNEXTLINE(concurrency-mt-unsafe): this process has one thread
    int err = readdir(dir) == NULL && errno != 0 ? -errno : 0;
    (void)closedir(dir);
    probe->result->read_ns = clock_monotonic_ns() - begin_ns;
    return err;
}

static int probe_file(struct probe *probe)
{
    int err = write_file(probe);
    if (err == -EROFS || err == -EACCES || err == -EPERM) {
        int read_err = list(probe);
        probe->result->readable = read_err == 0;
        at_step(probe, "create");
        return err;
    }
    bool was_made = strcmp(probe->result->step, "create") != 0;
    if (err == 0) {
        probe->result->writable = true;
        err = read_file(probe);
        probe->result->readable = err == 0;
    }
    if (was_made) {
        char step[STEP_SIZE];
        (void)text_copy(step, sizeof step, probe->result->step); /* same size */
        at_step(probe, "remove");
        int removed = unlinkat(probe->dir_fd, probe->name, 0) < 0 ? -errno : 0;
        if (err < 0)
            at_step(probe, step);
        else
            err = removed;
    }
    return err;
}

static int probe_work(void *context, void *result)
{
    const struct health *health = context;
    struct probe probe = { .result = result, .request = &health->request };
    struct statfs st;
    at_step(&probe, "open");
    probe.dir_fd = sys_openat(AT_FDCWD, health->clean_path, O_RDONLY | O_DIRECTORY, 0);
    if (probe.dir_fd < 0) {
        probe.result->err = probe.dir_fd;
        return 0;
    }
    if (fstatfs(probe.dir_fd, &st) == 0) {
        probe.result->total_bytes = (uint64_t)st.f_blocks * (uint64_t)st.f_bsize;
        probe.result->free_bytes = (uint64_t)st.f_bavail * (uint64_t)st.f_bsize;
    }
    probe.written = aligned_alloc(ALIGNMENT, HEALTH_SIZE_MAX);
    probe.read = aligned_alloc(ALIGNMENT, HEALTH_SIZE_MAX);
    if (probe.written == NULL || probe.read == NULL) {
        probe.result->err = -ENOMEM;
        return 0;
    }
    random_bytes(probe.written, health->request.size);
    (void)snprintf(probe.name, sizeof probe.name, NAME_PREFIX "%d-%016llx", (int)getpid(),
        (unsigned long long)random_u64());
    if (health->request.read_only) {
        probe.result->err = list(&probe);
        probe.result->readable = probe.result->err == 0;
    } else {
        probe.result->err = probe_file(&probe);
        if (probe.result->err == 0)
            remove_leftovers(&probe);
    }
    return 0;
}

int health_start(struct health *health, const struct health_request *request)
{
    assert(request->size > 0 && request->size <= HEALTH_SIZE_MAX);
    char *directory = get_current_dir_name();
    char *text = NULL;
    *health = (struct health){ .request = *request };
    int err = request->path[0] == '\0' ? -EINVAL
                                       : mountinfo_clean_path(directory != NULL ? directory : "/",
                                             request->path, health->clean_path);
    free(directory);
    if (err < 0)
        return err;
    if (mountinfo_read(&text) < 0 || mountinfo_of(text, health->clean_path, &health->mount) < 0)
        health->mount.type[0] = '\0';
    free(text);
    return child_start(&health->child, probe_work, health, sizeof(struct health_result));
}

void health_finish(struct health *health, uint64_t deadline_ms, struct health_result *out_result)
{
    *out_result = (struct health_result){ 0 };
    int err = child_result(&health->child, deadline_ms, out_result);
    if (err == 0)
        return;
    out_result->err = err == -EINPROGRESS ? -ETIMEDOUT : err;
    if (err == -EINPROGRESS)
        out_result->is_stuck = !child_kill(&health->child);
}

bool health_is_free(struct health *health)
{
    return health->child.pid <= 0 || child_reap(&health->child);
}
