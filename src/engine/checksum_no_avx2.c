/*
 * engine/checksum_no_avx2.c - for processors and compilers without AVX2 (room: engine).
 */
#include "engine/checksum_avx2.h"

bool checksum_avx2_is_usable(void)
{
    return false;
}

uint64_t checksum_avx2(const uint8_t *bytes)
{
    (void)bytes;
    assert(!"not called where it is not usable");
    return 0;
}
