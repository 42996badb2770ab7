/* mount/problem.h - a failure as a sentence for a person: what is wrong, and what mends it. */
#pragma once

#include "base/base.h"

#define PROBLEM_TEXT_SIZE 1536

struct problem {
    char text[PROBLEM_TEXT_SIZE];
};

/* Writes the sentences, cut to fit; gives `err`. */
int problem_say(struct problem *problem, int err, const char *format, ...) PRINTF_LIKE(3, 4);
/* Appends another sentence. */
void problem_add(struct problem *problem, const char *format, ...) PRINTF_LIKE(2, 3);
