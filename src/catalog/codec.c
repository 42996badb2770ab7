/*
 * catalog/codec.c - records as JSON, the form they have on disk (room: catalog;
 * docs/formats/catalog.md).
 *
 * Fields may be added in later releases; one that is missing has its zero. Anything of a wrong type
 * or out of range is damage (-EBADMSG), never guessed at.
 */
#include <arpa/inet.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"
#include "catalog/internal.h"

static const char letters[ENTRY_KIND_COUNT] = {
    [ENTRY_FS] = 'f',
    [ENTRY_MOUNT_TARGET] = 'm',
    [ENTRY_ACCESS_POINT] = 'a',
    [ENTRY_KEY] = 'k',
    [ENTRY_IDENTITY] = 'i',
    [ENTRY_NET] = 'p',
};

char codec_letter(enum entry_kind kind)
{
    return letters[kind];
}

/* Dumps and drops `object`; NULL stands for a packing that found no memory. */
static int finish(json_t *object, char **out_text)
{
    if (object == NULL)
        return -ENOMEM;
    char *text = json_dumps(object, JSON_COMPACT);
    json_decref(object);
    if (text == NULL)
        return -ENOMEM;
    *out_text = text;
    return 0;
}

json_t *codec_pack_tags(const struct catalog_tags *tags)
{
    json_t *list = json_array();
    for (size_t i = 0; i < tags->count; i++) {
        if (json_array_append_new(
                list, json_pack("[ss]", tags->items[i].key, tags->items[i].value)) < 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

/* Lifecycle policies as a list of [transition, days]. */
static json_t *pack_lifecycle(const struct catalog_lifecycle *lifecycle)
{
    json_t *list = json_array();
    for (size_t i = 0; i < lifecycle->count; i++) {
        json_t *pair = json_pack("[iI]", (int)lifecycle->policies[i].transition,
            (json_int_t)lifecycle->policies[i].days);
        if (json_array_append_new(list, pair) < 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

/* What most file systems do not have stands in the record of those that do. */
static int pack_fs_options(const struct catalog_fs *fs, json_t *object)
{
    int err = 0;
    if (fs->policy != NULL)
        err |= json_object_set_new(object, "policy", json_string(fs->policy));
    if (fs->lifecycle.count > 0)
        err |= json_object_set_new(object, "lifecycle", pack_lifecycle(&fs->lifecycle));
    const struct catalog_replication *replication = &fs->replication;
    if (replication->status != CATALOG_REPLICATION_NONE) {
        json_t *pair = json_pack("{si sb ss ss ss sI}", "status", (int)replication->status,
            "is_destination", (int)replication->is_destination, "peer", replication->peer_id,
            "original", replication->original_id, "role", replication->role_arn, "created_ms",
            (json_int_t)replication->created_ms);
        err |= json_object_set_new(object, "replication", pair);
    }
    if (fs->kms_key[0] != '\0')
        err |= json_object_set_new(object, "kms_key", json_string(fs->kms_key));
    return err;
}

static json_t *pack_fs(const struct catalog_fs *fs)
{
    json_t *object = json_pack("{ss ss ss si si si sf sI sb si sI sI sI so}", "id", fs->id, "token",
        fs->creation_token, "zone", fs->zone_name, "state", (int)fs->state, "performance",
        (int)fs->performance, "throughput", (int)fs->throughput, "provisioned_mibps",
        fs->provisioned_mibps, "provisioned_at_ms", (json_int_t)fs->provisioned_at_ms,
        "overwrite_protected", (int)fs->overwrite_protected, "backup", (int)fs->backup,
        "created_ms", (json_int_t)fs->created_ms, "size_bytes", (json_int_t)fs->size_bytes,
        "size_sampled_ms", (json_int_t)fs->size_sampled_ms, "tags", codec_pack_tags(&fs->tags));
    if (object != NULL && pack_fs_options(fs, object) < 0) {
        json_decref(object);
        return NULL;
    }
    return object;
}

static json_t *pack_mount_target(const struct catalog_mount_target *target)
{
    char address[INET_ADDRSTRLEN];
    const char *text = inet_ntop(AF_INET, &target->address, address, sizeof address);
    assert(text != NULL);
    json_t *groups = json_array();
    for (size_t i = 0; i < target->security_group_count; i++) {
        if (json_array_append_new(groups, json_string(target->security_groups[i])) < 0) {
            json_decref(groups);
            return NULL;
        }
    }
    return json_pack("{ss ss ss ss si ss sI so}", "id", target->id, "fs", target->fs_id, "subnet",
        target->subnet_id, "interface", target->interface_id, "state", (int)target->state,
        "address", text, "created_ms", (json_int_t)target->created_ms, "security_groups", groups);
}

static json_t *pack_access_point(const struct catalog_access_point *point)
{
    json_t *object = json_pack("{ss ss ss si sI ss so}", "id", point->id, "fs", point->fs_id,
        "token", point->client_token, "state", (int)point->state, "created_ms",
        (json_int_t)point->created_ms, "path", point->root_path, "tags",
        codec_pack_tags(&point->tags));
    int err = object == NULL ? -1 : 0;
    if (err == 0 && point->has_posix_user) {
        json_t *gids = json_array();
        for (size_t i = 0; err == 0 && i < point->secondary_gid_count; i++)
            err = json_array_append_new(gids, json_integer(point->secondary_gids[i]));
        json_t *user = json_pack("{sI sI so}", "uid", (json_int_t)point->uid, "gid",
            (json_int_t)point->gid, "gids", gids);
        err = json_object_set_new(object, "user", user) < 0 ? -1 : err;
    }
    if (err == 0 && point->has_creation_info) {
        json_t *creation = json_pack("{sI sI ss}", "uid", (json_int_t)point->owner_uid, "gid",
            (json_int_t)point->owner_gid, "permissions", point->permissions);
        err = json_object_set_new(object, "creation", creation);
    }
    if (err < 0) {
        json_decref(object);
        return NULL;
    }
    return object;
}

static json_t *pack_key(const struct catalog_key *key)
{
    return json_pack("{ss ss ss sb sI sI ss}", "id", key->id, "secret", key->secret, "user_id",
        key->user_id, "inactive", (int)key->is_inactive, "created_ms", (json_int_t)key->created_ms,
        "used_ms", (json_int_t)key->used_ms, "used_service", key->used_service);
}

int codec_encode(const struct entry *entry, char **out_text)
{
    switch (entry->kind) {
    case ENTRY_FS:
        return finish(pack_fs(&entry->fs), out_text);
    case ENTRY_MOUNT_TARGET:
        return finish(pack_mount_target(&entry->mount_target), out_text);
    case ENTRY_ACCESS_POINT:
        return finish(pack_access_point(&entry->access_point), out_text);
    case ENTRY_KEY:
        return finish(pack_key(&entry->key), out_text);
    case ENTRY_IDENTITY:
        return finish(identity_pack(&entry->identity), out_text);
    case ENTRY_NET:
        return finish(net_pack(&entry->net), out_text);
    case ENTRY_KIND_COUNT:
        break;
    }
    abort();
}

/* Reading. Each takes what is there and notes damage in *ok, so that a decoder reads as a list of
 * fields. */

void codec_take_text(const json_t *object, const char *name, char *to, size_t size, bool *ok)
{
    const json_t *value = json_object_get(object, name);
    if (value == NULL)
        return;
    if (!json_is_string(value) || strlen(json_string_value(value)) != json_string_length(value) ||
        text_copy(to, size, json_string_value(value)) < 0)
        *ok = false;
}

int64_t codec_take_int(const json_t *object, const char *name, int64_t min, int64_t max, bool *ok)
{
    const json_t *value = json_object_get(object, name);
    if (value == NULL)
        return 0;
    int64_t number = json_integer_value(value);
    if (!json_is_integer(value) || number < min || number > max) {
        *ok = false;
        return 0;
    }
    return number;
}

static uint32_t take_u32(const json_t *object, const char *name, bool *ok)
{
    return (uint32_t)codec_take_int(object, name, 0, UINT32_MAX, ok);
}

static int64_t take_time(const json_t *object, const char *name, bool *ok)
{
    return codec_take_int(object, name, INT64_MIN, INT64_MAX, ok);
}

void codec_take_tags(const json_t *object, const char *name, struct catalog_tags *tags, bool *ok)
{
    size_t i;
    const json_t *pair;
    const json_t *list = json_object_get(object, name);
    json_array_foreach(list, i, pair)
    {
        const char *key = json_string_value(json_array_get(pair, 0));
        const char *value = json_string_value(json_array_get(pair, 1));
        if (key == NULL || value == NULL || catalog_tags_set(tags, key, value) < 0)
            *ok = false;
    }
}

static void take_lifecycle(const json_t *object, struct catalog_lifecycle *lifecycle, bool *ok)
{
    size_t i;
    const json_t *pair;
    const json_t *list = json_object_get(object, "lifecycle");
    json_array_foreach(list, i, pair)
    {
        json_int_t transition = json_integer_value(json_array_get(pair, 0));
        json_int_t days = json_integer_value(json_array_get(pair, 1));
        if (i >= CATALOG_TRANSITIONS_MAX || json_array_size(pair) != 2 || transition < 0 ||
            transition > CATALOG_TO_PRIMARY || days < 0 || days > UINT32_MAX) {
            *ok = false;
            return;
        }
        lifecycle->policies[i].transition = (enum catalog_transition)transition;
        lifecycle->policies[i].days = (uint32_t)days;
        lifecycle->count = i + 1;
    }
}

static void take_replication(
    const json_t *object, struct catalog_replication *replication, bool *ok)
{
    const json_t *pair = json_object_get(object, "replication");
    if (pair == NULL)
        return;
    replication->status = (enum catalog_replication_status)codec_take_int(
        pair, "status", CATALOG_REPLICATION_ENABLING, CATALOG_REPLICATION_DELETING, ok);
    replication->is_destination = json_is_true(json_object_get(pair, "is_destination"));
    codec_take_text(pair, "peer", replication->peer_id, sizeof replication->peer_id, ok);
    codec_take_text(
        pair, "original", replication->original_id, sizeof replication->original_id, ok);
    codec_take_text(pair, "role", replication->role_arn, sizeof replication->role_arn, ok);
    replication->created_ms = take_time(pair, "created_ms", ok);
}

static void unpack_fs(const json_t *object, struct catalog_fs *fs, bool *ok)
{
    codec_take_text(object, "id", fs->id, sizeof fs->id, ok);
    codec_take_text(object, "token", fs->creation_token, sizeof fs->creation_token, ok);
    codec_take_text(object, "zone", fs->zone_name, sizeof fs->zone_name, ok);
    if (json_object_get(object, "kms_key") != NULL)
        codec_take_text(object, "kms_key", fs->kms_key, sizeof fs->kms_key, ok);
    fs->state = (enum catalog_state)codec_take_int(object, "state", 0, CATALOG_ERROR, ok);
    fs->performance =
        (enum catalog_performance)codec_take_int(object, "performance", 0, CATALOG_MAX_IO, ok);
    fs->throughput =
        (enum catalog_throughput)codec_take_int(object, "throughput", 0, CATALOG_ELASTIC, ok);
    fs->provisioned_mibps = json_number_value(json_object_get(object, "provisioned_mibps"));
    fs->provisioned_at_ms = take_time(object, "provisioned_at_ms", ok);
    fs->overwrite_protected = json_is_true(json_object_get(object, "overwrite_protected"));
    fs->backup =
        (enum catalog_backup)codec_take_int(object, "backup", 0, CATALOG_BACKUP_DISABLED, ok);
    if (json_is_true(json_object_get(object, "backup_declined"))) /* of earlier releases */
        fs->backup = CATALOG_BACKUP_DISABLED;
    take_lifecycle(object, &fs->lifecycle, ok);
    take_replication(object, &fs->replication, ok);
    fs->created_ms = take_time(object, "created_ms", ok);
    fs->size_bytes = (uint64_t)codec_take_int(object, "size_bytes", 0, INT64_MAX, ok);
    fs->size_sampled_ms = take_time(object, "size_sampled_ms", ok);
    const json_t *policy = json_object_get(object, "policy");
    if (policy != NULL &&
        (json_string_length(policy) == 0 || json_string_length(policy) > CATALOG_POLICY_SIZE_MAX ||
            strlen(json_string_value(policy)) != json_string_length(policy) ||
            catalog_fs_set_policy(fs, json_string_value(policy)) < 0))
        *ok = false;
    codec_take_tags(object, "tags", &fs->tags, ok);
}

static void unpack_mount_target(const json_t *object, struct catalog_mount_target *target, bool *ok)
{
    char address[INET_ADDRSTRLEN] = "";
    codec_take_text(object, "id", target->id, sizeof target->id, ok);
    codec_take_text(object, "fs", target->fs_id, sizeof target->fs_id, ok);
    codec_take_text(object, "subnet", target->subnet_id, sizeof target->subnet_id, ok);
    codec_take_text(object, "interface", target->interface_id, sizeof target->interface_id, ok);
    codec_take_text(object, "address", address, sizeof address, ok);
    target->state = (enum catalog_state)codec_take_int(object, "state", 0, CATALOG_ERROR, ok);
    target->created_ms = take_time(object, "created_ms", ok);
    if (inet_pton(AF_INET, address, &target->address) != 1)
        *ok = false;
    size_t i;
    const json_t *group;
    const json_t *groups = json_object_get(object, "security_groups");
    json_array_foreach(groups, i, group)
    {
        if (i >= CATALOG_SECURITY_GROUPS_MAX || !json_is_string(group) ||
            text_copy(target->security_groups[i], CATALOG_ID_SIZE, json_string_value(group)) < 0) {
            *ok = false;
            return;
        }
        target->security_group_count++;
    }
}

static void unpack_access_point(const json_t *object, struct catalog_access_point *point, bool *ok)
{
    codec_take_text(object, "id", point->id, sizeof point->id, ok);
    codec_take_text(object, "fs", point->fs_id, sizeof point->fs_id, ok);
    codec_take_text(object, "token", point->client_token, sizeof point->client_token, ok);
    codec_take_text(object, "path", point->root_path, sizeof point->root_path, ok);
    point->state = (enum catalog_state)codec_take_int(object, "state", 0, CATALOG_ERROR, ok);
    point->created_ms = take_time(object, "created_ms", ok);
    codec_take_tags(object, "tags", &point->tags, ok);
    const json_t *user = json_object_get(object, "user");
    point->has_posix_user = user != NULL;
    point->uid = take_u32(user, "uid", ok);
    point->gid = take_u32(user, "gid", ok);
    const json_t *creation = json_object_get(object, "creation");
    point->has_creation_info = creation != NULL;
    point->owner_uid = take_u32(creation, "uid", ok);
    point->owner_gid = take_u32(creation, "gid", ok);
    codec_take_text(creation, "permissions", point->permissions, sizeof point->permissions, ok);
    size_t i;
    const json_t *gid;
    const json_t *gids = json_object_get(user, "gids");
    json_array_foreach(gids, i, gid)
    {
        if (i >= CATALOG_SECONDARY_GIDS_MAX || !json_is_integer(gid) ||
            json_integer_value(gid) < 0 || json_integer_value(gid) > UINT32_MAX) {
            *ok = false;
            return;
        }
        point->secondary_gids[point->secondary_gid_count++] = (uint32_t)json_integer_value(gid);
    }
}

static void unpack_key(const json_t *object, struct catalog_key *key, bool *ok)
{
    codec_take_text(object, "id", key->id, sizeof key->id, ok);
    codec_take_text(object, "secret", key->secret, sizeof key->secret, ok);
    codec_take_text(object, "user_id", key->user_id, sizeof key->user_id, ok);
    codec_take_text(object, "used_service", key->used_service, sizeof key->used_service, ok);
    key->is_inactive = json_is_true(json_object_get(object, "inactive"));
    key->created_ms = take_time(object, "created_ms", ok);
    key->used_ms = take_time(object, "used_ms", ok);
}

int codec_decode(enum entry_kind kind, struct slice text, struct entry **out_entry)
{
    json_t *object = json_loadb((const char *)text.data, text.size, 0, NULL);
    if (!json_is_object(object)) {
        json_decref(object);
        return -EBADMSG;
    }
    struct entry *entry;
    int err = entry_new(kind, &entry);
    if (err < 0) {
        json_decref(object);
        return err;
    }
    bool ok = true;
    switch (kind) {
    case ENTRY_FS:
        unpack_fs(object, &entry->fs, &ok);
        break;
    case ENTRY_MOUNT_TARGET:
        unpack_mount_target(object, &entry->mount_target, &ok);
        break;
    case ENTRY_ACCESS_POINT:
        unpack_access_point(object, &entry->access_point, &ok);
        break;
    case ENTRY_KEY:
        unpack_key(object, &entry->key, &ok);
        break;
    case ENTRY_IDENTITY:
        identity_unpack(object, &entry->identity, &ok);
        break;
    case ENTRY_NET:
        net_unpack(object, &entry->net, &ok);
        break;
    case ENTRY_KIND_COUNT:
        abort();
    }
    json_decref(object);
    if (!ok || entry_id(entry)[0] == '\0') {
        entry_unref(entry);
        return -EBADMSG;
    }
    *out_entry = entry;
    return 0;
}

int codec_encode_network(const struct catalog *catalog, char **out_text)
{
    const struct catalog_network *network = &catalog->network;
    char base[INET_ADDRSTRLEN];
    const char *text = inet_ntop(AF_INET, &network->base, base, sizeof base);
    assert(text != NULL);
    json_t *zones = json_array();
    for (size_t i = 0; i < network->zone_count; i++) {
        const struct catalog_subnet *subnet = &network->subnets[i];
        char subnet_base[INET_ADDRSTRLEN];
        text = inet_ntop(AF_INET, &subnet->base, subnet_base, sizeof subnet_base);
        assert(text != NULL);
        json_t *zone = json_pack("{ss ss ss ss si}", "name", network->zones[i].name, "id",
            network->zones[i].id, "subnet", subnet->id, "base", subnet_base, "prefix_bits",
            (int)subnet->prefix_bits);
        if (json_array_append_new(zones, zone) < 0) {
            json_decref(zones);
            return -ENOMEM;
        }
    }
    return finish(json_pack("{ss ss ss ss ss si so}", "region", catalog->region, "account",
                      catalog->account_id, "vpc", network->vpc_id, "security_group",
                      network->security_group_id, "base", base, "prefix_bits",
                      (int)network->prefix_bits, "zones", zones),
        out_text);
}

static void take_range(
    const json_t *object, struct in_addr *out_base, unsigned *out_prefix_bits, bool *ok)
{
    char base[INET_ADDRSTRLEN] = "";
    codec_take_text(object, "base", base, sizeof base, ok);
    *out_prefix_bits = (unsigned)codec_take_int(object, "prefix_bits", 8, 28, ok);
    if (inet_pton(AF_INET, base, out_base) != 1)
        *ok = false;
}

int codec_decode_network(struct slice text, struct catalog *catalog)
{
    json_t *object = json_loadb((const char *)text.data, text.size, 0, NULL);
    bool ok = json_is_object(object);
    struct catalog_network *network = &catalog->network;
    codec_take_text(object, "region", catalog->region, sizeof catalog->region, &ok);
    codec_take_text(object, "account", catalog->account_id, sizeof catalog->account_id, &ok);
    codec_take_text(object, "vpc", network->vpc_id, sizeof network->vpc_id, &ok);
    codec_take_text(object, "security_group", network->security_group_id,
        sizeof network->security_group_id, &ok);
    take_range(object, &network->base, &network->prefix_bits, &ok);
    size_t i;
    const json_t *zone;
    const json_t *zones = json_object_get(object, "zones");
    if (json_array_size(zones) == 0 || json_array_size(zones) > CATALOG_ZONES_MAX)
        ok = false;
    for (i = 0; ok && i < json_array_size(zones); i++) {
        zone = json_array_get(zones, i);
        struct catalog_subnet *subnet = &network->subnets[i];
        codec_take_text(zone, "name", network->zones[i].name, CATALOG_NAME_SIZE, &ok);
        codec_take_text(zone, "id", network->zones[i].id, CATALOG_NAME_SIZE, &ok);
        codec_take_text(zone, "subnet", subnet->id, sizeof subnet->id, &ok);
        take_range(zone, &subnet->base, &subnet->prefix_bits, &ok);
        memcpy(subnet->vpc_id, network->vpc_id, sizeof subnet->vpc_id);
        subnet->zone = &network->zones[i];
        network->zone_count++;
    }
    json_decref(object);
    return ok ? 0 : -EBADMSG;
}

int codec_encode_session_secret(const struct catalog *catalog, char **out_text)
{
    char hex[2 * CATALOG_SESSION_SECRET_SIZE + 1];
    for (size_t i = 0; i < CATALOG_SESSION_SECRET_SIZE; i++)
        (void)snprintf(hex + 2 * i, 3, "%02x", catalog->session_secret[i]);
    int err = finish(json_pack("{ss}", "secret", hex), out_text);
    explicit_bzero(hex, sizeof hex);
    return err;
}

int codec_decode_session_secret(struct slice text, struct catalog *catalog)
{
    char hex[2 * CATALOG_SESSION_SECRET_SIZE + 1] = "";
    json_t *object = json_loadb((const char *)text.data, text.size, 0, NULL);
    bool ok = json_is_object(object);
    codec_take_text(object, "secret", hex, sizeof hex, &ok);
    json_decref(object);
    ok = ok && strlen(hex) == sizeof hex - 1 && strspn(hex, "0123456789abcdef") == sizeof hex - 1;
    for (size_t i = 0; ok && i < CATALOG_SESSION_SECRET_SIZE; i++) {
        const char digits[3] = { hex[2 * i], hex[2 * i + 1], '\0' };
        catalog->session_secret[i] = (uint8_t)strtoul(digits, NULL, 16);
    }
    catalog->has_session_secret = ok;
    explicit_bzero(hex, sizeof hex);
    return ok ? 0 : -EBADMSG;
}
