/* Snapshots by schedule, over months that pass in a moment: what is made, what is kept, what is left alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include "fixture.h"
#include "fs/retention.h"

#include <cmocka.h>

#define HOUR_S INT64_C(3600)
#define START  INT64_C(1796083200) /* 2026-12-01, a Tuesday, at midnight */

static struct fixture f;

static int setup(void **state)
{
    (void)state;
    fixture_init(&f, NULL);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fixture_fini(&f);
    return 0;
}

struct listing {
    char names[512][FS_SNAPSHOT_NAME_MAX + 1];
    unsigned count;
};

static bool note(void *context, const struct fs_snapshot *snapshot)
{
    struct listing *listing = context;
    if (!snapshot->is_going)
        (void)snprintf(
            listing->names[listing->count++], FS_SNAPSHOT_NAME_MAX + 1, "%s", snapshot->name);
    return true;
}

static const struct listing *list(void)
{
    static struct listing listing;
    listing.count = 0;
    assert_int_equal(fs_snapshot_list(f.fs, note, &listing), 0);
    return &listing;
}

static unsigned count_of(enum retention_kind kind)
{
    const struct listing *listing = list();
    unsigned count = 0;
    for (unsigned i = 0; i < listing->count; i++)
        count += retention_is_own(kind, listing->names[i]);
    return count;
}

static bool has(const char *name)
{
    const struct listing *listing = list();
    for (unsigned i = 0; i < listing->count; i++) {
        if (strcmp(listing->names[i], name) == 0)
            return true;
    }
    return false;
}

static void a_schedule_is_parsed_or_refused(void **state)
{
    (void)state;
    struct retention retention;
    const char *bad[] = { "", "hourly", "hourly=", "hourly=0", "hourly=201", "hourly=x",
        "hourly=24,", ",hourly=1", "hourly=1,hourly=2", "yearly=1", "hourly=24  daily=7",
        "hourly=-1", "hourly=00001" };
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
        assert_int_equal(retention_parse(slice_str(bad[i]), &retention), -EINVAL);
    assert_int_equal(retention_parse(slice_str("hourly=24,daily=7"), &retention), 0);
    assert_int_equal(retention.keep[RETAIN_HOURLY], 24);
    assert_int_equal(retention.keep[RETAIN_DAILY], 7);
    assert_int_equal(retention.keep[RETAIN_WEEKLY], 0);
    assert_int_equal(retention_parse(slice_str("monthly=200 weekly=1"), &retention), 0);
    assert_int_equal(retention.keep[RETAIN_MONTHLY], 200);
}

static void periods_begin_where_people_expect_them(void **state)
{
    (void)state;
    char name[RETENTION_NAME_SIZE];
    int64_t now = START + 2 * 24 * HOUR_S + 8 * HOUR_S + 1234; /* Thursday */
    retention_name(RETAIN_HOURLY, now, name);
    assert_string_equal(name, "hourly-2026-12-03T08:00Z");
    retention_name(RETAIN_DAILY, now, name);
    assert_string_equal(name, "daily-2026-12-03T00:00Z");
    retention_name(RETAIN_WEEKLY, now, name);
    assert_string_equal(name, "weekly-2026-11-30T00:00Z");
    retention_name(RETAIN_MONTHLY, now, name);
    assert_string_equal(name, "monthly-2026-12-01T00:00Z");
    assert_true(retention_is_own(RETAIN_MONTHLY, name));
    assert_false(retention_is_own(RETAIN_HOURLY, name));
    assert_false(retention_is_own(RETAIN_HOURLY, "hourly-mine"));
    assert_false(retention_is_own(RETAIN_HOURLY, "hourly-2026-12-03T08:00Zx"));
}

static void seventy_days_leave_what_the_schedule_says(void **state)
{
    (void)state;
    struct retention retention;
    struct fs_snapshot mine;
    assert_int_equal(
        retention_parse(slice_str("hourly=24,daily=7,weekly=4,monthly=2"), &retention), 0);
    assert_int_equal(fs_snapshot_create(f.fs, slice_str("hourly-mine"), &mine), 0);
    for (int64_t hour = 0; hour < 70 * 24; hour++) {
        assert_int_equal(retention_run(f.fs, &retention, START + hour * HOUR_S + 17), 0);
        if (hour % 5 == 0) /* nothing is due again */
            assert_int_equal(retention_run(f.fs, &retention, START + hour * HOUR_S + 1800), 0);
        assert_int_equal(count_of(RETAIN_HOURLY), min_u64(24, (uint64_t)hour + 1));
    }
    assert_int_equal(count_of(RETAIN_DAILY), 7);
    assert_int_equal(count_of(RETAIN_WEEKLY), 4);
    assert_int_equal(count_of(RETAIN_MONTHLY), 2);
    assert_true(has("hourly-mine"));
    assert_true(has("hourly-2027-02-08T23:00Z"));
    assert_true(has("hourly-2027-02-08T00:00Z"));
    assert_true(has("daily-2027-02-02T00:00Z"));
    assert_false(has("daily-2027-02-01T00:00Z"));
    assert_true(has("weekly-2027-02-08T00:00Z"));
    assert_true(has("monthly-2027-01-01T00:00Z"));
    assert_false(has("monthly-2026-12-01T00:00Z"));
}

static void fewer_are_kept_when_the_schedule_says_so(void **state)
{
    (void)state;
    struct retention retention = { .keep = { [RETAIN_HOURLY] = 10 } };
    for (int64_t hour = 0; hour < 20; hour++)
        assert_int_equal(retention_run(f.fs, &retention, START + hour * HOUR_S), 0);
    assert_int_equal(count_of(RETAIN_HOURLY), 10);
    retention.keep[RETAIN_HOURLY] = 3;
    assert_int_equal(retention_run(f.fs, &retention, START + 19 * HOUR_S), 0);
    assert_int_equal(count_of(RETAIN_HOURLY), 3);
    retention.keep[RETAIN_HOURLY] = 0; /* off: what there is stays */
    assert_int_equal(retention_run(f.fs, &retention, START + 30 * HOUR_S), 0);
    assert_int_equal(count_of(RETAIN_HOURLY), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_schedule_is_parsed_or_refused),
        cmocka_unit_test(periods_begin_where_people_expect_them),
        cmocka_unit_test_setup_teardown(seventy_days_leave_what_the_schedule_says, setup, teardown),
        cmocka_unit_test_setup_teardown(fewer_are_kept_when_the_schedule_says_so, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
