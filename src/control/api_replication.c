/*
 * control/api_replication.c - replication configurations (room: control).
 *
 * A configuration is kept on the records of both file systems and changed on both in one change. The destination is
 * made, read-only and REPLICATING, as EFS does; but no data is copied yet. So the status ends in ERROR with a message
 * that says so, and there is no LastReplicatedTimestamp. Both sides are on this node: the region is our own.
 * Source: EFS API, CreateReplicationConfiguration, DescribeReplicationConfigurations, DeleteReplicationConfiguration;
 * EFS User Guide, "Replicating EFS file systems".
 */
#include <stdio.h>

#include "base/text.h"
#include "control/actions.h"
#include "control/file_systems.h"
#include "control/input.h"
#include "control/kms.h"
#include "control/worker.h"

#define PAGE_SIZE 64
#define NOT_COPIED \
    "This release of Shoal does not copy data between file systems: nothing has been replicated."

struct replicate {
    struct api_call *call;
    char source_id[CATALOG_ID_SIZE];
    char destination_id[CATALOG_ID_SIZE]; /* of a new one, or of one that is there */
    bool is_new;
    const struct catalog_zone *zone;    /* of a new One Zone file system */
    char kms_key[CATALOG_KMS_KEY_SIZE]; /* of a new one, which is always encrypted */
    const char *role_arn;
};

/* A string member of the one destination. */
static const struct api_error *take_member(struct api_call *call, const json_t *destination,
    const char *name, size_t chars_max, const char **out_value)
{
    const json_t *value = json_object_get(destination, name);
    if (value == NULL || json_is_null(value))
        return NULL;
    const char *text = json_string_value(value);
    if (text == NULL || text[0] == '\0' || input_char_count(text) > chars_max)
        return api_fail(call, API_BAD_REQUEST,
            "The member %s of the destination must be a string of 1 to %zu characters.", name,
            chars_max);
    *out_value = text;
    return NULL;
}

static const struct api_error *take_place(
    struct api_call *call, const json_t *destination, struct replicate *replicate)
{
    const char *region = NULL;
    const char *zone = NULL;
    const char *key = NULL;
    const struct api_error *error = take_member(call, destination, "Region", 64, &region);
    if (error == NULL)
        error = take_member(call, destination, "AvailabilityZoneName", 64, &zone);
    if (error == NULL)
        error = take_member(call, destination, "KmsKeyId", 2048, &key);
    if (error == NULL)
        error = take_member(
            call, destination, "RoleArn", CATALOG_ROLE_ARN_SIZE - 1, &replicate->role_arn);
    if (error != NULL)
        return error;
    const struct catalog *catalog = call->context->catalog;
    if (region != NULL && strcmp(region, catalog_region(catalog)) != 0)
        return api_fail(call, API_VALIDATION,
            "The region '%s' is not available: this node serves '%s' only.", region,
            catalog_region(catalog));
    if (zone != NULL) {
        replicate->zone = catalog_zone_find(catalog_network(catalog), zone);
        if (replicate->zone == NULL)
            return api_fail(call, API_UNSUPPORTED_AVAILABILITY_ZONE,
                "The availability zone '%s' is not available in this region.", zone);
    }
    if (replicate->is_new && region == NULL && zone == NULL)
        return api_fail(call, API_BAD_REQUEST,
            "A destination needs a Region, an AvailabilityZoneName or a FileSystemId.");
    return replicate->is_new ? kms_key_for_file_system(call, key, replicate->kms_key) : NULL;
}

static const struct api_error *take_destination(struct api_call *call, struct replicate *replicate)
{
    const json_t *list = json_object_get(call->input, "Destinations");
    const json_t *destination = json_array_get(list, 0);
    if (json_array_size(list) != 1 || !json_is_object(destination))
        return api_fail(call, API_BAD_REQUEST,
            "Destinations is required and must be a list of exactly one destination.");
    const char *fs_text = NULL;
    const struct api_error *error = take_member(call, destination, "FileSystemId", 128, &fs_text);
    if (error != NULL)
        return error;
    replicate->is_new = fs_text == NULL;
    if (replicate->is_new) {
        api_make_id("fs", replicate->destination_id);
    } else {
        const struct catalog_fs *fs = api_get_fs(call, fs_text);
        if (fs == NULL)
            return call->failure;
        memcpy(replicate->destination_id, fs->id, sizeof fs->id);
        catalog_fs_put(fs);
    }
    return take_place(call, destination, replicate);
}

/* A file system may be in one replication only. */
static int check_free(struct api_call *call, const struct catalog_fs *fs)
{
    if (fs->replication.status == CATALOG_REPLICATION_NONE)
        return 0;
    return api_refuse(
        call, API_CONFLICT, "File system '%s' already is in a replication configuration.", fs->id);
}

static int edit_side(struct catalog_change *change, struct api_call *call, const char *id,
    struct catalog_fs **out_fs)
{
    int err = catalog_edit_fs(change, id, out_fs);
    if (err == -ENOENT)
        return api_refuse(call, API_FILE_SYSTEM_NOT_FOUND, "File system '%s' does not exist.", id);
    if (err == 0)
        err = file_systems_check_available(call, *out_fs);
    return err < 0 ? err : check_free(call, *out_fs);
}

/* Makes the destination, or takes one whose overwrite protection is off. */
static int stage_destination(struct catalog_change *change, const struct replicate *replicate,
    const struct catalog_fs *source, struct catalog_fs **out_fs)
{
    struct api_call *call = replicate->call;
    int err;
    if (!replicate->is_new) {
        if (strcmp(replicate->destination_id, source->id) == 0)
            return api_refuse(
                call, API_BAD_REQUEST, "A file system cannot be its own destination.");
        err = edit_side(change, call, replicate->destination_id, out_fs);
        if (err == 0 && (*out_fs)->overwrite_protected)
            return api_refuse(call, API_BAD_REQUEST,
                "The replication overwrite protection of file system '%s' is ENABLED: disable it "
                "first, if what it holds may be replaced.",
                replicate->destination_id);
        if (err == 0 && source->kms_key[0] != '\0' && (*out_fs)->kms_key[0] == '\0')
            return api_refuse(call, API_CONFLICT,
                "File system '%s' is encrypted, so its destination must be, too: '%s' is not.",
                source->id, replicate->destination_id);
        return err;
    }
    err = file_systems_check_quota(call);
    if (err == 0)
        err = catalog_add_fs(change, out_fs);
    if (err != 0)
        return err;
    struct catalog_fs *fs = *out_fs;
    file_systems_init(fs, replicate->destination_id, call->now_ms);
    (void)snprintf(fs->creation_token, sizeof fs->creation_token, "destination-%s", fs->id);
    memcpy(fs->kms_key, replicate->kms_key, sizeof fs->kms_key);
    fs->performance = replicate->zone != NULL ? CATALOG_GENERAL_PURPOSE : source->performance;
    fs->throughput =
        fs->performance == CATALOG_GENERAL_PURPOSE ? CATALOG_ELASTIC : CATALOG_BURSTING;
    if (replicate->zone != NULL) {
        memcpy(fs->zone_name, replicate->zone->name, sizeof fs->zone_name);
        fs->backup = CATALOG_BACKUP_ENABLING; /* EFS: on for One Zone */
    }
    return 0;
}

static int make_replication(struct catalog_change *change, void *context)
{
    const struct replicate *replicate = context;
    struct catalog_fs *source = NULL;
    struct catalog_fs *destination = NULL;
    int err = edit_side(change, replicate->call, replicate->source_id, &source);
    if (err == 0)
        err = stage_destination(change, replicate, source, &destination);
    if (err != 0)
        return err;
    assert(source != NULL && destination != NULL);
    struct catalog_replication pair = { .status = CATALOG_REPLICATION_ENABLING,
        .created_ms = replicate->call->now_ms };
    memcpy(pair.original_id, source->id, sizeof pair.original_id);
    if (replicate->role_arn != NULL)
        err = text_copy(pair.role_arn, sizeof pair.role_arn, replicate->role_arn);
    memcpy(pair.peer_id, destination->id, sizeof pair.peer_id);
    source->replication = pair;
    memcpy(pair.peer_id, source->id, sizeof pair.peer_id);
    pair.is_destination = true;
    destination->replication = pair;
    return err;
}

static json_t *render_destination(const struct api_call *call, const struct catalog_fs *source)
{
    static const char *const names[] = {
        [CATALOG_REPLICATION_ENABLING] = "ENABLING",
        [CATALOG_REPLICATION_ERROR] = "ERROR",
        [CATALOG_REPLICATION_DELETING] = "DELETING",
    };
    const struct catalog *catalog = call->context->catalog;
    const struct catalog_replication *pair = &source->replication;
    return json_pack("{ss ss ss ss ss* ss*}", "Status", names[pair->status], "FileSystemId",
        pair->peer_id, "Region", catalog_region(catalog), "OwnerId", catalog_account_id(catalog),
        "StatusMessage", pair->status == CATALOG_REPLICATION_ERROR ? NOT_COPIED : NULL, "RoleArn",
        pair->role_arn[0] != '\0' ? pair->role_arn : NULL);
}

/* The configuration of a source. */
static json_t *render_replication(const struct api_call *call, const struct catalog_fs *source)
{
    const struct catalog *catalog = call->context->catalog;
    char arn[CATALOG_ARN_SIZE];
    char original[CATALOG_ARN_SIZE];
    catalog_arn(catalog, "file-system", source->id, arn);
    catalog_arn(catalog, "file-system", source->replication.original_id, original);
    return json_pack("{ss ss ss ss sf s[o] ss}", "SourceFileSystemId", source->id,
        "SourceFileSystemRegion", catalog_region(catalog), "SourceFileSystemArn", arn,
        "OriginalSourceFileSystemArn", original, "CreationTime",
        (double)source->replication.created_ms / 1000.0, "Destinations",
        render_destination(call, source), "SourceFileSystemOwnerId", catalog_account_id(catalog));
}

const struct api_error *api_create_replication_configuration(struct api_call *call)
{
    struct replicate replicate = { .call = call };
    const struct catalog_fs *source = api_get_fs(call, call->path_value);
    if (source == NULL)
        return call->failure;
    memcpy(replicate.source_id, source->id, sizeof source->id);
    catalog_fs_put(source);
    const struct api_error *error = take_destination(call, &replicate);
    if (error == NULL)
        error = api_change(call, make_replication, &replicate);
    if (error != NULL)
        return error;
    source = api_get_fs(call, replicate.source_id);
    if (source == NULL)
        return call->failure;
    error = api_answer(call, render_replication(call, source));
    catalog_fs_put(source);
    worker_submit(call->context->worker, WORKER_FS, replicate.destination_id);
    return error;
}

/* The source of the replication that `text` is in, on whichever side, with a reference; NULL: refused. */
static const struct catalog_fs *get_source(struct api_call *call, const char *text)
{
    const struct catalog_fs *fs = api_get_fs(call, text);
    if (fs == NULL)
        return NULL;
    if (fs->replication.is_destination) {
        const struct catalog_fs *source =
            catalog_fs_get(call->context->catalog, fs->replication.peer_id);
        catalog_fs_put(fs);
        fs = source;
    }
    if (fs != NULL && fs->replication.status != CATALOG_REPLICATION_NONE)
        return fs;
    catalog_fs_put(fs);
    (void)api_fail(call, API_REPLICATION_NOT_FOUND,
        "File system '%.128s' does not have a replication configuration.", text);
    return NULL;
}

/* Up to `max` configurations of sources after `marker`; *out_last is the source of the last one, empty when no more
 * follow. */
static json_t *render_page(
    struct api_call *call, const char *marker, size_t max, char out_last[CATALOG_ID_SIZE])
{
    const struct catalog_fs *page[PAGE_SIZE];
    char after_id[CATALOG_ID_SIZE];
    char last[CATALOG_ID_SIZE] = "";
    json_t *list = json_array();
    size_t count = PAGE_SIZE;
    bool more = false;
    int err = text_copy(after_id, sizeof after_id, marker);
    out_last[0] = '\0';
    while (err == 0 && !more && count == PAGE_SIZE) {
        count = catalog_fs_list(call->context->catalog, after_id, PAGE_SIZE, page);
        for (size_t i = 0; i < count; i++) {
            bool is_source = page[i]->replication.status != CATALOG_REPLICATION_NONE &&
                             !page[i]->replication.is_destination;
            if (is_source && json_array_size(list) == max) {
                more = true;
            } else if (is_source && !more) {
                err |= json_array_append_new(list, render_replication(call, page[i]));
                memcpy(last, page[i]->id, sizeof last);
            }
            memcpy(after_id, page[i]->id, sizeof after_id);
            catalog_fs_put(page[i]);
        }
    }
    if (more)
        memcpy(out_last, last, sizeof last);
    if (err < 0) {
        json_decref(list);
        return NULL;
    }
    return list;
}

const struct api_error *api_describe_replication_configurations(struct api_call *call)
{
    const char *fs_id = query_find(&call->query, "FileSystemId");
    size_t page_size;
    const char *marker;
    const struct api_error *error = input_page_size(call, "MaxResults", &page_size);
    if (error == NULL)
        error = input_marker(call, "NextToken", "fs-", &marker);
    if (error != NULL)
        return error;
    if (fs_id != NULL) {
        const struct catalog_fs *source = get_source(call, fs_id);
        if (source == NULL)
            return call->failure;
        json_t *object = render_replication(call, source);
        catalog_fs_put(source);
        return api_answer(call, json_pack("{s[o]}", "Replications", object));
    }
    char last[CATALOG_ID_SIZE];
    json_t *list = render_page(call, marker, page_size, last);
    if (list == NULL)
        return api_internal_error(call, -ENOMEM);
    return api_answer(call,
        json_pack("{so ss*}", "Replications", list, "NextToken", last[0] != '\0' ? last : NULL));
}

static int begin_deletion(struct catalog_change *change, void *context)
{
    const struct replicate *replicate = context;
    struct catalog_fs *fs;
    struct catalog_fs *peer;
    int err = catalog_edit_fs(change, replicate->source_id, &fs);
    if (err < 0)
        return err == -ENOENT ? 0 : err; /* gone meanwhile is as good */
    if (fs->replication.status == CATALOG_REPLICATION_NONE)
        return 0;
    fs->replication.status = CATALOG_REPLICATION_DELETING;
    err = catalog_edit_fs(change, fs->replication.peer_id, &peer);
    if (err == 0)
        peer->replication.status = CATALOG_REPLICATION_DELETING;
    return err == -ENOENT ? 0 : err;
}

/* EFS: named by the source; the destination then becomes writeable. Both sides are here, so both deletion modes do
 * the same. */
const struct api_error *api_delete_replication_configuration(struct api_call *call)
{
    struct replicate replicate = { .call = call };
    const char *mode = query_find(&call->query, "deletionMode");
    if (mode != NULL && strcmp(mode, "ALL_CONFIGURATIONS") != 0 &&
        strcmp(mode, "LOCAL_CONFIGURATION_ONLY") != 0)
        return api_fail(call, API_BAD_REQUEST,
            "deletionMode must be ALL_CONFIGURATIONS or LOCAL_CONFIGURATION_ONLY, not '%.64s'.",
            mode);
    const struct catalog_fs *source = get_source(call, call->path_value);
    if (source == NULL)
        return call->failure;
    memcpy(replicate.source_id, source->id, sizeof source->id);
    catalog_fs_put(source);
    const struct api_error *error = api_change(call, begin_deletion, &replicate);
    if (error == NULL)
        worker_submit(call->context->worker, WORKER_FS, replicate.source_id);
    return error;
}
