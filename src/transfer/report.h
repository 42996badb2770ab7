/* transfer/report.h - what a transfer tells while it runs: counters, and each problem when it happens. */
#pragma once

#include <stdatomic.h>

#include "base/base.h"

/* All zero at the start; read by anyone at any time. */
struct transfer_stats {
    _Atomic uint64_t files; /* regular files, hard links not among them */
    _Atomic uint64_t directories;
    _Atomic uint64_t symlinks;
    _Atomic uint64_t hard_links;
    _Atomic uint64_t others; /* FIFOs, sockets, devices */
    _Atomic uint64_t bytes;  /* of regular files */
    _Atomic uint64_t problems;
};

/* Everything but problems and bytes. */
static inline uint64_t transfer_entries(const struct transfer_stats *stats)
{
    return atomic_load(&stats->files) + atomic_load(&stats->directories) +
           atomic_load(&stats->symlinks) + atomic_load(&stats->hard_links) +
           atomic_load(&stats->others);
}

/* Where to tell it; called from any thread, several at once. */
struct transfer_report {
    struct transfer_stats *stats;
    /* `what` is a part of a sentence ("cannot be read"); `error` is 0 or -errno. */
    void (*problem)(void *context, const char *path, const char *what, int error);
    void *context;
};

static inline void transfer_problem(
    const struct transfer_report *report, const char *path, const char *what, int error)
{
    atomic_fetch_add(&report->stats->problems, 1);
    report->problem(report->context, path, what, error);
}

static inline void transfer_count(_Atomic uint64_t *counter, uint64_t by)
{
    atomic_fetch_add_explicit(counter, by, memory_order_relaxed);
}
