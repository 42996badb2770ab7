/*
 * control/iam/iam_members.c - who is in which group, and tags of users, roles and policies (room: control).
 * Source: IAM API, AddUserToGroup, RemoveUserFromGroup, ListGroupsForUser, TagUser, UntagUser, ListUserTags.
 */
#include <stdio.h>

#include "base/text.h"
#include "control/iam/iam.h"

/* ---- groups of users ----------------------------------------------------------------------------------- */

struct membership {
    struct api_call *call;
    const char *user_name;
    const char *group_name;
    bool leaves;
};

static int change_membership(struct catalog_change *change, void *context)
{
    const struct membership *membership = context;
    struct api_call *call = membership->call;
    struct catalog_identity *user;
    const struct catalog_identity *group = iam_get(call, CATALOG_GROUP, membership->group_name);
    if (group == NULL)
        return -ECANCELED; /* refused already */
    int err = iam_edit(call, change, CATALOG_USER, membership->user_name, &user);
    if (err == 0 && membership->leaves && !catalog_tags_remove(&user->groups, group->id))
        err = api_refuse(call, API_IAM_NO_SUCH_ENTITY, "User %.64s is not in group %.128s.",
            membership->user_name, membership->group_name);
    else if (err == 0 && !membership->leaves)
        err = catalog_tags_set(&user->groups, group->id, ""); /* being there already is success */
    if (err == 0 && user->groups.count > IAM_GROUPS_PER_USER_MAX)
        err = api_refuse(call, API_IAM_LIMIT_EXCEEDED, "Cannot exceed quota for GroupsPerUser: %d",
            IAM_GROUPS_PER_USER_MAX);
    catalog_identity_put(group);
    return err;
}

const struct api_error *iam_change_membership(struct api_call *call, struct xml *xml)
{
    struct membership membership = { .call = call,
        .leaves = strcmp(call->action, "RemoveUserFromGroup") == 0 };
    (void)xml;
    const struct api_error *error =
        iam_take_name(call, "UserName", CATALOG_USER, true, &membership.user_name);
    if (error == NULL)
        error = iam_take_name(call, "GroupName", CATALOG_GROUP, true, &membership.group_name);
    return error != NULL ? error : api_change(call, change_membership, &membership);
}

/* At most ten, so they are one page; a marker is a number of groups before it. */
const struct api_error *iam_list_groups_for_user(struct api_call *call, struct xml *xml)
{
    struct iam_page page;
    uint64_t first = 0;
    const char *name = NULL;
    const struct api_error *error = iam_take_page(call, &page);
    if (error == NULL && page.marker[0] != '\0' &&
        text_parse_u64(page.marker, IAM_GROUPS_PER_USER_MAX, &first) < 0)
        error = api_fail(call, API_IAM_VALIDATION, "Invalid Marker.");
    if (error == NULL)
        error = iam_take_name(call, "UserName", CATALOG_USER, true, &name);
    const struct catalog_identity *user = error == NULL ? iam_get(call, CATALOG_USER, name) : NULL;
    if (user == NULL)
        return call->failure;
    size_t end = user->groups.count - min_u64(first, user->groups.count) > page.max
                     ? (size_t)(first + page.max)
                     : user->groups.count;
    xml_open(xml, "Groups", NULL);
    for (size_t i = (size_t)first; error == NULL && i < end; i++) {
        const struct catalog_identity *group =
            catalog_identity_get(call->context->catalog, user->groups.items[i].key);
        if (group != NULL) {
            xml_open(xml, "member", NULL);
            error = iam_write_identity(call, xml, group, false);
            xml_close(xml);
        }
        catalog_identity_put(group);
    }
    xml_close(xml);
    char next[24];
    (void)snprintf(next, sizeof next, "%zu", end);
    iam_write_page(xml, end < user->groups.count ? next : NULL);
    catalog_identity_put(user);
    return error;
}

/* ---- tags ---------------------------------------------------------------------------------------------- */

struct retag {
    struct api_call *call;
    enum catalog_identity_kind kind;
    const char *name;
    struct catalog_tags added;
    const char *removed[CATALOG_TAGS_MAX];
    size_t removed_count;
};

static int apply_tags(struct catalog_change *change, void *context)
{
    const struct retag *retag = context;
    struct catalog_identity *identity;
    int err = iam_edit(retag->call, change, retag->kind, retag->name, &identity);
    for (size_t i = 0; err == 0 && i < retag->removed_count; i++)
        (void)catalog_tags_remove(&identity->tags, retag->removed[i]); /* none is no error */
    for (size_t i = 0; err == 0 && i < retag->added.count; i++)
        err = catalog_tags_set(
            &identity->tags, retag->added.items[i].key, retag->added.items[i].value);
    if (err == 0 && identity->tags.count > CATALOG_TAGS_MAX)
        err = api_refuse(retag->call, API_IAM_LIMIT_EXCEEDED,
            "Cannot exceed quota for TagsPerResource: %d", CATALOG_TAGS_MAX);
    return err;
}

const struct api_error *iam_change_tags(struct api_call *call, struct xml *xml)
{
    struct retag retag = { .call = call, .kind = iam_kind(call) };
    (void)xml;
    const struct api_error *error =
        iam_take_name(call, iam_name_parameter(retag.kind), retag.kind, true, &retag.name);
    if (error == NULL)
        error = iam_take_tags(call, &retag.added);
    if (error == NULL)
        error = iam_take_members(
            call, "TagKeys", CATALOG_TAGS_MAX, retag.removed, &retag.removed_count);
    if (error == NULL)
        error = api_change(call, apply_tags, &retag);
    catalog_tags_fini(&retag.added);
    return error;
}

const struct api_error *iam_list_tags(struct api_call *call, struct xml *xml)
{
    const struct catalog_identity *identity = iam_get_named(call);
    if (identity == NULL)
        return call->failure;
    iam_write_tags(xml, &identity->tags);
    iam_write_page(xml, NULL);
    catalog_identity_put(identity);
    return NULL;
}
