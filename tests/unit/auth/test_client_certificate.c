/* tests/unit/auth/test_client_certificate.c - certificates that a mount shows, read by the server's side of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <openssl/pem.h>
#include <openssl/x509.h>

#include "auth/client_certificate.h"
#include "auth/mount_certificate.h"

#define NOW_S INT64_C(1795867200) /* 2026-11-28T12:00:00Z */
#define FS    "fs-0123456789abcdef0"

static char *key;
static struct mount_certificate read_back;

static int make_keys(void **state)
{
    (void)state;
    return client_certificate_make_key(&key);
}

static int free_keys(void **state)
{
    (void)state;
    free(key);
    return 0;
}

static struct client_certificate_request request_of(void)
{
    return (struct client_certificate_request){ .key_pem = key,
        .host_name = "worker-1",
        .file_system = FS,
        .access_point = "",
        .source = "shoal",
        .version = "0.1",
        .now_s = NOW_S,
        .secret = "secret",
        .token = "",
        .region = "us-east-1" };
}

/* Makes it and reads it as the server does. */
static void make(const struct client_certificate_request *request)
{
    char *pem = NULL;
    uint8_t *der = NULL;
    char reason[MOUNT_REASON_SIZE] = "";
    assert_int_equal(client_certificate_make(request, &pem), 0);
    BIO *bio = BIO_new_mem_buf(pem, -1);
    X509 *certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    assert_non_null(certificate);
    assert_int_equal(X509_verify(certificate, X509_get0_pubkey(certificate)), 1);
    int size = i2d_X509(certificate, &der);
    int err = mount_certificate_read(slice_of(der, (size_t)size), &read_back, reason);
    if (err < 0)
        print_error("%s\n", reason);
    assert_int_equal(err, 0);
    OPENSSL_free(der);
    X509_free(certificate);
    BIO_free(bio);
    free(pem);
}

static void an_anonymous_mount_says_which_file_system(void **state)
{
    (void)state;
    struct client_certificate_request request = request_of();
    make(&request);
    assert_string_equal(read_back.fs_id, FS);
    assert_string_equal(read_back.access_point_id, "");
    assert_string_equal(read_back.source, "shoal");
    assert_string_equal(read_back.version, "0.1");
    assert_false(read_back.is_signed);
    assert_int_equal(read_back.not_before_s, NOW_S - 900);
    assert_int_equal(read_back.not_after_s, NOW_S + 3 * 3600);
}

static void an_iam_mount_is_signed_with_its_key(void **state)
{
    (void)state;
    char reason[MOUNT_REASON_SIZE] = "";
    struct client_certificate_request request = request_of();
    request.access_point = "fsap-0fedcba9876543210";
    request.key_id = "AKIAIOSFODNN7EXAMPLE";
    make(&request);
    assert_string_equal(read_back.access_point_id, "fsap-0fedcba9876543210");
    assert_true(read_back.is_signed);
    assert_string_equal(read_back.key_id, "AKIAIOSFODNN7EXAMPLE");
    assert_int_equal(read_back.signed_s, NOW_S);
    assert_int_equal(
        mount_certificate_check_signature(&read_back, "us-east-1", "secret", reason), 0);
    assert_int_equal(
        mount_certificate_check_signature(&read_back, "us-east-1", "other", reason), -EINVAL);
    assert_int_equal(
        mount_certificate_check_signature(&read_back, "eu-west-1", "secret", reason), -EINVAL);
}

static void temporary_keys_bring_their_token(void **state)
{
    (void)state;
    char reason[MOUNT_REASON_SIZE] = "";
    struct client_certificate_request request = request_of();
    request.key_id = "ASIAIOSFODNN7EXAMPLE";
    request.token = "IQoJb3JpZ2luX2VjE+/token/with+signs==";
    make(&request);
    assert_string_equal(read_back.token, request.token);
    assert_int_equal(
        mount_certificate_check_signature(&read_back, "us-east-1", "secret", reason), 0);
}

static void what_does_not_fit_is_refused(void **state)
{
    (void)state;
    char *pem = NULL;
    static char long_text[CLIENT_CERTIFICATE_TEXT_MAX + 2];
    memset(long_text, 'a', sizeof long_text - 1);
    struct client_certificate_request request = request_of();
    request.source = long_text;
    assert_int_equal(client_certificate_make(&request, &pem), -EINVAL);
    request = request_of();
    request.file_system = "";
    assert_int_equal(client_certificate_make(&request, &pem), -EINVAL);
    request = request_of();
    request.key_pem = "no key";
    assert_int_equal(client_certificate_make(&request, &pem), -EINVAL);
    request = request_of();
    request.host_name =
        "a-name-of-more-than-sixty-four-letters-that-no-common-name-has-room-for.example";
    make(&request);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_anonymous_mount_says_which_file_system),
        cmocka_unit_test(an_iam_mount_is_signed_with_its_key),
        cmocka_unit_test(temporary_keys_bring_their_token),
        cmocka_unit_test(what_does_not_fit_is_refused),
    };
    return cmocka_run_group_tests(tests, make_keys, free_keys);
}
