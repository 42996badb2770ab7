"""The EC2 API as boto3 sees it: VPCs, subnets, interfaces, security groups and their rules, tags, filters, pages."""

import pytest

from shoal_server import wait_until
from test_efs_api import ACCOUNT, code_of, control, efs, make, make_target, remove  # noqa: F401

NFS = {"IpProtocol": "tcp", "FromPort": 2049, "ToPort": 2049}


@pytest.fixture(scope="module")
def ec2(control):
    return control.client("ec2")


@pytest.fixture(scope="module")
def default_vpc(ec2):
    return ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"][0]["VpcId"]


@pytest.fixture
def vpc(ec2):
    """A VPC of its own, 127.32.0.0/16, deleted with what is left in it."""
    vpc_id = ec2.create_vpc(CidrBlock="127.32.0.0/16")["Vpc"]["VpcId"]
    yield vpc_id
    mine = [{"Name": "vpc-id", "Values": [vpc_id]}]
    for subnet in ec2.describe_subnets(Filters=mine)["Subnets"]:
        ec2.delete_subnet(SubnetId=subnet["SubnetId"])
    for group in ec2.describe_security_groups(Filters=mine)["SecurityGroups"]:
        if group["GroupName"] != "default":
            ec2.delete_security_group(GroupId=group["GroupId"])
    ec2.delete_vpc(VpcId=vpc_id)


@pytest.fixture
def group(ec2, default_vpc):
    group_id = ec2.create_security_group(GroupName="workers", Description="of a test", VpcId=default_vpc)["GroupId"]
    yield group_id
    ec2.delete_security_group(GroupId=group_id)


def permissions(ec2, group_id, key="IpPermissions"):
    return ec2.describe_security_groups(GroupIds=[group_id])["SecurityGroups"][0][key]


# --- VPCs and subnets ------------------------------------------------------------------------------

def test_a_vpc_comes_with_a_default_group_and_goes_with_it(ec2, vpc):
    described = ec2.describe_vpcs(VpcIds=[vpc])["Vpcs"][0]
    assert (described["CidrBlock"], described["IsDefault"], described["State"]) == ("127.32.0.0/16", False, "available")
    groups = ec2.describe_security_groups(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["SecurityGroups"]
    assert [entry["GroupName"] for entry in groups] == ["default"]
    ingress = groups[0]["IpPermissions"][0]
    assert (ingress["IpProtocol"], ingress["UserIdGroupPairs"][0]["GroupId"]) == ("-1", groups[0]["GroupId"])
    assert groups[0]["IpPermissionsEgress"][0]["IpRanges"] == [{"CidrIp": "0.0.0.0/0"}]
    assert code_of(ec2.delete_security_group, GroupId=groups[0]["GroupId"]) == ("CannotDelete", 400)


@pytest.mark.parametrize(("cidr", "code"), [
    ("127.32.0.0", "InvalidParameterValue"), ("127.32.0/16", "InvalidParameterValue"),
    ("127.32.0.0/33", "InvalidParameterValue"), ("127.32.0.0/29", "InvalidVpc.Range")])
def test_a_wrong_network_makes_no_vpc(ec2, cidr, code):
    count = len(ec2.describe_vpcs()["Vpcs"])
    assert code_of(ec2.create_vpc, CidrBlock=cidr) == (code, 400)
    assert len(ec2.describe_vpcs()["Vpcs"]) == count


def test_attributes_of_a_vpc_are_those_it_was_made_with(ec2, vpc, default_vpc):
    def value(vpc_id, attribute):
        word = attribute[0].upper() + attribute[1:]
        return ec2.describe_vpc_attribute(VpcId=vpc_id, Attribute=attribute)[word]["Value"]

    for vpc_id, hostnames in ((default_vpc, True), (vpc, False)):
        assert value(vpc_id, "enableDnsSupport") is True
        assert value(vpc_id, "enableDnsHostnames") is hostnames
    assert code_of(ec2.describe_vpc_attribute, VpcId="vpc-1", Attribute="enableDnsSupport") == ("InvalidVpcID.NotFound", 400)
    assert code_of(ec2.describe_vpc_attribute, VpcId=vpc, Attribute="nonsense") == ("InvalidParameterValue", 400)


def test_there_is_a_limit_of_vpcs(ec2):
    made = [ec2.create_vpc(CidrBlock=f"127.{number}.0.0/16")["Vpc"]["VpcId"] for number in range(40, 44)]
    assert code_of(ec2.create_vpc, CidrBlock="127.50.0.0/16") == ("VpcLimitExceeded", 400)
    for vpc_id in made:
        ec2.delete_vpc(VpcId=vpc_id)
    assert code_of(ec2.delete_vpc, VpcId=made[0]) == ("InvalidVpcID.NotFound", 400)


def test_the_default_network_stays(ec2, default_vpc):
    subnet = ec2.describe_subnets()["Subnets"][0]["SubnetId"]
    assert code_of(ec2.delete_vpc, VpcId=default_vpc) == ("OperationNotPermitted", 400)
    assert code_of(ec2.delete_subnet, SubnetId=subnet) == ("OperationNotPermitted", 400)


def test_subnets_lie_in_their_vpc_and_do_not_overlap(ec2, vpc):
    made = ec2.create_subnet(VpcId=vpc, CidrBlock="127.32.1.7/24", AvailabilityZone="us-east-1b",
                             TagSpecifications=[{"ResourceType": "subnet", "Tags": [{"Key": "Name", "Value": "one"}]}])
    subnet = made["Subnet"]
    assert (subnet["CidrBlock"], subnet["AvailabilityZoneId"]) == ("127.32.1.0/24", "use1-az2")
    assert subnet["AvailableIpAddressCount"] == 251
    assert subnet["Tags"] == [{"Key": "Name", "Value": "one"}]
    for cidr, code in (("127.32.1.128/25", "InvalidSubnet.Conflict"), ("127.33.0.0/24", "InvalidSubnet.Range"),
                       ("127.32.2.0/29", "InvalidSubnet.Range"), ("127.32.0.0/15", "InvalidSubnet.Range"),
                       ("x", "InvalidParameterValue")):
        assert code_of(ec2.create_subnet, VpcId=vpc, CidrBlock=cidr) == (code, 400), cidr
    assert code_of(ec2.create_subnet, VpcId="vpc-1", CidrBlock="127.32.2.0/24") == ("InvalidVpcID.NotFound", 400)
    assert code_of(ec2.create_subnet, VpcId=vpc, CidrBlock="127.32.2.0/24", AvailabilityZone="mars-1a") == \
        ("InvalidParameterValue", 400)
    assert code_of(ec2.delete_vpc, VpcId=vpc) == ("DependencyViolation", 400)
    # Addresses are those of one machine: also another VPC's subnets must be free.
    other = ec2.create_vpc(CidrBlock="127.32.0.0/16")["Vpc"]["VpcId"]
    assert code_of(ec2.create_subnet, VpcId=other, CidrBlock="127.32.1.0/28") == ("InvalidSubnet.Conflict", 400)
    ec2.delete_vpc(VpcId=other)


def test_mount_targets_of_a_file_system_are_in_one_vpc(ec2, efs, vpc):
    file_system_id = make(efs)
    zones = ec2.describe_availability_zones()["AvailabilityZones"]
    subnets = [ec2.create_subnet(VpcId=vpc, CidrBlock=f"127.32.{i}.0/28", AvailabilityZone=zone["ZoneName"])
               ["Subnet"]["SubnetId"] for i, zone in enumerate(zones)]
    target = make_target(efs, file_system_id, subnets[0], IpAddress="127.32.0.9")
    assert (target["IpAddress"], target["VpcId"]) == ("127.32.0.9", vpc)
    assert make_target(efs, file_system_id, subnets[1])["IpAddress"] == "127.32.1.4", "the first that is not reserved"
    default = ec2.describe_subnets(Filters=[{"Name": "default-for-az", "Values": ["true"]},
                                            {"Name": "availability-zone", "Values": [zones[2]["ZoneName"]]}])["Subnets"]
    assert code_of(efs.create_mount_target, FileSystemId=file_system_id, SubnetId=default[0]["SubnetId"]) == \
        ("MountTargetConflict", 409)
    assert code_of(efs.create_mount_target, FileSystemId=file_system_id, SubnetId=subnets[2],
                   IpAddress="127.32.1.5") == ("BadRequest", 400)
    group = ec2.describe_security_groups(Filters=[{"Name": "vpc-id", "Values": ["vpc-*"]},
                                                  {"Name": "group-name", "Values": ["default"]}])["SecurityGroups"]
    foreign = [entry["GroupId"] for entry in group if entry["VpcId"] != vpc]
    assert code_of(efs.create_mount_target, FileSystemId=file_system_id, SubnetId=subnets[2],
                   SecurityGroups=foreign) == ("SecurityGroupNotFound", 400)
    assert code_of(ec2.delete_subnet, SubnetId=subnets[0]) == ("DependencyViolation", 400)
    remove(efs, file_system_id)


def test_a_small_subnet_runs_out_of_addresses(ec2, efs, vpc):
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="127.32.9.0/28")["Subnet"]
    assert subnet["AvailableIpAddressCount"] == 11
    made = [make(efs) for _ in range(12)]
    for file_system_id in made[:11]:
        make_target(efs, file_system_id, subnet["SubnetId"])
    assert code_of(efs.create_mount_target, FileSystemId=made[11], SubnetId=subnet["SubnetId"]) == \
        ("NoFreeAddressesInSubnet", 409)
    assert code_of(efs.create_mount_target, FileSystemId=made[11], SubnetId=subnet["SubnetId"],
                   IpAddress="127.32.9.4") == ("IpAddressInUse", 409)
    for file_system_id in made:
        remove(efs, file_system_id)


# --- interfaces ------------------------------------------------------------------------------------

def test_the_interface_of_a_mount_target_is_found(ec2, efs, group):
    file_system_id = make(efs)
    subnet = ec2.describe_subnets()["Subnets"][0]
    target = make_target(efs, file_system_id, subnet["SubnetId"], SecurityGroups=[group])
    found = ec2.describe_network_interfaces(NetworkInterfaceIds=[target["NetworkInterfaceId"]])["NetworkInterfaces"][0]
    assert found["Description"] == f"Mount target {target['MountTargetId']} for file system {file_system_id}"
    assert found["RequesterManaged"] is True and found["PrivateIpAddress"] == target["IpAddress"]
    assert found["Groups"] == [{"GroupId": group, "GroupName": "workers"}]
    assert (found["SubnetId"], found["VpcId"]) == (subnet["SubnetId"], subnet["VpcId"])
    assert code_of(ec2.delete_security_group, GroupId=group) == ("DependencyViolation", 400)
    default = ec2.describe_security_groups(GroupNames=["default"])["SecurityGroups"][0]["GroupId"]
    efs.modify_mount_target_security_groups(MountTargetId=target["MountTargetId"], SecurityGroups=[default])
    by_group = ec2.describe_network_interfaces(Filters=[{"Name": "group-id", "Values": [default]},
                                                        {"Name": "description", "Values": [f"*{file_system_id}"]}])
    assert [entry["NetworkInterfaceId"] for entry in by_group["NetworkInterfaces"]] == [target["NetworkInterfaceId"]]
    assert code_of(ec2.describe_network_interfaces, NetworkInterfaceIds=["eni-1"]) == \
        ("InvalidNetworkInterfaceID.NotFound", 400)
    six = [group] * 6
    assert code_of(efs.modify_mount_target_security_groups, MountTargetId=target["MountTargetId"],
                   SecurityGroups=six) == ("SecurityGroupLimitExceeded", 400)
    assert code_of(efs.modify_mount_target_security_groups, MountTargetId=target["MountTargetId"],
                   SecurityGroups=["sg-12345678"]) == ("SecurityGroupNotFound", 400)
    remove(efs, file_system_id)


# --- groups and rules ------------------------------------------------------------------------------

def test_a_group_is_made_once_a_name_and_vpc(ec2, group, vpc):
    made = ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"][0]
    assert (made["GroupName"], made["Description"], made["OwnerId"]) == ("workers", "of a test", ACCOUNT)
    assert made["IpPermissions"] == [] and len(made["IpPermissionsEgress"]) == 1
    assert code_of(ec2.create_security_group, GroupName="workers", Description="x") == ("InvalidGroup.Duplicate", 400)
    other = ec2.create_security_group(GroupName="workers", Description="x", VpcId=vpc)["GroupId"]
    assert other != group
    for name, code in (("sg-x", "InvalidParameterValue"), ("default", "InvalidGroup.Reserved"),
                       ("x" * 256, "InvalidParameterValue")):
        assert code_of(ec2.create_security_group, GroupName=name, Description="x") == (code, 400)
    assert code_of(ec2.create_security_group, GroupName="y", Description="x", VpcId="vpc-1") == \
        ("InvalidVpcID.NotFound", 400)
    assert code_of(ec2.delete_security_group, GroupId="sg-1") == ("InvalidGroup.NotFound", 400)
    assert code_of(ec2.describe_security_groups, GroupNames=["nobody"]) == ("InvalidGroup.NotFound", 400)


def test_rules_are_added_once_and_revoked(ec2, group):
    rule = {**NFS, "IpRanges": [{"CidrIp": "10.1.2.3/16", "Description": "the farm"}, {"CidrIp": "0.0.0.0/0"}],
            "Ipv6Ranges": [{"CidrIpv6": "2001:db8::1/32"}], "UserIdGroupPairs": [{"GroupId": group}]}
    added = ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[rule])
    assert added["Return"] is True and len(added["SecurityGroupRules"]) == 4
    seen = permissions(ec2, group)
    assert len(seen) == 1 and (seen[0]["FromPort"], seen[0]["ToPort"]) == (2049, 2049)
    assert seen[0]["IpRanges"] == [{"CidrIp": "10.1.0.0/16", "Description": "the farm"}, {"CidrIp": "0.0.0.0/0"}]
    assert seen[0]["Ipv6Ranges"] == [{"CidrIpv6": "2001:db8::/32"}]
    assert seen[0]["UserIdGroupPairs"][0]["GroupId"] == group
    assert code_of(ec2.authorize_security_group_ingress, GroupId=group, IpProtocol="tcp", FromPort=2049, ToPort=2049,
                   CidrIp="0.0.0.0/0") == ("InvalidPermission.Duplicate", 400)
    assert ec2.describe_security_groups(Filters=[{"Name": "ip-permission.cidr", "Values": ["10.1.*"]}])["SecurityGroups"]
    rules = ec2.describe_security_group_rules(Filters=[{"Name": "group-id", "Values": [group]}])["SecurityGroupRules"]
    assert len(rules) == 5 and len([entry for entry in rules if entry["IsEgress"]]) == 1
    ec2.revoke_security_group_ingress(GroupId=group, IpProtocol="tcp", FromPort=2049, ToPort=2049, CidrIp="0.0.0.0/0")
    assert code_of(ec2.revoke_security_group_ingress, GroupId=group, IpProtocol="tcp", FromPort=2049, ToPort=2049,
                   CidrIp="0.0.0.0/0") == ("InvalidPermission.NotFound", 400)
    ids = [entry["SecurityGroupRuleId"] for entry in rules if not entry["IsEgress"] and
           entry.get("CidrIpv4") != "0.0.0.0/0"]
    assert code_of(ec2.revoke_security_group_egress, GroupId=group, SecurityGroupRuleIds=ids) == \
        ("InvalidSecurityGroupRuleId.NotFound", 400), "they are ingress rules"
    ec2.revoke_security_group_ingress(GroupId=group, SecurityGroupRuleIds=ids)
    assert permissions(ec2, group) == []


def test_egress_rules_are_kept_apart(ec2, group):
    all_out = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
    assert code_of(ec2.authorize_security_group_egress, GroupId=group, IpPermissions=[all_out]) == \
        ("InvalidPermission.Duplicate", 400)
    ec2.revoke_security_group_egress(GroupId=group, IpPermissions=[all_out])
    assert permissions(ec2, group, "IpPermissionsEgress") == []
    ec2.authorize_security_group_egress(GroupId=group, IpPermissions=[{**NFS, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}])
    assert permissions(ec2, group, "IpPermissionsEgress")[0]["FromPort"] == 2049
    assert permissions(ec2, group) == []


@pytest.mark.parametrize(("permission", "code"), [
    ({**NFS}, "MissingParameter"),
    ({"IpProtocol": "nonsense", "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}, "InvalidParameterValue"),
    ({"IpProtocol": "tcp", "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}, "InvalidParameterValue"),
    ({**NFS, "ToPort": 2048, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}, "InvalidParameterValue"),
    ({**NFS, "ToPort": 65536, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}, "InvalidParameterValue"),
    ({**NFS, "IpRanges": [{"CidrIp": "10.0.0.0"}]}, "InvalidParameterValue"),
    ({**NFS, "Ipv6Ranges": [{"CidrIpv6": "2001::/129"}]}, "InvalidParameterValue"),
    ({**NFS, "UserIdGroupPairs": [{"GroupId": "sg-1"}]}, "InvalidGroup.NotFound"),
    ({**NFS, "IpRanges": [{"CidrIp": "10.0.0.0/8"}, {"CidrIp": "10.0.0.1/8"}]}, "InvalidParameterValue"),
])
def test_a_wrong_rule_changes_nothing(ec2, group, permission, code):
    good = {**NFS, "IpRanges": [{"CidrIp": "192.0.2.0/24"}]}
    assert code_of(ec2.authorize_security_group_ingress, GroupId=group, IpPermissions=[good, permission]) == (code, 400)
    assert permissions(ec2, group) == []


def test_there_is_a_limit_of_rules(ec2, group):
    ranges = [{"CidrIp": f"10.{i}.0.0/16"} for i in range(61)]
    assert code_of(ec2.authorize_security_group_ingress, GroupId=group, IpPermissions=[{**NFS, "IpRanges": ranges}]) == \
        ("RulesPerSecurityGroupLimitExceeded", 400)
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[{**NFS, "IpRanges": ranges[:60]}])


def test_a_group_that_another_names_stays(ec2, group):
    other = ec2.create_security_group(GroupName="other", Description="x")["GroupId"]
    pair = {**NFS, "UserIdGroupPairs": [{"GroupId": other}]}
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[pair])
    assert code_of(ec2.delete_security_group, GroupId=other) == ("DependencyViolation", 400)
    ec2.revoke_security_group_ingress(GroupId=group, IpPermissions=[pair])
    ec2.delete_security_group(GroupId=other)


# --- tags, pages, dry runs -------------------------------------------------------------------------

def test_tags_are_put_found_and_taken_away(ec2, group, vpc):
    ec2.create_tags(Resources=[group, vpc], Tags=[{"Key": "Name", "Value": "mine"}, {"Key": "team", "Value": "a"}])
    assert [entry["GroupId"] for entry in ec2.describe_security_groups(
        Filters=[{"Name": "tag:Name", "Values": ["mine"]}])["SecurityGroups"]] == [group]
    assert [entry["VpcId"] for entry in ec2.describe_vpcs(
        Filters=[{"Name": "tag-key", "Values": ["team"]}])["Vpcs"]] == [vpc]
    found = ec2.describe_tags(Filters=[{"Name": "key", "Values": ["Name"]}])["Tags"]
    assert {(tag["ResourceId"], tag["ResourceType"]) for tag in found} == \
        {(group, "security-group"), (vpc, "vpc")}
    ec2.delete_tags(Resources=[group], Tags=[{"Key": "team", "Value": "b"}])
    assert len(ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"][0]["Tags"]) == 2, "another value"
    ec2.delete_tags(Resources=[group], Tags=[{"Key": "team"}])
    assert ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"][0]["Tags"] == \
        [{"Key": "Name", "Value": "mine"}]
    for resources, code in ((["sg-1"], "InvalidGroup.NotFound"), (["vpc-1"], "InvalidVpcID.NotFound"),
                            (["i-1"], "InvalidID")):
        assert code_of(ec2.create_tags, Resources=[group] + resources, Tags=[{"Key": "x", "Value": ""}]) == (code, 400)
    assert code_of(ec2.create_tags, Resources=[group], Tags=[{"Key": "aws:x", "Value": ""}]) == \
        ("InvalidParameterValue", 400)
    many = [{"Key": f"k{i}", "Value": ""} for i in range(50)]
    assert code_of(ec2.create_tags, Resources=[group], Tags=many) == ("TagLimitExceeded", 400)
    assert len(ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"][0]["Tags"]) == 1


def test_lists_come_in_pages(ec2):
    made = [ec2.create_security_group(GroupName=f"page-{i}", Description="x")["GroupId"] for i in range(12)]
    pages = list(ec2.get_paginator("describe_security_groups").paginate(
        Filters=[{"Name": "group-name", "Values": ["page-*"]}], PaginationConfig={"PageSize": 5}))
    assert [len(page["SecurityGroups"]) for page in pages] == [5, 5, 2]
    assert sorted(entry["GroupId"] for page in pages for entry in page["SecurityGroups"]) == sorted(made)
    rules = ec2.get_paginator("describe_security_group_rules").paginate(PaginationConfig={"PageSize": 5})
    owners = [rule["GroupId"] for page in rules for rule in page["SecurityGroupRules"]]
    assert set(made) <= set(owners) and len(owners) == len(made) + 2 * len(set(owners) - set(made))
    assert code_of(ec2.describe_security_groups, NextToken="x" * 100) == ("InvalidParameterValue", 400)
    for group_id in made:
        ec2.delete_security_group(GroupId=group_id)


def test_a_dry_run_does_nothing(ec2):
    for call, arguments in ((ec2.describe_availability_zones, {}), (ec2.create_vpc, {"CidrBlock": "127.60.0.0/16"})):
        assert code_of(call, DryRun=True, **arguments) == ("DryRunOperation", 412)
    assert not ec2.describe_vpcs(Filters=[{"Name": "cidr", "Values": ["127.60.0.0/16"]}])["Vpcs"]


def test_the_network_survives_a_crash(control, ec2, vpc):
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="127.32.77.0/24")["Subnet"]["SubnetId"]
    group = ec2.create_security_group(GroupName="kept", Description="é is no ASCII".encode("ascii", "ignore").decode(),
                                      VpcId=vpc)["GroupId"]
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[
        {**NFS, "Ipv6Ranges": [{"CidrIpv6": "fd00::/8"}], "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}])
    before = ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"]
    control.kill9()
    control.start()
    wait_until(lambda: ec2.describe_vpcs(VpcIds=[vpc]), 10, "back")
    assert ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"] == before
    assert ec2.describe_subnets(SubnetIds=[subnet])["Subnets"][0]["CidrBlock"] == "127.32.77.0/24"
