/*
 * control/ec2/ec2.h - what the files of the EC2 service share: ids and filters of lists, pages, networks as text, tags.
 */
#pragma once

#include "catalog/nets.h"
#include "control/query_service.h"

#define EC2_FILTERS_MAX 50
#define EC2_CIDR_SIZE   64
#define EC2_PLACE_SIZE  (CATALOG_ID_SIZE + 24) /* of a list: an id, or an id and a number */

/* One Describe call on its way through a list, in the order of ids. */
struct ec2_list {
    struct api_call *call;
    const char *id_name;  /* of the parameter with the ids that are wanted: VpcId.1, VpcId.2, .. */
    const char *after_id; /* NextToken */
    size_t max;           /* MaxResults */
    size_t count;
    bool more;
    char last_id[EC2_PLACE_SIZE];
    size_t filter_count;
    struct {
        const char *name;
        bool matched;
    } filters[EC2_FILTERS_MAX];
};

/* Reads filters, page and ids. `known`: the filters that there are, ending with NULL; those of tags are always. */
MUST_CHECK const struct api_error *ec2_list_begin(
    struct ec2_list *list, struct api_call *call, const char *id_name, const char *const *known);
/* Whether the one with this id comes into question; then ec2_list_match() with what its filters see, and
 * ec2_list_take() whether it is to be written. */
bool ec2_list_consider(struct ec2_list *list, const char *id);
void ec2_list_match(struct ec2_list *list, const char *name, const char *value);
void ec2_list_match_tags(struct ec2_list *list, const struct catalog_tags *tags);
bool ec2_list_take(struct ec2_list *list, const char *id);
/* Writes nextToken when more follow. */
void ec2_list_end(struct ec2_list *list, struct xml *xml);

/* The value of `prefix`.`number`, or NULL. */
const char *ec2_nth(const struct api_call *call, const char *prefix, unsigned number);
/* A parameter that must be there. */
MUST_CHECK const struct api_error *ec2_required(
    struct api_call *call, const char *name, const char **out_value);
/* Fails (with `error`, as in "The vpc ID '..' does not exist") when one of the ids `prefix`.N names nothing. */
MUST_CHECK const struct api_error *ec2_check_ids(
    struct api_call *call, const char *prefix, enum catalog_net_kind kind, enum api_error_id error);
/* The one of this kind, with a reference; NULL: refused with `error`. */
const struct catalog_net *ec2_get(
    struct api_call *call, enum catalog_net_kind kind, const char *id, enum api_error_id error);

void ec2_format_cidr(struct in_addr base, unsigned prefix_bits, char out_text[EC2_CIDR_SIZE]);
/* "10.0.0.0/16"; bits behind the prefix are cleared, as EC2 does. Errors: -EINVAL. */
MUST_CHECK int ec2_parse_cidr(
    const char *text, struct in_addr *out_base, unsigned *out_prefix_bits);
/* Whether two networks share an address. */
bool ec2_overlaps(const struct catalog_net *net, struct in_addr base, unsigned prefix_bits);

/* Adds the tags of TagSpecification.N for `resource_type` ("vpc"). */
MUST_CHECK const struct api_error *ec2_take_tag_specification(
    struct api_call *call, const char *resource_type, struct catalog_tags *tags);
/* Adds Tag.N.Key and Tag.N.Value below `prefix`, within 50. */
MUST_CHECK const struct api_error *ec2_take_tags(
    struct api_call *call, const char *prefix, struct catalog_tags *tags);
void ec2_write_tags(struct xml *xml, const struct catalog_tags *tags);
void ec2_write_number(struct xml *xml, const char *name, int64_t number);

/* The id of the group of the default VPC that has this name; "": there is none. */
void ec2_group_by_name(
    const struct catalog *catalog, const char *name, char out_id[CATALOG_ID_SIZE]);
/* Whether a group is named by a mount target, a host, or a rule of another group. */
bool ec2_group_is_used(const struct catalog *catalog, const char *group_id);
