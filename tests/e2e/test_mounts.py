"""Mounts themselves: several file systems in one client, the pseudo root, connections, versions, restarts."""

import collections
import errno

import pytest

import shoal_server

Export = collections.namedtuple("Export", "address port path")


@pytest.fixture(scope="module")
def two_exports(server):
    """Two file systems of one server, each with a mount target of its own."""
    return [Export(server.create_file_system()[1], server.nfs_port, "/") for _ in range(2)]


def test_two_file_systems_are_mounted_side_by_side(client, two_exports):
    """Linux merges servers that look the same: then the second mount would show the first's files."""
    one, two = two_exports
    with client.mounted(one, "one") as first, client.mounted(two, "two") as second:
        client.call("sharing.write_file", f"{first}/name", b"of the first")
        assert client.call("os.listdir", second) == []
        client.call("sharing.write_file", f"{second}/name", b"of the second one")
        client.call("names.drop_caches")
        assert client.call("sharing.read_file", f"{first}/name") == b"of the first"
        assert client.call("sharing.read_file", f"{second}/name") == b"of the second one"
        assert client.call("os.stat", first).st_dev != client.call("os.stat", second).st_dev
        with pytest.raises(OSError) as error:
            client.call("os.rename", f"{first}/name", f"{second}/moved")
        assert error.value.errno == errno.EXDEV
        client.call("names.storm", first, processes=2, operations=50, seed=1)
        client.call("names.storm", second, processes=2, operations=50, seed=2)
        with client.session() as session, client.session() as other:
            for holder, path in ((session, first), (other, second)):
                fd = holder.call("sharing.open_file", f"{path}/lock")
                assert holder.call("sharing.flock", fd, True), "locks of two file systems never conflict"
    with client.mounted(two, "two") as second:
        assert client.call("sharing.read_file", f"{second}/name") == b"of the second one"


def test_all_mount_targets_of_a_file_system_show_it(client, other_client, server):
    contract = server.up()
    targets = [Export(target["ip"], server.nfs_port, "/") for target in contract["mount_targets"]]
    assert len(targets) >= 2
    with client.mounted(targets[0], "zone-a") as here, client.mounted(targets[1], "zone-b") as there, \
            other_client.mounted(targets[1], "zone-b") as elsewhere:
        client.call("sharing.write_file", f"{here}/shared", b"one file system")
        assert client.call("sharing.read_file", f"{there}/shared") == b"one file system"
        assert other_client.call("sharing.read_file", f"{elsewhere}/shared") == b"one file system"
        with client.session() as holder, other_client.session() as asker:
            fd = holder.call("sharing.open_file", f"{here}/shared")
            assert holder.call("sharing.lock_range", fd, True, 0, 0)
            other_fd = asker.call("sharing.open_file", f"{elsewhere}/shared")
            assert not asker.call("sharing.lock_range", other_fd, True, 0, 0)
        client.call("os.unlink", f"{here}/shared")


def test_an_address_that_is_no_mount_target_shows_all_file_systems(client, server):
    """The pseudo root: one directory for each file system; nothing can be made there."""
    file_system_id, address = server.create_file_system()
    root = Export("127.0.0.1", server.nfs_port, "/")
    with client.mounted(Export(address, server.nfs_port, "/"), "direct") as direct:
        client.call("sharing.write_file", f"{direct}/hello", b"seen through the root")
    with client.mounted(root, "pseudo") as pseudo:
        assert file_system_id in client.call("os.listdir", pseudo)
        path = f"{pseudo}/{file_system_id}"
        assert client.call("sharing.read_file", f"{path}/hello") == b"seen through the root"
        client.call("sharing.write_file", f"{path}/from-root", b"written there")
        with pytest.raises(OSError) as error:
            client.call("os.mkdir", f"{pseudo}/new")
        assert error.value.errno in (errno.EROFS, errno.EACCES, errno.EPERM)
        client.call("os.sync")
        client.run("umount", path, check=False)  # the submount that the client made
    with client.mounted(root._replace(path=f"/{file_system_id}"), "below") as below:
        assert client.call("sharing.read_file", f"{below}/from-root") == b"written there"


def test_two_access_points_are_mounted_side_by_side(client, server):
    """By the server's own address each is a mount of its own: its root, its user, and nothing of the other."""
    file_system_id, _ = server.create_file_system()
    efs = server.boto3_client()
    points = [efs.create_access_point(
        FileSystemId=file_system_id, ClientToken=name, PosixUser={"Uid": uid, "Gid": uid},
        RootDirectory={"Path": f"/home/{name}", "CreationInfo": {"OwnerUid": uid, "OwnerGid": uid, "Permissions": "0700"}})
        ["AccessPointId"] for name, uid in (("ann", 1001), ("bob", 1002))]
    exports = [Export("127.0.0.1", server.nfs_port, f"/{point}") for point in points]
    with client.mounted(exports[0], "ann") as ann, client.mounted(exports[1], "bob") as bob:
        client.call("sharing.write_file", f"{ann}/name", b"of ann")
        client.call("sharing.write_file", f"{bob}/name", b"of bob, who has more")
        client.call("names.drop_caches")
        assert client.call("sharing.read_file", f"{ann}/name") == b"of ann"
        assert client.call("sharing.read_file", f"{bob}/name") == b"of bob, who has more"
        assert [client.call("os.stat", f"{mount}/name").st_uid for mount in (ann, bob)] == [1001, 1002]
        assert client.call("os.stat", ann).st_dev != client.call("os.stat", bob).st_dev
        assert client.call("os.listdir", f"{ann}/..") != ["ann", "bob"]
        with pytest.raises(OSError) as error:
            client.call("os.rename", f"{ann}/name", f"{bob}/moved")
        assert error.value.errno == errno.EXDEV
        client.call("names.storm", ann, processes=2, operations=50, seed=3)
        client.call("names.storm", bob, processes=2, operations=50, seed=4)
    with client.mounted(exports[0]._replace(path=f"/{file_system_id}"), "whole") as whole:
        assert sorted(client.call("os.listdir", f"{whole}/home")) == ["ann", "bob"]
        assert client.call("sharing.read_file", f"{whole}/home/ann/name") == b"of ann"


def test_four_connections_carry_one_mount(client, export, server):
    with client.mounted(export, "nconnect", options="nconnect=4") as mount:
        directory = f"{mount}/nconnect"
        client.call("os.mkdir", directory)
        client.call("names.storm", directory, processes=6, operations=150, seed=4)
        client.run("fio", "--name=many", f"--directory={directory}", "--ioengine=psync", "--rw=randrw",
                   "--bs=16k", "--size=4m", "--numjobs=4", "--direct=1", "--verify=crc32c",
                   "--verify_fatal=1", "--do_verify=1")


def test_a_client_that_offers_all_versions_gets_one_the_server_has(client, export):
    with client.mounted(export, "any-version", version="4") as mount:
        mounts = client.call("sharing.read_file", "/proc/mounts").decode().splitlines()
        options = next(line.split()[3] for line in mounts if line.split()[1] == mount).split(",")
        assert "vers=4.1" in options or "vers=4.2" in options
        client.call("sharing.write_file", f"{mount}/any-version", b"works")


@pytest.mark.parametrize("version", ["4.0", "4.2"])
def test_the_other_versions_carry_the_same_work(client, export, version):
    """4.0 is what macOS mounts, 4.2 what `mount -t nfs4` negotiates."""
    with client.mounted(export, f"version-{version}", version=version) as mount:
        directory = f"{mount}/version-{version}"
        client.call("os.mkdir", directory)
        client.call("data.newer_calls", directory)
        client.call("os.mkdir", f"{directory}/storm")
        client.call("names.storm", f"{directory}/storm", processes=4, operations=150, seed=42)
        client.call("os.mkdir", f"{directory}/truncation")
        client.call("data.truncation", f"{directory}/truncation")
        client.run(shoal_server.find_program("fsx"), "-s", "42", "-n", "800", f"{directory}/fsx")


def test_df_shows_an_elastic_file_system(client, export, server):
    with client.mounted(export, "df") as mount:
        found = client.call("os.statvfs", mount)
        assert found.f_blocks * found.f_frsize >= 1 << 60
        assert found.f_bavail * found.f_frsize >= 1 << 50


def test_a_mount_outlives_an_orderly_restart(client, own_server):
    """Open files, locks and names continue; what was written before is there after."""
    _, address = own_server.create_file_system()
    with client.mounted(Export(address, own_server.nfs_port, "/"), "restart") as mount:
        with client.session() as session:
            fd = session.call("sharing.open_file", f"{mount}/open")
            assert session.call("sharing.flock", fd, True)
            assert session.call("os.write", fd, b"before") == 6
            session.call("os.fsync", fd)
            own_server.restart()
            assert session.call("os.write", fd, b" and after") == 10
            session.call("os.fsync", fd)
            session.call("os.close", fd)
        client.call("names.drop_caches")
        assert client.call("sharing.read_file", f"{mount}/open") == b"before and after"
