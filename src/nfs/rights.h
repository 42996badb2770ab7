/*
 * nfs/rights.h - what a connection may do in a file system, by the file system's policy.
 *
 * Source: EFS User Guide, "Using IAM to control access to file systems". Without a policy every client that reaches a
 * mount target may do everything. With one, a client may what a statement allows and none denies. Clients are
 * anonymous so far: only statements for everybody ("*") meet them.
 */
#pragma once

#include "nfs/view.h"

enum nfs_right {
    NFS_RIGHT_MOUNT = 1 << 0, /* elasticfilesystem:ClientMount: see and read; without it nothing */
    NFS_RIGHT_WRITE = 1 << 1, /* ClientWrite; without it everything is read-only */
    NFS_RIGHT_ROOT = 1 << 2,  /* ClientRootAccess; without it user 0 is nobody */
    NFS_RIGHT_ALL = 7,
};

/* The rights, by the catalog as it is now; remembered with the connection until the catalog changes. Does not wait.
 * On the connection's reactor. When the policy cannot be read: none. */
unsigned nfs_rights(struct nfs_conn *conn, const struct nfs_volume *volume);
