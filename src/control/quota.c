/*
 * control/quota.c - quotas of directories (room: control): SetQuota, GetQuota, DeleteQuota of the service "shoal".
 *
 * Input: FileSystemId, Path from the root of the file system, and for SetQuota any of HardBytes, SoftBytes, HardEntries,
 * SoftEntries, with GraceSeconds. SetQuota replaces what was set. docs/compat-api.md has them.
 */
#include "control/quota.h"

#include "base/log.h"
#include "control/input.h"
#include "control/target_service.h"

#define PATH_SIZE_MAX   4096
#define GRACE_S_DEFAULT (7u * 24 * 3600)
#define LIMIT_MAX       INT64_MAX

/* A directory of an open file system. */
struct quota_place {
    struct fs *fs;
    struct fs_node node;
};

static void place_put(const struct api_call *call, const struct quota_place *place)
{
    if (place->fs != NULL)
        fs_volumes_put(call->context->volumes, place->fs);
}

/* Follows the path by names only. Errors: -ENOENT, -ENOTDIR, -EINVAL: it has "..". */
static int walk(struct fs *fs, const char *path, struct fs_node *out_node)
{
    struct fs_attr attr;
    int err = fs_root(fs, out_node);
    while (err == 0 && *path != '\0') {
        size_t size = strcspn(path, "/");
        struct slice name = slice_of(path, size);
        path += size;
        path += strspn(path, "/");
        if (size == 0 || slice_equal(name, slice_str(".")))
            continue;
        err = slice_equal(name, slice_str("..")) ? -EINVAL
                                                 : fs_lookup(fs, NULL, *out_node, name, &attr);
        if (err == 0 && attr.type != FS_DIRECTORY)
            err = -ENOTDIR;
        if (err == 0)
            *out_node = attr.node;
    }
    return err;
}

static int place_open(
    struct api_call *call, const char *fs_id, const char *path, struct quota_place *place)
{
    int err = fs_volumes_get(call->context->volumes, fs_id, &place->fs);
    if (err < 0) {
        place->fs = NULL;
        return err == -ENOENT ? -ESTALE : err;
    }
    return walk(place->fs, path, &place->node);
}

static const struct api_error *find_place(struct api_call *call, struct quota_place *place)
{
    const struct input_text id_rule = { "FileSystemId", true, 1, 128 };
    const struct input_text path_rule = { "Path", true, 1, PATH_SIZE_MAX };
    const char *id = NULL;
    const char *path = NULL;
    const struct api_error *error = input_string(call, &id_rule, &id);
    if (error == NULL)
        error = input_string(call, &path_rule, &path);
    if (error != NULL)
        return error;
    const struct catalog_fs *fs = api_get_fs(call, id);
    if (fs == NULL)
        return call->failure;
    int err = place_open(call, fs->id, path, place);
    catalog_fs_put(fs);
    switch (err) {
    case 0:
        return NULL;
    case -ESTALE:
        return api_fail(call, API_INCORRECT_FILE_SYSTEM_LIFE_CYCLE_STATE,
            "File system '%.128s' cannot be used now.", id);
    case -ENOENT:
    case -ENOTDIR:
    case -EINVAL:
    case -ENAMETOOLONG:
        return api_fail(call, API_DIRECTORY_NOT_FOUND, "There is no directory '%.256s'.", path);
    default:
        return api_internal_error(call, err);
    }
}

/* What FileSystemId and Path name. The caller calls place_put() whatever comes out. */
static const struct api_error *take_place(struct api_call *call, struct quota_place *place)
{
    const struct api_error *error = find_place(call, place);
    assert(error != NULL || place->fs != NULL);
    return error;
}

static const struct api_error *take_number(
    struct api_call *call, const char *name, uint64_t max, uint64_t *out_value)
{
    const json_t *value = json_object_get(call->input, name);
    if (value == NULL || json_is_null(value))
        return NULL;
    if (!json_is_integer(value) || json_integer_value(value) < 0 ||
        (uint64_t)json_integer_value(value) > max)
        return api_fail(call, API_BAD_REQUEST, "%s must be a number from 0 to %llu.", name,
            (unsigned long long)max);
    *out_value = (uint64_t)json_integer_value(value);
    return NULL;
}

static const struct api_error *take_limits(struct api_call *call, struct fs_quota_limits *limits)
{
    uint64_t grace_s = GRACE_S_DEFAULT;
    const struct api_error *error = take_number(call, "HardBytes", LIMIT_MAX, &limits->hard_bytes);
    if (error == NULL)
        error = take_number(call, "SoftBytes", LIMIT_MAX, &limits->soft_bytes);
    if (error == NULL)
        error = take_number(call, "HardEntries", LIMIT_MAX, &limits->hard_entries);
    if (error == NULL)
        error = take_number(call, "SoftEntries", LIMIT_MAX, &limits->soft_entries);
    if (error == NULL)
        error = take_number(call, "GraceSeconds", UINT32_MAX, &grace_s);
    limits->grace_s = (uint32_t)grace_s;
    if (error == NULL && limits->hard_bytes == 0 && limits->soft_bytes == 0 &&
        limits->hard_entries == 0 && limits->soft_entries == 0)
        error = api_fail(call, API_BAD_REQUEST,
            "At least one of HardBytes, SoftBytes, HardEntries and SoftEntries must be given; "
            "DeleteQuota removes a quota.");
    return error;
}

static const struct api_error *answer(struct api_call *call, const struct quota_place *place)
{
    struct fs_quota quota = { 0 };
    const struct fs_quota_limits *limits = &quota.limits;
    int err = fs_quota_get(place->fs, place->node, &quota);
    if (err == -ENODATA || err == -EOPNOTSUPP)
        return api_fail(call, API_QUOTA_NOT_FOUND, "The directory has no quota.");
    if (err < 0)
        return api_internal_error(call, err);
    return api_answer(
        call, json_pack("{sI sI sI sI sI sI sI sI sI}", "HardBytes", (json_int_t)limits->hard_bytes,
                  "SoftBytes", (json_int_t)limits->soft_bytes, "HardEntries",
                  (json_int_t)limits->hard_entries, "SoftEntries", (json_int_t)limits->soft_entries,
                  "GraceSeconds", (json_int_t)limits->grace_s, "UsedBytes",
                  (json_int_t)quota.used_bytes, "UsedEntries", (json_int_t)quota.used_entries,
                  "BytesOverSince", (json_int_t)quota.bytes_over_since_s, "EntriesOverSince",
                  (json_int_t)quota.entries_over_since_s));
}

/* SetQuota */
const struct api_error *shoal_set_quota(struct api_call *call)
{
    struct quota_place place = { 0 };
    struct fs_quota_limits limits = { 0 };
    const struct api_error *error = take_limits(call, &limits);
    if (error == NULL)
        error = take_place(call, &place);
    int err = error != NULL ? 0 : fs_quota_set(place.fs, place.node, &limits);
    if (error == NULL)
        error = err < 0 ? api_internal_error(call, err) : answer(call, &place);
    place_put(call, &place);
    return error;
}

/* GetQuota */
const struct api_error *shoal_get_quota(struct api_call *call)
{
    struct quota_place place = { 0 };
    const struct api_error *error = take_place(call, &place);
    if (error == NULL)
        error = answer(call, &place);
    place_put(call, &place);
    return error;
}

/* DeleteQuota - one that is not there is no error. */
const struct api_error *shoal_delete_quota(struct api_call *call)
{
    const struct fs_quota_limits none = { 0 };
    struct quota_place place = { 0 };
    const struct api_error *error = take_place(call, &place);
    int err = error != NULL ? 0 : fs_quota_set(place.fs, place.node, &none);
    if (err < 0)
        error = api_internal_error(call, err);
    place_put(call, &place);
    return error != NULL ? error : api_answer(call, json_object());
}

void quota_follow_tags(struct api_call *call, const char *access_point_id)
{
    const struct catalog_access_point *point =
        catalog_access_point_get(call->context->catalog, access_point_id);
    struct fs_quota_limits limits = { 0 };
    struct quota_place place = { 0 };
    int err = point == NULL ? -ENOENT : catalog_tags_quota(&point->tags, &limits);
    if (err >= 0)
        err = place_open(call, point->fs_id, point->root_path, &place);
    if (err == 0)
        err = fs_quota_set(place.fs, place.node, &limits);
    if (err < 0 && err != -ENOENT && err != -EOPNOTSUPP)
        LOG_WARN("the quota of an access point could not be set yet", "access_point=%s error=%d",
            access_point_id, err);
    place_put(call, &place);
    catalog_access_point_put(point);
}
