/*
 * control/kms.h - what the files of the KMS API share: names of keys, its errors, and what a change of a key means
 * for file systems. Source: KMS API 2014-11-01.
 */
#pragma once

#include "auth/key_store.h"
#include "control/api.h"

#define KMS_ARN_SIZE 512

void kms_key_arn(const struct api_call *call, const char *id, char out_arn[KMS_ARN_SIZE]);
void kms_alias_arn(const struct api_call *call, const char *name, char out_arn[KMS_ARN_SIZE]);

/* The key that `text` names: an id or its ARN; with `takes_alias` also "alias/..." or its ARN. */
MUST_CHECK const struct api_error *kms_resolve(
    struct api_call *call, const char *text, bool takes_alias, char out_id[KEY_ID_SIZE]);
/* The same for "KeyId" of the input, which is required. */
MUST_CHECK const struct api_error *kms_take_key(
    struct api_call *call, bool takes_alias, char out_id[KEY_ID_SIZE]);
/* A string of the input, refused as KMS does. */
MUST_CHECK const struct api_error *kms_take_text(struct api_call *call, const char *name,
    bool required, size_t chars_max, const char **out_value);
/* A whole number of the input, when it is there. */
MUST_CHECK const struct api_error *kms_take_number(
    struct api_call *call, const char *name, int64_t least, int64_t most, int64_t *out_value);
/* "Limit" and "Marker" of a list. */
struct kms_page {
    size_t limit;
    const char *marker;
};
MUST_CHECK const struct api_error *kms_take_page(
    struct api_call *call, size_t limit_default, struct kms_page *out_page);
/* Adds NextMarker and Truncated. */
MUST_CHECK int kms_end_page(json_t *answer, const char *next_marker, bool is_truncated);
/* What the store gave for a key or alias, as KMS tells it; NULL for 0. */
const struct api_error *kms_error(struct api_call *call, int err, const char *what);

/* Tells all file systems that this key (NULL: any) encrypts what its state or version is now. */
void kms_tell(const struct api_context *context, const char *key_id);

/* The key for a new file system: what KmsKeyId says (NULL: the default). Errors: as CreateFileSystem tells them. */
MUST_CHECK const struct api_error *kms_key_for_file_system(
    struct api_call *call, const char *text, char out_id[KEY_ID_SIZE]);
/* "Tags" of the input into `out_tags`, which has room for KEY_TAGS_MAX. */
MUST_CHECK const struct api_error *kms_take_tags(
    struct api_call *call, bool required, struct key_tag *out_tags, uint32_t *out_count);
