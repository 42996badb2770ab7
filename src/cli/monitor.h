/*
 * cli/monitor.h - one sample of shoal monitor, and its forms: a line of the screen, JSON, Prometheus.
 */
#pragma once

#include <jansson.h>
#include <stdio.h>

#include "mount/health.h"
#include "mount/mountstats.h"

/* What was seen of a directory in one interval. */
struct monitor_sample {
    const char *path;
    const struct mountinfo *mount;
    struct health_result health;
    bool is_skipped; /* an earlier probe still hangs in the kernel, so none was started */
    bool
        has_rates; /* it is an NFS mount that was there one interval ago, too: then the rest is known */
    double seconds; /* of the interval */
    struct mountstats difference;
    struct mountstats now;
};

/* a - b of every counter; a mount that was made anew (smaller counters) counts from 0. */
struct mountstats monitor_difference(const struct mountstats *a, const struct mountstats *b);
/* "ok", "hung", "read-only", "failed" */
const char *monitor_status(const struct monitor_sample *sample);
/* A new reference; NULL: no memory. */
json_t *monitor_json(const struct monitor_sample *sample, double now_s);
/* The head of the screen, and a row. Neither is wider than `width`. */
void monitor_print_head(FILE *out, unsigned width, double interval_s);
void monitor_print_row(FILE *out, unsigned width, const struct monitor_sample *sample);
/* All samples as Prometheus text. Gives 0 or -EIO. */
MUST_CHECK int monitor_print_prometheus(
    FILE *out, const struct monitor_sample *samples, size_t count);
