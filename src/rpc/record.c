/*
 * rpc/record.c - from the bytes of a stream to records (room: RPC server).
 *
 * A record is a sequence of fragments, each with a 4-byte mark (RFC 5531 section 11). Nearly always
 * it is one fragment, and is then served where it was received. Others are put together in a buffer
 * of their own.
 */
#include <stdlib.h>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "rpc/conn.h"

#define FREE_LARGE_MAX      32
#define RECEIVES_PER_ROUND  4
#define FRAGMENT_MARK_BYTES 4u

struct rx_chunk *chunk_get(struct lane *lane, size_t capacity_min)
{
    bool large = capacity_min > RX_CHUNK_BYTES;
    struct rx_chunk **list = large ? &lane->free_large : &lane->free_small;
    struct rx_chunk *chunk = *list;
    if (chunk != NULL) {
        *list = chunk->next;
        if (large)
            lane->free_large_count--;
    } else {
        size_t capacity = large ? lane->server->chunk_large_bytes : RX_CHUNK_BYTES;
        assert(capacity >= capacity_min);
        chunk = malloc(sizeof *chunk + capacity);
        if (chunk == NULL)
            return NULL;
        chunk->capacity = capacity;
    }
    chunk->refs = 1;
    chunk->used = 0;
    return chunk;
}

void chunk_unref(struct lane *lane, struct rx_chunk *chunk)
{
    if (chunk == NULL || --chunk->refs > 0)
        return;
    if (chunk->capacity == RX_CHUNK_BYTES) {
        chunk->next = lane->free_small;
        lane->free_small = chunk;
    } else if (lane->free_large_count < FREE_LARGE_MAX) {
        chunk->next = lane->free_large;
        lane->free_large = chunk;
        lane->free_large_count++;
    } else {
        free(chunk);
    }
}

/* Appends a fragment to those before it. False: out of memory. */
static bool assemble(struct conn *conn, struct slice fragment)
{
    size_t size_max = conn->lane->server->options.record_size_max;
    if (conn->assembled == NULL) {
        conn->assembled = malloc(size_max);
        if (conn->assembled == NULL)
            return false;
    }
    assert(fragment.size <= size_max - conn->assembled_size); /* record_next() looked */
    memcpy(conn->assembled + conn->assembled_size, fragment.data, fragment.size);
    conn->assembled_size += fragment.size;
    return true;
}

/* Hands the assembled record over in a chunk, so that a request can own it. */
static enum record_result take_assembled(
    struct conn *conn, struct slice *out_record, struct rx_chunk **out_chunk)
{
    struct rx_chunk *chunk = chunk_get(conn->lane, conn->assembled_size);
    if (chunk == NULL)
        return RECORD_BAD;
    memcpy(chunk->data, conn->assembled, conn->assembled_size);
    chunk->used = conn->assembled_size;
    *out_record = slice_of(chunk->data, conn->assembled_size);
    *out_chunk = chunk;
    free(conn->assembled);
    conn->assembled = NULL;
    conn->assembled_size = 0;
    return RECORD_READY;
}

/* All received bytes were parsed: nothing of the chunk is ours any more. */
static void drop_parsed(struct conn *conn)
{
    if (conn->rx != NULL && conn->rx_start == conn->rx->used) {
        chunk_unref(conn->lane, conn->rx);
        conn->rx = NULL;
        conn->rx_start = 0;
    }
}

enum record_result record_next(
    struct conn *conn, struct slice *out_record, struct rx_chunk **out_chunk)
{
    while (conn->rx != NULL && conn->rx->used - conn->rx_start >= FRAGMENT_MARK_BYTES) {
        const uint8_t *at = conn->rx->data + conn->rx_start;
        uint32_t mark = load_be32(at);
        size_t size = mark & ~RPC_LAST_FRAGMENT;
        bool last = (mark & RPC_LAST_FRAGMENT) != 0;
        if (size > conn->lane->server->options.record_size_max - conn->assembled_size)
            return RECORD_BAD;
        if (conn->rx->used - conn->rx_start - FRAGMENT_MARK_BYTES < size)
            return RECORD_NONE;
        struct slice fragment = slice_of(at + FRAGMENT_MARK_BYTES, size);
        conn->rx_start += FRAGMENT_MARK_BYTES + size;
        if (last && conn->assembled == NULL) {
            conn->rx->refs++;
            *out_chunk = conn->rx;
            *out_record = fragment;
            drop_parsed(conn);
            return RECORD_READY;
        }
        if (!assemble(conn, fragment))
            return RECORD_BAD;
        drop_parsed(conn);
        if (last)
            return take_assembled(conn, out_record, out_chunk);
    }
    return RECORD_NONE;
}

/* How many bytes from rx_start on the record that is being received needs in one piece. */
static size_t bytes_wanted(const struct conn *conn)
{
    size_t have = conn->rx->used - conn->rx_start;
    if (have < FRAGMENT_MARK_BYTES)
        return FRAGMENT_MARK_BYTES;
    uint32_t mark = load_be32(conn->rx->data + conn->rx_start);
    size_t size = mark & ~RPC_LAST_FRAGMENT;
    /* record_next() closes the connection of a record that is too big. */
    return FRAGMENT_MARK_BYTES + min_size(size, conn->lane->server->options.record_size_max);
}

/* Makes room behind what was received; gives how much may be received now, 0 without memory. */
static size_t make_room(struct conn *conn)
{
    if (conn->rx == NULL) {
        conn->rx = chunk_get(conn->lane, RX_CHUNK_BYTES);
        conn->rx_start = 0;
        return conn->rx == NULL ? 0 : conn->rx->capacity;
    }
    size_t have = conn->rx->used - conn->rx_start;
    size_t wanted = bytes_wanted(conn);
    if (conn->rx->capacity - conn->rx_start < wanted || conn->rx->used == conn->rx->capacity) {
        struct rx_chunk *chunk = chunk_get(conn->lane, wanted);
        if (chunk == NULL)
            return 0;
        memcpy(chunk->data, conn->rx->data + conn->rx_start, have);
        chunk->used = have;
        chunk_unref(conn->lane, conn->rx);
        conn->rx = chunk;
        conn->rx_start = 0;
    }
    /* Not beyond the end of a large record: what follows would have to be moved. */
    if (wanted > RX_CHUNK_BYTES)
        return wanted - have;
    return conn->rx->capacity - conn->rx->used;
}

bool record_receive(struct conn *conn)
{
    for (int i = 0; i < RECEIVES_PER_ROUND; i++) {
        size_t room = make_room(conn);
        if (room == 0)
            return false;
        ssize_t n = secure_receive(conn, conn->rx->data + conn->rx->used, room);
        if (n == -EINTR)
            continue;
        if (n <= 0) {
            bool alive = n == -EAGAIN;
            conn->broken = n < 0 && !alive;
            drop_parsed(conn);
            return alive;
        }
        conn->rx->used += (size_t)n;
        size_t have = conn->rx->used - conn->rx_start;
        size_t wanted = bytes_wanted(conn);
        if (have < wanted) {
            /* A naive sender may hold the rest back until we acknowledge: do it now. */
            int on = 1;
            (void)setsockopt(conn->source.fd, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof on);
        }
        if ((size_t)n < room || have >= wanted)
            break;
    }
    return true;
}

void record_forget(struct conn *conn)
{
    chunk_unref(conn->lane, conn->rx);
    conn->rx = NULL;
    free(conn->assembled);
    conn->assembled = NULL;
    conn->assembled_size = 0;
}
