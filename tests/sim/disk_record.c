/*
 * disk_record.c - libc's calls that change files, recorded.
 *
 * The functions have libc's names by their assembler labels, so that headers which rename calls for large files
 * do not meet them. Each makes the system call itself.
 */
#include "tests/sim/disk_log.h"

#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define FDS_MAX   4096
#define ITEMS_MAX 65536u
#define PATH_SIZE 512u

#define LABEL(name)    __asm__(name)
#define ALIAS_OF(name) __attribute__((alias(name)))

static struct {
    pthread_mutex_t lock;
    struct disk_log *log; /* NULL: nothing is recorded */
    char directory[PATH_SIZE];
    size_t directory_size;
    char *paths[ITEMS_MAX]; /* of each item, below the directory; NULL: removed */
    uint32_t items;
    uint32_t item_of_fd[FDS_MAX]; /* + 1; 0: of no interest */
    uint64_t calls;
    uint64_t fail_at;
    int fail_with;
    bool fails_for_ever;
} recorder = { .lock = PTHREAD_MUTEX_INITIALIZER };

struct disk_log *disk_log_new(size_t capacity_bytes)
{
    struct disk_log *log = mmap(NULL, sizeof *log + capacity_bytes, PROT_READ | PROT_WRITE,
        MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (log == MAP_FAILED)
        return NULL;
    log->capacity = capacity_bytes;
    return log;
}

void disk_log_free(struct disk_log *log)
{
    if (log != NULL)
        (void)munmap(log, sizeof *log + log->capacity);
}

uint64_t disk_log_events(const struct disk_log *log, bool *out_is_whole)
{
    *out_is_whole = !log->is_full;
    return log->events;
}

static void append(struct disk_event head, const void *first, size_t first_size, const void *second,
    size_t second_size)
{
    struct disk_log *log = recorder.log;
    head.payload_size = first_size + second_size;
    size_t size = disk_event_size(&head);
    if (log->is_full || log->capacity - log->used < size) {
        log->is_full = true;
        return;
    }
    struct disk_event *event = (struct disk_event *)(void *)(log->bytes + log->used);
    *event = head;
    if (first_size > 0)
        memcpy(event->payload, first, first_size);
    if (second_size > 0)
        memcpy(event->payload + first_size, second, second_size);
    log->used += size;
    log->events++;
}

static void append_name(enum disk_event_kind kind, uint32_t item, uint32_t parent, const char *name,
    const char *second_name)
{
    size_t size = strlen(name) + 1;
    struct disk_event head = {
        .kind = kind, .item = item, .parent = parent, .name_size = (uint32_t)size
    };
    append(head, name, size, second_name, second_name != NULL ? strlen(second_name) + 1 : 0);
}

static void append_range(enum disk_event_kind kind, uint32_t item, uint64_t offset, uint64_t size)
{
    struct disk_event head = { .kind = kind, .item = item, .offset = offset, .size = size };
    append(head, NULL, 0, NULL, 0);
}

/* ---- which file ---------------------------------------------------------------------------------------- */

/* The path below the directory of `name`, seen from `dir_fd`, in `out_path`; false: it is not there. */
static bool path_below(int dir_fd, const char *name, char out_path[PATH_SIZE])
{
    char whole[2 * PATH_SIZE];
    if (name[0] == '/') {
        (void)snprintf(whole, sizeof whole, "%s", name);
    } else if (dir_fd >= 0 && dir_fd < FDS_MAX && recorder.item_of_fd[dir_fd] != 0) {
        const char *dir = recorder.paths[recorder.item_of_fd[dir_fd] - 1];
        (void)snprintf(whole, sizeof whole, "%s/%s/%s", recorder.directory, dir, name);
    } else {
        return false;
    }
    if (strncmp(whole, recorder.directory, recorder.directory_size) != 0)
        return false;
    const char *from = whole + recorder.directory_size;
    if (*from != '/' && *from != '\0')
        return false;
    size_t size = 0;
    while (*from != '\0' && size + 1 < PATH_SIZE) { /* "//" and "/." are nothing */
        if (*from == '/' && (from[1] == '/' || from[1] == '\0'))
            from++;
        else if (*from == '/' && from[1] == '.' && (from[2] == '/' || from[2] == '\0'))
            from += 2;
        else if (*from == '/' && size == 0)
            from++;
        else
            out_path[size++] = *from++;
    }
    out_path[size] = '\0';
    return true;
}

static bool find(const char *path, uint32_t *out_item)
{
    for (uint32_t i = recorder.items; i-- > 0;) {
        if (recorder.paths[i] != NULL && strcmp(recorder.paths[i], path) == 0) {
            *out_item = i;
            return true;
        }
    }
    return false;
}

static const char *base_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

static uint32_t parent_of(const char *path)
{
    char dir[PATH_SIZE];
    uint32_t item = 0;
    const char *base = base_of(path);
    size_t size = base == path ? 0 : (size_t)(base - path) - 1;
    memcpy(dir, path, size);
    dir[size] = '\0';
    if (!find(dir, &item))
        abort(); /* something was made that the recorder did not see */
    return item;
}

static uint32_t add(enum disk_event_kind kind, const char *path)
{
    uint32_t item = recorder.items;
    uint32_t parent = item == 0 ? 0 : parent_of(path);
    if (item == ITEMS_MAX || (recorder.paths[item] = strdup(path)) == NULL)
        abort();
    recorder.items++;
    append_name(kind, item, parent, base_of(path), NULL);
    return item;
}

static void add_tree(const char *path)
{
    char whole[2 * PATH_SIZE];
    (void)snprintf(whole, sizeof whole, "%s/%s", recorder.directory, path);
    DIR *dir = opendir(whole);
    if (dir == NULL)
        abort();
    add(EVENT_DIR, path);
    struct dirent *entry;
    while ((entry = readdir(dir)) != NULL) {
        char below[2 * PATH_SIZE];
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        int size = snprintf(
            below, sizeof below, "%s%s%s", path, path[0] != '\0' ? "/" : "", entry->d_name);
        if (size < 0 || (size_t)size >= PATH_SIZE)
            abort();
        if (entry->d_type == DT_DIR)
            add_tree(below);
        else
            add(EVENT_FILE, below);
    }
    (void)closedir(dir);
}

void disk_record(struct disk_log *log, const char *directory)
{
    (void)snprintf(recorder.directory, sizeof recorder.directory, "%s", directory);
    recorder.directory_size = strlen(recorder.directory);
    recorder.log = log;
    add_tree("");
}

void disk_acknowledge(unsigned thread)
{
    (void)pthread_mutex_lock(&recorder.lock);
    append_range(EVENT_ACKNOWLEDGE, thread, 0, 0);
    (void)pthread_mutex_unlock(&recorder.lock);
}

void disk_fail(uint64_t number, int error, bool is_for_ever)
{
    recorder.fail_at = number;
    recorder.fail_with = error;
    recorder.fails_for_ever = is_for_ever;
}

uint64_t disk_calls(void)
{
    return recorder.calls;
}

/* ---- the calls ----------------------------------------------------------------------------------------- */

/* Begins a call. True: it is about something that is recorded, the lock is held until leave(). */
static bool enter_fd(int fd, uint32_t *out_item)
{
    if (recorder.log == NULL || fd < 0 || fd >= FDS_MAX)
        return false;
    (void)pthread_mutex_lock(&recorder.lock);
    if (recorder.item_of_fd[fd] != 0) {
        *out_item = recorder.item_of_fd[fd] - 1;
        return true;
    }
    (void)pthread_mutex_unlock(&recorder.lock);
    return false;
}

static bool enter_path(int dir_fd, const char *name, char out_path[PATH_SIZE])
{
    if (recorder.log == NULL)
        return false;
    (void)pthread_mutex_lock(&recorder.lock);
    if (path_below(dir_fd, name, out_path))
        return true;
    (void)pthread_mutex_unlock(&recorder.lock);
    return false;
}

static void leave(void)
{
    int error = errno;
    (void)pthread_mutex_unlock(&recorder.lock);
    errno = error;
}

/* Whether this call is to fail; errno is set then. */
static bool fails(void)
{
    recorder.calls++;
    bool is_now = recorder.calls == recorder.fail_at;
    bool is_later = recorder.fails_for_ever && recorder.calls > recorder.fail_at;
    if (recorder.fail_at == 0 || !(is_now || is_later))
        return false;
    errno = recorder.fail_with;
    return true;
}

static int open_at(int dir_fd, const char *name, int flags, unsigned mode)
{
    char path[PATH_SIZE];
    if (!enter_path(dir_fd, name, path))
        return (int)syscall(SYS_openat, dir_fd, name, flags, mode);
    uint32_t item;
    bool is_known = find(path, &item);
    bool may_change = (flags & O_CREAT) != 0 && !is_known;
    int fd = may_change && fails() ? -1 : (int)syscall(SYS_openat, dir_fd, name, flags, mode);
    if (fd >= FDS_MAX)
        abort();
    if (fd >= 0 && !is_known && may_change)
        item = add(EVENT_MAKE, path);
    if (fd >= 0 && (is_known || may_change)) {
        recorder.item_of_fd[fd] = item + 1;
        if ((flags & O_TRUNC) != 0 && is_known)
            append_range(EVENT_TRUNCATE, item, 0, 0);
    }
    leave();
    return fd;
}

static unsigned mode_of(int flags, va_list arguments)
{
    return (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(arguments, unsigned) : 0;
}

int hook_open(const char *name, int flags, ...) LABEL("open");
int hook_open(const char *name, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    unsigned mode = mode_of(flags, arguments);
    va_end(arguments);
    return open_at(AT_FDCWD, name, flags, mode);
}
int hook_open64(const char *name, int flags, ...) LABEL("open64") ALIAS_OF("open");

int hook_openat(int dir_fd, const char *name, int flags, ...) LABEL("openat");
int hook_openat(int dir_fd, const char *name, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    unsigned mode = mode_of(flags, arguments);
    va_end(arguments);
    return open_at(dir_fd, name, flags, mode);
}
int hook_openat64(int dir_fd, const char *name, int flags, ...) LABEL("openat64")
    ALIAS_OF("openat");

int hook_close(int fd) LABEL("close");
int hook_close(int fd)
{
    uint32_t item;
    if (!enter_fd(fd, &item))
        return (int)syscall(SYS_close, fd);
    recorder.item_of_fd[fd] = 0;
    int result = (int)syscall(SYS_close, fd);
    leave();
    return result;
}

/* It closes the descriptor by itself. */
int hook_closedir(DIR *dir) LABEL("closedir");
int hook_closedir(DIR *dir)
{
    uint32_t item;
    int fd = dirfd(dir);
    if (enter_fd(fd, &item)) {
        recorder.item_of_fd[fd] = 0;
        leave();
    }
    int (*next)(DIR *) = (int (*)(DIR *))(uintptr_t)dlsym(RTLD_NEXT, "closedir");
    return next(dir);
}

static bool is_zero(const uint8_t *bytes, size_t size)
{
    return size == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, size - 1) == 0);
}

static ssize_t write_at(int fd, const void *bytes, size_t size, int64_t offset, bool has_offset)
{
    uint32_t item;
    if (!enter_fd(fd, &item))
        return has_offset ? syscall(SYS_pwrite64, fd, bytes, size, offset)
                          : syscall(SYS_write, fd, bytes, size);
    if (!has_offset)
        offset = lseek(fd, 0, (fcntl(fd, F_GETFL) & O_APPEND) != 0 ? SEEK_END : SEEK_CUR);
    ssize_t n = -1;
    if (!fails())
        n = has_offset ? syscall(SYS_pwrite64, fd, bytes, size, offset)
                       : syscall(SYS_write, fd, bytes, size);
    if (n > 0) {
        bool zeros = is_zero(bytes, (size_t)n);
        struct disk_event head = { .kind = zeros ? EVENT_ZEROS : EVENT_WRITE,
            .item = item,
            .offset = (uint64_t)offset,
            .size = (uint64_t)n };
        append(head, bytes, zeros ? 0 : (size_t)n, NULL, 0);
    }
    leave();
    return n;
}

ssize_t hook_write(int fd, const void *bytes, size_t size) LABEL("write");
ssize_t hook_write(int fd, const void *bytes, size_t size)
{
    return write_at(fd, bytes, size, 0, false);
}

ssize_t hook_pwrite(int fd, const void *bytes, size_t size, int64_t offset) LABEL("pwrite");
ssize_t hook_pwrite(int fd, const void *bytes, size_t size, int64_t offset)
{
    return write_at(fd, bytes, size, offset, true);
}
ssize_t hook_pwrite64(int fd, const void *bytes, size_t size, int64_t offset) LABEL("pwrite64")
    ALIAS_OF("pwrite");

/* One part after the other: a short result is legal. */
ssize_t hook_pwritev(int fd, const struct iovec *parts, int count, int64_t offset) LABEL("pwritev");
ssize_t hook_pwritev(int fd, const struct iovec *parts, int count, int64_t offset)
{
    uint32_t item;
    if (!enter_fd(fd, &item))
        return syscall(SYS_pwritev, fd, parts, count, offset, 0);
    leave();
    return count > 0 ? write_at(fd, parts[0].iov_base, parts[0].iov_len, offset, true) : 0;
}
ssize_t hook_pwritev64(int fd, const struct iovec *parts, int count, int64_t offset)
    LABEL("pwritev64") ALIAS_OF("pwritev");

static int sync_with(long number, int fd)
{
    uint32_t item;
    if (!enter_fd(fd, &item))
        return (int)syscall(number, fd);
    int result = fails() ? -1 : (int)syscall(number, fd);
    if (result == 0)
        append_range(EVENT_SYNC, item, 0, 0);
    leave();
    return result;
}

int hook_fsync(int fd) LABEL("fsync");
int hook_fsync(int fd)
{
    return sync_with(SYS_fsync, fd);
}

int hook_fdatasync(int fd) LABEL("fdatasync");
int hook_fdatasync(int fd)
{
    return sync_with(SYS_fdatasync, fd);
}

int hook_ftruncate(int fd, int64_t size) LABEL("ftruncate");
int hook_ftruncate(int fd, int64_t size)
{
    uint32_t item;
    if (!enter_fd(fd, &item))
        return (int)syscall(SYS_ftruncate, fd, size);
    int result = fails() ? -1 : (int)syscall(SYS_ftruncate, fd, size);
    if (result == 0)
        append_range(EVENT_TRUNCATE, item, 0, (uint64_t)size);
    leave();
    return result;
}
int hook_ftruncate64(int fd, int64_t size) LABEL("ftruncate64") ALIAS_OF("ftruncate");

int hook_fallocate(int fd, int mode, int64_t offset, int64_t size) LABEL("fallocate");
int hook_fallocate(int fd, int mode, int64_t offset, int64_t size)
{
    uint32_t item;
    if (!enter_fd(fd, &item))
        return (int)syscall(SYS_fallocate, fd, mode, offset, size);
    int result = fails() ? -1 : (int)syscall(SYS_fallocate, fd, mode, offset, size);
    if (result == 0 && (mode & FALLOC_FL_PUNCH_HOLE) != 0)
        append_range(EVENT_PUNCH, item, (uint64_t)offset, (uint64_t)size);
    else if (result == 0 && mode == 0)
        append_range(EVENT_ALLOCATE, item, (uint64_t)offset, (uint64_t)size);
    leave();
    return result;
}
int hook_fallocate64(int fd, int mode, int64_t offset, int64_t size) LABEL("fallocate64")
    ALIAS_OF("fallocate");

static int rename_at(int from_fd, const char *from, int to_fd, const char *to)
{
    char from_path[PATH_SIZE];
    char to_path[PATH_SIZE];
    uint32_t item;
    if (!enter_path(from_fd, from, from_path))
        return (int)syscall(SYS_renameat, from_fd, from, to_fd, to);
    int result = fails() ? -1 : (int)syscall(SYS_renameat, from_fd, from, to_fd, to);
    if (result == 0 && find(from_path, &item)) { /* stdio's files are not known */
        if (!path_below(to_fd, to, to_path) || parent_of(from_path) != parent_of(to_path))
            abort(); /* from one directory to another: not needed so far */
        uint32_t replaced;
        if (find(to_path, &replaced)) {
            free(recorder.paths[replaced]);
            recorder.paths[replaced] = NULL;
        }
        free(recorder.paths[item]);
        recorder.paths[item] = strdup(to_path);
        append_name(EVENT_RENAME, item, parent_of(to_path), base_of(from_path), base_of(to_path));
    }
    leave();
    return result;
}

int hook_rename(const char *from, const char *to) LABEL("rename");
int hook_rename(const char *from, const char *to)
{
    return rename_at(AT_FDCWD, from, AT_FDCWD, to);
}

int hook_renameat(int from_fd, const char *from, int to_fd, const char *to) LABEL("renameat");
int hook_renameat(int from_fd, const char *from, int to_fd, const char *to)
{
    return rename_at(from_fd, from, to_fd, to);
}

static int unlink_at(int dir_fd, const char *name, int flags)
{
    char path[PATH_SIZE];
    uint32_t item;
    if (!enter_path(dir_fd, name, path))
        return (int)syscall(SYS_unlinkat, dir_fd, name, flags);
    int result = fails() ? -1 : (int)syscall(SYS_unlinkat, dir_fd, name, flags);
    if (result == 0 && find(path, &item)) {
        append_name(EVENT_REMOVE, item, parent_of(path), base_of(path), NULL);
        free(recorder.paths[item]);
        recorder.paths[item] = NULL;
    }
    leave();
    return result;
}

int hook_unlink(const char *name) LABEL("unlink");
int hook_unlink(const char *name)
{
    return unlink_at(AT_FDCWD, name, 0);
}

int hook_unlinkat(int dir_fd, const char *name, int flags) LABEL("unlinkat");
int hook_unlinkat(int dir_fd, const char *name, int flags)
{
    return unlink_at(dir_fd, name, flags);
}

static int mkdir_at(int dir_fd, const char *name, unsigned mode)
{
    char path[PATH_SIZE];
    if (!enter_path(dir_fd, name, path))
        return (int)syscall(SYS_mkdirat, dir_fd, name, mode);
    uint32_t item;
    int result = !find(path, &item) && fails() ? -1 : (int)syscall(SYS_mkdirat, dir_fd, name, mode);
    if (result == 0)
        add(EVENT_MAKE_DIR, path);
    leave();
    return result;
}

int hook_mkdir(const char *name, unsigned mode) LABEL("mkdir");
int hook_mkdir(const char *name, unsigned mode)
{
    return mkdir_at(AT_FDCWD, name, mode);
}

int hook_mkdirat(int dir_fd, const char *name, unsigned mode) LABEL("mkdirat");
int hook_mkdirat(int dir_fd, const char *name, unsigned mode)
{
    return mkdir_at(dir_fd, name, mode);
}
