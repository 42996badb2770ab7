/*
 * state/files.c - the open files of one file system, in shards that have a lock each (room: state).
 */
#include "state/files.h"

#include <stdlib.h>

#include "state/internal.h"

#define RELEASE_BATCH 64u

int state_files_new(struct state *state, const struct state_files_ops *ops, void *context,
    struct state_files **out_files)
{
    struct state_files *files = calloc(1, sizeof *files);
    if (files == NULL)
        return -ENOMEM;
    files->state = state;
    files->ops = ops;
    files->context = context;
    state_recovery_init(&files->recovery);
    for (size_t i = 0; i < STATE_SHARD_COUNT; i++) {
        mutex_make(&files->shards[i].lock);
        state_table_init(&files->shards[i].table);
    }
    mutex_lock(&state->lock);
    list_add_tail(&state->files, &files->state_node);
    mutex_unlock(&state->lock);
    *out_files = files;
    return 0;
}

/* Takes up to RELEASE_BATCH of the client's opens and delegations away; gives their files, each to be released. */
static size_t files_drop_held(struct state_files *files, struct state_client *client,
    struct state_file_key out_keys[RELEASE_BATCH])
{
    size_t count = 0;
    mutex_lock(&client->lock);
    LIST_FOR_EACH_SAFE(node, &client->opens)
    {
        struct state_open *open = LIST_ENTRY(node, struct state_open, client_node);
        if (open->file->files != files)
            continue;
        out_keys[count++] = open->file->key;
        state_open_drop(client, open);
        if (count == RELEASE_BATCH)
            break;
    }
    LIST_FOR_EACH_SAFE(node, &client->delegs)
    {
        struct state_deleg *deleg = LIST_ENTRY(node, struct state_deleg, client_node);
        if (count == RELEASE_BATCH)
            break;
        if (deleg->files != files)
            continue;
        struct state_file_key key = deleg->key;
        if (state_deleg_drop(client, deleg))
            out_keys[count++] = key;
    }
    mutex_unlock(&client->lock);
    return count;
}

static void files_drop_of_client(struct state_files *files, struct state_client *client)
{
    struct state_file_key keys[RELEASE_BATCH];
    size_t count;
    do {
        count = files_drop_held(files, client, keys);
        for (size_t i = 0; i < count; i++)
            files->ops->release(files->context, keys[i]);
    } while (count == RELEASE_BATCH);
    mutex_lock(&client->lock);
    LIST_FOR_EACH_SAFE(node, &client->records)
    {
        struct state_record *record = LIST_ENTRY(node, struct state_record, client_node);
        if (record->files == files) {
            list_remove(&record->client_node);
            free(record);
        }
    }
    mutex_unlock(&client->lock);
}

static void files_wait_locked(struct state *state, const struct state_files *files)
    REQUIRES(state->lock)
{
    while (files->users > 0)
        (void)pthread_cond_wait(&state->files_left, &state->lock.pthread);
}

void state_files_free(struct state_files *files)
{
    if (files == NULL)
        return;
    struct state *state = files->state;
    mutex_lock(&state->lock);
    files->closing = true;
    files_wait_locked(state, files);
    list_remove(&files->state_node);
    mutex_unlock(&state->lock);

    uint32_t cursor = 0;
    struct state_client *client;
    while (state_clients_list(state, &cursor, &client, 1) == 1) {
        files_drop_of_client(files, client);
        state_client_put(client);
    }
    /* Who took something off a file before we came to its client may still be giving it back. */
    mutex_lock(&state->lock);
    files_wait_locked(state, files);
    mutex_unlock(&state->lock);
    state_recovery_fini(&files->recovery);
    for (size_t i = 0; i < STATE_SHARD_COUNT; i++) {
        assert(files->shards[i].table.count == 0);
        state_table_fini(&files->shards[i].table);
        mutex_unmake(&files->shards[i].lock);
    }
    free(files);
}

void state_files_set_tag(struct state_files *files, uint64_t tag)
{
    files->tag = tag;
}

void state_files_enter_always(struct state_files *files)
{
    struct state *state = files->state;
    mutex_lock(&state->lock);
    files->users++;
    mutex_unlock(&state->lock);
}

bool state_files_enter(struct state_files *files)
{
    struct state *state = files->state;
    mutex_lock(&state->lock);
    bool is_open = !files->closing;
    if (is_open)
        files->users++;
    mutex_unlock(&state->lock);
    return is_open;
}

static void files_leave_locked(struct state *state, struct state_files *files) REQUIRES(state->lock)
{
    assert(files->users > 0);
    if (--files->users == 0 && files->closing)
        (void)pthread_cond_broadcast(&state->files_left);
}

void state_files_leave(struct state_files *files)
{
    struct state *state = files->state;
    mutex_lock(&state->lock);
    files_leave_locked(state, files);
    mutex_unlock(&state->lock);
}

struct state_files *state_files_next(struct state *state, struct state_files *files)
{
    struct state_files *next = NULL;
    mutex_lock(&state->lock);
    struct list *node = files == NULL ? &state->files : &files->state_node;
    for (node = node->next; node != &state->files && next == NULL; node = node->next) {
        struct state_files *candidate = LIST_ENTRY(node, struct state_files, state_node);
        if (!candidate->closing)
            next = candidate;
    }
    if (next != NULL)
        next->users++;
    if (files != NULL)
        files_leave_locked(state, files);
    mutex_unlock(&state->lock);
    return next;
}

uint64_t state_file_hash(const struct state_file_key *key)
{
    return hash_u64(key->inode ^ hash_u64(key->generation));
}

struct state_shard *state_shard_of(struct state_files *files, const struct state_file_key *key)
{
    return &files->shards[(state_file_hash(key) >> 32) % STATE_SHARD_COUNT];
}

struct state_file *state_file_find(struct state_shard *shard, const struct state_file_key *key)
{
    struct state_table_node *node = state_table_first(&shard->table, state_file_hash(key));
    for (; node != NULL; node = state_table_next(node)) {
        struct state_file *file = CONTAINER_OF(node, struct state_file, shard_node);
        if (file->key.inode == key->inode && file->key.generation == key->generation)
            return file;
    }
    return NULL;
}

bool state_file_is_open(struct state_files *files, struct state_file_key file)
{
    struct state_shard *shard = state_shard_of(files, &file);
    mutex_lock(&shard->lock);
    bool is_open = state_file_find(shard, &file) != NULL;
    mutex_unlock(&shard->lock);
    return is_open;
}
