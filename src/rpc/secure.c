/*
 * rpc/secure.c - TLS under the records: found by the first byte, or asked for by AUTH_TLS (room: RPC server).
 *
 *             0x16, a TLS handshake                     done
 *   CONN_FRESH ------------> CONN_WAITING -> CONN_SHAKING ----> CONN_OPEN
 *      ^  '---------------------------------------------------------^ |    any other byte: plain
 *      '--------------------------------------------------------------'    AUTH_TLS was answered STARTTLS
 *
 *   CONN_FRESH   -> CONN_WAITING  begin()
 *   CONN_FRESH   -> CONN_OPEN     secure_ready()
 *   CONN_WAITING -> CONN_SHAKING  start_next(), when fewer than the limit shake hands
 *   CONN_SHAKING -> CONN_OPEN     shake()
 *   CONN_OPEN    -> CONN_FRESH    secure_expect()
 *
 * A record mark cannot begin with 0x16: it would announce a fragment larger than any record. Always holds: who is in
 * lane->waiting or lane->shaking is closed when its time is over; at most the lane's share of handshake_count_max are
 * in lane->shaking. Threads: the connection's reactor. Sources: RFC 9289; EFS: "Encrypting data in transit" (TLS from
 * the first byte, on the same port).
 */
#include <inttypes.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/log.h"
#include "metrics/metrics.h"
#include "rpc/conn.h"

#define TLS_RECORD_HANDSHAKE 0x16u

static unsigned shaking_max(const struct lane *lane)
{
    const struct rpc_server_options *options = &lane->server->options;
    return (options->handshake_count_max + options->reactor_count - 1) / options->reactor_count;
}

static void await(struct conn *conn, uint32_t events)
{
    reactor_change(conn->lane->reactor, &conn->source, events);
}

/* Why a handshake was not done: for whoever looks for the reason that a mount does not come about. */
static void refuse(struct conn *conn, const char *reason)
{
    metrics_add(METRIC_RPC_TLS_FAILED, 0, 1);
    LOG_INFO("TLS handshake failed", "conn=%" PRIu64 " reason=\"%s\"", conn->rpc.id, reason);
    conn_refuse(conn, RPC_REFUSED_TLS, reason);
}

static void start_next(struct lane *lane);

/* Its handshake is no longer counted. */
static void leave(struct conn *conn)
{
    struct lane *lane = conn->lane;
    if (list_is_empty(&conn->shake_node))
        return;
    list_remove(&conn->shake_node);
    if (conn->phase == CONN_SHAKING)
        lane->shaking_count--;
}

/* True: the connection is open now. */
static bool shake(struct conn *conn)
{
    const struct rpc_program *program = &conn->lane->server->program;
    int err = tls_handshake(conn->tls);
    if (err == -EAGAIN) {
        await(conn, tls_wants_write(conn->tls) ? EPOLLOUT : EPOLLIN);
        return false;
    }
    if (err < 0) {
        refuse(conn, tls_reason(conn->tls));
        return false;
    }
    leave(conn);
    conn->phase = CONN_OPEN;
    conn->rpc.is_secure = true;
    conn->rpc.peer_certificate = tls_peer_certificate(conn->tls);
    conn->has_unread = true;
    metrics_add(METRIC_RPC_TLS_CONNECTIONS, 0, 1);
    LOG_DEBUG("TLS", "conn=%" PRIu64 " version=%s cipher=%s certificate=%zu", conn->rpc.id,
        tls_version(conn->tls), tls_cipher(conn->tls), conn->rpc.peer_certificate.size);
    start_next(conn->lane);
    if (program->secured != NULL && !program->secured(program->context, &conn->rpc)) {
        conn_close(conn);
        return false;
    }
    await(conn, EPOLLIN);
    return true;
}

/* Lets those begin whose turn it is. What they do first is told by the socket, so this does not nest. */
static void start_next(struct lane *lane)
{
    while (lane->shaking_count < shaking_max(lane) && !list_is_empty(&lane->waiting)) {
        struct conn *conn = LIST_ENTRY(lane->waiting.next, struct conn, shake_node);
        list_remove(&conn->shake_node);
        list_add_tail(&lane->shaking, &conn->shake_node);
        lane->shaking_count++;
        conn->phase = CONN_SHAKING;
        await(conn, EPOLLIN);
    }
}

/* A handshake comes in. */
static void begin(struct conn *conn)
{
    struct lane *lane = conn->lane;
    const struct rpc_server_options *options = &lane->server->options;
    if (options->tls == NULL) {
        refuse(conn, "this server does not speak TLS");
        return;
    }
    if (tls_new(options->tls, conn->source.fd, &conn->rpc.local, conn->wants_tls, &conn->tls) < 0) {
        refuse(conn, "out of memory");
        return;
    }
    conn->phase = CONN_WAITING;
    conn->shake_end_ms = clock_coarse_ms() + options->handshake_ms_max;
    list_add_tail(&lane->waiting, &conn->shake_node);
    await(conn, 0);
    start_next(lane);
}

bool secure_ready(struct conn *conn)
{
    uint8_t first;
    if (conn->phase == CONN_SHAKING)
        return shake(conn);
    if (conn->phase == CONN_WAITING) { /* only errors are told: the client is gone */
        refuse(conn, "the connection broke");
        return false;
    }
    ssize_t n = recv(conn->source.fd, &first, 1, MSG_PEEK | MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    if (n == 1 && first == TLS_RECORD_HANDSHAKE) {
        if (conn->running > 0 || conn->out_bytes > 0)
            refuse(conn, "it began before all was answered");
        else
            begin(conn);
        return false;
    }
    conn->phase = CONN_OPEN; /* plain; also for an end or an error, which receiving finds again */
    return true;
}

bool secure_is_asked(const struct conn *conn, const struct rpc_call *call)
{
    return conn->lane->server->options.tls != NULL && conn->tls == NULL && call->procedure == 0 &&
           call->cred.body.size == 0;
}

bool secure_expect(struct conn *conn)
{
    if (conn->rx != NULL || conn->assembled != NULL)
        return false;
    conn->phase = CONN_FRESH;
    conn->wants_tls = true;
    return true;
}

void secure_end(struct conn *conn)
{
    struct lane *lane = conn->lane;
    leave(conn);
    start_next(lane);
    tls_free(conn->tls);
    conn->tls = NULL;
    conn->has_unread = false;
    conn->rpc.peer_certificate = (struct slice){ 0 };
}

static void close_overdue(struct list *list, uint64_t now_ms)
{
    while (!list_is_empty(list)) {
        struct conn *conn = LIST_ENTRY(list->next, struct conn, shake_node);
        if (conn->shake_end_ms > now_ms)
            return; /* nor is any after it */
        refuse(conn, "it took too long");
    }
}

void secure_tick(struct lane *lane, uint64_t now_ms)
{
    close_overdue(&lane->shaking, now_ms);
    close_overdue(&lane->waiting, now_ms);
}

/* ---- bytes ---- */

ssize_t secure_receive(struct conn *conn, uint8_t *buffer, size_t size)
{
    size_t received = 0;
    if (conn->tls == NULL) {
        ssize_t n = recv(conn->source.fd, buffer, size, MSG_DONTWAIT);
        return n < 0 ? -errno : n;
    }
    /* TLS gives a record at a time, and may have more than the socket shows. */
    while (received < size) {
        ssize_t n = tls_receive(conn->tls, buffer + received, size - received);
        if (n <= 0) {
            conn->has_unread = n != -EAGAIN && received > 0; /* the end is told by the next call */
            return received > 0 ? (ssize_t)received : n;
        }
        received += (size_t)n;
    }
    conn->has_unread = true;
    return (ssize_t)received;
}

ssize_t secure_send(struct conn *conn, const struct iovec *iov, size_t count)
{
    if (conn->tls == NULL || tls_kernel_sends(conn->tls)) {
        /* sendmsg() does not write. NOLINTNEXTLINE(performance-no-int-to-ptr) */
        struct msghdr message = { .msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = count };
        ssize_t n = sendmsg(conn->source.fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
        return n < 0 ? -errno : n;
    }
    size_t sent = 0;
    for (size_t i = 0; i < count; i++) {
        for (size_t at = 0; at < iov[i].iov_len;) {
            ssize_t n =
                tls_send(conn->tls, (const uint8_t *)iov[i].iov_base + at, iov[i].iov_len - at);
            if (n < 0)
                return sent > 0 ? (ssize_t)sent : n;
            at += (size_t)n;
            sent += (size_t)n;
        }
    }
    return (ssize_t)sent;
}
