"""Access points on the data plane: below the pseudo root, by id; their user, their root, and no way out of it."""

import json
import os

import nfs4
import nfs4_back
from nfs4 import (ACCESS_READ, FSID, MODE, MOUNTED_ON_FILEID, OWNER, OWNER_GROUP, create, getattr_, getfh, link, lookup,
                  lookupp, open_, putfh, putrootfh, read, remove, rename, restorefh, savefh, setattr_, write)
import pytest


class Api:
    def __init__(self, server):
        self.server = server
        self.fs = server.up()["file_system_id"]

    def call(self, method, path, body=None):
        words = [] if body is None else [json.dumps(body)]
        out = self.server.shoal("api", "--data", self.server.data_dir, method, path, *words).stdout
        return json.loads(out) if out.strip() else None

    def access_point(self, **fields):
        made = self.call("POST", "/access-points", {"FileSystemId": self.fs, "ClientToken": os.urandom(8).hex(), **fields})
        return self.server.access_point_ready(made["AccessPointId"]).encode()


def user(uid, gid, *groups):
    return {"PosixUser": {"Uid": uid, "Gid": gid, "SecondaryGids": list(groups)}}


def root(path, uid=0, gid=0, mode="0755"):
    return {"RootDirectory": {"Path": path, "CreationInfo": {"OwnerUid": uid, "OwnerGid": gid, "Permissions": mode}}}


@pytest.fixture(scope="module")
def api(server):
    return Api(server)


@pytest.fixture
def local(server):
    """A session on an address that is no mount target: it sees the pseudo root."""
    session = nfs4.connect(("127.0.0.1", server.nfs_port))
    yield session
    session.conn.close()


def enter(session, point):
    return session.run(putrootfh(), lookup(point), getfh()).ok().last.fh


def test_its_user_takes_the_place_of_the_clients(api, local, directory):
    path = api_path(directory)
    point = api.access_point(**user(1001, 2001, 3001), **root(path + "/home", 1001, 2001, "0750"))
    fh = enter(local, point)
    attrs = local.run(putfh(fh), getattr_(MODE, OWNER, OWNER_GROUP)).ok().last.attrs
    assert attrs == {MODE: 0o750, OWNER: b"1001", OWNER_GROUP: b"2001"}
    made = local.run(putfh(fh), open_(b"file", how=nfs4.UNCHECKED, values={MODE: 0o640}), getattr_(OWNER, OWNER_GROUP),
                     cred=nfs4.auth_sys(55, 66)).ok()
    assert made.last.attrs == {OWNER: b"1001", OWNER_GROUP: b"2001"}
    assert local.run(putfh(fh), setattr_({OWNER: b"0"})).status == "PERM", "root of the client is 1001 here"
    # In the whole file system the client is who it says, and of the groups of the access point's user none is left.
    home = directory.fh_of(b"home")
    assert directory.session.run(putfh(home), lookup(b"file"), cred=nfs4.auth_sys(55, 66)).status == "ACCESS"


def test_callbacks_name_a_file_as_its_holder_knows_it(server, api, directory):
    """By the access point's handle: the client knows no other, and would keep what it has until it is revoked."""
    point = api.access_point(**user(1001, 2001), **root(api_path(directory) + "/home", 1001, 2001, "0755"))
    holder = nfs4_back.connect(("127.0.0.1", server.nfs_port))
    opened = holder.run(putfh(enter(holder, point)), open_(b"file", share=nfs4.ACCESS_BOTH, how=nfs4.UNCHECKED,
                                                           values={MODE: 0o666}), getfh()).ok()
    fh, given = opened.last.fh, opened.of("OPEN")
    assert given.delegation == nfs4_back.WRITE
    asked = []
    holder.conn.answers[nfs4_back.CB_GETATTR] = lambda call: (asked.append(call.fh), (nfs4.STATUS["BADHANDLE"], b""))[1]
    finish = nfs4_back.begin(directory.session, putfh(directory.fh), lookup(b"home"), lookup(b"file"), getattr_(nfs4.SIZE))
    assert holder.conn.wait_for(nfs4_back.CB_GETATTR).fh == fh
    assert holder.conn.wait_for(nfs4_back.CB_RECALL).fh == fh
    holder.run(putfh(fh), nfs4_back.delegreturn(given.deleg_stateid)).ok()
    assert finish().status in ("OK", "DELAY") and asked == [fh]

    whole = directory.session
    theirs = whole.run(putfh(directory.fh), lookup(b"home"), open_(b"file", share=nfs4.ACCESS_BOTH, how=None), getfh()).ok()
    held = whole.run(putfh(theirs.last.fh), nfs4.lock(nfs4.WRITE_LT, 0, 10, theirs.of("OPEN").stateid)).ok().last.stateid
    assert holder.run(putfh(fh), nfs4.lock(nfs4.WRITEW_LT, 5, 10, given.stateid, b"waiter")).status == "DENIED"
    whole.run(putfh(theirs.last.fh), nfs4.locku(held, 0, 10)).ok()
    assert holder.conn.wait_for(nfs4_back.CB_NOTIFY_LOCK).fh == fh
    holder.conn.close()


def test_its_groups_count(api, local, directory):
    path = api_path(directory)
    shared = directory.mkdir(b"shared", 0o770)
    directory.session.run(putfh(shared), setattr_({OWNER_GROUP: b"3001"})).ok()
    member = enter(local, api.access_point(**user(1001, 2001, 3001), RootDirectory={"Path": path}))
    other = enter(local, api.access_point(**user(1001, 2001), RootDirectory={"Path": path}))
    local.run(putfh(member), lookup(b"shared"), create(b"made")).ok()
    assert local.run(putfh(other), lookup(b"shared"), create(b"too")).status == "ACCESS"


def test_without_a_user_the_client_is_who_it_says(api, local, directory):
    fh = enter(local, api.access_point(**root(api_path(directory) + "/open", 0, 0, "0777")))
    made = local.run(putfh(fh), open_(b"file", how=nfs4.UNCHECKED), getattr_(OWNER), cred=nfs4.auth_sys(55, 66)).ok()
    assert made.last.attrs[OWNER] == b"55"


def test_each_missing_directory_is_made(api, local, directory):
    path = api_path(directory)
    point = api.access_point(**root(path + "/a/b/c", 7, 8, "0711"))
    deepest = enter(local, point)
    for depth, name in enumerate([b"a", b"b", b"c"]):
        names = [lookup(name) for name in [b"a", b"b", b"c"][:depth + 1]]
        attrs = directory.run(*names, getattr_(MODE, OWNER, OWNER_GROUP)).ok().last.attrs
        assert attrs == {MODE: 0o711, OWNER: b"7", OWNER_GROUP: b"8"}, name
    # What is there stays as it is; what was deleted is made at the next mount.
    directory.run(lookup(b"a"), lookup(b"b"), lookup(b"c"), setattr_({MODE: 0o700})).ok()
    assert local.run(putrootfh(), lookup(point), getattr_(MODE)).ok().last.attrs[MODE] == 0o700
    directory.run(lookup(b"a"), lookup(b"b"), remove(b"c")).ok()
    assert local.run(putfh(deepest), getattr_(MODE)).status == "STALE"
    assert local.run(putrootfh(), lookup(point), getattr_(MODE)).ok().last.attrs[MODE] == 0o711


def test_without_creation_info_a_missing_root_refuses(api, local, directory):
    path = api_path(directory)
    directory.make(b"file")
    missing = api.access_point(RootDirectory={"Path": path + "/missing"})
    no_directory = api.access_point(RootDirectory={"Path": path + "/file"})
    assert local.run(putrootfh(), lookup(missing)).status == "ACCESS"
    assert local.run(putrootfh(), lookup(no_directory)).status == "ACCESS"
    assert local.run(putrootfh(), lookup(b"fsap-0123456789abcdef0")).status == "NOENT"
    assert local.run(putrootfh(), lookup(missing[:-1])).status == "NOENT"


def test_there_is_no_way_up_out_of_it(api, local, directory):
    point = api.access_point(**root(api_path(directory) + "/inner"))
    fh = enter(local, point)
    sub = local.run(putfh(fh), create(b"sub"), getfh()).ok().last.fh
    assert local.run(putfh(sub), lookupp(), getfh()).ok().last.fh == fh
    # Up from its root is where it hangs: the pseudo root, not the directory above.
    above = local.run(putfh(fh), lookupp(), getfh()).ok().last.fh
    assert above == local.run(putrootfh(), getfh()).ok().last.fh
    # Moved out of it by somebody who may, a directory leads nowhere up.
    directory.run(lookup(b"inner"), savefh(), putfh(directory.fh), rename(b"sub", b"moved")).ok()
    assert local.run(putfh(sub), lookupp()).status == "NOENT"
    # The same on a connection that never looked the access point up.
    other = nfs4.connect(("127.0.0.1", api.server.nfs_port))
    assert other.run(putfh(sub), lookupp()).status == "NOENT"
    assert other.run(putfh(fh), lookupp(), getfh()).ok().last.fh == above
    other.conn.close()


def test_handles_tell_through_what_they_were_shown(api, local, session, directory):
    point = api.access_point(**user(1001, 1001), **root(api_path(directory) + "/inner", 1001, 1001, "0700"))
    through = enter(local, point)
    whole = directory.fh_of(b"inner")
    assert through != whole
    assert session.run(putfh(through)).status == "STALE", "a mount target shows the whole file system"
    local.run(putfh(whole), create(b"by-root")).ok()
    local.run(putfh(through), create(b"by-user")).ok()
    owners = [local.run(putfh(whole), lookup(name), getattr_(OWNER)).ok().last.attrs[OWNER]
              for name in (b"by-root", b"by-user")]
    assert owners == [b"0", b"1001"]
    forged = bytearray(through)
    forged[35] ^= 1  # the access point's number
    assert local.run(putfh(bytes(forged))).status == "BADHANDLE"


def test_it_is_a_file_system_of_its_own_to_clients(api, local, directory):
    path = api_path(directory)
    one = enter(local, api.access_point(**root(path + "/one", mode="0777")))
    two = enter(local, api.access_point(**user(1001, 1001), **root(path + "/two", mode="0777")))
    fsids = [local.run(putfh(fh), getattr_(FSID)).ok().last.attrs[FSID] for fh in (one, two, directory.fh)]
    assert len(set(fsids)) == 3
    covered = local.run(putfh(one), getattr_(MOUNTED_ON_FILEID, nfs4.FILEID)).ok().last.attrs
    assert covered[MOUNTED_ON_FILEID] != covered[nfs4.FILEID]
    local.run(putfh(one), create(b"d")).ok()
    file = local.run(putfh(one), open_(b"f", how=nfs4.UNCHECKED), getfh()).ok().last.fh
    assert local.run(putfh(one), savefh(), putfh(two), rename(b"d", b"d")).status == "XDEV"
    assert local.run(putfh(file), savefh(), putfh(two), link(b"f")).status == "XDEV"


def test_a_compound_changes_who_it_is_with_the_place(api, local, directory):
    path = api_path(directory)
    point = api.access_point(**user(1001, 1001), **root(path + "/mine", 1001, 1001, "0777"))
    through = enter(local, point)
    local.run(putfh(directory.fh), savefh(), putfh(through), create(b"of-user"), restorefh(), create(b"of-root")).ok()
    assert directory.run(lookup(b"of-root"), getattr_(OWNER)).ok().last.attrs[OWNER] == b"0"
    assert directory.run(lookup(b"mine"), lookup(b"of-user"), getattr_(OWNER)).ok().last.attrs[OWNER] == b"1001"


def test_locks_and_opens_conflict_with_those_of_the_whole(api, local, directory):
    path = api_path(directory)
    through = enter(local, api.access_point(**root(path + "/inner", mode="0777")))
    local.run(putfh(through), open_(b"file", how=nfs4.UNCHECKED, deny=nfs4.DENY_BOTH)).ok()
    assert directory.run(lookup(b"inner"), open_(b"file", share=ACCESS_READ)).status == "SHARE_DENIED"


def test_policies_see_the_access_point(api, local, directory):
    point = api.access_point(**user(0, 0), **root(api_path(directory) + "/inner", mode="0700"))
    arn = f"arn:aws:elasticfilesystem:us-east-1:000000000000:access-point/{point.decode()}"
    policy = f"/file-systems/{api.fs}/policy"
    fh = enter(local, point)
    try:
        api.call("PUT", policy, {"Policy": json.dumps({"Statement": [{
            "Effect": "Allow", "Principal": "*", "Action": ["elasticfilesystem:ClientMount", "elasticfilesystem:ClientWrite"],
            "Condition": {"StringEquals": {"elasticfilesystem:AccessPointArn": arn}}}]})})
        assert local.run(putrootfh(), lookup(api.fs.encode())).status == "ACCESS"
        assert local.run(putfh(fh), create(b"d")).status == "ACCESS", "its user 0 needs ClientRootAccess"
        local.run(putfh(fh), getattr_(MODE)).ok()
    finally:
        api.call("DELETE", policy)
    local.run(putfh(fh), create(b"d")).ok()


def test_deleted_it_lets_nobody_new_in(api, local, directory):
    point = api.access_point(**root(api_path(directory) + "/inner", mode="0777"))
    fh = enter(local, point)
    api.call("DELETE", f"/access-points/{point.decode()}")
    local.run(putfh(fh), create(b"still-here")).ok()
    assert local.run(putrootfh(), lookup(point)).status == "NOENT"
    other = nfs4.connect(("127.0.0.1", api.server.nfs_port))
    assert other.run(putfh(fh)).status == "STALE"
    other.conn.close()


def test_handles_and_files_outlive_the_daemon(api, local, directory):
    point = api.access_point(**user(1001, 1001), **root(api_path(directory) + "/inner", 1001, 1001))
    fh = enter(local, point)
    local.run(putfh(fh), open_(b"file", how=nfs4.UNCHECKED, values={MODE: 0o600}), write(nfs4.CURRENT, 0, b"data")).ok()
    file = local.run(putfh(fh), lookup(b"file"), getfh()).ok().last.fh
    api.server.restart()
    again = nfs4.connect(("127.0.0.1", api.server.nfs_port))
    assert again.run(putfh(file), read(nfs4.BYPASS, 0, 10), cred=nfs4.auth_sys(9, 9)).ok().last.data == b"data"
    assert again.run(putfh(fh), lookupp(), getfh()).ok()
    again.conn.close()


def api_path(directory):
    """The path of the test's directory in the file system."""
    name = directory.session.run(putfh(directory.fh), lookupp(), nfs4.readdir(maxcount=1 << 16, attrs=(nfs4.FILEHANDLE,)))
    entry = next(entry for entry in name.ok().last.entries if entry.attrs[nfs4.FILEHANDLE] == directory.fh)
    return "/" + entry.name.decode()
