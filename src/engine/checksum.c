/*
 * engine/checksum.c - the checksum of a block: XXH3, by the fastest instructions there are (room: engine).
 */
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "engine/checksum_avx2.h"
#include "engine/file.h"

uint64_t block_checksum(const uint8_t *bytes)
{
    return checksum_avx2_is_usable() ? checksum_avx2(bytes) : XXH3_64bits(bytes, BLOCK_BYTES);
}
