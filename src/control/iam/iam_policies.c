/*
 * control/iam/iam_policies.c - policies of users, groups and roles: their own, and attached ones (room: control).
 * Source: IAM API, PutUserPolicy, GetUserPolicy, ListUserPolicies, DeleteUserPolicy, AttachUserPolicy,
 * DetachUserPolicy, ListAttachedUserPolicies, and the same of groups and roles.
 */
#include <stdio.h>

#include "base/text.h"
#include "control/iam/iam.h"

/* Characters of all inline policies of one, white space not counted (IAM quotas). */
static size_t inline_size_max(enum catalog_identity_kind kind)
{
    static const size_t sizes[CATALOG_IDENTITY_KIND_COUNT] = { 2048, 5120, 10240 };
    return sizes[kind];
}

static size_t solid_size(const char *text)
{
    size_t size = 0;
    for (; *text != '\0'; text++)
        size += strchr(" \t\r\n", *text) == NULL;
    return size;
}

static const char *word_of(enum catalog_identity_kind kind)
{
    static const char *const words[CATALOG_IDENTITY_KIND_COUNT] = { "User", "Group", "Role" };
    return words[kind];
}

/* One policy of one user, group or role. */
struct edit {
    struct api_call *call;
    enum catalog_identity_kind kind;
    const char *name;
    const char *policy; /* the name of an inline one, the ARN of an attached one */
    const char *document;
};

static const struct api_error *take_edit(struct api_call *call, bool is_inline, struct edit *edit)
{
    *edit = (struct edit){ .call = call, .kind = iam_kind(call) };
    const struct api_error *error =
        iam_take_name(call, iam_name_parameter(edit->kind), edit->kind, true, &edit->name);
    if (error != NULL)
        return error;
    return is_inline
               ? iam_take_name(call, "PolicyName", CATALOG_MANAGED_POLICY, true, &edit->policy)
               : iam_take_policy_arn(call, &edit->policy);
}

static int put_inline(struct catalog_change *change, void *context)
{
    const struct edit *edit = context;
    struct catalog_identity *identity;
    size_t size = 0;
    int err = iam_edit(edit->call, change, edit->kind, edit->name, &identity);
    if (err == 0)
        err = catalog_tags_set(&identity->inline_policies, edit->policy, edit->document);
    for (size_t i = 0; err == 0 && i < identity->inline_policies.count; i++)
        size += solid_size(identity->inline_policies.items[i].value);
    if (err == 0 && size > inline_size_max(edit->kind))
        err = api_refuse(edit->call, API_IAM_LIMIT_EXCEEDED,
            "Maximum policy size of %zu bytes exceeded for %s %.128s", inline_size_max(edit->kind),
            word_of(edit->kind), edit->name);
    return err;
}

const struct api_error *iam_put_inline(struct api_call *call, struct xml *xml)
{
    struct edit edit;
    (void)xml;
    const struct api_error *error = take_edit(call, true, &edit);
    if (error == NULL)
        error = iam_take_document(call, "PolicyDocument", POLICY_OF_IDENTITY,
            CATALOG_IAM_DOCUMENT_MAX * 2, &edit.document);
    return error != NULL ? error : api_change(call, put_inline, &edit);
}

static const struct api_error *fail_no_policy(struct api_call *call, const struct edit *edit)
{
    return api_fail(call, API_IAM_NO_SUCH_ENTITY,
        "The policy with name %.128s of %.128s cannot be found.", edit->policy, edit->name);
}

const struct api_error *iam_get_inline(struct api_call *call, struct xml *xml)
{
    struct edit edit;
    const struct api_error *error = take_edit(call, true, &edit);
    const struct catalog_identity *identity =
        error == NULL ? iam_get(call, edit.kind, edit.name) : NULL;
    if (identity == NULL)
        return call->failure;
    const char *document = catalog_tags_find(&identity->inline_policies, edit.policy);
    if (document == NULL) {
        error = fail_no_policy(call, &edit);
    } else {
        xml_element(xml, iam_name_parameter(edit.kind), identity->name);
        xml_element(xml, "PolicyName", edit.policy);
        error = iam_write_document(call, xml, "PolicyDocument", document);
    }
    catalog_identity_put(identity);
    return error;
}

static int delete_inline(struct catalog_change *change, void *context)
{
    const struct edit *edit = context;
    struct catalog_identity *identity;
    int err = iam_edit(edit->call, change, edit->kind, edit->name, &identity);
    if (err == 0 && !catalog_tags_remove(&identity->inline_policies, edit->policy)) {
        (void)fail_no_policy(edit->call, edit); /* the failure is noted in the call */
        err = -ECANCELED;
    }
    return err;
}

const struct api_error *iam_delete_inline(struct api_call *call, struct xml *xml)
{
    struct edit edit;
    (void)xml;
    const struct api_error *error = take_edit(call, true, &edit);
    return error != NULL ? error : api_change(call, delete_inline, &edit);
}

/* A page of the names in `list`, in the order in which they were set; a marker is the number of those before. */
static const struct api_error *write_names(struct api_call *call, struct xml *xml,
    const struct catalog_tags *list, void (*write)(struct xml *xml, const char *name))
{
    struct iam_page page;
    uint64_t first = 0;
    char next[24];
    const struct api_error *error = iam_take_page(call, &page);
    if (error == NULL && page.marker[0] != '\0' &&
        text_parse_u64(page.marker, UINT32_MAX, &first) < 0)
        error = api_fail(call, API_IAM_VALIDATION, "Invalid Marker.");
    if (error != NULL)
        return error;
    uint64_t end = min_u64(first + page.max, list->count);
    for (uint64_t i = first; i < end; i++)
        write(xml, list->items[i].key);
    (void)snprintf(next, sizeof next, "%llu", (unsigned long long)end);
    xml_close(xml);
    iam_write_page(xml, end < list->count ? next : NULL);
    return NULL;
}

static void write_name(struct xml *xml, const char *name)
{
    xml_element(xml, "member", name);
}

static void write_attached(struct xml *xml, const char *arn)
{
    const char *name = strrchr(arn, '/');
    xml_open(xml, "member", NULL);
    xml_element(xml, "PolicyName", name != NULL ? name + 1 : arn);
    xml_element(xml, "PolicyArn", arn);
    xml_close(xml);
}

/* ListUserPolicies.., ListAttachedUserPolicies... */
const struct api_error *iam_list_policies_of(struct api_call *call, struct xml *xml)
{
    bool is_attached = strncmp(call->action, "ListAttached", 12) == 0;
    const struct catalog_identity *identity = iam_get_named(call);
    if (identity == NULL)
        return call->failure;
    xml_open(xml, is_attached ? "AttachedPolicies" : "PolicyNames", NULL);
    const struct api_error *error =
        is_attached ? write_names(call, xml, &identity->attached, write_attached)
                    : write_names(call, xml, &identity->inline_policies, write_name);
    if (error != NULL)
        xml_close(xml);
    catalog_identity_put(identity);
    return error;
}

static int attach(struct catalog_change *change, void *context)
{
    const struct edit *edit = context;
    struct catalog_identity *identity;
    int err = iam_edit(edit->call, change, edit->kind, edit->name, &identity);
    if (err == 0 && !iam_policy_exists(edit->call, edit->policy))
        err = api_refuse(edit->call, API_IAM_NO_SUCH_ENTITY,
            "Policy %.256s does not exist or is not attachable.", edit->policy);
    if (err == 0)
        err = catalog_tags_set(&identity->attached, edit->policy, "");
    if (err == 0 && identity->attached.count > IAM_ATTACHED_MAX)
        err = api_refuse(edit->call, API_IAM_LIMIT_EXCEEDED,
            "Cannot exceed quota for PoliciesPer%s: %d", word_of(edit->kind), IAM_ATTACHED_MAX);
    return err;
}

static int detach(struct catalog_change *change, void *context)
{
    const struct edit *edit = context;
    struct catalog_identity *identity;
    int err = iam_edit(edit->call, change, edit->kind, edit->name, &identity);
    if (err == 0 && !catalog_tags_remove(&identity->attached, edit->policy))
        err = api_refuse(
            edit->call, API_IAM_NO_SUCH_ENTITY, "Policy %.256s was not found.", edit->policy);
    return err;
}

const struct api_error *iam_change_attachment(struct api_call *call, struct xml *xml)
{
    struct edit edit;
    bool attaches = strncmp(call->action, "Attach", 6) == 0;
    (void)xml;
    const struct api_error *error = take_edit(call, false, &edit);
    return error != NULL ? error : api_change(call, attaches ? attach : detach, &edit);
}
