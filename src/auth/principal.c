/*
 * auth/principal.c - from an access key to who it is, and what their policies are (room: auth).
 */
#include "auth/principal.h"

#include <stdio.h>
#include <stdlib.h>

#include "auth/managed.h"
#include "auth/session.h"
#include "base/log.h"
#include "base/text.h"

void iam_arn(const struct catalog *catalog, const struct catalog_identity *identity,
    char out_arn[IAM_ARN_SIZE])
{
    static const char *const words[CATALOG_IDENTITY_KIND_COUNT] = {
        [CATALOG_USER] = "user",
        [CATALOG_GROUP] = "group",
        [CATALOG_ROLE] = "role",
        [CATALOG_MANAGED_POLICY] = "policy",
    };
    (void)snprintf(out_arn, IAM_ARN_SIZE, "arn:aws:iam::%s:%s%s%s", catalog_account_id(catalog),
        words[identity->kind], identity->path, identity->name);
}

const struct catalog_identity *iam_policy_by_arn(const struct catalog *catalog, const char *arn)
{
    const char *name = strrchr(arn, '/');
    const struct catalog_identity *policy =
        name == NULL ? NULL : catalog_identity_find(catalog, CATALOG_MANAGED_POLICY, name + 1);
    if (policy == NULL)
        return NULL;
    char own[IAM_ARN_SIZE];
    iam_arn(catalog, policy, own);
    if (strcmp(own, arn) == 0)
        return policy;
    catalog_identity_put(policy);
    return NULL;
}

void principal_free(struct principal *principal)
{
    if (principal == NULL)
        return;
    for (size_t i = 0; i < principal->policy_count; i++)
        policy_free(principal->policies[i]);
    free(principal->policies);
    policy_free(principal->session_policy);
    catalog_identity_put(principal->identity);
    explicit_bzero(principal->secret, sizeof principal->secret);
    free(principal);
}

static int principal_new(const struct catalog *catalog, struct principal **out_principal)
{
    struct principal *principal = calloc(1, sizeof *principal);
    if (principal == NULL)
        return -ENOMEM;
    (void)text_copy(
        principal->account_id, sizeof principal->account_id, catalog_account_id(catalog));
    *out_principal = principal;
    return 0;
}

static void be_root(struct principal *principal)
{
    principal->kind = PRINCIPAL_ROOT;
    (void)snprintf(
        principal->arn, sizeof principal->arn, "arn:aws:iam::%s:root", principal->account_id);
    (void)snprintf(principal->user_id, sizeof principal->user_id, "%s", principal->account_id);
    (void)snprintf(principal->name, sizeof principal->name, "root");
}

/* Takes the reference. */
static void be_user(
    const struct catalog *catalog, const struct catalog_identity *user, struct principal *principal)
{
    principal->kind = PRINCIPAL_USER;
    principal->identity = user;
    iam_arn(catalog, user, principal->arn);
    (void)snprintf(principal->user_id, sizeof principal->user_id, "%s", user->id);
    (void)snprintf(principal->name, sizeof principal->name, "%.64s", user->name);
}

/* Takes the reference. An ARN of STS has the role's name without its path. */
static void be_session(const struct catalog *catalog, const struct catalog_identity *role,
    const char *session_name, struct principal *principal)
{
    principal->kind = PRINCIPAL_SESSION;
    principal->identity = role;
    iam_arn(catalog, role, principal->role_arn);
    (void)snprintf(principal->arn, sizeof principal->arn, "arn:aws:sts::%s:assumed-role/%.64s/%s",
        principal->account_id, role->name, session_name);
    (void)snprintf(principal->user_id, sizeof principal->user_id, "%s:%s", role->id, session_name);
    (void)snprintf(principal->name, sizeof principal->name, "%.64s/%s", role->name, session_name);
}

static int find_by_key(
    const struct catalog *catalog, const struct catalog_key *key, struct principal **out_principal)
{
    const struct catalog_identity *user = NULL;
    if (key->user_id[0] != '\0') {
        user = catalog_identity_get(catalog, key->user_id);
        if (user == NULL)
            return -ENOENT;
    }
    if (key->is_inactive) {
        catalog_identity_put(user);
        return -EACCES;
    }
    struct principal *principal;
    int err = principal_new(catalog, &principal);
    if (err < 0) {
        catalog_identity_put(user);
        return err;
    }
    memcpy(principal->key_id, key->id, sizeof principal->key_id);
    memcpy(principal->secret, key->secret, sizeof key->secret);
    if (user == NULL)
        be_root(principal);
    else
        be_user(catalog, user, principal);
    *out_principal = principal;
    return 0;
}

static int find_by_session(
    const struct catalog *catalog, const struct session *session, struct principal **out_principal)
{
    char message[POLICY_MESSAGE_SIZE];
    struct principal *principal;
    const struct catalog_identity *role = catalog_identity_get(catalog, session->role_id);
    if (role == NULL)
        return -ENOENT;
    int err = principal_new(catalog, &principal);
    if (err < 0) {
        catalog_identity_put(role);
        return err;
    }
    be_session(catalog, role, session->name, principal);
    memcpy(principal->key_id, session->key_id, sizeof principal->key_id);
    session_secret(catalog, session->key_id, principal->secret);
    principal->issued_ms = session->issued_ms;
    principal->expires_ms = session->expires_ms;
    if (session->policy != NULL)
        err = policy_parse(
            POLICY_OF_IDENTITY, slice_str(session->policy), message, &principal->session_policy);
    if (err < 0) {
        principal_free(principal);
        return err == -EINVAL ? -ENOENT : err;
    }
    *out_principal = principal;
    return 0;
}

int principal_find(const struct catalog *catalog, const char *key_id, const char *token,
    int64_t now_ms, struct principal **out_principal)
{
    if (token == NULL) {
        const struct catalog_key *key = catalog_key_get(catalog, key_id);
        int err = key == NULL ? -ENOENT : find_by_key(catalog, key, out_principal);
        catalog_key_put(key);
        return err;
    }
    struct session session = { 0 };
    int err = session_open(catalog, token, &session);
    if (err == -EBADMSG || (err == 0 && strcmp(session.key_id, key_id) != 0))
        err = -ENOENT;
    else if (err == 0 && now_ms >= session.expires_ms)
        err = -EKEYEXPIRED;
    if (err == 0)
        err = find_by_session(catalog, &session, out_principal);
    session_fini(&session);
    return err;
}

int principal_of_identity(const struct catalog *catalog, const struct catalog_identity *identity,
    struct principal **out_principal)
{
    assert(identity->kind == CATALOG_USER || identity->kind == CATALOG_ROLE);
    struct principal *principal;
    int err = principal_new(catalog, &principal);
    if (err < 0)
        return err;
    const struct catalog_identity *own = catalog_identity_get(catalog, identity->id);
    if (own == NULL) { /* it was deleted meanwhile */
        principal_free(principal);
        return -ENOENT;
    }
    if (identity->kind == CATALOG_USER)
        be_user(catalog, own, principal);
    else
        be_session(catalog, own, "simulation", principal);
    *out_principal = principal;
    return 0;
}

/* ---- policies ------------------------------------------------------------------------------------------ */

static int add_document(
    struct principal *principal, const char *what, const char *name, const char *document)
{
    char message[POLICY_MESSAGE_SIZE];
    assert(principal->policy_count < PRINCIPAL_POLICIES_MAX);
    int err = policy_parse(POLICY_OF_IDENTITY, slice_str(document), message,
        &principal->policies[principal->policy_count]);
    if (err == 0) {
        principal->policy_count++;
        return 0;
    }
    if (err == -EINVAL)
        LOG_ERROR("a policy cannot be read", "of=%s %s=\"%s\" reason=\"%s\"", principal->name, what,
            name, message);
    return err == -EINVAL ? -EBADMSG : err;
}

static int add_managed(const struct catalog *catalog, struct principal *principal, const char *arn)
{
    const char *document = managed_policy_document(arn);
    if (document != NULL)
        return add_document(principal, "managed", arn, document);
    const struct catalog_identity *policy = iam_policy_by_arn(catalog, arn);
    if (policy == NULL)
        return 0; /* cannot be deleted while it is attached, but a change may be between two looks */
    int err = add_document(principal, "managed", arn, catalog_identity_document(policy));
    catalog_identity_put(policy);
    return err;
}

/* The inline and attached policies of one user, group or role. Those that no longer fit are an error, so that a
 * denial is never left out. */
static int add_policies(const struct catalog *catalog, struct principal *principal,
    const struct catalog_identity *identity)
{
    int err = 0;
    if (principal->policy_count + identity->inline_policies.count + identity->attached.count >
        PRINCIPAL_POLICIES_MAX)
        return -EBADMSG;
    for (size_t i = 0; err == 0 && i < identity->inline_policies.count; i++)
        err = add_document(principal, "inline", identity->inline_policies.items[i].key,
            identity->inline_policies.items[i].value);
    for (size_t i = 0; err == 0 && i < identity->attached.count; i++)
        err = add_managed(catalog, principal, identity->attached.items[i].key);
    return err;
}

int principal_load_policies(const struct catalog *catalog, struct principal *principal)
{
    if (principal->identity == NULL || principal->policies != NULL)
        return 0;
    principal->policies = calloc(PRINCIPAL_POLICIES_MAX, sizeof(struct policy *));
    if (principal->policies == NULL)
        return -ENOMEM;
    int err = add_policies(catalog, principal, principal->identity);
    const struct catalog_tags *groups = &principal->identity->groups;
    for (size_t i = 0; err == 0 && i < groups->count; i++) {
        const struct catalog_identity *group = catalog_identity_get(catalog, groups->items[i].key);
        if (group != NULL) /* deleted meanwhile */
            err = add_policies(catalog, principal, group);
        catalog_identity_put(group);
    }
    return err;
}
