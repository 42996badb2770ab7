/*
 * parquet/writer_internal.h - what the parts of the writer share: writer.c (rows), writer_chunk.c (pages of a column
 * chunk), writer_footer.c (page index and footer).
 */
#pragma once

#include "parquet/codec.h"
#include "parquet/dictionary.h"
#include "parquet/format.h"
#include "parquet/stats.h"

/* A data page that was written. */
struct page_record {
    uint64_t offset;
    uint32_t size; /* with its header */
    uint64_t row;  /* of the row group */
    uint32_t null_count;
    bool is_null_only;
    struct bounds bounds;
};

/* A column chunk that was written. */
struct chunk_record {
    uint64_t offset; /* of its first page */
    uint64_t data_offset;
    uint64_t size;
    uint64_t size_unpacked;
    uint64_t null_count;
    enum parquet_codec codec;
    enum parquet_encoding encoding;
    bool has_dictionary;
    struct bounds bounds;
    struct page_record *pages;
    uint32_t page_count;
    uint64_t column_index_offset;
    uint32_t column_index_size; /* 0: there is none */
    uint64_t offset_index_offset;
    uint32_t offset_index_size;
};

struct group_record {
    uint64_t row_count;
    struct chunk_record *chunks;
};

/* Rows of a column that are held back until there are enough for a row group. */
struct held_column {
    struct bytes_out
        values; /* of BYTE_ARRAY: slices that point nowhere; their bytes are in `heap` */
    struct bytes_out heap;
    struct bytes_out valid; /* only of optional columns */
};

struct parquet_writer {
    int fd;
    uint64_t flushed;     /* bytes that are in the file */
    struct bytes_out out; /* those behind them */
    struct arena texts;   /* names, metadata */
    struct parquet_column *columns;
    uint32_t column_count;
    struct parquet_writer_options options;
    struct parquet_pair *pairs;
    struct held_column *held;
    uint64_t held_rows;
    struct group_record *groups;
    uint32_t group_count;
    uint64_t row_count;
    /* Used again for each chunk. */
    struct codec codec;
    struct dictionary_builder dictionary;
    struct bytes_out present; /* values that are not null, side by side */
    struct bytes_out page;
    struct bytes_out packed;
    bool failed;
};

/* Writes the pages of one column of a row group. Errors: -ENOMEM, those of write. */
MUST_CHECK int writer_put_chunk(struct parquet_writer *writer, uint32_t column,
    const struct parquet_values *values, uint64_t row_count, struct chunk_record *out_chunk);
/* Appends the page index and the footer to writer->out. Errors: -ENOMEM. */
MUST_CHECK int writer_put_footer(struct parquet_writer *writer);
/* Where the next byte of the file goes. */
static inline uint64_t writer_offset(const struct parquet_writer *writer)
{
    return writer->flushed + writer->out.size;
}
