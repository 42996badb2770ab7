/*
 * control/render.c - records as the API shows them (room: control).
 */
#include "control/render.h"

#include <arpa/inet.h>
#include <stdio.h>

#include "catalog/nets.h"
#include "control/kms.h"

#define OBJECT_METADATA_BYTES 2048 /* per file, directory, link */
#define ROOT_DATA_BYTES       4096

uint64_t render_metered_bytes(const struct fs_space *space)
{
    uint64_t object_count = max_u64(space->used_files, 1); /* the root is always there */
    return ROOT_DATA_BYTES + OBJECT_METADATA_BYTES * object_count + space->used_bytes;
}

json_t *render_tags(const struct catalog_tags *tags, size_t first, size_t count)
{
    json_t *list = json_array();
    size_t end = first + min_size(count, tags->count - min_size(first, tags->count));
    for (size_t i = first; i < end; i++) {
        if (json_array_append_new(list, json_pack("{ss ss}", "Key", tags->items[i].key, "Value",
                                            tags->items[i].value)) < 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

/* What is metered now when the file system is open; else at the last sample. */
static json_t *render_size(const struct api_call *call, const struct catalog_fs *fs)
{
    uint64_t bytes = fs->size_bytes;
    int64_t at_ms = fs->size_sampled_ms;
    struct fs *open_fs;
    if (fs_volumes_get_open(call->context->volumes, fs->id, &open_fs) == 0) {
        struct fs_space space;
        if (fs_space(open_fs, &space) == 0) {
            bytes = render_metered_bytes(&space);
            at_ms = call->now_ms;
        }
        fs_volumes_put(call->context->volumes, open_fs);
    }
    return json_pack("{sI sI sI sI sI}", "Value", (json_int_t)bytes, "Timestamp",
        (json_int_t)(at_ms / 1000), "ValueInIA", (json_int_t)0, "ValueInStandard",
        (json_int_t)bytes, "ValueInArchive", (json_int_t)0);
}

/* Adds `value` (taken) under `name`. Gives 0 or -1. */
static int add(json_t *object, const char *name, json_t *value)
{
    return json_object_set_new(object, name, value);
}

static int add_optional_fs_members(
    const struct api_call *call, const struct catalog_fs *fs, json_t *object)
{
    int err = 0;
    const char *name = catalog_tags_find(&fs->tags, "Name");
    if (name != NULL)
        err |= add(object, "Name", json_string(name));
    if (fs->kms_key[0] != '\0') {
        char arn[KMS_ARN_SIZE];
        kms_key_arn(call, fs->kms_key, arn);
        err |= add(object, "KmsKeyId", json_string(arn));
    }
    if (fs->throughput == CATALOG_PROVISIONED)
        err |= add(object, "ProvisionedThroughputInMibps", json_real(fs->provisioned_mibps));
    if (fs->zone_name[0] != '\0') {
        const struct catalog_zone *zone =
            catalog_zone_find(catalog_network(call->context->catalog), fs->zone_name);
        err |= add(object, "AvailabilityZoneName", json_string(fs->zone_name));
        if (zone != NULL)
            err |= add(object, "AvailabilityZoneId", json_string(zone->id));
    }
    return err;
}

static const char *protection_name(const struct catalog_fs *fs)
{
    if (fs->replication.is_destination)
        return "REPLICATING";
    return fs->overwrite_protected ? "ENABLED" : "DISABLED";
}

json_t *render_fs(const struct api_call *call, const struct catalog_fs *fs)
{
    const struct catalog *catalog = call->context->catalog;
    char arn[CATALOG_ARN_SIZE];
    catalog_arn(call->context->catalog, "file-system", fs->id, arn);
    json_t *object = json_pack("{ss ss ss ss sf ss sI so ss sb ss s{ss} so}", "OwnerId",
        catalog_account_id(catalog), "CreationToken", fs->creation_token, "FileSystemId", fs->id,
        "FileSystemArn", arn, "CreationTime", (double)fs->created_ms / 1000.0, "LifeCycleState",
        catalog_state_name(fs->state), "NumberOfMountTargets",
        (json_int_t)catalog_mount_target_count(catalog, fs->id), "SizeInBytes",
        render_size(call, fs), "PerformanceMode", catalog_performance_name(fs->performance),
        "Encrypted", fs->kms_key[0] != '\0', "ThroughputMode",
        catalog_throughput_name(fs->throughput), "FileSystemProtection",
        "ReplicationOverwriteProtection", protection_name(fs), "Tags",
        render_tags(&fs->tags, 0, SIZE_MAX));
    if (object != NULL && add_optional_fs_members(call, fs, object) < 0) {
        json_decref(object);
        return NULL;
    }
    return object;
}

json_t *render_mount_target(const struct api_call *call, const struct catalog_mount_target *target)
{
    const struct catalog *catalog = call->context->catalog;
    struct catalog_subnet subnet;
    bool has_subnet = catalog_subnet_get(catalog, target->subnet_id, &subnet) == 0;
    char address[INET_ADDRSTRLEN];
    const char *text = inet_ntop(AF_INET, &target->address, address, sizeof address);
    assert(text != NULL);
    json_t *object = json_pack("{ss ss ss ss ss ss ss}", "OwnerId", catalog_account_id(catalog),
        "MountTargetId", target->id, "FileSystemId", target->fs_id, "SubnetId", target->subnet_id,
        "LifeCycleState", catalog_state_name(target->state), "IpAddress", text,
        "NetworkInterfaceId", target->interface_id);
    int err = object == NULL ? -1 : 0;
    if (err == 0 && has_subnet) {
        err |= add(object, "VpcId", json_string(subnet.vpc_id));
        err |= add(object, "AvailabilityZoneId", json_string(subnet.zone->id));
        err |= add(object, "AvailabilityZoneName", json_string(subnet.zone->name));
    }
    if (err < 0) {
        json_decref(object);
        return NULL;
    }
    return object;
}

static json_t *render_posix_user(const struct catalog_access_point *point)
{
    json_t *gids = json_array();
    int err = 0;
    for (size_t i = 0; err == 0 && i < point->secondary_gid_count; i++)
        err = json_array_append_new(gids, json_integer(point->secondary_gids[i]));
    json_t *user =
        json_pack("{sI sI}", "Uid", (json_int_t)point->uid, "Gid", (json_int_t)point->gid);
    if (point->secondary_gid_count > 0)
        err |= add(user, "SecondaryGids", json_incref(gids));
    json_decref(gids);
    if (err < 0) {
        json_decref(user);
        return NULL;
    }
    return user;
}

static json_t *render_root_directory(const struct catalog_access_point *point)
{
    if (!point->has_creation_info)
        return json_pack("{ss}", "Path", point->root_path);
    return json_pack("{ss s{sI sI ss}}", "Path", point->root_path, "CreationInfo", "OwnerUid",
        (json_int_t)point->owner_uid, "OwnerGid", (json_int_t)point->owner_gid, "Permissions",
        point->permissions);
}

json_t *render_access_point(const struct api_call *call, const struct catalog_access_point *point)
{
    const struct catalog *catalog = call->context->catalog;
    char arn[CATALOG_ARN_SIZE];
    catalog_arn(call->context->catalog, "access-point", point->id, arn);
    json_t *object = json_pack("{ss ss ss ss ss ss so so}", "ClientToken", point->client_token,
        "AccessPointId", point->id, "AccessPointArn", arn, "FileSystemId", point->fs_id, "OwnerId",
        catalog_account_id(catalog), "LifeCycleState", catalog_state_name(point->state),
        "RootDirectory", render_root_directory(point), "Tags",
        render_tags(&point->tags, 0, CATALOG_TAGS_MAX));
    int err = object == NULL ? -1 : 0;
    const char *name = catalog_tags_find(&point->tags, "Name");
    if (err == 0 && name != NULL)
        err |= add(object, "Name", json_string(name));
    if (err == 0 && point->has_posix_user)
        err |= add(object, "PosixUser", render_posix_user(point));
    if (err < 0) {
        json_decref(object);
        return NULL;
    }
    return object;
}
