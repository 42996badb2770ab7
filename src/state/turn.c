/*
 * state/turn.c - the numbered operations of owners in version 4.0 (room: state).
 *
 * An owner of 4.0 outlives its opens and locks by a lease, so that its last operation can be retried; its last CLOSE
 * leaves a handle of the closed stateid behind, by which a retry finds the owner. RFC 7530 section 9.1.7.
 *
 *   seqid = last + 1: a new turn     = last: the saved reply     else: STATE_BAD_SEQID
 *
 * An open owner is unconfirmed until its first OPEN_CONFIRM. An OPEN of an unconfirmed owner that is no retry starts it
 * afresh: its client knows nothing of what was opened.
 */
#include <stdlib.h>

#include "state/internal.h"

/* ---- which owner, and whether it is its turn ---- */

/* After these errors the owner has not moved. */
static bool status_advances(enum state_status status)
{
    switch ((int)status) {
    case STATE_STALE_CLIENTID:
    case STATE_STALE_STATEID:
    case STATE_BAD_STATEID:
    case STATE_BAD_SEQID:
    case STATE_RESOURCE:
    case 10019: /* NFS4ERR_MOVED */
    case 10020: /* NFS4ERR_NOFILEHANDLE */
    case 10036: /* NFS4ERR_BADXDR */
        return false;
    default:
        return true;
    }
}

static enum state_status turn_start(struct state_client *client, struct state_owner *owner,
    struct state_turn *turn) REQUIRES(client->lock)
{
    struct state_owner_v40 *v40 = owner->v40;
    if (v40->is_busy)
        return STATE_DELAY;
    if (v40->has_moved && turn->seqid == v40->seqid) {
        if (v40->reply == NULL)
            return STATE_RESOURCE;
        turn->is_replay = true;
        turn->replay = slice_of(v40->reply, v40->reply_size);
        turn->has_replay_file = v40->has_reply_file;
        turn->replay_file = v40->reply_file;
    } else if (v40->has_moved && turn->seqid != v40->seqid + 1) {
        return STATE_BAD_SEQID;
    }
    v40->is_busy = true;
    state_owner_ref(owner);
    turn->owner = owner;
    turn->client = client;
    turn->needs_confirm = !v40->is_confirmed;
    return STATE_OK;
}

/* ---- OPEN ---- */

/* An open of that owner, or NULL. */
static struct state_open *open_of_owner(
    const struct state_client *client, const struct state_owner *owner) REQUIRES(client->lock)
{
    LIST_FOR_EACH(node, &client->opens)
    {
        struct state_open *open = LIST_ENTRY(node, struct state_open, client_node);
        if (open->owner == owner)
            return open;
    }
    return NULL;
}

/* Drops what an unconfirmed owner has opened; the owner is busy, so nothing is added meanwhile. */
static void owner_drop_opens(struct state_client *client, const struct state_owner *owner)
{
    for (;;) {
        mutex_lock(&client->lock);
        struct state_open *open = open_of_owner(client, owner);
        if (open == NULL) {
            mutex_unlock(&client->lock);
            return;
        }
        struct state_files *files = open->file->files;
        struct state_file_key key = open->file->key;
        bool entered = state_files_enter(files);
        state_open_drop(client, open);
        mutex_unlock(&client->lock);
        if (entered) {
            files->ops->release(files->context, key);
            state_files_leave(files);
        }
    }
}

static enum state_status begin_open_locked(struct state_client *client, struct slice owner_bytes,
    struct state_turn *turn, bool *out_is_afresh) REQUIRES(client->lock)
{
    if (client->dead)
        return STATE_EXPIRED;
    struct state_owner *owner;
    enum state_status status = state_owner_use(client, STATE_OPEN_OWNER, owner_bytes, &owner);
    if (status != STATE_OK)
        return status;
    struct state_owner_v40 *v40 = owner->v40;
    bool is_retry = v40->has_moved && turn->seqid == v40->seqid;
    *out_is_afresh = v40->has_moved && !v40->is_confirmed && !is_retry && !v40->is_busy;
    if (*out_is_afresh)
        v40->has_moved = false;
    status = turn_start(client, owner, turn);
    state_owner_unuse(client, owner); /* the turn has a use of its own */
    return status;
}

enum state_status state_turn_begin_open(const struct state_caller *caller, uint64_t clientid,
    struct slice owner, uint32_t seqid, struct state_turn *out)
{
    if (owner.size > STATE_OWNER_SIZE_MAX)
        return STATE_INVAL;
    struct state_client *client;
    enum state_status status = state_caller_client(caller, clientid, &client);
    if (status != STATE_OK)
        return status;
    struct state_turn turn = { .seqid = seqid };
    bool is_afresh = false;
    mutex_lock(&client->lock);
    status = begin_open_locked(client, owner, &turn, &is_afresh);
    mutex_unlock(&client->lock);
    if (status != STATE_OK) {
        state_client_put(client);
        return status;
    }
    if (is_afresh)
        owner_drop_opens(client, turn.owner);
    *out = turn; /* with the reference to the client */
    return STATE_OK;
}

/* ---- by a stateid ---- */

/* The owner whose seqid counts for a stateid, whatever the stateid's own seqid: a retry has an old one. */
static struct state_owner *owner_of_stateid(
    struct state_client *client, const struct state_stateid *stateid) REQUIRES(client->lock)
{
    struct state_handle *handle = state_handle_lookup(client, stateid);
    if (handle == NULL)
        return NULL;
    switch (handle->kind) {
    case STATE_HANDLE_OPEN:
        return CONTAINER_OF(handle, struct state_open, handle)->owner;
    case STATE_HANDLE_LOCK:
        return CONTAINER_OF(handle, struct state_lock_state, handle)->owner;
    case STATE_HANDLE_CLOSED:
        return CONTAINER_OF(handle, struct state_owner_v40, closed)->owner;
    case STATE_HANDLE_DELEG:
        break; /* it has no owner */
    }
    return NULL;
}

static enum state_status begin_locked(struct state_client *client,
    const struct state_stateid *stateid, bool confirms, struct state_turn *turn)
    REQUIRES(client->lock)
{
    struct state_owner *owner = owner_of_stateid(client, stateid);
    if (client->dead)
        return STATE_EXPIRED;
    if (owner == NULL || owner->v40 == NULL)
        return STATE_BAD_STATEID;
    bool is_open_owner = owner->kind == STATE_OPEN_OWNER;
    bool is_retry = owner->v40->has_moved && turn->seqid == owner->v40->seqid;
    if (is_open_owner && !owner->v40->is_confirmed && !confirms && !is_retry)
        return STATE_BAD_STATEID;
    return turn_start(client, owner, turn);
}

/* The second number of a LOCK by a new lock owner: fits if the owner is new, or moves on. */
static enum state_status begin_lock_owner_locked(
    struct state_client *client, struct slice bytes, struct state_turn *turn) REQUIRES(client->lock)
{
    struct state_owner *owner;
    enum state_status status = state_owner_use(client, STATE_LOCK_OWNER, bytes, &owner);
    if (status != STATE_OK)
        return status;
    struct state_owner_v40 *v40 = owner->v40;
    /* One that holds nothing is as good as new: its last LOCK may have been denied, and clients differ in whether
     * they count that. */
    bool is_known = v40->has_moved && owner->use_count > 1;
    if (v40->is_busy || (is_known && turn->lock_seqid != v40->seqid + 1)) {
        status = v40->is_busy ? STATE_DELAY : STATE_BAD_SEQID;
        state_owner_unuse(client, owner);
        return status;
    }
    v40->is_busy = true;
    turn->lock_owner = owner;
    return STATE_OK;
}

static void turn_undo_locked(struct state_turn *turn) NO_LOCK_CHECK;
static void turn_undo_locked(struct state_turn *turn)
{
    turn->owner->v40->is_busy = false;
    state_owner_unuse(turn->client, turn->owner);
}

static enum state_status begin_by_stateid(const struct state_caller *caller,
    const struct state_stateid *stateid, bool confirms, const struct slice *lock_owner,
    struct state_turn *turn)
{
    struct state_client *client;
    enum state_status status = state_caller_of_stateid(caller, stateid, &client);
    if (status != STATE_OK)
        return status;
    mutex_lock(&client->lock);
    status = begin_locked(client, stateid, confirms, turn);
    if (status == STATE_OK && lock_owner != NULL && !turn->is_replay) {
        status = begin_lock_owner_locked(client, *lock_owner, turn);
        if (status != STATE_OK)
            turn_undo_locked(turn);
    }
    mutex_unlock(&client->lock);
    if (status != STATE_OK)
        state_client_put(client);
    return status;
}

enum state_status state_turn_begin(const struct state_caller *caller,
    const struct state_stateid *stateid, uint32_t seqid, bool confirms, struct state_turn *out)
{
    struct state_turn turn = { .seqid = seqid };
    enum state_status status = begin_by_stateid(caller, stateid, confirms, NULL, &turn);
    if (status == STATE_OK)
        *out = turn;
    return status;
}

enum state_status state_turn_begin_lock(const struct state_caller *caller,
    const struct state_stateid *open_stateid, uint32_t open_seqid, struct slice lock_owner,
    uint32_t lock_seqid, struct state_turn *out)
{
    if (lock_owner.size > STATE_OWNER_SIZE_MAX)
        return STATE_INVAL;
    struct state_turn turn = { .seqid = open_seqid, .lock_seqid = lock_seqid };
    enum state_status status = begin_by_stateid(caller, open_stateid, false, &lock_owner, &turn);
    if (status == STATE_OK)
        *out = turn;
    return status;
}

/* ---- the end ---- */

/* Saves the reply for a retry; without memory a retry gets STATE_RESOURCE. */
static void reply_save(
    struct state_owner_v40 *v40, struct slice reply, const struct state_file_ref *file)
{
    assert(reply.size <= STATE_REPLY_SIZE_MAX);
    uint8_t *bytes = malloc(reply.size > 0 ? reply.size : 1);
    if (bytes != NULL && reply.size > 0)
        memcpy(bytes, reply.data, reply.size);
    free(v40->reply);
    v40->reply = bytes;
    v40->reply_size = reply.size;
    v40->has_reply_file = file != NULL;
    if (file != NULL)
        v40->reply_file = *file;
}

static void turn_end_locked(struct state_client *client, struct state_turn *turn,
    enum state_status status, struct slice reply, const struct state_file_ref *file)
    REQUIRES(client->lock)
{
    struct state_owner_v40 *v40 = turn->owner->v40;
    bool moves = !turn->is_replay && status_advances(status);
    if (moves) {
        v40->seqid = turn->seqid;
        v40->has_moved = true;
        reply_save(v40, reply, file);
    }
    v40->is_busy = false;
    state_owner_unuse(client, turn->owner);
    if (turn->lock_owner == NULL)
        return;
    v40 = turn->lock_owner->v40;
    if (moves) {
        v40->seqid = turn->lock_seqid;
        v40->has_moved = true;
        reply_save(v40, reply, NULL);
    }
    v40->is_busy = false;
    state_owner_unuse(client, turn->lock_owner);
}

void state_turn_end(struct state_turn *turn, enum state_status status, struct slice reply,
    const struct state_file_ref *file)
{
    struct state_client *client = turn->client;
    mutex_lock(&client->lock);
    turn_end_locked(client, turn, status, reply, file);
    mutex_unlock(&client->lock);
    state_client_put(client);
    *turn = (struct state_turn){ .client = NULL };
}

/* ---- OPEN_CONFIRM, RELEASE_LOCKOWNER ---- */

static enum state_status open_confirm_locked(struct state_client *client,
    const struct state_file_ref *file, const struct state_stateid *stateid,
    struct state_stateid *out_stateid) REQUIRES(client->lock)
{
    struct state_open *open;
    enum state_status status = state_open_find(client, file, stateid, &open);
    if (status != STATE_OK)
        return status;
    if (open->owner->v40 == NULL || open->owner->v40->is_confirmed)
        return STATE_BAD_STATEID;
    open->owner->v40->is_confirmed = true;
    state_handle_bump(&open->handle);
    state_handle_stateid(client, &open->handle, out_stateid);
    return STATE_OK;
}

enum state_status state_open_confirm(const struct state_caller *caller,
    const struct state_file_ref *file, const struct state_stateid *stateid,
    struct state_stateid *out_stateid)
{
    struct state_client *client;
    enum state_status status = state_caller_of_stateid(caller, stateid, &client);
    if (status != STATE_OK)
        return status;
    mutex_lock(&client->lock);
    status = open_confirm_locked(client, file, stateid, out_stateid);
    mutex_unlock(&client->lock);
    state_client_put(client);
    return status;
}

/* Drops the lock states of an owner; or, with `looks`, only tells whether any holds a range. */
static bool lock_owner_visit(
    struct state_client *client, const struct state_owner *owner, bool looks) REQUIRES(client->lock)
{
    bool holds = false;
    LIST_FOR_EACH(open_node, &client->opens)
    {
        struct state_open *open = LIST_ENTRY(open_node, struct state_open, client_node);
        LIST_FOR_EACH_SAFE(node, &open->lock_states)
        {
            struct state_lock_state *lock_state =
                LIST_ENTRY(node, struct state_lock_state, open_node);
            if (lock_state->owner != owner)
                continue;
            holds |= !list_is_empty(&lock_state->ranges);
            if (!looks)
                state_lock_state_drop(client, lock_state);
        }
    }
    return holds;
}

enum state_status state_release_lockowner(
    const struct state_caller *caller, uint64_t clientid, struct slice owner_bytes)
{
    struct state_client *client;
    enum state_status status = state_caller_client(caller, clientid, &client);
    if (status != STATE_OK)
        return status;
    mutex_lock(&client->lock);
    struct state_owner *owner = state_owner_find(client, STATE_LOCK_OWNER, owner_bytes);
    if (owner != NULL && lock_owner_visit(client, owner, true)) {
        status = STATE_LOCKS_HELD;
    } else if (owner != NULL) {
        state_owner_ref(owner); /* it stays while its last lock state goes */
        (void)lock_owner_visit(client, owner, false);
        state_owner_forget(client, owner);
    }
    mutex_unlock(&client->lock);
    state_client_put(client);
    return status;
}
