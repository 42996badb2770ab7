/*
 * cli/nouns/noun_policy.c - shoal policy: who may do what with a file system (room: cli).
 *
 * Source: EFS API, PutFileSystemPolicy.
 */
#include <stdlib.h>

#include "cli/nouns/noun.h"

#define PATH_SIZE        256
#define POLICY_BYTES_MAX 20000 /* EFS: quotas */
#define READ_BYTES_MAX   (2 * POLICY_BYTES_MAX)

int cmd_policy(int argc, char **argv)
{
    return noun_run(argc, argv);
}

static int open_fs(struct noun_call *call, const struct cli_option *options, size_t count,
    int words, char path[PATH_SIZE])
{
    char id[NOUN_ID_SIZE];
    int status = noun_open(call, options, count, words, words);
    if (status == CLI_OK)
        status = noun_fs_id(call, call->argv[1], id);
    if (status == CLI_OK)
        (void)snprintf(path, PATH_SIZE, "/file-systems/%s/policy", id);
    return status;
}

/* Shows the policy itself, which the API gives as a text within its answer. */
static int show(struct noun_call *call, json_t *body)
{
    json_t *policy = json_loads(noun_text(body, "Policy"), 0, NULL);
    json_decref(body);
    if (policy == NULL)
        return cli_fail("The service gave a policy that is no JSON.");
    if (call->format == NOUN_TABLE)
        call->format = NOUN_JSON; /* a policy is written in it */
    return noun_show(call, policy);
}

int noun_policy_show(struct noun_call *call)
{
    char path[PATH_SIZE];
    json_t *body = NULL;
    int status = open_fs(call, NULL, 0, 1, path);
    if (status == CLI_OK)
        status = noun_efs(call, &(struct api_call){ .method = "GET", .path = path, .query = "" },
            "the policy", &body);
    return status == CLI_OK ? show(call, body) : status;
}

/* Reads a file that holds JSON, as text. The caller frees it. */
static int read_policy(const char *name, char **out_text)
{
    bool is_input = strcmp(name, "-") == 0;
    FILE *file = is_input ? stdin : fopen(name, "re");
    if (file == NULL)
        return cli_fail("Cannot open %s: %m.", name);
    char *text = calloc(1, READ_BYTES_MAX + 1);
    size_t size = text != NULL ? fread(text, 1, READ_BYTES_MAX, file) : 0;
    bool failed = ferror(file) != 0;
    if (!is_input)
        (void)fclose(file); /* only read */
    if (text == NULL || failed || memchr(text, '\0', size) != NULL || size == READ_BYTES_MAX) {
        free(text);
        return cli_fail("%s is no policy: a JSON text of up to %d bytes.", name, POLICY_BYTES_MAX);
    }
    *out_text = text;
    return CLI_OK;
}

int noun_policy_set(struct noun_call *call)
{
    char path[PATH_SIZE];
    bool bypass = false;
    char *text = NULL;
    json_t *answer = NULL;
    const struct cli_option options[] = { { "--bypass", NULL, &bypass } };
    int status = open_fs(call, options, ARRAY_SIZE(options), 2, path);
    if (status == CLI_OK)
        status = read_policy(call->argv[2], &text);
    if (status != CLI_OK)
        return status;
    json_t *body =
        json_pack("{s:s, s:b}", "Policy", text, "BypassPolicyLockoutSafetyCheck", bypass ? 1 : 0);
    free(text);
    if (body == NULL)
        return cli_fail("%s is no UTF-8.", call->argv[2]);
    status = noun_efs(call,
        &(struct api_call){ .method = "PUT", .path = path, .query = "", .body = body },
        "the policy", &answer);
    return status == CLI_OK ? show(call, answer) : status;
}

int noun_policy_delete(struct noun_call *call)
{
    char path[PATH_SIZE];
    json_t *body = NULL;
    int status = open_fs(call, NULL, 0, 1, path);
    if (status == CLI_OK && call->is_dry_run) {
        status = noun_efs(call, &(struct api_call){ .method = "GET", .path = path, .query = "" },
            "the policy", &body);
        return status == CLI_OK
                   ? noun_done(call, body,
                         "Without its policy, whoever reaches a mount target of %s may read, write "
                         "and be root there.\nNothing was changed.",
                         call->argv[1])
                   : status;
    }
    if (status == CLI_OK)
        status = noun_efs(call, &(struct api_call){ .method = "DELETE", .path = path, .query = "" },
            "to delete the policy", NULL);
    return status == CLI_OK ? noun_done(call, json_object(), "The policy is deleted.") : status;
}
