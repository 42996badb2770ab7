/*
 * control/ec2/ec2_rules.h - rules of security groups, as the files of the EC2 service share them.
 */
#pragma once

#include "control/ec2/ec2.h"

/* The peer of a rule: a network, or the id of a group. */
void ec2_format_peer(const struct catalog_rule *rule, char out_text[EC2_CIDR_SIZE]);
/* Writes the rules of one direction as IpPermissions: those of the same protocol and ports together. */
void ec2_write_permissions(
    struct api_call *call, const struct catalog_net *group, bool is_egress, struct xml *xml);
/* The group that GroupId or GroupName names, with a reference; NULL: refused. */
const struct catalog_net *ec2_get_group(struct api_call *call);
