/*
 * state/deleg.c - delegations: granting, conflicts, returning (room: state). What becomes of a recall: state/recall.c.
 *
 * Invariants:
 *  1. A delegation that is on its file holds the file (ops.hold) and is counted in its summary. A revoked one is
 *     neither, and exists only for its stateid.
 *  2. One that is RECALLED is on one of the two lists of struct state_delegs; others are on none.
 *  3. On one file there is one write delegation and nothing else, or read delegations of different clients.
 */
#include "state/deleg.h"

#include <stdlib.h>

#include "state/internal.h"

#define CONFLICT_MEMORY_S 30u /* so long nobody gets a delegation after a conflict */
#define OPENS_LOOKED_AT   64u /* a file with more opens than that is not delegated */

static struct state_summary *summary_of(struct state_files *files, const struct state_file_key *key)
{
    uint64_t hash = state_file_hash(key);
    struct state_shard *shard = state_shard_of(files, key);
    return &shard->summaries[hash % STATE_SUMMARY_COUNT];
}

bool state_deleg_may_exist(
    struct state_files *files, const struct state_file_key *key, enum state_deleg_use use)
{
    const struct state_summary *summary = summary_of(files, key);
    return atomic_load(use == STATE_USE_READ ? &summary->write_delegs : &summary->delegs) > 0;
}

bool state_files_have_delegs(const struct state_files *files)
{
    return atomic_load(&files->deleg_count) > 0;
}

void state_change_begin(struct state_files *files, const struct state_file_key *key)
{
    atomic_fetch_add(&summary_of(files, key)->changes, 1);
}

void state_change_end(struct state_files *files, const struct state_file_key *key)
{
    uint32_t before = atomic_fetch_sub(&summary_of(files, key)->changes, 1);
    assert(before > 0);
}

struct state_client *state_client_by_id(struct state *state, uint64_t clientid)
{
    if (clientid >> 32 != state->options.boot_epoch)
        return NULL;
    mutex_lock(&state->lock);
    struct state_client *client = state_index_find(&state->clients, (uint32_t)clientid);
    if (client != NULL)
        state_client_ref(client);
    mutex_unlock(&state->lock);
    return client;
}

/* ---- granting ---- */

static void summary_count(struct state_summary *summary, enum state_deleg_kind kind, int change)
{
    atomic_fetch_add(&summary->delegs, (uint32_t)change);
    if (kind == STATE_DELEG_WRITE)
        atomic_fetch_add(&summary->write_delegs, (uint32_t)change);
}

/* Whether the opens of others leave room for a delegation. */
static bool opens_permit(
    const struct state_file *file, const struct state_client *client, enum state_deleg_kind kind)
{
    uint32_t count = 0;
    LIST_FOR_EACH(node, &file->opens)
    {
        const struct state_open *open = LIST_ENTRY(node, struct state_open, file_node);
        if (++count > OPENS_LOOKED_AT)
            return false;
        if (open->client == client)
            continue;
        if (kind == STATE_DELEG_WRITE || (open->access & STATE_SHARE_WRITE) != 0 || open->deny != 0)
            return false;
    }
    return true;
}

/* A file and a time in one word: part of its hash, and seconds of the clock. */
static uint64_t conflict_word(const struct state_file_key *key, uint64_t now_ms)
{
    return (state_file_hash(key) << 24 & ~(uint64_t)UINT32_MAX) | (uint32_t)(now_ms / 1000);
}

static bool conflict_is_recent(
    struct state_files *files, const struct state_file_key *key, uint64_t now_ms)
{
    uint64_t word = conflict_word(key, now_ms);
    uint64_t last = atomic_load_explicit(&summary_of(files, key)->conflict, memory_order_relaxed);
    return last != 0 && last >> 32 == word >> 32 &&
           (uint32_t)word - (uint32_t)last < CONFLICT_MEMORY_S;
}

/* Puts a new delegation on its file. False, and *out_why: it may not be. */
static bool deleg_attach_locked(struct state_deleg *deleg, struct state_file *file,
    struct state_summary *summary, enum state_deleg_why *out_why) REQUIRES(file->shard->lock)
{
    *out_why = STATE_WHY_CONTENTION;
    LIST_FOR_EACH(node, &file->delegs)
    {
        const struct state_deleg *other = LIST_ENTRY(node, struct state_deleg, file_node);
        if (other->client == deleg->client) {
            *out_why = other->kind < deleg->kind ? STATE_WHY_NOT_SUPP_UPGRADE : STATE_WHY_RESOURCE;
            return false;
        }
        if (other->kind == STATE_DELEG_WRITE || deleg->kind == STATE_DELEG_WRITE)
            return false;
    }
    if (!opens_permit(file, deleg->client, deleg->kind))
        return false;
    summary_count(summary, deleg->kind, 1);
    if (atomic_load(&summary->changes) > 0) {
        summary_count(summary, deleg->kind, -1);
        return false;
    }
    atomic_fetch_add(&deleg->files->deleg_count, 1);
    deleg->file = file;
    list_add_tail(&file->delegs, &deleg->file_node);
    return true;
}

/* The shard is the file's, which the checker of locks cannot see. */
static bool deleg_attach(struct state_deleg *deleg, enum state_deleg_why *out_why) NO_LOCK_CHECK;
static bool deleg_attach(struct state_deleg *deleg, enum state_deleg_why *out_why)
{
    struct state_shard *shard = state_shard_of(deleg->files, &deleg->key);
    bool attached = false;
    mutex_lock(&shard->lock);
    struct state_file *file = state_file_find(shard, &deleg->key);
    if (file != NULL) /* else it was closed meanwhile */
        attached = deleg_attach_locked(deleg, file, summary_of(deleg->files, &deleg->key), out_why);
    mutex_unlock(&shard->lock);
    return attached;
}

static bool grant_locked(struct state_client *client, struct state_deleg *deleg,
    enum state_deleg_why *out_why) REQUIRES(client->lock)
{
    struct state *state = client->server->state;
    const struct state_options *options = &state->options;
    *out_why = STATE_WHY_RESOURCE;
    if (client->dead || client->deleg_count >= options->deleg_per_client_max)
        return false;
    if (state_handle_add(client, &deleg->handle, STATE_HANDLE_DELEG) < 0)
        return false;
    if (!deleg_attach(deleg, out_why)) {
        state_index_remove(&client->handles, deleg->handle.id);
        return false;
    }
    state_handle_bump(&deleg->handle);
    list_add_tail(&client->delegs, &deleg->client_node);
    client->deleg_count++;
    atomic_fetch_add(&state->delegs.count, 1);
    atomic_fetch_add(&state->delegs.granted, 1);
    return true;
}

#define DELEG_COST (sizeof(struct state_deleg) + sizeof(struct state_index_entry))

/* NULL: no memory. */
static struct state_deleg *deleg_alloc(struct state *state)
{
    if (!state_memory_take(state, DELEG_COST))
        return NULL;
    struct state_deleg *deleg = calloc(1, sizeof *deleg);
    if (deleg == NULL)
        state_memory_give(state, DELEG_COST);
    return deleg;
}

static void deleg_free(struct state *state, struct state_deleg *deleg)
{
    state_memory_give(state, DELEG_COST);
    free(deleg);
}

bool state_deleg_grant(const struct state_caller *caller, const struct state_deleg_args *args,
    struct state_stateid *out_stateid, enum state_deleg_why *out_why)
{
    struct state_client *client = caller->client;
    struct state_files *files = args->file.files;
    struct state *state = files->state;
    *out_why = STATE_WHY_RESOURCE;
    if (client == NULL || !state_back_is_up(client) ||
        atomic_load(&state->delegs.count) >= state->options.deleg_count_max)
        return false;
    if (!args->reclaim && conflict_is_recent(files, &args->file.key, caller->now_ms)) {
        *out_why = STATE_WHY_CONTENTION;
        return false;
    }
    struct state_deleg *deleg = deleg_alloc(state);
    if (deleg == NULL)
        return false;
    deleg->client = client;
    deleg->files = files;
    deleg->key = args->file.key;
    deleg->view_tag = args->file.view_tag;
    deleg->kind = args->kind;
    deleg->change = args->change;
    deleg->said_change = args->change;
    deleg->said_size_bytes = args->size_bytes;
    deleg->has_times = args->has_times && args->kind == STATE_DELEG_WRITE;
    deleg->atime = deleg->said_atime = args->atime;
    deleg->mtime = deleg->said_mtime = args->mtime;
    list_init(&deleg->recall_node);
    if (files->ops->hold(files->context, args->file.key) < 0) {
        deleg_free(state, deleg);
        return false;
    }
    mutex_lock(&client->lock);
    bool granted = grant_locked(client, deleg, out_why);
    if (granted)
        state_handle_stateid(client, &deleg->handle, out_stateid);
    mutex_unlock(&client->lock);
    if (!granted) {
        files->ops->release(files->context, args->file.key);
        deleg_free(state, deleg);
    }
    return granted;
}

/* ---- taking off ---- */

/* The shard is the file's, which the checker of locks cannot see. */
void state_deleg_detach(struct state_deleg *deleg) NO_LOCK_CHECK
{
    struct state_file *file = deleg->file;
    struct state_shard *shard = file->shard;
    struct state_delegs *delegs = &deleg->files->state->delegs;
    mutex_lock(&shard->lock);
    list_remove(&deleg->file_node);
    deleg->file = NULL;
    atomic_fetch_sub(&deleg->files->deleg_count, 1);
    summary_count(summary_of(deleg->files, &deleg->key), deleg->kind, -1);
    mutex_lock(&delegs->lock);
    list_remove(&deleg->recall_node);
    mutex_unlock(&delegs->lock);
    state_file_drop_unused(shard, file);
    mutex_unlock(&shard->lock);
    atomic_fetch_sub(&delegs->count, 1);
}

bool state_deleg_drop(struct state_client *client, struct state_deleg *deleg)
{
    bool was_held = deleg->file != NULL;
    if (was_held) {
        state_deleg_detach(deleg);
        client->deleg_count--;
    } else {
        atomic_fetch_sub(&client->revoked_count, 1);
    }
    list_remove(&deleg->client_node);
    state_index_remove(&client->handles, deleg->handle.id);
    deleg_free(client->server->state, deleg);
    return was_held;
}

void state_client_drop_delegs(struct state_client *client)
{
    assert(client->dead);
    for (;;) {
        mutex_lock(&client->lock);
        if (list_is_empty(&client->delegs)) {
            mutex_unlock(&client->lock);
            return;
        }
        struct state_deleg *deleg =
            LIST_ENTRY(client->delegs.next, struct state_deleg, client_node);
        struct state_file_key key = deleg->key;
        struct state_files *files = deleg->files;
        bool is_held = deleg->file != NULL; /* else its file system may be gone */
        if (is_held)
            state_files_enter_always(files);
        (void)state_deleg_drop(client, deleg);
        mutex_unlock(&client->lock);
        if (is_held) {
            files->ops->release(files->context, key);
            state_files_leave(files);
        }
    }
}

/* ---- stateids ---- */

static enum state_status deleg_find(struct state_client *client, const struct state_file_ref *file,
    const struct state_stateid *stateid, struct state_deleg **out_deleg) REQUIRES(client->lock)
{
    struct state_handle *handle;
    enum state_status status = state_handle_find(client, stateid, &handle);
    if (status != STATE_OK)
        return status;
    if (handle->kind != STATE_HANDLE_DELEG)
        return STATE_BAD_STATEID;
    struct state_deleg *deleg = CONTAINER_OF(handle, struct state_deleg, handle);
    if (deleg->files != file->files || deleg->key.inode != file->key.inode ||
        deleg->key.generation != file->key.generation)
        return STATE_BAD_STATEID;
    *out_deleg = deleg;
    return STATE_OK;
}

enum state_status state_deleg_check(const struct state_caller *caller,
    const struct state_file_ref *file, const struct state_stateid *stateid,
    enum state_deleg_kind *out_kind)
{
    struct state_client *client;
    enum state_status status = state_caller_of_stateid(caller, stateid, &client);
    if (status != STATE_OK)
        return status;
    struct state_deleg *deleg;
    mutex_lock(&client->lock);
    status = deleg_find(client, file, stateid, &deleg);
    if (status == STATE_OK)
        *out_kind = deleg->kind;
    mutex_unlock(&client->lock);
    state_client_put(client);
    return status;
}

enum state_status state_deleg_return(const struct state_caller *caller,
    const struct state_file_ref *file, const struct state_stateid *stateid)
{
    struct state_client *client;
    enum state_status status = state_caller_of_stateid(caller, stateid, &client);
    if (status != STATE_OK)
        return status;
    struct state_deleg *deleg;
    bool was_held = false;
    mutex_lock(&client->lock);
    status = deleg_find(client, file, stateid, &deleg);
    if (status == STATE_OK)
        was_held = state_deleg_drop(client, deleg);
    mutex_unlock(&client->lock);
    state_client_put(client);
    if (was_held)
        file->files->ops->release(file->files->context, file->key);
    return status;
}

enum state_status state_deleg_io(
    struct state_handle *handle, const struct state_file_ref *file, enum state_io io)
{
    const struct state_deleg *deleg = CONTAINER_OF(handle, struct state_deleg, handle);
    if (deleg->files != file->files || deleg->key.inode != file->key.inode ||
        deleg->key.generation != file->key.generation)
        return STATE_BAD_STATEID;
    return io == STATE_IO_WRITE && deleg->kind != STATE_DELEG_WRITE ? STATE_OPENMODE : STATE_OK;
}

/* ---- conflicts ---- */

static void recall_locked(struct state_deleg *deleg, uint64_t now_ms)
{
    struct state_delegs *delegs = &deleg->files->state->delegs;
    if (deleg->phase != STATE_DELEG_GRANTED)
        return;
    deleg->phase = STATE_DELEG_RECALLED;
    atomic_fetch_add(&delegs->recalled, 1);
    mutex_lock(&delegs->lock);
    deleg->recalled_ms = now_ms;
    list_add_tail(&delegs->due, &deleg->recall_node);
    mutex_unlock(&delegs->lock);
}

/* Who asks, as far as one can know; 0: somebody. */
static uint64_t caller_id(const struct state_caller *caller)
{
    return caller->client != NULL ? caller->client->id : caller->spoken_for;
}

enum state_status state_deleg_conflict(struct state_file *file, uint64_t clientid,
    enum state_deleg_use use, uint64_t now_ms, struct state_client **out_rival)
{
    struct state_client *rival = NULL;
    enum state_status status = STATE_OK;
    LIST_FOR_EACH(node, &file->delegs)
    {
        struct state_deleg *deleg = LIST_ENTRY(node, struct state_deleg, file_node);
        if (deleg->client->id == clientid ||
            (use == STATE_USE_READ && deleg->kind != STATE_DELEG_WRITE))
            continue;
        status = STATE_DELAY;
        if (state_client_is_expired(deleg->client, now_ms))
            rival = deleg->client;
        else
            recall_locked(deleg, now_ms);
    }
    if (status != STATE_OK)
        atomic_store_explicit(&summary_of(file->files, &file->key)->conflict,
            conflict_word(&file->key, now_ms), memory_order_relaxed);
    if (rival != NULL) {
        state_client_ref(rival); /* it cannot be freed before its delegation leaves the file */
        *out_rival = rival;
    }
    return status;
}

/* The shard is the file's, which the checker of locks cannot see. */
static enum state_status clear_once(const struct state_caller *caller,
    const struct state_file_ref *ref, enum state_deleg_use use,
    struct state_client **out_rival) NO_LOCK_CHECK;
static enum state_status clear_once(const struct state_caller *caller,
    const struct state_file_ref *ref, enum state_deleg_use use, struct state_client **out_rival)
{
    struct state_shard *shard = state_shard_of(ref->files, &ref->key);
    enum state_status status = STATE_OK;
    mutex_lock(&shard->lock);
    struct state_file *file = state_file_find(shard, &ref->key);
    if (file != NULL)
        status = state_deleg_conflict(file, caller_id(caller), use, caller->now_ms, out_rival);
    mutex_unlock(&shard->lock);
    return status;
}

enum state_status state_deleg_clear(
    const struct state_caller *caller, const struct state_file_ref *file, enum state_deleg_use use)
{
    struct state_client *rival;
    enum state_status status;
    do {
        rival = NULL;
        if (!state_deleg_may_exist(file->files, &file->key, use))
            return STATE_OK;
        status = clear_once(caller, file, use, &rival);
        if (rival != NULL)
            status = state_rival_expire(rival, caller->now_ms);
    } while (rival != NULL && status == STATE_OK);
    return status;
}

/* ---- CB_GETATTR ---- */

/* The write delegation on a file, or NULL. */
static struct state_deleg *writer_of(struct state_file *file) REQUIRES(file->shard->lock)
{
    if (file == NULL || list_is_empty(&file->delegs))
        return NULL;
    struct state_deleg *deleg = LIST_ENTRY(file->delegs.next, struct state_deleg, file_node);
    return deleg->kind == STATE_DELEG_WRITE ? deleg : NULL; /* invariant 3 */
}

static void writer_fill(const struct state_deleg *deleg, struct state_deleg_writer *out)
{
    *out = (struct state_deleg_writer){ .clientid = deleg->client->id,
        .view_tag = deleg->view_tag,
        .handle = deleg->handle.id,
        .change = deleg->change,
        .said_change = deleg->said_change,
        .said_size_bytes = deleg->said_size_bytes,
        .is_recalled = deleg->phase != STATE_DELEG_GRANTED,
        .has_times = deleg->has_times,
        .atime = deleg->atime,
        .mtime = deleg->mtime,
        .said_atime = deleg->said_atime,
        .said_mtime = deleg->said_mtime };
}

bool state_deleg_writer(const struct state_caller *caller, const struct state_file_ref *file,
    struct state_deleg_writer *out) NO_LOCK_CHECK
{
    struct state_shard *shard = state_shard_of(file->files, &file->key);
    mutex_lock(&shard->lock);
    const struct state_deleg *deleg = writer_of(state_file_find(shard, &file->key));
    bool found = deleg != NULL && deleg->client->id != caller_id(caller);
    if (found)
        writer_fill(deleg, out);
    mutex_unlock(&shard->lock);
    return found;
}

void state_deleg_writer_said(
    const struct state_file_ref *file, const struct state_deleg_writer *writer) NO_LOCK_CHECK
{
    struct state_shard *shard = state_shard_of(file->files, &file->key);
    mutex_lock(&shard->lock);
    struct state_deleg *deleg = writer_of(state_file_find(shard, &file->key));
    if (deleg != NULL && deleg->client->id == writer->clientid &&
        deleg->handle.id == writer->handle) {
        deleg->said_change = writer->said_change;
        deleg->said_size_bytes = writer->said_size_bytes;
        deleg->said_atime = writer->said_atime;
        deleg->said_mtime = writer->said_mtime;
    }
    mutex_unlock(&shard->lock);
}

enum state_status state_deleg_times(const struct state_caller *caller,
    const struct state_file_ref *file, const struct state_stateid *stateid,
    struct state_deleg_writer *out) NO_LOCK_CHECK
{
    enum state_deleg_kind kind;
    enum state_status status = state_deleg_check(caller, file, stateid, &kind);
    if (status != STATE_OK)
        return status;
    struct state_shard *shard = state_shard_of(file->files, &file->key);
    status = STATE_BAD_STATEID; /* also when it was returned just now */
    mutex_lock(&shard->lock);
    const struct state_deleg *deleg = writer_of(state_file_find(shard, &file->key));
    if (deleg != NULL && deleg->has_times && deleg->client->id == state_stateid_clientid(stateid)) {
        writer_fill(deleg, out);
        status = STATE_OK;
    }
    mutex_unlock(&shard->lock);
    return status;
}

void state_deleg_times_begin(const struct state_caller *caller, const struct state_file_ref *file,
    struct state_time atime, struct state_time mtime) NO_LOCK_CHECK
{
    struct state_shard *shard = state_shard_of(file->files, &file->key);
    mutex_lock(&shard->lock);
    struct state_deleg *deleg = writer_of(state_file_find(shard, &file->key));
    if (deleg != NULL && deleg->has_times && deleg->client->id == caller_id(caller)) {
        deleg->atime = deleg->said_atime = atime;
        deleg->mtime = deleg->said_mtime = mtime;
    }
    mutex_unlock(&shard->lock);
}
