/*
 * cli/cmd_selftest.c - shoal selftest: whether what was acknowledged survives power cuts, on this machine (room: cli).
 *
 * The work is done by the program shoal-selftest, as it overrides the system calls of its own process.
 */
#include "cli/cli.h"
#include "cli/launch.h"

int cmd_selftest(int argc, char **argv)
{
    (void)argc; /* the words are the program's */
    return launch_program("shoal-selftest", argv + 1);
}
