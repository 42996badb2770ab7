"""KMS, and encrypted file systems over the API and NFS: shapes, errors, keys that come and go, plain text on the disk."""

import contextlib
import json
import os
import pathlib
import re
import shutil
import urllib.request

import botocore.exceptions
import botocore.session
import pytest

import nfs4
import nfs_place
from aws_cli import AwsCli
from nfs4 import getattr_, getfh, lookup, putfh, read
import shoal_server

ROOT = pathlib.Path(__file__).resolve().parents[2]
ROW = re.compile(r'^TARGET\(\s*KMS,\s*(\w+),\s*(\w+),\s*"([^"]+)"', re.MULTILINE)
NFS4ERR_IO = "IO"
ACCOUNT = "000000000000"
LATER = {"PolicyName", "KeyId", "RotationPeriodInDays", "NextRotationDate"}  # members that older models lack
KEY_ARN = f"arn:aws:kms:us-east-1:{ACCOUNT}:key/"


@pytest.fixture(scope="module")
def kms(server):
    return server.boto3_client("kms")


@pytest.fixture(scope="module")
def efs(server):
    return server.boto3_client("efs")


def error_of(call, **arguments):
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        call(**arguments)
    return caught.value.response["Error"]["Code"]


# --- KMS ------------------------------------------------------------------------------------------

def test_each_row_is_an_operation_of_the_model():
    """RotateKeyOnDemand came to the model later than some distributions' botocore."""
    rows = ROW.findall((ROOT / "src/control/targets.def").read_text())
    model = botocore.session.get_session().get_service_model("kms")
    assert len(rows) >= 20
    assert {row[0] for row in rows} - set(model.operation_names) <= {"RotateKeyOnDemand"}
    for name, _, action in rows:
        assert action == f"kms:{name}"


def test_answers_have_no_members_that_the_model_does_not_know(server, kms):
    """Each operation once; botocore drops what it does not know, so the raw answers are compared."""
    model = botocore.session.get_session().get_service_model("kms")
    seen = {}

    def note(http_response, parsed, model, **_):
        seen[model.name] = http_response.content

    client = server.boto3_client("kms")
    client.meta.events.register("after-call.kms", note)
    key = client.create_key(Description="all", Tags=[{"TagKey": "a", "TagValue": "1"}])["KeyMetadata"]["KeyId"]
    client.describe_key(KeyId=key)
    client.list_keys()
    client.create_alias(AliasName="alias/shapes", TargetKeyId=key)
    client.update_alias(AliasName="alias/shapes", TargetKeyId=key)
    client.list_aliases()
    client.delete_alias(AliasName="alias/shapes")
    client.tag_resource(KeyId=key, Tags=[{"TagKey": "b", "TagValue": "2"}])
    client.untag_resource(KeyId=key, TagKeys=["a"])
    client.list_resource_tags(KeyId=key)
    client.update_key_description(KeyId=key, Description="new")
    client.get_key_policy(KeyId=key, PolicyName="default")
    client.list_key_policies(KeyId=key)
    client.enable_key_rotation(KeyId=key)
    client.get_key_rotation_status(KeyId=key)
    client.disable_key_rotation(KeyId=key)
    if hasattr(client, "rotate_key_on_demand"):
        client.rotate_key_on_demand(KeyId=key)
    client.disable_key(KeyId=key)
    client.enable_key(KeyId=key)
    client.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    client.cancel_key_deletion(KeyId=key)
    for name, content in seen.items():
        output = model.operation_model(name).output_shape
        members = set(output.members) if output is not None else set()
        answer = json.loads(content) if content else {}
        assert set(answer) - LATER <= members, name
        if "KeyMetadata" in answer:
            assert set(answer["KeyMetadata"]) <= set(output.members["KeyMetadata"].members)
    assert len(seen) >= 20


def test_a_key_from_its_creation_to_its_deletion(kms):
    made = kms.create_key(Description="mine", Tags=[{"TagKey": "team", "TagValue": "quant"}])["KeyMetadata"]
    key = made["KeyId"]
    assert made["Arn"] == KEY_ARN + key
    assert (made["KeyState"], made["Enabled"], made["KeyManager"]) == ("Enabled", True, "CUSTOMER")
    assert (made["KeySpec"], made["KeyUsage"], made["Origin"]) == ("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT", "AWS_KMS")
    assert kms.list_resource_tags(KeyId=key)["Tags"] == [{"TagKey": "team", "TagValue": "quant"}]
    assert {"KeyId": key, "KeyArn": made["Arn"]} in [
        item for page in kms.get_paginator("list_keys").paginate(PaginationConfig={"PageSize": 1})
        for item in page["Keys"]]
    kms.create_alias(AliasName="alias/mine", TargetKeyId=made["Arn"])
    for name in (key, made["Arn"], "alias/mine", f"arn:aws:kms:us-east-1:{ACCOUNT}:alias/mine"):
        assert kms.describe_key(KeyId=name)["KeyMetadata"]["KeyId"] == key
    [alias] = kms.list_aliases(KeyId=key)["Aliases"]
    assert (alias["AliasName"], alias["TargetKeyId"]) == ("alias/mine", key)
    kms.disable_key(KeyId=key)
    assert kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] == "Disabled"
    kms.enable_key(KeyId=key)
    assert kms.describe_key(KeyId=key)["KeyMetadata"]["Enabled"]
    planned = kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=8)
    assert (planned["KeyId"], planned["KeyState"]) == (made["Arn"], "PendingDeletion")
    assert kms.describe_key(KeyId=key)["KeyMetadata"]["DeletionDate"] == planned["DeletionDate"]
    assert error_of(kms.enable_key, KeyId=key) == "KMSInvalidStateException"
    assert kms.cancel_key_deletion(KeyId=key)["KeyId"] == made["Arn"]
    assert kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] == "Disabled"
    kms.delete_alias(AliasName="alias/mine")
    assert error_of(kms.describe_key, KeyId="alias/mine") == "NotFoundException"


def test_wrong_input_gets_the_models_errors(kms):
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    kms.create_alias(AliasName="alias/taken", TargetKeyId=key)
    other_region = f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/{key}"
    cases = [
        (kms.describe_key, {"KeyId": "nothing"}, "NotFoundException"),
        (kms.describe_key, {"KeyId": "alias/nothing"}, "NotFoundException"),
        (kms.describe_key, {"KeyId": "arn:aws:kms:x"}, "InvalidArnException"),
        (kms.describe_key, {"KeyId": other_region}, "InvalidArnException"),
        (kms.describe_key, {"KeyId": f"arn:aws:kms:us-east-1:{ACCOUNT}:grant/x"}, "InvalidArnException"),
        (kms.disable_key, {"KeyId": "alias/taken"}, "NotFoundException"),
        (kms.cancel_key_deletion, {"KeyId": key}, "KMSInvalidStateException"),
        (kms.schedule_key_deletion, {"KeyId": key, "PendingWindowInDays": 6}, "ValidationException"),
        (kms.schedule_key_deletion, {"KeyId": key, "PendingWindowInDays": 31}, "ValidationException"),
        (kms.create_alias, {"AliasName": "alias/taken", "TargetKeyId": key}, "AlreadyExistsException"),
        (kms.create_alias, {"AliasName": "alias/aws/mine", "TargetKeyId": key}, "InvalidAliasNameException"),
        (kms.create_alias, {"AliasName": "mine", "TargetKeyId": key}, "InvalidAliasNameException"),
        (kms.create_alias, {"AliasName": "alias/new", "TargetKeyId": "nothing"}, "NotFoundException"),
        (kms.update_alias, {"AliasName": "alias/nothing", "TargetKeyId": key}, "NotFoundException"),
        (kms.delete_alias, {"AliasName": "alias/nothing"}, "NotFoundException"),
        (kms.tag_resource, {"KeyId": key, "Tags": [{"TagKey": "aws:x", "TagValue": ""}]}, "TagException"),
        (kms.tag_resource, {"KeyId": key, "Tags": [{"TagKey": "k" * 129, "TagValue": ""}]}, "TagException"),
        (kms.list_resource_tags, {"KeyId": key, "Marker": "x"}, "InvalidMarkerException"),
        (kms.create_key, {"KeySpec": "RSA_2048"}, "UnsupportedOperationException"),
        (kms.create_key, {"Policy": "{}"}, "UnsupportedOperationException"),
        (kms.create_key, {"Tags": [{"TagKey": "a", "TagValue": ""}] * 2}, "TagException"),
        (kms.list_keys, {"Limit": 1001}, "ValidationException"),
    ]
    for call, arguments, expected in cases:
        loose = {**arguments}
        assert error_of(call, **loose) == expected, (call.__name__, arguments)


@pytest.mark.skipif(shutil.which("aws") is None, reason="aws-cli is not installed")
def test_the_aws_cli_makes_uses_and_disables_a_key(server):
    with AwsCli({**os.environ, **server.shell_env()}, server.endpoint) as aws:
        key = aws("kms", "create-key", "--description", "of the cli")["KeyMetadata"]["KeyId"]
        aws("kms", "create-alias", "--alias-name", "alias/cli", "--target-key-id", key)
        made = aws("efs", "create-file-system", "--encrypted", "--kms-key-id", "alias/cli", "--creation-token", "cli")
        assert made["KmsKeyId"] == KEY_ARN + key
        aws("kms", "disable-key", "--key-id", key)
        assert aws("kms", "describe-key", "--key-id", "alias/cli")["KeyMetadata"]["KeyState"] == "Disabled"
        aws("kms", "enable-key", "--key-id", key)
        assert key in [item["KeyId"] for item in aws("kms", "list-keys")["Keys"]]
        planned = aws("kms", "schedule-key-deletion", "--key-id", key, "--pending-window-in-days", "7")
        assert planned["KeyId"] == KEY_ARN + key
        aws("kms", "cancel-key-deletion", "--key-id", key)


def test_the_command_line_shows_and_changes_keys(server, kms):
    def shoal(*arguments):
        return server.shoal(*arguments, "--data", server.data_dir, "-o", "json").stdout

    key = json.loads(shoal("key", "create", "--alias", "people", "--description", "for people"))["KeyId"]
    assert json.loads(shoal("key", "show", "alias/people"))["Description"] == "for people"
    [listed] = [item for item in json.loads(shoal("key", "list")) if item["KeyId"] == key]
    assert listed["Aliases"] == ["alias/people"]
    shoal("key", "disable", key)
    assert kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] == "Disabled"
    shoal("key", "enable", "alias/people")
    shoal("key", "rotate", key)
    shoal("key", "alias", key, "others")
    assert kms.describe_key(KeyId="alias/others")["KeyMetadata"]["KeyId"] == key
    shoal("key", "delete", key, "--dry-run")
    assert kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] == "Enabled"
    shoal("key", "delete", key, "--days", "7")
    assert kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] == "PendingDeletion"
    shoal("key", "restore", key)
    assert kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] == "Disabled"
    assert "for people" in server.shoal("key", "list", "--data", server.data_dir).stdout


def test_unknown_operations_are_named_so(server, kms):
    assert error_of(kms.generate_random, NumberOfBytes=8) == "UnknownOperationException"


# --- CreateFileSystem -----------------------------------------------------------------------------

def available(efs, fs_id):
    shoal_server.wait_until(lambda: shoal_server.life_cycle_state(efs, fs_id) == "available", 30, f"{fs_id}")
    return efs.describe_file_systems(FileSystemId=fs_id)["FileSystems"][0]


def test_each_form_of_a_key_id_is_taken(efs, kms):
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    kms.create_alias(AliasName="alias/forms", TargetKeyId=key)
    for form in (key, KEY_ARN + key, "alias/forms", f"arn:aws:kms:us-east-1:{ACCOUNT}:alias/forms"):
        made = efs.create_file_system(CreationToken=form[-60:], Encrypted=True, KmsKeyId=form)
        assert (made["Encrypted"], made["KmsKeyId"]) == (True, KEY_ARN + key)
        assert available(efs, made["FileSystemId"])["KmsKeyId"] == KEY_ARN + key
        efs.delete_file_system(FileSystemId=made["FileSystemId"])


def test_the_default_key_is_the_services_own(efs, kms):
    made = efs.create_file_system(CreationToken="default", Encrypted=True)
    alias = kms.describe_key(KeyId="alias/aws/elasticfilesystem")["KeyMetadata"]
    assert made["KmsKeyId"] == alias["Arn"] and alias["KeyManager"] == "AWS"
    again = efs.create_file_system(CreationToken="default-2", Encrypted=True, KmsKeyId="alias/aws/elasticfilesystem")
    assert again["KmsKeyId"] == alias["Arn"]
    assert error_of(kms.schedule_key_deletion, KeyId=alias["KeyId"]) == "UnsupportedOperationException"
    plain = efs.create_file_system(CreationToken="plain")
    assert plain["Encrypted"] is False and "KmsKeyId" not in plain
    for fs in (made, again, plain):
        available(efs, fs["FileSystemId"])
        efs.delete_file_system(FileSystemId=fs["FileSystemId"])


def test_a_key_that_cannot_be_used_is_refused_and_nothing_is_made(efs, kms):
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    kms.disable_key(KeyId=key)
    for arguments in ({"KmsKeyId": key}, {"Encrypted": False, "KmsKeyId": key}, {"Encrypted": True, "KmsKeyId": key},
                      {"Encrypted": True, "KmsKeyId": "mrk-" + "0" * 32}, {"Encrypted": True, "KmsKeyId": "alias/no"},
                      {"Encrypted": True, "KmsKeyId": "arn:aws:kms:eu-west-1:000000000000:key/" + key}):
        assert error_of(efs.create_file_system, CreationToken="refused", **arguments) == "BadRequest", arguments
    assert efs.describe_file_systems(CreationToken="refused")["FileSystems"] == []


# --- over NFS -------------------------------------------------------------------------------------

SECRET = b"nobody-may-read-this-" + os.urandom(8).hex().encode()


class Mounted:
    """An encrypted file system of a server of its own, mounted by one client."""

    def __init__(self, server):
        self.server = server
        self.kms = server.boto3_client("kms")
        self.efs = server.boto3_client("efs")
        self.key = self.kms.create_key()["KeyMetadata"]["KeyId"]
        self.fs_id, self.ip = server.create_file_system(self.efs, CreationToken="e", Encrypted=True, KmsKeyId=self.key)

    @contextlib.contextmanager
    def session(self):
        session = nfs4.connect((self.ip, self.server.nfs_port))
        try:
            yield session
        finally:
            session.conn.close()

    def is_refused(self):
        """It could not be opened: RPC's SYSTEM_ERR, which clients show as an I/O error."""
        with nfs4.Conn((self.ip, self.server.nfs_port)) as conn:
            with pytest.raises(nfs4.RpcError) as caught:
                conn.compound(nfs4.exchange_id(b"c", os.urandom(8)))
        assert caught.value.args == ("accepted", 5)

    def status_of_read(self, session, fh):
        return session.run(putfh(fh), read(nfs4.BYPASS, 0, 100)).status


def test_a_disabled_key_stops_io_and_an_enabled_one_brings_it_back(own_server):
    mounted = Mounted(own_server)
    plain_id, plain_ip = own_server.create_file_system(mounted.efs, CreationToken="p")
    with mounted.session() as session:
        directory = nfs_place.new_directory(session)
        fh = directory.make(b"file", SECRET)
        mounted.kms.disable_key(KeyId=mounted.key)
        assert mounted.status_of_read(session, fh) == NFS4ERR_IO
        assert session.run(putfh(fh), getattr_(nfs4.SIZE)).status == NFS4ERR_IO
        assert "its key cannot be used" in own_server.log()
        with urllib.request.urlopen(own_server.endpoint + "/metrics") as answer:
            assert re.search(rb"^shoal_engine_key_failures_total [1-9]", answer.read(), re.M)
        mounted.kms.enable_key(KeyId=mounted.key)
        assert session.run(putfh(fh), read(nfs4.BYPASS, 0, 100)).ok().last.data == SECRET
        mounted.kms.schedule_key_deletion(KeyId=mounted.key, PendingWindowInDays=7)
        assert mounted.status_of_read(session, fh) == NFS4ERR_IO
    own_server.restart()
    session = nfs4.connect((plain_ip, own_server.nfs_port))
    nfs_place.new_directory(session).make(b"works", b"x")
    session.conn.close()
    mounted.is_refused()
    mounted.kms.cancel_key_deletion(KeyId=mounted.key)
    mounted.kms.enable_key(KeyId=mounted.key)
    with mounted.session() as session:
        assert session.run(putfh(fh), read(nfs4.BYPASS, 0, 100)).ok().last.data == SECRET


def test_a_rotated_key_wraps_the_data_key_again(own_server):
    mounted = Mounted(own_server)
    file = own_server.data_dir / "fs" / mounted.fs_id / "key"
    before = file.read_text()
    own_server.shoal("key", "rotate", mounted.key, "--data", own_server.data_dir)
    assert file.read_text() != before
    with mounted.session() as session:
        fh = nfs_place.new_directory(session).make(b"file", SECRET)
    own_server.restart()
    with mounted.session() as session:
        assert session.run(putfh(fh), read(nfs4.BYPASS, 0, 100)).ok().last.data == SECRET


def test_the_data_directory_holds_no_plain_text(own_server):
    mounted = Mounted(own_server)
    with mounted.session() as session:
        directory = nfs_place.new_directory(session)
        directory.make(SECRET, SECRET * 40)
        directory.make(b"big" + SECRET, SECRET * 2000)
        directory.run(nfs4.create(b"l" + SECRET, nfs4.LNK, {nfs4.MODE: 0o777}, data=SECRET)).ok()
        found = [path for path in own_server.data_dir.rglob("*") if path.is_file() and SECRET in path.read_bytes()]
        assert found == []
    own_server.kill9()
    own_server.start()
    with mounted.session() as session:
        assert session.run(putfh(directory.fh), lookup(SECRET), getfh()).ok()
    own_server.stop()
    files = [path for path in own_server.data_dir.rglob("*") if path.is_file()]
    assert len(files) > 20
    assert [path for path in files if SECRET in path.read_bytes()] == []


def test_a_missing_master_key_stops_only_what_is_encrypted(own_server):
    mounted = Mounted(own_server)
    plain_id, plain_ip = own_server.create_file_system(mounted.efs, CreationToken="p")
    with mounted.session() as session:
        fh = nfs_place.new_directory(session).make(b"file", SECRET)
    own_server.stop()
    master = own_server.data_dir / "keys" / "master-key"
    assert master.stat().st_mode & 0o777 == 0o600
    elsewhere = own_server.directory / "master"
    master.rename(elsewhere)
    own_server.start()
    assert mounted.kms.describe_key(KeyId=mounted.key)["KeyMetadata"]["KeyState"] == "Unavailable"
    assert "the master key is missing" in own_server.log()
    session = nfs4.connect((plain_ip, own_server.nfs_port))
    nfs_place.new_directory(session).make(b"works", b"x")
    session.conn.close()
    mounted.is_refused()
    own_server.stop()
    assert not master.exists()
    own_server.options += ["--set", f"keys.master={elsewhere}"]
    own_server.start()
    with mounted.session() as session:
        assert session.run(putfh(fh), read(nfs4.BYPASS, 0, 100)).ok().last.data == SECRET
