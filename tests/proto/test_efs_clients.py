"""What real clients of EFS do: the commands of a getting-started guide, the CSI driver's calls, Terraform's calls.

Sources: the EFS User Guide, "Getting started"; aws-efs-csi-driver, pkg/cloud and pkg/driver; the Terraform AWS provider's efs
resources. The sequences are replayed with aws-cli and boto3, with the polling that they do.
"""

import hashlib
import json
import subprocess

import pytest

from aws_cli import DEBIANS, AwsCli, current_python
from shoal_server import wait_until
from test_efs_api import ACCOUNT, code_of, control, efs, subnets  # noqa: F401


def guide(aws):
    """The guide's commands, in its order."""
    fs = aws("efs", "create-file-system", "--performance-mode", "generalPurpose", "--throughput-mode", "elastic",
             "--encrypted", "--tags", "Key=Project,Value=QuantTradingPhase4")
    fs_id = fs["FileSystemId"]
    assert fs["Tags"] == [{"Key": "Project", "Value": "QuantTradingPhase4"}]
    wait_until(lambda: aws("efs", "describe-file-systems", "--file-system-id", fs_id)
               ["FileSystems"][0]["LifeCycleState"] == "available", 30, "available")
    vpc = aws("ec2", "describe-vpcs", "--filters", "Name=isDefault,Values=true")["Vpcs"][0]["VpcId"]
    subnet = aws("ec2", "describe-subnets", "--filters", f"Name=vpc-id,Values={vpc}")["Subnets"][0]["SubnetId"]
    workers = aws("ec2", "create-security-group", "--group-name", "workers", "--description", "workers",
                  "--vpc-id", vpc)["GroupId"]
    group = aws("ec2", "create-security-group", "--group-name", "efs", "--description", "mount targets",
                "--vpc-id", vpc)["GroupId"]
    allowed = aws("ec2", "authorize-security-group-ingress", "--group-id", group, "--protocol", "tcp", "--port",
                  "2049", "--source-group", workers)
    assert allowed["SecurityGroupRules"][0]["ReferencedGroupInfo"]["GroupId"] == workers
    target = aws("efs", "create-mount-target", "--file-system-id", fs_id, "--subnet-id", subnet,
                 "--security-groups", group)
    wait_until(lambda: aws("efs", "describe-mount-targets", "--file-system-id", fs_id)
               ["MountTargets"][0]["LifeCycleState"] == "available", 30, "available")
    lifecycle = aws("efs", "put-lifecycle-configuration", "--file-system-id", fs_id, "--lifecycle-policies",
                    '[{"TransitionToIA":"AFTER_30_DAYS"},{"TransitionToPrimaryStorageClass":"AFTER_1_ACCESS"}]')
    assert lifecycle["LifecyclePolicies"] == [{"TransitionToIA": "AFTER_30_DAYS"},
                                              {"TransitionToPrimaryStorageClass": "AFTER_1_ACCESS"}]
    aws("efs", "delete-mount-target", "--mount-target-id", target["MountTargetId"])
    wait_until(lambda: not aws("efs", "describe-mount-targets", "--file-system-id", fs_id)["MountTargets"], 30,
               "no mount target")
    for group_id in (group, workers):
        aws("ec2", "delete-security-group", "--group-id", group_id)
    aws("efs", "delete-file-system", "--file-system-id", fs_id)
    assert fs["Encrypted"] is True


@pytest.mark.parametrize("which", ["Debian's", "current"])
def test_the_commands_of_a_getting_started_guide_run_as_they_are(control, which):
    python, endpoint = (DEBIANS, control.endpoint) if which == "Debian's" else (current_python(), None)
    with AwsCli(control.environment(), endpoint, python) as aws:
        guide(aws)


# --- the CSI driver --------------------------------------------------------------------------------

def csi_create(efs, fs_id, name, low=50000, high=7000000):
    """CreateVolume: the lowest gid that no access point has, then an access point with the volume's name as token."""
    assert len(efs.describe_file_systems(FileSystemId=fs_id)["FileSystems"]) == 1
    used, token = set(), {}
    while True:
        page = efs.describe_access_points(FileSystemId=fs_id, MaxResults=1000, **token)
        used |= {point["PosixUser"]["Gid"] for point in page["AccessPoints"] if "PosixUser" in point}
        if "NextToken" not in page:
            break
        token = {"NextToken": page["NextToken"]}
    gid = next(number for number in range(low, high) if number not in used)
    return efs.create_access_point(
        ClientToken=name, FileSystemId=fs_id, PosixUser={"Uid": gid, "Gid": gid},
        RootDirectory={"Path": f"/dynamic/{name}", "CreationInfo": {"OwnerUid": gid, "OwnerGid": gid,
                                                                    "Permissions": "700"}},
        Tags=[{"Key": "efs.csi.aws.com/cluster", "Value": "true"}])


def test_volumes_of_the_csi_driver_come_and_go(efs, subnets):
    fs_id = efs.create_file_system(CreationToken="csi", Encrypted=False)["FileSystemId"]
    wait_until(lambda: efs.describe_file_systems(FileSystemId=fs_id)["FileSystems"][0]["LifeCycleState"] ==
               "available", 10, "available")
    efs.create_mount_target(FileSystemId=fs_id, SubnetId=subnets[0]["SubnetId"])
    wait_until(lambda: efs.describe_mount_targets(FileSystemId=fs_id)["MountTargets"][0]["LifeCycleState"] ==
               "available", 10, "available")
    target = efs.describe_mount_targets(FileSystemId=fs_id)["MountTargets"][0]
    assert target["IpAddress"] and target["AvailabilityZoneName"] and target["AvailabilityZoneId"]
    names = [f"pvc-{number}" for number in range(3)] + [hashlib.sha256(b"claim").hexdigest()]
    points = [csi_create(efs, fs_id, name) for name in names]
    assert [point["PosixUser"]["Gid"] for point in points] == [50000, 50001, 50002, 50003]
    assert all(point["ClientToken"] and point["RootDirectory"]["Path"] for point in points)
    with pytest.raises(efs.exceptions.AccessPointAlreadyExists) as caught:
        csi_create(efs, fs_id, names[3])
    assert caught.value.response["AccessPointId"] == points[3]["AccessPointId"]
    efs.delete_access_point(AccessPointId=points[1]["AccessPointId"])
    wait_until(lambda: len(efs.describe_access_points(FileSystemId=fs_id)["AccessPoints"]) == 3, 10, "three")
    assert csi_create(efs, fs_id, "pvc-again")["PosixUser"]["Gid"] == 50001, "the gid is free again"
    assert code_of(efs.delete_access_point, AccessPointId=points[1]["AccessPointId"]) == ("AccessPointNotFound", 404)
    assert code_of(efs.describe_file_systems, FileSystemId="fs-00000000") == ("FileSystemNotFound", 404)
    efs.delete_mount_target(MountTargetId=target["MountTargetId"])
    wait_until(lambda: not efs.describe_mount_targets(FileSystemId=fs_id)["MountTargets"], 10, "none")
    efs.delete_file_system(FileSystemId=fs_id)


# --- Terraform -------------------------------------------------------------------------------------

def is_not_found(call, **arguments):
    try:
        call(**arguments)
    except Exception as error:  # noqa: BLE001 (any class of the client's own)
        return error.response["Error"]["Code"].endswith("NotFound")
    return False


def test_terraforms_resources_are_made_changed_and_destroyed(control, efs):
    ec2 = control.client("ec2")
    assert control.client("sts").get_caller_identity()["Account"] == ACCOUNT
    # aws_efs_file_system
    fs = efs.create_file_system(CreationToken="terraform-20261128", ThroughputMode="bursting",
                                Tags=[{"Key": "Name", "Value": "tf"}])
    fs_id = fs["FileSystemId"]

    def state():
        pages = list(efs.get_paginator("describe_file_systems").paginate(FileSystemId=fs_id))
        return pages[0]["FileSystems"][0]["LifeCycleState"]

    wait_until(lambda: state() == "available", 10, "available")
    efs.put_lifecycle_configuration(FileSystemId=fs_id, LifecyclePolicies=[{"TransitionToIA": "AFTER_30_DAYS"}])
    efs.update_file_system(FileSystemId=fs_id, ThroughputMode="provisioned", ProvisionedThroughputInMibps=10.0)
    wait_until(lambda: state() == "available", 10, "updated")
    assert efs.describe_file_systems(FileSystemId=fs_id)["FileSystems"][0]["ProvisionedThroughputInMibps"] == 10.0
    efs.put_lifecycle_configuration(FileSystemId=fs_id, LifecyclePolicies=[])
    # aws_efs_mount_target
    subnet = ec2.describe_subnets(SubnetIds=[ec2.describe_subnets()["Subnets"][0]["SubnetId"]])["Subnets"][0]
    target_id = efs.create_mount_target(FileSystemId=fs_id, SubnetId=subnet["SubnetId"])["MountTargetId"]
    wait_until(lambda: efs.describe_mount_targets(MountTargetId=target_id)["MountTargets"][0]["LifeCycleState"] ==
               "available", 10, "available")
    groups = efs.describe_mount_target_security_groups(MountTargetId=target_id)["SecurityGroups"]
    efs.modify_mount_target_security_groups(MountTargetId=target_id, SecurityGroups=groups)
    # aws_efs_access_point
    point_id = efs.create_access_point(FileSystemId=fs_id)["AccessPointId"]
    wait_until(lambda: efs.describe_access_points(AccessPointId=point_id)["AccessPoints"][0]["LifeCycleState"] ==
               "available", 10, "available")
    # aws_efs_file_system_policy
    policy = {"Version": "2012-10-17", "Statement": [{"Sid": "one", "Effect": "Allow", "Principal": {"AWS": "*"},
              "Action": ["elasticfilesystem:ClientMount"], "Resource": fs["FileSystemArn"]}]}
    efs.put_file_system_policy(FileSystemId=fs_id, Policy=json.dumps(policy))
    assert json.loads(efs.describe_file_system_policy(FileSystemId=fs_id)["Policy"]) == policy
    efs.delete_file_system_policy(FileSystemId=fs_id)
    assert is_not_found(efs.describe_file_system_policy, FileSystemId=fs_id)
    # aws_efs_backup_policy
    for wanted, passing in (("ENABLED", "ENABLING"), ("DISABLED", "DISABLING")):
        seen = efs.put_backup_policy(FileSystemId=fs_id, BackupPolicy={"Status": wanted})["BackupPolicy"]["Status"]
        assert seen == passing
        wait_until(lambda: efs.describe_backup_policy(FileSystemId=fs_id)["BackupPolicy"]["Status"] == wanted, 10, wanted)
    # tags
    efs.tag_resource(ResourceId=fs_id, Tags=[{"Key": "env", "Value": "test"}])
    efs.untag_resource(ResourceId=fs_id, TagKeys=["Name"])
    assert efs.list_tags_for_resource(ResourceId=fs_id)["Tags"] == [{"Key": "env", "Value": "test"}]
    # destroy, each with its polling
    efs.delete_access_point(AccessPointId=point_id)
    wait_until(lambda: is_not_found(efs.describe_access_points, AccessPointId=point_id), 10, "gone")
    efs.delete_mount_target(MountTargetId=target_id)
    wait_until(lambda: is_not_found(efs.describe_mount_targets, MountTargetId=target_id), 10, "gone")
    efs.delete_file_system(FileSystemId=fs_id)
    wait_until(lambda: is_not_found(efs.describe_file_systems, FileSystemId=fs_id), 10, "gone")


def test_the_first_command_of_the_guide_as_the_program_that_a_person_calls(control):
    done = subprocess.run(
        ["aws", "--endpoint-url", control.endpoint, "efs", "create-file-system", "--performance-mode", "generalPurpose",
         "--throughput-mode", "elastic", "--encrypted", "--tags", "Key=Project,Value=QuantTradingPhase4"],
        env=control.environment(), capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["Encrypted"] is True
