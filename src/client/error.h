/* client/error.h - the one translation of NFSv4 status codes into -errno, and their names. */
#pragma once

#include "base/base.h"
#include "xdr/nfs4_xdr.h"

/* 0 for NFS4_OK, else -errno; a code that is not known gives -EIO. */
int nfs_error_of(enum nfsstat4 status);
/* "NFS4ERR_NOSPC"; "NFS4ERR_unknown" for what is not known. */
const char *nfs_error_name(enum nfsstat4 status);
