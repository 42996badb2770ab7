/*
 * transfer/compare.h - compares two trees: every name, every byte, type, mode, modification time, link targets,
 * which names are links of one file, and owners when asked.
 *
 * Access and change times are not compared: looking at a file changes the one, nobody can set the other.
 */
#pragma once

#include "transfer/report.h"
#include "transfer/tree.h"

struct compare_options {
    struct tree *from;
    const char *from_name; /* as in struct copy_options */
    struct tree *to;
    const char *to_name;
    bool owners;      /* uid and gid must be equal too */
    bool link_times;  /* times of symbolic links must be equal too */
    bool allow_extra; /* names that only `to` has are no difference */
    unsigned worker_count;
    const _Atomic bool *stop;
    struct transfer_report report; /* a difference is a problem; the counters count what is equal */
};

/* Gives 0 although there are differences (report.stats->problems counts them). Errors: the start does not exist
 * in `from`; -ENOMEM. */
MUST_CHECK int compare_run(const struct compare_options *options);
