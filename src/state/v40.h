/*
 * state/v40.h - what only version 4.0 has: SETCLIENTID, RENEW, and owners whose requests are numbered.
 *
 * A client of 4.0 has no session. Its operations that change opens and locks carry the sequence id of their open
 * owner or lock owner, and a repeated one gets the saved reply (RFC 7530 section 9.1.7). Such an operation is a
 * *turn* of the owner:
 *
 *   struct state_turn turn;
 *   status = state_turn_begin_open(...) or state_turn_begin(...) or state_turn_begin_lock(...)
 *   if (status != STATE_OK)    answer with it; nothing to end
 *   else if (turn.is_replay)   answer turn.replay; OPEN: turn.replay_file is the current filehandle, too
 *   else                       caller.client = turn.client; do the operation; caller.client = NULL
 *   state_turn_end(&turn, the operation's status, its whole encoded result, file)
 *
 * READ, WRITE, SETATTR and LOCKT have no turn: there caller.client is NULL, and the stateid or the clientid names
 * the client. Using either renews its lease. Errors of a clientid that is not known: STATE_STALE_CLIENTID: of another
 * process; STATE_EXPIRED: its lease ended, and its state was taken.
 */
#pragma once

#include "state/open.h"

#define STATE_NETADDR_SIZE_MAX 128u
#define STATE_CONFIRM_SIZE     8u
#define STATE_REPLY_SIZE_MAX \
    1200u /* of one turn: LOCK4denied with the longest owner is the largest */

/* Where a client of 4.0 wants to be called back. No padding, and zeros behind the strings: it is compared as bytes. */
struct state_callback {
    uint32_t program;
    uint32_t ident;
    uint32_t netid_size, address_size;
    char netid[STATE_NETADDR_SIZE_MAX];
    char address[STATE_NETADDR_SIZE_MAX];
};

struct state_setclientid {
    struct slice owner; /* nfs_client_id4.id, 1..STATE_OWNER_SIZE_MAX bytes */
    const uint8_t *verifier;
    struct slice principal;
    const struct state_callback *callback;
};

struct state_setclientid_done {
    uint64_t clientid;
    uint8_t confirm[STATE_CONFIRM_SIZE];
};

/* SETCLIENTID, RFC 7530 section 16.33.5. Errors: STATE_CLID_INUSE: another principal's that holds state, and
 * *out_in_use is its callback; STATE_INVAL: sizes; STATE_DELAY: a limit, or no memory. May call ops. */
MUST_CHECK enum state_status state_setclientid(struct state_server *server,
    const struct state_setclientid *args, uint64_t now_ms, struct state_setclientid_done *out,
    struct state_callback *out_in_use);
/* SETCLIENTID_CONFIRM, section 16.34.5. Errors: STATE_STALE_CLIENTID, STATE_CLID_INUSE. May call ops. */
MUST_CHECK enum state_status state_setclientid_confirm(struct state_server *server,
    uint64_t clientid, const uint8_t confirm[STATE_CONFIRM_SIZE], struct slice principal,
    uint64_t now_ms);
/* RENEW. STATE_CB_PATH_DOWN: the lease is renewed, but the client has delegations and cannot be called back
 * (RFC 7530 section 16.28). */
MUST_CHECK enum state_status state_renew(
    struct state_server *server, uint64_t clientid, uint64_t now_ms);

/* ---- callbacks: docs/design/0004-delegations.md. Calls themselves: state/back.h ---- */

/* Whether a connection to the client is to be made now: it can not be called, and `retry_ms` have passed since the last
 * attempt (0: in any case). Then this is the last attempt, and *out_callback what the client said. */
MUST_CHECK bool state_v40_dial_begin(struct state *state, uint64_t clientid, uint64_t now_ms,
    uint64_t retry_ms, struct state_callback *out_callback);
/* The client has answered on a connection that was made for `callback`: from now on it is called there, in place of
 * *out_before (0: none). False: there is no such client, or it has named another place since. */
MUST_CHECK bool state_v40_back_up(struct state *state, uint64_t clientid, uint64_t conn_id,
    const struct state_callback *callback, uint64_t *out_before);
/* That connection is gone. */
void state_v40_back_down(struct state *state, uint64_t clientid, uint64_t conn_id);

/* One numbered operation of an owner. */
struct state_turn {
    struct state_client *client;
    struct state_owner *owner;
    struct state_owner *lock_owner; /* of a LOCK by a new lock owner; else NULL */
    uint32_t seqid, lock_seqid;
    bool needs_confirm; /* OPEN: answer OPEN4_RESULT_CONFIRM, unless it is a reclaim */
    bool is_replay;
    struct slice replay; /* valid until state_turn_end() */
    bool has_replay_file;
    struct state_file_ref replay_file;
};

/* OPEN. Errors: STATE_BAD_SEQID; STATE_DELAY: another turn of the owner is running, a limit, or no memory;
 * STATE_RESOURCE: a retry whose reply could not be saved; those of a clientid. May call ops. */
MUST_CHECK enum state_status state_turn_begin_open(const struct state_caller *caller,
    uint64_t clientid, struct slice owner, uint32_t seqid, struct state_turn *out);
/* CLOSE, OPEN_DOWNGRADE, LOCKU, LOCK by a lock stateid; OPEN_CONFIRM with `confirms`. Errors: as above, and those
 * of a stateid; STATE_BAD_STATEID also when the open still waits for OPEN_CONFIRM, and this is none. */
MUST_CHECK enum state_status state_turn_begin(const struct state_caller *caller,
    const struct state_stateid *stateid, uint32_t seqid, bool confirms, struct state_turn *out);
/* LOCK by open_to_lock_owner4. */
MUST_CHECK enum state_status state_turn_begin_lock(const struct state_caller *caller,
    const struct state_stateid *open_stateid, uint32_t open_seqid, struct slice lock_owner,
    uint32_t lock_seqid, struct state_turn *out);
/* Ends a turn, moves the owner on (but not after the errors that RFC 7530 section 9.1.7 excludes) and saves the reply:
 * the result as it was encoded, up to STATE_REPLY_SIZE_MAX bytes. `status`: any nfsstat4. `file`: of an OPEN that succeeded; else NULL. */
void state_turn_end(struct state_turn *turn, enum state_status status, struct slice reply,
    const struct state_file_ref *file);

/* OPEN_CONFIRM, in its turn. Errors: STATE_BAD_STATEID: it is confirmed already. */
MUST_CHECK enum state_status state_open_confirm(const struct state_caller *caller,
    const struct state_file_ref *file, const struct state_stateid *stateid,
    struct state_stateid *out_stateid);
/* RELEASE_LOCKOWNER. Errors: STATE_LOCKS_HELD; those of a clientid. */
MUST_CHECK enum state_status state_release_lockowner(
    const struct state_caller *caller, uint64_t clientid, struct slice owner);
