/*
 * parquet/parquet.h - reads and writes Parquet files of flat schemas: no lists, maps or structs.
 *
 * A column is BOOLEAN, INT32, INT64, FLOAT, DOUBLE or BYTE_ARRAY, required or optional. Columns of a file that are
 * anything else are listed as PARQUET_OTHER and refused only when they are asked for. The format is that of the
 * Apache Parquet project (parquet.thrift, Encodings.md, PageIndex.md); docs/formats/parquet.md says which part.
 *
 * Writer: data pages v1; PLAIN, RLE_DICTIONARY and DELTA_BINARY_PACKED, chosen by column chunk; zstd, snappy or
 * nothing; CRC of each page, statistics, column index and offset index.
 * Reader: files come from outside, so every length is checked before use, and memory is bounded by options. Data
 * pages v1 and v2; those encodings and BYTE_STREAM_SPLIT, DELTA_LENGTH_BYTE_ARRAY, DELTA_BYTE_ARRAY; zstd, snappy, gzip.
 *
 * Functions that can fail return 0 or more, or -errno, and then describe it in `error` (NULL: nobody asks):
 * -EBADMSG the file is damaged; -ENOTSUP it uses what this reader does not know; -EINVAL a mistake of the caller;
 * -E2BIG over a limit of the options; -ENOMEM; else the system's. They block on file I/O.
 */
#pragma once

#include "base/base.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Numbers as in parquet.thrift. */
enum parquet_type {
    PARQUET_BOOLEAN = 0,    /* uint8_t, 0 or 1 */
    PARQUET_INT32 = 1,      /* int32_t */
    PARQUET_INT64 = 2,      /* int64_t */
    PARQUET_FLOAT = 4,      /* float */
    PARQUET_DOUBLE = 5,     /* double */
    PARQUET_BYTE_ARRAY = 6, /* struct slice */
    PARQUET_OTHER = 255     /* in a file: not readable here */
};

enum parquet_logical {
    PARQUET_PLAIN_VALUE = 0,
    PARQUET_STRING,       /* BYTE_ARRAY of UTF-8 */
    PARQUET_TIMESTAMP_MS, /* INT64 since 1970-01-01 */
    PARQUET_TIMESTAMP_US,
    PARQUET_TIMESTAMP_NS,
    PARQUET_OTHER_LOGICAL /* in a file: a date, a decimal, ...; values are given as stored */
};

enum parquet_codec {
    PARQUET_UNCOMPRESSED = 0,
    PARQUET_SNAPPY = 1,
    PARQUET_GZIP = 2, /* only read */
    PARQUET_ZSTD = 6
};

struct parquet_column {
    const char *name; /* UTF-8 */
    enum parquet_type type;
    enum parquet_logical logical;
    bool optional;      /* may hold nulls */
    bool is_not_in_utc; /* of timestamps: local time, of no known zone */
};

/* What went wrong, and where; -1: not about one row group, column or page. */
struct parquet_error {
    int code; /* as returned */
    int32_t row_group;
    int32_t column;
    int32_t page; /* of the column chunk; counts data pages from 0; -1 also for the dictionary */
    char message[400];
};

/* The values of one column: `values` is an array of the column's C type, one for each row (0, or an empty slice, for
 * a null). `valid` has one byte for each row, 0 for null; NULL when no row is null. Both are borrowed. */
struct parquet_values {
    const void *values;
    const uint8_t *valid;
};

struct parquet_pair {
    const char *key;
    const char *value;
};

/* ---- writing ---- */

#define PARQUET_ROW_GROUP_ROWS (128u * 1024)
#define PARQUET_PAGE_ROWS      (16u * 1024)

struct parquet_writer_options {
    enum parquet_codec codec;         /* PARQUET_UNCOMPRESSED, PARQUET_SNAPPY, PARQUET_ZSTD */
    int level;                        /* of zstd; 0: 1 */
    uint32_t row_group_rows;          /* 0: PARQUET_ROW_GROUP_ROWS; at most 16 Mi */
    uint32_t page_rows;               /* 0: PARQUET_PAGE_ROWS */
    const struct parquet_pair *pairs; /* key-value metadata of the file */
    uint32_t pair_count;
    bool has_sorting_column; /* the caller promises: rows ascend by it */
    uint32_t sorting_column;
};

struct parquet_writer; /* opaque: writer.c */

/* Starts a file in `fd` (borrowed until parquet_writer_free()), which is empty. What `columns` and `options`
 * (NULL: defaults) point to is copied. Not thread-safe: one thread at a time uses a writer. */
MUST_CHECK int parquet_writer_open(int fd, const struct parquet_column *columns,
    uint32_t column_count, const struct parquet_writer_options *options,
    struct parquet_writer **out_writer, struct parquet_error *error);
/* Adds `row_count` rows: columns[i] is of column i of the schema. Nothing of it is kept. Errors: -EINVAL for a null
 * in a required column; those of write(2). After an error only parquet_writer_free() is of use. */
MUST_CHECK int parquet_writer_append(struct parquet_writer *writer,
    const struct parquet_values *columns, uint64_t row_count, struct parquet_error *error);
/* Writes what is held back and the footer. The caller syncs the file. */
MUST_CHECK int parquet_writer_finish(struct parquet_writer *writer, struct parquet_error *error);
/* Releases the writer; a file that was not finished is not a Parquet file. NULL is allowed. */
void parquet_writer_free(struct parquet_writer *writer);

/* ---- reading ---- */

struct parquet_reader_options {
    uint64_t footer_bytes_max; /* 0: 64 MiB. Of the footer as stored; four times that in memory */
    uint64_t page_bytes_max;   /* 0: 256 MiB. Of one page, unpacked */
    uint32_t page_rows_max;    /* 0: 32 Mi. Of one page */
};

struct parquet_reader; /* opaque: reader.c */

/* Reads the footer of the file `fd` (borrowed until parquet_reader_free()). `name` (copied) is for messages. Once
 * open, a reader does not change: threads may share it, each with a scan of its own. */
MUST_CHECK int parquet_reader_open(int fd, const char *name,
    const struct parquet_reader_options *options, struct parquet_reader **out_reader,
    struct parquet_error *error);
void parquet_reader_free(struct parquet_reader *reader); /* NULL is allowed */

/* True when the whole file is in memory: `fd` is not used any more, and may be closed. */
bool parquet_reader_is_whole(const struct parquet_reader *reader);
uint32_t parquet_reader_column_count(const struct parquet_reader *reader);
/* Columns are the leaves of the schema, in its order. Borrowed; `index` is below the count. */
const struct parquet_column *parquet_reader_column(
    const struct parquet_reader *reader, uint32_t index);
/* The index of the column of this name, or -ENOENT. */
MUST_CHECK int parquet_reader_find(const struct parquet_reader *reader, const char *name);
uint64_t parquet_reader_row_count(const struct parquet_reader *reader);
uint32_t parquet_reader_row_group_count(const struct parquet_reader *reader);
/* The value of a key of the file's metadata: a NUL-terminated string, borrowed; NULL: there is none. */
const char *parquet_reader_metadata(const struct parquet_reader *reader, const char *key);
/* The least and greatest value of an INT32 or INT64 column by its statistics; false: not known. */
bool parquet_reader_int_bounds(
    const struct parquet_reader *reader, uint32_t column, int64_t *out_min, int64_t *out_max);

/* Which rows and columns a scan gives. With `has_range`, row groups and pages that cannot hold a row whose
 * `range_column` (INT32 or INT64, in the unit of the file) is in [range_min, range_max] are skipped, unread; rows
 * beside the range may still be given: the caller compares. */
struct parquet_scan_options {
    const uint32_t *columns; /* NULL: all */
    uint32_t column_count;
    bool has_range;
    uint32_t range_column;
    int64_t range_min;
    int64_t range_max;
};

/* Some rows that stand together. */
struct parquet_batch {
    uint64_t row; /* number of the first one in the file */
    uint32_t row_count;
    const struct parquet_values *columns; /* as many, and in the order, as the scan asked for */
};

struct parquet_scan; /* opaque: scan.c */

/* The reader must outlive the scan. Errors: -EINVAL a column that does not exist; -ENOTSUP one that is PARQUET_OTHER. */
MUST_CHECK int parquet_scan_open(const struct parquet_reader *reader,
    const struct parquet_scan_options *options, struct parquet_scan **out_scan,
    struct parquet_error *error);
/* 1: the next rows are in `out_batch`, valid until the next call; 0: there are no more. A batch is never more than a
 * page. After an error the scan gives nothing more. */
MUST_CHECK int parquet_scan_next(
    struct parquet_scan *scan, struct parquet_batch *out_batch, struct parquet_error *error);
void parquet_scan_free(struct parquet_scan *scan); /* NULL is allowed */

#ifdef __cplusplus
}
#endif
