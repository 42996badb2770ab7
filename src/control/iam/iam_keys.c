/*
 * control/iam/iam_keys.c - access keys of users, and of the account's root (room: control).
 * Source: IAM API, CreateAccessKey, ListAccessKeys, UpdateAccessKey, DeleteAccessKey, GetAccessKeyLastUsed.
 */
#include <stdio.h>

#include "auth/credentials.h"
#include "base/text.h"
#include "control/iam/iam.h"

#define KEYS_LIST_MAX 8 /* more than any user can have */

/* Whose keys: UserName, or the caller. */
struct owner {
    char user_id[CATALOG_ID_SIZE]; /* "": root */
    char name[CATALOG_IAM_NAME_SIZE];
};

static const struct api_error *take_owner(struct api_call *call, struct owner *out_owner)
{
    const struct principal *principal = call->who.principal;
    const struct catalog_identity *user = NULL;
    const char *name = NULL;
    const struct api_error *error = iam_take_name(call, "UserName", CATALOG_USER, false, &name);
    *out_owner = (struct owner){ .name = "root" };
    if (error != NULL)
        return error;
    if (name == NULL && principal->kind == PRINCIPAL_ROOT)
        return NULL;
    if (name == NULL && principal->kind == PRINCIPAL_SESSION)
        return api_fail(call, API_IAM_VALIDATION,
            "Must specify userName when calling with non-User credentials");
    user = name != NULL ? iam_get(call, CATALOG_USER, name) : principal->identity;
    if (user == NULL)
        return call->failure;
    memcpy(out_owner->user_id, user->id, sizeof out_owner->user_id);
    memcpy(out_owner->name, user->name, sizeof out_owner->name);
    if (name != NULL)
        catalog_identity_put(user);
    return NULL;
}

static const char *status_name(bool is_inactive)
{
    return is_inactive ? "Inactive" : "Active";
}

struct new_key {
    struct api_call *call;
    const struct owner *owner;
    struct credentials credentials;
};

static int add_key(struct catalog_change *change, void *context)
{
    const struct new_key *new_key = context;
    const struct catalog *catalog = new_key->call->context->catalog;
    const struct catalog_key *others[KEYS_LIST_MAX];
    const struct catalog_identity *user = NULL;
    size_t count = catalog_key_list_of(catalog, new_key->owner->user_id, "", KEYS_LIST_MAX, others);
    for (size_t i = 0; i < count; i++)
        catalog_key_put(others[i]);
    if (count >= IAM_KEYS_PER_USER_MAX)
        return api_refuse(new_key->call, API_IAM_LIMIT_EXCEEDED,
            "Cannot exceed quota for AccessKeysPerUser: %d", IAM_KEYS_PER_USER_MAX);
    if (new_key->owner->user_id[0] != '\0') {
        user = catalog_identity_get(catalog, new_key->owner->user_id);
        if (user == NULL)
            return api_refuse(new_key->call, API_IAM_NO_SUCH_ENTITY,
                "The user with name %.128s cannot be found.", new_key->owner->name);
        catalog_identity_put(user);
    }
    struct catalog_key *key;
    int err = catalog_add_key(change, &key);
    if (err < 0)
        return err;
    key->created_ms = new_key->call->now_ms;
    memcpy(key->id, new_key->credentials.key_id, sizeof key->id);
    memcpy(key->secret, new_key->credentials.secret, sizeof key->secret);
    memcpy(key->user_id, new_key->owner->user_id, sizeof key->user_id);
    return 0;
}

const struct api_error *iam_create_access_key(struct api_call *call, struct xml *xml)
{
    struct owner owner;
    struct new_key new_key = { .call = call, .owner = &owner };
    const struct api_error *error = take_owner(call, &owner);
    if (error != NULL)
        return error;
    credentials_make(&new_key.credentials);
    error = api_change(call, add_key, &new_key);
    if (error == NULL) {
        xml_open(xml, "AccessKey", NULL);
        xml_element(xml, "UserName", owner.name);
        xml_element(xml, "AccessKeyId", new_key.credentials.key_id);
        xml_element(xml, "Status", "Active");
        xml_element(xml, "SecretAccessKey", new_key.credentials.secret);
        iam_write_time(xml, "CreateDate", call->now_ms);
        xml_close(xml);
    }
    explicit_bzero(&new_key.credentials, sizeof new_key.credentials);
    return error;
}

const struct api_error *iam_list_access_keys(struct api_call *call, struct xml *xml)
{
    struct owner owner;
    struct iam_page page;
    const struct catalog_key *keys[KEYS_LIST_MAX + 1];
    const struct api_error *error = take_owner(call, &owner);
    if (error == NULL)
        error = iam_take_page(call, &page);
    if (error != NULL)
        return error;
    size_t max = page.max < KEYS_LIST_MAX ? page.max : KEYS_LIST_MAX;
    size_t count =
        catalog_key_list_of(call->context->catalog, owner.user_id, page.marker, max + 1, keys);
    xml_open(xml, "AccessKeyMetadata", NULL);
    for (size_t i = 0; i < count && i < max; i++) {
        xml_open(xml, "member", NULL);
        xml_element(xml, "UserName", owner.name);
        xml_element(xml, "AccessKeyId", keys[i]->id);
        xml_element(xml, "Status", status_name(keys[i]->is_inactive));
        iam_write_time(xml, "CreateDate", keys[i]->created_ms);
        xml_close(xml);
    }
    xml_close(xml);
    iam_write_page(xml, count > max ? keys[max - 1]->id : NULL);
    for (size_t i = 0; i < count; i++)
        catalog_key_put(keys[i]);
    return NULL;
}

struct key_change {
    struct api_call *call;
    const struct owner *owner;
    const char *id;
    bool is_inactive;
};

/* Whether this is the only active key of root: without it nobody could ever sign again. */
static bool is_last_of_root(const struct catalog *catalog, const struct catalog_key *key)
{
    const struct catalog_key *keys[KEYS_LIST_MAX];
    size_t count = catalog_key_list_of(catalog, "", "", KEYS_LIST_MAX, keys);
    bool has_other = false;
    for (size_t i = 0; i < count; i++) {
        has_other = has_other || (!keys[i]->is_inactive && strcmp(keys[i]->id, key->id) != 0);
        catalog_key_put(keys[i]);
    }
    return key->user_id[0] == '\0' && !has_other;
}

/* Whether the key may be taken out of use. Errors: as api_refuse(). */
static int check_key(const struct key_change *key_change, bool ends)
{
    const struct catalog *catalog = key_change->call->context->catalog;
    const struct catalog_key *key = catalog_key_get(catalog, key_change->id);
    int err = 0;
    if (key == NULL || strcmp(key->user_id, key_change->owner->user_id) != 0)
        err = api_refuse(key_change->call, API_IAM_NO_SUCH_ENTITY,
            "The Access Key with id %.128s cannot be found.", key_change->id);
    else if (ends && is_last_of_root(catalog, key))
        err = api_refuse(key_change->call, API_IAM_DELETE_CONFLICT,
            "This is the only active key of the account's root: make another one first.");
    catalog_key_put(key);
    return err;
}

static int update_key(struct catalog_change *change, void *context)
{
    const struct key_change *key_change = context;
    struct catalog_key *key;
    int err = check_key(key_change, key_change->is_inactive);
    if (err == 0)
        err = catalog_edit_key(change, key_change->id, &key);
    if (err == 0)
        key->is_inactive = key_change->is_inactive;
    return err;
}

static int delete_key(struct catalog_change *change, void *context)
{
    const struct key_change *key_change = context;
    int err = check_key(key_change, true);
    return err < 0 ? err : catalog_remove_key(change, key_change->id);
}

const struct api_error *iam_update_access_key(struct api_call *call, struct xml *xml)
{
    struct owner owner;
    const char *status = NULL;
    struct key_change key_change = { .call = call, .owner = &owner };
    (void)xml;
    const struct api_error *error = iam_take_text(call, "AccessKeyId", 128, &key_change.id);
    if (error == NULL)
        error = iam_take_text(call, "Status", 16, &status);
    if (error == NULL && strcmp(status, "Active") != 0 && strcmp(status, "Inactive") != 0)
        error = api_fail(call, API_IAM_VALIDATION,
            "1 validation error detected: Value '%.16s' at 'status' failed to satisfy constraint: "
            "Member must satisfy enum value set: [Active, Inactive]",
            status);
    if (error == NULL)
        error = take_owner(call, &owner);
    if (error != NULL)
        return error;
    key_change.is_inactive = strcmp(status, "Inactive") == 0;
    return api_change(call, update_key, &key_change);
}

const struct api_error *iam_delete_access_key(struct api_call *call, struct xml *xml)
{
    struct owner owner;
    struct key_change key_change = { .call = call, .owner = &owner };
    (void)xml;
    const struct api_error *error = iam_take_text(call, "AccessKeyId", 128, &key_change.id);
    if (error == NULL)
        error = take_owner(call, &owner);
    return error != NULL ? error : api_change(call, delete_key, &key_change);
}

const struct api_error *iam_get_access_key_last_used(struct api_call *call, struct xml *xml)
{
    const char *id = NULL;
    const struct catalog *catalog = call->context->catalog;
    const struct catalog_identity *user = NULL;
    const struct api_error *error = iam_take_text(call, "AccessKeyId", 128, &id);
    if (error != NULL)
        return error;
    const struct catalog_key *key = catalog_key_get(catalog, id);
    if (key != NULL && key->user_id[0] != '\0')
        user = catalog_identity_get(catalog, key->user_id);
    if (key == NULL) {
        error = api_fail(
            call, API_IAM_NO_SUCH_ENTITY, "The Access Key with id %.128s cannot be found.", id);
    } else {
        bool is_used = key->used_ms != 0;
        xml_element(xml, "UserName", user != NULL ? user->name : "root");
        xml_open(xml, "AccessKeyLastUsed", NULL);
        if (is_used)
            iam_write_time(xml, "LastUsedDate", key->used_ms);
        xml_element(xml, "ServiceName", is_used ? key->used_service : "N/A");
        xml_element(xml, "Region", is_used ? catalog_region(catalog) : "N/A");
        xml_close(xml);
    }
    catalog_identity_put(user);
    catalog_key_put(key);
    return error;
}
