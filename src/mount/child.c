/*
 * mount/child.c - children with time limits (room: mount).
 */
#include "mount/child.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

#define KILL_WAIT_STEPS   50
#define KILL_WAIT_STEP_NS 10000000

/* What goes through the pipe. */
struct message {
    int status;
    _Alignas(max_align_t) uint8_t result[CHILD_RESULT_SIZE_MAX]; /* any struct may lie there */
};

uint64_t child_now_ms(void)
{
    return clock_monotonic_ns() / 1000000;
}

__attribute__((noreturn)) static void work_in_child(
    child_work *work, void *context, size_t result_size, int pipe_fd)
{
    struct message message = { 0 };
    (void)signal(SIGINT, SIG_DFL);
    (void)signal(SIGTERM, SIG_DFL);
    message.status = work(context, message.result);
    size_t size = offsetof(struct message, result) + result_size;
    ssize_t written = write(pipe_fd, &message, size);
    _exit(written == (ssize_t)size ? 0 : 1); /* buffers of stdio are the parent's */
}

int child_start(struct child *child, child_work *work, void *context, size_t result_size)
{
    assert(result_size <= CHILD_RESULT_SIZE_MAX);
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    pid_t pid = fork();
    if (pid == 0) {
        (void)close(ends[0]);
        work_in_child(work, context, result_size, ends[1]);
    }
    int err = pid < 0 ? -errno : 0;
    (void)close(ends[1]);
    if (err < 0) {
        (void)close(ends[0]);
        return err;
    }
    *child = (struct child){ .pid = pid, .pipe_fd = ends[0], .result_size = result_size };
    return 0;
}

static void close_pipe(struct child *child)
{
    if (child->pipe_fd >= 0)
        (void)close(child->pipe_fd); /* opened for reading */
    child->pipe_fd = -1;
}

int child_result(struct child *child, uint64_t deadline_ms, void *out_result)
{
    struct message message;
    struct pollfd ready = { .fd = child->pipe_fd, .events = POLLIN };
    for (;;) {
        uint64_t now_ms = child_now_ms();
        uint64_t left_ms = deadline_ms > now_ms ? deadline_ms - now_ms : 0;
        int count = poll(&ready, 1, (int)min_u64(left_ms, 1000));
        if (count > 0)
            break;
        if (count < 0 && errno != EINTR)
            return -errno;
        if (left_ms == 0)
            return -EINPROGRESS;
    }
    size_t size = offsetof(struct message, result) + child->result_size;
    ssize_t received = read(child->pipe_fd, &message, size);
    (void)child_kill(child); /* it has nothing left to do but to end */
    if (received != (ssize_t)size)
        return -ECHILD;
    if (out_result != NULL)
        memcpy(out_result, message.result, child->result_size);
    return message.status;
}

bool child_reap(struct child *child)
{
    close_pipe(child);
    if (child->pid > 0 && waitpid(child->pid, NULL, WNOHANG) != 0)
        child->pid = 0; /* ended, or never was ours */
    return child->pid <= 0;
}

bool child_kill(struct child *child)
{
    if (child->pid > 0)
        (void)kill(child->pid, SIGKILL);
    const struct timespec step = { .tv_nsec = KILL_WAIT_STEP_NS };
    for (int i = 0; i < KILL_WAIT_STEPS && !child_reap(child); i++)
        (void)nanosleep(&step, NULL);
    return child->pid <= 0;
}

int child_run(child_work *work, void *context, uint64_t limit_ms, void *out_result,
    size_t result_size, bool *out_stuck)
{
    struct child child = { 0 };
    if (out_stuck != NULL)
        *out_stuck = false;
    int err = child_start(&child, work, context, result_size);
    if (err < 0)
        return err;
    err = child_result(&child, child_now_ms() + limit_ms, out_result);
    if (err != -EINPROGRESS)
        return err;
    bool is_gone = child_kill(&child);
    if (out_stuck != NULL)
        *out_stuck = !is_gone;
    return -ETIMEDOUT;
}
