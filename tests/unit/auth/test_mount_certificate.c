/* tests/unit/auth/test_mount_certificate.c - certificates of efs-utils: what they say, and every way to be refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <openssl/pem.h>
#include <openssl/x509.h>

#include "auth/mount_certificate.h"
#include "base/sys.h"
#include "base/text.h"
#include "mount_certificates.h"

#define SECOND     INT64_C(1000)
#define HOUR       (3600 * SECOND)
#define NOW        INT64_C(1795867200000) /* 2026-11-28T12:00:00Z, when the certificates were made */
#define FS         "fs-0123456789abcdef0"
#define POINT      "fsap-0fedcba9876543210"
#define KEY        "AKIAIOSFODNN7EXAMPLE"
#define SECRET     "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
#define TOKEN      "IQoJb3JpZ2luX2VjE+/token/with+signs=="
#define DER_SIZE   2048u
#define ARN_OF_ALL "arn:aws:iam::000000000000:root"

struct fixture {
    char directory[64];
    struct catalog *catalog;
    uint8_t der[DER_SIZE];
    size_t size;
    char reason[MOUNT_REASON_SIZE];
};

static int fill(struct catalog_change *change, void *context)
{
    (void)context;
    struct catalog_fs *fs;
    struct catalog_access_point *point;
    struct catalog_key *key;
    const char *names[] = { FS, "fs-0123456789abcdef1" };
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        assert_int_equal(catalog_add_fs(change, &fs), 0);
        fs->state = CATALOG_AVAILABLE;
        assert_int_equal(text_copy(fs->id, sizeof fs->id, names[i]), 0);
        assert_int_equal(text_copy(fs->creation_token, sizeof fs->creation_token, names[i]), 0);
    }
    const char *points[] = { POINT, "fsap-1fedcba9876543210" };
    for (size_t i = 0; i < ARRAY_SIZE(points); i++) {
        assert_int_equal(catalog_add_access_point(change, &point), 0);
        point->state = CATALOG_AVAILABLE;
        assert_int_equal(text_copy(point->id, sizeof point->id, points[i]), 0);
        assert_int_equal(text_copy(point->fs_id, sizeof point->fs_id, names[i]), 0);
        assert_int_equal(text_copy(point->client_token, sizeof point->client_token, points[i]), 0);
        assert_int_equal(text_copy(point->root_path, sizeof point->root_path, "/"), 0);
    }
    assert_int_equal(catalog_add_key(change, &key), 0);
    assert_int_equal(text_copy(key->id, sizeof key->id, KEY), 0);
    return text_copy(key->secret, sizeof key->secret, SECRET);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    (void)snprintf(f->directory, sizeof f->directory, "/tmp/shoal-mount-certificate-XXXXXX");
    assert_non_null(mkdtemp(f->directory));
    char path[96];
    char reason[CATALOG_REASON_SIZE];
    (void)snprintf(path, sizeof path, "%s/catalog", f->directory);
    struct catalog_options options = {
        .path = path, .region = "us-east-1", .account_id = "000000000000"
    };
    assert_int_equal(catalog_open(&options, reason, &f->catalog), 0);
    assert_int_equal(catalog_change(f->catalog, fill, NULL), 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    catalog_close(f->catalog);
    assert_int_equal(sys_remove_tree(AT_FDCWD, f->directory), 0);
    free(f);
    return 0;
}

static void take(struct fixture *f, const char *pem)
{
    BIO *in = BIO_new_mem_buf(pem, -1);
    X509 *certificate = PEM_read_bio_X509(in, NULL, NULL, NULL);
    assert_non_null(certificate);
    int size = i2d_X509(certificate, NULL);
    assert_true(size > 0 && (size_t)size <= sizeof f->der);
    uint8_t *at = f->der;
    f->size = (size_t)i2d_X509(certificate, &at);
    X509_free(certificate);
    BIO_free(in);
}

/* Puts `to` in the place of the first `from`, which is as long. */
static void alter(struct fixture *f, const char *from, const char *to)
{
    uint8_t *at = memmem(f->der, f->size, from, strlen(from));
    assert_non_null(at);
    assert_int_equal(strlen(from), strlen(to));
    for (size_t i = 0; to[i] != '\0'; i++)
        at[i] = (uint8_t)to[i];
}

static int judge_at(struct fixture *f, int64_t now_ms, struct mount_identity **out_identity)
{
    f->reason[0] = '\0';
    return mount_certificate_judge(
        f->catalog, slice_of(f->der, f->size), now_ms, out_identity, f->reason);
}

static void refused(
    struct fixture *f, const char *pem, const char *from, const char *to, const char *why)
{
    struct mount_identity *identity = NULL;
    take(f, pem);
    if (from != NULL)
        alter(f, from, to);
    bool is_of_time = strstr(why, "expired") != NULL || strstr(why, "future") != NULL;
    assert_int_equal(judge_at(f, NOW, &identity), is_of_time ? -ETIME : -EACCES);
    if (strstr(f->reason, why) == NULL)
        fail_msg("\"%s\" is not the reason, but \"%s\"", why, f->reason);
}

static struct mount_identity *accepted(struct fixture *f, int64_t now_ms)
{
    struct mount_identity *identity = NULL;
    int err = judge_at(f, now_ms, &identity);
    if (err != 0)
        fail_msg("refused: %s", f->reason);
    assert_non_null(identity);
    return identity;
}

static void a_plain_one_is_anonymous(void **state)
{
    struct fixture *f = *state;
    take(f, plain_pem);
    struct mount_identity *identity = accepted(f, NOW);
    assert_string_equal(identity->fs_id, FS);
    assert_string_equal(identity->access_point_id, "");
    assert_string_equal(identity->source, "unknown");
    assert_null(identity->principal);
    assert_string_equal(mount_identity_name(identity), "");
    assert_int_equal(mount_identity_refresh(f->catalog, identity), 0);
    mount_identity_free(identity);
}

static void one_for_an_access_point_names_it(void **state)
{
    struct fixture *f = *state;
    take(f, access_point_pem);
    struct mount_identity *identity = accepted(f, NOW);
    assert_string_equal(identity->access_point_id, POINT);
    assert_null(identity->principal);
    mount_identity_free(identity);
    refused(f, access_point_pem, POINT, "fsap-1fedcba9876543210", "belongs to another file system");
    refused(f, access_point_pem, POINT, "fsap-2fedcba9876543210", "no such access point");
    refused(f, access_point_pem, POINT, "fsap-0fedcba9876543211", "no such access point");
    refused(
        f, access_point_pem, POINT, "fsap-0FEDCBA9876543210", "(extension .7.1) cannot be read");
    refused(
        f, access_point_pem, POINT, "fs-0123456789abcdef0ab", "(extension .7.1) cannot be read");
}

static void a_signed_one_is_its_keys_user(void **state)
{
    struct fixture *f = *state;
    take(f, signed_pem);
    struct mount_identity *identity = accepted(f, NOW);
    assert_non_null(identity->principal);
    assert_string_equal(mount_identity_name(identity), ARN_OF_ALL);
    assert_string_equal(identity->key_id, KEY);
    mount_identity_free(identity);
}

/* Everything that the signature covers. */
static void each_altered_field_is_refused(void **state)
{
    struct fixture *f = *state;
    refused(f, signed_pem, FS, "fs-0123456789abcdef1", "signature does not fit");
    refused(f, signed_pem, FS, "fs-0123456789abcdef2", "no such file system");
    refused(f, signed_pem, KEY, "AKIAIOSFODNN7EXAMPLF", "access key is unknown");
    refused(f, signed_pem, "261128120000Z\x30", "261128120001Z\x30", "signature does not fit");
    refused(f, signed_pem, "261128120000Z\x30", "261128121000Z\x30", "signed in the future");
    refused(f, signed_pem, "261128120000Z\x30", "261127110000Z\x30", "signature has expired");
    refused(
        f, signed_pem, "261128120000Z\x30", "261328120000Z\x30", "(extension .7.2) cannot be read");
    take(f, signed_pem);
    struct mount_certificate certificate;
    assert_int_equal(mount_certificate_read(slice_of(f->der, f->size), &certificate, f->reason), 0);
    char other[SIGV4_SIGNATURE_SIZE];
    memcpy(other, certificate.signature, sizeof other);
    other[0] = other[0] == '0' ? '1' : '0';
    refused(f, signed_pem, certificate.signature, other, "signature does not fit");
    other[0] = 'G';
    refused(f, signed_pem, certificate.signature, other, "(extension .7.2) cannot be read");
    /* Another public key: one bit of the modulus. The hash in the certificate stays what it was. */
    take(f, signed_pem);
    f->der[300] ^= 1;
    struct mount_identity *identity = NULL;
    assert_int_equal(judge_at(f, NOW, &identity), -EACCES);
    assert_non_null(strstr(f->reason, "signature does not fit"));
}

static void its_times_are_kept(void **state)
{
    struct fixture *f = *state;
    struct mount_identity *identity = NULL;
    take(f, signed_pem);
    /* Valid from 11:45 to 15:00; clocks may differ by five minutes. */
    mount_identity_free(accepted(f, NOW + 3 * HOUR + 299 * SECOND));
    assert_int_equal(judge_at(f, NOW + 3 * HOUR + 301 * SECOND, &identity), -ETIME);
    assert_non_null(strstr(f->reason, "expired"));
    mount_identity_free(accepted(f, NOW - 299 * SECOND));
    assert_int_equal(judge_at(f, NOW - 301 * SECOND, &identity), -ETIME);
    assert_non_null(strstr(f->reason, "in the future"));
    assert_int_equal(judge_at(f, NOW - HOUR, &identity), -ETIME);
    assert_non_null(strstr(f->reason, "not valid yet"));
    take(f, plain_pem);
    assert_int_equal(judge_at(f, NOW + 4 * HOUR, &identity), -ETIME);
}

static void the_signature_of_a_session_covers_its_token(void **state)
{
    struct fixture *f = *state;
    struct mount_certificate certificate;
    take(f, session_pem);
    assert_int_equal(mount_certificate_read(slice_of(f->der, f->size), &certificate, f->reason), 0);
    assert_string_equal(certificate.token, TOKEN);
    assert_string_equal(certificate.access_point_id, POINT);
    assert_string_equal(certificate.version, "3.2.0");
    assert_int_equal(
        mount_certificate_check_signature(&certificate, "us-east-1", SECRET, f->reason), 0);
    assert_int_equal(
        mount_certificate_check_signature(&certificate, "us-east-2", SECRET, f->reason), -EINVAL);
    assert_int_equal(
        mount_certificate_check_signature(&certificate, "us-east-1", SECRET "A", f->reason),
        -EINVAL);
    certificate.token[0] = 'J';
    assert_int_equal(
        mount_certificate_check_signature(&certificate, "us-east-1", SECRET, f->reason), -EINVAL);
    refused(f, session_pem, NULL, NULL, "unknown, or its session token is wrong");
}

static int deactivate(struct catalog_change *change, void *context)
{
    (void)context;
    return catalog_remove_key(change, KEY);
}

static void a_key_that_is_taken_away_is_noticed(void **state)
{
    struct fixture *f = *state;
    take(f, signed_pem);
    struct mount_identity *identity = accepted(f, NOW);
    assert_int_equal(mount_identity_refresh(f->catalog, identity), 0);
    assert_int_equal(catalog_change(f->catalog, deactivate, NULL), 0);
    assert_int_equal(mount_identity_refresh(f->catalog, identity), -EACCES);
    assert_string_equal(mount_identity_name(identity), ARN_OF_ALL); /* nothing was changed */
    mount_identity_free(identity);
    refused(f, signed_pem, NULL, NULL, "access key is unknown");
}

static void any_other_certificate_claims_nothing(void **state)
{
    struct fixture *f = *state;
    struct mount_identity *identity = (void *)f;
    take(f, plain_pem);
    /* 1.3.6.1.4.1.4843 becomes 1.3.6.1.4.1.4844, in each of the extensions. */
    alter(f, "\x06\x09\x2b\x06\x01\x04\x01\xa5\x6b\x07\x03",
        "\x06\x09\x2b\x06\x01\x04\x01\xa5\x6c\x07\x03");
    refused(f, plain_pem, "\x06\x09\x2b\x06\x01\x04\x01\xa5\x6b\x07\x03",
        "\x06\x09\x2b\x06\x01\x04\x01\xa5\x6c\x07\x03", "names no file system");
    alter(f, "\x06\x09\x2b\x06\x01\x04\x01\xa5\x6b\x07\x04",
        "\x06\x09\x2b\x06\x01\x04\x01\xa5\x6c\x07\x04");
    assert_int_equal(judge_at(f, NOW, &identity), 0);
    assert_null(identity);
}

static void an_extension_may_stand_there_once_only(void **state)
{
    struct fixture *f = *state;
    refused(f, plain_pem, "\x06\x09\x2b\x06\x01\x04\x01\xa5\x6b\x07\x04",
        "\x06\x09\x2b\x06\x01\x04\x01\xa5\x6b\x07\x03", "(extension .7.3) cannot be read");
}

static void no_part_of_a_certificate_is_one(void **state)
{
    struct fixture *f = *state;
    struct mount_certificate certificate;
    take(f, session_pem);
    for (size_t size = 0; size < f->size; size++) {
        uint8_t *copy = malloc(size + 1); /* of its own, so that ASan sees what is read behind it */
        assert_non_null(copy);
        memcpy(copy, f->der, size);
        assert_int_equal(
            mount_certificate_read(slice_of(copy, size), &certificate, f->reason), -EINVAL);
        free(copy);
    }
    f->der[f->size] = 0;
    assert_int_equal(
        mount_certificate_read(slice_of(f->der, f->size + 1), &certificate, f->reason), -EINVAL);
}

/* Flips every bit: what is accepted all the same says what was signed. */
static void no_bit_can_be_flipped_that_matters(void **state)
{
    struct fixture *f = *state;
    unsigned accepted_count = 0;
    take(f, signed_pem);
    for (size_t bit = 0; bit < 8 * f->size; bit++) {
        struct mount_identity *identity = NULL;
        f->der[bit / 8] ^= (uint8_t)(1u << bit % 8);
        if (judge_at(f, NOW, &identity) == 0 && identity != NULL) {
            assert_string_equal(identity->fs_id, FS);
            if (identity->key_id[0] !=
                '\0') /* else its extension's number was altered: anonymous */
                assert_string_equal(identity->key_id, KEY);
            accepted_count++;
        }
        mount_identity_free(identity);
        f->der[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    assert_true(accepted_count > 0 && accepted_count < 8 * f->size);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_plain_one_is_anonymous, setup, teardown),
        cmocka_unit_test_setup_teardown(one_for_an_access_point_names_it, setup, teardown),
        cmocka_unit_test_setup_teardown(a_signed_one_is_its_keys_user, setup, teardown),
        cmocka_unit_test_setup_teardown(each_altered_field_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(its_times_are_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(
            the_signature_of_a_session_covers_its_token, setup, teardown),
        cmocka_unit_test_setup_teardown(a_key_that_is_taken_away_is_noticed, setup, teardown),
        cmocka_unit_test_setup_teardown(any_other_certificate_claims_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(an_extension_may_stand_there_once_only, setup, teardown),
        cmocka_unit_test_setup_teardown(no_part_of_a_certificate_is_one, setup, teardown),
        cmocka_unit_test_setup_teardown(no_bit_can_be_flipped_that_matters, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
