/*
 * cli/nouns/noun_user_delete.c - shoal user delete: a user, and before it what hangs on it (room: cli).
 *
 * Source: IAM API, DeleteUser (DeleteConflict while there are keys, policies or memberships).
 */
#include "base/text.h"
#include "cli/nouns/noun_user.h"

/* What has to go before a user can. */
static const struct part {
    const char *list;   /* the action that lists them */
    const char *name;   /* of the list in its answer */
    const char *member; /* where the value stands in a member; NULL: the member is the value */
    const char *remove; /* the action that takes one away */
    const char *word;   /* its parameter */
    const char *what;
} parts[] = {
    { "ListAccessKeys", "AccessKeyMetadata", "AccessKeyId", "DeleteAccessKey", "AccessKeyId",
        "access key" },
    { "ListUserPolicies", "PolicyNames", NULL, "DeleteUserPolicy", "PolicyName", "policy" },
    { "ListAttachedUserPolicies", "AttachedPolicies", "PolicyArn", "DetachUserPolicy", "PolicyArn",
        "attached policy" },
    { "ListGroupsForUser", "Groups", "GroupName", "RemoveUserFromGroup", "GroupName",
        "membership in group" },
};

static const char *value_of(const struct part *part, const json_t *member)
{
    return part->member != NULL ? noun_text(member, part->member) : noun_text(member, "");
}

static int remove_part(struct noun_call *call, const struct part *part, const char *user)
{
    json_t *list = NULL;
    int status = user_iam_list(call, part->list, user, part->name, &list);
    for (size_t i = 0; i < json_array_size(list) && status == CLI_OK; i++) {
        const char *const words[][2] = { { "UserName", user },
            { part->word, value_of(part, json_array_get(list, i)) } };
        status = user_iam(call, part->remove, words, ARRAY_SIZE(words), part->what, NULL);
    }
    json_decref(list);
    return status;
}

int user_remove(struct noun_call *call, const char *name)
{
    const char *const user[][2] = { { "UserName", name } };
    int status = CLI_OK;
    for (size_t i = 0; i < ARRAY_SIZE(parts) && status == CLI_OK; i++)
        status = remove_part(call, &parts[i], name);
    return status == CLI_OK
               ? user_iam(call, "DeleteUser", user, ARRAY_SIZE(user), "to delete the user", NULL)
               : status;
}

/* --dry-run: all that would go. */
static int show_loss(struct noun_call *call, const char *user)
{
    json_t *loss = json_pack("{s:s}", "UserName", user);
    int status = CLI_OK;
    for (size_t i = 0; i < ARRAY_SIZE(parts) && status == CLI_OK; i++) {
        json_t *list = NULL;
        status = user_iam_list(call, parts[i].list, user, parts[i].name, &list);
        for (size_t j = 0; j < json_array_size(list) && call->format == NOUN_TABLE; j++)
            (void)printf("%s %s\n", parts[i].what, value_of(&parts[i], json_array_get(list, j)));
        if (status == CLI_OK && json_object_set_new(loss, parts[i].name, list) < 0)
            status = cli_fail("There is no memory left.");
    }
    if (status == CLI_OK)
        return noun_done(call, loss, "would go with %s. Nothing was changed.", user);
    json_decref(loss);
    return status;
}

int noun_user_delete(struct noun_call *call)
{
    int status = noun_open(call, NULL, 0, 1, 1);
    if (status != CLI_OK)
        return status;
    const char *user = call->argv[1];
    if (call->is_dry_run)
        return show_loss(call, user);
    status = user_remove(call, user);
    return status == CLI_OK
               ? noun_done(call, json_pack("{s:s}", "UserName", user), "%s is deleted", user)
               : status;
}
