"""shoald and the service commands of shoal: start, stop, refusals, and the contract that scripts build on."""

import configparser
import contextlib
import json
import os
import re
import signal
import socket
import struct
import subprocess
import threading
import time

import pytest
import shoal_server
from shoal_server import find_program

SENTENCE_END = (".", ")", "?")


def null_call(address, port, timeout_s=5):
    """Sends an NFSv4 NULL call; returns the reply's bytes, or b"" when the connection is closed."""
    call = struct.pack(">10I", 0x51, 0, 2, 100003, 4, 0, 0, 0, 0, 0)
    with socket.create_connection((address, port), timeout=timeout_s) as conn:
        with contextlib.suppress(ConnectionError):
            conn.sendall(struct.pack(">I", 0x80000000 | len(call)) + call)
            return conn.recv(4096)
    return b""


def shoald(*words, env=None, timeout_s=60):
    """Runs shoald until it ends."""
    return subprocess.run([str(find_program("shoald")), *map(str, words)], capture_output=True, text=True,
                          timeout=timeout_s, env={**os.environ, **shoal_server.sanitizer_env(), **(env or {})})


def refusal(done, status=1):
    """The sentence of a shoald that did not start."""
    assert done.returncode == status, done.stderr
    sentences = [line for line in done.stderr.splitlines() if line.startswith("shoald: ")]
    assert len(sentences) == 1, done.stderr
    assert sentences[0].endswith(SENTENCE_END)
    return sentences[0]


@pytest.fixture
def stopped(tmp_path):
    """A server with its ports chosen, not started."""
    server = shoal_server.Server(tmp_path / "shoal")
    yield server
    server.close()


# --- options --------------------------------------------------------------------------------------

def test_an_unknown_option_is_refused_with_a_suggestion(tmp_path):
    assert "did you mean --nfs-port?" in refusal(shoald("--data", tmp_path, "--nfs-prt", 1), 2)
    assert "did you mean nfs.listen?" in refusal(shoald("--data", tmp_path, "--set", "nfs.lisen=1"), 2)
    assert not list(tmp_path.iterdir())


def test_a_configuration_file_is_checked(tmp_path):
    config = tmp_path / "shoald.conf"
    config.write_text("[nfs]\nport = 20490\nprot = 1\n")
    sentence = refusal(shoald("--data", tmp_path / "d", "--config", config, "--check-config"), 2)
    assert f"{config}:3:" in sentence and "did you mean nfs.port?" in sentence
    config.write_text("[nfs]\nport = 20490\n")
    done = shoald("--data", tmp_path / "d", "--config", config, "--check-config")
    assert (done.returncode, done.stderr) == (0, "")
    assert not (tmp_path / "d").exists()


def test_the_printed_configuration_is_what_counts(tmp_path):
    config = tmp_path / "shoald.conf"
    config.write_text("[nfs]\nport = 1111\n[log]\nlevel = warn\n")
    done = shoald("--config", config, "--nfs-port", 3333, "--print-config",
                  env={"SHOAL_NFS_PORT": "2222", "SHOAL_NODE_REGION": "eu-west-1"})
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert {"port = 3333", "level = warn", "region = eu-west-1", "#listen = 127.0.0.0/8"} <= set(lines)
    config.write_text(done.stdout)
    assert shoald("--config", config, "--print-config").stdout == done.stdout


def test_help_and_version_are_printed():
    assert "--nfs-port" in shoald("--help").stdout
    assert re.fullmatch(r"shoald \d+\.\d+\.\d+\n", shoald("--version").stdout)


def test_sighup_reads_the_log_level_again(stopped):
    config = stopped.directory / "shoald.conf"
    config.write_text("[log]\nlevel = info\n")
    stopped.options += ["--config", str(config)]
    stopped.start()
    config.write_text("[log]\nlevel = nonsense\n")
    os.kill(stopped.pid, signal.SIGHUP)
    shoal_server.wait_until(lambda: "options not reloaded" in stopped.log(), 10, "the wrong file is told of")
    config.write_text("[log]\nlevel = debug\n[node]\nregion = eu-west-1\n")
    os.kill(stopped.pid, signal.SIGHUP)
    shoal_server.wait_until(lambda: "options reloaded" in stopped.log(), 10, "the level is taken over")
    assert "option=node.region" in stopped.log()
    stopped.stop()


# --- the data directory ---------------------------------------------------------------------------

def test_a_second_daemon_is_told_who_owns_the_directory(server):
    done = shoald("--data", server.data_dir, "--control", "127.0.0.1:0", "--nfs-port", 0)
    sentence = refusal(done)
    assert f"pid {server.pid}" in sentence and "shoal down --data" in sentence


def test_the_directory_is_for_its_owner_only(server):
    assert server.data_dir.stat().st_mode & 0o7777 == 0o700
    for name in ("lock", "identity", "admin-credentials"):
        assert (server.data_dir / name).stat().st_mode & 0o7777 == 0o600, name


@pytest.mark.parametrize("content, words", [
    ("shoal data directory\nversion=2\n", ("has format 2", "newer shoald")),
    ("something else\n", ("is damaged", "backup")),
    ("", ("is damaged", "backup")),
])
def test_a_damaged_or_newer_directory_is_refused_and_left_alone(stopped, content, words):
    stopped.start()
    stopped.stop()
    (stopped.data_dir / "format").write_text(content)
    sentence = refusal(shoald(*stopped.common_options()))
    for word in words:
        assert word in sentence
    assert (stopped.data_dir / "format").read_text() == content


def test_a_directory_of_other_files_is_refused(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    assert "holds other files" in refusal(shoald("--data", tmp_path, "--control", 0, "--nfs-port", 0))
    assert {path.name for path in tmp_path.iterdir()} <= {"thesis.tex", "lock"}


def test_another_region_than_the_directory_was_made_for_is_refused(stopped):
    stopped.start()
    stopped.stop()
    refusal(shoald(*stopped.common_options(), "--region", "eu-west-3"))


# --- ports ----------------------------------------------------------------------------------------

def test_a_port_in_use_is_explained(server, tmp_path):
    control = shoald("--data", tmp_path / "a", "--control", f"127.0.0.1:{server.control_port}", "--nfs-port", 0)
    assert str(server.control_port) in refusal(control) and "in use" in refusal(control)
    nfs = refusal(shoald("--data", tmp_path / "b", "--control", "127.0.0.1:0", "--nfs-port", server.nfs_port))
    assert f"NFS port {server.nfs_port} is in use" in nfs and "--nfs-port" in nfs


def test_only_addresses_inside_nfs_listen_are_answered(stopped):
    stopped.options += ["--set", "nfs.listen=127.0.0.2, 127.16.0.0/12"]
    stopped.start()
    assert null_call("127.0.0.2", stopped.nfs_port)
    assert null_call("127.16.3.4", stopped.nfs_port)
    assert null_call("127.0.0.1", stopped.nfs_port) == b""
    assert "nfs.listen" in stopped.log()
    stopped.stop()


# --- start and stop -------------------------------------------------------------------------------

def test_the_service_manager_is_told(stopped):
    path = stopped.directory / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(path))
        manager.settimeout(60)
        stopped.env["NOTIFY_SOCKET"] = str(path)
        stopped.start()
        assert manager.recv(200).split(b"\n")[0] == b"READY=1"
        stopped.stop()
        assert manager.recv(100) == b"STOPPING=1"


def test_the_run_file_is_there_while_it_serves(stopped):
    run_file = stopped.data_dir / "run" / "shoald.json"
    stopped.start()
    shoal_server.wait_until(run_file.exists, 10, "the run file is there")
    told = json.loads(run_file.read_text())
    assert told["pid"] == stopped.pid and told["nfs_port"] == stopped.nfs_port
    assert told["endpoint"] == stopped.endpoint and told["subnets"]
    stopped.stop()
    assert not run_file.exists()


def test_sigterm_under_load_ends_with_0(stopped):
    stopped.start()
    ending = threading.Event()

    def load():
        while not ending.is_set():
            with contextlib.suppress(OSError):
                null_call("127.0.0.1", stopped.nfs_port, 1)

    threads = [threading.Thread(target=load) for _ in range(4)]
    for thread in threads:
        thread.start()
    time.sleep(0.5)
    started = time.monotonic()
    stopped.stop()
    ending.set()
    for thread in threads:
        thread.join()
    assert time.monotonic() - started < 20
    assert " level=error" not in stopped.log()


def test_every_log_line_is_pairs(server):
    lines = [line for line in server.log().splitlines() if not line.startswith("==")]  # ASan's own
    assert lines
    for line in lines:
        assert re.match(r'time=\S+Z level=(error|warn|info|debug) msg="[^"]*"( [a-z_]+=("([^"\\]|\\.)*"|\S*))*$', line), line


# --- shoal up, down, env, status ------------------------------------------------------------------

def check_contract(told, server):
    """The object of `shoal up --json`."""
    assert set(told) == {"endpoint", "region", "access_key_id", "secret_access_key", "account_id",
                         "file_system_id", "mount_targets", "nfs_port"}
    assert told["endpoint"] == server.endpoint and told["nfs_port"] == server.nfs_port
    assert told["region"] == "us-east-1" and re.fullmatch(r"\d{12}", told["account_id"])
    assert re.fullmatch(r"AKIA[A-Z2-7]{16}", told["access_key_id"]) and len(told["secret_access_key"]) == 40
    assert re.fullmatch(r"fs-[0-9a-f]{17}", told["file_system_id"])
    zones = [target["zone"] for target in told["mount_targets"]]
    assert len(zones) >= 2 and zones == sorted(set(zones))
    for target in told["mount_targets"]:
        assert set(target) == {"id", "ip", "zone"}
        assert re.fullmatch(r"fsmt-[0-9a-f]{17}", target["id"])
        assert target["ip"].startswith("127.")


@pytest.fixture
def upped(stopped):
    """A server that `shoal up` starts in the background; ended by `shoal down`."""
    yield stopped
    stopped.shoal("down", "--data", stopped.data_dir, check=False)


def run_file_pid(server):
    return json.loads((server.data_dir / "run" / "shoald.json").read_text())["pid"]


def test_up_starts_once_and_gives_the_same_each_time(upped):
    first = upped.up()
    check_contract(first, upped)
    pid = run_file_pid(upped)
    assert os.getsid(pid) == pid
    assert upped.up() == first
    assert run_file_pid(upped) == pid
    for target in first["mount_targets"]:
        assert null_call(target["ip"], first["nfs_port"])
    note = upped.shoal("up", *upped.common_options(), "--set", "log.level=debug").stderr
    assert "runs already" in note


def test_what_up_made_survives_kill_9(upped):
    first = upped.up()
    pid = run_file_pid(upped)
    os.kill(pid, signal.SIGKILL)
    shoal_server.wait_until(lambda: not os.path.exists(f"/proc/{pid}") or
                            "Z" in open(f"/proc/{pid}/stat").read().split(")")[1].split()[0], 10, "it is gone")
    assert upped.shoal("status", "--data", upped.data_dir, check=False).returncode == 3
    assert upped.up() == first
    assert run_file_pid(upped) != pid


def test_up_tells_a_person_what_to_do_next(upped):
    text = upped.shoal("up", *upped.common_options()).stdout
    for word in (upped.endpoint, "mount -t nfs4", f"port={upped.nfs_port}", "device: \":/\"", "shoal env --data",
                 "shoal down --data"):
        assert word in text


def test_down_ends_it_and_is_harmless_afterwards(upped):
    upped.up()
    pid = run_file_pid(upped)
    assert "has ended" in upped.shoal("down", "--data", upped.data_dir).stdout
    assert not shoal_server.connects("127.0.0.1", upped.control_port)
    assert not os.path.exists(f"/proc/{pid}") or "Z" in open(f"/proc/{pid}/stat").read()
    again = upped.shoal("down", "--data", upped.data_dir)
    assert "No service runs" in again.stdout


def test_env_is_read_by_a_shell(server):
    told = server.up()
    env = server.shell_env()
    assert env == {"AWS_ENDPOINT_URL": told["endpoint"], "AWS_ACCESS_KEY_ID": told["access_key_id"],
                   "AWS_SECRET_ACCESS_KEY": told["secret_access_key"], "AWS_DEFAULT_REGION": told["region"],
                   "AWS_REGION": told["region"]}
    assert "--endpoint-url" in server.shoal("env", "--data", server.data_dir).stdout


def test_the_exported_keys_open_the_api(server):
    told = server.up()
    systems = server.boto3_client().describe_file_systems()["FileSystems"]
    assert [(fs["FileSystemId"], fs["Name"]) for fs in systems] == [(told["file_system_id"], "default")]


def test_status_tells_what_is_served(server):
    told = server.up()
    text = server.shoal("status", "--data", server.data_dir).stdout
    assert told["file_system_id"] in text and str(server.pid) in text
    status = json.loads(server.shoal("status", "--data", server.data_dir, "--json").stdout)
    assert status["running"] is True and status["pid"] == server.pid
    assert [fs["id"] for fs in status["file_systems"]] == [told["file_system_id"]]


def test_status_of_what_does_not_run_is_3(stopped):
    stopped.start()
    stopped.stop()
    assert stopped.shoal("status", "--data", stopped.data_dir, check=False).returncode == 3
    as_json = stopped.shoal("status", "--data", stopped.data_dir, "--json", check=False)
    assert as_json.returncode == 3 and json.loads(as_json.stdout) == {"running": False}
    env = stopped.shoal("env", "--data", stopped.data_dir, check=False)
    assert env.returncode == 3 and "shoal up --data" in env.stderr


def test_up_shows_why_the_daemon_did_not_start(stopped, server):
    stopped.nfs_port = server.nfs_port
    done = stopped.shoal("up", *stopped.common_options(), check=False)
    assert done.returncode == 1
    assert f"NFS port {server.nfs_port} is in use" in done.stderr and "shoald.log" in done.stderr


def test_up_refuses_wrong_options_before_it_makes_anything(stopped):
    done = stopped.shoal("up", "--data", stopped.data_dir, "--nfs-prt", "1", check=False)
    assert done.returncode == 2 and "did you mean --nfs-port?" in done.stderr
    assert not stopped.data_dir.exists()


def test_commands_and_options_are_suggested(stopped):
    assert "did you mean status?" in stopped.shoal("sttus", check=False).stderr
    wrong = stopped.shoal("down", "--dat", "x", check=False)
    assert wrong.returncode == 2 and "did you mean --data?" in wrong.stderr


def test_every_command_has_help(stopped):
    overview = stopped.shoal("--help").stdout
    names = re.findall(r"^  ([a-z]+) ", overview, re.M)
    assert {"up", "down", "env", "status"} <= set(names)
    for name in names:
        assert f"Usage: shoal {name}" in stopped.shoal(name, "--help").stdout
    for words in (["snapshot", "restore", "--help"], ["du", "-s", "--help"], ["data", "put", "--help"]):
        assert f"Usage: shoal {words[0]}" in stopped.shoal(*words).stdout
    assert "Usage: shoal fs delete" in stopped.shoal("fs", "delete", "--help").stdout  # the verb's own


def test_api_makes_one_signed_call(server):
    told = server.up()
    answer = json.loads(server.shoal("api", "--data", server.data_dir, "GET", "/file-systems?MaxItems=1").stdout)
    assert [fs["FileSystemId"] for fs in answer["FileSystems"]] == [told["file_system_id"]]
    refused = server.shoal("api", "--data", server.data_dir, "DELETE", "/file-systems/fs-0", check=False)
    assert refused.returncode == 1 and "FileSystemNotFound" in refused.stderr
    wrong = server.shoal("api", "--data", server.data_dir, "POST", "/file-systems", "{", check=False)
    assert wrong.returncode == 2 and "not JSON" in wrong.stderr


def test_the_authority_is_shown_and_exported(server):
    server.up()
    pem = (server.data_dir / "ca.pem").read_text()
    assert server.shoal("ca", "export", "--data", server.data_dir).stdout == pem
    shown = server.shoal("ca", "show", "--data", server.data_dir).stdout
    assert "Shoal node CA" in shown and "SHA-256 fingerprint: " in shown
    assert server.shoal("ca", "--data", server.data_dir, check=False).returncode == 2


def test_the_configuration_of_efs_utils_is_printed_and_installed(server, tmp_path):
    server.up()
    printed = server.shoal("efs-utils-conf", "--data", server.data_dir).stdout
    assert "[mount]\ndns_name_suffix = shoal.internal\nregion = us-east-1\n" in printed
    missing = server.shoal("efs-utils-conf", "--install", "--directory", tmp_path, "--data", server.data_dir, check=False)
    assert missing.returncode == 1 and "install amazon-efs-utils first" in missing.stderr
    conf = tmp_path / "efs-utils.conf"
    before = "[DEFAULT]\nx = 1\n\n[mount]\ndns_name_suffix = amazonaws.com\n#region = a\n\n[mount.us-east-1]\ny = 2\n"
    conf.write_text(before)
    conf.chmod(0o640)
    for _ in range(2):
        server.shoal("efs-utils-conf", "--install", "--directory", tmp_path, "--data", server.data_dir)
        assert (tmp_path / "efs-utils.conf.before-shoal").read_text() == before
        assert (tmp_path / "shoal-ca.pem").read_text() == (server.data_dir / "ca.pem").read_text()
        assert conf.stat().st_mode & 0o777 == 0o640
        parsed = configparser.ConfigParser()
        parsed.read(conf)
        for section in ("mount", "mount.us-east-1"):
            assert parsed[section]["dns_name_suffix"] == "shoal.internal"
            assert parsed[section]["stunnel_cafile"] == "/etc/amazon/efs/shoal-ca.pem"
        assert parsed["mount.us-east-1"]["y"] == "2" and parsed["DEFAULT"]["x"] == "1"
    assert "already" in server.shoal("efs-utils-conf", "--install", "--directory", tmp_path, "--data",
                                     server.data_dir).stdout
