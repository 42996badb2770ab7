/*
 * mount/probe.h - asking a target whether it answers, before the kernel is let onto it.
 *
 * Source: RFC 5531 (records and the NULL procedure), RFC 8881 section 16.1 (procedure 0 of program 100003).
 */
#pragma once

#include "mount/problem.h"

/* Resolves a host's name with a time limit (in a child: resolvers can hang). Writes up to `count_max` numeric addresses, IPv4
 * first. Errors: -ENOENT: the name is not known; -EAGAIN: the name server does not answer; -ETIMEDOUT. */
#define PROBE_ADDRESS_SIZE  64
#define PROBE_ADDRESSES_MAX 16
struct probe_addresses {
    uint32_t count;
    char list[PROBE_ADDRESSES_MAX][PROBE_ADDRESS_SIZE];
};
MUST_CHECK int probe_resolve(
    const char *host, uint64_t limit_ms, struct probe_addresses *out_addresses);
/* Connects; gives the socket (blocking, the caller's). Errors: of connect(2), -ETIMEDOUT, -EINVAL: no numeric address. */
MUST_CHECK int probe_connect(const char *address, uint16_t port, uint64_t limit_ms);
/* Connects and calls the NULL procedure of NFSv4. *out_reached: the TCP connection was made. Errors: those of probe_connect();
 * -ECONNRESET: closed without an answer; -EPROTO: answered by something that is no NFS server; -ETIMEDOUT. */
MUST_CHECK int probe_nfs(const char *address, uint16_t port, uint64_t limit_ms, bool *out_reached);
/* The sentence for what probe_nfs() gave. `what` names the target. */
int probe_explain(int err, bool reached, const char *what, uint16_t port, struct problem *problem);
