/* tests/unit/daemon/test_address.c - addresses and networks as people write them. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/address.h"

static bool list_has(const struct cidr_list *list, const char *text)
{
    struct in_addr address;
    assert_int_equal(inet_pton(AF_INET, text, &address), 1);
    return cidr_list_contains(list, address);
}

static void an_address_is_read_and_written_the_same(void **state)
{
    (void)state;
    struct sockaddr_in address;
    char text[ADDRESS_TEXT_SIZE];
    assert_int_equal(address_parse("10.20.30.40:65535", &address), 0);
    address_format(&address, text);
    assert_string_equal(text, "10.20.30.40:65535");
}

static void a_port_alone_means_loopback(void **state)
{
    (void)state;
    struct sockaddr_in address;
    char text[ADDRESS_TEXT_SIZE];
    assert_int_equal(address_parse("8049", &address), 0);
    address_format(&address, text);
    assert_string_equal(text, "127.0.0.1:8049");
}

static void what_is_no_address_is_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = { "", ":", "localhost:1", "1.2.3.4", "1.2.3.4:", "1.2.3:4",
        "1.2.3.4:65536", "1.2.3.4:-1", "[::1]:80", "1.2.3.4:80 ", "1111.2222.3333.4444:1" };
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        struct sockaddr_in address;
        assert_int_equal(address_parse(wrong[i], &address), -EINVAL);
    }
}

static void a_list_contains_what_its_networks_contain(void **state)
{
    (void)state;
    struct cidr_list list;
    assert_int_equal(cidr_list_parse("127.0.0.0/8, 10.1.2.3,192.168.4.0/22", &list), 0);
    assert_true(list_has(&list, "127.255.0.1"));
    assert_true(list_has(&list, "10.1.2.3"));
    assert_true(list_has(&list, "192.168.7.255"));
    assert_false(list_has(&list, "128.0.0.1"));
    assert_false(list_has(&list, "10.1.2.4"));
    assert_false(list_has(&list, "192.168.8.0"));
}

static void the_whole_internet_is_prefix_zero(void **state)
{
    (void)state;
    struct cidr_list list;
    assert_int_equal(cidr_list_parse("0.0.0.0/0", &list), 0);
    assert_true(list_has(&list, "255.255.255.255"));
    assert_true(list_has(&list, "0.0.0.0"));
}

static void host_bits_of_a_network_are_dropped(void **state)
{
    (void)state;
    struct cidr_list list;
    char text[CIDR_TEXT_SIZE];
    assert_int_equal(cidr_list_parse("10.9.8.7/8 1.1.1.1", &list), 0);
    cidr_list_format(&list, text);
    assert_string_equal(text, "10.0.0.0/8, 1.1.1.1/32");
}

static void what_is_no_list_is_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = { "", " ", "10.0.0.0/33", "10.0.0.0/", "10.0.0/8", "any",
        "10.0.0.0/8;1.1.1.1", "255.255.255.255/32222222" };
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        struct cidr_list list;
        assert_int_equal(cidr_list_parse(wrong[i], &list), -EINVAL);
    }
}

static void a_list_has_a_maximum(void **state)
{
    (void)state;
    char text[(CIDR_COUNT_MAX + 1) * 8 + 1] = "";
    struct cidr_list list;
    for (unsigned i = 0; i < CIDR_COUNT_MAX; i++)
        memcpy(text + (size_t)i * 8, "1.1.1.1,", 9);
    assert_int_equal(cidr_list_parse(text, &list), 0);
    memcpy(text + (size_t)CIDR_COUNT_MAX * 8, "1.1.1.1,", 9);
    assert_int_equal(cidr_list_parse(text, &list), -ENOSPC);
}

static void endpoints_are_read_and_written_the_same(void **state)
{
    (void)state;
    static const char *const lists[] = { "off", "127.0.0.1:53", "[::1]:65535",
        "0.0.0.0:1, [::]:1, 10.1.2.3:8053, [2001:db8:1111:2222:3333:4444:5555:6666]:8053" };
    for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
        struct endpoint_list list;
        char text[ENDPOINT_LIST_TEXT_SIZE];
        assert_int_equal(endpoint_list_parse(lists[i], &list), 0);
        assert_int_equal(list.count, i == 3 ? 4 : i > 0);
        endpoint_list_format(&list, text);
        assert_string_equal(text, lists[i]);
    }
}

static void what_is_no_list_of_endpoints_is_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = { "", " ", "on", "53", "127.0.0.1", "[::1]", "::1:53",
        "[::1:53", "[::1]53", "[127.0.0.1]:53", "127.0.0.1:53 off", "[::1]:65536",
        "[0000:0000:0000:0000:0000:0000:0000:0000:0000:0000]:1" };
    struct endpoint_list list;
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
        assert_int_equal(endpoint_list_parse(wrong[i], &list), -EINVAL);
    assert_int_equal(
        endpoint_list_parse("1.1.1.1:1,1.1.1.1:2,1.1.1.1:3,1.1.1.1:4,1.1.1.1:5", &list), -ENOSPC);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_is_read_and_written_the_same),
        cmocka_unit_test(a_port_alone_means_loopback),
        cmocka_unit_test(what_is_no_address_is_refused),
        cmocka_unit_test(a_list_contains_what_its_networks_contain),
        cmocka_unit_test(the_whole_internet_is_prefix_zero),
        cmocka_unit_test(host_bits_of_a_network_are_dropped),
        cmocka_unit_test(what_is_no_list_is_refused),
        cmocka_unit_test(a_list_has_a_maximum),
        cmocka_unit_test(endpoints_are_read_and_written_the_same),
        cmocka_unit_test(what_is_no_list_of_endpoints_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
