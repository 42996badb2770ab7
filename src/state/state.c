/*
 * state/state.c - options, tables and counts of the whole process (room: state).
 */
#include "state/state.h"

#include <stdlib.h>

#include "state/internal.h"

#define SLOT_COUNT_LIMIT 1024u

void state_options_init(struct state_options *out_options)
{
    *out_options = (struct state_options){
        .lease_ms = 90 * 1000,
        .grace_ms = 90 * 1000,
        .courtesy_ms = UINT64_C(24) * 3600 * 1000,
        .client_count_max = 65536,
        .client_unconfirmed_max = 4096,
        .session_count_max = 65536,
        .session_per_client_max = 64,
        .slot_count_max = 64,
        .op_count_max = 128,
        .request_size_max = 1024 * 1024 + 4096,
        .response_size_max = 1024 * 1024 + 4096,
        .response_cached_size_max = 8192,
        .reply_cache_total_max = GIB,
        .owner_per_client_max = 65536,
        .open_per_client_max = 65536,
        .lock_per_client_max = 65536,
        .lock_per_file_max = 1 << 20,
        .deleg_count_max = 65536,
        .deleg_per_client_max = 16384,
        .lock_waiter_max = 16384,
        .memory_max = GIB,
    };
}

static bool options_are_valid(const struct state_options *o)
{
    return o->boot_epoch != 0 && o->lease_ms > 0 && o->grace_ms >= o->lease_ms &&
           o->client_count_max > 0 && o->client_count_max < STATE_INDEX_MASK &&
           o->client_unconfirmed_max > 0 && o->session_count_max > 0 &&
           o->session_per_client_max > 0 && o->slot_count_max > 0 &&
           o->slot_count_max <= SLOT_COUNT_LIMIT && o->op_count_max > 1 &&
           o->request_size_max > 0 && o->response_size_max > 0 && o->reply_cache_total_max > 0 &&
           o->owner_per_client_max > 0 && o->open_per_client_max > 0 &&
           o->lock_per_client_max > 0 && o->lock_per_file_max > 0 && o->memory_max > 0;
}

int state_new(const struct state_options *options, struct state **out_state)
{
    if (!options_are_valid(options))
        return -EINVAL;
    struct state *state = calloc(1, sizeof *state);
    if (state == NULL)
        return -ENOMEM;
    state->sessions = calloc(options->session_count_max, sizeof *state->sessions);
    if (state->sessions == NULL) {
        free(state);
        return -ENOMEM;
    }
    state->options = *options;
    mutex_make(&state->lock);
    mutex_make(&state->conn_lock);
    (void)pthread_cond_init(&state->files_left, NULL);
    state_index_init(&state->clients);
    state_table_init(&state->conns);
    state_delegs_init(&state->delegs);
    list_init(&state->sessions_free);
    list_init(&state->servers);
    list_init(&state->files);
    *out_state = state;
    return 0;
}

void state_free(struct state *state)
{
    if (state == NULL)
        return;
    assert(list_is_empty(&state->servers) && list_is_empty(&state->files));
    assert(atomic_load(&state->memory_bytes) == 0);
    for (uint32_t i = 0; i < state->session_used; i++) {
        struct state_session *session = atomic_load(&state->sessions[i]);
        mutex_unmake(&session->lock);
        free(session);
    }
    free(state->sessions);
    state_index_fini(&state->clients);
    state_table_fini(&state->conns);
    state_delegs_fini(&state->delegs);
    (void)pthread_cond_destroy(&state->files_left);
    mutex_unmake(&state->conn_lock);
    mutex_unmake(&state->lock);
    free(state);
}

bool state_memory_take(struct state *state, size_t bytes)
{
    uint64_t before = atomic_fetch_add(&state->memory_bytes, bytes);
    if (before + bytes <= state->options.memory_max)
        return true;
    atomic_fetch_sub(&state->memory_bytes, bytes);
    return false;
}

void state_memory_give(struct state *state, size_t bytes)
{
    uint64_t before = atomic_fetch_sub(&state->memory_bytes, bytes);
    assert(before >= bytes);
}

uint64_t state_lease_ms(const struct state *state)
{
    return state->options.lease_ms;
}

uint64_t state_reply_cache_bytes(const struct state *state)
{
    return atomic_load_explicit(&state->reply_cache_bytes, memory_order_relaxed);
}

void state_count(struct state *state, uint64_t now_ms, struct state_counts *out_counts)
{
    *out_counts = (struct state_counts){
        .clients = atomic_load(&state->client_count),
        .clients_unconfirmed = atomic_load(&state->unconfirmed_count),
        .sessions = atomic_load(&state->session_count),
        .opens = atomic_load(&state->open_count),
        .lock_ranges = atomic_load(&state->range_count),
        .delegations = atomic_load(&state->delegs.count),
        .delegs_granted = atomic_load(&state->delegs.granted),
        .delegs_recalled = atomic_load(&state->delegs.recalled),
        .delegs_revoked = atomic_load(&state->delegs.revoked),
        .reply_cache_bytes = atomic_load(&state->reply_cache_bytes),
        .memory_bytes = atomic_load(&state->memory_bytes),
        .clients_expired = atomic_load(&state->expired_count),
    };
    mutex_lock(&state->lock);
    for (uint32_t i = 0; i < state->clients.used; i++) {
        const struct state_client *client = state->clients.entries[i].item;
        if (client != NULL && state_client_is_expired(client, now_ms))
            out_counts->clients_courtesy++;
    }
    mutex_unlock(&state->lock);
}

size_t state_clients_list(
    struct state *state, uint32_t *cursor, struct state_client **out_clients, size_t capacity)
{
    size_t count = 0;
    mutex_lock(&state->lock);
    for (; *cursor < state->clients.used && count < capacity; ++*cursor) {
        struct state_client *client = state->clients.entries[*cursor].item;
        if (client == NULL)
            continue;
        state_client_ref(client);
        out_clients[count++] = client;
    }
    mutex_unlock(&state->lock);
    return count;
}
