"""Mounts over TLS through mount.shoal's own tunnel; what kills it, the server or the connection; health, monitor and doctor of mounts.

SHOAL_TUNNEL_ROUNDS=N makes the killing go on for longer (default: 4 rounds each)."""

import json
import os
import signal
import time

import pytest

import shoal_server
from test_mount_manager import Place

ROUNDS = int(os.environ.get("SHOAL_TUNNEL_ROUNDS", "4"))
WORKER, SUPERVISOR = "shoal-tunnel", "shoal-tunnel-up"


class TlsPlace(Place):
    """The same, with the words of a mount over TLS."""

    def tls(self, *options):
        return ",".join([f"tls,port={self.port},mounttargetip={self.client.host}",
                         f"cafile={self.server.data_dir / 'ca.pem'}", *options])

    def mount_tls(self, point, *options):
        status, out, err, _ = self.shoal("mount", "-o", self.tls(*options), f"{self.file_system}:/", point)
        assert status == 0, (out, err)
        return out

    def tunnel_port(self, point):
        super_options = dict(word.partition("=")[::2] for word in self.mounted(point)["super"].split(","))
        assert super_options["addr"] == "127.0.0.1"
        return int(super_options["port"])


@pytest.fixture
def place(client, server):
    return TlsPlace(server, client)


@pytest.fixture
def own_place(client, own_server):
    return TlsPlace(own_server, client)


class Load:
    """Someone who writes and syncs while others break things."""

    def __init__(self, client, point):
        self.client, self.point = client, point
        self.log, self.stop_file = f"/run/load-{os.path.basename(point)}", f"/run/stop-{os.path.basename(point)}"
        self.session = client.session()
        self.session.start("mounts.write_until_told", point, self.stop_file, self.log)

    def end(self):
        """(acknowledged writes, those lost, the longest that one took in seconds)"""
        self.client.run("touch", self.stop_file)
        longest = self.session.result(120)
        self.session.close()
        return *self.client.call("mounts.lost_lines", self.point, self.log), longest


def test_a_mount_over_tls_has_a_tunnel_that_ends_with_it(place):
    place.mount_tls("/mnt/t-one")
    port = place.tunnel_port("/mnt/t-one")
    assert 20049 <= port <= 21049
    place.client.call("sharing.write_file", "/mnt/t-one/file", os.urandom(3_000_000))
    state = place.client.call("mounts.tunnels")[port]
    assert state["file_system"] == place.file_system
    assert "already" in place.mount_tls("/mnt/t-one")
    # The same file system once more goes through the same tunnel, as the kernel would merge the two anyway.
    place.mount_tls("/mnt/t-two")
    assert place.tunnel_port("/mnt/t-two") == port
    place.unmount("/mnt/t-one")
    assert place.client.call("os.listdir", "/mnt/t-two") == ["file"]
    place.unmount("/mnt/t-two")
    assert place.client.call("mounts.wait_for", SUPERVISOR, 0) == 0
    assert place.client.call("mounts.processes", WORKER) == []
    assert place.client.call("mounts.tunnels") == {}


def test_a_mount_over_tls_does_not_go_down_a_plain_connection(place):
    """Linux merges servers with the same identity: what was to be encrypted must not join a mount that is not."""
    status, _, err, _ = place.mount("/mnt/t-plain")
    assert status == 0, err
    place.mount_tls("/mnt/t-tls")
    port = place.tunnel_port("/mnt/t-tls")
    place.client.call("sharing.write_file", "/mnt/t-tls/secret", b"x" * 100_000)
    assert place.client.call("mounts.connections_to", port) > 0
    place.unmount("/mnt/t-plain")
    assert place.client.call("os.listdir", "/mnt/t-tls") == ["secret"]
    place.unmount("/mnt/t-tls")


@pytest.mark.parametrize("options, words", [
    ("cafile=/etc/hostname", ["holds no certificate", "cafile="]),
    ("suffix=elsewhere.example", ["elsewhere.example", "suffix="]),
    ("iam,awsprofile=nobody", ["nobody"]),
])
def test_tls_that_cannot_work_says_why_and_leaves_nothing(place, options, words):
    status, _, err, _ = place.shoal("mount", "-o", place.tls(options), f"{place.file_system}:/", "/mnt/t-bad")
    assert status in (1, 2)
    for word in words:
        assert word in err
    assert place.mounted("/mnt/t-bad") is None
    assert place.client.call("mounts.wait_for", SUPERVISOR, 0) == 0


def test_a_killed_worker_is_started_again_and_nothing_is_lost(place):
    place.mount_tls("/mnt/t-kill")
    load = Load(place.client, "/mnt/t-kill")
    killed = set()
    for _ in range(ROUNDS):
        deadline = time.monotonic() + 30
        fresh = []
        while not fresh and time.monotonic() < deadline:
            fresh = [pid for pid in place.client.call("mounts.processes", WORKER) if pid not in killed]
            time.sleep(0.2)
        assert fresh, "the supervisor started no other worker"
        place.client.call("os.kill", fresh[0], signal.SIGKILL)
        killed.add(fresh[0])
        time.sleep(0.5)
    acknowledged, lost, longest = load.end()
    print(f"{ROUNDS} kills of the worker: {acknowledged} acknowledged, longest write {longest:.1f} s")
    assert acknowledged > 0 and lost == []
    assert place.client.call("mounts.settled", 30) == []
    place.unmount("/mnt/t-kill")


def test_a_killed_server_is_found_again_and_nothing_is_lost(own_place):
    own_place.mount_tls("/mnt/t-server")
    load = Load(own_place.client, "/mnt/t-server")
    for _ in range(max(1, ROUNDS // 4)):
        time.sleep(1)
        own_place.server.kill9()
        time.sleep(0.5)
        own_place.server.start()
    acknowledged, lost, longest = load.end()
    print(f"{max(1, ROUNDS // 4)} kills of shoald: {acknowledged} acknowledged, longest write {longest:.1f} s")
    assert acknowledged > 0 and lost == []
    assert own_place.client.call("mounts.settled", 30) == []
    own_place.unmount("/mnt/t-server")


def test_a_tunnel_killed_with_its_supervisor_is_made_new_by_mounting_again(place):
    place.mount_tls("/mnt/t-heal")
    port = place.tunnel_port("/mnt/t-heal")
    place.client.call("sharing.write_file", "/mnt/t-heal/file", b"kept")
    for name in (SUPERVISOR, WORKER):
        for pid in place.client.call("mounts.processes", name):
            place.client.call("os.kill", pid, signal.SIGKILL)
    status, out, _, seconds = place.shoal("health", "--timeout", "3", "/mnt/t-heal")
    assert status == 1 and "hung" in out
    assert seconds < 30
    status, out, _, _ = place.shoal("doctor", "--timeout", "3", "/mnt/t-heal")
    assert status == 1 and "tunnel" in out and "shoal remount" in out
    assert "already" in place.mount_tls("/mnt/t-heal")
    assert place.tunnel_port("/mnt/t-heal") == port
    assert place.client.call("os.listdir", "/mnt/t-heal") == ["file"]
    status, out, _, _ = place.shoal("health", "--require-mount", "/mnt/t-heal")
    assert status == 0, out
    place.unmount("/mnt/t-heal")


def test_health_monitor_and_doctor_of_a_mount(place):
    assert place.mount("/mnt/t-watch")[0] == 0
    status, out, _, _ = place.shoal("health", "-o", "json", "--require-mount", "/mnt/t-watch")
    assert status == 0, out
    (found,) = json.loads(out)["paths"]
    assert found["is_nfs"] and found["mount_path"] == "/mnt/t-watch" and found["write_latency_ms"] > 0
    with place.client.session() as session:
        session.start("mounts.timed", [str(shoal_server.find_program("shoal")), "monitor", "--interval", "2",
                                       "--count", "3", "/mnt/t-watch"])
        place.client.call("sharing.write_file", "/mnt/t-watch/much", os.urandom(20_000_000))
        status, out, err, _ = session.result(60)
    assert status == 0, err
    lines = [json.loads(line) for line in out.splitlines()]
    assert lines[0]["operations_per_s"] is None and lines[1]["operations_per_s"] > 0
    assert all(line["errors"] is not None for line in lines[1:])
    status, out, _, _ = place.shoal("doctor", "/mnt/t-watch")
    assert status == 0, out
    assert "answers an NFS call" in out and "read back" in out
    assert place.client.call("os.listdir", "/mnt/t-watch") == ["much"]
    place.unmount("/mnt/t-watch")


def test_a_mount_that_hangs_is_reported_by_all_three(own_place):
    assert own_place.mount("/mnt/t-hung")[0] == 0
    own_place.server.kill9()
    status, out, _, seconds = own_place.shoal("health", "--timeout", "2", "/mnt/t-hung")
    assert status == 1 and "hung" in out and "no answer within 2 s" in out
    assert seconds < 30
    status, out, err, seconds = own_place.shoal("monitor", "--timeout", "2", "/mnt/t-hung")
    assert status == 1 and "/mnt/t-hung is hung" in err
    assert seconds < 30
    status, out, _, _ = own_place.shoal("doctor", "--timeout", "2", "/mnt/t-hung")
    assert status == 1 and "FAIL" in out
    own_place.server.start()
    status, out, _, _ = own_place.shoal("health", "--timeout", "100", "/mnt/t-hung")
    assert status == 0, out
    assert own_place.client.call("mounts.settled", 30) == []
    own_place.unmount("/mnt/t-hung")


def test_an_access_point_and_an_iam_identity_reach_the_server(place):
    """The policy asks for an identity that signs; the access point's user owns what is made."""
    efs = place.server.boto3_client()
    point = efs.create_access_point(
        FileSystemId=place.file_system, PosixUser={"Uid": 1234, "Gid": 1234},
        RootDirectory={"Path": "/of-the-point", "CreationInfo": {
            "OwnerUid": 1234, "OwnerGid": 1234, "Permissions": "0750"}})["AccessPointId"]
    account = place.server.announced()["account_id"]
    efs.put_file_system_policy(FileSystemId=place.file_system, BypassPolicyLockoutSafetyCheck=True, Policy=json.dumps({
        "Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{account}:root"}, "Resource": "*",
            "Action": ["elasticfilesystem:ClientMount", "elasticfilesystem:ClientWrite"]}]}))
    try:
        status, _, err, _ = place.shoal("mount", "-o", place.tls(f"accesspoint={point}"), f"{place.file_system}:/",
                                        "/mnt/t-point")
        assert status == 1 and "ClientMount" in err, "anonymous"
        # The keys of the data directory, whose run file is only looked at for them.
        place.mount_tls("/mnt/t-point", "iam", f"accesspoint={point}", f"data={place.server.data_dir}")
        place.client.call("sharing.write_file", "/mnt/t-point/file", b"as the point's user")
        assert place.client.call("os.stat", "/mnt/t-point/file").st_uid == 1234
        assert place.client.call("os.listdir", "/mnt/t-point") == ["file"]
        place.unmount("/mnt/t-point")
    finally:
        efs.delete_file_system_policy(FileSystemId=place.file_system)
