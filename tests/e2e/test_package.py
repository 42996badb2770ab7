"""The Debian package in a chroot: installed, started as its unit says, upgraded, removed, purged.

The chroot is an overlay over this machine's root in a mount namespace of its own, so that all dependencies are there and nothing
of the machine changes. No systemd runs in it: the test does what the unit asks for, and listens to what shoald tells.
"""

import contextlib
import os
import pathlib
import shlex
import signal
import socket
import subprocess

import pytest
from shoal_server import SOURCE_ROOT, build_dir, free_port

PLACES = ["/etc", "/usr", "/var", "/lib"]


class Chroot:
    """Use run() and spawn(); close() ends it with all that was written."""

    def __init__(self, directory):
        script = f"""set -e
mount -t tmpfs shoal-test {directory}
mkdir {directory}/upper {directory}/work {directory}/root
mount -t overlay shoal-test -o lowerdir=/,upperdir={directory}/upper,workdir={directory}/work {directory}/root
mount -t proc proc {directory}/root/proc
mount --rbind /dev {directory}/root/dev
mount -t tmpfs tmpfs {directory}/root/run
mount -t tmpfs tmpfs {directory}/root/tmp
echo ready
exec sleep 100000"""
        self.root = f"{directory}/root"
        self.holder = subprocess.Popen(["unshare", "--mount", "--propagation", "private", "sh", "-c", script],
                                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.first_line = self.holder.stdout.readline().strip()

    def words(self, *words):
        return ["nsenter", "-t", str(self.holder.pid), "-m", "chroot", self.root, *map(str, words)]

    def run(self, *words, check=True, **options):
        done = subprocess.run(self.words(*words), capture_output=True, check=False,
                              env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive"}, **options)
        text = (done.stdout + done.stderr).decode(errors="replace")
        assert done.returncode == 0 or not check, f"{words}: {text}"
        return text

    def put(self, path, data):
        self.run("sh", "-c", f"cat > {path}", input=data)

    def close(self):
        self.holder.kill()
        self.holder.wait()


@pytest.fixture(scope="module")
def packages(tmp_path_factory):
    """The package of the build under test, and one that is newer: the same with another version."""
    if os.geteuid() != 0:
        pytest.skip("a chroot needs root")
    out = tmp_path_factory.mktemp("deb")
    done = subprocess.run([SOURCE_ROOT / "packaging/build-deb.sh", build_dir(), out], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    first = pathlib.Path(done.stdout.strip())
    subprocess.run(["dpkg-deb", "-R", first, out / "newer"], check=True)
    control = out / "newer/DEBIAN/control"
    lines = [line if not line.startswith("Version:") else line + "+later" for line in control.read_text().splitlines()]
    control.write_text("\n".join(lines) + "\n")
    second = out / "newer.deb"
    subprocess.run(["dpkg-deb", "--root-owner-group", "-b", out / "newer", second], check=True, capture_output=True)
    return first, second


@pytest.fixture
def chroot(tmp_path):
    made = Chroot(tmp_path)
    if made.first_line != "ready":
        made.close()
        pytest.skip(f"no overlay can be mounted here: {made.first_line}")
    yield made
    made.close()


@contextlib.contextmanager
def started(chroot):
    """shoald as the unit says; yields (process, function that waits for what the manager is told)."""
    unit = dict(line.split("=", 1) for line in chroot.run("cat", "/usr/lib/systemd/system/shoald.service").splitlines()
                if "=" in line and not line.startswith("#"))
    assert unit["Type"] == "notify" and unit["CapabilityBoundingSet"] == ""
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.bind(b"\0shoal-test-%d-%d" % (os.getpid(), id(chroot)))
    manager.settimeout(60)
    told = []

    def wait_for(part):
        while not any(part in state for state in told):
            told.append(manager.recv(4096).decode())

    name = "@" + manager.getsockname()[1:].decode()
    process = subprocess.Popen(
        chroot.words("setpriv", f"--reuid={unit['User']}", f"--regid={unit['Group']}", "--clear-groups", "--no-new-privs",
                     "--bounding-set=-all", "--inh-caps=-all", "env", "-i", f"NOTIFY_SOCKET={name}",
                     f"WATCHDOG_USEC={unit['WatchdogSec']}000000", *shlex.split(unit["ExecStart"])),
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        try:
            wait_for("READY=1")
        except TimeoutError:
            process.kill()
            raise AssertionError(process.stdout.read().decode()) from None
        yield wait_for
        process.send_signal(signal.SIGTERM)
        wait_for("STOPPING=1")
        output = process.communicate(timeout=60)[0].decode()
        assert process.returncode == 0, output
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        manager.close()


def files_named_shoal(chroot):
    found = chroot.run("find", *PLACES, "-xdev", "-name", "*shoal*", "-not", "-path", "/var/lib/dpkg/*", "-not", "-path", "*/e2e/*")
    return set(found.split())


def install(chroot, package):
    chroot.put("/tmp/shoal.deb", package.read_bytes())
    return chroot.run("dpkg", "--force-depends", "-i", "/tmp/shoal.deb")


def test_it_installs_starts_upgrades_and_purges(chroot, packages):
    before = files_named_shoal(chroot)
    install(chroot, packages[0])
    assert chroot.run("stat", "-c", "%U %G %a", "/var/lib/shoal") == "shoal shoal 700\n"
    assert chroot.run("shoald", "--check-config", "--config", "/etc/shoal/shoald.conf") == "The options are valid.\n"
    for page in ("man1/shoal.1.gz", "man5/shoald.conf.5.gz", "man8/shoald.8.gz"):
        chroot.run("gzip", "-t", f"/usr/share/man/{page}")
    for place in ("bash-completion/completions/shoal", "zsh/vendor-completions/_shoal", "fish/vendor_completions.d/shoal.fish"):
        chroot.run("test", "-s", f"/usr/share/{place}")

    ports = f"[control]\nlisten = 127.0.0.1:{free_port()}\n[nfs]\nport = {free_port()}\n[node]\ndata = /var/lib/shoal\n"
    chroot.put("/etc/shoal/shoald.conf", ports.encode())
    chroot.put("/tmp/precious", b"must outlive an upgrade\n")
    with started(chroot) as wait_for:
        wait_for("STATUS=Serving http://127.0.0.1:")
        wait_for("WATCHDOG=1")
        chroot.run("shoal", "up", "--data", "/var/lib/shoal")
        chroot.run("shoal", "cp", "-q", "--data", "/var/lib/shoal", "/tmp/precious", "default:/precious")

    install(chroot, packages[1])
    assert "+later" in chroot.run("dpkg-query", "-W", "-f=${Version}", "shoal")
    assert chroot.run("cat", "/etc/shoal/shoald.conf") == ports
    said = chroot.run("mount", "-t", "shoal", "-o", "timeout=2,port=1", "127.0.0.1:/", "/mnt", check=False)
    assert "mount.shoal: Nothing listens" in said, "mount(8) finds the helper"
    with started(chroot):
        assert chroot.run("shoal", "cat", "--data", "/var/lib/shoal", "default:/precious") == "must outlive an upgrade\n"

    chroot.run("dpkg", "-r", "shoal")
    assert chroot.run("cat", "/etc/shoal/shoald.conf") == ports
    assert "command not found" in chroot.run("sh", "-c", "shoald --version || echo command not found", check=False)
    said = chroot.run("dpkg", "--purge", "shoal")
    assert "the file systems in /var/lib/shoal stay" in said
    assert files_named_shoal(chroot) - before == {"/var/lib/shoal", *(
        path for path in files_named_shoal(chroot) if path.startswith("/var/lib/shoal/"))}


def test_what_was_never_used_is_gone_after_purging(chroot, packages):
    before = files_named_shoal(chroot)
    install(chroot, packages[0])
    assert {"/usr/bin/shoal", "/usr/bin/shoald", "/etc/shoal", "/var/lib/shoal"} <= files_named_shoal(chroot)
    check_unit(chroot)
    said = chroot.run("dpkg", "--purge", "shoal")
    assert "stay" not in said
    assert files_named_shoal(chroot) == before


def check_unit(chroot):
    """By systemd-analyze, where it is installed: it needs no systemd that runs."""
    unit = "/usr/lib/systemd/system/shoald.service"
    if "systemd" in chroot.run("sh", "-c", "command -v systemd-analyze || true"):
        said = chroot.run("systemd-analyze", "verify", "--man=no", unit, check=False)
        assert "shoald.service" not in said, said
        chroot.run("systemd-analyze", "security", "--offline=true", "--threshold=25", unit)
