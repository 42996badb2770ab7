/*
 * tests/unit/auth/test_sigv4.c - signatures as the AWS SDK for Python makes them.
 *
 * The key, the time and "get-vanilla" are those of AWS's published test suite; the other values were computed
 * with botocore 1.43.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "auth/sigv4.h"

#define SECRET     "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
#define TIME       "20150830T123600Z"
#define EMPTY_HASH "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

struct vector {
    const char *name;
    struct sigv4_request request; /* without host and date */
    const char *canonical_lines;  /* method, path and query */
    const char *signature;
};

static const struct sigv4_header content_type = { "Content-Type", "application/json" };
static const struct sigv4_header blanks = { "My-Header1", "  a   b   c  " };

static const struct vector vectors[] = {
    { "get-vanilla", { .method = "GET", .path = "/", .query = "" }, "GET\n/\n\n",
        "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31" },
    { "the query is sorted",
        { .method = "GET", .path = "/2015-02-01/file-systems", .query = "MaxItems=2&Marker=a%2Fb" },
        "GET\n/2015-02-01/file-systems\nMarker=a%2Fb&MaxItems=2\n",
        "a86e6cf2408b678fa6a55dba1653782688767557aa853586154f0050d0ff0ee5" },
    { "an ARN in the path is encoded twice",
        { .method = "GET",
            .path = "/2015-02-01/resource-tags/arn%3Aaws%3Aelasticfilesystem%3Aus-east-1"
                    "%3A000000000000%3Afile-system%2Ffs-1",
            .query = "" },
        "GET\n/2015-02-01/resource-tags/arn%253Aaws%253Aelasticfilesystem%253Aus-east-1"
        "%253A000000000000%253Afile-system%252Ffs-1\n\n",
        "c8c25cc69e7a6eb96d228caa8410c232f0cdfd1b4126671182e577afd5101875" },
    { "a repeated parameter is sorted by value",
        { .method = "DELETE",
            .path = "/2015-02-01/resource-tags/fs-1",
            .query = "tagKeys=b%20b&tagKeys=a&tagKeys=" },
        "DELETE\n/2015-02-01/resource-tags/fs-1\ntagKeys=&tagKeys=a&tagKeys=b%20b\n",
        "ec27541f46c9b32c567e0e08da6457c7d05e4e0df653c157bff7fed4c14b8e74" },
    { "the body is part of it",
        { .method = "POST",
            .path = "/2015-02-01/file-systems",
            .query = "",
            .headers = &content_type,
            .header_count = 1,
            .body = { (const uint8_t *)"{\"CreationToken\":\"x\"}", 21 } },
        "POST\n/2015-02-01/file-systems\n\n",
        "aeebf951e72033c6f76fab75c4b21bdedf84d2abbdc3d4f735bdb7cee4f3da48" },
    { "dots and empty segments go", { .method = "GET", .path = "/a/./b/../c//d/", .query = "" },
        "GET\n/a/c/d/\n\n", "07fc47830311f547240f25f97c1565bd7a705059e39e5d0c3e0c5287c2c4bcfc" },
    { "a slash at the end stays",
        { .method = "GET", .path = "/2015-02-01/tags/fs-1/", .query = "MaxItems=1" },
        "GET\n/2015-02-01/tags/fs-1/\nMaxItems=1\n",
        "bec988fd1f8a9ba32b28ed171816d1fbd4971fc464350f08882208c8c57c8e77" },
    { "UTF-8", { .method = "GET", .path = "/%E1%88%B4", .query = "%E1%88%B4=bar&A=~-_." },
        "GET\n/%25E1%2588%25B4\n%E1%88%B4=bar&A=~-_.\n",
        "0500cea6d0eac03b024778808953bdaa6564cf516abf4fb8023406ca8a5ca1d5" },
    { "blanks in headers are folded",
        { .method = "GET", .path = "/", .query = "", .headers = &blanks, .header_count = 1 },
        "GET\n/\n\n", "6ff6bc3cebca8811504dc903f3a072c310d9f48f8ee5c0b08115052209439e1b" },
};

static void signatures_are_those_of_the_aws_sdk(void **state)
{
    (void)state;
    const struct sigv4_signer signer = {
        .key_id = "AKIDEXAMPLE",
        .secret = SECRET,
        .region = "us-east-1",
        .service = "service",
        .time = TIME,
    };
    for (size_t i = 0; i < ARRAY_SIZE(vectors); i++) {
        struct sigv4_header headers[3] = {
            { "X-Amz-Date", TIME },
            { "Host", "example.amazonaws.com" },
        };
        struct sigv4_request request = vectors[i].request;
        if (request.header_count == 1)
            headers[2] = request.headers[0];
        request.headers = headers;
        request.header_count += 2;
        char value[SIGV4_AUTHORIZATION_SIZE];
        assert_int_equal(sigv4_sign(&request, &signer, value), 0);
        struct sigv4_authorization authorization;
        char message[SIGV4_MESSAGE_SIZE];
        assert_int_equal(sigv4_parse(value, &authorization, message), 0);
        char *canonical;
        assert_int_equal(
            sigv4_canonical_request(&request, authorization.signed_headers, &canonical), 0);
        if (strncmp(canonical, vectors[i].canonical_lines, strlen(vectors[i].canonical_lines)) != 0)
            fail_msg("%s: canonical request is %s", vectors[i].name, canonical);
        free(canonical);
        if (strcmp(authorization.signature, vectors[i].signature) != 0)
            fail_msg("%s: signature is %s", vectors[i].name, authorization.signature);
    }
}

static void the_canonical_request_is_exact_to_the_byte(void **state)
{
    (void)state;
    const struct sigv4_header headers[] = {
        { "host", "example.amazonaws.com" },
        { "X-AMZ-DATE", TIME },
        { "other", "1" },
        { "Other", " 2  3 " },
    };
    const struct sigv4_request request = { .method = "GET",
        .path = "",
        .query = "b&a=%7e&&c=x%2",
        .headers = headers,
        .header_count = 4 };
    char *canonical;
    assert_int_equal(sigv4_canonical_request(&request, "host;other;x-amz-date", &canonical), 0);
    assert_string_equal(canonical,
        "GET\n/\na=~&b=&c=x%252\nhost:example.amazonaws.com\nother:1,2 3\n"
        "x-amz-date:" TIME "\n\nhost;other;x-amz-date\n" EMPTY_HASH);
    free(canonical);
    assert_int_equal(sigv4_canonical_request(&request, "host;missing", &canonical), -ENOENT);
}

static void too_many_parameters_are_refused(void **state)
{
    (void)state;
    static char query[4 * SIGV4_QUERY_PAIRS_MAX];
    for (size_t i = 0; i < SIGV4_QUERY_PAIRS_MAX; i++)
        memcpy(query + 2 * i, "a&", 2);
    struct sigv4_request request = { .method = "GET", .path = "/", .query = query };
    char *canonical;
    assert_int_equal(sigv4_canonical_request(&request, "", &canonical), 0);
    free(canonical);
    query[2 * SIGV4_QUERY_PAIRS_MAX] = 'b';
    assert_int_equal(sigv4_canonical_request(&request, "", &canonical), -E2BIG);
}

#define CREDENTIAL "Credential=AKID/20150830/us-east-1/ec2/aws4_request"

static void authorization_headers_are_parsed(void **state)
{
    (void)state;
    struct sigv4_authorization authorization;
    char message[SIGV4_MESSAGE_SIZE];
    assert_int_equal(
        sigv4_parse("AWS4-HMAC-SHA256 " CREDENTIAL ",SignedHeaders=host;x-amz-date,Signature=abc",
            &authorization, message),
        0);
    assert_string_equal(authorization.key_id, "AKID");
    assert_string_equal(authorization.scope.date, "20150830");
    assert_string_equal(authorization.scope.service, "ec2");
    assert_string_equal(authorization.scope.terminator, "aws4_request");
    assert_string_equal(authorization.signature, "abc");
    assert_true(sigv4_is_signed(authorization.signed_headers, "host"));
    assert_true(sigv4_is_signed(authorization.signed_headers, "x-amz-date"));
    assert_false(sigv4_is_signed(authorization.signed_headers, "x-amz"));
}

static void malformed_authorization_headers_are_refused_in_awss_words(void **state)
{
    (void)state;
    static const struct {
        const char *header;
        const char *message;
    } cases[] = {
        { "", "Unsupported Authorization header" },
        { "Basic abc", "Unsupported Authorization header" },
        { "AWS4-HMAC-SHA2567 x", "Unsupported Authorization header" },
        { "AWS4-HMAC-SHA256",
            "Authorization header requires 'Credential' parameter. Authorization "
            "header requires 'Signature' parameter. Authorization header requires "
            "'SignedHeaders' parameter." },
        { "AWS4-HMAC-SHA256 " CREDENTIAL ", Signature=a",
            "Authorization header requires 'SignedHeaders' parameter." },
        { "AWS4-HMAC-SHA256 nonsense",
            "'nonsense' not a valid key=value pair (missing equal-sign)" },
        { "AWS4-HMAC-SHA256 Credential=AKID/20150830/us-east-1/ec2",
            "Credential must have exactly 5" },
        { "AWS4-HMAC-SHA256 " CREDENTIAL "/more", "Credential must have exactly 5" },
        { "AWS4-HMAC-SHA256 Credential=AKID//us-east-1/ec2/aws4_request", "Credential must have" },
        { "AWS4-HMAC-SHA256 Credential=AKID/20150830123600/us-east-1/ec2/aws4_request",
            "Credential must have" },
        { "AWS4-HMAC-SHA256 Signature=", "an empty or too long 'Signature'" },
        { "AWS4-HMAC-SHA256 "
          "Signature=00000000000000000000000000000000000000000000000000000000000000"
          "000",
            "an empty or too long 'Signature'" },
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct sigv4_authorization authorization;
        char message[SIGV4_MESSAGE_SIZE];
        assert_int_equal(sigv4_parse(cases[i].header, &authorization, message), -EINVAL);
        if (strstr(message, cases[i].message) == NULL)
            fail_msg("\"%s\" gives: %s", cases[i].header, message);
    }
}

static void times_go_both_ways(void **state)
{
    (void)state;
    int64_t seconds;
    char text[SIGV4_TIME_SIZE];
    assert_int_equal(sigv4_parse_time(TIME, &seconds), 0);
    assert_int_equal(seconds, 1440938160);
    sigv4_format_time(seconds, text);
    assert_string_equal(text, TIME);
    static const char *const wrong[] = { "", "20150830T123600", "2015-08-30T12:36:00Z",
        "20151330T123600Z", "20150830 123600Z", "20150830T123600Zx" };
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
        assert_int_equal(sigv4_parse_time(wrong[i], &seconds), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(signatures_are_those_of_the_aws_sdk),
        cmocka_unit_test(the_canonical_request_is_exact_to_the_byte),
        cmocka_unit_test(too_many_parameters_are_refused),
        cmocka_unit_test(authorization_headers_are_parsed),
        cmocka_unit_test(malformed_authorization_headers_are_refused_in_awss_words),
        cmocka_unit_test(times_go_both_ways),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
