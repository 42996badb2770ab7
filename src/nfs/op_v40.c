/*
 * nfs/op_v40.c - clients and owners of version 4.0: SETCLIENTID, SETCLIENTID_CONFIRM, RENEW, OPEN_CONFIRM,
 * RELEASE_LOCKOWNER (room: NFS).
 *
 * Where a client wants to be called back is used by nfs/callpath.c.
 *
 * Sources: RFC 7530 sections 16.33, 16.34, 16.28, 16.18 and 16.37.
 */
#include "nfs/compound.h"
#include "state/v40.h"

static enum nfsstat4 get_callback(const struct SETCLIENTID4args *args, struct state_callback *out)
{
    const struct netaddr4 *location = &args->callback.cb_location;
    if (location->na_r_netid.size > sizeof out->netid ||
        location->na_r_addr.size > sizeof out->address)
        return NFS4ERR_INVAL;
    *out = (struct state_callback){ .program = args->callback.cb_program,
        .ident = args->callback_ident,
        .netid_size = (uint32_t)location->na_r_netid.size,
        .address_size = (uint32_t)location->na_r_addr.size };
    memcpy(out->netid, location->na_r_netid.data, location->na_r_netid.size);
    memcpy(out->address, location->na_r_addr.data, location->na_r_addr.size);
    return NFS4_OK;
}

/* SETCLIENTID - a client that is taken by another user is told whose it is. */
enum nfsstat4 op_setclientid(
    struct compound *compound, const union nfs_argop4 *arg, union nfs_resop4 *res)
{
    const struct SETCLIENTID4args *args = &arg->opsetclientid;
    uint8_t principal[PRINCIPAL_SIZE_MAX];
    struct state_callback callback;
    enum nfsstat4 status = get_callback(args, &callback);
    struct state_callback *in_use = arena_calloc(compound->arena, 1, sizeof *in_use);
    if (in_use == NULL)
        return NFS4ERR_DELAY;
    if (status != NFS4_OK)
        return status;
    struct state_setclientid set = { .owner = args->client.id,
        .verifier = args->client.verifier,
        .principal = compound_principal(compound, principal),
        .callback = &callback };
    struct state_setclientid_done done;
    status = nfs_state_status(
        state_setclientid(compound->caller.server, &set, compound->caller.now_ms, &done, in_use));
    if (status == NFS4_OK) {
        res->opsetclientid.resok4.clientid = done.clientid;
        memcpy(res->opsetclientid.resok4.setclientid_confirm, done.confirm, sizeof done.confirm);
    } else if (status == NFS4ERR_CLID_INUSE) {
        res->opsetclientid.client_using =
            (struct netaddr4){ .na_r_netid = slice_of(in_use->netid, in_use->netid_size),
                .na_r_addr = slice_of(in_use->address, in_use->address_size) };
    }
    return status;
}

/* SETCLIENTID_CONFIRM */
enum nfsstat4 op_setclientid_confirm(
    struct compound *compound, const union nfs_argop4 *arg, union nfs_resop4 *res)
{
    (void)res;
    const struct SETCLIENTID_CONFIRM4args *args = &arg->opsetclientid_confirm;
    uint8_t principal[PRINCIPAL_SIZE_MAX];
    enum state_status status = state_setclientid_confirm(compound->caller.server, args->clientid,
        args->setclientid_confirm, compound_principal(compound, principal),
        compound->caller.now_ms);
    if (status == STATE_OK)
        callpath_confirmed(compound, args->clientid);
    return nfs_state_status(status);
}

/* RENEW */
enum nfsstat4 op_renew(
    struct compound *compound, const union nfs_argop4 *arg, union nfs_resop4 *res)
{
    (void)res;
    uint64_t clientid = arg->oprenew.clientid;
    enum state_status status =
        state_renew(compound->caller.server, clientid, compound->caller.now_ms);
    if (status == STATE_OK || status == STATE_CB_PATH_DOWN)
        callpath_note(compound, clientid);
    return nfs_state_status(status);
}

/* OPEN_CONFIRM - the first OPEN of an owner is good only after it. */
enum nfsstat4 op_open_confirm(
    struct compound *compound, const union nfs_argop4 *arg, union nfs_resop4 *res)
{
    if (place_is_pseudo(&compound->current))
        return NFS4ERR_BAD_STATEID;
    struct state_file_ref file = compound_file_ref(compound);
    struct state_stateid stateid = compound_stateid(compound, &arg->opopen_confirm.open_stateid);
    struct state_stateid confirmed;
    enum state_status status = state_open_confirm(&compound->caller, &file, &stateid, &confirmed);
    if (status == STATE_OK)
        compound_put_stateid(&res->opopen_confirm.resok4.open_stateid, &confirmed);
    return nfs_state_status(status);
}

/* RELEASE_LOCKOWNER */
enum nfsstat4 op_release_lockowner(
    struct compound *compound, const union nfs_argop4 *arg, union nfs_resop4 *res)
{
    (void)res;
    const struct state_owner4 *owner = &arg->oprelease_lockowner.lock_owner;
    return nfs_state_status(
        state_release_lockowner(&compound->caller, owner->clientid, owner->owner));
}
