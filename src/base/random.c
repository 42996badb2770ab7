/*
 * base/random.c - unpredictable bytes from the kernel (room: base).
 */
#include "base/random.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

void random_bytes(void *data, size_t size)
{
    uint8_t *to = data;
    while (size > 0) {
        ssize_t n = getrandom(to, size, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            perror("getrandom");
            abort();
        }
        to += n;
        size -= (size_t)n;
    }
}

uint64_t random_u64(void)
{
    uint64_t value;
    random_bytes(&value, sizeof value);
    return value;
}

void random_hex(char *out_text, size_t digits)
{
    static const char hex[] = "0123456789abcdef";
    for (size_t i = 0; i < digits; i++) {
        uint8_t byte;
        random_bytes(&byte, 1);
        out_text[i] = hex[byte & 15];
    }
    out_text[digits] = '\0';
}
