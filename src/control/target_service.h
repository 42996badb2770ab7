/*
 * control/target_service.h - the services of the JSON 1.1 protocol: POST /, the operation in the header X-Amz-Target,
 * JSON in and out. What exists: rows of control/targets.def.
 */
#pragma once

#include "control/services.h"

#define TARGET(service, operation, handler, iam) api_handler handler;
#include "control/targets.def"
#undef TARGET

struct target {
    enum service_id service;
    const char *name;
    api_handler *handler;
    const char *iam_action;
};

/* The operation of this service that the value of X-Amz-Target names (NULL: there was none). NULL: none. Static. */
const struct target *target_find(const struct service *service, const char *header);
