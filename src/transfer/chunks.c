/* transfer/chunks.c - dividing a large file among the crew (room: transfer). */
#include "transfer/chunks.h"

#include <stdlib.h>

static void run_helper(struct crew_task *task)
{
    struct chunks *chunks = CONTAINER_OF(task, struct chunks_helper, task)->chunks;
    while (atomic_load(&chunks->error) == 0) {
        uint64_t offset = atomic_fetch_add(&chunks->next, chunks->chunk_bytes);
        if (offset >= chunks->size_bytes)
            break;
        int err =
            chunks->work(chunks, offset, min_u64(chunks->chunk_bytes, chunks->size_bytes - offset));
        int none = 0;
        if (err < 0)
            (void)atomic_compare_exchange_strong(
                &chunks->error, &none, err); /* the first one counts */
    }
    if (atomic_fetch_sub(&chunks->running, 1) == 1) {
        free(chunks->helpers);
        chunks->done(chunks);
    }
}

int chunks_start(struct chunks *chunks, struct crew *crew)
{
    uint64_t share = round_up(chunks->size_bytes / crew_size(crew), CHUNK_BYTES_MIN);
    chunks->chunk_bytes = max_u64(CHUNK_BYTES_MIN, min_u64(CHUNK_BYTES_MAX, share));
    uint64_t chunk_count = (chunks->size_bytes + chunks->chunk_bytes - 1) / chunks->chunk_bytes;
    uint32_t count = (uint32_t)max_u64(1, min_u64(chunk_count, crew_size(crew)));
    chunks->helpers = calloc(count, sizeof *chunks->helpers);
    if (chunks->helpers == NULL)
        return -ENOMEM;
    atomic_store(&chunks->next, 0);
    atomic_store(&chunks->error, 0);
    atomic_store(&chunks->running, count);
    struct chunks_helper *helpers = chunks->helpers; /* `chunks` may be done before the loop is */
    for (uint32_t i = 0; i < count; i++)
        helpers[i] = (struct chunks_helper){ { .run = run_helper }, chunks };
    for (uint32_t i = 0; i < count; i++)
        crew_add(crew, CREW_PIECES, &helpers[i].task);
    return 0;
}
