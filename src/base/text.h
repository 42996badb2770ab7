/* base/text.h - small things about strings: bounded building, numbers, the nearest known word. */
#pragma once

#include "base/base.h"

/* Appends to a NUL-terminated text in a buffer of `size` bytes; *used counts its bytes.
 * Errors: -ENOSPC, and the text is then cut at the buffer's end. */
MUST_CHECK int text_append(char *buffer, size_t size, size_t *used, const char *format, ...)
    PRINTF_LIKE(4, 5);
/* Copies with the NUL. Errors: -ENOSPC when it does not fit; `to` is then the empty text. */
MUST_CHECK int text_copy(char *to, size_t size, const char *from);
/* Parses a whole decimal number, no sign, no blanks. Errors: -EINVAL, -ERANGE beyond `max`. */
MUST_CHECK int text_parse_u64(const char *text, uint64_t max, uint64_t *out_value);
/* Parses a number with a unit: K, M, G, T, P of 1000, Ki to Pi of 1024, each perhaps with a B. Errors: -EINVAL, -ERANGE. */
MUST_CHECK int text_parse_size(const char *text, uint64_t max, uint64_t *out_value);
/* Changes to the string "a" to make it "b" (insert, delete, replace, swap of neighbours). */
unsigned text_distance(const char *a, const char *b);
/* Which of `count` words is nearest to `word`; -1 when none is near enough to be worth proposing.
 */
int text_nearest(const char *word, const char *const *words, size_t count);
