/*
 * daemon/problem.c - sentences about what is wrong (room: daemon).
 */
#include "daemon/problem.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>

void problem_set(struct problem *problem, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)vsnprintf(problem->text, sizeof problem->text, format, args);
    va_end(args);
}

void problem_prefix(struct problem *problem, const char *format, ...)
{
    char text[PROBLEM_SIZE];
    memcpy(text, problem->text, sizeof text);
    va_list args;
    va_start(args, format);
    int used = vsnprintf(problem->text, sizeof problem->text, format, args);
    va_end(args);
    if (used > 0 && (size_t)used < sizeof problem->text)
        (void)snprintf(problem->text + used, sizeof problem->text - (size_t)used, ": %s", text);
}

void problem_set_reason(struct problem *problem, const char *reason)
{
    const char *end = reason[0] != '\0' && reason[strlen(reason) - 1] == '.' ? "" : ".";
    problem_set(problem, "%s%s", reason, end);
    problem->text[0] = (char)toupper((unsigned char)problem->text[0]);
}
