/*
 * daemon/service.h - everything that serves, put together: storage, catalog, NFS, control API.
 *
 * The only place that knows every room. Used by the main thread only.
 */
#pragma once

#include "catalog/records.h"
#include "daemon/data_dir.h"
#include "daemon/options.h"

struct service;

/* Opens all parts, lowest first, and serves when it returns. `options` and `dir` are borrowed for the service's
 * life. Errors: -errno, with a sentence that says what to do. */
MUST_CHECK int service_start(const struct options *options, const struct data_dir *dir,
    struct service **out_service, struct problem *out_problem);
/* Work that is due; call it once a second. May wait for storage. */
void service_tick(struct service *service);
/* Takes no new requests, gives running ones `wait_ms` to finish, makes all durable, closes and frees all. */
void service_stop(struct service *service, uint64_t wait_ms);

uint16_t service_nfs_port(const struct service *service);
uint16_t service_control_port(const struct service *service);
/* Where DNS is answered; none: dns.listen is off. */
void service_dns_listening(const struct service *service, struct endpoint_list *out_list);
/* The default network, whose subnets take mount targets; borrowed. */
const struct catalog_network *service_network(const struct service *service);
