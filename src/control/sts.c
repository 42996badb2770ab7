/*
 * control/sts.c - who the caller is, and temporary keys of roles (room: control).
 * Source: STS API, GetCallerIdentity, AssumeRole.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "auth/decision.h"
#include "auth/session.h"
#include "base/text.h"
#include "control/authorize.h"
#include "control/query_service.h"

#define SECONDS_MIN     900
#define SECONDS_DEFAULT 3600
#define SECONDS_CHAINED 3600 /* of a session that another session takes */

const struct api_error *sts_get_caller_identity(struct api_call *call, struct xml *xml)
{
    const struct principal *principal = call->who.principal;
    xml_element(xml, "Arn", principal->arn);
    xml_element(xml, "UserId", principal->user_id);
    xml_element(xml, "Account", principal->account_id);
    return NULL;
}

/* What AssumeRole gets. */
struct assumption {
    const char *role_arn;
    const char *name;
    const char *policy; /* NULL: none */
    uint64_t seconds;
};

static const struct api_error *fail_value(
    struct api_call *call, const char *name, const char *value, const char *constraint)
{
    return api_fail(call, API_IAM_VALIDATION,
        "1 validation error detected: Value %s%.64s%s at '%s' failed to satisfy constraint: %s",
        value != NULL ? "'" : "", value != NULL ? value : "null", value != NULL ? "'" : "", name,
        constraint);
}

static bool is_session_name(const char *name)
{
    size_t size = strlen(name);
    for (const char *c = name; *c != '\0'; c++) {
        if ((unsigned char)*c >= 0x80 ||
            (!isalnum((unsigned char)*c) && strchr("_+=,.@-", *c) == NULL))
            return false;
    }
    return size >= 2 && size < IAM_SESSION_NAME_SIZE;
}

static const struct api_error *take_policy(struct api_call *call, const char **out_policy)
{
    struct policy *policy;
    char message[POLICY_MESSAGE_SIZE];
    *out_policy = query_find(&call->query, "Policy");
    if (query_find(&call->query, "PolicyArns.member.1.arn") != NULL)
        return fail_value(call, "policyArns", NULL,
            "Managed session policies are not available in Shoal: put the policy into Policy");
    if (*out_policy == NULL)
        return NULL;
    if (strlen(*out_policy) > SESSION_POLICY_MAX)
        return fail_value(
            call, "policy", *out_policy, "Member must have length less than or equal to 2048");
    int err = policy_parse(POLICY_OF_IDENTITY, slice_str(*out_policy), message, &policy);
    if (err == -EINVAL)
        return api_fail(call, API_STS_MALFORMED_POLICY, "%s", message);
    if (err < 0)
        return api_internal_error(call, err);
    policy_free(policy);
    return NULL;
}

static const struct api_error *take_assumption(struct api_call *call, struct assumption *out)
{
    const char *seconds = query_find(&call->query, "DurationSeconds");
    out->role_arn = query_find(&call->query, "RoleArn");
    out->name = query_find(&call->query, "RoleSessionName");
    out->seconds = SECONDS_DEFAULT;
    if (out->role_arn == NULL || strlen(out->role_arn) < 20)
        return fail_value(call, "roleArn", out->role_arn,
            out->role_arn == NULL ? "Member must not be null"
                                  : "Member must have length greater than or equal to 20");
    if (out->name == NULL)
        return fail_value(call, "roleSessionName", NULL, "Member must not be null");
    if (!is_session_name(out->name))
        return fail_value(call, "roleSessionName", out->name,
            "Member must satisfy regular expression pattern: [\\w+=,.@-]{2,64}");
    if (seconds != NULL &&
        (text_parse_u64(seconds, INT32_MAX, &out->seconds) < 0 || out->seconds < SECONDS_MIN))
        return fail_value(call, "durationSeconds", seconds,
            "Member must have value greater than or equal to 900");
    return take_policy(call, &out->policy);
}

/* The role with this ARN, with a reference; NULL: none. */
static const struct catalog_identity *find_role(const struct catalog *catalog, const char *arn)
{
    char own[IAM_ARN_SIZE];
    const char *name = strrchr(arn, '/');
    const struct catalog_identity *role =
        name == NULL ? NULL : catalog_identity_find(catalog, CATALOG_ROLE, name + 1);
    if (role == NULL)
        return NULL;
    iam_arn(catalog, role, own);
    if (strcmp(own, arn) == 0)
        return role;
    catalog_identity_put(role);
    return NULL;
}

/* Whether the role may be taken. A role that does not exist is refused in the same words. */
static const struct api_error *check_trust(
    struct api_call *call, const struct catalog_identity *role, const struct assumption *assumption)
{
    struct policy *trust = NULL;
    struct auth_context *context;
    char message[POLICY_MESSAGE_SIZE];
    enum policy_verdict verdict = POLICY_SILENT;
    if (call->who.principal->kind == PRINCIPAL_ROOT) {
        call->is_denied = true;
        return api_fail(
            call, API_QUERY_ACCESS_DENIED, "Roles may not be assumed by root accounts.");
    }
    int err = role == NULL
                  ? 0
                  : policy_parse(POLICY_OF_TRUST, slice_str(role->trust_policy), message, &trust);
    if (err == 0)
        err = authorize_context(call, true, &context);
    if (err == 0)
        err = auth_context_add(context, "sts:RoleSessionName", assumption->name);
    if (err == 0 && role != NULL)
        err = auth_context_add_tags(context, "aws:ResourceTag", &role->tags);
    if (err == 0 && trust != NULL)
        verdict = auth_decide_trust(context, trust, assumption->role_arn);
    policy_free(trust);
    if (err < 0)
        return api_internal_error(call, err);
    if (verdict == POLICY_ALLOWS)
        return NULL;
    call->is_denied = true;
    return api_fail(call, API_QUERY_ACCESS_DENIED,
        "User: %.160s is not authorized to perform: sts:AssumeRole on resource: %.160s",
        call->who.principal->arn, assumption->role_arn);
}

static const struct api_error *check_duration(
    struct api_call *call, const struct catalog_identity *role, const struct assumption *assumption)
{
    if (call->who.principal->kind == PRINCIPAL_SESSION && assumption->seconds > SECONDS_CHAINED)
        return api_fail(call, API_IAM_VALIDATION,
            "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by "
            "role chaining");
    if (assumption->seconds > role->session_seconds_max)
        return api_fail(call, API_IAM_VALIDATION,
            "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.");
    return NULL;
}

static void write_time(struct xml *xml, const char *name, int64_t ms)
{
    char text[32];
    time_t seconds = (time_t)(ms / 1000);
    struct tm tm;
    (void)strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&seconds, &tm));
    xml_element(xml, name, text);
}

static const struct api_error *write_session(struct api_call *call, struct xml *xml,
    const struct catalog_identity *role, const struct assumption *assumption)
{
    const struct catalog *catalog = call->context->catalog;
    struct session session = { .issued_ms = call->now_ms,
        .expires_ms = (call->now_ms / 1000 + (int64_t)assumption->seconds) * 1000 };
    char secret[SESSION_SECRET_SIZE];
    char arn[IAM_ARN_SIZE];
    char role_id[PRINCIPAL_USER_ID_SIZE];
    char *token = NULL;
    memcpy(session.role_id, role->id, sizeof session.role_id);
    int err = text_copy(session.name, sizeof session.name, assumption->name);
    if (err == 0)
        err = catalog_text_set(&session.policy, assumption->policy);
    if (err == 0)
        err = session_seal(catalog, &session, &token);
    if (err < 0) {
        session_fini(&session);
        return api_internal_error(call, err);
    }
    session_secret(catalog, session.key_id, secret);
    (void)snprintf(arn, sizeof arn, "arn:aws:sts::%s:assumed-role/%.64s/%s",
        catalog_account_id(catalog), role->name, session.name);
    (void)snprintf(role_id, sizeof role_id, "%s:%s", role->id, session.name);
    xml_open(xml, "AssumedRoleUser", NULL);
    xml_element(xml, "AssumedRoleId", role_id);
    xml_element(xml, "Arn", arn);
    xml_close(xml);
    xml_open(xml, "Credentials", NULL);
    xml_element(xml, "AccessKeyId", session.key_id);
    xml_element(xml, "SecretAccessKey", secret);
    xml_element(xml, "SessionToken", token);
    write_time(xml, "Expiration", session.expires_ms);
    xml_close(xml);
    explicit_bzero(secret, sizeof secret);
    free(token);
    session_fini(&session);
    return NULL;
}

const struct api_error *sts_assume_role(struct api_call *call, struct xml *xml)
{
    struct assumption assumption = { 0 };
    const struct api_error *error = take_assumption(call, &assumption);
    if (error != NULL)
        return error;
    call->resource = assumption.role_arn;
    const struct catalog_identity *role = find_role(call->context->catalog, assumption.role_arn);
    error = check_trust(call, role, &assumption);
    assert(error != NULL || (role != NULL && assumption.name != NULL)); /* no role trusts nobody */
    if (error == NULL)
        error = check_duration(call, role, &assumption);
    if (error == NULL)
        error = write_session(call, xml, role, &assumption);
    catalog_identity_put(role);
    return error;
}
