/*
 * client/session.c - the client id, the session, its slots, and making them anew (room: client library).
 *
 *   no client id --EXCHANGE_ID--> client id --CREATE_SESSION--> session --RECLAIM_COMPLETE--> in use
 *       ^                             ^                                                          |
 *       |                             '---- BADSESSION, DEADSESSION: nfs_session_recover() ------'
 *       '---- STALE_CLIENTID: the server was restarted; opens are reclaimed before RECLAIM_COMPLETE
 *
 * Slots belong to a generation of the session: a reply of an older one touches none. Sources: RFC 8881
 * sections 2.10.6 (slots), 8.4.2 (recovery), 18.35, 18.36, 18.46, 18.51.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "client/error.h"
#include "client/internal.h"

#define IO_SIZE_MAX           (1u << 20)
#define HEADROOM_BYTES        (8u * 1024) /* of a request or reply around its data */
#define CACHED_REPLY_BYTES    (4u * 1024)
#define OPS_MAX               32u
#define RECOVERY_ATTEMPTS_MAX 8
#define SEQUENCE_RESULT_BYTES 36u /* sr_resok4 */

int nfs_session_take_slot(struct nfs_client *client, struct nfs_call *call)
{
    struct nfs_session *session = &client->session;
    bool recovery = (call->flags & NFS_CALL_RECOVERY) != 0;
    unsigned slot = 0;
    mutex_lock(&client->lock);
    for (;;) {
        if (client->dead_error != 0) {
            int err = client->dead_error;
            mutex_unlock(&client->lock);
            return err;
        }
        if (!session->recovering || recovery) {
            for (slot = 0; slot < session->slot_limit && session->slots[slot].busy; slot++)
                continue;
            if (slot < session->slot_limit)
                break;
        }
        (void)pthread_cond_wait(&client->slot_freed, &client->lock.pthread);
    }
    session->slots[slot].busy = true;
    unsigned highest =
        session->slot_count - 1; /* also one that the server would like to have back */
    while (!session->slots[highest].busy)
        highest--;
    call->slot = slot;
    call->holds_slot = true;
    call->generation = session->generation;
    uint8_t *at = call->enc.data + call->sequence_at + 4; /* after the operation's number */
    memcpy(at, session->id, NFS4_SESSIONID_SIZE);
    store_be32(at + NFS4_SESSIONID_SIZE, session->slots[slot].seqid);
    store_be32(at + NFS4_SESSIONID_SIZE + 4, slot);
    store_be32(at + NFS4_SESSIONID_SIZE + 8, highest);
    mutex_unlock(&client->lock);
    return 0;
}

/* The server has done with the slot; `consumed`: its sequence number was used. */
static void give_back_slot(struct nfs_client *client, struct nfs_call *call, bool consumed)
{
    struct nfs_session *session = &client->session;
    mutex_lock(&client->lock);
    if (call->holds_slot && call->generation == session->generation) {
        session->slots[call->slot].busy = false;
        if (consumed)
            session->slots[call->slot].seqid++;
        (void)pthread_cond_signal(&client->slot_freed);
    }
    call->holds_slot = false;
    mutex_unlock(&client->lock);
}

/* Reads SEQUENCE's own result and obeys what it says about slots. */
static bool read_sequence(struct nfs_client *client, struct nfs_call *call)
{
    struct xdr_decoder *dec = &call->results;
    uint32_t opcode;
    uint32_t status;
    struct slice body;
    if (!xdr_get_u32(dec, &opcode) || opcode != OP_SEQUENCE || !xdr_get_u32(dec, &status))
        return false;
    call->sequence_status = (enum nfsstat4)status;
    if (status != NFS4_OK)
        return true;
    if (!xdr_get_fixed(dec, SEQUENCE_RESULT_BYTES, &body))
        return false;
    uint32_t target = load_be32(body.data + NFS4_SESSIONID_SIZE + 12);
    atomic_store_explicit(&client->last_sequence_ms, clock_coarse_ms(), memory_order_relaxed);
    mutex_lock(&client->lock);
    if (call->generation == client->session.generation) {
        unsigned limit =
            target >= client->session.slot_count ? client->session.slot_count : target + 1;
        if (limit > client->session.slot_limit)
            (void)pthread_cond_broadcast(&client->slot_freed);
        client->session.slot_limit = limit;
    }
    mutex_unlock(&client->lock);
    return true;
}

/* Reads RPC's and COMPOUND's heads. Errors: -EBADMSG, or of rpc_get_reply(). */
static int read_head(struct nfs_client *client, struct nfs_call *call, size_t record_size)
{
    struct xdr_decoder *dec = &call->results;
    uint32_t xid;
    uint32_t status;
    uint32_t count;
    struct slice tag;
    *dec = xdr_decoder_of(slice_of(call->record, record_size), &call->arena);
    int err = rpc_get_reply(dec, &xid);
    if (err < 0)
        return err;
    if (!xdr_get_u32(dec, &status) || !xdr_get_opaque(dec, NFS4_TAG_MAX, &tag) ||
        !xdr_get_u32(dec, &count))
        return -EBADMSG;
    call->status = (enum nfsstat4)status;
    call->sequence_status = NFS4_OK;
    call->result_count = count;
    if ((call->flags & NFS_CALL_NO_SEQUENCE) != 0)
        return 0;
    if (count == 0) {
        call->sequence_status = call->status; /* refused as a whole, e.g. the minor version */
        return status == NFS4_OK ? -EBADMSG : 0;
    }
    call->result_count--;
    return read_sequence(client, call) ? 0 : -EBADMSG;
}

void nfs_session_answered(struct nfs_client *client, struct nfs_call *call, size_t record_size)
{
    call->error = read_head(client, call, record_size);
    if (call->error == 0 && call->sequence_status == NFS4ERR_DELAY)
        return; /* the same request is to be sent again, in the same slot */
    bool consumed = call->error == 0 && (call->sequence_status == NFS4_OK ||
                                            call->sequence_status == NFS4ERR_RETRY_UNCACHED_REP);
    give_back_slot(client, call, consumed);
}

/* Makes a client id. RFC 8881 section 18.35. */
static int exchange_id(struct nfs_client *client)
{
    struct nfs_call call;
    union nfs_resop4 res;
    union nfs_argop4 arg = { .opexchange_id = {
                                 .eia_clientowner = { .co_ownerid = slice_str(client->owner_id) },
                                 .eia_flags = EXCHGID4_FLAG_USE_NON_PNFS,
                                 .eia_state_protect = { .spa_how = SP4_NONE },
                             } };
    memcpy(
        arg.opexchange_id.eia_clientowner.co_verifier, client->owner_verifier, NFS4_VERIFIER_SIZE);
    nfs_call_init(&call, client, NFS_CALL_NO_SEQUENCE);
    nfs_call_add(&call, OP_EXCHANGE_ID, &arg);
    int err = nfs_call_run(&call);
    if (err == 0)
        err = nfs_call_result(&call, OP_EXCHANGE_ID, &res);
    if (call.status == NFS4ERR_MINOR_VERS_MISMATCH)
        err = -EPROTONOSUPPORT;
    if (err == 0) {
        client->clientid = res.opexchange_id.eir_resok4.eir_clientid;
        client->create_session_seqid = res.opexchange_id.eir_resok4.eir_sequenceid;
        client->has_clientid = true;
    }
    nfs_call_fini(&call);
    return err;
}

/* Takes a new session into use. */
static void adopt_session(struct nfs_client *client, const struct CREATE_SESSION4resok *made)
{
    struct nfs_session *session = &client->session;
    const struct channel_attrs4 *fore = &made->csr_fore_chan_attrs;
    mutex_lock(&client->lock);
    memcpy(session->id, made->csr_sessionid, NFS4_SESSIONID_SIZE);
    session->generation++;
    session->slot_count = min_u32(fore->ca_maxrequests, client->slot_count_wanted);
    session->slot_limit = session->slot_count;
    for (unsigned i = 0; i < NFS_CLIENT_SLOTS_MAX; i++)
        session->slots[i] = (struct nfs_slot){ .seqid = 1 };
    (void)pthread_cond_broadcast(&client->slot_freed);
    mutex_unlock(&client->lock);
    atomic_fetch_add(&client->sessions, 1);
}

/* Sizes are fixed with the first session: later ones must offer as much. */
static bool accept_sizes(struct nfs_client *client, const struct channel_attrs4 *fore)
{
    if (fore->ca_maxrequests == 0 || fore->ca_maxoperations < 12 ||
        fore->ca_maxrequestsize < 2 * HEADROOM_BYTES ||
        fore->ca_maxresponsesize < 2 * HEADROOM_BYTES)
        return false;
    if (client->request_size_max == 0) {
        client->request_size_max = fore->ca_maxrequestsize;
        client->response_size_max = fore->ca_maxresponsesize;
        client->io_size = min_u32(IO_SIZE_MAX,
            min_u32(fore->ca_maxrequestsize, fore->ca_maxresponsesize) - HEADROOM_BYTES);
        return true;
    }
    return fore->ca_maxrequestsize >= client->request_size_max &&
           fore->ca_maxresponsesize >= client->response_size_max;
}

/* RFC 8881 section 18.36. *out_status tells what the server said. */
static int create_session(struct nfs_client *client, enum nfsstat4 *out_status)
{
    struct nfs_call call;
    union nfs_resop4 res;
    struct callback_sec_parms4 no_callbacks = { .cb_secflavor = AUTH_NONE };
    union nfs_argop4 arg = { .opcreate_session = {
                                 .csa_clientid = client->clientid,
                                 .csa_sequence = client->create_session_seqid,
                                 .csa_fore_chan_attrs = { .ca_maxrequestsize =
                                                              IO_SIZE_MAX + HEADROOM_BYTES,
                                     .ca_maxresponsesize = IO_SIZE_MAX + HEADROOM_BYTES,
                                     .ca_maxresponsesize_cached = CACHED_REPLY_BYTES,
                                     .ca_maxoperations = OPS_MAX,
                                     .ca_maxrequests = client->slot_count_wanted },
                                 .csa_back_chan_attrs = { .ca_maxrequestsize = 4096,
                                     .ca_maxresponsesize = 4096,
                                     .ca_maxresponsesize_cached = 0,
                                     .ca_maxoperations = 2,
                                     .ca_maxrequests = 1 },
                                 .csa_cb_program = NFS4_CALLBACK,
                                 .csa_sec_parms = { .count = 1, .items = &no_callbacks },
                             } };
    nfs_call_init(&call, client, NFS_CALL_NO_SEQUENCE);
    nfs_call_add(&call, OP_CREATE_SESSION, &arg);
    int err = nfs_call_run(&call);
    *out_status = call.status;
    if (err == 0)
        err = nfs_call_result(&call, OP_CREATE_SESSION, &res);
    if (err == 0 && !accept_sizes(client, &res.opcreate_session.csr_resok4.csr_fore_chan_attrs))
        err = -EPROTO;
    if (err == 0) {
        client->create_session_seqid++;
        adopt_session(client, &res.opcreate_session.csr_resok4);
    }
    nfs_call_fini(&call);
    return err;
}

/* Tells the server that nothing more will be reclaimed; opens are refused before. RFC 8881 section 18.51. */
static int reclaim_complete(struct nfs_client *client)
{
    struct nfs_call call;
    union nfs_argop4 arg = { .opreclaim_complete = { .rca_one_fs = false } };
    nfs_call_init(&call, client, NFS_CALL_CACHED | NFS_CALL_RECOVERY);
    nfs_call_add(&call, OP_RECLAIM_COMPLETE, &arg);
    int err = nfs_call_run(&call);
    if (call.status == NFS4ERR_COMPLETE_ALREADY)
        err = 0;
    nfs_call_fini(&call);
    return err;
}

/* Makes a session in use; called by one thread at a time. */
static int establish(struct nfs_client *client)
{
    int err = 0;
    for (int attempt = 0; attempt < RECOVERY_ATTEMPTS_MAX; attempt++) {
        bool restarted = !client->has_clientid;
        if (restarted)
            err = exchange_id(client);
        if (restarted && err < 0)
            return err;
        enum nfsstat4 status;
        err = create_session(client, &status);
        if (err == 0 && restarted) {
            nfs_file_reclaim_all(client);
            err = reclaim_complete(client);
        }
        if (err == 0 || nfs_client_dead(client) != 0)
            return err;
        if (err != -ECONNRESET && status != NFS4ERR_STALE_CLIENTID &&
            status != NFS4ERR_SEQ_MISORDERED && status != NFS4ERR_CLID_INUSE)
            return err;
        /* The server lost us (again) meanwhile: from the start. */
        client->has_clientid = false;
    }
    return err;
}

int nfs_session_open(struct nfs_client *client)
{
    mutex_lock(&client->recovery_lock);
    int err = establish(client);
    mutex_unlock(&client->recovery_lock);
    return err;
}

static void set_recovering(struct nfs_client *client, bool recovering)
{
    mutex_lock(&client->lock);
    client->session.recovering = recovering;
    (void)pthread_cond_broadcast(&client->slot_freed);
    mutex_unlock(&client->lock);
}

int nfs_session_recover(struct nfs_client *client, uint64_t generation)
{
    int err = 0;
    mutex_lock(&client->recovery_lock);
    mutex_lock(&client->lock);
    bool current = client->session.generation == generation;
    mutex_unlock(&client->lock);
    if (current) {
        set_recovering(client, true);
        err = establish(client);
        if (err < 0)
            nfs_client_kill(client, err);
        set_recovering(client, false);
    }
    mutex_unlock(&client->recovery_lock);
    return err;
}

/* The id of the session; false: there was none yet. */
static bool session_id(struct nfs_client *client, uint8_t out_id[NFS4_SESSIONID_SIZE])
{
    mutex_lock(&client->lock);
    bool has = client->session.generation > 0;
    memcpy(out_id, client->session.id, NFS4_SESSIONID_SIZE);
    mutex_unlock(&client->lock);
    return has;
}

void nfs_session_close(struct nfs_client *client)
{
    union nfs_argop4 arg = { 0 };
    struct nfs_call call;
    if (!session_id(client, arg.opdestroy_session.dsa_sessionid) || nfs_client_dead(client) != 0)
        return;
    nfs_call_init(&call, client, NFS_CALL_NO_SEQUENCE);
    nfs_call_add(&call, OP_DESTROY_SESSION, &arg);
    int err = nfs_call_run(&call);
    nfs_call_fini(&call);
    if (err == 0) {
        arg = (union nfs_argop4){ .opdestroy_clientid = { .dca_clientid = client->clientid } };
        nfs_call_init(&call, client, NFS_CALL_NO_SEQUENCE);
        nfs_call_add(&call, OP_DESTROY_CLIENTID, &arg);
        err = nfs_call_run(&call);
        nfs_call_fini(&call);
    }
    if (err < 0)
        LOG_DEBUG("session not closed", "error=%d", -err); /* the lease ends it */
}
