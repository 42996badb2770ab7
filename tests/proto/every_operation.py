"""One scenario through every operation of every service, for whatever client can make calls.

A driver has call(service, operation, **parameters), which gives the answer as a dict, pages(service, operation, size,
**parameters), which gives the list of entries that come in pages of this size, and wait(service, waiter, **parameters),
which returns when the service's waiter does. Operations are named as in the service models.
"""

import json

from shoal_server import wait_until

REGION = "us-east-1"
TAGS = [{"Key": "Name", "Value": "scenario"}, {"Key": "team", "Value": "blue"}]
DOCUMENT = json.dumps({"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Action": "elasticfilesystem:*", "Resource": "*"}]})


def file_system(driver, **parameters):
    """An available file system's id."""
    made = driver.call("efs", "CreateFileSystem", **parameters)
    assert made["LifeCycleState"] in ("creating", "available")
    wait_until(lambda: state_of(driver, made["FileSystemId"]) == "available", 30, "available")
    return made["FileSystemId"]


def state_of(driver, file_system_id):
    return driver.call("efs", "DescribeFileSystems", FileSystemId=file_system_id)["FileSystems"][0]["LifeCycleState"]


def fails_with(driver, code, service, operation, **parameters):
    """Whether a call is refused with this error."""
    try:
        driver.call(service, operation, **parameters)
    except driver.Refused as refused:
        return code in str(refused)
    return False


def ec2(driver):
    """The network of the scenario: (subnets, group)."""
    call = driver.call
    assert len(call("ec2", "DescribeAvailabilityZones")["AvailabilityZones"]) == 3
    vpc = call("ec2", "CreateVpc", CidrBlock="127.200.0.0/16")["Vpc"]["VpcId"]
    driver.wait("ec2", "VpcAvailable", VpcIds=[vpc])
    assert call("ec2", "DescribeVpcAttribute", VpcId=vpc, Attribute="enableDnsSupport")["EnableDnsSupport"]["Value"] is True
    subnets = [call("ec2", "CreateSubnet", VpcId=vpc, CidrBlock=f"127.200.{i}.0/24", AvailabilityZone=f"{REGION}{zone}")
               ["Subnet"]["SubnetId"] for i, zone in enumerate("abc")]
    driver.wait("ec2", "SubnetAvailable", SubnetIds=subnets)
    in_vpc = [{"Name": "vpc-id", "Values": [vpc]}]
    found = driver.pages("ec2", "DescribeSubnets", 5, Filters=in_vpc)
    assert {subnet["SubnetId"] for subnet in found} == set(subnets)
    assert any(entry["VpcId"] == vpc for entry in driver.pages("ec2", "DescribeVpcs", 5))
    group = call("ec2", "CreateSecurityGroup", GroupName="scenario", Description="of a scenario", VpcId=vpc)["GroupId"]
    driver.wait("ec2", "SecurityGroupExists", GroupIds=[group])
    rule = {"IpProtocol": "tcp", "FromPort": 2049, "ToPort": 2049, "IpRanges": [{"CidrIp": "127.0.0.0/8"}]}
    everything = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
    call("ec2", "AuthorizeSecurityGroupIngress", GroupId=group, IpPermissions=[rule])
    call("ec2", "RevokeSecurityGroupEgress", GroupId=group, IpPermissions=[everything])
    call("ec2", "AuthorizeSecurityGroupEgress", GroupId=group, IpPermissions=[everything])
    by_group = [{"Name": "group-id", "Values": [group]}]
    assert len(driver.pages("ec2", "DescribeSecurityGroupRules", 5, Filters=by_group)) == 2
    call("ec2", "RevokeSecurityGroupIngress", GroupId=group, IpPermissions=[rule])
    assert [entry["GroupId"] for entry in driver.pages("ec2", "DescribeSecurityGroups", 5, Filters=by_group)] == [group]
    call("ec2", "CreateTags", Resources=[vpc], Tags=TAGS)
    of_vpc = [{"Name": "resource-id", "Values": [vpc]}]
    assert len(driver.pages("ec2", "DescribeTags", 5, Filters=of_vpc)) == 2
    call("ec2", "DeleteTags", Resources=[vpc], Tags=[{"Key": "team"}])
    return vpc, subnets, group


def efs(driver, subnets, group, key_id):
    """Every operation of EFS, on two file systems that are deleted again."""
    call = driver.call
    preference = call("efs", "PutAccountPreferences", ResourceIdType="LONG_ID")["ResourceIdPreference"]
    assert call("efs", "DescribeAccountPreferences")["ResourceIdPreference"] == preference
    fs = file_system(driver, CreationToken="scenario", PerformanceMode="generalPurpose", ThroughputMode="elastic",
                     Encrypted=True, KmsKeyId=key_id, Backup=True, Tags=TAGS)
    one_zone = file_system(driver, CreationToken="one zone", AvailabilityZoneName=f"{REGION}a", ThroughputMode="provisioned",
                           ProvisionedThroughputInMibps=20.5)
    assert {fs, one_zone} <= {entry["FileSystemId"] for entry in driver.pages("efs", "DescribeFileSystems", 1)}
    assert call("efs", "UpdateFileSystem", FileSystemId=one_zone, ProvisionedThroughputInMibps=30)["ThroughputMode"] == \
        "provisioned"
    assert fails_with(driver, "TooManyRequests", "efs", "UpdateFileSystem", FileSystemId=one_zone, ThroughputMode="elastic")
    if driver.knows("efs", "UpdateFileSystemProtection"):
        for word in ("DISABLED", "ENABLED"):
            assert call("efs", "UpdateFileSystemProtection", FileSystemId=fs, ReplicationOverwriteProtection=word) \
                ["ReplicationOverwriteProtection"] == word
    # Mount targets, one in each zone
    targets = [call("efs", "CreateMountTarget", FileSystemId=fs, SubnetId=subnet, SecurityGroups=[group])["MountTargetId"]
               for subnet in subnets]
    wait_until(lambda: all(target["LifeCycleState"] == "available" for target in
                           call("efs", "DescribeMountTargets", FileSystemId=fs)["MountTargets"]), 30, "targets")
    found = driver.pages("efs", "DescribeMountTargets", 2, FileSystemId=fs)
    assert {target["MountTargetId"] for target in found} == set(targets)
    interface = found[0]["NetworkInterfaceId"]
    assert [entry["NetworkInterfaceId"] for entry in driver.pages("ec2", "DescribeNetworkInterfaces", 5, Filters=[
        {"Name": "network-interface-id", "Values": [interface]}])] == [interface]
    call("efs", "ModifyMountTargetSecurityGroups", MountTargetId=targets[0], SecurityGroups=[group])
    assert call("efs", "DescribeMountTargetSecurityGroups", MountTargetId=targets[0])["SecurityGroups"] == [group]
    # Access points and tags
    points = [call("efs", "CreateAccessPoint", ClientToken=f"point {i}", FileSystemId=fs, Tags=TAGS,
                   PosixUser={"Uid": 1000 + i, "Gid": 1000, "SecondaryGids": [5, 6]}, RootDirectory={
                       "Path": f"/home/{i}", "CreationInfo": {"OwnerUid": 1, "OwnerGid": 2, "Permissions": "0750"}})
              ["AccessPointId"] for i in range(3)]
    assert {point["AccessPointId"] for point in driver.pages("efs", "DescribeAccessPoints", 2, FileSystemId=fs)} == \
        set(points)
    call("efs", "TagResource", ResourceId=points[0], Tags=[{"Key": "more", "Value": "é"}])
    call("efs", "UntagResource", ResourceId=points[0], TagKeys=["team", "Name"])
    assert call("efs", "ListTagsForResource", ResourceId=points[0])["Tags"] == [{"Key": "more", "Value": "é"}]
    call("efs", "CreateTags", FileSystemId=fs, Tags=[{"Key": "old", "Value": "way"}])
    assert {"Key": "old", "Value": "way"} in driver.pages("efs", "DescribeTags", 1, FileSystemId=fs)
    call("efs", "DeleteTags", FileSystemId=fs, TagKeys=["old"])
    # Settings
    policies = [{"TransitionToIA": "AFTER_30_DAYS"}, {"TransitionToPrimaryStorageClass": "AFTER_1_ACCESS"}]
    call("efs", "PutLifecycleConfiguration", FileSystemId=fs, LifecyclePolicies=policies)
    assert call("efs", "DescribeLifecycleConfiguration", FileSystemId=fs)["LifecyclePolicies"] == policies
    call("efs", "PutBackupPolicy", FileSystemId=fs, BackupPolicy={"Status": "DISABLED"})
    wait_until(lambda: call("efs", "DescribeBackupPolicy", FileSystemId=fs)["BackupPolicy"]["Status"] == "DISABLED", 30,
               "no backup")
    policy = json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "elasticfilesystem:ClientMount"}]})
    call("efs", "PutFileSystemPolicy", FileSystemId=fs, Policy=policy)
    assert call("efs", "DescribeFileSystemPolicy", FileSystemId=fs)["Policy"] == policy
    call("efs", "DeleteFileSystemPolicy", FileSystemId=fs)
    # Replication
    copy = call("efs", "CreateReplicationConfiguration", SourceFileSystemId=fs, Destinations=[{"Region": REGION}])
    copy_id = copy["Destinations"][0]["FileSystemId"]
    wait_until(lambda: state_of(driver, copy_id) == "available", 30, "the destination")
    assert [entry["SourceFileSystemId"] for entry in driver.pages("efs", "DescribeReplicationConfigurations", 1)] == [fs]
    call("efs", "DeleteReplicationConfiguration", SourceFileSystemId=fs)
    wait_until(lambda: fails_with(driver, "ReplicationNotFound", "efs", "DescribeReplicationConfigurations",
                                  FileSystemId=fs), 30, "no replication")
    # The end
    for point in points:
        call("efs", "DeleteAccessPoint", AccessPointId=point)
    assert fails_with(driver, "FileSystemInUse", "efs", "DeleteFileSystem", FileSystemId=fs)
    for target in targets:
        call("efs", "DeleteMountTarget", MountTargetId=target)
    wait_until(lambda: not call("efs", "DescribeMountTargets", FileSystemId=fs)["MountTargets"], 30, "no targets")
    for file_system_id in (fs, one_zone, copy_id):
        call("efs", "DeleteFileSystem", FileSystemId=file_system_id)
        wait_until(lambda: fails_with(driver, "FileSystemNotFound", "efs", "DescribeFileSystems",
                                      FileSystemId=file_system_id), 30, "gone")


def sts(driver):
    """Who it is that calls; gives the account."""
    return driver.call("sts", "GetCallerIdentity")["Account"]


def iam_entities(driver, account):
    """Users, groups and roles, their tags and policies; gives what they are called."""
    call = driver.call
    trust = json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": account}, "Action": "sts:AssumeRole"}]})
    call("iam", "CreateUser", UserName="worker", Tags=TAGS)
    driver.wait("iam", "UserExists", UserName="worker")
    call("iam", "CreateGroup", GroupName="workers")
    call("iam", "CreateRole", RoleName="job", AssumeRolePolicyDocument=trust)
    driver.wait("iam", "RoleExists", RoleName="job")
    call("iam", "UpdateUser", UserName="worker", NewPath="/w/")
    call("iam", "UpdateGroup", GroupName="workers", NewPath="/w/")
    call("iam", "UpdateRole", RoleName="job", MaxSessionDuration=7200)
    call("iam", "UpdateAssumeRolePolicy", RoleName="job", PolicyDocument=trust)
    assert call("iam", "GetUser", UserName="worker")["User"]["Path"] == "/w/"
    assert call("iam", "GetRole", RoleName="job")["Role"]["MaxSessionDuration"] == 7200
    call("iam", "AddUserToGroup", GroupName="workers", UserName="worker")
    assert [user["UserName"] for user in driver.pages("iam", "GetGroup", 1, GroupName="workers")] == ["worker"]
    assert len(driver.pages("iam", "ListGroupsForUser", 1, UserName="worker")) == 1
    for list_of, name in (("ListUsers", "worker"), ("ListGroups", "workers"), ("ListRoles", "job")):
        assert any(name in entry.values() for entry in driver.pages("iam", list_of, 1)), list_of
    for word, name in (("User", "worker"), ("Role", "job")):
        call("iam", f"Tag{word}", **{f"{word}Name": name, "Tags": [{"Key": "a", "Value": "b"}]})
        assert {"Key": "a", "Value": "b"} in call("iam", f"List{word}Tags", **{f"{word}Name": name})["Tags"]
        call("iam", f"Untag{word}", **{f"{word}Name": name, "TagKeys": ["a"]})
    for word, name in (("User", "worker"), ("Group", "workers"), ("Role", "job")):
        who = {f"{word}Name": name}
        call("iam", f"Put{word}Policy", **who, PolicyName="own", PolicyDocument=DOCUMENT)
        assert call("iam", f"Get{word}Policy", **who, PolicyName="own")["PolicyName"] == "own"
        assert driver.pages("iam", f"List{word}Policies", 1, **who) == ["own"]
        call("iam", f"Delete{word}Policy", **who, PolicyName="own")
    return [("User", "worker"), ("Group", "workers"), ("Role", "job")]


def iam_policies(driver, entities, account):
    """Managed policies: made, attached, asked about, taken away."""
    call = driver.call
    arn = call("iam", "CreatePolicy", PolicyName="all", PolicyDocument=DOCUMENT)["Policy"]["Arn"]
    driver.wait("iam", "PolicyExists", PolicyArn=arn)
    call("iam", "CreatePolicyVersion", PolicyArn=arn, PolicyDocument=DOCUMENT)
    assert len(driver.pages("iam", "ListPolicyVersions", 1, PolicyArn=arn)) == 2
    assert call("iam", "GetPolicyVersion", PolicyArn=arn, VersionId="v2")["PolicyVersion"]["IsDefaultVersion"] is False
    call("iam", "SetDefaultPolicyVersion", PolicyArn=arn, VersionId="v2")
    call("iam", "DeletePolicyVersion", PolicyArn=arn, VersionId="v1")
    assert call("iam", "GetPolicy", PolicyArn=arn)["Policy"]["DefaultVersionId"] == "v2"
    assert [policy["Arn"] for policy in driver.pages("iam", "ListPolicies", 1, Scope="Local")] == [arn]
    for word, name in entities:
        who = {f"{word}Name": name}
        call("iam", f"Attach{word}Policy", **who, PolicyArn=arn)
        assert [one["PolicyArn"] for one in driver.pages("iam", f"ListAttached{word}Policies", 1, **who)] == [arn]
    assert len(call("iam", "ListEntitiesForPolicy", PolicyArn=arn)["PolicyUsers"]) == 1
    decision = call("iam", "SimulatePrincipalPolicy", PolicySourceArn=f"arn:aws:iam::{account}:user/w/worker",
                    ActionNames=["elasticfilesystem:DescribeFileSystems"])["EvaluationResults"][0]["EvalDecision"]
    assert decision == "allowed"
    key = call("iam", "CreateAccessKey", UserName="worker")["AccessKey"]["AccessKeyId"]
    assert [one["AccessKeyId"] for one in driver.pages("iam", "ListAccessKeys", 1, UserName="worker")] == [key]
    call("iam", "UpdateAccessKey", UserName="worker", AccessKeyId=key, Status="Inactive")
    assert call("iam", "GetAccessKeyLastUsed", AccessKeyId=key)["UserName"] == "worker"
    call("iam", "DeleteAccessKey", UserName="worker", AccessKeyId=key)
    assert fails_with(driver, "AccessDenied", "sts", "AssumeRole", RoleArn=f"arn:aws:iam::{account}:role/job",
                      RoleSessionName="root-may-not")
    for word, name in entities:
        call("iam", f"Detach{word}Policy", **{f"{word}Name": name}, PolicyArn=arn)
    call("iam", "DeletePolicy", PolicyArn=arn)


def iam_end(driver):
    """What tools ask for before a deletion, and the deletions."""
    call = driver.call
    for operation in ("ListMFADevices", "ListSigningCertificates", "ListSSHPublicKeys"):
        assert driver.pages("iam", operation, 5, UserName="worker") == []
    assert driver.pages("iam", "ListInstanceProfilesForRole", 5, RoleName="job") == []
    assert driver.pages("iam", "ListAccountAliases", 5) == []
    assert call("iam", "GetAccountSummary")["SummaryMap"]["Users"] >= 1
    call("iam", "RemoveUserFromGroup", GroupName="workers", UserName="worker")
    call("iam", "DeleteUser", UserName="worker")
    call("iam", "DeleteGroup", GroupName="workers")
    call("iam", "DeleteRole", RoleName="job")


def kms(driver):
    """Every operation of KMS; gives a key that is left to use."""
    call = driver.call
    key = call("kms", "CreateKey", Description="of a scenario", Tags=[{"TagKey": "a", "TagValue": "b"}])
    key = key["KeyMetadata"]["KeyId"]
    call("kms", "UpdateKeyDescription", KeyId=key, Description="another")
    assert call("kms", "DescribeKey", KeyId=key)["KeyMetadata"]["Description"] == "another"
    assert key in [entry["KeyId"] for entry in driver.pages("kms", "ListKeys", 1)]
    call("kms", "DisableKey", KeyId=key)
    call("kms", "EnableKey", KeyId=key)
    call("kms", "EnableKeyRotation", KeyId=key)
    assert call("kms", "GetKeyRotationStatus", KeyId=key)["KeyRotationEnabled"] is True
    call("kms", "DisableKeyRotation", KeyId=key)
    if driver.knows("kms", "RotateKeyOnDemand"):
        call("kms", "RotateKeyOnDemand", KeyId=key)
    assert call("kms", "GetKeyPolicy", KeyId=key, PolicyName="default")["Policy"]
    assert driver.pages("kms", "ListKeyPolicies", 1, KeyId=key) == ["default"]
    other = call("kms", "CreateKey")["KeyMetadata"]["KeyId"]
    call("kms", "CreateAlias", AliasName="alias/scenario", TargetKeyId=other)
    call("kms", "UpdateAlias", AliasName="alias/scenario", TargetKeyId=key)
    assert any(entry["AliasName"] == "alias/scenario" for entry in driver.pages("kms", "ListAliases", 1))
    call("kms", "DeleteAlias", AliasName="alias/scenario")
    call("kms", "TagResource", KeyId=key, Tags=[{"TagKey": "c", "TagValue": "d"}])
    call("kms", "UntagResource", KeyId=key, TagKeys=["a"])
    assert call("kms", "ListResourceTags", KeyId=key)["Tags"] == [{"TagKey": "c", "TagValue": "d"}]
    call("kms", "ScheduleKeyDeletion", KeyId=other, PendingWindowInDays=7)
    call("kms", "CancelKeyDeletion", KeyId=other)
    return key


def run(driver):
    """All of it. What it made is gone afterwards, but for the keys, which only time deletes."""
    account = sts(driver)
    vpc, subnets, group = ec2(driver)
    efs(driver, subnets, group, kms(driver))
    for subnet in subnets:
        driver.call("ec2", "DeleteSubnet", SubnetId=subnet)
    driver.call("ec2", "DeleteSecurityGroup", GroupId=group)
    driver.call("ec2", "DeleteVpc", VpcId=vpc)
    iam_policies(driver, iam_entities(driver, account), account)
    iam_end(driver)
