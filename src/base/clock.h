/*
 * base/clock.h - the time of day and the time that only moves forward.
 *
 * Code that decides (leases, credits, lifecycles) takes `now_ms` as an argument instead; see
 * state/.
 */
#pragma once

#include "base/base.h"

struct clock_time {
    int64_t seconds; /* since 1970-01-01, may be negative */
    uint32_t nanoseconds;
};

/* The time of day. */
struct clock_time clock_wall(void);
/* The time of day in whole seconds, as of the last timer tick: cheap. */
int64_t clock_wall_s(void);
/* Nanoseconds since some fixed moment; never goes back. */
uint64_t clock_monotonic_ns(void);
/* Milliseconds since the same moment, of tick granularity (1 to 4 ms): a few nanoseconds to ask. */
uint64_t clock_coarse_ms(void);
