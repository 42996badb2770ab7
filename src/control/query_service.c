/*
 * control/query_service.c - actions and documents of the query protocol (room: control).
 * Sources: the forms of "Making requests with the Query API" in the EC2 and the STS API references.
 */
#include "control/query_service.h"

#include <stdio.h>
#include <stdlib.h>

#define EC2_NAMESPACE "http://ec2.amazonaws.com/doc/2016-11-15/"
#define STS_NAMESPACE "https://sts.amazonaws.com/doc/2011-06-15/"

static const struct {
    enum query_service service;
    const char *name;
    const char *response; /* the document's element */
    const char *result;   /* STS: the element within */
    query_handler *handler;
} actions[] = {
    { QUERY_EC2, "DescribeAvailabilityZones", "DescribeAvailabilityZonesResponse", NULL,
        ec2_describe_availability_zones },
    { QUERY_EC2, "DescribeSecurityGroups", "DescribeSecurityGroupsResponse", NULL,
        ec2_describe_security_groups },
    { QUERY_EC2, "DescribeSubnets", "DescribeSubnetsResponse", NULL, ec2_describe_subnets },
    { QUERY_EC2, "DescribeVpcs", "DescribeVpcsResponse", NULL, ec2_describe_vpcs },
    { QUERY_STS, "GetCallerIdentity", "GetCallerIdentityResponse", "GetCallerIdentityResult",
        sts_get_caller_identity },
};

const struct api_error *sts_get_caller_identity(struct api_call *call, struct xml *xml)
{
    char arn[256];
    const char *account_id = catalog_account_id(call->context->catalog);
    bool is_root = strcmp(call->who.user_name, "root") == 0;
    (void)snprintf(arn, sizeof arn, "arn:aws:iam::%s:%s%s", account_id, is_root ? "" : "user/",
        call->who.user_name);
    xml_element(xml, "Arn", arn);
    xml_element(xml, "UserId", is_root ? account_id : call->who.key_id);
    xml_element(xml, "Account", account_id);
    return NULL;
}

/* EC2: <requestId> comes first in the document; STS: <ResponseMetadata> last. */
static char *write_document(size_t row, struct api_call *call, size_t *out_size)
{
    bool is_sts = actions[row].service == QUERY_STS;
    struct xml xml;
    if (xml_init(&xml) < 0)
        return NULL;
    xml_open(&xml, actions[row].response, is_sts ? STS_NAMESPACE : EC2_NAMESPACE);
    if (is_sts)
        xml_open(&xml, actions[row].result, NULL);
    else
        xml_element(&xml, "requestId", call->request_id);
    const struct api_error *error = actions[row].handler(call, &xml);
    if (is_sts) {
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
    return query_service_error(actions[row].service, call, out_size);
}

char *query_service_error(enum query_service service, const struct api_call *call, size_t *out_size)
{
    struct xml xml;
    if (xml_init(&xml) < 0)
        return NULL;
    bool is_sts = service == QUERY_STS;
    xml_open(&xml, is_sts ? "ErrorResponse" : "Response", is_sts ? STS_NAMESPACE : NULL);
    if (!is_sts)
        xml_open(&xml, "Errors", NULL);
    xml_open(&xml, "Error", NULL);
    if (is_sts)
        xml_element(&xml, "Type", call->failure->status < 500 ? "Sender" : "Receiver");
    xml_element(&xml, "Code", call->failure->name);
    xml_element(&xml, "Message", call->message);
    xml_close(&xml);
    if (!is_sts)
        xml_close(&xml);
    xml_element(&xml, is_sts ? "RequestId" : "RequestID", call->request_id);
    xml_close(&xml);
    return xml_take(&xml, out_size);
}

unsigned query_service_answer(
    enum query_service service, struct api_call *call, char **out_text, size_t *out_size)
{
    const char *name = query_find(&call->query, "Action");
    call->action = name != NULL ? name : "";
    size_t row = 0;
    while (row < ARRAY_SIZE(actions) && (actions[row].service != service || name == NULL ||
                                            strcmp(actions[row].name, name) != 0))
        row++;
    if (row < ARRAY_SIZE(actions)) {
        *out_text = write_document(row, call, out_size);
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
