/*
 * nfs/op_deleg.c - delegations: the part of OPEN that gives them, DELEGRETURN, GET_DIR_DELEGATION (room: NFS).
 *
 * DELEGPURGE and CLAIM_DELEGATE_PREV are not there: delegations do not outlive their client. Sources: RFC 8881
 * sections 18.6, 18.16 and 18.39; RFC 9754.
 */
#include "nfs/op_deleg.h"

#include "nfs/deleg.h"
#include "nfs/deleg_time.h"

/* DELEGRETURN */
enum nfsstat4 op_delegreturn(
    struct compound *compound, const union nfs_argop4 *arg, union nfs_resop4 *res)
{
    (void)res;
    if (place_is_pseudo(&compound->current))
        return NFS4ERR_BAD_STATEID;
    struct state_file_ref file = compound_file_ref(compound);
    struct state_stateid stateid = compound_stateid(compound, &arg->opdelegreturn.deleg_stateid);
    enum state_status status = state_deleg_return(&compound->caller, &file, &stateid);
    if (status == STATE_OK)
        deleg_returned(compound->server, &file);
    if (status == STATE_OK && compound->minor == 0)
        callpath_note(compound, state_stateid_clientid(&stateid));
    return nfs_state_status(status);
}

/* GET_DIR_DELEGATION - there is never one. */
enum nfsstat4 op_get_dir_delegation(
    struct compound *compound, const union nfs_argop4 *arg, union nfs_resop4 *res)
{
    (void)arg;
    if (view_is_strict(compound->conn, compound->current.volume))
        return NFS4ERR_NOTSUPP;
    res->opget_dir_delegation.gddr_res_non_fatal4 =
        (struct GET_DIR_DELEGATION4res_non_fatal){ .gddrnf_status = GDD4_UNAVAIL,
            .gddrnf_will_signal_deleg_avail = false };
    return NFS4_OK;
}

/* Which one this OPEN could have. */
static enum state_deleg_kind kind_of(const struct OPEN4args *args, uint32_t want)
{
    if (args->claim.claim == CLAIM_PREVIOUS)
        return args->claim.delegate_type == OPEN_DELEGATE_READ    ? STATE_DELEG_READ
               : args->claim.delegate_type == OPEN_DELEGATE_WRITE ? STATE_DELEG_WRITE
                                                                  : STATE_DELEG_NONE;
    if (args->claim.claim != CLAIM_NULL && args->claim.claim != CLAIM_FH)
        return STATE_DELEG_NONE;
    bool writes = (args->share_access & OPEN4_SHARE_ACCESS_WRITE) != 0;
    return writes && want != OPEN4_SHARE_ACCESS_WANT_READ_DELEG ? STATE_DELEG_WRITE
                                                                : STATE_DELEG_READ;
}

/* None; told why only to a client that said what it wants (RFC 8881 section 18.16.3). */
static void put_none(uint32_t want, uint32_t why, struct open_delegation4 *out)
{
    out->delegation_type = OPEN_DELEGATE_NONE;
    if (want == OPEN4_SHARE_ACCESS_WANT_NO_PREFERENCE)
        return;
    out->delegation_type = OPEN_DELEGATE_NONE_EXT;
    out->od_whynone = (struct open_none_delegation4){ .ond_why = why };
}

static void put_granted(const struct state_deleg_args *grant, const struct state_stateid *stateid,
    struct open_delegation4 *out)
{
    /* Nobody may open by the delegation alone: clients then ask ACCESS (section 10.4.2). */
    struct nfsace4 nobody = { .type = ACE4_ACCESS_ALLOWED_ACE_TYPE };
    if (grant->kind == STATE_DELEG_READ) {
        out->delegation_type = OPEN_DELEGATE_READ;
        out->read = (struct open_read_delegation4){ .permissions = nobody };
        compound_put_stateid(&out->read.stateid, stateid);
        return;
    }
    /* No space is promised, so what was written is flushed at close, as without a delegation. */
    out->delegation_type = grant->has_times ? OPEN_DELEGATE_WRITE_ATTRS_DELEG : OPEN_DELEGATE_WRITE;
    out->write = (struct open_write_delegation4){ .permissions = nobody,
        .space_limit = { .limitby = NFS_LIMIT_SIZE, .filesize = 0 } };
    compound_put_stateid(&out->write.stateid, stateid);
}

/* Whether the client is to keep the times. Of a read delegation there is only the time of access, which reads do not set
 * here. */
static bool wants_times(
    const struct compound *compound, const struct OPEN4args *args, enum state_deleg_kind kind)
{
    return kind == STATE_DELEG_WRITE && (compound_versions(compound) & DELEG_TIMES) != 0 &&
           (args->share_access & OPEN4_SHARE_ACCESS_WANT_DELEG_TIMESTAMPS) != 0;
}

bool open_put_delegation(struct compound *compound, const struct OPEN4args *args,
    const struct fs_attr *attr, struct open_delegation4 *out, struct state_stateid *out_stateid)
{
    uint32_t want = args->share_access & OPEN4_SHARE_ACCESS_WANT_DELEG_MASK;
    enum state_deleg_kind kind = kind_of(args, want);
    struct nfs_volume *volume = compound->current.volume;
    /* Version 4.0: an owner that is still to be confirmed may be somebody's old OPEN, come late. */
    if ((compound->minor == 0 && compound->turn.needs_confirm &&
            args->claim.claim != CLAIM_PREVIOUS) ||
        !view_allows_delegations(compound->conn, volume)) {
        out->delegation_type = OPEN_DELEGATE_NONE;
        return false;
    }
    if (want == OPEN4_SHARE_ACCESS_WANT_NO_DELEG || want == OPEN4_SHARE_ACCESS_WANT_CANCEL) {
        put_none(
            want, want == OPEN4_SHARE_ACCESS_WANT_CANCEL ? WND4_CANCELLED : WND4_NOT_WANTED, out);
        return false;
    }
    struct state_deleg_args grant = { .file = { .files = volume->files,
                                          .key = file_key_of(attr->node),
                                          .view_tag = compound->current.access_tag },
        .kind = kind,
        .reclaim = args->claim.claim == CLAIM_PREVIOUS,
        .change = attr->change,
        .size_bytes = attr->size_bytes,
        .has_times = wants_times(compound, args, kind),
        .atime = deleg_time_of(attr->atime),
        .mtime = deleg_time_of(attr->mtime) };
    enum state_deleg_why why = STATE_WHY_RESOURCE;
    if (kind == STATE_DELEG_NONE ||
        !state_deleg_grant(&compound->caller, &grant, out_stateid, &why)) {
        put_none(want, (uint32_t)why, out);
        return false;
    }
    put_granted(&grant, out_stateid, out);
    return true;
}

enum nfsstat4 open_check_delegation(
    struct compound *compound, const struct OPEN4args *args, const struct state_file_ref *file)
{
    const struct stateid4 *named = args->claim.claim == CLAIM_DELEGATE_CUR
                                       ? &args->claim.delegate_cur_info.delegate_stateid
                                       : &args->claim.oc_delegate_stateid;
    struct state_stateid stateid = compound_stateid(compound, named);
    enum state_deleg_kind kind;
    return nfs_state_status(state_deleg_check(&compound->caller, file, &stateid, &kind));
}
