/*
 * nfs/op_lock.c - byte-range locks: LOCK, LOCKT, LOCKU (room: NFS).
 *
 * Advisory, as EFS has them. The blocking types are answered as the others: the client asks again, and is told by
 * CB_NOTIFY_LOCK when it is worth it.
 *
 * Sources: RFC 8881 sections 18.10 to 18.12.
 */
#include "nfs/compound.h"
#include "nfs/deleg.h"
#include "state/lock.h"

static enum nfsstat4 get_range(
    enum nfs_lock_type4 type, uint64_t offset, uint64_t length, struct state_lock_range *out)
{
    *out = (struct state_lock_range){ .offset = offset, .length = length };
    switch (type) {
    case READ_LT:
    case READW_LT:
        out->type = STATE_LOCK_READ;
        return NFS4_OK;
    case WRITE_LT:
    case WRITEW_LT:
        out->type = STATE_LOCK_WRITE;
        return NFS4_OK;
    default:
        return NFS4ERR_INVAL;
    }
}

static void put_denied(const struct state_lock_denied *denied, struct LOCK4denied *out)
{
    *out = (struct LOCK4denied){ .offset = denied->range.offset,
        .length = denied->range.length,
        .locktype = denied->range.type == STATE_LOCK_READ ? READ_LT : WRITE_LT,
        .owner = { .clientid = denied->clientid, .owner = denied->owner } };
}

/* LOCK */
enum nfsstat4 op_lock(struct compound *compound, const union nfs_argop4 *arg, union nfs_resop4 *res)
{
    const struct LOCK4args *args = &arg->oplock;
    struct state_lock_denied *denied = arena_alloc(compound->arena, sizeof *denied);
    if (denied == NULL)
        return NFS4ERR_DELAY;
    enum nfsstat4 status = compound_require_regular(compound);
    if (status != NFS4_OK)
        return status;
    struct state_lock_args lock = { .file = compound_file_ref(compound),
        .reclaim = args->reclaim,
        .new_owner = args->locker.new_lock_owner };
    if (view_is_strict(compound->conn, compound->current.volume))
        lock.file_range_max = VIEW_STRICT_LOCKS_PER_FILE;
    status = get_range(args->locktype, args->offset, args->length, &lock.range);
    if (status != NFS4_OK)
        return status;
    lock.waits = (args->locktype == READW_LT || args->locktype == WRITEW_LT) &&
                 view_allows_delegations(compound->conn, compound->current.volume);
    if (lock.new_owner) {
        lock.stateid = compound_stateid(compound, &args->locker.open_owner.open_stateid);
        lock.owner = args->locker.open_owner.lock_owner.owner;
    } else {
        lock.stateid = compound_stateid(compound, &args->locker.lock_owner.lock_stateid);
    }
    if (compound->minor == 0 && lock.new_owner &&
        args->locker.open_owner.lock_owner.clientid != state_client_id(compound->caller.client))
        return NFS4ERR_STALE_CLIENTID; /* the lock's client must be the open's */
    struct state_stateid next;
    enum state_status locked = state_lock(&compound->caller, &lock, &next, denied);
    if (locked == STATE_DENIED)
        put_denied(denied, &res->oplock.denied);
    if (locked != STATE_OK)
        return nfs_state_status(locked);
    compound->current.stateid = next;
    compound_put_stateid(&res->oplock.resok4.lock_stateid, &next);
    return NFS4_OK;
}

/* LOCKT - who would stand in the way of a lock. */
enum nfsstat4 op_lockt(
    struct compound *compound, const union nfs_argop4 *arg, union nfs_resop4 *res)
{
    const struct LOCKT4args *args = &arg->oplockt;
    struct state_lock_denied *denied = arena_alloc(compound->arena, sizeof *denied);
    if (denied == NULL)
        return NFS4ERR_DELAY;
    enum nfsstat4 status = compound_require_regular(compound);
    if (status != NFS4_OK)
        return status;
    struct state_lock_range range;
    status = get_range(args->locktype, args->offset, args->length, &range);
    if (status != NFS4_OK)
        return status;
    struct state_file_ref file = compound_file_ref(compound);
    enum state_status tested = state_lock_test(
        &compound->caller, &file, &range, args->owner.clientid, args->owner.owner, denied);
    if (tested == STATE_DENIED)
        put_denied(denied, &res->oplockt.denied);
    return nfs_state_status(tested);
}

/* LOCKU */
enum nfsstat4 op_locku(
    struct compound *compound, const union nfs_argop4 *arg, union nfs_resop4 *res)
{
    const struct LOCKU4args *args = &arg->oplocku;
    enum nfsstat4 status = compound_require_regular(compound);
    if (status != NFS4_OK)
        return status;
    struct state_lock_range range;
    status = get_range(args->locktype, args->offset, args->length, &range);
    if (status != NFS4_OK)
        return status;
    struct state_file_ref file = compound_file_ref(compound);
    struct state_stateid stateid = compound_stateid(compound, &args->lock_stateid);
    struct state_stateid next;
    enum state_status unlocked = state_unlock(&compound->caller, &file, &range, &stateid, &next);
    if (unlocked != STATE_OK)
        return nfs_state_status(unlocked);
    deleg_pump(compound->server); /* who waits for the lock is told */
    compound->current.stateid = next;
    compound_put_stateid(&res->oplocku.lock_stateid, &next);
    return NFS4_OK;
}
