/*
 * client/call.c - building, sending and judging one COMPOUND (room: client library).
 *
 * What to do with each answer (RFC 8881 sections 15.1 and 18.46):
 *
 *   answer                                  the slot         next
 *   SEQUENCE: DELAY                         stays ours       the same bytes again, after a while
 *   SEQUENCE: BADSESSION and its like       is gone          a new session, then again in a new slot;
 *                                                            at most SESSIONS_MAX times
 *   RETRY_UNCACHED_REP                      is free          again (only what may be done twice gets it)
 *   an operation: DELAY, GRACE              is free          again in a new slot, after a while
 *   anything else                           is free          the caller's
 */
#include "client/call.h"

#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "client/error.h"
#include "client/internal.h"

#define REQUEST_ARENA_BYTES_MAX (4u << 20)
#define REQUEST_BYTES_MAX       (2u << 20)
#define DELAY_MS_MIN            5u
#define DELAY_MS_MAX            500u
#define SESSIONS_MAX            20u

void nfs_call_init(struct nfs_call *call, struct nfs_client *client, unsigned flags)
{
    memset(call, 0, sizeof *call);
    call->client = client;
    call->flags = flags;
    list_init(&call->link);
    arena_init(&call->arena, REQUEST_ARENA_BYTES_MAX);
    xdr_encoder_init(&call->enc, &call->arena, REQUEST_BYTES_MAX);
    xdr_put_u32(&call->enc, 0); /* the record mark: nfs_call_seal() */
    rpc_put_call(&call->enc, &(struct rpc_call){ .program = NFS4_PROGRAM,
                                 .version = NFS_V4,
                                 .procedure = NFSPROC4_COMPOUND,
                                 .cred = client->cred });
    xdr_put_u32(&call->enc, 0);                                       /* an empty tag */
    xdr_put_u32(&call->enc, (flags & NFS_CALL_MINOR_2) != 0 ? 2 : 1); /* minor version */
    call->op_count_at = call->enc.size;
    xdr_put_u32(&call->enc, 0);
    if ((flags & NFS_CALL_NO_SEQUENCE) == 0) {
        union nfs_argop4 arg = { .opsequence = { .sa_cachethis = (flags & NFS_CALL_CACHED) != 0 } };
        call->sequence_at = call->enc.size;
        nfs_call_add(call, OP_SEQUENCE, &arg);
    }
}

void nfs_call_fini(struct nfs_call *call)
{
    assert(!call->in_flight);
    free(call->record);
    call->record = NULL;
    arena_fini(&call->arena);
}

void nfs_call_add(struct nfs_call *call, enum nfs_opnum4 opcode, const union nfs_argop4 *arg)
{
    static const union nfs_argop4 nothing;
    xdr_put_u32(&call->enc, opcode);
    nfs_argop4_encode(&call->enc, opcode, arg == NULL ? &nothing : arg);
    call->op_count++;
}

void nfs_call_put_fh(struct nfs_call *call, const struct nfs_fh *fh)
{
    union nfs_argop4 arg = { .opputfh = { .object = slice_of(fh->data, fh->size) } };
    nfs_call_add(call, OP_PUTFH, &arg);
}

void nfs_call_lookup(struct nfs_call *call, struct slice name)
{
    union nfs_argop4 arg = { .oplookup = { .objname = name } };
    nfs_call_add(call, OP_LOOKUP, &arg);
}

void nfs_call_seal(struct nfs_call *call)
{
    struct xdr_encoder *enc = &call->enc;
    if (enc->failed)
        return;
    call->xid = atomic_fetch_add(&call->client->next_xid, 1);
    store_be32(enc->data, (uint32_t)(xdr_position(enc) - 4) | RPC_LAST_FRAGMENT);
    store_be32(enc->data + 4, call->xid);
    store_be32(enc->data + call->op_count_at, call->op_count);
}

/* The connection that carries a call: slots are spread over all of them. */
static struct nfs_conn *conn_of(struct nfs_call *call)
{
    struct nfs_client *client = call->client;
    bool any = (call->flags & NFS_CALL_NO_SEQUENCE) == 0;
    return &client->conns[any ? call->slot % client->conn_count : 0];
}

static void forget_reply(struct nfs_call *call)
{
    free(call->record);
    call->record = NULL;
    call->result_count = 0;
    call->results_read = 0;
}

/* Sends what is sealed. */
static void send_sealed(struct nfs_call *call)
{
    forget_reply(call);
    call->error = 0;
    event_init(&call->answered);
    call->in_flight = true;
    nfs_conn_send(conn_of(call), call);
}

/* Sends as a new request, in a slot of its own. */
static int send_anew(struct nfs_call *call)
{
    if ((call->flags & NFS_CALL_NO_SEQUENCE) == 0) {
        int err = nfs_session_take_slot(call->client, call);
        if (err < 0)
            return err;
    }
    call->send_count = 0;
    nfs_call_seal(call);
    send_sealed(call);
    return 0;
}

void nfs_call_start(struct nfs_call *call)
{
    assert(!call->in_flight && call->record == NULL);
    uint32_t size_max = call->client->request_size_max;
    if (call->enc.failed || (size_max > 0 && xdr_position(&call->enc) - 4 > size_max)) {
        call->error = -EMSGSIZE;
        return;
    }
    atomic_fetch_add_explicit(&call->client->calls, 1, memory_order_relaxed);
    call->start_ms = clock_coarse_ms();
    int err = send_anew(call);
    if (err < 0)
        call->error = err;
}

enum verdict { DONE, SAME_AGAIN, NEW_AGAIN, NEW_SESSION };

static enum verdict judge_sequence(const struct nfs_call *call)
{
    switch (call->sequence_status) {
    case NFS4_OK:
        break;
    case NFS4ERR_DELAY:
        return SAME_AGAIN;
    case NFS4ERR_RETRY_UNCACHED_REP:
        return NEW_AGAIN;
    case NFS4ERR_BADSESSION:
    case NFS4ERR_DEADSESSION:
    case NFS4ERR_BADSLOT:
    case NFS4ERR_BAD_HIGH_SLOT:
    case NFS4ERR_SEQ_MISORDERED:
    case NFS4ERR_SEQ_FALSE_RETRY:
    case NFS4ERR_CONN_NOT_BOUND_TO_SESSION: /* e.g. a server that counts lost connections still */
        return NEW_SESSION;
    default:
        return DONE;
    }
    switch (call->status) {
    case NFS4ERR_DELAY:
    case NFS4ERR_GRACE:
    case NFS4ERR_RETRY_UNCACHED_REP: /* servers may say it for the second operation too */
        return NEW_AGAIN;
    default:
        return DONE;
    }
}

static enum verdict judge(const struct nfs_call *call)
{
    if ((call->flags & NFS_CALL_NO_SEQUENCE) != 0)
        return call->status == NFS4ERR_DELAY ? NEW_AGAIN : DONE;
    return judge_sequence(call);
}

/* Waits a while, a little longer each time. */
static void wait_a_while(struct nfs_call *call)
{
    uint64_t delay_ms =
        min_u64((uint64_t)DELAY_MS_MIN << min_u32(call->delay_count, 16), DELAY_MS_MAX);
    call->delay_count++;
    struct timespec delay = { .tv_sec = (time_t)(delay_ms / 1000),
        .tv_nsec = (long)(delay_ms % 1000) * 1000000 };
    (void)nanosleep(&delay, NULL); /* woken early by a signal: then it asks early */
}

/* Asks once more as the verdict says. */
static int ask_again(struct nfs_call *call, enum verdict verdict)
{
    if (clock_coarse_ms() - call->start_ms > call->client->give_up_ms)
        return -ETIMEDOUT;
    if (verdict == NEW_SESSION) {
        if ((call->flags & NFS_CALL_RECOVERY) != 0)
            return -ECONNRESET; /* the recovery itself starts again */
        if (call->session_count++ == SESSIONS_MAX)
            return -ECONNRESET; /* new sessions do not help */
        /* One that was sent once and met no session was not executed; of others nobody knows. */
        call->maybe_done |= call->send_count > 1;
        int err = nfs_session_recover(call->client, call->generation);
        return err < 0 ? err : send_anew(call);
    }
    bool uncached = call->status == NFS4ERR_RETRY_UNCACHED_REP;
    call->maybe_done |= uncached || call->result_count > 0;
    if (!uncached)
        wait_a_while(call);
    if (verdict == NEW_AGAIN)
        return send_anew(call);
    send_sealed(call);
    return 0;
}

int nfs_call_finish(struct nfs_call *call)
{
    for (;;) {
        if (call->in_flight) {
            event_wait(&call->answered);
            call->in_flight = false;
        }
        if (call->error != 0)
            return call->error;
        enum verdict verdict = judge(call);
        if (verdict == DONE)
            return nfs_error_of(call->status);
        int err = ask_again(call, verdict);
        if (err < 0) {
            call->error = err;
            return err;
        }
    }
}

int nfs_call_run(struct nfs_call *call)
{
    nfs_call_start(call);
    return nfs_call_finish(call);
}

int nfs_call_result(struct nfs_call *call, enum nfs_opnum4 opcode, union nfs_resop4 *out_res)
{
    uint32_t found;
    if (call->record == NULL || call->results_read == call->result_count ||
        !xdr_get_u32(&call->results, &found) || found != opcode || xdr_left(&call->results) < 4)
        return -EBADMSG;
    /* Every result starts with its status (RFC 8881 section 18). */
    enum nfsstat4 status = (enum nfsstat4)load_be32(call->results.next);
    if (!nfs_resop4_decode(&call->results, opcode, out_res))
        return -EBADMSG;
    call->results_read++;
    return nfs_error_of(status);
}

int nfs_call_skip(struct nfs_call *call, enum nfs_opnum4 opcode)
{
    union nfs_resop4 res;
    return nfs_call_result(call, opcode, &res);
}
