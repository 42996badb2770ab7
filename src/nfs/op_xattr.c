/*
 * nfs/op_xattr.c - extended attributes: GETXATTR, SETXATTR, LISTXATTRS and REMOVEXATTR (room: NFS).
 *
 * Names come without the prefix "user." of Linux; they are bytes, as names of files are, and have no further
 * meaning here. Files and directories have them. The file system checks the user's rights.
 *
 * Source: RFC 8276 sections 8.3 and 8.4.
 */
#include "nfs/compound.h"
#include "nfs/deleg.h"
#include "nfs/own_xattr.h"

/* NFS4ERR_WRONG_TYPE: neither file nor directory; NFS4ERR_NOTSUPP: the file system keeps none. */
static enum nfsstat4 begin(struct compound *compound)
{
    enum fs_type type;
    enum nfsstat4 status = place_get_type(compound, &compound->current, &type);
    if (status != NFS4_OK)
        return status;
    if (place_is_pseudo(&compound->current) || (compound_versions(compound) & XATTRS) == 0)
        return NFS4ERR_NOTSUPP;
    return type == FS_REGULAR || type == FS_DIRECTORY ? NFS4_OK : NFS4ERR_WRONG_TYPE;
}

static enum nfsstat4 check_name(struct slice name)
{
    if (name.size == 0)
        return NFS4ERR_INVAL;
    if (name.size > FS_XATTR_NAME_SIZE_MAX)
        return NFS4ERR_NAMETOOLONG;
    return memchr(name.data, '\0', name.size) != NULL ? NFS4ERR_BADCHAR : NFS4_OK;
}

/* GETXATTR */
enum nfsstat4 op_getxattr(
    struct compound *compound, const union nfs_argop4 *arg, union nfs_resop4 *res)
{
    const struct place *file = &compound->current;
    struct slice name = arg->opgetxattr.gxa_name;
    enum nfsstat4 status = begin(compound);
    if (status == NFS4_OK)
        status = check_name(name);
    if (status != NFS4_OK)
        return status;
    if (own_xattr_is(name))
        return own_xattr_get(compound, name, &res->opgetxattr.gxr_value);
    uint8_t *value = arena_alloc(compound->arena, FS_XATTR_VALUE_SIZE_MAX);
    if (value == NULL)
        return NFS4ERR_DELAY;
    struct fs_buffer buffer = { .bytes = value, .capacity = FS_XATTR_VALUE_SIZE_MAX };
    int err = fs_getxattr(file->volume->fs, &compound->cred, file->node, name, &buffer);
    if (err < 0)
        return nfs_status(err);
    res->opgetxattr.gxr_value = slice_of(value, buffer.out_size);
    return NFS4_OK;
}

/* SETXATTR */
enum nfsstat4 op_setxattr(
    struct compound *compound, const union nfs_argop4 *arg, union nfs_resop4 *res)
{
    static const enum fs_xattr_how hows[] = { [SETXATTR4_EITHER] = FS_XATTR_EITHER,
        [SETXATTR4_CREATE] = FS_XATTR_CREATE,
        [SETXATTR4_REPLACE] = FS_XATTR_REPLACE };
    const struct SETXATTR4args *args = &arg->opsetxattr;
    const struct place *file = &compound->current;
    if (args->sxa_option >= ARRAY_SIZE(hows))
        return NFS4ERR_INVAL;
    enum nfsstat4 status = begin(compound);
    if (status == NFS4_OK)
        status = check_name(args->sxa_key);
    if (status == NFS4_OK && own_xattr_is(args->sxa_key))
        status = NFS4ERR_PERM;
    if (status != NFS4_OK)
        return status;
    if (args->sxa_value.size > FS_XATTR_VALUE_SIZE_MAX)
        return NFS4ERR_XATTR2BIG;
    struct fs_setxattr set = {
        .name = args->sxa_key, .value = args->sxa_value, .how = hows[args->sxa_option]
    };
    status = deleg_clear(compound, file->volume, file->node, STATE_USE_CHANGE);
    if (status != NFS4_OK)
        return status;
    struct fs_change change;
    int err = fs_setxattr(file->volume->fs, &compound->cred, file->node, &set, &change);
    if (err < 0)
        return nfs_status(err);
    res->opsetxattr.sxr_info = change_info_of(change);
    return NFS4_OK;
}

/* REMOVEXATTR */
enum nfsstat4 op_removexattr(
    struct compound *compound, const union nfs_argop4 *arg, union nfs_resop4 *res)
{
    const struct place *file = &compound->current;
    struct slice name = arg->opremovexattr.rxa_name;
    enum nfsstat4 status = begin(compound);
    if (status == NFS4_OK)
        status = check_name(name);
    if (status == NFS4_OK && own_xattr_is(name))
        status = NFS4ERR_PERM;
    if (status != NFS4_OK)
        return status;
    status = deleg_clear(compound, file->volume, file->node, STATE_USE_CHANGE);
    if (status != NFS4_OK)
        return status;
    struct fs_change change;
    int err = fs_removexattr(file->volume->fs, &compound->cred, file->node, name, &change);
    if (err < 0)
        return nfs_status(err);
    res->opremovexattr.rxr_info = change_info_of(change);
    return NFS4_OK;
}

/* The names of one answer of LISTXATTRS. */
struct listing {
    struct arena *arena;
    struct slice *names;
    uint32_t count;
    uint32_t capacity;
    size_t room; /* bytes of names that still fit */
    uint64_t cookie;
    bool is_full;
    bool no_memory;
};

static bool add_name(struct listing *listing, struct slice name)
{
    if (listing->count == listing->capacity) {
        uint32_t capacity = listing->capacity == 0 ? 16 : 2 * listing->capacity;
        struct slice *grown = arena_alloc(listing->arena, capacity * sizeof *grown);
        if (grown == NULL)
            return false;
        if (listing->count > 0)
            memcpy(grown, listing->names, listing->count * sizeof *grown);
        listing->names = grown;
        listing->capacity = capacity;
    }
    uint8_t *copy = arena_alloc(listing->arena, name.size);
    if (copy == NULL)
        return false;
    memcpy(copy, name.data, name.size);
    listing->names[listing->count++] = slice_of(copy, name.size);
    return true;
}

static bool emit_name(void *context, struct slice name, uint64_t cookie)
{
    struct listing *listing = context;
    size_t needed = 4 + round_up(name.size, 4);
    listing->is_full = needed > listing->room || listing->count == NFS4_XATTR_NAMES_MAX;
    if (listing->is_full)
        return false;
    listing->no_memory = !add_name(listing, name);
    if (listing->no_memory)
        return false;
    listing->room -= needed;
    listing->cookie = cookie;
    return true;
}

/* LISTXATTRS - in the order of cookies; lxa_maxcount bounds all of LISTXATTRS4resok. */
enum nfsstat4 op_listxattrs(
    struct compound *compound, const union nfs_argop4 *arg, union nfs_resop4 *res)
{
    const struct LISTXATTRS4args *args = &arg->oplistxattrs;
    const struct place *file = &compound->current;
    const size_t fixed_bytes = 8 + 4 + 4; /* cookie, count, eof */
    enum nfsstat4 status = begin(compound);
    if (status != NFS4_OK)
        return status;
    size_t room = compound_room(compound);
    if (room < 4 + fixed_bytes)
        return compound->too_big;
    room = min_size(room - 4, args->lxa_maxcount);
    if (room < fixed_bytes)
        return NFS4ERR_TOOSMALL;
    struct listing listing = {
        .arena = compound->arena, .room = room - fixed_bytes, .cookie = args->lxa_cookie
    };
    int err = fs_listxattr(
        file->volume->fs, &compound->cred, file->node, args->lxa_cookie, emit_name, &listing);
    if (err < 0)
        return nfs_status(err);
    if (listing.no_memory)
        return NFS4ERR_DELAY;
    if (listing.is_full && listing.count == 0)
        return NFS4ERR_TOOSMALL;
    struct LISTXATTRS4resok *resok = &res->oplistxattrs.lxr_value;
    resok->lxr_cookie = listing.cookie;
    resok->lxr_names.count = listing.count;
    resok->lxr_names.items = listing.names;
    resok->lxr_eof = !listing.is_full;
    return NFS4_OK;
}
