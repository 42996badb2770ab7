"""The kernel client through stunnel, as efs-utils mounts: with and without IAM and access points, against policies."""

import contextlib
import errno
import json
import pathlib
import tempfile

import pytest

import conftest
import shoal_server
import stunnel

CLIENT = "elasticfilesystem:Client"


class World:
    """A file system, its mount target, and tunnels to it."""

    def __init__(self, server, client, directory):
        self.server = server
        self.client = client
        self.directory = directory
        self.efs = server.boto3_client()
        self.fs, self.address = server.create_file_system()
        env = server.shell_env()
        self.keys = (env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"], None)
        self.stack = contextlib.ExitStack()

    def tunnel(self, fs=None, address=None, **certificate):
        directory = pathlib.Path(tempfile.mkdtemp(dir=self.directory))
        return self.stack.enter_context(stunnel.Tunnel(
            directory, self.client, self.server, address or self.address, fs or self.fs, **certificate))

    def mounted(self, tunnel, where, **options):
        status, said, mount_point = tunnel.mount(where, **options)
        assert status == 0, f"{said}\n{self.server.log()}"
        self.stack.callback(self.client.run, "umount", "-f", "-l", mount_point, check=False)
        return mount_point

    def refused(self, tunnel, where):
        status, said, _ = tunnel.mount(where)
        assert status != 0
        return said

    def allow(self, principal, *actions):
        return {"Effect": "Allow", "Principal": {"AWS": principal}, "Action": [CLIENT + action for action in actions]}

    def put_policy(self, *statements):
        policy = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
        self.efs.put_file_system_policy(FileSystemId=self.fs, Policy=policy)

    def access_point(self, name, uid):
        made = self.efs.create_access_point(
            FileSystemId=self.fs, ClientToken=name, PosixUser={"Uid": uid, "Gid": uid},
            RootDirectory={"Path": f"/home/{name}",
                           "CreationInfo": {"OwnerUid": uid, "OwnerGid": uid, "Permissions": "0700"}})
        return self.server.access_point_ready(made["AccessPointId"])


@pytest.fixture
def world(server, client, tmp_path):
    reason = stunnel.why_not()
    if reason:
        conftest.skip_unless_ci(reason)
    made = World(server, client, tmp_path)
    with made.stack:
        yield made


def handshakes(server):
    import urllib.request
    text = urllib.request.urlopen(f"{server.endpoint}/metrics").read().decode()
    line = next(line for line in text.splitlines() if line.startswith("shoal_rpc_tls_handshakes_total"))
    return int(float(line.split()[-1]))


def use(client, mount):
    client.call("sharing.write_file", f"{mount}/name", b"by TLS")
    client.call("names.drop_caches")
    assert client.call("sharing.read_file", f"{mount}/name") == b"by TLS"


def test_a_mount_by_tls_does_what_a_plain_one_does(world, client, server):
    before = handshakes(server)
    mount = world.mounted(world.tunnel(), "tls")
    assert handshakes(server) > before
    use(client, mount)
    client.call("os.mkdir", f"{mount}/storm")
    client.call("names.storm", f"{mount}/storm", processes=4, operations=100, seed=7)
    client.run("fio", "--name=verify", f"--directory={mount}", "--ioengine=psync", "--rw=randrw", "--bs=64k", "--size=8m",
               "--numjobs=2", "--direct=1", "--verify=crc32c", "--verify_fatal=1", "--do_verify=1")
    client.unmount(mount)


def test_policies_allow_deny_squash_root_forbid_writing_and_require_tls(world, client, server):
    root = f"arn:aws:iam::{server.announced()['account_id']}:root"
    anonymous, signed = world.tunnel(), world.tunnel(credentials=world.keys)
    world.put_policy(world.allow(root, "Mount", "Write", "RootAccess"))
    assert "denied" in world.refused(anonymous, "no-iam") or "permitted" in world.refused(anonymous, "no-iam")
    mount = world.mounted(signed, "iam")
    use(client, mount)
    client.call("os.chmod", mount, 0o777)
    client.unmount(mount)

    world.put_policy(world.allow("*", "Mount"))
    mount = world.mounted(anonymous, "read-only")
    assert client.call("sharing.read_file", f"{mount}/name") == b"by TLS"
    with pytest.raises(OSError) as error:
        client.call("sharing.write_file", f"{mount}/other", b"")
    assert error.value.errno == errno.EROFS
    client.unmount(mount)

    world.put_policy(world.allow("*", "Mount", "Write"))
    mount = world.mounted(anonymous, "squashed")
    client.call("sharing.write_file", f"{mount}/by-root", b"")
    assert client.call("os.stat", f"{mount}/by-root").st_uid == 65534
    client.unmount(mount)

    world.put_policy(world.allow("*", "Mount", "Write", "RootAccess"), {
        "Effect": "Deny", "Principal": {"AWS": "*"}, "Action": f"{CLIENT}*",
        "Condition": {"Bool": {"aws:SecureTransport": "false"}}})
    plain = conftest.Export(world.address, server.nfs_port, "/")
    with pytest.raises(AssertionError, match="denied|permitted"):
        client.mount(plain, "plain")
    mount = world.mounted(anonymous, "secured")
    use(client, mount)
    client.unmount(mount)


def test_a_forged_identity_does_not_mount(world, server):
    forged = world.tunnel(credentials=(world.keys[0], "x" * 40, None))
    assert world.refused(forged, "forged")
    assert "signature does not fit" in server.log()


def test_two_access_points_and_two_file_systems_are_mounted_side_by_side(world, client, server):
    """Linux mixes mounts up whose servers look the same."""
    other_fs, other_address = server.create_file_system()
    ways = {"ann": world.tunnel(access_point=world.access_point("ann", 1001)),
            "bob": world.tunnel(access_point=world.access_point("bob", 1002)),
            "whole": world.tunnel(),
            "whole-iam": world.tunnel(credentials=world.keys),
            "other": world.tunnel(other_fs, other_address)}
    mounts = {name: world.mounted(tunnel, name) for name, tunnel in ways.items()}
    for name in ("ann", "bob", "other"):
        client.call("sharing.write_file", f"{mounts[name]}/name", name.encode() * (3 if name == "bob" else 1))
    client.call("names.drop_caches")
    assert client.call("sharing.read_file", f"{mounts['ann']}/name") == b"ann"
    assert client.call("sharing.read_file", f"{mounts['bob']}/name") == b"bob" * 3
    assert client.call("sharing.read_file", f"{mounts['other']}/name") == b"other"
    for whole in (mounts["whole"], mounts["whole-iam"]):
        assert client.call("os.listdir", whole) == ["home"]
        assert client.call("sharing.read_file", f"{whole}/home/ann/name") == b"ann"
    assert [client.call("os.stat", f"{mounts[name]}/name").st_uid for name in ("ann", "bob")] == [1001, 1002]
    assert len({client.call("os.stat", mount).st_dev for mount in mounts.values()}) == len(mounts)
    for name in ("ann", "bob"):
        client.call("os.mkdir", f"{mounts[name]}/storm")
        client.call("names.storm", f"{mounts[name]}/storm", processes=2, operations=40, seed=3)
    for mount in mounts.values():
        client.unmount(mount)


def test_an_open_file_goes_on_behind_a_new_tunnel_with_a_renewed_certificate(world, client):
    tunnel = world.tunnel(credentials=world.keys)
    mount = world.mounted(tunnel, "renewed")
    with client.session() as session:
        fd = session.call("sharing.open_file", f"{mount}/held")
        assert session.call("sharing.lock_range", fd, True, 0, 0)
        tunnel.kill()
        tunnel.renew()
        tunnel.start()
        client.call("sharing.write_file", f"{mount}/after", b"goes on")
        with client.session() as asker:
            assert not asker.call("sharing.lock_range", asker.call("sharing.open_file", f"{mount}/held"), True, 0, 0)
    assert client.call("sharing.read_file", f"{mount}/after") == b"goes on"
    client.unmount(mount)


def test_a_tunnel_that_is_killed_under_load_loses_nothing(world, client, tmp_path):
    """Each killing cuts what is in flight; what was acknowledged is there at the end, and nobody hangs."""
    tunnel = world.tunnel(credentials=world.keys)
    mount = world.mounted(tunnel, "killed")
    log = tmp_path / "acknowledged"
    log.touch()
    client.call("os.mkdir", f"{mount}/work")
    with client.session() as session:
        session.start("crash.change_names", f"{mount}/work", str(log), 8, 0)
        killings = 0
        while not session.is_done(0.4):
            tunnel.kill()
            tunnel.renew()
            tunnel.start()
            killings += 1
        assert session.result() > 0
    assert killings > 3
    client.call("names.drop_caches")
    assert client.call("crash.check_names", f"{mount}/work", str(log)) > 0
    client.unmount(mount)
