/*
 * datastore/datastore.h - what a backend of the data layer must offer, and the helpers that backends share.
 *
 * core.c checks every argument that does not need the store (names, times, JSON, sizes, NULL) and fills in defaults
 * before it calls a backend, so an op gets valid arguments and a non-NULL `error`. What the functions mean stands in
 * shoal_data.h. None of the members is NULL. All may be called from many threads at once.
 * The shape of errors here: a status of enum shoal_data_status, with the sentence put into `error` by data_fail().
 */
#pragma once

#include "base/base.h"
#include "datastore/shoal_data.h"

#define DATA_NAME_SIZE_MAX      64u
#define DATA_TIMEFRAME_SIZE_MAX 12u
#define DATA_ID_SIZE_MAX        512u
#define DATA_TIME_S_MAX         INT64_C(253402300799)
#define DATA_TIMEOUT_MS         30000u

struct datastore_ops {
    const char *name;
    /* `options` is never NULL and has no zero where zero means a default. On success the caller owns *out_backend. */
    int32_t (*open)(const char *url, const struct shoal_data_options *options, void **out_backend,
        struct shoal_data_error *error);
    void (*close)(void *backend);

    /* `document->time_s` is 0 only for "now". `out_id` has DATA_ID_SIZE_MAX bytes. */
    int32_t (*save_document)(void *backend, const struct shoal_data_document *document,
        char *out_id, struct shoal_data_error *error);
    /* `query->limit` is not 0, `to_s` is INT64_MAX for no end. */
    int32_t (*load_documents)(void *backend, const struct shoal_data_query *query,
        struct shoal_data_list **out_list, struct shoal_data_error *error);
    int32_t (*load_document)(void *backend, int32_t kind, const char *id,
        struct shoal_data_list **out_list, struct shoal_data_error *error);
    int32_t (*delete_document)(
        void *backend, int32_t kind, const char *id, struct shoal_data_error *error);

    /* bars->count is not 0. */
    int32_t (*append_bars)(void *backend, const char *symbol, const char *timeframe,
        const struct shoal_data_bars *bars, struct shoal_data_error *error);
    int32_t (*load_bars)(void *backend, const char *symbol, const char *timeframe, int64_t from_ns,
        int64_t to_ns, uint32_t columns, struct shoal_data_frame **out_frame,
        struct shoal_data_error *error);
    int32_t (*list_series)(void *backend, const char *timeframe, struct shoal_data_list **out_list,
        struct shoal_data_error *error);
    int32_t (*compact_bars)(void *backend, const char *symbol, const char *timeframe,
        struct shoal_data_compaction *out_report, struct shoal_data_error *error);

    /* `metadata_json` is a valid JSON object, never NULL ("{}"). *out_version is always there. */
    int32_t (*save_checkpoint)(void *backend, const char *id, const void *data, uint64_t size_bytes,
        const char *metadata_json, uint64_t *out_version, struct shoal_data_error *error);
    /* `options->shard_count` is not 0; the session is a valid name. */
    int32_t (*writer_begin)(void *backend, const char *id,
        const struct shoal_data_writer_options *options, void **out_writer,
        struct shoal_data_error *error);
    int32_t (*writer_write)(void *writer, uint64_t offset, const void *data, uint64_t size_bytes,
        struct shoal_data_error *error);
    int32_t (*writer_finish)(void *writer, struct shoal_data_error *error); /* frees it, always */
    void (*writer_abort)(void *writer);
    int32_t (*commit_checkpoint)(void *backend, const char *id, const char *session,
        uint32_t shard_count, const char *metadata_json, uint64_t *out_version,
        struct shoal_data_error *error);
    int32_t (*abort_checkpoint)(
        void *backend, const char *id, const char *session, struct shoal_data_error *error);
    int32_t (*checkpoint_open)(void *backend, const char *id, uint64_t version,
        void **out_checkpoint, struct shoal_data_error *error);
    void (*checkpoint_info)(const void *checkpoint, struct shoal_data_checkpoint_info *out_info);
    int32_t (*checkpoint_shard)(const void *checkpoint, uint32_t shard_index, uint64_t *out_offset,
        uint64_t *out_size_bytes, struct shoal_data_error *error);
    /* The range lies within the size, and is not empty. */
    int32_t (*checkpoint_read)(void *checkpoint, uint64_t offset, void *buffer, uint64_t size_bytes,
        struct shoal_data_error *error);
    void (*checkpoint_close)(void *checkpoint);
    int32_t (*list_checkpoints)(
        void *backend, struct shoal_data_list **out_list, struct shoal_data_error *error);
    int32_t (*list_versions)(void *backend, const char *id, struct shoal_data_list **out_list,
        struct shoal_data_error *error);
    /* Removes one version (never 0). Versions to keep are chosen by core from list_versions. */
    int32_t (*delete_version)(
        void *backend, const char *id, uint64_t version, struct shoal_data_error *error);
    int32_t (*delete_checkpoint)(void *backend, const char *id, struct shoal_data_error *error);

    /* `options->days` is not 0; the rules' directories are of the store's layout. */
    int32_t (*clean)(void *backend, const struct shoal_data_clean_options *options,
        struct shoal_data_report **out_report, struct shoal_data_error *error);
    int32_t (*usage)(
        void *backend, struct shoal_data_report **out_report, struct shoal_data_error *error);
    int32_t (*health)(
        void *backend, struct shoal_data_health *out_health, struct shoal_data_error *error);
};

extern const struct datastore_ops files_ops; /* datastore/files/ */
#ifdef SHOAL_DATA_POSTGRES
extern const struct datastore_ops postgres_ops; /* datastore/postgres/ */
#endif

/* ---- Errors ---- */

/* Puts the sentence into `error` (NULL allowed) and gives `status`. */
int32_t data_fail(struct shoal_data_error *error, int32_t status, const char *format, ...)
    PRINTF_LIKE(3, 4);
/* The status for a -errno, with "DOING `what`: reason." as the sentence. */
int32_t data_fail_errno(
    struct shoal_data_error *error, int err, const char *doing, const char *what);

/* ---- Lists, frames and reports, as backends build them ---- */

MUST_CHECK struct shoal_data_list *data_list_new(void); /* NULL: no memory */
/* Copies the item and all its texts (text: size_bytes of it, when that is not NULL). Errors: -ENOMEM. */
MUST_CHECK int data_list_add(struct shoal_data_list *list, const struct shoal_data_item *item);
/* As data_list_add, but takes item->text, which malloc() gave and which ends with a NUL; on an error too. */
MUST_CHECK int data_list_add_taking(
    struct shoal_data_list *list, const struct shoal_data_item *item);
MUST_CHECK int data_list_add_problem(struct shoal_data_list *list, const char *format, ...)
    PRINTF_LIKE(2, 3);
/* The item, to be changed by who builds the list. */
struct shoal_data_item *data_list_at(struct shoal_data_list *list, uint64_t index);
/* Sorts as qsort() does, by a comparison of struct shoal_data_item. */
void data_list_sort(struct shoal_data_list *list, int (*compare)(const void *, const void *));
/* OK, or DAMAGED with the first problem as sentence when there is one. */
int32_t data_list_status(const struct shoal_data_list *list, struct shoal_data_error *error);

/* A frame with room for `count` bars and the columns asked for, aligned to 64 bytes; NULL: no memory. */
MUST_CHECK struct shoal_data_frame *data_frame_new(uint64_t count, uint32_t columns);
/* The columns to be filled; NULL for those not asked for. [0] open, [1] high, [2] low, [3] close, [4] volume. */
int64_t *data_frame_timestamps(struct shoal_data_frame *frame);
double *data_frame_column(struct shoal_data_frame *frame, unsigned index);
/* Makes it shorter: `count` is at most what data_frame_new got. */
void data_frame_set_count(struct shoal_data_frame *frame, uint64_t count);
MUST_CHECK int data_frame_add_problem(struct shoal_data_frame *frame, const char *format, ...)
    PRINTF_LIKE(2, 3);
int32_t data_frame_status(const struct shoal_data_frame *frame, struct shoal_data_error *error);

MUST_CHECK struct shoal_data_report *data_report_new(void); /* NULL: no memory */
/* Adds to the row of the directory, which appears when it is new. Errors: -ENOMEM. */
MUST_CHECK int data_report_add(
    struct shoal_data_report *report, const char *directory, uint64_t files, uint64_t bytes);
MUST_CHECK int data_report_add_problem(struct shoal_data_report *report, const char *format, ...)
    PRINTF_LIKE(2, 3);
int32_t data_report_status(const struct shoal_data_report *report, struct shoal_data_error *error);

/* ---- Checks and defaults that both need ---- */

/* Seconds since 1970, now. */
int64_t data_now_s(void);
/* OK, or INVALID with the sentence. `what`: "symbol". The rules stand in shoal_data.h. */
int32_t data_check_name(const char *what, const char *name, struct shoal_data_error *error);
int32_t data_check_timeframe(const char *timeframe, struct shoal_data_error *error);
/* OK, or INVALID with line, column and reason. */
int32_t data_check_json(const char *json, uint64_t json_size, struct shoal_data_error *error);
/* The caller's metadata with saved_at, checkpoint_path, version and size_bytes, as a malloc'd text. NULL: no memory. */
MUST_CHECK char *data_metadata_text(const char *metadata_json, int64_t saved_s, const char *path,
    uint64_t version, uint64_t size_bytes);
/* The days that hold for a directory by the rules; -1: keep all. */
int64_t data_clean_days(const struct shoal_data_clean_options *options, const char *directory);
/* Whether clean() looks at it: a directory of the layout that is not under models, or one below. */
bool data_is_clean_directory(const char *directory);

/* ---- Work in parallel ---- */

/* Calls run(context, 0..count-1), each once, from up to `threads` threads, and returns when all have returned. When
 * threads cannot be started this one does it all. */
void data_parallel(
    unsigned threads, uint64_t count, void (*run)(void *context, uint64_t index), void *context);
