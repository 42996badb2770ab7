/*
 * control/authorize.h - whether the caller may make this call: identity policies, and the file system's own.
 *
 * Asked for each call of each service, after its input was read and before its handler runs. The names of actions are
 * in the rows (actions.def, queries.def, targets.def); what they are about follows from the input. STS decides for
 * itself: everyone may ask who they are, and roles say whom they trust.
 * Sources: Service Authorization Reference, "Actions, resources, and condition keys" of EFS, EC2, IAM and KMS.
 */
#pragma once

#include "auth/decision.h"
#include "control/actions.h"
#include "control/services.h"

/* What a call is about; `arn` "*": nothing that has an ARN. */
struct authorize_target {
    char arn[IAM_ARN_SIZE];
    const struct catalog_fs *fs; /* references, for tags and policy; NULL: none */
    const struct catalog_access_point *point;
    const struct catalog_identity *identity;
};

/* Each gives NULL when the caller may, or the refusal as the service words it. */
MUST_CHECK const struct api_error *authorize_efs(
    struct api_call *call, const struct action *action);
MUST_CHECK const struct api_error *authorize_query(
    struct api_call *call, const struct service *service, const char *iam_action);
MUST_CHECK const struct api_error *authorize_json(
    struct api_call *call, const struct service *service, const char *iam_action);

/* Whether a call came from this machine, so that it crossed no network in clear: from a program here, or from a proxy here
 * that ended its TLS. What aws:SecureTransport says of a call. */
bool authorize_is_from_here(const struct sockaddr_storage *peer);
/* The keys of this call; `with_peer`: where it comes from counts; else it is asked as from anywhere, over TLS. Errors: -ENOMEM. */
MUST_CHECK int authorize_context(
    struct api_call *call, bool with_peer, struct auth_context **out_context);

/* authorize_target.c */
void authorize_target_efs(
    struct api_call *call, const struct action *action, struct authorize_target *out_target);
/* What a creation with tags makes, whose tagging is asked about, too. */
void authorize_target_tagged(
    const struct api_call *call, const struct action *action, struct authorize_target *target);
/* The n-th (from 0) of what the call is about: all of them must be allowed. False: there is none. There is a first. */
bool authorize_target_query(struct api_call *call, const struct service *service, unsigned n,
    struct authorize_target *out_target);
bool authorize_target_json(struct api_call *call, const struct service *service, unsigned n,
    struct authorize_target *out_target);
void authorize_target_fini(struct authorize_target *target);
