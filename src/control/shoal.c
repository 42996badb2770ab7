/*
 * control/shoal.c - Shoal's own operations: which security groups a host is in (room: control).
 *
 * In EC2 a machine's interface carries its groups. Here clients are any machines, so their addresses are put into
 * groups by hand: AddHost, RemoveHost, ListHosts, of the JSON 1.1 service "shoal". What follows from it:
 * catalog/guard.c.
 */
#include <arpa/inet.h>

#include "base/text.h"
#include "catalog/nets.h"
#include "control/input.h"
#include "control/target_service.h"

#define HOSTS_MAX 10000

struct host_change {
    struct api_call *call;
    char address[CATALOG_ID_SIZE];
    size_t group_count;
    const char *groups[CATALOG_SECURITY_GROUPS_MAX];
};

/* The member Address as inet_ntop() writes it; an IPv4 one in IPv6's form as IPv4. */
static const struct api_error *take_address(struct api_call *call, struct host_change *host)
{
    const struct input_text rule = { "Address", true, 2, INET6_ADDRSTRLEN - 1 };
    const char *text = NULL;
    struct in6_addr address = { 0 };
    const struct api_error *error = input_string(call, &rule, &text);
    if (error != NULL)
        return error;
    int family = inet_pton(AF_INET, text, &address) == 1 ? AF_INET : AF_INET6;
    if (family == AF_INET6 && inet_pton(AF_INET6, text, &address) != 1)
        return api_fail(call, API_VALIDATION, "Address '%s' is not an IP address.", text);
    const uint8_t *from = address.s6_addr;
    if (family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&address)) {
        family = AF_INET;
        from += 12;
    }
    const char *written = inet_ntop(family, from, host->address, sizeof host->address);
    assert(written != NULL); /* the buffer is large enough */
    return NULL;
}

static const struct api_error *take_groups(struct api_call *call, struct host_change *host)
{
    const json_t *list = json_object_get(call->input, "GroupIds");
    size_t count = json_array_size(list); /* 0 for what is no list */
    if (count < 1 || count > CATALOG_SECURITY_GROUPS_MAX)
        return api_fail(call, API_VALIDATION, "GroupIds is required and must be a list of 1 to %d.",
            CATALOG_SECURITY_GROUPS_MAX);
    for (size_t i = 0; i < count; i++) {
        host->groups[i] = json_string_value(json_array_get(list, i));
        if (host->groups[i] == NULL || strlen(host->groups[i]) >= CATALOG_ID_SIZE)
            return api_fail(call, API_VALIDATION, "Each of GroupIds must be the id of a group.");
    }
    host->group_count = count;
    return NULL;
}

static json_t *render_host(const struct catalog_net *host)
{
    json_t *groups = json_array();
    int err = 0;
    for (size_t i = 0; i < host->group_count; i++)
        err |= json_array_append_new(groups, json_string(host->groups[i]));
    if (err < 0) {
        json_decref(groups);
        return NULL;
    }
    return json_pack("{ss so sf}", "Address", host->id, "GroupIds", groups, "CreationTime",
        (double)host->created_ms / 1000.0);
}

/* Adds a group to a host, once. */
static int add_group(const struct host_change *change, struct catalog_net *host, const char *id)
{
    struct api_call *call = change->call;
    const struct catalog_net *group =
        catalog_net_get(call->context->catalog, CATALOG_SECURITY_GROUP, id);
    if (group == NULL)
        return api_refuse(
            call, API_SECURITY_GROUP_NOT_FOUND, "The security group '%s' does not exist.", id);
    catalog_net_put(group);
    for (size_t i = 0; i < host->group_count; i++) {
        if (strcmp(host->groups[i], id) == 0)
            return 0;
    }
    if (host->group_count == CATALOG_SECURITY_GROUPS_MAX)
        return api_refuse(call, API_SECURITY_GROUP_LIMIT_EXCEEDED,
            "The maximum number of security groups per host is %d.", CATALOG_SECURITY_GROUPS_MAX);
    memcpy(host->groups[host->group_count++], id, strlen(id) + 1);
    return 0;
}

static bool count_host(void *context, const struct catalog_net *host)
{
    size_t *count = context;
    (void)host;
    ++*count;
    return true;
}

static int new_host(
    struct catalog_change *change, const struct host_change *wanted, struct catalog_net **out_host)
{
    size_t count = 0;
    catalog_net_each(wanted->call->context->catalog, CATALOG_HOST, count_host, &count);
    if (count >= HOSTS_MAX)
        return api_refuse(wanted->call, API_VALIDATION,
            "The maximum number of hosts (%d) has been reached: allow a network by its CIDR "
            "instead.",
            HOSTS_MAX);
    int err = catalog_add_net(change, out_host);
    if (err < 0)
        return err;
    (*out_host)->kind = CATALOG_HOST;
    (*out_host)->created_ms = wanted->call->now_ms;
    memcpy((*out_host)->id, wanted->address, sizeof wanted->address);
    return 0;
}

static int put_host(struct catalog_change *change, void *context)
{
    const struct host_change *wanted = context;
    struct catalog_net *host = NULL;
    int err = catalog_edit_net(change, wanted->address, &host);
    if (err == -ENOENT)
        err = new_host(change, wanted, &host);
    for (size_t i = 0; err == 0 && i < wanted->group_count; i++)
        err = add_group(wanted, host, wanted->groups[i]);
    return err;
}

const struct api_error *shoal_add_host(struct api_call *call)
{
    struct host_change host = { .call = call };
    const struct api_error *error = take_address(call, &host);
    if (error == NULL)
        error = take_groups(call, &host);
    if (error == NULL)
        error = api_change(call, put_host, &host);
    if (error != NULL)
        return error;
    const struct catalog_net *made =
        catalog_net_get(call->context->catalog, CATALOG_HOST, host.address);
    if (made == NULL)
        return api_fail(call, API_HOST_NOT_FOUND, "The host was removed meanwhile.");
    error = api_answer(call, json_pack("{so}", "Host", render_host(made)));
    catalog_net_put(made);
    return error;
}

static int remove_host(struct catalog_change *change, void *context)
{
    const struct host_change *host = context;
    const struct catalog_net *net =
        catalog_net_get(host->call->context->catalog, CATALOG_HOST, host->address);
    if (net == NULL)
        return api_refuse(
            host->call, API_HOST_NOT_FOUND, "The host '%s' is in no group.", host->address);
    catalog_net_put(net);
    return catalog_remove_net(change, host->address);
}

const struct api_error *shoal_remove_host(struct api_call *call)
{
    struct host_change host = { .call = call };
    const struct api_error *error = take_address(call, &host);
    if (error == NULL)
        error = api_change(call, remove_host, &host);
    return error != NULL ? error : api_answer(call, json_object());
}

/* A page; NextToken is the last address of the page before. */
const struct api_error *shoal_list_hosts(struct api_call *call)
{
    const struct input_text rule = { "NextToken", false, 1, CATALOG_ID_SIZE - 1 };
    const struct catalog_net *page[INPUT_PAGE_DEFAULT + 1];
    const char *after = "";
    const struct api_error *error = input_string(call, &rule, &after);
    if (error != NULL)
        return error;
    size_t count =
        catalog_net_list(call->context->catalog, CATALOG_HOST, after, INPUT_PAGE_DEFAULT + 1, page);
    char last[CATALOG_ID_SIZE] = "";
    json_t *list = json_array();
    int err = 0;
    for (size_t i = 0; i < count; i++) {
        if (i < INPUT_PAGE_DEFAULT)
            err |= json_array_append_new(list, render_host(page[i]));
        if (i + 1 == INPUT_PAGE_DEFAULT && count > INPUT_PAGE_DEFAULT)
            memcpy(last, page[i]->id, sizeof last);
        catalog_net_put(page[i]);
    }
    if (err < 0) {
        json_decref(list);
        return api_internal_error(call, -ENOMEM);
    }
    return api_answer(
        call, json_pack("{so ss*}", "Hosts", list, "NextToken", last[0] != '\0' ? last : NULL));
}
