/*
 * engine/dir.c - the names of one directory in memory (room: engine).
 */
#include "engine/dir.h"

#include <stdlib.h>

#define TABLE_SIZE_FIRST 8u
#define SLOT_BITS        8u
#define SLOTS            (1u << SLOT_BITS)
#define UNSORTED_MAX     1024u /* beyond it the order is dropped: the next listing makes it anew */

struct dir *dir_new(bool is_complete)
{
    struct dir *dir = calloc(1, sizeof *dir);
    if (dir == NULL)
        return NULL;
    dir->table = calloc(TABLE_SIZE_FIRST, sizeof(struct name *));
    if (dir->table == NULL) {
        free(dir);
        return NULL;
    }
    (void)pthread_mutex_init(&dir->lock.pthread, NULL);
    dir->mask = TABLE_SIZE_FIRST - 1;
    dir->bytes = sizeof *dir + TABLE_SIZE_FIRST * sizeof(struct name *);
    dir->is_complete = is_complete;
    return dir;
}

void dir_free(struct dir *dir)
{
    if (dir == NULL)
        return;
    /* The dead are only in the order, the others in the table. */
    for (uint32_t i = 0; i < dir->order_count; i++) {
        if (dir->order[i].name != NULL && dir->order[i].name->state == NAME_DEAD)
            free(dir->order[i].name);
    }
    for (uint32_t i = 0; i <= dir->mask; i++) {
        struct name *name = dir->table[i];
        while (name != NULL) {
            struct name *next = name->next;
            free(name);
            name = next;
        }
    }
    free(dir->order);
    free(dir->table);
    (void)pthread_mutex_destroy(&dir->lock.pthread);
    free(dir);
}

uint64_t dir_bytes(const struct dir *dir)
{
    return dir == NULL ? 0 : dir->bytes + (uint64_t)dir->order_capacity * sizeof *dir->order;
}

uint64_t dir_hash(const struct hash_key *key, struct slice name)
{
    uint64_t hash = hash_keyed(key, name.data, name.size) >> (64 - NAME_HASH_BITS);
    return hash == 0 ? 1 : hash;
}

static struct name **bucket_of(struct dir *dir, uint64_t hash)
{
    return &dir->table[hash & dir->mask];
}

static bool is_visible(const struct name *name, enum dir_viewer viewer)
{
    if (name->state == NAME_LIVE)
        return true;
    return name->state == (viewer == DIR_COMMITTER ? NAME_COMING : NAME_LEAVING);
}

struct name *dir_find_locked(
    struct dir *dir, uint64_t hash, struct slice name, enum dir_viewer viewer)
{
    for (struct name *it = *bucket_of(dir, hash); it != NULL; it = it->next) {
        if (it->cookie >> SLOT_BITS == hash && it->size == name.size && is_visible(it, viewer) &&
            memcmp(it->bytes, name.data, name.size) == 0)
            return it;
    }
    return NULL;
}

bool dir_has_bucket_locked(struct dir *dir, uint64_t hash)
{
    for (struct name *it = *bucket_of(dir, hash); it != NULL; it = it->next) {
        if (it->cookie >> SLOT_BITS == hash)
            return true;
    }
    return false;
}

/* When there is no memory the chains just grow. */
static void grow_locked(struct dir *dir) REQUIRES(dir->lock)
{
    uint32_t old_size = dir->mask + 1;
    struct name **old = dir->table;
    struct name **table = calloc((size_t)old_size * 2, sizeof(struct name *));
    if (table == NULL)
        return;
    dir->table = table;
    dir->mask = old_size * 2 - 1;
    dir->bytes += old_size * sizeof(struct name *);
    for (uint32_t i = 0; i < old_size; i++) {
        struct name *name = old[i];
        while (name != NULL) {
            struct name *next = name->next;
            struct name **bucket = bucket_of(dir, name->cookie >> SLOT_BITS);
            name->next = *bucket;
            *bucket = name;
            name = next;
        }
    }
    free(old);
}

static size_t name_bytes(const struct name *name)
{
    return sizeof *name + name->size + 16; /* the allocator's own */
}

static struct name *link_new_locked(
    struct dir *dir, uint64_t cookie, struct slice bytes, uint64_t inode) REQUIRES(dir->lock)
{
    struct name *name = malloc(sizeof *name + bytes.size);
    if (name == NULL)
        return NULL;
    if (dir->count++ > dir->mask)
        grow_locked(dir);
    struct name **bucket = bucket_of(dir, cookie >> SLOT_BITS);
    *name = (struct name){ .next = *bucket,
        .cookie = cookie,
        .inode = inode,
        .state = NAME_LIVE,
        .size = (uint8_t)bytes.size };
    memcpy(name->bytes, bytes.data, bytes.size);
    *bucket = name;
    dir->bytes += name_bytes(name);
    return name;
}

static void unlink_locked(struct dir *dir, struct name *name) REQUIRES(dir->lock)
{
    struct name **link = bucket_of(dir, name->cookie >> SLOT_BITS);
    while (*link != name)
        link = &(*link)->next;
    *link = name->next;
    dir->count--;
    dir->bytes -= name_bytes(name);
}

/* Whether the bucket already holds it, in any state: then the memory knows better than the reader.
 */
static bool is_known_locked(struct dir *dir, uint64_t hash, struct slice bytes) REQUIRES(dir->lock)
{
    for (struct name *it = *bucket_of(dir, hash); it != NULL; it = it->next) {
        if (it->cookie >> SLOT_BITS == hash && it->size == bytes.size &&
            memcmp(it->bytes, bytes.data, bytes.size) == 0)
            return true;
    }
    return false;
}

int dir_insert_locked(struct dir *dir, uint64_t hash, const struct name_entry *entry)
{
    if (is_known_locked(dir, hash, entry->name))
        return 0;
    uint64_t cookie = hash << SLOT_BITS | entry->slot;
    return link_new_locked(dir, cookie, entry->name, entry->inode) == NULL ? -ENOMEM : 0;
}

int dir_add_locked(
    struct dir *dir, uint64_t hash, struct slice name, uint64_t inode, struct name **out_name)
{
    uint64_t used[SLOTS / 64] = { 0 };
    for (struct name *it = *bucket_of(dir, hash); it != NULL; it = it->next) {
        uint64_t slot = it->cookie & (SLOTS - 1);
        if (it->cookie >> SLOT_BITS == hash && is_visible(it, DIR_COMMITTER))
            used[slot / 64] |= UINT64_C(1) << slot % 64;
    }
    for (uint64_t slot = 0; slot < SLOTS; slot++) {
        if ((used[slot / 64] >> slot % 64 & 1) != 0)
            continue;
        struct name *added = link_new_locked(dir, hash << SLOT_BITS | slot, name, inode);
        if (added == NULL)
            return -ENOMEM;
        added->state = NAME_COMING;
        *out_name = added;
        return 0;
    }
    return -ENOSPC;
}

void dir_take_locked(struct dir *dir, struct name *name)
{
    (void)dir;
    assert(name->state == NAME_LIVE || name->state == NAME_COMING);
    name->state = name->state == NAME_LIVE ? NAME_LEAVING : NAME_DEAD;
}

/* Frees what the order still held of dead names, and the order. */
static void drop_order_locked(struct dir *dir) REQUIRES(dir->lock)
{
    for (uint32_t i = 0; i < dir->order_count; i++) {
        struct name *name = dir->order[i].name;
        if (name == NULL)
            continue;
        name->is_ordered = false;
        if (name->state == NAME_DEAD)
            free(name);
    }
    free(dir->order);
    dir->order = NULL;
    dir->order_count = 0;
    dir->sorted_count = 0;
    dir->order_capacity = 0;
}

static int compare_order(const void *a, const void *b)
{
    uint64_t left = ((const struct name_order *)a)->cookie;
    uint64_t right = ((const struct name_order *)b)->cookie;
    return left < right ? -1 : left > right;
}

/* The first position of the sorted part whose cookie is at least `cookie`. */
static uint32_t search_locked(const struct dir *dir, uint64_t cookie)
{
    uint32_t low = 0;
    uint32_t high = dir->sorted_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (dir->order[middle].cookie < cookie)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Takes a name that was removed out of the order. False: it stands in the unsorted part, stays
 * there as a dead one, and is freed when that is sorted. */
static bool leave_order_locked(struct dir *dir, struct name *name) REQUIRES(dir->lock)
{
    if (!name->is_ordered)
        return true;
    for (uint32_t i = search_locked(dir, name->cookie);
         i < dir->sorted_count && dir->order[i].cookie == name->cookie; i++) {
        if (dir->order[i].name == name) {
            dir->order[i].name = NULL;
            return true;
        }
    }
    return false;
}

static void enter_order_locked(struct dir *dir, struct name *name) REQUIRES(dir->lock)
{
    if (dir->order == NULL)
        return;
    if (dir->order_count == dir->order_capacity ||
        dir->order_count - dir->sorted_count >= UNSORTED_MAX) {
        drop_order_locked(dir);
        return;
    }
    dir->order[dir->order_count++] = (struct name_order){ name->cookie, name };
    name->is_ordered = true;
}

void dir_publish_locked(struct dir *dir, struct name *name)
{
    dir->version++;
    if (name->state == NAME_COMING) {
        name->state = NAME_LIVE;
        enter_order_locked(dir, name);
        return;
    }
    if (name->state == NAME_LIVE)
        return; /* it was on the batch's list twice */
    unlink_locked(dir, name);
    name->state = NAME_DEAD;
    if (leave_order_locked(dir, name))
        free(name);
}

void dir_forget_locked(struct dir *dir)
{
    drop_order_locked(dir);
    for (uint32_t i = 0; i <= dir->mask; i++) {
        struct name **link = &dir->table[i];
        while (*link != NULL) {
            struct name *name = *link;
            if (name->state != NAME_LIVE) {
                link = &name->next;
                continue;
            }
            *link = name->next;
            dir->count--;
            dir->bytes -= name_bytes(name);
            free(name);
        }
    }
    dir->is_complete = false;
}

int dir_encode_bucket_locked(
    struct dir *dir, uint64_t hash, uint8_t **buffer, size_t *capacity, size_t *out_size)
{
    size_t size = 0;
    for (struct name *it = *bucket_of(dir, hash); it != NULL; it = it->next) {
        if (it->cookie >> SLOT_BITS != hash || !is_visible(it, DIR_COMMITTER))
            continue;
        if (*capacity - size < 1 + NAME_ENTRY_BYTES_MAX) {
            size_t larger_size = *capacity * 2 + 1024;
            uint8_t *larger = realloc(*buffer, larger_size);
            if (larger == NULL)
                return -ENOMEM;
            *buffer = larger;
            *capacity = larger_size;
        }
        if (size == 0)
            (*buffer)[size++] = 1; /* the version of the format */
        struct name_entry entry = { (uint8_t)(it->cookie & (SLOTS - 1)), it->inode,
            slice_of(it->bytes, it->size) };
        size += name_entry_encode(&entry, *buffer + size);
    }
    *out_size = size;
    return 0;
}

/* Collects all names readers see, sorted; leaves room for new ones. */
static int make_order_locked(struct dir *dir) REQUIRES(dir->lock)
{
    uint32_t capacity = dir->count + UNSORTED_MAX;
    dir->order = malloc(capacity * sizeof *dir->order);
    if (dir->order == NULL)
        return -ENOMEM;
    dir->order_capacity = capacity;
    for (uint32_t i = 0; i <= dir->mask; i++) {
        for (struct name *name = dir->table[i]; name != NULL; name = name->next) {
            if (!is_visible(name, DIR_READER))
                continue;
            dir->order[dir->order_count++] = (struct name_order){ name->cookie, name };
            name->is_ordered = true;
        }
    }
    qsort(dir->order, dir->order_count, sizeof *dir->order, compare_order);
    dir->sorted_count = dir->order_count;
    return 0;
}

/* Sorts the new names into the others, and drops what was removed. */
static int merge_order_locked(struct dir *dir) REQUIRES(dir->lock)
{
    struct name_order *merged = malloc(dir->order_capacity * sizeof *merged);
    if (merged == NULL)
        return -ENOMEM;
    qsort(dir->order + dir->sorted_count, dir->order_count - dir->sorted_count, sizeof *dir->order,
        compare_order);
    uint32_t old = 0;
    uint32_t new = dir->sorted_count;
    uint32_t count = 0;
    while (old < dir->sorted_count || new < dir->order_count) {
        bool take_new = old == dir->sorted_count ||
                        (new < dir->order_count && dir->order[new].cookie < dir->order[old].cookie);
        struct name_order next = take_new ? dir->order[new ++] : dir->order[old++];
        if (next.name == NULL)
            continue;
        if (next.name->state == NAME_DEAD)
            free(next.name);
        else
            merged[count++] = next;
    }
    free(dir->order);
    dir->order = merged;
    dir->order_count = count;
    dir->sorted_count = count;
    return 0;
}

int dir_seek_locked(struct dir *dir, uint64_t cookie, uint32_t *out_position)
{
    assert(dir->is_complete);
    int err = 0;
    if (dir->order == NULL)
        err = make_order_locked(dir);
    else if (dir->order_count > dir->sorted_count)
        err = merge_order_locked(dir);
    if (err == 0)
        *out_position = search_locked(dir, cookie + 1);
    return err;
}
