"""The audit log: a line for each call and each mount decision, without secrets; `shoal audit` asks it."""

import json

import botocore.exceptions
import pytest

import nfs4
import nfs_place
from shoal_server import wait_until


def lines_of(server, *options):
    done = server.shoal("audit", "--data", str(server.data_dir), "-o", "json", *options)
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture(scope="module")
def busy(server):
    """A service that was called and mounted in several ways; its clients."""
    address = nfs_place.mount_target(server)
    iam = server.boto3_client("iam")
    efs = server.boto3_client("efs")
    iam.create_user(UserName="audited")
    key = iam.create_access_key(UserName="audited")["AccessKey"]
    own = server.boto3_client("efs", aws_access_key_id=key["AccessKeyId"], aws_secret_access_key=key["SecretAccessKey"])
    with pytest.raises(botocore.exceptions.ClientError):
        own.create_file_system()
    wrong = server.boto3_client("efs", aws_secret_access_key="wrong")
    with pytest.raises(botocore.exceptions.ClientError):
        wrong.describe_file_systems()
    made = efs.create_access_point(FileSystemId=efs.describe_file_systems()["FileSystems"][0]["FileSystemId"])
    session = nfs4.connect(address)
    session.run(nfs4.putrootfh(), nfs4.getfh()).ok()
    session.conn.close()
    wait_until(lambda: lines_of(server, "--mounts"), 10, "the last line to be written")
    return {"key": key, "point": made["AccessPointId"], "fs": made["FileSystemId"]}


def test_each_call_leaves_a_line(server, busy):
    created = lines_of(server, "--action", "CreateUser")[-1]
    assert created["principal"].endswith(":root") and created["result"] == "ok" and created["status"] == 200
    assert created["service"] == "iam" and created["resource"].endswith(":user/audited") and created["source"]
    assert created["request"] and created["time"].endswith("Z")
    point = lines_of(server, "--resource", busy["point"])[-1]
    assert point["action"] == "CreateAccessPoint" and point["created"] == busy["point"]
    assert point["resource"].endswith(f":file-system/{busy['fs']}")


def test_what_was_refused_can_be_asked_for(server, busy):
    denied = lines_of(server, "--denied", "--user", "audited")
    assert [one["action"] for one in denied] == ["CreateFileSystem"]
    assert denied[0]["result"] == "AccessDeniedException" and denied[0]["denied"]
    unsigned = [one for one in lines_of(server, "--denied") if one["result"] == "InvalidSignatureException"]
    assert unsigned and "principal" not in unsigned[-1] and unsigned[-1]["key"].startswith("AKIA")


def test_mounts_leave_a_line(server, busy):
    mount = lines_of(server, "--mounts")[-1]
    assert mount["event"] == "mount" and mount["principal"] == "anonymous" and mount["source"].startswith("127.")
    assert mount["allowed"] == ["ClientMount", "ClientWrite", "ClientRootAccess"] and mount["file_system"].startswith("fs-")


def test_secrets_are_not_in_it(server, busy):
    text = "".join(path.read_text() for path in (server.data_dir / "audit").iterdir())
    assert busy["key"]["AccessKeyId"] in text and busy["key"]["SecretAccessKey"] not in text
    assert (server.data_dir / "audit" / "audit.log").stat().st_mode & 0o777 == 0o600


def test_a_directory_without_a_log_is_told(server, tmp_path):
    done = server.shoal("audit", "--data", str(tmp_path), check=False)
    assert done.returncode == 1 and "no audit log" in done.stderr


def test_times_limits_and_tables(server, busy):
    assert lines_of(server, "--since", "1h") and not lines_of(server, "--since", "2999-01-01")
    assert not lines_of(server, "--until", "2020-01-01")
    assert len(lines_of(server, "--limit", "2")) == 2
    assert "CreateUser" in server.shoal("audit", "--data", str(server.data_dir)).stdout
    for wrong in (["--since", "yesterday"], ["-o", "xml"], ["--limit", "many"], ["word"]):
        assert server.shoal("audit", "--data", str(server.data_dir), *wrong, check=False).returncode == 2
