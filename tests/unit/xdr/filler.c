/* tests/unit/xdr/filler.c - the random source of filler.h. */
#include "filler.h"

uint64_t filler_number(struct filler *filler)
{
    /* splitmix64: every seed is good, also 0 */
    uint64_t value = filler->state += UINT64_C(0x9e3779b97f4a7c15);
    value = (value ^ (value >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    value = (value ^ (value >> 27)) * UINT64_C(0x94d049bb133111eb);
    return value ^ (value >> 31);
}

uint32_t filler_below(struct filler *filler, uint32_t end)
{
    return (uint32_t)(filler_number(filler) % end);
}

uint32_t filler_count(struct filler *filler, uint32_t count_max)
{
    return min_u32(filler_below(filler, 5), count_max);
}

void filler_bytes(struct filler *filler, uint8_t *out, size_t size)
{
    for (size_t i = 0; i < size; i++)
        out[i] = (uint8_t)filler_number(filler);
}

struct slice filler_slice(struct filler *filler, uint32_t size_max)
{
    uint32_t size = filler_below(filler, filler_below(filler, 8) == 0 ? 2000 : 20);
    size = min_u32(size, size_max);
    uint8_t *bytes = filler_room(filler, size);
    filler_bytes(filler, bytes, size);
    return slice_of(bytes, size);
}

void *filler_room(struct filler *filler, size_t size)
{
    void *room = arena_alloc(filler->arena, size);
    assert(room != NULL);
    return room;
}

void *filler_optional(struct filler *filler, size_t size)
{
    return filler_below(filler, 4) == 0 ? NULL : filler_room(filler, size);
}
