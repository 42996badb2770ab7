/*
 * dns/zone.h - the names of file systems: which mount targets are meant, and which of them serve (room: DNS).
 *
 *   fs-ID              the mount target of the asker's zone; for askers in none of ours, or when that one does not serve,
 *                      all that serve, each time another one first
 *   ZONE.fs-ID         the mount target of that zone, by the zone's name (us-east-1a) or id (use1-az1)
 *
 * A name exists while it has an `available` mount target, as at EFS. Thread-safe; waits for nothing.
 * Source: EFS User Guide, "Mounting with the DNS name"; efs-utils' dns_resolver.py for the form with the zone's id.
 */
#pragma once

#include "catalog/catalog.h"
#include "dns/answer.h"

struct dns_zone_options {
    const struct catalog *catalog;
    /* Whether clients that connect to this address now would be served. */
    bool (*serves)(void *context, struct in_addr address);
    void *context;
};

struct dns_zone {
    struct dns_zone_options options;
    _Atomic uint32_t turn; /* which target comes first in the next answer */
};

/* The zone as a source of names; `zone` has its options set, and is borrowed. */
struct dns_source dns_zone_source(struct dns_zone *zone);
