/*
 * control/sts.c - who the caller is (room: control). Source: STS API, GetCallerIdentity.
 */
#include "control/query_service.h"

const struct api_error *sts_get_caller_identity(struct api_call *call, struct xml *xml)
{
    const struct principal *principal = call->who.principal;
    xml_element(xml, "Arn", principal->arn);
    xml_element(xml, "UserId", principal->user_id);
    xml_element(xml, "Account", principal->account_id);
    return NULL;
}
