"""Security groups on the data plane: who gets a connection to a mount target, and who loses it when rules change."""

import json
import os
import socket

import nfs4
from nfs4 import putrootfh
import pytest

from shoal_server import wait_until
from test_ec2_api import NFS

SELF = "127.0.0.1"


@pytest.fixture(scope="module")
def ec2(server):
    return server.boto3_client("ec2")


@pytest.fixture(scope="module")
def efs(server):
    return server.boto3_client()


@pytest.fixture
def target(server, ec2, efs):
    """A mount target with a group of its own that lets nobody in yet."""
    file_system_id, address = server.create_file_system(efs)
    made = efs.describe_mount_targets(FileSystemId=file_system_id)["MountTargets"][0]
    group = ec2.create_security_group(GroupName=os.urandom(4).hex(), Description="x")["GroupId"]
    efs.modify_mount_target_security_groups(MountTargetId=made["MountTargetId"], SecurityGroups=[group])
    yield {"id": made["MountTargetId"], "address": address, "group": group}
    efs.delete_mount_target(MountTargetId=made["MountTargetId"])
    wait_until(lambda: not efs.describe_mount_targets(FileSystemId=file_system_id)["MountTargets"], 10, "gone")
    efs.delete_file_system(FileSystemId=file_system_id)
    ec2.delete_security_group(GroupId=group)


def allow(ec2, group, **peer):
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[{**NFS, **peer}])


def revoke(ec2, group, **peer):
    ec2.revoke_security_group_ingress(GroupId=group, IpPermissions=[{**NFS, **peer}])


def cidr(text):
    return {"IpRanges": [{"CidrIp": text}]}


def is_let_in(server, target, source=SELF):
    """Whether a NULL call is answered; a connection that is refused is closed at once."""
    with socket.create_connection((target["address"], server.nfs_port), 10, (source, 0)) as conn:
        conn.settimeout(10)
        try:
            conn.sendall(bytes.fromhex("80000028" "00000001" "00000000" "00000002" "000186a3" "00000004" "00000000")
                         + bytes(16))
            return conn.recv(100) != b""
        except ConnectionError:
            return False


def is_closed(session):
    try:
        session.run(putrootfh()).ok()
    except (nfs4.ConnectionClosed, ConnectionError):
        return True
    return False


def test_without_a_rule_nobody_gets_in(server, target):
    assert not is_let_in(server, target)


def test_a_network_is_let_in_by_its_cidr(server, ec2, target):
    allow(ec2, target["group"], **cidr("127.0.0.0/24"))
    assert is_let_in(server, target)
    assert is_let_in(server, target, "127.0.0.77")
    assert not is_let_in(server, target, "127.0.1.1")


def test_the_rule_has_to_be_about_nfs(server, ec2, target):
    for protocol, first, last in (("udp", 2049, 2049), ("tcp", 1, 2048), ("tcp", 2050, 65535)):
        ec2.authorize_security_group_ingress(GroupId=target["group"], IpPermissions=[
            {"IpProtocol": protocol, "FromPort": first, "ToPort": last, **cidr("0.0.0.0/0")}])
    assert not is_let_in(server, target)
    ec2.authorize_security_group_ingress(GroupId=target["group"], IpPermissions=[
        {"IpProtocol": "tcp", "FromPort": 2000, "ToPort": 3000, **cidr("127.0.0.1/32")}])
    assert is_let_in(server, target)


def test_members_of_a_source_group_are_let_in(server, ec2, target):
    """AddHost, ListHosts and RemoveHost of the service `shoal`, through the command line."""
    workers = ec2.create_security_group(GroupName=os.urandom(4).hex(), Description="x")["GroupId"]
    allow(ec2, target["group"], UserIdGroupPairs=[{"GroupId": workers}])
    assert not is_let_in(server, target, "127.0.0.9")
    server.shoal("host", "add", "127.0.0.9", "--group", workers, "--data", server.data_dir)
    assert is_let_in(server, target, "127.0.0.9")
    assert not is_let_in(server, target, "127.0.0.10")
    listed = json.loads(server.shoal("host", "list", "-o", "json", "--data", server.data_dir).stdout)
    assert {"127.0.0.9": [workers]}.items() <= {entry["Address"]: entry["GroupIds"] for entry in listed}.items()
    server.shoal("host", "rm", "127.0.0.9", "--data", server.data_dir)
    assert not is_let_in(server, target, "127.0.0.9")
    revoke(ec2, target["group"], UserIdGroupPairs=[{"GroupId": workers}])
    ec2.delete_security_group(GroupId=workers)


def test_a_connection_is_closed_when_its_rule_goes(server, ec2, target):
    allow(ec2, target["group"], **cidr("127.0.0.1/32"))
    session = nfs4.connect((target["address"], server.nfs_port))
    session.run(putrootfh()).ok()
    allow(ec2, target["group"], **cidr("192.0.2.0/24"))
    session.run(putrootfh()).ok()
    revoke(ec2, target["group"], **cidr("127.0.0.1/32"))
    wait_until(lambda: is_closed(session), 10, "the connection is closed")
    assert not is_let_in(server, target)


def test_a_connection_is_closed_when_the_groups_change(server, ec2, efs, target):
    allow(ec2, target["group"], **cidr("127.0.0.1/32"))
    session = nfs4.connect((target["address"], server.nfs_port))
    closed = ec2.create_security_group(GroupName=os.urandom(4).hex(), Description="x")["GroupId"]
    efs.modify_mount_target_security_groups(MountTargetId=target["id"], SecurityGroups=[closed])
    wait_until(lambda: is_closed(session), 10, "the connection is closed")
    efs.modify_mount_target_security_groups(MountTargetId=target["id"], SecurityGroups=[target["group"]])
    assert is_let_in(server, target)
    ec2.delete_security_group(GroupId=closed)


def test_this_machine_is_in_the_default_group_from_the_start(server, ec2, efs, target):
    """So whoever starts Shoal on one machine can mount at once; and may take that away."""
    default = ec2.describe_security_groups(GroupNames=["default"])["SecurityGroups"][0]["GroupId"]
    listed = json.loads(server.shoal("host", "list", "-o", "json", "--data", server.data_dir).stdout)
    assert [entry["GroupIds"] for entry in listed if entry["Address"] == SELF] == [[default]]
    efs.modify_mount_target_security_groups(MountTargetId=target["id"], SecurityGroups=[default])
    assert is_let_in(server, target)
    assert not is_let_in(server, target, "127.0.0.2"), "another machine is not"
    server.shoal("host", "rm", SELF, "--data", server.data_dir)
    assert not is_let_in(server, target)
    server.shoal("host", "add", SELF, "--group", default, "--data", server.data_dir)
    assert is_let_in(server, target)


def test_the_interface_of_a_mount_target_is_in_its_groups(server, ec2, target):
    allow(ec2, target["group"], UserIdGroupPairs=[{"GroupId": target["group"]}])
    assert is_let_in(server, target, target["address"])
    assert not is_let_in(server, target)


def test_the_pseudo_root_has_no_groups(server):
    nfs4.connect(("127.0.0.1", server.nfs_port)).run(putrootfh()).ok()


@pytest.mark.parametrize(("body", "error"), [
    ({"Address": "nonsense", "GroupIds": ["sg-1"]}, "ValidationException"),
    ({"Address": "10.0.0.1"}, "ValidationException"),
    ({"Address": "10.0.0.1", "GroupIds": ["sg-1"]}, "SecurityGroupNotFound")])
def test_a_wrong_host_is_refused(server, body, error):
    words = [] if "GroupIds" not in body else ["--group", ",".join(body["GroupIds"])]
    done = server.shoal("host", "add", body["Address"], *words, "--data", server.data_dir, check=False)
    assert done.returncode != 0
    if words:
        assert error in done.stderr
    listed = json.loads(server.shoal("host", "list", "-o", "json", "--data", server.data_dir).stdout)
    assert body["Address"] not in [entry["Address"] for entry in listed]


def test_a_host_that_is_not_there_cannot_be_removed(server):
    done = server.shoal("host", "rm", "192.0.2.1", "--data", server.data_dir, check=False)
    assert done.returncode != 0 and "HostNotFoundException" in done.stderr
