/*
 * control/authorize_target.c - which resource a call is about, by its input (room: control).
 *
 * What the input names need not exist: then its ARN is made of the name, so that a caller without rights is not told
 * what there is.
 */
#include <stdio.h>

#include "base/text.h"
#include "control/authorize.h"

#define EFS_WORD_FS    "file-system"
#define EFS_WORD_POINT "access-point"

void authorize_target_fini(struct authorize_target *target)
{
    catalog_fs_put(target->fs);
    catalog_access_point_put(target->point);
    catalog_identity_put(target->identity);
}

/* ---- EFS ----------------------------------------------------------------------------------------------- */

/* A text is an id or an ARN of this account; of another one the ARN itself is what is asked about. */
static void be_efs(
    const struct api_call *call, const char *word, const char *text, struct authorize_target *out)
{
    const struct catalog *catalog = call->context->catalog;
    const char *id = api_resolve_id(call, word, text);
    if (id == NULL) {
        (void)snprintf(out->arn, sizeof out->arn, "%.512s", text);
        return;
    }
    (void)snprintf(out->arn, sizeof out->arn, "arn:aws:elasticfilesystem:%s:%s:%s/%.256s",
        catalog_region(catalog), catalog_account_id(catalog), word, id);
    if (strcmp(word, EFS_WORD_FS) == 0)
        out->fs = catalog_fs_get(catalog, id);
    else
        out->point = catalog_access_point_get(catalog, id);
}

static void be_mount_target(
    const struct api_call *call, const char *id, struct authorize_target *out)
{
    const struct catalog_mount_target *target =
        catalog_mount_target_get(call->context->catalog, id);
    be_efs(call, EFS_WORD_FS, target != NULL ? target->fs_id : "*", out);
    catalog_mount_target_put(target);
}

static const char *body_text(const struct api_call *call, const char *name)
{
    return json_string_value(json_object_get(call->input, name));
}

static void be_efs_path(
    const struct api_call *call, const struct action *action, struct authorize_target *out)
{
    const char *text = call->path_value;
    bool is_point =
        strncmp(text, "fsap-", strlen("fsap-")) == 0 || strstr(text, ":access-point/") != NULL;
    if (strstr(action->path, "{MountTargetId}") != NULL)
        be_mount_target(call, text, out);
    else if (is_point && strstr(action->path, "FileSystemId}") == NULL)
        be_efs(call, EFS_WORD_POINT, text, out);
    else
        be_efs(call, strstr(action->path, "{AccessPointId}") != NULL ? EFS_WORD_POINT : EFS_WORD_FS,
            text, out);
}

void authorize_target_efs(
    struct api_call *call, const struct action *action, struct authorize_target *out_target)
{
    const char *point_id = query_find(&call->query, "AccessPointId");
    const char *target_id = query_find(&call->query, "MountTargetId");
    const char *fs_id = query_find(&call->query, "FileSystemId");
    if (fs_id == NULL)
        fs_id = body_text(call, "FileSystemId");
    if (call->path_value != NULL) {
        be_efs_path(call, action, out_target);
    } else if (strstr(action->path, "account-preferences") != NULL) {
        (void)text_copy(out_target->arn, sizeof out_target->arn, "*");
    } else if (target_id != NULL) {
        be_mount_target(call, target_id, out_target);
    } else if (point_id != NULL) {
        be_efs(call, EFS_WORD_POINT, point_id, out_target);
    } else if (fs_id != NULL) {
        be_efs(call, EFS_WORD_FS, fs_id, out_target);
    } else {
        bool is_point = strstr(action->path, "access-points") != NULL;
        be_efs(call, is_point ? EFS_WORD_POINT : EFS_WORD_FS, "*", out_target);
    }
}

void authorize_target_tagged(
    const struct api_call *call, const struct action *action, struct authorize_target *target)
{
    const struct catalog *catalog = call->context->catalog;
    if (strcmp(action->name, "CreateAccessPoint") == 0)
        (void)snprintf(target->arn, sizeof target->arn, "arn:aws:elasticfilesystem:%s:%s:%s/*",
            catalog_region(catalog), catalog_account_id(catalog), EFS_WORD_POINT);
}

/* ---- IAM ----------------------------------------------------------------------------------------------- */

/* The parameter that names what an action is about, in the order in which they are looked at. */
static const struct {
    const char *parameter;
    enum catalog_identity_kind kind;
    const char *word;
} iam_parameters[] = {
    { "UserName", CATALOG_USER, "user" },
    { "RoleName", CATALOG_ROLE, "role" },
    { "GroupName", CATALOG_GROUP, "group" },
};

/* By name, as it is, or as it would be made. */
static void be_identity(
    const struct api_call *call, size_t row, const char *name, struct authorize_target *out)
{
    const struct catalog *catalog = call->context->catalog;
    const char *path = query_find(&call->query, "Path");
    bool creates = strncmp(call->action, "Create", 6) == 0;
    if (!creates)
        out->identity = catalog_identity_find(catalog, iam_parameters[row].kind, name);
    if (out->identity != NULL)
        iam_arn(catalog, out->identity, out->arn);
    else
        (void)snprintf(out->arn, sizeof out->arn, "arn:aws:iam::%s:%s%.512s%.128s",
            catalog_account_id(catalog), iam_parameters[row].word,
            creates && path != NULL ? path : "/", name);
}

static bool is_about_policy(const char *action)
{
    return strstr(action, "PolicyVersion") != NULL || strcmp(action, "GetPolicy") == 0 ||
           strcmp(action, "DeletePolicy") == 0 || strcmp(action, "ListEntitiesForPolicy") == 0;
}

/* What CreatePolicy makes, and lists of a kind. False: neither. */
static bool be_iam_place(const struct api_call *call, struct authorize_target *out)
{
    static const struct {
        const char *action;
        const char *word;
    } lists[] = { { "ListUsers", "user" }, { "ListRoles", "role" }, { "ListGroups", "group" },
        { "ListPolicies", "policy" } };
    const char *account = catalog_account_id(call->context->catalog);
    const char *path = query_find(&call->query, "Path");
    const char *prefix = query_find(&call->query, "PathPrefix");
    const char *name = query_find(&call->query, "PolicyName");
    if (strcmp(call->action, "CreatePolicy") == 0) {
        (void)snprintf(out->arn, sizeof out->arn, "arn:aws:iam::%s:policy%.512s%.128s", account,
            path != NULL ? path : "/", name != NULL ? name : "");
        return true;
    }
    for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
        if (strcmp(call->action, lists[i].action) != 0)
            continue;
        (void)snprintf(out->arn, sizeof out->arn, "arn:aws:iam::%s:%s%.512s", account,
            lists[i].word, prefix != NULL ? prefix : "/");
        return true;
    }
    return false;
}

static void be_iam(const struct api_call *call, struct authorize_target *out)
{
    const char *policy_arn = query_find(&call->query, "PolicyArn");
    const char *source_arn = query_find(&call->query, "PolicySourceArn");
    if (is_about_policy(call->action) && policy_arn != NULL) {
        (void)snprintf(out->arn, sizeof out->arn, "%.640s", policy_arn);
        return;
    }
    if (source_arn != NULL) {
        (void)snprintf(out->arn, sizeof out->arn, "%.640s", source_arn);
        return;
    }
    if (be_iam_place(call, out))
        return;
    /* Of a group and its member it is the group. */
    bool is_member = strstr(call->action, "ToGroup") != NULL || strstr(call->action, "FromGroup");
    for (size_t i = 0; i < ARRAY_SIZE(iam_parameters); i++) {
        const char *name = query_find(&call->query, iam_parameters[i].parameter);
        if (name == NULL || (is_member && iam_parameters[i].kind == CATALOG_USER))
            continue;
        be_identity(call, i, name, out);
        return;
    }
    /* Without a name it is the caller, where that makes sense. */
    bool is_own = strstr(call->action, "AccessKey") != NULL || strcmp(call->action, "GetUser") == 0;
    const struct principal *principal = call->who.principal;
    (void)text_copy(out->arn, sizeof out->arn, is_own ? principal->arn : "*");
    if (is_own && principal->kind == PRINCIPAL_USER)
        out->identity = catalog_identity_get(call->context->catalog, principal->identity->id);
}

/* ---- EC2, KMS ------------------------------------------------------------------------------------------ */

static void be_ec2(const struct api_call *call, struct authorize_target *out)
{
    static const struct {
        const char *parameter;
        const char *word;
    } rows[] = { { "GroupId", "security-group" }, { "SubnetId", "subnet" },
        { "NetworkInterfaceId", "network-interface" }, { "VpcId", "vpc" },
        { "ResourceId.1", "*" } };
    const char *region = catalog_region(call->context->catalog);
    const char *account = catalog_account_id(call->context->catalog);
    (void)text_copy(out->arn, sizeof out->arn, "*");
    if (strncmp(call->action, "Describe", 8) == 0)
        return;
    if (strcmp(call->action, "CreateSecurityGroup") == 0) {
        (void)snprintf(
            out->arn, sizeof out->arn, "arn:aws:ec2:%s:%s:security-group/*", region, account);
        return;
    }
    if (query_find(&call->query, "ResourceId.2") != NULL)
        return; /* about several: only who may do it to all may */
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const char *id = query_find(&call->query, rows[i].parameter);
        if (id == NULL)
            continue;
        (void)snprintf(out->arn, sizeof out->arn, "arn:aws:ec2:%s:%s:%s/%.128s", region, account,
            rows[i].word, id);
        return;
    }
}

void authorize_target_query(
    struct api_call *call, const struct service *service, struct authorize_target *out_target)
{
    if (service->id == SERVICE_IAM)
        be_iam(call, out_target);
    else
        be_ec2(call, out_target);
}

void authorize_target_json(
    struct api_call *call, const struct service *service, struct authorize_target *out_target)
{
    const char *key_id = body_text(call, "KeyId");
    const char *fs_id = body_text(call, "FileSystemId");
    if (service->id == SERVICE_SHOAL && fs_id != NULL) {
        be_efs(call, EFS_WORD_FS, fs_id, out_target);
        return;
    }
    if (strcmp(service->name, "kms") != 0 || key_id == NULL) {
        (void)text_copy(out_target->arn, sizeof out_target->arn, "*");
    } else if (strncmp(key_id, "arn:", 4) == 0) {
        (void)snprintf(out_target->arn, sizeof out_target->arn, "%.512s", key_id);
    } else {
        (void)snprintf(out_target->arn, sizeof out_target->arn, "arn:aws:kms:%s:%s:%s%.256s",
            catalog_region(call->context->catalog), catalog_account_id(call->context->catalog),
            strncmp(key_id, "alias/", 6) == 0 ? "" : "key/", key_id);
    }
}
