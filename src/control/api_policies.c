/*
 * control/api_policies.c - file system policies: who may mount, write and be root, and who may call (room: control).
 *
 * Source: EFS API, PutFileSystemPolicy, DescribeFileSystemPolicy, DeleteFileSystemPolicy; EFS User Guide, "Using IAM
 * to control access to file systems". The data plane asks in nfs/rights.c.
 */
#include "control/authorize.h"
#include "control/input.h"

#define PUT_POLICY_ACTION "elasticfilesystem:PutFileSystemPolicy"

/* Whether the policy would deny the caller, wherever they are, to put another one. Errors: -ENOMEM. */
static int locks_out(
    struct api_call *call, const struct policy *policy, const char *fs_id, bool *out_locks_out)
{
    struct auth_context *context;
    char resource[CATALOG_ARN_SIZE];
    catalog_arn(call->context->catalog, "file-system", fs_id, resource);
    int err = authorize_context(call, false, &context);
    if (err == 0)
        *out_locks_out = auth_decide(context, policy, PUT_POLICY_ACTION, resource) == POLICY_DENIES;
    return err;
}

static const struct api_error *answer_policy(
    struct api_call *call, const char *id, const char *policy)
{
    return api_answer(call, json_pack("{ss ss}", "FileSystemId", id, "Policy", policy));
}

const struct api_error *api_describe_file_system_policy(struct api_call *call)
{
    const struct catalog_fs *fs = api_get_fs(call, call->path_value);
    if (fs == NULL)
        return call->failure;
    const struct api_error *error =
        fs->policy != NULL ? answer_policy(call, fs->id, fs->policy)
                           : api_fail(call, API_POLICY_NOT_FOUND,
                                 "File system '%s' does not have a file system policy.", fs->id);
    catalog_fs_put(fs);
    return error;
}

struct put_policy {
    struct api_call *call;
    char id[CATALOG_ID_SIZE];
    const char *policy; /* NULL: it is taken away */
};

static int put_policy(struct catalog_change *change, void *context)
{
    struct put_policy *put = context;
    struct catalog_fs *fs;
    int err = catalog_edit_fs(change, put->id, &fs);
    if (err == -ENOENT)
        return api_refuse(
            put->call, API_FILE_SYSTEM_NOT_FOUND, "File system '%s' does not exist.", put->id);
    if (err < 0)
        return err;
    if (fs->state != CATALOG_AVAILABLE && fs->state != CATALOG_UPDATING)
        return api_refuse(put->call, API_INCORRECT_FILE_SYSTEM_LIFE_CYCLE_STATE,
            "File system '%s' is not available.", put->id);
    return catalog_fs_set_policy(fs, put->policy);
}

/* Whether it can be put, for the file system `id`. NULL: it can. */
static const struct api_error *check_policy(struct api_call *call, const char *id, const char *text)
{
    bool bypass = false;
    struct policy *policy = NULL;
    char message[POLICY_MESSAGE_SIZE];
    const struct api_error *error = input_bool(call, "BypassPolicyLockoutSafetyCheck", &bypass);
    if (error != NULL)
        return error;
    int err = policy_parse(POLICY_OF_RESOURCE, slice_str(text), message, &policy);
    if (err == -EINVAL)
        return api_fail(call, API_INVALID_POLICY, "The policy is malformed: %s", message);
    if (err < 0)
        return api_internal_error(call, err);
    bool is_locked_out = false;
    if (!bypass)
        err = locks_out(call, policy, id, &is_locked_out);
    policy_free(policy);
    if (err < 0)
        return api_internal_error(call, err);
    if (is_locked_out)
        return api_fail(call, API_INVALID_POLICY,
            "The policy would keep you from putting another one. Set "
            "BypassPolicyLockoutSafetyCheck to put it nevertheless.");
    return NULL;
}

const struct api_error *api_put_file_system_policy(struct api_call *call)
{
    const struct input_text rule = { "Policy", true, 1, CATALOG_POLICY_SIZE_MAX };
    struct put_policy put = { .call = call };
    const struct api_error *error = input_string(call, &rule, &put.policy);
    if (error != NULL)
        return error;
    const struct catalog_fs *fs = api_get_fs(call, call->path_value);
    if (fs == NULL)
        return call->failure;
    memcpy(put.id, fs->id, sizeof put.id);
    catalog_fs_put(fs);
    error = check_policy(call, put.id, put.policy);
    if (error == NULL)
        error = api_change(call, put_policy, &put);
    return error != NULL ? error : answer_policy(call, put.id, put.policy);
}

/* The default policy is in effect afterwards: everyone who reaches a mount target may do everything. Deleting none is
 * success, too. */
const struct api_error *api_delete_file_system_policy(struct api_call *call)
{
    struct put_policy put = { .call = call };
    const struct catalog_fs *fs = api_get_fs(call, call->path_value);
    if (fs == NULL)
        return call->failure;
    memcpy(put.id, fs->id, sizeof put.id);
    catalog_fs_put(fs);
    return api_change(call, put_policy, &put);
}
