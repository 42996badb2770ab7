/*
 * parquet/thrift.h - Thrift's compact protocol, as far as Parquet's metadata needs it.
 * Source: the Apache Thrift project, doc/specs/thrift-compact-protocol.md. Not thread-safe.
 *
 * Reading: an error sticks (`why` tells it), values are then 0 or empty and loops end; ask `why` once at the end.
 *     struct thrift_field field = { 0 };
 *     while (thrift_next(reader, &field)) {
 *         switch (field.id) {
 *         case 1: number = thrift_get_int(reader, &field); break;
 *         default: thrift_skip(reader, &field);
 *         }
 *     }
 * Writing: thrift_open(), fields in ascending order of id, thrift_close().
 */
#pragma once

#include "parquet/bytes_out.h"

enum thrift_type {
    THRIFT_STOP = 0,
    THRIFT_TRUE = 1,
    THRIFT_FALSE = 2,
    THRIFT_BYTE = 3,
    THRIFT_I16 = 4,
    THRIFT_I32 = 5,
    THRIFT_I64 = 6,
    THRIFT_DOUBLE = 7,
    THRIFT_BINARY = 8,
    THRIFT_LIST = 9,
    THRIFT_SET = 10,
    THRIFT_MAP = 11,
    THRIFT_STRUCT = 12
};

struct thrift_reader {
    const uint8_t *at;
    const uint8_t *end;
    const char *why; /* NULL: no error so far; a constant text */
    bool is_cut;     /* the error is that the bytes ended: with more of them it might be none */
};

struct thrift_field {
    int32_t id;
    uint8_t type;
};

/* False at the end of the struct, and after an error. */
MUST_CHECK bool thrift_next(struct thrift_reader *reader, struct thrift_field *field);
/* The value of a field; another type than expected is an error. */
int64_t thrift_get_int(struct thrift_reader *reader, const struct thrift_field *field);
int32_t thrift_get_i32(struct thrift_reader *reader, const struct thrift_field *field);
/* As thrift_get_int(); a negative one is an error. */
uint64_t thrift_get_count(struct thrift_reader *reader, const struct thrift_field *field);
uint32_t thrift_get_count32(struct thrift_reader *reader, const struct thrift_field *field);
bool thrift_get_bool(struct thrift_reader *reader, const struct thrift_field *field);
/* Points into what is read. */
struct slice thrift_get_binary(struct thrift_reader *reader, const struct thrift_field *field);
/* The number of elements of a list, whose type is `type`; at most one for each byte that is left. Elements are then
 * read by thrift_get_*() with a field of that type, structs by thrift_next(). */
uint32_t thrift_get_list(
    struct thrift_reader *reader, const struct thrift_field *field, enum thrift_type type);
/* True for a field of a struct's type, to be read by thrift_next(); else it is an error. */
MUST_CHECK bool thrift_is_struct(struct thrift_reader *reader, const struct thrift_field *field);
/* An element of a list of booleans: one byte. */
bool thrift_get_bool_element(struct thrift_reader *reader);
void thrift_skip(struct thrift_reader *reader, const struct thrift_field *field);
void thrift_fail(struct thrift_reader *reader, const char *why);

#define THRIFT_DEPTH_MAX 8

struct thrift_writer {
    struct bytes_out *out;
    int32_t last_ids[THRIFT_DEPTH_MAX];
    unsigned depth;
};

/* Begins the outermost struct, or one that is an element of a list. */
void thrift_open(struct thrift_writer *writer);
void thrift_close(struct thrift_writer *writer);
void thrift_put_bool(struct thrift_writer *writer, int32_t id, bool value);
void thrift_put_i8(struct thrift_writer *writer, int32_t id, int8_t value);
void thrift_put_i32(struct thrift_writer *writer, int32_t id, int32_t value);
void thrift_put_i64(struct thrift_writer *writer, int32_t id, int64_t value);
void thrift_put_binary(struct thrift_writer *writer, int32_t id, struct slice bytes);
/* Begins a field that is a struct; thrift_close() ends it. */
void thrift_put_struct(struct thrift_writer *writer, int32_t id);
/* Begins a list; its `count` elements follow, by thrift_open() or by the bytes_out functions. */
void thrift_put_list(
    struct thrift_writer *writer, int32_t id, enum thrift_type type, uint32_t count);
/* An element of a list of binaries. */
void thrift_put_binary_element(struct thrift_writer *writer, struct slice bytes);
