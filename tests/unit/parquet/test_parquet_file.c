/* Files that src/parquet writes and reads itself: limits, errors of the disk, ranges. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "base/sys.h"
#include "parquet/parquet.h"

#define ROW_COUNT 5000u

static int memory_file(void)
{
    int fd = memfd_create("parquet", MFD_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

/* ROW_COUNT rows: t = 2 * row, value = row / 2. */
static int write_rows(int fd, const struct parquet_writer_options *options)
{
    static int64_t times[ROW_COUNT];
    static double values[ROW_COUNT];
    for (uint32_t i = 0; i < ROW_COUNT; i++) {
        times[i] = 2 * (int64_t)i;
        values[i] = i / 2.0;
    }
    const struct parquet_column columns[] = {
        { .name = "t", .type = PARQUET_INT64, .logical = PARQUET_TIMESTAMP_NS },
        { .name = "value", .type = PARQUET_DOUBLE },
    };
    const struct parquet_values rows[] = { { .values = times }, { .values = values } };
    struct parquet_writer *writer = NULL;
    struct parquet_error error = { 0 };
    int err = parquet_writer_open(fd, columns, 2, options, &writer, &error);
    if (err == 0)
        err = parquet_writer_append(writer, rows, ROW_COUNT, &error);
    if (err == 0)
        err = parquet_writer_finish(writer, &error);
    if (err < 0)
        assert_int_equal(error.code, err);
    parquet_writer_free(writer);
    return err;
}

static void every_range_gives_all_its_rows_and_little_else(void **state)
{
    (void)state;
    int fd = memory_file();
    struct parquet_writer_options options = {
        .codec = PARQUET_ZSTD, .row_group_rows = 1000, .page_rows = 64
    };
    assert_int_equal(write_rows(fd, &options), 0);
    struct parquet_reader *reader = NULL;
    assert_int_equal(parquet_reader_open(fd, "memory", NULL, &reader, NULL), 0);
    assert_int_equal(parquet_reader_row_count(reader), ROW_COUNT);
    assert_int_equal(parquet_reader_row_group_count(reader), 5);
    for (int64_t from = -10; from < 2 * (int64_t)ROW_COUNT + 10; from += 97) {
        const uint32_t columns[] = { 1, 0 };
        struct parquet_scan_options range = { .columns = columns,
            .column_count = 2,
            .has_range = true,
            .range_column = 0,
            .range_min = from,
            .range_max = from + 300 };
        struct parquet_scan *scan = NULL;
        struct parquet_batch batch;
        assert_int_equal(parquet_scan_open(reader, &range, &scan, NULL), 0);
        uint64_t inside = 0;
        uint64_t total = 0;
        while (parquet_scan_next(scan, &batch, NULL) > 0) {
            const double *values = batch.columns[0].values;
            const int64_t *times = batch.columns[1].values;
            for (uint32_t i = 0; i < batch.row_count; i++) {
                assert_true(times[i] == 2 * (int64_t)(batch.row + i));
                assert_true(values[i] == (double)(batch.row + i) / 2);
                inside += times[i] >= from && times[i] <= from + 300;
            }
            total += batch.row_count;
        }
        parquet_scan_free(scan);
        uint64_t expected = 0;
        for (int64_t t = 0; t < 2 * (int64_t)ROW_COUNT; t += 2)
            expected += t >= from && t <= from + 300;
        assert_int_equal(inside, expected);
        assert_true(total <= expected + 3 * 64); /* pages at both ends */
    }
    parquet_reader_free(reader);
    close(fd);
}

static void limits_of_the_reader_hold(void **state)
{
    (void)state;
    int fd = memory_file();
    assert_int_equal(write_rows(fd, NULL), 0);
    struct parquet_error error;
    struct parquet_reader *reader = NULL;
    struct parquet_reader_options options = { .footer_bytes_max = 100 };
    assert_int_equal(parquet_reader_open(fd, "f", &options, &reader, &error), -E2BIG);
    assert_null(reader);
    const struct parquet_reader_options small_pages[] = {
        { .page_bytes_max = 100 },
        { .page_rows_max = 100 },
    };
    for (size_t i = 0; i < ARRAY_SIZE(small_pages); i++) {
        assert_int_equal(parquet_reader_open(fd, "f", &small_pages[i], &reader, &error), 0);
        struct parquet_scan *scan = NULL;
        struct parquet_batch batch;
        assert_int_equal(parquet_scan_open(reader, NULL, &scan, &error), 0);
        assert_int_equal(parquet_scan_next(scan, &batch, &error), -E2BIG);
        assert_int_equal(error.column, 0);
        assert_int_equal(parquet_scan_next(scan, &batch, &error), -EINVAL);
        parquet_scan_free(scan);
        parquet_reader_free(reader);
    }
    close(fd);
}

static void mistakes_of_the_caller_are_told(void **state)
{
    (void)state;
    int fd = memory_file();
    struct parquet_error error;
    struct parquet_writer *writer = NULL;
    struct parquet_column column = { .name = "", .type = PARQUET_INT64 };
    assert_int_equal(parquet_writer_open(fd, &column, 1, NULL, &writer, &error), -EINVAL);
    assert_int_equal(parquet_writer_open(fd, &column, 0, NULL, &writer, &error), -EINVAL);
    column = (struct parquet_column){
        .name = "t", .type = PARQUET_DOUBLE, .logical = PARQUET_TIMESTAMP_NS
    };
    assert_int_equal(parquet_writer_open(fd, &column, 1, NULL, &writer, &error), -EINVAL);
    column.logical = PARQUET_PLAIN_VALUE;
    assert_int_equal(parquet_writer_open(fd, &column, 1, NULL, &writer, &error), 0);
    const double values[] = { 1, 2 };
    const uint8_t valid[] = { 1, 0 };
    const struct parquet_values rows = { .values = values, .valid = valid };
    assert_int_equal(parquet_writer_append(writer, &rows, 2, &error), -EINVAL);
    assert_non_null(strstr(error.message, "'t'"));
    parquet_writer_free(writer);
    close(fd);
}

static void a_full_disk_is_told(void **state)
{
    (void)state;
    int fd = sys_openat(AT_FDCWD, "/dev/full", O_WRONLY, 0);
    assert_true(fd >= 0);
    assert_int_equal(write_rows(fd, NULL), -ENOSPC);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_range_gives_all_its_rows_and_little_else),
        cmocka_unit_test(limits_of_the_reader_hold),
        cmocka_unit_test(mistakes_of_the_caller_are_told),
        cmocka_unit_test(a_full_disk_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
