/*
 * nfs/deleg_time.h - times that the holder of a write delegation keeps (RFC 9754 section 5).
 *
 * A time that the holder tells counts if it is later than what the file had when the delegation was given; one of the future counts as now.
 */
#pragma once

#include "fs/fs.h"
#include "state/deleg.h"

static inline struct state_time deleg_time_of(struct fs_time time)
{
    return (struct state_time){ .seconds = time.seconds, .nanoseconds = time.nanoseconds };
}

/* What of the told times is to be set, into the time members of `set`; false: nothing. */
MUST_CHECK bool deleg_times_to_set(
    const struct state_deleg_writer *writer, struct fs_time now, struct fs_setattr *set);
