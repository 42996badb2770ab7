/*
 * tests/bench/main.c - shoal-bench: measures an NFSv4.1 server, ours or any other.
 *
 * Exit status: 0 when every answer was right; 1 when one was not; 2 for a wrong command line.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench.h"

static const struct workload *const workloads[] = {
    &workload_getattr,
    &workload_lookup,
    &workload_open,
    &workload_create,
    &workload_create_write,
    &workload_unlink,
    &workload_rename,
    &workload_readdir,
    &workload_lock,
    &workload_seqwrite,
    &workload_seqread,
    &workload_randread,
    &workload_randwrite,
    &workload_stablewrite,
};

static const struct workload *find_workload(struct slice name)
{
    for (size_t i = 0; i < ARRAY_SIZE(workloads); i++) {
        if (slice_equal(slice_str(workloads[i]->name), name))
            return workloads[i];
    }
    return NULL;
}

/* The next name of a list joined by commas; false at its end. */
static bool next_name(const char **list, struct slice *out_name)
{
    if (**list == '\0')
        return false;
    size_t size = strcspn(*list, ",");
    *out_name = slice_of(*list, size);
    *list += size + ((*list)[size] == ',');
    return true;
}

static bool names_are_known(const char *list)
{
    struct slice name;
    while (next_name(&list, &name)) {
        if (find_workload(name) == NULL) {
            (void)fprintf(stderr, "shoal-bench: no operation %.*s\n", (int)name.size,
                (const char *)name.data);
            return false;
        }
    }
    return true;
}

static int open_all(struct bench *bench)
{
    const struct options *options = &bench->options;
    for (uint32_t i = 0; i < options->connections; i++) {
        int err = conn_open(&bench->conns[i], options, i);
        if (err == 0)
            err = session_open(&bench->conns[i]);
        if (err == 0)
            err = session_find_path(&bench->conns[i], options->path);
        if (err < 0)
            return err;
    }
    return 0;
}

/* Runs all operations; *out_errors counts the wrong answers. */
static int run_all(struct bench *bench, uint64_t *out_errors)
{
    const char *list = bench->options.operations;
    json_t *results = json_array();
    assert(results != NULL);
    if (!bench->options.json)
        report_table_head();
    int err = 0;
    struct slice name;
    *out_errors = 0;
    while (err == 0 && next_name(&list, &name)) {
        static struct result result; /* too large for a stack */
        err = run_operation(bench, find_workload(name), &result);
        *out_errors += result.counters.errors;
        if (bench->options.json)
            report_json_add(results, &result);
        else if (err == 0)
            report_table_row(&result);
    }
    if (bench->options.json &&
        json_dumpf(results, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(6)) < 0)
        err = -EIO;
    json_decref(results);
    return err;
}

int main(int argc, char **argv)
{
    struct bench bench;
    if (!options_parse(argc, argv, &bench.options) || !names_are_known(bench.options.operations))
        return 2;
    bench.conns = calloc(bench.options.connections, sizeof *bench.conns);
    if (bench.conns == NULL)
        return 1;
    for (uint32_t i = 0; i < bench.options.connections; i++)
        bench.conns[i].fd = -1;
    uint64_t errors = 0;
    int err = open_all(&bench);
    if (err == 0)
        err = run_all(&bench, &errors);
    if (err < 0)
        (void)fprintf(stderr, "shoal-bench: %s\n", strerror(-err)); /* NOLINT: threads are joined */
    for (uint32_t i = 0; i < bench.options.connections; i++) {
        struct conn *conn = &bench.conns[i];
        if (err == 0)
            session_close(conn);
        if (conn->options != NULL)
            conn_close(conn);
    }
    free(bench.conns);
    return err < 0 || errors > 0 ? 1 : 0;
}
