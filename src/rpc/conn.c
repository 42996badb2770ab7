/*
 * rpc/conn.c - a connection's life: receive, serve, close (room: RPC server).
 *
 * Threads: the connection's reactor; rpc_conn_ref(), _unref(), _send() and _close() from any.
 */
#include "rpc/conn.h"

#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/log.h"

#define OUT_PENDING_BYTES (4u * 1024 * 1024) /* beyond it the client must read first */

void lane_init(struct lane *lane, struct rpc_server *server, struct reactor *reactor)
{
    lane->server = server;
    lane->reactor = reactor;
    list_init(&lane->conns);
    list_init(&lane->paused);
    list_init(&lane->waiting);
    list_init(&lane->shaking);
}

void lane_fini(struct lane *lane)
{
    assert(list_is_empty(&lane->conns));
    while (lane->free_small != NULL) {
        struct rx_chunk *next = lane->free_small->next;
        free(lane->free_small);
        lane->free_small = next;
    }
    while (lane->free_large != NULL) {
        struct rx_chunk *next = lane->free_large->next;
        free(lane->free_large);
        lane->free_large = next;
    }
    while (lane->free_requests != NULL) {
        struct request *next = lane->free_requests->next;
        arena_fini(&lane->free_requests->arena);
        free(lane->free_requests);
        lane->free_requests = next;
    }
}

static struct conn *conn_of(struct rpc_conn *rpc)
{
    return CONTAINER_OF(rpc, struct conn, rpc);
}

void conn_ref(struct conn *conn)
{
    atomic_fetch_add_explicit(&conn->refs, 1, memory_order_relaxed);
}

/* NOLINTBEGIN(clang-analyzer-unix.Malloc): the analyzer does not count references */
void conn_unref(struct conn *conn)
{
    if (atomic_fetch_sub_explicit(&conn->refs, 1, memory_order_acq_rel) != 1)
        return;
    free(conn->out);
    free(conn);
}
/* NOLINTEND(clang-analyzer-unix.Malloc) */

void rpc_conn_ref(struct rpc_conn *conn)
{
    conn_ref(conn_of(conn));
}

void rpc_conn_unref(struct rpc_conn *conn)
{
    conn_unref(conn_of(conn));
}

static void resume_paused(struct lane *lane)
{
    if (list_is_empty(&lane->paused))
        return;
    struct conn *conn = LIST_ENTRY(lane->paused.next, struct conn, paused_node);
    list_remove(&conn->paused_node);
    conn_defer_work(conn);
}

static void conn_serve(struct conn *conn, struct slice record, struct rx_chunk *chunk)
{
    struct lane *lane = conn->lane;
    struct request *request = request_get(lane);
    if (request == NULL) {
        chunk_unref(lane, chunk);
        conn_close(conn);
        return;
    }
    conn_ref(conn);
    request->conn = conn;
    request->chunk = chunk;
    request->rpc.conn = &conn->rpc;
    request->rpc.arena = &request->arena;
    request->rpc.program_version = lane->server->program.program_version;
    request->rpc.record_size = record.size;
    request->rpc.args = xdr_decoder_of(record, &request->arena);
    conn->running++;
    atomic_fetch_add_explicit(&lane->running, 1, memory_order_relaxed);
    bool ok = request_run(request);
    conn->running--;
    conn_ref(conn); /* out_add_reply() gives the request's away */
    if (ok) {
        out_add_reply(conn, request);
    } else {
        request_put(lane, request);
        conn_close(conn);
    }
    atomic_fetch_sub_explicit(&lane->running, 1, memory_order_relaxed);
    resume_paused(lane);
    conn_unref(conn);
}

/* ---- the connection ----------------------------------------------------------------------------
 */

/* Whether one more request may start; if not, arranges that parsing goes on later. */
static bool conn_may_serve(struct conn *conn)
{
    struct lane *lane = conn->lane;
    if (conn->closing || lane->draining || conn->phase != CONN_OPEN)
        return false;
    if (conn->running >= lane->server->options.request_count_max)
        return false; /* the end of a request defers our work again */
    if (conn->out_bytes > OUT_PENDING_BYTES) {
        conn->stalled = true; /* conn_work() looks once it has sent something */
        return false;
    }
    if (!reactor_has_fibers(lane->reactor)) {
        if (list_is_empty(&conn->paused_node))
            list_add_tail(&lane->paused, &conn->paused_node);
        return false;
    }
    return true;
}

/* True: the record was a reply to a call of the program's, and it got it. */
static bool conn_take_reply(struct conn *conn, struct slice record, struct rx_chunk *chunk)
{
    const struct rpc_program *program = &conn->lane->server->program;
    if (program->reply == NULL || record.size < 8 || load_be32(record.data + 4) != RPC_REPLY)
        return false;
    program->reply(program->context, &conn->rpc, record);
    chunk_unref(conn->lane, chunk);
    return true;
}

/* Serves the records that were received. False: another fiber does it now. */
static bool conn_parse(struct conn *conn)
{
    while (conn_may_serve(conn)) {
        struct slice record;
        struct rx_chunk *chunk;
        switch (record_next(conn, &record, &chunk)) {
        case RECORD_NONE:
            return true;
        case RECORD_BAD:
            conn_refuse(conn, RPC_REFUSED_RECORD, "what came is no record of RPC");
            return true;
        case RECORD_READY:
            break;
        }
        if (conn_take_reply(conn, record, chunk))
            continue;
        if (conn->rpc.is_dialed) { /* nobody asks us anything there */
            chunk_unref(conn->lane, chunk);
            conn_close(conn);
            return true;
        }
        uint64_t turn = ++conn->parse_turn;
        conn_defer_work(conn); /* should this request wait, others go on */
        conn_serve(conn, record, chunk);
        /* Whoever calls us holds a reference. NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
        if (conn->parse_turn != turn) {
            conn_defer_work(conn); /* our reply is still to be sent */
            return false;
        }
    }
    return true;
}

static bool conn_may_read(const struct conn *conn)
{
    return !conn->lane->draining && list_is_empty(&conn->paused_node) &&
           conn->running < conn->lane->server->options.request_count_max &&
           conn->out_bytes <= OUT_PENDING_BYTES;
}

/* Reads while there is something that may be served; else lets TCP push back. */
static void conn_update_interest(struct conn *conn)
{
    if (conn->closing || conn->phase == CONN_WAITING || conn->phase == CONN_SHAKING)
        return; /* secure.c says what it waits for */
    bool read = conn_may_read(conn);
    uint32_t events = conn->source.events & (uint32_t)EPOLLOUT;
    reactor_change(conn->lane->reactor, &conn->source, events | (read ? EPOLLIN : 0));
    if (!read || !conn->has_unread)
        return;
    if (record_receive(conn)) /* the socket does not show what TLS has read ahead */
        conn_defer_work(conn);
    else
        conn_close(conn);
}

static void conn_finish(struct conn *conn)
{
    struct rpc_program *program = &conn->lane->server->program;
    if (!conn->opened || conn->running > 0)
        return;
    conn->opened = false;
    program->closed(program->context, &conn->rpc);
    list_remove(&conn->node);
    atomic_fetch_sub(&conn->lane->conn_count, 1);
    conn_unref(conn); /* the socket's */
}

static void conn_work(struct reactor_task *task)
{
    struct conn *conn = CONTAINER_OF(task, struct conn, work);
    conn->work_deferred = false;
    if (conn_parse(conn)) {
        out_flush(conn);
        if (conn->stalled && conn->out_bytes <= OUT_PENDING_BYTES) {
            conn->stalled = false;
            conn_defer_work(conn);
        }
        conn_update_interest(conn);
    }
    if (conn->closing)
        conn_finish(conn);
    conn_unref(conn);
}

void conn_defer_work(struct conn *conn)
{
    if (conn->work_deferred)
        return;
    conn->work_deferred = true;
    conn_ref(conn);
    reactor_defer(conn->lane->reactor, &conn->work);
}

bool conn_may_lose(struct conn *conn)
{
    if (conn->closing)
        return conn->rpc.lost_some;
    struct pollfd poll_fd = { .fd = conn->source.fd };
    int unacknowledged_bytes = 0;
    if (conn->broken || conn->out_bytes > 0 || poll(&poll_fd, 1, 0) < 0 ||
        (poll_fd.revents & (POLLERR | POLLHUP)) != 0)
        return true; /* with a reset, TCP forgets what was not acknowledged */
    return ioctl(conn->source.fd, SIOCOUTQ, &unacknowledged_bytes) < 0 || unacknowledged_bytes > 0;
}

void conn_close(struct conn *conn)
{
    if (conn->closing)
        return;
    conn->rpc.lost_some = conn->running > 0 || conn_may_lose(conn);
    conn->closing = true;
    secure_end(conn);
    reactor_remove(conn->lane->reactor, &conn->source);
    (void)close(conn->source.fd); /* a socket: nothing to lose that TCP would tell */
    conn->source.fd = -1;
    list_remove(&conn->paused_node);
    record_forget(conn);
    out_forget(conn);
    conn_defer_work(conn); /* tells the program, once nothing runs */
}

void conn_refuse(struct conn *conn, enum rpc_refusal why, const char *reason)
{
    const struct rpc_program *program = &conn->lane->server->program;
    if (!conn->closing && program->refused != NULL)
        program->refused(program->context, &conn->rpc, why, reason);
    conn_close(conn);
}

static void conn_ready(struct reactor_source *source, uint32_t events)
{
    struct conn *conn = CONTAINER_OF(source, struct conn, source);
    if (UNLIKELY(conn->phase != CONN_OPEN) && !secure_ready(conn))
        return;
    if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0 && !record_receive(conn)) {
        conn_close(conn);
        return;
    }
    conn_defer_work(conn);
}

bool conn_start(struct lane *lane, int fd, const struct sockaddr_storage *peer, bool is_dialed,
    uint64_t *out_conn_id)
{
    struct rpc_server *server = lane->server;
    struct conn *conn = calloc(1, sizeof *conn);
    if (conn == NULL || lane->draining)
        goto refuse;
    conn->lane = lane;
    conn->refs = 1;
    conn->work.run = conn_work;
    conn->source.fd = fd;
    conn->source.ready = conn_ready;
    conn->rpc.id = atomic_fetch_add(&server->conn_id_next, 1) + 1;
    conn->rpc.peer = *peer;
    conn->rpc.is_dialed = is_dialed;
    list_init(&conn->node);
    list_init(&conn->paused_node);
    list_init(&conn->shake_node);
    conn->phase = is_dialed ? CONN_OPEN : CONN_FRESH; /* on ours we speak first */
    socklen_t size = sizeof conn->rpc.local;
    if (getsockname(fd, (struct sockaddr *)&conn->rpc.local, &size) < 0)
        goto refuse;
    int on = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* slower without, not wrong */
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    if (!server->program.opened(server->program.context, &conn->rpc))
        goto refuse;
    conn->opened = true;
    list_add_tail(&lane->conns, &conn->node);
    int err = reactor_add(lane->reactor, &conn->source, EPOLLIN);
    if (err < 0) {
        LOG_WARN("connection refused", "error=%d", -err);
        conn_close(conn);
    }
    *out_conn_id = conn->rpc.id;
    return true;
refuse:
    (void)close(fd);
    free(conn);
    atomic_fetch_sub(&lane->conn_count, 1);
    return false;
}

/* ---- from other threads ------------------------------------------------------------------------
 */

struct conn_message {
    struct reactor_task task;
    struct conn *conn;
    size_t size; /* 0: close */
    uint8_t bytes[];
};

static void deliver(struct reactor_task *task)
{
    struct conn_message *message = CONTAINER_OF(task, struct conn_message, task);
    struct conn *conn = message->conn;
    if (message->size == 0) {
        conn_close(conn);
    } else if (!conn->closing) {
        uint8_t *room = out_room(conn, message->size);
        if (room != NULL)
            memcpy(room, message->bytes, message->size);
        else
            conn_close(conn);
        conn_defer_work(conn);
    }
    free(message);
    conn_unref(conn);
}

static bool post(struct conn *conn, struct slice bytes, bool is_record)
{
    size_t mark = is_record ? RECORD_MARK_BYTES : 0;
    struct conn_message *message = malloc(sizeof *message + mark + bytes.size);
    if (message == NULL)
        return false;
    message->task.run = deliver;
    message->conn = conn;
    message->size = mark + bytes.size;
    if (is_record) {
        store_be32(message->bytes, RPC_LAST_FRAGMENT | (uint32_t)bytes.size);
        memcpy(message->bytes + mark, bytes.data, bytes.size);
    }
    conn_ref(conn);
    reactor_post(conn->lane->reactor, &message->task);
    return true;
}

bool rpc_conn_send(struct rpc_conn *conn, struct slice record)
{
    assert(record.size > 0 && record.size + RECORD_MARK_BYTES <= OUT_COPY_BYTES_MAX);
    return !conn_of(conn)->closing && post(conn_of(conn), record, true);
}

void rpc_conn_close(struct rpc_conn *conn)
{
    /* Out of memory leaves it open: the same as a close that comes late. */
    (void)post(conn_of(conn), (struct slice){ 0 }, false);
}
