/*
 * nfs/offload.h - copies that go on behind the answer of COPY: RFC 7862 section 4.
 *
 *   COPY --> RUNNING --(last piece, or an error)--> ENDED --(CB_OFFLOAD was answered)--> gone
 *               '--(OFFLOAD_CANCEL, the client or the file system goes)--> gone
 *
 * One thread serves all of them, piece by piece in turn. A RUNNING copy pins its volumes. An ENDED one is kept, and told
 * again once a second, until its client has answered or is gone. All functions are thread-safe.
 */
#pragma once

#include <pthread.h>

#include "base/list.h"
#include "base/lock.h"
#include "nfs/copier.h"
#include "xdr/nfs4_xdr.h"

struct compound;
struct nfs_server;
struct nfs_volume;

struct offloads {
    struct mutex lock;
    pthread_cond_t changed;
    struct list copies;
    uint32_t count;
    bool has_thread, stopping;
    pthread_t thread;
};

void offloads_init(struct offloads *offloads);
/* Ends the thread and drops all copies; before the volumes go. */
void offloads_stop(struct offloads *offloads);
/* After offloads_stop(), and after the volumes, whose end looks for copies. */
void offloads_fini(struct offloads *offloads);

/* Goes on with what `copier` has left, from the saved file of the compound to its current one. `writeverf`: from before
 * the first piece. NFS4ERR_DELAY: too many, no memory, or no back channel to tell the end by; nothing was begun. */
MUST_CHECK enum nfsstat4 offload_begin(struct compound *compound, const struct copier *copier,
    const uint8_t writeverf[NFS4_VERIFIER_SIZE], struct stateid4 *out_stateid);

/* How far it is; *out_is_complete with *out_status. NFS4ERR_BAD_STATEID: no copy of this client. */
MUST_CHECK enum nfsstat4 offload_status(
    struct compound *compound, const struct stateid4 *stateid, struct OFFLOAD_STATUS4resok *out);
/* NFS4ERR_BAD_STATEID; NFS4ERR_COMPLETE_ALREADY. */
MUST_CHECK enum nfsstat4 offload_cancel(struct compound *compound, const struct stateid4 *stateid);

/* Ends what works on a volume that is going. Does not wait for the piece that runs: it holds a pin. */
void offload_forget_volume(struct nfs_server *server, const struct nfs_volume *volume);
/* Tells ends that could not be told; drops those of clients that are gone. */
void offload_tick(struct nfs_server *server);
