/*
 * cli/nouns/noun_user.c - shoal user: a worker's own key and rights, in one step (room: cli).
 *
 * Source: IAM API 2010-05-08, CreateUser, PutUserPolicy and CreateAccessKey; EFS: client actions of policies.
 */
#include "cli/nouns/noun_user.h"

#include <stdlib.h>

#include "base/text.h"

#define POLICY_NAME "shoal-mounts"
#define WORD_SIZE   192
#define MARKER_SIZE 512

int cmd_user(int argc, char **argv)
{
    return noun_run(argc, argv);
}

int user_iam(struct noun_call *call, const char *action, const char *const words[][2],
    size_t word_count, const char *doing, json_t **out_result)
{
    struct api_form form;
    char name[WORD_SIZE];
    json_t *body = NULL;
    api_form_init(&form, action, IAM_VERSION);
    for (size_t i = 0; i < word_count; i++)
        api_form_add(&form, words[i][0], words[i][1]);
    int status = noun_query(call, "iam", &form, doing != NULL ? doing : action, &body);
    (void)snprintf(name, sizeof name, "%sResult", action); /* actions are short */
    if (status == CLI_OK && out_result != NULL)
        *out_result = json_incref(json_object_get(body, name));
    json_decref(body);
    return status;
}

int user_iam_list(struct noun_call *call, const char *action, const char *user,
    const char *list_name, json_t **out_list)
{
    json_t *list = json_array();
    char marker[MARKER_SIZE] = "";
    int status = CLI_OK;
    do {
        json_t *page = NULL;
        const char *const words[][2] = { { "UserName", user },
            { "Marker", marker[0] != '\0' ? marker : NULL } };
        status = user_iam(call, action, words, ARRAY_SIZE(words), "the list", &page);
        const json_t *some = json_object_get(page, list_name);
        for (size_t i = 0; i < json_array_size(some) && status == CLI_OK; i++) {
            if (json_array_append(list, json_array_get(some, i)) < 0)
                status = cli_fail("There is no memory left.");
        }
        bool has_more = strcmp(noun_text(page, "IsTruncated"), "true") == 0;
        if (text_copy(marker, sizeof marker, has_more ? noun_text(page, "Marker") : "") < 0)
            status = cli_fail("The service gave a page mark that is too long.");
        json_decref(page);
    } while (status == CLI_OK && marker[0] != '\0');
    if (status == CLI_OK)
        *out_list = list;
    else
        json_decref(list);
    return status;
}

int noun_user_list(struct noun_call *call)
{
    static const struct noun_column columns[] = {
        { "NAME", "UserName", COLUMN_TEXT },
        { "ID", "UserId", COLUMN_TEXT },
        { "ARN", "Arn", COLUMN_TEXT },
        { "CREATED", "CreateDate", COLUMN_TEXT },
    };
    json_t *list = NULL;
    int status = noun_open(call, NULL, 0, 0, 0);
    if (status == CLI_OK)
        status = user_iam_list(call, "ListUsers", NULL, "Users", &list);
    return status == CLI_OK ? noun_show_list(call, list, columns, ARRAY_SIZE(columns)) : status;
}

/* The client actions of "ro", "rw" or "root"; a new reference, NULL for another word. */
static json_t *actions_of(const char *rights)
{
    static const char *const names[] = { "ro", "rw", "root" };
    static const char *const actions[] = { "elasticfilesystem:ClientMount",
        "elasticfilesystem:ClientWrite", "elasticfilesystem:ClientRootAccess" };
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        if (strcmp(rights, names[i]) != 0)
            continue;
        json_t *list = json_pack("[s]", "elasticfilesystem:DescribeMountTargets");
        for (size_t j = 0; j <= i; j++)
            (void)json_array_append_new(list, json_string(actions[j])); /* NULL list: stays NULL */
        return list;
    }
    return NULL;
}

/* Adds the statement for one FS or FS:RIGHTS. */
static int add_statement(struct noun_call *call, json_t *statements, const char *word)
{
    char name[WORD_SIZE];
    const char *colon = strrchr(word, ':');
    if (text_copy(name, sizeof name, word) < 0)
        return cli_usage("%s is too long.", word);
    if (colon != NULL)
        name[colon - word] = '\0';
    json_t *actions = actions_of(colon != NULL ? colon + 1 : "rw");
    if (actions == NULL)
        return cli_usage("The rights of %s are ro, rw or root, not %s.", name, colon + 1);
    json_t *fs = NULL;
    int status = noun_find_fs(call, name, &fs);
    if (status == CLI_OK && json_array_append_new(statements,
                                json_pack("{s:s, s:O, s:s}", "Effect", "Allow", "Action", actions,
                                    "Resource", noun_text(fs, "FileSystemArn"))) < 0)
        status = cli_fail("There is no memory left.");
    json_decref(actions);
    json_decref(fs);
    return status;
}

/* The policy for all that --allow names, as text; the caller frees it. */
static int make_policy(struct noun_call *call, const char *allow, char **out_text)
{
    json_t *statements = json_pack("[{s:s, s:s, s:s}]", "Effect", "Allow", "Action",
        "ec2:DescribeAvailabilityZones", "Resource", "*"); /* efs-utils asks for it */
    int status = CLI_OK;
    for (const char *at = allow; *at != '\0' && status == CLI_OK;) {
        char word[WORD_SIZE];
        size_t size = strcspn(at, ",");
        if (size >= sizeof word)
            status = cli_usage("--allow names a file system that is too long.");
        else if (snprintf(word, sizeof word, "%.*s", (int)size, at) > 0)
            status = add_statement(call, statements, word);
        at += size;
        at += *at == ',';
    }
    json_t *policy = json_pack("{s:s, s:O}", "Version", "2012-10-17", "Statement", statements);
    if (status == CLI_OK && (*out_text = json_dumps(policy, JSON_COMPACT)) == NULL)
        status = cli_fail("There is no memory left.");
    json_decref(policy);
    json_decref(statements);
    return status;
}

static int show_key(const struct noun_call *call, const json_t *key)
{
    const struct instance *instance = &call->instance;
    json_t *result = json_pack("{s:s, s:s, s:s, s:s, s:s}", "UserName", noun_text(key, "UserName"),
        "AccessKeyId", noun_text(key, "AccessKeyId"), "SecretAccessKey",
        noun_text(key, "SecretAccessKey"), "Endpoint", instance->endpoint, "Region",
        instance->region);
    return noun_done(call, result,
        "export AWS_ENDPOINT_URL=%s\nexport AWS_DEFAULT_REGION=%s\nexport AWS_REGION=%s\n"
        "export AWS_ACCESS_KEY_ID=%s\nexport AWS_SECRET_ACCESS_KEY=%s",
        instance->endpoint, instance->region, instance->region, noun_text(key, "AccessKeyId"),
        noun_text(key, "SecretAccessKey"));
}

/* Makes the user, its policy and its key; what fails takes the user away again. */
static int make(struct noun_call *call, const char *name, const char *policy)
{
    json_t *result = NULL;
    const char *const user[][2] = { { "UserName", name } };
    const char *const put[][2] = { { "UserName", name }, { "PolicyName", POLICY_NAME },
        { "PolicyDocument", policy } };
    int status = user_iam(call, "CreateUser", user, ARRAY_SIZE(user), "the user", NULL);
    if (status != CLI_OK)
        return status;
    if (policy != NULL)
        status = user_iam(call, "PutUserPolicy", put, ARRAY_SIZE(put), "the rights", NULL);
    if (status == CLI_OK)
        status = user_iam(call, "CreateAccessKey", user, ARRAY_SIZE(user), "the key", &result);
    if (status == CLI_OK)
        status = show_key(call, json_object_get(result, "AccessKey"));
    else
        (void)user_remove(call, name); /* the first failure is the one to tell */
    json_decref(result);
    return status;
}

int noun_user_create(struct noun_call *call)
{
    const char *allow = NULL;
    char *policy = NULL;
    const struct cli_option options[] = { { "--allow", &allow, NULL } };
    int status = noun_open(call, options, ARRAY_SIZE(options), 1, 1);
    if (status == CLI_OK && allow != NULL)
        status = make_policy(call, allow, &policy);
    if (status == CLI_OK)
        status = make(call, call->argv[1], policy);
    free(policy);
    return status;
}
