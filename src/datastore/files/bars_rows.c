/* datastore/files/bars_rows.c - rows of bars in memory: sorted, merged (room: datastore). */
#include <stdlib.h>

#include "datastore/files/bars.h"

int bars_rows_init(struct bars_rows *rows, uint64_t count, uint32_t columns)
{
    *rows = (struct bars_rows){ 0 };
    size_t room = (size_t)count + 1;
    if (room > SIZE_MAX / 16)
        return -ENOMEM;
    rows->timestamp_ns = malloc(room * sizeof *rows->timestamp_ns);
    bool is_whole = rows->timestamp_ns != NULL;
    for (unsigned c = 0; c < BARS_COLUMN_COUNT; c++) {
        if ((columns & (1u << c)) == 0)
            continue;
        rows->columns[c] = malloc(room * sizeof *rows->columns[c]);
        is_whole = is_whole && rows->columns[c] != NULL;
    }
    if (is_whole)
        return 0;
    bars_rows_fini(rows);
    return -ENOMEM;
}

void bars_rows_fini(struct bars_rows *rows)
{
    free(rows->timestamp_ns);
    for (unsigned c = 0; c < BARS_COLUMN_COUNT; c++)
        free(rows->columns[c]);
    *rows = (struct bars_rows){ 0 };
}

struct bars_rows bars_rows_behind(const struct bars_rows *rows)
{
    struct bars_rows rest = { .timestamp_ns = rows->timestamp_ns + rows->count };
    for (unsigned c = 0; c < BARS_COLUMN_COUNT; c++)
        rest.columns[c] = rows->columns[c] == NULL ? NULL : rows->columns[c] + rows->count;
    return rest;
}

void bars_rows_copy(
    struct bars_rows *to, const struct bars_rows *from, uint64_t first, uint64_t count)
{
    size_t size = (size_t)count * 8;
    if (size == 0)
        return;
    memcpy(to->timestamp_ns + to->count, from->timestamp_ns + first, size);
    for (unsigned c = 0; c < BARS_COLUMN_COUNT; c++) {
        if (to->columns[c] != NULL)
            memcpy(to->columns[c] + to->count, from->columns[c] + first, size);
    }
    to->count += count;
}

bool bars_times_ascend(const int64_t *times, uint64_t count)
{
    bool ascends = true;
    for (uint64_t i = 1; i < count; i++)
        ascends &= times[i - 1] < times[i];
    return ascends;
}

struct order_context {
    const int64_t *times;
};

static int compare_indices(const void *left, const void *right, void *context)
{
    const int64_t *times = ((const struct order_context *)context)->times;
    uint64_t a = *(const uint64_t *)left;
    uint64_t b = *(const uint64_t *)right;
    if (times[a] != times[b])
        return times[a] < times[b] ? -1 : 1;
    return (a > b) - (a < b);
}

int bars_sorted_order(
    const int64_t *times, uint64_t count, uint64_t **out_order, uint64_t *out_count)
{
    uint64_t *order = malloc(((size_t)count + 1) * sizeof *order);
    if (order == NULL)
        return -ENOMEM;
    for (uint64_t i = 0; i < count; i++)
        order[i] = i;
    struct order_context context = { times };
    qsort_r(order, (size_t)count, sizeof *order, compare_indices, &context);
    uint64_t kept = 0;
    for (uint64_t i = 0; i < count; i++) {
        if (i + 1 < count && times[order[i]] == times[order[i + 1]])
            continue; /* a later one is there */
        order[kept++] = order[i];
    }
    *out_order = order;
    *out_count = kept;
    return 0;
}

int bars_rows_sort(struct bars_rows *rows)
{
    if (bars_times_ascend(rows->timestamp_ns, rows->count))
        return 0;
    uint64_t *order = NULL;
    uint64_t count = 0;
    int err = bars_sorted_order(rows->timestamp_ns, rows->count, &order, &count);
    if (err < 0)
        return err;
    uint64_t *room = malloc(((size_t)rows->count + 1) * sizeof *room);
    for (unsigned c = 0; c <= BARS_COLUMN_COUNT && room != NULL; c++) {
        void *column =
            c == BARS_COLUMN_COUNT ? (void *)rows->timestamp_ns : (void *)rows->columns[c];
        if (column == NULL)
            continue;
        memcpy(room, column, (size_t)rows->count * 8);
        uint64_t *to = column;
        for (uint64_t i = 0; i < count; i++)
            to[i] = room[order[i]];
    }
    rows->count = count;
    err = room == NULL ? -ENOMEM : 0;
    free(room);
    free(order);
    return err;
}

/* The first row from `from` on whose time is `time` or later. */
static uint64_t lower_bound(const struct bars_rows *rows, uint64_t from, int64_t time)
{
    uint64_t step = 1;
    uint64_t low = from;
    while (low + step <= rows->count && rows->timestamp_ns[low + step - 1] < time) {
        low += step;
        step *= 2;
    }
    uint64_t high = min_u64(low + step, rows->count);
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        if (rows->timestamp_ns[middle] < time)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

void bars_rows_merge(
    struct bars_rows *to, const struct bars_rows *older, const struct bars_rows *newer)
{
    uint64_t a = 0;
    uint64_t b = 0;
    while (a < older->count && b < newer->count) {
        uint64_t end = lower_bound(older, a, newer->timestamp_ns[b]);
        bars_rows_copy(to, older, a, end - a);
        a = end;
        if (a == older->count)
            break;
        end = lower_bound(newer, b, older->timestamp_ns[a]);
        if (end == b) { /* the same time: the newer one counts */
            end = b + 1;
            a++;
        }
        bars_rows_copy(to, newer, b, end - b);
        b = end;
    }
    bars_rows_copy(to, older, a, older->count - a);
    bars_rows_copy(to, newer, b, newer->count - b);
}
