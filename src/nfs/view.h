/*
 * nfs/view.h - the inside of the server: open file systems, what connections see of them, connections.
 *
 *   struct nfs_server
 *    |- struct nfs_volume    one per open file system: its opens and locks (state_files)
 *    |   '- struct nfs_face  one per access point and principal: a server of its own (state_server)
 *    |- struct nfs_conn      one per connection: sees one volume by one face, or the pseudo root
 *    '- pseudo_state         the server that all other addresses show
 *
 * Each view is an NFS server of its own: Linux merges servers that have the same identity, and would send what is
 * for one file system down the connection of another.
 *
 * A volume is opened at its first use and stays open until nfs_server_forget_fs() or nfs_server_free(). A request
 * pins the volumes it works on; forgetting waits until none is pinned.
 */
#pragma once

#include <pthread.h>

#include "auth/mount_certificate.h"
#include "auth/refusals.h"
#include "base/list.h"
#include "base/lock.h"
#include "nfs/callback.h"
#include "nfs/callpath.h"
#include "nfs/offload.h"
#include "nfs/replay.h"
#include "nfs/server.h"
#include "nfs/volume.h"
#include "state/client.h"
#include "state/files.h"
#include "state/state.h"

/* Requests that wait for a delegation; and the thread that ends the waits in time: nfs/deleg.c. */
struct deleg_waits {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct list waits; /* by deadline */
    uint32_t count;
    uint64_t serial;
    bool has_thread, stopping;
    pthread_t thread;
};

/* What a connection may do in a file system, and as whom: nfs/grant.h. */
struct nfs_grant {
    uint64_t fs_tag; /* 0: nothing */
    uint64_t access_tag;
    uint64_t generation; /* of the catalog, as of which this is right */
    unsigned rights;     /* of enum nfs_right */
    bool has_user;       /* the access point's user takes the place of the request's */
    bool has_root;       /* `root` is known */
    uint32_t uid;
    uint32_t gid;
    uint32_t group_count;
    uint32_t groups[CATALOG_SECONDARY_GIDS_MAX];
    struct fs_node root;
};

#define NFS_GRANTS 4u /* that a connection remembers */

struct nfs_conn {
    struct list link;                /* in server->conns */
    struct state_table_node id_node; /* in server->conns_by_id */
    struct rpc_conn *rpc;
    struct nfs_volume *volume;       /* a reference; NULL: the pseudo root, or not known yet */
    struct nfs_face *face;           /* of `volume`: which of its servers this connection reaches */
    uint64_t access_tag;             /* the access point that it mounts through; 0: none */
    struct mount_identity *identity; /* what its certificate proved; NULL: nothing */
    bool at_target;                  /* its local address is a mount target */
    bool is_revoked;                 /* who it is, or was, is nobody: nothing is allowed */
    uint64_t identity_generation;    /* of the catalog, as of which `identity` is right */
    bool is_bound;                   /* what it sees is decided: at its first request */
    bool is_strict;                  /* the profile of `volume` when the connection was bound */
    uint64_t catalog_generation;     /* as of which `volume` is right */
    struct nfs_grant grants[NFS_GRANTS]; /* by file system and access point: nfs/grant.h */
    struct list replays; /* its kept replies, oldest first; under server->replays.lock */
    uint32_t replay_count;
    uint64_t
        spoken_for; /* the client of 4.0 whose requests come here; 0: not known yet: nfs/callpath.h */
};

struct nfs_server {
    struct nfs_server_options options;
    struct state *state;
    struct state_server *pseudo_state;
    struct fs_time started;
    struct mutex lock;   /* volumes, conns, phases */
    pthread_cond_t idle; /* a volume that is going has no pins left */
    struct list volumes;
    struct list conns;
    struct state_table conns_by_id;
    struct callbacks callbacks;
    struct callpaths callpaths;
    struct offloads offloads;
    struct deleg_waits waits;
    struct replays replays;
};

/* Decides what the connection sees, and again when the catalog has changed. -ENOENT: its mount target is gone,
 * close it; else the error of opening the file system. May wait. */
MUST_CHECK int view_bind(struct nfs_server *server, struct nfs_conn *conn);

/* As view_bind(), for a call: what to answer it when the connection sees nothing, else RPC_SUCCESS. */
MUST_CHECK int view_bind_for_call(struct nfs_server *server, struct nfs_conn *conn);

/* Lets the connection see a server of its own where nothing is allowed. False: there is none, close it. */
MUST_CHECK bool view_refuse(const struct nfs_server *server, struct nfs_conn *conn);

/* Notes, for who looks for the reason that a mount does not come about, why the connection gets nothing. `fs_id` NULL: that of
 * the mount target that it came to, if it is one. Does not wait. */
void view_note_refusal(struct nfs_server *server, const struct nfs_conn *conn,
    enum refusal_stage stage, const char *fs_id, const char *reason);

/* Whether what a client's certificate has proved fits the address that it came to. -EACCES: `reason` says why not. */
MUST_CHECK int view_check_identity(
    const struct nfs_server *server, const struct nfs_conn *conn, char reason[MOUNT_REASON_SIZE]);

/* The connection with this id, with a reference; NULL: it is gone. */
struct rpc_conn *view_conn_get(struct nfs_server *server, uint64_t conn_id);

/* Closes it soon, if it is there. */
void view_conn_close(struct nfs_server *server, uint64_t conn_id);

/* The volume of a file system, opened if need be, pinned for the caller. Errors: -ENOENT: there is none that is
 * available; -ESTALE: it is being destroyed; else those of opening. May wait. */
MUST_CHECK int view_get_volume(
    struct nfs_server *server, const char *fs_id, struct nfs_volume **out_volume);
/* As view_get_volume(), by its tag. Without waiting when it is open. */
MUST_CHECK int view_get_volume_by_tag(
    struct nfs_server *server, uint64_t tag, struct nfs_volume **out_volume);

/* Whether a file system behaves exactly as EFS (the profile `strict`) on this connection. A connection to a mount
 * target keeps the profile it began with, so that nothing changes under a mount; one to the pseudo root follows the
 * catalog. `volume`: what is looked at, NULL for the pseudo root itself, which is never strict. Does not wait. */
bool view_is_strict(const struct nfs_conn *conn, struct nfs_volume *volume);

/* Whether delegations may be given. EFS: OPEN always answers OPEN_DELEGATE_NONE. */
static inline bool view_allows_delegations(const struct nfs_conn *conn, struct nfs_volume *volume)
{
    return !view_is_strict(conn, volume);
}

/* What the strict profile allows. EFS: quotas, of the file system and of NFS clients. */
#define VIEW_STRICT_LINK_COUNT_MAX   177u
#define VIEW_STRICT_LOCKS_PER_FILE   512u
#define VIEW_STRICT_SYMLINK_SIZE_MAX 4080u

/* The name of a view in the protocol, without access point and principal: so_major_id and server scope. Borrows
 * `buffer`. */
#define VIEW_IDENTITY_SIZE (FS_ID_SIZE + NFS_NODE_ID_SIZE_MAX + CATALOG_ID_SIZE + 40u)
struct slice view_identity(
    const struct nfs_server *server, const char *fs_id, char buffer[VIEW_IDENTITY_SIZE]);

/* Drops the volume with this tag, if there is one, as soon as nothing pins it. Blocks the thread. */
void view_forget(struct nfs_server *server, uint64_t tag);
