/*
 * client/client.h - an NFSv4.1 client in user space: no mount, no root.
 *
 * One client is one identity towards one server: a session with many slots over several TCP
 * connections. Any number of threads may use it at once; each call blocks its thread until the server
 * has answered. For several requests in flight from one thread: client/call.h.
 * What always holds: a request is executed once although connections break (it is sent again in the same
 * slot, RFC 8881 section 2.10.6); a server that was restarted is found again and open files are reclaimed;
 * a server that says "later" is asked later. Only a server that stays away longer than `give_up_ms` ends
 * it: then every call fails with the same error.
 * Handles: client/node.h (names and attributes), client/dir.h (listing), client/file.h (data).
 */
#pragma once

#include "base/base.h"
#include "xdr/nfs4_xdr.h"

#define NFS_CLIENT_CONNECTIONS_MAX 16u
#define NFS_CLIENT_SLOTS_MAX       256u

struct nfs_client; /* opaque: client/internal.h */

struct nfs_client_options {
    const char *address;       /* a numeric address, or a host's name */
    uint16_t port;             /* 0: 2049 */
    unsigned connection_count; /* 0: 4 */
    unsigned slot_count;       /* requests in flight; 0: 64. The server may grant fewer. */
    uint32_t uid;              /* AUTH_SYS: who asks */
    uint32_t gid;
    uint32_t
        group_count; /* supplementary; more than 16 are cut, as the protocol has no room for them */
    const uint32_t *groups;
    uint64_t timeout_ms; /* an answer that takes longer: the connection is made anew; 0: 60 s */
    uint64_t give_up_ms; /* a server that is away for longer: the client fails; 0: 120 s */
};

/* What names a file for ever. */
struct nfs_fh {
    uint32_t size;
    uint8_t data[NFS4_FHSIZE];
};

static inline bool nfs_fh_equal(const struct nfs_fh *a, const struct nfs_fh *b)
{
    return a->size == b->size && memcmp(a->data, b->data, a->size) == 0;
}

/* Connects and makes a session. Errors: of connect(2) (-ECONNREFUSED, -ETIMEDOUT...); -EHOSTUNREACH: the
 * name is not known; -EPROTONOSUPPORT: no NFSv4.1 there; -EACCES: credentials refused. */
MUST_CHECK int nfs_client_connect(
    const struct nfs_client_options *options, struct nfs_client **out_client);
/* Ends the session at the server, closes. No call may be running, no file open. NULL is allowed. */
void nfs_client_close(struct nfs_client *client);

/* Most bytes of one READ or WRITE. */
uint32_t nfs_client_io_size(const struct nfs_client *client);
/* Requests that can be in flight at one time. */
unsigned nfs_client_slot_count(const struct nfs_client *client);

/* What happened so far, for reports and tests. */
struct nfs_client_stats {
    uint64_t calls;
    uint64_t reconnects;    /* connections made again after a loss */
    uint64_t sessions;      /* sessions made; 1 when nothing went wrong */
    uint64_t reclaimed;     /* open files reclaimed after a restart of the server */
    uint64_t retransmitted; /* requests sent again in their slot */
};
struct nfs_client_stats nfs_client_stats(const struct nfs_client *client);
