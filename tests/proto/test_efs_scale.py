"""The quotas of EFS, reached: 1,000 file systems, 10,000 access points in one, and a listing of them as CSI makes it."""

import http.client
import json
import pathlib
import tempfile

import botocore.auth
import botocore.awsrequest
import botocore.credentials
import pytest

from control_alone import REGION, ControlAlone
from shoal_server import wait_until
from test_efs_api import code_of, describe, efs, make  # noqa: F401


@pytest.fixture(scope="module")
def control():
    """In memory where that is possible: thousands of changes, each waiting for the disk, are not what is tested."""
    place = "/dev/shm" if pathlib.Path("/dev/shm").is_dir() else None
    with tempfile.TemporaryDirectory(dir=place) as directory:
        running = ControlAlone(pathlib.Path(directory))
        running.start()
        yield running
        running.close()


class Caller:
    """Signed POSTs over one connection, without an SDK: some ten times as many a second."""

    def __init__(self, control):
        self.control = control
        self.http = http.client.HTTPConnection("127.0.0.1", control.port)
        self.signer = botocore.auth.SigV4Auth(
            botocore.credentials.Credentials(*control.credentials), "elasticfilesystem", REGION)

    def post(self, path, body):
        data = json.dumps(body).encode()
        request = botocore.awsrequest.AWSRequest(method="POST", url=self.control.endpoint + path, data=data)
        self.signer.add_auth(request)
        self.http.request("POST", path, data, dict(request.headers))
        answer = self.http.getresponse()
        text = answer.read()
        assert answer.status in (200, 201), text


@pytest.fixture(scope="module")
def crowded(control, efs):
    """A file system with 10,000 access points."""
    file_system_id = make(efs)
    caller = Caller(control)
    for number in range(10000):
        caller.post("/2015-02-01/access-points", {"FileSystemId": file_system_id, "ClientToken": f"pvc-{number}",
                                                  "PosixUser": {"Uid": 50000 + number, "Gid": 50000 + number}})
    return file_system_id


def test_ten_thousand_access_points_are_listed_a_thousand_at_a_time(efs, crowded):
    assert code_of(efs.create_access_point, FileSystemId=crowded, ClientToken="one more") == \
        ("AccessPointLimitExceeded", 403)
    pages, token = [], {}
    while True:
        page = efs.describe_access_points(FileSystemId=crowded, MaxResults=1000, **token)
        pages.append(page["AccessPoints"])
        if "NextToken" not in page:
            break
        token = {"NextToken": page["NextToken"]}
    assert [len(page) for page in pages] == [1000] * 10
    gids = {point["PosixUser"]["Gid"] for page in pages for point in page}
    assert gids == set(range(50000, 60000)), "what the CSI driver allocates from"
    assert code_of(efs.create_access_point, FileSystemId=crowded, ClientToken="pvc-1234") == \
        ("AccessPointAlreadyExists", 409)
    one = pages[7][77]["AccessPointId"]
    assert efs.describe_access_points(AccessPointId=one)["AccessPoints"][0]["AccessPointId"] == one
    efs.delete_access_point(AccessPointId=one)
    wait_until(lambda: len(efs.describe_access_points(
        FileSystemId=crowded, MaxResults=1000)["AccessPoints"]) == 1000, 10, "there")
    assert efs.create_access_point(FileSystemId=crowded, ClientToken="one more")["AccessPointId"]


def test_a_crowded_file_system_is_deleted_with_all_its_access_points(control, efs, crowded):
    efs.delete_file_system(FileSystemId=crowded)
    wait_until(lambda: code_of(efs.describe_file_systems, FileSystemId=crowded) == ("FileSystemNotFound", 404)
               if gone(efs, crowded) else False, 60, "gone")
    assert efs.describe_access_points()["AccessPoints"] == []


def gone(efs, file_system_id):
    try:
        describe(efs, file_system_id)
    except efs.exceptions.FileSystemNotFound:
        return True
    return False


def test_a_thousand_file_systems_are_the_limit(control, efs):
    count = sum(len(page["FileSystems"]) for page in efs.get_paginator("describe_file_systems").paginate())
    caller = Caller(control)
    for number in range(1000 - count):
        caller.post("/2015-02-01/file-systems", {"CreationToken": f"fs-{number}"})
    assert code_of(efs.create_file_system) == ("FileSystemLimitExceeded", 403)
    source = efs.describe_file_systems(CreationToken="fs-0")["FileSystems"][0]["FileSystemId"]
    wait_until(lambda: describe(efs, source)["LifeCycleState"] == "available", 30, "available")
    assert code_of(efs.create_replication_configuration, SourceFileSystemId=source,
                   Destinations=[{"Region": "us-east-1"}]) == ("FileSystemLimitExceeded", 403)
    pages = efs.get_paginator("describe_file_systems").paginate(PaginationConfig={"PageSize": 300})
    ids = [entry["FileSystemId"] for page in pages for entry in page["FileSystems"]]
    assert len(ids) == len(set(ids)) == 1000


def test_a_vpc_has_1400_mount_targets_at_most(control, efs):
    """In the file systems that the test before has made; in another VPC there is room."""
    ec2 = control.client("ec2")
    subnets = [subnet["SubnetId"] for subnet in ec2.describe_subnets()["Subnets"]]
    pages = efs.get_paginator("describe_file_systems").paginate(PaginationConfig={"PageSize": 1000})
    entries = [entry for page in pages for entry in page["FileSystems"]]
    wait_until(lambda: all(describe(efs, entry["FileSystemId"])["LifeCycleState"] == "available" for entry in entries[:470]),
               60, "available")
    caller = Caller(control)
    made = 0
    for entry in entries[:467]:
        for subnet in subnets:
            if made < 1400:
                caller.post("/2015-02-01/mount-targets", {"FileSystemId": entry["FileSystemId"], "SubnetId": subnet})
                made += 1
    assert code_of(efs.create_mount_target, FileSystemId=entries[468]["FileSystemId"], SubnetId=subnets[0]) == \
        ("NetworkInterfaceLimitExceeded", 409)
    vpc = ec2.create_vpc(CidrBlock="127.200.0.0/16")["Vpc"]["VpcId"]
    other = ec2.create_subnet(VpcId=vpc, CidrBlock="127.200.0.0/24")["Subnet"]["SubnetId"]
    assert efs.create_mount_target(FileSystemId=entries[468]["FileSystemId"], SubnetId=other)["MountTargetId"]
