/*
 * datastore/files/files.h - the open files backend, as its files share it. The layout: docs/formats/datastore.md.
 *
 * Always holds: a name that does not begin with '.' is whole (it got there by rename() or link() after fsync());
 * everything is opened relative to `root_fd` without following links.
 */
#pragma once

#include "base/sys.h"
#include "datastore/datastore.h"

struct files_store {
    int root_fd; /* O_PATH is not enough: it is synced */
    unsigned threads;
    bool is_network; /* NFS: waiting costs more than threads */
    char *root;      /* as the caller named it, for messages and checkpoint_path; absolute */
    void *bars;      /* of bars.c: files_bars_open() put it there, or NULL */
};

/* Makes (when `create`) and opens a directory below the root, without following links. `path` is relative. Gives the
 * descriptor, which the caller closes, or -errno. */
MUST_CHECK int files_open_directory(const struct files_store *store, const char *path, bool create);

/* publish.c: opening and writing whole files.
 * Opens a path below `dir_fd`, never outside of it and never through a link. -errno (ELOOP, EXDEV: a link). */
MUST_CHECK int files_open_beneath(int dir_fd, const char *path, int flags);
#define FILES_TEMPORARY_PREFIX ".tmp-"
#define FILES_TEMPORARY_SIZE   32
/* A name for a new temporary file, that nobody else has. */
void files_temporary_name(char to[FILES_TEMPORARY_SIZE]);
/* Writes a new file whole: temporary name, fsync, and then its own name; `name` may be there already only when `replace`.
 * The caller makes it durable with sys_fsync(dir_fd). Errors: -EEXIST, or the system's; nothing has changed then. */
MUST_CHECK int files_publish(
    int dir_fd, const char *name, const void *data, size_t size, unsigned mode, bool replace);
/* Gives a durable temporary file its name. The temporary name is gone on success. Errors: -EEXIST (not `replace`), or
 * the system's. */
MUST_CHECK int files_rename_new(
    int from_fd, const char *from, int to_fd, const char *to, bool replace);
/* Reads a whole regular file, of `size_max` bytes at most, into a malloc'd text with a NUL after it.
 * Errors: -EFBIG, -EBADF (no regular file), -ELOOP, -ENOMEM, or the system's. */
MUST_CHECK int files_read_whole(
    int dir_fd, const char *path, size_t size_max, char **out_text, size_t *out_size);
/* How many threads are good for waiting on many small files: more on a network. */
unsigned files_wait_threads(const struct files_store *store);

/* documents.c; the ops' meaning stands in datastore.h. */
int32_t files_save_document(void *backend, const struct shoal_data_document *document, char *out_id,
    struct shoal_data_error *error);
int32_t files_load_documents(void *backend, const struct shoal_data_query *query,
    struct shoal_data_list **out_list, struct shoal_data_error *error);
int32_t files_load_document(void *backend, int32_t kind, const char *id,
    struct shoal_data_list **out_list, struct shoal_data_error *error);
int32_t files_delete_document(
    void *backend, int32_t kind, const char *id, struct shoal_data_error *error);

/* walk.c: visits every file below a directory of the store, without following links; names of directories that begin
 * with '.' are passed over. Directories that vanish meanwhile are no error. */
struct files_visit {
    int dir_fd;
    const char *directory; /* from the root of the store: "results/gen_3" */
    unsigned depth;        /* of `directory`: 1 for "results" */
    const char *name;
};
/* `visit` gives 0 or a -errno that ends the walk. `top` "" is the root itself. Errors: that one, -ENOMEM; what could not
 * be read is told to `problem`. */
MUST_CHECK int files_walk(const struct files_store *store, const char *top,
    int (*visit)(void *context, const struct files_visit *visit),
    int (*problem)(void *context, const char *directory, int err), void *context);

/* upkeep.c; the ops' meaning stands in datastore.h. */
int32_t files_clean(void *backend, const struct shoal_data_clean_options *options,
    struct shoal_data_report **out_report, struct shoal_data_error *error);
int32_t files_usage(
    void *backend, struct shoal_data_report **out_report, struct shoal_data_error *error);
int32_t files_health(
    void *backend, struct shoal_data_health *out_health, struct shoal_data_error *error);

/* bars.c; the ops' meaning stands in datastore.h. Called once when the store is opened and closed. */
int32_t files_bars_open(struct files_store *store, struct shoal_data_error *error);
void files_bars_close(struct files_store *store);
int32_t files_append_bars(void *backend, const char *symbol, const char *timeframe,
    const struct shoal_data_bars *bars, struct shoal_data_error *error);
int32_t files_load_bars(void *backend, const char *symbol, const char *timeframe, int64_t from_ns,
    int64_t to_ns, uint32_t columns, struct shoal_data_frame **out_frame,
    struct shoal_data_error *error);
int32_t files_list_series(void *backend, const char *timeframe, struct shoal_data_list **out_list,
    struct shoal_data_error *error);
int32_t files_compact_bars(void *backend, const char *symbol, const char *timeframe,
    struct shoal_data_compaction *out_report, struct shoal_data_error *error);

/* names.c: names as parts of file names. */
#define FILES_ESCAPED_SIZE (3 * DATA_NAME_SIZE_MAX + 1)
/* Writes `name`, which data_check_name() accepts, so that it is one safe part of a file name: the bytes / % : * ? " < > | and
 * DEL become %XX, and also '_' when `is_part` (where '_' separates). `to` has FILES_ESCAPED_SIZE bytes. */
void files_escape(char *to, const char *name, bool is_part);
/* The opposite, of `size` bytes. Errors: -EINVAL: what it gives is no name. `to` has DATA_NAME_SIZE_MAX + 1 bytes. */
MUST_CHECK int files_unescape(char *to, const char *name, size_t size);
