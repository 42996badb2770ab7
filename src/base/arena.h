/*
 * base/arena.h - memory of one request: taken piece by piece, given back at once.
 *
 * Not thread-safe. What it gives is aligned to 16 bytes and not cleared. The first chunk is kept
 * over arena_reset(), so a request that needs little never calls malloc.
 */
#pragma once

#include "base/base.h"

#define ARENA_CHUNK_BYTES (16u * 1024)

struct arena_chunk;

struct arena {
    uint8_t *next; /* free bytes of the newest chunk */
    size_t left;
    struct arena_chunk *chunks; /* newest first */
    size_t used_bytes;          /* of all chunks, what was handed out */
    size_t size_max_bytes;      /* arena_alloc() beyond this gives NULL */
};

/* Takes no memory yet. `size_max_bytes` bounds the sum of all allocations. */
void arena_init(struct arena *arena, size_t size_max_bytes);
/* Gives back all memory. */
void arena_fini(struct arena *arena);
/* Forgets all allocations; keeps one chunk for the next use. */
void arena_reset(struct arena *arena);

/* The path of arena_alloc() that needs a new chunk. */
MUST_CHECK void *arena_alloc_slow(struct arena *arena, size_t size);

/* NULL: out of memory, or over the arena's limit. `size` 0 gives a valid pointer. */
MUST_CHECK static inline void *arena_alloc(struct arena *arena, size_t size)
{
    size_t rounded = (size + 15 + (size == 0)) & ~(size_t)15;
    if (UNLIKELY(rounded < size || rounded > arena->left ||
                 rounded > arena->size_max_bytes - arena->used_bytes))
        return arena_alloc_slow(arena, size);
    void *memory = arena->next;
    arena->next += rounded;
    arena->left -= rounded;
    arena->used_bytes += rounded;
    return memory;
}

/* As arena_alloc(), for `count` items, cleared. NULL also when the product overflows. */
MUST_CHECK void *arena_calloc(struct arena *arena, size_t count, size_t size);
/* A copy of `bytes`, with a NUL after it. */
MUST_CHECK void *arena_copy(struct arena *arena, struct slice bytes);
