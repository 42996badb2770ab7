/*
 * control/refusals.c - Shoal's own operation ListRefusals: what the data plane refused lately, and why (room: control).
 *
 * `shoal doctor` asks it to join what a client sees with the server's reason. Input, all optional: SourceIp (default: the
 * caller's own address; "*": of all clients), FileSystemId, MaxResults. docs/compat-api.md has it.
 */
#include "auth/refusals.h"

#include <arpa/inet.h>
#include <stdlib.h>

#include "auth/audit.h"
#include "control/input.h"
#include "control/target_service.h"

#define RESULTS_DEFAULT 20
#define RESULTS_MAX     200

_Static_assert(REFUSAL_ADDRESS_SIZE == INET6_ADDRSTRLEN, "an address fits");

static json_t *render(const struct refusal *refusal)
{
    /* A reason from OpenSSL is ASCII; what is no UTF-8 all the same is left out. */
    return json_pack("{sf ss ss ss* ss* ss* sI}", "Time", (double)refusal->now_ms / 1000.0, "Stage",
        refusal_stage_name(refusal->stage), "SourceIp", refusal->source, "TargetIp",
        refusal->target[0] != '\0' ? refusal->target : NULL, "FileSystemId",
        refusal->file_system[0] != '\0' ? refusal->file_system : NULL, "Reason", refusal->reason,
        "Count", (json_int_t)refusal->count);
}

static const struct api_error *take_limit(struct api_call *call, size_t *out_count)
{
    double count = RESULTS_DEFAULT;
    const struct api_error *error = input_number(call, "MaxResults", &count);
    if (error != NULL)
        return error;
    if (!(count >= 1 && count <= RESULTS_MAX))
        return api_fail(
            call, API_VALIDATION, "MaxResults must be a number from 1 to %d.", RESULTS_MAX);
    *out_count = (size_t)count;
    return NULL;
}

const struct api_error *shoal_list_refusals(struct api_call *call)
{
    const struct input_text source_rule = { "SourceIp", false, 1, INET6_ADDRSTRLEN - 1 };
    const struct input_text fs_rule = { "FileSystemId", false, 1, FS_ID_SIZE - 1 };
    char own[INET6_ADDRSTRLEN];
    const char *source = own;
    const char *file_system = "";
    size_t limit = 0;
    audit_address_text(call->peer, own);
    const struct api_error *error = input_string(call, &source_rule, &source);
    if (error == NULL)
        error = input_string(call, &fs_rule, &file_system);
    if (error == NULL)
        error = take_limit(call, &limit);
    if (error != NULL)
        return error;
    struct refusal *found = calloc(RESULTS_MAX, sizeof *found);
    if (found == NULL)
        return api_internal_error(call, -ENOMEM);
    size_t count = refusals_list(
        call->context->refusals, strcmp(source, "*") == 0 ? "" : source, file_system, limit, found);
    json_t *list = json_array();
    int err = 0;
    for (size_t i = 0; i < count; i++)
        err |= json_array_append_new(list, render(&found[i]));
    free(found);
    if (err < 0) {
        json_decref(list);
        return api_internal_error(call, -ENOMEM);
    }
    return api_answer(
        call, json_pack("{so sf}", "Refusals", list, "Now", (double)call->now_ms / 1000.0));
}
