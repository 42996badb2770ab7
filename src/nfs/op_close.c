/*
 * nfs/op_close.c - the rest of an open's life: OPEN_DOWNGRADE, CLOSE, TEST_STATEID, FREE_STATEID (room: NFS).
 *
 * Sources: RFC 8881 sections 18.18, 18.2, 18.48 and 18.38.
 */
#include "nfs/compound.h"
#include "nfs/deleg.h"

/* OPEN_DOWNGRADE - to less access, or less denied, of what was opened before. */
enum nfsstat4 op_open_downgrade(
    struct compound *compound, const union nfs_argop4 *arg, union nfs_resop4 *res)
{
    const struct OPEN_DOWNGRADE4args *args = &arg->opopen_downgrade;
    if (place_is_pseudo(&compound->current))
        return NFS4ERR_BAD_STATEID;
    struct state_file_ref file = compound_file_ref(compound);
    struct state_stateid stateid = compound_stateid(compound, &args->open_stateid);
    uint32_t access = args->share_access;
    if (compound->minor > 0)
        access &= ~(uint32_t)OPEN4_SHARE_ACCESS_WANT_DELEG_MASK;
    struct state_stateid next;
    enum state_status status =
        state_open_downgrade(&compound->caller, &file, &stateid, access, args->share_deny, &next);
    if (status != STATE_OK)
        return nfs_state_status(status);
    compound->current.stateid = next;
    compound_put_stateid(&res->opopen_downgrade.resok4.open_stateid, &next);
    return NFS4_OK;
}

/* CLOSE - locks held through the open go with it. */
enum nfsstat4 op_close(
    struct compound *compound, const union nfs_argop4 *arg, union nfs_resop4 *res)
{
    if (place_is_pseudo(&compound->current))
        return NFS4ERR_BAD_STATEID;
    struct state_file_ref file = compound_file_ref(compound);
    struct state_stateid stateid = compound_stateid(compound, &arg->opclose.open_stateid);
    struct state_stateid closed;
    enum state_status status = state_close(&compound->caller, &file, &stateid, &closed);
    if (status != STATE_OK)
        return nfs_state_status(status);
    deleg_pump(compound->server); /* who waits for a lock that went with it is told */
    compound->current.stateid = closed;
    compound_put_stateid(&res->opclose.open_stateid, &closed);
    return NFS4_OK;
}

/* TEST_STATEID - one status for each. */
enum nfsstat4 op_test_stateid(
    struct compound *compound, const union nfs_argop4 *arg, union nfs_resop4 *res)
{
    const struct TEST_STATEID4args *args = &arg->optest_stateid;
    uint32_t count = args->ts_stateids.count;
    enum nfsstat4 *codes = arena_calloc(compound->arena, count, sizeof *codes);
    if (codes == NULL)
        return NFS4ERR_DELAY;
    for (uint32_t i = 0; i < count; i++) {
        struct state_stateid stateid = compound_stateid(compound, &args->ts_stateids.items[i]);
        codes[i] = nfs_state_status(state_test_stateid(&compound->caller, &stateid));
    }
    res->optest_stateid.tsr_resok4.tsr_status_codes.count = count;
    res->optest_stateid.tsr_resok4.tsr_status_codes.items = codes;
    return NFS4_OK;
}

/* FREE_STATEID */
enum nfsstat4 op_free_stateid(
    struct compound *compound, const union nfs_argop4 *arg, union nfs_resop4 *res)
{
    (void)res;
    struct state_stateid stateid = compound_stateid(compound, &arg->opfree_stateid.fsa_stateid);
    return nfs_state_status(state_free_stateid(&compound->caller, &stateid));
}
