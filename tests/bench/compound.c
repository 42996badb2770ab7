/*
 * tests/bench/compound.c - COMPOUND requests and replies of minor version 1.
 *
 * A request's xid holds its slot in the low bits, so that a reply finds it without a table.
 */
#include "bench.h"

#define XID_SLOT_BITS 10u

_Static_assert(SLOTS_MAX == 1u << XID_SLOT_BITS, "a slot's index fits the xid");

static void begin(struct conn *conn, uint32_t slot_index, struct request *request)
{
    struct xdr_encoder *enc = &conn->out;
    *request = (struct request){ .enc = enc, .mark_at = enc->size };
    xdr_put_u32(enc, 0); /* the record mark; request_end() knows it */
    request->start = xdr_position(enc);
    const struct rpc_call call = {
        .xid = conn->xid_high++ << XID_SLOT_BITS | slot_index,
        .program = NFS4_PROGRAM,
        .version = NFS_V4,
        .procedure = NFSPROC4_COMPOUND,
        .cred = { .flavor = RPC_AUTH_SYS, .machine_name = slice_str("shoal-bench") },
    };
    rpc_put_call(enc, &call);
    xdr_put_u32(enc, 0); /* no tag */
    xdr_put_u32(enc, 1); /* minor version */
    request->count_at = enc->size;
    xdr_put_u32(enc, 0);
}

void request_begin_without_session(struct conn *conn, struct request *out_request)
{
    begin(conn, 0, out_request);
}

void request_begin(struct conn *conn, struct slot *slot, struct request *out_request)
{
    begin(conn, slot->index, out_request);
    union nfs_argop4 args;
    args.opsequence = (struct SEQUENCE4args){
        .sa_sequenceid = ++slot->sequence,
        .sa_slotid = slot->index,
        .sa_highest_slotid = conn->options->in_flight - 1,
    };
    memcpy(args.opsequence.sa_sessionid, conn->sessionid, sizeof conn->sessionid);
    request_add(out_request, OP_SEQUENCE, &args);
}

void request_add(struct request *request, uint32_t opcode, const union nfs_argop4 *args)
{
    request->op_count++;
    xdr_put_u32(request->enc, opcode);
    nfs_argop4_encode(request->enc, opcode, args);
}

void request_add_handle(struct request *request, const struct file_handle *handle)
{
    union nfs_argop4 args;
    args.opputfh.object = handle_slice(handle);
    request_add(request, OP_PUTFH, &args);
}

void request_end(struct request *request)
{
    struct xdr_encoder *enc = request->enc;
    assert(!enc->failed);
    store_be32(enc->data + request->count_at, request->op_count);
    store_be32(enc->data + request->mark_at,
        RPC_LAST_FRAGMENT | (uint32_t)(xdr_position(enc) - request->start));
}

bool reply_begin(
    struct conn *conn, struct slice record, uint32_t *out_slot_index, struct reply *out_reply)
{
    arena_reset(&conn->in_arena);
    struct xdr_decoder dec = xdr_decoder_of(record, &conn->in_arena);
    uint32_t xid;
    uint32_t status;
    uint32_t count;
    struct slice tag;
    if (rpc_get_reply(&dec, &xid) < 0 || !xdr_get_u32(&dec, &status) ||
        !xdr_get_opaque(&dec, NFS4_TAG_MAX, &tag) || !xdr_get_u32(&dec, &count))
        return false;
    *out_slot_index = xid & (SLOTS_MAX - 1);
    *out_reply = (struct reply){ .dec = dec, .status = (enum nfsstat4)status, .left = count };
    return true;
}

bool reply_sequence(struct reply *reply)
{
    union nfs_resop4 result;
    return reply_read(reply, OP_SEQUENCE, &result);
}

bool reply_read(struct reply *reply, uint32_t opcode, union nfs_resop4 *out_result)
{
    uint32_t actual;
    if (reply->left == 0 || !xdr_get_u32(&reply->dec, &actual) || actual != opcode)
        return false;
    reply->left--;
    /* Every result begins with its status, and an error can have a form of its own. */
    if (xdr_left(&reply->dec) < 4 || load_be32(reply->dec.next) != NFS4_OK)
        return false;
    return nfs_resop4_decode(&reply->dec, opcode, out_result);
}

bool reply_skip(struct reply *reply, uint32_t opcode)
{
    union nfs_resop4 result;
    return reply_read(reply, opcode, &result);
}

struct slice handle_slice(const struct file_handle *handle)
{
    return slice_of(handle->bytes, handle->size);
}

bool handle_set(struct file_handle *handle, struct slice bytes)
{
    if (bytes.size > sizeof handle->bytes)
        return false;
    handle->size = (uint32_t)bytes.size;
    memcpy(handle->bytes, bytes.data, bytes.size);
    return true;
}
