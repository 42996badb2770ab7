"""Who may call what: identity policies on each service, conditions, tags, and everything that has to be refused."""

import json

import botocore.exceptions
import pytest

from control_alone import ACCOUNT, REGION, ControlAlone
from shoal_server import wait_until

IAM = f"arn:aws:iam::{ACCOUNT}"
EFS = f"arn:aws:elasticfilesystem:{REGION}:{ACCOUNT}"
DENIED = ("AccessDeniedException", 403)


@pytest.fixture(scope="module")
def control(tmp_path_factory):
    running = ControlAlone(tmp_path_factory.mktemp("control"))
    running.start()
    yield running
    running.close()


@pytest.fixture(scope="module")
def iam(control):
    return control.client("iam")


@pytest.fixture(scope="module")
def efs(control):
    return control.client("efs")


@pytest.fixture(scope="module")
def file_system(efs):
    made = efs.create_file_system(Tags=[{"Key": "Team", "Value": "blue"}])["FileSystemId"]
    wait_until(lambda: efs.describe_file_systems(FileSystemId=made)["FileSystems"][0]["LifeCycleState"] == "available",
               10, "available")
    return made


@pytest.fixture(scope="module")
def ada(control, iam):
    """A user and a function that gives her one policy and makes a client of hers."""
    iam.create_user(UserName="ada", Tags=[{"Key": "Team", "Value": "blue"}])
    key = iam.create_access_key(UserName="ada")["AccessKey"]

    def client(service, *statements, **overrides):
        if statements:
            iam.put_user_policy(UserName="ada", PolicyName="p", PolicyDocument=json.dumps(
                {"Version": "2012-10-17", "Statement": list(statements)}))
        return control.client(service, **{"aws_access_key_id": key["AccessKeyId"],
                                          "aws_secret_access_key": key["SecretAccessKey"], **overrides})

    client.key = key
    return client


def allow(action, resource="*", **more):
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def error_of(call, **arguments):
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        call(**arguments)
    answer = caught.value.response
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]


def test_without_a_policy_nothing_is_allowed(control, iam, file_system):
    iam.create_user(UserName="bare")
    key = iam.create_access_key(UserName="bare")["AccessKey"]
    own = {"aws_access_key_id": key["AccessKeyId"], "aws_secret_access_key": key["SecretAccessKey"]}
    efs = control.client("efs", **own)
    calls = [(efs.describe_file_systems, {}), (efs.create_file_system, {}),
             (efs.describe_file_systems, {"FileSystemId": file_system}), (efs.delete_file_system, {"FileSystemId": file_system}),
             (efs.describe_mount_targets, {"FileSystemId": file_system}), (efs.describe_access_points, {}),
             (efs.describe_account_preferences, {}), (efs.list_tags_for_resource, {"ResourceId": file_system}),
             (efs.create_mount_target, {"FileSystemId": file_system, "SubnetId": "subnet-00000000"}),
             (efs.describe_file_systems, {"FileSystemId": "fs-00000000000000000"})]
    for call, arguments in calls:
        assert error_of(call, **arguments) == DENIED
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        efs.describe_file_systems()
    assert caught.value.response["Error"]["Message"] == (
        f"User: {IAM}:user/bare is not authorized to perform: elasticfilesystem:DescribeFileSystems on the specified resource")
    assert error_of(control.client("ec2", **own).describe_vpcs) == ("UnauthorizedOperation", 403)
    own_iam = control.client("iam", **own)
    for call, arguments in [(own_iam.list_users, {}), (own_iam.get_user, {}), (own_iam.create_user, {"UserName": "x"}),
                            (own_iam.create_access_key, {}), (own_iam.create_access_key, {"UserName": "ada"}),
                            (own_iam.attach_user_policy, {"UserName": "bare", "PolicyArn": "arn:aws:iam::aws:policy/AdministratorAccess"})]:
        assert error_of(call, **arguments) == ("AccessDenied", 403)
    assert control.client("sts", **own).get_caller_identity()["Arn"] == f"{IAM}:user/bare"


def test_a_policy_is_about_its_actions_and_resources(ada, efs, file_system):
    other = efs.create_file_system()["FileSystemId"]
    own = ada("efs", allow(["elasticfilesystem:Describe*", "elasticfilesystem:TagResource"], f"{EFS}:file-system/{file_system}"))
    own.describe_file_systems(FileSystemId=file_system)
    own.describe_file_systems(FileSystemId=f"{EFS}:file-system/{file_system}")
    own.tag_resource(ResourceId=file_system, Tags=[{"Key": "a", "Value": "b"}])
    assert error_of(own.describe_file_systems, FileSystemId=other) == DENIED
    assert error_of(own.describe_file_systems) == DENIED
    assert error_of(own.untag_resource, ResourceId=file_system, TagKeys=["a"]) == DENIED
    assert error_of(own.delete_file_system, FileSystemId=file_system) == DENIED
    own = ada("efs", allow("elasticfilesystem:*", f"{EFS}:file-system/*"))
    own.describe_file_systems()
    assert error_of(own.describe_access_points) == DENIED
    own.describe_access_points(FileSystemId=file_system)


def test_a_denial_wins(ada, file_system):
    own = ada("efs", allow("*"), {"Effect": "Deny", "Action": "elasticfilesystem:DescribeFileSystems",
                                  "Resource": f"{EFS}:file-system/{file_system}"})
    assert error_of(own.describe_file_systems, FileSystemId=file_system) == DENIED
    own.describe_file_systems()
    own = ada("efs", allow("*"), {"Effect": "Deny", "NotAction": "elasticfilesystem:Describe*", "Resource": "*"})
    own.describe_file_systems(FileSystemId=file_system)
    assert error_of(own.create_file_system) == DENIED


@pytest.mark.parametrize("condition, is_allowed", [
    ({"StringEquals": {"aws:username": "ada"}}, True),
    ({"StringEquals": {"aws:username": "eve"}}, False),
    ({"StringLike": {"aws:userid": "AIDA*"}}, True),
    ({"ArnLike": {"aws:PrincipalArn": f"{IAM}:user/a*"}}, True),
    ({"ArnNotLike": {"aws:PrincipalArn": f"{IAM}:user/a*"}}, False),
    ({"StringEquals": {"aws:PrincipalType": "User"}}, True),
    ({"IpAddress": {"aws:SourceIp": "127.0.0.0/8"}}, True),
    ({"NotIpAddress": {"aws:SourceIp": "127.0.0.0/8"}}, False),
    ({"Bool": {"aws:SecureTransport": "true"}}, True),  # this machine itself: nothing crosses a network
    ({"StringEquals": {"aws:RequestedRegion": REGION}}, True),
    ({"DateGreaterThan": {"aws:CurrentTime": "2020-01-01T00:00:00Z"}}, True),
    ({"DateLessThan": {"aws:CurrentTime": "2020-01-01T00:00:00Z"}}, False),
    ({"NumericGreaterThan": {"aws:EpochTime": 1577836800}}, True),
    ({"StringEquals": {"aws:ResourceTag/Team": "blue"}}, True),
    ({"StringEquals": {"aws:ResourceTag/Team": "${aws:PrincipalTag/Team}"}}, True),
    ({"StringEquals": {"aws:ResourceTag/Team": "red"}}, False),
    ({"StringEqualsIfExists": {"aws:ResourceTag/None": "red"}}, True),
    ({"Null": {"aws:ResourceTag/Team": "true"}}, False),
    ({"Null": {"aws:TokenIssueTime": "true"}}, True),
])
def test_conditions(ada, file_system, condition, is_allowed):
    own = ada("efs", allow("elasticfilesystem:*", Condition=condition))
    if is_allowed:
        own.describe_file_systems(FileSystemId=file_system)
    else:
        assert error_of(own.describe_file_systems, FileSystemId=file_system) == DENIED


def test_making_is_bound_to_encryption_and_tags(ada):
    def tags(**pairs):
        return {"Tags": [{"Key": key, "Value": value} for key, value in pairs.items()]}

    own = ada("efs", allow("elasticfilesystem:CreateFileSystem"))
    own.create_file_system()
    assert error_of(own.create_file_system, **tags(Team="blue")) == DENIED  # tagging is an action of its own
    own = ada("efs", allow("elasticfilesystem:CreateFileSystem"),
              allow("elasticfilesystem:TagResource", Condition={"StringEquals": {"elasticfilesystem:CreateAction": "CreateFileSystem"}}))
    made = own.create_file_system(**tags(Team="blue"))["FileSystemId"]
    assert error_of(own.tag_resource, ResourceId=made, **tags(Team="red")) == DENIED
    own = ada("efs", allow(["elasticfilesystem:CreateFileSystem", "elasticfilesystem:TagResource"], Condition={
        "StringEquals": {"aws:RequestTag/Team": "blue"}, "ForAllValues:StringEquals": {"aws:TagKeys": ["Team", "Name"]}}))
    own.create_file_system(**tags(Team="blue", Name="x"))
    assert error_of(own.create_file_system, **tags(Team="red")) == DENIED
    assert error_of(own.create_file_system, **tags(Team="blue", Other="x")) == DENIED
    assert error_of(own.create_file_system) == DENIED
    own = ada("efs", allow("elasticfilesystem:CreateFileSystem", Condition={"Bool": {"elasticfilesystem:Encrypted": "true"}}))
    assert error_of(own.create_file_system) == DENIED
    own = ada("efs", allow("elasticfilesystem:CreateFileSystem", Condition={"Bool": {"elasticfilesystem:Encrypted": "false"}}))
    own.create_file_system()
    assert error_of(own.create_file_system, Encrypted=True) == DENIED


def test_access_points_and_mount_targets_are_about_their_file_system(ada, efs, file_system):
    own = ada("efs", allow(["elasticfilesystem:CreateAccessPoint", "elasticfilesystem:DescribeMountTargets"],
                           f"{EFS}:file-system/{file_system}"))
    point = own.create_access_point(FileSystemId=file_system)["AccessPointId"]
    assert error_of(own.create_access_point, FileSystemId=file_system, Tags=[{"Key": "a", "Value": "b"}]) == DENIED
    own.describe_mount_targets(FileSystemId=file_system)
    assert error_of(own.delete_access_point, AccessPointId=point) == DENIED
    own = ada("efs", allow("elasticfilesystem:DeleteAccessPoint", f"{EFS}:access-point/{point}"))
    own.delete_access_point(AccessPointId=point)


def test_a_file_systems_policy_allows_and_denies_too(ada, efs, file_system):
    statement = {"Effect": "Allow", "Principal": {"AWS": f"{IAM}:user/ada"}, "Action": "elasticfilesystem:DescribeTags"}
    own = ada("efs", allow("ec2:DescribeVpcs"))
    assert error_of(own.describe_tags, FileSystemId=file_system) == DENIED
    efs.put_file_system_policy(FileSystemId=file_system, Policy=json.dumps({"Statement": [statement]}))
    own.describe_tags(FileSystemId=file_system)
    own = ada("efs", allow("*"))
    efs.put_file_system_policy(FileSystemId=file_system, Policy=json.dumps({"Statement": [{**statement, "Effect": "Deny"}]}))
    assert error_of(own.describe_tags, FileSystemId=file_system) == DENIED
    efs.describe_tags(FileSystemId=file_system)
    locked = json.dumps({"Statement": [{"Effect": "Deny", "Principal": {"AWS": f"{IAM}:user/ada"}, "Action": "*"}]})
    assert error_of(own.put_file_system_policy, FileSystemId=file_system, Policy=locked) == ("InvalidPolicyException", 400)
    efs.delete_file_system_policy(FileSystemId=file_system)


def test_users_may_be_let_to_care_for_themselves(ada, iam):
    own = ada("iam", allow(["iam:GetUser", "iam:*AccessKey*"], f"{IAM}:user/${{aws:username}}"))
    assert own.get_user()["User"]["UserName"] == "ada"
    assert [one["AccessKeyId"] for one in own.list_access_keys()["AccessKeyMetadata"]] == [ada.key["AccessKeyId"]]
    second = own.create_access_key()["AccessKey"]["AccessKeyId"]
    own.delete_access_key(AccessKeyId=second)
    assert error_of(own.create_access_key, UserName="bare") == ("AccessDenied", 403)
    assert error_of(own.list_users) == ("AccessDenied", 403)
    own = ada("iam", allow("iam:AttachUserPolicy", Condition={
        "ArnEquals": {"iam:PolicyARN": "arn:aws:iam::aws:policy/AmazonElasticFileSystemClientFullAccess"}}))
    own.attach_user_policy(UserName="ada", PolicyArn="arn:aws:iam::aws:policy/AmazonElasticFileSystemClientFullAccess")
    assert error_of(own.attach_user_policy, UserName="ada",
                    PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess") == ("AccessDenied", 403)
    iam.detach_user_policy(UserName="ada", PolicyArn="arn:aws:iam::aws:policy/AmazonElasticFileSystemClientFullAccess")


def test_rights_come_by_groups_and_managed_policies(control, ada, iam):
    own = ada("ec2", allow("sts:*"))
    assert error_of(own.describe_vpcs) == ("UnauthorizedOperation", 403)
    policy = iam.create_policy(PolicyName="Vpcs", PolicyDocument=json.dumps(
        {"Version": "2012-10-17", "Statement": [allow("ec2:DescribeVpcs")]}))["Policy"]["Arn"]
    iam.create_group(GroupName="viewers")
    iam.attach_group_policy(GroupName="viewers", PolicyArn=policy)
    iam.add_user_to_group(GroupName="viewers", UserName="ada")
    assert own.describe_vpcs()["Vpcs"]
    iam.create_policy_version(PolicyArn=policy, SetAsDefault=True, PolicyDocument=json.dumps(
        {"Version": "2012-10-17", "Statement": [allow("ec2:DescribeSubnets")]}))
    assert error_of(own.describe_vpcs) == ("UnauthorizedOperation", 403)
    assert own.describe_subnets()["Subnets"]
    iam.remove_user_from_group(GroupName="viewers", UserName="ada")
    assert error_of(own.describe_subnets) == ("UnauthorizedOperation", 403)


@pytest.mark.parametrize("service, call, inactive", [
    ("efs", "describe_file_systems", ("UnrecognizedClientException", 403)),
    ("ec2", "describe_vpcs", ("AuthFailure", 401)),
    ("sts", "get_caller_identity", ("InvalidClientTokenId", 403)),
    ("iam", "list_users", ("InvalidClientTokenId", 403)),
])
def test_keys_that_are_no_good(control, iam, service, call, inactive):
    name = f"no-good-{service}"
    iam.create_user(UserName=name)
    iam.attach_user_policy(UserName=name, PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
    key = iam.create_access_key(UserName=name)["AccessKey"]
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": f"{IAM}:user/{name}"}, "Action": "sts:AssumeRole"}]}))["Role"]
    iam.attach_role_policy(RoleName=name, PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")

    def ask(key_id=key["AccessKeyId"], secret=key["SecretAccessKey"], token=None):
        return getattr(control.client(service, aws_access_key_id=key_id, aws_secret_access_key=secret,
                                      aws_session_token=token), call)()

    sts = control.client("sts", aws_access_key_id=key["AccessKeyId"], aws_secret_access_key=key["SecretAccessKey"])
    session = sts.assume_role(RoleArn=role["Arn"], RoleSessionName="one")["Credentials"]
    session_id, session_secret, token = session["AccessKeyId"], session["SecretAccessKey"], session["SessionToken"]
    ask()
    ask(session_id, session_secret, token)
    assert error_of(ask, token=token) == inactive                    # a token with a key that is not its own
    assert error_of(ask, token="AAAA") == inactive
    assert error_of(ask, key_id=session_id, secret=session_secret) == inactive  # no token
    assert error_of(ask, key_id=session_id, secret=session_secret, token=token[:-8] + "AAAAAAA=") == inactive
    wrong_secret = error_of(ask, key_id=session_id, secret="wrong", token=token)
    assert wrong_secret[0] in ("InvalidSignatureException", "SignatureDoesNotMatch", "AuthFailure")
    iam.update_access_key(UserName=name, AccessKeyId=key["AccessKeyId"], Status="Inactive")
    assert error_of(ask) == inactive
    iam.delete_access_key(UserName=name, AccessKeyId=key["AccessKeyId"])
    iam.detach_user_policy(UserName=name, PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
    iam.delete_user(UserName=name)
    assert error_of(ask) == inactive
    ask(session_id, session_secret, token)                            # the role is still there
    iam.detach_role_policy(RoleName=name, PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
    iam.delete_role(RoleName=name)
    assert error_of(ask, key_id=session_id, secret=session_secret, token=token) == inactive


def test_what_was_made_outlives_a_crash(control, iam):
    iam.create_user(UserName="kept")
    iam.put_user_policy(UserName="kept", PolicyName="p", PolicyDocument=json.dumps(
        {"Version": "2012-10-17", "Statement": [allow("ec2:*")]}))
    key = iam.create_access_key(UserName="kept")["AccessKey"]
    control.kill9()
    control.start()
    own = control.client("ec2", aws_access_key_id=key["AccessKeyId"], aws_secret_access_key=key["SecretAccessKey"])
    assert own.describe_vpcs()["Vpcs"]
    assert error_of(control.client("efs", aws_access_key_id=key["AccessKeyId"],
                                   aws_secret_access_key=key["SecretAccessKey"]).describe_file_systems) == DENIED
