/*
 * control/input.c - taking a call's input, checked against the API's constraints (room: control).
 */
#include "control/input.h"

#include <math.h>
#include <stdio.h>
#include <strings.h>

#include "base/text.h"
#include "fs/retention.h"

#define TAG_KEY_CHARS_MAX   128
#define TAG_VALUE_CHARS_MAX 256

size_t input_char_count(const char *text)
{
    size_t count = 0;
    for (; *text != '\0'; text++)
        count += ((uint8_t)*text & 0xc0) != 0x80;
    return count;
}

/* AWS names members in lower camel case in these messages. */
static const struct api_error *fail_constraint(
    struct api_call *call, const char *name, const char *value, const char *constraint)
{
    return api_fail(call, API_BAD_REQUEST,
        "1 validation error detected: Value %s%.64s%s at '%c%s' failed to satisfy constraint: %s",
        value != NULL ? "'" : "", value != NULL ? value : "null", value != NULL ? "'" : "",
        name[0] >= 'A' && name[0] <= 'Z' ? name[0] + ('a' - 'A') : name[0], name + 1, constraint);
}

static const struct api_error *fail_type(
    struct api_call *call, const char *name, const char *expected)
{
    return api_fail(
        call, API_BAD_REQUEST, "The member %s of the request must be %s.", name, expected);
}

static const struct api_error *check_length(
    struct api_call *call, const struct input_text *rule, const char *value)
{
    char constraint[96];
    size_t chars = input_char_count(value);
    if (chars > rule->chars_max) {
        (void)snprintf(constraint, sizeof constraint,
            "Member must have length less than or equal to %zu", rule->chars_max);
        return fail_constraint(call, rule->name, value, constraint);
    }
    if (chars < rule->chars_min) {
        (void)snprintf(constraint, sizeof constraint,
            "Member must have length greater than or equal to %zu", rule->chars_min);
        return fail_constraint(call, rule->name, value, constraint);
    }
    return NULL;
}

/* A member of the body; JSON's null is as if it were not there. */
static const json_t *member(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);
    return json_is_null(value) ? NULL : value;
}

const struct api_error *input_string(
    struct api_call *call, const struct input_text *rule, const char **out_value)
{
    const json_t *value = member(call->input, rule->name);
    if (value == NULL)
        return rule->required ? fail_constraint(call, rule->name, NULL, "Member must not be null")
                              : NULL;
    if (!json_is_string(value))
        return fail_type(call, rule->name, "a string");
    const char *text = json_string_value(value);
    const struct api_error *error = check_length(call, rule, text);
    if (error == NULL)
        *out_value = text;
    return error;
}

const struct api_error *input_bool(struct api_call *call, const char *name, bool *out_value)
{
    const json_t *value = member(call->input, name);
    if (value == NULL)
        return NULL;
    if (!json_is_boolean(value))
        return fail_type(call, name, "true or false");
    *out_value = json_is_true(value);
    return NULL;
}

const struct api_error *input_number(struct api_call *call, const char *name, double *out_value)
{
    const json_t *value = member(call->input, name);
    if (value == NULL)
        return NULL;
    if (!json_is_number(value) || !isfinite(json_number_value(value)))
        return fail_type(call, name, "a number");
    *out_value = json_number_value(value);
    return NULL;
}

const struct api_error *input_id_number(struct api_call *call, const json_t *from,
    const char *parent, const char *name, uint32_t *out_value)
{
    const json_t *value = member(from, name);
    char path[64];
    (void)snprintf(path, sizeof path, "%s.%s", parent, name);
    if (value == NULL)
        return fail_constraint(call, path, NULL, "Member must not be null");
    if (!json_is_integer(value))
        return fail_type(call, path, "an integer");
    json_int_t number = json_integer_value(value);
    char text[24];
    (void)snprintf(text, sizeof text, "%lld", (long long)number);
    if (number < 0)
        return fail_constraint(
            call, path, text, "Member must have value greater than or equal to 0");
    if (number > UINT32_MAX)
        return fail_constraint(
            call, path, text, "Member must have value less than or equal to 4294967295");
    *out_value = (uint32_t)number;
    return NULL;
}

const struct api_error *input_object(
    struct api_call *call, const char *name, const json_t **out_value)
{
    const json_t *value = member(call->input, name);
    if (value != NULL && !json_is_object(value))
        return fail_type(call, name, "an object");
    *out_value = value;
    return NULL;
}

/* EFS: letters, white space and digits of any script, and _.:/=+-@ */
static bool has_tag_letters_only(const char *text)
{
    for (; *text != '\0'; text++) {
        uint8_t byte = (uint8_t)*text;
        bool is_letter = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
                         (byte >= '0' && byte <= '9') || byte >= 0x80;
        if (!is_letter && strchr(" \t_.:/=+-@", byte) == NULL)
            return false;
    }
    return true;
}

const struct api_error *input_check_tag_key(struct api_call *call, const char *key)
{
    const struct input_text rule = { "TagKey", true, 1, TAG_KEY_CHARS_MAX };
    const struct api_error *error = check_length(call, &rule, key);
    if (error != NULL)
        return error;
    if (strncasecmp(key, "aws:", 4) == 0)
        return api_fail(
            call, API_BAD_REQUEST, "Tag keys that begin with 'aws:' are reserved for system use.");
    if (!has_tag_letters_only(key))
        return fail_constraint(call, "TagKey", key,
            "Member must satisfy regular expression pattern: "
            "^(?![aA]{1}[wW]{1}[sS]{1}:)([\\p{L}\\p{Z}\\p{N}_.:/=+\\-@]+)$");
    return NULL;
}

/* The keys that are ours mean something: nfs/view.h, fs/retention.h. */
static const struct api_error *check_own_tag(
    struct api_call *call, const char *key, const char *value)
{
    enum catalog_profile profile;
    struct retention retention;
    if (strcmp(key, CATALOG_PROFILE_TAG) == 0 && catalog_profile_parse(value, &profile) < 0)
        return api_fail(call, API_BAD_REQUEST,
            "The value of the tag '%s' must be extended or strict.", CATALOG_PROFILE_TAG);
    if (strcmp(key, CATALOG_SNAPSHOTS_TAG) == 0 &&
        retention_parse(slice_str(value), &retention) < 0) {
        return api_fail(call, API_BAD_REQUEST,
            "The value of the tag '%s' must be some of hourly, daily, weekly and monthly with how "
            "many are kept (1 to %u), such as 'hourly=24 daily=7'.",
            CATALOG_SNAPSHOTS_TAG, RETENTION_KEEP_MAX);
    }
    return NULL;
}

static const struct api_error *take_tag(
    struct api_call *call, const json_t *pair, struct catalog_tags *tags)
{
    const json_t *key = member(pair, "Key");
    const json_t *value = member(pair, "Value");
    if (!json_is_object(pair) || !json_is_string(key) || !json_is_string(value))
        return api_fail(
            call, API_BAD_REQUEST, "Each tag must have a Key and a Value, both strings.");
    const struct api_error *error = input_check_tag_key(call, json_string_value(key));
    const struct input_text rule = { "TagValue", true, 0, TAG_VALUE_CHARS_MAX };
    if (error == NULL)
        error = check_length(call, &rule, json_string_value(value));
    if (error == NULL && !has_tag_letters_only(json_string_value(value)))
        error = fail_constraint(call, "TagValue", json_string_value(value),
            "Member must satisfy regular expression pattern: ^([\\p{L}\\p{Z}\\p{N}_.:/=+\\-@]*)$");
    if (error == NULL)
        error = check_own_tag(call, json_string_value(key), json_string_value(value));
    if (error == NULL &&
        catalog_tags_set(tags, json_string_value(key), json_string_value(value)) < 0)
        error = api_internal_error(call, -ENOMEM);
    return error;
}

const struct api_error *input_tags(struct api_call *call, bool required, struct catalog_tags *tags)
{
    const json_t *list = member(call->input, "Tags");
    if (list == NULL)
        return required ? fail_constraint(call, "Tags", NULL, "Member must not be null") : NULL;
    if (!json_is_array(list))
        return fail_type(call, "Tags", "a list");
    const struct api_error *error = NULL;
    for (size_t i = 0; error == NULL && i < json_array_size(list); i++) {
        error = take_tag(call, json_array_get(list, i), tags);
        if (error == NULL && tags->count > CATALOG_TAGS_MAX)
            error = api_fail(call, API_BAD_REQUEST,
                "The maximum number of tags for a resource is %d.", CATALOG_TAGS_MAX);
    }
    return error;
}

const struct api_error *input_page_size(struct api_call *call, const char *name, size_t *out_value)
{
    const char *text = query_find(&call->query, name);
    uint64_t number = INPUT_PAGE_DEFAULT;
    int err = text == NULL ? 0 : text_parse_u64(text, UINT64_MAX, &number);
    if (err == -EINVAL)
        return fail_type(call, name, "an integer");
    if (number < 1)
        return fail_constraint(
            call, name, text, "Member must have value greater than or equal to 1");
    *out_value = (size_t)min_u64(number, INPUT_PAGE_MAX);
    return NULL;
}

const struct api_error *input_marker(
    struct api_call *call, const char *name, const char *id_prefix, const char **out_value)
{
    *out_value = "";
    const char *text = query_find(&call->query, name);
    if (text == NULL)
        return NULL;
    size_t prefix_size = strlen(id_prefix);
    if (strncmp(text, id_prefix, prefix_size) != 0 || strlen(text) >= CATALOG_ID_SIZE ||
        text[prefix_size + strspn(text + prefix_size, "0123456789abcdef")] != '\0')
        return api_fail(
            call, API_BAD_REQUEST, "invalid pagination token '%.64s' in %s.", text, name);
    *out_value = text;
    return NULL;
}
