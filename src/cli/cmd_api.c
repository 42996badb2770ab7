/*
 * cli/cmd_api.c - shoal api: one signed call of the EFS API, as scripts without an AWS tool make it (room: cli).
 */
#include "cli/api.h"
#include "cli/cli.h"

#define HTTP_ERROR 400

static int print_answer(const struct api_reply *reply, const char *doing)
{
    if (reply->status >= HTTP_ERROR)
        return api_fail(reply, doing);
    if (reply->body == NULL)
        return CLI_OK;
    int err = json_dumpf(reply->body, stdout, JSON_INDENT(2));
    return err == 0 && fputc('\n', stdout) != EOF && fflush(stdout) == 0
               ? CLI_OK
               : cli_fail("Cannot write to the output.");
}

static int call(const char *data, const struct api_call *what)
{
    struct instance instance;
    struct api api;
    struct api_reply reply = { 0 };
    int status = instance_open(data, &instance);
    if (status != CLI_OK)
        return status;
    status = instance_require(&instance);
    if (status == CLI_OK)
        status = api_open(&instance, &api);
    if (status == CLI_OK)
        status = api_call(&api, what, &reply);
    if (status == CLI_OK) {
        status = print_answer(&reply, what->path);
        api_reply_fini(&reply);
    }
    instance_close(&instance);
    return status;
}

int cmd_api(int argc, char **argv)
{
    const char *data = NULL;
    const struct cli_option options[] = { { "--data", &data, NULL } };
    int status = cli_parse(options, ARRAY_SIZE(options), &argc, argv);
    if (status != CLI_OK)
        return status;
    if (argc < 3 || argc > 4 || argv[2][0] != '/')
        return cli_usage(
            "`api` takes a method, a path such as /file-systems, and perhaps a JSON object.");
    struct api_call what = { .method = argv[1], .query = "" };
    if (argc == 4 && (what.body = json_loads(argv[3], 0, NULL)) == NULL)
        return cli_usage("The body is not JSON: %s", argv[3]);
    what.path = argv[2];
    char *question = strchr(argv[2], '?');
    if (question != NULL) {
        *question = '\0';
        what.query = question + 1;
    }
    status = call(data, &what);
    json_decref(what.body);
    return status;
}
