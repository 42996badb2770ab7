"""Version 4.2 as the kernel's client uses it: reflinks, copies in the server, holes, extended attributes, umask."""

import collections

import pytest
import shoal_server

Export = collections.namedtuple("Export", "address port path")


@pytest.fixture(scope="module")
def mount_point(client, export):
    with client.mounted(export, "newer", version="4.2") as path:
        yield path


@pytest.mark.parametrize("scenario", ["reflink", "copies", "holes", "sparse_copy", "extended_attributes", "umask"])
def test_version_42_works(client, work, scenario):
    client.call(f"newer.{scenario}", work)


def test_a_long_copy_is_whole(client, work):
    client.call("newer.long_copy", work, size_mib=40)


@pytest.mark.parametrize("arguments", ["-s 1 -n 1200", "-s 2 -n 1200 -l 90000 -o 20000", "-s 3 -n 500 -d"])
def test_fsx_finds_no_difference_with_copies_and_holes(client, work, arguments):
    fsx = shoal_server.find_program("fsx")
    status, out, err = client.run(fsx, "-x", *arguments.split(), f"{work}/fsx", check=False)
    assert status == 0, f"{out}{err}"


def test_a_strict_file_system_is_mounted_as_on_efs(client, server):
    """41 is the newest version it speaks; a mount that asks for 42 is refused."""
    file_system_id, address = server.create_file_system()
    efs = server.boto3_client()
    efs.tag_resource(ResourceId=file_system_id, Tags=[{"Key": "shoal:profile", "Value": "strict"}])
    strict = Export(address, server.nfs_port, "/")
    with client.mounted(strict, "strict", version="4.1") as path:
        client.call("sharing.write_file", f"{path}/name", b"content")
        assert client.call("sharing.read_file", f"{path}/name") == b"content"
    port = client.relay(address, server.nfs_port)
    status, _, err = client.run("mount", "-t", "nfs4", "-o", f"vers=4.2,port={port},proto=tcp,retry=0",
                                f"{client.host}:/", "/mnt/strict", check=False)
    assert status != 0 and "rotocol" in err, err
