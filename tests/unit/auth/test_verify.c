/* tests/unit/auth/test_verify.c - each wrong request is refused for its own reason, and only right ones pass. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "auth/credentials.h"
#include "auth/session.h"
#include "auth/verify.h"
#include "base/sys.h"

#define NOW 1440938160 /* 20150830T123600Z */

struct fixture {
    char directory[64];
    struct catalog *catalog;
    struct credentials admin;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    (void)snprintf(f->directory, sizeof f->directory, "/tmp/shoal-verify-XXXXXX");
    assert_non_null(mkdtemp(f->directory));
    char path[96];
    (void)snprintf(path, sizeof path, "%s/catalog", f->directory);
    struct catalog_options options = {
        .path = path, .region = "us-east-1", .account_id = "000000000000"
    };
    char reason[CATALOG_REASON_SIZE];
    assert_int_equal(catalog_open(&options, reason, &f->catalog), 0);
    int dir_fd = sys_openat(AT_FDCWD, f->directory, O_RDONLY | O_DIRECTORY, 0);
    assert_true(dir_fd >= 0);
    assert_int_equal(credentials_provide_admin(f->catalog, dir_fd, NOW * INT64_C(1000)), 0);
    assert_int_equal(credentials_read(dir_fd, CREDENTIALS_FILE_NAME, &f->admin), 0);
    (void)close(dir_fd);
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

/* A request that is right; cases alter what they test before or after it is signed. */
struct attempt {
    struct sigv4_header headers[4];
    struct sigv4_request request;
    char authorization[SIGV4_AUTHORIZATION_SIZE];
    char time[SIGV4_TIME_SIZE];
    struct sigv4_signer signer;
};

static void make_attempt(const struct fixture *f, struct attempt *attempt, int64_t seconds)
{
    *attempt = (struct attempt){
        .headers = { { "Host", "localhost:8049" }, { "X-Amz-Date", attempt->time } },
        .request = { .method = "POST",
            .path = "/2015-02-01/file-systems",
            .query = "",
            .header_count = 2,
            .body = slice_str("{}") },
        .signer = { .key_id = f->admin.key_id,
            .secret = f->admin.secret,
            .region = "us-east-1",
            .service = "elasticfilesystem",
            .time = attempt->time },
    };
    attempt->request.headers = attempt->headers;
    sigv4_format_time(seconds, attempt->time);
}

static void sign(struct attempt *attempt)
{
    assert_int_equal(sigv4_sign(&attempt->request, &attempt->signer, attempt->authorization), 0);
    attempt->headers[attempt->request.header_count++] =
        (struct sigv4_header){ "Authorization", attempt->authorization };
}

static void expect(const struct fixture *f, const struct attempt *attempt,
    enum auth_failure failure, const char *message)
{
    struct auth_result result;
    assert_int_equal(auth_verify(f->catalog, &attempt->request, NOW, &result), 0);
    if (strstr(result.message, message) == NULL)
        fail_msg("message is: %s", result.message);
    assert_int_equal(result.failure, failure);
    assert_string_equal(result.user_name, failure == AUTH_OK ? "root" : "");
    assert_true((result.principal != NULL) == (failure == AUTH_OK));
    auth_result_fini(&result);
}

static void a_right_signature_passes(void **state)
{
    struct attempt attempt;
    make_attempt(*state, &attempt, NOW);
    sign(&attempt);
    expect(*state, &attempt, AUTH_OK, "");
}

static void an_unsigned_request_is_refused(void **state)
{
    struct attempt attempt;
    make_attempt(*state, &attempt, NOW);
    expect(*state, &attempt, AUTH_MISSING, "Missing Authentication Token");
}

static void a_presigned_request_is_refused(void **state)
{
    struct attempt attempt;
    make_attempt(*state, &attempt, NOW);
    attempt.request.query = "a=b&X-Amz-Signature=00";
    expect(*state, &attempt, AUTH_INCOMPLETE, "presigned URLs");
}

static void an_unknown_key_is_refused(void **state)
{
    struct attempt attempt;
    make_attempt(*state, &attempt, NOW);
    attempt.signer.key_id = "AKIAIOSFODNN7EXAMPLE";
    sign(&attempt);
    expect(*state, &attempt, AUTH_UNKNOWN_KEY,
        "The security token included in the request is invalid.");
}

static void a_session_token_is_refused(void **state)
{
    struct attempt attempt;
    make_attempt(*state, &attempt, NOW);
    attempt.headers[attempt.request.header_count++] =
        (struct sigv4_header){ "X-Amz-Security-Token", "token" };
    sign(&attempt);
    expect(*state, &attempt, AUTH_UNKNOWN_KEY, "The security token");
}

static void a_wrong_secret_is_refused(void **state)
{
    struct attempt attempt;
    make_attempt(*state, &attempt, NOW);
    attempt.signer.secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
    sign(&attempt);
    expect(
        *state, &attempt, AUTH_BAD_SIGNATURE, "The request signature we calculated does not match");
}

static void any_altered_part_is_refused(void **state)
{
    for (unsigned what = 0; what < 6; what++) {
        struct attempt attempt;
        make_attempt(*state, &attempt, NOW);
        sign(&attempt);
        if (what == 0)
            attempt.request.method = "PUT";
        else if (what == 1)
            attempt.request.path = "/2015-02-01/file-systems/";
        else if (what == 2)
            attempt.request.query = "a";
        else if (what == 3)
            attempt.request.body = slice_str("{ }");
        else if (what == 4)
            attempt.headers[0].value = "localhost:8050";
        else
            sigv4_format_time(NOW + 1, attempt.time);
        expect(*state, &attempt, AUTH_BAD_SIGNATURE, "does not match");
    }
}

static void a_signed_header_that_is_missing_is_refused(void **state)
{
    struct attempt attempt;
    make_attempt(*state, &attempt, NOW);
    attempt.headers[attempt.request.header_count++] = (struct sigv4_header){ "Other", "1" };
    sign(&attempt);
    attempt.headers[2] = attempt.headers[3];
    attempt.request.header_count--;
    expect(*state, &attempt, AUTH_BAD_SIGNATURE, "does not match");
}

static void host_and_date_must_be_signed(void **state)
{
    for (unsigned i = 0; i < 2; i++) {
        struct attempt attempt;
        make_attempt(*state, &attempt, NOW);
        struct sigv4_header hidden = attempt.headers[i];
        attempt.headers[i] = attempt.headers[1 - i];
        attempt.request.header_count = 1;
        sign(&attempt);
        attempt.headers[attempt.request.header_count++] = hidden;
        expect(*state, &attempt, AUTH_BAD_SIGNATURE,
            i == 0 ? "'Host' or ':authority' must be a 'SignedHeader'" : "'x-amz-date' must be");
    }
}

static void a_date_header_serves_as_well(void **state)
{
    struct attempt attempt;
    make_attempt(*state, &attempt, NOW);
    attempt.headers[1] = (struct sigv4_header){ "Date", "Sun, 30 Aug 2015 12:36:00 GMT" };
    sign(&attempt);
    expect(*state, &attempt, AUTH_OK, "");
    attempt.headers[1].value = "yesterday";
    expect(*state, &attempt, AUTH_INCOMPLETE, "Date must be in ISO-8601");
    attempt.headers[1].name = "Dated";
    expect(*state, &attempt, AUTH_INCOMPLETE, "requires existence of either a 'X-Amz-Date'");
}

static void clocks_may_differ_by_five_minutes(void **state)
{
    static const struct {
        int64_t ahead_s;
        enum auth_failure failure;
        const char *message;
    } cases[] = {
        { 300, AUTH_OK, "" },
        { -300, AUTH_OK, "" },
        { -301, AUTH_SKEWED,
            "Signature expired: 20150830T123059Z is now earlier than 20150830T123100Z "
            "(20150830T123600Z - 5 min.)" },
        { 301, AUTH_SKEWED,
            "Signature not yet current: 20150830T124101Z is still later than 20150830T124100Z "
            "(20150830T123600Z + 5 min.)" },
        { -16 * 60, AUTH_SKEWED, "Signature expired" },
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct attempt attempt;
        make_attempt(*state, &attempt, NOW + cases[i].ahead_s);
        sign(&attempt);
        expect(*state, &attempt, cases[i].failure, cases[i].message);
    }
}

static void a_wrong_scope_is_refused(void **state)
{
    struct attempt attempt;
    make_attempt(*state, &attempt, NOW);
    attempt.signer.region = "eu-west-1";
    sign(&attempt);
    expect(*state, &attempt, AUTH_BAD_SCOPE, "Credential should be scoped to a valid region");
    make_attempt(*state, &attempt, NOW);
    sign(&attempt);
    char *date = strstr(attempt.authorization, "20150830");
    date[7] = '1';
    expect(*state, &attempt, AUTH_BAD_SCOPE, "'20150831' != '20150830', from '20150830T123600Z'");
    date[7] = '0';
    memcpy(strstr(attempt.authorization, "aws4_request"), "aws5", 4);
    expect(
        *state, &attempt, AUTH_BAD_SCOPE, "valid terminator: 'aws4_request', not 'aws5_request'");
}

static void global_services_are_signed_for_their_own_region(void **state)
{
    static const struct {
        const char *service;
        enum auth_failure failure;
    } cases[] = { { "iam", AUTH_OK }, { "sts", AUTH_OK }, { "elasticfilesystem", AUTH_BAD_SCOPE } };
    struct fixture *f = *state;
    catalog_close(f->catalog);
    char path[96];
    char reason[CATALOG_REASON_SIZE];
    (void)snprintf(path, sizeof path, "%s/there", f->directory);
    struct catalog_options options = {
        .path = path, .region = "eu-west-1", .account_id = "000000000000"
    };
    assert_int_equal(catalog_open(&options, reason, &f->catalog), 0);
    int dir_fd = sys_openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0);
    assert_true(dir_fd >= 0);
    assert_int_equal(credentials_provide_admin(f->catalog, dir_fd, NOW * INT64_C(1000)), 0);
    assert_int_equal(credentials_read(dir_fd, CREDENTIALS_FILE_NAME, &f->admin), 0);
    (void)close(dir_fd);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct attempt attempt;
        make_attempt(f, &attempt, NOW);
        attempt.signer.service = cases[i].service;
        sign(&attempt);
        expect(f, &attempt, cases[i].failure, "");
    }
}

static int add_role(struct catalog_change *change, void *context)
{
    struct catalog_identity *role;
    int err = catalog_add_identity(change, &role);
    (void)context;
    if (err < 0)
        return err;
    role->kind = CATALOG_ROLE;
    (void)snprintf(role->id, sizeof role->id, "AROA1");
    (void)snprintf(role->name, sizeof role->name, "Worker");
    (void)snprintf(role->path, sizeof role->path, "/");
    return 0;
}

static void a_session_is_told_from_one_that_is_over(void **state)
{
    struct fixture *f = *state;
    static const struct {
        int64_t expires_s;
        enum auth_failure failure;
        const char *message;
    } cases[] = { { NOW + 1, AUTH_OK, "" },
        { NOW, AUTH_EXPIRED_TOKEN, "The security token included in the request is expired" } };
    assert_int_equal(catalog_change(f->catalog, add_role, NULL), 0);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct session session = { .role_id = "AROA1",
            .name = "one",
            .issued_ms = 1,
            .expires_ms = cases[i].expires_s * 1000 };
        struct auth_result result;
        struct attempt attempt;
        char secret[SESSION_SECRET_SIZE];
        char *token;
        assert_int_equal(session_seal(f->catalog, &session, &token), 0);
        session_secret(f->catalog, session.key_id, secret);
        make_attempt(f, &attempt, NOW);
        attempt.signer.key_id = session.key_id;
        attempt.signer.secret = secret;
        attempt.headers[attempt.request.header_count++] =
            (struct sigv4_header){ "X-Amz-Security-Token", token };
        sign(&attempt);
        assert_int_equal(auth_verify(f->catalog, &attempt.request, NOW, &result), 0);
        assert_int_equal(result.failure, cases[i].failure);
        assert_string_equal(result.message, cases[i].message);
        assert_string_equal(result.user_name, i == 0 ? "Worker/one" : "");
        auth_result_fini(&result);
        free(token);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_right_signature_passes, setup, teardown),
        cmocka_unit_test_setup_teardown(an_unsigned_request_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(a_presigned_request_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(an_unknown_key_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(a_session_token_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(a_wrong_secret_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(any_altered_part_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(
            a_signed_header_that_is_missing_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(host_and_date_must_be_signed, setup, teardown),
        cmocka_unit_test_setup_teardown(a_date_header_serves_as_well, setup, teardown),
        cmocka_unit_test_setup_teardown(clocks_may_differ_by_five_minutes, setup, teardown),
        cmocka_unit_test_setup_teardown(a_wrong_scope_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(
            global_services_are_signed_for_their_own_region, setup, teardown),
        cmocka_unit_test_setup_teardown(a_session_is_told_from_one_that_is_over, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
