"""shoal health and monitor on directories of this machine, and doctor --compose; mounts are in tests/e2e/test_tunnel.py."""

import json
import os
import subprocess
import time

import pytest
import shoal_server


def shoal(*words, env=None):
    return subprocess.run([str(shoal_server.find_program("shoal")), *map(str, words)], stdin=subprocess.DEVNULL,
                          env={**os.environ, **shoal_server.sanitizer_env(), **(env or {})},
                          capture_output=True, text=True, timeout=60)


def test_a_directory_that_works_is_healthy_and_left_clean(tmp_path):
    done = shoal("health", "-o", "json", "--size", "100000", tmp_path)
    assert done.returncode == 0, done.stderr
    (found,) = json.loads(done.stdout)["paths"]
    assert found["status"] == "healthy" and found["accessible"] and found["error"] is None
    assert found["write_latency_ms"] > 0 and found["read_latency_ms"] > 0
    assert found["total_bytes"] > found["free_bytes"] > 0
    assert tmp_path.is_relative_to(found["mount_path"])
    assert os.listdir(tmp_path) == []
    done = shoal("health", tmp_path)
    assert done.returncode == 0
    assert " healthy " in done.stdout and "write " in done.stdout and " ms" in done.stdout
    assert shoal("health", "-q", tmp_path).stdout == ""


def test_what_a_killed_probe_left_is_removed_by_a_later_one(tmp_path):
    """Old files with a probe's name only: not a young one, another name, or a directory."""
    stale = [f".shoal-health-{pid}-{pid:016x}" for pid in (7, 12345)]
    kept = [".shoal-health-8-0000000000000008", ".shoal-health-notes", ".shoal-health-9-0000000000000009.txt",
            ".shoal-health--0000000000000010"]
    for name in [*stale, *kept]:
        (tmp_path / name).write_text("left")
    (tmp_path / ".shoal-health-11-0000000000000011").mkdir()
    for path in tmp_path.iterdir():
        if path.name != kept[0]:
            os.utime(path, (time.time() - 3600,) * 2)
    assert shoal("health", tmp_path).returncode == 0
    assert set(os.listdir(tmp_path)) == {*kept, ".shoal-health-11-0000000000000011"}


def test_one_of_several_that_fails_is_named(tmp_path):
    done = shoal("health", "--json", tmp_path, tmp_path / "nothing")
    assert done.returncode == 1
    both = json.loads(done.stdout)
    assert not both["healthy"]
    assert [path["status"] for path in both["paths"]] == ["healthy", "unhealthy"]
    assert "No such file" in both["paths"][1]["error"]


def test_a_mount_that_is_missing_is_a_failure_when_one_is_required(tmp_path):
    done = shoal("health", "--require-mount", tmp_path)
    assert done.returncode == 1
    assert "not-mounted" in done.stdout and "shoal mount" in done.stdout


@pytest.mark.skipif(os.geteuid() != 0, reason="a mount needs root")
def test_a_read_only_mount_is_healthy_only_when_asked_for():
    script = ('set -e; mount -t tmpfs -o ro none /mnt; "$0" health --json /mnt || true; '
              '"$0" health --read-only -q /mnt')
    done = subprocess.run(["unshare", "-m", "sh", "-c", script, str(shoal_server.find_program("shoal"))],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    (found,) = json.loads(done.stdout)["paths"]
    assert found["status"] == "read-only" and found["readable"] and not found["writable"]


@pytest.mark.parametrize("words", [[], ["--timeout", "0", "/tmp"], ["-o", "xml", "/tmp"], ["--size", "0", "/tmp"]])
def test_wrong_words_are_refused(words):
    assert shoal("health", *words).returncode == 2


def test_monitor_prints_a_line_of_json_for_each_directory_and_interval(tmp_path):
    done = shoal("monitor", "--interval", "1", "--count", "2", tmp_path, "/")
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["path"] for line in lines] == [str(tmp_path), "/"] * 2
    assert all(line["status"] == "ok" and line["write_latency_ms"] > 0 and line["free_bytes"] > 0 for line in lines)
    assert lines[2]["time"] > lines[0]["time"]
    assert lines[0]["operations_per_s"] is None, "no NFS mount, so the kernel counts nothing"


def test_monitor_writes_a_file_for_prometheus(tmp_path):
    target = tmp_path / "shoal.prom"
    work = tmp_path / 'with "quotes"'
    work.mkdir()
    done = shoal("monitor", "-o", "prometheus", "--count", "1", "--to", target, work)
    assert done.returncode == 0, done.stderr
    lines = target.read_text().splitlines()
    label = str(work).replace('"', '\\"')
    assert f'shoal_mount_up{{path="{label}"}} 1' in lines
    assert "# TYPE shoal_mount_write_latency_seconds gauge" in lines
    assert sorted(os.listdir(tmp_path)) == ["shoal.prom", 'with "quotes"']


def test_a_threshold_ends_monitor_or_calls_a_command(tmp_path):
    done = shoal("monitor", "--interval", "1", "--min-free", "100%", tmp_path)
    assert done.returncode == 1
    assert "bytes are free" in done.stderr
    note = tmp_path / "note"
    done = shoal("monitor", "--interval", "1", "--count", "3", "--times", "2", "--exec",
                 f'echo "$SHOAL_MONITOR_STATUS $SHOAL_MONITOR_REASON" >> {note}', tmp_path / "nothing")
    assert done.returncode == 0, done.stderr
    assert note.read_text().splitlines() == [f"failed {tmp_path}/nothing is failed"], "once, at the second time in a row"


COMPOSE = """
services:
  head:
    image: x
    volumes:
      - efs:/data
      - {type: volume, source: efs, target: /x, nocopy: true}
    environment: {NFS_OPTS: "rw,intr,noctoo"}
  worker:
    image: x
    restart: unless-stopped
    volumes: ["efs:/data:nocopy"]
volumes:
  efs:
    driver: local
    driver_opts: {type: nfs, o: "addr=${EFS_DNS_NAME},nfsvers=4.1,rsize=1048576,hard,intr,timeo=600", device: ":/"}
  old:
    driver_opts: {type: nfs, nfs_opts: "nfsvers=3,nolock,soft", device: "/x", nocopy: "true"}
"""


def test_options_of_older_compose_files_are_named_with_their_replacement(tmp_path):
    file = tmp_path / "compose.yaml"
    file.write_text(COMPOSE)
    done = shoal("doctor", "--compose", file, "--json")
    assert done.returncode == 1, done.stderr
    result = json.loads(done.stdout)
    assert result["nfs_volumes"] == 2
    found = {(item["where"], item["status"], item["found"].split(":")[0]) for item in result["findings"]}
    assert {("volumes.efs", "warn", "option intr"),
            ("volumes.old", "FAIL", "option nfsvers=3"),
            ("volumes.old", "warn", "option nolock"),
            ("volumes.old", "FAIL", 'device "/x" has no colon'),
            ("services.head.environment.NFS_OPTS", "FAIL", "option noctoo"),
            ("services.head", "warn", "no restart policy")} <= found, found
    assert all(item["fix"] for item in result["findings"])
    assert not [item for item in result["findings"] if item["where"] == "services.worker"]
    lines = {item["where"]: item["line"] for item in result["findings"]}
    assert COMPOSE.splitlines()[lines["volumes.efs"] - 1].strip().startswith("driver_opts")


def test_a_compose_file_as_it_should_be_passes(tmp_path):
    file = tmp_path / "compose.yaml"
    file.write_text("""
services:
  app: {image: x, restart: always, volumes: ["data:/data"]}
volumes:
  data:
    driver_opts:
      type: nfs
      o: "addr=127.16.0.4,nfsvers=4.1,rsize=1048576,wsize=1048576,hard,timeo=600,retrans=2"
      device: ":/"
""")
    done = shoal("doctor", "--compose", file)
    assert done.returncode == 0
    assert "1 NFS volumes, 0 to change, 0 warnings" in done.stdout
    file.write_text("a: [b\n")
    done = shoal("doctor", "--compose", file)
    assert done.returncode == 1 and "is no YAML" in done.stderr
