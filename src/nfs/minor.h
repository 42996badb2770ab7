/*
 * nfs/minor.h - sets of minor versions of NFSv4, for the rows of ops.def and attrs.def; and of what else a view
 * has, for those of attrs.def. A row is there when it has the version, and the view has all else that the row names.
 */
#pragma once

#define NFS_MINOR_MAX 2u

enum {
    V40 = 1 << 0,
    V41 = 1 << 1,
    V42 = 1 << 2,
    V40_UP = V40 | V41 | V42,
    V41_UP = V41 | V42,
    V42_UP = V42,
    V_ANY = V40 | V41 | V42,
    EXTENDED = 1 << 3,    /* not in the profile `strict`, as EFS leaves it out */
    XATTRS = 1 << 4,      /* the backend keeps extended attributes */
    CLONES = 1 << 5,      /* the backend can share blocks between files */
    DELEG_TIMES = 1 << 6, /* who has a write delegation may keep the times of the file (RFC 9754) */
};
