/*
 * cli/monitor_show.c - the forms of a sample (room: cli).
 */
#include <inttypes.h>
#include <math.h>

#include "cli/monitor.h"

#define NS_PER_MS 1000000.0
#define ROW_SIZE  512

static uint64_t grown(uint64_t now, uint64_t before)
{
    return now >= before ? now - before : now;
}

struct mountstats monitor_difference(const struct mountstats *a, const struct mountstats *b)
{
    return (struct mountstats){ .age_s = grown(a->age_s, b->age_s),
        .read_bytes = grown(a->read_bytes, b->read_bytes),
        .write_bytes = grown(a->write_bytes, b->write_bytes),
        .server_read_bytes = grown(a->server_read_bytes, b->server_read_bytes),
        .server_write_bytes = grown(a->server_write_bytes, b->server_write_bytes),
        .operations = grown(a->operations, b->operations),
        .retransmissions = grown(a->retransmissions, b->retransmissions),
        .timeouts = grown(a->timeouts, b->timeouts),
        .errors = grown(a->errors, b->errors),
        .read_operations = grown(a->read_operations, b->read_operations),
        .read_execute_ms = grown(a->read_execute_ms, b->read_execute_ms),
        .write_operations = grown(a->write_operations, b->write_operations),
        .write_execute_ms = grown(a->write_execute_ms, b->write_execute_ms),
        .connects = grown(a->connects, b->connects),
        .transports = a->transports };
}

const char *monitor_status(const struct monitor_sample *sample)
{
    if (sample->is_skipped || sample->health.err == -ETIMEDOUT)
        return "hung";
    if (sample->health.err == -EROFS || sample->health.err == -EACCES)
        return sample->health.readable ? "read-only" : "failed";
    return sample->health.err < 0 ? "failed" : "ok";
}

static double rate(const struct monitor_sample *sample, uint64_t amount)
{
    return sample->seconds > 0 ? (double)amount / sample->seconds : 0;
}

static json_t *number_or_null(bool is_known, double value)
{
    return is_known ? json_real(round(value * 1000) / 1000) : json_null();
}

json_t *monitor_json(const struct monitor_sample *sample, double now_s)
{
    const struct health_result *health = &sample->health;
    const struct mountstats *diff = &sample->difference;
    bool known = sample->has_rates;
    json_t *json = json_pack("{s:f, s:s, s:s, s:s, s:s, s:s}", "time", now_s, "path", sample->path,
        "status", monitor_status(sample), "mount_path", sample->mount->point, "source",
        sample->mount->source, "type", sample->mount->type);
    if (json == NULL)
        return NULL;
    const struct {
        const char *name;
        json_t *value;
    } members[] = {
        { "write_latency_ms",
            number_or_null(health->write_ns > 0, (double)health->write_ns / NS_PER_MS) },
        { "read_latency_ms",
            number_or_null(health->read_ns > 0, (double)health->read_ns / NS_PER_MS) },
        { "read_bytes_per_s", number_or_null(known, rate(sample, diff->server_read_bytes)) },
        { "write_bytes_per_s", number_or_null(known, rate(sample, diff->server_write_bytes)) },
        { "operations_per_s", number_or_null(known, rate(sample, diff->operations)) },
        { "read_operations_per_s", number_or_null(known, rate(sample, diff->read_operations)) },
        { "write_operations_per_s", number_or_null(known, rate(sample, diff->write_operations)) },
        { "errors", known ? json_integer((json_int_t)diff->errors) : json_null() },
        { "timeouts", known ? json_integer((json_int_t)diff->timeouts) : json_null() },
        { "retransmissions",
            known ? json_integer((json_int_t)diff->retransmissions) : json_null() },
        { "reconnects", known ? json_integer((json_int_t)diff->connects) : json_null() },
        { "used_bytes", json_integer((json_int_t)(health->total_bytes - health->free_bytes)) },
        { "free_bytes", json_integer((json_int_t)health->free_bytes) },
        { "total_bytes", json_integer((json_int_t)health->total_bytes) },
    };
    for (size_t i = 0; i < ARRAY_SIZE(members); i++)
        (void)json_object_set_new(
            json, members[i].name, members[i].value); /* no memory: left out */
    return json;
}

/* 1536 -> "1.5K" */
static const char *short_bytes(double bytes, char out[16])
{
    static const char units[] = "BKMGTPE";
    unsigned unit = 0;
    while (bytes >= 1000 && units[unit + 1] != '\0') {
        bytes /= 1024;
        unit++;
    }
    (void)snprintf(out, 16, unit == 0 || bytes >= 100 ? "%.0f%c" : "%.1f%c", bytes, units[unit]);
    return out;
}

static const char *short_ms(uint64_t ns, char out[16])
{
    if (ns == 0)
        return "-";
    (void)snprintf(out, 16, "%.1f", (double)ns / NS_PER_MS);
    return out;
}

void monitor_print_head(FILE *out, unsigned width, double interval_s)
{
    char row[ROW_SIZE];
    (void)snprintf(row, sizeof row, "%-28s %-9s %9s %9s %9s %9s %8s %7s %7s %8s", "directory",
        "status", "write ms", "read ms", "write/s", "read/s", "IOPS", "errors", "used", "free");
    (void)fprintf(
        out, "shoal monitor, every %g s; q or Ctrl-C ends it\n%.*s\n", interval_s, (int)width, row);
}

void monitor_print_row(FILE *out, unsigned width, const struct monitor_sample *sample)
{
    char row[ROW_SIZE];
    char text[6][16];
    const struct health_result *health = &sample->health;
    const struct mountstats *diff = &sample->difference;
    char operations[16] = "-";
    char errors[16] = "-";
    if (sample->has_rates) {
        (void)snprintf(operations, sizeof operations, "%.0f", rate(sample, diff->operations));
        (void)snprintf(errors, sizeof errors, "%" PRIu64, diff->errors + diff->timeouts);
    }
    (void)snprintf(row, sizeof row, "%-28.28s %-9s %9s %9s %9s %9s %8s %7s %7s %8s", sample->path,
        monitor_status(sample), short_ms(health->write_ns, text[0]),
        short_ms(health->read_ns, text[1]),
        sample->has_rates ? short_bytes(rate(sample, diff->server_write_bytes), text[2]) : "-",
        sample->has_rates ? short_bytes(rate(sample, diff->server_read_bytes), text[3]) : "-",
        operations, errors,
        short_bytes((double)(health->total_bytes - health->free_bytes), text[4]),
        short_bytes((double)health->free_bytes, text[5]));
    (void)fprintf(out, "%.*s\n", (int)width, row);
}

/* A label's value: backslash, quote and newline are escaped. */
static void print_label(FILE *out, const char *value)
{
    for (; *value != '\0'; value++) {
        if (*value == '\\' || *value == '"')
            (void)fputc('\\', out);
        if (*value == '\n')
            (void)fputs("\\n", out);
        else
            (void)fputc(*value, out);
    }
}

int monitor_print_prometheus(FILE *out, const struct monitor_sample *samples, size_t count)
{
    static const char *const names[][3] = {
        { "shoal_mount_up", "gauge", "Whether the last probe succeeded." },
        { "shoal_mount_write_latency_seconds", "gauge",
            "Create, write, fsync and close of the probe." },
        { "shoal_mount_read_latency_seconds", "gauge", "Open and read of the probe." },
        { "shoal_mount_total_bytes", "gauge", "Size of the file system." },
        { "shoal_mount_free_bytes", "gauge", "What is free in it." },
        { "shoal_mount_read_bytes_total", "counter", "Read from the server." },
        { "shoal_mount_written_bytes_total", "counter", "Written to the server." },
        { "shoal_mount_operations_total", "counter", "Calls to the server." },
        { "shoal_mount_errors_total", "counter", "Answers that were errors." },
        { "shoal_mount_timeouts_total", "counter", "Calls that timed out." },
        { "shoal_mount_retransmissions_total", "counter", "Calls that were sent again." },
    };
    for (size_t name = 0; name < ARRAY_SIZE(names); name++) {
        (void)fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", names[name][0], names[name][2],
            names[name][0], names[name][1]);
        for (size_t i = 0; i < count; i++) {
            const struct monitor_sample *sample = &samples[i];
            const struct mountstats *now = &sample->now;
            const double values[ARRAY_SIZE(names)] = { strcmp(monitor_status(sample), "ok") == 0,
                (double)sample->health.write_ns / 1e9, (double)sample->health.read_ns / 1e9,
                (double)sample->health.total_bytes, (double)sample->health.free_bytes,
                (double)now->server_read_bytes, (double)now->server_write_bytes,
                (double)now->operations, (double)now->errors, (double)now->timeouts,
                (double)now->retransmissions };
            bool is_counter = strcmp(names[name][1], "counter") == 0;
            if (is_counter && !mountinfo_is_nfs(sample->mount))
                continue;
            (void)fprintf(out, "%s{path=\"", names[name][0]);
            print_label(out, sample->path);
            (void)fprintf(out, "\"} %.15g\n", values[name]);
        }
    }
    return ferror(out) != 0 ? -EIO : 0;
}
