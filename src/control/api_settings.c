/*
 * control/api_settings.c - lifecycle configuration and backup policy of file systems, preferences of the account
 * (room: control).
 *
 * All of it is kept, checked and shown as EFS does. What acts on it is not built yet: no file moves to another storage
 * class, and no backup is made (docs/compat-api.md). Source: EFS API, the operations named in each function.
 */
#include <stdio.h>

#include "control/actions.h"
#include "control/file_systems.h"
#include "control/input.h"
#include "control/worker.h"

#define TRANSITION_DAYS "[1, 7, 14, 30, 60, 90, 180, 270, 365]"

static const struct {
    const char *name; /* of the member of LifecyclePolicy */
    enum catalog_transition transition;
} transitions[] = {
    { "TransitionToIA", CATALOG_TO_IA },
    { "TransitionToArchive", CATALOG_TO_ARCHIVE },
    { "TransitionToPrimaryStorageClass", CATALOG_TO_PRIMARY },
};

/* The days in AFTER_1_DAY, AFTER_7_DAYS ..; 0: not one of the model's values. */
static uint32_t parse_days(const char *text)
{
    static const uint32_t choices[] = { 1, 7, 14, 30, 60, 90, 180, 270, 365 };
    for (size_t i = 0; i < ARRAY_SIZE(choices); i++) {
        char name[24];
        (void)snprintf(name, sizeof name, "AFTER_%u_DAY%s", choices[i], choices[i] == 1 ? "" : "S");
        if (strcmp(text, name) == 0)
            return choices[i];
    }
    return 0;
}

/* One LifecyclePolicy, which has exactly one member. */
static const struct api_error *take_policy(
    struct api_call *call, const json_t *policy, struct catalog_lifecycle *lifecycle)
{
    size_t given = 0;
    for (size_t i = 0; i < ARRAY_SIZE(transitions); i++) {
        const json_t *value = json_object_get(policy, transitions[i].name);
        if (value == NULL || json_is_null(value))
            continue;
        const char *text = json_string_value(value);
        bool to_primary = transitions[i].transition == CATALOG_TO_PRIMARY;
        uint32_t days = text == NULL || to_primary ? 0 : parse_days(text);
        if (text == NULL || (to_primary ? strcmp(text, "AFTER_1_ACCESS") != 0 : days == 0)) {
            return api_fail(call, API_BAD_REQUEST,
                "1 validation error detected: Value '%.64s' of %s failed to satisfy constraint: %s",
                text != NULL ? text : "(no string)", transitions[i].name,
                to_primary ? "it must be AFTER_1_ACCESS"
                           : "it must be AFTER_n_DAYS, n one of " TRANSITION_DAYS);
        }
        given++;
        lifecycle->policies[lifecycle->count].transition = transitions[i].transition;
        lifecycle->policies[lifecycle->count].days = days;
    }
    if (given != 1)
        return api_fail(call, API_BAD_REQUEST,
            "Each of LifecyclePolicies must have exactly one of TransitionToIA, "
            "TransitionToArchive and TransitionToPrimaryStorageClass; one has %zu.",
            given);
    lifecycle->count++;
    return NULL;
}

/* The days of a transition; 0: it is not in the configuration. */
static uint32_t days_of(const struct catalog_lifecycle *lifecycle, enum catalog_transition wanted)
{
    for (size_t i = 0; i < lifecycle->count; i++) {
        if (lifecycle->policies[i].transition == wanted)
            return lifecycle->policies[i].days;
    }
    return 0;
}

static const struct api_error *take_lifecycle(
    struct api_call *call, struct catalog_lifecycle *lifecycle)
{
    const json_t *list = json_object_get(call->input, "LifecyclePolicies");
    if (!json_is_array(list))
        return api_fail(call, API_BAD_REQUEST, "LifecyclePolicies is required and must be a list.");
    if (json_array_size(list) > CATALOG_TRANSITIONS_MAX)
        return api_fail(call, API_BAD_REQUEST, "LifecyclePolicies must have at most %d entries.",
            CATALOG_TRANSITIONS_MAX);
    const struct api_error *error = NULL;
    for (size_t i = 0; error == NULL && i < json_array_size(list); i++) {
        error = take_policy(call, json_array_get(list, i), lifecycle);
        for (size_t k = 0; error == NULL && k < i; k++) {
            if (lifecycle->policies[k].transition == lifecycle->policies[i].transition)
                error = api_fail(
                    call, API_BAD_REQUEST, "LifecyclePolicies names the same transition twice.");
        }
    }
    uint32_t to_ia = days_of(lifecycle, CATALOG_TO_IA);
    uint32_t to_archive = days_of(lifecycle, CATALOG_TO_ARCHIVE);
    if (error == NULL && to_archive > 0 && to_ia > 0 && to_archive <= to_ia)
        error = api_fail(
            call, API_BAD_REQUEST, "TransitionToArchive must come later than TransitionToIA.");
    return error;
}

static const struct api_error *answer_lifecycle(
    struct api_call *call, const struct catalog_lifecycle *lifecycle)
{
    json_t *list = json_array();
    int err = 0;
    for (size_t i = 0; i < lifecycle->count; i++) {
        char value[24] = "AFTER_1_ACCESS";
        uint32_t days = lifecycle->policies[i].days;
        if (days > 0)
            (void)snprintf(value, sizeof value, "AFTER_%u_DAY%s", days, days == 1 ? "" : "S");
        err |= json_array_append_new(
            list, json_pack("{ss}", transitions[lifecycle->policies[i].transition].name, value));
    }
    if (err < 0) {
        json_decref(list);
        list = NULL;
    }
    return api_answer(call, list == NULL ? NULL : json_pack("{so}", "LifecyclePolicies", list));
}

const struct api_error *api_describe_lifecycle_configuration(struct api_call *call)
{
    const struct catalog_fs *fs = api_get_fs(call, call->path_value);
    if (fs == NULL)
        return call->failure;
    const struct api_error *error = answer_lifecycle(call, &fs->lifecycle);
    catalog_fs_put(fs);
    return error;
}

/* A setting to be put, and where. */
struct put_setting {
    struct api_call *call;
    char fs_id[CATALOG_ID_SIZE];
    struct catalog_lifecycle lifecycle;
    enum catalog_backup backup;
};

/* Stages the file system, which must be `available`. */
static int edit_available(
    struct catalog_change *change, const struct put_setting *put, struct catalog_fs **out_fs)
{
    int err = catalog_edit_fs(change, put->fs_id, out_fs);
    if (err == -ENOENT)
        return api_refuse(
            put->call, API_FILE_SYSTEM_NOT_FOUND, "File system '%s' does not exist.", put->fs_id);
    return err < 0 ? err : file_systems_check_available(put->call, *out_fs);
}

static int put_lifecycle(struct catalog_change *change, void *context)
{
    const struct put_setting *put = context;
    struct catalog_fs *fs;
    int err = edit_available(change, put, &fs);
    if (err < 0)
        return err;
    if (days_of(&put->lifecycle, CATALOG_TO_ARCHIVE) > 0 &&
        (fs->throughput != CATALOG_ELASTIC || fs->performance != CATALOG_GENERAL_PURPOSE))
        return api_refuse(put->call, API_BAD_REQUEST,
            "TransitionToArchive is supported with elastic throughput and the General Purpose "
            "performance mode only.");
    fs->lifecycle = put->lifecycle;
    return 0;
}

/* The id of the file system in the path. */
static const struct api_error *take_fs_id(struct api_call *call, char out_id[CATALOG_ID_SIZE])
{
    const struct catalog_fs *fs = api_get_fs(call, call->path_value);
    if (fs != NULL)
        memcpy(out_id, fs->id, CATALOG_ID_SIZE);
    catalog_fs_put(fs);
    return call->failure;
}

/* An empty list deletes the configuration (EFS: PutLifecycleConfiguration). */
const struct api_error *api_put_lifecycle_configuration(struct api_call *call)
{
    struct put_setting put = { .call = call };
    const struct api_error *error = take_lifecycle(call, &put.lifecycle);
    if (error == NULL)
        error = take_fs_id(call, put.fs_id);
    if (error == NULL)
        error = api_change(call, put_lifecycle, &put);
    return error != NULL ? error : answer_lifecycle(call, &put.lifecycle);
}

static const struct api_error *answer_backup(struct api_call *call, enum catalog_backup backup)
{
    static const char *const names[] = {
        [CATALOG_BACKUP_ENABLING] = "ENABLING",
        [CATALOG_BACKUP_ENABLED] = "ENABLED",
        [CATALOG_BACKUP_DISABLING] = "DISABLING",
        [CATALOG_BACKUP_DISABLED] = "DISABLED",
    };
    return api_answer(call, json_pack("{s{ss}}", "BackupPolicy", "Status", names[backup]));
}

/* Once set, the policy is there, also when it says DISABLED; Terraform relies on it. */
const struct api_error *api_describe_backup_policy(struct api_call *call)
{
    const struct catalog_fs *fs = api_get_fs(call, call->path_value);
    if (fs == NULL)
        return call->failure;
    enum catalog_backup backup = fs->backup;
    catalog_fs_put(fs);
    if (backup != CATALOG_BACKUP_NONE)
        return answer_backup(call, backup);
    return api_fail(call, API_POLICY_NOT_FOUND,
        "File system '%.128s' does not have a backup policy.", call->path_value);
}

static int put_backup(struct catalog_change *change, void *context)
{
    struct put_setting *put = context;
    struct catalog_fs *fs;
    int err = edit_available(change, put, &fs);
    if (err < 0)
        return err;
    bool enable = put->backup == CATALOG_BACKUP_ENABLED;
    if (fs->backup != put->backup)
        fs->backup = enable ? CATALOG_BACKUP_ENABLING : CATALOG_BACKUP_DISABLING;
    put->backup = fs->backup;
    return 0;
}

const struct api_error *api_put_backup_policy(struct api_call *call)
{
    struct put_setting put = { .call = call };
    const json_t *policy = NULL;
    const struct api_error *error = input_object(call, "BackupPolicy", &policy);
    if (error != NULL)
        return error;
    const char *status = json_string_value(json_object_get(policy, "Status"));
    if (status == NULL)
        return api_fail(call, API_BAD_REQUEST, "BackupPolicy.Status is required.");
    put.backup = strcmp(status, "ENABLED") == 0 ? CATALOG_BACKUP_ENABLED : CATALOG_BACKUP_DISABLED;
    if (put.backup != CATALOG_BACKUP_ENABLED && strcmp(status, "DISABLED") != 0)
        return api_fail(call, API_BAD_REQUEST,
            "BackupPolicy.Status can be set to ENABLED or DISABLED, not to '%.64s'.", status);
    error = take_fs_id(call, put.fs_id);
    if (error == NULL)
        error = api_change(call, put_backup, &put);
    if (error != NULL)
        return error;
    worker_submit(call->context->worker, WORKER_FS, put.fs_id);
    return answer_backup(call, put.backup);
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
