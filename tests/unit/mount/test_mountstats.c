/* tests/unit/mount/test_mountstats.c - the counters of the kernel's NFS client. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "mount/mountstats.h"

/* As Linux 6.1 writes it, shortened. */
static const char text[] =
    "device proc mounted on /proc with fstype proc\n"
    "device 10.0.0.1:/ mounted on /mnt/my\\040data with fstype nfs4 statvers=1.1\n"
    "\topts:\trw,vers=4.1,rsize=1048576\n"
    "\tage:\t120\n"
    "\tbytes:\t100 200 10 20 1000 2000 1 2\n"
    "\tRPC iostats version: 1.1  p/v: 100003/4 (nfs)\n"
    "\txprt:\ttcp 0 0 3 0 16 99 99 0 101 0 2 0 0\n"
    "\txprt:\ttcp 0 0 2 0 16 99 99 0 101 0 2 0 0\n"
    "\tper-op statistics\n"
    "\t        NULL: 1 1 0 44 24 0 0 0 0\n"
    "\t        READ: 10 12 1 100 1000 5 50 60 2\n"
    "\t       WRITE: 20 20 0 2000 200 5 80 90 0\n"
    "device 10.0.0.2:/ mounted on /mnt/other with fstype nfs4 statvers=1.1\n"
    "\tage:\t7\n"
    "\tper-op statistics\n"
    "\t        READ: 1 1 0 1 1 1 1 1\n"
    "device 10.0.0.3:/ mounted on /mnt/short with fstype nfs4 statvers=1.1\n"
    "\tage:\t7\n";
static struct mountstats stats;

static void counters_of_a_mount_are_read(void **state)
{
    (void)state;
    assert_int_equal(mountstats_parse(text, "/mnt/my data", &stats), 0);
    assert_int_equal(stats.age_s, 120);
    assert_int_equal(stats.read_bytes, 110);
    assert_int_equal(stats.write_bytes, 220);
    assert_int_equal(stats.server_read_bytes, 1000);
    assert_int_equal(stats.server_write_bytes, 2000);
    assert_int_equal(stats.operations, 31);
    assert_int_equal(stats.retransmissions, 2);
    assert_int_equal(stats.timeouts, 1);
    assert_int_equal(stats.errors, 2);
    assert_int_equal(stats.read_operations, 10);
    assert_int_equal(stats.read_execute_ms, 60);
    assert_int_equal(stats.write_execute_ms, 90);
    assert_int_equal(stats.connects, 5);
    assert_int_equal(stats.transports, 2);
}

static void kernels_that_count_no_errors_are_read_too(void **state)
{
    (void)state;
    assert_int_equal(mountstats_parse(text, "/mnt/other", &stats), 0);
    assert_int_equal(stats.operations, 1);
    assert_int_equal(stats.errors, 0);
    assert_int_equal(stats.server_read_bytes, 0);
}

static void what_is_no_nfs_mount_has_none(void **state)
{
    (void)state;
    assert_int_equal(mountstats_parse(text, "/proc", &stats), -ENOENT);
    assert_int_equal(mountstats_parse(text, "/mnt", &stats), -ENOENT);
    assert_int_equal(mountstats_parse(text, "/mnt/my dat", &stats), -ENOENT);
    assert_int_equal(mountstats_parse("", "/mnt", &stats), -ENOENT);
    assert_int_equal(mountstats_parse(text, "/mnt/short", &stats), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counters_of_a_mount_are_read),
        cmocka_unit_test(kernels_that_count_no_errors_are_read_too),
        cmocka_unit_test(what_is_no_nfs_mount_has_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
