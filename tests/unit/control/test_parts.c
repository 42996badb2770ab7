/* tests/unit/control/test_parts.c - the parts under the API: paths, queries, XML, metering. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "control/actions.h"
#include "control/authorize.h"
#include "control/input.h"
#include "control/query.h"
#include "control/render.h"
#include "control/services.h"
#include "control/xml.h"

static void paths_lead_to_their_actions(void **state)
{
    (void)state;
    static const struct {
        const char *method;
        const char *path;
        const char *name; /* NULL: none */
        const char *value;
        bool path_known;
    } cases[] = {
        { "GET", "/2015-02-01/file-systems", "DescribeFileSystems", "", true },
        { "GET", "/2015-02-01/file-systems/", "DescribeFileSystems", "", true },
        { "PUT", "/2015-02-01/file-systems/fs-1", "UpdateFileSystem", "fs-1", true },
        { "DELETE", "/2015-02-01/file-systems/fs-1/policy", "DeleteFileSystemPolicy", "fs-1",
            true },
        { "GET", "/2015-02-01/file-systems/replication-configurations",
            "DescribeReplicationConfigurations", "", true },
        { "GET", "/2015-02-01/tags/fs-1/", "DescribeTags", "fs-1", true },
        { "GET", "/2015-02-01/tags/fs-1", "DescribeTags", "fs-1", true },
        { "GET", "/2015-02-01/resource-tags/arn%3Aaws%2Ffs-1", "ListTagsForResource",
            "arn%3Aaws%2Ffs-1", true },
        { "GET", "/2015-02-01/file-systems/fs-1", NULL, "", true },
        { "GET", "/2015-02-01/file-systems/fs-1/policy/x", NULL, "", false },
        { "GET", "/2015-02-01/file-system", NULL, "", false },
        { "GET", "/2015-02-01/file-systemsx", NULL, "", false },
        { "GET", "/", NULL, "", false },
        { "GET", "//2015-02-01/file-systems", NULL, "", false },
        { "get", "/2015-02-01/file-systems", NULL, "", true },
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct slice value = { 0 };
        bool known;
        const struct action *action = action_find(cases[i].method, cases[i].path, &value, &known);
        if ((action == NULL) != (cases[i].name == NULL) || known != cases[i].path_known)
            fail_msg("%s %s: %s", cases[i].method, cases[i].path,
                action != NULL ? action->name : "none");
        if (action != NULL) {
            assert_string_equal(action->name, cases[i].name);
            assert_true(slice_equal(value, slice_str(cases[i].value)));
            assert_ptr_equal(action_at(action_index(action)), action);
        }
    }
    assert_null(action_at(action_count()));
}

static void queries_are_decoded(void **state)
{
    (void)state;
    struct arena arena;
    struct query query;
    arena_init(&arena, 1 << 20);
    static const char text[] = "a=1&b=x%2Fy+z&&c&a=2&%64=e%3D";
    assert_int_equal(query_parse(&arena, text, sizeof text - 1, &query), 0);
    assert_int_equal(query.count, 5);
    assert_string_equal(query_find(&query, "a"), "1");
    assert_string_equal(query_find(&query, "b"), "x/y z");
    assert_string_equal(query_find(&query, "c"), "");
    assert_string_equal(query_find(&query, "d"), "e=");
    assert_null(query_find(&query, "e"));
    static const char *const wrong[] = { "a=%", "a=%4", "a=%zz", "%00=1" };
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
        assert_int_equal(query_parse(&arena, wrong[i], strlen(wrong[i]), &query), -EINVAL);
    char many[2 * QUERY_PAIRS_MAX + 2];
    for (size_t i = 0; i <= QUERY_PAIRS_MAX; i++)
        memcpy(many + 2 * i, "a&", 2);
    assert_int_equal(query_parse(&arena, many, 2 * QUERY_PAIRS_MAX, &query), 0);
    assert_int_equal(query_parse(&arena, many, sizeof many, &query), -EINVAL);
    char *word = query_decode(&arena, "a+b%2Bc", 7, false);
    assert_string_equal(word, "a+b+c");
    arena_fini(&arena);
}

static void xml_is_escaped(void **state)
{
    (void)state;
    struct xml xml;
    size_t size;
    assert_int_equal(xml_init(&xml), 0);
    xml_open(&xml, "a", "urn:\"x\"");
    xml_element(&xml, "b", "<&>\"'\x01\xc3\xa9");
    xml_close(&xml);
    char *text = xml_take(&xml, &size);
    assert_string_equal(text,
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<a xmlns=\"urn:&quot;x&quot;\">"
        "<b>&lt;&amp;&gt;&quot;'\xc3\xa9</b></a>");
    assert_int_equal(size, strlen(text));
    free(text);
}

static void an_empty_file_system_meters_six_kibibytes(void **state)
{
    (void)state;
    struct fs_space space = { 0 };
    assert_int_equal(render_metered_bytes(&space), 6144);
    space.used_files = 1; /* the root */
    assert_int_equal(render_metered_bytes(&space), 6144);
    space.used_files = 2;
    space.used_bytes = 4096;
    assert_int_equal(render_metered_bytes(&space), 6144 + 2048 + 4096);
}

static void characters_are_counted_not_bytes(void **state)
{
    (void)state;
    assert_int_equal(input_char_count(""), 0);
    assert_int_equal(input_char_count("abc"), 3);
    assert_int_equal(input_char_count("\xc3\xa9\xe2\x82\xac\xf0\x9f\x90\x9f"), 3);
}

static struct sockaddr_storage peer_of(const char *text)
{
    struct sockaddr_storage peer = { 0 };
    struct sockaddr_in in = { .sin_family = AF_INET };
    struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };
    if (inet_pton(AF_INET, text, &in.sin_addr) == 1) {
        memcpy(&peer, &in, sizeof in);
    } else {
        assert_int_equal(inet_pton(AF_INET6, text, &in6.sin6_addr), 1);
        memcpy(&peer, &in6, sizeof in6);
    }
    return peer;
}

static void a_call_that_crossed_a_network_is_not_secure(void **state)
{
    (void)state;
    static const char *const here[] = { "127.0.0.1", "127.255.0.9", "::1", "::ffff:127.0.0.1" };
    static const char *const there[] = { "10.0.0.1", "128.0.0.1", "0.0.0.0", "::", "fe80::1",
        "::ffff:10.0.0.1", "::127.0.0.1" };
    for (size_t i = 0; i < ARRAY_SIZE(here); i++) {
        const struct sockaddr_storage peer = peer_of(here[i]);
        assert_true(authorize_is_from_here(&peer));
    }
    for (size_t i = 0; i < ARRAY_SIZE(there); i++) {
        const struct sockaddr_storage peer = peer_of(there[i]);
        assert_false(authorize_is_from_here(&peer));
    }
    const struct sockaddr_storage none = { .ss_family = AF_UNIX };
    assert_false(authorize_is_from_here(&none));
}

static void each_service_has_its_names_for_refused_keys(void **state)
{
    static const struct {
        const char *service;
        enum auth_failure failure;
        enum api_error_id id;
    } cases[] = {
        { "elasticfilesystem", AUTH_EXPIRED_TOKEN, API_EXPIRED_TOKEN },
        { "ec2", AUTH_EXPIRED_TOKEN, API_QUERY_REQUEST_EXPIRED },
        { "sts", AUTH_EXPIRED_TOKEN, API_QUERY_EXPIRED_TOKEN },
        { "iam", AUTH_EXPIRED_TOKEN, API_QUERY_EXPIRED_TOKEN },
        { "elasticfilesystem", AUTH_UNKNOWN_KEY, API_UNRECOGNIZED_CLIENT },
        { "iam", AUTH_UNKNOWN_KEY, API_QUERY_INVALID_CLIENT_TOKEN_ID },
        { "ec2", AUTH_UNKNOWN_KEY, API_QUERY_AUTH_FAILURE },
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        const struct service *service = service_find(cases[i].service);
        assert_non_null(service);
        assert_int_equal(service_auth_error(service, cases[i].failure), cases[i].id);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_service_has_its_names_for_refused_keys),
        cmocka_unit_test(a_call_that_crossed_a_network_is_not_secure),
        cmocka_unit_test(paths_lead_to_their_actions),
        cmocka_unit_test(queries_are_decoded),
        cmocka_unit_test(xml_is_escaped),
        cmocka_unit_test(an_empty_file_system_meters_six_kibibytes),
        cmocka_unit_test(characters_are_counted_not_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
