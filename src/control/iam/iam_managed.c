/*
 * control/iam/iam_managed.c - managed policies and their versions (room: control).
 * Source: IAM API, CreatePolicy, GetPolicy, ListPolicies, DeletePolicy, CreatePolicyVersion, GetPolicyVersion,
 * ListPolicyVersions, SetDefaultPolicyVersion, DeletePolicyVersion, ListEntitiesForPolicy.
 */
#include <stdio.h>
#include <stdlib.h>

#include "auth/credentials.h"
#include "auth/managed.h"
#include "base/text.h"
#include "control/iam/iam.h"
#include "control/input.h"

static const struct api_error *fail_no_policy(struct api_call *call, const char *arn)
{
    return api_fail(
        call, API_IAM_NO_SUCH_ENTITY, "Policy %.256s does not exist or is not attachable.", arn);
}

static const struct api_error *fail_no_version(
    struct api_call *call, const char *arn, const char *version)
{
    return api_fail(call, API_IAM_NO_SUCH_ENTITY,
        "Policy %.256s version %.16s does not exist or is not attachable.", arn, version);
}

/* ---- making -------------------------------------------------------------------------------------------- */

struct creation {
    struct api_call *call;
    char id[CATALOG_ID_SIZE];
    const char *name;
    const char *path;
    const char *description;
    const char *document;
    struct catalog_tags tags;
};

static int create_policy(struct catalog_change *change, void *context)
{
    const struct creation *creation = context;
    struct catalog_identity *policy;
    int err = iam_check_free(creation->call, CATALOG_MANAGED_POLICY, creation->name);
    if (err == 0)
        err = catalog_add_identity(change, &policy);
    if (err != 0)
        return err;
    policy->kind = CATALOG_MANAGED_POLICY;
    policy->created_ms = creation->call->now_ms;
    policy->default_version = 1;
    memcpy(policy->id, creation->id, sizeof policy->id);
    err = text_copy(policy->name, sizeof policy->name, creation->name);
    if (err == 0)
        err = text_copy(policy->path, sizeof policy->path, creation->path);
    if (err == 0)
        err = catalog_text_set(&policy->description, creation->description);
    if (err == 0)
        err = catalog_policy_add_version(policy, creation->document, creation->call->now_ms);
    for (size_t i = 0; err == 0 && i < creation->tags.count; i++)
        err = catalog_tags_set(
            &policy->tags, creation->tags.items[i].key, creation->tags.items[i].value);
    return err;
}

const struct api_error *iam_create_policy(struct api_call *call, struct xml *xml)
{
    struct creation creation = { .call = call };
    creation.description = query_find(&call->query, "Description");
    const struct api_error *error =
        iam_take_name(call, "PolicyName", CATALOG_MANAGED_POLICY, true, &creation.name);
    if (error == NULL)
        error = iam_take_path(call, "Path", &creation.path);
    if (error == NULL)
        error = iam_take_document(
            call, "PolicyDocument", POLICY_OF_IDENTITY, IAM_POLICY_SIZE_MAX, &creation.document);
    if (error == NULL && creation.description != NULL &&
        input_char_count(creation.description) > CATALOG_IAM_DESCRIPTION_MAX)
        error = api_fail(call, API_IAM_VALIDATION, "The description is longer than %d characters.",
            CATALOG_IAM_DESCRIPTION_MAX);
    if (error == NULL)
        error = iam_take_tags(call, &creation.tags);
    credentials_make_id("ANPA", CREDENTIALS_ID_LETTERS, creation.id);
    if (error == NULL)
        error = api_change(call, create_policy, &creation);
    catalog_tags_fini(&creation.tags);
    const struct catalog_identity *policy =
        error == NULL ? catalog_identity_get(call->context->catalog, creation.id) : NULL;
    if (policy == NULL)
        return error != NULL ? error : fail_no_policy(call, creation.name);
    xml_open(xml, "Policy", NULL);
    error = iam_write_identity(call, xml, policy, true);
    xml_close(xml);
    catalog_identity_put(policy);
    return error;
}

/* ---- showing ------------------------------------------------------------------------------------------- */

static void write_builtin(
    const struct api_call *call, struct xml *xml, const struct managed_policy *policy)
{
    xml_element(xml, "PolicyName", policy->name);
    xml_element(xml, "PolicyId", policy->id);
    xml_element(xml, "Arn", policy->arn);
    xml_element(xml, "Path", "/");
    xml_element(xml, "DefaultVersionId", "v1");
    iam_write_number(
        xml, "AttachmentCount", iam_attachment_count(call->context->catalog, policy->arn));
    iam_write_number(xml, "PermissionsBoundaryUsageCount", 0);
    iam_write_bool(xml, "IsAttachable", true);
    xml_element(xml, "Description", policy->description);
    iam_write_time(xml, "CreateDate", 0);
    iam_write_time(xml, "UpdateDate", 0);
}

const struct api_error *iam_get_policy(struct api_call *call, struct xml *xml)
{
    const char *arn = NULL;
    const struct api_error *error = iam_take_policy_arn(call, &arn);
    if (error != NULL)
        return error;
    const struct managed_policy *builtin = managed_policy_find(arn);
    const struct catalog_identity *policy =
        builtin == NULL ? iam_policy_by_arn(call->context->catalog, arn) : NULL;
    if (builtin == NULL && policy == NULL)
        return fail_no_policy(call, arn);
    xml_open(xml, "Policy", NULL);
    if (builtin != NULL)
        write_builtin(call, xml, builtin);
    else
        error = iam_write_identity(call, xml, policy, true);
    xml_close(xml);
    catalog_identity_put(policy);
    return error;
}

struct listing {
    struct api_call *call;
    struct xml *xml;
    const struct api_error *error;
    const char *path_prefix;
    const char *after; /* "A" or "L" and the name in lower case: those of AWS come first */
    bool only_attached;
    uint64_t left;
    char last[CATALOG_IAM_NAME_SIZE + 1];
    bool is_truncated;
};

/* Whether a policy with this place in the list belongs to the page; false with is_truncated: the page is full. */
static bool belongs(struct listing *listing, const char *place, const char *arn, const char *path)
{
    if (strcmp(place, listing->after) <= 0 ||
        strncmp(path, listing->path_prefix, strlen(listing->path_prefix)) != 0 ||
        (listing->only_attached && iam_attachment_count(listing->call->context->catalog, arn) == 0))
        return false;
    if (listing->left == 0) {
        listing->is_truncated = true;
        return false;
    }
    listing->left--;
    (void)snprintf(listing->last, sizeof listing->last, "%s", place);
    return true;
}

static bool list_local(void *context, const struct catalog_identity *policy)
{
    struct listing *listing = context;
    char place[CATALOG_IAM_NAME_SIZE + 1];
    char arn[IAM_ARN_SIZE];
    (void)snprintf(place, sizeof place, "L%s", policy->folded_name);
    iam_arn(listing->call->context->catalog, policy, arn);
    if (!belongs(listing, place, arn, policy->path))
        return !listing->is_truncated;
    xml_open(listing->xml, "member", NULL);
    listing->error = iam_write_identity(listing->call, listing->xml, policy, false);
    xml_close(listing->xml);
    return listing->error == NULL;
}

static void list_builtin(struct listing *listing)
{
    const struct managed_policy *policy;
    for (size_t i = 0; !listing->is_truncated && (policy = managed_policy_at(i)) != NULL; i++) {
        char place[CATALOG_IAM_NAME_SIZE + 1];
        (void)snprintf(place, sizeof place, "A%s", policy->name);
        if (!belongs(listing, place, policy->arn, "/"))
            continue;
        xml_open(listing->xml, "member", NULL);
        write_builtin(listing->call, listing->xml, policy);
        xml_close(listing->xml);
    }
}

const struct api_error *iam_list_policies(struct api_call *call, struct xml *xml)
{
    struct iam_page page;
    struct listing listing = { .call = call, .xml = xml };
    const char *scope = query_find(&call->query, "Scope");
    const char *only_attached = query_find(&call->query, "OnlyAttached");
    const struct api_error *error = iam_take_page(call, &page);
    if (error == NULL)
        error = iam_take_path(call, "PathPrefix", &listing.path_prefix);
    if (error == NULL && scope != NULL && strcmp(scope, "All") != 0 && strcmp(scope, "AWS") != 0 &&
        strcmp(scope, "Local") != 0)
        error = api_fail(call, API_IAM_VALIDATION,
            "1 validation error detected: Value '%.16s' at 'scope' failed to satisfy constraint: "
            "Member must satisfy enum value set: [All, AWS, Local]",
            scope);
    if (error != NULL)
        return error;
    listing.after = page.marker;
    listing.left = page.max;
    listing.only_attached = only_attached != NULL && strcmp(only_attached, "true") == 0;
    xml_open(xml, "Policies", NULL);
    if (scope == NULL || strcmp(scope, "Local") != 0)
        list_builtin(&listing);
    if (!listing.is_truncated && (scope == NULL || strcmp(scope, "AWS") != 0))
        catalog_identity_each(call->context->catalog, CATALOG_MANAGED_POLICY, list_local, &listing);
    xml_close(xml);
    iam_write_page(xml, listing.is_truncated ? listing.last : NULL);
    return listing.error;
}

/* ---- changing ------------------------------------------------------------------------------------------ */

struct edit {
    struct api_call *call;
    const char *arn;
    const char *document;
    const char *version; /* "v3" */
    bool be_default;
    uint32_t made; /* the number of a new version */
};

static const struct api_error *take_edit(struct api_call *call, bool has_version, struct edit *edit)
{
    *edit = (struct edit){ .call = call };
    const struct api_error *error = iam_take_policy_arn(call, &edit->arn);
    return error != NULL || !has_version ? error
                                         : iam_take_text(call, "VersionId", 64, &edit->version);
}

/* Stages the policy; those of AWS cannot be changed. Errors: as api_refuse(). */
static int edit_policy(
    const struct edit *edit, struct catalog_change *change, struct catalog_identity **out_policy)
{
    if (managed_policy_find(edit->arn) != NULL)
        return api_refuse(edit->call, API_QUERY_ACCESS_DENIED,
            "Policies of AWS cannot be changed or deleted: %.256s", edit->arn);
    const struct catalog_identity *policy =
        iam_policy_by_arn(edit->call->context->catalog, edit->arn);
    if (policy == NULL) {
        (void)fail_no_policy(edit->call, edit->arn); /* the failure is noted in the call */
        return -ECANCELED;
    }
    int err = catalog_edit_identity(change, policy->id, out_policy);
    catalog_identity_put(policy);
    return err;
}

/* The place of the version; -ECANCELED: refused, there is none. */
static int find_version(const struct edit *edit, const struct catalog_identity *policy)
{
    for (size_t i = 0; i < policy->version_count; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "v%u", policy->versions[i].number);
        if (strcmp(name, edit->version) == 0)
            return (int)i;
    }
    (void)fail_no_version(edit->call, edit->arn, edit->version); /* noted in the call */
    return -ECANCELED;
}

static int add_version(struct catalog_change *change, void *context)
{
    struct edit *edit = context;
    struct catalog_identity *policy = NULL;
    int err = edit_policy(edit, change, &policy);
    if (err != 0 || policy == NULL)
        return err;
    if (policy->version_count == CATALOG_POLICY_VERSIONS_MAX)
        return api_refuse(edit->call, API_IAM_LIMIT_EXCEEDED,
            "A managed policy can have up to %d versions. Before you create a new version, you "
            "must delete an existing version.",
            CATALOG_POLICY_VERSIONS_MAX);
    err = catalog_policy_add_version(policy, edit->document, edit->call->now_ms);
    if (err < 0)
        return err;
    edit->made = policy->last_version;
    if (edit->be_default)
        policy->default_version = policy->last_version;
    return 0;
}

const struct api_error *iam_create_policy_version(struct api_call *call, struct xml *xml)
{
    struct edit edit;
    char name[16];
    const char *set = query_find(&call->query, "SetAsDefault");
    const struct api_error *error = take_edit(call, false, &edit);
    if (error == NULL)
        error = iam_take_document(
            call, "PolicyDocument", POLICY_OF_IDENTITY, IAM_POLICY_SIZE_MAX, &edit.document);
    edit.be_default = set != NULL && strcmp(set, "true") == 0;
    if (error == NULL)
        error = api_change(call, add_version, &edit);
    if (error != NULL)
        return error;
    (void)snprintf(name, sizeof name, "v%u", edit.made);
    xml_open(xml, "PolicyVersion", NULL);
    xml_element(xml, "VersionId", name);
    iam_write_bool(xml, "IsDefaultVersion", edit.be_default);
    iam_write_time(xml, "CreateDate", call->now_ms);
    xml_close(xml);
    return NULL;
}

static int set_default(struct catalog_change *change, void *context)
{
    const struct edit *edit = context;
    struct catalog_identity *policy = NULL;
    int err = edit_policy(edit, change, &policy);
    if (err != 0 || policy == NULL)
        return err;
    int at = find_version(edit, policy);
    if (at < 0)
        return at;
    policy->default_version = policy->versions[at].number;
    return 0;
}

static int delete_version(struct catalog_change *change, void *context)
{
    const struct edit *edit = context;
    struct catalog_identity *policy = NULL;
    int err = edit_policy(edit, change, &policy);
    if (err != 0 || policy == NULL)
        return err;
    int at = find_version(edit, policy);
    if (at < 0)
        return at;
    if (policy->versions[at].number == policy->default_version)
        return api_refuse(
            edit->call, API_IAM_DELETE_CONFLICT, "Cannot delete the default version of a policy.");
    catalog_policy_remove_version(policy, (size_t)at);
    return 0;
}

const struct api_error *iam_change_version(struct api_call *call, struct xml *xml)
{
    struct edit edit;
    bool deletes = strcmp(call->action, "DeletePolicyVersion") == 0;
    (void)xml;
    const struct api_error *error = take_edit(call, true, &edit);
    return error != NULL ? error : api_change(call, deletes ? delete_version : set_default, &edit);
}

static int delete_policy(struct catalog_change *change, void *context)
{
    const struct edit *edit = context;
    const struct catalog *catalog = edit->call->context->catalog;
    if (managed_policy_find(edit->arn) != NULL)
        return api_refuse(edit->call, API_QUERY_ACCESS_DENIED,
            "Policies of AWS cannot be changed or deleted: %.256s", edit->arn);
    const struct catalog_identity *policy = iam_policy_by_arn(catalog, edit->arn);
    int err = 0;
    if (policy == NULL) {
        (void)fail_no_policy(edit->call, edit->arn); /* the failure is noted in the call */
        err = -ECANCELED;
    } else if (iam_attachment_count(catalog, edit->arn) > 0) {
        err = api_refuse(
            edit->call, API_IAM_DELETE_CONFLICT, "Cannot delete a policy attached to entities.");
    } else if (policy->version_count > 1) {
        err = api_refuse(edit->call, API_IAM_DELETE_CONFLICT,
            "This policy has more than one version. Before you delete a policy, you must delete "
            "the policy's versions. The default version is deleted with the policy.");
    } else {
        err = catalog_remove_identity(change, policy->id);
    }
    catalog_identity_put(policy);
    return err;
}

const struct api_error *iam_delete_policy(struct api_call *call, struct xml *xml)
{
    struct edit edit;
    (void)xml;
    const struct api_error *error = take_edit(call, false, &edit);
    return error != NULL ? error : api_change(call, delete_policy, &edit);
}

/* ---- versions ------------------------------------------------------------------------------------------ */

static const struct api_error *write_version(struct api_call *call, struct xml *xml,
    const struct catalog_policy_version *version, bool is_default, bool whole)
{
    char name[16];
    const struct api_error *error = NULL;
    (void)snprintf(name, sizeof name, "v%u", version->number);
    if (whole)
        error = iam_write_document(call, xml, "Document", version->document);
    xml_element(xml, "VersionId", name);
    iam_write_bool(xml, "IsDefaultVersion", is_default);
    iam_write_time(xml, "CreateDate", version->created_ms);
    return error;
}

/* Those of AWS have one version. */
static const struct api_error *write_builtin_version(struct api_call *call, struct xml *xml,
    const struct managed_policy *policy, const struct edit *edit)
{
    char *document = arena_copy(&call->arena, slice_str(policy->document));
    const struct catalog_policy_version version = { .number = 1, .document = document };
    if (document == NULL)
        return api_internal_error(call, -ENOMEM);
    if (edit->version != NULL && strcmp(edit->version, "v1") != 0)
        return fail_no_version(call, edit->arn, edit->version);
    xml_open(xml, edit->version != NULL ? "PolicyVersion" : "member", NULL);
    const struct api_error *error = write_version(call, xml, &version, true, edit->version != NULL);
    xml_close(xml);
    return error;
}

const struct api_error *iam_get_policy_version(struct api_call *call, struct xml *xml)
{
    struct edit edit;
    const struct api_error *error = take_edit(call, true, &edit);
    if (error != NULL)
        return error;
    const struct managed_policy *builtin = managed_policy_find(edit.arn);
    if (builtin != NULL)
        return write_builtin_version(call, xml, builtin, &edit);
    const struct catalog_identity *policy = iam_policy_by_arn(call->context->catalog, edit.arn);
    if (policy == NULL)
        return fail_no_policy(call, edit.arn);
    int at = find_version(&edit, policy);
    if (at >= 0) {
        xml_open(xml, "PolicyVersion", NULL);
        error = write_version(call, xml, &policy->versions[at],
            policy->versions[at].number == policy->default_version, true);
        xml_close(xml);
    }
    catalog_identity_put(policy);
    return at < 0 ? call->failure : error;
}

const struct api_error *iam_list_policy_versions(struct api_call *call, struct xml *xml)
{
    struct edit edit;
    const struct api_error *error = take_edit(call, false, &edit);
    if (error != NULL)
        return error;
    const struct managed_policy *builtin = managed_policy_find(edit.arn);
    const struct catalog_identity *policy =
        builtin == NULL ? iam_policy_by_arn(call->context->catalog, edit.arn) : NULL;
    if (builtin == NULL && policy == NULL)
        return fail_no_policy(call, edit.arn);
    xml_open(xml, "Versions", NULL);
    if (builtin != NULL)
        error = write_builtin_version(call, xml, builtin, &edit);
    for (size_t i = policy != NULL ? policy->version_count : 0; error == NULL && i > 0; i--) {
        xml_open(xml, "member", NULL);
        error = write_version(call, xml, &policy->versions[i - 1],
            policy->versions[i - 1].number == policy->default_version, false);
        xml_close(xml);
    }
    xml_close(xml);
    iam_write_page(xml, NULL);
    catalog_identity_put(policy);
    return error;
}

/* ---- who has it ---------------------------------------------------------------------------------------- */

struct holders {
    struct xml *xml;
    const char *arn;
};

static bool write_holder(void *context, const struct catalog_identity *identity)
{
    static const char *const names[] = {
        [CATALOG_USER] = "UserName", [CATALOG_GROUP] = "GroupName", [CATALOG_ROLE] = "RoleName"
    };
    static const char *const ids[] = {
        [CATALOG_USER] = "UserId", [CATALOG_GROUP] = "GroupId", [CATALOG_ROLE] = "RoleId"
    };
    const struct holders *holders = context;
    if (catalog_tags_find(&identity->attached, holders->arn) == NULL)
        return true;
    xml_open(holders->xml, "member", NULL);
    xml_element(holders->xml, names[identity->kind], identity->name);
    xml_element(holders->xml, ids[identity->kind], identity->id);
    xml_close(holders->xml);
    return true;
}

/* All on one page: there are at most as many as entities. */
const struct api_error *iam_list_entities_for_policy(struct api_call *call, struct xml *xml)
{
    static const struct {
        const char *element;
        const char *filter;
        enum catalog_identity_kind kind;
    } rows[] = { { "PolicyGroups", "Group", CATALOG_GROUP },
        { "PolicyUsers", "User", CATALOG_USER }, { "PolicyRoles", "Role", CATALOG_ROLE } };
    const char *arn = NULL;
    const char *filter = query_find(&call->query, "EntityFilter");
    const struct api_error *error = iam_take_policy_arn(call, &arn);
    if (error != NULL)
        return error;
    if (!iam_policy_exists(call, arn))
        return fail_no_policy(call, arn);
    struct holders holders = { .xml = xml, .arn = arn };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        xml_open(xml, rows[i].element, NULL);
        if (filter == NULL || strcmp(filter, rows[i].filter) == 0)
            catalog_identity_each(call->context->catalog, rows[i].kind, write_holder, &holders);
        xml_close(xml);
    }
    iam_write_page(xml, NULL);
    return NULL;
}
