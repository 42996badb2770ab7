/*
 * control/api_mount_targets.c - the addresses at which file systems are mounted (room: control).
 * Source: EFS API, CreateMountTarget, DescribeMountTargets, DeleteMountTarget, DescribeMountTargetSecurityGroups,
 * ModifyMountTargetSecurityGroups.
 */
#include <arpa/inet.h>
#include <stdio.h>

#include "base/text.h"
#include "catalog/nets.h"
#include "control/actions.h"
#include "control/input.h"
#include "control/render.h"
#include "control/worker.h"

#define TARGETS_PER_VPC_MAX 1400 /* EFS: quotas */

struct create_target {
    struct api_call *call;
    const char *fs_id;
    struct catalog_subnet subnet;
    bool has_address;
    struct in_addr address;
    size_t group_count;
    const char *groups[CATALOG_SECURITY_GROUPS_MAX];
    char id[CATALOG_ID_SIZE];
};

/* The address that was asked for, if any. The default network has no IPv6. */
static const struct api_error *take_address(struct api_call *call, struct create_target *create)
{
    const struct input_text v4_rule = { "IpAddress", false, 7, 15 };
    const struct input_text v6_rule = { "Ipv6Address", false, 3, 39 };
    const struct input_text type_rule = { "IpAddressType", false, 1, 16 };
    const char *v4 = NULL;
    const char *v6 = NULL;
    const char *type = "IPV4_ONLY";
    const struct api_error *error = input_string(call, &v4_rule, &v4);
    if (error == NULL)
        error = input_string(call, &v6_rule, &v6);
    if (error == NULL)
        error = input_string(call, &type_rule, &type);
    if (error != NULL)
        return error;
    if (v6 != NULL || strcmp(type, "IPV4_ONLY") != 0)
        return api_fail(call, API_BAD_REQUEST,
            "The subnet has no IPv6 addresses: only the IpAddressType IPV4_ONLY is possible.");
    if (v4 == NULL)
        return NULL;
    if (inet_pton(AF_INET, v4, &create->address) != 1)
        return api_fail(call, API_BAD_REQUEST, "Address '%s' is not an IPv4 address.", v4);
    create->has_address = true;
    return NULL;
}

/* The list SecurityGroups of the body; *out_count is 0 when it is not there or empty. */
static const struct api_error *take_groups(
    struct api_call *call, size_t *out_count, const char *out_groups[CATALOG_SECURITY_GROUPS_MAX])
{
    const json_t *list = json_object_get(call->input, "SecurityGroups");
    *out_count = 0;
    if (list == NULL || json_is_null(list))
        return NULL;
    if (!json_is_array(list))
        return api_fail(
            call, API_BAD_REQUEST, "The member SecurityGroups of the request must be a list.");
    if (json_array_size(list) > CATALOG_SECURITY_GROUPS_MAX)
        return api_fail(call, API_SECURITY_GROUP_LIMIT_EXCEEDED,
            "The maximum number of security groups per mount target is %d.",
            CATALOG_SECURITY_GROUPS_MAX);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *id = json_string_value(json_array_get(list, i));
        if (id == NULL)
            return api_fail(call, API_BAD_REQUEST, "Each of SecurityGroups must be a string.");
        if (strlen(id) >= CATALOG_ID_SIZE)
            return api_fail(call, API_BAD_REQUEST, "Each of SecurityGroups has 11 to 43 letters.");
        for (size_t k = 0; k < i; k++) {
            if (strcmp(out_groups[k], id) == 0)
                return api_fail(
                    call, API_BAD_REQUEST, "The security group '%s' is named twice.", id);
        }
        out_groups[i] = id;
        *out_count = i + 1;
    }
    return NULL;
}

static const struct api_error *take_subnet(struct api_call *call, struct create_target *create)
{
    const struct input_text rule = { "SubnetId", true, 15, 47 };
    const char *id = NULL;
    const struct api_error *error = input_string(call, &rule, &id);
    if (error != NULL)
        return error;
    if (catalog_subnet_get(call->context->catalog, id, &create->subnet) < 0)
        return api_fail(call, API_SUBNET_NOT_FOUND, "The subnet ID '%s' does not exist", id);
    return NULL;
}

/* Fills in the groups of a target: those that were named, which must be in its VPC, or the VPC's default group. */
static int set_groups(struct api_call *call, const char *vpc_id, size_t count,
    const char *const *groups, struct catalog_mount_target *target)
{
    const struct catalog *catalog = call->context->catalog;
    for (size_t i = 0; i < count; i++) {
        const struct catalog_net *group =
            catalog_net_get(catalog, CATALOG_SECURITY_GROUP, groups[i]);
        bool found = group != NULL && strcmp(group->vpc_id, vpc_id) == 0;
        if (found)
            memcpy(target->security_groups[i], group->id, CATALOG_ID_SIZE);
        catalog_net_put(group);
        if (!found)
            return api_refuse(call, API_SECURITY_GROUP_NOT_FOUND,
                "The security group '%.64s' does not exist in the VPC %s.", groups[i], vpc_id);
    }
    target->security_group_count = count;
    if (count > 0)
        return 0;
    target->security_group_count = 1;
    return catalog_default_group(catalog, vpc_id, target->security_groups[0]);
}

/* One target per zone and file system, all in one VPC; a One Zone file system has one in its zone. */
static int check_zone(const struct create_target *create, const struct catalog_fs *fs)
{
    struct api_call *call = create->call;
    const struct catalog *catalog = call->context->catalog;
    const char *zone_name = create->subnet.zone->name;
    if (fs->zone_name[0] != '\0' && strcmp(fs->zone_name, zone_name) != 0)
        return api_refuse(call, API_AVAILABILITY_ZONES_MISMATCH,
            "The file system is in the availability zone '%s', the subnet in '%s'.", fs->zone_name,
            zone_name);
    const struct catalog_mount_target *targets[CATALOG_ZONES_MAX];
    size_t count = catalog_mount_target_list(catalog, fs->id, "", ARRAY_SIZE(targets), targets);
    int err = 0;
    for (size_t i = 0; i < count; i++) {
        struct catalog_subnet subnet;
        if (err == 0 && catalog_subnet_get(catalog, targets[i]->subnet_id, &subnet) < 0)
            err = -EBADMSG; /* a subnet with a target cannot be deleted */
        if (err == 0 && strcmp(subnet.vpc_id, create->subnet.vpc_id) != 0)
            err = api_refuse(call, API_MOUNT_TARGET_CONFLICT,
                "requested subnet for new mount target is not in the same VPC (%s) as existing "
                "mount targets",
                subnet.vpc_id);
        if (err == 0 && subnet.zone == create->subnet.zone)
            err = api_refuse(call, API_MOUNT_TARGET_CONFLICT,
                "mount target already exists in this AZ (%s): %s", zone_name, targets[i]->id);
        catalog_mount_target_put(targets[i]);
    }
    return err;
}

static int choose_address(const struct create_target *create, struct in_addr *out_address)
{
    struct api_call *call = create->call;
    const struct catalog *catalog = call->context->catalog;
    if (!create->has_address) {
        if (catalog_subnet_pick(catalog, &create->subnet, out_address) == 0)
            return 0;
        return api_refuse(call, API_NO_FREE_ADDRESSES_IN_SUBNET,
            "No free IP addresses in subnet '%s'.", create->subnet.id);
    }
    char text[INET_ADDRSTRLEN] = "";
    (void)inet_ntop(AF_INET, &create->address, text, sizeof text); /* it was parsed from text */
    if (!catalog_subnet_has(&create->subnet, create->address))
        return api_refuse(call, API_BAD_REQUEST,
            "Address '%s' does not fall within the usable addresses of subnet '%s'.", text,
            create->subnet.id);
    const struct catalog_mount_target *owner =
        catalog_mount_target_get_by_address(catalog, create->address);
    catalog_mount_target_put(owner);
    if (owner != NULL)
        return api_refuse(call, API_IP_ADDRESS_IN_USE, "IP address '%s' is in use.", text);
    *out_address = create->address;
    return 0;
}

struct vpc_count {
    const struct catalog *catalog;
    const char *vpc_id;
    size_t targets;
};

static bool count_in_vpc(void *context, const struct catalog_mount_target *target)
{
    struct vpc_count *count = context;
    struct catalog_subnet subnet;
    if (catalog_subnet_get(count->catalog, target->subnet_id, &subnet) == 0)
        count->targets += strcmp(subnet.vpc_id, count->vpc_id) == 0;
    return true;
}

/* EFS: quotas, "mount targets per VPC". They are only counted one by one when there are that many at all. */
static int check_quota(const struct create_target *create)
{
    const struct catalog *catalog = create->call->context->catalog;
    struct vpc_count count = { catalog, create->subnet.vpc_id, 0 };
    if (catalog_mount_target_count(catalog, NULL) < TARGETS_PER_VPC_MAX)
        return 0;
    catalog_mount_target_each(catalog, NULL, count_in_vpc, &count);
    if (count.targets < TARGETS_PER_VPC_MAX)
        return 0;
    return api_refuse(create->call, API_NETWORK_INTERFACE_LIMIT_EXCEEDED,
        "The VPC '%s' has the most mount targets that it may have, %d.", create->subnet.vpc_id,
        TARGETS_PER_VPC_MAX);
}

/* Checks against the state that no other change can alter meanwhile. */
static int check_target(const struct create_target *create, struct in_addr *out_address)
{
    struct api_call *call = create->call;
    const struct catalog_fs *fs = catalog_fs_get(call->context->catalog, create->fs_id);
    if (fs == NULL)
        return api_refuse(
            call, API_FILE_SYSTEM_NOT_FOUND, "File system '%s' does not exist.", create->fs_id);
    int err = 0;
    struct catalog_subnet again; /* it may have been deleted since it was read */
    if (catalog_subnet_get(call->context->catalog, create->subnet.id, &again) < 0)
        err = api_refuse(
            call, API_SUBNET_NOT_FOUND, "The subnet ID '%s' does not exist", create->subnet.id);
    if (err == 0 && fs->state != CATALOG_AVAILABLE && fs->state != CATALOG_UPDATING)
        err = api_refuse(call, API_INCORRECT_FILE_SYSTEM_LIFE_CYCLE_STATE,
            "File system '%s' is in the life cycle state '%s', not 'available'.", fs->id,
            catalog_state_name(fs->state));
    if (err == 0)
        err = check_zone(create, fs);
    if (err == 0)
        err = check_quota(create);
    if (err == 0)
        err = choose_address(create, out_address);
    catalog_fs_put(fs);
    return err;
}

static int make_target(struct catalog_change *change, void *context)
{
    const struct create_target *create = context;
    struct in_addr address = { 0 };
    int err = check_target(create, &address);
    if (err < 0)
        return err;
    struct catalog_mount_target *target;
    err = catalog_add_mount_target(change, &target);
    if (err < 0)
        return err;
    memcpy(target->id, create->id, sizeof target->id);
    api_make_id("eni", target->interface_id);
    memcpy(target->subnet_id, create->subnet.id, sizeof target->subnet_id);
    target->state = CATALOG_CREATING;
    target->address = address;
    target->created_ms = create->call->now_ms;
    err = set_groups(
        create->call, create->subnet.vpc_id, create->group_count, create->groups, target);
    if (err == 0)
        err = text_copy(target->fs_id, sizeof target->fs_id, create->fs_id);
    return err;
}

/* The target, with a reference; NULL: refused (MountTargetNotFound). */
static const struct catalog_mount_target *get_target(struct api_call *call, const char *id)
{
    const struct catalog_mount_target *target =
        catalog_mount_target_get(call->context->catalog, id);
    if (target == NULL)
        (void)api_fail(
            call, API_MOUNT_TARGET_NOT_FOUND, "Mount target '%.128s' does not exist.", id);
    return target;
}

const struct api_error *api_create_mount_target(struct api_call *call)
{
    const struct input_text fs_rule = { "FileSystemId", true, 1, 128 };
    struct create_target create = { .call = call };
    const char *fs_id = NULL;
    api_make_id("fsmt", create.id);
    const struct api_error *error = input_string(call, &fs_rule, &fs_id);
    if (error == NULL)
        error = take_address(call, &create);
    if (error == NULL)
        error = take_groups(call, &create.group_count, create.groups);
    if (error != NULL)
        return error;
    const struct catalog_fs *fs = api_get_fs(call, fs_id);
    if (fs == NULL)
        return call->failure;
    create.fs_id = fs->id;
    error = take_subnet(call, &create);
    if (error == NULL)
        error = api_change(call, make_target, &create);
    catalog_fs_put(fs);
    if (error != NULL)
        return error;
    const struct catalog_mount_target *target = get_target(call, create.id);
    error = target == NULL ? call->failure : api_answer(call, render_mount_target(call, target));
    catalog_mount_target_put(target);
    worker_submit(call->context->worker, WORKER_MOUNT_TARGET, create.id);
    return error;
}

/* The file system whose targets are wanted: named by itself or by one of its access points. */
static const struct api_error *take_owner(
    struct api_call *call, const char *fs_id, const char *point_id, char out_id[CATALOG_ID_SIZE])
{
    if (fs_id != NULL) {
        const struct catalog_fs *fs = api_get_fs(call, fs_id);
        if (fs != NULL)
            memcpy(out_id, fs->id, CATALOG_ID_SIZE);
        catalog_fs_put(fs);
        return call->failure;
    }
    const char *id = api_resolve_id(call, "access-point", point_id);
    const struct catalog_access_point *point =
        id == NULL ? NULL : catalog_access_point_get(call->context->catalog, id);
    if (point == NULL)
        return api_fail(
            call, API_ACCESS_POINT_NOT_FOUND, "Access point '%.128s' does not exist.", point_id);
    memcpy(out_id, point->fs_id, CATALOG_ID_SIZE);
    catalog_access_point_put(point);
    return NULL;
}

static const struct api_error *describe_target(struct api_call *call, const char *id)
{
    const struct catalog_mount_target *target = get_target(call, id);
    if (target == NULL)
        return call->failure;
    json_t *object = render_mount_target(call, target);
    catalog_mount_target_put(target);
    return api_answer(call, json_pack("{s[o]}", "MountTargets", object));
}

static const struct api_error *describe_targets_of(
    struct api_call *call, const char *fs_id, const char *marker, size_t page_size)
{
    const struct catalog_mount_target *page[CATALOG_ZONES_MAX + 1];
    page_size = min_size(page_size, CATALOG_ZONES_MAX);
    size_t count =
        catalog_mount_target_list(call->context->catalog, fs_id, marker, page_size + 1, page);
    char last[CATALOG_ID_SIZE] = "";
    json_t *list = json_array();
    int err = 0;
    for (size_t i = 0; i < count; i++) {
        if (i < page_size)
            err |= json_array_append_new(list, render_mount_target(call, page[i]));
        if (i + 1 == page_size && count > page_size)
            memcpy(last, page[i]->id, sizeof last);
        catalog_mount_target_put(page[i]);
    }
    if (err < 0) {
        json_decref(list);
        return api_internal_error(call, -ENOMEM);
    }
    return api_answer(
        call, json_pack("{so ss* ss*}", "MountTargets", list, "Marker",
                  marker[0] != '\0' ? marker : NULL, "NextMarker", last[0] != '\0' ? last : NULL));
}

const struct api_error *api_describe_mount_targets(struct api_call *call)
{
    const char *fs_id = query_find(&call->query, "FileSystemId");
    const char *target_id = query_find(&call->query, "MountTargetId");
    const char *point_id = query_find(&call->query, "AccessPointId");
    size_t page_size;
    const char *marker;
    const struct api_error *error = input_page_size(call, "MaxItems", &page_size);
    if (error == NULL)
        error = input_marker(call, "Marker", "fsmt-", &marker);
    if (error != NULL)
        return error;
    unsigned given = (fs_id != NULL) + (target_id != NULL) + (point_id != NULL);
    if (given != 1)
        return api_fail(call, API_BAD_REQUEST,
            "%s: give one of FileSystemId, MountTargetId and AccessPointId.",
            given == 0 ? "You must specify a file system, mount target or access point"
                       : "Too many filters");
    if (target_id != NULL)
        return describe_target(call, target_id);
    char owner[CATALOG_ID_SIZE];
    error = take_owner(call, fs_id, point_id, owner);
    if (error != NULL)
        return error;
    return describe_targets_of(call, owner, marker, page_size);
}

static int begin_deletion(struct catalog_change *change, void *context)
{
    struct catalog_mount_target *target;
    int err = catalog_edit_mount_target(change, context, &target);
    if (err == 0)
        target->state = CATALOG_DELETING;
    return err == -ENOENT ? 0 : err; /* gone meanwhile is as good */
}

const struct api_error *api_delete_mount_target(struct api_call *call)
{
    const struct catalog_mount_target *target = get_target(call, call->path_value);
    if (target == NULL)
        return call->failure;
    char id[CATALOG_ID_SIZE];
    memcpy(id, target->id, sizeof id);
    catalog_mount_target_put(target);
    const struct api_error *error = api_change(call, begin_deletion, id);
    if (error == NULL)
        worker_submit(call->context->worker, WORKER_MOUNT_TARGET, id);
    return error;
}

/* EFS: the groups of a target that is coming or going can be neither asked nor changed. */
static const struct api_error *check_available(
    struct api_call *call, const struct catalog_mount_target *target)
{
    if (target->state == CATALOG_AVAILABLE)
        return NULL;
    return api_fail(call, API_INCORRECT_MOUNT_TARGET_STATE,
        "Mount target '%s' is in the life cycle state '%s', not 'available'.", target->id,
        catalog_state_name(target->state));
}

const struct api_error *api_describe_mount_target_security_groups(struct api_call *call)
{
    const struct catalog_mount_target *target = get_target(call, call->path_value);
    if (target == NULL)
        return call->failure;
    const struct api_error *error = check_available(call, target);
    if (error == NULL) {
        json_t *list = json_array();
        int err = 0;
        for (size_t i = 0; i < target->security_group_count; i++)
            err |= json_array_append_new(list, json_string(target->security_groups[i]));
        json_t *output = err < 0 ? NULL : json_pack("{sO}", "SecurityGroups", list);
        json_decref(list);
        error = api_answer(call, output);
    }
    catalog_mount_target_put(target);
    return error;
}

struct modify_groups {
    struct api_call *call;
    const char *id;
    size_t count;
    const char *groups[CATALOG_SECURITY_GROUPS_MAX];
};

static int change_groups(struct catalog_change *change, void *context)
{
    const struct modify_groups *modify = context;
    struct catalog_mount_target *target;
    int err = catalog_edit_mount_target(change, modify->id, &target);
    if (err == -ENOENT)
        return api_refuse(modify->call, API_MOUNT_TARGET_NOT_FOUND,
            "Mount target '%s' does not exist.", modify->id);
    if (err == 0 && check_available(modify->call, target) != NULL)
        return -ECANCELED;
    struct catalog_subnet subnet;
    if (err == 0)
        err = catalog_subnet_get(modify->call->context->catalog, target->subnet_id, &subnet);
    if (err == 0)
        err = set_groups(modify->call, subnet.vpc_id, modify->count, modify->groups, target);
    return err;
}

const struct api_error *api_modify_mount_target_security_groups(struct api_call *call)
{
    struct modify_groups modify = { .call = call };
    const struct catalog_mount_target *target = get_target(call, call->path_value);
    if (target == NULL)
        return call->failure;
    modify.id = target->id;
    const struct api_error *error = take_groups(call, &modify.count, modify.groups);
    if (error == NULL)
        error = api_change(call, change_groups, &modify);
    catalog_mount_target_put(target);
    return error;
}
