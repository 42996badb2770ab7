/*
 * tests/data/bars_tool.c - bars in and out of a directory with libshoal-data, for the tests beside it.
 *
 *   bars_tool append DIRECTORY SYMBOL TIMEFRAME < rows      a row: timestamp (int64), open, high, low, close, volume
 *   bars_tool load DIRECTORY SYMBOL TIMEFRAME FROM TO       prints rows; problems go to stderr, a line each
 *   bars_tool compact DIRECTORY
 *   bars_tool series DIRECTORY                              prints "SYMBOL TIMEFRAME" lines
 *
 * The exit status is the store's (enum shoal_data_status), with its sentence on stderr.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "datastore/shoal_data.h"

struct row {
    int64_t timestamp_ns;
    double values[5];
};

static struct shoal_data_error error;

static int32_t append(struct shoal_data *store, char **arguments)
{
    size_t room = 1024;
    size_t count = 0;
    struct row *rows = malloc(room * sizeof *rows);
    while (rows != NULL && fread(&rows[count], sizeof *rows, 1, stdin) == 1) {
        if (++count == room)
            rows = reallocarray(rows, room *= 2, sizeof *rows);
    }
    int64_t *times = calloc(count + 1, sizeof *times);
    double *columns[5];
    for (int c = 0; c < 5; c++) {
        columns[c] = calloc(count + 1, sizeof **columns);
        for (size_t i = 0; i < count; i++)
            columns[c][i] = rows[i].values[c];
    }
    for (size_t i = 0; i < count; i++)
        times[i] = rows[i].timestamp_ns;
    const struct shoal_data_bars bars = { count, times, columns[0], columns[1], columns[2],
        columns[3], columns[4] };
    int32_t status = shoal_data_append_bars(store, arguments[0], arguments[1], &bars, &error);
    for (int c = 0; c < 5; c++)
        free(columns[c]);
    free(times);
    free(rows);
    return status;
}

static int32_t load(struct shoal_data *store, char **arguments)
{
    struct shoal_data_frame *frame = NULL;
    int32_t status = shoal_data_load_bars(store, arguments[0], arguments[1],
        strtoll(arguments[2], NULL, 10), strtoll(arguments[3], NULL, 10), 0, &frame, &error);
    if (frame == NULL)
        return status;
    struct shoal_data_bars bars;
    shoal_data_frame_bars(frame, &bars);
    for (uint64_t i = 0; i < bars.count; i++) {
        const struct row row = { bars.timestamp_ns[i],
            { bars.open[i], bars.high[i], bars.low[i], bars.close[i], bars.volume[i] } };
        (void)fwrite(&row, sizeof row, 1, stdout);
    }
    for (uint64_t i = 0; i < shoal_data_frame_problem_count(frame); i++)
        fprintf(stderr, "%s\n", shoal_data_frame_problem(frame, i));
    shoal_data_frame_free(frame);
    return status;
}

static int32_t series(struct shoal_data *store)
{
    struct shoal_data_list *list = NULL;
    int32_t status = shoal_data_list_series(store, NULL, &list, &error);
    for (uint64_t i = 0; list != NULL && i < shoal_data_list_count(list); i++)
        printf("%s %s\n", shoal_data_list_item(list, i)->symbol,
            shoal_data_list_item(list, i)->timeframe);
    shoal_data_list_free(list);
    return status;
}

int main(int argc, char **argv)
{
    const struct shoal_data_options options = { .struct_size = sizeof options, .create = 1 };
    struct shoal_data *store = NULL;
    if (argc < 3)
        return 100;
    int32_t status = shoal_data_open(argv[2], &options, &store, &error);
    if (status == SHOAL_DATA_OK && argc == 5 && strcmp(argv[1], "append") == 0)
        status = append(store, argv + 3);
    else if (status == SHOAL_DATA_OK && argc == 7 && strcmp(argv[1], "load") == 0)
        status = load(store, argv + 3);
    else if (status == SHOAL_DATA_OK && strcmp(argv[1], "compact") == 0)
        status = shoal_data_compact_bars(store, NULL, NULL, NULL, &error);
    else if (status == SHOAL_DATA_OK && strcmp(argv[1], "series") == 0)
        status = series(store);
    else if (status == SHOAL_DATA_OK)
        status = 100;
    shoal_data_close(store);
    if (status != SHOAL_DATA_OK)
        fprintf(stderr, "%s\n", error.message);
    return status;
}
