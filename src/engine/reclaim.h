/*
 * engine/reclaim.h - deleting the data of what was removed, in bounded steps, and giving its space
 * back.
 */
#pragma once

#include "engine/keys.h"

struct batch;
struct volume;
struct volume_state;

#define RECLAIM_PERIOD_MS 200u

#define RECLAIM_RECORDS 512u

/* Records that go with one batch, and what that frees. */
struct reclaim_step {
    struct key keys[RECLAIM_RECORDS];
    uint32_t key_count;
    struct block_range ranges[RECLAIM_RECORDS * 4];
    uint32_t range_count;
    uint64_t segment_blocks;
    uint64_t small_blocks;
};

/* Records of one kind: those of `id` whose second number is in [first, end). */
struct reclaim_range {
    uint64_t id;
    uint64_t first;
    uint64_t end;
};

void reclaim_step_init(struct reclaim_step *step);
/* Collects while there is room: 1: that was all; 0: more is left. */
MUST_CHECK int reclaim_collect(struct volume *volume, struct reclaim_step *step, enum key_kind kind,
    const struct reclaim_range *range);
/* For execute(): takes range_count of what was reserved. */
void reclaim_step_apply(struct batch *batch, const struct reclaim_step *step);

/* Whether there is something to do; cheap. */
bool reclaim_is_due(struct volume *volume);
/* Does some of it; on a thread of the pool, one at a time. */
void reclaim_run(struct volume *volume);
/* Folds the records of freed blocks into those of the segments; with `is_last` the volume is closed
 * in order by it. */
MUST_CHECK int reclaim_checkpoint(struct volume *volume, bool is_last);
/* At opening, before the committer starts: finds what a crash left to delete. */
MUST_CHECK int reclaim_load_orphans(struct volume *volume);
/* What is live and shared, from the records of segments, of freed blocks and of shared ones. */
MUST_CHECK int reclaim_load_space(struct volume *volume, const struct volume_state *state);
/* At opening: the same, and drops files that no record knows. */
MUST_CHECK int reclaim_load_segments(struct volume *volume, const struct volume_state *state);
