/*
 * state/client.c - servers and their clients: EXCHANGE_ID and what finds a client (room: state).
 *
 * A client that is not dead is in its server's table of owners: at most one confirmed and one unconfirmed for
 * each owner string. It is in the process's table of clientids until it holds nothing more.
 */
#include "state/client.h"

#include <stdlib.h>

#include "base/bytes.h"
#include "state/internal.h"

/* ---- servers ---- */

static struct state_server *server_find_locked(struct state *state, struct slice identity)
    REQUIRES(state->lock)
{
    LIST_FOR_EACH(node, &state->servers)
    {
        struct state_server *server = LIST_ENTRY(node, struct state_server, state_node);
        if (slice_equal(identity, slice_of(server->identity, server->identity_size)))
            return server;
    }
    return NULL;
}

int state_server_new(struct state *state, struct slice identity, struct state_server **out_server)
{
    assert(identity.size > 0 && identity.size <= STATE_IDENTITY_SIZE_MAX);
    struct state_server *server = calloc(1, sizeof *server + identity.size);
    if (server == NULL)
        return -ENOMEM;
    server->state = state;
    server->refs = 1;
    mutex_make(&server->lock);
    state_table_init(&server->owners);
    list_init(&server->unconfirmed);
    server->identity_size = identity.size;
    memcpy(server->identity, identity.data, identity.size);

    mutex_lock(&state->lock);
    bool exists = server_find_locked(state, identity) != NULL;
    if (!exists)
        list_add_tail(&state->servers, &server->state_node);
    mutex_unlock(&state->lock);
    if (exists) {
        state_server_put(server);
        return -EEXIST;
    }
    *out_server = server;
    return 0;
}

void state_server_put(struct state_server *server)
{
    if (atomic_fetch_sub(&server->refs, 1) != 1)
        return;
    state_table_fini(&server->owners);
    mutex_unmake(&server->lock);
    free(server);
}

void state_server_free(struct state_server *server)
{
    if (server == NULL)
        return;
    struct state *state = server->state;
    uint32_t cursor = 0;
    struct state_client *client;
    while (state_clients_list(state, &cursor, &client, 1) == 1) {
        if (client->server == server) {
            mutex_lock(&server->lock);
            (void)state_client_kill_locked(server, client); /* a dead one is dropped all the same */
            mutex_unlock(&server->lock);
            state_client_forget(client);
        }
        state_client_put(client);
    }
    mutex_lock(&state->lock);
    list_remove(&server->state_node);
    mutex_unlock(&state->lock);
    state_server_put(server);
}

/* ---- one client ---- */

void state_client_ref(struct state_client *client)
{
    atomic_fetch_add(&client->refs, 1);
}

/* What a client counts for, without what it holds. */
static size_t client_cost(size_t owner_size, size_t principal_size)
{
    return sizeof(struct state_client) + sizeof(struct state_client_v40) + owner_size +
           principal_size;
}

void state_client_put(struct state_client *client)
{
    if (client == NULL || atomic_fetch_sub(&client->refs, 1) != 1)
        return;
    assert(list_is_empty(&client->opens) && list_is_empty(&client->sessions));
    assert(list_is_empty(&client->records) && client->owner_count == 0);
    assert(list_is_empty(&client->delegs));
    state_memory_give(
        client->server->state, client_cost(client->owner.size, client->principal.size));
    state_server_put(client->server);
    free(client->v40);
    state_index_fini(&client->handles);
    state_table_fini(&client->owners);
    state_table_fini(&client->opens_by_file);
    mutex_unmake(&client->lock);
    free(client);
}

bool state_client_is_expired(const struct state_client *client, uint64_t now_ms)
{
    /* Another thread may have renewed it with a clock that is a little ahead of ours. */
    int64_t age_ms =
        (int64_t)(now_ms - atomic_load_explicit(&client->renewed_ms, memory_order_relaxed));
    return age_ms > (int64_t)client->server->state->options.lease_ms || client->dead;
}

uint64_t state_client_id(const struct state_client *client)
{
    return client->id;
}

struct state_client *state_client_get(struct state_server *server, uint64_t clientid)
{
    struct state *state = server->state;
    if (clientid >> 32 != state->options.boot_epoch)
        return NULL;
    mutex_lock(&state->lock);
    struct state_client *client = state_index_find(&state->clients, (uint32_t)clientid);
    if (client != NULL && (client->server != server || client->dead))
        client = NULL;
    if (client != NULL)
        state_client_ref(client);
    mutex_unlock(&state->lock);
    return client;
}

bool state_client_is_known(struct state *state, uint64_t clientid)
{
    if (clientid >> 32 != state->options.boot_epoch)
        return false;
    mutex_lock(&state->lock);
    const struct state_client *client = state_index_find(&state->clients, (uint32_t)clientid);
    bool is_known = client != NULL && !client->dead;
    mutex_unlock(&state->lock);
    return is_known;
}

/* Version 4.0: whom a clientid names; that renews its lease. */
static enum state_status client_of_clientid(
    const struct state_caller *caller, uint64_t clientid, struct state_client **out_client)
{
    if (clientid >> 32 != caller->server->state->options.boot_epoch)
        return STATE_STALE_CLIENTID;
    struct state_client *client = state_client_get(caller->server, clientid);
    if (client == NULL)
        return STATE_EXPIRED; /* it was one once; RFC 7530 section 9.6.3 */
    if (client->v40 == NULL || !client->confirmed) {
        state_client_put(client);
        return STATE_STALE_CLIENTID;
    }
    atomic_store_explicit(&client->renewed_ms, caller->now_ms, memory_order_relaxed);
    *out_client = client;
    return STATE_OK;
}

enum state_status state_caller_client(
    const struct state_caller *caller, uint64_t clientid, struct state_client **out_client)
{
    if (caller->client == NULL)
        return client_of_clientid(caller, clientid, out_client);
    state_client_ref(caller->client);
    *out_client = caller->client;
    return STATE_OK;
}

bool state_client_kill_locked(struct state_server *server, struct state_client *client)
{
    assert(client->server == server);
    struct state *state = server->state;
    mutex_lock(&client->lock);
    bool was_alive = !client->dead;
    client->dead = true;
    mutex_unlock(&client->lock);
    if (!was_alive)
        return false;
    state_table_remove(&server->owners, &client->owner_node);
    if (!client->confirmed) {
        list_remove(&client->unconfirmed_node);
        atomic_fetch_sub(&state->unconfirmed_count, 1);
    }
    return true;
}

bool state_client_is_in_use(struct state_client *client)
{
    mutex_lock(&client->lock);
    bool in_use = client->session_count > 0 || client->open_count > 0 || client->deleg_count > 0;
    mutex_unlock(&client->lock);
    return in_use;
}

/* Makes a client that is not yet in any table but that of clientids. NULL: no memory, or too many. */
static struct state_client *client_new(
    struct state_server *server, const struct state_exchange_id *args, uint64_t now_ms)
{
    struct state *state = server->state;
    if (atomic_load(&state->client_count) >= state->options.client_count_max)
        return NULL;
    size_t cost = client_cost(args->owner.size, args->principal.size);
    if (!state_memory_take(state, cost))
        return NULL;
    struct state_client *client =
        calloc(1, sizeof *client + args->owner.size + args->principal.size);
    if (client == NULL) {
        state_memory_give(state, cost);
        return NULL;
    }
    client->server = server;
    client->refs = 1;
    client->renewed_ms = now_ms;
    client->create_sequenceid = 1;
    memcpy(client->verifier, args->verifier, STATE_VERIFIER_SIZE);
    mutex_make(&client->lock);
    list_init(&client->unconfirmed_node);
    list_init(&client->sessions);
    list_init(&client->records);
    list_init(&client->opens);
    list_init(&client->delegs);
    list_init(&client->owners_idle);
    state_index_init(&client->handles);
    state_table_init(&client->owners);
    state_table_init(&client->opens_by_file);
    memcpy(client->bytes, args->owner.data, args->owner.size);
    client->owner = slice_of(client->bytes, args->owner.size);
    uint8_t *principal = client->bytes + args->owner.size;
    if (args->principal.size > 0)
        memcpy(principal, args->principal.data, args->principal.size);
    client->principal = slice_of(principal, args->principal.size);
    atomic_fetch_add(&server->refs, 1);

    uint32_t id;
    mutex_lock(&state->lock);
    int err = state_index_add(&state->clients, client, &id);
    if (err == 0)
        client->id = (uint64_t)state->options.boot_epoch << 32 | id;
    mutex_unlock(&state->lock);
    if (err < 0) {
        state_client_put(client);
        return NULL;
    }
    atomic_fetch_add(&state->client_count, 1);
    return client;
}

void state_client_forget(struct state_client *client)
{
    struct state *state = client->server->state;
    state_sessions_kill(client);
    state_client_drop_opens(client);
    state_client_drop_delegs(client);
    mutex_lock(&client->lock);
    state_owners_forget_idle(client);
    mutex_unlock(&client->lock);
    state_records_forget(client);
    mutex_lock(&state->lock);
    bool is_known = state_index_find(&state->clients, (uint32_t)client->id) == client;
    if (is_known)
        state_index_remove(&state->clients, (uint32_t)client->id);
    mutex_unlock(&state->lock);
    if (!is_known)
        return; /* another thread came first */
    atomic_fetch_sub(&state->client_count, 1);
    state_client_put(client);
}

/* ---- clients that replace each other ---- */

void state_doom(
    struct state_server *server, struct state_doomed *doomed, struct state_client *client)
{
    if (client == NULL || !state_client_kill_locked(server, client))
        return;
    assert(doomed->count < ARRAY_SIZE(doomed->clients));
    state_client_ref(client);
    doomed->clients[doomed->count++] = client;
}

void state_doomed_drop(struct state_doomed *doomed)
{
    for (size_t i = 0; i < doomed->count; i++) {
        (void)state_client_drop(doomed->clients[i]); /* state_tick() tries again */
        state_client_put(doomed->clients[i]);
    }
}

static uint64_t owner_hash(const struct state_server *server, struct slice owner)
{
    return hash_keyed(&server->state->options.hash_key, owner.data, owner.size);
}

struct state_client *state_client_find(
    struct state_server *server, struct slice owner, bool confirmed, bool is_v40)
{
    struct state_table_node *node = state_table_first(&server->owners, owner_hash(server, owner));
    for (; node != NULL; node = state_table_next(node)) {
        struct state_client *client = CONTAINER_OF(node, struct state_client, owner_node);
        if (client->confirmed == confirmed && (client->v40 != NULL) == is_v40 &&
            slice_equal(client->owner, owner))
            return client;
    }
    return NULL;
}

struct state_client *state_client_add_unconfirmed(struct state_server *server,
    const struct state_exchange_id *args, struct state_client_v40 *v40, uint64_t now_ms,
    struct state_doomed *doomed)
{
    struct state *state = server->state;
    struct state_client *replaced = state_client_find(server, args->owner, false, v40 != NULL);
    struct state_client *evicted = NULL;
    if (replaced == NULL &&
        atomic_load(&state->unconfirmed_count) >= state->options.client_unconfirmed_max) {
        /* An honest client confirms within a round trip, so the oldest is the likeliest to be
         * abandoned. */
        if (list_is_empty(&server->unconfirmed))
            return NULL;
        evicted = LIST_ENTRY(server->unconfirmed.next, struct state_client, unconfirmed_node);
    }
    struct state_client *client = client_new(server, args, now_ms);
    if (client == NULL)
        return NULL;
    client->v40 = v40;
    state_doom(server, doomed, evicted);
    state_doom(server, doomed, replaced);
    state_table_add(&server->owners, &client->owner_node, owner_hash(server, args->owner));
    list_add_tail(&server->unconfirmed, &client->unconfirmed_node);
    atomic_fetch_add(&state->unconfirmed_count, 1);
    return client;
}

struct state_client *state_client_confirm(struct state_server *server, struct state_client *client)
{
    struct state_client *predecessor =
        state_client_find(server, client->owner, true, client->v40 != NULL);
    if (predecessor != NULL) {
        state_client_ref(predecessor);
        (void)state_client_kill_locked(server, predecessor); /* it was in the table: not dead */
    }
    client->confirmed = true;
    list_remove(&client->unconfirmed_node);
    atomic_fetch_sub(&server->state->unconfirmed_count, 1);
    return predecessor;
}

/* ---- EXCHANGE_ID ---- */

static void exchanged_fill(const struct state_client *client, struct state_exchanged *out)
{
    *out = (struct state_exchanged){
        .clientid = client->id,
        .sequenceid = client->create_sequenceid,
        .confirmed = client->confirmed,
    };
}

/* Cases 6 to 9 of RFC 8881 section 18.35.4. */
static enum state_status exchange_update(const struct state_client *confirmed,
    const struct state_exchange_id *args, struct state_exchanged *out)
{
    if (confirmed == NULL)
        return STATE_NOENT;
    if (memcmp(confirmed->verifier, args->verifier, STATE_VERIFIER_SIZE) != 0)
        return STATE_NOT_SAME;
    if (!slice_equal(confirmed->principal, args->principal))
        return STATE_PERM;
    exchanged_fill(confirmed, out);
    return STATE_OK;
}

/* Cases 1 to 5. */
static enum state_status exchange_new_locked(struct state_server *server,
    const struct state_exchange_id *args, uint64_t now_ms, struct state_doomed *doomed,
    struct state_exchanged *out) REQUIRES(server->lock)
{
    struct state_client *confirmed = state_client_find(server, args->owner, true, false);
    bool collides = confirmed != NULL && !slice_equal(confirmed->principal, args->principal);
    if (collides && state_client_is_in_use(confirmed) &&
        !state_client_is_expired(confirmed, now_ms))
        return STATE_CLID_INUSE; /* case 3 */
    if (confirmed != NULL && !collides &&
        memcmp(confirmed->verifier, args->verifier, STATE_VERIFIER_SIZE) == 0) {
        exchanged_fill(confirmed, out); /* case 2 */
        return STATE_OK;
    }
    struct state_client *client =
        state_client_add_unconfirmed(server, args, NULL, now_ms, doomed); /* cases 1 and 4 */
    if (client == NULL)
        return STATE_DELAY;
    if (collides)
        state_doom(
            server, doomed, confirmed); /* 3; in case 5 it stays until the new one is confirmed */
    exchanged_fill(client, out);
    return STATE_OK;
}

enum state_status state_exchange_id(struct state_server *server,
    const struct state_exchange_id *args, uint64_t now_ms, struct state_exchanged *out)
{
    if (args->owner.size == 0 || args->owner.size > STATE_OWNER_SIZE_MAX ||
        args->principal.size > STATE_PRINCIPAL_MAX)
        return STATE_INVAL;
    struct state_doomed doomed = { .count = 0 };
    enum state_status status;
    mutex_lock(&server->lock);
    if (args->update)
        status = exchange_update(state_client_find(server, args->owner, true, false), args, out);
    else
        status = exchange_new_locked(server, args, now_ms, &doomed, out);
    mutex_unlock(&server->lock);
    state_doomed_drop(&doomed);
    return status;
}

enum state_status state_destroy_clientid(
    struct state_server *server, uint64_t clientid, struct slice principal, uint64_t now_ms)
{
    struct state_client *client = state_client_get(server, clientid);
    if (client == NULL)
        return STATE_STALE_CLIENTID;
    enum state_status status = STATE_OK;
    mutex_lock(&server->lock);
    /* One that was not confirmed in time is gone but for the next state_tick(). */
    bool is_gone = client->dead || (!client->confirmed && state_client_is_expired(client, now_ms));
    if (is_gone)
        status = STATE_STALE_CLIENTID;
    else if (!slice_equal(client->principal, principal))
        status = STATE_CLID_INUSE;
    else if (state_client_is_in_use(client))
        status = STATE_CLIENTID_BUSY;
    else
        (void)state_client_kill_locked(server, client); /* it was not dead */
    mutex_unlock(&server->lock);
    if (status == STATE_OK)
        (void)state_client_drop(
            client); /* it holds nothing; state_tick() tries again with its records */
    state_client_put(client);
    return status;
}
