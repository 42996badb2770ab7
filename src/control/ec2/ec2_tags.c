/*
 * control/ec2/ec2_tags.c - tags of VPCs, subnets and security groups (room: control).
 * Source: EC2 API, CreateTags, DeleteTags, DescribeTags, TagSpecification; EC2 User Guide, "Tag restrictions".
 */
#include <stdio.h>
#include <strings.h>

#include "control/ec2/ec2.h"
#include "control/input.h"

#define KEY_CHARS_MAX   128
#define VALUE_CHARS_MAX 256
#define RESOURCES_MAX   100

static const struct {
    enum catalog_net_kind kind;
    const char *prefix;
    const char *type;
    enum api_error_id not_found;
} types[] = {
    { CATALOG_VPC, "vpc-", "vpc", API_QUERY_VPC_NOT_FOUND },
    { CATALOG_SUBNET, "subnet-", "subnet", API_QUERY_SUBNET_NOT_FOUND },
    { CATALOG_SECURITY_GROUP, "sg-", "security-group", API_QUERY_GROUP_NOT_FOUND },
};

static const struct api_error *check_tag(struct api_call *call, const char *key, const char *value)
{
    size_t chars = input_char_count(key);
    if (chars == 0 || chars > KEY_CHARS_MAX)
        return api_fail(call, API_QUERY_INVALID_FILTER,
            "Tag key must have between 1 and %d characters", KEY_CHARS_MAX);
    if (strncasecmp(key, "aws:", 4) == 0)
        return api_fail(call, API_QUERY_INVALID_FILTER,
            "Tag keys starting with 'aws:' are reserved for internal use");
    if (input_char_count(value) > VALUE_CHARS_MAX)
        return api_fail(call, API_QUERY_INVALID_FILTER,
            "Tag value exceeds the maximum length of %d characters", VALUE_CHARS_MAX);
    return NULL;
}

const struct api_error *ec2_take_tags(
    struct api_call *call, const char *prefix, struct catalog_tags *tags)
{
    for (unsigned i = 1; i <= CATALOG_TAGS_MAX + 1; i++) {
        char name[64];
        (void)snprintf(name, sizeof name, "%sTag.%u.Key", prefix, i);
        const char *key = query_find(&call->query, name);
        if (key == NULL)
            return NULL;
        (void)snprintf(name, sizeof name, "%sTag.%u.Value", prefix, i);
        const char *value = query_find(&call->query, name);
        value = value != NULL ? value : "";
        const struct api_error *error = check_tag(call, key, value);
        if (error != NULL)
            return error;
        if (catalog_tags_set(tags, key, value) < 0)
            return api_internal_error(call, -ENOMEM);
    }
    return api_fail(call, API_QUERY_TAG_LIMIT, "More than %d tags", CATALOG_TAGS_MAX);
}

const struct api_error *ec2_take_tag_specification(
    struct api_call *call, const char *resource_type, struct catalog_tags *tags)
{
    for (unsigned i = 1; i <= 10; i++) {
        char name[64];
        (void)snprintf(name, sizeof name, "TagSpecification.%u.ResourceType", i);
        const char *type = query_find(&call->query, name);
        if (type == NULL)
            return NULL;
        if (strcmp(type, resource_type) != 0)
            return api_fail(call, API_QUERY_INVALID_FILTER,
                "'%.64s' is not a valid taggable resource type for this operation.", type);
        (void)snprintf(name, sizeof name, "TagSpecification.%u.", i);
        const struct api_error *error = ec2_take_tags(call, name, tags);
        if (error != NULL)
            return error;
    }
    return NULL;
}

void ec2_write_tags(struct xml *xml, const struct catalog_tags *tags)
{
    xml_open(xml, "tagSet", NULL);
    for (size_t i = 0; i < tags->count; i++) {
        xml_open(xml, "item", NULL);
        xml_element(xml, "key", tags->items[i].key);
        xml_element(xml, "value", tags->items[i].value);
        xml_close(xml);
    }
    xml_close(xml);
}

struct retag {
    struct api_call *call;
    const struct catalog_tags *tags;
    bool remove;
};

/* Which kind of thing an id names, by its prefix. Gives its place in `types`, or a number past its end. */
static size_t find_type(const char *id)
{
    size_t i = 0;
    while (i < ARRAY_SIZE(types) && strncmp(id, types[i].prefix, strlen(types[i].prefix)) != 0)
        i++;
    return i;
}

/* Whether a removal names the value, too, and another one is there: then the tag stays. */
static bool keeps(
    const struct retag *retag, const struct catalog_tags *tags, unsigned number, const char *key)
{
    char name[32];
    (void)snprintf(name, sizeof name, "Tag.%u.Value", number);
    const char *wanted = query_find(&retag->call->query, name);
    const char *value = catalog_tags_find(tags, key);
    return wanted != NULL && value != NULL && strcmp(wanted, value) != 0;
}

static int retag_one(const struct retag *retag, struct catalog_tags *tags)
{
    int err = 0;
    for (size_t i = 0; err == 0 && i < retag->tags->count; i++) {
        const struct catalog_tag *tag = &retag->tags->items[i];
        if (!retag->remove)
            err = catalog_tags_set(tags, tag->key, tag->value);
        else if (!keeps(retag, tags, (unsigned)i + 1, tag->key))
            (void)catalog_tags_remove(
                tags, tag->key); /* EC2: a tag that is not there is no error */
    }
    while (retag->remove && retag->tags->count == 0 && tags->count > 0)
        (void)catalog_tags_remove(tags, tags->items[0].key); /* no key named: all */
    if (err == 0 && tags->count > CATALOG_TAGS_MAX)
        return api_refuse(retag->call, API_QUERY_TAG_LIMIT, "More than %d tags", CATALOG_TAGS_MAX);
    return err;
}

static int retag_all(struct catalog_change *change, void *context)
{
    const struct retag *retag = context;
    int err = 0;
    for (unsigned i = 1; err == 0 && i <= RESOURCES_MAX; i++) {
        const char *id = ec2_nth(retag->call, "ResourceId", i);
        if (id == NULL)
            break;
        size_t type = find_type(id);
        if (type == ARRAY_SIZE(types))
            return api_refuse(retag->call, API_QUERY_INVALID_ID, "The ID '%.64s' is not valid", id);
        for (unsigned k = 1; k < i; k++) {
            if (strcmp(ec2_nth(retag->call, "ResourceId", k), id) == 0)
                return api_refuse(retag->call, API_QUERY_INVALID_FILTER,
                    "The ID '%.64s' is given more than once", id);
        }
        struct catalog_net *net = NULL;
        err = catalog_edit_net(change, id, &net);
        if (err == -ENOENT)
            return api_refuse(
                retag->call, types[type].not_found, "The ID '%.64s' does not exist", id);
        if (err == 0)
            err = retag_one(retag, &net->tags);
    }
    return err;
}

static const struct api_error *change_tags(struct api_call *call, struct xml *xml, bool remove)
{
    struct catalog_tags tags = { 0 };
    struct retag retag = { .call = call, .tags = &tags, .remove = remove };
    const char *first;
    const struct api_error *error = ec2_required(call, "ResourceId.1", &first);
    if (error == NULL)
        error = ec2_take_tags(call, "", &tags);
    if (error == NULL && !remove && tags.count == 0)
        error = api_fail(
            call, API_QUERY_MISSING_PARAMETER, "The request must contain the parameter Tag.1.Key");
    if (error == NULL)
        error = api_change(call, retag_all, &retag);
    catalog_tags_fini(&tags);
    if (error == NULL)
        xml_element(xml, "return", "true");
    return error;
}

const struct api_error *ec2_create_tags(struct api_call *call, struct xml *xml)
{
    return change_tags(call, xml, false);
}

const struct api_error *ec2_delete_tags(struct api_call *call, struct xml *xml)
{
    return change_tags(call, xml, true);
}

struct tag_list {
    struct ec2_list list;
    struct xml *xml;
    const char *type;
};

static bool write_tags_of(void *context, const struct catalog_net *net)
{
    struct tag_list *tags = context;
    for (size_t i = 0; i < net->tags.count; i++) {
        char place[EC2_PLACE_SIZE]; /* id and number, so that a page can end between tags */
        (void)snprintf(place, sizeof place, "%s/%02zu", net->id, i);
        if (!ec2_list_consider(&tags->list, place))
            continue;
        ec2_list_match(&tags->list, "resource-id", net->id);
        ec2_list_match(&tags->list, "resource-type", tags->type);
        ec2_list_match(&tags->list, "key", net->tags.items[i].key);
        ec2_list_match(&tags->list, "value", net->tags.items[i].value);
        if (!ec2_list_take(&tags->list, place))
            continue;
        xml_open(tags->xml, "item", NULL);
        xml_element(tags->xml, "resourceId", net->id);
        xml_element(tags->xml, "resourceType", tags->type);
        xml_element(tags->xml, "key", net->tags.items[i].key);
        xml_element(tags->xml, "value", net->tags.items[i].value);
        xml_close(tags->xml);
    }
    return !tags->list.more;
}

const struct api_error *ec2_describe_tags(struct api_call *call, struct xml *xml)
{
    static const char *const known[] = { "resource-id", "resource-type", "key", "value", NULL };
    /* In the order of prefixes, which is that of the places in the list. */
    static const size_t order[] = { 2, 1, 0 };
    struct tag_list tags = { .xml = xml };
    const struct api_error *error = ec2_list_begin(&tags.list, call, NULL, known);
    if (error != NULL)
        return error;
    xml_open(xml, "tagSet", NULL);
    for (size_t i = 0; i < ARRAY_SIZE(order); i++) {
        tags.type = types[order[i]].type;
        catalog_net_each(call->context->catalog, types[order[i]].kind, write_tags_of, &tags);
    }
    xml_close(xml);
    ec2_list_end(&tags.list, xml);
    return NULL;
}
