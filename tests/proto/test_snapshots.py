"""Snapshots: `shoal snapshot`, the service's operations, and `.snapshot` as clients of NFS see it."""

import json
import os

import nfs4
from nfs4 import (ACCESS_READ, CHANGE, FILEID, FSID, MODE, SIZE, UNSTABLE, access, close, commit, create, getattr_, getfh, link,
                  lookup, lookupp, open_, putfh, putrootfh, read, readdir, remove, rename, savefh, setattr_, setxattr,
                  write)
import pytest
import shoal_server
from test_nfs_access_points import Api as PointApi
from test_nfs_access_points import enter
from test_quota import Api, path_of

WRITING = 0x04 | 0x08 | 0x10  # MODIFY, EXTEND, DELETE


@pytest.fixture(scope="module")
def api(server):
    return Api(server)


@pytest.fixture
def place(api, directory):
    """A directory of this test's own, with its path."""
    directory.path = "/" + path_of(directory)
    return directory


@pytest.fixture
def name(api):
    """Of a snapshot, that goes with the test."""
    chosen = "snap-" + os.urandom(5).hex()
    yield chosen
    api.shoal("snapshot", "delete", api.fs, chosen, check=False)


def take(api, name):
    return json.loads(api.shoal("snapshot", "create", api.fs, name, "--json").stdout)


def inside(fh, name):
    """To what a directory was in the snapshot."""
    return putfh(fh), lookup(b".snapshot"), lookup(name.encode())


def data_of(session, *way):
    """The content of a file that is opened by its name, the last of the way."""
    *way, last = way
    opened = session.run(*way, open_(last, share=ACCESS_READ), getfh()).ok()
    fh, stateid = opened.last.fh, opened.of("OPEN").stateid
    data = session.run(putfh(fh), read(stateid, 0, 1 << 16)).ok().last.data
    session.run(putfh(fh), close(stateid)).ok()
    return data


# --- what clients see ------------------------------------------------------------------------------------------

def test_what_was_is_read_under_its_name(api, place, name):
    session = place.session
    fh, stateid = place.open(b"file")
    session.run(putfh(fh), write(stateid, 0, b"as it was" * 2000, UNSTABLE)).ok()
    place.mkdir(b"kept")
    place.make(b"gone", b"deleted later")
    take(api, name)
    session.run(putfh(fh), write(stateid, 3, b"changed"), commit()).ok()
    place.run(remove(b"gone")).ok()
    place.run(remove(b"kept")).ok()
    place.make(b"young", b"made later")
    way = inside(place.fh, name)
    assert data_of(session, *way, b"file") == b"as it was" * 2000
    assert data_of(session, *way, b"gone") == b"deleted later"
    listed = session.run(*way, readdir()).ok().last.entries
    assert sorted(entry.name for entry in listed) == [b"file", b"gone", b"kept"]
    assert session.run(*way, lookup(b"young")).status == "NOENT"
    assert session.run(*way, lookup(b".snapshot")).status == "NOENT"


def test_it_is_found_in_every_directory_and_listed_in_none(api, place, name):
    session = place.session
    inner = place.mkdir(b"inner")
    take(api, name)
    late = place.mkdir(b"late")
    for fh in (place.fh, inner, session.run(putrootfh(), getfh()).ok().last.fh):
        assert b".snapshot" not in [entry.name for entry in session.run(putfh(fh), readdir()).ok().last.entries]
        names = [entry.name for entry in session.run(putfh(fh), lookup(b".snapshot"), readdir()).ok().last.entries]
        assert name.encode() in names
        assert session.run(putfh(fh), lookup(b".snapshot"), lookupp(), getfh()).ok().last.fh == fh
    assert session.run(putfh(late), lookup(b".snapshot"), lookup(name.encode())).status == "NOENT"
    way = (*inside(place.fh, name), lookup(b"inner"))
    there = session.run(*way, getattr_(FILEID, FSID)).ok().last.attrs
    now = session.run(putfh(inner), getattr_(FILEID, FSID)).ok().last.attrs
    assert there[FSID] == now[FSID] and there[FILEID] != now[FILEID]
    assert session.run(*way, lookupp(), getfh()).ok().last.fh == session.run(*inside(place.fh, name), getfh()).ok().last.fh


def test_nothing_in_it_can_be_changed(api, place, name):
    session = place.session
    file = place.make(b"file", b"data")
    take(api, name)
    way = inside(place.fh, name)
    listing = (putfh(place.fh), lookup(b".snapshot"))
    there = session.run(*way, lookup(b"file"), getfh()).ok().last.fh
    for at in (way, listing):
        assert session.run(*at, create(b"new")).status == "ROFS"
        assert session.run(*at, remove(b"file")).status == "ROFS"
        assert session.run(*at, open_(b"new", how=nfs4.UNCHECKED)).status == "ROFS"
        assert session.run(*at, setattr_({MODE: 0o777})).status == "ROFS"
        assert session.run(putfh(file), savefh(), *at, link(b"new")).status == "ROFS"
        assert session.run(putfh(place.fh), savefh(), *at, rename(b"file", b"new")).status == "ROFS"
        assert session.run(*at, savefh(), putfh(place.fh), rename(name.encode(), b"new")).status == "ROFS"
    assert session.run(*way, open_(b"file", share=nfs4.ACCESS_BOTH)).status == "ROFS"
    assert session.run(putfh(there), setattr_({SIZE: 0})).status == "ROFS"
    assert session.run(putfh(there), write(nfs4.ANONYMOUS, 0, b"x")).status == "ROFS"
    assert session.run(putfh(there), setxattr(b"a", b"b"), minor=2).status == "ROFS"
    assert session.run(putfh(there), savefh(), putfh(place.fh), link(b"new")).status == "ROFS"
    assert session.run(putfh(there), access()).ok().last.access & WRITING == 0


def test_a_deleted_one_is_gone_at_once(api, place, name):
    session = place.session
    place.make(b"file", b"data")
    take(api, name)
    there = session.run(*inside(place.fh, name), lookup(b"file"), getfh()).ok().last.fh
    before = session.run(putfh(place.fh), lookup(b".snapshot"), getattr_(CHANGE)).ok().last.attrs[CHANGE]
    api.shoal("snapshot", "delete", api.fs, name)
    assert session.run(putfh(there), getattr_(SIZE)).status == "STALE"
    assert session.run(*inside(place.fh, name)).status == "NOENT"
    assert session.run(putfh(place.fh), lookup(b".snapshot"), getattr_(CHANGE)).ok().last.attrs[CHANGE] > before


def test_no_way_out_of_an_access_point(server, api, place, name):
    """What came to be below its root later is not shown as it was elsewhere; and there is no way up."""
    session = place.session
    home = place.mkdir(b"home")
    inner = session.run(putfh(home), create(b"inner"), getfh()).ok().last.fh
    secret = place.mkdir(b"secret")
    session.run(putfh(secret), create(b"deep")).ok()
    take(api, name)
    session.run(putfh(place.fh), savefh(), putfh(home), rename(b"secret", b"moved")).ok()
    point = PointApi(server).access_point(RootDirectory={"Path": place.path + "/home"})
    local = nfs4.connect(("127.0.0.1", server.nfs_port))
    root = enter(local, point)
    was = local.run(*inside(root, name), getfh()).ok().last.fh
    assert [entry.name for entry in local.run(putfh(was), readdir()).ok().last.entries] == [b"inner"]
    assert local.run(putfh(was), lookupp()).status == "NOENT"
    moved = local.run(putfh(root), lookup(b"moved"), getfh()).ok().last.fh
    assert local.run(putfh(moved), lookup(b"deep")).status == "OK"
    assert local.run(*inside(moved, name)).status == "NOENT"
    assert local.run(putfh(root), lookup(b"inner"), lookup(b".snapshot"), lookup(name.encode())).status == "OK"
    assert session.run(*inside(inner, name), getfh()).ok()
    local.conn.close()


def test_a_strict_file_system_has_no_such_name(api, address, place, name):
    take(api, name)
    way = (putrootfh(), lookup(place.path[1:].encode()), lookup(b".snapshot"))
    assert place.session.run(*way).status == "OK"
    api.shoal("profile", api.fs, "strict")
    try:
        strict = nfs4.connect(address)
        assert strict.run(*way).status == "NOENT"
        strict.conn.close()
    finally:
        api.shoal("profile", api.fs, "default")


# --- restoring -------------------------------------------------------------------------------------------------

def test_a_file_and_a_tree_are_restored(api, place, name):
    session = place.session
    tree = place.mkdir(b"tree")
    inner = session.run(putfh(tree), create(b"inner", values={MODE: 0o750}), getfh()).ok().last.fh
    session.run(putfh(inner), create(b"link", kind=nfs4.LNK, data=b"target")).ok()
    big = os.urandom(300000)
    opened = session.run(putfh(inner), open_(b"big", how=nfs4.UNCHECKED, values={MODE: 0o640}), getfh()).ok()
    fh, stateid = opened.last.fh, opened.of("OPEN").stateid
    session.run(putfh(fh), write(stateid, 0, big)).ok()
    session.run(putfh(fh), savefh(), putfh(tree), link(b"other")).ok()
    session.run(putfh(fh), setxattr(b"color", b"red"), minor=2).ok()
    take(api, name)
    session.run(putfh(fh), setattr_({SIZE: 5, MODE: 0o600}, stateid)).ok()
    word = f"{api.fs}:{place.path}"
    api.shoal("snapshot", "restore", f"{word}/tree/inner/big", name)
    again = session.run(putfh(inner), lookup(b"big"), getattr_(SIZE, MODE)).ok().last.attrs
    assert again == {SIZE: 300000, MODE: 0o640}
    assert data_of(session, putfh(inner), b"big")[:65536] == big[:65536]
    refused = api.shoal("snapshot", "restore", f"{word}/tree", name, check=False)
    assert refused.returncode != 0 and "RestoreConflict" in refused.stderr
    done = json.loads(api.shoal("snapshot", "restore", f"{word}/tree", name, "--to", f"{place.path}/back", "--json").stdout)
    assert done == {"Entries": 5, "SizeBytes": 300000}
    back = (putfh(place.fh), lookup(b"back"))
    ids = [session.run(*back, *way, getattr_(FILEID)).ok().last.attrs[FILEID]
           for way in ((lookup(b"other"),), (lookup(b"inner"), lookup(b"big")))]
    assert ids[0] == ids[1], "hard links are hard links again"
    assert session.run(*back, lookup(b"inner"), getattr_(MODE)).ok().last.attrs[MODE] == 0o750
    assert session.run(*back, lookup(b"inner"), lookup(b"link"), nfs4.readlink()).ok()
    assert session.run(*back, lookup(b"other"), nfs4.getxattr(b"color"), minor=2).ok().last.value == b"red"
    assert data_of(session, *back, lookup(b"inner"), b"big")[:65536] == big[:65536]


# --- the schedule ----------------------------------------------------------------------------------------------

def test_a_schedule_makes_snapshots(api):
    assert api.shoal("snapshot", "schedule", api.fs).stdout == "off\n"
    refused = api.shoal("snapshot", "schedule", api.fs, "hourly=0", check=False)
    assert refused.returncode != 0 and "hourly" in refused.stderr
    api.shoal("snapshot", "schedule", api.fs, "hourly=2,daily=1")
    try:
        assert api.shoal("snapshot", "schedule", api.fs).stdout == "hourly=2 daily=1\n"
        shoal_server.wait_until(lambda: {"hourly", "daily"} <= {name.split("-")[0] for name in names_of(api)}, 60,
                                "the scheduled snapshots are there")
    finally:
        api.shoal("snapshot", "schedule", api.fs, "off")
    assert api.shoal("snapshot", "schedule", api.fs).stdout == "off\n"
    for name in names_of(api):
        api.shoal("snapshot", "delete", api.fs, name)


def names_of(api):
    return [each["Name"] for each in api.target("ListSnapshots", FileSystemId=api.fs)[1]["Snapshots"]
            if each["State"] == "available"]


# --- the command and the operations ------------------------------------------------------------------------------

def test_the_command(api, place, name):
    assert name in api.shoal("snapshot", "create", api.fs, name).stdout
    assert name in api.shoal("snapshot", "list", api.fs).stdout
    for words, problem in ((("create", api.fs, name), "SnapshotAlreadyExists"), (("create", api.fs, "a b"), "letters"),
                           (("delete", api.fs, "none"), "SnapshotNotFound"), (("create", "127.0.0.1:/", "x"), "address"),
                           (("create", api.fs + ":/dir", "x"), "whole"), (("create", api.fs), "takes"),
                           (("delete", api.fs, name, "--to", "/x"), "--to"),
                           (("restore", api.fs + ":/none", name), "DirectoryNotFound"),
                           (("restore", api.fs + ":/x", "none"), "SnapshotNotFound"), (("frob", api.fs), "takes create")):
        done = api.shoal("snapshot", *words, check=False)
        assert done.returncode != 0 and problem in done.stderr, (words, done.stderr)
    api.shoal("snapshot", "delete", api.fs, name)
    assert name not in [each["Name"] for each in api.target("ListSnapshots", FileSystemId=api.fs)[1]["Snapshots"]
                        if each["State"] == "available"]


def test_the_operations(api, name):
    status, made = api.target("CreateSnapshot", FileSystemId=api.fs, Name=name)
    assert status == 200 and made["Name"] == name and made["State"] == "available" and made["CreationTime"] > 0
    listed = api.target("ListSnapshots", FileSystemId=api.fs)[1]["Snapshots"]
    assert made in listed
    assert api.target("DeleteSnapshot", FileSystemId=api.fs, Name=name) == (200, {})
    for operation, body, error in (
            ("CreateSnapshot", {"FileSystemId": api.fs}, "BadRequest"),
            ("CreateSnapshot", {"FileSystemId": api.fs, "Name": ".hidden"}, "BadRequest"),
            ("CreateSnapshot", {"FileSystemId": api.fs, "Name": "a" * 129}, "BadRequest"),
            ("CreateSnapshot", {"FileSystemId": "fs-0123456789abcdef0", "Name": "a"}, "FileSystemNotFound"),
            ("DeleteSnapshot", {"FileSystemId": api.fs, "Name": name}, "SnapshotNotFound"),
            ("RestoreSnapshot", {"FileSystemId": api.fs, "Name": name, "Path": "/"}, "SnapshotNotFound"),
            ("RestoreSnapshot", {"FileSystemId": api.fs, "Name": name}, "BadRequest"),
            ("ListSnapshots", {}, "BadRequest")):
        status, answer = api.target(operation, **body)
        assert status >= 400 and answer["__type"] == error, (operation, body, answer)


def test_snapshots_survive_a_kill(own_server):
    api = Api(own_server)
    api.shoal("mkdir", api.fs + ":/d")
    take(api, "before")
    api.shoal("rm", "-r", api.fs + ":/d")
    own_server.kill9()
    own_server.start()
    own_server.up()
    assert api.shoal("ls", api.fs + ":/").stdout == ""
    assert api.shoal("ls", api.fs + ":/.snapshot").stdout == "before\n"
    assert api.shoal("ls", api.fs + ":/.snapshot/before").stdout == "d\n"
