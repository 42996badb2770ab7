/*
 * state/open.c - OPEN, OPEN_DOWNGRADE, CLOSE, and what I/O a stateid allows (room: state).
 */
#include "state/open.h"

#include <stdlib.h>

#include "state/internal.h"

/* ---- whether anything may be opened now ---- */

enum state_status state_open_permitted(
    const struct state_caller *caller, struct state_files *files, bool reclaim)
{
    struct state_client *client = caller->client;
    if (client == NULL)
        return STATE_STALE_CLIENTID; /* version 4.0, out of turn */
    mutex_lock(&client->lock);
    bool complete =
        client->reclaim_complete; /* never in version 4.0, which has no such operation */
    mutex_unlock(&client->lock);
    if (files->in_grace)
        state_recovery_end(files, caller->now_ms); /* if the time is over */
    if (reclaim) {
        /* RFC 8881 section 18.51.3: after RECLAIM_COMPLETE there is no reclaim any more. */
        enum state_status status = complete ? STATE_NO_GRACE : state_recovery_check(files, client);
        if (status != STATE_OK)
            return status;
    } else if (files->in_grace || (!complete && client->v40 == NULL)) {
        return STATE_GRACE;
    }
    return state_record_ensure(client, files);
}

/* ---- OPEN ---- */

static uint64_t open_hash(const struct state_owner *owner, const struct state_file_key *key)
{
    return hash_u64(state_file_hash(key) + owner->client_node.hash);
}

static struct state_open *open_of_owner_locked(struct state_client *client,
    const struct state_owner *owner, const struct state_file_ref *file) REQUIRES(client->lock)
{
    if (owner == NULL)
        return NULL;
    struct state_table_node *node =
        state_table_first(&client->opens_by_file, open_hash(owner, &file->key));
    for (; node != NULL; node = state_table_next(node)) {
        struct state_open *open = CONTAINER_OF(node, struct state_open, by_file_node);
        if (open->owner == owner && state_open_is_of(open, file))
            return open;
    }
    return NULL;
}

struct state_file *state_file_new(struct state_shard *shard, const struct state_file_ref *ref)
{
    struct state_file *file = calloc(1, sizeof *file);
    if (file == NULL)
        return NULL;
    file->key = ref->key;
    file->files = ref->files;
    file->shard = shard;
    list_init(&file->opens);
    list_init(&file->delegs);
    list_init(&file->lock_waiters);
    state_table_add(&shard->table, &file->shard_node, state_file_hash(&ref->key));
    return file;
}

void state_file_drop_unused(struct state_shard *shard, struct state_file *file)
{
    if (!list_is_empty(&file->opens) || !list_is_empty(&file->delegs))
        return;
    state_lock_waiters_drop(file);
    assert(file->ranges.root == NULL);
    assert((file->reader_count | file->writer_count) == 0);
    assert((file->deny_read_count | file->deny_write_count) == 0);
    state_table_remove(&shard->table, &file->shard_node);
    free(file);
}

/* What an open is to the delegations of others. */
static enum state_deleg_use use_of(uint32_t access, uint32_t deny)
{
    return (access & STATE_SHARE_WRITE) != 0 || deny != 0 ? STATE_USE_CHANGE : STATE_USE_READ;
}

/* Puts a new open on its file, if the others there allow it. The shard is the file's, which the checker of
 * locks cannot see. */
static enum state_status open_attach(struct state_open *open, const struct state_file_ref *ref,
    uint64_t now_ms, struct state_client **out_rival) NO_LOCK_CHECK;
static enum state_status open_attach(struct state_open *open, const struct state_file_ref *ref,
    uint64_t now_ms, struct state_client **out_rival)
{
    struct state_shard *shard = state_shard_of(ref->files, &ref->key);
    enum state_status status = STATE_DELAY;
    mutex_lock(&shard->lock);
    struct state_file *file = state_file_find(shard, &ref->key);
    if (file == NULL)
        file = state_file_new(shard, ref);
    if (file != NULL) {
        status = state_share_check(file, NULL, open->access, open->deny, now_ms, out_rival);
        if (status == STATE_OK)
            status = state_deleg_conflict(
                file, open->client->id, use_of(open->access, open->deny), now_ms, out_rival);
        if (status == STATE_OK) {
            state_share_count(file, open->access, open->deny, 1);
            list_add_tail(&file->opens, &open->file_node);
            open->file = file;
        }
    }
    mutex_unlock(&shard->lock);
    return status;
}

/* Takes an open off its file, and the file away that nobody has open. */
static void open_detach(struct state_open *open) NO_LOCK_CHECK; /* as open_attach() */
static void open_detach(struct state_open *open)
{
    struct state_file *file = open->file;
    struct state_shard *shard = file->shard;
    mutex_lock(&shard->lock);
    state_share_count(file, open->access, open->deny, -1);
    list_remove(&open->file_node);
    state_file_drop_unused(shard, file);
    mutex_unlock(&shard->lock);
}

/* What an open counts for: it may be the first of its file. */
#define OPEN_COST \
    (sizeof(struct state_open) + sizeof(struct state_file) + sizeof(struct state_index_entry))

/* An open that is nowhere yet. */
static enum state_status open_alloc(struct state_client *client, const struct state_open_args *args,
    struct state_open **out_open) REQUIRES(client->lock)
{
    struct state *state = client->server->state;
    if (client->open_count >= state->options.open_per_client_max)
        return STATE_DQUOT;
    if (!state_memory_take(state, OPEN_COST))
        return STATE_DELAY;
    struct state_open *open = calloc(1, sizeof *open);
    if (open == NULL) {
        state_memory_give(state, OPEN_COST);
        return STATE_DELAY;
    }
    open->client = client;
    open->access = args->access;
    open->deny = args->deny;
    list_init(&open->lock_states);
    *out_open = open;
    return STATE_OK;
}

static void open_free(struct state_open *open)
{
    state_memory_give(open->client->server->state, OPEN_COST);
    free(open);
}

static enum state_status open_new_locked(struct state_client *client,
    const struct state_open_args *args, uint64_t now_ms, struct state_client **out_rival,
    struct state_open **out_open) REQUIRES(client->lock)
{
    struct state_open *open;
    enum state_status status = open_alloc(client, args, &open);
    if (status != STATE_OK)
        return status;
    status = state_owner_use(client, STATE_OPEN_OWNER, args->owner, &open->owner);
    if (status != STATE_OK)
        goto out_open;
    status = STATE_DELAY;
    if (state_handle_add(client, &open->handle, STATE_HANDLE_OPEN) < 0)
        goto out_owner;
    status = open_attach(open, &args->file, now_ms, out_rival);
    if (status != STATE_OK)
        goto out_handle;
    state_table_add(
        &client->opens_by_file, &open->by_file_node, open_hash(open->owner, &args->file.key));
    list_add_tail(&client->opens, &open->client_node);
    client->open_count++;
    atomic_fetch_add(&client->server->state->open_count, 1);
    *out_open = open;
    return STATE_OK;

out_handle:
    state_index_remove(&client->handles, open->handle.id);
out_owner:
    state_owner_unuse(client, open->owner);
out_open:
    open_free(open);
    return status;
}

/* Gives an open another access and deny; what it loses needs no check. */
static enum state_status open_change_locked(struct state_client *client, struct state_open *open,
    uint32_t access, uint32_t deny, uint64_t now_ms, struct state_client **out_rival)
    REQUIRES(client->lock)
{
    assert(open->client == client);
    struct state_file *file = open->file;
    mutex_lock(&file->shard->lock);
    enum state_status status = STATE_OK;
    if ((access & ~open->access) != 0 || (deny & ~open->deny) != 0) {
        status = state_share_check(file, open, access, deny, now_ms, out_rival);
        if (status == STATE_OK)
            status =
                state_deleg_conflict(file, client->id, use_of(access, deny), now_ms, out_rival);
    }
    if (status == STATE_OK) {
        state_share_count(file, open->access, open->deny, -1);
        state_share_count(file, access, deny, 1);
        open->access = access;
        open->deny = deny;
    }
    mutex_unlock(&file->shard->lock);
    return status;
}

/* Notes what the user is permitted; the first one that opens it stands for all its OPENs. */
static void open_permit(struct state_open *open, const struct state_open_args *args)
{
    if (!args->has_user || (open->user_access != 0 && open->user != args->user))
        return;
    open->user = args->user;
    open->user_access |= args->access;
}

static enum state_status open_locked(struct state_client *client,
    const struct state_open_args *args, uint64_t now_ms, struct state_client **out_rival,
    struct state_opened *out) REQUIRES(client->lock)
{
    if (client->dead)
        return STATE_EXPIRED;
    if (!state_record_is_put(client, args->file.files))
        return STATE_DELAY; /* it was trimmed since state_open_permitted() */
    struct state_owner *owner = state_owner_find(client, STATE_OPEN_OWNER, args->owner);
    struct state_open *open = open_of_owner_locked(client, owner, &args->file);
    struct state_opened opened = { .is_new = open == NULL };
    enum state_status status;
    if (open == NULL) {
        status = open_new_locked(client, args, now_ms, out_rival, &open);
    } else if (state_share_conflicts(args->access, args->deny, open->access, open->deny)) {
        return STATE_SHARE_DENIED; /* its own deny counts, too: RFC 7530 section 9.9, 8881 section 9.7 */
    } else {
        opened.access_before = open->access;
        opened.deny_before = open->deny;
        opened.history_before = open->history;
        opened.user_access_before = open->user_access;
        status = open_change_locked(
            client, open, open->access | args->access, open->deny | args->deny, now_ms, out_rival);
    }
    if (status != STATE_OK)
        return status;
    if (args->reclaim && open->owner->v40 != NULL)
        open->owner->v40->is_confirmed = true; /* RFC 7530 section 16.18.5 */
    open_permit(open, args);
    open->history |= state_share_bit(args->access, args->deny);
    state_handle_bump(&open->handle);
    state_handle_stateid(client, &open->handle, &opened.stateid);
    *out = opened;
    return STATE_OK;
}

static bool open_args_are_valid(const struct state_open_args *args)
{
    return args->access >= STATE_SHARE_READ && args->access <= STATE_SHARE_BOTH &&
           args->deny <= STATE_SHARE_BOTH && args->owner.size <= STATE_OWNER_SIZE_MAX;
}

enum state_status state_open(
    const struct state_caller *caller, const struct state_open_args *args, struct state_opened *out)
{
    if (!open_args_are_valid(args))
        return STATE_INVAL;
    struct state_files *files = args->file.files;
    struct state_client *client = caller->client;
    enum state_status status = state_open_permitted(caller, files, args->reclaim);
    if (status != STATE_OK)
        return status;
    int err = files->ops->hold(files->context, args->file.key);
    if (err < 0)
        return err == -ESTALE ? STATE_STALE : STATE_DELAY;

    struct state_client *rival;
    do {
        rival = NULL;
        mutex_lock(&client->lock);
        status = open_locked(client, args, caller->now_ms, &rival, out);
        mutex_unlock(&client->lock);
        if (rival != NULL)
            status = state_rival_expire(rival, caller->now_ms);
    } while (rival != NULL && status == STATE_OK);

    if (status != STATE_OK || !out->is_new) /* one hold for each open */
        files->ops->release(files->context, args->file.key);
    return status;
}

/* ---- what ends or narrows an open ---- */

void state_open_drop(struct state_client *client, struct state_open *open)
{
    LIST_FOR_EACH_SAFE(node, &open->lock_states)
    {
        state_lock_state_drop(client, LIST_ENTRY(node, struct state_lock_state, open_node));
    }
    open_detach(open);
    state_table_remove(&client->opens_by_file, &open->by_file_node);
    list_remove(&open->client_node);
    client->open_count--;
    atomic_fetch_sub(&client->server->state->open_count, 1);
    if (open->handle.id != STATE_INDEX_NONE)
        state_index_remove(&client->handles, open->handle.id);
    state_owner_unuse(client, open->owner);
    open_free(open);
}

void state_open_revert(const struct state_caller *caller, const struct state_open_args *args,
    const struct state_opened *opened)
{
    struct state_client *client = caller->client;
    struct state_files *files = args->file.files;
    struct state_open *open;
    bool dropped = false;
    mutex_lock(&client->lock);
    /* An OPEN, CLOSE or DOWNGRADE that came after it stands for itself: then nothing is taken back. */
    if (state_open_find(client, &args->file, &opened->stateid, &open) == STATE_OK) {
        dropped = opened->is_new;
        if (dropped) {
            state_open_drop(client, open);
        } else {
            struct state_client *rival = NULL;
            enum state_status status = open_change_locked(
                client, open, opened->access_before, opened->deny_before, caller->now_ms, &rival);
            assert(status == STATE_OK && rival == NULL);
            open->history = opened->history_before;
            open->user_access = opened->user_access_before;
            open->handle.seqid = open->handle.seqid == 1 ? UINT32_MAX : open->handle.seqid - 1;
        }
    }
    mutex_unlock(&client->lock);
    if (dropped)
        files->ops->release(files->context, args->file.key);
}

static enum state_status downgrade_locked(struct state_client *client,
    const struct state_file_ref *file, const struct state_stateid *stateid, uint32_t access,
    uint32_t deny, struct state_stateid *out_stateid) REQUIRES(client->lock)
{
    struct state_open *open;
    enum state_status status = state_open_find(client, file, stateid, &open);
    if (status != STATE_OK)
        return status;
    uint32_t kept = state_share_downgrade(open->history, access, deny);
    if (kept == 0)
        return STATE_INVAL;
    struct state_client *rival = NULL;
    status = open_change_locked(client, open, access, deny, 0, &rival);
    assert(status == STATE_OK && rival == NULL);
    open->history = kept;
    open->user_access &= access;
    state_handle_bump(&open->handle);
    state_handle_stateid(client, &open->handle, out_stateid);
    return STATE_OK;
}

enum state_status state_open_downgrade(const struct state_caller *caller,
    const struct state_file_ref *file, const struct state_stateid *stateid, uint32_t access,
    uint32_t deny, struct state_stateid *out_stateid)
{
    if (access < STATE_SHARE_READ || access > STATE_SHARE_BOTH || deny > STATE_SHARE_BOTH)
        return STATE_INVAL;
    struct state_client *client;
    enum state_status status = state_caller_of_stateid(caller, stateid, &client);
    if (status != STATE_OK)
        return status;
    mutex_lock(&client->lock);
    status = downgrade_locked(client, file, stateid, access, deny, out_stateid);
    mutex_unlock(&client->lock);
    state_client_put(client);
    return status;
}

static enum state_status close_locked(struct state_client *client,
    const struct state_file_ref *file, const struct state_stateid *stateid,
    struct state_stateid *out_stateid) REQUIRES(client->lock)
{
    struct state_open *open;
    enum state_status status = state_open_find(client, file, stateid, &open);
    if (status != STATE_OK)
        return status;
    *out_stateid = (struct state_stateid){ .seqid = UINT32_MAX }; /* RFC 8881 section 18.2.4 */
    if (client->v40 != NULL) {
        state_handle_bump(&open->handle);
        state_handle_stateid(client, &open->handle, out_stateid);
        state_owner_keep_closed(client, open);
    }
    state_open_drop(client, open);
    return STATE_OK;
}

enum state_status state_close(const struct state_caller *caller, const struct state_file_ref *file,
    const struct state_stateid *stateid, struct state_stateid *out_stateid)
{
    struct state_client *client;
    enum state_status status = state_caller_of_stateid(caller, stateid, &client);
    if (status != STATE_OK)
        return status;
    mutex_lock(&client->lock);
    status = close_locked(client, file, stateid, out_stateid);
    mutex_unlock(&client->lock);
    state_client_put(client);
    if (status == STATE_OK)
        file->files->ops->release(file->files->context, file->key);
    return status;
}

/* ---- I/O ---- */

static enum state_status io_check_special(
    const struct state_caller *caller, const struct state_file_ref *ref, uint32_t access)
{
    struct state_shard *shard = state_shard_of(ref->files, &ref->key);
    struct state_client *rival;
    enum state_status status;
    do {
        rival = NULL;
        status = state_share_check_access(shard, &ref->key, access, caller->now_ms, &rival);
        if (rival != NULL)
            status = state_rival_expire(rival, caller->now_ms);
    } while (rival != NULL && status == STATE_OK);
    return status == STATE_SHARE_DENIED ? STATE_LOCKED : status;
}

static enum state_status io_check_locked(struct state_client *client,
    const struct state_file_ref *file, const struct state_stateid *stateid, enum state_io io,
    struct state_io_grant *out_grant) REQUIRES(client->lock)
{
    struct state_handle *handle;
    enum state_status status = state_handle_find(client, stateid, &handle);
    if (status != STATE_OK)
        return status;
    struct state_io_grant grant = { .by_open = true };
    if (handle->kind == STATE_HANDLE_DELEG) {
        status = state_deleg_io(handle, file, io);
        grant.by_delegation = true;
        if (status == STATE_OK)
            *out_grant = grant;
        return status;
    }
    const struct state_open *open =
        handle->kind == STATE_HANDLE_OPEN
            ? CONTAINER_OF(handle, struct state_open, handle)
            : CONTAINER_OF(handle, struct state_lock_state, handle)->open;
    const struct state_owner_v40 *v40 = open->owner->v40;
    if (!state_open_is_of(open, file) || (v40 != NULL && !v40->is_confirmed))
        return STATE_BAD_STATEID;
    if (io == STATE_IO_WRITE && (open->access & STATE_SHARE_WRITE) == 0)
        return STATE_OPENMODE;
    uint32_t needed = io == STATE_IO_WRITE ? STATE_SHARE_WRITE : STATE_SHARE_READ;
    grant.has_user = (open->user_access & needed) != 0;
    grant.user = open->user;
    *out_grant = grant;
    return STATE_OK;
}

enum state_status state_io_check(const struct state_caller *caller,
    const struct state_file_ref *file, const struct state_stateid *stateid, enum state_io io,
    struct state_io_grant *out_grant)
{
    bool bypasses = state_stateid_is_read_bypass(stateid);
    enum state_status status = STATE_OK;
    if (bypasses || state_stateid_is_anonymous(stateid)) {
        /* The bypass goes round locks of READ; a WRITE with it is an anonymous one. RFC 8881 8.2.3 */
        uint32_t access = io == STATE_IO_READ ? STATE_SHARE_READ : STATE_SHARE_WRITE;
        if (!bypasses || io == STATE_IO_WRITE)
            status = io_check_special(caller, file, access);
        if (status == STATE_OK)
            *out_grant = (struct state_io_grant){ .by_open = false };
        return status;
    }
    struct state_client *client;
    status = state_caller_of_stateid(caller, stateid, &client);
    if (status != STATE_OK)
        return status;
    mutex_lock(&client->lock);
    status = io_check_locked(client, file, stateid, io, out_grant);
    mutex_unlock(&client->lock);
    state_client_put(client);
    return status;
}

bool state_file_has_writer(const struct state_file_ref *ref) NO_LOCK_CHECK
{
    struct state_shard *shard = state_shard_of(ref->files, &ref->key);
    mutex_lock(&shard->lock);
    const struct state_file *file = state_file_find(shard, &ref->key);
    bool found = file != NULL && file->writer_count > 0;
    mutex_unlock(&shard->lock);
    return found;
}
