/*
 * transfer/copy.h - copies a tree: data, holes, modes, times, links, nodes; owners when asked.
 *
 * What exists under the same name is replaced, but a directory never by something else or the other way round;
 * what exists only in the destination stays. An entry that cannot be copied is reported, and the rest goes on.
 * When copy_run() returns, all that was copied is durable.
 */
#pragma once

#include "transfer/report.h"
#include "transfer/tree.h"

struct copy_options {
    struct tree *from;
    const char *from_name; /* a name in the root; NULL: the root itself */
    struct tree *to;
    const char
        *to_name; /* NULL: the root itself when from_name is a directory or NULL, else from_name */
    bool keep_owner;
    unsigned worker_count;    /* 0: 16 */
    const _Atomic bool *stop; /* may be NULL */
    struct transfer_report report;
};

/* What the destination could not keep, for all files of a kind; not counted as problems. */
struct copy_result {
    bool kept_owner;      /* false: it does not let files be given away (or was not asked to) */
    bool kept_link_times; /* false: its symbolic links have times of their own */
};

/* Gives 0 although entries failed (report.stats->problems counts them). Errors: the start does not exist;
 * -ENOMEM. */
MUST_CHECK int copy_run(const struct copy_options *options, struct copy_result *out_result);
