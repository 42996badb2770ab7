/*
 * state/slots.c - fewer slots for sessions while the memory for kept replies is scarce, and more again after (room: state).
 *
 * A session has `slot_count` slots, which is what sr_highest_slotid says, and is asked to use `slot_target` of them
 * (sr_target_highest_slotid). Both change only once the client is known to have seen what they are: a slot that is used
 * anew has got its last reply, and that reply told them.
 *
 *   target = count --scarce, tick--> target = count / 2 --seen, and nothing is out above it--> count = target --seen,
 *   ample, tick--> count doubled, target = count
 *
 * What is taken back is the room for kept replies. A request that comes for such a slot is NFS4ERR_BADSLOT and was not
 * executed; a slot that is given again begins at sequence id 1, as the client's does. RFC 8881 section 2.10.6.1.
 */
#include <stdlib.h>

#include "base/bytes.h"
#include "state/internal.h"

static void slots_changed(struct state_session *session) REQUIRES(session->lock)
{
    session->slot_serial++;
    session->slots_seen = false;
}

void state_slots_start(struct state_session *session)
{
    session->slot_count = session->fore.slot_count_max;
    session->slot_target = session->slot_count;
    session->slot_serial = 1;
    session->slots_seen = true; /* CREATE_SESSION told */
    session->recalls_slots = false;
}

/* Whether nothing runs in the slots from `from` on. */
static bool slots_are_free(const struct state_session *session, uint32_t from)
    REQUIRES(session->lock)
{
    for (uint32_t i = from; i < session->slot_count; i++)
        if (session->slots[i].phase != STATE_SLOT_FREE)
            return false;
    return true;
}

static void slots_retire(struct state_session *session) REQUIRES(session->lock)
{
    for (uint32_t i = session->slot_target; i < session->slot_count; i++) {
        free(session->slots[i].reply);
        session->slots[i] = (struct state_slot){ 0 };
    }
    uint64_t bytes = (uint64_t)(session->slot_count - session->slot_target) *
                     session->fore.response_cached_size_max;
    assert(session->reserved_bytes >= bytes);
    session->reserved_bytes -= bytes;
    atomic_fetch_sub(&session->state->reply_cache_bytes, bytes);
    session->slot_count = session->slot_target;
    slots_changed(session);
}

void state_slots_note(
    struct state_session *session, struct state_slot *slot, uint32_t highest_slotid)
{
    if (UNLIKELY(!session->slots_seen) && slot->told == session->slot_serial) {
        if (session->slot_target == session->slot_count)
            session->slots_seen = true;
        else if (highest_slotid < session->slot_target &&
                 slots_are_free(session, session->slot_target))
            slots_retire(session);
    }
    slot->told = session->slot_serial;
}

/* More slots, as far as the budget goes. */
static void slots_grow(struct state_session *session) REQUIRES(session->lock)
{
    struct state *state = session->state;
    uint32_t more =
        min_u32(session->slot_count, session->fore.slot_count_max - session->slot_count);
    uint64_t bytes = (uint64_t)more * session->fore.response_cached_size_max;
    uint64_t used = atomic_load(&state->reply_cache_bytes);
    do {
        if (used + bytes > state->options.reply_cache_total_max / 2)
            return;
    } while (!atomic_compare_exchange_weak(&state->reply_cache_bytes, &used, used + bytes));
    session->reserved_bytes += bytes;
    session->slot_count += more;
    session->slot_target = session->slot_count;
    slots_changed(session);
}

static void session_tick(struct state_session *session, bool is_scarce, bool is_ample)
    REQUIRES(session->lock)
{
    bool is_shrinking = session->slot_target < session->slot_count;
    if (is_scarce && !is_shrinking && session->slot_count > 1) {
        session->slot_target = session->slot_count / 2;
        session->recalls_slots = session->has_back_channel;
        slots_changed(session);
    } else if (!is_scarce && is_shrinking) {
        session->slot_target = session->slot_count;
        slots_changed(session);
    } else if (is_ample && session->slots_seen &&
               session->slot_count < session->fore.slot_count_max) {
        slots_grow(session);
    }
}

/* The session in that place of the table, or NULL. */
static struct state_session *session_at(struct state *state, uint32_t index)
{
    mutex_lock(&state->lock);
    bool exists = index < state->session_used;
    mutex_unlock(&state->lock);
    return exists ? atomic_load(&state->sessions[index]) : NULL;
}

void state_slots_tick(struct state *state)
{
    uint64_t max = state->options.reply_cache_total_max;
    struct state_session *session;
    for (uint32_t index = 0; (session = session_at(state, index)) != NULL; index++) {
        uint64_t used = atomic_load(&state->reply_cache_bytes);
        mutex_lock(&session->lock);
        if (session->live)
            session_tick(session, used >= max - max / 8, used < max / 2);
        mutex_unlock(&session->lock);
    }
}

bool state_slots_recall_next(struct state *state, uint32_t *cursor,
    uint8_t out_sessionid[STATE_SESSIONID_SIZE], uint32_t *out_target_highest_slotid)
{
    struct state_session *session;
    bool found = false;
    while (!found && (session = session_at(state, *cursor)) != NULL) {
        ++*cursor;
        mutex_lock(&session->lock);
        found = session->live && session->recalls_slots;
        session->recalls_slots = false;
        if (found) {
            memcpy(out_sessionid, session->id, STATE_SESSIONID_SIZE);
            *out_target_highest_slotid = session->slot_target - 1;
        }
        mutex_unlock(&session->lock);
    }
    return found;
}
