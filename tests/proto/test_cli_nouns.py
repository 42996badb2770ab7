"""shoal fs, mt, ap, policy and tag: what people do with the API's resources, against a running shoald."""

import json
import re

import pytest
from shoal_server import wait_until

LOCKING_OUT = {"Statement": [{"Effect": "Deny", "Principal": "*", "Action": "*", "Resource": "*"}]}
READ_ONLY = {"Version": "2012-10-17",
             "Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"},
                            "Action": ["elasticfilesystem:ClientMount"], "Resource": "*"}]}


@pytest.fixture(autouse=True)
def data_dir(server):
    """No command has to say --data."""
    server.env["SHOAL_DATA"] = str(server.data_dir)


@pytest.fixture
def shoal(server):
    """shoal(*words): its standard output; it must succeed."""
    def call(*words):
        done = server.shoal(*words, check=False)
        assert done.returncode == 0, f"shoal {words}: {done.returncode}\n{done.stderr}"
        return done.stdout
    return call


@pytest.fixture
def refused(server):
    """refused(*words, status=1): the sentence of a command that fails."""
    def call(*words, status=1):
        done = server.shoal(*words, check=False)
        assert done.returncode == status, (done.returncode, done.stdout, done.stderr)
        assert done.stderr.splitlines()[-1].startswith("shoal: "), done.stderr
        return done.stderr
    return call


def as_json(text):
    return json.loads(text)


@pytest.fixture
def fs(shoal):
    """The id of a file system without mount targets, deleted afterwards."""
    made = shoal("fs", "create", "--no-targets", "noun test").strip()
    yield made
    shoal("fs", "delete", made, "--with-targets", "--yes")


def test_a_file_system_is_made_with_a_mount_target_in_each_zone_and_deleted(server, shoal, refused):
    made = shoal("fs", "create", "team", "--tags", "Project=Quant,Stage=dev").strip()
    assert re.fullmatch("fs-[0-9a-f]{17}", made)
    table = shoal("fs", "list")
    assert re.search(rf"^{made}  +team  +available  +6\.0 KiB  +3  +bursting ", table, re.M), table
    shown = as_json(shoal("fs", "show", "team", "-o", "json"))
    assert shown["FileSystemId"] == made
    assert {tag["Key"]: tag["Value"] for tag in shown["Tags"]} == {
        "Name": "team", "Project": "Quant", "Stage": "dev"}
    assert {t["LifeCycleState"] for t in shown["MountTargets"]} == {"available"}
    assert len(shown["MountTargets"]) == len(server.subnets())

    preview = shoal("fs", "delete", "team", "--dry-run")
    assert "6.0 KiB of files" in preview and "3 mount targets: fsmt-" in preview
    assert "refused while there are mount targets" in preview and "Nothing was changed." in preview
    facts = as_json(shoal("fs", "delete", "team", "--dry-run", "-o", "json"))
    assert facts["IsBlockedByMountTargets"] is True and len(facts["MountTargets"]) == 3

    assert "say --yes" in refused("fs", "delete", "team", status=2)
    assert "FileSystemInUse" in refused("fs", "delete", "team", "--yes")
    assert shoal("fs", "delete", "team", "--with-targets", "--yes") == f"{made} is deleted\n"
    assert "There is no file system team" in refused("fs", "show", "team")


def test_results_are_tables_json_or_yaml(shoal, refused, fs):
    rows = as_json(shoal("fs", "list", "-o", "json"))
    assert fs in [row["FileSystemId"] for row in rows]
    yaml = shoal("fs", "show", fs, "-o", "yaml")
    assert re.search(rf"^FileSystemId: {fs}$", yaml, re.M)
    assert re.search(r'^CreationToken: ', yaml, re.M)
    assert re.search(r"^OwnerId: \"\d{12}\"$", yaml, re.M), yaml  # a string of digits stays one
    assert re.search(r"^Encrypted: false$", yaml, re.M)
    assert yaml == shoal("fs", "show", fs)
    assert shoal("fs", "list").startswith("ID ")
    assert "-o is table, json or yaml, not xml" in refused("fs", "list", "-o", "xml", status=2)


def test_yaml_is_read_back_by_others_as_the_same(shoal, fs):
    yaml = pytest.importorskip("yaml")
    shoal("tag", "set", fs, "a=yes", "b=", "c=x: y", "d=1.5", "e=null", "f=été", "g=- z", "h=0x1F")
    assert yaml.safe_load(shoal("fs", "show", fs)) == as_json(shoal("fs", "show", fs, "-o", "json"))


def test_a_creation_token_is_used_once(shoal, refused, fs):
    made = shoal("fs", "create", "--token", "noun-token", "--no-targets").strip()
    said = refused("fs", "create", "--token", "noun-token", "--no-targets")
    assert "FileSystemAlreadyExists" in said
    shoal("fs", "delete", made, "--yes")


def test_throughput_and_protection_are_changed(shoal, refused, fs):
    assert shoal("fs", "update", fs, "--throughput", "provisioned", "--mibps", "64",
                 "--protection", "off") == f"{fs} changed\n"
    shown = as_json(shoal("fs", "show", fs, "-o", "json"))
    assert shown["ThroughputMode"] == "provisioned" and shown["ProvisionedThroughputInMibps"] == 64
    assert shown["FileSystemProtection"]["ReplicationOverwriteProtection"] == "DISABLED"
    assert "TooManyRequests" in refused("fs", "update", fs, "--mibps", "32")
    assert "Nothing to change" in refused("fs", "update", fs, status=2)
    assert "--mibps is a number" in refused("fs", "update", fs, "--mibps", "many", status=2)
    assert "on or off" in refused("fs", "update", fs, "--protection", "maybe", status=2)


def test_lifecycle_and_backup_are_shown(shoal, refused, fs):
    assert as_json(shoal("fs", "lifecycle", fs, "-o", "json"))["LifecyclePolicies"] == []
    assert as_json(shoal("fs", "backup", fs, "off", "-o", "json"))["BackupPolicy"]["Status"] in (
        "DISABLING", "DISABLED")
    wait_until(lambda: as_json(shoal("fs", "backup", fs, "-o", "json"))["BackupPolicy"]["Status"] == "DISABLED",
               20, "the backup policy to be DISABLED")
    lifecycle = as_json(shoal("fs", "lifecycle", fs, "--ia", "30", "--back", "once", "-o", "json"))
    assert lifecycle["LifecyclePolicies"] == [{"TransitionToIA": "AFTER_30_DAYS"},
                                              {"TransitionToPrimaryStorageClass": "AFTER_1_ACCESS"}]
    assert "--ia is a number up to 365" in refused("fs", "lifecycle", fs, "--ia", "soon", status=2)
    assert "--back is once or none" in refused("fs", "lifecycle", fs, "--back", "twice", status=2)
    assert "on or off" in refused("fs", "backup", fs, "maybe", status=2)


def test_mount_targets(server, shoal, refused, fs):
    subnet = server.announced()["subnets"][0]
    assert "--zone ZONE or --subnet SUBNET" in refused("mt", "create", fs, status=2)
    assert "no default subnet in moon-1a" in refused("mt", "create", fs, "--zone", "moon-1a")
    said = shoal("mt", "create", fs, "--zone", subnet["zone"])
    made, address = re.fullmatch(r"(fsmt-[0-9a-f]{17}) (127\.\S+)\n", said).groups()
    assert "MountTargetConflict" in refused("mt", "create", fs, "--subnet", subnet["id"])
    line = next(row for row in shoal("mt", "list").splitlines() if made in row)
    assert fs in line and address in line and line.endswith("available")
    assert shoal("mt", "list", fs).count("fsmt-") == 1
    groups = as_json(shoal("mt", "groups", made, "-o", "json"))["SecurityGroups"]
    assert len(groups) == 1
    assert as_json(shoal("mt", "groups", made, groups[0], "-o", "json"))["SecurityGroups"] == groups
    assert "SecurityGroupNotFound" in refused("mt", "groups", made, "sg-0123456789abcdef0")
    assert f"breaks all mounts of {fs} at {address}" in shoal("mt", "delete", made, "--dry-run")
    assert made in shoal("mt", "list", fs)
    assert shoal("mt", "delete", made) == f"{made} is deleted\n"
    assert "is not a mount target" in refused("mt", "delete", "../file-systems", status=2)
    assert "MountTargetNotFound" in refused("mt", "delete", "fsmt-0123456789abcdef0")


def test_access_points(shoal, refused, fs):
    made = shoal("ap", "create", fs, "--name", "web", "--path", "/apps/web", "--uid", "1000", "--gid", "100",
                 "--gids", "7,8", "--owner", "1000:100", "--mode", "0750", "--tags", "Team=a").strip()
    shown = as_json(shoal("ap", "show", made, "-o", "json"))
    assert shown["PosixUser"] == {"Uid": 1000, "Gid": 100, "SecondaryGids": [7, 8]}
    assert shown["RootDirectory"] == {"Path": "/apps/web", "CreationInfo": {
        "OwnerUid": 1000, "OwnerGid": 100, "Permissions": "0750"}}
    assert shown["Name"] == "web" and {"Key": "Team", "Value": "a"} in shown["Tags"]
    line = next(row for row in shoal("ap", "list").splitlines() if made in row)
    assert re.search(rf"{made} +web +{fs} +/apps/web +1000 +100 +available$", line)
    assert shoal("ap", "list", fs).count("fsap-") == 1
    assert "needs --uid and --gid" in refused("ap", "create", fs, "--uid", "1", status=2)
    assert "--owner and --mode go together" in refused("ap", "create", fs, "--owner", "1:1", status=2)
    assert "--owner is UID:GID" in refused("ap", "create", fs, "--owner", "1", "--mode", "755", status=2)
    assert "--gids is a number" in refused("ap", "create", fs, "--uid", "1", "--gid", "1", "--gids", "x",
                                           status=2)
    assert "keeps new clients out of /apps/web" in shoal("ap", "delete", made, "--dry-run")
    assert shoal("ap", "delete", made) == f"{made} is deleted\n"


def test_policies(shoal, refused, fs, tmp_path):
    file = tmp_path / "policy.json"
    file.write_text(json.dumps(READ_ONLY))
    assert "PolicyNotFound" in refused("policy", "show", fs)
    assert as_json(shoal("policy", "set", fs, file)) == READ_ONLY
    assert as_json(shoal("policy", "show", fs)) == READ_ONLY
    file.write_text(json.dumps(LOCKING_OUT))
    assert "InvalidPolicyException" in refused("policy", "set", fs, file)
    file.write_text("no policy")
    assert "InvalidPolicyException" in refused("policy", "set", fs, file)
    assert "Cannot open" in refused("policy", "set", fs, tmp_path / "none")
    file.write_bytes(b"x" * 50000)
    assert "is no policy" in refused("policy", "set", fs, file)
    assert as_json(shoal("policy", "show", fs)) == READ_ONLY
    assert "Nothing was changed" in shoal("policy", "delete", fs, "--dry-run")
    assert as_json(shoal("policy", "show", fs)) == READ_ONLY
    shoal("policy", "delete", fs)
    assert "PolicyNotFound" in refused("policy", "show", fs)


def test_tags(shoal, refused, fs):
    point = shoal("ap", "create", fs).strip()
    for what in (fs, point):
        table = shoal("tag", "set", what, "a/b=1 + 1", "c=")
        assert re.search(r"^a/b +1 \+ 1$", table, re.M), table
        assert as_json(shoal("tag", "remove", what, "a/b", "-o", "json")) == [
            tag for tag in as_json(shoal("tag", "list", what, "-o", "json")) if tag["Key"] != "a/b"]
        assert "a/b" not in shoal("tag", "list", what)
    assert "A tag is KEY=VALUE" in refused("tag", "set", fs, "novalue", status=2)
    assert "There is no file system" in refused("tag", "list", "nobody")


def test_words_that_are_wrong_are_explained(server, refused, shoal):
    assert "did you mean list?" in refused("fs", "lsit", status=2)
    assert "did you mean --throughput?" in refused("fs", "create", "--throughptu", "elastic", status=2)
    assert "Usage: shoal fs show FS" in refused("fs", "show", status=2)
    assert "has no option --dry-run" in refused("fs", "list", "--dry-run", status=2)
    done = server.shoal("mt", check=False)
    assert done.returncode == 2 and "shoal mt VERB --help" in done.stderr
    for noun, verbs in (("fs", "list show create update lifecycle backup delete"),
                        ("mt", "list create groups delete"), ("ap", "list show create delete"),
                        ("policy", "show set delete"), ("tag", "list set remove")):
        overview = shoal(noun, "--help")
        for verb in verbs.split():
            assert re.search(rf"^  {verb} ", overview, re.M)
            assert shoal(noun, verb, "--help").startswith(f"Usage: shoal {noun} {verb}")


def test_help_may_stand_anywhere(shoal):
    assert shoal("fs", "delete", "some", "--help") == shoal("fs", "delete", "--help")
    assert "--with-targets" in shoal("fs", "delete", "--help")


def test_a_time_that_is_not_known_is_not_shown_as_1970(shoal):
    assert "1970" not in shoal("host", "list") and "127.0.0.1" in shoal("host", "list")


def test_security_groups(shoal, refused):
    made = shoal("sg", "create", "workers", "--description", "who may mount").strip()
    assert re.fullmatch("sg-[0-9a-f]{17}", made)
    row = next(line for line in shoal("sg", "list").splitlines() if made in line)
    assert row.endswith("nobody"), row
    assert "InvalidGroup.Duplicate" in refused("sg", "create", "workers")
    shoal("sg", "allow", "workers", "--from", "10.1.0.0/16")
    shoal("sg", "allow", made, "--from", "workers")
    shoal("sg", "allow", made, "--from", "fd00::/8")
    row = next(line for line in shoal("sg", "list").splitlines() if made in line)
    assert "10.1.0.0/16" in row and "fd00::/8" in row and row.count(made) == 2, row
    assert "InvalidPermission.Duplicate" in refused("sg", "allow", made, "--from", "10.1.0.0/16")
    shown = as_json(shoal("sg", "show", "workers", "-o", "json"))
    assert shown["groupDescription"] == "who may mount"
    for source in ("10.1.0.0/16", "workers", "fd00::/8"):
        shoal("sg", "revoke", made, "--from", source)
    assert "InvalidPermission.NotFound" in refused("sg", "revoke", made, "--from", "10.1.0.0/16")
    assert "--from CIDR" in refused("sg", "allow", made, status=2)
    assert "Nothing was changed" in shoal("sg", "delete", "workers", "--dry-run")
    assert shoal("sg", "delete", "workers") == f"{made} is deleted\n"
    assert "There is no security group workers" in refused("sg", "show", "workers")
    assert "CannotDelete" in refused("sg", "delete", "default")


def test_networks_and_subnets(server, shoal, refused, fs):
    zone = server.announced()["subnets"][0]["zone"]
    assert shoal("vpc", "list").count("vpc-") == 1
    vpc = shoal("vpc", "create", "127.32.0.0/16").strip()
    assert re.fullmatch("vpc-[0-9a-f]{17}", vpc)
    subnet = shoal("subnet", "create", "127.32.1.0/24", "--zone", zone, "--vpc", vpc).strip()
    assert re.search(rf"^{subnet}  +127\.32\.1\.0/24  +{zone}  +{vpc} ", shoal("subnet", "list"), re.M)
    target, address = shoal("mt", "create", fs, "--subnet", subnet, "--ip", "127.32.1.77").split()
    assert address == "127.32.1.77"
    assert "DependencyViolation" in refused("subnet", "delete", subnet)
    assert "DependencyViolation" in refused("vpc", "delete", vpc)
    preview = shoal("subnet", "delete", subnet, "--dry-run")
    assert f"Mount target {target} for" in preview and "Nothing was changed" in preview
    preview = shoal("vpc", "delete", vpc, "--dry-run")
    assert f"subnet {subnet} is in it" in preview and "security group sg-" in preview and "Nothing was changed" in preview
    assert as_json(shoal("vpc", "delete", vpc, "--dry-run", "-o", "json"))["subnetSet"][0]["subnetId"] == subnet
    assert "InvalidVpcID.NotFound" in refused("vpc", "delete", "vpc-0123456789abcdef0", "--dry-run")
    shoal("fs", "delete", fs, "--dry-run")
    shoal("mt", "delete", target)
    wait_until(lambda: target not in shoal("mt", "list", fs), 20, "the mount target to go")
    assert shoal("subnet", "delete", subnet) == f"{subnet} is deleted\n"
    assert shoal("vpc", "delete", vpc) == f"{vpc} is deleted\n"
    assert "--zone ZONE" in refused("subnet", "create", "127.32.1.0/24", status=2)
    assert "is not a network" in refused("vpc", "delete", "subnet-0123456789abcdef0", status=2)


def test_a_user_has_the_rights_that_are_asked_for(server, shoal, refused, fs):
    said = shoal("user", "create", "ray-worker", "--allow", f"{fs}:ro", "-o", "json")
    key = as_json(said)
    assert re.fullmatch("AKIA[A-Z0-9]{16}", key["AccessKeyId"]) and len(key["SecretAccessKey"]) == 40
    theirs = {"aws_access_key_id": key["AccessKeyId"], "aws_secret_access_key": key["SecretAccessKey"]}
    efs = server.boto3_client("efs", **theirs)
    assert efs.describe_mount_targets(FileSystemId=fs)["MountTargets"] == []
    with pytest.raises(efs.exceptions.ClientError) as refusal:
        efs.delete_file_system(FileSystemId=fs)
    assert refusal.value.response["Error"]["Code"] == "AccessDeniedException"
    iam = server.boto3_client("iam")
    names = iam.list_user_policies(UserName="ray-worker")["PolicyNames"]
    document = iam.get_user_policy(UserName="ray-worker", PolicyName=names[0])["PolicyDocument"]
    allowed = document["Statement"][1]["Action"]
    assert "elasticfilesystem:ClientMount" in allowed and "elasticfilesystem:ClientWrite" not in allowed

    assert "ray-worker" in shoal("user", "list")
    assert "EntityAlreadyExists" in refused("user", "create", "ray-worker")
    assert shoal("user", "list").count("ray-worker") == 2  # the refused one has taken nothing away: name and ARN
    preview = shoal("user", "delete", "ray-worker", "--dry-run")
    assert f"access key {key['AccessKeyId']}" in preview and "Nothing was changed" in preview
    shoal("user", "delete", "ray-worker")
    with pytest.raises(efs.exceptions.ClientError) as refusal:
        efs.describe_mount_targets(FileSystemId=fs)
    assert refusal.value.response["Error"]["Code"] == "UnrecognizedClientException"
    assert "NoSuchEntity" in refused("user", "delete", "ray-worker")
    assert "ro, rw or root" in refused("user", "create", "other", "--allow", f"{fs}:all", status=2)
    assert "There is no file system nobody" in refused("user", "create", "other", "--allow", "nobody")
    exports = shoal("user", "create", "rw-user", "--allow", fs)
    assert re.search(r"^export AWS_SECRET_ACCESS_KEY=\S{40}$", exports, re.M)
    shoal("user", "delete", "rw-user")
