/*
 * catalog/identities.c - users, groups, roles and managed policies in memory (room: catalog).
 */
#include "catalog/identities.h"

#include <stdlib.h>

#include "base/text.h"
#include "catalog/internal.h"

static const char *const kind_words[CATALOG_IDENTITY_KIND_COUNT] = {
    [CATALOG_USER] = "user",
    [CATALOG_GROUP] = "group",
    [CATALOG_ROLE] = "role",
    [CATALOG_MANAGED_POLICY] = "policy",
};

const char *identity_kind_word(enum catalog_identity_kind kind)
{
    assert(kind < CATALOG_IDENTITY_KIND_COUNT);
    return kind_words[kind];
}

int identity_kind_parse(const char *word, enum catalog_identity_kind *out_kind)
{
    for (unsigned kind = 0; kind < CATALOG_IDENTITY_KIND_COUNT; kind++) {
        if (strcmp(kind_words[kind], word) == 0) {
            *out_kind = (enum catalog_identity_kind)kind;
            return 0;
        }
    }
    return -EINVAL;
}

void identity_fold(const char *name, char out_folded[CATALOG_IAM_NAME_SIZE])
{
    size_t i = 0;
    for (; name[i] != '\0' && i + 1 < CATALOG_IAM_NAME_SIZE; i++)
        out_folded[i] = (char)(name[i] >= 'A' && name[i] <= 'Z' ? name[i] - 'A' + 'a' : name[i]);
    out_folded[i] = '\0';
}

int catalog_text_set(char **owned, const char *text)
{
    char *copy = NULL;
    if (text != NULL) {
        copy = strdup(text);
        if (copy == NULL)
            return -ENOMEM;
    }
    free(*owned);
    *owned = copy;
    return 0;
}

int catalog_policy_add_version(
    struct catalog_identity *policy, const char *document, int64_t now_ms)
{
    assert(policy->version_count < CATALOG_POLICY_VERSIONS_MAX);
    struct catalog_policy_version version = { .number = policy->last_version + 1,
        .created_ms = now_ms };
    int err = catalog_text_set(&version.document, document);
    if (err < 0)
        return err;
    policy->versions[policy->version_count++] = version;
    policy->last_version = version.number;
    return 0;
}

void catalog_policy_remove_version(struct catalog_identity *policy, size_t index)
{
    assert(index < policy->version_count);
    free(policy->versions[index].document);
    policy->version_count--;
    for (size_t i = index; i < policy->version_count; i++)
        policy->versions[i] = policy->versions[i + 1];
}

const char *catalog_identity_document(const struct catalog_identity *policy)
{
    for (size_t i = 0; i < policy->version_count; i++) {
        if (policy->versions[i].number == policy->default_version)
            return policy->versions[i].document;
    }
    return NULL;
}

void identity_fini(struct catalog_identity *identity)
{
    catalog_tags_fini(&identity->tags);
    catalog_tags_fini(&identity->inline_policies);
    catalog_tags_fini(&identity->attached);
    catalog_tags_fini(&identity->groups);
    free(identity->trust_policy);
    free(identity->description);
    for (size_t i = 0; i < identity->version_count; i++)
        free(identity->versions[i].document);
}

static int copy_tags(const struct catalog_tags *from, struct catalog_tags *to)
{
    int err = 0;
    for (size_t i = 0; err == 0 && i < from->count; i++)
        err = catalog_tags_set(to, from->items[i].key, from->items[i].value);
    return err;
}

int identity_copy(const struct catalog_identity *from, struct catalog_identity *to)
{
    *to = *from;
    to->tags = to->inline_policies = to->attached = to->groups = (struct catalog_tags){ 0 };
    to->trust_policy = to->description = NULL;
    to->version_count = 0;
    int err = copy_tags(&from->tags, &to->tags);
    if (err == 0)
        err = copy_tags(&from->inline_policies, &to->inline_policies);
    if (err == 0)
        err = copy_tags(&from->attached, &to->attached);
    if (err == 0)
        err = copy_tags(&from->groups, &to->groups);
    if (err == 0)
        err = catalog_text_set(&to->trust_policy, from->trust_policy);
    if (err == 0)
        err = catalog_text_set(&to->description, from->description);
    for (size_t i = 0; err == 0 && i < from->version_count; i++) {
        struct catalog_policy_version version = from->versions[i];
        version.document = NULL;
        err = catalog_text_set(&version.document, from->versions[i].document);
        if (err == 0)
            to->versions[to->version_count++] = version;
    }
    return err;
}

const struct catalog_identity *catalog_identity_get(const struct catalog *catalog, const char *id)
{
    const struct entry *entry = tables_get(catalog, TABLE_IDENTITY, 0, id, "");
    return entry == NULL ? NULL : &entry->identity;
}

const struct catalog_identity *catalog_identity_find(
    const struct catalog *catalog, enum catalog_identity_kind kind, const char *name)
{
    char folded[CATALOG_IAM_NAME_SIZE];
    if (strlen(name) >= sizeof folded)
        return NULL;
    identity_fold(name, folded);
    const struct entry *entry =
        tables_get(catalog, TABLE_IDENTITY_NAME, 1, identity_kind_word(kind), folded);
    return entry == NULL ? NULL : &entry->identity;
}

void catalog_identity_put(const struct catalog_identity *identity)
{
    if (identity != NULL)
        entry_unref(entry_around(identity, offsetof(struct entry, identity)));
}

static void add_identity(void *out_list, size_t i, const struct entry *entry)
{
    ((const struct catalog_identity **)out_list)[i] = &entry->identity;
}

size_t catalog_identity_list(const struct catalog *catalog, enum catalog_identity_kind kind,
    const char *after_name, size_t max, const struct catalog_identity **out_list)
{
    char folded[CATALOG_IAM_NAME_SIZE];
    identity_fold(after_name, folded);
    struct range range = {
        .table = TABLE_IDENTITY_NAME, .slot = 1, .major = identity_kind_word(kind), .after = folded
    };
    return tables_list(catalog, &range, max, add_identity, out_list);
}

static void count_only(void *out_list, size_t i, const struct entry *entry)
{
    (void)out_list;
    (void)i;
    entry_unref(entry_around(&entry->identity, offsetof(struct entry, identity)));
}

size_t catalog_identity_count(const struct catalog *catalog, enum catalog_identity_kind kind)
{
    struct range range = {
        .table = TABLE_IDENTITY_NAME, .slot = 1, .major = identity_kind_word(kind), .after = ""
    };
    return tables_list(catalog, &range, SIZE_MAX, count_only, NULL);
}

static void add_key(void *out_list, size_t i, const struct entry *entry)
{
    ((const struct catalog_key **)out_list)[i] = &entry->key;
}

size_t catalog_key_list_of(const struct catalog *catalog, const char *user_id, const char *after_id,
    size_t max, const struct catalog_key **out_list)
{
    struct range range = {
        .table = TABLE_KEY_USER, .slot = 1, .major = user_id, .after = after_id
    };
    return tables_list(catalog, &range, max, add_key, out_list);
}

const uint8_t *catalog_session_secret(const struct catalog *catalog)
{
    return catalog->whole->session_secret;
}
