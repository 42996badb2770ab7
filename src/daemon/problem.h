/* daemon/problem.h - why shoald does not start, as a sentence for the person who started it. */
#pragma once

#include "base/base.h"

#define PROBLEM_SIZE 768u

/* What is wrong, and what would be right. */
struct problem {
    char text[PROBLEM_SIZE];
};

/* Writes the sentence; cuts what does not fit. */
void problem_set(struct problem *problem, const char *format, ...) PRINTF_LIKE(2, 3);
/* Puts the place and ": " before the sentence. */
void problem_prefix(struct problem *problem, const char *format, ...) PRINTF_LIKE(2, 3);
/* Makes a sentence of another room's reason: "cannot ..." becomes "Cannot ... ." */
void problem_set_reason(struct problem *problem, const char *reason);
