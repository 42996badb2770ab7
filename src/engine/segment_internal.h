/*
 * engine/segment_internal.h - what segment.c and segment_space.c share.
 */
#pragma once

#include "engine/segment.h"

#define SEGMENT_NAME_SIZE 24

void segment_file_name(uint64_t id, char out_name[SEGMENT_NAME_SIZE]);
/* NULL: unknown. */
struct segment *segments_find_locked(struct segments *segments, uint64_t id)
    REQUIRES(segments->lock);
/* Errors: -ENOMEM. */
MUST_CHECK int segments_add_locked(
    struct segments *segments, uint64_t id, struct segment **out_segment) REQUIRES(segments->lock);
/* One that is in no table; NULL is allowed. */
void segment_free(struct segment *segment);
/* A segment's file goes. */
void segments_unlink_file(struct segments *segments, uint64_t id);

/* segment_crypt.c: writes the blocks, and says what goes into a map. */
MUST_CHECK int segment_write_blocks(struct segments *segments, const struct segment_place *place,
    const uint8_t *bytes, struct block *out_blocks);

/* segment_spare.c: keeps the file of a segment that is out of the table, instead of unlinking it. False: it is not
 * worth keeping, or there are enough. */
bool segment_spare_keep_locked(struct segments *segments, struct segment *segment)
    REQUIRES(segments->lock);
/* Takes the newest; false: none. */
bool segment_spare_take(struct segments *segments, struct segment_spare *out_spare);
/* Unlinks those that nobody took for a while, or all. */
void segment_spare_expire(struct segments *segments, bool all);
