/*
 * http/client.h - one HTTP request and its whole answer. A thin wrapper over libcurl.
 *
 * Follows no redirects and uses no proxy for loopback addresses. Signing is the caller's: auth/sigv4.h.
 */
#pragma once

#include "http/server.h" /* struct http_header */

struct http_call {
    const char *method;
    const char *url;
    const struct http_header *headers; /* "Host" comes from the URL unless it is among them */
    size_t header_count;
    struct slice body;
    uint64_t timeout_ms;  /* for the whole of it */
    size_t body_size_max; /* of the answer */
};

struct http_reply {
    unsigned status;
    char *body; /* NUL-terminated heap text */
    size_t body_size;
    char error_type[HTTP_HEADER_VALUE_SIZE]; /* x-amzn-ErrorType, or empty */
};

/* Gives 0 for every answer, whatever its status. Errors: -ECONNREFUSED (nobody listens), -EHOSTUNREACH (no such host or
 * no way to it), -ETIMEDOUT, -EMSGSIZE (answer over body_size_max), -ECONNRESET, -EINVAL (the URL), -EIO, -ENOMEM. */
MUST_CHECK int http_client_call(const struct http_call *call, struct http_reply *out_reply);
/* NULL is allowed. */
void http_reply_fini(struct http_reply *reply);
