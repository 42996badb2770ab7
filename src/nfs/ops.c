/* nfs/ops.c - the operation table, built from ops.def (room: NFS). */
#include "nfs/ops.h"

#define OP(opcode, op_handler, op_minors, op_flags, op_reply_max_bytes) \
    [OP_##opcode] = { #opcode, op_handler, op_minors, op_flags, op_reply_max_bytes },
static const struct nfs_op nfs_ops[] = {
#include "nfs/ops.def"
};
#undef OP

const struct nfs_op *nfs_op_find(uint32_t opcode)
{
    if (opcode >= ARRAY_SIZE(nfs_ops) || nfs_ops[opcode].handler == NULL)
        return NULL;
    return &nfs_ops[opcode];
}

enum nfsstat4 nfs_op_check_minor(const struct nfs_op *op, unsigned minor)
{
    unsigned bit = 1u << minor;
    if ((op->minors & bit) != 0)
        return NFS4_OK;
    return op->minors > bit ? NFS4ERR_OP_ILLEGAL : NFS4ERR_NOTSUPP;
}

enum nfsstat4 op_notsupp(
    struct compound *compound, const union nfs_argop4 *arg, union nfs_resop4 *res)
{
    (void)compound;
    (void)arg;
    (void)res;
    return NFS4ERR_NOTSUPP;
}
