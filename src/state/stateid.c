/*
 * state/stateid.c - what stateids name, and the rules of their seqids (room: state).
 *
 * other = {clientid (8 bytes: boot epoch, client), handle in the client's table (4 bytes)}, big-endian.
 * RFC 8881 section 8.2.
 */
#include "base/bytes.h"
#include "state/internal.h"

static bool other_is_all(const struct state_stateid *stateid, uint8_t byte)
{
    for (size_t i = 0; i < STATE_OTHER_SIZE; i++)
        if (stateid->other[i] != byte)
            return false;
    return true;
}

bool state_stateid_is_anonymous(const struct state_stateid *stateid)
{
    return stateid->seqid == 0 && other_is_all(stateid, 0);
}

bool state_stateid_is_read_bypass(const struct state_stateid *stateid)
{
    return stateid->seqid == UINT32_MAX && other_is_all(stateid, 0xff);
}

bool state_stateid_is_current(const struct state_stateid *stateid)
{
    return stateid->seqid == 1 && other_is_all(stateid, 0);
}

uint64_t state_stateid_clientid(const struct state_stateid *stateid)
{
    return load_be64(stateid->other);
}

int state_handle_add(
    struct state_client *client, struct state_handle *handle, enum state_handle_kind kind)
{
    handle->kind = kind;
    handle->seqid = 0;
    return state_index_add(&client->handles, handle, &handle->id);
}

void state_handle_bump(struct state_handle *handle)
{
    if (++handle->seqid == 0)
        handle->seqid = 1; /* 0 means "the newest" */
}

void state_handle_stateid(const struct state_client *client, const struct state_handle *handle,
    struct state_stateid *out_stateid)
{
    out_stateid->seqid = handle->seqid;
    store_be64(out_stateid->other, client->id);
    store_be32(out_stateid->other + 8, handle->id);
}

struct state_handle *state_handle_lookup(
    struct state_client *client, const struct state_stateid *stateid)
{
    if (state_stateid_clientid(stateid) != client->id)
        return NULL;
    return state_index_find(&client->handles, load_be32(stateid->other + 8));
}

enum state_status state_handle_find(struct state_client *client,
    const struct state_stateid *stateid, struct state_handle **out_handle)
{
    if (client->dead)
        return STATE_EXPIRED;
    struct state_handle *handle = state_handle_lookup(client, stateid);
    if (handle == NULL || handle->kind == STATE_HANDLE_CLOSED)
        return STATE_BAD_STATEID;
    if (handle->kind == STATE_HANDLE_DELEG &&
        CONTAINER_OF(handle, struct state_deleg, handle)->file == NULL)
        return STATE_DELEG_REVOKED;
    if (stateid->seqid != 0 && stateid->seqid != handle->seqid) {
        /* Seqids wrap, so the sign of the difference tells the older one. */
        bool is_older = (int32_t)(stateid->seqid - handle->seqid) < 0;
        return is_older ? STATE_OLD_STATEID : STATE_BAD_STATEID;
    }
    *out_handle = handle;
    return STATE_OK;
}

bool state_open_is_of(const struct state_open *open, const struct state_file_ref *file)
{
    return open->file->files == file->files && open->file->key.inode == file->key.inode &&
           open->file->key.generation == file->key.generation;
}

enum state_status state_open_find(struct state_client *client, const struct state_file_ref *file,
    const struct state_stateid *stateid, struct state_open **out_open)
{
    struct state_handle *handle;
    enum state_status status = state_handle_find(client, stateid, &handle);
    if (status != STATE_OK)
        return status;
    if (handle->kind != STATE_HANDLE_OPEN)
        return STATE_BAD_STATEID;
    struct state_open *open = CONTAINER_OF(handle, struct state_open, handle);
    if (!state_open_is_of(open, file))
        return STATE_BAD_STATEID;
    *out_open = open;
    return STATE_OK;
}

enum state_status state_caller_of_stateid(const struct state_caller *caller,
    const struct state_stateid *stateid, struct state_client **out_client)
{
    /* Special ones name nobody, and are no ids of an earlier process. RFC 7530 section 9.1.4.4 */
    if (other_is_all(stateid, 0) || other_is_all(stateid, 0xff))
        return STATE_BAD_STATEID;
    uint64_t clientid = state_stateid_clientid(stateid);
    enum state_status status = state_caller_client(caller, clientid, out_client);
    if (status != STATE_STALE_CLIENTID)
        return status;
    /* Version 4.0: of an earlier process (RFC 7530 section 9.1.4.2), or of a client that is none of 4.0 here. */
    bool is_earlier = clientid >> 32 != caller->server->state->options.boot_epoch;
    return is_earlier ? STATE_STALE_STATEID : STATE_BAD_STATEID;
}

enum state_status state_test_stateid(
    const struct state_caller *caller, const struct state_stateid *stateid)
{
    struct state_client *client;
    enum state_status status = state_caller_of_stateid(caller, stateid, &client);
    if (status != STATE_OK)
        return status;
    struct state_handle *handle;
    mutex_lock(&client->lock);
    status = state_handle_find(client, stateid, &handle);
    mutex_unlock(&client->lock);
    state_client_put(client);
    return status;
}

enum state_status state_free_stateid(
    const struct state_caller *caller, const struct state_stateid *stateid)
{
    struct state_client *client;
    enum state_status status = state_caller_of_stateid(caller, stateid, &client);
    if (status != STATE_OK)
        return status;
    struct state_handle *handle;
    mutex_lock(&client->lock);
    status = state_handle_find(client, stateid, &handle);
    if (status == STATE_DELEG_REVOKED) {
        handle = state_handle_lookup(client, stateid);
        (void)state_deleg_drop(client, CONTAINER_OF(handle, struct state_deleg, handle));
        status = STATE_OK;
    } else if (status == STATE_OK) {
        struct state_lock_state *lock_state = CONTAINER_OF(handle, struct state_lock_state, handle);
        if (handle->kind != STATE_HANDLE_LOCK || !list_is_empty(&lock_state->ranges))
            status = STATE_LOCKS_HELD;
        else
            state_lock_state_drop(client, lock_state);
    }
    mutex_unlock(&client->lock);
    state_client_put(client);
    return status;
}
