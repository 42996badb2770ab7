/*
 * control/kms.c - names of keys, errors, and what keys mean for file systems (room: control).
 */
#include "control/kms.h"

#include <stdio.h>

#include "base/log.h"
#include "control/input.h"

#define KEY_NAME_CHARS 2048

void kms_key_arn(const struct api_call *call, const char *id, char out_arn[KMS_ARN_SIZE])
{
    const struct catalog *catalog = call->context->catalog;
    (void)snprintf(out_arn, KMS_ARN_SIZE, "arn:aws:kms:%s:%s:key/%s", catalog_region(catalog),
        catalog_account_id(catalog), id);
}

void kms_alias_arn(const struct api_call *call, const char *name, char out_arn[KMS_ARN_SIZE])
{
    const struct catalog *catalog = call->context->catalog;
    (void)snprintf(out_arn, KMS_ARN_SIZE, "arn:aws:kms:%s:%s:%s", catalog_region(catalog),
        catalog_account_id(catalog), name);
}

const struct api_error *kms_error(struct api_call *call, int err, const char *what)
{
    switch (err) {
    case 0:
        return NULL;
    case -ENOENT:
        return api_fail(call, API_KMS_NOT_FOUND, "%s does not exist.", what);
    case -EEXIST:
        return api_fail(call, API_KMS_ALREADY_EXISTS, "%s already exists.", what);
    case -EKEYREVOKED:
        return api_fail(call, API_KMS_INVALID_STATE,
            "%s is not in a state in which this can be done, or the node's master key is missing.",
            what);
    case -EPERM:
        return api_fail(call, API_KMS_UNSUPPORTED,
            "%s belongs to the service; this cannot be done with it.", what);
    case -ENOSPC:
        return api_fail(call, API_KMS_LIMIT_EXCEEDED, "There are too many already, for %s.", what);
    default:
        return api_internal_error(call, err);
    }
}

const struct api_error *kms_take_text(struct api_call *call, const char *name, bool required,
    size_t chars_max, const char **out_value)
{
    const struct input_text rule = { name, required, required ? 1 : 0, chars_max };
    const struct api_error *error = input_string(call, &rule, out_value);
    if (error == NULL || error->status >= 500)
        return error;
    char message[API_MESSAGE_SIZE];
    memcpy(message, call->message, sizeof message);
    return api_fail(call, API_VALIDATION, "%s", message);
}

const struct api_error *kms_take_number(
    struct api_call *call, const char *name, int64_t least, int64_t most, int64_t *out_value)
{
    const json_t *value = json_object_get(call->input, name);
    if (value == NULL || json_is_null(value))
        return NULL;
    int64_t number = json_integer_value(value);
    if (!json_is_integer(value) || number < least || number > most)
        return api_fail(call, API_VALIDATION, "%s must be a whole number from %lld to %lld.", name,
            (long long)least, (long long)most);
    *out_value = number;
    return NULL;
}

const struct api_error *kms_take_page(
    struct api_call *call, size_t limit_default, struct kms_page *out_page)
{
    int64_t limit = (int64_t)limit_default;
    const char *marker = "";
    const struct api_error *error = kms_take_number(call, "Limit", 1, 1000, &limit);
    if (error == NULL)
        error = kms_take_text(call, "Marker", false, 1024, &marker);
    if (error == NULL)
        *out_page = (struct kms_page){ min_size((size_t)limit, limit_default), marker };
    return error;
}

int kms_end_page(json_t *answer, const char *next_marker, bool is_truncated)
{
    if (json_object_set_new(answer, "Truncated", json_boolean(is_truncated)) < 0 ||
        (is_truncated && json_object_set_new(answer, "NextMarker", json_string(next_marker)) < 0))
        return -ENOMEM;
    return 0;
}

/* What stands behind arn:aws:kms:region:account: of ours, in `text`; `text` itself when it is no ARN; NULL: refused. */
static const char *strip_arn(struct api_call *call, const char *text)
{
    char prefix[KMS_ARN_SIZE];
    if (strncmp(text, "arn:", 4) != 0)
        return text;
    kms_alias_arn(call, "", prefix);
    size_t size = strlen(prefix);
    if (strncmp(text, prefix, size) != 0) {
        (void)api_fail(call, API_KMS_INVALID_ARN, "Invalid arn %.200s: this node's begin with %s",
            text, prefix);
        return NULL;
    }
    const char *rest = text + size;
    if (strncmp(rest, "key/", 4) == 0)
        return rest + 4;
    if (strncmp(rest, "alias/", 6) == 0)
        return rest;
    (void)api_fail(
        call, API_KMS_INVALID_ARN, "Invalid arn %.200s: it is of no key and no alias", text);
    return NULL;
}

const struct api_error *kms_resolve(
    struct api_call *call, const char *text, bool takes_alias, char out_id[KEY_ID_SIZE])
{
    char shown[320];
    const char *name = strip_arn(call, text);
    if (name == NULL)
        return call->failure;
    bool is_alias = strncmp(name, "alias/", 6) == 0;
    if (is_alias && !takes_alias)
        return api_fail(call, API_KMS_NOT_FOUND,
            "Invalid keyId '%.200s': an alias cannot stand for the key here.", text);
    int err = key_store_resolve(call->context->keys, name, out_id);
    (void)snprintf(shown, sizeof shown, "%s '%.256s'", is_alias ? "Alias" : "Key", text);
    return kms_error(call, err, shown);
}

const struct api_error *kms_take_key(
    struct api_call *call, bool takes_alias, char out_id[KEY_ID_SIZE])
{
    const char *text = NULL;
    const struct api_error *error = kms_take_text(call, "KeyId", true, KEY_NAME_CHARS, &text);
    return error != NULL ? error : kms_resolve(call, text, takes_alias, out_id);
}

struct telling {
    const struct api_context *context;
    const char *key_id; /* NULL: of all keys */
};

static bool tell_one(void *context, const struct catalog_fs *fs)
{
    const struct telling *telling = context;
    bool is_told = fs->kms_key[0] != '\0' && fs->state != CATALOG_CREATING &&
                   fs->state != CATALOG_DELETING &&
                   (telling->key_id == NULL || strcmp(fs->kms_key, telling->key_id) == 0);
    /* What it means the backend logs; a file system that is just being deleted needs no key. */
    if (is_told)
        (void)!fs_volumes_rekey(telling->context->volumes, fs->id);
    return true;
}

void kms_tell(const struct api_context *context, const char *key_id)
{
    struct telling telling = { context, key_id };
    catalog_fs_each(context->catalog, tell_one, &telling);
}

const struct api_error *kms_key_for_file_system(
    struct api_call *call, const char *text, char out_id[KEY_ID_SIZE])
{
    char message[API_MESSAGE_SIZE];
    struct key_info info;
    struct key_store *keys = call->context->keys;
    const char *name = text == NULL ? KEY_ALIAS_EFS : strip_arn(call, text);
    int err = -ENOENT;
    if (name != NULL && strcmp(name, KEY_ALIAS_EFS) == 0)
        err = key_store_provide_default(keys, call->now_ms, out_id);
    else if (name != NULL)
        err = key_store_resolve(keys, name, out_id);
    if (name == NULL) { /* EFS has one error for all that is wrong with a key */
        memcpy(message, call->message, sizeof message);
        return api_fail(call, API_BAD_REQUEST, "%s", message);
    }
    if (err == 0)
        err = key_store_get(keys, out_id, &info);
    if (err == -ENOENT)
        return api_fail(call, API_BAD_REQUEST, "The KMS key '%.256s' does not exist.", name);
    if (err == -EKEYREVOKED || (err == 0 && !info.is_usable))
        return api_fail(call, API_BAD_REQUEST,
            "The KMS key '%.256s' is disabled, pending deletion, or without its master key.", name);
    return err < 0 ? api_internal_error(call, err) : NULL;
}
