"""File system policies on the data plane: who may see, write and be root; on connections that are there already, too."""

import json

import nfs4
from nfs4 import (ACCESS_READ, MODE, OWNER, SIZE, access, create, getattr_, getfh, lookup, open_, putfh, putrootfh, read,
                  remove, setattr_, write)
import pytest

from shoal_server import life_cycle_state, wait_until

MOUNT = "elasticfilesystem:ClientMount"
WRITE = "elasticfilesystem:ClientWrite"
ROOT_ACCESS = "elasticfilesystem:ClientRootAccess"
MODIFY_BITS = 0x04 | 0x08 | 0x10


class Policy:
    """The policy of the server's default file system."""

    def __init__(self, server):
        self.server = server
        self.path = f"/file-systems/{server.up()['file_system_id']}/policy"

    def allow(self, *actions, **condition):
        self.put([{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": list(actions),
                   **({"Condition": condition} if condition else {})}])

    def put(self, statements):
        policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
        self.call("PUT", json.dumps({"Policy": policy}))

    def delete(self):
        self.call("DELETE")

    def call(self, method, *body):
        self.server.shoal("api", "--data", self.server.data_dir, method, self.path, *body)


@pytest.fixture
def policy(server):
    yield Policy(server)
    Policy(server).delete()


def test_without_a_right_to_mount_nothing_is_seen(policy, session, connect, directory):
    fh = directory.make(b"file", b"data")
    policy.allow(WRITE)
    assert session.run(putrootfh()).status == "ACCESS"
    assert session.run(putfh(fh), getattr_(SIZE)).status == "ACCESS"
    assert connect().run(putrootfh(), getfh()).status == "ACCESS"
    policy.allow(MOUNT)
    assert session.run(putfh(fh), getattr_(SIZE)).ok().last.attrs[SIZE] == 4


def test_without_a_right_to_write_it_is_read_only(policy, session, directory):
    fh = directory.make(b"file", b"data", {MODE: 0o666})
    opened, stateid = directory.open(b"file")
    policy.allow(MOUNT, ROOT_ACCESS)
    assert session.run(putfh(opened), write(stateid, 0, b"more")).status == "ROFS", "opened before"
    assert session.run(putfh(fh), read(stateid, 0, 10)).ok().last.data == b"data"
    assert session.run(putfh(fh), setattr_({MODE: 0o600})).status == "ROFS"
    assert directory.run(create(b"directory")).status == "ROFS"
    assert directory.run(remove(b"file")).status == "ROFS"
    assert directory.run(open_(b"new", how=nfs4.UNCHECKED)).status == "ROFS"
    assert directory.run(open_(b"file", how=nfs4.UNCHECKED)).status == "ROFS", "to write"
    assert directory.run(open_(b"file", share=ACCESS_READ, owner=b"reader")).status == "OK"
    assert directory.run(open_(b"file", share=ACCESS_READ, owner=b"reader", how=nfs4.UNCHECKED)).status == "OK", "it exists"
    assert directory.run(open_(b"file", share=ACCESS_READ, owner=b"reader", how=nfs4.GUARDED)).status == "EXIST"
    assert session.run(putfh(fh), access(0x3F)).ok().last.access & MODIFY_BITS == 0
    policy.delete()
    session.run(putfh(opened), write(stateid, 0, b"more")).ok()


def test_without_a_right_to_be_root_user_0_is_nobody(policy, session, directory):
    secret = directory.make(b"secret", b"data", {MODE: 0o600})
    policy.allow(MOUNT, WRITE)
    assert directory.run(open_(b"secret", share=ACCESS_READ)).status == "ACCESS"
    assert session.run(putfh(secret), setattr_({MODE: 0o666})).status == "PERM"
    policy.allow(MOUNT, WRITE, ROOT_ACCESS)
    session.run(putfh(directory.fh), setattr_({MODE: 0o777})).ok()
    policy.allow(MOUNT, WRITE)
    made = directory.run(open_(b"of-nobody", how=nfs4.UNCHECKED, values={MODE: 0o644}), getattr_(OWNER)).ok()
    assert made.last.attrs[OWNER] == b"65534"


def test_conditions_tell_clients_apart(policy, session):
    policy.allow("elasticfilesystem:Client*", Bool={"elasticfilesystem:AccessedViaMountTarget": "true"})
    session.run(putrootfh()).ok()
    policy.allow("elasticfilesystem:Client*", Bool={"aws:SecureTransport": "true"})
    assert session.run(putrootfh()).status == "ACCESS", "this connection is not encrypted"
    policy.allow("elasticfilesystem:Client*", IpAddress={"aws:SourceIp": "127.0.0.0/8"})
    session.run(putrootfh()).ok()
    policy.allow("elasticfilesystem:Client*", IpAddress={"aws:SourceIp": "192.0.2.0/24"})
    assert session.run(putrootfh()).status == "ACCESS"


def test_a_denial_wins(policy, session):
    policy.put([{"Effect": "Allow", "Principal": "*", "Action": "*"},
                {"Effect": "Deny", "Principal": "*", "Action": WRITE}])
    session.run(putrootfh()).ok()
    assert session.run(putrootfh(), create(b"x")).status == "ROFS"


def test_the_pseudo_root_has_the_same_rights(policy, server):
    file_system_id = server.up()["file_system_id"].encode()
    session = nfs4.connect(("127.0.0.1", server.nfs_port))
    session.run(putrootfh(), lookup(file_system_id)).ok()
    policy.allow(WRITE)
    assert session.run(putrootfh(), lookup(file_system_id)).status == "ACCESS"
    session.run(putrootfh()).ok()
    session.conn.close()


def test_the_destination_of_a_replication_is_read_only_until_it_ends(server, session, directory):
    """Shoal copies nothing yet, but keeps what EFS promises of a destination: nobody else writes to it."""
    efs = server.boto3_client()
    file_system_id = server.up()["file_system_id"]
    source = efs.create_file_system()["FileSystemId"]
    wait_until(lambda: life_cycle_state(efs, source) == "available", 30, "available")

    def api(method, path, body=None):
        words = [] if body is None else [json.dumps(body)]
        server.shoal("api", "--data", server.data_dir, method, path, *words)

    opened, stateid = directory.open(b"kept-open")
    api("PUT", f"/file-systems/{file_system_id}/protection", {"ReplicationOverwriteProtection": "DISABLED"})
    api("POST", f"/file-systems/{source}/replication-configuration",
        {"Destinations": [{"Region": "us-east-1", "FileSystemId": file_system_id}]})
    assert session.run(putfh(opened), write(stateid, 0, b"x")).status == "ROFS", "opened before"
    assert directory.run(create(b"directory")).status == "ROFS"
    efs.delete_replication_configuration(SourceFileSystemId=source)
    wait_until(lambda: directory.run(create(b"directory")).status == "OK", 10, "writeable again")
    session.run(putfh(opened), write(stateid, 0, b"x")).ok()
    efs.delete_file_system(FileSystemId=source)
