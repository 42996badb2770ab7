/*
 * nfs/callpath.h - version 4.0: connections that are made to clients, to call them back; and whose requests those of a
 * connection are.
 *
 * Only with option nfs.callbacks_v40. A connection goes to the host that the client's own one comes from, and only if the
 * client named that host (rpc_conn_dial() knows no other); only to ports from 1024 on; and not to clients that use TLS, as
 * it would tell filehandles in plain text. It counts once the client
 * has answered CB_NULL on it. docs/design/0004-delegations.md. RFC 7530 sections 10.2.1 and 16.33.
 */
#pragma once

#include <pthread.h>

#include "base/list.h"

struct compound;
struct nfs_server;

struct callpaths {
    pthread_mutex_t lock;
    struct list paths; /* of connections that were made, answered or not */
};

void callpaths_init(struct callpaths *paths);
/* When no connection is left. */
void callpaths_fini(struct callpaths *paths);

/* This request names a client of 4.0, which is known: what else comes on this connection is taken for that client's, as
 * long as no other one is named there. Tries to reach the client if it can not be called and was not tried for a while. */
void callpath_note(struct compound *compound, uint64_t clientid);
/* Who is taken to send this request of 4.0. */
void callpath_speak(struct compound *compound);
/* This request has confirmed where the client is to be called: tries that. */
void callpath_confirmed(struct compound *compound, uint64_t clientid);

/* A connection that was made to a client is gone. */
void callpath_conn_closed(struct nfs_server *server, uint64_t conn_id);
/* Closes connections to clients that are gone, and asks silent ones whether they are still there. */
void callpath_tick(struct nfs_server *server, uint64_t now_ms);
