/*
 * daemon/data_dir.c - opening, locking and recognizing the data directory (room: daemon).
 *
 * A first start writes `format` last, so a directory without it holds nothing that anyone was
 * promised, and a crash during that start leaves one that the next start completes.
 */
#include "daemon/data_dir.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/log.h"
#include "base/random.h"
#include "base/sys.h"
#include "base/text.h"

#define FORMAT_TITLE        "shoal data directory"
#define SMALL_FILE_SIZE_MAX 4096u

/* What may lie in a directory that no daemon has finished making: its own first files, the log file
 * of `shoal up`, and what mkfs puts into a new file system. */
static const char *const first_files[] = { ".", "..", "lock", "epoch", "identity", "shoald.log",
    "shoald.conf", "lost+found", ".epoch.new", ".identity.new", ".format.new" };

/* Makes the directory and those above it that are missing. */
static int make_directories(const char *path)
{
    char part[PATH_MAX];
    if (text_copy(part, sizeof part, path) < 0)
        return -ENAMETOOLONG;
    for (char *slash = strchr(part + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        int err = sys_mkdirat(AT_FDCWD, part, 0755);
        *slash = '/';
        if (err < 0)
            return err;
    }
    return sys_mkdirat(AT_FDCWD, part, 0700);
}

static int open_directory(struct data_dir *dir, const char *path, struct problem *out_problem)
{
    int err = make_directories(path);
    if (err < 0) {
        problem_set(out_problem,
            "Cannot make the data directory %s: %s. Choose another with --data, or make it and "
            "give it "
            "to this user.",
            path, strerrordesc_np(-err));
        return err;
    }
    dir->fd = sys_openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0);
    if (dir->fd >= 0)
        return 0;
    problem_set(out_problem,
        "Cannot open the data directory %s: %s. It has to belong to this user.", path,
        strerrordesc_np(-dir->fd));
    return dir->fd;
}

/* The number after "pid=" in the lock file, or 0. */
static uint64_t lock_owner(const struct data_dir *dir)
{
    char *text = NULL;
    uint64_t pid = 0;
    if (sys_read_file(dir->fd, "lock", SMALL_FILE_SIZE_MAX, &text) < 0)
        return 0;
    if (strncmp(text, "pid=", 4) == 0) {
        text[strcspn(text, "\n")] = '\0';
        if (text_parse_u64(text + 4, INT32_MAX, &pid) < 0)
            pid = 0;
    }
    free(text);
    return pid;
}

/* `flags`: O_CREAT, or 0. */
static int take_lock(struct data_dir *dir, const char *path, int flags, struct problem *out_problem)
{
    dir->lock_fd = sys_openat(dir->fd, "lock", O_RDWR | flags, 0600);
    if (dir->lock_fd < 0) {
        problem_set(out_problem,
            "Cannot open %s/lock: %s. The directory has to belong to this user.", path,
            strerrordesc_np(-dir->lock_fd));
        return dir->lock_fd;
    }
    /* Of the open file, so that no close() elsewhere in the process drops it; others can look at it. */
    struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
    if (fcntl(dir->lock_fd, F_OFD_SETLK, &lock) == 0)
        return 0;
    int err = -errno;
    if (err != -EAGAIN && err != -EACCES) {
        problem_set(out_problem,
            "Cannot lock %s/lock: %s. A data directory has to be on a local disk.", path,
            strerrordesc_np(-err));
        return err;
    }
    problem_set(out_problem,
        "The data directory %s is in use by the shoald with pid %" PRIu64
        ". Stop that one first (shoal down --data %s), or give this one a directory of its own.",
        path, lock_owner(dir), path);
    return -EBUSY;
}

/* Whether everything in the directory belongs to a first start. */
static int is_new(const struct data_dir *dir, bool *out_new)
{
    int fd = sys_openat(dir->fd, ".", O_RDONLY | O_DIRECTORY, 0);
    if (fd < 0)
        return fd;
    DIR *list = fdopendir(fd);
    if (list == NULL) {
        (void)close(fd); /* opened for reading */
        return -ENOMEM;
    }
    bool only_first = true;
    const struct dirent *entry;
    // NOLINTNEXTLINE(concurrency-mt-unsafe): the stream is ours alone
    while ((entry = readdir(list)) != NULL) {
        bool known = false;
        for (size_t i = 0; i < ARRAY_SIZE(first_files); i++)
            known = known || strcmp(entry->d_name, first_files[i]) == 0;
        only_first = only_first && known;
    }
    (void)closedir(list);
    *out_new = only_first;
    return 0;
}

/* Reads `format`: 0, -ENOENT when there is none, -EPROTO, -EBADMSG. */
static int check_format(const struct data_dir *dir, const char *path, struct problem *out_problem)
{
    char *text = NULL;
    int err = sys_read_file(dir->fd, "format", SMALL_FILE_SIZE_MAX, &text);
    if (err == -ENOENT)
        return err;
    if (err < 0) {
        problem_set(out_problem, "Cannot read %s/format: %s.", path, strerrordesc_np(-err));
        return err;
    }
    static const char head[] = FORMAT_TITLE "\nversion=";
    uint64_t version = 0;
    size_t size = strlen(text);
    err = -EBADMSG;
    if (size > sizeof head && text[size - 1] == '\n' && strncmp(text, head, sizeof head - 1) == 0) {
        text[size - 1] = '\0';
        err = text_parse_u64(text + sizeof head - 1, UINT32_MAX, &version);
    }
    free(text);
    if (err < 0 || version == 0) {
        problem_set(out_problem,
            "The data directory %s is damaged: its file `format` is not one that shoald wrote. "
            "Restore the "
            "directory from a backup, or start with another one.",
            path);
        return -EBADMSG;
    }
    if (version > DATA_DIR_VERSION) {
        problem_set(out_problem,
            "The data directory %s has format %" PRIu64
            ", and this shoald (%s) knows formats up to %u. "
            "Start the newer shoald that wrote it.",
            path, version, SHOAL_VERSION, DATA_DIR_VERSION);
        return -EPROTO;
    }
    return 0;
}

static int write_epoch(struct data_dir *dir, uint32_t epoch)
{
    char line[16];
    int size = snprintf(line, sizeof line, "%" PRIu32 "\n", epoch);
    dir->epoch = epoch;
    return sys_replace_file(dir->fd, "epoch", line, (size_t)size, 0600);
}

static int read_epoch(const struct data_dir *dir, uint64_t *out_epoch)
{
    char *text = NULL;
    int err = sys_read_file(dir->fd, "epoch", SMALL_FILE_SIZE_MAX, &text);
    if (err < 0)
        return err;
    text[strcspn(text, "\n")] = '\0';
    err = text_parse_u64(text, UINT32_MAX - 1, out_epoch) < 0 ? -EBADMSG : 0;
    free(text);
    return err;
}

static int next_epoch(struct data_dir *dir)
{
    uint64_t epoch = 0;
    int err = read_epoch(dir, &epoch);
    return err < 0 ? err : write_epoch(dir, (uint32_t)epoch + 1);
}

bool data_dir_is_ours(const struct data_dir *dir)
{
    uint64_t epoch = 0;
    return read_epoch(dir, &epoch) < 0 ||
           epoch <= dir->epoch; /* what cannot be read says nothing */
}

static int parse_hex(const char *text, uint64_t *out_value)
{
    if (strlen(text) != 16 || strspn(text, "0123456789abcdef") != 16)
        return -EBADMSG;
    *out_value = strtoull(text, NULL, 16);
    return 0;
}

/* "node=<16 digits>\nhandle_key=<32 digits>\n" */
static int read_identity(struct data_dir *dir)
{
    static const char node_name[] = "node=";
    static const char key_name[] = "\nhandle_key=";
    char *text = NULL;
    int err = sys_read_file(dir->fd, "identity", SMALL_FILE_SIZE_MAX, &text);
    if (err < 0)
        return err;
    const char *node = text + sizeof node_name - 1;
    const char *key = node + DATA_DIR_NODE_DIGITS + sizeof key_name - 1;
    err = -EBADMSG;
    if (strlen(text) != (size_t)(key - text) + 32 + 1 ||
        strncmp(text, node_name, sizeof node_name - 1) != 0 ||
        strncmp(node + DATA_DIR_NODE_DIGITS, key_name, sizeof key_name - 1) != 0)
        goto out;
    memcpy(dir->node_id, node, DATA_DIR_NODE_DIGITS);
    char half[17] = { 0 };
    memcpy(half, key, 16);
    err = parse_hex(half, &dir->fh_key.k0);
    memcpy(half, key + 16, 16);
    if (err == 0)
        err = parse_hex(half, &dir->fh_key.k1);
out:
    free(text);
    return err;
}

static int make_identity(struct data_dir *dir)
{
    char node[DATA_DIR_NODE_DIGITS + 1];
    char key[33];
    char text[96];
    random_hex(node, DATA_DIR_NODE_DIGITS);
    random_hex(key, 32);
    int size = snprintf(text, sizeof text, "node=%s\nhandle_key=%s\n", node, key);
    assert(size > 0 && (size_t)size < sizeof text);
    return sys_replace_file(dir->fd, "identity", text, (size_t)size, 0600);
}

/* Completes a new directory, up to and with `format`. */
static int make_new(struct data_dir *dir, const char *path, struct problem *out_problem)
{
    bool only_first_files;
    int err = is_new(dir, &only_first_files);
    if (err == 0 && !only_first_files) {
        problem_set(out_problem,
            "%s holds other files but no file `format`, so it is not a data directory of shoald, "
            "or a damaged "
            "one. Give an empty or a new directory with --data, or restore this one from a backup.",
            path);
        return -EBADMSG;
    }
    if (err == 0 && fchmod(dir->fd, 0700) < 0)
        err = -errno;
    if (err == 0)
        err = make_identity(dir);
    if (err == 0)
        err = write_epoch(dir, 0);
    char text[64];
    int size = snprintf(text, sizeof text, FORMAT_TITLE "\nversion=%u\n", DATA_DIR_VERSION);
    if (err == 0)
        err = sys_replace_file(dir->fd, "format", text, (size_t)size, 0600);
    if (err < 0)
        problem_set(
            out_problem, "Cannot write to the data directory %s: %s.", path, strerrordesc_np(-err));
    return err;
}

/* Tells others, in the lock file, who we are. */
static int sign_lock(const struct data_dir *dir)
{
    char text[64];
    int size = snprintf(text, sizeof text, "pid=%d\nepoch=%" PRIu32 "\n", getpid(), dir->epoch);
    int err = sys_pwrite_all(dir->lock_fd, text, (size_t)size, 0);
    if (err == 0 && ftruncate(dir->lock_fd, size) < 0)
        err = -errno;
    return err;
}

/* The files that every start reads or renews. */
static int take_over(struct data_dir *dir, const char *path, struct problem *out_problem)
{
    const char *file = "identity";
    int err = read_identity(dir);
    if (err == 0) {
        file = "epoch";
        err = next_epoch(dir);
    }
    if (err == 0) {
        file = "lock";
        err = sign_lock(dir);
    }
    if (err == -EBADMSG || err == -ENOENT) {
        problem_set(out_problem,
            "The data directory %s is damaged: its file `%s` is missing or not one that shoald "
            "wrote. Restore that file from a backup.",
            path, file);
    } else if (err < 0)
        problem_set(out_problem, "Cannot write %s/%s: %s.", path, file, strerrordesc_np(-err));
    return err;
}

int data_dir_open(const char *path, struct data_dir **out_dir, struct problem *out_problem)
{
    struct data_dir *dir = calloc(1, sizeof *dir);
    if (dir == NULL) {
        problem_set(out_problem, "There is no memory left to start with.");
        return -ENOMEM;
    }
    dir->fd = -1;
    dir->lock_fd = -1;
    int err = open_directory(dir, path, out_problem);
    if (err == 0)
        err = take_lock(dir, path, O_CREAT, out_problem);
    if (err < 0)
        goto out;
    err = check_format(dir, path, out_problem);
    if (err == -ENOENT)
        err = make_new(dir, path, out_problem);
    if (err == 0)
        err = take_over(dir, path, out_problem);
    if (err < 0)
        goto out;
    *out_dir = dir;
    dir = NULL; /* the caller owns it now */
out:
    data_dir_close(dir);
    return err;
}

int data_dir_hold(const char *path, struct data_dir **out_dir, struct problem *out_problem)
{
    struct data_dir *dir = calloc(1, sizeof *dir);
    if (dir == NULL) {
        problem_set(out_problem, "There is no memory left to start with.");
        return -ENOMEM;
    }
    dir->lock_fd = -1;
    dir->fd = sys_openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0);
    int err = dir->fd < 0 ? dir->fd : 0;
    if (err < 0)
        problem_set(out_problem, "Cannot open the directory %s: %s.", path, strerrordesc_np(-err));
    if (err == 0)
        err = check_format(dir, path, out_problem);
    /* One that is missing, or on a disk that is mounted read-only, nobody holds. */
    if (err == 0 && faccessat(dir->fd, "lock", W_OK, 0) == 0)
        err = take_lock(dir, path, 0, out_problem);
    if (err == 0) {
        *out_dir = dir;
        return 0;
    }
    data_dir_close(dir);
    return err;
}

void data_dir_close(struct data_dir *dir)
{
    if (dir == NULL)
        return;
    if (dir->lock_fd >= 0)
        (void)close(dir->lock_fd); /* the lock goes with it; its content is only a note */
    if (dir->fd >= 0)
        (void)close(dir->fd);
    free(dir);
}
