/*
 * control/authorize_target.c - which resource a call is about, by its input (room: control).
 *
 * What the input names need not exist: then its ARN is made of the name, so that a caller without rights is not told
 * what there is.
 */
#include <stdio.h>

#include "auth/key_store.h"
#include "base/text.h"
#include "control/authorize.h"
#include "control/ec2/ec2.h"

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

/* The n-th of what CreateTags and DeleteTags are about; each id says by its beginning what it is of. */
static bool be_tagged(const struct api_call *call, unsigned n, struct authorize_target *out)
{
    static const char *const words[][2] = { { "sg-", "security-group" }, { "subnet-", "subnet" },
        { "vpc-", "vpc" }, { "eni-", "network-interface" } };
    const char *id = ec2_nth(call, "ResourceId", n);
    const char *word = "*";
    if (id == NULL)
        return false;
    for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
        if (strncmp(id, words[i][0], strlen(words[i][0])) == 0)
            word = words[i][1];
    }
    const struct catalog *catalog = call->context->catalog;
    (void)snprintf(out->arn, sizeof out->arn, "arn:aws:ec2:%s:%s:%s/%.128s",
        catalog_region(catalog), catalog_account_id(catalog), word, id);
    return true;
}

static void be_ec2(const struct api_call *call, struct authorize_target *out)
{
    static const struct {
        const char *parameter;
        const char *word;
    } rows[] = { { "GroupId", "security-group" }, { "SubnetId", "subnet" }, { "VpcId", "vpc" } };
    const struct catalog *catalog = call->context->catalog;
    const char *region = catalog_region(catalog);
    const char *account = catalog_account_id(catalog);
    const char *group_name = query_find(&call->query, "GroupName");
    (void)text_copy(out->arn, sizeof out->arn, "*");
    if (strncmp(call->action, "Describe", 8) == 0)
        return;
    if (strcmp(call->action, "CreateSecurityGroup") == 0) {
        (void)snprintf(
            out->arn, sizeof out->arn, "arn:aws:ec2:%s:%s:security-group/*", region, account);
        return;
    }
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const char *id = query_find(&call->query, rows[i].parameter);
        if (id == NULL)
            continue;
        (void)snprintf(out->arn, sizeof out->arn, "arn:aws:ec2:%s:%s:%s/%.128s", region, account,
            rows[i].word, id);
        return;
    }
    char group_id[CATALOG_ID_SIZE] = "";
    if (group_name != NULL)
        ec2_group_by_name(catalog, group_name, group_id);
    if (group_id[0] != '\0')
        (void)snprintf(out->arn, sizeof out->arn, "arn:aws:ec2:%s:%s:security-group/%s", region,
            account, group_id);
}

bool authorize_target_query(struct api_call *call, const struct service *service, unsigned n,
    struct authorize_target *out_target)
{
    bool is_ec2 = service->id == SERVICE_EC2;
    if (is_ec2 && ec2_nth(call, "ResourceId", 1) != NULL)
        return be_tagged(call, n + 1, out_target);
    if (n > 0)
        return false;
    if (is_ec2)
        be_ec2(call, out_target);
    else
        be_iam(call, out_target);
    return true;
}

/* A key by its id, an alias of it, or the ARN of either: a policy about a key counts whatever it is called by. */
static void be_key(const struct api_call *call, const char *text, struct authorize_target *out)
{
    const struct catalog *catalog = call->context->catalog;
    char prefix[128];
    char id[KEY_ID_SIZE];
    (void)snprintf(prefix, sizeof prefix, "arn:aws:kms:%s:%s:", catalog_region(catalog),
        catalog_account_id(catalog));
    const char *name = text;
    if (strncmp(text, prefix, strlen(prefix)) == 0)
        name = text + strlen(prefix);
    bool is_alias = strncmp(name, "alias/", 6) == 0;
    if (is_alias && key_store_resolve(call->context->keys, name, id) == 0)
        (void)snprintf(out->arn, sizeof out->arn, "%skey/%s", prefix, id);
    else if (name == text && strncmp(text, "arn:", 4) == 0)
        (void)snprintf(out->arn, sizeof out->arn, "%.512s", text);
    else
        (void)snprintf(out->arn, sizeof out->arn, "%s%s%.256s", prefix,
            is_alias || name != text ? "" : "key/", name);
}

/* KMS: who gives, moves or takes an alias needs to be allowed that for the alias, for the key that is to have it, and for
 * the one that has it. */
static bool be_alias(
    const struct api_call *call, const char *alias, unsigned n, struct authorize_target *out)
{
    const struct catalog *catalog = call->context->catalog;
    const char *target = body_text(call, "TargetKeyId");
    if (n == 0) {
        (void)snprintf(out->arn, sizeof out->arn, "arn:aws:kms:%s:%s:%.256s",
            catalog_region(catalog), catalog_account_id(catalog), alias);
    } else if (n == 1 && target != NULL) {
        be_key(call, target, out);
    } else if (n == (target != NULL ? 2u : 1u)) {
        be_key(call, alias, out);
    } else {
        return false;
    }
    return true;
}

static bool be_kms(const struct api_call *call, unsigned n, struct authorize_target *out)
{
    const char *alias = body_text(call, "AliasName");
    const char *key = body_text(call, "KeyId");
    if (alias != NULL)
        return be_alias(call, alias, n, out);
    if (key != NULL)
        be_key(call, key, out);
    else
        (void)text_copy(out->arn, sizeof out->arn, "*");
    return n == 0;
}

bool authorize_target_json(struct api_call *call, const struct service *service, unsigned n,
    struct authorize_target *out_target)
{
    const char *fs_id = body_text(call, "FileSystemId");
    if (service->id == SERVICE_KMS)
        return be_kms(call, n, out_target);
    if (n > 0)
        return false;
    if (fs_id != NULL)
        be_efs(call, EFS_WORD_FS, fs_id, out_target);
    else
        (void)text_copy(out_target->arn, sizeof out_target->arn, "*");
    return true;
}
