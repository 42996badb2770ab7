/* The contract of shoal_data.h: bars. */
#include "contract.h"

#include <math.h>

#define SECOND INT64_C(1000000000)

static int32_t append(struct contract *contract, const char *symbol, const int64_t *times,
    const double *values, uint64_t count)
{
    struct shoal_data_bars bars = { .count = count,
        .timestamp_ns = times,
        .open = values,
        .high = values,
        .low = values,
        .close = values,
        .volume = values };
    return shoal_data_append_bars(contract->store, symbol, "1m", &bars, &contract->error);
}

static struct shoal_data_frame *load(struct contract *contract, const char *symbol, int64_t from,
    int64_t to, uint32_t columns, struct shoal_data_bars *out_bars)
{
    struct shoal_data_frame *frame = NULL;
    assert_status(contract, SHOAL_DATA_OK,
        shoal_data_load_bars(
            contract->store, symbol, "1m", from, to, columns, &frame, &contract->error));
    shoal_data_frame_bars(frame, out_bars);
    return frame;
}

static void bars_come_back_sorted_and_corrected(void **state)
{
    struct contract *contract = *state;
    const int64_t times[] = { 30 * SECOND, 10 * SECOND, 20 * SECOND, 10 * SECOND };
    const double values[] = { 3, 1, 2, 1.5 };
    assert_status(contract, SHOAL_DATA_OK, append(contract, "BTC/USD", times, values, 4));
    const int64_t late[] = { 20 * SECOND, 5 * SECOND };
    const double corrected[] = { 2.5, NAN };
    assert_status(contract, SHOAL_DATA_OK, append(contract, "BTC/USD", late, corrected, 2));
    struct shoal_data_bars bars;
    struct shoal_data_frame *frame = load(contract, "BTC/USD", INT64_MIN, INT64_MAX, 0, &bars);
    assert_int_equal(bars.count, 4);
    assert_true(isnan(bars.close[0]));
    const double expected[] = { 0, 1.5, 2.5, 3 };
    for (int i = 1; i < 4; i++) {
        assert_true(bars.timestamp_ns[i] == i * 10 * SECOND);
        assert_true(bars.open[i] == expected[i] && bars.volume[i] == expected[i]);
    }
    shoal_data_frame_free(frame);
    frame = load(contract, "BTC/USD", 10 * SECOND, 30 * SECOND, SHOAL_DATA_CLOSE, &bars);
    assert_int_equal(bars.count, 2); /* half open */
    assert_null(bars.open);
    assert_true(bars.close[1] == 2.5);
    shoal_data_frame_free(frame);
    frame = load(contract, "NOBODY", INT64_MIN, INT64_MAX, 0, &bars);
    assert_int_equal(bars.count, 0);
    shoal_data_frame_free(frame);
}

static void the_whole_range_of_time_works(void **state)
{
    struct contract *contract = *state;
    const int64_t times[] = { INT64_MIN, -1, 0, INT64_MAX };
    const double values[] = { 1, 2, 3, 4 };
    assert_status(contract, SHOAL_DATA_OK, append(contract, "OLD", times, values, 4));
    struct shoal_data_bars bars;
    struct shoal_data_frame *frame = load(contract, "OLD", INT64_MIN, INT64_MAX, 0, &bars);
    assert_int_equal(bars.count, 4);
    assert_true(bars.timestamp_ns[0] == INT64_MIN && bars.timestamp_ns[3] == INT64_MAX);
    shoal_data_frame_free(frame);
}

static void bad_bars_are_refused(void **state)
{
    struct contract *contract = *state;
    const int64_t times[] = { 1 };
    struct shoal_data_bars bars = { .count = 1, .timestamp_ns = times };
    assert_status(contract, SHOAL_DATA_SCHEMA_MISMATCH,
        shoal_data_append_bars(contract->store, "A", "1m", &bars, &contract->error));
    assert_non_null(strstr(contract->error.message, "open"));
    bars.count = 0;
    assert_status(contract, SHOAL_DATA_OK,
        shoal_data_append_bars(contract->store, "A", "1m", &bars, &contract->error));
    assert_status(contract, SHOAL_DATA_INVALID,
        shoal_data_append_bars(contract->store, "../A", "1m", &bars, &contract->error));
    struct shoal_data_frame *frame;
    assert_status(contract, SHOAL_DATA_INVALID,
        shoal_data_load_bars(contract->store, "A", "1m", 5, 4, 0, &frame, &contract->error));
    assert_status(contract, SHOAL_DATA_SCHEMA_MISMATCH,
        shoal_data_load_bars(contract->store, "A", "1m", 4, 5, 64, &frame, &contract->error));
}

static void many_series_at_once(void **state)
{
    struct contract *contract = *state;
    static const char *const symbols[] = { "A", "BRK.B", "日経225", "NONE" };
    const int64_t times[] = { SECOND, 2 * SECOND };
    const double values[] = { 1, 2 };
    struct shoal_data_bars bars = { 2, times, values, values, values, values, values };
    struct shoal_data_series series[3] = { { "A", "1m", bars }, { "BRK.B", "1m", bars },
        { "日経225", "1m", bars } };
    uint64_t appended = 0;
    assert_status(contract, SHOAL_DATA_OK,
        shoal_data_append_bars_many(contract->store, series, 3, &appended, &contract->error));
    assert_int_equal(appended, 3);
    struct shoal_data_frame *frames[4];
    assert_status(contract, SHOAL_DATA_OK,
        shoal_data_load_bars_many(
            contract->store, symbols, 4, "1m", INT64_MIN, INT64_MAX, 0, frames, &contract->error));
    for (int i = 0; i < 4; i++) {
        struct shoal_data_bars loaded;
        shoal_data_frame_bars(frames[i], &loaded);
        assert_int_equal(loaded.count, i < 3 ? 2 : 0);
        shoal_data_frame_free(frames[i]);
    }
    struct shoal_data_list *list = NULL;
    assert_status(contract, SHOAL_DATA_OK,
        shoal_data_list_series(contract->store, NULL, &list, &contract->error));
    assert_int_equal(shoal_data_list_count(list), 3);
    assert_string_equal(shoal_data_list_item(list, 1)->symbol, "BRK.B");
    assert_string_equal(shoal_data_list_item(list, 2)->timeframe, "1m");
    shoal_data_list_free(list);
}

static void compaction_changes_no_bar(void **state)
{
    struct contract *contract = *state;
    for (int64_t i = 0; i < 10; i++) {
        const int64_t times[] = { (i % 5) * SECOND };
        const double values[] = { (double)i };
        assert_status(contract, SHOAL_DATA_OK, append(contract, "A", times, values, 1));
    }
    struct shoal_data_compaction report;
    assert_status(contract, SHOAL_DATA_OK,
        shoal_data_compact_bars(contract->store, NULL, NULL, &report, &contract->error));
    struct shoal_data_bars bars;
    struct shoal_data_frame *frame = load(contract, "A", INT64_MIN, INT64_MAX, 0, &bars);
    assert_int_equal(bars.count, 5);
    for (int i = 0; i < 5; i++)
        assert_true(bars.close[i] == i + 5);
    shoal_data_frame_free(frame);
}

int contract_bars(void)
{
    const struct CMUnitTest tests[] = {
        CONTRACT_TEST(bars_come_back_sorted_and_corrected),
        CONTRACT_TEST(the_whole_range_of_time_works),
        CONTRACT_TEST(bad_bars_are_refused),
        CONTRACT_TEST(many_series_at_once),
        CONTRACT_TEST(compaction_changes_no_bar),
    };
    return cmocka_run_group_tests_name("bars", tests, NULL, NULL);
}
