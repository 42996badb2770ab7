/*
 * nfs/compound.h - one COMPOUND in progress: what every handler is given.
 *
 * Everything here lives until the reply is sent, and belongs to the one fiber that serves the request. A handler
 * that waits for storage finds its compound unchanged; the files it names may have changed meanwhile.
 */
#pragma once

#include "nfs/attr.h"
#include "nfs/fh.h"
#include "nfs/ops.h"
#include "nfs/status.h"
#include "nfs/view.h"
#include "state/open.h"
#include "state/session.h"
#include "state/v40.h"

/* A current or saved filehandle, with the stateid that goes along with it (RFC 8881 section 16.2.3.1.2). */
struct place {
    bool is_set;
    bool has_attr;             /* `attr` is as fresh as this request may have it */
    enum fs_type type;         /* 0: not known yet */
    struct nfs_volume *volume; /* pinned by the compound; NULL: the pseudo root */
    uint64_t access_tag;       /* of the access point that it is seen through; 0: none */
    struct fs_node node;       /* of the volume */
    struct fs_attr attr;
    struct state_stateid stateid; /* anonymous (all 0) when no operation has set one */
};

#define RPC_REPLY_HEADER_BYTES \
    24u /* of an accepted reply with an empty verifier (RFC 5531 section 9) */

struct pinned_volume {
    struct pinned_volume *next;
    struct nfs_volume *volume;
};

struct compound {
    struct nfs_server *server;
    struct nfs_conn *conn;
    struct rpc_request *request;
    struct arena *arena;
    struct xdr_encoder *enc; /* the reply */
    struct fs_cred cred;
    struct state_caller caller; /* server: the view's; client: of the session, or NULL */
    unsigned minor;
    uint32_t op_index;
    uint32_t op_count;
    uint64_t op_start_ns;
    struct place current;
    struct place saved;
    struct pinned_volume *pinned;
    struct state_ticket ticket; /* of SEQUENCE, when has_ticket */
    bool has_ticket;
    uint8_t sessionid[NFS4_SESSIONID_SIZE];
    struct state_turn turn; /* of version 4.0's owner, when in_turn: nfs/turn.h */
    bool in_turn;
    struct replay *replay; /* of version 4.0, to be kept: nfs/replay.h */
    bool is_replayed;      /* `replayed` is the whole reply; empty: there is none to give */
    struct slice replayed;
    const uint8_t *args_start; /* where the COMPOUND begins in the request */
    size_t results_start;      /* where the results of this COMPOUND begin in the reply */
    size_t size_limit;         /* of the reply, in positions of `enc` */
    enum nfsstat4 too_big;     /* what a result that goes beyond the limit is answered with */
};

/* Serves procedure COMPOUND: an enum rpc_accept_stat, or RPC_SERVER_DROP. */
int compound_serve(struct nfs_server *server, struct nfs_conn *conn, struct rpc_request *request);

static inline bool place_is_pseudo(const struct place *place)
{
    return place->volume == NULL;
}

/* Whether nothing can be moved or linked from one to the other: NFS4ERR_XDEV. */
static inline bool places_are_apart(const struct place *a, const struct place *b)
{
    return a->volume != b->volume || a->access_tag != b->access_tag;
}

/* The attributes of a place, asked for at most once per request and change. NFS4ERR_STALE, ... */
MUST_CHECK enum nfsstat4 place_get_attr(struct compound *compound, struct place *place);
/* The type, which never changes. */
MUST_CHECK enum nfsstat4 place_get_type(
    struct compound *compound, struct place *place, enum fs_type *out_type);
/* The filehandle that stands for it. */
struct fh place_fh(const struct place *place);

/* Goes into the volume through the access point with this tag (0: none), before the current filehandle moves there
 * from elsewhere: from now on requests are its user's, and user 0 is nobody where it may not be root. NFS4ERR_ACCESS:
 * the policy does not let this connection in; NFS4ERR_STALE: no such access point; NFS4ERR_DELAY. */
MUST_CHECK enum nfsstat4 compound_enter(
    struct compound *compound, struct nfs_volume *volume, uint64_t access_tag);
/* Whether the current filehandle is where this connection may change things. */
bool compound_may_write(const struct compound *compound);
/* Whether the requester is the same user with the same rights in both places. */
bool compound_is_same_user(
    const struct compound *compound, const struct place *a, const struct place *b);
/* Moves the current filehandle; the current stateid becomes the anonymous one. */
void compound_set_node(
    struct compound *compound, struct nfs_volume *volume, const struct fs_attr *attr);
void compound_set_pseudo(struct compound *compound);
/* Fresh attributes of the current file. */
void compound_set_attr(struct compound *compound, const struct fs_attr *attr);
/* Where the reply has to end; from now on every result leaves room for an error after it. */
void compound_set_limit(struct compound *compound, size_t size_limit);
/* Keeps the volume, whose pin the caller gives, until the end of the request; NFS4ERR_DELAY: no memory (the pin is
 * then taken back). */
MUST_CHECK enum nfsstat4 compound_keep_volume(struct compound *compound, struct nfs_volume *volume);
/* The volume with this tag, kept. NFS4ERR_STALE: this connection does not see one. */
MUST_CHECK enum nfsstat4 compound_find_volume(
    struct compound *compound, uint64_t fs_tag, struct nfs_volume **out_volume);

/* The minor version, and what the file system of the current filehandle has: for nfs/attr.h. */
unsigned compound_versions(const struct compound *compound);

/* What the current filehandle is. NFS4ERR_NOTDIR, NFS4ERR_SYMLINK. */
MUST_CHECK enum nfsstat4 compound_require_directory(struct compound *compound);
/* NFS4ERR_ISDIR; for others than files NFS4ERR_INVAL (4.0), NFS4ERR_SYMLINK or NFS4ERR_WRONG_TYPE (4.1). */
MUST_CHECK enum nfsstat4 compound_require_regular(struct compound *compound);

/* The bytes of the reply that a result may still take. */
size_t compound_room(const struct compound *compound);

/* The stateid that an operation means for a place: the current one when it says so (RFC 8881 section 8.2.3). */
struct state_stateid place_stateid(
    const struct compound *compound, const struct place *place, const struct stateid4 *stateid);
/* The file of a place, as state/ names it. It is not the pseudo root. */
struct state_file_ref place_file_ref(const struct place *place);
/* Both of the current place. */
struct state_stateid compound_stateid(
    const struct compound *compound, const struct stateid4 *stateid);
void compound_put_stateid(struct stateid4 *out, const struct state_stateid *stateid);
struct state_file_ref compound_file_ref(const struct compound *compound);

static inline struct state_file_key file_key_of(struct fs_node node)
{
    return (struct state_file_key){ .inode = node.inode, .generation = node.generation };
}

/* Who a client record belongs to: the flavor, and with AUTH_SYS user and machine. Borrows `buffer`. */
#define PRINCIPAL_SIZE_MAX (8u + RPC_MACHINE_NAME_SIZE_MAX)
struct slice compound_principal(
    const struct compound *compound, uint8_t buffer[PRINCIPAL_SIZE_MAX]);

/* The numbers are the same: state/types.h. */
static inline enum nfsstat4 nfs_state_status(enum state_status status)
{
    return (enum nfsstat4)status;
}

static inline struct change_info4 change_info_of(struct fs_change change)
{
    return (struct change_info4){ .atomic = true, .before = change.before, .after = change.after };
}
