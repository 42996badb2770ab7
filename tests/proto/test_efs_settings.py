"""Settings of file systems: lifecycle, backup, replication, preferences. What a client may put, sees, and waits for."""

import json

import pytest

from shoal_server import wait_until
from test_efs_api import ACCOUNT, ARN, REGION, code_of, control, describe, efs, error_of, make, remove  # noqa: F401
from test_efs_api import signed_call  # noqa: F401


def lifecycle(efs, file_system_id):
    return efs.describe_lifecycle_configuration(FileSystemId=file_system_id)["LifecyclePolicies"]


def backup(efs, file_system_id):
    return efs.describe_backup_policy(FileSystemId=file_system_id)["BackupPolicy"]["Status"]


def tags_of(efs, file_system_id):
    return {tag["Key"]: tag["Value"] for tag in efs.list_tags_for_resource(ResourceId=file_system_id)["Tags"]}


def test_settings_that_are_not_there_are_answered_as_efs_does(efs):
    file_system_id = make(efs)
    assert lifecycle(efs, file_system_id) == []
    assert code_of(efs.describe_backup_policy, FileSystemId=file_system_id) == ("PolicyNotFound", 404)
    assert code_of(efs.describe_file_system_policy, FileSystemId=file_system_id) == ("PolicyNotFound", 404)
    assert efs.delete_file_system_policy(FileSystemId=file_system_id)["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert efs.describe_replication_configurations()["Replications"] == []
    for call, key in ((efs.describe_replication_configurations, "FileSystemId"),
                      (efs.delete_replication_configuration, "SourceFileSystemId")):
        assert code_of(call, **{key: file_system_id}) == ("ReplicationNotFound", 404)
        assert code_of(call, **{key: "fs-1"}) == ("FileSystemNotFound", 404)
    for call in (efs.describe_lifecycle_configuration, efs.describe_backup_policy,
                 efs.describe_file_system_policy):
        assert code_of(call, FileSystemId="fs-1") == ("FileSystemNotFound", 404)
    remove(efs, file_system_id)


def test_ids_are_long_and_stay_so(efs):
    assert efs.describe_account_preferences()["ResourceIdPreference"] == \
        {"ResourceIdType": "LONG_ID", "Resources": ["FILE_SYSTEM", "MOUNT_TARGET"]}
    assert efs.put_account_preferences(ResourceIdType="LONG_ID")["ResourceIdPreference"]["ResourceIdType"] == "LONG_ID"
    assert code_of(efs.put_account_preferences, ResourceIdType="SHORT_ID") == ("BadRequest", 400)


# --- lifecycle -------------------------------------------------------------------------------------

def raw_lifecycle(control, file_system_id, *policies):
    """Of what Debian's boto3 does not know; (status, error)."""
    body = json.dumps({"LifecyclePolicies": list(policies)}).encode()
    return signed_call(control, "PUT", f"/2015-02-01/file-systems/{file_system_id}/lifecycle-configuration", body)[:2]


def test_a_lifecycle_configuration_is_kept_in_order_and_taken_away(control, efs):
    file_system_id = make(efs, ThroughputMode="elastic")
    wanted = [{"TransitionToIA": "AFTER_30_DAYS"}, {"TransitionToPrimaryStorageClass": "AFTER_1_ACCESS"}]
    answer = efs.put_lifecycle_configuration(FileSystemId=file_system_id, LifecyclePolicies=wanted)
    assert answer["LifecyclePolicies"] == wanted == lifecycle(efs, file_system_id)
    assert raw_lifecycle(control, file_system_id, {"TransitionToArchive": "AFTER_90_DAYS"},
                         {"TransitionToIA": "AFTER_1_DAY"}) == (200, None)
    assert code_of(efs.update_file_system, FileSystemId=file_system_id, ThroughputMode="bursting") == \
        ("BadRequest", 400), "Archive needs elastic"
    assert efs.put_lifecycle_configuration(FileSystemId=file_system_id, LifecyclePolicies=[])["LifecyclePolicies"] == []
    assert lifecycle(efs, file_system_id) == []
    remove(efs, file_system_id)


@pytest.mark.parametrize("policies", [
    [{}],
    [{"TransitionToIA": "AFTER_8_DAYS"}],
    [{"TransitionToIA": "AFTER_1_DAYS"}],
    [{"TransitionToIA": 7}],
    [{"TransitionToPrimaryStorageClass": "AFTER_7_DAYS"}],
    [{"TransitionToIA": "AFTER_7_DAYS", "TransitionToPrimaryStorageClass": "AFTER_1_ACCESS"}],
    [{"TransitionToIA": "AFTER_7_DAYS"}, {"TransitionToIA": "AFTER_14_DAYS"}],
    [{"TransitionToIA": "AFTER_30_DAYS"}, {"TransitionToArchive": "AFTER_30_DAYS"}],
    [{"TransitionToIA": "AFTER_30_DAYS"}, {"TransitionToArchive": "AFTER_7_DAYS"}],
    [{"TransitionToIA": "AFTER_1_DAY"}, {"TransitionToArchive": "AFTER_7_DAYS"},
     {"TransitionToPrimaryStorageClass": "AFTER_1_ACCESS"}, {"TransitionToIA": "AFTER_1_DAY"}],
])
def test_a_wrong_lifecycle_configuration_changes_nothing(control, efs, policies):
    file_system_id = make(efs, ThroughputMode="elastic")
    before = [{"TransitionToIA": "AFTER_7_DAYS"}]
    efs.put_lifecycle_configuration(FileSystemId=file_system_id, LifecyclePolicies=before)
    assert raw_lifecycle(control, file_system_id, *policies) == (400, "BadRequest")
    assert lifecycle(efs, file_system_id) == before
    remove(efs, file_system_id)


@pytest.mark.parametrize("modes", [{}, {"PerformanceMode": "maxIO"}])
def test_archive_needs_elastic_throughput_and_general_purpose(control, efs, modes):
    file_system_id = make(efs, **modes)
    assert raw_lifecycle(control, file_system_id, {"TransitionToArchive": "AFTER_90_DAYS"}) == (400, "BadRequest")
    remove(efs, file_system_id)


# --- backup ----------------------------------------------------------------------------------------

def test_a_backup_policy_goes_through_its_states_and_shows_in_a_system_tag(efs):
    file_system_id = make(efs, Tags=[{"Key": f"k{i}", "Value": ""} for i in range(50)])
    put = efs.put_backup_policy(FileSystemId=file_system_id, BackupPolicy={"Status": "ENABLED"})
    assert put["BackupPolicy"]["Status"] == "ENABLING"
    wait_until(lambda: backup(efs, file_system_id) == "ENABLED", 10, "enabled")
    assert tags_of(efs, file_system_id)["aws:elasticfilesystem:default-backup"] == "enabled"
    assert len(describe(efs, file_system_id)["Tags"]) == 51, "the system's tag does not count"
    assert efs.tag_resource(ResourceId=file_system_id, Tags=[{"Key": "k1", "Value": "new"}])
    assert code_of(efs.untag_resource, ResourceId=file_system_id,
                   TagKeys=["aws:elasticfilesystem:default-backup"]) == ("BadRequest", 400)
    put = efs.put_backup_policy(FileSystemId=file_system_id, BackupPolicy={"Status": "DISABLED"})
    assert put["BackupPolicy"]["Status"] == "DISABLING"
    wait_until(lambda: backup(efs, file_system_id) == "DISABLED", 10, "disabled")
    assert "aws:elasticfilesystem:default-backup" not in tags_of(efs, file_system_id)
    assert code_of(efs.put_backup_policy, FileSystemId=file_system_id, BackupPolicy={"Status": "ENABLING"}) == \
        ("BadRequest", 400)
    assert code_of(efs.put_backup_policy, FileSystemId="fs-1", BackupPolicy={"Status": "ENABLED"}) == \
        ("FileSystemNotFound", 404)
    remove(efs, file_system_id)


@pytest.mark.parametrize(("arguments", "expected"), [
    ({"Backup": True}, "ENABLED"),
    ({"AvailabilityZoneName": "us-east-1a"}, "ENABLED"),
    ({"AvailabilityZoneName": "us-east-1a", "Backup": False}, None),
    ({}, None)])
def test_backup_is_on_when_asked_for_and_for_one_zone(efs, arguments, expected):
    file_system_id = make(efs, **arguments)
    if expected is None:
        assert code_of(efs.describe_backup_policy, FileSystemId=file_system_id) == ("PolicyNotFound", 404)
    else:
        wait_until(lambda: backup(efs, file_system_id) == expected, 10, expected)
    remove(efs, file_system_id)


# --- replication -----------------------------------------------------------------------------------

def replication(efs, file_system_id):
    return efs.describe_replication_configurations(FileSystemId=file_system_id)["Replications"][0]


def protect(control, file_system_id, value):
    return signed_call(control, "PUT", f"/2015-02-01/file-systems/{file_system_id}/protection",
                       b'{"ReplicationOverwriteProtection":"%s"}' % value.encode())[:2]


def protection(control, file_system_id):
    body = signed_call(control, "GET", f"/2015-02-01/file-systems?FileSystemId={file_system_id}")[2]
    return json.loads(body)["FileSystems"][0]["FileSystemProtection"]["ReplicationOverwriteProtection"]


def is_over(efs, file_system_id):
    try:
        replication(efs, file_system_id)
    except efs.exceptions.ReplicationNotFound:
        return True
    return False


def test_a_replication_makes_its_destination_and_says_that_nothing_is_copied(control, efs):
    source = make(efs)
    made = efs.create_replication_configuration(SourceFileSystemId=source, Destinations=[{"Region": REGION}])
    assert made["Destinations"][0]["Status"] == "ENABLING"
    destination = made["Destinations"][0]["FileSystemId"]
    wait_until(lambda: replication(efs, source)["Destinations"][0]["Status"] != "ENABLING", 10, "made")
    seen = replication(efs, source)
    assert (seen["SourceFileSystemId"], seen["SourceFileSystemRegion"]) == (source, REGION)
    assert seen["SourceFileSystemArn"] == seen["OriginalSourceFileSystemArn"] == f"{ARN}:file-system/{source}"
    assert seen["Destinations"][0]["Status"] == "ERROR" and seen["Destinations"][0]["Region"] == REGION
    assert "LastReplicatedTimestamp" not in seen["Destinations"][0]
    assert replication(efs, destination)["SourceFileSystemId"] == source, "found from either side"
    assert describe(efs, destination)["LifeCycleState"] == "available"
    assert describe(efs, destination)["ThroughputMode"] == "elastic"
    assert describe(efs, destination)["Encrypted"] is True, "EFS: always, also when the source is not"
    assert describe(efs, destination)["KmsKeyId"].startswith("arn:aws:kms:")
    assert (protection(control, source), protection(control, destination)) == ("ENABLED", "REPLICATING")
    for file_system_id in (source, destination):
        assert protect(control, file_system_id, "DISABLED") == (409, "ReplicationAlreadyExists")
        assert code_of(efs.delete_file_system, FileSystemId=file_system_id) == ("FileSystemInUse", 409)
        assert code_of(efs.create_replication_configuration, SourceFileSystemId=file_system_id,
                       Destinations=[{"Region": REGION}]) == ("ConflictException", 409)
    efs.delete_replication_configuration(SourceFileSystemId=source)
    wait_until(lambda: is_over(efs, source), 10, "deleted")
    assert protection(control, destination) == "ENABLED"
    remove(efs, source)
    remove(efs, destination)


def test_an_existing_destination_must_be_unprotected(control, efs):
    source, destination = make(efs), make(efs)
    path = f"/2015-02-01/file-systems/{source}/replication-configuration"
    body = json.dumps({"Destinations": [{"FileSystemId": destination, "Region": REGION}]}).encode()
    assert signed_call(control, "POST", path, body)[:2] == (400, "BadRequest")
    assert protect(control, destination, "DISABLED") == (200, None)
    assert json.loads(signed_call(control, "POST", path, body)[2])["Destinations"][0]["FileSystemId"] == destination
    efs.delete_replication_configuration(SourceFileSystemId=source)
    wait_until(lambda: is_over(efs, source), 10, "deleted")
    remove(efs, source)
    remove(efs, destination)


def test_an_encrypted_source_has_an_encrypted_destination(control, efs):
    key = control.client("kms").create_key()["KeyMetadata"]["Arn"]
    source, plain = make(efs, Encrypted=True), make(efs)
    assert protect(control, plain, "DISABLED") == (200, None)
    body = json.dumps({"Destinations": [{"FileSystemId": plain}]}).encode()
    path = f"/2015-02-01/file-systems/{source}/replication-configuration"
    assert signed_call(control, "POST", path, body)[:2] == (409, "ConflictException")
    made = efs.create_replication_configuration(SourceFileSystemId=source,
                                                Destinations=[{"Region": REGION, "KmsKeyId": key}])
    destination = made["Destinations"][0]["FileSystemId"]
    assert describe(efs, destination)["KmsKeyId"] == key
    wait_until(lambda: describe(efs, destination)["LifeCycleState"] == "available", 10, "made")
    assert code_of(efs.create_replication_configuration, SourceFileSystemId=plain, Destinations=[
        {"Region": REGION, "KmsKeyId": "alias/nobodys"}]) == ("BadRequest", 400)
    efs.delete_replication_configuration(SourceFileSystemId=source)
    wait_until(lambda: is_over(efs, source), 10, "deleted")
    for file_system_id in (source, destination, plain):
        remove(efs, file_system_id)


@pytest.mark.parametrize(("destinations", "expected"), [
    ([], ("BadRequest", 400)),
    ([{"Region": REGION}, {"Region": REGION}], ("BadRequest", 400)),
    ([{}], ("BadRequest", 400)),
    ([{"Region": "eu-west-1"}], ("ValidationException", 400)),
    ([{"AvailabilityZoneName": "mars-1a"}], ("UnsupportedAvailabilityZone", 400)),
    ([{"FileSystemId": "fs-12345678"}], ("FileSystemNotFound", 404)),
])
def test_a_wrong_destination_makes_nothing(control, efs, destinations, expected):
    source = make(efs)
    count = len(efs.describe_file_systems()["FileSystems"])
    body = json.dumps({"Destinations": destinations}).encode()
    status, name, _ = signed_call(
        control, "POST", f"/2015-02-01/file-systems/{source}/replication-configuration", body)
    assert (name, status) == expected
    assert len(efs.describe_file_systems()["FileSystems"]) == count
    remove(efs, source)


def test_replications_come_in_pages_and_survive_a_crash(control, efs):
    sources = [make(efs) for _ in range(3)]
    for source in sources:
        efs.create_replication_configuration(SourceFileSystemId=source, Destinations=[{"Region": REGION}])
    control.kill9()
    control.start()
    found, token = [], {}
    while True:
        page = efs.describe_replication_configurations(MaxResults=2, **token)
        found += page["Replications"]
        if "NextToken" not in page:
            break
        token = {"NextToken": page["NextToken"]}
    assert sorted(entry["SourceFileSystemId"] for entry in found) == sorted(sources)
    for entry in found:
        source, destination = entry["SourceFileSystemId"], entry["Destinations"][0]["FileSystemId"]
        wait_until(lambda: replication(efs, source)["Destinations"][0]["Status"] == "ERROR", 10, "ends")
        efs.delete_replication_configuration(SourceFileSystemId=source)
        wait_until(lambda: is_over(efs, source), 10, "deleted")
        remove(efs, source)
        remove(efs, destination)
    assert ACCOUNT in found[0]["SourceFileSystemArn"]
    assert code_of(efs.describe_replication_configurations, NextToken="x") == ("BadRequest", 400)
