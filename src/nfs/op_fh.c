/*
 * nfs/op_fh.c - operations that only move between filehandles (room: NFS).
 *
 * Sources: RFC 8881 sections 18.8, 18.19 to 18.21, 18.27, 18.28; RFC 7530 section 16.
 */
#include "nfs/compound.h"
#include "nfs/grant.h"

/* GETFH - the bytes that stand for the current file. */
enum nfsstat4 op_getfh(
    struct compound *compound, const union nfs_argop4 *arg, union nfs_resop4 *res)
{
    (void)arg;
    uint8_t *bytes = arena_alloc(compound->arena, FH_SIZE);
    if (bytes == NULL)
        return NFS4ERR_DELAY;
    struct fh fh = place_fh(&compound->current);
    fh_encode(&compound->server->options.fh_key, &fh, bytes);
    res->opgetfh.resok4.object = slice_of(bytes, FH_SIZE);
    return NFS4_OK;
}

/* PUTFH - to a file that the client holds a handle of. */
enum nfsstat4 op_putfh(
    struct compound *compound, const union nfs_argop4 *arg, union nfs_resop4 *res)
{
    (void)res;
    struct fh fh;
    if (fh_decode(&compound->server->options.fh_key, arg->opputfh.object, &fh) < 0)
        return NFS4ERR_BADHANDLE;
    if (fh.kind == FH_PSEUDO) {
        if (compound->conn->volume != NULL)
            return NFS4ERR_STALE; /* a mount target shows its file system only */
        compound_set_pseudo(compound);
        return NFS4_OK;
    }
    if (compound->conn->volume != NULL && fh.access_point != compound->conn->access_tag)
        return NFS4ERR_STALE; /* it shows all of the file system, or what one access point shows */
    struct nfs_volume *volume;
    enum nfsstat4 status = compound_find_volume(compound, fh.fs_tag, &volume);
    if (status != NFS4_OK)
        return status;
    status = compound_enter(compound, volume, fh.access_point);
    if (status != NFS4_OK)
        return status;
    struct fs_attr attr;
    int err = fs_getattr(volume->fs, fh.node, &attr);
    if (err < 0)
        return nfs_status(err);
    compound_set_node(compound, volume, &attr);
    return NFS4_OK;
}

/* PUTROOTFH, PUTPUBFH - to the root that this connection sees. */
enum nfsstat4 op_putrootfh(
    struct compound *compound, const union nfs_argop4 *arg, union nfs_resop4 *res)
{
    (void)arg;
    (void)res;
    struct nfs_volume *volume = compound->conn->volume;
    if (volume == NULL) {
        compound_set_pseudo(compound);
        return NFS4_OK;
    }
    struct fs_node root;
    enum nfsstat4 status = compound_enter(compound, volume, compound->conn->access_tag);
    if (status == NFS4_OK)
        status = nfs_grant_root(compound->conn, volume, compound->conn->access_tag, true, &root);
    if (status != NFS4_OK)
        return status;
    struct fs_attr attr;
    int err = fs_getattr(volume->fs, root, &attr);
    if (err < 0)
        return nfs_status(err);
    compound_set_node(compound, volume, &attr);
    return NFS4_OK;
}

/* SAVEFH, RESTOREFH - the current stateid goes along (RFC 8881 section 16.2.3.1.2). */
enum nfsstat4 op_savefh(
    struct compound *compound, const union nfs_argop4 *arg, union nfs_resop4 *res)
{
    (void)arg;
    (void)res;
    compound->saved = compound->current;
    return NFS4_OK;
}

enum nfsstat4 op_restorefh(
    struct compound *compound, const union nfs_argop4 *arg, union nfs_resop4 *res)
{
    (void)arg;
    (void)res;
    if (!compound->saved.is_set)
        return compound->minor == 0 ? NFS4ERR_RESTOREFH : NFS4ERR_NOFILEHANDLE;
    compound->current = compound->saved;
    if (place_is_pseudo(&compound->current)) {
        compound_set_pseudo(compound);
        return NFS4_OK;
    }
    return compound_enter(compound, compound->current.volume, compound->current.access_tag);
}
