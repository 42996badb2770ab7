/*
 * cli/api_query.h - signed calls of the services that speak AWS's query protocol (EC2, IAM, STS): a form goes out, XML
 * comes back and is read as JSON.
 *
 * An element with text becomes a string, one with elements an object, one whose elements are all called `item` or
 * `member` an array. An empty element is the empty string: who expects a list takes that for none.
 * Source: AWS query protocol; EC2 API reference 2016-11-15, IAM API reference 2010-05-08.
 */
#pragma once

#include "cli/api.h"

#define API_FORM_SIZE_MAX (64u << 10)

/* The words of a call, as application/x-www-form-urlencoded. */
struct api_form {
    char *text;
    size_t size;
    bool is_full; /* something did not fit */
};

/* A form with Action and Version, unless they are NULL. The caller ends it with api_form_fini(), whatever happened. */
void api_form_init(struct api_form *form, const char *action, const char *version);
void api_form_fini(struct api_form *form);
/* Adds name=value; NULL for a value adds nothing. What does not fit is told by api_query(). */
void api_form_add(struct api_form *form, const char *name, const char *value);
/* Adds name.1, name.2, ... of the words between the commas of `list`; NULL adds nothing. */
void api_form_add_list(struct api_form *form, const char *name, const char *list);

/* Calls. Gives CLI_OK for every answer; an error of the service is in out_reply->error and, as "Message", in the body. */
MUST_CHECK int api_query(const struct api *api, const char *service, const struct api_form *form,
    struct api_reply *out_reply);
/* The same call for services of JSON 1.1 (KMS): `target` is "TrentService.ListKeys", `body` is borrowed. */
MUST_CHECK int api_target(const struct api *api, const char *service, const char *target,
    const json_t *body, struct api_reply *out_reply);

/* XML to JSON as above; a new reference, or NULL: not well-formed, too deep, or no memory. */
json_t *api_xml_to_json(const char *xml, size_t size);
