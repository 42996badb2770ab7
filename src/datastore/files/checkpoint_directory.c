/*
 * datastore/files/checkpoint_directory.c - versions of a checkpoint and the switch of the latest (room: datastore).
 *
 * A version exists when versions/N does: rename() of a whole directory is what commits, and it refuses a number that somebody
 * else took, since that directory is not empty. The names model.pkl and metadata.json beside it are for older programs and follow.
 */
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

#include "base/text.h"
#include "datastore/files/checkpoints.h"

#define COMMIT_TRIES_MAX  1000u
#define PUBLISH_TRIES_MAX 1000u
#define LITTER_S          INT64_C(86400)

void checkpoint_path(char to[CHECKPOINT_PATH_SIZE], const char *id)
{
    char escaped[FILES_ESCAPED_SIZE];
    files_escape(escaped, id, false);
    (void)snprintf(to, CHECKPOINT_PATH_SIZE, CHECKPOINTS_DIRECTORY "/%s", escaped); /* fits */
}

void checkpoint_version_path(char to[CHECKPOINT_VERSION_SIZE], uint64_t version)
{
    (void)snprintf(
        to, CHECKPOINT_VERSION_SIZE, CHECKPOINT_VERSIONS "/%08" PRIu64, version); /* fits */
}

int checkpoint_open_directory(const struct files_store *store, const char *id, bool create)
{
    char path[CHECKPOINT_PATH_SIZE];
    checkpoint_path(path, id);
    return files_open_directory(store, path, create);
}

/* ---- Versions ---- */

static int compare_versions(const void *left, const void *right)
{
    const uint64_t *a = left;
    const uint64_t *b = right;
    return *a < *b ? -1 : *a > *b;
}

static DIR *open_versions(int id_fd, int *out_err)
{
    int fd = sys_openat(id_fd, CHECKPOINT_VERSIONS, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
    *out_err = fd < 0 ? fd : 0;
    if (fd < 0)
        return NULL;
    DIR *dir = fdopendir(fd);
    if (dir == NULL) {
        *out_err = -ENOMEM;
        (void)close(fd); /* read only */
    }
    return dir;
}

int checkpoint_versions(int id_fd, uint64_t **out_versions, size_t *out_count)
{
    int err;
    DIR *dir = open_versions(id_fd, &err);
    uint64_t *versions = NULL;
    size_t count = 0;
    size_t room = 0;
    if (dir == NULL && err != -ENOENT)
        return err;
    err = 0;
    struct dirent *entry;
    while (dir != NULL && err == 0 &&
           (entry = readdir(dir)) != NULL) { /* NOLINT(concurrency-mt-unsafe): own DIR */
        uint64_t version;
        if (text_parse_u64(entry->d_name, CHECKPOINT_VERSION_MAX, &version) < 0 || version == 0)
            continue;
        if (count == room) {
            room = room == 0 ? 16 : room * 2;
            uint64_t *more = reallocarray(versions, room, sizeof *more);
            err = more == NULL ? -ENOMEM : 0;
            versions = more != NULL ? more : versions;
        }
        if (err == 0)
            versions[count++] = version;
    }
    if (dir != NULL)
        (void)closedir(dir); /* read only */
    if (err < 0) {
        free(versions);
        return err;
    }
    if (count > 1)
        qsort(versions, count, sizeof *versions, compare_versions);
    *out_versions = versions;
    *out_count = count;
    return 0;
}

int checkpoint_latest(int id_fd, uint64_t *out_version)
{
    uint64_t *versions = NULL;
    size_t count = 0;
    int err = checkpoint_versions(id_fd, &versions, &count);
    if (err == 0)
        *out_version = count == 0 ? 0 : versions[count - 1];
    free(versions);
    return err;
}

/* ---- Commit ---- */

/* Writes the metadata of the version into the staging directory. */
static int write_metadata(const struct files_store *store, int staging_fd, const char *id,
    const char *metadata_json, uint64_t version, uint64_t size_bytes)
{
    char relative[CHECKPOINT_PATH_SIZE];
    char *path = NULL;
    checkpoint_path(relative, id);
    if (asprintf(&path, "%s/%s/" CHECKPOINT_DATA, store->root, relative) < 0)
        return -ENOMEM;
    char *text = data_metadata_text(metadata_json, data_now_s(), path, version, size_bytes);
    free(path);
    if (text == NULL)
        return -ENOMEM;
    int err = files_publish(staging_fd, CHECKPOINT_METADATA, text, strlen(text), 0644, true);
    free(text);
    return err < 0 ? err : sys_fsync(staging_fd);
}

static int sync_directory(int dir_fd, const char *name)
{
    int fd = sys_openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
    int err = fd < 0 ? fd : sys_fsync(fd);
    if (fd >= 0)
        (void)close(fd); /* read only */
    return err;
}

/* NOLINTNEXTLINE(readability-function-size): all seven belong to the one moment */
int checkpoint_commit(const struct files_store *store, int id_fd, const char *id,
    const char *staging, const char *metadata_json, uint64_t size_bytes, uint64_t *out_version)
{
    uint64_t version = 0;
    int err = sys_mkdirat(id_fd, CHECKPOINT_VERSIONS, 0755);
    int staging_fd =
        err < 0 ? -1 : sys_openat(id_fd, staging, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
    if (err == 0 && staging_fd < 0)
        err = staging_fd;
    for (unsigned i = 0; err == 0 && i < COMMIT_TRIES_MAX; i++) {
        char path[CHECKPOINT_VERSION_SIZE];
        err = checkpoint_latest(id_fd, &version);
        version++;
        if (err == 0 && version > CHECKPOINT_VERSION_MAX)
            err = -EOVERFLOW;
        if (err == 0)
            err = write_metadata(store, staging_fd, id, metadata_json, version, size_bytes);
        if (err < 0)
            break;
        checkpoint_version_path(path, version);
        if (renameat(id_fd, staging, id_fd, path) == 0)
            break;
        err =
            errno == EEXIST || errno == ENOTEMPTY ? 0 : -errno; /* taken meanwhile: the next one */
        version = 0;
    }
    if (staging_fd >= 0)
        (void)close(staging_fd); /* read only */
    if (err == 0 && version == 0)
        err = -EBUSY;
    if (err == 0)
        err = sync_directory(id_fd, CHECKPOINT_VERSIONS);
    if (err == 0)
        err = sys_fsync(id_fd); /* `versions` may be new */
    if (err == 0)
        err = checkpoint_publish(id_fd);
    if (err == 0)
        *out_version = version;
    return err;
}

/* ---- The names for older programs ---- */

/* Lets `name` be another name of the version's file of that name. */
static int publish_name(int id_fd, const char *version_path, const char *name)
{
    char from[CHECKPOINT_VERSION_SIZE + 32];
    char temporary[FILES_TEMPORARY_SIZE];
    struct stat wanted;
    struct stat present;
    (void)snprintf(from, sizeof from, "%s/%s", version_path, name); /* fits */
    if (fstatat(id_fd, from, &wanted, AT_SYMLINK_NOFOLLOW) < 0)
        return -errno;
    if (fstatat(id_fd, name, &present, AT_SYMLINK_NOFOLLOW) == 0 && present.st_ino == wanted.st_ino)
        return 0; /* rename() of two names of one file would do nothing, and leave both */
    files_temporary_name(temporary);
    if (linkat(id_fd, from, id_fd, temporary, 0) < 0)
        return -errno;
    int err = renameat(id_fd, temporary, id_fd, name) < 0 ? -errno : 0;
    (void)unlinkat(
        id_fd, temporary, 0); /* there still only after a failure, or when somebody did the same */
    return err;
}

int checkpoint_publish(int id_fd)
{
    int err = 0;
    uint64_t done = 0;
    for (unsigned i = 0; i < PUBLISH_TRIES_MAX; i++) {
        uint64_t latest = 0;
        char path[CHECKPOINT_VERSION_SIZE];
        err = checkpoint_latest(id_fd, &latest);
        if (err < 0 || latest == 0 || latest == done)
            return err < 0 ? err : sys_fsync(id_fd);
        checkpoint_version_path(path, latest);
        err = publish_name(id_fd, path, CHECKPOINT_DATA);
        if (err == 0)
            err = publish_name(id_fd, path, CHECKPOINT_METADATA);
        if (err < 0 && err != -ENOENT) /* removed meanwhile: look again */
            return err;
        /* Who published an older version meanwhile looks again too, and one of us is the last to look. */
        done = err == 0 ? latest : 0;
    }
    return -EBUSY;
}

/* ---- Litter ---- */

static bool is_litter(int id_fd, const char *name)
{
    struct stat st;
    char data[300];
    if (strncmp(name, ".tmp-", 5) != 0 && strncmp(name, ".new-", 5) != 0 &&
        strncmp(name, ".trash-", 7) != 0)
        return false;
    int64_t before = data_now_s() - LITTER_S;
    if (fstatat(id_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || st.st_ctim.tv_sec > before)
        return false;
    (void)snprintf(data, sizeof data, "%s/" CHECKPOINT_DATA, name); /* fits: NAME_MAX is 255 */
    return fstatat(id_fd, data, &st, AT_SYMLINK_NOFOLLOW) < 0 || st.st_ctim.tv_sec <= before;
}

void checkpoint_sweep(int id_fd)
{
    int fd = sys_openat(id_fd, ".", O_RDONLY | O_DIRECTORY, 0);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (dir == NULL) {
        if (fd >= 0)
            (void)close(fd); /* read only */
        return;
    }
    struct dirent *entry;
    while ((entry = readdir(dir)) != NULL) { /* NOLINT(concurrency-mt-unsafe): own DIR */
        if (is_litter(id_fd, entry->d_name))
            (void)sys_remove_tree(id_fd, entry->d_name); /* the next sweep tries again */
    }
    (void)closedir(dir); /* read only */
}

int64_t checkpoint_saved_s(const char *metadata, int64_t file_time_s)
{
    json_t *root = json_loads(metadata, JSON_ALLOW_NUL, NULL);
    const char *saved_at = json_string_value(json_object_get(root, "saved_at"));
    struct tm parts = { 0 };
    int64_t saved_s = file_time_s;
    if (saved_at != NULL && strptime(saved_at, "%Y-%m-%dT%H:%M:%S", &parts) != NULL)
        saved_s = timegm(&parts);
    json_decref(root);
    return saved_s;
}
