/*
 * catalog/nets.h - the network: VPCs, subnets, security groups with their rules, and which group a host is in.
 *
 * The names and rules are EC2's (EC2 API 2016-11-15). A record that was read never changes (catalog/records.h). The
 * default VPC, its subnets and its group are records like others; struct catalog_network names them. Which connection a
 * mount target's groups let in is catalog_admits() in catalog/catalog.h.
 */
#pragma once

#include "catalog/records.h"

#define CATALOG_NET_TEXT_SIZE   256 /* names and descriptions: 255 characters of ASCII */
#define CATALOG_PROTOCOL_SIZE   8   /* "tcp", "udp", "icmp", "icmpv6", a number, or "-1": all */
#define CATALOG_PORT_NONE       (-1)
#define CATALOG_GROUP_RULES_MAX 120 /* EC2: 60 for each direction */

enum catalog_net_kind {
    CATALOG_VPC,
    CATALOG_SUBNET,
    CATALOG_SECURITY_GROUP,
    CATALOG_HOST,
    CATALOG_NET_KIND_COUNT,
};

enum catalog_peer_kind { CATALOG_PEER_IPV4, CATALOG_PEER_IPV6, CATALOG_PEER_GROUP };

/* One rule of a security group. */
struct catalog_rule {
    char id[CATALOG_ID_SIZE]; /* sgr-.. */
    bool is_egress;
    char protocol[CATALOG_PROTOCOL_SIZE];
    int32_t from_port; /* or ICMP type; CATALOG_PORT_NONE: all */
    int32_t to_port;
    enum catalog_peer_kind peer;
    struct in6_addr base; /* CATALOG_PEER_IPV4: in the first 4 bytes */
    unsigned prefix_bits;
    char group_id[CATALOG_ID_SIZE]; /* CATALOG_PEER_GROUP */
    char description[CATALOG_NET_TEXT_SIZE];
};

struct catalog_net {
    char id
        [CATALOG_ID_SIZE]; /* vpc-.., subnet-.., sg-..; of a host: its address as inet_ntop() writes it */
    enum catalog_net_kind kind;
    char vpc_id[CATALOG_ID_SIZE]; /* of subnets and groups */
    bool is_default;              /* the default VPC, its subnets; the default group of each VPC */
    int64_t created_ms;
    struct in_addr base; /* of VPCs and subnets */
    unsigned prefix_bits;
    char zone_name[CATALOG_NAME_SIZE];       /* of subnets */
    char name[CATALOG_NET_TEXT_SIZE];        /* of groups */
    char description[CATALOG_NET_TEXT_SIZE]; /* of groups */
    size_t group_count;                      /* of hosts: the groups they are in */
    char groups[CATALOG_SECURITY_GROUPS_MAX][CATALOG_ID_SIZE];
    size_t rule_count;          /* of groups */
    struct catalog_rule *rules; /* owned; in the order in which they were made */
    struct catalog_tags tags;
};

/* A reference, or NULL when there is none of that kind; give it back with catalog_net_put() (NULL is allowed). */
const struct catalog_net *catalog_net_get(
    const struct catalog *catalog, enum catalog_net_kind kind, const char *id);
void catalog_net_put(const struct catalog_net *net);
/* References to up to `max` of a kind whose id is greater than `after_id` ("": from the first), by ids. */
size_t catalog_net_list(const struct catalog *catalog, enum catalog_net_kind kind,
    const char *after_id, size_t max, const struct catalog_net **out_list);
/* Calls `visit` with each of a kind, in the order of ids, until it gives false. No lock is held meanwhile. */
void catalog_net_each(const struct catalog *catalog, enum catalog_net_kind kind,
    bool (*visit)(void *context, const struct catalog_net *net), void *context);

/* The id of a VPC's default group. Errors: -ENOENT. */
MUST_CHECK int catalog_default_group(
    const struct catalog *catalog, const char *vpc_id, char out_id[CATALOG_ID_SIZE]);
/* What mount targets need to know of a subnet. Errors: -ENOENT. */
MUST_CHECK int catalog_subnet_get(
    const struct catalog *catalog, const char *id, struct catalog_subnet *out_subnet);

/* For use by `make` only, as their like in catalog/records.h. */
MUST_CHECK int catalog_add_net(struct catalog_change *change, struct catalog_net **out_net);
MUST_CHECK int catalog_edit_net(
    struct catalog_change *change, const char *id, struct catalog_net **out_net);
MUST_CHECK int catalog_remove_net(struct catalog_change *change, const char *id);
/* Adds a rule at the end. Errors: -ENOMEM, and nothing is changed. */
MUST_CHECK int catalog_group_add_rule(struct catalog_net *group, const struct catalog_rule *rule);
void catalog_group_remove_rule(struct catalog_net *group, size_t index);
/* A rule that lets everything through: to and from the group `peer_id`, or, when it is NULL, all IPv4 addresses. */
struct catalog_rule catalog_rule_for_all(bool is_egress, const char *peer_id, const char *id);
