/*
 * state/internal.h - what the files of this room offer each other, and nobody else. Their structures, and the order of
 * their locks: state/objects.h.
 */
#pragma once

#include "state/objects.h"

static inline void mutex_make(struct mutex *mutex)
{
    (void)pthread_mutex_init(&mutex->pthread, NULL);
}

static inline void mutex_unmake(struct mutex *mutex)
{
    (void)pthread_mutex_destroy(&mutex->pthread);
}

/* ---- index.c ---- */

void state_index_init(struct state_index *index);
void state_index_fini(struct state_index *index);
/* Errors: -ENOMEM; -ENOSPC: 2^20 in use. */
MUST_CHECK int state_index_add(struct state_index *index, void *item, uint32_t *out_id);
void *state_index_find(const struct state_index *index, uint32_t id); /* NULL: none */
void state_index_remove(struct state_index *index, uint32_t id);
/* Lets an id that is in use name something else. */
void state_index_replace(struct state_index *index, uint32_t id, void *item);

/* ---- state.c ---- */

/* Counts bytes against options.memory_max; false: there is no room. */
MUST_CHECK bool state_memory_take(struct state *state, size_t bytes);
void state_memory_give(struct state *state, size_t bytes);

/* ---- client.c ---- */

/* A reference to a client of `server` that is not dead; NULL: none. */
struct state_client *state_client_get(struct state_server *server, uint64_t clientid);
void state_client_ref(struct state_client *client);
/* Frees it when it was the last. */
void state_client_put(struct state_client *client);
/* True when others may take what it has: its lease is over, or it is dead. */
bool state_client_is_expired(const struct state_client *client, uint64_t now_ms);
/* The client that `caller` is, with a reference: its session's, or in 4.0 the one of that id. */
MUST_CHECK enum state_status state_caller_client(
    const struct state_caller *caller, uint64_t clientid, struct state_client **out_client);
/* Takes it out of the server's tables: no request finds it any more. True: this call did it. */
bool state_client_kill_locked(struct state_server *server, struct state_client *client)
    REQUIRES(server->lock);
/* Drops what a dead client holds, and the client, but leaves its stable records. May call ops. */
void state_client_forget(struct state_client *client);
/* The client of that owner string; NULL: none. Those of 4.0 are others than those of 4.1. */
struct state_client *state_client_find(struct state_server *server, struct slice owner,
    bool confirmed, bool is_v40) REQUIRES(server->lock);
/* Clients that are to be dropped when no lock is held. */
struct state_doomed {
    struct state_client *clients[3];
    size_t count;
};
void state_doom(struct state_server *server, struct state_doomed *doomed,
    struct state_client *client) REQUIRES(server->lock);
void state_doomed_drop(struct state_doomed *doomed);
/* A new client, unconfirmed, in the place of one of the same owner string that is unconfirmed. Takes `v40` (NULL: it
 * is one of 4.1). NULL: no memory, or too many. */
struct state_client *state_client_add_unconfirmed(struct state_server *server,
    const struct state_exchange_id *args, struct state_client_v40 *v40, uint64_t now_ms,
    struct state_doomed *doomed) REQUIRES(server->lock);
/* Confirms a client. Gives its predecessor, killed, with a reference; or NULL. */
struct state_client *state_client_confirm(struct state_server *server, struct state_client *client)
    REQUIRES(server->lock);
void state_server_put(struct state_server *server);
/* Has sessions or opens. */
bool state_client_is_in_use(struct state_client *client);

/* ---- expire.c ---- */

/* Drops the opens, with their locks, of a dead client. May call ops. */
void state_client_drop_opens(struct state_client *client);
/* Drops a dead client with all it holds: sessions, records, opens; then forgets it. Errors: -EIO and others
 * of ops.record_delete; then it goes on holding its opens, and a later call tries again. May call ops. */
MUST_CHECK int state_client_drop(struct state_client *client);
/* Kills and drops a client if its lease is (still) over, or it is dead already. May call ops. Errors:
 * -EAGAIN: it has renewed its lease; those of state_client_drop(). */
MUST_CHECK int state_client_expire(struct state_client *client, uint64_t now_ms);
/* Gets a client out of the way that was found to hold what another one wants. Takes the reference.
 * STATE_OK: try again; STATE_DELAY: it still holds it. May call ops. */
MUST_CHECK enum state_status state_rival_expire(struct state_client *rival, uint64_t now_ms);
/* Up to `capacity` clients from *cursor (begin with 0) on, each with a reference; 0: no more. */
size_t state_clients_list(
    struct state *state, uint32_t *cursor, struct state_client **out_clients, size_t capacity);

/* ---- session.c, sequence.c, connection.c ---- */

/* The session of that id, locked, or NULL; of a server, or of any. */
struct state_session *state_session_by_id(
    struct state *state, const uint8_t sessionid[STATE_SESSIONID_SIZE]) NO_LOCK_CHECK;
struct state_session *state_session_lock(
    struct state_server *server, const uint8_t sessionid[STATE_SESSIONID_SIZE]) NO_LOCK_CHECK;
/* Makes all its sessions unreachable; those with running requests go when the last of them ends. */
void state_sessions_kill(struct state_client *client);
/* Gives back what a session held that is neither live nor busy. */
void state_session_retire(struct state_session *session);
/* A connection that is bound to the back channel; 0: none. */
uint64_t state_binding_back(const struct state_session *session) REQUIRES(session->lock);
/* Takes the back channel from a connection. */
void state_binding_silence(struct state_session *session, uint64_t conn_id) REQUIRES(session->lock);
bool state_binding_exists(const struct state_session *session, uint64_t conn_id)
    REQUIRES(session->lock);
/* Adds channels to a connection's binding. Errors: -ENOMEM. */
MUST_CHECK int state_binding_add(struct state_session *session, uint64_t conn_id, unsigned channels)
    REQUIRES(session->lock);
void state_bindings_drop(struct state_session *session) REQUIRES(session->lock);

/* ---- slots.c ---- */

/* A new session: all the slots that it was given. */
void state_slots_start(struct state_session *session) REQUIRES(session->lock);
/* A new request in a slot, whose client says which is the highest in use: what it tells of what the client has seen. */
void state_slots_note(struct state_session *session, struct state_slot *slot,
    uint32_t highest_slotid) REQUIRES(session->lock);
/* Begins to take slots back, or gives some. */
void state_slots_tick(struct state *state);

/* ---- files.c ---- */

/* The next file system after `files` (NULL: the first) that is not going away, entered; leaves `files`.
 * NULL: no more. */
struct state_files *state_files_next(struct state *state, struct state_files *files);

/* Keeps ops callable until state_files_leave(), for something that was taken off a file under the lock of its
 * client, also when the file system is going away: that waits. */
void state_files_enter_always(struct state_files *files);
/* Keeps ops callable until state_files_leave(); false: the file system is going away. */
MUST_CHECK bool state_files_enter(struct state_files *files);
void state_files_leave(struct state_files *files);
struct state_shard *state_shard_of(struct state_files *files, const struct state_file_key *key);
struct state_file *state_file_find(struct state_shard *shard, const struct state_file_key *key)
    REQUIRES(shard->lock);
uint64_t state_file_hash(const struct state_file_key *key);

/* A new file in its table; NULL: no memory. */
struct state_file *state_file_new(struct state_shard *shard, const struct state_file_ref *ref)
    REQUIRES(shard->lock);
/* Forgets a file that nobody has open or delegated. */
void state_file_drop_unused(struct state_shard *shard, struct state_file *file)
    REQUIRES(shard->lock);

/* ---- deleg.c, recall.c ---- */

void state_delegs_init(struct state_delegs *delegs);
void state_delegs_fini(struct state_delegs *delegs);
/* Finds what is in the way of such a use by that client (0: by nobody that has any), and recalls it. STATE_DELAY:
 * there is something; with *out_rival (a reference), it goes away when that one is expired. */
MUST_CHECK enum state_status state_deleg_conflict(struct state_file *file, uint64_t clientid,
    enum state_deleg_use use, uint64_t now_ms, struct state_client **out_rival)
    REQUIRES(file->shard->lock);
/* Takes a delegation off its file, and off the lists of recalls; its client is locked. */
void state_deleg_detach(struct state_deleg *deleg);
/* Drops one delegation; true: the caller then calls ops.release for its file. */
bool state_deleg_drop(struct state_client *client, struct state_deleg *deleg)
    REQUIRES(client->lock);
/* Drops the delegations of a dead client. May call ops. */
void state_client_drop_delegs(struct state_client *client);
/* Revokes what was not returned within a lease. May call ops. */
void state_delegs_tick(struct state *state, uint64_t now_ms);
/* What an I/O through it is answered. */
MUST_CHECK enum state_status state_deleg_io(
    struct state_handle *handle, const struct state_file_ref *file, enum state_io io);
/* Any client by its id, with a reference; NULL: none. */
struct state_client *state_client_by_id(struct state *state, uint64_t clientid);

/* ---- waiter.c: locks that are waited for ---- */

/* Remembers a denied lock for a lease; without memory it is forgotten: the client asks again anyhow. */
void state_lock_wait(struct state_file *file, const struct state_client *client, struct slice owner,
    const struct state_lock_args *args, uint64_t now_ms) REQUIRES(file->shard->lock);
/* The owner has what it waited for, or no longer waits. */
void state_lock_wait_end(struct state_file *file, const struct state_client *client,
    struct slice owner) REQUIRES(file->shard->lock);
/* Ranges became free: who waits on the file is told. */
void state_lock_freed(struct state_file *file) REQUIRES(file->shard->lock);
/* Forgets all waiters of a file; its shard is locked. */
void state_lock_waiters_drop(struct state_file *file);

/* ---- recovery.c ---- */

/* Whether the client's record in that file system is there, and stays while it has an open. */
bool state_record_is_put(struct state_client *client, const struct state_files *files)
    REQUIRES(client->lock);
/* Deletes the records that no restart should wait for: of file systems where the client holds nothing, at once when
 * it is silent for a lease, else after a lease of that; and all of a client that is silent for RECORD_LEASES leases, until
 * it is back. May call ops. */
void state_records_trim(struct state_client *client, uint64_t now_ms);

/* Puts the client's record in this file system unless it is there. May call ops. */
MUST_CHECK enum state_status state_record_ensure(
    struct state_client *client, struct state_files *files);
/* Deletes all records of a dead client. Errors are those of ops.record_delete. */
MUST_CHECK int state_records_delete(struct state_client *client);
/* Forgets a client's records without deleting what is stored. */
void state_records_forget(struct state_client *client);
/* Whether the client may reclaim here. Errors: STATE_NO_GRACE, STATE_RECLAIM_BAD. */
MUST_CHECK enum state_status state_recovery_check(
    struct state_files *files, const struct state_client *client);
/* A client of 4.0 was confirmed: what another life of it has left it will not reclaim. May call ops. */
void state_recovery_reborn(struct state_client *client, uint64_t now_ms);
/* Ends the grace period if it is over, deleting the records of before. May call ops. */
void state_recovery_end(struct state_files *files, uint64_t now_ms);
void state_recovery_init(struct state_recovery *recovery);
void state_recovery_fini(struct state_recovery *recovery);

/* ---- stateid.c ---- */

/* Gives a handle its id. Errors: -ENOMEM, -ENOSPC. */
MUST_CHECK int state_handle_add(struct state_client *client, struct state_handle *handle,
    enum state_handle_kind kind) REQUIRES(client->lock);
/* The handle that a stateid names, by the rules of seqids. */
MUST_CHECK enum state_status state_handle_find(struct state_client *client,
    const struct state_stateid *stateid, struct state_handle **out_handle) REQUIRES(client->lock);
/* The handle by its id only; NULL: none. */
struct state_handle *state_handle_lookup(
    struct state_client *client, const struct state_stateid *stateid) REQUIRES(client->lock);
void state_handle_bump(struct state_handle *handle);
void state_handle_stateid(const struct state_client *client, const struct state_handle *handle,
    struct state_stateid *out_stateid);
/* As state_caller_client(), for whom a stateid names. */
MUST_CHECK enum state_status state_caller_of_stateid(const struct state_caller *caller,
    const struct state_stateid *stateid, struct state_client **out_client);
/* As state_handle_find(), for an open of that file. */
MUST_CHECK enum state_status state_open_find(struct state_client *client,
    const struct state_file_ref *file, const struct state_stateid *stateid,
    struct state_open **out_open) REQUIRES(client->lock);
bool state_open_is_of(const struct state_open *open, const struct state_file_ref *file);

/* ---- owner.c ---- */

struct state_owner *state_owner_find(struct state_client *client, enum state_owner_kind kind,
    struct slice bytes) REQUIRES(client->lock);
/* The owner, made if need be, with one use more. Errors: STATE_DQUOT: too many; STATE_DELAY: no memory. */
MUST_CHECK enum state_status state_owner_use(struct state_client *client,
    enum state_owner_kind kind, struct slice bytes, struct state_owner **out_owner)
    REQUIRES(client->lock);
/* One use more of an owner that is there; the client is locked. */
void state_owner_ref(struct state_owner *owner);
void state_owner_unuse(struct state_client *client, struct state_owner *owner)
    REQUIRES(client->lock);
/* The last use, of an owner that is not to be kept idle either. */
void state_owner_forget(struct state_client *client, struct state_owner *owner)
    REQUIRES(client->lock);
/* Forgets the idle owners of 4.0. */
void state_owners_forget_idle(struct state_client *client) REQUIRES(client->lock);
/* Keeps the id of an open that is closed for retries of its CLOSE (4.0). */
void state_owner_keep_closed(struct state_client *client, struct state_open *open)
    REQUIRES(client->lock);

/* ---- share.c ---- */

/* Whether an open may have this access and deny beside those of all others; `own` is the open that is to be
 * changed, or NULL. STATE_SHARE_DENIED with a *out_rival (a reference): it goes away when that one is
 * expired. */
MUST_CHECK enum state_status state_share_check(struct state_file *file,
    const struct state_open *own, uint32_t access, uint32_t deny, uint64_t now_ms,
    struct state_client **out_rival) REQUIRES(file->shard->lock);
/* As state_share_check(), for I/O without an open. */
MUST_CHECK enum state_status state_share_check_access(struct state_shard *shard,
    const struct state_file_key *key, uint32_t access, uint64_t now_ms,
    struct state_client **out_rival) NO_LOCK_CHECK;
/* Whether two OPENs, each with its access and deny, exclude each other. */
bool state_share_conflicts(uint32_t access_a, uint32_t deny_a, uint32_t access_b, uint32_t deny_b);
void state_share_count(struct state_file *file, uint32_t access, uint32_t deny, int change)
    REQUIRES(file->shard->lock);
/* The bit of a pair in a history. */
uint32_t state_share_bit(uint32_t access, uint32_t deny);
/* What of a history remains when the open is downgraded to that; 0: it is no union of OPENs in it. */
uint32_t state_share_downgrade(uint32_t history, uint32_t access, uint32_t deny);

/* ---- range.c ---- */

/* A range of another owner that conflicts; one whose client could be expired only if there is no other.
 * NULL: none. `owner` may be NULL: it holds nothing. */
struct state_range *state_range_conflict(const struct state_file *file,
    const struct state_owner *owner, const struct state_lock_range *range, uint64_t now_ms)
    REQUIRES(file->shard->lock);
/* Gives the owner of `lock_state` the range. Takes up to 2 of `spares`, and leaves there what it no longer
 * needs. Gives the change of the number of ranges. */
int state_range_set(struct state_file *file, struct state_lock_state *lock_state,
    const struct state_lock_range *range, struct list *spares) REQUIRES(file->shard->lock);
/* Takes the range away from an owner; takes up to 1 of `spares`. */
int state_range_clear(struct state_file *file, const struct state_owner *owner,
    const struct state_lock_range *range, struct list *spares) REQUIRES(file->shard->lock);
/* Whether taking it away would leave a part of one range on either side. */
bool state_range_would_split(const struct state_file *file, const struct state_owner *owner,
    const struct state_lock_range *range) REQUIRES(file->shard->lock);
/* Adds `count` spare ranges to the list. Errors: -ENOMEM. */
MUST_CHECK int state_range_spares(struct list *spares, unsigned count);
void state_range_spares_free(struct list *spares);
/* Drops all ranges of a lock state; gives their number. */
uint32_t state_range_drop(struct state_file *file, struct state_lock_state *lock_state)
    REQUIRES(file->shard->lock);
bool state_range_is_valid(const struct state_lock_range *range);
void state_range_denied(const struct state_range *range, struct state_lock_denied *out_denied);

/* ---- open.c, lock.c ---- */

/* Drops an open with its locks. The caller then calls ops.release for its file. */
void state_open_drop(struct state_client *client, struct state_open *open) REQUIRES(client->lock);
void state_lock_state_drop(struct state_client *client, struct state_lock_state *lock_state)
    REQUIRES(client->lock);
