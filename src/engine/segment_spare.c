/*
 * engine/segment_spare.c - the files of dead segments, kept a while for new ones (room: engine).
 *
 * A spare's file keeps the name of the segment it was. That segment has no live block in any durable state, so
 * after a crash the opening unlinks it like any other dead one.
 */
#include <unistd.h>

#include "base/clock.h"
#include "engine/segment_internal.h"

#define SPARE_AGE_MS 20000u

bool segment_spare_keep_locked(struct segments *segments, struct segment *segment)
{
    bool is_whole = segment->allocated_blocks == segments->segment_blocks &&
                    segment->given_back == NULL && segment->fd >= 0;
    if (!is_whole || segments->spare_count == SEGMENT_SPARES_MAX)
        return false;
    segments->spares[segments->spare_count++] =
        (struct segment_spare){ segment->fd, segment->id, clock_coarse_ms() };
    segment->fd = -1; /* the spare has it now */
    return true;
}

bool segment_spare_take(struct segments *segments, struct segment_spare *out_spare)
{
    mutex_lock(&segments->lock);
    bool has_one = segments->spare_count > 0;
    if (has_one)
        *out_spare = segments->spares[--segments->spare_count];
    mutex_unlock(&segments->lock);
    return has_one;
}

/* Takes the oldest if it is too old, or in any case with `all`. */
static bool take_old(struct segments *segments, bool all, struct segment_spare *out_spare)
{
    uint64_t now_ms = clock_coarse_ms();
    mutex_lock(&segments->lock);
    bool has_one =
        segments->spare_count > 0 && (all || now_ms - segments->spares[0].since_ms >= SPARE_AGE_MS);
    if (has_one) {
        *out_spare = segments->spares[0];
        segments->spare_count--;
        memmove(segments->spares, segments->spares + 1,
            segments->spare_count * sizeof segments->spares[0]);
    }
    mutex_unlock(&segments->lock);
    return has_one;
}

void segment_spare_expire(struct segments *segments, bool all)
{
    struct segment_spare spare;
    while (take_old(segments, all, &spare)) {
        (void)close(spare.fd); /* nothing in it is wanted */
        segments_unlink_file(segments, spare.id);
    }
}
