/*
 * control/input.h - taking a call's input, checked against the API's constraints.
 *
 * Each function gives NULL, or the error that the handler then returns. What is not there leaves *out_value as it
 * was, so the caller sets the default first. Strings live as long as the call.
 */
#pragma once

#include "control/api.h"

struct input_text {
    const char *name;
    bool required;
    size_t chars_min, chars_max; /* in characters, not bytes */
};

/* A string of the body. */
MUST_CHECK const struct api_error *input_string(
    struct api_call *call, const struct input_text *rule, const char **out_value);
MUST_CHECK const struct api_error *input_bool(
    struct api_call *call, const char *name, bool *out_value);
MUST_CHECK const struct api_error *input_number(
    struct api_call *call, const char *name, double *out_value);
/* A required number 0..2^32-1 of the object `from`, which is the value of the body's `parent`. */
MUST_CHECK const struct api_error *input_id_number(struct api_call *call, const json_t *from,
    const char *parent, const char *name, uint32_t *out_value);
/* An object of the body, or NULL. */
MUST_CHECK const struct api_error *input_object(
    struct api_call *call, const char *name, const json_t **out_value);

/* Adds the list "Tags" of the body to `tags` (replacing values), within 50. */
MUST_CHECK const struct api_error *input_tags(
    struct api_call *call, bool required, struct catalog_tags *tags);
MUST_CHECK const struct api_error *input_check_tag_key(struct api_call *call, const char *key);

/* MaxItems or MaxResults of the query: *out_value is 100 when it is not there, never more than PAGE_MAX. */
#define INPUT_PAGE_DEFAULT 100
#define INPUT_PAGE_MAX     1000
MUST_CHECK const struct api_error *input_page_size(
    struct api_call *call, const char *name, size_t *out_value);
/* A marker that a list by ids gave out, "" when there is none: the last id of the page before. */
MUST_CHECK const struct api_error *input_marker(
    struct api_call *call, const char *name, const char *id_prefix, const char **out_value);

/* How many characters a UTF-8 text has. */
size_t input_char_count(const char *text);
