"""Every volume of examples/compose, and lines of older files, mounted by a kernel client as Docker's local driver does."""

import re

import compose_files as files
import pytest

NEW = [(path.name, name) for path in files.FILES for name in files.nfs_volumes(path)]
OLD = {
    "intr": ("nfs", "addr=SERVER,nfsvers=4.1,rsize=1048576,wsize=1048576,hard,intr,timeo=600,retrans=2"),
    "minorversion": ("nfs4", "addr=SERVER,rw,vers=4,minorversion=1,nolock"),
    "nfs_opts": ("nfs", "nfsvers=4.1,rsize=1048576,wsize=1048576,hard,timeo=600,retrans=2,noresvport,addr=SERVER"),
    "small": ("nfs", "addr=SERVER,nfsvers=4.0,rw,noatime,rsize=8192,wsize=8192,tcp,timeo=14"),
    "soft": ("nfs", "addr=SERVER,nfsvers=4.2,soft,nolock"),
}


@pytest.fixture(scope="module")
def prepared(server, client):
    """The service of `shoal up` with the directories that the files name; gives the port that leads to its first target."""
    up = server.up()
    for path in files.FILES:
        for options in files.nfs_volumes(path).values():
            server.shoal("mkdir", "-p", "--data", server.data_dir, f"default{options['device']}")
    return client.relay(up["mount_targets"][0]["ip"], server.nfs_port)


def try_mount(client, port, kind, options, device, name):
    """Mounts as Docker's local driver does, at the port where the tests have the server; writes, reads, unmounts."""
    where = f"/mnt/compose-{name}"
    options = re.sub(r"(^|,)port=\d+", "", options) + f",port={port}"
    client.call("raw_mount.mount", device, where, kind, options)
    try:
        client.call("sharing.write_file", f"{where}/written", name.encode())
        assert client.call("sharing.read_file", f"{where}/written") == name.encode()
        mounts = client.run("cat", "/proc/mounts")[1]
        return next(line.split()[3] for line in mounts.splitlines() if line.split()[1] == where)
    finally:
        client.unmount(where)


@pytest.mark.parametrize("file, volume", NEW, ids=[f"{file}-{volume}" for file, volume in NEW])
def test_the_volume_can_be_mounted(client, prepared, file, volume):
    path = files.FOLDER / file
    given = files.nfs_volumes(path)[volume]
    options = files.filled(given["o"], {**files.settings(path), "EFS_DNS_NAME": client.host})
    shown = try_mount(client, prepared, given["type"], options, given["device"], f"{path.stem}-{volume}")
    assert {"vers=4.1", "hard", "timeo=600", "retrans=2", "rsize=1048576", "wsize=1048576"} <= set(shown.split(","))


@pytest.mark.parametrize("name", OLD)
def test_lines_of_older_files_still_mount(client, prepared, name):
    kind, options = OLD[name]
    try_mount(client, prepared, kind, options.replace("SERVER", client.host), ":/", f"old-{name}")
