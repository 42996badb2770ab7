"""Snapshots as the kernel's client sees them: under `.snapshot` in every directory, all as it was, nothing to be changed."""

import secrets

import pytest


@pytest.fixture
def snapshots(server, export):
    """shoal snapshot VERB ... on the file system of `export`."""
    efs = server.boto3_client()
    target = next(target for each in efs.describe_file_systems()["FileSystems"]
                  for target in efs.describe_mount_targets(FileSystemId=each["FileSystemId"])["MountTargets"]
                  if target["IpAddress"] == export.address)

    def run(verb, *words):
        return server.shoal("snapshot", verb, target["FileSystemId"], *words, "--data", server.data_dir).stdout

    return run


@pytest.mark.parametrize("version", ["4.1", "4.2"])
def test_a_snapshot_shows_what_was(client, export, snapshots, version):
    has_xattrs = version == "4.2"
    name = "s" + secrets.token_hex(4)
    with client.mounted(export, f"snapshots-{version}", version=version) as mount:
        work = f"{mount}/{name}"
        client.call("os.mkdir", work)
        client.call("os.listdir", f"{work}/.snapshot")
        expected = client.call("snapshots.make", work, has_xattrs)
        snapshots("create", name)
        client.call("snapshots.change", work, has_xattrs)
        client.call("snapshots.look", work, name, expected, has_xattrs)
        client.call("snapshots.write_nothing", work, name, has_xattrs)
        client.call("snapshots.copy_back", work, name, expected)
        client.call("snapshots.look", work, name, expected, has_xattrs)
        snapshots("delete", name)
        client.call("snapshots.is_gone", work, name)
