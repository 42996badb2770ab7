/*
 * engine/usage.c - counting what lies below each directory, as the committer goes (room: engine).
 */
#include "engine/usage.h"

#include <stdlib.h>

#include "base/bytes.h"
#include "base/hash.h"
#include "base/list.h"
#include "engine/committer.h"
#include "engine/quota.h"
#include "engine/volume.h"

#define TABLE_SIZE_FIRST 64u
#define NODES_MAX \
    16384u /* more are kept only while their directories have others in memory below */

struct usage_node {
    struct usage_node *hash_next;
    struct usage_node *parent; /* NULL: this is the root */
    struct list idle;          /* while no node has it as parent; longest unused first */
    struct list changed;       /* in this batch: in `changed` of the tree */
    struct list waiting;       /* has a `delta`: in `waiting` of the tree */
    uint64_t id;
    uint32_t child_count; /* of nodes in memory */
    struct fs_usage usage;
    struct fs_usage stored; /* as in the record */
    struct fs_usage delta;  /* not yet added, here and above; numbers modulo 2^64 */
};

struct usage_tree {
    struct usage_node **table;
    uint32_t mask;
    uint32_t count;
    struct list idle;
    struct list changed;
    struct list waiting;
    uint64_t *path; /* room for finding the way to the root */
    size_t path_capacity;
};

int usage_tree_new(struct usage_tree **out_tree)
{
    struct usage_tree *tree = calloc(1, sizeof *tree);
    if (tree == NULL)
        return -ENOMEM;
    // NOLINTNEXTLINE(bugprone-sizeof-expression): a table of pointers
    tree->table = calloc(TABLE_SIZE_FIRST, sizeof *tree->table);
    if (tree->table == NULL) {
        free(tree);
        return -ENOMEM;
    }
    tree->mask = TABLE_SIZE_FIRST - 1;
    list_init(&tree->idle);
    list_init(&tree->changed);
    list_init(&tree->waiting);
    *out_tree = tree;
    return 0;
}

void usage_tree_free(struct usage_tree *tree)
{
    if (tree == NULL)
        return;
    for (uint32_t i = 0; i <= tree->mask; i++) {
        struct usage_node *node = tree->table[i];
        while (node != NULL) {
            struct usage_node *next = node->hash_next;
            free(node);
            node = next;
        }
    }
    free(tree->table);
    free(tree->path);
    free(tree);
}

struct fs_usage usage_of(uint64_t id, const struct inode_record *record)
{
    struct fs_usage usage = { 0 };
    if (record->attr.link_count == 0 || id == ROOT_INODE)
        return usage;
    usage.files = record->attr.type == FS_REGULAR;
    usage.directories = record->attr.type == FS_DIRECTORY;
    usage.others = usage.files + usage.directories == 0;
    if (record->attr.type == FS_REGULAR) {
        usage.space_bytes = (record->segment_blocks + record->small_blocks) * BLOCK_BYTES;
        usage.size_bytes = record->attr.size_bytes;
    }
    return usage;
}

bool usage_equal(const struct fs_usage *a, const struct fs_usage *b)
{
    return a->space_bytes == b->space_bytes && a->size_bytes == b->size_bytes &&
           a->files == b->files && a->directories == b->directories && a->others == b->others;
}

void usage_add(struct fs_usage *to, const struct fs_usage *added)
{
    to->space_bytes += added->space_bytes;
    to->size_bytes += added->size_bytes;
    to->files += added->files;
    to->directories += added->directories;
    to->others += added->others;
}

void usage_subtract(struct fs_usage *from, const struct fs_usage *taken)
{
    from->space_bytes -= taken->space_bytes;
    from->size_bytes -= taken->size_bytes;
    from->files -= taken->files;
    from->directories -= taken->directories;
    from->others -= taken->others;
}

static bool is_zero(const struct fs_usage *usage)
{
    const struct fs_usage zero = { 0 };
    return usage_equal(usage, &zero);
}

/* ---- records -------------------------------------------------------------------------------------------- */

void usage_record_encode(const struct fs_usage *usage, uint8_t out[USAGE_BYTES])
{
    out[0] = 1;
    store_be64(out + 1, usage->space_bytes);
    store_be64(out + 9, usage->size_bytes);
    store_be64(out + 17, usage->files);
    store_be64(out + 25, usage->directories);
    store_be64(out + 33, usage->others);
}

static int usage_decode(struct slice value, struct fs_usage *out_usage)
{
    int err = value_open(&value);
    if (err < 0)
        return err;
    if (value.size != USAGE_BYTES - 1)
        return -EBADMSG;
    out_usage->space_bytes = load_be64(value.data);
    out_usage->size_bytes = load_be64(value.data + 8);
    out_usage->files = load_be64(value.data + 16);
    out_usage->directories = load_be64(value.data + 24);
    out_usage->others = load_be64(value.data + 32);
    return 0;
}

int usage_read(struct volume *volume, uint64_t directory, struct fs_usage *out_usage)
{
    struct key key;
    struct store_value value;
    key_make1(&key, KEY_USAGE, directory);
    int err = store_get(volume->store, &key, &value);
    if (err == -ENOENT) {
        *out_usage = (struct fs_usage){ 0 };
        return 0;
    }
    if (err < 0)
        return err;
    err = usage_decode(value.data, out_usage);
    store_value_release(&value);
    return err;
}

/* ---- nodes ---------------------------------------------------------------------------------------------- */

static struct usage_node **slot_of(const struct usage_tree *tree, uint64_t id)
{
    return &tree->table[hash_u64(id) & tree->mask];
}

static struct usage_node *find(const struct usage_tree *tree, uint64_t id)
{
    struct usage_node *node = *slot_of(tree, id);
    while (node != NULL && node->id != id)
        node = node->hash_next;
    return node;
}

/* Best effort: a fuller table is slower, no more. */
static void grow(struct usage_tree *tree)
{
    uint32_t size = (tree->mask + 1) * 2;
    // NOLINTNEXTLINE(bugprone-sizeof-expression): a table of pointers
    struct usage_node **table = calloc(size, sizeof *table);
    if (table == NULL)
        return;
    struct usage_node **old = tree->table;
    uint32_t old_size = tree->mask + 1;
    tree->table = table;
    tree->mask = size - 1;
    for (uint32_t i = 0; i < old_size; i++) {
        struct usage_node *node = old[i];
        while (node != NULL) {
            struct usage_node *next = node->hash_next;
            struct usage_node **slot = slot_of(tree, node->id);
            node->hash_next = *slot;
            *slot = node;
            node = next;
        }
    }
    free(old);
}

static void attach(struct usage_node *node, struct usage_node *parent)
{
    node->parent = parent;
    if (parent != NULL && parent->child_count++ == 0)
        list_remove(&parent->idle);
}

static void detach(struct usage_tree *tree, struct usage_node *node)
{
    struct usage_node *parent = node->parent;
    node->parent = NULL;
    if (parent != NULL && --parent->child_count == 0)
        list_add_tail(&tree->idle, &parent->idle);
}

/* A directory whose parent's node is in memory (U2). */
static int add_node(
    struct batch *batch, uint64_t id, struct usage_node *parent, struct usage_node **out_node)
{
    struct usage_tree *tree = batch->volume->usage;
    struct usage_node *node = calloc(1, sizeof *node);
    if (node == NULL)
        return -ENOMEM;
    int err = usage_read(batch->volume, id, &node->stored);
    if (err < 0) {
        free(node);
        return err == -EBADMSG || err == -EPROTO ? -EIO : err;
    }
    node->id = id;
    node->usage = node->stored;
    list_init(&node->idle);
    list_init(&node->changed);
    list_init(&node->waiting);
    if (tree->count++ > tree->mask)
        grow(tree);
    struct usage_node **slot = slot_of(tree, id);
    node->hash_next = *slot;
    *slot = node;
    list_add_tail(&tree->idle, &node->idle);
    attach(node, parent);
    *out_node = node;
    return 0;
}

static void drop_node(struct usage_tree *tree, struct usage_node *node)
{
    // NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what is freed was taken out of all lists before
    struct usage_node **slot = slot_of(tree, node->id);
    while (*slot != node)
        slot = &(*slot)->hash_next;
    *slot = node->hash_next;
    tree->count--;
    list_remove(&node->idle);
    detach(tree, node);
    free(node);
}

/* The parent of a directory as this batch has it. */
static int parent_of(struct batch *batch, uint64_t id, uint64_t *out_parent)
{
    struct inode *inode;
    int err = batch_acquire(batch, id, &inode);
    if (err < 0)
        return err == -ESTALE ? -EIO : err;
    /* Only the committer changes a parent, and this is its thread. */
    *out_parent = inode->pending != NULL ? inode->pending->record.parent : inode->record.parent;
    inode_unpin(&batch->volume->inodes, inode);
    return 0;
}

static int push(struct usage_tree *tree, size_t count, uint64_t id)
{
    if (count == tree->path_capacity) {
        size_t capacity = 2 * count + 64;
        uint64_t *larger = realloc(tree->path, capacity * sizeof *larger);
        if (larger == NULL)
            return -ENOMEM;
        tree->path = larger;
        tree->path_capacity = capacity;
    }
    tree->path[count] = id;
    return 0;
}

/* The node of a directory, with all above it. */
static int load(struct batch *batch, uint64_t directory, struct usage_node **out_node)
{
    struct usage_tree *tree = batch->volume->usage;
    struct usage_node *node = find(tree, directory);
    if (LIKELY(node != NULL)) {
        if (node->child_count == 0) {
            list_remove(&node->idle);
            list_add_tail(&tree->idle, &node->idle);
        }
        *out_node = node;
        return 0;
    }
    size_t count = 0;
    uint64_t id = directory;
    int err = 0;
    while (err == 0 && (node = find(tree, id)) == NULL) {
        err = push(tree, count++, id);
        if (id == ROOT_INODE)
            break;
        if (err == 0)
            err = parent_of(batch, id, &id);
    }
    while (err == 0 && count > 0)
        err = add_node(batch, tree->path[--count], node, &node);
    if (err == 0)
        *out_node = node;
    return err;
}

int usage_prepare(struct batch *batch, uint64_t directory)
{
    struct usage_node *node;
    return load(batch, directory, &node);
}

int usage_prepare_home(struct batch *batch, const struct pending *pending)
{
    if (pending->record.attr.link_count == 0)
        return 0;
    return usage_prepare(batch, pending->record.parent);
}

/* ---- counting ------------------------------------------------------------------------------------------- */

void usage_touch(struct batch *batch, struct pending *pending)
{
    if (!list_is_empty(&pending->uncounted))
        return;
    list_add_tail(&batch->uncounted, &pending->uncounted);
}

static void mark_changed(struct usage_tree *tree, struct usage_node *node)
{
    if (list_is_empty(&node->changed))
        list_add_tail(&tree->changed, &node->changed);
}

static struct usage_node *wait_for_sum(struct batch *batch, struct usage_node *node)
{
    if (list_is_empty(&node->waiting))
        list_add_tail(&batch->volume->usage->waiting, &node->waiting);
    return node;
}

/* Compares the inode with what was counted of it. */
static int count_one(struct batch *batch, struct pending *pending)
{
    struct fs_usage now = usage_of(pending->inode->id, &pending->record);
    uint64_t home = pending->record.parent;
    if (usage_equal(&now, &pending->counted) && (home == pending->home || is_zero(&now)))
        return 0;
    struct usage_node *old_node = NULL;
    struct usage_node *new_node = NULL;
    int err = is_zero(&pending->counted) ? 0 : load(batch, pending->home, &old_node);
    if (err == 0 && !is_zero(&now))
        err = load(batch, home, &new_node);
    if (err < 0)
        return err;
    if (old_node != NULL)
        usage_subtract(&wait_for_sum(batch, old_node)->delta, &pending->counted);
    if (new_node != NULL)
        usage_add(&wait_for_sum(batch, new_node)->delta, &now);
    pending->counted = now;
    pending->home = home;
    return 0;
}

/* All that was touched is counted, and has gone up the tree. */
static int count_all(struct batch *batch)
{
    struct usage_tree *tree = batch->volume->usage;
    while (!list_is_empty(&batch->uncounted)) {
        struct pending *pending = LIST_ENTRY(batch->uncounted.next, struct pending, uncounted);
        int err = count_one(batch, pending);
        if (err < 0)
            return err;
        list_remove(&pending->uncounted);
    }
    while (!list_is_empty(&tree->waiting)) {
        struct usage_node *node = LIST_ENTRY(tree->waiting.next, struct usage_node, waiting);
        struct fs_usage delta = node->delta;
        list_remove(&node->waiting);
        node->delta = (struct fs_usage){ 0 };
        if (is_zero(&delta))
            continue;
        for (; node != NULL; node = node->parent) {
            usage_add(&node->usage, &delta);
            mark_changed(tree, node);
        }
    }
    return 0;
}

int usage_move_prepare(struct batch *batch, uint64_t directory, uint64_t to)
{
    int err = usage_prepare(batch, directory);
    if (err == 0)
        err = usage_prepare(batch, to);
    return err < 0 ? err : count_all(batch);
}

void usage_move(struct batch *batch, uint64_t directory, uint64_t to)
{
    struct usage_tree *tree = batch->volume->usage;
    struct usage_node *node = find(tree, directory);
    struct usage_node *target = find(tree, to);
    assert(node != NULL && target != NULL && list_is_empty(&tree->waiting));
    for (struct usage_node *it = node->parent; it != NULL; it = it->parent) {
        usage_subtract(&it->usage, &node->usage);
        mark_changed(tree, it);
    }
    detach(tree, node);
    attach(node, target);
    for (struct usage_node *it = target; it != NULL; it = it->parent) {
        usage_add(&it->usage, &node->usage);
        mark_changed(tree, it);
    }
}

int usage_write(struct batch *batch)
{
    struct usage_tree *tree = batch->volume->usage;
    int err = count_all(batch);
    if (err < 0)
        return err;
    LIST_FOR_EACH(it, &tree->changed)
    {
        struct usage_node *node = LIST_ENTRY(it, struct usage_node, changed);
        if (usage_equal(&node->usage, &node->stored))
            continue;
        struct key key;
        uint8_t value[USAGE_BYTES];
        key_make1(&key, KEY_USAGE, node->id);
        usage_record_encode(&node->usage, value);
        if (is_zero(&node->usage))
            batch_delete(batch, &key);
        else
            batch_put(batch, &key, slice_of(value, sizeof value));
        node->stored = node->usage;
        quota_note_usage(batch, node->id, &node->usage);
    }
    return 0;
}

uint64_t usage_parent(const struct volume *volume, uint64_t directory)
{
    const struct usage_node *node = find(volume->usage, directory);
    assert(node != NULL);
    return node->parent == NULL ? 0 : node->parent->id;
}

struct fs_usage usage_current(const struct volume *volume, uint64_t directory)
{
    const struct usage_node *node = find(volume->usage, directory);
    assert(node != NULL);
    return node->usage;
}

void usage_finish(struct batch *batch)
{
    struct usage_tree *tree = batch->volume->usage;
    while (!list_is_empty(&tree->changed))
        list_remove(tree->changed.next);
    while (tree->count > NODES_MAX && !list_is_empty(&tree->idle))
        drop_node(tree, LIST_ENTRY(tree->idle.next, struct usage_node, idle));
}
