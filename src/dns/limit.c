/*
 * dns/limit.c - a bucket of tokens for each source (room: DNS).
 *
 * Sources are found by a keyed hash, so that nobody can choose whom to collide with. Each set of four keeps the four that asked last.
 */
#include "dns/limit.h"

#include <netinet/in.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/random.h"

#define SETS 1024u /* a power of two */
#define WAYS 4u
#define MILLI \
    1000u /* tokens are counted in thousandths, so that a ms of any rate is a whole number */

struct bucket {
    uint64_t source; /* the hash; 0: free */
    uint64_t turn;   /* of the limit when it was last asked: many are asked in one ms */
    uint64_t seen_ms;
    uint64_t tokens;
    bool dropped; /* the last one beyond the rate was; the next is truncated */
};

struct dns_limit {
    uint32_t rate;
    uint64_t turn;
    struct hash_key key;
    struct bucket sets[SETS][WAYS];
};

int dns_limit_new(uint32_t rate, struct dns_limit **out_limit)
{
    assert(rate >= 1);
    struct dns_limit *limit = calloc(1, sizeof *limit);
    if (limit == NULL)
        return -ENOMEM;
    limit->rate = rate;
    random_bytes(&limit->key, sizeof limit->key);
    *out_limit = limit;
    return 0;
}

void dns_limit_free(struct dns_limit *limit)
{
    free(limit);
}

static uint64_t source_of(const struct dns_limit *limit, const struct sockaddr_storage *peer)
{
    uint64_t hash = 0;
    if (peer->ss_family == AF_INET6) {
        const struct sockaddr_in6 *wide = (const struct sockaddr_in6 *)(const void *)peer;
        hash = hash_keyed(&limit->key, &wide->sin6_addr, 8);
    } else {
        const struct sockaddr_in *plain = (const struct sockaddr_in *)(const void *)peer;
        hash = hash_keyed(&limit->key, &plain->sin_addr, sizeof plain->sin_addr);
    }
    return hash | 1u; /* never that of a free bucket */
}

static struct bucket *bucket_of(struct dns_limit *limit, uint64_t source, uint64_t now_ms)
{
    struct bucket *set = limit->sets[source >> 32 & (SETS - 1)];
    struct bucket *oldest = &set[0];
    for (unsigned i = 0; i < WAYS; i++) {
        if (set[i].source == source)
            return &set[i];
        if (set[i].turn < oldest->turn) /* 0 of one that is free */
            oldest = &set[i];
    }
    *oldest = (struct bucket){
        .source = source, .seen_ms = now_ms, .tokens = (uint64_t)limit->rate * MILLI
    };
    return oldest;
}

enum dns_verdict dns_limit_take(
    struct dns_limit *limit, const struct sockaddr_storage *peer, uint64_t now_ms)
{
    struct bucket *bucket = bucket_of(limit, source_of(limit, peer), now_ms);
    uint64_t full = (uint64_t)limit->rate * MILLI;
    uint64_t passed_ms = now_ms > bucket->seen_ms ? now_ms - bucket->seen_ms : 0;
    bucket->seen_ms = now_ms;
    bucket->turn = ++limit->turn;
    /* After a second a bucket is full whatever it held: no product can overflow. */
    bucket->tokens =
        passed_ms >= MILLI ? full : min_u64(full, bucket->tokens + passed_ms * limit->rate);
    if (bucket->tokens >= MILLI) {
        bucket->tokens -= MILLI;
        return DNS_ANSWER;
    }
    bucket->dropped = !bucket->dropped;
    return bucket->dropped ? DNS_DROP : DNS_TRUNCATE;
}
