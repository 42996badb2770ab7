/*
 * client/internal.h - what the files of this room share of one client; nobody else includes it.
 *
 * Locks, in the order in which they may be taken: recovery_lock, then either `lock` or one
 * connection's lock; the last two are never held together.
 */
#pragma once

#include <stdatomic.h>
#include <sys/socket.h>

#include "base/list.h"
#include "base/lock.h"
#include "client/call.h"
#include "client/conn.h"
#include "rpc/rpc.h"

#define NFS_LEASE_MS_DEFAULT (90u * 1000)

struct nfs_slot {
    uint32_t seqid; /* of the next request */
    bool busy;
};

/* The session in use; all under nfs_client.lock. */
struct nfs_session {
    uint8_t id[NFS4_SESSIONID_SIZE];
    uint64_t generation; /* 0: there was none yet */
    bool recovering;     /* only calls with NFS_CALL_RECOVERY may start */
    unsigned slot_count;
    unsigned slot_limit; /* the server's wish, at most slot_count */
    struct nfs_slot slots[NFS_CLIENT_SLOTS_MAX];
};

struct nfs_client {
    /* constant once connected */
    struct sockaddr_storage address;
    socklen_t address_size;
    struct rpc_cred cred;
    char machine_name[65];
    unsigned slot_count_wanted;
    uint64_t timeout_ms;
    _Atomic uint64_t give_up_ms;
    uint64_t lease_ms;
    uint32_t io_size;
    uint32_t request_size_max;
    uint32_t response_size_max;
    unsigned conn_count;
    struct nfs_conn conns[NFS_CLIENT_CONNECTIONS_MAX];

    _Atomic uint32_t next_xid;
    _Atomic uint64_t next_owner;
    _Atomic uint64_t last_sequence_ms; /* when the lease was last renewed */
    _Atomic uint64_t calls, reconnects, sessions, reclaimed, retransmitted;

    struct mutex lock;
    pthread_cond_t slot_freed;
    struct nfs_session session;
    int dead_error;    /* 0, or what every call answers: the server stays away */
    struct list files; /* nfs_file.link of all open files */

    struct mutex recovery_lock; /* one thread repairs */
    uint8_t owner_verifier[NFS4_VERIFIER_SIZE];
    char owner_id[128];
    uint64_t clientid;
    uint32_t create_session_seqid;
    bool has_clientid;
    pthread_t renewer;
    pthread_cond_t stop_changed;
    bool has_renewer;
    bool stopping; /* under `lock` */
};

/* session.c */

/* Waits for a free slot and writes its numbers into the call's SEQUENCE. Errors: client->dead_error. */
MUST_CHECK int nfs_session_take_slot(struct nfs_client *client, struct nfs_call *call);
/* Reads the head of the reply `call->record`, and gives the slot back when the server is through with it. */
void nfs_session_answered(struct nfs_client *client, struct nfs_call *call, size_t record_size);
/* Makes the first session. */
MUST_CHECK int nfs_session_open(struct nfs_client *client);
/* Makes a new one, and a new client if need be, unless another thread did so since `generation`. */
MUST_CHECK int nfs_session_recover(struct nfs_client *client, uint64_t generation);
/* Tells the server that session and client are no longer needed. */
void nfs_session_close(struct nfs_client *client);

/* client.c */

/* Makes all calls fail with `error` from now on. */
void nfs_client_kill(struct nfs_client *client, int error);
/* client->dead_error. */
int nfs_client_dead(struct nfs_client *client);

/* file.c */

/* Reclaims all open files after a restart of the server; those that fail are opened anew when next used. */
void nfs_file_reclaim_all(struct nfs_client *client);
