"""The profiles of a file system, `extended` and `strict`: set by a tag of the EFS API, or an option; shown by NFS."""

import json

import nfs4
from nfs4 import (DENY_NONE, DENY_WRITE, SUPPORTED_ATTRS, READ_LT, WRITE_LT, create, getattr_, lock, locku, open_,
                  putfh, putrootfh, readlink)
from nfs_place import new_directory
import pytest
import shoal_server

FILES_FREE = 22


def api(server, method, path, body=None):
    return server.shoal("api", "--data", server.data_dir, method, path, *([json.dumps(body)] if body else []),
                        check=False)


def tag(server, profile):
    path = f"/resource-tags/{server.up()['file_system_id']}"
    if profile is None:
        return api(server, "DELETE", f"{path}?tagKeys=shoal:profile")
    return api(server, "POST", path, {"Tags": [{"Key": "shoal:profile", "Value": profile}]})


def is_strict(address):
    """What a client that comes now sees; every sign of the profile has to agree."""
    session = nfs4.connect(address)
    supported = session.run(putrootfh(), getattr_(SUPPORTED_ATTRS)).ok().last.attrs[SUPPORTED_ATTRS]
    newer = session.conn.compound(putrootfh(), minor=2).status
    deny = session.run(putrootfh(), open_(b"file", how=nfs4.UNCHECKED, deny=DENY_WRITE)).status
    session.conn.close()
    signs = {FILES_FREE not in supported, newer == "MINOR_VERS_MISMATCH", deny == "NOTSUPP"}
    assert len(signs) == 1, (supported, newer, deny)
    return signs.pop()


def test_a_tag_sets_the_profile(server, address):
    assert not is_strict(address)
    for profile in ("strict", "extended", "strict"):
        assert tag(server, profile).returncode == 0
        assert is_strict(address) == (profile == "strict")
    assert tag(server, None).returncode == 0
    assert not is_strict(address)


def test_a_profile_that_there_is_not_is_refused(server, address):
    refused = tag(server, "efs")
    assert refused.returncode == 1 and "shoal:profile" in refused.stderr
    made = api(server, "POST", "/file-systems", {"CreationToken": "x", "Tags": [{"Key": "shoal:profile", "Value": ""}]})
    assert made.returncode == 1 and "extended or strict" in made.stderr
    assert not is_strict(address)


def test_the_command_line_shows_and_sets_it(server, address):
    def profile(*words, check=True):
        return server.shoal("profile", "--data", server.data_dir, *words, check=check)

    assert profile("default").stdout == "default\n"
    for name in ("strict", "extended", "strict"):
        profile(server.up()["file_system_id"], name)
        assert profile("default").stdout == f"{name}\n"
    assert is_strict(address)
    profile("default", "default")
    assert profile("default").stdout == "default\n" and not is_strict(address)
    assert profile("default", "efs", check=False).returncode == 2
    assert "no file system nowhere" in profile("nowhere", check=False).stderr


def test_a_mount_keeps_its_profile(server, address):
    session = nfs4.connect(address)
    assert tag(server, "strict").returncode == 0
    session.run(putrootfh(), open_(b"kept", how=nfs4.UNCHECKED, deny=DENY_WRITE)).ok()
    session.conn.close()
    assert is_strict(address)
    assert tag(server, None).returncode == 0


@pytest.fixture
def strict_server(tmp_path):
    with shoal_server.Server(tmp_path / "shoal", options=["--set", "nfs.profile=strict"]) as running:
        yield running


def test_an_option_sets_the_default(strict_server):
    address = strict_server.up()["mount_targets"][0]["ip"], strict_server.nfs_port
    assert is_strict(address)
    session = nfs4.connect(address)
    session.run(putrootfh(), open_(b"file", how=nfs4.UNCHECKED, deny=DENY_NONE)).ok()
    session.conn.close()
    assert tag(strict_server, "extended").returncode == 0
    assert not is_strict(address)


def test_strict_symbolic_links_are_as_long_as_those_of_efs(server, address, strict_server):
    """EFS: quotas; else 4,095 bytes, what Linux can follow."""
    strict = strict_server.up()["mount_targets"][0]["ip"], strict_server.nfs_port
    for where, longest in ((address, 4095), (strict, 4080)):
        session = nfs4.connect(where)
        directory = new_directory(session)
        target = b"t" * longest
        directory.run(create(b"link", nfs4.LNK, data=target)).ok()
        link = directory.fh_of(b"link")
        assert session.run(putfh(link), readlink()).ok().last.target == target
        assert directory.run(create(b"longer", nfs4.LNK, data=target + b"t")).status == "NAMETOOLONG"
        session.conn.close()


def test_a_strict_file_has_512_locks(strict_server):
    """EFS: quotas of NFS clients; of all clients together, and the next one is told to try again."""
    address = strict_server.up()["mount_targets"][0]["ip"], strict_server.nfs_port
    here, there = nfs4.connect(address), nfs4.connect(address)
    directory = new_directory(here)
    fh, stateid = directory.open(b"f")
    other = directory.open(b"f", session=there)[1]
    mine = here.run(putfh(fh), lock(READ_LT, 0, 1, open_stateid=stateid)).ok().last.stateid
    for number in range(1, 300):
        mine = here.run(putfh(fh), lock(READ_LT, 2 * number, 1, lock_stateid=mine)).ok().last.stateid
    theirs = there.run(putfh(fh), lock(WRITE_LT, 1001, 1, open_stateid=other)).ok().last.stateid
    for number in range(1, 212):
        theirs = there.run(putfh(fh), lock(READ_LT, 2001 + 2 * number, 1, lock_stateid=theirs)).ok().last.stateid
    for session, held in ((here, mine), (there, theirs)):
        denied = session.run(putfh(fh), lock(READ_LT, 5000, 1, lock_stateid=held)).last
        assert (denied.status, denied.offset, denied.length) == ("DENIED", 0, 1)
    mine = here.run(putfh(fh), locku(mine, 4, 1)).ok().last.stateid
    there.run(putfh(fh), lock(READ_LT, 5000, 1, lock_stateid=theirs)).ok()
    assert here.run(putfh(fh), lock(READ_LT, 6000, 1, lock_stateid=mine)).status == "DENIED"
    there.run(putfh(fh), nfs4.close(other)).ok()  # drops all of theirs
    mine = here.run(putfh(fh), lock(READ_LT, 6000, 1, lock_stateid=mine)).ok().last.stateid
    for session in (here, there):
        session.conn.close()
