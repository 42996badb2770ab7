/*
 * mount/mountstats.c - parsing /proc/self/mountstats (room: mount).
 */
#include "mount/mountstats.h"

#include <stdio.h>
#include <stdlib.h>

#include "mount/mountinfo.h"

#define NUMBERS_MAX 16

/* Reads up to NUMBERS_MAX decimal numbers; gives how many. */
static unsigned read_numbers(const char *at, uint64_t numbers[NUMBERS_MAX])
{
    unsigned count = 0;
    while (count < NUMBERS_MAX) {
        char *end = NULL;
        while (*at == ' ' || *at == '\t')
            at++;
        if (*at < '0' || *at > '9')
            break;
        numbers[count++] = strtoull(at, &end, 10);
        at = end;
    }
    return count;
}

/* "tcp 0 0 1 0 16 ..." or "local 0 1 ...": the connections that were made. */
static void take_transport(const char *at, struct mountstats *stats)
{
    uint64_t numbers[NUMBERS_MAX];
    bool is_local = strncmp(at, "local", 5) == 0;
    unsigned count = read_numbers(at + strcspn(at, " "), numbers);
    unsigned index = is_local ? 1 : 2; /* srcport, bind_count, connect_count */
    stats->transports++;
    if (count > index)
        stats->connects += numbers[index];
}

/* "READ: ops ntrans timeouts sent received queue_ms rtt_ms execute_ms [errors]" */
static void take_operation(
    const char *name, size_t name_size, const char *at, struct mountstats *stats)
{
    uint64_t numbers[NUMBERS_MAX];
    unsigned count = read_numbers(at, numbers);
    if (count < 8)
        return;
    stats->operations += numbers[0];
    stats->retransmissions += numbers[1] > numbers[0] ? numbers[1] - numbers[0] : 0;
    stats->timeouts += numbers[2];
    stats->errors += count > 8 ? numbers[8] : 0;
    if (name_size == 4 && strncmp(name, "READ", 4) == 0) {
        stats->read_operations = numbers[0];
        stats->read_execute_ms = numbers[7];
    } else if (name_size == 5 && strncmp(name, "WRITE", 5) == 0) {
        stats->write_operations = numbers[0];
        stats->write_execute_ms = numbers[7];
    }
}

/* One line of the part of a mount. */
static void take_line(const char *line, struct mountstats *stats, bool *has_operations)
{
    uint64_t numbers[NUMBERS_MAX];
    size_t name_size;
    line += strspn(line, " \t");
    name_size = strcspn(line, ": \n");
    const char *rest = line[name_size] == ':' ? line + name_size + 1 : line + name_size;
    if (strncmp(line, "per-op", 6) == 0) {
        *has_operations = true;
    } else if (*has_operations && line[name_size] == ':') {
        take_operation(line, name_size, rest, stats);
    } else if (strncmp(line, "age:", 4) == 0 && read_numbers(rest, numbers) == 1) {
        stats->age_s = numbers[0];
    } else if (strncmp(line, "bytes:", 6) == 0 && read_numbers(rest, numbers) >= 6) {
        stats->read_bytes = numbers[0] + numbers[2];
        stats->write_bytes = numbers[1] + numbers[3];
        stats->server_read_bytes = numbers[4];
        stats->server_write_bytes = numbers[5];
    } else if (strncmp(line, "xprt:", 5) == 0) {
        take_transport(rest + strspn(rest, " \t"), stats);
    }
}

/* "device SOURCE mounted on POINT with fstype nfs4 statvers=1.1"; the kernel escapes blanks as mountinfo does. */
static bool begins_mount(const char *line, const char *point)
{
    const char *at = strstr(line, " mounted on ");
    const char *end = strchr(line, '\n');
    if (strncmp(line, "device ", 7) != 0 || at == NULL || (end != NULL && at > end))
        return false;
    at += strlen(" mounted on ");
    for (; *point != '\0' && *at != ' ' && *at != '\0'; point++) {
        unsigned value = (unsigned char)*at++;
        if (value == '\\' && at[0] >= '0' && at[0] <= '3' && at[1] != '\0' && at[2] != '\0') {
            value = (unsigned)((at[0] - '0') * 64 + (at[1] - '0') * 8 + (at[2] - '0'));
            at += 3;
        }
        if (value != (unsigned char)*point)
            return false;
    }
    static const char kind[] = " with fstype nfs";
    return *point == '\0' && strncmp(at, kind, sizeof kind - 1) == 0;
}

int mountstats_parse(const char *text, const char *point, struct mountstats *out_stats)
{
    struct mountstats stats = { 0 };
    bool inside = false;
    bool found = false;
    bool has_operations = false;
    for (const char *line = text; *line != '\0'; line += *line == '\n') {
        if (strncmp(line, "device ", 7) == 0 || strncmp(line, "no device ", 10) == 0) {
            inside = begins_mount(line, point);
            if (inside) {
                stats = (struct mountstats){ 0 };
                has_operations = false;
                found = true;
            }
        } else if (inside) {
            take_line(line, &stats, &has_operations);
        }
        line += strcspn(line, "\n");
    }
    if (!found)
        return -ENOENT;
    if (!has_operations)
        return -EINVAL;
    *out_stats = stats;
    return 0;
}

int mountstats_read(const char *point, struct mountstats *out_stats)
{
    char *text = NULL;
    int err = mountinfo_read_proc("/proc/self/mountstats", &text);
    if (err == 0)
        err = mountstats_parse(text, point, out_stats);
    free(text);
    return err;
}
