/*
 * control/ec2.c - the network as EC2 shows it: CreateMountTarget asks for a subnet, and this is where its id is found
 * (room: control). Source: EC2 API, DescribeVpcs, DescribeSubnets, DescribeAvailabilityZones, DescribeSecurityGroups.
 */
#include <arpa/inet.h>
#include <stdio.h>

#include "control/query_service.h"

#define LIST_MAX   200 /* ids or values of one filter */
#define FILTER_MAX 50

/* Something that is described: what its filters can look at. */
struct attribute {
    const char *name;
    char value[128];
};

static void format_cidr(struct in_addr base, unsigned prefix_bits, char *to, size_t size)
{
    char text[INET_ADDRSTRLEN] = "";
    (void)inet_ntop(AF_INET, &base, text, sizeof text); /* the buffer is large enough */
    (void)snprintf(to, size, "%s/%u", text, prefix_bits);
}

/* Whether `value` equals the pattern, in which * stands for anything and ? for one letter, as in EC2's filters. */
static bool matches_pattern(const char *pattern, const char *value)
{
    const char *star = NULL; /* the last one, and where it stopped */
    const char *resume = value;
    while (*value != '\0') {
        if (*pattern == *value || *pattern == '?') {
            pattern++;
            value++;
        } else if (*pattern == '*') {
            star = pattern++;
            resume = value;
        } else if (star != NULL) {
            pattern = star + 1;
            value = ++resume;
        } else {
            return false;
        }
    }
    while (*pattern == '*')
        pattern++;
    return *pattern == '\0';
}

/* Whether one of Filter.N.Value.1, .2, .. fits. */
static bool one_value_matches(const struct api_call *call, unsigned filter, const char *value)
{
    for (unsigned i = 1; i <= LIST_MAX; i++) {
        char name[48];
        (void)snprintf(name, sizeof name, "Filter.%u.Value.%u", filter, i);
        const char *pattern = query_find(&call->query, name);
        if (pattern == NULL)
            return false;
        if (matches_pattern(pattern, value))
            return true;
    }
    return false;
}

/* Whether the thing passes all filters. An unknown filter is an error, in call->failure. */
static bool passes_filters(
    struct api_call *call, const struct attribute *attributes, size_t attribute_count)
{
    for (unsigned filter = 1; filter <= FILTER_MAX; filter++) {
        char key[32];
        (void)snprintf(key, sizeof key, "Filter.%u.Name", filter);
        const char *name = query_find(&call->query, key);
        if (name == NULL)
            return true;
        size_t i = 0;
        while (i < attribute_count && strcmp(attributes[i].name, name) != 0)
            i++;
        if (i == attribute_count && strncmp(name, "tag", 3) == 0)
            return false; /* nothing here has tags */
        if (i == attribute_count) {
            (void)api_fail(call, API_QUERY_INVALID_FILTER, "The filter '%.64s' is invalid", name);
            return false;
        }
        if (!one_value_matches(call, filter, attributes[i].value))
            return false;
    }
    return true;
}

/* Whether the list `prefix`.1, .2, .. is empty or has `value`. */
static bool is_wanted(const struct api_call *call, const char *prefix, const char *value)
{
    for (unsigned i = 1; i <= LIST_MAX; i++) {
        char name[48];
        (void)snprintf(name, sizeof name, "%s.%u", prefix, i);
        const char *wanted = query_find(&call->query, name);
        if (wanted == NULL)
            return i == 1;
        if (strcmp(wanted, value) == 0)
            return true;
    }
    return false;
}

static void write_vpc(const struct catalog_network *network, const char *account_id,
    const char *cidr, struct xml *xml)
{
    xml_open(xml, "item", NULL);
    xml_element(xml, "vpcId", network->vpc_id);
    xml_element(xml, "ownerId", account_id);
    xml_element(xml, "state", "available");
    xml_element(xml, "cidrBlock", cidr);
    xml_open(xml, "cidrBlockAssociationSet", NULL);
    xml_close(xml);
    xml_element(xml, "dhcpOptionsId", "default");
    xml_element(xml, "instanceTenancy", "default");
    xml_element(xml, "isDefault", "true");
    xml_close(xml);
}

const struct api_error *ec2_describe_vpcs(struct api_call *call, struct xml *xml)
{
    const struct catalog *catalog = call->context->catalog;
    const struct catalog_network *network = catalog_network(catalog);
    const char *wanted = query_find(&call->query, "VpcId.1");
    if (wanted != NULL && !is_wanted(call, "VpcId", network->vpc_id))
        return api_fail(call, API_QUERY_VPC_NOT_FOUND, "The vpc ID '%.64s' does not exist", wanted);
    struct attribute attributes[] = {
        { .name = "vpc-id" },
        { .name = "cidr" },
        { .name = "state", .value = "available" },
        { .name = "is-default", .value = "true" },
        { .name = "isDefault", .value = "true" },
        { .name = "owner-id" },
    };
    (void)snprintf(attributes[0].value, sizeof attributes[0].value, "%s", network->vpc_id);
    format_cidr(
        network->base, network->prefix_bits, attributes[1].value, sizeof attributes[1].value);
    (void)snprintf(
        attributes[5].value, sizeof attributes[5].value, "%s", catalog_account_id(catalog));
    xml_open(xml, "vpcSet", NULL);
    if (passes_filters(call, attributes, ARRAY_SIZE(attributes)))
        write_vpc(network, catalog_account_id(catalog), attributes[1].value, xml);
    xml_close(xml);
    return call->failure;
}

static void write_subnet(const struct api_call *call, const struct catalog_subnet *subnet,
    const char *cidr, struct xml *xml)
{
    const struct catalog *catalog = call->context->catalog;
    char text[256];
    xml_open(xml, "item", NULL);
    xml_element(xml, "subnetId", subnet->id);
    (void)snprintf(text, sizeof text, "arn:aws:ec2:%s:%s:subnet/%s", catalog_region(catalog),
        catalog_account_id(catalog), subnet->id);
    xml_element(xml, "subnetArn", text);
    xml_element(xml, "state", "available");
    xml_element(xml, "ownerId", catalog_account_id(catalog));
    xml_element(xml, "vpcId", catalog_network(catalog)->vpc_id);
    xml_element(xml, "cidrBlock", cidr);
    xml_open(xml, "ipv6CidrBlockAssociationSet", NULL);
    xml_close(xml);
    (void)snprintf(text, sizeof text, "%u", catalog_subnet_free_count(catalog, subnet));
    xml_element(xml, "availableIpAddressCount", text);
    xml_element(xml, "availabilityZone", subnet->zone->name);
    xml_element(xml, "availabilityZoneId", subnet->zone->id);
    xml_element(xml, "defaultForAz", "true");
    xml_element(xml, "mapPublicIpOnLaunch", "false");
    xml_element(xml, "assignIpv6AddressOnCreation", "false");
    xml_close(xml);
}

const struct api_error *ec2_describe_subnets(struct api_call *call, struct xml *xml)
{
    const struct catalog *catalog = call->context->catalog;
    const struct catalog_network *network = catalog_network(catalog);
    for (unsigned i = 1; i <= LIST_MAX; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "SubnetId.%u", i);
        const char *id = query_find(&call->query, name);
        if (id == NULL)
            break;
        if (catalog_subnet_find(network, id) == NULL)
            return api_fail(
                call, API_QUERY_SUBNET_NOT_FOUND, "The subnet ID '%.64s' does not exist", id);
    }
    xml_open(xml, "subnetSet", NULL);
    for (size_t i = 0; i < network->zone_count; i++) {
        const struct catalog_subnet *subnet = &network->subnets[i];
        char cidr[64];
        format_cidr(subnet->base, subnet->prefix_bits, cidr, sizeof cidr);
        const struct {
            const char *name;
            const char *value;
        } values[] = {
            { "subnet-id", subnet->id },
            { "vpc-id", network->vpc_id },
            { "availability-zone", subnet->zone->name },
            { "availabilityZone", subnet->zone->name },
            { "availability-zone-id", subnet->zone->id },
            { "cidr-block", cidr },
            { "state", "available" },
            { "default-for-az", "true" },
            { "owner-id", catalog_account_id(catalog) },
        };
        struct attribute attributes[ARRAY_SIZE(values)];
        for (size_t j = 0; j < ARRAY_SIZE(values); j++) {
            attributes[j].name = values[j].name;
            (void)snprintf(attributes[j].value, sizeof attributes[j].value, "%s", values[j].value);
        }
        if (is_wanted(call, "SubnetId", subnet->id) &&
            passes_filters(call, attributes, ARRAY_SIZE(attributes)))
            write_subnet(call, subnet, cidr, xml);
    }
    xml_close(xml);
    return call->failure;
}

const struct api_error *ec2_describe_availability_zones(struct api_call *call, struct xml *xml)
{
    const struct catalog *catalog = call->context->catalog;
    const struct catalog_network *network = catalog_network(catalog);
    xml_open(xml, "availabilityZoneInfo", NULL);
    for (size_t i = 0; i < network->zone_count; i++) {
        const struct catalog_zone *zone = &network->zones[i];
        struct attribute attributes[] = {
            { .name = "zone-name" },
            { .name = "zone-id" },
            { .name = "region-name" },
            { .name = "state", .value = "available" },
            { .name = "zone-type", .value = "availability-zone" },
            { .name = "opt-in-status", .value = "opt-in-not-required" },
        };
        (void)snprintf(attributes[0].value, sizeof attributes[0].value, "%s", zone->name);
        (void)snprintf(attributes[1].value, sizeof attributes[1].value, "%s", zone->id);
        (void)snprintf(
            attributes[2].value, sizeof attributes[2].value, "%s", catalog_region(catalog));
        if (!is_wanted(call, "ZoneName", zone->name) || !is_wanted(call, "ZoneId", zone->id) ||
            !passes_filters(call, attributes, ARRAY_SIZE(attributes)))
            continue;
        xml_open(xml, "item", NULL);
        xml_element(xml, "zoneName", zone->name);
        xml_element(xml, "zoneId", zone->id);
        xml_element(xml, "zoneState", "available");
        xml_element(xml, "regionName", catalog_region(catalog));
        xml_element(xml, "groupName", catalog_region(catalog));
        xml_element(xml, "networkBorderGroup", catalog_region(catalog));
        xml_element(xml, "optInStatus", "opt-in-not-required");
        xml_element(xml, "zoneType", "availability-zone");
        xml_open(xml, "messageSet", NULL);
        xml_close(xml);
        xml_close(xml);
    }
    xml_close(xml);
    return call->failure;
}

const struct api_error *ec2_describe_security_groups(struct api_call *call, struct xml *xml)
{
    const struct catalog *catalog = call->context->catalog;
    const struct catalog_network *network = catalog_network(catalog);
    const char *wanted = query_find(&call->query, "GroupId.1");
    if (wanted != NULL && !is_wanted(call, "GroupId", network->security_group_id))
        return api_fail(
            call, API_QUERY_GROUP_NOT_FOUND, "The security group '%.64s' does not exist", wanted);
    struct attribute attributes[] = {
        { .name = "group-id" },
        { .name = "group-name", .value = "default" },
        { .name = "vpc-id" },
    };
    (void)snprintf(
        attributes[0].value, sizeof attributes[0].value, "%s", network->security_group_id);
    (void)snprintf(attributes[2].value, sizeof attributes[2].value, "%s", network->vpc_id);
    xml_open(xml, "securityGroupInfo", NULL);
    if (passes_filters(call, attributes, ARRAY_SIZE(attributes))) {
        xml_open(xml, "item", NULL);
        xml_element(xml, "ownerId", catalog_account_id(catalog));
        xml_element(xml, "groupId", network->security_group_id);
        xml_element(xml, "groupName", "default");
        xml_element(xml, "groupDescription", "default VPC security group");
        xml_element(xml, "vpcId", network->vpc_id);
        xml_open(xml, "ipPermissions", NULL);
        xml_close(xml);
        xml_open(xml, "ipPermissionsEgress", NULL);
        xml_close(xml);
        xml_close(xml);
    }
    xml_close(xml);
    return call->failure;
}
