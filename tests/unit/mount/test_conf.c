/* tests/unit/mount/test_conf.c - efs-utils.conf. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "mount/conf.h"

static struct efs_conf conf;

static void a_region_of_its_own_counts_more(void **state)
{
    (void)state;
    static const char text[] = "[DEFAULT]\nlogging_level = INFO\n[mount]\n"
                               "dns_name_format = {az}.{fs_id}.efs.{region}.{dns_name_suffix}\n"
                               "dns_name_suffix = efs.local\nregion = eu-west-1\n"
                               "stunnel_cafile = /etc/ca.pem\n[mount.cn-north-1]\n"
                               "dns_name_suffix = efs.cn\n";
    assert_int_equal(conf_parse(text, "", &conf), 0);
    assert_string_equal(conf.suffix, "efs.local");
    assert_string_equal(conf.region, "eu-west-1");
    assert_string_equal(conf.ca_file, "/etc/ca.pem");
    assert_int_equal(conf_parse(text, "cn-north-1", &conf), 0);
    assert_string_equal(conf.suffix, "efs.cn");
    assert_int_equal(conf_parse("[mount]\nwithout equals\n", "", &conf), -EINVAL);
}

static void names_follow_the_format(void **state)
{
    (void)state;
    char name[128];
    conf = (struct efs_conf){ .region = "us-east-1", .suffix = "shoal.internal" };
    assert_int_equal(conf_dns_name(&conf, "", "fs-1", name, sizeof name), 0);
    assert_string_equal(name, "fs-1.efs.us-east-1.shoal.internal");
    assert_int_equal(conf_dns_name(&conf, "us-east-1a", "fs-1", name, sizeof name), 0);
    assert_string_equal(name, "us-east-1a.fs-1.efs.us-east-1.shoal.internal");
    assert_int_equal(conf_dns_name(&conf, "", "fs-1", name, 10), -ENOSPC);
    memcpy(conf.name_format, "{fs_id}.nas", sizeof "{fs_id}.nas");
    assert_int_equal(conf_dns_name(&conf, "z", "fs-1", name, sizeof name), 0);
    assert_string_equal(name, "fs-1.nas");
    memcpy(conf.name_format, "{what}", sizeof "{what}");
    assert_int_equal(conf_dns_name(&conf, "", "fs-1", name, sizeof name), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_region_of_its_own_counts_more),
        cmocka_unit_test(names_follow_the_format),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
