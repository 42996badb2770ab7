/*
 * control/services.c - the table of services, and how each names a refused signature (room: control).
 */
#include "control/services.h"

#include <stdlib.h>

static const struct service services[] = {
#define SERVICE(id, name, protocol, space) { SERVICE_##id, name, PROTOCOL_##protocol, space },
#include "control/services.def"
#undef SERVICE
};

const struct service *service_find(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(services); i++) {
        if (strcmp(services[i].name, name) == 0)
            return &services[i];
    }
    return NULL;
}

enum api_error_id service_auth_error(const struct service *service, enum auth_failure failure)
{
    enum protocol protocol = service != NULL ? service->protocol : PROTOCOL_REST_JSON;
    bool is_ec2 = protocol == PROTOCOL_EC2_QUERY;
    bool is_query = is_ec2 || protocol == PROTOCOL_AWS_QUERY;
    switch (failure) {
    case AUTH_MISSING:
        return is_query ? API_QUERY_MISSING_TOKEN : API_MISSING_AUTHENTICATION_TOKEN;
    case AUTH_INCOMPLETE:
        return is_query ? API_QUERY_INCOMPLETE_SIGNATURE : API_INCOMPLETE_SIGNATURE;
    case AUTH_UNKNOWN_KEY:
        if (is_ec2)
            return API_QUERY_AUTH_FAILURE;
        return is_query ? API_QUERY_INVALID_CLIENT_TOKEN_ID : API_UNRECOGNIZED_CLIENT;
    case AUTH_EXPIRED_TOKEN:
        if (is_ec2)
            return API_QUERY_REQUEST_EXPIRED;
        return is_query ? API_QUERY_EXPIRED_TOKEN : API_EXPIRED_TOKEN;
    case AUTH_BAD_SIGNATURE:
    case AUTH_BAD_SCOPE:
    case AUTH_SKEWED:
        if (is_ec2)
            return API_QUERY_AUTH_FAILURE;
        return is_query ? API_QUERY_SIGNATURE_DOES_NOT_MATCH : API_INVALID_SIGNATURE;
    case AUTH_OK:
        break;
    }
    abort();
}
