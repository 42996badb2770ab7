/* nfs/minor.h - sets of minor versions of NFSv4, for the rows of ops.def and attrs.def. */
#pragma once

#define NFS_MINOR_MAX 2u

enum {
    V40 = 1 << 0,
    V41 = 1 << 1,
    V42 = 1 << 2,
    V40_UP = V40 | V41 | V42,
    V41_UP = V41 | V42,
    V42_UP = V42,
};
