/*
 * catalog/entry.c - entries, their references and their places in the tables (room: catalog).
 */
#include <stdatomic.h>
#include <stdlib.h>

#include "catalog/internal.h"

static const struct {
    enum table first;
    unsigned node_count;
} places[ENTRY_KIND_COUNT] = {
    [ENTRY_FS] = { TABLE_FS, 2 },
    [ENTRY_MOUNT_TARGET] = { TABLE_MOUNT_TARGET, 3 },
    [ENTRY_ACCESS_POINT] = { TABLE_ACCESS_POINT, 3 },
    [ENTRY_KEY] = { TABLE_KEY, 2 },
    [ENTRY_IDENTITY] = { TABLE_IDENTITY, 2 },
    [ENTRY_NET] = { TABLE_NET, 2 },
};

int entry_new(enum entry_kind kind, struct entry **out_entry)
{
    struct entry *entry = calloc(1, sizeof *entry);
    if (entry == NULL)
        return -ENOMEM;
    entry->refs = 1;
    entry->kind = kind;
    *out_entry = entry;
    return 0;
}

struct catalog_tags *entry_tags(struct entry *entry)
{
    if (entry->kind == ENTRY_FS)
        return &entry->fs.tags;
    if (entry->kind == ENTRY_ACCESS_POINT)
        return &entry->access_point.tags;
    if (entry->kind == ENTRY_NET)
        return &entry->net.tags;
    return NULL;
}

int entry_clone(const struct entry *entry, struct entry **out_entry)
{
    struct entry *copy;
    int err = entry_new(entry->kind, &copy);
    if (err < 0)
        return err;
    switch (entry->kind) {
    case ENTRY_FS:
        copy->fs = entry->fs;
        copy->fs.tags = (struct catalog_tags){ 0 };
        copy->fs.policy = NULL;
        err = catalog_fs_set_policy(&copy->fs, entry->fs.policy);
        break;
    case ENTRY_MOUNT_TARGET:
        copy->mount_target = entry->mount_target;
        break;
    case ENTRY_ACCESS_POINT:
        copy->access_point = entry->access_point;
        copy->access_point.tags = (struct catalog_tags){ 0 };
        break;
    case ENTRY_KEY:
        copy->key = entry->key;
        break;
    case ENTRY_IDENTITY:
        err = identity_copy(&entry->identity, &copy->identity);
        break;
    case ENTRY_NET:
        err = net_copy(&entry->net, &copy->net);
        break;
    case ENTRY_KIND_COUNT:
        abort();
    }
    const struct catalog_tags *tags = NULL;
    if (entry->kind == ENTRY_FS)
        tags = &entry->fs.tags;
    else if (entry->kind == ENTRY_ACCESS_POINT)
        tags = &entry->access_point.tags;
    else if (entry->kind == ENTRY_NET)
        tags = &entry->net.tags;
    for (size_t i = 0; tags != NULL && err == 0 && i < tags->count; i++)
        err = catalog_tags_set(entry_tags(copy), tags->items[i].key, tags->items[i].value);
    if (err < 0) {
        entry_unref(copy);
        return err;
    }
    *out_entry = copy;
    return 0;
}

int catalog_fs_set_policy(struct catalog_fs *fs, const char *policy)
{
    char *copy = NULL;
    if (policy != NULL) {
        copy = strdup(policy);
        if (copy == NULL)
            return -ENOMEM;
    }
    free(fs->policy);
    fs->policy = copy;
    return 0;
}

void entry_ref(struct entry *entry)
{
    atomic_fetch_add_explicit(&entry->refs, 1, memory_order_relaxed);
}

void entry_unref(struct entry *entry)
{
    if (entry == NULL || atomic_fetch_sub_explicit(&entry->refs, 1, memory_order_acq_rel) != 1)
        return;
    struct catalog_tags *tags = entry_tags(entry);
    if (tags != NULL)
        catalog_tags_fini(tags);
    if (entry->kind == ENTRY_FS)
        free(entry->fs.policy);
    if (entry->kind == ENTRY_IDENTITY)
        identity_fini(&entry->identity);
    if (entry->kind == ENTRY_NET)
        net_fini(&entry->net);
    if (entry->kind == ENTRY_KEY)
        explicit_bzero(&entry->key, sizeof entry->key);
    free(entry);
}

const char *entry_id(const struct entry *entry)
{
    switch (entry->kind) {
    case ENTRY_FS:
        return entry->fs.id;
    case ENTRY_MOUNT_TARGET:
        return entry->mount_target.id;
    case ENTRY_ACCESS_POINT:
        return entry->access_point.id;
    case ENTRY_KEY:
        return entry->key.id;
    case ENTRY_IDENTITY:
        return entry->identity.id;
    case ENTRY_NET:
        return entry->net.id;
    case ENTRY_KIND_COUNT:
        break;
    }
    abort();
}

void address_to_key(struct in_addr address, char out_key[9])
{
    static const char hex[] = "0123456789abcdef";
    uint32_t value = ntohl(address.s_addr);
    for (unsigned i = 0; i < 8; i++)
        out_key[i] = hex[(value >> (28 - 4 * i)) & 15];
    out_key[8] = '\0';
}

static void set_node(struct entry *entry, unsigned slot, const char *major, const char *minor)
{
    for (unsigned layer = 0; layer < LAYER_COUNT; layer++) {
        entry->nodes[layer * ENTRY_NODES_MAX + slot].major = major;
        entry->nodes[layer * ENTRY_NODES_MAX + slot].minor = minor;
    }
}

/* In the order of its kind's tables. */
void entry_set_keys(struct entry *entry)
{
    set_node(entry, 0, entry_id(entry), "");
    switch (entry->kind) {
    case ENTRY_FS:
        set_node(entry, 1, entry->fs.creation_token, "");
        break;
    case ENTRY_MOUNT_TARGET:
        address_to_key(entry->mount_target.address, entry->address_key);
        set_node(entry, 1, entry->mount_target.fs_id, entry->mount_target.id);
        set_node(entry, 2, entry->address_key, "");
        break;
    case ENTRY_ACCESS_POINT:
        set_node(entry, 1, entry->access_point.fs_id, entry->access_point.id);
        set_node(entry, 2, entry->access_point.fs_id, entry->access_point.client_token);
        break;
    case ENTRY_KEY:
        set_node(entry, 1, entry->key.user_id, entry->key.id);
        break;
    case ENTRY_IDENTITY:
        identity_fold(entry->identity.name, entry->identity.folded_name);
        set_node(entry, 1, identity_kind_word(entry->identity.kind), entry->identity.folded_name);
        break;
    case ENTRY_NET:
        set_node(entry, 1, net_kind_word(entry->net.kind), entry->net.id);
        break;
    case ENTRY_KIND_COUNT:
        break;
    }
}

struct entry *entry_of_node(const struct catalog_index_node *node, enum layer layer, unsigned slot)
{
    union {
        const struct catalog_index_node *given;
        char *own;
    } pointer = { .given = node - layer * ENTRY_NODES_MAX - slot };
    return (struct entry *)(void *)(pointer.own - offsetof(struct entry, nodes));
}

struct entry *tables_find(const struct tables *tables, enum entry_kind kind, const char *id)
{
    struct catalog_index_node *node =
        catalog_index_find(&tables->indexes[places[kind].first], id, "");
    return node == NULL ? NULL : entry_of_node(node, tables->layer, 0);
}

/* Keeps the number of access points with their file system. */
static void count_access_point(struct tables *tables, const struct entry *entry, uint32_t change)
    REQUIRES(tables->lock)
{
    if (entry->kind != ENTRY_ACCESS_POINT)
        return;
    struct entry *fs = tables_find(tables, ENTRY_FS, entry->access_point.fs_id);
    if (fs != NULL) /* else it goes in the same change */
        fs->access_point_counts[tables->layer] += change;
}

void tables_insert(struct tables *tables, struct entry *entry)
{
    for (unsigned slot = 0; slot < places[entry->kind].node_count; slot++)
        catalog_index_insert(&tables->indexes[places[entry->kind].first + slot],
            &entry->nodes[tables->layer * ENTRY_NODES_MAX + slot]);
    tables->counts[entry->kind]++;
    count_access_point(tables, entry, 1);
}

void tables_remove(struct tables *tables, struct entry *entry)
{
    for (unsigned slot = 0; slot < places[entry->kind].node_count; slot++)
        catalog_index_remove(&tables->indexes[places[entry->kind].first + slot],
            &entry->nodes[tables->layer * ENTRY_NODES_MAX + slot]);
    tables->counts[entry->kind]--;
    count_access_point(tables, entry, UINT32_MAX); /* one less, modulo 2^32 */
}
