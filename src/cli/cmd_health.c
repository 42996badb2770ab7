/*
 * cli/cmd_health.c - shoal health: for people, monitoring and the health checks of containers (room: cli).
 */
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>

#include "base/text.h"
#include "cli/cli.h"
#include "mount/health.h"

#define PATHS_MAX       32
#define LIMIT_S_DEFAULT 10
#define LIMIT_S_MAX     3600
#define SIZE_DEFAULT    4096
#define NS_PER_MS       1000000.0
#define LATENCY_MS_MAX  3600000u

struct words {
    const char *format;
    const char *limit;
    const char *size;
    const char *max_write;
    const char *max_read;
    bool json;
    bool read_only;
    bool require_mount;
    bool quiet;
    /* of those above, read */
    uint64_t limit_s;
    uint64_t size_bytes;
    uint64_t max_write_ms;
    uint64_t max_read_ms;
};

static int read_words(struct words *words, int *argc, char **argv)
{
    const struct cli_option options[] = { { "-o", &words->format, NULL },
        { "--json", NULL, &words->json }, { "--timeout", &words->limit, NULL },
        { "--size", &words->size, NULL }, { "--max-write-ms", &words->max_write, NULL },
        { "--max-read-ms", &words->max_read, NULL }, { "--read-only", NULL, &words->read_only },
        { "--require-mount", NULL, &words->require_mount }, { "-q", NULL, &words->quiet } };
    int status = cli_parse(options, ARRAY_SIZE(options), argc, argv);
    if (status == CLI_OK && *argc < 2)
        status = cli_usage("`health` needs a directory; see shoal health --help.");
    if (status == CLI_OK && *argc > PATHS_MAX + 1)
        status = cli_usage("More than %d directories at once are too many.", PATHS_MAX);
    if (status == CLI_OK && words->format != NULL && strcmp(words->format, "json") != 0 &&
        strcmp(words->format, "text") != 0)
        status = cli_usage("-o takes json or text, not %s.", words->format);
    words->json = words->json || (words->format != NULL && strcmp(words->format, "json") == 0);
    words->limit_s = LIMIT_S_DEFAULT;
    words->size_bytes = SIZE_DEFAULT;
    words->max_write_ms = words->max_read_ms = LATENCY_MS_MAX;
    if (status == CLI_OK)
        status = cli_number("--timeout", words->limit, 1, LIMIT_S_MAX, &words->limit_s);
    if (status == CLI_OK)
        status = cli_number("--size", words->size, 1, HEALTH_SIZE_MAX, &words->size_bytes);
    if (status == CLI_OK)
        status =
            cli_number("--max-write-ms", words->max_write, 1, LATENCY_MS_MAX, &words->max_write_ms);
    if (status == CLI_OK)
        status =
            cli_number("--max-read-ms", words->max_read, 1, LATENCY_MS_MAX, &words->max_read_ms);
    return status;
}

/* One word for what was found: healthy, slow, read-only, not-mounted, hung, unhealthy. */
static const char *status_of(
    const struct words *words, const struct health *health, const struct health_result *result)
{
    if (words->require_mount && !mountinfo_is_nfs(&health->mount))
        return "not-mounted";
    if (result->err == -ETIMEDOUT)
        return "hung";
    if (result->readable && (result->err == -EROFS || result->err == -EACCES))
        return "read-only";
    if (result->err < 0)
        return "unhealthy";
    if (result->write_ns > words->max_write_ms * (uint64_t)NS_PER_MS ||
        result->read_ns > words->max_read_ms * (uint64_t)NS_PER_MS)
        return "slow";
    return "healthy";
}

static bool is_good(const char *status)
{
    return strcmp(status, "healthy") == 0;
}

/* What mends it, as the end of a line; "" when nothing is wrong. */
static void write_reason(const struct words *words, const struct health *health,
    const struct health_result *result, char *out, size_t size)
{
    const char *status = status_of(words, health, result);
    out[0] = '\0';
    if (strcmp(status, "not-mounted") == 0) {
        (void)snprintf(out, size,
            "no NFS file system is mounted there: what is written goes to the disk of this "
            "machine. "
            "Mount it (shoal mount), or start the container after the mount");
    } else if (strcmp(status, "hung") == 0) {
        (void)snprintf(out, size,
            "no answer within %" PRIu64
            " s%s. shoal doctor %s tells why; shoal remount %s makes it new",
            words->limit_s, result->is_stuck ? ", and the probe cannot even be killed" : "",
            health->request.path, health->request.path);
    } else if (strcmp(status, "slow") == 0) {
        (void)snprintf(out, size, "it works, but slower than allowed");
    } else if (result->err == -EBADMSG) {
        (void)snprintf(out, size, "other data was read than was written");
    } else if (result->err < 0) {
        (void)snprintf(out, size, "%s: %s%s", result->step, strerrordesc_np(-result->err),
            result->err == -EROFS ? " (--read-only takes that for healthy)" : "");
    }
}

static void print_text(
    const struct words *words, const struct health *health, const struct health_result *result)
{
    char reason[512];
    const char *status = status_of(words, health, result);
    write_reason(words, health, result, reason, sizeof reason);
    (void)printf("%s  %s", health->request.path, status);
    if (result->write_ns > 0)
        (void)printf("  write %.1f ms", (double)result->write_ns / NS_PER_MS);
    if (result->read_ns > 0)
        (void)printf("  read %.1f ms", (double)result->read_ns / NS_PER_MS);
    (void)printf("  mount %s (%s %s)  %s\n",
        health->mount.type[0] != '\0' ? health->mount.point : "?", health->mount.type,
        health->mount.source,
        result->writable   ? "readable, writable"
        : result->readable ? "readable"
                           : "not accessible");
    if (reason[0] != '\0')
        (void)printf("  %s.\n", reason);
}

static json_t *latency(uint64_t ns)
{
    uint64_t us = ns / 1000;
    return ns > 0 ? json_real((double)us / 1000.0) : json_null();
}

static json_t *json_of(
    const struct words *words, const struct health *health, const struct health_result *result)
{
    char reason[512];
    const char *status = status_of(words, health, result);
    write_reason(words, health, result, reason, sizeof reason);
    json_t *json = json_pack("{s:s, s:s, s:b, s:o, s:o, s:s, s:s, s:s, s:b, s:b, s:b, s:b}", "path",
        health->request.path, "status", status, "healthy", is_good(status), "write_latency_ms",
        latency(result->write_ns), "read_latency_ms", latency(result->read_ns), "mount_path",
        health->mount.type[0] != '\0' ? health->mount.point : "", "source", health->mount.source,
        "type", health->mount.type, "is_nfs", mountinfo_is_nfs(&health->mount), "accessible",
        result->readable || result->writable, "readable", result->readable, "writable",
        result->writable);
    if (json == NULL)
        return NULL;
    (void)json_object_set_new(json, "total_bytes", json_integer((json_int_t)result->total_bytes));
    (void)json_object_set_new(json, "free_bytes", json_integer((json_int_t)result->free_bytes));
    (void)json_object_set_new(json, "error", reason[0] != '\0' ? json_string(reason) : json_null());
    return json;
}

static int print_json(json_t *list, bool healthy)
{
    json_t *json = json_pack("{s:b, s:o}", "healthy", healthy, "paths", list);
    int status =
        json != NULL && json_dumpf(json, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6)) == 0
            ? CLI_OK
            : cli_fail("Cannot write the result.");
    (void)fputc('\n', stdout);
    json_decref(json);
    return status;
}

static int probe_all(const struct words *words, int count, char **paths, struct health *list)
{
    json_t *json = json_array();
    bool healthy = true;
    for (int i = 0; i < count; i++) {
        const struct health_request request = {
            .path = paths[i], .size = (uint32_t)words->size_bytes, .read_only = words->read_only
        };
        int err = health_start(&list[i], &request);
        if (err < 0) {
            json_decref(json);
            return cli_fail("Cannot look at %s: %s.", paths[i], strerrordesc_np(-err));
        }
    }
    uint64_t deadline_ms = child_now_ms() + words->limit_s * 1000;
    for (int i = 0; i < count; i++) {
        struct health_result result;
        health_finish(&list[i], deadline_ms, &result);
        healthy = healthy && is_good(status_of(words, &list[i], &result));
        if (words->json)
            (void)json_array_append_new(json, json_of(words, &list[i], &result));
        else if (!words->quiet)
            print_text(words, &list[i], &result);
    }
    int status = words->json ? print_json(json, healthy) : CLI_OK;
    if (!words->json)
        json_decref(json);
    if (status != CLI_OK)
        return status;
    return healthy ? CLI_OK : CLI_FAILED;
}

int cmd_health(int argc, char **argv)
{
    struct words words = { 0 };
    int status = read_words(&words, &argc, argv);
    if (status != CLI_OK)
        return status;
    struct health *list = calloc((size_t)argc - 1, sizeof *list);
    if (list == NULL)
        return cli_fail("There is no memory left.");
    status = probe_all(&words, argc - 1, argv + 1, list);
    free(list);
    return status;
}
