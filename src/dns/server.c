/*
 * dns/server.c - listeners, UDP, and the server's life (room: DNS).
 */
#include "dns/server.h"

#include <ldns/ldns.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "dns/internal.h"
#include "metrics/metrics.h"

#define FIBERS            2u /* nothing here waits */
#define MESSAGES_PER_TURN 64
#define LISTEN_BACKLOG    128
#define PORT_TRIES        16 /* a free UDP port may be taken for TCP */

void dns_count(const struct dns_reply *reply)
{
    metrics_add(METRIC_DNS_ANSWERS, min_u32(reply->rcode, LDNS_RCODE_REFUSED + 1), 1);
}

static void name_codes(void)
{
    static const char *const names[] = { "NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP",
        "REFUSED", "BADVERS" };
    static_assert(
        ARRAY_SIZE(names) == LDNS_RCODE_REFUSED + 2, "by response code; the last is any other");
    metrics_name_label(METRIC_LABEL_DNS_RCODE, names, ARRAY_SIZE(names));
}

static socklen_t address_size(const struct sockaddr_storage *address)
{
    return address->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6)
                                          : sizeof(struct sockaddr_in);
}

static uint16_t *port_of(struct sockaddr_storage *address)
{
    if (address->ss_family == AF_INET6)
        return &((struct sockaddr_in6 *)(void *)address)->sin6_port;
    return &((struct sockaddr_in *)(void *)address)->sin_port;
}

/* ---- UDP ---- */

union control_space {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(sizeof(struct in6_pktinfo)) + CMSG_SPACE(sizeof(struct in_pktinfo))];
};

/* The local address that a message came to: the one to answer from, on a socket that has many. */
static void note_local(struct msghdr *message, struct sockaddr_storage *out_local)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c != NULL; c = CMSG_NXTHDR(message, c)) {
        if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
            struct in_pktinfo info;
            memcpy(&info, CMSG_DATA(c), sizeof info);
            ((struct sockaddr_in *)(void *)out_local)->sin_addr = info.ipi_addr;
        } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
            struct in6_pktinfo info;
            memcpy(&info, CMSG_DATA(c), sizeof info);
            ((struct sockaddr_in6 *)(void *)out_local)->sin6_addr = info.ipi6_addr;
        }
    }
}

/* Sends the reply from where the question `asked` came to, whose control data the kernel takes back almost as they are. What cannot be
 * sent is lost, as any datagram may be: the asker asks again. */
static void send_reply(int fd, const struct msghdr *asked, struct dns_reply *reply)
{
    struct iovec part = { .iov_base = reply->message, .iov_len = reply->size };
    struct msghdr message = *asked;
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_flags = 0;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c != NULL; c = CMSG_NXTHDR(&message, c)) {
        if (c->cmsg_level != IPPROTO_IP || c->cmsg_type != IP_PKTINFO)
            continue;
        struct in_pktinfo info;
        memcpy(&info, CMSG_DATA(c), sizeof info);
        info.ipi_spec_dst = info.ipi_addr;
        info.ipi_ifindex = 0; /* routing says by which way */
        memcpy(CMSG_DATA(c), &info, sizeof info);
    }
    (void)sendmsg(fd, &message, MSG_DONTWAIT);
}

/* Answers one datagram. False: there is none. */
static bool serve_datagram(struct dns_listener *listener, uint64_t now_ms)
{
    uint8_t bytes[DNS_MESSAGE_MAX + 1];
    union control_space control;
    struct dns_query query = { .local = listener->address };
    struct iovec part = { .iov_base = bytes, .iov_len = sizeof bytes };
    struct msghdr message = { .msg_name = &query.peer,
        .msg_namelen = sizeof query.peer,
        .msg_iov = &part,
        .msg_iovlen = 1,
        .msg_control = control.bytes,
        .msg_controllen = sizeof control.bytes };
    ssize_t size = recvmsg(listener->udp.fd, &message, MSG_DONTWAIT);
    if (size < 0)
        return errno != EAGAIN &&
               errno != EWOULDBLOCK; /* others are of one datagram: on to the next */
    struct dns_server *server = listener->server;
    enum dns_verdict verdict = dns_limit_take(server->limit, &query.peer, now_ms);
    if (verdict != DNS_ANSWER)
        metrics_add(METRIC_DNS_LIMITED, 0, 1);
    if (verdict == DNS_DROP)
        return true;
    note_local(&message, &query.local);
    query.message = slice_of(bytes, (size_t)size);
    query.is_limited = verdict == DNS_TRUNCATE;
    struct dns_reply reply;
    dns_answer(server->answerer, &query, &reply);
    if (reply.size == 0)
        return true;
    dns_count(&reply);
    send_reply(listener->udp.fd, &message, &reply);
    return true;
}

static void udp_ready(struct reactor_source *source, uint32_t events)
{
    (void)events;
    struct dns_listener *listener = CONTAINER_OF(source, struct dns_listener, udp);
    uint64_t now_ms = clock_coarse_ms();
    for (int i = 0; i < MESSAGES_PER_TURN && serve_datagram(listener, now_ms); i++)
        continue;
}

/* ---- listening ---- */

static int open_socket(int type, struct sockaddr_storage *address)
{
    int fd = socket(address->ss_family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    int on = 1;
    socklen_t size = sizeof *address;
    bool is_ipv6 = address->ss_family == AF_INET6;
    bool failed = is_ipv6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) < 0;
    if (type == SOCK_STREAM)
        failed = failed || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0;
    else
        failed = failed || setsockopt(fd, is_ipv6 ? IPPROTO_IPV6 : IPPROTO_IP,
                               is_ipv6 ? IPV6_RECVPKTINFO : IP_PKTINFO, &on, sizeof on) < 0;
    failed = failed || bind(fd, (const struct sockaddr *)address, address_size(address)) < 0 ||
             (type == SOCK_STREAM && listen(fd, LISTEN_BACKLOG) < 0) ||
             getsockname(fd, (struct sockaddr *)address, &size) < 0;
    if (!failed)
        return fd;
    int err = -errno;
    (void)close(fd);
    return err;
}

/* Opens both sockets of an address on one port. */
static int open_pair(struct dns_listener *listener, const struct sockaddr_storage *address)
{
    struct sockaddr_storage wanted = *address;
    bool any_port = *port_of(&wanted) == 0;
    int err = 0;
    for (int i = 0; i < (any_port ? PORT_TRIES : 1); i++) {
        listener->address = *address;
        err = open_socket(SOCK_DGRAM, &listener->address);
        if (err < 0)
            return err;
        listener->udp.fd = err;
        err = open_socket(SOCK_STREAM, &listener->address);
        if (err >= 0) {
            listener->tcp.fd = err;
            return 0;
        }
        (void)close(listener->udp.fd);
        listener->udp.fd = -1;
        if (err != -EADDRINUSE)
            return err;
    }
    return err;
}

/* ---- a function on the server's thread ---- */

struct call {
    struct reactor_task task;
    struct event done;
    struct dns_server *server;
    void (*function)(struct call *call);
    int err;
};

static void run_call(struct reactor_task *task)
{
    struct call *call = CONTAINER_OF(task, struct call, task);
    call->function(call);
    event_signal(&call->done);
}

static int call_on_thread(struct dns_server *server, void (*function)(struct call *call))
{
    struct call call = { .task.run = run_call, .server = server, .function = function };
    event_init(&call.done);
    reactor_post(server->reactor, &call.task);
    event_wait(&call.done);
    return call.err;
}

static void start_listening(struct call *call)
{
    struct dns_server *server = call->server;
    for (unsigned i = 0; i < server->listener_count && call->err == 0; i++) {
        struct dns_listener *listener = &server->listeners[i];
        call->err = reactor_add(server->reactor, &listener->udp, EPOLLIN);
        if (call->err == 0)
            call->err = reactor_add(server->reactor, &listener->tcp, EPOLLIN);
    }
}

static void stop_listening(struct call *call)
{
    struct dns_server *server = call->server;
    for (unsigned i = 0; i < server->listener_count; i++) {
        struct dns_listener *listener = &server->listeners[i];
        struct reactor_source *const sources[] = { &listener->udp, &listener->tcp };
        for (size_t j = 0; j < ARRAY_SIZE(sources); j++) {
            if (sources[j]->events != 0)
                reactor_remove(server->reactor, sources[j]);
            (void)close(sources[j]->fd); /* holds no data of ours */
        }
    }
    dns_tcp_close_idle(server, 0, true);
}

static void close_idle(struct call *call)
{
    dns_tcp_close_idle(call->server, clock_coarse_ms(), false);
}

int dns_server_new(
    const struct dns_server_options *options, unsigned *out_failed, struct dns_server **out_server)
{
    assert(options->listen_count >= 1 && options->listen_count <= DNS_LISTEN_MAX);
    *out_failed = options->listen_count;
    struct dns_server *server = calloc(1, sizeof *server);
    if (server == NULL)
        return -ENOMEM;
    server->answerer = options->answerer;
    list_init(&server->conns);
    name_codes();
    int err = dns_limit_new(options->rate, &server->limit);
    if (err == 0)
        err = reactor_new(FIBERS, &server->reactor);
    for (unsigned i = 0; i < options->listen_count && err == 0; i++) {
        struct dns_listener *listener = &server->listeners[i];
        *listener = (struct dns_listener){
            .server = server, .udp.ready = udp_ready, .tcp.ready = dns_tcp_accept
        };
        err = open_pair(listener, &options->listen[i]);
        if (err == 0)
            server->listener_count++;
        else
            *out_failed = i;
    }
    if (err == 0)
        err = call_on_thread(server, start_listening);
    if (err < 0) {
        dns_server_free(server);
        return err;
    }
    *out_server = server;
    return 0;
}

void dns_server_tick(struct dns_server *server)
{
    (void)call_on_thread(server, close_idle); /* cannot fail */
}

void dns_server_free(struct dns_server *server)
{
    if (server == NULL)
        return;
    if (server->reactor != NULL)
        (void)call_on_thread(server, stop_listening); /* cannot fail */
    reactor_free(server->reactor);
    dns_limit_free(server->limit);
    free(server);
}

const struct sockaddr_storage *dns_server_address(const struct dns_server *server, unsigned index)
{
    assert(index < server->listener_count);
    return &server->listeners[index].address;
}
