/* tests/unit/mount/test_options.c - the list after -o. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <sys/mount.h>

#include "mount/options.h"

static struct mount_options options;
static struct problem problem;

static void parse(const char *list)
{
    problem.text[0] = '\0';
    int err = options_parse(list, &options, &problem);
    if (err != 0)
        print_error("%s\n", problem.text);
    assert_int_equal(err, 0);
}

static void refuse(const char *list, const char *word)
{
    assert_int_equal(options_parse(list, &options, &problem), -EINVAL);
    if (strstr(problem.text, word) == NULL)
        fail_msg("\"%s\" does not name %s", problem.text, word);
}

static void without_options_the_profile_is_general(void **state)
{
    (void)state;
    parse(NULL);
    assert_string_equal(
        options.nfs, "nfsvers=4.1,rsize=1048576,wsize=1048576,hard,timeo=600,retrans=2,noresvport");
    assert_int_equal(options.flags, 0);
    assert_false(options.tls);
}

static void profiles_differ(void **state)
{
    (void)state;
    parse("profile=maxio");
    assert_non_null(strstr(options.nfs, "rsize=65536,wsize=65536,hard"));
    parse("profile=strict");
    assert_non_null(strstr(options.nfs, "noresvport,noac"));
    refuse("profile=fast", "maxio");
}

static void what_is_given_counts_more_than_the_profile(void **state)
{
    (void)state;
    parse("vers=4.2,rsize=4096,soft,resvport,nconnect=4");
    assert_string_equal(options.nfs,
        "wsize=1048576,timeo=600,retrans=2,vers=4.2,rsize=4096,soft,resvport,nconnect=4");
    assert_true(options.has_nfs_options);
    parse("minorversion=2");
    assert_null(strstr(options.nfs, "nfsvers"));
}

static void flags_are_bits_and_the_last_counts(void **state)
{
    (void)state;
    parse("ro,noexec,rw,nosuid");
    assert_int_equal(options.flags, MS_NOEXEC | MS_NOSUID);
    assert_int_equal(options.cleared & MS_RDONLY, MS_RDONLY);
    assert_false(options.has_nfs_options);
}

static void words_of_fstab_and_systemd_are_dropped(void **state)
{
    (void)state;
    parse("_netdev,nofail,x-systemd.automount,defaults,noauto,comment=x");
    assert_null(strstr(options.nfs, "netdev"));
    assert_null(strstr(options.nfs, "systemd"));
    assert_false(options.has_nfs_options);
}

static void our_own_options_are_read(void **state)
{
    (void)state;
    parse("az=us-east-1a,mounttargetip=10.0.0.1,region=eu-west-1,suffix=efs.local,port=20490,"
          "endpoint=http://h:1,timeout=5,data=/d,cafile=/ca");
    assert_string_equal(options.az, "us-east-1a");
    assert_string_equal(options.target_ip, "10.0.0.1");
    assert_string_equal(options.endpoint, "http://h:1");
    assert_int_equal(options.port, 20490);
    assert_int_equal(options.timeout_s, 5);
    assert_null(strstr(options.nfs, "port="));
}

static void iam_and_access_points_bring_tls(void **state)
{
    (void)state;
    parse("iam");
    assert_true(options.tls);
    parse("accesspoint=fsap-0123456789abcdef0");
    assert_true(options.tls);
    refuse("accesspoint=fs-1", "fsap-");
    refuse("iam,notls", "notls");
    refuse("tls,xprtsec=tls", "xprtsec");
    parse("xprtsec=mtls");
    assert_false(options.tls);
    assert_non_null(strstr(options.nfs, "xprtsec=mtls"));
}

static void bad_values_are_named(void **state)
{
    (void)state;
    refuse("port=0", "port=");
    refuse("port=65536", "65535");
    refuse("timeout=x", "timeout=");
    refuse("az=", "az");
    refuse("tls=1", "takes no value");
    refuse("mounttargetip=1.2.3.4,server=h", "server=");
}

static void options_of_older_set_ups_are_explained(void **state)
{
    (void)state;
    parse("intr,rsize=4096");
    assert_non_null(strstr(options.remark, "intr"));
    assert_null(strstr(options.nfs, "intr"));
    refuse("nocopy", "volume");
    refuse("nfs_opts=rw", "nfs_opts");
    refuse("bg", "x-systemd.automount");
    assert_non_null(options_replacement("intr"));
    assert_null(options_replacement("hard"));
}

static void unknown_options_go_to_the_kernel_and_are_remembered(void **state)
{
    (void)state;
    parse("newoption=3,noctoo");
    assert_non_null(strstr(options.nfs, "newoption=3,noctoo"));
    assert_string_equal(options.unknown, "newoption");
    assert_string_equal(options_nearest("noctoo"), "nocto");
    assert_true(options_is_known("x-systemd.idle-timeout"));
}

static void lists_that_are_too_long_are_refused(void **state)
{
    (void)state;
    static char list[OPTIONS_NFS_SIZE + 100];
    memset(list, 'a', sizeof list - 1);
    assert_int_equal(options_parse(list, &options, &problem), -ENOSPC);
    for (size_t i = 7; i < sizeof list - 1; i += 8)
        list[i] = ',';
    assert_int_equal(options_parse(list, &options, &problem), -ENOSPC);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_options_the_profile_is_general),
        cmocka_unit_test(profiles_differ),
        cmocka_unit_test(what_is_given_counts_more_than_the_profile),
        cmocka_unit_test(flags_are_bits_and_the_last_counts),
        cmocka_unit_test(words_of_fstab_and_systemd_are_dropped),
        cmocka_unit_test(our_own_options_are_read),
        cmocka_unit_test(iam_and_access_points_bring_tls),
        cmocka_unit_test(bad_values_are_named),
        cmocka_unit_test(options_of_older_set_ups_are_explained),
        cmocka_unit_test(unknown_options_go_to_the_kernel_and_are_remembered),
        cmocka_unit_test(lists_that_are_too_long_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
