"""What these tests share: src/parquet at work, by the program parquet_tool; a PostgreSQL server."""

import json
import os
import pathlib
import subprocess

import pytest

import pg_server as pg_harness  # of tests/lib, which tests/conftest.py has put into the path

BUILD = pathlib.Path(os.environ.get("SHOAL_BUILD", pathlib.Path(__file__).parents[2] / "build-asan"))


class Damaged(Exception):
    """src/parquet refused a file; `report` has its words."""

    def __init__(self, report):
        super().__init__(report["error"])
        self.report = report


def run_tool(arguments, stdin=None):
    done = subprocess.run([BUILD / "tests/data/parquet_tool", *map(str, arguments)], input=stdin,
                          capture_output=True, timeout=60, check=False,
                          env={**os.environ, "ASAN_OPTIONS": "detect_leaks=0"})
    if done.returncode == 1 and done.stdout.startswith(b"{"):
        raise Damaged(json.loads(done.stdout))
    assert done.returncode == 0, done.stderr.decode(errors="replace")[-3000:]
    return done.stdout


class Tool:
    """Writes and reads whole files. Columns are dicts: name, type, logical, optional, values."""

    def write(self, path, columns, codec="zstd", pairs=None, **options):
        described = []
        for column in columns:
            values = column["values"]
            if column["type"] in ("double", "float"):
                values = [None if v is None else float(v).hex() for v in values]
            if column["type"] == "bytes":
                values = [None if v is None else v.hex() for v in values]
            described.append({**column, "values": values})
        run_tool(["write", path], json.dumps({"columns": described, "pairs": pairs or {},
                                              "options": {"codec": codec, **options}}).encode())

    def read(self, path, value_range=None):
        """The file as the tool prints it, its values as Python's own."""
        result = json.loads(run_tool(["read", path, *(value_range or [])]))
        for column in result["columns"]:
            convert = {"double": float.fromhex, "float": float.fromhex,
                       "bytes": bytes.fromhex}.get(column["type"], lambda value: value)
            column["values"] = [None if v is None else convert(v) for v in column["values"]]
        return result


@pytest.fixture(scope="session")
def tool():
    return Tool()


@pytest.fixture(scope="session")
def pg_server():
    """A PostgreSQL server for all tests of the session; each takes a database of its own (pg_server.new_database())."""
    if pg_harness.find_bin() is None:
        pytest.skip("PostgreSQL is not installed")
    with pg_harness.PgServer() as running:
        yield running
