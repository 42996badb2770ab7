/*
 * rpc/rpc.c - ONC RPC call and reply headers (room: RPC messages).
 *
 * Source: RFC 5531 sections 9 (messages), 8.2 (credentials), appendix A (AUTH_SYS).
 */
#include "rpc/rpc.h"

/* Reads the AUTH_SYS body (RFC 5531 appendix A). */
static bool get_auth_sys(struct rpc_cred *cred)
{
    struct xdr_decoder dec = xdr_decoder_of(cred->body, NULL);
    if (!xdr_get_u32(&dec, &cred->stamp) ||
        !xdr_get_opaque(&dec, RPC_MACHINE_NAME_SIZE_MAX, &cred->machine_name) ||
        !xdr_get_u32(&dec, &cred->uid) || !xdr_get_u32(&dec, &cred->gid) ||
        !xdr_get_u32(&dec, &cred->group_count) || cred->group_count > RPC_AUTH_SYS_GROUPS_MAX)
        return false;
    for (uint32_t i = 0; i < cred->group_count; i++) {
        if (!xdr_get_u32(&dec, &cred->groups[i]))
            return false;
    }
    return true;
}

int rpc_get_call(struct xdr_decoder *dec, struct rpc_call *out_call)
{
    struct rpc_call *call = out_call;
    uint32_t type;
    uint32_t flavor;
    if (!xdr_get_u32(dec, &call->xid) || !xdr_get_u32(dec, &type) || type != RPC_CALL ||
        !xdr_get_u32(dec, &call->rpc_version))
        return -EBADMSG;
    if (call->rpc_version != RPC_VERSION)
        return -EPROTO;
    struct slice verifier;
    uint32_t verifier_flavor;
    call->cred.group_count = 0;
    if (!xdr_get_u32(dec, &call->program) || !xdr_get_u32(dec, &call->version) ||
        !xdr_get_u32(dec, &call->procedure) || !xdr_get_u32(dec, &flavor) ||
        !xdr_get_opaque(dec, RPC_AUTH_BODY_SIZE_MAX, &call->cred.body) ||
        !xdr_get_u32(dec, &verifier_flavor) ||
        !xdr_get_opaque(dec, RPC_AUTH_BODY_SIZE_MAX, &verifier))
        return -EBADMSG;
    call->cred.flavor = (enum rpc_auth_flavor)flavor;
    if (flavor == RPC_AUTH_SYS && !get_auth_sys(&call->cred))
        return -EACCES;
    return 0;
}

static size_t auth_sys_size(const struct rpc_cred *cred)
{
    return 4 + 4 + ((cred->machine_name.size + 3) & ~(size_t)3) + 4 + 4 + 4 +
           (size_t)cred->group_count * 4;
}

void rpc_put_call(struct xdr_encoder *enc, const struct rpc_call *call)
{
    const struct rpc_cred *cred = &call->cred;
    assert(cred->flavor == RPC_AUTH_NONE || cred->flavor == RPC_AUTH_SYS);
    assert(cred->group_count <= RPC_AUTH_SYS_GROUPS_MAX);
    xdr_put_u32(enc, call->xid);
    xdr_put_u32(enc, RPC_CALL);
    xdr_put_u32(enc, RPC_VERSION);
    xdr_put_u32(enc, call->program);
    xdr_put_u32(enc, call->version);
    xdr_put_u32(enc, call->procedure);
    xdr_put_u32(enc, cred->flavor);
    if (cred->flavor == RPC_AUTH_NONE) {
        xdr_put_u32(enc, 0);
    } else {
        xdr_put_u32(enc, (uint32_t)auth_sys_size(cred));
        xdr_put_u32(enc, cred->stamp);
        xdr_put_opaque(enc, cred->machine_name);
        xdr_put_u32(enc, cred->uid);
        xdr_put_u32(enc, cred->gid);
        xdr_put_u32(enc, cred->group_count);
        for (uint32_t i = 0; i < cred->group_count; i++)
            xdr_put_u32(enc, cred->groups[i]);
    }
    xdr_put_u32(enc, RPC_AUTH_NONE); /* verifier */
    xdr_put_u32(enc, 0);
}

int rpc_get_reply(struct xdr_decoder *dec, uint32_t *out_xid)
{
    uint32_t type;
    uint32_t stat;
    uint32_t verifier_flavor;
    struct slice verifier;
    if (!xdr_get_u32(dec, out_xid) || !xdr_get_u32(dec, &type) || type != RPC_REPLY ||
        !xdr_get_u32(dec, &stat))
        return -EBADMSG;
    if (stat != RPC_MSG_ACCEPTED)
        return stat == RPC_MSG_DENIED ? -EACCES : -EBADMSG;
    if (!xdr_get_u32(dec, &verifier_flavor) ||
        !xdr_get_opaque(dec, RPC_AUTH_BODY_SIZE_MAX, &verifier) || !xdr_get_u32(dec, &stat))
        return -EBADMSG;
    switch (stat) {
    case RPC_SUCCESS:
        return 0;
    case RPC_PROG_UNAVAIL:
    case RPC_PROG_MISMATCH:
    case RPC_PROC_UNAVAIL:
        return -EPROTONOSUPPORT;
    case RPC_GARBAGE_ARGS:
        return -EINVAL;
    default:
        return -EIO;
    }
}

void rpc_put_accepted(struct xdr_encoder *enc, uint32_t xid, enum rpc_accept_stat stat)
{
    uint8_t *at = xdr_reserve(enc, 24);
    if (at == NULL)
        return;
    store_be32(at, xid);
    store_be32(at + 4, RPC_REPLY);
    store_be32(at + 8, RPC_MSG_ACCEPTED);
    store_be32(at + 12, RPC_AUTH_NONE); /* verifier */
    store_be32(at + 16, 0);
    store_be32(at + 20, stat);
}

void rpc_put_starttls(struct xdr_encoder *enc, uint32_t xid)
{
    xdr_put_u32(enc, xid);
    xdr_put_u32(enc, RPC_REPLY);
    xdr_put_u32(enc, RPC_MSG_ACCEPTED);
    xdr_put_u32(enc, RPC_AUTH_NONE);
    xdr_put_opaque(enc, slice_str("STARTTLS"));
    xdr_put_u32(enc, RPC_SUCCESS);
}

void rpc_put_prog_mismatch(struct xdr_encoder *enc, uint32_t xid, uint32_t low, uint32_t high)
{
    rpc_put_accepted(enc, xid, RPC_PROG_MISMATCH);
    xdr_put_u32(enc, low);
    xdr_put_u32(enc, high);
}

static void put_denied(struct xdr_encoder *enc, uint32_t xid, enum rpc_reject_stat stat)
{
    xdr_put_u32(enc, xid);
    xdr_put_u32(enc, RPC_REPLY);
    xdr_put_u32(enc, RPC_MSG_DENIED);
    xdr_put_u32(enc, stat);
}

void rpc_put_rpc_mismatch(struct xdr_encoder *enc, uint32_t xid)
{
    put_denied(enc, xid, RPC_MISMATCH);
    xdr_put_u32(enc, RPC_VERSION); /* lowest and highest we speak */
    xdr_put_u32(enc, RPC_VERSION);
}

void rpc_put_auth_error(struct xdr_encoder *enc, uint32_t xid, enum rpc_auth_stat stat)
{
    put_denied(enc, xid, RPC_AUTH_ERROR);
    xdr_put_u32(enc, stat);
}
