/*
 * datastore/check.c - what both backends ask of names, JSON, metadata and rules; work in parallel (room: datastore).
 */
#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "datastore/datastore.h"
#include "datastore/json.h"

#define THREADS_MAX 64u

int64_t data_now_s(void)
{
    return clock_wall().seconds;
}

/* ---- Names ---- */

/* The bytes of the character at `text`, which ends with a NUL; 0: it is no UTF-8. */
static size_t utf8_size(const unsigned char *text)
{
    return json_utf8_size(text, strnlen((const char *)text, 4));
}

/* A name for a message: cut, and with '?' for what is not printable ASCII or UTF-8. */
static void show_name(char *to, size_t size, const char *name)
{
    size_t used = 0;
    for (size_t i = 0; name[i] != '\0' && used + 8 < size;) {
        size_t bytes = utf8_size((const unsigned char *)name + i);
        bool is_plain =
            bytes > 1 || (bytes == 1 && (unsigned char)name[i] >= 0x20 && name[i] != 0x7F);
        if (!is_plain) {
            to[used++] = '?';
            i++;
            continue;
        }
        memcpy(to + used, name + i, bytes);
        used += bytes;
        i += bytes;
    }
    to[used] = '\0';
}

static int32_t refuse(
    struct shoal_data_error *error, const char *what, const char *name, const char *why)
{
    char shown[4 * DATA_NAME_SIZE_MAX];
    show_name(shown, sizeof shown, name);
    return data_fail(error, SHOAL_DATA_INVALID, "The %s \"%s\" %s.", what, shown, why);
}

/* What is wrong with the parts between '/'; NULL: nothing. */
static const char *check_parts(const char *name)
{
    for (const char *part = name;; part++) {
        size_t size = strcspn(part, "/");
        if (size == 0)
            return "has an empty part between '/'";
        if ((size == 1 && part[0] == '.') || (size == 2 && part[0] == '.' && part[1] == '.'))
            return "has a part that leads out of its directory";
        part += size;
        if (*part == '\0')
            return NULL;
    }
}

int32_t data_check_name(const char *what, const char *name, struct shoal_data_error *error)
{
    if (name == NULL || name[0] == '\0')
        return data_fail(error, SHOAL_DATA_INVALID, "The %s is missing.", what);
    size_t size = strnlen(name, DATA_NAME_SIZE_MAX + 1);
    if (size > DATA_NAME_SIZE_MAX)
        return refuse(error, what, name, "has more than 64 bytes");
    if (name[0] == '.' || name[0] == '/' || name[0] == ' ')
        return refuse(error, what, name, "begins with '.', '/' or a blank");
    if (name[size - 1] == ' ')
        return refuse(error, what, name, "ends with a blank");
    for (size_t i = 0; i < size;) {
        size_t bytes = utf8_size((const unsigned char *)name + i);
        if (bytes == 0)
            return refuse(error, what, name, "is not UTF-8");
        bool is_c1 =
            bytes == 2 && (unsigned char)name[i] == 0xC2 && (unsigned char)name[i + 1] < 0xA0;
        if ((unsigned char)name[i] < 0x20 || name[i] == 0x7F || is_c1)
            return refuse(error, what, name, "has a control character");
        if (name[i] == '\\')
            return refuse(error, what, name, "has a '\\'");
        i += bytes;
    }
    const char *why = check_parts(name);
    return why == NULL ? SHOAL_DATA_OK : refuse(error, what, name, why);
}

int32_t data_check_timeframe(const char *timeframe, struct shoal_data_error *error)
{
    if (timeframe == NULL || timeframe[0] == '\0')
        return data_fail(error, SHOAL_DATA_INVALID, "The timeframe is missing.");
    size_t size = strnlen(timeframe, DATA_TIMEFRAME_SIZE_MAX + 1);
    size_t digits = strspn(timeframe, "0123456789");
    size_t letters =
        strspn(timeframe + digits, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");
    if (size > DATA_TIMEFRAME_SIZE_MAX || digits == 0 || letters == 0 || digits + letters != size)
        return refuse(error, "timeframe", timeframe,
            "is not digits followed by letters, such as 1m, 5m, 1h or 1d, of 12 bytes at most");
    return SHOAL_DATA_OK;
}

/* ---- JSON ---- */

int32_t data_check_json(const char *json, uint64_t json_size, struct shoal_data_error *error)
{
    if (json == NULL || json_size == 0)
        return data_fail(error, SHOAL_DATA_INVALID, "The JSON text is empty.");
    if (json_size > SHOAL_DATA_JSON_SIZE_MAX)
        return data_fail(error, SHOAL_DATA_INVALID,
            "The JSON text has %llu bytes; the most is %llu.", (unsigned long long)json_size,
            (unsigned long long)SHOAL_DATA_JSON_SIZE_MAX);
    struct json_problem problem;
    if (json_is_valid(json, (size_t)json_size, false, &problem))
        return SHOAL_DATA_OK;
    size_t line = 1;
    size_t column = 1;
    for (size_t i = 0; i < problem.offset; i++) {
        column = json[i] == '\n' ? 1 : column + 1;
        line += json[i] == '\n';
    }
    return data_fail(error, SHOAL_DATA_INVALID, "The text is no JSON: line %zu column %zu has %s.",
        line, column, problem.reason);
}

char *data_metadata_text(const char *metadata_json, int64_t saved_s, const char *path,
    uint64_t version, uint64_t size_bytes)
{
    char saved_at[40];
    struct tm parts;
    time_t seconds = (time_t)saved_s;
    if (gmtime_r(&seconds, &parts) == NULL)
        return NULL;
    (void)strftime(saved_at, sizeof saved_at, "%Y-%m-%dT%H:%M:%S+00:00", &parts); /* fits */
    json_t *metadata = json_loads(metadata_json, JSON_ALLOW_NUL, NULL);
    if (metadata == NULL)
        return NULL;
    char *text = NULL;
    if (json_object_set_new(metadata, "saved_at", json_string(saved_at)) == 0 &&
        json_object_set_new(metadata, "checkpoint_path", json_string(path)) == 0 &&
        json_object_set_new(metadata, "version", json_integer((json_int_t)version)) == 0 &&
        json_object_set_new(metadata, "size_bytes", json_integer((json_int_t)size_bytes)) == 0)
        text = json_dumps(metadata, JSON_INDENT(2));
    json_decref(metadata);
    return text;
}

/* ---- Rules of clean-up ---- */

/* Whether `directory` is `above` or lies below it. */
static bool is_below(const char *directory, const char *above)
{
    size_t size = strlen(above);
    return strncmp(directory, above, size) == 0 &&
           (directory[size] == '\0' || directory[size] == '/');
}

int64_t data_clean_days(const struct shoal_data_clean_options *options, const char *directory)
{
    int64_t days = options->days;
    size_t longest = 0;
    for (uint64_t i = 0; i < options->rule_count; i++) {
        const struct shoal_data_clean_rule *rule = &options->rules[i];
        size_t size = strlen(rule->directory);
        if (size >= longest && is_below(directory, rule->directory)) {
            longest = size;
            days = rule->days;
        }
    }
    return days;
}

bool data_is_clean_directory(const char *directory)
{
    static const char *const tops[] = { "market_data", "results", "logs" };
    size_t size = strlen(directory);
    if (size > 512 || directory[size - 1] == '/' || check_parts(directory) != NULL)
        return false;
    for (size_t i = 0; i < ARRAY_SIZE(tops); i++) {
        if (is_below(directory, tops[i]))
            return true;
    }
    return false;
}

/* ---- Work in parallel ---- */

struct parallel {
    _Atomic uint64_t next;
    uint64_t count;
    void (*run)(void *context, uint64_t index);
    void *context;
};

static void *work(void *argument)
{
    struct parallel *parallel = argument;
    for (;;) {
        uint64_t index = atomic_fetch_add(&parallel->next, 1);
        if (index >= parallel->count)
            return NULL;
        parallel->run(parallel->context, index);
    }
}

void data_parallel(
    unsigned threads, uint64_t count, void (*run)(void *context, uint64_t index), void *context)
{
    struct parallel parallel = { .count = count, .run = run, .context = context };
    pthread_t started[THREADS_MAX];
    unsigned wanted = threads < THREADS_MAX ? threads : THREADS_MAX;
    unsigned running = 0;
    while (running + 1 < wanted && running + 1 < count &&
           pthread_create(&started[running], NULL, work, &parallel) == 0)
        running++;
    (void)work(&parallel);
    while (running > 0)
        (void)pthread_join(started[--running], NULL); /* it was started, and is joined once */
}
