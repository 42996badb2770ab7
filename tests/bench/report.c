/* tests/bench/report.c - results for people and for programs. */
#include <jansson.h>
#include <stdio.h>

#include "bench.h"

static double per_operation_us(const struct result *result, double cpu_seconds)
{
    uint64_t count = result->counters.operations;
    return count == 0 ? 0 : cpu_seconds * 1e6 / (double)count;
}

static double quantile_us(const struct result *result, double part)
{
    return (double)histogram_quantile(&result->counters.latency, part) / 1e3;
}

static double mib_per_second(const struct result *result)
{
    return (double)result->counters.bytes / (double)MIB / result->seconds;
}

void report_table_head(void)
{
    (void)printf("%-13s %10s %9s %9s %9s %9s %7s %9s %9s\n", "operation", "ops/s", "MiB/s",
        "p50 us", "p99 us", "max us", "errors", "client us", "server us");
}

void report_table_row(const struct result *result)
{
    (void)printf("%-13s %10.0f %9.1f %9.0f %9.0f %9.0f %7llu %9.2f ", result->workload->name,
        (double)result->counters.operations / result->seconds, mib_per_second(result),
        quantile_us(result, 0.5), quantile_us(result, 0.99),
        (double)result->counters.latency.max / 1e3, (unsigned long long)result->counters.errors,
        per_operation_us(result, result->client_cpu_seconds));
    if (result->server_cpu_seconds < 0)
        (void)printf("%9s\n", "-");
    else
        (void)printf("%9.2f\n", per_operation_us(result, result->server_cpu_seconds));
    (void)fflush(stdout); /* rows are watched while they come */
}

void report_json_add(struct json_t *list, const struct result *result)
{
    const struct options *options = result->options;
    const struct counters *counters = &result->counters;
    json_t *row = json_pack(
        "{s:s, s:i, s:i, s:i, s:i, s:f, s:I, s:f, s:f, s:f, s:f, s:f, s:I, s:I}", "operation",
        result->workload->name, "connections", (int)options->connections, "in_flight",
        (int)options->in_flight, "threads", (int)options->threads, "io_size", (int)result->io_size,
        "seconds", result->seconds, "operations", (json_int_t)counters->operations,
        "operations_per_second", (double)counters->operations / result->seconds, "mib_per_second",
        mib_per_second(result), "p50_us", quantile_us(result, 0.5), "p99_us",
        quantile_us(result, 0.99), "max_us", (double)counters->latency.max / 1e3, "errors",
        (json_int_t)counters->errors, "delays", (json_int_t)counters->delays);
    assert(row != NULL);
    int err = json_object_set_new(row, "client_cpu_us_per_operation",
        json_real(per_operation_us(result, result->client_cpu_seconds)));
    json_t *server = result->server_cpu_seconds < 0
                         ? json_null()
                         : json_real(per_operation_us(result, result->server_cpu_seconds));
    err |= json_object_set_new(row, "server_cpu_us_per_operation", server);
    err |= json_array_append_new(list, row);
    assert(err == 0);
}
