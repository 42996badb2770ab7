/*
 * The power is cut at moments of a run, and the disk kept what it had to and by chance more: what was acknowledged
 * is there each time, whole, and all records agree. The same when calls to the system fail before.
 *
 * SHOAL_POWER_CUTS: how many states are tried in all (a few hundred by default). SHOAL_SEED: chooses operations and
 * cuts; the threads of the engine run as they like, so a run is not repeated exactly. A state that is wrong is kept.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "power_cut.h"

#include <cmocka.h>

#define RUNS           3u
#define STATES_DEFAULT 360u
#define FAILING_RUNS   40u

static void explore(struct run *run, uint64_t cuts, uint64_t *random)
{
    if (!run_explore(run, cuts, random))
        fail_msg("after event %llu of %llu; kept in %s", (unsigned long long)run->wrong_event,
            (unsigned long long)run->events, run->wrong_state);
}

static void what_was_acknowledged_survives_a_power_cut(void **state)
{
    (void)state;
    const char *text = getenv("SHOAL_POWER_CUTS");
    uint64_t states = text != NULL ? strtoull(text, NULL, 10) : STATES_DEFAULT;
    uint64_t random = fixture_seed();
    for (unsigned i = 0; i < RUNS; i++) {
        struct run *run = run_new(fixture_random(&random));
        assert_true(run_record(run, 0, 0));
        explore(run, max_u64(1, states / RUNS / DISK_CHOICES), &random);
        run_free(run);
    }
    print_message("%llu states\n", (unsigned long long)states);
}

/* The number of calls in a run where none fails. */
static uint64_t count_calls(uint64_t seed)
{
    struct run *run = run_new(seed);
    assert_true(run_record(run, 0, 0));
    uint64_t calls = run->calls;
    run_free(run);
    return calls;
}

static void a_call_that_fails_costs_nothing_acknowledged(void **state)
{
    (void)state;
    static const int errors[] = { EIO, ENOSPC, EDQUOT, EMFILE };
    uint64_t random = fixture_seed();
    uint64_t calls = count_calls(fixture_random(&random));
    assert_true(calls > POWER_CUT_OPERATIONS);
    for (unsigned i = 0; i < FAILING_RUNS; i++) {
        struct run *run = run_new(fixture_random(&random));
        /* One in four in the first calls, which open it. */
        uint64_t fail_at = 1 + fixture_random(&random) % (i % 4 == 0 ? 60 : calls);
        int error = errors[fixture_random(&random) % ARRAY_SIZE(errors)];
        print_message("call %llu of about %llu fails: %s%s\n", (unsigned long long)fail_at,
            (unsigned long long)calls, strerror(error),
            fail_at % 2 == 0 ? ", and all after it" : "");
        assert_true(run_record(run, fail_at, error));
        explore(run, 1, &random);
        if (!run_is_good(run, run->directory))
            fail_msg("kept in %s", run->directory);
        run_free(run);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_call_that_fails_costs_nothing_acknowledged),
        cmocka_unit_test(what_was_acknowledged_survives_a_power_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
