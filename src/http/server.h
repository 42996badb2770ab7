/*
 * http/server.h - an HTTP/1.1 server: whole requests in, whole answers out. A thin wrapper over libmicrohttpd.
 *
 * What a stranger can hold is bounded: connections (in all and per address), size of headers and body, number of
 * headers, and the time that one request, or an idle connection, may take however slowly its bytes drip.
 * The handler runs on a thread of the pool and may wait for storage; others are served meanwhile.
 */
#pragma once

#include <sys/socket.h>

#include "base/base.h"

#define HTTP_HEADERS_MAX          64
#define HTTP_RESPONSE_HEADERS_MAX 6
#define HTTP_HEADER_VALUE_SIZE    128

struct http_header {
    const char *name; /* in any case */
    const char *value;
};

/* Borrowed for the call of the handler. */
struct http_request {
    const char *method;
    const char *path;  /* as sent: percent-encoded; begins with '/' */
    const char *query; /* as sent, without '?'; "" when there is none */
    const struct http_header *headers;
    size_t header_count;
    struct slice body;
    bool body_too_large; /* `body` is then empty; the handler says so in its protocol's words */
    struct sockaddr_storage peer;
};

/* The value of the first header of this name, or NULL. */
const char *http_request_header(const struct http_request *request, const char *name);

struct http_response {
    unsigned status;
    size_t header_count;
    struct {
        const char *name; /* static */
        char value[HTTP_HEADER_VALUE_SIZE];
    } headers[HTTP_RESPONSE_HEADERS_MAX];
    char *body; /* heap; the server frees it; NULL: none */
    size_t body_size;
};

/* Adds a header; a value that is too long is cut. `name` must be static. */
void http_response_header(struct http_response *response, const char *name, const char *value);

/* Fills in the response, which comes all zero but for status 200. Called on several threads at once. */
typedef void http_handler(
    void *context, const struct http_request *request, struct http_response *response);

struct http_server_options {
    struct sockaddr_storage address; /* port 0: any; see http_server_port() */
    unsigned thread_count;
    unsigned connection_count_max;
    unsigned connection_count_max_per_address;
    size_t body_size_max;
    uint64_t request_ms_max; /* from the request line to the last byte of the answer */
    uint64_t idle_ms_max;    /* between two requests */
};

struct http_server;

/* Listens and serves from now on. Errors: -EADDRINUSE, -EADDRNOTAVAIL, -EACCES, -ENOMEM, others of the
 * system; http_server_explain() makes a sentence of them. */
MUST_CHECK int http_server_new(const struct http_server_options *options, http_handler *handler,
    void *context, struct http_server **out_server);
/* Says in a sentence why listening failed, and what to do. */
void http_server_explain(
    int err, const struct sockaddr_storage *address, char *out_text, size_t size);
uint16_t http_server_port(const struct http_server *server);
/* Accepts no more; waits, at most `timeout_ms`, until the running requests are answered. */
void http_server_drain(struct http_server *server, uint64_t timeout_ms);
/* Ends all connections and threads. NULL is allowed. */
void http_server_free(struct http_server *server);
