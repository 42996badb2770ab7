/*
 * control/snapshots.c - snapshots of file systems (room: control): CreateSnapshot, DeleteSnapshot, ListSnapshots and
 * RestoreSnapshot of the service "shoal".
 *
 * Input: FileSystemId and, but for listing, Name; RestoreSnapshot takes Path, what is brought back, and To, where, both from
 * the root of the file system; To is Path when it is not given. docs/compat-api.md has them.
 */
#include "base/log.h"
#include "control/input.h"
#include "control/target_service.h"
#include "fs/restore.h"

#define PATH_SIZE_MAX 4096

static const struct api_error *find_fs(struct api_call *call, struct fs **out_fs)
{
    const struct input_text rule = { "FileSystemId", true, 1, 128 };
    const char *id = NULL;
    const struct api_error *error = input_string(call, &rule, &id);
    if (error != NULL)
        return error;
    const struct catalog_fs *fs = api_get_fs(call, id);
    if (fs == NULL)
        return call->failure;
    int err = fs_volumes_get(call->context->volumes, fs->id, out_fs);
    catalog_fs_put(fs);
    if (err == 0)
        return NULL;
    *out_fs = NULL;
    if (err == -ENOENT)
        return api_fail(call, API_INCORRECT_FILE_SYSTEM_LIFE_CYCLE_STATE,
            "File system '%.128s' cannot be used now.", id);
    return api_internal_error(call, err);
}

/* The file system that FileSystemId names, open. The caller calls put_fs() whatever comes out. */
static const struct api_error *take_fs(struct api_call *call, struct fs **out_fs)
{
    const struct api_error *error = find_fs(call, out_fs);
    assert(error != NULL || *out_fs != NULL);
    return error;
}

static void put_fs(struct api_call *call, struct fs *fs)
{
    if (fs != NULL)
        fs_volumes_put(call->context->volumes, fs);
}

static const struct api_error *take_name(struct api_call *call, const char **out_name)
{
    const struct input_text rule = { "Name", true, 1, FS_SNAPSHOT_NAME_MAX };
    return input_string(call, &rule, out_name);
}

/* What went wrong with the snapshot `name`. */
static const struct api_error *fail(struct api_call *call, int err, const char *name)
{
    switch (err) {
    case -EEXIST:
        return api_fail(
            call, API_SNAPSHOT_ALREADY_EXISTS, "There is a snapshot '%.128s' already.", name);
    case -EINVAL:
        return api_fail(call, API_BAD_REQUEST,
            "The name of a snapshot is letters, digits and . _ : @ + - and does not begin with a "
            "dot.");
    case -EMLINK:
        return api_fail(call, API_SNAPSHOT_LIMIT_EXCEEDED,
            "A file system has %u snapshots at most.", FS_SNAPSHOTS_MAX);
    case -ENOENT:
        return api_fail(call, API_SNAPSHOT_NOT_FOUND, "There is no snapshot '%.128s'.", name);
    default:
        return api_internal_error(call, err);
    }
}

static json_t *render(const struct fs_snapshot *snapshot)
{
    const struct fs_usage *usage = &snapshot->usage;
    uint64_t entries = usage->files + usage->directories + usage->others;
    return json_pack("{ss sI sI sI sI ss}", "Name", snapshot->name, "CreationTime",
        (json_int_t)snapshot->created.seconds, "SpaceBytes", (json_int_t)usage->space_bytes,
        "SizeBytes", (json_int_t)usage->size_bytes, "Entries", (json_int_t)entries, "State",
        snapshot->is_going ? "deleting" : "available");
}

/* CreateSnapshot */
const struct api_error *shoal_create_snapshot(struct api_call *call)
{
    struct fs *fs = NULL;
    struct fs_snapshot snapshot = { 0 };
    const char *name = NULL;
    const struct api_error *error = take_name(call, &name);
    if (error == NULL)
        error = take_fs(call, &fs);
    int err = error != NULL ? 0 : fs_snapshot_create(fs, slice_str(name), &snapshot);
    if (error == NULL)
        error = err < 0 ? fail(call, err, name) : api_answer(call, render(&snapshot));
    put_fs(call, fs);
    return error;
}

/* DeleteSnapshot - gone for everybody at once; its space comes back in the background. */
const struct api_error *shoal_delete_snapshot(struct api_call *call)
{
    struct fs *fs = NULL;
    const char *name = NULL;
    const struct api_error *error = take_name(call, &name);
    if (error == NULL)
        error = take_fs(call, &fs);
    int err = error != NULL ? 0 : fs_snapshot_delete(fs, slice_str(name));
    if (error == NULL)
        error = err < 0 ? fail(call, err, name) : api_answer(call, json_object());
    put_fs(call, fs);
    return error;
}

static bool add_snapshot(void *context, const struct fs_snapshot *snapshot)
{
    return json_array_append_new(context, render(snapshot)) == 0;
}

/* ListSnapshots - all of them, oldest first; those that are being deleted, too. */
const struct api_error *shoal_list_snapshots(struct api_call *call)
{
    struct fs *fs = NULL;
    const struct api_error *error = take_fs(call, &fs);
    json_t *list = json_array();
    int err = error != NULL ? 0 : fs_snapshot_list(fs, add_snapshot, list);
    if (error == NULL)
        error = err < 0 ? api_internal_error(call, err)
                        : api_answer(call, json_pack("{sO}", "Snapshots", list));
    json_decref(list);
    put_fs(call, fs);
    return error;
}

static const struct api_error *restore_fail(struct api_call *call, int err, const char *to)
{
    switch (err) {
    case -ENOENT:
    case -ENOTDIR:
    case -ENAMETOOLONG:
    case -EINVAL:
        return api_fail(call, API_DIRECTORY_NOT_FOUND,
            "The snapshot has no such path, or there is no directory for '%.256s'.", to);
    case -EEXIST:
        return api_fail(call, API_RESTORE_CONFLICT,
            "'%.256s' is there and in the way: name another place by To (--to of shoal).", to);
    default:
        return api_internal_error(call, err);
    }
}

/* RestoreSnapshot - a file, in the place of what is there, or a tree, where nothing is. Blocks are shared. */
const struct api_error *shoal_restore_snapshot(struct api_call *call)
{
    struct fs *fs = NULL;
    const struct input_text path_rule = { "Path", true, 1, PATH_SIZE_MAX };
    const struct input_text to_rule = { "To", false, 1, PATH_SIZE_MAX };
    struct fs_restore how = { .snapshot = NULL };
    struct fs_restored restored = { 0 };
    const struct api_error *error = take_name(call, &how.snapshot);
    if (error == NULL)
        error = input_string(call, &path_rule, &how.from);
    how.to = how.from;
    if (error == NULL)
        error = input_string(call, &to_rule, &how.to);
    if (error == NULL)
        error = take_fs(call, &fs);
    int err = error != NULL ? 0 : fs_restore_check(fs, &how);
    if (err < 0)
        error = fail(call, err, how.snapshot);
    err = error != NULL ? 0 : fs_restore(fs, &how, &restored);
    if (error == NULL)
        error = err < 0
                    ? restore_fail(call, err, how.to)
                    : api_answer(call, json_pack("{sI sI}", "Entries", (json_int_t)restored.entries,
                                           "SizeBytes", (json_int_t)restored.size_bytes));
    put_fs(call, fs);
    return error;
}
