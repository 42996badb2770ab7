/*
 * parquet/format.h - the metadata of a Parquet file as C structs, and its reading (format.c). Internal to the room.
 * Numbers and names are those of parquet.thrift. Bytes and strings point into the footer or the arena.
 */
#pragma once

#include "base/arena.h"
#include "parquet/parquet.h"
#include "parquet/thrift.h"

#define PARQUET_MAGIC "PAR1"

enum parquet_encoding {
    ENCODING_PLAIN = 0,
    ENCODING_PLAIN_DICTIONARY = 2,
    ENCODING_RLE = 3,
    ENCODING_DELTA_BINARY_PACKED = 5,
    ENCODING_DELTA_LENGTH_BYTE_ARRAY = 6,
    ENCODING_DELTA_BYTE_ARRAY = 7,
    ENCODING_RLE_DICTIONARY = 8,
    ENCODING_BYTE_STREAM_SPLIT = 9
};

enum page_type { PAGE_DATA = 0, PAGE_INDEX = 1, PAGE_DICTIONARY = 2, PAGE_DATA_V2 = 3 };

struct statistics {
    bool has_bounds;
    struct slice min;
    struct slice max;
};

/* One column of one row group. */
struct chunk {
    int32_t codec;
    int64_t value_count;
    uint64_t offset;   /* of its first page, in the file */
    uint64_t size;     /* of its pages, in the file */
    bool is_elsewhere; /* in another file */
    struct statistics statistics;
    uint64_t column_index_offset;
    uint32_t column_index_size; /* 0: there is none */
    uint64_t offset_index_offset;
    uint32_t offset_index_size; /* 0: there is none */
};

struct row_group {
    uint64_t row; /* number of its first row in the file */
    uint64_t row_count;
    struct chunk *chunks; /* one for each leaf of the schema */
};

struct file_meta {
    uint64_t row_count;
    struct parquet_column *columns; /* leaves of the schema */
    uint32_t column_count;
    struct row_group *row_groups;
    uint32_t row_group_count;
    struct parquet_pair *pairs;
    uint32_t pair_count;
};

struct page_header {
    int32_t type;
    uint32_t size; /* in the file, without this header */
    uint32_t size_unpacked;
    bool has_crc;
    uint32_t crc;
    uint32_t value_count;
    int32_t encoding;
    int32_t level_encoding;   /* v1 */
    uint32_t definition_size; /* v2 */
    uint32_t repetition_size; /* v2 */
    bool is_compressed;       /* v2 */
};

struct page_location {
    uint64_t offset;
    uint32_t size; /* with its header */
    uint64_t row;  /* number of its first row in the row group */
};

/* Parses the footer. On failure gives NULL-terminated reason in *out_why. Errors: -EBADMSG, -ENOMEM. */
MUST_CHECK int format_read_footer(
    struct slice footer, struct arena *arena, struct file_meta *out_meta, const char **out_why);
/* Parses a page header at the start of `bytes`; *out_size is the header's own size. Errors: -EBADMSG; -EAGAIN: it
 * is longer than `bytes`. */
MUST_CHECK int format_read_page_header(
    struct slice bytes, struct page_header *out_header, size_t *out_size, const char **out_why);
/* Parses an offset index: the places of a chunk's data pages, in ascending order. */
MUST_CHECK int format_read_offset_index(struct slice bytes, struct arena *arena,
    struct page_location **out_locations, uint32_t *out_count, const char **out_why);
/* Parses the bounds of a column index: one for each page; has_bounds is false for a page of nulls only. */
MUST_CHECK int format_read_column_index(struct slice bytes, struct arena *arena,
    struct statistics **out_pages, uint32_t *out_count, const char **out_why);

/* The bytes of one value of this type in memory; BYTE_ARRAY: of a struct slice. */
size_t format_value_size(enum parquet_type type);
/* Reads an INT32 or INT64 of a statistic. False: of another size. */
bool format_int_bound(enum parquet_type type, struct slice bytes, int64_t *out_value);

/* Describes a failure, gives `code`. */
int parquet_fail(struct parquet_error *error, int code, const char *format, ...) PRINTF_LIKE(3, 4);
