/*
 * nfs/names.h - which names and symbolic link targets the protocol accepts.
 *
 * Names are bytes: they are neither checked to be UTF-8 nor normalized (RFC 7530 section 12.7 lets a server pass
 * them through; users have Latin-1 names, and macOS sends both normal forms).
 */
#pragma once

#include "base/base.h"
#include "xdr/nfs4_xdr.h"

/* NFS4ERR_INVAL: empty; NFS4ERR_NAMETOOLONG; NFS4ERR_BADNAME: "." or ".."; NFS4ERR_BADCHAR: holds '/' or NUL. */
MUST_CHECK enum nfsstat4 name_check(struct slice name);
/* NFS4ERR_INVAL: empty, or holds NUL; NFS4ERR_NAMETOOLONG: longer than `size_max` bytes. */
MUST_CHECK enum nfsstat4 name_check_symlink(struct slice target, size_t size_max);
/* Whether `text` is valid UTF-8 (RFC 3629), as the tag of a COMPOUND has to be. */
bool name_is_utf8(struct slice text);
