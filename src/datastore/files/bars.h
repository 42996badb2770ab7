/*
 * datastore/files/bars.h - what the parts of the bars store share. The format and its protocol: docs/formats/bars.md.
 *
 * bars.c: the functions of the interface; bars_path.c: names of directories and periods; bars_parts.c: listing and
 * writing parts; bars_read.c: reading and merging them; bars_compact.c: putting small parts together.
 *
 * A partition is a directory of parts, Parquet files that never change. Of two bars of the same timestamp the one in
 * the part whose name sorts last counts. Functions give 0 or more, or -errno, unless they give a status.
 */
#pragma once

#include "datastore/files/files.h"
#include "parquet/parquet.h"

#define BARS_ROOT "market_data/ohlcv"
#define BARS_COLUMN_COUNT \
    5u /* open, high, low, close, volume: the bits of enum shoal_data_columns */
#define BARS_PATH_SIZE 1024u
#define BARS_PART_SIZE 256u
#define BARS_RETRY_MAX 32u /* listings that a compaction may outdate before a reader gives up */
#define BARS_TEMPORARY ".new-"

extern const char *const bars_column_names[BARS_COLUMN_COUNT];

/* ---- bars_path.c ---- */

enum bars_period_kind { BARS_BY_MONTH, BARS_BY_YEAR };

/* A partition's time: from start_ns, to end_ns, both included. */
struct bars_period {
    int64_t start_ns;
    int64_t end_ns;
    char name[12]; /* "2024-01" or "2024" */
};

/* By month for bars shorter than an hour, else by year. */
enum bars_period_kind bars_period_kind(const char *timeframe);
struct bars_period bars_period_of(enum bars_period_kind kind, int64_t timestamp_ns);
/* Parses a name. Errors: -EINVAL. */
MUST_CHECK int bars_period_parse(const char *name, struct bars_period *out_period);
/* Writes the path below the root: of a series (`period` NULL) or of a partition. `to` has BARS_PATH_SIZE bytes. */
void bars_path(char *to, const char *symbol, const char *timeframe, const char *period);
/* DIRECTORY/NAME. Errors: -ENAMETOOLONG. */
MUST_CHECK int bars_path_join(char *to, const char *directory, const char *name);
/* The value of a directory "KEY=VALUE", unescaped. `to` has DATA_NAME_SIZE_MAX + 1 bytes. Errors: -EINVAL. */
MUST_CHECK int bars_path_value(const char *entry, const char *key, char *to);

/* The names of a directory's entries that begin with `prefix`, sorted; hidden ones only when it begins with '.'. */
struct bars_names {
    char **names;
    size_t count;
    size_t room;
};
MUST_CHECK int bars_names_read(int dir_fd, const char *prefix, struct bars_names *out_names);
void bars_names_fini(struct bars_names *names);

/* ---- bars_rows.c ---- */

/* Rows, ascending by time, each time once, where nothing else is said. Columns that were not asked for are NULL. */
struct bars_rows {
    uint64_t count;
    int64_t *timestamp_ns;
    double *columns[BARS_COLUMN_COUNT];
};

/* Heap arrays for `count` rows. Errors: -ENOMEM. */
MUST_CHECK int bars_rows_init(struct bars_rows *rows, uint64_t count, uint32_t columns);
void bars_rows_fini(struct bars_rows *rows);
/* The room behind its rows, as empty rows. Not to be released. */
struct bars_rows bars_rows_behind(const struct bars_rows *rows);
/* Adds rows [first, first + count) of `from`, which has the columns of `to`. */
void bars_rows_copy(
    struct bars_rows *to, const struct bars_rows *from, uint64_t first, uint64_t count);
bool bars_times_ascend(const int64_t *times, uint64_t count);
/* The indices of `times` by ascending time, of each time the last. Heap array of the caller. Errors: -ENOMEM. */
MUST_CHECK int bars_sorted_order(
    const int64_t *times, uint64_t count, uint64_t **out_order, uint64_t *out_count);
/* Sorts rows in any order; of each time the last stays. Errors: -ENOMEM. */
MUST_CHECK int bars_rows_sort(struct bars_rows *rows);
/* Adds both to `to`, which has room; of rows of the same time those of `newer` count. */
void bars_rows_merge(
    struct bars_rows *to, const struct bars_rows *older, const struct bars_rows *newer);

/* ---- bars_parts.c ---- */

/* A part's name: SEQUENCE-RANDOM.parquet, with 'z' as the first digit of RANDOM when it was compacted, or, hidden and
 * with ".compacting" behind it, of a compaction that is on its way. */
struct bars_part {
    uint64_t sequence;
    bool is_compacted; /* or is going to be */
    char name[BARS_PART_SIZE];
};

struct bars_parts {
    struct bars_part *parts; /* by name: the later overrules the earlier */
    size_t count;
    struct bars_part *compactions; /* that are on their way */
    size_t compaction_count;
    uint64_t sequence_max; /* of all */
};

/* Lists a partition anew. Files whose names are not of the form are parts too, before all others (sequence 0). */
MUST_CHECK int bars_parts_list(int dir_fd, struct bars_parts *out_parts);
void bars_parts_fini(struct bars_parts *parts);
/* Did a compaction finish between the two listings? Then the first may lack both its part and what it replaced. */
bool bars_parts_are_outdated(const struct bars_parts *first, const struct bars_parts *second);
/* The name of a part. `to` has BARS_PART_SIZE bytes. */
void bars_part_name(char *to, uint64_t sequence, bool is_compacted);

/* Writes all columns of `rows` to the open file `fd`, syncs and closes it, always. */
MUST_CHECK int bars_part_write(
    int fd, const struct shoal_data_bars *rows, struct parquet_error *error);
/* Adds rows to a partition as a new part, durably. *out_part_count is how many there are then. Errors: -EBUSY: other
 * hosts compact without end; others of the system. */
MUST_CHECK int bars_part_append(int dir_fd, const struct shoal_data_bars *rows,
    size_t *out_part_count, struct parquet_error *error);

/* ---- bars_read.c ---- */

/* A part, open. */
struct bars_open_part {
    struct parquet_reader *reader; /* NULL: it cannot be read, `error` says why */
    int fd;                        /* -1: closed, all is in memory */
    struct parquet_error error;
};

/* Parts of one partition, open. */
struct bars_snapshot {
    struct bars_parts parts;
    struct bars_open_part *open;
    uint64_t row_count; /* at most so many */
};
typedef int (*bars_problem_fn)(void *context, const char *sentence);

struct bars_reading {
    int64_t from_ns; /* both included */
    int64_t to_ns;
    uint32_t columns; /* of enum shoal_data_columns */
    const char *path; /* of the partition, for messages */
    bars_problem_fn
        tell; /* gets a sentence for each part that cannot be read; -ENOMEM ends the reading */
    void *tell_context;
};

/* Opens all parts as they are at one moment. Errors: -EBUSY: compactions outdated every listing. */
MUST_CHECK int bars_snapshot_open(
    int dir_fd, const struct bars_reading *reading, struct bars_snapshot *out_snapshot);
void bars_snapshot_close(struct bars_snapshot *snapshot);
/* Reads what is wanted of all parts to `out_rows`, whose arrays have room for snapshot->row_count rows. */
MUST_CHECK int bars_snapshot_read(
    struct bars_snapshot *snapshot, const struct bars_reading *reading, struct bars_rows *out_rows);
/* ---- bars_compact.c ---- */

/* Puts the parts of a partition together: all of them, or (`is_thorough` false) the newest that are not much smaller
 * than what is before them. Errors: -EBUSY: somebody else is at it, or took it over; -EBADMSG: a part is damaged, then
 * nothing changes. */
MUST_CHECK int bars_compact_partition(int dir_fd, const char *path, bool is_thorough,
    struct shoal_data_compaction *report, struct shoal_data_error *error);

struct bars_compactor; /* compacts in a thread of its own what it is told of */
MUST_CHECK int bars_compactor_open(
    const struct files_store *store, struct bars_compactor **out_compactor);
/* Forgets what is not begun, waits for the rest. NULL is allowed. */
void bars_compactor_close(struct bars_compactor *compactor);
/* `path` (of a partition) has become one of many parts. Never blocks on I/O; may be forgotten. */
void bars_compactor_tell(struct bars_compactor *compactor, const char *path);
