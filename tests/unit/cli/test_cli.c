/* tests/unit/cli/test_cli.c - the table of commands, and the options of one command. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/cli.h"

#define WORDS_MAX 16

struct words {
    int argc;
    char text[WORDS_MAX][64];
    char *argv[WORDS_MAX + 1];
};

/* A command line of these words, with a NULL after them. */
static void words_set(struct words *words, ...)
{
    va_list list;
    words->argc = 0;
    va_start(list, words);
    for (const char *word; (word = va_arg(list, const char *)) != NULL;) {
        (void)snprintf(words->text[words->argc], sizeof words->text[0], "%s", word);
        words->argv[words->argc] = words->text[words->argc];
        words->argc++;
    }
    va_end(list);
    words->argv[words->argc] = NULL;
}

struct parsed {
    const char *data;
    bool json;
};

static int parse(struct words *words, struct parsed *out)
{
    *out = (struct parsed){ 0 };
    const struct cli_option options[] = { { "--data", &out->data, NULL },
        { "--json", NULL, &out->json } };
    return cli_parse(options, ARRAY_SIZE(options), &words->argc, words->argv);
}

static void every_command_has_words_for_its_help(void **state)
{
    (void)state;
    assert_true(cli_command_count() >= 4);
    for (unsigned i = 0; i < cli_command_count(); i++) {
        const struct cli_command *command = cli_command_at(i);
        assert_true(strlen(command->summary) > 10 && strlen(command->details) > 20);
        assert_true(command->summary[strlen(command->summary) - 1] != '.');
        assert_non_null(command->run);
        for (unsigned j = 0; j < i; j++)
            assert_string_not_equal(command->name, cli_command_at(j)->name);
    }
    assert_null(cli_command_at(cli_command_count()));
}

static void options_may_stand_anywhere(void **state)
{
    (void)state;
    struct words words;
    struct parsed parsed;
    words_set(&words, "ls", "a", "--json", "b", "--data=/d", "c", NULL);
    assert_int_equal(parse(&words, &parsed), CLI_OK);
    assert_true(parsed.json);
    assert_string_equal(parsed.data, "/d");
    assert_int_equal(words.argc, 4);
    assert_string_equal(words.argv[3], "c");
    assert_null(words.argv[4]);
}

static void two_dashes_end_the_options(void **state)
{
    (void)state;
    struct words words;
    struct parsed parsed;
    words_set(&words, "rm", "--data", "/d", "--", "--json", "-x", NULL);
    assert_int_equal(parse(&words, &parsed), CLI_OK);
    assert_false(parsed.json);
    assert_int_equal(words.argc, 3);
    assert_string_equal(words.argv[1], "--json");
    assert_string_equal(words.argv[2], "-x");
}

static void a_lone_dash_is_a_word(void **state)
{
    (void)state;
    struct words words;
    struct parsed parsed;
    words_set(&words, "cp", "-", "x", NULL);
    assert_int_equal(parse(&words, &parsed), CLI_OK);
    assert_int_equal(words.argc, 3);
}

static void wrong_options_are_usage_errors(void **state)
{
    (void)state;
    struct words words;
    struct parsed parsed;
    words_set(&words, "ls", "--dta", "x", NULL);
    assert_int_equal(parse(&words, &parsed), CLI_USAGE);
    words_set(&words, "ls", "--data", NULL);
    assert_int_equal(parse(&words, &parsed), CLI_USAGE);
    words_set(&words, "ls", "--json=yes", NULL);
    assert_int_equal(parse(&words, &parsed), CLI_USAGE);
    assert_false(parsed.json);
}

static void unknown_options_can_be_left_for_another_program(void **state)
{
    (void)state;
    struct words words;
    struct parsed parsed = { 0 };
    const struct cli_option options[] = { { "--data", &parsed.data, NULL },
        { "--json", NULL, &parsed.json } };
    words_set(&words, "up", "--nfs-port", "7", "--json", "--set=a.b=c", "--data", "d", NULL);
    cli_take_known(options, ARRAY_SIZE(options), &words.argc, words.argv);
    assert_string_equal(parsed.data, "d");
    assert_true(parsed.json);
    assert_int_equal(words.argc, 4);
    assert_string_equal(words.argv[1], "--nfs-port");
    assert_string_equal(words.argv[3], "--set=a.b=c");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_command_has_words_for_its_help),
        cmocka_unit_test(options_may_stand_anywhere),
        cmocka_unit_test(two_dashes_end_the_options),
        cmocka_unit_test(a_lone_dash_is_a_word),
        cmocka_unit_test(wrong_options_are_usage_errors),
        cmocka_unit_test(unknown_options_can_be_left_for_another_program),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
