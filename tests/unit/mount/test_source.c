/* tests/unit/mount/test_source.c - what is to be mounted, as a word. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "mount/source.h"

static struct source source;
static struct problem problem;

static void expect(
    const char *word, enum source_kind kind, const char *host, const char *fs, const char *path)
{
    assert_int_equal(source_parse(word, &source, &problem), 0);
    assert_int_equal(source.kind, kind);
    assert_string_equal(source.host, host);
    assert_string_equal(source.file_system, fs);
    assert_string_equal(source.path, path);
}

static void every_form_is_read(void **state)
{
    (void)state;
    static const char id[] = "fs-0123456789abcdef0";
    expect(id, SOURCE_FILE_SYSTEM, id, id, "/");
    expect("fs-0123456789abcdef0:/a/b", SOURCE_FILE_SYSTEM, id, id, "/a/b");
    expect("fs-0123456789abcdef0:", SOURCE_FILE_SYSTEM, id, id, "/");
    expect("fsap-0123456789abcdef0", SOURCE_ACCESS_POINT, "fsap-0123456789abcdef0", "", "/");
    expect("default:/x", SOURCE_NAME, "default", "", "/x");
    expect("127.16.0.4:/", SOURCE_ADDRESS, "127.16.0.4", "", "/");
    expect("127.16.0.4:/fs-0123456789abcdef0/d", SOURCE_ADDRESS, "127.16.0.4", id,
        "/fs-0123456789abcdef0/d");
    expect("[fd00::1]:/x", SOURCE_ADDRESS, "fd00::1", "", "/x");
    expect("fd00::1:/x", SOURCE_ADDRESS, "fd00::1", "", "/x");
    expect("nas.example.org:/x", SOURCE_DNS, "nas.example.org", "", "/x");
    expect("fs-0123456789abcdef0.efs.us-east-1.shoal.internal:/", SOURCE_DNS,
        "fs-0123456789abcdef0.efs.us-east-1.shoal.internal", id, "/");
    expect("us-east-1a.fs-0123456789abcdef0.efs.us-east-1.x", SOURCE_DNS,
        "us-east-1a.fs-0123456789abcdef0.efs.us-east-1.x", id, "/");
}

static void what_is_none_is_refused(void **state)
{
    (void)state;
    const char *const words[] = { "", ":/x", "/mnt", "fs-xyz", "fs-0123:/", "fsap-1", "a:/b/../c",
        "a:/..", "[fd00::1", "[fd00::1]x", "a b:/", "a,b:/", "fs-0123456789ABCDEF0" };
    for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
        problem.text[0] = '\0';
        if (source_parse(words[i], &source, &problem) != -EINVAL)
            fail_msg("\"%s\" is taken", words[i]);
        assert_true(strlen(problem.text) > 20);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_form_is_read),
        cmocka_unit_test(what_is_none_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
