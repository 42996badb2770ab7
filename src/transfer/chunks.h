/*
 * transfer/chunks.h - a large file worked on by the whole crew, chunk by chunk.
 *
 * Embed struct chunks in the work's own struct. `work` runs for disjoint ranges, in several threads at once;
 * the first error stops the others; `done` runs once, last, and may free it all.
 */
#pragma once

#include <stdatomic.h>

#include "transfer/crew.h"

#define CHUNK_BYTES_MAX (16u << 20)
#define CHUNK_BYTES_MIN (1u << 20)

struct chunks;

struct chunks_helper {
    struct crew_task task;
    struct chunks *chunks;
};

struct chunks {
    int (*work)(struct chunks *chunks, uint64_t offset, uint64_t size);
    void (*done)(struct chunks *chunks);
    uint64_t size_bytes;
    uint64_t chunk_bytes;
    _Atomic uint64_t next;
    _Atomic uint32_t running;
    _Atomic int error;
    struct chunks_helper *helpers;
};

/* Starts; returns at once. `work`, `done` and `size_bytes` are set. Errors: -ENOMEM; then `done` is not called. */
MUST_CHECK int chunks_start(struct chunks *chunks, struct crew *crew);
