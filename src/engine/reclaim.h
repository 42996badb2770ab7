/*
 * engine/reclaim.h - deleting the data of what was removed, in bounded steps, and giving its space
 * back.
 */
#pragma once

#include "base/base.h"

struct volume;
struct volume_state;

#define RECLAIM_PERIOD_MS 200u

/* Whether there is something to do; cheap. */
bool reclaim_is_due(struct volume *volume);
/* Does some of it; on a thread of the pool, one at a time. */
void reclaim_run(struct volume *volume);
/* Folds the records of freed blocks into those of the segments; with `is_last` the volume is closed
 * in order by it. */
MUST_CHECK int reclaim_checkpoint(struct volume *volume, bool is_last);
/* At opening, before the committer starts: finds what a crash left to delete. */
MUST_CHECK int reclaim_load_orphans(struct volume *volume);
/* At opening: what is live, from the records of segments and of freed blocks. */
MUST_CHECK int reclaim_load_segments(struct volume *volume, const struct volume_state *state);
