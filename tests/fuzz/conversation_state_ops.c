/*
 * tests/fuzz/conversation_state_ops.c - the arguments of what clients, sessions, opens, locks and delegations have.
 */
#include "tests/fuzz/conversation_ops.h"

/* ---- sessions and clients ---- */

union nfs_argop4 exchange_id_args(const struct peer *peer)
{
    union nfs_argop4 arg = { .opexchange_id = {
                                 .eia_clientowner = { .co_ownerid = slice_str(peer->owner) } } };
    memcpy(arg.opexchange_id.eia_clientowner.co_verifier, &peer->verifier, NFS4_VERIFIER_SIZE);
    return arg;
}

union nfs_argop4 create_session_args(const struct peer *peer, uint8_t flags)
{
    static struct callback_sec_parms4 parms = { .cb_secflavor = AUTH_NONE };
    struct channel_attrs4 channel = { .ca_maxrequestsize = 1 << 16,
        .ca_maxresponsesize = (flags & 0x10) != 0 ? 2000 : 1 << 16,
        .ca_maxresponsesize_cached = (flags & 0x20) != 0 ? 600 : 4096,
        .ca_maxoperations = 16,
        .ca_maxrequests = (flags & 0x40) != 0 ? 1 : SLOT_COUNT };
    return (union nfs_argop4){ .opcreate_session = { .csa_clientid = peer->clientid,
                                   .csa_sequence = peer->create_seqid,
                                   .csa_flags = CREATE_SESSION4_FLAG_CONN_BACK_CHAN,
                                   .csa_fore_chan_attrs = channel,
                                   .csa_back_chan_attrs = channel,
                                   .csa_cb_program = 0x40000000,
                                   .csa_sec_parms = { 1, &parms } } };
}

union nfs_argop4 setclientid_args(const struct peer *peer)
{
    union nfs_argop4 arg = {
        .opsetclientid = { .client = { .id = slice_str(peer->owner) },
            .callback = { .cb_location = { slice_str("tcp"), slice_str("127.0.0.1.0.9") } } }
    };
    memcpy(arg.opsetclientid.client.verifier, &peer->verifier, NFS4_VERIFIER_SIZE);
    return arg;
}

union nfs_argop4 setclientid_confirm_args(const struct peer *peer)
{
    union nfs_argop4 arg = { .opsetclientid_confirm = { .clientid = peer->clientid } };
    memcpy(arg.opsetclientid_confirm.setclientid_confirm, peer->confirm, NFS4_VERIFIER_SIZE);
    return arg;
}

/* This peer's clientid, or another's. */
static uint64_t clientid_of(
    const struct talk *talk, const struct peer *peer, const struct step *step)
{
    return (step->flags & 0x60) == 0x60 ? talk->peers[step->flags & 3].clientid : peer->clientid;
}

void build_exchange_id(
    struct talk *talk, struct peer *peer, const struct step *step, union nfs_argop4 *arg)
{
    (void)talk;
    if ((step->flags & 1) != 0)
        peer->verifier++;
    *arg = exchange_id_args(peer);
    arg->opexchange_id.eia_flags =
        (step->flags & 2) != 0 ? EXCHGID4_FLAG_UPD_CONFIRMED_REC_A : EXCHGID4_FLAG_USE_NON_PNFS;
}

void build_create_session(
    struct talk *talk, struct peer *peer, const struct step *step, union nfs_argop4 *arg)
{
    *arg = create_session_args(peer, step->flags);
    arg->opcreate_session.csa_clientid = clientid_of(talk, peer, step);
    if ((step->extra & 0xc0) == 0xc0)
        arg->opcreate_session.csa_sequence += (step->extra & 1) != 0 ? 1 : UINT32_MAX;
    if ((step->flags & 8) != 0)
        arg->opcreate_session.csa_flags = 0;
}

static const uint8_t *sessionid_of(
    const struct talk *talk, const struct peer *peer, const struct step *step)
{
    if ((step->flags & 0x60) == 0x60)
        return talk->peers[step->flags & 3].sessionid;
    return (step->flags & 0x60) == 0x40 ? peer->old_sessionid : peer->sessionid;
}

void build_destroy_session(
    struct talk *talk, struct peer *peer, const struct step *step, union nfs_argop4 *arg)
{
    memcpy(
        arg->opdestroy_session.dsa_sessionid, sessionid_of(talk, peer, step), NFS4_SESSIONID_SIZE);
}

void build_destroy_clientid(
    struct talk *talk, struct peer *peer, const struct step *step, union nfs_argop4 *arg)
{
    arg->opdestroy_clientid.dca_clientid = clientid_of(talk, peer, step);
}

void build_bind_conn(
    struct talk *talk, struct peer *peer, const struct step *step, union nfs_argop4 *arg)
{
    static const enum channel_dir_from_client4 dirs[] = { CDFC4_FORE, CDFC4_BACK,
        CDFC4_FORE_OR_BOTH, CDFC4_BACK_OR_BOTH };
    arg->opbind_conn_to_session.bctsa_dir = dirs[step->offset & 3];
    memcpy(arg->opbind_conn_to_session.bctsa_sessid, sessionid_of(talk, peer, step),
        NFS4_SESSIONID_SIZE);
}

void build_reclaim_complete(
    struct talk *talk, struct peer *peer, const struct step *step, union nfs_argop4 *arg)
{
    (void)talk;
    (void)peer;
    arg->opreclaim_complete.rca_one_fs = (step->flags & 1) != 0;
}

void build_setclientid(
    struct talk *talk, struct peer *peer, const struct step *step, union nfs_argop4 *arg)
{
    (void)talk;
    if ((step->flags & 1) != 0)
        peer->verifier++;
    *arg = setclientid_args(peer);
}

void build_setclientid_confirm(
    struct talk *talk, struct peer *peer, const struct step *step, union nfs_argop4 *arg)
{
    *arg = setclientid_confirm_args(peer);
    arg->opsetclientid_confirm.clientid = clientid_of(talk, peer, step);
    if ((step->extra & 0xc0) == 0xc0)
        arg->opsetclientid_confirm.setclientid_confirm[3] ^= 1;
}

void build_renew(
    struct talk *talk, struct peer *peer, const struct step *step, union nfs_argop4 *arg)
{
    arg->oprenew.clientid = clientid_of(talk, peer, step);
}

void build_release_lockowner(
    struct talk *talk, struct peer *peer, const struct step *step, union nfs_argop4 *arg)
{
    arg->oprelease_lockowner.lock_owner =
        (struct state_owner4){ .clientid = clientid_of(talk, peer, step),
            .owner = owner_name(step->flags) };
}

/* ---- opens, locks, delegations ---- */

static void set_how(struct talk *talk, const struct step *step, struct openflag4 *openhow)
{
    openhow->opentype = OPEN4_CREATE;
    openhow->how.mode = (enum createmode4)(step->length & 3);
    if (openhow->how.mode == EXCLUSIVE4)
        memset(openhow->how.createverf, step->extra, NFS4_VERIFIER_SIZE);
    else if (openhow->how.mode == EXCLUSIVE4_1)
        openhow->how.ch_createboth.cva_attrs = fattr_mode(talk->h, 0644);
    else
        openhow->how.createattrs = attrs_of(talk, step);
}

void build_open(
    struct talk *talk, struct peer *peer, const struct step *step, union nfs_argop4 *arg)
{
    struct OPEN4args *open = &arg->opopen;
    uint32_t access = step->flags & 3u;
    *open = (struct OPEN4args){ .seqid = owner_seqid(peer->open_seqid, step->extra),
        .share_access = access != 0 ? access : OPEN4_SHARE_ACCESS_READ,
        .share_deny = (step->flags & 0x0c) == 0x0c ? step->flags >> 4 & 3u : 0,
        .owner = { .clientid = peer->clientid, .owner = owner_name(step->flags) },
        .claim = { .claim = CLAIM_NULL, .file = name_of(step->place >> 3) } };
    if (peer->minor > 0 && (step->flags & 0x40) != 0)
        open->share_access |= OPEN4_SHARE_ACCESS_WANT_WRITE_DELEG;
    if ((step->length & 4) != 0)
        set_how(talk, step, &open->openhow);
    switch (step->length >> 4) {
    case 8:
        open->claim = (struct open_claim4){ .claim = CLAIM_PREVIOUS,
            .delegate_type = (enum open_delegation_type4)(step->length % 3) };
        break;
    case 9:
        open->claim = (struct open_claim4){ .claim = CLAIM_DELEGATE_CUR,
            .delegate_cur_info = { .delegate_stateid = stateid_of(talk, step->stateid),
                .file = name_of(step->place >> 3) } };
        break;
    case 10:
        open->claim = (struct open_claim4){ .claim = CLAIM_FH };
        break;
    case 11:
        open->claim = (struct open_claim4){ .claim = CLAIM_DELEG_CUR_FH,
            .oc_delegate_stateid = stateid_of(talk, step->stateid) };
        break;
    case 12:
        open->claim = (struct open_claim4){ .claim = CLAIM_DELEGATE_PREV,
            .file_delegate_prev = name_of(step->place >> 3) };
        break;
    default:
        break;
    }
}

void build_open_confirm(
    struct talk *talk, struct peer *peer, const struct step *step, union nfs_argop4 *arg)
{
    arg->opopen_confirm =
        (struct OPEN_CONFIRM4args){ .open_stateid = stateid_of(talk, step->stateid),
            .seqid = owner_seqid(peer->open_seqid, step->extra) };
}

void build_open_downgrade(
    struct talk *talk, struct peer *peer, const struct step *step, union nfs_argop4 *arg)
{
    arg->opopen_downgrade =
        (struct OPEN_DOWNGRADE4args){ .open_stateid = stateid_of(talk, step->stateid),
            .seqid = owner_seqid(peer->open_seqid, step->extra),
            .share_access = step->flags & 3u,
            .share_deny = step->flags >> 4 & 3u };
}

void build_close(
    struct talk *talk, struct peer *peer, const struct step *step, union nfs_argop4 *arg)
{
    arg->opclose = (struct CLOSE4args){ .open_stateid = stateid_of(talk, step->stateid),
        .seqid = owner_seqid(peer->open_seqid, step->extra) };
}

void build_lock(
    struct talk *talk, struct peer *peer, const struct step *step, union nfs_argop4 *arg)
{
    struct LOCK4args *lock = &arg->oplock;
    *lock = (struct LOCK4args){ .locktype = (enum nfs_lock_type4)(1 + (step->flags & 3)),
        .reclaim = (step->flags & 0x1c) == 0x1c,
        .offset = offset_of(step->offset),
        .length = offset_of(step->length) };
    if ((step->flags & 0x20) != 0) {
        lock->locker.new_lock_owner = false;
        lock->locker.lock_owner =
            (struct exist_lock_owner4){ .lock_stateid = stateid_of(talk, step->stateid),
                .lock_seqid = owner_seqid(peer->lock_seqid, step->extra) };
        return;
    }
    lock->locker.new_lock_owner = true;
    lock->locker.open_owner =
        (struct open_to_lock_owner4){ .open_seqid = owner_seqid(peer->open_seqid, step->extra),
            .open_stateid = stateid_of(talk, step->stateid),
            .lock_seqid = owner_seqid(peer->lock_seqid, (uint8_t)(step->extra << 3)),
            .lock_owner = { .clientid = peer->clientid, .owner = owner_name(step->flags) } };
}

void build_lockt(
    struct talk *talk, struct peer *peer, const struct step *step, union nfs_argop4 *arg)
{
    arg->oplockt = (struct LOCKT4args){ .locktype = (enum nfs_lock_type4)(1 + (step->flags & 3)),
        .offset = offset_of(step->offset),
        .length = offset_of(step->length),
        .owner = { .clientid = clientid_of(talk, peer, step), .owner = owner_name(step->flags) } };
}

void build_locku(
    struct talk *talk, struct peer *peer, const struct step *step, union nfs_argop4 *arg)
{
    arg->oplocku = (struct LOCKU4args){ .locktype = READ_LT,
        .seqid = owner_seqid(peer->lock_seqid, step->extra),
        .lock_stateid = stateid_of(talk, step->stateid),
        .offset = offset_of(step->offset),
        .length = offset_of(step->length) };
}

void build_delegreturn(
    struct talk *talk, struct peer *peer, const struct step *step, union nfs_argop4 *arg)
{
    (void)peer;
    arg->opdelegreturn.deleg_stateid = stateid_of(talk, step->stateid);
}

void build_free_stateid(
    struct talk *talk, struct peer *peer, const struct step *step, union nfs_argop4 *arg)
{
    (void)peer;
    arg->opfree_stateid.fsa_stateid = stateid_of(talk, step->stateid);
}

void build_test_stateid(
    struct talk *talk, struct peer *peer, const struct step *step, union nfs_argop4 *arg)
{
    (void)peer;
    static struct stateid4 ids[2];
    ids[0] = stateid_of(talk, step->stateid);
    ids[1] = stateid_of(talk, step->extra);
    arg->optest_stateid.ts_stateids.count = step->flags % 3;
    arg->optest_stateid.ts_stateids.items = ids;
}
