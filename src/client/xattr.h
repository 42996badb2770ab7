/* client/xattr.h - reading extended attributes. */
#pragma once

#include "client/call.h"

struct nfs_xattr {
    size_t size;
    uint8_t bytes[1024];
};

/* Reads the value of `name`, which stands without Linux's "user.". A server without version 4.2, or without such
 * attributes: -EPROTONOSUPPORT or -EOPNOTSUPP. Errors: -ENODATA; -ERANGE: longer than there is room for. */
MUST_CHECK int nfs_xattr_get(struct nfs_client *client, const struct nfs_fh *fh, struct slice name,
    struct nfs_xattr *out_value);
