/*
 * cli/files/cmd_quota.c - shoal quota: limits of what may lie below a directory (room: cli).
 *
 * They are the service's own operations (docs/compat-api.md), called with the administrator's keys.
 */
#include <inttypes.h>
#include <time.h>

#include "base/clock.h"
#include "base/text.h"
#include "cli/api_query.h"
#include "cli/files/format.h"
#include "cli/files/remote.h"

#define SERVICE     "shoal"
#define SPACE       "Shoal_20261128"
#define HTTP_ERROR  400
#define GRACE_S_DAY 86400u

/* The limits as the person wrote them; NULL: none. */
struct limits {
    const char *bytes, *soft_bytes;
    const char *entries, *soft_entries;
    const char *grace_days;
};

static int add_number(json_t *body, const char *name, const char *text)
{
    uint64_t value;
    if (text == NULL)
        return CLI_OK;
    if (text_parse_size(text, INT64_MAX, &value) < 0)
        return cli_usage("A limit is a number such as 1000, 5M or 50GiB, not %s.", text);
    if (json_object_set_new(body, name, json_integer((json_int_t)value)) < 0)
        return cli_fail("There is no memory left.");
    return CLI_OK;
}

static int add_limits(json_t *body, const struct limits *limits)
{
    uint64_t days = 0;
    int status = add_number(body, "HardBytes", limits->bytes);
    if (status == CLI_OK)
        status = add_number(body, "SoftBytes", limits->soft_bytes);
    if (status == CLI_OK)
        status = add_number(body, "HardEntries", limits->entries);
    if (status == CLI_OK)
        status = add_number(body, "SoftEntries", limits->soft_entries);
    if (status != CLI_OK || limits->grace_days == NULL)
        return status;
    if (text_parse_u64(limits->grace_days, UINT32_MAX / GRACE_S_DAY, &days) < 0)
        return cli_usage("--grace takes a number of days, not %s.", limits->grace_days);
    json_int_t grace_s = (json_int_t)days * GRACE_S_DAY;
    if (json_object_set_new(body, "GraceSeconds", json_integer(grace_s)) < 0)
        return cli_fail("There is no memory left.");
    return CLI_OK;
}

static uint64_t number_of(const json_t *quota, const char *name)
{
    return (uint64_t)json_integer_value(json_object_get(quota, name));
}

/* "12.0 MiB of 50.0 GiB, soft 40.0 GiB (passed; 3 days left)" */
static void print_line(const json_t *quota, const char *what, uint64_t over_since_s)
{
    char name[32];
    char text[3][FORMAT_SIZE];
    const char *const fields[] = { "Used", "Hard", "Soft" };
    bool in_bytes = what[0] == 'B';
    uint64_t values[3];
    for (unsigned i = 0; i < 3; i++) {
        (void)snprintf(name, sizeof name, "%s%s", fields[i], what); /* fits */
        values[i] = number_of(quota, name);
        if (in_bytes)
            (void)format_bytes(text[i], values[i]);
        else
            (void)format_count(text[i], values[i]);
    }
    (void)printf("  %-8s %s", in_bytes ? "bytes" : "entries", text[0]);
    if (values[1] != 0)
        (void)printf(" of %s", text[1]);
    if (values[2] != 0)
        (void)printf(", soft %s", text[2]);
    if (over_since_s != 0) {
        uint64_t end_s = over_since_s + number_of(quota, "GraceSeconds");
        uint64_t now_s = (uint64_t)clock_wall_s();
        if (end_s > now_s)
            (void)printf(" (passed; hard in %" PRIu64 " hours)", (end_s - now_s + 3599) / 3600);
        else
            (void)printf(" (passed for too long: hard)");
    }
    (void)putchar('\n');
}

static int print_quota(const char *word, json_t *quota, bool as_json)
{
    if (as_json)
        return format_print_json(json_incref(quota));
    format_print_name(word);
    (void)putchar('\n');
    print_line(quota, "Bytes", number_of(quota, "BytesOverSince"));
    print_line(quota, "Entries", number_of(quota, "EntriesOverSince"));
    return fflush(stdout) == 0 ? CLI_OK : cli_fail("Cannot write to the output.");
}

static int call(struct remotes *remotes, const char *target, const char *word, json_t *body,
    struct api_reply *out_reply)
{
    struct place place;
    const char *id = NULL;
    int status = place_parse_remote(word, &place);
    if (status == CLI_OK && place.kind != PLACE_FILE_SYSTEM)
        return cli_usage("Quotas are set through the service: name a file system, as in "
                         "default:/dir, not an address.");
    if (status == CLI_OK)
        status = remotes_file_system_id(remotes, place.host, &id);
    if (status != CLI_OK)
        return status;
    if (json_object_set_new(body, "FileSystemId", json_string(id)) < 0 ||
        json_object_set_new(body, "Path", json_string(place.path)) < 0)
        return cli_fail("There is no memory left, or the path is no UTF-8.");
    status = api_target(&remotes->api, SERVICE, target, body, out_reply);
    if (status == CLI_OK && out_reply->status >= HTTP_ERROR) {
        status = api_fail(out_reply, "the quota");
        api_reply_fini(out_reply);
    }
    return status;
}

struct verb {
    const char *name;
    const char *target;
    bool takes_limits;
};

static const struct verb verbs[] = {
    { "set", SPACE ".SetQuota", true },
    { "show", SPACE ".GetQuota", false },
    { "clear", SPACE ".DeleteQuota", false },
};

static const struct verb *find_verb(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
        if (strcmp(verbs[i].name, name) == 0)
            return &verbs[i];
    }
    return NULL;
}

static int run(struct remotes *remotes, const struct verb *verb, const char *word,
    const struct limits *limits, bool as_json)
{
    struct api_reply reply = { 0 };
    json_t *body = json_object();
    int status = verb->takes_limits ? add_limits(body, limits) : CLI_OK;
    if (status == CLI_OK)
        status = call(remotes, verb->target, word, body, &reply);
    json_decref(body);
    if (status == CLI_OK && json_object_size(reply.body) > 0)
        status = print_quota(word, reply.body, as_json);
    api_reply_fini(&reply);
    return status;
}

int cmd_quota(int argc, char **argv)
{
    struct limits limits = { 0 };
    bool as_json = false;
    struct remote_options options = { 0 };
    struct cli_option rows[] = { { .name = "--data", .value = &options.data },
        { .name = "--json", .is_given = &as_json }, { .name = "--bytes", .value = &limits.bytes },
        { .name = "--soft-bytes", .value = &limits.soft_bytes },
        { .name = "--entries", .value = &limits.entries },
        { .name = "--soft-entries", .value = &limits.soft_entries },
        { .name = "--grace", .value = &limits.grace_days } };
    int status = cli_parse(rows, ARRAY_SIZE(rows), &argc, argv);
    if (status != CLI_OK)
        return status;
    const struct verb *verb = argc == 3 ? find_verb(argv[1]) : NULL;
    if (verb == NULL)
        return cli_usage("`quota` takes set, show or clear, and a directory: shoal quota set "
                         "default:/team --bytes 50GiB");
    bool has_limits = limits.bytes != NULL || limits.soft_bytes != NULL || limits.entries != NULL ||
                      limits.soft_entries != NULL;
    if (verb->takes_limits != has_limits)
        return cli_usage(verb->takes_limits ? "Which limit? For example: --bytes 50GiB"
                                            : "Limits are given to `quota set` only.");
    struct remotes remotes;
    remotes_init(&remotes, &options);
    status = run(&remotes, verb, argv[2], &limits, as_json);
    remotes_close(&remotes);
    return status;
}
