/*
 * nfs/callback.h - calling clients back, on the connections that they made (RFC 8881 section 2.10.3.1); those of 4.0
 * on one that was made to them (nfs/callpath.h).
 *
 * A callback goes out at once, from whatever thread asks for it, on a connection that is bound to the back channel of
 * one of the client's sessions. Its end is told by `done`, in the thread that learns of it: the reactor of the
 * connection, or the one that ticks. Nobody waits here. docs/design/0004-delegations.md.
 */
#pragma once

#include <pthread.h>

#include "base/list.h"
#include "nfs/server.h"
#include "state/back.h"
#include "state/table.h"
#include "xdr/nfs4_xdr.h"

/* How a callback ended. `err` 0: the client answered `res` (its status first), valid during the call. -ENOTCONN: its
 * connection closed; -ETIMEDOUT: no answer, its connection is no longer called on; -EPROTO: an answer that is none;
 * -EAGAIN: the client asks to be called later. Takes no lock of nfs/ or state/ that it does not give back, and does not wait. */
typedef void callback_done(
    struct nfs_server *server, void *context, int err, const union nfs_cb_resop4 *res);

struct callbacks {
    pthread_mutex_t lock;
    struct state_table by_xid;
    struct list all;      /* oldest first */
    _Atomic uint32_t xid; /* the next one */
};

void callbacks_init(struct callbacks *callbacks);
/* When no connection is left. */
void callbacks_fini(struct callbacks *callbacks);

/* Sends one operation, behind CB_SEQUENCE if the client has sessions. On success `done` is called exactly once, even before this returns. Errors, with
 * which it is not: -ENOTCONN: the client has no back channel now; -EAGAIN: all its slots are in use; -ENOMEM;
 * -EACCES: it offered no security that we have. */
MUST_CHECK int callback_send(struct nfs_server *server, uint64_t clientid, uint32_t opcode,
    const union nfs_cb_argop4 *arg, callback_done *done, void *context);

/* Sends one operation in a session, if it can be called now; what comes of it is the client's affair. */
void callback_hint(struct nfs_server *server, const uint8_t sessionid[NFS4_SESSIONID_SIZE],
    uint32_t opcode, const union nfs_cb_argop4 *arg);

/* Sends CB_NULL on a connection, whoever is there; `done` as above, without `res`. Errors: -ENOTCONN, -ENOMEM. */
MUST_CHECK int callback_probe(struct nfs_server *server, uint64_t conn_id, uint32_t program,
    callback_done *done, void *context);

/* A record that came as a reply. */
void callback_reply(struct nfs_server *server, uint64_t conn_id, struct slice record);
/* The connection is gone: what was asked on it has no answer. */
void callback_conn_closed(struct nfs_server *server, uint64_t conn_id);
/* Gives up what was not answered in time. */
void callback_tick(struct nfs_server *server, uint64_t now_ms);
