/*
 * control/iam/iam_account.c - the account as a whole, and asking what somebody may do (room: control).
 * Source: IAM API, ListAccountAliases, GetAccountSummary, SimulatePrincipalPolicy.
 */
#include <stdio.h>

#include "auth/decision.h"
#include "base/text.h"
#include "control/iam/iam.h"

#define ACTIONS_MAX   64
#define RESOURCES_MAX 64
#define ENTRIES_MAX   32
#define VALUES_MAX    16

const struct api_error *iam_list_account_aliases(struct api_call *call, struct xml *xml)
{
    struct iam_page page;
    const struct api_error *error = iam_take_page(call, &page);
    if (error != NULL)
        return error;
    xml_open(xml, "AccountAliases", NULL);
    xml_close(xml);
    iam_write_page(xml, NULL);
    return NULL;
}

const struct api_error *iam_get_account_summary(struct api_call *call, struct xml *xml)
{
    const struct catalog *catalog = call->context->catalog;
    const struct {
        const char *key;
        size_t value;
    } rows[] = {
        { "Users", catalog_identity_count(catalog, CATALOG_USER) },
        { "UsersQuota", IAM_USERS_MAX },
        { "Groups", catalog_identity_count(catalog, CATALOG_GROUP) },
        { "GroupsQuota", IAM_GROUPS_MAX },
        { "Roles", catalog_identity_count(catalog, CATALOG_ROLE) },
        { "RolesQuota", IAM_ROLES_MAX },
        { "Policies", catalog_identity_count(catalog, CATALOG_MANAGED_POLICY) },
        { "PoliciesQuota", IAM_POLICIES_MAX },
        { "AccessKeysPerUserQuota", IAM_KEYS_PER_USER_MAX },
        { "GroupsPerUserQuota", IAM_GROUPS_PER_USER_MAX },
        { "AttachedPoliciesPerUserQuota", IAM_ATTACHED_MAX },
        { "PolicySizeQuota", IAM_POLICY_SIZE_MAX },
        { "VersionsPerPolicyQuota", CATALOG_POLICY_VERSIONS_MAX },
    };
    xml_open(xml, "SummaryMap", NULL);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        xml_open(xml, "entry", NULL);
        xml_element(xml, "key", rows[i].key);
        iam_write_number(xml, "value", rows[i].value);
        xml_close(xml);
    }
    xml_close(xml);
    return NULL;
}

/* Lists of what users and roles cannot have here; tools ask before they delete one. */
const struct api_error *iam_list_none(struct api_call *call, struct xml *xml)
{
    static const struct {
        const char *action;
        const char *element;
    } rows[] = {
        { "ListInstanceProfilesForRole", "InstanceProfiles" },
        { "ListMFADevices", "MFADevices" },
        { "ListSigningCertificates", "Certificates" },
        { "ListSSHPublicKeys", "SSHPublicKeys" },
    };
    const struct catalog_identity *identity = iam_get_named(call);
    if (identity == NULL)
        return call->failure;
    catalog_identity_put(identity);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        if (strcmp(call->action, rows[i].action) != 0)
            continue;
        xml_open(xml, rows[i].element, NULL);
        xml_close(xml);
    }
    iam_write_page(xml, NULL);
    return NULL;
}

/* ---- simulating ---------------------------------------------------------------------------------------- */

/* The user or role with this ARN, with a reference; NULL: none. */
static const struct catalog_identity *find_by_arn(const struct catalog *catalog, const char *arn)
{
    char own[IAM_ARN_SIZE];
    const char *name = strrchr(arn, '/');
    bool is_role = strstr(arn, ":role/") != NULL;
    const struct catalog_identity *identity =
        name == NULL
            ? NULL
            : catalog_identity_find(catalog, is_role ? CATALOG_ROLE : CATALOG_USER, name + 1);
    if (identity == NULL)
        return NULL;
    iam_arn(catalog, identity, own);
    if (strcmp(own, arn) == 0)
        return identity;
    catalog_identity_put(identity);
    return NULL;
}

/* Sets a key, in the place of one that follows from the request. */
static int set_key(
    struct auth_context *context, const char *name, const char *const *values, size_t count)
{
    for (size_t i = 0; count > 0 && i < context->count; i++) {
        if (strcasecmp(context->keys[i].name, name) != 0)
            continue;
        context->keys[i].values = values;
        context->keys[i].value_count = count;
        return 0;
    }
    return auth_context_add_list(context, name, values, count);
}

/* ContextEntries.member.N.ContextKeyName and .ContextKeyValues.member.M. */
static const struct api_error *take_entries(struct api_call *call, struct auth_context *context)
{
    for (unsigned i = 1; i <= ENTRIES_MAX; i++) {
        char name[96];
        size_t count;
        (void)snprintf(name, sizeof name, "ContextEntries.member.%u.ContextKeyName", i);
        const char *key = query_find(&call->query, name);
        const char **values = arena_calloc(&call->arena, VALUES_MAX, sizeof *values);
        if (key == NULL)
            return NULL;
        if (values == NULL)
            return api_internal_error(call, -ENOMEM);
        (void)snprintf(name, sizeof name, "ContextEntries.member.%u.ContextKeyValues", i);
        const struct api_error *error = iam_take_members(call, name, VALUES_MAX, values, &count);
        if (error != NULL)
            return error;
        if (set_key(context, key, values, count) < 0)
            return api_internal_error(call, -ENOMEM);
    }
    return NULL;
}

static void write_result(
    struct xml *xml, const char *action, const char *resource, enum policy_verdict verdict)
{
    static const char *const decisions[] = { [POLICY_SILENT] = "implicitDeny",
        [POLICY_ALLOWS] = "allowed",
        [POLICY_DENIES] = "explicitDeny" };
    xml_open(xml, "member", NULL);
    xml_element(xml, "EvalActionName", action);
    xml_element(xml, "EvalResourceName", resource);
    xml_element(xml, "EvalDecision", decisions[verdict]);
    xml_open(xml, "MatchedStatements", NULL);
    xml_close(xml);
    xml_open(xml, "MissingContextValues", NULL);
    xml_close(xml);
    xml_close(xml);
}

static const struct api_error *simulate(
    struct api_call *call, struct xml *xml, const struct principal *principal)
{
    const char *actions[ACTIONS_MAX];
    const char *resources[RESOURCES_MAX] = { NULL };
    size_t action_count;
    size_t resource_count;
    const struct auth_environment environment = { .now_ms = call->now_ms,
        .region = catalog_region(call->context->catalog) };
    const struct api_error *error =
        iam_take_members(call, "ActionNames", ACTIONS_MAX, actions, &action_count);
    if (error == NULL)
        error = iam_take_members(call, "ResourceArns", RESOURCES_MAX, resources, &resource_count);
    if (error != NULL)
        return error;
    if (action_count == 0)
        return api_fail(call, API_IAM_INVALID_INPUT, "ActionNames must name an action.");
    if (resource_count == 0) {
        resources[0] = "*";
        resource_count = 1;
    }
    struct auth_context *context = arena_alloc(&call->arena, sizeof *context);
    if (context == NULL || auth_context_init(context, &call->arena, principal, &environment) < 0)
        return api_internal_error(call, -ENOMEM);
    error = take_entries(call, context);
    if (error != NULL)
        return error;
    xml_open(xml, "EvaluationResults", NULL);
    for (size_t i = 0; i < action_count; i++) {
        for (size_t j = 0; j < resource_count; j++)
            write_result(xml, actions[i], resources[j],
                auth_decide(context, NULL, actions[i], resources[j]));
    }
    xml_close(xml);
    iam_write_page(xml, NULL);
    return NULL;
}

const struct api_error *iam_simulate_principal_policy(struct api_call *call, struct xml *xml)
{
    const char *arn = NULL;
    struct principal *principal = NULL;
    const struct catalog *catalog = call->context->catalog;
    const struct api_error *error = iam_take_text(call, "PolicySourceArn", 640, &arn);
    if (error != NULL)
        return error;
    const struct catalog_identity *identity = find_by_arn(catalog, arn);
    if (identity == NULL)
        return api_fail(call, API_IAM_NO_SUCH_ENTITY,
            "The user or role with the ARN %.256s cannot be found.", arn);
    int err = principal_of_identity(catalog, identity, &principal);
    if (err == 0)
        err = principal_load_policies(catalog, principal);
    error = err < 0 ? api_internal_error(call, err) : simulate(call, xml, principal);
    principal_free(principal);
    catalog_identity_put(identity);
    return error;
}
