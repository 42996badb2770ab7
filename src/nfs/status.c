/*
 * nfs/status.c - errno to nfsstat4 (room: NFS).
 *
 * Source: RFC 8881 section 15.1. NFS4ERR_RESOURCE is none of the answers: it does not exist in version 4.1,
 * and NFS4ERR_DELAY says the same in all of them.
 */
#include "nfs/status.h"

static const struct {
    int error;
    enum nfsstat4 status;
} status_of_error[] = {
    { EPERM, NFS4ERR_PERM },
    { ENOENT, NFS4ERR_NOENT },
    { EIO, NFS4ERR_IO },
    { EBADMSG, NFS4ERR_IO },
    { ENOKEY, NFS4ERR_IO }, /* an encrypted file system whose key cannot be used */
    { ENXIO, NFS4ERR_NXIO },
    { EACCES, NFS4ERR_ACCESS },
    { EEXIST, NFS4ERR_EXIST },
    { EXDEV, NFS4ERR_XDEV },
    { ENOTDIR, NFS4ERR_NOTDIR },
    { EISDIR, NFS4ERR_ISDIR },
    { EINVAL, NFS4ERR_INVAL },
    { EFBIG, NFS4ERR_FBIG },
    { ENOSPC, NFS4ERR_NOSPC },
    { EROFS, NFS4ERR_ROFS },
    { EMLINK, NFS4ERR_MLINK },
    { ENAMETOOLONG, NFS4ERR_NAMETOOLONG },
    { ENOTEMPTY, NFS4ERR_NOTEMPTY },
    { EDQUOT, NFS4ERR_DQUOT },
    { ESTALE, NFS4ERR_STALE },
    { E2BIG, NFS4ERR_XATTR2BIG },
    { EOPNOTSUPP, NFS4ERR_NOTSUPP },
    { ENODATA, NFS4ERR_NOXATTR },
    { EAGAIN, NFS4ERR_DELAY },
    { ENOMEM, NFS4ERR_DELAY },
    { EBUSY, NFS4ERR_DELAY },
};

enum nfsstat4 nfs_status(int err)
{
    assert(err <= 0);
    if (err == 0)
        return NFS4_OK;
    for (size_t i = 0; i < ARRAY_SIZE(status_of_error); i++) {
        if (status_of_error[i].error == -err)
            return status_of_error[i].status;
    }
    return NFS4ERR_SERVERFAULT;
}
