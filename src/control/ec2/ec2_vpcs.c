/*
 * control/ec2/ec2_vpcs.c - VPCs and zones (room: control).
 *
 * Making a VPC makes its default group. The default VPC lies in 127.0.0.0/8, which is local on every Linux machine;
 * the addresses of another have to be made local by whoever runs the machine (docs/compat-api.md).
 * Source: EC2 API, DescribeVpcs, CreateVpc, DeleteVpc, DescribeVpcAttribute, DescribeAvailabilityZones.
 */
#include <stdio.h>

#include "base/text.h"
#include "control/ec2/ec2.h"

#define VPCS_MAX 5 /* EC2: quotas, per region */
#define VPC_PREFIX_MIN \
    8 /* EC2 has /16; our own default is a /12, and a site may want its 10.0.0.0/8 */
#define VPC_PREFIX_MAX 28

static void write_vpc(struct api_call *call, const struct catalog_net *vpc, struct xml *xml)
{
    char cidr[EC2_CIDR_SIZE];
    ec2_format_cidr(vpc->base, vpc->prefix_bits, cidr);
    xml_element(xml, "vpcId", vpc->id);
    xml_element(xml, "ownerId", catalog_account_id(call->context->catalog));
    xml_element(xml, "state", "available");
    xml_element(xml, "cidrBlock", cidr);
    xml_open(xml, "cidrBlockAssociationSet", NULL);
    xml_close(xml);
    xml_element(xml, "dhcpOptionsId", "default");
    xml_element(xml, "instanceTenancy", "default");
    xml_element(xml, "isDefault", vpc->is_default ? "true" : "false");
    ec2_write_tags(xml, &vpc->tags);
}

struct vpc_list {
    struct ec2_list list;
    struct xml *xml;
};

static bool describe_vpc(void *context, const struct catalog_net *vpc)
{
    struct vpc_list *vpcs = context;
    struct ec2_list *list = &vpcs->list;
    char cidr[EC2_CIDR_SIZE];
    if (!ec2_list_consider(list, vpc->id))
        return !list->more;
    const char *is_default = vpc->is_default ? "true" : "false";
    ec2_format_cidr(vpc->base, vpc->prefix_bits, cidr);
    ec2_list_match(list, "vpc-id", vpc->id);
    ec2_list_match(list, "cidr", cidr);
    ec2_list_match(list, "cidr-block", cidr);
    ec2_list_match(list, "state", "available");
    ec2_list_match(list, "is-default", is_default);
    ec2_list_match(list, "isDefault", is_default);
    ec2_list_match(list, "owner-id", catalog_account_id(list->call->context->catalog));
    ec2_list_match_tags(list, &vpc->tags);
    if (ec2_list_take(list, vpc->id)) {
        xml_open(vpcs->xml, "item", NULL);
        write_vpc(list->call, vpc, vpcs->xml);
        xml_close(vpcs->xml);
    }
    return !list->more;
}

const struct api_error *ec2_describe_vpcs(struct api_call *call, struct xml *xml)
{
    static const char *const known[] = { "vpc-id", "cidr", "cidr-block", "state", "is-default",
        "isDefault", "owner-id", NULL };
    struct vpc_list vpcs = { .xml = xml };
    const struct api_error *error =
        ec2_check_ids(call, "VpcId", CATALOG_VPC, API_QUERY_VPC_NOT_FOUND);
    if (error == NULL)
        error = ec2_list_begin(&vpcs.list, call, "VpcId", known);
    if (error != NULL)
        return error;
    xml_open(xml, "vpcSet", NULL);
    catalog_net_each(call->context->catalog, CATALOG_VPC, describe_vpc, &vpcs);
    xml_close(xml);
    ec2_list_end(&vpcs.list, xml);
    return NULL;
}

struct new_vpc {
    struct api_call *call;
    char id[CATALOG_ID_SIZE];
    struct in_addr base;
    unsigned prefix_bits;
    struct catalog_tags tags; /* moved into the record */
};

static int make_default_group(struct catalog_change *change, const struct new_vpc *new_vpc)
{
    struct catalog_net *group = NULL;
    char rule_id[CATALOG_ID_SIZE];
    int err = catalog_add_net(change, &group);
    if (err < 0)
        return err;
    group->kind = CATALOG_SECURITY_GROUP;
    group->is_default = true;
    group->created_ms = new_vpc->call->now_ms;
    api_make_id("sg", group->id);
    memcpy(group->vpc_id, new_vpc->id, sizeof group->vpc_id);
    err = text_copy(group->name, sizeof group->name, "default");
    if (err == 0)
        err =
            text_copy(group->description, sizeof group->description, "default VPC security group");
    assert(err == 0); /* they fit */
    api_make_id("sgr", rule_id);
    struct catalog_rule rule = catalog_rule_for_all(false, group->id, rule_id);
    err = catalog_group_add_rule(group, &rule);
    api_make_id("sgr", rule_id);
    rule = catalog_rule_for_all(true, NULL, rule_id);
    return err < 0 ? err : catalog_group_add_rule(group, &rule);
}

static int make_vpc(struct catalog_change *change, void *context)
{
    struct new_vpc *new_vpc = context;
    const struct catalog_net *vpcs[VPCS_MAX];
    size_t count =
        catalog_net_list(new_vpc->call->context->catalog, CATALOG_VPC, "", VPCS_MAX, vpcs);
    for (size_t i = 0; i < count; i++)
        catalog_net_put(vpcs[i]);
    if (count == VPCS_MAX)
        return api_refuse(new_vpc->call, API_QUERY_VPC_LIMIT,
            "The maximum number of VPCs (%d) has been reached.", VPCS_MAX);
    struct catalog_net *vpc = NULL;
    int err = catalog_add_net(change, &vpc);
    if (err < 0)
        return err;
    vpc->kind = CATALOG_VPC;
    memcpy(vpc->id, new_vpc->id, sizeof vpc->id);
    vpc->created_ms = new_vpc->call->now_ms;
    vpc->base = new_vpc->base;
    vpc->prefix_bits = new_vpc->prefix_bits;
    vpc->tags = new_vpc->tags;
    new_vpc->tags = (struct catalog_tags){ 0 };
    return make_default_group(change, new_vpc);
}

const struct api_error *ec2_create_vpc(struct api_call *call, struct xml *xml)
{
    struct new_vpc new_vpc = { .call = call };
    const char *cidr = NULL;
    api_make_id("vpc", new_vpc.id);
    const struct api_error *error = ec2_required(call, "CidrBlock", &cidr);
    if (error == NULL && ec2_parse_cidr(cidr, &new_vpc.base, &new_vpc.prefix_bits) < 0)
        error = api_fail(call, API_QUERY_INVALID_FILTER,
            "Value (%.64s) for parameter cidrBlock is invalid. This is not a valid CIDR block.",
            cidr);
    if (error == NULL &&
        (new_vpc.prefix_bits < VPC_PREFIX_MIN || new_vpc.prefix_bits > VPC_PREFIX_MAX))
        error = api_fail(call, API_QUERY_VPC_RANGE,
            "The CIDR '%.64s' is invalid: its prefix must be from /%d to /%d.", cidr,
            VPC_PREFIX_MIN, VPC_PREFIX_MAX);
    if (error == NULL)
        error = ec2_take_tag_specification(call, "vpc", &new_vpc.tags);
    if (error == NULL)
        error = api_change(call, make_vpc, &new_vpc);
    catalog_tags_fini(&new_vpc.tags);
    if (error != NULL)
        return error;
    const struct catalog_net *vpc = ec2_get(call, CATALOG_VPC, new_vpc.id, API_QUERY_VPC_NOT_FOUND);
    if (vpc == NULL)
        return call->failure; /* deleted since */
    xml_open(xml, "vpc", NULL);
    write_vpc(call, vpc, xml);
    xml_close(xml);
    catalog_net_put(vpc);
    return NULL;
}

/* What still hangs on a VPC. */
struct vpc_use {
    const char *vpc_id;
    bool is_used;
    char default_group_id[CATALOG_ID_SIZE];
};

static bool look_at_subnet(void *context, const struct catalog_net *subnet)
{
    struct vpc_use *use = context;
    use->is_used = strcmp(subnet->vpc_id, use->vpc_id) == 0;
    return !use->is_used;
}

static bool look_at_group(void *context, const struct catalog_net *group)
{
    struct vpc_use *use = context;
    if (strcmp(group->vpc_id, use->vpc_id) != 0)
        return true;
    if (group->is_default)
        memcpy(use->default_group_id, group->id, sizeof use->default_group_id);
    else
        use->is_used = true;
    return true;
}

static int remove_vpc(struct catalog_change *change, void *context)
{
    struct api_call *call = context;
    const struct catalog *catalog = call->context->catalog;
    struct vpc_use use = { .vpc_id = query_find(&call->query, "VpcId") };
    const struct catalog_net *vpc = ec2_get(call, CATALOG_VPC, use.vpc_id, API_QUERY_VPC_NOT_FOUND);
    if (vpc == NULL)
        return -ECANCELED;
    bool is_default = vpc->is_default;
    catalog_net_put(vpc);
    if (is_default)
        return api_refuse(call, API_QUERY_NOT_PERMITTED,
            "The default VPC cannot be deleted in Shoal: the default mount targets are in it.");
    catalog_net_each(catalog, CATALOG_SUBNET, look_at_subnet, &use);
    if (!use.is_used)
        catalog_net_each(catalog, CATALOG_SECURITY_GROUP, look_at_group, &use);
    if (use.is_used || ec2_group_is_used(catalog, use.default_group_id))
        return api_refuse(call, API_QUERY_DEPENDENCY_VIOLATION,
            "The vpc '%.64s' has dependencies and cannot be deleted.", use.vpc_id);
    int err = catalog_remove_net(change, use.default_group_id);
    return err < 0 ? err : catalog_remove_net(change, use.vpc_id);
}

const struct api_error *ec2_delete_vpc(struct api_call *call, struct xml *xml)
{
    const char *id;
    const struct api_error *error = ec2_required(call, "VpcId", &id);
    if (error == NULL)
        error = api_change(call, remove_vpc, call);
    if (error == NULL)
        xml_element(xml, "return", "true");
    return error;
}

/* What EC2 gives a VPC when it is made; Terraform reads them of every VPC. Nothing here can alter them. */
const struct api_error *ec2_describe_vpc_attribute(struct api_call *call, struct xml *xml)
{
    const char *id = NULL;
    const char *attribute = NULL;
    const struct api_error *error = ec2_required(call, "VpcId", &id);
    if (error == NULL)
        error = ec2_required(call, "Attribute", &attribute);
    if (error != NULL)
        return error;
    const struct catalog_net *vpc = ec2_get(call, CATALOG_VPC, id, API_QUERY_VPC_NOT_FOUND);
    if (vpc == NULL)
        return call->failure;
    const struct {
        const char *name;
        bool value;
    } attributes[] = { { "enableDnsSupport", true }, { "enableDnsHostnames", vpc->is_default },
        { "enableNetworkAddressUsageMetrics", false } };
    size_t i = 0;
    while (i < ARRAY_SIZE(attributes) && strcmp(attributes[i].name, attribute) != 0)
        i++;
    if (i < ARRAY_SIZE(attributes)) {
        xml_element(xml, "vpcId", vpc->id);
        xml_open(xml, attributes[i].name, NULL);
        xml_element(xml, "value", attributes[i].value ? "true" : "false");
        xml_close(xml);
    } else {
        error = api_fail(call, API_QUERY_INVALID_FILTER,
            "Value (%.64s) for parameter attribute is invalid. Unknown attribute.", attribute);
    }
    catalog_net_put(vpc);
    return error;
}

static void write_zone(struct api_call *call, const struct catalog_zone *zone, struct xml *xml)
{
    const char *region = catalog_region(call->context->catalog);
    xml_open(xml, "item", NULL);
    xml_element(xml, "zoneName", zone->name);
    xml_element(xml, "zoneId", zone->id);
    xml_element(xml, "zoneState", "available");
    xml_element(xml, "regionName", region);
    xml_element(xml, "groupName", region);
    xml_element(xml, "networkBorderGroup", region);
    xml_element(xml, "optInStatus", "opt-in-not-required");
    xml_element(xml, "zoneType", "availability-zone");
    xml_open(xml, "messageSet", NULL);
    xml_close(xml);
    xml_close(xml);
}

/* Whether the list `prefix`.N, when there is one, names a zone that is none. */
static const struct api_error *check_zones(struct api_call *call, const char *prefix)
{
    const struct catalog_network *network = catalog_network(call->context->catalog);
    for (unsigned i = 1;; i++) {
        const char *wanted = ec2_nth(call, prefix, i);
        size_t k = 0;
        if (wanted == NULL)
            return NULL;
        while (k < network->zone_count && strcmp(network->zones[k].name, wanted) != 0 &&
               strcmp(network->zones[k].id, wanted) != 0)
            k++;
        if (k == network->zone_count)
            return api_fail(
                call, API_QUERY_INVALID_FILTER, "Invalid availability zone: [%.64s]", wanted);
    }
}

const struct api_error *ec2_describe_availability_zones(struct api_call *call, struct xml *xml)
{
    static const char *const known[] = { "zone-name", "zone-id", "region-name", "state",
        "zone-type", "opt-in-status", "group-name", NULL };
    const struct catalog_network *network = catalog_network(call->context->catalog);
    bool by_id = query_find(&call->query, "ZoneId.1") != NULL;
    struct ec2_list list;
    const struct api_error *error = check_zones(call, "ZoneName");
    if (error == NULL)
        error = check_zones(call, "ZoneId");
    if (error == NULL)
        error = ec2_list_begin(&list, call, by_id ? "ZoneId" : "ZoneName", known);
    if (error != NULL)
        return error;
    xml_open(xml, "availabilityZoneInfo", NULL);
    for (size_t i = 0; i < network->zone_count; i++) {
        const struct catalog_zone *zone = &network->zones[i];
        if (!ec2_list_consider(&list, by_id ? zone->id : zone->name))
            continue;
        ec2_list_match(&list, "zone-name", zone->name);
        ec2_list_match(&list, "zone-id", zone->id);
        ec2_list_match(&list, "region-name", catalog_region(call->context->catalog));
        ec2_list_match(&list, "group-name", catalog_region(call->context->catalog));
        ec2_list_match(&list, "state", "available");
        ec2_list_match(&list, "zone-type", "availability-zone");
        ec2_list_match(&list, "opt-in-status", "opt-in-not-required");
        if (ec2_list_take(&list, zone->name))
            write_zone(call, zone, xml);
    }
    xml_close(xml);
    return NULL;
}
