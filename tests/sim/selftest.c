/*
 * tests/sim/selftest.c - the program shoal-selftest, which `shoal selftest` runs: whether what was acknowledged survives power cuts
 * with this build, on this machine.
 *
 * It needs nothing but a directory for temporary files: three threads work on a file system of their own, every change of a file
 * that engine and database make is recorded, and the directory is built again as a power cut at a random moment may have left it.
 * What is then found is checked record by record and compared with what had been acknowledged. Nothing that exists is touched.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "tests/unit/engine/power_cut.h"

#define CUTS_OF_A_RUN   6u
#define FAILS_EVERY     3u /* of so many runs, one has a call that fails */
#define SECONDS_DEFAULT 60u
#define SECONDS_MAX     (7u * 24 * 3600)
#define NS_PER_S        UINT64_C(1000000000)

enum { SELFTEST_GOOD = 0, SELFTEST_WRONG = 1, SELFTEST_USAGE = 2 };

static const char *const choice_names[DISK_CHOICES] = {
    [DISK_NOTHING] = "nothing but what was synced is there",
    [DISK_ALL] = "everything is there",
    [DISK_SOME] = "of what was not synced some is there",
    [DISK_TORN] = "and writes are torn at sectors of 512 bytes",
};

struct totals {
    uint64_t runs, failing_runs, calls, events, acknowledged;
    uint64_t tried[DISK_CHOICES];
};

static void add(struct totals *totals, const struct run *run, bool is_failing)
{
    totals->runs++;
    totals->failing_runs += is_failing;
    totals->calls += run->calls;
    totals->events += run->events;
    totals->acknowledged += run->acknowledged;
    for (unsigned i = 0; i < DISK_CHOICES; i++)
        totals->tried[i] += run->tried[i];
}

static uint64_t states_of(const struct totals *totals)
{
    uint64_t states = 0;
    for (unsigned i = 0; i < DISK_CHOICES; i++)
        states += totals->tried[i];
    return states;
}

static void report(const struct totals *totals, uint64_t seed)
{
    (void)printf("%" PRIu64 " runs of %u threads, %" PRIu64
                 " of them with a system call that fails; %" PRIu64
                 " changes of files recorded, %" PRIu64 " operations acknowledged\n",
        totals->runs, POWER_CUT_THREADS, totals->failing_runs, totals->events,
        totals->acknowledged);
    (void)printf("the power was cut %" PRIu64 " times:\n", states_of(totals));
    for (unsigned i = 0; i < DISK_CHOICES; i++)
        (void)printf("  %6" PRIu64 "  %s\n", totals->tried[i], choice_names[i]);
    (void)printf("each time all that was acknowledged was there, whole, and all records agreed "
                 "(seed %" PRIu64 ")\n",
        seed);
}

/* One recording and its cuts. */
static bool run_once(uint64_t *random, struct totals *totals)
{
    static const int errors[] = { EIO, ENOSPC, EMFILE };
    bool is_failing = totals->runs % FAILS_EVERY == FAILS_EVERY - 1;
    uint64_t calls = totals->runs > 0 ? totals->calls / totals->runs + 1 : 1;
    struct run *run = run_new(fixture_random(random));
    uint64_t fail_at = is_failing ? 1 + fixture_random(random) % calls : 0;
    int error = errors[fixture_random(random) % ARRAY_SIZE(errors)];
    bool is_good =
        run_record(run, fail_at, is_failing ? error : 0) && run_explore(run, CUTS_OF_A_RUN, random);
    if (is_good)
        add(totals, run, is_failing);
    else
        (void)printf(
            "WRONG after change %" PRIu64 " of %" PRIu64
            ": something acknowledged is lost, or records do not agree. The state is kept in %s\n",
            run->wrong_event, run->events, run->wrong_state);
    run_free(run);
    return is_good;
}

static int run_for(uint64_t seconds, uint64_t seed)
{
    const uint64_t end_ns = clock_monotonic_ns() + seconds * NS_PER_S;
    struct totals totals = { 0 };
    uint64_t random = seed;
    do {
        if (!run_once(&random, &totals))
            return SELFTEST_WRONG;
        (void)fprintf(stderr, "\r%" PRIu64 " power cuts survived ", states_of(&totals));
    } while (clock_monotonic_ns() < end_ns);
    (void)fputc('\n', stderr);
    report(&totals, seed);
    return fflush(stdout) == 0 ? SELFTEST_GOOD : SELFTEST_WRONG;
}

static int usage(void)
{
    (void)fprintf(stderr, "shoal selftest: [--seconds N] [--seed N] [--directory DIR]\n");
    return SELFTEST_USAGE;
}

int main(int argc, char **argv)
{
    static const struct option options[] = { { "seconds", required_argument, NULL, 's' },
        { "seed", required_argument, NULL, 'r' }, { "directory", required_argument, NULL, 'd' },
        { NULL, 0, NULL, 0 } };
    uint64_t seconds = SECONDS_DEFAULT;
    uint64_t seed = (uint64_t)clock_wall_s();
    int letter;
    int err = 0;
    // NOLINTBEGIN(concurrency-mt-unsafe): no other thread runs yet
    while (err == 0 && (letter = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (letter == 's')
            err = text_parse_u64(optarg, SECONDS_MAX, &seconds);
        else if (letter == 'r')
            err = text_parse_u64(optarg, UINT64_MAX, &seed);
        else
            err = letter == 'd' ? setenv("SHOAL_TEST_DIR", optarg, 1) : -EINVAL;
    }
    // NOLINTEND(concurrency-mt-unsafe)
    if (err != 0 || optind < argc)
        return usage();
    return run_for(seconds, seed);
}
