/* tests/bench/pattern.c - see pattern.h. Plain loops that the compiler turns into vector code. */
#include "pattern.h"

#include "bench.h"

#define WORDS (BLOCK_BYTES / sizeof(uint64_t))
#define STEP  UINT64_C(0x9e3779b97f4a7c15)

static uint64_t first_word(uint32_t file, uint64_t block, uint8_t generation)
{
    uint64_t value = ((uint64_t)file << 40 ^ block ^ (uint64_t)generation << 32) + STEP;
    value = (value ^ (value >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    value = (value ^ (value >> 27)) * UINT64_C(0x94d049bb133111eb);
    return value ^ (value >> 31);
}

void pattern_fill(uint8_t *out_block, uint32_t file, uint64_t block, uint8_t generation)
{
    uint64_t word = first_word(file, block, generation);
    for (size_t i = 0; i < WORDS; i++) {
        uint64_t value = word + i * STEP;
        memcpy(out_block + i * sizeof value, &value, sizeof value);
    }
}

bool pattern_matches(const uint8_t *data, uint32_t file, uint64_t block, uint8_t generation)
{
    uint64_t word = first_word(file, block, generation);
    uint64_t difference = 0;
    for (size_t i = 0; i < WORDS; i++) {
        uint64_t value;
        memcpy(&value, data + i * sizeof value, sizeof value);
        difference |= value ^ (word + i * STEP);
    }
    return difference == 0;
}
