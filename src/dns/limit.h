/*
 * dns/limit.h - how many questions of one source are answered: a bucket of tokens for each (room: DNS).
 *
 * UDP lets anybody ask in somebody else's name. What we send to one address per second is therefore bounded, whoever asked.
 * A source is an address of IPv4, or a /64 of IPv6. The table has a fixed size; when strangers fill it, those longest silent are
 * forgotten. Not thread-safe. Reads no clock.
 */
#pragma once

#include <sys/socket.h>

#include "base/base.h"

struct dns_limit;

enum dns_verdict {
    DNS_ANSWER,
    DNS_TRUNCATE, /* say "come by TCP", which costs no more than the question */
    DNS_DROP,
};

/* `rate`: answers per second and source, at least 1. Errors: -ENOMEM. */
MUST_CHECK int dns_limit_new(uint32_t rate, struct dns_limit **out_limit);
/* NULL is allowed. */
void dns_limit_free(struct dns_limit *limit);
/* A question of `peer` came at `now_ms`. Beyond its rate every second one is dropped: a resolver that is really there comes by TCP. */
enum dns_verdict dns_limit_take(
    struct dns_limit *limit, const struct sockaddr_storage *peer, uint64_t now_ms);
