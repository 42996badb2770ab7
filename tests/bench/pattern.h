/*
 * tests/bench/pattern.h - what the bytes of a block must be: made of the file, the block's place in it
 * and how often it was written, so that data of another place or time is noticed.
 */
#pragma once

#include "base/base.h"

void pattern_fill(uint8_t *out_block, uint32_t file, uint64_t block, uint8_t generation);
MUST_CHECK bool pattern_matches(
    const uint8_t *data, uint32_t file, uint64_t block, uint8_t generation);
