/*
 * state/lock.c - LOCK, LOCKT, LOCKU (room: state).
 */
#include "state/lock.h"

#include <stdlib.h>

#include "state/internal.h"

#define SPARES_OF_LOCK   2u /* the new range, and half of one that it splits */
#define SPARES_OF_UNLOCK 1u
#define SPLIT_SHARE      8u /* of the limit of ranges: so many more may come from splits */

/* ---- lock states ---- */

static struct state_lock_state *lock_state_alloc(struct state_client *client)
{
    if (!state_memory_take(client->server->state, sizeof(struct state_lock_state)))
        return NULL;
    struct state_lock_state *lock_state = calloc(1, sizeof *lock_state);
    if (lock_state == NULL)
        state_memory_give(client->server->state, sizeof *lock_state);
    return lock_state;
}

static void lock_state_free(const struct state_client *client, struct state_lock_state *lock_state)
{
    state_memory_give(client->server->state, sizeof *lock_state);
    free(lock_state);
}

void state_lock_state_drop(struct state_client *client, struct state_lock_state *lock_state)
{
    struct state_file *file = lock_state->open->file;
    mutex_lock(&file->shard->lock);
    uint32_t count = state_range_drop(file, lock_state);
    file->range_count -= count;
    if (count > 0)
        state_lock_freed(file);
    mutex_unlock(&file->shard->lock);
    client->range_count -= count;
    atomic_fetch_sub(&client->server->state->range_count, count);
    state_memory_give(client->server->state, count * sizeof(struct state_range));
    list_remove(&lock_state->open_node);
    client->lock_state_count--;
    state_index_remove(&client->handles, lock_state->handle.id);
    state_owner_unuse(client, lock_state->owner);
    lock_state_free(client, lock_state);
}

/* The lock state of an owner through an open, made if need be. Errors: STATE_DQUOT, STATE_DELAY. */
static enum state_status lock_state_use_locked(struct state_client *client, struct state_open *open,
    struct slice owner_bytes, struct state_lock_state **out_lock_state) REQUIRES(client->lock)
{
    struct state_owner *owner = state_owner_find(client, STATE_LOCK_OWNER, owner_bytes);
    LIST_FOR_EACH(node, &open->lock_states)
    {
        struct state_lock_state *known = LIST_ENTRY(node, struct state_lock_state, open_node);
        if (known->owner == owner) {
            *out_lock_state = known;
            return STATE_OK;
        }
    }
    if (client->lock_state_count >= client->server->state->options.lock_per_client_max)
        return STATE_DQUOT;
    struct state_lock_state *lock_state = lock_state_alloc(client);
    if (lock_state == NULL)
        return STATE_DELAY;
    enum state_status status =
        state_owner_use(client, STATE_LOCK_OWNER, owner_bytes, &lock_state->owner);
    if (status != STATE_OK) {
        lock_state_free(client, lock_state);
        return status;
    }
    if (state_handle_add(client, &lock_state->handle, STATE_HANDLE_LOCK) < 0) {
        state_owner_unuse(client, lock_state->owner);
        lock_state_free(client, lock_state);
        return STATE_DELAY;
    }
    lock_state->open = open;
    list_init(&lock_state->ranges);
    list_add_tail(&open->lock_states, &lock_state->open_node);
    client->lock_state_count++;
    *out_lock_state = lock_state;
    return STATE_OK;
}

static enum state_status lock_state_find_locked(struct state_client *client,
    const struct state_file_ref *file, const struct state_stateid *stateid,
    struct state_lock_state **out_lock_state) REQUIRES(client->lock)
{
    struct state_handle *handle;
    enum state_status status = state_handle_find(client, stateid, &handle);
    if (status != STATE_OK)
        return status;
    if (handle->kind != STATE_HANDLE_LOCK)
        return STATE_BAD_STATEID;
    struct state_lock_state *lock_state = CONTAINER_OF(handle, struct state_lock_state, handle);
    if (!state_open_is_of(lock_state->open, file))
        return STATE_BAD_STATEID;
    *out_lock_state = lock_state;
    return STATE_OK;
}

/* `reserved`: the ranges for which memory was taken. */
static void range_count_add(struct state_client *client, int change, int reserved)
    REQUIRES(client->lock)
{
    assert(change <= reserved);
    client->range_count += (uint32_t)change;
    atomic_fetch_add(&client->server->state->range_count, (uint64_t)(int64_t)change);
    state_memory_give(
        client->server->state, (size_t)(reserved - change) * sizeof(struct state_range));
}

/* The client behind a conflicting range, with a reference, if its lease is over; else NULL. */
static struct state_client *rival_of(const struct state_range *conflict, uint64_t now_ms)
{
    struct state_client *rival = conflict->lock_state->open->client;
    if (!state_client_is_expired(rival, now_ms))
        return NULL;
    state_client_ref(rival);
    return rival;
}

/* ---- LOCK ---- */

struct lock_attempt {
    const struct state_lock_args *args;
    uint64_t now_ms;
    struct list spares;
    struct state_client *rival; /* stands in the way, and can be expired */
    struct state_stateid stateid;
    struct state_lock_denied *denied;
};

/* One of a file's ranges when it has no room for more; else NULL. */
static struct state_range *range_over_limit(const struct state_file *file, uint32_t range_max)
{
    uint32_t option = file->files->state->options.lock_per_file_max;
    if (file->range_count < (range_max == 0 ? option : min_u32(range_max, option)))
        return NULL;
    struct state_interval *first = state_interval_first(&file->ranges, 0, UINT64_MAX);
    assert(first != NULL);
    return CONTAINER_OF(first, struct state_range, interval);
}

/* Checks for conflicts and takes the range. STATE_DENIED: `denied` or `rival` is set. */
static enum state_status lock_take_locked(struct state_client *client,
    struct state_lock_state *lock_state, struct lock_attempt *attempt) REQUIRES(client->lock)
{
    struct state_file *file = lock_state->open->file;
    const struct state_lock_range *range = &attempt->args->range;
    int change = 0;
    mutex_lock(&file->shard->lock);
    struct state_range *conflict =
        state_range_conflict(file, lock_state->owner, range, attempt->now_ms);
    if (conflict == NULL)
        conflict = range_over_limit(file, attempt->args->file_range_max);
    struct slice owner = slice_of(lock_state->owner->bytes, lock_state->owner->size);
    if (conflict == NULL) {
        change = state_range_set(file, lock_state, range, &attempt->spares);
        file->range_count += (uint32_t)change;
        state_lock_wait_end(file, client, owner);
    } else {
        attempt->rival = rival_of(conflict, attempt->now_ms);
        if (attempt->rival == NULL)
            state_range_denied(conflict, attempt->denied);
        if (attempt->rival == NULL && attempt->args->waits)
            state_lock_wait(file, client, owner, attempt->args, attempt->now_ms);
    }
    mutex_unlock(&file->shard->lock);
    range_count_add(client, change, SPARES_OF_LOCK);
    if (conflict != NULL)
        return STATE_DENIED;
    state_handle_bump(&lock_state->handle);
    state_handle_stateid(client, &lock_state->handle, &attempt->stateid);
    return STATE_OK;
}

static bool lock_mode_is_allowed(const struct state_open *open, enum state_lock_type type)
{
    uint32_t needed = type == STATE_LOCK_WRITE ? STATE_SHARE_WRITE : STATE_SHARE_READ;
    return (open->access & needed) != 0;
}

static enum state_status lock_locked(struct state_client *client, struct lock_attempt *attempt)
    REQUIRES(client->lock)
{
    const struct state_lock_args *args = attempt->args;
    struct state_lock_state *lock_state = NULL;
    struct state_open *open = NULL;
    enum state_status status;
    if (args->new_owner) {
        status = state_open_find(client, &args->file, &args->stateid, &open);
    } else {
        status = lock_state_find_locked(client, &args->file, &args->stateid, &lock_state);
        if (status == STATE_OK)
            open = lock_state->open;
    }
    if (status != STATE_OK)
        return status;
    if (!lock_mode_is_allowed(open, args->range.type))
        return STATE_OPENMODE;
    struct state *state = client->server->state;
    if (client->range_count >= state->options.lock_per_client_max)
        return STATE_DQUOT;
    uint32_t lock_states_before = client->lock_state_count;
    if (args->new_owner)
        status = lock_state_use_locked(client, open, args->owner, &lock_state);
    if (status != STATE_OK)
        return status;
    if (state_memory_take(state, SPARES_OF_LOCK * sizeof(struct state_range)))
        status = lock_take_locked(client, lock_state, attempt);
    else
        status = STATE_DELAY;
    if (status != STATE_OK && client->lock_state_count != lock_states_before)
        state_lock_state_drop(client, lock_state); /* it was made for this */
    return status;
}

static enum state_status lock_attempt_run(struct state_client *client, struct lock_attempt *attempt)
{
    enum state_status status;
    do {
        attempt->rival = NULL;
        mutex_lock(&client->lock);
        status = lock_locked(client, attempt);
        mutex_unlock(&client->lock);
        if (attempt->rival != NULL)
            status = state_rival_expire(attempt->rival, attempt->now_ms);
    } while (attempt->rival != NULL && status == STATE_OK);
    return status;
}

enum state_status state_lock(const struct state_caller *caller, const struct state_lock_args *args,
    struct state_stateid *out_stateid, struct state_lock_denied *out_denied)
{
    if (!state_range_is_valid(&args->range) || args->owner.size > STATE_OWNER_SIZE_MAX)
        return STATE_INVAL;
    enum state_status status = state_open_permitted(caller, args->file.files, args->reclaim);
    if (status != STATE_OK)
        return status;
    struct lock_attempt attempt = { .args = args, .now_ms = caller->now_ms, .denied = out_denied };
    list_init(&attempt.spares);
    struct state_client *client;
    status = state_caller_of_stateid(caller, &args->stateid, &client);
    if (status != STATE_OK)
        return status;
    status = STATE_DELAY;
    if (state_range_spares(&attempt.spares, SPARES_OF_LOCK) == 0)
        status = lock_attempt_run(client, &attempt);
    state_range_spares_free(&attempt.spares);
    state_client_put(client);
    if (status == STATE_OK)
        *out_stateid = attempt.stateid;
    return status;
}

/* ---- LOCKT ---- */

/* The shard is the file's, which the checker of locks cannot see. */
static enum state_status lock_test_locked(struct state_client *client, struct slice owner_bytes,
    struct lock_attempt *attempt) NO_LOCK_CHECK;
static enum state_status lock_test_locked(
    struct state_client *client, struct slice owner_bytes, struct lock_attempt *attempt)
{
    const struct state_file_ref *ref = &attempt->args->file;
    const struct state_owner *owner = state_owner_find(client, STATE_LOCK_OWNER, owner_bytes);
    struct state_shard *shard = state_shard_of(ref->files, &ref->key);
    enum state_status status = STATE_OK;
    mutex_lock(&shard->lock);
    struct state_file *file = state_file_find(shard, &ref->key);
    struct state_range *conflict =
        file == NULL ? NULL
                     : state_range_conflict(file, owner, &attempt->args->range, attempt->now_ms);
    if (conflict != NULL) {
        status = STATE_DENIED;
        attempt->rival = rival_of(conflict, attempt->now_ms);
        if (attempt->rival == NULL)
            state_range_denied(conflict, attempt->denied);
    }
    mutex_unlock(&shard->lock);
    return status;
}

enum state_status state_lock_test(const struct state_caller *caller,
    const struct state_file_ref *file, const struct state_lock_range *range, uint64_t clientid,
    struct slice owner, struct state_lock_denied *out_denied)
{
    if (!state_range_is_valid(range) || owner.size > STATE_OWNER_SIZE_MAX)
        return STATE_INVAL;
    if (file->files->in_grace)
        state_recovery_end(file->files, caller->now_ms);
    if (file->files->in_grace)
        return STATE_GRACE;
    struct state_client *client;
    enum state_status status = state_caller_client(caller, clientid, &client);
    if (status != STATE_OK)
        return status;
    const struct state_lock_args args = { .file = *file, .range = *range };
    struct lock_attempt attempt = { .args = &args, .now_ms = caller->now_ms, .denied = out_denied };
    do {
        attempt.rival = NULL;
        mutex_lock(&client->lock);
        status = lock_test_locked(client, owner, &attempt);
        mutex_unlock(&client->lock);
        if (attempt.rival != NULL)
            status = state_rival_expire(attempt.rival, attempt.now_ms);
    } while (attempt.rival != NULL && status == STATE_OK);
    state_client_put(client);
    return status;
}

/* ---- LOCKU ---- */

static enum state_status unlock_locked(struct state_client *client,
    const struct state_file_ref *ref, const struct state_lock_range *range,
    const struct state_stateid *stateid, struct list *spares, struct state_stateid *out_stateid)
    REQUIRES(client->lock)
{
    struct state_lock_state *lock_state;
    enum state_status status = lock_state_find_locked(client, ref, stateid, &lock_state);
    if (status != STATE_OK)
        return status;
    struct state *state = client->server->state;
    struct state_file *file = lock_state->open->file;
    uint32_t range_max = state->options.lock_per_client_max;
    bool is_full = client->range_count >= range_max + range_max / SPLIT_SHARE + 1;
    /* What unlocking needs in memory is little, and not worth to be refused for. */
    atomic_fetch_add(&state->memory_bytes, SPARES_OF_UNLOCK * sizeof(struct state_range));
    int change = 0;
    mutex_lock(&file->shard->lock);
    if (is_full && state_range_would_split(file, lock_state->owner, range))
        status = STATE_DQUOT;
    else
        change = state_range_clear(file, lock_state->owner, range, spares);
    file->range_count += (uint32_t)change;
    state_lock_freed(file);
    mutex_unlock(&file->shard->lock);
    range_count_add(client, change, SPARES_OF_UNLOCK);
    if (status != STATE_OK)
        return status;
    state_handle_bump(&lock_state->handle);
    state_handle_stateid(client, &lock_state->handle, out_stateid);
    return STATE_OK;
}

enum state_status state_unlock(const struct state_caller *caller, const struct state_file_ref *file,
    const struct state_lock_range *range, const struct state_stateid *stateid,
    struct state_stateid *out_stateid)
{
    if (!state_range_is_valid(range))
        return STATE_INVAL;
    struct state_client *client;
    enum state_status status = state_caller_of_stateid(caller, stateid, &client);
    if (status != STATE_OK)
        return status;
    struct list spares;
    list_init(&spares);
    status = STATE_DELAY;
    if (state_range_spares(&spares, SPARES_OF_UNLOCK) == 0) {
        mutex_lock(&client->lock);
        status = unlock_locked(client, file, range, stateid, &spares, out_stateid);
        mutex_unlock(&client->lock);
    }
    state_range_spares_free(&spares);
    state_client_put(client);
    return status;
}
