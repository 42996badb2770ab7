/*
 * cli/cmd_audit.c - shoal audit: what the audit log of a data directory says (room: cli).
 *
 * It reads the files themselves (auth/audit.h), the oldest first, so it works whether the service runs or not. A line
 * that is not whole, as the last one may be while it is written, is passed over.
 */
#include <fnmatch.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

#include "auth/audit.h"
#include "base/sys.h"
#include "base/text.h"
#include "cli/cli.h"
#include "cli/instance.h"

#define NAME_SIZE  64
#define TIME_SIZE  32
#define UNIT_COUNT 4

/* What is asked for; NULL and false: whatever. */
struct question {
    const char *since;
    const char *until;
    const char *action;
    const char *user;
    const char *resource;
    const char *limit;
    bool denied;
    bool mounts;
    bool as_json;
    char since_text[TIME_SIZE]; /* ISO 8601, which sorts as text */
    uint64_t limit_count;
};

/* A text that fits `pattern`, or has it as its last part after '/' or ':'. Patterns are those of the shell. */
static bool fits(const char *pattern, const char *text)
{
    if (pattern == NULL)
        return true;
    if (text == NULL)
        return false;
    if (fnmatch(pattern, text, FNM_CASEFOLD) == 0)
        return true;
    const char *slash = strrchr(text, '/');
    const char *colon = strrchr(text, ':');
    return (slash != NULL && fnmatch(pattern, slash + 1, FNM_CASEFOLD) == 0) ||
           (colon != NULL && fnmatch(pattern, colon + 1, FNM_CASEFOLD) == 0);
}

static const char *text_of(const json_t *line, const char *name)
{
    return json_string_value(json_object_get(line, name));
}

static bool is_wanted(const struct question *question, const json_t *line)
{
    const char *time = text_of(line, "time");
    const char *event = text_of(line, "event");
    if (time == NULL || event == NULL)
        return false;
    if (question->since != NULL && strcmp(time, question->since_text) < 0)
        return false;
    if (question->until != NULL && strcmp(time, question->until) > 0)
        return false;
    if (question->denied && !json_is_true(json_object_get(line, "denied")))
        return false;
    if (question->mounts && strcmp(event, "mount") != 0)
        return false;
    return fits(question->action, text_of(line, "action")) &&
           fits(question->user, text_of(line, "principal")) &&
           (question->resource == NULL || fits(question->resource, text_of(line, "resource")) ||
               fits(question->resource, text_of(line, "created")) ||
               fits(question->resource, text_of(line, "file_system")) ||
               fits(question->resource, text_of(line, "access_point")));
}

/* Control bytes of what strangers sent do not reach the terminal. */
static const char *shown(const char *text, char *buffer, size_t size)
{
    size_t i = 0;
    for (; text != NULL && text[i] != '\0' && i + 1 < size; i++)
        buffer[i] = text[i];
    for (size_t j = 0; j < i; j++) {
        if ((unsigned char)buffer[j] < ' ' || buffer[j] == 0x7f)
            buffer[j] = '?';
    }
    buffer[i] = '\0';
    return i > 0 ? buffer : "-";
}

static void print_line(const struct question *question, const json_t *line)
{
    char time[TIME_SIZE];
    char who[160];
    char what[64];
    char where[160];
    char result[64];
    char source[64];
    if (question->as_json) {
        (void)json_dumpf(line, stdout, JSON_COMPACT); /* a failure shows at fflush() */
        (void)putchar('\n');
        return;
    }
    const char *event = text_of(line, "event");
    bool is_mount = strcmp(event, "mount") == 0;
    bool is_certificate = strcmp(event, "certificate") == 0;
    if (strcmp(event, "lost") == 0) {
        (void)printf("%-24s  (%lld lines were lost here)\n",
            shown(text_of(line, "time"), time, sizeof time),
            (long long)json_integer_value(json_object_get(line, "count")));
        return;
    }
    const char *principal = text_of(line, "principal");
    (void)printf("%-24s  %-15s  %-40s  %-28s  %-20s  %s\n",
        shown(text_of(line, "time"), time, sizeof time),
        shown(text_of(line, "source"), source, sizeof source),
        shown(principal != NULL ? principal : text_of(line, "key"), who, sizeof who),
        is_mount         ? "(mount)"
        : is_certificate ? "(certificate)"
                         : shown(text_of(line, "action"), what, sizeof what),
        shown(text_of(line, "result"), result, sizeof result),
        shown(text_of(line, is_mount || is_certificate ? "file_system" : "resource"), where,
            sizeof where));
}

static int read_one(int dir_fd, const char *name, struct question *question, json_t *kept)
{
    int fd = sys_openat(dir_fd, name, O_RDONLY | O_CLOEXEC, 0);
    FILE *file = fd < 0 ? NULL : fdopen(fd, "r");
    char *text = NULL;
    size_t capacity = 0;
    int status = CLI_OK;
    if (file == NULL)
        return cli_fail("Cannot read %s: %m.", name);
    while (status == CLI_OK && getline(&text, &capacity, file) > 0) {
        json_t *line = json_loads(text, 0, NULL);
        if (line == NULL || !is_wanted(question, line)) {
            json_decref(line);
            continue;
        }
        if (json_array_append_new(kept, line) < 0)
            status = cli_fail("There is no memory left.");
        if (json_array_size(kept) > question->limit_count)
            (void)json_array_remove(kept, 0); /* the newest are shown; it is there */
    }
    free(text);
    (void)fclose(file); /* only read */
    return status;
}

static int read_all(int data_fd, struct question *question)
{
    char name[NAME_SIZE];
    struct stat st;
    int status = CLI_OK;
    if (fstatat(data_fd, AUDIT_DIRECTORY, &st, 0) < 0)
        return cli_fail("There is no audit log in this data directory: no service of this release "
                        "has run on it, or audit.size is 0.");
    json_t *kept = json_array();
    for (unsigned i = AUDIT_FILES_MAX; status == CLI_OK && i > 0; i--) {
        (void)snprintf(name, sizeof name, AUDIT_DIRECTORY "/" AUDIT_FILE ".%u", i);
        if (fstatat(data_fd, name, &st, 0) == 0)
            status = read_one(data_fd, name, question, kept);
    }
    (void)snprintf(name, sizeof name, AUDIT_DIRECTORY "/" AUDIT_FILE);
    if (status == CLI_OK && fstatat(data_fd, name, &st, 0) == 0)
        status = read_one(data_fd, name, question, kept);
    for (size_t i = 0; status == CLI_OK && i < json_array_size(kept); i++)
        print_line(question, json_array_get(kept, i));
    if (status == CLI_OK && fflush(stdout) != 0)
        status = cli_fail("Cannot write to the output.");
    json_decref(kept);
    return status;
}

/* "15m", "2h", "7d": so long ago; else a beginning of an ISO time in UTC. */
static int take_since(struct question *question)
{
    static const struct {
        char unit;
        int64_t seconds;
    } units[UNIT_COUNT] = { { 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 } };
    const char *text = question->since;
    size_t digits = strspn(text, "0123456789");
    for (size_t i = 0; i < UNIT_COUNT; i++) {
        if (digits == 0 || digits > 9 || text[digits] != units[i].unit || text[digits + 1] != '\0')
            continue;
        time_t then = time(NULL) - (time_t)(strtoll(text, NULL, 10) * units[i].seconds);
        struct tm tm;
        (void)strftime(question->since_text, TIME_SIZE, "%Y-%m-%dT%H:%M:%S", gmtime_r(&then, &tm));
        return CLI_OK;
    }
    if (digits != 4 || strspn(text, "0123456789-:.TZ") != strlen(text) ||
        text_copy(question->since_text, TIME_SIZE, text) < 0)
        return cli_usage("--since takes 30s, 15m, 2h, 7d, or a time in UTC: 2026-01-02T03:04:05.");
    return CLI_OK;
}

int cmd_audit(int argc, char **argv)
{
    const char *data = NULL;
    const char *format = NULL;
    struct question question = { .limit_count = 1000 };
    const struct cli_option options[] = { { "--data", &data, NULL },
        { "--since", &question.since, NULL }, { "--until", &question.until, NULL },
        { "--action", &question.action, NULL }, { "--user", &question.user, NULL },
        { "--resource", &question.resource, NULL }, { "--limit", &question.limit, NULL },
        { "--denied", NULL, &question.denied }, { "--mounts", NULL, &question.mounts },
        { "-o", &format, NULL } };
    int status = cli_parse(options, ARRAY_SIZE(options), &argc, argv);
    if (status != CLI_OK)
        return status;
    if (argc > 1)
        return cli_usage("`audit` takes no word %s; see shoal audit --help.", argv[1]);
    question.as_json = format != NULL && strcmp(format, "json") == 0;
    if (format != NULL && !question.as_json && strcmp(format, "table") != 0)
        return cli_usage("-o takes table or json, not %s.", format);
    if (question.limit != NULL &&
        text_parse_u64(question.limit, 1000000, &question.limit_count) < 0)
        return cli_usage("--limit takes a number up to 1000000, not %s.", question.limit);
    if (question.since != NULL && take_since(&question) != CLI_OK)
        return CLI_USAGE;
    struct instance instance;
    status = instance_open(data, &instance);
    if (status != CLI_OK)
        return status;
    status = read_all(instance.dir_fd, &question);
    instance_close(&instance);
    return status;
}
