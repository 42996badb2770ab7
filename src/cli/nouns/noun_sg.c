/*
 * cli/nouns/noun_sg.c - shoal sg: who may connect to mount targets (room: cli).
 *
 * Source: EC2 API 2016-11-15, AuthorizeSecurityGroupIngress and its like.
 */
#include "base/text.h"
#include "cli/nouns/noun.h"

#define NFS_PORT   "2049"
#define CELL_SIZE  256
#define LIST_SHOWN 6

int cmd_sg(int argc, char **argv)
{
    return noun_run(argc, argv);
}

static int list_groups(struct noun_call *call, json_t **out_list)
{
    json_t *body = NULL;
    int status = noun_ec2(call, "DescribeSecurityGroups", NULL, 0, "the security groups", &body);
    json_t *list = json_object_get(body, "securityGroupInfo");
    if (status == CLI_OK)
        *out_list = json_is_array(list) ? json_incref(list) : json_array();
    json_decref(body);
    return status;
}

/* Whether a rule is about the NFS port. */
static bool is_for_nfs(const json_t *rule)
{
    uint64_t from;
    uint64_t to;
    const char *protocol = noun_text(rule, "ipProtocol");
    if (strcmp(protocol, "-1") == 0)
        return true;
    return strcmp(protocol, "tcp") == 0 &&
           text_parse_u64(noun_text(rule, "fromPort"), UINT16_MAX, &from) == 0 &&
           text_parse_u64(noun_text(rule, "toPort"), UINT16_MAX, &to) == 0 && from <= 2049 &&
           2049 <= to;
}

/* Appends the sources that one list of a rule names. */
static void add_sources(
    char cell[CELL_SIZE], size_t *used, const json_t *rule, const char *list_name, const char *name)
{
    const json_t *list = json_object_get(rule, list_name);
    for (size_t i = 0; i < json_array_size(list) && i < LIST_SHOWN; i++) {
        if (text_append(cell, CELL_SIZE, used, "%s%s", *used > 0 ? ", " : "",
                noun_text(json_array_get(list, i), name)) < 0)
            return; /* cut, as a cell may be */
    }
}

/* Adds what the table shows: who may come in. Gives 0 or -1, as jansson does. */
static int add_inbound(json_t *group)
{
    char cell[CELL_SIZE] = "";
    size_t used = 0;
    const json_t *rules = json_object_get(group, "ipPermissions");
    for (size_t i = 0; i < json_array_size(rules); i++) {
        const json_t *rule = json_array_get(rules, i);
        if (!is_for_nfs(rule))
            continue;
        add_sources(cell, &used, rule, "ipRanges", "cidrIp");
        add_sources(cell, &used, rule, "ipv6Ranges", "cidrIpv6");
        add_sources(cell, &used, rule, "groups", "groupId");
    }
    return json_object_set_new(group, "nfsFrom", json_string(used > 0 ? cell : "nobody"));
}

int noun_sg_list(struct noun_call *call)
{
    static const struct noun_column columns[] = {
        { "ID", "groupId", COLUMN_TEXT },
        { "NAME", "groupName", COLUMN_TEXT },
        { "VPC", "vpcId", COLUMN_TEXT },
        { "NFS FROM", "nfsFrom", COLUMN_TEXT },
    };
    json_t *list = NULL;
    int status = noun_open(call, NULL, 0, 0, 0);
    if (status == CLI_OK)
        status = list_groups(call, &list);
    for (size_t i = 0; i < json_array_size(list) && call->format == NOUN_TABLE; i++) {
        if (add_inbound(json_array_get(list, i)) < 0)
            status = cli_fail("There is no memory left.");
    }
    if (status == CLI_OK)
        return noun_show_list(call, list, columns, ARRAY_SIZE(columns));
    json_decref(list);
    return status;
}

/* The group that is meant by id or name; a new reference. */
static int find(struct noun_call *call, const char *word, json_t **out_group)
{
    json_t *list = NULL;
    json_t *found = NULL;
    bool is_many = false;
    int status = list_groups(call, &list);
    for (size_t i = 0; i < json_array_size(list); i++) {
        json_t *group = json_array_get(list, i);
        bool is_id = strcmp(noun_text(group, "groupId"), word) == 0;
        if (!is_id && strcmp(noun_text(group, "groupName"), word) != 0)
            continue;
        is_many = found != NULL && !is_id;
        found = group;
        if (is_id)
            break;
    }
    if (status == CLI_OK && is_many)
        status = cli_fail("Several security groups are named %s: use an id (shoal sg list).", word);
    else if (status == CLI_OK && found == NULL)
        status = cli_fail("There is no security group %s (shoal sg list).", word);
    else if (status == CLI_OK)
        *out_group = json_incref(found);
    json_decref(list);
    return status;
}

static int find_id(struct noun_call *call, const char *word, char out_id[NOUN_ID_SIZE])
{
    json_t *group = NULL;
    int status = find(call, word, &group);
    if (status == CLI_OK && text_copy(out_id, NOUN_ID_SIZE, noun_text(group, "groupId")) < 0)
        status = cli_fail("The service gave an id that is too long.");
    json_decref(group);
    return status;
}

int noun_sg_show(struct noun_call *call)
{
    json_t *group = NULL;
    int status = noun_open(call, NULL, 0, 1, 1);
    if (status == CLI_OK)
        status = find(call, call->argv[1], &group);
    return status == CLI_OK ? noun_show(call, group) : status;
}

int noun_sg_create(struct noun_call *call)
{
    const char *description = NULL;
    const char *vpc = NULL;
    char vpc_id[NOUN_ID_SIZE];
    json_t *body = NULL;
    const struct cli_option options[] = { { "--description", &description, NULL },
        { "--vpc", &vpc, NULL } };
    int status = noun_open(call, options, ARRAY_SIZE(options), 1, 1);
    if (status == CLI_OK)
        status = noun_vpc_id(call, vpc, vpc_id);
    if (status != CLI_OK)
        return status;
    const char *const words[][2] = { { "GroupName", call->argv[1] },
        { "GroupDescription", description != NULL ? description : call->argv[1] },
        { "VpcId", vpc_id } };
    status = noun_ec2(
        call, "CreateSecurityGroup", words, ARRAY_SIZE(words), "the security group", &body);
    return status == CLI_OK ? noun_done(call, body, "%s", noun_text(body, "groupId")) : status;
}

/* Adds or takes away one rule: action is the API's. */
static int change_rule(struct noun_call *call, const char *action)
{
    const char *from = NULL;
    const char *port = NFS_PORT;
    char id[NOUN_ID_SIZE];
    char source[NOUN_ID_SIZE];
    const struct cli_option options[] = { { "--from", &from, NULL }, { "--port", &port, NULL } };
    int status = noun_open(call, options, ARRAY_SIZE(options), 1, 1);
    if (status == CLI_OK && from == NULL)
        status = cli_usage("Say who: --from CIDR, such as 10.0.0.0/8, or --from SG.");
    if (status == CLI_OK)
        status = find_id(call, call->argv[1], id);
    if (status != CLI_OK)
        return status;
    bool is_network = strchr(from, '/') != NULL;
    if (!is_network && (status = find_id(call, from, source)) != CLI_OK)
        return status;
    const char *name = "IpPermissions.1.Groups.1.GroupId";
    if (is_network && strchr(from, ':') != NULL)
        name = "IpPermissions.1.Ipv6Ranges.1.CidrIpv6";
    else if (is_network)
        name = "IpPermissions.1.IpRanges.1.CidrIp";
    const char *const words[][2] = { { "GroupId", id }, { "IpPermissions.1.IpProtocol", "tcp" },
        { "IpPermissions.1.FromPort", port }, { "IpPermissions.1.ToPort", port },
        { name, is_network ? from : source } };
    status = noun_ec2(call, action, words, ARRAY_SIZE(words), "the rule", NULL);
    return status == CLI_OK ? noun_done(call, json_pack("{s:s}", "GroupId", id), "%s changed", id)
                            : status;
}

int noun_sg_allow(struct noun_call *call)
{
    return change_rule(call, "AuthorizeSecurityGroupIngress");
}

int noun_sg_revoke(struct noun_call *call)
{
    return change_rule(call, "RevokeSecurityGroupIngress");
}

int noun_sg_delete(struct noun_call *call)
{
    char id[NOUN_ID_SIZE];
    int status = noun_open(call, NULL, 0, 1, 1);
    if (status == CLI_OK)
        status = find_id(call, call->argv[1], id);
    if (status != CLI_OK)
        return status;
    if (call->is_dry_run) {
        return noun_done(call, json_pack("{s:s}", "GroupId", id),
            "%s and its rules would go, unless a mount target or another group uses it.\n"
            "Nothing was changed.",
            id);
    }
    const char *const words[][2] = { { "GroupId", id } };
    status = noun_ec2(call, "DeleteSecurityGroup", words, ARRAY_SIZE(words),
        "to delete the security group", NULL);
    return status == CLI_OK
               ? noun_done(call, json_pack("{s:s}", "GroupId", id), "%s is deleted", id)
               : status;
}
