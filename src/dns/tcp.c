/*
 * dns/tcp.c - DNS over TCP: messages after their size, one at a time (room: DNS).
 *
 * A connection holds one message and its answer. While an answer waits for the peer to read, nothing more is read from it.
 * Source: RFC 7766.
 */
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/log.h"
#include "dns/internal.h"
#include "metrics/metrics.h"

#define CONNS_MAX          128u
#define CONNS_MAX_PER_PEER 32u
#define IDLE_MS_MAX        10000u /* RFC 7766 section 6.2.3: seconds, when resources are scarce */
#define ACCEPTS_PER_TURN   16
#define READS_PER_TURN     16
#define PREFIX_SIZE        2u

struct tcp_conn {
    struct list node;
    struct reactor_source source;
    struct dns_server *server;
    struct sockaddr_storage peer;
    struct sockaddr_storage local;
    uint64_t moved_ms; /* when bytes last came or went */
    size_t in_size;
    size_t out_size;
    size_t out_sent;
    uint8_t in[PREFIX_SIZE + DNS_MESSAGE_MAX];
    uint8_t out[PREFIX_SIZE + DNS_MESSAGE_MAX];
};

static void conn_close(struct tcp_conn *conn)
{
    struct dns_server *server = conn->server;
    reactor_remove(server->reactor, &conn->source);
    (void)close(conn->source.fd); /* what the peer did not take, it does not want */
    list_remove(&conn->node);
    server->conn_count--;
    free(conn);
}

/* Bytes moved: the connection goes to the end of the list, whose head is the longest silent. */
static void conn_moved(struct tcp_conn *conn)
{
    conn->moved_ms = clock_coarse_ms();
    list_remove(&conn->node);
    list_add_tail(&conn->server->conns, &conn->node);
}

/* Sends what can be sent of the answer. False: the connection is broken. */
static bool conn_flush(struct tcp_conn *conn)
{
    while (conn->out_sent < conn->out_size) {
        ssize_t sent = send(conn->source.fd, conn->out + conn->out_sent,
            conn->out_size - conn->out_sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            reactor_change(conn->server->reactor, &conn->source, EPOLLOUT);
            return true;
        }
        if (sent <= 0)
            return false;
        conn->out_sent += (size_t)sent;
        conn_moved(conn);
    }
    conn->out_size = 0;
    conn->out_sent = 0;
    if (conn->source.events != EPOLLIN)
        reactor_change(conn->server->reactor, &conn->source, EPOLLIN);
    return true;
}

/* Answers the message at the front of what came, if it is whole. False: the connection has to go. */
static bool conn_serve(struct tcp_conn *conn)
{
    while (conn->out_size == 0 && conn->in_size >= PREFIX_SIZE) {
        size_t size = load_be16(conn->in);
        if (size > DNS_MESSAGE_MAX)
            return false; /* no question is that long */
        if (conn->in_size < PREFIX_SIZE + size)
            return true;
        struct dns_query query = { .message = slice_of(conn->in + PREFIX_SIZE, size),
            .peer = conn->peer,
            .local = conn->local,
            .is_tcp = true };
        struct dns_reply reply;
        dns_answer(conn->server->answerer, &query, &reply);
        if (reply.size == 0)
            return false;
        dns_count(&reply);
        store_be16(conn->out, (uint16_t)reply.size);
        memcpy(conn->out + PREFIX_SIZE, reply.message, reply.size);
        conn->out_size = PREFIX_SIZE + reply.size;
        conn->in_size -= PREFIX_SIZE + size;
        memmove(conn->in, conn->in + PREFIX_SIZE + size, conn->in_size);
        if (!conn_flush(conn))
            return false;
    }
    return true;
}

/* Reads what there is. False: the connection is at its end, or broken. */
static bool conn_read(struct tcp_conn *conn)
{
    for (int i = 0; i < READS_PER_TURN && conn->out_size == 0; i++) {
        ssize_t size = recv(conn->source.fd, conn->in + conn->in_size,
            sizeof conn->in - conn->in_size, MSG_DONTWAIT);
        if (size < 0 && errno == EINTR)
            continue;
        if (size < 0)
            return errno == EAGAIN || errno == EWOULDBLOCK;
        if (size == 0)
            return false;
        conn->in_size += (size_t)size;
        conn_moved(conn);
        if (!conn_serve(conn))
            return false;
    }
    return true;
}

static void conn_ready(struct reactor_source *source, uint32_t events)
{
    struct tcp_conn *conn = CONTAINER_OF(source, struct tcp_conn, source);
    bool goes_on = (events & (EPOLLERR | EPOLLHUP)) == 0 || (events & EPOLLIN) != 0;
    if (goes_on && conn->out_size > 0)
        goes_on = conn_flush(conn) && conn_serve(conn);
    if (goes_on && conn->out_size == 0)
        goes_on = conn_read(conn);
    if (!goes_on)
        conn_close(conn);
}

/* NOLINTBEGIN(clang-analyzer-unix.Malloc): the analyzer does not see that conn_close() takes it off the list */
static bool is_same_host(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
    struct sockaddr_in6 wide[2];
    struct sockaddr_in plain[2];
    if (a->ss_family != b->ss_family)
        return false;
    memcpy(&wide[0], a, sizeof wide[0]);
    memcpy(&wide[1], b, sizeof wide[1]);
    memcpy(&plain[0], a, sizeof plain[0]);
    memcpy(&plain[1], b, sizeof plain[1]);
    if (a->ss_family == AF_INET6)
        return memcmp(&wide[0].sin6_addr, &wide[1].sin6_addr, sizeof wide[0].sin6_addr) == 0;
    return memcmp(&plain[0].sin_addr, &plain[1].sin_addr, sizeof plain[0].sin_addr) == 0;
}

/* Makes room for a connection of `peer`: its own longest silent goes when it has too many, else anybody's when all are taken. */
static void make_room(struct dns_server *server, const struct sockaddr_storage *peer)
{
    unsigned count = 0;
    struct tcp_conn *oldest = NULL;
    LIST_FOR_EACH(node, &server->conns)
    {
        struct tcp_conn *conn = LIST_ENTRY(node, struct tcp_conn, node);
        if (!is_same_host(&conn->peer, peer))
            continue;
        count++;
        oldest = oldest == NULL ? conn : oldest;
    }
    if (count < CONNS_MAX_PER_PEER) {
        if (server->conn_count < CONNS_MAX)
            return;
        oldest = LIST_ENTRY(server->conns.next, struct tcp_conn, node);
    }
    metrics_add(METRIC_DNS_LIMITED, 0, 1);
    conn_close(oldest);
}
/* NOLINTEND(clang-analyzer-unix.Malloc) */

/* Takes `fd` over. */
static void conn_start(struct dns_server *server, int fd, const struct sockaddr_storage *peer)
{
    make_room(server, peer);
    struct tcp_conn *conn = calloc(1, sizeof *conn);
    socklen_t size = sizeof conn->local;
    if (conn == NULL || getsockname(fd, (struct sockaddr *)&conn->local, &size) < 0) {
        free(conn);
        (void)close(fd);
        return;
    }
    conn->source = (struct reactor_source){ .fd = fd, .ready = conn_ready };
    conn->server = server;
    conn->peer = *peer;
    conn->moved_ms = clock_coarse_ms();
    if (reactor_add(server->reactor, &conn->source, EPOLLIN) < 0) {
        free(conn);
        (void)close(fd);
        return;
    }
    list_add_tail(&server->conns, &conn->node);
    server->conn_count++;
}

void dns_tcp_accept(struct reactor_source *source, uint32_t events)
{
    (void)events;
    struct dns_listener *listener = CONTAINER_OF(source, struct dns_listener, tcp);
    for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
        struct sockaddr_storage peer = { 0 };
        socklen_t size = sizeof peer;
        int fd = accept4(source->fd, (struct sockaddr *)&peer, &size, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0) {
            conn_start(listener->server, fd, &peer);
            continue;
        }
        if (errno == EMFILE || errno == ENFILE || errno == ENOMEM) {
            LOG_WARN("cannot accept a DNS connection", "error=%d", errno);
            (void)usleep(10000); /* the queue stays ready; do not spin on it */
        }
        if (errno != EINTR && errno != ECONNABORTED)
            return;
    }
}

void dns_tcp_close_idle(struct dns_server *server, uint64_t now_ms, bool all)
{
    LIST_FOR_EACH_SAFE(node, &server->conns)
    {
        struct tcp_conn *conn = LIST_ENTRY(node, struct tcp_conn, node);
        if (!all && now_ms - conn->moved_ms < IDLE_MS_MAX)
            return; /* those after it moved later */
        conn_close(conn);
    }
}
