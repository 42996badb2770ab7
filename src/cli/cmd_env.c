/*
 * cli/cmd_env.c - shoal env: shell exports for aws-cli, boto3 and shoal itself (room: cli).
 */
#include "auth/credentials.h"
#include "cli/cli.h"
#include "cli/instance.h"

/* `export NAME='value'`; a quote in the value ends the quoting, stands escaped, and begins it again. */
static void print_export(const char *name, const char *value)
{
    (void)printf("export %s='", name);
    for (; *value != '\0'; value++) {
        if (*value == '\'')
            (void)fputs("'\\''", stdout);
        else
            (void)fputc(*value, stdout);
    }
    (void)fputs("'\n", stdout);
}

static int print_exports(struct instance *instance)
{
    int status = instance_require(instance);
    if (status != CLI_OK)
        return status;
    struct credentials keys;
    int err = credentials_read(instance->dir_fd, CREDENTIALS_FILE_NAME, &keys);
    if (err < 0)
        return cli_fail("Cannot read the keys in %s/%s: %s.", instance->data, CREDENTIALS_FILE_NAME,
            strerrordesc_np(-err));
    print_export("AWS_ENDPOINT_URL", instance->endpoint);
    print_export("AWS_ACCESS_KEY_ID", keys.key_id);
    print_export("AWS_SECRET_ACCESS_KEY", keys.secret);
    print_export("AWS_DEFAULT_REGION", instance->region);
    print_export("AWS_REGION", instance->region);
    print_export("SHOAL_DATA", instance->data);
    (void)printf(
        "# aws-cli before 2.13 and boto3 before 1.28 do not read AWS_ENDPOINT_URL. For aws-cli:\n"
        "#   alias aws='aws --endpoint-url \"$AWS_ENDPOINT_URL\"'\n"
        "# For boto3: boto3.client(\"efs\", endpoint_url=os.environ[\"AWS_ENDPOINT_URL\"])\n");
    return fflush(stdout) == 0 ? CLI_OK : cli_fail("Cannot write to the output.");
}

int cmd_env(int argc, char **argv)
{
    const char *data = NULL;
    const struct cli_option options[] = { { "--data", &data, NULL } };
    int status = cli_parse(options, ARRAY_SIZE(options), &argc, argv);
    if (status != CLI_OK)
        return status;
    if (argc > 1)
        return cli_usage("`env` takes no word %s; see shoal env --help.", argv[1]);
    struct instance instance;
    status = instance_open(data, &instance);
    if (status != CLI_OK)
        return status;
    status = print_exports(&instance);
    instance_close(&instance);
    return status;
}
