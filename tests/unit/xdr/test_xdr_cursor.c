/* The XDR cursor: bounds, padding, references, rewinding. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "xdr/xdr.h"

static int setup(void **state)
{
    static struct arena arena;
    arena_init(&arena, MIB);
    *state = &arena;
    return 0;
}

static int teardown(void **state)
{
    arena_fini(*state);
    return 0;
}

static void numbers_are_read_only_when_all_bytes_are_there(void **state)
{
    const uint8_t bytes[] = { 0, 0, 0, 7, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9 };
    struct xdr_decoder dec = xdr_decoder_of(slice_of(bytes, sizeof bytes), *state);
    uint32_t small;
    uint64_t large;
    assert_true(xdr_get_u32(&dec, &small));
    assert_int_equal(small, 7);
    assert_true(xdr_get_u64(&dec, &large));
    assert_true(large == UINT64_C(0x0102030405060708));
    assert_false(xdr_get_u32(&dec, &small));
    assert_false(xdr_get_u64(&dec, &large));
    assert_int_equal(xdr_left(&dec), 3);
}

static void a_bool_is_zero_or_one(void **state)
{
    const uint8_t bytes[] = { 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2 };
    struct xdr_decoder dec = xdr_decoder_of(slice_of(bytes, sizeof bytes), *state);
    bool value = false;
    assert_true(xdr_get_bool(&dec, &value));
    assert_false(value);
    assert_true(xdr_get_bool(&dec, &value));
    assert_true(value);
    assert_false(xdr_get_bool(&dec, &value));
}

static void an_opaque_needs_its_padding(void **state)
{
    const uint8_t bytes[] = { 0, 0, 0, 5, 'a', 'b', 'c', 'd', 'e', 0, 0, 0 };
    struct slice slice = { 0 };
    struct xdr_decoder dec = xdr_decoder_of(slice_of(bytes, sizeof bytes), *state);
    assert_true(xdr_get_opaque(&dec, 5, &slice));
    assert_true(slice_equal(slice, slice_str("abcde")));
    assert_int_equal(xdr_left(&dec), 0);

    dec = xdr_decoder_of(slice_of(bytes, sizeof bytes - 1), *state);
    assert_false(xdr_get_opaque(&dec, 5, &slice));
    dec = xdr_decoder_of(slice_of(bytes, sizeof bytes), *state);
    assert_false(xdr_get_opaque(&dec, 4, &slice)); /* over its maximum */
}

static void a_length_near_the_end_of_the_number_range_is_refused(void **state)
{
    const uint8_t bytes[] = { 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0 };
    struct xdr_decoder dec = xdr_decoder_of(slice_of(bytes, sizeof bytes), *state);
    struct slice slice = { 0 };
    assert_false(xdr_get_opaque(&dec, UINT32_MAX, &slice));
    assert_false(xdr_get_fixed(&dec, SIZE_MAX, &slice));
    assert_null(xdr_get_room(&dec, SIZE_MAX, 16));
    assert_true(dec.no_memory);
}

static void what_is_put_is_padded_with_zeros(void **state)
{
    struct xdr_encoder enc;
    xdr_encoder_init(&enc, *state, 1024);
    xdr_put_opaque(&enc, slice_str("abcde"));
    xdr_put_opaque(&enc, slice_str(""));
    xdr_put_fixed(&enc, slice_str("xy"));
    xdr_put_u64(&enc, UINT64_C(0x0102030405060708));
    const uint8_t expected[] = { 0, 0, 0, 5, 'a', 'b', 'c', 'd', 'e', 0, 0, 0, 0, 0, 0, 0, 'x', 'y',
        0, 0, 1, 2, 3, 4, 5, 6, 7, 8 };
    assert_false(enc.failed);
    assert_int_equal(enc.size, sizeof expected);
    assert_memory_equal(enc.data, expected, sizeof expected);
}

static void an_encoder_grows_and_keeps_what_it_has(void **state)
{
    struct xdr_encoder enc;
    xdr_encoder_init(&enc, *state, MIB);
    for (uint32_t i = 0; i < 10000; i++)
        xdr_put_u32(&enc, i);
    assert_false(enc.failed);
    assert_int_equal(enc.size, 40000);
    for (uint32_t i = 0; i < 10000; i++)
        assert_int_equal(load_be32(enc.data + 4 * i), i);
}

static void the_size_limit_holds_and_its_failure_sticks(void **state)
{
    struct xdr_encoder enc;
    xdr_encoder_init(&enc, *state, 10);
    xdr_put_u64(&enc, 1);
    assert_false(enc.failed);
    xdr_put_u32(&enc, 2);
    assert_true(enc.failed);
    xdr_put_fixed(&enc, slice_str("a"));
    assert_true(enc.failed);
}

static void large_bytes_go_by_reference_and_small_ones_by_copy(void **state)
{
    static const uint8_t large[301] = { 1 };
    struct xdr_encoder enc;
    xdr_encoder_init(&enc, *state, 1024);
    xdr_put_opaque_reference(&enc, slice_of(large, 255));
    assert_int_equal(enc.reference_count, 0);
    assert_int_equal(enc.size, 4 + 256);

    xdr_put_opaque_reference(&enc, slice_of(large, sizeof large));
    assert_int_equal(enc.reference_count, 1);
    assert_ptr_equal(enc.references[0].bytes.data, large);
    assert_int_equal(enc.references[0].at, 4 + 256 + 4);
    assert_int_equal(xdr_position(&enc), 4 + 256 + 4 + 304);
    assert_false(enc.failed);
}

static void references_count_against_the_size_limit(void **state)
{
    static const uint8_t large[512];
    struct xdr_encoder enc;
    xdr_encoder_init(&enc, *state, 1024);
    xdr_put_opaque_reference(&enc, slice_of(large, sizeof large));
    assert_false(enc.failed);
    xdr_put_opaque_reference(&enc, slice_of(large, sizeof large));
    assert_true(enc.failed);
}

static void more_references_than_there_is_room_for_are_copied(void **state)
{
    static const uint8_t large[256] = { 9 };
    struct xdr_encoder enc;
    xdr_encoder_init(&enc, *state, MIB);
    for (size_t i = 0; i < XDR_REFERENCES_MAX + 2; i++)
        xdr_put_opaque_reference(&enc, slice_of(large, sizeof large));
    assert_false(enc.failed);
    assert_int_equal(enc.reference_count, XDR_REFERENCES_MAX);
    assert_int_equal(xdr_position(&enc), (XDR_REFERENCES_MAX + 2) * (4 + sizeof large));
}

static void rewinding_forgets_bytes_references_and_failure(void **state)
{
    static const uint8_t large[400];
    struct xdr_encoder enc;
    xdr_encoder_init(&enc, *state, 512);
    xdr_put_u32(&enc, 1);
    struct xdr_mark mark = xdr_mark(&enc);
    xdr_put_opaque_reference(&enc, slice_of(large, sizeof large));
    xdr_put_opaque_reference(&enc, slice_of(large, sizeof large));
    assert_true(enc.failed);
    xdr_rewind(&enc, mark);
    assert_false(enc.failed);
    assert_int_equal(xdr_position(&enc), 4);
    assert_int_equal(enc.reference_count, 0);
    xdr_put_u32(&enc, 2);
    assert_int_equal(load_be32(enc.data + 4), 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(numbers_are_read_only_when_all_bytes_are_there),
        TEST(a_bool_is_zero_or_one),
        TEST(an_opaque_needs_its_padding),
        TEST(a_length_near_the_end_of_the_number_range_is_refused),
        TEST(what_is_put_is_padded_with_zeros),
        TEST(an_encoder_grows_and_keeps_what_it_has),
        TEST(the_size_limit_holds_and_its_failure_sticks),
        TEST(large_bytes_go_by_reference_and_small_ones_by_copy),
        TEST(references_count_against_the_size_limit),
        TEST(more_references_than_there_is_room_for_are_copied),
        TEST(rewinding_forgets_bytes_references_and_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
