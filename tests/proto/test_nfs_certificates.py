"""Client certificates of efs-utils: access points and IAM identities at mount targets, and what is refused."""

import datetime
import json
import os
import ssl

import efs_certificate
import nfs4
from nfs4 import MODE, OWNER, OWNER_GROUP, create, getattr_, getfh, lookup, lookupp, open_, putfh, putrootfh, read, write
import nfs_place
import pytest
import shoal_server

HOUR = datetime.timedelta(hours=1)
CLIENT = "elasticfilesystem:Client*"
MOUNT = "elasticfilesystem:ClientMount"
WRITE = "elasticfilesystem:ClientWrite"


class Place:
    """The default file system of the server, and what shows certificates to it."""

    def __init__(self, server, tmp_path):
        self.server = server
        self.directory = tmp_path
        contract = server.up()
        self.fs = contract["file_system_id"]
        self.address = (contract["mount_targets"][0]["ip"], server.nfs_port)
        self.account = contract["account_id"]
        self.credentials = (contract["access_key_id"], contract["secret_access_key"], None)
        self.policy_path = f"/file-systems/{self.fs}/policy"
        self.conns = []

    def call(self, method, path, body=None):
        words = [] if body is None else [json.dumps(body)]
        out = self.server.shoal("api", "--data", self.server.data_dir, method, path, *words).stdout
        return json.loads(out) if out.strip() else None

    def put_policy(self, *statements):
        policy = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
        self.call("PUT", self.policy_path, {"Policy": policy})

    def access_point(self, fs=None, **fields):
        made = self.call("POST", "/access-points",
                         {"FileSystemId": fs or self.fs, "ClientToken": os.urandom(8).hex(), **fields})
        return self.server.access_point_ready(made["AccessPointId"])

    def conn(self, address=None, fs_id=None, **certificate):
        """A connection that shows a certificate for the file system, or as it is told."""
        context = ssl.create_default_context(cafile=str(self.server.data_dir / "ca.pem"))
        context.load_cert_chain(*efs_certificate.make(self.directory, fs_id=fs_id or self.fs, **certificate))
        self.conns.append(nfs4.Conn(address or self.address, tls=context))
        return self.conns[-1]

    def mount(self, owner=None, verifier=None, **options):
        return nfs4.connect(None, owner, verifier, conn=self.conn(**options))

    def is_refused(self, is_for_its_time=False, **certificate):
        """Nothing is allowed; for its times alone the server closes the connection, as the next may be good."""
        if not is_for_its_time:
            return root_status(self.mount(**certificate)) == "ACCESS"
        with pytest.raises((nfs4.ConnectionClosed, ssl.SSLError, OSError)):
            self.conn(**certificate).call(b"", procedure=0)
        return True

    def reason(self):
        return [line for line in self.server.log().splitlines() if "refused" in line][-1]


@pytest.fixture(scope="module")
def server_place(server, tmp_path_factory):
    return Place(server, tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def place(server_place):
    yield server_place
    for conn in server_place.conns:
        conn.close()
    server_place.conns.clear()
    server_place.server.shoal("api", "--data", server_place.server.data_dir, "DELETE", server_place.policy_path)


def allow(principal, *actions):
    return {"Effect": "Allow", "Principal": {"AWS": principal}, "Action": list(actions)}


def root_status(session):
    return session.run(putrootfh(), getfh()).status


def test_a_client_without_identity_sees_the_file_system(place, session, directory):
    mounted = place.mount()
    fh = directory.make(b"file", b"data")
    assert mounted.run(putfh(fh), read(nfs4.BYPASS, 0, 10)).ok().last.data == b"data"


def test_an_access_point_is_the_root_and_the_user(place, session):
    point = place.access_point(PosixUser={"Uid": 1001, "Gid": 2001, "SecondaryGids": [3001]},
                               RootDirectory={"Path": "/homes/one", "CreationInfo": {
                                   "OwnerUid": 1001, "OwnerGid": 2001, "Permissions": "0750"}})
    mounted = place.mount(access_point=point)
    root = mounted.run(putrootfh(), getattr_(MODE, OWNER, OWNER_GROUP), getfh()).ok()
    assert root.results[2].attrs == {MODE: 0o750, OWNER: b"1001", OWNER_GROUP: b"2001"}
    made = mounted.run(putrootfh(), open_(b"file", how=nfs4.UNCHECKED, values={MODE: 0o640}), getattr_(OWNER), getfh())
    assert made.ok().results[3].attrs == {OWNER: b"1001"}
    assert mounted.run(putrootfh(), lookupp()).status == "NOENT"
    seen = session.run(putrootfh(), lookup(b"homes"), lookup(b"one"), lookup(b"file"), getfh()).ok().last.fh
    assert mounted.run(putfh(seen)).status == "STALE", "a handle of the whole file system"
    assert session.run(putfh(made.last.fh)).status == "STALE", "a handle of the access point"


def test_every_access_point_and_principal_is_a_server_of_its_own(place):
    """Linux takes mounts for one server whose owner is the same, and mixes their requests up."""
    point, other = place.access_point(), place.access_point()
    ways = [{}, {"access_point": point}, {"access_point": other}, {"credentials": place.credentials},
            {"access_point": point, "credentials": place.credentials}]
    owner, verifier = os.urandom(8), os.urandom(8)
    seen = [place.mount(owner, verifier, **way).client.exchanged for way in ways]
    assert len({one.clientid for one in seen}) == len(ways)
    assert len({one.major_id for one in seen}) == len(ways)
    assert len({one.scope for one in seen}) == len(ways)
    again = nfs4.Client(place.conn(**ways[4]), owner, verifier).exchanged
    assert again.major_id == seen[4].major_id and again.clientid == seen[4].clientid
    plain = nfs4.Conn(place.address)
    without = nfs4.Client(plain, owner, verifier).exchanged
    assert without.major_id not in {one.major_id for one in seen}, "Linux would send what TLS protects in clear"
    plain.close()


def test_opens_of_one_file_conflict_across_access_points(place):
    point = place.access_point()
    one, other = place.mount(), place.mount(access_point=point)
    name = b"shared-" + os.urandom(4).hex().encode()
    fh, stateid = nfs_place.Directory(one, one.run(putrootfh(), getfh()).ok().last.fh).open(
        name, deny=nfs4.DENY_BOTH)
    refused = other.run(putrootfh(), open_(name, share=nfs4.ACCESS_READ))
    assert refused.status == "SHARE_DENIED"
    one.run(putfh(fh), nfs4.close(stateid)).ok()
    other.run(putrootfh(), open_(name, share=nfs4.ACCESS_READ)).ok()


def test_a_policy_tells_who_it_is(place):
    anonymous, signed = place.mount(), place.mount(credentials=place.credentials)
    place.put_policy(allow(f"arn:aws:iam::{place.account}:root", CLIENT))
    assert root_status(anonymous) == "ACCESS"
    assert root_status(signed) == "OK"
    place.put_policy(allow("*", MOUNT))
    assert root_status(anonymous) == "OK"
    assert anonymous.run(putrootfh(), create(b"dir", nfs4.DIR, {MODE: 0o755})).status == "ROFS"
    place.put_policy(allow("*", MOUNT, WRITE), {"Effect": "Deny", "Principal": {"AWS": place.account}, "Action": WRITE})
    assert signed.run(putrootfh(), create(b"dir", nfs4.DIR, {MODE: 0o755})).status == "ROFS"


def test_a_policy_may_ask_for_an_access_point(place):
    point, other = place.access_point(), place.access_point()
    arn = f"arn:aws:elasticfilesystem:us-east-1:{place.account}:access-point/{point}"
    place.put_policy({**allow("*", CLIENT), "Condition": {"StringEquals": {"elasticfilesystem:AccessPointArn": arn}}})
    assert root_status(place.mount(access_point=point)) == "OK"
    assert root_status(place.mount(access_point=other)) == "ACCESS"
    assert root_status(place.mount()) == "ACCESS"


def test_what_is_forged_expired_or_mismatched_is_refused(place):
    now = datetime.datetime.now(datetime.timezone.utc)
    key_id, secret, _ = good = place.credentials
    other_fs = place.call("POST", "/file-systems", {"CreationToken": os.urandom(8).hex()})["FileSystemId"]
    shoal_server.wait_until(lambda: place.call("GET", f"/file-systems?FileSystemId={other_fs}")["FileSystems"][0][
        "LifeCycleState"] == "available", 30, "the other file system is available")
    other_point = place.access_point(other_fs)
    for certificate, reason in (
            ({"credentials": (key_id, secret + "A", None)}, "signature does not fit"),
            ({"credentials": ("AKIAIOSFODNN7EXAMPLE", secret, None)}, "access key is unknown"),
            ({"credentials": (key_id, secret, "token")}, "session token is wrong"),
            ({"credentials": good, "signature": "0" * 64}, "signature does not fit"),
            ({"credentials": good, "signature": "0" * 63}, "cannot be read"),
            ({"credentials": good, "region": "eu-west-1"}, "signature does not fit"),
            ({"credentials": good, "signed_fs": other_fs}, "signature does not fit"),
            ({"credentials": good, "key_hash": "0" * 40}, "signature does not fit"),
            ({"credentials": good, "signed_at": now + HOUR}, "in the future"),
            ({"credentials": good, "signed_at": now - 25 * HOUR}, "signature has expired"),
            ({"not_after": now - HOUR}, "has expired"),
            ({"not_before": now + HOUR}, "not valid yet"),
            ({"fs_id": "fs-0123456789abcdef0"}, "no such file system"),
            ({"fs_id": other_fs}, "this is the mount target of"),
            ({"access_point": "fsap-0123456789abcdef0"}, "no such access point"),
            ({"access_point": other_point}, "belongs to another file system"),
            ({"access_point": "../../etc"}, "cannot be read")):
        is_for_its_time = any(word in reason for word in ("expired", "future", "yet"))
        assert place.is_refused(is_for_its_time, **certificate), certificate
        assert reason in place.reason(), certificate
    assert root_status(place.mount(credentials=good)) == "OK"


def test_at_an_address_that_is_no_mount_target_the_certificate_names_the_file_system(place, session, directory):
    point = place.access_point(RootDirectory={"Path": "/by-name", "CreationInfo": {
        "OwnerUid": 7, "OwnerGid": 7, "Permissions": "0700"}})
    fh = directory.make(b"file", b"data")
    local = ("127.0.0.1", place.server.nfs_port)
    mounted = place.mount(address=local)
    assert mounted.run(putfh(fh), read(nfs4.BYPASS, 0, 10)).ok().last.data == b"data"
    assert mounted.run(putrootfh(), lookup(place.fs.encode())).status == "NOENT", "its root is the file system's"
    through = place.mount(address=local, access_point=point)
    assert through.run(putrootfh(), getattr_(OWNER)).ok().last.attrs == {OWNER: b"7"}
    place.put_policy({**allow("*", CLIENT), "Condition": {"Bool": {"elasticfilesystem:AccessedViaMountTarget": "true"}}})
    assert root_status(mounted) == "ACCESS"


def test_a_session_goes_on_with_another_certificate(place):
    """As after the hourly renewal of efs-utils: a new connection, a new signature, the same session and open file."""
    first = place.mount(credentials=place.credentials)
    play = nfs_place.new_directory(first)
    fh, stateid = play.open(b"file")
    first.run(putfh(fh), write(stateid, 0, b"before")).ok()
    first.conn.close()
    later = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=60)
    renewed = place.conn(credentials=place.credentials, now=later)
    first.run(putfh(fh), write(stateid, 6, b" and after"), conn=renewed).ok()
    assert first.run(putfh(fh), read(stateid, 0, 100), conn=renewed).ok().last.data == b"before and after"
    other = place.conn()
    assert first.run(putrootfh(), conn=other).status == "BADSESSION", "it is not somebody else's session"


def test_requests_of_one_session_may_come_by_several_connections(place):
    """As efs-proxy spreads them, without BIND_CONN_TO_SESSION."""
    session = place.mount(credentials=place.credentials)
    play = nfs_place.new_directory(session)
    fh, stateid = play.open(b"file")
    conns = [place.conn(credentials=place.credentials) for _ in range(4)]
    for i in range(20):
        session.run(putfh(fh), write(stateid, 10 * i, b"0123456789"), conn=conns[i % 4], slot=i % 3).ok()
    assert play.content(fh) == b"0123456789" * 20


# --- program 400123, of efs-utils' proxy --------------------------------------------------------------

PROXY = {"program": 400123, "version": 1, "cred": nfs4.AUTH_NONE}
IDENTIFIER = nfs4.opaque(bytes(range(16))) + nfs4.opaque((7).to_bytes(8, "big"))


def bind(conn, identifier=IDENTIFIER):
    """BIND_CLIENT_TO_PARTITION: (type, partition id, configuration for scaling up)."""
    reader = nfs4.Reader(conn.call(identifier, procedure=2, **PROXY))
    found = reader.u32(), reader.fixed(64), [reader.u32() for _ in range(4)]
    reader.end()
    return found


def test_a_proxy_is_told_one_partition_per_server(place, conn):
    point = place.access_point()
    assert conn.call(b"", procedure=0, **PROXY) == b""
    kind, partition, scale = bind(conn)
    assert kind == 3 and scale == [5, 300 << 20, 1, 1]
    by_tls = bind(place.conn())[1]
    assert bind(place.conn(), nfs4.opaque(b"another proxy") + nfs4.opaque(b""))[1] == by_tls
    through = bind(place.conn(access_point=point))[1]
    signed = bind(place.conn(credentials=place.credentials))[1]
    elsewhere = nfs4.Conn(("127.0.0.1", place.server.nfs_port))
    assert len({partition, by_tls, through, signed, bind(elsewhere)[1]}) == 5
    elsewhere.close()
    assert bind(place.conn(access_point=point))[1] == through
    nfs4.connect(None, conn=conn).run(putrootfh()).ok()


def test_what_a_proxy_may_not_ask_for_is_answered_all_the_same(conn):
    """Silence would fail the mount."""
    assert conn.call(nfs4.u32(2, 0), procedure=3, **PROXY) == nfs4.u32(2), "CHANNEL_INIT: AWSFILE_ERR_INVAL"
    for arguments, options, status in ((b"", {"procedure": 2}, 4), (nfs4.opaque(bytes(17)) * 2, {"procedure": 2}, 4),
                                       (nfs4.opaque(bytes(16)) + nfs4.opaque(bytes(9)), {"procedure": 2}, 4),
                                       (b"", {"procedure": 3}, 4), (b"", {"procedure": 1}, 3), (b"", {"procedure": 9}, 3),
                                       (b"", {"procedure": 2, "version": 2}, 2), (b"", {"program": 400124}, 1)):
        with pytest.raises(nfs4.RpcError) as error:
            conn.call(arguments, **{**PROXY, "procedure": 0, **options})
        assert error.value.args == ("accepted", status), options
