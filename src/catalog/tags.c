/*
 * catalog/tags.c - tags, and the names of the states and modes (room: catalog).
 */
#include <stdlib.h>
#include <strings.h>

#include "base/text.h"
#include "catalog/records.h"

static const char *const state_names[] = {
    [CATALOG_CREATING] = "creating",
    [CATALOG_AVAILABLE] = "available",
    [CATALOG_UPDATING] = "updating",
    [CATALOG_DELETING] = "deleting",
    [CATALOG_ERROR] = "error",
};
static const char *const performance_names[] = {
    [CATALOG_GENERAL_PURPOSE] = "generalPurpose",
    [CATALOG_MAX_IO] = "maxIO",
};
static const char *const throughput_names[] = {
    [CATALOG_BURSTING] = "bursting",
    [CATALOG_PROVISIONED] = "provisioned",
    [CATALOG_ELASTIC] = "elastic",
};

static const char *const profile_names[] = {
    [CATALOG_PROFILE_DEFAULT] = "default",
    [CATALOG_PROFILE_EXTENDED] = "extended",
    [CATALOG_PROFILE_STRICT] = "strict",
};

const char *catalog_state_name(enum catalog_state state)
{
    assert((size_t)state < ARRAY_SIZE(state_names));
    return state_names[state];
}

const char *catalog_performance_name(enum catalog_performance mode)
{
    assert((size_t)mode < ARRAY_SIZE(performance_names));
    return performance_names[mode];
}

const char *catalog_throughput_name(enum catalog_throughput mode)
{
    assert((size_t)mode < ARRAY_SIZE(throughput_names));
    return throughput_names[mode];
}

const char *catalog_profile_name(enum catalog_profile profile)
{
    assert((size_t)profile < ARRAY_SIZE(profile_names));
    return profile_names[profile];
}

/* The number of a name in a list, or -EINVAL. */
static int find_name(const char *name, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(names[i], name) == 0)
            return (int)i;
    }
    return -EINVAL;
}

int catalog_performance_parse(const char *name, enum catalog_performance *out_mode)
{
    int found = find_name(name, performance_names, ARRAY_SIZE(performance_names));
    if (found < 0)
        return found;
    *out_mode = (enum catalog_performance)found;
    return 0;
}

int catalog_profile_parse(const char *name, enum catalog_profile *out_profile)
{
    int found = find_name(name, profile_names, ARRAY_SIZE(profile_names));
    if (found <= CATALOG_PROFILE_DEFAULT) /* "default" is the name of no tag */
        return -EINVAL;
    *out_profile = (enum catalog_profile)found;
    return 0;
}

int catalog_throughput_parse(const char *name, enum catalog_throughput *out_mode)
{
    int found = find_name(name, throughput_names, ARRAY_SIZE(throughput_names));
    if (found < 0)
        return found;
    *out_mode = (enum catalog_throughput)found;
    return 0;
}

static size_t find_tag(const struct catalog_tags *tags, const char *key)
{
    size_t i = 0;
    while (i < tags->count && strcmp(tags->items[i].key, key) != 0)
        i++;
    return i;
}

const char *catalog_tags_find(const struct catalog_tags *tags, const char *key)
{
    size_t i = find_tag(tags, key);
    return i < tags->count ? tags->items[i].value : NULL;
}

int catalog_tags_set(struct catalog_tags *tags, const char *key, const char *value)
{
    char *value_copy = strdup(value);
    if (value_copy == NULL)
        return -ENOMEM;
    size_t i = find_tag(tags, key);
    if (i < tags->count) {
        free(tags->items[i].value);
        tags->items[i].value = value_copy;
        return 0;
    }
    char *key_copy = strdup(key);
    struct catalog_tag *items =
        key_copy == NULL ? NULL : realloc(tags->items, (tags->count + 1) * sizeof *items);
    if (items == NULL) {
        free(key_copy);
        free(value_copy);
        return -ENOMEM;
    }
    tags->items = items;
    tags->items[tags->count++] = (struct catalog_tag){ .key = key_copy, .value = value_copy };
    return 0;
}

bool catalog_tags_remove(struct catalog_tags *tags, const char *key)
{
    size_t i = find_tag(tags, key);
    if (i == tags->count)
        return false;
    free(tags->items[i].key);
    free(tags->items[i].value);
    tags->count--;
    memmove(&tags->items[i], &tags->items[i + 1], (tags->count - i) * sizeof *tags->items);
    return true;
}

size_t catalog_tags_user_count(const struct catalog_tags *tags)
{
    size_t count = 0;
    for (size_t i = 0; i < tags->count; i++)
        count += strncasecmp(tags->items[i].key, "aws:", 4) != 0;
    return count;
}

void catalog_tags_fini(struct catalog_tags *tags)
{
    for (size_t i = 0; i < tags->count; i++) {
        free(tags->items[i].key);
        free(tags->items[i].value);
    }
    free(tags->items);
    *tags = (struct catalog_tags){ 0 };
}

enum catalog_profile catalog_tags_profile(const struct catalog_tags *tags)
{
    enum catalog_profile profile;
    const char *name = catalog_tags_find(tags, CATALOG_PROFILE_TAG);
    if (name == NULL || catalog_profile_parse(name, &profile) < 0) /* of a release that knew more */
        return CATALOG_PROFILE_DEFAULT;
    return profile;
}

/* What follows the prefix, or NULL. */
static const char *quota_word(const char *key)
{
    static const char prefix[] = "shoal:quota-";
    size_t product = strlen("shoal");
    if (strncmp(key, prefix, product) != 0 || (key[product] != ':' && key[product] != '.') ||
        strncmp(key + product + 1, prefix + product + 1, sizeof prefix - product - 2) != 0)
        return NULL;
    return key + sizeof prefix - 1;
}

bool catalog_tags_is_quota(const char *key)
{
    return quota_word(key) != NULL;
}

#define GRACE_DAYS_DEFAULT 7u
#define DAY_S              86400u

int catalog_tags_quota(const struct catalog_tags *tags, struct fs_quota_limits *out_limits)
{
    uint64_t grace_days = GRACE_DAYS_DEFAULT;
    struct fs_quota_limits limits = { 0 };
    const struct {
        const char *word;
        uint64_t *value;
        uint64_t max;
    } rows[] = {
        { "bytes", &limits.hard_bytes, INT64_MAX },
        { "entries", &limits.hard_entries, INT64_MAX },
        { "soft-bytes", &limits.soft_bytes, INT64_MAX },
        { "soft-entries", &limits.soft_entries, INT64_MAX },
        { "grace-days", &grace_days, UINT32_MAX / DAY_S },
    };
    for (size_t i = 0; i < tags->count; i++) {
        const char *word = quota_word(tags->items[i].key);
        int err = word == NULL ? 0 : -EINVAL;
        for (size_t row = 0; word != NULL && row < ARRAY_SIZE(rows); row++) {
            if (strcmp(word, rows[row].word) == 0)
                err = text_parse_size(tags->items[i].value, rows[row].max, rows[row].value);
        }
        if (err < 0)
            return -EINVAL;
    }
    limits.grace_s = (uint32_t)grace_days * DAY_S;
    bool is_any = limits.hard_bytes != 0 || limits.hard_entries != 0 || limits.soft_bytes != 0 ||
                  limits.soft_entries != 0;
    if (is_any)
        *out_limits = limits;
    return is_any;
}
