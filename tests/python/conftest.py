"""Fixtures of the tests of the Python package: the package over a built library, and stores of both backends."""

import glob
import os
import pathlib
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import pytest

ROOT = pathlib.Path(__file__).parents[2]
BUILD = pathlib.Path(os.environ.get("SHOAL_BUILD", ROOT / "build"))
# Children (multiprocessing, Ray, the examples) find the package and the library the same way.
os.environ["SHOAL_DATA_LIBRARY"] = str(BUILD / "src/datastore/libshoal-data.so.0")
os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT / "python"), *filter(None, [os.environ.get("PYTHONPATH")])])
sys.path.insert(0, str(ROOT / "python"))


class Postgres:
    """A server of its own on a Unix socket, run by an unprivileged user."""

    def __init__(self):
        programs = sorted(glob.glob("/usr/lib/postgresql/*/bin"))
        assert programs, "PostgreSQL is not installed: tools/setup.sh test"
        self.bin = pathlib.Path(programs[-1])
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="shoal-pg-"))
        self.user = {}
        if os.getuid() == 0:
            names = {entry.pw_name for entry in pwd.getpwall()}
            self.user = {"user": "postgres" if "postgres" in names else "nobody", "extra_groups": []}
            shutil.chown(self.directory, self.user["user"])
        self.directory.chmod(0o755)
        self.log = open(self.directory / "log", "wb")  # noqa: SIM115 (closed in stop)
        self.run("initdb", "-D", self.directory / "data", "-U", "shoal", "-A", "trust", "-E", "UTF8", "--locale=C",
                 "--no-sync")
        self.process = subprocess.Popen(
            [self.bin / "postgres", "-D", self.directory / "data", "-k", self.directory, "-c", "listen_addresses=",
             "-c", "fsync=off", "-c", "max_connections=200"],
            stdout=self.log, stderr=self.log, cwd="/", **self.user)
        for _ in range(300):
            if subprocess.run([self.bin / "pg_isready", "-q", "-h", self.directory], check=False).returncode == 0:
                return
            assert self.process.poll() is None, (self.directory / "log").read_text()
            time.sleep(0.1)
        raise AssertionError((self.directory / "log").read_text())

    def run(self, program, *arguments):
        subprocess.run([self.bin / program, *map(str, arguments)], check=True, stdout=self.log, stderr=self.log,
                       cwd="/", timeout=60, **self.user)

    def database(self):
        """The URL of the database, emptied."""
        url = f"postgresql://shoal@/postgres?host={self.directory}"
        self.run("psql", "-q", url, "-c", "DROP SCHEMA IF EXISTS shoal_data CASCADE")
        return url

    def stop(self):
        self.process.send_signal(signal.SIGQUIT)  # at once: nothing is kept
        self.process.wait(20)
        self.log.close()
        shutil.rmtree(self.directory, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres():
    server = Postgres()
    yield server
    server.stop()


@pytest.fixture(params=["files", "postgres"])
def url(request, tmp_path):
    """Where a fresh store is, for each backend."""
    if request.param == "files":
        return str(tmp_path / "store")
    return request.getfixturevalue("postgres").database()


@pytest.fixture
def store(url):
    import shoal_data
    with shoal_data.Store(url, pool_min=2, pool_max=8) as opened:
        yield opened
