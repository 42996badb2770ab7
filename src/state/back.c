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
    out->request_size_max = session->back.request_size_max;
    out->conn_id = conn_id;
    out->cb_program = session->cb_program;
    memcpy(out->security, session->cb_security, session->cb_security_size);
    out->cb_security = slice_of(out->security, session->cb_security_size);
    return STATE_OK;
}

enum state_status state_back_begin(
    struct state *state, uint64_t clientid, struct state_back_call *out)
{
    struct state_client *client = state_client_by_id(state, clientid);
    if (client == NULL)
        return STATE_NOENT;
    enum state_status status = STATE_NOENT;
    mutex_lock(&client->lock);
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
    mutex_unlock(&client->lock);
    state_client_put(client);
    return status;
}

void state_back_end(
    struct state *state, const struct state_back_call *call, enum state_back_end how)
{
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
