/*
 * auth/sigv4.h - AWS Signature Version 4 in the Authorization header: pure functions, for server and client.
 *
 * They read no clock and know no keys; auth/verify.h decides about a request. Paths are encoded twice in the canonical
 * request, as for every service but S3. The payload's hash is always that of the body, whatever a header says.
 * Source: AWS IAM User Guide, "Create a signed AWS API request".
 */
#pragma once

#include "base/base.h"

#define SIGV4_TIME_SIZE           17  /* 20260102T030405Z */
#define SIGV4_DATE_SIZE           9   /* 20260102 */
#define SIGV4_SIGNATURE_SIZE      65  /* hexadecimal SHA-256 */
#define SIGV4_KEY_ID_SIZE         129 /* AWS: access key ids have up to 128 characters */
#define SIGV4_SCOPE_WORD_SIZE     64
#define SIGV4_SIGNED_HEADERS_SIZE 1024
#define SIGV4_MESSAGE_SIZE        512
#define SIGV4_AUTHORIZATION_SIZE  2048
#define SIGV4_QUERY_PAIRS_MAX     512

struct sigv4_header {
    const char *name; /* in any case */
    const char *value;
};

/* A request as it is on the wire. All borrowed. */
struct sigv4_request {
    const char *method;
    const char *path;  /* percent-encoded as sent, without the query */
    const char *query; /* as sent, without '?'; "" when there is none */
    const struct sigv4_header *headers;
    size_t header_count;
    struct slice body;
};

/* Where a signature is valid. */
struct sigv4_scope {
    char date[SIGV4_DATE_SIZE];
    char region[SIGV4_SCOPE_WORD_SIZE];
    char service[SIGV4_SCOPE_WORD_SIZE];
    char terminator[SIGV4_SCOPE_WORD_SIZE]; /* "aws4_request" in every valid one */
};

/* A parsed Authorization header. */
struct sigv4_authorization {
    char key_id[SIGV4_KEY_ID_SIZE];
    struct sigv4_scope scope;
    char signed_headers[SIGV4_SIGNED_HEADERS_SIZE]; /* as sent: names joined with ';' */
    char signature[SIGV4_SIGNATURE_SIZE];
};

/* Parses an Authorization header. Errors: -EINVAL, and `message` (of SIGV4_MESSAGE_SIZE bytes) is AWS's text. */
MUST_CHECK int sigv4_parse(
    const char *header, struct sigv4_authorization *out_authorization, char *message);
/* Whether `name` (lower case) is among the signed headers. */
bool sigv4_is_signed(const char *signed_headers, const char *name);

/* The canonical request; the caller frees *out_text. Errors: -ENOENT: a signed header is not in the request;
 * -E2BIG: more than SIGV4_QUERY_PAIRS_MAX query parameters; -ENOMEM. */
MUST_CHECK int sigv4_canonical_request(
    const struct sigv4_request *request, const char *signed_headers, char **out_text);
/* The signature of a canonical request made at `time`. */
void sigv4_signature(const char *canonical_request, const char *secret, const char *time,
    const struct sigv4_scope *scope, char out_signature[SIGV4_SIGNATURE_SIZE]);
/* Whether two signatures are equal, in a time that does not tell where they differ. */
bool sigv4_equal(const char *a, const char *b);

/* Writes seconds since 1970 as 20260102T030405Z, and parses that form. Errors: -EINVAL. */
void sigv4_format_time(int64_t seconds, char out_time[SIGV4_TIME_SIZE]);
MUST_CHECK int sigv4_parse_time(const char *text, int64_t *out_seconds);

struct sigv4_signer {
    const char *key_id;
    const char *secret;
    const char *region;
    const char *service;
    const char *time; /* the same as in the request's x-amz-date header */
};

/* For a client: the value of the Authorization header. All of request->headers are signed; host and
 * x-amz-date must be among them. `out_value` has SIGV4_AUTHORIZATION_SIZE bytes. Errors: -E2BIG, -ENOMEM. */
MUST_CHECK int sigv4_sign(
    const struct sigv4_request *request, const struct sigv4_signer *signer, char *out_value);
