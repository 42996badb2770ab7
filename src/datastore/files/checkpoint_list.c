/*
 * datastore/files/checkpoint_list.c - which checkpoints and versions there are, and removing them (room: datastore).
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/random.h"
#include "datastore/files/checkpoints.h"

/* Adds a version (0: as another program wrote it) to the list, or a problem. Gives 1 when there was one, 0 when it is not there. */
static int add_version(struct shoal_data_list *list, int id_fd, const char *id, uint64_t version)
{
    char path[CHECKPOINT_VERSION_SIZE] = ".";
    char file[CHECKPOINT_VERSION_SIZE + 32];
    char base[CHECKPOINT_PATH_SIZE];
    struct stat st;
    char *metadata = NULL;
    size_t size = 0;
    if (version > 0)
        checkpoint_version_path(path, version);
    (void)snprintf(file, sizeof file, "%s/" CHECKPOINT_DATA, path); /* fits */
    checkpoint_path(base, id);
    if (fstatat(id_fd, file, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : -errno;
    (void)snprintf(file, sizeof file, "%s%s" CHECKPOINT_METADATA, version > 0 ? path : "",
        version > 0 ? "/" : ""); /* fits */
    int err = files_read_whole(id_fd, file, 2 * SHOAL_DATA_METADATA_SIZE_MAX, &metadata, &size);
    if (err == -ENOENT && version == 0) {
        metadata = strdup("{}");
        err = metadata == NULL ? -ENOMEM : 0;
    }
    json_t *root = err == 0 ? json_loads(metadata, JSON_ALLOW_NUL, NULL) : NULL;
    bool is_object = json_is_object(root);
    json_decref(root);
    if (err == -ENOMEM)
        return err;
    if (err < 0 || !is_object) {
        free(metadata);
        err = data_list_add_problem(list, "The file %s/%s is damaged or missing.", base, file);
        return err < 0 ? err : 1;
    }
    struct shoal_data_item item = { .id = id,
        .name = id,
        .generation = -1,
        .version = version,
        .time_s = checkpoint_saved_s(metadata, st.st_mtim.tv_sec),
        .size_bytes = (uint64_t)st.st_size,
        .text = metadata };
    err = data_list_add_taking(list, &item);
    return err < 0 ? err : 1;
}

/* Adds the latest version of one checkpoint. */
static int add_latest(struct shoal_data_list *list, int top_fd, const char *directory)
{
    char id[DATA_NAME_SIZE_MAX + 1];
    uint64_t latest = 0;
    if (directory[0] == '.' || files_unescape(id, directory, strlen(directory)) < 0)
        return 0; /* not of the layout */
    int id_fd = sys_openat(top_fd, directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
    if (id_fd < 0)
        return id_fd == -ENOENT || id_fd == -ENOTDIR || id_fd == -ELOOP ? 0 : id_fd;
    int err = checkpoint_latest(id_fd, &latest);
    if (err == 0)
        err = add_version(list, id_fd, id, latest);
    (void)close(id_fd); /* read only */
    return err < 0 ? err : 0;
}

static int compare_ids(const void *left, const void *right)
{
    const struct shoal_data_item *a = left;
    const struct shoal_data_item *b = right;
    return strcmp(a->id, b->id);
}

int32_t files_list_checkpoints(
    void *backend, struct shoal_data_list **out_list, struct shoal_data_error *error)
{
    const struct files_store *store = backend;
    struct shoal_data_list *list = data_list_new();
    DIR *dir = NULL;
    int err = list == NULL ? -ENOMEM : 0;
    int fd = err < 0 ? err : files_open_directory(store, CHECKPOINTS_DIRECTORY, false);
    if (fd >= 0) {
        dir = fdopendir(fd);
        err = dir == NULL ? -ENOMEM : 0;
        if (dir == NULL)
            (void)close(fd); /* read only */
    } else if (fd != -ENOENT) {
        err = fd;
    }
    struct dirent *entry;
    while (err == 0 && dir != NULL &&
           (entry = readdir(dir)) != NULL) /* NOLINT(concurrency-mt-unsafe): own DIR */
        err = add_latest(list, dirfd(dir), entry->d_name);
    if (dir != NULL)
        (void)closedir(dir); /* read only */
    if (err < 0) {
        shoal_data_list_free(list);
        return data_fail_errno(error, err, "Cannot list", CHECKPOINTS_DIRECTORY);
    }
    data_list_sort(list, compare_ids);
    *out_list = list;
    return data_list_status(list, error);
}

int32_t files_list_versions(void *backend, const char *id, struct shoal_data_list **out_list,
    struct shoal_data_error *error)
{
    char path[CHECKPOINT_PATH_SIZE];
    uint64_t *versions = NULL;
    size_t count = 0;
    struct shoal_data_list *list = data_list_new();
    checkpoint_path(path, id);
    int id_fd = checkpoint_open_directory(backend, id, false);
    int err = list == NULL ? -ENOMEM : id_fd < 0 ? id_fd : 0;
    if (err == 0)
        err = checkpoint_versions(id_fd, &versions, &count);
    for (size_t i = count; i > 0 && err >= 0; i--)
        err = add_version(list, id_fd, id, versions[i - 1]);
    if (err >= 0 && count == 0)
        err = add_version(list, id_fd, id, 0);
    free(versions);
    if (id_fd >= 0)
        (void)close(id_fd); /* read only */
    if (err >= 0 && shoal_data_list_count(list) == 0 && shoal_data_list_problem_count(list) == 0)
        err = -ENOENT;
    if (err < 0) {
        shoal_data_list_free(list);
        return data_fail_errno(error, err, "Cannot list the versions of", path);
    }
    *out_list = list;
    return data_list_status(list, error);
}

/* ---- Removing ---- */

/* Takes `path` out of sight at once and then removes it. */
static int remove_aside(int dir_fd, const char *path)
{
    char trash[32];
    char hex[17];
    random_hex(hex, 16);
    (void)snprintf(trash, sizeof trash, ".trash-%s", hex); /* fits */
    if (renameat(dir_fd, path, dir_fd, trash) < 0)
        return -errno;
    int err = sys_fsync(dir_fd);
    int removed = sys_remove_tree(dir_fd, trash);
    return err < 0 ? err : removed;
}

/* After the last version went: the names for older programs go too, when they were its. */
static int remove_names(int id_fd, const struct stat *data)
{
    struct stat st;
    if (fstatat(id_fd, CHECKPOINT_DATA, &st, AT_SYMLINK_NOFOLLOW) < 0 || st.st_ino != data->st_ino)
        return 0;
    if ((unlinkat(id_fd, CHECKPOINT_DATA, 0) < 0 && errno != ENOENT) ||
        (unlinkat(id_fd, CHECKPOINT_METADATA, 0) < 0 && errno != ENOENT))
        return -errno;
    return sys_fsync(id_fd);
}

int32_t files_delete_version(
    void *backend, const char *id, uint64_t version, struct shoal_data_error *error)
{
    char base[CHECKPOINT_PATH_SIZE];
    char path[CHECKPOINT_VERSION_SIZE];
    char data[CHECKPOINT_VERSION_SIZE + 32];
    char full[CHECKPOINT_PATH_SIZE + CHECKPOINT_VERSION_SIZE];
    struct stat st = { 0 };
    uint64_t latest = 0;
    checkpoint_path(base, id);
    checkpoint_version_path(path, version);
    (void)snprintf(data, sizeof data, "%s/" CHECKPOINT_DATA, path); /* fits */
    (void)snprintf(full, sizeof full, "%s/%s", base, path);         /* fits */
    int id_fd = checkpoint_open_directory(backend, id, false);
    int err = id_fd < 0 ? id_fd : 0;
    if (err == 0 && fstatat(id_fd, data, &st, AT_SYMLINK_NOFOLLOW) < 0)
        err = errno == ENOENT ? 0 : -errno; /* a damaged version can be removed too */
    if (err == 0)
        err = remove_aside(id_fd, path);
    if (err == 0)
        err = checkpoint_latest(id_fd, &latest);
    if (err == 0)
        err = latest == 0 ? remove_names(id_fd, &st) : checkpoint_publish(id_fd);
    if (id_fd >= 0)
        (void)close(id_fd); /* read only */
    return err < 0 ? data_fail_errno(error, err, "Cannot remove", full) : SHOAL_DATA_OK;
}

int32_t files_delete_checkpoint(void *backend, const char *id, struct shoal_data_error *error)
{
    char path[CHECKPOINT_PATH_SIZE];
    checkpoint_path(path, id);
    int fd = files_open_directory(backend, CHECKPOINTS_DIRECTORY, false);
    int err = fd < 0 ? fd : remove_aside(fd, path + sizeof CHECKPOINTS_DIRECTORY);
    if (fd >= 0)
        (void)close(fd); /* read only */
    return err < 0 ? data_fail_errno(error, err, "Cannot remove", path) : SHOAL_DATA_OK;
}
