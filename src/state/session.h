/*
 * state/session.h - sessions: slots, exactly-once replies, connections (RFC 8881 section 2.10).
 *
 * A request in a session:
 *
 *   struct state_ticket ticket;
 *   status = state_sequence_begin(server, &args, now_ms, &ticket);
 *   if (status != STATE_OK)         answer SEQUENCE with it; nothing to end
 *   else if (ticket.is_replay)      send ticket.replay; state_sequence_end(&ticket, empty slice)
 *   else                            run the COMPOUND; state_sequence_end(&ticket, reply)
 *
 * A slot, all under the session's lock:
 *
 *   FREE --begin, seqid + 1--> BUSY --end, keeps the reply--> FREE (seqid)
 *   FREE --begin, same seqid--> REPLAYING --end--> FREE
 *
 * Errors never change a slot. BUSY and REPLAYING answer STATE_DELAY to everyone else.
 */
#pragma once

#include "state/types.h"

struct state_channel { /* channel_attrs4, without the header padding (0) and RDMA */
    uint32_t request_size_max;
    uint32_t response_size_max;
    uint32_t response_cached_size_max;
    uint32_t op_count_max;
    uint32_t slot_count_max; /* ca_maxrequests */
};

struct state_session_create {
    uint64_t clientid;
    uint32_t sequenceid;
    bool want_back_channel; /* CREATE_SESSION4_FLAG_CONN_BACK_CHAN */
    struct state_channel fore;
    struct state_channel back;
    uint32_t cb_program;
    struct slice
        cb_security; /* csa_sec_parms as they came, for the nfs room to read; up to 1 KiB */
    struct slice principal;
    uint64_t conn_id; /* of the connection that the request came on; never 0 */
    uint32_t minor;   /* version that callbacks are to speak */
};

struct state_session_created {
    uint8_t sessionid[STATE_SESSIONID_SIZE];
    uint32_t sequenceid;
    bool has_back_channel;     /* CREATE_SESSION4_FLAG_CONN_BACK_CHAN; PERSIST is never granted */
    struct state_channel fore; /* as granted */
    struct state_channel back;
};

/* CREATE_SESSION; the first one confirms the client, and drops the incarnation it replaces. A
 * repeated sequenceid gets the same answer again. Errors: STATE_STALE_CLIENTID,
 * STATE_SEQ_MISORDERED, STATE_CLID_INUSE, STATE_TOOSMALL (channel too narrow to be of use),
 * STATE_INVAL, STATE_NOSPC (no room for even one small slot, or too many sessions), STATE_DELAY (no
 * memory). May call ops. */
MUST_CHECK enum state_status state_session_create(struct state_server *server,
    const struct state_session_create *args, uint64_t now_ms, struct state_session_created *out);

/* DESTROY_SESSION. `ticket`: that of the COMPOUND's SEQUENCE, or NULL; its own slot does not count
 * as running, and its end is still to be called. Errors: STATE_BADSESSION; STATE_DELAY: requests of
 * it are running; STATE_CONN_NOT_BOUND_TO_SESSION: `conn_id` is not, and `ticket` is NULL or of
 * another one. */
MUST_CHECK enum state_status state_session_destroy(struct state_server *server,
    const uint8_t sessionid[STATE_SESSIONID_SIZE], uint64_t conn_id,
    const struct state_ticket *ticket);

enum state_channel_dir { STATE_CHANNEL_FORE = 1, STATE_CHANNEL_BACK = 2, STATE_CHANNEL_BOTH = 3 };

/* BIND_CONN_TO_SESSION. The channel that was bound is written to *out_bound: the back channel is
 * left out when the session was made without one. Errors: STATE_BADSESSION; STATE_INVAL: only the
 * back channel was asked for and there is none; STATE_DELAY: no memory. */
MUST_CHECK enum state_status state_session_bind(struct state_server *server,
    const uint8_t sessionid[STATE_SESSIONID_SIZE], uint64_t conn_id, enum state_channel_dir wanted,
    uint64_t now_ms, enum state_channel_dir *out_bound);

/* A connection closed: it leaves all sessions it was bound to. */
void state_connection_closed(struct state *state, uint64_t conn_id);

struct state_sequence {
    const uint8_t *sessionid;
    uint32_t slotid;
    uint32_t seqid;
    uint32_t highest_slotid;
    bool cachethis;
    uint64_t checksum;     /* of the user and of what follows SEQUENCE: tells a false retry */
    uint32_t request_size; /* bytes of the RPC call */
    uint32_t op_count;     /* of the COMPOUND, with SEQUENCE */
    uint64_t conn_id;      /* is bound to the fore channel if it was not */
};

/* Bits of sr_status_flags, RFC 8881 section 18.46.3. Each comes from something that is counted, and goes with it. */
#define STATE_SEQ_CB_PATH_DOWN             0x001u /* no session of the client can be called back */
#define STATE_SEQ_RECALLABLE_STATE_REVOKED 0x040u /* delegations, until FREE_STATEID */
#define STATE_SEQ_CB_PATH_DOWN_SESSION     0x200u /* this one cannot */
#define STATE_SEQ_BACKCHANNEL_FAULT        0x400u

/* A request in progress. Not copied by this room: it stays the caller's until state_sequence_end().
 */
struct state_ticket {
    struct state_session *session;
    struct state_client *client;
    uint32_t slotid;
    uint32_t highest_slotid;           /* sr_highest_slotid */
    uint32_t target_highest_slotid;    /* sr_target_highest_slotid */
    uint32_t status_flags;             /* sr_status_flags */
    uint32_t response_size_max;        /* bytes of the RPC reply: beyond it NFS4ERR_REP_TOO_BIG */
    uint32_t response_cached_size_max; /* with cachethis beyond it NFS4ERR_REP_TOO_BIG_TO_CACHE */
    bool cachethis;
    bool is_replay;
    struct slice replay; /* is_replay: the reply as it was kept; valid until state_sequence_end() */
};

/* SEQUENCE; renews the lease when it succeeds. Costs one uncontended lock. Errors:
 * STATE_BADSESSION, STATE_BADSLOT, STATE_BAD_HIGH_SLOT, STATE_REQ_TOO_BIG, STATE_TOO_MANY_OPS,
 * STATE_SEQ_MISORDERED, STATE_SEQ_FALSE_RETRY, STATE_RETRY_UNCACHED_REP (the request ran, its reply
 * was not kept), STATE_DELAY (the slot is in use). */
MUST_CHECK enum state_status state_sequence_begin(struct state_server *server,
    const struct state_sequence *args, uint64_t now_ms, struct state_ticket *out_ticket);

/* A session that is to be told that it should use fewer slots: CB_RECALL_SLOT. *cursor: 0 at first; false: no more. */
MUST_CHECK bool state_slots_recall_next(struct state *state, uint32_t *cursor,
    uint8_t out_sessionid[STATE_SESSIONID_SIZE], uint32_t *out_target_highest_slotid);

/* Frees the slot. `reply` (the COMPOUND's results as encoded; empty: not to be kept) is copied if the client
 * asked for it with cachethis; its size must then not be over response_cached_size_max. A reply
 * that is not kept makes a retry fail with STATE_RETRY_UNCACHED_REP. The ticket, its client and its
 * session may be gone on return. For a replay `reply` is ignored. */
void state_sequence_end(struct state_ticket *ticket, struct slice reply);

/* The back channel of a ticket's session: whom to call and how. */
struct state_back_channel {
    uint32_t cb_program;
    struct slice cb_security; /* copied into the caller's buffer */
    uint64_t conn_id;         /* one that is bound; 0: none */
    struct state_channel attrs;
};
/* BACKCHANNEL_CTL: replaces program and security parameters. Errors: STATE_NOENT: it has no back
 * channel; STATE_DELAY: no memory; STATE_INVAL: more than 1 KiB. */
MUST_CHECK enum state_status state_session_set_callback(
    const struct state_ticket *ticket, uint32_t cb_program, struct slice cb_security);
/* Errors: STATE_NOENT: it has no back channel. `buffer` has room for 1 KiB. */
MUST_CHECK enum state_status state_session_get_callback(
    const struct state_ticket *ticket, uint8_t buffer[1024], struct state_back_channel *out);
