/* tests/unit/auth/test_refusals.c - the newest first, the same one once, the oldest gives way. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "auth/refusals.h"

static struct sockaddr_storage address_of(const char *text)
{
    struct sockaddr_storage address = { 0 };
    struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(700) };
    struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };
    if (inet_pton(AF_INET, text, &in.sin_addr) == 1) {
        memcpy(&address, &in, sizeof in);
    } else {
        assert_int_equal(inet_pton(AF_INET6, text, &in6.sin6_addr), 1);
        memcpy(&address, &in6, sizeof in6);
    }
    return address;
}

static void note(struct refusals *refusals, int64_t now_ms, const char *source, const char *fs,
    const char *reason)
{
    struct sockaddr_storage from = address_of(source);
    struct sockaddr_storage to = address_of("127.16.0.1");
    const struct refusal_note given = { .now_ms = now_ms,
        .stage = REFUSED_MOUNT,
        .source = &from,
        .target = &to,
        .file_system = fs,
        .reason = reason };
    refusals_note(refusals, &given);
}

static void the_newest_come_first_and_only_those_asked_for(void **state)
{
    (void)state;
    struct refusals *refusals;
    struct refusal found[8];
    assert_int_equal(refusals_new(&refusals), 0);
    assert_int_equal(refusals_list(refusals, "", "", 8, found), 0);
    note(refusals, 1, "192.0.2.1", "fs-1", "one");
    note(refusals, 2, "192.0.2.2", "fs-1", "two");
    note(refusals, 3, "::ffff:192.0.2.1", NULL, "three");
    note(refusals, 4, "2001:db8::1", "fs-2", "four");
    assert_int_equal(refusals_list(refusals, "", "", 8, found), 4);
    assert_string_equal(found[0].reason, "four");
    assert_string_equal(found[0].source, "2001:db8::1");
    assert_string_equal(found[3].reason, "one");
    assert_string_equal(found[3].target, "127.16.0.1");
    assert_int_equal(refusals_list(refusals, "", "", 2, found), 2);
    assert_int_equal(refusals_list(refusals, "192.0.2.1", "", 8, found), 2);
    assert_string_equal(found[0].reason, "three");
    /* One whose file system is not known may be of any. */
    assert_int_equal(refusals_list(refusals, "", "fs-1", 8, found), 3);
    assert_int_equal(refusals_list(refusals, "192.0.2.9", "", 8, found), 0);
    refusals_free(refusals);
}

static void the_same_refusal_is_counted_and_moves_up(void **state)
{
    (void)state;
    struct refusals *refusals;
    struct refusal found[8];
    assert_int_equal(refusals_new(&refusals), 0);
    note(refusals, 1, "192.0.2.1", "fs-1", "knocks");
    note(refusals, 2, "192.0.2.2", "fs-1", "other");
    for (int i = 0; i < 5; i++)
        note(refusals, 10 + i, "192.0.2.1", "fs-1", "knocks");
    assert_int_equal(refusals_list(refusals, "", "", 8, found), 2);
    assert_string_equal(found[0].reason, "knocks");
    assert_int_equal(found[0].count, 6);
    assert_int_equal(found[0].now_ms, 14);
    refusals_free(refusals);
}

static void the_oldest_gives_way_and_long_words_are_cut(void **state)
{
    (void)state;
    struct refusals *refusals;
    static struct refusal found[REFUSALS_MAX + 8];
    char reason[2 * REFUSAL_REASON_SIZE];
    assert_int_equal(refusals_new(&refusals), 0);
    for (unsigned i = 0; i < REFUSALS_MAX + 3; i++) {
        (void)snprintf(reason, sizeof reason, "reason %u", i);
        note(refusals, i, "192.0.2.1", "fs-1", reason);
    }
    assert_int_equal(refusals_list(refusals, "", "", REFUSALS_MAX + 8, found), REFUSALS_MAX);
    assert_string_equal(found[REFUSALS_MAX - 1].reason, "reason 3");
    memset(reason, 'x', sizeof reason - 1);
    reason[sizeof reason - 1] = '\0';
    note(refusals, 0, "192.0.2.1", reason, reason);
    assert_int_equal(refusals_list(refusals, "", "", 1, found), 1);
    assert_int_equal(strlen(found[0].reason), REFUSAL_REASON_SIZE - 1);
    assert_int_equal(strlen(found[0].file_system), FS_ID_SIZE - 1);
    note(NULL, 0, "192.0.2.1", NULL, "nowhere");
    refusals_free(refusals);
}

static void each_stage_has_a_name_of_its_own(void **state)
{
    (void)state;
    for (unsigned i = 0; i < REFUSED_STAGE_COUNT; i++)
        for (unsigned j = 0; j < i; j++)
            assert_string_not_equal(refusal_stage_name((enum refusal_stage)i),
                refusal_stage_name((enum refusal_stage)j));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_newest_come_first_and_only_those_asked_for),
        cmocka_unit_test(the_same_refusal_is_counted_and_moves_up),
        cmocka_unit_test(the_oldest_gives_way_and_long_words_are_cut),
        cmocka_unit_test(each_stage_has_a_name_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
