/*
 * cli/cmd_scrub.c - shoal scrub: reads and verifies all data of a file system while it serves (room: cli).
 */
#include <inttypes.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/files/format.h"
#include "cli/verification.h"

#define KIND "data"

struct scrub_options {
    const char *data;
    bool asks;
    bool stops;
    bool waits;
    bool as_json;
};

static void print_time(const char *what, uint64_t seconds)
{
    char text[FORMAT_SIZE];
    if (seconds != 0)
        (void)printf(", %s %.19s", what,
            format_time(text, (struct clock_time){ .seconds = (int64_t)seconds }));
}

/* "fs-...: running, 1.0 GiB of about 3.0 GiB read, began ..., 0 findings" */
static int print_status(const json_t *answer, const char *fs_id)
{
    char done[FORMAT_SIZE];
    char total[FORMAT_SIZE];
    verification_print_findings(answer, fs_id);
    (void)printf("%s: %s", fs_id, verification_state(answer));
    if (strcmp(verification_state(answer), "never") != 0) {
        (void)printf(", %s", format_bytes(done, verification_number(answer, "DoneBytes")));
        if (verification_number(answer, "TotalBytes") != 0)
            (void)printf(
                " of about %s", format_bytes(total, verification_number(answer, "TotalBytes")));
        (void)printf(" read");
        print_time("began", verification_number(answer, "Started"));
        print_time("ended", verification_number(answer, "Ended"));
        (void)printf(", %" PRIu64 " findings", verification_number(answer, "Wrong"));
    }
    (void)putchar('\n');
    return fflush(stdout) == 0 ? CLI_OK : cli_fail("Cannot write to the output.");
}

static int finish(const struct scrub_options *options, json_t *answer, const char *fs_id)
{
    bool is_bad = verification_number(answer, "Wrong") > 0 ||
                  strcmp(verification_state(answer), "failed") == 0;
    int status =
        options->as_json ? format_print_json(json_incref(answer)) : print_status(answer, fs_id);
    return status == CLI_OK && is_bad ? CLI_FAILED : status;
}

static int run(const struct scrub_options *options, const char *name)
{
    struct verification verification;
    json_t *answer = NULL;
    struct verification_call call = { "StartVerification", NULL, KIND };
    int status = verification_open(options->data, &verification);
    if (options->asks)
        call.operation = "DescribeVerification";
    if (options->stops)
        call.operation = "StopVerification";
    if (status == CLI_OK)
        status = verification_find(&verification, name, &call.fs_id);
    if (status == CLI_OK)
        status = verification_ask(&verification, &call, &answer);
    if (status == CLI_OK && options->waits) {
        json_decref(answer);
        answer = NULL;
        status = verification_await(
            &verification, call.fs_id, KIND, isatty(STDERR_FILENO) == 1, &answer);
    }
    if (status == CLI_OK)
        status = finish(options, answer, call.fs_id);
    json_decref(answer);
    verification_close(&verification);
    return status;
}

int cmd_scrub(int argc, char **argv)
{
    struct scrub_options options = { 0 };
    const struct cli_option rows[] = { { .name = "--data", .value = &options.data },
        { .name = "--status", .is_given = &options.asks },
        { .name = "--stop", .is_given = &options.stops },
        { .name = "--wait", .is_given = &options.waits },
        { .name = "--json", .is_given = &options.as_json } };
    int status = cli_parse(rows, ARRAY_SIZE(rows), &argc, argv);
    if (status != CLI_OK)
        return status;
    if (argc != 2)
        return cli_usage("`scrub` takes one file system: shoal scrub default --wait");
    if (options.asks && options.stops)
        return cli_usage("--status and --stop do not go together.");
    return run(&options, argv[1]);
}
