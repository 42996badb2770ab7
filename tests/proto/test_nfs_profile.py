"""The profiles of a file system, `extended` and `strict`: set by a tag of the EFS API, or an option; shown by NFS."""

import json

import nfs4
from nfs4 import DENY_NONE, DENY_WRITE, SUPPORTED_ATTRS, getattr_, open_, putrootfh
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
