/* tests/unit/auth/test_credentials.c - the administrator's key pair and its file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "auth/credentials.h"
#include "base/sys.h"

struct fixture {
    char directory[64];
    int dir_fd;
    struct catalog *catalog;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    (void)snprintf(f->directory, sizeof f->directory, "/tmp/shoal-credentials-XXXXXX");
    assert_non_null(mkdtemp(f->directory));
    f->dir_fd = sys_openat(AT_FDCWD, f->directory, O_RDONLY | O_DIRECTORY, 0);
    assert_true(f->dir_fd >= 0);
    char path[96];
    (void)snprintf(path, sizeof path, "%s/catalog", f->directory);
    struct catalog_options options = {
        .path = path, .region = "us-east-1", .account_id = "000000000000"
    };
    char reason[CATALOG_REASON_SIZE];
    assert_int_equal(catalog_open(&options, reason, &f->catalog), 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    catalog_close(f->catalog);
    (void)close(f->dir_fd);
    assert_int_equal(sys_remove_tree(AT_FDCWD, f->directory), 0);
    free(f);
    return 0;
}

static void keys_look_like_awss_and_differ(void **state)
{
    (void)state;
    struct credentials first;
    struct credentials second;
    credentials_make(&first);
    credentials_make(&second);
    assert_int_equal(strlen(first.key_id), 20);
    assert_int_equal(strlen(first.secret), 40);
    assert_int_equal(strncmp(first.key_id, "AKIA", 4), 0);
    assert_string_not_equal(first.key_id, second.key_id);
    assert_string_not_equal(first.secret, second.secret);
}

static void the_first_start_makes_a_key_that_stays(void **state)
{
    struct fixture *f = *state;
    struct credentials first;
    struct credentials again;
    assert_int_equal(credentials_provide_admin(f->catalog, f->dir_fd, 1), 0);
    assert_int_equal(credentials_read(f->dir_fd, CREDENTIALS_FILE_NAME, &first), 0);
    struct stat st;
    assert_int_equal(fstatat(f->dir_fd, CREDENTIALS_FILE_NAME, &st, 0), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(unlinkat(f->dir_fd, CREDENTIALS_FILE_NAME, 0), 0);
    assert_int_equal(credentials_provide_admin(f->catalog, f->dir_fd, 2), 0);
    assert_int_equal(credentials_read(f->dir_fd, CREDENTIALS_FILE_NAME, &again), 0);
    assert_string_equal(first.key_id, again.key_id);
    assert_string_equal(first.secret, again.secret);
    const struct catalog_key *key = catalog_key_get(f->catalog, first.key_id);
    assert_non_null(key);
    assert_string_equal(key->secret, first.secret);
    assert_string_equal(key->user_id, ""); /* the root of the account */
    catalog_key_put(key);
}

struct root_key {
    const char *id;
    bool is_inactive;
};

static int put_root_key(struct catalog_change *change, void *context)
{
    const struct root_key *wish = context;
    struct catalog_key *key;
    int err = catalog_edit_key(change, wish->id, &key);
    if (err == -ENOENT)
        err = catalog_add_key(change, &key);
    if (err < 0)
        return err;
    (void)snprintf(key->id, sizeof key->id, "%s", wish->id);
    (void)snprintf(key->secret, sizeof key->secret, "secret-of-%s", wish->id);
    key->is_inactive = wish->is_inactive;
    return 0;
}

static void the_file_follows_when_keys_are_rotated(void **state)
{
    struct fixture *f = *state;
    struct credentials first;
    struct credentials again;
    assert_int_equal(credentials_provide_admin(f->catalog, f->dir_fd, 1), 0);
    assert_int_equal(credentials_read(f->dir_fd, CREDENTIALS_FILE_NAME, &first), 0);
    struct root_key other = { "AKIAOTHER", false };
    assert_int_equal(catalog_change(f->catalog, put_root_key, &other), 0);
    assert_int_equal(credentials_provide_admin(f->catalog, f->dir_fd, 2), 0);
    assert_int_equal(credentials_read(f->dir_fd, CREDENTIALS_FILE_NAME, &again), 0);
    assert_string_equal(again.key_id, first.key_id); /* it is still good */
    struct root_key stopped = { first.key_id, true };
    assert_int_equal(catalog_change(f->catalog, put_root_key, &stopped), 0);
    assert_int_equal(credentials_provide_admin(f->catalog, f->dir_fd, 3), 0);
    assert_int_equal(credentials_read(f->dir_fd, CREDENTIALS_FILE_NAME, &again), 0);
    assert_string_equal(again.key_id, "AKIAOTHER");
    assert_string_equal(again.secret, "secret-of-AKIAOTHER");
}

static void files_of_the_aws_form_are_read(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *text;
        int result;
    } cases[] = {
        { "[default]\naws_access_key_id=A\naws_secret_access_key=B\n", 0 },
        { "# c\n[other]\naws_access_key_id = X\n\n[default]\r\n aws_access_key_id = A \r\n"
          "aws_secret_access_key\t=\tB\nregion = r",
            0 },
        { "[other]\naws_access_key_id=A\naws_secret_access_key=B\n", -EINVAL },
        { "[default]\naws_access_key_id=A\n", -EINVAL },
        { "", -EINVAL },
        { "[default]\naws_access_key_id=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n",
            -EINVAL },
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct credentials credentials;
        assert_int_equal(
            sys_replace_file(f->dir_fd, "file", cases[i].text, strlen(cases[i].text), 0600), 0);
        assert_int_equal(credentials_read(f->dir_fd, "file", &credentials), cases[i].result);
        if (cases[i].result == 0) {
            assert_string_equal(credentials.key_id, "A");
            assert_string_equal(credentials.secret, "B");
        }
    }
    struct credentials credentials;
    assert_int_equal(credentials_read(f->dir_fd, "missing", &credentials), -ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_look_like_awss_and_differ),
        cmocka_unit_test_setup_teardown(the_first_start_makes_a_key_that_stays, setup, teardown),
        cmocka_unit_test_setup_teardown(the_file_follows_when_keys_are_rotated, setup, teardown),
        cmocka_unit_test_setup_teardown(files_of_the_aws_form_are_read, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
