"""Delegations of version 4.0 with real kernel clients, which the server calls back on connections that it makes to them."""

import collections
import contextlib

import pytest

import kernel_client
import shoal_server

FILES = 4 * 25


@pytest.fixture(scope="module")
def server40(clients, tmp_path_factory):
    listen = ",".join(["127.0.0.0/8", *(f"{client.host}/32" for client in clients)])
    options = ["--set", "nfs.callbacks_v40=1", "--set", f"nfs.listen={listen}", "--set", "nfs.lease=10"]
    with shoal_server.Server(tmp_path_factory.mktemp("back40"), options) as running:
        yield running


@contextlib.contextmanager
def mounted(client, server, fs_id, where, options="actimeo=1"):
    """Without a relay, through which nobody could be called back: at the tap, where all file systems are below one root."""
    mount_point = f"/mnt/{where}"
    client.call("os.makedirs", mount_point, exist_ok=True)
    options = f"vers=4.0,port={server.nfs_port},{kernel_client.MOUNT_OPTIONS},{options}"
    client.run("mount", "-t", "nfs4", "-o", options, f"{client.host}:/{fs_id}", mount_point, timeout_s=60)
    try:
        yield mount_point
    except BaseException:
        client.run("umount", "-f", "-l", mount_point, check=False)
        raise
    client.unmount(mount_point)


def requests_of(client, mount, function, *arguments):
    before = client.call("delegations.request_counts", mount)
    client.call(function, *arguments)
    after = client.call("delegations.request_counts", mount)
    return collections.Counter({name: after[name] - before.get(name, 0) for name in after})


def test_a_source_tree_is_read_again_with_few_requests(client, other_client, server40):
    fs_id, _ = server40.create_file_system()
    with mounted(other_client, server40, fs_id, "tree40-made") as mount:
        other_client.call("delegations.make_tree", mount, 4, 25)
    with mounted(client, server40, fs_id, "tree40") as mount:
        first = requests_of(client, mount, "delegations.read_tree", mount)
        second = requests_of(client, mount, "delegations.read_tree", mount)
        third = requests_of(client, mount, "delegations.read_tree", mount)
    print("4.0 with delegations:", dict(+first), dict(+second), dict(+third))
    assert first["OPEN"] + first["OPEN_NOATTR"] >= FILES
    assert third["OPEN"] + third["OPEN_NOATTR"] <= FILES // 10


def test_what_another_client_changes_is_seen_through_a_delegation(client, other_client, server40):
    fs_id, _ = server40.create_file_system()
    with mounted(client, server40, fs_id, "seen40") as mine, mounted(other_client, server40, fs_id, "seen40") as theirs:
        for number in range(10):
            text = b"%d" % number * 1000
            other_client.call("sharing.write_file", f"{theirs}/file", text)
            assert client.call("sharing.read_file", f"{mine}/file") == text
            assert client.call("os.path.getsize", f"{mine}/file") == 1000
        other_client.call("os.chmod", f"{theirs}/file", 0o600)
        other_client.call("os.rename", f"{theirs}/file", f"{theirs}/moved")
        assert client.call("sharing.read_file", f"{mine}/moved") == text


def test_a_file_that_is_being_written_is_recalled_with_its_data(client, other_client, server40):
    fs_id, _ = server40.create_file_system()
    with mounted(client, server40, fs_id, "log40") as mine, mounted(other_client, server40, fs_id, "log40") as theirs:
        with client.session() as writer:
            fd = writer.call("delegations.write_slowly_open", f"{mine}/log", b"first\n")
            assert other_client.call("sharing.read_file", f"{theirs}/log") in (b"", b"first\n")  # it is not closed yet
            writer.call("delegations.more", fd, b"second\n")
            assert other_client.call("sharing.read_file", f"{theirs}/log") == b"first\nsecond\n"
            writer.call("os.close", fd)
        assert other_client.call("sharing.read_file", f"{theirs}/log") == b"first\nsecond\n"
