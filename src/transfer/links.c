/*
 * transfer/links.c - the table of files with several names (room: transfer).
 *
 * Names met are counted; an entry whose names were all met and that was published goes. What it found is copied
 * out for the caller before that.
 */
#include "transfer/links.h"

#include <stdlib.h>

#include "base/hash.h"
#include "base/lock.h"

#define BUCKETS 4096u

struct entry {
    struct entry *next;
    struct links_key key;
    uint32_t names_left;
    bool published;
    int error;
    struct tree_dir target;
    struct links_note *notes;
};

struct links {
    struct mutex lock;
    struct entry *buckets[BUCKETS];
};

int links_new(struct links **out_links)
{
    struct links *links = calloc(1, sizeof *links);
    if (links == NULL)
        return -ENOMEM;
    (void)pthread_mutex_init(&links->lock.pthread, NULL); /* cannot fail without attributes */
    *out_links = links;
    return 0;
}

static void entry_free(struct entry *entry)
{
    free(entry->target.path);
    free(entry);
}

void links_free(struct links *links)
{
    if (links == NULL)
        return;
    for (unsigned i = 0; i < BUCKETS; i++) {
        while (links->buckets[i] != NULL) {
            struct entry *entry = links->buckets[i];
            links->buckets[i] = entry->next;
            entry_free(entry);
        }
    }
    (void)pthread_mutex_destroy(&links->lock.pthread);
    free(links);
}

/* Where the pointer to the entry stands, or should stand. */
static struct entry **place_of(struct links *links, struct links_key key) REQUIRES(links->lock)
{
    struct entry **place = &links->buckets[hash_u64(key.inode ^ key.filesystem << 32) % BUCKETS];
    while (*place != NULL &&
           ((*place)->key.inode != key.inode || (*place)->key.filesystem != key.filesystem))
        place = &(*place)->next;
    return place;
}

static void forget_if_complete(struct entry **place)
{
    struct entry *entry = *place;
    if (!entry->published || entry->names_left > 0)
        return;
    *place = entry->next;
    entry_free(entry);
}

static int answer_known(struct entry **place, struct links_note *note,
    enum links_answer *out_answer, struct links_found *out_found)
{
    struct entry *entry = *place;
    if (!entry->published) {
        if (note != NULL) {
            note->next = entry->notes;
            entry->notes = note;
        }
        *out_answer = LINKS_WAITING;
    } else if (entry->error < 0) {
        out_found->error = entry->error;
        *out_answer = LINKS_FAILED;
    } else {
        out_found->target = entry->target;
        out_found->target.path = strdup(entry->target.path);
        if (out_found->target.path == NULL)
            return -ENOMEM;
        *out_answer = LINKS_READY;
    }
    entry->names_left -= entry->names_left > 0;
    forget_if_complete(place);
    return 0;
}

int links_meet(struct links *links, struct links_key key, uint32_t link_count,
    struct links_note *note, enum links_answer *out_answer, struct links_found *out_found)
{
    int err = 0;
    mutex_lock(&links->lock);
    struct entry **place = place_of(links, key);
    if (*place != NULL) {
        err = answer_known(place, note, out_answer, out_found);
    } else {
        struct entry *entry = calloc(1, sizeof *entry);
        if (entry == NULL) {
            err = -ENOMEM;
        } else {
            entry->key = key;
            entry->names_left = link_count - 1;
            *place = entry;
            *out_answer = LINKS_FIRST;
        }
    }
    mutex_unlock(&links->lock);
    return err;
}

struct links_note *links_publish(
    struct links *links, struct links_key key, const struct tree_dir *target, int error)
{
    mutex_lock(&links->lock);
    struct entry **place = place_of(links, key);
    struct entry *entry = *place;
    assert(entry != NULL && !entry->published);
    struct links_note *notes = entry->notes;
    entry->notes = NULL;
    entry->published = true;
    entry->error = error;
    if (error == 0) {
        entry->target.fh = target->fh;
        entry->target.path = strdup(target->path);
        if (entry->target.path == NULL)
            entry->error = -ENOMEM;
    }
    forget_if_complete(place);
    mutex_unlock(&links->lock);
    return notes;
}
