/*
 * mount/tunnel_carry.c - one connection of the kernel, carried on over TLS (room: mount).
 *
 * A thread of its own per connection. Both sockets are non-blocking; bytes wait in two buffers of fixed size, and a side
 * that does not take any is waited for, so memory is bounded and a slow server slows its client.
 */
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "mount/child.h"
#include "mount/tunnel_internal.h"

#define BUFFER_SIZE      ((size_t)512 << 10)
#define CONNECT_LIMIT_MS 5000
#define WAIT_LIMIT_MS    30000 /* for a target that is away */
#define WAIT_STEP_MS     250
#define SHAKE_LIMIT_MS   20000
#define IDLE_PROBE_S     15
#define USER_TIMEOUT_MS  60000

struct buffer {
    size_t begin;
    size_t end;
    uint8_t bytes[BUFFER_SIZE];
};

struct carry {
    int local_fd;
    int remote_fd;
    SSL *ssl;
    struct buffer up;   /* to the server */
    struct buffer down; /* to the kernel */
    bool ssl_wants_write;
    bool has_ended;
};

static void tune(int fd)
{
    const struct {
        int level, option, value;
    } settings[] = { { IPPROTO_TCP, TCP_NODELAY, 1 }, { SOL_SOCKET, SO_KEEPALIVE, 1 },
        { IPPROTO_TCP, TCP_KEEPIDLE, IDLE_PROBE_S }, { IPPROTO_TCP, TCP_KEEPINTVL, 5 },
        { IPPROTO_TCP, TCP_KEEPCNT, 3 }, { IPPROTO_TCP, TCP_USER_TIMEOUT, USER_TIMEOUT_MS } };
    for (size_t i = 0; i < ARRAY_SIZE(settings); i++)
        (void)setsockopt(fd, settings[i].level, settings[i].option, &settings[i].value,
            sizeof settings[i].value); /* it works without, only slower to notice */
}

/* Whether the kernel has given the connection up meanwhile. */
static bool is_gone(int local_fd)
{
    struct pollfd look = { .fd = local_fd, .events = POLLRDHUP };
    return poll(&look, 1, 0) > 0 && (look.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

/* Connects, again and again while the target is away. */
static int connect_target(const struct target *target, int local_fd)
{
    uint64_t deadline_ms = child_now_ms() + WAIT_LIMIT_MS;
    for (;;) {
        int fd = probe_connect(target->address, target->port, CONNECT_LIMIT_MS);
        if (fd >= 0 || child_now_ms() > deadline_ms || is_gone(local_fd))
            return fd;
        (void)poll(NULL, 0, WAIT_STEP_MS); /* a pause */
    }
}

static int wait_for_ssl(struct carry *carry, int ssl_result, uint64_t deadline_ms)
{
    int reason = SSL_get_error(carry->ssl, ssl_result);
    struct pollfd ready = { .fd = carry->remote_fd,
        .events = reason == SSL_ERROR_WANT_WRITE ? POLLOUT : POLLIN };
    if (reason != SSL_ERROR_WANT_READ && reason != SSL_ERROR_WANT_WRITE)
        return -EPROTO;
    uint64_t now_ms = child_now_ms();
    if (now_ms >= deadline_ms)
        return -ETIMEDOUT;
    return poll(&ready, 1, (int)(deadline_ms - now_ms)) < 0 && errno != EINTR ? -errno : 0;
}

static int shake_hands(const struct tunnel_spec *spec, struct carry *carry)
{
    uint64_t deadline_ms = child_now_ms() + SHAKE_LIMIT_MS;
    for (;;) {
        ERR_clear_error();
        int status = SSL_connect(carry->ssl);
        if (status == 1)
            return 0;
        int err = wait_for_ssl(carry, status, deadline_ms);
        if (err == 0)
            continue;
        struct problem problem = { "no answer" };
        char quoted[PROBLEM_TEXT_SIZE];
        if (err == -EPROTO)
            (void)tunnel_tls_explain(spec, carry->ssl, status, &problem);
        LOG_WARN("handshake failed", "reason=%s",
            log_quote(quoted, sizeof quoted, slice_str(problem.text)));
        return err;
    }
}

static void *room_of(struct buffer *buffer, size_t *out_size)
{
    if (buffer->begin == buffer->end)
        buffer->begin = buffer->end = 0;
    if (buffer->end == BUFFER_SIZE && buffer->begin > 0) {
        memmove(buffer->bytes, buffer->bytes + buffer->begin, buffer->end - buffer->begin);
        buffer->end -= buffer->begin;
        buffer->begin = 0;
    }
    *out_size = BUFFER_SIZE - buffer->end;
    return buffer->bytes + buffer->end;
}

/* Each of the four moves what it can; gives whether it moved anything. */
static bool read_local(struct carry *carry)
{
    size_t size;
    void *room = room_of(&carry->up, &size);
    if (size == 0)
        return false;
    ssize_t got = recv(carry->local_fd, room, size, MSG_DONTWAIT);
    if (got > 0)
        carry->up.end += (size_t)got;
    else if (got == 0 || (errno != EAGAIN && errno != EINTR))
        carry->has_ended = true;
    return got > 0;
}

static bool write_local(struct carry *carry)
{
    struct buffer *down = &carry->down;
    if (down->begin == down->end)
        return false;
    ssize_t sent = send(carry->local_fd, down->bytes + down->begin, down->end - down->begin,
        MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent > 0)
        down->begin += (size_t)sent;
    else if (errno != EAGAIN && errno != EINTR)
        carry->has_ended = true;
    return sent > 0;
}

/* Takes note of why OpenSSL did not move anything. */
static void note_ssl(struct carry *carry, int ssl_result)
{
    int reason = SSL_get_error(carry->ssl, ssl_result);
    if (reason == SSL_ERROR_WANT_WRITE)
        carry->ssl_wants_write = true;
    else if (reason != SSL_ERROR_WANT_READ)
        carry->has_ended = true;
}

static bool read_remote(struct carry *carry)
{
    size_t size;
    size_t got = 0;
    void *room = room_of(&carry->down, &size);
    if (size == 0)
        return false;
    ERR_clear_error();
    int status = SSL_read_ex(carry->ssl, room, size, &got);
    if (status == 1)
        carry->down.end += got;
    else
        note_ssl(carry, status);
    return status == 1;
}

static bool write_remote(struct carry *carry)
{
    struct buffer *up = &carry->up;
    size_t sent = 0;
    if (up->begin == up->end)
        return false;
    ERR_clear_error();
    int status = SSL_write_ex(carry->ssl, up->bytes + up->begin, up->end - up->begin, &sent);
    if (status == 1)
        up->begin += sent;
    else
        note_ssl(carry, status);
    return status == 1;
}

static void wait_until_ready(const struct carry *carry)
{
    bool has_room_up = carry->up.end - carry->up.begin < BUFFER_SIZE;
    bool has_room_down = carry->down.end - carry->down.begin < BUFFER_SIZE;
    bool has_down = carry->down.begin < carry->down.end;
    struct pollfd ready[2] = {
        { .fd = carry->local_fd,
            .events = (short)((has_room_up ? POLLIN : 0) | (has_down ? POLLOUT : 0)) },
        { .fd = carry->remote_fd,
            .events =
                (short)((has_room_down ? POLLIN : 0) | (carry->ssl_wants_write ? POLLOUT : 0)) },
    };
    (void)poll(ready, 2, -1); /* interrupted: they are tried all the same */
}

static void carry_bytes(struct carry *carry)
{
    while (!carry->has_ended) {
        carry->ssl_wants_write = false;
        bool moved = read_local(carry);
        moved = (!carry->has_ended && write_remote(carry)) || moved;
        moved = (!carry->has_ended && read_remote(carry)) || moved;
        moved = write_local(carry) || moved;
        if (!moved && !carry->has_ended)
            wait_until_ready(carry);
    }
}

void tunnel_carry(const struct tunnel_spec *spec, struct tunnel_tls *tls, int local_fd)
{
    struct carry *carry = malloc(sizeof *carry);
    int fd = carry != NULL ? connect_target(spec->target, local_fd) : -ENOMEM;
    if (fd < 0) {
        LOG_WARN("target not reached", "address=%s port=%u error=%s", spec->target->address,
            spec->target->port, strerrorname_np(-fd));
        free(carry);
        (void)close(local_fd); /* the kernel connects again */
        return;
    }
    carry->local_fd = local_fd;
    carry->remote_fd = fd;
    carry->up.begin = carry->up.end = carry->down.begin = carry->down.end = 0;
    carry->has_ended = false;
    tune(local_fd);
    tune(fd);
    (void)fcntl(fd, F_SETFL, O_NONBLOCK); /* cannot fail for a socket */
    carry->ssl = tunnel_tls_connection(tls, fd);
    if (carry->ssl != NULL && shake_hands(spec, carry) == 0)
        carry_bytes(carry);
    SSL_free(carry->ssl);
    (void)close(fd);       /* what was not sent is sent again by the kernel */
    (void)close(local_fd); /* likewise */
    free(carry);
}
