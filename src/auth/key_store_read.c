/*
 * auth/key_store_read.c - what the key store knows, as copies (room: auth).
 */
#include <stdlib.h>

#include "auth/key_store_internal.h"
#include "base/text.h"

static struct key_info info_of(const struct key_store *store, const struct key_record *record)
{
    struct key_info info = record->info;
    info.is_usable = info.state == KEY_ENABLED && store->has_master;
    return info;
}

int key_store_resolve(struct key_store *store, const char *name, char out_id[KEY_ID_SIZE])
{
    int err = -ENOENT;
    mutex_lock(&store->lock);
    const struct key_alias *alias = key_table_find_alias(&store->table, name);
    const struct key_record *record =
        key_table_find(&store->table, alias != NULL ? alias->key_id : name);
    if (record != NULL) {
        memcpy(out_id, record->info.id, KEY_ID_SIZE);
        err = 0;
    }
    mutex_unlock(&store->lock);
    return err;
}

int key_store_get(struct key_store *store, const char *id, struct key_info *out_info)
{
    mutex_lock(&store->lock);
    const struct key_record *record = key_table_find(&store->table, id);
    if (record != NULL)
        *out_info = info_of(store, record);
    mutex_unlock(&store->lock);
    return record != NULL ? 0 : -ENOENT;
}

int key_store_description(struct key_store *store, const char *id, char **out_text)
{
    char *text = NULL;
    mutex_lock(&store->lock);
    const struct key_record *record = key_table_find(&store->table, id);
    if (record != NULL)
        text = strdup(record->description);
    mutex_unlock(&store->lock);
    if (record == NULL)
        return -ENOENT;
    if (text == NULL)
        return -ENOMEM;
    *out_text = text;
    return 0;
}

size_t key_store_list(
    struct key_store *store, const char *after, size_t count, struct key_info *out_infos)
{
    size_t found = 0;
    mutex_lock(&store->lock);
    for (size_t i = 0; i < store->table.key_count && found < count; i++) {
        const struct key_record *record = &store->table.keys[i];
        if (strcmp(record->info.id, after) > 0)
            out_infos[found++] = info_of(store, record);
    }
    mutex_unlock(&store->lock);
    return found;
}

size_t key_store_list_aliases(struct key_store *store, const char *key_id, const char *after,
    size_t count, struct key_alias *out_aliases)
{
    size_t found = 0;
    mutex_lock(&store->lock);
    for (size_t i = 0; i < store->table.alias_count && found < count; i++) {
        const struct key_alias *alias = &store->table.aliases[i];
        if (strcmp(alias->name, after) > 0 &&
            (key_id == NULL || strcmp(alias->key_id, key_id) == 0))
            out_aliases[found++] = *alias;
    }
    mutex_unlock(&store->lock);
    return found;
}

int key_store_tags(struct key_store *store, const char *id, struct key_tag *out_tags)
{
    int result = -ENOENT;
    mutex_lock(&store->lock);
    const struct key_record *record = key_table_find(&store->table, id);
    if (record != NULL) {
        result = (int)record->info.tag_count;
        memcpy(out_tags, record->tags, record->info.tag_count * sizeof *out_tags);
    }
    mutex_unlock(&store->lock);
    return result;
}
