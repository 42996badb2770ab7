/*
 * base/text.c - small things about strings (room: base).
 */
#include "base/text.h"

#include <stdarg.h>
#include <stdio.h>

#define WORD_MAX 64

int text_append(char *buffer, size_t size, size_t *used, const char *format, ...)
{
    assert(*used < size);
    va_list args;
    va_start(args, format);
    int written = vsnprintf(buffer + *used, size - *used, format, args);
    va_end(args);
    if (written < 0)
        return -EINVAL;
    if ((size_t)written >= size - *used) {
        *used = size - 1;
        return -ENOSPC;
    }
    *used += (size_t)written;
    return 0;
}

int text_copy(char *to, size_t size, const char *from)
{
    size_t length = strlen(from);
    if (length >= size) {
        to[0] = '\0';
        return -ENOSPC;
    }
    memcpy(to, from, length + 1);
    return 0;
}

int text_parse_u64(const char *text, uint64_t max, uint64_t *out_value)
{
    if (*text == '\0')
        return -EINVAL;
    uint64_t value = 0;
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9')
            return -EINVAL;
        if (__builtin_mul_overflow(value, 10u, &value) ||
            __builtin_add_overflow(value, (uint64_t)(*text - '0'), &value) || value > max)
            return -ERANGE;
    }
    *out_value = value;
    return 0;
}

/* How often the unit multiplies by 1000 or, with *out_is_binary, by 1024. Errors: -EINVAL. */
static int parse_unit(const char *unit, unsigned *out_power, bool *out_is_binary)
{
    static const char letters[] = "KMGTP";
    const char *letter = *unit == '\0' ? NULL : strchr(letters, *unit);
    *out_power = letter == NULL ? 0 : (unsigned)(letter - letters) + 1;
    unit += letter != NULL;
    *out_is_binary = letter != NULL && *unit == 'i';
    unit += *out_is_binary;
    unit += *unit == 'B';
    return *unit == '\0' ? 0 : -EINVAL;
}

int text_parse_size(const char *text, uint64_t max, uint64_t *out_value)
{
    char digits[24];
    unsigned power;
    bool is_binary;
    uint64_t value;
    size_t count = strspn(text, "0123456789");
    if (count == 0 || parse_unit(text + count, &power, &is_binary) < 0)
        return -EINVAL;
    if (count >= sizeof digits)
        return -ERANGE;
    memcpy(digits, text, count);
    digits[count] = '\0';
    int err = text_parse_u64(digits, max, &value);
    for (; err == 0 && power > 0; power--) {
        if (__builtin_mul_overflow(value, is_binary ? UINT64_C(1024) : UINT64_C(1000), &value) ||
            value > max)
            err = -ERANGE;
    }
    if (err == 0)
        *out_value = value;
    return err;
}

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
    unsigned least = a < b ? a : b;
    return least < c ? least : c;
}

unsigned text_distance(const char *a, const char *b)
{
    size_t a_size = min_size(strlen(a), WORD_MAX);
    size_t b_size = min_size(strlen(b), WORD_MAX);
    unsigned rows[3]
                 [WORD_MAX + 1]; /* of the table of distances: two before, one before, this one */
    for (size_t j = 0; j <= b_size; j++)
        rows[0][j] = (unsigned)j;
    for (size_t i = 1; i <= a_size; i++) {
        unsigned *row = rows[i % 3];
        const unsigned *before = rows[(i + 2) % 3];
        const unsigned *before2 = rows[(i + 1) % 3];
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= b_size; j++) {
            unsigned replaced = before[j - 1] + (a[i - 1] != b[j - 1]);
            row[j] = min3(before[j] + 1, row[j - 1] + 1, replaced);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                before2[j - 2] + 1 < row[j])
                row[j] = before2[j - 2] + 1;
        }
    }
    return rows[a_size % 3][b_size];
}

int text_nearest(const char *word, const char *const *words, size_t count)
{
    unsigned best = (unsigned)strlen(word) / 3 + 2; /* more changes than this is another word */
    int nearest = -1;
    for (size_t i = 0; i < count; i++) {
        unsigned distance = text_distance(word, words[i]);
        if (distance < best) {
            best = distance;
            nearest = (int)i;
        }
    }
    return nearest;
}
