/*
 * rpc/server.h - the TCP side of an ONC RPC server: connections, records, requests, replies.
 *
 * Each connection belongs to one reactor. Each complete record becomes a request that runs in a
 * fiber there: the program's `serve` decodes the arguments, does the work (it may wait) and encodes
 * the results; the reply is sent when it returns, together with others that are ready. Replies may
 * overtake each other. What a client can hold is bounded: size of a record, requests running per
 * connection (then reading stops, TCP pushes back), connections.
 */
#pragma once

#include <sys/socket.h>

#include "io/reactor.h"
#include "io/tls.h"
#include "rpc/rpc.h"

struct rpc_server;

/* One connection, as the program sees it. Valid while a request of it runs, or a reference is held.
 */
struct rpc_conn {
    uint64_t id;                   /* unique for the life of the process */
    struct sockaddr_storage local; /* the address that the client connected to: the mount target */
    struct sockaddr_storage peer;
    void *user;     /* the program's own; set by `opened` */
    bool is_secure; /* TLS: set before the first request is served, or between two */
    /* What the client showed, in DER; nobody has looked at it but for its key, which the client has. Empty: nothing. */
    struct slice peer_certificate;
    bool lost_some; /* in `closed`: replies may not have reached the client */
    bool is_dialed; /* by rpc_conn_dial(): it carries calls of ours only */
};

struct rpc_request {
    struct rpc_conn *conn;
    struct arena *arena; /* lives until the reply is sent */
    struct rpc_call call;
    uint32_t program_version; /* what RPC_PROG_MISMATCH says we speak; the program may change it */
    size_t record_size;       /* of the whole call, in bytes, without the record mark */
    struct xdr_decoder args;  /* at the procedure's arguments */
    struct xdr_encoder reply; /* after the accepted reply's header: add the results */
};

/* Why a connection was ended by what came on it. */
enum rpc_refusal {
    RPC_REFUSED_TLS,    /* the handshake failed */
    RPC_REFUSED_RECORD, /* no record of RPC, or one that is too long */
};

struct rpc_program {
    void *context;
    /* A connection was accepted. False: close it. */
    bool (*opened)(void *context, struct rpc_conn *conn);
    /* TLS was agreed on: conn->is_secure and peer_certificate are set. False: close it. Does not wait. NULL: nobody
     * cares. */
    bool (*secured)(void *context, struct rpc_conn *conn);
    /* The connection is about to be closed for what came on it; `reason` is a few words. Does not wait. NULL: nobody
     * cares. */
    void (*refused)(
        void *context, const struct rpc_conn *conn, enum rpc_refusal why, const char *reason);
    /* The connection is gone, no request of it runs. */
    void (*closed)(void *context, struct rpc_conn *conn);
    /* Serves one call of any program number. What it returns other than RPC_SUCCESS replaces the
     * reply. For RPC_PROG_MISMATCH the version is request->program_version, at first that below. To answer nothing at
     * all and close, it returns RPC_SERVER_DROP. Called in a fiber. */
    int (*serve)(void *context, struct rpc_request *request);
    /* A record that is a reply, to one of rpc_conn_send(); on the connection's reactor, does not wait. NULL: such a
     * record closes the connection. */
    void (*reply)(void *context, struct rpc_conn *conn, struct slice record);
    uint32_t program_version;
};
#define RPC_SERVER_DROP (-1)

struct rpc_server_options {
    struct reactor **reactors; /* borrowed */
    unsigned reactor_count;
    size_t record_size_max;       /* bytes of one call; a longer one closes the connection */
    size_t reply_size_max;        /* bytes of one reply */
    unsigned conn_count_max;      /* further ones are closed at once */
    unsigned request_count_max;   /* running at one time per connection */
    struct tls_server *tls;       /* borrowed; NULL: connections are plain only */
    unsigned handshake_count_max; /* at one time; further ones wait for their turn */
    uint64_t handshake_ms_max;    /* from the first byte to the last, waiting included */
};

MUST_CHECK int rpc_server_new(const struct rpc_server_options *options,
    const struct rpc_program *program, struct rpc_server **out_server);
/* Accepts on `address` (port 0: any; see rpc_server_port()). Errors: -EADDRINUSE, -EACCES,
 * -EADDRNOTAVAIL. */
MUST_CHECK int rpc_server_listen(struct rpc_server *server, const struct sockaddr_storage *address);
/* The port of the first listener. */
uint16_t rpc_server_port(const struct rpc_server *server);
/* Stops accepting and reading; waits, at most `timeout_ms`, until all running requests are
 * answered; closes. */
void rpc_server_drain(struct rpc_server *server, uint64_t timeout_ms);
/* After rpc_server_drain(). NULL is allowed. */
void rpc_server_free(struct rpc_server *server);
/* Closes connections whose handshake takes too long; call it once a second with clock_coarse_ms(). From any thread
 * that is not a reactor's. */
void rpc_server_tick(struct rpc_server *server, uint64_t now_ms);
/* Closes connections for which `match` is true, e.g. those of a deleted mount target. From any
 * thread. */
void rpc_server_close_matching(struct rpc_server *server,
    bool (*match)(void *context, const struct rpc_conn *conn), void *context);
unsigned rpc_server_conn_count(const struct rpc_server *server);

/* Keeps `conn` (not its socket) valid; on its reactor's thread or inside a request of it. */
void rpc_conn_ref(struct rpc_conn *conn);
void rpc_conn_unref(struct rpc_conn *conn);
/* Sends a record of the server's own (a callback); bytes are copied. From any thread. False: the
 * connection is closed. */
MUST_CHECK bool rpc_conn_send(struct rpc_conn *conn, struct slice record);
/* Begins to connect to another port of the host that `beside` comes from, from the address that it came to; what is sent
 * on the new connection before it is made waits. The program hears of it by `opened` and `closed`, as of others. In a
 * request of `beside`. Errors: -EMFILE: too many connections; -EAFNOSUPPORT; -ENOMEM; those of connect(2). */
MUST_CHECK int rpc_conn_dial(struct rpc_conn *beside, uint16_t port, uint64_t *out_conn_id);
/* False: the client's TCP has acknowledged every reply that was given so far, so none has to be sent again. The caller
 * has a reference. From any thread; may wait. */
MUST_CHECK bool rpc_conn_may_lose(struct rpc_conn *conn);
/* Closes the connection soon; from any thread. */
void rpc_conn_close(struct rpc_conn *conn);
