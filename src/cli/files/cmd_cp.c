/*
 * cli/files/cmd_cp.c - shoal cp: copies files and trees, in parallel, and verifies the copy (room: cli).
 */
#include <pthread.h>

#include "base/text.h"
#include "cli/files/format.h"
#include "cli/files/summary.h"
#include "transfer/copy.h"

#define WORKERS_MAX      128u
#define COUNTING_WORKERS 2u

struct cp {
    bool recursive, no_verify, no_owner, exact, quiet, as_json;
    uint64_t worker_count;
    const char *jobs;
    struct remotes remotes;
    struct summary summary;
};

/* Counts what there is to copy, beside the copy, for the bar. */
struct counting {
    struct survey_options options;
    struct progress *progress;
    _Atomic bool stop;
};

static void ignore_problem(void *context, const char *path, const char *what, int error)
{
    (void)context; /* the copy meets the same, and says so */
    (void)path;
    (void)what;
    (void)error;
}

static void *counting_main(void *argument)
{
    struct counting *counting = argument;
    if (survey_run(&counting->options) == 0)
        atomic_store(&counting->progress->totals_known, true);
    return NULL;
}

/* Runs the copy, with the counting beside it when somebody watches. */
static int run_copy(
    const struct copy_options *options, struct progress *progress, struct copy_result *out_result)
{
    struct counting counting = {
        .options = { .tree = options->from,
            .name = options->from_name,
            .worker_count = COUNTING_WORKERS,
            .report = { .stats = &progress->totals, .problem = ignore_problem } },
        .progress = progress
    };
    pthread_t thread;
    counting.options.stop = &counting.stop;
    bool counts = progress->is_terminal && !progress->is_quiet &&
                  pthread_create(&thread, NULL, counting_main, &counting) == 0;
    int err = copy_run(options, out_result);
    atomic_store(&counting.stop, true);
    if (counts)
        (void)pthread_join(thread, NULL); /* ours, and not joined yet */
    return err;
}

/* Copies one source to `to_name` in the destination's tree (NULL: its root becomes the copy), and verifies. */
static int copy_one(struct cp *cp, struct side *from, struct side *to, const char *to_name)
{
    struct progress progress;
    struct copy_result result;
    bool owners = !cp->no_owner && side_can_give_files(to);
    progress_begin(&progress, "copying", from->place.word, from->name, cp->quiet);
    struct copy_options options = { .from = from->tree,
        .from_name = from->name,
        .to = to->tree,
        .to_name = to_name,
        .keep_owner = owners,
        .worker_count = (unsigned)cp->worker_count,
        .stop = progress_stop_flag(),
        .report = progress_report(&progress) };
    int err = run_copy(&options, &progress, &result);
    summary_add_copy(&cp->summary, &progress.stats, progress_end(&progress));
    if (err < 0)
        return remote_fail(&from->place, "copy", err);
    if (atomic_load(options.stop))
        return cli_fail("Stopped; files that were under way are not complete, and have mode 0600.");
    cp->summary.lost_owner |= owners && !result.kept_owner;
    cp->summary.lost_link_times |= !result.kept_link_times;
    if (cp->no_verify)
        return CLI_OK;
    struct verify_options verify = { .from = from,
        .to = to,
        .to_name = to_name,
        .owners = owners && result.kept_owner,
        .link_times = result.kept_link_times,
        .allow_extra = true,
        .is_quiet = cp->quiet };
    return summary_verify(&cp->summary, &verify);
}

/* Into the directory `to`, under the source's own name. */
static int copy_into(struct cp *cp, struct side *from, const struct side *to)
{
    struct side inside = { .place = to->place, .remote = to->remote };
    const char *name = from->name != NULL ? from->name : "";
    if (name[0] == '\0')
        return cli_usage("%s has no name to give to its copy; -T copies it as %s itself.",
            from->place.word, to->place.word);
    int status = place_append(&inside.place, name);
    if (status == CLI_OK)
        status = side_open(&cp->remotes, &inside, false);
    if (status == CLI_OK)
        status = copy_one(cp, from, &inside, inside.name);
    side_close(&inside);
    return status;
}

static int copy_word(struct cp *cp, const char *word, struct side *to)
{
    struct side from = { .tree = NULL };
    int status = place_parse(word, &from.place);
    if (status == CLI_OK && from.place.kind == PLACE_LOCAL && to->place.kind == PLACE_LOCAL)
        return cli_usage("Neither %s nor %s is in a file system: write NAME:/path for one that is.",
            word, to->place.word);
    if (status == CLI_OK)
        status = side_open(&cp->remotes, &from, true);
    if (status != CLI_OK)
        return status;
    bool is_dir = from.attr.type == TREE_DIRECTORY;
    bool into = to->exists && to->attr.type == TREE_DIRECTORY && !cp->exact;
    if (is_dir && !cp->recursive)
        status = cli_fail("%s is a directory; -r copies it with all that is in it.", word);
    else if (to->exists && is_dir && to->attr.type != TREE_DIRECTORY)
        status = cli_fail("%s exists and is no directory.", to->place.word);
    else if (into)
        status = copy_into(cp, &from, to);
    else if (to->name == NULL && !is_dir)
        status = cli_fail("%s is a directory.", to->place.word);
    else
        status = copy_one(cp, &from, to, to->name);
    side_close(&from);
    return status;
}

static int copy_words(struct cp *cp, int argc, char **argv)
{
    struct side to = { .tree = NULL };
    int status = place_parse(argv[argc - 1], &to.place);
    if (status == CLI_OK)
        status = side_open(&cp->remotes, &to, false);
    if (status != CLI_OK)
        return status;
    bool to_is_dir = to.exists && to.attr.type == TREE_DIRECTORY;
    if (argc > 3 && (!to_is_dir || cp->exact))
        status = cli_fail("%s must be a directory to take several copies.", to.place.word);
    for (int i = 1; i < argc - 1 && status == CLI_OK; i++)
        status = copy_word(cp, argv[i], &to);
    side_close(&to);
    return status;
}

int cmd_cp(int argc, char **argv)
{
    struct cp cp = { .worker_count = 0 };
    struct remote_options options = { 0 };
    struct cli_option rows[] = { REMOTE_OPTIONS(options),
        { .name = "-r", .is_given = &cp.recursive }, { .name = "-T", .is_given = &cp.exact },
        { .name = "-q", .is_given = &cp.quiet }, { .name = "-j", .value = &cp.jobs },
        { .name = "--no-verify", .is_given = &cp.no_verify },
        { .name = "--no-owner", .is_given = &cp.no_owner },
        { .name = "--json", .is_given = &cp.as_json } };
    int status = cli_parse(rows, ARRAY_SIZE(rows), &argc, argv);
    if (status != CLI_OK)
        return status;
    if (cp.jobs != NULL &&
        (text_parse_u64(cp.jobs, WORKERS_MAX, &cp.worker_count) < 0 || cp.worker_count == 0))
        return cli_usage("-j takes 1 to %u, not %s.", WORKERS_MAX, cp.jobs);
    if (argc < 3)
        return cli_usage(
            "From where to where? For example: shoal cp -r /usr/include default:/include");
    remotes_init(&cp.remotes, &options);
    cp.summary.as_json = cp.as_json;
    status = copy_words(&cp, argc, argv);
    if (cp.summary.copied) {
        int printed = summary_print(&cp.summary);
        status = status == CLI_OK ? printed : status;
    }
    remotes_close(&cp.remotes);
    return status;
}
