/*
 * parquet/reader_internal.h - what the parts of the reader share: reader.c (footer), column.c (pages of one column),
 * scan.c (which rows, and batches of them).
 */
#pragma once

#include "parquet/codec.h"
#include "parquet/decode.h"

struct parquet_reader {
    int fd;
    char *name;
    uint64_t size;     /* of the file */
    uint64_t data_end; /* where the footer begins */
    uint8_t *tail;     /* the end of the file, as it was read with the footer */
    uint64_t tail_offset;
    size_t tail_size;
    struct arena arena;
    struct file_meta meta;
    struct parquet_reader_options options;
};

/* Bytes of the file that were read ahead. */
struct window {
    uint8_t *data;
    size_t capacity;
    uint64_t offset;
    size_t size;
};

/* A place in a file. */
struct span {
    uint64_t offset;
    size_t size;
};

/* The bytes of `span`, up to `ahead_end` of the file read ahead; *out_data is valid until the next call. The
 * caller has checked them to be within the file. Errors: -ENOMEM, those of read. */
MUST_CHECK int reader_get(const struct parquet_reader *reader, struct window *window,
    struct span span, uint64_t ahead_end, const uint8_t **out_data);

/* A growable array without content. */
struct scratch {
    void *data;
    size_t capacity;
};
/* At least `size` bytes; NULL: out of memory. What was in it is lost. */
void *scratch_room(struct scratch *scratch, size_t size);

/* What the columns of a scan use in turn. */
struct column_shared {
    struct codec codec;
    struct scratch bytes; /* an unpacked page, until its values are decoded */
};
void column_shared_fini(struct column_shared *shared);

/* The pages of one column, one row group after the other. */
struct column {
    const struct parquet_reader *reader;
    uint32_t index;
    /* The row group. */
    uint32_t group;
    const struct chunk *chunk;
    uint64_t offset;   /* of the next page header */
    uint64_t next_row; /* of the row group, at the next page */
    int32_t next_page;
    const struct page_location *locations; /* NULL: not asked for, or there are none */
    uint32_t location_count;
    bool has_dictionary;
    struct dictionary dictionary;
    /* The page. */
    uint64_t row;       /* of the row group: its first */
    uint32_t row_count; /* 0: there is no page */
    const void *values;
    const uint8_t *valid; /* NULL: no nulls */
    /* Memory that is used again. */
    struct column_shared *shared;
    struct window window;
    struct scratch dictionary_bytes; /* of BYTE_ARRAY, as `bytes`: slices point into them */
    struct scratch dictionary_values;
    struct scratch bytes;
    struct scratch value_room;
    struct scratch valid_room;
    struct bytes_out heap;
};

/* Begins a row group. `locations` are borrowed for as long as it lasts. Errors: -EBADMSG. */
MUST_CHECK int column_start(struct column *column, uint32_t group,
    const struct page_location *locations, uint32_t location_count, struct parquet_error *error);
/* Makes the page that holds `row` (of the row group, not before the page that is there) the current one, and decodes
 * it if it was not. */
MUST_CHECK int column_seek(struct column *column, uint64_t row, struct parquet_error *error);
void column_fini(struct column *column);
/* Describes a failure at a column; `page` -1: not of one page. */
int column_fail(const struct column *column, int code, int32_t page, const char *why,
    struct parquet_error *error);
