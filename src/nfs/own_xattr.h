/*
 * nfs/own_xattr.h - extended attributes that the server makes itself, under "user.shoal." at the client.
 *
 * They can be read, and are in no listing, so that copies of files do not carry them. Text: docs/compat.md.
 */
#pragma once

#include "nfs/compound.h"

/* Whether the name, which comes without "user.", is kept for the server. */
bool own_xattr_is(struct slice name);
/* The value, in the request's arena. NFS4ERR_NOXATTR: this node has none of that name. */
MUST_CHECK enum nfsstat4 own_xattr_get(
    struct compound *compound, struct slice name, struct slice *out_value);
