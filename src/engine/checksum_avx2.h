/* engine/checksum_avx2.h - the checksum of a block by AVX2 instructions; for engine/checksum.c only. */
#pragma once

#include "base/base.h"

/* Whether this machine has the instructions. */
bool checksum_avx2_is_usable(void);
/* XXH3 (64 bits) of BLOCK_BYTES bytes. */
uint64_t checksum_avx2(const uint8_t *bytes);
