"""shoal hosts: the names of file systems as lines of /etc/hosts, which the C library's resolver then knows."""

import pathlib
import subprocess

import pytest
import shoal_server


@pytest.fixture(scope="module")
def up(server):
    return server.up()


def hosts(server, *words):
    return server.shoal("hosts", "--data", server.data_dir, *words)


def names_of(text):
    """{name: address} of lines of /etc/hosts."""
    fields = [line.split() for line in text.splitlines() if not line.startswith("#")]
    return {name: words[0] for words in fields for name in words[1:]}


def test_all_mount_targets_have_their_names(server, up):
    found = names_of(hosts(server).stdout)
    zone = f"efs.{up['region']}.shoal.internal"
    name = f"{up['file_system_id']}.{zone}"
    assert found[name] == up["mount_targets"][0]["ip"]
    for target in up["mount_targets"]:
        assert found[f"{target['zone']}.{name}"] == target["ip"]
    assert found[f"use1-az1.{name}"] in [target["ip"] for target in up["mount_targets"]]
    assert len(found) == 1 + 2 * len(up["mount_targets"])


def test_the_plain_name_can_be_that_of_a_zone(server, up):
    last = up["mount_targets"][-1]
    found = names_of(hosts(server, "--zone", last["zone"]).stdout)
    assert found[f"{up['file_system_id']}.efs.{up['region']}.shoal.internal"] == last["ip"]
    assert len(names_of(hosts(server, "--zone", "nowhere").stdout)) == 2 * len(up["mount_targets"])


def test_a_file_is_written_once(server, up, tmp_path):
    path = tmp_path / "hosts"
    path.write_text("127.0.0.1 localhost\n# mine\n")
    assert "is written" in hosts(server, "--write", path).stdout
    text = path.read_text()
    assert text.startswith("127.0.0.1 localhost\n# mine\n# begin of efs.us-east-1.shoal.internal")
    assert hosts(server).stdout in text
    assert "is as it has to be" in hosts(server, "--write", path).stdout
    assert path.read_text() == text


def test_a_block_follows_the_mount_targets(server, up, tmp_path):
    path = tmp_path / "hosts"
    efs = server.boto3_client()
    hosts(server, "--write", path)
    fs_id, address = server.create_file_system(efs)
    hosts(server, "--write", path)
    assert names_of(path.read_text())[f"{fs_id}.efs.us-east-1.shoal.internal"] == address
    for target in efs.describe_mount_targets(FileSystemId=fs_id)["MountTargets"]:
        efs.delete_mount_target(MountTargetId=target["MountTargetId"])
    shoal_server.wait_until(lambda: hosts(server, "--write", path) and fs_id not in path.read_text(), 30, "the name is gone")
    assert up["file_system_id"] in path.read_text()


def test_a_broken_block_is_not_touched(server, up, tmp_path):
    path = tmp_path / "hosts"
    path.write_text("# begin of efs.us-east-1.shoal.internal, written by shoal hosts\n1.2.3.4 precious\n")
    done = server.shoal("hosts", "--data", server.data_dir, "--write", path, check=False)
    assert done.returncode == 1 and "do not belong together" in done.stderr
    assert "precious" in path.read_text()


def test_wrong_words_and_files_are_explained(server, up, tmp_path):
    for words, part, status in ((["--write", tmp_path / "no" / "hosts"], "Cannot write", 1), (["word"], "takes no word", 2),
                                (["--writ", "x"], "did you mean --write", 2)):
        done = server.shoal("hosts", "--data", server.data_dir, *words, check=False)
        assert done.returncode == status and part in done.stderr


@pytest.mark.skipif(not pathlib.Path("/usr/bin/unshare").exists(), reason="unshare is not installed")
def test_the_c_library_finds_the_names(server, up, tmp_path):
    """As in a container, /etc/hosts is a mount of its own there: it cannot be renamed over."""
    path = tmp_path / "hosts"
    path.write_text("127.0.0.1 localhost\n")
    shoal = shoal_server.find_program("shoal")
    name = f"{up['file_system_id']}.efs.{up['region']}.shoal.internal"
    script = f"mount --bind {path} /etc/hosts && {shoal} hosts --data {server.data_dir} --write /etc/hosts && getent hosts {name}"
    done = subprocess.run(["unshare", "--mount", "--map-root-user", "sh", "-c", script], capture_output=True, text=True,
                          env=server.env)
    if "unshare failed" in done.stderr or "Operation not permitted" in done.stderr:
        pytest.skip("this machine allows no mount namespaces")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].split()[0] == up["mount_targets"][0]["ip"]
