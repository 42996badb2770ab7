/*
 * client/xattr.c - reading extended attributes (room: client library). Source: RFC 8276 section 8.4.1.
 */
#include "client/xattr.h"

#include "client/internal.h"

int nfs_xattr_get(struct nfs_client *client, const struct nfs_fh *fh, struct slice name,
    struct nfs_xattr *out_value)
{
    struct nfs_call call;
    union nfs_resop4 res;
    union nfs_argop4 arg = { .opgetxattr = { .gxa_name = name } };
    nfs_call_init(&call, client, NFS_CALL_MINOR_2);
    nfs_call_put_fh(&call, fh);
    nfs_call_add(&call, OP_GETXATTR, &arg);
    int err = nfs_call_run(&call);
    if (err == 0)
        err = nfs_call_skip(&call, OP_PUTFH);
    if (err == 0)
        err = nfs_call_result(&call, OP_GETXATTR, &res);
    if (err == 0 && res.opgetxattr.gxr_value.size > sizeof out_value->bytes)
        err = -ERANGE;
    if (err == 0) {
        out_value->size = res.opgetxattr.gxr_value.size;
        memcpy(out_value->bytes, res.opgetxattr.gxr_value.data, out_value->size);
    }
    nfs_call_fini(&call);
    return err;
}
