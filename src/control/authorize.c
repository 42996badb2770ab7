/*
 * control/authorize.c - asking the policies about a call, and refusing it in the service's words (room: control).
 */
#include "control/authorize.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

#define TAG_ACTION    "elasticfilesystem:TagResource"
#define VALUES_MAX    CATALOG_TAGS_MAX
#define MEMBER_MAX    50 /* of a list in a form, that counts here */
#define PARAMETER_MAX 64

bool authorize_is_from_here(const struct sockaddr_storage *peer)
{
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
    memcpy(&in, peer, sizeof in);
    memcpy(&in6, peer, sizeof in6);
    if (peer->ss_family == AF_INET)
        return (ntohl(in.sin_addr.s_addr) >> 24) == IN_LOOPBACKNET;
    if (peer->ss_family != AF_INET6)
        return false;
    if (IN6_IS_ADDR_V4MAPPED(&in6.sin6_addr))
        return in6.sin6_addr.s6_addr[12] == IN_LOOPBACKNET;
    return IN6_IS_ADDR_LOOPBACK(&in6.sin6_addr);
}

int authorize_context(struct api_call *call, bool with_peer, struct auth_context **out_context)
{
    struct auth_context *context = arena_alloc(&call->arena, sizeof *context);
    if (context == NULL)
        return -ENOMEM;
    const struct auth_environment environment = {
        .peer = with_peer ? call->peer : NULL,
        .is_secure = !with_peer || authorize_is_from_here(call->peer),
        .now_ms = call->now_ms,
        .region = catalog_region(call->context->catalog),
    };
    *out_context = context;
    return auth_context_init(context, &call->arena, call->who.principal, &environment);
}

/* ---- keys of the request ------------------------------------------------------------------------------- */

/* aws:RequestTag/.. and aws:TagKeys, of tags in a JSON body. What is malformed is refused by the handler. */
static int add_body_tags(struct auth_context *context, const json_t *tags)
{
    const char **keys = arena_calloc(context->arena, VALUES_MAX, sizeof *keys);
    struct catalog_tags one = { 0 };
    struct catalog_tag pair;
    size_t count = 0;
    size_t i;
    const json_t *tag;
    int err = keys == NULL ? -ENOMEM : 0;
    json_array_foreach(tags, i, tag)
    {
        const json_t *key = json_object_get(tag, "Key");
        const json_t *value = json_object_get(tag, "Value");
        if (err < 0 || count == VALUES_MAX || !json_is_string(key) || !json_is_string(value))
            break;
        pair.key = arena_copy(context->arena, slice_str(json_string_value(key)));
        pair.value = arena_copy(context->arena, slice_str(json_string_value(value)));
        one = (struct catalog_tags){ .count = 1, .items = &pair };
        err = pair.key == NULL || pair.value == NULL
                  ? -ENOMEM
                  : auth_context_add_tags(context, "aws:RequestTag", &one);
        keys[count++] = pair.key;
    }
    return err < 0 ? err : auth_context_add_list(context, "aws:TagKeys", keys, count);
}

/* The same of a form: Tags.member.N.Key and .Value, TagKeys.member.N; EC2: TagSpecification.1.Tag.N.Key, Tag.N.Key. */
static int add_form_tags(struct auth_context *context, const struct query *query)
{
    static const char *const lists[] = { "Tags.member", "Tag", "TagSpecification.1.Tag" };
    const char **keys = arena_calloc(context->arena, VALUES_MAX, sizeof *keys);
    size_t count = 0;
    int err = keys == NULL ? -ENOMEM : 0;
    for (size_t list = 0; err == 0 && list < ARRAY_SIZE(lists); list++) {
        for (unsigned i = 1; err == 0 && i <= MEMBER_MAX && count < VALUES_MAX; i++) {
            char name[PARAMETER_MAX];
            struct catalog_tag pair;
            (void)snprintf(name, sizeof name, "%s.%u.Key", lists[list], i);
            const char *key = query_find(query, name);
            (void)snprintf(name, sizeof name, "%s.%u.Value", lists[list], i);
            const char *value = query_find(query, name);
            if (key == NULL)
                break;
            pair.key = arena_copy(context->arena, slice_str(key));
            pair.value = arena_copy(context->arena, slice_str(value != NULL ? value : ""));
            const struct catalog_tags one = { .count = 1, .items = &pair };
            err = pair.key == NULL || pair.value == NULL
                      ? -ENOMEM
                      : auth_context_add_tags(context, "aws:RequestTag", &one);
            keys[count++] = pair.key;
        }
    }
    for (unsigned i = 1; err == 0 && i <= MEMBER_MAX && count < VALUES_MAX; i++) {
        char name[PARAMETER_MAX];
        (void)snprintf(name, sizeof name, "TagKeys.member.%u", i);
        const char *key = query_find(query, name);
        if (key == NULL)
            break;
        keys[count++] = key;
    }
    return err < 0 ? err : auth_context_add_list(context, "aws:TagKeys", keys, count);
}

/* aws:TagKeys of what is to be taken away: in the URL of UntagResource, in the body of DeleteTags. */
static int add_removed_keys(struct auth_context *context, const struct api_call *call)
{
    const char **keys = arena_calloc(context->arena, VALUES_MAX, sizeof *keys);
    size_t count = 0;
    size_t i;
    const json_t *key;
    if (keys == NULL)
        return -ENOMEM;
    for (i = 0; i < call->query.count && count < VALUES_MAX; i++) {
        if (strcmp(call->query.pairs[i].name, "tagKeys") == 0)
            keys[count++] = call->query.pairs[i].value;
    }
    json_array_foreach(json_object_get(call->input, "TagKeys"), i, key)
    {
        if (json_is_string(key) && count < VALUES_MAX)
            keys[count++] = json_string_value(key);
    }
    return auth_context_add_list(context, "aws:TagKeys", keys, count);
}

static int add_target_tags(struct auth_context *context, const struct authorize_target *target)
{
    const struct catalog_tags *tags = NULL;
    if (target->point != NULL)
        tags = &target->point->tags;
    else if (target->fs != NULL)
        tags = &target->fs->tags;
    else if (target->identity != NULL)
        tags = &target->identity->tags;
    return tags == NULL ? 0 : auth_context_add_tags(context, "aws:ResourceTag", tags);
}

/* ---- deciding ------------------------------------------------------------------------------------------ */

static enum api_error_id refusal_of(enum protocol protocol)
{
    switch (protocol) {
    case PROTOCOL_REST_JSON:
        return API_ACCESS_DENIED;
    case PROTOCOL_EC2_QUERY:
        return API_QUERY_UNAUTHORIZED_OPERATION;
    case PROTOCOL_AWS_QUERY:
        return API_QUERY_ACCESS_DENIED;
    case PROTOCOL_JSON:
        return API_TARGET_ACCESS_DENIED;
    }
    abort();
}

/* What the call is about, for the audit log. Errors: -ENOMEM. */
static int note_resource(struct api_call *call, const struct authorize_target *target)
{
    call->resource = arena_copy(&call->arena, slice_str(target->arn));
    return call->resource == NULL ? -ENOMEM : 0;
}

static const struct api_error *refuse(struct api_call *call, const struct service *service,
    const char *action, const char *arn, enum policy_verdict verdict)
{
    const char *asker = call->who.principal->arn;
    call->is_denied = true;
    if (service->protocol == PROTOCOL_REST_JSON)
        return api_fail(call, API_ACCESS_DENIED,
            "User: %.160s is not authorized to perform: %s on the specified resource", asker,
            action);
    return api_fail(call, refusal_of(service->protocol),
        "User: %.160s is not authorized to perform: %s on resource: %.160s %s%s%s", asker, action,
        arn,
        verdict == POLICY_DENIES ? "with an explicit deny"
                                 : "because no identity-based policy allows the ",
        verdict == POLICY_DENIES ? "" : action, verdict == POLICY_DENIES ? "" : " action");
}

/* The policy of the file system that the call is about; NULL: none. Errors: -ENOMEM, -EBADMSG. */
static int read_fs_policy(const struct authorize_target *target, struct policy **out_policy)
{
    char message[POLICY_MESSAGE_SIZE];
    *out_policy = NULL;
    if (target->fs == NULL || target->fs->policy == NULL)
        return 0;
    int err = policy_parse(POLICY_OF_RESOURCE, slice_str(target->fs->policy), message, out_policy);
    return err == -EINVAL ? -EBADMSG : err; /* it was read when it was put */
}

const struct api_error *authorize_efs(struct api_call *call, const struct action *action)
{
    struct auth_context *context;
    struct authorize_target target = { 0 };
    struct policy *policy = NULL;
    const struct api_error *error = NULL;
    const json_t *tags = json_object_get(call->input, "Tags");
    const json_t *encrypted = json_object_get(call->input, "Encrypted");
    bool creates = strncmp(action->name, "Create", 6) == 0;
    authorize_target_efs(call, action, &target);
    int err = note_resource(call, &target);
    if (err == 0)
        err = read_fs_policy(&target, &policy);
    if (err == 0)
        err = authorize_context(call, true, &context);
    if (err == 0)
        err = add_target_tags(context, &target);
    if (err == 0)
        err = tags != NULL ? add_body_tags(context, tags) : add_removed_keys(context, call);
    if (err == 0 && strcmp(action->name, "CreateFileSystem") == 0)
        err = auth_context_add(
            context, "elasticfilesystem:Encrypted", json_is_true(encrypted) ? "true" : "false");
    if (err == 0) {
        enum policy_verdict verdict = auth_decide(context, policy, action->iam_action, target.arn);
        if (verdict != POLICY_ALLOWS)
            error = refuse(
                call, service_find("elasticfilesystem"), action->iam_action, target.arn, verdict);
    }
    bool tags_too = creates && json_array_size(tags) > 0 && strcmp(action->name, "CreateTags") != 0;
    if (err == 0 && error == NULL && tags_too) {
        err = auth_context_add(context, "elasticfilesystem:CreateAction", action->name);
        if (err == 0)
            authorize_target_tagged(call, action, &target);
        if (err == 0 && auth_decide(context, policy, TAG_ACTION, target.arn) != POLICY_ALLOWS)
            error = refuse(
                call, service_find("elasticfilesystem"), TAG_ACTION, target.arn, POLICY_SILENT);
    }
    policy_free(policy);
    authorize_target_fini(&target);
    return err < 0 ? api_internal_error(call, err) : error;
}

/* Asks about one of the things that a call is about, whose keys are added to those in `context`. NULL: allowed. */
static const struct api_error *decide(struct api_call *call, const struct service *service,
    const char *action, const struct authorize_target *target, struct auth_context *context)
{
    size_t own_count = context->count;
    const struct api_error *error = NULL;
    int err = add_target_tags(context, target);
    if (err < 0) {
        error = api_internal_error(call, err);
    } else {
        enum policy_verdict verdict = auth_decide(context, NULL, action, target->arn);
        if (verdict != POLICY_ALLOWS)
            error = refuse(call, service, action, target->arn, verdict);
    }
    context->count = own_count; /* the next has tags of its own */
    return error;
}

const struct api_error *authorize_query(
    struct api_call *call, const struct service *service, const char *iam_action)
{
    struct auth_context *context;
    const struct api_error *error = NULL;
    if (service->id == SERVICE_STS) /* sts.c */
        return NULL;
    const char *policy_arn = query_find(&call->query, "PolicyArn");
    int err = authorize_context(call, true, &context);
    if (err == 0)
        err = add_form_tags(context, &call->query);
    if (err == 0 && policy_arn != NULL)
        err = auth_context_add(context, "iam:PolicyARN", policy_arn);
    for (unsigned n = 0; err == 0 && error == NULL; n++) {
        struct authorize_target target = { 0 };
        if (!authorize_target_query(call, service, n, &target))
            break;
        err = n == 0 ? note_resource(call, &target) : 0;
        if (err == 0)
            error = decide(call, service, iam_action, &target, context);
        authorize_target_fini(&target);
    }
    return err < 0 ? api_internal_error(call, err) : error;
}

const struct api_error *authorize_json(
    struct api_call *call, const struct service *service, const char *iam_action)
{
    struct auth_context *context;
    const struct api_error *error = NULL;
    int err = authorize_context(call, true, &context);
    for (unsigned n = 0; err == 0 && error == NULL; n++) {
        struct authorize_target target = { 0 };
        if (!authorize_target_json(call, service, n, &target))
            break;
        err = n == 0 ? note_resource(call, &target) : 0;
        if (err == 0)
            error = decide(call, service, iam_action, &target, context);
        authorize_target_fini(&target);
    }
    return err < 0 ? api_internal_error(call, err) : error;
}
