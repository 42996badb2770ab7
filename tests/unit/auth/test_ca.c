/* tests/unit/auth/test_ca.c - the node's certificate authority: made once, kept, damaged files refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>

#include "auth/ca.h"
#include "base/sys.h"

#define NOW_S INT64_C(1800000000)
#define DAY_S INT64_C(86400)

struct fixture {
    char path[32];
    int dir_fd;
    struct ca *ca;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    memcpy(f->path, "/tmp/shoal-ca-XXXXXX", 21);
    assert_non_null(mkdtemp(f->path));
    f->dir_fd = sys_openat(AT_FDCWD, f->path, O_RDONLY | O_DIRECTORY, 0);
    assert_true(f->dir_fd >= 0);
    assert_int_equal(ca_open(f->dir_fd, "0123456789abcdef", NOW_S, &f->ca), 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    ca_close(f->ca);
    close(f->dir_fd);
    assert_int_equal(sys_remove_tree(AT_FDCWD, f->path), 0);
    free(f);
    return 0;
}

static X509 *parse(const char *pem)
{
    BIO *in = BIO_new_mem_buf(pem, -1);
    X509 *certificate = PEM_read_bio_X509(in, NULL, NULL, NULL);
    BIO_free(in);
    assert_non_null(certificate);
    return certificate;
}

static struct ca_request request(void)
{
    struct ca_request made = { .name_count = 2,
        .names = { "*.efs.us-east-1.shoal.internal", "localhost" },
        .has_address = true,
        .not_before_s = NOW_S - DAY_S,
        .not_after_s = NOW_S + DAY_S };
    assert_int_equal(inet_pton(AF_INET, "127.16.0.4", &made.address), 1);
    return made;
}

/* Whether a client that trusts the authority takes the certificate at that time for that name. */
static bool verifies(struct ca *ca, X509 *certificate, const char *name, int64_t now_s)
{
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *context = X509_STORE_CTX_new();
    X509 *root = parse(ca_certificate(ca));
    assert_int_equal(X509_STORE_add_cert(store, root), 1);
    assert_int_equal(X509_STORE_CTX_init(context, store, certificate, NULL), 1);
    X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(context);
    X509_VERIFY_PARAM_set_time(param, (time_t)now_s);
    X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_X509_STRICT);
    assert_int_equal(X509_VERIFY_PARAM_set_purpose(param, X509_PURPOSE_SSL_SERVER), 1);
    if (X509_VERIFY_PARAM_set1_ip_asc(param, name) != 1)
        assert_int_equal(X509_VERIFY_PARAM_set1_host(param, name, 0), 1);
    bool ok = X509_verify_cert(context) == 1;
    X509_free(root);
    X509_STORE_CTX_free(context);
    X509_STORE_free(store);
    return ok;
}

static void what_it_signs_is_good_for_its_names_and_time_only(void **state)
{
    struct fixture *f = *state;
    struct ca_request wanted = request();
    char *certificate_pem;
    char *key_pem;
    assert_int_equal(ca_issue(f->ca, &wanted, &certificate_pem, &key_pem), 0);
    X509 *certificate = parse(certificate_pem);
    assert_true(verifies(f->ca, certificate, "fs-1.efs.us-east-1.shoal.internal", NOW_S));
    assert_true(verifies(f->ca, certificate, "localhost", NOW_S));
    assert_true(verifies(f->ca, certificate, "127.16.0.4", NOW_S));
    assert_false(verifies(f->ca, certificate, "127.16.0.5", NOW_S));
    assert_false(verifies(f->ca, certificate, "a.fs-1.efs.us-east-1.shoal.internal", NOW_S));
    assert_false(verifies(f->ca, certificate, "localhost", NOW_S + 2 * DAY_S));
    assert_false(verifies(f->ca, certificate, "localhost", NOW_S - 2 * DAY_S));
    assert_int_equal(X509_check_ca(certificate), 0);
    assert_non_null(strstr(key_pem, "PRIVATE KEY"));
    X509_free(certificate);
    free(certificate_pem);
    free(key_pem);
}

static void it_stays_the_same_and_its_key_is_private(void **state)
{
    struct fixture *f = *state;
    struct ca *again;
    struct stat info;
    assert_int_equal(ca_open(f->dir_fd, "another", NOW_S + DAY_S, &again), 0);
    assert_string_equal(ca_certificate(again), ca_certificate(f->ca));
    ca_close(again);
    assert_int_equal(fstatat(f->dir_fd, CA_KEY_FILE_NAME, &info, 0), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
}

static void damaged_files_are_refused(void **state)
{
    struct fixture *f = *state;
    struct ca *again;
    const char *names[] = { CA_KEY_FILE_NAME, CA_CERTIFICATE_FILE_NAME };
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        char *text;
        assert_int_equal(sys_read_file(f->dir_fd, names[i], 65536, &text), 0);
        assert_int_equal(sys_replace_file(f->dir_fd, names[i], text, strlen(text) / 2, 0600), 0);
        assert_int_equal(ca_open(f->dir_fd, "a", NOW_S, &again), -EINVAL);
        assert_int_equal(sys_replace_file(f->dir_fd, names[i], text, strlen(text), 0600), 0);
        free(text);
    }
    assert_int_equal(unlinkat(f->dir_fd, CA_KEY_FILE_NAME, 0), 0);
    assert_int_equal(ca_open(f->dir_fd, "a", NOW_S, &again), -EINVAL);
}

static void a_start_that_was_cut_off_makes_it_anew(void **state)
{
    struct fixture *f = *state;
    struct ca *again;
    assert_int_equal(unlinkat(f->dir_fd, CA_CERTIFICATE_FILE_NAME, 0), 0);
    assert_int_equal(ca_open(f->dir_fd, "a", NOW_S, &again), 0);
    assert_string_not_equal(ca_certificate(again), ca_certificate(f->ca));
    ca_close(again);
}

static void names_that_would_be_something_else_are_no_names(void **state)
{
    struct fixture *f = *state;
    struct ca_request wanted = request();
    char *certificate_pem;
    char *key_pem;
    wanted.name_count = CA_NAMES_MAX + 1;
    assert_true(ca_issue(f->ca, &wanted, &certificate_pem, &key_pem) < 0);
    wanted = request();
    wanted.name_count = 0;
    wanted.has_address = false;
    assert_true(ca_issue(f->ca, &wanted, &certificate_pem, &key_pem) < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            what_it_signs_is_good_for_its_names_and_time_only, setup, teardown),
        cmocka_unit_test_setup_teardown(it_stays_the_same_and_its_key_is_private, setup, teardown),
        cmocka_unit_test_setup_teardown(damaged_files_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(a_start_that_was_cut_off_makes_it_anew, setup, teardown),
        cmocka_unit_test_setup_teardown(
            names_that_would_be_something_else_are_no_names, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
