/* tests/unit/base/test_base_arena.c - memory of one request. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/arena.h"

static void pieces_are_aligned_apart_and_survive_until_reset(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 4u << 20);
    uint8_t *pieces[500];
    for (size_t i = 0; i < ARRAY_SIZE(pieces); i++) {
        size_t size = i * 37 % 1000;
        pieces[i] = arena_alloc(&arena, size);
        assert_non_null(pieces[i]);
        assert_int_equal((uintptr_t)pieces[i] % 16, 0);
        memset(pieces[i], (int)i, size);
    }
    uint8_t *large = arena_alloc(&arena, 3u << 20);
    assert_non_null(large);
    memset(large, 0xee, 3u << 20);
    for (size_t i = 0; i < ARRAY_SIZE(pieces); i++)
        for (size_t k = 0; k < i * 37 % 1000; k++)
            assert_int_equal(pieces[i][k], (uint8_t)i);
    arena_reset(&arena);
    assert_int_equal(arena.used_bytes, 0);
    assert_non_null(arena_alloc(&arena, 10));
    arena_fini(&arena);
}

static void the_limit_holds_and_a_refusal_changes_nothing(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 1000);
    assert_non_null(arena_alloc(&arena, 992));
    assert_null(arena_alloc(&arena, 17));
    assert_null(arena_alloc(&arena, SIZE_MAX));
    assert_null(arena_calloc(&arena, SIZE_MAX / 2, 4));
    assert_int_equal(arena.used_bytes, 992);
    arena_reset(&arena);
    assert_non_null(arena_alloc(&arena, 992));
    arena_fini(&arena);
}

static void copies_end_with_a_nul(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 1000);
    const char *copy = arena_copy(&arena, slice_of("name", 4));
    assert_string_equal(copy, "name");
    assert_string_equal((char *)arena_copy(&arena, (struct slice){ 0 }), "");
    arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_are_aligned_apart_and_survive_until_reset),
        cmocka_unit_test(the_limit_holds_and_a_refusal_changes_nothing),
        cmocka_unit_test(copies_end_with_a_nul),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
