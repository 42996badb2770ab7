/*
 * control/ec2/ec2_subnets.c - subnets, where mount targets get their addresses, and the interfaces of mount targets
 * (room: control).
 *
 * Addresses are those of one machine, so no two subnets overlap, also not those of different VPCs.
 * Source: EC2 API, DescribeSubnets, CreateSubnet, DeleteSubnet, DescribeNetworkInterfaces.
 */
#include <arpa/inet.h>
#include <stdio.h>

#include "base/text.h"
#include "control/ec2/ec2.h"

#define SUBNETS_MAX       200 /* EC2: quotas, per VPC; here in all */
#define SUBNET_PREFIX_MAX 28

static void write_subnet(struct api_call *call, const struct catalog_net *net, struct xml *xml)
{
    const struct catalog *catalog = call->context->catalog;
    struct catalog_subnet subnet;
    char text[256];
    if (catalog_subnet_get(catalog, net->id, &subnet) < 0)
        return; /* deleted since it was listed */
    xml_element(xml, "subnetId", net->id);
    (void)snprintf(text, sizeof text, "arn:aws:ec2:%s:%s:subnet/%s", catalog_region(catalog),
        catalog_account_id(catalog), net->id);
    xml_element(xml, "subnetArn", text);
    xml_element(xml, "state", "available");
    xml_element(xml, "ownerId", catalog_account_id(catalog));
    xml_element(xml, "vpcId", net->vpc_id);
    ec2_format_cidr(net->base, net->prefix_bits, text);
    xml_element(xml, "cidrBlock", text);
    xml_open(xml, "ipv6CidrBlockAssociationSet", NULL);
    xml_close(xml);
    ec2_write_number(xml, "availableIpAddressCount", catalog_subnet_free_count(catalog, &subnet));
    xml_element(xml, "availabilityZone", subnet.zone->name);
    xml_element(xml, "availabilityZoneId", subnet.zone->id);
    xml_element(xml, "defaultForAz", net->is_default ? "true" : "false");
    xml_element(xml, "mapPublicIpOnLaunch", "false");
    xml_element(xml, "assignIpv6AddressOnCreation", "false");
    xml_element(xml, "mapCustomerOwnedIpOnLaunch", "false");
    xml_element(xml, "enableDns64", "false");
    xml_element(xml, "ipv6Native", "false");
    ec2_write_tags(xml, &net->tags);
}

struct subnet_list {
    struct ec2_list list;
    struct xml *xml;
};

static bool describe_subnet(void *context, const struct catalog_net *net)
{
    struct subnet_list *subnets = context;
    struct ec2_list *list = &subnets->list;
    const struct catalog *catalog = list->call->context->catalog;
    char cidr[EC2_CIDR_SIZE];
    struct catalog_subnet subnet;
    if (!ec2_list_consider(list, net->id) || catalog_subnet_get(catalog, net->id, &subnet) < 0)
        return !list->more;
    const char *is_default = net->is_default ? "true" : "false";
    ec2_format_cidr(net->base, net->prefix_bits, cidr);
    ec2_list_match(list, "subnet-id", net->id);
    ec2_list_match(list, "vpc-id", net->vpc_id);
    ec2_list_match(list, "availability-zone", subnet.zone->name);
    ec2_list_match(list, "availabilityZone", subnet.zone->name);
    ec2_list_match(list, "availability-zone-id", subnet.zone->id);
    ec2_list_match(list, "cidr-block", cidr);
    ec2_list_match(list, "cidr", cidr);
    ec2_list_match(list, "state", "available");
    ec2_list_match(list, "default-for-az", is_default);
    ec2_list_match(list, "defaultForAz", is_default);
    ec2_list_match(list, "owner-id", catalog_account_id(catalog));
    ec2_list_match_tags(list, &net->tags);
    if (ec2_list_take(list, net->id)) {
        xml_open(subnets->xml, "item", NULL);
        write_subnet(list->call, net, subnets->xml);
        xml_close(subnets->xml);
    }
    return !list->more;
}

const struct api_error *ec2_describe_subnets(struct api_call *call, struct xml *xml)
{
    static const char *const known[] = { "subnet-id", "vpc-id", "availability-zone",
        "availabilityZone", "availability-zone-id", "cidr-block", "cidr", "state", "default-for-az",
        "defaultForAz", "owner-id", NULL };
    struct subnet_list subnets = { .xml = xml };
    const struct api_error *error =
        ec2_check_ids(call, "SubnetId", CATALOG_SUBNET, API_QUERY_SUBNET_NOT_FOUND);
    if (error == NULL)
        error = ec2_list_begin(&subnets.list, call, "SubnetId", known);
    if (error != NULL)
        return error;
    xml_open(xml, "subnetSet", NULL);
    catalog_net_each(call->context->catalog, CATALOG_SUBNET, describe_subnet, &subnets);
    xml_close(xml);
    ec2_list_end(&subnets.list, xml);
    return NULL;
}

struct new_subnet {
    struct api_call *call;
    char id[CATALOG_ID_SIZE];
    const char *vpc_id;
    struct in_addr base;
    unsigned prefix_bits;
    const struct catalog_zone *zone;
    struct catalog_tags tags; /* moved into the record */
    size_t count;             /* of subnets that there are */
    char overlapping_id[CATALOG_ID_SIZE];
};

static bool look_at_subnet(void *context, const struct catalog_net *net)
{
    struct new_subnet *subnet = context;
    subnet->count++;
    if (ec2_overlaps(net, subnet->base, subnet->prefix_bits))
        memcpy(subnet->overlapping_id, net->id, sizeof subnet->overlapping_id);
    return true;
}

static int check_range(struct new_subnet *subnet)
{
    struct api_call *call = subnet->call;
    const struct catalog_net *vpc =
        ec2_get(call, CATALOG_VPC, subnet->vpc_id, API_QUERY_VPC_NOT_FOUND);
    if (vpc == NULL)
        return -ECANCELED;
    bool is_inside = subnet->prefix_bits >= vpc->prefix_bits &&
                     ec2_overlaps(vpc, subnet->base, subnet->prefix_bits);
    catalog_net_put(vpc);
    if (!is_inside || subnet->prefix_bits > SUBNET_PREFIX_MAX)
        return api_refuse(call, API_QUERY_SUBNET_RANGE, "The CIDR '%.64s' is invalid.",
            query_find(&call->query, "CidrBlock"));
    catalog_net_each(call->context->catalog, CATALOG_SUBNET, look_at_subnet, subnet);
    if (subnet->overlapping_id[0] != '\0')
        return api_refuse(call, API_QUERY_SUBNET_CONFLICT,
            "The CIDR '%.64s' conflicts with another subnet (%s)",
            query_find(&call->query, "CidrBlock"), subnet->overlapping_id);
    if (subnet->count >= SUBNETS_MAX)
        return api_refuse(call, API_QUERY_SUBNET_LIMIT,
            "The maximum number of subnets (%d) has been reached.", SUBNETS_MAX);
    return 0;
}

static int make_subnet(struct catalog_change *change, void *context)
{
    struct new_subnet *subnet = context;
    struct catalog_net *net = NULL;
    int err = check_range(subnet);
    if (err == 0)
        err = catalog_add_net(change, &net);
    if (err != 0)
        return err;
    net->kind = CATALOG_SUBNET;
    memcpy(net->id, subnet->id, sizeof net->id);
    err = text_copy(net->vpc_id, sizeof net->vpc_id, subnet->vpc_id);
    assert(err == 0); /* it is the id of a record */
    net->base = subnet->base;
    net->prefix_bits = subnet->prefix_bits;
    net->created_ms = subnet->call->now_ms;
    memcpy(net->zone_name, subnet->zone->name, sizeof net->zone_name);
    net->tags = subnet->tags;
    subnet->tags = (struct catalog_tags){ 0 };
    return 0;
}

/* By name or by id; the first when neither is given, as EC2 chooses one. */
static const struct api_error *take_zone(
    struct api_call *call, const struct catalog_zone **out_zone)
{
    const struct catalog_network *network = catalog_network(call->context->catalog);
    const char *name = query_find(&call->query, "AvailabilityZone");
    const char *id = query_find(&call->query, "AvailabilityZoneId");
    *out_zone = &network->zones[0];
    for (size_t i = 0; i < network->zone_count; i++) {
        const struct catalog_zone *zone = &network->zones[i];
        if ((name != NULL && strcmp(zone->name, name) == 0) ||
            (name == NULL && id != NULL && strcmp(zone->id, id) == 0)) {
            *out_zone = zone;
            return NULL;
        }
    }
    if (name == NULL && id == NULL)
        return NULL;
    return api_fail(call, API_QUERY_INVALID_FILTER,
        "Value (%.64s) for parameter availabilityZone is invalid.", name != NULL ? name : id);
}

const struct api_error *ec2_create_subnet(struct api_call *call, struct xml *xml)
{
    struct new_subnet subnet = { .call = call };
    const char *cidr = NULL;
    api_make_id("subnet", subnet.id);
    const struct api_error *error = ec2_required(call, "VpcId", &subnet.vpc_id);
    if (error == NULL)
        error = ec2_required(call, "CidrBlock", &cidr);
    if (error == NULL && ec2_parse_cidr(cidr, &subnet.base, &subnet.prefix_bits) < 0)
        error = api_fail(call, API_QUERY_INVALID_FILTER,
            "Value (%.64s) for parameter cidrBlock is invalid. This is not a valid CIDR block.",
            cidr);
    if (error == NULL && query_find(&call->query, "Ipv6CidrBlock") != NULL)
        error = api_fail(call, API_QUERY_INVALID_FILTER,
            "Subnets have no IPv6 addresses in this release of Shoal.");
    if (error == NULL)
        error = take_zone(call, &subnet.zone);
    if (error == NULL)
        error = ec2_take_tag_specification(call, "subnet", &subnet.tags);
    if (error == NULL)
        error = api_change(call, make_subnet, &subnet);
    catalog_tags_fini(&subnet.tags);
    if (error != NULL)
        return error;
    const struct catalog_net *net =
        ec2_get(call, CATALOG_SUBNET, subnet.id, API_QUERY_SUBNET_NOT_FOUND);
    if (net == NULL)
        return call->failure; /* deleted since */
    xml_open(xml, "subnet", NULL);
    write_subnet(call, net, xml);
    xml_close(xml);
    catalog_net_put(net);
    return NULL;
}

struct wanted_id {
    const char *id;
    bool found;
};

static bool is_in_subnet(void *context, const struct catalog_mount_target *target)
{
    struct wanted_id *wanted = context;
    wanted->found = strcmp(target->subnet_id, wanted->id) == 0;
    return !wanted->found;
}

static int remove_subnet(struct catalog_change *change, void *context)
{
    struct api_call *call = context;
    struct wanted_id use = { .id = query_find(&call->query, "SubnetId") };
    const struct catalog_net *net =
        ec2_get(call, CATALOG_SUBNET, use.id, API_QUERY_SUBNET_NOT_FOUND);
    if (net == NULL)
        return -ECANCELED;
    bool is_default = net->is_default;
    catalog_net_put(net);
    if (is_default)
        return api_refuse(call, API_QUERY_NOT_PERMITTED,
            "The subnets of the default VPC cannot be deleted in Shoal: the default mount targets "
            "are in them.");
    catalog_mount_target_each(call->context->catalog, NULL, is_in_subnet, &use);
    if (use.found)
        return api_refuse(call, API_QUERY_DEPENDENCY_VIOLATION,
            "The subnet '%.64s' has dependencies and cannot be deleted.", use.id);
    return catalog_remove_net(change, use.id);
}

const struct api_error *ec2_delete_subnet(struct api_call *call, struct xml *xml)
{
    const char *id;
    const struct api_error *error = ec2_required(call, "SubnetId", &id);
    if (error == NULL)
        error = api_change(call, remove_subnet, call);
    if (error == NULL)
        xml_element(xml, "return", "true");
    return error;
}

struct interface_list {
    struct ec2_list list;
    struct xml *xml;
};

static void write_groups(
    struct api_call *call, const struct catalog_mount_target *target, struct xml *xml)
{
    xml_open(xml, "groupSet", NULL);
    for (size_t i = 0; i < target->security_group_count; i++) {
        const struct catalog_net *group = catalog_net_get(
            call->context->catalog, CATALOG_SECURITY_GROUP, target->security_groups[i]);
        xml_open(xml, "item", NULL);
        xml_element(xml, "groupId", target->security_groups[i]);
        xml_element(xml, "groupName", group != NULL ? group->name : "");
        xml_close(xml);
        catalog_net_put(group);
    }
    xml_close(xml);
}

/* The interface of a mount target is made and managed by EFS (EFS User Guide, "Creating mount targets"). */
static void write_interface(struct api_call *call, const struct catalog_mount_target *target,
    const struct catalog_subnet *subnet, struct xml *xml)
{
    const char *account_id = catalog_account_id(call->context->catalog);
    char text[160];
    char address[INET_ADDRSTRLEN] = "";
    (void)inet_ntop(AF_INET, &target->address, address, sizeof address); /* it is large enough */
    xml_open(xml, "item", NULL);
    xml_element(xml, "networkInterfaceId", target->interface_id);
    xml_element(xml, "subnetId", target->subnet_id);
    xml_element(xml, "vpcId", subnet->vpc_id);
    xml_element(xml, "availabilityZone", subnet->zone->name);
    (void)snprintf(
        text, sizeof text, "Mount target %s for file system %s", target->id, target->fs_id);
    xml_element(xml, "description", text);
    xml_element(xml, "ownerId", account_id);
    xml_element(xml, "requesterId", account_id);
    xml_element(xml, "requesterManaged", "true");
    xml_element(xml, "status", "in-use");
    xml_element(xml, "interfaceType", "efs");
    xml_element(xml, "privateIpAddress", address);
    xml_element(xml, "sourceDestCheck", "true");
    write_groups(call, target, xml);
    xml_open(xml, "privateIpAddressesSet", NULL);
    xml_open(xml, "item", NULL);
    xml_element(xml, "privateIpAddress", address);
    xml_element(xml, "primary", "true");
    xml_close(xml);
    xml_close(xml);
    xml_open(xml, "tagSet", NULL);
    xml_close(xml);
    xml_close(xml);
}

static bool describe_interface(void *context, const struct catalog_mount_target *target)
{
    struct interface_list *interfaces = context;
    struct ec2_list *list = &interfaces->list;
    struct catalog_subnet subnet;
    char text[160];
    /* The order is that of the targets; the token is a target's id, the ids that are wanted are the interfaces'. */
    const char *id_name = list->id_name;
    list->id_name = NULL;
    bool is_candidate = ec2_list_consider(list, target->id);
    list->id_name = id_name;
    if (!is_candidate ||
        catalog_subnet_get(list->call->context->catalog, target->subnet_id, &subnet) < 0)
        return !list->more;
    bool is_wanted = ec2_nth(list->call, id_name, 1) == NULL;
    for (unsigned i = 1; !is_wanted && ec2_nth(list->call, id_name, i) != NULL; i++)
        is_wanted = strcmp(ec2_nth(list->call, id_name, i), target->interface_id) == 0;
    ec2_list_match(list, "network-interface-id", target->interface_id);
    ec2_list_match(list, "subnet-id", target->subnet_id);
    ec2_list_match(list, "vpc-id", subnet.vpc_id);
    ec2_list_match(list, "availability-zone", subnet.zone->name);
    ec2_list_match(list, "status", "in-use");
    ec2_list_match(list, "requester-managed", "true");
    ec2_list_match(list, "interface-type", "efs");
    ec2_list_match(list, "owner-id", catalog_account_id(list->call->context->catalog));
    ec2_list_match(list, "requester-id", catalog_account_id(list->call->context->catalog));
    (void)inet_ntop(AF_INET, &target->address, text, sizeof text); /* it is large enough */
    ec2_list_match(list, "private-ip-address", text);
    ec2_list_match(list, "addresses.private-ip-address", text);
    (void)snprintf(
        text, sizeof text, "Mount target %s for file system %s", target->id, target->fs_id);
    ec2_list_match(list, "description", text);
    for (size_t i = 0; i < target->security_group_count; i++)
        ec2_list_match(list, "group-id", target->security_groups[i]);
    if (is_wanted && ec2_list_take(list, target->id))
        write_interface(list->call, target, &subnet, interfaces->xml);
    return !list->more;
}

static bool has_interface(void *context, const struct catalog_mount_target *target)
{
    struct wanted_id *wanted = context;
    wanted->found = strcmp(target->interface_id, wanted->id) == 0;
    return !wanted->found;
}

const struct api_error *ec2_describe_network_interfaces(struct api_call *call, struct xml *xml)
{
    static const char *const known[] = { "network-interface-id", "subnet-id", "vpc-id",
        "availability-zone", "status", "requester-managed", "interface-type", "owner-id",
        "requester-id", "private-ip-address", "addresses.private-ip-address", "description",
        "group-id", NULL };
    struct interface_list interfaces = { .xml = xml };
    const struct api_error *error =
        ec2_list_begin(&interfaces.list, call, "NetworkInterfaceId", known);
    if (error != NULL)
        return error;
    for (unsigned i = 1;; i++) {
        struct wanted_id wanted = { .id = ec2_nth(call, "NetworkInterfaceId", i) };
        if (wanted.id == NULL)
            break;
        catalog_mount_target_each(call->context->catalog, NULL, has_interface, &wanted);
        if (!wanted.found)
            return api_fail(call, API_QUERY_INTERFACE_NOT_FOUND,
                "The networkInterface ID '%.64s' does not exist", wanted.id);
    }
    xml_open(xml, "networkInterfaceSet", NULL);
    catalog_mount_target_each(call->context->catalog, NULL, describe_interface, &interfaces);
    xml_close(xml);
    ec2_list_end(&interfaces.list, xml);
    return NULL;
}

struct group_use {
    const char *id;
    bool is_used;
};

static bool target_uses(void *context, const struct catalog_mount_target *target)
{
    struct group_use *use = context;
    for (size_t i = 0; i < target->security_group_count; i++)
        use->is_used = use->is_used || strcmp(target->security_groups[i], use->id) == 0;
    return !use->is_used;
}

static bool host_uses(void *context, const struct catalog_net *host)
{
    struct group_use *use = context;
    for (size_t i = 0; i < host->group_count; i++)
        use->is_used = use->is_used || strcmp(host->groups[i], use->id) == 0;
    return !use->is_used;
}

static bool rule_uses(void *context, const struct catalog_net *group)
{
    struct group_use *use = context;
    bool is_other = strcmp(group->id, use->id) != 0; /* a group may name itself and be deleted */
    for (size_t i = 0; is_other && i < group->rule_count; i++)
        use->is_used = use->is_used || strcmp(group->rules[i].group_id, use->id) == 0;
    return !use->is_used;
}

bool ec2_group_is_used(const struct catalog *catalog, const char *group_id)
{
    struct group_use use = { .id = group_id };
    catalog_mount_target_each(catalog, NULL, target_uses, &use);
    if (!use.is_used)
        catalog_net_each(catalog, CATALOG_HOST, host_uses, &use);
    if (!use.is_used)
        catalog_net_each(catalog, CATALOG_SECURITY_GROUP, rule_uses, &use);
    return use.is_used;
}
