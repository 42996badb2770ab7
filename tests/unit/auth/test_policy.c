/* tests/unit/auth/test_policy.c - the policy language, by tables: what is read, what is refused, what it means. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "auth/policy.h"

#define FS      "arn:aws:elasticfilesystem:us-east-1:000000000000:file-system/fs-1"
#define USER    "arn:aws:iam::000000000000:user/ada"
#define ROOT    "arn:aws:iam::000000000000:root"
#define ROLE    "arn:aws:iam::000000000000:role/Worker"
#define SESSION "arn:aws:sts::000000000000:assumed-role/Worker/one"

/* A request by ada, for ClientMount on FS, with these keys. */
static enum policy_verdict ask_as(const struct policy *policy, const char *const *principals,
    size_t principal_count, const char *action, const char *resource, const struct policy_key *keys,
    size_t key_count)
{
    struct policy_request request = { .action = action,
        .resource = resource,
        .principals = principals,
        .principal_count = principal_count,
        .account_id = principal_count > 0 ? "000000000000" : NULL,
        .keys = keys,
        .key_count = key_count };
    return policy_evaluate(policy, &request);
}

static struct policy *parse(enum policy_kind kind, const char *json)
{
    struct policy *policy;
    char message[POLICY_MESSAGE_SIZE];
    int err = policy_parse(kind, slice_str(json), message, &policy);
    if (err < 0)
        fail_msg("%s: %s", json, message);
    return policy;
}

static void actions_and_resources_match_with_wildcards(void **state)
{
    static const struct {
        const char *statement;
        const char *action;
        const char *resource;
        enum policy_verdict verdict;
    } cases[] = {
        { "'Action':'elasticfilesystem:ClientMount','Resource':'*'",
            "elasticfilesystem:ClientMount", FS, POLICY_ALLOWS },
        { "'Action':'ELASTICfilesystem:clientmount','Resource':'*'",
            "elasticfilesystem:ClientMount", FS, POLICY_ALLOWS },
        { "'Action':'elasticfilesystem:Client*','Resource':'" FS "'",
            "elasticfilesystem:ClientWrite", FS, POLICY_ALLOWS },
        { "'Action':'elasticfilesystem:Client?rite','Resource':'" FS "'",
            "elasticfilesystem:ClientWrite", FS, POLICY_ALLOWS },
        { "'Action':'*','Resource':'" FS "'", "ec2:DescribeVpcs", FS, POLICY_ALLOWS },
        { "'Action':'elasticfilesystem:ClientMount','Resource':'*'",
            "elasticfilesystem:ClientWrite", FS, POLICY_SILENT },
        { "'Action':'*','Resource':'" FS "'", "a:b", FS "1", POLICY_SILENT },
        { "'Action':'*','Resource':'" FS "*'", "a:b", FS "1", POLICY_ALLOWS },
        { "'Action':'*','Resource':'arn:aws:elasticfilesystem:*:*:file-system/*'", "a:b", FS,
            POLICY_ALLOWS },
        { "'Action':'*','Resource':'arn:aws:elasticfilesystem:US-EAST-1:*'", "a:b", FS,
            POLICY_SILENT },
        { "'Action':['a:x','a:b'],'Resource':['arn:aws:x','" FS "']", "a:b", FS, POLICY_ALLOWS },
        { "'NotAction':'a:*','Resource':'*'", "b:c", FS, POLICY_ALLOWS },
        { "'NotAction':'a:*','Resource':'*'", "a:c", FS, POLICY_SILENT },
        { "'Action':'*','NotResource':'" FS "'", "a:b", FS, POLICY_SILENT },
        { "'Action':'*','NotResource':'" FS "'", "a:b", FS "0", POLICY_ALLOWS },
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char json[512];
        (void)snprintf(json, sizeof json,
            "{'Version':'2012-10-17','Statement':{'Effect':'Allow',%s}}", cases[i].statement);
        for (char *c = json; *c != '\0'; c++)
            *c = *c == '\'' ? '"' : *c;
        struct policy *policy = parse(POLICY_OF_IDENTITY, json);
        enum policy_verdict verdict =
            ask_as(policy, NULL, 0, cases[i].action, cases[i].resource, NULL, 0);
        if (verdict != cases[i].verdict)
            fail_msg("case %zu: %d", i, (int)verdict);
        policy_free(policy);
    }
}

static void patterns_are_matched_in_bounded_time(void **state)
{
    (void)state;
    char text[2001];
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    assert_true(policy_matches("*a*a*a*a*a*a*a*", text, false));
    assert_false(policy_matches("*a*a*a*a*a*a*a*a*a*a*a*a*b", text, false));
    assert_true(policy_matches("", "", false));
    assert_true(policy_matches("**", "", false));
    assert_false(policy_matches("?", "", false));
    assert_true(policy_matches("a*c?e", "abbbcce", false));
    assert_false(policy_matches("A", "a", false));
}

static void principals_say_for_whom(void **state)
{
    static const char *const ada[] = { USER };
    static const char *const root[] = { ROOT };
    static const char *const session[] = { SESSION, ROLE };
    static const char *const other[] = { "arn:aws:iam::111111111111:user/eve" };
    static const struct {
        const char *principal;
        bool denies;
        const char *const *who;
        size_t count;
        enum policy_verdict verdict;
    } cases[] = {
        { "\"Principal\":\"*\"", false, NULL, 0, POLICY_ALLOWS },
        { "\"Principal\":{\"AWS\":\"*\"}", false, NULL, 0, POLICY_ALLOWS },
        { "\"Principal\":{\"AWS\":\"*\"}", false, ada, 1, POLICY_ALLOWS },
        { "\"Principal\":{\"AWS\":\"" USER "\"}", false, ada, 1, POLICY_ALLOWS },
        { "\"Principal\":{\"AWS\":\"" USER "\"}", false, NULL, 0, POLICY_SILENT },
        { "\"Principal\":{\"AWS\":\"" USER "\"}", false, session, 2, POLICY_SILENT },
        { "\"Principal\":{\"AWS\":[\"" USER "\",\"" ROLE "\"]}", false, session, 2, POLICY_ALLOWS },
        { "\"Principal\":{\"AWS\":\"" SESSION "\"}", false, session, 2, POLICY_ALLOWS },
        /* An account that is allowed decides by itself who may; one that is denied is denied whole. */
        { "\"Principal\":{\"AWS\":\"000000000000\"}", false, ada, 1, POLICY_SILENT },
        { "\"Principal\":{\"AWS\":\"000000000000\"}", false, root, 1, POLICY_ALLOWS },
        { "\"Principal\":{\"AWS\":\"" ROOT "\"}", false, root, 1, POLICY_ALLOWS },
        { "\"Principal\":{\"AWS\":\"" ROOT "\"}", true, ada, 1, POLICY_DENIES },
        { "\"Principal\":{\"AWS\":\"000000000000\"}", true, ada, 1, POLICY_DENIES },
        { "\"Principal\":{\"AWS\":\"000000000000\"}", true, NULL, 0, POLICY_SILENT },
        { "\"Principal\":{\"AWS\":\"111111111111\"}", true, ada, 1, POLICY_SILENT },
        { "\"Principal\":{\"Service\":\"efs.amazonaws.com\"}", false, ada, 1, POLICY_SILENT },
        { "\"NotPrincipal\":{\"AWS\":\"" USER "\"}", true, ada, 1, POLICY_SILENT },
        { "\"NotPrincipal\":{\"AWS\":\"" USER "\"}", true, session, 2, POLICY_DENIES },
        { "\"NotPrincipal\":{\"AWS\":\"" USER "\"}", true, NULL, 0, POLICY_DENIES },
        { "\"Principal\":{\"AWS\":\"" USER "\"}", false, other, 1, POLICY_SILENT },
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char json[512];
        (void)snprintf(json, sizeof json,
            "{\"Statement\":[{\"Effect\":\"%s\",\"Action\":\"*\",%s}]}",
            cases[i].denies ? "Deny" : "Allow", cases[i].principal);
        struct policy *policy = parse(POLICY_OF_RESOURCE, json);
        enum policy_verdict verdict =
            ask_as(policy, cases[i].who, cases[i].count, "a:b", FS, NULL, 0);
        if (verdict != cases[i].verdict)
            fail_msg("case %zu: %d", i, (int)verdict);
        policy_free(policy);
    }
}

static void conditions_hold_or_not(void **state)
{
    static const struct {
        const char *condition;
        const char *values[3]; /* of the key "k"; none: it is missing */
        bool holds;
    } cases[] = {
        { "'StringEquals':{'k':'a'}", { "a" }, true },
        { "'StringEquals':{'K':['b','a']}", { "a" }, true },
        { "'StringEquals':{'k':'a*'}", { "ab" }, false },
        { "'StringEquals':{'k':'A'}", { "a" }, false },
        { "'StringEquals':{'k':'a'}", { 0 }, false },
        { "'StringEqualsIfExists':{'k':'a'}", { 0 }, true },
        { "'StringEqualsIfExists':{'k':'a'}", { "b" }, false },
        { "'StringNotEquals':{'k':['a','b']}", { "b" }, false },
        { "'StringNotEquals':{'k':['a','b']}", { "c" }, true },
        { "'StringNotEquals':{'k':'a'}", { 0 }, true },
        { "'StringEqualsIgnoreCase':{'k':'aB'}", { "Ab" }, true },
        { "'StringNotEqualsIgnoreCase':{'k':'aB'}", { "Ab" }, false },
        { "'StringLike':{'k':'a*d'}", { "abcd" }, true },
        { "'StringNotLike':{'k':'a*d'}", { "abcd" }, false },
        { "'ArnLike':{'k':'arn:aws:iam::*:user/*'}", { USER }, true },
        { "'ArnEquals':{'k':'arn:aws:*:user/ada'}", { USER }, false }, /* no '*' over a ':' */
        { "'ArnNotLike':{'k':'arn:aws:iam::*:user/*'}", { USER }, false },
        { "'NumericEquals':{'k':5}", { "5.0" }, true },
        { "'NumericNotEquals':{'k':'5'}", { "5" }, false },
        { "'NumericLessThan':{'k':'10'}", { "9" }, true },
        { "'NumericLessThan':{'k':'10'}", { "10" }, false },
        { "'NumericLessThanEquals':{'k':10}", { "10" }, true },
        { "'NumericGreaterThan':{'k':10}", { "10" }, false },
        { "'NumericGreaterThan':{'k':10}", { "1e2" }, true },
        { "'NumericGreaterThanEquals':{'k':10}", { "10" }, true },
        { "'NumericEquals':{'k':5}", { "five" }, false },
        { "'DateEquals':{'k':'2026-11-23T10:00:00Z'}", { "2026-11-23T11:00:00+01:00" }, true },
        { "'DateLessThan':{'k':'2026-11-23T10:00:00Z'}", { "2026-11-23" }, true },
        { "'DateLessThanEquals':{'k':'1970-01-02'}", { "86400" }, true },
        { "'DateGreaterThan':{'k':'2026-11-23T10:00Z'}", { "2026-11-23T10:00:01.5Z" }, true },
        { "'DateGreaterThanEquals':{'k':'2027'}", { "2026-12-31T23:59:59Z" }, false },
        { "'DateNotEquals':{'k':'2027'}", { "2026-12-31T23:59:59Z" }, true },
        { "'Bool':{'k':'true'}", { "true" }, true },
        { "'Bool':{'k':true}", { "False" }, false },
        { "'Bool':{'k':'false'}", { 0 }, false },
        { "'BoolIfExists':{'k':'false'}", { 0 }, true },
        { "'IpAddress':{'k':'10.0.0.0/8'}", { "10.255.0.1" }, true },
        { "'IpAddress':{'k':['10.0.0.0/9','192.168.1.1']}", { "10.128.0.1" }, false },
        { "'IpAddress':{'k':'192.168.1.1'}", { "192.168.1.1" }, true },
        { "'IpAddress':{'k':'0.0.0.0/0'}", { "::1" }, false },
        { "'IpAddress':{'k':'2001:db8::/33'}", { "2001:db8:7fff::1" }, true },
        { "'IpAddress':{'k':'2001:db8::/33'}", { "2001:db8:8000::1" }, false },
        { "'NotIpAddress':{'k':'10.0.0.0/8'}", { "10.1.1.1" }, false },
        { "'Null':{'k':'true'}", { 0 }, true },
        { "'Null':{'k':'true'}", { "a" }, false },
        { "'Null':{'k':false}", { "a" }, true },
        { "'ForAnyValue:StringEquals':{'k':['a','b']}", { "x", "b" }, true },
        { "'ForAnyValue:StringEquals':{'k':['a','b']}", { "x", "y" }, false },
        { "'ForAnyValue:StringEquals':{'k':['a','b']}", { 0 }, false },
        { "'ForAnyValue:StringNotEquals':{'k':'a'}", { 0 }, false },
        { "'ForAllValues:StringEquals':{'k':['a','b']}", { "a", "b" }, true },
        { "'ForAllValues:StringEquals':{'k':['a','b']}", { "a", "c" }, false },
        { "'ForAllValues:StringEquals':{'k':['a','b']}", { 0 }, true },
        { "'ForAllValues:StringNotEquals':{'k':'c'}", { "a", "b" }, true },
        { "'ForAllValues:StringNotEquals':{'k':'c'}", { "a", "c" }, false },
        { "'StringEquals':{'k':'a','aws:username':'ada'}", { "a" }, true },
        { "'StringEquals':{'k':'a','aws:username':'bob'}", { "a" }, false },
        { "'StringEquals':{'k':'a'},'Bool':{'aws:SecureTransport':'true'}", { "a" }, false },
        { "'StringEquals':{'k':'${aws:username}'}", { "ada" }, true },
        { "'StringLike':{'k':'${aws:username}/*'}", { "ada/x" }, true },
        { "'StringLike':{'k':'${aws:star}'}", { "anything" }, false }, /* a value is no pattern */
        { "'StringLike':{'k':'${aws:star}'}", { "a*" }, true },
        { "'StringLike':{'k':'x${*}y'}", { "x*y" }, true },
        { "'StringLike':{'k':'x${*}y'}", { "xzy" }, false },
        { "'StringEquals':{'k':'${no:key}'}", { "ada" }, false },
        { "'StringEquals':{'k':\"${no:key, 'dflt'}\"}", { "dflt" }, true },
    };
    (void)state;
    static const char *const ada = "ada";
    static const char *const star = "a*";
    static const char *const insecure = "false";
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char json[512];
        const char *const *values = cases[i].values;
        struct policy_key keys[] = { { "aws:username", &ada, 1 }, { "aws:star", &star, 1 },
            { "aws:SecureTransport", &insecure, 1 },
            { "k", values, (values[0] != NULL) + (size_t)(values[1] != NULL) } };
        (void)snprintf(json, sizeof json,
            "{'Version':'2012-10-17','Statement':[{'Effect':'Deny','Action':'*','Resource':'*',"
            "'Condition':{%s}}]}",
            cases[i].condition);
        bool is_inside = false; /* the default of a variable has its own quotes */
        for (char *c = json; *c != '\0'; c++) {
            is_inside = is_inside ? *c != '}' : strncmp(c, "${", 2) == 0;
            *c = *c == '\'' && !is_inside ? '"' : *c;
        }
        struct policy *policy = parse(POLICY_OF_IDENTITY, json);
        bool holds = ask_as(policy, NULL, 0, "a:b", FS, keys, ARRAY_SIZE(keys)) == POLICY_DENIES;
        if (holds != cases[i].holds)
            fail_msg("%s", cases[i].condition);
        policy_free(policy);
    }
}

static void what_is_no_policy_is_refused_with_the_reason(void **state)
{
    static const struct {
        const char *json;
        const char *reason; /* a part of it */
    } cases[] = {
        { "", "no JSON" },
        { "[]", "JSON object" },
        { "{}", "1 to 256 statements" },
        { "{\"Statement\":[]}", "1 to 256 statements" },
        { "{\"Statement\":[1]}", "Statement 1: is no object" },
        { "{\"Version\":\"2020-01-01\",\"Statement\":[]}", "Version is" },
        { "{\"Statment\":[]}", "\"Statment\" is no element of a policy" },
        { "{\"Statement\":{\"Effect\":\"Allow\",\"Effect\":\"Deny\"}}", "no JSON: duplicate" },
        { "{\"Statement\":{\"Action\":\"*\",\"Resource\":\"*\"}}", "has no Effect" },
        { "{\"Statement\":{\"Effect\":\"allow\",\"Action\":\"*\",\"Resource\":\"*\"}}",
            "Effect is" },
        { "{\"Statement\":{\"Effect\":\"Allow\",\"Resource\":\"*\"}}", "no Action" },
        { "{\"Statement\":{\"Effect\":\"Allow\",\"Action\":\"*\"}}", "no Resource" },
        { "{\"Statement\":{\"Effect\":\"Allow\",\"Action\":\"mount\",\"Resource\":\"*\"}}",
            "\"mount\" is no action" },
        { "{\"Statement\":{\"Effect\":\"Allow\",\"Action\":\"*\",\"Resource\":\"fs-1\"}}",
            "\"fs-1\" is no resource" },
        { "{\"Statement\":{\"Effect\":\"Allow\",\"Action\":\"*\",\"NotAction\":\"*\",\"Resource\":"
          "\"*\"}}",
            "both Action and NotAction" },
        { "{\"Statement\":{\"Effect\":\"Allow\",\"Action\":[],\"Resource\":\"*\"}}", "1 to 4096" },
        { "{\"Statement\":{\"Effect\":\"Allow\",\"Action\":\"*\",\"Resource\":\"*\",\"Principal\":"
          "\"*\"}}",
            "has no Principal" },
        { "{\"Statement\":{\"Effect\":\"Allow\",\"Action\":\"*\",\"Resource\":\"*\",\"Conditions\":"
          "{}}}",
            "no element of a statement" },
        { "{\"Statement\":{\"Effect\":\"Allow\",\"Action\":\"*\",\"Resource\":\"*\","
          "\"Condition\":{\"StringEqual\":{\"a\":\"b\"}}}}",
            "\"StringEqual\" is no operator" },
        { "{\"Statement\":{\"Effect\":\"Allow\",\"Action\":\"*\",\"Resource\":\"*\","
          "\"Condition\":{\"NullIfExists\":{\"a\":\"true\"}}}}",
            "no operator" },
        { "{\"Statement\":{\"Effect\":\"Allow\",\"Action\":\"*\",\"Resource\":\"*\","
          "\"Condition\":{\"IpAddress\":{\"a\":\"10.0.0.0/33\"}}}}",
            "does not suit" },
        { "{\"Statement\":{\"Effect\":\"Allow\",\"Action\":\"*\",\"Resource\":\"*\","
          "\"Condition\":{\"DateLessThan\":{\"a\":\"2026-13-01\"}}}}",
            "does not suit" },
        { "{\"Statement\":{\"Effect\":\"Allow\",\"Action\":\"*\",\"Resource\":\"*\","
          "\"Condition\":{\"StringEquals\":{\"a\":[]}}}}",
            "has no values" },
        { "{\"Statement\":{\"Sid\":\"not "
          "good\",\"Effect\":\"Allow\",\"Action\":\"*\",\"Resource\":\"*\"}}",
            "Sid is" },
        { "{\"Statement\":{\"Effect\":\"Allow\",\"Action\":\"a:\\u0001\",\"Resource\":\"*\"}}",
            "control character" },
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct policy *policy = NULL;
        char message[POLICY_MESSAGE_SIZE];
        int err = policy_parse(POLICY_OF_IDENTITY, slice_str(cases[i].json), message, &policy);
        if (err != -EINVAL || strstr(message, cases[i].reason) == NULL)
            fail_msg("%s: %d, \"%s\"", cases[i].json, err, message);
    }
}

static void principals_that_are_none_are_refused(void **state)
{
    static const char *const principals[] = { "\"ada\"", "{}",
        "{\"AWS\":\"arn:aws:iam::1:user/*\"}", "{\"AWS\":\"1234\"}", "{\"AWS\":[]}",
        "{\"Human\":\"*\"}", "7" };
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(principals); i++) {
        struct policy *policy = NULL;
        char json[256];
        char message[POLICY_MESSAGE_SIZE];
        (void)snprintf(json, sizeof json,
            "{\"Statement\":{\"Effect\":\"Allow\",\"Action\":\"*\",\"Principal\":%s}}",
            principals[i]);
        assert_int_equal(
            policy_parse(POLICY_OF_RESOURCE, slice_str(json), message, &policy), -EINVAL);
        assert_non_null(strstr(message, "rincipal"));
    }
    char *long_text = malloc(POLICY_SIZE_MAX + 1);
    assert_non_null(long_text);
    memset(long_text, ' ', POLICY_SIZE_MAX + 1);
    struct policy *policy = NULL;
    char message[POLICY_MESSAGE_SIZE];
    assert_int_equal(policy_parse(POLICY_OF_RESOURCE, slice_of(long_text, POLICY_SIZE_MAX + 1),
                         message, &policy),
        -EINVAL);
    assert_non_null(strstr(message, "20000"));
    free(long_text);
}

static void a_denial_wins_over_every_allowance(void **state)
{
    (void)state;
    struct policy *allows = parse(POLICY_OF_IDENTITY,
        "{\"Statement\":{\"Effect\":\"Allow\",\"Action\":\"*\",\"Resource\":\"*\"}}");
    struct policy *denies = parse(POLICY_OF_RESOURCE,
        "{\"Statement\":[{\"Effect\":\"Allow\",\"Principal\":\"*\",\"Action\":\"*\"},"
        "{\"Effect\":\"Deny\",\"Principal\":\"*\",\"Action\":\"a:c\"}]}");
    const struct policy *both[] = { allows, NULL, denies };
    struct policy_request request = { .action = "a:b", .resource = FS };
    assert_int_equal(policy_evaluate_all(both, 3, &request), POLICY_ALLOWS);
    request.action = "a:c";
    assert_int_equal(policy_evaluate_all(both, 3, &request), POLICY_DENIES);
    assert_int_equal(policy_evaluate_all(both, 1, &request), POLICY_ALLOWS);
    assert_int_equal(policy_evaluate_all(both + 1, 1, &request), POLICY_SILENT);
    policy_free(allows);
    policy_free(denies);
}

/* The policies that the EFS console and its guide make. */
static void public_policies_are_known(void **state)
{
    static const struct {
        const char *statement;
        bool is_public;
    } cases[] = {
        { "\"Effect\":\"Allow\",\"Principal\":{\"AWS\":\"*\"},\"Action\":\"elasticfilesystem:"
          "ClientMount\"",
            true },
        { "\"Effect\":\"Allow\",\"Principal\":{\"AWS\":\"*\"},\"Action\":\"elasticfilesystem:"
          "ClientMount\","
          "\"Condition\":{\"Bool\":{\"elasticfilesystem:AccessedViaMountTarget\":\"true\"}}",
            false },
        { "\"Effect\":\"Allow\",\"Principal\":\"*\",\"Action\":\"*\","
          "\"Condition\":{\"IpAddress\":{\"aws:SourceIp\":\"10.0.0.0/8\"}}",
            false },
        { "\"Effect\":\"Allow\",\"Principal\":\"*\",\"Action\":\"*\","
          "\"Condition\":{\"IpAddress\":{\"aws:SourceIp\":\"0.0.0.0/0\"}}",
            true },
        { "\"Effect\":\"Allow\",\"Principal\":\"*\",\"Action\":\"*\","
          "\"Condition\":{\"Bool\":{\"aws:SecureTransport\":\"true\"}}",
            true },
        { "\"Effect\":\"Allow\",\"Principal\":\"*\",\"Action\":\"*\","
          "\"Condition\":{\"StringLike\":{\"aws:PrincipalArn\":\"arn:*\"}}",
            true },
        { "\"Effect\":\"Deny\",\"Principal\":\"*\",\"Action\":\"*\"", false },
        { "\"Effect\":\"Allow\",\"Principal\":{\"AWS\":\"" USER "\"},\"Action\":\"*\"", false },
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char json[512];
        (void)snprintf(json, sizeof json, "{\"Statement\":[{%s}]}", cases[i].statement);
        struct policy *policy = parse(POLICY_OF_RESOURCE, json);
        if (policy_is_public(policy) != cases[i].is_public)
            fail_msg("%s", cases[i].statement);
        policy_free(policy);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(actions_and_resources_match_with_wildcards),
        cmocka_unit_test(patterns_are_matched_in_bounded_time),
        cmocka_unit_test(principals_say_for_whom),
        cmocka_unit_test(conditions_hold_or_not),
        cmocka_unit_test(what_is_no_policy_is_refused_with_the_reason),
        cmocka_unit_test(principals_that_are_none_are_refused),
        cmocka_unit_test(a_denial_wins_over_every_allowance),
        cmocka_unit_test(public_policies_are_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
