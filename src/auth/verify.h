/*
 * auth/verify.h - who made this HTTP request: SigV4 against the access keys of the catalog.
 *
 * Every request is verified; there is no way around it. Pure but for the look-up of the key: the time is an argument.
 * Thread-safe.
 */
#pragma once

#include "auth/principal.h"
#include "auth/sigv4.h"

/* Global services are signed for this region, wherever the node is (botocore does so). */
#define AUTH_GLOBAL_REGION "us-east-1"

/* A request's time may differ by this much from ours (AWS IAM User Guide: "within five minutes"). */
#define AUTH_SKEW_SECONDS_MAX 300

/* What is wrong; each protocol has its own names for these errors (control/). */
enum auth_failure {
    AUTH_OK,
    AUTH_MISSING,    /* no signature at all */
    AUTH_INCOMPLETE, /* a signature that cannot be read */
    AUTH_UNKNOWN_KEY, /* no such access key, an inactive one, or not the session token that belongs to it */
    AUTH_EXPIRED_TOKEN, /* the session is over */
    AUTH_BAD_SIGNATURE, /* wrong secret, or something was altered on its way */
    AUTH_BAD_SCOPE,     /* for another region, date or terminator */
    AUTH_SKEWED,        /* too old, or from the future */
};

struct auth_result {
    enum auth_failure failure;
    char message[SIGV4_MESSAGE_SIZE]; /* AWS's words for the failure; empty when there is none */
    char key_id[SIGV4_KEY_ID_SIZE];   /* as claimed; empty when it could not be read */
    char service[SIGV4_SCOPE_WORD_SIZE];
    char user_name[PRINCIPAL_NAME_SIZE]; /* AUTH_OK only: principal->name */
    struct principal *principal;         /* AUTH_OK only: with its policies; owned */
};

/* Errors: -ENOMEM, -E2BIG; whoever asks answers them as trouble of our own. A request that is
 * refused is no error: out_result->failure says why. */
MUST_CHECK int auth_verify(const struct catalog *catalog, const struct sigv4_request *request,
    int64_t now_s, struct auth_result *out_result);
/* Frees what the result owns. */
void auth_result_fini(struct auth_result *result);
