/* What the load generator's figures and its verification rest on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "bench.h"
#include "pattern.h"

static void quantiles_are_within_three_percent(void **state)
{
    (void)state;
    static struct histogram histogram;
    for (uint64_t value = 1; value <= 100000; value++)
        histogram_add(&histogram, value * 10);
    assert_int_equal(histogram.count, 100000);
    assert_int_equal(histogram.max, 1000000);
    assert_in_range(histogram_quantile(&histogram, 0.5), 500000 - 16000, 500000 + 16000);
    assert_in_range(histogram_quantile(&histogram, 0.99), 990000 - 31000, 990000 + 31000);
    assert_int_equal(histogram_quantile(&histogram, 1), 1000000);
}

static void every_value_has_a_bucket_and_greater_ones_no_lesser(void **state)
{
    (void)state;
    size_t last = 0;
    for (uint64_t value = 0; value < UINT64_MAX / 2; value += 1 + value / 100) {
        size_t bucket = histogram_bucket(value);
        assert_in_range(bucket, last, HISTOGRAM_BUCKETS - 1);
        last = bucket;
    }
}

static void merged_histograms_count_all(void **state)
{
    (void)state;
    static struct histogram one;
    static struct histogram other;
    histogram_add(&one, 5);
    histogram_add(&other, 7);
    histogram_add(&other, 9);
    histogram_merge(&one, &other);
    assert_int_equal(one.count, 3);
    assert_int_equal(one.max, 9);
    assert_int_equal(histogram_quantile(&one, 0.5), 7);
}

static void a_block_matches_only_its_own_place_and_time(void **state)
{
    (void)state;
    uint8_t block[BLOCK_BYTES];
    pattern_fill(block, 3, 17, 1);
    assert_true(pattern_matches(block, 3, 17, 1));
    assert_false(pattern_matches(block, 4, 17, 1));
    assert_false(pattern_matches(block, 3, 18, 1));
    assert_false(pattern_matches(block, 3, 17, 2));
    for (size_t i = 0; i < BLOCK_BYTES; i += 511) {
        block[i] ^= 1;
        assert_false(pattern_matches(block, 3, 17, 1));
        block[i] ^= 1;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quantiles_are_within_three_percent),
        cmocka_unit_test(every_value_has_a_bucket_and_greater_ones_no_lesser),
        cmocka_unit_test(merged_histograms_count_all),
        cmocka_unit_test(a_block_matches_only_its_own_place_and_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
