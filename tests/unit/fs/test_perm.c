/* Tests of fs/perm.c: one sentence of POSIX each. */
#include "fs/perm.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const uint32_t groups[] = { 500, 600 };
static const struct fs_cred root = { .uid = 0, .gid = 0 };
static const struct fs_cred owner = { .uid = 10, .gid = 100, .group_count = 2, .groups = groups };
static const struct fs_cred member = { .uid = 11, .gid = 500 };
static const struct fs_cred other = { .uid = 12, .gid = 101 };

static struct fs_attr file(uint32_t mode)
{
    return (struct fs_attr){ .type = FS_REGULAR, .mode = mode, .uid = 10, .gid = 500 };
}

static void the_first_matching_class_decides(void **state)
{
    (void)state;
    struct fs_attr attr = file(0047);
    assert_int_equal(perm_granted(&owner, &attr, 7), 0);
    assert_int_equal(perm_granted(&member, &attr, 7), PERM_READ);
    assert_int_equal(perm_granted(&other, &attr, 7), 7);
    assert_int_equal(perm_check(&member, &attr, PERM_READ), 0);
    assert_int_equal(perm_check(&member, &attr, PERM_READ | PERM_WRITE), -EACCES);
}

static void root_has_all_but_executing_what_nobody_may(void **state)
{
    (void)state;
    struct fs_attr attr = file(0000);
    assert_int_equal(perm_granted(&root, &attr, 7), PERM_READ | PERM_WRITE);
    assert_int_equal(perm_granted(NULL, &attr, 7), PERM_READ | PERM_WRITE);
    attr.mode = 0001;
    assert_int_equal(perm_granted(&root, &attr, 7), 7);
    attr.mode = 0;
    attr.type = FS_DIRECTORY;
    assert_int_equal(perm_granted(&root, &attr, 7), 7);
}

static void who_may_execute_a_file_may_read_its_data(void **state)
{
    (void)state;
    struct fs_attr attr = file(0711);
    assert_int_equal(perm_check_data(&other, &attr, PERM_READ), 0);
    assert_int_equal(perm_check(&other, &attr, PERM_READ), -EACCES);
    assert_int_equal(perm_check_data(&other, &attr, PERM_READ | PERM_WRITE), -EACCES);
    assert_int_equal(perm_check_data(&other, &attr, PERM_WRITE), -EACCES);
    attr.type = FS_DIRECTORY;
    assert_int_equal(perm_check_data(&other, &attr, PERM_READ), -EACCES);
}

static void a_sticky_directory_protects_names_of_others(void **state)
{
    (void)state;
    struct fs_attr dir = { .type = FS_DIRECTORY, .mode = 01777, .uid = 1, .gid = 1 };
    struct fs_attr victim = file(0666);
    assert_int_equal(perm_check_remove(&other, &dir, &victim), -EPERM);
    assert_int_equal(perm_check_remove(&owner, &dir, &victim), 0);
    assert_int_equal(perm_check_remove(&root, &dir, &victim), 0);
    dir.uid = other.uid;
    assert_int_equal(perm_check_remove(&other, &dir, &victim), 0);
    dir.mode = 0755;
    assert_int_equal(perm_check_remove(&owner, &dir, &victim), -EACCES);
}

static void only_the_owner_changes_the_mode(void **state)
{
    (void)state;
    struct fs_attr attr = file(0644);
    struct fs_setattr change = { .set_mode = true, .mode = 0600 };
    assert_int_equal(perm_check_setattr(&owner, &attr, &change), 0);
    assert_int_equal(perm_check_setattr(&root, &attr, &change), 0);
    assert_int_equal(perm_check_setattr(&member, &attr, &change), -EPERM);
}

static void setgid_needs_membership(void **state)
{
    (void)state;
    struct fs_attr attr = file(0644);
    attr.gid = 777;
    struct fs_setattr change = { .set_mode = true, .mode = 02755 };
    assert_int_equal(perm_check_setattr(&owner, &attr, &change), 0);
    assert_int_equal(change.mode, 0755);
    change = (struct fs_setattr){ .set_mode = true, .mode = 02755 };
    assert_int_equal(perm_check_setattr(&root, &attr, &change), 0);
    assert_int_equal(change.mode, 02755);
}

static void chown_is_for_root_and_chgrp_for_members(void **state)
{
    (void)state;
    struct fs_attr attr = file(0644);
    struct fs_setattr change = { .set_uid = true, .uid = 12 };
    assert_int_equal(perm_check_setattr(&owner, &attr, &change), -EPERM);
    assert_int_equal(perm_check_setattr(&root, &attr, &change), 0);
    change.uid = 10;
    assert_int_equal(perm_check_setattr(&owner, &attr, &change), 0);
    assert_int_equal(perm_check_setattr(&other, &attr, &change), -EPERM);
    change = (struct fs_setattr){ .set_gid = true, .gid = 600 };
    assert_int_equal(perm_check_setattr(&owner, &attr, &change), 0);
    change.gid = 601;
    assert_int_equal(perm_check_setattr(&owner, &attr, &change), -EPERM);
}

static void chgrp_by_the_owner_clears_setuid_and_setgid(void **state)
{
    (void)state;
    struct fs_attr attr = file(06755);
    struct fs_setattr change = { .set_gid = true, .gid = 600 };
    assert_int_equal(perm_check_setattr(&owner, &attr, &change), 0);
    assert_true(change.set_mode);
    assert_int_equal(change.mode, 0755);
}

static void times_of_the_client_need_ownership(void **state)
{
    (void)state;
    struct fs_attr attr = file(0664);
    struct fs_setattr now = { .mtime_how = FS_TIME_SERVER };
    struct fs_setattr then = { .mtime_how = FS_TIME_CLIENT };
    assert_int_equal(perm_check_setattr(&member, &attr, &now), 0);
    assert_int_equal(perm_check_setattr(&member, &attr, &then), -EPERM);
    assert_int_equal(perm_check_setattr(&other, &attr, &now), -EACCES);
    assert_int_equal(perm_check_setattr(&owner, &attr, &then), 0);
}

static void truncation_needs_write_permission_or_an_open_file(void **state)
{
    (void)state;
    struct fs_attr attr = file(0444);
    struct fs_setattr change = { .set_size = true };
    assert_int_equal(perm_check_setattr(&owner, &attr, &change), -EACCES);
    change.size_by_open_file = true;
    assert_int_equal(perm_check_setattr(&owner, &attr, &change), 0);
}

static void writing_clears_setuid_unless_root_writes(void **state)
{
    (void)state;
    struct fs_attr attr = file(06755);
    assert_int_equal(perm_mode_after_write(&other, &attr), 0755);
    assert_int_equal(perm_mode_after_write(&root, &attr), 06755);
    attr.mode = 06745;
    assert_int_equal(perm_mode_after_write(&other, &attr), 02745);
}

static void extended_attributes_are_of_files_and_directories(void **state)
{
    (void)state;
    struct fs_attr attr = file(0640);
    assert_int_equal(perm_check_xattr(&owner, &attr, PERM_WRITE), 0);
    assert_int_equal(perm_check_xattr(&member, &attr, PERM_READ), 0);
    assert_int_equal(perm_check_xattr(&member, &attr, PERM_WRITE), -EACCES);
    assert_int_equal(perm_check_xattr(&other, &attr, PERM_READ), -EACCES);
    attr.type = FS_SYMLINK;
    assert_int_equal(perm_check_xattr(&root, &attr, PERM_WRITE), -EPERM);
    assert_int_equal(perm_check_xattr(&root, &attr, PERM_READ), -ENODATA);
    attr = (struct fs_attr){ .type = FS_DIRECTORY, .mode = 01777, .uid = 10, .gid = 500 };
    assert_int_equal(perm_check_xattr(&other, &attr, PERM_WRITE), -EPERM);
    assert_int_equal(perm_check_xattr(&other, &attr, PERM_READ), 0);
    assert_int_equal(perm_check_xattr(&owner, &attr, PERM_WRITE), 0);
    assert_int_equal(perm_check_xattr(&root, &attr, PERM_WRITE), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_matching_class_decides),
        cmocka_unit_test(root_has_all_but_executing_what_nobody_may),
        cmocka_unit_test(who_may_execute_a_file_may_read_its_data),
        cmocka_unit_test(a_sticky_directory_protects_names_of_others),
        cmocka_unit_test(only_the_owner_changes_the_mode),
        cmocka_unit_test(setgid_needs_membership),
        cmocka_unit_test(chown_is_for_root_and_chgrp_for_members),
        cmocka_unit_test(chgrp_by_the_owner_clears_setuid_and_setgid),
        cmocka_unit_test(times_of_the_client_need_ownership),
        cmocka_unit_test(truncation_needs_write_permission_or_an_open_file),
        cmocka_unit_test(writing_clears_setuid_unless_root_writes),
        cmocka_unit_test(extended_attributes_are_of_files_and_directories),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
