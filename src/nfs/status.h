/* nfs/status.h - the one place where an error of the lower layers becomes an NFS status. */
#pragma once

#include "base/base.h"
#include "xdr/nfs4_xdr.h"

/* `err` is 0 or -errno. What no NFS error fits is NFS4ERR_SERVERFAULT. */
enum nfsstat4 nfs_status(int err);
