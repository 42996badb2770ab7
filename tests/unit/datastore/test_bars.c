/* The bars store of the files backend: its parts on disk, compactions, other writers, damage. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include <cmocka.h>

#include "datastore/files/bars.h"

#define MINUTE INT64_C(60000000000)
#define START  (INT64_C(1704067200) * 1000000000) /* 2024-01-01 */

struct place {
    char path[64];
    struct shoal_data *store;
    struct shoal_data_error error;
};

static struct shoal_data *open_store(struct place *place)
{
    struct shoal_data *store = NULL;
    const struct shoal_data_options options = { .struct_size = sizeof options, .create = 1 };
    assert_int_equal(shoal_data_open(place->path, &options, &store, &place->error), 0);
    return store;
}

static int setup(void **state)
{
    static struct place place;
    place = (struct place){ .path = "/tmp/shoal-bars-XXXXXX" };
    assert_non_null(mkdtemp(place.path));
    place.store = open_store(&place);
    *state = &place;
    return 0;
}

static int teardown(void **state)
{
    struct place *place = *state;
    shoal_data_close(place->store);
    return sys_remove_tree(AT_FDCWD, place->path);
}

/* `count` bars from minute `first` on, all of `value`. */
static int32_t append(
    struct shoal_data *store, const char *symbol, int64_t first, uint64_t count, double value)
{
    int64_t *times = calloc(count, sizeof *times);
    double *values = calloc(count, sizeof *values);
    assert_true(times != NULL && values != NULL);
    for (uint64_t i = 0; i < count; i++) {
        times[i] = START + (first + (int64_t)i) * MINUTE;
        values[i] = value;
    }
    const struct shoal_data_bars bars = { count, times, values, values, values, values, values };
    int32_t status = shoal_data_append_bars(store, symbol, "1m", &bars, NULL);
    free(times);
    free(values);
    return status;
}

static struct shoal_data_frame *load(struct place *place, struct shoal_data *store,
    const char *symbol, struct shoal_data_bars *out_bars)
{
    struct shoal_data_frame *frame = NULL;
    int32_t status =
        shoal_data_load_bars(store, symbol, "1m", INT64_MIN, INT64_MAX, 0, &frame, &place->error);
    if (status != SHOAL_DATA_OK)
        print_message("%s\n", place->error.message);
    assert_int_equal(status, SHOAL_DATA_OK);
    shoal_data_frame_bars(frame, out_bars);
    return frame;
}

static int open_partition(const struct place *place, const char *symbol, const char *period)
{
    char relative[BARS_PATH_SIZE];
    char path[BARS_PATH_SIZE + 80];
    bars_path(relative, symbol, "1m", period);
    (void)snprintf(path, sizeof path, "%s/%s", place->path, relative);
    int fd = sys_openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0);
    assert_true(fd >= 0);
    return fd;
}

static size_t count_parts(int dir_fd, bool *out_has_compacted)
{
    struct bars_parts parts;
    assert_int_equal(bars_parts_list(dir_fd, &parts), 0);
    size_t count = parts.count;
    *out_has_compacted = false;
    for (size_t i = 0; i < count; i++)
        *out_has_compacted |= parts.parts[i].is_compacted;
    bars_parts_fini(&parts);
    return count;
}

static void periods_begin_and_end_where_months_do(void **state)
{
    (void)state;
    static const char *const names[] = { "1677-09", "1900-02", "1969-12", "1970-01", "2000-02",
        "2024-02", "2262-04", "1677", "2262", "2024" };
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        struct bars_period period;
        assert_int_equal(bars_period_parse(names[i], &period), 0);
        enum bars_period_kind kind = strlen(names[i]) == 4 ? BARS_BY_YEAR : BARS_BY_MONTH;
        assert_string_equal(bars_period_of(kind, period.start_ns).name, names[i]);
        assert_string_equal(bars_period_of(kind, period.end_ns).name, names[i]);
        if (period.start_ns != INT64_MIN)
            assert_string_not_equal(bars_period_of(kind, period.start_ns - 1).name, names[i]);
        if (period.end_ns != INT64_MAX)
            assert_string_not_equal(bars_period_of(kind, period.end_ns + 1).name, names[i]);
    }
    static const char *const wrong[] = { "", "202", "2024-1", "2024-13", "2024-00", "2024-01-01",
        "20a4", "../.." };
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        struct bars_period period;
        assert_int_equal(bars_period_parse(wrong[i], &period), -EINVAL);
    }
    assert_int_equal(bars_period_kind("15m"), BARS_BY_MONTH);
    assert_int_equal(bars_period_kind("4h"), BARS_BY_YEAR);
    assert_int_equal(bars_period_kind("1d"), BARS_BY_YEAR);
}

static void symbols_stay_inside_of_their_directory(void **state)
{
    struct place *place = *state;
    static const char *const symbols[] = { "BRK.B", "BTC/USD", "A=B", "日経225", "__HIVE_DEFAULT",
        "a b", "%2F", "CON:", "x'y" };
    for (size_t i = 0; i < ARRAY_SIZE(symbols); i++)
        assert_int_equal(append(place->store, symbols[i], 0, 3, (double)i), SHOAL_DATA_OK);
    struct shoal_data_list *list = NULL;
    assert_int_equal(shoal_data_list_series(place->store, "1m", &list, NULL), 0);
    assert_int_equal(shoal_data_list_count(list), ARRAY_SIZE(symbols));
    shoal_data_list_free(list);
    for (size_t i = 0; i < ARRAY_SIZE(symbols); i++) {
        struct shoal_data_bars bars;
        struct shoal_data_frame *frame = load(place, place->store, symbols[i], &bars);
        assert_int_equal(bars.count, 3);
        assert_true(bars.open[2] == (double)i);
        shoal_data_frame_free(frame);
    }
    assert_int_equal(append(place->store, "../../etc", 0, 1, 1), SHOAL_DATA_INVALID);
    assert_int_equal(append(place->store, "a/../b", 0, 1, 1), SHOAL_DATA_INVALID);
}

static void corrections_count_whatever_was_compacted_between(void **state)
{
    struct place *place = *state;
    for (int round = 0; round < 6; round++) {
        assert_int_equal(append(place->store, "A", 0, 1000, round), SHOAL_DATA_OK);
        assert_int_equal(append(place->store, "A", 500 - round, 10, 100 + round), SHOAL_DATA_OK);
        if (round % 2 == 1)
            assert_int_equal(
                shoal_data_compact_bars(place->store, "A", "1m", NULL, NULL), SHOAL_DATA_OK);
        struct shoal_data_bars bars;
        struct shoal_data_frame *frame = load(place, place->store, "A", &bars);
        assert_int_equal(bars.count, 1000);
        for (int i = 0; i < 1000; i++) {
            bool is_late = i >= 500 - round && i < 510 - round;
            assert_true(bars.close[i] == (is_late ? 100 + round : round));
            assert_true(bars.timestamp_ns[i] == START + i * MINUTE);
        }
        shoal_data_frame_free(frame);
    }
    bool has_compacted;
    int fd = open_partition(place, "A", "2024-01");
    assert_int_equal(count_parts(fd, &has_compacted), 1);
    assert_true(has_compacted);
    (void)close(fd);
}

/* A part whose sequence was chosen before a compaction, and which arrives behind it, moves: it must win. */
static void a_part_that_arrives_during_a_compaction_moves_behind_it(void **state)
{
    struct place *place = *state;
    assert_int_equal(append(place->store, "A", 0, 10, 1), SHOAL_DATA_OK);
    int fd = open_partition(place, "A", "2024-01");
    char name[BARS_PART_SIZE];
    char intent[BARS_PART_SIZE + 16];
    uint64_t far = UINT64_C(0x7000000000000000); /* of a host whose clock is ahead */
    bars_part_name(name, far, true);
    (void)snprintf(intent, sizeof intent, ".%s.compacting", name);
    int intent_fd = sys_openat(fd, intent, O_CREAT | O_WRONLY, 0644);
    assert_true(intent_fd >= 0);
    (void)close(intent_fd);
    assert_int_equal(append(place->store, "A", 5, 1, 2), SHOAL_DATA_OK);
    struct bars_parts parts;
    assert_int_equal(bars_parts_list(fd, &parts), 0);
    assert_int_equal(parts.count, 2);
    assert_true(parts.parts[1].sequence > far);
    bars_parts_fini(&parts);
    /* Another compaction leaves the living one alone; nothing is lost. */
    assert_int_equal(shoal_data_compact_bars(place->store, "A", "1m", NULL, NULL), SHOAL_DATA_OK);
    bool has_compacted;
    assert_int_equal(count_parts(fd, &has_compacted), 2);
    /* One that is old is of the dead: it goes, and the parts are put together. */
    const struct timespec old[2] = { { .tv_sec = 1000 }, { .tv_sec = 1000 } };
    assert_int_equal(utimensat(fd, intent, old, 0), 0);
    assert_int_equal(shoal_data_compact_bars(place->store, "A", "1m", NULL, NULL), SHOAL_DATA_OK);
    assert_int_equal(count_parts(fd, &has_compacted), 1);
    assert_int_equal(faccessat(fd, intent, F_OK, 0), -1);
    (void)close(fd);
    struct shoal_data_bars bars;
    struct shoal_data_frame *frame = load(place, place->store, "A", &bars);
    assert_true(bars.count == 10 && bars.open[5] == 2 && bars.open[6] == 1);
    shoal_data_frame_free(frame);
}

static void many_small_parts_are_compacted_in_the_background(void **state)
{
    struct place *place = *state;
    for (int i = 0; i < 64; i++)
        assert_int_equal(append(place->store, "A", i, 1, i), SHOAL_DATA_OK);
    shoal_data_close(place->store); /* waits for a compaction that has begun */
    place->store = open_store(place);
    bool has_compacted;
    int fd = open_partition(place, "A", "2024-01");
    assert_true(count_parts(fd, &has_compacted) < 64);
    assert_true(has_compacted);
    (void)close(fd);
    struct shoal_data_bars bars;
    struct shoal_data_frame *frame = load(place, place->store, "A", &bars);
    assert_int_equal(bars.count, 64);
    for (int i = 0; i < 64; i++)
        assert_true(bars.volume[i] == i);
    shoal_data_frame_free(frame);
}

static void a_damaged_part_is_named_and_the_others_load(void **state)
{
    struct place *place = *state;
    assert_int_equal(append(place->store, "A", 0, 2000, 1), SHOAL_DATA_OK);
    assert_int_equal(append(place->store, "A", 5000, 3, 2), SHOAL_DATA_OK);
    assert_int_equal(append(place->store, "A", 60 * 24 * 40, 3, 3), SHOAL_DATA_OK);
    int fd = open_partition(place, "A", "2024-01");
    struct bars_parts parts;
    assert_int_equal(bars_parts_list(fd, &parts), 0);
    int part = sys_openat(fd, parts.parts[0].name, O_RDWR, 0);
    uint8_t byte = 0;
    assert_true(part >= 0 && sys_pread_all(part, &byte, 1, 120) == 0);
    byte ^= 0x40;
    assert_int_equal(sys_pwrite_all(part, &byte, 1, 120), 0);
    (void)close(part);
    struct shoal_data_frame *frame = NULL;
    assert_int_equal(shoal_data_load_bars(
                         place->store, "A", "1m", INT64_MIN, INT64_MAX, 0, &frame, &place->error),
        SHOAL_DATA_DAMAGED);
    assert_non_null(frame);
    struct shoal_data_bars bars;
    shoal_data_frame_bars(frame, &bars);
    assert_int_equal(bars.count, 6);
    assert_int_equal(shoal_data_frame_problem_count(frame), 1);
    assert_non_null(strstr(shoal_data_frame_problem(frame, 0), parts.parts[0].name));
    assert_non_null(strstr(shoal_data_frame_problem(frame, 0), "page 0"));
    shoal_data_frame_free(frame);
    /* A compaction does not put the damage away, and does what else is to do. */
    for (int i = 0; i < 3; i++)
        assert_int_equal(append(place->store, "B", i, 1, i), SHOAL_DATA_OK);
    assert_int_equal(
        shoal_data_compact_bars(place->store, NULL, NULL, NULL, &place->error), SHOAL_DATA_DAMAGED);
    bool has_compacted;
    assert_int_equal(count_parts(fd, &has_compacted), 2);
    assert_false(has_compacted);
    int other = open_partition(place, "B", "2024-01");
    assert_int_equal(count_parts(other, &has_compacted), 1);
    (void)close(other);
    bars_parts_fini(&parts);
    (void)close(fd);
}

/* One process appends ascending values to the same bars, another compacts, this one reads: what it sees never goes
 * back and is never torn, and nothing acknowledged is missing at the end. */
static void readers_see_whole_appends_while_others_compact(void **state)
{
    struct place *place = *state;
    enum { ROUNDS = 60, BARS = 50 };
    shoal_data_close(place->store);
    pid_t children[2];
    for (int child = 0; child < 2; child++) {
        children[child] = fork();
        if (children[child] != 0)
            continue;
        struct shoal_data *store = NULL;
        int32_t status = shoal_data_open(place->path, NULL, &store, NULL);
        for (int i = 1; i <= ROUNDS && status == SHOAL_DATA_OK; i++)
            status = child == 0 ? append(store, "A", 0, BARS, i)
                                : shoal_data_compact_bars(store, NULL, NULL, NULL, NULL);
        shoal_data_close(store);
        _exit(status);
    }
    place->store = open_store(place);
    double last = 0;
    unsigned loads = 0;
    for (int left = 2; left > 0;) {
        struct shoal_data_bars bars;
        struct shoal_data_frame *frame = load(place, place->store, "A", &bars);
        assert_true(bars.count == BARS || (bars.count == 0 && last == 0));
        for (uint64_t i = 0; i < bars.count; i++)
            assert_true(bars.open[i] == bars.open[0]);
        assert_true(bars.count == 0 || bars.open[0] >= last);
        last = bars.count == 0 ? 0 : bars.open[0];
        shoal_data_frame_free(frame);
        loads++;
        int status;
        if (waitpid(-1, &status, WNOHANG) > 0) {
            assert_int_equal(status, 0);
            left--;
        }
    }
    struct shoal_data_bars bars;
    struct shoal_data_frame *frame = load(place, place->store, "A", &bars);
    assert_true(bars.count == BARS && bars.close[0] == ROUNDS);
    shoal_data_frame_free(frame);
    assert_true(loads > 2);
}

/* Appends values that ascend from `value` on, telling each when it was acknowledged, and compacts now and then. */
static void append_until_killed(const char *path, int pipe_fd, double value)
{
    struct shoal_data *store = NULL;
    if (shoal_data_open(path, NULL, &store, NULL) != SHOAL_DATA_OK)
        _exit(1);
    for (int i = 0;; i++, value++) {
        if (append(store, "A", 0, 20, value) != SHOAL_DATA_OK ||
            write(pipe_fd, &value, sizeof value) != sizeof value)
            _exit(1);
        if (i % 3 == 2 && shoal_data_compact_bars(store, NULL, NULL, NULL, NULL) != SHOAL_DATA_OK)
            _exit(1);
    }
}

/* Kills a writer at a moment of its own choice, again and again: what was acknowledged is there, whole. */
static void writers_are_killed_at_any_moment(void **state)
{
    struct place *place = *state;
    double acknowledged = 0;
    unsigned random = 1;
    for (int round = 0; round < 100; round++) {
        int ends[2];
        assert_int_equal(pipe(ends), 0);
        pid_t child = fork();
        if (child == 0)
            append_until_killed(place->path, ends[1], acknowledged + 1);
        (void)close(ends[1]);
        random = random * 1103515245u + 12345u;
        const struct timespec wait = { .tv_nsec = (random >> 8) % 9000000 };
        (void)nanosleep(&wait, NULL);
        assert_int_equal(kill(child, SIGKILL), 0);
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status));
        double value;
        while (read(ends[0], &value, sizeof value) == sizeof value)
            acknowledged = value;
        (void)close(ends[0]);
        struct shoal_data_bars bars;
        struct shoal_data_frame *frame = load(place, place->store, "A", &bars);
        assert_true(bars.count == 20 || (bars.count == 0 && acknowledged == 0));
        for (uint64_t i = 0; i < bars.count; i++) {
            assert_true(bars.open[i] == bars.open[0] && bars.volume[i] == bars.open[0]);
            assert_true(bars.open[0] == acknowledged || bars.open[0] == acknowledged + 1);
        }
        if (bars.count > 0)
            acknowledged = bars.open[0]; /* there, although nobody was told */
        shoal_data_frame_free(frame);
    }
    assert_true(acknowledged > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(periods_begin_and_end_where_months_do),
        cmocka_unit_test_setup_teardown(symbols_stay_inside_of_their_directory, setup, teardown),
        cmocka_unit_test_setup_teardown(
            corrections_count_whatever_was_compacted_between, setup, teardown),
        cmocka_unit_test_setup_teardown(
            a_part_that_arrives_during_a_compaction_moves_behind_it, setup, teardown),
        cmocka_unit_test_setup_teardown(
            many_small_parts_are_compacted_in_the_background, setup, teardown),
        cmocka_unit_test_setup_teardown(
            a_damaged_part_is_named_and_the_others_load, setup, teardown),
        cmocka_unit_test_setup_teardown(
            readers_see_whole_appends_while_others_compact, setup, teardown),
        cmocka_unit_test_setup_teardown(writers_are_killed_at_any_moment, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
