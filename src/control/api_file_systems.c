/*
 * control/api_file_systems.c - creating, describing, updating and deleting file systems (room: control).
 * Source: EFS API, CreateFileSystem, DescribeFileSystems, UpdateFileSystem, UpdateFileSystemProtection, DeleteFileSystem.
 */
#include "base/text.h"
#include "control/actions.h"
#include "control/file_systems.h"
#include "control/input.h"
#include "control/kms.h"
#include "control/render.h"
#include "control/worker.h"

#define FILE_SYSTEMS_MAX      1000 /* EFS: quotas, per account and region */
#define PROVISIONED_MIBPS_MAX 3414 /* EFS: quotas, the highest of all regions */
#define DAY_MS                INT64_C(86400000)

struct create_fs {
    struct api_call *call;
    char id[CATALOG_ID_SIZE];
    const char *token;
    enum catalog_performance performance;
    enum catalog_throughput throughput;
    double mibps;
    const struct catalog_zone *zone; /* NULL: in all zones */
    bool backup;
    bool encrypted;
    const char *key; /* KmsKeyId; NULL: the default */
    char kms_key[KEY_ID_SIZE];
    struct catalog_tags tags; /* moved into the record */
};

/* What mode and amount go together; the same for Create and Update. */
static const struct api_error *check_throughput(struct api_call *call, enum catalog_throughput mode,
    enum catalog_performance performance, double mibps)
{
    if (mode == CATALOG_ELASTIC && performance == CATALOG_MAX_IO)
        return api_fail(call, API_BAD_REQUEST,
            "Elastic throughput is not supported with the Max I/O performance mode.");
    if (mode != CATALOG_PROVISIONED && mibps != 0)
        return api_fail(call, API_BAD_REQUEST,
            "ProvisionedThroughputInMibps is valid only if ThroughputMode is set to provisioned.");
    if (mode != CATALOG_PROVISIONED)
        return NULL;
    if (mibps == 0)
        return api_fail(call, API_BAD_REQUEST,
            "ProvisionedThroughputInMibps is required if ThroughputMode is set to provisioned.");
    if (mibps < 1)
        return api_fail(
            call, API_BAD_REQUEST, "ProvisionedThroughputInMibps must be at least 1 MiB/s.");
    if (mibps > PROVISIONED_MIBPS_MAX)
        return api_fail(call, API_THROUGHPUT_LIMIT_EXCEEDED,
            "The maximum throughput of a file system is %d MiB/s.", PROVISIONED_MIBPS_MAX);
    return NULL;
}

static const struct api_error *take_modes(struct api_call *call, struct create_fs *create)
{
    const struct input_text performance_rule = { "PerformanceMode", false, 1, 64 };
    const struct input_text throughput_rule = { "ThroughputMode", false, 1, 64 };
    const char *performance = "generalPurpose";
    const char *throughput = "bursting";
    const struct api_error *error = input_string(call, &performance_rule, &performance);
    if (error == NULL)
        error = input_string(call, &throughput_rule, &throughput);
    if (error == NULL)
        error = input_number(call, "ProvisionedThroughputInMibps", &create->mibps);
    if (error != NULL)
        return error;
    if (catalog_performance_parse(performance, &create->performance) < 0)
        return api_fail(call, API_BAD_REQUEST,
            "1 validation error detected: Value '%.64s' at 'performanceMode' failed to satisfy "
            "constraint: Member must satisfy enum value set: [generalPurpose, maxIO]",
            performance);
    if (catalog_throughput_parse(throughput, &create->throughput) < 0)
        return api_fail(call, API_BAD_REQUEST,
            "1 validation error detected: Value '%.64s' at 'throughputMode' failed to satisfy "
            "constraint: Member must satisfy enum value set: [bursting, provisioned, elastic]",
            throughput);
    return check_throughput(call, create->throughput, create->performance, create->mibps);
}

/* A backup policy is a record, as PutBackupPolicy's: EFS has it on unless told otherwise for One Zone file systems. */
static const struct api_error *take_protection(struct api_call *call, struct create_fs *create)
{
    const struct input_text key_rule = { "KmsKeyId", false, 1, 2048 };
    const struct api_error *error = input_bool(call, "Encrypted", &create->encrypted);
    if (error == NULL)
        error = input_bool(call, "Backup", &create->backup);
    if (error == NULL)
        error = input_string(call, &key_rule, &create->key);
    if (error != NULL)
        return error;
    if (create->key != NULL && !create->encrypted)
        return api_fail(
            call, API_BAD_REQUEST, "KmsKeyId is valid only if Encrypted is set to true.");
    return create->encrypted ? kms_key_for_file_system(call, create->key, create->kms_key) : NULL;
}

static const struct api_error *take_zone(struct api_call *call, struct create_fs *create)
{
    const struct input_text rule = { "AvailabilityZoneName", false, 1, 64 };
    const char *name = NULL;
    const struct api_error *error = input_string(call, &rule, &name);
    if (error != NULL || name == NULL)
        return error;
    create->zone = catalog_zone_find(catalog_network(call->context->catalog), name);
    if (create->zone == NULL)
        return api_fail(call, API_UNSUPPORTED_AVAILABILITY_ZONE,
            "The availability zone '%s' is not available in this region.", name);
    if (create->performance == CATALOG_MAX_IO)
        return api_fail(call, API_BAD_REQUEST,
            "The Max I/O performance mode is not supported for One Zone file systems.");
    return NULL;
}

/* EFS names the file system that has the token beside the error. */
static int refuse_token(struct api_call *call, const struct catalog_fs *existing)
{
    call->error_fields = json_pack("{ss}", "FileSystemId", existing->id);
    int err = api_refuse(call, API_FILE_SYSTEM_ALREADY_EXISTS,
        "File system '%s' already exists with creation token '%s'", existing->id,
        existing->creation_token);
    catalog_fs_put(existing);
    return err;
}

void file_systems_init(struct catalog_fs *fs, const char *id, int64_t now_ms)
{
    int err = text_copy(fs->id, sizeof fs->id, id);
    assert(err == 0); /* made by api_make_id() */
    fs->state = CATALOG_CREATING;
    fs->overwrite_protected = true; /* EFS: enabled by default */
    fs->created_ms = now_ms;
    fs->size_bytes = FILE_SYSTEMS_NEW_BYTES;
    fs->size_sampled_ms = now_ms;
}

int file_systems_check_quota(struct api_call *call)
{
    if (catalog_fs_count(call->context->catalog) < FILE_SYSTEMS_MAX)
        return 0;
    return api_refuse(call, API_FILE_SYSTEM_LIMIT_EXCEEDED,
        "The maximum number of file systems (%d) has been reached.", FILE_SYSTEMS_MAX);
}

int file_systems_check_available(struct api_call *call, const struct catalog_fs *fs)
{
    if (fs->state == CATALOG_AVAILABLE)
        return 0;
    return api_refuse(call, API_INCORRECT_FILE_SYSTEM_LIFE_CYCLE_STATE,
        "File system '%s' is in the life cycle state '%s', not 'available'.", fs->id,
        catalog_state_name(fs->state));
}

static int make_fs(struct catalog_change *change, void *context)
{
    struct create_fs *create = context;
    struct api_call *call = create->call;
    const struct catalog *catalog = call->context->catalog;
    const struct catalog_fs *existing = catalog_fs_get_by_token(catalog, create->token);
    if (existing != NULL)
        return refuse_token(call, existing);
    struct catalog_fs *fs = NULL;
    int err = file_systems_check_quota(call);
    if (err == 0)
        err = catalog_add_fs(change, &fs);
    if (err != 0)
        return err;
    file_systems_init(fs, create->id, call->now_ms);
    err = text_copy(fs->creation_token, sizeof fs->creation_token, create->token);
    assert(err == 0); /* checked by input_string() */
    fs->performance = create->performance;
    fs->throughput = create->throughput;
    fs->provisioned_mibps = create->mibps;
    fs->provisioned_at_ms = create->throughput == CATALOG_PROVISIONED ? call->now_ms : 0;
    fs->backup = create->backup ? CATALOG_BACKUP_ENABLING : CATALOG_BACKUP_NONE;
    static_assert(sizeof fs->kms_key == sizeof create->kms_key, "both hold the id of a key");
    memcpy(fs->kms_key, create->kms_key, sizeof fs->kms_key);
    if (create->zone != NULL)
        memcpy(fs->zone_name, create->zone->name, sizeof fs->zone_name);
    fs->tags = create->tags;
    create->tags = (struct catalog_tags){ 0 };
    return 0;
}

/* Answers with the record as it is now. */
static const struct api_error *answer_fs(struct api_call *call, const char *id)
{
    const struct catalog_fs *fs = api_get_fs(call, id);
    if (fs == NULL)
        return call->failure; /* deleted since */
    const struct api_error *error = api_answer(call, render_fs(call, fs));
    catalog_fs_put(fs);
    return error;
}

const struct api_error *api_create_file_system(struct api_call *call)
{
    const struct input_text token_rule = { "CreationToken", true, 1, CATALOG_TOKEN_SIZE_MAX };
    struct create_fs create = { .call = call };
    api_make_id("fs", create.id);
    const struct api_error *error = input_string(call, &token_rule, &create.token);
    if (error == NULL)
        error = take_modes(call, &create);
    if (error == NULL)
        error = take_zone(call, &create);
    create.backup = create.zone != NULL;
    if (error == NULL)
        error = take_protection(call, &create);
    if (error == NULL)
        error = input_tags(call, false, &create.tags);
    if (error == NULL)
        error = api_change(call, make_fs, &create);
    catalog_tags_fini(&create.tags);
    if (error != NULL)
        return error;
    error = answer_fs(call, create.id); /* before the worker, so that it says `creating` */
    worker_submit(call->context->worker, WORKER_FS, create.id);
    return error;
}

/* The file systems of one page, rendered; *out_last is the id of the last one, empty on the last page. */
static json_t *render_page(
    struct api_call *call, const char *marker, size_t page_size, char out_last[CATALOG_ID_SIZE])
{
    const struct catalog_fs **page =
        arena_calloc(&call->arena, page_size + 1, sizeof(struct catalog_fs *));
    if (page == NULL)
        return NULL;
    json_t *list = json_array();
    size_t count = catalog_fs_list(call->context->catalog, marker, page_size + 1, page);
    out_last[0] = '\0';
    int err = 0;
    for (size_t i = 0; i < count; i++) {
        if (i < page_size)
            err |= json_array_append_new(list, render_fs(call, page[i]));
        if (i + 1 == page_size && count > page_size)
            memcpy(out_last, page[i]->id, CATALOG_ID_SIZE);
        catalog_fs_put(page[i]);
    }
    if (err < 0) {
        json_decref(list);
        return NULL;
    }
    return list;
}

/* By id or by token: one, or for an unknown token none. */
static const struct api_error *describe_one(
    struct api_call *call, const char *id, const char *token)
{
    const struct catalog_fs *fs =
        id != NULL ? api_get_fs(call, id) : catalog_fs_get_by_token(call->context->catalog, token);
    if (fs == NULL && id != NULL)
        return call->failure;
    json_t *list = json_array();
    int err = fs == NULL ? 0 : json_array_append_new(list, render_fs(call, fs));
    catalog_fs_put(fs);
    if (err < 0) {
        json_decref(list);
        return api_internal_error(call, -ENOMEM);
    }
    return api_answer(call, json_pack("{so}", "FileSystems", list));
}

const struct api_error *api_describe_file_systems(struct api_call *call)
{
    const char *id = query_find(&call->query, "FileSystemId");
    const char *token = query_find(&call->query, "CreationToken");
    size_t page_size;
    const char *marker;
    const struct api_error *error = input_page_size(call, "MaxItems", &page_size);
    if (error == NULL)
        error = input_marker(call, "Marker", "fs-", &marker);
    if (error != NULL)
        return error;
    if (token != NULL && (token[0] == '\0' || input_char_count(token) > CATALOG_TOKEN_SIZE_MAX))
        return api_fail(call, API_BAD_REQUEST, "CreationToken must have 1 to %d characters.",
            CATALOG_TOKEN_SIZE_MAX);
    if (id != NULL && token != NULL)
        return api_fail(call, API_BAD_REQUEST,
            "FileSystemId and CreationToken are mutually exclusive: give one of them.");
    if (id != NULL || token != NULL)
        return describe_one(call, id, token);
    char last[CATALOG_ID_SIZE];
    json_t *list = render_page(call, marker, page_size, last);
    if (list == NULL)
        return api_internal_error(call, -ENOMEM);
    return api_answer(
        call, json_pack("{so ss* ss*}", "FileSystems", list, "Marker",
                  marker[0] != '\0' ? marker : NULL, "NextMarker", last[0] != '\0' ? last : NULL));
}

struct update_fs {
    struct api_call *call;
    const char *id;
    bool has_mode;
    enum catalog_throughput mode;
    double mibps; /* 0: not given */
};

/* EFS, "Managing throughput": for a day after switching to provisioned throughput or changing its amount, it can be
 * neither left nor decreased. Increases are free. */
static int check_day(struct update_fs *update, const struct catalog_fs *fs,
    enum catalog_throughput mode, double mibps)
{
    bool leaves = fs->throughput == CATALOG_PROVISIONED && mode != CATALOG_PROVISIONED;
    bool decreases = fs->throughput == CATALOG_PROVISIONED && mode == CATALOG_PROVISIONED &&
                     mibps < fs->provisioned_mibps;
    if ((leaves || decreases) && update->call->now_ms < fs->provisioned_at_ms + DAY_MS)
        return api_refuse(update->call, API_TOO_MANY_REQUESTS,
            "Provisioned throughput was set or changed within the last 24 hours: until then it can "
            "be increased, but not decreased or left.");
    return 0;
}

static bool has_archive(const struct catalog_fs *fs)
{
    for (size_t i = 0; i < fs->lifecycle.count; i++) {
        if (fs->lifecycle.policies[i].transition == CATALOG_TO_ARCHIVE)
            return true;
    }
    return false;
}

static int change_throughput(struct catalog_change *change, void *context)
{
    struct update_fs *update = context;
    struct api_call *call = update->call;
    struct catalog_fs *fs;
    int err = catalog_edit_fs(change, update->id, &fs);
    if (err == -ENOENT)
        return api_refuse(
            call, API_FILE_SYSTEM_NOT_FOUND, "File system '%s' does not exist.", update->id);
    if (err < 0)
        return err;
    err = file_systems_check_available(call, fs);
    if (err < 0)
        return err;
    enum catalog_throughput mode = update->has_mode ? update->mode : fs->throughput;
    double mibps = update->mibps;
    if (mibps == 0 && mode == CATALOG_PROVISIONED && fs->throughput == CATALOG_PROVISIONED)
        mibps = fs->provisioned_mibps;
    if (check_throughput(call, mode, fs->performance, mibps) != NULL)
        return -ECANCELED;
    if (mode != CATALOG_ELASTIC && has_archive(fs))
        return api_refuse(call, API_BAD_REQUEST,
            "The lifecycle configuration has TransitionToArchive, which needs elastic throughput: "
            "take it out first.");
    err = check_day(update, fs, mode, mibps);
    if (err < 0)
        return err;
    if (mode == CATALOG_PROVISIONED &&
        (fs->throughput != CATALOG_PROVISIONED || mibps != fs->provisioned_mibps))
        fs->provisioned_at_ms = call->now_ms;
    fs->throughput = mode;
    fs->provisioned_mibps = mibps;
    fs->state = CATALOG_UPDATING;
    return 0;
}

const struct api_error *api_update_file_system(struct api_call *call)
{
    const struct input_text mode_rule = { "ThroughputMode", false, 1, 64 };
    const char *mode = NULL;
    struct update_fs update = { .call = call };
    const struct api_error *error = input_string(call, &mode_rule, &mode);
    if (error == NULL)
        error = input_number(call, "ProvisionedThroughputInMibps", &update.mibps);
    if (error != NULL)
        return error;
    if (mode == NULL && update.mibps == 0)
        return api_fail(
            call, API_BAD_REQUEST, "ThroughputMode or ProvisionedThroughputInMibps must be given.");
    update.has_mode = mode != NULL;
    if (mode != NULL && catalog_throughput_parse(mode, &update.mode) < 0)
        return api_fail(call, API_BAD_REQUEST,
            "1 validation error detected: Value '%.64s' at 'throughputMode' failed to satisfy "
            "constraint: Member must satisfy enum value set: [bursting, provisioned, elastic]",
            mode);
    const struct catalog_fs *fs = api_get_fs(call, call->path_value);
    if (fs == NULL)
        return call->failure;
    update.id = fs->id;
    error = api_change(call, change_throughput, &update);
    if (error == NULL)
        error = answer_fs(call, fs->id);
    worker_submit(call->context->worker, WORKER_FS, fs->id);
    catalog_fs_put(fs);
    return error;
}

struct protect_fs {
    struct api_call *call;
    const char *id;
    bool is_protected;
};

static int change_protection(struct catalog_change *change, void *context)
{
    const struct protect_fs *protect = context;
    struct catalog_fs *fs;
    int err = catalog_edit_fs(change, protect->id, &fs);
    if (err == -ENOENT)
        return api_refuse(protect->call, API_FILE_SYSTEM_NOT_FOUND,
            "File system '%s' does not exist.", protect->id);
    if (err < 0)
        return err;
    err = file_systems_check_available(protect->call, fs);
    if (err < 0)
        return err;
    if (fs->replication.status != CATALOG_REPLICATION_NONE)
        return api_refuse(protect->call, API_REPLICATION_ALREADY_EXISTS,
            "File system '%s' is in a replication configuration.", fs->id);
    fs->overwrite_protected = protect->is_protected;
    return 0;
}

const struct api_error *api_update_file_system_protection(struct api_call *call)
{
    const struct input_text rule = { "ReplicationOverwriteProtection", true, 1, 64 };
    const char *wanted = NULL;
    const struct api_error *error = input_string(call, &rule, &wanted);
    if (error != NULL)
        return error;
    struct protect_fs protect = { .call = call, .is_protected = strcmp(wanted, "ENABLED") == 0 };
    if (!protect.is_protected && strcmp(wanted, "DISABLED") != 0)
        return api_fail(call, API_BAD_REQUEST,
            "ReplicationOverwriteProtection can be set to ENABLED or DISABLED, not to '%.64s'.",
            wanted);
    const struct catalog_fs *fs = api_get_fs(call, call->path_value);
    if (fs == NULL)
        return call->failure;
    protect.id = fs->id;
    error = api_change(call, change_protection, &protect);
    catalog_fs_put(fs);
    if (error != NULL)
        return error;
    return api_answer(call, json_pack("{ss}", "ReplicationOverwriteProtection", wanted));
}

struct delete_fs {
    struct api_call *call;
    const char *id;
};

/* EFS: only mount targets keep a file system from being deleted; access points go with it. */
static int begin_deletion(struct catalog_change *change, void *context)
{
    const struct delete_fs *delete = context;
    struct catalog_fs *fs;
    int err = catalog_edit_fs(change, delete->id, &fs);
    if (err == -ENOENT)
        return api_refuse(delete->call, API_FILE_SYSTEM_NOT_FOUND,
            "File system '%s' does not exist.", delete->id);
    if (err < 0)
        return err;
    if (catalog_mount_target_count(delete->call->context->catalog, delete->id) > 0)
        return api_refuse(delete->call, API_FILE_SYSTEM_IN_USE,
            "File system '%s' has mount targets: delete them first.", delete->id);
    if (fs->replication.status != CATALOG_REPLICATION_NONE)
        return api_refuse(delete->call, API_FILE_SYSTEM_IN_USE,
            "File system '%s' is in a replication configuration: delete that first.", delete->id);
    fs->state = CATALOG_DELETING;
    return 0;
}

const struct api_error *api_delete_file_system(struct api_call *call)
{
    const struct catalog_fs *fs = api_get_fs(call, call->path_value);
    if (fs == NULL)
        return call->failure;
    struct delete_fs delete = { .call = call, .id = fs->id };
    const struct api_error *error = api_change(call, begin_deletion, &delete);
    if (error == NULL)
        worker_submit(call->context->worker, WORKER_FS, fs->id);
    catalog_fs_put(fs);
    return error;
}
