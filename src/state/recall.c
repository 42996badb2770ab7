/*
 * state/recall.c - delegations that are wanted back: recalls to be sent, revocation, CB_RECALL_ANY (room: state).
 *
 * A recall is on the list `due` until the nfs room takes it, then on `waiting` until the delegation is returned, or it is to
 * be tried again, or a lease is over. state/deleg.c puts it there, and says what always holds.
 */
#include <stdlib.h>

#include "state/deleg.h"
#include "state/internal.h"

#define REVOKE_BATCH 32u

void state_delegs_init(struct state_delegs *delegs)
{
    mutex_make(&delegs->lock);
    list_init(&delegs->due);
    list_init(&delegs->waiting);
    list_init(&delegs->notices);
}

void state_delegs_fini(struct state_delegs *delegs)
{
    assert(list_is_empty(&delegs->due) && list_is_empty(&delegs->waiting));
    LIST_FOR_EACH_SAFE(node, &delegs->notices)
    {
        list_remove(node);
        free(LIST_ENTRY(node, struct state_lock_waiter, node));
    }
    mutex_unmake(&delegs->lock);
}

/* ---- recalls ---- */

bool state_recall_next(struct state *state, struct state_recall *out)
{
    struct state_delegs *delegs = &state->delegs;
    bool found = false;
    mutex_lock(&delegs->lock);
    if (!list_is_empty(&delegs->due)) {
        struct state_deleg *deleg = LIST_ENTRY(delegs->due.next, struct state_deleg, recall_node);
        list_remove(&deleg->recall_node);
        list_add_tail(&delegs->waiting, &deleg->recall_node);
        deleg->retry_ms = UINT64_MAX;
        out->clientid = deleg->client->id;
        state_handle_stateid(deleg->client, &deleg->handle, &out->stateid);
        out->fs_tag = deleg->files->tag;
        out->key = deleg->key;
        out->view_tag = deleg->view_tag;
        found = true;
    }
    mutex_unlock(&delegs->lock);
    return found;
}

/* The delegation that a stateid names, while it is on its file; NULL: none. */
static struct state_deleg *deleg_lookup(
    struct state_client *client, const struct state_stateid *stateid) REQUIRES(client->lock)
{
    struct state_handle *handle = state_handle_lookup(client, stateid);
    if (handle == NULL || handle->kind != STATE_HANDLE_DELEG)
        return NULL;
    struct state_deleg *deleg = CONTAINER_OF(handle, struct state_deleg, handle);
    return deleg->file != NULL ? deleg : NULL;
}

void state_recall_sent(
    struct state *state, const struct state_recall *recall, uint64_t now_ms, uint64_t retry_ms)
{
    struct state_client *client = state_client_by_id(state, recall->clientid);
    if (client == NULL)
        return;
    mutex_lock(&client->lock);
    struct state_deleg *deleg = deleg_lookup(client, &recall->stateid);
    if (deleg != NULL) {
        mutex_lock(&state->delegs.lock);
        deleg->retry_ms = retry_ms == UINT64_MAX ? UINT64_MAX : now_ms + retry_ms;
        mutex_unlock(&state->delegs.lock);
    }
    mutex_unlock(&client->lock);
    state_client_put(client);
}

/* Off its file, it remains for its stateid. */
static void deleg_keep_revoked(struct state_client *client, struct state_deleg *deleg)
    REQUIRES(client->lock)
{
    state_deleg_detach(deleg);
    deleg->phase = STATE_DELEG_REVOKED_PHASE;
    client->deleg_count--;
    atomic_fetch_add(&client->revoked_count, 1);
}

static void deleg_revoke(struct state *state, const struct state_recall *late)
{
    struct state_client *client = state_client_by_id(state, late->clientid);
    if (client == NULL)
        return;
    struct state_files *files = NULL;
    mutex_lock(&client->lock);
    struct state_deleg *deleg = deleg_lookup(client, &late->stateid);
    if (deleg != NULL) {
        files = deleg->files;
        state_files_enter_always(files);
        atomic_fetch_add(&state->delegs.revoked, 1);
        if (client->v40 != NULL)
            (void)state_deleg_drop(
                client, deleg); /* 4.0 has no FREE_STATEID: nobody would ever free it */
        else
            deleg_keep_revoked(client, deleg);
    }
    mutex_unlock(&client->lock);
    if (files != NULL) {
        files->ops->release(files->context, late->key);
        state_files_leave(files);
    }
    state_client_put(client);
}

/* Adds the late ones of a list to `late`; makes those due whose time has come again. Gives the new count. */
static size_t recalls_sort_locked(struct state *state, struct list *recalls, uint64_t now_ms,
    struct state_recall late[REVOKE_BATCH], size_t count) REQUIRES(state->delegs.lock)
{
    LIST_FOR_EACH_SAFE(node, recalls)
    {
        struct state_deleg *deleg = LIST_ENTRY(node, struct state_deleg, recall_node);
        if (now_ms > deleg->recalled_ms + state->options.lease_ms) {
            if (count == REVOKE_BATCH)
                break;
            late[count].clientid = deleg->client->id;
            late[count].key = deleg->key;
            state_handle_stateid(deleg->client, &deleg->handle, &late[count++].stateid);
        } else if (recalls == &state->delegs.waiting && deleg->retry_ms <= now_ms) {
            list_remove(&deleg->recall_node);
            list_add_tail(&state->delegs.due, &deleg->recall_node);
        }
    }
    return count;
}

/* Takes note of up to REVOKE_BATCH recalls that are late. */
static size_t recalls_sort(
    struct state *state, uint64_t now_ms, struct state_recall out_late[REVOKE_BATCH])
{
    mutex_lock(&state->delegs.lock);
    size_t count = recalls_sort_locked(state, &state->delegs.due, now_ms, out_late, 0);
    count = recalls_sort_locked(state, &state->delegs.waiting, now_ms, out_late, count);
    mutex_unlock(&state->delegs.lock);
    return count;
}

void state_delegs_tick(struct state *state, uint64_t now_ms)
{
    struct state_recall late[REVOKE_BATCH];
    size_t count;
    do {
        count = recalls_sort(state, now_ms, late);
        for (size_t i = 0; i < count; i++)
            deleg_revoke(state, &late[i]);
    } while (count == REVOKE_BATCH);
}

/* ---- too many ---- */

#define PRESSURE_ROUND_MS 10000u

static bool pressure_begin(struct state *state, uint64_t now_ms)
{
    struct state_delegs *delegs = &state->delegs;
    uint64_t max = state->options.deleg_count_max;
    if (atomic_load(&delegs->count) <= max - max / 8)
        return false;
    mutex_lock(&delegs->lock);
    bool begins = delegs->pressed_ms == 0 || now_ms >= delegs->pressed_ms + PRESSURE_ROUND_MS;
    if (begins)
        delegs->pressed_ms = now_ms;
    mutex_unlock(&delegs->lock);
    return begins;
}

bool state_deleg_pressure(struct state *state, uint64_t now_ms, uint32_t *cursor,
    uint64_t *out_clientid, uint32_t *out_keep_count)
{
    if (*cursor == 0 && !pressure_begin(state, now_ms))
        return false;
    struct state_client *client;
    bool found = false;
    while (!found && state_clients_list(state, cursor, &client, 1) == 1) {
        mutex_lock(&client->lock);
        found = client->deleg_count > 1 && client->v40 == NULL; /* 4.0 has no CB_RECALL_ANY */
        *out_clientid = client->id;
        *out_keep_count = client->deleg_count / 2;
        mutex_unlock(&client->lock);
        state_client_put(client);
    }
    return found;
}
