"""A real Linux kernel NFS client that tests call into: the host's side of guest/agent.py.

A KernelClient is one booted guest (tests/e2e/kernel-client). It lives for the whole pytest run, since a boot
costs some seconds; tests make their own mounts in it. Clients of different numbers are different NFS clients.
"""

import contextlib
import multiprocessing.connection
import os
import pathlib
import secrets
import shutil
import signal
import subprocess

from shoal_server import build_dir, connects, free_port, wait_until

HERE = pathlib.Path(__file__).resolve().parent
AGENT_PORT = 7000
BOOT_TIMEOUT_S = 120
MOUNT_OPTIONS = "proto=tcp,hard,timeo=600,retrans=2,rsize=1048576,wsize=1048576,noresvport,retry=0"
PROGRAMS = ("linux.uml", "busybox", "ip", "mount.nfs4", "unshare", "setpriv", "flock", "timeout", "socat")


def why_not():
    """Why no kernel client can run on this machine, or None."""
    if os.geteuid() != 0:
        return "a kernel client needs root (tap device, mounts in the guest)"
    if not os.path.exists("/dev/net/tun"):
        return "a kernel client needs /dev/net/tun"
    search = os.environ["PATH"] + ":/usr/sbin:/sbin"
    missing = [program for program in PROGRAMS if not shutil.which(program, path=search)]
    if missing:
        return f"not installed: {', '.join(missing)} (make setup installs all)"
    return None


class RemoteTraceback(Exception):
    """The traceback of the guest, shown as the cause of the error on the host."""

    def __str__(self):
        return f"\n\nin the guest:\n{self.args[0]}"


class Session:
    """A process in the guest. Its open files and working directory last until close()."""

    def __init__(self, client):
        self.connection = multiprocessing.connection.Client(
            (client.address, AGENT_PORT), authkey=client.key)
        self.is_waiting = False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.connection.close()

    def start(self, name, *args, **kwargs):
        """Begins a call; result() must follow before the next one."""
        assert not self.is_waiting
        self.connection.send((name, args, kwargs))
        self.is_waiting = True

    def is_done(self, timeout_s=0):
        """Whether the call that was started has ended."""
        return self.connection.poll(timeout_s)

    def result(self, timeout_s=300):
        """The value of the call started last; raises the exception that it raised."""
        if not self.connection.poll(timeout_s):
            raise TimeoutError(f"the guest gave no answer within {timeout_s} s")
        is_value, value, trace = self.connection.recv()
        self.is_waiting = False
        if is_value:
            return value
        raise value from RemoteTraceback(trace)

    def call(self, name, *args, **kwargs):
        """Calls `module.function` in the guest and returns its value."""
        self.start(name, *args, **kwargs)
        return self.result()


class KernelClient:
    """One guest. `number` 0..250 gives it its address and its NFS client id."""

    def __init__(self, number, log_path, memory="1G"):
        reason = why_not()
        if reason:
            raise RuntimeError(reason)
        self.number = number
        self.host = f"10.210.{number}.1"
        self.address = f"10.210.{number}.2"
        self.key = secrets.token_hex(16).encode()
        self.log_path = pathlib.Path(log_path)
        self.relays = {}
        env = {**os.environ, "SHOAL_E2E_KEY": self.key.decode(), "KC_MEM": memory,
               "KC_TIMEOUT": "3600", "PYTHONDONTWRITEBYTECODE": "1",
               "KC_PRELOAD": str(build_dir() / "tests" / "e2e" / "uml_xstate.so")}
        env.pop("KC_INIT", None)
        with self.log_path.open("wb") as log:
            # Whatever ends pytest ends the guest: the script removes its tap at SIGTERM.
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "TERM", str(HERE / "kernel-client"), "-n", str(number),
                 "1", "-", "--", "/usr/bin/python3", str(HERE / "guest" / "agent.py")],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env)

    def wait_ready(self):
        """Waits for the end of the boot."""
        def is_ready():
            assert self.process.poll() is None, f"the guest ended: {self.log_path.read_text()}"
            return b"ready" in self.log_path.read_bytes() and connects(self.address, AGENT_PORT)
        wait_until(is_ready, BOOT_TIMEOUT_S, "the guest has booted")

    def close(self):
        for relay, _ in self.relays.values():
            relay.terminate()
            relay.wait()
        self.relays = {}
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)

    def session(self):
        return Session(self)

    def call(self, name, *args, **kwargs):
        """One call in a session of its own."""
        with self.session() as session:
            return session.call(name, *args, **kwargs)

    def run(self, *argv, check=True, **kwargs):
        """Runs a program in the guest; returns (status, stdout, stderr), status 0 if `check`."""
        status, out, err = self.call("command.run", list(map(str, argv)), **kwargs)
        assert not check or status == 0, f"{argv}: status {status}\n{out}\n{err}"
        return status, out, err

    def relay(self, address, port):
        """A port of the tap that leads to `address`:`port` of the host: guests cannot reach 127/8.

        Each target has a relay of its own, as each mount target has an address of its own."""
        if (address, port) not in self.relays:
            listen_port = free_port()
            process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "socat", "-b", "1048576",
                 f"TCP-LISTEN:{listen_port},bind={self.host},reuseaddr,fork,nodelay",
                 f"TCP:{address}:{port},nodelay"],
                stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            self.relays[address, port] = (process, listen_port)
            wait_until(lambda: connects(self.host, listen_port), 10, "socat listens")
        return self.relays[address, port][1]

    def mount(self, export, where, version="4.1", options=""):
        """Mounts `export` (a shoal or peer export: .address .port .path) at /mnt/`where`."""
        port = self.relay(export.address, export.port)
        options = f"vers={version},port={port},{MOUNT_OPTIONS}" + (f",{options}" if options else "")
        mount_point = f"/mnt/{where}"
        self.call("os.makedirs", mount_point, exist_ok=True)
        self.run("mount", "-t", "nfs4", "-o", options, f"{self.host}:{export.path}", mount_point,
                 timeout_s=60)
        return mount_point

    def unmount(self, mount_point):
        self.run("umount", mount_point, timeout_s=60)

    @contextlib.contextmanager
    def mounted(self, export, where, **kwargs):
        """A mount for the body of a `with`; unmounting must succeed, so leaked files are found."""
        mount_point = self.mount(export, where, **kwargs)
        try:
            yield mount_point
        except BaseException:
            self.run("umount", "-f", "-l", mount_point, check=False)
            raise
        self.unmount(mount_point)


def boot(numbers, log_directory):
    """Boots several guests at once and returns them, ready."""
    clients = [KernelClient(n, pathlib.Path(log_directory) / f"guest-{n}.log") for n in numbers]
    try:
        for client in clients:
            client.wait_ready()
    except BaseException:
        for client in clients:
            client.close()
        raise
    return clients
