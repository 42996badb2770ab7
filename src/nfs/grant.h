/*
 * nfs/grant.h - what a connection may do in a file system, and as whom: by the file system's policy and the access
 * point that it goes through.
 *
 * Source: EFS User Guide, "Using IAM to control access to file systems" and "Working with access points". Without a
 * policy every client that reaches a mount target may do everything. With one, a client may what a statement of it, or
 * of its own policies, allows and none denies. A client that proved nothing (auth/mount_certificate.h) is anonymous:
 * only statements for everybody ("*") meet it. An access point's
 * POSIX user replaces the user, group and groups of every request, and its directory is the root that is seen.
 */
#pragma once

#include "nfs/view.h"

enum nfs_right {
    NFS_RIGHT_MOUNT = 1 << 0, /* elasticfilesystem:ClientMount: see and read; without it nothing */
    NFS_RIGHT_WRITE = 1 << 1, /* ClientWrite; without it everything is read-only */
    NFS_RIGHT_ROOT = 1 << 2,  /* ClientRootAccess; without it user 0 is nobody */
    NFS_RIGHT_ALL = 7,
};

/* The grant for a volume, seen through the access point with this tag (0: none), by the catalog as it is now;
 * remembered with the connection until the catalog changes. Who is there already may go on when the access point is
 * deleted. NULL: there is no such access point of this file system. Does not wait. On the connection's reactor; valid
 * until the caller waits. When the policy cannot be read: no rights. */
const struct nfs_grant *nfs_grant(
    struct nfs_conn *conn, const struct nfs_volume *volume, uint64_t access_tag);

/* The directory that clients of the access point see as the root. `may_make`: looked for anew, and made as the access
 * point says when it is missing. NFS4ERR_ACCESS: it is missing or no directory (logged); NFS4ERR_STALE: no such access
 * point. May wait. */
MUST_CHECK enum nfsstat4 nfs_grant_root(struct nfs_conn *conn, const struct nfs_volume *volume,
    uint64_t access_tag, bool may_make, struct fs_node *out_root);
