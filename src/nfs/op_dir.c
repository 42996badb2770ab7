/*
 * nfs/op_dir.c - names in directories: LOOKUP, LOOKUPP, CREATE, LINK, REMOVE, RENAME, READLINK, SECINFO (room: NFS).
 *
 * The changes are atomic in the file system, so every change_info4 is.
 *
 * Sources: RFC 8881 sections 18.13, 18.14, 18.4, 18.9, 18.25, 18.26, 18.24, 18.29 and 18.45.
 */
#include "nfs/compound.h"
#include "nfs/deleg.h"
#include "nfs/grant.h"
#include "nfs/names.h"
#include "nfs/pseudo.h"

/* Whether `node` is `root` or below it. */
static enum nfsstat4 check_below(
    const struct nfs_volume *volume, struct fs_node node, struct fs_node root)
{
    while (!fs_node_equal(node, root)) {
        struct fs_attr attr;
        if (fs_node_equal(node, volume->root))
            return NFS4ERR_NOENT;
        int err = fs_parent(volume->fs, NULL, node, &attr); /* -ENOENT: the root of a snapshot */
        if (err < 0)
            return nfs_status(err);
        node = attr.node;
    }
    return NFS4_OK;
}

#define SNAPSHOTS ".snapshot" /* each directory has this name, and READDIR does not tell it */

/* The snapshots of the current directory, when nothing in it is called so. EFS has no such name. */
static int lookup_snapshots(struct compound *compound, struct slice name, struct fs_attr *out_attr)
{
    const struct place *dir = &compound->current;
    struct fs *fs = dir->volume->fs;
    if (!slice_equal(name, slice_str(SNAPSHOTS)) || (fs->ops->caps & FS_CAP_SNAPSHOTS) == 0 ||
        view_is_strict(compound->conn, dir->volume))
        return -ENOENT;
    return fs_snapshot_dir(fs, &compound->cred, dir->node, out_attr);
}

/* What an access point shows of a snapshot is what its root had then: a directory that came to be below the root later
 * is not to be seen as it was elsewhere. `node`: what `name`, a snapshot, means in the current directory. */
static enum nfsstat4 check_snapshot(
    struct compound *compound, struct slice name, struct fs_node node)
{
    const struct place *dir = &compound->current;
    struct fs *fs = dir->volume->fs;
    struct fs_node root = { 0 };
    struct fs_attr attr = { 0 };
    enum nfsstat4 status =
        nfs_grant_root(compound->conn, dir->volume, dir->access_tag, false, &root);
    if (status != NFS4_OK)
        return status;
    int err = fs_snapshot_dir(fs, NULL, root, &attr);
    if (err == 0)
        err = fs_lookup(fs, NULL, attr.node, name, &attr);
    return err < 0 ? nfs_status(err) : check_below(dir->volume, node, attr.node);
}

/* LOOKUP - to an entry of the current directory. */
enum nfsstat4 op_lookup(
    struct compound *compound, const union nfs_argop4 *arg, union nfs_resop4 *res)
{
    (void)res;
    struct slice name = arg->oplookup.objname;
    struct place *dir = &compound->current;
    enum nfsstat4 status = name_check(name);
    if (status != NFS4_OK)
        return status;
    if (place_is_pseudo(dir))
        return pseudo_lookup(compound, name);
    struct fs_attr attr;
    int err = fs_lookup(dir->volume->fs, &compound->cred, dir->node, name, &attr);
    if (UNLIKELY(err == -ENOENT))
        err = lookup_snapshots(compound, name, &attr);
    if (err < 0)
        return nfs_status(err);
    if (UNLIKELY(
            dir->access_tag != 0 && fs_place_of(dir->volume->fs, dir->node) == FS_SNAPSHOT_LIST)) {
        status = check_snapshot(compound, name, attr.node);
        if (status != NFS4_OK)
            return status;
    }
    compound_set_node(compound, dir->volume, &attr);
    return NFS4_OK;
}

/* To the directory above the current one. NFS4ERR_NOENT at the root that this connection sees, and where a directory
 * was moved out of what its access point shows. */
static enum nfsstat4 move_up(struct compound *compound)
{
    struct place *dir = &compound->current;
    struct fs_node root;
    if (place_is_pseudo(dir))
        return NFS4ERR_NOENT;
    enum nfsstat4 status =
        nfs_grant_root(compound->conn, dir->volume, dir->access_tag, false, &root);
    if (status != NFS4_OK)
        return status;
    if (fs_node_equal(dir->node, root)) {
        if (compound->conn->volume != NULL)
            return NFS4ERR_NOENT;
        compound_set_pseudo(compound);
        return NFS4_OK;
    }
    struct fs_attr attr;
    int err = fs_parent(dir->volume->fs, &compound->cred, dir->node, &attr);
    if (err < 0)
        return nfs_status(err);
    if (dir->access_tag != 0)
        status = check_below(dir->volume, attr.node, root);
    if (status == NFS4_OK)
        compound_set_node(compound, dir->volume, &attr);
    return status;
}

/* LOOKUPP */
enum nfsstat4 op_lookupp(
    struct compound *compound, const union nfs_argop4 *arg, union nfs_resop4 *res)
{
    (void)arg;
    (void)res;
    return move_up(compound);
}

/* What CREATE makes. Devices are for root alone, as with mknod(). */
static enum nfsstat4 create_type(
    struct compound *compound, const struct createtype4 *objtype, struct fs_create *how)
{
    bool is_strict = view_is_strict(compound->conn, compound->current.volume);
    switch (objtype->type) {
    case NF4DIR:
        how->type = FS_DIRECTORY;
        return NFS4_OK;
    case NF4LNK:
        how->type = FS_SYMLINK;
        how->symlink = objtype->linkdata;
        return name_check_symlink(
            objtype->linkdata, is_strict ? VIEW_STRICT_SYMLINK_SIZE_MAX : FS_SYMLINK_SIZE_MAX);
    case NF4FIFO:
        how->type = FS_FIFO;
        return NFS4_OK;
    case NF4SOCK:
        how->type = FS_SOCKET;
        return NFS4_OK;
    case NF4BLK:
    case NF4CHR:
        if (is_strict)
            return NFS4ERR_BADTYPE;
        how->type = objtype->type == NF4BLK ? FS_BLOCK : FS_CHARACTER;
        how->device_major = objtype->devdata.specdata1;
        how->device_minor = objtype->devdata.specdata2;
        return compound->cred.uid == 0 ? NFS4_OK : NFS4ERR_PERM;
    default:
        return NFS4ERR_BADTYPE; /* a regular file is made by OPEN */
    }
}

/* CREATE - anything but a regular file. */
enum nfsstat4 op_create(
    struct compound *compound, const union nfs_argop4 *arg, union nfs_resop4 *res)
{
    const struct CREATE4args *args = &arg->opcreate;
    struct place *dir = &compound->current;
    enum nfsstat4 status = name_check(args->objname);
    if (status != NFS4_OK)
        return status;
    struct fs_create how = { .mode = FS_CREATE_GUARDED };
    status = create_type(compound, &args->objtype, &how);
    if (status != NFS4_OK)
        return status;
    struct attr_change *change = arena_alloc(compound->arena, sizeof *change);
    if (change == NULL)
        return NFS4ERR_DELAY;
    status =
        attr_get(&args->createattrs, compound_versions(compound) & ~(unsigned)DELEG_TIMES, change);
    if (status != NFS4_OK)
        return status;
    if (change->set.set_size)
        return NFS4ERR_INVAL;
    how.attr = change->set;
    struct fs_created created;
    int err = fs_create(dir->volume->fs, &compound->cred, dir->node, args->objname, &how, &created);
    if (err < 0)
        return nfs_status(err);
    compound_set_node(compound, dir->volume, &created.attr);
    res->opcreate.resok4.cinfo = change_info_of(created.change);
    res->opcreate.resok4.attrset = attr_mask_bitmap(&change->mask);
    return NFS4_OK;
}

/* LINK - one more name, in the current directory, for the saved file. */
enum nfsstat4 op_link(struct compound *compound, const union nfs_argop4 *arg, union nfs_resop4 *res)
{
    struct slice name = arg->oplink.newname;
    struct place *dir = &compound->current;
    struct place *file = &compound->saved;
    enum nfsstat4 status = name_check(name);
    if (status != NFS4_OK)
        return status;
    if (places_are_apart(file, dir))
        return NFS4ERR_XDEV;
    if (view_is_strict(compound->conn, dir->volume)) {
        status = place_get_attr(compound, file);
        if (status != NFS4_OK)
            return status;
        if (file->attr.link_count >= VIEW_STRICT_LINK_COUNT_MAX)
            return NFS4ERR_MLINK;
    }
    status = deleg_clear(compound, dir->volume, file->node, STATE_USE_CHANGE);
    if (status != NFS4_OK)
        return status;
    struct fs_change change;
    int err = fs_link(dir->volume->fs, &compound->cred, file->node, dir->node, name, &change);
    if (err < 0)
        return nfs_status(err);
    res->oplink.resok4.cinfo = change_info_of(change);
    return NFS4_OK;
}

/* REMOVE - a file whose last name goes lives on while it is open. */
enum nfsstat4 op_remove(
    struct compound *compound, const union nfs_argop4 *arg, union nfs_resop4 *res)
{
    struct slice name = arg->opremove.target;
    struct place *dir = &compound->current;
    enum nfsstat4 status = name_check(name);
    if (status != NFS4_OK)
        return status;
    status = deleg_clear_name(compound, dir, name);
    if (status != NFS4_OK)
        return status;
    struct fs_change change;
    int err = fs_remove(dir->volume->fs, &compound->cred, dir->node, name, &change);
    if (err < 0)
        return nfs_status(err);
    res->opremove.resok4.cinfo = change_info_of(change);
    return NFS4_OK;
}

/* RENAME - from the saved directory to the current one. */
enum nfsstat4 op_rename(
    struct compound *compound, const union nfs_argop4 *arg, union nfs_resop4 *res)
{
    const struct RENAME4args *args = &arg->oprename;
    struct place *from = &compound->saved;
    struct place *to = &compound->current;
    enum nfsstat4 status = name_check(args->oldname);
    if (status == NFS4_OK)
        status = name_check(args->newname);
    if (status != NFS4_OK)
        return status;
    if (places_are_apart(from, to))
        return NFS4ERR_XDEV;
    status = deleg_clear_name(compound, from, args->oldname);
    if (status == NFS4_OK)
        status = deleg_clear_name(compound, to, args->newname);
    if (status != NFS4_OK)
        return status;
    struct fs_rename how = { .from_dir = from->node,
        .from_name = args->oldname,
        .to_dir = to->node,
        .to_name = args->newname };
    struct fs_renamed renamed;
    int err = fs_rename(to->volume->fs, &compound->cred, &how, &renamed);
    if (err < 0)
        return nfs_status(err);
    res->oprename.resok4.source_cinfo = change_info_of(renamed.from_change);
    res->oprename.resok4.target_cinfo = change_info_of(renamed.to_change);
    return NFS4_OK;
}

/* READLINK */
enum nfsstat4 op_readlink(
    struct compound *compound, const union nfs_argop4 *arg, union nfs_resop4 *res)
{
    (void)arg;
    struct place *current = &compound->current;
    enum nfsstat4 status = place_get_attr(compound, current);
    if (status != NFS4_OK)
        return status;
    if (current->type != FS_SYMLINK)
        return compound->minor == 0 ? NFS4ERR_INVAL : NFS4ERR_WRONG_TYPE;
    uint8_t *target = arena_alloc(compound->arena, FS_SYMLINK_SIZE_MAX);
    if (target == NULL)
        return NFS4ERR_DELAY;
    size_t size;
    int err = fs_readlink(current->volume->fs, current->node, target, FS_SYMLINK_SIZE_MAX, &size);
    if (err < 0)
        return nfs_status(err);
    res->opreadlink.resok4.link = slice_of(target, size);
    return NFS4_OK;
}

/* The one security flavor that is offered. The filehandle is consumed (RFC 8881 section 18.29.3). */
static void put_flavors(struct compound *compound, struct SECINFO4res *out)
{
    static struct secinfo4 flavors[] = { { .flavor = AUTH_SYS } };
    out->resok4 = (struct SECINFO4resok){ .count = ARRAY_SIZE(flavors), .items = flavors };
    if (compound->minor > 0)
        compound->current = (struct place){ .is_set = false };
}

/* SECINFO - how to authenticate for an entry of the current directory. */
enum nfsstat4 op_secinfo(
    struct compound *compound, const union nfs_argop4 *arg, union nfs_resop4 *res)
{
    struct place dir = compound->current;
    union nfs_argop4 lookup = { .oplookup = { .objname = arg->opsecinfo.name } };
    enum nfsstat4 status = op_lookup(compound, &lookup, res);
    compound->current = dir;
    if (status == NFS4_OK)
        put_flavors(compound, &res->opsecinfo);
    return status;
}

/* SECINFO_NO_NAME - for the current file or the directory above it. */
enum nfsstat4 op_secinfo_no_name(
    struct compound *compound, const union nfs_argop4 *arg, union nfs_resop4 *res)
{
    enum nfsstat4 status = NFS4_OK;
    switch (arg->opsecinfo_no_name) {
    case SECINFO_STYLE4_CURRENT_FH:
        break;
    case SECINFO_STYLE4_PARENT:
        status = compound_require_directory(compound);
        if (status == NFS4_OK)
            status = move_up(compound);
        break;
    default:
        status = NFS4ERR_INVAL;
    }
    if (status == NFS4_OK)
        put_flavors(compound, &res->opsecinfo_no_name);
    return status;
}
