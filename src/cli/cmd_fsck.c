/*
 * cli/cmd_fsck.c - shoal fsck: whether all records of file systems agree with each other (room: cli).
 *
 * While the service runs it is asked to check a snapshot of itself; else, and with --offline, shoald is run as the tool that
 * opens the directories without changing them. Exit codes as of fsck(8).
 */
#include <inttypes.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/launch.h"
#include "cli/verification.h"

#define KIND      "records"
#define WORDS_MAX 300

enum { FSCK_GOOD = 0, FSCK_WRONG = 4, FSCK_FAILED = 8, FSCK_USAGE = 16 };

struct fsck_options {
    const char *data;
    const char *master;
    bool is_offline;
    bool reads_data;
    bool is_quiet;
};

static int check_online(const struct verification *verification, const char *fs_id, bool is_quiet)
{
    const struct verification_call start = { "StartVerification", fs_id, KIND };
    json_t *answer = NULL;
    int status = verification_ask(verification, &start, &answer);
    json_decref(answer);
    answer = NULL;
    if (status == CLI_OK)
        status = verification_await(verification, fs_id, KIND, false, &answer);
    if (status != CLI_OK)
        return FSCK_FAILED;
    uint64_t wrong = verification_number(answer, "Wrong");
    bool is_done = strcmp(verification_state(answer), "done") == 0;
    verification_print_findings(answer, fs_id);
    if (is_done && !is_quiet && wrong == 0)
        (void)printf("%s: %" PRIu64 " inodes and names: clean\n", fs_id,
            verification_number(answer, "DoneRecords"));
    else if (is_done && !is_quiet)
        (void)printf("%s: %" PRIu64 " findings\n", fs_id, wrong);
    if (!is_done)
        (void)cli_fail("%s could not be checked: the check was %s (error %" PRIu64 ").", fs_id,
            verification_state(answer), verification_number(answer, "Error"));
    json_decref(answer);
    if (!is_done)
        return FSCK_FAILED;
    return wrong == 0 ? FSCK_GOOD : FSCK_WRONG;
}

static int run_online(const struct fsck_options *options, char **names, int count)
{
    struct verification verification;
    int status = verification_open(options->data, &verification) == CLI_OK ? 0 : FSCK_FAILED;
    size_t all = count > 0 ? 0 : json_array_size(verification.file_systems);
    for (size_t i = 0; i < all; i++) {
        const char *id = json_string_value(
            json_object_get(json_array_get(verification.file_systems, i), "FileSystemId"));
        int result = check_online(&verification, id, options->is_quiet);
        status = result > status ? result : status;
    }
    for (int i = 0; status != FSCK_FAILED && i < count; i++) {
        const char *id = NULL;
        int result = verification_find(&verification, names[i], &id) == CLI_OK
                         ? check_online(&verification, id, options->is_quiet)
                         : FSCK_FAILED;
        status = result > status ? result : status;
    }
    verification_close(&verification);
    return status;
}

/* Becomes shoald's tool. */
static int run_offline(
    const struct fsck_options *options, const char *directory, char **names, int count)
{
    static char tool[] = "fsck";
    static char read_data[] = "--read-data";
    static char quiet[] = "-q";
    static char master[] = "--master";
    char *words[WORDS_MAX];
    int at = 0;
    if (count > WORDS_MAX - 10)
        return cli_usage("These are too many file systems for one call.");
    words[at++] = tool;
    if (options->reads_data)
        words[at++] = read_data;
    if (options->is_quiet)
        words[at++] = quiet;
    if (options->master != NULL) {
        words[at++] = master;
        words[at++] = strdup(options->master);
    }
    words[at++] = strdup(directory);
    for (int i = 0; i < count; i++)
        words[at++] = names[i];
    words[at] = NULL;
    return launch_program("shoald", words);
}

/* Whether a shoald has the directory. */
static bool is_served(const struct fsck_options *options, int *status)
{
    struct instance instance;
    *status = instance_open(options->data, &instance);
    if (*status != CLI_OK)
        return false;
    bool is_running = instance.is_running;
    instance_close(&instance);
    return is_running;
}

static int run(const struct fsck_options *options, char **names, int count)
{
    if (count > 0 && strchr(names[0], '/') != NULL)
        return run_offline(options, names[0], names + 1, count - 1);
    int status = CLI_OK;
    if (!options->is_offline && is_served(options, &status)) {
        if (options->reads_data)
            return cli_usage("--read-data goes with --offline; while the service runs, shoal scrub "
                             "reads all data.");
        return run_online(options, names, count);
    }
    if (status != CLI_OK)
        return status;
    const char *data = instance_data_name(options->data);
    if (data == NULL)
        return cli_usage("Which data directory? Say --data DIR, or set SHOAL_DATA.");
    return run_offline(options, data, names, count);
}

int cmd_fsck(int argc, char **argv)
{
    struct fsck_options options = { 0 };
    const struct cli_option rows[] = { { .name = "--data", .value = &options.data },
        { .name = "--master", .value = &options.master },
        { .name = "--offline", .is_given = &options.is_offline },
        { .name = "--read-data", .is_given = &options.reads_data },
        { .name = "-q", .is_given = &options.is_quiet } };
    int status = cli_parse(rows, ARRAY_SIZE(rows), &argc, argv);
    if (status == CLI_OK)
        status = run(&options, argv + 1, argc - 1);
    if (status == CLI_USAGE)
        return FSCK_USAGE;
    if (fflush(stdout) != 0)
        return FSCK_FAILED;
    return status == CLI_FAILED || status == CLI_NOT_RUNNING ? FSCK_FAILED : status;
}
