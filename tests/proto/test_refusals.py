"""ListRefusals of the service `shoal`: what the data plane refused, and why, for `shoal doctor`."""

import datetime
import json
import socket
import ssl
import time

import efs_certificate
import nfs4
import pytest
from shoal_server import wait_until


@pytest.fixture(scope="module")
def shoal(server):
    """ask(**input): the refusals, asked for by the administrator."""
    import urllib.request

    import botocore.auth
    import botocore.awsrequest
    import botocore.credentials

    def ask(key=None, secret=None, **given):
        env = server.shell_env()
        keys = botocore.credentials.Credentials(key or env["AWS_ACCESS_KEY_ID"], secret or env["AWS_SECRET_ACCESS_KEY"])
        request = botocore.awsrequest.AWSRequest(
            "POST", server.endpoint + "/", data=json.dumps(given).encode(),
            headers={"X-Amz-Target": "Shoal_20261128.ListRefusals", "Content-Type": "application/x-amz-json-1.1"})
        botocore.auth.SigV4Auth(keys, "shoal", "us-east-1").add_auth(request)
        done = urllib.request.urlopen(urllib.request.Request(
            request.url, data=request.body, headers=dict(request.headers), method="POST"))
        answer = json.loads(done.read())
        assert abs(answer["Now"] - time.time()) < 60
        return answer["Refusals"]
    return ask


def newest(shoal, word, **given):
    """The newest refusal, as soon as its reason has the word."""
    def found():
        list_ = shoal(**given)
        return list_[0] if list_ and word in list_[0]["Reason"] else None
    return wait_until(found, 20, f"a refusal for {word}")


def test_garbage_and_broken_handshakes_are_noted(server, address, shoal):
    with socket.create_connection(address) as sock:
        sock.sendall(b"GET / HTTP/1.0\r\n\r\n" + bytes(100))
        assert sock.recv(1) == b""
    seen = newest(shoal, "no record of RPC")
    assert seen["Stage"] == "garbage" and seen["SourceIp"] == "127.0.0.1" and seen["TargetIp"] == address[0]
    with socket.create_connection(address) as sock:
        sock.sendall(b"\x16\x03\x01\x00\x04\x02\x00\x00\x00" + bytes(64))
        while sock.recv(1000):
            pass
    assert shoal()[0]["Stage"] == "tls"


def test_a_refused_certificate_is_noted_and_audited(server, address, shoal, tmp_path):
    contract = server.up()
    fs = contract["file_system_id"]
    now = datetime.datetime.now(datetime.timezone.utc)
    cert, key = efs_certificate.make(tmp_path, fs, not_after=now - datetime.timedelta(hours=1))
    context = ssl.create_default_context(cafile=str(server.data_dir / "ca.pem"))
    context.check_hostname = False
    context.load_cert_chain(cert, key)
    conn = nfs4.Conn(address, tls=context)
    seen = newest(shoal, "has expired")
    assert seen["Stage"] == "certificate" and seen["FileSystemId"] == fs
    conn.close()

    def line():
        done = server.shoal("audit", "--data", server.data_dir, "-o", "json", "--denied", "--resource", fs)
        return [one for one in map(json.loads, done.stdout.splitlines()) if one["event"] == "certificate"]
    (audited,) = wait_until(line, 20, "the audit line")
    assert "has expired" in audited["reason"] and audited["source"] == "127.0.0.1" and audited["result"] == "refused"
    assert "(certificate)" in server.shoal("audit", "--data", server.data_dir, "--denied").stdout


def test_a_policy_that_withholds_the_mount_is_noted(server, address, shoal):
    efs = server.boto3_client()
    fs = server.up()["file_system_id"]
    efs.put_file_system_policy(FileSystemId=fs, BypassPolicyLockoutSafetyCheck=True, Policy=json.dumps({
        "Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "elasticfilesystem:Client*",
            "Condition": {"Bool": {"aws:SecureTransport": "true"}}}]}))
    try:
        session = nfs4.connect(address)
        assert session.run(nfs4.putrootfh()).status == "ACCESS"
        session.conn.close()
    finally:
        efs.delete_file_system_policy(FileSystemId=fs)
    seen = newest(shoal, "ClientMount", FileSystemId=fs)
    assert "without TLS" in seen["Reason"] and "anonymous" in seen["Reason"] and seen["Stage"] == "mount"


def test_who_knocks_again_and_again_has_one_place(server, address, shoal):
    for _ in range(3):
        with socket.create_connection(address) as sock:
            sock.sendall(bytes([0x7f]) * 64)
            assert sock.recv(1) == b""
    found = [one for one in shoal(MaxResults=200) if one["Stage"] == "garbage" and one["TargetIp"] == address[0]]
    assert len(found) == 1 and found[0]["Count"] >= 3
    assert shoal(SourceIp="192.0.2.1") == [] and len(shoal(SourceIp="*", MaxResults=1)) == 1
    assert shoal(FileSystemId="fs-0123456789abcdef0") != [], "garbage names no file system"


@pytest.mark.parametrize("wrong", [{"MaxResults": 0}, {"MaxResults": 201}, {"MaxResults": "1"}, {"SourceIp": 7}, {"SourceIp": "x" * 46},
                                   {"FileSystemId": "x" * 48}])
def test_wrong_input_is_refused(shoal, wrong):
    import urllib.error
    with pytest.raises(urllib.error.HTTPError) as error:
        shoal(**wrong)
    assert error.value.code == 400


def test_who_may_not_ask_is_refused(server, shoal):
    import urllib.error
    iam = server.boto3_client("iam")
    iam.create_user(UserName="curious")
    key = iam.create_access_key(UserName="curious")["AccessKey"]
    with pytest.raises(urllib.error.HTTPError) as error:
        shoal(key["AccessKeyId"], key["SecretAccessKey"])
    assert error.value.code in (400, 403) and "AccessDenied" in error.value.read().decode()
