/*
 * mount/resolve.h - from the words of a mount to the address, port and path that the kernel is given.
 *
 * The order is that of efs-utils: mounttargetip=, the name in DNS, then DescribeMountTargets with the caller's keys (and a
 * connection to each target, until one answers). A file system without a mount target, and one reached by server=, is a
 * directory of the server's own address.
 */
#pragma once

#include "mount/probe.h"
#include "mount/service.h"
#include "mount/source.h"

#define RESOLVE_NAME_SIZE 512

enum resolve_way { RESOLVE_ADDRESS, RESOLVE_TARGET_IP, RESOLVE_DNS, RESOLVE_API, RESOLVE_SERVER };

struct target {
    char address[PROBE_ADDRESS_SIZE];
    uint16_t port;
    char path[SOURCE_PATH_SIZE + SOURCE_HOST_SIZE];
    char label[RESOLVE_NAME_SIZE]; /* the host in the mount's name, as df shows it */
    char name
        [RESOLVE_NAME_SIZE]; /* that a certificate must have; the address when no name is known */
    char file_system[SOURCE_HOST_SIZE];
    char access_point[SOURCE_HOST_SIZE];
    enum resolve_way way;
};

/* May set options->tls and options->access_point, when the source is an access point. Errors with the sentence. */
MUST_CHECK int resolve_target(const struct source *source, struct mount_options *options,
    struct service *service, struct target *out_target, struct problem *problem);
/* "by DNS", "by the API"... */
const char *resolve_way_name(enum resolve_way way);
