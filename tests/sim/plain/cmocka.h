/*
 * tests/sim/plain/cmocka.h - the few words of cmocka that the crash model and its fixture use, for a program that is installed and
 * links no test library. What must hold and does not ends the program with a sentence.
 */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define print_message(...) ((void)fprintf(stderr, __VA_ARGS__))
#define print_error(...)   ((void)fprintf(stderr, __VA_ARGS__))

#define assert_true(condition)                                                            \
    do {                                                                                  \
        if (!(condition)) {                                                               \
            (void)fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
            abort();                                                                      \
        }                                                                                 \
    } while (0)
#define assert_non_null(pointer)            assert_true((pointer) != NULL)
#define assert_int_equal(left, right)       assert_true((left) == (right))
#define assert_memory_equal(left, right, n) assert_true(memcmp(left, right, n) == 0)
