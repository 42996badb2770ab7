/* parquet/stats.c - the least and greatest value of a page or a column chunk (room: parquet). */
#include "parquet/stats.h"

#include <math.h>

#define BOUND_SET(bound, value)                          \
    do {                                                 \
        memcpy((bound)->bytes, &(value), sizeof(value)); \
        (bound)->size = sizeof(value);                   \
    } while (0)

static struct bounds bounds_of_i64(const int64_t *values, size_t count)
{
    int64_t min = values[0];
    int64_t max = values[0];
    for (size_t i = 1; i < count; i++) {
        min = values[i] < min ? values[i] : min;
        max = values[i] > max ? values[i] : max;
    }
    struct bounds bounds = { .is_known = true };
    BOUND_SET(&bounds.min, min);
    BOUND_SET(&bounds.max, max);
    return bounds;
}

static struct bounds bounds_of_i32(const int32_t *values, size_t count)
{
    int32_t min = values[0];
    int32_t max = values[0];
    for (size_t i = 1; i < count; i++) {
        min = values[i] < min ? values[i] : min;
        max = values[i] > max ? values[i] : max;
    }
    struct bounds bounds = { .is_known = true };
    BOUND_SET(&bounds.min, min);
    BOUND_SET(&bounds.max, max);
    return bounds;
}

static struct bounds bounds_of_double(const double *values, size_t count)
{
    double min = INFINITY;
    double max = -INFINITY;
    bool is_known = false;
    for (size_t i = 0; i < count; i++) { /* comparisons with NaN are false */
        min = values[i] < min ? values[i] : min;
        max = values[i] > max ? values[i] : max;
        is_known |= values[i] == values[i];
    }
    struct bounds bounds = { .is_known = is_known };
    min = min == 0 ? -0.0 : min;
    max = max == 0 ? 0.0 : max;
    BOUND_SET(&bounds.min, min);
    BOUND_SET(&bounds.max, max);
    return bounds;
}

static struct bounds bounds_of_float(const float *values, size_t count)
{
    float min = INFINITY;
    float max = -INFINITY;
    bool is_known = false;
    for (size_t i = 0; i < count; i++) {
        min = values[i] < min ? values[i] : min;
        max = values[i] > max ? values[i] : max;
        is_known |= values[i] == values[i];
    }
    struct bounds bounds = { .is_known = is_known };
    min = min == 0 ? -0.0f : min;
    max = max == 0 ? 0.0f : max;
    BOUND_SET(&bounds.min, min);
    BOUND_SET(&bounds.max, max);
    return bounds;
}

static struct bounds bounds_of_bool(const uint8_t *values, size_t count)
{
    uint8_t min = 1;
    uint8_t max = 0;
    for (size_t i = 0; i < count; i++) {
        min = values[i] == 0 ? 0 : min;
        max = values[i] != 0 ? 1 : max;
    }
    struct bounds bounds = { .is_known = true };
    BOUND_SET(&bounds.min, min);
    BOUND_SET(&bounds.max, max);
    return bounds;
}

static int compare_bytes(struct slice a, struct slice b)
{
    size_t common = min_size(a.size, b.size);
    int order = common > 0 ? memcmp(a.data, b.data, common) : 0;
    return order != 0 ? order : (a.size > b.size) - (a.size < b.size);
}

static struct bounds bounds_of_slices(const struct slice *values, size_t count)
{
    struct slice min = values[0];
    struct slice max = values[0];
    for (size_t i = 1; i < count; i++) {
        min = compare_bytes(values[i], min) < 0 ? values[i] : min;
        max = compare_bytes(values[i], max) > 0 ? values[i] : max;
    }
    struct bounds bounds = { .is_known = true };
    if (min.size > STATS_BYTES_MAX || max.size > STATS_BYTES_MAX)
        return (struct bounds){ .is_lost = true };
    if (min.size > 0)
        memcpy(bounds.min.bytes, min.data, min.size);
    bounds.min.size = (uint8_t)min.size;
    if (max.size > 0)
        memcpy(bounds.max.bytes, max.data, max.size);
    bounds.max.size = (uint8_t)max.size;
    return bounds;
}

struct bounds stats_of(enum parquet_type type, const void *values, size_t count)
{
    if (count == 0)
        return (struct bounds){ 0 };
    switch (type) {
    case PARQUET_BOOLEAN:
        return bounds_of_bool(values, count);
    case PARQUET_INT32:
        return bounds_of_i32(values, count);
    case PARQUET_INT64:
        return bounds_of_i64(values, count);
    case PARQUET_FLOAT:
        return bounds_of_float(values, count);
    case PARQUET_DOUBLE:
        return bounds_of_double(values, count);
    case PARQUET_BYTE_ARRAY:
        return bounds_of_slices(values, count);
    default:
        return (struct bounds){ .is_lost = true };
    }
}

int stats_compare(enum parquet_type type, const struct bound *a, const struct bound *b)
{
    if (type == PARQUET_BYTE_ARRAY || type == PARQUET_BOOLEAN)
        return compare_bytes(slice_of(a->bytes, a->size), slice_of(b->bytes, b->size));
    if (type == PARQUET_DOUBLE || type == PARQUET_FLOAT) {
        double numbers[2];
        const struct bound *both[2] = { a, b };
        for (int i = 0; i < 2; i++) {
            float single;
            memcpy(&numbers[i], both[i]->bytes, sizeof numbers[i]);
            memcpy(&single, both[i]->bytes, sizeof single);
            numbers[i] = type == PARQUET_FLOAT ? (double)single : numbers[i];
        }
        return (numbers[0] > numbers[1]) - (numbers[0] < numbers[1]);
    }
    int64_t numbers[2];
    const struct bound *both[2] = { a, b };
    for (int i = 0; i < 2; i++) {
        int32_t narrow;
        memcpy(&numbers[i], both[i]->bytes, sizeof numbers[i]);
        memcpy(&narrow, both[i]->bytes, sizeof narrow);
        numbers[i] = type == PARQUET_INT32 ? narrow : numbers[i];
    }
    return (numbers[0] > numbers[1]) - (numbers[0] < numbers[1]);
}

void stats_join(enum parquet_type type, struct bounds *bounds, const struct bounds *more)
{
    if (bounds->is_lost || more->is_lost) {
        *bounds = (struct bounds){ .is_lost = true };
        return;
    }
    if (!more->is_known)
        return;
    if (!bounds->is_known) {
        *bounds = *more;
        return;
    }
    if (stats_compare(type, &more->min, &bounds->min) < 0)
        bounds->min = more->min;
    if (stats_compare(type, &more->max, &bounds->max) > 0)
        bounds->max = more->max;
}
