"""Each of the 31 operations of EFS against the model that boto3 ships: what must be there, what may be, what is refused.

The requests are made from the model and signed here, so that an SDK does not refuse first what the server has to. The model
is the newest that is installed: that of tools/python-env.sh where it has been run, else Debian's, which knows 30 operations;
what that does not know is in NEWER.
"""

import gzip
import json
import os
import pathlib
import re
import resource
import signal
import urllib.parse

import botocore.model
import botocore.session
import pytest

from control_alone import ControlAlone
from shoal_server import wait_until
from test_efs_api import code_of, control, efs, make, make_target, signed_call, subnets  # noqa: F401

ROOT = pathlib.Path(__file__).resolve().parents[2]


def newest_model():
    models = "lib/python3*/site-packages/botocore/data/efs/2015-02-01/service-2.json*"
    for path in (ROOT / ".venv-tests").glob(models):
        text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        return botocore.model.ServiceModel(json.loads(text), "efs")
    return botocore.session.get_session().get_service_model("efs")


MODEL = newest_model()
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
            "UpdateFileSystemProtection": {"ReplicationOverwriteProtection": "ENABLED"},
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
                                              name == "CreateReplicationConfiguration", SUCCESS.index(name)))
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

# What is never answered, and why. Those that no operation answers have no row in errors.def.
NEVER = {
    "ThrottlingException": "calls are not throttled",
    "InsufficientThroughputCapacity": "capacity is not sold out: there are no other customers",
    "DependencyTimeout": "deleting a mount target waits for nothing outside",
    ("CreateReplicationConfiguration", "ReplicationNotFound"): "nothing is looked for",
    ("CreateReplicationConfiguration", "ThroughputLimitExceeded"): "the destination has no amount of its own",
    ("CreateMountTarget", "UnsupportedAvailabilityZone"): "each subnet is in a zone that there is",
    ("PutBackupPolicy", "ValidationException"): "it tells of regions without a backup service",
    ("DescribeBackupPolicy", "ValidationException"): "it tells of regions without a backup service",
    ("DescribeReplicationConfigurations", "ValidationException"): "its members have no rules beyond BadRequest's",
    ("UpdateFileSystemProtection", "ThroughputLimitExceeded"): "it is not about throughput",
    ("UpdateFileSystemProtection", "TooManyRequests"): "it may be called at any time",
}
# Provoked by a test of its own below, or in the file that is named.
ELSEWHERE = {
    ("CreateAccessPoint", "AccessPointLimitExceeded"): "test_efs_scale.py",
    ("CreateFileSystem", "FileSystemLimitExceeded"): "test_efs_scale.py",
    ("CreateReplicationConfiguration", "FileSystemLimitExceeded"): "test_efs_scale.py",
    ("CreateMountTarget", "NoFreeAddressesInSubnet"): "test_ec2_api.py",
    ("CreateMountTarget", "NetworkInterfaceLimitExceeded"): "test_efs_scale.py",
    ("UpdateFileSystemProtection", "ReplicationAlreadyExists"): "test_efs_settings.py",
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


def of_creating_target(world, operation):
    """A mount target that stays `creating`: what the worker has to do for it comes after a creation that hangs."""
    file_system_id = make(world.efs)
    directory = pathlib.Path(world.control.directory)
    (directory / "hang-create").touch()
    world.efs.create_file_system()
    wait_until((directory / "hangs").exists, 10, "the creation hangs")
    target = world.efs.create_mount_target(FileSystemId=file_system_id, SubnetId=world.subnets[0]["SubnetId"])
    return {**world.input_of(operation), "MountTargetId": target["MountTargetId"]}


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
    ("DescribeMountTargetSecurityGroups", "IncorrectMountTargetState"): of_creating_target,
    ("ModifyMountTargetSecurityGroups", "IncorrectMountTargetState"): of_creating_target,
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
            for error in MODEL.operation_model(operation).error_shapes]


def is_never(operation, error):
    return error in NEVER or (operation, error) in NEVER


PROVOKED = [(operation, error) for operation, error in MODELLED
            if error not in GENERIC and not is_never(operation, error) and (operation, error) not in ELSEWHERE]


def test_no_modelled_error_is_forgotten():
    """Each is provoked by exactly one test, or is never answered for the reason that is given."""
    for operation, error in MODELLED:
        if error in GENERIC:  # BadRequest: test_members_are_checked_as_the_model_says; InternalServerError: below
            continue
        known = is_never(operation, error) + ((operation, error) in ELSEWHERE) + (recipe_for(operation, error) is not None)
        assert known == 1, (operation, error)
    rows = re.findall(r'^API_ERROR\(\s*\w+,\s*"(\w+)"', (ROOT / "src/control/errors.def").read_text(), re.MULTILINE)
    for never in NEVER:
        assert never not in rows, f"{never} is answered after all"
    for (operation, error), name in ELSEWHERE.items():
        assert error in (ROOT / "tests/proto" / name).read_text(), (operation, error)


def check_error(answer, operation, error):
    """The error's status, name, words and members, as the model has them."""
    status, name, body = answer
    shape = next(shape for shape in MODEL.error_shapes if shape.name == error)
    assert (name, status) == (error, shape.metadata["error"]["httpStatusCode"]), (operation, body)
    fields = json.loads(body)
    assert fields["ErrorCode"] == error and fields["Message"], operation
    assert set(shape.required_members) <= set(fields), (operation, error)


@pytest.mark.parametrize(("operation", "error"), PROVOKED)
def test_each_modelled_error_has_its_status_and_shape(world, operation, error):
    try:
        answer = world.call(operation, recipe_for(operation, error)(world, operation))
    finally:
        for flag in ("fail-create", "hang-create", "hangs"):
            (pathlib.Path(world.control.directory) / flag).unlink(missing_ok=True)
    check_error(answer, operation, error)


MODELS_BAD_REQUEST = [operation for operation, error in MODELLED if error == "BadRequest"]


def bad_inputs(world, operation):
    """Inputs that are wrong in one member."""
    good = world.input_of(operation)
    for name, member in MODEL.operation_model(operation).input_shape.members.items():
        for value in ["x" * 129, *wrong_values(name, member)]:
            yield {**good, name: value}


@pytest.mark.parametrize("operation", MODELS_BAD_REQUEST)
def test_each_operation_has_bad_requests(world, operation):
    """Not all wrong values are BadRequest, as some are no id of anything; but some are, for each operation."""
    answers = (world.call(operation, values) for values in bad_inputs(world, operation))
    check_error(next(answer for answer in answers if answer[1] == "BadRequest"), operation, "BadRequest")


def test_each_operation_tells_of_trouble_of_our_own(tmp_path):
    """Whatever reads meets a lack of memory, once; whatever changes something, a full disk."""
    control = ControlAlone(tmp_path)
    control.start()
    subnets = control.client("ec2").describe_subnets()["Subnets"]
    world = World(control, control.client(), subnets)
    policy = world.input_of("PutFileSystemPolicy")["Policy"]
    world.efs.put_file_system_policy(FileSystemId=world.fs, Policy=policy)
    world.efs.put_backup_policy(FileSystemId=world.fs, BackupPolicy={"Status": "DISABLED"})
    bare, source = make(world.efs), make(world.efs)
    world.efs.create_replication_configuration(SourceFileSystemId=source, Destinations=[{"Region": "us-east-1"}])
    modelled = [operation for operation, error in MODELLED if error == "InternalServerError"]
    reading = [operation for operation in modelled if MODEL.operation_model(operation).http["method"] == "GET"]
    reading.append("PutAccountPreferences")  # it changes nothing: ids are long always
    for operation in reading:
        wait_until(lambda: fails(world, operation), 10, operation)
        assert world.call(operation, world.input_of(operation))[0] == 200, operation
    _, hard = resource.prlimit(control.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(control.process.pid, resource.RLIMIT_FSIZE, (0, hard))
    for operation in sorted(set(modelled) - set(reading)):
        values = world.input_of(operation)
        if operation == "DeleteReplicationConfiguration":
            values = {"SourceFileSystemId": source}
        if operation == "DeleteFileSystem":
            values = {"FileSystemId": bare}
        check_error(world.call(operation, values), operation, "InternalServerError")
    control.kill9()


def fails(world, operation):
    """Whether the call met the lack of memory, which is there for whoever comes first."""
    os.kill(world.control.process.pid, signal.SIGUSR1)
    answer = world.call(operation, world.input_of(operation))
    if answer[0] == 200:
        return False
    check_error(answer, operation, "InternalServerError")
    return True
