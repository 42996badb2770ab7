/*
 * auth/decision.h - whether a principal may do something to a resource, as things are at this request.
 *
 * Pure but for the memory of its arena. One context serves all questions about one request.
 * Source: IAM User Guide, "Policy evaluation logic" and "AWS global condition context keys".
 */
#pragma once

#include <sys/socket.h>

#include "auth/principal.h"
#include "base/arena.h"

#define AUTH_KEYS_MAX 224 /* 50 tags each of principal, request and resource, and all others */

/* Where a request came from. */
struct auth_environment {
    const struct sockaddr_storage *peer; /* NULL: unknown */
    bool is_secure;                      /* it came over TLS */
    int64_t now_ms;
    const char *region;
};

struct auth_context {
    struct arena *arena;               /* borrowed; holds the texts */
    const struct principal *principal; /* borrowed; NULL: anonymous */
    size_t count;
    struct policy_key keys[AUTH_KEYS_MAX];
};

/* Fills in the keys that follow from who asks, from where and when: aws:PrincipalArn, aws:PrincipalType,
 * aws:PrincipalAccount, aws:PrincipalTag/.., aws:userid, aws:username, aws:TokenIssueTime, aws:SourceIp,
 * aws:SecureTransport, aws:CurrentTime, aws:EpochTime, aws:RequestedRegion. Errors: -ENOMEM. */
MUST_CHECK int auth_context_init(struct auth_context *context, struct arena *arena,
    const struct principal *principal, const struct auth_environment *environment);
/* Adds a key with one value. `name` and `value` are borrowed for the life of the context. Errors: -ENOMEM. */
MUST_CHECK int auth_context_add(struct auth_context *context, const char *name, const char *value);
/* Adds a key with several values; none leaves it out. All borrowed. Errors: -ENOMEM. */
MUST_CHECK int auth_context_add_list(
    struct auth_context *context, const char *name, const char *const *values, size_t count);
/* Adds "prefix/key" for each tag. Errors: -ENOMEM. */
MUST_CHECK int auth_context_add_tags(
    struct auth_context *context, const char *prefix, const struct catalog_tags *tags);

/* What identity, session and resource policies say together, within one account: a denial by any wins. Then an
 * allowance by the identity's policies or by the resource's is enough; of a session with a policy of its own, that one
 * must allow it as well. Root may do all that no resource policy denies. Anonymous: what the resource policy allows
 * everybody. `resource_policy` NULL: none. The principal's policies must have been loaded. */
enum policy_verdict auth_decide(const struct auth_context *context,
    const struct policy *resource_policy, const char *action, const char *resource);
/* Whether the principal may take a role: the role's trust policy must name it, or hand the decision to its account,
 * whose identity policies then must allow it. */
enum policy_verdict auth_decide_trust(
    const struct auth_context *context, const struct policy *trust_policy, const char *role_arn);
