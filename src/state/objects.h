/*
 * state/objects.h - the structures of this room, shared by its files and nobody else.
 *
 * Locks, in the order in which they are taken (docs/locking.md):
 *   server->lock    clients of one server by owner; who is confirmed; CREATE_SESSION's replay
 *   client->lock    what one client holds: sessions, owners, opens, stateids, records
 *   session->lock   slots, bound connections, back channel
 *   shard->lock     the open files of one part of one file system: opens, share counters, ranges
 *   files->recovery.lock, state->conn_lock, state->delegs.lock, state->lock: inmost; nothing is taken under them
 */
#pragma once

#include <stdatomic.h>

#include "base/list.h"
#include "base/lock.h"
#include "state/back.h"
#include "state/client.h"
#include "state/deleg.h"
#include "state/files.h"
#include "state/interval.h"
#include "state/lock.h"
#include "state/session.h"
#include "state/state.h"
#include "state/table.h"
#include "state/v40.h"

#define STATE_INDEX_BITS    20u /* of clientids and of stateids; the rest of 32 is a generation */
#define STATE_INDEX_MASK    ((1u << STATE_INDEX_BITS) - 1)
#define STATE_INDEX_NONE    UINT32_MAX
#define STATE_SHARD_COUNT   64u
#define STATE_BINDING_MAX   128u /* connections of one session */
#define STATE_BACK_SLOT_MAX 16u  /* of one session, for callbacks */
#define STATE_SUMMARY_COUNT 16u  /* parts of a shard that are looked at without its lock */

/* A table from small indexes to pointers; an index is reused as late as possible, under a generation of its
 * own, so that an id of something that is gone is not taken for another. */
struct state_index_entry {
    void *item; /* NULL: free */
    uint32_t generation;
    uint32_t free_next;
};
struct state_index {
    struct state_index_entry *entries;
    uint32_t capacity;
    uint32_t used; /* entries that were ever in use */
    uint32_t free_first, free_last;
};

/* Recalls on their way, and the counts of delegations. */
struct state_delegs {
    struct mutex lock;
    struct list due;     /* recalls to be sent */
    struct list waiting; /* sent, or to be tried again later */
    struct list notices; /* of locks, to be sent */
    uint64_t pressed_ms; /* the last round of CB_RECALL_ANY */
    _Atomic uint64_t count, granted, recalled, revoked;
    _Atomic uint32_t waiter_count; /* blocked locks, and notices */
};

struct state {
    struct state_options options;
    struct mutex lock;
    struct state_index clients;                /* all that exist, of every server */
    _Atomic(struct state_session *) *sessions; /* [session_count_max]; never freed before the end */
    uint32_t session_used;
    struct list sessions_free;
    uint64_t session_serial;
    struct list servers;
    struct list files;
    pthread_cond_t files_left; /* some file system has no users left */
    struct mutex conn_lock;
    struct state_table conns; /* struct state_binding by connection */
    struct state_delegs delegs;
    _Atomic uint64_t client_count, unconfirmed_count, session_count, open_count, range_count;
    _Atomic uint64_t reply_cache_bytes, expired_count, memory_bytes;
};

struct state_server {
    struct state *state;
    _Atomic uint32_t refs; /* the owner's, and one of each client */
    struct list state_node;
    struct mutex lock;
    struct state_table owners; /* its clients that are not dead, by owner string */
    struct list unconfirmed;   /* oldest first */
    size_t identity_size;
    uint8_t identity[];
};

/* Where a client of 4.0 is called back. Under client->lock. */
struct state_back_v40 {
    uint64_t conn_id; /* of a connection that it answered on; 0: none */
    uint32_t program, ident;
    uint32_t busy_count;
    bool has_dialed;
    uint64_t dialed_ms; /* the last attempt to make such a connection */
};

/* What only a client of 4.0 has. Under server->lock, but for `back`. */
struct state_client_v40 {
    struct state_back_v40 back;
    struct state_callback callback;
    uint8_t confirm[STATE_CONFIRM_SIZE]; /* that confirms it, or has confirmed it */
    bool has_update;                     /* of the callback, waiting for SETCLIENTID_CONFIRM */
    struct state_callback callback_next;
    uint8_t confirm_next[STATE_CONFIRM_SIZE];
    uint64_t confirm_serial;
};

/* One client's record in one file system. */
struct state_record {
    struct list client_node;
    struct state_files *files;
    bool is_put;        /* false: being written, or it failed, or it is given up */
    bool is_going;      /* being deleted: nothing is held, or the client is silent for long */
    bool is_given_up;   /* deleted though something is held; put again when the client is back */
    uint64_t looked_ms; /* when it was last looked at whether it is needed */
    uint64_t idle_since_ms; /* as of then; 0: something was held, or was about to be */
};

struct state_client {
    struct state_server *server;
    _Atomic uint32_t refs; /* the table's while it exists, one per session, callers' */
    _Atomic uint64_t renewed_ms;
    uint64_t id;
    uint8_t verifier[STATE_VERIFIER_SIZE];
    /* under server->lock: */
    struct state_table_node owner_node;
    struct list unconfirmed_node;
    _Atomic bool confirmed;     /* atomic, as 4.0 looks at it in each operation */
    uint32_t create_sequenceid; /* what the next CREATE_SESSION must have */
    bool has_created;           /* `created` answers create_sequenceid - 1 */
    struct state_session_created created;
    /* under lock: */
    struct mutex lock;
    _Atomic bool
        dead; /* set under both locks: gets nothing more, may still hold something. Atomic, as who
                        * finds its open in a file may hold neither. */
    bool reclaim_complete;
    struct list sessions;
    uint32_t session_count;
    struct list records;
    struct state_index handles;
    struct state_table owners; /* open and lock owners */
    struct list owners_idle;   /* of 4.0, that hold nothing; longest idle first */
    struct state_table opens_by_file;
    struct list opens;
    uint32_t owner_count, open_count, lock_state_count, range_count;
    struct list delegs; /* revoked ones, too */
    uint32_t deleg_count;
    _Atomic uint32_t back_count;    /* connections that it can be called on */
    _Atomic uint32_t revoked_count; /* delegations that wait for FREE_STATEID */
    /* never changed: */
    struct state_client_v40 *v40; /* NULL: of 4.1 */
    struct slice owner;           /* point into `bytes` */
    struct slice principal;
    uint8_t bytes[];
};

enum state_slot_phase { STATE_SLOT_FREE, STATE_SLOT_BUSY, STATE_SLOT_REPLAYING };

struct state_slot {
    uint32_t seqid;
    uint8_t phase; /* enum state_slot_phase */
    bool used;     /* a request ever ran here */
    bool cached;   /* `reply` answers seqid */
    uint64_t checksum;
    uint64_t conn_id; /* that sent the newest request: surely bound */
    uint8_t *reply;   /* room for response_cached_size_max bytes, or NULL */
    uint32_t reply_size;
    uint32_t told; /* session->slot_serial, of the newest reply */
};

struct state_back_slot {
    uint32_t seqid; /* of the last callback that ran */
    bool busy;
};

struct state_session {
    struct mutex lock;
    struct state *state; /* this and the next for ever */
    uint32_t index;      /* in state->sessions */
    uint8_t id[STATE_SESSIONID_SIZE];
    bool live; /* false: cannot be found any more; the slots remain while busy_count > 0 */
    struct state_server *server;
    struct state_client *client;
    struct list client_node; /* under client->lock; when free: in state->sessions_free */
    struct state_channel fore, back;
    bool has_back_channel;
    bool back_fault;
    uint32_t back_count; /* connections bound to the back channel */
    struct state_back_slot back_slots[STATE_BACK_SLOT_MAX];
    uint32_t minor;
    uint32_t busy_count;
    struct state_slot *slots;         /* [fore.slot_count_max] */
    uint32_t slot_count, slot_target; /* that there are now, and are to be: state/slots.c */
    uint32_t slot_serial;             /* grows with each change of these */
    bool slots_seen;                  /* the client knows them as they are */
    bool recalls_slots;               /* CB_RECALL_SLOT is to be sent */
    uint64_t reserved_bytes;
    struct list bindings; /* oldest first */
    uint32_t binding_count;
    uint32_t cb_program;
    size_t cb_security_size;
    uint8_t cb_security[STATE_CB_SECURITY_MAX];
};

struct state_binding {
    struct state_table_node conn_node; /* under state->conn_lock */
    struct list session_node;
    struct state_session *session;
    uint64_t conn_id;
    unsigned channels; /* enum state_channel_dir */
};

enum state_owner_kind { STATE_OPEN_OWNER, STATE_LOCK_OWNER };

/* Exists while it has an open or a lock stateid; in 4.0 a lease longer. Under client->lock; `bytes` never change. */
struct state_owner {
    struct state_table_node client_node;
    enum state_owner_kind kind;
    uint32_t use_count;
    struct state_owner_v40 *v40; /* NULL: of 4.1 */
    size_t size;
    uint8_t bytes[];
};

enum state_handle_kind {
    STATE_HANDLE_OPEN,
    STATE_HANDLE_LOCK,
    STATE_HANDLE_CLOSED,
    STATE_HANDLE_DELEG,
};

struct state_handle { /* what a stateid names */
    enum state_handle_kind kind;
    uint32_t id;
    uint32_t seqid;
};

/* What only an owner of 4.0 has. Under client->lock. */
struct state_owner_v40 {
    struct state_owner *owner;
    uint32_t seqid; /* of the last turn, if has_moved */
    bool has_moved, is_busy, is_confirmed;
    uint8_t *reply; /* of the last turn; NULL: could not be saved */
    size_t reply_size;
    bool has_reply_file;
    struct state_file_ref reply_file;
    bool has_closed;
    struct state_handle closed; /* of the last open that was closed: leads a retried CLOSE here */
    struct list idle_node;
    uint64_t idle_since_ms;
};

/* Under client->lock; what the file's list leads to (client, access, deny) is written under shard->lock too. */
struct state_open {
    struct state_handle handle;
    struct state_client *client;
    struct state_owner *owner;
    struct state_file *file;
    struct list client_node;
    struct state_table_node by_file_node;
    struct list file_node;
    uint32_t access, deny;
    uint32_t history;     /* the (access, deny) pairs of its OPENs: state_share_bit() */
    uint32_t user;        /* who opened it first, */
    uint32_t user_access; /* and was permitted this; 0: nobody */
    struct list lock_states;
};

/* One lock owner through one open. */
struct state_lock_state {
    struct state_handle handle;
    struct state_owner *owner;
    struct state_open *open;
    struct list open_node;
    struct list ranges; /* under shard->lock too */
};

struct state_range {
    struct state_interval interval;
    enum state_lock_type type;
    struct state_lock_state *lock_state;
    struct list node; /* of lock_state->ranges, or of a list of spares */
};

/* Exists while it is open. Under shard->lock; key and shard never change. */
struct state_file {
    struct state_table_node shard_node;
    struct state_file_key key;
    struct state_files *files;
    struct state_shard *shard;
    struct list opens;
    uint32_t reader_count, writer_count, deny_read_count, deny_write_count; /* of opens */
    struct state_interval_tree ranges;
    uint32_t range_count;     /* in `ranges` */
    struct list delegs;       /* not revoked */
    struct list lock_waiters; /* oldest first */
};

enum state_deleg_phase { STATE_DELEG_GRANTED, STATE_DELEG_RECALLED, STATE_DELEG_REVOKED_PHASE };

/* Under client->lock and shard->lock for what both lead to; `phase` and what the writer said under shard->lock;
 * the recall's part under state->delegs.lock. */
struct state_deleg {
    struct state_handle handle;
    struct state_client *client;
    struct state_file *file; /* NULL: revoked */
    struct state_files *files;
    struct state_file_key key;
    uint64_t view_tag;
    struct list client_node;
    struct list file_node;
    enum state_deleg_kind kind;
    enum state_deleg_phase phase;
    uint64_t change, said_change, said_size_bytes;
    bool has_times;
    struct state_time atime, mtime, said_atime, said_mtime;
    struct list recall_node; /* in delegs->due or delegs->waiting */
    uint64_t recalled_ms, retry_ms;
};

/* A lock that was denied and is waited for. Under shard->lock while on its file, then under state->delegs.lock. */
struct state_lock_waiter {
    struct list node;
    uint64_t clientid;
    uint64_t fs_tag;
    uint64_t view_tag;
    uint64_t expires_ms;
    struct state_file_key key;
    struct state_lock_range range;
    size_t owner_size;
    uint8_t owner[];
};

/* What is looked at before any lock: counted for all files of one hash. */
struct state_summary {
    _Atomic uint32_t delegs, write_delegs;
    _Atomic uint32_t changes;  /* in progress */
    _Atomic uint64_t conflict; /* the last one: whose, and when */
};

struct state_shard {
    struct mutex lock;
    struct state_table table;
    struct state_summary summaries[STATE_SUMMARY_COUNT];
};

/* A record that the previous process left. */
struct state_claimant {
    struct state_table_node node; /* by identity and owner */
    struct list all_node;
    bool complete;
    bool is_old; /* of version 1: the next two are not known */
    bool is_v40;
    uint8_t verifier[STATE_VERIFIER_SIZE];
    uint8_t key[8];
    struct slice identity, owner, principal; /* point into `bytes` */
    uint8_t bytes[];
};

struct state_recovery {
    struct mutex lock;
    struct state_table table;
    struct list claimants;
    uint32_t pending_count; /* claimants that are not complete */
    bool ending;            /* someone deletes the records */
    uint64_t end_ms;
};

struct state_files {
    struct state *state;
    struct list state_node;
    const struct state_files_ops *ops;
    void *context;
    uint32_t users; /* who calls ops outside of a request of this file system; under state->lock */
    bool closing;   /* under state->lock */
    uint64_t tag;
    _Atomic uint32_t deleg_count; /* on files */
    _Atomic bool in_grace;
    struct state_recovery recovery;
    struct state_shard shards[STATE_SHARD_COUNT];
};
