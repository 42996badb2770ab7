/*
 * control/services.h - the services on the control port, and how each wants to be answered: rows of services.def.
 */
#pragma once

#include "control/api.h"

enum service_id {
#define SERVICE(id, name, protocol, space) SERVICE_##id,
#include "control/services.def"
#undef SERVICE
};

enum protocol {
    PROTOCOL_REST_JSON, /* EFS: the error's name in ErrorCode and in x-amzn-ErrorType */
    PROTOCOL_EC2_QUERY, /* EC2: forms in, XML out, <Response><Errors> */
    PROTOCOL_AWS_QUERY, /* STS, IAM: forms in, XML out, <ErrorResponse> */
    PROTOCOL_JSON,      /* JSON 1.1: the operation in X-Amz-Target, the error's name in __type */
};

struct service {
    enum service_id id;
    const char *name; /* in the credential scope */
    enum protocol protocol;
    const char *space;
};

/* The service of a credential scope; NULL: not one of ours. Static. */
const struct service *service_find(const char *name);
/* How this service names a refused signature. `service` NULL: as EFS does. */
enum api_error_id service_auth_error(const struct service *service, enum auth_failure failure);
