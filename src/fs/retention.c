/*
 * fs/retention.c - which snapshots a schedule makes and deletes (room: fs).
 */
#include "fs/retention.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define HOUR_S            3600
#define DAY_S             (24 * HOUR_S)
#define WEEK_S            (7 * DAY_S)
#define MONDAY_S          (4 * DAY_S) /* the first Monday after the beginning of 1970 */
#define NUMBER_DIGITS_MAX 4u

static const char *const kinds[RETAIN_KINDS] = { "hourly", "daily", "weekly", "monthly" };

/* "hourly=24" */
static int parse_one(struct slice text, struct retention *retention)
{
    for (unsigned kind = 0; kind < RETAIN_KINDS; kind++) {
        size_t size = strlen(kinds[kind]);
        if (text.size < size + 2 || text.size > size + 1 + NUMBER_DIGITS_MAX ||
            memcmp(text.data, kinds[kind], size) != 0 || text.data[size] != '=')
            continue;
        uint32_t number = 0;
        for (size_t i = size + 1; i < text.size; i++) {
            if (text.data[i] < '0' || text.data[i] > '9')
                return -EINVAL;
            number = number * 10 + (text.data[i] - '0');
        }
        if (number == 0 || number > RETENTION_KEEP_MAX || retention->keep[kind] != 0)
            return -EINVAL;
        retention->keep[kind] = number;
        return 0;
    }
    return -EINVAL;
}

int retention_parse(struct slice text, struct retention *out_retention)
{
    struct retention retention = { 0 };
    size_t at = 0;
    do {
        size_t end = at;
        while (end < text.size && text.data[end] != ',' && text.data[end] != ' ')
            end++;
        int err = parse_one(slice_of(text.data + at, end - at), &retention);
        if (err < 0)
            return err;
        at = end + 1;
    } while (at <= text.size);
    *out_retention = retention;
    return 0;
}

/* When the kind's period that `now_s` is in began. */
static int64_t period_start(enum retention_kind kind, int64_t now_s)
{
    time_t now = (time_t)now_s;
    struct tm tm;
    switch (kind) {
    case RETAIN_HOURLY:
        return now_s - now_s % HOUR_S;
    case RETAIN_DAILY:
        return now_s - now_s % DAY_S;
    case RETAIN_WEEKLY:
        return now_s - (now_s - MONDAY_S) % WEEK_S;
    default:
        break;
    }
    if (gmtime_r(&now, &tm) == NULL)
        return 0;
    return now_s - now_s % DAY_S - (int64_t)(tm.tm_mday - 1) * DAY_S;
}

void retention_name(enum retention_kind kind, int64_t now_s, char out_name[RETENTION_NAME_SIZE])
{
    time_t start = (time_t)period_start(kind, now_s);
    struct tm tm = { 0 };
    char when[20] = "";
    if (gmtime_r(&start, &tm) != NULL)
        (void)strftime(when, sizeof when, "%Y-%m-%dT%H:%MZ", &tm); /* it fits, or is empty */
    (void)snprintf(out_name, RETENTION_NAME_SIZE, "%s-%s", kinds[kind], when);
}

bool retention_is_own(enum retention_kind kind, const char *name)
{
    static const char pattern[] = "0000-00-00T00:00Z";
    size_t size = strlen(kinds[kind]);
    if (strncmp(name, kinds[kind], size) != 0 || name[size] != '-' ||
        strlen(name) != size + sizeof pattern)
        return false;
    for (size_t i = 0; i + 1 < sizeof pattern; i++) {
        char c = name[size + 1 + i];
        bool is_digit = c >= '0' && c <= '9';
        if (pattern[i] == '0' ? !is_digit : c != pattern[i])
            return false;
    }
    return true;
}

struct names {
    enum retention_kind kind;
    char (*items)[RETENTION_NAME_SIZE]; /* oldest first */
    size_t count;
    size_t capacity;
    int err;
};

static bool note_name(void *context, const struct fs_snapshot *snapshot)
{
    struct names *names = context;
    if (snapshot->is_going || !retention_is_own(names->kind, snapshot->name))
        return true;
    if (names->count == names->capacity) {
        size_t capacity = names->capacity * 2 + 16;
        void *larger = realloc(names->items, capacity * sizeof *names->items);
        if (larger == NULL) {
            names->err = -ENOMEM;
            return false;
        }
        names->items = larger;
        names->capacity = capacity;
    }
    /* As one of our own it fits, with its NUL. */
    memcpy(names->items[names->count++], snapshot->name, RETENTION_NAME_SIZE);
    return true;
}

static int run_kind(struct fs *fs, enum retention_kind kind, uint32_t keep, int64_t now_s)
{
    struct names names = { .kind = kind };
    struct fs_snapshot made;
    char due[RETENTION_NAME_SIZE];
    retention_name(kind, now_s, due);
    int err = fs_snapshot_list(fs, note_name, &names);
    if (err == 0)
        err = names.err;
    bool is_there = false;
    for (size_t i = 0; i < names.count; i++)
        is_there = is_there || strcmp(names.items[i], due) == 0;
    if (err == 0 && !is_there) {
        err = fs_snapshot_create(fs, slice_str(due), &made);
        if (err == -EEXIST)
            err = 0;
    }
    size_t have = names.count + !is_there;
    for (size_t i = 0; err == 0 && i < names.count && have > keep; i++, have--) {
        err = fs_snapshot_delete(fs, slice_str(names.items[i]));
        if (err == -ENOENT)
            err = 0;
    }
    free(names.items);
    return err;
}

int retention_run(struct fs *fs, const struct retention *retention, int64_t now_s)
{
    int err = 0;
    for (unsigned kind = 0; kind < RETAIN_KINDS; kind++) {
        int result = retention->keep[kind] == 0
                         ? 0
                         : run_kind(fs, (enum retention_kind)kind, retention->keep[kind], now_s);
        err = err < 0 ? err : result;
    }
    return err;
}
