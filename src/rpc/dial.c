/*
 * rpc/dial.c - connections that the server makes, back to where one of its clients is (room: RPC server).
 *
 * There is no way here to name another host: the address is the peer's of a connection that is there, so nobody can use
 * the server to reach what he cannot reach himself. Such a connection is then like any other of its lane, but carries no
 * requests to us. Threads: the connection's reactor.
 */
#include <netinet/in.h>
#include <stdatomic.h>
#include <unistd.h>

#include "rpc/conn.h"

/* The same address with another port. */
static struct sockaddr_storage with_port(const struct sockaddr_storage *address, uint16_t port)
{
    struct sockaddr_storage changed = *address;
    if (address->ss_family == AF_INET6) {
        struct sockaddr_in6 in6;
        memcpy(&in6, &changed, sizeof in6);
        in6.sin6_port = htons(port);
        memcpy(&changed, &in6, sizeof in6);
    } else {
        struct sockaddr_in in;
        memcpy(&in, &changed, sizeof in);
        in.sin_port = htons(port);
        memcpy(&changed, &in, sizeof in);
    }
    return changed;
}

static int socket_connect(
    const struct sockaddr_storage *local, const struct sockaddr_storage *peer, int *out_fd)
{
    socklen_t size =
        peer->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
    int fd = socket(peer->ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    if (bind(fd, (const struct sockaddr *)local, size) < 0 ||
        (connect(fd, (const struct sockaddr *)peer, size) < 0 && errno != EINPROGRESS)) {
        int err = -errno;
        (void)close(fd); /* a socket that nothing was sent on */
        return err;
    }
    *out_fd = fd;
    return 0;
}

int rpc_conn_dial(struct rpc_conn *beside, uint16_t port, uint64_t *out_conn_id)
{
    struct lane *lane = CONTAINER_OF(beside, struct conn, rpc)->lane;
    assert(port > 0);
    if (beside->peer.ss_family != AF_INET && beside->peer.ss_family != AF_INET6)
        return -EAFNOSUPPORT;
    if (lane->draining ||
        rpc_server_conn_count(lane->server) >= lane->server->options.conn_count_max)
        return -EMFILE;
    struct sockaddr_storage local = with_port(&beside->local, 0); /* as it was reached */
    struct sockaddr_storage peer = with_port(&beside->peer, port);
    int fd = -1;
    int err = socket_connect(&local, &peer, &fd);
    if (err < 0)
        return err;
    atomic_fetch_add(&lane->conn_count, 1);
    return conn_start(lane, fd, &peer, true, out_conn_id) ? 0 : -ENOMEM;
}
