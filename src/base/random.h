/* base/random.h - unpredictable bytes from the kernel; thread-safe. */
#pragma once

#include "base/base.h"

/* Fills `data`. Ends the process when the kernel has no randomness to give: ids and keys made
 * without it would be guessable. */
void random_bytes(void *data, size_t size);
uint64_t random_u64(void);
/* Writes `digits` lower-case hexadecimal digits and a NUL. */
void random_hex(char *out_text, size_t digits);
