/*
 * cli/api.h - signed calls to the EFS API of a running service, with its administrator's keys. api_query.h has those of
 * the services beside it.
 *
 * Source of the calls: the AWS API reference of Amazon EFS, version 2015-02-01.
 */
#pragma once

#include <jansson.h>

#include "auth/credentials.h"
#include "cli/instance.h"
#include "http/client.h"

#define API_ERROR_SIZE 64

struct api {
    const struct instance *instance; /* borrowed; it serves */
    struct credentials keys;
};

struct api_call {
    const char *method;
    const char *path;  /* below /2015-02-01 */
    const char *query; /* encoded, without '?'; "" for none */
    json_t *body;      /* borrowed; NULL for none */
};

/* What came back. */
struct api_reply {
    unsigned status;
    char error[API_ERROR_SIZE]; /* the name of the API's error, or empty */
    json_t *body;               /* NULL when there was none */
};

/* A call of any service, ready to be signed. All borrowed. */
struct api_message {
    const char *service; /* the name in the scope of the signature */
    const char *method;
    const char *path;
    const char *query; /* encoded, without '?'; "" for none */
    const char *content_type;
    const char *target; /* X-Amz-Target; NULL for none */
    struct slice body;
};

/* Reads the keys. Gives CLI_OK, or the exit code after the sentence. */
MUST_CHECK int api_open(const struct instance *instance, struct api *out_api);
/* Gives CLI_OK for every answer of the service; else the exit code after the sentence. */
MUST_CHECK int api_call(
    const struct api *api, const struct api_call *call, struct api_reply *out_reply);
/* Signs and sends. Gives CLI_OK for every answer of the service, which the caller ends with http_reply_fini(); else the
 * exit code after the sentence. */
MUST_CHECK int api_send(
    const struct api *api, const struct api_message *message, struct http_reply *out_http);
void api_reply_fini(struct api_reply *reply);
/* Makes the sentence of an answer that is an error; gives CLI_FAILED. */
int api_fail(const struct api_reply *reply, const char *doing);
/* All file systems of the service, page by page, as one array; a new reference. Gives CLI_OK, or the exit code after the
 * sentence. */
MUST_CHECK int api_list_file_systems(const struct api *api, json_t **out_list);
