/*
 * state/back.c - slots and connections of back channels (room: state).
 *
 * A slot moves on when the client executed a callback. When no answer came nobody knows: then the slot's next
 * callback has the same seqid, and the client's answer tells.
 */
#include "state/back.h"

#include "state/internal.h"

bool state_back_is_up(const struct state_client *client)
{
    return atomic_load_explicit(&client->back_count, memory_order_relaxed) > 0;
}

static enum state_status begin_in_session(
    struct state_session *session, struct state_back_call *out) REQUIRES(session->lock)
{
    uint64_t conn_id =
        session->has_back_channel && !session->back_fault ? state_binding_back(session) : 0;
    if (conn_id == 0)
        return STATE_NOENT;
    uint32_t count = session->back.slot_count_max;
    uint32_t slotid = 0;
    while (slotid < count && session->back_slots[slotid].busy)
        slotid++;
    if (slotid >= count)
        return STATE_DELAY;
    session->back_slots[slotid].busy = true;
    memcpy(out->sessionid, session->id, STATE_SESSIONID_SIZE);
    out->index = session->index;
    out->slotid = slotid;
    out->seqid = session->back_slots[slotid].seqid + 1;
    out->highest_slotid = 0;
    for (uint32_t i = 0; i < count; i++)
        if (session->back_slots[i].busy)
            out->highest_slotid = i;
    out->minor = session->minor;
    out->is_v40 = false;
    out->request_size_max = session->back.request_size_max;
    out->conn_id = conn_id;
    out->cb_program = session->cb_program;
    memcpy(out->security, session->cb_security, session->cb_security_size);
    out->cb_security = slice_of(out->security, session->cb_security_size);
    return STATE_OK;
}

static enum state_status begin_v40(struct state_client *client, struct state_back_call *out)
    REQUIRES(client->lock)
{
    struct state_back_v40 *back = &client->v40->back;
    if (back->conn_id == 0)
        return STATE_NOENT;
    if (back->busy_count >= STATE_BACK_SLOT_MAX)
        return STATE_DELAY;
    back->busy_count++;
    out->minor = 0;
    out->is_v40 = true;
    out->ident = back->ident;
    out->conn_id = back->conn_id;
    out->cb_program = back->program;
    out->request_size_max = UINT32_MAX;
    return STATE_OK;
}

static enum state_status begin_in_any_session(
    struct state_client *client, struct state_back_call *out) REQUIRES(client->lock)
{
    enum state_status status = STATE_NOENT;
    LIST_FOR_EACH(node, &client->sessions)
    {
        struct state_session *session = LIST_ENTRY(node, struct state_session, client_node);
        mutex_lock(&session->lock);
        enum state_status tried = begin_in_session(session, out);
        mutex_unlock(&session->lock);
        if (tried != STATE_NOENT)
            status = tried;
        if (tried == STATE_OK)
            break;
    }
    return status;
}

enum state_status state_back_begin(
    struct state *state, uint64_t clientid, struct state_back_call *out)
{
    struct state_client *client = state_client_by_id(state, clientid);
    if (client == NULL)
        return STATE_NOENT;
    out->clientid = clientid;
    mutex_lock(&client->lock);
    enum state_status status =
        client->v40 != NULL ? begin_v40(client, out) : begin_in_any_session(client, out);
    mutex_unlock(&client->lock);
    state_client_put(client);
    return status;
}

enum state_status state_back_begin_in(struct state *state,
    const uint8_t sessionid[STATE_SESSIONID_SIZE], struct state_back_call *out) NO_LOCK_CHECK
{
    struct state_session *session = state_session_by_id(state, sessionid);
    if (session == NULL)
        return STATE_NOENT;
    enum state_status status = begin_in_session(session, out);
    mutex_unlock(&session->lock);
    return status;
}

static void back_v40_clear(struct state_client *client) REQUIRES(client->lock)
{
    client->v40->back.conn_id = 0;
    atomic_store(&client->back_count, 0);
}

static void end_v40(
    struct state *state, const struct state_back_call *call, enum state_back_end how)
{
    struct state_client *client = state_client_by_id(state, call->clientid);
    if (client == NULL)
        return;
    mutex_lock(&client->lock);
    struct state_back_v40 *back = &client->v40->back;
    assert(back->busy_count > 0);
    back->busy_count--;
    if ((how == STATE_BACK_SILENT || how == STATE_BACK_FAULT) && back->conn_id == call->conn_id)
        back_v40_clear(client);
    mutex_unlock(&client->lock);
    state_client_put(client);
}

void state_back_end(
    struct state *state, const struct state_back_call *call, enum state_back_end how)
{
    if (call->is_v40) {
        end_v40(state, call, how);
        return;
    }
    struct state_session *session = atomic_load(&state->sessions[call->index]);
    mutex_lock(&session->lock);
    if (session->live && memcmp(session->id, call->sessionid, STATE_SESSIONID_SIZE) == 0) {
        struct state_back_slot *slot = &session->back_slots[call->slotid];
        slot->busy = false;
        if (how == STATE_BACK_RAN)
            slot->seqid = call->seqid;
        else if (how == STATE_BACK_SILENT)
            state_binding_silence(session, call->conn_id);
        else if (how == STATE_BACK_FAULT)
            session->back_fault = true;
    }
    mutex_unlock(&session->lock);
}

/* ---- version 4.0: which connection ---- */

/* A client of 4.0 that is confirmed and not dead, with a reference; NULL: none. */
static struct state_client *client_v40_get(struct state *state, uint64_t clientid)
{
    struct state_client *client = state_client_by_id(state, clientid);
    if (client != NULL && client->v40 != NULL && client->confirmed && !client->dead)
        return client;
    state_client_put(client);
    return NULL;
}

bool state_v40_dial_begin(struct state *state, uint64_t clientid, uint64_t now_ms,
    uint64_t retry_ms, struct state_callback *out_callback)
{
    struct state_client *client = client_v40_get(state, clientid);
    if (client == NULL)
        return false;
    mutex_lock(&client->server->lock);
    *out_callback = client->v40->callback;
    mutex_unlock(&client->server->lock);
    mutex_lock(&client->lock);
    struct state_back_v40 *back = &client->v40->back;
    bool begins = retry_ms == 0 || (back->conn_id == 0 &&
                                       (!back->has_dialed || now_ms - back->dialed_ms >= retry_ms));
    if (begins) {
        back->has_dialed = true;
        back->dialed_ms = now_ms;
    }
    mutex_unlock(&client->lock);
    state_client_put(client);
    return begins;
}

bool state_v40_back_up(struct state *state, uint64_t clientid, uint64_t conn_id,
    const struct state_callback *callback, uint64_t *out_before)
{
    struct state_client *client = client_v40_get(state, clientid);
    if (client == NULL)
        return false;
    mutex_lock(&client->server->lock);
    bool is_right = memcmp(callback, &client->v40->callback, sizeof *callback) == 0;
    if (is_right) {
        struct state_back_v40 *back = &client->v40->back;
        mutex_lock(&client->lock);
        *out_before = back->conn_id;
        back->conn_id = conn_id;
        back->program = callback->program;
        back->ident = callback->ident;
        atomic_store(&client->back_count, 1);
        mutex_unlock(&client->lock);
    }
    mutex_unlock(&client->server->lock);
    state_client_put(client);
    return is_right;
}

void state_v40_back_down(struct state *state, uint64_t clientid, uint64_t conn_id)
{
    struct state_client *client = state_client_by_id(state, clientid);
    if (client == NULL)
        return;
    mutex_lock(&client->lock);
    if (client->v40 != NULL && client->v40->back.conn_id == conn_id)
        back_v40_clear(client);
    mutex_unlock(&client->lock);
    state_client_put(client);
}
