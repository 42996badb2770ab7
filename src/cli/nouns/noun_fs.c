/*
 * cli/nouns/noun_fs.c - shoal fs: file systems (room: cli). Deleting one is noun_fs_delete.c's.
 *
 * Source: EFS API, CreateFileSystem and those after it.
 */
#include "cli/nouns/noun_fs.h"
#include "base/random.h"
#include "base/text.h"

#define PATH_SIZE   256
#define TOKEN_BYTES 32
#define ROOT_PATH   "/file-systems"

int cmd_fs(int argc, char **argv)
{
    return noun_run(argc, argv);
}

int noun_fs_list(struct noun_call *call)
{
    static const struct noun_column columns[] = {
        { "ID", "FileSystemId", COLUMN_TEXT },
        { "NAME", "Name", COLUMN_TEXT },
        { "STATE", "LifeCycleState", COLUMN_TEXT },
        { "SIZE", "SizeInBytes.Value", COLUMN_BYTES },
        { "TARGETS", "NumberOfMountTargets", COLUMN_TEXT },
        { "THROUGHPUT", "ThroughputMode", COLUMN_TEXT },
        { "ENCRYPTED", "Encrypted", COLUMN_TEXT },
        { "ZONE", "AvailabilityZoneName", COLUMN_TEXT },
        { "CREATED", "CreationTime", COLUMN_TIME },
    };
    json_t *list = NULL;
    int status = noun_open(call, NULL, 0, 0, 0);
    if (status == CLI_OK)
        status = api_list_file_systems(&call->api, &list);
    return status == CLI_OK ? noun_show_list(call, list, columns, ARRAY_SIZE(columns)) : status;
}

int fs_targets(struct noun_call *call, const char *id, json_t **out_list)
{
    char filter[PATH_SIZE];
    (void)snprintf(filter, sizeof filter, "FileSystemId=%s", id); /* ids are short */
    return noun_efs_list(call, "/mount-targets", filter, "MountTargets", out_list);
}

int fs_access_points(struct noun_call *call, const char *id, json_t **out_list)
{
    char filter[PATH_SIZE];
    (void)snprintf(filter, sizeof filter, "FileSystemId=%s", id);
    return noun_efs_list(call, "/access-points", filter, "AccessPoints", out_list);
}

/* The lifecycle policies as the API lists them. */
static int get_lifecycle(struct noun_call *call, const char *id, json_t **out_list)
{
    char path[PATH_SIZE];
    json_t *body = NULL;
    (void)snprintf(path, sizeof path, ROOT_PATH "/%s/lifecycle-configuration", id);
    int status = noun_efs(call, &(struct api_call){ .method = "GET", .path = path, .query = "" },
        "the lifecycle", &body);
    if (status == CLI_OK)
        *out_list = json_incref(json_object_get(body, "LifecyclePolicies"));
    json_decref(body);
    return status;
}

int noun_fs_show(struct noun_call *call)
{
    json_t *fs = NULL;
    json_t *targets = NULL;
    json_t *points = NULL;
    json_t *lifecycle = NULL;
    int status = noun_open(call, NULL, 0, 1, 1);
    if (status == CLI_OK)
        status = noun_find_fs(call, call->argv[1], &fs);
    const char *id = noun_text(fs, "FileSystemId");
    if (status == CLI_OK)
        status = fs_targets(call, id, &targets);
    if (status == CLI_OK)
        status = fs_access_points(call, id, &points);
    if (status == CLI_OK)
        status = get_lifecycle(call, id, &lifecycle);
    if (status == CLI_OK && (json_object_set(fs, "MountTargets", targets) < 0 ||
                                json_object_set(fs, "AccessPoints", points) < 0 ||
                                json_object_set(fs, "LifecyclePolicies", lifecycle) < 0))
        status = cli_fail("There is no memory left.");
    json_decref(targets);
    json_decref(points);
    json_decref(lifecycle);
    if (status == CLI_OK)
        return noun_show(call, fs);
    json_decref(fs);
    return status;
}

static int fs_is_available(struct noun_call *call, const void *id, bool *out_done)
{
    json_t *fs = NULL;
    int status = noun_find_fs(call, id, &fs);
    *out_done = status == CLI_OK && strcmp(noun_text(fs, "LifeCycleState"), "available") == 0;
    json_decref(fs);
    return status;
}

static int targets_are_available(struct noun_call *call, const void *id, bool *out_done)
{
    json_t *list = NULL;
    int status = fs_targets(call, id, &list);
    *out_done = status == CLI_OK;
    for (size_t i = 0; i < json_array_size(list); i++) {
        if (strcmp(noun_text(json_array_get(list, i), "LifeCycleState"), "available") != 0)
            *out_done = false;
    }
    json_decref(list);
    return status;
}

/* A mount target in the default subnet of each zone; of one zone only for One Zone. */
static int make_targets(struct noun_call *call, const char *id, const char *zone)
{
    int status = CLI_OK;
    for (size_t i = 0; i < call->instance.subnet_count && status == CLI_OK; i++) {
        const struct instance_subnet *subnet = &call->instance.subnets[i];
        if (zone != NULL && strcmp(zone, subnet->zone) != 0)
            continue;
        json_t *body = json_pack("{s:s, s:s}", "FileSystemId", id, "SubnetId", subnet->id);
        status = noun_efs(call,
            &(struct api_call){
                .method = "POST", .path = "/mount-targets", .query = "", .body = body },
            "the mount target", NULL);
    }
    return status == CLI_OK ? noun_wait(call, "A mount target", id, targets_are_available) : status;
}

struct create_options {
    const char *throughput;
    const char *mibps;
    const char *performance;
    const char *zone;
    const char *key;
    const char *tags;
    const char *token;
    bool is_encrypted;
    bool has_backup;
    bool no_targets;
    bool no_wait;
};

/* Sets a text unless it is NULL. Gives 0 or -1, as jansson does. */
static int set_text(json_t *body, const char *name, const char *text)
{
    return text == NULL ? 0 : json_object_set_new(body, name, json_string(text));
}

static int set_mibps(json_t *body, const char *mibps)
{
    json_int_t number;
    int status = mibps != NULL ? noun_number(mibps, "--mibps", UINT32_MAX, &number) : CLI_OK;
    if (status != CLI_OK || mibps == NULL)
        return status;
    return json_object_set_new(body, "ProvisionedThroughputInMibps", json_integer(number)) == 0
               ? CLI_OK
               : cli_fail("There is no memory left.");
}

static int fill_body(json_t *body, const struct create_options *options, const char *name)
{
    char token[TOKEN_BYTES + 1];
    random_hex(token, TOKEN_BYTES);
    int err = set_text(body, "CreationToken", options->token != NULL ? options->token : token);
    err |= set_text(body, "ThroughputMode", options->throughput);
    err |= set_text(body, "PerformanceMode", options->performance);
    err |= set_text(body, "AvailabilityZoneName", options->zone);
    err |= set_text(body, "KmsKeyId", options->key);
    if (options->is_encrypted)
        err |= json_object_set_new(body, "Encrypted", json_true());
    if (options->has_backup)
        err |= json_object_set_new(body, "Backup", json_true());
    if (name != NULL)
        err |= json_object_set_new(
            body, "Tags", json_pack("[{s:s, s:s}]", "Key", "Name", "Value", name));
    if (err != 0)
        return cli_fail("The name or an option is no UTF-8.");
    int status = noun_add_tags(body, options->tags);
    return status == CLI_OK ? set_mibps(body, options->mibps) : status;
}

/* Waits, makes the mount targets, and shows what became of it. */
static int finish_create(
    struct noun_call *call, const struct create_options *options, json_t *created)
{
    char id[NOUN_ID_SIZE];
    json_t *fs = NULL;
    if (text_copy(id, sizeof id, noun_text(created, "FileSystemId")) < 0)
        return cli_fail("The service gave a file system id that is too long.");
    if (options->no_wait)
        return noun_done(call, json_incref(created), "%s", id);
    int status = noun_wait(call, "The file system", id, fs_is_available);
    if (status == CLI_OK && !options->no_targets)
        status = make_targets(call, id, options->zone);
    if (status == CLI_OK)
        status = noun_find_fs(call, id, &fs);
    return status == CLI_OK ? noun_done(call, fs, "%s", id) : status;
}

int noun_fs_create(struct noun_call *call)
{
    struct create_options given = { 0 };
    const struct cli_option options[] = { { "--throughput", &given.throughput, NULL },
        { "--mibps", &given.mibps, NULL }, { "--performance", &given.performance, NULL },
        { "--zone", &given.zone, NULL }, { "--key", &given.key, NULL },
        { "--tags", &given.tags, NULL }, { "--token", &given.token, NULL },
        { "--encrypted", NULL, &given.is_encrypted }, { "--backup", NULL, &given.has_backup },
        { "--no-targets", NULL, &given.no_targets }, { "--no-wait", NULL, &given.no_wait } };
    int status = noun_open(call, options, ARRAY_SIZE(options), 0, 1);
    if (status != CLI_OK)
        return status;
    json_t *body = json_object();
    json_t *created = NULL;
    status = fill_body(body, &given, call->argc > 1 ? call->argv[1] : NULL);
    if (status != CLI_OK) {
        json_decref(body);
        return status;
    }
    status = noun_efs(call,
        &(struct api_call){ .method = "POST", .path = ROOT_PATH, .query = "", .body = body },
        "the file system", &created);
    if (status == CLI_OK)
        status = finish_create(call, &given, created);
    json_decref(created);
    return status;
}

static int update_protection(struct noun_call *call, const char *id, const char *protection)
{
    char path[PATH_SIZE];
    bool is_on = strcmp(protection, "on") == 0;
    if (!is_on && strcmp(protection, "off") != 0)
        return cli_usage("--protection is on or off, not %s.", protection);
    (void)snprintf(path, sizeof path, ROOT_PATH "/%s/protection", id);
    json_t *body =
        json_pack("{s:s}", "ReplicationOverwriteProtection", is_on ? "ENABLED" : "DISABLED");
    return noun_efs(call,
        &(struct api_call){ .method = "PUT", .path = path, .query = "", .body = body },
        "the protection", NULL);
}

static int update_throughput(
    struct noun_call *call, const char *id, const char *throughput, const char *mibps)
{
    char path[PATH_SIZE];
    json_t *body = json_object();
    int status = set_mibps(body, mibps);
    if (status == CLI_OK && set_text(body, "ThroughputMode", throughput) != 0)
        status = cli_usage("--throughput is no UTF-8.");
    if (status != CLI_OK) {
        json_decref(body);
        return status;
    }
    (void)snprintf(path, sizeof path, ROOT_PATH "/%s", id);
    return noun_efs(call,
        &(struct api_call){ .method = "PUT", .path = path, .query = "", .body = body },
        "the throughput", NULL);
}

int noun_fs_update(struct noun_call *call)
{
    const char *throughput = NULL;
    const char *mibps = NULL;
    const char *protection = NULL;
    char id[NOUN_ID_SIZE];
    json_t *fs = NULL;
    const struct cli_option options[] = { { "--throughput", &throughput, NULL },
        { "--mibps", &mibps, NULL }, { "--protection", &protection, NULL } };
    int status = noun_open(call, options, ARRAY_SIZE(options), 1, 1);
    if (status == CLI_OK && throughput == NULL && mibps == NULL && protection == NULL)
        status = cli_usage("Nothing to change: give --throughput, --mibps or --protection.");
    if (status == CLI_OK)
        status = noun_fs_id(call, call->argv[1], id);
    if (status == CLI_OK && (throughput != NULL || mibps != NULL))
        status = update_throughput(call, id, throughput, mibps);
    if (status == CLI_OK && (throughput != NULL || mibps != NULL))
        status = noun_wait(call, "The file system", id, fs_is_available); /* it was `updating` */
    if (status == CLI_OK && protection != NULL)
        status = update_protection(call, id, protection);
    if (status == CLI_OK)
        status = noun_find_fs(call, id, &fs);
    return status == CLI_OK ? noun_done(call, fs, "%s changed", id) : status;
}
