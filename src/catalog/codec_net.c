/*
 * catalog/codec_net.c - records of the network as JSON (room: catalog; docs/formats/catalog.md).
 */
#include <arpa/inet.h>
#include <stdlib.h>

#include "catalog/internal.h"

static json_t *pack_rule(const struct catalog_rule *rule)
{
    char base[INET6_ADDRSTRLEN] = "";
    int family = rule->peer == CATALOG_PEER_IPV6 ? AF_INET6 : AF_INET;
    (void)inet_ntop(family, &rule->base, base, sizeof base); /* the buffer is large enough */
    return json_pack("{ss sb ss si si si ss si ss ss}", "id", rule->id, "egress",
        (int)rule->is_egress, "protocol", rule->protocol, "from", (int)rule->from_port, "to",
        (int)rule->to_port, "peer", (int)rule->peer, "base", base, "prefix_bits",
        (int)rule->prefix_bits, "group", rule->group_id, "description", rule->description);
}

static json_t *pack_rules(const struct catalog_net *net)
{
    json_t *list = json_array();
    for (size_t i = 0; i < net->rule_count; i++) {
        if (json_array_append_new(list, pack_rule(&net->rules[i])) < 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

json_t *net_pack(const struct catalog_net *net)
{
    char base[INET_ADDRSTRLEN] = "";
    (void)inet_ntop(AF_INET, &net->base, base, sizeof base); /* the buffer is large enough */
    json_t *groups = json_array();
    int err = 0;
    for (size_t i = 0; i < net->group_count; i++)
        err |= json_array_append_new(groups, json_string(net->groups[i]));
    if (err < 0) {
        json_decref(groups);
        return NULL;
    }
    return json_pack("{ss ss ss sb sI ss si ss ss ss so so so}", "id", net->id, "kind",
        net_kind_word(net->kind), "vpc", net->vpc_id, "default", (int)net->is_default, "created_ms",
        (json_int_t)net->created_ms, "base", base, "prefix_bits", (int)net->prefix_bits, "zone",
        net->zone_name, "name", net->name, "description", net->description, "groups", groups,
        "rules", pack_rules(net), "tags", codec_pack_tags(&net->tags));
}

static void take_rule(const json_t *object, struct catalog_net *net, bool *ok)
{
    struct catalog_rule rule = { .is_egress = json_is_true(json_object_get(object, "egress")) };
    char base[INET6_ADDRSTRLEN] = "";
    codec_take_text(object, "id", rule.id, sizeof rule.id, ok);
    codec_take_text(object, "protocol", rule.protocol, sizeof rule.protocol, ok);
    rule.from_port = (int32_t)codec_take_int(object, "from", CATALOG_PORT_NONE, UINT16_MAX, ok);
    rule.to_port = (int32_t)codec_take_int(object, "to", CATALOG_PORT_NONE, UINT16_MAX, ok);
    rule.peer = (enum catalog_peer_kind)codec_take_int(object, "peer", 0, CATALOG_PEER_GROUP, ok);
    rule.prefix_bits = (unsigned)codec_take_int(
        object, "prefix_bits", 0, rule.peer == CATALOG_PEER_IPV6 ? 128 : 32, ok);
    codec_take_text(object, "base", base, sizeof base, ok);
    codec_take_text(object, "group", rule.group_id, sizeof rule.group_id, ok);
    codec_take_text(object, "description", rule.description, sizeof rule.description, ok);
    if (inet_pton(rule.peer == CATALOG_PEER_IPV6 ? AF_INET6 : AF_INET, base, &rule.base) != 1 ||
        net->rule_count >= CATALOG_GROUP_RULES_MAX || catalog_group_add_rule(net, &rule) < 0)
        *ok = false;
}

void net_unpack(const json_t *object, struct catalog_net *net, bool *ok)
{
    char kind[CATALOG_NAME_SIZE] = "";
    char base[INET_ADDRSTRLEN] = "";
    codec_take_text(object, "id", net->id, sizeof net->id, ok);
    codec_take_text(object, "kind", kind, sizeof kind, ok);
    codec_take_text(object, "vpc", net->vpc_id, sizeof net->vpc_id, ok);
    net->is_default = json_is_true(json_object_get(object, "default"));
    net->created_ms = codec_take_int(object, "created_ms", INT64_MIN, INT64_MAX, ok);
    codec_take_text(object, "base", base, sizeof base, ok);
    net->prefix_bits = (unsigned)codec_take_int(object, "prefix_bits", 0, 32, ok);
    codec_take_text(object, "zone", net->zone_name, sizeof net->zone_name, ok);
    codec_take_text(object, "name", net->name, sizeof net->name, ok);
    codec_take_text(object, "description", net->description, sizeof net->description, ok);
    codec_take_tags(object, "tags", &net->tags, ok);
    if (net_kind_parse(kind, &net->kind) < 0 || inet_pton(AF_INET, base, &net->base) != 1)
        *ok = false;
    size_t i;
    const json_t *item;
    const json_t *groups = json_object_get(object, "groups");
    json_array_foreach(groups, i, item)
    {
        const char *id = json_string_value(item);
        if (i >= CATALOG_SECURITY_GROUPS_MAX || id == NULL || strlen(id) >= CATALOG_ID_SIZE) {
            *ok = false;
            return;
        }
        memcpy(net->groups[i], id, strlen(id) + 1);
        net->group_count = i + 1;
    }
    const json_t *rules = json_object_get(object, "rules");
    json_array_foreach(rules, i, item) take_rule(item, net, ok);
}
