/*
 * base/log.h - one line of key=value pairs on stderr, per event.
 *
 * LOG_INFO("file system opened", "fs=%s inodes=%" PRIu64, id, count) prints
 *   time=2026-01-02T03:04:05.678Z level=info msg="file system opened" fs=fs-... inodes=7
 * Whoever handles an error logs it, once. ERROR: a human must act. WARN: we recovered. INFO: events
 * of a lifetime only. Each call site prints at most 20 lines in 10 seconds; what was left out is
 * counted. Thread-safe. Values from outside go through log_quote().
 */
#pragma once

#include <inttypes.h>

#include "base/base.h"

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* One per call site; zeroed. */
struct log_site {
    _Atomic uint64_t window_s;
    _Atomic uint32_t printed;
    _Atomic uint32_t suppressed;
};

void log_set_level(enum log_level level);
/* Parses "error", "warn", "info" or "debug". Errors: -EINVAL. */
MUST_CHECK int log_parse_level(const char *text, enum log_level *out_level);
bool log_is_enabled(enum log_level level);
void log_write(struct log_site *site, enum log_level level, const char *msg, const char *format,
    ...) PRINTF_LIKE(4, 5);

/* Writes `text` between double quotes, with control bytes, quotes and backslashes escaped; cuts it
 * to fit. Gives `buffer`. */
const char *log_quote(char *buffer, size_t size, struct slice text);

#define LOG_AT(level, msg, ...)                             \
    do {                                                    \
        static struct log_site log_site_;                   \
        if (log_is_enabled(level))                          \
            log_write(&log_site_, level, msg, __VA_ARGS__); \
    } while (0)
#define LOG_ERROR(msg, ...) LOG_AT(LOG_LEVEL_ERROR, msg, __VA_ARGS__)
#define LOG_WARN(msg, ...)  LOG_AT(LOG_LEVEL_WARN, msg, __VA_ARGS__)
#define LOG_INFO(msg, ...)  LOG_AT(LOG_LEVEL_INFO, msg, __VA_ARGS__)
#define LOG_DEBUG(msg, ...) LOG_AT(LOG_LEVEL_DEBUG, msg, __VA_ARGS__)
