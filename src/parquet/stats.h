/*
 * parquet/stats.h - the least and greatest value of a page or a column chunk. Internal to the room.
 * Source: parquet.thrift (Statistics, ColumnOrder): NaN is left out; a zero that is least is -0, greatest +0.
 */
#pragma once

#include "parquet/parquet.h"

#define STATS_BYTES_MAX 64u /* longer BYTE_ARRAY bounds are not stored */

struct bound {
    uint8_t bytes[STATS_BYTES_MAX];
    uint8_t size;
};

struct bounds {
    bool is_known; /* there is a value that is not NaN, and both bounds can be stored */
    bool is_lost;  /* a value cannot be compared or stored: never known again */
    struct bound min;
    struct bound max;
};

/* The bounds of `count` values, none of them null. */
struct bounds stats_of(enum parquet_type type, const void *values, size_t count);
/* Widens `bounds` by `more`. */
void stats_join(enum parquet_type type, struct bounds *bounds, const struct bounds *more);
/* <0, 0, >0 in the order of the type. */
int stats_compare(enum parquet_type type, const struct bound *a, const struct bound *b);
