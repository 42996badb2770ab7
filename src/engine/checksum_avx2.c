/*
 * engine/checksum_avx2.c - XXH3 by AVX2 (room: engine). Compiled with -mavx2, so nothing here but checksum_avx2()
 * may run before checksum_avx2_is_usable() said so.
 */
#include "engine/checksum_avx2.h"

#define XXH_INLINE_ALL
#define XXH_VECTOR 2 /* XXH_AVX2 */
#include <xxhash.h>

#include "engine/keys.h"

uint64_t checksum_avx2(const uint8_t *bytes)
{
    return XXH3_64bits(bytes, BLOCK_BYTES);
}
