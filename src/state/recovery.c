/*
 * state/recovery.c - recovery records and the grace period (room: state).
 *
 * The record of a client in one file system: docs/formats/client-record.md. Its key is the clientid, which makes keys
 * unique, so putting the record of a client and deleting that of its predecessor need no order.
 *
 *   (none) --OPEN or LOCK--> put --nothing held, for a lease; or the client is killed--> (none)
 *                             '--silent for RECORD_LEASES leases--> given up --the client is back--> put
 *
 * A record that is given up is no loss: whoever is silent for so long has lost its lease, which is all that a client may
 * count on (RFC 8881 section 8.3); without it no restart waits for who may never come. What it holds it keeps until a
 * conflict, or a restart.
 */
#include <stdlib.h>

#include "base/bytes.h"
#include "state/internal.h"

#define RECORD_VERSION     2u
#define RECORD_VERSION_OLD 1u /* without kind and verifier */
#define RECORD_KIND_V41    1u
#define RECORD_KIND_V40    2u
#define RECORD_KEY_SIZE    8u
#define RECORD_HEAD_SIZE   (2u + STATE_VERIFIER_SIZE) /* of version 2 */
#define RECORD_PART_COUNT  3u
#define RECORD_VALUE_SIZE_MAX                                                                    \
    (RECORD_HEAD_SIZE + 2 * RECORD_PART_COUNT + STATE_IDENTITY_SIZE_MAX + STATE_OWNER_SIZE_MAX + \
        STATE_PRINCIPAL_MAX)
#define RECORD_LEASES   10u /* of silence, after which a record is given up */
#define LOOKS_PER_LEASE 4u  /* at whether a record is needed */

/* ---- records of this process ---- */

static struct slice record_key(uint8_t key[RECORD_KEY_SIZE], const struct state_client *client)
{
    store_be64(key, client->id);
    return slice_of(key, RECORD_KEY_SIZE);
}

static struct slice record_value(
    uint8_t value[RECORD_VALUE_SIZE_MAX], const struct state_client *client)
{
    const struct state_server *server = client->server;
    struct slice parts[RECORD_PART_COUNT] = { slice_of(server->identity, server->identity_size),
        client->owner, client->principal };
    size_t used = 0;
    value[used++] = RECORD_VERSION;
    value[used++] = client->v40 != NULL ? RECORD_KIND_V40 : RECORD_KIND_V41;
    memcpy(value + used, client->verifier, STATE_VERIFIER_SIZE);
    used += STATE_VERIFIER_SIZE;
    for (size_t i = 0; i < RECORD_PART_COUNT; i++) {
        store_be16(value + used, (uint16_t)parts[i].size);
        used += 2;
        if (parts[i].size > 0)
            memcpy(value + used, parts[i].data, parts[i].size);
        used += parts[i].size;
    }
    assert(used <= RECORD_VALUE_SIZE_MAX);
    return slice_of(value, used);
}

static struct state_record *record_find_locked(
    struct state_client *client, const struct state_files *files) REQUIRES(client->lock)
{
    LIST_FOR_EACH(node, &client->records)
    {
        struct state_record *record = LIST_ENTRY(node, struct state_record, client_node);
        if (record->files == files)
            return record;
    }
    return NULL;
}

static int record_delete(const struct state_client *client, struct state_files *files)
{
    uint8_t key[RECORD_KEY_SIZE];
    return files->ops->record_delete(files->context, record_key(key, client));
}

/* Remembers that a record is about to be written. STATE_OK: write it; or it is there, *out_is_put. */
static enum state_status record_begin(
    struct state_client *client, struct state_files *files, bool *out_is_put)
{
    enum state_status status = STATE_OK;
    mutex_lock(&client->lock);
    struct state_record *record = record_find_locked(client, files);
    if (client->dead) {
        status = STATE_EXPIRED;
    } else if (record != NULL && record->is_going) {
        status = STATE_DELAY; /* state_records_trim() came first */
    } else if (record == NULL) {
        record = calloc(1, sizeof *record);
        if (record == NULL) {
            status = STATE_DELAY;
        } else {
            record->files = files;
            list_add_tail(&client->records, &record->client_node);
        }
    }
    if (status == STATE_OK) {
        record->idle_since_ms = 0; /* something is about to be held */
        *out_is_put = record->is_put;
    }
    mutex_unlock(&client->lock);
    return status;
}

enum state_status state_record_ensure(struct state_client *client, struct state_files *files)
{
    bool is_put;
    enum state_status status = record_begin(client, files, &is_put);
    if (status != STATE_OK || is_put)
        return status;
    uint8_t key[RECORD_KEY_SIZE];
    uint8_t value[RECORD_VALUE_SIZE_MAX];
    int err = files->ops->record_put(
        files->context, record_key(key, client), record_value(value, client));

    mutex_lock(&client->lock);
    bool died = client->dead;
    struct state_record *record = record_find_locked(client, files);
    if (record != NULL && err == 0) {
        record->is_put = true;
        record->is_given_up = false;
    }
    mutex_unlock(&client->lock);
    if (died) {
        /* Whoever killed it may have deleted the record before it was put. It has no opens, so if this
         * fails the record is only a nuisance: one name more that the next grace period waits for. */
        (void)record_delete(client, files);
        return STATE_EXPIRED;
    }
    if (err < 0)
        return err == -ENOMEM || err == -EAGAIN ? STATE_DELAY : STATE_IO;
    return STATE_OK;
}

static void record_remove(struct state_client *client, const struct state_files *files)
{
    mutex_lock(&client->lock);
    struct state_record *record = record_find_locked(client, files);
    if (record != NULL)
        list_remove(&record->client_node);
    mutex_unlock(&client->lock);
    free(record);
}

/* The file system of some record of the client; entered, if *out_entered. NULL: there is none. */
static struct state_files *record_files(struct state_client *client, bool *out_entered)
{
    struct state_files *files = NULL;
    mutex_lock(&client->lock);
    if (!list_is_empty(&client->records)) {
        files = LIST_ENTRY(client->records.next, struct state_record, client_node)->files;
        *out_entered = state_files_enter(files);
    }
    mutex_unlock(&client->lock);
    return files;
}

int state_records_delete(struct state_client *client)
{
    assert(client->dead);
    struct state_files *files;
    bool entered;
    while ((files = record_files(client, &entered)) != NULL) {
        int err = 0;
        if (entered) {
            err = record_delete(client, files);
            state_files_leave(files);
        }
        if (err < 0)
            return err;
        record_remove(client, files);
    }
    return 0;
}

bool state_record_is_put(struct state_client *client, const struct state_files *files)
{
    const struct state_record *record = record_find_locked(client, files);
    return record != NULL && record->is_put && !record->is_going;
}

static bool holds_in(struct state_client *client, const struct state_files *files)
    REQUIRES(client->lock)
{
    LIST_FOR_EACH(node, &client->opens)
    {
        if (LIST_ENTRY(node, struct state_open, client_node)->file->files == files)
            return true;
    }
    LIST_FOR_EACH(node, &client->delegs)
    {
        if (LIST_ENTRY(node, struct state_deleg, client_node)->files == files)
            return true;
    }
    return false;
}

/* Whether a record does no good any more, as the client is. */
static bool record_is_idle(struct state_client *client, struct state_record *record, bool is_silent,
    uint64_t now_ms) REQUIRES(client->lock)
{
    uint64_t lease_ms = client->server->state->options.lease_ms;
    if (!is_silent && now_ms < record->looked_ms + lease_ms / LOOKS_PER_LEASE)
        return false;
    record->looked_ms = now_ms;
    if (holds_in(client, record->files)) {
        record->idle_since_ms = 0;
        return state_client_is_expired(client, now_ms - (RECORD_LEASES - 1) * lease_ms);
    }
    if (record->idle_since_ms == 0)
        record->idle_since_ms = now_ms;
    return is_silent || now_ms >= record->idle_since_ms + lease_ms;
}

/* A file system where the client has a record that does no good; entered. NULL: none. */
static struct state_files *record_trim_begin(struct state_client *client, uint64_t now_ms)
{
    struct state_files *files = NULL;
    mutex_lock(&client->lock);
    bool is_silent = state_client_is_expired(client, now_ms);
    LIST_FOR_EACH(node, &client->records)
    {
        struct state_record *record = LIST_ENTRY(node, struct state_record, client_node);
        if (client->dead || !record->is_put || record->is_going ||
            !record_is_idle(client, record, is_silent, now_ms) || !state_files_enter(record->files))
            continue;
        record->is_going = true;
        files = record->files;
        break;
    }
    mutex_unlock(&client->lock);
    return files;
}

/* After the record was deleted, or could not be. */
static void record_trim_end(
    struct state_client *client, const struct state_files *files, bool is_deleted)
{
    mutex_lock(&client->lock);
    struct state_record *record = record_find_locked(client, files);
    if (record != NULL)
        record->is_going = false; /* if it is still there: the next tick tries again */
    if (record != NULL && is_deleted) {
        record->is_put = false;
        record->is_given_up = holds_in(client, files);
        if (!record->is_given_up) {
            list_remove(&record->client_node);
            free(record);
        }
    }
    mutex_unlock(&client->lock);
}

/* A file system where the record of a client that is back was given up; entered. NULL: none. */
static struct state_files *record_given_up(struct state_client *client, uint64_t now_ms)
{
    struct state_files *files = NULL;
    mutex_lock(&client->lock);
    LIST_FOR_EACH(node, &client->records)
    {
        const struct state_record *record = LIST_ENTRY(node, struct state_record, client_node);
        if (record->is_given_up && !state_client_is_expired(client, now_ms) &&
            state_files_enter(record->files)) {
            files = record->files;
            break;
        }
    }
    mutex_unlock(&client->lock);
    return files;
}

void state_records_trim(struct state_client *client, uint64_t now_ms)
{
    struct state_files *files;
    while ((files = record_given_up(client, now_ms)) != NULL) {
        enum state_status status = state_record_ensure(client, files);
        state_files_leave(files);
        if (status != STATE_OK)
            return; /* the next tick tries again */
    }
    while ((files = record_trim_begin(client, now_ms)) != NULL) {
        int err = record_delete(client, files);
        record_trim_end(client, files, err == 0);
        state_files_leave(files);
        if (err < 0)
            return;
    }
}

void state_records_forget(struct state_client *client)
{
    mutex_lock(&client->lock);
    LIST_FOR_EACH_SAFE(node, &client->records)
    {
        list_remove(node);
        free(LIST_ENTRY(node, struct state_record, client_node));
    }
    mutex_unlock(&client->lock);
}

/* ---- records of the process before ---- */

void state_recovery_init(struct state_recovery *recovery)
{
    mutex_make(&recovery->lock);
    state_table_init(&recovery->table);
    list_init(&recovery->claimants);
}

void state_recovery_fini(struct state_recovery *recovery)
{
    LIST_FOR_EACH_SAFE(node, &recovery->claimants)
    {
        free(LIST_ENTRY(node, struct state_claimant, all_node));
    }
    state_table_fini(&recovery->table);
    mutex_unmake(&recovery->lock);
}

static uint64_t claimant_hash(
    const struct state_files *files, struct slice identity, struct slice owner)
{
    const struct hash_key *key = &files->state->options.hash_key;
    return hash_keyed(key, owner.data, owner.size) ^
           hash_u64(hash_keyed(key, identity.data, identity.size));
}

/* Reads one part of a value; false: it is not all there. */
static bool part_take(struct slice *rest, struct slice *out_part)
{
    if (rest->size < 2)
        return false;
    size_t size = load_be16(rest->data);
    if (size > rest->size - 2)
        return false;
    *out_part = slice_of(rest->data + 2, size);
    *rest = slice_of(rest->data + 2 + size, rest->size - 2 - size);
    return true;
}

/* Reads what stands before the parts; false: it is not of a version that we know. */
static bool head_take(struct slice *rest, struct state_claimant *claimant)
{
    size_t size = 1;
    claimant->is_old = rest->data[0] == RECORD_VERSION_OLD;
    if (!claimant->is_old) {
        size = RECORD_HEAD_SIZE;
        if (rest->data[0] != RECORD_VERSION || rest->size < size ||
            (rest->data[1] != RECORD_KIND_V40 && rest->data[1] != RECORD_KIND_V41))
            return false;
        claimant->is_v40 = rest->data[1] == RECORD_KIND_V40;
        memcpy(claimant->verifier, rest->data + 2, STATE_VERIFIER_SIZE);
    }
    *rest = slice_of(rest->data + size, rest->size - size);
    return true;
}

int state_files_recover(struct state_files *files, struct slice key, struct slice value)
{
    if (key.size != RECORD_KEY_SIZE || value.size < 1)
        return -EBADMSG;
    struct state_claimant *claimant = calloc(1, sizeof *claimant + value.size);
    if (claimant == NULL)
        return -ENOMEM;
    memcpy(claimant->key, key.data, RECORD_KEY_SIZE);
    memcpy(claimant->bytes, value.data, value.size);
    struct slice rest = slice_of(claimant->bytes, value.size);
    if (!head_take(&rest, claimant) || !part_take(&rest, &claimant->identity) ||
        !part_take(&rest, &claimant->owner) || !part_take(&rest, &claimant->principal) ||
        rest.size != 0) {
        free(claimant);
        return -EBADMSG;
    }
    struct state_recovery *recovery = &files->recovery;
    mutex_lock(&recovery->lock);
    state_table_add(&recovery->table, &claimant->node,
        claimant_hash(files, claimant->identity, claimant->owner));
    list_add_tail(&recovery->claimants, &claimant->all_node);
    recovery->pending_count++;
    mutex_unlock(&recovery->lock);
    return 0;
}

void state_files_start(struct state_files *files, uint64_t now_ms)
{
    struct state_recovery *recovery = &files->recovery;
    mutex_lock(&recovery->lock);
    recovery->end_ms = now_ms + files->state->options.grace_ms;
    files->in_grace = recovery->pending_count > 0;
    mutex_unlock(&recovery->lock);
}

bool state_files_in_grace(struct state_files *files)
{
    return files->in_grace;
}

/* The next record of the same client after `node`, or NULL. */
static struct state_claimant *claimant_match(
    struct state_table_node *node, const struct state_client *client)
{
    const struct state_server *server = client->server;
    struct slice identity = slice_of(server->identity, server->identity_size);
    for (; node != NULL; node = state_table_next(node)) {
        struct state_claimant *claimant = CONTAINER_OF(node, struct state_claimant, node);
        if ((claimant->is_old || claimant->is_v40 == (client->v40 != NULL)) &&
            slice_equal(claimant->owner, client->owner) &&
            slice_equal(claimant->identity, identity) &&
            slice_equal(claimant->principal, client->principal))
            return claimant;
    }
    return NULL;
}

static struct state_claimant *claimant_first_locked(struct state_recovery *recovery,
    struct state_files *files, const struct state_client *client) REQUIRES(recovery->lock)
{
    const struct state_server *server = client->server;
    struct slice identity = slice_of(server->identity, server->identity_size);
    uint64_t hash = claimant_hash(files, identity, client->owner);
    return claimant_match(state_table_first(&recovery->table, hash), client);
}

enum state_status state_recovery_check(struct state_files *files, const struct state_client *client)
{
    struct state_recovery *recovery = &files->recovery;
    enum state_status status = STATE_OK;
    mutex_lock(&recovery->lock);
    if (!files->in_grace || recovery->ending)
        status = STATE_NO_GRACE;
    else if (claimant_first_locked(recovery, files, client) == NULL)
        status = STATE_RECLAIM_BAD;
    mutex_unlock(&recovery->lock);
    return status;
}

/* `only_earlier`: only what another life of the client has left. */
static bool claims_complete(
    struct state_files *files, const struct state_client *client, bool only_earlier)
{
    struct state_recovery *recovery = &files->recovery;
    mutex_lock(&recovery->lock);
    struct state_claimant *claimant = claimant_first_locked(recovery, files, client);
    while (claimant != NULL) {
        bool is_earlier = !claimant->is_old &&
                          memcmp(claimant->verifier, client->verifier, STATE_VERIFIER_SIZE) != 0;
        if (!claimant->complete && (is_earlier || !only_earlier)) {
            claimant->complete = true;
            recovery->pending_count--;
        }
        claimant = claimant_match(state_table_next(&claimant->node), client);
    }
    bool all = recovery->pending_count == 0;
    mutex_unlock(&recovery->lock);
    return all;
}

void state_recovery_reborn(struct state_client *client, uint64_t now_ms)
{
    assert(client->v40 != NULL); /* one of 4.1 says by itself when it has reclaimed all */
    struct state_files *files = NULL;
    while ((files = state_files_next(client->server->state, files)) != NULL) {
        if (files->in_grace && claims_complete(files, client, true))
            state_recovery_end(files, now_ms);
    }
}

/* ---- the end of the grace period ---- */

static bool recovery_end_begin(struct state_files *files, uint64_t now_ms)
{
    struct state_recovery *recovery = &files->recovery;
    mutex_lock(&recovery->lock);
    bool ends = files->in_grace && !recovery->ending &&
                (recovery->pending_count == 0 || now_ms >= recovery->end_ms);
    if (ends)
        recovery->ending = true;
    mutex_unlock(&recovery->lock);
    return ends;
}

/* The first record that is left, or NULL. Only who set `ending` removes any. */
static struct state_claimant *recovery_first(struct state_recovery *recovery)
{
    mutex_lock(&recovery->lock);
    struct state_claimant *claimant = NULL;
    if (!list_is_empty(&recovery->claimants))
        claimant = LIST_ENTRY(recovery->claimants.next, struct state_claimant, all_node);
    mutex_unlock(&recovery->lock);
    return claimant;
}

static void recovery_remove(struct state_recovery *recovery, struct state_claimant *claimant)
{
    mutex_lock(&recovery->lock);
    state_table_remove(&recovery->table, &claimant->node);
    list_remove(&claimant->all_node);
    if (!claimant->complete)
        recovery->pending_count--;
    mutex_unlock(&recovery->lock);
    free(claimant);
}

void state_recovery_end(struct state_files *files, uint64_t now_ms)
{
    if (!recovery_end_begin(files, now_ms))
        return;
    struct state_recovery *recovery = &files->recovery;
    struct state_claimant *claimant;
    int err = 0;
    while (err == 0 && (claimant = recovery_first(recovery)) != NULL) {
        struct slice key = slice_of(claimant->key, RECORD_KEY_SIZE);
        err = files->ops->record_delete(files->context, key);
        if (err == 0)
            recovery_remove(recovery, claimant);
    }
    mutex_lock(&recovery->lock);
    recovery->ending = false;
    recovery->end_ms = now_ms; /* if a record could not be deleted: it is over, but for that */
    files->in_grace = err != 0;
    mutex_unlock(&recovery->lock);
}

/* ---- RECLAIM_COMPLETE ---- */

enum state_status state_reclaim_complete(
    const struct state_caller *caller, struct state_files *one_fs)
{
    if (one_fs != NULL)
        return STATE_OK; /* about a file system that migrated; none does. RFC 8881 section 18.51.3 */
    struct state_client *client = caller->client;
    assert(client != NULL);
    mutex_lock(&client->lock);
    bool again = client->reclaim_complete;
    client->reclaim_complete = true;
    mutex_unlock(&client->lock);
    if (again)
        return STATE_COMPLETE_ALREADY;
    struct state_files *files = NULL;
    while ((files = state_files_next(client->server->state, files)) != NULL) {
        if (files->in_grace && claims_complete(files, client, false))
            state_recovery_end(files, caller->now_ms);
    }
    return STATE_OK;
}
