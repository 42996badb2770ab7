/*
 * tests/unit/xdr/filler.h - random values of every described type, from a seed.
 * The fill functions and the table are made by tools/xdrgen.py.
 */
#pragma once

#include "xdr/nfs4_xdr.h"

/* A discriminant that no union has an arm for: means its default. */
#define FILLER_NO_LABEL 0x7ffffff1u

struct filler {
    uint64_t state;
    struct arena *arena;
};

struct filler_row {
    const char *name;
    size_t size;
    void (*fill)(struct filler *filler, void *out);
    bool (*get)(struct xdr_decoder *dec, void *out);
    void (*put)(struct xdr_encoder *enc, const void *value);
};

extern const struct filler_row filler_rows[];
extern const size_t filler_row_count;

uint64_t filler_number(struct filler *filler);
/* At least 0, less than `end`. */
uint32_t filler_below(struct filler *filler, uint32_t end);
/* A small number of items, at most `count_max`. */
uint32_t filler_count(struct filler *filler, uint32_t count_max);
void filler_bytes(struct filler *filler, uint8_t *out, size_t size);
/* Mostly short, now and then long enough to be encoded by reference. */
struct slice filler_slice(struct filler *filler, uint32_t size_max);
void *filler_room(struct filler *filler, size_t size);
/* Room, or NULL. */
void *filler_optional(struct filler *filler, size_t size);
