/*
 * state/owner.c - open owners and lock owners of a client (room: state).
 *
 * In version 4.0 an owner that holds nothing any more is kept idle for a lease, with its last sequence id and reply.
 */
#include <stdlib.h>

#include "state/internal.h"

static uint64_t owner_hash(
    const struct state_client *client, enum state_owner_kind kind, struct slice bytes)
{
    const struct hash_key *key = &client->server->state->options.hash_key;
    return hash_keyed(key, bytes.data, bytes.size) + kind;
}

struct state_owner *state_owner_find(
    struct state_client *client, enum state_owner_kind kind, struct slice bytes)
{
    struct state_table_node *node =
        state_table_first(&client->owners, owner_hash(client, kind, bytes));
    for (; node != NULL; node = state_table_next(node)) {
        struct state_owner *owner = CONTAINER_OF(node, struct state_owner, client_node);
        if (owner->kind == kind && slice_equal(slice_of(owner->bytes, owner->size), bytes))
            return owner;
    }
    return NULL;
}

/* What an owner counts for. */
static size_t owner_cost(const struct state_client *client, size_t size)
{
    size_t cost = sizeof(struct state_owner) + size;
    return client->v40 == NULL ? cost
                               : cost + sizeof(struct state_owner_v40) + STATE_REPLY_SIZE_MAX;
}

static void owner_free(struct state_client *client, struct state_owner *owner)
    REQUIRES(client->lock)
{
    struct state_owner_v40 *v40 = owner->v40;
    state_table_remove(&client->owners, &owner->client_node);
    client->owner_count--;
    state_memory_give(client->server->state, owner_cost(client, owner->size));
    if (v40 != NULL) {
        list_remove(&v40->idle_node);
        if (v40->has_closed)
            state_index_remove(&client->handles, v40->closed.id);
        free(v40->reply);
        free(v40);
    }
    free(owner);
}

/* Forgets owners that have been idle for a lease; at the limit, the one that has been so for longest. */
static void owners_reap(struct state_client *client) REQUIRES(client->lock)
{
    const struct state_options *options = &client->server->state->options;
    uint64_t now_ms = client->renewed_ms;
    bool is_full = client->owner_count >= options->owner_per_client_max;
    LIST_FOR_EACH_SAFE(node, &client->owners_idle)
    {
        struct state_owner_v40 *v40 = LIST_ENTRY(node, struct state_owner_v40, idle_node);
        if (!is_full && (int64_t)(now_ms - v40->idle_since_ms) <= (int64_t)options->lease_ms)
            return;
        owner_free(client, v40->owner);
        is_full = false;
    }
}

/* NULL: no memory. */
static struct state_owner *owner_alloc(
    const struct state_client *client, enum state_owner_kind kind, struct slice bytes)
{
    struct state_owner *owner = calloc(1, sizeof *owner + bytes.size);
    if (owner == NULL)
        return NULL;
    if (client->v40 != NULL) {
        owner->v40 = calloc(1, sizeof *owner->v40);
        if (owner->v40 == NULL) {
            free(owner);
            return NULL;
        }
        owner->v40->owner = owner;
        owner->v40->is_confirmed = kind == STATE_LOCK_OWNER;
        list_init(&owner->v40->idle_node);
    }
    owner->kind = kind;
    owner->size = bytes.size;
    if (bytes.size > 0)
        memcpy(owner->bytes, bytes.data, bytes.size);
    return owner;
}

static enum state_status owner_new(struct state_client *client, enum state_owner_kind kind,
    struct slice bytes, struct state_owner **out_owner) REQUIRES(client->lock)
{
    struct state *state = client->server->state;
    owners_reap(client);
    if (client->owner_count >= state->options.owner_per_client_max)
        return STATE_DQUOT;
    size_t cost = owner_cost(client, bytes.size);
    if (!state_memory_take(state, cost))
        return STATE_DELAY;
    struct state_owner *owner = owner_alloc(client, kind, bytes);
    if (owner == NULL) {
        state_memory_give(state, cost);
        return STATE_DELAY;
    }
    state_table_add(&client->owners, &owner->client_node, owner_hash(client, kind, bytes));
    client->owner_count++;
    *out_owner = owner;
    return STATE_OK;
}

void state_owner_ref(struct state_owner *owner)
{
    if (owner->use_count++ == 0 && owner->v40 != NULL)
        list_remove(&owner->v40->idle_node);
}

enum state_status state_owner_use(struct state_client *client, enum state_owner_kind kind,
    struct slice bytes, struct state_owner **out_owner)
{
    struct state_owner *owner = state_owner_find(client, kind, bytes);
    enum state_status status = STATE_OK;
    if (owner == NULL)
        status = owner_new(client, kind, bytes, &owner);
    if (status != STATE_OK)
        return status;
    state_owner_ref(owner);
    *out_owner = owner;
    return STATE_OK;
}

void state_owner_unuse(struct state_client *client, struct state_owner *owner)
{
    assert(owner->use_count > 0);
    if (--owner->use_count > 0)
        return;
    if (owner->v40 == NULL || client->dead) {
        owner_free(client, owner);
        return;
    }
    owner->v40->idle_since_ms = client->renewed_ms;
    list_add_tail(&client->owners_idle, &owner->v40->idle_node);
}

void state_owner_forget(struct state_client *client, struct state_owner *owner)
{
    assert(owner->use_count > 0);
    if (--owner->use_count == 0)
        owner_free(client, owner);
}

void state_owners_forget_idle(struct state_client *client)
{
    LIST_FOR_EACH_SAFE(node, &client->owners_idle)
    {
        owner_free(client, LIST_ENTRY(node, struct state_owner_v40, idle_node)->owner);
    }
}

void state_owner_keep_closed(struct state_client *client, struct state_open *open)
{
    struct state_owner_v40 *v40 = open->owner->v40;
    if (v40->has_closed)
        state_index_remove(&client->handles, v40->closed.id);
    v40->has_closed = true;
    v40->closed = open->handle;
    v40->closed.kind = STATE_HANDLE_CLOSED;
    state_index_replace(&client->handles, open->handle.id, &v40->closed);
    open->handle.id = STATE_INDEX_NONE;
}
