/*
 * nfs/op_copy.c - copies that the server makes: CLONE and COPY (room: NFS).
 *
 * The saved filehandle is the source, the current one the destination. Both must be open as for READ and WRITE, or
 * allow as much by their modes. What COPY cannot do at once goes on behind its answer (nfs/offload.h) for a client that
 * allows it and can be called back; others are answered what was done so far. Copies from other servers are not
 * supported.
 *
 * Sources: RFC 7862 sections 4, 15.2, 15.8, 15.9 and 15.13.
 */
#include "nfs/copier.h"
#include "nfs/offload.h"
#include "nfs/op_io.h"

/* A COPY answers after this many bytes that had to be read and written. */
#define COPY_BYTES_MAX (16u << 20)

/* Both files and stateids. */
static enum nfsstat4 begin_copy(struct compound *compound, const struct stateid4 *from_stateid,
    const struct stateid4 *to_stateid)
{
    struct place *from = &compound->saved;
    struct place *to = &compound->current;
    enum nfsstat4 status = io_require_file(compound, from);
    if (status == NFS4_OK)
        status = io_require_file(compound, to);
    if (status == NFS4_OK)
        status = io_check_access(compound, from, from_stateid, STATE_IO_READ);
    if (status == NFS4_OK)
        status = io_check_access(compound, to, to_stateid, STATE_IO_WRITE);
    if (status == NFS4_OK)
        status = place_get_attr(compound, from);
    return status;
}

static bool is_same_file(const struct compound *compound)
{
    const struct place *from = &compound->saved;
    const struct place *to = &compound->current;
    return from->volume == to->volume && fs_node_equal(from->node, to->node);
}

/* How much is to be copied; `count` 0: to the end of the source. */
static enum nfsstat4 get_size(const struct compound *compound, uint64_t from_offset,
    uint64_t to_offset, uint64_t count, uint64_t *out_size)
{
    uint64_t end = compound->saved.attr.size_bytes;
    if (from_offset > end || count > end - from_offset)
        return NFS4ERR_INVAL;
    uint64_t size = count != 0 ? count : end - from_offset;
    if (to_offset > FS_FILE_SIZE_MAX || size > FS_FILE_SIZE_MAX - to_offset)
        return NFS4ERR_FBIG;
    *out_size = size;
    return NFS4_OK;
}

/* CLONE - the destination shares the blocks of the source: all or nothing. */
enum nfsstat4 op_clone(
    struct compound *compound, const union nfs_argop4 *arg, union nfs_resop4 *res)
{
    (void)res;
    const struct CLONE4args *args = &arg->opclone;
    const struct place *from = &compound->saved;
    const struct place *to = &compound->current;
    enum nfsstat4 status = begin_copy(compound, &args->cl_src_stateid, &args->cl_dst_stateid);
    if (status != NFS4_OK)
        return status;
    if (places_are_apart(from, to))
        return NFS4ERR_XDEV;
    if ((compound_versions(compound) & CLONES) == 0)
        return NFS4ERR_NOTSUPP;
    uint64_t size;
    status = get_size(compound, args->cl_src_offset, args->cl_dst_offset, args->cl_count, &size);
    if (status != NFS4_OK)
        return status;
    bool is_apart = args->cl_src_offset + size <= args->cl_dst_offset ||
                    args->cl_dst_offset + size <= args->cl_src_offset;
    if (is_same_file(compound) && !is_apart)
        return NFS4ERR_INVAL;
    if (size == 0)
        return NFS4_OK;
    struct fs_clone clone = { .source = from->node,
        .source_offset = args->cl_src_offset,
        .target = to->node,
        .target_offset = args->cl_dst_offset,
        .size_bytes = size };
    struct fs_attr attr;
    int err = fs_clone(to->volume->fs, &compound->cred, &clone, &attr);
    if (err < 0)
        return nfs_status(err);
    compound_set_attr(compound, &attr);
    return NFS4_OK;
}

/* Copies until the bound is reached. */
static int copy_pieces(struct copier *copier)
{
    int err = 0;
    uint64_t written = 0;
    while (err == 0 && copier->left > 0 && written < COPY_BYTES_MAX) {
        uint64_t before = copier->done;
        err = copier_step(copier);
        if (copier->done - before <= COPIER_BUFFER_SIZE)
            written += copier->done - before;
    }
    return err;
}

/* Leaves the rest to nfs/offload.h, if that can be. */
static void go_on_behind(
    struct compound *compound, const struct copier *copier, struct COPY4resok *resok)
{
    struct stateid4 *stateid = arena_alloc(compound->arena, sizeof *stateid);
    if (stateid == NULL ||
        offload_begin(compound, copier, resok->cr_response.wr_writeverf, stateid) != NFS4_OK)
        return;
    resok->cr_response.wr_callback_id.count = 1;
    resok->cr_response.wr_callback_id.items = stateid;
    resok->cr_requirements.cr_synchronous = false;
}

/* COPY - in order; possibly less than was asked for, or not yet. */
enum nfsstat4 op_copy(struct compound *compound, const union nfs_argop4 *arg, union nfs_resop4 *res)
{
    const struct COPY4args *args = &arg->opcopy;
    const struct place *from = &compound->saved;
    const struct place *to = &compound->current;
    if (args->ca_source_server.count > 0)
        return NFS4ERR_NOTSUPP;
    enum nfsstat4 status = begin_copy(compound, &args->ca_src_stateid, &args->ca_dst_stateid);
    if (status == NFS4_OK && is_same_file(compound))
        status = NFS4ERR_INVAL; /* RFC 7862 section 15.2.3: they must be different files */
    if (status == NFS4_OK && !compound_is_same_user(compound, from, to))
        status = NFS4ERR_XDEV; /* the client reads and writes by itself */
    if (status != NFS4_OK)
        return status;
    struct copier copier = { .from_fs = from->volume->fs,
        .to_fs = to->volume->fs,
        .from = from->node,
        .to = to->node,
        .from_offset = args->ca_src_offset,
        .to_offset = args->ca_dst_offset,
        .cred = compound->cred };
    status =
        get_size(compound, args->ca_src_offset, args->ca_dst_offset, args->ca_count, &copier.left);
    if (status != NFS4_OK)
        return status;
    copier.buffer =
        arena_alloc(compound->arena, (size_t)min_u64(max_u64(copier.left, 1), COPIER_BUFFER_SIZE));
    if (copier.buffer == NULL)
        return NFS4ERR_DELAY;
    struct COPY4resok *resok = &res->opcopy.cr_resok4;
    fs_writeverf(to->volume->fs, resok->cr_response.wr_writeverf); /* before: see WRITE */
    int err = copy_pieces(&copier);
    if (err < 0 && copier.done == 0)
        return nfs_status(err);
    resok->cr_response.wr_count = copier.done;
    resok->cr_response.wr_committed = copier.is_unstable ? UNSTABLE4 : FILE_SYNC4;
    resok->cr_requirements =
        (struct copy_requirements4){ .cr_consecutive = true, .cr_synchronous = true };
    if (err == 0 && copier.left > 0 && !args->ca_synchronous)
        go_on_behind(compound, &copier, resok);
    return NFS4_OK;
}

/* OFFLOAD_STATUS */
enum nfsstat4 op_offload_status(
    struct compound *compound, const union nfs_argop4 *arg, union nfs_resop4 *res)
{
    return offload_status(
        compound, &arg->opoffload_status.osa_stateid, &res->opoffload_status.osr_resok4);
}

/* OFFLOAD_CANCEL - what was copied stays. */
enum nfsstat4 op_offload_cancel(
    struct compound *compound, const union nfs_argop4 *arg, union nfs_resop4 *res)
{
    (void)res;
    return offload_cancel(compound, &arg->opoffload_cancel.oca_stateid);
}
