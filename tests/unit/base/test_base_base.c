/* tests/unit/base/test_base_base.c - lists, hashes, texts, bytes, log lines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/list.h"
#include "base/log.h"
#include "base/random.h"
#include "base/text.h"

static void siphash_gives_the_published_vectors(void **state)
{
    (void)state;
    /* The reference's first outputs: key 00..0f, messages "", 00, 00 01, ... */
    static const uint8_t expected[][8] = {
        { 0x31, 0x0e, 0x0e, 0xdd, 0x47, 0xdb, 0x6f, 0x72 },
        { 0xfd, 0x67, 0xdc, 0x93, 0xc5, 0x39, 0xf8, 0x74 },
        { 0x5a, 0x4f, 0xa9, 0xd9, 0x09, 0x80, 0x6c, 0x0d },
    };
    const struct hash_key key = { UINT64_C(0x0706050403020100), UINT64_C(0x0f0e0d0c0b0a0908) };
    const uint8_t message[] = { 0, 1, 2 };
    for (size_t size = 0; size < ARRAY_SIZE(expected); size++) {
        uint64_t hash = hash_keyed(&key, message, size);
        for (unsigned i = 0; i < 8; i++)
            assert_int_equal((hash >> (8 * i)) & 0xff, expected[size][i]);
    }
}

static void lists_keep_order_and_survive_removal(void **state)
{
    (void)state;
    struct list head;
    struct list nodes[5];
    list_init(&head);
    for (int i = 0; i < 5; i++)
        list_add_tail(&head, &nodes[i]);
    LIST_FOR_EACH_SAFE(node, &head)
    {
        if (node == &nodes[1] || node == &nodes[4])
            list_remove(node);
    }
    list_remove(&nodes[1]);
    assert_ptr_equal(head.next, &nodes[0]);
    assert_ptr_equal(nodes[0].next, &nodes[2]);
    assert_ptr_equal(nodes[2].next, &nodes[3]);
    assert_ptr_equal(nodes[3].next, &head);
}

static void numbers_are_parsed_whole_or_not(void **state)
{
    (void)state;
    uint64_t value = 7;
    assert_int_equal(text_parse_u64("18446744073709551615", UINT64_MAX, &value), 0);
    assert_true(value == UINT64_MAX);
    assert_int_equal(text_parse_u64("18446744073709551616", UINT64_MAX, &value), -ERANGE);
    assert_int_equal(text_parse_u64("65536", 65535, &value), -ERANGE);
    const char *const bad[] = { "", " 1", "1 ", "+1", "-1", "0x1", "1a" };
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_int_equal(text_parse_u64(bad[i], UINT64_MAX, &value), -EINVAL);
}

static void the_nearest_word_is_proposed_and_a_far_one_is_not(void **state)
{
    (void)state;
    const char *const words[] = { "listen", "port", "region", "log_level" };
    assert_int_equal(text_nearest("lisetn", words, 4), 0);
    assert_int_equal(text_nearest("prot", words, 4), 1);
    assert_int_equal(text_nearest("loglevel", words, 4), 3);
    assert_int_equal(text_nearest("encryption", words, 4), -1);
    assert_int_equal(text_distance("", "abc"), 3);
    assert_int_equal(text_distance("kitten", "sitting"), 3);
    assert_int_equal(text_distance("ab", "ba"), 1);
}

static void appended_text_never_passes_the_end(void **state)
{
    (void)state;
    char buffer[8] = "";
    size_t used = 0;
    assert_int_equal(text_append(buffer, sizeof buffer, &used, "%d", 1234), 0);
    assert_int_equal(text_append(buffer, sizeof buffer, &used, "%s", "abcdef"), -ENOSPC);
    assert_string_equal(buffer, "1234abc");
    assert_int_equal(text_copy(buffer, sizeof buffer, "too long for it"), -ENOSPC);
    assert_string_equal(buffer, "");
}

static void quoted_text_holds_no_control_bytes_and_fits(void **state)
{
    (void)state;
    char buffer[16];
    assert_string_equal(
        log_quote(buffer, sizeof buffer, slice_of("a\"\n\\", 4)), "\"a\\\"\\x0a\\\\\"");
    char large[300];
    memset(large, '\n', sizeof large);
    assert_true(strlen(log_quote(buffer, sizeof buffer, slice_of(large, sizeof large))) < 16);
}

static void big_endian_bytes_go_both_ways(void **state)
{
    (void)state;
    uint8_t bytes[9] = { 0 };
    store_be64(bytes + 1, UINT64_C(0x0102030405060708));
    assert_int_equal(bytes[1], 1);
    assert_int_equal(bytes[8], 8);
    assert_int_equal(load_be32(bytes + 1), 0x01020304);
    assert_int_equal(load_be16(bytes + 7), 0x0708);
    assert_true(load_be64(bytes + 1) == UINT64_C(0x0102030405060708));
}

static void clocks_go_forward_and_random_is_not_constant(void **state)
{
    (void)state;
    uint64_t before = clock_monotonic_ns();
    assert_true(clock_monotonic_ns() >= before);
    assert_true(clock_wall().nanoseconds < 1000000000u);
    assert_true(random_u64() != random_u64());
    char hex[18];
    random_hex(hex, 17);
    assert_int_equal(strspn(hex, "0123456789abcdef"), 17);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(siphash_gives_the_published_vectors),
        cmocka_unit_test(lists_keep_order_and_survive_removal),
        cmocka_unit_test(numbers_are_parsed_whole_or_not),
        cmocka_unit_test(the_nearest_word_is_proposed_and_a_far_one_is_not),
        cmocka_unit_test(appended_text_never_passes_the_end),
        cmocka_unit_test(quoted_text_holds_no_control_bytes_and_fits),
        cmocka_unit_test(big_endian_bytes_go_both_ways),
        cmocka_unit_test(clocks_go_forward_and_random_is_not_constant),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
