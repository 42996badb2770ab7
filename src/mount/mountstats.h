/*
 * mount/mountstats.h - /proc/self/mountstats: what the kernel's NFS client counts for each mount. Reading it asks no server.
 *
 * Counters only grow while a mount lives. Source: nfsiostat(8), mountstats(8); fs/nfs/super.c and net/sunrpc/stats.c of Linux.
 */
#pragma once

#include "base/base.h"

struct mountstats {
    uint64_t age_s;
    uint64_t read_bytes; /* of programs: read(2) and O_DIRECT */
    uint64_t write_bytes;
    uint64_t server_read_bytes; /* over the wire */
    uint64_t server_write_bytes;
    uint64_t operations; /* of all kinds */
    uint64_t retransmissions;
    uint64_t timeouts;
    uint64_t errors; /* answers other than success; 0 before Linux 5.3 */
    uint64_t read_operations;
    uint64_t read_execute_ms; /* in sum, from the call to the answer */
    uint64_t write_operations;
    uint64_t write_execute_ms;
    uint64_t connects; /* connections made, of all its transports */
    uint64_t transports;
};

/* The counters of the NFS mount at `point`, of which the later of two counts. Errors: -ENOENT: no NFS mount is there; -EINVAL:
 * they are there, but cannot be read. */
MUST_CHECK int mountstats_parse(const char *text, const char *point, struct mountstats *out_stats);
/* The same of this process. Errors also: the system's. */
MUST_CHECK int mountstats_read(const char *point, struct mountstats *out_stats);
