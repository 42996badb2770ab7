/*
 * control/ec2/ec2_rules.c - rules of security groups: asking, allowing, revoking (room: control).
 * Source: EC2 API, AuthorizeSecurityGroupIngress, AuthorizeSecurityGroupEgress, RevokeSecurityGroupIngress,
 * RevokeSecurityGroupEgress, DescribeSecurityGroupRules, IpPermission.
 */
#include "control/ec2/ec2_rules.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "base/text.h"

#define RULES_PER_DIRECTION_MAX 60 /* EC2: quotas, per group and direction */
#define PERMISSIONS_MAX         50 /* of one call */

void ec2_format_peer(const struct catalog_rule *rule, char out_text[EC2_CIDR_SIZE])
{
    char base[INET6_ADDRSTRLEN] = "";
    if (rule->peer == CATALOG_PEER_GROUP) {
        (void)snprintf(out_text, EC2_CIDR_SIZE, "%s", rule->group_id);
        return;
    }
    (void)inet_ntop(rule->peer == CATALOG_PEER_IPV6 ? AF_INET6 : AF_INET, &rule->base, base,
        sizeof base); /* the buffer is large enough */
    (void)snprintf(out_text, EC2_CIDR_SIZE, "%s/%u", base, rule->prefix_bits);
}

static bool has_same_ports(const struct catalog_rule *a, const struct catalog_rule *b)
{
    return a->is_egress == b->is_egress && a->from_port == b->from_port &&
           a->to_port == b->to_port && strcmp(a->protocol, b->protocol) == 0;
}

static bool is_same_rule(const struct catalog_rule *a, const struct catalog_rule *b)
{
    return has_same_ports(a, b) && a->peer == b->peer && a->prefix_bits == b->prefix_bits &&
           memcmp(&a->base, &b->base, sizeof a->base) == 0 && strcmp(a->group_id, b->group_id) == 0;
}

static void write_ports(const struct catalog_rule *rule, struct xml *xml)
{
    xml_element(xml, "ipProtocol", rule->protocol);
    if (strcmp(rule->protocol, "-1") == 0)
        return;
    ec2_write_number(xml, "fromPort", rule->from_port);
    ec2_write_number(xml, "toPort", rule->to_port);
}

/* Those of one kind of peer with the ports of the rule at `first`. */
static void write_peers(struct api_call *call, const struct catalog_net *group, size_t first,
    enum catalog_peer_kind kind, struct xml *xml)
{
    static const char *const sets[] = { "ipRanges", "ipv6Ranges", "groups" };
    static const char *const names[] = { "cidrIp", "cidrIpv6", "groupId" };
    xml_open(xml, sets[kind], NULL);
    for (size_t i = first; i < group->rule_count; i++) {
        const struct catalog_rule *rule = &group->rules[i];
        char text[EC2_CIDR_SIZE];
        if (rule->peer != kind || !has_same_ports(rule, &group->rules[first]))
            continue;
        xml_open(xml, "item", NULL);
        if (kind == CATALOG_PEER_GROUP)
            xml_element(xml, "userId", catalog_account_id(call->context->catalog));
        ec2_format_peer(rule, text);
        xml_element(xml, names[kind], text);
        if (rule->description[0] != '\0')
            xml_element(xml, "description", rule->description);
        xml_close(xml);
    }
    xml_close(xml);
}

void ec2_write_permissions(
    struct api_call *call, const struct catalog_net *group, bool is_egress, struct xml *xml)
{
    for (size_t i = 0; i < group->rule_count; i++) {
        const struct catalog_rule *rule = &group->rules[i];
        bool was_written = rule->is_egress != is_egress;
        for (size_t k = 0; k < i && !was_written; k++)
            was_written = has_same_ports(&group->rules[k], rule);
        if (was_written)
            continue;
        xml_open(xml, "item", NULL);
        write_ports(rule, xml);
        write_peers(call, group, i, CATALOG_PEER_GROUP, xml);
        write_peers(call, group, i, CATALOG_PEER_IPV4, xml);
        write_peers(call, group, i, CATALOG_PEER_IPV6, xml);
        xml_open(xml, "prefixListIds", NULL);
        xml_close(xml);
        xml_close(xml);
    }
}

/* The rules that a call names. */
struct rules {
    struct api_call *call;
    const char *group_id;
    const char *vpc_id;
    bool is_egress;
    size_t count;
    struct catalog_rule items[CATALOG_GROUP_RULES_MAX];
};

static const struct api_error *take_protocol(
    struct api_call *call, const char *text, struct catalog_rule *rule)
{
    static const char *const names[][2] = { { "6", "tcp" }, { "17", "udp" }, { "1", "icmp" },
        { "58", "icmpv6" }, { "all", "-1" } };
    uint64_t number;
    const char *name = text;
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        if (strcasecmp(text, names[i][0]) == 0 || strcasecmp(text, names[i][1]) == 0)
            name = names[i][1];
    }
    bool is_named = false;
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        is_named = is_named || name == names[i][1];
    if (!is_named && text_parse_u64(text, 255, &number) < 0)
        return api_fail(call, API_QUERY_INVALID_FILTER,
            "Invalid value '%.32s' for IP protocol. Unknown protocol.", text);
    int err = text_copy(rule->protocol, sizeof rule->protocol, name);
    assert(err == 0); /* a name, or a number of three digits */
    return NULL;
}

/* -1 to 65535; CATALOG_PORT_NONE when it is not there. */
static const struct api_error *take_port(struct api_call *call, const char *name, int32_t *out_port)
{
    const char *text = query_find(&call->query, name);
    uint64_t number;
    *out_port = CATALOG_PORT_NONE;
    if (text == NULL || strcmp(text, "-1") == 0)
        return NULL;
    if (text_parse_u64(text, UINT16_MAX, &number) < 0)
        return api_fail(
            call, API_QUERY_INVALID_FILTER, "Invalid value '%.32s' for portRange.", text);
    *out_port = (int32_t)number;
    return NULL;
}

/* Protocol and ports below `prefix` ("IpPermissions.1."). */
static const struct api_error *take_ports(
    struct api_call *call, const char *prefix, struct catalog_rule *rule)
{
    char name[64];
    const char *protocol = NULL;
    (void)snprintf(name, sizeof name, "%sIpProtocol", prefix);
    const struct api_error *error = ec2_required(call, name, &protocol);
    if (error == NULL)
        error = take_protocol(call, protocol, rule);
    if (error != NULL)
        return error;
    (void)snprintf(name, sizeof name, "%sFromPort", prefix);
    error = take_port(call, name, &rule->from_port);
    (void)snprintf(name, sizeof name, "%sToPort", prefix);
    if (error == NULL)
        error = take_port(call, name, &rule->to_port);
    if (error != NULL)
        return error;
    bool has_ports = strcmp(rule->protocol, "tcp") == 0 || strcmp(rule->protocol, "udp") == 0;
    bool is_icmp = strncmp(rule->protocol, "icmp", 4) == 0;
    if (!has_ports && !is_icmp) { /* EC2: all ports, whatever is given */
        rule->from_port = CATALOG_PORT_NONE;
        rule->to_port = CATALOG_PORT_NONE;
    }
    if (has_ports && rule->from_port == CATALOG_PORT_NONE && rule->to_port == CATALOG_PORT_NONE) {
        (void)snprintf(name, sizeof name, "%sFromPort", prefix);
        if (query_find(&call->query, name) == NULL)
            return api_fail(call, API_QUERY_INVALID_FILTER,
                "Invalid value 'Must specify both from and to ports with TCP/UDP.' for "
                "portRange.");
        rule->from_port = 0; /* -1 stands for all */
        rule->to_port = UINT16_MAX;
    }
    if (has_ports && (rule->from_port < 0 || rule->to_port < rule->from_port))
        return api_fail(call, API_QUERY_INVALID_FILTER, "Invalid TCP/UDP port range (%d:%d)",
            (int)rule->from_port, (int)rule->to_port);
    return NULL;
}

static const struct api_error *take_ipv6(
    struct api_call *call, const char *text, struct catalog_rule *rule)
{
    char base[INET6_ADDRSTRLEN];
    const char *slash = strchr(text, '/');
    size_t size = slash != NULL ? (size_t)(slash - text) : sizeof base;
    uint64_t bits = 0;
    rule->peer = CATALOG_PEER_IPV6;
    bool ok = size < sizeof base && text_parse_u64(slash + 1, 128, &bits) == 0;
    if (ok) {
        memcpy(base, text, size);
        base[size] = '\0';
        ok = inet_pton(AF_INET6, base, &rule->base) == 1;
    }
    if (!ok)
        return api_fail(call, API_QUERY_INVALID_FILTER, "CIDR block %.64s is malformed", text);
    rule->prefix_bits = (unsigned)bits;
    for (unsigned i = 0; i < 128; i++) {
        if (i >= bits)
            rule->base.s6_addr[i / 8] &= (uint8_t) ~(0x80 >> (i % 8));
    }
    return NULL;
}

static const struct api_error *take_peer(
    struct api_call *call, enum catalog_peer_kind kind, const char *text, struct catalog_rule *rule)
{
    rule->peer = kind;
    if (kind == CATALOG_PEER_IPV6)
        return take_ipv6(call, text, rule);
    if (kind == CATALOG_PEER_IPV4) {
        struct in_addr base;
        if (ec2_parse_cidr(text, &base, &rule->prefix_bits) < 0)
            return api_fail(call, API_QUERY_INVALID_FILTER, "CIDR block %.64s is malformed", text);
        memcpy(&rule->base, &base, sizeof base);
        return NULL;
    }
    const struct catalog_net *group =
        ec2_get(call, CATALOG_SECURITY_GROUP, text, API_QUERY_GROUP_NOT_FOUND);
    if (group == NULL)
        return call->failure;
    memcpy(rule->group_id, group->id, sizeof rule->group_id);
    catalog_net_put(group);
    return NULL;
}

static const struct api_error *add_rule(struct rules *rules, const struct catalog_rule *rule)
{
    for (size_t i = 0; i < rules->count; i++) {
        if (is_same_rule(&rules->items[i], rule))
            return api_fail(rules->call, API_QUERY_INVALID_FILTER,
                "The same permission must not appear multiple times");
    }
    if (rules->count == ARRAY_SIZE(rules->items))
        return api_fail(rules->call, API_QUERY_RULES_LIMIT,
            "The maximum number of rules per security group has been reached.");
    rules->items[rules->count++] = *rule;
    return NULL;
}

/* The peers of one kind below `prefix` ("IpPermissions.1."). */
static const struct api_error *take_peers(struct rules *rules, const char *prefix,
    enum catalog_peer_kind kind, const struct catalog_rule *ports)
{
    static const char *const names[][2] = { { "IpRanges", "CidrIp" }, { "Ipv6Ranges", "CidrIpv6" },
        { "Groups", "GroupId" } };
    struct api_call *call = rules->call;
    for (unsigned i = 1; i <= CATALOG_GROUP_RULES_MAX; i++) {
        struct catalog_rule rule = *ports;
        char name[96];
        (void)snprintf(name, sizeof name, "%s%s.%u.%s", prefix, names[kind][0], i, names[kind][1]);
        const char *value = query_find(&call->query, name);
        if (value == NULL)
            return NULL;
        (void)snprintf(name, sizeof name, "%s%s.%u.Description", prefix, names[kind][0], i);
        const char *description = query_find(&call->query, name);
        if (description != NULL &&
            text_copy(rule.description, sizeof rule.description, description) < 0)
            return api_fail(call, API_QUERY_INVALID_FILTER,
                "Invalid rule description: it has more than 255 characters.");
        const struct api_error *error = take_peer(call, kind, value, &rule);
        if (error == NULL)
            error = add_rule(rules, &rule);
        if (error != NULL)
            return error;
    }
    return NULL;
}

/* The short form of one rule: CidrIp, or SourceSecurityGroupName of the default VPC. */
static const struct api_error *take_short_form(struct rules *rules)
{
    struct api_call *call = rules->call;
    const char *cidr = query_find(&call->query, "CidrIp");
    const char *source = query_find(&call->query, "SourceSecurityGroupName");
    struct catalog_rule rule = { .is_egress = rules->is_egress };
    if (cidr == NULL && source == NULL)
        return api_fail(call, API_QUERY_MISSING_PARAMETER,
            "The request must contain the parameter ipPermissions, cidrIp or "
            "sourceSecurityGroupName");
    if (source != NULL)
        return api_fail(call, API_QUERY_INVALID_FILTER,
            "Name the source group by its id, in IpPermissions: names are not unique over VPCs.");
    const struct api_error *error = take_ports(call, "", &rule);
    if (error == NULL)
        error = take_peer(call, CATALOG_PEER_IPV4, cidr, &rule);
    return error != NULL ? error : add_rule(rules, &rule);
}

static const struct api_error *take_rules(struct rules *rules)
{
    struct api_call *call = rules->call;
    for (unsigned i = 1; i <= PERMISSIONS_MAX; i++) {
        struct catalog_rule ports = { .is_egress = rules->is_egress };
        char prefix[32];
        char name[64];
        (void)snprintf(prefix, sizeof prefix, "IpPermissions.%u.", i);
        (void)snprintf(name, sizeof name, "%sIpProtocol", prefix);
        if (query_find(&call->query, name) == NULL)
            break;
        size_t before = rules->count;
        const struct api_error *error = take_ports(call, prefix, &ports);
        for (int kind = CATALOG_PEER_IPV4; error == NULL && kind <= CATALOG_PEER_GROUP; kind++)
            error = take_peers(rules, prefix, (enum catalog_peer_kind)kind, &ports);
        if (error == NULL && rules->count == before)
            error = api_fail(call, API_QUERY_MISSING_PARAMETER,
                "Each of ipPermissions must name a CIDR or the GroupId of a source group.");
        if (error != NULL)
            return error;
    }
    return rules->count > 0 ? NULL : take_short_form(rules);
}

static void write_rule(struct api_call *call, const struct catalog_net *group,
    const struct catalog_rule *rule, struct xml *xml)
{
    const char *account_id = catalog_account_id(call->context->catalog);
    char text[EC2_CIDR_SIZE];
    xml_open(xml, "item", NULL);
    xml_element(xml, "securityGroupRuleId", rule->id);
    xml_element(xml, "groupId", group->id);
    xml_element(xml, "groupOwnerId", account_id);
    xml_element(xml, "isEgress", rule->is_egress ? "true" : "false");
    xml_element(xml, "ipProtocol", rule->protocol);
    ec2_write_number(xml, "fromPort", rule->from_port);
    ec2_write_number(xml, "toPort", rule->to_port);
    ec2_format_peer(rule, text);
    if (rule->peer == CATALOG_PEER_GROUP) {
        xml_open(xml, "referencedGroupInfo", NULL);
        xml_element(xml, "groupId", text);
        xml_element(xml, "userId", account_id);
        xml_close(xml);
    } else {
        xml_element(xml, rule->peer == CATALOG_PEER_IPV6 ? "cidrIpv6" : "cidrIpv4", text);
    }
    if (rule->description[0] != '\0')
        xml_element(xml, "description", rule->description);
    xml_open(xml, "tagSet", NULL);
    xml_close(xml);
    xml_close(xml);
}

static size_t find_rule(const struct catalog_net *group, const struct catalog_rule *wanted)
{
    size_t i = 0;
    while (i < group->rule_count && !is_same_rule(&group->rules[i], wanted))
        i++;
    return i;
}

/* Stages the group of the call. */
static int edit_group(
    struct catalog_change *change, const struct rules *rules, struct catalog_net **out_group)
{
    int err = catalog_edit_net(change, rules->group_id, out_group);
    if (err == -ENOENT)
        return api_refuse(rules->call, API_QUERY_GROUP_NOT_FOUND,
            "The security group '%.64s' does not exist", rules->group_id);
    return err;
}

static int allow_rules(struct catalog_change *change, void *context)
{
    struct rules *rules = context;
    struct catalog_net *group = NULL;
    int err = edit_group(change, rules, &group);
    if (err != 0)
        return err;
    size_t count = 0;
    for (size_t i = 0; i < group->rule_count; i++)
        count += group->rules[i].is_egress == rules->is_egress;
    if (count + rules->count > RULES_PER_DIRECTION_MAX)
        return api_refuse(rules->call, API_QUERY_RULES_LIMIT,
            "The maximum number of rules per security group (%d) has been reached.",
            RULES_PER_DIRECTION_MAX);
    for (size_t i = 0; err == 0 && i < rules->count; i++) {
        struct catalog_rule *rule = &rules->items[i];
        char peer[EC2_CIDR_SIZE];
        ec2_format_peer(rule, peer);
        if (find_rule(group, rule) < group->rule_count)
            return api_refuse(rules->call, API_QUERY_PERMISSION_DUPLICATE,
                "the specified rule \"peer: %s, %s, from port: %d, to port: %d, ALLOW\" already "
                "exists",
                peer, rule->protocol, (int)rule->from_port, (int)rule->to_port);
        const struct catalog_net *source = rule->peer == CATALOG_PEER_GROUP
                                               ? ec2_get(rules->call, CATALOG_SECURITY_GROUP,
                                                     rule->group_id, API_QUERY_GROUP_NOT_FOUND)
                                               : NULL;
        if (rules->call->failure != NULL)
            return -ECANCELED; /* the source group was deleted meanwhile */
        catalog_net_put(source);
        api_make_id("sgr", rule->id);
        err = catalog_group_add_rule(group, rule);
    }
    return err;
}

/* No rules yet of the group that the call names; the caller owns the reference. NULL: refused. */
static struct rules *rules_begin(
    struct api_call *call, bool is_egress, const struct catalog_net **out_group)
{
    const struct catalog_net *group = ec2_get_group(call);
    if (group == NULL)
        return NULL;
    struct rules *rules = arena_calloc(&call->arena, 1, sizeof *rules);
    if (rules == NULL) {
        (void)api_internal_error(call, -ENOMEM); /* noted in the call */
        catalog_net_put(group);
        return NULL;
    }
    rules->call = call;
    rules->group_id = group->id;
    rules->is_egress = is_egress;
    *out_group = group;
    return rules;
}

static const struct api_error *allow(struct api_call *call, struct xml *xml, bool is_egress)
{
    const struct catalog_net *group;
    struct rules *rules = rules_begin(call, is_egress, &group);
    if (rules == NULL)
        return call->failure;
    const struct api_error *error = take_rules(rules);
    if (error == NULL)
        error = api_change(call, allow_rules, rules);
    if (error == NULL) {
        xml_element(xml, "return", "true");
        xml_open(xml, "securityGroupRuleSet", NULL);
        for (size_t i = 0; i < rules->count; i++)
            write_rule(call, group, &rules->items[i], xml);
        xml_close(xml);
    }
    catalog_net_put(group);
    return error;
}

const struct api_error *ec2_authorize_security_group_ingress(struct api_call *call, struct xml *xml)
{
    return allow(call, xml, false);
}

const struct api_error *ec2_authorize_security_group_egress(struct api_call *call, struct xml *xml)
{
    return allow(call, xml, true);
}

/* Takes away what SecurityGroupRuleId.N name. */
static int revoke_by_id(const struct rules *rules, struct catalog_net *group)
{
    for (unsigned n = 1;; n++) {
        const char *id = ec2_nth(rules->call, "SecurityGroupRuleId", n);
        size_t i = 0;
        if (id == NULL)
            return 0;
        while (i < group->rule_count && (strcmp(group->rules[i].id, id) != 0 ||
                                            group->rules[i].is_egress != rules->is_egress))
            i++;
        if (i == group->rule_count)
            return api_refuse(rules->call, API_QUERY_RULE_NOT_FOUND,
                "The security group rule ID '%.64s' does not exist", id);
        catalog_group_remove_rule(group, i);
    }
}

static int revoke_rules(struct catalog_change *change, void *context)
{
    const struct rules *rules = context;
    struct catalog_net *group = NULL;
    int err = edit_group(change, rules, &group);
    if (err == 0)
        err = revoke_by_id(rules, group);
    for (size_t i = 0; err == 0 && i < rules->count; i++) {
        size_t found = find_rule(group, &rules->items[i]);
        if (found == group->rule_count)
            return api_refuse(rules->call, API_QUERY_PERMISSION_NOT_FOUND,
                "The specified rule does not exist in this security group.");
        catalog_group_remove_rule(group, found);
    }
    return err;
}

static const struct api_error *revoke(struct api_call *call, struct xml *xml, bool is_egress)
{
    const struct catalog_net *group;
    struct rules *rules = rules_begin(call, is_egress, &group);
    if (rules == NULL)
        return call->failure;
    const struct api_error *error = NULL;
    if (ec2_nth(call, "SecurityGroupRuleId", 1) == NULL)
        error = take_rules(rules);
    if (error == NULL)
        error = api_change(call, revoke_rules, rules);
    if (error == NULL)
        xml_element(xml, "return", "true");
    catalog_net_put(group);
    return error;
}

const struct api_error *ec2_revoke_security_group_ingress(struct api_call *call, struct xml *xml)
{
    return revoke(call, xml, false);
}

const struct api_error *ec2_revoke_security_group_egress(struct api_call *call, struct xml *xml)
{
    return revoke(call, xml, true);
}

struct rule_list {
    struct ec2_list list;
    struct xml *xml;
};

/* Rules come by groups, and in a group in their order: a place is the group's id and a number. */
static bool describe_rules(void *context, const struct catalog_net *group)
{
    struct rule_list *rules = context;
    struct ec2_list *list = &rules->list;
    const char *id_name = list->id_name;
    for (size_t i = 0; i < group->rule_count; i++) {
        char place[EC2_PLACE_SIZE];
        const struct catalog_rule *rule = &group->rules[i];
        (void)snprintf(place, sizeof place, "%s/%03zu", group->id, i);
        bool is_wanted = ec2_nth(list->call, id_name, 1) == NULL;
        for (unsigned k = 1; !is_wanted && ec2_nth(list->call, id_name, k) != NULL; k++)
            is_wanted = strcmp(ec2_nth(list->call, id_name, k), rule->id) == 0;
        list->id_name = NULL; /* looked at here: ids of rules are not their places */
        bool is_candidate = ec2_list_consider(list, place);
        list->id_name = id_name;
        if (!is_candidate || !is_wanted)
            continue;
        ec2_list_match(list, "group-id", group->id);
        ec2_list_match(list, "security-group-rule-id", rule->id);
        if (ec2_list_take(list, place))
            write_rule(list->call, group, rule, rules->xml);
    }
    return !list->more;
}

const struct api_error *ec2_describe_security_group_rules(struct api_call *call, struct xml *xml)
{
    static const char *const known[] = { "group-id", "security-group-rule-id", NULL };
    struct rule_list rules = { .xml = xml };
    const struct api_error *error = ec2_list_begin(&rules.list, call, "SecurityGroupRuleId", known);
    if (error != NULL)
        return error;
    xml_open(xml, "securityGroupRuleSet", NULL);
    catalog_net_each(call->context->catalog, CATALOG_SECURITY_GROUP, describe_rules, &rules);
    xml_close(xml);
    if (ec2_nth(call, "SecurityGroupRuleId", 1) != NULL && rules.list.count == 0)
        return api_fail(call, API_QUERY_RULE_NOT_FOUND,
            "The security group rule ID '%.64s' does not exist",
            ec2_nth(call, "SecurityGroupRuleId", 1));
    ec2_list_end(&rules.list, xml);
    return NULL;
}
