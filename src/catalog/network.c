/*
 * catalog/network.c - the default network: one VPC, one subnet in each zone (room: catalog).
 *
 * Linux makes all of 127.0.0.0/8 local, so with this VPC every mount target has an address of its
 * own and nobody has to set up a network. The ids follow from region and account, so that examples
 * and scripts can name them.
 */
#include <openssl/sha.h>
#include <stdio.h>

#include "base/text.h"
#include "catalog/internal.h"

#define VPC_BASE           0x7f100000u /* 127.16.0.0/12 */
#define VPC_PREFIX_BITS    12
#define SUBNET_PREFIX_BITS 20
#define SUBNET_SIZE        (1u << (32 - SUBNET_PREFIX_BITS))
#define ZONE_COUNT         3
#define RESERVED_FIRST \
    4 /* network, router, DNS, future use: as in every VPC; and the last, broadcast */
#define ID_DIGITS 17

/* An id that is the same wherever region and account are: a prefix and 17 hexadecimal digits. */
static void make_id(const char *prefix, const char *region, const char *account_id,
    const char *what, char out_id[CATALOG_ID_SIZE])
{
    char seed[4 * CATALOG_NAME_SIZE];
    uint8_t digest[SHA256_DIGEST_LENGTH];
    int size = snprintf(seed, sizeof seed, "shoal network/%s/%s/%s", region, account_id, what);
    assert(size > 0 && (size_t)size < sizeof seed);
    (void)SHA256((const uint8_t *)seed, (size_t)size, digest);
    size_t used = (size_t)snprintf(out_id, CATALOG_ID_SIZE, "%s-0", prefix); /* as AWS's: 0 leads */
    static const char hex[] = "0123456789abcdef";
    for (unsigned i = 0; i < ID_DIGITS - 1; i++)
        out_id[used++] = hex[(digest[i / 2] >> (i % 2 == 0 ? 4 : 0)) & 15];
    out_id[used] = '\0';
}

/* One word of a region's name as zone ids write it: "southeast" is "se", "gov" is "g". */
static void append_direction(char *to, size_t size, size_t *used, const char *word)
{
    static const char *const directions[] = { "north", "south", "east", "west", "central" };
    while (*word != '\0' && *word != '-') {
        size_t matched = 0;
        for (size_t i = 0; i < ARRAY_SIZE(directions) && matched == 0; i++) {
            if (strncmp(word, directions[i], strlen(directions[i])) == 0)
                matched = strlen(directions[i]);
        }
        int err = text_append(to, size, used, "%c", *word);
        assert(err == 0); /* the result is shorter than the region's name, which fits */
        if (matched == 0)
            return; /* any other word gives its first letter */
        word += matched;
    }
}

/* us-east-1 -> use1, ap-southeast-2 -> apse2, us-gov-west-1 -> usgw1: as AWS names its zones' ids.
 */
static void zone_id_prefix(const char *region, char *to, size_t size)
{
    size_t used = 0;
    to[0] = '\0';
    for (const char *word = region; word != NULL;) {
        const char *dash = strchr(word, '-');
        int length = dash != NULL ? (int)(dash - word) : (int)strlen(word);
        if (word == region || dash == NULL) {
            int err = text_append(to, size, &used, "%.*s", length, word);
            assert(err == 0);
        } else {
            append_direction(to, size, &used, word);
        }
        word = dash != NULL ? dash + 1 : NULL;
    }
}

void network_make(const char *region, const char *account_id, struct catalog_network *out_network)
{
    struct catalog_network *network = out_network;
    *network = (struct catalog_network){ .prefix_bits = VPC_PREFIX_BITS, .zone_count = ZONE_COUNT };
    network->base.s_addr = htonl(VPC_BASE);
    make_id("vpc", region, account_id, "vpc", network->vpc_id);
    make_id("sg", region, account_id, "default security group", network->security_group_id);
    char prefix[CATALOG_NAME_SIZE];
    zone_id_prefix(region, prefix, sizeof prefix);
    for (unsigned i = 0; i < ZONE_COUNT; i++) {
        struct catalog_zone *zone = &network->zones[i];
        struct catalog_subnet *subnet = &network->subnets[i];
        (void)snprintf(zone->name, sizeof zone->name, "%.32s%c", region, (char)('a' + i));
        (void)snprintf(zone->id, sizeof zone->id, "%.32s-az%u", prefix, i + 1);
        make_id("subnet", region, account_id, zone->name, subnet->id);
        subnet->base.s_addr = htonl(VPC_BASE + i * SUBNET_SIZE);
        subnet->prefix_bits = SUBNET_PREFIX_BITS;
        memcpy(subnet->vpc_id, network->vpc_id, sizeof subnet->vpc_id);
        subnet->zone = zone;
    }
}

/* A record of the network, in no table. */
static int new_net(
    enum catalog_net_kind kind, const char *id, const char *vpc_id, struct entry **out_entry)
{
    struct entry *entry;
    int err = entry_new(ENTRY_NET, &entry);
    if (err < 0)
        return err;
    entry->net.kind = kind;
    entry->net.is_default = kind != CATALOG_HOST;
    err = text_copy(entry->net.id, sizeof entry->net.id, id);
    if (err == 0)
        err = text_copy(entry->net.vpc_id, sizeof entry->net.vpc_id, vpc_id);
    assert(err == 0); /* ids fit */
    *out_entry = entry;
    return 0;
}

/* EC2: the default group lets in whoever is in it, and everything out. */
static int new_default_group(const struct catalog_network *network, struct entry **out_entry)
{
    struct entry *entry;
    const char *group_id = network->security_group_id;
    int err = new_net(CATALOG_SECURITY_GROUP, group_id, network->vpc_id, &entry);
    if (err < 0)
        return err;
    struct catalog_net *group = &entry->net;
    err = text_copy(group->name, sizeof group->name, "default");
    assert(err == 0);
    err = text_copy(group->description, sizeof group->description, "default VPC security group");
    assert(err == 0);
    for (unsigned i = 0; err == 0 && i < 2; i++) {
        char id[CATALOG_ID_SIZE]; /* the same on every machine, as the group's */
        (void)snprintf(id, sizeof id, "sgr-%.15s%u%u", group_id + strlen("sg-"), i, i);
        struct catalog_rule rule = catalog_rule_for_all(i == 1, i == 0 ? group_id : NULL, id);
        err = catalog_group_add_rule(group, &rule);
    }
    if (err < 0) {
        entry_unref(entry);
        return err;
    }
    *out_entry = entry;
    return 0;
}

int network_make_records(const struct catalog_network *network,
    int (*add)(void *context, struct entry *entry), void *context)
{
    struct entry *entry;
    int err = new_net(CATALOG_VPC, network->vpc_id, "", &entry);
    if (err == 0) {
        entry->net.base = network->base;
        entry->net.prefix_bits = network->prefix_bits;
        err = add(context, entry);
    }
    for (size_t i = 0; err == 0 && i < network->zone_count; i++) {
        const struct catalog_subnet *subnet = &network->subnets[i];
        err = new_net(CATALOG_SUBNET, subnet->id, network->vpc_id, &entry);
        if (err < 0)
            break;
        entry->net.base = subnet->base;
        entry->net.prefix_bits = subnet->prefix_bits;
        memcpy(entry->net.zone_name, subnet->zone->name, sizeof entry->net.zone_name);
        err = add(context, entry);
    }
    if (err == 0)
        err = new_default_group(network, &entry);
    if (err == 0)
        err = add(context, entry);
    if (err == 0)
        err = new_net(CATALOG_HOST, "127.0.0.1", "", &entry);
    if (err == 0) {
        memcpy(entry->net.groups[0], network->security_group_id, CATALOG_ID_SIZE);
        entry->net.group_count = 1;
        err = add(context, entry);
    }
    return err;
}

const struct catalog_zone *catalog_zone_find(
    const struct catalog_network *network, const char *name)
{
    for (size_t i = 0; i < network->zone_count; i++) {
        if (strcmp(network->zones[i].name, name) == 0)
            return &network->zones[i];
    }
    return NULL;
}

/* The lowest and the highest address that a target may have. */
static void usable_range(
    const struct catalog_subnet *subnet, uint32_t *out_first, uint32_t *out_last)
{
    uint32_t base = ntohl(subnet->base.s_addr);
    uint32_t size = (uint32_t)(UINT64_C(1) << (32 - subnet->prefix_bits));
    *out_first = base + RESERVED_FIRST;
    *out_last = base + size - 2;
}

bool catalog_subnet_has(const struct catalog_subnet *subnet, struct in_addr address)
{
    uint32_t first;
    uint32_t last;
    usable_range(subnet, &first, &last);
    uint32_t value = ntohl(address.s_addr);
    return value >= first && value <= last;
}

/* The node of the first taken address at or after `value`. */
static const struct catalog_index_node *first_taken(const struct tables *tables, uint32_t value)
    REQUIRES_SHARED(tables->lock)
{
    char key[9];
    address_to_key((struct in_addr){ .s_addr = htonl(value - 1) }, key);
    return catalog_index_after(&tables->indexes[TABLE_MOUNT_TARGET_ADDRESS], key, "");
}

unsigned catalog_subnet_free_count(
    const struct catalog *catalog, const struct catalog_subnet *subnet)
{
    uint32_t first;
    uint32_t last;
    usable_range(subnet, &first, &last);
    unsigned free_count = last - first + 1;
    char end[9];
    address_to_key((struct in_addr){ .s_addr = htonl(last) }, end);
    struct tables *tables = catalog->tables;
    rwlock_read_lock(&tables->lock);
    for (const struct catalog_index_node *node = first_taken(tables, first);
         node != NULL && strcmp(node->major, end) <= 0; node = node->next[0])
        free_count--;
    rwlock_read_unlock(&tables->lock);
    return free_count;
}

int catalog_subnet_pick(
    const struct catalog *catalog, const struct catalog_subnet *subnet, struct in_addr *out_address)
{
    uint32_t value;
    uint32_t last;
    usable_range(subnet, &value, &last);
    struct tables *tables = catalog->tables;
    rwlock_read_lock(&tables->lock);
    const struct catalog_index_node *node = first_taken(tables, value);
    for (; value <= last; value++, node = node->next[0]) {
        char key[9];
        address_to_key((struct in_addr){ .s_addr = htonl(value) }, key);
        if (node == NULL || strcmp(node->major, key) != 0)
            break; /* the first gap */
    }
    rwlock_read_unlock(&tables->lock);
    if (value > last)
        return -ENOSPC;
    out_address->s_addr = htonl(value);
    return 0;
}
