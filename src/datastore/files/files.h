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
    char *root; /* as the caller named it, for messages and checkpoint_path; absolute */
    void *bars; /* of bars.c: files_bars_open() put it there, or NULL */
};

/* Makes (when `create`) and opens a directory below the root, without following links. `path` is relative. Gives the
 * descriptor, which the caller closes, or -errno. */
MUST_CHECK int files_open_directory(const struct files_store *store, const char *path, bool create);

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
