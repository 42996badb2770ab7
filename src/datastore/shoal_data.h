/*
 * shoal_data.h - the workers' data layer: bars, documents, checkpoints and results of many workers on many hosts, in
 * a directory (best: a shared mount) or in PostgreSQL, behind one interface. The library is libshoal-data.
 *
 * Always holds, whatever the backend:
 * - What a call acknowledged (SHOAL_DATA_OK) is durable. A reader sees the old or the new, never half of it.
 * - Every function gives one of enum shoal_data_status. `error`, always the last argument, may be NULL; else it is
 *   filled when the status is not SHOAL_DATA_OK, with a sentence that names the offending value, file or page.
 * - Results through `out_*` are written on success only, except where a function says so.
 * - Pointers given in are borrowed for the call. Handles given out belong to the caller, who releases them once with
 *   the function named; every releaser accepts NULL. What a handle points at lives as long as the handle.
 * - An open store may be used by any number of threads at once, and by any number of processes on any number of
 *   hosts. The other handles are used by one thread at a time, except where said. A store does not survive fork():
 *   the child opens its own.
 * - Structs of options may be all zero, which means the defaults; set `struct_size` so that they can grow.
 *
 * Texts are UTF-8. Times of documents, results and checkpoints are whole seconds since 1970 UTC, 1 to 253402300799
 * (year 9999); timestamps of bars are nanoseconds since 1970 UTC, the whole range of int64_t (years 1677 to 2262).
 *
 * Names. A symbol has 1 to 64 bytes (BRK.B, BTC/USD, unicode); a timeframe is digits followed by letters, 12 bytes at
 * most (1m, 5m, 1h, 1d); names of strategies, indicators and results, and ids of checkpoints, have 1 to 64 bytes.
 * Refused as SHOAL_DATA_INVALID: control characters, what is no UTF-8, a leading '.', '/' or blank, a trailing blank,
 * an empty, "." or ".." part between '/', and '\'.
 */
#pragma once

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SHOAL_DATA_API      __attribute__((visibility("default"), warn_unused_result))
#define SHOAL_DATA_API_VOID __attribute__((visibility("default")))

/* Grows only at its end: a program built with an older header runs with a newer library. */
#define SHOAL_DATA_HEADER_VERSION 1

enum shoal_data_status {
    SHOAL_DATA_OK = 0,
    SHOAL_DATA_INVALID = 1,         /* an argument: symbol, timeframe, JSON, time, range */
    SHOAL_DATA_NOT_FOUND = 2,       /* no such document, checkpoint, version, directory */
    SHOAL_DATA_EXISTS = 3,          /* it is there already and may not be replaced */
    SHOAL_DATA_SCHEMA_MISMATCH = 4, /* columns or a stored schema that do not fit */
    SHOAL_DATA_DAMAGED = 5,     /* stored data that cannot be read: the file (and page) is named */
    SHOAL_DATA_CHECKSUM = 6,    /* stored bytes are not those that were written */
    SHOAL_DATA_NO_SPACE = 7,    /* disk or quota is full; what was there is intact */
    SHOAL_DATA_UNAVAILABLE = 8, /* the server did not answer within the bounded wait */
    SHOAL_DATA_BUSY = 9,        /* another worker is doing this; try again */
    SHOAL_DATA_IO = 10,         /* the operating system or the database says no */
    SHOAL_DATA_NO_MEMORY = 11,
    SHOAL_DATA_UNSUPPORTED = 12, /* not by this backend, file system or server */
    SHOAL_DATA_PERMISSION = 13,
};

#define SHOAL_DATA_MESSAGE_SIZE 512

struct shoal_data_error {
    int32_t status;                        /* of enum shoal_data_status */
    char message[SHOAL_DATA_MESSAGE_SIZE]; /* one sentence; cut at the end of the buffer */
};

/* "NOT_FOUND" for SHOAL_DATA_NOT_FOUND; "UNKNOWN" for a number that is none. Static text. */
SHOAL_DATA_API const char *shoal_data_status_name(int32_t status);
/* The version of the library, as "0.1.0". Static text. */
SHOAL_DATA_API const char *shoal_data_version(void);

/* ---- Opening ---- */

struct shoal_data;

struct shoal_data_options {
    uint32_t struct_size; /* sizeof(struct shoal_data_options) */
    uint32_t create;      /* not 0: make the directories or the schema when they are missing */
    uint32_t threads; /* that one call may use; 0: twice the processors, 4 at least; 64 at most */
    uint32_t timeout_ms; /* longest wait for a database; 0: 30000 */
    uint32_t pool_min;   /* connections kept to a database; 0: 10 */
    uint32_t pool_max;   /* connections at most; 0: 50 */
};

/* Opens a store. `url` is a path or file:///path (the files backend), postgres://... or postgresql://... (libpq's
 * connection URI), or "neon": the connection string in the environment's NEON_CONNECTION_STRING. `options` may be NULL.
 * The caller owns *out_store (shoal_data_close). Errors: INVALID, NOT_FOUND (no such directory, and not `create`),
 * PERMISSION, UNAVAILABLE, UNSUPPORTED (this library was built without that backend), IO, NO_MEMORY. */
SHOAL_DATA_API int32_t shoal_data_open(const char *url, const struct shoal_data_options *options,
    struct shoal_data **out_store, struct shoal_data_error *error);
/* Closes it. No other call on the store may be running, and its other handles must be released before. */
SHOAL_DATA_API_VOID void shoal_data_close(struct shoal_data *store);
/* "files" or "postgres". Static text. */
SHOAL_DATA_API const char *shoal_data_backend(const struct shoal_data *store);

/* ---- Lists: what loads and queries give ---- */

struct shoal_data_list;

struct shoal_data_item {
    const char *id;     /* what names it in this store; never NULL */
    const char *name;   /* of the strategy, indicator, result or checkpoint; "" when it has none */
    const char *symbol; /* "" when it has none, as the next */
    const char *timeframe; /* "1m" */
    int64_t time_s;        /* of the document; of saving, for a checkpoint; seconds since 1970 */
    int64_t generation;    /* of a result of kind GENERATION; else -1 */
    uint64_t version;      /* of a checkpoint, from 1; else 0 */
    uint64_t size_bytes;   /* of the JSON text, or of the checkpoint's data */
    const char *
        text; /* the JSON, with a NUL after it (metadata, for a checkpoint); NULL when not asked for */
};

SHOAL_DATA_API uint64_t shoal_data_list_count(const struct shoal_data_list *list);
/* NULL beyond the last. The items lie one behind the other, and live as long as the list. */
SHOAL_DATA_API const struct shoal_data_item *shoal_data_list_item(
    const struct shoal_data_list *list, uint64_t index);
/* The texts of all items as one JSON array, with a NUL after it; null for an item without text. Parsing it once costs a
 * fraction of parsing them one by one. Made at the first call (not by two threads at once), lives as long as the list.
 * *out_size (NULL allowed) is its size without the NUL. NULL: no memory, or no list. */
SHOAL_DATA_API const char *shoal_data_list_json(struct shoal_data_list *list, uint64_t *out_size);
/* Things that could not be loaded while the others were: a sentence each, which names the file. NULL beyond the last. */
SHOAL_DATA_API uint64_t shoal_data_list_problem_count(const struct shoal_data_list *list);
SHOAL_DATA_API const char *shoal_data_list_problem(
    const struct shoal_data_list *list, uint64_t index);
SHOAL_DATA_API_VOID void shoal_data_list_free(struct shoal_data_list *list);

/* ---- Documents: market data, indicators, results. Each is one JSON text. ---- */

enum shoal_data_kind {
    SHOAL_DATA_MARKET_DATA = 0, /* symbol, timeframe */
    SHOAL_DATA_INDICATOR = 1,   /* symbol, timeframe, name */
    SHOAL_DATA_BACKTEST = 2,    /* name: of the strategy */
    SHOAL_DATA_PERFORMANCE = 3, /* name */
    SHOAL_DATA_GENERATION = 4,  /* generation, name */
};

#define SHOAL_DATA_JSON_SIZE_MAX  (UINT64_C(256) << 20) /* of one document */
#define SHOAL_DATA_LIMIT_DEFAULT  1000
#define SHOAL_DATA_ANY_GENERATION (-1)

struct shoal_data_document {
    uint32_t struct_size;
    int32_t
        kind; /* of enum shoal_data_kind; says which of the next four are needed: the others are ignored */
    const char *symbol;    /* NULL when the kind has none */
    const char *timeframe; /* as symbol */
    const char *name;      /* as symbol */
    int64_t generation;    /* 0 or more, for kind GENERATION */
    int64_t time_s;        /* 0: now */
    const char *json;      /* a valid JSON text: any value */
    uint64_t json_size;    /* bytes, without a NUL; SHOAL_DATA_JSON_SIZE_MAX at most */
};

enum shoal_data_query_flags {
    SHOAL_DATA_WITHOUT_TEXT = 1, /* ids only: quick */
};

struct shoal_data_query {
    uint32_t struct_size;
    int32_t kind;
    const char *symbol; /* NULL: any, as the next two */
    const char *timeframe;
    const char *name;
    int64_t generation; /* SHOAL_DATA_ANY_GENERATION: any; looked at for kind GENERATION only */
    int64_t from_s;     /* time_s of this or later; 0: from the beginning */
    int64_t to_s;       /* time_s before this; 0: no end */
    uint64_t limit;     /* how many at most: the newest; 0: SHOAL_DATA_LIMIT_DEFAULT */
    uint32_t flags;     /* of enum shoal_data_query_flags */
};

/* Saves a document beside those that are there: two of the same second are two documents. On success, when `out_id`
 * is not NULL, its id is written there, with a NUL: `out_id_size` bytes, 512 are always enough.
 * Errors: INVALID (a name, or what the JSON parser says), NO_SPACE, PERMISSION, UNAVAILABLE, IO, NO_MEMORY. */
SHOAL_DATA_API int32_t shoal_data_save_document(struct shoal_data *store,
    const struct shoal_data_document *document, char *out_id, uint64_t out_id_size,
    struct shoal_data_error *error);
/* Saves many at once, in parallel; one fsync'd file or one transaction's row each. All are tried; the status and the
 * error are those of the first that failed, *out_saved (NULL allowed) is how many are saved, whatever the status. */
SHOAL_DATA_API int32_t shoal_data_save_documents(struct shoal_data *store,
    const struct shoal_data_document *documents, uint64_t count, uint64_t *out_saved,
    struct shoal_data_error *error);
/* Loads the newest documents that the query describes, newest first; of the same second, the later written first.
 * None is an empty list and OK. The caller owns *out_list (shoal_data_list_free).
 * Errors: DAMAGED: some could not be read or are no JSON; *out_list is set all the same, holds the others, and its
 * problems name them. INVALID, PERMISSION, UNAVAILABLE, IO, NO_MEMORY. */
SHOAL_DATA_API int32_t shoal_data_load_documents(struct shoal_data *store,
    const struct shoal_data_query *query, struct shoal_data_list **out_list,
    struct shoal_data_error *error);
/* Loads one by its kind and id: a list of one item. Errors: NOT_FOUND, DAMAGED (no list then), as above. */
SHOAL_DATA_API int32_t shoal_data_load_document(struct shoal_data *store, int32_t kind,
    const char *id, struct shoal_data_list **out_list, struct shoal_data_error *error);
/* Removes one. Errors: NOT_FOUND, as above. */
SHOAL_DATA_API int32_t shoal_data_delete_document(
    struct shoal_data *store, int32_t kind, const char *id, struct shoal_data_error *error);

/* ---- Bars: open, high, low, close, volume by time, for a symbol and a timeframe ---- */

/* Columns of the same length. */
struct shoal_data_bars {
    uint64_t count;
    const int64_t *timestamp_ns; /* nanoseconds since 1970 UTC */
    const double *open;          /* NaN is a value as any other */
    const double *high;
    const double *low;
    const double *close;
    const double *volume;
};

enum shoal_data_columns {
    SHOAL_DATA_OPEN = 1,
    SHOAL_DATA_HIGH = 2,
    SHOAL_DATA_LOW = 4,
    SHOAL_DATA_CLOSE = 8,
    SHOAL_DATA_VOLUME = 16,
    SHOAL_DATA_ALL_COLUMNS = 31,
};

struct shoal_data_series {
    const char *symbol;
    const char *timeframe;
    struct shoal_data_bars bars;
};

struct shoal_data_frame; /* bars that were loaded */

/* Appends bars, in any order, late ones and corrections too: of bars with the same timestamp the one written last
 * counts (within one call, the one that stands last). All of the call is visible at once; in the files backend, all that
 * falls into one partition (a month or year, docs/formats/bars.md). After an error some of it may be stored. count 0 does nothing.
 * Errors: INVALID, SCHEMA_MISMATCH (a column is NULL), NO_SPACE, PERMISSION, UNAVAILABLE, IO, NO_MEMORY. */
SHOAL_DATA_API int32_t shoal_data_append_bars(struct shoal_data *store, const char *symbol,
    const char *timeframe, const struct shoal_data_bars *bars, struct shoal_data_error *error);
/* Appends to many series, in parallel; each is visible at once, all together are not. All are tried; the status and
 * error are those of the first that failed, *out_appended (NULL allowed) is how many series are stored. */
SHOAL_DATA_API int32_t shoal_data_append_bars_many(struct shoal_data *store,
    const struct shoal_data_series *series, uint64_t count, uint64_t *out_appended,
    struct shoal_data_error *error);
/* Loads the bars with from_ns <= timestamp < to_ns, by ascending timestamp, each timestamp once; to_ns INT64_MAX means
 * no end (a bar at INT64_MAX counts). `columns`: of enum shoal_data_columns, 0: all; the timestamps always come.
 * A series that nobody wrote is an empty frame. The caller owns *out_frame (shoal_data_frame_free).
 * Errors: DAMAGED: a part could not be read; *out_frame is set all the same, with the bars of the others, and its
 * problems name file and page. INVALID, SCHEMA_MISMATCH, PERMISSION, UNAVAILABLE, IO, NO_MEMORY. */
SHOAL_DATA_API int32_t shoal_data_load_bars(struct shoal_data *store, const char *symbol,
    const char *timeframe, int64_t from_ns, int64_t to_ns, uint32_t columns,
    struct shoal_data_frame **out_frame, struct shoal_data_error *error);
/* Loads the same range of many symbols, in parallel: out_frames[i], of `count` pointers, is the frame of symbols[i], or NULL when
 * that one failed. The status and error are those of the first that failed (DAMAGED as above). */
SHOAL_DATA_API int32_t shoal_data_load_bars_many(struct shoal_data *store,
    const char *const *symbols, uint64_t count, const char *timeframe, int64_t from_ns,
    int64_t to_ns, uint32_t columns, struct shoal_data_frame **out_frames,
    struct shoal_data_error *error);
/* The columns; one not asked for is NULL. They may be used, without copying, until the frame is freed. They are
 * aligned to 64 bytes. Any number of threads may read a frame. */
SHOAL_DATA_API_VOID void shoal_data_frame_bars(
    const struct shoal_data_frame *frame, struct shoal_data_bars *out_bars);
SHOAL_DATA_API uint64_t shoal_data_frame_problem_count(const struct shoal_data_frame *frame);
SHOAL_DATA_API const char *shoal_data_frame_problem(
    const struct shoal_data_frame *frame, uint64_t index);
SHOAL_DATA_API_VOID void shoal_data_frame_free(struct shoal_data_frame *frame);
/* The series there are: items with symbol and timeframe (size_bytes: stored bytes; 0 when that is not known), by
 * symbol, then timeframe. `timeframe` NULL: any. */
SHOAL_DATA_API int32_t shoal_data_list_series(struct shoal_data *store, const char *timeframe,
    struct shoal_data_list **out_list, struct shoal_data_error *error);

struct shoal_data_compaction {
    uint64_t series;       /* that were looked at */
    uint64_t parts_before; /* files */
    uint64_t parts_after;
    uint64_t bytes_before;
    uint64_t bytes_after;
};

/* Puts small parts together. Readers and writers go on meanwhile; two compactions at once are fine. `symbol` and
 * `timeframe` NULL: all. Where there is nothing to compact (PostgreSQL) it succeeds and reports zeros. */
SHOAL_DATA_API int32_t shoal_data_compact_bars(struct shoal_data *store, const char *symbol,
    const char *timeframe, struct shoal_data_compaction *out_report,
    struct shoal_data_error *error);

/* ---- Checkpoints: bytes with metadata, in versions 1, 2, ...; the latest is switched atomically ---- */

#define SHOAL_DATA_CHECKPOINT_SIZE_MAX (UINT64_C(1) << 42) /* bytes */
#define SHOAL_DATA_METADATA_SIZE_MAX   (UINT64_C(16) << 20)
#define SHOAL_DATA_SHARDS_MAX          4096

struct shoal_data_writer;     /* one shard being written */
struct shoal_data_checkpoint; /* one version being read */

/* Saves a whole checkpoint as a new version, in parallel stripes. `metadata_json` is an object or NULL; what is stored is
 * it with "saved_at" (ISO 8601, UTC), "checkpoint_path", "version" and "size_bytes" set by the library.
 * *out_version (NULL allowed) is its number. Errors: INVALID, NO_SPACE (the old version is intact, as after any error),
 * PERMISSION, UNAVAILABLE, IO, NO_MEMORY. */
SHOAL_DATA_API int32_t shoal_data_save_checkpoint(struct shoal_data *store, const char *id,
    const void *data, uint64_t size_bytes, const char *metadata_json, uint64_t *out_version,
    struct shoal_data_error *error);

struct shoal_data_writer_options {
    uint32_t struct_size;
    uint32_t shard_index; /* 0 to shard_count - 1 */
    uint32_t shard_count; /* 0: 1. Shards follow each other in the order of their index */
    const char *
        session; /* a name, the same for all shards of one checkpoint, and of no other: "run7-step1000" */
    uint64_t size_bytes; /* of this shard, when known: its space is reserved; 0: unknown */
};

/* Begins one shard. N ranks, in any processes on any hosts, each write theirs and finish; one of them, or someone
 * else, then commits. A shard that was begun again starts over. The caller owns *out_writer: it ends with _finish or
 * _abort. Errors: INVALID, NO_SPACE, PERMISSION, UNAVAILABLE, IO, NO_MEMORY. */
SHOAL_DATA_API int32_t shoal_data_writer_begin(struct shoal_data *store, const char *id,
    const struct shoal_data_writer_options *options, struct shoal_data_writer **out_writer,
    struct shoal_data_error *error);
/* Writes at an offset of the shard; any number of threads may write disjoint ranges at once. Each byte is written once,
 * in any order. Best in multiples of 1 MiB, at such offsets. */
SHOAL_DATA_API int32_t shoal_data_writer_write(struct shoal_data_writer *writer, uint64_t offset,
    const void *data, uint64_t size_bytes, struct shoal_data_error *error);
/* Makes the shard durable with its checksums and frees the writer, whatever the status. The shard ends at its last byte.
 * Errors: INVALID: bytes before the last one, or of the size announced, were never written. */
SHOAL_DATA_API int32_t shoal_data_writer_finish(
    struct shoal_data_writer *writer, struct shoal_data_error *error);
/* Gives up the shard and frees the writer. */
SHOAL_DATA_API_VOID void shoal_data_writer_abort(struct shoal_data_writer *writer);
/* Makes a version of the finished shards of the session: readers see it from now on. Errors: NOT_FOUND: the message
 * says which shards are not finished. BUSY: someone else is committing it. */
SHOAL_DATA_API int32_t shoal_data_commit_checkpoint(struct shoal_data *store, const char *id,
    const char *session, uint32_t shard_count, const char *metadata_json, uint64_t *out_version,
    struct shoal_data_error *error);
/* Removes what a session wrote that nobody will commit. None is success. */
SHOAL_DATA_API int32_t shoal_data_abort_checkpoint(
    struct shoal_data *store, const char *id, const char *session, struct shoal_data_error *error);

/* Opens a version (0: the latest) for reading. The caller owns *out_checkpoint (shoal_data_checkpoint_close).
 * Errors: NOT_FOUND, DAMAGED (manifest or metadata), INVALID, PERMISSION, UNAVAILABLE, IO, NO_MEMORY. */
SHOAL_DATA_API int32_t shoal_data_checkpoint_open(struct shoal_data *store, const char *id,
    uint64_t version, struct shoal_data_checkpoint **out_checkpoint,
    struct shoal_data_error *error);

struct shoal_data_checkpoint_info {
    uint64_t version; /* 0: written by another program, in the same layout, without versions */
    uint64_t size_bytes;
    int64_t saved_s;
    const char
        *metadata_json; /* lives as long as the handle; "{}" when another program wrote none */
    uint32_t shard_count;
    uint32_t is_verified; /* 0: another program wrote it, and there are no checksums */
};

SHOAL_DATA_API_VOID void shoal_data_checkpoint_info(
    const struct shoal_data_checkpoint *checkpoint, struct shoal_data_checkpoint_info *out_info);
/* Where a shard stands in the whole. Errors: INVALID beyond the last shard. */
SHOAL_DATA_API int32_t shoal_data_checkpoint_shard(const struct shoal_data_checkpoint *checkpoint,
    uint32_t shard_index, uint64_t *out_offset, uint64_t *out_size_bytes,
    struct shoal_data_error *error);
/* Reads exactly the range, in parallel when it is large; every byte given out has been verified. Any number of threads
 * may read one handle. Errors: INVALID (a range beyond the end), CHECKSUM (the file and the offset are named; the buffer
 * then holds nothing of use), NOT_FOUND (the version was removed meanwhile), UNAVAILABLE, IO, NO_MEMORY. */
SHOAL_DATA_API int32_t shoal_data_checkpoint_read(struct shoal_data_checkpoint *checkpoint,
    uint64_t offset, void *buffer, uint64_t size_bytes, struct shoal_data_error *error);
SHOAL_DATA_API_VOID void shoal_data_checkpoint_close(struct shoal_data_checkpoint *checkpoint);

/* The checkpoints: the latest version of each with its metadata, by id. DAMAGED as for documents. */
SHOAL_DATA_API int32_t shoal_data_list_checkpoints(
    struct shoal_data *store, struct shoal_data_list **out_list, struct shoal_data_error *error);
/* The versions of one, the latest first. Errors: NOT_FOUND; DAMAGED as for documents. */
SHOAL_DATA_API int32_t shoal_data_list_versions(struct shoal_data *store, const char *id,
    struct shoal_data_list **out_list, struct shoal_data_error *error);

struct shoal_data_retention {
    uint32_t struct_size;
    uint32_t minimize;  /* not 0: the smallest metric is the best, else the largest */
    uint64_t keep_last; /* versions; the latest is kept even when this is 0 */
    uint64_t keep_best; /* versions, by metric; 0: none for being good */
    const char *
        metric; /* a number in the metadata, or in its object "metrics"; versions without it are never best */
    uint32_t dry_run; /* not 0: only counts */
};

/* Removes the versions that are neither among the last nor among the best. *out_removed and *out_bytes: NULL allowed. */
SHOAL_DATA_API int32_t shoal_data_retain_checkpoints(struct shoal_data *store, const char *id,
    const struct shoal_data_retention *retention, uint64_t *out_removed, uint64_t *out_bytes,
    struct shoal_data_error *error);
/* Removes one version, or with 0 the checkpoint with all versions. Errors: NOT_FOUND. */
SHOAL_DATA_API int32_t shoal_data_delete_checkpoint(
    struct shoal_data *store, const char *id, uint64_t version, struct shoal_data_error *error);

/* ---- Upkeep ---- */

struct shoal_data_report; /* rows by directory (or table) */

struct shoal_data_report_row {
    const char *directory; /* "market_data/ohlcv" */
    uint64_t files;
    uint64_t bytes;
};

SHOAL_DATA_API uint64_t shoal_data_report_count(const struct shoal_data_report *report);
/* NULL beyond the last. */
SHOAL_DATA_API const struct shoal_data_report_row *shoal_data_report_row(
    const struct shoal_data_report *report, uint64_t index);
/* The sum over all rows, with directory "". */
SHOAL_DATA_API_VOID void shoal_data_report_total(
    const struct shoal_data_report *report, struct shoal_data_report_row *out_total);
/* What could not be read or removed: a sentence each. NULL beyond the last. */
SHOAL_DATA_API uint64_t shoal_data_report_problem_count(const struct shoal_data_report *report);
SHOAL_DATA_API const char *shoal_data_report_problem(
    const struct shoal_data_report *report, uint64_t index);
SHOAL_DATA_API_VOID void shoal_data_report_free(struct shoal_data_report *report);

struct shoal_data_clean_rule {
    const char *directory; /* one of those below, or a directory in it: "results/backtests" */
    int64_t days;          /* older than this goes; -1: keep all */
};

struct shoal_data_clean_options {
    uint32_t struct_size;
    uint32_t dry_run;                          /* not 0: only reports what would go */
    int64_t days;                              /* for what no rule names; 0: 7; -1: keep all */
    const struct shoal_data_clean_rule *rules; /* the longest directory that fits counts */
    uint64_t rule_count;                       /* 1000 at most */
};

/* Removes what is older than so many days from market_data (documents, indicators and bars), results and logs; models are
 * never touched (see shoal_data_retain_checkpoints). Nothing outside of the store, nothing behind a link and nothing that
 * is being written goes; several cleaners may run at once. The caller owns *out_report: what went, by directory.
 * Errors: IO: something could not be removed; *out_report is set all the same and its problems say what. INVALID (a
 * directory that is not of the store), PERMISSION, UNAVAILABLE, NO_MEMORY. */
SHOAL_DATA_API int32_t shoal_data_clean(struct shoal_data *store,
    const struct shoal_data_clean_options *options, struct shoal_data_report **out_report,
    struct shoal_data_error *error);
/* What is stored, by directory (or table). The caller owns *out_report. */
SHOAL_DATA_API int32_t shoal_data_usage(struct shoal_data *store,
    struct shoal_data_report **out_report, struct shoal_data_error *error);

struct shoal_data_health {
    uint32_t is_ok;      /* 1: written, made durable, read back and removed */
    uint32_t reserved;   /* 0 */
    uint64_t write_us;   /* a small durable write */
    uint64_t read_us;    /* reading it back */
    uint64_t free_bytes; /* UINT64_MAX: not known */
    char backend[16];    /* "files" */
    char location[512];  /* path, or server and database without password */
    char detail[512];    /* file system type, server version; when not ok: what is wrong */
};

/* Tries the store. A store that does not work is OK here with is_ok 0 and `detail`. */
SHOAL_DATA_API int32_t shoal_data_health(
    struct shoal_data *store, struct shoal_data_health *out_health, struct shoal_data_error *error);

#ifdef __cplusplus
}
#endif
