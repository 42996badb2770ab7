/*
 * engine/file.c - the block map of one regular file in memory (room: engine).
 */
#include "engine/file.h"
#include "engine/quota.h"

#include <stdatomic.h>
#include <stdlib.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define CAPACITY_FIRST 4u

struct block_buffer *block_buffer_new(const void *bytes, size_t size)
{
    assert(size <= BLOCK_BYTES);
    struct block_buffer *buffer = malloc(sizeof *buffer + size);
    if (buffer == NULL)
        return NULL;
    buffer->references = 1;
    buffer->size = (uint32_t)size;
    if (size > 0)
        memcpy(buffer->bytes, bytes, size);
    return buffer;
}

void block_get(struct block block)
{
    if (block.kind == BLOCK_BUFFER)
        atomic_fetch_add(&block_buffer_of(block)->references, 1);
}

void block_put(struct block block)
{
    if (block.kind == BLOCK_BUFFER && atomic_fetch_sub(&block_buffer_of(block)->references, 1) == 1)
        free(block_buffer_of(block));
}

struct block block_of_buffer(struct block_buffer *buffer)
{
    return (struct block){ .kind = BLOCK_BUFFER,
        .address = (uintptr_t)buffer & ((UINT64_C(1) << 56) - 1),
        .checksum = XXH3_64bits(buffer->bytes, buffer->size) };
}

struct file *file_new(void)
{
    struct file *file = calloc(1, sizeof *file);
    if (file == NULL)
        return NULL;
    file->table = calloc(1, sizeof(struct chunk *));
    if (file->table == NULL) {
        free(file);
        return NULL;
    }
    (void)pthread_mutex_init(&file->lock.pthread, NULL);
    gate_init(&file->gate);
    list_init(&file->dirty_chunks);
    list_init(&file->dirty_link);
    file->bytes = sizeof *file;
    return file;
}

static void drop_arrays(struct chunk *chunk)
{
    for (uint32_t i = 0; i < chunk->capacity; i++) {
        block_put(chunk->current[i]);
        if (chunk->durable != NULL)
            block_put(chunk->durable[i]);
    }
    free(chunk->current);
    free(chunk->durable);
}

static size_t chunk_bytes(const struct chunk *chunk)
{
    size_t array = chunk->capacity * sizeof *chunk->current;
    return sizeof *chunk + array + (chunk->durable != NULL ? array : 0);
}

/* Without its lock: nobody else has the file any more, and the caller holds locks that are inner to it. */
void file_free(struct file *file) NO_LOCK_CHECK
{
    if (file == NULL)
        return;
    file_drop_chunks_locked(file, 0);
    gate_fini(&file->gate);
    free(file->table);
    free(file->discarded);
    free(file->overtakers);
    quota_hold_free(file->quota);
    (void)pthread_mutex_destroy(&file->lock.pthread);
    free(file);
}

uint64_t file_bytes(const struct file *file)
{
    return file == NULL ? 0 : file->bytes + file->mask * sizeof(struct chunk *);
}

static struct chunk **slot_of(struct file *file, uint64_t index)
{
    /* Neighbours in the file are neighbours in the table. */
    return &file->table[index & file->mask];
}

struct chunk *file_chunk_locked(struct file *file, uint64_t index)
{
    struct chunk *chunk = *slot_of(file, index);
    while (chunk != NULL && chunk->index != index)
        chunk = chunk->hash_next;
    return chunk;
}

/* When there is no memory the chains just grow. */
static void grow_locked(struct file *file) REQUIRES(file->lock)
{
    uint32_t old_size = file->mask + 1;
    struct chunk **old = file->table;
    struct chunk **table = calloc((size_t)old_size * 2, sizeof(struct chunk *));
    if (table == NULL)
        return;
    file->table = table;
    file->mask = old_size * 2 - 1;
    for (uint32_t i = 0; i < old_size; i++) {
        struct chunk *chunk = old[i];
        while (chunk != NULL) {
            struct chunk *next = chunk->hash_next;
            struct chunk **slot = slot_of(file, chunk->index);
            chunk->hash_next = *slot;
            *slot = chunk;
            chunk = next;
        }
    }
    free(old);
}

struct chunk *file_add_chunk_locked(struct file *file, uint64_t index)
{
    struct chunk *chunk = calloc(1, sizeof *chunk);
    if (chunk == NULL)
        return NULL;
    chunk->index = index;
    list_init(&chunk->dirty_link);
    if (file->chunk_count++ > file->mask)
        grow_locked(file);
    struct chunk **slot = slot_of(file, index);
    chunk->hash_next = *slot;
    *slot = chunk;
    file->bytes += chunk_bytes(chunk);
    return chunk;
}

int chunk_reserve_locked(struct file *file, struct chunk *chunk, uint32_t at)
{
    assert(at < CHUNK_BLOCKS);
    if (at < chunk->capacity)
        return 0;
    uint32_t capacity = chunk->capacity == 0 ? CAPACITY_FIRST : chunk->capacity;
    while (capacity <= at)
        capacity *= 4;
    struct block *current = calloc(capacity, sizeof *current);
    struct block *durable = chunk->durable == NULL ? NULL : calloc(capacity, sizeof *durable);
    if (current == NULL || (durable == NULL && chunk->durable != NULL)) {
        free(current);
        free(durable);
        return -ENOMEM;
    }
    file->bytes -= chunk_bytes(chunk);
    if (chunk->capacity > 0)
        memcpy(current, chunk->current, chunk->capacity * sizeof *current);
    if (durable != NULL)
        memcpy(durable, chunk->durable, chunk->capacity * sizeof *durable);
    free(chunk->current);
    free(chunk->durable);
    chunk->current = current;
    chunk->durable = durable;
    chunk->capacity = capacity;
    file->bytes += chunk_bytes(chunk);
    return 0;
}

int chunk_split_locked(struct file *file, struct chunk *chunk)
{
    if (chunk->durable != NULL)
        return 0;
    struct block *durable = calloc(chunk->capacity + 1, sizeof *durable);
    if (durable == NULL)
        return -ENOMEM;
    for (uint32_t i = 0; i < chunk->capacity; i++) {
        durable[i] = chunk->current[i];
        block_get(durable[i]);
    }
    file->bytes -= chunk_bytes(chunk);
    chunk->durable = durable;
    file->bytes += chunk_bytes(chunk);
    return 0;
}

void chunk_set_dirty_locked(struct file *file, struct chunk *chunk, uint32_t at)
{
    if (chunk_is_dirty(chunk, at))
        return;
    chunk->dirty[at / 64] |= UINT64_C(1) << at % 64;
    if (chunk->dirty_count++ == 0)
        list_add_tail(&file->dirty_chunks, &chunk->dirty_link);
    file->dirty_blocks++;
}

void chunk_set_clean_locked(struct file *file, struct chunk *chunk, uint32_t at)
{
    if (!chunk_is_dirty(chunk, at))
        return;
    chunk->dirty[at / 64] &= ~(UINT64_C(1) << at % 64);
    file->dirty_blocks--;
    /* `durable` stays: who wrote here once will write again, and it is the same as `current` now. */
    if (--chunk->dirty_count == 0)
        list_remove(&chunk->dirty_link);
}

void file_drop_chunk_locked(struct file *file, struct chunk *chunk)
{
    struct chunk **link = slot_of(file, chunk->index);
    while (*link != chunk)
        link = &(*link)->hash_next;
    *link = chunk->hash_next;
    file->chunk_count--;
    file->dirty_blocks -= chunk->dirty_count;
    list_remove(&chunk->dirty_link);
    file->bytes -= chunk_bytes(chunk);
    drop_arrays(chunk);
    free(chunk);
}

void file_drop_chunks_locked(struct file *file, uint64_t index)
{
    for (uint32_t i = 0; i <= file->mask; i++) {
        struct chunk *chunk = file->table[i];
        while (chunk != NULL) {
            struct chunk *next = chunk->hash_next;
            if (chunk->index >= index)
                file_drop_chunk_locked(file, chunk);
            chunk = next;
        }
    }
}
