/*
 * control/policies.h - what a file system's policy says of calls of the API.
 */
#pragma once

#include "control/actions.h"

/* Refuses a call about a file system whose policy denies it to the caller (AccessDeniedException). NULL: it may go
 * on. The administrator, who is the only caller, needs no allowance. Source: IAM User Guide, "Policy evaluation
 * logic". */
const struct api_error *policies_check_call(
    struct api_call *call, const struct action *action, const struct http_request *request);
