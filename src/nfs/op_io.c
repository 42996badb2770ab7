/*
 * nfs/op_io.c - READ, WRITE and COMMIT (room: NFS).
 *
 * Data is never copied here: READ's goes from the file system into memory of the request and by reference into the
 * reply, WRITE's comes as a slice of the record.
 *
 * Sources: RFC 8881 sections 18.22, 18.32 and 18.3.
 */
#include "nfs/op_io.h"
#include "fs/perm.h"
#include "metrics/metrics.h"
#include "nfs/deleg.h"

bool io_is_permitted(const struct compound *compound, const struct state_io_grant *grant)
{
    uint32_t uid = compound->cred.uid;
    return uid == 0 || (grant->by_open && grant->has_user && grant->user == uid);
}

/* A stateid that was overheard is no key to a file, so the user counts, too. Who opened it may go on whatever its mode
 * became, as a process does that has it open; so may the file's owner. Others need the permission now. */
enum nfsstat4 io_check_access(struct compound *compound, struct place *file,
    const struct stateid4 *stateid4, enum state_io io)
{
    struct state_file_ref ref = place_file_ref(file);
    struct state_stateid stateid = place_stateid(compound, file, stateid4);
    struct state_io_grant grant;
    enum state_status granted = state_io_check(&compound->caller, &ref, &stateid, io, &grant);
    if (granted != STATE_OK)
        return nfs_state_status(granted);
    enum nfsstat4 status = NFS4_OK;
    if (grant.by_open && compound->minor == 0)
        callpath_note(compound, state_stateid_clientid(&stateid));
    if (!grant.by_open)
        status = deleg_clear(compound, file->volume, file->node,
            io == STATE_IO_READ ? STATE_USE_READ : STATE_USE_CHANGE);
    if (status != NFS4_OK || io_is_permitted(compound, &grant))
        return status;
    status = place_get_attr(compound, file);
    if (status != NFS4_OK || compound->cred.uid == file->attr.uid)
        return status;
    return nfs_status(perm_check_data(
        &compound->cred, &file->attr, io == STATE_IO_READ ? PERM_READ : PERM_WRITE));
}

enum nfsstat4 io_require_file(struct compound *compound, struct place *file)
{
    enum fs_type type;
    enum nfsstat4 status = place_get_type(compound, file, &type);
    if (status == NFS4_OK && type != FS_REGULAR)
        status = NFS4ERR_WRONG_TYPE;
    return status;
}

/* Of the current file, as READ and WRITE have it. */
static enum nfsstat4 check_access(
    struct compound *compound, const struct stateid4 *stateid, enum state_io io)
{
    enum nfsstat4 status = compound_require_regular(compound);
    return status != NFS4_OK ? status : io_check_access(compound, &compound->current, stateid, io);
}

/* READ - fewer bytes than asked only at the end of the file. */
enum nfsstat4 op_read(struct compound *compound, const union nfs_argop4 *arg, union nfs_resop4 *res)
{
    const struct READ4args *args = &arg->opread;
    struct place *file = &compound->current;
    enum nfsstat4 status = check_access(compound, &args->stateid, STATE_IO_READ);
    if (status != NFS4_OK)
        return status;
    status = place_get_attr(compound, file);
    if (status != NFS4_OK)
        return status;
    /* The size is known to spare memory; should the file grow now, the read ends where it ended before. */
    uint64_t left = args->offset < file->attr.size_bytes ? file->attr.size_bytes - args->offset : 0;
    size_t size = (size_t)min_u64(left, min_u64(args->count, FS_IO_SIZE_MAX));
    const size_t result_bytes = 4 + 4 + 4 + 4; /* number, status, eof, length */
    size_t begun_bytes = 4;                    /* the number is in the reply already */
    if (round_up(size, 4) + result_bytes - begun_bytes > compound_room(compound))
        return compound->too_big;
    uint8_t *buffer = arena_alloc(compound->arena, size);
    if (buffer == NULL)
        return NFS4ERR_DELAY;
    struct fs_read done;
    int err = fs_read(file->volume->fs, file->node, args->offset, buffer, size, &done);
    if (err < 0)
        return nfs_status(err);
    metrics_add(METRIC_NFS_READ_BYTES, 0, done.size);
    res->opread.resok4.eof = done.at_end;
    res->opread.resok4.data = slice_of(buffer, done.size);
    return NFS4_OK;
}

/* WRITE - at least as stable as asked. */
enum nfsstat4 op_write(
    struct compound *compound, const union nfs_argop4 *arg, union nfs_resop4 *res)
{
    static const enum fs_stability stabilities[] = {
        [UNSTABLE4] = FS_UNSTABLE, [DATA_SYNC4] = FS_DATA_SYNC, [FILE_SYNC4] = FS_FILE_SYNC
    };
    static const enum stable_how4 stable_hows[] = {
        [FS_UNSTABLE] = UNSTABLE4, [FS_DATA_SYNC] = DATA_SYNC4, [FS_FILE_SYNC] = FILE_SYNC4
    };
    const struct WRITE4args *args = &arg->opwrite;
    struct place *file = &compound->current;
    if (args->stable >= ARRAY_SIZE(stabilities))
        return NFS4ERR_INVAL;
    enum nfsstat4 status = check_access(compound, &args->stateid, STATE_IO_WRITE);
    if (status != NFS4_OK)
        return status;
    if (args->offset > FS_FILE_SIZE_MAX || args->data.size > FS_FILE_SIZE_MAX - args->offset)
        return NFS4ERR_FBIG;
    struct fs_write write = { .offset = args->offset,
        .data = slice_of(args->data.data, min_size(args->data.size, FS_IO_SIZE_MAX)),
        .stability = stabilities[args->stable],
        .cred = &compound->cred };
    /* Asked before: if data is lost while we write, the client shall see that the verifier changed since. */
    fs_writeverf(file->volume->fs, res->opwrite.resok4.writeverf);
    struct fs_written written;
    int err = fs_write(file->volume->fs, file->node, &write, &written);
    if (err < 0)
        return nfs_status(err);
    metrics_add(METRIC_NFS_WRITTEN_BYTES, 0, write.data.size);
    compound_set_attr(compound, &written.attr);
    res->opwrite.resok4.count = (uint32_t)write.data.size;
    res->opwrite.resok4.committed = stable_hows[written.stability];
    return NFS4_OK;
}

/* COMMIT - makes earlier UNSTABLE4 writes of a range durable (count 0: to the end of file). */
enum nfsstat4 op_commit(
    struct compound *compound, const union nfs_argop4 *arg, union nfs_resop4 *res)
{
    const struct COMMIT4args *args = &arg->opcommit;
    struct place *file = &compound->current;
    enum nfsstat4 status = compound_require_regular(compound);
    if (status != NFS4_OK)
        return status;
    if (args->count > UINT64_MAX - args->offset)
        return NFS4ERR_INVAL;
    int err = fs_commit(file->volume->fs, file->node, args->offset, args->count);
    if (err < 0)
        return nfs_status(err);
    fs_writeverf(file->volume->fs, res->opcommit.resok4.writeverf);
    return NFS4_OK;
}
