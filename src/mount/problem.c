/*
 * mount/problem.c - writing sentences about failures (room: mount).
 */
#include "mount/problem.h"

#include <stdarg.h>
#include <stdio.h>

int problem_say(struct problem *problem, int err, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)vsnprintf(problem->text, sizeof problem->text, format, args);
    va_end(args);
    return err;
}

void problem_add(struct problem *problem, const char *format, ...)
{
    size_t used = strnlen(problem->text, sizeof problem->text - 1);
    va_list args;
    va_start(args, format);
    if (used > 0 && used + 1 < sizeof problem->text)
        problem->text[used++] = ' ';
    (void)vsnprintf(problem->text + used, sizeof problem->text - used, format, args);
    va_end(args);
}
