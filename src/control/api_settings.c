/*
 * control/api_settings.c - settings of file systems and of the account (room: control).
 *
 * What Shoal does not do yet can be asked about, and the answer is the true one: there is no backup, no
 * replication, no tier. Setting any of it is refused with 501 NotImplemented, never taken and forgotten.
 * Source: EFS API, the Describe, Put and Delete operations named in each function.
 */
#include "control/actions.h"
#include "control/input.h"

const struct api_error *api_not_built(struct api_call *call)
{
    return api_fail(call, API_NOT_IMPLEMENTED,
        "%s is not available in this release of Shoal. Nothing was changed.", call->action);
}

/* For answers that only need the file system to be there. NULL: it is. */
static const struct api_error *require_fs(struct api_call *call, const char *text)
{
    const struct catalog_fs *fs = api_get_fs(call, text);
    catalog_fs_put(fs);
    return call->failure;
}

const struct api_error *api_describe_lifecycle_configuration(struct api_call *call)
{
    const struct api_error *error = require_fs(call, call->path_value);
    return error != NULL ? error : api_answer(call, json_pack("{s[]}", "LifecyclePolicies"));
}

/* An empty list deletes the configuration (EFS: PutLifecycleConfiguration), which none has. */
const struct api_error *api_put_lifecycle_configuration(struct api_call *call)
{
    const struct api_error *error = require_fs(call, call->path_value);
    const json_t *policies = json_object_get(call->input, "LifecyclePolicies");
    if (error != NULL)
        return error;
    if (!json_is_array(policies))
        return api_fail(call, API_BAD_REQUEST, "LifecyclePolicies is required and must be a list.");
    if (json_array_size(policies) > 0)
        return api_not_built(call);
    return api_answer(call, json_pack("{s[]}", "LifecyclePolicies"));
}

static const struct api_error *answer_backup_declined(struct api_call *call)
{
    return api_answer(call, json_pack("{s{ss}}", "BackupPolicy", "Status", "DISABLED"));
}

/* Once declined, the policy is there and says DISABLED (EFS: DescribeBackupPolicy); Terraform relies on it. */
const struct api_error *api_describe_backup_policy(struct api_call *call)
{
    const struct catalog_fs *fs = api_get_fs(call, call->path_value);
    if (fs == NULL)
        return call->failure;
    bool declined = fs->backup_declined;
    catalog_fs_put(fs);
    if (declined)
        return answer_backup_declined(call);
    return api_fail(call, API_POLICY_NOT_FOUND,
        "File system '%.128s' does not have a backup policy.", call->path_value);
}

static int decline_backup(struct catalog_change *change, void *context)
{
    struct catalog_fs *fs;
    int err = catalog_edit_fs(change, context, &fs);
    if (err == 0)
        fs->backup_declined = true;
    return err == -ENOENT ? 0 : err; /* deleted meanwhile is as good */
}

/* Backups can be declined, which is how it is. Asking for them has to wait until there are any. */
const struct api_error *api_put_backup_policy(struct api_call *call)
{
    const json_t *policy = NULL;
    const struct api_error *error = input_object(call, "BackupPolicy", &policy);
    if (error != NULL)
        return error;
    const char *status = json_string_value(json_object_get(policy, "Status"));
    if (status == NULL)
        return api_fail(call, API_BAD_REQUEST, "BackupPolicy.Status is required.");
    if (strcmp(status, "ENABLED") == 0)
        return api_not_built(call);
    if (strcmp(status, "DISABLED") != 0)
        return api_fail(call, API_BAD_REQUEST,
            "BackupPolicy.Status can be set to ENABLED or DISABLED, not to '%.64s'.", status);
    const struct catalog_fs *fs = api_get_fs(call, call->path_value);
    if (fs == NULL)
        return call->failure;
    char id[CATALOG_ID_SIZE];
    memcpy(id, fs->id, sizeof id);
    catalog_fs_put(fs);
    error = api_change(call, decline_backup, id);
    return error != NULL ? error : answer_backup_declined(call);
}

static const struct api_error *answer_preferences(struct api_call *call)
{
    return api_answer(call, json_pack("{s{ss s[ss]}}", "ResourceIdPreference", "ResourceIdType",
                                "LONG_ID", "Resources", "FILE_SYSTEM", "MOUNT_TARGET"));
}

const struct api_error *api_describe_account_preferences(struct api_call *call)
{
    return answer_preferences(call);
}

/* EFS refuses 8-digit ids since October 2021. */
const struct api_error *api_put_account_preferences(struct api_call *call)
{
    const struct input_text rule = { "ResourceIdType", true, 1, 64 };
    const char *type = NULL;
    const struct api_error *error = input_string(call, &rule, &type);
    if (error != NULL)
        return error;
    if (strcmp(type, "LONG_ID") != 0)
        return api_fail(call, API_BAD_REQUEST,
            "ResourceIdType can only be set to LONG_ID, not to '%.64s'.", type);
    return answer_preferences(call);
}

const struct api_error *api_describe_replication_configurations(struct api_call *call)
{
    const char *fs_id = query_find(&call->query, "FileSystemId");
    if (fs_id == NULL)
        return api_answer(call, json_pack("{s[]}", "Replications"));
    const struct api_error *error = require_fs(call, fs_id);
    if (error != NULL)
        return error;
    return api_fail(call, API_REPLICATION_NOT_FOUND,
        "File system '%.128s' does not have a replication configuration.", fs_id);
}

const struct api_error *api_delete_replication_configuration(struct api_call *call)
{
    const struct api_error *error = require_fs(call, call->path_value);
    if (error != NULL)
        return error;
    return api_fail(call, API_REPLICATION_NOT_FOUND,
        "File system '%.128s' does not have a replication configuration.", call->path_value);
}
