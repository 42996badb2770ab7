/*
 * cli/nouns/noun_vpc.c - shoal vpc and shoal subnet: where mount targets get their addresses (room: cli).
 *
 * Source: EC2 API 2016-11-15, DescribeVpcs, CreateSubnet and their like.
 */
#include "base/text.h"
#include "cli/nouns/noun.h"

#define SUBNET_PREFIX "subnet-"
#define VPC_PREFIX    "vpc-"

int cmd_vpc(int argc, char **argv)
{
    return noun_run(argc, argv);
}

int cmd_subnet(int argc, char **argv)
{
    return noun_run(argc, argv);
}

int noun_ec2(struct noun_call *call, const char *action, const char *const words[][2],
    size_t word_count, const char *doing, json_t **out_body)
{
    struct api_form form;
    api_form_init(&form, action, EC2_VERSION);
    for (size_t i = 0; i < word_count; i++)
        api_form_add(&form, words[i][0], words[i][1]);
    return noun_query(call, "ec2", &form, doing, out_body);
}

/* The list of that name in an answer, as a new reference; an empty one is an empty text in XML. */
static json_t *list_of(json_t *body, const char *name)
{
    json_t *list = json_object_get(body, name);
    json_t *result = json_is_array(list) ? json_incref(list) : json_array();
    json_decref(body);
    return result;
}

static int describe(struct noun_call *call, const char *action, const char *name, json_t **out_list)
{
    json_t *body = NULL;
    int status = noun_ec2(call, action, NULL, 0, "the list", &body);
    if (status == CLI_OK)
        *out_list = list_of(body, name);
    return status;
}

int noun_vpc_id(struct noun_call *call, const char *vpc, char *out_id)
{
    json_t *list = NULL;
    if (vpc != NULL) {
        int status = noun_want_id(vpc, VPC_PREFIX, "a network");
        return status == CLI_OK && text_copy(out_id, NOUN_ID_SIZE, vpc) < 0
                   ? cli_usage("%s is too long.", vpc)
                   : status;
    }
    int status = describe(call, "DescribeVpcs", "vpcSet", &list);
    out_id[0] = '\0';
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *one = json_array_get(list, i);
        if (strcmp(noun_text(one, "isDefault"), "true") == 0 &&
            text_copy(out_id, NOUN_ID_SIZE, noun_text(one, "vpcId")) < 0)
            status = cli_fail("The service gave an id that is too long.");
    }
    json_decref(list);
    if (status == CLI_OK && out_id[0] == '\0')
        status = cli_fail("There is no default network: say --vpc VPC (shoal vpc list).");
    return status;
}

int noun_vpc_list(struct noun_call *call)
{
    static const struct noun_column columns[] = {
        { "ID", "vpcId", COLUMN_TEXT },
        { "NETWORK", "cidrBlock", COLUMN_TEXT },
        { "DEFAULT", "isDefault", COLUMN_TEXT },
        { "STATE", "state", COLUMN_TEXT },
    };
    json_t *list = NULL;
    int status = noun_open(call, NULL, 0, 0, 0);
    if (status == CLI_OK)
        status = describe(call, "DescribeVpcs", "vpcSet", &list);
    return status == CLI_OK ? noun_show_list(call, list, columns, ARRAY_SIZE(columns)) : status;
}

int noun_subnet_list(struct noun_call *call)
{
    static const struct noun_column columns[] = {
        { "ID", "subnetId", COLUMN_TEXT },
        { "NETWORK", "cidrBlock", COLUMN_TEXT },
        { "ZONE", "availabilityZone", COLUMN_TEXT },
        { "VPC", "vpcId", COLUMN_TEXT },
        { "FREE", "availableIpAddressCount", COLUMN_TEXT },
        { "STATE", "state", COLUMN_TEXT },
    };
    json_t *list = NULL;
    int status = noun_open(call, NULL, 0, 0, 0);
    if (status == CLI_OK)
        status = describe(call, "DescribeSubnets", "subnetSet", &list);
    return status == CLI_OK ? noun_show_list(call, list, columns, ARRAY_SIZE(columns)) : status;
}

/* Shows what was made, whose id is at `id_path` in the answer. */
static int show_made(struct noun_call *call, json_t *body, const char *part, const char *id)
{
    json_t *made = json_incref(json_object_get(body, part));
    json_decref(body);
    return noun_done(call, made, "%s", noun_text(made, id));
}

int noun_vpc_create(struct noun_call *call)
{
    json_t *body = NULL;
    int status = noun_open(call, NULL, 0, 1, 1);
    if (status != CLI_OK)
        return status;
    const char *const words[][2] = { { "CidrBlock", call->argv[1] } };
    status = noun_ec2(call, "CreateVpc", words, ARRAY_SIZE(words), "the network", &body);
    return status == CLI_OK ? show_made(call, body, "vpc", "vpcId") : status;
}

int noun_subnet_create(struct noun_call *call)
{
    const char *zone = NULL;
    const char *vpc = NULL;
    char vpc_id[NOUN_ID_SIZE];
    json_t *body = NULL;
    const struct cli_option options[] = { { "--zone", &zone, NULL }, { "--vpc", &vpc, NULL } };
    int status = noun_open(call, options, ARRAY_SIZE(options), 1, 1);
    if (status == CLI_OK && zone == NULL)
        status =
            cli_usage("Say in which zone: --zone ZONE (shoal subnet list shows those there are).");
    if (status == CLI_OK)
        status = noun_vpc_id(call, vpc, vpc_id);
    if (status != CLI_OK)
        return status;
    const char *const words[][2] = { { "CidrBlock", call->argv[1] }, { "AvailabilityZone", zone },
        { "VpcId", vpc_id } };
    status = noun_ec2(call, "CreateSubnet", words, ARRAY_SIZE(words), "the subnet", &body);
    return status == CLI_OK ? show_made(call, body, "subnet", "subnetId") : status;
}

/* A kind of thing that lies in a subnet or network, and keeps it from being deleted. */
struct inside {
    const char *action;
    const char *list;
    const char *id;
    const char *filter;
    const char *what;
};

struct deletion {
    const char *prefix;
    const char *what;
    const char *action;
    const char *parameter;
    const char *describe; /* the action that tells whether it is there */
    size_t inside_count;
    const struct inside *inside;
};

/* Adds to `loss` what lies inside, and says it on a terminal. */
static int show_inside(
    struct noun_call *call, const struct inside *inside, const char *id, json_t *loss)
{
    const char *const words[][2] = { { "Filter.1.Name", inside->filter },
        { "Filter.1.Value.1", id } };
    json_t *body = NULL;
    int status = noun_ec2(call, inside->action, words, ARRAY_SIZE(words), "the list", &body);
    if (status != CLI_OK)
        return status;
    json_t *list = list_of(body, inside->list);
    for (size_t i = 0; i < json_array_size(list) && call->format == NOUN_TABLE; i++)
        (void)printf(
            "%s %s is in it\n", inside->what, noun_text(json_array_get(list, i), inside->id));
    return json_object_set_new(loss, inside->list, list) < 0 ? cli_fail("There is no memory left.")
                                                             : CLI_OK;
}

/* --dry-run: whether it is there, and what is in it. */
static int show_loss(struct noun_call *call, const struct deletion *deletion, const char *id)
{
    char parameter[64];
    (void)snprintf(parameter, sizeof parameter, "%s.1", deletion->parameter); /* they are short */
    const char *const words[][2] = { { parameter, id } };
    int status = noun_ec2(call, deletion->describe, words, ARRAY_SIZE(words), "the list", NULL);
    json_t *loss = json_pack("{s:s}", deletion->parameter, id);
    for (size_t i = 0; status == CLI_OK && i < deletion->inside_count; i++)
        status = show_inside(call, &deletion->inside[i], id, loss);
    if (status == CLI_OK)
        return noun_done(call, loss,
            "%s would go, unless something is in it that has to go first. Nothing was changed.",
            id);
    json_decref(loss);
    return status;
}

static int delete_one(struct noun_call *call, const struct deletion *deletion)
{
    int status = noun_open(call, NULL, 0, 1, 1);
    if (status == CLI_OK)
        status = noun_want_id(call->argv[1], deletion->prefix, deletion->what);
    if (status != CLI_OK)
        return status;
    const char *id = call->argv[1];
    if (call->is_dry_run)
        return show_loss(call, deletion, id);
    const char *const words[][2] = { { deletion->parameter, id } };
    status = noun_ec2(call, deletion->action, words, ARRAY_SIZE(words), "to delete it", NULL);
    return status == CLI_OK
               ? noun_done(call, json_pack("{s:s}", deletion->parameter, id), "%s is deleted", id)
               : status;
}

int noun_vpc_delete(struct noun_call *call)
{
    static const struct inside inside[] = {
        { "DescribeSubnets", "subnetSet", "subnetId", "vpc-id", "subnet" },
        { "DescribeSecurityGroups", "securityGroupInfo", "groupId", "vpc-id", "security group" },
    };
    static const struct deletion deletion = { VPC_PREFIX, "a network", "DeleteVpc", "VpcId",
        "DescribeVpcs", ARRAY_SIZE(inside), inside };
    return delete_one(call, &deletion);
}

int noun_subnet_delete(struct noun_call *call)
{
    static const struct inside inside[] = { { "DescribeNetworkInterfaces", "networkInterfaceSet",
        "description", "subnet-id", "interface" } };
    static const struct deletion deletion = { SUBNET_PREFIX, "a subnet", "DeleteSubnet", "SubnetId",
        "DescribeSubnets", ARRAY_SIZE(inside), inside };
    return delete_one(call, &deletion);
}
