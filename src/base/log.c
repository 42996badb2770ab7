/*
 * base/log.c - one line of key=value pairs on stderr (room: base).
 */
#include "base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define LINE_SIZE_MAX       2048
#define SITE_LINES_MAX      20
#define SITE_WINDOW_SECONDS 10

static _Atomic int level_max = LOG_LEVEL_INFO;
static const char *const level_names[] = { "error", "warn", "info", "debug" };

void log_set_level(enum log_level level)
{
    level_max = level;
}

int log_parse_level(const char *text, enum log_level *out_level)
{
    for (size_t i = 0; i < ARRAY_SIZE(level_names); i++) {
        if (strcmp(text, level_names[i]) == 0) {
            *out_level = (enum log_level)i;
            return 0;
        }
    }
    return -EINVAL;
}

bool log_is_enabled(enum log_level level)
{
    return (int)level <= level_max;
}

/* Whether this line may be printed; `out_suppressed` counts those of the last window that were not.
 */
static bool site_admits(struct log_site *site, uint64_t now_s, uint32_t *out_suppressed)
{
    uint64_t window = site->window_s;
    *out_suppressed = 0;
    if (now_s - window >= SITE_WINDOW_SECONDS &&
        atomic_compare_exchange_strong(&site->window_s, &window, now_s)) {
        site->printed = 0;
        *out_suppressed = site->suppressed;
        site->suppressed = 0;
    }
    if (site->printed++ < SITE_LINES_MAX)
        return true;
    site->suppressed++;
    return false;
}

static size_t clamp(int written, size_t room)
{
    if (written < 0)
        return 0;
    return (size_t)written < room ? (size_t)written : room - 1;
}

void log_write(
    struct log_site *site, enum log_level level, const char *msg, const char *format, ...)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now); /* cannot fail for this clock */
    uint32_t suppressed;
    if (!site_admits(site, (uint64_t)now.tv_sec, &suppressed))
        return;
    char line[LINE_SIZE_MAX];
    struct tm tm;
    (void)gmtime_r(&now.tv_sec, &tm);
    size_t used = strftime(line, sizeof line, "time=%Y-%m-%dT%H:%M:%S", &tm);
    used += clamp(snprintf(line + used, sizeof line - used, ".%03ldZ level=%s msg=\"%s\" ",
                      now.tv_nsec / 1000000, level_names[level], msg),
        sizeof line - used);
    va_list args;
    va_start(args, format);
    used += clamp(vsnprintf(line + used, sizeof line - used, format, args), sizeof line - used);
    va_end(args);
    if (suppressed > 0)
        used += clamp(snprintf(line + used, sizeof line - used, " suppressed=%u", suppressed),
            sizeof line - used);
    if (line[used - 1] == ' ')
        used--;
    line[used++] = '\n';
    ssize_t written = write(STDERR_FILENO, line, used);
    (void)written; /* nowhere left to report it */
}

const char *log_quote(char *buffer, size_t size, struct slice text)
{
    static const char hex[] = "0123456789abcdef";
    assert(size >= 8);
    size_t used = 0;
    buffer[used++] = '"';
    for (size_t i = 0; i < text.size && used + 6 < size; i++) {
        uint8_t byte = text.data[i];
        if (byte == '"' || byte == '\\') {
            buffer[used++] = '\\';
            buffer[used++] = (char)byte;
        } else if (byte < 0x20 || byte == 0x7f) {
            buffer[used++] = '\\';
            buffer[used++] = 'x';
            buffer[used++] = hex[byte >> 4];
            buffer[used++] = hex[byte & 15];
        } else {
            buffer[used++] = (char)byte;
        }
    }
    buffer[used++] = '"';
    buffer[used] = '\0';
    return buffer;
}
