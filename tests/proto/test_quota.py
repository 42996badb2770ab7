"""Quotas of directories: `shoal quota`, the service's operations, tags of access points, and what NFS clients meet."""

import json
import os
import urllib.error
import urllib.request

import botocore.auth
import botocore.awsrequest
import botocore.credentials
import nfs4
from nfs4 import (FILES_FREE, FILES_TOTAL, SPACE_AVAIL, SPACE_TOTAL, UNSTABLE, commit, create, getattr_, getfh, lookup,
                  putfh, putrootfh, rename, savefh, write)
import pytest

BLOCK = 4096
WEEK_S = 7 * 24 * 3600


class Api:
    def __init__(self, server):
        self.server = server
        self.fs = server.up()["file_system_id"]

    def shoal(self, *words, check=True):
        return self.server.shoal(*words, "--data", self.server.data_dir, check=check)

    def efs(self, method, path, body=None):
        words = [] if body is None else [json.dumps(body)]
        out = self.server.shoal("api", "--data", self.server.data_dir, method, path, *words).stdout
        return json.loads(out) if out.strip() else None

    def target(self, operation, **body):
        """(status, answer) of an operation of the service "shoal"."""
        env = self.server.shell_env()
        endpoint = env["AWS_ENDPOINT_URL"]
        keys = env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"]
        request = botocore.awsrequest.AWSRequest(
            method="POST", url=endpoint + "/", data=json.dumps(body).encode(),
            headers={"X-Amz-Target": "Shoal_20261128." + operation, "Content-Type": "application/x-amz-json-1.1"})
        region = env.get("AWS_REGION", env.get("AWS_DEFAULT_REGION"))
        botocore.auth.SigV4Auth(botocore.credentials.Credentials(*keys), "shoal", region).add_auth(request)
        sent = urllib.request.Request(request.url, data=request.body, method="POST", headers=dict(request.headers))
        try:
            with urllib.request.urlopen(sent) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())


@pytest.fixture(scope="module")
def api(server):
    return Api(server)


@pytest.fixture
def place(api, directory):
    """A directory of this test's own, with its path."""
    directory.path = "/" + path_of(directory)
    return directory


def path_of(directory):
    listing = directory.session.run(putrootfh(), nfs4.readdir(maxcount=1 << 16)).ok().last.entries
    for entry in listing:
        if directory.session.run(putrootfh(), lookup(entry.name), getfh()).ok().last.fh == directory.fh:
            return entry.name.decode()
    raise LookupError("the test's directory is gone")


def space(session, fh):
    attrs = session.run(putfh(fh), getattr_(SPACE_TOTAL, SPACE_AVAIL, FILES_TOTAL, FILES_FREE)).ok().last.attrs
    return tuple(attrs[key] for key in (SPACE_TOTAL, SPACE_AVAIL, FILES_TOTAL, FILES_FREE))


# --- the command and what NFS says ---------------------------------------------------------------------------

def test_a_quota_is_set_met_shown_and_cleared(api, place):
    word = api.fs + ":" + place.path
    api.shoal("quota", "set", word, "--bytes", "40KiB", "--entries", "3")
    fh, stateid = place.open(b"file")
    session = place.session
    session.run(putfh(fh), write(stateid, 0, b"x" * 8 * BLOCK, UNSTABLE)).ok()
    assert session.run(putfh(fh), write(stateid, 8 * BLOCK, b"x" * 3 * BLOCK, UNSTABLE)).status == "DQUOT"
    session.run(putfh(fh), write(stateid, 8 * BLOCK, b"x" * 2 * BLOCK, UNSTABLE)).ok()
    assert session.run(putfh(fh), write(stateid, 99 * BLOCK, b"x")).status == "DQUOT"
    session.run(putfh(fh), commit()).ok()
    assert space(session, place.fh) == (40 << 10, 0, 3, 2)
    place.mkdir(b"inner")
    place.mkdir(b"other")
    assert place.run(create(b"third")).status == "DQUOT"
    assert place.run(nfs4.open_(b"third", how=nfs4.UNCHECKED)).status == "DQUOT"
    shown = json.loads(api.shoal("quota", "show", word, "--json").stdout)
    assert shown == {"HardBytes": 40 << 10, "SoftBytes": 0, "HardEntries": 3, "SoftEntries": 0, "GraceSeconds": WEEK_S,
                     "UsedBytes": 40 << 10, "UsedEntries": 3, "BytesOverSince": 0, "EntriesOverSince": 0}
    assert "40.0 KiB of 40.0 KiB" in api.shoal("quota", "show", word).stdout
    api.shoal("quota", "clear", word)
    place.mkdir(b"third")
    assert "QuotaNotFound" in api.shoal("quota", "show", word, check=False).stderr
    total = space(session, place.fh)
    assert total == space(session, session.run(putrootfh(), getfh()).ok().last.fh) and total[0] > 1 << 60


def test_what_is_moved_or_removed_counts(api, place):
    api.shoal("quota", "set", api.fs + ":" + place.path, "--entries", "1")
    outside = place.session.run(putrootfh(), getfh()).ok().last.fh
    name = os.urandom(6).hex().encode()
    place.session.run(putrootfh(), create(name)).ok()
    place.mkdir(b"a")
    move = (putfh(outside), savefh(), putfh(place.fh), rename(name, b"b"))
    assert place.session.run(*move).status == "DQUOT"
    place.run(nfs4.remove(b"a")).ok()
    place.session.run(*move).ok()


def test_mistakes_are_told(api, place):
    word = api.fs + ":" + place.path
    for words, problem in ((("set", word), "Which limit"), (("set", word, "--bytes", "many"), "not many"),
                           (("show", word, "--bytes", "5"), "only"), (("set", "127.0.0.1:/", "--bytes", "5"), "address"),
                           (("show", word + "/none"), "DirectoryNotFound"), (("frob", word), "set, show or clear")):
        done = api.shoal("quota", *words, check=False)
        assert done.returncode != 0 and problem in done.stderr, (words, done.stderr)


# --- the operations ------------------------------------------------------------------------------------------

def test_operations(api, place):
    where = {"FileSystemId": api.fs, "Path": place.path}
    assert api.target("GetQuota", **where)[1]["__type"] == "QuotaNotFound"
    status, quota = api.target("SetQuota", **where, SoftBytes=BLOCK, GraceSeconds=60)
    assert status == 200 and quota["SoftBytes"] == BLOCK and quota["BytesOverSince"] == 0
    place.make(b"file", b"x" * 2 * BLOCK)
    quota = api.target("GetQuota", **where)[1]
    assert quota["UsedBytes"] == 2 * BLOCK and quota["BytesOverSince"] > 0
    assert api.target("DeleteQuota", **where) == (200, {})
    assert api.target("DeleteQuota", **where) == (200, {})
    for body, error in (({**where}, "BadRequest"), ({**where, "HardBytes": -1}, "BadRequest"),
                        ({**where, "HardBytes": 1 << 63}, "BadRequest"), ({**where, "HardBytes": "5"}, "BadRequest"),
                        ({"FileSystemId": api.fs, "HardBytes": 5}, "BadRequest"),
                        ({**where, "Path": place.path + "/..", "HardBytes": 5}, "DirectoryNotFound"),
                        ({**where, "Path": place.path + "/file", "HardBytes": 5}, "DirectoryNotFound"),
                        ({**where, "FileSystemId": "fs-00000000000000000", "HardBytes": 5}, "FileSystemNotFound")):
        status, answer = api.target("SetQuota", **body)
        assert status >= 400 and answer["__type"].endswith(error), (body, answer)


# --- tags of access points -----------------------------------------------------------------------------------

def point_with(api, path, **tags):
    return api.efs("POST", "/access-points", {
        "FileSystemId": api.fs, "ClientToken": os.urandom(8).hex(),
        "RootDirectory": {"Path": path, "CreationInfo": {"OwnerUid": 0, "OwnerGid": 0, "Permissions": "0755"}},
        "Tags": [{"Key": key, "Value": value} for key, value in tags.items()]})["AccessPointId"]


def test_tags_of_an_access_point_limit_its_directory(api, server, place):
    point = point_with(api, place.path + "/made/home", **{"shoal:quota-bytes": "64KiB", "shoal.quota-entries": "10"})
    session = nfs4.connect(("127.0.0.1", server.nfs_port))
    fh = session.run(putrootfh(), lookup(point.encode()), getfh()).ok().last.fh  # makes it
    assert space(session, fh) == (64 << 10, 64 << 10, 10, 10)
    made = place.fh_of(b"made")
    assert space(place.session, made)[0] > 1 << 60
    api.efs("POST", "/resource-tags/" + point, {"Tags": [{"Key": "shoal:quota-bytes", "Value": "1MiB"}]})
    assert space(session, fh)[0] == 1 << 20
    api.efs("DELETE", f"/resource-tags/{point}?tagKeys=shoal%3Aquota-bytes&tagKeys=shoal.quota-entries")
    assert space(session, fh)[0] > 1 << 60
    session.conn.close()


def test_a_directory_that_is_there_is_limited_at_once(api, place):
    inner = place.mkdir(b"there")
    point_with(api, place.path + "/there", **{"shoal:quota-entries": "1"})
    place.session.run(putfh(inner), create(b"one")).ok()
    assert place.session.run(putfh(inner), create(b"two")).status == "DQUOT"


def test_tags_that_are_no_limits_are_refused(api, place):
    point = point_with(api, place.path)
    for key, value in (("shoal:quota-bytes", "lots"), ("shoal:quota-byte", "5"), ("shoal:quota-grace-days", "x")):
        body = json.dumps({"Tags": [{"Key": key, "Value": value}]})
        done = api.server.shoal("api", "--data", api.server.data_dir, "POST", "/resource-tags/" + point, body, check=False)
        assert done.returncode != 0 and "quota tag" in done.stdout + done.stderr


def test_quotas_survive_a_kill(own_server):
    api = Api(own_server)
    api.shoal("mkdir", api.fs + ":/d")
    api.shoal("quota", "set", api.fs + ":/d", "--entries", "1")
    own_server.kill9()
    own_server.start()
    own_server.up()
    assert api.shoal("mkdir", api.fs + ":/d/a").returncode == 0
    refused = api.shoal("mkdir", api.fs + ":/d/b", check=False)
    assert refused.returncode != 0 and "quota" in refused.stderr.lower()
