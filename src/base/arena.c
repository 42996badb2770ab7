/*
 * base/arena.c - memory of one request (room: base).
 */
#include "base/arena.h"

#include <stdlib.h>

struct arena_chunk {
    struct arena_chunk *next;
    size_t capacity;
    uint8_t data[] __attribute__((aligned(16)));
};

void arena_init(struct arena *arena, size_t size_max_bytes)
{
    *arena = (struct arena){ .size_max_bytes = size_max_bytes };
}

void arena_fini(struct arena *arena)
{
    struct arena_chunk *chunk = arena->chunks;
    while (chunk != NULL) {
        struct arena_chunk *next = chunk->next;
        free(chunk);
        chunk = next;
    }
    *arena = (struct arena){ .size_max_bytes = arena->size_max_bytes };
}

void arena_reset(struct arena *arena)
{
    struct arena_chunk *kept = NULL;
    struct arena_chunk *chunk = arena->chunks;
    while (chunk != NULL) {
        struct arena_chunk *next = chunk->next;
        if (kept == NULL && chunk->capacity == ARENA_CHUNK_BYTES)
            kept = chunk;
        else
            free(chunk);
        chunk = next;
    }
    arena->chunks = kept;
    arena->used_bytes = 0;
    arena->next = NULL;
    arena->left = 0;
    if (kept != NULL) {
        kept->next = NULL;
        arena->next = kept->data;
        arena->left = kept->capacity;
    }
}

void *arena_alloc_slow(struct arena *arena, size_t size)
{
    size_t rounded = (size + 15 + (size == 0)) & ~(size_t)15;
    if (rounded < size || rounded > arena->size_max_bytes - arena->used_bytes)
        return NULL;
    size_t capacity = rounded > ARENA_CHUNK_BYTES ? rounded : ARENA_CHUNK_BYTES;
    struct arena_chunk *chunk = malloc(sizeof *chunk + capacity);
    if (chunk == NULL)
        return NULL;
    chunk->capacity = capacity;
    arena->used_bytes += rounded;
    if (capacity > ARENA_CHUNK_BYTES && arena->chunks != NULL) {
        /* A large piece has its own chunk; the newest one's rest stays in use. */
        chunk->next = arena->chunks->next;
        arena->chunks->next = chunk;
        return chunk->data;
    }
    chunk->next = arena->chunks;
    arena->chunks = chunk;
    arena->next = chunk->data + rounded;
    arena->left = capacity - rounded;
    return chunk->data;
}

void *arena_calloc(struct arena *arena, size_t count, size_t size)
{
    size_t total;
    if (__builtin_mul_overflow(count, size, &total))
        return NULL;
    void *memory = arena_alloc(arena, total);
    if (memory != NULL)
        memset(memory, 0, total);
    return memory;
}

void *arena_copy(struct arena *arena, struct slice bytes)
{
    if (bytes.size == SIZE_MAX)
        return NULL;
    uint8_t *copy = arena_alloc(arena, bytes.size + 1);
    if (copy == NULL)
        return NULL;
    if (bytes.size > 0)
        memcpy(copy, bytes.data, bytes.size);
    copy[bytes.size] = '\0';
    return copy;
}
