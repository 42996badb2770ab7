/*
 * catalog/guard.c - which connections the security groups of a mount target let in (room: catalog).
 *
 * A connection is let in when an ingress rule of one of the target's groups covers TCP port 2049 and the peer: by its
 * address, or because the peer is in the group that the rule names. Who is in a group: hosts that were put into it, and
 * the network interfaces of mount targets. Rules only allow, so the order does not matter. Egress rules need no look:
 * groups are stateful, and answers to what was let in may always leave. Source: EC2 User Guide, "Security group rules".
 */
#include <arpa/inet.h>

#include "catalog/internal.h"

#define NFS_PORT \
    2049 /* what rules are about; nfs.port may be another on a machine where that one is taken */

struct peer {
    int family;
    struct in6_addr address; /* AF_INET: in the first 4 bytes */
    size_t group_count;
    const char (*groups)[CATALOG_ID_SIZE]; /* borrowed from a record */
};

static bool has_prefix(const uint8_t *address, const uint8_t *base, unsigned prefix_bits)
{
    unsigned whole = prefix_bits / 8;
    unsigned rest = prefix_bits % 8;
    uint8_t mask = (uint8_t)(0xff00 >> rest);
    return memcmp(address, base, whole) == 0 &&
           (rest == 0 || ((address[whole] ^ base[whole]) & mask) == 0);
}

static bool is_peer_of(const struct catalog_rule *rule, const struct peer *peer)
{
    if (rule->peer == CATALOG_PEER_GROUP) {
        for (size_t i = 0; i < peer->group_count; i++) {
            if (strcmp(peer->groups[i], rule->group_id) == 0)
                return true;
        }
        return false;
    }
    if ((rule->peer == CATALOG_PEER_IPV6) != (peer->family == AF_INET6))
        return false;
    return has_prefix(peer->address.s6_addr, rule->base.s6_addr, rule->prefix_bits);
}

static bool is_about_nfs(const struct catalog_rule *rule)
{
    if (rule->is_egress)
        return false;
    if (strcmp(rule->protocol, "-1") == 0)
        return true;
    if (strcmp(rule->protocol, "tcp") != 0 && strcmp(rule->protocol, "6") != 0)
        return false;
    return rule->from_port == CATALOG_PORT_NONE ||
           (rule->from_port <= NFS_PORT && rule->to_port >= NFS_PORT);
}

static const struct catalog_mount_target *target_at(
    const struct tables *tables, struct in_addr address) REQUIRES_SHARED(tables->lock)
{
    char key[9];
    address_to_key(address, key);
    struct catalog_index_node *node =
        catalog_index_find(&tables->indexes[TABLE_MOUNT_TARGET_ADDRESS], key, "");
    return node == NULL ? NULL : &entry_of_node(node, tables->layer, 2)->mount_target;
}

/* Reads an address, an IPv4 one that came over IPv6 as IPv4, and what groups it is in. */
static void describe_peer(const struct tables *tables, const struct sockaddr_storage *from,
    struct peer *out_peer) REQUIRES_SHARED(tables->lock)
{
    struct peer peer = { .family = AF_INET };
    if (from->ss_family == AF_INET6) {
        struct sockaddr_in6 in6;
        memcpy(&in6, from, sizeof in6);
        bool is_mapped = IN6_IS_ADDR_V4MAPPED(&in6.sin6_addr);
        peer.family = is_mapped ? AF_INET : AF_INET6;
        memcpy(&peer.address, &in6.sin6_addr.s6_addr[is_mapped ? 12 : 0], is_mapped ? 4 : 16);
    } else {
        struct sockaddr_in in;
        memcpy(&in, from, sizeof in);
        memcpy(&peer.address, &in.sin_addr, sizeof in.sin_addr);
    }
    char text[INET6_ADDRSTRLEN] = "";
    (void)inet_ntop(peer.family, &peer.address, text, sizeof text); /* the buffer is large enough */
    const struct entry *host = tables_find(tables, ENTRY_NET, text);
    if (host != NULL && host->net.kind == CATALOG_HOST) {
        peer.group_count = host->net.group_count;
        peer.groups = host->net.groups;
    } else if (peer.family == AF_INET) {
        struct in_addr address;
        memcpy(&address, &peer.address, sizeof address);
        const struct catalog_mount_target *target = target_at(tables, address);
        peer.group_count = target != NULL ? target->security_group_count : 0;
        peer.groups = target != NULL ? target->security_groups : NULL;
    }
    *out_peer = peer;
}

bool catalog_admits(
    const struct catalog *catalog, struct in_addr local, const struct sockaddr_storage *from)
{
    struct tables *tables = catalog->tables;
    rwlock_read_lock(&tables->lock);
    const struct catalog_mount_target *target = target_at(tables, local);
    bool admitted = target == NULL; /* no mount target, no group: nfs.listen alone decides */
    struct peer peer = { .family = AF_INET };
    if (target != NULL)
        describe_peer(tables, from, &peer);
    for (size_t i = 0; target != NULL && !admitted && i < target->security_group_count; i++) {
        const struct entry *group = tables_find(tables, ENTRY_NET, target->security_groups[i]);
        for (size_t k = 0; group != NULL && !admitted && k < group->net.rule_count; k++) {
            const struct catalog_rule *rule = &group->net.rules[k];
            admitted = is_about_nfs(rule) && is_peer_of(rule, &peer);
        }
    }
    rwlock_read_unlock(&tables->lock);
    return admitted;
}
