/*
 * nfs/server.h - the NFSv4 server: a program for rpc/server.h.
 *
 * The local address of a connection says which file system it sees; an address that is no mount target sees the
 * pseudo root, with a directory per file system. All functions are thread-safe unless they say otherwise.
 */
#pragma once

#include "base/base.h"
#include "base/hash.h"
#include "catalog/catalog.h"
#include "fs/volumes.h"
#include "rpc/server.h"

#define NFS_NODE_ID_SIZE_MAX 64u

struct nfs_server;

struct nfs_server_options {
    struct catalog *catalog;   /* borrowed, as all pointers here, for the server's life */
    struct audit *audit;       /* where decisions about mounts are reported; NULL: nowhere */
    struct refusals *refusals; /* where those that refuse are noted for doctor; NULL: nowhere */
    struct fs_volumes *volumes;
    struct hash_key fh_key; /* secret; the same in every run, or clients lose their files */
    /* Names this node in the server's identity: unique, the same in every run, up to
     * NFS_NODE_ID_SIZE_MAX bytes. */
    const char *node_id;
    const char *version; /* of the software: told to clients, never used */
    uint32_t epoch; /* grows with every start of the node, never 0: marks the ids of this run */
    uint32_t lease_ms;
    uint32_t client_count_max; /* of all views */
    uint32_t slot_count_max;   /* of one session */
    uint32_t open_count_max;   /* of one client */
    uint32_t deleg_count_max;  /* delegations of all clients; 0: none are given */
    /* Of these, 0 is the default of state_options_init(). */
    uint32_t session_count_max;      /* of one client */
    uint32_t owner_count_max;        /* of one client */
    uint32_t lock_count_max;         /* byte ranges of one client */
    uint32_t file_lock_count_max;    /* byte ranges of one file, of all clients */
    uint32_t client_deleg_count_max; /* delegations of one client */
    uint64_t state_memory_max;       /* bytes */
    uint64_t reply_cache_bytes;      /* of kept replies, reserved by sessions */
    uint64_t reply_cache_v40_bytes;  /* of version 4.0's kept replies; 0: none are kept */
    bool delegated_times;            /* RFC 9754: to clients of 4.2 that want them */
    bool callbacks_v40; /* clients of 4.0 are called back, on connections made to where they are */
    bool is_strict;     /* the profile of file systems whose record has none */
};

/* Errors: -ENOMEM; -EINVAL: a limit that is 0 or out of range, or a node_id that is too long. */
MUST_CHECK int nfs_server_new(
    const struct nfs_server_options *options, struct nfs_server **out_server);
/* After the last connection is closed. Puts all file systems back. NULL is allowed. */
void nfs_server_free(struct nfs_server *server);

/* What rpc_server_new() wants. Borrows `server`. */
struct rpc_program nfs_server_program(struct nfs_server *server);

/* Ends leases and grace periods whose time has come; call it once a second with clock_coarse_ms(). May wait for
 * storage. */
void nfs_server_tick(struct nfs_server *server, uint64_t now_ms);
/* Closes the connections of a file system that is about to be destroyed, waits for requests that use it, drops all
 * its state and gives it back to the volumes. Call it before fs_volumes_destroy(), when the catalog no longer has
 * the file system as available: else the next request would open it again. */
void nfs_server_forget_fs(struct nfs_server *server, const char *fs_id);
