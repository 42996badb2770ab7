/* tests/unit/mount/test_mountinfo.c - /proc/self/mountinfo, and paths by their words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "mount/mountinfo.h"

static const char text[] =
    "22 1 0:20 / / rw,relatime shared:1 - ext4 /dev/vda rw\n"
    "25 22 0:21 / /mnt rw - tmpfs mnt rw\n"
    "26 25 0:22 / /mnt/my\\040data rw,noatime - nfs4 10.0.0.1:/ "
    "rw,vers=4.1,port=20049,addr=127.0.0.1\n"
    "27 25 0:23 / /mnt/over rw - tmpfs first rw\n"
    "not a line\n"
    "28 27 0:24 / /mnt/over ro master:1 propagate_from:2 - nfs4 fs-1:/x ro,vers=4.1,hard\n";
static struct mountinfo mount;

static void a_line_is_read_whole(void **state)
{
    (void)state;
    assert_int_equal(mountinfo_at(text, "/mnt/my data", &mount), 0);
    assert_string_equal(mount.type, "nfs4");
    assert_string_equal(mount.source, "10.0.0.1:/");
    assert_string_equal(mount.options, "rw,noatime");
    assert_int_equal(mount.minor, 22);
    assert_true(mountinfo_is_nfs(&mount));
    char value[16];
    assert_int_equal(mountinfo_option(mount.super_options, "port", value, sizeof value), 0);
    assert_string_equal(value, "20049");
    assert_int_equal(mountinfo_option(mount.super_options, "addr", value, 4), -ENOSPC);
    assert_int_equal(mountinfo_option(mount.super_options, "por", value, sizeof value), -ENOENT);
    assert_int_equal(mountinfo_option(mount.options, "noatime", value, sizeof value), 0);
    assert_string_equal(value, "");
}

static void the_later_of_two_mounts_is_seen(void **state)
{
    (void)state;
    assert_int_equal(mountinfo_at(text, "/mnt/over", &mount), 0);
    assert_string_equal(mount.source, "fs-1:/x");
    assert_int_equal(mountinfo_at(text, "/mnt/ove", &mount), -ENOENT);
}

static void the_mount_of_a_path_is_the_longest(void **state)
{
    (void)state;
    assert_int_equal(mountinfo_of(text, "/mnt/over/a/b", &mount), 0);
    assert_string_equal(mount.point, "/mnt/over");
    assert_int_equal(mountinfo_of(text, "/mnt/overs", &mount), 0);
    assert_string_equal(mount.point, "/mnt");
    assert_int_equal(mountinfo_of(text, "/etc", &mount), 0);
    assert_string_equal(mount.point, "/");
}

static void broken_lines_are_refused(void **state)
{
    (void)state;
    const char *const lines[] = { "", "1 2", "1 2 0:1 / /x rw - nfs4", "1 2 x / /x rw - a b c",
        "1 2 0:x / /x rw - a b c", "1 2 0:1 / /x rw shared:1 nfs4 a b" };
    for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
        assert_int_equal(mountinfo_parse(lines[i], &mount), -EINVAL);
}

static void this_machine_has_a_root(void **state)
{
    (void)state;
    char *mine = NULL;
    assert_int_equal(mountinfo_read(&mine), 0);
    assert_int_equal(mountinfo_of(mine, "/", &mount), 0);
    free(mine);
}

static void paths_are_cleaned_by_their_words(void **state)
{
    (void)state;
    static const char *const cases[][3] = { { "/w", "a", "/w/a" }, { "/w", "/a//b/", "/a/b" },
        { "/w/x", "../y/./z", "/w/y/z" }, { "/w", "../../..", "/" }, { "/", "", "/" },
        { "/w", "/", "/" } };
    char path[MOUNTINFO_PATH_SIZE];
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        assert_int_equal(mountinfo_clean_path(cases[i][0], cases[i][1], path), 0);
        assert_string_equal(path, cases[i][2]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_is_read_whole),
        cmocka_unit_test(the_later_of_two_mounts_is_seen),
        cmocka_unit_test(the_mount_of_a_path_is_the_longest),
        cmocka_unit_test(broken_lines_are_refused),
        cmocka_unit_test(this_machine_has_a_root),
        cmocka_unit_test(paths_are_cleaned_by_their_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
