/*
 * auth/policy.h - what policies say: the JSON policy language of IAM, read and evaluated.
 *
 * Pure: no clock, no look-ups; all that conditions can ask about is handed in. A policy that was read never changes
 * and may be evaluated by any number of threads.
 *
 * Sources: IAM User Guide, "IAM JSON policy elements reference" and "Policy evaluation logic"; EFS User Guide,
 * "Using IAM to control file system data access".
 */
#pragma once

#include "base/base.h"

#define POLICY_SIZE_MAX       20000u /* characters of a file system policy (EFS: quotas) */
#define POLICY_STATEMENTS_MAX 256u
#define POLICY_MESSAGE_SIZE   256u

enum policy_kind {
    POLICY_OF_IDENTITY, /* attached to a user, group or role: has no Principal */
    POLICY_OF_RESOURCE, /* attached to a file system: says for whom */
    POLICY_OF_TRUST,    /* of a role: says who may take it; has no Resource */
};

struct policy;

/* Reads a policy. Errors: -EINVAL: it is none, and `message` says what is wrong where, in a sentence; -ENOMEM. */
MUST_CHECK int policy_parse(enum policy_kind kind, struct slice json,
    char message[POLICY_MESSAGE_SIZE], struct policy **out_policy);
/* NULL is allowed. */
void policy_free(struct policy *policy);

/* One condition key and its values, as they are at this request. */
struct policy_key {
    const char *name; /* "aws:SecureTransport"; upper and lower case are the same */
    const char *const *values;
    size_t value_count;
};

/* What is asked. Everything is borrowed. */
struct policy_request {
    const char *action;   /* "elasticfilesystem:ClientMount" */
    const char *resource; /* an ARN, or "*" for actions that have none */
    /* By which names the asker is known: of a user its ARN; of an assumed role the ARNs of the session and of the
     * role. None: anonymous. */
    const char *const *principals;
    size_t principal_count;
    const char *account_id; /* the asker's; NULL: anonymous */
    const struct policy_key *keys;
    size_t key_count;
};

enum policy_verdict {
    POLICY_SILENT, /* no statement applies */
    POLICY_ALLOWS,
    POLICY_DENIES, /* some statement denies, whatever others allow */
};

/* What one policy says of a request. */
enum policy_verdict policy_evaluate(
    const struct policy *policy, const struct policy_request *request);

/* What they say together, within one account: a denial by any wins; else an allowance by any is enough. NULL among
 * them is none. */
enum policy_verdict policy_evaluate_all(
    const struct policy *const *policies, size_t count, const struct policy_request *request);

/* Whether a resource's policy lets in anyone at all: it allows every principal something without a condition that
 * narrows who that is (EFS User Guide: "Blocking public access"). */
bool policy_is_public(const struct policy *policy);

/* Whether `text` fits `pattern`, in which '*' is any number of characters and '?' is one. Time is linear in the
 * product of both sizes. */
bool policy_matches(const char *pattern, const char *text, bool ignore_case);
