/*
 * cli/cmd_status.c - shoal status: does the service run, and what does it serve (room: cli).
 */
#include <inttypes.h>

#include "cli/api.h"
#include "cli/cli.h"

static const char *text_of(const json_t *json, const char *name)
{
    const char *text = json_string_value(json_object_get(json, name));
    return text != NULL ? text : "-";
}

static json_int_t size_of(const json_t *fs)
{
    return json_integer_value(json_object_get(json_object_get(fs, "SizeInBytes"), "Value"));
}

static void print_text(const struct instance *instance, const json_t *list)
{
    (void)printf("Shoal %s serves %s (pid %d)\n  endpoint  %s in %s\n  NFS port  %u\n",
        instance->version, instance->data, (int)instance->pid, instance->endpoint, instance->region,
        instance->nfs_port);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *fs = json_array_get(list, i);
        (void)printf("  %s  %-9s  %12" JSON_INTEGER_FORMAT " bytes  %" JSON_INTEGER_FORMAT
                     " mount targets  %s\n",
            text_of(fs, "FileSystemId"), text_of(fs, "LifeCycleState"), size_of(fs),
            json_integer_value(json_object_get(fs, "NumberOfMountTargets")), text_of(fs, "Name"));
    }
}

static json_t *file_system_json(const json_t *fs)
{
    return json_pack("{s:s, s:s, s:s, s:I, s:I}", "id", text_of(fs, "FileSystemId"), "name",
        text_of(fs, "Name"), "state", text_of(fs, "LifeCycleState"), "size_bytes", size_of(fs),
        "mount_target_count", json_integer_value(json_object_get(fs, "NumberOfMountTargets")));
}

static int print_json(const struct instance *instance, const json_t *list)
{
    json_t *systems = json_array();
    for (size_t i = 0; i < json_array_size(list) && systems != NULL; i++) {
        if (json_array_append_new(systems, file_system_json(json_array_get(list, i))) < 0) {
            json_decref(systems);
            systems = NULL;
        }
    }
    json_t *json = json_pack("{s:b, s:s, s:i, s:s, s:s, s:i, s:s, s:o}", "running", 1, "data",
        instance->data, "pid", (int)instance->pid, "endpoint", instance->endpoint, "region",
        instance->region, "nfs_port", (int)instance->nfs_port, "version", instance->version,
        "file_systems", systems);
    int status = json != NULL && json_dumpf(json, stdout, JSON_INDENT(2)) == 0
                     ? CLI_OK
                     : cli_fail("Cannot write the result.");
    json_decref(json);
    (void)fputc('\n', stdout);
    return status;
}

static int tell(struct instance *instance, bool as_json)
{
    struct api api;
    json_t *list = NULL;
    if (as_json && !instance->is_running) {
        (void)printf("{\n  \"running\": false\n}\n");
        return CLI_NOT_RUNNING;
    }
    int status = instance_require(instance);
    if (status == CLI_OK)
        status = api_open(instance, &api);
    if (status == CLI_OK)
        status = api_list_file_systems(&api, &list);
    if (status != CLI_OK)
        return status;
    if (as_json)
        status = print_json(instance, list);
    else
        print_text(instance, list);
    json_decref(list);
    return status;
}

int cmd_status(int argc, char **argv)
{
    const char *data = NULL;
    bool as_json = false;
    const struct cli_option options[] = { { "--data", &data, NULL }, { "--json", NULL, &as_json } };
    int status = cli_parse(options, ARRAY_SIZE(options), &argc, argv);
    if (status != CLI_OK)
        return status;
    if (argc > 1)
        return cli_usage("`status` takes no word %s; see shoal status --help.", argv[1]);
    struct instance instance;
    status = instance_open(data, &instance);
    if (status != CLI_OK)
        return status;
    status = tell(&instance, as_json);
    instance_close(&instance);
    return status;
}
