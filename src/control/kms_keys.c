/*
 * control/kms_keys.c - the KMS API: keys, their states, rotation (room: control).
 * Sources: KMS API, CreateKey, DescribeKey, ListKeys, EnableKey, DisableKey, ScheduleKeyDeletion, CancelKeyDeletion,
 * EnableKeyRotation, DisableKeyRotation, GetKeyRotationStatus, RotateKeyOnDemand, UpdateKeyDescription, GetKeyPolicy,
 * ListKeyPolicies.
 */
#include <stdio.h>
#include <stdlib.h>

#include "control/input.h"
#include "control/kms.h"
#include "control/target_service.h"

#define DAY_MS            (INT64_C(24) * 3600 * 1000)
#define DELETION_DAYS_MIN 7
#define ROTATION_DAYS_MIN 90
#define ROTATION_DAYS_MAX 2560
#define LIST_KEYS_DEFAULT 100

static json_t *seconds(int64_t ms)
{
    return json_real((double)ms / 1000);
}

static const char *state_name(const struct key_info *info)
{
    if (info->state == KEY_ENABLED)
        return info->is_usable ? "Enabled" : "Unavailable";
    return info->state == KEY_DISABLED ? "Disabled" : "PendingDeletion";
}

static json_t *render_key(
    const struct api_call *call, const struct key_info *info, const char *description)
{
    char arn[KMS_ARN_SIZE];
    kms_key_arn(call, info->id, arn);
    json_t *json = json_pack("{ss ss ss so sb ss ss ss ss ss ss ss s[s] sb}", "AWSAccountId",
        catalog_account_id(call->context->catalog), "KeyId", info->id, "Arn", arn, "CreationDate",
        seconds(info->created_ms), "Enabled", info->state == KEY_ENABLED, "Description",
        description, "KeyUsage", "ENCRYPT_DECRYPT", "KeyState", state_name(info), "Origin",
        "AWS_KMS", "KeyManager", info->is_managed ? "AWS" : "CUSTOMER", "CustomerMasterKeySpec",
        "SYMMETRIC_DEFAULT", "KeySpec", "SYMMETRIC_DEFAULT", "EncryptionAlgorithms",
        "SYMMETRIC_DEFAULT", "MultiRegion", 0);
    if (json != NULL && info->state == KEY_PENDING_DELETION &&
        json_object_set_new(json, "DeletionDate", seconds(info->deletion_ms)) < 0) {
        json_decref(json);
        return NULL;
    }
    return json;
}

/* Answers {"KeyMetadata": ...}. */
static const struct api_error *answer_key(struct api_call *call, const char *id)
{
    struct key_info info;
    char *description = NULL;
    int err = key_store_get(call->context->keys, id, &info);
    if (err == 0)
        err = key_store_description(call->context->keys, id, &description);
    if (err < 0)
        return kms_error(call, err, "The key");
    json_t *json = render_key(call, &info, description);
    free(description);
    return api_answer(call, json == NULL ? NULL : json_pack("{so}", "KeyMetadata", json));
}

/* Only one kind of key is kept: 256 bits, made here, for this node. */
static const struct api_error *check_kind(struct api_call *call)
{
    static const struct {
        const char *member;
        const char *only;
    } kinds[] = {
        { "KeyUsage", "ENCRYPT_DECRYPT" },
        { "KeySpec", "SYMMETRIC_DEFAULT" },
        { "CustomerMasterKeySpec", "SYMMETRIC_DEFAULT" },
        { "Origin", "AWS_KMS" },
    };
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        const char *value = kinds[i].only;
        const struct api_error *error = kms_take_text(call, kinds[i].member, false, 64, &value);
        if (error != NULL)
            return error;
        if (strcmp(value, kinds[i].only) != 0)
            return api_fail(call, API_KMS_UNSUPPORTED,
                "%s '%.64s' is not available in Shoal: %s is.", kinds[i].member, value,
                kinds[i].only);
    }
    if (json_is_true(json_object_get(call->input, "MultiRegion")) ||
        json_object_get(call->input, "CustomKeyStoreId") != NULL ||
        json_object_get(call->input, "XksKeyId") != NULL)
        return api_fail(call, API_KMS_UNSUPPORTED,
            "Keys of several regions and custom key stores are not available in Shoal.");
    if (json_object_get(call->input, "Policy") != NULL)
        return api_fail(call, API_KMS_UNSUPPORTED,
            "Key policies are not available in Shoal: identity policies decide who may use the "
            "API.");
    return NULL;
}

const struct api_error *kms_create_key(struct api_call *call)
{
    struct key_tag *tags = arena_alloc(&call->arena, KEY_TAGS_MAX * sizeof *tags);
    struct key_create how = { .description = "", .tags = tags };
    char id[KEY_ID_SIZE];
    if (tags == NULL)
        return api_internal_error(call, -ENOMEM);
    const struct api_error *error = check_kind(call);
    if (error == NULL)
        error = kms_take_text(call, "Description", false, KEY_DESCRIPTION_MAX, &how.description);
    if (error == NULL)
        error = kms_take_tags(call, false, tags, &how.tag_count);
    if (error == NULL)
        error = kms_error(
            call, key_store_create(call->context->keys, &how, call->now_ms, id), "The account");
    return error != NULL ? error : answer_key(call, id);
}

const struct api_error *kms_describe_key(struct api_call *call)
{
    char id[KEY_ID_SIZE];
    const struct api_error *error = kms_take_key(call, true, id);
    return error != NULL ? error : answer_key(call, id);
}

const struct api_error *kms_list_keys(struct api_call *call)
{
    struct kms_page page;
    const struct api_error *error = kms_take_page(call, LIST_KEYS_DEFAULT, &page);
    if (error != NULL)
        return error;
    struct key_info infos[LIST_KEYS_DEFAULT + 1];
    size_t found = key_store_list(call->context->keys, page.marker, page.limit + 1, infos);
    size_t count = min_size(found, page.limit);
    json_t *list = json_array();
    int err = 0;
    for (size_t i = 0; i < count; i++) {
        char arn[KMS_ARN_SIZE];
        kms_key_arn(call, infos[i].id, arn);
        err |=
            json_array_append_new(list, json_pack("{ss ss}", "KeyId", infos[i].id, "KeyArn", arn));
    }
    json_t *answer = json_pack("{so}", "Keys", list);
    if (answer == NULL || err < 0 ||
        kms_end_page(answer, count > 0 ? infos[count - 1].id : "", found > count) < 0) {
        json_decref(answer);
        answer = NULL;
    }
    return api_answer(call, answer);
}

/* A change of the key that "KeyId" names; file systems are told of it. */
static const struct api_error *change_key(struct api_call *call, char id[KEY_ID_SIZE],
    int (*change)(struct api_call *call, const char *id))
{
    char shown[KEY_ID_SIZE + 16];
    const struct api_error *error = kms_take_key(call, false, id);
    if (error != NULL)
        return error;
    (void)snprintf(shown, sizeof shown, "Key '%s'", id);
    error = kms_error(call, change(call, id), shown);
    if (error == NULL)
        kms_tell(call->context, id);
    return error;
}

static int enable(struct api_call *call, const char *id)
{
    return key_store_enable(call->context->keys, id, true);
}

static int disable(struct api_call *call, const char *id)
{
    return key_store_enable(call->context->keys, id, false);
}

static int cancel(struct api_call *call, const char *id)
{
    return key_store_cancel_deletion(call->context->keys, id);
}

static int rotate(struct api_call *call, const char *id)
{
    return key_store_rotate(call->context->keys, id, call->now_ms);
}

static int stop_rotation(struct api_call *call, const char *id)
{
    return key_store_set_rotation(call->context->keys, id, false, KEY_ROTATION_DAYS);
}

const struct api_error *kms_enable_key(struct api_call *call)
{
    char id[KEY_ID_SIZE];
    return change_key(call, id, enable);
}

const struct api_error *kms_disable_key(struct api_call *call)
{
    char id[KEY_ID_SIZE];
    return change_key(call, id, disable);
}

/* Answers with the ARN, as the calls that name a key in their answer do. */
static const struct api_error *answer_arn(struct api_call *call, const char *id)
{
    char arn[KMS_ARN_SIZE];
    kms_key_arn(call, id, arn);
    return api_answer(call, json_pack("{ss}", "KeyId", arn));
}

const struct api_error *kms_cancel_key_deletion(struct api_call *call)
{
    char id[KEY_ID_SIZE];
    const struct api_error *error = change_key(call, id, cancel);
    return error != NULL ? error : answer_arn(call, id);
}

const struct api_error *kms_schedule_key_deletion(struct api_call *call)
{
    char id[KEY_ID_SIZE];
    char arn[KMS_ARN_SIZE];
    int64_t days = KEY_DELETION_DAYS;
    const struct api_error *error = kms_take_key(call, false, id);
    if (error == NULL)
        error = kms_take_number(
            call, "PendingWindowInDays", DELETION_DAYS_MIN, KEY_DELETION_DAYS, &days);
    if (error != NULL)
        return error;
    int64_t deletion_ms = call->now_ms + days * DAY_MS;
    kms_key_arn(call, id, arn);
    error = kms_error(call, key_store_schedule_deletion(call->context->keys, id, deletion_ms), arn);
    if (error != NULL)
        return error;
    kms_tell(call->context, id);
    return api_answer(
        call, json_pack("{ss so ss sI}", "KeyId", arn, "DeletionDate", seconds(deletion_ms),
                  "KeyState", "PendingDeletion", "PendingWindowInDays", (json_int_t)days));
}

const struct api_error *kms_rotate_key_on_demand(struct api_call *call)
{
    char id[KEY_ID_SIZE];
    const struct api_error *error = change_key(call, id, rotate);
    return error != NULL ? error : answer_arn(call, id);
}

const struct api_error *kms_enable_key_rotation(struct api_call *call)
{
    char id[KEY_ID_SIZE];
    int64_t days = KEY_ROTATION_DAYS;
    const struct api_error *error = kms_take_key(call, false, id);
    if (error == NULL)
        error = kms_take_number(
            call, "RotationPeriodInDays", ROTATION_DAYS_MIN, ROTATION_DAYS_MAX, &days);
    if (error != NULL)
        return error;
    int err = key_store_set_rotation(call->context->keys, id, true, (uint32_t)days);
    return kms_error(call, err, "The key");
}

const struct api_error *kms_disable_key_rotation(struct api_call *call)
{
    char id[KEY_ID_SIZE];
    return change_key(call, id, stop_rotation);
}

const struct api_error *kms_get_key_rotation_status(struct api_call *call)
{
    char id[KEY_ID_SIZE];
    char arn[KMS_ARN_SIZE];
    struct key_info info;
    const struct api_error *error = kms_take_key(call, false, id);
    if (error == NULL)
        error = kms_error(call, key_store_get(call->context->keys, id, &info), "The key");
    if (error != NULL)
        return error;
    kms_key_arn(call, id, arn);
    json_t *answer = json_pack("{ss sb}", "KeyId", arn, "KeyRotationEnabled", info.rotates);
    if (answer != NULL && info.rotates) {
        int64_t next_ms = info.rotated_ms + info.rotation_days * DAY_MS;
        int err =
            json_object_set_new(answer, "RotationPeriodInDays", json_integer(info.rotation_days));
        if (err < 0 || json_object_set_new(answer, "NextRotationDate", seconds(next_ms)) < 0) {
            json_decref(answer);
            answer = NULL;
        }
    }
    return api_answer(call, answer);
}

const struct api_error *kms_update_key_description(struct api_call *call)
{
    char id[KEY_ID_SIZE];
    const char *text = NULL;
    const struct api_error *error = kms_take_key(call, false, id);
    if (error == NULL)
        error = kms_take_text(call, "Description", false, KEY_DESCRIPTION_MAX, &text);
    if (error == NULL && text == NULL)
        error = api_fail(call, API_VALIDATION, "Description is required.");
    if (error != NULL)
        return error;
    return kms_error(call, key_store_describe_as(call->context->keys, id, text), "The key");
}

/* The policy that AWS gives a key when none is named; it is the only one here. */
const struct api_error *kms_get_key_policy(struct api_call *call)
{
    char id[KEY_ID_SIZE];
    char policy[512];
    const char *name = "default";
    const struct api_error *error = kms_take_key(call, false, id);
    if (error == NULL)
        error = kms_take_text(call, "PolicyName", false, 128, &name);
    if (error == NULL && strcmp(name, "default") != 0)
        error = kms_error(call, -ENOENT, "A policy of this name");
    if (error != NULL)
        return error;
    (void)snprintf(policy, sizeof policy,
        "{\"Version\":\"2012-10-17\",\"Id\":\"key-default-1\",\"Statement\":[{\"Sid\":\"Enable IAM "
        "User "
        "Permissions\",\"Effect\":\"Allow\",\"Principal\":{\"AWS\":\"arn:aws:iam::%s:root\"},"
        "\"Action\":"
        "\"kms:*\",\"Resource\":\"*\"}]}",
        catalog_account_id(call->context->catalog));
    return api_answer(call, json_pack("{ss ss}", "Policy", policy, "PolicyName", name));
}

const struct api_error *kms_list_key_policies(struct api_call *call)
{
    char id[KEY_ID_SIZE];
    const struct api_error *error = kms_take_key(call, false, id);
    if (error != NULL)
        return error;
    return api_answer(call, json_pack("{s[s] sb}", "PolicyNames", "default", "Truncated", 0));
}
