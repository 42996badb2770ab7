/*
 * rpc/server.c - listeners, lanes, and the server's end (room: RPC server).
 */
#include "rpc/server.h"

#include <netinet/in.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "rpc/conn.h"

#define ACCEPTS_PER_ROUND 64
#define LISTEN_BACKLOG    1024

/* Lives on the first lane's reactor. */
struct listener {
    struct reactor_source source;
    struct list node;
    struct rpc_server *server;
    uint16_t port;
};

int rpc_server_new(const struct rpc_server_options *options, const struct rpc_program *program,
    struct rpc_server **out_server)
{
    assert(options->reactor_count > 0 && options->record_size_max >= 1024);
    struct rpc_server *server = calloc(1, sizeof *server);
    if (server == NULL)
        return -ENOMEM;
    server->options = *options;
    server->program = *program;
    server->chunk_large_bytes = options->record_size_max + RX_CHUNK_BYTES;
    list_init(&server->listeners);
    server->lanes = calloc(options->reactor_count, sizeof *server->lanes);
    if (server->lanes == NULL) {
        free(server);
        return -ENOMEM;
    }
    for (unsigned i = 0; i < options->reactor_count; i++)
        lane_init(&server->lanes[i], server, options->reactors[i]);
    *out_server = server;
    return 0;
}

/* ---- running a function on the thread of a lane
 * -------------------------------------------------- */

struct lane_call {
    struct reactor_task task;
    struct event done;
    struct lane *lane;
    void (*function)(struct lane *lane, void *argument);
    void *argument;
};

static void lane_call_run(struct reactor_task *task)
{
    struct lane_call *call = CONTAINER_OF(task, struct lane_call, task);
    call->function(call->lane, call->argument);
    event_signal(&call->done);
}

static void lane_call(
    struct lane *lane, void (*function)(struct lane *lane, void *argument), void *argument)
{
    struct lane_call call = { .lane = lane, .function = function, .argument = argument };
    call.task.run = lane_call_run;
    event_init(&call.done);
    reactor_post(lane->reactor, &call.task);
    event_wait(&call.done);
}

static void each_lane(
    struct rpc_server *server, void (*function)(struct lane *lane, void *argument), void *argument)
{
    for (unsigned i = 0; i < server->options.reactor_count; i++)
        lane_call(&server->lanes[i], function, argument);
}

/* ---- accepting
 * ------------------------------------------------------------------------------------ */

struct handover {
    struct reactor_task task;
    struct lane *lane;
    int fd;
    struct sockaddr_storage peer;
};

static void take_over(struct reactor_task *task)
{
    struct handover *handover = CONTAINER_OF(task, struct handover, task);
    uint64_t conn_id;
    (void)conn_start(handover->lane, handover->fd, &handover->peer, false, &conn_id);
    free(handover);
}

static struct lane *least_busy_lane(struct rpc_server *server)
{
    struct lane *best = &server->lanes[0];
    for (unsigned i = 1; i < server->options.reactor_count; i++) {
        if (server->lanes[i].conn_count < best->conn_count)
            best = &server->lanes[i];
    }
    return best;
}

static void admit(struct rpc_server *server, int fd, const struct sockaddr_storage *peer)
{
    struct handover *handover = NULL;
    if (rpc_server_conn_count(server) < server->options.conn_count_max)
        handover = calloc(1, sizeof *handover);
    if (handover == NULL) {
        LOG_WARN("connection refused: too many, or out of memory", "connections=%u",
            rpc_server_conn_count(server));
        (void)close(fd);
        return;
    }
    struct lane *lane = least_busy_lane(server);
    atomic_fetch_add(&lane->conn_count, 1);
    handover->task.run = take_over;
    handover->lane = lane;
    handover->fd = fd;
    handover->peer = *peer;
    reactor_post(lane->reactor, &handover->task);
}

static void accept_ready(struct reactor_source *source, uint32_t events)
{
    (void)events;
    struct listener *listener = CONTAINER_OF(source, struct listener, source);
    for (int i = 0; i < ACCEPTS_PER_ROUND; i++) {
        struct sockaddr_storage peer;
        socklen_t size = sizeof peer;
        int fd = accept4(source->fd, (struct sockaddr *)&peer, &size, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0) {
            admit(listener->server, fd, &peer);
            continue;
        }
        if (errno == EMFILE || errno == ENFILE || errno == ENOMEM) {
            LOG_WARN("cannot accept a connection", "error=%d", errno);
            (void)usleep(10000); /* the queue stays ready; do not spin on it */
        }
        if (errno != EINTR && errno != ECONNABORTED)
            return;
    }
}

static int open_listener(const struct sockaddr_storage *address, struct listener *listener)
{
    int fd = socket(address->ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    int on = 1;
    socklen_t size =
        address->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
    struct sockaddr_storage bound;
    socklen_t bound_size = sizeof bound;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
        bind(fd, (const struct sockaddr *)address, size) < 0 || listen(fd, LISTEN_BACKLOG) < 0 ||
        getsockname(fd, (struct sockaddr *)&bound, &bound_size) < 0) {
        int err = -errno;
        (void)close(fd);
        return err;
    }
    listener->source.fd = fd;
    /* The port stands at the same place in both families' structures. */
    struct sockaddr_in as_ipv4;
    memcpy(&as_ipv4, &bound, sizeof as_ipv4);
    listener->port = ntohs(as_ipv4.sin_port);
    return 0;
}

struct listen_start {
    struct listener *listener;
    int err;
};

static void start_listening(struct lane *lane, void *argument)
{
    struct listen_start *start = argument;
    start->err = reactor_add(lane->reactor, &start->listener->source, EPOLLIN);
    if (start->err == 0)
        list_add_tail(&lane->server->listeners, &start->listener->node);
}

int rpc_server_listen(struct rpc_server *server, const struct sockaddr_storage *address)
{
    assert(address->ss_family == AF_INET || address->ss_family == AF_INET6);
    struct listener *listener = calloc(1, sizeof *listener);
    if (listener == NULL)
        return -ENOMEM;
    listener->server = server;
    listener->source.ready = accept_ready;
    int err = open_listener(address, listener);
    if (err < 0) {
        free(listener);
        return err;
    }
    struct listen_start start = { .listener = listener };
    lane_call(&server->lanes[0], start_listening, &start);
    if (start.err < 0) {
        (void)close(listener->source.fd);
        free(listener);
    }
    return start.err;
}

uint16_t rpc_server_port(const struct rpc_server *server)
{
    assert(!list_is_empty(&server->listeners));
    return LIST_ENTRY(server->listeners.next, struct listener, node)->port;
}

unsigned rpc_server_conn_count(const struct rpc_server *server)
{
    unsigned count = 0;
    for (unsigned i = 0; i < server->options.reactor_count; i++)
        count += server->lanes[i].conn_count;
    return count;
}

/* ---- ending
 * --------------------------------------------------------------------------------------- */

struct matcher {
    bool (*match)(void *context, const struct rpc_conn *conn);
    void *context;
};

static void close_matching(struct lane *lane, void *argument)
{
    const struct matcher *matcher = argument;
    LIST_FOR_EACH_SAFE(node, &lane->conns)
    {
        struct conn *conn = LIST_ENTRY(node, struct conn, node);
        if (matcher->match(matcher->context, &conn->rpc))
            conn_close(conn);
    }
}

void rpc_server_close_matching(struct rpc_server *server,
    bool (*match)(void *context, const struct rpc_conn *conn), void *context)
{
    struct matcher matcher = { .match = match, .context = context };
    each_lane(server, close_matching, &matcher);
}

struct loss {
    struct conn *conn;
    bool may_lose;
};

static void look_for_loss(struct lane *lane, void *argument)
{
    struct loss *loss = argument;
    (void)lane;
    loss->may_lose = conn_may_lose(loss->conn);
}

bool rpc_conn_may_lose(struct rpc_conn *rpc)
{
    struct loss loss = { .conn = CONTAINER_OF(rpc, struct conn, rpc) };
    lane_call(loss.conn->lane, look_for_loss, &loss);
    return loss.may_lose;
}

static void tick_lane(struct lane *lane, void *argument)
{
    secure_tick(lane, *(const uint64_t *)argument);
}

void rpc_server_tick(struct rpc_server *server, uint64_t now_ms)
{
    if (server->options.tls != NULL)
        each_lane(server, tick_lane, &now_ms);
}

static void stop_accepting(struct lane *lane, void *argument)
{
    (void)argument;
    LIST_FOR_EACH_SAFE(node, &lane->server->listeners)
    {
        struct listener *listener = LIST_ENTRY(node, struct listener, node);
        reactor_remove(lane->reactor, &listener->source);
        (void)close(listener->source.fd); /* a listening socket holds no data */
        list_remove(&listener->node);
        free(listener);
    }
}

static void stop_reading(struct lane *lane, void *argument)
{
    (void)argument;
    lane->draining = true;
    LIST_FOR_EACH(node, &lane->conns)
    conn_defer_work(LIST_ENTRY(node, struct conn, node));
}

static void close_all(struct lane *lane, void *argument)
{
    (void)argument;
    LIST_FOR_EACH_SAFE(node, &lane->conns)
    {
        struct conn *conn = LIST_ENTRY(node, struct conn, node);
        out_flush(conn);
        conn_close(conn);
    }
}

static unsigned running_count(const struct rpc_server *server)
{
    unsigned count = 0;
    for (unsigned i = 0; i < server->options.reactor_count; i++)
        count += server->lanes[i].running;
    return count;
}

void rpc_server_drain(struct rpc_server *server, uint64_t timeout_ms)
{
    lane_call(&server->lanes[0], stop_accepting, NULL);
    each_lane(server, stop_reading, NULL);
    uint64_t start_ms = clock_coarse_ms();
    while (running_count(server) > 0 && clock_coarse_ms() - start_ms < timeout_ms)
        (void)usleep(1000);
    each_lane(server, close_all, NULL);
    /* What still runs waits for storage, which always answers in the end. */
    while (rpc_server_conn_count(server) > 0)
        (void)usleep(1000);
    server->drained = true;
}

static void free_lane(struct lane *lane, void *argument)
{
    (void)argument;
    lane_fini(lane);
}

void rpc_server_free(struct rpc_server *server)
{
    if (server == NULL)
        return;
    if (!server->drained)
        rpc_server_drain(server, 0);
    each_lane(server, free_lane, NULL);
    free(server->lanes);
    free(server);
}
