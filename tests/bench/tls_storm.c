/*
 * tests/bench/tls_storm.c - tls-storm: opens COUNT connections at once, each with a TLS handshake, and makes one NULL call on each
 * when all are there; all are held until the end.
 *
 *   tls-storm ADDRESS PORT COUNT [--plain]
 *
 * Prints JSON: how many came through, the time until the last handshake was done, and what one took. One thread, so its own
 * share of the work (about that of the server) is part of the figures. Exit status 1 when a connection failed.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "histogram.h"
#include "secure.h"

#define COUNT_MAX     20000u
#define SILENCE_MS    60000
#define NULL_SIZE     44u
#define REPLY_SIZE    28u
#define NS_PER_MS     1e6
#define EVENTS_MAX    256
#define QUANTILE_HALF 0.5
#define QUANTILE_MOST 0.99

enum phase { CONNECTING, SHAKING, READY, ANSWERED, FAILED };

struct peer {
    int fd;
    SSL *tls;
    enum phase phase;
    uint64_t started_ns;
};

struct storm {
    struct sockaddr_in server;
    unsigned count;
    bool plain;
    int epoll_fd;
    SSL_CTX *context;
    struct peer *peers;
    unsigned ready, answered, failed;
    struct histogram latency;
};

static void await(const struct storm *storm, struct peer *peer, uint32_t events, int how)
{
    struct epoll_event event = { .events = events, .data.ptr = peer };
    int done = epoll_ctl(storm->epoll_fd, how, peer->fd, &event);
    assert(done == 0);
}

static void fail(struct storm *storm, struct peer *peer, const char *what)
{
    if (storm->failed++ == 0)
        (void)fprintf(stderr, "tls-storm: the first failure: %s: %m\n", what);
    peer->phase = FAILED;
    (void)epoll_ctl(storm->epoll_fd, EPOLL_CTL_DEL, peer->fd, NULL); /* it is there */
}

static void be_ready(struct storm *storm, struct peer *peer)
{
    peer->phase = READY;
    storm->ready++;
    histogram_add(&storm->latency, clock_monotonic_ns() - peer->started_ns);
    await(storm, peer, 0, EPOLL_CTL_MOD);
}

static void shake(struct storm *storm, struct peer *peer)
{
    int result = SSL_connect(peer->tls);
    if (result == 1) {
        be_ready(storm, peer);
        return;
    }
    int error = SSL_get_error(peer->tls, result);
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE)
        await(storm, peer, error == SSL_ERROR_WANT_READ ? EPOLLIN : EPOLLOUT, EPOLL_CTL_MOD);
    else
        fail(storm, peer, "handshake");
}

/* The socket is connected, or could not be. */
static void connected(struct storm *storm, struct peer *peer)
{
    int error = 0;
    socklen_t size = sizeof error;
    if (getsockopt(peer->fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0 || error != 0) {
        errno = error;
        fail(storm, peer, "connect");
        return;
    }
    if (storm->plain) {
        be_ready(storm, peer);
        return;
    }
    peer->tls = SSL_new(storm->context);
    if (peer->tls == NULL || SSL_set_fd(peer->tls, peer->fd) != 1) {
        fail(storm, peer, "TLS");
        return;
    }
    peer->phase = SHAKING;
    shake(storm, peer);
}

static void begin(struct storm *storm, struct peer *peer)
{
    peer->started_ns = clock_monotonic_ns();
    peer->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (peer->fd < 0) {
        (void)fprintf(stderr, "tls-storm: %m; raise ulimit -n\n");
        exit(1); // NOLINT(concurrency-mt-unsafe): one thread
    }
    int done = connect(peer->fd, (const struct sockaddr *)&storm->server, sizeof storm->server);
    bool goes_on = done == 0 || errno == EINPROGRESS;
    await(storm, peer, EPOLLOUT, EPOLL_CTL_ADD);
    if (!goes_on)
        fail(storm, peer, "connect");
}

/* A NULL call, whose answer is waited for; blocks. */
static bool null_call(struct peer *peer)
{
    static const uint8_t call[NULL_SIZE] = { 0x80, 0, 0, 40, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 2, 0,
        1, 0x86, 0xa3, 0, 0, 0, 4 };
    uint8_t reply[REPLY_SIZE];
    size_t got = 0;
    int flags = fcntl(peer->fd, F_GETFL);
    if (flags < 0 || fcntl(peer->fd, F_SETFL, flags & ~O_NONBLOCK) < 0)
        return false;
    ssize_t sent = peer->tls != NULL ? SSL_write(peer->tls, call, sizeof call)
                                     : write(peer->fd, call, sizeof call);
    while (sent == (ssize_t)sizeof call && got < sizeof reply) {
        ssize_t more = peer->tls != NULL
                           ? SSL_read(peer->tls, reply + got, (int)(sizeof reply - got))
                           : read(peer->fd, reply + got, sizeof reply - got);
        if (more <= 0)
            return false;
        got += (size_t)more;
    }
    return got == sizeof reply && load_be32(reply + 4) == 9 && load_be32(reply + 24) == 0;
}

static int run(struct storm *storm)
{
    struct epoll_event events[EVENTS_MAX];
    for (unsigned i = 0; i < storm->count; i++)
        begin(storm, &storm->peers[i]);
    while (storm->ready + storm->failed < storm->count) {
        int count = epoll_wait(storm->epoll_fd, events, EVENTS_MAX, SILENCE_MS);
        if (count == 0 || (count < 0 && errno != EINTR))
            return count == 0 ? -ETIMEDOUT : -errno;
        for (int i = 0; i < count; i++) {
            struct peer *peer = events[i].data.ptr;
            if (peer->phase == CONNECTING)
                connected(storm, peer);
            else if (peer->phase == SHAKING)
                shake(storm, peer);
            else if (peer->phase == READY)
                fail(storm, peer, "closed while it was held");
        }
    }
    return 0;
}

int main(int argc, char **argv)
{
    struct storm storm = { .server = { .sin_family = AF_INET } };
    struct rlimit files = { .rlim_cur = COUNT_MAX + 64, .rlim_max = COUNT_MAX + 64 };
    if (argc < 4 || inet_pton(AF_INET, argv[1], &storm.server.sin_addr) != 1)
        return 2;
    storm.server.sin_port = htons((uint16_t)strtoul(argv[2], NULL, 10));
    storm.count = (unsigned)strtoul(argv[3], NULL, 10);
    storm.plain = argc > 4 && strcmp(argv[4], "--plain") == 0;
    if (storm.count < 1 || storm.count > COUNT_MAX)
        return 2;
    (void)setrlimit(RLIMIT_NOFILE, &files); /* without it socket() tells */
    storm.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    storm.context = secure_context();
    storm.peers = calloc(storm.count, sizeof *storm.peers);
    if (storm.epoll_fd < 0 || storm.context == NULL || storm.peers == NULL)
        return 1;
    uint64_t begin_ns = clock_monotonic_ns();
    int err = run(&storm);
    double ms = (double)(clock_monotonic_ns() - begin_ns) / NS_PER_MS;
    if (err < 0)
        (void)fprintf(stderr, "tls-storm: %s\n", strerrordesc_np(-err));
    for (unsigned i = 0; err == 0 && i < storm.count; i++)
        storm.answered += storm.peers[i].phase == READY && null_call(&storm.peers[i]);
    (void)printf(
        "{\"count\": %u, \"tls\": %s, \"ready\": %u, \"failed\": %u, \"answered\": %u, "
        "\"milliseconds\": %.1f, \"per_second\": %.0f, \"p50_ms\": %.1f, \"p99_ms\": %.1f}\n",
        storm.count, storm.plain ? "false" : "true", storm.ready, storm.failed, storm.answered, ms,
        storm.ready / ms * 1000,
        (double)histogram_quantile(&storm.latency, QUANTILE_HALF) / NS_PER_MS,
        (double)histogram_quantile(&storm.latency, QUANTILE_MOST) / NS_PER_MS);
    for (unsigned i = 0; i < storm.count; i++) {
        SSL_free(storm.peers[i].tls);
        (void)close(storm.peers[i].fd); /* nothing is to be saved */
    }
    free(storm.peers);
    SSL_CTX_free(storm.context);
    return err == 0 && storm.answered == storm.count ? 0 : 1;
}
