/*
 * base/clock.c - the clocks of the system (room: base).
 */
#include "base/clock.h"

#include <time.h>

static struct timespec read_clock(clockid_t id)
{
    struct timespec now = { 0 };
    (void)clock_gettime(id, &now); /* these clocks always exist on Linux */
    return now;
}

struct clock_time clock_wall(void)
{
    struct timespec now = read_clock(CLOCK_REALTIME);
    return (struct clock_time){ .seconds = now.tv_sec, .nanoseconds = (uint32_t)now.tv_nsec };
}

int64_t clock_wall_s(void)
{
    return read_clock(CLOCK_REALTIME_COARSE).tv_sec;
}

uint64_t clock_monotonic_ns(void)
{
    struct timespec now = read_clock(CLOCK_MONOTONIC);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t clock_coarse_ms(void)
{
    struct timespec now = read_clock(CLOCK_MONOTONIC_COARSE);
    return (uint64_t)now.tv_sec * 1000u + (uint64_t)now.tv_nsec / 1000000u;
}
