/*
 * state/v40.c - clients of version 4.0 (room: state).
 *
 * The five cases of RFC 7530 section 16.33.5 with one record per clientid: what a client that is known asks to
 * change (its callback) waits beside what is confirmed, until SETCLIENTID_CONFIRM brings the newer verifier.
 */
#include "state/v40.h"

#include <stdlib.h>

#include "base/bytes.h"
#include "state/internal.h"

/* A verifier that no earlier SETCLIENTID of this client had, and that nobody guesses. */
static void confirm_make(struct state_client *client, uint8_t out_confirm[STATE_CONFIRM_SIZE])
{
    const struct hash_key *key = &client->server->state->options.hash_key;
    const uint64_t words[] = { client->id, ++client->v40->confirm_serial };
    store_be64(out_confirm, hash_keyed(key, words, sizeof words));
}

static bool confirm_equal(const uint8_t a[STATE_CONFIRM_SIZE], const uint8_t b[STATE_CONFIRM_SIZE])
{
    return memcmp(a, b, STATE_CONFIRM_SIZE) == 0;
}

/* A known client asks for another callback: the clientid stays. */
static void update_locked(struct state_client *client, const struct state_setclientid *args,
    struct state_setclientid_done *out)
{
    struct state_client_v40 *v40 = client->v40;
    v40->has_update = true;
    v40->callback_next = *args->callback;
    confirm_make(client, v40->confirm_next);
    out->clientid = client->id;
    memcpy(out->confirm, v40->confirm_next, STATE_CONFIRM_SIZE);
}

static enum state_status setclientid_locked(struct state_server *server,
    const struct state_setclientid *args, uint64_t now_ms, struct state_doomed *doomed,
    struct state_setclientid_done *out, struct state_callback *out_in_use) REQUIRES(server->lock)
{
    struct state_client *confirmed = state_client_find(server, args->owner, true, true);
    bool collides = confirmed != NULL && !slice_equal(confirmed->principal, args->principal);
    if (collides && state_client_is_in_use(confirmed) &&
        !state_client_is_expired(confirmed, now_ms)) {
        *out_in_use = confirmed->v40->callback;
        return STATE_CLID_INUSE;
    }
    if (confirmed != NULL && !collides &&
        memcmp(confirmed->verifier, args->verifier, STATE_VERIFIER_SIZE) == 0) {
        update_locked(confirmed, args, out);
        return STATE_OK;
    }
    struct state_client_v40 *v40 = calloc(1, sizeof *v40);
    if (v40 == NULL)
        return STATE_DELAY;
    const struct state_exchange_id exchange = {
        .owner = args->owner, .verifier = args->verifier, .principal = args->principal
    };
    struct state_client *client =
        state_client_add_unconfirmed(server, &exchange, v40, now_ms, doomed);
    if (client == NULL) {
        free(v40);
        return STATE_DELAY;
    }
    if (collides)
        state_doom(server, doomed, confirmed);
    v40->callback = *args->callback;
    confirm_make(client, v40->confirm);
    out->clientid = client->id;
    memcpy(out->confirm, v40->confirm, STATE_CONFIRM_SIZE);
    return STATE_OK;
}

enum state_status state_setclientid(struct state_server *server,
    const struct state_setclientid *args, uint64_t now_ms, struct state_setclientid_done *out,
    struct state_callback *out_in_use)
{
    if (args->owner.size == 0 || args->owner.size > STATE_OWNER_SIZE_MAX ||
        args->principal.size > STATE_PRINCIPAL_MAX)
        return STATE_INVAL;
    struct state_doomed doomed = { .count = 0 };
    mutex_lock(&server->lock);
    enum state_status status = setclientid_locked(server, args, now_ms, &doomed, out, out_in_use);
    mutex_unlock(&server->lock);
    state_doomed_drop(&doomed);
    return status;
}

/* Gives the predecessor that is replaced, killed, with a reference; or NULL. */
static enum state_status confirm_locked(struct state_server *server, struct state_client *client,
    const uint8_t confirm[STATE_CONFIRM_SIZE], struct slice principal,
    struct state_client **out_predecessor) REQUIRES(server->lock)
{
    struct state_client_v40 *v40 = client->v40;
    bool is_newest = v40->has_update && confirm_equal(confirm, v40->confirm_next);
    if (!is_newest && !confirm_equal(confirm, v40->confirm))
        return STATE_STALE_CLIENTID;
    if (!slice_equal(client->principal, principal))
        return STATE_CLID_INUSE;
    if (is_newest) {
        v40->callback = v40->callback_next;
        memcpy(v40->confirm, v40->confirm_next, STATE_CONFIRM_SIZE);
        v40->has_update = false;
    } else if (!client->confirmed) {
        *out_predecessor = state_client_confirm(server, client);
    }
    return STATE_OK;
}

enum state_status state_setclientid_confirm(struct state_server *server, uint64_t clientid,
    const uint8_t confirm[STATE_CONFIRM_SIZE], struct slice principal, uint64_t now_ms)
{
    struct state_client *client = state_client_get(server, clientid);
    if (client == NULL)
        return STATE_STALE_CLIENTID;
    struct state_client *predecessor = NULL;
    enum state_status status = STATE_STALE_CLIENTID;
    mutex_lock(&server->lock);
    bool is_late = !client->confirmed && state_client_is_expired(client, now_ms);
    if (client->v40 != NULL && !client->dead && !is_late)
        status = confirm_locked(server, client, confirm, principal, &predecessor);
    if (status == STATE_OK)
        atomic_store_explicit(&client->renewed_ms, now_ms, memory_order_relaxed);
    mutex_unlock(&server->lock);
    if (predecessor != NULL) {
        (void)state_client_drop(predecessor); /* state_tick() tries again */
        state_client_put(predecessor);
    }
    if (status == STATE_OK)
        state_recovery_reborn(client, now_ms);
    state_client_put(client);
    return status;
}

enum state_status state_renew(struct state_server *server, uint64_t clientid, uint64_t now_ms)
{
    const struct state_caller caller = { .server = server, .now_ms = now_ms };
    struct state_client *client;
    enum state_status status = state_caller_client(&caller, clientid, &client);
    if (status != STATE_OK)
        return status;
    mutex_lock(&client->lock);
    if (client->deleg_count > 0 && !state_back_is_up(client))
        status = STATE_CB_PATH_DOWN;
    mutex_unlock(&client->lock);
    state_client_put(client);
    return status;
}
