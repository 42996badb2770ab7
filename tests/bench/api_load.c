/*
 * tests/bench/api_load.c - signed calls of the EFS API, as many as go: calls per second and latencies.
 *
 * Each connection is a thread with one call in flight and stays open (HTTP/1.1 keep-alive), as an SDK's does. Every call
 * is signed anew. Every answer is checked: its status, and that it names what was asked for. One wrong answer ends the
 * run with status 1. `describe` asks for one file system by its id; `create` makes access points, each with a token of
 * its own, in file systems that it made before the clock starts (EFS: at most 10,000 in one).
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "auth/sigv4.h"
#include "base/clock.h"
#include "base/random.h"
#include "histogram.h"

#define API             "/2015-02-01"
#define MESSAGE_SIZE    8192
#define ANSWER_SIZE     (64u << 10)
#define CONNECTIONS_MAX 256
#define POINTS_PER_FS   9000

struct load {
    struct sockaddr_in server;
    const char *key_id;
    const char *secret;
    const char *region;
    bool creates;
    uint64_t end_ns;
    char *fs_ids[64];
    unsigned fs_count;
    _Atomic uint64_t created;
    _Atomic bool failed;
};

struct connection {
    struct load *load;
    pthread_t thread;
    int fd;
    struct histogram latencies; /* ns */
    char answer[ANSWER_SIZE];
};

__attribute__((noreturn)) static void die(const char *what)
{
    (void)fprintf(stderr, "api_load: %s\n", what);
    exit(1); // NOLINT(concurrency-mt-unsafe): nothing is to be cleaned up
}

static void open_connection(struct connection *connection)
{
    int on = 1;
    connection->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connection->fd < 0 || connect(connection->fd, (struct sockaddr *)&connection->load->server,
                                  sizeof connection->load->server) < 0)
        die("cannot connect");
    (void)setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

/* Sends one signed request. */
static void send_request(struct connection *connection, const char *method, const char *path,
    const char *query, const char *body)
{
    const struct load *load = connection->load;
    char host[64];
    char address[INET_ADDRSTRLEN];
    char time[SIGV4_TIME_SIZE];
    char authorization[SIGV4_AUTHORIZATION_SIZE];
    char message[MESSAGE_SIZE];
    (void)inet_ntop(AF_INET, &load->server.sin_addr, address, sizeof address);
    (void)snprintf(host, sizeof host, "%s:%u", address, ntohs(load->server.sin_port));
    sigv4_format_time(clock_wall().seconds, time);
    const struct sigv4_header headers[] = { { "Host", host }, { "X-Amz-Date", time } };
    const struct sigv4_request request = { .method = method,
        .path = path,
        .query = query,
        .headers = headers,
        .header_count = 2,
        .body = slice_str(body) };
    const struct sigv4_signer signer = { load->key_id, load->secret, load->region,
        "elasticfilesystem", time };
    if (sigv4_sign(&request, &signer, authorization) < 0)
        die("cannot sign");
    int size = snprintf(message, sizeof message,
        "%s %s%s%s HTTP/1.1\r\nHost: %s\r\nX-Amz-Date: %s\r\nAuthorization: %s\r\n"
        "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
        method, path, query[0] != '\0' ? "?" : "", query, host, time, authorization, strlen(body),
        body);
    if (size < 0 || (size_t)size >= sizeof message ||
        send(connection->fd, message, (size_t)size, MSG_NOSIGNAL) != size)
        die("cannot send");
}

/* Receives one answer; gives its status. The body follows *out_body in connection->answer. */
static unsigned receive(struct connection *connection, const char **out_body)
{
    size_t used = 0;
    size_t wanted = SIZE_MAX;
    char *end = NULL;
    while (used < wanted) {
        ssize_t got = recv(connection->fd, connection->answer + used, ANSWER_SIZE - 1 - used, 0);
        if (got <= 0)
            die("the server closed the connection");
        used += (size_t)got;
        connection->answer[used] = '\0';
        end = end != NULL ? end : strstr(connection->answer, "\r\n\r\n");
        if (end != NULL && wanted == SIZE_MAX) {
            const char *length = strcasestr(connection->answer, "\r\nContent-Length:");
            if (length == NULL || length > end)
                die("an answer without Content-Length");
            wanted = (size_t)(end + 4 - connection->answer) + strtoull(length + 17, NULL, 10);
            if (wanted >= ANSWER_SIZE)
                die("an answer that is too long");
        }
    }
    *out_body = end + 4;
    return (unsigned)strtoul(connection->answer + strlen("HTTP/1.1 "), NULL, 10);
}

// NOLINTNEXTLINE(readability-function-size): what goes out and what has to come back
static void call(struct connection *connection, unsigned expected, const char *in_answer,
    const char *method, const char *path, const char *query, const char *request_body)
{
    const char *body;
    send_request(connection, method, path, query, request_body);
    unsigned status = receive(connection, &body);
    if (status == expected && strstr(body, in_answer) != NULL)
        return;
    (void)fprintf(stderr, "api_load: %s %s: %u %.300s\n", method, path, status, body);
    connection->load->failed = true;
}

static void *run_connection(void *context)
{
    struct connection *connection = context;
    struct load *load = connection->load;
    char query[128];
    char body[256];
    uint64_t start_ns = clock_monotonic_ns();
    while (start_ns < load->end_ns && !load->failed) {
        uint64_t number = load->creates ? atomic_fetch_add(&load->created, 1) : 0;
        const char *fs_id = load->fs_ids[(number / POINTS_PER_FS) % load->fs_count];
        if (load->creates) {
            char token[17];
            random_hex(token, 16);
            (void)snprintf(body, sizeof body, "{\"ClientToken\":\"%s\",\"FileSystemId\":\"%s\"}",
                token, fs_id);
            call(connection, 200, token, "POST", API "/access-points", "", body);
        } else {
            (void)snprintf(query, sizeof query, "FileSystemId=%s", fs_id);
            call(connection, 200, fs_id, "GET", API "/file-systems", query, "");
        }
        uint64_t now_ns = clock_monotonic_ns();
        histogram_add(&connection->latencies, now_ns - start_ns);
        start_ns = now_ns;
    }
    return NULL;
}

/* Makes the file systems that are asked about, or that get the access points. */
static void prepare(struct load *load, struct connection *connection)
{
    for (unsigned i = 0; i < load->fs_count; i++) {
        char token[17];
        char body[128];
        random_hex(token, 16);
        (void)snprintf(body, sizeof body, "{\"CreationToken\":\"%s\"}", token);
        call(connection, 201, token, "POST", API "/file-systems", "", body);
        const char *id = strstr(connection->answer, "\"FileSystemId\":\"");
        if (id == NULL)
            die("no file system was made");
        load->fs_ids[i] = strndup(id + 16, 20);
    }
    (void)sleep(1); // NOLINT(concurrency-mt-unsafe): they become available
}

static void report(
    struct load *load, struct connection *connections, unsigned count, double seconds)
{
    struct histogram all = { 0 };
    for (unsigned i = 0; i < count; i++)
        histogram_merge(&all, &connections[i].latencies);
    (void)printf("{\"call\":\"%s\",\"connections\":%u,\"seconds\":%.1f,\"calls\":%llu,"
                 "\"calls_per_second\":%.0f,\"p50_ms\":%.2f,\"p99_ms\":%.2f,\"max_ms\":%.2f}\n",
        load->creates ? "CreateAccessPoint" : "DescribeFileSystems", count, seconds,
        (unsigned long long)all.count, (double)all.count / seconds,
        (double)histogram_quantile(&all, 0.5) / 1e6, (double)histogram_quantile(&all, 0.99) / 1e6,
        (double)all.max / 1e6);
}

int main(int argc, char **argv)
{
    if (argc != 7 || (strcmp(argv[1], "describe") != 0 && strcmp(argv[1], "create") != 0))
        die("usage: api_load describe|create PORT KEY_ID SECRET CONNECTIONS SECONDS");
    struct load load = { .key_id = argv[3], .secret = argv[4], .region = "us-east-1" };
    unsigned count = (unsigned)strtoul(argv[5], NULL, 10);
    double seconds = strtod(argv[6], NULL);
    load.creates = strcmp(argv[1], "create") == 0;
    load.fs_count = load.creates ? 16 : 1;
    load.server.sin_family = AF_INET;
    load.server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    load.server.sin_port = htons((uint16_t)strtoul(argv[2], NULL, 10));
    if (count < 1 || count > CONNECTIONS_MAX || seconds <= 0)
        die("1 to 256 connections, more than 0 seconds");
    struct connection *connections = calloc(count, sizeof *connections);
    if (connections == NULL)
        die("no memory");
    for (unsigned i = 0; i < count; i++) {
        connections[i].load = &load;
        open_connection(&connections[i]);
    }
    prepare(&load, &connections[0]);
    uint64_t start_ns = clock_monotonic_ns();
    load.end_ns = start_ns + (uint64_t)(seconds * 1e9);
    for (unsigned i = 0; i < count; i++) {
        if (pthread_create(&connections[i].thread, NULL, run_connection, &connections[i]) != 0)
            die("cannot start a thread");
    }
    for (unsigned i = 0; i < count; i++)
        (void)pthread_join(connections[i].thread, NULL);
    report(&load, connections, count, (double)(clock_monotonic_ns() - start_ns) / 1e9);
    for (unsigned i = 0; i < count; i++)
        (void)close(connections[i].fd);
    for (unsigned i = 0; i < load.fs_count; i++)
        free(load.fs_ids[i]);
    free(connections);
    return load.failed ? 1 : 0; // NOLINT(clang-analyzer-unix.Malloc): ends the process
}
