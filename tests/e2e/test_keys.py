"""A file system whose key cannot be used: mounts fail with the reason and do not hang; all goes on when the key is back."""

import errno

import pytest

from test_mount_manager import Place


def test_a_key_that_cannot_be_used_is_named_and_hangs_nobody(client, own_server):
    kms = own_server.boto3_client("kms")
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    place = Place.__new__(Place)
    place.server, place.client = own_server, client
    place.file_system, place.address = own_server.create_file_system(CreationToken="e", Encrypted=True, KmsKeyId=key)
    place.port = client.relay(place.address, own_server.nfs_port)
    status, _, err, _ = place.mount("/mnt/y-before")
    assert status == 0, err
    client.call("sharing.write_file", "/mnt/y-before/file", b"secret")
    kms.disable_key(KeyId=key)
    own_server.restart()
    status, _, err, seconds = place.mount("/mnt/y-now")
    assert status == 1 and "key" in err and "shoal doctor" in err
    assert seconds < 60 and place.mounted("/mnt/y-now") is None
    with pytest.raises(OSError) as error:
        client.call("sharing.write_file", "/mnt/y-before/new", b"x")
    assert error.value.errno in (errno.EIO, errno.ESTALE)
    assert client.call("mounts.settled", 10) == []
    kms.enable_key(KeyId=key)
    assert client.call("sharing.read_file", "/mnt/y-before/file") == b"secret"
    place.unmount("/mnt/y-before")
