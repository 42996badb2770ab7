/*
 * mount/child.h - work that may hang, done in a child process with a time limit.
 *
 * Whatever touches a path of a network file system (even stat) can block for ever in the kernel. So it is done in a
 * child; the parent only waits for its pipe, and when time is up kills it and goes on. A child that the kernel does not
 * let die is not waited for. Children share nothing: the result comes through the pipe.
 * Source of the need: the issue threads about wedged nodes; RFC 8881 lets a hard mount wait without end.
 */
#pragma once

#include <sys/types.h>

#include "base/base.h"

#define CHILD_RESULT_SIZE_MAX 4000u /* one atomic write to a pipe */

/* Runs in the child: fills the result (zeroed before) and gives 0 or -errno, which is passed on. */
typedef int child_work(void *context, void *result);

struct child {
    pid_t pid; /* 0: none runs */
    int pipe_fd;
    size_t result_size;
};

/* Starts the work. Errors: -EAGAIN, -ENOMEM, -EMFILE. The process must have one thread only. */
MUST_CHECK int child_start(
    struct child *child, child_work *work, void *context, size_t result_size);
/* Waits for the result until `deadline_ms` of the monotonic clock; 0: only looks. Gives what the work gave; -EINPROGRESS:
 * time is up, it still runs; -ECHILD: it died without a result. Afterwards, unless in progress, the child is gone. */
MUST_CHECK int child_result(struct child *child, uint64_t deadline_ms, void *out_result);
/* Kills it and waits half a second; gives whether it is gone. What is not gone hangs in the kernel. */
bool child_kill(struct child *child);
/* Takes the end of a child that was killed, without waiting; gives whether it is gone. */
bool child_reap(struct child *child);
/* All of it: -ETIMEDOUT when the limit was reached; *out_stuck (may be NULL): it could not even be killed. */
MUST_CHECK int child_run(child_work *work, void *context, uint64_t limit_ms, void *out_result,
    size_t result_size, bool *out_stuck);

/* Milliseconds of the monotonic clock. */
uint64_t child_now_ms(void);
