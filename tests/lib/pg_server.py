"""A PostgreSQL server of a test's own: a fresh cluster in a temporary directory, on a Unix socket and a loopback port.

PostgreSQL refuses to run as root, so root runs it as `postgres` or `nobody`. It ends with the test.
"""

import ctypes
import functools
import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time

PR_SET_PDEATHSIG = 1


@functools.cache
def find_bin():
    """The directory of the newest PostgreSQL's programs; None: it is not installed."""
    found = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    return found[-1].parent if found else None


def ask_url(url, sql):
    """What psql prints: a row a line, fields with | between them."""
    done = subprocess.run([find_bin() / "psql", "-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-d", url, "-c",
                           sql], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


class PgServer:
    """Use it as a context manager. url(database) is for a Unix socket, tcp_url(database) for the port."""

    def __init__(self, settings=()):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="shoal-pg-", dir="/tmp"))  # a socket's path is short
        self.settings = settings
        self.process = None
        self.databases = 0
        self.user = None
        if os.getuid() == 0:
            names = {entry.pw_name for entry in pwd.getpwall()}
            self.user = pwd.getpwnam("postgres" if "postgres" in names else "nobody")
            os.chown(self.directory, self.user.pw_uid, self.user.pw_gid)
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]

    def __enter__(self):
        data = self.directory / "data"
        done = self._spawn("initdb", "-D", data, "-U", "shoal", "-A", "trust", "-E", "UTF8", "--locale=C",
                           "--no-sync").wait()
        assert done == 0, self.log()
        self.start()
        return self

    def __exit__(self, *_):
        if self.process:
            self.kill(signal.SIGINT)
        shutil.rmtree(self.directory)

    def _spawn(self, program, *words, **options):
        libc = ctypes.CDLL(None)

        def before():
            libc.prctl(PR_SET_PDEATHSIG, signal.SIGQUIT)

        who = {"user": self.user.pw_uid, "group": self.user.pw_gid, "extra_groups": []} if self.user else {}
        with open(self.directory / "log", "ab") as log:
            return subprocess.Popen([find_bin() / program, *map(str, words)], stdin=subprocess.DEVNULL, stdout=log,
                                    stderr=log, cwd="/", preexec_fn=before, **who, **options)

    def start(self):
        settings = [word for setting in ("fsync=off", "listen_addresses=127.0.0.1", *self.settings)
                    for word in ("-c", setting)]
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if self.process is None or self.process.poll() is not None:  # or what is left of a killed one holds on
                self.process = self._spawn("postgres", "-D", self.directory / "data", "-k", self.directory, "-p",
                                           self.port, *settings)
            ready = subprocess.run([find_bin() / "pg_isready", "-q", "-h", self.directory, "-p", str(self.port)])
            if ready.returncode == 0:
                return
            time.sleep(0.1)
        raise AssertionError("PostgreSQL does not start:\n" + self.log())

    def kill(self, signal_number=signal.SIGKILL):
        self.process.send_signal(signal_number)
        self.process.wait()
        self.process = None

    def log(self):
        return (self.directory / "log").read_text(errors="replace")[-3000:]

    def url(self, database):
        return f"postgresql://shoal@/{database}?host={self.directory}&port={self.port}"

    def tcp_url(self, database, port=None, more=""):
        return f"postgresql://shoal@127.0.0.1:{port or self.port}/{database}{more}"

    def ask(self, database, sql):
        return ask_url(self.url(database), sql)

    def new_database(self):
        self.databases += 1
        name = f"test_{os.getpid()}_{self.databases}"
        self.ask("postgres", f"CREATE DATABASE {name}")
        return name
