/*
 * datastore/files/files.c - the files backend: opening the directory, and the table of its functions (room: datastore).
 */
#include "datastore/files/checkpoints.h"

#include <limits.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/vfs.h>

/* What is made when a store is created; results/gen_N come with their first result. */
static const char *const layout[] = { "market_data", "market_data/ohlcv", "market_data/indicators",
    "models", "models/trained", "models/checkpoints", "results", "results/backtests",
    "results/performance", "logs" };

/* Opens, or makes, one directory in `dir_fd`. */
static int open_one(int dir_fd, const char *name, bool create)
{
    int fd = sys_openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
    if (fd != -ENOENT || !create)
        return fd;
    int err = sys_mkdirat(dir_fd, name, 0755);
    if (err == 0)
        err = sys_fsync(dir_fd);
    return err < 0 ? err : sys_openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
}

int files_open_directory(const struct files_store *store, const char *path, bool create)
{
    int fd = -1;
    while (*path != '\0') {
        char part[NAME_MAX + 1];
        size_t size = strcspn(path, "/");
        if (size == 0 || size > NAME_MAX || strncmp(path, "..", size) == 0)
            goto invalid;
        memcpy(part, path, size);
        part[size] = '\0';
        int next = open_one(fd < 0 ? store->root_fd : fd, part, create);
        if (fd >= 0)
            (void)close(fd); /* read only */
        if (next < 0)
            return next;
        fd = next;
        path += size + (path[size] == '/');
    }
    return fd;
invalid:
    if (fd >= 0)
        (void)close(fd); /* read only */
    return -EINVAL;
}

static int32_t make_layout(struct files_store *store, struct shoal_data_error *error)
{
    for (size_t i = 0; i < ARRAY_SIZE(layout); i++) {
        int fd = files_open_directory(store, layout[i], true);
        if (fd < 0)
            return data_fail_errno(error, fd, "Cannot make the directory", layout[i]);
        (void)close(fd); /* read only */
    }
    return SHOAL_DATA_OK;
}

/* The root may be reached through links: it is what the caller named. */
static int32_t open_root(
    struct files_store *store, const char *path, bool create, struct shoal_data_error *error)
{
    if (create && mkdir(path, 0755) < 0 && errno != EEXIST)
        return data_fail_errno(error, -errno, "Cannot make the directory", path);
    store->root_fd = sys_openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0);
    if (store->root_fd < 0)
        return data_fail_errno(error, store->root_fd, "Cannot open the directory", path);
    store->root = realpath(path, NULL);
    if (store->root == NULL)
        return data_fail_errno(error, -errno, "Cannot find the path of the directory", path);
    struct statfs fs;
    store->is_network = fstatfs(store->root_fd, &fs) == 0 && fs.f_type == NFS_SUPER_MAGIC;
    return create ? make_layout(store, error) : SHOAL_DATA_OK;
}

static void files_close(void *backend)
{
    struct files_store *store = backend;
    files_bars_close(store);
    if (store->root_fd >= 0)
        (void)close(store->root_fd); /* read only */
    free(store->root);
    free(store);
}

static int32_t files_open(const char *url, const struct shoal_data_options *options,
    void **out_backend, struct shoal_data_error *error)
{
    struct files_store *store = calloc(1, sizeof *store);
    if (store == NULL)
        return data_fail(error, SHOAL_DATA_NO_MEMORY, "There is no memory left.");
    store->root_fd = -1;
    store->threads = options->threads;
    int32_t status = open_root(store, url, options->create != 0, error);
    if (status == SHOAL_DATA_OK)
        status = files_bars_open(store, error);
    if (status != SHOAL_DATA_OK) {
        files_close(store);
        return status;
    }
    *out_backend = store;
    return SHOAL_DATA_OK;
}

const struct datastore_ops files_ops = {
    .name = "files",
    .open = files_open,
    .close = files_close,
    .save_document = files_save_document,
    .load_documents = files_load_documents,
    .load_document = files_load_document,
    .delete_document = files_delete_document,
    .append_bars = files_append_bars,
    .load_bars = files_load_bars,
    .list_series = files_list_series,
    .compact_bars = files_compact_bars,
    .save_checkpoint = files_save_checkpoint,
    .writer_begin = files_writer_begin,
    .writer_write = files_writer_write,
    .writer_finish = files_writer_finish,
    .writer_abort = files_writer_abort,
    .commit_checkpoint = files_commit_checkpoint,
    .abort_checkpoint = files_abort_checkpoint,
    .checkpoint_open = files_checkpoint_open,
    .checkpoint_info = files_checkpoint_info,
    .checkpoint_shard = files_checkpoint_shard,
    .checkpoint_read = files_checkpoint_read,
    .checkpoint_close = files_checkpoint_close,
    .list_checkpoints = files_list_checkpoints,
    .list_versions = files_list_versions,
    .delete_version = files_delete_version,
    .delete_checkpoint = files_delete_checkpoint,
    .clean = files_clean,
    .usage = files_usage,
    .health = files_health,
};
