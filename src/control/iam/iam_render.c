/*
 * control/iam/iam_render.c - records of IAM as elements of XML (room: control).
 */
#include <ctype.h>
#include <stdio.h>
#include <time.h>

#include "control/iam/iam.h"

void iam_write_time(struct xml *xml, const char *name, int64_t ms)
{
    char text[IAM_TIME_SIZE];
    time_t seconds = (time_t)(ms / 1000);
    struct tm tm;
    (void)strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&seconds, &tm));
    xml_element(xml, name, text);
}

void iam_write_number(struct xml *xml, const char *name, uint64_t number)
{
    char text[24];
    (void)snprintf(text, sizeof text, "%llu", (unsigned long long)number);
    xml_element(xml, name, text);
}

void iam_write_bool(struct xml *xml, const char *name, bool value)
{
    xml_element(xml, name, value ? "true" : "false");
}

const struct api_error *iam_write_document(
    struct api_call *call, struct xml *xml, const char *name, const char *document)
{
    static const char hex[] = "0123456789ABCDEF";
    char *text = arena_alloc(&call->arena, 3 * strlen(document) + 1);
    size_t used = 0;
    if (text == NULL)
        return api_internal_error(call, -ENOMEM);
    for (const char *c = document; *c != '\0'; c++) {
        unsigned char byte = (unsigned char)*c;
        if (byte < 0x80 && (isalnum(byte) || strchr("-_.~", byte) != NULL)) {
            text[used++] = *c;
        } else {
            text[used++] = '%';
            text[used++] = hex[byte >> 4];
            text[used++] = hex[byte & 15];
        }
    }
    text[used] = '\0';
    xml_element(xml, name, text);
    return NULL;
}

void iam_write_tags(struct xml *xml, const struct catalog_tags *tags)
{
    xml_open(xml, "Tags", NULL);
    for (size_t i = 0; i < tags->count; i++) {
        xml_open(xml, "member", NULL);
        xml_element(xml, "Key", tags->items[i].key);
        xml_element(xml, "Value", tags->items[i].value);
        xml_close(xml);
    }
    xml_close(xml);
}

struct counter {
    const char *arn;
    unsigned count;
};

static bool count_attached(void *context, const struct catalog_identity *identity)
{
    struct counter *counter = context;
    counter->count += catalog_tags_find(&identity->attached, counter->arn) != NULL;
    return true;
}

unsigned iam_attachment_count(const struct catalog *catalog, const char *arn)
{
    struct counter counter = { .arn = arn };
    catalog_identity_each(catalog, CATALOG_USER, count_attached, &counter);
    catalog_identity_each(catalog, CATALOG_GROUP, count_attached, &counter);
    catalog_identity_each(catalog, CATALOG_ROLE, count_attached, &counter);
    return counter.count;
}

static void write_policy(struct api_call *call, struct xml *xml,
    const struct catalog_identity *policy, const char *arn, bool whole)
{
    char version[16];
    (void)snprintf(version, sizeof version, "v%u", policy->default_version);
    const struct catalog_policy_version *newest = &policy->versions[policy->version_count - 1];
    xml_element(xml, "PolicyName", policy->name);
    xml_element(xml, "PolicyId", policy->id);
    xml_element(xml, "Arn", arn);
    xml_element(xml, "Path", policy->path);
    xml_element(xml, "DefaultVersionId", version);
    iam_write_number(xml, "AttachmentCount", iam_attachment_count(call->context->catalog, arn));
    iam_write_number(xml, "PermissionsBoundaryUsageCount", 0);
    iam_write_bool(xml, "IsAttachable", true);
    if (whole && policy->description != NULL)
        xml_element(xml, "Description", policy->description);
    iam_write_time(xml, "CreateDate", policy->created_ms);
    iam_write_time(xml, "UpdateDate", newest->created_ms);
    if (whole)
        iam_write_tags(xml, &policy->tags);
}

static const struct api_error *write_role(struct api_call *call, struct xml *xml,
    const struct catalog_identity *role, const char *arn, bool whole)
{
    xml_element(xml, "Path", role->path);
    xml_element(xml, "RoleName", role->name);
    xml_element(xml, "RoleId", role->id);
    xml_element(xml, "Arn", arn);
    iam_write_time(xml, "CreateDate", role->created_ms);
    const struct api_error *error =
        iam_write_document(call, xml, "AssumeRolePolicyDocument", role->trust_policy);
    if (role->description != NULL)
        xml_element(xml, "Description", role->description);
    iam_write_number(xml, "MaxSessionDuration", role->session_seconds_max);
    if (whole)
        iam_write_tags(xml, &role->tags);
    return error;
}

const struct api_error *iam_write_identity(
    struct api_call *call, struct xml *xml, const struct catalog_identity *identity, bool whole)
{
    char arn[IAM_ARN_SIZE];
    iam_arn(call->context->catalog, identity, arn);
    if (identity->kind == CATALOG_ROLE)
        return write_role(call, xml, identity, arn, whole);
    if (identity->kind == CATALOG_MANAGED_POLICY) {
        write_policy(call, xml, identity, arn, whole);
        return NULL;
    }
    bool is_user = identity->kind == CATALOG_USER;
    xml_element(xml, "Path", identity->path);
    xml_element(xml, is_user ? "UserName" : "GroupName", identity->name);
    xml_element(xml, is_user ? "UserId" : "GroupId", identity->id);
    xml_element(xml, "Arn", arn);
    iam_write_time(xml, "CreateDate", identity->created_ms);
    if (is_user && whole && identity->tags.count > 0)
        iam_write_tags(xml, &identity->tags);
    return NULL;
}

void iam_write_page(struct xml *xml, const char *next_marker)
{
    iam_write_bool(xml, "IsTruncated", next_marker != NULL);
    if (next_marker != NULL)
        xml_element(xml, "Marker", next_marker);
}
