/*
 * nfs/attr_decode.c - the value of each attribute that can be set, from the wire (room: NFS; attr.c has the table).
 *
 * Sources: RFC 8881 sections 5.8 and 18.30; RFC 8275 (mode_umask).
 */
#include "nfs/attr_rows.h"

#define MODE_BITS              07777u
#define PERMISSION_BITS        0777u
#define OWNER_SIZE_MAX         1024u
#define NANOSECONDS_PER_SECOND 1000000000u

enum nfsstat4 attr_get_size(struct xdr_decoder *dec, struct attr_change *change)
{
    if (!xdr_get_u64(dec, &change->set.size_bytes))
        return NFS4ERR_BADXDR;
    change->set.set_size = true;
    return NFS4_OK;
}

enum nfsstat4 attr_get_mode(struct xdr_decoder *dec, struct attr_change *change)
{
    if (!xdr_get_u32(dec, &change->set.mode))
        return NFS4ERR_BADXDR;
    if ((change->set.mode & ~MODE_BITS) != 0)
        return NFS4ERR_INVAL;
    change->set.set_mode = true;
    return NFS4_OK;
}

/* A decimal number without sign or blanks; names need a directory service that nobody has told us of. */
static enum nfsstat4 get_id(struct xdr_decoder *dec, uint32_t *out_id)
{
    struct slice text;
    if (!xdr_get_opaque(dec, OWNER_SIZE_MAX, &text))
        return NFS4ERR_BADXDR;
    if (text.size == 0)
        return NFS4ERR_INVAL;
    uint64_t id = 0;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return NFS4ERR_BADOWNER;
        id = id * 10 + (text.data[i] - (unsigned)'0');
        if (id > UINT32_MAX)
            return NFS4ERR_BADOWNER;
    }
    *out_id = (uint32_t)id;
    return NFS4_OK;
}

enum nfsstat4 attr_get_owner(struct xdr_decoder *dec, struct attr_change *change)
{
    change->set.set_uid = true;
    return get_id(dec, &change->set.uid);
}

enum nfsstat4 attr_get_owner_group(struct xdr_decoder *dec, struct attr_change *change)
{
    change->set.set_gid = true;
    return get_id(dec, &change->set.gid);
}

static enum nfsstat4 get_time(struct xdr_decoder *dec, struct fs_time *out_time)
{
    uint64_t seconds;
    uint32_t nanoseconds;
    if (!xdr_get_u64(dec, &seconds) || !xdr_get_u32(dec, &nanoseconds))
        return NFS4ERR_BADXDR;
    if (nanoseconds >= NANOSECONDS_PER_SECOND)
        return NFS4ERR_INVAL;
    *out_time = (struct fs_time){ .seconds = (int64_t)seconds, .nanoseconds = nanoseconds };
    return NFS4_OK;
}

static enum nfsstat4 get_settime(
    struct xdr_decoder *dec, enum fs_time_how *out_how, struct fs_time *out_time)
{
    uint32_t how;
    if (!xdr_get_u32(dec, &how))
        return NFS4ERR_BADXDR;
    switch (how) {
    case SET_TO_SERVER_TIME4:
        *out_how = FS_TIME_SERVER;
        return NFS4_OK;
    case SET_TO_CLIENT_TIME4:
        *out_how = FS_TIME_CLIENT;
        return get_time(dec, out_time);
    default:
        return NFS4ERR_BADXDR;
    }
}

enum nfsstat4 attr_get_time_access_set(struct xdr_decoder *dec, struct attr_change *change)
{
    return get_settime(dec, &change->set.atime_how, &change->set.atime);
}

enum nfsstat4 attr_get_time_modify_set(struct xdr_decoder *dec, struct attr_change *change)
{
    return get_settime(dec, &change->set.mtime_how, &change->set.mtime);
}

enum nfsstat4 attr_get_time_create(struct xdr_decoder *dec, struct attr_change *change)
{
    change->set.set_btime = true;
    return get_time(dec, &change->set.btime);
}

enum nfsstat4 attr_get_mode_umask(struct xdr_decoder *dec, struct attr_change *change)
{
    uint32_t mode;
    uint32_t umask;
    if (!xdr_get_u32(dec, &mode) || !xdr_get_u32(dec, &umask))
        return NFS4ERR_BADXDR;
    if ((mode & ~MODE_BITS) != 0 || (umask & ~PERMISSION_BITS) != 0)
        return NFS4ERR_INVAL;
    change->set.mode = mode & ~umask;
    change->set.set_mode = true;
    return NFS4_OK;
}

enum nfsstat4 attr_get_time_deleg_access(struct xdr_decoder *dec, struct attr_change *change)
{
    return get_time(dec, &change->deleg_atime);
}

enum nfsstat4 attr_get_time_deleg_modify(struct xdr_decoder *dec, struct attr_change *change)
{
    return get_time(dec, &change->deleg_mtime);
}
