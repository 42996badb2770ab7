/*
 * state/session.c - the life of sessions: CREATE_SESSION, DESTROY_SESSION, binding (room: state).
 *
 * A struct state_session is never freed before the process's state is: it goes to a list of free ones. So
 * SEQUENCE finds one by the index in the session id with no lock but the session's own, and whoever comes
 * late finds one that is not `live`, or has another id.
 *
 *   free --CREATE_SESSION--> live --killed, no request running-----------------> free
 *                              '--killed, requests running--> --the last ends--> free
 */
#include "state/session.h"

#include <stdlib.h>

#include "base/bytes.h"
#include "state/internal.h"

/* A COMPOUND of one SEQUENCE, and its reply, with AUTH_NONE: less than that serves nobody. */
#define MESSAGE_SIZE_MIN   128u
#define BACK_OP_COUNT_MIN  2u   /* CB_SEQUENCE and something */
#define CACHED_SIZE_SMALL  512u /* bytes that a reply to one REMOVE, RENAME or OPEN fits in */
#define RESERVED_SHARE     8u
#define SESSIONID_INDEX_AT 4u
#define SESSIONID_TAG_AT   8u

/* ---- finding ---- */

struct state_session *state_session_by_id(
    struct state *state, const uint8_t sessionid[STATE_SESSIONID_SIZE])
{
    uint32_t index = load_be32(sessionid + SESSIONID_INDEX_AT);
    if (index >= state->options.session_count_max)
        return NULL;
    struct state_session *session =
        atomic_load_explicit(&state->sessions[index], memory_order_acquire);
    if (session == NULL)
        return NULL;
    mutex_lock(&session->lock);
    if (LIKELY(session->live && memcmp(session->id, sessionid, STATE_SESSIONID_SIZE) == 0))
        return session;
    mutex_unlock(&session->lock);
    return NULL;
}

struct state_session *state_session_lock(
    struct state_server *server, const uint8_t sessionid[STATE_SESSIONID_SIZE])
{
    struct state_session *session = state_session_by_id(server->state, sessionid);
    if (UNLIKELY(session != NULL && session->server != server)) {
        mutex_unlock(&session->lock);
        return NULL;
    }
    return session;
}

/* ---- the end ---- */

/* True: nobody uses it any more, and the caller is the one to retire it. */
static bool session_kill_locked(struct state_session *session) REQUIRES(session->lock)
{
    assert(session->live);
    session->live = false;
    state_bindings_drop(session);
    return session->busy_count == 0;
}

void state_session_retire(struct state_session *session)
{
    struct state *state = session->state;
    struct state_client *client = session->client;
    for (uint32_t i = 0; i < session->fore.slot_count_max; i++)
        free(session->slots[i].reply);
    free(session->slots);
    session->slots = NULL;
    session->client = NULL;
    session->server = NULL;
    atomic_fetch_sub(&state->reply_cache_bytes, session->reserved_bytes);
    atomic_fetch_sub(&state->session_count, 1);
    mutex_lock(&state->lock);
    list_add_tail(&state->sessions_free, &session->client_node);
    mutex_unlock(&state->lock);
    state_client_put(client);
}

void state_sessions_kill(struct state_client *client)
{
    for (;;) {
        struct state_session *session = NULL;
        bool unused = false;
        mutex_lock(&client->lock);
        if (!list_is_empty(&client->sessions)) {
            session = LIST_ENTRY(client->sessions.next, struct state_session, client_node);
            list_remove(&session->client_node);
            client->session_count--;
            mutex_lock(&session->lock);
            unused = session_kill_locked(session);
            mutex_unlock(&session->lock);
        }
        mutex_unlock(&client->lock);
        if (session == NULL)
            return;
        if (unused)
            state_session_retire(session);
    }
}

/* The client of a session, with a reference, if the connection may destroy it. */
static enum state_status destroy_permitted(struct state_server *server,
    const uint8_t sessionid[STATE_SESSIONID_SIZE], uint64_t conn_id,
    const struct state_ticket *ticket, struct state_client **out_client) NO_LOCK_CHECK;
static enum state_status destroy_permitted(struct state_server *server,
    const uint8_t sessionid[STATE_SESSIONID_SIZE], uint64_t conn_id,
    const struct state_ticket *ticket, struct state_client **out_client)
{
    struct state_session *session = state_session_lock(server, sessionid);
    if (session == NULL)
        return STATE_BADSESSION;
    enum state_status status = STATE_OK;
    bool is_own = ticket != NULL && ticket->session == session;
    if (!is_own && !state_binding_exists(session, conn_id)) {
        /* RFC 8881 section 18.37.3; first, so that a stranger does not learn whether it is in use */
        status = STATE_CONN_NOT_BOUND_TO_SESSION;
    } else if (session->busy_count > (is_own ? 1u : 0u)) {
        status = STATE_DELAY;
    } else {
        state_client_ref(session->client);
        *out_client = session->client;
    }
    mutex_unlock(&session->lock);
    return status;
}

enum state_status state_session_destroy(struct state_server *server,
    const uint8_t sessionid[STATE_SESSIONID_SIZE], uint64_t conn_id,
    const struct state_ticket *ticket)
{
    struct state_client *client;
    enum state_status status = destroy_permitted(server, sessionid, conn_id, ticket, &client);
    if (status != STATE_OK)
        return status;
    struct state_session *unused = NULL;
    status = STATE_BADSESSION; /* unless it is still there, now that the client is locked, too */
    mutex_lock(&client->lock);
    LIST_FOR_EACH_SAFE(node, &client->sessions)
    {
        struct state_session *session = LIST_ENTRY(node, struct state_session, client_node);
        mutex_lock(&session->lock);
        bool is_own = ticket != NULL && ticket->session == session;
        if (memcmp(session->id, sessionid, STATE_SESSIONID_SIZE) == 0) {
            status = session->busy_count > (is_own ? 1u : 0u) ? STATE_DELAY : STATE_OK;
            if (status == STATE_OK) {
                list_remove(&session->client_node);
                client->session_count--;
                if (session_kill_locked(session))
                    unused = session;
            }
        }
        mutex_unlock(&session->lock);
    }
    mutex_unlock(&client->lock);
    if (unused != NULL)
        state_session_retire(unused);
    state_client_put(client);
    return status;
}

/* ---- CREATE_SESSION ---- */

/* What of the wish is granted. Errors: STATE_TOOSMALL, STATE_INVAL. */
static enum state_status channels_clamp(const struct state_options *options,
    const struct state_session_create *args, struct state_session_created *created)
{
    const struct state_channel *fore = &args->fore, *back = &args->back;
    if (fore->request_size_max < MESSAGE_SIZE_MIN || fore->response_size_max < MESSAGE_SIZE_MIN ||
        fore->op_count_max == 0)
        return STATE_TOOSMALL;
    /* A client that wants no callbacks may leave the back channel empty. */
    bool has_back = args->want_back_channel || back->slot_count_max > 0;
    if (has_back &&
        (back->request_size_max < MESSAGE_SIZE_MIN || back->response_size_max < MESSAGE_SIZE_MIN ||
            back->op_count_max < BACK_OP_COUNT_MIN))
        return STATE_TOOSMALL;
    if (fore->slot_count_max == 0 || (args->want_back_channel && back->slot_count_max == 0))
        return STATE_INVAL;
    created->fore = (struct state_channel){
        .request_size_max = min_u32(fore->request_size_max, options->request_size_max),
        .response_size_max = min_u32(fore->response_size_max, options->response_size_max),
        .response_cached_size_max =
            min_u32(min_u32(fore->response_cached_size_max, options->response_cached_size_max),
                fore->response_size_max),
        .op_count_max = min_u32(fore->op_count_max, options->op_count_max),
        .slot_count_max = min_u32(fore->slot_count_max, options->slot_count_max),
    };
    created->back = *back;
    created->back.slot_count_max = min_u32(back->slot_count_max, STATE_BACK_SLOT_MAX);
    created->has_back_channel = args->want_back_channel;
    return STATE_OK;
}

static uint64_t slot_size(uint32_t response_cached_size_max)
{
    return sizeof(struct state_slot) + response_cached_size_max;
}

/* As many of the slots as an eighth of the room holds; at least one, with smaller kept replies if need be. False: not
 * even that. So who comes first cannot take it all, however much it asks for. */
static bool slots_fit(uint64_t room, struct state_channel *fore)
{
    uint64_t size = slot_size(fore->response_cached_size_max);
    if (room < size) {
        uint32_t small = min_u32(fore->response_cached_size_max, CACHED_SIZE_SMALL);
        fore->response_cached_size_max = small;
        fore->slot_count_max = 1;
        return slot_size(small) <= room;
    }
    uint64_t count = min_u64(fore->slot_count_max, room / RESERVED_SHARE / size);
    fore->slot_count_max = count > 0 ? (uint32_t)count : 1;
    return true;
}

/* Reserves memory for the slots, fewer or smaller ones if the budget demands it; gives the bytes, 0: none. */
static uint64_t slots_reserve(struct state *state, struct state_channel *fore)
{
    uint64_t budget = state->options.reply_cache_total_max;
    uint64_t used = atomic_load(&state->reply_cache_bytes);
    for (;;) {
        struct state_channel given = *fore;
        if (used > budget || !slots_fit(budget - used, &given))
            return 0;
        uint64_t bytes = given.slot_count_max * slot_size(given.response_cached_size_max);
        if (atomic_compare_exchange_weak(&state->reply_cache_bytes, &used, used + bytes)) {
            *fore = given;
            return bytes;
        }
    }
}

/* A session of the table that is not in use; NULL: no memory, or too many. */
static struct state_session *session_take_locked(struct state *state) REQUIRES(state->lock)
{
    struct state_session *session;
    if (!list_is_empty(&state->sessions_free)) {
        session = LIST_ENTRY(state->sessions_free.next, struct state_session, client_node);
        list_remove(&session->client_node);
        return session;
    }
    if (state->session_used == state->options.session_count_max)
        return NULL;
    session = calloc(1, sizeof *session);
    if (session == NULL)
        return NULL;
    mutex_make(&session->lock);
    list_init(&session->client_node);
    list_init(&session->bindings);
    session->state = state;
    session->index = state->session_used;
    atomic_store_explicit(&state->sessions[state->session_used++], session, memory_order_release);
    return session;
}

/* Puts a taken session to use. */
static void session_start(struct state_session *session, struct state_client *client,
    const struct state_session_create *args, struct state_session_created *created, uint64_t serial)
{
    const struct state_options *options = &session->state->options;
    mutex_lock(&session->lock);
    store_be32(session->id, options->boot_epoch);
    store_be32(session->id + SESSIONID_INDEX_AT, session->index);
    store_be64(
        session->id + SESSIONID_TAG_AT, hash_keyed(&options->hash_key, &serial, sizeof serial));
    memcpy(created->sessionid, session->id, STATE_SESSIONID_SIZE);
    session->server = client->server;
    session->client = client;
    session->fore = created->fore;
    session->back = created->back;
    state_slots_start(session);
    session->has_back_channel = created->has_back_channel;
    session->back_fault = false;
    memset(session->back_slots, 0, sizeof session->back_slots);
    session->minor = args->minor;
    session->cb_program = args->cb_program;
    session->cb_security_size = args->cb_security.size;
    if (args->cb_security.size > 0)
        memcpy(session->cb_security, args->cb_security.data, args->cb_security.size);
    session->live = true;
    unsigned channels = created->has_back_channel ? STATE_CHANNEL_BOTH : STATE_CHANNEL_FORE;
    (void)state_binding_add(session, args->conn_id, channels); /* SEQUENCE will bind it, then */
    mutex_unlock(&session->lock);
}

/* Makes the session of a client. Errors: STATE_NOSPC, STATE_DELAY. */
static enum state_status session_new(struct state_client *client,
    const struct state_session_create *args, struct state_session_created *created)
{
    struct state *state = client->server->state;
    uint64_t reserved = slots_reserve(state, &created->fore);
    if (reserved == 0)
        return STATE_NOSPC;
    enum state_status status = STATE_DELAY;
    struct state_session *session = NULL;
    struct state_slot *slots = calloc(created->fore.slot_count_max, sizeof *slots);
    if (slots == NULL)
        goto out;
    mutex_lock(&state->lock);
    session = session_take_locked(state);
    uint64_t serial = state->session_serial++;
    mutex_unlock(&state->lock);
    status = STATE_NOSPC;
    if (session == NULL)
        goto out;
    session->slots = slots;
    session->reserved_bytes = reserved;
    state_client_ref(client);
    session_start(session, client, args, created, serial);
    atomic_fetch_add(&state->session_count, 1);
    mutex_lock(&client->lock);
    list_add_tail(&client->sessions, &session->client_node);
    client->session_count++;
    mutex_unlock(&client->lock);
    return STATE_OK;
out:
    free(slots);
    atomic_fetch_sub(&state->reply_cache_bytes, reserved);
    return status;
}

static enum state_status create_locked(struct state_server *server, struct state_client *client,
    const struct state_session_create *args, struct state_client **out_predecessor,
    struct state_session_created *out) REQUIRES(server->lock)
{
    const struct state_options *options = &server->state->options;
    if (client->has_created && args->sequenceid == client->create_sequenceid - 1) {
        *out = client->created;
        return STATE_OK;
    }
    if (args->sequenceid != client->create_sequenceid)
        return STATE_SEQ_MISORDERED;
    if (!client->confirmed && !slice_equal(client->principal, args->principal))
        return STATE_CLID_INUSE;
    struct state_session_created created = { .sequenceid = args->sequenceid };
    enum state_status status = channels_clamp(options, args, &created);
    if (status != STATE_OK)
        return status;
    mutex_lock(&client->lock);
    bool is_full = client->session_count >= options->session_per_client_max;
    mutex_unlock(&client->lock);
    if (is_full)
        return STATE_NOSPC;
    status = session_new(client, args, &created);
    if (status != STATE_OK)
        return status; /* not kept: the client may try again with the same sequenceid */
    if (!client->confirmed)
        *out_predecessor = state_client_confirm(server, client); /* section 18.36.4, phase 3 */
    client->created = created;
    client->has_created = true;
    client->create_sequenceid++;
    *out = created;
    return STATE_OK;
}

enum state_status state_session_create(struct state_server *server,
    const struct state_session_create *args, uint64_t now_ms, struct state_session_created *out)
{
    if (args->cb_security.size > STATE_CB_SECURITY_MAX)
        return STATE_INVAL;
    struct state_client *client = state_client_get(server, args->clientid);
    if (client == NULL)
        return STATE_STALE_CLIENTID;
    struct state_client *predecessor = NULL;
    enum state_status status;
    mutex_lock(&server->lock);
    if (client->dead || client->v40 != NULL ||
        (!client->confirmed && state_client_is_expired(client, now_ms)))
        status = STATE_STALE_CLIENTID;
    else
        status = create_locked(server, client, args, &predecessor, out);
    if (status == STATE_OK)
        atomic_store_explicit(&client->renewed_ms, now_ms, memory_order_relaxed);
    mutex_unlock(&server->lock);
    if (predecessor != NULL) {
        (void)state_client_drop(predecessor); /* state_tick() tries again */
        state_client_put(predecessor);
    }
    state_client_put(client);
    return status;
}

/* ---- channels ---- */

static enum state_status bind_locked(struct state_session *session, uint64_t conn_id,
    enum state_channel_dir wanted, enum state_channel_dir *out_bound) REQUIRES(session->lock)
{
    enum state_channel_dir bound = wanted;
    if (!session->has_back_channel) {
        if (wanted == STATE_CHANNEL_BACK)
            return STATE_INVAL;
        bound = STATE_CHANNEL_FORE;
    }
    if (state_binding_add(session, conn_id, bound) < 0)
        return STATE_DELAY;
    *out_bound = bound;
    return STATE_OK;
}

enum state_status state_session_bind(struct state_server *server,
    const uint8_t sessionid[STATE_SESSIONID_SIZE], uint64_t conn_id, enum state_channel_dir wanted,
    uint64_t now_ms, enum state_channel_dir *out_bound) NO_LOCK_CHECK
{
    struct state_session *session = state_session_lock(server, sessionid);
    if (session == NULL)
        return STATE_BADSESSION;
    enum state_status status = bind_locked(session, conn_id, wanted, out_bound);
    if (status == STATE_OK)
        atomic_store_explicit(&session->client->renewed_ms, now_ms, memory_order_relaxed);
    mutex_unlock(&session->lock);
    return status;
}

enum state_status state_session_set_callback(
    const struct state_ticket *ticket, uint32_t cb_program, struct slice cb_security)
{
    if (cb_security.size > STATE_CB_SECURITY_MAX)
        return STATE_INVAL;
    struct state_session *session = ticket->session;
    enum state_status status = STATE_NOENT;
    mutex_lock(&session->lock);
    if (session->has_back_channel) {
        session->cb_program = cb_program;
        session->cb_security_size = cb_security.size;
        if (cb_security.size > 0)
            memcpy(session->cb_security, cb_security.data, cb_security.size);
        status = STATE_OK;
    }
    mutex_unlock(&session->lock);
    return status;
}

enum state_status state_session_get_callback(const struct state_ticket *ticket,
    uint8_t buffer[STATE_CB_SECURITY_MAX], struct state_back_channel *out)
{
    struct state_session *session = ticket->session;
    enum state_status status = STATE_NOENT;
    mutex_lock(&session->lock);
    if (session->has_back_channel) {
        memcpy(buffer, session->cb_security, session->cb_security_size);
        *out = (struct state_back_channel){
            .cb_program = session->cb_program,
            .cb_security = slice_of(buffer, session->cb_security_size),
            .conn_id = state_binding_back(session),
            .attrs = session->back,
        };
        status = STATE_OK;
    }
    mutex_unlock(&session->lock);
    return status;
}
