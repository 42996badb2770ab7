"""Who may call what: identity policies on each service, conditions, tags, and everything that has to be refused."""

import json
import pathlib
import re
import urllib.parse
import urllib.request

import botocore.auth
import botocore.awsrequest
import botocore.credentials
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


# --- every row of the lists -------------------------------------------------------------------------

CONTROL = pathlib.Path(__file__).resolve().parents[2] / "src/control"
FORMS = {"EC2": ("ec2", "2016-11-15"), "IAM": ("iam", "2010-05-08")}
TARGETS = {"KMS": ("kms", "TrentService"), "SHOAL": ("shoal", "Shoal_20261128")}


def every_row():
    """(IAM action, service, method, path, headers, body) of the smallest call of each operation."""
    for name, method, path, action in re.findall(
            r'^ACTION\(\s*(\w+),\s*(\w+),\s*"([^"]+)",.*"(\w+:\w+)"', (CONTROL / "actions.def").read_text(), re.MULTILINE):
        yield action, "elasticfilesystem", method, re.sub(r"{\w+}", "fs-00000000", path), {}, b""
    for service, name, action in re.findall(
            r'^QUERY\(\s*(\w+),\s*(\w+),.*"(\w+:\w+)"', (CONTROL / "queries.def").read_text(), re.MULTILINE):
        if service in FORMS:
            word, version = FORMS[service]
            yield (action, word, "POST", "/", {"Content-Type": "application/x-www-form-urlencoded"},
                   urllib.parse.urlencode({"Action": name, "Version": version}).encode())
    for service, name, action in re.findall(
            r'^TARGET\(\s*(\w+),\s*(\w+),.*"(\w+:\w+)"', (CONTROL / "targets.def").read_text(), re.MULTILINE):
        word, space = TARGETS[service]
        yield (action, word, "POST", "/", {"X-Amz-Target": f"{space}.{name}",
                                           "Content-Type": "application/x-amz-json-1.1"}, b"{}")


def raw_call(control, key, row):
    """(status, body) of a call that is signed here, so that nothing but the server looks at it."""
    _, service, method, path, headers, body = row
    request = botocore.awsrequest.AWSRequest(method=method, url=control.endpoint + path, data=body, headers=headers)
    credentials = botocore.credentials.Credentials(key["AccessKeyId"], key["SecretAccessKey"])
    botocore.auth.SigV4Auth(credentials, service, REGION).add_auth(request)
    sent = urllib.request.Request(control.endpoint + path, data=body or None, method=method, headers=dict(request.headers))
    try:
        with urllib.request.urlopen(sent) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


REFUSALS = ("AccessDenied", "UnauthorizedOperation")


def test_every_operation_asks_for_its_own_action(control, iam):
    """Without a policy each is refused; with one that allows that action alone, it is not any more, whatever else it lacks."""
    iam.create_user(UserName="nobody")
    key = iam.create_access_key(UserName="nobody")["AccessKey"]
    rows = list(every_row())
    assert len(rows) > 140
    for row in rows:
        status, body = raw_call(control, key, row)
        assert status in (400, 403) and any(word in body for word in REFUSALS), (row, status, body)
    for row in rows:
        iam.put_user_policy(UserName="nobody", PolicyName="p", PolicyDocument=json.dumps(
            {"Version": "2012-10-17", "Statement": [allow(row[0])]}))
        status, body = raw_call(control, key, row)
        assert not any(word in body for word in REFUSALS), (row, status, body)
    iam.delete_user_policy(UserName="nobody", PolicyName="p")


def test_a_key_is_protected_whatever_it_is_called_by(control, ada):
    kms = control.client("kms")
    keys = [kms.create_key()["KeyMetadata"] for _ in range(2)]
    kms.create_alias(AliasName="alias/guarded", TargetKeyId=keys[0]["KeyId"])
    guarded, free = keys[0]["Arn"], keys[1]["KeyId"]
    denied = ("AccessDeniedException", 400)
    own = ada("kms", allow("kms:*"), {"Effect": "Deny", "Action": "kms:*", "Resource": guarded})
    for name in (guarded, keys[0]["KeyId"], "alias/guarded", guarded.rsplit(":", 1)[0] + ":alias/guarded"):
        assert error_of(own.describe_key, KeyId=name) == denied, name
    for call in (own.disable_key, own.enable_key, own.rotate_key_on_demand if hasattr(own, "rotate_key_on_demand") else
                 own.enable_key_rotation, own.schedule_key_deletion, own.list_resource_tags):
        assert error_of(call, KeyId=keys[0]["KeyId"]) == denied
    assert error_of(own.create_alias, AliasName="alias/more", TargetKeyId=keys[0]["KeyId"]) == denied
    assert error_of(own.update_alias, AliasName="alias/guarded", TargetKeyId=free) == denied, "it has it now"
    own.create_alias(AliasName="alias/free", TargetKeyId=free)
    assert error_of(own.update_alias, AliasName="alias/free", TargetKeyId=keys[0]["KeyId"]) == denied
    assert error_of(own.delete_alias, AliasName="alias/guarded") == denied
    own.disable_key(KeyId=free)
    own.enable_key(KeyId=free)
    own = ada("kms", allow("kms:*"), {"Effect": "Deny", "Action": "kms:DeleteAlias",
                                      "Resource": guarded.rsplit(":", 1)[0] + ":alias/guarded"})
    assert error_of(own.delete_alias, AliasName="alias/guarded") == denied
    own = ada("kms", allow("kms:DisableKey", guarded))
    assert error_of(own.disable_key, KeyId=free) == denied
    own.disable_key(KeyId=keys[0]["KeyId"])


def test_a_group_is_protected_whatever_it_is_called_by(control, ada):
    ec2 = control.client("ec2")
    vpc = ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
    guarded, free = (ec2.create_security_group(GroupName=name, Description="d")["GroupId"] for name in ("guarded", "free"))
    rule = [{"IpProtocol": "tcp", "FromPort": 2049, "ToPort": 2049, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}]
    arn = f"arn:aws:ec2:{REGION}:{ACCOUNT}"
    denied = ("UnauthorizedOperation", 403)
    own = ada("ec2", allow("ec2:*"), {"Effect": "Deny", "Action": "ec2:*", "Resource": f"{arn}:security-group/{guarded}"})
    for name in ({"GroupId": guarded}, {"GroupName": "guarded"}):
        assert error_of(own.authorize_security_group_ingress, IpPermissions=rule, **name) == denied
        assert error_of(own.delete_security_group, **name) == denied
    tags = [{"Key": "a", "Value": "b"}]
    for resources in ([guarded], [free, guarded], [guarded, vpc]):
        assert error_of(own.create_tags, Resources=resources, Tags=tags) == denied, resources
        assert error_of(own.delete_tags, Resources=resources, Tags=tags) == denied, resources
    own.create_tags(Resources=[free, vpc], Tags=tags)
    own.authorize_security_group_ingress(GroupId=free, IpPermissions=rule)
    own = ada("ec2", allow("ec2:*", f"{arn}:security-group/{free}"))
    assert error_of(own.delete_security_group, GroupId=guarded) == denied
    assert error_of(own.create_vpc, CidrBlock="127.32.0.0/16") == denied
    own.delete_security_group(GroupName="free")
