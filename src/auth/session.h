/*
 * auth/session.h - temporary keys: what AssumeRole gives out, and how a session token is read again.
 *
 * Nothing is kept: the token is the session itself, encrypted and authenticated (AES-256-GCM) under a key that follows
 * from the catalog's session secret, and the secret key follows from the key id. So sessions need no memory and live on
 * over restarts; deleting the role ends them. Pure but for random bytes; thread-safe.
 */
#pragma once

#include "auth/principal.h"

#define SESSION_KEY_PREFIX     "ASIA"
#define SESSION_POLICY_MAX     2048u /* STS: characters of a session policy */
#define SESSION_TOKEN_SIZE_MAX 8192u
#define SESSION_SECRET_SIZE    41

struct session {
    char key_id[CATALOG_ID_SIZE];
    char role_id[CATALOG_ID_SIZE];
    char name[IAM_SESSION_NAME_SIZE];
    int64_t issued_ms;
    int64_t expires_ms;
    char *policy; /* the session policy; NULL: none. Owned */
};

/* Makes the key id and the token; the rest of `session` is given. The caller frees *out_token. Errors: -ENOMEM; -EIO:
 * the cryptographic library failed; -E2BIG. */
MUST_CHECK int session_seal(
    const struct catalog *catalog, struct session *session, char **out_token);
/* Reads a token. Errors: -EBADMSG: not one of ours, or altered; -ENOMEM. */
MUST_CHECK int session_open(
    const struct catalog *catalog, const char *token, struct session *out_session);
/* The secret key that belongs to a key id. */
void session_secret(
    const struct catalog *catalog, const char *key_id, char out_secret[SESSION_SECRET_SIZE]);
void session_fini(struct session *session);
