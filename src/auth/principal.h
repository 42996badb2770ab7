/*
 * auth/principal.h - who an access key belongs to: the account's root, a user, or a session of a role; and the policies
 * that say what they may do.
 *
 * The control plane finds the principal of a signature here, the data plane that of a client certificate. A principal
 * is what the catalog held when it was found: who keeps one looks again when catalog_generation() has changed.
 * Thread-safe; nothing waits.
 * Sources: IAM User Guide, "IAM identifiers", "Requesting temporary security credentials".
 */
#pragma once

#include "auth/policy.h"
#include "catalog/identities.h"

#define IAM_ARN_SIZE           704 /* "arn:aws:iam::", account, kind, path of 512, name of 128 characters */
#define IAM_SESSION_NAME_SIZE  65
#define PRINCIPAL_SECRET_SIZE  64
#define PRINCIPAL_NAME_SIZE    (64 + IAM_SESSION_NAME_SIZE + 1)
#define PRINCIPAL_USER_ID_SIZE (CATALOG_ID_SIZE + IAM_SESSION_NAME_SIZE)
#define PRINCIPAL_POLICIES_MAX 512

enum principal_kind { PRINCIPAL_ROOT, PRINCIPAL_USER, PRINCIPAL_SESSION };

struct principal {
    enum principal_kind kind;
    char key_id[CATALOG_ID_SIZE];
    char secret[PRINCIPAL_SECRET_SIZE]; /* never logged */
    char account_id[CATALOG_NAME_SIZE];
    char arn[IAM_ARN_SIZE];                  /* as GetCallerIdentity shows it */
    char user_id[PRINCIPAL_USER_ID_SIZE];    /* aws:userid: the account; AIDA..; AROA..:session */
    char name[PRINCIPAL_NAME_SIZE];          /* for people: "root", a user's name, "role/session" */
    int64_t issued_ms;                       /* of a session; 0: none */
    int64_t expires_ms;                      /* of a session; 0: never */
    const struct catalog_identity *identity; /* the user or role, a reference; NULL: root */
    char role_arn[IAM_ARN_SIZE];             /* of a session; else empty */
    size_t policy_count;
    struct policy **policies; /* of the identity: its own, attached ones, those of its groups */
    struct policy *session_policy; /* narrows what the role may; NULL: none */
};

/* The principal of an access key, without its policies. `token` is the session token, NULL: none was sent. The caller
 * owns it. Errors: -ENOENT: no such key, its user or role is gone, or a token with a key that has none, or the wrong
 * one; -EACCES: the key is inactive; -EKEYEXPIRED: the session is over; -ENOMEM. */
MUST_CHECK int principal_find(const struct catalog *catalog, const char *key_id, const char *token,
    int64_t now_ms, struct principal **out_principal);
/* Reads its policies, once it is known that it is the asker. Errors: -EBADMSG: a policy that cannot be read (they are
 * read before they are kept); -ENOMEM. */
MUST_CHECK int principal_load_policies(const struct catalog *catalog, struct principal *principal);
/* A user or role, by its record, as if it asked: for simulations. Errors: -ENOMEM. */
MUST_CHECK int principal_of_identity(const struct catalog *catalog,
    const struct catalog_identity *identity, struct principal **out_principal);
/* NULL is allowed. Wipes the secret. */
void principal_free(struct principal *principal);

/* The ARN of a user, group, role or managed policy. */
void iam_arn(const struct catalog *catalog, const struct catalog_identity *identity,
    char out_arn[IAM_ARN_SIZE]);
/* The managed policy of the account with this ARN, with a reference; NULL: none. Not those of auth/managed.h. */
const struct catalog_identity *iam_policy_by_arn(const struct catalog *catalog, const char *arn);
