/*
 * nfs/ops.h - the operation table (ops.def) and the shape of a handler.
 *
 * A handler gets typed arguments and fills a typed result, whose bytes are zero before; it neither decodes nor
 * encodes. (One with STREAMS does encode: see op_readdir.c.) The dispatcher (compound.c) has done by then what the
 * row asks for, and writes nothing but the status of a handler that failed, unless the RFC puts more in.
 */
#pragma once

#include "base/base.h"
#include "nfs/minor.h"
#include "xdr/nfs4_xdr.h"

struct compound;

enum nfs_op_flags {
    NEEDS_FH = 1 << 0,             /* NFS4ERR_NOFILEHANDLE without a current filehandle */
    NEEDS_DIR = 1 << 1 | NEEDS_FH, /* NFS4ERR_NOTDIR, NFS4ERR_SYMLINK when it is no directory */
    NEEDS_SAVED_FH = 1 << 2,       /* NFS4ERR_NOFILEHANDLE without a saved filehandle */
    CHANGES = 1 << 3,              /* attributes known so far may go stale */
    WRITES = 1 << 8 | CHANGES,     /* and NFS4ERR_ROFS where nothing can be changed */
    ONCE = 1 << 4,        /* must not be done again: its result needs a sure place in the reply */
    SESSIONLESS = 1 << 5, /* allowed without SEQUENCE before it */
    ALONE = 1 << 6,       /* NFS4ERR_NOT_ONLY_OP with others in the COMPOUND */
    TURN = 1 << 9,        /* in version 4.0 its owner numbers it: nfs/turn.h */
    REPLAYED = 1 << 10,   /* in version 4.0 its request is answered again: nfs/replay.h */
    STREAMS = 1 << 7,     /* the handler encodes what follows the status of a success itself */
};

typedef enum nfsstat4 nfs_op_handler(
    struct compound *compound, const union nfs_argop4 *arg, union nfs_resop4 *res);

struct nfs_op {
    const char *name;
    nfs_op_handler *handler;
    uint8_t minors;
    uint16_t flags;
    uint32_t reply_max_bytes;
};

#define OP(opcode, handler, minors, flags, reply_max_bytes) nfs_op_handler handler;
#include "nfs/ops.def"
#undef OP

/* NULL when `opcode` is not an operation of any minor version. */
const struct nfs_op *nfs_op_find(uint32_t opcode);
/* NFS4_OK; NFS4ERR_OP_ILLEGAL: of a later minor version than `minor`; NFS4ERR_NOTSUPP: of an earlier one. */
MUST_CHECK enum nfsstat4 nfs_op_check_minor(const struct nfs_op *op, unsigned minor);
