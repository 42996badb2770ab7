/*
 * cli/cmd_hosts.c - shoal hosts: the DNS names of file systems as lines of /etc/hosts (room: cli).
 */
#include <stdlib.h>

#include "cli/api.h"
#include "cli/cli.h"
#include "cli/hosts_file.h"

#define QUERY_SIZE 256
#define ZONE_SIZE  (4 + 64 + 1 + 256)

struct wish {
    const char *data;
    const char *path; /* of --write; NULL: print */
    const char
        *zone_name; /* whose target the plain name means; NULL: the first by name that has one */
};

static const char *text_of(const json_t *json, const char *name)
{
    const char *text = json_string_value(json_object_get(json, name));
    return text != NULL ? text : "";
}

/* Whether letters, digits, '.', '-' and ':' are all that the service gave: what goes into a file of root's is looked at first. */
static bool is_plain(const char *text)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-:";
    return text[0] != '\0' && text[strspn(text, plain)] == '\0';
}

static bool is_usable(const json_t *target)
{
    return strcmp(text_of(target, "LifeCycleState"), "available") == 0 &&
           is_plain(text_of(target, "IpAddress")) &&
           is_plain(text_of(target, "AvailabilityZoneName")) &&
           is_plain(text_of(target, "AvailabilityZoneId")) &&
           is_plain(text_of(target, "FileSystemId"));
}

/* The zone whose target the name without a zone means: the first by name that has one; NULL: none has. */
static const char *first_zone(const json_t *targets)
{
    const char *first = NULL;
    for (size_t i = 0; i < json_array_size(targets); i++) {
        const json_t *target = json_array_get(targets, i);
        const char *zone_name = text_of(target, "AvailabilityZoneName");
        if (is_usable(target) && (first == NULL || strcmp(zone_name, first) < 0))
            first = zone_name;
    }
    return first;
}

static void write_targets(
    const struct wish *wish, const char *zone, const json_t *targets, FILE *to)
{
    const char *plain_zone = wish->zone_name != NULL ? wish->zone_name : first_zone(targets);
    for (size_t i = 0; i < json_array_size(targets); i++) {
        const json_t *target = json_array_get(targets, i);
        if (!is_usable(target))
            continue;
        const char *id = text_of(target, "FileSystemId");
        const char *zone_name = text_of(target, "AvailabilityZoneName");
        (void)fprintf(to, "%s", text_of(target, "IpAddress"));
        if (strcmp(plain_zone, zone_name) == 0)
            (void)fprintf(to, " %s.%s", id, zone);
        (void)fprintf(to, " %s.%s.%s %s.%s.%s\n", zone_name, id, zone,
            text_of(target, "AvailabilityZoneId"), id, zone);
    }
}

static int write_file_system(
    const struct wish *wish, const struct api *api, const char *zone, const char *fs_id, FILE *to)
{
    char query[QUERY_SIZE];
    (void)snprintf(query, sizeof query, "FileSystemId=%s&MaxItems=100", fs_id);
    struct api_reply reply;
    int status = api_call(api,
        &(struct api_call){ .method = "GET", .path = "/mount-targets", .query = query }, &reply);
    if (status != CLI_OK)
        return status;
    if (reply.status >= 300)
        status = api_fail(&reply, "The mount targets cannot be listed");
    else
        write_targets(wish, zone, json_object_get(reply.body, "MountTargets"), to);
    api_reply_fini(&reply);
    return status;
}

/* All lines, as heap text that the caller frees. */
static int make_lines(
    const struct wish *wish, const struct api *api, const char *zone, char **out_lines)
{
    json_t *list = NULL;
    char *lines = NULL;
    size_t size = 0;
    int status = api_list_file_systems(api, &list);
    if (status != CLI_OK)
        return status;
    FILE *to = open_memstream(&lines, &size);
    if (to == NULL)
        status = cli_fail("There is no memory left.");
    for (size_t i = 0; i < json_array_size(list) && status == CLI_OK; i++) {
        const char *fs_id = text_of(json_array_get(list, i), "FileSystemId");
        if (is_plain(fs_id))
            status = write_file_system(wish, api, zone, fs_id, to);
    }
    json_decref(list);
    if (to != NULL && fclose(to) != 0 && status == CLI_OK)
        status = cli_fail("There is no memory left.");
    if (status != CLI_OK) {
        free(lines);
        return status;
    }
    *out_lines = lines;
    return CLI_OK;
}

static int put_lines(const struct wish *wish, const char *zone, const char *lines)
{
    bool changed = false;
    if (wish->path == NULL) {
        (void)fputs(lines, stdout);
        return fflush(stdout) == 0 ? CLI_OK : cli_fail("Cannot write the result.");
    }
    int err = hosts_file_write(wish->path, zone, lines, &changed);
    if (err == -EBADMSG) {
        return cli_fail(
            "%s has marks of shoal hosts that do not belong together: remove the lines \"# begin "
            "of %s, written by shoal hosts\" and \"# end of %s\" with what is between them, and "
            "say this again.",
            wish->path, zone, zone);
    }
    if (err < 0)
        return cli_fail("Cannot write %s: %s.", wish->path, strerrordesc_np(-err));
    (void)printf("%s %s\n", wish->path, changed ? "is written" : "is as it has to be");
    return CLI_OK;
}

static int tell(const struct wish *wish, struct instance *instance)
{
    struct api api;
    char zone[ZONE_SIZE];
    char *lines = NULL;
    int status = instance_require(instance);
    if (status == CLI_OK)
        status = api_open(instance, &api);
    if (status != CLI_OK)
        return status;
    (void)snprintf(zone, sizeof zone, "efs.%s.%s", instance->region, instance->suffix);
    status = make_lines(wish, &api, zone, &lines);
    if (status == CLI_OK)
        status = put_lines(wish, zone, lines);
    free(lines);
    return status;
}

int cmd_hosts(int argc, char **argv)
{
    struct wish wish = { 0 };
    const struct cli_option options[] = { { "--data", &wish.data, NULL },
        { "--write", &wish.path, NULL }, { "--zone", &wish.zone_name, NULL } };
    int status = cli_parse(options, ARRAY_SIZE(options), &argc, argv);
    if (status != CLI_OK)
        return status;
    if (argc > 1)
        return cli_usage("`hosts` takes no word %s; see shoal hosts --help.", argv[1]);
    struct instance instance;
    status = instance_open(wish.data, &instance);
    if (status != CLI_OK)
        return status;
    status = tell(&wish, &instance);
    instance_close(&instance);
    return status;
}
