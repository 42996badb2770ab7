/*
 * rpc/conn.h - one connection and its lane, inside rpc/ only.
 *
 * A lane is what one reactor keeps for its connections: free buffers and requests, limits. All of a
 * lane, and all of a connection but `refs`, is touched on its reactor's thread only.
 *
 * A connection's work (parse what was received, serve it, send what is ready) is one task, deferred
 * to the end of the reactor's round: so the replies of a round leave together. When a request
 * waits, the task, deferred again before each request, goes on with the next record in another
 * fiber.
 */
#pragma once

#include <sys/uio.h>

#include "base/list.h"
#include "rpc/server.h"

#define RX_CHUNK_BYTES     (64u * 1024)
#define OUT_COPY_BYTES_MAX (8u * 1024) /* larger replies are sent from where they are */
#define RECORD_MARK_BYTES  4u

/* Received bytes, shared by the requests whose records lie in it. */
struct rx_chunk {
    struct rx_chunk *next; /* in the lane's free list */
    unsigned refs;
    size_t capacity;
    size_t used;
    uint8_t data[];
};

struct conn;

/* How far a connection is: rpc/secure.c, where the transitions are drawn. */
enum conn_phase {
    CONN_FRESH,   /* no byte has come: the first one tells TLS from RPC */
    CONN_WAITING, /* its handshake has to wait for its turn */
    CONN_SHAKING, /* the handshake goes on */
    CONN_OPEN,    /* records come, plain or by TLS */
};

struct request {
    struct rpc_request rpc;
    struct arena arena;
    struct conn *conn;      /* referenced */
    struct rx_chunk *chunk; /* referenced; where the record lies */
    struct request *next;   /* in the lane's free list */
};

/* A piece of output; what it points at is released once it is sent. */
struct out_piece {
    const uint8_t *data;
    size_t size;
    struct rx_chunk *chunk;  /* of small replies, copied together; or NULL */
    struct request *request; /* of a large reply: on its last piece; or NULL */
};

struct lane {
    struct rpc_server *server;
    struct reactor *reactor;
    struct rx_chunk *free_small;
    struct rx_chunk *free_large;
    unsigned free_large_count;
    struct request *free_requests;
    unsigned free_request_count;
    struct list conns;
    struct list paused;  /* connections that wait for a fiber */
    struct list waiting; /* those in CONN_WAITING, */
    struct list shaking; /* and in CONN_SHAKING; both the oldest first */
    unsigned shaking_count;
    bool draining;
    _Atomic unsigned conn_count;
    _Atomic unsigned running; /* requests */
};

struct conn {
    struct rpc_conn rpc;
    struct reactor_source source;
    struct reactor_task work;
    struct lane *lane;
    struct list node;        /* in lane->conns */
    struct list paused_node; /* in lane->paused */
    enum conn_phase phase;
    bool wants_tls;         /* the answer STARTTLS was given: a handshake comes next */
    bool has_unread;        /* `tls` may hold bytes that the socket does not show */
    struct tls *tls;        /* NULL: plain */
    struct list shake_node; /* in lane->waiting or lane->shaking */
    uint64_t shake_end_ms;  /* when its handshake must be over */
    _Atomic unsigned refs; /* the socket's, one per request, per deferred work, and the program's */
    bool opened;           /* the program knows it */
    _Atomic bool closing;  /* the socket is closed */
    bool broken;           /* the socket failed: what it had not sent yet is lost */
    bool stalled;          /* parsing stopped because the client does not read its replies */
    bool work_deferred;
    uint64_t
        parse_turn;   /* grows with each record served: tells a fiber that another one parses now */
    unsigned running; /* requests not yet answered */

    struct rx_chunk *rx; /* bytes received and not yet parsed: [rx_start, rx->used) */
    size_t rx_start;
    uint8_t *assembled; /* the earlier fragments of a record; NULL when there are none */
    size_t assembled_size;

    struct out_piece *out; /* a queue in an array: [out_first, out_count) */
    size_t out_first;
    size_t out_count;
    size_t out_capacity;
    size_t out_bytes;
};

struct rpc_server {
    struct rpc_server_options options;
    struct rpc_program program;
    struct lane *lanes;
    struct list listeners;
    size_t chunk_large_bytes;
    _Atomic uint64_t conn_id_next;
    bool drained;
};

void lane_init(struct lane *lane, struct rpc_server *server, struct reactor *reactor);
void lane_fini(struct lane *lane);

/* rpc/secure.c: the way from the first byte to CONN_OPEN. On the lane's thread. */

/* The socket has something for a connection that is not open yet. True: it is open now, receive. */
bool secure_ready(struct conn *conn);
/* Whether this call asks for TLS, and may: then its answer is the verifier STARTTLS (RFC 9289 section 4.1). */
bool secure_is_asked(const struct conn *conn, const struct rpc_call *call);
/* That answer was queued. False: the client did not wait for it, close. */
MUST_CHECK bool secure_expect(struct conn *conn);
/* The connection closes. */
void secure_end(struct conn *conn);
/* Closes the connections whose time for the handshake is over. */
void secure_tick(struct lane *lane, uint64_t now_ms);

/* recv() and sendmsg(), through TLS where there is some; -EAGAIN, 0 at the end, or the error. */
MUST_CHECK ssize_t secure_receive(struct conn *conn, uint8_t *buffer, size_t size);
MUST_CHECK ssize_t secure_send(struct conn *conn, const struct iovec *iov, size_t count);

/* Takes `fd`, a socket to `peer` that was accepted, or is being connected (`is_dialed`), and that is counted already; on
 * the lane's thread. False: it was refused, and is closed. */
bool conn_start(struct lane *lane, int fd, const struct sockaddr_storage *peer, bool is_dialed,
    uint64_t *out_conn_id);
/* Closes the socket now; the rest goes when the last request is done. */
void conn_close(struct conn *conn);
/* The same, for what came on it: the program is told why. */
void conn_refuse(struct conn *conn, enum rpc_refusal why, const char *reason);
/* Whether replies may not have reached the client, or never will; on the lane's thread. */
bool conn_may_lose(struct conn *conn);
/* A reference more, or one less. */
void conn_ref(struct conn *conn);
void conn_unref(struct conn *conn);
/* Lets the work task run at the end of this round. */
void conn_defer_work(struct conn *conn);

/* rpc/output.c: the queue of what is to be sent. */

/* Room for `size` bytes (at most OUT_COPY_BYTES_MAX) that are sent after all before them. NULL: no memory. */
MUST_CHECK uint8_t *out_room(struct conn *conn, size_t size);
/* Queues the encoded reply, or closes. Takes the request. */
void out_add_reply(struct conn *conn, struct request *request);
/* Sends what is queued, as far as the socket takes it. May close the connection. */
void out_flush(struct conn *conn);
/* Drops what is queued. */
void out_forget(struct conn *conn);

/* rpc/request.c */

/* A request without a connection or a record yet; NULL: no memory. */
MUST_CHECK struct request *request_get(struct lane *lane);
/* Gives it back, with its references. */
void request_put(struct lane *lane, struct request *request);
/* Serves its record into its reply. False: the connection must be closed. May wait. */
MUST_CHECK bool request_run(struct request *request);

/* rpc/record.c: cuts what was received into records, receives. */
enum record_result { RECORD_NONE, RECORD_READY, RECORD_BAD };
/* Gives the next whole record. *out_chunk is referenced for the caller. */
enum record_result record_next(
    struct conn *conn, struct slice *out_record, struct rx_chunk **out_chunk);
/* Receives what is there. False: the connection ended or failed. */
MUST_CHECK bool record_receive(struct conn *conn);
void record_forget(struct conn *conn);

MUST_CHECK struct rx_chunk *chunk_get(struct lane *lane, size_t capacity_min);
void chunk_unref(struct lane *lane, struct rx_chunk *chunk);
