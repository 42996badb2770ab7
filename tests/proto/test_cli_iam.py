"""shoal iam: a worker gets a key and rights of its own, from the command line."""

import json

import pytest

READ = {"Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "elasticfilesystem:Describe*", "Resource": "*"}]}
TRUST = {"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Principal": {"AWS": "000000000000"}, "Action": "sts:AssumeRole"}]}


@pytest.fixture
def shoal(server):
    """shoal(*words, status=0): the output of a command, or the sentence of a failure."""
    def call(*words, status=0):
        done = server.shoal(*words, "--data", str(server.data_dir), check=False)
        assert done.returncode == status, (words, done.returncode, done.stdout, done.stderr)
        return done.stdout if status == 0 else done.stderr
    return call


def test_a_worker_gets_a_key_and_rights(server, shoal, tmp_path):
    read, trust = tmp_path / "read.json", tmp_path / "trust.json"
    read.write_text(json.dumps(READ))
    trust.write_text(json.dumps(TRUST))
    shoal("iam", "create", "user/worker")
    shoal("iam", "create", "group/workers")
    shoal("iam", "create", "role/Nightly", str(trust))
    shoal("iam", "create", "policy/Reading", str(read))
    assert "worker" in shoal("iam", "list", "users") and "Nightly" in shoal("iam", "list", "roles")
    assert "AdministratorAccess" in shoal("iam", "list", "policies")
    key = json.loads(shoal("iam", "key", "worker", "-o", "json"))
    own = server.boto3_client("efs", aws_access_key_id=key["AccessKeyId"], aws_secret_access_key=key["SecretAccessKey"])
    assert shoal("iam", "simulate", "user/worker", "elasticfilesystem:DescribeTags").strip() == "implicitDeny"
    shoal("iam", "put", "group/workers", "read", str(read))
    shoal("iam", "join", "worker", "workers")
    assert shoal("iam", "simulate", "user/worker", "elasticfilesystem:DescribeTags").strip() == "allowed"
    assert own.describe_file_systems()["FileSystems"] == []
    shoal("iam", "attach", "role/Nightly", "Reading")
    shoal("iam", "attach", "user/worker", "AmazonElasticFileSystemClientReadOnlyAccess")
    assert "must" in shoal("iam", "delete", "user/worker", status=1)
    shoal("iam", "detach", "user/worker", "AmazonElasticFileSystemClientReadOnlyAccess")
    shoal("iam", "detach", "role/Nightly", "Reading")
    shoal("iam", "leave", "worker", "workers")
    for one in ("user/worker", "group/workers", "role/Nightly", "policy/Reading", "key/" + key["AccessKeyId"]):
        assert f"{one} would go" in shoal("iam", "delete", one, "--dry-run")
    assert "NoSuchEntity" in shoal("iam", "delete", "user/nobody", "--dry-run", status=1)
    shoal("iam", "delete", "key/" + key["AccessKeyId"], "--user", "worker")
    for one in ("user/worker", "role/Nightly", "policy/Reading"):
        shoal("iam", "delete", one)
    assert "worker" not in shoal("iam", "list", "users", "-o", "json")
    assert shoal("iam", "list", "things", status=2) and shoal("iam", "create", "thing/x", status=2)
