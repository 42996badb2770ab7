/*
 * state/client.h - servers as clients see them, and their clients (NFSv4.1).
 *
 * A client record, RFC 8881 section 18.35:
 *
 *   state_exchange_id() --> UNCONFIRMED --state_session_create()--> CONFIRMED --lease over-->
 * COURTESY |                                    |   ^                     |   | replaced, or a
 * lease over          destroyed, or   '---state_sequence----'   | v                        client
 * restart                  conflict, or gone <---------------------------'<-------- courtesy_ms
 * over --------'
 *
 * A client in COURTESY keeps everything until another client wants what it holds.
 *
 * Lifetime: a struct state_client is valid while a struct state_ticket of one of its sessions is.
 */
#pragma once

#include "state/types.h"

/* `identity` (1..STATE_IDENTITY_SIZE_MAX bytes, copied) is the same after each restart and differs
 * between servers; recovery records hold it. Errors: -ENOMEM, -EEXIST: there is one of that
 * identity. */
MUST_CHECK int state_server_new(
    struct state *state, struct slice identity, struct state_server **out_server);
/* Drops its clients and what they hold, but not their recovery records. Calls ops.release. No
 * request of this server may be running. NULL is allowed. */
void state_server_free(struct state_server *server);

struct state_exchange_id {
    struct slice owner; /* co_ownerid, 1..STATE_OWNER_SIZE_MAX bytes */
    const uint8_t *verifier;
    struct slice principal; /* who the RPC credential says it is; up to STATE_PRINCIPAL_MAX bytes */
    bool update;            /* EXCHGID4_FLAG_UPD_CONFIRMED_REC_A */
};

struct state_exchanged {
    uint64_t clientid;
    uint32_t sequenceid; /* for the first CREATE_SESSION; of no meaning when confirmed */
    bool confirmed;      /* EXCHGID4_FLAG_CONFIRMED_R */
};

/* EXCHANGE_ID. Errors: STATE_CLID_INUSE, STATE_NOENT, STATE_NOT_SAME, STATE_PERM as the table of
 * section 18.35.4 says; STATE_INVAL: sizes; STATE_DELAY: a limit, or no memory. May call ops. */
MUST_CHECK enum state_status state_exchange_id(struct state_server *server,
    const struct state_exchange_id *args, uint64_t now_ms, struct state_exchanged *out);

/* DESTROY_CLIENTID. Errors: STATE_STALE_CLIENTID; STATE_CLIENTID_BUSY: it has sessions or state;
 * STATE_CLID_INUSE: of another principal. May call ops. */
MUST_CHECK enum state_status state_destroy_clientid(
    struct state_server *server, uint64_t clientid, struct slice principal, uint64_t now_ms);

/* RECLAIM_COMPLETE. `one_fs`: NULL, or the file system that rca_one_fs is about. Errors:
 * STATE_COMPLETE_ALREADY. May call ops. */
MUST_CHECK enum state_status state_reclaim_complete(
    const struct state_caller *caller, struct state_files *one_fs);

uint64_t state_client_id(const struct state_client *client);
/* Whether there still is a client of that id, its lease over or not. */
bool state_client_is_known(struct state *state, uint64_t clientid);
