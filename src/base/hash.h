/* base/hash.h - SipHash-2-4, for hash tables that strangers fill and for tags on file handles. */
#pragma once

#include "base/base.h"

struct hash_key {
    uint64_t k0;
    uint64_t k1;
};

/* SipHash-2-4 (Aumasson, Bernstein 2012) of `data`. Without the key its value cannot be guessed. */
uint64_t hash_keyed(const struct hash_key *key, const void *data, size_t size);

/* Spreads the bits of a number; for tables whose keys no stranger chooses. */
static inline uint64_t hash_u64(uint64_t value)
{
    value ^= value >> 32;
    value *= UINT64_C(0xd6e8feb86659fd93);
    value ^= value >> 32;
    value *= UINT64_C(0xd6e8feb86659fd93);
    value ^= value >> 32;
    return value;
}
