/*
 * cli/files/format.c - numbers, times and names for people and for JSON (room: cli).
 */
#include "cli/files/format.h"

#include <inttypes.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"

const char *format_bytes(char *buffer, uint64_t bytes)
{
    static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
    double value = (double)bytes;
    unsigned unit = 0;
    while (value >= 1023.95 && unit + 1 < ARRAY_SIZE(units)) {
        value /= 1024;
        unit++;
    }
    (void)snprintf(
        buffer, FORMAT_SIZE, unit == 0 ? "%.0f %s" : "%.1f %s", value, units[unit]); /* fits */
    return buffer;
}

const char *format_count(char *buffer, uint64_t count)
{
    char digits[24];
    int size = snprintf(digits, sizeof digits, "%" PRIu64, count); /* twenty fit */
    char *to = buffer;
    for (int i = 0; i < size; i++) {
        if (i > 0 && (size - i) % 3 == 0)
            *to++ = ',';
        *to++ = digits[i];
    }
    *to = '\0';
    return buffer;
}

const char *format_duration(char *buffer, double seconds)
{
    uint64_t whole = seconds < 0 ? 0 : (uint64_t)(seconds + 0.5);
    unsigned minutes = (unsigned)(whole / 60 % 60);
    unsigned rest = (unsigned)(whole % 60);
    if (whole < 3600)
        (void)snprintf(buffer, FORMAT_SIZE, "%u:%02u", minutes, rest);
    else
        (void)snprintf(buffer, FORMAT_SIZE, "%" PRIu64 ":%02u:%02u", whole / 3600, minutes, rest);
    return buffer;
}

const char *format_time(char *buffer, struct clock_time time)
{
    time_t seconds = (time_t)time.seconds;
    struct tm parts;
    char zone[8];
    char day[32];
    if (localtime_r(&seconds, &parts) == NULL) { /* a year that no calendar has */
        (void)snprintf(buffer, FORMAT_SIZE, "%" PRId64 ".%09u s", time.seconds, time.nanoseconds);
        return buffer;
    }
    (void)strftime(day, sizeof day, "%Y-%m-%d %H:%M:%S", &parts); /* a cut year is no harm */
    (void)strftime(zone, sizeof zone, "%z", &parts);
    (void)snprintf(buffer, FORMAT_SIZE, "%.20s.%09u %.7s", day, time.nanoseconds, zone);
    return buffer;
}

const char *format_mode(char *buffer, enum tree_type type, uint32_t mode)
{
    static const char types[] = "?-dlpsbc";
    static const char letters[] = "rwxrwxrwx";
    buffer[0] = types[type];
    for (unsigned i = 0; i < 9; i++)
        buffer[1 + i] = (char)((mode & 0400u >> i) != 0 ? letters[i] : '-');
    static const struct {
        uint32_t bit;
        unsigned place;
        char small;
        char large;
    } special[] = { { 04000, 3, 's', 'S' }, { 02000, 6, 's', 'S' }, { 01000, 9, 't', 'T' } };
    for (unsigned i = 0; i < ARRAY_SIZE(special); i++) {
        char *at = &buffer[special[i].place];
        bool executable = *at == 'x';
        if ((mode & special[i].bit) != 0)
            *at = (char)(executable ? special[i].small : special[i].large);
    }
    buffer[10] = '\0';
    return buffer;
}

const char *format_type(enum tree_type type)
{
    static const char *const names[] = { "unknown", "file", "directory", "symlink", "fifo",
        "socket", "block", "character" };
    return names[type];
}

void format_print_name(const char *name)
{
    if (!isatty(STDOUT_FILENO)) {
        (void)fputs(name, stdout);
        return;
    }
    for (const unsigned char *at = (const unsigned char *)name; *at != '\0'; at++)
        (void)putchar(*at < 0x20 || *at == 0x7f ? '?' : *at);
}

/* A string of a name: when it is no UTF-8, with '?' for each byte beyond ASCII. */
static json_t *name_json(const char *name, bool *out_is_text)
{
    json_t *text = json_string(name);
    *out_is_text = text != NULL;
    if (text != NULL)
        return text;
    char *readable = strdup(name);
    if (readable == NULL)
        return NULL;
    for (char *at = readable; *at != '\0'; at++) {
        if ((unsigned char)*at >= 0x80)
            *at = '?';
    }
    text = json_string(readable);
    free(readable);
    return text;
}

static json_t *hex_json(const char *name)
{
    size_t size = strlen(name);
    char *hex = malloc(2 * size + 1);
    if (hex == NULL)
        return NULL;
    for (size_t i = 0; i < size; i++)
        (void)snprintf(hex + 2 * i, 3, "%02x", (unsigned char)name[i]); /* fits */
    json_t *text = json_string(hex);
    free(hex);
    return text;
}

static json_t *time_json(struct clock_time time)
{
    return json_pack("{s:I, s:I}", "seconds", (json_int_t)time.seconds, "nanoseconds",
        (json_int_t)time.nanoseconds);
}

json_t *format_attr_json(const char *name, const struct tree_attr *attr)
{
    char mode[8];
    bool is_text;
    (void)snprintf(mode, sizeof mode, "%04o", attr->mode); /* fits */
    json_t *json = json_pack("{s:o, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:o, s:o}", "name",
        name_json(name, &is_text), "type", format_type(attr->type), "mode", mode, "uid",
        (json_int_t)attr->uid, "gid", (json_int_t)attr->gid, "size_bytes",
        (json_int_t)attr->size_bytes, "space_used_bytes", (json_int_t)attr->space_used_bytes,
        "link_count", (json_int_t)attr->link_count, "file_id", (json_int_t)attr->inode, "accessed",
        time_json(attr->atime), "modified", time_json(attr->mtime), "changed",
        time_json(attr->ctime));
    if (json != NULL && !is_text && json_object_set_new(json, "name_hex", hex_json(name)) < 0) {
        json_decref(json);
        json = NULL;
    }
    return json;
}

int format_print_json(json_t *json)
{
    if (json == NULL || json_dumpf(json, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER) < 0) {
        json_decref(json);
        return cli_fail("There is no memory left for the result.");
    }
    json_decref(json);
    (void)putchar('\n');
    return fflush(stdout) == 0 ? CLI_OK : cli_fail("Cannot write the result.");
}
