/*
 * cli/data/data_bars.c - shoal data put bars, get bars: CSV with the headings timestamp_ns,open,high,low,close,volume
 * (room: cli). With the heading `timestamp` in place of `timestamp_ns` times are seconds or ISO 8601.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "cli/data/data.h"
#include "cli/files/format.h"

#define COLUMNS  6
#define NS_PER_S INT64_C(1000000000)

struct table {
    int64_t *timestamps;
    double *columns[5];
    size_t count;
};

static void table_fini(struct table *table)
{
    free(table->timestamps);
    for (size_t i = 0; i < 5; i++)
        free(table->columns[i]);
}

static int table_init(struct table *table, size_t rows)
{
    table->timestamps = calloc(rows + 1, sizeof *table->timestamps);
    bool has_all = table->timestamps != NULL;
    for (size_t i = 0; i < 5; i++) {
        table->columns[i] = calloc(rows + 1, sizeof *table->columns[i]);
        has_all = has_all && table->columns[i] != NULL;
    }
    return has_all ? CLI_OK : cli_fail("There is no memory left.");
}

static bool parse_timestamp(const char *text, bool is_ns, int64_t *out_ns)
{
    char *end;
    int64_t seconds;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (errno == 0 && end != text && *end == '\0') {
        *out_ns = value;
        return is_ns || !__builtin_mul_overflow(value, NS_PER_S, out_ns);
    }
    return !is_ns && strchr(text, '-') != NULL &&
           data_time("timestamp", text, &seconds) == CLI_OK &&
           !__builtin_mul_overflow(seconds, NS_PER_S, out_ns);
}

/* Reads one line, in place, as the row number table->count. */
static bool parse_row(char *line, bool is_ns, struct table *table)
{
    char *rest = line;
    for (int i = 0; i < COLUMNS; i++) {
        char *end;
        char *word = strsep(&rest, ",");
        if (word == NULL || *word == '\0')
            return false;
        if (i == 0) {
            if (!parse_timestamp(word, is_ns, &table->timestamps[table->count]))
                return false;
            continue;
        }
        table->columns[i - 1][table->count] = strtod(word, &end);
        if (end == word || *end != '\0')
            return false;
    }
    if (rest != NULL)
        return false;
    table->count++;
    return true;
}

static char *next_line(char **rest)
{
    char *line = strsep(rest, "\n");
    size_t size = line == NULL ? 0 : strlen(line);
    if (size > 0 && line[size - 1] == '\r')
        line[size - 1] = '\0';
    return line;
}

static int parse_csv(char *text, const char *path, struct table *table)
{
    size_t rows = 0;
    for (const char *at = text; (at = strchr(at, '\n')) != NULL; at++)
        rows++;
    int status = table_init(table, rows + 1);
    char *rest = text;
    char *line = next_line(&rest);
    bool is_ns = line != NULL && strcmp(line, "timestamp_ns,open,high,low,close,volume") == 0;
    if (status == CLI_OK && !is_ns &&
        (line == NULL || strcmp(line, "timestamp,open,high,low,close,volume") != 0))
        status =
            cli_usage("%s does not begin with the headings timestamp_ns,open,high,low,close,volume "
                      "(or timestamp, in seconds or as 2026-01-02T03:04:05).",
                path);
    for (size_t number = 2; status == CLI_OK && (line = next_line(&rest)) != NULL; number++) {
        if (line[0] != '\0' && !parse_row(line, is_ns, table))
            status = cli_usage("%s: line %zu is no time with five numbers.", path, number);
    }
    return status;
}

int data_put_bars(struct data_call *call)
{
    struct table table = { 0 };
    char *text = NULL;
    size_t size;
    if (call->word_count != 4)
        return cli_usage("`data put bars` takes a symbol, a timeframe and a CSV file.");
    int status = data_read_file(call->words[3], &text, &size);
    if (status == CLI_OK)
        status = parse_csv(text, call->words[3], &table);
    struct shoal_data_bars bars = { .count = table.count,
        .timestamp_ns = table.timestamps,
        .open = table.columns[0],
        .high = table.columns[1],
        .low = table.columns[2],
        .close = table.columns[3],
        .volume = table.columns[4] };
    if (status == CLI_OK && shoal_data_append_bars(call->store, call->words[1], call->words[2],
                                &bars, &call->error) != SHOAL_DATA_OK)
        status = data_say(call);
    if (status == CLI_OK && call->options.as_json)
        status = format_print_json(json_pack("{s:I}", "bars", (json_int_t)table.count));
    else if (status == CLI_OK)
        (void)printf("%zu bars\n", table.count);
    table_fini(&table);
    free(text);
    return status;
}

/* ---- get ---- */

static void print_csv(const struct shoal_data_bars *bars)
{
    (void)printf("timestamp_ns,open,high,low,close,volume\n");
    for (uint64_t i = 0; i < bars->count; i++)
        (void)printf("%" PRId64 ",%.17g,%.17g,%.17g,%.17g,%.17g\n", bars->timestamp_ns[i],
            bars->open[i], bars->high[i], bars->low[i], bars->close[i], bars->volume[i]);
}

/* A number, or null for what JSON has not. */
static void print_json_number(double value)
{
    if (value - value == 0)
        (void)printf(",%.17g", value);
    else
        (void)printf(",null");
}

/* Rows, as [timestamp_ns, open, high, low, close, volume]. */
static void print_json(const struct shoal_data_bars *bars)
{
    (void)putchar('[');
    for (uint64_t i = 0; i < bars->count; i++) {
        (void)printf("%s[%" PRId64, i == 0 ? "" : ",\n", bars->timestamp_ns[i]);
        print_json_number(bars->open[i]);
        print_json_number(bars->high[i]);
        print_json_number(bars->low[i]);
        print_json_number(bars->close[i]);
        print_json_number(bars->volume[i]);
        (void)putchar(']');
    }
    (void)printf("]\n");
}

/* Nanoseconds of an option in seconds; beyond what they can say it is the end of time. */
static int time_option(const char *option, const char *text, int64_t *ns)
{
    int64_t seconds = 0;
    int status = data_time(option, text, &seconds);
    if (text != NULL && status == CLI_OK && __builtin_mul_overflow(seconds, NS_PER_S, ns))
        *ns = seconds < 0 ? INT64_MIN : INT64_MAX;
    return status;
}

static const char *problem_at(const void *handle, uint64_t index)
{
    return shoal_data_frame_problem(handle, index);
}

int data_get_bars(struct data_call *call)
{
    int64_t from = INT64_MIN;
    int64_t to = INT64_MAX;
    struct shoal_data_frame *frame = NULL;
    struct shoal_data_bars bars;
    if (call->word_count != 3)
        return cli_usage("`data get bars` takes a symbol and a timeframe.");
    int status = time_option("--from", call->options.from, &from);
    if (status == CLI_OK)
        status = time_option("--to", call->options.to, &to);
    if (status != CLI_OK)
        return status;
    int32_t loaded = shoal_data_load_bars(
        call->store, call->words[1], call->words[2], from, to, 0, &frame, &call->error);
    if (loaded != SHOAL_DATA_OK && loaded != SHOAL_DATA_DAMAGED)
        return data_say(call);
    shoal_data_frame_bars(frame, &bars);
    if (call->options.as_json)
        print_json(&bars);
    else
        print_csv(&bars);
    data_say_problems(frame, problem_at);
    shoal_data_frame_free(frame);
    return loaded == SHOAL_DATA_OK ? CLI_OK : CLI_FAILED;
}
