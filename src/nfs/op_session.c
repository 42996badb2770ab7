/*
 * nfs/op_session.c - clients and sessions of version 4.1 and later (room: NFS).
 *
 * The decisions are in state/; here are the words of the protocol. No state protection but SP4_NONE, no persistent
 * sessions, no RDMA. A connection may use any session of its view: SEQUENCE binds it to the fore channel, so that
 * requests of one session may come over several connections (efs-proxy sends them so, without
 * BIND_CONN_TO_SESSION).
 *
 * Sources: RFC 8881 sections 2.10, 18.33 to 18.37, 18.46, 18.50 and 18.51.
 */
#include "base/bytes.h"
#include "nfs/compound.h"

#define SEQUENCE_RESULT_BYTES (4u + 4u + 16u + 5u * 4u)
#define CHECKSUM_HEAD_BYTES   2048u /* of a request, that tell it from others */
#define CHECKSUM_TAIL_BYTES   64u

/* EXCHANGE_ID */
enum nfsstat4 op_exchange_id(
    struct compound *compound, const union nfs_argop4 *arg, union nfs_resop4 *res)
{
    uint32_t flags_known = EXCHGID4_FLAG_SUPP_MOVED_REFER | EXCHGID4_FLAG_SUPP_MOVED_MIGR |
                           EXCHGID4_FLAG_BIND_PRINC_STATEID | EXCHGID4_FLAG_MASK_PNFS |
                           EXCHGID4_FLAG_UPD_CONFIRMED_REC_A;
    if (compound->minor >= 2)
        flags_known |= EXCHGID4_FLAG_SUPP_FENCE_OPS;
    const struct EXCHANGE_ID4args *args = &arg->opexchange_id;
    uint8_t principal[PRINCIPAL_SIZE_MAX];
    if ((args->eia_flags & ~flags_known) != 0)
        return NFS4ERR_INVAL;
    if (args->eia_state_protect.spa_how == SP4_SSV)
        return NFS4ERR_ENCR_ALG_UNSUPP;
    if (args->eia_state_protect.spa_how == SP4_MACH_CRED)
        return NFS4ERR_INVAL; /* needs RPCSEC_GSS: RFC 8881 section 2.10.8.3 */
    struct state_exchange_id exchange = { .owner = args->eia_clientowner.co_ownerid,
        .verifier = args->eia_clientowner.co_verifier,
        .principal = compound_principal(compound, principal),
        .update = (args->eia_flags & EXCHGID4_FLAG_UPD_CONFIRMED_REC_A) != 0 };
    struct state_exchanged exchanged;
    enum state_status status =
        state_exchange_id(compound->caller.server, &exchange, compound->caller.now_ms, &exchanged);
    if (status != STATE_OK)
        return nfs_state_status(status);
    const struct nfs_face *face = compound->conn->face;
    char *identity = arena_alloc(compound->arena, VIEW_IDENTITY_SIZE);
    struct nfs_impl_id4 *impl = arena_calloc(compound->arena, 1, sizeof *impl);
    if (identity == NULL || impl == NULL)
        return NFS4ERR_DELAY;
    impl->nii_domain = slice_str("shoal");
    impl->nii_name = slice_str(compound->server->options.version);
    struct EXCHANGE_ID4resok *resok = &res->opexchange_id.eir_resok4;
    resok->eir_clientid = exchanged.clientid;
    resok->eir_sequenceid = exchanged.sequenceid;
    resok->eir_flags = EXCHGID4_FLAG_USE_NON_PNFS;
    if (exchanged.confirmed)
        resok->eir_flags |= EXCHGID4_FLAG_CONFIRMED_R;
    resok->eir_server_owner.so_major_id = face != NULL
                                              ? slice_of(face->name, face->name_size)
                                              : view_identity(compound->server, "", identity);
    resok->eir_server_scope = resok->eir_server_owner.so_major_id;
    resok->eir_server_impl_id.count = 1;
    resok->eir_server_impl_id.items = impl;
    return NFS4_OK;
}

static struct state_channel channel_of(const struct channel_attrs4 *attrs)
{
    return (struct state_channel){ .request_size_max = attrs->ca_maxrequestsize,
        .response_size_max = attrs->ca_maxresponsesize,
        .response_cached_size_max = attrs->ca_maxresponsesize_cached,
        .op_count_max = attrs->ca_maxoperations,
        .slot_count_max = attrs->ca_maxrequests };
}

static struct channel_attrs4 attrs_of(const struct state_channel *channel)
{
    return (struct channel_attrs4){ .ca_maxrequestsize = channel->request_size_max,
        .ca_maxresponsesize = channel->response_size_max,
        .ca_maxresponsesize_cached = channel->response_cached_size_max,
        .ca_maxoperations = channel->op_count_max,
        .ca_maxrequests = channel->slot_count_max };
}

/* How callbacks are to authenticate, kept as it would be sent. NFS4ERR_DELAY: no memory. */
static enum nfsstat4 encode_security(struct compound *compound,
    const struct callback_sec_parms4 *parms, uint32_t count, struct slice *out)
{
    struct xdr_encoder enc;
    xdr_encoder_init(&enc, compound->arena, SIZE_MAX);
    for (uint32_t i = 0; i < count; i++)
        xdr_put_callback_sec_parms4(&enc, &parms[i]);
    *out = slice_of(enc.data, enc.size);
    return enc.failed ? NFS4ERR_DELAY : NFS4_OK;
}

/* CREATE_SESSION */
enum nfsstat4 op_create_session(
    struct compound *compound, const union nfs_argop4 *arg, union nfs_resop4 *res)
{
    static const uint32_t flags_known = CREATE_SESSION4_FLAG_PERSIST |
                                        CREATE_SESSION4_FLAG_CONN_BACK_CHAN |
                                        CREATE_SESSION4_FLAG_CONN_RDMA;
    const struct CREATE_SESSION4args *args = &arg->opcreate_session;
    uint8_t principal[PRINCIPAL_SIZE_MAX];
    if ((args->csa_flags & ~flags_known) != 0)
        return NFS4ERR_INVAL;
    struct state_session_create create = { .clientid = args->csa_clientid,
        .sequenceid = args->csa_sequence,
        .want_back_channel = (args->csa_flags & CREATE_SESSION4_FLAG_CONN_BACK_CHAN) != 0,
        .fore = channel_of(&args->csa_fore_chan_attrs),
        .back = channel_of(&args->csa_back_chan_attrs),
        .cb_program = args->csa_cb_program,
        .principal = compound_principal(compound, principal),
        .conn_id = compound->conn->rpc->id,
        .minor = compound->minor };
    enum nfsstat4 encoded = encode_security(
        compound, args->csa_sec_parms.items, args->csa_sec_parms.count, &create.cb_security);
    if (encoded != NFS4_OK)
        return encoded;
    struct state_session_created created;
    enum state_status status =
        state_session_create(compound->caller.server, &create, compound->caller.now_ms, &created);
    if (status != STATE_OK)
        return nfs_state_status(status);
    struct CREATE_SESSION4resok *resok = &res->opcreate_session.csr_resok4;
    memcpy(resok->csr_sessionid, created.sessionid, sizeof resok->csr_sessionid);
    resok->csr_sequence = created.sequenceid;
    resok->csr_flags = created.has_back_channel ? CREATE_SESSION4_FLAG_CONN_BACK_CHAN : 0;
    resok->csr_fore_chan_attrs = attrs_of(&created.fore);
    resok->csr_back_chan_attrs = attrs_of(&created.back);
    return NFS4_OK;
}

/* Whether DESTROY_SESSION is about the session that this request came in. */
static bool is_own_session(
    const struct compound *compound, const uint8_t sessionid[NFS4_SESSIONID_SIZE])
{
    return compound->has_ticket && memcmp(compound->sessionid, sessionid, NFS4_SESSIONID_SIZE) == 0;
}

/* DESTROY_SESSION */
enum nfsstat4 op_destroy_session(
    struct compound *compound, const union nfs_argop4 *arg, union nfs_resop4 *res)
{
    (void)res;
    const uint8_t *sessionid = arg->opdestroy_session.dsa_sessionid;
    if (is_own_session(compound, sessionid) && compound->op_index + 1 < compound->op_count)
        return NFS4ERR_NOT_ONLY_OP; /* RFC 8881 section 18.37.3: it must be the last */
    return nfs_state_status(state_session_destroy(compound->caller.server, sessionid,
        compound->conn->rpc->id, compound->has_ticket ? &compound->ticket : NULL));
}

/* DESTROY_CLIENTID */
enum nfsstat4 op_destroy_clientid(
    struct compound *compound, const union nfs_argop4 *arg, union nfs_resop4 *res)
{
    (void)res;
    uint8_t principal[PRINCIPAL_SIZE_MAX];
    return nfs_state_status(
        state_destroy_clientid(compound->caller.server, arg->opdestroy_clientid.dca_clientid,
            compound_principal(compound, principal), compound->caller.now_ms));
}

/* BIND_CONN_TO_SESSION */
enum nfsstat4 op_bind_conn(
    struct compound *compound, const union nfs_argop4 *arg, union nfs_resop4 *res)
{
    const struct BIND_CONN_TO_SESSION4args *args = &arg->opbind_conn_to_session;
    enum state_channel_dir wanted;
    switch (args->bctsa_dir) {
    case CDFC4_FORE:
        wanted = STATE_CHANNEL_FORE;
        break;
    case CDFC4_BACK:
        wanted = STATE_CHANNEL_BACK;
        break;
    case CDFC4_FORE_OR_BOTH:
    case CDFC4_BACK_OR_BOTH:
        wanted = STATE_CHANNEL_BOTH;
        break;
    default:
        return NFS4ERR_INVAL;
    }
    enum state_channel_dir bound;
    enum state_status status = state_session_bind(compound->caller.server, args->bctsa_sessid,
        compound->conn->rpc->id, wanted, compound->caller.now_ms, &bound);
    if (status != STATE_OK)
        return nfs_state_status(status);
    struct BIND_CONN_TO_SESSION4resok *resok = &res->opbind_conn_to_session.bctsr_resok4;
    memcpy(resok->bctsr_sessid, args->bctsa_sessid, sizeof resok->bctsr_sessid);
    resok->bctsr_dir = (enum channel_dir_from_server4)bound; /* the same numbers */
    return NFS4_OK;
}

/* BACKCHANNEL_CTL */
enum nfsstat4 op_backchannel_ctl(
    struct compound *compound, const union nfs_argop4 *arg, union nfs_resop4 *res)
{
    (void)res;
    const struct BACKCHANNEL_CTL4args *args = &arg->opbackchannel_ctl;
    struct slice security;
    enum nfsstat4 status =
        encode_security(compound, args->bca_sec_parms.items, args->bca_sec_parms.count, &security);
    if (status != NFS4_OK)
        return status;
    return nfs_state_status(
        state_session_set_callback(&compound->ticket, args->bca_cb_program, security));
}

/* RECLAIM_COMPLETE */
enum nfsstat4 op_reclaim_complete(
    struct compound *compound, const union nfs_argop4 *arg, union nfs_resop4 *res)
{
    (void)res;
    struct state_files *one_fs = NULL;
    if (arg->opreclaim_complete.rca_one_fs) {
        if (!compound->current.is_set)
            return NFS4ERR_NOFILEHANDLE;
        if (place_is_pseudo(&compound->current))
            return NFS4_OK; /* nothing can be reclaimed there */
        one_fs = compound->current.volume->files;
    }
    return nfs_state_status(state_reclaim_complete(&compound->caller, one_fs));
}

static uint64_t mix(uint64_t sum, uint64_t value)
{
    return (sum ^ value) * UINT64_C(0x9e3779b97f4a7c15) ^ sum >> 29;
}

static uint64_t mix_bytes(uint64_t sum, const uint8_t *bytes, size_t size)
{
    size_t at = 0;
    for (; at + 8 <= size; at += 8)
        sum = mix(sum, load_be64(bytes + at));
    for (; at + 4 <= size; at += 4)
        sum = mix(sum, load_be32(bytes + at));
    return sum; /* XDR comes by four bytes */
}

/* A number that differs for different requests, most likely: of the user, and of the operations behind SEQUENCE (whose
 * own arguments may be others in a retry: Linux encodes anew how many of its slots are in use). Of large ones, which
 * are WRITEs, only the beginning and the end. It guards a client against its own mistake, so no secret is needed.
 * RFC 8881 section 2.10.6.1.3.1. */
static uint64_t request_checksum(const struct compound *compound)
{
    const struct xdr_decoder *args = &compound->request->args;
    size_t size = (size_t)(args->end - args->next);
    size_t head = min_size(size, CHECKSUM_HEAD_BYTES);
    size_t tail = min_size(size - head, CHECKSUM_TAIL_BYTES);
    uint64_t sum = mix(mix(size, compound->op_count), compound->cred.uid);
    sum = mix_bytes(sum, args->next, head);
    return mix_bytes(sum, args->end - tail, tail);
}

/* SEQUENCE - after it, the request is in a session; or was answered before, and is answered the same again. */
enum nfsstat4 op_sequence(
    struct compound *compound, const union nfs_argop4 *arg, union nfs_resop4 *res)
{
    const struct SEQUENCE4args *args = &arg->opsequence;
    const struct rpc_request *request = compound->request;
    struct state_ticket *ticket = &compound->ticket;
    struct state_sequence sequence = { .sessionid = args->sa_sessionid,
        .slotid = args->sa_slotid,
        .seqid = args->sa_sequenceid,
        .highest_slotid = args->sa_highest_slotid,
        .cachethis = args->sa_cachethis,
        .checksum = request_checksum(compound),
        .request_size = (uint32_t)request->record_size,
        .op_count = compound->op_count,
        .conn_id = compound->conn->rpc->id };
    enum state_status status =
        state_sequence_begin(compound->caller.server, &sequence, compound->caller.now_ms, ticket);
    if (status != STATE_OK)
        return nfs_state_status(status);
    compound->has_ticket = true;
    compound->caller.client = ticket->client;
    if (ticket->is_replay)
        return NFS4_OK;
    memcpy(compound->sessionid, args->sa_sessionid, sizeof compound->sessionid);
    uint32_t limit = ticket->response_size_max;
    if (ticket->cachethis && ticket->response_cached_size_max < limit) {
        limit = ticket->response_cached_size_max;
        compound->too_big = NFS4ERR_REP_TOO_BIG_TO_CACHE;
    }
    /* The limits count the RPC header, but not the record mark in front of it. SEQUENCE's own result and an error
     * after it always go, even behind a tag that leaves no room. */
    size_t header_start = compound->results_start - RPC_REPLY_HEADER_BYTES;
    size_t least = xdr_position(compound->enc) + SEQUENCE_RESULT_BYTES + 8;
    size_t allowed = header_start + limit > least ? header_start + limit : least;
    compound_set_limit(compound, min_size(compound->size_limit, allowed));
    struct SEQUENCE4resok *resok = &res->opsequence.sr_resok4;
    memcpy(resok->sr_sessionid, args->sa_sessionid, sizeof resok->sr_sessionid);
    resok->sr_sequenceid = args->sa_sequenceid;
    resok->sr_slotid = args->sa_slotid;
    resok->sr_highest_slotid = ticket->highest_slotid;
    resok->sr_target_highest_slotid = ticket->target_highest_slotid;
    resok->sr_status_flags = ticket->status_flags;
    return NFS4_OK;
}
