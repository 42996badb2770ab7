"""What a daemon does on a data directory that is damaged, cut short, newer, in use, or taken over: it says which file and what to
do, and touches nothing."""

import re
import subprocess

import pytest

import shoal_server


def start_refused(server):
    """The sentence of a daemon that does not start."""
    done = subprocess.run([str(shoal_server.find_program("shoald")), *server.common_options()], env=server.env,
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1, done
    return done.stderr


def state_of(directory):
    return {path.relative_to(directory): path.read_bytes() for path in sorted(directory.rglob("*"))
            if path.is_file() and path.name != "lock"}


@pytest.fixture
def stopped(own_server):
    own_server.up()
    own_server.stop()
    return own_server


@pytest.mark.parametrize("name, content, words", [
    ("format", b"", r"`format`.*Restore"),
    ("format", b"shoal data directory\nversion=", r"`format`.*Restore"),
    ("format", b"shoal data directory\nversion=99\n", r"format 99.*newer shoald"),
    ("identity", b"node=", r"`identity`.*Restore"),
    ("epoch", b"x\n", r"`epoch`.*Restore"),
])
def test_a_damaged_or_newer_data_directory_is_refused_and_left_alone(stopped, name, content, words):
    (stopped.data_dir / name).write_bytes(content)
    before = state_of(stopped.data_dir)
    assert re.search(words, start_refused(stopped), re.S)
    assert state_of(stopped.data_dir) == before


@pytest.mark.parametrize("name, content, words", [
    ("format", b"", "the file `format` is damaged"),
    ("format", b"shoal-engine 99\n", "newer than this program"),
    ("meta/CURRENT", b"MANIFEST-999999\n", "MANIFEST-999999"),
])
def test_a_damaged_or_newer_file_system_is_refused_and_left_alone(stopped, name, content, words):
    fs_dir = next((stopped.data_dir / "fs").iterdir())
    (fs_dir / name).write_bytes(content)
    before = {path: data for path, data in state_of(fs_dir).items() if not path.name.startswith("LOG")}
    stopped.start()
    assert stopped.shoal("fsck", fs_dir.name, "--data", stopped.data_dir, check=False).returncode == 8
    shoal_server.wait_until(lambda: words in stopped.log(), 60, "the log says why")
    after = {path: data for path, data in state_of(fs_dir).items() if not path.name.startswith("LOG")}
    assert after == before


def test_a_second_daemon_is_refused(own_server):
    own_server.up()
    other = shoal_server.Server(own_server.directory / "other")
    other.data_dir = own_server.data_dir
    assert f"in use by the shoald with pid {own_server.pid}" in start_refused(other)
    own_server.restart()


def test_a_daemon_whose_directory_is_taken_over_ends_without_writing(own_server):
    own_server.up()
    epoch = own_server.data_dir / "epoch"
    epoch.write_text(f"{int(epoch.read_text()) + 1}\n")
    assert own_server.process.wait(60) == 1
    own_server.process = None
    assert "taken the data directory over" in own_server.log()
    own_server.start()
    assert own_server.up()["file_system_id"]


def test_without_the_lock_file_a_second_daemon_still_gets_nothing(own_server):
    own_server.up()
    (own_server.data_dir / "lock").unlink()
    other = shoal_server.Server(own_server.directory / "other")
    other.data_dir = own_server.data_dir
    start_refused(other)  # the catalog has a lock of its own
    assert own_server.process.wait(60) == 1  # and the first one is fenced: the epoch went on
    own_server.process = None
    own_server.start()
