/*
 * datastore/files/checkpoint_shards.c - shards written by several ranks, and the commit of them (room: datastore).
 * In ID/.session-S/ each rank writes a file of its own, data-X, and when that is durable shard-I-of-N.json, which names it.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/random.h"
#include "base/text.h"
#include "datastore/files/checkpoints.h"

#define SESSION_SIZE (FILES_ESCAPED_SIZE + 16)

struct files_writer {
    struct shard *shard;
    int session_fd;
    char data[32];                   /* the file's name */
    char manifest[48];               /* "shard-00000-of-00002.json" */
    char path[CHECKPOINT_PATH_SIZE]; /* for messages */
};

static void session_name(char to[SESSION_SIZE], const char *session)
{
    char escaped[FILES_ESCAPED_SIZE];
    files_escape(escaped, session, false);
    (void)snprintf(to, SESSION_SIZE, ".session-%s", escaped); /* fits */
}

static void shard_name(char to[48], uint32_t index, uint32_t count)
{
    (void)snprintf(to, 48, "shard-%05u-of-%05u.json", index, count); /* fits */
}

static void writer_free(struct files_writer *writer)
{
    if (writer == NULL)
        return;
    shard_free(writer->shard);
    if (writer->session_fd >= 0)
        (void)close(writer->session_fd); /* read only */
    free(writer);
}

/* Opens the session's directory, and makes it. */
static int open_session(const struct files_store *store, const char *id, const char *session)
{
    char name[SESSION_SIZE];
    session_name(name, session);
    int id_fd = checkpoint_open_directory(store, id, true);
    if (id_fd < 0)
        return id_fd;
    int err = sys_mkdirat(id_fd, name, 0755);
    int fd = err < 0 ? err : sys_openat(id_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
    if (fd >= 0)
        err = sys_fsync(id_fd);
    (void)close(id_fd); /* read only */
    if (err < 0 && fd >= 0)
        (void)close(fd); /* read only */
    return err < 0 ? err : fd;
}

/* Removes what the shard was before, if it was. */
static int forget_shard(int session_fd, const char *manifest)
{
    char *text = NULL;
    size_t size;
    int err = files_read_whole(session_fd, manifest, MANIFEST_SIZE_MAX, &text, &size);
    if (err < 0)
        return err == -ENOENT ? 0 : err;
    json_t *root = json_loadb(text, size, 0, NULL);
    const char *data = json_string_value(json_object_get(root, "data"));
    err = unlinkat(session_fd, manifest, 0) < 0 && errno != ENOENT ? -errno : 0;
    if (err == 0 && data != NULL && strncmp(data, "data-", 5) == 0 && strchr(data, '/') == NULL)
        (void)unlinkat(session_fd, data, 0); /* goes with the session otherwise */
    json_decref(root);
    free(text);
    return err;
}

int32_t files_writer_begin(void *backend, const char *id,
    const struct shoal_data_writer_options *options, void **out_writer,
    struct shoal_data_error *error)
{
    const struct files_store *store = backend;
    struct files_writer *writer = calloc(1, sizeof *writer);
    char hex[17];
    if (writer == NULL)
        return data_fail(error, SHOAL_DATA_NO_MEMORY, "There is no memory left.");
    checkpoint_path(writer->path, id);
    shard_name(writer->manifest, options->shard_index, options->shard_count);
    random_hex(hex, 16);
    (void)snprintf(writer->data, sizeof writer->data, "data-%s", hex); /* fits */
    writer->session_fd = open_session(store, id, options->session);
    int err = writer->session_fd < 0 ? writer->session_fd : 0;
    if (err == 0)
        err = forget_shard(writer->session_fd, writer->manifest);
    if (err == 0)
        err = shard_create(
            writer->session_fd, writer->data, store->threads, options->size_bytes, &writer->shard);
    if (err < 0) {
        int32_t status = data_fail_errno(error, err, "Cannot begin a shard of", writer->path);
        writer_free(writer);
        return status;
    }
    *out_writer = writer;
    return SHOAL_DATA_OK;
}

int32_t files_writer_write(void *writer, uint64_t offset, const void *data, uint64_t size_bytes,
    struct shoal_data_error *error)
{
    struct files_writer *self = writer;
    int err = shard_write(self->shard, offset, data, size_bytes);
    return err < 0 ? data_fail_errno(error, err, "Cannot write a shard of", self->path)
                   : SHOAL_DATA_OK;
}

void files_writer_abort(void *writer)
{
    struct files_writer *self = writer;
    (void)unlinkat(self->session_fd, self->data, 0); /* goes with the session otherwise */
    writer_free(self);
}

/* Publishes the manifest of a shard that is durable. */
static int publish_shard(struct files_writer *writer)
{
    json_t *manifest = shard_manifest(writer->shard);
    if (manifest == NULL || json_object_set_new(manifest, "data", json_string(writer->data)) < 0) {
        json_decref(manifest);
        return -ENOMEM;
    }
    char *text = json_dumps(manifest, JSON_COMPACT);
    json_decref(manifest);
    if (text == NULL)
        return -ENOMEM;
    int err = files_publish(writer->session_fd, writer->manifest, text, strlen(text), 0644, true);
    free(text);
    return err < 0 ? err : sys_fsync(writer->session_fd);
}

int32_t files_writer_finish(void *writer, struct shoal_data_error *error)
{
    struct files_writer *self = writer;
    uint64_t gap = 0;
    int32_t status = SHOAL_DATA_OK;
    int err = shard_sync(self->shard, &gap);
    if (err == -ENODATA)
        status = data_fail(error, SHOAL_DATA_INVALID,
            "The shard of %s has bytes after offset %" PRIu64 " that were never written.",
            self->path, gap);
    else if (err == 0)
        err = publish_shard(self);
    if (err < 0 && status == SHOAL_DATA_OK)
        status = data_fail_errno(error, err, "Cannot finish a shard of", self->path);
    if (status != SHOAL_DATA_OK)
        (void)unlinkat(self->session_fd, self->data, 0); /* the error counts */
    writer_free(self);
    return status;
}

/* ---- Commit ---- */

struct commit {
    const struct files_store *store;
    int id_fd;
    int session_fd;
    int staging_fd;
    uint32_t shard_count;
    json_t *shards; /* of the manifest; "data" is taken off */
    char (*data)[32];
    uint64_t *offsets; /* shard_count + 1 */
    int to_fd;
    _Atomic int err;
};

/* Reads the manifest of a shard into commit->shards. -ENOENT: it is not finished. */
static int read_shard(struct commit *commit, uint32_t index)
{
    char name[48];
    char *text = NULL;
    size_t size;
    shard_name(name, index, commit->shard_count);
    int err = files_read_whole(commit->session_fd, name, MANIFEST_SIZE_MAX, &text, &size);
    if (err < 0)
        return err;
    json_t *shard = json_loadb(text, size, 0, NULL);
    free(text);
    const char *data = json_string_value(json_object_get(shard, "data"));
    json_int_t bytes = json_integer_value(json_object_get(shard, "size"));
    err = -EBADMSG;
    if (data == NULL || strchr(data, '/') != NULL || bytes < 0 ||
        (uint64_t)bytes > SHOAL_DATA_CHECKPOINT_SIZE_MAX - commit->offsets[index] ||
        text_copy(commit->data[index], sizeof commit->data[index], data) < 0)
        goto out;
    commit->offsets[index + 1] = commit->offsets[index] + (uint64_t)bytes;
    err = -ENOMEM;
    if (json_object_del(shard, "data") == 0 && json_array_append(commit->shards, shard) == 0)
        err = 0;
out:
    json_decref(shard);
    return err;
}

/* Reads all; says which are not finished. */
static int32_t read_shards(struct commit *commit, const char *path, struct shoal_data_error *error)
{
    char missing[200] = "";
    size_t used = 0;
    unsigned missing_count = 0;
    for (uint32_t i = 0; i < commit->shard_count; i++) {
        int err = read_shard(commit, i);
        if (err == -ENOENT) {
            missing_count++;
            (void)text_append(missing, sizeof missing, &used, " %u", i); /* or cut */
            commit->offsets[i + 1] = commit->offsets[i];
        } else if (err == -EBADMSG) {
            return data_fail(
                error, SHOAL_DATA_DAMAGED, "The manifest of shard %u of %s is damaged.", i, path);
        } else if (err < 0) {
            return data_fail_errno(error, err, "Cannot read the shards of", path);
        }
    }
    if (missing_count > 0)
        return data_fail(error, SHOAL_DATA_NOT_FOUND, "%u of %u shards of %s are not finished:%s.",
            missing_count, commit->shard_count, path, missing);
    return SHOAL_DATA_OK;
}

/* Copies a range by the kernel, on the server where it can; else through memory. */
static int copy_range(int from_fd, uint64_t from, int to_fd, uint64_t to, uint64_t size)
{
    off_t from_at = (off_t)from;
    off_t to_at = (off_t)to;
    while (size > 0) {
        ssize_t n = copy_file_range(from_fd, &from_at, to_fd, &to_at, (size_t)size, 0);
        if (n > 0) {
            size -= (uint64_t)n;
            continue;
        }
        if (n == 0)
            return -ENODATA;
        if (errno == EINTR)
            continue;
        if (errno != EXDEV && errno != ENOSYS && errno != EOPNOTSUPP && errno != EINVAL)
            return -errno;
        break;
    }
    char *buffer = size == 0 ? NULL : malloc(SHARD_CHUNK_SIZE);
    int err = size > 0 && buffer == NULL ? -ENOMEM : 0;
    while (size > 0 && err == 0) {
        size_t n = (size_t)min_u64(size, SHARD_CHUNK_SIZE);
        err = sys_pread_all(from_fd, buffer, n, (uint64_t)from_at);
        if (err == 0)
            err = sys_pwrite_all(to_fd, buffer, n, (uint64_t)to_at);
        from_at += (off_t)n;
        to_at += (off_t)n;
        size -= n;
    }
    free(buffer);
    return err;
}

static void copy_shard(void *context, uint64_t index)
{
    struct commit *commit = context;
    if (commit->err != 0)
        return;
    int fd = sys_openat(commit->session_fd, commit->data[index], O_RDONLY | O_NOFOLLOW, 0);
    int err = fd < 0 ? fd : 0;
    if (err == 0)
        err = copy_range(fd, 0, commit->to_fd, commit->offsets[index],
            commit->offsets[index + 1] - commit->offsets[index]);
    if (fd >= 0)
        (void)close(fd); /* read only */
    if (err < 0)
        commit->err = err;
}

/* One file of all shards. A single shard's file gets a second name; several are copied behind each other. */
static int assemble(struct commit *commit)
{
    if (commit->shard_count == 1)
        return linkat(commit->session_fd, commit->data[0], commit->staging_fd, CHECKPOINT_DATA, 0) <
                       0
                   ? -errno
                   : 0;
    commit->to_fd = sys_openat(
        commit->staging_fd, CHECKPOINT_DATA, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0644);
    if (commit->to_fd < 0)
        return commit->to_fd;
    data_parallel(commit->store->threads, commit->shard_count, copy_shard, commit);
    int err = commit->err;
    if (err == 0 && fchmod(commit->to_fd, 0444) < 0)
        err = -errno;
    if (err == 0)
        err = sys_fsync(commit->to_fd);
    if (close(commit->to_fd) < 0 && err == 0)
        err = -errno;
    return err;
}

/* Makes the version of what read_shards() found. */
static int make_version(
    struct commit *commit, const char *id, const char *metadata_json, uint64_t *out_version)
{
    char staging[32];
    char hex[17];
    random_hex(hex, 16);
    (void)snprintf(staging, sizeof staging, ".new-%s", hex); /* fits */
    int err = sys_mkdirat(commit->id_fd, staging, 0755);
    if (err < 0)
        return err;
    commit->staging_fd = sys_openat(commit->id_fd, staging, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
    err = commit->staging_fd < 0 ? commit->staging_fd : assemble(commit);
    char *text = err < 0 ? NULL : manifest_text(json_incref(commit->shards));
    if (err == 0 && text == NULL)
        err = -ENOMEM;
    else if (err == 0 && text != NULL)
        err =
            files_publish(commit->staging_fd, CHECKPOINT_MANIFEST, text, strlen(text), 0444, true);
    free(text);
    if (commit->staging_fd >= 0)
        (void)close(commit->staging_fd); /* read only */
    if (err == 0)
        err = checkpoint_commit(commit->store, commit->id_fd, id, staging, metadata_json,
            commit->offsets[commit->shard_count], out_version);
    if (err < 0)
        (void)sys_remove_tree(
            commit->id_fd, staging); /* the error counts; a sweep finds what stays */
    return err;
}

/* Locks the session for one committer, as long as *out_fd is open. -EAGAIN: somebody else commits. */
static int lock_session(int session_fd, int *out_fd)
{
    struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
    int fd = sys_openat(session_fd, ".lock", O_RDWR | O_CREAT | O_NOFOLLOW, 0644);
    if (fd < 0)
        return fd;
    if (fcntl(fd, F_OFD_SETLK, &lock) < 0) {
        int err = errno == EACCES ? -EAGAIN : -errno;
        (void)close(fd); /* nothing was written */
        return err;
    }
    *out_fd = fd;
    return 0;
}

static int32_t commit_locked(struct commit *commit, const char *id, const char *path,
    const char *metadata_json, uint64_t *out_version, struct shoal_data_error *error)
{
    commit->shards = json_array();
    commit->data = calloc(commit->shard_count, sizeof *commit->data);
    commit->offsets = calloc((size_t)commit->shard_count + 1, sizeof *commit->offsets);
    int32_t status = SHOAL_DATA_OK;
    if (commit->shards == NULL || commit->data == NULL || commit->offsets == NULL)
        status = data_fail(error, SHOAL_DATA_NO_MEMORY, "There is no memory left.");
    assert(status != SHOAL_DATA_OK || (commit->data != NULL && commit->offsets != NULL));
    if (status == SHOAL_DATA_OK)
        status = read_shards(commit, path, error);
    if (status == SHOAL_DATA_OK) {
        int err = make_version(commit, id, metadata_json, out_version);
        if (err < 0)
            status = data_fail_errno(error, err, "Cannot commit the checkpoint", path);
    }
    json_decref(commit->shards);
    free(commit->data);
    free(commit->offsets);
    return status;
}

/* NOLINTNEXTLINE(readability-function-size): the parameters are those of the interface */
int32_t files_commit_checkpoint(void *backend, const char *id, const char *session,
    uint32_t shard_count, const char *metadata_json, uint64_t *out_version,
    struct shoal_data_error *error)
{
    struct commit commit = { .store = backend, .session_fd = -1, .shard_count = shard_count };
    char path[CHECKPOINT_PATH_SIZE];
    char name[SESSION_SIZE];
    int lock_fd = -1;
    checkpoint_path(path, id);
    session_name(name, session);
    commit.id_fd = checkpoint_open_directory(backend, id, false);
    int err = commit.id_fd < 0 ? commit.id_fd : 0;
    if (err == 0) {
        commit.session_fd = sys_openat(commit.id_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
        err = commit.session_fd < 0 ? commit.session_fd : lock_session(commit.session_fd, &lock_fd);
    }
    int32_t status = SHOAL_DATA_OK;
    if (err == -ENOENT)
        status = data_fail(
            error, SHOAL_DATA_NOT_FOUND, "There is no session \"%s\" of %s.", session, path);
    else if (err == -EAGAIN)
        status = data_fail(error, SHOAL_DATA_BUSY,
            "Somebody else is committing session \"%s\" of %s.", session, path);
    else if (err < 0)
        status = data_fail_errno(error, err, "Cannot open a session of", path);
    if (status == SHOAL_DATA_OK)
        status = commit_locked(&commit, id, path, metadata_json, out_version, error);
    if (status == SHOAL_DATA_OK)
        (void)sys_remove_tree(
            commit.id_fd, name); /* its shards are in the version: only space is lost */
    if (lock_fd >= 0)
        (void)close(lock_fd); /* gives the lock back */
    if (commit.session_fd >= 0)
        (void)close(commit.session_fd); /* read only */
    if (status == SHOAL_DATA_OK)
        checkpoint_sweep(commit.id_fd);
    if (commit.id_fd >= 0)
        (void)close(commit.id_fd); /* read only */
    return status;
}

int32_t files_abort_checkpoint(
    void *backend, const char *id, const char *session, struct shoal_data_error *error)
{
    char path[CHECKPOINT_PATH_SIZE];
    char name[SESSION_SIZE];
    checkpoint_path(path, id);
    session_name(name, session);
    int id_fd = checkpoint_open_directory(backend, id, false);
    if (id_fd == -ENOENT)
        return SHOAL_DATA_OK;
    int err = id_fd < 0 ? id_fd : sys_remove_tree(id_fd, name);
    if (id_fd >= 0)
        (void)close(id_fd); /* read only */
    return err < 0 ? data_fail_errno(error, err, "Cannot remove a session of", path)
                   : SHOAL_DATA_OK;
}
