/*
 * cli/cmd_profile.c - shoal profile: how a file system behaves over NFS, by its tag shoal:profile (room: cli).
 *
 * Sources: EFS API, TagResource and UntagResource; docs/compat.md for what the profiles are.
 */
#include "cli/api.h"
#include "cli/cli.h"

#define TAG        "shoal:profile"
#define HTTP_ERROR 400

static const char *text_of(const json_t *json, const char *name)
{
    const char *text = json_string_value(json_object_get(json, name));
    return text != NULL ? text : "";
}

/* The file system with this id or name; NULL: none, or (*out_is_many) several. */
static const json_t *find(const json_t *list, const char *name, bool *out_is_many)
{
    const json_t *found = NULL;
    *out_is_many = false;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *fs = json_array_get(list, i);
        if (strcmp(text_of(fs, "FileSystemId"), name) == 0)
            return fs;
        if (strcmp(text_of(fs, "Name"), name) != 0)
            continue;
        *out_is_many = found != NULL;
        found = fs;
    }
    return *out_is_many ? NULL : found;
}

static int show(const json_t *fs)
{
    const json_t *tags = json_object_get(fs, "Tags");
    const char *profile = "default";
    for (size_t i = 0; i < json_array_size(tags); i++) {
        if (strcmp(text_of(json_array_get(tags, i), "Key"), TAG) == 0)
            profile = text_of(json_array_get(tags, i), "Value");
    }
    return printf("%s\n", profile) > 0 && fflush(stdout) == 0
               ? CLI_OK
               : cli_fail("Cannot write to the output.");
}

static int set(const struct api *api, const char *id, const char *profile)
{
    char path[128];
    bool is_default = strcmp(profile, "default") == 0;
    (void)snprintf(path, sizeof path, "/resource-tags/%s", id);
    json_t *body = NULL;
    if (!is_default) {
        body = json_pack("{s:[{s:s, s:s}]}", "Tags", "Key", TAG, "Value", profile);
        if (body == NULL)
            return cli_fail("There is no memory left.");
    }
    struct api_call call = { .method = is_default ? "DELETE" : "POST",
        .path = path,
        .query = is_default ? "tagKeys=shoal%3Aprofile" : "",
        .body = body };
    struct api_reply reply = { 0 };
    int status = api_call(api, &call, &reply);
    json_decref(body);
    if (status != CLI_OK)
        return status;
    if (reply.status >= HTTP_ERROR)
        status = api_fail(&reply, "the profile");
    api_reply_fini(&reply);
    return status;
}

static int run(const struct api *api, const char *name, const char *profile)
{
    json_t *list = NULL;
    bool is_many;
    int status = api_list_file_systems(api, &list);
    if (status != CLI_OK)
        return status;
    const json_t *fs = find(list, name, &is_many);
    if (is_many)
        status = cli_fail("Several file systems are named %s: use an id (shoal status).", name);
    else if (fs == NULL)
        status = cli_fail("There is no file system %s (shoal status lists them).", name);
    else
        status = profile == NULL ? show(fs) : set(api, text_of(fs, "FileSystemId"), profile);
    json_decref(list);
    return status;
}

int cmd_profile(int argc, char **argv)
{
    const char *data = NULL;
    const struct cli_option options[] = { { "--data", &data, NULL } };
    int status = cli_parse(options, ARRAY_SIZE(options), &argc, argv);
    if (status != CLI_OK)
        return status;
    if (argc < 2 || argc > 3)
        return cli_usage("`profile` takes a file system, and perhaps extended, strict or default.");
    if (argc == 3 && strcmp(argv[2], "extended") != 0 && strcmp(argv[2], "strict") != 0 &&
        strcmp(argv[2], "default") != 0)
        return cli_usage("A profile is extended, strict or default, not %s.", argv[2]);
    struct instance instance;
    struct api api;
    status = instance_open(data, &instance);
    if (status != CLI_OK)
        return status;
    status = instance_require(&instance);
    if (status == CLI_OK)
        status = api_open(&instance, &api);
    if (status == CLI_OK)
        status = run(&api, argv[1], argc == 3 ? argv[2] : NULL);
    instance_close(&instance);
    return status;
}
