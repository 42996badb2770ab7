"""`shoal fsck` and `shoal scrub`: on a running service and on directories that nobody has open; what they say when all is well,
when something is damaged, and when they cannot."""

import json
import pathlib
import re
import urllib.request

import pytest

import shoal_server
import test_quota

CLEAN, WRONG, FAILED, USAGE = 0, 4, 8, 16


@pytest.fixture
def service(tmp_path):
    """A service of this test's own, with a file of 1 MiB and one of 100 bytes in default:/deep."""
    with shoal_server.Server(tmp_path / "server") as server:
        server.fs = server.up()["file_system_id"]
        source = tmp_path / "deep"
        source.mkdir()
        (source / "large").write_bytes(bytes(range(256)) * 4096)
        (source / "small").write_bytes(b"x" * 100)
        run(server, "cp", "-rq", source, "default:/")
        yield server


def run(server, *words, status=CLEAN):
    done = server.shoal(*words, "--data", server.data_dir, check=False)
    assert done.returncode == status, (done.stdout, done.stderr)
    return done


def fs_dir(server):
    return server.data_dir / "fs" / server.fs


def state_of(directory):
    """What every file below is, and when it was changed."""
    return {path: (path.stat().st_mtime_ns, path.stat().st_size, path.read_bytes())
            for path in sorted(directory.rglob("*")) if path.is_file()}


def flip_data(server):
    """Changes one bit of the large file's third block, wherever it is."""
    wanted = (bytes(range(256)) * 16)[:4096]
    for path in sorted((fs_dir(server) / "data").glob("*.seg")):
        data = path.read_bytes()
        places = [at for at in range(4096, len(data), 4096) if data[at:at + 4096] == wanted]
        if len(places) >= 256:
            with path.open("r+b") as file:
                file.seek(places[2] + 77)
                file.write(bytes([data[places[2] + 77] ^ 1]))
            return
    raise LookupError("the file's blocks are in no segment")


def metric(server, name):
    with urllib.request.urlopen(server.endpoint + "/metrics") as answer:
        found = re.search(rf"^{name} (\S+)$", answer.read().decode(), re.M)
    return float(found[1])


def test_a_service_that_runs_is_checked_while_it_serves(service):
    assert re.search(rf"{service.fs}: \d+ inodes and names: clean", run(service, "fsck").stdout)
    assert "clean" in run(service, "fsck", "default").stdout
    assert run(service, "fsck", "-q", service.fs).stdout == ""
    assert "There is no file system nothing" in run(service, "fsck", "nothing", status=FAILED).stderr
    assert "in use by the shoald" in run(service, "fsck", "--offline", status=FAILED).stderr


def test_directories_are_checked_without_a_service_and_stay_as_they_are(service):
    service.stop()
    before = state_of(service.data_dir)
    assert re.search(r"[1-9]\d* inodes, [1-9]\d* names, 256 blocks in .*: clean", run(service, "fsck").stdout)
    assert "bytes of data read: clean" in run(service, "fsck", "--offline", "--read-data", service.fs).stdout
    done = service.shoal("fsck", fs_dir(service))
    assert "clean" in done.stdout
    assert state_of(service.data_dir) == before
    assert service.shoal("fsck", "/", check=False).returncode == FAILED
    run(service, "fsck", "--wrong", status=USAGE)
    run(service, "fsck", "fs-0000000000000000f", status=FAILED)


def test_after_a_kill_the_journal_counts(service):
    service.kill9()
    assert "clean" in run(service, "fsck").stdout
    service.start()
    run(service, "fsck")


def test_damaged_data_is_told_with_path_and_offset(service):
    run(service, "scrub", "default", "--wait")
    service.stop()
    flip_data(service)
    told = r"what=damaged-data inode=\d+ offset=8192 bytes=4096 segment=\d+ block=\d+ .*path=/deep/large"
    assert "clean" in run(service, "fsck").stdout  # the records are
    assert re.search(told, run(service, "fsck", "--read-data", status=WRONG).stdout)
    service.start()
    assert re.search(told, run(service, "scrub", "default", "--wait", status=1).stdout)
    answer = json.loads(run(service, "scrub", "default", "--status", "--json", status=1).stdout)
    assert answer["State"] == "done" and answer["Wrong"] == 1 and answer["DoneBytes"] >= 1 << 20
    assert metric(service, "shoal_engine_scrub_damaged_total") == 1
    assert metric(service, "shoal_engine_scrubs_total") == 1
    assert metric(service, "shoal_engine_scrub_read_bytes_total") > 1 << 20
    assert "verification: data is damaged" in service.log()
    service.restart()
    assert re.search(told, run(service, "scrub", "default", "--status", status=1).stdout)
    # Written anew it is whole again.
    run(service, "rm", "-r", "default:/deep")
    run(service, "scrub", "default", "--wait")


def test_a_scrub_is_stopped(tmp_path):
    with shoal_server.Server(tmp_path / "server", ["--set", "engine.scrub_rate=64KiB"]) as server:
        server.up()
        assert "never" in run(server, "scrub", "default", "--status").stdout
        source = tmp_path / "file"
        source.write_bytes(b"0123456789abcdef" * (1 << 20))
        run(server, "cp", "-q", source, "default:/")
        assert "running" in run(server, "scrub", "default").stdout
        run(server, "scrub", "default", "--stop")
        shoal_server.wait_until(lambda: "stopped" in run(server, "scrub", "default", "--status").stdout, 60, "it stops")
        assert "do not go together" in run(server, "scrub", "default", "--stop", "--status", status=2).stderr


def test_damaged_records_do_not_open(service):
    service.stop()
    (fs_dir(service) / "meta" / "CURRENT").write_text("MANIFEST-999999\n")
    done = run(service, "fsck", status=WRONG)
    assert "what=does-not-open" in done.stdout


def test_a_newer_format_is_no_damage(service):
    service.stop()
    (fs_dir(service) / "format").write_text("shoal-engine 999\n")
    assert "newer than this program" in run(service, "fsck", status=FAILED).stderr
    assert pathlib.Path(fs_dir(service) / "format").read_text() == "shoal-engine 999\n"


def test_the_operations_are_refused_what_they_do_not_know(service):
    api = test_quota.Api(service)
    for operation in ("StartVerification", "StopVerification", "DescribeVerification"):
        status, body = api.target(operation, FileSystemId=service.fs, Kind="nothing")
        assert status == 400 and "Kind" in json.dumps(body)
        status, _ = api.target(operation, FileSystemId="fs-00000000000000000", Kind="data")
        assert status == 404
    status, body = api.target("DescribeVerification", FileSystemId=service.fs, Kind="records")
    assert status == 200 and body["State"] == "never" and body["Findings"] == []


def test_the_selftest_cuts_the_power_and_tells_how_often(own_server, tmp_path):
    done = own_server.shoal("selftest", "--seconds", "0", "--seed", "7", "--directory", tmp_path, timeout_s=600)
    assert "each time all that was acknowledged was there, whole, and all records agreed (seed 7)" in done.stdout
    assert re.search(r"the power was cut [1-9]\d* times", done.stdout)
    assert not list(tmp_path.glob("shoal-*"))
    assert own_server.shoal("selftest", "--no-such-word", check=False).returncode == 2
