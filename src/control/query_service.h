/*
 * control/query_service.h - the services of the query protocol: a request is a form (Action=..&Version=..), an answer
 * is XML. What exists: rows of control/queries.def.
 */
#pragma once

#include "control/services.h"
#include "control/xml.h"

/* Writes the elements of one answer; its document and request id are written around it. When it gives an error, what
 * it wrote is dropped. */
typedef const struct api_error *query_handler(struct api_call *call, struct xml *xml);

#define QUERY(service, action, handler, iam) query_handler handler;
#include "control/queries.def"
#undef QUERY

/* Answers call->query with a document; the caller owns *out_text. Gives the HTTP status; 0: out of memory. */
unsigned query_service_answer(
    const struct service *service, struct api_call *call, char **out_text, size_t *out_size);
/* The document for an error that call->failure and call->message tell. NULL: out of memory. */
MUST_CHECK char *query_service_error(
    const struct service *service, const struct api_call *call, size_t *out_size);
