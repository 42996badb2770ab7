/* tests/unit/daemon/test_options.c - values from four places, and what is said about wrong ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/options.h"

#define WORDS_MAX 16

struct fixture {
    char file[64];
    char *argv[WORDS_MAX];
    char *environment[WORDS_MAX];
    struct options options;
    enum options_action action;
    struct problem problem;
};

static int no_file(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    (void)snprintf(f->file, sizeof f->file, "/tmp/shoal-options-XXXXXX");
    int fd = mkstemp(f->file);
    assert_true(fd >= 0);
    (void)close(fd);
    *state = f;
    return 0;
}

static int forget(void **state)
{
    struct fixture *f = *state;
    (void)unlink(f->file);
    free(f);
    return 0;
}

static void write_file(const struct fixture *f, const char *text)
{
    FILE *to = fopen(f->file, "w");
    assert_non_null(to);
    assert_true(fputs(text, to) >= 0);
    assert_int_equal(fclose(to), 0);
}

/* Loads with these words after "shoald"; the list ends with NULL. */
static int load(struct fixture *f, ...)
{
    struct options_source source = { .argv = f->argv, .environment = f->environment };
    static char program[] = "shoald";
    f->argv[source.argc++] = program;
    va_list words;
    va_start(words, f);
    for (char *word; (word = va_arg(words, char *)) != NULL;)
        f->argv[source.argc++] = word;
    va_end(words);
    f->argv[source.argc] = NULL;
    return options_load(&source, &f->options, &f->action, &f->problem);
}

static void assert_problem(const struct fixture *f, const char *part)
{
    if (strstr(f->problem.text, part) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", f->problem.text, part);
}

static void every_default_is_read_back_from_its_text(void **state)
{
    (void)state;
    struct options options;
    struct options again;
    options_init(&options);
    options_init(&again);
    for (unsigned i = 0; i < option_count(); i++) {
        char text[CIDR_TEXT_SIZE];
        struct problem problem;
        option_format(option_at(i), &options, text, sizeof text);
        if (text[0] != '\0')
            assert_int_equal(option_parse(option_at(i), text, &again, &problem), 0);
    }
    assert_memory_equal(&options, &again, sizeof options);
}

static void every_row_has_help_and_its_own_name(void **state)
{
    (void)state;
    for (unsigned i = 0; i < option_count(); i++) {
        const struct option_row *row = option_at(i);
        struct problem problem;
        assert_true(strlen(row->help) > 10 && row->help[strlen(row->help) - 1] == '.');
        assert_ptr_equal(option_find(row->section, row->key, &problem), row);
        assert_true(strncmp("data", row->section, 5) != 0); /* SHOAL_DATA belongs to the CLI */
    }
    assert_null(option_at(option_count()));
}

static void every_row_refuses_what_is_out_of_its_range(void **state)
{
    struct fixture *f = *state;
    for (unsigned i = 0; i < option_count(); i++) {
        const struct option_row *row = option_at(i);
        struct options before;
        options_init(&f->options);
        before = f->options;
        assert_int_equal(option_parse(row, "", &f->options, &f->problem), -EINVAL);
        assert_int_equal(option_parse(row, "\x01", &f->options, &f->problem), -EINVAL);
        assert_problem(f, row->key);
        if (row->type == OPTION_NUMBER && row->high < UINT64_MAX) {
            char beyond[32];
            (void)snprintf(beyond, sizeof beyond, "%" PRIu64, row->high + 1);
            assert_int_equal(option_parse(row, beyond, &f->options, &f->problem), -EINVAL);
            assert_problem(f, beyond);
        }
        if (row->type == OPTION_NUMBER && row->low > 0)
            assert_int_equal(option_parse(row, "0", &f->options, &f->problem), -EINVAL);
        assert_memory_equal(&before, &f->options, sizeof before);
    }
}

static void bytes_may_have_a_unit(void **state)
{
    struct fixture *f = *state;
    const struct option_row row = { .section = "a",
        .key = "b",
        .type = OPTION_BYTES,
        .low = 4096,
        .high = 1 << 30,
        .offset = offsetof(struct options, nfs_port),
        .unit = "" };
    assert_int_equal(option_parse(&row, "64MiB", &f->options, &f->problem), 0);
    assert_int_equal(f->options.nfs_port, 64 << 20);
    char text[CIDR_TEXT_SIZE];
    option_format(&row, &f->options, text, sizeof text);
    assert_string_equal(text, "64MiB");
    assert_int_equal(option_parse(&row, "4096", &f->options, &f->problem), 0);
    assert_int_equal(option_parse(&row, "1GiB", &f->options, &f->problem), 0);
    assert_int_equal(option_parse(&row, "2GiB", &f->options, &f->problem), -EINVAL);
    assert_int_equal(option_parse(&row, "4095", &f->options, &f->problem), -EINVAL);
    assert_int_equal(option_parse(&row, "KiB", &f->options, &f->problem), -EINVAL);
    assert_int_equal(
        option_parse(&row, "99999999999999999999GiB", &f->options, &f->problem), -EINVAL);
}

static void words_and_digits_take_only_their_letters(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(load(f, "--data", "d", "--region", "eu-west-3", NULL), 0);
    assert_string_equal(f->options.node_region, "eu-west-3");
    assert_int_equal(load(f, "--data", "d", "--region", "eu west", NULL), -EINVAL);
    assert_problem(f, "--region: node.region takes a word");
    assert_int_equal(load(f, "--data", "d", "--account", "12345678901", NULL), -EINVAL);
    assert_problem(f, "12 digits");
    assert_int_equal(load(f, "--data", "d", "--account", "12345678901x", NULL), -EINVAL);
    assert_int_equal(load(f, "--data", "d", "--account", "123456789012", NULL), 0);
}

static void the_command_line_beats_the_environment_beats_the_file(void **state)
{
    struct fixture *f = *state;
    write_file(f, "[node]\ndata = /from-file\nregion = file-1\naccount = 111111111111\n"
                  "[nfs]\nport = 1111 ; a remark\n");
    f->environment[0] = (char[]){ "SHOAL_NODE_REGION=env-1" };
    f->environment[1] = (char[]){ "SHOAL_NFS_PORT=2222" };
    f->environment[2] = (char[]){ "HOME=/nowhere" };
    assert_int_equal(load(f, "--config", f->file, "--nfs-port=3333", NULL), 0);
    assert_string_equal(f->options.node_data, "/from-file");
    assert_string_equal(f->options.node_account, "111111111111");
    assert_string_equal(f->options.node_region, "env-1");
    assert_int_equal(f->options.nfs_port, 3333);
    assert_int_equal(f->action, OPTIONS_RUN);
}

static void an_unknown_key_is_an_error_with_a_suggestion(void **state)
{
    struct fixture *f = *state;
    write_file(f, "# fine\n[nfs]\nport = 1\nlisen = 0.0.0.0/0\n");
    assert_int_equal(load(f, "--data", "d", "--config", f->file, NULL), -EINVAL);
    assert_problem(f, ":4: There is no option nfs.lisen; did you mean nfs.listen?");
    assert_problem(f, f->file);
    write_file(f, "[zzz]\nqqqqqqqqq = 1\n");
    assert_int_equal(load(f, "--data", "d", "--config", f->file, NULL), -EINVAL);
    assert_problem(f, "--print-config lists all");
}

static void a_file_is_read_strictly(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *text;
        const char *problem;
    } files[] = {
        { "port = 1\n", ":1: port stands before the first [section]." },
        { "[nfs]\nport = 1\nport = 2\n", ":3: nfs.port is given a second time." },
        { "[nfs]\n\nport\n", ":3: This is neither" },
        { "[nfs\nport = 1\n", ":1: This is neither" },
        { "[nfs]\nport = abc\n", ":2: nfs.port takes a number from 0 to 65535, not \"abc\"." },
    };
    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        write_file(f, files[i].text);
        assert_int_equal(load(f, "--data", "d", "--config", f->file, NULL), -EINVAL);
        assert_problem(f, files[i].problem);
    }
    char longest[512];
    memset(longest, 'x', sizeof longest);
    memcpy(longest, "[node]\ndata=", 12);
    longest[sizeof longest - 1] = '\0';
    write_file(f, longest);
    assert_int_equal(load(f, "--config", f->file, NULL), -EINVAL);
    assert_problem(f, ":2: The line is longer");
    assert_int_equal(load(f, "--data", "d", "--config", "/nonexistent/x", NULL), -EINVAL);
    assert_problem(f, "/nonexistent/x: No such file or directory.");
}

static void a_variable_of_a_section_must_name_an_option(void **state)
{
    struct fixture *f = *state;
    f->environment[0] = (char[]){ "SHOAL_DATA=/elsewhere" };
    assert_int_equal(load(f, "--data", "d", NULL), 0);
    f->environment[0] = (char[]){ "SHOAL_NFS_PROT=1" };
    assert_int_equal(load(f, "--data", "d", NULL), -EINVAL);
    assert_problem(f, "SHOAL_NFS_PROT: There is no option nfs.prot; did you mean nfs.port?");
    f->environment[0] = (char[]){ "SHOAL_NFS_PORT=x" };
    assert_int_equal(load(f, "--data", "d", NULL), -EINVAL);
    assert_problem(f, "SHOAL_NFS_PORT: nfs.port takes a number");
}

static void unknown_flags_are_errors_with_a_suggestion(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(load(f, "--dta", "d", NULL), -EINVAL);
    assert_problem(f, "did you mean --data?");
    assert_int_equal(load(f, "something", NULL), -EINVAL);
    assert_problem(f, "--help lists");
    assert_int_equal(load(f, "--data", NULL), -EINVAL);
    assert_problem(f, "--data needs a value");
    assert_int_equal(load(f, NULL), -EINVAL);
    assert_problem(f, "add --data DIR");
}

static void any_option_can_be_set_by_its_name(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(
        load(f, "--data", "d", "--set", "log.level=debug", "--set=io.threads=3", NULL), 0);
    assert_int_equal(f->options.log_level, LOG_LEVEL_DEBUG);
    assert_int_equal(f->options.io_threads, 3);
    assert_int_equal(load(f, "--data", "d", "--set", "log.levle=debug", NULL), -EINVAL);
    assert_problem(f, "did you mean log.level?");
    assert_int_equal(load(f, "--data", "d", "--set", "level", NULL), -EINVAL);
    assert_problem(f, "--set takes section.key=value");
}

static void the_printed_configuration_gives_the_same_options(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(load(f, "--data", "/x/y", "--nfs-port", "7", "--set", "log.level=warn",
                         "--set", "nfs.listen=10.0.0.0/8,127.0.0.1", "--print-config", NULL),
        0);
    assert_int_equal(f->action, OPTIONS_PRINT);
    struct options printed = f->options;
    FILE *to = fopen(f->file, "w");
    assert_non_null(to);
    options_print(&printed, to);
    assert_int_equal(fclose(to), 0);
    assert_int_equal(load(f, "--config", f->file, NULL), 0);
    assert_memory_equal(&f->options, &printed, sizeof printed);
}

static void a_reload_takes_only_what_may_change(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(load(f, "--data", "d", NULL), 0);
    struct options fresh = f->options;
    fresh.log_level = LOG_LEVEL_DEBUG;
    assert_null(options_reload(&f->options, &fresh));
    assert_int_equal(f->options.log_level, LOG_LEVEL_DEBUG);
    fresh.nfs_port = 99;
    const struct option_row *row = options_reload(&f->options, &fresh);
    assert_non_null(row);
    assert_string_equal(row->key, "port");
    assert_int_equal(f->options.nfs_port, 2049);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_default_is_read_back_from_its_text),
        cmocka_unit_test(every_row_has_help_and_its_own_name),
        cmocka_unit_test_setup_teardown(
            every_row_refuses_what_is_out_of_its_range, no_file, forget),
        cmocka_unit_test_setup_teardown(bytes_may_have_a_unit, no_file, forget),
        cmocka_unit_test_setup_teardown(words_and_digits_take_only_their_letters, no_file, forget),
        cmocka_unit_test_setup_teardown(
            the_command_line_beats_the_environment_beats_the_file, no_file, forget),
        cmocka_unit_test_setup_teardown(
            an_unknown_key_is_an_error_with_a_suggestion, no_file, forget),
        cmocka_unit_test_setup_teardown(a_file_is_read_strictly, no_file, forget),
        cmocka_unit_test_setup_teardown(
            a_variable_of_a_section_must_name_an_option, no_file, forget),
        cmocka_unit_test_setup_teardown(
            unknown_flags_are_errors_with_a_suggestion, no_file, forget),
        cmocka_unit_test_setup_teardown(any_option_can_be_set_by_its_name, no_file, forget),
        cmocka_unit_test_setup_teardown(
            the_printed_configuration_gives_the_same_options, no_file, forget),
        cmocka_unit_test_setup_teardown(a_reload_takes_only_what_may_change, no_file, forget),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
