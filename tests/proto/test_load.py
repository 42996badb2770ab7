"""Many connections and requests at once: every answer of every operation stays right (tests/bench)."""

import json
import subprocess

import pytest
import shoal_server

OPERATIONS = ("getattr lookup open lock create create_write unlink rename readdir randread "
              "randwrite stablewrite seqread seqwrite").split()


def load(server, *arguments):
    """One run of shoal-bench; its result. It checks attributes, listings and all data itself."""
    contract = server.up()
    address = f"{contract['mount_targets'][0]['ip']}:{contract['nfs_port']}"
    run = subprocess.run(
        [str(shoal_server.find_program("shoal-bench")), "--server", address, "--path", "/",
         "--json", *map(str, arguments)], capture_output=True, text=True, timeout=120, check=False)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)[0]


@pytest.mark.parametrize("operation", OPERATIONS)
def test_answers_are_right_under_load(server, operation):
    result = load(server, "--op", operation, "--seconds", 0.3, "--files", 400, "--file-size", 4,
                  "--entries", 300, "--connections", 4, "--inflight", 16)
    assert result["errors"] == 0
    assert result["operations"] > 0


def test_many_connections_with_many_requests_each(server):
    result = load(server, "--op", "getattr", "--seconds", 0.5, "--connections", 64,
                  "--inflight", 64, "--threads", 2)
    assert result["operations"] > 0


def test_a_directory_of_many_entries_is_listed_whole(server):
    result = load(server, "--op", "readdir", "--seconds", 0.3, "--connections", 1, "--inflight",
                  4, "--entries", 5000)
    assert result["operations"] > 0
