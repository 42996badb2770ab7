/*
 * auth/key_store_change.c - what happens to keys and aliases after they were made (room: auth).
 */
#include <stdlib.h>

#include "auth/key_store_internal.h"
#include "base/log.h"
#include "base/text.h"

#define DAY_MS          (INT64_C(24) * 3600 * 1000)
#define RESERVED_PREFIX "alias/aws/"

/* What most changes are: something about one key. */
struct key_change {
    const char *id;
    int (*make)(struct key_store *store, struct key_record *record, const struct key_change *how);
    int64_t at_ms;
    bool flag;
    uint32_t number;
    const char *text;
    const struct key_tag *tags;
    const char *const *names;
};

static int change_key(struct key_store *store, struct key_table *table, void *context)
{
    const struct key_change *how = context;
    struct key_record *record = key_table_find(table, how->id);
    return record == NULL ? -ENOENT : how->make(store, record, how);
}

static int make_enabled(
    struct key_store *store, struct key_record *record, const struct key_change *how)
{
    (void)store;
    if (record->info.state == KEY_PENDING_DELETION)
        return -EKEYREVOKED;
    record->info.state = how->flag ? KEY_ENABLED : KEY_DISABLED;
    return 0;
}

int key_store_enable(struct key_store *store, const char *id, bool is_enabled)
{
    struct key_change how = { .id = id, .make = make_enabled, .flag = is_enabled };
    return key_store_change(store, change_key, &how);
}

static int make_pending(
    struct key_store *store, struct key_record *record, const struct key_change *how)
{
    (void)store;
    if (record->info.is_managed)
        return -EPERM;
    if (record->info.state == KEY_PENDING_DELETION)
        return -EKEYREVOKED;
    record->info.state = KEY_PENDING_DELETION;
    record->info.deletion_ms = how->at_ms;
    return 0;
}

int key_store_schedule_deletion(struct key_store *store, const char *id, int64_t deletion_ms)
{
    struct key_change how = { .id = id, .make = make_pending, .at_ms = deletion_ms };
    return key_store_change(store, change_key, &how);
}

static int make_kept(
    struct key_store *store, struct key_record *record, const struct key_change *how)
{
    (void)store;
    (void)how;
    if (record->info.state != KEY_PENDING_DELETION)
        return -EKEYREVOKED;
    record->info.state = KEY_DISABLED;
    record->info.deletion_ms = 0;
    return 0;
}

int key_store_cancel_deletion(struct key_store *store, const char *id)
{
    struct key_change how = { .id = id, .make = make_kept };
    return key_store_change(store, change_key, &how);
}

static int make_rotated(
    struct key_store *store, struct key_record *record, const struct key_change *how)
{
    if (record->info.state != KEY_ENABLED)
        return -EKEYREVOKED;
    return key_record_add_version(store, record, how->at_ms);
}

int key_store_rotate(struct key_store *store, const char *id, int64_t now_ms)
{
    struct key_change how = { .id = id, .make = make_rotated, .at_ms = now_ms };
    return key_store_change(store, change_key, &how);
}

static int make_rotating(
    struct key_store *store, struct key_record *record, const struct key_change *how)
{
    (void)store;
    if (record->info.state != KEY_ENABLED)
        return -EKEYREVOKED;
    record->info.rotates = how->flag;
    record->info.rotation_days = how->number;
    return 0;
}

int key_store_set_rotation(struct key_store *store, const char *id, bool rotates, uint32_t days)
{
    struct key_change how = { .id = id, .make = make_rotating, .flag = rotates, .number = days };
    return key_store_change(store, change_key, &how);
}

static int make_described(
    struct key_store *store, struct key_record *record, const struct key_change *how)
{
    (void)store;
    if (record->info.state == KEY_PENDING_DELETION)
        return -EKEYREVOKED;
    char *copy = strdup(how->text);
    if (copy == NULL)
        return -ENOMEM;
    free(record->description);
    record->description = copy;
    return 0;
}

int key_store_describe_as(struct key_store *store, const char *id, const char *text)
{
    struct key_change how = { .id = id, .make = make_described, .text = text };
    return key_store_change(store, change_key, &how);
}

static int make_tagged(
    struct key_store *store, struct key_record *record, const struct key_change *how)
{
    (void)store;
    if (record->info.state == KEY_PENDING_DELETION)
        return -EKEYREVOKED;
    struct key_tag *tags = realloc(record->tags, KEY_TAGS_MAX * sizeof *tags);
    if (tags == NULL)
        return -ENOMEM;
    record->tags = tags;
    for (uint32_t i = 0; i < how->number; i++) {
        uint32_t at = 0;
        while (at < record->info.tag_count && strcmp(tags[at].key, how->tags[i].key) != 0)
            at++;
        if (at == KEY_TAGS_MAX)
            return -ENOSPC;
        tags[at] = how->tags[i];
        if (at == record->info.tag_count)
            record->info.tag_count++;
    }
    return 0;
}

int key_store_tag(
    struct key_store *store, const char *id, const struct key_tag *tags, uint32_t count)
{
    struct key_change how = { .id = id, .make = make_tagged, .tags = tags, .number = count };
    return key_store_change(store, change_key, &how);
}

static int make_untagged(
    struct key_store *store, struct key_record *record, const struct key_change *how)
{
    (void)store;
    if (record->info.state == KEY_PENDING_DELETION)
        return -EKEYREVOKED;
    uint32_t kept = 0;
    for (uint32_t at = 0; at < record->info.tag_count; at++) {
        bool goes = false;
        for (uint32_t i = 0; i < how->number; i++)
            goes = goes || strcmp(how->names[i], record->tags[at].key) == 0;
        if (!goes)
            record->tags[kept++] = record->tags[at];
    }
    record->info.tag_count = kept;
    return 0;
}

int key_store_untag(
    struct key_store *store, const char *id, const char *const *keys, uint32_t count)
{
    struct key_change how = { .id = id, .make = make_untagged, .names = keys, .number = count };
    return key_store_change(store, change_key, &how);
}

/* ---- aliases ---- */

struct alias_change {
    struct key_alias alias;
    bool is_new;
};

/* Whether the key can have an alias now. */
static int check_target(const struct key_table *table, const struct key_alias *alias)
{
    const struct key_record *record = key_table_find(table, alias->key_id);
    if (record == NULL)
        return -ENOENT;
    if (record->info.state == KEY_PENDING_DELETION)
        return -EKEYREVOKED;
    return strncmp(alias->name, RESERVED_PREFIX, strlen(RESERVED_PREFIX)) == 0 ? -EPERM : 0;
}

static int put_alias(struct key_store *store, struct key_table *table, void *context)
{
    (void)store;
    const struct alias_change *how = context;
    struct key_alias *old = key_table_find_alias(table, how->alias.name);
    if (how->is_new && old != NULL)
        return -EEXIST;
    if (!how->is_new && old == NULL)
        return -ENOENT;
    int err = check_target(table, &how->alias);
    if (err < 0 || how->is_new)
        return err < 0 ? err : key_table_add_alias(table, &how->alias);
    memcpy(old->key_id, how->alias.key_id, KEY_ID_SIZE);
    old->updated_ms = how->alias.updated_ms;
    return 0;
}

static int change_alias(
    struct key_store *store, const char *name, const char *id, bool is_new, int64_t now_ms)
{
    struct alias_change how = { .alias = { .created_ms = now_ms, .updated_ms = now_ms },
        .is_new = is_new };
    if (text_copy(how.alias.name, sizeof how.alias.name, name) < 0 ||
        text_copy(how.alias.key_id, sizeof how.alias.key_id, id) < 0)
        return -ENOENT;
    return key_store_change(store, put_alias, &how);
}

int key_store_alias_create(
    struct key_store *store, const char *name, const char *id, int64_t now_ms)
{
    return change_alias(store, name, id, true, now_ms);
}

int key_store_alias_update(
    struct key_store *store, const char *name, const char *id, int64_t now_ms)
{
    return change_alias(store, name, id, false, now_ms);
}

static void drop_alias(struct key_table *table, const struct key_alias *alias)
{
    size_t at = (size_t)(alias - table->aliases);
    table->alias_count--;
    memmove(table->aliases + at, table->aliases + at + 1,
        (table->alias_count - at) * sizeof *table->aliases);
}

static int delete_alias(struct key_store *store, struct key_table *table, void *context)
{
    (void)store;
    const char *name = context;
    const struct key_alias *alias = key_table_find_alias(table, name);
    if (alias == NULL)
        return -ENOENT;
    if (strncmp(name, RESERVED_PREFIX, strlen(RESERVED_PREFIX)) == 0)
        return -EPERM;
    drop_alias(table, alias);
    return 0;
}

int key_store_alias_delete(struct key_store *store, const char *name)
{
    char copy[KEY_ALIAS_SIZE];
    if (text_copy(copy, sizeof copy, name) < 0)
        return -ENOENT;
    return key_store_change(store, delete_alias, copy);
}

/* ---- what time does ---- */

static bool is_over(const struct key_info *info, int64_t now_ms)
{
    return info->state == KEY_PENDING_DELETION && info->deletion_ms <= now_ms;
}

static bool must_rotate(const struct key_info *info, int64_t now_ms)
{
    return info->state == KEY_ENABLED && info->rotates && info->version_count < KEY_VERSIONS_MAX &&
           now_ms - info->rotated_ms >= info->rotation_days * DAY_MS;
}

/* A key is gone for ever: so is what only it can unwrap. */
static void delete_key(struct key_table *table, size_t at)
{
    struct key_record *record = &table->keys[at];
    for (size_t i = table->alias_count; i > 0; i--) {
        if (strcmp(table->aliases[i - 1].key_id, record->info.id) == 0)
            drop_alias(table, &table->aliases[i - 1]);
    }
    LOG_WARN("a key was deleted: its time was over", "key=%s", record->info.id);
    key_record_fini(record);
    table->key_count--;
    memmove(record, record + 1, (table->key_count - at) * sizeof *record);
}

static int do_what_is_due(struct key_store *store, struct key_table *table, void *context)
{
    const int64_t *now_ms = context;
    for (size_t i = table->key_count; i > 0; i--) {
        struct key_record *record = &table->keys[i - 1];
        if (must_rotate(&record->info, *now_ms)) {
            int err = key_record_add_version(store, record, *now_ms);
            if (err < 0)
                return err;
        } else if (is_over(&record->info, *now_ms)) {
            delete_key(table, i - 1);
        }
    }
    return 0;
}

bool key_store_tick(struct key_store *store, int64_t now_ms)
{
    bool is_due = false;
    mutex_lock(&store->lock);
    for (size_t i = 0; i < store->table.key_count; i++) {
        const struct key_info *info = &store->table.keys[i].info;
        is_due =
            is_due || is_over(info, now_ms) || (store->has_master && must_rotate(info, now_ms));
    }
    mutex_unlock(&store->lock);
    int err = is_due ? key_store_change(store, do_what_is_due, &now_ms) : 0;
    if (err < 0)
        LOG_WARN("keys that are to be rotated or deleted could not be", "error=%d", err);
    return is_due && err == 0;
}
