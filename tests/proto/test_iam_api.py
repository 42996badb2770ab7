"""IAM and STS as boto3 and aws-cli see them: users, keys, groups, roles, policies; each answer against the service model."""

import datetime
import json
import xml.etree.ElementTree

import botocore
import botocore.config
import botocore.exceptions
import pytest

from aws_cli import AwsCli
from control_alone import ACCOUNT, REGION, ControlAlone

IAM = f"arn:aws:iam::{ACCOUNT}"
FULL = "arn:aws:iam::aws:policy/AmazonElasticFileSystemFullAccess"
READ = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "elasticfilesystem:Describe*", "Resource": "*"}]}


def trust(principal):
    return json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": principal}, "Action": "sts:AssumeRole"}]})


def local(tag):
    return tag.rsplit("}", 1)[-1]


def check_shape(element, shape, path):
    """Fails when an element of an answer is not in the model, or one that the model requires is not there."""
    if shape.type_name == "structure":
        names = {member.serialization.get("name", name): name for name, member in shape.members.items()}
        found = {local(child.tag): child for child in element}
        assert set(found) <= set(names), f"{path}: unknown {set(found) - set(names)}"
        for name in set(shape.required_members) - {"LastUsedDate"}:  # null, as the reference says, before the first use
            wire = shape.members[name].serialization.get("name", name)
            assert wire in found, f"{path}: {name} is missing"
        for wire, child in found.items():
            check_shape(child, shape.members[names[wire]], f"{path}.{wire}")
    elif shape.type_name == "list":
        for child in element:
            assert local(child.tag) == shape.member.serialization.get("name", "member"), path
            check_shape(child, shape.member, f"{path}[]")
    elif shape.type_name == "string" and shape.enum:
        assert element.text in shape.enum, path


def check_answer(model, http_response, parsed, **_):
    """After each call of a client: the answer as it came, against the model."""
    if http_response.status_code >= 300 or model.output_shape is None:
        return
    root = xml.etree.ElementTree.fromstring(http_response.content)
    assert local(root.tag) == f"{model.name}Response"
    result = next(child for child in root if local(child.tag) == f"{model.name}Result")
    check_shape(result, model.output_shape, model.name)


@pytest.fixture(scope="module")
def control(tmp_path_factory):
    running = ControlAlone(tmp_path_factory.mktemp("control"))
    running.start()
    yield running
    running.close()


def checked(client, service):
    client.meta.events.register(f"after-call.{service}", check_answer)
    return client


@pytest.fixture(scope="module")
def iam(control):
    return checked(control.client("iam"), "iam")


@pytest.fixture(scope="module")
def sts(control):
    return checked(control.client("sts"), "sts")


def error_of(call, **arguments):
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        call(**arguments)
    answer = caught.value.response
    assert answer["ResponseMetadata"]["RequestId"]
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]


def client_of(control, service, key, token=None):
    return control.client(service, aws_access_key_id=key["AccessKeyId"],
                          aws_secret_access_key=key["SecretAccessKey"], aws_session_token=token)


def test_a_user_is_made_shown_renamed_and_deleted(iam):
    made = iam.create_user(UserName="ada", Path="/team/", Tags=[{"Key": "Team", "Value": "blue"}])["User"]
    assert made["Arn"] == f"{IAM}:user/team/ada" and made["UserId"].startswith("AIDA")
    shown = iam.get_user(UserName="ada")["User"]
    assert shown == made and shown["Tags"] == [{"Key": "Team", "Value": "blue"}]
    assert error_of(iam.create_user, UserName="ADA") == ("EntityAlreadyExists", 409)
    iam.update_user(UserName="ada", NewUserName="Ada.L", NewPath="/")
    assert iam.get_user(UserName="Ada.L")["User"]["Arn"] == f"{IAM}:user/Ada.L"
    assert error_of(iam.get_user, UserName="ada") == ("NoSuchEntity", 404)
    iam.update_user(UserName="Ada.L", NewUserName="ada.l")
    iam.delete_user(UserName="ada.l")
    assert error_of(iam.delete_user, UserName="ada.l") == ("NoSuchEntity", 404)


@pytest.mark.parametrize("arguments", [{"UserName": "a b"}, {"UserName": "a/b"}, {"UserName": "x" * 65},
                                       {"UserName": "é"}, {"UserName": "ok", "Path": "team"},
                                       {"UserName": "ok", "Path": "/team"}, {"UserName": "ok", "Path": "/a b/"}])
def test_names_and_paths_are_checked(control, arguments):
    iam = control.client("iam", config=botocore.config.Config(parameter_validation=False))
    assert error_of(iam.create_user, **arguments) == ("ValidationError", 400)


def test_tags_have_limits(iam):
    iam.create_user(UserName="tagged")
    iam.tag_user(UserName="tagged", Tags=[{"Key": f"k{i}", "Value": ""} for i in range(50)])
    assert error_of(iam.tag_user, UserName="tagged", Tags=[{"Key": "more", "Value": ""}]) == ("LimitExceeded", 409)
    assert error_of(iam.tag_user, UserName="tagged", Tags=[{"Key": "aws:x", "Value": ""}]) == ("InvalidInput", 400)
    assert error_of(iam.tag_user, UserName="tagged",
                    Tags=[{"Key": "a", "Value": ""}, {"Key": "a", "Value": ""}]) == ("InvalidInput", 400)
    iam.untag_user(UserName="tagged", TagKeys=[f"k{i}" for i in range(49)])
    assert [tag["Key"] for tag in iam.list_user_tags(UserName="tagged")["Tags"]] == ["k49"]
    iam.delete_user(UserName="tagged")


def test_lists_come_in_pages_and_by_path(iam):
    names = [f"page{i:02}" for i in range(7)]
    for i, name in enumerate(names):
        iam.create_user(UserName=name, Path="/even/" if i % 2 == 0 else "/odd/")
        iam.create_group(GroupName=name)
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust(ACCOUNT))
    first = iam.list_users(MaxItems=3)
    assert first["IsTruncated"] and len(first["Users"]) == 3
    pages = iam.get_paginator("list_users").paginate(PathPrefix="/even/", PaginationConfig={"PageSize": 2})
    assert [user["UserName"] for page in pages for user in page["Users"]] == names[::2]
    for operation, key, name in (("list_groups", "Groups", "GroupName"), ("list_roles", "Roles", "RoleName")):
        pages = iam.get_paginator(operation).paginate(PaginationConfig={"PageSize": 2})
        assert [one[name] for page in pages for one in page[key]] == names
    assert error_of(iam.list_users, Marker="x" * 400) == ("ValidationError", 400)
    for name in names:
        iam.delete_user(UserName=name)
        iam.delete_group(GroupName=name)
        iam.delete_role(RoleName=name)


def test_keys_are_made_used_stopped_and_deleted(control, iam):
    iam.create_user(UserName="keyed")
    key = iam.create_access_key(UserName="keyed")["AccessKey"]
    assert key["Status"] == "Active" and key["AccessKeyId"].startswith("AKIA") and len(key["SecretAccessKey"]) == 40
    unused = iam.get_access_key_last_used(AccessKeyId=key["AccessKeyId"])
    assert unused["UserName"] == "keyed" and unused["AccessKeyLastUsed"]["ServiceName"] == "N/A"
    own = client_of(control, "sts", key)
    identity = own.get_caller_identity()
    assert identity["Arn"] == f"{IAM}:user/keyed" and identity["UserId"].startswith("AIDA")
    used = iam.get_access_key_last_used(AccessKeyId=key["AccessKeyId"])["AccessKeyLastUsed"]
    assert used["ServiceName"] == "sts" and used["Region"] == REGION and "LastUsedDate" in used
    second = iam.create_access_key(UserName="keyed")["AccessKey"]
    assert error_of(iam.create_access_key, UserName="keyed") == ("LimitExceeded", 409)
    listed = iam.list_access_keys(UserName="keyed")["AccessKeyMetadata"]
    assert {one["AccessKeyId"] for one in listed} == {key["AccessKeyId"], second["AccessKeyId"]}
    iam.update_access_key(UserName="keyed", AccessKeyId=key["AccessKeyId"], Status="Inactive")
    assert error_of(own.get_caller_identity) == ("InvalidClientTokenId", 403)
    iam.update_access_key(UserName="keyed", AccessKeyId=key["AccessKeyId"], Status="Active")
    own.get_caller_identity()
    assert error_of(iam.delete_user, UserName="keyed") == ("DeleteConflict", 409)
    for one in (key, second):
        iam.delete_access_key(UserName="keyed", AccessKeyId=one["AccessKeyId"])
    assert error_of(own.get_caller_identity) == ("InvalidClientTokenId", 403)
    assert error_of(iam.delete_access_key, UserName="keyed", AccessKeyId=key["AccessKeyId"]) == ("NoSuchEntity", 404)
    iam.delete_user(UserName="keyed")


def test_the_last_key_of_root_stays(control, iam):
    admin = control.credentials[0]
    assert [one["AccessKeyId"] for one in iam.list_access_keys()["AccessKeyMetadata"]] == [admin]
    assert error_of(iam.delete_access_key, AccessKeyId=admin) == ("DeleteConflict", 409)
    assert error_of(iam.update_access_key, AccessKeyId=admin, Status="Inactive") == ("DeleteConflict", 409)
    other = iam.create_access_key()["AccessKey"]
    assert client_of(control, "sts", other).get_caller_identity()["Arn"] == f"{IAM}:root"
    iam.delete_access_key(AccessKeyId=other["AccessKeyId"])
    assert iam.get_user()["User"]["Arn"] == f"{IAM}:root"


def test_groups_have_members(iam):
    group = iam.create_group(GroupName="ops")["Group"]
    assert group["GroupId"].startswith("AGPA")
    for name in ("a", "b", "c"):
        iam.create_user(UserName=name)
        iam.add_user_to_group(GroupName="ops", UserName=name)
    iam.add_user_to_group(GroupName="OPS", UserName="a")
    pages = iam.get_paginator("get_group").paginate(GroupName="ops", PaginationConfig={"PageSize": 2})
    assert [user["UserName"] for page in pages for user in page["Users"]] == ["a", "b", "c"]
    assert [one["GroupName"] for one in iam.list_groups_for_user(UserName="a")["Groups"]] == ["ops"]
    iam.update_group(GroupName="ops", NewGroupName="Operators")
    assert [one["GroupName"] for one in iam.list_groups_for_user(UserName="a")["Groups"]] == ["Operators"]
    assert error_of(iam.delete_group, GroupName="Operators") == ("DeleteConflict", 409)
    assert error_of(iam.delete_user, UserName="a") == ("DeleteConflict", 409)
    assert error_of(iam.add_user_to_group, GroupName="none", UserName="a") == ("NoSuchEntity", 404)
    for name in ("a", "b", "c"):
        iam.remove_user_from_group(GroupName="Operators", UserName=name)
        iam.delete_user(UserName=name)
    iam.delete_group(GroupName="Operators")


def test_roles_have_a_trust_policy(iam):
    role = iam.create_role(RoleName="Worker", AssumeRolePolicyDocument=trust(f"{IAM}:root"), Description="d",
                           MaxSessionDuration=7200, Tags=[{"Key": "a", "Value": "b"}])["Role"]
    assert role["RoleId"].startswith("AROA") and role["MaxSessionDuration"] == 7200
    assert role["AssumeRolePolicyDocument"] == json.loads(trust(f"{IAM}:root"))
    iam.update_role(RoleName="Worker", Description="new", MaxSessionDuration=3600)
    iam.update_assume_role_policy(RoleName="Worker", PolicyDocument=trust(ACCOUNT))
    shown = iam.get_role(RoleName="Worker")["Role"]
    assert shown["Description"] == "new" and shown["AssumeRolePolicyDocument"] == json.loads(trust(ACCOUNT))
    iam.tag_role(RoleName="Worker", Tags=[{"Key": "c", "Value": "d"}])
    iam.untag_role(RoleName="Worker", TagKeys=["a"])
    assert iam.list_role_tags(RoleName="Worker")["Tags"] == [{"Key": "c", "Value": "d"}]
    assert iam.list_instance_profiles_for_role(RoleName="Worker")["InstanceProfiles"] == []
    for document in ("{", json.dumps(READ), trust("nobody"), trust(ACCOUNT).replace("Action", "Akt")):
        assert error_of(iam.update_assume_role_policy, RoleName="Worker",
                        PolicyDocument=document) == ("MalformedPolicyDocument", 400)
    iam.delete_role(RoleName="Worker")


@pytest.mark.parametrize("kind, operations", [
    ("user", {"PutUserPolicy", "GetUserPolicy", "DeleteUserPolicy", "ListUserPolicies", "AttachUserPolicy",
              "DetachUserPolicy", "ListAttachedUserPolicies", "CreateUser", "DeleteUser"}),
    ("group", {"PutGroupPolicy", "GetGroupPolicy", "DeleteGroupPolicy", "ListGroupPolicies", "AttachGroupPolicy",
               "DetachGroupPolicy", "ListAttachedGroupPolicies", "CreateGroup", "DeleteGroup"}),
    ("role", {"PutRolePolicy", "GetRolePolicy", "DeleteRolePolicy", "ListRolePolicies", "AttachRolePolicy",
              "DetachRolePolicy", "ListAttachedRolePolicies", "CreateRole", "DeleteRole"})])
def test_inline_and_attached_policies(iam, kind, operations):
    name = {f"{kind.capitalize()}Name": f"holder-{kind}"}
    called = set()

    def call(operation, **arguments):
        called.add(iam.meta.method_to_api_mapping[operation])
        return getattr(iam, operation)(**name, **arguments)

    extra = {"AssumeRolePolicyDocument": trust(ACCOUNT)} if kind == "role" else {}
    call(f"create_{kind}", **extra)
    for policy in ("one", "two", "three"):
        call(f"put_{kind}_policy", PolicyName=policy, PolicyDocument=json.dumps(READ))
    answer = call(f"get_{kind}_policy", PolicyName="two")
    assert answer["PolicyDocument"] == READ and answer["PolicyName"] == "two"
    pages = iam.get_paginator(f"list_{kind}_policies").paginate(**name, PaginationConfig={"PageSize": 2})
    assert [one for page in pages for one in page["PolicyNames"]] == ["one", "two", "three"]
    big = json.dumps({**READ, "Id": "x" * 900})
    with pytest.raises(iam.exceptions.LimitExceededException):
        for i in range(20):
            call(f"put_{kind}_policy", PolicyName=f"big{i}", PolicyDocument=big)
    for policy in call(f"list_{kind}_policies")["PolicyNames"]:
        call(f"delete_{kind}_policy", PolicyName=policy)
    with pytest.raises(iam.exceptions.NoSuchEntityException):
        call(f"get_{kind}_policy", PolicyName="two")
    with pytest.raises(iam.exceptions.NoSuchEntityException):
        call(f"delete_{kind}_policy", PolicyName="two")
    with pytest.raises(iam.exceptions.MalformedPolicyDocumentException):
        call(f"put_{kind}_policy", PolicyName="bad", PolicyDocument='{"Statement": []}')
    call(f"attach_{kind}_policy", PolicyArn=FULL)
    call(f"attach_{kind}_policy", PolicyArn=FULL)
    assert call(f"list_attached_{kind}_policies")["AttachedPolicies"] == [
        {"PolicyName": "AmazonElasticFileSystemFullAccess", "PolicyArn": FULL}]
    holders = iam.list_entities_for_policy(PolicyArn=FULL)
    assert [one[f"{kind.capitalize()}Name"] for one in holders[f"Policy{kind.capitalize()}s"]] == [f"holder-{kind}"]
    with pytest.raises(iam.exceptions.DeleteConflictException):
        call(f"delete_{kind}")
    with pytest.raises(iam.exceptions.NoSuchEntityException):
        call(f"attach_{kind}_policy", PolicyArn=f"{IAM}:policy/none")
    call(f"detach_{kind}_policy", PolicyArn=FULL)
    with pytest.raises(iam.exceptions.NoSuchEntityException):
        call(f"detach_{kind}_policy", PolicyArn=FULL)
    call(f"delete_{kind}")
    assert called == operations


def test_managed_policies_have_versions(iam):
    policy = iam.create_policy(PolicyName="Reader", Path="/team/", PolicyDocument=json.dumps(READ), Description="d",
                               Tags=[{"Key": "a", "Value": "b"}])["Policy"]
    arn = policy["Arn"]
    assert arn == f"{IAM}:policy/team/Reader" and policy["PolicyId"].startswith("ANPA")
    assert error_of(iam.create_policy, PolicyName="reader",
                    PolicyDocument=json.dumps(READ)) == ("EntityAlreadyExists", 409)
    other = {**READ, "Statement": [{**READ["Statement"][0], "Effect": "Deny"}]}
    made = iam.create_policy_version(PolicyArn=arn, PolicyDocument=json.dumps(other), SetAsDefault=True)
    assert made["PolicyVersion"]["VersionId"] == "v2"
    assert iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"] == "v2"
    assert iam.get_policy_version(PolicyArn=arn, VersionId="v2")["PolicyVersion"]["Document"] == other
    assert error_of(iam.delete_policy_version, PolicyArn=arn, VersionId="v2") == ("DeleteConflict", 409)
    iam.set_default_policy_version(PolicyArn=arn, VersionId="v1")
    for _ in range(3):
        iam.create_policy_version(PolicyArn=arn, PolicyDocument=json.dumps(other))
    assert error_of(iam.create_policy_version, PolicyArn=arn,
                    PolicyDocument=json.dumps(READ)) == ("LimitExceeded", 409)
    listed = iam.list_policy_versions(PolicyArn=arn)["Versions"]
    assert [one["VersionId"] for one in listed] == ["v5", "v4", "v3", "v2", "v1"]
    assert error_of(iam.delete_policy, PolicyArn=arn) == ("DeleteConflict", 409)
    for version in ("v2", "v3", "v4", "v5"):
        iam.delete_policy_version(PolicyArn=arn, VersionId=version)
    assert error_of(iam.get_policy_version, PolicyArn=arn, VersionId="v2") == ("NoSuchEntity", 404)
    local_only = iam.list_policies(Scope="Local")["Policies"]
    assert [one["PolicyName"] for one in local_only] == ["Reader"] and local_only[0]["AttachmentCount"] == 0
    iam.delete_policy(PolicyArn=arn)
    assert error_of(iam.get_policy, PolicyArn=arn) == ("NoSuchEntity", 404)


def test_policies_of_aws_are_there_and_stay(iam):
    pages = iam.get_paginator("list_policies").paginate(Scope="AWS", PaginationConfig={"PageSize": 2})
    names = [one["PolicyName"] for page in pages for one in page["Policies"]]
    assert names == sorted(names) and "AdministratorAccess" in names and len(names) == 6
    version = iam.get_policy_version(PolicyArn=FULL, VersionId="v1")["PolicyVersion"]
    assert version["Document"]["Statement"][0]["Effect"] == "Allow"
    assert error_of(iam.delete_policy, PolicyArn=FULL) == ("AccessDenied", 403)


def test_the_account(iam):
    assert iam.list_account_aliases()["AccountAliases"] == []
    assert iam.get_account_summary()["SummaryMap"]["AccessKeysPerUserQuota"] == 2
    assert error_of(iam.list_mfa_devices, UserName="none") == ("NoSuchEntity", 404)
    iam.create_user(UserName="bare")
    for operation, key in (("ListMFADevices", "MFADevices"), ("ListSigningCertificates", "Certificates"),
                           ("ListSSHPublicKeys", "SSHPublicKeys")):
        assert getattr(iam, botocore.xform_name(operation))(UserName="bare")[key] == []
    iam.delete_user(UserName="bare")


def test_what_somebody_may_do_can_be_asked(iam):
    iam.create_user(UserName="asked")
    iam.put_user_policy(UserName="asked", PolicyName="p", PolicyDocument=json.dumps({
        "Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": "elasticfilesystem:*", "Resource": "*",
             "Condition": {"Bool": {"aws:SecureTransport": "true"}}},
            {"Effect": "Deny", "Action": "elasticfilesystem:Delete*", "Resource": "*"}]}))
    arguments = {"PolicySourceArn": f"{IAM}:user/asked",
                 "ActionNames": ["elasticfilesystem:DescribeTags", "elasticfilesystem:DeleteTags", "ec2:DescribeVpcs"]}
    answer = iam.simulate_principal_policy(**arguments)
    assert [one["EvalDecision"] for one in answer["EvaluationResults"]] == ["implicitDeny", "explicitDeny", "implicitDeny"]
    answer = iam.simulate_principal_policy(**arguments, ContextEntries=[
        {"ContextKeyName": "aws:SecureTransport", "ContextKeyValues": ["true"], "ContextKeyType": "boolean"}])
    assert [one["EvalDecision"] for one in answer["EvaluationResults"]] == ["allowed", "explicitDeny", "implicitDeny"]
    assert error_of(iam.simulate_principal_policy, **{**arguments, "PolicySourceArn": f"{IAM}:user/none"}) == (
        "NoSuchEntity", 404)
    iam.delete_user_policy(UserName="asked", PolicyName="p")
    iam.delete_user(UserName="asked")


def test_a_role_is_assumed_by_those_whom_it_trusts(control, iam, sts):
    iam.create_user(UserName="worker")
    key = iam.create_access_key(UserName="worker")["AccessKey"]
    worker = checked(client_of(control, "sts", key), "sts")
    iam.create_role(RoleName="Reader", AssumeRolePolicyDocument=trust(f"{IAM}:user/worker"))
    iam.attach_role_policy(RoleName="Reader", PolicyArn="arn:aws:iam::aws:policy/AmazonElasticFileSystemReadOnlyAccess")
    arguments = {"RoleArn": f"{IAM}:role/Reader", "RoleSessionName": "one"}
    answer = worker.assume_role(**arguments, DurationSeconds=900)
    got = answer["Credentials"]
    assert answer["AssumedRoleUser"]["Arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/Reader/one"
    assert got["AccessKeyId"].startswith("ASIA")
    left = got["Expiration"] - datetime.datetime.now(datetime.timezone.utc)
    assert datetime.timedelta(seconds=600) < left <= datetime.timedelta(seconds=900)
    session = client_of(control, "sts", got, got["SessionToken"]).get_caller_identity()
    assert session["Arn"] == answer["AssumedRoleUser"]["Arn"]
    assert session["UserId"] == answer["AssumedRoleUser"]["AssumedRoleId"]
    efs = client_of(control, "efs", got, got["SessionToken"])
    assert efs.describe_file_systems()["FileSystems"] == []
    assert error_of(efs.create_file_system) == ("AccessDeniedException", 403)

    assert error_of(sts.assume_role, **arguments) == ("AccessDenied", 403)  # root never may
    assert error_of(worker.assume_role, **{**arguments, "RoleArn": f"{IAM}:role/None"}) == ("AccessDenied", 403)
    assert error_of(worker.assume_role, **arguments, DurationSeconds=7200) == ("ValidationError", 400)
    assert error_of(worker.assume_role, **arguments, Policy="{}") == ("MalformedPolicyDocument", 400)
    iam.update_assume_role_policy(RoleName="Reader", PolicyDocument=trust(f"{IAM}:root"))
    assert error_of(worker.assume_role, **arguments) == ("AccessDenied", 403)
    iam.put_user_policy(UserName="worker", PolicyName="p", PolicyDocument=json.dumps({
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": f"{IAM}:role/R*"}]}))
    narrowed = worker.assume_role(**arguments, Policy=json.dumps(
        {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "ec2:*", "Resource": "*"}]}))["Credentials"]
    efs = client_of(control, "efs", narrowed, narrowed["SessionToken"])
    assert error_of(efs.describe_file_systems) == ("AccessDeniedException", 403)
    ec2 = client_of(control, "ec2", narrowed, narrowed["SessionToken"])
    assert ec2.describe_vpcs()["Vpcs"]

    iam.detach_role_policy(RoleName="Reader", PolicyArn="arn:aws:iam::aws:policy/AmazonElasticFileSystemReadOnlyAccess")
    assert error_of(ec2.describe_vpcs) == ("UnauthorizedOperation", 403)
    iam.delete_role(RoleName="Reader")
    assert error_of(ec2.describe_vpcs) == ("AuthFailure", 401)  # a session ends with its role


def test_aws_cli_gives_a_worker_its_own_key(control):
    """As a person would: a user, a key, a group, a policy from a file, a role; all with Debian's aws-cli."""
    with AwsCli(control.environment(), control.endpoint) as aws:
        aws("iam", "create-user", "--user-name", "cli")
        key = aws("iam", "create-access-key", "--user-name", "cli")["AccessKey"]
        aws("iam", "create-group", "--group-name", "clis")
        aws("iam", "add-user-to-group", "--group-name", "clis", "--user-name", "cli")
        aws("iam", "put-group-policy", "--group-name", "clis", "--policy-name", "read", "--policy-document",
            json.dumps(READ))
        document = aws("iam", "get-group-policy", "--group-name", "clis", "--policy-name", "read")["PolicyDocument"]
        assert document == READ
    own = {**control.environment(), "AWS_ACCESS_KEY_ID": key["AccessKeyId"],
           "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}
    with AwsCli(own, control.endpoint) as aws:
        assert aws("sts", "get-caller-identity")["Arn"] == f"{IAM}:user/cli"
        assert aws("efs", "describe-file-systems")["FileSystems"] == []
        with pytest.raises(AwsCli.Refused, match="AccessDeniedException"):
            aws("efs", "create-file-system")
