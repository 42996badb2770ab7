/*
 * state/sequence.c - SEQUENCE: exactly-once execution by slots (room: state).
 *
 * The order of the checks is that of RFC 8881 section 18.46.3: nothing about a request is believed, and no
 * slot touched, before all of them passed.
 */
#include <stdlib.h>

#include "state/internal.h"

/* RPC reply header, COMPOUND header with an empty tag, SEQUENCE's result: what any reply needs. */
#define REPLY_SIZE_MIN 80u

static enum state_status request_check(
    const struct state_session *session, const struct state_sequence *args) REQUIRES(session->lock)
{
    const struct state_channel *fore = &session->fore;
    if (args->slotid >= session->slot_count)
        return STATE_BADSLOT;
    if (args->highest_slotid >= fore->slot_count_max)
        return STATE_BAD_HIGH_SLOT;
    if (args->request_size > fore->request_size_max)
        return STATE_REQ_TOO_BIG;
    if (args->op_count > fore->op_count_max)
        return STATE_TOO_MANY_OPS;
    if (args->cachethis && fore->response_cached_size_max < REPLY_SIZE_MIN)
        return STATE_REP_TOO_BIG_TO_CACHE;
    return STATE_OK;
}

/* A request that was seen before. */
static enum state_status slot_replay(
    struct state_slot *slot, const struct state_sequence *args, struct state_ticket *ticket)
{
    if (slot->phase != STATE_SLOT_FREE)
        return STATE_DELAY;
    if (slot->checksum != args->checksum)
        return STATE_SEQ_FALSE_RETRY;
    if (!slot->cached)
        return STATE_RETRY_UNCACHED_REP;
    slot->phase = STATE_SLOT_REPLAYING;
    ticket->is_replay = true;
    ticket->replay = slice_of(slot->reply, slot->reply_size);
    return STATE_OK;
}

static enum state_status slot_claim(struct state_session *session, struct state_slot *slot,
    const struct state_sequence *args, struct state_ticket *ticket)
{
    if (slot->used && args->seqid == slot->seqid)
        return slot_replay(slot, args, ticket);
    if (slot->phase == STATE_SLOT_BUSY || args->seqid != slot->seqid + 1)
        return STATE_SEQ_MISORDERED;
    if (slot->phase == STATE_SLOT_REPLAYING)
        return STATE_DELAY;
    if (args->cachethis && slot->reply == NULL) {
        slot->reply = malloc(session->fore.response_cached_size_max);
        if (slot->reply == NULL)
            return STATE_DELAY;
    }
    slot->phase = STATE_SLOT_BUSY;
    slot->used = true;
    slot->cached = false;
    slot->seqid = args->seqid;
    slot->checksum = args->checksum;
    return STATE_OK;
}

/* sr_status_flags. A session that was made without a back channel has none to be down. */
static uint32_t status_flags(const struct state_session *session) REQUIRES(session->lock)
{
    const struct state_client *client = session->client;
    uint32_t flags = 0;
    if (UNLIKELY(session->has_back_channel && session->back_count == 0)) {
        flags |= STATE_SEQ_CB_PATH_DOWN_SESSION;
        if (!state_back_is_up(client))
            flags |= STATE_SEQ_CB_PATH_DOWN;
    }
    if (UNLIKELY(session->back_fault))
        flags |= STATE_SEQ_BACKCHANNEL_FAULT;
    if (UNLIKELY(atomic_load_explicit(&client->revoked_count, memory_order_relaxed) > 0))
        flags |= STATE_SEQ_RECALLABLE_STATE_REVOKED;
    return flags;
}

static enum state_status sequence_locked(struct state_session *session,
    const struct state_sequence *args, uint64_t now_ms, struct state_ticket *ticket)
    REQUIRES(session->lock)
{
    enum state_status status = request_check(session, args);
    if (status != STATE_OK)
        return status;
    struct state_slot *slot = &session->slots[args->slotid];
    status = slot_claim(session, slot, args, ticket);
    if (status != STATE_OK)
        return status;
    session->busy_count++;
    if (slot->conn_id != args->conn_id) {
        slot->conn_id = args->conn_id;
        /* Without memory it stays unbound: only DESTROY_SESSION would notice. */
        (void)state_binding_add(session, args->conn_id, STATE_CHANNEL_FORE);
    }
    ticket->session = session;
    ticket->client = session->client;
    ticket->slotid = args->slotid;
    if (!ticket->is_replay)
        state_slots_note(session, slot, args->highest_slotid);
    ticket->highest_slotid = session->slot_count - 1;
    ticket->target_highest_slotid = session->slot_target - 1;
    ticket->response_size_max = session->fore.response_size_max;
    ticket->response_cached_size_max = session->fore.response_cached_size_max;
    ticket->cachethis = args->cachethis;
    ticket->status_flags = status_flags(session);
    atomic_store_explicit(&session->client->renewed_ms, now_ms, memory_order_relaxed);
    return STATE_OK;
}

enum state_status state_sequence_begin(struct state_server *server,
    const struct state_sequence *args, uint64_t now_ms,
    struct state_ticket *out_ticket) NO_LOCK_CHECK
{
    struct state_session *session = state_session_lock(server, args->sessionid);
    if (session == NULL)
        return STATE_BADSESSION;
    struct state_ticket ticket = { .is_replay = false };
    enum state_status status = sequence_locked(session, args, now_ms, &ticket);
    mutex_unlock(&session->lock);
    if (status == STATE_OK)
        *out_ticket = ticket;
    return status;
}

void state_sequence_end(struct state_ticket *ticket, struct slice reply)
{
    struct state_session *session = ticket->session;
    struct state_slot *slot = &session->slots[ticket->slotid];
    bool keeps = !ticket->is_replay && ticket->cachethis && reply.size > 0;
    if (keeps) {
        assert(reply.size <= ticket->response_cached_size_max);
        /* Nobody else looks at the reply of a busy slot: no lock is needed. */
        memcpy(slot->reply, reply.data, reply.size);
        slot->reply_size = (uint32_t)reply.size;
    }
    mutex_lock(&session->lock);
    assert(slot->phase != STATE_SLOT_FREE);
    slot->phase = STATE_SLOT_FREE;
    slot->cached |= keeps;
    session->busy_count--;
    bool unused = !session->live && session->busy_count == 0;
    mutex_unlock(&session->lock);
    ticket->session = NULL;
    ticket->client = NULL;
    if (unused)
        state_session_retire(session);
}
