/*
 * cli/nouns/noun_ap.c - shoal ap: access points (room: cli).
 *
 * Source: EFS API, CreateAccessPoint and those after it.
 */
#include "base/random.h"
#include "base/text.h"
#include "cli/nouns/noun_fs.h"

#define PATH_SIZE   256
#define TOKEN_BYTES 32
#define PREFIX      "fsap-"
#define WHAT        "an access point"

int cmd_ap(int argc, char **argv)
{
    return noun_run(argc, argv);
}

int noun_ap_list(struct noun_call *call)
{
    static const struct noun_column columns[] = {
        { "ID", "AccessPointId", COLUMN_TEXT },
        { "NAME", "Name", COLUMN_TEXT },
        { "FILE SYSTEM", "FileSystemId", COLUMN_TEXT },
        { "PATH", "RootDirectory.Path", COLUMN_TEXT },
        { "UID", "PosixUser.Uid", COLUMN_TEXT },
        { "GID", "PosixUser.Gid", COLUMN_TEXT },
        { "STATE", "LifeCycleState", COLUMN_TEXT },
    };
    char id[NOUN_ID_SIZE];
    json_t *list = NULL;
    int status = noun_open(call, NULL, 0, 0, 1);
    if (status == CLI_OK && call->argc == 1)
        status = noun_efs_list(call, "/access-points", "", "AccessPoints", &list);
    else if (status == CLI_OK && (status = noun_fs_id(call, call->argv[1], id)) == CLI_OK)
        status = fs_access_points(call, id, &list);
    return status == CLI_OK ? noun_show_list(call, list, columns, ARRAY_SIZE(columns)) : status;
}

static int describe(struct noun_call *call, const char *id, json_t **out_point)
{
    char query[PATH_SIZE];
    json_t *body = NULL;
    (void)snprintf(query, sizeof query, "AccessPointId=%s", id);
    int status = noun_efs(call,
        &(struct api_call){ .method = "GET", .path = "/access-points", .query = query },
        "the access point", &body);
    if (status == CLI_OK)
        *out_point = json_incref(json_array_get(json_object_get(body, "AccessPoints"), 0));
    json_decref(body);
    return status;
}

static int is_available(struct noun_call *call, const void *id, bool *out_done)
{
    json_t *point = NULL;
    int status = describe(call, id, &point);
    *out_done = strcmp(noun_text(point, "LifeCycleState"), "available") == 0;
    json_decref(point);
    return status;
}

int noun_ap_show(struct noun_call *call)
{
    json_t *point = NULL;
    int status = noun_open(call, NULL, 0, 1, 1);
    if (status == CLI_OK)
        status = noun_want_id(call->argv[1], PREFIX, WHAT);
    if (status == CLI_OK)
        status = describe(call, call->argv[1], &point);
    return status == CLI_OK ? noun_show(call, point) : status;
}

struct create_options {
    const char *name;
    const char *path;
    const char *uid;
    const char *gid;
    const char *gids;
    const char *owner;
    const char *mode;
    const char *tags;
    const char *token;
    bool no_wait;
};

/* The numbers between the commas. */
static int gids_json(const char *list, json_t **out_json)
{
    json_t *json = json_array();
    int status = CLI_OK;
    for (const char *at = list; *at != '\0' && status == CLI_OK;) {
        char word[16] = "";
        json_int_t number = 0;
        size_t size = strcspn(at, ",");
        (void)snprintf(word, sizeof word, "%.*s", (int)min_size(size, sizeof word - 1), at);
        status = noun_number(word, "--gids", UINT32_MAX, &number);
        if (status == CLI_OK && json_array_append_new(json, json_integer(number)) < 0)
            status = cli_fail("There is no memory left.");
        at += size;
        at += *at == ',';
    }
    if (status == CLI_OK)
        *out_json = json;
    else
        json_decref(json);
    return status;
}

/* PosixUser, when somebody is named. */
static int add_user(json_t *body, const struct create_options *given)
{
    json_int_t uid = 0;
    json_int_t gid = 0;
    json_t *gids = NULL;
    if (given->uid == NULL && given->gid == NULL && given->gids == NULL)
        return CLI_OK;
    if (given->uid == NULL || given->gid == NULL)
        return cli_usage("A user of an access point needs --uid and --gid.");
    int status = noun_number(given->uid, "--uid", UINT32_MAX, &uid);
    if (status == CLI_OK)
        status = noun_number(given->gid, "--gid", UINT32_MAX, &gid);
    if (status == CLI_OK && given->gids != NULL)
        status = gids_json(given->gids, &gids);
    if (status != CLI_OK)
        return status;
    json_t *user = json_pack("{s:I, s:I, s:o*}", "Uid", uid, "Gid", gid, "SecondaryGids", gids);
    return json_object_set_new(body, "PosixUser", user) == 0 ? CLI_OK
                                                             : cli_fail("There is no memory left.");
}

/* OWNER:GROUP as two numbers. */
static int owner_numbers(const char *owner, json_int_t *out_uid, json_int_t *out_gid)
{
    char uid[16] = "";
    const char *colon = strchr(owner, ':');
    if (colon == NULL || (size_t)(colon - owner) >= sizeof uid)
        return cli_usage("--owner is UID:GID, not %s.", owner);
    memcpy(uid, owner, (size_t)(colon - owner));
    int status = noun_number(uid, "--owner", UINT32_MAX, out_uid);
    return status == CLI_OK ? noun_number(colon + 1, "--owner", UINT32_MAX, out_gid) : status;
}

static int add_root(json_t *body, const struct create_options *given)
{
    json_int_t uid = 0;
    json_int_t gid = 0;
    json_t *info = NULL;
    if ((given->owner == NULL) != (given->mode == NULL))
        return cli_usage("--owner and --mode go together: with them the directory is made.");
    if (given->owner != NULL) {
        int status = owner_numbers(given->owner, &uid, &gid);
        if (status != CLI_OK)
            return status;
        info = json_pack(
            "{s:I, s:I, s:s}", "OwnerUid", uid, "OwnerGid", gid, "Permissions", given->mode);
        if (info == NULL)
            return cli_usage("--mode is no UTF-8.");
    }
    if (given->path == NULL && info == NULL)
        return CLI_OK;
    json_t *root = json_pack("{s:s*, s:o*}", "Path", given->path, "CreationInfo", info);
    return json_object_set_new(body, "RootDirectory", root) == 0 ? CLI_OK
                                                                 : cli_usage("--path is no UTF-8.");
}

static int add_name(json_t *body, const char *name)
{
    if (name == NULL)
        return CLI_OK;
    json_t *tags = json_pack("[{s:s, s:s}]", "Key", "Name", "Value", name);
    return json_object_set_new(body, "Tags", tags) == 0 ? CLI_OK : cli_usage("--name is no UTF-8.");
}

static int make(struct noun_call *call, json_t *body, bool no_wait)
{
    char id[NOUN_ID_SIZE];
    json_t *made = NULL;
    int status = noun_efs(call,
        &(struct api_call){ .method = "POST", .path = "/access-points", .query = "", .body = body },
        "the access point", &made);
    if (status == CLI_OK && text_copy(id, sizeof id, noun_text(made, "AccessPointId")) < 0)
        status = cli_fail("The service gave an access point id that is too long.");
    if (status == CLI_OK && !no_wait)
        status = noun_wait(call, "The access point", id, is_available);
    if (status == CLI_OK)
        return noun_done(call, made, "%s", id);
    json_decref(made);
    return status;
}

int noun_ap_create(struct noun_call *call)
{
    struct create_options given = { 0 };
    const struct cli_option options[] = { { "--name", &given.name, NULL },
        { "--path", &given.path, NULL }, { "--uid", &given.uid, NULL },
        { "--gid", &given.gid, NULL }, { "--gids", &given.gids, NULL },
        { "--owner", &given.owner, NULL }, { "--mode", &given.mode, NULL },
        { "--tags", &given.tags, NULL }, { "--token", &given.token, NULL },
        { "--no-wait", NULL, &given.no_wait } };
    char id[NOUN_ID_SIZE];
    char token[TOKEN_BYTES + 1];
    int status = noun_open(call, options, ARRAY_SIZE(options), 1, 1);
    if (status == CLI_OK)
        status = noun_fs_id(call, call->argv[1], id);
    if (status != CLI_OK)
        return status;
    random_hex(token, TOKEN_BYTES);
    json_t *body = json_pack(
        "{s:s, s:s}", "FileSystemId", id, "ClientToken", given.token != NULL ? given.token : token);
    if (body == NULL)
        return cli_usage("--token is no UTF-8.");
    status = add_name(body, given.name);
    if (status == CLI_OK)
        status = noun_add_tags(body, given.tags);
    if (status == CLI_OK)
        status = add_user(body, &given);
    if (status == CLI_OK)
        status = add_root(body, &given);
    if (status == CLI_OK)
        return make(call, body, given.no_wait);
    json_decref(body);
    return status;
}

int noun_ap_delete(struct noun_call *call)
{
    char path[PATH_SIZE];
    json_t *point = NULL;
    int status = noun_open(call, NULL, 0, 1, 1);
    if (status == CLI_OK)
        status = noun_want_id(call->argv[1], PREFIX, WHAT);
    if (status == CLI_OK)
        status = describe(call, call->argv[1], &point);
    if (status != CLI_OK)
        return status;
    if (call->is_dry_run) {
        return noun_done(call, point,
            "Deleting %s keeps new clients out of %s of %s by it. Files and mounts stay.\n"
            "Nothing was changed.",
            call->argv[1], noun_text(point, "RootDirectory.Path"),
            noun_text(point, "FileSystemId"));
    }
    (void)snprintf(path, sizeof path, "/access-points/%s", call->argv[1]);
    status = noun_efs(call, &(struct api_call){ .method = "DELETE", .path = path, .query = "" },
        "to delete the access point", NULL);
    if (status == CLI_OK)
        return noun_done(call, point, "%s is deleted", call->argv[1]);
    json_decref(point);
    return status;
}
