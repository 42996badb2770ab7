/*
 * tests/fuzz/fuzz_parquet.c - any bytes as a Parquet file: it is refused or read, whole and by a range, within the
 * limits of memory. The last byte of the input says where the range is.
 */
#include <stdlib.h>
#include <sys/mman.h>

#include "base/sys.h"
#include "parquet/parquet.h"

static void scan_all(
    const struct parquet_reader *reader, const struct parquet_scan_options *options)
{
    struct parquet_scan *scan = NULL;
    struct parquet_batch batch;
    if (parquet_scan_open(reader, options, &scan, NULL) < 0)
        return;
    uint64_t row_count = 0;
    uint64_t sum = 0;
    while (row_count < 1000000 && parquet_scan_next(scan, &batch, NULL) > 0) {
        row_count += batch.row_count;
        for (uint32_t i = 0; i < options->column_count; i++) { /* what is given out can be read */
            const struct parquet_column *column =
                parquet_reader_column(reader, options->columns[i]);
            const uint8_t *bytes = batch.columns[i].values;
            if (column->type == PARQUET_BYTE_ARRAY) {
                const struct slice *last =
                    (const struct slice *)batch.columns[i].values + batch.row_count - 1;
                sum += last->size > 0 ? last->data[last->size - 1] : 0;
            } else {
                sum += bytes[0];
            }
        }
    }
    static volatile uint64_t sink;
    sink = sum;
    (void)sink;
    parquet_scan_free(scan);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int fd = -1;
    if (fd < 0)
        fd = memfd_create("fuzz", MFD_CLOEXEC);
    if (size < 1 || ftruncate(fd, 0) < 0 || sys_pwrite_all(fd, data, size - 1, 0) < 0)
        return 0;
    struct parquet_reader_options limits = {
        .footer_bytes_max = 1 << 20, .page_bytes_max = 1 << 22, .page_rows_max = 1 << 18
    };
    struct parquet_reader *reader = NULL;
    if (parquet_reader_open(fd, "fuzz", &limits, &reader, NULL) < 0)
        return 0;
    for (uint32_t i = 0; i < parquet_reader_column_count(reader) && i < 8; i++) {
        int64_t middle = (int64_t)data[size - 1] * 100;
        struct parquet_scan_options options = { .columns = &i, .column_count = 1 };
        scan_all(reader, &options);
        options.has_range = true;
        options.range_column = i;
        options.range_min = middle;
        options.range_max = middle + 200;
        scan_all(reader, &options);
    }
    parquet_reader_free(reader);
    return 0;
}
