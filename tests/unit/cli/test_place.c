/* tests/unit/cli/test_place.c - words that name places, and how numbers, times and modes are shown. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "cli/cli.h"
#include "cli/files/format.h"
#include "cli/files/place.h"

struct example {
    const char *word;
    enum place_kind kind;
    uint16_t port;
    const char *host;
    const char *path;
};

static void words_are_read_as_places(void **state)
{
    (void)state;
    static const struct example examples[] = {
        { "default:/dir/file", PLACE_FILE_SYSTEM, 0, "default", "/dir/file" },
        { "default:", PLACE_FILE_SYSTEM, 0, "default", "/" },
        { "fs-0123:/", PLACE_FILE_SYSTEM, 0, "fs-0123", "/" },
        { "default://a///b/./c/../d/", PLACE_FILE_SYSTEM, 0, "default", "/a/b/d" },
        { "default:/a:b", PLACE_FILE_SYSTEM, 0, "default", "/a:b" },
        { "127.16.0.4:/x", PLACE_ADDRESS, 0, "127.16.0.4", "/x" },
        { "127.16.0.4:2049:/x", PLACE_ADDRESS, 2049, "127.16.0.4", "/x" },
        { "127.16.0.4:2049", PLACE_ADDRESS, 2049, "127.16.0.4", "/" },
        { "[fd00::1]:/x", PLACE_ADDRESS, 0, "fd00::1", "/x" },
        { "[fd00::1]:2049:/x", PLACE_ADDRESS, 2049, "fd00::1", "/x" },
        { "localhost:/x", PLACE_ADDRESS, 0, "localhost", "/x" },
        { "server.example:2049:/x", PLACE_ADDRESS, 2049, "server.example", "/x" },
        { "dir/file", PLACE_LOCAL, 0, "", "dir/file" },
        { "./a:b", PLACE_LOCAL, 0, "", "./a:b" },
        { "/a:b/c", PLACE_LOCAL, 0, "", "/a:b/c" },
        { "default", PLACE_LOCAL, 0, "", "default" },
    };
    for (size_t i = 0; i < ARRAY_SIZE(examples); i++) {
        struct place place;
        const struct example *example = &examples[i];
        assert_int_equal(place_parse(example->word, &place), CLI_OK);
        assert_int_equal(place.kind, example->kind);
        assert_string_equal(place.host, example->host);
        assert_int_equal(place.port, example->port);
        assert_string_equal(place.path, example->path);
    }
}

static void a_file_system_alone_is_its_root(void **state)
{
    (void)state;
    struct place place;
    assert_int_equal(place_parse_remote("default", &place), CLI_OK);
    assert_int_equal(place.kind, PLACE_FILE_SYSTEM);
    assert_string_equal(place.path, "/");
    assert_string_equal(place_name(&place), "");
    assert_int_equal(place_append(&place, "sub"), CLI_OK);
    assert_int_equal(place_append(&place, "file"), CLI_OK);
    assert_string_equal(place.path, "/sub/file");
    assert_string_equal(place_name(&place), "file");
}

static void wrong_words_are_refused(void **state)
{
    (void)state;
    struct place place;
    static const char *const words[] = { "default:dir", "default:/../x", "default:/a/../../b",
        "host:99999:/x", "host:0:/x", "[fd00::1", "[fd00::1]x:/", "a/b:/x", "/local/only",
        "127.0.0.1:12x:/" };
    for (size_t i = 0; i < ARRAY_SIZE(words); i++)
        assert_int_equal(place_parse_remote(words[i], &place), CLI_USAGE);
    char *long_word = malloc(2 * PLACE_PATH_SIZE);
    memset(long_word, 'x', 2 * PLACE_PATH_SIZE);
    memcpy(long_word, "default:/", 9);
    long_word[2 * PLACE_PATH_SIZE - 1] = '\0';
    assert_int_equal(place_parse(long_word, &place), CLI_USAGE);
    assert_int_equal(place_parse(long_word + 9, &place), CLI_USAGE);
    assert_int_equal(place_parse("", &place), CLI_USAGE);
    free(long_word);
}

static void a_server_is_an_address_and_perhaps_a_port(void **state)
{
    (void)state;
    struct place place;
    assert_int_equal(place_parse_server("10.0.0.1:2050", &place), CLI_OK);
    assert_string_equal(place.host, "10.0.0.1");
    assert_int_equal(place.port, 2050);
    assert_int_equal(place_parse_server("server.example", &place), CLI_OK);
    assert_int_equal(place.kind, PLACE_ADDRESS);
    assert_int_equal(place.port, 0);
    assert_int_equal(place_parse_server("10.0.0.1:/x", &place), CLI_USAGE);
    assert_int_equal(place_parse_server("", &place), CLI_USAGE);
}

static void numbers_are_shown_for_people(void **state)
{
    (void)state;
    char buffer[FORMAT_SIZE];
    assert_string_equal(format_bytes(buffer, 0), "0 B");
    assert_string_equal(format_bytes(buffer, 1023), "1023 B");
    assert_string_equal(format_bytes(buffer, 1536), "1.5 KiB");
    assert_string_equal(format_bytes(buffer, 1048575), "1.0 MiB");
    assert_string_equal(format_bytes(buffer, UINT64_MAX), "16.0 EiB");
    assert_string_equal(format_count(buffer, 0), "0");
    assert_string_equal(format_count(buffer, 999), "999");
    assert_string_equal(format_count(buffer, 1000), "1,000");
    assert_string_equal(format_count(buffer, UINT64_MAX), "18,446,744,073,709,551,615");
    assert_string_equal(format_duration(buffer, -1), "0:00");
    assert_string_equal(format_duration(buffer, 59.6), "1:00");
    assert_string_equal(format_duration(buffer, 3 * 3600 + 61), "3:01:01");
}

static void modes_and_times_are_shown_as_ls_does(void **state)
{
    (void)state;
    char buffer[FORMAT_SIZE];
    assert_string_equal(format_mode(buffer, TREE_DIRECTORY, 01777), "drwxrwxrwt");
    assert_string_equal(format_mode(buffer, TREE_REGULAR, 06644), "-rwSr-Sr--");
    assert_string_equal(format_mode(buffer, TREE_REGULAR, 04711), "-rws--x--x");
    assert_string_equal(format_mode(buffer, TREE_SYMLINK, 0777), "lrwxrwxrwx");
    assert_string_equal(format_mode(buffer, TREE_CHARACTER, 0), "c---------");
    setenv("TZ", "UTC", 1); /* one thread. NOLINT(concurrency-mt-unsafe) */
    tzset();
    assert_string_equal(
        format_time(buffer, (struct clock_time){ -1, 5 }), "1969-12-31 23:59:59.000000005 +0000");
    assert_string_equal(format_time(buffer, (struct clock_time){ INT64_MAX, 0 }),
        "9223372036854775807.000000000 s");
}

static void names_that_are_no_utf8_have_their_bytes_in_json(void **state)
{
    (void)state;
    struct tree_attr attr = { .type = TREE_REGULAR, .mode = 0644 };
    json_t *json = format_attr_json("\xff"
                                    "x",
        &attr);
    assert_string_equal(json_string_value(json_object_get(json, "name")), "?x");
    assert_string_equal(json_string_value(json_object_get(json, "name_hex")), "ff78");
    json_decref(json);
    json = format_attr_json("plain", &attr);
    assert_null(json_object_get(json, "name_hex"));
    assert_string_equal(json_string_value(json_object_get(json, "mode")), "0644");
    json_decref(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_are_read_as_places),
        cmocka_unit_test(a_file_system_alone_is_its_root),
        cmocka_unit_test(wrong_words_are_refused),
        cmocka_unit_test(a_server_is_an_address_and_perhaps_a_port),
        cmocka_unit_test(numbers_are_shown_for_people),
        cmocka_unit_test(modes_and_times_are_shown_as_ls_does),
        cmocka_unit_test(names_that_are_no_utf8_have_their_bytes_in_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
