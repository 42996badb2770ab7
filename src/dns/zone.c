/*
 * dns/zone.c - the names of file systems (room: DNS).
 */
#include "dns/zone.h"

#include <stdatomic.h>

#include "catalog/nets.h"

#define TARGETS_MAX 32u /* of one file system that are looked at: far more than it can have zones */

/* A target that the name may mean. */
struct candidate {
    struct in_addr address;
    bool is_near; /* in the asker's zone */
};

struct candidates {
    unsigned available; /* mount targets that the name means, whether they serve or not */
    unsigned count;
    struct candidate items[TARGETS_MAX];
};

struct place {
    const struct catalog *catalog;
    struct in_addr address;
    const struct catalog_zone *zone; /* NULL: in no subnet */
};

static bool look_at_subnet(void *context, const struct catalog_net *subnet)
{
    struct place *place = context;
    uint32_t mask = subnet->prefix_bits == 0 ? 0 : UINT32_MAX << (32 - subnet->prefix_bits);
    if (((ntohl(place->address.s_addr) ^ ntohl(subnet->base.s_addr)) & mask) != 0)
        return true;
    place->zone = catalog_zone_find(catalog_network(place->catalog), subnet->zone_name);
    return false;
}

/* The zone that the address is in, or NULL. */
static const struct catalog_zone *zone_of(
    const struct catalog *catalog, const struct in_addr *address)
{
    if (address == NULL)
        return NULL;
    struct place place = { .catalog = catalog, .address = *address };
    catalog_net_each(catalog, CATALOG_SUBNET, look_at_subnet, &place);
    return place.zone;
}

static bool zone_is_named(const struct catalog_zone *zone, const char *name)
{
    return zone != NULL && (strcmp(zone->name, name) == 0 || strcmp(zone->id, name) == 0);
}

static void collect(const struct dns_zone *zone, const char *fs_id, const char *zone_name,
    const struct in_addr *asker, struct candidates *out)
{
    const struct catalog *catalog = zone->options.catalog;
    const struct catalog_zone *near = zone_of(catalog, asker);
    const struct catalog_mount_target *targets[TARGETS_MAX];
    size_t count = catalog_mount_target_list(catalog, fs_id, "", TARGETS_MAX, targets);
    for (size_t i = 0; i < count; i++) {
        struct catalog_subnet subnet;
        bool has_subnet = catalog_subnet_get(catalog, targets[i]->subnet_id, &subnet) == 0;
        const struct catalog_zone *in = has_subnet ? subnet.zone : NULL;
        if (targets[i]->state == CATALOG_AVAILABLE &&
            (zone_name == NULL || zone_is_named(in, zone_name))) {
            out->available++;
            if (zone->options.serves(zone->options.context, targets[i]->address))
                out->items[out->count++] = (struct candidate){ .address = targets[i]->address,
                    .is_near = near != NULL && in == near };
        }
        catalog_mount_target_put(targets[i]);
    }
}

static enum dns_found find(void *context, const struct dns_name *name, const struct in_addr *asker,
    struct dns_addresses *out_addresses)
{
    struct dns_zone *zone = context;
    struct candidates candidates = { 0 };
    const char *fs_id = name->labels[name->label_count - 1];
    const char *zone_name = name->label_count > 1 ? name->labels[0] : NULL;
    if (strncmp(fs_id, "fs-", 3) != 0 || strlen(fs_id) >= CATALOG_ID_SIZE)
        return DNS_NO_NAME;
    collect(zone, fs_id, zone_name, asker, &candidates);
    if (candidates.count == 0)
        return candidates.available > 0 ? DNS_DOWN : DNS_NO_NAME;
    for (unsigned i = 0; i < candidates.count; i++) {
        if (candidates.items[i].is_near) {
            *out_addresses =
                (struct dns_addresses){ .count = 1, .items = { candidates.items[i].address } };
            return DNS_HOSTS;
        }
    }
    uint32_t turn = atomic_fetch_add_explicit(&zone->turn, 1, memory_order_relaxed);
    struct dns_addresses all = { .count = min_u32(candidates.count, DNS_ADDRESSES_MAX) };
    for (unsigned i = 0; i < all.count; i++)
        all.items[i] = candidates.items[(turn + i) % candidates.count].address;
    *out_addresses = all;
    return DNS_HOSTS;
}

static uint32_t serial(void *context)
{
    const struct dns_zone *zone = context;
    return (uint32_t)catalog_generation(zone->options.catalog);
}

struct dns_source dns_zone_source(struct dns_zone *zone)
{
    return (struct dns_source){ .context = zone, .find = find, .serial = serial };
}
