/*
 * cli/data/data_upkeep.c - shoal data clean, usage, health, compact and retain (room: cli).
 */
#include <inttypes.h>
#include <stdlib.h>

#include "base/text.h"
#include "cli/data/data.h"
#include "cli/files/format.h"

#define RULES_MAX 100u
#define DAYS_MAX  1000000u
#define BAR_WIDTH 24u

static const char *problem_at(const void *handle, uint64_t index)
{
    return shoal_data_report_problem(handle, index);
}

/* ---- Reports ---- */

static int print_report_json(const struct shoal_data_report *report)
{
    struct shoal_data_report_row total;
    json_t *rows = json_array();
    shoal_data_report_total(report, &total);
    for (uint64_t i = 0; i < shoal_data_report_count(report); i++) {
        const struct shoal_data_report_row *row = shoal_data_report_row(report, i);
        json_t *json = json_pack("{s:s, s:I, s:I}", "directory", row->directory, "files",
            (json_int_t)row->files, "bytes", (json_int_t)row->bytes);
        if (rows == NULL || json == NULL || json_array_append_new(rows, json) < 0) {
            json_decref(rows);
            return cli_fail("There is no memory left.");
        }
    }
    return format_print_json(json_pack("{s:o, s:I, s:I}", "directories", rows, "files",
        (json_int_t)total.files, "bytes", (json_int_t)total.bytes));
}

static void print_report_row(const struct shoal_data_report_row *row, uint64_t total_bytes)
{
    char size[FORMAT_SIZE];
    char count[FORMAT_SIZE];
    char bar[BAR_WIDTH + 1];
    double share = total_bytes == 0 ? 0 : (double)row->bytes / (double)total_bytes;
    memset(bar, ' ', BAR_WIDTH);
    memset(bar, '#', (size_t)(share * BAR_WIDTH + 0.5));
    bar[BAR_WIDTH] = '\0';
    (void)printf("%12s %12s files  [%s]  ", format_bytes(size, row->bytes),
        format_count(count, row->files), bar);
    format_print_name(row->directory[0] == '\0' ? "in all" : row->directory);
    (void)putchar('\n');
}

/* Prints it, frees it, and gives the exit code. */
static int show_report(struct data_call *call, int32_t done, struct shoal_data_report *report)
{
    struct shoal_data_report_row total;
    int status = CLI_OK;
    if (done != SHOAL_DATA_OK && done != SHOAL_DATA_IO)
        return data_say(call);
    if (report == NULL)
        return data_say(call);
    shoal_data_report_total(report, &total);
    if (call->options.as_json) {
        status = print_report_json(report);
    } else {
        for (uint64_t i = 0; i < shoal_data_report_count(report); i++)
            print_report_row(shoal_data_report_row(report, i), total.bytes);
        print_report_row(&total, total.bytes);
    }
    data_say_problems(report, problem_at);
    shoal_data_report_free(report);
    return done == SHOAL_DATA_OK ? status : CLI_FAILED;
}

int data_usage(struct data_call *call)
{
    struct shoal_data_report *report = NULL;
    int32_t done = shoal_data_usage(call->store, &report, &call->error);
    return show_report(call, done, report);
}

/* ---- clean ---- */

/* Reads "results=30,logs=3,market_data/ohlcv=keep" in place. */
static int parse_rules(
    char *text, struct shoal_data_clean_rule rules[RULES_MAX], uint64_t *out_count)
{
    char *rest = text;
    for (char *word = strsep(&rest, ","); word != NULL; word = strsep(&rest, ",")) {
        char *days = strchr(word, '=');
        uint64_t number = 0;
        if (*out_count == RULES_MAX)
            return cli_usage("--rules takes %u rules at most.", RULES_MAX);
        if (days == NULL)
            return cli_usage(
                "--rules takes DIRECTORY=DAYS or DIRECTORY=keep between commas, not %s.", word);
        *days++ = '\0';
        bool is_kept = strcmp(days, "keep") == 0;
        int status = is_kept ? CLI_OK : data_number("--rules", days, DAYS_MAX, &number);
        if (status != CLI_OK)
            return status;
        rules[(*out_count)++] = (struct shoal_data_clean_rule){ .directory = word,
            .days = is_kept ? -1 : (int64_t)number };
    }
    return CLI_OK;
}

int data_clean(struct data_call *call)
{
    /* Rules, not `days`, which has no way to say 0: what the person wrote comes after them and counts. */
    struct shoal_data_clean_rule rules[RULES_MAX + 3] = { { "market_data", 7 }, { "results", 7 },
        { "logs", 7 } };
    uint64_t days = 7;
    uint64_t count = 0;
    int status = data_number("--days", call->options.days, DAYS_MAX, &days);
    if (status != CLI_OK)
        return status;
    for (size_t i = 0; i < 3; i++)
        rules[i].days = (int64_t)days;
    char *text = call->options.rules == NULL ? NULL : strdup(call->options.rules);
    if (text != NULL)
        status = parse_rules(text, rules + 3, &count);
    if (status == CLI_OK) {
        struct shoal_data_clean_options options = { .struct_size = sizeof options,
            .dry_run = call->options.is_dry_run,
            .rules = rules,
            .rule_count = count + 3 };
        struct shoal_data_report *report = NULL;
        int32_t done = shoal_data_clean(call->store, &options, &report, &call->error);
        if (done == SHOAL_DATA_OK && !call->options.as_json)
            (void)printf(call->options.is_dry_run ? "Would be removed:\n" : "Removed:\n");
        status = show_report(call, done, report);
    }
    free(text);
    return status;
}

/* ---- health, compact, retain ---- */

int data_health(struct data_call *call)
{
    struct shoal_data_health health;
    char size[FORMAT_SIZE] = "unknown";
    if (shoal_data_health(call->store, &health, &call->error) != SHOAL_DATA_OK)
        return data_say(call);
    bool has_free = health.free_bytes != UINT64_MAX;
    int status = CLI_OK;
    if (call->options.as_json) {
        status = format_print_json(
            json_pack("{s:b, s:s, s:s, s:s, s:I, s:I, s:I}", "ok", (int)health.is_ok, "backend",
                health.backend, "location", health.location, "detail", health.detail, "write_us",
                (json_int_t)health.write_us, "read_us", (json_int_t)health.read_us, "free_bytes",
                has_free ? (json_int_t)health.free_bytes : (json_int_t)-1));
    } else {
        (void)printf("%-10s %s\n%-10s %s\n%-10s %s\n", "state", health.is_ok ? "ok" : "NOT OK",
            "backend", health.backend, "location", health.location);
        (void)printf("%-10s %s\n%-10s %" PRIu64 " us\n%-10s %" PRIu64 " us\n%-10s %s\n", "detail",
            health.detail, "write", health.write_us, "read", health.read_us, "free",
            has_free ? format_bytes(size, health.free_bytes) : size);
    }
    return health.is_ok ? status : CLI_FAILED;
}

int data_compact(struct data_call *call)
{
    struct shoal_data_compaction report = { 0 };
    char before[FORMAT_SIZE];
    char after[FORMAT_SIZE];
    const char *symbol = call->word_count > 0 ? call->words[0] : NULL;
    const char *timeframe = call->word_count > 1 ? call->words[1] : NULL;
    if (shoal_data_compact_bars(call->store, symbol, timeframe, &report, &call->error) !=
        SHOAL_DATA_OK)
        return data_say(call);
    if (call->options.as_json)
        return format_print_json(json_pack("{s:I, s:I, s:I, s:I, s:I}", "series",
            (json_int_t)report.series, "parts_before", (json_int_t)report.parts_before,
            "parts_after", (json_int_t)report.parts_after, "bytes_before",
            (json_int_t)report.bytes_before, "bytes_after", (json_int_t)report.bytes_after));
    (void)printf("%" PRIu64 " series: %" PRIu64 " parts (%s) became %" PRIu64 " (%s).\n",
        report.series, report.parts_before, format_bytes(before, report.bytes_before),
        report.parts_after, format_bytes(after, report.bytes_after));
    return CLI_OK;
}

int data_retain(struct data_call *call)
{
    const struct data_options *options = &call->options;
    struct shoal_data_retention retention = { .struct_size = sizeof retention,
        .minimize = options->is_minimum,
        .metric = options->metric,
        .dry_run = options->is_dry_run };
    char size[FORMAT_SIZE];
    uint64_t removed = 0;
    uint64_t bytes = 0;
    if (options->keep_last == NULL && options->keep_best == NULL)
        return cli_usage("`data retain` needs --keep-last N, or --keep-best N and --metric NAME.");
    int status = data_number("--keep-last", options->keep_last, UINT64_MAX, &retention.keep_last);
    if (status == CLI_OK)
        status = data_number("--keep-best", options->keep_best, UINT64_MAX, &retention.keep_best);
    if (status != CLI_OK)
        return status;
    if (shoal_data_retain_checkpoints(call->store, call->words[0], &retention, &removed, &bytes,
            &call->error) != SHOAL_DATA_OK)
        return data_say(call);
    if (options->as_json)
        return format_print_json(
            json_pack("{s:I, s:I}", "versions", (json_int_t)removed, "bytes", (json_int_t)bytes));
    (void)printf("%s %" PRIu64 " versions, %s.\n", options->is_dry_run ? "Would remove" : "Removed",
        removed, format_bytes(size, bytes));
    return CLI_OK;
}
