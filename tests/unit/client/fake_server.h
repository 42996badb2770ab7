/*
 * tests/unit/client/fake_server.h - an NFSv4.1 server that has no files, but real sessions, and does what it is told.
 *
 * It knows EXCHANGE_ID, CREATE_SESSION and SEQUENCE with slots and kept replies; every other operation succeeds with
 * an empty result, unless the test's hook says otherwise. One thread a connection. The hook runs under the server's
 * lock.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "client/client.h"
#include "xdr/xdr.h"

#define FAKE_SLOTS_MAX 64u
#define FAKE_OPS_MAX   32u

struct fake_request {
    uint32_t op_count;
    uint32_t ops[FAKE_OPS_MAX];
    union nfs_argop4 args[FAKE_OPS_MAX];
    uint32_t slot; /* of a request with SEQUENCE */
    uint32_t seqid;
    bool is_replay; /* it was executed before */
};

/* What to do with a request; all zero: execute it and answer. */
struct fake_verdict {
    bool cut_before;        /* close the connection, as if it had never come */
    bool cut_after;         /* execute it, keep the reply, close the connection */
    enum nfsstat4 sequence; /* what SEQUENCE (or the only operation) answers */
    uint32_t failed_op;     /* with `status`: the operation that fails */
    enum nfsstat4 status;
    bool garbage;                /* answer with bytes that are no reply */
    const union nfs_resop4 *res; /* the result of the operation `res_op` */
    uint32_t res_op;
};

typedef struct fake_verdict fake_hook(void *context, const struct fake_request *request);

struct fake_slot {
    uint32_t seqid;
    uint8_t *reply;
    size_t reply_size;
};

struct fake_server {
    int listener;
    uint16_t port;
    pthread_t acceptor;
    _Atomic bool stopping;
    _Atomic int conns[256];
    pthread_t threads[256];
    _Atomic unsigned conn_count;

    pthread_mutex_t lock; /* of all below */
    fake_hook *hook;
    void *context;
    uint32_t slot_count; /* to grant */
    bool client_known;   /* CREATE_SESSION finds the client */
    bool session_known;  /* SEQUENCE finds the session */
    uint64_t session_number;
    struct fake_slot slots[FAKE_SLOTS_MAX];
    unsigned executed; /* requests with SEQUENCE, replays not counted */
    unsigned replays;
    unsigned misordered; /* answers SEQ_MISORDERED: a mistake of the client */
    unsigned exchange_ids;
    unsigned create_sessions;
    uint8_t write_verifier[NFS4_VERIFIER_SIZE];
};

/* Listens on loopback. */
void fake_server_start(struct fake_server *server, fake_hook *hook, void *context);
void fake_server_stop(struct fake_server *server);
/* Closes all connections. */
void fake_server_cut(struct fake_server *server);
/* Forgets sessions and clients, as a restart does; the write verifier changes. */
void fake_server_restart(struct fake_server *server);
/* A client with `connections` and `slots`, and short patience. */
struct nfs_client *fake_server_client(
    struct fake_server *server, unsigned connections, unsigned slots);
