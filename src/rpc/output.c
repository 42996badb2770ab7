/*
 * rpc/output.c - what a connection is to send: small pieces copied together, large ones from where they lie (room: RPC server).
 *
 * Threads: the connection's reactor.
 */
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/uio.h>

#include "rpc/conn.h"

#define OUT_IOVECS 64

static void out_release(struct lane *lane, struct out_piece *piece)
{
    chunk_unref(lane, piece->chunk);
    if (piece->request != NULL)
        request_put(lane, piece->request);
}

static bool out_add(struct conn *conn, const struct out_piece *piece)
{
    if (conn->out_count == conn->out_capacity && conn->out_first > 0) {
        conn->out_count -= conn->out_first;
        memmove(conn->out, conn->out + conn->out_first, conn->out_count * sizeof *conn->out);
        conn->out_first = 0;
    }
    if (conn->out_count == conn->out_capacity) {
        size_t capacity = conn->out_capacity == 0 ? 16 : conn->out_capacity * 2;
        struct out_piece *grown = realloc(conn->out, capacity * sizeof *grown);
        if (grown == NULL)
            return false;
        conn->out = grown;
        conn->out_capacity = capacity;
    }
    conn->out[conn->out_count++] = *piece;
    conn->out_bytes += piece->size;
    return true;
}

uint8_t *out_room(struct conn *conn, size_t size)
{
    if (conn->out_count > conn->out_first) {
        struct out_piece *tail = &conn->out[conn->out_count - 1];
        if (tail->chunk != NULL && tail->chunk->capacity - tail->chunk->used >= size) {
            uint8_t *at = tail->chunk->data + tail->chunk->used;
            tail->chunk->used += size;
            tail->size += size;
            conn->out_bytes += size;
            return at;
        }
    }
    struct rx_chunk *chunk = chunk_get(conn->lane, RX_CHUNK_BYTES);
    if (chunk == NULL)
        return NULL;
    chunk->used = size;
    const struct out_piece piece = { .data = chunk->data, .size = size, .chunk = chunk };
    if (!out_add(conn, &piece)) {
        chunk_unref(conn->lane, chunk);
        return NULL;
    }
    return chunk->data;
}

static void out_consume(struct conn *conn, size_t sent)
{
    conn->out_bytes -= sent;
    while (sent > 0) {
        struct out_piece *piece = &conn->out[conn->out_first];
        if (sent < piece->size) {
            piece->data += sent;
            piece->size -= sent;
            return;
        }
        sent -= piece->size;
        conn->out_first++;
        out_release(conn->lane, piece);
    }
    if (conn->out_first == conn->out_count) {
        conn->out_first = 0;
        conn->out_count = 0;
    }
}

void out_flush(struct conn *conn)
{
    if (conn->phase == CONN_WAITING || conn->phase == CONN_SHAKING)
        return; /* sent once the handshake is done */
    while (!conn->closing && conn->out_first < conn->out_count) {
        struct iovec iov[OUT_IOVECS];
        size_t count = min_size(conn->out_count - conn->out_first, OUT_IOVECS);
        for (size_t i = 0; i < count; i++) {
            const struct out_piece *piece = &conn->out[conn->out_first + i];
            /* sendmsg() does not write. NOLINTNEXTLINE(performance-no-int-to-ptr) */
            iov[i].iov_base = (void *)(uintptr_t)piece->data;
            iov[i].iov_len = piece->size;
        }
        ssize_t n = secure_send(conn, iov, count);
        if (n >= 0) {
            out_consume(conn, (size_t)n);
        } else if (n == -EAGAIN) {
            reactor_change(conn->lane->reactor, &conn->source, conn->source.events | EPOLLOUT);
            return;
        } else if (n != -EINTR) {
            conn->broken = true;
            conn_close(conn);
            return;
        }
    }
    if (!conn->closing && (conn->source.events & EPOLLOUT) != 0)
        reactor_change(
            conn->lane->reactor, &conn->source, conn->source.events & ~(uint32_t)EPOLLOUT);
}

/* Queues a reply whose bytes lie in the request's arena; the request goes when they are sent. */
static bool out_add_large(struct conn *conn, struct request *request)
{
    const struct xdr_encoder *reply = &request->rpc.reply;
    size_t at = 0;
    bool ok = true;
    for (uint32_t i = 0; i < reply->reference_count && ok; i++) {
        const struct xdr_reference *reference = &reply->references[i];
        if (reference->at > at)
            ok = out_add(
                conn, &(struct out_piece){ .data = reply->data + at, .size = reference->at - at });
        ok = ok && out_add(conn, &(struct out_piece){ .data = reference->bytes.data,
                                     .size = reference->bytes.size });
        at = reference->at;
    }
    if (ok && reply->size > at)
        ok = out_add(
            conn, &(struct out_piece){ .data = reply->data + at, .size = reply->size - at });
    if (ok)
        conn->out[conn->out_count - 1].request = request;
    return ok; /* else the caller closes the connection, which forgets the pieces */
}

void out_add_reply(struct conn *conn, struct request *request)
{
    struct xdr_encoder *reply = &request->rpc.reply;
    size_t total = xdr_position(reply);
    assert(!reply->failed && total > RECORD_MARK_BYTES);
    store_be32(reply->data, RPC_LAST_FRAGMENT | (uint32_t)(total - RECORD_MARK_BYTES));
    if (conn->closing) {
        request_put(conn->lane, request);
        return;
    }
    if (total <= OUT_COPY_BYTES_MAX && reply->reference_count == 0) {
        uint8_t *room = out_room(conn, total);
        if (room != NULL)
            memcpy(room, reply->data, total);
        else
            conn_close(conn);
        request_put(conn->lane, request);
        return;
    }
    if (!out_add_large(conn, request)) {
        conn_close(conn);
        request_put(conn->lane, request);
    }
}

void out_forget(struct conn *conn)
{
    for (size_t i = conn->out_first; i < conn->out_count; i++)
        out_release(conn->lane, &conn->out[i]);
    conn->out_first = 0;
    conn->out_count = 0;
    conn->out_bytes = 0;
}
