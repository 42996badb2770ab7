/*
 * state/waiter.c - locks that were denied and are waited for: whom to tell when ranges become free (room: state).
 *
 * Nothing is kept for a waiter but its place in the line: all that wait for the file are told, oldest first, and the
 * first to ask again gets the lock. RFC 8881 section 20.11.
 */
#include <stdlib.h>

#include "state/internal.h"

static bool waiter_is_of(
    const struct state_lock_waiter *waiter, const struct state_client *client, struct slice owner)
{
    return waiter->clientid == client->id &&
           slice_equal(owner, slice_of(waiter->owner, waiter->owner_size));
}

static void waiter_free(struct state *state, struct state_lock_waiter *waiter)
{
    list_remove(&waiter->node);
    atomic_fetch_sub(&state->delegs.waiter_count, 1);
    free(waiter);
}

void state_lock_wait_end(
    struct state_file *file, const struct state_client *client, struct slice owner)
{
    LIST_FOR_EACH_SAFE(node, &file->lock_waiters)
    {
        struct state_lock_waiter *waiter = LIST_ENTRY(node, struct state_lock_waiter, node);
        if (waiter_is_of(waiter, client, owner))
            waiter_free(file->files->state, waiter);
    }
}

void state_lock_wait(struct state_file *file, const struct state_client *client, struct slice owner,
    const struct state_lock_args *args, uint64_t now_ms)
{
    struct state *state = file->files->state;
    LIST_FOR_EACH(node, &file->lock_waiters)
    {
        struct state_lock_waiter *known = LIST_ENTRY(node, struct state_lock_waiter, node);
        if (waiter_is_of(known, client, owner)) {
            known->range = args->range; /* an owner waits for one lock at a time */
            known->expires_ms = now_ms + state->options.lease_ms;
            return;
        }
    }
    if (atomic_load(&state->delegs.waiter_count) >= state->options.lock_waiter_max)
        return;
    struct state_lock_waiter *waiter = calloc(1, sizeof *waiter + owner.size);
    if (waiter == NULL)
        return;
    waiter->clientid = client->id;
    waiter->fs_tag = file->files->tag;
    waiter->key = file->key;
    waiter->view_tag = args->file.view_tag;
    waiter->range = args->range;
    waiter->expires_ms = now_ms + state->options.lease_ms;
    waiter->owner_size = owner.size;
    if (owner.size > 0)
        memcpy(waiter->owner, owner.data, owner.size);
    list_add_tail(&file->lock_waiters, &waiter->node);
    atomic_fetch_add(&state->delegs.waiter_count, 1);
}

void state_lock_freed(struct state_file *file)
{
    struct state_delegs *delegs = &file->files->state->delegs;
    if (list_is_empty(&file->lock_waiters))
        return;
    mutex_lock(&delegs->lock);
    LIST_FOR_EACH_SAFE(node, &file->lock_waiters)
    {
        list_remove(node);
        list_add_tail(&delegs->notices, node);
    }
    mutex_unlock(&delegs->lock);
}

void state_lock_waiters_drop(struct state_file *file)
{
    LIST_FOR_EACH_SAFE(node, &file->lock_waiters)
    {
        waiter_free(file->files->state, LIST_ENTRY(node, struct state_lock_waiter, node));
    }
}

bool state_lock_notice_next(struct state *state, struct state_lock_notice *out)
{
    struct state_delegs *delegs = &state->delegs;
    struct state_lock_waiter *waiter = NULL;
    mutex_lock(&delegs->lock);
    if (!list_is_empty(&delegs->notices)) {
        waiter = LIST_ENTRY(delegs->notices.next, struct state_lock_waiter, node);
        list_remove(&waiter->node);
    }
    mutex_unlock(&delegs->lock);
    if (waiter == NULL)
        return false;
    out->clientid = waiter->clientid;
    out->fs_tag = waiter->fs_tag;
    out->key = waiter->key;
    out->view_tag = waiter->view_tag;
    if (waiter->owner_size > 0)
        memcpy(out->owner_bytes, waiter->owner, waiter->owner_size);
    out->owner = slice_of(out->owner_bytes, waiter->owner_size);
    atomic_fetch_sub(&delegs->waiter_count, 1);
    free(waiter);
    return true;
}
