/*
 * nfs/replay.h - the replies of version 4.0's requests that must not run twice (REPLAYED in ops.def), kept for when the
 * client sends them again.
 *
 * Version 4.0 has no sessions, and owners number only OPEN, LOCK and so on (nfs/turn.h). A client whose connection breaks
 * sends again what was not answered (RFC 7530 section 3.1.1): a CREATE that was done would then fail.
 *
 *   none --replay_begin()--> RUNNING --replay_end()--> KEPT --old, no room, or surely received--> none
 *
 *   RUNNING  the same request waits until it becomes KEPT, and is answered with the same bytes
 *   KEPT     the same request is answered with the same bytes
 *
 * The same request has the same addresses, xid, user, machine, view and COMPOUND. Its port may be another one: not
 * every client comes back from where it was. But there are programs whose xids begin anew with each run, so a reply counts
 * only as long as the connection of the first request may have lost it: a client that acknowledged everything and closed
 * its connection has nothing to send again.
 *
 * All functions are thread-safe unless they say otherwise.
 */
#pragma once

#include "base/hash.h"
#include "base/list.h"
#include "base/lock.h"
#include "state/table.h"

#define REPLAY_AGE_MS \
    600000u /* longer than any client tries to reach us before it reports an error */
#define REPLAY_SIZE_MAX      (16u * 1024) /* of one reply; a larger one is not kept */
#define REPLAYS_PER_CONN_MAX 1024u

struct compound;
struct nfs_conn;
struct nfs_server;
struct replay;

struct replays {
    struct mutex lock;
    struct state_table table;
    struct list kept; /* oldest first */
    struct hash_key key;
    uint64_t bytes_max; /* never changed; 0: nothing is kept */
    uint64_t bytes;     /* of all that is in `table` */
};

void replays_init(struct replays *replays, uint64_t bytes_max);
/* When no request runs any more. */
void replays_fini(struct replays *replays);

/* Before the first REPLAYED operation of a request of version 4.0. NFS4_OK: it is to run, and then compound->replay is
 * set if the reply is to be kept; or, with compound->is_replayed, its reply is compound->replayed. NFS4ERR_DELAY: no
 * memory; it did not run. May wait for the same request. */
MUST_CHECK enum nfsstat4 replay_begin(struct compound *compound);
/* Keeps `reply`, the whole COMPOUND4res (empty: it cannot be kept), for compound->replay. */
void replay_end(struct compound *compound, struct slice reply);

/* The connection is gone, and no request of it runs. Unless it `lost_some`, its replies are forgotten. */
void replay_conn_closed(struct replays *replays, struct nfs_conn *conn, bool lost_some);
/* Forgets what is too old. */
void replay_tick(struct replays *replays, uint64_t now_ms);
