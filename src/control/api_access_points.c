/*
 * control/api_access_points.c - identities and roots that clients are given (room: control).
 * Source: EFS API, CreateAccessPoint, DescribeAccessPoints, DeleteAccessPoint, PosixUser, RootDirectory.
 */
#include "base/text.h"
#include "control/actions.h"
#include "control/input.h"
#include "control/quota.h"
#include "control/render.h"
#include "control/worker.h"

#define ACCESS_POINTS_MAX   10000 /* EFS: quotas, per file system */
#define PATH_CHARS_MAX      100
#define PATH_COMPONENTS_MAX 4

struct create_point {
    struct api_call *call;
    struct catalog_access_point point; /* what the record will be; its tags are moved into it */
};

static const struct api_error *take_secondary_gids(
    struct api_call *call, const json_t *user, struct catalog_access_point *point)
{
    const json_t *list = json_object_get(user, "SecondaryGids");
    if (list == NULL || json_is_null(list))
        return NULL;
    if (!json_is_array(list))
        return api_fail(call, API_BAD_REQUEST, "PosixUser.SecondaryGids must be a list.");
    if (json_array_size(list) > CATALOG_SECONDARY_GIDS_MAX)
        return api_fail(call, API_BAD_REQUEST,
            "PosixUser.SecondaryGids must have at most %d entries.", CATALOG_SECONDARY_GIDS_MAX);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *gid = json_array_get(list, i);
        json_int_t number = json_integer_value(gid);
        if (!json_is_integer(gid) || number < 0 || number > UINT32_MAX)
            return api_fail(call, API_BAD_REQUEST,
                "PosixUser.SecondaryGids must be integers from 0 to 4294967295.");
        point->secondary_gids[i] = (uint32_t)number;
    }
    point->secondary_gid_count = json_array_size(list);
    return NULL;
}

static const struct api_error *take_posix_user(
    struct api_call *call, struct catalog_access_point *point)
{
    const json_t *user;
    const struct api_error *error = input_object(call, "PosixUser", &user);
    if (error != NULL || user == NULL)
        return error;
    point->has_posix_user = true;
    error = input_id_number(call, user, "PosixUser", "Uid", &point->uid);
    if (error == NULL)
        error = input_id_number(call, user, "PosixUser", "Gid", &point->gid);
    if (error == NULL)
        error = take_secondary_gids(call, user, point);
    return error;
}

/* EFS, RootDirectory: "/" or up to four components, none beginning with a dot, without the shell's letters. */
static bool is_root_path(const char *path)
{
    if (strcmp(path, "/") == 0)
        return true;
    if (path[0] != '/' || path[strcspn(path, "$#<>;`|&?{}^*\n")] != '\0')
        return false;
    unsigned components = 0;
    while (*path == '/') {
        size_t size = strcspn(path + 1, "/");
        if (size == 0 || path[1] == '.' || ++components > PATH_COMPONENTS_MAX)
            return false;
        path += size + 1;
    }
    return true;
}

static bool is_permissions(const char *text)
{
    size_t size = strlen(text);
    return (size == 3 || size == 4) && text[strspn(text, "01234567")] == '\0';
}

static const struct api_error *take_creation_info(
    struct api_call *call, const json_t *root, struct catalog_access_point *point)
{
    const json_t *info = json_object_get(root, "CreationInfo");
    if (info == NULL || json_is_null(info))
        return NULL;
    if (!json_is_object(info))
        return api_fail(call, API_BAD_REQUEST, "RootDirectory.CreationInfo must be an object.");
    point->has_creation_info = true;
    const struct api_error *error =
        input_id_number(call, info, "RootDirectory.CreationInfo", "OwnerUid", &point->owner_uid);
    if (error == NULL)
        error = input_id_number(
            call, info, "RootDirectory.CreationInfo", "OwnerGid", &point->owner_gid);
    if (error != NULL)
        return error;
    const char *permissions = json_string_value(json_object_get(info, "Permissions"));
    if (permissions == NULL || !is_permissions(permissions))
        return api_fail(call, API_BAD_REQUEST,
            "RootDirectory.CreationInfo.Permissions is required and must match ^[0-7]{3,4}$.");
    int err = text_copy(point->permissions, sizeof point->permissions, permissions);
    assert(err == 0); /* four digits fit */
    return NULL;
}

static const struct api_error *take_root(struct api_call *call, struct catalog_access_point *point)
{
    const json_t *root;
    const char *path = "/";
    const struct api_error *error = input_object(call, "RootDirectory", &root);
    if (error != NULL)
        return error;
    const json_t *given = json_object_get(root, "Path");
    if (given != NULL && !json_is_null(given)) {
        path = json_string_value(given);
        if (path == NULL || input_char_count(path) > PATH_CHARS_MAX || !is_root_path(path)) {
            return api_fail(call, API_BAD_REQUEST,
                "RootDirectory.Path must have 1 to %d characters: '/', or up to %d components that "
                "do not begin with a dot and hold none of $#<>;`|&?{}^*",
                PATH_CHARS_MAX, PATH_COMPONENTS_MAX);
        }
    }
    int err = text_copy(point->root_path, sizeof point->root_path, path);
    assert(err == 0); /* 100 characters fit */
    return take_creation_info(call, root, point);
}

/* EFS names the access point that has the token beside the error. */
static int refuse_token(struct api_call *call, const struct catalog_access_point *existing)
{
    call->error_fields = json_pack("{ss}", "AccessPointId", existing->id);
    int err = api_refuse(call, API_ACCESS_POINT_ALREADY_EXISTS,
        "Access point '%s' already exists with client token '%s'", existing->id,
        existing->client_token);
    catalog_access_point_put(existing);
    return err;
}

static int make_point(struct catalog_change *change, void *context)
{
    struct create_point *create = context;
    struct api_call *call = create->call;
    const struct catalog *catalog = call->context->catalog;
    const struct catalog_fs *fs = catalog_fs_get(catalog, create->point.fs_id);
    enum catalog_state state = fs != NULL ? fs->state : CATALOG_DELETING;
    catalog_fs_put(fs);
    if (state != CATALOG_AVAILABLE && state != CATALOG_UPDATING)
        return api_refuse(call, API_INCORRECT_FILE_SYSTEM_LIFE_CYCLE_STATE,
            "File system '%s' is in the life cycle state '%s', not 'available'.",
            create->point.fs_id, catalog_state_name(state));
    const struct catalog_access_point *existing =
        catalog_access_point_get_by_token(catalog, create->point.fs_id, create->point.client_token);
    if (existing != NULL)
        return refuse_token(call, existing);
    if (catalog_access_point_count(catalog, create->point.fs_id) >= ACCESS_POINTS_MAX)
        return api_refuse(call, API_ACCESS_POINT_LIMIT_EXCEEDED,
            "The maximum number of access points per file system (%d) has been reached.",
            ACCESS_POINTS_MAX);
    struct catalog_access_point *point;
    int err = catalog_add_access_point(change, &point);
    if (err < 0)
        return err;
    *point = create->point;
    create->point.tags = (struct catalog_tags){ 0 };
    return 0;
}

/* Reads the whole input into the record that is to be. */
static const struct api_error *take_point(struct api_call *call, struct catalog_access_point *point)
{
    const struct input_text token_rule = { "ClientToken", true, 1, CATALOG_TOKEN_SIZE_MAX };
    const struct input_text fs_rule = { "FileSystemId", true, 1, 128 };
    const char *token = NULL;
    const char *fs_id = NULL;
    const struct api_error *error = input_string(call, &token_rule, &token);
    if (error == NULL)
        error = input_string(call, &fs_rule, &fs_id);
    if (error == NULL)
        error = take_posix_user(call, point);
    if (error == NULL)
        error = take_root(call, point);
    if (error == NULL)
        error = input_tags(call, false, &point->tags);
    struct fs_quota_limits limits;
    if (error == NULL && catalog_tags_quota(&point->tags, &limits) < 0)
        error = api_fail(call, API_BAD_REQUEST, QUOTA_TAG_MESSAGE);
    if (error != NULL)
        return error;
    int err = text_copy(point->client_token, sizeof point->client_token, token);
    assert(err == 0); /* checked by input_string() */
    const struct catalog_fs *fs = api_get_fs(call, fs_id);
    if (fs == NULL)
        return call->failure;
    memcpy(point->fs_id, fs->id, sizeof point->fs_id);
    catalog_fs_put(fs);
    return NULL;
}

/* The access point, with a reference; NULL: refused (AccessPointNotFound). */
static const struct catalog_access_point *get_point(struct api_call *call, const char *text)
{
    const char *id = api_resolve_id(call, "access-point", text);
    const struct catalog_access_point *point =
        id == NULL ? NULL : catalog_access_point_get(call->context->catalog, id);
    if (point == NULL)
        (void)api_fail(
            call, API_ACCESS_POINT_NOT_FOUND, "Access point '%.128s' does not exist.", text);
    return point;
}

const struct api_error *api_create_access_point(struct api_call *call)
{
    struct create_point create = { .call = call,
        .point = { .state = CATALOG_CREATING, .created_ms = call->now_ms } };
    api_make_id("fsap", create.point.id);
    const struct api_error *error = take_point(call, &create.point);
    if (error == NULL)
        error = api_change(call, make_point, &create);
    catalog_tags_fini(&create.point.tags);
    if (error != NULL)
        return error;
    const struct catalog_access_point *point = get_point(call, create.point.id);
    error = point == NULL ? call->failure : api_answer(call, render_access_point(call, point));
    struct fs_quota_limits limits;
    if (point != NULL && catalog_tags_quota(&point->tags, &limits) == 1)
        quota_follow_tags(call, point->id);
    catalog_access_point_put(point);
    worker_submit(call->context->worker, WORKER_ACCESS_POINT, create.point.id);
    return error;
}

static const struct api_error *describe_point(struct api_call *call, const char *id)
{
    const struct catalog_access_point *point = get_point(call, id);
    if (point == NULL)
        return call->failure;
    json_t *object = render_access_point(call, point);
    catalog_access_point_put(point);
    return api_answer(call, json_pack("{s[o]}", "AccessPoints", object));
}

/* A page of those of one file system, or of all when `fs_id` is NULL. */
static const struct api_error *describe_points(
    struct api_call *call, const char *fs_id, const char *after_id, size_t page_size)
{
    const struct catalog_access_point **page =
        arena_calloc(&call->arena, page_size + 1, sizeof(struct catalog_access_point *));
    if (page == NULL)
        return api_internal_error(call, -ENOMEM);
    size_t count =
        catalog_access_point_list(call->context->catalog, fs_id, after_id, page_size + 1, page);
    char last[CATALOG_ID_SIZE] = "";
    json_t *list = json_array();
    int err = 0;
    for (size_t i = 0; i < count; i++) {
        if (i < page_size)
            err |= json_array_append_new(list, render_access_point(call, page[i]));
        if (i + 1 == page_size && count > page_size)
            memcpy(last, page[i]->id, sizeof last);
        catalog_access_point_put(page[i]);
    }
    if (err < 0) {
        json_decref(list);
        return api_internal_error(call, -ENOMEM);
    }
    return api_answer(call,
        json_pack("{so ss*}", "AccessPoints", list, "NextToken", last[0] != '\0' ? last : NULL));
}

const struct api_error *api_describe_access_points(struct api_call *call)
{
    const char *point_id = query_find(&call->query, "AccessPointId");
    const char *fs_id = query_find(&call->query, "FileSystemId");
    size_t page_size;
    const char *marker;
    const struct api_error *error = input_page_size(call, "MaxResults", &page_size);
    if (error == NULL)
        error = input_marker(call, "NextToken", "fsap-", &marker);
    if (error != NULL)
        return error;
    if (point_id != NULL && fs_id != NULL)
        return api_fail(call, API_BAD_REQUEST,
            "AccessPointId and FileSystemId are mutually exclusive: give one of them.");
    if (point_id != NULL)
        return describe_point(call, point_id);
    if (fs_id == NULL)
        return describe_points(call, NULL, marker, page_size);
    const struct catalog_fs *fs = api_get_fs(call, fs_id);
    if (fs == NULL)
        return call->failure;
    error = describe_points(call, fs->id, marker, page_size);
    catalog_fs_put(fs);
    return error;
}

static int begin_deletion(struct catalog_change *change, void *context)
{
    struct catalog_access_point *point;
    int err = catalog_edit_access_point(change, context, &point);
    if (err == 0)
        point->state = CATALOG_DELETING;
    return err == -ENOENT ? 0 : err; /* gone meanwhile is as good */
}

const struct api_error *api_delete_access_point(struct api_call *call)
{
    const struct catalog_access_point *point = get_point(call, call->path_value);
    if (point == NULL)
        return call->failure;
    char id[CATALOG_ID_SIZE];
    memcpy(id, point->id, sizeof id);
    catalog_access_point_put(point);
    const struct api_error *error = api_change(call, begin_deletion, id);
    if (error == NULL)
        worker_submit(call->context->worker, WORKER_ACCESS_POINT, id);
    return error;
}
