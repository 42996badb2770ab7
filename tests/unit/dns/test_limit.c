/* tests/unit/dns/test_limit.c - how much one address is sent, in a time that the test makes up. */
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dns/limit.h"

#define RATE 10u

static struct sockaddr_storage ipv4(uint32_t address)
{
    struct sockaddr_storage any = { 0 };
    *(struct sockaddr_in *)(void *)&any =
        (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(address) };
    return any;
}

static struct sockaddr_storage ipv6(uint8_t network, uint8_t host)
{
    struct sockaddr_storage any = { 0 };
    struct sockaddr_in6 *wide = (struct sockaddr_in6 *)(void *)&any;
    wide->sin6_family = AF_INET6;
    wide->sin6_addr.s6_addr[7] = network;
    wide->sin6_addr.s6_addr[15] = host;
    return any;
}

static int setup(void **state)
{
    struct dns_limit *limit;
    assert_int_equal(dns_limit_new(RATE, &limit), 0);
    *state = limit;
    return 0;
}

static int teardown(void **state)
{
    dns_limit_free(*state);
    return 0;
}

/* How many of `count` questions at one moment are answered. */
static unsigned answered(
    struct dns_limit *limit, struct sockaddr_storage peer, uint64_t now_ms, unsigned count)
{
    unsigned answers = 0;
    for (unsigned i = 0; i < count; i++)
        answers += dns_limit_take(limit, &peer, now_ms) == DNS_ANSWER;
    return answers;
}

static void a_source_gets_its_rate_and_no_more(void **state)
{
    assert_int_equal(answered(*state, ipv4(1), 1000, 100), RATE);
    assert_int_equal(answered(*state, ipv4(1), 1000, 100), 0);
    assert_int_equal(answered(*state, ipv4(1), 1100, 100), 1);
    assert_int_equal(answered(*state, ipv4(1), 1350, 100), 2);
    assert_int_equal(
        answered(*state, ipv4(1), 1400, 100), 1); /* the half that was left over counted */
    assert_int_equal(answered(*state, ipv4(1), UINT64_MAX / 2, 100), RATE);
}

static void a_steady_source_below_the_rate_is_always_answered(void **state)
{
    for (uint64_t now_ms = 1000; now_ms < 61000; now_ms += 100)
        assert_int_equal(answered(*state, ipv4(1), now_ms, 1), 1);
}

static void beyond_the_rate_every_second_one_is_sent_to_tcp(void **state)
{
    struct sockaddr_storage peer = ipv4(1);
    (void)answered(*state, peer, 1000, RATE);
    for (unsigned i = 0; i < 10; i++) {
        assert_int_equal(dns_limit_take(*state, &peer, 1000), DNS_DROP);
        assert_int_equal(dns_limit_take(*state, &peer, 1000), DNS_TRUNCATE);
    }
}

static void sources_do_not_take_from_each_other(void **state)
{
    assert_int_equal(answered(*state, ipv4(1), 1000, 100), RATE);
    assert_int_equal(answered(*state, ipv4(2), 1000, 100), RATE);
    assert_int_equal(answered(*state, ipv6(1, 1), 1000, 100), RATE);
    assert_int_equal(answered(*state, ipv6(2, 1), 1000, 100), RATE);
    assert_int_equal(
        answered(*state, ipv6(1, 2), 1000, 100), 0); /* one network of IPv6 is one source */
}

static void a_crowd_does_not_make_room_for_one_that_keeps_asking(void **state)
{
    struct sockaddr_storage victim = ipv4(1);
    unsigned answers = 0;
    for (uint32_t i = 0; i < 100000; i++) {
        struct sockaddr_storage other = ipv4(1000 + i);
        uint64_t now_ms = 1000 + i / 1000; /* a tenth of a second in all */
        answers += dns_limit_take(*state, &victim, now_ms) == DNS_ANSWER;
        (void)dns_limit_take(*state, &other, now_ms);
    }
    assert_in_range(answers, RATE, 2 * RATE);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_source_gets_its_rate_and_no_more),
        CASE(a_steady_source_below_the_rate_is_always_answered),
        CASE(beyond_the_rate_every_second_one_is_sent_to_tcp),
        CASE(sources_do_not_take_from_each_other),
        CASE(a_crowd_does_not_make_room_for_one_that_keeps_asking),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
