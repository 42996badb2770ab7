/*
 * state/expire.c - taking away what clients hold: lost leases, conflicts, restarts (room: state).
 *
 * A client goes in three steps, each of which may be repeated, by several threads at once:
 *   1. killed (client.c): no request finds it, none that already runs is given anything more;
 *   2. its recovery records are deleted, durably: no restart gives back what is now taken;
 *   3. sessions, opens and locks are dropped, and the client is forgotten.
 * If step 2 fails it goes on holding its opens; state_tick(), or the next conflict, tries again.
 */
#include "state/internal.h"

#define BATCH_COUNT 32u

void state_client_drop_opens(struct state_client *client)
{
    assert(client->dead);
    for (;;) {
        mutex_lock(&client->lock);
        if (list_is_empty(&client->opens)) {
            mutex_unlock(&client->lock);
            return;
        }
        struct state_open *open = LIST_ENTRY(client->opens.next, struct state_open, client_node);
        struct state_files *files = open->file->files;
        struct state_file_key key = open->file->key;
        state_files_enter_always(files);
        state_open_drop(client, open);
        mutex_unlock(&client->lock);
        files->ops->release(files->context, key);
        state_files_leave(files);
    }
}

int state_client_drop(struct state_client *client)
{
    state_sessions_kill(client);
    int err = state_records_delete(client);
    if (err < 0)
        return err;
    state_client_forget(client);
    return 0;
}

int state_client_expire(struct state_client *client, uint64_t now_ms)
{
    struct state_server *server = client->server;
    mutex_lock(&server->lock);
    bool is_expired = state_client_is_expired(client, now_ms);
    if (is_expired && state_client_kill_locked(server, client))
        atomic_fetch_add(&server->state->expired_count, 1);
    mutex_unlock(&server->lock);
    return is_expired ? state_client_drop(client) : -EAGAIN;
}

enum state_status state_rival_expire(struct state_client *rival, uint64_t now_ms)
{
    int err = state_client_expire(rival, now_ms);
    state_client_put(rival);
    return err == 0 || err == -EAGAIN ? STATE_OK : STATE_DELAY;
}

/* What is dead, was never confirmed in time, or is out of courtesy. */
static bool client_goes(struct state_client *client, uint64_t courtesy_ms, uint64_t now_ms)
{
    if (!state_client_is_expired(client, now_ms))
        return false;
    struct state_server *server = client->server;
    mutex_lock(&server->lock);
    bool goes =
        client->dead || !client->confirmed || state_client_is_expired(client, now_ms - courtesy_ms);
    mutex_unlock(&server->lock);
    return goes;
}

/* One client's turn. */
static void client_tick(struct state_client *client, uint64_t courtesy_ms, uint64_t now_ms)
{
    if (client_goes(client, courtesy_ms, now_ms))
        (void)state_client_expire(client, now_ms); /* what fails is tried again in the next tick */
    else
        state_records_trim(client, now_ms);
}

void state_tick(struct state *state, uint64_t now_ms)
{
    const struct state_options *options = &state->options;
    uint32_t crowd = options->client_count_max - options->client_count_max / 8;
    bool is_crowded =
        atomic_load(&state->client_count) >= crowd ||
        atomic_load(&state->memory_bytes) >= options->memory_max - options->memory_max / 8 ||
        atomic_load(&state->reply_cache_bytes) >=
            options->reply_cache_total_max - options->reply_cache_total_max / 8;
    uint64_t courtesy_ms = is_crowded ? 0 : options->courtesy_ms;
    struct state_client *clients[BATCH_COUNT];
    uint32_t cursor = 0;
    size_t count;
    do {
        count = state_clients_list(state, &cursor, clients, BATCH_COUNT);
        for (size_t i = 0; i < count; i++) {
            client_tick(clients[i], courtesy_ms, now_ms);
            state_client_put(clients[i]);
        }
    } while (count > 0);
    state_delegs_tick(state, now_ms);
    state_slots_tick(state);
    struct state_files *files = NULL;
    while ((files = state_files_next(state, files)) != NULL)
        state_recovery_end(files, now_ms);
}
