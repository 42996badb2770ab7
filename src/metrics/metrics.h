/*
 * metrics/metrics.h - counters, gauges and histograms of the process; rows in metrics/metrics.def.
 *
 * metrics_add() and metrics_observe() cost a few nanoseconds and never wait: each thread counts in
 * a block of its own, and the blocks are summed when somebody asks. A block outlives its thread, so
 * nothing counted is lost; it is handed to the next thread that starts. Thread-safe.
 */
#pragma once

#include <stdio.h>

#include "base/base.h"

enum metric_label {
#define LABEL(id, name, size) METRIC_LABEL_##id,
#define METRIC(id, type, label, name, help)
#include "metrics/metrics.def"
#undef LABEL
#undef METRIC
    METRIC_LABEL_COUNT
};

enum metric {
#define LABEL(id, name, size)
#define METRIC(id, type, label, name, help) METRIC_##id,
#include "metrics/metrics.def"
#undef LABEL
#undef METRIC
    METRIC_COUNT
};

/* Names the values of a label: `names[index]`, NULL for those that do not occur. Borrowed for ever.
 */
void metrics_name_label(enum metric_label label, const char *const *names, unsigned count);

/* Adds to a COUNTER. `index` is the label's value; 0 when it has none. */
void metrics_add(enum metric metric, unsigned index, uint64_t amount);
/* Adds a duration to a HISTOGRAM. */
void metrics_observe(enum metric metric, unsigned index, uint64_t duration_ns);
/* Sets a GAUGE without labels. */
void metrics_set(enum metric metric, int64_t value);

/* Writes all metrics as Prometheus text (exposition format 0.0.4). Values of labels that never
 * occurred are left out. Errors: -EIO when `to` does not take them. */
MUST_CHECK int metrics_write(FILE *to);

/* The sum over all threads of a COUNTER, or the number of observations of a HISTOGRAM. */
uint64_t metrics_read(enum metric metric, unsigned index);
