/* tests/unit/mount/test_persist.c - lines of fstab and units of systemd. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "mount/persist.h"

static char text[8192];

/* What `systemd-escape --path` gives; the first cases are those of its manual page. */
static void names_are_escaped_as_systemd_does(void **state)
{
    (void)state;
    static const char *const cases[][2] = { { "/dev//sda", "dev-sda" }, { "/", "-" },
        { "/mnt/efs/", "mnt-efs" }, { "/mnt/my data", "mnt-my\\x20data" },
        { "/a-b/c", "a\\x2db-c" }, { "/.hidden", "\\x2ehidden" }, { "/a/.b", "a-.b" },
        { "/\xc3\xa4", "\\xc3\\xa4" } };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        assert_int_equal(persist_escape(cases[i][0], text, sizeof text), 0);
        assert_string_equal(text, cases[i][1]);
    }
    assert_int_equal(persist_escape("relative", text, sizeof text), -EINVAL);
    assert_int_equal(persist_escape("/long", text, 3), -ENOSPC);
}

static void a_line_of_fstab_has_six_fields_and_escaped_blanks(void **state)
{
    (void)state;
    struct persist_entry entry = { "fs-1:/", "/mnt/my data\\", "ro,nofail" };
    assert_int_equal(persist_fstab_line(&entry, text, sizeof text), 0);
    assert_string_equal(text, "fs-1:/\t/mnt/my\\040data\\134\tshoal\tro,nofail,_netdev\t0\t0\n");
    entry.options = "";
    assert_int_equal(persist_fstab_line(&entry, text, sizeof text), 0);
    assert_non_null(strstr(text, "\tshoal\t_netdev,nofail\t"));
}

static void units_say_what_and_where(void **state)
{
    (void)state;
    struct persist_entry entry = { "fs-1:/", "/mnt/50%", "tls" };
    assert_int_equal(persist_mount_unit(&entry, text, sizeof text), 0);
    assert_non_null(strstr(text, "\n[Mount]\nWhat=fs-1:/\nWhere=/mnt/50%%\nType=shoal\n"
                                 "Options=tls,_netdev,nofail\n"));
    assert_non_null(strstr(text, "After=network-online.target"));
    assert_int_equal(persist_automount_unit(&entry, text, sizeof text), 0);
    assert_non_null(strstr(text, "[Automount]\nWhere=/mnt/50%%\n"));
    entry.point = "/a\nb";
    assert_int_equal(persist_mount_unit(&entry, text, sizeof text), -EINVAL);
}

static void editing_fstab_keeps_what_is_not_ours(void **state)
{
    (void)state;
    const struct persist_entry entry = { "fs-1:/", "/mnt/a", "tls" };
    static const char before[] = "# comment /mnt/a\n/dev/vda / ext4 defaults 0 1\n"
                                 "fs-0:/ /mnt/a shoal _netdev 0 0\nlast /x tmpfs d";
    char *once = NULL;
    char *twice = NULL;
    assert_int_equal(persist_edit_fstab(before, &entry, &once), 0);
    assert_string_equal(once, "# comment /mnt/a\n/dev/vda / ext4 defaults 0 1\n"
                              "fs-1:/\t/mnt/a\tshoal\ttls,_netdev,nofail\t0\t0\nlast /x tmpfs d\n");
    assert_int_equal(persist_edit_fstab(once, &entry, &twice), 0);
    assert_string_equal(once, twice);
    free(once);
    free(twice);
    assert_int_equal(persist_edit_fstab("h:/ /mnt/a nfs4 x 0 0\n", &entry, &once), -EEXIST);
    assert_int_equal(persist_edit_fstab("", &entry, &once), 0);
    assert_string_equal(once, "fs-1:/\t/mnt/a\tshoal\ttls,_netdev,nofail\t0\t0\n");
    free(once);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_escaped_as_systemd_does),
        cmocka_unit_test(a_line_of_fstab_has_six_fields_and_escaped_blanks),
        cmocka_unit_test(units_say_what_and_where),
        cmocka_unit_test(editing_fstab_keeps_what_is_not_ours),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
