"""The EFS API as boto3 and aws-cli see it: answers, errors, states, pages; and what a crash leaves."""

import json
import subprocess
import time
import urllib.request

import botocore.auth
import botocore.awsrequest
import botocore.credentials
import botocore.exceptions
import pytest

from control_alone import ACCOUNT, REGION, ControlAlone
from shoal_server import wait_until

ARN = f"arn:aws:elasticfilesystem:{REGION}:{ACCOUNT}"


@pytest.fixture(scope="module")
def control(tmp_path_factory):
    running = ControlAlone(tmp_path_factory.mktemp("control"))
    running.start()
    yield running
    running.close()


@pytest.fixture(scope="module")
def efs(control):
    return control.client()


@pytest.fixture(scope="module")
def subnets(control):
    return control.client("ec2").describe_subnets()["Subnets"]


def describe(efs, file_system_id):
    return efs.describe_file_systems(FileSystemId=file_system_id)["FileSystems"][0]


def make(efs, **arguments):
    """An available file system's id."""
    file_system_id = efs.create_file_system(**arguments)["FileSystemId"]
    wait_until(lambda: describe(efs, file_system_id)["LifeCycleState"] == "available", 10, "available")
    return file_system_id


def make_target(efs, file_system_id, subnet_id, **arguments):
    target = efs.create_mount_target(FileSystemId=file_system_id, SubnetId=subnet_id, **arguments)
    wait_until(lambda: efs.describe_mount_targets(MountTargetId=target["MountTargetId"])
               ["MountTargets"][0]["LifeCycleState"] == "available", 10, "available")
    return target


def remove(efs, file_system_id):
    """Deletes it with its targets and waits until it is gone."""
    for target in efs.describe_mount_targets(FileSystemId=file_system_id)["MountTargets"]:
        efs.delete_mount_target(MountTargetId=target["MountTargetId"])
    wait_until(lambda: not efs.describe_mount_targets(FileSystemId=file_system_id)["MountTargets"], 10,
               "no targets")
    efs.delete_file_system(FileSystemId=file_system_id)
    wait_until(lambda: is_gone(efs, file_system_id), 10, "gone")


def is_gone(efs, file_system_id):
    try:
        assert describe(efs, file_system_id)["LifeCycleState"] == "deleting"
    except efs.exceptions.FileSystemNotFound:
        return True
    return False


def error_of(call, **arguments):
    """(code, HTTP status, whole answer) of a call that has to fail."""
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        call(**arguments)
    answer = caught.value.response
    assert answer["ResponseMetadata"]["RequestId"]
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"], answer


def code_of(call, **arguments):
    return error_of(call, **arguments)[:2]


# --- file systems ---------------------------------------------------------------------------------

def test_a_new_file_system_is_described_as_efs_does(efs):
    made = efs.create_file_system(CreationToken="one", Tags=[{"Key": "Name", "Value": "first é"}])
    assert made["ResponseMetadata"]["HTTPStatusCode"] == 201
    assert made["LifeCycleState"] == "creating"
    wait_until(lambda: describe(efs, made["FileSystemId"])["LifeCycleState"] == "available", 10, "available")
    fs = describe(efs, made["FileSystemId"])
    assert fs["FileSystemArn"] == f"{ARN}:file-system/{fs['FileSystemId']}"
    assert len(fs["FileSystemId"]) == len("fs-") + 17
    assert (fs["OwnerId"], fs["CreationToken"], fs["Name"]) == (ACCOUNT, "one", "first é")
    assert (fs["PerformanceMode"], fs["ThroughputMode"], fs["Encrypted"]) == \
        ("generalPurpose", "bursting", False)
    assert (fs["NumberOfMountTargets"], fs["Tags"]) == (0, [{"Key": "Name", "Value": "first é"}])
    size = fs["SizeInBytes"]
    assert (size["Value"], size["ValueInIA"], size["ValueInStandard"]) == (6144, 0, 6144)
    assert abs(fs["CreationTime"].timestamp() - time.time()) < 60
    assert "ProvisionedThroughputInMibps" not in fs and "AvailabilityZoneName" not in fs
    assert describe(efs, fs["FileSystemArn"])["FileSystemId"] == fs["FileSystemId"]
    assert efs.describe_file_systems(CreationToken="one")["FileSystems"][0]["Name"] == "first é"
    remove(efs, fs["FileSystemId"])


def test_a_used_token_names_the_file_system_that_has_it(efs):
    file_system_id = make(efs, CreationToken="twice")
    code, status, answer = error_of(efs.create_file_system, CreationToken="twice")
    assert (code, status, answer["FileSystemId"]) == ("FileSystemAlreadyExists", 409, file_system_id)
    remove(efs, file_system_id)
    remove(efs, make(efs, CreationToken="twice"))


@pytest.mark.parametrize("arguments, code", [
    (dict(PerformanceMode="fast"), "BadRequest"),
    (dict(ThroughputMode="fast"), "BadRequest"),
    (dict(ThroughputMode="provisioned"), "BadRequest"),
    (dict(ProvisionedThroughputInMibps=5.0), "BadRequest"),
    (dict(ThroughputMode="provisioned", ProvisionedThroughputInMibps=5000.0), "ThroughputLimitExceeded"),
    (dict(ThroughputMode="elastic", PerformanceMode="maxIO"), "BadRequest"),
    (dict(KmsKeyId="alias/aws/elasticfilesystem"), "BadRequest"),
    (dict(Encrypted=True, KmsKeyId="alias/nobodys"), "BadRequest"),
    (dict(AvailabilityZoneName="mars-1a"), "UnsupportedAvailabilityZone"),
    (dict(AvailabilityZoneName="us-east-1a", PerformanceMode="maxIO"), "BadRequest"),
    (dict(Tags=[{"Key": "aws:x", "Value": ""}]), "BadRequest"),
    (dict(Tags=[{"Key": "a<b", "Value": ""}]), "BadRequest"),
    (dict(Tags=[{"Key": "k" * 129, "Value": ""}]), "BadRequest"),
    (dict(Tags=[{"Key": "k", "Value": "v" * 257}]), "BadRequest"),
    (dict(Tags=[{"Key": f"k{i}", "Value": ""} for i in range(51)]), "BadRequest"),
    (dict(CreationToken="é" * 65), "BadRequest"),
])
def test_wrong_input_is_refused_and_makes_nothing(control, arguments, code):
    efs = control.client(config=botocore.config.Config(parameter_validation=False))
    before = len(efs.describe_file_systems()["FileSystems"])
    assert code_of(efs.create_file_system, **{"CreationToken": "wrong", **arguments})[0] == code
    assert len(efs.describe_file_systems()["FileSystems"]) == before


def test_modes_are_kept(efs):
    file_system_id = make(efs, ThroughputMode="provisioned", ProvisionedThroughputInMibps=12.5,
                          PerformanceMode="maxIO", CreationToken="é" * 64)
    fs = describe(efs, file_system_id)
    assert (fs["ThroughputMode"], fs["ProvisionedThroughputInMibps"], fs["PerformanceMode"]) == \
        ("provisioned", 12.5, "maxIO")
    remove(efs, file_system_id)


def test_provisioned_throughput_can_only_grow_for_a_day(efs):
    file_system_id = make(efs)
    update = efs.update_file_system
    answer = update(FileSystemId=file_system_id, ThroughputMode="provisioned",
                    ProvisionedThroughputInMibps=10.0)
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 202
    assert answer["LifeCycleState"] == "updating"
    wait_until(lambda: describe(efs, file_system_id)["LifeCycleState"] == "available", 10, "available")
    assert code_of(update, FileSystemId=file_system_id, ThroughputMode="elastic") == ("TooManyRequests", 429)
    assert code_of(update, FileSystemId=file_system_id, ProvisionedThroughputInMibps=9.0) == \
        ("TooManyRequests", 429)
    update(FileSystemId=file_system_id, ProvisionedThroughputInMibps=11.0)
    wait_until(lambda: describe(efs, file_system_id)["LifeCycleState"] == "available", 10, "available")
    assert describe(efs, file_system_id)["ProvisionedThroughputInMibps"] == 11.0
    assert code_of(update, FileSystemId=file_system_id) == ("BadRequest", 400)
    assert code_of(update, FileSystemId="fs-0", ThroughputMode="elastic") == ("FileSystemNotFound", 404)
    remove(efs, file_system_id)


def test_file_systems_are_paged(efs):
    made = sorted(make(efs) for _ in range(5))
    first = efs.describe_file_systems(MaxItems=2)
    assert "Marker" not in first
    second = efs.describe_file_systems(MaxItems=2, Marker=first["NextMarker"])
    assert second["Marker"] == first["NextMarker"]
    pages = list(efs.get_paginator("describe_file_systems").paginate(PaginationConfig={"PageSize": 2}))
    assert [len(page["FileSystems"]) for page in pages] == [2, 2, 1]
    assert [fs["FileSystemId"] for page in pages for fs in page["FileSystems"]] == made
    exact = list(efs.get_paginator("describe_file_systems").paginate(PaginationConfig={"PageSize": 5}))
    assert len(exact) == 1 and "NextMarker" not in exact[0]
    for file_system_id in made:
        remove(efs, file_system_id)


def test_describing_refuses_what_efs_refuses(control):
    efs = control.client(config=botocore.config.Config(parameter_validation=False))
    describe_all = efs.describe_file_systems
    assert code_of(describe_all, FileSystemId="fs-1", CreationToken="x") == ("BadRequest", 400)
    assert code_of(describe_all, Marker="nonsense") == ("BadRequest", 400)
    assert code_of(describe_all, MaxItems=0) == ("BadRequest", 400)
    code, status, answer = error_of(describe_all, FileSystemId="unknown")
    assert (code, status) == ("FileSystemNotFound", 404)
    assert answer["Error"]["Message"] == "File system 'unknown' does not exist."
    assert describe_all(CreationToken="unknown")["FileSystems"] == []
    assert code_of(describe_all, FileSystemId=f"{ARN}:access-point/fsap-1")[0] == "FileSystemNotFound"
    assert code_of(efs.delete_file_system, FileSystemId="fs-12345678") == ("FileSystemNotFound", 404)


# --- mount targets --------------------------------------------------------------------------------

def test_one_mount_target_per_zone(efs, subnets):
    file_system_id = make(efs)
    targets = [make_target(efs, file_system_id, subnet["SubnetId"]) for subnet in subnets]
    for target, subnet in zip(targets, subnets):
        assert target["AvailabilityZoneName"] == subnet["AvailabilityZone"]
        assert target["AvailabilityZoneId"] == subnet["AvailabilityZoneId"]
        assert target["VpcId"] == subnet["VpcId"]
        assert target["IpAddress"].startswith("127.16.")
        assert target["NetworkInterfaceId"].startswith("eni-")
    assert describe(efs, file_system_id)["NumberOfMountTargets"] == 3
    assert code_of(efs.create_mount_target, FileSystemId=file_system_id,
                   SubnetId=subnets[1]["SubnetId"]) == ("MountTargetConflict", 409)
    assert code_of(efs.delete_file_system, FileSystemId=file_system_id) == ("FileSystemInUse", 409)
    pages = list(efs.get_paginator("describe_mount_targets").paginate(
        FileSystemId=file_system_id, PaginationConfig={"PageSize": 2}))
    assert [len(page["MountTargets"]) for page in pages] == [2, 1]
    groups = efs.describe_mount_target_security_groups(MountTargetId=targets[0]["MountTargetId"])
    assert len(groups["SecurityGroups"]) == 1
    efs.modify_mount_target_security_groups(MountTargetId=targets[0]["MountTargetId"],
                                            SecurityGroups=groups["SecurityGroups"])
    assert code_of(efs.modify_mount_target_security_groups, MountTargetId=targets[0]["MountTargetId"],
                   SecurityGroups=["sg-12345678"]) == ("SecurityGroupNotFound", 400)
    remove(efs, file_system_id)
    assert code_of(efs.describe_mount_targets, MountTargetId=targets[0]["MountTargetId"]) == \
        ("MountTargetNotFound", 404)


def test_addresses_can_be_chosen(efs, subnets):
    first, second = make(efs), make(efs)
    subnet_id = subnets[0]["SubnetId"]
    create = efs.create_mount_target
    for wrong in ("127.16.0.3", "127.16.15.255", "127.16.16.9", "10.0.0.1", "127.16.0.999"):
        assert code_of(create, FileSystemId=first, SubnetId=subnet_id, IpAddress=wrong) == \
            ("BadRequest", 400)
    target = make_target(efs, first, subnet_id, IpAddress="127.16.0.77")
    assert target["IpAddress"] == "127.16.0.77"
    assert code_of(create, FileSystemId=second, SubnetId=subnet_id, IpAddress="127.16.0.77") == \
        ("IpAddressInUse", 409)
    remove(efs, first)
    make_target(efs, second, subnet_id, IpAddress="127.16.0.77")
    remove(efs, second)


def test_mount_targets_refuse_what_efs_refuses(efs, subnets):
    one_zone = make(efs, AvailabilityZoneName="us-east-1b")
    fs = describe(efs, one_zone)
    assert (fs["AvailabilityZoneName"], fs["AvailabilityZoneId"]) == ("us-east-1b", "use1-az2")
    create, describe_all = efs.create_mount_target, efs.describe_mount_targets
    subnet_id = subnets[0]["SubnetId"]
    assert code_of(create, FileSystemId=one_zone, SubnetId=subnet_id) == ("AvailabilityZonesMismatch", 400)
    assert code_of(create, FileSystemId=one_zone, SubnetId="subnet-12345678") == ("SubnetNotFound", 400)
    assert code_of(create, FileSystemId="fs-12345678", SubnetId=subnet_id) == ("FileSystemNotFound", 404)
    assert code_of(create, FileSystemId=one_zone, SubnetId=subnets[1]["SubnetId"],
                   SecurityGroups=["sg-12345678"]) == ("SecurityGroupNotFound", 400)
    assert code_of(create, FileSystemId=one_zone, SubnetId=subnets[1]["SubnetId"],
                   SecurityGroups=[f"sg-1234567{i}" for i in range(6)]) == ("SecurityGroupLimitExceeded", 400)
    assert code_of(describe_all) == ("BadRequest", 400)
    assert code_of(describe_all, FileSystemId=one_zone, MountTargetId="fsmt-12345678") == ("BadRequest", 400)
    assert code_of(describe_all, AccessPointId="fsap-12345678") == ("AccessPointNotFound", 404)
    assert code_of(efs.delete_mount_target, MountTargetId="fsmt-12345678") == ("MountTargetNotFound", 404)
    assert code_of(efs.describe_mount_target_security_groups, MountTargetId="fsmt-12345678") == \
        ("MountTargetNotFound", 404)
    remove(efs, one_zone)


# --- access points --------------------------------------------------------------------------------

def test_an_access_point_is_described_as_efs_does(efs):
    file_system_id = make(efs)
    user = {"Uid": 4294967295, "Gid": 0, "SecondaryGids": list(range(16))}
    root = {"Path": "/a/b c/d/e",
            "CreationInfo": {"OwnerUid": 1000, "OwnerGid": 1000, "Permissions": "0755"}}
    made = efs.create_access_point(FileSystemId=file_system_id, ClientToken="pvc-1", PosixUser=user,
                                   RootDirectory=root, Tags=[{"Key": "Name", "Value": "n"}])
    point_id = made["AccessPointId"]
    wait_until(lambda: efs.describe_access_points(AccessPointId=point_id)
               ["AccessPoints"][0]["LifeCycleState"] == "available", 10, "available")
    point = efs.describe_access_points(AccessPointId=made["AccessPointArn"])["AccessPoints"][0]
    assert (point["PosixUser"], point["RootDirectory"], point["Name"]) == (user, root, "n")
    assert point["AccessPointArn"] == f"{ARN}:access-point/{point_id}"
    code, status, answer = error_of(efs.create_access_point, FileSystemId=file_system_id, ClientToken="pvc-1")
    assert (code, status, answer["AccessPointId"]) == ("AccessPointAlreadyExists", 409, point_id)
    other = make(efs)
    plain = efs.create_access_point(FileSystemId=other, ClientToken="pvc-1")
    assert plain["RootDirectory"] == {"Path": "/"} and "PosixUser" not in plain
    efs.delete_access_point(AccessPointId=point_id)
    wait_until(lambda: not efs.describe_access_points(FileSystemId=file_system_id)["AccessPoints"], 10, "gone")
    assert code_of(efs.describe_access_points, AccessPointId=point_id) == ("AccessPointNotFound", 404)
    remove(efs, file_system_id)
    remove(efs, other)  # access points do not keep a file system
    assert code_of(efs.delete_access_point, AccessPointId=plain["AccessPointId"]) == \
        ("AccessPointNotFound", 404)


@pytest.mark.parametrize("arguments", [
    dict(PosixUser={"Uid": 1}),
    dict(PosixUser={"Uid": -1, "Gid": 1}),
    dict(PosixUser={"Uid": 4294967296, "Gid": 1}),
    dict(PosixUser={"Uid": 1, "Gid": 1, "SecondaryGids": list(range(17))}),
    dict(RootDirectory={"Path": ""}),
    dict(RootDirectory={"Path": "relative"}),
    dict(RootDirectory={"Path": "/a/b/c/d/e"}),
    dict(RootDirectory={"Path": "/.hidden"}),
    dict(RootDirectory={"Path": "/a//b"}),
    dict(RootDirectory={"Path": "/a/"}),
    dict(RootDirectory={"Path": "/a$b"}),
    dict(RootDirectory={"Path": "/" + "x" * 100}),
    dict(RootDirectory={"Path": "/a", "CreationInfo": {"OwnerUid": 1, "OwnerGid": 1}}),
    dict(RootDirectory={"Path": "/a", "CreationInfo": {"OwnerUid": 1, "Permissions": "755"}}),
    dict(RootDirectory={"Path": "/a",
                        "CreationInfo": {"OwnerUid": 1, "OwnerGid": 1, "Permissions": "0789"}}),
    dict(ClientToken="t" * 65),
    dict(ClientToken=""),
])
def test_wrong_access_points_are_refused(control, efs, arguments):
    found = efs.describe_file_systems(CreationToken="for wrong points")["FileSystems"]
    file_system_id = found[0]["FileSystemId"] if found else make(efs, CreationToken="for wrong points")
    careless = control.client(config=botocore.config.Config(parameter_validation=False))
    assert code_of(careless.create_access_point,
                   **{"FileSystemId": file_system_id, "ClientToken": "t", **arguments}) == ("BadRequest", 400)
    assert efs.describe_access_points(FileSystemId=file_system_id)["AccessPoints"] == []


def test_access_points_are_paged(efs):
    file_system_id = make(efs)
    made = sorted(efs.create_access_point(FileSystemId=file_system_id)["AccessPointId"] for _ in range(7))
    pages, token = [], {}
    while not pages or token:  # Debian's botocore has no paginator for these
        pages.append(efs.describe_access_points(FileSystemId=file_system_id, MaxResults=3, **token))
        token = {"NextToken": pages[-1]["NextToken"]} if "NextToken" in pages[-1] else {}
    assert [len(page["AccessPoints"]) for page in pages] == [3, 3, 1]
    assert [p["AccessPointId"] for page in pages for p in page["AccessPoints"]] == made
    everything = efs.describe_access_points(MaxResults=1000)["AccessPoints"]
    assert {p["AccessPointId"] for p in everything} >= set(made)
    assert code_of(efs.describe_access_points, FileSystemId=file_system_id, AccessPointId=made[0]) == \
        ("BadRequest", 400)
    assert code_of(efs.describe_access_points, FileSystemId="fs-12345678") == ("FileSystemNotFound", 404)
    remove(efs, file_system_id)


# --- tags and settings ----------------------------------------------------------------------------

def test_tags_are_set_replaced_listed_and_taken_away(efs):
    file_system_id = make(efs)
    arn = f"{ARN}:file-system/{file_system_id}"
    point_id = efs.create_access_point(FileSystemId=file_system_id)["AccessPointId"]
    for resource in (file_system_id, arn, point_id):
        efs.tag_resource(ResourceId=resource, Tags=[{"Key": "a b", "Value": "1"}, {"Key": "c", "Value": ""}])
        efs.tag_resource(ResourceId=resource, Tags=[{"Key": "a b", "Value": "2+/=@"}])
        assert efs.list_tags_for_resource(ResourceId=resource)["Tags"] == \
            [{"Key": "a b", "Value": "2+/=@"}, {"Key": "c", "Value": ""}]
        first = efs.list_tags_for_resource(ResourceId=resource, MaxResults=1)
        second = efs.list_tags_for_resource(ResourceId=resource, MaxResults=1, NextToken=first["NextToken"])
        assert second["Tags"][0]["Key"] == "c" and "NextToken" not in second
        efs.untag_resource(ResourceId=resource, TagKeys=["a b", "c", "never there"])
        assert efs.list_tags_for_resource(ResourceId=resource)["Tags"] == []
    efs.create_tags(FileSystemId=file_system_id, Tags=[{"Key": "Name", "Value": "old way"}])
    assert describe(efs, file_system_id)["Name"] == "old way"
    assert efs.describe_tags(FileSystemId=file_system_id)["Tags"] == [{"Key": "Name", "Value": "old way"}]
    efs.delete_tags(FileSystemId=file_system_id, TagKeys=["Name"])
    assert efs.describe_tags(FileSystemId=file_system_id)["Tags"] == []
    many = [{"Key": f"k{i:02}", "Value": str(i)} for i in range(50)]
    efs.tag_resource(ResourceId=file_system_id, Tags=many)
    assert code_of(efs.tag_resource, ResourceId=file_system_id, Tags=[{"Key": "one more", "Value": ""}]) == \
        ("BadRequest", 400)
    pages = efs.get_paginator("describe_tags").paginate(
        FileSystemId=file_system_id, PaginationConfig={"PageSize": 20})
    assert [tag for page in pages for tag in page["Tags"]] == many
    assert code_of(efs.tag_resource, ResourceId="fs-1", Tags=many) == ("FileSystemNotFound", 404)
    assert code_of(efs.list_tags_for_resource, ResourceId="fsap-1") == ("AccessPointNotFound", 404)
    remove(efs, file_system_id)


def policy_of(file_system_id, *statements):
    arn = f"arn:aws:elasticfilesystem:us-east-1:000000000000:file-system/{file_system_id}"
    return json.dumps({"Version": "2012-10-17", "Statement": [
        {"Principal": {"AWS": "*"}, "Resource": arn, **statement} for statement in statements]})


def test_a_file_system_policy_is_put_shown_and_taken_away(efs):
    file_system_id = make(efs)
    policy = policy_of(file_system_id, {"Effect": "Allow", "Action": ["elasticfilesystem:ClientMount"]})
    put = efs.put_file_system_policy(FileSystemId=file_system_id, Policy=policy)
    assert (put["FileSystemId"], put["Policy"]) == (file_system_id, policy)
    assert efs.describe_file_system_policy(FileSystemId=file_system_id)["Policy"] == policy
    efs.delete_file_system_policy(FileSystemId=file_system_id)
    assert code_of(efs.describe_file_system_policy, FileSystemId=file_system_id) == ("PolicyNotFound", 404)
    assert code_of(efs.put_file_system_policy, FileSystemId="fs-1", Policy=policy) == ("FileSystemNotFound", 404)
    remove(efs, file_system_id)


@pytest.mark.parametrize("policy, reason", [
    ("{}", "1 to 256 statements"),
    ("no", "no JSON"),
    ('{"Statement": {"Effect": "Allow", "Action": "*"}}', "no Principal"),
    ('{"Statement": {"Effect": "Allow", "Principal": "*", "Action": "mount"}}', "is no action"),
])
def test_what_is_no_policy_is_refused(efs, policy, reason):
    file_system_id = make(efs)
    code, status, answer = error_of(efs.put_file_system_policy, FileSystemId=file_system_id, Policy=policy)
    assert (code, status) == ("InvalidPolicyException", 400)
    assert reason in answer["Error"]["Message"]
    assert code_of(efs.describe_file_system_policy, FileSystemId=file_system_id) == ("PolicyNotFound", 404)
    remove(efs, file_system_id)


def test_a_policy_denies_calls_and_does_not_lock_out_by_accident(efs):
    file_system_id = make(efs)
    denies = policy_of(file_system_id, {"Effect": "Deny", "Action": "elasticfilesystem:DeleteFileSystem"})
    efs.put_file_system_policy(FileSystemId=file_system_id, Policy=denies)
    assert code_of(efs.delete_file_system, FileSystemId=file_system_id) == ("AccessDeniedException", 403)
    assert efs.describe_file_systems(FileSystemId=file_system_id)["FileSystems"]
    locks_out = policy_of(file_system_id, {"Effect": "Deny", "Action": "*"})
    code, status, answer = error_of(efs.put_file_system_policy, FileSystemId=file_system_id, Policy=locks_out)
    assert (code, status) == ("InvalidPolicyException", 400)
    assert "BypassPolicyLockoutSafetyCheck" in answer["Error"]["Message"]
    efs.delete_file_system_policy(FileSystemId=file_system_id)
    remove(efs, file_system_id)


def test_a_policy_that_demands_tls_is_no_lock_out(efs):
    """The statement of EFS's console ("enforce in-transit encryption"): it is about mounts, and keeps nobody here out."""
    file_system_id = make(efs)
    policy = policy_of(file_system_id, {"Effect": "Allow", "Action": "elasticfilesystem:ClientMount"},
                       {"Effect": "Deny", "Action": "*", "Condition": {"Bool": {"aws:SecureTransport": "false"}}})
    efs.put_file_system_policy(FileSystemId=file_system_id, Policy=policy)
    assert efs.describe_file_system_policy(FileSystemId=file_system_id)["Policy"] == policy
    efs.put_file_system_policy(FileSystemId=file_system_id, Policy=policy)
    efs.delete_file_system_policy(FileSystemId=file_system_id)
    remove(efs, file_system_id)


# --- who asks, and how ----------------------------------------------------------------------------

def test_each_wrong_signature_has_its_error(control):
    assert code_of(control.client(aws_access_key_id="AKIAIOSFODNN7EXAMPLE").describe_file_systems) == \
        ("UnrecognizedClientException", 403)
    assert code_of(control.client(aws_secret_access_key="wrong").describe_file_systems) == \
        ("InvalidSignatureException", 403)
    code, status, answer = error_of(control.client(region_name="eu-west-1").describe_file_systems)
    assert (code, status) == ("InvalidSignatureException", 403)
    assert "Credential should be scoped to a valid region" in answer["Error"]["Message"]
    assert code_of(control.client(aws_session_token="token").describe_file_systems) == \
        ("UnrecognizedClientException", 403)
    unsigned = control.client(config=botocore.config.Config(signature_version=botocore.UNSIGNED))
    assert code_of(unsigned.describe_file_systems) == ("MissingAuthenticationTokenException", 403)
    assert code_of(control.client("sts", aws_secret_access_key="wrong").get_caller_identity) == \
        ("SignatureDoesNotMatch", 403)
    assert code_of(control.client("ec2", aws_access_key_id="AKIAIOSFODNN7EXAMPLE").describe_vpcs) == \
        ("AuthFailure", 401)


def signed_call(control, method, path, body=b"", service="elasticfilesystem", region=REGION):
    """(status, error name in the header, body) of a request that boto3 would never make."""
    key_id, secret = control.credentials
    request = botocore.awsrequest.AWSRequest(method=method, url=control.endpoint + path, data=body)
    credentials = botocore.credentials.Credentials(key_id, secret)
    botocore.auth.SigV4Auth(credentials, service, region).add_auth(request)
    sent = urllib.request.Request(control.endpoint + path, data=body or None, method=method,
                                  headers=dict(request.headers))
    try:
        with urllib.request.urlopen(sent) as answer:
            return answer.status, None, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers["x-amzn-ErrorType"], error.read()


def test_odd_requests_are_answered_in_efs_shape(control):
    for method, path, body, expected in (
            ("GET", "/2015-02-01/nothing", b"", (404, "UnknownOperationException")),
            ("PATCH", "/2015-02-01/file-systems", b"", (404, "UnknownOperationException")),
            ("GET", "/", b"", (404, "UnknownOperationException")),
            ("POST", "/2015-02-01/file-systems", b"{", (400, "BadRequest")),
            ("POST", "/2015-02-01/file-systems", b"[]", (400, "BadRequest")),
            ("POST", "/2015-02-01/file-systems", b'{"CreationToken":7}', (400, "BadRequest")),
            ("POST", "/2015-02-01/file-systems", b'{"CreationToken":"a","CreationToken":"b"}',
             (400, "BadRequest")),
            ("POST", "/2015-02-01/file-systems", b"[" * 100000, (400, "BadRequest")),
            ("POST", "/2015-02-01/file-systems", b"x" * (1 << 20) + b"x", (413, "RequestEntityTooLarge")),
            ("DELETE", "/2015-02-01/file-systems/%00", b"", (400, "BadRequest")),
            ("DELETE", "/2015-02-01/file-systems/" + "x" * 129, b"", (400, "BadRequest")),
            ("GET", "/2015-02-01/file-systems?MaxItems=x", b"", (400, "BadRequest")),
            # Not percent-encoded as it should be: there is no canonical form that both sides agree on.
            ("GET", "/2015-02-01/file-systems?a=%zz", b"", (403, "InvalidSignatureException"))):
        status, name, answer = signed_call(control, method, path, body)
        assert (status, name) == expected, (method, path, answer)
        assert json.loads(answer)["ErrorCode"] == name
    status, name, answer = signed_call(control, "GET", "/", service="s3")
    assert (status, name) == (404, "UnknownOperationException") and b"'s3'" in answer


def test_a_json_service_is_answered_in_its_own_shape(control):
    """Each protocol has errors of its own form; here JSON 1.1, before and after the signature was looked at."""
    status, name, answer = signed_call(control, "POST", "/", b"{}", service="shoal")
    assert (status, name) == (400, "UnknownOperationException")
    assert json.loads(answer)["__type"] == name and "X-Amz-Target" in json.loads(answer)["message"]
    status, name, answer = signed_call(control, "POST", "/", b"{}", service="shoal", region="eu-west-1")
    assert (status, json.loads(answer)["__type"]) == (403, "InvalidSignatureException")


def test_health_and_metrics_need_no_signature(control):
    assert json.load(urllib.request.urlopen(control.endpoint + "/health")) == {"status": "ok"}
    metrics = urllib.request.urlopen(control.endpoint + "/metrics").read().decode()
    assert 'shoal_api_request_duration_seconds_count{action="DescribeFileSystems"}' in metrics


def test_the_network_is_found_through_ec2(control, subnets):
    ec2 = control.client("ec2")
    assert [subnet["CidrBlock"] for subnet in subnets] == \
        ["127.16.0.0/20", "127.16.16.0/20", "127.16.32.0/20"]
    vpc = ec2.describe_vpcs()["Vpcs"][0]
    assert (vpc["CidrBlock"], vpc["IsDefault"]) == ("127.16.0.0/12", True)
    assert len(ec2.describe_vpcs(Filters=[{"Name": "isDefault", "Values": ["true"]}])["Vpcs"]) == 1
    by_zone = ec2.describe_subnets(Filters=[{"Name": "availability-zone", "Values": ["us-east-1b"]},
                                            {"Name": "vpc-id", "Values": ["no", "vpc-*"]}])["Subnets"]
    assert [subnet["SubnetId"] for subnet in by_zone] == [subnets[1]["SubnetId"]]
    assert ec2.describe_subnets(Filters=[{"Name": "tag:x", "Values": ["y"]}])["Subnets"] == []
    assert code_of(ec2.describe_subnets, SubnetIds=["subnet-1"]) == ("InvalidSubnetID.NotFound", 400)
    assert code_of(ec2.describe_subnets, Filters=[{"Name": "nonsense", "Values": ["y"]}]) == \
        ("InvalidParameterValue", 400)
    assert code_of(ec2.describe_instances) == ("InvalidAction", 400)
    zones = ec2.describe_availability_zones()["AvailabilityZones"]
    assert [zone["ZoneId"] for zone in zones] == ["use1-az1", "use1-az2", "use1-az3"]
    group = ec2.describe_security_groups()["SecurityGroups"][0]
    assert group["VpcId"] == vpc["VpcId"] and group["GroupName"] == "default"
    identity = control.client("sts").get_caller_identity()
    assert (identity["Account"], identity["Arn"]) == (ACCOUNT, f"arn:aws:iam::{ACCOUNT}:root")


def test_aws_cli_works_unchanged(control, subnets):
    def aws(*arguments):
        # Debian's aws-cli is older than AWS_ENDPOINT_URL.
        done = subprocess.run(["aws", "--endpoint-url", control.endpoint, "--output", "json", *arguments],
                              env=control.environment(), capture_output=True, text=True, timeout=60)
        return done.returncode, json.loads(done.stdout) if done.stdout.strip() else done.stderr

    _, made = aws("efs", "create-file-system", "--creation-token", "cli", "--tags", "Key=Name,Value=cli")
    file_system_id = made["FileSystemId"]
    wait_until(lambda: aws("efs", "describe-file-systems", "--file-system-id", file_system_id)[1]
               ["FileSystems"][0]["LifeCycleState"] == "available", 30, "available")
    status, error = aws("efs", "create-file-system", "--creation-token", "cli")
    assert status != 0 and "FileSystemAlreadyExists" in error
    _, tags = aws("efs", "list-tags-for-resource", "--resource-id", made["FileSystemArn"])
    assert tags["Tags"] == [{"Key": "Name", "Value": "cli"}]
    _, target = aws("efs", "create-mount-target", "--file-system-id", file_system_id,
                    "--subnet-id", subnets[0]["SubnetId"])
    assert aws("efs", "delete-mount-target", "--mount-target-id", target["MountTargetId"])[0] == 0
    remove(control.client(), file_system_id)


# --- crashes --------------------------------------------------------------------------------------

def test_creation_and_deletion_go_on_after_a_crash(tmp_path):
    control = ControlAlone(tmp_path)
    (tmp_path / "fail-create").touch()
    control.start()
    file_system_id = control.client().create_file_system(CreationToken="crash")["FileSystemId"]
    time.sleep(0.5)
    assert describe(control.client(), file_system_id)["LifeCycleState"] == "creating"
    control.kill9()
    (tmp_path / "fail-create").unlink()
    control.start()
    efs = control.client()
    wait_until(lambda: describe(efs, file_system_id)["LifeCycleState"] == "available", 10, "available")
    assert (tmp_path / "fs" / file_system_id).is_dir()
    efs.delete_file_system(FileSystemId=file_system_id)
    control.kill9()
    control.start()
    wait_until(lambda: is_gone(control.client(), file_system_id), 10, "gone")
    assert not (tmp_path / "fs" / file_system_id).exists()
    control.close()


def test_a_killed_server_forgets_nothing_it_answered(tmp_path):
    control = ControlAlone(tmp_path)
    control.start()
    known = set()
    for round_number in range(4):
        efs = control.client()
        for i in range(8):
            known.add(efs.create_file_system(CreationToken=f"{round_number}-{i}")["FileSystemId"])
        control.kill9()
        control.start()
        found = control.client().describe_file_systems()["FileSystems"]
        assert {fs["FileSystemId"] for fs in found} == known
    control.close()
