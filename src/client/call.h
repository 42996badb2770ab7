/*
 * client/call.h - one COMPOUND: built operation by operation, sent, its results read one by one.
 *
 * A call starts with SEQUENCE, which this file adds and takes care of, unless it is built with
 * NFS_CALL_NO_SEQUENCE. Sending and waiting are two steps, so that one thread can have many in flight:
 *     nfs_call_init(&call, client, flags); nfs_call_put_fh(&call, fh); nfs_call_add(&call, OP_..., &arg);
 *     nfs_call_start(&call);  ...  err = nfs_call_finish(&call);
 *     err = nfs_call_result(&call, OP_PUTFH, &res);  ...  nfs_call_fini(&call);
 * Bytes given by reference (WRITE data) stay where they are until nfs_call_finish() returns; results
 * borrow from the call until nfs_call_fini(). One thread uses a call; the struct must not move.
 */
#pragma once

#include "base/list.h"
#include "client/client.h"
#include "io/event.h"
#include "xdr/xdr.h"

enum nfs_call_flags {
    NFS_CALL_PLAIN = 0,
    NFS_CALL_CACHED = 1, /* not to be done twice: the server keeps the reply for a repetition */
    NFS_CALL_NO_SEQUENCE = 2, /* stands outside of the session (RFC 8881 section 2.10.6.1) */
    NFS_CALL_RECOVERY = 4,    /* part of the recovery of a session: does not wait for it */
    NFS_CALL_MINOR_2 = 8, /* has operations of version 4.2; servers without it: -EPROTONOSUPPORT */
};

struct nfs_call {
    /* of the builder */
    struct nfs_client *client;
    unsigned flags; /* enum nfs_call_flags */
    struct arena arena;
    struct xdr_encoder enc;
    size_t op_count_at; /* places in the record that are filled in when it is sent */
    size_t sequence_at;
    uint32_t op_count;

    /* of the transport: client/conn.c, under the connection's lock until the event */
    struct list link;
    uint32_t xid;
    uint32_t send_count;
    uint32_t epoch;
    bool sending;
    uint64_t sent_ms;
    struct event answered;
    bool in_flight;
    bool holds_slot;
    uint32_t slot;
    uint64_t generation; /* of the session that the slot belongs to */
    uint64_t start_ms;
    unsigned delay_count;
    unsigned session_count; /* made for this call */

    /* the reply */
    int error;       /* of the transport or of RPC */
    uint8_t *record; /* owned */
    struct xdr_decoder results;
    uint32_t result_count; /* without SEQUENCE */
    uint32_t results_read;
    enum nfsstat4 sequence_status;
    enum nfsstat4 status; /* of the last operation that ran */
    bool maybe_done;      /* it may have taken effect before the attempt that this reply answers */
};

void nfs_call_init(struct nfs_call *call, struct nfs_client *client, unsigned flags);
void nfs_call_fini(struct nfs_call *call);

/* Adds an operation; `arg` is NULL for one without arguments. A failure shows in nfs_call_finish(). */
void nfs_call_add(struct nfs_call *call, enum nfs_opnum4 opcode, const union nfs_argop4 *arg);
void nfs_call_put_fh(struct nfs_call *call, const struct nfs_fh *fh);
void nfs_call_lookup(struct nfs_call *call, struct slice name);

/* Fills in what is known only at the end: length, xid, number of operations. Used by the transport. */
void nfs_call_seal(struct nfs_call *call);
/* Sends. Waits only for a free slot, which others' replies free without their finish. */
void nfs_call_start(struct nfs_call *call);
/* Waits for the answer; repairs connection and session, and asks again, as long as that can help.
 * Gives 0, or the -errno of the operation that failed (call->status; those before it can be read with
 * nfs_call_result()), or -ETIMEDOUT, -ECONNREFUSED...: the server stays away; -EMSGSIZE: too big. */
MUST_CHECK int nfs_call_finish(struct nfs_call *call);
/* Both. */
MUST_CHECK int nfs_call_run(struct nfs_call *call);

/* Reads the next result, which must be of `opcode`. Gives 0, the -errno of that operation, or -EBADMSG:
 * none is left, or it is not readable. */
MUST_CHECK int nfs_call_result(
    struct nfs_call *call, enum nfs_opnum4 opcode, union nfs_resop4 *out_res);
/* Reads over a result of which only success matters. */
MUST_CHECK int nfs_call_skip(struct nfs_call *call, enum nfs_opnum4 opcode);
