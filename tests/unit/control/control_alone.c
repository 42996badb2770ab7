/*
 * tests/unit/control/control_alone.c - a control server as a process of its own, for tests in Python.
 * Usage: control_alone DIRECTORY PORT. Ends on SIGTERM or SIGINT.
 *
 * SIGUSR1 makes the next allocation for JSON fail, once: whatever is answered next. A limit on the size of files, which a
 * test may set for this process, is a full disk.
 */
#include <jansson.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"
#include "tests/unit/control/fixture.h"

static _Atomic bool allocation_fails;

static void *allocate(size_t size)
{
    return atomic_exchange(&allocation_fails, false) ? NULL : malloc(size);
}

int main(int argc, char **argv)
{
    uint64_t port;
    if (argc != 3 || text_parse_u64(argv[2], 65535, &port) < 0) {
        (void)fprintf(stderr, "usage: control_alone DIRECTORY PORT\n");
        return 2;
    }
    sigset_t signals;
    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGTERM);
    (void)sigaddset(&signals, SIGINT);
    (void)sigaddset(&signals, SIGUSR1);
    (void)pthread_sigmask(SIG_BLOCK, &signals, NULL); /* before there are other threads */
    (void)signal(SIGXFSZ, SIG_IGN);                   /* a write past the limit is an error then */
    json_set_alloc_funcs(allocate, free);
    static struct control_fixture fixture;
    fixture_start(&fixture, argv[1], (uint16_t)port);
    int received;
    (void)sigwait(&signals, &received);
    while (received == SIGUSR1) {
        allocation_fails = true;
        (void)sigwait(&signals, &received);
    }
    fixture_stop(&fixture);
    return 0;
}
