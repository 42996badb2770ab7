/* tests/unit/cli/test_efs_conf.c - single values of efs-utils' configuration are changed, and nothing else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "cli/efs_conf.h"

static void becomes(const char *text, const char *key, const char *value, const char *expected)
{
    char *made = NULL;
    char *again = NULL;
    assert_int_equal(efs_conf_set(text, "mount", key, value, &made), 0);
    assert_string_equal(made, expected);
    assert_int_equal(efs_conf_set(made, "mount", key, value, &again), 0);
    assert_string_equal(again, expected); /* saying it again changes nothing */
    free(made);
    free(again);
}

static void a_value_is_replaced_in_its_place(void **state)
{
    (void)state;
    becomes("[a]\nkey = 1\n[mount]\n# key = 0\nkey = 1\nother = 2\n", "key", "new",
        "[a]\nkey = 1\n[mount]\n# key = 0\nkey = new\nother = 2\n");
    becomes("[mount]\nKEY: 1\n  more\nother = 2", "key", "new", "[mount]\nkey = new\nother = 2\n");
    becomes("[mount]\nkey=1", "key", "new", "[mount]\nkey = new\n");
}

static void a_missing_one_is_added_to_its_section(void **state)
{
    (void)state;
    becomes("[mount]\n#key = 0\nkey2 = 1\n[mount.x]\nkey = 1\n", "key", "new",
        "[mount]\nkey = new\n#key = 0\nkey2 = 1\n[mount.x]\nkey = 1\n");
    becomes("[mount]", "key", "new", "[mount]\nkey = new\n");
}

static void a_missing_section_is_added(void **state)
{
    (void)state;
    becomes("", "key", "new", "\n[mount]\nkey = new\n");
    becomes("[mount.x]\nkey = 1", "key", "new", "[mount.x]\nkey = 1\n\n[mount]\nkey = new\n");
    assert_true(efs_conf_has_section("[a]\n[mount.us-east-1]\n", "mount.us-east-1"));
    assert_false(efs_conf_has_section("[mount.us-east-1]\n", "mount"));
    assert_false(efs_conf_has_section("#[mount]\n", "mount"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_value_is_replaced_in_its_place),
        cmocka_unit_test(a_missing_one_is_added_to_its_section),
        cmocka_unit_test(a_missing_section_is_added),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
