/*
 * auth/key_store_file.c - the key store's file and the master key's (room: auth).
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "auth/key_store_internal.h"
#include "base/log.h"
#include "base/random.h"
#include "base/sys.h"
#include "base/text.h"

#define FILE_NAME       "store"
#define MASTER_NAME     "master-key"
#define FILE_SIZE_MAX   (size_t)(64 * MIB)
#define MASTER_SIZE_MAX 256u
#define FORMAT_VERSION  1

void key_record_fini(struct key_record *record)
{
    free(record->description);
    free(record->tags);
    free(record->versions);
    *record = (struct key_record){ 0 };
}

void key_table_fini(struct key_table *table)
{
    for (size_t i = 0; i < table->key_count; i++)
        key_record_fini(&table->keys[i]);
    free(table->keys);
    free(table->aliases);
    *table = (struct key_table){ 0 };
}

static void *copy_of(const void *from, size_t size)
{
    void *copy = malloc(size + 1);
    if (copy != NULL && size > 0)
        memcpy(copy, from, size);
    return copy;
}

static int copy_record(const struct key_record *from, struct key_record *to)
{
    const struct key_info *info = &from->info;
    to->info = *info;
    to->description = copy_of(from->description, strlen(from->description) + 1);
    to->tags = copy_of(from->tags, info->tag_count * sizeof *from->tags);
    to->versions = copy_of(from->versions, info->version_count * sizeof *from->versions);
    return to->description == NULL || to->tags == NULL || to->versions == NULL ? -ENOMEM : 0;
}

int key_table_copy(const struct key_table *from, struct key_table *out_table)
{
    struct key_table table = *from;
    table.keys = calloc(from->key_count + 1, sizeof *table.keys);
    table.aliases = copy_of(from->aliases, from->alias_count * sizeof *table.aliases);
    int err = table.keys == NULL || table.aliases == NULL ? -ENOMEM : 0;
    if (table.keys == NULL)
        table.key_count = 0;
    for (size_t i = 0; err == 0 && i < from->key_count; i++)
        err = copy_record(&from->keys[i], &table.keys[i]);
    if (err < 0)
        key_table_fini(&table);
    else
        *out_table = table;
    return err;
}

struct key_record *key_table_find(const struct key_table *table, const char *id)
{
    for (size_t i = 0; i < table->key_count; i++) {
        if (strcmp(table->keys[i].info.id, id) == 0)
            return &table->keys[i];
    }
    return NULL;
}

struct key_alias *key_table_find_alias(const struct key_table *table, const char *name)
{
    for (size_t i = 0; i < table->alias_count; i++) {
        if (strcmp(table->aliases[i].name, name) == 0)
            return &table->aliases[i];
    }
    return NULL;
}

struct slice key_binding(const char *id, uint32_t version, char buffer[96])
{
    int size = snprintf(buffer, 96, "shoal key %s %u", id, version);
    assert(size > 0 && size < 96);
    return slice_of(buffer, (size_t)size);
}

/* ---- bytes as hexadecimal digits ---- */

static void to_hex(const uint8_t *bytes, size_t size, char *out_text)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < size; i++) {
        out_text[2 * i] = digits[bytes[i] >> 4];
        out_text[2 * i + 1] = digits[bytes[i] & 15];
    }
    out_text[2 * size] = '\0';
}

static int from_hex(const char *text, uint8_t *out_bytes, size_t size)
{
    if (strlen(text) != 2 * size || strspn(text, "0123456789abcdef") != 2 * size)
        return -EBADMSG;
    for (size_t i = 0; i < 2 * size; i++) {
        unsigned digit = (unsigned)(text[i] <= '9' ? text[i] - '0' : text[i] - 'a' + 10);
        out_bytes[i / 2] = (uint8_t)(i % 2 == 0 ? digit << 4 : out_bytes[i / 2] | digit);
    }
    return 0;
}

/* ---- the store's file: JSON ---- */

static json_t *pack_key(const struct key_record *record)
{
    const struct key_info *info = &record->info;
    json_t *tags = json_array();
    json_t *versions = json_array();
    int err = 0;
    for (uint32_t i = 0; i < info->tag_count; i++)
        err |= json_array_append_new(
            tags, json_pack("[ss]", record->tags[i].key, record->tags[i].value));
    for (uint32_t i = 0; i < info->version_count; i++) {
        char wrapped[2 * KEY_WRAP_BYTES + 1];
        to_hex(record->versions[i].wrapped, KEY_WRAP_BYTES, wrapped);
        err |= json_array_append_new(
            versions, json_pack("{sI ss}", "created_ms", (json_int_t)record->versions[i].created_ms,
                          "wrapped", wrapped));
    }
    json_t *json = json_pack("{ss si sb sb si sI sI sI ss so so}", "id", info->id, "state",
        (int)info->state, "managed", info->is_managed, "rotates", info->rotates, "rotation_days",
        (int)info->rotation_days, "created_ms", (json_int_t)info->created_ms, "rotated_ms",
        (json_int_t)info->rotated_ms, "deletion_ms", (json_int_t)info->deletion_ms, "description",
        record->description, "tags", tags, "versions", versions);
    if (err == 0)
        return json;
    json_decref(json);
    return NULL;
}

static json_t *pack_table(const struct key_table *table)
{
    char check[2 * KEY_WRAP_BYTES + 1] = "";
    if (table->has_check)
        to_hex(table->check, KEY_WRAP_BYTES, check);
    json_t *keys = json_array();
    json_t *aliases = json_array();
    int err = 0;
    for (size_t i = 0; i < table->key_count; i++)
        err |= json_array_append_new(keys, pack_key(&table->keys[i]));
    for (size_t i = 0; i < table->alias_count; i++) {
        const struct key_alias *alias = &table->aliases[i];
        err |= json_array_append_new(aliases,
            json_pack("{ss ss sI sI}", "name", alias->name, "key", alias->key_id, "created_ms",
                (json_int_t)alias->created_ms, "updated_ms", (json_int_t)alias->updated_ms));
    }
    json_t *json = json_pack("{si ss so so}", "format", FORMAT_VERSION, "check", check, "keys",
        keys, "aliases", aliases);
    if (err == 0)
        return json;
    json_decref(json);
    return NULL;
}

int key_table_write(int dir_fd, const struct key_table *table)
{
    json_t *json = pack_table(table);
    char *text = json == NULL ? NULL : json_dumps(json, JSON_INDENT(1));
    json_decref(json);
    if (text == NULL)
        return -ENOMEM;
    int err = sys_replace_file(dir_fd, FILE_NAME, text, strlen(text), 0600);
    free(text);
    return err;
}

static int take_text(const json_t *json, const char *name, char *to, size_t size)
{
    const char *text = json_string_value(json_object_get(json, name));
    return text == NULL || text_copy(to, size, text) < 0 ? -EBADMSG : 0;
}

static int64_t take_number(const json_t *json, const char *name)
{
    return json_integer_value(json_object_get(json, name));
}

static int unpack_lists(const json_t *json, struct key_record *record)
{
    const json_t *tags = json_object_get(json, "tags");
    const json_t *versions = json_object_get(json, "versions");
    size_t tag_count = json_array_size(tags);
    size_t version_count = json_array_size(versions);
    if (tag_count > KEY_TAGS_MAX || version_count == 0 || version_count > KEY_VERSIONS_MAX)
        return -EBADMSG;
    record->tags = calloc(tag_count + 1, sizeof *record->tags);
    record->versions = calloc(version_count, sizeof *record->versions);
    if (record->tags == NULL || record->versions == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < tag_count; i++) {
        const json_t *pair = json_array_get(tags, i);
        const char *key = json_string_value(json_array_get(pair, 0));
        const char *value = json_string_value(json_array_get(pair, 1));
        if (key == NULL || value == NULL ||
            text_copy(record->tags[i].key, KEY_TAG_KEY_SIZE, key) < 0 ||
            text_copy(record->tags[i].value, KEY_TAG_VALUE_SIZE, value) < 0)
            return -EBADMSG;
    }
    for (size_t i = 0; i < version_count; i++) {
        const json_t *version = json_array_get(versions, i);
        const char *wrapped = json_string_value(json_object_get(version, "wrapped"));
        if (wrapped == NULL || from_hex(wrapped, record->versions[i].wrapped, KEY_WRAP_BYTES) < 0)
            return -EBADMSG;
        record->versions[i].created_ms = take_number(version, "created_ms");
    }
    record->info.tag_count = (uint32_t)tag_count;
    record->info.version_count = (uint32_t)version_count;
    return 0;
}

static int unpack_key(const json_t *json, struct key_record *record)
{
    struct key_info *info = &record->info;
    const char *description = json_string_value(json_object_get(json, "description"));
    int64_t state = take_number(json, "state");
    if (take_text(json, "id", info->id, sizeof info->id) < 0 || state < KEY_ENABLED ||
        state > KEY_PENDING_DELETION)
        return -EBADMSG;
    info->state = (enum key_state)state;
    info->is_managed = json_is_true(json_object_get(json, "managed"));
    info->rotates = json_is_true(json_object_get(json, "rotates"));
    info->rotation_days = (uint32_t)take_number(json, "rotation_days");
    info->created_ms = take_number(json, "created_ms");
    info->rotated_ms = take_number(json, "rotated_ms");
    info->deletion_ms = take_number(json, "deletion_ms");
    record->description = strdup(description != NULL ? description : "");
    return record->description == NULL ? -ENOMEM : unpack_lists(json, record);
}

static int unpack_aliases(const json_t *list, struct key_table *table)
{
    size_t count = json_array_size(list);
    if (count > KEY_STORE_KEYS_MAX)
        return -EBADMSG;
    table->aliases = calloc(count + 1, sizeof *table->aliases);
    if (table->aliases == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++) {
        struct key_alias *alias = &table->aliases[i];
        const json_t *json = json_array_get(list, i);
        if (take_text(json, "name", alias->name, sizeof alias->name) < 0 ||
            take_text(json, "key", alias->key_id, sizeof alias->key_id) < 0 ||
            key_table_find(table, alias->key_id) == NULL)
            return -EBADMSG;
        alias->created_ms = take_number(json, "created_ms");
        alias->updated_ms = take_number(json, "updated_ms");
    }
    table->alias_count = count;
    return 0;
}

static int unpack_table(const json_t *json, struct key_table *table)
{
    const json_t *keys = json_object_get(json, "keys");
    const char *check = json_string_value(json_object_get(json, "check"));
    size_t count = json_array_size(keys);
    if (take_number(json, "format") > FORMAT_VERSION)
        return -EPROTO;
    if (take_number(json, "format") != FORMAT_VERSION || check == NULL ||
        count > KEY_STORE_KEYS_MAX)
        return -EBADMSG;
    table->has_check = check[0] != '\0';
    if (table->has_check && from_hex(check, table->check, KEY_WRAP_BYTES) < 0)
        return -EBADMSG;
    table->keys = calloc(count + 1, sizeof *table->keys);
    if (table->keys == NULL)
        return -ENOMEM;
    table->key_count = count;
    int err = 0;
    for (size_t i = 0; err == 0 && i < count; i++) {
        err = unpack_key(json_array_get(keys, i), &table->keys[i]);
        if (i > 0 && strcmp(table->keys[i - 1].info.id, table->keys[i].info.id) >= 0)
            err = err < 0 ? err : -EBADMSG;
    }
    return err < 0 ? err : unpack_aliases(json_object_get(json, "aliases"), table);
}

int key_table_read(int dir_fd, struct key_table *out_table)
{
    char *text;
    struct key_table table = { 0 };
    int err = sys_read_file(dir_fd, FILE_NAME, FILE_SIZE_MAX, &text);
    if (err < 0)
        return err == -EFBIG ? -EBADMSG : err;
    json_t *json = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    free(text);
    err = json == NULL ? -EBADMSG : unpack_table(json, &table);
    json_decref(json);
    if (err < 0)
        key_table_fini(&table);
    else
        *out_table = table;
    return err;
}

/* ---- the master key's file: 64 digits ---- */

int key_master_read(const struct key_store *store, uint8_t out_master[KEY_BYTES])
{
    char *text;
    int err = store->master_path != NULL
                  ? sys_read_file(AT_FDCWD, store->master_path, MASTER_SIZE_MAX, &text)
                  : sys_read_file(store->dir_fd, MASTER_NAME, MASTER_SIZE_MAX, &text);
    if (err < 0)
        return err == -EFBIG ? -EBADMSG : err;
    text[strcspn(text, "\r\n")] = '\0';
    err = from_hex(text, out_master, KEY_BYTES);
    explicit_bzero(text, strlen(text));
    free(text);
    return err;
}

int key_master_make(const struct key_store *store, uint8_t out_master[KEY_BYTES])
{
    char text[2 * KEY_BYTES + 2];
    random_bytes(out_master, KEY_BYTES);
    to_hex(out_master, KEY_BYTES, text);
    text[2 * KEY_BYTES] = '\n';
    int err = 0;
    if (store->master_path == NULL) {
        err = sys_replace_file(store->dir_fd, MASTER_NAME, text, sizeof text - 1, 0600);
    } else { /* a file of the operator's choice is never replaced */
        int fd = sys_openat(AT_FDCWD, store->master_path, O_WRONLY | O_CREAT | O_EXCL, 0600);
        err = fd < 0 ? fd : sys_pwrite_all(fd, text, sizeof text - 1, 0);
        if (err == 0)
            err = sys_fsync(fd);
        if (fd >= 0)
            (void)close(fd);
    }
    explicit_bzero(text, sizeof text);
    return err;
}
