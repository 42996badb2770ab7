/*
 * tests/unit/control/control_alone.c - a control server as a process of its own, for tests in Python.
 * Usage: control_alone DIRECTORY PORT. Ends on SIGTERM or SIGINT.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"
#include "tests/unit/control/fixture.h"

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
    (void)pthread_sigmask(SIG_BLOCK, &signals, NULL); /* before there are other threads */
    static struct control_fixture fixture;
    fixture_start(&fixture, argv[1], (uint16_t)port);
    int received;
    (void)sigwait(&signals, &received);
    fixture_stop(&fixture);
    return 0;
}
