/*
 * tests/bench/histogram.h - latencies in buckets of 1/32 of their power of two: errors up to 3 %.
 */
#pragma once

#include "base/base.h"

#define HISTOGRAM_STEPS   32u
#define HISTOGRAM_BUCKETS (60u * HISTOGRAM_STEPS)

struct histogram {
    uint64_t count;
    uint64_t max;
    uint64_t buckets[HISTOGRAM_BUCKETS];
};

static inline size_t histogram_bucket(uint64_t value)
{
    if (value < HISTOGRAM_STEPS)
        return value;
    unsigned shift = 63u - 5u - (unsigned)__builtin_clzll(value);
    return min_size((shift + 1) * HISTOGRAM_STEPS + (size_t)((value >> shift) - HISTOGRAM_STEPS),
        HISTOGRAM_BUCKETS - 1);
}

static inline void histogram_add(struct histogram *histogram, uint64_t value)
{
    histogram->count++;
    histogram->buckets[histogram_bucket(value)]++;
    if (value > histogram->max)
        histogram->max = value;
}

/* Adds all of `from` to `to`. */
void histogram_merge(struct histogram *to, const struct histogram *from);
/* The value that `part` (0 to 1) of the values do not exceed; 0 when there are none. */
uint64_t histogram_quantile(const struct histogram *histogram, double part);
