/*
 * auth/decision.c - condition keys of a request, and the order in which policies are asked (room: auth).
 */
#include "auth/decision.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <time.h>

#define TIME_SIZE 32u

int auth_context_add_list(
    struct auth_context *context, const char *name, const char *const *values, size_t count)
{
    if (count == 0)
        return 0;
    if (context->count == AUTH_KEYS_MAX)
        return -ENOMEM;
    context->keys[context->count++] =
        (struct policy_key){ .name = name, .values = values, .value_count = count };
    return 0;
}

int auth_context_add(struct auth_context *context, const char *name, const char *value)
{
    const char **values = arena_alloc(context->arena, sizeof *values);
    if (values == NULL)
        return -ENOMEM;
    *values = value;
    return auth_context_add_list(context, name, values, 1);
}

int auth_context_add_tags(
    struct auth_context *context, const char *prefix, const struct catalog_tags *tags)
{
    int err = 0;
    for (size_t i = 0; err == 0 && i < tags->count; i++) {
        size_t size = strlen(prefix) + 1 + strlen(tags->items[i].key) + 1;
        char *name = arena_alloc(context->arena, size);
        if (name == NULL)
            return -ENOMEM;
        (void)snprintf(name, size, "%s/%s", prefix, tags->items[i].key);
        err = auth_context_add(context, name, tags->items[i].value);
    }
    return err;
}

static int add_time(struct auth_context *context, const char *name, int64_t now_ms)
{
    char *text = arena_alloc(context->arena, TIME_SIZE);
    time_t now_s = (time_t)(now_ms / 1000);
    struct tm tm;
    if (text == NULL)
        return -ENOMEM;
    (void)strftime(text, TIME_SIZE, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now_s, &tm));
    return auth_context_add(context, name, text);
}

static int add_number(struct auth_context *context, const char *name, int64_t number)
{
    char *text = arena_alloc(context->arena, TIME_SIZE);
    if (text == NULL)
        return -ENOMEM;
    (void)snprintf(text, TIME_SIZE, "%lld", (long long)number);
    return auth_context_add(context, name, text);
}

/* An IPv4 address that came over IPv6 counts as IPv4. */
static int add_peer(struct auth_context *context, const struct sockaddr_storage *peer)
{
    char *text = arena_alloc(context->arena, INET6_ADDRSTRLEN);
    if (text == NULL)
        return -ENOMEM;
    if (peer->ss_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, peer, sizeof in);
        (void)inet_ntop(AF_INET, &in.sin_addr, text, INET6_ADDRSTRLEN);
    } else if (peer->ss_family == AF_INET6) {
        struct sockaddr_in6 in6;
        memcpy(&in6, peer, sizeof in6);
        bool is_mapped = IN6_IS_ADDR_V4MAPPED(&in6.sin6_addr);
        (void)inet_ntop(is_mapped ? AF_INET : AF_INET6, &in6.sin6_addr.s6_addr[is_mapped ? 12 : 0],
            text, INET6_ADDRSTRLEN);
    } else {
        return 0;
    }
    return auth_context_add(context, "aws:SourceIp", text);
}

static int add_principal(struct auth_context *context, const struct principal *principal)
{
    static const char *const types[] = {
        [PRINCIPAL_ROOT] = "Account", [PRINCIPAL_USER] = "User", [PRINCIPAL_SESSION] = "AssumedRole"
    };
    bool is_session = principal->kind == PRINCIPAL_SESSION;
    int err = auth_context_add(
        context, "aws:PrincipalArn", is_session ? principal->role_arn : principal->arn);
    if (err == 0)
        err = auth_context_add(context, "aws:PrincipalType", types[principal->kind]);
    if (err == 0)
        err = auth_context_add(context, "aws:PrincipalAccount", principal->account_id);
    if (err == 0)
        err = auth_context_add(context, "aws:userid", principal->user_id);
    if (err == 0 && principal->kind == PRINCIPAL_USER)
        err = auth_context_add(context, "aws:username", principal->identity->name);
    if (err == 0 && is_session)
        err = add_time(context, "aws:TokenIssueTime", principal->issued_ms);
    if (err == 0 && principal->identity != NULL)
        err = auth_context_add_tags(context, "aws:PrincipalTag", &principal->identity->tags);
    return err;
}

int auth_context_init(struct auth_context *context, struct arena *arena,
    const struct principal *principal, const struct auth_environment *environment)
{
    context->arena = arena;
    context->principal = principal;
    context->count = 0;
    int err = principal != NULL ? add_principal(context, principal)
                                : auth_context_add(context, "aws:PrincipalType", "Anonymous");
    if (err == 0 && environment->peer != NULL)
        err = add_peer(context, environment->peer);
    if (err == 0)
        err = auth_context_add(
            context, "aws:SecureTransport", environment->is_secure ? "true" : "false");
    if (err == 0)
        err = add_time(context, "aws:CurrentTime", environment->now_ms);
    if (err == 0)
        err = add_number(context, "aws:EpochTime", environment->now_ms / 1000);
    if (err == 0)
        err = auth_context_add(context, "aws:RequestedRegion", environment->region);
    return err;
}

/* The names by which a principal is known, the account's root last if `with_account`. Gives how many. */
static size_t name_principal(
    const struct principal *principal, const char *const *account, const char *out_names[3])
{
    size_t count = 0;
    if (principal == NULL)
        return 0;
    out_names[count++] = principal->arn;
    if (principal->kind == PRINCIPAL_SESSION)
        out_names[count++] = principal->role_arn;
    if (account != NULL)
        out_names[count++] = *account;
    return count;
}

static enum policy_verdict ask_identity(
    const struct principal *principal, const struct policy_request *request)
{
    if (principal == NULL)
        return POLICY_SILENT;
    if (principal->kind == PRINCIPAL_ROOT)
        return POLICY_ALLOWS;
    return policy_evaluate_all(
        (const struct policy *const *)principal->policies, principal->policy_count, request);
}

/* What a session's own policy says; one that has none is not narrowed. */
static enum policy_verdict ask_session(
    const struct principal *principal, const struct policy_request *request)
{
    if (principal == NULL || principal->session_policy == NULL)
        return POLICY_ALLOWS;
    return policy_evaluate(principal->session_policy, request);
}

static struct policy_request make_request(const struct auth_context *context,
    const char *const *names, size_t name_count, const char *action, const char *resource)
{
    return (struct policy_request){ .action = action,
        .resource = resource,
        .principals = names,
        .principal_count = name_count,
        .account_id = context->principal != NULL ? context->principal->account_id : NULL,
        .keys = context->keys,
        .key_count = context->count };
}

enum policy_verdict auth_decide(const struct auth_context *context,
    const struct policy *resource_policy, const char *action, const char *resource)
{
    const char *names[3];
    size_t name_count = name_principal(context->principal, NULL, names);
    struct policy_request request = make_request(context, names, name_count, action, resource);
    enum policy_verdict identity = ask_identity(context->principal, &request);
    enum policy_verdict session = ask_session(context->principal, &request);
    enum policy_verdict by_resource =
        resource_policy != NULL ? policy_evaluate(resource_policy, &request) : POLICY_SILENT;
    if (identity == POLICY_DENIES || session == POLICY_DENIES || by_resource == POLICY_DENIES)
        return POLICY_DENIES;
    bool is_allowed = identity == POLICY_ALLOWS || by_resource == POLICY_ALLOWS;
    return is_allowed && session == POLICY_ALLOWS ? POLICY_ALLOWS : POLICY_SILENT;
}

enum policy_verdict auth_decide_trust(
    const struct auth_context *context, const struct policy *trust_policy, const char *role_arn)
{
    char root[IAM_ARN_SIZE];
    const char *account = root;
    const char *names[3];
    const struct principal *principal = context->principal;
    (void)snprintf(
        root, sizeof root, "arn:aws:iam::%s:root", principal != NULL ? principal->account_id : "");
    size_t own_count = name_principal(principal, NULL, names);
    struct policy_request request =
        make_request(context, names, own_count, "sts:AssumeRole", role_arn);
    enum policy_verdict identity = ask_identity(principal, &request);
    enum policy_verdict session = ask_session(principal, &request);
    enum policy_verdict direct = policy_evaluate(trust_policy, &request);
    request.principal_count = name_principal(principal, &account, names);
    enum policy_verdict by_account = policy_evaluate(trust_policy, &request);
    if (identity == POLICY_DENIES || session == POLICY_DENIES || direct == POLICY_DENIES)
        return POLICY_DENIES;
    bool is_allowed =
        direct == POLICY_ALLOWS || (by_account == POLICY_ALLOWS && identity == POLICY_ALLOWS);
    return is_allowed && session == POLICY_ALLOWS ? POLICY_ALLOWS : POLICY_SILENT;
}
