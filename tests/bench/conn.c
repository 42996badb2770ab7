/*
 * tests/bench/conn.c - one TCP connection: many requests in one send, many replies in one receive.
 */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/uio.h>
#include <unistd.h>

#include "bench.h"
#include "secure.h"

#define OUT_START_BYTES (64 * KIB)
#define OUT_MAX_BYTES   (1024 * MIB)
#define IN_BYTES        (2 * (IO_SIZE_MAX + 64 * KIB))
#define IN_ARENA_BYTES  (64 * MIB)

static void out_reset(struct conn *conn)
{
    arena_reset(&conn->out_arena);
    xdr_encoder_init(&conn->out, &conn->out_arena, OUT_MAX_BYTES);
    conn->sent_bytes = 0;
    /* Start with room for a whole batch instead of growing to it each time. */
    conn->out.data = conn->out_start;
    conn->out.capacity = OUT_START_BYTES;
}

static int connect_to(const struct options *options)
{
    int fd = socket(options->server.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    const int on = 1;
    if (connect(fd, (const struct sockaddr *)&options->server, options->server_size) < 0 ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) < 0) {
        int err = -errno;
        (void)close(fd); /* the first error is the one to tell */
        return err;
    }
    return fd;
}

int conn_open(struct conn *conn, const struct options *options, uint32_t index)
{
    *conn = (struct conn){
        .index = index, .options = options, .fd = -1, .epoll_fd = -1, .random = index + 1
    };
    arena_init(&conn->out_arena, OUT_MAX_BYTES);
    arena_init(&conn->in_arena, IN_ARENA_BYTES);
    conn->in = malloc(IN_BYTES);
    conn->slots = calloc(options->in_flight, sizeof *conn->slots);
    conn->generations = calloc(options->file_bytes / BLOCK_BYTES, 1);
    conn->out_start = malloc(OUT_START_BYTES);
    if (conn->in == NULL || conn->slots == NULL || conn->generations == NULL ||
        conn->out_start == NULL)
        return -ENOMEM;
    conn->fd = connect_to(options);
    if (conn->fd < 0)
        return conn->fd;
    int err = options->tls ? secure_open(conn) : 0;
    if (err < 0)
        return err;
    out_reset(conn);
    for (uint32_t i = 0; i < options->in_flight; i++)
        conn->slots[i].index = i;
    return 0;
}

void conn_close(struct conn *conn)
{
    secure_close(conn);
    if (conn->fd >= 0)
        (void)close(conn->fd); /* nothing is to be saved */
    for (uint32_t i = 0; conn->slots != NULL && i < conn->options->in_flight; i++)
        free(conn->slots[i].data);
    free(conn->slots);
    free(conn->generations);
    free(conn->samples);
    free(conn->in);
    free(conn->out_start);
    arena_fini(&conn->out_arena);
    arena_fini(&conn->in_arena);
}

/* What is not yet sent, in pieces; their number. */
static size_t out_pieces(const struct conn *conn, struct iovec *pieces)
{
    const struct xdr_encoder *out = &conn->out;
    size_t count = 0;
    size_t skip = conn->sent_bytes;
    size_t from = 0;
    for (uint32_t i = 0; i <= out->reference_count; i++) {
        bool is_last = i == out->reference_count;
        size_t end = is_last ? out->size : out->references[i].at;
        struct slice both[2] = { slice_of(out->data + from, end - from),
            is_last ? (struct slice){ 0 } : out->references[i].bytes };
        from = end;
        for (size_t j = 0; j < ARRAY_SIZE(both); j++) {
            size_t skipped = min_size(skip, both[j].size);
            skip -= skipped;
            if (skipped == both[j].size)
                continue;
            /* An iovec knows no const: NOLINTNEXTLINE(performance-no-int-to-ptr) */
            pieces[count].iov_base = (void *)(uintptr_t)(both[j].data + skipped);
            pieces[count++].iov_len = both[j].size - skipped;
        }
    }
    return count;
}

/* Asks epoll to tell when there is room to send, or no longer. */
static void wait_to_send(struct conn *conn, bool waits)
{
    if (conn->epoll_fd < 0 || conn->waits_to_send == waits)
        return;
    conn->waits_to_send = waits;
    struct epoll_event event = { .events = EPOLLIN | (waits ? EPOLLOUT : 0), .data.ptr = conn };
    int done = epoll_ctl(conn->epoll_fd, EPOLL_CTL_MOD, conn->fd, &event);
    assert(done == 0);
}

/* Gives how many bytes were taken, or -errno. */
static ssize_t send_some(struct conn *conn)
{
    struct iovec pieces[2 * XDR_REFERENCES_MAX + 1];
    size_t count = out_pieces(conn, pieces);
    struct msghdr message = { .msg_iov = pieces, .msg_iovlen = count };
    if (conn->tls != NULL)
        return secure_send(conn, pieces, count);
    ssize_t sent = sendmsg(conn->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    return sent < 0 ? -errno : sent;
}

static ssize_t receive_some(struct conn *conn, uint8_t *buffer, size_t size)
{
    if (conn->tls != NULL)
        return secure_receive(conn, buffer, size);
    ssize_t received = recv(conn->fd, buffer, size, MSG_DONTWAIT);
    return received < 0 ? -errno : received;
}

int conn_flush(struct conn *conn)
{
    assert(!conn->out.failed);
    while (conn->sent_bytes < xdr_position(&conn->out)) {
        ssize_t sent = send_some(conn);
        if (sent == -EAGAIN) {
            wait_to_send(conn, true);
            return 0;
        }
        if (sent < 0 && sent != -EINTR)
            return (int)sent;
        if (sent > 0)
            conn->sent_bytes += (size_t)sent;
    }
    wait_to_send(conn, false);
    out_reset(conn);
    return 0;
}

int conn_receive(struct conn *conn)
{
    /* Make room at the end when less is left than the greatest record may need. */
    if (conn->in_start == conn->in_end) {
        conn->in_start = conn->in_end = 0;
    } else if (IN_BYTES - conn->in_start < IN_BYTES / 2) {
        memmove(conn->in, conn->in + conn->in_start, conn->in_end - conn->in_start);
        conn->in_end -= conn->in_start;
        conn->in_start = 0;
    }
    ssize_t received = receive_some(conn, conn->in + conn->in_end, IN_BYTES - conn->in_end);
    if (received == 0)
        return -ECONNRESET;
    if (received < 0)
        return received == -EAGAIN || received == -EINTR ? 0 : (int)received;
    conn->in_end += (size_t)received;
    return 0;
}

int conn_next_record(struct conn *conn, struct slice *out_record)
{
    size_t left = conn->in_end - conn->in_start;
    if (left < 4)
        return 0;
    uint32_t mark = load_be32(conn->in + conn->in_start);
    uint32_t size = mark & ~RPC_LAST_FRAGMENT;
    /* A reply in several fragments is legal, but no server known to us sends one. */
    if ((mark & RPC_LAST_FRAGMENT) == 0 || size > IN_BYTES / 2 - 4)
        return -EPROTO;
    if (left - 4 < size)
        return 0;
    *out_record = slice_of(conn->in + conn->in_start + 4, size);
    conn->in_start += 4 + size;
    return 1;
}

int conn_call(struct conn *conn, struct request *request, struct reply *out_reply)
{
    request_end(request);
    for (;;) {
        int err = conn_flush(conn);
        if (err < 0)
            return err;
        bool has_more = conn->sent_bytes < xdr_position(&conn->out);
        struct pollfd wait = { .fd = conn->fd,
            .events = (short)(POLLIN | (has_more ? POLLOUT : 0)) };
        int ready = poll(&wait, 1, SILENCE_MAX_MS);
        if (ready <= 0)
            return ready < 0 ? -errno : -ETIMEDOUT;
        err = (wait.revents & ~POLLOUT) == 0 ? 0 : conn_receive(conn);
        struct slice record;
        uint32_t slot_index;
        int has_record = err < 0 ? err : conn_next_record(conn, &record);
        if (has_record < 0)
            return has_record;
        if (has_record > 0)
            return reply_begin(conn, record, &slot_index, out_reply) ? 0 : -EBADMSG;
    }
}
