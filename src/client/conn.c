/*
 * client/conn.c - connecting, sending, receiving, and doing it again when the connection broke (room:
 * client library).
 *
 * Nothing here knows what a session is: replies go to nfs_session_answered() before their caller is woken. A new
 * connection joins the session with the first SEQUENCE on it: with SP4_NONE no BIND_CONN_TO_SESSION is needed (RFC
 * 8881 section 2.10.3.1).
 * Sources: RFC 5531 section 11 (record marking); RFC 8881 section 2.9.2 (a reply that does not come is asked
 * for again on a new connection, never on the same one).
 */
#include "client/conn.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/clock.h"
#include "base/sys.h"
#include "client/call.h"
#include "client/internal.h"

#define INPUT_BYTES         (128u * 1024)
#define RECORD_SIZE_MAX     (16u << 20) /* of a reply; far above what any session allows */
#define RECEIVE_TICK_MS     250         /* how often a waiting thread looks at the clock */
#define CONNECT_TIMEOUT_MS  5000
#define RECONNECT_DELAY_MIN 20
#define RECONNECT_DELAY_MAX 1000

static int set_options(int fd)
{
    int on = 1;
    struct timeval tick = { .tv_usec = RECEIVE_TICK_MS * 1000 };
    if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tick, sizeof tick) < 0)
        return -errno;
    return 0;
}

/* Waits until the non-blocking connect of `fd` has ended. */
static int await_connect(int fd)
{
    struct pollfd wait = { .fd = fd, .events = POLLOUT };
    int ready;
    do {
        ready = poll(&wait, 1, CONNECT_TIMEOUT_MS);
    } while (ready < 0 && errno == EINTR);
    if (ready < 0)
        return -errno;
    if (ready == 0)
        return -ETIMEDOUT;
    int error = 0;
    socklen_t size = sizeof error;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
        return -errno;
    return -error;
}

/* A connected, blocking socket. */
static int connect_socket(const struct nfs_client *client)
{
    int fd = socket(client->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    int err = 0;
    if (connect(fd, (const struct sockaddr *)&client->address, client->address_size) < 0)
        err = errno == EINPROGRESS ? await_connect(fd) : -errno;
    if (err == 0)
        err = set_options(fd);
    if (err == 0 && fcntl(fd, F_SETFL, 0) < 0)
        err = -errno;
    if (err < 0) {
        (void)close(fd); /* nothing was sent on it */
        return err;
    }
    return fd;
}

/* Writes all of `parts`, which it changes. */
static int send_parts(int fd, struct iovec *parts, size_t count)
{
    while (count > 0) {
        struct msghdr message = { .msg_iov = parts, .msg_iovlen = count };
        ssize_t sent = sendmsg(fd, &message, MSG_NOSIGNAL);
        if (sent < 0) {
            if (errno == EINTR)
                continue;
            return -errno;
        }
        size_t left = (size_t)sent;
        while (count > 0 && left >= parts->iov_len) {
            left -= parts->iov_len;
            parts++;
            count--;
        }
        if (count > 0) {
            parts->iov_base = (uint8_t *)parts->iov_base + left;
            parts->iov_len -= left;
        }
    }
    return 0;
}

static struct iovec part_of(const uint8_t *data, size_t size)
{
    struct slice bytes = slice_of(data, size);
    struct iovec part;
    /* sendmsg() does not write to what it sends; its type cannot say so. */
    memcpy(&part.iov_base, &bytes.data, sizeof part.iov_base);
    part.iov_len = bytes.size;
    return part;
}

static int send_record(int fd, const struct xdr_encoder *enc)
{
    struct iovec parts[2 * XDR_REFERENCES_MAX + 1];
    size_t count = 0;
    size_t at = 0;
    for (uint32_t i = 0; i < enc->reference_count; i++) {
        const struct xdr_reference *reference = &enc->references[i];
        if (reference->at > at)
            parts[count++] = part_of(enc->data + at, reference->at - at);
        parts[count++] = part_of(reference->bytes.data, reference->bytes.size);
        at = reference->at;
    }
    if (enc->size > at)
        parts[count++] = part_of(enc->data + at, enc->size - at);
    return send_parts(fd, parts, count);
}

/* Sends one call that is on the list. A connection that cannot be written to is shut, so that its thread
 * notices and makes it anew. */
static bool send_call(struct nfs_conn *conn, int fd, struct nfs_call *call)
    REQUIRES(conn->send_lock)
{
    if (call->send_count++ > 0)
        atomic_fetch_add(&conn->client->retransmitted, 1);
    if (send_record(fd, &call->enc) == 0)
        return true;
    (void)shutdown(fd, SHUT_RDWR); /* fails only when it is shut already */
    return false;
}

void nfs_conn_send(struct nfs_conn *conn, struct nfs_call *call)
{
    int dead = nfs_client_dead(conn->client);
    mutex_lock(&conn->send_lock);
    mutex_lock(&conn->lock);
    call->sent_ms = clock_coarse_ms();
    call->epoch = conn->epoch;
    list_add_tail(&conn->unanswered, &call->link);
    int fd = conn->fd;
    mutex_unlock(&conn->lock);
    if (fd >= 0 && dead == 0)
        (void)send_call(conn, fd, call); /* when it fails: the thread sends it again */
    mutex_unlock(&conn->send_lock);
    if (dead != 0)
        nfs_conn_kick(conn);
}

/* The next call that this connection has not carried yet; NULL: none. */
static struct nfs_call *next_to_resend(struct nfs_conn *conn)
{
    struct nfs_call *found = NULL;
    mutex_lock(&conn->lock);
    LIST_FOR_EACH(node, &conn->unanswered)
    {
        struct nfs_call *call = LIST_ENTRY(node, struct nfs_call, link);
        if (call->epoch != conn->epoch) {
            call->epoch = conn->epoch;
            call->sent_ms = clock_coarse_ms();
            call->sending = true; /* take_unanswered() leaves it until it is sent */
            found = call;
            break;
        }
    }
    mutex_unlock(&conn->lock);
    return found;
}

/* Sends again what the lost connection left unanswered. A thread of its own: were the receiving one to do
 * it, both sides could wait for each other to read. */
static void *resend_main(void *argument)
{
    struct nfs_conn *conn = argument;
    mutex_lock(&conn->send_lock);
    for (bool sent = true; sent;) {
        struct nfs_call *call = next_to_resend(conn);
        if (call == NULL)
            break;
        sent = send_call(conn, conn->resend_fd, call);
        mutex_lock(&conn->lock);
        call->sending = false;
        (void)pthread_cond_broadcast(&conn->changed);
        mutex_unlock(&conn->lock);
    }
    mutex_unlock(&conn->send_lock);
    return NULL;
}

void nfs_conn_kick(struct nfs_conn *conn)
{
    mutex_lock(&conn->lock);
    if (conn->fd >= 0)
        (void)shutdown(conn->fd, SHUT_RDWR); /* its thread notices */
    (void)pthread_cond_broadcast(&conn->changed);
    mutex_unlock(&conn->lock);
}

/* Why the receiving thread should stop waiting: 0 when it should not. */
static int check_patience(struct nfs_conn *conn)
{
    int err = nfs_client_dead(conn->client);
    uint64_t now_ms = clock_coarse_ms();
    mutex_lock(&conn->lock);
    if (conn->stopping) {
        err = -ECANCELED;
    } else if (err == 0 && !list_is_empty(&conn->unanswered)) {
        const struct nfs_call *oldest = LIST_ENTRY(conn->unanswered.next, struct nfs_call, link);
        if (now_ms > oldest->sent_ms && now_ms - oldest->sent_ms > conn->client->timeout_ms)
            err = -ETIMEDOUT;
    }
    mutex_unlock(&conn->lock);
    return err;
}

/* Receives 1 to `size` bytes. Only the connection's thread changes conn->fd, so it may read it without the lock. */
static ssize_t receive_some(struct nfs_conn *conn, int fd, uint8_t *to, size_t size)
{
    for (;;) {
        ssize_t received = recv(fd, to, size, 0);
        if (received > 0)
            return received;
        if (received == 0)
            return -ECONNRESET;
        if (errno == EAGAIN) {
            int err = check_patience(conn);
            if (err < 0)
                return err;
        } else if (errno != EINTR) {
            return -errno;
        }
    }
}

/* Receives exactly `size` bytes: small pieces through the input buffer, so that many replies take one
 * system call; large ones straight to their place. */
static int receive_exact(struct nfs_conn *conn, int fd, uint8_t *to, size_t size)
{
    while (size > 0) {
        size_t buffered = min_size(size, conn->input_end - conn->input_start);
        memcpy(to, conn->input + conn->input_start, buffered);
        conn->input_start += buffered;
        to += buffered;
        size -= buffered;
        if (size == 0)
            break;
        if (size >= INPUT_BYTES) {
            ssize_t direct = receive_some(conn, fd, to, size);
            if (direct < 0)
                return (int)direct;
            to += direct;
            size -= (size_t)direct;
        } else {
            ssize_t filled = receive_some(conn, fd, conn->input, INPUT_BYTES);
            if (filled < 0)
                return (int)filled;
            conn->input_start = 0;
            conn->input_end = (size_t)filled;
        }
    }
    return 0;
}

/* Receives one record, of any number of fragments; the caller owns *out_record. */
static int receive_record(struct nfs_conn *conn, int fd, uint8_t **out_record, size_t *out_size)
{
    uint8_t *record = NULL;
    size_t size = 0;
    uint32_t mark;
    do {
        uint8_t mark_bytes[4];
        int err = receive_exact(conn, fd, mark_bytes, sizeof mark_bytes);
        mark = load_be32(mark_bytes);
        size_t fragment = mark & ~RPC_LAST_FRAGMENT;
        if (err == 0 && fragment > RECORD_SIZE_MAX - size)
            err = -EMSGSIZE;
        uint8_t *grown = err == 0 ? realloc(record, size + fragment + 1) : NULL;
        if (err == 0 && grown == NULL)
            err = -ENOMEM;
        if (err == 0) {
            record = grown;
            err = receive_exact(conn, fd, record + size, fragment);
            size += fragment;
        }
        if (err < 0) {
            free(record);
            return err;
        }
    } while ((mark & RPC_LAST_FRAGMENT) == 0);
    *out_record = record;
    *out_size = size;
    return 0;
}

/* The unanswered call with this xid, taken off the list; NULL: none, a late reply to what was answered. */
static struct nfs_call *take_unanswered(struct nfs_conn *conn, uint32_t xid)
{
    struct nfs_call *found = NULL;
    mutex_lock(&conn->lock);
    LIST_FOR_EACH(node, &conn->unanswered)
    {
        struct nfs_call *call = LIST_ENTRY(node, struct nfs_call, link);
        if (call->xid == xid) {
            found = call;
            break;
        }
    }
    if (found != NULL) {
        while (found->sending)
            (void)pthread_cond_wait(&conn->changed, &conn->lock.pthread);
        list_remove(&found->link);
    }
    mutex_unlock(&conn->lock);
    return found;
}

/* Receives and hands out replies until the connection breaks; gives the reason. */
static int receive_replies(struct nfs_conn *conn, int fd)
{
    for (;;) {
        uint8_t *record;
        size_t size;
        int err = receive_record(conn, fd, &record, &size);
        if (err < 0)
            return err;
        struct nfs_call *call = size < 4 ? NULL : take_unanswered(conn, load_be32(record));
        if (call == NULL) {
            free(record);
            continue;
        }
        call->record = record;
        nfs_session_answered(conn->client, call, size);
        event_signal(&call->answered); /* from here on `call` is its owner's */
    }
}

/* Fails every unanswered call. */
static void fail_all(struct nfs_conn *conn, int error)
{
    for (;;) {
        mutex_lock(&conn->lock);
        struct nfs_call *call = NULL;
        if (!list_is_empty(&conn->unanswered)) {
            call = LIST_ENTRY(conn->unanswered.next, struct nfs_call, link);
            list_remove(&call->link);
        }
        mutex_unlock(&conn->lock);
        if (call == NULL)
            return;
        call->error = error;
        event_signal(&call->answered);
    }
}

/* Takes the connection from senders and waits until none of them uses it. The caller closes it. */
static void retract(struct nfs_conn *conn)
{
    mutex_lock(&conn->lock);
    if (conn->fd >= 0)
        (void)shutdown(conn->fd, SHUT_RDWR); /* wakes a sender that waits for room */
    conn->fd = -1;
    mutex_unlock(&conn->lock);
    if (conn->has_resender)
        (void)pthread_join(conn->resender, NULL); /* it is ours and was not joined */
    conn->has_resender = false;
    mutex_lock(&conn->send_lock);
    mutex_unlock(&conn->send_lock);
}

/* Waits before the next attempt. False: the thread must end. */
static bool wait_before_retry(struct nfs_conn *conn, uint64_t delay_ms)
{
    uint64_t until_ns = clock_monotonic_ns() + delay_ms * 1000000;
    struct timespec until = { .tv_sec = (time_t)(until_ns / 1000000000),
        .tv_nsec = (long)(until_ns % 1000000000) };
    mutex_lock(&conn->lock);
    if (!conn->stopping)
        (void)pthread_cond_timedwait(&conn->changed, &conn->lock.pthread, &until);
    bool stopping = conn->stopping;
    mutex_unlock(&conn->lock);
    return !stopping;
}

static bool has_unanswered(struct nfs_conn *conn)
{
    mutex_lock(&conn->lock);
    bool has = !list_is_empty(&conn->unanswered);
    mutex_unlock(&conn->lock);
    return has;
}

/* Gives the new connection to senders, and starts sending again what has no answer. */
static int publish(struct nfs_conn *conn, int fd)
{
    mutex_lock(&conn->lock);
    bool resend = !list_is_empty(&conn->unanswered);
    conn->epoch++;
    conn->fd = fd;
    conn->resend_fd = fd;
    mutex_unlock(&conn->lock);
    /* A call that is added from here on carries the new epoch, and is sent by its caller. */
    int err = resend ? -pthread_create(&conn->resender, NULL, resend_main, conn) : 0;
    if (err < 0) {
        retract(conn);
        return err;
    }
    conn->has_resender = resend;
    conn->lost_ms = 0;
    atomic_fetch_add(&conn->client->reconnects, 1);
    return 0;
}

/* The connection is lost: makes it anew and sends again what has no answer. False: the thread must end. */
static bool reconnect(struct nfs_conn *conn)
{
    struct nfs_client *client = conn->client;
    uint64_t delay_ms = RECONNECT_DELAY_MIN;
    if (conn->lost_ms == 0)
        conn->lost_ms = clock_coarse_ms();
    for (;;) {
        int dead = nfs_client_dead(client);
        if (dead != 0)
            fail_all(conn, dead);
        if (!wait_before_retry(conn, delay_ms))
            return false;
        if (dead != 0)
            continue;
        delay_ms = min_u64(delay_ms * 2, RECONNECT_DELAY_MAX);
        conn->input_start = conn->input_end = 0;
        int fd = connect_socket(client);
        int err = fd < 0 ? fd : publish(conn, fd);
        if (err == 0)
            return true;
        if (fd >= 0)
            (void)close(fd); /* it is of no use any more */
        if (!has_unanswered(conn))
            conn->lost_ms =
                clock_coarse_ms(); /* nobody is waiting: patience starts when one does */
        else if (clock_coarse_ms() - conn->lost_ms > client->give_up_ms)
            nfs_client_kill(client, err);
    }
}

static void *conn_main(void *argument)
{
    struct nfs_conn *conn = argument;
    do {
        int fd = conn->fd;
        int err = receive_replies(conn, fd);
        retract(conn);
        (void)close(fd); /* what was not received is asked for again */
        if (err == -ECANCELED)
            break;
    } while (reconnect(conn));
    fail_all(conn, -ECANCELED);
    return NULL;
}

int nfs_conn_open(struct nfs_conn *conn, struct nfs_client *client)
{
    *conn = (struct nfs_conn){ .client = client, .fd = -1 };
    pthread_condattr_t monotonic;
    (void)pthread_mutex_init(&conn->lock.pthread, NULL); /* cannot fail without attributes */
    (void)pthread_mutex_init(&conn->send_lock.pthread, NULL);
    (void)pthread_condattr_init(&monotonic); /* cannot fail on Linux */
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&conn->changed, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    list_init(&conn->unanswered);
    conn->input = malloc(INPUT_BYTES);
    if (conn->input == NULL)
        return -ENOMEM;
    int fd = connect_socket(client);
    if (fd < 0) {
        free(conn->input);
        conn->input = NULL;
        return fd;
    }
    conn->fd = fd;
    int err = pthread_create(&conn->thread, NULL, conn_main, conn);
    if (err != 0) {
        (void)close(fd); /* nothing was sent on it */
        free(conn->input);
        conn->input = NULL;
        conn->fd = -1;
        return -err;
    }
    conn->has_thread = true;
    return 0;
}

void nfs_conn_close(struct nfs_conn *conn)
{
    if (conn->client == NULL)
        return;
    if (conn->has_thread) {
        mutex_lock(&conn->lock);
        conn->stopping = true;
        mutex_unlock(&conn->lock);
        nfs_conn_kick(conn);
        (void)pthread_join(conn->thread, NULL); /* it is ours and was not joined */
        conn->has_thread = false;
    }
    free(conn->input);
    (void)pthread_cond_destroy(&conn->changed); /* nobody waits */
    (void)pthread_mutex_destroy(&conn->lock.pthread);
    (void)pthread_mutex_destroy(&conn->send_lock.pthread);
    conn->client = NULL;
}
