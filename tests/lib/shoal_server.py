"""A running shoald for tests: started on a temporary directory, stopped, killed, started again.

Used by tests/proto and tests/e2e. The daemon is the one of the build directory in SHOAL_BUILD (default:
build/ beside the sources), which may be an ASan build: a sanitizer's report fails the test that stops it.
Holds always: the ports of one Server never change, so that clients find a restarted daemon again; nothing
listens beyond loopback; every process started here is ended by its own pid.
"""

import contextlib
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import time

SOURCE_ROOT = pathlib.Path(__file__).resolve().parents[2]
START_TIMEOUT_S = 60
STOP_TIMEOUT_S = 60
SANITIZER_REPORT = re.compile(
    r"ERROR: (Address|Leak|Thread)Sanitizer|: runtime error: |WARNING: ThreadSanitizer")


def build_dir():
    """The build directory under test."""
    return pathlib.Path(os.environ.get("SHOAL_BUILD", SOURCE_ROOT / "build")).resolve()


def find_program(name):
    """The path of a program of the build (shoald, shoal, fsx...), wherever meson has put it."""
    for path in (build_dir() / name, *sorted(build_dir().glob(f"*/**/{name}"))):
        if path.is_file() and os.access(path, os.X_OK):
            return path
    raise FileNotFoundError(f"{name} is not built in {build_dir()} (SHOAL_BUILD names the directory)")


def free_port():
    """A TCP port that is free on every local address, 127.16.0.0/12 included."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("0.0.0.0", 0))
        return probe.getsockname()[1]


def wait_until(condition, timeout_s, what):
    """Calls condition() until it is true and returns its value; a TimeoutError names `what`."""
    deadline = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {timeout_s} s: {what}")
        time.sleep(0.02)


def connects(address, port):
    """Whether something accepts connections there."""
    with contextlib.suppress(OSError):
        socket.create_connection((address, port), timeout=1).close()
        return True
    return False


class Server:
    """One shoald and its data directory. Use it as a context manager, or call start() and stop()."""

    def __init__(self, directory, options=(), env=None):
        self.directory = pathlib.Path(directory)
        self.data_dir = self.directory / "data"
        self.log_path = self.directory / "shoald.log"
        self.control_port = free_port()
        self.nfs_port = free_port()
        self.options = [str(option) for option in options]
        self.env = {**os.environ, **sanitizer_env(), **(env or {})}
        self.process = None
        self.directory.mkdir(parents=True, exist_ok=True)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.close()

    @property
    def endpoint(self):
        return f"http://127.0.0.1:{self.control_port}"

    @property
    def pid(self):
        return self.process.pid

    def common_options(self):
        """The options that both `shoald` and `shoal up` are given."""
        return ["--data", str(self.data_dir), "--control", f"127.0.0.1:{self.control_port}",
                "--nfs-port", str(self.nfs_port), *self.options]

    def start(self, prefix=()):
        """Starts the daemon (after `prefix`, say strace) and returns when it serves both ports."""
        assert self.process is None, "it runs already"
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                [*prefix, str(find_program("shoald")), *self.common_options()],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.env)
        wait_until(self.is_serving, START_TIMEOUT_S, "shoald serves its control and NFS ports")

    def is_serving(self):
        if self.process is not None and self.process.poll() is not None:
            raise RuntimeError(
                f"shoald ended at start with status {self.process.returncode}:\n{self.log()}")
        announced = self.data_dir / "run" / "shoald.json"
        return (announced.exists() and connects("127.0.0.1", self.control_port)
                and connects("127.0.0.1", self.nfs_port))

    def stop(self):
        """SIGTERM: the daemon has to drain, exit with 0 and leave no sanitizer report."""
        process, self.process = self.process, None
        process.send_signal(signal.SIGTERM)
        try:
            status = process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGABRT)  # a core or a sanitizer's stacks tell where it hangs
            process.wait()
            raise AssertionError(f"shoald did not stop on SIGTERM:\n{self.log()}") from None
        assert status == 0, f"shoald exited with {status}:\n{self.log()}"
        self.check_log()

    def kill9(self):
        """As a power failure of the process: no handler of it runs."""
        process, self.process = self.process, None
        process.kill()
        process.wait()
        self.check_log()

    def restart(self):
        self.stop()
        self.start()

    def close(self):
        """Ends whatever still runs; for the end of a fixture."""
        if self.process is None:
            return
        if self.process.poll() is None:
            self.stop()
            return
        status, self.process = self.process.returncode, None
        raise AssertionError(f"shoald died with status {status}:\n{self.log()}")

    def log(self, lines_max=60):
        """The last lines of the daemon's log."""
        if not self.log_path.exists():
            return ""
        text = self.log_path.read_text(errors="replace")
        return "\n".join(text.splitlines()[-lines_max:])

    def check_log(self):
        text = self.log_path.read_text(errors="replace")
        assert not SANITIZER_REPORT.search(text), f"a sanitizer reported:\n{text[-8000:]}"

    # --- the command line ------------------------------------------------------------------------

    def shoal(self, *arguments, check=True, timeout_s=120):
        """Runs `shoal ARGUMENTS...` and returns the finished process."""
        return subprocess.run(
            [str(find_program("shoal")), *map(str, arguments)], env=self.env, check=check,
            timeout=timeout_s, stdin=subprocess.DEVNULL, capture_output=True, text=True)

    def access_point_ready(self, access_point_id):
        """Waits until the access point may be used: it is `creating` at first, as at EFS. Returns its id."""
        def is_available():
            path = f"/access-points?AccessPointId={access_point_id}"
            found = json.loads(self.shoal("api", "--data", self.data_dir, "GET", path).stdout)
            return found["AccessPoints"][0]["LifeCycleState"] == "available"
        wait_until(is_available, START_TIMEOUT_S, "the access point is available")
        return access_point_id

    def up(self):
        """`shoal up --json`: returns its contract. Works beside a daemon started by start(), too."""
        done = self.shoal("up", *self.common_options(), "--json", check=False)
        assert done.returncode == 0, f"shoal up: {done.stderr}\n{self.log()}"
        return json.loads(done.stdout)

    def down(self):
        return self.shoal("down", "--data", self.data_dir)

    def shell_env(self):
        """What `shoal env` exports, as a dictionary: credentials, region and endpoint for AWS tools."""
        text = self.shoal("env", "--data", self.data_dir).stdout
        script = f"set -a\n{text}\nenv -0"
        output = subprocess.run(["/bin/sh", "-c", script], env={"PATH": os.environ["PATH"]},
                                check=True, capture_output=True).stdout
        pairs = (item.decode().partition("=") for item in output.split(b"\0") if item)
        return {key: value for key, _, value in pairs if key.startswith("AWS_")}

    # --- the EFS API -----------------------------------------------------------------------------

    def boto3_client(self, service="efs", **overrides):
        """A boto3 client with the administrator's keys of this server; no retries hide an error."""
        import boto3
        import botocore.config
        env = self.shell_env()
        arguments = {
            "endpoint_url": self.endpoint,
            "region_name": env.get("AWS_DEFAULT_REGION") or env["AWS_REGION"],
            "aws_access_key_id": env["AWS_ACCESS_KEY_ID"],
            "aws_secret_access_key": env["AWS_SECRET_ACCESS_KEY"],
            "config": botocore.config.Config(retries={"total_max_attempts": 1}),
            **overrides,
        }
        return boto3.client(service, **arguments)

    def create_file_system(self, efs=None, **arguments):
        """Creates a file system with one mount target; returns (file system id, its address)."""
        efs = efs or self.boto3_client()
        file_system_id = efs.create_file_system(**arguments)["FileSystemId"]
        wait_until(lambda: life_cycle_state(efs, file_system_id) == "available", 30,
                   f"{file_system_id} is available")
        subnet_id = self.subnets()[0]
        target = efs.create_mount_target(FileSystemId=file_system_id, SubnetId=subnet_id)
        wait_until(lambda: mount_target_state(efs, target["MountTargetId"]) == "available", 30,
                   f"{target['MountTargetId']} is available")
        return file_system_id, target["IpAddress"]

    def announced(self):
        """What the running daemon says of itself in run/shoald.json."""
        return json.loads((self.data_dir / "run" / "shoald.json").read_text())

    def subnets(self):
        """The ids of the subnets that take mount targets, one a zone."""
        return [subnet["id"] for subnet in self.announced()["subnets"]]


def sanitizer_env():
    """Makes sanitizers speak up and stop; harmless for other builds."""
    return {"ASAN_OPTIONS": "abort_on_error=0:detect_stack_use_after_return=0:exitcode=99",
            "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1:exitcode=99"}


def life_cycle_state(efs, file_system_id):
    found = efs.describe_file_systems(FileSystemId=file_system_id)["FileSystems"]
    return found[0]["LifeCycleState"]


def mount_target_state(efs, mount_target_id):
    found = efs.describe_mount_targets(MountTargetId=mount_target_id)["MountTargets"]
    return found[0]["LifeCycleState"]
