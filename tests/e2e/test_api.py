"""The EFS API as boto3 and aws-cli use it, from a new file system to its mount and its end."""

import collections
import json
import os
import shutil
import subprocess

import pytest

from shoal_server import wait_until

Export = collections.namedtuple("Export", "address port path")


def test_boto3_takes_a_file_system_through_its_life(client, server):
    efs = server.boto3_client()
    made = efs.create_file_system(CreationToken="life", Tags=[{"Key": "Name", "Value": "of a life"}])
    file_system_id = made["FileSystemId"]
    assert made["LifeCycleState"] in ("creating", "available")
    wait_until(lambda: describe(efs, file_system_id)["LifeCycleState"] == "available", 30, "available")
    assert describe(efs, file_system_id)["Name"] == "of a life"
    target = efs.create_mount_target(FileSystemId=file_system_id, SubnetId=server.subnets()[0])
    wait_until(lambda: target_states(efs, file_system_id) == ["available"], 30, "target available")
    with pytest.raises(efs.exceptions.FileSystemInUse):
        efs.delete_file_system(FileSystemId=file_system_id)
    with client.mounted(Export(target["IpAddress"], server.nfs_port, "/"), "life") as mount:
        client.call("sharing.write_file", f"{mount}/file", b"x" * 100_000)
        assert client.call("os.listdir", mount) == ["file"]
    efs.delete_mount_target(MountTargetId=target["MountTargetId"])
    wait_until(lambda: target_states(efs, file_system_id) == [], 30, "target gone")
    efs.delete_file_system(FileSystemId=file_system_id)
    wait_until(lambda: is_gone(efs, file_system_id), 30, "file system gone")


def describe(efs, file_system_id):
    return efs.describe_file_systems(FileSystemId=file_system_id)["FileSystems"][0]


def target_states(efs, file_system_id):
    found = efs.describe_mount_targets(FileSystemId=file_system_id)["MountTargets"]
    return [target["LifeCycleState"] for target in found]


def is_gone(efs, file_system_id):
    try:
        describe(efs, file_system_id)
    except efs.exceptions.FileSystemNotFound:
        return True
    return False


def test_a_client_learns_when_its_file_system_is_deleted(client, server):
    """An open mount gets an error, not another file system's files and not a hang."""
    efs = server.boto3_client()
    file_system_id, address = server.create_file_system(efs)
    mount = client.mount(Export(address, server.nfs_port, "/"), "deleted", options="softerr,timeo=50")
    client.call("sharing.write_file", f"{mount}/file", b"x")
    for target in efs.describe_mount_targets(FileSystemId=file_system_id)["MountTargets"]:
        efs.delete_mount_target(MountTargetId=target["MountTargetId"])
    wait_until(lambda: target_states(efs, file_system_id) == [], 30, "target gone")
    efs.delete_file_system(FileSystemId=file_system_id)
    wait_until(lambda: is_gone(efs, file_system_id), 30, "file system gone")
    with pytest.raises(OSError):
        client.call("names.drop_caches")
        client.call("sharing.read_file", f"{mount}/file")
    client.run("umount", "-f", "-l", mount)


def test_an_access_point_is_made_described_and_deleted(server):
    efs = server.boto3_client()
    file_system_id, _ = server.create_file_system(efs)
    made = efs.create_access_point(
        FileSystemId=file_system_id, PosixUser={"Uid": 1000, "Gid": 1000},
        RootDirectory={"Path": "/home", "CreationInfo": {
            "OwnerUid": 1000, "OwnerGid": 1000, "Permissions": "0750"}})
    access_point_id = made["AccessPointId"]
    found = efs.describe_access_points(AccessPointId=access_point_id)["AccessPoints"]
    assert [point["RootDirectory"]["Path"] for point in found] == ["/home"]
    efs.delete_access_point(AccessPointId=access_point_id)
    wait_until(lambda: has_no_access_point(efs, access_point_id), 30, "access point gone")


def has_no_access_point(efs, access_point_id):
    try:
        efs.describe_access_points(AccessPointId=access_point_id)
    except efs.exceptions.AccessPointNotFound:
        return True
    return False


def aws(server, *arguments):
    """Runs aws-cli with what `shoal env` exports; returns its JSON."""
    env = {**os.environ, **server.shell_env(), "AWS_PAGER": "", "AWS_EC2_METADATA_DISABLED": "true"}
    done = subprocess.run(["aws", *arguments, "--endpoint-url", server.endpoint, "--output", "json"],
                          env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout) if done.stdout.strip() else None


@pytest.mark.skipif(not shutil.which("aws") and os.environ.get("CI") != "true",
                    reason="aws-cli is not installed")
def test_aws_cli_makes_tags_and_deletes_a_file_system(server):
    made = aws(server, "efs", "create-file-system", "--creation-token", "from-the-cli")
    file_system_id = made["FileSystemId"]
    wait_until(lambda: aws(server, "efs", "describe-file-systems", "--file-system-id", file_system_id)
               ["FileSystems"][0]["LifeCycleState"] == "available", 30, "available")
    aws(server, "efs", "tag-resource", "--resource-id", file_system_id, "--tags", "Key=a,Value=b")
    tags = aws(server, "efs", "list-tags-for-resource", "--resource-id", file_system_id)["Tags"]
    assert {"Key": "a", "Value": "b"} in tags
    aws(server, "efs", "delete-file-system", "--file-system-id", file_system_id)


def test_up_is_a_contract_and_starts_only_one_daemon(own_server):
    """`shoal up --json` twice: the same service, keys and file system; `shoal down` ends it."""
    own_server.stop()
    first = own_server.up()
    assert set(first) >= {"endpoint", "region", "access_key_id", "secret_access_key", "account_id",
                          "file_system_id", "mount_targets", "nfs_port"}
    assert first["nfs_port"] == own_server.nfs_port
    assert first["endpoint"] == own_server.endpoint
    for target in first["mount_targets"]:
        assert set(target) >= {"id", "ip", "zone"}
    assert own_server.up() == first
    env = own_server.shell_env()
    assert env["AWS_ACCESS_KEY_ID"] == first["access_key_id"]
    efs = own_server.boto3_client()
    assert efs.describe_file_systems()["FileSystems"][0]["FileSystemId"] == first["file_system_id"]
    own_server.down()
    assert not own_server.is_serving()
