/*
 * catalog/nets.c - records of the network: reading and changing them (room: catalog).
 */
#include "catalog/nets.h"

#include <arpa/inet.h>
#include <stdlib.h>

#include "base/text.h"
#include "catalog/internal.h"

static const char *const kind_words[CATALOG_NET_KIND_COUNT] = {
    [CATALOG_VPC] = "vpc",
    [CATALOG_SUBNET] = "subnet",
    [CATALOG_SECURITY_GROUP] = "security-group",
    [CATALOG_HOST] = "host",
};

const char *net_kind_word(enum catalog_net_kind kind)
{
    assert((size_t)kind < ARRAY_SIZE(kind_words));
    return kind_words[kind];
}

int net_kind_parse(const char *word, enum catalog_net_kind *out_kind)
{
    for (size_t i = 0; i < ARRAY_SIZE(kind_words); i++) {
        if (strcmp(kind_words[i], word) == 0) {
            *out_kind = (enum catalog_net_kind)i;
            return 0;
        }
    }
    return -EINVAL;
}

/* Copies what it owns but the tags, which entry_clone() does for all kinds. */
int net_copy(const struct catalog_net *from, struct catalog_net *to)
{
    *to = *from;
    to->tags = (struct catalog_tags){ 0 };
    to->rules = NULL;
    if (from->rule_count == 0)
        return 0;
    to->rules = malloc(from->rule_count * sizeof *to->rules);
    if (to->rules == NULL) {
        to->rule_count = 0;
        return -ENOMEM;
    }
    memcpy(to->rules, from->rules, from->rule_count * sizeof *to->rules);
    return 0;
}

void net_fini(struct catalog_net *net)
{
    free(net->rules);
    net->rules = NULL;
}

const struct catalog_net *catalog_net_get(
    const struct catalog *catalog, enum catalog_net_kind kind, const char *id)
{
    const struct entry *entry = tables_get(catalog, TABLE_NET_KIND, 1, net_kind_word(kind), id);
    return entry == NULL ? NULL : &entry->net;
}

void catalog_net_put(const struct catalog_net *net)
{
    if (net != NULL)
        entry_unref(entry_around(net, offsetof(struct entry, net)));
}

static void add_to_list(void *out_list, size_t i, const struct entry *entry)
{
    ((const struct catalog_net **)out_list)[i] = &entry->net;
}

size_t catalog_net_list(const struct catalog *catalog, enum catalog_net_kind kind,
    const char *after_id, size_t max, const struct catalog_net **out_list)
{
    struct range range = {
        .table = TABLE_NET_KIND, .slot = 1, .major = net_kind_word(kind), .after = after_id
    };
    return tables_list(catalog, &range, max, add_to_list, out_list);
}

struct default_group {
    const char *vpc_id;
    char id[CATALOG_ID_SIZE];
    bool found;
};

static bool take_default_group(void *context, const struct catalog_net *net)
{
    struct default_group *wanted = context;
    if (!net->is_default || strcmp(net->vpc_id, wanted->vpc_id) != 0)
        return true;
    memcpy(wanted->id, net->id, sizeof wanted->id);
    wanted->found = true;
    return false;
}

int catalog_default_group(
    const struct catalog *catalog, const char *vpc_id, char out_id[CATALOG_ID_SIZE])
{
    struct default_group wanted = { .vpc_id = vpc_id };
    catalog_net_each(catalog, CATALOG_SECURITY_GROUP, take_default_group, &wanted);
    if (!wanted.found)
        return -ENOENT;
    memcpy(out_id, wanted.id, CATALOG_ID_SIZE);
    return 0;
}

int catalog_subnet_get(
    const struct catalog *catalog, const char *id, struct catalog_subnet *out_subnet)
{
    const struct catalog_net *net = catalog_net_get(catalog, CATALOG_SUBNET, id);
    if (net == NULL)
        return -ENOENT;
    *out_subnet = (struct catalog_subnet){ .base = net->base,
        .prefix_bits = net->prefix_bits,
        .zone = catalog_zone_find(catalog_network(catalog), net->zone_name) };
    memcpy(out_subnet->id, net->id, sizeof out_subnet->id);
    memcpy(out_subnet->vpc_id, net->vpc_id, sizeof out_subnet->vpc_id);
    catalog_net_put(net);
    return out_subnet->zone == NULL ? -ENOENT : 0;
}

int catalog_group_add_rule(struct catalog_net *group, const struct catalog_rule *rule)
{
    struct catalog_rule *rules =
        realloc(group->rules, (group->rule_count + 1) * sizeof *group->rules);
    if (rules == NULL)
        return -ENOMEM;
    group->rules = rules;
    group->rules[group->rule_count++] = *rule;
    return 0;
}

void catalog_group_remove_rule(struct catalog_net *group, size_t index)
{
    assert(index < group->rule_count);
    group->rule_count--;
    memmove(&group->rules[index], &group->rules[index + 1],
        (group->rule_count - index) * sizeof *group->rules);
}

struct catalog_rule catalog_rule_for_all(bool is_egress, const char *peer_id, const char *id)
{
    struct catalog_rule rule = { .is_egress = is_egress,
        .protocol = "-1",
        .from_port = CATALOG_PORT_NONE,
        .to_port = CATALOG_PORT_NONE,
        .peer = peer_id != NULL ? CATALOG_PEER_GROUP : CATALOG_PEER_IPV4 };
    int err = text_copy(rule.id, sizeof rule.id, id);
    if (err == 0 && peer_id != NULL)
        err = text_copy(rule.group_id, sizeof rule.group_id, peer_id);
    assert(err == 0); /* ids of records fit */
    return rule;
}
