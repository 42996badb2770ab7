/*
 * control/ec2/ec2.c - ids, filters and pages of EC2's lists, networks as text (room: control).
 * Source: EC2 API 2016-11-15, "Filter", "Pagination", "Common parameters"; EC2 User Guide, "Filter your resources".
 */
#include "control/ec2/ec2.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"

#define LIST_MAX 200 /* ids or values of one filter */
#define PAGE_MIN 5
#define PAGE_MAX 1000

/* Whether `value` equals the pattern, in which * stands for anything and ? for one letter, as in EC2's filters. */
static bool matches_pattern(const char *pattern, const char *value)
{
    const char *star = NULL; /* the last one, and where it stopped */
    const char *resume = value;
    while (*value != '\0') {
        if (*pattern == *value || *pattern == '?') {
            pattern++;
            value++;
        } else if (*pattern == '*') {
            star = pattern++;
            resume = value;
        } else if (star != NULL) {
            pattern = star + 1;
            value = ++resume;
        } else {
            return false;
        }
    }
    while (*pattern == '*')
        pattern++;
    return *pattern == '\0';
}

const char *ec2_nth(const struct api_call *call, const char *prefix, unsigned number)
{
    char name[96];
    int size = snprintf(name, sizeof name, "%s.%u", prefix, number);
    return size > 0 && (size_t)size < sizeof name ? query_find(&call->query, name) : NULL;
}

const struct api_error *ec2_required(
    struct api_call *call, const char *name, const char **out_value)
{
    const char *value = query_find(&call->query, name);
    if (value == NULL || value[0] == '\0')
        return api_fail(
            call, API_QUERY_MISSING_PARAMETER, "The request must contain the parameter %s", name);
    *out_value = value;
    return NULL;
}

/* Whether one of Filter.N.Value.1, .2, .. fits. */
static bool one_value_matches(const struct api_call *call, size_t filter, const char *value)
{
    char prefix[40];
    (void)snprintf(prefix, sizeof prefix, "Filter.%zu.Value", filter);
    for (unsigned i = 1; i <= LIST_MAX; i++) {
        const char *pattern = ec2_nth(call, prefix, i);
        if (pattern == NULL)
            return false;
        if (matches_pattern(pattern, value))
            return true;
    }
    return false;
}

static bool is_known(const char *name, const char *const *known)
{
    if (strncmp(name, "tag:", 4) == 0 || strcmp(name, "tag-key") == 0 ||
        strcmp(name, "tag-value") == 0)
        return true;
    while (*known != NULL && strcmp(*known, name) != 0)
        known++;
    return *known != NULL;
}

const struct api_error *ec2_list_begin(
    struct ec2_list *list, struct api_call *call, const char *id_name, const char *const *known)
{
    *list = (struct ec2_list){ .call = call, .id_name = id_name, .after_id = "", .max = SIZE_MAX };
    const char *size = query_find(&call->query, "MaxResults");
    const char *token = query_find(&call->query, "NextToken");
    uint64_t max;
    if (size != NULL) {
        if (text_parse_u64(size, UINT32_MAX, &max) < 0 || max < PAGE_MIN || max > PAGE_MAX)
            return api_fail(call, API_QUERY_INVALID_FILTER,
                "Value ( %.32s ) for parameter maxResults is invalid. Expecting a value between %d "
                "and %d.",
                size, PAGE_MIN, PAGE_MAX);
        list->max = (size_t)max;
    }
    if (token != NULL && (token[0] == '\0' || strlen(token) >= EC2_PLACE_SIZE))
        return api_fail(call, API_QUERY_INVALID_FILTER,
            "The token '%.64s' for parameter nextToken is invalid.", token);
    if (token != NULL)
        list->after_id = token;
    for (size_t i = 0; i < EC2_FILTERS_MAX; i++) {
        char key[32];
        (void)snprintf(key, sizeof key, "Filter.%zu.Name", i + 1);
        const char *name = query_find(&call->query, key);
        if (name == NULL)
            break;
        if (!is_known(name, known))
            return api_fail(call, API_QUERY_INVALID_FILTER, "The filter '%.64s' is invalid", name);
        list->filters[i].name = name;
        list->filter_count = i + 1;
    }
    return NULL;
}

/* Whether the list `prefix`.1, .2, .. is empty or has `value`. */
static bool is_wanted(const struct api_call *call, const char *prefix, const char *value)
{
    for (unsigned i = 1; i <= LIST_MAX; i++) {
        const char *wanted = ec2_nth(call, prefix, i);
        if (wanted == NULL)
            return i == 1;
        if (strcmp(wanted, value) == 0)
            return true;
    }
    return false;
}

bool ec2_list_consider(struct ec2_list *list, const char *id)
{
    for (size_t i = 0; i < list->filter_count; i++)
        list->filters[i].matched = false;
    return !list->more && strcmp(id, list->after_id) > 0 &&
           (list->id_name == NULL || is_wanted(list->call, list->id_name, id));
}

void ec2_list_match(struct ec2_list *list, const char *name, const char *value)
{
    for (size_t i = 0; i < list->filter_count; i++) {
        if (strcmp(list->filters[i].name, name) == 0 && one_value_matches(list->call, i + 1, value))
            list->filters[i].matched = true;
    }
}

void ec2_list_match_tags(struct ec2_list *list, const struct catalog_tags *tags)
{
    for (size_t i = 0; i < tags->count; i++) {
        ec2_list_match(list, "tag-key", tags->items[i].key);
        ec2_list_match(list, "tag-value", tags->items[i].value);
        for (size_t k = 0; k < list->filter_count; k++) {
            const char *name = list->filters[k].name;
            if (strncmp(name, "tag:", 4) == 0 && strcmp(name + 4, tags->items[i].key) == 0)
                ec2_list_match(list, name, tags->items[i].value);
        }
    }
}

bool ec2_list_take(struct ec2_list *list, const char *id)
{
    for (size_t i = 0; i < list->filter_count; i++) {
        if (!list->filters[i].matched)
            return false;
    }
    if (list->count == list->max) {
        list->more = true;
        return false;
    }
    list->count++;
    int err = text_copy(list->last_id, sizeof list->last_id, id);
    assert(err == 0); /* ids fit */
    return true;
}

void ec2_list_end(struct ec2_list *list, struct xml *xml)
{
    if (list->more)
        xml_element(xml, "nextToken", list->last_id);
}

const struct catalog_net *ec2_get(
    struct api_call *call, enum catalog_net_kind kind, const char *id, enum api_error_id error)
{
    static const char *const words[] = {
        [CATALOG_VPC] = "vpc ID",
        [CATALOG_SUBNET] = "subnet ID",
        [CATALOG_SECURITY_GROUP] = "security group",
        [CATALOG_HOST] = "host",
    };
    const struct catalog_net *net = catalog_net_get(call->context->catalog, kind, id);
    if (net == NULL)
        (void)api_fail(call, error, "The %s '%.64s' does not exist", words[kind], id);
    return net;
}

const struct api_error *ec2_check_ids(
    struct api_call *call, const char *prefix, enum catalog_net_kind kind, enum api_error_id error)
{
    for (unsigned i = 1; i <= LIST_MAX && call->failure == NULL; i++) {
        const char *id = ec2_nth(call, prefix, i);
        if (id == NULL)
            break;
        catalog_net_put(ec2_get(call, kind, id, error));
    }
    return call->failure;
}

void ec2_format_cidr(struct in_addr base, unsigned prefix_bits, char out_text[EC2_CIDR_SIZE])
{
    char text[INET_ADDRSTRLEN] = "";
    (void)inet_ntop(AF_INET, &base, text, sizeof text); /* the buffer is large enough */
    (void)snprintf(out_text, EC2_CIDR_SIZE, "%s/%u", text, prefix_bits);
}

static uint32_t mask_of(unsigned prefix_bits)
{
    return prefix_bits == 0 ? 0 : UINT32_MAX << (32 - prefix_bits);
}

int ec2_parse_cidr(const char *text, struct in_addr *out_base, unsigned *out_prefix_bits)
{
    char base[INET_ADDRSTRLEN];
    const char *slash = strchr(text, '/');
    size_t size = slash != NULL ? (size_t)(slash - text) : sizeof base;
    uint64_t prefix_bits;
    struct in_addr address;
    if (size >= sizeof base || text_parse_u64(slash + 1, 32, &prefix_bits) < 0)
        return -EINVAL;
    memcpy(base, text, size);
    base[size] = '\0';
    if (inet_pton(AF_INET, base, &address) != 1)
        return -EINVAL;
    out_base->s_addr = htonl(ntohl(address.s_addr) & mask_of((unsigned)prefix_bits));
    *out_prefix_bits = (unsigned)prefix_bits;
    return 0;
}

bool ec2_overlaps(const struct catalog_net *net, struct in_addr base, unsigned prefix_bits)
{
    uint32_t mask = mask_of(min_u32(net->prefix_bits, prefix_bits));
    return ((ntohl(net->base.s_addr) ^ ntohl(base.s_addr)) & mask) == 0;
}

void ec2_write_number(struct xml *xml, const char *name, int64_t number)
{
    char text[24];
    (void)snprintf(text, sizeof text, "%lld", (long long)number);
    xml_element(xml, name, text);
}
