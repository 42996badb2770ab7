/*
 * nfs/attr_encode.c - the value of each attribute, to the wire (room: NFS; attr.c has the table).
 *
 * Sources: RFC 8881 sections 5.6 to 5.10; RFC 7862 section 12.2.3.
 */
#include "nfs/attr_rows.h"
#include "nfs/view.h"

#define STRICT_SPACE_USED_MIN 4096u

void attr_put_supported_attrs(struct xdr_encoder *enc, const struct attr_source *source)
{
    struct attr_mask mask = attr_supported(source->versions);
    attr_mask_put(enc, &mask);
}

void attr_put_type(struct xdr_encoder *enc, const struct attr_source *source)
{
    static const enum nfs_ftype4 ftype[] = { [FS_REGULAR] = NF4REG,
        [FS_DIRECTORY] = NF4DIR,
        [FS_SYMLINK] = NF4LNK,
        [FS_FIFO] = NF4FIFO,
        [FS_SOCKET] = NF4SOCK,
        [FS_BLOCK] = NF4BLK,
        [FS_CHARACTER] = NF4CHR };
    assert(source->attr->type >= FS_REGULAR && source->attr->type <= FS_CHARACTER);
    xdr_put_u32(enc, ftype[source->attr->type]);
}

void attr_put_fh_expire_type(struct xdr_encoder *enc, const struct attr_source *source)
{
    (void)source;
    xdr_put_u32(enc, FH4_PERSISTENT);
}

void attr_put_change(struct xdr_encoder *enc, const struct attr_source *source)
{
    xdr_put_u64(enc, source->attr->change);
}

void attr_put_size(struct xdr_encoder *enc, const struct attr_source *source)
{
    xdr_put_u64(enc, source->attr->size_bytes);
}

void attr_put_true(struct xdr_encoder *enc, const struct attr_source *source)
{
    (void)source;
    xdr_put_bool(enc, true);
}

void attr_put_false(struct xdr_encoder *enc, const struct attr_source *source)
{
    (void)source;
    xdr_put_bool(enc, false);
}

void attr_put_zero(struct xdr_encoder *enc, const struct attr_source *source)
{
    (void)source;
    xdr_put_u32(enc, 0);
}

void attr_put_fsid(struct xdr_encoder *enc, const struct attr_source *source)
{
    xdr_put_u64(enc, source->fh.fs_tag);
    xdr_put_u64(enc, source->fh.access_point);
}

void attr_put_lease_time(struct xdr_encoder *enc, const struct attr_source *source)
{
    xdr_put_u32(enc, source->lease_s);
}

void attr_put_rdattr_error(struct xdr_encoder *enc, const struct attr_source *source)
{
    xdr_put_u32(enc, source->error);
}

void attr_put_filehandle(struct xdr_encoder *enc, const struct attr_source *source)
{
    uint8_t bytes[FH_SIZE];
    fh_encode(source->fh_key, &source->fh, bytes);
    xdr_put_opaque(enc, slice_of(bytes, sizeof bytes));
}

void attr_put_fileid(struct xdr_encoder *enc, const struct attr_source *source)
{
    xdr_put_u64(enc, source->attr->node.inode);
}

void attr_put_files_free(struct xdr_encoder *enc, const struct attr_source *source)
{
    xdr_put_u64(enc, source->space->free_files);
}

void attr_put_files_total(struct xdr_encoder *enc, const struct attr_source *source)
{
    xdr_put_u64(enc, source->space->total_files);
}

void attr_put_maxfilesize(struct xdr_encoder *enc, const struct attr_source *source)
{
    (void)source;
    xdr_put_u64(enc, FS_FILE_SIZE_MAX);
}

void attr_put_maxlink(struct xdr_encoder *enc, const struct attr_source *source)
{
    bool is_strict = (source->versions & EXTENDED) == 0;
    xdr_put_u32(enc, is_strict ? VIEW_STRICT_LINK_COUNT_MAX : FS_LINK_COUNT_MAX);
}

void attr_put_maxname(struct xdr_encoder *enc, const struct attr_source *source)
{
    (void)source;
    xdr_put_u32(enc, FS_NAME_SIZE_MAX);
}

void attr_put_io_size_max(struct xdr_encoder *enc, const struct attr_source *source)
{
    (void)source;
    xdr_put_u64(enc, FS_IO_SIZE_MAX);
}

void attr_put_mode(struct xdr_encoder *enc, const struct attr_source *source)
{
    xdr_put_u32(enc, source->attr->mode);
}

void attr_put_numlinks(struct xdr_encoder *enc, const struct attr_source *source)
{
    xdr_put_u32(enc, source->attr->link_count);
}

/* Owners are decimal numbers, as strings (RFC 7530 section 5.9; what EFS and Linux with AUTH_SYS use). */
static void put_id(struct xdr_encoder *enc, uint32_t id)
{
    uint8_t digits[10];
    size_t at = sizeof digits;
    do {
        digits[--at] = (uint8_t)('0' + id % 10);
        id /= 10;
    } while (id != 0);
    xdr_put_opaque(enc, slice_of(digits + at, sizeof digits - at));
}

void attr_put_owner(struct xdr_encoder *enc, const struct attr_source *source)
{
    put_id(enc, source->attr->uid);
}

void attr_put_owner_group(struct xdr_encoder *enc, const struct attr_source *source)
{
    put_id(enc, source->attr->gid);
}

void attr_put_rawdev(struct xdr_encoder *enc, const struct attr_source *source)
{
    xdr_put_u32(enc, source->attr->device_major);
    xdr_put_u32(enc, source->attr->device_minor);
}

void attr_put_space_avail(struct xdr_encoder *enc, const struct attr_source *source)
{
    xdr_put_u64(enc, source->space->available_bytes);
}

void attr_put_space_free(struct xdr_encoder *enc, const struct attr_source *source)
{
    xdr_put_u64(enc, source->space->free_bytes);
}

void attr_put_space_total(struct xdr_encoder *enc, const struct attr_source *source)
{
    xdr_put_u64(enc, source->space->total_bytes);
}

void attr_put_space_used(struct xdr_encoder *enc, const struct attr_source *source)
{
    /* EFS: metered sizes; what has no data counts as one block. */
    bool is_strict = (source->versions & EXTENDED) == 0;
    uint64_t least = is_strict ? STRICT_SPACE_USED_MIN : 0;
    uint64_t used = source->attr->space_used_bytes;
    xdr_put_u64(enc, used > least ? used : least);
}

static void put_time(struct xdr_encoder *enc, struct fs_time time)
{
    xdr_put_u64(enc, (uint64_t)time.seconds);
    xdr_put_u32(enc, time.nanoseconds);
}

void attr_put_time_access(struct xdr_encoder *enc, const struct attr_source *source)
{
    put_time(enc, source->attr->atime);
}

void attr_put_time_create(struct xdr_encoder *enc, const struct attr_source *source)
{
    put_time(enc, source->attr->btime);
}

void attr_put_time_delta(struct xdr_encoder *enc, const struct attr_source *source)
{
    (void)source;
    put_time(enc, (struct fs_time){ .nanoseconds = 1 });
}

void attr_put_time_metadata(struct xdr_encoder *enc, const struct attr_source *source)
{
    put_time(enc, source->attr->ctime);
}

void attr_put_time_modify(struct xdr_encoder *enc, const struct attr_source *source)
{
    put_time(enc, source->attr->mtime);
}

void attr_put_mounted_on_fileid(struct xdr_encoder *enc, const struct attr_source *source)
{
    xdr_put_u64(enc, source->mounted_on_fileid);
}

void attr_put_suppattr_exclcreat(struct xdr_encoder *enc, const struct attr_source *source)
{
    struct attr_mask mask = attr_exclusive_create(source->versions);
    attr_mask_put(enc, &mask);
}

void attr_put_clone_blksize(struct xdr_encoder *enc, const struct attr_source *source)
{
    (void)source;
    xdr_put_u32(enc, FS_CLONE_BLOCK_BYTES);
}

void attr_put_change_attr_type(struct xdr_encoder *enc, const struct attr_source *source)
{
    (void)source;
    xdr_put_u32(enc, NFS4_CHANGE_TYPE_IS_VERSION_COUNTER_NOPNFS);
}

static void put_bits(struct xdr_encoder *enc, uint32_t bits)
{
    xdr_put_u32(enc, 1);
    xdr_put_u32(enc, bits);
}

/* What OPEN understands, RFC 9754 section 2. Claims of delegations of the past, and signals that one would be free, are
 * not there. */
void attr_put_open_arguments(struct xdr_encoder *enc, const struct attr_source *source)
{
    uint32_t wants = 1u << OPEN_ARGS_SHARE_ACCESS_WANT_ANY_DELEG |
                     1u << OPEN_ARGS_SHARE_ACCESS_WANT_NO_DELEG |
                     1u << OPEN_ARGS_SHARE_ACCESS_WANT_CANCEL;
    if ((source->versions & V42) != 0)
        wants |= 1u << OPEN_ARGS_SHARE_ACCESS_WANT_OPEN_XOR_DELEGATION;
    if ((source->versions & DELEG_TIMES) != 0)
        wants |= 1u << OPEN_ARGS_SHARE_ACCESS_WANT_DELEG_TIMESTAMPS;
    put_bits(enc, 1u << OPEN_ARGS_SHARE_ACCESS_READ | 1u << OPEN_ARGS_SHARE_ACCESS_WRITE |
                      1u << OPEN_ARGS_SHARE_ACCESS_BOTH);
    put_bits(enc, 1u << OPEN_ARGS_SHARE_DENY_NONE | 1u << OPEN_ARGS_SHARE_DENY_READ |
                      1u << OPEN_ARGS_SHARE_DENY_WRITE | 1u << OPEN_ARGS_SHARE_DENY_BOTH);
    put_bits(enc, wants);
    put_bits(enc, 1u << OPEN_ARGS_OPEN_CLAIM_NULL | 1u << OPEN_ARGS_OPEN_CLAIM_PREVIOUS |
                      1u << OPEN_ARGS_OPEN_CLAIM_DELEGATE_CUR | 1u << OPEN_ARGS_OPEN_CLAIM_FH |
                      1u << OPEN_ARGS_OPEN_CLAIM_DELEG_CUR_FH);
    put_bits(enc, 1u << OPEN_ARGS_CREATEMODE_UNCHECKED4 | 1u << OPEN_ARGS_CREATE_MODE_GUARDED |
                      1u << OPEN_ARGS_CREATEMODE_EXCLUSIVE4 |
                      1u << OPEN_ARGS_CREATE_MODE_EXCLUSIVE4_1);
}
