/*
 * state/state.h - what NFS clients hold, of the whole process: enter here.
 *
 *   struct state                 limits, the tables of clientids and sessionids, the reply-cache
 * budget
 *    |- struct state_server      one per identity that clients can mount      state/client.h
 *    |   '- struct state_client  owner, verifier, principal, lease            state/client.h
 *    |       |- sessions, slots, cached replies                               state/session.h
 *    |       '- open owners, opens, lock owners: all that has a stateid       state/open.h, lock.h
 *    '- struct state_files       one per file system: open files, grace       state/files.h
 *
 * Always holds:
 *  1. No function reads a clock, waits, or does I/O, but for the calls of struct state_files_ops,
 * which are made with no lock held and may wait. Such functions say "may call ops".
 *  2. A status other than STATE_OK changed nothing, unless its function says so.
 *  3. Whatever a client can ask for has a limit in struct state_options.
 *  4. State is dropped from files only after the client's recovery record is durably gone, and is
 *     granted only after that record is durably there: so no restart can give back what was taken
 *     away. The record of a client that was silent for ten leases goes earlier: state/recovery.c.
 *
 * Every function of this room may be called from any thread, with no lock of this room held; those
 * that make or free a `state`, `state_server` or `state_files` need that nobody else uses it. Locks
 * and their order: docs/locking.md. Sources: RFC 8881 (4.1), RFC 7530 (4.0).
 */
#pragma once

#include "base/hash.h"
#include "state/types.h"

struct state_options {
    uint32_t boot_epoch;      /* another number at each start of the process, never 0 */
    struct hash_key hash_key; /* random; for tables that strangers fill */
    uint64_t lease_ms;
    uint64_t grace_ms;         /* the longest grace period, at least lease_ms */
    uint64_t courtesy_ms;      /* how long an expired client keeps state that nobody wants */
    uint32_t client_count_max; /* confirmed and not; at most 2^20 - 1 */
    uint32_t client_unconfirmed_max;
    uint32_t session_count_max;
    uint32_t session_per_client_max;
    uint32_t slot_count_max;           /* of one session, 1..1024 */
    uint32_t op_count_max;             /* of one COMPOUND in a session */
    uint32_t request_size_max;         /* bytes of one RPC call */
    uint32_t response_size_max;        /* bytes of one RPC reply */
    uint32_t response_cached_size_max; /* bytes of one reply kept for a retry */
    uint64_t reply_cache_total_max;    /* bytes reserved for kept replies, of all sessions */
    /* Beyond those of one client it gets STATE_DQUOT, as of EFS. Defaults: EFS, quotas of NFS clients. */
    uint32_t owner_per_client_max; /* open owners and lock owners */
    uint32_t open_per_client_max;
    uint32_t lock_per_client_max; /* byte ranges; and lock stateids */
    uint32_t lock_per_file_max;   /* byte ranges, of all clients; then STATE_DENIED */
    uint32_t deleg_count_max;     /* delegations of all clients; 0: none are given */
    uint32_t deleg_per_client_max;
    uint32_t lock_waiter_max; /* blocked locks that are remembered, of all clients */
    uint64_t
        memory_max; /* bytes, about, of clients, owners, opens, locks, delegations; then STATE_DELAY */
};

/* Sensible values for everything but boot_epoch and hash_key. */
void state_options_init(struct state_options *out_options);

/* The options are copied. Errors: -ENOMEM; -EINVAL: a limit that is 0 or out of range. */
MUST_CHECK int state_new(const struct state_options *options, struct state **out_state);
/* After all its servers and files were freed. NULL is allowed. */
void state_free(struct state *state);

/* Bytes reserved for kept replies, of reply_cache_total_max. */
uint64_t state_reply_cache_bytes(const struct state *state);

uint64_t state_lease_ms(const struct state *state);

/* Work of once a second: drops unconfirmed clients after a lease, and expired ones after courtesy_ms (at once
 * when client_count_max, memory_max or reply_cache_total_max is near); ends grace periods that are over; revokes delegations that were not
 * returned in time. May call ops. */
void state_tick(struct state *state, uint64_t now_ms);

struct state_counts {
    uint64_t clients, clients_unconfirmed, clients_courtesy;
    uint64_t sessions;
    uint64_t opens, lock_ranges, delegations;
    uint64_t reply_cache_bytes; /* reserved */
    uint64_t memory_bytes;      /* what counts against memory_max */
    uint64_t clients_expired;   /* since the start: lost their state */
    uint64_t delegs_granted, delegs_recalled, delegs_revoked; /* since the start */
};
void state_count(struct state *state, uint64_t now_ms, struct state_counts *out_counts);
