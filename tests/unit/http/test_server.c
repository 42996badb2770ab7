/* tests/unit/http/test_server.c - the server and the client against each other, and slow strangers. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/sys.h"
#include "http/client.h"
#include "http/server.h"

#define BODY_SIZE_MAX 4096

struct fixture {
    struct http_server *server;
    struct http_server_options options;
    char url[64];
};

/* Answers with what it was asked. */
static void echo(void *context, const struct http_request *request, struct http_response *response)
{
    (void)context;
    const char *given = http_request_header(request, "x-GIVEN");
    size_t size = 2 * BODY_SIZE_MAX;
    response->body = malloc(size);
    assert_non_null(response->body);
    int used = snprintf(response->body, size, "%s %s?%s %s %.*s%s", request->method, request->path,
        request->query, given != NULL ? given : "-", (int)request->body.size,
        (const char *)request->body.data, request->body_too_large ? "too large" : "");
    assert_true(used > 0);
    response->body_size = (size_t)used;
    response->status = request->body_too_large ? 413 : 201;
    http_response_header(response, "x-amzn-ErrorType", "Echo");
    if (strcmp(request->path, "/slow") == 0) {
        const struct timespec pause = { .tv_nsec = 200000000 };
        (void)nanosleep(&pause, NULL);
    }
}

static struct sockaddr_storage loopback(uint16_t port)
{
    struct sockaddr_storage address = { 0 };
    struct sockaddr_in *in = (struct sockaddr_in *)&address;
    in->sin_family = AF_INET;
    in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    in->sin_port = htons(port);
    return address;
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    f->options = (struct http_server_options){
        .address = loopback(0),
        .thread_count = 2,
        .connection_count_max = 16,
        .connection_count_max_per_address = 8,
        .body_size_max = BODY_SIZE_MAX,
        .request_ms_max = 700,
        .idle_ms_max = 700,
    };
    assert_int_equal(http_server_new(&f->options, echo, NULL, &f->server), 0);
    (void)snprintf(f->url, sizeof f->url, "http://127.0.0.1:%u", http_server_port(f->server));
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    http_server_free(f->server);
    free(f);
    return 0;
}

static int call(const struct fixture *f, const char *method, const char *rest, struct slice body,
    struct http_reply *out_reply)
{
    char url[256];
    (void)snprintf(url, sizeof url, "%s%s", f->url, rest);
    const struct http_header headers[] = { { "X-Given", "a b" } };
    struct http_call http_call = {
        .method = method,
        .url = url,
        .headers = headers,
        .header_count = 1,
        .body = body,
        .timeout_ms = 5000,
        .body_size_max = 3 * BODY_SIZE_MAX,
    };
    return http_client_call(&http_call, out_reply);
}

static void a_request_arrives_as_it_was_sent(void **state)
{
    struct http_reply reply;
    assert_int_equal(
        call(*state, "PUT", "/a%2Fb/../c//d?x=%20&y", slice_str("{\"a\":1}"), &reply), 0);
    assert_int_equal(reply.status, 201);
    assert_string_equal(reply.body, "PUT /a%2Fb/../c//d?x=%20&y a b {\"a\":1}");
    assert_string_equal(reply.error_type, "Echo");
    http_reply_fini(&reply);
    assert_int_equal(call(*state, "DELETE", "/", slice_str(""), &reply), 0);
    assert_string_equal(reply.body, "DELETE /? a b ");
    http_reply_fini(&reply);
}

static void a_body_over_the_limit_is_dropped_and_told(void **state)
{
    static char body[2 * BODY_SIZE_MAX];
    struct http_reply reply;
    memset(body, 'x', sizeof body);
    assert_int_equal(call(*state, "POST", "/", slice_of(body, BODY_SIZE_MAX), &reply), 0);
    assert_int_equal(reply.status, 201);
    http_reply_fini(&reply);
    assert_int_equal(call(*state, "POST", "/", slice_of(body, BODY_SIZE_MAX + 1), &reply), 0);
    assert_int_equal(reply.status, 413);
    assert_string_equal(reply.body, "POST /? a b too large");
    http_reply_fini(&reply);
}

static void the_client_bounds_the_answer(void **state)
{
    const struct fixture *f = *state;
    struct http_call small = {
        .method = "GET", .url = f->url, .timeout_ms = 5000, .body_size_max = 3
    };
    struct http_reply reply;
    assert_int_equal(http_client_call(&small, &reply), -EMSGSIZE);
    small.url = "http://127.0.0.1:1/";
    assert_int_equal(http_client_call(&small, &reply), -ECONNREFUSED);
    small.url = "gopher://x";
    assert_int_equal(http_client_call(&small, &reply), -EINVAL);
}

static int connect_to(const struct fixture *f)
{
    struct sockaddr_storage address = loopback(http_server_port(f->server));
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof(struct sockaddr_in)), 0);
    struct timeval patience = { .tv_sec = 5 };
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), 0);
    return fd;
}

/* Sends `text` and gives the status of what comes back; 0: the server hung up. */
static unsigned raw_status(const struct fixture *f, const char *text, size_t size)
{
    int fd = connect_to(f);
    assert_int_equal(send(fd, text, size, MSG_NOSIGNAL), size);
    char answer[64] = "";
    ssize_t got = recv(fd, answer, sizeof answer - 1, 0);
    (void)close(fd);
    unsigned status = 0;
    if (got > 0)
        assert_int_equal(sscanf(answer, "HTTP/1.1 %u", &status), 1);
    return status;
}

static void too_many_or_too_long_headers_are_refused(void **state)
{
    static char text[65536];
    size_t used = (size_t)snprintf(text, sizeof text, "GET / HTTP/1.1\r\nHost: a\r\n");
    for (unsigned i = 0; i < HTTP_HEADERS_MAX; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, "h%u: v\r\n", i);
    used += (size_t)snprintf(text + used, sizeof text - used, "\r\n");
    assert_int_equal(raw_status(*state, text, used), 431);
    memset(text, 'a', sizeof text);
    memcpy(text, "GET /", 5);
    unsigned status = raw_status(*state, text, 40000);
    assert_true(status == 414 || status == 431 || status == 0);
}

static void malformed_requests_are_refused(void **state)
{
    static const char *const requests[] = {
        "GET http://elsewhere/ HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n", /* no Host */
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999999\r\n\r\n",
        "GET * HTTP/1.1\r\nHost: a\r\n\r\n",
    };
    for (size_t i = 0; i < ARRAY_SIZE(requests); i++) {
        unsigned status = raw_status(*state, requests[i], strlen(requests[i]));
        if (status != 0 && (status < 400 || status >= 500))
            fail_msg("request %zu gets status %u", i, status);
    }
}

/* Drips one byte after the other; gives how long the server bore it. */
static uint64_t drip(const struct fixture *f, const char *start)
{
    int fd = connect_to(f);
    uint64_t begin_ms = clock_coarse_ms();
    const struct timespec pause = { .tv_nsec = 50000000 };
    ssize_t sent = send(fd, start, strlen(start), MSG_NOSIGNAL);
    while (sent > 0 && clock_coarse_ms() - begin_ms < 8000) {
        (void)nanosleep(&pause, NULL);
        sent = send(fd, "x", 1, MSG_NOSIGNAL);
    }
    (void)close(fd);
    return clock_coarse_ms() - begin_ms;
}

static void dripping_clients_are_cut_off(void **state)
{
    assert_true(drip(*state, "G") < 4000);
    assert_true(drip(*state, "GET / HTTP/1.1\r\nHost: a\r\n") < 4000);
    assert_true(drip(*state, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4000\r\n\r\n") < 4000);
}

static void connections_beyond_the_limit_wait_outside(void **state)
{
    const struct fixture *f = *state;
    int fds[12];
    for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
        fds[i] = connect_to(f);
    unsigned closed = 0;
    for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
        char byte;
        const struct timespec pause = { .tv_nsec = 10000000 };
        (void)nanosleep(&pause, NULL);
        closed += recv(fds[i], &byte, 1, MSG_DONTWAIT) == 0;
    }
    for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
        (void)close(fds[i]);
    assert_int_equal(closed, 4); /* 8 per address */
}

static void draining_lets_running_requests_finish(void **state)
{
    struct fixture *f = *state;
    int fd = connect_to(f);
    static const char request[] = "GET /slow HTTP/1.1\r\nHost: a\r\n\r\n";
    assert_int_equal(send(fd, request, sizeof request - 1, 0), sizeof request - 1);
    const struct timespec pause = { .tv_nsec = 50000000 };
    (void)nanosleep(&pause, NULL);
    uint16_t port = http_server_port(f->server);
    http_server_drain(f->server, 5000);
    char answer[64] = "";
    assert_true(recv(fd, answer, sizeof answer - 1, 0) > 0);
    assert_int_equal(strncmp(answer, "HTTP/1.1 201", 12), 0);
    (void)close(fd);
    char url[64];
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%u/", port);
    struct http_call refused = { .method = "GET", .url = url, .timeout_ms = 5000 };
    struct http_reply reply;
    assert_int_equal(http_client_call(&refused, &reply), -ECONNREFUSED);
}

static void errors_at_start_are_sentences(void **state)
{
    struct fixture *f = *state;
    struct http_server_options options = f->options;
    options.address = loopback(http_server_port(f->server));
    struct http_server *second = NULL;
    int err = http_server_new(&options, echo, NULL, &second);
    assert_int_equal(err, -EADDRINUSE);
    char text[256];
    http_server_explain(err, &options.address, text, sizeof text);
    assert_non_null(strstr(text, "is in use by another program"));
    assert_int_equal(
        inet_pton(AF_INET, "192.0.2.1", &((struct sockaddr_in *)&options.address)->sin_addr), 1);
    err = http_server_new(&options, echo, NULL, &second);
    assert_int_equal(err, -EADDRNOTAVAIL);
    http_server_explain(err, &options.address, text, sizeof text);
    assert_non_null(strstr(text, "192.0.2.1 is no address of this machine"));
    http_server_explain(-EACCES, &options.address, text, sizeof text);
    assert_non_null(strstr(text, "CAP_NET_BIND_SERVICE"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_request_arrives_as_it_was_sent, setup, teardown),
        cmocka_unit_test_setup_teardown(a_body_over_the_limit_is_dropped_and_told, setup, teardown),
        cmocka_unit_test_setup_teardown(the_client_bounds_the_answer, setup, teardown),
        cmocka_unit_test_setup_teardown(too_many_or_too_long_headers_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(malformed_requests_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(dripping_clients_are_cut_off, setup, teardown),
        cmocka_unit_test_setup_teardown(connections_beyond_the_limit_wait_outside, setup, teardown),
        cmocka_unit_test_setup_teardown(draining_lets_running_requests_finish, setup, teardown),
        cmocka_unit_test_setup_teardown(errors_at_start_are_sentences, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
