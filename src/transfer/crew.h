/*
 * transfer/crew.h - a fixed number of threads that work through tasks, of which new ones come while they work.
 *
 * Three queues keep memory bounded whatever the shape of the tree: pieces of files under way go first, then files
 * (first in, first out), then directories (last in, first out: depth first). Whoever adds files looks at
 * crew_is_full() and helps until it is not.
 */
#pragma once

#include "base/base.h"

struct crew;

enum crew_queue { CREW_PIECES, CREW_FILES, CREW_DIRECTORIES, CREW_QUEUES };

/* Embedded in what is to be done; belongs to the crew until it runs. */
struct crew_task {
    struct crew_task *next;
    void (*run)(struct crew_task *task);
};

/* Starts `worker_count` (1..256) threads. Errors: -ENOMEM, -EAGAIN. */
MUST_CHECK int crew_new(unsigned worker_count, struct crew **out_crew);
unsigned crew_size(const struct crew *crew);
/* From any thread, of the crew or not. */
void crew_add(struct crew *crew, enum crew_queue queue, struct crew_task *task);
/* Whether enough files wait already. */
bool crew_is_full(struct crew *crew);
/* Runs one waiting file in this thread; false: none waits. */
bool crew_help(struct crew *crew);
/* Returns when nothing waits or runs any more. */
void crew_wait(struct crew *crew);
/* Only after crew_wait(). NULL is allowed. */
void crew_free(struct crew *crew);
