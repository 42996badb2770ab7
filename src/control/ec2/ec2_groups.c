/*
 * control/ec2/ec2_groups.c - security groups (room: control). Their rules: ec2_rules.c; what they let in: catalog/guard.c.
 * Source: EC2 API, DescribeSecurityGroups, CreateSecurityGroup, DeleteSecurityGroup.
 */
#include <stdio.h>
#include <strings.h>

#include "base/text.h"
#include "control/ec2/ec2_rules.h"

#define GROUPS_MAX     2500 /* EC2: quotas, per region */
#define TEXT_CHARS_MAX 255

static void write_group(struct api_call *call, const struct catalog_net *group, struct xml *xml)
{
    const struct catalog *catalog = call->context->catalog;
    char arn[160];
    (void)snprintf(arn, sizeof arn, "arn:aws:ec2:%s:%s:security-group/%s", catalog_region(catalog),
        catalog_account_id(catalog), group->id);
    xml_element(xml, "ownerId", catalog_account_id(catalog));
    xml_element(xml, "groupId", group->id);
    xml_element(xml, "securityGroupArn", arn);
    xml_element(xml, "groupName", group->name);
    xml_element(xml, "groupDescription", group->description);
    xml_element(xml, "vpcId", group->vpc_id);
    xml_open(xml, "ipPermissions", NULL);
    ec2_write_permissions(call, group, false, xml);
    xml_close(xml);
    xml_open(xml, "ipPermissionsEgress", NULL);
    ec2_write_permissions(call, group, true, xml);
    xml_close(xml);
    ec2_write_tags(xml, &group->tags);
}

struct group_list {
    struct ec2_list list;
    struct xml *xml;
};

/* The filters that look at rules, of one direction. */
static void match_rules(struct ec2_list *list, const struct catalog_net *group)
{
    for (size_t i = 0; i < group->rule_count; i++) {
        const struct catalog_rule *rule = &group->rules[i];
        const char *direction = rule->is_egress ? "egress.ip-permission" : "ip-permission";
        char name[48];
        char text[EC2_CIDR_SIZE];
        (void)snprintf(name, sizeof name, "%s.protocol", direction);
        ec2_list_match(list, name, rule->protocol);
        (void)snprintf(text, sizeof text, "%d", (int)rule->from_port);
        (void)snprintf(name, sizeof name, "%s.from-port", direction);
        ec2_list_match(list, name, text);
        (void)snprintf(text, sizeof text, "%d", (int)rule->to_port);
        (void)snprintf(name, sizeof name, "%s.to-port", direction);
        ec2_list_match(list, name, text);
        (void)snprintf(name, sizeof name, "%s.%s", direction,
            rule->peer == CATALOG_PEER_GROUP  ? "group-id"
            : rule->peer == CATALOG_PEER_IPV6 ? "ipv6-cidr"
                                              : "cidr");
        ec2_format_peer(rule, text);
        ec2_list_match(list, name, text);
    }
}

/* Whether the list GroupName.N is empty or has this name. */
static bool has_wanted_name(const struct api_call *call, const char *group_name)
{
    if (ec2_nth(call, "GroupName", 1) == NULL)
        return true;
    for (unsigned i = 1; ec2_nth(call, "GroupName", i) != NULL; i++) {
        if (strcmp(ec2_nth(call, "GroupName", i), group_name) == 0)
            return true;
    }
    return false;
}

static bool describe_group(void *context, const struct catalog_net *group)
{
    struct group_list *groups = context;
    struct ec2_list *list = &groups->list;
    if (!ec2_list_consider(list, group->id) || !has_wanted_name(list->call, group->name))
        return !list->more;
    ec2_list_match(list, "group-id", group->id);
    ec2_list_match(list, "group-name", group->name);
    ec2_list_match(list, "description", group->description);
    ec2_list_match(list, "vpc-id", group->vpc_id);
    ec2_list_match(list, "owner-id", catalog_account_id(list->call->context->catalog));
    ec2_list_match_tags(list, &group->tags);
    match_rules(list, group);
    if (ec2_list_take(list, group->id)) {
        xml_open(groups->xml, "item", NULL);
        write_group(list->call, group, groups->xml);
        xml_close(groups->xml);
    }
    return !list->more;
}

struct named_group {
    const char *name;
    const char *vpc_id;
    size_t count;             /* of all groups */
    char id[CATALOG_ID_SIZE]; /* empty: none */
};

static bool look_at_name(void *context, const struct catalog_net *group)
{
    struct named_group *wanted = context;
    wanted->count++;
    if (strcmp(group->name, wanted->name) == 0 && strcmp(group->vpc_id, wanted->vpc_id) == 0)
        memcpy(wanted->id, group->id, sizeof wanted->id);
    return true;
}

/* Names are looked up in the default VPC, as EC2 does. */
static struct named_group find_by_name(
    const struct catalog *catalog, const char *name, const char *vpc_id)
{
    struct named_group wanted = { .name = name, .vpc_id = vpc_id };
    catalog_net_each(catalog, CATALOG_SECURITY_GROUP, look_at_name, &wanted);
    return wanted;
}

const struct api_error *ec2_describe_security_groups(struct api_call *call, struct xml *xml)
{
    static const char *const known[] = { "group-id", "group-name", "description", "vpc-id",
        "owner-id", "ip-permission.protocol", "ip-permission.from-port", "ip-permission.to-port",
        "ip-permission.cidr", "ip-permission.ipv6-cidr", "ip-permission.group-id",
        "egress.ip-permission.protocol", "egress.ip-permission.from-port",
        "egress.ip-permission.to-port", "egress.ip-permission.cidr",
        "egress.ip-permission.ipv6-cidr", "egress.ip-permission.group-id", NULL };
    struct group_list groups = { .xml = xml };
    const struct catalog *catalog = call->context->catalog;
    const struct api_error *error =
        ec2_check_ids(call, "GroupId", CATALOG_SECURITY_GROUP, API_QUERY_GROUP_NOT_FOUND);
    for (unsigned i = 1; error == NULL && ec2_nth(call, "GroupName", i) != NULL; i++) {
        const char *name = ec2_nth(call, "GroupName", i);
        if (find_by_name(catalog, name, catalog_network(catalog)->vpc_id).id[0] == '\0')
            error = api_fail(call, API_QUERY_GROUP_NOT_FOUND,
                "The security group '%.64s' does not exist in default VPC", name);
    }
    if (error == NULL)
        error = ec2_list_begin(&groups.list, call, "GroupId", known);
    if (error != NULL)
        return error;
    xml_open(xml, "securityGroupInfo", NULL);
    catalog_net_each(catalog, CATALOG_SECURITY_GROUP, describe_group, &groups);
    xml_close(xml);
    ec2_list_end(&groups.list, xml);
    return NULL;
}

/* EC2: up to 255 letters of ASCII. */
static const struct api_error *check_text(struct api_call *call, const char *name, const char *text)
{
    size_t size = strlen(text);
    for (size_t i = 0; i < size; i++) {
        if ((uint8_t)text[i] < 0x20 || (uint8_t)text[i] >= 0x7f)
            size = TEXT_CHARS_MAX + 1;
    }
    if (size > TEXT_CHARS_MAX)
        return api_fail(call, API_QUERY_INVALID_FILTER,
            "Value for parameter %s is invalid: up to %d characters of ASCII are valid.", name,
            TEXT_CHARS_MAX);
    return NULL;
}

struct new_group {
    struct api_call *call;
    char id[CATALOG_ID_SIZE];
    const char *name;
    const char *description;
    const char *vpc_id;
    struct catalog_tags tags; /* moved into the record */
};

static int make_group(struct catalog_change *change, void *context)
{
    struct new_group *new_group = context;
    struct api_call *call = new_group->call;
    const struct catalog *catalog = call->context->catalog;
    const struct catalog_net *vpc =
        ec2_get(call, CATALOG_VPC, new_group->vpc_id, API_QUERY_VPC_NOT_FOUND);
    if (vpc == NULL)
        return -ECANCELED;
    catalog_net_put(vpc);
    struct named_group existing = find_by_name(catalog, new_group->name, new_group->vpc_id);
    if (existing.id[0] != '\0')
        return api_refuse(call, API_QUERY_GROUP_DUPLICATE,
            "The security group '%.64s' already exists for VPC '%s'", new_group->name,
            new_group->vpc_id);
    if (existing.count >= GROUPS_MAX)
        return api_refuse(call, API_QUERY_GROUP_LIMIT,
            "The maximum number of security groups (%d) has been reached.", GROUPS_MAX);
    struct catalog_net *group = NULL;
    int err = catalog_add_net(change, &group);
    if (err < 0)
        return err;
    group->kind = CATALOG_SECURITY_GROUP;
    group->created_ms = call->now_ms;
    memcpy(group->id, new_group->id, sizeof group->id);
    err = text_copy(group->vpc_id, sizeof group->vpc_id, new_group->vpc_id);
    if (err == 0)
        err = text_copy(group->name, sizeof group->name, new_group->name);
    if (err == 0)
        err = text_copy(group->description, sizeof group->description, new_group->description);
    assert(err == 0); /* checked before */
    group->tags = new_group->tags;
    new_group->tags = (struct catalog_tags){ 0 };
    char rule_id[CATALOG_ID_SIZE];
    api_make_id("sgr", rule_id);
    struct catalog_rule rule = catalog_rule_for_all(true, NULL, rule_id); /* EC2: all may leave */
    return catalog_group_add_rule(group, &rule);
}

static const struct api_error *take_group(struct api_call *call, struct new_group *group)
{
    const struct api_error *error = ec2_required(call, "GroupName", &group->name);
    if (error == NULL)
        error = ec2_required(call, "GroupDescription", &group->description);
    if (error == NULL)
        error = check_text(call, "groupName", group->name);
    if (error == NULL)
        error = check_text(call, "groupDescription", group->description);
    if (error == NULL && strncmp(group->name, "sg-", 3) == 0)
        error = api_fail(call, API_QUERY_INVALID_FILTER,
            "Value (%.64s) for parameter groupName is invalid. Group names may not be in the "
            "format sg-*.",
            group->name);
    if (error == NULL && strcasecmp(group->name, "default") == 0)
        error = api_fail(call, API_QUERY_GROUP_RESERVED,
            "The security group name '%.64s' is reserved.", group->name);
    if (error == NULL)
        error = ec2_take_tag_specification(call, "security-group", &group->tags);
    return error;
}

const struct api_error *ec2_create_security_group(struct api_call *call, struct xml *xml)
{
    struct new_group group = { .call = call };
    api_make_id("sg", group.id);
    group.vpc_id = query_find(&call->query, "VpcId");
    if (group.vpc_id == NULL)
        group.vpc_id = catalog_network(call->context->catalog)->vpc_id;
    const struct api_error *error = take_group(call, &group);
    if (error == NULL)
        error = api_change(call, make_group, &group);
    catalog_tags_fini(&group.tags);
    if (error != NULL)
        return error;
    const struct catalog_net *made =
        ec2_get(call, CATALOG_SECURITY_GROUP, group.id, API_QUERY_GROUP_NOT_FOUND);
    if (made == NULL)
        return call->failure; /* deleted since */
    xml_element(xml, "return", "true");
    xml_element(xml, "groupId", made->id);
    ec2_write_tags(xml, &made->tags);
    catalog_net_put(made);
    return NULL;
}

void ec2_group_by_name(
    const struct catalog *catalog, const char *name, char out_id[CATALOG_ID_SIZE])
{
    const struct named_group named = find_by_name(catalog, name, catalog_network(catalog)->vpc_id);
    memcpy(out_id, named.id, CATALOG_ID_SIZE);
}

const struct catalog_net *ec2_get_group(struct api_call *call)
{
    const struct catalog *catalog = call->context->catalog;
    const char *id = query_find(&call->query, "GroupId");
    const char *name = query_find(&call->query, "GroupName");
    if (id == NULL && name == NULL) {
        (void)api_fail(call, API_QUERY_MISSING_PARAMETER,
            "The request must contain the parameter groupName or groupId");
        return NULL;
    }
    if (id != NULL)
        return ec2_get(call, CATALOG_SECURITY_GROUP, id, API_QUERY_GROUP_NOT_FOUND);
    char named_id[CATALOG_ID_SIZE];
    ec2_group_by_name(catalog, name, named_id);
    if (named_id[0] == '\0') {
        (void)api_fail(call, API_QUERY_GROUP_NOT_FOUND,
            "The security group '%.64s' does not exist in default VPC", name);
        return NULL;
    }
    return ec2_get(call, CATALOG_SECURITY_GROUP, named_id, API_QUERY_GROUP_NOT_FOUND);
}

static int remove_group(struct catalog_change *change, void *context)
{
    struct api_call *call = context;
    const struct catalog_net *group = ec2_get_group(call);
    if (group == NULL)
        return -ECANCELED;
    int err;
    if (group->is_default)
        err = api_refuse(call, API_QUERY_CANNOT_DELETE,
            "the specified group: \"%s\" name: \"default\" cannot be deleted by a user", group->id);
    else if (ec2_group_is_used(call->context->catalog, group->id))
        err = api_refuse(
            call, API_QUERY_DEPENDENCY_VIOLATION, "resource %s has a dependent object", group->id);
    else
        err = catalog_remove_net(change, group->id);
    catalog_net_put(group);
    return err;
}

const struct api_error *ec2_delete_security_group(struct api_call *call, struct xml *xml)
{
    const struct api_error *error = api_change(call, remove_group, call);
    if (error == NULL)
        xml_element(xml, "return", "true");
    return error;
}
