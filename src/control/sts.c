/*
 * control/sts.c - who the caller is (room: control). Source: STS API, GetCallerIdentity.
 */
#include <stdio.h>

#include "control/query_service.h"

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
