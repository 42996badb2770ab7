/* tests/bench/histogram.c - see histogram.h. */
#include "histogram.h"

void histogram_merge(struct histogram *to, const struct histogram *from)
{
    to->count += from->count;
    to->max = max_u64(to->max, from->max);
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++)
        to->buckets[i] += from->buckets[i];
}

/* The least value above those of a bucket. */
static uint64_t bucket_end(size_t index)
{
    if (index < HISTOGRAM_STEPS)
        return index + 1;
    size_t shift = index / HISTOGRAM_STEPS - 1;
    return (HISTOGRAM_STEPS + index % HISTOGRAM_STEPS + 1) << shift;
}

uint64_t histogram_quantile(const struct histogram *histogram, double part)
{
    uint64_t wanted = (uint64_t)((double)histogram->count * part);
    uint64_t seen = 0;
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += histogram->buckets[i];
        if (seen > wanted)
            return min_u64(bucket_end(i) - 1, histogram->max);
    }
    return histogram->max;
}
