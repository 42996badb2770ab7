/*
 * control/api_tags.c - tags of file systems and access points (room: control).
 * Source: EFS API, TagResource, UntagResource, ListTagsForResource; and for file systems only, of old, CreateTags,
 * DeleteTags, DescribeTags.
 */
#include <stdio.h>

#include "base/text.h"
#include "control/actions.h"
#include "control/input.h"
#include "control/quota.h"
#include "control/render.h"

/* A file system or an access point; exactly one is not NULL. */
struct resource {
    const struct catalog_fs *fs;
    const struct catalog_access_point *point;
};

static void put_resource(const struct resource *resource)
{
    catalog_fs_put(resource->fs);
    catalog_access_point_put(resource->point);
}

static const struct catalog_tags *tags_of(const struct resource *resource)
{
    return resource->fs != NULL ? &resource->fs->tags : &resource->point->tags;
}

/* What the path names, by id or ARN. */
static const struct api_error *get_resource(struct api_call *call, struct resource *out)
{
    const char *text = call->path_value;
    bool is_point =
        strncmp(text, "fsap-", strlen("fsap-")) == 0 || strstr(text, ":access-point/") != NULL;
    *out = (struct resource){ 0 };
    if (!is_point) {
        out->fs = api_get_fs(call, text);
        return call->failure;
    }
    const char *id = api_resolve_id(call, "access-point", text);
    out->point = id == NULL ? NULL : catalog_access_point_get(call->context->catalog, id);
    if (out->point == NULL)
        return api_fail(
            call, API_ACCESS_POINT_NOT_FOUND, "Access point '%.128s' does not exist.", text);
    return NULL;
}

struct retag {
    struct api_call *call;
    const char *id;
    bool is_point;
    const struct catalog_tags *added; /* NULL: none */
    size_t removed_count;
    const char *const *removed;
};

static int apply(const struct retag *retag, struct catalog_tags *tags)
{
    for (size_t i = 0; i < retag->removed_count; i++)
        (void)catalog_tags_remove(
            tags, retag->removed[i]); /* EFS: a key that is not there is no error */
    int err = 0;
    for (size_t i = 0; err == 0 && retag->added != NULL && i < retag->added->count; i++)
        err = catalog_tags_set(tags, retag->added->items[i].key, retag->added->items[i].value);
    if (err == 0 && catalog_tags_user_count(tags) > CATALOG_TAGS_MAX)
        return api_refuse(retag->call, API_BAD_REQUEST,
            "The maximum number of tags for a resource is %d.", CATALOG_TAGS_MAX);
    struct fs_quota_limits limits;
    if (err == 0 && retag->is_point && catalog_tags_quota(tags, &limits) < 0)
        return api_refuse(retag->call, API_BAD_REQUEST, QUOTA_TAG_MESSAGE);
    return err;
}

static int change_tags(struct catalog_change *change, void *context)
{
    const struct retag *retag = context;
    struct catalog_fs *fs;
    struct catalog_access_point *point;
    int err = retag->is_point ? catalog_edit_access_point(change, retag->id, &point)
                              : catalog_edit_fs(change, retag->id, &fs);
    if (err == -ENOENT)
        return api_refuse(retag->call,
            retag->is_point ? API_ACCESS_POINT_NOT_FOUND : API_FILE_SYSTEM_NOT_FOUND,
            "%s '%s' does not exist.", retag->is_point ? "Access point" : "File system", retag->id);
    if (err < 0)
        return err;
    return apply(retag, retag->is_point ? &point->tags : &fs->tags);
}

static bool is_about_quota(const struct retag *retag)
{
    bool is_so = false;
    for (size_t i = 0; i < retag->removed_count; i++)
        is_so = is_so || catalog_tags_is_quota(retag->removed[i]);
    for (size_t i = 0; retag->added != NULL && i < retag->added->count; i++)
        is_so = is_so || catalog_tags_is_quota(retag->added->items[i].key);
    return is_so;
}

static const struct api_error *retag_resource(struct api_call *call, struct retag *retag)
{
    struct resource resource;
    const struct api_error *error = get_resource(call, &resource);
    if (error == NULL) {
        retag->call = call;
        retag->is_point = resource.point != NULL;
        retag->id = retag->is_point ? resource.point->id : resource.fs->id;
        error = api_change(call, change_tags, retag);
        if (error == NULL && retag->is_point && is_about_quota(retag))
            quota_follow_tags(call, retag->id);
    }
    put_resource(&resource);
    return error;
}

const struct api_error *api_tag_resource(struct api_call *call)
{
    struct catalog_tags added = { 0 };
    const struct api_error *error = input_tags(call, true, &added);
    struct retag retag = { .added = &added };
    if (error == NULL)
        error = retag_resource(call, &retag);
    catalog_tags_fini(&added);
    return error;
}

/* Takes away the keys, which were counted and are checked here. */
static const struct api_error *untag(struct api_call *call, const char *const *keys, size_t count)
{
    if (count < 1 || count > CATALOG_TAGS_MAX)
        return api_fail(
            call, API_BAD_REQUEST, "Between 1 and %d tag keys must be given.", CATALOG_TAGS_MAX);
    const struct api_error *error = NULL;
    for (size_t i = 0; error == NULL && i < count; i++)
        error = input_check_tag_key(call, keys[i]);
    struct retag retag = { .removed = keys, .removed_count = count };
    return error != NULL ? error : retag_resource(call, &retag);
}

const struct api_error *api_untag_resource(struct api_call *call)
{
    const char *keys[QUERY_PAIRS_MAX] = { NULL };
    size_t count = 0;
    for (size_t i = 0; i < call->query.count; i++) {
        if (strcmp(call->query.pairs[i].name, "tagKeys") == 0)
            keys[count++] = call->query.pairs[i].value;
    }
    return untag(call, keys, count);
}

/* A page of tags; the token is the number of those before it. */
static const struct api_error *list_tags(
    struct api_call *call, const char *size_name, const char *token_name, const char *next_name)
{
    size_t page_size;
    const struct api_error *error = input_page_size(call, size_name, &page_size);
    const char *token = query_find(&call->query, token_name);
    uint64_t first = 0;
    if (error == NULL && token != NULL && text_parse_u64(token, UINT32_MAX, &first) < 0)
        error = api_fail(
            call, API_BAD_REQUEST, "invalid pagination token '%.64s' in %s.", token, token_name);
    if (error != NULL)
        return error;
    struct resource resource;
    error = get_resource(call, &resource);
    if (error == NULL) {
        const struct catalog_tags *tags = tags_of(&resource);
        char next[24] = "";
        if (first + page_size < tags->count)
            (void)snprintf(next, sizeof next, "%zu", (size_t)first + page_size);
        json_t *list = render_tags(tags, (size_t)first, page_size);
        bool echo = token != NULL && strcmp(token_name, "Marker") == 0; /* of the old form only */
        error =
            api_answer(call, json_pack("{so ss* ss*}", "Tags", list, "Marker", echo ? token : NULL,
                                 next_name, next[0] != '\0' ? next : NULL));
    }
    put_resource(&resource);
    return error;
}

const struct api_error *api_list_tags_for_resource(struct api_call *call)
{
    return list_tags(call, "MaxResults", "NextToken", "NextToken");
}

/* The operations of old know file systems only. */
static const struct api_error *require_fs(struct api_call *call)
{
    const struct catalog_fs *fs = api_get_fs(call, call->path_value);
    catalog_fs_put(fs);
    return call->failure;
}

const struct api_error *api_create_tags(struct api_call *call)
{
    const struct api_error *error = require_fs(call);
    return error != NULL ? error : api_tag_resource(call);
}

const struct api_error *api_delete_tags(struct api_call *call)
{
    const json_t *list = json_object_get(call->input, "TagKeys");
    const char *keys[CATALOG_TAGS_MAX] = { NULL };
    const struct api_error *error = require_fs(call);
    if (error != NULL)
        return error;
    if (!json_is_array(list) || json_array_size(list) > CATALOG_TAGS_MAX)
        return api_fail(
            call, API_BAD_REQUEST, "TagKeys must be a list of 1 to %d keys.", CATALOG_TAGS_MAX);
    for (size_t i = 0; i < json_array_size(list); i++) {
        keys[i] = json_string_value(json_array_get(list, i));
        if (keys[i] == NULL)
            return api_fail(call, API_BAD_REQUEST, "Each of TagKeys must be a string.");
    }
    return untag(call, keys, json_array_size(list));
}

const struct api_error *api_describe_tags(struct api_call *call)
{
    const struct api_error *error = require_fs(call);
    return error != NULL ? error : list_tags(call, "MaxItems", "Marker", "NextMarker");
}
