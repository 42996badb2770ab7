/*
 * state/connection.c - which connections are bound to which sessions (room: state).
 *
 * With SP4_NONE any connection may join a session, and SEQUENCE does it silently: a proxy may spread one
 * session's requests over several connections. RFC 8881 section 2.10.3.1.
 */
#include <stdlib.h>

#include "state/internal.h"

static struct state_binding *binding_find(const struct state_session *session, uint64_t conn_id)
    REQUIRES(session->lock)
{
    LIST_FOR_EACH(node, &session->bindings)
    {
        struct state_binding *binding = LIST_ENTRY(node, struct state_binding, session_node);
        if (binding->conn_id == conn_id)
            return binding;
    }
    return NULL;
}

bool state_binding_exists(const struct state_session *session, uint64_t conn_id)
{
    return binding_find(session, conn_id) != NULL;
}

uint64_t state_binding_back(const struct state_session *session)
{
    LIST_FOR_EACH(node, &session->bindings)
    {
        const struct state_binding *binding = LIST_ENTRY(node, struct state_binding, session_node);
        if ((binding->channels & STATE_CHANNEL_BACK) != 0)
            return binding->conn_id;
    }
    return 0;
}

/* Changes which channels a connection is bound to, and the counts of those that can be called back. */
static void binding_set(struct state_session *session, struct state_binding *binding,
    unsigned channels) REQUIRES(session->lock)
{
    bool was_back = (binding->channels & STATE_CHANNEL_BACK) != 0;
    bool is_back = (channels & STATE_CHANNEL_BACK) != 0;
    binding->channels = channels;
    if (was_back == is_back)
        return;
    if (is_back) {
        session->back_count++;
        atomic_fetch_add(&session->client->back_count, 1);
    } else {
        session->back_count--;
        atomic_fetch_sub(&session->client->back_count, 1);
    }
}

void state_binding_silence(struct state_session *session, uint64_t conn_id)
{
    struct state_binding *binding = binding_find(session, conn_id);
    if (binding != NULL)
        binding_set(session, binding, binding->channels & ~(unsigned)STATE_CHANNEL_BACK);
}

static void binding_drop(struct state_session *session, struct state_binding *binding)
    REQUIRES(session->lock)
{
    struct state *state = session->state;
    binding_set(session, binding, 0);
    mutex_lock(&state->conn_lock);
    state_table_remove(&state->conns, &binding->conn_node);
    mutex_unlock(&state->conn_lock);
    list_remove(&binding->session_node);
    session->binding_count--;
    free(binding);
}

/* Makes room by forgetting the oldest connection that is bound to the fore channel only: it binds itself
 * again with its next request. */
static void binding_evict(struct state_session *session) REQUIRES(session->lock)
{
    LIST_FOR_EACH_SAFE(node, &session->bindings)
    {
        struct state_binding *binding = LIST_ENTRY(node, struct state_binding, session_node);
        if ((binding->channels & STATE_CHANNEL_BACK) == 0) {
            binding_drop(session, binding);
            return;
        }
    }
}

int state_binding_add(struct state_session *session, uint64_t conn_id, unsigned channels)
{
    struct state_binding *binding = binding_find(session, conn_id);
    if (binding != NULL) {
        binding_set(session, binding, binding->channels | channels);
        return 0;
    }
    if (session->binding_count >= STATE_BINDING_MAX)
        binding_evict(session);
    if (session->binding_count >= STATE_BINDING_MAX)
        return -ENOMEM;
    binding = calloc(1, sizeof *binding);
    if (binding == NULL)
        return -ENOMEM;
    binding->session = session;
    binding->conn_id = conn_id;
    binding_set(session, binding, channels);
    list_add_tail(&session->bindings, &binding->session_node);
    session->binding_count++;
    struct state *state = session->state;
    mutex_lock(&state->conn_lock);
    state_table_add(&state->conns, &binding->conn_node, hash_u64(conn_id));
    mutex_unlock(&state->conn_lock);
    return 0;
}

void state_bindings_drop(struct state_session *session)
{
    LIST_FOR_EACH_SAFE(node, &session->bindings)
    {
        binding_drop(session, LIST_ENTRY(node, struct state_binding, session_node));
    }
}

/* Some session that the connection is bound to, or NULL. Sessions are never freed, but what it was bound to
 * may be another session by the time it is looked at. */
static struct state_session *session_of_conn(struct state *state, uint64_t conn_id)
{
    struct state_session *session = NULL;
    mutex_lock(&state->conn_lock);
    struct state_table_node *node = state_table_first(&state->conns, hash_u64(conn_id));
    for (; node != NULL && session == NULL; node = state_table_next(node)) {
        const struct state_binding *binding = CONTAINER_OF(node, struct state_binding, conn_node);
        if (binding->conn_id == conn_id)
            session = binding->session;
    }
    mutex_unlock(&state->conn_lock);
    return session;
}

void state_connection_closed(struct state *state, uint64_t conn_id)
{
    struct state_session *session;
    while ((session = session_of_conn(state, conn_id)) != NULL) {
        mutex_lock(&session->lock);
        struct state_binding *binding = binding_find(session, conn_id);
        if (binding != NULL)
            binding_drop(session, binding);
        mutex_unlock(&session->lock);
    }
}
