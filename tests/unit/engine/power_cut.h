/*
 * A run of the engine that is recorded, and the power cut at moments of it: what the disk may have kept is opened, checked, and
 * compared with what was acknowledged. Shared by test_power_cut.c and the program shoal-selftest.
 */
#pragma once

#include "crash_model.h"
#include "tests/sim/disk.h"

#define POWER_CUT_THREADS    3u
#define POWER_CUT_OPERATIONS 250u /* of each thread, in a run */

/* Shared by the processes of a run. */
struct run {
    char directory[128];          /* the engine's */
    char work[128];               /* the test's: what is below */
    struct model *models;         /* of each thread, as far as was acknowledged */
    struct disk_log *log;         /* NULL: nothing was recorded yet */
    uint64_t calls;               /* to the system that change something, in the recorded process */
    uint64_t events;              /* that were recorded */
    uint64_t acknowledged;        /* operations, up to the last moment that was tried */
    uint64_t tried[DISK_CHOICES]; /* states that were what they must be */
    char wrong_state[192];        /* where the first one is that was not; "" */
    uint64_t wrong_event;
};

/* In /dev/shm, or else /tmp, or SHOAL_TEST_DIR. */
struct run *run_new(uint64_t seed);
/* Removes all, but not a wrong state. */
void run_free(struct run *run);
/* Has the threads work, in a process of its own that is recorded; call `fail_at` fails with `fail_with` (0: none). False: the
 * process did not end as it must. */
bool run_record(struct run *run, uint64_t fail_at, int fail_with);
/* Tries `cuts` moments of the recording, with all choices each. False: one state is wrong. */
bool run_explore(struct run *run, uint64_t cuts, uint64_t *random);
/* Whether the engine finds in `directory` what it must. */
bool run_is_good(const struct run *run, const char *directory);
