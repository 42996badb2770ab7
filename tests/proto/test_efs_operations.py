"""Each of the 31 operations of EFS against the model that boto3 ships: what must be there, what may be, what is refused.

The requests are made from the model and signed here, so that an SDK does not refuse first what the server has to. The model
may be older than the reference (Debian's knows 30 operations); what it does not know is in NEWER.
"""

import json
import pathlib
import re
import urllib.parse

import botocore.session
import pytest

from shoal_server import wait_until
from test_efs_api import code_of, control, efs, make, make_target, signed_call, subnets  # noqa: F401

ROOT = pathlib.Path(__file__).resolve().parents[2]
MODEL = botocore.session.get_session().get_service_model("efs")
OPERATIONS = sorted(MODEL.operation_names)
NEWER = {"UpdateFileSystemProtection"}
GENERIC = {"BadRequest", "InternalServerError"}


class World:
    """Things that the operations are about."""

    def __init__(self, control, efs, subnets):
        self.control, self.efs, self.subnets = control, efs, subnets
        self.fs = make(efs, ThroughputMode="elastic")
        self.target = make_target(efs, self.fs, subnets[0]["SubnetId"])["MountTargetId"]
        self.point = efs.create_access_point(FileSystemId=self.fs, ClientToken="world")["AccessPointId"]

    def input_of(self, operation):
        """A valid input of the operation, with the members that have to be there."""
        policy = json.dumps({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "elasticfilesystem:ClientMount"}]})
        tags = [{"Key": "k", "Value": "v"}]
        fixed = {
            "CreateAccessPoint": {"ClientToken": "new", "FileSystemId": self.fs},
            "CreateFileSystem": {"CreationToken": "new"},
            "CreateMountTarget": {"FileSystemId": self.fs, "SubnetId": self.subnets[1]["SubnetId"]},
            "CreateReplicationConfiguration": {"Destinations": [{"Region": "us-east-1"}]},
            "CreateTags": {"Tags": tags}, "TagResource": {"Tags": tags},
            "DeleteTags": {"TagKeys": ["k"]}, "UntagResource": {"TagKeys": ["k"]},
            "DescribeMountTargets": {"FileSystemId": self.fs},
            "PutAccountPreferences": {"ResourceIdType": "LONG_ID"},
            "PutBackupPolicy": {"BackupPolicy": {"Status": "DISABLED"}},
            "PutFileSystemPolicy": {"Policy": policy},
            "PutLifecycleConfiguration": {"LifecyclePolicies": [{"TransitionToIA": "AFTER_7_DAYS"}]},
            "UpdateFileSystem": {"ThroughputMode": "elastic"},
        }
        in_path = {"FileSystemId": self.fs, "SourceFileSystemId": self.fs, "MountTargetId": self.target,
                   "AccessPointId": self.point, "ResourceId": self.fs}
        names = re.findall(r"{(\w+)}", MODEL.operation_model(operation).http["requestUri"])
        return {**{name: in_path[name] for name in names}, **fixed.get(operation, {})}

    def call(self, operation, values):
        """(status, error, body) of a call with these members, each where the model puts it."""
        model = MODEL.operation_model(operation)
        path, query, body = model.http["requestUri"], [], {}
        members = model.input_shape.members if model.input_shape else {}
        for name, value in values.items():
            place = members[name].serialization.get("location") if name in members else None
            word = members[name].serialization.get("name", name) if name in members else name
            if place == "uri":
                path = path.replace("{%s}" % word, urllib.parse.quote(str(value), safe=""))
            elif place == "querystring":
                query += [(word, item) for item in (value if isinstance(value, list) else [value])]
            else:
                body[word] = value
        if query:
            path += "?" + urllib.parse.urlencode(query, quote_via=urllib.parse.quote)
        data = json.dumps(body).encode() if body or model.http["method"] in ("POST", "PUT") else b""
        return signed_call(self.control, model.http["method"], path, data)


@pytest.fixture(scope="module")
def world(control, efs, subnets):
    return World(control, efs, subnets)


def wrong_values(name, shape):
    """Values that the model forbids for a member."""
    if shape.type_name == "string":
        if "max" in shape.metadata:
            yield "x" * (shape.metadata["max"] + 1)
        if shape.metadata.get("min", 0) > 0 and shape.serialization.get("location") != "uri":
            yield ""
        if shape.enum:
            yield "nonsense"
    elif shape.type_name in ("integer", "long"):
        yield 0
        yield "x"
    elif shape.type_name == "double":
        yield 0.5
        yield "x"
    elif shape.type_name == "list" and "max" in shape.metadata and shape.serialization.get("location") is None:
        yield [valid_element(shape.member)] * (shape.metadata["max"] + 1)
    if shape.serialization.get("location") is None:  # of the body: another type of JSON
        yield 7 if shape.type_name != "double" else [7]
        yield {"x": 1} if shape.type_name not in ("structure", "map") else "x"


def valid_element(shape):
    return "k" if shape.type_name == "string" else {}


def test_the_model_and_the_list_are_about_the_same_operations():
    rows = re.findall(r"^ACTION\(\s*(\w+)", (ROOT / "src/control/actions.def").read_text(), re.MULTILINE)
    assert set(rows) - NEWER == set(OPERATIONS) - NEWER and len(rows) == 31


@pytest.mark.parametrize("operation", OPERATIONS)
def test_members_are_checked_as_the_model_says(world, operation):
    """Whatever is wrong in one member is refused with a client's error, and nothing else happens."""
    shape = MODEL.operation_model(operation).input_shape
    members = shape.members if shape else {}
    required = set(shape.required_members if shape else [])
    good = world.input_of(operation)
    for name, member in members.items():
        place = member.serialization.get("location")
        if name in required and place != "uri":
            without = {key: value for key, value in good.items() if key != name}
            status, error, _ = world.call(operation, without)
            assert (status, error) == (400, "BadRequest"), (operation, name, "missing")
        if operation == "DescribeAccountPreferences":
            continue  # EFS has its members in the body of a GET, which does not reach every server: ours ignores it
        for value in wrong_values(name, member):
            if place == "uri" and len(str(value)) > 128:
                expected = {(400, "BadRequest")}
            else:
                expected = {(400, "BadRequest"), (404, "FileSystemNotFound"), (404, "AccessPointNotFound"),
                            (404, "MountTargetNotFound"), (400, "SubnetNotFound"), (400, "InvalidPolicyException"),
                            (400, "SecurityGroupLimitExceeded")}
            status, error, _ = world.call(operation, {**good, name: value})
            assert (status, error) in expected, (operation, name, str(value)[:80], status, error)


SUCCESS = [operation for operation in OPERATIONS if not operation.startswith("Delete")] + [
    "DeleteTags", "DeleteFileSystemPolicy", "DeleteReplicationConfiguration", "DeleteAccessPoint", "DeleteMountTarget",
    "DeleteFileSystem"]


def test_each_operation_succeeds_with_the_models_status_and_members(control, efs, subnets):
    """In an order in which each finds what it needs; outputs have the members that the model requires, of its types."""
    world = World(control, efs, [subnets[2], subnets[1]])
    order = sorted(SUCCESS, key=lambda name: (name.startswith("Delete"), name.startswith("Describe"),
                                              SUCCESS.index(name)))
    done = set()
    for operation in order:
        if operation in ("DescribeReplicationConfigurations", "DeleteReplicationConfiguration"):
            world.efs.describe_replication_configurations(FileSystemId=world.fs)
        if operation == "DeleteFileSystem":
            wait_until(lambda: not has_replication(efs, world.fs), 10, "no replication")
            for target in efs.describe_mount_targets(FileSystemId=world.fs)["MountTargets"]:
                if target["LifeCycleState"] == "available":
                    efs.delete_mount_target(MountTargetId=target["MountTargetId"])
            wait_until(lambda: not efs.describe_mount_targets(FileSystemId=world.fs)["MountTargets"], 10, "no targets")
        wait_until(lambda: efs.describe_file_systems(FileSystemId=world.fs)["FileSystems"][0]["LifeCycleState"] ==
                   "available", 10, "available")
        status, error, body = world.call(operation, world.input_of(operation))
        model = MODEL.operation_model(operation)
        assert (status, error) == (model.http.get("responseCode", 200), None), (operation, body)
        if model.output_shape is None or not model.output_shape.members:
            assert body == b"", operation
        else:
            check_output(operation, model.output_shape, json.loads(body))
        done.add(operation)
    assert done == set(OPERATIONS)


def has_replication(efs, file_system_id):
    try:
        return bool(efs.describe_replication_configurations(FileSystemId=file_system_id)["Replications"])
    except efs.exceptions.ReplicationNotFound:
        return False


def check_output(place, shape, value):
    """That a part of an answer is as the model says, down to its leaves."""
    kinds = {"string": str, "boolean": bool, "integer": int, "long": int, "double": (int, float),
             "timestamp": (int, float)}
    if shape.type_name == "structure":
        assert isinstance(value, dict), place
        assert set(shape.required_members) <= set(value), (place, set(shape.required_members) - set(value))
        for name, part in value.items():
            if name in shape.members:
                check_output(f"{place}.{name}", shape.members[name], part)
    elif shape.type_name == "list":
        assert isinstance(value, list), place
        for part in value:
            check_output(place + "[]", shape.member, part)
    else:
        assert isinstance(value, kinds[shape.type_name]), (place, value)
        if shape.type_name == "string" and shape.enum:
            assert value in shape.enum, (place, value)
        pattern = shape.metadata.get("pattern") if shape.type_name == "string" else None
        if pattern is not None and "\\p{" not in pattern:
            assert re.search(pattern, value), (place, value)


# --- errors ----------------------------------------------------------------------------------------

# What cannot be provoked from outside, and why.
NOT_HERE = {
    "InternalServerError": "trouble of our own; tests/unit/catalog makes the disk fail",
    "ThrottlingException": "calls are not throttled",
    "InsufficientThroughputCapacity": "capacity is not sold out: there are no other customers",
    "DependencyTimeout": "deleting a mount target waits for nothing outside",
    "NetworkInterfaceLimitExceeded": "interfaces are addresses of a subnet, of which NoFreeAddressesInSubnet tells",
    "ValidationException": "of backup policies: for regions without a backup service",
    "ReplicationNotFound": "of CreateReplicationConfiguration: nothing is looked for",
}
EXPLAINED = {("CreateReplicationConfiguration", "ReplicationNotFound"), ("PutBackupPolicy", "ValidationException"),
             ("DescribeBackupPolicy", "ValidationException"), ("DescribeReplicationConfigurations", "ValidationException"),
             ("CreateMountTarget", "NetworkInterfaceLimitExceeded"), ("DeleteMountTarget", "DependencyTimeout"),
             ("CreateReplicationConfiguration", "ThroughputLimitExceeded"),  # the destination has no amount of its own
             ("UpdateFileSystemProtection", "ThroughputLimitExceeded"),
             ("UpdateFileSystemProtection", "InsufficientThroughputCapacity"),
             ("UpdateFileSystemProtection", "TooManyRequests"),
             ("CreateMountTarget", "UnsupportedAvailabilityZone"),  # each subnet is in a zone that there is
             ("DescribeMountTargetSecurityGroups", "IncorrectMountTargetState"),  # a target is `creating` for
             ("ModifyMountTargetSecurityGroups", "IncorrectMountTargetState")}    # milliseconds: tests/unit/control
EXPLAINED |= {(operation, error) for operation in OPERATIONS
              for error in ("InternalServerError", "ThrottlingException", "InsufficientThroughputCapacity")}
# Provoked by a test of its own below, or in the file that is named.
ELSEWHERE = {
    ("CreateAccessPoint", "AccessPointLimitExceeded"): "test_efs_scale.py",
    ("CreateFileSystem", "FileSystemLimitExceeded"): "test_efs_scale.py",
    ("CreateReplicationConfiguration", "FileSystemLimitExceeded"): "test_efs_scale.py",
    ("CreateMountTarget", "NoFreeAddressesInSubnet"): "test_ec2_api.py",
}


def no_fs(world, operation):
    good = world.input_of(operation)
    key = "ResourceId" if "ResourceId" in good else "SourceFileSystemId" if "SourceFileSystemId" in good else "FileSystemId"
    return {**good, key: "fs-00000000"}


def creating_fs(world):
    """A file system that stays `creating`."""
    (pathlib.Path(world.control.directory) / "fail-create").touch()
    return world.efs.create_file_system()["FileSystemId"]


def of_creating_fs(world, operation):
    good = world.input_of(operation)
    key = "SourceFileSystemId" if "SourceFileSystemId" in good else "FileSystemId"
    return {**good, key: creating_fs(world)}


def of_used_address(world, _):
    address = world.efs.describe_mount_targets(MountTargetId=world.target)["MountTargets"][0]["IpAddress"]
    return {"FileSystemId": make(world.efs), "SubnetId": world.subnets[0]["SubnetId"], "IpAddress": address}


def of_target(**changes):
    return lambda world, operation: {**world.input_of(operation), **changes}


def of_one_zone(world, _):
    one_zone = make(world.efs, AvailabilityZoneName="us-east-1b")
    return {"FileSystemId": one_zone, "SubnetId": world.subnets[0]["SubnetId"]}


def of_locking_policy(world, operation):
    policy = json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Deny", "Principal": "*", "Action": "*"}]})
    return {**world.input_of(operation), "Policy": policy}


def of_locked_amount(world, _):
    file_system_id = make(world.efs, ThroughputMode="provisioned", ProvisionedThroughputInMibps=50.0)
    return {"FileSystemId": file_system_id, "ThroughputMode": "bursting"}


def of_bare_fs(world, operation):
    good = world.input_of(operation)
    return {**good, "SourceFileSystemId" if "SourceFileSystemId" in good else "FileSystemId": make(world.efs)}


def of_replicating_fs(world, operation):
    file_system_id = make(world.efs)
    world.efs.create_replication_configuration(SourceFileSystemId=file_system_id,
                                               Destinations=[{"Region": "us-east-1"}])
    return {**world.input_of(operation), "SourceFileSystemId": file_system_id}


SIX_GROUPS = [f"sg-1234567{i}" for i in range(6)]
PROVOKE = {
    ("CreateAccessPoint", "AccessPointAlreadyExists"): of_target(ClientToken="world"),
    ("CreateFileSystem", "FileSystemAlreadyExists"):
        lambda world, _: (world.efs.create_file_system(CreationToken="twice"), {"CreationToken": "twice"})[1],
    ("CreateFileSystem", "ThroughputLimitExceeded"):
        of_target(ThroughputMode="provisioned", ProvisionedThroughputInMibps=3415),
    ("CreateFileSystem", "UnsupportedAvailabilityZone"): of_target(AvailabilityZoneName="mars-1a"),
    ("CreateMountTarget", "MountTargetConflict"):
        lambda world, _: {"FileSystemId": world.fs, "SubnetId": world.subnets[0]["SubnetId"]},
    ("CreateMountTarget", "SubnetNotFound"): of_target(SubnetId="subnet-00000000"),
    ("CreateMountTarget", "IpAddressInUse"): of_used_address,
    ("CreateMountTarget", "SecurityGroupLimitExceeded"): of_target(SecurityGroups=SIX_GROUPS),
    ("CreateMountTarget", "SecurityGroupNotFound"): of_target(SecurityGroups=SIX_GROUPS[:1]),
    ("CreateMountTarget", "AvailabilityZonesMismatch"): of_one_zone,
    ("CreateReplicationConfiguration", "ValidationException"): of_target(Destinations=[{"Region": "eu-west-1"}]),
    ("CreateReplicationConfiguration", "UnsupportedAvailabilityZone"):
        of_target(Destinations=[{"AvailabilityZoneName": "mars-1a"}]),
    ("CreateReplicationConfiguration", "ConflictException"): of_replicating_fs,
    ("DeleteReplicationConfiguration", "ReplicationNotFound"): of_bare_fs,
    ("DescribeReplicationConfigurations", "ReplicationNotFound"):
        lambda world, _: {"FileSystemId": make(world.efs)},
    ("DeleteFileSystem", "FileSystemInUse"): of_target(),
    ("DescribeBackupPolicy", "PolicyNotFound"): of_bare_fs,
    ("DescribeFileSystemPolicy", "PolicyNotFound"): of_bare_fs,
    ("ModifyMountTargetSecurityGroups", "SecurityGroupLimitExceeded"): of_target(SecurityGroups=SIX_GROUPS),
    ("ModifyMountTargetSecurityGroups", "SecurityGroupNotFound"): of_target(SecurityGroups=SIX_GROUPS[:1]),
    ("PutFileSystemPolicy", "InvalidPolicyException"): of_locking_policy,
    ("UpdateFileSystem", "ThroughputLimitExceeded"):
        of_target(ThroughputMode="provisioned", ProvisionedThroughputInMibps=3415),
    ("UpdateFileSystem", "TooManyRequests"): of_locked_amount,
    ("UpdateFileSystemProtection", "ReplicationAlreadyExists"): None,  # test_efs_settings.py: not in every model
}


def recipe_for(operation, error):
    if (operation, error) in PROVOKE:
        return PROVOKE[(operation, error)]
    members = MODEL.operation_model(operation).input_shape.members
    if error == "FileSystemNotFound":
        return no_fs
    if error == "IncorrectFileSystemLifeCycleState":
        return of_creating_fs
    if error == "AccessPointNotFound":
        key = "ResourceId" if "ResourceId" in members else "AccessPointId"
        return lambda world, op: {**{name: value for name, value in world.input_of(op).items() if name != "FileSystemId"},
                                  key: "fsap-00000000000000000"}
    if error == "MountTargetNotFound":
        return lambda world, op: {**{name: value for name, value in world.input_of(op).items() if name != "FileSystemId"},
                                  "MountTargetId": "fsmt-00000000"}
    return None


MODELLED = [(operation, error.name) for operation in OPERATIONS
            for error in MODEL.operation_model(operation).error_shapes
            if error.name != "BadRequest"]


def test_no_modelled_error_is_forgotten():
    for operation, error in MODELLED:
        known = ((operation, error) in EXPLAINED) + ((operation, error) in ELSEWHERE) + \
            (recipe_for(operation, error) is not None or (operation, error) in PROVOKE)
        assert known == 1, (operation, error)
        if (operation, error) in EXPLAINED:
            assert error in NOT_HERE or operation == "UpdateFileSystemProtection" or \
                (operation, error) in EXPLAINED, (operation, error)
    for (operation, error), name in ELSEWHERE.items():
        assert error in (ROOT / "tests/proto" / name).read_text(), (operation, error)


@pytest.mark.parametrize(("operation", "error"), [pair for pair in MODELLED
                                                  if pair not in EXPLAINED and pair not in ELSEWHERE])
def test_each_modelled_error_has_its_status_and_shape(world, operation, error):
    recipe = recipe_for(operation, error)
    if recipe is None:
        pytest.skip("shown in test_efs_settings.py")
    try:
        status, name, body = world.call(operation, recipe(world, operation))
    finally:
        (pathlib.Path(world.control.directory) / "fail-create").unlink(missing_ok=True)
    shape = next(shape for shape in MODEL.error_shapes if shape.name == error)
    assert (name, status) == (error, shape.metadata["error"]["httpStatusCode"]), body
    answer = json.loads(body)
    assert answer["ErrorCode"] == error and answer["Message"]
    assert set(shape.required_members) <= set(answer), (operation, error)
