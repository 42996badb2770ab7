/*
 * auth/managed.c - the managed policies that every account has (room: auth).
 *
 * What the EFS ones allow follows from their descriptions in the EFS User Guide, "AWS managed policies for Amazon EFS".
 */
#include "auth/managed.h"

#define ARN_PREFIX "arn:aws:iam::aws:policy/"
#define NETWORK_READS                                                                           \
    "\"ec2:DescribeAvailabilityZones\",\"ec2:DescribeNetworkInterfaceAttribute\","              \
    "\"ec2:DescribeNetworkInterfaces\",\"ec2:DescribeSecurityGroups\",\"ec2:DescribeSubnets\"," \
    "\"ec2:DescribeVpcAttribute\",\"ec2:DescribeVpcs\",\"kms:DescribeKey\",\"kms:ListAliases\""
#define ONE_STATEMENT(actions)                                                              \
    "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":[" actions \
    "],\"Resource\":\"*\"}]}"

static const struct managed_policy policies[] = {
    { "AdministratorAccess", "ANPAAAAAAAAAAAADMINAA", ARN_PREFIX "AdministratorAccess",
        "Everything.", ONE_STATEMENT("\"*\"") },
    { "AmazonElasticFileSystemClientFullAccess", "ANPAAAAAAAAAAACLIENTF",
        ARN_PREFIX "AmazonElasticFileSystemClientFullAccess",
        "Mounting file systems, writing, and root.",
        ONE_STATEMENT(
            "\"elasticfilesystem:ClientMount\",\"elasticfilesystem:ClientRootAccess\","
            "\"elasticfilesystem:ClientWrite\",\"elasticfilesystem:DescribeMountTargets\"") },
    { "AmazonElasticFileSystemClientReadOnlyAccess", "ANPAAAAAAAAAAACLIENTR",
        ARN_PREFIX "AmazonElasticFileSystemClientReadOnlyAccess", "Mounting file systems, to read.",
        ONE_STATEMENT("\"elasticfilesystem:ClientMount\","
                      "\"elasticfilesystem:DescribeMountTargets\"") },
    { "AmazonElasticFileSystemClientReadWriteAccess", "ANPAAAAAAAAAAACLIENTW",
        ARN_PREFIX "AmazonElasticFileSystemClientReadWriteAccess",
        "Mounting file systems, and writing.",
        ONE_STATEMENT("\"elasticfilesystem:ClientMount\",\"elasticfilesystem:ClientWrite\","
                      "\"elasticfilesystem:DescribeMountTargets\"") },
    { "AmazonElasticFileSystemFullAccess", "ANPAAAAAAAAAAAEFSFULL",
        ARN_PREFIX "AmazonElasticFileSystemFullAccess", "All of EFS, and what it needs of EC2.",
        ONE_STATEMENT("\"elasticfilesystem:*\",\"ec2:CreateNetworkInterface\","
                      "\"ec2:DeleteNetworkInterface\","
                      "\"ec2:ModifyNetworkInterfaceAttribute\"," NETWORK_READS) },
    { "AmazonElasticFileSystemReadOnlyAccess", "ANPAAAAAAAAAAAEFSREAD",
        ARN_PREFIX "AmazonElasticFileSystemReadOnlyAccess", "Looking at all of EFS.",
        ONE_STATEMENT("\"elasticfilesystem:Describe*\",\"elasticfilesystem:"
                      "ListTagsForResource\"," NETWORK_READS) },
};

const struct managed_policy *managed_policy_at(size_t index)
{
    return index < ARRAY_SIZE(policies) ? &policies[index] : NULL;
}

const struct managed_policy *managed_policy_find(const char *arn)
{
    for (size_t i = 0; i < ARRAY_SIZE(policies); i++) {
        if (strcmp(policies[i].arn, arn) == 0)
            return &policies[i];
    }
    return NULL;
}

const char *managed_policy_document(const char *arn)
{
    const struct managed_policy *policy = managed_policy_find(arn);
    return policy == NULL ? NULL : policy->document;
}
