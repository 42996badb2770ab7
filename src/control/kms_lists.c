/*
 * control/kms_lists.c - the KMS API: aliases and tags of keys (room: control).
 * Sources: KMS API, CreateAlias, UpdateAlias, DeleteAlias, ListAliases, TagResource, UntagResource, ListResourceTags.
 */
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/text.h"
#include "control/input.h"
#include "control/kms.h"
#include "control/target_service.h"

#define LIST_DEFAULT 50
#define ALIAS_PREFIX "alias/"

/* "AliasName": alias/ and letters, digits, / _ -. */
static const struct api_error *take_alias(struct api_call *call, const char **out_name)
{
    const struct api_error *error =
        kms_take_text(call, "AliasName", true, KEY_ALIAS_SIZE - 1, out_name);
    if (error != NULL)
        return error;
    const char *name = *out_name;
    bool is_good = strncmp(name, ALIAS_PREFIX, strlen(ALIAS_PREFIX)) == 0 &&
                   name[strlen(ALIAS_PREFIX)] != '\0';
    for (size_t i = 0; is_good && name[i] != '\0'; i++)
        is_good = isalnum((unsigned char)name[i]) || strchr("/_-", name[i]) != NULL;
    if (is_good)
        return NULL;
    return api_fail(call, API_KMS_INVALID_ALIAS_NAME,
        "An alias is 'alias/' and letters, digits, '/', '_' and '-'.");
}

static const struct api_error *alias_error(struct api_call *call, int err, const char *name)
{
    char shown[KMS_ARN_SIZE];
    if (err == -EPERM)
        return api_fail(call, API_KMS_INVALID_ALIAS_NAME,
            "Aliases that begin with 'alias/aws/' belong to the services.");
    kms_alias_arn(call, name, shown);
    return kms_error(call, err, shown);
}

/* Both take the same input. */
static const struct api_error *put_alias(struct api_call *call,
    int (*put)(struct key_store *store, const char *name, const char *id, int64_t now_ms))
{
    const char *name = NULL;
    const char *target = NULL;
    char id[KEY_ID_SIZE];
    const struct api_error *error = take_alias(call, &name);
    if (error == NULL)
        error = kms_take_text(call, "TargetKeyId", true, 2048, &target);
    if (error == NULL)
        error = kms_resolve(call, target, false, id);
    if (error != NULL)
        return error;
    return alias_error(call, put(call->context->keys, name, id, call->now_ms), name);
}

const struct api_error *kms_create_alias(struct api_call *call)
{
    return put_alias(call, key_store_alias_create);
}

const struct api_error *kms_update_alias(struct api_call *call)
{
    return put_alias(call, key_store_alias_update);
}

const struct api_error *kms_delete_alias(struct api_call *call)
{
    const char *name = NULL;
    const struct api_error *error = take_alias(call, &name);
    if (error != NULL)
        return error;
    return alias_error(call, key_store_alias_delete(call->context->keys, name), name);
}

static json_t *render_alias(const struct api_call *call, const struct key_alias *alias)
{
    char arn[KMS_ARN_SIZE];
    kms_alias_arn(call, alias->name, arn);
    return json_pack("{ss ss ss sf sf}", "AliasName", alias->name, "AliasArn", arn, "TargetKeyId",
        alias->key_id, "CreationDate", (double)alias->created_ms / 1000, "LastUpdatedDate",
        (double)alias->updated_ms / 1000);
}

const struct api_error *kms_list_aliases(struct api_call *call)
{
    struct kms_page page;
    char id[KEY_ID_SIZE];
    bool has_key = json_object_get(call->input, "KeyId") != NULL;
    const struct api_error *error = kms_take_page(call, LIST_DEFAULT, &page);
    if (error == NULL && has_key)
        error = kms_take_key(call, false, id);
    if (error != NULL)
        return error;
    struct key_alias aliases[LIST_DEFAULT + 1];
    size_t found = key_store_list_aliases(
        call->context->keys, has_key ? id : NULL, page.marker, page.limit + 1, aliases);
    size_t count = min_size(found, page.limit);
    json_t *list = json_array();
    int err = 0;
    for (size_t i = 0; i < count; i++)
        err |= json_array_append_new(list, render_alias(call, &aliases[i]));
    json_t *answer = json_pack("{so}", "Aliases", list);
    if (answer == NULL || err < 0 ||
        kms_end_page(answer, count > 0 ? aliases[count - 1].name : "", found > count) < 0) {
        json_decref(answer);
        answer = NULL;
    }
    return api_answer(call, answer);
}

/* ---- tags: TagKey and TagValue here, not Key and Value ---- */

static bool take_tag(const json_t *item, struct key_tag *tag)
{
    const char *key = json_string_value(json_object_get(item, "TagKey"));
    const char *value = json_string_value(json_object_get(item, "TagValue"));
    return key != NULL && value != NULL && key[0] != '\0' && input_char_count(key) <= 128 &&
           input_char_count(value) <= 256 && text_copy(tag->key, sizeof tag->key, key) == 0 &&
           text_copy(tag->value, sizeof tag->value, value) == 0;
}

const struct api_error *kms_take_tags(
    struct api_call *call, bool required, struct key_tag *out_tags, uint32_t *out_count)
{
    const json_t *list = json_object_get(call->input, "Tags");
    if (list == NULL && !required)
        return NULL;
    if (!json_is_array(list))
        return api_fail(call, API_VALIDATION, "Tags must be a list.");
    size_t count = json_array_size(list);
    if (count > KEY_TAGS_MAX)
        return api_fail(call, API_KMS_TAG, "A key has at most %u tags.", KEY_TAGS_MAX);
    for (size_t i = 0; i < count; i++) {
        if (!take_tag(json_array_get(list, i), &out_tags[i]))
            return api_fail(call, API_KMS_TAG,
                "A tag has a TagKey of 1 to 128 and a TagValue of up to 256 characters.");
        if (strncmp(out_tags[i].key, "aws:", 4) == 0)
            return api_fail(call, API_KMS_TAG, "Tags that begin with 'aws:' are reserved.");
        for (size_t j = 0; j < i; j++) {
            if (strcmp(out_tags[j].key, out_tags[i].key) == 0)
                return api_fail(
                    call, API_KMS_TAG, "The tag '%.64s' is there twice.", out_tags[i].key);
        }
    }
    *out_count = (uint32_t)count;
    return NULL;
}

const struct api_error *kms_tag_resource(struct api_call *call)
{
    char id[KEY_ID_SIZE];
    uint32_t count = 0;
    struct key_tag *tags = arena_alloc(&call->arena, KEY_TAGS_MAX * sizeof *tags);
    if (tags == NULL)
        return api_internal_error(call, -ENOMEM);
    const struct api_error *error = kms_take_key(call, false, id);
    if (error == NULL)
        error = kms_take_tags(call, true, tags, &count);
    if (error != NULL)
        return error;
    return kms_error(call, key_store_tag(call->context->keys, id, tags, count), "The key");
}

const struct api_error *kms_untag_resource(struct api_call *call)
{
    char id[KEY_ID_SIZE];
    const char *keys[KEY_TAGS_MAX];
    const json_t *list = json_object_get(call->input, "TagKeys");
    size_t count = json_array_size(list);
    const struct api_error *error = kms_take_key(call, false, id);
    if (error != NULL)
        return error;
    if (!json_is_array(list) || count > KEY_TAGS_MAX)
        return api_fail(
            call, API_VALIDATION, "TagKeys must be a list of up to %u keys.", KEY_TAGS_MAX);
    for (size_t i = 0; i < count; i++) {
        keys[i] = json_string_value(json_array_get(list, i));
        if (keys[i] == NULL)
            return api_fail(call, API_VALIDATION, "TagKeys must be a list of strings.");
    }
    return kms_error(
        call, key_store_untag(call->context->keys, id, keys, (uint32_t)count), "The key");
}

const struct api_error *kms_list_resource_tags(struct api_call *call)
{
    struct kms_page page;
    char id[KEY_ID_SIZE];
    struct key_tag *tags = arena_alloc(&call->arena, KEY_TAGS_MAX * sizeof *tags);
    if (tags == NULL)
        return api_internal_error(call, -ENOMEM);
    const struct api_error *error = kms_take_key(call, false, id);
    if (error == NULL)
        error = kms_take_page(call, LIST_DEFAULT, &page);
    if (error != NULL)
        return error;
    int count = key_store_tags(call->context->keys, id, tags);
    if (count < 0)
        return kms_error(call, count, "The key");
    uint64_t first = 0;
    if (page.marker[0] != '\0' && text_parse_u64(page.marker, KEY_TAGS_MAX, &first) < 0)
        return api_fail(call, API_KMS_INVALID_MARKER, "The marker is not one that was given out.");
    json_t *list = json_array();
    uint64_t at = first;
    int err = 0;
    for (; at < (uint64_t)count && at < first + page.limit; at++)
        err |= json_array_append_new(
            list, json_pack("{ss ss}", "TagKey", tags[at].key, "TagValue", tags[at].value));
    char next[24];
    (void)snprintf(next, sizeof next, "%" PRIu64, at);
    json_t *answer = json_pack("{so}", "Tags", list);
    if (answer == NULL || err < 0 || kms_end_page(answer, next, at < (uint64_t)count) < 0) {
        json_decref(answer);
        answer = NULL;
    }
    return api_answer(call, answer);
}
