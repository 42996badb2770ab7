/*
 * tests/bench/run.c - one operation from its preparation to its traces' removal; only the middle is measured.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "bench.h"

#define FILL_IO_SIZE ((uint32_t)MIB)

static double client_cpu_seconds(void)
{
    struct rusage usage;
    int done = getrusage(RUSAGE_SELF, &usage);
    assert(done == 0);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

/* User and system time of all threads of a process; negative when it cannot be known. */
static double process_cpu_seconds(pid_t pid)
{
    char path[64];
    char line[1024];
    (void)snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *file = pid == 0 ? NULL : fopen(path, "re");
    if (file == NULL)
        return -1;
    bool is_read = fgets(line, sizeof line, file) != NULL;
    (void)fclose(file); /* only read */
    /* proc(5): field 2 is in brackets and may hold anything; 14 and 15 are the times. */
    char *at = is_read ? strrchr(line, ')') : NULL;
    for (int field = 2; at != NULL && field < 14; field++)
        at = strchr(at + 1, ' ');
    if (at == NULL)
        return -1;
    char *end;
    unsigned long long user = strtoull(at, &end, 10);
    unsigned long long system = strtoull(end, &end, 10);
    return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

/* A phase that is not measured. */
static int drive_unmeasured(struct bench *bench, const struct phase *phase, uint64_t *out_errors)
{
    static struct counters counters; /* too large for a stack */
    int err = drive(bench, phase, &counters);
    *out_errors = counters.errors;
    return err;
}

/* One of which all must succeed. */
static int drive_all(
    struct bench *bench, const struct workload *workload, uint32_t io_size, enum nfsstat4 tolerated)
{
    const struct phase phase = { .workload = workload, .io_size = io_size, .tolerated = tolerated };
    uint64_t errors;
    int err = drive_unmeasured(bench, &phase, &errors);
    return err == 0 && errors > 0 ? -EIO : err;
}

static int for_all(struct bench *bench, int (*call)(struct conn *conn))
{
    for (uint32_t i = 0; i < bench->options.connections; i++) {
        int err = call(&bench->conns[i]);
        if (err < 0)
            return err;
    }
    return 0;
}

static void directory_name(
    const struct workload *workload, const struct conn *conn, char out_name[64])
{
    (void)snprintf(out_name, 64, "bench-%d-%s-%u", (int)getpid(), workload->name, conn->index);
}

static uint32_t file_count(const struct workload *workload, const struct options *options)
{
    switch (workload->files) {
    case FILES_SAMPLE:
        return options->in_flight > SAMPLE_FILES ? options->in_flight : SAMPLE_FILES;
    case FILES_MANY:
        return (options->files + options->connections - 1) / options->connections;
    case FILES_ENTRIES:
        return options->entries;
    case FILES_NONE:
        break;
    }
    return 0;
}

static int prepare(struct bench *bench, const struct workload *workload)
{
    const struct options *options = &bench->options;
    for (uint32_t i = 0; i < options->connections; i++) {
        struct conn *conn = &bench->conns[i];
        char name[64];
        directory_name(workload, conn, name);
        int err = session_make_directory(conn, name);
        if (err < 0)
            return err;
        conn->made_count = 0;
        conn->sample_count = file_count(workload, options);
        free(conn->samples);
        conn->samples = calloc(conn->sample_count + 1, sizeof *conn->samples);
        if (conn->samples == NULL)
            return -ENOMEM;
    }
    int err = drive_all(bench, &workload_populate, 0, NFS4_OK);
    if (err == 0 && workload->data != DATA_NONE)
        err = for_all(bench, session_open_data);
    if (err == 0 && workload->data == DATA_FILLED) {
        err = drive_all(bench, &workload_fill, FILL_IO_SIZE, NFS4_OK);
        if (err == 0)
            err = for_all(bench, session_commit_data);
    }
    return err;
}

static int measure(struct bench *bench, const struct workload *workload, struct result *result)
{
    double client_before = client_cpu_seconds();
    double server_before = process_cpu_seconds(bench->options.server_pid);
    uint64_t start_ns = clock_monotonic_ns();
    const struct phase phase = {
        .workload = workload,
        .io_size = result->io_size,
        .deadline_ns = start_ns + (uint64_t)(bench->options.seconds * 1e9),
    };
    int err = drive(bench, &phase, &result->counters);
    if (err == 0 && workload->writes)
        err = for_all(bench, session_commit_data);
    result->seconds = (double)(clock_monotonic_ns() - start_ns) / 1e9;
    result->client_cpu_seconds = client_cpu_seconds() - client_before;
    double server_after = process_cpu_seconds(bench->options.server_pid);
    result->server_cpu_seconds = server_before < 0 ? -1 : server_after - server_before;
    return err;
}

/* Blocks that are not what was written count as errors of the result. */
static int read_back(struct bench *bench, struct result *result)
{
    const struct workload *workload = result->workload;
    struct phase phase = { .io_size = result->io_size };
    if (workload->writes)
        phase.workload = &workload_verify;
    else if (workload == &workload_create_write)
        phase.workload = &workload_verify_created;
    if (phase.workload == NULL)
        return 0;
    uint64_t errors;
    int err = drive_unmeasured(bench, &phase, &errors);
    result->counters.errors += errors;
    return err;
}

static int clean_up(struct bench *bench, const struct workload *workload)
{
    int err = workload->data == DATA_NONE ? 0 : for_all(bench, session_close_data);
    if (err == 0)
        err = drive_all(bench, &workload_sweep, 0, NFS4ERR_NOENT);
    for (uint32_t i = 0; i < bench->options.connections && err == 0; i++) {
        char name[64];
        directory_name(workload, &bench->conns[i], name);
        err = session_remove_directory(&bench->conns[i], name);
    }
    return err;
}

int run_operation(struct bench *bench, const struct workload *workload, struct result *out_result)
{
    uint32_t io_size = workload->io_size;
    if (bench->options.io_size != 0 && workload->data != DATA_NONE && io_size != 0)
        io_size = bench->options.io_size;
    *out_result =
        (struct result){ .workload = workload, .options = &bench->options, .io_size = io_size };
    int err = prepare(bench, workload);
    if (err == 0)
        err = measure(bench, workload, out_result);
    if (err == 0)
        err = read_back(bench, out_result);
    if (err == 0)
        err = clean_up(bench, workload);
    return err;
}
