"""shoal mount, umount and remount, and mount -t shoal, with a real kernel client: also when the server is gone."""

import pathlib

import pytest

import shoal_server


class Place:
    """A file system of a server of its own, as a guest reaches it."""

    def __init__(self, server, client):
        self.server = server
        self.client = client
        self.file_system, self.address = server.create_file_system()
        self.port = client.relay(self.address, server.nfs_port)
        self.server_port = client.relay("127.0.0.1", server.nfs_port)

    def shoal(self, *words):
        """Runs `shoal WORDS` in the guest: (status, output, errors, seconds)."""
        return self.client.call("mounts.timed", [str(shoal_server.find_program("shoal")), *words])

    def mount(self, point, options="", source=None):
        given = f"port={self.port}" + (f",{options}" if options else "")
        return self.shoal("mount", "-o", given, source or f"{self.client.host}:/", point)

    def mounted(self, point):
        return self.client.call("mounts.mount_at", point)

    def unmount(self, *points):
        status, out, err, _ = self.shoal("umount", *points)
        assert status == 0, (out, err)
        return out


@pytest.fixture
def place(client, server):
    """A file system of its own on the server of the whole run."""
    return Place(server, client)


@pytest.fixture
def own_place(client, own_server):
    """The same on a server that the test may kill."""
    return Place(own_server, client)


def test_mounting_is_checked_idempotent_and_undone(place):
    status, out, err, _ = place.mount("/mnt/m/deep")
    assert status == 0, err
    assert "found by its address" in out
    found = place.mounted("/mnt/m/deep")
    for word in ("vers=4.1", "rsize=1048576", "wsize=1048576", "hard", "noresvport", "timeo=600", "retrans=2"):
        assert word in found["super"].split(",")
    assert place.client.call("os.stat", "/mnt/m").st_mode & 0o777 == 0o755

    status, out, _, _ = place.mount("/mnt/m/deep")
    assert status == 0 and "already" in out
    status, _, err, _ = place.mount("/mnt/m/deep", "ro")
    assert status == 1 and "shoal remount /mnt/m/deep" in err
    status, _, err, _ = place.mount("/mnt/m/deep", source=f"{place.client.host}:/other")
    assert status == 1 and "mounted already" in err

    assert "is unmounted" in place.unmount("/mnt/m/deep")
    assert place.mounted("/mnt/m/deep") is None
    assert "Nothing is mounted" in place.unmount("/mnt/m/deep")


def test_profiles_and_options_reach_the_kernel(place):
    status, _, err, _ = place.mount("/mnt/m-io", "profile=maxio,vers=4.2,ro,nosuid")
    assert status == 0, err
    found = place.mounted("/mnt/m-io")
    assert {"vers=4.2", "rsize=65536", "wsize=65536"} <= set(found["super"].split(","))
    assert {"ro", "nosuid"} <= set(found["options"].split(","))
    status, _, err, _ = place.shoal("remount", "-o", f"port={place.port},profile=maxio,vers=4.2,nosuid", "/mnt/m-io")
    assert status == 0, err
    place.client.call("sharing.write_file", "/mnt/m-io/file", b"now it can be written")
    # Other options of NFS need another mount.
    status, _, err, _ = place.shoal("remount", "-o", f"port={place.port},rsize=8192", "/mnt/m-io")
    assert status == 0, err
    assert "rsize=8192" in place.mounted("/mnt/m-io")["super"]
    assert place.client.call("os.listdir", "/mnt/m-io") == ["file"]
    place.unmount("/mnt/m-io")


@pytest.fixture
def installed(client):
    """The guest has /sbin/mount.shoal, as the Debian package installs it; this machine does not."""
    helper = shoal_server.find_program("mount.shoal")
    client.run("sh", "-ec", f"""mkdir -p /run/sbin-was /run/sbin-now
        mount --bind /usr/sbin /run/sbin-was
        ln -sf /run/sbin-was/* /run/sbin-now/
        ln -sf {helper} /run/sbin-now/mount.shoal
        mount --bind /run/sbin-now /usr/sbin""")
    yield
    client.run("umount", "/usr/sbin")
    client.run("umount", "/run/sbin-was")


def test_mount_t_shoal_through_mount_of_the_system(place, installed, tmp_path):
    """By type on the command line, and by a line of fstab; with its options, errors and exit status."""
    source = f"{place.file_system}:/"
    options = f"port={place.port},mounttargetip={place.client.host}"
    client = place.client
    client.call("os.makedirs", "/mnt/m-type", exist_ok=True)
    client.run("mount", "-t", "shoal", "-o", options + ",noatime", source, "/mnt/m-type", timeout_s=60)
    found = place.mounted("/mnt/m-type")
    assert found["type"] == "nfs4" and "noatime" in found["options"] and "hard" in found["super"]
    client.call("sharing.write_file", "/mnt/m-type/file", b"through mount(8)")
    client.unmount("/mnt/m-type")

    table = tmp_path / "fstab"
    table.write_text(f"{source}\t/mnt/m-type\tshoal\t{options},_netdev,nofail,ro\t0\t0\n")
    client.run("mount", "-T", table, "/mnt/m-type", timeout_s=60)
    assert "ro" in place.mounted("/mnt/m-type")["options"].split(",")
    assert client.call("sharing.read_file", "/mnt/m-type/file") == b"through mount(8)"
    client.run("umount", "/mnt/m-type")

    status, _, err = client.run("mount", "-t", "shoal", "-o", options + ",noctoo", source, "/mnt/m-type", check=False)
    assert status == 1 and "no mount option noctoo" in err
    status, _, err = client.run("mount", "-t", "shoal", "-o", options, source + "nothing", "/mnt/m-type", check=False)
    assert status == 32 and "no directory /nothing" in err
    assert place.mounted("/mnt/m-type") is None


def test_the_helper_finds_a_file_system_by_its_id(place):
    helper = str(shoal_server.find_program("mount.shoal"))
    status, out, err = place.client.run(
        helper, f"{place.file_system}:/", "/mnt/m-id", "-v", "-o",
        f"rw,_netdev,mounttargetip={place.client.host},port={place.port}", check=False)
    assert status == 0, err
    assert "found by mounttargetip" in out
    state = place.client.call("mounts.state_file", "mnt-m\\x2did")
    assert state["source"] == f"{place.file_system}:/"
    status, _, err = place.client.run(
        helper, f"{place.file_system}:/", "/mnt/m-server", "-o",
        f"server={place.client.host},port={place.server_port}", check=False)
    assert status == 0, err
    place.client.call("sharing.write_file", "/mnt/m-id/seen", b"through the other mount, too")
    assert place.client.call("os.listdir", "/mnt/m-server") == ["seen"]
    place.unmount("/mnt/m-id", "/mnt/m-server")


@pytest.mark.parametrize("options, source, words", [
    ("", "{host}:/nothing", ["no directory /nothing", "mkdir"]),
    ("noctoo", "{host}:/", ["no mount option noctoo", "did you mean nocto"]),
    ("rsize=many", "{host}:/", ["does not take the mount options"]),
    ("port=1,timeout=5", "{host}:/", ["Nothing listens", "port="]),
    ("", "fs-0123456789abcdef0:/", ["DNS", "mounttargetip=", "data=DIR"]),
    ("iam,notls", "{host}:/", ["notls"]),
])
def test_a_mount_that_cannot_work_says_why(place, options, source, words):
    status, _, err, seconds = place.mount("/mnt/m-bad", options, source.format(host=place.client.host))
    assert status in (1, 2)
    for word in words:
        assert word in err
    assert place.mounted("/mnt/m-bad") is None
    assert seconds < 60


def test_a_policy_that_withholds_the_mount_is_named(place):
    efs = place.server.boto3_client()
    efs.put_file_system_policy(FileSystemId=place.file_system, BypassPolicyLockoutSafetyCheck=True, Policy="""{
        "Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*",
        "Action": "elasticfilesystem:ClientMount", "Condition": {"Bool": {"aws:SecureTransport": "true"}}}]}""")
    endpoint = f"http://{place.client.host}:{place.client.relay('127.0.0.1', place.server.control_port)}"
    env = place.server.shell_env()
    command = (f"AWS_ACCESS_KEY_ID={env['AWS_ACCESS_KEY_ID']} AWS_SECRET_ACCESS_KEY={env['AWS_SECRET_ACCESS_KEY']} "
               f"{shoal_server.find_program('shoal')} mount -o endpoint={endpoint},port={place.port},"
               f"mounttargetip={place.client.host} {place.file_system}:/ /mnt/m-policy")
    status, _, err = place.client.run("sh", "-c", command, check=False)
    assert status == 1
    assert "The policy of " + place.file_system in err and "ClientMount" in err
    assert place.mounted("/mnt/m-policy") is None


def test_a_mount_in_use_is_left_until_it_is_taken_lazily(place):
    assert place.mount("/mnt/m-busy")[0] == 0
    with place.client.session() as session:
        session.call("os.chdir", "/mnt/m-busy")
        status, _, err, _ = place.shoal("umount", "/mnt/m-busy")
        assert status == 1 and "in use" in err and "--lazy" in err
        status, _, err, _ = place.shoal("umount", "--lazy", "/mnt/m-busy")
        assert status == 0, err
        assert place.mounted("/mnt/m-busy") is None
        session.call("os.chdir", "/")


def test_a_dead_server_does_not_hold_umount_nor_mount(own_place):
    """The server is killed with a file half written: unmounting ends, and leaves no process in D state."""
    assert own_place.mount("/mnt/m-dead")[0] == 0
    session = own_place.client.session()
    session.call("sharing.write_file", "/mnt/m-dead/file", b"x" * 100000)
    own_place.server.kill9()
    session.start("sharing.write_file", "/mnt/m-dead/late", b"y" * 100000)  # hangs: the mount is hard
    assert not session.is_done(1)
    status, _, err, seconds = own_place.shoal("mount", "-o", f"port={own_place.port},timeout=5", f"{own_place.client.host}:/",
                                          "/mnt/m-other")
    assert status == 1, err
    assert seconds < 60
    status, out, err, seconds = own_place.shoal("umount", "--timeout", "3", "/mnt/m-dead")
    assert status == 0, err
    assert "by force" in out or "lazily" in out
    assert seconds < 60
    assert own_place.mounted("/mnt/m-dead") is None
    own_place.server.start()
    session.close()
    assert own_place.client.call("mounts.settled", 60) == []


def test_a_dead_mount_is_made_new_by_remount(own_place):
    assert own_place.mount("/mnt/m-again")[0] == 0
    own_place.client.call("sharing.write_file", "/mnt/m-again/kept", b"durable")
    own_place.server.kill9()
    status, _, err, _ = own_place.shoal("remount", "/mnt/m-again")
    assert status == 1, err
    own_place.server.start()
    status, _, err, _ = own_place.mount("/mnt/m-again")
    assert status == 0, err
    assert own_place.client.call("os.listdir", "/mnt/m-again") == ["kept"]
    own_place.unmount("/mnt/m-again")


def test_a_mount_is_saved_for_the_next_boot(place, tmp_path):
    etc = tmp_path / "etc"
    etc.mkdir()
    (etc / "fstab").write_text("# mine\n")
    for kind in ("fstab", "automount", "fstab"):
        status, _, err, _ = place.shoal("mount", "-o", f"port={place.port}", "--save", kind, "--etc", str(etc),
                                        f"{place.client.host}:/", "/mnt/m-saved")
        assert status == 0, err
    lines = (etc / "fstab").read_text().splitlines()
    assert lines == ["# mine", f"{place.client.host}:/\t/mnt/m-saved\tshoal\tport={place.port},_netdev,nofail\t0\t0"]
    units = pathlib.Path(etc, "systemd", "system")
    assert "Where=/mnt/m-saved" in (units / "mnt-m\\x2dsaved.mount").read_text()
    assert (units / "mnt-m\\x2dsaved.automount").exists()
    place.unmount("/mnt/m-saved")
