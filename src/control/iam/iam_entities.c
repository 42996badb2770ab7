/*
 * control/iam/iam_entities.c - users, groups and roles: making, showing, listing, changing, deleting (room: control).
 * Source: IAM API, CreateUser, GetUser, ListUsers, UpdateUser, DeleteUser, and the same of groups and roles.
 */
#include <stdio.h>

#include "auth/credentials.h"
#include "base/text.h"
#include "control/iam/iam.h"
#include "control/input.h"

#define SESSION_SECONDS_DEFAULT 3600
#define SESSION_SECONDS_MAX     43200

static const char *element_of(enum catalog_identity_kind kind)
{
    static const char *const names[CATALOG_IDENTITY_KIND_COUNT] = { "User", "Group", "Role",
        "Policy" };
    assert(kind < CATALOG_IDENTITY_KIND_COUNT);
    return names[kind];
}

/* <User>..</User> */
static const struct api_error *write_one(
    struct api_call *call, struct xml *xml, const struct catalog_identity *identity)
{
    xml_open(xml, element_of(identity->kind), NULL);
    const struct api_error *error = iam_write_identity(call, xml, identity, true);
    xml_close(xml);
    return error;
}

/* ---- making -------------------------------------------------------------------------------------------- */

struct creation {
    struct api_call *call;
    enum catalog_identity_kind kind;
    char id[CATALOG_ID_SIZE];
    const char *name;
    const char *path;
    const char *trust_policy; /* of roles, as the following */
    const char *description;
    uint64_t session_seconds_max;
    struct catalog_tags tags;
};

static int create(struct catalog_change *change, void *context)
{
    const struct creation *creation = context;
    struct catalog_identity *identity;
    int err = iam_check_free(creation->call, creation->kind, creation->name);
    if (err == 0)
        err = catalog_add_identity(change, &identity);
    if (err != 0)
        return err;
    identity->kind = creation->kind;
    identity->created_ms = creation->call->now_ms;
    identity->session_seconds_max = (uint32_t)creation->session_seconds_max;
    memcpy(identity->id, creation->id, sizeof identity->id);
    err = text_copy(identity->name, sizeof identity->name, creation->name);
    if (err == 0)
        err = text_copy(identity->path, sizeof identity->path, creation->path);
    if (err == 0)
        err = catalog_text_set(&identity->trust_policy, creation->trust_policy);
    if (err == 0)
        err = catalog_text_set(&identity->description, creation->description);
    for (size_t i = 0; err == 0 && i < creation->tags.count; i++)
        err = catalog_tags_set(
            &identity->tags, creation->tags.items[i].key, creation->tags.items[i].value);
    return err;
}

static const struct api_error *take_role(struct api_call *call, struct creation *creation)
{
    creation->session_seconds_max = SESSION_SECONDS_DEFAULT;
    creation->description = query_find(&call->query, "Description");
    const struct api_error *error = iam_take_document(call, "AssumeRolePolicyDocument",
        POLICY_OF_TRUST, IAM_TRUST_SIZE_MAX, &creation->trust_policy);
    if (error == NULL && creation->description != NULL &&
        input_char_count(creation->description) > CATALOG_IAM_DESCRIPTION_MAX)
        error = api_fail(call, API_IAM_VALIDATION, "The description is longer than %d characters.",
            CATALOG_IAM_DESCRIPTION_MAX);
    if (error == NULL)
        error = iam_take_number(call, "MaxSessionDuration", SESSION_SECONDS_DEFAULT,
            SESSION_SECONDS_MAX, &creation->session_seconds_max);
    return error;
}

const struct api_error *iam_create(struct api_call *call, struct xml *xml)
{
    static const char *const prefixes[] = {
        [CATALOG_USER] = "AIDA", [CATALOG_GROUP] = "AGPA", [CATALOG_ROLE] = "AROA"
    };
    struct creation creation = { .call = call, .kind = iam_kind(call) };
    const struct api_error *error =
        iam_take_name(call, iam_name_parameter(creation.kind), creation.kind, true, &creation.name);
    if (error == NULL)
        error = iam_take_path(call, "Path", &creation.path);
    if (error == NULL && creation.kind == CATALOG_ROLE)
        error = take_role(call, &creation);
    if (error == NULL && creation.kind != CATALOG_GROUP)
        error = iam_take_tags(call, &creation.tags);
    credentials_make_id(prefixes[creation.kind], CREDENTIALS_ID_LETTERS, creation.id);
    if (error == NULL)
        error = api_change(call, create, &creation);
    catalog_tags_fini(&creation.tags);
    if (error != NULL)
        return error;
    const struct catalog_identity *identity =
        catalog_identity_get(call->context->catalog, creation.id);
    if (identity == NULL) /* deleted by another call already */
        return api_fail(call, API_IAM_NO_SUCH_ENTITY, "It was deleted meanwhile.");
    error = write_one(call, xml, identity);
    catalog_identity_put(identity);
    return error;
}

/* ---- showing ------------------------------------------------------------------------------------------- */

/* GetUser without a name: who asks. */
static const struct api_error *write_caller(struct api_call *call, struct xml *xml)
{
    const struct principal *principal = call->who.principal;
    if (principal->kind == PRINCIPAL_USER)
        return write_one(call, xml, principal->identity);
    if (principal->kind == PRINCIPAL_SESSION)
        return api_fail(call, API_IAM_VALIDATION,
            "Must specify userName when calling with non-User credentials");
    xml_open(xml, "User", NULL);
    xml_element(xml, "Path", "/");
    xml_element(xml, "UserName", "root");
    xml_element(xml, "UserId", principal->user_id);
    xml_element(xml, "Arn", principal->arn);
    iam_write_time(xml, "CreateDate", 0);
    xml_close(xml);
    return NULL;
}

const struct api_error *iam_get_entity(struct api_call *call, struct xml *xml)
{
    if (strcmp(call->action, "GetUser") == 0 && query_find(&call->query, "UserName") == NULL)
        return write_caller(call, xml);
    const struct catalog_identity *identity = iam_get_named(call);
    if (identity == NULL)
        return call->failure;
    const struct api_error *error = write_one(call, xml, identity);
    catalog_identity_put(identity);
    return error;
}

struct listing {
    struct api_call *call;
    struct xml *xml;
    const struct api_error *error;
    const char *path_prefix;
    const char *group_id; /* only members; NULL: all */
    const char *after;    /* in lower case */
    uint64_t left;
    char last[CATALOG_IAM_NAME_SIZE];
    bool is_truncated;
};

static bool list_one(void *context, const struct catalog_identity *identity)
{
    struct listing *listing = context;
    if (strcmp(identity->folded_name, listing->after) <= 0 ||
        strncmp(identity->path, listing->path_prefix, strlen(listing->path_prefix)) != 0 ||
        (listing->group_id != NULL &&
            catalog_tags_find(&identity->groups, listing->group_id) == NULL))
        return true;
    if (listing->left == 0) {
        listing->is_truncated = true;
        return false;
    }
    xml_open(listing->xml, "member", NULL);
    listing->error = iam_write_identity(listing->call, listing->xml, identity, false);
    xml_close(listing->xml);
    memcpy(listing->last, identity->folded_name, sizeof listing->last);
    listing->left--;
    return listing->error == NULL;
}

/* Writes the list of a kind as `element`, and what follows it. */
static const struct api_error *write_list(struct api_call *call, struct xml *xml,
    const char *element, enum catalog_identity_kind kind, const char *group_id)
{
    struct iam_page page;
    char after[CATALOG_IAM_NAME_SIZE] = "";
    struct listing listing = { .call = call, .xml = xml, .group_id = group_id, .after = after };
    const struct api_error *error = iam_take_page(call, &page);
    if (error == NULL)
        error = iam_take_path(call, "PathPrefix", &listing.path_prefix);
    if (error != NULL)
        return error;
    if (text_copy(after, sizeof after, page.marker) < 0)
        return api_fail(call, API_IAM_VALIDATION, "Invalid Marker.");
    listing.left = page.max;
    xml_open(xml, element, NULL);
    catalog_identity_each(call->context->catalog, kind, list_one, &listing);
    xml_close(xml);
    if (listing.error != NULL)
        return listing.error;
    iam_write_page(xml, listing.is_truncated ? listing.last : NULL);
    return NULL;
}

const struct api_error *iam_list(struct api_call *call, struct xml *xml)
{
    static const char *const elements[] = {
        [CATALOG_USER] = "Users", [CATALOG_GROUP] = "Groups", [CATALOG_ROLE] = "Roles"
    };
    enum catalog_identity_kind kind = iam_kind(call);
    return write_list(call, xml, elements[kind], kind, NULL);
}

/* A group and a page of its members. */
const struct api_error *iam_get_group(struct api_call *call, struct xml *xml)
{
    const struct catalog_identity *group = iam_get_named(call);
    if (group == NULL)
        return call->failure;
    const struct api_error *error = write_one(call, xml, group);
    if (error == NULL)
        error = write_list(call, xml, "Users", CATALOG_USER, group->id);
    catalog_identity_put(group);
    return error;
}

/* ---- changing ------------------------------------------------------------------------------------------ */

struct update {
    struct api_call *call;
    enum catalog_identity_kind kind;
    const char *name;
    const char *new_name; /* NULL: stays, as the following */
    const char *new_path;
    const char *trust_policy;
    const char *description;
    uint64_t session_seconds_max; /* 0: stays */
};

static int apply_update(struct catalog_change *change, void *context)
{
    const struct update *update = context;
    struct catalog_identity *identity;
    int err = 0;
    /* Another case of the same name is no other name. */
    if (update->new_name != NULL && strcasecmp(update->new_name, update->name) != 0)
        err = iam_check_free(update->call, update->kind, update->new_name);
    if (err == 0)
        err = iam_edit(update->call, change, update->kind, update->name, &identity);
    if (err == 0 && update->new_name != NULL)
        err = text_copy(identity->name, sizeof identity->name, update->new_name);
    if (err == 0 && update->new_path != NULL)
        err = text_copy(identity->path, sizeof identity->path, update->new_path);
    if (err == 0 && update->trust_policy != NULL)
        err = catalog_text_set(&identity->trust_policy, update->trust_policy);
    if (err == 0 && update->description != NULL)
        err = catalog_text_set(&identity->description, update->description);
    if (err == 0 && update->session_seconds_max != 0)
        identity->session_seconds_max = (uint32_t)update->session_seconds_max;
    return err;
}

/* UpdateUser, UpdateGroup. */
const struct api_error *iam_rename(struct api_call *call, struct xml *xml)
{
    struct update update = { .call = call, .kind = iam_kind(call) };
    bool is_user = update.kind == CATALOG_USER;
    (void)xml;
    const struct api_error *error =
        iam_take_name(call, iam_name_parameter(update.kind), update.kind, true, &update.name);
    if (error == NULL)
        error = iam_take_name(
            call, is_user ? "NewUserName" : "NewGroupName", update.kind, false, &update.new_name);
    if (error == NULL && query_find(&call->query, "NewPath") != NULL)
        error = iam_take_path(call, "NewPath", &update.new_path);
    return error != NULL ? error : api_change(call, apply_update, &update);
}

const struct api_error *iam_update_role(struct api_call *call, struct xml *xml)
{
    struct update update = { .call = call, .kind = CATALOG_ROLE };
    (void)xml;
    const struct api_error *error =
        iam_take_name(call, "RoleName", CATALOG_ROLE, true, &update.name);
    update.description = query_find(&call->query, "Description");
    if (error == NULL && update.description != NULL &&
        input_char_count(update.description) > CATALOG_IAM_DESCRIPTION_MAX)
        error = api_fail(call, API_IAM_VALIDATION, "The description is longer than %d characters.",
            CATALOG_IAM_DESCRIPTION_MAX);
    if (error == NULL)
        error = iam_take_number(call, "MaxSessionDuration", SESSION_SECONDS_DEFAULT,
            SESSION_SECONDS_MAX, &update.session_seconds_max);
    return error != NULL ? error : api_change(call, apply_update, &update);
}

const struct api_error *iam_update_assume_role_policy(struct api_call *call, struct xml *xml)
{
    struct update update = { .call = call, .kind = CATALOG_ROLE };
    (void)xml;
    const struct api_error *error =
        iam_take_name(call, "RoleName", CATALOG_ROLE, true, &update.name);
    if (error == NULL)
        error = iam_take_document(
            call, "PolicyDocument", POLICY_OF_TRUST, IAM_TRUST_SIZE_MAX, &update.trust_policy);
    return error != NULL ? error : api_change(call, apply_update, &update);
}

/* ---- deleting ------------------------------------------------------------------------------------------ */

static bool find_member(void *context, const struct catalog_identity *user)
{
    const char **group_id = context;
    if (catalog_tags_find(&user->groups, *group_id) == NULL)
        return true;
    *group_id = NULL;
    return false;
}

static bool has_keys(const struct catalog *catalog, const char *user_id)
{
    const struct catalog_key *key = NULL;
    size_t count = catalog_key_list_of(catalog, user_id, "", 1, &key);
    catalog_key_put(key);
    return count > 0;
}

/* What must go before it; NULL: nothing. */
static const char *find_obstacle(
    const struct catalog *catalog, const struct catalog_identity *identity)
{
    const char *group_id = identity->id;
    if (identity->kind == CATALOG_USER && has_keys(catalog, identity->id))
        return "delete access keys";
    if (identity->groups.count > 0)
        return "remove user from groups";
    if (identity->kind == CATALOG_GROUP) {
        catalog_identity_each(catalog, CATALOG_USER, find_member, &group_id);
        if (group_id == NULL)
            return "remove users from group";
    }
    if (identity->inline_policies.count > 0)
        return "delete policies";
    return identity->attached.count > 0 ? "detach all policies" : NULL;
}

struct deletion {
    struct api_call *call;
    enum catalog_identity_kind kind;
    const char *name;
};

static int delete_entity(struct catalog_change *change, void *context)
{
    const struct deletion *deletion = context;
    const struct catalog *catalog = deletion->call->context->catalog;
    const struct catalog_identity *identity =
        iam_get(deletion->call, deletion->kind, deletion->name);
    if (identity == NULL)
        return -ECANCELED; /* refused already */
    const char *obstacle = find_obstacle(catalog, identity);
    int err = obstacle != NULL ? api_refuse(deletion->call, API_IAM_DELETE_CONFLICT,
                                     "Cannot delete entity, must %s first.", obstacle)
                               : catalog_remove_identity(change, identity->id);
    catalog_identity_put(identity);
    return err;
}

const struct api_error *iam_delete(struct api_call *call, struct xml *xml)
{
    struct deletion deletion = { .call = call, .kind = iam_kind(call) };
    (void)xml;
    const struct api_error *error =
        iam_take_name(call, iam_name_parameter(deletion.kind), deletion.kind, true, &deletion.name);
    return error != NULL ? error : api_change(call, delete_entity, &deletion);
}
