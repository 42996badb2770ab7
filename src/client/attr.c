/*
 * client/attr.c - reading and writing fattr4 (room: client library).
 *
 * Values follow each other in ascending order of the attributes' numbers (RFC 8881 section 5), so both
 * directions are one walk in that order.
 */
#include "client/attr.h"

#include <stdio.h>

#include "client/error.h"

#define UID_NOBODY       65534u
#define OWNER_SIZE_MAX   12
#define ENCODED_SIZE_MAX 128u /* size, mode, two owners, two times */

#define WANTED_LOW                                                                     \
    (1u << FATTR4_TYPE | 1u << FATTR4_CHANGE | 1u << FATTR4_SIZE | 1u << FATTR4_FSID | \
        1u << FATTR4_FILEHANDLE | 1u << FATTR4_FILEID)
#define WANTED_HIGH                                                                        \
    (1u << (FATTR4_MODE - 32) | 1u << (FATTR4_NUMLINKS - 32) | 1u << (FATTR4_OWNER - 32) | \
        1u << (FATTR4_OWNER_GROUP - 32) | 1u << (FATTR4_RAWDEV - 32) |                     \
        1u << (FATTR4_SPACE_USED - 32) | 1u << (FATTR4_TIME_ACCESS - 32) |                 \
        1u << (FATTR4_TIME_METADATA - 32) | 1u << (FATTR4_TIME_MODIFY - 32))

/* Not const only because struct bitmap4 serves decoding too. */
static uint32_t wanted[2] = { WANTED_LOW, WANTED_HIGH };
/* In a listing an entry that cannot be read has its error in place of attributes. */
static uint32_t wanted_in_list[2] = { WANTED_LOW | 1u << FATTR4_RDATTR_ERROR, WANTED_HIGH };

struct bitmap4 nfs_attr_wanted_in_list(void)
{
    return (struct bitmap4){ ARRAY_SIZE(wanted_in_list), wanted_in_list };
}

void nfs_attr_ask(struct nfs_call *call)
{
    union nfs_argop4 arg = { .opgetattr = { .attr_request = { ARRAY_SIZE(wanted), wanted } } };
    nfs_call_add(call, OP_GETATTR, &arg);
}

/* An owner is a number in decimal, or a name that means nothing here (RFC 8881 section 5.9). */
static bool get_owner(struct xdr_decoder *dec, uint32_t *out_id)
{
    struct slice text;
    if (!xdr_get_opaque(dec, NFS4_OPAQUE_LIMIT, &text))
        return false;
    uint64_t id = 0;
    bool numeric = text.size > 0 && text.size < OWNER_SIZE_MAX;
    for (size_t i = 0; i < text.size && numeric; i++) {
        numeric = text.data[i] >= '0' && text.data[i] <= '9';
        id = id * 10 + (uint64_t)(text.data[i] - '0');
    }
    *out_id = numeric && id <= UINT32_MAX ? (uint32_t)id : UID_NOBODY;
    return true;
}

static bool get_handle(struct xdr_decoder *dec, struct nfs_fh *out_fh)
{
    struct slice bytes;
    if (!xdr_get_opaque(dec, NFS4_FHSIZE, &bytes))
        return false;
    out_fh->size = (uint32_t)bytes.size;
    if (bytes.size > 0)
        memcpy(out_fh->data, bytes.data, bytes.size);
    return true;
}

static bool get_value(struct xdr_decoder *dec, uint32_t number, struct nfs_attr *attr)
{
    uint32_t word = 0;
    bool valid;
    switch (number) {
    case FATTR4_TYPE:
        valid = xdr_get_u32(dec, &word);
        attr->type = (enum nfs_ftype4)word;
        return valid;
    case FATTR4_CHANGE:
        return xdr_get_u64(dec, &attr->change);
    case FATTR4_SIZE:
        return xdr_get_u64(dec, &attr->size_bytes);
    case FATTR4_FSID:
        return xdr_get_fsid4(dec, &attr->fsid);
    case FATTR4_RDATTR_ERROR:
        valid = xdr_get_u32(dec, &word);
        attr->error = nfs_error_of((enum nfsstat4)word);
        return valid;
    case FATTR4_FILEHANDLE:
        return get_handle(dec, &attr->fh);
    case FATTR4_FILEID:
        return xdr_get_u64(dec, &attr->fileid);
    case FATTR4_MODE:
        return xdr_get_u32(dec, &attr->mode);
    case FATTR4_NUMLINKS:
        return xdr_get_u32(dec, &attr->link_count);
    case FATTR4_OWNER:
        return get_owner(dec, &attr->uid);
    case FATTR4_OWNER_GROUP:
        return get_owner(dec, &attr->gid);
    case FATTR4_RAWDEV:
        return xdr_get_u32(dec, &attr->device_major) && xdr_get_u32(dec, &attr->device_minor);
    case FATTR4_SPACE_USED:
        return xdr_get_u64(dec, &attr->space_used_bytes);
    case FATTR4_TIME_ACCESS:
        return xdr_get_nfstime4(dec, &attr->atime);
    case FATTR4_TIME_METADATA:
        return xdr_get_nfstime4(dec, &attr->ctime);
    case FATTR4_TIME_MODIFY:
        return xdr_get_nfstime4(dec, &attr->mtime);
    default:
        return false; /* was not asked for: its length is not known */
    }
}

bool nfs_attr_decode(const struct fattr4 *from, struct nfs_attr *out_attr)
{
    struct xdr_decoder dec = xdr_decoder_of(from->attr_vals, NULL);
    struct nfs_attr attr = { 0 };
    for (uint32_t word = 0; word < from->attrmask.count; word++) {
        for (uint32_t bits = from->attrmask.items[word]; bits != 0; bits &= bits - 1) {
            uint32_t number = word * 32 + (uint32_t)__builtin_ctz(bits);
            if (!get_value(&dec, number, &attr))
                return false;
        }
    }
    attr.mode &= 07777;
    *out_attr = attr;
    return true;
}

int nfs_attr_result(struct nfs_call *call, struct nfs_attr *out_attr)
{
    union nfs_resop4 res;
    int err = nfs_call_result(call, OP_GETATTR, &res);
    if (err == 0 && !nfs_attr_decode(&res.opgetattr.resok4.obj_attributes, out_attr))
        err = -EBADMSG;
    return err;
}

static void put_owner(struct xdr_encoder *enc, uint32_t id)
{
    char text[OWNER_SIZE_MAX];
    (void)snprintf(text, sizeof text, "%u", id); /* ten digits fit */
    xdr_put_opaque(enc, slice_str(text));
}

static void put_time(struct xdr_encoder *enc, struct nfstime4 time)
{
    struct settime4 set = { .set_it = SET_TO_CLIENT_TIME4, .time = time };
    xdr_put_settime4(enc, &set);
}

bool nfs_attr_encode(struct nfs_call *call, const struct nfs_setattr *attr, struct fattr4 *out)
{
    struct xdr_encoder enc;
    uint32_t *words = arena_calloc(&call->arena, 2, sizeof *words);
    if (words == NULL)
        return false;
    xdr_encoder_init(&enc, &call->arena, ENCODED_SIZE_MAX);
    if (attr->set_size) {
        words[0] |= 1u << FATTR4_SIZE;
        xdr_put_u64(&enc, attr->size_bytes);
    }
    if (attr->set_mode) {
        words[1] |= 1u << (FATTR4_MODE - 32);
        xdr_put_u32(&enc, attr->mode & 07777);
    }
    if (attr->set_uid) {
        words[1] |= 1u << (FATTR4_OWNER - 32);
        put_owner(&enc, attr->uid);
    }
    if (attr->set_gid) {
        words[1] |= 1u << (FATTR4_OWNER_GROUP - 32);
        put_owner(&enc, attr->gid);
    }
    if (attr->set_atime) {
        words[1] |= 1u << (FATTR4_TIME_ACCESS_SET - 32);
        put_time(&enc, attr->atime);
    }
    if (attr->set_mtime) {
        words[1] |= 1u << (FATTR4_TIME_MODIFY_SET - 32);
        put_time(&enc, attr->mtime);
    }
    out->attrmask = (struct bitmap4){ 2, words };
    out->attr_vals = slice_of(enc.data, enc.size);
    return !enc.failed;
}

/* Whether changing the owner may clear bits of the mode (POSIX chown()). */
static bool needs_mode_again(const struct nfs_setattr *attr)
{
    return attr->set_mode && (attr->mode & 06000) != 0 && (attr->set_uid || attr->set_gid);
}

bool nfs_attr_set(struct nfs_call *call, const struct nfs_setattr *attr, struct stateid4 stateid)
{
    union nfs_argop4 arg = { .opsetattr = { .stateid = stateid } };
    if (!nfs_attr_encode(call, attr, &arg.opsetattr.obj_attributes))
        return false;
    nfs_call_add(call, OP_SETATTR, &arg);
    if (!needs_mode_again(attr))
        return true;
    struct nfs_setattr mode = { .set_mode = true, .mode = attr->mode };
    if (!nfs_attr_encode(call, &mode, &arg.opsetattr.obj_attributes))
        return false;
    nfs_call_add(call, OP_SETATTR, &arg);
    return true;
}

int nfs_attr_set_result(struct nfs_call *call, const struct nfs_setattr *attr)
{
    int err = nfs_call_skip(call, OP_SETATTR);
    if (err == 0 && needs_mode_again(attr))
        err = nfs_call_skip(call, OP_SETATTR);
    return err;
}
