/*
 * control/api_policies.c - file system policies: who may mount, write and be root, and who may call (room: control).
 *
 * Source: EFS API, PutFileSystemPolicy, DescribeFileSystemPolicy, DeleteFileSystemPolicy; EFS User Guide, "Using IAM
 * to control access to file systems". The data plane asks in nfs/rights.c.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "auth/policy.h"
#include "control/input.h"
#include "control/policies.h"

#define PUT_POLICY_ACTION "elasticfilesystem:PutFileSystemPolicy"
#define TIME_SIZE         32u

struct asked {
    char resource[CATALOG_ARN_SIZE];
    char principal[64];
    char address[INET6_ADDRSTRLEN];
    char now[TIME_SIZE];
    char epoch[TIME_SIZE];
};

static void address_text(const struct sockaddr_storage *peer, char out_text[INET6_ADDRSTRLEN])
{
    out_text[0] = '\0';
    if (peer->ss_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, peer, sizeof in);
        (void)inet_ntop(AF_INET, &in.sin_addr, out_text, INET6_ADDRSTRLEN);
    } else if (peer->ss_family == AF_INET6) {
        struct sockaddr_in6 in6;
        memcpy(&in6, peer, sizeof in6);
        (void)inet_ntop(AF_INET6, &in6.sin6_addr, out_text, INET6_ADDRSTRLEN);
    }
}

/* What the policy says of `action`, by this caller, now. `peer` NULL: from an address that does not matter. */
static enum policy_verdict ask(const struct api_call *call, const struct policy *policy,
    const char *fs_id, const char *action, const struct sockaddr_storage *peer)
{
    static const char *const insecure = "false";
    static const char *const principal_type = "Account";
    const struct catalog *catalog = call->context->catalog;
    const char *account = catalog_account_id(catalog);
    const char *region = catalog_region(catalog);
    struct asked asked = { 0 };
    time_t now_s = (time_t)(call->now_ms / 1000);
    struct tm tm;
    catalog_arn(catalog, "file-system", fs_id, asked.resource);
    (void)snprintf(asked.principal, sizeof asked.principal, "arn:aws:iam::%s:root", account);
    (void)snprintf(asked.epoch, sizeof asked.epoch, "%lld", (long long)now_s);
    (void)strftime(asked.now, sizeof asked.now, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now_s, &tm));
    if (peer != NULL)
        address_text(peer, asked.address);
    const char *const principal = asked.principal;
    const char *const now = asked.now;
    const char *const epoch = asked.epoch;
    const char *const address = asked.address;
    const struct policy_key keys[] = { { "aws:PrincipalArn", &principal, 1 },
        { "aws:PrincipalAccount", &account, 1 }, { "aws:PrincipalType", &principal_type, 1 },
        { "aws:userid", &account, 1 }, { "aws:RequestedRegion", &region, 1 },
        { "aws:SecureTransport", &insecure, 1 }, { "aws:CurrentTime", &now, 1 },
        { "aws:EpochTime", &epoch, 1 }, { "aws:SourceIp", &address, asked.address[0] != '\0' } };
    const struct policy_request request = { .action = action,
        .resource = asked.resource,
        .principals = &principal,
        .principal_count = 1,
        .account_id = account,
        .keys = keys,
        .key_count = ARRAY_SIZE(keys) };
    return policy_evaluate(policy, &request);
}

const struct api_error *policies_check_call(
    struct api_call *call, const struct action *action, const struct http_request *request)
{
    const char *id = call->path_value != NULL && strstr(action->path, "{FileSystemId}") != NULL
                         ? api_resolve_id(call, "file-system", call->path_value)
                         : NULL;
    char *json = NULL;
    struct policy *policy = NULL;
    char message[POLICY_MESSAGE_SIZE];
    if (id == NULL)
        return NULL;
    int err = catalog_fs_policy(call->context->catalog, id, &json);
    if (err < 0)
        return api_internal_error(call, err);
    if (json == NULL)
        return NULL;
    err = policy_parse(POLICY_OF_RESOURCE, slice_str(json), message, &policy);
    free(json);
    if (err < 0)
        return api_internal_error(call, err); /* it was read when it was put */
    enum policy_verdict verdict = ask(call, policy, id, action->iam_action, &request->peer);
    policy_free(policy);
    if (verdict != POLICY_DENIES)
        return NULL;
    return api_fail(call, API_ACCESS_DENIED,
        "User: arn:aws:iam::%s:root is not authorized to perform: %s on the specified resource",
        catalog_account_id(call->context->catalog), action->iam_action);
}

static const struct api_error *answer_policy(
    struct api_call *call, const char *id, const char *policy)
{
    return api_answer(call, json_pack("{ss ss}", "FileSystemId", id, "Policy", policy));
}

const struct api_error *api_describe_file_system_policy(struct api_call *call)
{
    const struct catalog_fs *fs = api_get_fs(call, call->path_value);
    if (fs == NULL)
        return call->failure;
    const struct api_error *error =
        fs->policy != NULL ? answer_policy(call, fs->id, fs->policy)
                           : api_fail(call, API_POLICY_NOT_FOUND,
                                 "File system '%s' does not have a file system policy.", fs->id);
    catalog_fs_put(fs);
    return error;
}

struct put_policy {
    struct api_call *call;
    char id[CATALOG_ID_SIZE];
    const char *policy; /* NULL: it is taken away */
};

static int put_policy(struct catalog_change *change, void *context)
{
    struct put_policy *put = context;
    struct catalog_fs *fs;
    int err = catalog_edit_fs(change, put->id, &fs);
    if (err == -ENOENT)
        return api_refuse(
            put->call, API_FILE_SYSTEM_NOT_FOUND, "File system '%s' does not exist.", put->id);
    if (err < 0)
        return err;
    if (fs->state != CATALOG_AVAILABLE && fs->state != CATALOG_UPDATING)
        return api_refuse(put->call, API_INCORRECT_FILE_SYSTEM_LIFE_CYCLE_STATE,
            "File system '%s' is not available.", put->id);
    return catalog_fs_set_policy(fs, put->policy);
}

/* Whether it can be put, for the file system `id`. NULL: it can. */
static const struct api_error *check_policy(struct api_call *call, const char *id, const char *text)
{
    bool bypass = false;
    struct policy *policy = NULL;
    char message[POLICY_MESSAGE_SIZE];
    const struct api_error *error = input_bool(call, "BypassPolicyLockoutSafetyCheck", &bypass);
    if (error != NULL)
        return error;
    int err = policy_parse(POLICY_OF_RESOURCE, slice_str(text), message, &policy);
    if (err == -EINVAL)
        return api_fail(call, API_INVALID_POLICY, "The policy is malformed: %s", message);
    if (err < 0)
        return api_internal_error(call, err);
    bool locks_out = !bypass && ask(call, policy, id, PUT_POLICY_ACTION, NULL) == POLICY_DENIES;
    policy_free(policy);
    if (locks_out)
        return api_fail(call, API_INVALID_POLICY,
            "The policy would keep you from putting another one. Set "
            "BypassPolicyLockoutSafetyCheck to put it nevertheless.");
    return NULL;
}

const struct api_error *api_put_file_system_policy(struct api_call *call)
{
    const struct input_text rule = { "Policy", true, 1, CATALOG_POLICY_SIZE_MAX };
    struct put_policy put = { .call = call };
    const struct api_error *error = input_string(call, &rule, &put.policy);
    if (error != NULL)
        return error;
    const struct catalog_fs *fs = api_get_fs(call, call->path_value);
    if (fs == NULL)
        return call->failure;
    memcpy(put.id, fs->id, sizeof put.id);
    catalog_fs_put(fs);
    error = check_policy(call, put.id, put.policy);
    if (error == NULL)
        error = api_change(call, put_policy, &put);
    return error != NULL ? error : answer_policy(call, put.id, put.policy);
}

/* The default policy is in effect afterwards: everyone who reaches a mount target may do everything. Deleting none is
 * success, too. */
const struct api_error *api_delete_file_system_policy(struct api_call *call)
{
    struct put_policy put = { .call = call };
    const struct catalog_fs *fs = api_get_fs(call, call->path_value);
    if (fs == NULL)
        return call->failure;
    memcpy(put.id, fs->id, sizeof put.id);
    bool has_policy = fs->policy != NULL;
    catalog_fs_put(fs);
    return has_policy ? api_change(call, put_policy, &put) : NULL;
}
