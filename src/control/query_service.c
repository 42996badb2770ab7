/*
 * control/query_service.c - actions and documents of the query protocol (room: control).
 * Sources: the forms of "Making requests with the Query API" in the EC2 and the STS API references.
 */
#include "control/query_service.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "control/authorize.h"

struct query_action {
    enum service_id service;
    const char *name;
    const char *response; /* the document's element */
    const char *result;   /* the element within; of AWS_QUERY only */
    query_handler *handler;
    const char *iam_action;
};

static const struct query_action actions[] = {
#define QUERY(service, action, handler, iam) \
    { SERVICE_##service, #action, #action "Response", #action "Result", handler, iam },
#include "control/queries.def"
#undef QUERY
};

/* EC2: <requestId> comes first in the document; the others: <ResponseMetadata> last. */
static char *write_document(const struct service *service, const struct query_action *action,
    struct api_call *call, size_t *out_size)
{
    bool is_ec2 = service->protocol == PROTOCOL_EC2_QUERY;
    struct xml xml;
    if (xml_init(&xml) < 0)
        return NULL;
    xml_open(&xml, action->response, service->space);
    if (is_ec2)
        xml_element(&xml, "requestId", call->request_id);
    else
        xml_open(&xml, action->result, NULL);
    const struct api_error *error = NULL;
    const char *dry_run = is_ec2 ? query_find(&call->query, "DryRun") : NULL;
    if (dry_run != NULL && strcasecmp(dry_run, "true") == 0)
        error = api_fail(call, API_QUERY_DRY_RUN,
            "Request would have succeeded, but DryRun flag is set."); /* EC2: who asks may do it */
    else
        error = action->handler(call, &xml);
    if (!is_ec2) {
        xml_close(&xml);
        xml_open(&xml, "ResponseMetadata", NULL);
        xml_element(&xml, "RequestId", call->request_id);
        xml_close(&xml);
    }
    xml_close(&xml);
    char *text = xml_take(&xml, out_size);
    if (error == NULL)
        return text;
    free(text);
    return query_service_error(service, call, out_size);
}

char *query_service_error(
    const struct service *service, const struct api_call *call, size_t *out_size)
{
    struct xml xml;
    if (xml_init(&xml) < 0)
        return NULL;
    bool is_ec2 = service->protocol == PROTOCOL_EC2_QUERY;
    xml_open(&xml, is_ec2 ? "Response" : "ErrorResponse", is_ec2 ? NULL : service->space);
    if (is_ec2)
        xml_open(&xml, "Errors", NULL);
    xml_open(&xml, "Error", NULL);
    if (!is_ec2)
        xml_element(&xml, "Type", call->failure->status < 500 ? "Sender" : "Receiver");
    xml_element(&xml, "Code", call->failure->name);
    xml_element(&xml, "Message", call->message);
    xml_close(&xml);
    if (is_ec2)
        xml_close(&xml);
    xml_element(&xml, is_ec2 ? "RequestID" : "RequestId", call->request_id);
    xml_close(&xml);
    return xml_take(&xml, out_size);
}

static const struct query_action *find_action(const struct service *service, const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(actions); i++) {
        if (actions[i].service == service->id && strcmp(actions[i].name, name) == 0)
            return &actions[i];
    }
    return NULL;
}

unsigned query_service_answer(
    const struct service *service, struct api_call *call, char **out_text, size_t *out_size)
{
    const char *name = query_find(&call->query, "Action");
    const struct query_action *action = name != NULL ? find_action(service, name) : NULL;
    if (action != NULL) {
        call->action = action->name;
        *out_text = authorize_query(call, service, action->iam_action) == NULL
                        ? write_document(service, action, call, out_size)
                        : query_service_error(service, call, out_size);
    } else {
        (void)api_fail(call, API_QUERY_INVALID_ACTION,
            "The action %.64s is not valid for this web service, or not available in Shoal.",
            name != NULL ? name : "(none)");
        *out_text = query_service_error(service, call, out_size);
    }
    if (*out_text == NULL)
        return 0;
    return call->failure != NULL ? call->failure->status : 200;
}
