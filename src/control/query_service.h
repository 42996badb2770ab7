/*
 * control/query_service.h - the services of the query protocol: EC2 and STS, as far as users of EFS need them.
 *
 * A request is a form (Action=..&Version=..), an answer is XML. What exists: ec2 DescribeVpcs, DescribeSubnets,
 * DescribeAvailabilityZones, DescribeSecurityGroups; sts GetCallerIdentity.
 */
#pragma once

#include "control/api.h"
#include "control/xml.h"

enum query_service { QUERY_EC2, QUERY_STS };

/* Writes the elements of one answer; its document and request id are written around it. */
typedef const struct api_error *query_handler(struct api_call *call, struct xml *xml);

query_handler ec2_describe_availability_zones;
query_handler ec2_describe_security_groups;
query_handler ec2_describe_subnets;
query_handler ec2_describe_vpcs;
query_handler sts_get_caller_identity;

/* Answers call->query with a document; the caller owns *out_text. Gives the HTTP status; 0: out of memory. */
unsigned query_service_answer(
    enum query_service service, struct api_call *call, char **out_text, size_t *out_size);
/* The document for an error that call->failure and call->message tell. NULL: out of memory. */
MUST_CHECK char *query_service_error(
    enum query_service service, const struct api_call *call, size_t *out_size);
