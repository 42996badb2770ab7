/*
 * rpc/rpc.h - ONC RPC version 2 over TCP: record marking, call and reply headers, AUTH_NONE and
 * AUTH_SYS. Source: RFC 5531. Used by the server (rpc/server.h) and by the client library.
 */
#pragma once

#include "xdr/xdr.h"

#define RPC_VERSION               2u
#define RPC_LAST_FRAGMENT         0x80000000u
#define RPC_AUTH_BODY_SIZE_MAX    400u
#define RPC_AUTH_SYS_GROUPS_MAX   16u
#define RPC_MACHINE_NAME_SIZE_MAX 255u

enum rpc_msg_type { RPC_CALL = 0, RPC_REPLY = 1 };
enum rpc_reply_stat { RPC_MSG_ACCEPTED = 0, RPC_MSG_DENIED = 1 };
enum rpc_accept_stat {
    RPC_SUCCESS = 0,
    RPC_PROG_UNAVAIL = 1,
    RPC_PROG_MISMATCH = 2,
    RPC_PROC_UNAVAIL = 3,
    RPC_GARBAGE_ARGS = 4,
    RPC_SYSTEM_ERR = 5,
};
enum rpc_reject_stat { RPC_MISMATCH = 0, RPC_AUTH_ERROR = 1 };
enum rpc_auth_stat {
    RPC_AUTH_OK = 0,
    RPC_AUTH_BADCRED = 1,
    RPC_AUTH_REJECTEDCRED = 2,
    RPC_AUTH_BADVERF = 3,
    RPC_AUTH_TOOWEAK = 5,
};
enum rpc_auth_flavor { RPC_AUTH_NONE = 0, RPC_AUTH_SYS = 1, RPC_AUTH_GSS = 6, RPC_AUTH_TLS = 7 };

struct rpc_cred {
    enum rpc_auth_flavor flavor;
    struct slice body; /* the credential as it came; borrows from the record */
    /* of RPC_AUTH_SYS: */
    uint32_t stamp;
    struct slice machine_name;
    uint32_t uid;
    uint32_t gid;
    uint32_t group_count;
    uint32_t groups[RPC_AUTH_SYS_GROUPS_MAX];
};

struct rpc_call {
    uint32_t xid;
    uint32_t rpc_version;
    uint32_t program;
    uint32_t version;
    uint32_t procedure;
    struct rpc_cred cred;
};

/* Reads from xid to the verifier. Errors: -EBADMSG: not a call, or no valid header (answer nothing,
 * close); -EPROTO: another RPC version (answer RPC_MISMATCH); -EACCES: a credential that cannot be
 * read (RPC_AUTH_BADCRED). */
MUST_CHECK int rpc_get_call(struct xdr_decoder *dec, struct rpc_call *out_call);
/* Writes a call header with AUTH_SYS (or AUTH_NONE) credentials and an empty verifier. */
void rpc_put_call(struct xdr_encoder *enc, const struct rpc_call *call);

/* Reads a reply's header up to the results. Errors: -EBADMSG: not a reply; -EACCES: denied;
 * -EPROTONOSUPPORT: PROG_UNAVAIL, PROG_MISMATCH or PROC_UNAVAIL; -EINVAL: GARBAGE_ARGS; -EIO:
 * SYSTEM_ERR. */
MUST_CHECK int rpc_get_reply(struct xdr_decoder *dec, uint32_t *out_xid);
/* Writes an accepted reply's header; for RPC_PROG_MISMATCH followed by the versions we speak. */
void rpc_put_accepted(struct xdr_encoder *enc, uint32_t xid, enum rpc_accept_stat stat);
/* The answer to a NULL call with AUTH_TLS: TLS may begin. Source: RFC 9289 section 4.1. */
void rpc_put_starttls(struct xdr_encoder *enc, uint32_t xid);
void rpc_put_prog_mismatch(struct xdr_encoder *enc, uint32_t xid, uint32_t low, uint32_t high);
void rpc_put_rpc_mismatch(struct xdr_encoder *enc, uint32_t xid);
void rpc_put_auth_error(struct xdr_encoder *enc, uint32_t xid, enum rpc_auth_stat stat);
