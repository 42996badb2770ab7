/*
 * state/range.c - the locked byte ranges of one file (room: state).
 *
 * Invariant 1: the ranges of one owner do not overlap. Those that touch, have one type and came through one
 * open are one range. Ranges of different owners overlap only where both are read locks.
 * So a change replaces what the owner has in the way: ranges are cut, split in two, or swallowed.
 */
#include <stdlib.h>

#include "state/internal.h"

static uint64_t range_last(const struct state_lock_range *range)
{
    return range->length == UINT64_MAX ? UINT64_MAX : range->offset + range->length - 1;
}

bool state_range_is_valid(const struct state_lock_range *range)
{
    /* RFC 8881 section 18.10.3; a length of all ones is "to the end of the file". */
    return range->length != 0 &&
           (range->length == UINT64_MAX || range->length <= UINT64_MAX - range->offset);
}

static struct state_range *range_of(struct state_interval *interval)
{
    return interval == NULL ? NULL : CONTAINER_OF(interval, struct state_range, interval);
}

struct state_range *state_range_conflict(const struct state_file *file,
    const struct state_owner *owner, const struct state_lock_range *range, uint64_t now_ms)
{
    uint64_t first = range->offset, last = range_last(range);
    struct state_range *of_expired = NULL;
    struct state_range *other = range_of(state_interval_first(&file->ranges, first, last));
    while (other != NULL) {
        bool both_read = other->type == STATE_LOCK_READ && range->type == STATE_LOCK_READ;
        if (other->lock_state->owner != owner && !both_read) {
            if (!state_client_is_expired(other->lock_state->open->client, now_ms))
                return other;
            of_expired = other;
        }
        other = range_of(state_interval_next(&other->interval, first, last));
    }
    return of_expired;
}

void state_range_denied(const struct state_range *range, struct state_lock_denied *out_denied)
{
    const struct state_owner *owner = range->lock_state->owner;
    uint64_t size = range->interval.last - range->interval.first;
    out_denied->range = (struct state_lock_range){
        .type = range->type,
        .offset = range->interval.first,
        .length = range->interval.last == UINT64_MAX ? UINT64_MAX : size + 1,
    };
    out_denied->clientid = range->lock_state->open->client->id;
    if (owner->size > 0)
        memcpy(out_denied->owner_bytes, owner->bytes, owner->size);
    out_denied->owner = slice_of(out_denied->owner_bytes, owner->size);
}

/* ---- spares: allocated before anything is changed, so that no change fails half-way ---- */

int state_range_spares(struct list *spares, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        struct state_range *range = calloc(1, sizeof *range);
        if (range == NULL)
            return -ENOMEM;
        list_add_tail(spares, &range->node);
    }
    return 0;
}

void state_range_spares_free(struct list *spares)
{
    LIST_FOR_EACH_SAFE(node, spares)
    {
        list_remove(node);
        free(LIST_ENTRY(node, struct state_range, node));
    }
}

static void range_put(struct state_file *file, struct state_range *range, uint64_t first,
    uint64_t last, struct state_lock_state *lock_state)
{
    range->interval.first = first;
    range->interval.last = last;
    range->lock_state = lock_state;
    list_remove(&range->node);
    list_add_tail(&lock_state->ranges, &range->node);
    state_interval_insert(&file->ranges, &range->interval);
}

static struct state_range *spare_take(struct list *spares)
{
    assert(!list_is_empty(spares));
    struct state_range *range = LIST_ENTRY(spares->next, struct state_range, node);
    list_remove(&range->node);
    return range;
}

/* ---- changes ---- */

/* Moves the owner's ranges that overlap [first, last] from the tree to `out_list`. With `grow`, those too
 * that it can be joined with: of its type and lock state, even if they only touch. */
static void ranges_collect(struct state_file *file, const struct state_owner *owner,
    const struct state_range *grow, uint64_t first, uint64_t last, struct list *out_list)
{
    uint64_t reach_first = grow != NULL && first > 0 ? first - 1 : first;
    uint64_t reach_last = grow != NULL && last < UINT64_MAX ? last + 1 : last;
    struct state_range *range =
        range_of(state_interval_first(&file->ranges, reach_first, reach_last));
    while (range != NULL) {
        struct state_range *next =
            range_of(state_interval_next(&range->interval, reach_first, reach_last));
        bool overlaps = range->interval.first <= last && range->interval.last >= first;
        bool joins =
            grow != NULL && range->type == grow->type && range->lock_state == grow->lock_state;
        if (range->lock_state->owner == owner && (overlaps || joins)) {
            list_remove(&range->node);
            list_add_tail(out_list, &range->node);
        }
        range = next;
    }
    LIST_FOR_EACH(node, out_list)
    {
        state_interval_remove(&file->ranges, &LIST_ENTRY(node, struct state_range, node)->interval);
    }
}

/* Puts back what of `range` (out of the tree) lies outside of [first, last]. Gives the pieces: 0 to 2. */
static int range_cut(struct state_file *file, struct state_range *range, uint64_t first,
    uint64_t last, struct list *spares)
{
    uint64_t old_last = range->interval.last;
    struct state_range *free_range = range;
    int pieces = 0;
    if (range->interval.first < first) {
        range_put(file, range, range->interval.first, first - 1, range->lock_state);
        free_range = NULL;
        pieces++;
    }
    if (old_last > last) {
        struct state_range *right = free_range != NULL ? free_range : spare_take(spares);
        right->type = range->type;
        range_put(file, right, last + 1, old_last, range->lock_state);
        free_range = NULL;
        pieces++;
    }
    if (free_range != NULL) {
        list_remove(&free_range->node);
        list_add_tail(spares, &free_range->node);
    }
    return pieces;
}

int state_range_set(struct state_file *file, struct state_lock_state *lock_state,
    const struct state_lock_range *range, struct list *spares)
{
    uint64_t first = range->offset, last = range_last(range);
    uint64_t joined_first = first, joined_last = last;
    struct state_range *new_range = spare_take(spares);
    new_range->type = range->type;
    new_range->lock_state = lock_state;
    int change = 1;
    struct list collected;
    list_init(&collected);
    ranges_collect(file, lock_state->owner, new_range, first, last, &collected);
    LIST_FOR_EACH_SAFE(node, &collected)
    {
        struct state_range *old = LIST_ENTRY(node, struct state_range, node);
        change--;
        if (old->type == range->type && old->lock_state == lock_state) {
            joined_first = min_u64(joined_first, old->interval.first);
            joined_last = max_u64(joined_last, old->interval.last);
            list_remove(node);
            list_add_tail(spares, node);
        } else {
            change += range_cut(file, old, first, last, spares);
        }
    }
    range_put(file, new_range, joined_first, joined_last, lock_state);
    return change;
}

int state_range_clear(struct state_file *file, const struct state_owner *owner,
    const struct state_lock_range *range, struct list *spares)
{
    uint64_t first = range->offset, last = range_last(range);
    int change = 0;
    struct list collected;
    list_init(&collected);
    ranges_collect(file, owner, NULL, first, last, &collected);
    LIST_FOR_EACH_SAFE(node, &collected)
    {
        struct state_range *old = LIST_ENTRY(node, struct state_range, node);
        change += range_cut(file, old, first, last, spares) - 1;
    }
    return change;
}

bool state_range_would_split(const struct state_file *file, const struct state_owner *owner,
    const struct state_lock_range *range)
{
    uint64_t first = range->offset, last = range_last(range);
    struct state_range *mine = range_of(state_interval_first(&file->ranges, first, last));
    while (mine != NULL) {
        if (mine->lock_state->owner == owner)
            return mine->interval.first < first && mine->interval.last > last;
        mine = range_of(state_interval_next(&mine->interval, first, last));
    }
    return false;
}

uint32_t state_range_drop(struct state_file *file, struct state_lock_state *lock_state)
{
    uint32_t count = 0;
    LIST_FOR_EACH_SAFE(node, &lock_state->ranges)
    {
        struct state_range *range = LIST_ENTRY(node, struct state_range, node);
        state_interval_remove(&file->ranges, &range->interval);
        list_remove(node);
        free(range);
        count++;
    }
    return count;
}
