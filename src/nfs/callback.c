/*
 * nfs/callback.c - CB_COMPOUND: outgoing calls, and their answers (room: NFS).
 *
 * XIDs are the server's own: a client tells calls from replies by their type. A reply counts only on the connection
 * that its call went by. Sources: RFC 8881 sections 2.10.6, 20.2 and 20.9; RFC 5531.
 */
#include "nfs/callback.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "nfs/view.h"

#define TIMEOUT_MS       10000u
#define RECORD_SIZE_MAX  4096u
#define REPLY_MEMORY_MAX (64u * 1024)

struct callback {
    struct state_table_node xid_node;
    struct list node;
    uint32_t xid;
    uint32_t opcode; /* 0: a probe, of which only conn_id and cb_program of `back` count */
    uint64_t sent_ms;
    struct state_back_call back;
    callback_done *done;
    void *context;
};

void callbacks_init(struct callbacks *callbacks)
{
    (void)pthread_mutex_init(&callbacks->lock, NULL);
    state_table_init(&callbacks->by_xid);
    list_init(&callbacks->all);
    callbacks->xid = 1;
}

void callbacks_fini(struct callbacks *callbacks)
{
    assert(list_is_empty(&callbacks->all));
    state_table_fini(&callbacks->by_xid);
    (void)pthread_mutex_destroy(&callbacks->lock);
}

/* ---- the call ---- */

/* The first of the offered ways to authenticate that we have. */
static int choose_cred(struct slice parms, struct arena *arena, struct rpc_cred *out)
{
    struct xdr_decoder dec = xdr_decoder_of(parms, arena);
    while (xdr_left(&dec) > 0) {
        struct callback_sec_parms4 parm;
        if (!xdr_get_callback_sec_parms4(&dec, &parm))
            return -EACCES;
        if (parm.cb_secflavor == AUTH_NONE) {
            *out = (struct rpc_cred){ .flavor = RPC_AUTH_NONE };
            return 0;
        }
        if (parm.cb_secflavor == AUTH_SYS) {
            const struct authsys_parms *sys = &parm.cbsp_sys_cred;
            *out = (struct rpc_cred){ .flavor = RPC_AUTH_SYS,
                .stamp = sys->stamp,
                .machine_name = sys->machinename,
                .uid = sys->uid,
                .gid = sys->gid,
                .group_count = sys->gids.count };
            if (sys->gids.count > RPC_AUTH_SYS_GROUPS_MAX)
                return -EACCES;
            for (uint32_t i = 0; i < sys->gids.count; i++)
                out->groups[i] = sys->gids.items[i];
            return 0;
        }
    }
    return -EACCES;
}

/* How we authenticate. In 4.0 clients say nothing of it, and take AUTH_SYS; Linux takes nothing less. */
static int get_cred(const struct callback *callback, struct arena *arena, struct rpc_cred *out)
{
    if (callback->opcode == 0) {
        *out = (struct rpc_cred){ .flavor = RPC_AUTH_NONE };
        return 0;
    }
    if (!callback->back.is_v40)
        return choose_cred(callback->back.cb_security, arena, out);
    *out = (struct rpc_cred){ .flavor = RPC_AUTH_SYS, .machine_name = slice_str("shoal") };
    return 0;
}

static void put_sequence(struct xdr_encoder *enc, const struct state_back_call *back)
{
    union nfs_cb_argop4 sequence = { .opcbsequence = { .csa_sequenceid = back->seqid,
                                         .csa_slotid = back->slotid,
                                         .csa_highest_slotid = back->highest_slotid } };
    memcpy(sequence.opcbsequence.csa_sessionid, back->sessionid, STATE_SESSIONID_SIZE);
    xdr_put_u32(enc, OP_CB_SEQUENCE);
    nfs_cb_argop4_encode(enc, OP_CB_SEQUENCE, &sequence);
}

static void put_compound(
    struct xdr_encoder *enc, const struct callback *callback, const union nfs_cb_argop4 *arg)
{
    const struct state_back_call *back = &callback->back;
    bool has_sequence = !back->is_v40;
    xdr_put_u32(enc, 0); /* tag */
    xdr_put_u32(enc, back->minor);
    xdr_put_u32(enc, has_sequence ? 0 : back->ident);
    xdr_put_u32(enc, has_sequence ? 2 : 1);
    if (has_sequence)
        put_sequence(enc, back);
    xdr_put_u32(enc, callback->opcode);
    nfs_cb_argop4_encode(enc, callback->opcode, arg);
}

static int encode_call(const struct callback *callback, const union nfs_cb_argop4 *arg,
    struct arena *arena, struct slice *out_record)
{
    bool is_probe = callback->opcode == 0;
    struct rpc_call call = { .xid = callback->xid,
        .rpc_version = RPC_VERSION,
        .program = callback->back.cb_program,
        .version = NFS_CB,
        .procedure = is_probe ? CB_NULL : CB_COMPOUND };
    int err = get_cred(callback, arena, &call.cred);
    if (err < 0)
        return err;
    struct xdr_encoder enc;
    xdr_encoder_init(&enc, arena, min_size(RECORD_SIZE_MAX, callback->back.request_size_max));
    rpc_put_call(&enc, &call);
    if (!is_probe)
        put_compound(&enc, callback, arg);
    if (enc.failed || enc.reference_count > 0)
        return -ENOMEM;
    *out_record = slice_of(enc.data, enc.size);
    return 0;
}

/* Sends a record on a connection, if it is there. */
static int send_on(struct nfs_server *server, uint64_t conn_id, struct slice record)
{
    struct rpc_conn *rpc = view_conn_get(server, conn_id);
    if (rpc == NULL)
        return -ENOTCONN;
    bool sent = rpc_conn_send(rpc, record);
    rpc_conn_unref(rpc);
    return sent ? 0 : -ENOTCONN;
}

/* From now on an answer, or the end of the connection, may end it. */
static void callback_add(struct callbacks *callbacks, struct callback *callback)
{
    (void)pthread_mutex_lock(&callbacks->lock);
    state_table_add(&callbacks->by_xid, &callback->xid_node, hash_u64(callback->xid));
    list_add_tail(&callbacks->all, &callback->node);
    (void)pthread_mutex_unlock(&callbacks->lock);
}

static void callback_remove_locked(struct callbacks *callbacks, struct callback *callback)
{
    state_table_remove(&callbacks->by_xid, &callback->xid_node);
    list_remove(&callback->node);
}

/* True: it was still there, and is now the caller's alone. */
static bool callback_take(struct callbacks *callbacks, const struct callback *wanted)
{
    bool found = false;
    (void)pthread_mutex_lock(&callbacks->lock);
    LIST_FOR_EACH_SAFE(node, &callbacks->all)
    {
        struct callback *callback = LIST_ENTRY(node, struct callback, node);
        if (callback == wanted) {
            callback_remove_locked(callbacks, callback);
            found = true;
        }
    }
    (void)pthread_mutex_unlock(&callbacks->lock);
    return found;
}

/* Gives the slot back. A client of 4.0 that does not answer as it should is not called on this connection again. */
static void back_end(
    struct nfs_server *server, const struct callback *callback, enum state_back_end how)
{
    if (callback->opcode == 0)
        return;
    state_back_end(server->state, &callback->back, how);
    if (callback->back.is_v40 && (how == STATE_BACK_SILENT || how == STATE_BACK_FAULT))
        view_conn_close(server, callback->back.conn_id);
}

/* Sends it; an error takes it back, and it is the caller's again. */
static int callback_start(
    struct nfs_server *server, struct callback *callback, const union nfs_cb_argop4 *arg)
{
    callback->sent_ms = clock_coarse_ms();
    callback->xid = atomic_fetch_add(&server->callbacks.xid, 1);
    struct arena arena;
    struct slice record;
    arena_init(&arena, REPLY_MEMORY_MAX);
    int err = encode_call(callback, arg, &arena, &record);
    if (err == 0) {
        uint64_t conn_id = callback->back.conn_id;
        callback_add(&server->callbacks, callback);
        err = send_on(server, conn_id, record);
        /* When its connection has closed it may have been ended by that, and counts as sent. */
        if (err < 0 && !callback_take(&server->callbacks, callback))
            err = 0;
    }
    arena_fini(&arena);
    return err;
}

int callback_probe(struct nfs_server *server, uint64_t conn_id, uint32_t program,
    callback_done *done, void *context)
{
    struct callback *callback = calloc(1, sizeof *callback);
    if (callback == NULL)
        return -ENOMEM;
    callback->back = (struct state_back_call){
        .conn_id = conn_id, .cb_program = program, .request_size_max = UINT32_MAX
    };
    callback->done = done;
    callback->context = context;
    int err = callback_start(server, callback, NULL);
    if (err < 0)
        free(callback);
    return err;
}

int callback_send(struct nfs_server *server, uint64_t clientid, uint32_t opcode,
    const union nfs_cb_argop4 *arg, callback_done *done, void *context)
{
    struct callback *callback = calloc(1, sizeof *callback);
    if (callback == NULL)
        return -ENOMEM;
    assert(opcode != 0);
    enum state_status status = state_back_begin(server->state, clientid, &callback->back);
    if (status != STATE_OK) {
        free(callback);
        return status == STATE_DELAY ? -EAGAIN : -ENOTCONN;
    }
    callback->opcode = opcode;
    callback->done = done;
    callback->context = context;
    int err = callback_start(server, callback, arg);
    if (err == 0)
        return 0;
    back_end(server, callback, err == -ENOTCONN ? STATE_BACK_SILENT : STATE_BACK_NOT_RUN);
    free(callback);
    return err;
}

static void hint_done(
    struct nfs_server *server, void *context, int err, const union nfs_cb_resop4 *res)
{
    (void)server;
    (void)context;
    (void)err;
    (void)res;
}

void callback_hint(struct nfs_server *server, const uint8_t sessionid[NFS4_SESSIONID_SIZE],
    uint32_t opcode, const union nfs_cb_argop4 *arg)
{
    struct callback *callback = calloc(1, sizeof *callback);
    if (callback == NULL)
        return;
    if (state_back_begin_in(server->state, sessionid, &callback->back) != STATE_OK) {
        free(callback);
        return;
    }
    callback->opcode = opcode;
    callback->done = hint_done;
    int err = callback_start(server, callback, arg);
    if (err == 0)
        return;
    back_end(server, callback, err == -ENOTCONN ? STATE_BACK_SILENT : STATE_BACK_NOT_RUN);
    free(callback);
}

/* ---- the answer ---- */

/* What CB_SEQUENCE was answered. */
static enum state_back_end sequence_end(enum nfsstat4 status, int *out_err)
{
    switch (status) {
    case NFS4_OK:
        *out_err = 0;
        return STATE_BACK_RAN;
    case NFS4ERR_DELAY:
        *out_err = -EAGAIN;
        return STATE_BACK_NOT_RUN;
    case NFS4ERR_SEQ_FALSE_RETRY:
    case NFS4ERR_RETRY_UNCACHED_REP: /* an earlier call, of which we never heard, ran in this slot */
        *out_err = -EAGAIN;
        return STATE_BACK_RAN;
    default:
        *out_err = -EPROTO;
        return STATE_BACK_FAULT;
    }
}

/* Reads a CB_COMPOUND4res. Gives 0, and `res`; or how it failed, and what becomes of the slot. */
static int decode_reply(const struct callback *callback, struct xdr_decoder *dec,
    union nfs_cb_resop4 *res, enum state_back_end *out_end)
{
    uint32_t status, count, opcode;
    struct slice tag;
    union nfs_cb_resop4 sequence;
    *out_end = STATE_BACK_RAN;
    if (callback->opcode == 0)
        return 0; /* CB_NULL has no results */
    *out_end = STATE_BACK_FAULT;
    if (!xdr_get_u32(dec, &status) || !xdr_get_opaque(dec, NFS4_TAG_MAX, &tag) ||
        !xdr_get_u32(dec, &count))
        return -EPROTO;
    if (count == 0) { /* refused as a whole */
        *out_end = status == NFS4ERR_DELAY ? STATE_BACK_NOT_RUN : STATE_BACK_FAULT;
        return status == NFS4ERR_DELAY ? -EAGAIN : -EPROTO;
    }
    if (!callback->back.is_v40) {
        int err;
        if (!xdr_get_u32(dec, &opcode) || opcode != OP_CB_SEQUENCE ||
            !nfs_cb_resop4_decode(dec, opcode, &sequence))
            return -EPROTO;
        *out_end = sequence_end(sequence.opcbsequence.csr_status, &err);
        if (err < 0)
            return err;
        if (count < 2)
            return -EPROTO;
    }
    if (!xdr_get_u32(dec, &opcode) || opcode != callback->opcode ||
        !nfs_cb_resop4_decode(dec, opcode, res))
        return -EPROTO;
    *out_end = STATE_BACK_RAN;
    return 0;
}

static void callback_end(struct nfs_server *server, struct callback *callback, int err,
    enum state_back_end how, const union nfs_cb_resop4 *res)
{
    back_end(server, callback, how);
    callback->done(server, callback->context, err, res);
    free(callback);
}

/* The call that a reply on this connection is for; now the caller's. NULL: none. */
static struct callback *take_by_xid(struct callbacks *callbacks, uint64_t conn_id, uint32_t xid)
{
    struct callback *found = NULL;
    (void)pthread_mutex_lock(&callbacks->lock);
    struct state_table_node *node = state_table_first(&callbacks->by_xid, hash_u64(xid));
    for (; node != NULL && found == NULL; node = state_table_next(node)) {
        struct callback *callback = CONTAINER_OF(node, struct callback, xid_node);
        if (callback->xid == xid && callback->back.conn_id == conn_id)
            found = callback;
    }
    if (found != NULL)
        callback_remove_locked(callbacks, found);
    (void)pthread_mutex_unlock(&callbacks->lock);
    return found;
}

void callback_reply(struct nfs_server *server, uint64_t conn_id, struct slice record)
{
    struct arena arena;
    arena_init(&arena, REPLY_MEMORY_MAX);
    struct xdr_decoder dec = xdr_decoder_of(record, &arena);
    uint32_t xid = 0; /* which no call has */
    int err = rpc_get_reply(&dec, &xid);
    struct callback *callback = take_by_xid(&server->callbacks, conn_id, xid);
    if (callback != NULL) { /* else it comes late, or answers nothing: nobody waits for it */
        union nfs_cb_resop4 res;
        enum state_back_end how = STATE_BACK_SILENT; /* the client has no such program */
        if (err == 0)
            err = decode_reply(callback, &dec, &res, &how);
        bool has_result = err == 0 && callback->opcode != 0;
        callback_end(server, callback, err, how, has_result ? &res : NULL);
    }
    arena_fini(&arena);
}

/* ---- no answer ---- */

/* The oldest call on a connection, or (conn_id 0) one that is older than a time; now the caller's. NULL: none. */
static struct callback *take_unanswered(
    struct callbacks *callbacks, uint64_t conn_id, uint64_t sent_before_ms)
{
    struct callback *found = NULL;
    (void)pthread_mutex_lock(&callbacks->lock);
    LIST_FOR_EACH(node, &callbacks->all)
    {
        struct callback *callback = LIST_ENTRY(node, struct callback, node);
        bool wanted =
            conn_id != 0 ? callback->back.conn_id == conn_id : callback->sent_ms < sent_before_ms;
        if (wanted) {
            found = callback;
            break;
        }
    }
    if (found != NULL)
        callback_remove_locked(callbacks, found);
    (void)pthread_mutex_unlock(&callbacks->lock);
    return found;
}

void callback_conn_closed(struct nfs_server *server, uint64_t conn_id)
{
    struct callback *callback;
    while ((callback = take_unanswered(&server->callbacks, conn_id, 0)) != NULL)
        callback_end(server, callback, -ENOTCONN, STATE_BACK_SILENT, NULL);
}

void callback_tick(struct nfs_server *server, uint64_t now_ms)
{
    struct callback *callback;
    while (now_ms > TIMEOUT_MS &&
           (callback = take_unanswered(&server->callbacks, 0, now_ms - TIMEOUT_MS)) != NULL) {
        LOG_WARN("a client does not answer callbacks", "conn=%" PRIu64 " operation=%" PRIu32,
            callback->back.conn_id, callback->opcode);
        callback_end(server, callback, -ETIMEDOUT, STATE_BACK_SILENT, NULL);
    }
}
