/*
 * control/target_service.c - the table of operations of the JSON services (room: control).
 * Source: the AWS JSON 1.1 protocol as its services' references show it ("Making API requests", KMS).
 */
#include "control/target_service.h"

static const struct target targets[] = {
#define TARGET(service, operation, handler, iam) { SERVICE_##service, #operation, handler, iam },
#include "control/targets.def"
#undef TARGET
    { .name = NULL },
};

const struct target *target_find(const struct service *service, const char *header)
{
    size_t space_size = strlen(service->space);
    if (header == NULL || strncmp(header, service->space, space_size) != 0 ||
        header[space_size] != '.')
        return NULL;
    for (const struct target *target = targets; target->name != NULL; target++) {
        if (target->service == service->id && strcmp(target->name, header + space_size + 1) == 0)
            return target;
    }
    return NULL;
}
