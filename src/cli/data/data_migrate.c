/*
 * cli/data/data_migrate.c - shoal data migrate: one store into another, with a bar of progress (room: cli).
 */
#include <inttypes.h>
#include <stdlib.h>

#include "cli/data/data.h"
#include "cli/files/format.h"
#include "cli/files/progress.h"
#include "datastore/migrate/migrate.h"

#define THREADS_DEFAULT 8u
#define COPY_MS         100u

/* Carries the counters of the migration to those of the bar, which are a transfer's. */
struct carrier {
    struct migrate_progress counts;
    struct progress bar;
    pthread_t thread;
    _Atomic bool is_over;
};

static void carry(struct carrier *carrier)
{
    atomic_store(&carrier->bar.stats.files, atomic_load(&carrier->counts.items));
    atomic_store(&carrier->bar.stats.bytes, atomic_load(&carrier->counts.bytes));
    atomic_store(&carrier->bar.totals.files, atomic_load(&carrier->counts.items_known));
    atomic_store(&carrier->bar.totals_known, atomic_load(&carrier->counts.items_known) > 0);
}

static void *carrier_run(void *argument)
{
    struct carrier *carrier = argument;
    struct timespec wait = { .tv_nsec = COPY_MS * 1000000L };
    while (!atomic_load(&carrier->is_over)) {
        carry(carrier);
        (void)nanosleep(&wait, NULL); /* shorter is fine */
    }
    return NULL;
}

static int open_side(struct data_call *call, const char *url, uint32_t threads, bool create,
    struct shoal_data **out_store)
{
    struct shoal_data_options options = { .struct_size = sizeof options,
        .create = create,
        .threads = threads,
        .pool_min = 2,
        .pool_max = threads + 4 };
    if (shoal_data_open(url, &options, out_store, &call->error) != SHOAL_DATA_OK)
        return data_say(call);
    return CLI_OK;
}

static int say_result(const struct data_call *call, const struct carrier *carrier,
    const struct migrate_result *result, double seconds)
{
    const struct migrate_progress *counts = &carrier->counts;
    uint64_t bars = atomic_load(&counts->bars);
    uint64_t documents = atomic_load(&counts->documents);
    uint64_t versions = atomic_load(&counts->versions);
    uint64_t bytes = atomic_load(&counts->bytes);
    uint64_t passes = atomic_load(&counts->pass);
    if (call->options.as_json) {
        return format_print_json(json_pack("{s:I, s:I, s:I, s:I, s:I, s:{s:I, s:I, s:I}}", "bars",
            (json_int_t)bars, "documents", (json_int_t)documents, "versions", (json_int_t)versions,
            "bytes", (json_int_t)bytes, "passes", (json_int_t)passes, "verified", "series",
            (json_int_t)result->series, "documents", (json_int_t)result->documents, "versions",
            (json_int_t)result->versions));
    }
    char size[FORMAT_SIZE];
    char words[4][FORMAT_SIZE];
    (void)printf(
        "Copied %s bars, %s documents and %s versions of checkpoints, %s, in %.1f s and %" PRIu64
        " passes.\n",
        format_count(words[0], bars), format_count(words[1], documents),
        format_count(words[2], versions), format_bytes(size, bytes), seconds, passes);
    (void)printf("Verified: %s series, %s documents and %s versions are the same on both sides.\n",
        format_count(words[0], result->series), format_count(words[1], result->documents),
        format_count(words[2], result->versions));
    return CLI_OK;
}

static int run(
    struct data_call *call, struct shoal_data *from, struct shoal_data *to, unsigned threads)
{
    struct carrier carrier = { 0 };
    struct migrate_result result = { 0 };
    struct migrate_options options = {
        .threads = threads, .stop = progress_stop_flag(), .progress = &carrier.counts
    };
    progress_begin(
        &carrier.bar, "migrating", "", NULL, call->options.is_quiet || call->options.as_json);
    bool has_thread = pthread_create(&carrier.thread, NULL, carrier_run, &carrier) == 0;
    int32_t status = migrate_run(from, to, &options, &result, &call->error);
    atomic_store(&carrier.is_over, true);
    if (has_thread)
        (void)pthread_join(carrier.thread, NULL);
    carry(&carrier);
    double seconds = progress_end(&carrier.bar);
    if (status != SHOAL_DATA_OK)
        return cli_fail("%s", call->error.message);
    return say_result(call, &carrier, &result, seconds);
}

int data_migrate(struct data_call *call)
{
    uint64_t threads = THREADS_DEFAULT;
    int status = data_number("--threads", call->options.threads, 64, &threads);
    if (status != CLI_OK)
        return status;
    if (call->options.from == NULL || call->options.to == NULL)
        return cli_usage("`data migrate` needs --from DIR|URL and --to DIR|URL.");
    if (strcmp(call->options.from, call->options.to) == 0)
        return cli_usage("--from and --to are the same store.");
    struct shoal_data *from = NULL;
    struct shoal_data *to = NULL;
    status = open_side(call, call->options.from, (uint32_t)threads, false, &from);
    if (status == CLI_OK)
        status = open_side(call, call->options.to, (uint32_t)threads, true, &to);
    if (status == CLI_OK)
        status = run(call, from, to, threads == 0 ? THREADS_DEFAULT : (unsigned)threads);
    shoal_data_close(from);
    shoal_data_close(to);
    return status;
}
