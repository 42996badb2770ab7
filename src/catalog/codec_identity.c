/*
 * catalog/codec_identity.c - users, groups, roles and managed policies as JSON (room: catalog;
 * docs/formats/catalog.md).
 */
#include "base/text.h"
#include "catalog/internal.h"

#define NUMBER_MAX UINT32_MAX

static json_t *pack_versions(const struct catalog_identity *policy)
{
    json_t *list = json_array();
    for (size_t i = 0; i < policy->version_count; i++) {
        const struct catalog_policy_version *version = &policy->versions[i];
        json_t *one = json_pack("{sI sI ss}", "number", (json_int_t)version->number, "created_ms",
            (json_int_t)version->created_ms, "document", version->document);
        if (json_array_append_new(list, one) < 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

/* Adds what only some kinds have. Errors: -1. */
static int pack_rest(const struct catalog_identity *identity, json_t *object)
{
    int err = 0;
    if (identity->trust_policy != NULL)
        err = json_object_set_new(object, "trust_policy", json_string(identity->trust_policy));
    if (err == 0 && identity->description != NULL)
        err = json_object_set_new(object, "description", json_string(identity->description));
    if (err == 0 && identity->kind == CATALOG_ROLE)
        err = json_object_set_new(
            object, "session_seconds_max", json_integer(identity->session_seconds_max));
    if (err == 0 && identity->kind == CATALOG_USER)
        err = json_object_set_new(object, "groups", codec_pack_tags(&identity->groups));
    if (err < 0 || identity->kind != CATALOG_MANAGED_POLICY)
        return err;
    err = json_object_set_new(object, "default_version", json_integer(identity->default_version));
    if (err == 0)
        err = json_object_set_new(object, "last_version", json_integer(identity->last_version));
    if (err == 0)
        err = json_object_set_new(object, "versions", pack_versions(identity));
    return err;
}

json_t *identity_pack(const struct catalog_identity *identity)
{
    json_t *object = json_pack("{ss ss ss ss sI so so so}", "id", identity->id, "kind",
        identity_kind_word(identity->kind), "name", identity->name, "path", identity->path,
        "created_ms", (json_int_t)identity->created_ms, "tags", codec_pack_tags(&identity->tags),
        "inline", codec_pack_tags(&identity->inline_policies), "attached",
        codec_pack_tags(&identity->attached));
    if (object != NULL && pack_rest(identity, object) < 0) {
        json_decref(object);
        return NULL;
    }
    return object;
}

/* A text of any length. */
static void take_owned(const json_t *object, const char *name, char **owned, bool *ok)
{
    const json_t *value = json_object_get(object, name);
    if (value == NULL)
        return;
    if (!json_is_string(value) || strlen(json_string_value(value)) != json_string_length(value) ||
        catalog_text_set(owned, json_string_value(value)) < 0)
        *ok = false;
}

static void take_versions(const json_t *object, struct catalog_identity *policy, bool *ok)
{
    size_t i;
    const json_t *one;
    const json_t *list = json_object_get(object, "versions");
    if (json_array_size(list) > CATALOG_POLICY_VERSIONS_MAX) {
        *ok = false;
        return;
    }
    json_array_foreach(list, i, one)
    {
        struct catalog_policy_version *version = &policy->versions[policy->version_count];
        version->number = (uint32_t)codec_take_int(one, "number", 1, NUMBER_MAX, ok);
        version->created_ms = codec_take_int(one, "created_ms", INT64_MIN, INT64_MAX, ok);
        take_owned(one, "document", &version->document, ok);
        if (version->document != NULL)
            policy->version_count++;
        else
            *ok = false;
    }
}

void identity_unpack(const json_t *object, struct catalog_identity *identity, bool *ok)
{
    char kind[16] = "";
    codec_take_text(object, "id", identity->id, sizeof identity->id, ok);
    codec_take_text(object, "kind", kind, sizeof kind, ok);
    codec_take_text(object, "name", identity->name, sizeof identity->name, ok);
    codec_take_text(object, "path", identity->path, sizeof identity->path, ok);
    if (identity_kind_parse(kind, &identity->kind) < 0 || identity->name[0] == '\0')
        *ok = false;
    identity->created_ms = codec_take_int(object, "created_ms", INT64_MIN, INT64_MAX, ok);
    codec_take_tags(object, "tags", &identity->tags, ok);
    codec_take_tags(object, "inline", &identity->inline_policies, ok);
    codec_take_tags(object, "attached", &identity->attached, ok);
    codec_take_tags(object, "groups", &identity->groups, ok);
    take_owned(object, "trust_policy", &identity->trust_policy, ok);
    take_owned(object, "description", &identity->description, ok);
    identity->session_seconds_max =
        (uint32_t)codec_take_int(object, "session_seconds_max", 0, NUMBER_MAX, ok);
    identity->default_version =
        (uint32_t)codec_take_int(object, "default_version", 0, NUMBER_MAX, ok);
    identity->last_version = (uint32_t)codec_take_int(object, "last_version", 0, NUMBER_MAX, ok);
    take_versions(object, identity, ok);
    if (identity->kind == CATALOG_MANAGED_POLICY && catalog_identity_document(identity) == NULL)
        *ok = false;
}
