/*
 * metrics/metrics.c - counting in per-thread blocks, and the Prometheus exposition (room: metrics).
 *
 * Only the owning thread writes a block's slots, with plain relaxed stores (no locked instruction);
 * readers sum over the list of all blocks. Blocks are never freed while the process runs: a thread
 * that ends puts its block on the free list, counts and all, and the next new thread continues it.
 *
 * A histogram's slots are its buckets, each for durations up to 1 us * 2^n, one for all longer
 * ones, and the sum of the durations.
 */
#include "metrics/metrics.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/lock.h"

#define BUCKET_COUNT    25u /* 1 us to 16.8 s */
#define HISTOGRAM_SLOTS (BUCKET_COUNT + 2u)
#define SLOT_BEYOND     BUCKET_COUNT        /* longer than the last bucket */
#define SLOT_SUM        (BUCKET_COUNT + 1u) /* in nanoseconds */

enum metric_type { COUNTER, GAUGE, HISTOGRAM };

enum label_size {
#define LABEL(id, name, size) LABEL_SIZE_##id = (size),
#define METRIC(id, type, label, name, help)
#include "metrics/metrics.def"
#undef LABEL
#undef METRIC
};

#define SLOTS_OF_COUNTER   1u
#define SLOTS_OF_GAUGE     1u
#define SLOTS_OF_HISTOGRAM HISTOGRAM_SLOTS

/* Where each metric's slots are in a block: the layout of this struct is the list of offsets. */
struct layout {
#define LABEL(id, name, size)
#define METRIC(id, type, label, name, help) uint64_t id[LABEL_SIZE_##label * SLOTS_OF_##type];
#include "metrics/metrics.def"
#undef LABEL
#undef METRIC
};

#define SLOT_COUNT (sizeof(struct layout) / sizeof(uint64_t))

struct block {
    struct block *next_all;
    struct block *next_free;
    _Atomic uint64_t slots[SLOT_COUNT];
};

struct metric_row {
    const char *name;
    const char *help;
    enum metric_type type;
    enum metric_label label;
    unsigned label_size;
    size_t first_slot;
};

static const struct metric_row rows[] = {
#define LABEL(id, name, size)
#define METRIC(id, type, label, name, help)                       \
    { name, help, type, METRIC_LABEL_##label, LABEL_SIZE_##label, \
        offsetof(struct layout, id) / sizeof(uint64_t) },
#include "metrics/metrics.def"
#undef LABEL
#undef METRIC
};

static const char *const label_names[] = {
#define LABEL(id, name, size) name,
#define METRIC(id, type, label, name, help)
#include "metrics/metrics.def"
#undef LABEL
#undef METRIC
};

struct label_values {
    const char *const *names;
    unsigned count;
};

static struct mutex blocks_lock = { PTHREAD_MUTEX_INITIALIZER };
static struct block *blocks_all;
static struct block *blocks_free;
static struct label_values label_values[METRIC_LABEL_COUNT];
static _Atomic int64_t gauges[METRIC_COUNT];
static pthread_key_t thread_end;
static pthread_once_t thread_end_once = PTHREAD_ONCE_INIT;
static _Thread_local struct block *own_block;

static void block_give_back(void *argument)
{
    struct block *block = argument;
    mutex_lock(&blocks_lock);
    block->next_free = blocks_free;
    blocks_free = block;
    mutex_unlock(&blocks_lock);
}

static void make_thread_end(void)
{
    /* Without a key the blocks of ended threads are not reused; nothing else is lost. */
    (void)pthread_key_create(&thread_end, block_give_back);
}

/* The block of this thread, made now if need be; NULL when there is no memory: then nothing is
 * counted. */
static struct block *block_of_thread(void)
{
    if (LIKELY(own_block != NULL))
        return own_block;
    (void)pthread_once(&thread_end_once, make_thread_end);
    mutex_lock(&blocks_lock);
    struct block *block = blocks_free;
    if (block != NULL) {
        blocks_free = block->next_free;
    } else {
        block = calloc(1, sizeof *block);
        if (block != NULL) {
            block->next_all = blocks_all;
            blocks_all = block;
        }
    }
    mutex_unlock(&blocks_lock);
    if (block != NULL)
        (void)pthread_setspecific(thread_end, block);
    own_block = block;
    return block;
}

/* Only the owning thread writes, so a load and a store do what a locked addition would. */
static void slot_add(_Atomic uint64_t *slot, uint64_t amount)
{
    uint64_t value = atomic_load_explicit(slot, memory_order_relaxed);
    atomic_store_explicit(slot, value + amount, memory_order_relaxed);
}

void metrics_name_label(enum metric_label label, const char *const *names, unsigned count)
{
    assert(label < METRIC_LABEL_COUNT);
    mutex_lock(&blocks_lock);
    label_values[label] = (struct label_values){ .names = names, .count = count };
    mutex_unlock(&blocks_lock);
}

void metrics_add(enum metric metric, unsigned index, uint64_t amount)
{
    const struct metric_row *row = &rows[metric];
    assert(row->type == COUNTER && index < row->label_size);
    struct block *block = block_of_thread();
    if (LIKELY(block != NULL))
        slot_add(&block->slots[row->first_slot + index], amount);
}

/* The first bucket that holds a duration: bucket n is for those up to 2^n microseconds. */
static unsigned bucket_of(uint64_t duration_ns)
{
    uint64_t microseconds = duration_ns / 1000u + (duration_ns % 1000u != 0);
    if (microseconds <= 1)
        return 0;
    unsigned bucket = 64u - (unsigned)__builtin_clzll(microseconds - 1);
    return bucket < BUCKET_COUNT ? bucket : SLOT_BEYOND;
}

void metrics_observe(enum metric metric, unsigned index, uint64_t duration_ns)
{
    const struct metric_row *row = &rows[metric];
    assert(row->type == HISTOGRAM && index < row->label_size);
    struct block *block = block_of_thread();
    if (UNLIKELY(block == NULL))
        return;
    _Atomic uint64_t *slots = &block->slots[row->first_slot + (size_t)index * HISTOGRAM_SLOTS];
    slot_add(&slots[bucket_of(duration_ns)], 1);
    slot_add(&slots[SLOT_SUM], duration_ns);
}

void metrics_set(enum metric metric, int64_t value)
{
    assert(rows[metric].type == GAUGE && rows[metric].label == METRIC_LABEL_NONE);
    atomic_store_explicit(&gauges[metric], value, memory_order_relaxed);
}

static void slots_sum(size_t first, size_t count, uint64_t *out_sums)
{
    memset(out_sums, 0, count * sizeof *out_sums);
    mutex_lock(&blocks_lock);
    for (struct block *block = blocks_all; block != NULL; block = block->next_all) {
        for (size_t i = 0; i < count; i++)
            out_sums[i] += atomic_load_explicit(&block->slots[first + i], memory_order_relaxed);
    }
    mutex_unlock(&blocks_lock);
}

static uint64_t histogram_count(const uint64_t *slots)
{
    uint64_t count = 0;
    for (unsigned i = 0; i <= SLOT_BEYOND; i++)
        count += slots[i];
    return count;
}

uint64_t metrics_read(enum metric metric, unsigned index)
{
    const struct metric_row *row = &rows[metric];
    assert(row->type != GAUGE && index < row->label_size);
    uint64_t sums[HISTOGRAM_SLOTS];
    if (row->type == COUNTER) {
        slots_sum(row->first_slot + index, 1, sums);
        return sums[0];
    }
    slots_sum(row->first_slot + (size_t)index * HISTOGRAM_SLOTS, HISTOGRAM_SLOTS, sums);
    return histogram_count(sums);
}

/* The label's part of a line, `op="READ"`, or the empty text. */
static void label_text(const struct metric_row *row, unsigned index, char *out_text, size_t size)
{
    mutex_lock(&blocks_lock);
    struct label_values values = label_values[row->label];
    mutex_unlock(&blocks_lock);
    int written = 0;
    out_text[0] = '\0';
    if (row->label == METRIC_LABEL_NONE)
        return;
    if (index < values.count && values.names[index] != NULL)
        written =
            snprintf(out_text, size, "%s=\"%s\"", label_names[row->label], values.names[index]);
    else
        written = snprintf(out_text, size, "%s=\"%u\"", label_names[row->label], index);
    assert(written > 0 && (size_t)written < size);
}

static void write_counter(FILE *to, const struct metric_row *row, unsigned index)
{
    uint64_t value = 0;
    slots_sum(row->first_slot + index, 1, &value);
    if (value == 0 && row->label != METRIC_LABEL_NONE)
        return;
    char label[128];
    label_text(row, index, label, sizeof label);
    const char *open = label[0] != '\0' ? "{" : "";
    const char *close = label[0] != '\0' ? "}" : "";
    (void)fprintf(to, "%s%s%s%s %llu\n", row->name, open, label, close, (unsigned long long)value);
}

static void write_histogram(FILE *to, const struct metric_row *row, unsigned index)
{
    uint64_t slots[HISTOGRAM_SLOTS];
    slots_sum(row->first_slot + (size_t)index * HISTOGRAM_SLOTS, HISTOGRAM_SLOTS, slots);
    uint64_t count = histogram_count(slots);
    if (count == 0 && row->label != METRIC_LABEL_NONE)
        return;
    char label[128];
    label_text(row, index, label, sizeof label);
    const char *comma = label[0] != '\0' ? "," : "";
    uint64_t below = 0;
    for (unsigned i = 0; i < BUCKET_COUNT; i++) {
        below += slots[i];
        (void)fprintf(to, "%s_bucket{%s%sle=\"%.9g\"} %llu\n", row->name, label, comma,
            (double)(UINT64_C(1) << i) / 1e6, (unsigned long long)below);
    }
    (void)fprintf(to, "%s_bucket{%s%sle=\"+Inf\"} %llu\n", row->name, label, comma,
        (unsigned long long)count);
    const char *open = label[0] != '\0' ? "{" : "";
    const char *close = label[0] != '\0' ? "}" : "";
    (void)fprintf(
        to, "%s_sum%s%s%s %.9f\n", row->name, open, label, close, (double)slots[SLOT_SUM] / 1e9);
    (void)fprintf(
        to, "%s_count%s%s%s %llu\n", row->name, open, label, close, (unsigned long long)count);
}

int metrics_write(FILE *to)
{
    static const char *const type_names[] = { "counter", "gauge", "histogram" };
    for (unsigned i = 0; i < METRIC_COUNT; i++) {
        const struct metric_row *row = &rows[i];
        (void)fprintf(to, "# HELP %s %s\n# TYPE %s %s\n", row->name, row->help, row->name,
            type_names[row->type]);
        if (row->type == GAUGE) {
            (void)fprintf(to, "%s %lld\n", row->name,
                (long long)atomic_load_explicit(&gauges[i], memory_order_relaxed));
            continue;
        }
        for (unsigned index = 0; index < row->label_size; index++) {
            if (row->type == COUNTER)
                write_counter(to, row, index);
            else
                write_histogram(to, row, index);
        }
    }
    (void)fprintf(to,
        "# HELP shoal_build_info The version that runs; always 1.\n"
        "# TYPE shoal_build_info gauge\nshoal_build_info{version=\"%s\"} 1\n",
        SHOAL_VERSION);
    return fflush(to) != 0 || ferror(to) ? -EIO : 0;
}
