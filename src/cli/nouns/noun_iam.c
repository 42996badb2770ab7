/*
 * cli/nouns/noun_iam.c - shoal iam: users, keys, groups, roles and policies (room: cli).
 *
 * Source: IAM API reference 2010-05-08. Who is meant is written KIND/NAME: user/ada, group/ops, role/Worker.
 */
#include <ctype.h>
#include <stdlib.h>

#include "cli/nouns/noun_user.h"

#define ARN_SIZE       768
#define ACTION_SIZE    64
#define FILE_BYTES_MAX 20480

int cmd_iam(int argc, char **argv)
{
    return noun_run(argc, argv);
}

/* user, group, role, policy, as the API writes them. */
struct who {
    char kind[16];      /* "User" */
    char parameter[24]; /* "UserName" */
    const char *name;
};

/* Whether `word` is KIND/NAME, with the kind in lower case; then *out_who says what it is to the API. */
static bool is_kind(const char *word, const char *kind, struct who *out_who)
{
    size_t size = strlen(kind);
    if (strncmp(word, kind, size) != 0 || word[size] != '/')
        return false;
    (void)snprintf(out_who->kind, sizeof out_who->kind, "%s", kind); /* fits */
    out_who->kind[0] = (char)toupper((unsigned char)kind[0]);
    (void)snprintf(out_who->parameter, sizeof out_who->parameter, "%sName", out_who->kind);
    out_who->name = word + size + 1;
    return true;
}

static int take_who(const char *word, bool with_policy, struct who *out_who)
{
    static const char *const kinds[] = { "user", "group", "role", "policy" };
    for (size_t i = 0; i < ARRAY_SIZE(kinds) - !with_policy; i++) {
        if (is_kind(word, kinds[i], out_who))
            return CLI_OK;
    }
    return cli_usage("%s is none of user/NAME, group/NAME, role/NAME%s.", word,
        with_policy ? ", policy/NAME" : "");
}

/* The ARN of a policy: one that is given as such, one of the account, else one of AWS. */
static int policy_arn(struct noun_call *call, const char *word, char out_arn[ARN_SIZE])
{
    if (strncmp(word, "arn:", 4) == 0) {
        (void)snprintf(out_arn, ARN_SIZE, "%s", word); /* the service says so when it was cut */
        return CLI_OK;
    }
    json_t *result = NULL;
    const char *const pairs[][2] = { { "Scope", "Local" }, { "MaxItems", "1000" } };
    int status = user_iam(call, "ListPolicies", pairs, ARRAY_SIZE(pairs), NULL, &result);
    const json_t *list = json_object_get(result, "Policies");
    size_t i;
    const json_t *policy;
    (void)snprintf(out_arn, ARN_SIZE, "arn:aws:iam::aws:policy/%s", word);
    json_array_foreach(list, i, policy)
    {
        if (strcmp(noun_text(policy, "PolicyName"), word) == 0)
            (void)snprintf(out_arn, ARN_SIZE, "%s", noun_text(policy, "Arn"));
    }
    json_decref(result);
    return status;
}

/* A file, or - for standard input, as a text that the caller frees. */
static int read_document(const char *name, char **out_text)
{
    bool is_input = strcmp(name, "-") == 0;
    FILE *file = is_input ? stdin : fopen(name, "re");
    if (file == NULL)
        return cli_fail("Cannot open %s: %m.", name);
    char *text = calloc(1, FILE_BYTES_MAX + 1);
    size_t size = text != NULL ? fread(text, 1, FILE_BYTES_MAX, file) : 0;
    bool failed = ferror(file) != 0 || size == FILE_BYTES_MAX;
    if (!is_input)
        (void)fclose(file); /* only read */
    if (text == NULL || failed) {
        free(text);
        return cli_fail("%s cannot be read, or is longer than %d bytes.", name, FILE_BYTES_MAX);
    }
    *out_text = text;
    return CLI_OK;
}

int noun_iam_list(struct noun_call *call)
{
    static const struct {
        const char *word;
        const char *action;
        const char *list;
        struct noun_column columns[4];
    } rows[] = {
        { "users", "ListUsers", "Users",
            { { "NAME", "UserName", COLUMN_TEXT }, { "ID", "UserId", COLUMN_TEXT },
                { "ARN", "Arn", COLUMN_TEXT }, { "CREATED", "CreateDate", COLUMN_TEXT } } },
        { "groups", "ListGroups", "Groups",
            { { "NAME", "GroupName", COLUMN_TEXT }, { "ID", "GroupId", COLUMN_TEXT },
                { "ARN", "Arn", COLUMN_TEXT }, { "CREATED", "CreateDate", COLUMN_TEXT } } },
        { "roles", "ListRoles", "Roles",
            { { "NAME", "RoleName", COLUMN_TEXT }, { "ID", "RoleId", COLUMN_TEXT },
                { "ARN", "Arn", COLUMN_TEXT }, { "CREATED", "CreateDate", COLUMN_TEXT } } },
        { "policies", "ListPolicies", "Policies",
            { { "NAME", "PolicyName", COLUMN_TEXT }, { "ARN", "Arn", COLUMN_TEXT },
                { "VERSION", "DefaultVersionId", COLUMN_TEXT },
                { "ATTACHED", "AttachmentCount", COLUMN_TEXT } } },
        { "keys", "ListAccessKeys", "AccessKeyMetadata",
            { { "USER", "UserName", COLUMN_TEXT }, { "KEY", "AccessKeyId", COLUMN_TEXT },
                { "STATUS", "Status", COLUMN_TEXT }, { "CREATED", "CreateDate", COLUMN_TEXT } } },
    };
    json_t *result = NULL;
    int status = noun_open(call, NULL, 0, 1, 2);
    size_t row = 0;
    while (status == CLI_OK && row < ARRAY_SIZE(rows) && strcmp(rows[row].word, call->argv[1]) != 0)
        row++;
    if (status == CLI_OK && row == ARRAY_SIZE(rows))
        status = cli_usage("There are lists of users, groups, roles, policies and keys, not of %s.",
            call->argv[1]);
    if (status != CLI_OK)
        return status;
    const char *const pairs[][2] = { { "MaxItems", "1000" },
        { "UserName", call->argc > 2 ? call->argv[2] : NULL } };
    status = user_iam(call, rows[row].action, pairs, ARRAY_SIZE(pairs), NULL, &result);
    if (status != CLI_OK)
        return status;
    json_t *list = json_incref(json_object_get(result, rows[row].list));
    json_decref(result);
    if (!json_is_array(list)) { /* an empty element */
        json_decref(list);
        list = json_array();
    }
    return noun_show_list(call, list, rows[row].columns, ARRAY_SIZE(rows[row].columns));
}

int noun_iam_create(struct noun_call *call)
{
    struct who who;
    char action[ACTION_SIZE];
    char *document = NULL;
    int status = noun_open(call, NULL, 0, 1, 2);
    if (status == CLI_OK)
        status = take_who(call->argv[1], true, &who);
    if (status != CLI_OK)
        return status;
    bool is_role = strcmp(who.kind, "Role") == 0;
    bool has_file = is_role || strcmp(who.kind, "Policy") == 0;
    if (has_file != (call->argc == 3))
        return cli_usage(
            "Roles (whom they trust) and policies need a file; users and groups none.");
    if (has_file)
        status = read_document(call->argv[2], &document);
    const char *const pairs[][2] = { { who.parameter, who.name },
        { is_role ? "AssumeRolePolicyDocument" : "PolicyDocument", document } };
    (void)snprintf(action, sizeof action, "Create%s", who.kind);
    if (status == CLI_OK)
        status = user_iam(call, action, pairs, ARRAY_SIZE(pairs), NULL, NULL);
    free(document);
    return status == CLI_OK ? noun_done(call, json_object(), "%s is made.", call->argv[1]) : status;
}

int noun_iam_key(struct noun_call *call)
{
    json_t *result = NULL;
    int status = noun_open(call, NULL, 0, 1, 1);
    const char *const pairs[][2] = { { "UserName", status == CLI_OK ? call->argv[1] : NULL } };
    if (status == CLI_OK)
        status = user_iam(call, "CreateAccessKey", pairs, ARRAY_SIZE(pairs), NULL, &result);
    if (status != CLI_OK)
        return status;
    json_t *key = json_incref(json_object_get(result, "AccessKey"));
    json_decref(result);
    return noun_show(call, key);
}

/* --dry-run: whether it is there. IAM deletes only what nothing hangs on, so nothing else goes with it. */
static int show_loss(struct noun_call *call, const struct who *who, const char *const pairs[][2])
{
    char action[ACTION_SIZE];
    bool is_key = strcmp(who->kind, "AccessKey") == 0;
    const char *word = call->argv[1];
    (void)snprintf(action, sizeof action, "Get%s", is_key ? "AccessKeyLastUsed" : who->kind);
    int status = user_iam(call, action, pairs, 1, NULL, NULL);
    if (status != CLI_OK)
        return status;
    return noun_done(call, json_pack("{s:s}", "Deletes", word),
        is_key ? "%s would go: whoever uses it is refused then. Nothing was changed."
               : "%s would go, unless keys, members or policies still hang on it. Nothing was "
                 "changed.",
        word);
}

int noun_iam_delete(struct noun_call *call)
{
    struct who who = { .kind = "AccessKey", .parameter = "AccessKeyId" };
    const char *user = NULL;
    char action[ACTION_SIZE];
    char arn[ARN_SIZE];
    const struct cli_option options[] = { { "--user", &user, NULL } };
    int status = noun_open(call, options, ARRAY_SIZE(options), 1, 1);
    if (status == CLI_OK && strncmp(call->argv[1], "key/", 4) == 0)
        who.name = call->argv[1] + 4;
    else if (status == CLI_OK)
        status = take_who(call->argv[1], true, &who);
    bool is_policy = strcmp(who.kind, "Policy") == 0;
    if (status == CLI_OK && is_policy)
        status = policy_arn(call, who.name, arn);
    const char *const pairs[][2] = { { is_policy ? "PolicyArn" : who.parameter,
                                         is_policy ? arn : who.name },
        { "UserName", user } };
    (void)snprintf(action, sizeof action, "Delete%s", who.kind);
    if (status == CLI_OK && call->is_dry_run)
        return show_loss(call, &who, pairs);
    if (status == CLI_OK)
        status = user_iam(call, action, pairs, ARRAY_SIZE(pairs), NULL, NULL);
    return status == CLI_OK ? noun_done(call, json_object(), "%s is deleted.", call->argv[1])
                            : status;
}

static int change_membership(struct noun_call *call, const char *action, const char *said)
{
    int status = noun_open(call, NULL, 0, 2, 2);
    const char *const pairs[][2] = { { "UserName", status == CLI_OK ? call->argv[1] : NULL },
        { "GroupName", status == CLI_OK ? call->argv[2] : NULL } };
    if (status == CLI_OK)
        status = user_iam(call, action, pairs, ARRAY_SIZE(pairs), NULL, NULL);
    return status == CLI_OK
               ? noun_done(call, json_object(), "%s %s %s.", call->argv[1], said, call->argv[2])
               : status;
}

int noun_iam_join(struct noun_call *call)
{
    return change_membership(call, "AddUserToGroup", "is in the group");
}

int noun_iam_leave(struct noun_call *call)
{
    return change_membership(call, "RemoveUserFromGroup", "is no longer in the group");
}

static int change_attachment(struct noun_call *call, const char *verb, const char *said)
{
    struct who who = { 0 };
    char arn[ARN_SIZE] = "";
    char action[ACTION_SIZE];
    int status = noun_open(call, NULL, 0, 2, 2);
    if (status == CLI_OK)
        status = take_who(call->argv[1], false, &who);
    if (status == CLI_OK)
        status = policy_arn(call, call->argv[2], arn);
    const char *const pairs[][2] = { { who.parameter, who.name }, { "PolicyArn", arn } };
    (void)snprintf(action, sizeof action, "%s%sPolicy", verb, who.kind);
    if (status == CLI_OK)
        status = user_iam(call, action, pairs, ARRAY_SIZE(pairs), NULL, NULL);
    return status == CLI_OK ? noun_done(call, json_object(), "%s %s %s.", arn, said, call->argv[1])
                            : status;
}

int noun_iam_attach(struct noun_call *call)
{
    return change_attachment(call, "Attach", "is attached to");
}

int noun_iam_detach(struct noun_call *call)
{
    return change_attachment(call, "Detach", "is no longer attached to");
}

int noun_iam_put(struct noun_call *call)
{
    struct who who = { 0 };
    char action[ACTION_SIZE];
    char *document = NULL;
    int status = noun_open(call, NULL, 0, 3, 3);
    if (status == CLI_OK)
        status = take_who(call->argv[1], false, &who);
    if (status == CLI_OK)
        status = read_document(call->argv[3], &document);
    const char *const pairs[][2] = { { who.parameter, who.name },
        { "PolicyName", status == CLI_OK ? call->argv[2] : NULL }, { "PolicyDocument", document } };
    (void)snprintf(action, sizeof action, "Put%sPolicy", who.kind);
    if (status == CLI_OK)
        status = user_iam(call, action, pairs, ARRAY_SIZE(pairs), NULL, NULL);
    free(document);
    return status == CLI_OK ? noun_done(call, json_object(), "%s has the policy %s.", call->argv[1],
                                  call->argv[2])
                            : status;
}

int noun_iam_simulate(struct noun_call *call)
{
    struct who who = { 0 };
    char action[ACTION_SIZE];
    char path[ACTION_SIZE];
    json_t *result = NULL;
    int status = noun_open(call, NULL, 0, 2, 3);
    if (status == CLI_OK)
        status = take_who(call->argv[1], false, &who);
    const char *const name[][2] = { { who.parameter, who.name } };
    (void)snprintf(action, sizeof action, "Get%s", who.kind);
    if (status == CLI_OK)
        status = user_iam(call, action, name, 1, NULL, &result);
    if (status != CLI_OK)
        return status;
    (void)snprintf(path, sizeof path, "%s.Arn", who.kind);
    const char *const pairs[][2] = { { "PolicySourceArn", noun_text(result, path) },
        { "ActionNames.member.1", call->argv[2] },
        { "ResourceArns.member.1", call->argc > 3 ? call->argv[3] : NULL } };
    json_t *answer = NULL;
    status = user_iam(call, "SimulatePrincipalPolicy", pairs, ARRAY_SIZE(pairs), NULL, &answer);
    json_decref(result);
    if (status != CLI_OK)
        return status;
    json_t *one = json_incref(json_array_get(json_object_get(answer, "EvaluationResults"), 0));
    json_decref(answer);
    if (call->format != NOUN_TABLE)
        return noun_show(call, one);
    (void)puts(noun_text(one, "EvalDecision"));
    json_decref(one);
    return CLI_OK;
}
