/* transfer/survey.h - how much a tree holds (du, totals for progress), and removing one. */
#pragma once

#include "transfer/report.h"
#include "transfer/tree.h"

struct survey_options {
    struct tree *tree;
    const char *name; /* in the root; NULL: the root itself */
    unsigned worker_count;
    const _Atomic bool *stop;
    struct transfer_report report;
    /* Called for each directory when all below is known, deepest first, from any thread, one at a time per
     * directory: entries and space used, its own included. May be NULL. */
    void (*directory)(void *context, const char *path, uint64_t entries, uint64_t space_bytes);
    void *context;
    _Atomic uint64_t
        space_bytes; /* result: what all of it uses; a file with several names counts once */
};

/* Counts into report.stats (bytes: sizes of files). Errors: the start does not exist; -ENOMEM. */
MUST_CHECK int survey_run(struct survey_options *options);

struct removal_options {
    struct tree *tree;
    const char *name; /* in the root; the root itself cannot be removed */
    unsigned worker_count;
    const _Atomic bool *stop;
    struct transfer_report report; /* the counters count what is removed */
};
/* Removes the tree; what cannot be removed is reported and stays, as do the directories above it. */
MUST_CHECK int removal_run(const struct removal_options *options);
