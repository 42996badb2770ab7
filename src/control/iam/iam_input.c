/*
 * control/iam/iam_input.c - taking IAM's parameters, and finding what they name (room: control).
 */
#include <ctype.h>
#include <stdio.h>

#include "auth/managed.h"
#include "base/text.h"
#include "control/iam/iam.h"
#include "control/input.h"

#define PARAMETER_SIZE 96

enum catalog_identity_kind iam_kind(const struct api_call *call)
{
    if (strstr(call->action, "Role") != NULL)
        return CATALOG_ROLE;
    return strstr(call->action, "Group") != NULL ? CATALOG_GROUP : CATALOG_USER;
}

const char *iam_name_parameter(enum catalog_identity_kind kind)
{
    static const char *const names[CATALOG_IDENTITY_KIND_COUNT] = {
        [CATALOG_USER] = "UserName",
        [CATALOG_GROUP] = "GroupName",
        [CATALOG_ROLE] = "RoleName",
        [CATALOG_MANAGED_POLICY] = "PolicyName",
    };
    assert(kind < CATALOG_IDENTITY_KIND_COUNT);
    return names[kind];
}

static const char *kind_word(enum catalog_identity_kind kind)
{
    static const char *const words[CATALOG_IDENTITY_KIND_COUNT] = {
        [CATALOG_USER] = "user",
        [CATALOG_GROUP] = "group",
        [CATALOG_ROLE] = "role",
        [CATALOG_MANAGED_POLICY] = "policy",
    };
    assert(kind < CATALOG_IDENTITY_KIND_COUNT);
    return words[kind];
}

/* IAM names members in lower camel case in its messages. */
static const struct api_error *fail_constraint(
    struct api_call *call, const char *name, const char *value, const char *constraint)
{
    return api_fail(call, API_IAM_VALIDATION,
        "1 validation error detected: Value %s%.64s%s at '%c%s' failed to satisfy constraint: %s",
        value != NULL ? "'" : "", value != NULL ? value : "null", value != NULL ? "'" : "",
        tolower((unsigned char)name[0]), name + 1, constraint);
}

static const struct api_error *check_length(
    struct api_call *call, const char *name, const char *value, size_t chars_max)
{
    char constraint[96];
    size_t chars = input_char_count(value);
    if (chars == 0)
        return fail_constraint(
            call, name, value, "Member must have length greater than or equal to 1");
    if (chars <= chars_max)
        return NULL;
    (void)snprintf(constraint, sizeof constraint,
        "Member must have length less than or equal to %zu", chars_max);
    return fail_constraint(call, name, value, constraint);
}

/* IAM: letters, digits and _+=,.@- */
static bool has_name_letters_only(const char *name)
{
    for (const char *c = name; *c != '\0'; c++) {
        bool is_letter = (unsigned char)*c < 0x80 && isalnum((unsigned char)*c);
        if (!is_letter && strchr("_+=,.@-", *c) == NULL)
            return false;
    }
    return true;
}

const struct api_error *iam_take_name(struct api_call *call, const char *parameter,
    enum catalog_identity_kind kind, bool required, const char **out_name)
{
    bool is_short = kind == CATALOG_USER || kind == CATALOG_ROLE;
    const char *name = query_find(&call->query, parameter);
    if (name == NULL)
        return required ? fail_constraint(call, parameter, NULL, "Member must not be null") : NULL;
    const struct api_error *error = check_length(call, parameter, name, is_short ? 64 : 128);
    if (error != NULL)
        return error;
    if (!has_name_letters_only(name))
        return api_fail(call, API_IAM_VALIDATION,
            "The specified value for %c%s is invalid. It must contain only alphanumeric "
            "characters and/or the following: +=,.@_-",
            tolower((unsigned char)parameter[0]), parameter + 1);
    *out_name = name;
    return NULL;
}

const struct api_error *iam_take_path(
    struct api_call *call, const char *parameter, const char **out_path)
{
    const char *path = query_find(&call->query, parameter);
    *out_path = "/";
    if (path == NULL)
        return NULL;
    size_t size = strlen(path);
    bool is_good = size > 0 && size < CATALOG_IAM_PATH_SIZE && path[0] == '/';
    for (size_t i = 0; is_good && i < size; i++)
        is_good = path[i] > ' ' && path[i] < 0x7f;
    /* A prefix of paths may end anywhere. */
    if (is_good && strcmp(parameter, "Path") == 0)
        is_good = path[size - 1] == '/' && strstr(path, "//") == NULL;
    if (!is_good)
        return api_fail(call, API_IAM_VALIDATION,
            "The specified value for %c%s is invalid. It must begin and end with / and contain "
            "only alphanumeric characters and/or / characters.",
            tolower((unsigned char)parameter[0]), parameter + 1);
    *out_path = path;
    return NULL;
}

const struct api_error *iam_take_text(
    struct api_call *call, const char *parameter, size_t size_max, const char **out_text)
{
    const char *text = query_find(&call->query, parameter);
    if (text == NULL)
        return fail_constraint(call, parameter, NULL, "Member must not be null");
    const struct api_error *error = check_length(call, parameter, text, size_max);
    if (error == NULL)
        *out_text = text;
    return error;
}

const struct api_error *iam_take_policy_arn(struct api_call *call, const char **out_arn)
{
    const struct api_error *error = iam_take_text(call, "PolicyArn", 640, out_arn);
    if (error == NULL && strncmp(*out_arn, "arn:aws:iam::", 13) != 0)
        error = api_fail(call, API_IAM_VALIDATION, "ARN %.128s is not valid.", *out_arn);
    return error;
}

const struct api_error *iam_take_document(struct api_call *call, const char *parameter,
    enum policy_kind kind, size_t size_max, const char **out_document)
{
    struct policy *policy;
    char message[POLICY_MESSAGE_SIZE];
    const struct api_error *error = iam_take_text(call, parameter, 131072, out_document);
    if (error != NULL)
        return error;
    if (strlen(*out_document) > size_max)
        return api_fail(
            call, API_IAM_LIMIT_EXCEEDED, "Cannot exceed quota for PolicySize: %zu", size_max);
    int err = policy_parse(kind, slice_str(*out_document), message, &policy);
    if (err == -EINVAL)
        return api_fail(call, API_IAM_MALFORMED_POLICY, "%s", message);
    if (err < 0)
        return api_internal_error(call, err);
    policy_free(policy);
    return NULL;
}

const struct api_error *iam_take_tags(struct api_call *call, struct catalog_tags *tags)
{
    for (unsigned i = 1; i <= CATALOG_TAGS_MAX + 1; i++) {
        char name[PARAMETER_SIZE];
        (void)snprintf(name, sizeof name, "Tags.member.%u.Key", i);
        const char *key = query_find(&call->query, name);
        (void)snprintf(name, sizeof name, "Tags.member.%u.Value", i);
        const char *value = query_find(&call->query, name);
        if (key == NULL)
            return NULL;
        const struct api_error *error = check_length(call, "tags.key", key, 128);
        if (error == NULL && (value == NULL || input_char_count(value) > 256))
            error = fail_constraint(
                call, "tags.value", value, "Member must have length less than or equal to 256");
        if (error == NULL && strncasecmp(key, "aws:", 4) == 0)
            error = api_fail(
                call, API_IAM_INVALID_INPUT, "Tag keys that begin with aws: are reserved.");
        if (error == NULL && catalog_tags_find(tags, key) != NULL)
            error = api_fail(call, API_IAM_INVALID_INPUT,
                "Duplicate tag keys found. Please note that Tag keys are case insensitive.");
        if (error != NULL)
            return error;
        if (catalog_tags_set(tags, key, value) < 0)
            return api_internal_error(call, -ENOMEM);
    }
    return api_fail(call, API_IAM_LIMIT_EXCEEDED, "Cannot exceed quota for TagsPerResource: %d",
        CATALOG_TAGS_MAX);
}

const struct api_error *iam_take_members(
    struct api_call *call, const char *list, size_t max, const char **out_list, size_t *out_count)
{
    char name[PARAMETER_SIZE];
    for (*out_count = 0; *out_count < max; (*out_count)++) {
        (void)snprintf(name, sizeof name, "%s.member.%zu", list, *out_count + 1);
        out_list[*out_count] = query_find(&call->query, name);
        if (out_list[*out_count] == NULL)
            return NULL;
    }
    (void)snprintf(name, sizeof name, "%s.member.%zu", list, max + 1);
    return query_find(&call->query, name) == NULL
               ? NULL
               : api_fail(call, API_IAM_VALIDATION, "%s has more than %zu members.", list, max);
}

const struct api_error *iam_take_number(
    struct api_call *call, const char *parameter, uint64_t min, uint64_t max, uint64_t *out_number)
{
    char constraint[96];
    uint64_t number;
    const char *text = query_find(&call->query, parameter);
    if (text == NULL)
        return NULL;
    if (text_parse_u64(text, max, &number) < 0 || number < min) {
        (void)snprintf(constraint, sizeof constraint,
            "Member must have value between %llu and %llu", (unsigned long long)min,
            (unsigned long long)max);
        return fail_constraint(call, parameter, text, constraint);
    }
    *out_number = number;
    return NULL;
}

const struct api_error *iam_take_page(struct api_call *call, struct iam_page *out_page)
{
    const char *marker = query_find(&call->query, "Marker");
    *out_page = (struct iam_page){ .marker = marker != NULL ? marker : "", .max = 100 };
    if (marker != NULL && (marker[0] == '\0' || strlen(marker) > 320))
        return api_fail(call, API_IAM_VALIDATION, "Invalid Marker.");
    return iam_take_number(call, "MaxItems", 1, IAM_LIST_MAX, &out_page->max);
}

/* ---- look-ups ------------------------------------------------------------------------------------------ */

static int refuse_missing(struct api_call *call, enum catalog_identity_kind kind, const char *name)
{
    return api_refuse(call, API_IAM_NO_SUCH_ENTITY, "The %s with name %.128s cannot be found.",
        kind_word(kind), name);
}

const struct catalog_identity *iam_get(
    struct api_call *call, enum catalog_identity_kind kind, const char *name)
{
    const struct catalog_identity *identity =
        catalog_identity_find(call->context->catalog, kind, name);
    if (identity == NULL)
        (void)refuse_missing(call, kind, name); /* the failure is noted in the call */
    return identity;
}

const struct catalog_identity *iam_get_named(struct api_call *call)
{
    const char *name = NULL;
    enum catalog_identity_kind kind = iam_kind(call);
    const struct api_error *error =
        iam_take_name(call, iam_name_parameter(kind), kind, true, &name);
    return error != NULL ? NULL : iam_get(call, kind, name);
}

int iam_edit(struct api_call *call, struct catalog_change *change, enum catalog_identity_kind kind,
    const char *name, struct catalog_identity **out_identity)
{
    const struct catalog_identity *identity =
        catalog_identity_find(call->context->catalog, kind, name);
    if (identity == NULL)
        return refuse_missing(call, kind, name);
    int err = catalog_edit_identity(change, identity->id, out_identity);
    catalog_identity_put(identity);
    return err;
}

int iam_check_free(struct api_call *call, enum catalog_identity_kind kind, const char *name)
{
    static const struct {
        const char *title;
        const char *quota;
        size_t max;
    } rows[CATALOG_IDENTITY_KIND_COUNT] = {
        [CATALOG_USER] = { "User", "UsersPerAccount", IAM_USERS_MAX },
        [CATALOG_GROUP] = { "Group", "GroupsPerAccount", IAM_GROUPS_MAX },
        [CATALOG_ROLE] = { "Role", "RolesPerAccount", IAM_ROLES_MAX },
        [CATALOG_MANAGED_POLICY] = { "A policy called", "PoliciesPerAccount", IAM_POLICIES_MAX },
    };
    const struct catalog_identity *other =
        catalog_identity_find(call->context->catalog, kind, name);
    catalog_identity_put(other);
    if (other != NULL && kind == CATALOG_MANAGED_POLICY)
        return api_refuse(call, API_IAM_ENTITY_ALREADY_EXISTS,
            "A policy called %.128s already exists. Duplicate names are not allowed.", name);
    if (other != NULL)
        return api_refuse(call, API_IAM_ENTITY_ALREADY_EXISTS,
            "%s with name %.128s already exists.", rows[kind].title, name);
    if (catalog_identity_count(call->context->catalog, kind) >= rows[kind].max)
        return api_refuse(call, API_IAM_LIMIT_EXCEEDED, "Cannot exceed quota for %s: %zu",
            rows[kind].quota, rows[kind].max);
    return 0;
}

bool iam_policy_exists(const struct api_call *call, const char *arn)
{
    if (managed_policy_find(arn) != NULL)
        return true;
    const struct catalog_identity *policy = iam_policy_by_arn(call->context->catalog, arn);
    catalog_identity_put(policy);
    return policy != NULL;
}
