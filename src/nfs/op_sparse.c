/*
 * nfs/op_sparse.c - holes and space of files: SEEK, ALLOCATE, DEALLOCATE, READ_PLUS and IO_ADVISE (room: NFS).
 *
 * What is a hole is the file system's word; at the end of every file there is one. READ_PLUS takes data and holes
 * from one state of the file, so a write that comes between is seen as a whole or not at all.
 *
 * Sources: RFC 7862 sections 6, 7, 15.1, 15.4, 15.5, 15.10 and 15.11.
 */
#include "metrics/metrics.h"
#include "nfs/op_io.h"

/* Of one answer of READ_PLUS. What more there is, the client asks for again. */
#define READ_PLUS_PARTS_MAX 64u
/* The kind, the offset, the length, and the padding of the data: what a part takes in the reply beside its data. */
#define PART_BYTES          (4u + 8u + 8u + 3u)

/* The file, its stateid and its range, of what changes it. */
static enum nfsstat4 begin_change(
    struct compound *compound, const struct stateid4 *stateid, uint64_t offset, uint64_t length)
{
    struct place *file = &compound->current;
    enum nfsstat4 status = io_require_file(compound, file);
    if (status == NFS4_OK)
        status = io_check_access(compound, file, stateid, STATE_IO_WRITE);
    if (status == NFS4_OK && (length == 0 || length > UINT64_MAX - offset))
        status = NFS4ERR_INVAL;
    return status;
}

/* ALLOCATE - space for a range, so that no later write of it fails for want of space; the file grows if need be. */
enum nfsstat4 op_allocate(
    struct compound *compound, const union nfs_argop4 *arg, union nfs_resop4 *res)
{
    (void)res;
    const struct ALLOCATE4args *args = &arg->opallocate;
    const struct place *file = &compound->current;
    enum nfsstat4 status =
        begin_change(compound, &args->aa_stateid, args->aa_offset, args->aa_length);
    if (status != NFS4_OK)
        return status;
    if (args->aa_offset + args->aa_length > FS_FILE_SIZE_MAX)
        return NFS4ERR_FBIG;
    struct fs_attr attr;
    int err = fs_allocate(
        file->volume->fs, &compound->cred, file->node, args->aa_offset, args->aa_length, &attr);
    if (err < 0)
        return nfs_status(err);
    compound_set_attr(compound, &attr);
    return NFS4_OK;
}

/* DEALLOCATE - a range becomes a hole; the size stays, what is beyond it is passed over. */
enum nfsstat4 op_deallocate(
    struct compound *compound, const union nfs_argop4 *arg, union nfs_resop4 *res)
{
    (void)res;
    const struct DEALLOCATE4args *args = &arg->opdeallocate;
    const struct place *file = &compound->current;
    enum nfsstat4 status =
        begin_change(compound, &args->da_stateid, args->da_offset, args->da_length);
    if (status != NFS4_OK)
        return status;
    struct fs_attr attr;
    int err = fs_deallocate(
        file->volume->fs, &compound->cred, file->node, args->da_offset, args->da_length, &attr);
    if (err < 0)
        return nfs_status(err);
    compound_set_attr(compound, &attr);
    return NFS4_OK;
}

/* SEEK - to the next data, or hole, at or after an offset. */
enum nfsstat4 op_seek(struct compound *compound, const union nfs_argop4 *arg, union nfs_resop4 *res)
{
    const struct SEEK4args *args = &arg->opseek;
    struct place *file = &compound->current;
    enum nfsstat4 status = io_require_file(compound, file);
    if (status == NFS4_OK)
        status = io_check_access(compound, file, &args->sa_stateid, STATE_IO_READ);
    if (status != NFS4_OK)
        return status;
    if (args->sa_what != NFS4_CONTENT_DATA && args->sa_what != NFS4_CONTENT_HOLE)
        return NFS4ERR_UNION_NOTSUPP;
    status = place_get_attr(compound, file);
    if (status != NFS4_OK)
        return status;
    uint64_t end = file->attr.size_bytes;
    if (args->sa_offset >= end)
        return NFS4ERR_NXIO;
    enum fs_seek_what what = args->sa_what == NFS4_CONTENT_DATA ? FS_SEEK_DATA : FS_SEEK_HOLE;
    uint64_t offset = end;
    int err = fs_seek(file->volume->fs, file->node, args->sa_offset, what, &offset);
    if (err < 0 && err != -ENXIO) /* no data follows: that is told by sr_eof */
        return nfs_status(err);
    res->opseek.resok4.sr_eof = offset >= end;
    res->opseek.resok4.sr_offset = offset;
    return NFS4_OK;
}

/* IO_ADVISE - heard, and nothing is done about it: so no hint is told to be followed. */
enum nfsstat4 op_io_advise(
    struct compound *compound, const union nfs_argop4 *arg, union nfs_resop4 *res)
{
    (void)res; /* no hints */
    const struct IO_ADVISE4args *args = &arg->opio_advise;
    struct place *file = &compound->current;
    enum nfsstat4 status = io_require_file(compound, file);
    if (status != NFS4_OK)
        return status;
    if (args->iaa_count > UINT64_MAX - args->iaa_offset)
        return NFS4ERR_INVAL;
    return io_check_access(compound, file, &args->iaa_stateid, STATE_IO_READ);
}

/* The parts as they go into the reply; data by reference into `buffer`, whose first byte is that of `offset`. */
static void put_parts(const struct fs_segment *segments, size_t count, const uint8_t *buffer,
    uint64_t offset, struct read_plus_content *out)
{
    for (size_t i = 0; i < count; i++) {
        const struct fs_segment *segment = &segments[i];
        if (segment->is_hole) {
            out[i].rpc_content = NFS4_CONTENT_HOLE;
            out[i].rpc_hole = (struct data_info4){ .di_offset = segment->offset,
                .di_length = segment->size_bytes };
        } else {
            out[i].rpc_content = NFS4_CONTENT_DATA;
            out[i].rpc_data = (struct data4){ .d_offset = segment->offset,
                .d_data =
                    slice_of(buffer + (segment->offset - offset), (size_t)segment->size_bytes) };
            metrics_add(METRIC_NFS_READ_BYTES, 0, segment->size_bytes);
        }
    }
}

/* READ_PLUS - as READ, with holes told instead of sent. */
enum nfsstat4 op_read_plus(
    struct compound *compound, const union nfs_argop4 *arg, union nfs_resop4 *res)
{
    const struct READ_PLUS4args *args = &arg->opread_plus;
    struct place *file = &compound->current;
    enum nfsstat4 status = io_require_file(compound, file);
    if (status == NFS4_OK)
        status = io_check_access(compound, file, &args->rpa_stateid, STATE_IO_READ);
    if (status == NFS4_OK)
        status = place_get_attr(compound, file);
    if (status != NFS4_OK)
        return status;
    uint64_t left =
        args->rpa_offset < file->attr.size_bytes ? file->attr.size_bytes - args->rpa_offset : 0;
    size_t size = (size_t)min_u64(left, min_u64(args->rpa_count, FS_IO_SIZE_MAX));
    const size_t result_bytes = 4 + 4 + 4; /* status, eof, count; the number is there already */
    if (size + READ_PLUS_PARTS_MAX * PART_BYTES + result_bytes > compound_room(compound))
        return compound->too_big;
    uint8_t *buffer = arena_alloc(compound->arena, size);
    struct fs_segment *segments =
        arena_alloc(compound->arena, READ_PLUS_PARTS_MAX * sizeof *segments);
    struct read_plus_content *parts =
        arena_calloc(compound->arena, READ_PLUS_PARTS_MAX, sizeof *parts);
    if (buffer == NULL || segments == NULL || parts == NULL)
        return NFS4ERR_DELAY;
    struct fs_read_segments read = { .offset = args->rpa_offset,
        .buffer = buffer,
        .size = size,
        .segments = segments,
        .segment_max = READ_PLUS_PARTS_MAX };
    struct read_plus_res4 *resok = &res->opread_plus.rp_resok4;
    resok->rpr_eof = left == 0;
    if (size == 0)
        return NFS4_OK;
    int err = fs_read_segments(file->volume->fs, file->node, &read);
    if (err < 0)
        return nfs_status(err);
    put_parts(segments, read.out_segment_count, buffer, args->rpa_offset, parts);
    resok->rpr_eof = read.out.at_end;
    resok->rpr_contents.count = read.out_segment_count;
    resok->rpr_contents.items = parts;
    return NFS4_OK;
}
