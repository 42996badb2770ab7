/*
 * cli/files/progress.h - how far a transfer is: a bar on a terminal, a line every ten seconds elsewhere; problems as
 * they come; Ctrl-C.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "base/lock.h"
#include "transfer/survey.h"

#define PROGRESS_PROBLEMS_MAX 50u /* that are printed; the rest is counted */

struct progress {
    const char *doing; /* "copying" */
    const char *start; /* what the person called the start of the walk; borrowed, as the next */
    const char *start_name;      /* what paths in problems begin with in its place; NULL: nothing */
    bool is_quiet;               /* problems only */
    struct transfer_stats stats; /* of the transfer */
    struct transfer_stats totals; /* what there is to do, as far as known */
    _Atomic bool totals_known;
    uint64_t started_ns;

    pthread_t painter;
    bool has_painter;
    bool is_terminal;
    struct mutex lock;
    pthread_cond_t changed;
    bool ending; /* under `lock`, as the two below */
    bool bar_is_shown;
    uint64_t problems_shown;
};

/* Begins; the struct must not move until progress_end(). */
void progress_begin(struct progress *progress, const char *doing, const char *start,
    const char *start_name, bool is_quiet);
/* What to hand to a transfer. */
struct transfer_report progress_report(struct progress *progress);
/* Takes the bar away. Gives the seconds since the beginning. */
double progress_end(struct progress *progress);

/* From now on SIGINT and SIGTERM set the flag; a second one ends the process. */
const _Atomic bool *progress_stop_flag(void);
