"""What the HTTP port does with those who should not get in, and with those who take too much: each gets its error, none more
than bounded memory, and others are served meanwhile."""

import contextlib
import datetime
import functools
import http.client
import json
import resource
import socket
import time
import urllib.parse

import botocore.auth
import botocore.awsrequest
import botocore.credentials
import pytest

from shoal_server import Server, sanitizer_env, wait_until

REGION = "us-east-1"
PATH = "/2015-02-01/file-systems"
MIB = 1 << 20


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    # AddressSanitizer keeps what is freed for a while; little here, since memory is measured.
    env = {"ASAN_OPTIONS": sanitizer_env()["ASAN_OPTIONS"] + ":quarantine_size_mb=4"}
    with Server(tmp_path_factory.mktemp("shoal"), env=env) as running:
        yield running


@functools.cache
def keys(server):
    found = server.shell_env()
    return botocore.credentials.Credentials(found["AWS_ACCESS_KEY_ID"], found["AWS_SECRET_ACCESS_KEY"])


class Stranger:
    """A request that is signed as SDKs do, and may be spoilt afterwards."""

    def __init__(self, server, method="GET", path=PATH, body=b"", service="elasticfilesystem", region=REGION, credentials=None):
        self.server, self.method, self.path, self.body = server, method, path, body
        request = botocore.awsrequest.AWSRequest(method=method, url=server.endpoint + path, data=body)
        botocore.auth.SigV4Auth(credentials or keys(server), service, region).add_auth(request)
        self.headers = dict(request.headers)

    def send(self, connection=None):
        """(status, name of the error, body)."""
        own = connection or http.client.HTTPConnection("127.0.0.1", self.server.control_port, timeout=60)
        own.request(self.method, self.path, self.body or None, self.headers)
        answer = own.getresponse()
        text = answer.read()
        if connection is None:
            own.close()
        return answer.status, answer.headers["x-amzn-ErrorType"], text


@contextlib.contextmanager
def signed_at(offset_s, monkeypatch):
    """Signatures of another time."""
    class Shifted(datetime.datetime):
        @classmethod
        def utcnow(cls):
            return datetime.datetime.utcnow() + datetime.timedelta(seconds=offset_s)

        @classmethod
        def now(cls, tz=None):
            return datetime.datetime.now(tz) + datetime.timedelta(seconds=offset_s)

    class Module:
        datetime = Shifted
    with monkeypatch.context() as patch:
        patch.setattr(botocore.auth, "datetime", Module)
        yield


INVALID = (403, "InvalidSignatureException")


def test_a_signed_request_is_answered(server):
    """So that what follows is refused for what is wrong with it."""
    assert Stranger(server).send()[0] == 200
    assert Stranger(server, "POST", body=b'{"CreationToken":"negative"}').send()[0] == 201


def test_who_is_not_signed_or_by_nobody_is_refused(server):
    unsigned = Stranger(server)
    del unsigned.headers["Authorization"]
    assert unsigned.send()[:2] == (403, "MissingAuthenticationTokenException")
    nobody = botocore.credentials.Credentials("AKIAIOSFODNN7EXAMPLE", keys(server).secret_key)
    assert Stranger(server, credentials=nobody).send()[:2] == (403, "UnrecognizedClientException")
    wrong = botocore.credentials.Credentials(keys(server).access_key, "wrong")
    assert Stranger(server, credentials=wrong).send()[:2] == INVALID
    token = botocore.credentials.Credentials(keys(server).access_key, keys(server).secret_key, "forged")
    assert Stranger(server, credentials=token).send()[:2] == (403, "UnrecognizedClientException")
    assert Stranger(server, region="eu-west-1").send()[:2] == INVALID


def test_a_signature_is_for_one_request(server):
    """Every part of it: nothing can be altered, and no part of the signature either."""
    altered = Stranger(server, "POST", body=b'{"CreationToken":"honest"}')
    altered.body = b'{"CreationToken":"forged"}'
    assert altered.send()[:2] == INVALID
    altered.headers["X-Amz-Content-SHA256"] = "UNSIGNED-PAYLOAD"
    assert altered.send()[:2] == INVALID
    for path in (f"{PATH}?MaxItems=9", f"{PATH}?MaxItems=1&Marker=x", PATH, f"{PATH}/?MaxItems=1", f"{PATH}?maxItems=1"):
        altered = Stranger(server, path=f"{PATH}?MaxItems=1")
        altered.path = path
        assert altered.send()[:2] == INVALID, path
    altered = Stranger(server)
    altered.method = "DELETE"
    assert altered.send()[:2] == INVALID
    for header, value in (("Host", "elsewhere"), ("X-Amz-Date", time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(time.time() + 1)))):
        altered = Stranger(server)
        altered.headers[header] = value
        assert altered.send()[:2] == INVALID, header
    honest = Stranger(server).headers["Authorization"]
    digit = "0" if honest[-1] != "0" else "1"
    for authorization, expected in (
            (honest[:-1] + digit, "InvalidSignatureException"),
            (honest[:-1], "IncompleteSignatureException"),
            (honest.replace("SignedHeaders=host;x-amz-date", "SignedHeaders=x-amz-date"), "InvalidSignatureException"),
            (honest.replace("AWS4-HMAC-SHA256", "AWS4-HMAC-SHA1"), "IncompleteSignatureException"),
            (honest.replace("aws4_request", "aws5_request"), "InvalidSignatureException"),
            ("Basic YTpi", "IncompleteSignatureException"), ("", "MissingAuthenticationTokenException")):
        altered = Stranger(server)
        altered.headers["Authorization"] = authorization
        status, name, _ = altered.send()
        assert status in (400, 403) and name in (expected, "IncompleteSignatureException", "InvalidSignatureException"), \
            (authorization, name)
    assert b"forged" not in Stranger(server).send()[2]


@pytest.mark.parametrize(("offset_s", "words"), [(-15 * 60, "Signature expired"), (-24 * 3600, "Signature expired"),
                                                 (15 * 60, "Signature not yet current")])
def test_a_request_is_good_for_minutes_only(server, monkeypatch, offset_s, words):
    """What was captured a quarter of an hour ago cannot be sent again."""
    with signed_at(offset_s, monkeypatch):
        captured = Stranger(server, "POST", body=b'{"CreationToken":"replayed"}')
    assert captured.headers["X-Amz-Date"] != time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    status, name, body = captured.send()
    assert (status, name) == INVALID and words in json.loads(body)["Message"]
    assert b"replayed" not in Stranger(server).send()[2]


def test_a_signature_for_another_service_opens_nothing_of_this_one(server):
    """The scope names the service, and whoever is asked answers for itself only."""
    assert Stranger(server, service="s3").send()[:2] == (404, "UnknownOperationException")
    for service in ("kms", "shoal"):
        assert Stranger(server, service=service).send()[0] in (400, 404), service
    for service in ("ec2", "iam", "sts"):
        status, _, body = Stranger(server, service=service).send()
        assert status == 400 and b"<Code>" in body and b"FileSystems" not in body, service


def test_a_presigned_address_is_refused(server):
    request = botocore.awsrequest.AWSRequest(method="GET", url=server.endpoint + PATH)
    botocore.auth.SigV4QueryAuth(keys(server), "elasticfilesystem", REGION, expires=60).add_auth(request)
    parts = urllib.parse.urlsplit(request.url)
    plain = Stranger(server)
    plain.headers, plain.path = {}, f"{parts.path}?{parts.query}"
    status, name, _ = plain.send()
    assert (status, name) in ((403, "IncompleteSignatureException"), (403, "MissingAuthenticationTokenException"))


# --- who takes too much -----------------------------------------------------------------------------

def memory(server):
    """(now, most ever) bytes of memory of the server that are resident."""
    with open(f"/proc/{server.pid}/status", encoding="ascii") as status:
        lines = dict(line.split(":", 1) for line in status)
    return tuple(int(lines[name].split()[0]) * 1024 for name in ("VmRSS", "VmHWM"))


def forget_most(server):
    """Lets the most ever count from now."""
    with open(f"/proc/{server.pid}/clear_refs", "w", encoding="ascii") as file:
        file.write("5")


@contextlib.contextmanager
def bounded_memory(server, more_bytes):
    forget_most(server)
    before, _ = memory(server)
    yield
    _, most = memory(server)
    assert most - before < more_bytes, f"{(most - before) / MIB:.0f} MiB more"


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_of_100_mb_is_refused_and_not_kept(server, signed, chunked):
    headers = Stranger(server, "POST", body=b"x").headers if signed else {}
    piece = bytes(MIB)
    with bounded_memory(server, 48 * MIB):
        connection = http.client.HTTPConnection("127.0.0.1", server.control_port, timeout=60)
        connection.putrequest("POST", PATH)
        for name, value in {**headers, **({"Transfer-Encoding": "chunked"} if chunked else {
                "Content-Length": str(100 * MIB)})}.items():
            connection.putheader(name, value)
        connection.endheaders()
        for _ in range(100):
            connection.send(b"%x\r\n%s\r\n" % (len(piece), piece) if chunked else piece)
        if chunked:
            connection.send(b"0\r\n\r\n")
        answer = connection.getresponse()
        assert (answer.status, answer.headers["x-amzn-ErrorType"]) == (413, "RequestEntityTooLarge")
        answer.read()
        connection.close()


@contextlib.contextmanager
def many_files():
    """This process may have more of them than usual."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard if hard != resource.RLIM_INFINITY else 65536, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def connect(server, source):
    return socket.create_connection(("127.0.0.1", server.control_port), timeout=60, source_address=(source, 0))


def message(server, method, path, body):
    signed = Stranger(server, method, path, body)
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in signed.headers.items()),
             f"Content-Length: {len(body)}", f"Host: 127.0.0.1:{server.control_port}", "", ""]
    return "\r\n".join(lines).encode() + body


def test_a_thousand_clients_at_once_are_all_answered(server):
    """Connected at the same time, all with a request on its way; each tenth makes something."""
    efs = server.boto3_client()
    fs_id = efs.create_file_system(CreationToken="thousand")["FileSystemId"]
    wait_until(lambda: efs.describe_file_systems(FileSystemId=fs_id)["FileSystems"][0]["LifeCycleState"] == "available",
               30, "available")
    requests = [message(server, "POST", "/2015-02-01/access-points", json.dumps(
        {"FileSystemId": fs_id, "ClientToken": f"client-{i}"}).encode()) if i % 10 == 0
        else message(server, "GET", f"{PATH}?FileSystemId={fs_id}", b"") for i in range(1000)]
    with many_files(), bounded_memory(server, 160 * MIB), contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(connect(server, f"127.0.0.{2 + i % 4}")) for i in range(1000)]
        for client, request in zip(sockets, requests):
            client.sendall(request)
        statuses = []
        for client in sockets:
            answer = http.client.HTTPResponse(client)
            answer.begin()
            statuses.append(answer.status)
            assert fs_id.encode() in answer.read()
    assert statuses == [200] * 1000
    points = efs.describe_access_points(FileSystemId=fs_id, MaxResults=1000)["AccessPoints"]
    assert {point["ClientToken"] for point in points} == {f"client-{i}" for i in range(0, 1000, 10)}


def test_slow_clients_hold_a_share_of_the_connections_and_little_memory(server):
    """Six hundred of one address that drip: half of all connections are theirs at most, and others are served meanwhile. That
    their time is limited is shown in tests/unit/http, where the limit is shorter."""
    with many_files(), bounded_memory(server, 120 * MIB), contextlib.ExitStack() as stack:
        slow = []
        for i in range(600):
            client = stack.enter_context(connect(server, "127.0.0.9"))
            with contextlib.suppress(OSError):  # those beyond the share are hung up on
                client.sendall(b"GET /2015-02-01/file-systems HTTP/1.1\r\n" if i % 2 else
                               b"POST /2015-02-01/file-systems HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n{")
            slow.append(client)
        for _ in range(3):
            for client in slow:
                with contextlib.suppress(OSError):
                    client.sendall(b"X")
            assert Stranger(server).send()[0] == 200, "whoever comes from another address"
        wait_until(lambda: sum(is_closed(client) for client in slow) >= 600 - 513, 30, "those beyond the share are closed")
        assert sum(is_closed(client) for client in slow) == 600 - 513
    wait_until(lambda: Stranger(server).send()[0] == 200, 10, "served")


def is_closed(client):
    client.setblocking(False)
    try:
        return client.recv(1) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True
