/* The encodings of values, and Thrift's compact protocol: round trips, and bytes that end too early. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "parquet/decode.h"
#include "parquet/encode.h"

#define COUNT_MAX 3000u

static uint64_t next_random(uint64_t *state)
{
    uint64_t value = *state += UINT64_C(0x9e3779b97f4a7c15);
    value = (value ^ (value >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    return value ^ (value >> 27);
}

/* Decodes `out`, and again each shorter prefix of a copy at the end of its memory: that must fail, or change nothing. */
static void check_decoded(
    struct encoded encoded, const struct bytes_out *out, uint32_t count, const void *expected)
{
    size_t size = (size_t)count * format_value_size(encoded.type);
    uint8_t *got = malloc(size + 1);
    assert_non_null(got);
    encoded.bytes = slice_of(out->data, out->size);
    assert_int_equal(decode_values(&encoded, count, got), 0);
    assert_memory_equal(got, expected, size);
    for (size_t cut = 0; cut < out->size && cut < 40; cut++) {
        uint8_t *copy = malloc(cut + 1);
        assert_non_null(copy);
        memcpy(copy, out->data, cut);
        encoded.bytes = slice_of(copy, cut);
        if (count > 0 && decode_values(&encoded, count, got) == 0)
            assert_memory_equal(got, expected, size);
        free(copy);
    }
    free(got);
}

static void delta_gives_back_every_integer(void **state)
{
    (void)state;
    uint64_t random = 1;
    int64_t wide[COUNT_MAX];
    int32_t narrow[COUNT_MAX];
    const uint32_t counts[] = { 0, 1, 2, 32, 33, 128, 129, 130, 1000 };
    for (unsigned bits = 0; bits <= 64; bits += 4) {
        uint64_t mask = bits == 64 ? UINT64_MAX : (UINT64_C(1) << bits) - 1;
        for (size_t i = 0; i < COUNT_MAX; i++) {
            wide[i] = (int64_t)(next_random(&random) & mask) + (bits < 60 ? (int64_t)i * 1000 : 0);
            narrow[i] = (int32_t)(uint32_t)next_random(&random);
        }
        for (size_t c = 0; c < ARRAY_SIZE(counts); c++) {
            struct bytes_out out = { 0 };
            struct encoded encoded = { .type = PARQUET_INT64,
                .encoding = ENCODING_DELTA_BINARY_PACKED };
            encode_delta(PARQUET_INT64, wide, counts[c], &out);
            check_decoded(encoded, &out, counts[c], wide);
            out.size = 0;
            encoded.type = PARQUET_INT32;
            encode_delta(PARQUET_INT32, narrow, counts[c], &out);
            check_decoded(encoded, &out, counts[c], narrow);
            bytes_out_fini(&out);
        }
    }
}

static void indices_of_every_width_come_back(void **state)
{
    (void)state;
    uint64_t random = 2;
    static int64_t dictionary_values[1 << 16];
    static uint32_t indices[COUNT_MAX];
    static int64_t expected[COUNT_MAX];
    for (size_t i = 0; i < ARRAY_SIZE(dictionary_values); i++)
        dictionary_values[i] = (int64_t)next_random(&random);
    for (unsigned bits = 1; bits <= 16; bits++) {
        uint32_t last = 0;
        for (size_t i = 0; i < COUNT_MAX; i++) { /* runs, and between them what does not repeat */
            bool repeats = i > 0 && (next_random(&random) & 15) > (i % 512 < 256 ? 1u : 12u);
            last = repeats ? last : (uint32_t)next_random(&random) & ((1u << bits) - 1);
            indices[i] = last;
            expected[i] = dictionary_values[last];
        }
        struct dictionary dictionary = { dictionary_values, 1u << bits };
        struct bytes_out out = { 0 };
        bytes_out_put_u8(&out, (uint8_t)bits);
        encode_hybrid(indices, COUNT_MAX, bits, &out);
        struct encoded encoded = {
            .type = PARQUET_INT64, .encoding = ENCODING_RLE_DICTIONARY, .dictionary = &dictionary
        };
        check_decoded(encoded, &out, COUNT_MAX, expected);
        /* An index behind the end of the dictionary is refused, whatever its width. */
        dictionary.count = 1;
        encoded.bytes = slice_of(out.data, out.size);
        assert_int_equal(decode_values(&encoded, COUNT_MAX, expected), -EBADMSG);
        bytes_out_fini(&out);
    }
}

static void levels_come_back_and_greater_ones_are_refused(void **state)
{
    (void)state;
    uint64_t random = 3;
    uint8_t levels[COUNT_MAX];
    uint8_t got[COUNT_MAX];
    uint32_t valid_count = 0;
    uint32_t expected_count = 0;
    struct bytes_out out = { 0 };
    for (size_t i = 0; i < COUNT_MAX; i++) {
        levels[i] = i % 700 < 300 ? 1 : next_random(&random) & 1;
        expected_count += levels[i];
    }
    encode_levels(levels, COUNT_MAX, &out);
    assert_int_equal(decode_levels(slice_of(out.data, out.size), COUNT_MAX, got, &valid_count), 0);
    assert_memory_equal(got, levels, COUNT_MAX);
    assert_int_equal(valid_count, expected_count);
    assert_int_equal(
        decode_levels(slice_of(out.data, out.size / 2), COUNT_MAX, got, &valid_count), -EBADMSG);
    const uint8_t too_great[] = { 20, 2 };
    assert_int_equal(decode_levels(slice_of(too_great, 2), 10, got, &valid_count), -EBADMSG);
    bytes_out_fini(&out);
}

static void a_struct_of_thrift_is_read_and_skipped(void **state)
{
    (void)state;
    struct bytes_out out = { 0 };
    struct thrift_writer writer = { .out = &out };
    thrift_open(&writer);
    thrift_put_i32(&writer, 1, -7);
    thrift_put_list(&writer, 2, THRIFT_STRUCT, 20);
    for (int i = 0; i < 20; i++) {
        thrift_open(&writer);
        thrift_put_struct(&writer, 3);
        thrift_put_binary(&writer, 1, slice_str("inner"));
        thrift_close(&writer);
        thrift_put_bool(&writer, 4, true);
        thrift_close(&writer);
    }
    thrift_put_i64(&writer, 9, INT64_MIN + 7);
    thrift_close(&writer);
    assert_false(out.failed);
    for (size_t size = 0; size <= out.size; size++) {
        struct thrift_reader reader = { .at = out.data, .end = out.data + size };
        struct thrift_field field = { 0 };
        int64_t sum = 0;
        while (thrift_next(&reader, &field)) {
            if (field.id == 2)
                thrift_skip(&reader, &field);
            else
                sum += thrift_get_int(&reader, &field);
        }
        if (size < out.size)
            assert_true(reader.why != NULL && reader.is_cut);
        else
            assert_true(reader.why == NULL && sum == INT64_MIN);
    }
    bytes_out_fini(&out);
}

static void thrift_that_is_nested_without_end_is_refused(void **state)
{
    (void)state;
    uint8_t deep[4096];
    memset(deep, 0x1c, sizeof deep); /* a struct in a struct in a struct ... */
    struct thrift_reader reader = { .at = deep, .end = deep + sizeof deep };
    struct thrift_field field = { 0 };
    while (thrift_next(&reader, &field))
        thrift_skip(&reader, &field);
    assert_non_null(reader.why);
    const uint8_t long_list[] = { 0x19, 0xfc, 0xff, 0xff, 0xff, 0xff, 0x07 };
    reader = (struct thrift_reader){ .at = long_list, .end = long_list + sizeof long_list };
    field = (struct thrift_field){ 0 };
    assert_true(thrift_next(&reader, &field));
    assert_int_equal(thrift_get_list(&reader, &field, THRIFT_STRUCT), 0);
    assert_non_null(reader.why);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(delta_gives_back_every_integer),
        cmocka_unit_test(indices_of_every_width_come_back),
        cmocka_unit_test(levels_come_back_and_greater_ones_are_refused),
        cmocka_unit_test(a_struct_of_thrift_is_read_and_skipped),
        cmocka_unit_test(thrift_that_is_nested_without_end_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
