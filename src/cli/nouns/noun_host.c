/*
 * cli/nouns/noun_host.c - shoal host: which security groups the machines of clients are in (room: cli).
 *
 * Source: Shoal's own service, control/shoal.c.
 */
#include "cli/nouns/noun.h"

#define TARGET "Shoal_20261128."

static const struct noun_column columns[] = {
    { "ADDRESS", "Address", COLUMN_TEXT },
    { "GROUPS", "Groups", COLUMN_TEXT },
    { "SINCE", "CreationTime", COLUMN_TIME },
};

int cmd_host(int argc, char **argv)
{
    return noun_run(argc, argv);
}

/* One call; `body` is taken. *out_body is a new reference. */
static int call_shoal(struct noun_call *call, const char *target, json_t *body, json_t **out_body)
{
    struct api_reply reply = { 0 };
    if (body == NULL)
        return cli_fail("There is no memory left.");
    int status = api_target(&call->api, "shoal", target, body, &reply);
    json_decref(body);
    if (status != CLI_OK)
        return status;
    if (reply.error[0] != '\0') {
        status = cli_fail("The host: %s: %s", reply.error, noun_text(reply.body, "message"));
        api_reply_fini(&reply);
        return status;
    }
    *out_body = json_incref(reply.body);
    api_reply_fini(&reply);
    return CLI_OK;
}

/* Puts the groups of a host into one text, for tables. */
static int join_groups(json_t *host)
{
    char text[512] = "";
    size_t used = 0;
    const json_t *groups = json_object_get(host, "GroupIds");
    for (size_t i = 0; i < json_array_size(groups); i++) {
        int size = snprintf(text + used, sizeof text - used, "%s%s", i > 0 ? "," : "",
            json_string_value(json_array_get(groups, i)));
        used += size > 0 && (size_t)size < sizeof text - used ? (size_t)size : 0;
    }
    return json_object_set_new(host, "Groups", json_string(text));
}

int noun_host_list(struct noun_call *call)
{
    json_t *list = json_array();
    json_t *token = NULL;
    int status = noun_open(call, NULL, 0, 0, 0);
    bool more = true;
    while (status == CLI_OK && more) {
        json_t *page = NULL;
        status = call_shoal(call, TARGET "ListHosts",
            token != NULL ? json_pack("{s:O}", "NextToken", token) : json_object(), &page);
        json_decref(token);
        json_t *hosts = json_object_get(page, "Hosts");
        for (size_t i = 0; i < json_array_size(hosts); i++) {
            if (join_groups(json_array_get(hosts, i)) < 0 ||
                json_array_append(list, json_array_get(hosts, i)) < 0)
                status = cli_fail("There is no memory left.");
        }
        token = json_incref(json_object_get(page, "NextToken"));
        more = token != NULL;
        json_decref(page);
    }
    json_decref(token);
    if (status == CLI_OK)
        return noun_show_list(call, list, columns, ARRAY_SIZE(columns));
    json_decref(list);
    return status;
}

/* The ids between the commas of a list. */
static json_t *split(const char *text)
{
    json_t *list = json_array();
    while (*text != '\0') {
        size_t size = strcspn(text, ",");
        if (json_array_append_new(list, json_stringn(text, size)) < 0) {
            json_decref(list);
            return NULL;
        }
        text += size + (text[size] == ',' ? 1 : 0);
    }
    return list;
}

int noun_host_add(struct noun_call *call)
{
    const char *groups = NULL;
    const struct cli_option options[] = { { "--group", &groups, NULL } };
    json_t *body = NULL;
    int status = noun_open(call, options, ARRAY_SIZE(options), 1, 1);
    if (status != CLI_OK)
        return status;
    if (groups == NULL)
        return cli_usage("Name the security group with --group sg-...");
    status = call_shoal(call, TARGET "AddHost",
        json_pack("{s:s, s:o}", "Address", call->argv[1], "GroupIds", split(groups)), &body);
    if (status != CLI_OK)
        return status;
    json_t *host = json_incref(json_object_get(body, "Host"));
    json_decref(body);
    return noun_done(call, host, "%s is in %s.", call->argv[1], groups);
}

int noun_host_rm(struct noun_call *call)
{
    json_t *body = NULL;
    int status = noun_open(call, NULL, 0, 1, 1);
    if (status == CLI_OK)
        status = call_shoal(
            call, TARGET "RemoveHost", json_pack("{s:s}", "Address", call->argv[1]), &body);
    return status == CLI_OK ? noun_done(call, body, "%s is in no group any more.", call->argv[1])
                            : status;
}
