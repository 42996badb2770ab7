/*
 * uml_xstate.c - lets User-Mode Linux 6.1 run on processors with more register state than it knows.
 *
 * UML hands ptrace(PTRACE_SETREGSET, NT_X86_XSTATE) a buffer of a fixed size. The host takes the
 * whole state or nothing, so where the processor has AMX (11 KiB of state) every such call fails
 * with EFAULT and the guest's first process dies. Preloaded into UML, this gives the host the state
 * that it has, with UML's part laid over it.
 *
 * Runs on UML's small kernel stacks: no large locals.
 */
#include <elf.h>
#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { STATE_SIZE_MAX = 64 * 1024, BUFFERS = 4 };

static _Alignas(64) unsigned char buffers[BUFFERS][STATE_SIZE_MAX];
static atomic_flag is_taken[BUFFERS];

/* A call may be interrupted by a handler that calls again: each takes a buffer of its own. */
static int take_buffer(void)
{
    for (int n = 0; n < BUFFERS; n++) {
        if (!atomic_flag_test_and_set(&is_taken[n])) {
            return n;
        }
    }
    return -1;
}

/* The raw call: 0 or more, or -1 with errno set. */
static long raw_ptrace(long request, long pid, void *address, void *data)
{
    return syscall(SYS_ptrace, request, pid, address, data);
}

static long set_whole_state(long pid, const struct iovec *part)
{
    int n = take_buffer();
    if (n < 0) {
        errno = EBUSY;
        return -1;
    }
    struct iovec whole = { .iov_base = buffers[n], .iov_len = STATE_SIZE_MAX };
    long result = raw_ptrace(PTRACE_GETREGSET, pid, (void *)NT_X86_XSTATE, &whole);
    if (result >= 0 && part->iov_len < whole.iov_len) {
        memcpy(buffers[n], part->iov_base, part->iov_len);
        result = raw_ptrace(PTRACE_SETREGSET, pid, (void *)NT_X86_XSTATE, &whole);
    } else if (result >= 0) {
        errno = EFAULT;
        result = -1;
    }
    atomic_flag_clear(&is_taken[n]);
    return result;
}

/* Takes the place of libc's, with its way of giving what PEEK reads. */
long ptrace(enum __ptrace_request request, ...)
{
    va_list arguments;
    va_start(arguments, request);
    long pid = va_arg(arguments, pid_t);
    void *address = va_arg(arguments, void *);
    void *data = va_arg(arguments, void *);
    va_end(arguments);
    if (request == PTRACE_PEEKTEXT || request == PTRACE_PEEKDATA || request == PTRACE_PEEKUSER) {
        long word = 0;
        long result = raw_ptrace(request, pid, address, &word);
        if (result >= 0) {
            errno = 0;
            return word;
        }
        return result;
    }
    long result = raw_ptrace(request, pid, address, data);
    if (result < 0 && errno == EFAULT && request == PTRACE_SETREGSET &&
        address == (void *)NT_X86_XSTATE) {
        return set_whole_state(pid, data);
    }
    return result;
}
