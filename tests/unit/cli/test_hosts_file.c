/* tests/unit/cli/test_hosts_file.c - a block of lines in a file that belongs to others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/sys.h"
#include "cli/hosts_file.h"

#define BEGIN "# begin of z, written by shoal hosts\n"
#define END   "# end of z\n"

static void assert_edit(const char *old, const char *lines, const char *wanted)
{
    char *text;
    assert_int_equal(hosts_file_edit(old, "z", lines, &text), 0);
    assert_string_equal(text, wanted);
    free(text);
}

static void a_block_goes_to_the_end(void **state)
{
    (void)state;
    assert_edit("", "1 a\n", BEGIN "1 a\n" END);
    assert_edit("127.0.0.1 localhost\n", "1 a\n", "127.0.0.1 localhost\n" BEGIN "1 a\n" END);
    assert_edit("no newline", "1 a\n", "no newline\n" BEGIN "1 a\n" END);
}

static void a_block_is_replaced_where_it_is(void **state)
{
    (void)state;
    assert_edit("a\n" BEGIN "1 old\n2 old\n" END "b\n", "3 new\n", "a\n" BEGIN "3 new\n" END "b\n");
    assert_edit(BEGIN "1 a\n" END, "1 a\n", BEGIN "1 a\n" END);
    assert_edit(BEGIN "1 a\n# end of z", "2 b\n",
        BEGIN "2 b\n" END); /* somebody's editor took the last newline */
}

static void a_block_without_lines_goes(void **state)
{
    (void)state;
    assert_edit("a\n" BEGIN "1 old\n" END "b", "", "a\nb");
    assert_edit("a\nb", "", "a\nb");
}

static void blocks_of_others_are_left_alone(void **state)
{
    (void)state;
    const char *other = "# begin of zz, written by shoal hosts\n9 z\n# end of zz\n # end of z\n";
    char text[512];
    (void)snprintf(text, sizeof text, "%s%s", other, BEGIN "1 a\n" END);
    assert_edit(other, "1 a\n", text);
}

static void marks_that_do_not_belong_together_are_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = { BEGIN "1 a\n", "1 a\n" END, END BEGIN, BEGIN BEGIN END,
        BEGIN END END, BEGIN END BEGIN END };
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        char *text;
        assert_int_equal(hosts_file_edit(wrong[i], "z", "1 a\n", &text), -EBADMSG);
    }
}

static void a_file_keeps_its_mode_and_is_written_only_when_it_changes(void **state)
{
    (void)state;
    char directory[] = "/tmp/shoal-hosts-XXXXXX";
    char path[64];
    bool changed = false;
    struct stat before;
    struct stat after;
    char *text;
    assert_non_null(mkdtemp(directory));
    (void)snprintf(path, sizeof path, "%s/hosts", directory);
    assert_int_equal(hosts_file_write(path, "z", "1 a\n", &changed), 0);
    assert_true(changed);
    assert_int_equal(chmod(path, 0604), 0);
    assert_int_equal(hosts_file_write(path, "z", "2 b\n", &changed), 0);
    assert_true(changed);
    assert_int_equal(stat(path, &before), 0);
    assert_int_equal(before.st_mode & 0777, 0604);
    assert_int_equal(hosts_file_write(path, "z", "2 b\n", &changed), 0);
    assert_false(changed);
    assert_int_equal(stat(path, &after), 0);
    assert_int_equal(before.st_ino, after.st_ino);
    assert_int_equal(sys_read_file(AT_FDCWD, path, 1000, &text), 0);
    assert_string_equal(text, BEGIN "2 b\n" END);
    free(text);
    assert_int_equal(hosts_file_write("/nonexistent/hosts", "z", "1 a\n", &changed), -ENOENT);
    assert_int_equal(sys_remove_tree(AT_FDCWD, directory), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_block_goes_to_the_end),
        cmocka_unit_test(a_block_is_replaced_where_it_is),
        cmocka_unit_test(a_block_without_lines_goes),
        cmocka_unit_test(blocks_of_others_are_left_alone),
        cmocka_unit_test(marks_that_do_not_belong_together_are_refused),
        cmocka_unit_test(a_file_keeps_its_mode_and_is_written_only_when_it_changes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
