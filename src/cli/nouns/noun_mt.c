/*
 * cli/nouns/noun_mt.c - shoal mt: mount targets (room: cli).
 *
 * Source: EFS API, CreateMountTarget and those after it.
 */
#include "base/text.h"
#include "cli/nouns/noun_fs.h"

#define PATH_SIZE 256
#define PREFIX    "fsmt-"
#define WHAT      "a mount target"

static const struct noun_column columns[] = {
    { "ID", "MountTargetId", COLUMN_TEXT },
    { "FILE SYSTEM", "FileSystemId", COLUMN_TEXT },
    { "ADDRESS", "IpAddress", COLUMN_TEXT },
    { "ZONE", "AvailabilityZoneName", COLUMN_TEXT },
    { "SUBNET", "SubnetId", COLUMN_TEXT },
    { "STATE", "LifeCycleState", COLUMN_TEXT },
};

int cmd_mt(int argc, char **argv)
{
    return noun_run(argc, argv);
}

/* The mount targets of all file systems; the API gives those of one at a time. */
static int list_all(struct noun_call *call, json_t **out_list)
{
    json_t *systems = NULL;
    json_t *list = json_array();
    int status = api_list_file_systems(&call->api, &systems);
    for (size_t i = 0; i < json_array_size(systems) && status == CLI_OK; i++) {
        json_t *some = NULL;
        status = fs_targets(call, noun_text(json_array_get(systems, i), "FileSystemId"), &some);
        if (status == CLI_OK && json_array_extend(list, some) < 0)
            status = cli_fail("There is no memory left.");
        json_decref(some);
    }
    json_decref(systems);
    if (status == CLI_OK)
        *out_list = list;
    else
        json_decref(list);
    return status;
}

int noun_mt_list(struct noun_call *call)
{
    char id[NOUN_ID_SIZE];
    json_t *list = NULL;
    int status = noun_open(call, NULL, 0, 0, 1);
    if (status == CLI_OK && call->argc == 1)
        status = list_all(call, &list);
    else if (status == CLI_OK && (status = noun_fs_id(call, call->argv[1], id)) == CLI_OK)
        status = fs_targets(call, id, &list);
    return status == CLI_OK ? noun_show_list(call, list, columns, ARRAY_SIZE(columns)) : status;
}

/* Asks for one mount target; a new reference. */
static int describe(struct noun_call *call, const char *id, json_t **out_target)
{
    char query[PATH_SIZE];
    json_t *body = NULL;
    (void)snprintf(query, sizeof query, "MountTargetId=%s", id);
    int status = noun_efs(call,
        &(struct api_call){ .method = "GET", .path = "/mount-targets", .query = query },
        "the mount target", &body);
    if (status == CLI_OK)
        *out_target = json_incref(json_array_get(json_object_get(body, "MountTargets"), 0));
    json_decref(body);
    return status;
}

static int is_available(struct noun_call *call, const void *id, bool *out_done)
{
    json_t *target = NULL;
    int status = describe(call, id, &target);
    *out_done = strcmp(noun_text(target, "LifeCycleState"), "available") == 0;
    json_decref(target);
    return status;
}

/* The default subnet of a zone; the only zone's when `zone` is NULL and there is but one. */
static int subnet_of(const struct noun_call *call, const char *zone, const char **out_subnet)
{
    const struct instance *instance = &call->instance;
    if (zone == NULL)
        return cli_usage("Say where: --zone ZONE or --subnet SUBNET (shoal subnet list).");
    for (size_t i = 0; i < instance->subnet_count; i++) {
        if (strcmp(instance->subnets[i].zone, zone) == 0) {
            *out_subnet = instance->subnets[i].id;
            return CLI_OK;
        }
    }
    return cli_fail("There is no default subnet in %s (shoal subnet list).", zone);
}

/* The words between the commas, as an array; a new reference, or NULL. */
static json_t *words_json(const char *list)
{
    json_t *json = json_array();
    for (const char *at = list; *at != '\0';) {
        size_t size = strcspn(at, ",");
        if (json_array_append_new(json, json_stringn(at, size)) < 0) {
            json_decref(json);
            return NULL;
        }
        at += size;
        at += *at == ',';
    }
    return json;
}

static int make(struct noun_call *call, json_t *body, bool no_wait)
{
    char id[NOUN_ID_SIZE];
    json_t *made = NULL;
    int status = noun_efs(call,
        &(struct api_call){ .method = "POST", .path = "/mount-targets", .query = "", .body = body },
        "the mount target", &made);
    if (status == CLI_OK && text_copy(id, sizeof id, noun_text(made, "MountTargetId")) < 0)
        status = cli_fail("The service gave a mount target id that is too long.");
    if (status == CLI_OK && !no_wait)
        status = noun_wait(call, "The mount target", id, is_available);
    if (status == CLI_OK)
        return noun_done(call, made, "%s %s", id, noun_text(made, "IpAddress"));
    json_decref(made);
    return status;
}

int noun_mt_create(struct noun_call *call)
{
    const char *zone = NULL;
    const char *subnet = NULL;
    const char *address = NULL;
    const char *groups = NULL;
    bool no_wait = false;
    char id[NOUN_ID_SIZE];
    const struct cli_option options[] = { { "--zone", &zone, NULL }, { "--subnet", &subnet, NULL },
        { "--ip", &address, NULL }, { "--groups", &groups, NULL },
        { "--no-wait", NULL, &no_wait } };
    int status = noun_open(call, options, ARRAY_SIZE(options), 1, 1);
    if (status == CLI_OK)
        status = noun_fs_id(call, call->argv[1], id);
    if (status == CLI_OK && subnet == NULL)
        status = subnet_of(call, zone, &subnet);
    if (status != CLI_OK)
        return status;
    json_t *body = json_pack("{s:s, s:s, s:s*, s:o*}", "FileSystemId", id, "SubnetId", subnet,
        "IpAddress", address, "SecurityGroups", groups != NULL ? words_json(groups) : NULL);
    return body != NULL ? make(call, body, no_wait) : cli_usage("An option is no UTF-8.");
}

int noun_mt_groups(struct noun_call *call)
{
    char path[PATH_SIZE];
    json_t *body = NULL;
    int status = noun_open(call, NULL, 0, 1, 2);
    if (status == CLI_OK)
        status = noun_want_id(call->argv[1], PREFIX, WHAT);
    if (status != CLI_OK)
        return status;
    (void)snprintf(path, sizeof path, "/mount-targets/%s/security-groups", call->argv[1]);
    if (call->argc == 3) {
        json_t *groups = json_pack("{s:o*}", "SecurityGroups", words_json(call->argv[2]));
        status = noun_efs(call,
            &(struct api_call){ .method = "PUT", .path = path, .query = "", .body = groups },
            "the security groups", NULL);
    }
    if (status == CLI_OK)
        status = noun_efs(call, &(struct api_call){ .method = "GET", .path = path, .query = "" },
            "the security groups", &body);
    return status == CLI_OK ? noun_show(call, body) : status;
}

int noun_mt_delete(struct noun_call *call)
{
    char path[PATH_SIZE];
    json_t *target = NULL;
    int status = noun_open(call, NULL, 0, 1, 1);
    if (status == CLI_OK)
        status = noun_want_id(call->argv[1], PREFIX, WHAT);
    if (status == CLI_OK)
        status = describe(call, call->argv[1], &target);
    if (status != CLI_OK)
        return status;
    if (call->is_dry_run)
        return noun_done(call, target,
            "Deleting %s breaks all mounts of %s at %s. Files stay.\nNothing was changed.",
            call->argv[1], noun_text(target, "FileSystemId"), noun_text(target, "IpAddress"));
    (void)snprintf(path, sizeof path, "/mount-targets/%s", call->argv[1]);
    status = noun_efs(call, &(struct api_call){ .method = "DELETE", .path = path, .query = "" },
        "to delete the mount target", NULL);
    if (status == CLI_OK)
        return noun_done(call, target, "%s is deleted", call->argv[1]);
    json_decref(target);
    return status;
}
