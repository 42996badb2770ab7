/*
 * auth/verify.c - who made this HTTP request (room: auth).
 *
 * The texts are those that AWS answers (seen in public bug reports and SDK tests), since tools match on parts of them.
 */
#include "auth/verify.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <time.h>

#define TERMINATOR "aws4_request"

PRINTF_LIKE(3, 4)
static void refuse(struct auth_result *result, enum auth_failure failure, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)vsnprintf(result->message, sizeof result->message, format, args);
    va_end(args);
    result->failure = failure;
}

static const char *find_header(const struct sigv4_request *request, const char *name)
{
    for (size_t i = 0; i < request->header_count; i++) {
        if (strcasecmp(request->headers[i].name, name) == 0)
            return request->headers[i].value;
    }
    return NULL;
}

/* Whether the query carries a signature, as a presigned URL does. */
static bool is_presigned(const char *query)
{
    static const char name[] = "X-Amz-Signature=";
    for (const char *at = query; at != NULL; at = strchr(at, '&')) {
        at += *at == '&';
        if (strncasecmp(at, name, sizeof name - 1) == 0)
            return true;
    }
    return false;
}

/* Reads the Authorization header. False: refused. */
static bool read_authorization(const struct sigv4_request *request,
    struct sigv4_authorization *authorization, struct auth_result *result)
{
    const char *header = find_header(request, "authorization");
    if (header == NULL && is_presigned(request->query)) {
        refuse(result, AUTH_INCOMPLETE,
            "Signatures in the query string (presigned URLs) are not supported by this service: "
            "sign with the Authorization header.");
        return false;
    }
    if (header == NULL) {
        refuse(result, AUTH_MISSING, "Missing Authentication Token");
        return false;
    }
    char message[SIGV4_MESSAGE_SIZE];
    if (sigv4_parse(header, authorization, message) < 0) {
        refuse(result, AUTH_INCOMPLETE, "%s", message);
        return false;
    }
    memcpy(result->key_id, authorization->key_id, sizeof result->key_id);
    memcpy(result->service, authorization->scope.service, sizeof result->service);
    if (!sigv4_is_signed(authorization->signed_headers, "host")) {
        refuse(result, AUTH_BAD_SIGNATURE,
            "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.");
        return false;
    }
    return true;
}

/* The time the request says it was made, which must be signed. False: refused. */
static bool read_time(const struct sigv4_request *request, const char *signed_headers,
    int64_t *out_seconds, struct auth_result *result)
{
    const char *name = "x-amz-date";
    const char *value = find_header(request, name);
    if (value == NULL) {
        name = "date";
        value = find_header(request, name);
    }
    if (value == NULL) {
        refuse(result, AUTH_INCOMPLETE,
            "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.");
        return false;
    }
    struct tm tm = { 0 };
    if (sigv4_parse_time(value, out_seconds) < 0) {
        const char *end = strptime(value, "%a, %d %b %Y %H:%M:%S GMT", &tm);
        if (end == NULL || *end != '\0') {
            refuse(result, AUTH_INCOMPLETE,
                "Date must be in ISO-8601 'basic format'. Got '%.40s'. See "
                "http://en.wikipedia.org/wiki/ISO_8601",
                value);
            return false;
        }
        *out_seconds = timegm(&tm);
    }
    if (!sigv4_is_signed(signed_headers, name)) {
        refuse(result, AUTH_BAD_SIGNATURE,
            "'%s' must be a 'SignedHeader' in the AWS Authorization.", name);
        return false;
    }
    return true;
}

static bool is_global(const char *service)
{
    return strcmp(service, "iam") == 0 || strcmp(service, "sts") == 0;
}

static void check_scope(const struct sigv4_scope *scope, const char *region, const char *time,
    struct auth_result *result)
{
    bool is_region = strcmp(scope->region, region) == 0 ||
                     (is_global(scope->service) && strcmp(scope->region, AUTH_GLOBAL_REGION) == 0);
    if (strcmp(scope->terminator, TERMINATOR) != 0)
        refuse(result, AUTH_BAD_SCOPE,
            "Credential should be scoped with a valid terminator: '" TERMINATOR "', not '%s'.",
            scope->terminator);
    else if (!is_region)
        refuse(result, AUTH_BAD_SCOPE,
            "Credential should be scoped to a valid region, not '%s'. This one is '%s'.",
            scope->region, region);
    else if (strncmp(scope->date, time, SIGV4_DATE_SIZE - 1) != 0)
        refuse(result, AUTH_BAD_SCOPE,
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from "
            "HTTP: '%s' != '%.8s', from '%s'.",
            scope->date, time, time);
}

static void check_skew(int64_t seconds, int64_t now_s, struct auth_result *result)
{
    char time[SIGV4_TIME_SIZE];
    char now[SIGV4_TIME_SIZE];
    char limit[SIGV4_TIME_SIZE];
    sigv4_format_time(seconds, time);
    sigv4_format_time(now_s, now);
    if (seconds < now_s - AUTH_SKEW_SECONDS_MAX) {
        sigv4_format_time(now_s - AUTH_SKEW_SECONDS_MAX, limit);
        refuse(result, AUTH_SKEWED, "Signature expired: %s is now earlier than %s (%s - %d min.)",
            time, limit, now, AUTH_SKEW_SECONDS_MAX / 60);
    } else if (seconds > now_s + AUTH_SKEW_SECONDS_MAX) {
        sigv4_format_time(now_s + AUTH_SKEW_SECONDS_MAX, limit);
        refuse(result, AUTH_SKEWED,
            "Signature not yet current: %s is still later than %s (%s + %d min.)", time, limit, now,
            AUTH_SKEW_SECONDS_MAX / 60);
    }
}

/* Computes the signature with the true secret and compares. */
static int check_signature(const struct sigv4_request *request,
    const struct sigv4_authorization *authorization, const char *secret, const char *time,
    struct auth_result *result)
{
    char *canonical;
    int err = sigv4_canonical_request(request, authorization->signed_headers, &canonical);
    char signature[SIGV4_SIGNATURE_SIZE] = "";
    if (err == 0) {
        sigv4_signature(canonical, secret, time, &authorization->scope, signature);
        free(canonical);
    } else if (err != -ENOENT) { /* a signed header that did not arrive: cannot match */
        return err;
    }
    if (err < 0 || !sigv4_equal(signature, authorization->signature))
        refuse(result, AUTH_BAD_SIGNATURE,
            "The request signature we calculated does not match the signature you provided. Check "
            "your AWS Secret Access Key and signing method. Consult the service documentation for "
            "details.");
    return 0;
}

/* Finds who the key belongs to. */
static int find_principal(const struct catalog *catalog, const struct sigv4_request *request,
    const char *key_id, int64_t now_s, struct auth_result *result)
{
    const char *token = find_header(request, "x-amz-security-token");
    int err = principal_find(catalog, key_id, token, now_s * 1000, &result->principal);
    if (err == -ENOENT || err == -EACCES)
        refuse(result, AUTH_UNKNOWN_KEY, "The security token included in the request is invalid.");
    else if (err == -EKEYEXPIRED)
        refuse(result, AUTH_EXPIRED_TOKEN, "The security token included in the request is expired");
    return result->failure != AUTH_OK ? 0 : err;
}

void auth_result_fini(struct auth_result *result)
{
    principal_free(result->principal);
    result->principal = NULL;
}

int auth_verify(const struct catalog *catalog, const struct sigv4_request *request, int64_t now_s,
    struct auth_result *out_result)
{
    *out_result = (struct auth_result){ 0 };
    struct sigv4_authorization authorization;
    int64_t seconds;
    if (!read_authorization(request, &authorization, out_result) ||
        !read_time(request, authorization.signed_headers, &seconds, out_result))
        return 0;
    int err = find_principal(catalog, request, authorization.key_id, now_s, out_result);
    if (err < 0 || out_result->failure != AUTH_OK)
        return err;
    char time[SIGV4_TIME_SIZE];
    sigv4_format_time(seconds, time);
    check_scope(&authorization.scope, catalog_region(catalog), time, out_result);
    if (out_result->failure == AUTH_OK)
        check_skew(seconds, now_s, out_result);
    if (out_result->failure == AUTH_OK)
        err = check_signature(
            request, &authorization, out_result->principal->secret, time, out_result);
    if (err == 0 && out_result->failure == AUTH_OK)
        err = principal_load_policies(catalog, out_result->principal);
    if (err == 0 && out_result->failure == AUTH_OK)
        memcpy(out_result->user_name, out_result->principal->name, sizeof out_result->user_name);
    else
        auth_result_fini(out_result);
    return err;
}
