/*
 * cli/files/summary.c - verifying, and what is said at the end (room: cli).
 */
#include "cli/files/summary.h"

#include "cli/files/format.h"
#include "transfer/compare.h"

void summary_add_copy(struct summary *summary, const struct transfer_stats *stats, double seconds)
{
    summary->copied = true;
    summary->copy_seconds += seconds;
    summary->files += atomic_load(&stats->files);
    summary->directories += atomic_load(&stats->directories);
    summary->symlinks += atomic_load(&stats->symlinks);
    summary->hard_links += atomic_load(&stats->hard_links);
    summary->others += atomic_load(&stats->others);
    summary->bytes += atomic_load(&stats->bytes);
    summary->problems += atomic_load(&stats->problems);
}

int summary_verify(struct summary *summary, const struct verify_options *options)
{
    struct progress progress;
    progress_begin(
        &progress, "verifying", options->from->place.word, options->from->name, options->is_quiet);
    if (summary->copied) { /* as much as was copied */
        atomic_store(&progress.totals.files, summary->files + summary->hard_links +
                                                 summary->directories + summary->symlinks +
                                                 summary->others);
        atomic_store(&progress.totals.bytes, summary->bytes);
        atomic_store(&progress.totals_known, true);
    }
    struct compare_options compare = { .from = options->from->tree,
        .from_name = options->from->name,
        .to = options->to->tree,
        .to_name = options->to_name,
        .owners = options->owners,
        .link_times = options->link_times,
        .allow_extra = options->allow_extra,
        .stop = progress_stop_flag(),
        .report = progress_report(&progress) };
    int err = compare_run(&compare);
    summary->verify_seconds += progress_end(&progress);
    summary->verified = true;
    summary->verified_entries += transfer_entries(&progress.stats);
    summary->verified_bytes += atomic_load(&progress.stats.bytes);
    summary->problems += atomic_load(&progress.stats.problems);
    if (err < 0)
        return remote_fail(&options->from->place, "verify", err);
    return atomic_load(compare.stop) ? cli_fail("Stopped before all was verified.") : CLI_OK;
}

static void print_copied(const struct summary *summary)
{
    char text[5][FORMAT_SIZE];
    uint64_t entries = summary->files + summary->directories + summary->symlinks +
                       summary->hard_links + summary->others;
    double seconds = summary->copy_seconds > 0.001 ? summary->copy_seconds : 0.001;
    (void)printf("Copied %s files in %s directories", format_count(text[0], summary->files),
        format_count(text[1], summary->directories));
    if (summary->symlinks > 0)
        (void)printf(", %s symbolic links", format_count(text[2], summary->symlinks));
    if (summary->hard_links > 0)
        (void)printf(", %s hard links", format_count(text[2], summary->hard_links));
    if (summary->others > 0)
        (void)printf(", %s special files", format_count(text[2], summary->others));
    (void)printf(", %s in %.1f s (%s files/s, %s/s).\n", format_bytes(text[2], summary->bytes),
        seconds, format_count(text[3], (uint64_t)((double)entries / seconds)),
        format_bytes(text[4], (uint64_t)((double)summary->bytes / seconds)));
}

static void print_text(const struct summary *summary)
{
    char text[2][FORMAT_SIZE];
    if (summary->copied)
        print_copied(summary);
    if (summary->lost_owner)
        (void)printf("Owners were not kept: the destination does not allow it.\n");
    if (summary->lost_link_times)
        (void)printf("Times of symbolic links were not kept: the destination has none to set.\n");
    if (!summary->verified)
        return;
    (void)printf("Verified %s files and directories, %s, in %.1f s: %s.\n",
        format_count(text[0], summary->verified_entries),
        format_bytes(text[1], summary->verified_bytes), summary->verify_seconds,
        summary->problems == 0 ? "every byte and attribute is the same"
                               : "see above for what is not");
}

static json_t *make_json(const struct summary *summary)
{
    json_t *json = json_pack("{s:I, s:b}", "problems", (json_int_t)summary->problems, "verified",
        summary->verified && summary->problems == 0);
    if (json != NULL && summary->copied) {
        json_t *copied = json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:f}", "files",
            (json_int_t)summary->files, "directories", (json_int_t)summary->directories, "symlinks",
            (json_int_t)summary->symlinks, "hard_links", (json_int_t)summary->hard_links, "others",
            (json_int_t)summary->others, "bytes", (json_int_t)summary->bytes, "seconds",
            summary->copy_seconds);
        (void)json_object_set_new(json, "copied", copied); /* out of memory: it is left out */
        (void)json_object_set_new(json, "owners_kept", json_boolean(!summary->lost_owner));
        (void)json_object_set_new(json, "link_times_kept", json_boolean(!summary->lost_link_times));
    }
    if (json != NULL && summary->verified) {
        json_t *verified =
            json_pack("{s:I, s:I, s:f}", "entries", (json_int_t)summary->verified_entries, "bytes",
                (json_int_t)summary->verified_bytes, "seconds", summary->verify_seconds);
        (void)json_object_set_new(json, "compared", verified); /* as above */
    }
    return json;
}

int summary_print(const struct summary *summary)
{
    int status = CLI_OK;
    if (summary->as_json)
        status = format_print_json(make_json(summary));
    else
        print_text(summary);
    if (summary->problems == 0)
        return status;
    char text[FORMAT_SIZE];
    return cli_fail(
        "%s problem%s.", format_count(text, summary->problems), summary->problems == 1 ? "" : "s");
}
